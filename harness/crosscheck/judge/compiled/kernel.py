"""One compiled pass over eight cases: gradient, bound, and the comparison of every framework.

The formulas are those of `crosscheck.numbers.enclosure` for gradual underflow, written for one
network after the other on `Lanes`; `crosscheck.judge.compiled` derives what the pass leaves out
and why its answers are still those of `crosscheck.judge.compare.StackJudge`.

Arrays are read as frameworks hold them, case after case, transposed in registers to one number
of eight cases, and everything between the parameters and the answers stays in the processor's
caches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from crosscheck.judge.compiled.compare import answers, compare, enter, spread
from crosscheck.judge.compiled.lanes import (
    WIDTH,
    absolute,
    any_lane,
    fused,
    greater,
    grid,
    lesser,
    splat,
    where,
)
from crosscheck.judge.compiled.memory import aligned_stack, borrowed, load, store
from crosscheck.judge.compiled.sums import (
    LEAST,
    NOT_FINITE,
    add,
    decided,
    divide,
    error_bound,
    find_layer_grids,
    fits,
    growth_of_sum,
    multiply_add,
    settled,
    squared,
    two_sum,
)
from crosscheck.tools.compiling import kept

__all__ = ["judge_group", "pass_over_groups", "scratch_size"]

_BYTES = 8 * WIDTH

_FEW = 64
"""So many entries are compared at once."""


def scratch_size(widths: Any, rows: int, frameworks: int) -> int:
    """How many float64 numbers of memory `judge_group` works in."""
    dense = sum(a * b for a, b in zip(widths[1:], widths[:-1], strict=True))
    parameters = dense + sum(widths[1:]) + rows * (widths[0] + widths[-1])
    units = rows * sum(widths)
    lanes = (
        parameters
        + 6 * units
        + 10 * rows * max(widths)
        + 4 * (max(widths) * rows + _FEW)
        + 35 * (max(widths) // WIDTH + 1)
        + 2 * frameworks
        + 3 * len(widths)
        + 32
    )
    return int(WIDTH * lanes)


@njit  # type: ignore[untyped-decorator]
def _find_grids(parameters: int, sizes: Any, has_bias: Any, grids: int) -> None:
    """The largest powers of two that all numbers are multiples of, zero being one of any.

    Those of each array of parameters are followed by those of each layer's exact activations.
    Only needed where something came out as if it were exact.
    """
    at = 0
    for k in range(len(sizes)):
        coarse = splat(2.0**400)
        for n in range(at, at + sizes[k]):
            coarse = lesser(grid(load(parameters, n)), coarse)
        store(grids, k, coarse)
        at += sizes[k]
    find_layer_grids(len(sizes), has_bias, grids)


@njit(nogil=True)  # type: ignore[untyped-decorator]
def judge_group(
    tag: Any,
    splitter: Any,
    case: int,
    apart: int,
    addresses: Any,
    sizes: Any,
    widths: Any,
    has_bias: Any,
    rows: int,
    relu_output: bool,
    divisor: int,
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
    """Judge eight cases, ``apart`` cases apart from one another.

    Args:
        tag: A number of the type in which all arrays are held.
        splitter: 2^(53-p) + 1 for a format of p < 53 bits; ``None`` for float64, whose
            reference is in double-double.
        case: The first of the eight.
        apart: From one of them to the next.
        addresses: Where arrays begin: in row 0 ``W_1 … W_L, b_1 … b_L, x, y``, in the others,
            one for each framework, the gradients in the same order, J in the place of y.
        sizes: Numbers per case of each array of row 0.
        widths: n_0 … n_L.
        has_bias: Whether b_l is there.
        rows: B.
        relu_output: Whether the last layer has a ReLU.
        divisor: What the loss is divided by.
        u: Unit roundoff.
        tau: The largest absolute error of a product.
        eta: The smallest subnormal number.
        widen: The factor on a bound that makes a gate's margin certain.
        keep: The factor on a bound that makes an entry's answer certain.
        limit: Below it nothing can overflow, in the format or here.
        scratch: Address of `scratch_size` numbers.
        order: Room for twice as many whole numbers as a layer has units.
        places: Room for as many as there are frameworks.
        frameworks: F.
        sound: Where the answers go, one byte each: certainly AGREES.
        largest: Where the largest error / bound goes, float64.
        pitch: From a case's answer for one framework to that for the next, counted in answers.
    """
    aligned_stack()
    addresses, sizes, widths = borrowed(addresses), borrowed(sizes), borrowed(widths)
    has_bias, order, places = borrowed(has_bias), borrowed(order), borrowed(places)
    depth = len(widths) - 1
    zero, one, two, half = splat(0.0), splat(1.0), splat(2.0), splat(0.5)
    unit, lost, big = splat(u), splat(tau), splat(NOT_FINITE)
    broad, close = splat(widen), splat(keep)
    x_array, y_array = 2 * depth, 2 * depth + 1
    # As literals they would have what they are given to compiled once more.
    start, alone = np.int64(0), np.int64(1)

    # Where things are in the scratch memory, counted in Lanes.
    parameter = 0
    units = 0
    for k in range(len(sizes)):
        parameter += sizes[k]
    widest = 0
    for k in range(depth + 1):
        units += rows * widths[k]
        widest = max(widest, rows * widths[k])
    parameters = scratch
    a_high = parameters + _BYTES * parameter
    a_low = a_high + _BYTES * units
    a_error = a_low + _BYTES * units
    a_reach = a_error + _BYTES * units
    d_high = a_reach + _BYTES * units
    d_low = d_high + _BYTES * widest
    d_error = d_low + _BYTES * widest
    d_reach = d_error + _BYTES * widest
    g_high = d_reach + _BYTES * widest
    g_low = g_high + _BYTES * widest
    g_error = g_low + _BYTES * widest
    g_reach = g_error + _BYTES * widest
    worst = g_reach + _BYTES * widest
    grids = worst + _BYTES * frameworks  # of each array, then of each layer's activations
    table = grids + _BYTES * (3 * depth + 3)

    at = 0
    for k in range(len(sizes)):
        if sizes[k]:
            spread(tag, addresses[0, k], sizes[k], case, apart, parameters, at)
        at += sizes[k]
    for f in range(frameworks):
        store(worst, f, zero)

    open_ = zero > one
    least, most = big, zero

    a_grids = grids + _BYTES * len(sizes)
    for k in range(len(sizes) + depth + 1):
        store(grids, k, zero)
    has_grids = sparse = False
    digits = splat(2.0**53 if splitter is None else 2.0**53 / (splitter - 1.0))

    # The forward pass.
    x_at = parameter - sizes[x_array] - sizes[y_array]
    for k in range(sizes[x_array]):
        value = load(parameters, x_at + k)
        size = absolute(value)
        store(a_high, k, value)
        store(a_low, k, zero)
        store(a_error, k, zero)
        store(a_reach, k, size)
        least = lesser(where(size > zero, size, big), least)
        most = greater(size, most)
        open_ = open_ | ~(size < big)
    before, after = 0, rows * widths[0]
    weight_at = 0
    bias_at = 0
    for layer in range(depth):
        bias_at += sizes[layer]
    for layer in range(depth):
        fan_in, fan_out = widths[layer], widths[layer + 1]
        with_relu = layer < depth - 1 or relu_output
        for r in range(rows):
            row = before + r * fan_in
            inputs = zero
            for j in range(fan_in):
                inputs = inputs + where(load(a_reach, row + j) > zero, one, zero)
            # The growth factor of sums without zero weights and with a bias, or the lack of it.
            usual = growth_of_sum(inputs, one if has_bias[layer] else zero, unit)
            for i in range(fan_out):
                high, low, total, carried, smallest = zero, zero, zero, zero, big
                weights = weight_at + i * fan_in
                for j in range(fan_in):
                    w = load(parameters, weights + j)
                    size = absolute(w)
                    high, low = multiply_add(
                        high, low, w, load(a_high, row + j), load(a_low, row + j), splitter
                    )
                    total = fused(size, load(a_reach, row + j), total)
                    carried = fused(size, load(a_error, row + j), carried)
                    smallest = lesser(size, smallest)
                live, unusual = inputs, False
                if any_lane(smallest == zero):
                    sparse, unusual, live, smallest = True, True, zero, big
                    for j in range(fan_in):
                        size = absolute(load(parameters, weights + j))
                        smallest = lesser(where(size > zero, size, big), smallest)
                        counts = (size > zero) & (load(a_reach, row + j) > zero)
                        live = live + where(counts, one, zero)
                least = lesser(smallest, least)
                rounded, terms = total, zero
                if has_bias[layer]:
                    b = load(parameters, bias_at + i)
                    high, low = add(high, low, b, zero, splitter)
                    total = total + absolute(b)
                    terms = where(b == zero, zero, one)
                    unusual = unusual or any_lane(b == zero)
                if splitter is None:
                    high, low = two_sum(high, low)
                size = absolute(high)
                theta = growth_of_sum(live, terms, unit) if unusual else usual
                error = error_bound(
                    live, terms, theta, total, rounded, carried, size, unit, lost, splitter
                )
                most = greater(total, most)
                exact = (live > zero) & (carried == zero) & fits(total, zero, splitter)
                if any_lane(exact & fits(high, low, splitter)):
                    if not has_grids:
                        _find_grids(parameters, sizes, has_bias, grids)
                        has_grids = True
                    # Sums of multiples of it that stay below this are numbers of p bits.
                    coarse = load(a_grids, layer + 1)
                    exactly = where(coarse >= splat(eta), digits * coarse, -one)
                    formula = error
                    error = settled(exact, high, low, total, exactly, error, splitter)
                    unknown = error < zero
                    if any_lane(unknown):
                        fine = big
                        if has_bias[layer]:
                            b = load(parameters, bias_at + i)
                            fine = where(b == zero, big, grid(b))
                        error = decided(
                            unknown,
                            fine,
                            error,
                            formula,
                            total,
                            digits,
                            eta,
                            parameters,
                            weights,
                            1,
                            a_high,
                            row,
                            fan_in,
                        )
                open_ = open_ | ~(total < big) | (error < zero)
                here = after + r * fan_out + i
                if with_relu:
                    open_ = open_ | ~(size > error * broad)
                    active = high > zero
                    high = where(active, high, zero)
                    low = where(active, low, zero)
                    error = where(active, error, zero)
                    size = where(active, size, zero)
                    least = lesser(where(active, size, big), least)
                store(a_high, here, high)
                store(a_low, here, low)
                store(a_error, here, error)
                store(a_reach, here, size + error)
        before, after = after, after + rows * fan_out
        weight_at += fan_in * fan_out
        if has_bias[layer]:
            bias_at += fan_out

    # The loss and its cotangent.
    outputs = widths[depth]
    y_at = parameter - sizes[y_array]
    loss, loss_low, total, carried, terms = zero, zero, zero, zero, zero
    outlying = zero > one
    for k in range(rows * outputs):
        error, reach = load(a_error, before + k), load(a_reach, before + k)
        outlying = outlying | ((error == zero) & (reach > zero))
    if any_lane(outlying) and not has_grids:
        _find_grids(parameters, sizes, has_bias, grids)
    coarse = lesser(load(a_grids, depth), load(grids, y_array))
    exactly = where(coarse >= splat(2.0 * eta), digits * coarse, -one)
    dead = splat(0.0) > one
    if rows == 1 and depth > 1:
        dead = one > zero
        for j in range(widths[depth - 1]):
            dead = dead & ~(load(a_reach, before - widths[depth - 1] + j) > zero)
    for k in range(rows * outputs):
        y = load(parameters, y_at + k)
        a = load(a_high, before + k)
        a_e = load(a_error, before + k)
        live = load(a_reach, before + k) > zero
        high, rest = two_sum(a, -y)
        low = zero
        if splitter is None:
            high, low = two_sum(high, rest + load(a_low, before + k))
        size = absolute(high)
        error = a_e + where(y == zero, zero, unit) * (size + a_e) + two * lost
        # Exact by the certificate; or perhaps, which is good enough where nothing hangs on it.
        exact = live & (a_e == zero)
        certain = exact & (size * splat(1.0 + 2.0**-40) <= exactly)
        perhaps = exact & ~certain & (rest == zero) & fits(high, low, splitter)
        open_ = open_ | (perhaps & ~dead)
        error = where(live & ~(certain | perhaps), error, zero)
        reach = size + error
        open_ = open_ | ~(reach < big)
        if not relu_output:
            open_ = open_ | ~live
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
        if divisor > 1:
            high, low, error = divide(high, low, error, reach, divisor, unit, lost, splitter)
        high = where(live, high, zero)
        low = where(live, low, zero)
        error = where(live, error, zero)
        store(d_high, k, high)
        store(d_low, k, low)
        store(d_error, k, error)
        store(d_reach, k, absolute(high) + error)
    most = greater(total, most)
    if splitter is None:
        loss, loss_low = two_sum(loss, loss_low)
    size = absolute(loss)
    theta = growth_of_sum(zero, terms, unit)
    error = error_bound(zero, terms, theta, total, zero, carried, size, unit, lost, splitter)
    exactly = splat(2.0**53) * coarse * coarse
    exact = (terms > one) & (carried == zero)
    error = settled(exact, loss, loss_low, total, exactly, error, splitter)
    open_ = open_ | (error < zero)
    error = where(error == zero, zero, half * error + two * lost)  # what is exact may stay so
    loss, loss_low, size = half * loss, half * loss_low, half * size
    if divisor > 1:
        loss, loss_low, error = divide(
            loss, loss_low, error, size + error, divisor, unit, lost, splitter
        )
    enter(table, 0, loss, loss_low, error * close, splitter)
    compare(
        tag,
        addresses,
        y_array,
        alone,
        start,
        alone,
        case,
        apart,
        table,
        worst,
        frameworks,
        splitter,
    )

    # The backward pass. A quotient by B that is no power of two is never exact.
    coarse = splat(2.0**53 / float(divisor)) * coarse
    shorter, more = digits * splat(2.0**-53), splat(1.0 + 2.0**-40)
    for above in range(depth):
        layer = depth - 1 - above
        fan_in, fan_out = widths[layer], widths[layer + 1]
        after = before
        before -= rows * fan_in
        weight_at -= fan_in * fan_out
        highest, furthest = zero, zero
        for k in range(rows * fan_out):
            highest = greater(load(d_reach, k), highest)
        for k in range(rows * fan_in):
            furthest = greater(load(a_reach, before + k), furthest)
        most = greater(splat(float(rows)) * highest * furthest, most)
        most = greater(splat(float(rows)) * highest, most)
        exactly = coarse * load(a_grids, layer)
        together = max(1, _FEW // fan_in)
        for first in range(0, fan_out, together):
            behind = min(first + together, fan_out)
            for i in range(first, behind):
                entry = (i - first) * fan_in
                if rows == 1:
                    high, low = load(d_high, i), load(d_low, i)
                    reach, error = load(d_reach, i), load(d_error, i)
                    magnitude = absolute(high) * close
                    slope = (error + unit * reach) * close
                    exact = (reach > zero) & (error == zero)
                    some_exact = any_lane(exact)
                    for j in range(fan_in):
                        a = load(a_high, before + j)
                        a_r = load(a_reach, before + j)
                        bound = fused(magnitude, load(a_error, before + j), slope * a_r)
                        product, product_low = high * a, zero
                        if splitter is None:
                            product_low = fused(low, a, fused(high, a, -product))
                            product_low = fused(high, load(a_low, before + j), product_low)
                        else:
                            both = (reach > zero) & (a_r > zero)
                            bound = bound + where(both, lost * close, zero)
                        if some_exact:
                            both = exact & (a_r > zero) & (load(a_error, before + j) == zero)
                            both = both & fits(product, product_low, splitter)
                            bound = where(both, zero, bound)
                        enter(table, entry + j, product, product_low, bound, splitter)
                    continue
                for j in range(fan_in):
                    high, low, total, carried, terms = zero, zero, zero, zero, zero
                    for r in range(rows):
                        here, there = r * fan_out + i, before + r * fan_in + j
                        d, d_r, d_e = load(d_high, here), load(d_reach, here), load(d_error, here)
                        a, a_r = load(a_high, there), load(a_reach, there)
                        high, low = multiply_add(high, low, d, a, load(a_low, there), splitter)
                        if splitter is None:
                            low = fused(load(d_low, here), a, low)
                        total = fused(d_r, a_r, total)
                        carried = carried + fused(d_e, a_r, absolute(d) * load(a_error, there))
                        terms = terms + where((d_r > zero) & (a_r > zero), one, zero)
                    theta, size = growth_of_sum(terms, zero, unit), absolute(high)
                    bound = error_bound(
                        terms, zero, theta, total, total, carried, size, unit, lost, splitter
                    )
                    exact = (terms > zero) & (carried == zero)
                    bound = settled(exact, high, low, total, exactly, bound, splitter)
                    enter(table, entry + j, high, low, bound * close, splitter)
            compare(
                tag,
                addresses,
                layer,
                sizes[layer],
                first * fan_in,
                (behind - first) * fan_in,
                case,
                apart,
                table,
                worst,
                frameworks,
                splitter,
            )
        if has_bias[layer]:
            for i in range(fan_out):
                if rows == 1:  # a sum of one: the cotangent as it is
                    high, low, error = load(d_high, i), load(d_low, i), load(d_error, i)
                    enter(table, i, high, low, error * close, splitter)
                    continue
                high, low, total, carried, terms = zero, zero, zero, zero, zero
                for r in range(rows):
                    here = r * fan_out + i
                    d_r, d_e = load(d_reach, here), load(d_error, here)
                    high, low = add(high, low, load(d_high, here), load(d_low, here), splitter)
                    total = total + d_r
                    carried = carried + d_e
                    terms = terms + where(d_r > zero, one, zero)
                theta, size = growth_of_sum(zero, terms, unit), absolute(high)
                bound = error_bound(
                    zero, terms, theta, total, zero, carried, size, unit, lost, splitter
                )
                exact = (terms > one) & (carried == zero)
                bound = settled(exact, high, low, total, coarse, bound, splitter)
                enter(table, i, high, low, bound * close, splitter)
            compare(
                tag,
                addresses,
                depth + layer,
                fan_out,
                start,
                fan_out,
                case,
                apart,
                table,
                worst,
                frameworks,
                splitter,
            )
        # The cotangent of the layer below, or of the input.
        coarse = coarse * load(grids, layer)
        for r in range(rows):
            outputs_live = zero
            for i in range(fan_out):
                outputs_live = outputs_live + where(
                    load(d_reach, r * fan_out + i) > zero, one, zero
                )
            usual = growth_of_sum(outputs_live, zero, unit)
            for j in range(fan_in):
                high, low, total, carried = zero, zero, zero, zero
                for i in range(fan_out):
                    here = r * fan_out + i
                    w = load(parameters, weight_at + i * fan_in + j)
                    size = absolute(w)
                    high, low = multiply_add(
                        high, low, w, load(d_high, here), load(d_low, here), splitter
                    )
                    total = fused(size, load(d_reach, here), total)
                    carried = fused(size, load(d_error, here), carried)
                live, theta = outputs_live, usual
                if sparse:
                    live = zero
                    for i in range(fan_out):
                        size = absolute(load(parameters, weight_at + i * fan_in + j))
                        counts = (size > zero) & (load(d_reach, r * fan_out + i) > zero)
                        live = live + where(counts, one, zero)
                    theta = growth_of_sum(live, zero, unit)
                if splitter is None:
                    high, low = two_sum(high, low)
                size = absolute(high)
                error = error_bound(
                    live, zero, theta, total, total, carried, size, unit, lost, splitter
                )
                most = greater(total, most)
                here = r * fan_in + j
                exact = (live > zero) & (carried == zero) & fits(high, low, splitter)
                if any_lane(exact):
                    formula = error
                    error = settled(exact, high, low, total, coarse, error, splitter)
                    # What is 0 so far may be no certificate: the sum's own grid tells.
                    unknown = exact & (error <= zero) & (total * more > coarse * shorter)
                    if any_lane(unknown):
                        error = decided(
                            unknown,
                            big,
                            error,
                            formula,
                            total,
                            digits,
                            eta,
                            parameters,
                            weight_at + j,
                            fan_in,
                            d_high,
                            r * fan_out,
                            fan_out,
                        )
                if layer == 0:
                    enter(table, here, high, low, error * close, splitter)
                    continue
                active = load(a_reach, before + here) > zero
                open_ = open_ | (active & (error < zero))
                high = where(active, high, zero)
                low = where(active, low, zero)
                error = where(active, error, zero)
                size = where(active & (size > zero), size, big)
                least = lesser(where(error > zero, error, size), least)
                store(g_high, here, high)
                store(g_low, here, low)
                store(g_error, here, error)
                store(g_reach, here, absolute(high) + error)
        if layer == 0:
            compare(
                tag,
                addresses,
                x_array,
                sizes[x_array],
                start,
                sizes[x_array],
                case,
                apart,
                table,
                worst,
                frameworks,
                splitter,
            )
        d_high, g_high = g_high, d_high
        d_low, g_low = g_low, d_low
        d_error, g_error = g_error, d_error
        d_reach, g_reach = g_reach, d_reach

    open_ = open_ | ~(most < splat(limit)) | ~(least > splat(LEAST))
    for f in range(frameworks):
        ratio = load(worst, f)
        store(worst, f, where(open_ | ~(ratio <= one), splat(float("inf")), ratio))
    answers(worst, case, apart, frameworks, sound, largest, pitch)


def pass_over_groups(digest: str, dtype: str) -> Callable[..., None]:
    """`judge_group` for all cases, as a function that numba keeps on disk once compiled.

    Args:
        digest: Of all the source that is compiled. numba's key to what it has kept is the source
            of one file, and whatever the function refers to outside of itself: so this.
        dtype: Names the type of the arrays and of the reference.
    """

    @kept(dtype)
    def judge_all(
        count: int,
        apart: int,
        tag: Any,
        splitter: Any,
        addresses: Any,
        sizes: Any,
        widths: Any,
        has_bias: Any,
        rows: int,
        relu_output: bool,
        divisor: int,
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
        groups = (count + WIDTH - 1) // WIDTH
        order = np.empty(2 * widths.max(), np.int64)
        places = np.empty(frameworks, np.int64)
        for group in range(groups):
            # Without a distance the last group may overlap the one before.
            first = min(WIDTH * group, count - WIDTH)
            if apart > 1:
                first = group // apart * apart * WIDTH + group % apart
            judge_group(
                tag,
                splitter,
                first,
                apart,
                addresses,
                sizes,
                widths,
                has_bias,
                rows,
                relu_output,
                divisor,
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

    return judge_all
