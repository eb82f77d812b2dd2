"""The sums of a layer of one case, with eight of a row's products side by side.

A row of weights is read as it lies in memory and met by eight activations at a time. What the
eight lanes have added up is then added across: eight rows together, whose sums come out side by
side, one lane for each unit. Zeros fill the lanes that have no unit or no weight; adding a zero
rounds nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from crosscheck.judge.compiled.functions import called, inlined
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
from crosscheck.judge.compiled.records import Held, Sum
from crosscheck.judge.compiled.sums import NOT_FINITE, multiply_add, nothing_added, two_sum

__all__ = [
    "ROWS_TABLE",
    "Rows",
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


class Rows(NamedTuple):
    """Eight rows of weights, or fewer.

    Attributes:
        tag: A number of the type of the weights.
        weights: Address of the first row's.
        fan_in: How many a row has.
        units: How many rows there are.
        behind: From these weights to those that are looked at next, in bytes.
        table: Address of room for `ROWS_TABLE` `Lanes`.
    """

    tag: Any
    weights: int
    fan_in: int
    units: int
    behind: int
    table: int


@inlined
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


@inlined
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


@inlined
def _joined(highs: Any, lows: Any) -> Any:
    """The sums of two pairs of double words, ``low`` collecting what is rounded off."""
    high, lost = two_sum(highs[0], highs[1])
    return high, (lows[0] + lows[1]) + lost


@inlined
def _pair(table: int, high: int, low: int) -> Any:
    highs = split_by_one(load(table, high), load(table, high + 1))
    return _joined(highs, split_by_one(load(table, low), load(table, low + 1)))


@inlined
def sums_of_eight_in_two(table: int, high: int, low: int) -> Any:
    """`sums_of_eight` for double words, whose parts lie from ``high`` and ``low`` on."""
    first, second = _pair(table, high, low), _pair(table, high + 2, low + 2)
    third, fourth = _pair(table, high + 4, low + 4), _pair(table, high + 6, low + 6)
    one = _joined(split_by_two(first[0], second[0]), split_by_two(first[1], second[1]))
    two = _joined(split_by_two(third[0], fourth[0]), split_by_two(third[1], fourth[1]))
    return _joined(split_by_four(one[0], two[0]), split_by_four(one[1], two[1]))


@inlined
def across(lanes: Any) -> Any:
    """The sum of all eight numbers, in every lane."""
    one, two = split_by_one(lanes, lanes)
    both = one + two
    one, two = split_by_two(both, both)
    both = one + two
    one, two = split_by_four(both, both)
    return one + two


@inlined
def across_in_two(high: Any, low: Any) -> Any:
    """`across` for double words."""
    high, low = _joined(split_by_one(high, high), split_by_one(low, low))
    high, low = _joined(split_by_two(high, high), split_by_two(low, low))
    return _joined(split_by_four(high, high), split_by_four(low, low))


@inlined
def _with_products(
    found: Any, w: Any, size: Any, inputs: Held, at: int, exact: bool, splitter: Any
) -> Any:
    """What eight lanes have added up, with eight more products; ``size`` is |w|."""
    high, low, total, carried, smallest = found
    high, low = multiply_add(high, low, w, load(inputs.high, at), load(inputs.low, at), splitter)
    total = fused(absolute(w), load(inputs.reach, at), total)
    if not exact:
        carried = fused(absolute(w), load(inputs.error, at), carried)
    return high, low, total, carried, lesser(size, smallest)


@inlined
def _row(rows: Rows, k: int, inputs: Held, exact: bool, smallest: Any, splitter: Any) -> Any:
    """The ``k``-th row, which is written to the table; and the least magnitudes so far."""
    zero, step, fan_in = splat(0.0), bytes_of(rows.tag), rows.fan_in
    whole = fan_in // WIDTH * WIDTH
    left = first_lanes(fan_in - whole)
    row = rows.weights + step * k * fan_in
    for offset in range(0, step * fan_in, LINE):
        prefetch(row + rows.behind + offset)
    found = zero, zero, zero, zero, smallest
    for j in range(0, whole, WIDTH):
        w = read(rows.tag, row + step * j)
        found = _with_products(found, w, absolute(w), inputs, j // WIDTH, exact, splitter)
    if whole < fan_in:
        w = read_some(rows.tag, row + step * whole, left)
        size = where(left, absolute(w), splat(NOT_FINITE))
        found = _with_products(found, w, size, inputs, whole // WIDTH, exact, splitter)
    high, low, total, carried, smallest = found
    _put(rows.table, k, Sum(high, low, total, carried), exact)
    return smallest


@inlined
def _put(table: int, k: int, of: Sum, exact: bool) -> None:
    """Write what eight lanes have added up of the ``k``-th row."""
    store(table, _HIGH + k, of.high)
    store(table, _LOW + k, of.low)
    store(table, _TOTAL + k, of.total)
    if not exact:
        store(table, _CARRIED + k, of.carried)


@inlined
def add_rows(rows: Rows, inputs: Held, exact: bool, splitter: Any) -> Any:
    """Sums of products for eight units.

    Args:
        rows: Their weights.
        inputs: What is known of activations.
        exact: Whether none of them has an error.
        splitter: See `crosscheck.judge.compiled.records.Form`.

    Returns:
        Of each unit the sum; 0 in lanes without a unit. And the least magnitudes of weights, in no
        order.
    """
    zero, smallest, table = splat(0.0), splat(NOT_FINITE), rows.table
    for k in range(rows.units):
        smallest = _row(rows, k, inputs, exact, smallest, splitter)
    for k in range(rows.units, WIDTH):
        _put(table, k, nothing_added(), exact)
    total, carried = sums_of_eight(table, _TOTAL), zero
    if not exact:
        carried = sums_of_eight(table, _CARRIED)
    high, low = _summed(table, splitter)
    return Sum(high, low, total, carried), smallest


@inlined
def _summed(table: int, splitter: Any) -> Any:
    """The sums of eight rows, and their low parts if they have any."""
    if splitter is None:
        return sums_of_eight_in_two(table, _HIGH, _LOW)
    return sums_of_eight(table, _HIGH), splat(0.0)


@called
def count_rows(rows: Rows, reaches: int) -> Any:
    """Products that are not zero, and the least magnitude of a weight that is not, for eight units.

    Args:
        rows: Their weights.
        reaches: Address of the magnitudes of activations.
    """
    zero, one, big, step = splat(0.0), splat(1.0), splat(NOT_FINITE), bytes_of(rows.tag)
    table, fan_in = rows.table, rows.fan_in
    for k in range(rows.units):
        count, smallest = zero, big
        for j in range(0, fan_in, WIDTH):
            place = rows.weights + step * (k * fan_in + j)
            size = absolute(read_some(rows.tag, place, first_lanes(fan_in - j)))
            counts = (size > zero) & (load(reaches, j // WIDTH) > zero)
            count = count + where(counts, one, zero)
            smallest = lesser(where(size > zero, size, big), smallest)
        store(table, k, count)
        store(table, WIDTH + k, smallest)
    for k in range(rows.units, WIDTH):
        store(table, k, zero)
        store(table, WIDTH + k, big)
    return sums_of_eight(table, 0), least_of_eight(table, WIDTH)


@called
def grids_of_rows(rows: Rows, values: int, unknown: Any, enough: Any, eta: float) -> Any:
    """A power of two that divides every product of a unit, for eight units.

    The largest one; or, sooner, one that is too small for the certificate of exactness, as the
    largest is then too.

    Args:
        rows: The weights.
        values: Address of the activations.
        unknown: Where it is to be found out; elsewhere it is `NOT_FINITE`.
        enough: Below this it is too small,
        eta: unless it is below this: then no certificate tells.
    """
    zero, one, big, step = splat(0.0), splat(1.0), splat(NOT_FINITE), bytes_of(rows.tag)
    asked, fan_in = where(unknown, one, zero), rows.fan_in
    for k in range(WIDTH):
        fine = big
        if lane(asked, k) > 0.0:
            least = splat(lane(enough, k))
            for j in range(0, fan_in, WIDTH):
                place = rows.weights + step * (k * fan_in + j)
                w = read_some(rows.tag, place, first_lanes(fan_in - j))
                v = load(values, j // WIDTH)
                counts = ~((w == zero) | (v == zero))
                fine = lesser(where(counts, grid(w) * grid(v), big), fine)
                tells = (fine < least) & (fine >= splat(eta))
                if any_lane(tells):
                    fine = where(tells, fine, big)
                    break
        store(rows.table, k, fine)
    return least_of_eight(rows.table, 0)
