"""Cases as files of arrays: ``.npz`` and ``.safetensors``."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from crosscheck.network.batch import held_dtype
from crosscheck.network.dense import Case
from crosscheck.network.files.building import (
    OPTIONS,
    build_case,
    checked_options,
    cut,
    refuse,
    round_array,
    shortened,
)
from crosscheck.network.files.declared import plain_safetensors, refuse_npz, require_plain_npz
from crosscheck.network.names import EntryName, array_name
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import FORMATS, format_of
from crosscheck.tools.installing import installation
from crosscheck.tools.words import message_of

__all__ = ["from_npz", "from_safetensors", "native_arrays", "require_safetensors"]

_FLOATS = {
    **{"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"},
    **{"F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2"},
}
_SIZES = (8, 4, 2, 1)
"""What a ``.safetensors`` file calls a format."""
_SAFETENSORS: dict[str, Any] = {
    **{kind: np.dtype(FORMATS[name].dtype).newbyteorder("<") for kind, name in _FLOATS.items()},
    **{f"{kind}{8 * size}": np.dtype(f"<{kind.lower()}{size}") for kind in "IU" for size in _SIZES},
}


def _native() -> list[str]:
    return [name for name in reversed(list(FORMATS)) if FORMATS[name].is_native]


def native_arrays(case: Case) -> dict[str, Any]:
    """The arrays of a case in its dtype, or in float32 where NumPy itself has not got it."""
    dtype = held_dtype(case.dtype) if not format_of(case.dtype).is_native else case.dtype
    with np.errstate(invalid="ignore"):  # raised by a signalling NaN, which stays a NaN
        return {name: np.ascontiguousarray(array, dtype=dtype) for name, array in case.entries()}


def from_npz(content: bytes, origin: str) -> Case:
    """The case in the bytes of an ``.npz`` file."""
    require_plain_npz(content, origin)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as loaded:
            arrays = {name: loaded[name] for name in loaded.files}
    except Exception:  # what damaged bytes raise is promised by nobody
        refuse_npz(origin)
    options = {}
    for name in OPTIONS:
        if name in arrays:
            value = arrays.pop(name)
            if value.ndim != 0 or value.dtype.kind != "U":
                refuse(
                    origin,
                    f"{name} is {value.dtype} of shape {value.shape}, wanted one string",
                )
            if not _is_text(value):
                refuse(origin, f"{name} holds what are no characters, wanted one string")
            options[name] = str(value)
    dtypes = {name: array.dtype.name for name, array in arrays.items() if array.dtype.kind == "f"}
    return _from_arrays(arrays, dtypes, options, origin)


def _is_text(value: Any) -> bool:
    """Whether an array of a string holds numbers of characters: NumPy does not look."""
    order = value.dtype.byteorder.replace("=", "<" if sys.byteorder == "little" else ">")
    points = np.frombuffer(value.tobytes(), dtype=f"{order}u4")
    return bool((points <= sys.maxunicode).all())


def require_safetensors(origin: str) -> Any:
    """``safetensors.numpy``, or a complaint that says what to install."""
    try:
        import safetensors.numpy
    except ImportError:
        refuse(origin, f".safetensors files need a package; {installation('files')}")
    return safetensors.numpy


def from_safetensors(content: bytes, origin: str) -> Case:
    """The case in the bytes of a ``.safetensors`` file."""
    require_safetensors(origin)
    import safetensors

    metadata = plain_safetensors(content, {k: v.itemsize for k, v in _SAFETENSORS.items()}, origin)
    deserialize: Any = safetensors.deserialize  # has no types
    try:
        tensors = deserialize(content)
    except (safetensors.SafetensorError, ValueError, OverflowError) as error:
        refuse(origin, f"is damaged or no .safetensors file: {message_of(error, 100)}")
    arrays: dict[str, Any] = {}
    dtypes: dict[str, str] = {}
    for name, tensor in tensors:
        kind = tensor["dtype"]
        array = np.frombuffer(bytes(tensor["data"]), dtype=_SAFETENSORS[kind])
        if kind in _FLOATS:
            dtypes[name] = _FLOATS[kind]
        arrays[name] = array.reshape(tensor["shape"])
    options = {name: metadata[name] for name in OPTIONS if name in metadata}
    return _from_arrays(arrays, dtypes, options, origin)


def _from_arrays(
    arrays: Mapping[str, Any], dtypes: Mapping[str, str], options: Mapping[str, Any], origin: str
) -> Case:
    """The case that named arrays make; ``dtypes`` are those of the floating ones."""
    wanted = "W1, b1, W2, …, x, y"
    for name in arrays:
        if not re.fullmatch(r"[Wb][1-9][0-9]*|x|y", name):
            refuse(
                origin,
                f"array {shortened(name)} is not known; rename it to one of {wanted} "
                f"(capital W, small b, layers counted from 1), or leave it out",
            )
    depth = 1
    while array_name("W", depth + 1) in arrays:
        depth += 1
    layers = [array_name(letter, layer) for layer in range(1, depth + 1) for letter in "Wb"]
    for name in ("W1", "x", "y"):
        if name not in arrays:
            refuse(
                origin,
                f"array {name} is missing, wanted {wanted}; "
                f"it has {cut(', '.join(arrays)) or 'none'}",
            )
    for name in arrays:
        if name not in (*layers, "x", "y"):
            refuse(origin, f"array {shortened(name)} is there, but W{depth + 1} is missing")
    options = checked_options(options, origin)
    agreed = set(dtypes.values())
    own = agreed.pop() if len(agreed) == 1 else "float64"
    form = FORMATS[options.setdefault("dtype", own if own in FORMATS else "float64")]
    converted: dict[str, Array] = {}
    for name, array in arrays.items():
        if array.dtype.kind not in "iu" and dtypes.get(name) not in FORMATS:
            refuse(
                origin,
                f"{name} is {array.dtype}, wanted {', '.join(_native())} or whole numbers",
            )
        with np.errstate(invalid="ignore"):  # raised by a signalling NaN, which stays a NaN
            wide = array.astype(np.float64)
        converted[name] = round_array(wide, form, partial(EntryName.of, name), origin)
    return build_case(
        [converted[name] for name in layers[::2]],
        [converted.get(name) for name in layers[1::2]],
        converted["x"],
        converted["y"],
        options,
        str,
        origin,
    )
