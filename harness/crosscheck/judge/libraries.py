"""Whose elementary functions a gradient was computed with."""

from __future__ import annotations

from functools import lru_cache

from crosscheck.network.composed import AnyCase, Composed
from crosscheck.numbers.library import Library
from crosscheck.program.graph import Program

__all__ = ["library_of"]


def library_of(case: AnyCase, framework: str, mode: str) -> Library | None:
    """The library whose table bounds are read from; ``None`` where a network calls none.

    Args:
        case: The network.
        framework: Name of the framework, or of a function of the user's.
        mode: How the gradient was asked for.
    """
    if isinstance(case, Composed) and _calls(case.program):
        return Library(framework, mode)
    return None


@lru_cache(maxsize=1024)
def _calls(program: Program) -> bool:
    return any(program.nodes[number].op == "elementary" for number in program.needed)
