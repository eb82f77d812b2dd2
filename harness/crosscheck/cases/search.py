"""Running a Hypothesis search from a program: with a seed, a budget, and the smallest failure back.

`@given` is made for test functions. Here the decorated function lives for one search only: it
hands each example to a check, and what Hypothesis would print is returned instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import hypothesis
from hypothesis import strategies as st
from hypothesis.errors import FlakyFailure

__all__ = ["Finding", "search"]

T = TypeVar("T")

_PHASES = (hypothesis.Phase.reuse, hypothesis.Phase.generate)


@dataclass(frozen=True)
class Finding(Generic[T]):
    """A failing example.

    Attributes:
        smallest: The example after shrinking; if flaky, as it was first found.
        error: What the check raised on the smallest.
        flaky: Whether the failure came and went when the same example was checked again.
    """

    smallest: T
    error: Exception
    flaky: bool = False


def search(
    strategy: st.SearchStrategy[T],
    check: Callable[[T, bool], None],
    *,
    name: str,
    settings: hypothesis.settings,
    seed: int,
    examples: int,
    failure: type[Exception] = AssertionError,
    shrinks: bool = True,
) -> Finding[T] | None:
    """Look for an example that fails.

    Args:
        strategy: Draws the examples.
        check: Called with each example, and with whether it is a new one: false while a failure
            is being shrunk. Raises ``failure`` to signal one.
        name: Keeps this search's failures apart from others' in the example database, from
            which they are tried first the next time.
        settings: Hypothesis settings; the number of examples in them is replaced.
        seed: The same seed draws the same examples, the database aside, and the constants that
            Hypothesis reads in modules that are imported and not installed, and draws as well.
        examples: How many to draw at most.
        failure: The exception that signals a failing example. Any other is passed on.
        shrinks: Whether a failing example is made smaller.

    Returns:
        ``None`` if no example failed.
    """
    failing: list[T] = []

    def property_holds(example: T) -> None:
        try:
            check(example, not failing)
        except failure:
            failing.append(example)
            raise

    property_holds.__name__ = name  # part of the database key
    # `seed` takes the database away, so the settings that bring it back have to come after it.
    seeded = hypothesis.seed(seed)(hypothesis.given(strategy)(property_holds))
    run = hypothesis.settings(
        settings,
        max_examples=examples,
        report_multiple_bugs=False,
        phases=[*_PHASES, hypothesis.Phase.shrink] if shrinks else _PHASES,
        verbosity=hypothesis.Verbosity.quiet,
        print_blob=False,
    )(seeded)
    try:
        run()
    except failure as error:
        return Finding(failing[-1], error)
    except FlakyFailure as error:
        if not failing:
            raise
        return Finding(failing[0], error, flaky=True)
    return None
