"""What a case is differentiated by, array after array, and forward mode's tangents of that.

A forward pass with the tangents θ̇ of all parameters gives J̇ = Σ ∂J/∂θ · θ̇. With a *one-hot*
tangent, 1 for one parameter and 0 for the others, that is one entry of the gradient: one pass for
each parameter (`crosscheck.network.reference`). Adapters do as many passes at once as fit into some
memory. In a stack every case has parameters of its own, so one pass takes one parameter of every
case.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from crosscheck.frameworks.pointwise import Pointwise
from crosscheck.frameworks.text import WATCH, function_of, statements, watched_statements
from crosscheck.network.composed import AnyCase, Composed, Derivatives
from crosscheck.network.dense import Case, Gradients, Network, Numbers
from crosscheck.network.names import LOSS
from crosscheck.network.steps import Step, dense_steps
from crosscheck.network.tree import Point
from crosscheck.numbers.arrays import Array
from crosscheck.operators.operator import Line
from crosscheck.operators.registry import operator_of
from crosscheck.operators.relu import OPERATOR
from crosscheck.program.graph import Shape

__all__ = [
    "AT_ONCE",
    "RELU",
    "OneHot",
    "assembled",
    "constants_of",
    "leaves_of",
    "loss_function",
    "numbers_of_a_pass",
    "steps_of",
    "tangents_of_a_pass",
]

RELU = OPERATOR.name
"""Of which a framework's formulation is chosen."""

AT_ONCE = 2**22
"""How many numbers may be held as tangents at once: 32 MiB of float64."""


def leaves_of(case: AnyCase) -> list[Array]:
    """What a case is differentiated by, in the order of its entries."""
    return [array for name, array in case.entries() if name in case.wanted]


def constants_of(case: AnyCase) -> list[Array]:
    """The rest: targets."""
    return [array for name, array in case.entries() if name not in case.wanted]


def loss_function(
    case: Numbers | Composed,
    framework: str,
    lines: Pointwise,
    sources: Mapping[str, Line],
    *,
    watched: bool = False,
    stacked: bool | None = None,
) -> Callable[..., Any]:
    """J of `leaves_of` and then `constants_of`, for single cases and stacks of a shape.

    It is made of the operators' lines, and one and the same for cases that differ in numbers only.

    Args:
        case: A single case, a stack or a batch.
        framework: Whose lines.
        lines: With its imports.
        sources: Operator to its line, if not the first of the framework's.
        watched: Whether the function's first argument is `WATCH`, which sees each step.
        stacked: Whether it is handed arrays with an axis over cases, where an operator makes a
            difference of it; by default if the case is a stack.

    Raises:
        UnsupportedError: An operator is not known there.
    """
    names, steps = case.names, steps_of(case)
    over_cases = False
    if isinstance(case, Composed):
        if any(
            operator_of(each.op).takes_one_case(framework, sources.get(each.op)) for each in steps
        ):
            over_cases = case.count is not None if stacked is None else stacked
        names = (*case.wanted, *(name for name in names if name not in case.wanted))
        shapes = {**case.shapes, **case.result_shapes}
    else:
        shapes = {steps[-2].id: (case.rows, case.network.widths[-1])}
    return _function(
        steps,
        names,
        tuple(shapes.items()),
        framework,
        lines.setup,
        tuple(sources.items()),
        watched,
        over_cases,
    )


def steps_of(case: Numbers | Composed) -> tuple[Step, ...]:
    """The steps of a network, of whatever kind."""
    return case.steps if isinstance(case, Composed) else dense_steps(case.network, case.has_bias)


@lru_cache(maxsize=512)
def _function(
    steps: tuple[Step, ...],
    names: tuple[str, ...],
    shapes: tuple[tuple[str, Shape], ...],
    framework: str,
    setup: str,
    sources: tuple[tuple[str, Line], ...],
    watched: bool,
    stacked: bool,
) -> Callable[..., Any]:
    about = steps, dict(shapes), framework, dict(sources)
    if watched:
        text = watched_statements(*about, names, stacked=stacked)
        return function_of(setup, (WATCH, *names), text)
    return function_of(setup, names, statements(*about, stacked=stacked))


def assembled(case: Point, loss: Array, derivatives: Iterable[Array]) -> Any:
    """The gradient of ``case`` from the derivatives by each of `leaves_of`, in their order.

    Returns:
        `Derivatives` of a network of operators, else `Gradients`.
    """
    found = {LOSS: loss, **dict(zip(case.wanted, derivatives, strict=True))}
    return Derivatives.named(found) if isinstance(case, Composed) else Gradients.named(found)


def tangents_of_a_pass(network: Network, rows: int, size: int) -> int:
    """How many numbers one forward pass over one case has as tangents.

    Args:
        network: The shape.
        rows: B.
        size: P, the number of parameters and inputs: the rest is pre-activations and activations.
    """
    return size + 2 * rows * sum(network.widths[1:])


def numbers_of_a_pass(case: Case | Composed) -> int:
    """How many numbers one forward pass over one case has as tangents, of any network."""
    if isinstance(case, Composed):
        return sum(math.prod(case.program.nodes[number].shape) for number in case.program.needed)
    size = sum(math.prod(shape) for shape in _shapes_of(case))
    return tangents_of_a_pass(case.network, case.rows, size)


def _shapes_of(case: Case | Composed) -> list[Shape]:
    """Those of `leaves_of` within one case."""
    leading = 0 if case.count is None else 1
    return [leaf.shape[leading:] for leaf in leaves_of(case)]


class OneHot:
    """The P parameters of a case, the entries of x included, and a forward pass for each.

    Args:
        case: A single case, or a stack of C cases; P is then the number of each one's own.

    Attributes:
        size: P. The parameters are numbered through `leaves_of`, each in its own order.
    """

    def __init__(self, case: Case | Composed) -> None:
        self._case = case
        self._shapes = _shapes_of(case)
        sizes = [math.prod(shape) for shape in self._shapes]
        self.size = sum(sizes)
        self._cuts = np.cumsum(sizes)[:-1]
        numbers = numbers_of_a_pass(case) * (case.count or 1)
        self._passes = min(self.size, max(1, AT_ONCE // numbers))

    def blocks(self) -> Iterator[tuple[int, list[Array]]]:
        """The tangents of all passes, in blocks of K passes.

        Every block has the same K, so that compilers see one shape. For that the last one
        begins K passes before the end, and may repeat some of the block before it.

        Yields:
            The number of the block's first parameter; and for each leaf, of shape ``shape``
            within one case, a float64 array of tangents of shape (K, *shape).
        """
        for start in range(0, self.size, self._passes):
            start = min(start, self.size - self._passes)
            one_hot = np.eye(self._passes, self.size, start)
            yield start, list(self._cut(one_hot))

    def gradients(self, loss: Array, derivatives: Array) -> Any:
        """The gradient from the derivatives by each parameter.

        Args:
            loss: ``J``, shape ``([C])``.
            derivatives: ``∂J/∂θ``, shape ``(P, [C])``.

        Returns:
            As `assembled`.
        """
        return assembled(self._case, loss, self._cut(np.moveaxis(derivatives, 0, -1)))

    def _cut(self, along: Array) -> Iterator[Array]:
        """An array whose last axis has length P, as one array of its own for each leaf."""
        for part, shape in zip(np.split(along, self._cuts, axis=-1), self._shapes, strict=True):
            yield np.array(part.reshape(*part.shape[:-1], *shape), order="C")
