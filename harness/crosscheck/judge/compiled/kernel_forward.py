"""The forward pass and the loss of eight cases side by side."""

from __future__ import annotations

from typing import Any

from numba import int64

from crosscheck.judge.compiled.compare import compare, enter, given
from crosscheck.judge.compiled.exactness import (
    Factors,
    Question,
    decided,
    find_layer_grids,
    fits,
    settled,
)
from crosscheck.judge.compiled.functions import called, inlined
from crosscheck.judge.compiled.gradients import compared_with
from crosscheck.judge.compiled.lanes import (
    absolute,
    any_lane,
    everywhere,
    grid,
    lesser,
    nowhere,
    splat,
    where,
)
from crosscheck.judge.compiled.memory import load, store, whole
from crosscheck.judge.compiled.records import (
    BYTES,
    Cases,
    Held,
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
from crosscheck.judge.compiled.rules import (
    Targets,
    activated,
    as_cotangent,
    certain_below,
    halved,
    plus_square,
    residual,
    taken_in,
    with_total,
)
from crosscheck.judge.compiled.sums import (
    NOT_FINITE,
    divided,
    error_bound,
    growth_of_sum,
    nothing_added,
    plus,
    plus_product,
    renormalised,
)

__all__ = ["forward", "loss"]


@called
def _find_grids(parameters: int, depth: int, sizes: int, grids: int) -> None:
    """The largest powers of two that all numbers are multiples of, zero being one of any.

    Those of each array of parameters are followed by those of each layer's exact activations.
    Only needed where something came out as if it were exact.
    """
    at = 0
    for k in range(2 * depth + 2):
        coarse = splat(2.0**400)
        for n in range(at, at + whole(sizes, k)):
            coarse = lesser(grid(load(parameters, n)), coarse)
        store(grids, k, coarse)
        at += whole(sizes, k)
    find_layer_grids(depth, sizes, grids)


@inlined
def _with_grids(cases: Cases, watch: Watch) -> Watch:
    """Find the grids unless they are known."""
    open_, least, most, sparse, has_grids = watch
    if not has_grids:
        shape, room = cases.shape, cases.room
        _find_grids(room.parameters, shape.depth, shape.sizes, room.grids)
    return Watch(open_, least, most, sparse, True)


@inlined
def _products(weights: int, inputs: Held, count: int, splitter: Any) -> Any:
    """The sum of a unit's products, and the least magnitude of a weight."""
    of, smallest = nothing_added(), splat(NOT_FINITE)
    for j in range(count):
        w = load(weights, j)
        size = absolute(w)
        of = plus_product(of, w, size, known(inputs, j), splitter)
        smallest = lesser(size, smallest)
    return of, smallest


@inlined
def _count(weights: int, reaches: int, count: int) -> Any:
    """Products that are not zero, and the least magnitude of a weight that is not."""
    zero, one, big = splat(0.0), splat(1.0), splat(NOT_FINITE)
    live, smallest = zero, big
    for j in range(count):
        size = absolute(load(weights, j))
        smallest = lesser(where(size > zero, size, big), smallest)
        counts = (size > zero) & (load(reaches, j) > zero)
        live = live + where(counts, one, zero)
    return live, smallest


@inlined
def _by_grids(
    cases: Cases, layer: Layer, factors: Factors, of: Sum, b: Any, exact: Any, error: Any
) -> Any:
    """The bound of a unit's sum, which is 0 with the certificate of exactness.

    Args:
        cases: The cases, whose grids are known.
        layer: The unit's.
        factors: Of the unit's products.
        of: Its sum.
        b: Its bias, or 0.
        exact: Where its operands are without error.
        error: The bound by the formula.
    """
    form = cases.form
    coarse = load(cases.room.grids, 2 * cases.shape.depth + 2 + layer.number + 1)
    exactly = certain_below(coarse, form.eta, form)
    bound = settled(exact, of, exactly, error, form.splitter)
    zero = splat(0.0)
    unknown = bound < zero
    if any_lane(unknown):
        fine = where(b == zero, splat(NOT_FINITE), grid(b))
        bound = decided(Question(unknown, bound, error, of.total), fine, factors, form)
    return bound


@inlined
def _unit(
    cases: Cases, layer: Layer, i: int, inputs: Held, live: Any, usual: Any, watch: Watch
) -> Any:
    """One unit of one row, up to its gate.

    Args:
        cases: The cases.
        layer: The unit's.
        i: Which unit it is.
        inputs: The activations that it takes.
        live: How many of them are not zero.
        usual: The growth factor of sums without zero weights and with a bias, or the lack of it.
        watch: What may leave cases open.

    Returns:
        What may leave cases open, z, and its bound.
    """
    shape, form, room, zero = cases.shape, cases.form, cases.room, splat(0.0)
    weights = room.parameters + BYTES * (whole(shape.starts, layer.number) + i * layer.fan_in)
    of, smallest = _products(weights, inputs, layer.fan_in, form.splitter)
    open_, least, most, sparse, has_grids = watch
    unusual = any_lane(smallest == zero)
    if unusual:
        live, smallest = _count(weights, inputs.reach, layer.fan_in)
    least, sparse = lesser(smallest, least), sparse or unusual
    watch = Watch(open_, least, most, sparse, has_grids)
    rounded, terms, b = of.total, zero, zero
    if layer.has_bias:
        b = load(room.parameters, whole(shape.starts, shape.depth + layer.number) + i)
        of = plus(of, b, form.splitter)
        terms = where(b == zero, zero, splat(1.0))
        unusual = unusual or any_lane(b == zero)
    of = renormalised(of, form.splitter)
    theta = growth_of_sum(live, terms, splat(form.u)) if unusual else usual
    error = error_bound(of, rounded, live, terms, theta, form)
    watch = with_total(watch, of.total)
    exact = (live > zero) & (of.carried == zero) & fits(of.total, zero, form.splitter)
    if any_lane(exact & fits(of.high, of.low, form.splitter)):
        watch = _with_grids(cases, watch)
        factors = Factors(weights, 1, inputs.high, layer.fan_in)
        error = _by_grids(cases, layer, factors, of, b, exact, error)
    return watch, of, error


@inlined
def forward(cases: Cases, watch: Watch) -> Watch:
    """The forward pass: what is known of all activations goes to memory."""
    shape, form, zero, one = cases.shape, cases.form, splat(0.0), splat(1.0)
    depth = shape.depth
    activations = activations_of(cases)
    for k in range(whole(shape.sizes, 2 * depth)):
        value = load(cases.room.parameters, whole(shape.starts, 2 * depth) + k)
        watch, x = taken_in(watch, value)
        keep(activations, k, x)
    for number in range(depth):
        layer = layer_of(shape, number)
        for r in range(shape.rows):
            inputs = shifted(activations, layer.before + r * layer.fan_in)
            live = zero
            for j in range(layer.fan_in):
                live = live + where(load(inputs.reach, j) > zero, one, zero)
            usual = growth_of_sum(live, one if layer.has_bias else zero, splat(form.u))
            for i in range(layer.fan_out):
                watch, z, error = _unit(cases, layer, i, inputs, live, usual, watch)
                watch, a = activated(watch, z, error, everywhere(), layer.has_relu, form)
                keep(activations, layer.after + r * layer.fan_out + i, a)
    return watch


@inlined
def _targets(cases: Cases, watch: Watch) -> Any:
    """What residuals have in common; and the power of two that they are multiples of."""
    shape, room, zero = cases.shape, cases.room, splat(0.0)
    depth = shape.depth
    activations = activations_of(cases)
    outlying = nowhere()
    for k in range(whole(shape.units, depth), whole(shape.units, depth + 1)):
        a = known(activations, k)
        outlying = outlying | ((a.error == zero) & (a.reach > zero))
    if any_lane(outlying):
        _with_grids(cases, watch)
    of_outputs = load(room.grids, 3 * depth + 2)
    coarse = lesser(of_outputs, load(room.grids, 2 * depth + 1))
    dead = nowhere()
    if shape.rows == 1 and depth > 1:
        dead = everywhere()
        for k in range(whole(shape.units, depth - 1), whole(shape.units, depth)):
            dead = dead & ~(load(activations.reach, k) > zero)
    exactly = certain_below(coarse, 2.0 * cases.form.eta, cases.form)
    return Targets(exactly, dead, shape.relu_output), coarse


@inlined
def loss(cases: Cases, watch: Watch) -> Any:
    """The loss, which is compared, and its cotangent, which goes to memory.

    Returns:
        What may leave cases open; and the power of two that residuals are multiples of.
    """
    shape, form, room = cases.shape, cases.form, cases.room
    depth = shape.depth
    outputs = shifted(activations_of(cases), whole(shape.units, depth))
    cotangents = quarters(room.cotangents, shape.widest)
    targets, coarse = _targets(cases, watch)
    of, terms = nothing_added(), splat(0.0)
    for k in range(shape.rows * whole(shape.widths, depth)):
        a, y = known(outputs, k), load(room.parameters, whole(shape.starts, 2 * depth + 1) + k)
        watch, d = residual(watch, a, y, everywhere(), targets, form)
        of, terms = plus_square(of, terms, d, form)
        keep(cotangents, k, as_cotangent(d, a.reach > splat(0.0), shape.divisor, form))
    watch, half = halved(watch, of, terms, coarse, form)
    if shape.divisor > 1:
        half = divided(half, shape.divisor, form)
    enter(room.table, 0, compared_with(half, form), form.splitter)
    # As literals they would have what they are given to compiled once more.
    start, alone = int64(0), int64(1)
    compare(given(cases), 2 * depth + 1, alone, start, alone, form.splitter)
    return watch, coarse
