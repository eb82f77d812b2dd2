"""Whose elementary functions a gradient was computed with, and which of them are far off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache

from crosscheck.judge.verdict import Kind, Verdict
from crosscheck.network.composed import AnyCase, Composed
from crosscheck.numbers.library import ANY, MANY, Library
from crosscheck.program.graph import Program
from crosscheck.tools.errors import UsageError

__all__ = ["calls", "departures", "library_of", "or_library", "unmeasured", "with_basis"]

_CALLS = {"softmax": ("exp", "quotient"), "log_softmax": ("exp", "log")}
"""The functions in primitives that are made of several."""

_WRONG = (Kind.DISAGREES, Kind.INCONSISTENT)
_RIGHT = (Kind.AGREES, Kind.KINK, Kind.UNDECIDED, Kind.SUBNORMAL)


def library_of(case: AnyCase, framework: str, mode: str) -> Library | None:
    """The library whose table bounds are read from; ``None`` where a network calls none.

    Args:
        case: The network.
        framework: Name of the framework, or of a function of the user's.
        mode: How the gradient was asked for.
    """
    if isinstance(case, Composed) and calls(case.gradient):
        return Library(framework, mode)
    return None


def with_basis(
    verdict: Verdict, case: AnyCase, library: Library | None, program: Program | None = None
) -> Verdict:
    """A verdict that says what its bounds take for granted of elementary functions.

    Args:
        verdict: What was said.
        case: Of what.
        library: Whose functions were called, if any were.
        program: What was computed; the gradient, if not given.
    """
    if library is None:
        return verdict
    assert isinstance(case, Composed)
    words, is_nearest = _basis(calls(program or case.gradient), library, case.dtype)
    return replace(verdict, basis=words, is_nearest=is_nearest)


@lru_cache(maxsize=1024)
def _basis(
    functions: tuple[tuple[str, int], ...], library: Library, dtype: str
) -> tuple[str, bool]:
    """What is taken for granted of these functions, and whether it was measured elsewhere."""
    found: dict[tuple[bool, str], dict[str, None]] = {}
    for function, order in functions:
        row = library.row(function, order, dtype)
        words = f"{min(float(row.count), MANY):g} in {function}{chr(39) * order}"
        found.setdefault((row.is_nearest, row.where), {})[words] = None
    told = [
        f"{', '.join(words)} ({'nearest row: ' if is_nearest else ''}{where})"
        for (is_nearest, where), words in found.items()
    ]
    return f"given roundings: {'; '.join(told)}", any(is_nearest for is_nearest, _ in found)


def unmeasured(program: Program, library: Library | None, dtype: str) -> str:
    """Of which function in a program nobody knows how many roundings it errs by; empty if of none.

    Args:
        program: The program.
        library: Whose functions; any, if none is given.
        dtype: Of the numbers.
    """
    for function, order in calls(program):
        try:
            (library or ANY).roundings(function, order, dtype)
        except UsageError as error:
            return str(error)
    return ""


def departures(program: Program, library: Library, dtype: str) -> Iterator[str]:
    """What the functions in a program, or their derivatives, were measured to err by, if too much.

    Args:
        program: The program.
        library: Whose functions.
        dtype: Of the numbers.
    """
    for function, order in calls(program):
        count = library.measured(function, order, dtype)
        if count > MANY:
            name = f"{library.framework or 'some library'}'s {function}{chr(39) * order}"
            yield f"{name} was measured to err by up to {count:.4g} roundings of {dtype}"


def or_library(
    verdict: Verdict,
    case: AnyCase,
    library: Library | None,
    again: Callable[[Library], Verdict],
    of_zeros: Callable[[Library], Verdict],
) -> Verdict:
    """A verdict, or LIBRARY where functions that are far off explain what is wrong.

    What is explained so has to be told from zeros by the same bounds.

    Args:
        verdict: What was said with functions that err by `MANY` roundings at most.
        case: Of what.
        library: Whose functions.
        again: The same asked anew, with another library.
        of_zeros: The verdict on a gradient of zeros.
    """
    if library is None or verdict.kind not in _WRONG:
        return verdict
    assert isinstance(case, Composed)
    far = "; ".join(departures(case.gradient, library, case.dtype))
    if not far:
        return verdict
    whole = replace(library, is_whole=True)
    found = again(whole)
    if found.kind not in _RIGHT or of_zeros(whole).kind in _RIGHT:
        return verdict
    return replace(found, kind=Kind.LIBRARY, detail=far)


@lru_cache(maxsize=1024)
def calls(program: Program) -> tuple[tuple[str, int], ...]:
    """The functions that a program calls, by the names of their rows, and of which order."""
    found: dict[tuple[str, int], None] = {}
    for number in program.needed:
        node = program.nodes[number]
        if node.op == "elementary":
            found[node.settings["row"], node.settings["order"]] = None
        found |= dict.fromkeys((name, 0) for name in _CALLS.get(node.op, ()))
        for way in node.settings.get("ways", ()):
            found |= dict.fromkeys(calls(way))
    return tuple(found)
