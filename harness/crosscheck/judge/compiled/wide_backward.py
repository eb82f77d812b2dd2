"""The backward pass of one case with eight units side by side, and every comparison."""

from __future__ import annotations

from typing import Any

from crosscheck.judge.compiled.columns import (
    Columns,
    add_columns,
    count_columns,
    grids_of_columns,
    sum_of,
)
from crosscheck.judge.compiled.exactness import LESS, MORE, certified, fits
from crosscheck.judge.compiled.functions import inlined
from crosscheck.judge.compiled.gradients import (
    Entry,
    compared_with,
    passed_on,
    questioned,
    with_gradients,
)
from crosscheck.judge.compiled.lanes import (
    WIDTH,
    any_lane,
    first_lanes,
    greater,
    lane,
    peak,
    splat,
    where,
)
from crosscheck.judge.compiled.memory import (
    broadcast,
    bytes_of,
    load,
    read_some,
    set_whole,
    whole,
)
from crosscheck.judge.compiled.outer import Outer, compare_lanes, compare_outer
from crosscheck.judge.compiled.records import (
    BYTES,
    Cases,
    Held,
    Known,
    Layer,
    Watch,
    activations_of,
    keep,
    known,
    layer_of,
    place_of,
    quarters,
    shifted,
)
from crosscheck.judge.compiled.rows import ROWS_TABLE
from crosscheck.judge.compiled.rules import with_total
from crosscheck.judge.compiled.sums import error_bound, growth_of_sum, renormalised

__all__ = ["backward"]


@inlined
def _in_order(order: int, fan_out: int, reaches: int) -> int:
    """Live units first, then those that are off; see `Outer`.

    Which is which cannot be foreseen, and one wrong guess of the processor's at each would cost as
    much as the unit itself.

    Returns:
        How many are live.
    """
    live = 0
    for i in range(fan_out):
        set_whole(order, fan_out + i - live, i)
        set_whole(order, live, i)
        live += lane(broadcast(reaches, i), 0) > 0.0
    return live


@inlined
def _compare_array(cases: Cases, array: int, first: int, valid: Any, entry: Entry) -> None:
    """Compare eight numbers, from the ``first`` on, of one array of each framework."""
    at = bytes_of(cases.tag) * first
    for f in range(cases.answers.frameworks):
        value = read_some(cases.tag, place_of(cases, 1 + f, array) + at, valid)
        compare_lanes(value, entry, cases.room.worst, f, cases.form.splitter)


@inlined
def _outer(
    cases: Cases, layer: Layer, inputs: Held, cotangents: Held, order: int, live: int
) -> Outer:
    """The gradient of a layer's weights, and where frameworks have theirs."""
    frameworks = cases.answers.frameworks
    places = order + 2 * BYTES * cases.shape.widest
    for f in range(frameworks):
        set_whole(places, f, place_of(cases, 1 + f, layer.number))
    return Outer(
        cases.tag,
        layer.fan_in,
        layer.fan_out,
        inputs,
        cotangents,
        order,
        live,
        places,
        bytes_of(cases.tag) * whole(cases.shape.sizes, layer.number),
        frameworks,
        cases.room.worst,
        cases.form,
    )


@inlined
def _sum(
    cases: Cases,
    columns: Columns,
    first: int,
    coarse: Any,
    live: Any,
    usual: Any,
    watch: Watch,
) -> Any:
    """Eight entries of Wᵀ δ.

    Args:
        cases: The case.
        columns: The weights.
        first: The first of the eight.
        coarse: 2^53 times what exact terms are multiples of.
        live: How many units are live, in every lane.
        usual: The growth factor of sums of so many products.
        watch: What may leave the case open.

    Returns:
        What may leave the case open, the sum, its bound by the formula, and where it is an exact
        number of exact operands.
    """
    form, zero = cases.form, splat(0.0)
    of = renormalised(sum_of(columns, first), form.splitter)
    count, theta = live, usual
    if watch.sparse:
        sure = (of.carried == zero) & fits(of.high, of.low, form.splitter)
        shorter = splat(form.digits) * splat(2.0**-53)
        sure = sure & (of.total * splat(MORE) <= coarse * shorter)
        count = where(of.total > zero, live, zero)
        if any_lane((of.total > zero) & ~sure):
            count = count_columns(columns, first)
            theta = growth_of_sum(count, zero, splat(form.u))
    error = error_bound(of, of.total, count, zero, theta, form)
    exact = first_lanes(columns.fan_in - first) & (count > zero) & (of.carried == zero)
    exact = exact & fits(of.high, of.low, form.splitter)
    return with_total(watch, of.total), of, error, exact


