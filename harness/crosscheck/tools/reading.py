"""Files that come from elsewhere: what is read of them is limited before it is read.

A name may be that of a pipe or a device, which block for ever or never end, or of a sparse file,
which holds nothing and declares everything. So only regular files are read, up to a size. Text may
be small and cost much: JSON nested a million deep, or three million empty lists in nine megabytes,
each of them an object of 56 bytes. So its brackets and commas are counted first, which takes time
and memory in proportion to the text and a small part of that of parsing it.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from crosscheck.tools.errors import UsageError
from crosscheck.tools.words import shown

__all__ = [
    "DEEPEST",
    "MOST_VALUES",
    "bytes_of",
    "json_of",
    "refused_json",
    "strict_integer",
]

DEEPEST = 64
"""Levels of JSON. Case files and reports have less than 20 of them."""

MOST_VALUES = 2**22
"""Numbers, texts, lists and objects of JSON: those of a dense network of 2048 units and as many
inputs. Parsed, each takes a hundred bytes or two."""

_INTEGER_DIGITS = 20
"""Of 2⁶⁴ − 1, the largest whole number in any file of this package."""

_ANYTHING_BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_OPENING = np.frombuffer(b"[{", dtype=np.uint8)

_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""A text of JSON, or what is left of the file after a quote that nothing closes. It matches at
each quote that it is tried at, and never gives back what it has matched, so a whole file takes time
in proportion to its length."""


def bytes_of(path: str | os.PathLike[str], *, most: int, missing: str = "") -> bytes:
    """All that a regular file holds.

    Args:
        path: Of the file.
        most: Bytes; a larger file is not read.
        missing: What to add where there is no such file: "; wanted …".

    Raises:
        UsageError: There is no such file, it is none, it is too large, or it cannot be read.
    """
    origin = shown(os.fspath(path)) or "''"
    try:
        _require_regular(os.stat(path), origin, most)  # opening a device may already do something
        # Not waiting, in case a pipe has taken the place of the file since.
        with open(os.open(path, _FLAGS), "rb") as file:
            _require_regular(os.fstat(file.fileno()), origin, most)
            content = file.read(most + 1)  # some files of the system declare nothing, and hold much
    except FileNotFoundError:
        raise UsageError(f"{origin}: no such file{missing}") from None
    except UsageError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        raise UsageError(
            f"{origin}: cannot be read: {getattr(error, 'strerror', None) or shown(str(error))}"
        ) from None
    if len(content) > most:
        _refuse_size(origin, "more than that", most)
    return content


_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
)


def _require_regular(found: os.stat_result, origin: str, most: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = next((name for is_one, name in _KINDS if is_one(found.st_mode)), "something else")
        raise UsageError(f"{origin}: is {kind}, wanted a file") from None
    if found.st_size > most:
        _refuse_size(origin, f"{found.st_size:,} bytes", most)


def _refuse_size(origin: str, size: str, most: int) -> NoReturn:
    raise UsageError(f"{origin}: {size}, wanted at most {most:,} bytes") from None


_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def refused_json(content: bytes, most_values: int = MOST_VALUES) -> str:
    """Why text is not to be parsed as JSON, whatever it says; empty if nothing is against it.

    With n values there are at least n − 1 commas and opening brackets: each value but the first is
    preceded by one of either. Commas and brackets within texts count too.
    """
    values = 1 + sum(content.count(sign) for sign in (b",", b"[", b"{"))
    if values > most_values:
        return f"{values:,} values, wanted at most {most_values:,}"
    brackets = _TEXT.sub(b"", content).translate(None, _ANYTHING_BUT_BRACKETS)
    signs = np.where(np.isin(np.frombuffer(brackets, dtype=np.uint8), _OPENING), 1, -1)
    if signs.size and int(np.cumsum(signs).max()) > DEEPEST:
        return f"nested too deeply, wanted at most {DEEPEST} levels"
    return ""


def strict_integer(text: str) -> int:
    """A whole number of JSON, of 64 bits at most, or its sign.

    Raises:
        ValueError: It is longer.
    """
    if len(text) > _INTEGER_DIGITS + (text[0] == "-") or abs(int(text)) >= 2**64:
        raise ValueError(f"{text[:_INTEGER_DIGITS]}… is a whole number of more than 64 bits")
    return int(text)


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


def json_of(
    path: Path,
    *,
    name: str,
    instead: str,
    missing: str = "",
    most: int = 2**26,
    most_values: int = MOST_VALUES,
) -> Any:
    """What a JSON file of this package says: no NaN, and no whole number beyond 64 bits.

    Args:
        path: Of the file.
        name: What the file should be, for a person: "a report".
        instead: What to do about one that is not: "run 'crosscheck run' again".
        missing: As of `bytes_of`.
        most: Bytes; a larger file is not read.
        most_values: Numbers, texts, lists and objects, likewise.

    Raises:
        UsageError: There is no such file, it is too large or nested too deeply, or it is no JSON.
    """
    content = bytes_of(path, most=most, missing=missing)
    reason = refused_json(content, most_values)
    if not reason:
        try:
            return json.loads(
                content.decode("utf-8-sig"), parse_constant=_no_number, parse_int=strict_integer
            )
        except json.JSONDecodeError as error:
            reason = str(error)
        except UnicodeDecodeError:
            reason = "not text in UTF-8"
        except (ValueError, RecursionError, MemoryError) as error:
            reason = f"not JSON: {shown(str(error))}"
    raise UsageError(f"{shown(str(path))}: not {name}: {reason}; {instead}") from None
