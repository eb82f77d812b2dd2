"""What files of arrays declare, held against what they hold before anything is read of it.

Seventeen megabytes of an ``.npz`` may hold four gigabytes of zeros, and a header of a hundred bytes
declare more numbers than there are atoms. The sizes that a file declares are checked first: each of
an array against what the file has for it, and all together against a limit.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from crosscheck.network.files.building import kind_of, refuse, shortened
from crosscheck.tools.errors import UsageError
from crosscheck.tools.reading import refused_json, strict_integer

__all__ = ["MOST_NUMBERS", "plain_safetensors", "refuse_npz", "require_plain_npz"]

MOST_NUMBERS = 2**24
"""Of a case in a file of arrays, over all of them: 128 MiB in float64, of which reading the case
takes some times as much."""

_MOST_ARRAYS = 2**12
_LONGEST_HEADER = 2**16
_ENTRY = b"PK\x01\x02"
"""What each member of a zip file begins with in the list of them (APPNOTE.TXT, 4.3.12)."""


def refuse_npz(origin: str) -> NoReturn:
    """The complaint about what is no ``.npz`` file."""
    refuse(origin, "is damaged or no .npz file, wanted arrays W1, b1, …, x, y")


def require_plain_npz(content: bytes, origin: str) -> None:
    """Have the bytes of an ``.npz`` file hold what they declare, and that be no more than a case.

    Nothing but the list of members and the header of each is unpacked.

    Raises:
        UsageError: They are none, an array is of Python objects or larger than what is packed for
            it, or all together are too many or too large.
    """
    if content.startswith(b"\x93NUMPY"):
        refuse(origin, "is a single array, wanted an .npz file with arrays W1, b1, …, x, y")
    if content.count(_ENTRY) > _MOST_ARRAYS:
        refuse(origin, f"more than {_MOST_ARRAYS:,} arrays, wanted W1, b1, …, x, y")
    left = MOST_NUMBERS
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as members:
            names = set()
            for member in members.infolist():
                name = member.filename.removesuffix(".npy")
                if name == member.filename:
                    refuse(
                        origin,
                        f"{shortened(name)} is no array, wanted an .npz file with W1, b1, …, x, y",
                    )
                if name in names:
                    refuse(origin, f"{shortened(name)} is there twice, wanted it once")
                names.add(name)
                left -= _numbers(members, member, origin)
                if left < 0:
                    refuse(origin, f"more than {MOST_NUMBERS:,} numbers in all, wanted fewer")
    except UsageError:
        raise
    except Exception:  # what damaged bytes raise is promised by nobody
        refuse_npz(origin)


def _numbers(members: zipfile.ZipFile, member: zipfile.ZipInfo, origin: str) -> int:
    """How many numbers a member declares, which it has bytes for."""
    name = shortened(member.filename.removesuffix(".npy"))
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        refuse(origin, f"{name} is packed in a way that NumPy does not, wanted an .npz file of its")
    with members.open(member) as file:
        head = io.BytesIO(file.read(_LONGEST_HEADER))
    version = np.lib.format.read_magic(head)
    readers: dict[tuple[int, int], Any] = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    shape, _, dtype = readers[version](head)
    if dtype.hasobject:
        refuse(origin, "holds Python objects, which are not loaded; wanted arrays of numbers")
    if not all(type(size) is int and size >= 0 for size in shape):
        refuse_npz(origin)
    count: int = math.prod(shape)
    if head.tell() + count * dtype.itemsize != member.file_size:
        refuse(
            origin,
            f"{name} declares {count:,} numbers of {dtype.itemsize} bytes, and the file has "
            f"{member.file_size - head.tell():,} bytes for them",
        )
    return count


def plain_safetensors(content: bytes, sizes: Mapping[str, int], origin: str) -> Mapping[str, str]:
    """Have the bytes of a ``.safetensors`` file hold what they declare; the metadata.

    Args:
        content: Of the file.
        sizes: Name of a dtype to bytes of a number.
        origin: Names the file in messages.

    Raises:
        UsageError: Its header is none, or an array has another size than it declares, or all
            together are too many.
    """
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or not 2 <= length <= min(len(content) - 8, 2**20):
        refuse(origin, "is damaged or no .safetensors file: its header is cut off or too long")
    head = content[8 : 8 + length]
    reason = refused_json(head)
    try:
        header = json.loads(head.decode("utf-8"), parse_int=strict_integer) if not reason else None
    except (ValueError, RecursionError):
        reason = "its header is no JSON"
    if reason or not isinstance(header, dict):
        refuse(origin, f"is damaged or no .safetensors file: {reason or 'its header is no object'}")
    metadata = header.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict):
        refuse(origin, f"__metadata__ is {kind_of(metadata)}, wanted an object")
    if len(header) > _MOST_ARRAYS:
        refuse(origin, f"more than {_MOST_ARRAYS:,} arrays, wanted W1, b1, …, x, y")
    left = MOST_NUMBERS
    for name, told in header.items():
        left -= _tensor(name, told, sizes, origin)
        if left < 0:
            refuse(origin, f"more than {MOST_NUMBERS:,} numbers in all, wanted fewer")
    return metadata


def _tensor(name: str, told: Any, sizes: Mapping[str, int], origin: str) -> int:
    """How many numbers a tensor declares, which it has bytes for."""
    name = shortened(name)
    if not isinstance(told, dict) or told.keys() != {"dtype", "shape", "data_offsets"}:
        refuse(origin, f"{name} is {kind_of(told)}, wanted one with dtype, shape and data_offsets")
    kind, shape, places = told["dtype"], told["shape"], told["data_offsets"]
    if not isinstance(kind, str) or kind not in sizes:
        plain = isinstance(kind, str) and re.fullmatch("[A-Z0-9_]{1,20}", kind)
        refuse(origin, f"{name} is {kind if plain else kind_of(kind)}, wanted {', '.join(sizes)}")
    for field, value in (("shape", shape), ("data_offsets", places)):
        whole = isinstance(value, list) and len(value) <= 8
        if not whole or not all(type(each) is int and each >= 0 for each in value):
            refuse(origin, f"{name}: {field} is {kind_of(value)}, wanted a few whole numbers")
    count = math.prod(shape)
    if max(shape, default=0) >= 2**31 or len(places) != 2:
        refuse(origin, f"{name} has shape {shortened(shape)}, wanted sizes that fit into the file")
    if count * sizes[kind] != places[1] - places[0]:
        refuse(
            origin,
            f"{name} declares {count:,} numbers of {sizes[kind]} bytes, and the file has "
            f"{places[1] - places[0]:,} bytes for them",
        )
    return count
