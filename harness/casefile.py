"""Cases as files: JSON, ``.npz`` and ``.safetensors``.

JSON::

    {"widths": [1, 1, 1], "weights": [[[2]], [[3]]], "biases": [[0], [1]],
     "x": [[1]], "y": [[5]], "dtype": "float64", "output": "relu", "reduction": "sum"}

``weights``, ``x`` and ``y`` are required. ``biases`` may be left out, or hold ``null`` for a layer
without one. ``widths`` is checked if given. Numbers are rounded to the dtype; a hex-float string
such as ``"0x1.8p+1"`` states exact bits, and is refused if the dtype does not have them.

Array files hold ``W1, b1, W2, b2, …, x, y``; a layer without bias has no ``b``. The dtype is the
arrays' own if they are all of one floating dtype, else float64. In ``.npz``, arrays of one string
named ``dtype``, ``output`` and ``reduction`` state these; in ``.safetensors`` the metadata does.
"""

from __future__ import annotations

import difflib
import io
import json
import math
import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.atomic import write_bytes_atomically
from harness.errors import UsageError
from harness.formats import format_of
from harness.network import Array, Case, worked_example

__all__ = ["case_from_json", "case_to_json", "read_case", "write_case"]

_KEYS = ("widths", "weights", "biases", "x", "y", "dtype", "output", "reduction")
_OPTIONS = ("dtype", "output", "reduction")
_FLOATING = {"float64": "float64", "float32": "float32", "float16": "float16"}
_HEX = re.compile(r"[+-]?0x[0-9a-f]*\.?[0-9a-f]*(p[+-]?\d+)?", re.IGNORECASE)
_NONFINITE = {"inf", "+inf", "-inf", "nan"}


def read_case(source: str | os.PathLike[str], *, allow_nonfinite: bool = False) -> Case:
    """Read a case.

    Args:
        source: A file, its kind told by its ending, or ``"worked-example"``.
        allow_nonfinite: Whether NaN and infinities are let through.

    Raises:
        UsageError: The file cannot be read as a case; the message names file and field.
    """
    if source == "worked-example":
        return worked_example()
    path = Path(source)
    origin = str(source)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UsageError(
            f"{origin}: no such file; wanted a .json, .npz or .safetensors file, "
            f"or the name worked-example"
        ) from None
    except IsADirectoryError:
        raise UsageError(f"{origin}: is a folder, wanted a file") from None
    except OSError as error:
        raise UsageError(f"{origin}: cannot be read: {error.strerror}") from error
    if not content:
        raise UsageError(f"{origin}: is empty, wanted a case")
    ending = path.suffix.lower()
    if ending == ".json":
        case = _from_json_text(content, origin)
    elif ending == ".npz":
        case = _from_npz(content, origin)
    elif ending == ".safetensors":
        case = _from_safetensors(content, origin)
    else:
        raise UsageError(
            f"{origin}: ending {ending or 'missing'}, wanted .json, .npz or .safetensors"
        )
    if not allow_nonfinite:
        _require_finite(case, origin)
    return case


def write_case(case: Case, path: str | os.PathLike[str]) -> None:
    """Write a single case, bit for bit, in the kind of file that ``path`` ends in.

    Raises:
        UsageError: The ending is not known, or the file cannot be written.
    """
    ending = Path(path).suffix.lower()
    if ending == ".json":
        content = (json.dumps(case_to_json(case), indent=1) + "\n").encode()
    elif ending == ".npz":
        buffer = io.BytesIO()
        options = {name: np.array(value) for name, value in _options_of(case).items()}
        np.savez(buffer, allow_pickle=False, **dict(case.arrays()), **options)
        content = buffer.getvalue()
    elif ending == ".safetensors":
        numpy_tensors = _safetensors(str(path))
        arrays = {name: np.ascontiguousarray(array) for name, array in case.arrays()}
        content = numpy_tensors.save(arrays, metadata=_options_of(case))
    else:
        raise UsageError(f"{path}: ending {ending!r}, wanted .json, .npz or .safetensors")
    write_bytes_atomically(path, content)


