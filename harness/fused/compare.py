"""Arrays of frameworks as `Lanes`, and their comparison with the reference."""

from __future__ import annotations

from typing import Any

from numba import njit

from harness.fused.lanes import (
    LINE,
    WIDTH,
    absolute,
    aligned_stack,
    any_lane,
    borrowed,
    broadcast,
    bytes_of,
    differs,
    eight,
    four,
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

__all__ = ["answers", "compare", "compare_rows", "enter", "spread"]

_BYTES = 8 * WIDTH


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _ask(tag: Any, start: int, size: int, first: int, count: int, apart: int) -> None:
    """Have the same of the eight cases behind these fetched, so that it is near when looked at.

    Where several cases share a line of the cache, most of them have been fetched already.

    Args:
        tag: A number of the type in which the array is held.
        start: Where its part of the first case begins.
        size: Numbers per case.
        first: The first number of each case that is looked at.
        count: How many are.
        apart: From one of the eight cases to the next.
    """
    step = bytes_of(tag)
    behind = start + (size if apart > 1 else WIDTH * size) * step
    begin, end = behind + first * step, behind + (first + count) * step
    if begin // LINE == (end - 1) // LINE and (begin - size * step) // LINE == begin // LINE:
        return
    for k in range(WIDTH):
        for offset in range(0, count * step, LINE):
            prefetch(begin + k * apart * size * step + offset)


@njit  # type: ignore[untyped-decorator]
def spread(tag: Any, address: int, size: int, case: int, apart: int, target: int, at: int) -> None:
    """One array of eight cases as `Lanes`, from the ``at``-th on."""
    step = bytes_of(tag)
    start = address + case * size * step
    stride = size * apart
    _ask(tag, start, size, 0, size, apart)
    if size < WIDTH // 2:
        for k in range(size):
            store(target, at + k, gather(tag, start + k * step, stride))
        return
    for k in range(0, size - WIDTH + 1, WIDTH):
        transpose(tag, start + k * step, stride, target, at + k)
    left = size % WIDTH
    if left > WIDTH // 2:
        _spread_four(tag, start, stride, size - left, target, at)
    if left:
        _spread_four(tag, start, stride, size - WIDTH // 2, target, at)


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _spread_four(tag: Any, start: int, stride: int, k: int, target: int, at: int) -> None:
    one, two, three, last = four(tag, start + k * bytes_of(tag), stride)
    store(target, at + k, one)
    store(target, at + k + 1, two)
    store(target, at + k + 2, three)
    store(target, at + k + 3, last)


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def enter(table: int, k: int, high: Any, low: Any, bound: Any, splitter: Any) -> None:
    """Write what `compare` has to know of the ``k``-th entry."""
    store(table, 4 * k, high)
    store(table, 4 * k + 1, bound)
    store(table, 4 * k + 2, reciprocal(bound))
    if splitter is None:
        store(table, 4 * k + 3, low)


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _with_entry(found: Any, value: Any, table: int, k: int, splitter: Any) -> Any:
    """The largest error / bound, and whether any error is above its bound, after one entry."""
    most, above = found
    error = value - load(table, 4 * k)
    if splitter is None:
        error = error - load(table, 4 * k + 3)
    error = absolute(error)
    above = above | ~(error <= load(table, 4 * k + 1))
    return greater(error * load(table, 4 * k + 2), most), above


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _with_four(found: Any, values: Any, table: int, k: int, splitter: Any) -> Any:
    """The same after four entries, which are looked at side by side."""
    most, above = found
    nothing = splat(0.0), most < most
    one = _with_entry(nothing, values[0], table, k, splitter)
    one = _with_entry(one, values[1], table, k + 1, splitter)
    two = _with_entry(nothing, values[2], table, k + 2, splitter)
    two = _with_entry(two, values[3], table, k + 3, splitter)
    return greater(greater(one[0], two[0]), most), above | (one[1] | two[1])


@njit  # type: ignore[untyped-decorator]
def compare(
    tag: Any,
    addresses: Any,
    array: int,
    size: int,
    first: int,
    count: int,
    case: int,
    apart: int,
    table: int,
    worst: int,
    frameworks: int,
    splitter: Any,
) -> None:
    """Raise each framework's largest error / bound; to infinity where it is above 1.

    Args:
        tag: A number of the type in which arrays are held.
        addresses: Where they begin; see `harness.fused.kernel.judge_group`.
        array: Which one is compared.
        size: Numbers per case.
        first: The first of each case that are compared,
        count: and how many are.
        case: The first of the eight.
        apart: From one of them to the next.
        table: What was written by `enter`, of these numbers.
        worst: Where each framework's largest error / bound is.
        frameworks: How many there are.
        splitter: ``None`` if the reference has a low part.
    """
    aligned_stack()
    addresses = borrowed(addresses)
    step = bytes_of(tag)
    stride = size * apart
    left = count % WIDTH
    for f in range(frameworks):
        case_at = addresses[1 + f, array] + case * size * step
        start = case_at + first * step
        _ask(tag, case_at, size, first, count, apart)
        before = load(worst, f)
        found = before, before < before
        if count < WIDTH // 2:
            for k in range(count):
                value = gather(tag, start + k * step, stride)
                found = _with_entry(found, value, table, k, splitter)
        else:
            for k in range(0, count - WIDTH + 1, WIDTH):
                values = eight(tag, start + k * step, stride)
                found = _with_four(found, values[:4], table, k, splitter)
                found = _with_four(found, values[4:], table, k + 4, splitter)
            if left > WIDTH // 2:
                values_4 = four(tag, start + (count - left) * step, stride)
                found = _with_four(found, values_4, table, count - left, splitter)
            if left:
                values_4 = four(tag, start + (count - WIDTH // 2) * step, stride)
                found = _with_four(found, values_4, table, count - WIDTH // 2, splitter)
        most, above = found
        store(worst, f, where(above, splat(float("inf")), most))


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _exceeds(tag: Any, place: int, entry: Any, so_far: Any, splitter: Any) -> Any:
    """Where the numbers at ``place`` are further from the reference than ``so_far`` bounds."""
    product, product_low, bound = entry
    gap = read(tag, place) - product
    if splitter is None:
        gap = gap - product_low
    return ~(absolute(gap) <= so_far * bound)


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _risen(tag: Any, place: int, entry: Any, so_far: Any, splitter: Any) -> Any:
    """The largest error / bound, after the numbers at ``place``; infinite where one is above 1."""
    product, product_low, bound = entry
    gap = read(tag, place) - product
    if splitter is None:
        gap = gap - product_low
    gap = absolute(gap)
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
        block = 0
        while block < blocks:
            wide = block + 2 < blocks
            if wide:
                _compare_columns(
                    tag,
                    True,
                    block,
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
            else:
                _compare_columns(
                    tag,
                    False,
                    block,
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
            block += 4
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
