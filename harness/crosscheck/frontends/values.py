"""Operations on the values of a trace that several libraries have, whatever they call them.

Each takes the program in the making and its operands, `crosscheck.frontends.tracing.Value`s: the
rules of a library's primitives say in which of these they are. Entries that are certainly infinite
go through sums, products with constants, extremes and exponential functions; elsewhere they are
refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from crosscheck.frontends import verbs
from crosscheck.frontends.forms import folded
from crosscheck.frontends.tracing import Extended, Known, Tracing, Value, shape_of
from crosscheck.frontends.windows import extreme_over
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.piecewise import piecewise
from crosscheck.operators import sort
from crosscheck.program.graph import Var
from crosscheck.tools.errors import UnsupportedError

__all__ = [
    "absolute",
    "added",
    "argument",
    "clamped",
    "cumulative",
    "cumulative_sum",
    "exponential",
    "extreme",
    "extreme_along",
    "held",
    "in_order",
    "inverted",
    "joined",
    "negative",
    "powered",
    "product",
    "product_along",
    "sign_of",
    "sorted_along",
    "stepped",
    "subtracted",
    "top",
]

_ABSOLUTE = piecewise("abs", "|z|", "0", "0 -1", "0 1")


def _parts(t: Tracing, value: Value) -> tuple[Var, Array]:
    """The numbers, and ±∞ or NaN where they are that, else 0."""
    real = t.real(value)
    return (real.var, real.special) if isinstance(real, Extended) else (real, np.zeros(real.shape))


# -- number by number ----------------------------------------------------------------------------


def _linear(
    t: Tracing, a: Value, b: Value, write: Callable[[Var, Var], Var], plain: Callable[..., Any]
) -> Value:
    (one, first), (two, second) = _parts(t, a), _parts(t, b)
    with np.errstate(invalid="ignore"):
        special = plain(first, second)
    return t.extended(write(one, two), special)


def added(t: Tracing, a: Value, b: Value) -> Value:
    """a + b."""
    return _linear(t, a, b, verbs.add, np.add)


def subtracted(t: Tracing, a: Value, b: Value) -> Value:
    """a - b."""
    return _linear(t, a, b, verbs.subtract, np.subtract)


def negative(t: Tracing, x: Value) -> Value:
    """-x."""
    var, special = _parts(t, x)
    return t.extended(var.times(-1), -special)


def product(t: Tracing, a: Value, b: Value) -> Value:
    """a ∘ b; with the answer to a comparison it is a choice between the other and 0."""
    for mask, other in ((a, b), (b, a)):
        if isinstance(mask, Known) and mask.test is not None and not isinstance(other, Known):
            numbers = np.asarray(mask.array)
            if np.isin(numbers, (0, 1)).all():
                shape = np.broadcast_shapes(numbers.shape, shape_of(other))
                zero = Known(np.zeros(shape))
                return t.selected(Known(numbers != 0, mask.pairs, mask.test), other, zero)
    for value, other in ((a, b), (b, a)):
        if isinstance(value, Extended) and isinstance(other, Known):
            factor = np.asarray(other.array, np.float64)
            with np.errstate(invalid="ignore"):
                special = np.where(value.special != 0, value.special * factor, 0.0)
            return t.extended(verbs.multiply(value.var, t.lift(other)), special)
    return verbs.multiply(t.lift(a), t.lift(b))


def exponential(t: Tracing, x: Value) -> Value:
    """eˣ, 0 of -∞."""
    var, special = _parts(t, x)
    found = verbs.elementary("exp", var)
    if not special.any():
        return found
    if not (special <= 0).all():
        raise UnsupportedError("exp of an infinite or undefined number")
    return verbs.moved(found, lambda places: np.where(special == 0, places, -1))


def absolute(t: Tracing, x: Value) -> Value:
    """|x|."""
    return folded(t.lift(x).piecewise(_ABSOLUTE))


def powered(t: Tracing, x: Value, y: Value) -> Value:
    """x to a constant power."""
    exponents = np.unique(np.asarray(t.numbers(y), np.float64))
    if not isinstance(y, Known) or len(exponents) != 1:
        raise UnsupportedError("wanted one exponent that is a constant")
    return verbs.power(t.lift(x), float(exponents[0]))


def held(t: Tracing, x: Value) -> Value:
    """The same numbers, a constant to derivatives."""
    if isinstance(x, Extended):
        return Extended(x.var.held(), x.special)
    return x.held() if isinstance(x, Var) else x


# -- choices -------------------------------------------------------------------------------------


def extreme(t: Tracing, a: Value, b: Value, sign: int) -> Value:
    """The larger (``sign`` 1) or the smaller of two numbers."""
    for one, two in ((a, b), (b, a)):
        numbers = np.asarray(t.numbers(one)) if isinstance(one, Known) else None
        if numbers is not None and (numbers == -sign * np.inf).all():
            return two
    (one_, first), (two_, second) = _parts(t, a), _parts(t, b)
    if not (first.any() or second.any()):
        return folded(verbs.extreme(one_, two_, sign))
    chosen = np.maximum if sign > 0 else np.minimum
    numbers_ = chosen(t.numbers(a), t.numbers(b))
    shape = numbers_.shape
    alone = np.broadcast_to(second == -sign * np.inf, shape)
    other = np.broadcast_to(first == -sign * np.inf, shape)
    if not (alone | other | ~np.isfinite(numbers_)).all():
        raise UnsupportedError("max or min of numbers of which some are infinite")
    special = np.where(np.isfinite(numbers_), 0.0, numbers_)
    return t.extended(verbs.chosen(alone, one_, two_), special)


def clamped(t: Tracing, x: Value, low: Value | None, high: Value | None) -> Value:
    """min(max(x, low), high)."""
    found = x if low is None else extreme(t, x, low, 1)
    return found if high is None else extreme(t, found, high, -1)


def extreme_along(t: Tracing, x: Value, axes: Sequence[int], sign: int) -> Value:
    """The largest (``sign`` 1) or smallest number along axes, counted from the first."""
    var, special = _parts(t, x)
    if not special.any():
        return verbs.extreme_along(var, axes, sign)
    numbers = np.where(special == 0, 0.0, special)
    if np.isnan(special).any() or (special == sign * np.inf).any():
        raise UnsupportedError("an extreme of numbers of which one is NaN or infinite")
    places = np.where(numbers == 0, verbs.numbered(var.shape), -1)
    rest = [at for at in range(places.ndim) if at not in axes]
    lead = tuple(places.shape[at] for at in rest)
    rows = places.transpose([*rest, *axes]).reshape(math.prod(lead), -1)
    found, none = extreme_over(var, rows, sign)
    return t.extended(verbs.reshaped(found, lead), none.reshape(lead))


def stepped(t: Tracing, x: Value, write: Callable[[Any], Any], dtype: Any = None) -> Value:
    """A function with steps: known, as long as no number gets to the next step.

    Args:
        t: The program in the making.
        x: The numbers.
        write: ``np.floor``, ``np.ceil``, ``np.trunc`` or ``np.round``.
        dtype: Of the result.
    """
    numbers = np.asarray(t.numbers(x))
    found = write(numbers)
    var = t.lift(x)
    half = np.round is write
    ends = [found - 0.5, found + 0.5] if half else [np.floor(numbers), np.floor(numbers) + 1]
    pairs = tuple((var, t.lift(Known(each))) for each in ends)
    return Known(found if dtype is None else found.astype(dtype), pairs)


def sign_of(t: Tracing, x: Value) -> Value:
    """-1, 0 or 1."""
    numbers = np.sign(t.numbers(x))
    var = t.lift(x)
    return Known(numbers, () if t.is_data(var) else ((var, var.graph.zeros(var.shape)),))


def inverted(x: Known) -> Known:
    """True where something is false."""
    test = None if x.test is None else x.test.negated()
    return Known(np.logical_not(x.array), x.pairs, test)


def argument(t: Tracing, x: Value, axis: int, sign: int) -> Known:
    """Where the largest (``sign`` 1) or smallest is: known, as long as no other is."""
    numbers = np.asarray(t.numbers(x)) * sign
    best = np.argmax(numbers, axis)
    var = t.lift(x)
    count = numbers.shape[axis]
    if count < 2:
        return Known(best)
    places = np.moveaxis(verbs.numbered(var.shape), axis, -1)
    is_best = np.arange(count) == best[..., None]
    others = places[~is_best].reshape(*best.shape, count - 1)
    chosen = np.broadcast_to(places[is_best].reshape(*best.shape, 1), others.shape)
    pair = verbs.moved(var, lambda _: chosen), verbs.moved(var, lambda _: others)
    return Known(best, () if t.is_data(var) else (pair,))


# -- along axes ----------------------------------------------------------------------------------


def product_along(t: Tracing, x: Value, axes: Sequence[int]) -> Value:
    """Π over axes, one factor after the other."""
    found = t.lift(x)
    for axis in sorted(axes, reverse=True):
        parts = _slices(found, axis)
        shape = tuple(size for at, size in enumerate(found.shape) if at != axis)
        total = parts[0] if parts else found.graph.ones(shape)
        for each in parts[1:]:
            total = verbs.multiply(total, each)
        found = total
    return found


def _slices(x: Var, axis: int) -> list[Var]:
    def at(number: int) -> Callable[[Any], Any]:
        return lambda places: np.take(places, number, axis)

    return [verbs.moved(x, at(number)) for number in range(x.shape[axis])]


def cumulative_sum(t: Tracing, x: Value, axis: int, reverse: bool = False) -> Value:
    """Each a sum of its own, of what comes before it, in any order."""
    var = t.lift(x)
    count = var.shape[axis]
    taken = np.arange(count)[:, None] >= np.arange(count)
    taken = taken.T if reverse else taken

    def change(places: Any) -> Any:
        moved = np.moveaxis(places, axis, -1)
        return np.where(taken, moved[..., None, :], -1)

    found = verbs.moved(var, change).sum(-1)
    return verbs.moved(found, lambda places: np.moveaxis(places, -1, axis))


def cumulative(
    t: Tracing, x: Value, axis: int, step: Callable[[Var, Var], Var], reverse: bool = False
) -> Value:
    """Each made of the one before by a step."""
    parts = _slices(t.lift(x), axis)
    parts = parts[::-1] if reverse else parts
    found = parts[:1]
    for each in parts[1:]:
        found.append(step(found[-1], each))
    found = found[::-1] if reverse else found
    return t.moved_together(found, lambda *places: np.stack(places, axis))


def joined(t: Tracing, x: Sequence[Value], axis: int) -> Value:
    """One after the other along an axis, counted from the first."""
    if all(isinstance(each, Var) for each in x):
        return verbs.joined([t.lift(each) for each in x], axis)
    return t.moved_together(x, lambda *places: np.concatenate(places, axis))


# -- in order ------------------------------------------------------------------------------------


def sorted_along(t: Tracing, x: Value, axis: int) -> Value:
    """In ascending order, with ties as decisions."""
    var = t.lift(x)
    return sort.OPERATOR.expand(var, axis=axis - len(var.shape))


def in_order(t: Tracing, x: Sequence[Value], order: Any, axis: int) -> list[Value]:
    """Numbers in an order that was found by comparing the first of them."""

    def change(places: Any) -> Any:
        return np.take_along_axis(places, order, axis)

    keys = t.moved(x[0], change)
    pairs: tuple[tuple[Var, Var], ...] = ()
    if not isinstance(keys, Known) and order.shape[axis] > 1:
        var, count = t.lift(keys), order.shape[axis]
        neighbours = [_cut(var, axis, k, count - 1 + k) for k in (0, 1)]
        pairs = () if t.is_data(var) else ((neighbours[0], neighbours[1]),)
    found = []
    for each in x:
        there = t.moved(each, change)
        if isinstance(there, Known):
            there = Known(there.array, (*there.pairs, *pairs))
        else:
            t.note(pairs)
        found.append(there)
    return found


def _cut(x: Var, axis: int, begin: int, end: int) -> Var:
    return verbs.moved(x, lambda places: np.take(places, np.arange(begin, end), axis))


def top(t: Tracing, x: Value, count: int, axis: int, sign: int = 1) -> list[Value]:
    """The largest (``sign`` 1) or smallest numbers along an axis in order, and where they are."""
    order = np.argsort(-sign * np.asarray(t.numbers(x)), axis, kind="stable")
    found = in_order(t, [x, Known(places_along(order.shape, axis))], order, axis)
    return [t.moved(each, lambda at: np.take(at, range(count), axis)) for each in found]


def places_along(shape: Sequence[int], axis: int) -> Any:
    """The number of each entry along an axis."""
    return np.indices(tuple(shape))[axis]
