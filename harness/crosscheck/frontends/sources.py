"""The line of the user's that a step of a program comes from.

Frames of Python, of the libraries that are read and of those that build on them are nobody's; the
innermost other one is the user's. Where there is none, as for a function of a library that is
handed over itself, it is the innermost of a library that builds on them, or the first one there is.
"""

from __future__ import annotations

import linecache
import sysconfig
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from types import CodeType

import crosscheck
from crosscheck.frontends.traced import Source

__all__ = ["Frame", "source_of", "written"]

Frame = tuple[CodeType, int]
"""Code, and the place of the instruction in it."""

_CORE = frozenset({"jax", "jaxlib", "torch", "numpy"})
_LIBRARIES = _CORE | {
    "chex", "einops", "equinox", "flax", "haiku", "jaxtyping", "numpyro", "optax", "timm",
    "torchvision", "transformers", "beartype", "typeguard",
}  # fmt: skip
_PYTHON = sysconfig.get_paths()["stdlib"]
_OURS = str(Path(crosscheck.__file__).parent)


@lru_cache(maxsize=4096)
def _library(file: str) -> str | None:
    """Which library a file belongs to; "" for one that is nobody's, ``None`` for a user's."""
    if file.startswith(_OURS) or (file.startswith("<") and not file.startswith("<ipython")):
        return ""
    parts = Path(file).parts
    for place in ("site-packages", "dist-packages"):
        if place in parts:
            top = parts[parts.index(place) + 1] if parts[-1] != place else ""
            return top if top in _LIBRARIES else None
    return "" if file.startswith(_PYTHON) else None


def source_of(frames: Iterable[Frame]) -> Source | None:
    """Where a call comes from.

    Args:
        frames: The innermost first; those that lead to this package, and further out, are none of
            the function's.
    """
    inside = list(_until_ours(frames))
    found = [(code, at) for code, at in inside if _library(code.co_filename) is None]
    if not found:
        built = [each for each in inside if _library(each[0].co_filename) not in ("", *_CORE)]
        found = built or [each for each in inside if _library(each[0].co_filename)][-1:]
    return written(*found[0]) if found else None


def _until_ours(frames: Iterable[Frame]) -> Iterator[Frame]:
    seen = False
    for code, at in frames:
        ours = code.co_filename.startswith(_OURS)
        if ours and seen:
            return
        seen = seen or not ours
        if not ours:
            yield code, at


def written(code: CodeType, at: int) -> Source:
    """The expression that an instruction belongs to."""
    positions = list(code.co_positions())
    line, end, begin_at, end_at = positions[at // 2] if at // 2 < len(positions) else (None,) * 4
    first = line or code.co_firstlineno
    lines = [linecache.getline(code.co_filename, k) for k in range(first, (end or first) + 1)]
    if begin_at is not None and end_at is not None and all(lines):
        encoded = [each.encode() for each in lines]
        encoded[-1] = encoded[-1][:end_at]
        encoded[0] = encoded[0][begin_at:]
        lines = [each.decode(errors="replace") for each in encoded]
    return Source(code.co_filename, first, " ".join(" ".join(lines).split()))
