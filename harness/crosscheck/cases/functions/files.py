"""A function's case as JSON, to be replayed.

::

    {"version": 1, "function": "loss", "dtype": "float32", "sizes": {"b": 1, "c": 2},
     "arguments": {"z": [[0.5, "0x1.99999ap-4"]], "y": {"integers": [1]}, "m": {"bools": [true]},
                   "x": {"shape": [258, 1], "full": 8}},
     "cotangents": {"out": -2}, "keywords": {"eps": 0.00001}, "key": "3f1c09aa…"}

Real numbers are written and read as in cases of networks (`crosscheck.network.files`): decimals
where they are short and exact, else hex. Long arrays of equal entries, and empty ones, have
``shape`` and ``full``. The key is checked where it is given.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from crosscheck.cases.functions.record import Record
from crosscheck.cases.functions.source import KINDS
from crosscheck.network.files.building import (
    checked_options,
    kind_of,
    refuse,
    shortened,
)
from crosscheck.network.files.json_ import readable, strict_json
from crosscheck.network.files.numbers import array_of_any_depth, to_lists
from crosscheck.numbers.formats import FORMATS, Format
from crosscheck.tools.errors import meant

__all__ = ["MOST_BYTES", "record_from_json", "record_from_text", "record_to_json", "record_to_text"]

_VERSION = 1
_REQUIRED = ("function", "arguments")
_KEYS = ("version", *_REQUIRED, "dtype", "sizes", "cotangents", "keywords", "kind", "key")
_LONG = 8
MOST_BYTES = 2**26
_MOST_ENTRIES = 2**22
_MOST_AXES = 8
_MOST_NAMES = 256
_LONGEST_NAME = 100


def record_to_json(record: Record) -> dict[str, Any]:
    """A record as what `json.dumps` takes."""
    found: dict[str, Any] = {
        "version": _VERSION,
        "function": record.name,
        "dtype": record.dtype,
        "sizes": dict(record.sizes),
        "arguments": {name: _to_json(array) for name, array in record.arguments.items()},
        "cotangents": {name: _to_json(array) for name, array in record.cotangents.items()},
    }
    if record.keywords:
        found["keywords"] = {name: _settled(value) for name, value in record.keywords.items()}
    if record.kind:
        found["kind"] = record.kind
    return {**found, "key": record.key}


def record_to_text(record: Record) -> str:
    """A record as the text of a JSON file."""
    return readable(record_to_json(record))


def record_from_text(content: bytes | str, *, origin: str) -> Record:
    """The record in a JSON file.

    Args:
        content: Of the file.
        origin: Names it in messages.

    Raises:
        UsageError: It holds none.
    """
    content = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    if len(content) > MOST_BYTES:
        refuse(origin, f"{len(content)} bytes, wanted at most {MOST_BYTES}")
    return record_from_json(strict_json(content, origin), origin=origin)


def record_from_json(data: Any, *, origin: str) -> Record:
    """The record that parsed JSON describes.

    Raises:
        UsageError: It is none, or larger than is read: 2^22 numbers, 8 axes, 256 names.
    """
    if not isinstance(data, dict):
        refuse(
            origin, f"{kind_of(data)} at the top level, wanted an object with {', '.join(_KEYS)}"
        )
    for key in data:
        if key not in _KEYS:
            hint = meant(key, _KEYS)
            refuse(origin, f"unknown key {shortened(key)}, wanted {', '.join(_KEYS)}{hint}")
    for key in _REQUIRED:
        if key not in data:
            refuse(origin, f"key {key!r} is missing, wanted {' and '.join(_REQUIRED)} at least")
    version = data.get("version", _VERSION)
    if version != _VERSION or isinstance(version, bool):
        refuse(origin, f"version is {kind_of(version)}, wanted {_VERSION}")
    options = checked_options({key: data[key] for key in ("dtype",) if key in data}, origin)
    form = FORMATS[options.get("dtype", "float64")]
    name = _name(data["function"], "function", origin)
    reader = _Reader(form, origin)
    arguments = reader.arrays(data["arguments"], "arguments")
    cotangents = reader.arrays(data.get("cotangents", {}), "cotangents")
    for output, array in cotangents.items():
        if array.dtype != np.float64:
            refuse(origin, f"cotangents.{output} is not of real numbers, wanted such")
    sizes = _object(data.get("sizes", {}), "sizes", origin)
    for axis, size in sizes.items():
        if type(size) is not int or not 0 <= size <= _MOST_ENTRIES:
            refuse(origin, f"sizes: {shortened(axis)} is {kind_of(size)}, wanted a whole number")
        if len(axis) > _LONGEST_NAME:
            refuse(origin, f"sizes: {shortened(axis)}, wanted a shorter name")
    given = _object(data.get("keywords", {}), "keywords", origin)
    keywords = {
        _name(key, "keywords", origin): _keyword(value, key, origin) for key, value in given.items()
    }
    kind = data.get("kind", "")
    if kind != "" and kind not in KINDS:
        refuse(origin, f"kind is {kind_of(kind)}, wanted one of {', '.join(KINDS)}")
    record = Record(name, arguments, cotangents, sizes, form.name, kind, keywords)
    if "key" in data and data["key"] != record.key:
        refuse(origin, f"key is {kind_of(data['key'])}, and what it holds has {record.key}")
    return record


class _Reader:
    """Reads arrays, as long as there are not too many numbers."""

    def __init__(self, form: Format, origin: str) -> None:
        self.form, self.origin, self.left = form, origin, _MOST_ENTRIES

    def arrays(self, data: Any, field: str) -> dict[str, Any]:
        """An object of arrays by name."""
        whole = _object(data, field, self.origin)
        return {
            _name(name, field, self.origin): self.array(value, f"{field}.{name}")
            for name, value in whole.items()
        }

    def array(self, data: Any, at: str) -> Any:
        """One array: real numbers, or an object that says that they are others."""
        if isinstance(data, dict) and len(data) == 1 and set(data) <= {"integers", "bools"}:
            [(kind, inner)] = data.items()
            return self._entries(inner, at, kind)
        return self._entries(data, at, "reals")

    def _entries(self, data: Any, at: str, kind: str) -> Any:
        if isinstance(data, dict):
            if set(data) != {"shape", "full"}:
                refuse(self.origin, f"{at} is an object, wanted shape and full, integers or bools")
            shape = self._shape(data["shape"], at)
            return np.full(shape, self._list(data["full"], f"{at}.full", kind, single=True))
        return self._list(data, at, kind)

    def _shape(self, data: Any, at: str) -> tuple[int, ...]:
        if not isinstance(data, list) or len(data) > _MOST_AXES:
            refuse(self.origin, f"{at}.shape is {kind_of(data)}, wanted {_MOST_AXES} sizes at most")
        for size in data:
            if type(size) is not int or not 0 <= size <= _MOST_ENTRIES:
                refuse(self.origin, f"{at}.shape has {kind_of(size)}, wanted whole numbers")
        self._spend(math.prod(data), at)
        return tuple(data)

    def _spend(self, count: int, at: str) -> None:
        self.left -= count
        if self.left < 0:
            refuse(self.origin, f"{at}: more than {_MOST_ENTRIES} numbers in all, wanted fewer")

    def _list(self, data: Any, at: str, kind: str, *, single: bool = False) -> Any:
        if single and isinstance(data, list | dict):
            refuse(self.origin, f"{at} is {kind_of(data)}, wanted one value")
        if kind == "reals":
            found = array_of_any_depth(data, at, self.form, self.origin)
        else:
            found = self._others(data, at, kind)
        self._spend(found.size, at)
        return found

    def _others(self, data: Any, at: str, kind: str) -> Any:
        """A nested list of whole numbers or of bools."""
        wanted = bool if kind == "bools" else int

        def check(value: Any, here: str, depth: int) -> tuple[int, ...]:
            if not isinstance(value, list):
                if type(value) is not wanted or not -(2**63) <= value < 2**63:
                    word = "true or false" if wanted is bool else "a whole number of 64 bits"
                    refuse(self.origin, f"{here} is {kind_of(value)}, wanted {word}")
                return ()
            if not value or depth == _MOST_AXES:
                refuse(self.origin, f"{here} is {kind_of(value)}, wanted fewer axes, none empty")
            shapes = {check(item, f"{here}[{k}]", depth + 1) for k, item in enumerate(value)}
            if len(shapes) > 1:
                refuse(self.origin, f"{here} has rows of several lengths, wanted an array")
            return (len(value), *shapes.pop())

        check(data, at, 0)
        return np.array(data, dtype=np.bool_ if wanted is bool else np.int64)


def _object(data: Any, field: str, origin: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        refuse(origin, f"{field} is {kind_of(data)}, wanted an object")
    if len(data) > _MOST_NAMES:
        refuse(origin, f"{field} has {len(data)} names, wanted at most {_MOST_NAMES}")
    return data


def _name(value: Any, field: str, origin: str) -> str:
    if not isinstance(value, str) or not value.isidentifier() or len(value) > _LONGEST_NAME:
        shown = kind_of(value)
        refuse(origin, f"{field}: {shown}, wanted a name of letters, digits and underscores")
    return value


def _keyword(value: Any, name: str, origin: str) -> Any:
    """A keyword's value: lists come back as tuples."""
    if isinstance(value, list):
        if len(value) > _MOST_NAMES:
            refuse(origin, f"keywords.{name} has {len(value)} values, wanted {_MOST_NAMES}")
        if any(isinstance(each, list | dict) for each in value):
            refuse(origin, f"keywords.{name} is nested, wanted one value or a list of them")
        return tuple(value)
    if isinstance(value, dict):
        refuse(origin, f"keywords.{name} is an object, wanted one value or a list of them")
    return value


def _settled(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _to_json(array: Any) -> Any:
    """An array, of equal entries as one where there are many."""
    flat = np.ascontiguousarray(array).reshape(-1)
    is_equal = flat.tobytes() == flat[:1].tobytes() * flat.size
    if flat.size == 0 or (flat.size > _LONG and is_equal):
        value = flat[0].item() if flat.size else array.dtype.type(0).item()
        found: Any = {"shape": list(array.shape), "full": _values(value, array)}
    else:
        found = _values(array.tolist(), array)
    names = {"i": "integers", "b": "bools"}
    kind: str = array.dtype.kind
    return {names[kind]: found} if kind in names else found


def _values(data: Any, array: Any) -> Any:
    return to_lists(data) if array.dtype == np.float64 else data
