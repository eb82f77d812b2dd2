"""Cases as files: JSON, ``.npz`` and ``.safetensors``.

JSON::

    {"widths": [1, 1, 1], "weights": [[[2]], [[3]]], "biases": [[0], [1]],
     "x": [[1]], "y": [[5]], "dtype": "float64", "output": "relu", "reduction": "sum"}

``weights``, ``x`` and ``y`` are required; the dtype is float64, the output relu and the reduction
sum unless given. ``biases`` may be left out or null, or hold null for a layer without one.
``widths`` is checked if given. A number is read as float64 and then rounded to the dtype. A
hex-float string such as ``"0x1.8p+1"`` states exact bits, and is refused if the dtype does not
have them. ``"inf"``, ``"-inf"`` and ``"nan"`` are strings too.

Array files hold ``W1, b1, W2, b2, …, x, y``; a layer without bias has no ``b``. Arrays of float16,
float32, float64, bfloat16 (``.safetensors``) and of integers are read, in any mixture. The dtype
of the case is that of the floating arrays if they agree, else float64, which loses nothing.
In ``.npz``, arrays of one string named ``dtype``, ``output`` and ``reduction`` state these; in
``.safetensors`` the metadata does, whose other entries are ignored. A dtype so stated wins, and
the numbers are rounded to it.

In every kind of file ``x`` and ``y`` have two axes, also for a single row: one axis could be
one row of many inputs or many rows of one.
"""

from __future__ import annotations

import difflib
import io
import json
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, get_args

import numpy as np

from harness.atomic import write_bytes_atomically
from harness.errors import UsageError
from harness.formats import FORMATS, Format
from harness.network import Array, Case, Output, Reduction, worked_example

__all__ = ["case_from_json", "case_to_json", "read_case", "write_case"]

_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "dtype": tuple(FORMATS),
    "output": get_args(Output),
    "reduction": get_args(Reduction),
}
_KEYS = ("widths", "weights", "biases", "x", "y", *_OPTIONS)
_HEX = re.compile(
    r"([+-]?)0x(?=\.?[0-9a-f])([0-9a-f]*)\.?([0-9a-f]*)(?:p([+-]?[0-9]{1,18}))?", re.IGNORECASE
)
_HUGE = 10**400
"""A whole number beyond every format, in place of one too long to be worth converting."""

_SAFETENSORS = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"},
    **{"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1"},
    **{"U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1"},
}


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
    path, origin = Path(source), str(source) or "''"
    readers = {".json": _from_json_text, ".npz": _from_npz, ".safetensors": _from_safetensors}
    try:
        if path.is_dir():
            _refuse(origin, "is a folder, wanted a file")
        if not path.exists():
            _refuse(
                origin,
                f"no such file; wanted a {_either(list(readers))} file, or the name worked-example",
            )
        read = readers.get(path.suffix.lower())
        if read is None:
            _refuse(origin, f"ending {path.suffix or 'missing'}, wanted {_either(list(readers))}")
        content = path.read_bytes()
    except OSError as error:
        _refuse(origin, f"cannot be read: {error.strerror}")
    if not content:
        _refuse(origin, "is empty, wanted a case")
    case = read(content, origin)
    if not allow_nonfinite:
        for name, array in case.arrays():
            for index in np.argwhere(~np.isfinite(array))[:1]:
                entry = _json_entry(name, index) if read is _from_json_text else _entry(name, index)
                _refuse(origin, f"{entry} is {array[tuple(index)]}, wanted a finite number")
    return case


def write_case(case: Case, path: str | os.PathLike[str]) -> None:
    """Write a single case in the kind of file that ``path`` ends in, whole or not at all.

    Every number comes back bit for bit, signs of zeros and of NaN included. (What else the bits
    of a NaN say is kept by array files as far as the dtype has room for it, and not by JSON.)
    Arrays are written in the case's dtype; bfloat16, which NumPy lacks, as float32.

    Raises:
        UsageError: The ending is not known, the case is a stack, or the file cannot be written.
    """
    ending = Path(path).suffix.lower()
    _require_single(case)
    if ending == ".json":
        content = _readable(case_to_json(case)).encode()
    elif ending == ".npz":
        buffer = io.BytesIO()
        fields: dict[str, Any] = {**_native(case), **_options_of(case)}
        np.savez(buffer, **fields)
        content = buffer.getvalue()
    elif ending == ".safetensors":
        numpy_tensors = _safetensors(str(path))
        content = numpy_tensors.save(_native(case), metadata=_options_of(case))
    else:
        _refuse(str(path), f"ending {ending or 'missing'}, wanted .json, .npz or .safetensors")
    write_bytes_atomically(path, content)


