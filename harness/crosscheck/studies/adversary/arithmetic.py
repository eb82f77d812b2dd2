"""The verbs of programs on a machine: sums stay open until a number of them is needed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

import numpy as np

from crosscheck.numbers.arrays import Array
from crosscheck.numbers.differentiable import Elementary
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.piecewise import Piecewise
from crosscheck.program.arithmetic import Decisions
from crosscheck.program.graph import Shape
from crosscheck.program.places import Places
from crosscheck.studies.adversary.functions import erring
from crosscheck.studies.adversary.machine import Machine, Term
from crosscheck.studies.adversary.pieces import applied, multiplied, selected, valued

__all__ = ["Held", "OnMachine"]

Change = Callable[[Array], Array]


class Held:
    """An array of sums that are still open, or of numbers; (P, *shape) each.

    Attributes:
        machine: What closes them.
        terms: What is added.
    """

    def __init__(self, machine: Machine, terms: Sequence[Term]) -> None:
        self.machine, self.terms = machine, list(terms)

    @classmethod
    def of(cls, machine: Machine, array: Array) -> Held:
        """Numbers, which need no sum."""
        found = cls(machine, [(array, None)])
        found.closed = array
        return found

    @cached_property
    def closed(self) -> Array:
        """The numbers, which stay as they are from now on."""
        return self.machine.total(self.terms)

    @property
    def shape(self) -> Shape:
        """Shape of the whole array."""
        return np.broadcast_shapes(*(np.shape(p) for t in self.terms for p in t if p is not None))

    def moved(self, change: Change) -> Held:
        """In another arrangement, closed or not."""
        if "closed" in vars(self):
            return Held.of(self.machine, change(self.closed))
        shape = self.shape
        return Held(
            self.machine,
            [
                (
                    change(np.broadcast_to(one, shape)),
                    None if other is None else change(np.broadcast_to(other, shape)),
                )
                for one, other in self.terms
            ],
        )


@dataclass
class OnMachine:
    """An `Arithmetic` that rounds as a machine does.

    Attributes:
        machine: How.
        decisions: λ at the open sites, (P, *shape).
        enclosures: The sites' values, if those say where a decision is open; where none is there,
            it is open where the number is a breakpoint.
    """

    machine: Machine
    decisions: Decisions = field(default_factory=dict)
    enclosures: Mapping[int, Enclosure] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """P."""
        return self.machine.genes.count

    def held(self, array: Array) -> Held:
        """Numbers that need no sum."""
        return Held.of(self.machine, array)

    def filled(self, value: float, shape: Shape) -> Held:
        """See `Arithmetic`, as all of these."""
        return self.held(np.full((self.count, *shape), value))

    def _terms(self, a: Held) -> list[Term]:
        if len(a.terms) > 1 and self.machine.ways.random() < 0.3:
            return [(a.closed, None)]
        return [(a.closed, None)] if "closed" in vars(a) else a.terms

    def add(self, a: Held, b: Held) -> Held:
        """a + b."""
        return Held(self.machine, [*self._terms(a), *self._terms(b)])

    def difference(self, a: Held, b: Held) -> Held:
        """a - b."""
        return self.held(self.machine.plus(a.closed, -b.closed))

    def mul(self, a: Held, b: Held) -> Held:
        """a ∘ b."""
        return Held(self.machine, [(a.closed, b.closed)])

    def times(self, a: Held, constants: tuple[Fraction, ...]) -> Held:
        """C a: each constant put to the terms, to two parts of the sum, or to the whole."""
        machine, ways = self.machine, self.machine.ways
        places = [int(ways.integers(0, 3)) for _ in constants]
        if len(a.terms) == 1 or "closed" in vars(a):
            places = [2] * len(places)
        by_place = [
            [c for c, at in zip(constants, places, strict=True) if at == k] for k in (0, 1, 2)
        ]
        if by_place[0] or by_place[1]:
            terms: list[Term] = a.terms
            if by_place[0]:
                shape = a.shape
                each = [np.broadcast_to(machine.total([term]), shape) for term in terms]
                terms = [(applied(machine, one, by_place[0]), None) for one in each]
            if by_place[1]:
                cut = int(ways.integers(1, len(terms)))
                parts = [machine.total(some) for some in (terms[:cut], terms[cut:])]
                terms = [(applied(machine, part, by_place[1]), None) for part in parts]
            return self.held(applied(machine, machine.total(terms), by_place[2]))
        return self.held(applied(machine, a.closed, by_place[2]))

    def contract(self, a: Held, b: Held) -> Held:
        """A B."""
        left, right = a.closed, b.closed
        return Held(
            self.machine,
            [(left[..., :, k, None], right[..., None, k, :]) for k in range(left.shape[-1])],
        )

    def sum(self, a: Held, axes: tuple[int, ...], keep: bool) -> Held:
        """Sums over axes."""
        array = np.moveaxis(a.closed, axes, range(-len(axes), 0))
        array = array.reshape(*array.shape[: array.ndim - len(axes)], -1)
        terms = [array[..., k] for k in range(array.shape[-1])]
        for axis in sorted(axes, reverse=True) if keep else ():
            terms = [np.expand_dims(term, axis) for term in terms]
        return Held(self.machine, [(term, None) for term in terms])

    def broadcast(self, a: Held, shape: Shape) -> Held:
        """Repeated."""

        def change(array: Array) -> Array:
            missing = len(shape) + 1 - array.ndim
            array = array.reshape(self.count, *[1] * missing, *array.shape[1:])
            return np.broadcast_to(array, (self.count, *shape))

        return a.moved(change)

    def expand(self, a: Held, axis: int) -> Held:
        """One more axis."""
        return a.moved(lambda array: np.expand_dims(array, axis))

    def squeeze(self, a: Held, axis: int) -> Held:
        """One axis less."""
        return a.moved(lambda array: np.squeeze(array, axis))

    def transpose(self, a: Held) -> Held:
        """The last two axes exchanged."""
        return a.moved(lambda array: array.swapaxes(-1, -2))

    def take(self, a: Held, indices: Places, source: Shape, shape: Shape) -> Held:
        """Entries by place."""

        def chosen(array: Array) -> Array:
            flat = array.reshape(self.count, math.prod(source))[:, indices.array]
            return np.where(indices.array < 0, 0.0, flat).reshape(self.count, *shape)

        return a.moved(chosen)

    def scatter(self, a: Held, indices: Places, source: Shape, shape: Shape) -> Held:
        """Entries added up by place; the terms of one that is open as they are."""
        size = math.prod(shape)
        terms: list[Term] = []
        for column in indices.by_place(size).array.reshape(size, -1).T:
            part = self.take(Held(self.machine, self._terms(a)), Places(column), source, shape)
            terms += part.terms
        return Held(self.machine, terms)

    def piecewise(self, z: Held, function: Piecewise) -> Held:
        """f(z)."""
        return self.held(valued(self.machine, function, z.closed))

    def select(self, site: int, z: Held, factor: Held, function: Piecewise) -> Held:
        """f'(z) ∘ factor."""
        number = z.closed
        lambda_ = self.decisions.get(site)
        lambda_ = np.zeros(number.shape) if lambda_ is None else lambda_
        slope_at = self.enclosures.get(site)
        factors = np.broadcast_to(factor.closed, number.shape)
        return self.held(selected(self.machine, function, number, factors, lambda_, slope_at))

    def either(self, a: Held, b: Held) -> Held:
        """One way or the other, each number for itself."""
        one, other = np.broadcast_arrays(a.closed, b.closed)
        bits = self.machine.genes.bits(one.shape[1:])
        return self.held(np.where((bits >> np.uint64(40)) % np.uint64(2) == 1, one, other))

    def updated(self, a: Held, axis: int, order: int) -> Held:
        """The mean, or the sum of squared deviations: parts merged in some order, or one by one."""
        machine, ways = self.machine, self.machine.ways
        each = np.moveaxis(a.closed, axis, 0)
        parts = [(1, x, np.zeros_like(x)) for x in each]
        while len(parts) > 1:
            (n, m, s) = parts.pop(int(ways.integers(0, len(parts))))
            (k, other, more) = parts.pop(int(ways.integers(0, len(parts))))
            share = machine.constant(Fraction(k, n + k))
            delta = machine.plus(other, -m)
            mean = machine.plus(m, machine.times(share, delta))
            if k == 1 and ways.random() < 0.5:
                added = machine.times(delta, machine.plus(other, -mean))
            else:
                square = machine.times(machine.times(delta, delta), share)
                added = machine.plus(more, machine.times(square, np.asarray(float(n))))
            parts.append((n + k, mean, machine.plus(s, added)))
        return self.held(np.expand_dims(parts[0][order], axis))

    def elementary(self, x: Held, function: Elementary, order: int, row: str) -> Held:
        """f^(k)(x)."""
        return self.held(erring(self.machine, function, order, x.closed))

    def total(self, e: Held, d: Held) -> Held:
        """A sum."""
        return self.sum(e, (-1,), True)

    def maximum(self, a: Held) -> Held:
        """The largest."""
        return self.held(self.machine.read(a.closed.max(axis=-1)))

    def detached(self, a: Held) -> Held:
        """See `Arithmetic`."""
        return a

    def vanishing(self, a: Held, s: Held) -> Held:
        """What is 0, or nearly, at the largest entry, or nowhere."""
        first = (a.closed.argmax(axis=-1)[..., None] == np.arange(a.closed.shape[-1])) * 1.0
        bits = self.machine.genes.bits(a.closed.shape[1:])
        kept = (bits >> np.uint64(40)) % np.uint64(2) == 1
        return self.held(np.where(kept, first * s.closed, 0.0))

    def largest(self, site: int, a: Held, factor: Held) -> Held:
        """The factor at the largest entry, or times weights where there may be several."""
        at = self.enclosures.get(site)
        numbers = a.closed if at is None else at.high
        first = (numbers.argmax(axis=-1)[..., None] == np.arange(numbers.shape[-1])) * 1.0
        weights = self.decisions.get(site)
        if weights is not None and at is not None:
            could = at.high + at.margin >= (at.high - at.margin).max(axis=-1, keepdims=True)
            first = np.where(could.sum(axis=-1, keepdims=True) == 1, first, weights)
        factors = np.broadcast_to(factor.closed, numbers.shape)
        return self.held(multiplied(self.machine, first, factors))
