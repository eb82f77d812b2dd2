"""Where in the user's code something happens: the innermost expression that is not a library's."""

from __future__ import annotations

import functools
import linecache
import os
import sys
import sysconfig
from types import CodeType, FrameType

import crosscheck
from crosscheck.frontends.traced import Source

__all__ = ["is_users", "line_of", "located", "located_at"]

_LIBRARIES = tuple(
    os.path.join(path, "")
    for path in {
        os.path.dirname(os.path.abspath(crosscheck.__file__)),
        *(sysconfig.get_paths()[each] for each in ("stdlib", "platstdlib", "purelib", "platlib")),
    }
)


@functools.lru_cache(maxsize=4096)
def is_users(file: str) -> bool:
    """Whether a file is neither Python's, nor an installed package's, nor this package's."""
    return not file.startswith("<frozen") and not file.startswith(_LIBRARIES)


def located() -> Source | None:
    """The innermost expression of the user's that is being evaluated in this thread."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not is_users(frame.f_code.co_filename):
        frame = frame.f_back
    return None if frame is None else located_at(frame.f_code, frame.f_lasti)


@functools.lru_cache(maxsize=65536)
def located_at(code: CodeType, instruction: int) -> Source:
    """The expression that an instruction of some code belongs to."""
    line, last, begin, end = _positions(code)[instruction // 2]
    line = line or code.co_firstlineno
    text = linecache.getline(code.co_filename, line).strip()
    if last is not None and begin is not None and end is not None:
        lines = [linecache.getline(code.co_filename, each) for each in range(line, last + 1)]
        # Columns are counted in bytes.
        whole = [each.encode() for each in lines]
        whole[-1] = whole[-1][:end]
        whole[0] = whole[0][begin:]
        text = " ".join(b" ".join(whole).decode(errors="replace").split())
    return Source(code.co_filename, line, text)


@functools.lru_cache(maxsize=1024)
def _positions(code: CodeType) -> list[tuple[int | None, int | None, int | None, int | None]]:
    return list(code.co_positions())


def line_of(source: Source | None) -> str:
    """The whole line, as it is written."""
    return "" if source is None else linecache.getline(source.file, source.line).strip()
