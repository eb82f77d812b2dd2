"""Programs in exactly simulated arithmetic: each primitive in every way that its rule allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from toy import Toy

from crosscheck.numbers.differentiable import Elementary
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.library import Stated
from crosscheck.numbers.piecewise import Piecewise, evaluated
from crosscheck.numbers.sides import Sides, sides_of

ZERO, HALF, ONE = Fraction(0), Fraction(1, 2), Fraction(1)


def multiplied(toy: Toy, factor: Fraction, value: Fraction) -> Fraction:
    """A product with a factor that may be left out or selected."""
    if factor in (0, 1, -1) and toy.rng.random() < 0.5:
        return factor * value
    return toy.times(factor, value)


def applied(toy: Toy, value: Fraction, constants: Sequence[Fraction]) -> Fraction:
    """A value times constants, in some order, some of them put together first."""
    waiting: list[tuple[bool, Fraction]] = []
    for c in toy.rng.sample(list(constants), len(constants)):
        whole = abs(c) < 1 and (1 / c).denominator == 1 and 1 / abs(c) <= toy.form.largest
        way = toy.rng.randrange(3) if whole else 0
        if way == 0:
            waiting.append((True, toy.rounded(c)))
        elif way == 1:
            waiting.append((True, toy.rounded(1 / toy.rounded(1 / c))))
        else:
            waiting.append((False, toy.rounded(1 / c)))
    while len(waiting) > 1 and toy.rng.random() < 0.4:
        (by, one), (also, other) = waiting.pop(), waiting.pop()
        if not by and not also and abs(one * other) > toy.form.largest / 2:
            waiting += [(by, one), (also, other)]
            break
        if by == also:
            waiting.append((by, toy.times(one, other)))
        else:
            top, bottom = (one, other) if by else (other, one)
            waiting.append((True, toy.rounded(toy.read(top) / bottom)))
    for by, c in waiting:
        value = toy.times(c, value) if by else toy.rounded(toy.read(value) / c)
    return value


def summed(toy: Toy, terms: Sequence[Any], constants: Sequence[Fraction]) -> Fraction:
    """Σ terms times constants, each put to terms, to partial sums or to the whole."""
    if len(terms) == 1:
        (term,) = terms
        value = toy.times(*term) if isinstance(term, tuple) else toy.read(term)
        return applied(toy, value, constants)
    here = [c for c in constants if toy.rng.random() < 0.5]
    rest = list(constants)
    for c in here:
        rest.remove(c)
    terms = toy.rng.sample(list(terms), len(terms))
    cut = toy.rng.randrange(1, len(terms))
    left, right = terms[:cut], terms[cut:]
    if len(left) == 1 and isinstance(left[0], tuple) and not rest and toy.rng.random() < 0.5:
        a, b = left[0]
        value = toy.rounded(toy.read(a) * toy.read(b) + toy.read(summed(toy, right, [])))
    else:
        value = toy.plus(summed(toy, left, rest), summed(toy, right, rest))
    return applied(toy, value, here)


# -- functions that are polynomials in pieces --------------------------------------------------


def valued(toy: Toy, function: Piecewise, z: Fraction) -> Fraction:
    """f(z) in some way."""
    ways = {"leaky_relu": _leak, "hard_sigmoid": _hard_sigmoid, "huber": _huber}
    ways["softshrink"] = _softshrink
    return ways.get(function.name, _of_trivial_pieces)(toy, function, z)


def _of_trivial_pieces(toy: Toy, function: Piecewise, z: Fraction) -> Fraction:
    points = [toy.rounded(point) for point in function.breakpoints]
    if len(points) == 2 and toy.rng.random() < 0.5:
        return toy.read(min(max(toy.read(z), points[0]), points[1]))
    piece = function.pieces[sum(z > point for point in points)]
    if any(piece[1:]):
        return piece[1] * toy.read(z)
    return toy.read(toy.rounded(piece[0]))


def _leak(toy: Toy, function: Piecewise, z: Fraction) -> Fraction:
    slope = toy.rounded(function.pieces[0][1])
    if toy.rng.random() < 0.5:
        return toy.read(z) if z > 0 else toy.times(slope, z)
    return toy.plus(max(z, ZERO), toy.times(slope, min(z, ZERO)))


def _hard_sigmoid(toy: Toy, _: Piecewise, z: Fraction) -> Fraction:
    if toy.rng.random() < 0.5:
        t = min(max(toy.plus(z, Fraction(3)), ZERO), Fraction(6))
        if toy.rng.random() < 0.5:
            return toy.rounded(toy.read(t) / 6)
        return toy.times(toy.rounded(Fraction(1, 6)), t)
    if toy.rng.random() < 0.5:
        t = toy.rounded(toy.read(z) / 6)
    else:
        t = toy.times(toy.rounded(Fraction(1, 6)), z)
    return min(max(toy.plus(t, HALF), ZERO), ONE)


def _huber(toy: Toy, function: Piecewise, d: Fraction) -> Fraction:
    delta = toy.rounded(function.breakpoints[1])
    way = toy.rng.randrange(4)
    if way == 0:
        q = min(max(d, -delta), delta)
        return toy.times(q, toy.plus(d, -toy.times(HALF, q)))
    if way == 1:
        q = min(abs(d), delta)
        square = toy.times(HALF, toy.times(q, q))
        return toy.plus(square, toy.times(delta, toy.plus(abs(d), -q)))
    if abs(d) <= delta:
        if way == 2:
            return toy.times(HALF, toy.times(d, d))
        return toy.times(toy.times(HALF, d), d)
    return toy.times(delta, toy.plus(abs(d), -toy.times(HALF, delta)))


def _softshrink(toy: Toy, _: Piecewise, z: Fraction) -> Fraction:
    if toy.rng.random() < 0.5:
        return toy.plus(z, -HALF) if z > HALF else toy.plus(z, HALF) if z < -HALF else ZERO
    return max(toy.plus(abs(z), -HALF), ZERO) * (1 if z > 0 else -1)


def at(function: Piecewise, z: Fraction) -> Fraction:
    """f(z) exactly; at a jump that of the left piece."""
    return evaluated(function.pieces[sum(z > point for point in function.breakpoints)], z)


def selected(toy: Toy, function: Piecewise, z: Fraction, g: Fraction) -> Fraction:
    """f'(z) g in some way, by the framework's own comparisons."""
    points = [toy.rounded(point) for point in function.breakpoints]
    if function.name == "huber":
        delta = points[1]
        if toy.rng.random() < 0.5:
            return toy.times(min(max(z, -delta), delta), g)
        if abs(z) > delta:
            return toy.times(delta, g) * (1 if z > 0 else -1)
        left = toy.times(toy.times(HALF, z), g)
        return toy.times(Fraction(2), left) if toy.rng.random() < 0.5 else toy.plus(left, left)
    piece = sum(z > point for point in points)
    if function.name == "hard_sigmoid":
        t = toy.plus(z, Fraction(3))
        if toy.rng.random() < 0.5:
            t = toy.times(Fraction(6), toy.plus(toy.rounded(toy.read(z) / 6), HALF))
        piece = (t > 0) + (t >= 6)
        if piece == 1 and toy.rng.random() < 0.5:
            return toy.rounded(toy.read(g) / 6)
    return multiplied(toy, toy.rounded(function.derivative.pieces[piece][0]), g)


def mixed(
    toy: Toy, left: Fraction, right: Fraction, weight: Fraction, factor: Fraction
) -> Fraction:
    """A slope between two times a factor, in some way."""
    if weight in (0, 1):
        return multiplied(toy, toy.rounded(right if weight else left), factor)
    one, other = toy.rounded(left), toy.rounded(right)
    if weight == HALF and toy.rng.random() < 0.5:
        return toy.times(toy.times(HALF, toy.plus(one, other)), factor)
    step = toy.times(weight, toy.plus(other, -one))
    return toy.times(toy.plus(one, step), factor)


def open_jump(sides: Sides, function: Piecewise, index: tuple[int, ...]) -> int | None:
    """The first breakpoint that is open there and where the derivative jumps."""
    for k, jumps in enumerate(function.derivative.jumps):
        if jumps and sides.first[index] <= k < sides.last[index]:
            return k
    return None


# -- whole programs ----------------------------------------------------------------------------


class Held:
    """An array of sums that are still open, or of numbers.

    Attributes:
        toy: What closes them.
        terms: An object array of tuples of terms: numbers, or pairs for products.
    """

    def __init__(self, toy: Toy, terms: Any) -> None:
        self.toy, self.terms = toy, terms

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        shape: tuple[int, ...] = self.terms.shape
        return shape

    @cached_property
    def closed(self) -> Any:
        """The numbers, which stay as they are from now on."""
        return mapped(self._sum, self.terms)

    def _sum(self, terms: Any) -> Fraction:
        (first, *rest) = terms
        if rest or isinstance(first, tuple):
            return summed(self.toy, terms, [])
        found: Fraction = first  # which has only been put somewhere else
        return found

    def moved(self, change: Any) -> Held:
        """In another arrangement, closed or not."""
        if "closed" in vars(self):
            return held(self.toy, change(self.closed))
        return Held(self.toy, change(self.terms))


def mapped(function: Any, *arrays: Any) -> Any:
    """Entry by entry, with broadcasting; an object array."""
    each = np.broadcast(*arrays)
    found = np.empty(each.shape, dtype=object)
    for index, entries in zip(np.ndindex(each.shape), each, strict=True):
        found[index] = function(*entries)
    return found


def held(toy: Toy, numbers: Any) -> Held:
    """Numbers that need no sum."""
    return Held(toy, mapped(lambda value: (value,), numbers))


def given(toy: Toy, array: Any) -> Held:
    """Data."""
    return held(toy, np.vectorize(lambda v: Fraction(float(v)), otypes=[object])(array))


@dataclass
class OnToy:
    """An `Arithmetic` that rounds as a toy does.

    Attributes:
        toy: How.
        decisions: λ at the open sites.
        enclosures: The sites' values, which say where they are open.
    """

    toy: Toy
    decisions: Mapping[int, Any]
    enclosures: Mapping[int, Enclosure]

    def filled(self, value: float, shape: Any) -> Held:
        """See `Arithmetic`, as all of these."""
        return given(self.toy, np.full(shape, value))

    def _terms(self, a: Held) -> Any:
        return held(self.toy, a.closed).terms if self.toy.rng.random() < 0.3 else a.terms

    def add(self, a: Held, b: Held) -> Held:
        """a + b."""
        return Held(self.toy, mapped(lambda x, y: x + y, self._terms(a), self._terms(b)))

    def difference(self, a: Held, b: Held) -> Held:
        """a - b."""
        return held(self.toy, mapped(lambda x, y: self.toy.plus(x, -y), a.closed, b.closed))

    def mul(self, a: Held, b: Held) -> Held:
        """a ∘ b."""
        return Held(self.toy, mapped(lambda x, y: ((x, y),), a.closed, b.closed))

    def times(self, a: Held, constants: Any) -> Held:
        """C a."""
        return held(self.toy, mapped(lambda x: summed(self.toy, x, constants), self._terms(a)))

    def contract(self, a: Held, b: Held) -> Held:
        """A B."""
        left, right = a.closed[..., :, None, :], b.closed.swapaxes(-1, -2)[..., None, :, :]
        pairs = mapped(lambda x, y: (x, y), left, right)
        return Held(self.toy, _gathered(pairs))

    def sum(self, a: Held, axes: Any, keep: bool) -> Held:
        """Sums over axes."""
        found = np.moveaxis(a.closed, axes, range(-len(axes), 0))
        found = _gathered(found.reshape(*found.shape[: found.ndim - len(axes)], -1))
        for axis in sorted(axes, reverse=True) if keep else ():
            found = np.expand_dims(found, axis)
        return Held(self.toy, found)

    def broadcast(self, a: Held, shape: Any) -> Held:
        """Repeated."""
        return a.moved(lambda array: np.broadcast_to(array, shape))

    def expand(self, a: Held, axis: int) -> Held:
        """One more axis."""
        return a.moved(lambda array: np.expand_dims(array, axis))

    def squeeze(self, a: Held, axis: int) -> Held:
        """One axis less."""
        return a.moved(lambda array: np.squeeze(array, axis))

    def transpose(self, a: Held) -> Held:
        """The last two axes exchanged."""
        return a.moved(lambda array: array.swapaxes(-1, -2))

    def take(self, a: Held, indices: Any, source: Any, shape: Any) -> Held:
        """Entries by place."""
        places = np.array(indices)
        found = a.closed.ravel()[places]
        found[places < 0] = ZERO
        return held(self.toy, found.reshape(shape))

    def scatter(self, a: Held, indices: Any, source: Any, shape: Any) -> Held:
        """Entries added up by place."""
        found = np.empty(int(np.prod(shape)), dtype=object)
        for place in range(found.size):
            entries = a.closed.ravel()[[at for at, to in enumerate(indices) if to == place]]
            found[place] = tuple(entries) or (ZERO,)
        return Held(self.toy, found.reshape(shape))

    def total(self, e: Held, d: Held) -> Held:
        return self.sum(e, (-1,), True)

    def maximum(self, a: Held) -> Held:
        """The largest."""
        return held(self.toy, mapped(self.toy.read, a.closed.max(axis=-1)))

    def detached(self, a: Held) -> Held:
        """See `Arithmetic`."""
        return a

    def vanishing(self, a: Held, s: Held) -> Held:
        """What is left of 0, at the first of the largest entries or nowhere."""
        first = (a.closed.argmax(axis=-1)[..., None] == np.arange(a.shape[-1])).astype(int)
        taken = self.toy.rng.choice([0, 1])
        return held(self.toy, mapped(lambda w, x: taken * w * x, first, s.closed))

    def largest(self, site: int, a: Held, factor: Held) -> Held:
        """The factor at the largest entry; if several may be that, where the reference has it."""
        chosen = self.enclosures[site].high.argmax(axis=-1)[..., None] == np.arange(a.shape[-1])
        return held(self.toy, mapped(lambda w, x: x if w else ZERO, chosen, factor.closed))

    def piecewise(self, z: Held, function: Piecewise) -> Held:
        """f(z)."""
        return held(self.toy, mapped(lambda x: valued(self.toy, function, x), z.closed))

    def updated(self, a: Held, axis: int, order: int) -> Held:
        raise NotImplementedError

    def either(self, a: Held, b: Held) -> Held:
        """One way or the other."""
        one, other = np.broadcast_arrays(a.closed, b.closed)
        return held(self.toy, mapped(lambda x, y: self.toy.rng.choice([x, y]), one, other))

    def elementary(self, x: Held, function: Elementary, order: int, row: str) -> Held:
        """f^(k)(x), by as many roundings as the library that is simulated may err."""
        return held(
            self.toy, mapped(lambda each: _erring(self.toy, function, order, each), x.closed)
        )

    def select(self, site: int, z: Held, factor: Held, function: Piecewise) -> Held:
        """f'(z) ∘ factor."""
        sides = sides_of(self.enclosures[site], function)
        found = np.empty(z.shape, dtype=object)
        numbers: Any = z.closed
        factors: Any = np.broadcast_to(factor.closed, z.shape)
        for index in np.ndindex(z.shape):
            k = open_jump(sides, function, index)
            if k is None:
                found[index] = selected(self.toy, function, numbers[index], factors[index])
                continue
            left, right = function.derivative.pieces[k][0], function.derivative.pieces[k + 1][0]
            weight = Fraction(float(self.decisions[site][index])) if site in self.decisions else 0
            found[index] = mixed(self.toy, left, right, Fraction(weight), factors[index])
        return held(self.toy, found)


def _erring(toy: Toy, function: Elementary, order: int, x: Fraction) -> Fraction:
    """f^(k)(x) of `Stated`, a derivative by a rounding more."""
    at = np.array([float(toy.read(x))])
    value = Fraction(float(function.floats(at, order)[0]))
    count = Stated().roundings(function.name, order, toy.form.name) + (order > 0)
    room = Fraction(count * toy.form.unit_roundoff * float(function.scale(at, order)[0]))
    moved = toy.rounded(value + room * Fraction(toy.rng.choice([-8, -8, 8, 8, 0, 4]), 8))
    return moved if abs(moved - value) <= room else toy.rounded(value)


def _gathered(terms: Any) -> Any:
    """The entries along the last axis as tuples."""
    found = np.empty(terms.shape[:-1], dtype=object)
    for index in np.ndindex(found.shape):
        found[index] = tuple(terms[index])
    return found
