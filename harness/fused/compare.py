"""Arrays of frameworks as `Lanes`, and their comparison with the reference."""

from __future__ import annotations

from typing import Any

from numba import njit

from harness.fused.lanes import (
    LINE,
    WIDTH,
    absolute,
    any_lane,
    broadcast,
    fused,
    gather,
    greater,
    lane,
    load,
    peak,
    prefetch,
    raise_to,
    read,
    reciprocal,
    splat,
    store,
    transpose,
    transpose_lanes,
    where,
)
from harness.fused.sums import fits

__all__ = ["answers", "compare", "compare_rows", "first_column", "spread"]

_BYTES = 8 * WIDTH


@njit  # type: ignore[untyped-decorator]
def spread(tag: Any, address: int, size: int, case: int, apart: int, target: int, at: int) -> None:
    """One array of eight cases as `Lanes`, from the ``at``-th on.

    The same of the eight cases behind them is asked for, so that it is near when it is looked at.
    """
    step = tag.itemsize
    start = address + case * size * step
    stride = size * apart
    behind = size * step if apart > 1 else WIDTH * size * step
    for k in range(WIDTH):
        for offset in range(0, size * step, LINE):
            prefetch(start + k * stride * step + behind + offset)
    if size < WIDTH:
        for k in range(size):
            store(target, at + k, gather(tag, start + k * step, stride))
        return
    for k in range(0, size - WIDTH + 1, WIDTH):
        transpose(tag, start + k * step, stride, target, at + k)
    if size % WIDTH:
        k = size - WIDTH
        transpose(tag, start + k * step, stride, target, at + k)


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def compare(
    high: Any,
    low: Any,
    bound: Any,
    given: int,
    stride: int,
    at: int,
    worst: int,
    frameworks: int,
    splitter: Any,
) -> None:
    """Raise each framework's largest error / bound; to infinity where it is above 1."""
    inverse = reciprocal(bound)
    for f in range(frameworks):
        error = load(given, f * stride + at) - high
        if splitter is None:
            error = error - low
        error = absolute(error)
        before = load(worst, f)
        after = greater(error * inverse, before)
        store(worst, f, where(error <= bound, after, splat(float("inf"))))


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def first_column(block: int, fan_in: int) -> int:
    """Where a block of eight columns starts; the last one overlaps where eight do not divide."""
    return min(WIDTH * block, fan_in - WIDTH)


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
    worst: int,
    frameworks: int,
    u: Any,
    tau: Any,
    keep: Any,
    splitter: Any,
) -> None:
    """`compare` for δ aᵀ of one row, with eight columns of one case side by side.

    Wide layers' gradients are read as they lie in memory, which needs no transposing. The lanes
    of the four ``a`` are turned into columns first. Nearly all entries stay below the largest
    error / bound so far, which is found without a division.
    """
    blocks = (fan_in + WIDTH - 1) // WIDTH
    zero = splat(0.0)
    step = tag.itemsize
    per_case = WIDTH * blocks
    behind = size * step if apart > 1 else WIDTH * size * step
    for block in range(blocks):
        at = _BYTES * (before + first_column(block, fan_in))
        to = WIDTH * block
        transpose_lanes(a_high + at, turned, to)
        transpose_lanes(a_low + at, turned, per_case + to)
        transpose_lanes(a_error + at, turned, 2 * per_case + to)
        transpose_lanes(a_reach + at, turned, 3 * per_case + to)
    best = 4 * per_case
    for k in range(WIDTH):
        for f in range(frameworks):
            store(turned, best + f, broadcast(worst, WIDTH * f + k))
        for i in range(fan_out):
            here = WIDTH * i + k
            high, low = broadcast(d_high, here), broadcast(d_low, here)
            reach, error = broadcast(d_reach, here), broadcast(d_error, here)
            row = step * ((case + k * apart) * size + i * fan_in)
            if not any_lane(reach > zero):  # a unit that is off: all zeros, exactly
                for f in range(frameworks):
                    place = addresses[1 + f, layer] + row
                    off = read(tag, place + step * (fan_in - WIDTH)) == zero
                    for block in range(fan_in // WIDTH):
                        off = off & (read(tag, place + step * WIDTH * block) == zero)
                    if any_lane(~off):
                        store(turned, best + f, splat(float("inf")))
                continue
            magnitude = absolute(high)
            slope = error + u * reach
            exact = (reach > zero) & (error == zero)
            some_exact = any_lane(exact)
            for block in range(blocks):
                column = WIDTH * block + k
                a = load(turned, column)
                a_r = load(turned, 3 * per_case + column)
                bound = fused(magnitude, load(turned, 2 * per_case + column), slope * a_r)
                product, product_low = high * a, zero
                if splitter is None:
                    product_low = fused(low, a, fused(high, a, -product))
                    product_low = fused(high, load(turned, per_case + column), product_low)
                else:
                    bound = bound + where((reach > zero) & (a_r > zero), tau, zero)
                if some_exact:
                    alone = exact & (a_r > zero) & (load(turned, 2 * per_case + column) == zero)
                    bound = where(alone & fits(product, product_low, splitter), zero, bound)
                bound = bound * keep
                offset = row + step * first_column(block, fan_in)
                for f in range(frameworks):
                    place = addresses[1 + f, layer] + offset
                    prefetch(place + behind)
                    difference = read(tag, place) - product
                    if splitter is None:
                        difference = difference - product_low
                    difference = absolute(difference)
                    so_far = load(turned, best + f)
                    above = ~(difference <= so_far * bound)
                    if any_lane(above):
                        within = difference <= bound
                        ratio = where(within, difference / bound, splat(float("inf")))
                        ratio = peak(where(above, ratio, zero))
                        store(turned, best + f, greater(ratio, so_far))
        for f in range(frameworks):
            raise_to(worst, WIDTH * f + k, lane(load(turned, best + f), 0))


@njit  # type: ignore[untyped-decorator]
def answers(worst: int, case: int, apart: int, frameworks: int, sound: Any, largest: Any) -> None:
    """Write what was found on eight cases where the caller looks for it."""
    for f in range(frameworks):
        ratios = load(worst, f)
        for k in range(WIDTH):
            ratio = lane(ratios, k)
            sound[f, case + k * apart] = ratio <= 1.0
            largest[f, case + k * apart] = ratio