def _options_of(case: Case) -> dict[str, str]:
    network = case.network
    return {"dtype": case.dtype, "output": network.output, "reduction": network.reduction}


def _native(case: Case) -> dict[str, Any]:
    """The arrays of a case in its dtype, or in float32 for bfloat16, which is a subset of it."""
    dtype = "float32" if case.dtype == "bfloat16" else case.dtype
    with np.errstate(invalid="ignore"):  # raised by a signalling NaN, which stays a NaN
        return {name: np.ascontiguousarray(array, dtype=dtype) for name, array in case.arrays()}


# -- JSON ----------------------------------------------------------------------------------


def case_to_json(case: Case) -> dict[str, Any]:
    """A single case as what `json.dumps` takes.

    A number is written as such where its decimal form is exact and short, else as a hex float.

    Raises:
        UsageError: The case is a stack.
    """
    _require_single(case)
    return {
        "widths": list(case.network.widths),
        "weights": [_to_lists(weight.tolist()) for weight in case.weights],
        "biases": [None if bias is None else _to_lists(bias.tolist()) for bias in case.biases],
        "x": _to_lists(case.x.tolist()),
        "y": _to_lists(case.y.tolist()),
        **_options_of(case),
    }


def _to_lists(value: Any) -> Any:
    if isinstance(value, list):
        return [_to_lists(item) for item in value]
    if not math.isfinite(value):
        return f"{'-' if math.copysign(1.0, value) < 0 else ''}{abs(value)}"
    if value == 0 and math.copysign(1.0, value) < 0:
        return "-0x0p+0"  # many programs that rewrite JSON lose the sign of a plain -0.0
    if value.is_integer() and abs(value) <= 2**53:
        return int(value)
    text = repr(value)
    if len(text) <= 8 and Decimal(text) == Decimal(value):
        return value
    return re.sub(r"\.?0+p", "p", value.hex())


