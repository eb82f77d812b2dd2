"""Records as JSON and back, by their types: a file's layout follows from its records.

`cattrs` takes them apart and puts them together by the types of their fields. (msgspec, which is
faster, writes NaN and infinities as null, lets no hook write a float, and takes no tuple as a key.)
What is said here beside that:

- A ``float`` is ``{"hex": …, "decimal": …}``: the first is exact and has NaN, infinities and the
  sign of a zero; the second is for people, and null where JSON has no such number. `Decimal` is
  the type of what is written as a decimal number alone.
- A mapping whose keys are no text is a list of pairs.
- Nothing is converted silently: text is no number, a list is no tuple of its letters, and fields
  that the record does not have are refused.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, NewType, TypeVar, get_args

import cattrs
import numpy as np
from cattrs.cols import (
    homogenous_tuple_structure_factory,
    is_sequence,
    list_structure_factory,
    mapping_structure_factory,
)
from cattrs.errors import ForbiddenExtraKeysError
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override
from numpy.typing import NDArray

from crosscheck.tools.schemas import Schemas, is_named, is_paired, is_tuple, is_uniform
from crosscheck.tools.words import cut, shown

__all__ = ["Decimal", "Records", "array_of", "number", "numbers", "value_of"]

Decimal = NewType("Decimal", float)
"""A finite number that is written as a decimal number alone: a time, say."""

T = TypeVar("T")

_HEX = re.compile(r"-?0x[01]\.[0-9a-f]{1,13}p[+-][0-9]{1,4}|-?inf|nan")

_NUMBER = {
    "type": "object",
    "properties": {
        "hex": {"type": "string", "pattern": f"^({_HEX.pattern})$"},
        "decimal": {"type": ["number", "null"]},
    },
    "required": ["hex", "decimal"],
    "additionalProperties": False,
}


def number(value: float) -> dict[str, Any]:
    """A float as its exact hexadecimal form and a decimal, which is null for NaN and ±inf."""
    exact = float(value).hex() if math.isfinite(value) else str(float(value))
    return {"hex": exact, "decimal": float(value) if math.isfinite(value) else None}


def value_of(data: Any) -> float:
    """The inverse of `number`.

    Raises:
        ValueError: It is no number, or its two forms are not of the same one.
    """
    if not isinstance(data, dict) or data.keys() != {"hex", "decimal"}:
        raise ValueError(f"{_shown(data)} is not a number as hex and decimal")
    exact = data["hex"]
    if not isinstance(exact, str) or not _HEX.fullmatch(exact):
        raise ValueError(f"{_shown(exact)} is not a hex float")
    value = float.fromhex(exact)
    if number(value) != data or isinstance(data["decimal"], bool):
        raise ValueError(f"{exact} is not {_shown(data['decimal'])}")
    return value


def numbers(array: Any) -> Any:
    """An array as nested lists of numbers."""

    def convert(values: Any) -> Any:
        if isinstance(values, list):
            return [convert(value) for value in values]
        return number(values)

    return convert(np.asarray(array, dtype=np.float64).tolist())


def array_of(data: Any) -> NDArray[np.float64]:
    """The inverse of `numbers`, float64.

    Raises:
        ValueError: It is not such lists.
    """

    def convert(data: Any) -> Any:
        return list(map(convert, data)) if isinstance(data, list) else value_of(data)

    return np.array(convert(data), dtype=np.float64)


class Records:
    """Takes records apart into what `json.dumps` takes, and puts them together again.

    Data classes are understood by themselves; `add` says how another type is written, and `lay`
    what is different about the fields of a data class and of those derived from it.
    """

    def __init__(self) -> None:
        self._converter = found = cattrs.Converter(forbid_extra_keys=True)
        self._schemas: dict[Any, Mapping[str, Any]] = {}
        self._laid: dict[type, dict[str, Any]] = {}
        for kind in (bool, int, str):
            found.register_structure_hook(kind, _exactly(kind))
        for is_one, wanted, factory in (
            (is_sequence, list, list_structure_factory),
            (is_tuple, list, _tuple_together),
            (is_uniform, list, homogenous_tuple_structure_factory),
            (is_paired, list, _pairs_together),
            (is_named, dict, mapping_structure_factory),
            (dataclasses.is_dataclass, dict, self._record_together),
        ):
            found.register_structure_hook_factory(is_one, _only(wanted, factory))
        found.register_unstructure_hook_factory(is_paired, _pairs_apart)
        found.register_unstructure_hook_factory(dataclasses.is_dataclass, self._record_apart)
        self.add(float, number, value_of, _NUMBER)
        self.add(Decimal, float, _decimal, {"type": "number"})

    def add(
        self,
        of: Any,
        apart: Callable[[Any], Any],
        together: Callable[[Any], Any],
        schema: Mapping[str, Any],
    ) -> None:
        """Say how values of a type are written.

        Args:
            of: The type.
            apart: From a value to JSON.
            together: Its inverse; raises an exception about what is none.
            schema: What JSON Schema says of it.
        """
        self._converter.register_unstructure_hook(of, apart)
        self._converter.register_structure_hook(of, lambda data, _: together(data))
        self._schemas[of] = schema

    def choose(self, of: Any, together: Callable[[Any], Any]) -> None:
        """Say how a union of types is told apart when it is read; each is written as its own.

        Args:
            of: The union.
            together: From JSON to a value of any of them; raises an exception about what is none.
        """
        self._converter.register_structure_hook(of, lambda data, _: together(data))

    def lay(
        self,
        of: type,
        *,
        renamed: Mapping[str, str] = MappingProxyType({}),
        left_out: Collection[str] = (),
        if_told: Collection[str] = (),
    ) -> None:
        """Say what is different about the fields of a data class.

        Args:
            of: The class.
            renamed: Field to its name in JSON.
            left_out: Fields that are not written, and have their default when read.
            if_told: Fields that are written unless they have their default.
        """
        self._laid[of] = {
            **{field: override(rename=name) for field, name in renamed.items()},
            **{field: override(omit=True) for field in left_out},
            **{field: override(omit_if_default=True) for field in if_told},
        }

    def apart(self, record: Any) -> Any:
        """A record as what `json.dumps` takes."""
        return self._converter.unstructure(record)

    def together(self, data: Any, of: type[T]) -> T:
        """The inverse of `apart`.

        Raises:
            ValueError: The data is something else; the message is a line that says where.
        """
        try:
            return self._converter.structure(data, of)
        except Exception as error:  # whatever a hook or a record says of strange data
            raise ValueError(_line(error)) from None

    def _record_apart(self, of: type, converter: Any) -> Any:
        return make_dict_unstructure_fn(of, converter, **self._fields(of))

    def _record_together(self, of: Any, converter: Any) -> Any:
        told = self._fields(of)
        layouts = {field.name: told.get(field.name, override()) for field in dataclasses.fields(of)}
        wanted = {
            layout.rename or name
            for name, layout in layouts.items()
            if not layout.omit and not layout.omit_if_default
        }
        together = make_dict_structure_fn(of, converter, **told)

        def whole(data: Any, of: Any) -> Any:
            if not wanted <= data.keys():  # also where the field has a default
                raise ValueError(f"{min(wanted - data.keys())} is missing")
            return together(data, of)

        return whole

    def _fields(self, of: Any) -> dict[str, Any]:
        """What is different about the fields of a data class, its bases' included."""
        found: dict[str, Any] = {}
        for each in reversed(of.__mro__):
            found |= self._laid.get(each, {})
        return found

    def schema(self, of: type) -> dict[str, Any]:
        """What JSON Schema (2020-12) says of the JSON of a record."""
        return Schemas(self._schemas, self._fields).of(of)


