"""The comparison of wide layers, with columns of one case side by side in place of cases."""

from __future__ import annotations

from typing import Any

from numba import njit

from harness.fused.lanes import (
    WIDTH,
    absolute,
    any_lane,
    fused,
    greater,
    lane,
    peak,
    splat,
    where,
)
from harness.fused.memory import (
    aligned_stack,
    borrowed,
    broadcast,
    bytes_of,
    differs,
    load,
    prefetch,
    raise_to,
    read,
    store,
    transpose_lanes,
)
from harness.fused.sums import fits

__all__ = ["compare_rows"]

_BYTES = 8 * WIDTH


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _gap(tag: Any, place: int, entry: Any, splitter: Any) -> Any:
    """How far the numbers at ``place`` are from the reference."""
    product, product_low, _ = entry
    gap = read(tag, place) - product
    if splitter is None:
        gap = gap - product_low
    return absolute(gap)


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _exceeds(tag: Any, place: int, entry: Any, so_far: Any, splitter: Any) -> Any:
    """Where the numbers at ``place`` are further from the reference than ``so_far`` bounds."""
    return ~(_gap(tag, place, entry, splitter) <= so_far * entry[2])


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _risen(tag: Any, place: int, entry: Any, so_far: Any, splitter: Any) -> Any:
    """The largest error / bound, after the numbers at ``place``; infinite where one is above 1."""
    gap, bound = _gap(tag, place, entry, splitter), entry[2]
    ratio = where(gap <= bound, gap / bound, splat(float("inf")))
    return greater(where(gap <= so_far * bound, so_far, ratio), so_far)


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _column(turned: int, block: int, k: int, per_case: int) -> Any:
    """What is known of eight activations of case ``k``; see `compare_rows`."""
    at = WIDTH * block + k
    return (
        load(turned, at),
        load(turned, at + per_case),
        load(turned, at + 2 * per_case),
        load(turned, at + 3 * per_case),
    )


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
def _compare_columns(
    tag: Any,
    wide: bool,
    block: int,
    fan_in: int,
    fan_out: int,
    k: int,
    live: int,
    order: Any,
    places: Any,
    behind: int,
    d_high: int,
    d_low: int,
    d_error: int,
    d_reach: int,
    turned: int,
    per_case: int,
    frameworks: int,
    u: Any,
    keep: Any,
    splitter: Any,
) -> None:
    """`compare_rows` for one case and four blocks of eight columns, or two.

    The last block may be looked at twice, and overlaps the one before where eight do not divide.
    """
    zero, step, best = splat(0.0), bytes_of(tag), 4 * per_case
    last = per_case // WIDTH - 1
    second, third, fourth = min(block + 1, last), min(block + 2, last), min(block + 3, last)
    at, at_2 = step * min(WIDTH * block, fan_in - WIDTH), step * min(WIDTH * second, fan_in - WIDTH)
    at_3 = step * min(WIDTH * third, fan_in - WIDTH)
    at_4 = step * min(WIDTH * fourth, fan_in - WIDTH)
    a_1, a_2 = _column(turned, block, k, per_case), _column(turned, second, k, per_case)
    a_3, a_4 = a_2, a_2
    if wide:
        a_3, a_4 = _column(turned, third, k, per_case), _column(turned, fourth, k, per_case)
    alike = -1  # bit f: framework f has given the same bits as the one before it
    for turn in range(live):
        i = order[turn]
        here = WIDTH * i + k
        high, low = broadcast(d_high, here), broadcast(d_low, here)
        reach, error = broadcast(d_reach, here), broadcast(d_error, here)
        cotangent = high, low, absolute(high) * keep, (error + u * reach) * keep
        some_exact = any_lane(error == zero)
        row = step * i * fan_in
        one = _entry(a_1, cotangent, some_exact, splitter)
        two = _entry(a_2, cotangent, some_exact, splitter)
        three, four = two, two
        if wide:
            three = _entry(a_3, cotangent, some_exact, splitter)
            four = _entry(a_4, cotangent, some_exact, splitter)
        earlier = zero
        for f in range(frameworks):
            place = places[f] + row
            prefetch(place + behind + at)
            if step == 8:
                prefetch(place + behind + at_2)
            if wide:
                prefetch(place + behind + at_3)
                if step == 8:
                    prefetch(place + behind + at_4)
            so_far = load(turned, best + f)
            if f and alike >> f & 1:
                other = places[f - 1] + row
                unlike = differs(tag, place + at, other + at)
                unlike = unlike | differs(tag, place + at_2, other + at_2)
                if wide:
                    unlike = unlike | differs(tag, place + at_3, other + at_3)
                    unlike = unlike | differs(tag, place + at_4, other + at_4)
                if any_lane(unlike):
                    alike = alike & ~(1 << f)
                elif not any_lane(so_far < earlier):
                    # The other one's largest either rose here, or is no larger than this.
                    store(turned, best + f, greater(load(turned, best + f - 1), so_far))
                    earlier = so_far
                    continue
            earlier = so_far
            above = _exceeds(tag, place + at, one, so_far, splitter)
            above = above | _exceeds(tag, place + at_2, two, so_far, splitter)
            if wide:
                above = above | _exceeds(tag, place + at_3, three, so_far, splitter)
                above = above | _exceeds(tag, place + at_4, four, so_far, splitter)
            if any_lane(above):
                most = _risen(tag, place + at, one, so_far, splitter)
                most = _risen(tag, place + at_2, two, most, splitter)
                if wide:
                    most = _risen(tag, place + at_3, three, most, splitter)
                    most = _risen(tag, place + at_4, four, most, splitter)
                store(turned, best + f, peak(most))
    for turn in range(live, fan_out):  # units that are off: all zeros, exactly
        row = step * fan_in * order[fan_out + turn - live]
        for f in range(frameworks):
            place = places[f] + row
            prefetch(place + behind + at)
            if step == 8:
                prefetch(place + behind + at_2)
            off = (read(tag, place + at) == zero) & (read(tag, place + at_2) == zero)
            if wide:
                prefetch(place + behind + at_3)
                if step == 8:
                    prefetch(place + behind + at_4)
                off = off & (read(tag, place + at_3) == zero)
                off = off & (read(tag, place + at_4) == zero)
            if any_lane(~off):
                store(turned, best + f, splat(float("inf")))


