"""Asking again: whether the same call returns the same bits a while later.

A framework may be wrong once in a thousand calls, after some other call, or at random; the single
comparison then passes nearly always, and what failed does not fail when it is looked at. So a share
of the cases is put to each framework a second time, after other cases and stacks have come between:
every eighth single case and every stack. Bits that differ have one of two meanings:

    both answers within the bounds     **not reproducible**: the order of a sum may depend on
                                       threads, and every order is right. Reported, no failure.
    one of them is not                 **nondeterministic**: a failure, whichever answer it was.

What fails is asked again at once as well. If it passes then, it is nondeterministic too, and is
kept as it was found: there is nothing to shrink.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crosscheck.judge.verdict import Verdict
from crosscheck.network.composed import AnyCase, AnyGradients
from crosscheck.network.tree import LeftOut
from crosscheck.run.events import Part

__all__ = [
    "FLAKY",
    "LATER",
    "NAME",
    "Again",
    "Asked",
    "came_and_went",
    "differing",
    "named",
    "named_at_once",
]

NAME = "nondeterministic"
"""How the detail of a verdict begins that depends on when it was asked for."""

LATER = "after other cases, the same call returned another gradient, which is wrong"
FLAKY = "made again at once, the same call failed again, and later it passed"
_PASSED = "made again at once, the same call passed"
_OTHER = "made again at once, the same call returned other bits, wrong as well"

_EVERY = 8
"""Single cases, of which one is asked again."""
_LATER = 16
"""Cases or stacks that come between."""
_LATER_STACK = 1


@dataclass(frozen=True, eq=False)
class Asked:
    """A call that is to be made again.

    Attributes:
        case: A single case or a stack.
        given: What each framework returned; ``None`` if nothing.
        part: Where the case comes from.
        label: Its name.
    """

    case: AnyCase
    given: Sequence[AnyGradients | None]
    part: Part
    label: str


class Again:
    """The calls that wait to be made again."""

    def __init__(self) -> None:
        self._clock = 0
        self._waiting: deque[tuple[int, Asked]] = deque()

    def note(self, asked: Asked) -> None:
        """Remember a call, if it is among those that are made again."""
        self._clock += 1
        if asked.case.count is not None:
            self._waiting.append((self._clock + _LATER_STACK, asked))
        elif self._clock % _EVERY == 0:
            self._waiting.append((self._clock + _LATER, asked))

    def due(self) -> Iterator[Asked]:
        """The calls that have waited long enough; they wait no more."""
        for _ in range(len(self._waiting)):
            when, asked = self._waiting.popleft()
            if when <= self._clock:
                yield asked
            else:
                self._waiting.append((when, asked))

    def rest(self) -> Iterator[Asked]:
        """All others; they wait no more."""
        while self._waiting:
            yield self._waiting.popleft()[1]


def differing(one: AnyGradients, other: AnyGradients) -> Any:
    """In which cases two gradients differ in a bit; a NaN is like any other.

    Returns:
        A bool, or (C,) of them for a stack. Where shapes differ, so does everything.
    """
    found: Any = np.zeros(np.shape(one.loss), dtype=bool)
    for (_, first), (_, second) in zip(one.entries(), other.entries(), strict=True):
        if isinstance(first, LeftOut) or isinstance(second, LeftOut):
            found = found | (type(first) is not type(second))
            continue
        first, second = np.asarray(first), np.asarray(second)
        if first.shape != second.shape:
            return np.ones_like(found)
        same = (first == second) & (np.signbit(first) == np.signbit(second))
        same |= (first != first) & (second != second)
        found = found | ~same.reshape(*found.shape, -1).all(axis=-1)
    return found


def named(verdict: Verdict, when: str) -> Verdict:
    """``verdict``, with the name of what came out."""
    told = f"{NAME}: {when}"
    return replace(verdict, detail=f"{told}; {verdict.detail}" if verdict.detail else told)


def named_at_once(
    verdict: Verdict, given: AnyGradients | None, again: AnyGradients | None, *, passes: bool
) -> Verdict:
    """A failing verdict on a single case, with its name if the call gives something else now.

    Args:
        verdict: The verdict.
        given: What it is about; ``None`` if nothing was returned.
        again: What the same call returned when it was made again.
        passes: Whether that is no failure.
    """
    if passes:
        return named(verdict, _PASSED)
    if given is not None and again is not None and bool(differing(given, again)):
        return named(verdict, _OTHER)
    return verdict


def came_and_went(verdict: Verdict) -> bool:
    """Whether a failure was gone when the same call was made again: it cannot be shrunk."""
    return verdict.detail.startswith(f"{NAME}: {_PASSED}")
