"""What a trace is held against: the function itself, run directly.

The function is first run twice directly, on copies: the results must be the same bit for bit. Then
the numbers of its program, run in float64, and those that were carried through the trace, if it
carries any, must be those of the direct run: bit for bit, or else within the bounds of the
program's own enclosures in float64. All are the function computed in float64, each in an order of
its own, and those bounds hold for any order. Where a bound is infinite, as next to the end of a
function's domain, nothing is said of the entry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from crosscheck.frontends.traced import TracedFunction
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import FORMATS
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.numbers.model import Model
from crosscheck.program.enclosures import OnEnclosures
from crosscheck.program.evaluate import evaluate
from crosscheck.program.floats import OnFloats
from crosscheck.tools.errors import UnsupportedError, UsageError

__all__ = ["require_same", "require_values"]


def require_same(name: str, one: Mapping[str, Array], other: Mapping[str, Array]) -> None:
    """Raise unless two runs gave the same numbers, bit for bit.

    Args:
        name: Of the function.
        one: Output to its numbers.
        other: Likewise.

    Raises:
        UsageError: They did not.
    """
    if one.keys() == other.keys() and all(
        one[key].shape == other[key].shape and one[key].tobytes() == other[key].tobytes()
        for key in one
    ):
        return
    raise UsageError(
        f"the formula {name} gave other numbers when it was run again: it uses random "
        "numbers or what an earlier run left behind; take what is random as an argument"
    )


@in_ieee_arithmetic
def require_values(
    found: TracedFunction,
    arrays: Mapping[str, Array],
    direct: Mapping[str, Array],
    *,
    carried: Mapping[str, Array] | None = None,
    library: str,
) -> None:
    """Raise unless the program and the trace have the function's numbers; see the module.

    Args:
        found: The function as it was traced.
        arrays: Input of its program to its numbers.
        direct: Output to the numbers of the direct run.
        carried: Output to those of the trace.
        library: What the function ran in, for people.

    Raises:
        UnsupportedError: They have others.
    """
    for key in found.outputs:
        shape = found.program.nodes[found.program.outputs[key]].shape
        if key not in direct or direct[key].shape != shape:
            _differs(found, key, "is of another shape", library)
    with np.errstate(all="ignore"):
        run = evaluate(found.program, OnFloats(), arrays)
        several: Sequence[Mapping[str, Any]] = [run] if carried is None else [run, carried]
        if all(
            np.array_equal(numbers[key], direct[key], equal_nan=True)
            for key in found.outputs
            for numbers in several
        ):
            return
        model = Model(FORMATS["float64"])
        from crosscheck.frontends.recognised import recognised
        from crosscheck.numbers.enclosure import Enclosure

        boxes = {key: Enclosure.of(model, value) for key, value in arrays.items()}
        # A library forms a norm in ways of its own, which the program as it is read does not have;
        # the bounds of the first way are within those of all, and most are within them.
        program = recognised(found).program
        for takes_first in (True, False):
            enclosed = evaluate(program, OnEnclosures(model, takes_first=takes_first), boxes)
            beyond = [
                key
                for key in found.outputs
                for numbers in several
                if _is_beyond(numbers[key], direct[key], enclosed[key])
            ]
            if not beyond:
                return
        _differs(found, beyond[0], "has other numbers", library)


def _is_beyond(numbers: Array, direct: Array, box: Any) -> bool:
    """Whether two computed results differ by more than twice what each may err by."""
    bound = 2.0 * np.broadcast_to(box.e, direct.shape)
    finite = np.isfinite(bound) & np.isfinite(direct) & np.isfinite(numbers)
    return bool((np.abs(numbers - direct) > bound)[finite].any())


def _differs(found: TracedFunction, key: str, how: str, library: str) -> NoReturn:
    raise UnsupportedError(
        f"{found.name}: as it was traced, {key} {how} than in {library}; nothing was checked. "
        "Does it decide by where arrays are, or by who calls it?"
    )