@njit  # type: ignore[untyped-decorator]
def compare_rows(
    tag: Any,
    case: int,
    apart: int,
    addresses: Any,
    size: int,
    layer: int,
    fan_in: int,
    fan_out: int,
    before: int,
    a_high: int,
    a_low: int,
    a_error: int,
    a_reach: int,
    d_high: int,
    d_low: int,
    d_error: int,
    d_reach: int,
    turned: int,
    order: Any,
    places: Any,
    worst: int,
    frameworks: int,
    u: Any,
    tau: Any,
    keep: Any,
    splitter: Any,
) -> None:
    """`compare` for δ aᵀ of one row, with eight columns of one case side by side.

    Wide layers' gradients are read as they lie in memory, which needs no transposing. The lanes
    of what is known of ``a`` are turned into columns first. Sixteen or 32 columns are looked at
    together. Nearly all of them stay below the largest error / bound so far, which is found
    without a division. And frameworks that share a compiler often give the same bits: as long as
    they do, the second has what the first has.
    """
    aligned_stack()
    addresses, order, places = borrowed(addresses), borrowed(order), borrowed(places)
    blocks = (fan_in + WIDTH - 1) // WIDTH
    zero = splat(0.0)
    step = bytes_of(tag)
    per_case = WIDTH * blocks
    behind = size * step if apart > 1 else WIDTH * size * step
    best = 4 * per_case
    for block in range(blocks):
        at = _BYTES * (before + min(WIDTH * block, fan_in - WIDTH))
        to = WIDTH * block
        transpose_lanes(a_high + at, turned, to)
        transpose_lanes(a_error + at, turned, per_case + to)
        transpose_lanes(a_reach + at, turned, 2 * per_case + to)
        if splitter is None:
            transpose_lanes(a_low + at, turned, 3 * per_case + to)
            continue
        for k in range(to, to + WIDTH):  # what a product may lose by underflow
            live_ones = load(turned, 2 * per_case + k) > zero
            store(turned, 3 * per_case + k, where(live_ones, tau * keep, zero))
    for k in range(WIDTH):
        for f in range(frameworks):
            store(turned, best + f, broadcast(worst, WIDTH * f + k))
            places[f] = addresses[1 + f, layer] + step * (case + k * apart) * size
        # Live units first, then those that are off: which is which cannot be foreseen, and one
        # wrong guess of the processor's at each would cost as much as the unit itself.
        live = 0
        for i in range(fan_out):
            order[live] = order[fan_out + i - live] = i
            live += lane(load(d_reach, i), k) > 0.0
        known = (
            fan_in,
            fan_out,
            k,
            live,
            order,
            places,
            behind,
            d_high,
            d_low,
            d_error,
            d_reach,
            turned,
            per_case,
            frameworks,
            u,
            keep,
            splitter,
        )
        block = 0
        while block < blocks:
            if block + 2 < blocks:  # compiled twice, for each number of blocks
                _compare_columns(tag, True, block, *known)
            else:
                _compare_columns(tag, False, block, *known)
            block += 4
        for f in range(frameworks):
            raise_to(worst, WIDTH * f + k, lane(load(turned, best + f), 0))
