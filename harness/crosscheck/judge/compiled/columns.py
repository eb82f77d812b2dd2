"""The cotangents that a layer of one case passes down, with eight columns of weights side by side.

Weights are read as they lie in memory, row by row, those of live units only.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from crosscheck.judge.compiled.functions import called, inlined
from crosscheck.judge.compiled.lanes import (
    WIDTH,
    absolute,
    any_lane,
    first_lanes,
    grid,
    lesser,
    splat,
    where,
)
from crosscheck.judge.compiled.memory import broadcast, bytes_of, load, read_some, store, whole
from crosscheck.judge.compiled.records import Held, Known, Sum
from crosscheck.judge.compiled.sums import NOT_FINITE, nothing_added, plus_product

__all__ = [
    "Columns",
    "add_columns",
    "broadcast_known",
    "count_columns",
    "grids_of_columns",
    "sum_of",
]


class Columns(NamedTuple):
    """The weights of a layer's live units.

    Attributes:
        tag: A number of the type of the weights.
        weights: Address of the layer's.
        fan_in: Number of columns.
        order: Address of the units that are live, in order; behind ``fan_out`` of them, of those
            that are off.
        live: How many are live.
        table: Address of room for eight `Lanes`.
    """

    tag: Any
    weights: int
    fan_in: int
    order: int
    live: int
    table: int


@inlined
def broadcast_known(held: Held, i: int) -> Known:
    """What is known of the ``i``-th quantity, in every lane, where eight are held side by side."""
    high, low = broadcast(held.high, i), broadcast(held.low, i)
    return Known(high, low, broadcast(held.error, i), broadcast(held.reach, i))


@inlined
def add_columns(columns: Columns, first: int, cotangents: Held, splitter: Any) -> None:
    """Sums of weights times cotangents, for sixteen columns, which `sum_of` reads.

    Args:
        columns: The weights.
        first: The first of the sixteen, a multiple of it; there may be fewer.
        cotangents: What is known of δ.
        splitter: See `crosscheck.judge.compiled.records.Form`.
    """
    tag, fan_in, step = columns.tag, columns.fan_in, bytes_of(columns.tag)
    here, there = first_lanes(fan_in - first), first_lanes(fan_in - first - WIDTH)
    one, two = nothing_added(), nothing_added()
    for turn in range(columns.live):
        i = whole(columns.order, turn)
        place = columns.weights + step * (i * fan_in + first)
        d = broadcast_known(cotangents, i)
        w = read_some(tag, place, here)
        one = plus_product(one, w, absolute(w), d, splitter)
        w = read_some(tag, place + step * WIDTH, there)
        two = plus_product(two, w, absolute(w), d, splitter)
    _put(columns.table, 0, one)
    _put(columns.table, 4, two)


@inlined
def _put(table: int, at: int, of: Sum) -> None:
    store(table, at, of.high)
    store(table, at + 1, of.low)
    store(table, at + 2, of.total)
    store(table, at + 3, of.carried)


@inlined
def sum_of(columns: Columns, first: int) -> Sum:
    """The sums of eight columns, from the ``first`` on, of those that `add_columns` was for."""
    table, at = columns.table, 4 * (first // WIDTH % 2)
    return Sum(load(table, at), load(table, at + 1), load(table, at + 2), load(table, at + 3))


@called
def count_columns(columns: Columns, first: int) -> Any:
    """How many products are not zero, for eight columns; see `add_columns`."""
    zero, one, step = splat(0.0), splat(1.0), bytes_of(columns.tag)
    here, count = first_lanes(columns.fan_in - first), zero
    for turn in range(columns.live):
        i = whole(columns.order, turn)
        w = read_some(columns.tag, columns.weights + step * (i * columns.fan_in + first), here)
        count = count + where(w == zero, zero, one)
    return count


@called
def grids_of_columns(
    columns: Columns, first: int, values: int, unknown: Any, enough: Any, eta: float
) -> Any:
    """`crosscheck.judge.compiled.rows.grids_of_rows` for eight columns; see `add_columns`."""
    zero, big, step = splat(0.0), splat(NOT_FINITE), bytes_of(columns.tag)
    here, fine, left = first_lanes(columns.fan_in - first), big, unknown
    for turn in range(columns.live):
        i = whole(columns.order, turn)
        w = read_some(columns.tag, columns.weights + step * (i * columns.fan_in + first), here)
        v = broadcast(values, i)
        counts = ~((w == zero) | (v == zero))
        fine = where(left, lesser(where(counts, grid(w) * grid(v), big), fine), fine)
        left = left & ~((fine < enough) & (fine >= splat(eta)))
        if not any_lane(left):
            break
    return fine