def _options_of(case: Case) -> dict[str, str]:
    network = case.network
    return {"dtype": case.dtype, "output": network.output, "reduction": network.reduction}


# -- JSON ----------------------------------------------------------------------------------


def case_to_json(case: Case) -> dict[str, Any]:
    """A single case as what `json.dumps` takes; small whole numbers as such, others in hex."""
    return {
        "widths": list(case.network.widths),
        "weights": [_to_lists(weight) for weight in case.weights],
        "biases": [None if bias is None else _to_lists(bias) for bias in case.biases],
        "x": _to_lists(case.x),
        "y": _to_lists(case.y),
        **_options_of(case),
    }


def _to_lists(array: Array) -> Any:
    def convert(value: Any) -> Any:
        if isinstance(value, list):
            return [convert(item) for item in value]
        if not math.isfinite(value):
            return str(value)
        if (
            value == int(value)
            and abs(value) < 10**6
            and not (value == 0 and math.copysign(1.0, value) < 0)
        ):
            return int(value)
        return float(value).hex()

    return convert(array.tolist())


def case_from_json(data: Any, *, origin: str) -> Case:
    """The case that parsed JSON describes.

    Args:
        data: What `json.loads` returned.
        origin: Names the file in messages.

    Raises:
        UsageError: It is none.
    """
    if not isinstance(data, dict):
        raise UsageError(
            f"{origin}: {_kind(data)} at the top level, wanted an object with {', '.join(_KEYS)}"
        )
    for key in data:
        if key not in _KEYS:
            close = difflib.get_close_matches(key, _KEYS, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise UsageError(f"{origin}: unknown key {key!r}, wanted {', '.join(_KEYS)}{hint}")
    for key in ("weights", "x", "y"):
        if key not in data:
            raise UsageError(f"{origin}: key {key!r} is missing")
    options = {}
    for key in _OPTIONS:
        if key in data:
            if not isinstance(data[key], str):
                raise UsageError(f"{origin}: {key} is {_kind(data[key])}, wanted a string")
            options[key] = data[key]
    dtype = options.get("dtype", "float64")
    _checked(origin, format_of, dtype)
    if not isinstance(data["weights"], list) or not data["weights"]:
        raise UsageError(
            f"{origin}: weights is {_kind(data['weights'])}, wanted a list of matrices, "
            f"one for each layer"
        )
    weights = [
        _array(matrix, f"weights[{layer}]", 2, dtype, origin)
        for layer, matrix in enumerate(data["weights"])
    ]
    biases: list[Array | None] = [None] * len(weights)
    given = data.get("biases")
    if given is not None:
        if not isinstance(given, list) or len(given) != len(weights):
            count = f"{len(given)} entries" if isinstance(given, list) else _kind(given)
            raise UsageError(
                f"{origin}: biases has {count}, wanted {len(weights)}: one for each weight "
                f"matrix, null for a layer without bias"
            )
        biases = [
            None if bias is None else _array(bias, f"biases[{layer}]", 1, dtype, origin)
            for layer, bias in enumerate(given)
        ]
    x, y = (_array(data[key], key, 2, dtype, origin) for key in ("x", "y"))
    case = _build(weights, biases, x, y, options, origin)
    widths = data.get("widths")
    if widths is not None and widths != list(case.network.widths):
        raise UsageError(
            f"{origin}: widths {widths!r} given, but the weights have {list(case.network.widths)}"
        )
    return case


def _from_json_text(content: bytes, origin: str) -> Case:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise UsageError(f"{origin}: key {key!r} is given twice")
            found[key] = value
        return found

    try:
        data = json.loads(content.decode("utf-8"), object_pairs_hook=unique)
    except UnicodeDecodeError:
        raise UsageError(f"{origin}: is not text, wanted JSON") from None
    except json.JSONDecodeError as error:
        raise UsageError(
            f"{origin}: line {error.lineno}, column {error.colno}: {error.msg}; wanted JSON"
        ) from None
    except RecursionError:
        raise UsageError(f"{origin}: lists are nested too deeply, wanted a case") from None
    return case_from_json(data, origin=origin)


def _array(data: Any, field: str, depth: int, dtype: str, origin: str) -> Array:
    """A nested list of numbers as an array of ``depth`` axes, rounded to ``dtype``."""
    form = format_of(dtype)

    def convert(value: Any, at: str, left: int) -> Any:
        if left:
            if not isinstance(value, list) or not value:
                shape = "a list of lists of numbers" if depth == 2 else "a list of numbers"
                raise UsageError(
                    f"{origin}: {at} is {_kind(value)}; wanted {field} as {shape}, not empty"
                )
            rows = [convert(item, f"{at}[{i}]", left - 1) for i, item in enumerate(value)]
            if left == 2:
                for i, row in enumerate(rows):
                    if len(row) != len(rows[0]):
                        raise UsageError(
                            f"{origin}: {at}[{i}] has {len(row)} numbers and {at}[0] has "
                            f"{len(rows[0])}; wanted rows of one length"
                        )
            return rows
        return number(value, at)

    def number(value: Any, at: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise UsageError(f"{origin}: {at} is {_kind(value)}, wanted a number")
        exact = isinstance(value, str)
        if isinstance(value, str):
            text = value.strip().lower()
            if text in _NONFINITE:
                return float(text)
            if not _HEX.fullmatch(text):
                raise UsageError(
                    f"{origin}: {at} is {value!r}, wanted a number or a hex float like '0x1.8p+1'"
                )
        try:
            result = float.fromhex(value) if isinstance(value, str) else float(value)
        except (OverflowError, ValueError):
            result = math.inf
        rounded = float(form.round(result))
        if math.isinf(rounded) and not (isinstance(value, float) and math.isinf(value)):
            raise UsageError(
                f"{origin}: {at} is beyond the largest {dtype} number, {form.largest:g}"
            )
        if exact and rounded != result:
            raise UsageError(
                f"{origin}: {at} is {value!r}, which is not a {dtype} number; "
                f"write a decimal to have it rounded"
            )
        return rounded

    return np.array(convert(data, field, depth), dtype=np.float64)


# -- array files ---------------------------------------------------------------------------


def _from_npz(content: bytes, origin: str) -> Case:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise UsageError(f"{origin}: is a single array, wanted an .npz file with W1, …")
            arrays = {name: file[name] for name in file.files}
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, KeyError) as error:
        if "pickle" in str(error) and content[:2] == b"PK":
            reason = "holds Python objects"
        else:
            reason = "is damaged or no .npz file"
        raise UsageError(f"{origin}: {reason}, wanted arrays of numbers W1, b1, …, x, y") from None
    except AttributeError:
        raise UsageError(f"{origin}: is no .npz file, wanted arrays W1, b1, …, x, y") from None
    options = {}
    for name in _OPTIONS:
        if name in arrays:
            value = arrays.pop(name)
            if value.ndim != 0 or value.dtype.kind != "U":
                raise UsageError(f"{origin}: {name} is {value.dtype}, wanted one string")
            options[name] = str(value)
    return _from_arrays(arrays, options, origin)


def _safetensors(origin: str) -> Any:
    try:
        import safetensors.numpy
    except ImportError:
        raise UsageError(
            f"{origin}: .safetensors files need a package; pip install 'gradient-crosscheck[files]'"
        ) from None
    return safetensors.numpy


def _from_safetensors(content: bytes, origin: str) -> Case:
    _safetensors(origin)
    import safetensors

    deserialize: Any = safetensors.deserialize  # has no types
    try:
        tensors = deserialize(content)
        length = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    except (safetensors.SafetensorError, ValueError) as error:
        raise UsageError(f"{origin}: damaged or no .safetensors file: {error}") from None
    arrays: dict[str, Any] = {}
    bfloat16 = False
    kinds = {
        "F64": "<f8",
        "F32": "<f4",
        "F16": "<f2",
        "I64": "<i8",
        "I32": "<i4",
        "I16": "<i2",
        "I8": "<i1",
        "U8": "<u1",
        "BF16": "<u2",
    }
    for name, tensor in tensors:
        if tensor["dtype"] not in kinds:
            raise UsageError(f"{origin}: {name} is {tensor['dtype']}, wanted floats or integers")
        array = np.frombuffer(bytes(tensor["data"]), dtype=kinds[tensor["dtype"]])
        if tensor["dtype"] == "BF16":
            # bfloat16 is the upper half of float32.
            array = (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
            bfloat16 = True
        arrays[name] = array.reshape(tensor["shape"])
    options = {name: metadata[name] for name in _OPTIONS if name in metadata}
    if bfloat16 and all(tensor["dtype"] == "BF16" for _, tensor in tensors):
        options.setdefault("dtype", "bfloat16")
    return _from_arrays(arrays, options, origin)


def _from_arrays(arrays: Mapping[str, Any], options: Mapping[str, str], origin: str) -> Case:
    names = {name: re.fullmatch(r"([Wb])([1-9]\d*)|x|y", name) for name in arrays}
    for name, match in names.items():
        if match is None:
            raise UsageError(f"{origin}: array {name!r} is not known, wanted W1, b1, …, x, y")
    depth = max((int(match[2]) for match in names.values() if match and match[2]), default=1)
    for name in [*(f"W{layer}" for layer in range(1, depth + 1)), "x", "y"]:
        if name not in arrays:
            raise UsageError(f"{origin}: array {name} is missing; it has {', '.join(arrays)}")
    kinds = {str(array.dtype) for array in arrays.values() if array.dtype.kind == "f"}
    own = _FLOATING.get(kinds.pop(), "float64") if len(kinds) == 1 else "float64"
    dtype = options.get("dtype", own)
    form = _checked(origin, format_of, dtype)
    converted: dict[str, Array] = {}
    for name, array in arrays.items():
        if array.dtype.kind not in "fiu":
            raise UsageError(f"{origin}: {name} is {array.dtype}, wanted floats or integers")
        with np.errstate(over="ignore"):
            wide = array.astype(np.float64)
        rounded = form.round(wide)
        if (np.isinf(rounded) & ~np.isinf(wide)).any():
            raise UsageError(
                f"{origin}: {name} goes beyond the largest {dtype} number, {form.largest:g}"
            )
        converted[name] = rounded
    return _build(
        [converted[f"W{layer}"] for layer in range(1, depth + 1)],
        [converted.get(f"b{layer}") for layer in range(1, depth + 1)],
        converted["x"],
        converted["y"],
        {**options, "dtype": dtype},
        origin,
    )


# -- shared --------------------------------------------------------------------------------


def _build(
    weights: Sequence[Array],
    biases: Sequence[Array | None],
    x: Array,
    y: Array,
    options: Mapping[str, Any],
    origin: str,
) -> Case:
    for name, array in (("x", x), ("y", y), *((f"W{i}", w) for i, w in enumerate(weights, 1))):
        if array.ndim != 2:
            raise UsageError(
                f"{origin}: {name} has shape {array.shape}, wanted two axes "
                f"({'rows' if name in 'xy' else 'units'}, inputs)"
            )
    case: Case = _checked(origin, lambda: Case.of(weights, biases, x, y, **options))
    return case


def _checked(origin: str, function: Any, *arguments: Any) -> Any:
    """Call, with the file named in front of a complaint."""
    try:
        return function(*arguments)
    except UsageError as error:
        raise UsageError(f"{origin}: {error}") from None


def _require_finite(case: Case, origin: str) -> None:
    for name, array in case.arrays():
        bad = np.argwhere(~np.isfinite(array))
        if len(bad):
            index = ",".join(map(str, bad[0]))
            value = array[tuple(bad[0])]
            raise UsageError(f"{origin}: {name}[{index}] is {value}, wanted a finite number")


def _kind(value: Any) -> str:
    """What a JSON value is, for a person."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if isinstance(value, dict):
        return "an object"
    return f"the string {value!r}" if isinstance(value, str) else f"the number {value!r}"
