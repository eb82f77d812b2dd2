"""Directions, and products of the Hessian of a loss with them: second derivatives of a case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from crosscheck.network.composed import Composed
from crosscheck.network.steps import Step
from crosscheck.network.tracing import traced, wanted
from crosscheck.network.tree import Tree
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of
from crosscheck.program.graph import Program, Shape
from crosscheck.program.second import Way, hessian_product
from crosscheck.tools.errors import UsageError

__all__ = ["Direction", "Products", "arrays_of", "product_program", "seeded_direction"]


@dataclass(frozen=True, eq=False)
class Direction(Tree):
    """v: for each array that a loss is differentiated by, an array of its shape.

    Attributes:
        arrays: Name to float64 array, of numbers of the case's dtype.
    """

    parts: ClassVar[Mapping[str, str]] = {"arrays": "*"}

    arrays: Mapping[str, Array]

    @classmethod
    def of(cls, case: Composed, arrays: Mapping[str, Array]) -> Direction:
        """A direction for a case, rounded to its dtype.

        Raises:
            UsageError: It has other arrays than the case is differentiated by, of other shapes, or
                numbers that are not finite.
        """
        shapes = {name: case.array_shapes[name] for name in case.wanted}
        given = {name: np.shape(array) for name, array in arrays.items()}
        if given != shapes:
            raise UsageError(f"direction: arrays {given}, wanted {shapes}")
        rounded = {name: format_of(case.dtype).round(arrays[name]) for name in case.wanted}
        if not all(np.isfinite(array).all() for array in rounded.values()):
            raise UsageError("direction: holds NaN or infinity, wanted finite numbers")
        return cls(rounded)


@dataclass(frozen=True, eq=False)
class Products(Tree):
    """H v: for each array that a loss is differentiated by, d/dt of its derivative along v.

    Attributes:
        arrays: Name to array, of any type of number, shaped as it.
    """

    parts: ClassVar[Mapping[str, str]] = {"arrays": "*"}

    arrays: Mapping[str, Any]


def _along(name: str) -> str:
    """What the input for a part of v is called in a program; no array is called so."""
    return f"along {name}"


def arrays_of(case: Composed, direction: Direction) -> dict[str, Array]:
    """The inputs of `product_program` by name."""
    found = dict(case.entries())
    return found | {_along(name): array for name, array in direction.entries()}


def product_program(case: Composed, way: Way) -> Program:
    """H v in primitives: a program whose results are called as the arrays of the gradient."""
    return _program(case.steps, tuple(case.shapes.items()), way)


@lru_cache(maxsize=256)
def _program(steps: tuple[Step, ...], shapes: tuple[tuple[str, Shape], ...], way: Way) -> Program:
    names = wanted(steps, tuple(name for name, _ in shapes))
    return hessian_product(
        traced(steps, shapes).gradient, {name: _along(name) for name in names}, way
    )


def seeded_direction(seed: int, case: Composed) -> Direction:
    """Gaussian numbers from one integer, for each case of a stack its own."""
    rng = np.random.Generator(np.random.Philox(seed))
    shapes = case.array_shapes
    return Direction.of(case, {name: rng.standard_normal(shapes[name]) for name in case.wanted})
