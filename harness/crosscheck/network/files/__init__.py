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
float32, float64 and of integers are read, in any mixture; of bfloat16 and float8 from
``.safetensors``. The dtype
of the case is that of the floating arrays if they agree, else float64, which loses nothing.
In ``.npz``, arrays of one string named ``dtype``, ``output`` and ``reduction`` state these; in
``.safetensors`` the metadata does, whose other entries are ignored. A dtype so stated wins, and
the numbers are rounded to it.

A network of operators is JSON with ``program``: see `crosscheck.network.files.program`. Either may
hold ``gradient``, numbers to be marked: see `crosscheck.network.files.gradient`.

In every kind of file ``x`` and ``y`` have two axes, also for a single row: one axis could be
one row of many inputs or many rows of one.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from crosscheck.network.composed import AnyCase, Composed
from crosscheck.network.dense import Case, worked_example
from crosscheck.network.files.arrays import (
    from_npz,
    from_safetensors,
    native_arrays,
    require_safetensors,
)
from crosscheck.network.files.building import either, options_of, refuse, require_single
from crosscheck.network.files.json_ import (
    case_from_json,
    case_to_json,
    from_json_text,
    json_entry,
    readable,
)
from crosscheck.network.given import Given
from crosscheck.network.names import EntryName, label
from crosscheck.tools.atomic import write_bytes_atomically
from crosscheck.tools.errors import UsageError
from crosscheck.tools.reading import bytes_of
from crosscheck.tools.words import shown

_MOST_BYTES = {True: 2**26, False: 2**28}
"""Of a file, by whether it is JSON: some more than the largest cases take that are read."""

__all__ = [
    "case_from_json",
    "case_to_json",
    "read_any_case",
    "read_case",
    "read_marked_case",
    "refuse",
    "write_case",
]


def read_case(source: str | os.PathLike[str], *, allow_nonfinite: bool = False) -> Case:
    """Read a case of a dense network; arguments as of `read_any_case`.

    Raises:
        UsageError: The file cannot be read as one.
    """
    case = read_any_case(source, allow_nonfinite=allow_nonfinite)
    if isinstance(case, Composed):
        refuse(str(source), "is a network of operators, wanted a dense network here")
    return case


def read_any_case(source: str | os.PathLike[str], *, allow_nonfinite: bool = False) -> AnyCase:
    """Read a case of a dense network, or of a network of operators.

    Args:
        source: A file, its kind told by its ending, or ``"worked-example"``.
        allow_nonfinite: Whether NaN and infinities are let through.

    Raises:
        UsageError: The file cannot be read as a case; the message names file and field.
    """
    return read_marked_case(source, allow_nonfinite=allow_nonfinite)[0]


def read_marked_case(
    source: str | os.PathLike[str], *, allow_nonfinite: bool = False
) -> tuple[AnyCase, Given | None]:
    """Read a case, and the numbers that its file holds for its gradient, ``None`` for none.

    Arguments and errors as of `read_any_case`. The numbers of the gradient are finite always.
    """
    if source == "worked-example":
        return worked_example(), None
    path, origin = Path(source), shown(os.fspath(source)) or "''"
    readers: dict[str, Callable[[bytes, str], tuple[AnyCase, Given | None]]] = {
        ".json": from_json_text,
        ".npz": lambda content, origin: (from_npz(content, origin), None),
        ".safetensors": lambda content, origin: (from_safetensors(content, origin), None),
    }
    try:
        if path.is_dir():
            refuse(origin, "is a folder, wanted a file")
        if not path.exists():
            refuse(
                origin,
                f"no such file; wanted a {either(list(readers))} file, or the name worked-example",
            )
        read = readers.get(path.suffix.lower())
        if read is None:
            refuse(origin, f"ending {path.suffix or 'missing'}, wanted {either(list(readers))}")
    except UsageError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        refuse(origin, f"cannot be read: {getattr(error, 'strerror', None) or error}")
    content = bytes_of(path, most=_MOST_BYTES[read is from_json_text])
    if not content:
        refuse(origin, "is empty, wanted a case")
    case, given = read(content, origin)
    if not allow_nonfinite:
        for name, array in case.entries():
            for index in np.argwhere(~np.isfinite(array))[:1]:
                where = label(name, index)
                if read is from_json_text and isinstance(case, Case):
                    where = json_entry(EntryName.of(name, index))
                refuse(origin, f"{where} is {array[tuple(index)]}, wanted a finite number")
    return case, given


def write_case(
    case: AnyCase, path: str | os.PathLike[str], *, gradient: Given | None = None
) -> None:
    """Write a single case in the kind of file that ``path`` ends in, whole or not at all.

    Every number comes back bit for bit, signs of zeros and of NaN included. (What else the bits
    of a NaN say is kept by array files as far as the dtype has room for it, and not by JSON.)
    Arrays are written in the case's dtype; in float32 where NumPy itself has not got it. Numbers
    given for its ``gradient`` go into JSON alone.

    Raises:
        UsageError: The ending is not known, the case is a stack, or the file cannot be written.
    """
    ending = Path(path).suffix.lower()
    require_single(case)
    if ending == ".json":
        content = readable(case_to_json(case, gradient)).encode()
    elif gradient is not None:
        refuse(str(path), f"ending {ending or 'missing'}, wanted .json for a case with a gradient")
    elif isinstance(case, Composed):
        refuse(str(path), f"ending {ending or 'missing'}, wanted .json for a network of operators")
    elif ending == ".npz":
        buffer = io.BytesIO()
        fields: dict[str, Any] = {**native_arrays(case), **options_of(case)}
        np.savez(buffer, **fields)
        content = buffer.getvalue()
    elif ending == ".safetensors":
        numpy_tensors = require_safetensors(str(path))
        content = numpy_tensors.save(native_arrays(case), metadata=options_of(case))
    else:
        refuse(str(path), f"ending {ending or 'missing'}, wanted .json, .npz or .safetensors")
    write_bytes_atomically(path, content)