def _tuple_together(of: Any, converter: Any) -> Callable[[Any, Any], Any]:
    parts = get_args(of)
    hooks = [converter.get_structure_hook(part) for part in parts]

    def together(data: Any, _: Any) -> Any:
        if len(data) != len(parts):
            raise TypeError(f"{_shown(data)} is not a list of {len(parts)}")
        return tuple(hook(each, part) for hook, each, part in zip(hooks, data, parts, strict=True))

    return together


def _pairs_apart(of: Any, converter: Any) -> Callable[[Any], Any]:
    keys, values = map(converter.get_unstructure_hook, get_args(of))
    return lambda record: [[keys(key), values(value)] for key, value in record.items()]


def _pairs_together(of: Any, converter: Any) -> Callable[[Any, Any], Any]:
    pairs: Any = list[tuple[get_args(of)]]  # type: ignore[misc]
    together = list_structure_factory(pairs, converter)
    return lambda data, _: dict(together(data, None))


def _exactly(kind: type) -> Callable[[Any, Any], Any]:
    """What takes a value of this type alone, or a value of an enumeration of such."""

    def together(data: Any, of: Any) -> Any:
        if type(data) is not kind:
            raise TypeError(f"{_shown(data)} is not {_KINDS[kind]}")
        return data if of is kind else of(data)

    return together


def _only(wanted: type, factory: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A factory of hooks that take a list alone, or an object alone."""

    def checked(of: Any, converter: Any) -> Callable[[Any, Any], Any]:
        together = factory(of, converter)

        def hook(data: Any, of: Any) -> Any:
            if type(data) is not wanted:
                raise TypeError(f"{_shown(data)} is not {_KINDS[wanted]}")
            return together(data, of)

        return hook

    return checked


_KINDS = {
    bool: "true or false",
    int: "a whole number",
    str: "text",
    list: "a list",
    dict: "an object",
}


def _decimal(data: Any) -> float:
    if type(data) not in (int, float) or not math.isfinite(data):
        raise TypeError(f"{_shown(data)} is not a decimal number")
    return float(data)


def _shown(data: Any) -> str:
    """Strange data in a message, in a few characters."""
    if isinstance(data, list | dict):
        return f"{_KINDS[type(data)]} of {len(data)}"
    return cut(repr(data), _SHORT)


_SHORT = 40


def _line(error: Exception) -> str:
    """The first complaint in a line: where, and what is wrong there."""

    def said(error: BaseException, of: Any) -> str:
        if isinstance(error, KeyError):
            return f"{error} is missing"
        if isinstance(error, ForbiddenExtraKeysError):
            return f"has {_shown(min(map(str, error.extra_fields)))}, which is no field of it"
        if isinstance(error, RecursionError):
            return "is nested too deeply"
        return " ".join(str(error).split())[:120]

    words, _, where = cattrs.transform_error(error, format_exception=said)[0].rpartition(" @ ")
    return shown(f"{where.removeprefix('$').removeprefix('.') or 'all of it'}: {words}")
