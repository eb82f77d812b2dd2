"""The backward pass of eight cases side by side, and the comparison of every gradient."""

from __future__ import annotations

from typing import Any

from numba import int64

from crosscheck.judge.compiled.compare import compare, enter, given
from crosscheck.judge.compiled.exactness import Factors, decided, fits, settled
from crosscheck.judge.compiled.functions import inlined
from crosscheck.judge.compiled.gradients import (
    compared_with,
    cotangent_of,
    entry_of,
    met_by,
    passed_on,
    questioned,
    with_gradients,
)
from crosscheck.judge.compiled.lanes import absolute, any_lane, fused, greater, splat, where
from crosscheck.judge.compiled.memory import load, whole
from crosscheck.judge.compiled.records import (
    BYTES,
    Cases,
    Held,
    Known,
    Layer,
    Sum,
    Watch,
    activations_of,
    keep,
    known,
    layer_of,
    quarters,
    shifted,
)
from crosscheck.judge.compiled.rules import with_total
from crosscheck.judge.compiled.sums import (
    NOT_FINITE,
    add,
    error_bound,
    growth_of_sum,
    multiply_add,
    nothing_added,
    plus_product,
    renormalised,
)

__all__ = ["FEW", "backward"]

FEW = 64
"""So many entries are compared at once."""


@inlined
def _enter_products(cases: Cases, delta: Known, inputs: Held, count: int, entry: int) -> None:
    """A row of δ aᵀ, for a single row of inputs; from the ``entry``-th of the table on."""
    form, zero = cases.form, splat(0.0)
    cotangent = cotangent_of(delta, form)
    some_exact = any_lane(cotangent.exact)
    lost = where(delta.reach > zero, splat(form.tau) * splat(form.keep), zero)
    for j in range(count):
        column = met_by(known(inputs, j), lost, form.splitter)
        found = entry_of(cotangent, column, some_exact, form.splitter)
        enter(cases.room.table, entry + j, found, form.splitter)


@inlined
def _plus_outer(so_far: Sum, d: Known, a: Known, splitter: Any) -> Sum:
    """One product more of a cotangent and an activation."""
    high, low = multiply_add(so_far.high, so_far.low, d.high, a.high, a.low, splitter)
    if splitter is None:
        low = fused(d.low, a.high, low)
    total = fused(d.reach, a.reach, so_far.total)
    carried = so_far.carried + fused(d.error, a.reach, absolute(d.high) * a.error)
    return Sum(high, low, total, carried)


@inlined
def _sum_over_rows(
    cases: Cases, layer: Layer, cotangents: Held, inputs: Held, i: int, j: int, exactly: Any
) -> Any:
    """One entry of δᵀ a, for several rows; its bound is 0 where it is exact.

    Args:
        cases: The cases.
        layer: Whose weights' gradient it is.
        cotangents: δ.
        inputs: A.
        i: Column of δ,
        j: and of a.
        exactly: Below this, sums of exact numbers are numbers of p bits.

    Returns:
        The sum, and its bound.
    """
    form, zero, one = cases.form, splat(0.0), splat(1.0)
    of, terms = nothing_added(), zero
    for r in range(cases.shape.rows):
        d, a = known(cotangents, r * layer.fan_out + i), known(inputs, r * layer.fan_in + j)
        of = _plus_outer(of, d, a, form.splitter)
        terms = terms + where((d.reach > zero) & (a.reach > zero), one, zero)
    theta = growth_of_sum(terms, zero, splat(form.u))
    bound = error_bound(of, of.total, terms, zero, theta, form)
    exact = (terms > zero) & (of.carried == zero)
    return of, settled(exact, of, exactly, bound, form.splitter)


