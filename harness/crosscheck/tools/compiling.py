"""What compiled passes share: whether numba is there, and what their copies on disk depend on."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

__all__ = ["digest", "is_compiled", "kept"]


def is_compiled() -> bool:
    """Whether compiled passes can be used."""
    return importlib.util.find_spec("numba") is not None


def digest(package: str, names: Sequence[str]) -> str:
    """SHA-256 of source files, in hexadecimal.

    numba keeps what it has compiled on disk. Its key is the source of one file and the values
    that the function takes from around it, not the sources of the functions that it calls. So a
    function whose code is in several files holds on to their digest.

    Args:
        package: Where the files are, such as ``"crosscheck.judge.compiled"``.
        names: Of the files.
    """
    sources = resources.files(package)
    return hashlib.sha256(
        b"".join(sources.joinpath(name).read_bytes() for name in names)
    ).hexdigest()


def kept(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator: the function compiled, without the interpreter's lock, and kept on disk.

    numba keeps all forms of one function in one index, without a lock: of two processes that add
    one at the same time, each for another dtype, one may be given the other's code. So the forms
    of different dtypes are functions of different names.

    Args:
        name: Tells this form of the function from others.
    """
    from numba import njit

    def compiled(function: Callable[..., None]) -> Callable[..., None]:
        function.__qualname__ = f"{function.__qualname__}.{name}"
        found: Any = njit(cache=True, nogil=True)(function)
        result: Callable[..., None] = found
        return result

    return compiled
