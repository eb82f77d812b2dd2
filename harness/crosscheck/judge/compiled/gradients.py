"""What gradients are compared with, and what is passed on to the layer below.

As in `crosscheck.judge.compiled.rules`, of eight quantities, whether they are of eight cases or of
eight units of one case.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from crosscheck.judge.compiled.exactness import MORE, Question, fits, settled
from crosscheck.judge.compiled.functions import inlined
from crosscheck.judge.compiled.lanes import absolute, fused, lesser, splat, where
from crosscheck.judge.compiled.records import Form, Known, Sum, Watch
from crosscheck.judge.compiled.rules import masked, with_total
from crosscheck.judge.compiled.sums import NOT_FINITE

__all__ = [
    "Cotangent",
    "Entry",
    "compared_with",
    "cotangent_of",
    "entry_of",
    "gap",
    "met_by",
    "passed_on",
    "questioned",
    "with_gradients",
]


class Cotangent(NamedTuple):
    """What is known of cotangents, as `entry_of` asks for it; bounds are times ``keep``.

    Attributes:
        high: The reference,
        low: and its low part.
        magnitude: |δ|.
        slope: Its error and its share of a product's rounding, for each unit of |a|.
        exact: Where it has no error, and is not zero.
    """

    high: Any
    low: Any
    magnitude: Any
    slope: Any
    exact: Any


class Entry(NamedTuple):
    """What a gradient's entry is compared with.

    Attributes:
        high: The reference,
        low: and its low part.
        bound: What a difference may be at the most.
    """

    high: Any
    low: Any
    bound: Any


@inlined
def compared_with(what: Known, form: Form) -> Entry:
    """What an entry of a gradient is compared with."""
    return Entry(what.high, what.low, what.error * splat(form.keep))


@inlined
def gap(value: Any, entry: Entry, splitter: Any) -> Any:
    """How far numbers are from the reference."""
    error = value - entry.high
    if splitter is None:
        error = error - entry.low
    return absolute(error)


@inlined
def with_gradients(watch: Watch, rows: int, highest: Any, furthest: Any) -> Watch:
    """After the sums of a layer's gradients.

    Args:
        watch: What may leave cases open.
        rows: How many rows are added up.
        highest: The largest magnitude of a cotangent.
        furthest: The largest magnitude of an activation.
    """
    of_biases = splat(float(rows)) * highest
    return with_total(with_total(watch, of_biases * furthest), of_biases)


@inlined
def met_by(a: Known, lost: Any, splitter: Any) -> Any:
    """What is known of activations, as `entry_of` asks for it.

    Args:
        a: All that is known of them.
        lost: What a product may lose by underflow, times ``keep``.
        splitter: See `crosscheck.judge.compiled.records.Form`.

    Returns:
        The activations, their bounds and magnitudes, and their low parts or, if there are none,
        what a product may lose by underflow.
    """
    if splitter is None:
        return a.high, a.error, a.reach, a.low
    return a.high, a.error, a.reach, where(a.reach > splat(0.0), lost, splat(0.0))


@inlined
def cotangent_of(d: Known, form: Form) -> Cotangent:
    """What `entry_of` has to know of δ."""
    zero, keep = splat(0.0), splat(form.keep)
    slope = (d.error + splat(form.u) * d.reach) * keep
    exact = (d.reach > zero) & (d.error == zero)
    return Cotangent(d.high, d.low, absolute(d.high) * keep, slope, exact)


@inlined
def entry_of(delta: Cotangent, column: Any, some_exact: bool, splitter: Any) -> Entry:
    """Product, its low part, and bound of eight entries of δ aᵀ.

    Args:
        delta: What is known of δ.
        column: And of a; see `met_by`.
        some_exact: Whether δ is exact anywhere.
        splitter: See `crosscheck.judge.compiled.records.Form`.
    """
    a, a_e, a_r, other = column
    bound = fused(delta.magnitude, a_e, delta.slope * a_r)
    product, product_low = delta.high * a, splat(0.0)
    if splitter is None:
        product_low = fused(delta.low, a, fused(delta.high, a, -product))
        product_low = fused(delta.high, other, product_low)
    else:
        bound = bound + other
    if some_exact:
        both = delta.exact & (a_r > splat(0.0)) & (a_e == splat(0.0))
        bound = where(both & fits(product, product_low, splitter), splat(0.0), bound)
    return Entry(product, product_low, bound)


@inlined
def questioned(of: Sum, error: Any, exact: Any, coarse: Any, form: Form) -> Question:
    """Where the certificate of a cotangent's sum is left to the sum's own grid.

    Args:
        of: The sum.
        error: Its bound by the formula.
        exact: Where its operands, and itself, are exact numbers.
        coarse: 2^53 times what all its terms are multiples of.
        form: The constants of the format.
    """
    bound = settled(exact, of, coarse, error, form.splitter)
    # What is 0 so far may be no certificate: the sum's own grid tells.
    shorter = splat(form.digits) * splat(2.0**-53)
    unknown = exact & (bound <= splat(0.0)) & (of.total * splat(MORE) > coarse * shorter)
    return Question(unknown, bound, error, of.total)


@inlined
def passed_on(watch: Watch, of: Sum, error: Any, active: Any) -> Any:
    """The cotangent of sums whose units are ``active``, or not.

    Returns:
        What may leave cases open, and what is known of the cotangent.
    """
    open_, least, most, sparse, has_grids = watch
    zero, big = splat(0.0), splat(NOT_FINITE)
    size = absolute(of.high)
    open_ = open_ | (active & (error < zero))
    delta = masked(Known(of.high, of.low, error, size), active)
    size = where(active & (size > zero), size, big)
    least = lesser(where(delta.error > zero, delta.error, size), least)
    return Watch(open_, least, most, sparse, has_grids), delta
