"""One compiled pass over eight cases: gradient, bound, and the comparison of every framework.

The formulas are those of `harness.arithmetic.enclosure` for gradual underflow, written for one
network after the other on `Lanes`; `harness.fused.soundness` derives what the pass leaves out
and why its answers are still those of `harness.compare.StackJudge`.

Arrays are read as frameworks hold them, case after case, transposed in registers to one number
of eight cases, and everything between the parameters and the answers stays in the processor's
caches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

from harness.fused.lanes import (
    WIDTH,
    absolute,
    any_lane,
    broadcast,
    fused,
    gather,
    greater,
    grid,
    lane,
    lesser,
    load,
    peak,
    raise_to,
    read,
    reciprocal,
    splat,
    store,
    transpose,
    transpose_lanes,
    where,
)

__all__ = ["judge_group", "pass_over_groups", "scratch_size"]

_BYTES = 8 * WIDTH


def scratch_size(widths: Any, rows: int, frameworks: int) -> int:
    """How many float64 numbers of memory `judge_group` works in."""
    dense = sum(a * b for a, b in zip(widths[1:], widths[:-1], strict=True))
    parameters = dense + sum(widths[1:]) + rows * (widths[0] + widths[-1])
    largest = max(a * b for a, b in zip(widths[1:], widths[:-1], strict=True))
    largest = max(largest, max(widths) * max(rows, 1))
    units = rows * sum(widths)
    lanes = (
        parameters
        + 6 * units
        + 10 * rows * max(widths)
        + frameworks * (largest + 2)
        + 3 * len(widths)
        + 32
    )
    return int(WIDTH * lanes)


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _two_sum(a: Any, b: Any) -> Any:
    total = a + b
    shadow = total - a
    return total, (a - (total - shadow)) + (b - shadow)


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _multiply_add(high: Any, low: Any, w: Any, v_high: Any, v_low: Any, splitter: Any) -> Any:
    """(high, low) + w (v_high, v_low), with ``low`` collecting what is rounded off."""
    if splitter is None:
        product = w * v_high
        error = fused(w, v_low, fused(w, v_high, -product))
        high, lost = _two_sum(high, product)
        return high, low + (lost + error)
    return fused(w, v_high, high), low


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _add(high: Any, low: Any, more: Any, more_low: Any, splitter: Any) -> Any:
    """(high, low) + (more, more_low)."""
    if splitter is None:
        high, lost = _two_sum(high, more)
        return high, low + (lost + more_low)
    return high + more, low


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _fits(high: Any, low: Any, splitter: Any) -> Any:
    """Whether the reference's value is a number of p bits."""
    if splitter is None:
        return low == splat(0.0)
    big = high * splat(splitter)
    return big - (big - high) == high


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _settled(
    exact: Any, high: Any, low: Any, total: Any, most: Any, bound: Any, splitter: Any
) -> Any:
    """The bound of a sum whose operands are without error where ``exact`` is true.

    A sum that comes out as a number of p bits may be exact everywhere: then the bound is 0 if its
    terms add up to no more than ``most``, which proves that it was formed without error here;
    otherwise -1, for it is not known.
    """
    zero = splat(0.0)
    known = total * splat(1.0 + 2.0**-40) <= most
    unrounded = exact & _fits(high, low, splitter)
    return where(unrounded, where(known, zero, splat(-1.0)), bound)


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _growth(factors: Any, u: Any) -> Any:
    """The first three terms of (1 + u)^factors - 1, all of them positive."""
    one = splat(1.0)
    second = greater(factors - one, splat(0.0)) * u * splat(0.5)
    third = greater(factors - splat(2.0), splat(0.0)) * u * splat(1.0 / 3.0 - 2.0**-50)
    return factors * u * (one + second * (one + third))


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _bound(
    products: Any, addends: Any, total: Any, rounded: Any, carried: Any, size: Any, u: Any, tau: Any
) -> Any:
    """E of an any-order sum, see `OpenSum`; without the certificate of exactness."""
    zero, one, half = splat(0.0), splat(1.0), splat(0.5)
    additions = greater(products + addends - one, zero)
    theta = _growth(additions + where(products > zero, one, zero), u)
    absolute_error = products * tau
    in_any_order = theta * total + (one + theta) * absolute_error
    leaves = u * rounded + absolute_error
    partial = half * (total + size + carried) + leaves
    node_by_node = leaves + u * additions * (partial + in_any_order)
    return carried + lesser(in_any_order, node_by_node)


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
    depth = len(has_bias)
    coarse = load(grids, 2 * depth)
    store(grids, len(sizes), coarse)
    for layer in range(depth):
        coarse = load(grids, layer) * coarse
        if has_bias[layer]:
            coarse = lesser(coarse, load(grids, depth + layer))
        store(grids, len(sizes) + layer + 1, coarse)


