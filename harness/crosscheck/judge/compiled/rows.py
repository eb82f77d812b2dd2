"""The sums of a layer of one case, with eight of a row's products side by side.

A row of weights is read as it lies in memory and met by eight activations at a time. What the
eight lanes have added up is then added across: eight rows together, whose sums come out side by
side, one lane for each unit. Zeros fill the lanes that have no unit or no weight; adding a zero
rounds nothing.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from crosscheck.judge.compiled.lanes import (
    WIDTH,
    absolute,
    any_lane,
    first_lanes,
    fused,
    grid,
    lane,
    lesser,
    splat,
    split_by_four,
    split_by_one,
    split_by_two,
    where,
)
from crosscheck.judge.compiled.memory import LINE, bytes_of, load, prefetch, read, read_some, store
from crosscheck.judge.compiled.sums import multiply_add, two_sum

__all__ = [
    "ROWS_TABLE",
    "across",
    "across_in_two",
    "add_rows",
    "count_rows",
    "grids_of_rows",
    "least_of_eight",
    "sums_of_eight",
    "sums_of_eight_in_two",
]

ROWS_TABLE = 4 * WIDTH
"""How many `Lanes` `add_rows` writes."""

_HIGH, _LOW, _TOTAL, _CARRIED = range(0, ROWS_TABLE, WIDTH)


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def sums_of_eight(table: int, at: int) -> Any:
    """In lane k the sum of the k-th of eight `Lanes`."""
    one, two = split_by_one(load(table, at), load(table, at + 1))
    first = one + two
    one, two = split_by_one(load(table, at + 2), load(table, at + 3))
    second = one + two
    one, two = split_by_one(load(table, at + 4), load(table, at + 5))
    third = one + two
    one, two = split_by_one(load(table, at + 6), load(table, at + 7))
    fourth = one + two
    one, two = split_by_two(first, second)
    first = one + two
    one, two = split_by_two(third, fourth)
    second = one + two
    one, two = split_by_four(first, second)
    return one + two


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def least_of_eight(table: int, at: int) -> Any:
    """In lane k the least number of the k-th of eight `Lanes`."""
    one, two = split_by_one(load(table, at), load(table, at + 1))
    first = lesser(one, two)
    one, two = split_by_one(load(table, at + 2), load(table, at + 3))
    second = lesser(one, two)
    one, two = split_by_one(load(table, at + 4), load(table, at + 5))
    third = lesser(one, two)
    one, two = split_by_one(load(table, at + 6), load(table, at + 7))
    fourth = lesser(one, two)
    one, two = split_by_two(first, second)
    first = lesser(one, two)
    one, two = split_by_two(third, fourth)
    second = lesser(one, two)
    one, two = split_by_four(first, second)
    return lesser(one, two)


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _joined(highs: Any, lows: Any) -> Any:
    """The sums of two pairs of double words, ``low`` collecting what is rounded off."""
    high, lost = two_sum(highs[0], highs[1])
    return high, (lows[0] + lows[1]) + lost


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _pair(table: int, high: int, low: int) -> Any:
    highs = split_by_one(load(table, high), load(table, high + 1))
    return _joined(highs, split_by_one(load(table, low), load(table, low + 1)))


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def sums_of_eight_in_two(table: int, high: int, low: int) -> Any:
    """`sums_of_eight` for double words, whose parts lie from ``high`` and ``low`` on."""
    first, second = _pair(table, high, low), _pair(table, high + 2, low + 2)
    third, fourth = _pair(table, high + 4, low + 4), _pair(table, high + 6, low + 6)
    one = _joined(split_by_two(first[0], second[0]), split_by_two(first[1], second[1]))
    two = _joined(split_by_two(third[0], fourth[0]), split_by_two(third[1], fourth[1]))
    return _joined(split_by_four(one[0], two[0]), split_by_four(one[1], two[1]))


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def across(lanes: Any) -> Any:
    """The sum of all eight numbers, in every lane."""
    one, two = split_by_one(lanes, lanes)
    both = one + two
    one, two = split_by_two(both, both)
    both = one + two
    one, two = split_by_four(both, both)
    return one + two


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def across_in_two(high: Any, low: Any) -> Any:
    """`across` for double words."""
    high, low = _joined(split_by_one(high, high), split_by_one(low, low))
    high, low = _joined(split_by_two(high, high), split_by_two(low, low))
    return _joined(split_by_four(high, high), split_by_four(low, low))


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _with_products(
    found: Any, w: Any, size: Any, inputs: Any, at: int, exact: bool, splitter: Any
) -> Any:
    """What eight lanes have added up, with eight more products; ``size`` is |w|."""
    high, low, total, carried, smallest = found
    a_high, a_low, a_error, a_reach = inputs
    high, low = multiply_add(high, low, w, load(a_high, at), load(a_low, at), splitter)
    total = fused(absolute(w), load(a_reach, at), total)
    if not exact:
        carried = fused(absolute(w), load(a_error, at), carried)
    return high, low, total, carried, lesser(size, smallest)


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def add_rows(
    tag: Any,
    weights: int,
    fan_in: int,
    units: int,
    inputs: Any,
    at: int,
    exact: bool,
    big: Any,
    behind: int,
    table: int,
    splitter: Any,
) -> Any:
    """Sums of products for eight units.

    Args:
        tag: A number of the type of the weights.
        weights: Address of the first unit's.
        fan_in: How many a unit has.
        units: How many units there are, eight at the most.
        inputs: Addresses of high and low parts, bounds and magnitudes of activations.
        at: Where the layer's begin, in `Lanes`.
        exact: Whether none of them has an error.
        big: More than any weight.
        behind: From these weights to those that are looked at next, in bytes.
        table: Address of room for `ROWS_TABLE` `Lanes`.
        splitter: See `crosscheck.judge.compiled.kernel.judge_group`.

    Returns:
        Of each unit the sum, its low part, the sum of magnitudes, and that of carried errors; 0 in
        lanes without a unit. And the least magnitudes of weights, in no order.
    """
    zero, step = splat(0.0), bytes_of(tag)
    whole = fan_in // WIDTH * WIDTH
    left = first_lanes(fan_in - whole)
    smallest = big
    for k in range(units):
        row = weights + step * k * fan_in
        for offset in range(0, step * fan_in, LINE):
            prefetch(row + behind + offset)
        found = zero, zero, zero, zero, smallest
        for j in range(0, whole, WIDTH):
            w = read(tag, row + step * j)
            found = _with_products(found, w, absolute(w), inputs, at + j // WIDTH, exact, splitter)
        if whole < fan_in:
            w = read_some(tag, row + step * whole, left)
            size = where(left, absolute(w), big)
            found = _with_products(found, w, size, inputs, at + whole // WIDTH, exact, splitter)
        high, low, total, carried, smallest = found
        store(table, _HIGH + k, high)
        store(table, _LOW + k, low)
        store(table, _TOTAL + k, total)
        if not exact:
            store(table, _CARRIED + k, carried)
    for k in range(units, WIDTH):
        store(table, _HIGH + k, zero)
        store(table, _LOW + k, zero)
        store(table, _TOTAL + k, zero)
        if not exact:
            store(table, _CARRIED + k, zero)
    total, carried = sums_of_eight(table, _TOTAL), zero
    if not exact:
        carried = sums_of_eight(table, _CARRIED)
    if splitter is None:
        high, low = sums_of_eight_in_two(table, _HIGH, _LOW)
        return high, low, total, carried, smallest
    return sums_of_eight(table, _HIGH), zero, total, carried, smallest


@njit  # type: ignore[untyped-decorator]
def count_rows(
    tag: Any, weights: int, fan_in: int, units: int, a_reach: int, at: int, big: Any, table: int
) -> Any:
    """Products that are not zero, and the least magnitude of a weight that is not, for eight units.

    The arguments are those of `add_rows`.
    """
    zero, one, step = splat(0.0), splat(1.0), bytes_of(tag)
    for k in range(units):
        count, smallest = zero, big
        for j in range(0, fan_in, WIDTH):
            w = read_some(tag, weights + step * (k * fan_in + j), first_lanes(fan_in - j))
            size = absolute(w)
            counts = (size > zero) & (load(a_reach, at + j // WIDTH) > zero)
            count = count + where(counts, one, zero)
            smallest = lesser(where(size > zero, size, big), smallest)
        store(table, k, count)
        store(table, WIDTH + k, smallest)
    for k in range(units, WIDTH):
        store(table, k, zero)
        store(table, WIDTH + k, big)
    return sums_of_eight(table, 0), least_of_eight(table, WIDTH)


@njit  # type: ignore[untyped-decorator]
def grids_of_rows(
    tag: Any,
    weights: int,
    fan_in: int,
    unknown: Any,
    enough: Any,
    eta: float,
    a_high: int,
    at: int,
    big: Any,
    table: int,
) -> Any:
    """A power of two that divides every product of a unit, for eight units.

    The largest one; or, sooner, one that is too small for the certificate of exactness, as the
    largest is then too.

    Args:
        tag: See `add_rows`.
        weights: See `add_rows`.
        fan_in: See `add_rows`.
        unknown: Where it is to be found out; elsewhere it is ``big``.
        enough: Below this it is too small,
        eta: unless it is below this: then no certificate tells.
        a_high: Address of the activations.
        at: See `add_rows`.
        big: See `add_rows`.
        table: See `add_rows`.
    """
    zero, one, step = splat(0.0), splat(1.0), bytes_of(tag)
    asked = where(unknown, one, zero)
    for k in range(WIDTH):
        fine = big
        if lane(asked, k) > 0.0:
            least = splat(lane(enough, k))
            for j in range(0, fan_in, WIDTH):
                w = read_some(tag, weights + step * (k * fan_in + j), first_lanes(fan_in - j))
                v = load(a_high, at + j // WIDTH)
                counts = ~((w == zero) | (v == zero))
                fine = lesser(where(counts, grid(w) * grid(v), big), fine)
                tells = (fine < least) & (fine >= splat(eta))
                if any_lane(tells):
                    fine = where(tells, fine, big)
                    break
        store(table, k, fine)
    return least_of_eight(table, 0)
