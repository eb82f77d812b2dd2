"""Small changes in files: of bytes, of the values of JSON, of the members of archives."""

from __future__ import annotations

import contextlib
import io
import json
import random
import struct
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

from crosscheck.tools.sealed import checksum

__all__ = ["archive", "json_values", "mutated_bytes", "sealed", "tensors"]

TOKENS = [
    *(b"null", b"true", b"1e999", b"-1e999", b"NaN", b"Infinity", b"-0", b"-0.0", b'"nan"'),
    *(b"[]", b"{}", b'""', b'"\\ud800"', b'"\\u001b[2J"', b"9" * 30, b"9" * 5000, b"[" * 80),
    *(
        b'"0x1p+1"',
        b'"0x1.8"',
        b'"inf"',
        b",",
        b":",
        b'"',
        b"\\",
        b"\x00",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
    ),
    *(b"]" * 80, b"{" * 80, b"1.5", b'"1/0"', b'"1/3"', b"PK\x01\x02", b"\x93NUMPY", b"|O", b"-1"),
]

VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 7, 2**31, 2**53, 2**63, 2**64, 10**30, -(2**63), 0.5, -0.0),
    *(1e308, 5e-324, "", "x", "relu", "float32", "float8_e5m2", "nan", "inf", "-inf", "1/0", "1/3"),
    *("0x1p+1", "0x1p-1074", "0x" + "f" * 99, "\ud800", "\x1b[2J", "a" * 300, "λ", "../x", "a|b`c"),
    *([], {}, [[]], [[[]]], [1], [[1]], {"": None}, {"hex": "0x1p+0", "decimal": 1.0}, [None]),
    {"hex": "nan", "decimal": None},
]


def mutated_bytes(content: bytes, rng: random.Random) -> bytes:
    """One to four changes of bytes."""
    found = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4))):
        place = rng.randrange(len(found) + 1)
        length = min(rng.choice((1, 1, 2, 8, 64)), len(found) - place)
        match rng.randrange(7):
            case 0 if place < len(found):
                found[place] ^= 1 << rng.randrange(8)
            case 1 if place < len(found):
                found[place] = rng.randrange(256)
            case 2:
                del found[place : place + length]
            case 3:
                found[place:place] = rng.choice(TOKENS)
            case 4:
                found[place : place + length] = rng.choice(TOKENS)
            case 5:
                found[place:place] = found[place : place + length] * rng.choice((1, 3, 50))
            case _:
                if rng.randrange(4) == 0:
                    del found[place:]
    return bytes(found)


def json_values(content: bytes, rng: random.Random) -> bytes:
    """One to three changes of values of JSON: replaced, removed, doubled, exchanged, renamed."""
    data = json.loads(content)
    for _ in range(rng.choice((1, 1, 2, 3))):
        data = _changed(data, rng)
    return json.dumps(data).encode()


def _changed(data: Any, rng: random.Random) -> Any:
    places = _places(data, rng)
    if not places:
        return rng.choice(VALUES)
    container, key = places
    value = container[key]
    match rng.randrange(7):
        case 0 | 1:
            container[key] = rng.choice(VALUES)
        case 2 if isinstance(value, int | float) and not isinstance(value, bool):
            container[key] = rng.choice((value + 1, value - 1, -value, value * 2, value * 1000))
        case 3:
            del container[key]
        case 4 if isinstance(container, list):
            container[key:key] = [value] * rng.choice((1, 2, 30))
        case 5 if isinstance(container, dict):
            container[rng.choice((f"{key}x", "", "x", "W1", "\ud800"))] = container.pop(key)
        case _:
            other = _places(data, rng)
            if other is not None:
                container[key] = json.loads(json.dumps(other[0][other[1]]))
    return data


def _places(data: Any, rng: random.Random) -> tuple[Any, Any] | None:
    """A container and a key in it, deep ones as likely as others: a walk down from the top."""
    found = None
    while isinstance(data, dict | list) and data:
        key = rng.choice(list(data)) if isinstance(data, dict) else rng.randrange(len(data))
        found = data, key
        data = data[key]
        if rng.randrange(5) == 0:
            break
    return found


def sealed(content: bytes, rng: random.Random) -> bytes:
    """`json_values`, or bytes; most often with a checksum that fits."""
    if rng.randrange(5) == 0:
        return mutated_bytes(content, rng)
    data = json.loads(json_values(content, rng))
    if isinstance(data, dict) and rng.randrange(10):
        with contextlib.suppress(ValueError):  # NaN, which no file of this package has
            data["checksum"] = checksum(data)
    return json.dumps(data).encode()


def archive(content: bytes, rng: random.Random) -> bytes:
    """Bytes of a zip file, or of one of its members, which then has a checksum that fits."""
    if rng.randrange(3) == 0:
        return mutated_bytes(content, rng)
    buffer = io.BytesIO()
    with (
        warnings.catch_warnings(action="ignore"),  # of names that are there twice, as is meant
        zipfile.ZipFile(io.BytesIO(content)) as before,
        zipfile.ZipFile(buffer, "w") as after,
    ):
        names = before.namelist()
        chosen = rng.choice(names)
        for name in names:
            member = before.read(name)
            if name == chosen:
                member = _header(member, rng) if rng.randrange(2) else mutated_bytes(member, rng)
                if rng.randrange(10) == 0:
                    name = rng.choice(("W1.npy", "x", "../x.npy", "W2.npy", "b9.npy", "\x1b.npy"))
            after.writestr(name, member)
    return buffer.getvalue()


def _header(member: bytes, rng: random.Random) -> bytes:
    shapes = ("()", "(1,)", "(2, 3)", "(-1, 1)", "(2**40,)", "(1099511627776, 0)", "(1.0,)", "'x'")
    kinds = ("<f8", "<f4", "|O", "<U9", "<M8[s]", ">f8", "|b1", "<c16", "|V8", "<i8", "", "f")
    old = member[10 : 10 + struct.unpack("<H", member[8:10])[0]].decode("latin-1")
    head = old.replace("<f8", rng.choice(kinds)) if rng.randrange(2) else old
    if rng.randrange(2):
        first, _, rest = head.partition("(")
        head = f"{first}{rng.choice(shapes)}{rest.partition(')')[2]}"
    packed = head.encode("latin-1")
    return member[:8] + struct.pack("<H", len(packed)) + packed + member[10 + len(old) :]


def tensors(content: bytes, rng: random.Random) -> bytes:
    """Bytes of a ``.safetensors`` file, or values of its header, whose length then fits."""
    if rng.randrange(3) == 0:
        return mutated_bytes(content, rng)
    length = int.from_bytes(content[:8], "little")
    head = json_values(content[8 : 8 + length], rng)
    return struct.pack("<Q", len(head)) + head + content[8 + length :]


Mutation = Callable[[bytes, random.Random], bytes]
