"""What follows from a layer's cotangent, in one case, with eight columns side by side.

The gradients of wide layers, and their weights, are read as they lie in memory, row by row.
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
    greater,
    grid,
    lesser,
    peak,
    reciprocal,
    splat,
    where,
)
from crosscheck.judge.compiled.memory import (
    LINE,
    any_bit,
    broadcast,
    bytes_of,
    differs,
    load,
    prefetch,
    raw,
    read,
    read_some,
    store,
    united,
)
from crosscheck.judge.compiled.sums import fits, multiply_add

__all__ = ["add_columns", "compare_lanes", "compare_layer", "count_columns", "grids_of_columns"]


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _gap(value: Any, entry: Any, splitter: Any) -> Any:
    """How far numbers are from the reference."""
    product, product_low, _ = entry
    gap = value - product
    if splitter is None:
        gap = gap - product_low
    return absolute(gap)


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _exceeds(value: Any, entry: Any, so_far: Any, splitter: Any) -> Any:
    """Where numbers are further from the reference than ``so_far`` bounds."""
    return ~(_gap(value, entry, splitter) <= so_far * entry[2])


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _risen(value: Any, entry: Any, so_far: Any, splitter: Any) -> Any:
    """The largest error / bound, with some more numbers; infinite where one is above 1."""
    gap, bound = _gap(value, entry, splitter), entry[2]
    ratio = where(gap <= bound, gap * reciprocal(bound), splat(float("inf")))
    return greater(ratio, so_far)


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def compare_lanes(value: Any, entry: Any, best: int, f: int, splitter: Any) -> None:
    """Compare eight numbers of framework ``f`` with (value, low part, bound) of each."""
    so_far = load(best, f)
    if any_lane(_exceeds(value, entry, so_far, splitter)):
        store(best, f, peak(_risen(value, entry, so_far, splitter)))


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _column(inputs: Any, place: int, lost: Any, splitter: Any) -> Any:
    """What is known of eight activations, the first of which lies ``place`` bytes on.

    Returns:
        The activations, their bounds and magnitudes, and their low parts or, if there are none,
        what a product may lose by underflow.
    """
    a_high, a_low, a_error, a_reach = inputs
    high, error = load(a_high + place, 0), load(a_error + place, 0)
    reach = load(a_reach + place, 0)
    if splitter is None:
        return high, error, reach, load(a_low + place, 0)
    return high, error, reach, where(reach > splat(0.0), lost, splat(0.0))


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _entry(column: Any, cotangent: Any, some_exact: bool, splitter: Any) -> Any:
    """Product, its low part, and bound of eight entries of δ aᵀ."""
    a, a_e, a_r, other = column
    high, low, magnitude, slope = cotangent
    bound = fused(magnitude, a_e, slope * a_r)
    product, product_low = high * a, splat(0.0)
    if splitter is None:
        product_low = fused(high, other, fused(low, a, fused(high, a, -product)))
    else:
        bound = bound + other
    if some_exact:
        alone = (a_r > splat(0.0)) & (a_e == splat(0.0))
        bound = where(alone & fits(product, product_low, splitter), splat(0.0), bound)
    return product, product_low, bound


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _cotangent(cotangents: Any, i: int, u: Any, keep: Any) -> Any:
    """What is known of the ``i``-th cotangent, for `_entry`; and whether it is exact."""
    d_high, d_low, d_error, d_reach = cotangents
    high, low = broadcast(d_high, i), broadcast(d_low, i)
    reach, error = broadcast(d_reach, i), broadcast(d_error, i)
    some_exact = any_lane(error == splat(0.0))
    return (high, low, absolute(high) * keep, (error + u * reach) * keep), some_exact


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _compare_wide(
    tag: Any,
    four: bool,
    block: int,
    fan_in: int,
    inputs: Any,
    at: int,
    cotangents: Any,
    order: Any,
    live: int,
    fan_out: int,
    places: Any,
    behind: int,
    best: int,
    frameworks: int,
    u: Any,
    lost: Any,
    keep: Any,
    splitter: Any,
) -> None:
    """`compare_layer` for four blocks of eight columns, or two.

    The last block may be looked at twice, and overlaps the one before where eight do not divide.
    """
    zero, step = splat(0.0), bytes_of(tag)
    last, final = (fan_in - 1) // WIDTH, fan_in - WIDTH
    first, second = min(WIDTH * block, final), min(WIDTH * min(block + 1, last), final)
    third = min(WIDTH * min(block + 2, last), final)
    fourth = min(WIDTH * min(block + 3, last), final)
    start = 8 * WIDTH * at
    a_1 = _column(inputs, start + 8 * first, lost, splitter)
    a_2 = _column(inputs, start + 8 * second, lost, splitter)
    a_3, a_4 = a_2, a_2
    if four:
        a_3 = _column(inputs, start + 8 * third, lost, splitter)
        a_4 = _column(inputs, start + 8 * fourth, lost, splitter)
    at_1, at_2, at_3, at_4 = step * first, step * second, step * third, step * fourth
    alike = -1  # bit f: framework f has given the same bits as the one before it
    for turn in range(live):
        i = order[turn]
        cotangent, some_exact = _cotangent(cotangents, i, u, keep)
        row = step * i * fan_in
        one = _entry(a_1, cotangent, some_exact, splitter)
        two = _entry(a_2, cotangent, some_exact, splitter)
        three, last_one = two, two
        if four:
            three = _entry(a_3, cotangent, some_exact, splitter)
            last_one = _entry(a_4, cotangent, some_exact, splitter)
        above = zero > zero
        for f in range(frameworks):
            place = places[f] + row
            prefetch(place + behind + at_1)
            if step == 8:
                prefetch(place + behind + at_2)
            if four:
                prefetch(place + behind + at_3)
                if step == 8:
                    prefetch(place + behind + at_4)
            so_far = load(best, f)
            if f and alike >> f & 1:
                other = places[f - 1] + row
                unlike = differs(tag, place + at_1, other + at_1)
                unlike = unlike | differs(tag, place + at_2, other + at_2)
                if four:
                    unlike = unlike | differs(tag, place + at_3, other + at_3)
                    unlike = unlike | differs(tag, place + at_4, other + at_4)
                if any_lane(unlike):
                    alike = alike & ~(1 << f)
                elif not any_lane(so_far < load(best, f - 1)):
                    continue  # it exceeds nothing that the other one does not exceed
            above = above | _exceeds(read(tag, place + at_1), one, so_far, splitter)
            above = above | _exceeds(read(tag, place + at_2), two, so_far, splitter)
            if four:
                above = above | _exceeds(read(tag, place + at_3), three, so_far, splitter)
                above = above | _exceeds(read(tag, place + at_4), last_one, so_far, splitter)
        if any_lane(above):
            for f in range(frameworks):
                place, most = places[f] + row, load(best, f)
                most = _risen(read(tag, place + at_1), one, most, splitter)
                most = _risen(read(tag, place + at_2), two, most, splitter)
                if four:
                    most = _risen(read(tag, place + at_3), three, most, splitter)
                    most = _risen(read(tag, place + at_4), last_one, most, splitter)
                store(best, f, peak(most))


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _are_zero(
    tag: Any, start: int, row: int, order: Any, live: int, fan_out: int, behind: int
) -> bool:
    """Whether the rows of units that are off are all zeros, exactly, in a framework's gradient.

    Args:
        tag: See `compare_layer`.
        start: Address of the gradient.
        row: Bytes of a row.
        order: See `compare_layer`.
        live: See `compare_layer`.
        fan_out: See `compare_layer`.
        behind: See `compare_layer`.
    """
    found, step = splat(0.0), bytes_of(tag)
    for turn in range(live, fan_out):
        place = start + row * order[fan_out + turn - live]
        if row < LINE:
            for k in range(0, row, step * WIDTH):
                columns = first_lanes((row - k) // step)
                found = united(found, read_some(tag, place + k, columns))
            continue
        for offset in range(0, row - LINE + 1, LINE):
            prefetch(place + offset + behind)
            found = united(found, raw(place + offset))
        if row % LINE:
            prefetch(place + row - LINE + behind)
            found = united(found, raw(place + row - LINE))
    return not any_bit(tag, found)


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def compare_layer(
    tag: Any,
    fan_in: int,
    inputs: Any,
    at: int,
    cotangents: Any,
    order: Any,
    live: int,
    fan_out: int,
    places: Any,
    behind: int,
    best: int,
    frameworks: int,
    u: Any,
    lost: Any,
    keep: Any,
    splitter: Any,
) -> None:
    """Compare δ aᵀ of one row, 16 or 32 columns together.

    Nearly all entries stay below the largest error / bound so far, which is found without a
    division. And frameworks that share a compiler often give the same bits: as long as they do,
    the second has what the first has.

    Args:
        tag: A number of the type of the gradients.
        fan_in: Number of activations.
        inputs: Addresses of their values, low parts, bounds and magnitudes.
        at: Where the layer's begin, in `Lanes`.
        cotangents: Addresses of the same for δ.
        order: Units that are live, in order, and from ``fan_out`` on those that are off.
        live: How many are live.
        fan_out: Number of units.
        places: Address of each framework's gradient.
        behind: From there to that of the next case, in bytes.
        best: Each framework's largest error / bound so far, in every lane.
        frameworks: How many there are.
        u: Unit roundoff.
        lost: What a product may lose by underflow, times ``keep``.
        keep: The factor on a bound that makes an entry's answer certain.
        splitter: See `crosscheck.judge.compiled.kernel.judge_group`.
    """
    row = bytes_of(tag) * fan_in
    for f in range(frameworks):
        if not _are_zero(tag, places[f], row, order, live, fan_out, behind):
            store(best, f, splat(float("inf")))
    if fan_in < WIDTH:
        columns = first_lanes(fan_in)
        column = _column(inputs, 8 * WIDTH * at, lost, splitter)
        for turn in range(live):
            i = order[turn]
            cotangent, some_exact = _cotangent(cotangents, i, u, keep)
            entry = _entry(column, cotangent, some_exact, splitter)
            for f in range(frameworks):
                value = read_some(tag, places[f] + row * i, columns)
                compare_lanes(value, entry, best, f, splitter)
        return
    known = (
        fan_in,
        inputs,
        at,
        cotangents,
        order,
        live,
        fan_out,
        places,
        behind,
        best,
        frameworks,
        u,
        lost,
        keep,
        splitter,
    )
    blocks = (fan_in + WIDTH - 1) // WIDTH
    block = 0
    while block < blocks:
        if block + 2 < blocks:  # compiled twice, for each number of blocks
            _compare_wide(tag, True, block, *known)
        else:
            _compare_wide(tag, False, block, *known)
        block += 4


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def add_columns(
    tag: Any,
    weights: int,
    fan_in: int,
    first: int,
    cotangents: Any,
    order: Any,
    live: int,
    table: int,
    splitter: Any,
) -> None:
    """Sums of weights times cotangents, for sixteen columns.

    Written to ``table`` are the sum, its low part, the sum of magnitudes and that of carried errors
    of eight columns, and then of the next eight.

    Args:
        tag: A number of the type of the weights.
        weights: Address of the layer's.
        fan_in: Number of columns.
        first: The first of the sixteen; there may be fewer.
        cotangents: Addresses of values, low parts, bounds and magnitudes.
        order: Units that are live; see `compare_layer`.
        live: How many are.
        table: Address of room for eight `Lanes`.
        splitter: See `crosscheck.judge.compiled.kernel.judge_group`.
    """
    d_high, d_low, d_error, d_reach = cotangents
    zero, step = splat(0.0), bytes_of(tag)
    here, there = first_lanes(fan_in - first), first_lanes(fan_in - first - WIDTH)
    high_1, low_1, total_1, carried_1 = zero, zero, zero, zero
    high_2, low_2, total_2, carried_2 = zero, zero, zero, zero
    for turn in range(live):
        i = order[turn]
        place = weights + step * (i * fan_in + first)
        d, d_rest = broadcast(d_high, i), broadcast(d_low, i)
        reach, error = broadcast(d_reach, i), broadcast(d_error, i)
        w = read_some(tag, place, here)
        high_1, low_1 = multiply_add(high_1, low_1, w, d, d_rest, splitter)
        total_1 = fused(absolute(w), reach, total_1)
        carried_1 = fused(absolute(w), error, carried_1)
        w = read_some(tag, place + step * WIDTH, there)
        high_2, low_2 = multiply_add(high_2, low_2, w, d, d_rest, splitter)
        total_2 = fused(absolute(w), reach, total_2)
        carried_2 = fused(absolute(w), error, carried_2)
    store(table, 0, high_1)
    store(table, 1, low_1)
    store(table, 2, total_1)
    store(table, 3, carried_1)
    store(table, 4, high_2)
    store(table, 5, low_2)
    store(table, 6, total_2)
    store(table, 7, carried_2)


@njit  # type: ignore[untyped-decorator]
def count_columns(tag: Any, weights: int, fan_in: int, first: int, order: Any, live: int) -> Any:
    """How many products are not zero, for eight columns; see `add_columns`."""
    zero, one, step = splat(0.0), splat(1.0), bytes_of(tag)
    here, count = first_lanes(fan_in - first), zero
    for turn in range(live):
        w = read_some(tag, weights + step * (order[turn] * fan_in + first), here)
        count = count + where(w == zero, zero, one)
    return count


@njit  # type: ignore[untyped-decorator]
def grids_of_columns(
    tag: Any,
    weights: int,
    fan_in: int,
    first: int,
    d_high: int,
    order: Any,
    live: int,
    unknown: Any,
    enough: Any,
    eta: float,
    big: Any,
) -> Any:
    """`crosscheck.judge.compiled.rows.grids_of_rows` for eight columns; see `add_columns`."""
    zero, step = splat(0.0), bytes_of(tag)
    here, fine, left = first_lanes(fan_in - first), big, unknown
    for turn in range(live):
        i = order[turn]
        w = read_some(tag, weights + step * (i * fan_in + first), here)
        v = broadcast(d_high, i)
        counts = ~((w == zero) | (v == zero))
        fine = where(left, lesser(where(counts, grid(w) * grid(v), big), fine), fine)
        left = left & ~((fine < enough) & (fine >= splat(eta)))
        if not any_lane(left):
            break
    return fine
