"""One compiled pass over one case of a wide network: gradient, bound, and comparison.

What `crosscheck.judge.compiled.kernel` does for eight cases side by side, with eight units of one
case side by side instead, for networks of one row. Parameters are read as they lie in memory,
nothing is transposed, and all that is known of a case stays in the processor's fastest cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from crosscheck.judge.compiled.columns import (
    add_columns,
    compare_lanes,
    compare_layer,
    count_columns,
    grids_of_columns,
)
from crosscheck.judge.compiled.compare import answer
from crosscheck.judge.compiled.lanes import (
    WIDTH,
    absolute,
    any_lane,
    first_lanes,
    greater,
    grid,
    lane,
    lesser,
    peak,
    splat,
    where,
)
from crosscheck.judge.compiled.memory import (
    aligned_stack,
    borrowed,
    broadcast,
    bytes_of,
    gather,
    load,
    read_some,
    store,
)
from crosscheck.judge.compiled.rows import (
    ROWS_TABLE,
    across,
    across_in_two,
    add_rows,
    count_rows,
    grids_of_rows,
)
from crosscheck.judge.compiled.sums import (
    LEAST,
    NOT_FINITE,
    add,
    certified,
    error_bound,
    find_layer_grids,
    fits,
    growth_of_sum,
    settled,
    squared,
    two_sum,
)
from crosscheck.tools.compiling import kept

__all__ = ["judge_case", "pass_over_cases", "wide_scratch_size"]

_BYTES = 8 * WIDTH


def wide_scratch_size(widths: Any, frameworks: int) -> int:
    """How many float64 numbers of memory `judge_case` works in."""
    blocks = [-(-units // WIDTH) for units in widths]
    lanes = 4 * sum(blocks) + 8 * max(blocks) + 3 * len(widths) + frameworks + ROWS_TABLE
    return int(WIDTH * lanes)


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _blocks(units: int) -> int:
    return (units + WIDTH - 1) // WIDTH


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _quarters(address: int, lanes: int) -> Any:
    """Four parts of memory, each of so many `Lanes`."""
    size = _BYTES * lanes
    return address, address + size, address + 2 * size, address + 3 * size


@njit  # type: ignore[untyped-decorator]
def _are_whole(tag: Any, start: int, size: int) -> bool:
    """Whether all numbers are whole ones below 2^51, and not all 0: found sooner than a grid."""
    step, anchor, others, most = bytes_of(tag), splat(3.0 * 2.0**51), splat(0.0), splat(0.0)
    for j in range(0, size, WIDTH):
        values = read_some(tag, start + step * j, first_lanes(size - j))
        others = greater(absolute(((values + anchor) - anchor) - values), others)
        most = greater(absolute(values), most)
    return not any_lane((others > splat(0.0)) | ~(most < splat(2.0**51))) and any_lane(
        most > splat(0.0)
    )


@njit  # type: ignore[untyped-decorator]
def _find_grids(tag: Any, case: int, addresses: Any, sizes: Any, has_bias: Any, grids: int) -> None:
    """What `find_layer_grids` goes on with, of one case: each in every lane."""
    step, arrays = bytes_of(tag), len(sizes)
    for k in range(arrays):
        coarse, start = splat(2.0**400), addresses[0, k] + step * case * sizes[k]
        if _are_whole(tag, start, sizes[k]):
            store(grids, k, splat(1.0))
            continue
        for j in range(0, sizes[k], WIDTH):
            values = read_some(tag, start + step * j, first_lanes(sizes[k] - j))
            coarse = lesser(grid(values), coarse)
        store(grids, k, -peak(-coarse))
    find_layer_grids(arrays, has_bias, grids)


@njit(nogil=True)  # type: ignore[untyped-decorator]
def judge_case(
    tag: Any,
    splitter: Any,
    case: int,
    addresses: Any,
    sizes: Any,
    widths: Any,
    has_bias: Any,
    relu_output: bool,
    u: float,
    tau: float,
    eta: float,
    widen: float,
    keep: float,
    limit: float,
    scratch: int,
    order: Any,
    places: Any,
    frameworks: int,
    sound: int,
    largest: int,
    pitch: int,
) -> None:
    """Judge one case of one row; arguments as in `crosscheck.judge.compiled.kernel.judge_group`."""
    aligned_stack()
    addresses, sizes, widths = borrowed(addresses), borrowed(sizes), borrowed(widths)
    has_bias, order, places = borrowed(has_bias), borrowed(order), borrowed(places)
    depth = len(widths) - 1
    zero, one, two, half = splat(0.0), splat(1.0), splat(2.0), splat(0.5)
    unit, lost, big = splat(u), splat(tau), splat(NOT_FINITE)
    broad, close = splat(widen), splat(keep)
    digits = splat(2.0**53 if splitter is None else 2.0**53 / (splitter - 1.0))
    shortest, less, more = one / digits, splat(1.0 - 2.0**-40), splat(1.0 + 2.0**-40)
    x_array, y_array = 2 * depth, 2 * depth + 1
    step = bytes_of(tag)

    # Where things are in the scratch memory, counted in Lanes.
    units = widest = 0
    for layer in range(depth + 1):
        units += _blocks(widths[layer])
        widest = max(widest, _blocks(widths[layer]))
    inputs = _quarters(scratch, units)
    a_high, a_low, a_error, a_reach = inputs
    deltas = scratch + 4 * _BYTES * units
    others = deltas + 4 * _BYTES * widest
    best = others + 4 * _BYTES * widest
    grids = best + _BYTES * frameworks  # of each array, then of each layer's activations
    table = grids + _BYTES * (3 * depth + 3)
    a_grids = grids + _BYTES * len(sizes)

    for f in range(frameworks):
        store(best, f, zero)
    open_ = zero > one
    least, most = big, zero
    has_grids = sparse = False

    # The forward pass.
    start = addresses[0, x_array] + step * case * sizes[x_array]
    for first in range(0, widths[0], WIDTH):
        value = read_some(tag, start + step * first, first_lanes(widths[0] - first))
        size, at = absolute(value), first // WIDTH
        store(a_high, at, value)
        store(a_low, at, zero)
        store(a_error, at, zero)
        store(a_reach, at, size)
        least = lesser(where(size > zero, size, big), least)
        most = greater(size, most)
        open_ = open_ | ~(size < big)
    before, after = 0, _blocks(widths[0])
    for layer in range(depth):
        fan_in, fan_out = widths[layer], widths[layer + 1]
        with_relu = layer < depth - 1 or relu_output
        behind = step * sizes[layer]
        layer_weights = addresses[0, layer] + case * behind
        count, largest_error = zero, zero
        for at in range(before, after):
            count = count + where(load(a_reach, at) > zero, one, zero)
            largest_error = greater(load(a_error, at), largest_error)
        exact_inputs = not any_lane(largest_error > zero)
        live_inputs = across(count)
        # The growth factor of sums without zero weights and with a bias, or the lack of it.
        usual = growth_of_sum(live_inputs, one if has_bias[layer] else zero, unit)
        for first in range(0, fan_out, WIDTH):
            valid = first_lanes(fan_out - first)
            together = min(WIDTH, fan_out - first)
            weights = layer_weights + step * first * fan_in
            known = tag, weights, fan_in, together, inputs, before
            if exact_inputs:  # compiled twice
                sums = add_rows(*known, True, big, behind, table, splitter)
            else:
                sums = add_rows(*known, False, big, behind, table, splitter)
            high, low, total, carried, smallest = sums
            live, rounded, terms, b = live_inputs, total, zero, zero
            zeros = unusual = any_lane(smallest == zero)
            if has_bias[layer]:
                bias = addresses[0, depth + layer] + step * (case * fan_out + first)
                b = read_some(tag, bias, valid)
                high, low = add(high, low, b, zero, splitter)
                total = total + absolute(b)
                terms = where(b == zero, zero, one)
                unusual = unusual or any_lane(valid & (b == zero))
            if splitter is None:
                high, low = two_sum(high, low)
            size = absolute(high)
            exact = valid & (rounded > zero) & (carried == zero) & fits(total, zero, splitter)
            exact = exact & fits(high, low, splitter)
            exactly = -one
            if any_lane(exact):
                if not has_grids:
                    _find_grids(tag, case, addresses, sizes, has_bias, grids)
                    has_grids = True
                # Sums of multiples of it that stay below this are numbers of p bits.
                coarse = load(a_grids, layer + 1)
                exactly = where(coarse >= splat(eta), digits * coarse, -one)
            if zeros:
                sparse = True
                sure = exact & (total * more <= exactly)
                if any_lane(valid & ~sure):
                    live, smallest = count_rows(
                        tag, weights, fan_in, together, a_reach, before, big, table
                    )
                else:  # their bounds are 0, whatever the number of products
                    smallest = load(grids, layer)
            least = lesser(smallest, least)
            theta = growth_of_sum(live, terms, unit) if unusual else usual
            error = error_bound(
                live, terms, theta, total, rounded, carried, size, unit, lost, splitter
            )
            most = greater(total, most)
            if any_lane(exact):
                formula = error
                error = settled(exact, high, low, total, exactly, error, splitter)
                unknown = error < zero
                if any_lane(unknown):
                    enough = total * less * shortest
                    fine = grids_of_rows(
                        tag,
                        weights,
                        fan_in,
                        unknown,
                        enough,
                        eta,
                        a_high,
                        before,
                        big,
                        table,
                    )
                    fine = lesser(where(b == zero, big, grid(b)), fine)
                    error = certified(unknown, unknown, fine, error, formula, total, digits, eta)
            open_ = open_ | ~(total < big) | (error < zero)
            error = where(valid, error, zero)
            if with_relu:
                open_ = open_ | (valid & ~(size > error * broad))
                active = high > zero
                high = where(active, high, zero)
                low = where(active, low, zero)
                error = where(active, error, zero)
                size = where(active, size, zero)
                least = lesser(where(active, size, big), least)
            here = after + first // WIDTH
            store(a_high, here, high)
            store(a_low, here, low)
            store(a_error, here, error)
            store(a_reach, here, size + error)
        before, after = after, after + _blocks(fan_out)

    # The loss and its cotangent.
    outputs = widths[depth]
    outlying = zero > one
    for at in range(before, after):
        outlying = outlying | ((load(a_error, at) == zero) & (load(a_reach, at) > zero))
    if any_lane(outlying) and not has_grids:
        _find_grids(tag, case, addresses, sizes, has_bias, grids)
        has_grids = True
    coarse = zero
    if has_grids:
        coarse = lesser(load(a_grids, depth), load(grids, y_array))
    exactly = where(coarse >= splat(2.0 * eta), digits * coarse, -one)
    hidden_live = depth == 1
    if depth > 1:
        for at in range(before - _blocks(widths[depth - 1]), before):
            hidden_live = hidden_live or any_lane(load(a_reach, at) > zero)
    loss, loss_low, total, carried, terms = zero, zero, zero, zero, zero
    d_high, d_low, d_error, d_reach = _quarters(deltas, widest)
    for first in range(0, outputs, WIDTH):
        at, valid = first // WIDTH, first_lanes(outputs - first)
        y = read_some(tag, addresses[0, y_array] + step * (case * outputs + first), valid)
        a, a_e = load(a_high, before + at), load(a_error, before + at)
        live = load(a_reach, before + at) > zero
        high, rest = two_sum(a, -y)
        low = zero
        if splitter is None:
            high, low = two_sum(high, rest + load(a_low, before + at))
        size = absolute(high)
        error = a_e + where(y == zero, zero, unit) * (size + a_e) + two * lost
        error = where(valid, error, zero)
        # Exact by the certificate; or perhaps, which is good enough where nothing hangs on it.
        exact = live & (a_e == zero)
        certain = exact & (size * more <= exactly)
        perhaps = exact & ~certain & (rest == zero) & fits(high, low, splitter)
        if hidden_live:
            open_ = open_ | perhaps
        error = where(live & ~(certain | perhaps), error, zero)
        reach = size + error
        open_ = open_ | ~(reach < big)
        if not relu_output:
            open_ = open_ | (valid & ~live)
        least = lesser(where(error > zero, error, where(live & (size > zero), size, big)), least)
        most = greater(two * reach, most)
        # Its square, in the loss.
        product, product_low, square_error = squared(high, low, error, unit, lost, splitter)
        counts = reach > zero
        loss, loss_low = add(loss, loss_low, product, product_low, splitter)
        total = total + (product + square_error)
        carried = carried + square_error
        terms = terms + where(counts, one, zero)
        # Its share of the cotangent.
        high = where(live, high, zero)
        error = where(live, error, zero)
        store(d_high, at, high)
        store(d_low, at, where(live, low, zero))
        store(d_error, at, error)
        store(d_reach, at, absolute(high) + error)
    total, carried, terms = across(total), across(carried), across(terms)
    most = greater(total, most)
    if splitter is None:
        loss, loss_low = across_in_two(loss, loss_low)
        loss, loss_low = two_sum(loss, loss_low)
    else:
        loss = across(loss)
    size = absolute(loss)
    theta = growth_of_sum(zero, terms, unit)
    error = error_bound(zero, terms, theta, total, zero, carried, size, unit, lost, splitter)
    exactly = splat(2.0**53) * coarse * coarse
    exact = (terms > one) & (carried == zero)
    error = settled(exact, loss, loss_low, total, exactly, error, splitter)
    open_ = open_ | (error < zero)
    error = where(error == zero, zero, half * error + two * lost)  # what is exact may stay so
    entry = half * loss, half * loss_low, error * close
    for f in range(frameworks):
        value = gather(tag, addresses[1 + f, y_array] + step * case, 0)
        compare_lanes(value, entry, best, f, splitter)

    # The backward pass.
    coarse = splat(2.0**53) * coarse
    shorter = digits * splat(2.0**-53)
    for above in range(depth):
        layer = depth - 1 - above
        fan_in, fan_out = widths[layer], widths[layer + 1]
        after = before
        before -= _blocks(fan_in)
        cotangents = _quarters(deltas, widest)
        d_high, d_low, d_error, d_reach = cotangents
        highest, furthest = zero, zero
        for at in range(_blocks(fan_out)):
            highest = greater(load(d_reach, at), highest)
        for at in range(before, after):
            furthest = greater(load(a_reach, at), furthest)
        highest = peak(highest)
        most = greater(greater(highest * peak(furthest), highest), most)
        # Live units first, then those that are off: which is which cannot be foreseen, and one
        # wrong guess of the processor's at each would cost as much as the unit itself.
        live = 0
        for i in range(fan_out):
            order[live] = order[fan_out + i - live] = i
            live += lane(broadcast(d_reach, i), 0) > 0.0
        behind = step * sizes[layer]
        for f in range(frameworks):
            places[f] = addresses[1 + f, layer] + case * behind
        compare_layer(
            tag,
            fan_in,
            inputs,
            before,
            cotangents,
            order,
            live,
            fan_out,
            places,
            behind,
            best,
            frameworks,
            unit,
            lost * close,
            close,
            splitter,
        )
        if has_bias[layer]:  # a sum of one: the cotangent as it is
            for first in range(0, fan_out, WIDTH):
                at, valid = first // WIDTH, first_lanes(fan_out - first)
                entry = load(d_high, at), load(d_low, at), load(d_error, at) * close
                for f in range(frameworks):
                    place = addresses[1 + f, depth + layer] + step * (case * fan_out + first)
                    compare_lanes(read_some(tag, place, valid), entry, best, f, splitter)
        # The cotangent of the layer below, or of the input.
        if has_grids:
            coarse = coarse * load(grids, layer)
        weights = addresses[0, layer] + case * behind
        outputs_live = splat(float(live))
        usual = growth_of_sum(outputs_live, zero, unit)
        g_high, g_low, g_error, g_reach = _quarters(others, widest)
        for pair in range(0, fan_in, 2 * WIDTH):
            add_columns(tag, weights, fan_in, pair, cotangents, order, live, table, splitter)
            for first in range(pair, min(pair + 2 * WIDTH, fan_in), WIDTH):
                at = first // WIDTH
                of = 4 if first > pair else 0
                high, low = load(table, of), load(table, of + 1)
                total, carried = load(table, of + 2), load(table, of + 3)
                if splitter is None:
                    high, low = two_sum(high, low)
                size = absolute(high)
                count, theta = outputs_live, usual
                if sparse:
                    sure = (carried == zero) & fits(high, low, splitter)
                    sure = sure & (total * more <= coarse * shorter)
                    count = where(total > zero, outputs_live, zero)
                    if any_lane((total > zero) & ~sure):
                        count = count_columns(tag, weights, fan_in, first, order, live)
                        theta = growth_of_sum(count, zero, unit)
                error = error_bound(
                    count, zero, theta, total, total, carried, size, unit, lost, splitter
                )
                most = greater(total, most)
                exact = first_lanes(fan_in - first) & (count > zero) & (carried == zero)
                exact = exact & fits(high, low, splitter)
                if any_lane(exact):
                    formula = error
                    error = settled(exact, high, low, total, coarse, error, splitter)
                    # What is 0 so far may be no certificate: the sum's own grid tells.
                    unknown = exact & (error <= zero) & (total * more > coarse * shorter)
                    if any_lane(unknown):
                        enough = total * less * shortest
                        fine = grids_of_columns(
                            tag,
                            weights,
                            fan_in,
                            first,
                            d_high,
                            order,
                            live,
                            unknown,
                            enough,
                            eta,
                            big,
                        )
                        error = certified(
                            unknown, unknown, fine, error, formula, total, digits, eta
                        )
                if layer == 0:
                    entry = high, low, error * close
                    valid = first_lanes(fan_in - first)
                    for f in range(frameworks):
                        place = addresses[1 + f, x_array] + step * (case * fan_in + first)
                        compare_lanes(read_some(tag, place, valid), entry, best, f, splitter)
                    continue
                active = load(a_reach, before + at) > zero
                open_ = open_ | (active & (error < zero))
                high = where(active, high, zero)
                error = where(active, error, zero)
                size = where(active & (size > zero), size, big)
                least = lesser(where(error > zero, error, size), least)
                store(g_high, at, high)
                store(g_low, at, where(active, low, zero))
                store(g_error, at, error)
                store(g_reach, at, absolute(high) + error)
        deltas, others = others, deltas

    open_ = open_ | ~(most < splat(limit)) | ~(least > splat(LEAST))
    left_open = any_lane(open_)
    for f in range(frameworks):
        ratio = lane(load(best, f), 0)
        if left_open or not ratio <= 1.0:
            ratio = np.inf
        answer(ratio, f * pitch + case, sound, largest)


def pass_over_cases(digest: str, dtype: str) -> Callable[..., None]:
    """`judge_case` for all cases, as a function that numba keeps on disk once compiled.

    Args:
        digest: See `crosscheck.judge.compiled.kernel.pass_over_groups`.
        dtype: See `crosscheck.judge.compiled.kernel.pass_over_groups`.
    """

    @kept(dtype)
    def judge_each(
        count: int,
        tag: Any,
        splitter: Any,
        addresses: Any,
        sizes: Any,
        widths: Any,
        has_bias: Any,
        relu_output: bool,
        u: float,
        tau: float,
        eta: float,
        widen: float,
        keep: float,
        limit: float,
        scratch: int,
        frameworks: int,
        sound: int,
        largest: int,
        pitch: int,
    ) -> None:
        if len(digest) == 0:
            return
        aligned_stack()
        order = np.empty(2 * widths.max(), np.int64)
        places = np.empty(frameworks, np.int64)
        for case in range(count):
            judge_case(
                tag,
                splitter,
                case,
                addresses,
                sizes,
                widths,
                has_bias,
                relu_output,
                u,
                tau,
                eta,
                widen,
                keep,
                limit,
                scratch,
                order,
                places,
                frameworks,
                sound,
                largest,
                pitch,
            )

    return judge_each