def _readable(data: Mapping[str, Any]) -> str:
    """JSON with one key on a line, and one row of a matrix on a line."""

    def rows(value: Any, indent: str) -> str:
        if isinstance(value, list) and any(isinstance(item, list) for item in value):
            return "[\n" + ",\n".join(f"{indent}{rows(v, indent + ' ')}" for v in value) + "]"
        return json.dumps(value)

    lines = (f" {json.dumps(key)}: {rows(value, '  ')}" for key, value in data.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def case_from_json(data: Any, *, origin: str) -> Case:
    """The case that parsed JSON describes; NaN and infinities are let through.

    Args:
        data: What `json.loads` returned.
        origin: Names the file in messages.

    Raises:
        UsageError: It is none.
    """
    if not isinstance(data, dict):
        _refuse(origin, f"{_kind(data)} at the top level, wanted an object with {', '.join(_KEYS)}")
    for key in data:
        if key not in _KEYS:
            wanted = f"wanted {', '.join(_KEYS)}{_hint(key, _KEYS)}"
            _refuse(origin, f"unknown key {_short(key)}, {wanted}")
    for key in ("weights", "x", "y"):
        if key not in data:
            _refuse(origin, f"key {key!r} is missing, wanted weights, x and y at least")
    options = _options({key: data[key] for key in _OPTIONS if key in data}, origin)
    form = FORMATS[options.get("dtype", "float64")]
    if not isinstance(data["weights"], list) or not data["weights"]:
        _refuse(
            origin, f"weights is {_kind(data['weights'])}, wanted a list of matrices, one per layer"
        )
    weights = [
        _array(matrix, f"weights[{layer}]", 2, form, origin)
        for layer, matrix in enumerate(data["weights"])
    ]
    biases: list[Array | None] = [None] * len(weights)
    given = data.get("biases")
    if given is not None:
        if not isinstance(given, list) or len(given) != len(weights):
            found = f"has length {len(given)}" if isinstance(given, list) else f"is {_kind(given)}"
            _refuse(
                origin,
                f"biases {found}, wanted a list of {len(weights)}: one for each weight matrix, "
                f"null for a layer without bias",
            )
        biases = [
            None if bias is None else _array(bias, f"biases[{layer}]", 1, form, origin)
            for layer, bias in enumerate(given)
        ]
    x, y = (_array(data[key], key, 2, form, origin) for key in ("x", "y"))
    case = _build(weights, biases, x, y, options, _json_name, origin)
    if "widths" in data:
        widths, own = data["widths"], list(case.network.widths)
        if widths != own or not all(type(width) is int for width in widths):
            shown = _short(widths) if isinstance(widths, list) else _kind(widths)
            _refuse(origin, f"widths is {shown}, but the weights have {own}")
    return case


def _from_json_text(content: bytes, origin: str) -> Case:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                _refuse(origin, f"key {_short(key)} is given twice, wanted it once")
            found[key] = value
        return found

    def integer(text: str) -> int | float:
        if text == "-0":
            return -0.0
        return int(text) if len(text) < 400 else _HUGE * (-1 if text[0] == "-" else 1)

    def decimal(text: str) -> int | float:
        value = float(text)
        return value if math.isfinite(value) else _HUGE * (-1 if text[0] == "-" else 1)

    try:
        data = json.loads(
            content.decode("utf-8-sig"),
            object_pairs_hook=unique,
            parse_int=integer,
            parse_float=decimal,
        )
    except UnicodeDecodeError:
        _refuse(origin, "is not text in UTF-8, wanted JSON")
    except json.JSONDecodeError as error:
        _refuse(origin, f"line {error.lineno}, column {error.colno}: {error.msg}; wanted JSON")
    except RecursionError:
        _refuse(origin, "lists are nested too deeply, wanted a case")
    return case_from_json(data, origin=origin)


def _array(data: Any, field: str, depth: int, form: Format, origin: str) -> Array:
    """A nested list of numbers as an array of ``depth`` axes, rounded to the format."""
    shape = "a list of lists of numbers" if depth == 2 else "a list of numbers"

    def convert(value: Any, at: str, left: int) -> Any:
        if not left:
            return _number(value, at, form, origin)
        if not isinstance(value, list) or not value:
            _refuse(origin, f"{at} is {_kind(value)}; wanted {field} as {shape}, not empty")
        rows = [convert(item, f"{at}[{i}]", left - 1) for i, item in enumerate(value)]
        if left == 2:
            for i, row in enumerate(rows):
                if len(row) != len(rows[0]):
                    _refuse(
                        origin,
                        f"{at}[{i}] has length {len(row)} and {at}[0] has length "
                        f"{len(rows[0])}, wanted rows of one length",
                    )
        return rows

    wide = np.array(convert(data, field, depth), dtype=np.float64)
    return _rounded(wide, form, partial(_indexed, field), origin)


def _number(value: Any, at: str, form: Format, origin: str) -> float:
    """One number as float64; a hex float must be one of the format."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        _refuse(origin, f"{at} is {_kind(value)}, wanted a number")
    if not isinstance(value, str):
        try:
            return float(value)
        except OverflowError:
            _refuse(origin, f"{at} is {_beyond(form)}")
    text = value.strip().lower()
    if text in ("inf", "+inf", "-inf", "nan", "-nan"):
        return float(text)
    match = _HEX.fullmatch(text)
    if match is None:
        _refuse(origin, f'{at} is {_kind(value)}, wanted a number or a hex float like "0x1.8p+1"')
    # The number is ±mantissa · 2^power with an odd mantissa. It is in the format if the mantissa
    # has at most p bits, the lowest of them no lower than η and the highest no higher than 2^emax.
    sign, whole, fraction, exponent = match.groups()
    mantissa = int(whole + fraction, 16)
    power = int(exponent or 0) - 4 * len(fraction)
    if mantissa:
        zeros = (mantissa & -mantissa).bit_length() - 1
        mantissa, power = mantissa >> zeros, power + zeros
        if power + mantissa.bit_length() - 1 > form.emax:
            _refuse(origin, f"{at} is {_kind(value)}, {_beyond(form)}")
        if mantissa.bit_length() > form.precision or power < form.emin - form.precision + 1:
            _refuse(
                origin,
                f"{at} is {_kind(value)}, which is not a {form.name} number; "
                f"write it as a decimal number to have it rounded",
            )
    return math.copysign(math.ldexp(mantissa, power), -1.0 if sign == "-" else 1)


# -- array files ---------------------------------------------------------------------------


def _from_npz(content: bytes, origin: str) -> Case:
    try:
        loaded = np.load(io.BytesIO(content), allow_pickle=False)
        names = loaded.files if isinstance(loaded, np.lib.npyio.NpzFile) else []
        arrays = {name: loaded[name] for name in names}
    except Exception as error:  # what damaged bytes raise is promised by nobody
        if content.startswith(b"PK") and "allow_pickle" in str(error):
            _refuse(origin, "holds Python objects, which are not loaded; wanted arrays of numbers")
        _refuse(origin, "is damaged or no .npz file, wanted arrays W1, b1, …, x, y")
    if not isinstance(loaded, np.lib.npyio.NpzFile):
        _refuse(origin, "is a single array, wanted an .npz file with arrays W1, b1, …, x, y")
    for name, array in arrays.items():
        if names.count(name) > 1:
            _refuse(origin, f"{_short(name)} is there twice, wanted it once")
        if not isinstance(array, np.ndarray):
            _refuse(origin, f"{_short(name)} is no array, wanted an .npz file with W1, b1, …, x, y")
    options = {}
    for name in _OPTIONS:
        if name in arrays:
            value = arrays.pop(name)
            if value.ndim != 0 or value.dtype.kind != "U":
                _refuse(
                    origin,
                    f"{name} is {value.dtype} of shape {value.shape}, wanted one string",
                )
            options[name] = str(value)
    dtypes = {name: array.dtype.name for name, array in arrays.items() if array.dtype.kind == "f"}
    return _from_arrays(arrays, dtypes, options, origin)


def _safetensors(origin: str) -> Any:
    try:
        import safetensors.numpy
    except ImportError:
        _refuse(
            origin, ".safetensors files need a package; pip install 'gradient-crosscheck[files]'"
        )
    return safetensors.numpy


def _from_safetensors(content: bytes, origin: str) -> Case:
    _safetensors(origin)
    import safetensors

    deserialize: Any = safetensors.deserialize  # has no types
    try:
        tensors = deserialize(content)
        length = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + length]).get("__metadata__") or {}
    except (safetensors.SafetensorError, ValueError) as error:
        _refuse(origin, f"is damaged or no .safetensors file: {error}")
    arrays: dict[str, Any] = {}
    dtypes: dict[str, str] = {}
    for name, tensor in tensors:
        kind = tensor["dtype"]
        if kind not in _SAFETENSORS:
            _refuse(origin, f"{_short(name)} is {kind}, wanted {', '.join(_SAFETENSORS)}")
        array = np.frombuffer(bytes(tensor["data"]), dtype=_SAFETENSORS[kind])
        if kind == "BF16":
            # bfloat16 is the upper half of float32.
            array = (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
        if "F" in kind:
            dtypes[name] = "bfloat16" if kind == "BF16" else array.dtype.name
        arrays[name] = array.reshape(tensor["shape"])
    options = {name: metadata[name] for name in _OPTIONS if name in metadata}
    return _from_arrays(arrays, dtypes, options, origin)


def _from_arrays(
    arrays: Mapping[str, Any], dtypes: Mapping[str, str], options: Mapping[str, Any], origin: str
) -> Case:
    """The case that named arrays make; ``dtypes`` are those of the floating ones."""
    wanted = "W1, b1, W2, …, x, y"
    for name in arrays:
        if not re.fullmatch(r"[Wb][1-9][0-9]*|x|y", name):
            _refuse(
                origin,
                f"array {_short(name)} is not known; rename it to one of {wanted} "
                f"(capital W, small b, layers counted from 1), or leave it out",
            )
    depth = 1
    while f"W{depth + 1}" in arrays:
        depth += 1
    layers = [f"{letter}{layer}" for layer in range(1, depth + 1) for letter in "Wb"]
    for name in ("W1", "x", "y"):
        if name not in arrays:
            _refuse(
                origin,
                f"array {name} is missing, wanted {wanted}; "
                f"it has {_cut(', '.join(arrays)) or 'none'}",
            )
    for name in arrays:
        if name not in (*layers, "x", "y"):
            _refuse(origin, f"array {_short(name)} is there, but W{depth + 1} is missing")
    options = _options(options, origin)
    agreed = set(dtypes.values())
    own = agreed.pop() if len(agreed) == 1 else "float64"
    form = FORMATS[options.setdefault("dtype", own if own in FORMATS else "float64")]
    converted: dict[str, Array] = {}
    for name, array in arrays.items():
        if array.dtype.kind not in "iu" and dtypes.get(name) not in FORMATS:
            _refuse(
                origin,
                f"{name} is {array.dtype}, wanted float16, float32, float64 or whole numbers",
            )
        wide = array.astype(np.float64)
        converted[name] = _rounded(wide, form, partial(_entry, name), origin)
    return _build(
        [converted[name] for name in layers[::2]],
        [converted.get(name) for name in layers[1::2]],
        converted["x"],
        converted["y"],
        options,
        str,
        origin,
    )


# -- shared --------------------------------------------------------------------------------


def _options(given: Mapping[str, Any], origin: str) -> dict[str, Any]:
    for name, value in given.items():
        wanted = _OPTIONS[name]
        if not isinstance(value, str):
            _refuse(origin, f"{name} is {_kind(value)}, wanted a string: {_either(wanted)}")
        if value not in wanted:
            hint = _hint(value, wanted)
            _refuse(origin, f"{name}={_short(value)}, wanted {_either(wanted)}{hint}")
    return dict(given)


def _rounded(wide: Array, form: Format, entry: Callable[[Any], str], origin: str) -> Array:
    """``wide`` in the format; a finite number must stay finite."""
    with np.errstate(over="ignore"):  # it is reported here
        rounded = form.round(wide)
    for index in np.argwhere(np.isfinite(wide) & ~np.isfinite(rounded))[:1]:
        _refuse(origin, f"{entry(index)} is {wide[tuple(index)]:g}, {_beyond(form)}")
    return rounded


def _beyond(form: Format) -> str:
    return f"beyond the largest {form.name} number, {form.largest:g}"


def _build(
    weights: Sequence[Array],
    biases: Sequence[Array | None],
    x: Array,
    y: Array,
    options: Mapping[str, Any],
    called: Callable[[str], str],
    origin: str,
) -> Case:
    """The case, if the shapes fit; ``called`` gives the name of an array in this kind of file."""
    for name, array in (*((f"W{i}", w) for i, w in enumerate(weights, 1)), ("x", x), ("y", y)):
        if array.ndim != 2 or not array.size:
            axes = "rows, units" if name in "xy" else "units, inputs"
            single = "; a single row has shape (1, units)" if name in "xy" else ""
            _refuse(
                origin,
                f"{called(name)} has shape {array.shape}, wanted two axes ({axes}), "
                f"neither of them empty{single}",
            )
    inputs, source = weights[0].shape[1], f"column of {called('W1')}"
    fits: list[tuple[str, Array, tuple[int, ...], str]] = [
        ("x", x, (len(x), inputs), f"a column for each {source}")
    ]
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
        name, units = called(f"W{layer}"), len(weight)
        fits.append((name, weight, (units, inputs), f"a column for each {source}"))
        inputs, source = units, f"row of {name}"
        if bias is not None:
            fits.append((called(f"b{layer}"), bias, (units,), f"a number for each {source}"))
    fits.append(("y", y, (len(x), inputs), f"a row for each row of x, a column for each {source}"))
    for field, array, shape, reason in fits:
        if array.shape != shape:
            _refuse(origin, f"{field} has shape {array.shape}, wanted {shape}: {reason}")
    return Case.of(weights, biases, x, y, **options)


def _require_single(case: Case) -> None:
    if case.count is not None:
        raise UsageError(
            f"case: a stack of {case.count} given, wanted a single case; write each case[i]"
        )


def _refuse(origin: str, complaint: str) -> NoReturn:
    raise UsageError(f"{origin}: {complaint}") from None


def _entry(name: str, index: Sequence[int]) -> str:
    return f"{name}[{','.join(map(str, index))}]"


def _indexed(field: str, index: Sequence[int]) -> str:
    return field + "".join(f"[{i}]" for i in index)


def _json_name(name: str) -> str:
    """Where JSON has the array that is called ``W1``, ``b1``, ``x`` or ``y``."""
    if name in ("x", "y"):
        return name
    return f"{'weights' if name[0] == 'W' else 'biases'}[{int(name[1:]) - 1}]"


def _json_entry(name: str, index: Sequence[int]) -> str:
    return _indexed(_json_name(name), index)


def _either(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _hint(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word.lower(), known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _short(value: Any) -> str:
    """A value as Python writes it, cut to what fits a line."""
    return _cut(repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}…"


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
    return (
        f"the string {_short(value)}" if isinstance(value, str) else f"the number {_short(value)}"
    )