@inlined
def _compare_weights(
    cases: Cases, layer: Layer, cotangents: Held, inputs: Held, coarse: Any
) -> None:
    """The gradient of a layer's weights, so many of its rows at once as are `FEW` entries."""
    shape, form, room = cases.shape, cases.form, cases.room
    fan_in, zero = layer.fan_in, splat(0.0)
    exactly = coarse * load(room.grids, 2 * shape.depth + 2 + layer.number)
    together = max(1, FEW // fan_in)
    for first in range(0, layer.fan_out, together):
        behind = min(first + together, layer.fan_out)
        for i in range(first, behind):
            entry = (i - first) * fan_in
            if shape.rows == 1:
                _enter_products(cases, known(cotangents, i), inputs, fan_in, entry)
                continue
            for j in range(fan_in):
                of, bound = _sum_over_rows(cases, layer, cotangents, inputs, i, j, exactly)
                found = compared_with(Known(of.high, of.low, bound, zero), form)
                enter(room.table, entry + j, found, form.splitter)
        count = (behind - first) * fan_in
        size = whole(shape.sizes, layer.number)
        compare(given(cases), layer.number, size, first * fan_in, count, form.splitter)


@inlined
def _compare_biases(cases: Cases, layer: Layer, cotangents: Held, coarse: Any) -> None:
    """The gradient of a layer's biases: the sum of cotangents over the rows."""
    shape, form, room = cases.shape, cases.form, cases.room
    zero, one = splat(0.0), splat(1.0)
    for i in range(layer.fan_out):
        if shape.rows == 1:  # a sum of one: the cotangent as it is
            enter(room.table, i, compared_with(known(cotangents, i), form), form.splitter)
            continue
        of, terms = nothing_added(), zero
        for r in range(shape.rows):
            d = known(cotangents, r * layer.fan_out + i)
            high, low = add(of.high, of.low, d.high, d.low, form.splitter)
            of = Sum(high, low, of.total + d.reach, of.carried + d.error)
            terms = terms + where(d.reach > zero, one, zero)
        theta = growth_of_sum(zero, terms, splat(form.u))
        bound = error_bound(of, zero, zero, terms, theta, form)
        exact = (terms > one) & (of.carried == zero)
        bound = settled(exact, of, coarse, bound, form.splitter)
        found = compared_with(Known(of.high, of.low, bound, zero), form)
        enter(room.table, i, found, form.splitter)
    array, start = shape.depth + layer.number, int64(0)
    compare(given(cases), array, layer.fan_out, start, layer.fan_out, form.splitter)


@inlined
def _count(weights: int, stride: int, reaches: int, count: int) -> Any:
    """Products of a column of weights that are not zero."""
    zero, one = splat(0.0), splat(1.0)
    live = zero
    for i in range(count):
        size = absolute(load(weights, stride * i))
        counts = (size > zero) & (load(reaches, i) > zero)
        live = live + where(counts, one, zero)
    return live


@inlined
def _column(
    cases: Cases, layer: Layer, j: int, deltas: Held, live: Any, usual: Any, watch: Watch
) -> Any:
    """One entry of Wᵀ δ.

    Args:
        cases: The cases.
        layer: That of W, whose exact sums of cotangents `backward` knows the grid of.
        j: Which column of W it is.
        deltas: δ of one row.
        live: How many of them are not zero.
        usual: The growth factor of sums of so many products.
        watch: What may leave cases open.

    Returns:
        What may leave cases open, the sum, its bound by the formula, where it is an exact number
        of exact operands, and where its products lie.
    """
    form, fan_in, zero = cases.form, layer.fan_in, splat(0.0)
    weights = cases.room.parameters + BYTES * (whole(cases.shape.starts, layer.number) + j)
    of = nothing_added()
    for i in range(layer.fan_out):
        w = load(weights, i * fan_in)
        of = plus_product(of, w, absolute(w), known(deltas, i), form.splitter)
    theta = usual
    if watch.sparse:
        live = _count(weights, fan_in, deltas.reach, layer.fan_out)
        theta = growth_of_sum(live, zero, splat(form.u))
    of = renormalised(of, form.splitter)
    error = error_bound(of, of.total, live, zero, theta, form)
    exact = (live > zero) & (of.carried == zero) & fits(of.high, of.low, form.splitter)
    factors = Factors(weights, fan_in, deltas.high, layer.fan_out)
    return with_total(watch, of.total), of, error, exact, factors


@inlined
def _pass_down(
    cases: Cases, layer: Layer, r: int, cotangents: Held, others: Held, coarse: Any, watch: Watch
) -> Watch:
    """One row of the cotangent of the layer below, or of the input.

    Args:
        cases: The cases.
        layer: The layer that passes it down.
        r: Which row.
        cotangents: That layer's.
        others: Where those of the layer below go; those of the input go to the table.
        coarse: 2^53 times what exact terms are multiples of.
        watch: What may leave cases open.
    """
    form, room, zero, one = cases.form, cases.room, splat(0.0), splat(1.0)
    deltas = shifted(cotangents, r * layer.fan_out)
    live = zero
    for i in range(layer.fan_out):
        live = live + where(load(deltas.reach, i) > zero, one, zero)
    usual = growth_of_sum(live, zero, splat(form.u))
    reaches = activations_of(cases).reach
    for j in range(layer.fan_in):
        watch, of, error, exact, factors = _column(cases, layer, j, deltas, live, usual, watch)
        if any_lane(exact):
            asked = questioned(of, error, exact, coarse, form)
            error = asked.bound
            if any_lane(asked.unknown):
                error = decided(asked, splat(NOT_FINITE), factors, form)
        here = r * layer.fan_in + j
        if layer.number == 0:
            found = compared_with(Known(of.high, of.low, error, zero), form)
            enter(room.table, here, found, form.splitter)
            continue
        active = load(reaches, layer.before + here) > zero
        watch, delta = passed_on(watch, of, error, active)
        keep(others, here, delta)
    return watch


@inlined
def backward(cases: Cases, coarse: Any, watch: Watch) -> Watch:
    """The backward pass, layer by layer from above.

    Args:
        cases: The cases, whose activations and last cotangent are known.
        coarse: The power of two that residuals are multiples of.
        watch: What may leave cases open.
    """
    shape, room = cases.shape, cases.room
    depth = shape.depth
    activations = activations_of(cases)
    cotangents, others = (
        quarters(room.cotangents, shape.widest),
        quarters(room.others, shape.widest),
    )
    # A quotient by B that is no power of two is never exact.
    coarse = splat(2.0**53 / float(shape.divisor)) * coarse
    for above in range(depth):
        layer = layer_of(shape, depth - 1 - above)
        inputs = shifted(activations, layer.before)
        highest, furthest = splat(0.0), splat(0.0)
        for k in range(shape.rows * layer.fan_out):
            highest = greater(load(cotangents.reach, k), highest)
        for k in range(shape.rows * layer.fan_in):
            furthest = greater(load(inputs.reach, k), furthest)
        watch = with_gradients(watch, shape.rows, highest, furthest)
        _compare_weights(cases, layer, cotangents, inputs, coarse)
        if layer.has_bias:
            _compare_biases(cases, layer, cotangents, coarse)
        coarse = coarse * load(room.grids, layer.number)
        for r in range(shape.rows):
            watch = _pass_down(cases, layer, r, cotangents, others, coarse, watch)
        cotangents, others = others, cotangents
    size = whole(shape.sizes, 2 * depth)
    compare(given(cases), 2 * depth, size, int64(0), size, cases.form.splitter)
    return watch
