"""Cases put on the kinks of a function: an argument is moved until a decision is open.

For a value z that something is decided at, and an entry θ of an argument, Newton's step

    θ ← θ - (z - breakpoint) / (∂z/∂θ)

lands on the breakpoint at once where z is affine in θ, as in a bias or one weight, and exactly so
where the numbers are dyadic and the slope a power of two; where it is not exact, the case is beside
the kink, within rounding, which is worth as much.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crosscheck.frontends.case import FunctionCase
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of
from crosscheck.program.derive import vjp
from crosscheck.program.evaluate import evaluate, values_of
from crosscheck.program.floats import OnFloats
from crosscheck.program.graph import Program

__all__ = ["aimed"]

_SEED = "cotangent of the value"


def aimed(case: FunctionCase, rng: np.random.Generator) -> dict[str, Array] | None:
    """The arguments of a case, one entry of them moved so that a decision is open.

    Args:
        case: The case.
        rng: Chooses the decision and the entry.

    Returns:
        All real arguments by name; ``None`` if nothing is decided, or nothing moves it.
    """
    sites = list(_sites(case.program))
    if not sites:
        return None
    number, points = sites[int(rng.integers(len(sites)))]
    point = points[int(rng.integers(len(points)))]
    program = case.program
    value = Program(program.nodes, program.inputs, {"z": number})
    with np.errstate(all="ignore"):
        z = values_of(value, OnFloats(), dict(case.entries()))[number]
        place = tuple(int(rng.integers(size)) for size in z.shape)
        seed = np.zeros(z.shape)
        seed[place] = 1.0
        derived = vjp(value, {"z": _SEED}, tuple(case.parameters))
        slopes = evaluate(derived, OnFloats(), {**dict(case.entries()), _SEED: seed})
    entries = [
        (name, index)
        for name in case.parameters
        for index in map(tuple, np.argwhere(slopes[name] != 0).tolist())
    ]
    if not entries:
        return None
    slopes_of = {each: abs(float(slopes[each[0]][each[1]])) for each in entries}
    exact = [each for each in entries if np.frexp(slopes_of[each])[0] == 0.5]
    chosen = exact or entries
    name, index = chosen[int(rng.integers(len(chosen)))]
    arguments = {key: np.array(array) for key, array in case.arguments().items()}
    step = (float(z[place]) - point) / float(slopes[name][index])
    moved = arguments[name][index] - step
    if not np.isfinite(moved):
        return None
    arguments[name][index] = format_of(case.dtype).round(np.asarray(moved))
    return arguments


def _sites(program: Program) -> Iterator[tuple[int, list[float]]]:
    """Values at which a function with kinks is taken, and where those are."""
    for number in program.needed:
        node = program.nodes[number]
        if node.op == "piecewise" and (kinks := node.settings["function"].kinks):
            yield node.inputs[0], [float(each) for each in kinks]