@inlined
def _pass_down(
    cases: Cases,
    layer: Layer,
    columns: Columns,
    cotangents: Held,
    others: Held,
    coarse: Any,
    watch: Watch,
) -> Watch:
    """The cotangent of the layer below, or of the input, which is compared.

    Args:
        cases: The case.
        layer: The layer that passes it down.
        columns: Its weights.
        cotangents: That layer's.
        others: Where those of the layer below go.
        coarse: 2^53 times what exact terms are multiples of.
        watch: What may leave the case open.
    """
    form, fan_in, zero = cases.form, layer.fan_in, splat(0.0)
    live = splat(float(columns.live))
    usual = growth_of_sum(live, zero, splat(form.u))
    reaches = shifted(activations_of(cases), layer.before).reach
    for pair in range(0, fan_in, 2 * WIDTH):
        add_columns(columns, pair, cotangents, form.splitter)
        for first in range(pair, min(pair + 2 * WIDTH, fan_in), WIDTH):
            watch, of, error, exact = _sum(cases, columns, first, coarse, live, usual, watch)
            if any_lane(exact):
                asked = questioned(of, error, exact, coarse, form)
                error = asked.bound
                if any_lane(asked.unknown):
                    enough = of.total * splat(LESS) * (splat(1.0) / splat(form.digits))
                    fine = grids_of_columns(
                        columns, first, cotangents.high, asked.unknown, enough, form.eta
                    )
                    error = certified(asked, asked.unknown, fine, form)
            if layer.number == 0:
                entry = compared_with(Known(of.high, of.low, error, zero), form)
                valid = first_lanes(fan_in - first)
                _compare_array(cases, 2 * cases.shape.depth, first, valid, entry)
                continue
            active = load(reaches, first // WIDTH) > zero
            watch, delta = passed_on(watch, of, error, active)
            keep(others, first // WIDTH, delta)
    return watch


@inlined
def _seen(layer: Layer, inputs: Held, cotangents: Held, watch: Watch) -> Watch:
    """What may leave the case open, after a layer's gradients."""
    highest, furthest = splat(0.0), splat(0.0)
    for at in range((layer.fan_out + WIDTH - 1) // WIDTH):
        highest = greater(load(cotangents.reach, at), highest)
    for at in range(layer.after - layer.before):
        furthest = greater(load(inputs.reach, at), furthest)
    return with_gradients(watch, 1, peak(highest), peak(furthest))


@inlined
def backward(cases: Cases, coarse: Any, watch: Watch) -> Watch:
    """The backward pass, layer by layer from above.

    Args:
        cases: The case, whose activations and last cotangent are known.
        coarse: The power of two that residuals are multiples of.
        watch: What may leave the case open.
    """
    tag, shape, room, form = cases.tag, cases.shape, cases.room, cases.form
    cotangents, others = (
        quarters(room.cotangents, shape.widest),
        quarters(room.others, shape.widest),
    )
    order = room.table + BYTES * ROWS_TABLE
    coarse = splat(2.0**53) * coarse
    for above in range(shape.depth):
        layer = layer_of(shape, shape.depth - 1 - above)
        inputs = shifted(activations_of(cases), layer.before)
        watch = _seen(layer, inputs, cotangents, watch)
        live = _in_order(order, layer.fan_out, cotangents.reach)
        compare_outer(_outer(cases, layer, inputs, cotangents, order, live))
        if layer.has_bias:  # a sum of one: the cotangent as it is
            for first in range(0, layer.fan_out, WIDTH):
                valid = first_lanes(layer.fan_out - first)
                entry = compared_with(known(cotangents, first // WIDTH), form)
                _compare_array(cases, shape.depth + layer.number, first, valid, entry)
        coarse = coarse * load(room.grids, layer.number)
        weights = place_of(cases, 0, layer.number)
        columns = Columns(tag, weights, layer.fan_in, order, live, room.table)
        watch = _pass_down(cases, layer, columns, cotangents, others, coarse, watch)
        cotangents, others = others, cotangents
    return watch
