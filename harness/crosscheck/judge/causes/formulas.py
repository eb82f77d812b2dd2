"""Another function than the formula: values and derivatives are those of it with one step changed.

    left out     a step is not done: one of its operands is taken for its result; an output without
                 ReLU, a product without its factor, a sum without its bias
    constant     another constant: 1e-6 for 1e-5

So nothing is wrong with the derivatives of what was computed, and the changed program has values
and derivatives of its own with bounds of their own. It is told only where the values are wrong in
some case, and where all that was given, values and derivatives, lies within these in every failing
case. The constant is read off the values by Newton's method in float64, and is one of few decimal
digits, as people write them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

import numpy as np

from crosscheck.frontends.case import FunctionCase
from crosscheck.frontends.traced import Source
from crosscheck.judge.causes.search import Failing
from crosscheck.judge.enclosed import leaves_bound
from crosscheck.judge.programs.enclosed import EnclosedProgram
from crosscheck.network.tree import LeftOut
from crosscheck.numbers.arrays import Array
from crosscheck.program.evaluate import evaluate
from crosscheck.program.floats import OnFloats
from crosscheck.program.graph import Graph, Program, Var

__all__ = ["OtherFormula", "find_formula"]

_MOST_CASES = 8
_MOST_TRIED = 8
_ITERATIONS = 12
_DIGITS = (1, 2, 3, 4, 6)
_MOVING = ("input", "ones", "zeros", "take", "scatter", "transpose", "broadcast", "expand")


@dataclass(frozen=True)
class OtherFormula:
    """A step that is another one than the formula's.

    Attributes:
        kind: Of those in this module's docstring.
        op: The primitive.
        source: Where the step stands.
        order: Which one it is of those of this primitive that stand there.
        at: The operand that is taken, where it is left out.
        constant: What the formula has, and what was taken.
        kept: Where the operand stands that is taken.
    """

    kind: Literal["left out", "constant"]
    op: str
    source: Source
    order: int
    at: int = 0
    constant: tuple[Fraction, Fraction] | None = None
    kept: Source | None = None

    def explains(self, failing: Failing) -> bool:
        """Whether all that was given is right of the changed function."""
        case = self._changed(failing.case)
        if case is None:
            return False
        return _is_right_of(case, failing) or _is_right_of(case.recognised, failing)

    def outputs(self, case: FunctionCase) -> Array | None:
        """The values of the changed function in float64; ``None`` if the step is not there."""
        changed = self._changed(case)
        return None if changed is None else _values(changed)

    def _changed(self, case: FunctionCase) -> FunctionCase | None:
        function = case.traced_function
        target = _steps(function.program, function.sources).get((self.op, self.source, self.order))
        if target is None:
            return None
        graph, new = Graph(), dict[int, Var]()
        asked = dict.fromkeys([*function.program.inputs.values()])
        asked |= dict.fromkeys(each.node for each in function.comparisons)
        whole = {str(number): number for number in (*asked, *function.program.outputs.values())}
        for number in replace(function.program, outputs=whole).needed:
            node = function.program.nodes[number]
            operands = [new[each] for each in node.inputs]
            if number == target and self.constant is None:
                new[number] = operands[self.at]
            elif number == target and self.constant is not None:
                new[number] = operands[0].times(self.constant[1])
            else:
                new[number] = graph.apply(node.op, operands, node.shape, **node.settings)
        program = graph.program(
            {name: new[number] for name, number in function.program.inputs.items()},
            {name: new[number] for name, number in function.program.outputs.items()},
        )
        compared = tuple(replace(e, node=new[e.node].number) for e in function.comparisons)
        changed = replace(function, program=program, sources={}, comparisons=compared)
        return replace(case, function=changed)


def _is_right_of(case: FunctionCase, failing: Failing) -> bool:
    enclosed = EnclosedProgram(case, failing.model)
    bounds = enclosed.any_gradients if enclosed.decisions else enclosed.gradients()
    return not any(
        np.shape(value) != bounds.arrays[name].shape
        or leaves_bound(bounds.arrays[name], value).any()
        for name, value in failing.given.arrays.items()
        if not isinstance(value, LeftOut)
    )


def find_formula(failing: Sequence[Failing]) -> OtherFormula | None:
    """The one step whose change makes all that was given; ``None`` if there is none.

    Args:
        failing: Cases with what was returned for them.
    """
    cases = sorted(failing, key=lambda each: each.case.size)[-_MOST_CASES:]
    if not cases or not all(_has_values(each) for each in cases):
        return None
    with np.errstate(all="ignore"):
        telling = max(cases, key=_share)
        given = _given(telling)
        off = np.linalg.norm(given - _values(telling.case))
        left: dict[OtherFormula, float] = {}
        for each in _changes(telling.case, given):
            found = each.outputs(telling.case)
            if found is not None and found.shape == given.shape:
                left[each] = float(np.linalg.norm(given - found))
        # Half of what is wrong has to go; what explains is for the bounds to say.
        near = [each for each in left if left[each] < off / 2]
        for each in sorted(near, key=lambda each: left[each])[:_MOST_TRIED]:
            if all(map(each.explains, cases)):
                return each
    return None


def _has_values(failing: Failing) -> bool:
    return not any(
        isinstance(failing.given.arrays[name], LeftOut)
        for name in failing.case.traced_function.outputs
    )


def _share(failing: Failing) -> float:
    """How much of the values is wrong: where it is most, a change tells most."""
    right = _values(failing.case)
    found = float(np.linalg.norm(_given(failing) - right) / np.linalg.norm(right))
    return found if np.isfinite(found) else 0.0


def _given(failing: Failing) -> Array:
    names = failing.case.traced_function.outputs
    return np.concatenate([np.ravel(failing.given.arrays[name]) for name in names])


def _values(case: FunctionCase) -> Array:
    found = evaluate(case.traced_function.program, OnFloats(), dict(case.entries()))
    names = case.traced_function.outputs
    return np.concatenate([np.ravel(found[name]) for name in names])


def _steps(program: Program, sources: Mapping[int, Source]) -> dict[tuple[str, Source, int], int]:
    """The steps that can be found again in a case of other sizes."""
    found: dict[tuple[str, Source, int], int] = {}
    counts: dict[tuple[str, Source], int] = {}
    for number in program.needed:
        node = program.nodes[number]
        if number in sources and node.inputs:
            key = node.op, sources[number]
            found[*key, counts.get(key, 0)] = number
            counts[key] = counts.get(key, 0) + 1
    return found


def _changes(case: FunctionCase, given: Array) -> Iterator[OtherFormula]:
    """The changes that can be made, those nearest to the result first."""
    function = case.traced_function
    nodes = function.program.nodes
    steps = _steps(function.program, function.sources)
    for (op, source, order), number in reversed(steps.items()):
        node = nodes[number]
        if op in _MOVING:
            pass
        elif op == "times_constants" and nodes[node.inputs[0]].op == "ones":
            yield from _constants(case, OtherFormula("constant", op, source, order), given)
        else:
            for at, operand in enumerate(node.inputs):
                if nodes[operand].shape == node.shape:
                    kept = function.sources.get(operand)
                    yield OtherFormula("left out", op, source, order, at, kept=kept)


def _constants(case: FunctionCase, step: OtherFormula, given: Array) -> Iterator[OtherFormula]:
    """The step with the constant that fits the values best, in few digits."""
    function = case.traced_function
    number = _steps(function.program, function.sources)[step.op, step.source, step.order]
    (own,) = function.program.nodes[number].settings["constants"]

    def at(constant: float) -> Array | None:
        pair = own, Fraction(constant)
        return replace(step, constant=pair).outputs(case) if np.isfinite(constant) else None

    constant = float(own)
    for _ in range(_ITERATIONS):
        move = abs(constant) * 2.0**-20
        here, there = at(constant), at(constant + move)
        if here is None or there is None or not move:
            return
        slope = (there - here) / move
        square = float(slope @ slope)
        if not square or not np.isfinite(square):
            return
        constant -= float(slope @ (here - given)) / square
    if np.isfinite(constant):
        for digits in _DIGITS:
            yield replace(step, constant=(own, Fraction(f"{constant:.{digits}g}")))
