"""The forward pass and the loss of one case, with eight units side by side."""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import boolean

from crosscheck.judge.compiled.exactness import (
    LESS,
    MORE,
    Question,
    certified,
    find_layer_grids,
    fits,
    settled,
)
from crosscheck.judge.compiled.functions import called, inlined
from crosscheck.judge.compiled.gradients import compared_with
from crosscheck.judge.compiled.lanes import (
    WIDTH,
    absolute,
    any_lane,
    everywhere,
    first_lanes,
    greater,
    grid,
    lesser,
    nowhere,
    peak,
    splat,
    where,
)
from crosscheck.judge.compiled.memory import bytes_of, gather, load, read_some, store, whole
from crosscheck.judge.compiled.outer import compare_lanes
from crosscheck.judge.compiled.records import (
    Cases,
    Held,
    Layer,
    Sum,
    Watch,
    activations_of,
    keep,
    known,
    layer_of,
    place_of,
    quarters,
    shifted,
)
from crosscheck.judge.compiled.rows import (
    Rows,
    across,
    across_in_two,
    add_rows,
    count_rows,
    grids_of_rows,
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
    error_bound,
    growth_of_sum,
    nothing_added,
    plus,
    renormalised,
)

__all__ = ["forward", "loss"]


class Taken(NamedTuple):
    """The activations that a layer takes.

    Attributes:
        inputs: What is known of them.
        exact: Whether none of them has an error.
        live: How many of them are not zero, in every lane.
        usual: The growth factor of sums without zero weights and with a bias, or the lack of it.
    """

    inputs: Held
    exact: bool
    live: Any
    usual: Any


@inlined
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


@called
def _find_grids(cases: Cases) -> None:
    """What `find_layer_grids` goes on with, of one case: each in every lane."""
    tag, shape, grids, step = cases.tag, cases.shape, cases.room.grids, bytes_of(cases.tag)
    for k in range(2 * shape.depth + 2):
        coarse, start, size = splat(2.0**400), place_of(cases, 0, k), whole(shape.sizes, k)
        if _are_whole(tag, start, size):
            store(grids, k, splat(1.0))
            continue
        for j in range(0, size, WIDTH):
            values = read_some(tag, start + step * j, first_lanes(size - j))
            coarse = lesser(grid(values), coarse)
        store(grids, k, -peak(-coarse))
    find_layer_grids(shape.depth, shape.sizes, grids)


@inlined
def _with_grids(cases: Cases, watch: Watch) -> Watch:
    """Find the grids unless they are known."""
    open_, least, most, sparse, has_grids = watch
    if not has_grids:
        _find_grids(cases)
    return Watch(open_, least, most, sparse, True)


@inlined
def _taken(cases: Cases, layer: Layer, activations: Held) -> Taken:
    """What a layer takes."""
    zero, one = splat(0.0), splat(1.0)
    count, largest_error = zero, zero
    for at in range(layer.before, layer.after):
        count = count + where(load(activations.reach, at) > zero, one, zero)
        largest_error = greater(load(activations.error, at), largest_error)
    live = across(count)
    usual = growth_of_sum(live, one if layer.has_bias else zero, splat(cases.form.u))
    exact = not any_lane(largest_error > zero)
    return Taken(shifted(activations, layer.before), exact, live, usual)


@inlined
def _by_grids(cases: Cases, rows: Rows, values: int, b: Any, asked: Question) -> Any:
    """The bounds of eight sums, which are 0 with the certificate of exactness, by their own grids.

    Args:
        cases: The case.
        rows: The units' weights.
        values: Address of the activations.
        b: The units' biases, or 0.
        asked: Where the certificate is to be found out.
    """
    form, zero = cases.form, splat(0.0)
    enough = asked.total * splat(LESS) * (splat(1.0) / splat(form.digits))
    fine = grids_of_rows(rows, values, asked.unknown, enough, form.eta)
    fine = lesser(where(b == zero, splat(NOT_FINITE), grid(b)), fine)
    return certified(asked, asked.unknown, fine, form)


@inlined
def _added(rows: Rows, taken: Taken, splitter: Any) -> Any:
    """The sums of eight units' products, and the least magnitudes of weights."""
    if taken.exact:  # inlined twice, for each by itself
        return add_rows(rows, taken.inputs, boolean(True), splitter)
    return add_rows(rows, taken.inputs, boolean(False), splitter)


