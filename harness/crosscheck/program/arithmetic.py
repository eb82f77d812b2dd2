"""The verbs of programs, as each number type has them: floats, exact numbers, enclosures.

A number type is an array class with ``+``, ``-``, ``*``, ``@``, `sum`, indexing; an arithmetic says
how its arrays are filled, rearranged, compared with breakpoints, and what derivative is taken where
a function has a kink. Decisions are kept by *site*: the node whose value is at the breakpoint. So
everything that depends on the sign of one number is decided once.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Protocol

from crosscheck.numbers.arrays import Array
from crosscheck.numbers.differentiable import Elementary
from crosscheck.numbers.piecewise import Piecewise
from crosscheck.program.graph import Shape
from crosscheck.program.places import Places

__all__ = ["Arithmetic", "Decisions", "leading"]

Decisions = Mapping[int, Array]
"""Site to λ, float64 of its shape; no matter where nothing is open. A site that is not there has 0
everywhere."""


class Arithmetic(Protocol):
    """What a program is evaluated with."""

    def filled(self, value: float, shape: Shape) -> Any:
        """An array of one number."""

    def add(self, a: Any, b: Any) -> Any:
        """a + b, a sum that may still be open for more."""

    def difference(self, a: Any, b: Any) -> Any:
        """a - b."""

    def mul(self, a: Any, b: Any) -> Any:
        """a ∘ b."""

    def times(self, a: Any, constants: tuple[Fraction, ...]) -> Any:
        """a times constants, in any order and place."""

    def contract(self, a: Any, b: Any) -> Any:
        """A B, a sum that may still be open for addends."""

    def sum(self, a: Any, axes: tuple[int, ...], keep: bool) -> Any:
        """Σ over axes, counted from the last."""

    def broadcast(self, a: Any, shape: Shape) -> Any:
        """a repeated along axes of length 1."""

    def expand(self, a: Any, axis: int) -> Any:
        """One more axis."""

    def squeeze(self, a: Any, axis: int) -> Any:
        """One axis less."""

    def transpose(self, a: Any) -> Any:
        """The last two axes exchanged."""

    def take(self, a: Any, indices: Places, source: Shape, shape: Shape) -> Any:
        """Entries by place, -1 for zero."""

    def scatter(self, a: Any, indices: Places, source: Shape, shape: Shape) -> Any:
        """Entries added up by place."""

    def piecewise(self, z: Any, function: Piecewise) -> Any:
        """f(z)."""

    def select(self, site: int, z: Any, factor: Any, function: Piecewise) -> Any:
        """f'(z) ∘ factor, decided at the site."""

    def elementary(self, x: Any, function: Elementary, order: int, row: str) -> Any:
        """f^(k)(x), with the roundings that were measured of ``row``."""

    def either(self, a: Any, b: Any) -> Any:
        """One number, computed as ``a`` or as ``b``."""

    def updated(self, a: Any, axis: int, order: int) -> Any:
        """The mean along an axis, or for order 2 the sum of squared deviations, by updates."""

    def total(self, e: Any, d: Any) -> Any:
        """Σ e along the last axis, which is kept, of e = e^d with the largest d 0, or of 0."""

    def maximum(self, a: Any) -> Any:
        """The largest along the last axis."""

    def detached(self, a: Any) -> Any:
        """a, a constant to whoever differentiates."""

    def vanishing(self, a: Any, s: Any) -> Any:
        """0, of the shape of a, which a framework has as s, that is 0, where a is the largest."""

    def largest(self, site: int, a: Any, factor: Any) -> Any:
        """factor at the largest entries of a, decided at the site; 0 elsewhere."""


def leading(array: Any, source: Shape) -> tuple[int, ...]:
    """The axes that an array has in front of those of one case.

    Args:
        array: NumPy's, or an enclosure.
        source: The shape of one case.
    """
    return tuple(array.shape[: max(len(array.shape) - len(source), 0)])