@njit  # type: ignore[untyped-decorator]
def _spread(tag: Any, address: int, size: int, case: int, target: int, at: int) -> None:
    """One array of eight cases as `Lanes`, from the ``at``-th on."""
    step = tag.itemsize
    start = address + case * size * step
    if size < WIDTH:
        for k in range(size):
            store(target, at + k, gather(tag, start + k * step, size))
        return
    for k in range(0, size - WIDTH + 1, WIDTH):
        transpose(tag, start + k * step, size, target, at + k)
    if size % WIDTH:
        k = size - WIDTH
        transpose(tag, start + k * step, size, target, at + k)


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _compare(
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
def _start(block: int, fan_in: int) -> int:
    """Where a block of eight columns starts; the last one overlaps where eight do not divide."""
    return min(WIDTH * block, fan_in - WIDTH)


@njit  # type: ignore[untyped-decorator]
def _compare_rows(
    tag: Any,
    case: int,
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
    fine: int,
    frameworks: int,
    u: Any,
    tau: Any,
    keep: Any,
    splitter: Any,
) -> None:
    """`_compare` for δ aᵀ of one row, with eight columns of one case side by side.

    Wide layers' gradients are read as they lie in memory, which needs no transposing. The lanes
    of the four ``a`` are turned into columns first.
    """
    blocks = (fan_in + WIDTH - 1) // WIDTH
    zero = splat(0.0)
    step = tag.itemsize
    per_case = WIDTH * blocks
    for block in range(blocks):
        at = _BYTES * (before + _start(block, fan_in))
        to = WIDTH * block
        transpose_lanes(a_high + at, turned, to)
        transpose_lanes(a_low + at, turned, per_case + to)
        transpose_lanes(a_error + at, turned, 2 * per_case + to)
        transpose_lanes(a_reach + at, turned, 3 * per_case + to)
    best = 4 * per_case
    for k in range(WIDTH):
        for f in range(frameworks):
            store(turned, best + f, zero)
        for i in range(fan_out):
            here = WIDTH * i + k
            high, low = broadcast(d_high, here), broadcast(d_low, here)
            reach, error = broadcast(d_reach, here), broadcast(d_error, here)
            if not any_lane(reach > zero):  # a unit that is off: all zeros, exactly
                for f in range(frameworks):
                    offset = addresses[1 + f, layer] + step * ((case + k) * size + i * fan_in)
                    off = zero == zero
                    for block in range(blocks):
                        off = off & (read(tag, offset + step * _start(block, fan_in)) == zero)
                    if any_lane(~off):
                        store(turned, best + f, splat(float("inf")))
                continue
            magnitude = absolute(high)
            slope = error + u * reach
            exact = (reach > zero) & (error == zero)
            some_exact = any_lane(exact)
            exactly = broadcast(fine, k)
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
                    bound = _settled(
                        exact & (a_r > zero) & (load(turned, 2 * per_case + column) == zero),
                        product,
                        product_low,
                        absolute(product),
                        exactly,
                        bound,
                        splitter,
                    )
                bound = bound * keep
                inverse = reciprocal(bound)
                offset = step * ((case + k) * size + i * fan_in + _start(block, fan_in))
                for f in range(frameworks):
                    difference = read(tag, addresses[1 + f, layer] + offset) - product
                    if splitter is None:
                        difference = difference - product_low
                    difference = absolute(difference)
                    ratio = greater(difference * inverse, load(turned, best + f))
                    bad = splat(float("inf"))
                    store(turned, best + f, where(difference <= bound, ratio, bad))
        for f in range(frameworks):
            raise_to(worst, WIDTH * f + k, peak(load(turned, best + f)))


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _divide(
    high: Any,
    low: Any,
    error: Any,
    reach: Any,
    divisor: int,
    u: Any,
    tau: Any,
    splitter: Any,
) -> Any:
    """Division by a whole number, see `Enclosure.__truediv__`."""
    k, two, zero = splat(float(divisor)), splat(2.0), splat(0.0)
    if divisor & (divisor - 1) == 0:  # what is exact may stay exact
        return high / k, low / k, where(error > zero, error / k + two * tau, zero)
    error = (error + _growth(splat(3.0), u) * reach) / k + two * tau
    error = where(reach > zero, error, zero)
    quotient = high / k
    if splitter is None:
        product = quotient * k
        remainder = ((high - product) - fused(quotient, k, -product)) + low
        quotient, rest = _two_sum(quotient, remainder / k)
        return quotient, rest, error
    return quotient, low, error


@njit  # type: ignore[untyped-decorator]
def _answers(worst: int, case: int, frameworks: int, sound: Any, largest: Any) -> None:
    for f in range(frameworks):
        ratios = load(worst, f)
        for k in range(WIDTH):
            ratio = lane(ratios, k)
            sound[f, case + k] = ratio <= 1.0
            largest[f, case + k] = ratio


@njit(nogil=True)  # type: ignore[untyped-decorator]
def judge_group(
    tag: Any,
    splitter: Any,
    case: int,
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
    sound: Any,
    largest: Any,
) -> None:
    """Judge the eight cases from ``case`` on.

    Args:
        tag: An empty array of the dtype in which all arrays are held.
        splitter: 2^(53-p) + 1 for a format of p < 53 bits; ``None`` for float64, whose
            reference is in double-double.
        case: The first of the eight.
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
        frameworks: F.
        sound: (F, C) uint8, where the answers go: certainly AGREES.
        largest: (F, C) float64, where the largest error / bound goes.
    """
    depth = len(widths) - 1
    zero, one, two, half = splat(0.0), splat(1.0), splat(2.0), splat(0.5)
    unit, lost, big = splat(u), splat(tau), splat(2.0**400)
    broad, close = splat(widen), splat(keep)
    x_array, y_array = 2 * depth, 2 * depth + 1

    # Where things are in the scratch memory, counted in Lanes.
    parameter = 0
    units = 0
    for k in range(len(sizes)):
        parameter += sizes[k]
    widest = 0
    dense = 0
    for k in range(depth + 1):
        units += rows * widths[k]
        widest = max(widest, rows * widths[k])
        if k:
            dense = max(dense, widths[k] * widths[k - 1])
    dense = max(dense, widest)
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
    fine = grids + _BYTES * (3 * depth + 3)
    given = fine + _BYTES

    at = 0
    for k in range(len(sizes)):
        if sizes[k]:
            _spread(tag, addresses[0, k], sizes[k], case, parameters, at)
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
            for i in range(fan_out):
                high, low, total, carried, smallest = zero, zero, zero, zero, big
                weights = weight_at + i * fan_in
                for j in range(fan_in):
                    w = load(parameters, weights + j)
                    size = absolute(w)
                    high, low = _multiply_add(
                        high, low, w, load(a_high, row + j), load(a_low, row + j), splitter
                    )
                    total = fused(size, load(a_reach, row + j), total)
                    carried = fused(size, load(a_error, row + j), carried)
                    smallest = lesser(size, smallest)
                live = inputs
                if any_lane(smallest == zero):
                    sparse, live, smallest = True, zero, big
                    for j in range(fan_in):
                        size = absolute(load(parameters, weights + j))
                        smallest = lesser(where(size > zero, size, big), smallest)
                        counts = (size > zero) & (load(a_reach, row + j) > zero)
                        live = live + where(counts, one, zero)
                least = lesser(smallest, least)
                rounded, terms = total, zero
                if has_bias[layer]:
                    b = load(parameters, bias_at + i)
                    high, low = _add(high, low, b, zero, splitter)
                    total = total + absolute(b)
                    terms = where(b == zero, zero, one)
                if splitter is None:
                    high, low = _two_sum(high, low)
                size = absolute(high)
                error = _bound(live, terms, total, rounded, carried, size, unit, lost)
                most = greater(total, most)
                exact = (live > zero) & (carried == zero) & _fits(total, zero, splitter)
                if any_lane(exact & _fits(high, low, splitter)):
                    if not has_grids:
                        _find_grids(parameters, sizes, has_bias, grids)
                        has_grids = True
                    # Sums of multiples of it that stay below this are numbers of p bits.
                    coarse = load(a_grids, layer + 1)
                    exactly = where(coarse >= splat(eta), digits * coarse, -one)
                    error = _settled(exact, high, low, total, exactly, error, splitter)
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
        high, rest = _two_sum(a, -y)
        low = zero
        if splitter is None:
            high, low = _two_sum(high, rest + load(a_low, before + k))
        size = absolute(high)
        error = a_e + where(y == zero, zero, unit) * (size + a_e) + two * lost
        # Exact by the certificate; or perhaps, which is good enough where nothing hangs on it.
        exact = live & (a_e == zero)
        certain = exact & (size * splat(1.0 + 2.0**-40) <= exactly)
        perhaps = exact & ~certain & (rest == zero) & _fits(high, low, splitter)
        open_ = open_ | (perhaps & ~dead)
        error = where(live & ~(certain | perhaps), error, zero)
        reach = size + error
        open_ = open_ | ~(reach < big)
        if not relu_output:
            open_ = open_ | ~live
        least = lesser(where(error > zero, error, big), least)
        most = greater(two * reach, most)
        # Its square, in the loss.
        product, product_low = high * high, zero
        if splitter is None:
            product_low = fused(two * high, low, fused(high, high, -product))
        counts = reach > zero
        square_error = error * reach + size * error + (unit * (reach * reach) + lost)
        exact = (error == zero) & _fits(product, product_low, splitter)
        square_error = where(counts & ~exact, square_error, zero)
        loss, loss_low = _add(loss, loss_low, product, product_low, splitter)
        total = total + (product + square_error)
        carried = carried + square_error
        terms = terms + where(counts, one, zero)
        # Its share of the cotangent.
        if divisor > 1:
            high, low, error = _divide(high, low, error, reach, divisor, unit, lost, splitter)
        high = where(live, high, zero)
        low = where(live, low, zero)
        error = where(live, error, zero)
        store(d_high, k, high)
        store(d_low, k, low)
        store(d_error, k, error)
        store(d_reach, k, absolute(high) + error)
    most = greater(total, most)
    if splitter is None:
        loss, loss_low = _two_sum(loss, loss_low)
    size = absolute(loss)
    error = _bound(zero, terms, total, zero, carried, size, unit, lost)
    exactly = splat(2.0**53) * coarse * coarse
    exact = (terms > one) & (carried == zero)
    error = _settled(exact, loss, loss_low, total, exactly, error, splitter)
    open_ = open_ | (error < zero)
    error = where(error == zero, zero, half * error + two * lost)  # what is exact may stay so
    loss, loss_low, size = half * loss, half * loss_low, half * size
    if divisor > 1:
        loss, loss_low, error = _divide(
            loss, loss_low, error, size + error, divisor, unit, lost, splitter
        )
    for f in range(frameworks):
        step = tag.itemsize
        store(given, f, gather(tag, addresses[1 + f, y_array] + case * step, 1))
    _compare(loss, loss_low, error * close, given, 1, 0, worst, frameworks, splitter)

    # The backward pass. A quotient by B that is no power of two is never exact.
    coarse = splat(2.0**53 / float(divisor)) * coarse
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
        store(fine, 0, exactly)
        by_row = rows == 1 and fan_in >= WIDTH
        if by_row:
            _compare_rows(
                tag,
                case,
                addresses,
                sizes[layer],
                layer,
                fan_in,
                fan_out,
                before,
                a_high,
                a_low,
                a_error,
                a_reach,
                d_high,
                d_low,
                d_error,
                d_reach,
                given,
                worst,
                fine,
                frameworks,
                unit,
                lost,
                close,
                splitter,
            )
        else:
            for f in range(frameworks):
                _spread(tag, addresses[1 + f, layer], sizes[layer], case, given, f * dense)
        for i in range(0 if by_row else fan_out):
            if rows == 1:
                high, low = load(d_high, i), load(d_low, i)
                reach, error = load(d_reach, i), load(d_error, i)
                size = absolute(high)
                slope = error + unit * reach
                exact = (reach > zero) & (error == zero)
                some_exact = any_lane(exact)
                for j in range(fan_in):
                    a = load(a_high, before + j)
                    a_r = load(a_reach, before + j)
                    bound = fused(size, load(a_error, before + j), slope * a_r)
                    product, product_low = high * a, zero
                    if splitter is None:
                        product_low = fused(low, a, fused(high, a, -product))
                        product_low = fused(high, load(a_low, before + j), product_low)
                    else:
                        bound = bound + where((reach > zero) & (a_r > zero), lost, zero)
                    if some_exact:
                        bound = _settled(
                            exact & (a_r > zero) & (load(a_error, before + j) == zero),
                            product,
                            product_low,
                            absolute(product),
                            exactly,
                            bound,
                            splitter,
                        )
                    _compare(
                        product,
                        product_low,
                        bound * close,
                        given,
                        dense,
                        i * fan_in + j,
                        worst,
                        frameworks,
                        splitter,
                    )
                continue
            for j in range(fan_in):
                high, low, total, carried, terms = zero, zero, zero, zero, zero
                for r in range(rows):
                    here, there = r * fan_out + i, before + r * fan_in + j
                    d, d_r, d_e = load(d_high, here), load(d_reach, here), load(d_error, here)
                    a, a_r = load(a_high, there), load(a_reach, there)
                    high, low = _multiply_add(high, low, d, a, load(a_low, there), splitter)
                    if splitter is None:
                        low = fused(load(d_low, here), a, low)
                    total = fused(d_r, a_r, total)
                    carried = carried + fused(d_e, a_r, absolute(d) * load(a_error, there))
                    terms = terms + where((d_r > zero) & (a_r > zero), one, zero)
                bound = _bound(terms, zero, total, total, carried, absolute(high), unit, lost)
                exact = (terms > zero) & (carried == zero)
                bound = _settled(exact, high, low, total, exactly, bound, splitter)
                _compare(
                    high,
                    low,
                    bound * close,
                    given,
                    dense,
                    i * fan_in + j,
                    worst,
                    frameworks,
                    splitter,
                )
        if has_bias[layer]:
            for f in range(frameworks):
                _spread(
                    tag,
                    addresses[1 + f, depth + layer],
                    sizes[depth + layer],
                    case,
                    given,
                    f * dense,
                )
            for i in range(fan_out):
                high, low, total, carried, terms = zero, zero, zero, zero, zero
                for r in range(rows):
                    here = r * fan_out + i
                    d_r, d_e = load(d_reach, here), load(d_error, here)
                    high, low = _add(high, low, load(d_high, here), load(d_low, here), splitter)
                    total = total + d_r
                    carried = carried + d_e
                    terms = terms + where(d_r > zero, one, zero)
                bound = _bound(zero, terms, total, zero, carried, absolute(high), unit, lost)
                exact = (terms > one) & (carried == zero)
                bound = _settled(exact, high, low, total, coarse, bound, splitter)
                _compare(high, low, bound * close, given, dense, i, worst, frameworks, splitter)
        # The cotangent of the layer below, or of the input.
        if layer == 0:
            for f in range(frameworks):
                _spread(tag, addresses[1 + f, x_array], sizes[x_array], case, given, f * dense)
        coarse = coarse * load(grids, layer)
        for r in range(rows):
            outputs_live = zero
            for i in range(fan_out):
                outputs_live = outputs_live + where(
                    load(d_reach, r * fan_out + i) > zero, one, zero
                )
            for j in range(fan_in):
                high, low, total, carried = zero, zero, zero, zero
                for i in range(fan_out):
                    here = r * fan_out + i
                    w = load(parameters, weight_at + i * fan_in + j)
                    size = absolute(w)
                    high, low = _multiply_add(
                        high, low, w, load(d_high, here), load(d_low, here), splitter
                    )
                    total = fused(size, load(d_reach, here), total)
                    carried = fused(size, load(d_error, here), carried)
                live = outputs_live
                if sparse:
                    live = zero
                    for i in range(fan_out):
                        size = absolute(load(parameters, weight_at + i * fan_in + j))
                        counts = (size > zero) & (load(d_reach, r * fan_out + i) > zero)
                        live = live + where(counts, one, zero)
                if splitter is None:
                    high, low = _two_sum(high, low)
                size = absolute(high)
                error = _bound(live, zero, total, total, carried, size, unit, lost)
                most = greater(total, most)
                here = r * fan_in + j
                exact = (live > zero) & (carried == zero)
                error = _settled(exact, high, low, total, coarse, error, splitter)
                if layer == 0:
                    _compare(
                        high, low, error * close, given, dense, here, worst, frameworks, splitter
                    )
                    continue
                active = load(a_reach, before + here) > zero
                open_ = open_ | (active & (error < zero))
                high = where(active, high, zero)
                low = where(active, low, zero)
                error = where(active, error, zero)
                least = lesser(where(error > zero, error, big), least)
                store(g_high, here, high)
                store(g_low, here, low)
                store(g_error, here, error)
                store(g_reach, here, where(active, size, zero) + error)
        d_high, g_high = g_high, d_high
        d_low, g_low = g_low, d_low
        d_error, g_error = g_error, d_error
        d_reach, g_reach = g_reach, d_reach

    open_ = open_ | ~(most < splat(limit)) | ~(least > splat(2.0**-200))
    for f in range(frameworks):
        ratio = load(worst, f)
        store(worst, f, where(open_ | ~(ratio <= one), splat(float("inf")), ratio))
    _answers(worst, case, frameworks, sound, largest)


def pass_over_groups(digest: str) -> Callable[..., None]:
    """`judge_group` for all cases, as a function that numba keeps on disk once compiled.

    Args:
        digest: Of all the source that is compiled. numba's key to what it has kept is the source
            of one file, and whatever the function refers to outside of itself: so this.
    """

    @njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
    def judge_all(
        count: int,
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
        sound: Any,
        largest: Any,
    ) -> None:
        if len(digest) == 0:
            return
        for group in range((count + WIDTH - 1) // WIDTH):
            judge_group(
                tag,
                splitter,
                min(WIDTH * group, count - WIDTH),  # the last group may overlap the one before
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
                frameworks,
                sound,
                largest,
            )

    compiled: Callable[..., None] = judge_all
    return compiled