@inlined
def _units(cases: Cases, layer: Layer, first: int, taken: Taken, watch: Watch) -> Any:
    """Eight units, from the ``first`` on, up to their gates.

    Args:
        cases: The case.
        layer: The units'.
        first: The first of them.
        taken: What the layer takes.
        watch: What may leave the case open.

    Returns:
        What may leave the case open, z, and its bounds.
    """
    tag, form, step, zero = cases.tag, cases.form, bytes_of(cases.tag), splat(0.0)
    valid, behind = first_lanes(layer.fan_out - first), whole(cases.shape.sizes, layer.number)
    weights = place_of(cases, 0, layer.number) + step * first * layer.fan_in
    together = min(WIDTH, layer.fan_out - first)
    rows = Rows(tag, weights, layer.fan_in, together, step * behind, cases.room.table)
    of, smallest = _added(rows, taken, form.splitter)
    live, rounded, terms, b = taken.live, of.total, zero, zero
    zeros = unusual = any_lane(smallest == zero)
    if layer.has_bias:
        bias = place_of(cases, 0, cases.shape.depth + layer.number) + step * first
        b = read_some(tag, bias, valid)
        of = plus(of, b, form.splitter)
        terms = where(b == zero, zero, splat(1.0))
        unusual = unusual or any_lane(valid & (b == zero))
    of = renormalised(of, form.splitter)
    exact = valid & (rounded > zero) & (of.carried == zero) & fits(of.total, zero, form.splitter)
    exact = exact & fits(of.high, of.low, form.splitter)
    exactly = splat(-1.0)
    if any_lane(exact):
        watch = _with_grids(cases, watch)
        coarse = load(cases.room.grids, 2 * cases.shape.depth + 3 + layer.number)
        exactly = certain_below(coarse, form.eta, form)
    open_, least, most, sparse, has_grids = watch
    if zeros:
        sparse = True
        sure = exact & (of.total * splat(MORE) <= exactly)
        if any_lane(valid & ~sure):
            live, smallest = count_rows(rows, taken.inputs.reach)
        else:  # their bounds are 0, whatever the number of products
            smallest = load(cases.room.grids, layer.number)
    least = lesser(smallest, least)
    watch = with_total(Watch(open_, least, most, sparse, has_grids), of.total)
    theta = growth_of_sum(live, terms, splat(form.u)) if unusual else taken.usual
    error = error_bound(of, rounded, live, terms, theta, form)
    if any_lane(exact):
        bound = settled(exact, of, exactly, error, form.splitter)
        asked = Question(bound < zero, bound, error, of.total)
        error = bound
        if any_lane(asked.unknown):
            error = _by_grids(cases, rows, taken.inputs.high, b, asked)
    return watch, of, error


@inlined
def forward(cases: Cases, watch: Watch) -> Watch:
    """The forward pass: what is known of all activations goes to memory."""
    tag, shape, step = cases.tag, cases.shape, bytes_of(cases.tag)
    activations, width = activations_of(cases), whole(shape.widths, 0)
    start = place_of(cases, 0, 2 * shape.depth)
    for first in range(0, width, WIDTH):
        value = read_some(tag, start + step * first, first_lanes(width - first))
        watch, x = taken_in(watch, value)
        keep(activations, first // WIDTH, x)
    for number in range(shape.depth):
        layer = layer_of(shape, number)
        taken = _taken(cases, layer, activations)
        for first in range(0, layer.fan_out, WIDTH):
            watch, z, error = _units(cases, layer, first, taken, watch)
            valid = first_lanes(layer.fan_out - first)
            watch, a = activated(watch, z, error, valid, layer.has_relu, cases.form)
            keep(activations, layer.after + first // WIDTH, a)
    return watch


@inlined
def _targets(cases: Cases, watch: Watch) -> Any:
    """What residuals have in common.

    Returns:
        What may leave the case open, that, and the power of two that residuals are multiples of.
    """
    shape, grids, zero = cases.shape, cases.room.grids, splat(0.0)
    activations, depth = activations_of(cases), shape.depth
    outlying = nowhere()
    for at in range(whole(shape.units, depth), whole(shape.units, depth + 1)):
        a = known(activations, at)
        outlying = outlying | ((a.error == zero) & (a.reach > zero))
    if any_lane(outlying):
        watch = _with_grids(cases, watch)
    coarse = lesser(load(grids, 3 * depth + 2), load(grids, 2 * depth + 1))
    hidden_live = depth == 1
    if depth > 1:
        for at in range(whole(shape.units, depth - 1), whole(shape.units, depth)):
            hidden_live = hidden_live or any_lane(load(activations.reach, at) > zero)
    dead = nowhere() if hidden_live else everywhere()
    exactly = certain_below(coarse, 2.0 * cases.form.eta, cases.form)
    return watch, Targets(exactly, dead, shape.relu_output), coarse


@inlined
def _across(of: Sum, splitter: Any) -> Sum:
    """The sum of the sums of eight lanes, in every lane."""
    total, carried = across(of.total), across(of.carried)
    if splitter is None:
        high, low = across_in_two(of.high, of.low)
        return Sum(high, low, total, carried)
    return Sum(across(of.high), of.low, total, carried)


@inlined
def loss(cases: Cases, watch: Watch) -> Any:
    """The loss, which is compared, and its cotangent, which goes to memory.

    Returns:
        What may leave the case open; and the power of two that residuals are multiples of.
    """
    tag, shape, form, step = cases.tag, cases.shape, cases.form, bytes_of(cases.tag)
    depth = shape.depth
    outputs = shifted(activations_of(cases), whole(shape.units, depth))
    cotangents, width = quarters(cases.room.cotangents, shape.widest), whole(shape.widths, depth)
    watch, targets, coarse = _targets(cases, watch)
    of, terms = nothing_added(), splat(0.0)
    for first in range(0, width, WIDTH):
        at, valid = first // WIDTH, first_lanes(width - first)
        y = read_some(tag, place_of(cases, 0, 2 * depth + 1) + step * first, valid)
        a = known(outputs, at)
        watch, d = residual(watch, a, y, valid, targets, form)
        of, terms = plus_square(of, terms, d, form)
        keep(cotangents, at, as_cotangent(d, a.reach > splat(0.0), 1, form))
    of, terms = _across(of, form.splitter), across(terms)
    watch, half = halved(watch, of, terms, coarse, form)
    entry = compared_with(half, form)
    for f in range(cases.answers.frameworks):
        place = whole(cases.addresses, (2 * depth + 2) * (1 + f) + 2 * depth + 1)
        value = gather(tag, place + step * cases.first, 0)
        compare_lanes(value, entry, cases.room.worst, f, form.splitter)
    return watch, coarse
