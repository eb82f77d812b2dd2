"""The verbs of derivatives of programs on balls.

Derivatives are made of sums, products, places and slopes, and of functions that are computed anew;
what is decided upon has been evaluated before, and its slopes are balls that are looked up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from crosscheck.numbers.balls import Ball
from crosscheck.numbers.differentiable import Elementary
from crosscheck.numbers.elementary_values import over_ball
from crosscheck.numbers.piecewise import Piecewise
from crosscheck.numbers.rounding import up
from crosscheck.program.arithmetic import leading
from crosscheck.program.graph import Shape
from crosscheck.program.places import Places
from crosscheck.program.sweeps import Formed

__all__ = ["OnBalls"]


@dataclass
class OnBalls:
    """Balls.

    Attributes:
        slope: f' at a site, of the site and f.
        weights: What a largest entry is weighed with, of the site of those that are compared.
        formed: What was formed of which values (`crosscheck.program.alternatives`).
    """

    slope: Callable[[int, Piecewise], Ball]
    weights: Callable[[int], Ball]
    formed: Formed = field(default_factory=dict, repr=False)

    def filled(self, value: float, shape: Shape) -> Ball:
        """See `Arithmetic`."""
        return Ball(np.full(shape, value), np.zeros(shape))

    def add(self, a: Ball, b: Ball) -> Ball:
        """See `Arithmetic`."""
        return a + b

    def mul(self, a: Ball, b: Ball) -> Ball:
        """See `Arithmetic`."""
        return a * b

    def times(self, a: Ball, constants: tuple[Fraction, ...]) -> Ball:
        """See `Arithmetic`."""
        return a.times(math.prod(constants, start=Fraction(1)))

    def contract(self, a: Ball, b: Ball) -> Ball:
        """See `Arithmetic`."""
        return a @ b

    def sum(self, a: Ball, axes: tuple[int, ...], keep: bool) -> Ball:
        """See `Arithmetic`."""
        return a.sum(axes, keep=keep)

    def broadcast(self, a: Ball, shape: Shape) -> Ball:
        """See `Arithmetic`."""
        whole = (*leading(a, shape), *shape)
        return a.map(lambda array: np.broadcast_to(array, whole))

    def expand(self, a: Ball, axis: int) -> Ball:
        """See `Arithmetic`."""
        return a.map(lambda array: np.expand_dims(array, axis))

    def squeeze(self, a: Ball, axis: int) -> Ball:
        """See `Arithmetic`."""
        return a.map(lambda array: np.squeeze(array, axis))

    def transpose(self, a: Ball) -> Ball:
        """See `Arithmetic`."""
        return a.map(lambda array: np.swapaxes(array, -1, -2))

    def take(self, a: Ball, indices: Places, source: Shape, shape: Shape) -> Ball:
        """See `Arithmetic`."""
        lead = leading(a, source)

        def chosen(array: np.ndarray) -> np.ndarray:
            flat = array.reshape(*lead, math.prod(source))[..., indices.array]
            if indices.is_there is not None:
                flat = np.where(indices.is_there, flat, 0.0)
            return flat.reshape((*lead, *shape))

        return a.map(chosen)

    def scatter(self, a: Ball, indices: Places, source: Shape, shape: Shape) -> Ball:
        """See `Arithmetic`: a sum for each place, of the entries that go there and of zeros."""
        lead, size = leading(a, source), math.prod(shape)
        table = indices.by_place(size)
        gathered = self.take(a, table, source, (size, len(table) // size))
        return gathered.sum(-1).map(lambda array: array.reshape((*lead, *shape)))

    def select(self, site: int, z: Ball, factor: Ball, function: Piecewise) -> Ball:
        """See `Arithmetic`."""
        return self.slope(site, function) * factor

    def difference(self, a: Ball, b: Ball) -> Ball:
        """See `Arithmetic`."""
        return a + b.times(Fraction(-1))

    def either(self, a: Ball, b: Ball) -> Ball:
        """See `Arithmetic`: the first holds it."""
        return a

    def elementary(self, x: Ball, function: Elementary, order: int, row: str) -> Ball:
        """See `Arithmetic`: all that f^(k) is over a ball."""
        return over_ball(x, function, order)

    def updated(self, a: Ball, axis: int, order: int) -> Ball:
        """See `Arithmetic`: in two passes, as updates are for bounds of rounding only."""
        mean = a.sum((axis,), keep=True).times(Fraction(1, a.shape[axis]))
        if order == 1:
            return mean
        centred = self.difference(a, mean)
        return (centred * centred).sum((axis,), keep=True)

    def total(self, e: Ball, d: Ball) -> Ball:
        """See `Arithmetic`: no less than e^d of a d that is 0 within its ball."""
        found = self.sum(e, (-1,), True)
        best = np.argmax(d.c, axis=-1)[..., None]
        least, _ = np.take_along_axis(np.stack([d.c - d.r, d.c]), best[None], axis=-1)
        floor = np.exp(np.minimum(np.nextafter(least, -np.inf), 0.0)) * (1.0 - 2.0**-40)
        upper = np.nextafter(found.c + found.r, np.inf)
        low = np.nextafter(found.c - found.r, -np.inf)
        low = np.minimum(np.maximum(low, floor), upper)
        middle = 0.5 * (low + upper)
        return Ball(middle, up(np.maximum(upper - middle, middle - low), 2))

    def maximum(self, a: Ball) -> Ball:
        """See `Arithmetic`: |max q - max c| <= max |q - c|."""
        return a.map(lambda array: array.max(axis=-1))

    def detached(self, a: Ball) -> Ball:
        """See `Arithmetic`."""
        return a

    def vanishing(self, a: Ball, s: Ball) -> Ball:
        """See `Arithmetic`: known to be 0."""
        return Ball(np.zeros(a.c.shape), np.zeros(a.c.shape))

    def largest(self, site: int, a: Ball, factor: Ball) -> Ball:
        """See `Arithmetic`."""
        return self.weights(site) * factor
