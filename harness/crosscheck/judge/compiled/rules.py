"""What holds of eight quantities, whether they are of eight cases or of eight units of one case.

The steps of `crosscheck.judge.enclosed` on `Lanes`, up to the loss: an input, a gate, a residual
and its square; `crosscheck.judge.compiled.gradients` goes on. Where eight lanes are more than there
are units, ``valid`` is the `Mask` of those that have one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from crosscheck.judge.compiled.exactness import MORE, fits, settled
from crosscheck.judge.compiled.functions import inlined
from crosscheck.judge.compiled.lanes import absolute, greater, lesser, nowhere, splat, where
from crosscheck.judge.compiled.records import Form, Known, Sum, Watch
from crosscheck.judge.compiled.sums import (
    LEAST,
    NOT_FINITE,
    add,
    divided,
    error_bound,
    growth_of_sum,
    in_two,
    renormalised,
    squared,
    two_sum,
)

__all__ = [
    "Targets",
    "activated",
    "as_cotangent",
    "certain_below",
    "halved",
    "left_open",
    "masked",
    "nothing_seen",
    "plus_square",
    "residual",
    "taken_in",
    "with_total",
]


class Targets(NamedTuple):
    """What residuals have in common.

    Attributes:
        exactly: Where they are no larger than this, they are exact by the certificate.
        dead: Where nothing hangs on whether they are exact.
        relu_output: Whether the last layer has a ReLU.
    """

    exactly: Any
    dead: Any
    relu_output: bool


@inlined
def nothing_seen() -> Watch:
    """Before anything has been looked at."""
    return Watch(nowhere(), splat(NOT_FINITE), splat(0.0), False, False)


@inlined
def left_open(watch: Watch, form: Form) -> Any:
    """Where cases are left open after all."""
    return watch.open_ | ~(watch.most < splat(form.limit)) | ~(watch.least > splat(LEAST))


@inlined
def with_total(watch: Watch, total: Any) -> Watch:
    """After one more sum of magnitudes."""
    open_, least, most, sparse, has_grids = watch
    return Watch(open_, least, greater(total, most), sparse, has_grids)


@inlined
def taken_in(watch: Watch, value: Any) -> Any:
    """An input.

    Returns:
        What may leave cases open, and what is known of it.
    """
    open_, least, most, sparse, has_grids = watch
    zero, big, size = splat(0.0), splat(NOT_FINITE), absolute(value)
    least = lesser(where(size > zero, size, big), least)
    open_ = open_ | ~(size < big)
    watch = Watch(open_, least, greater(size, most), sparse, has_grids)
    return watch, Known(value, zero, zero, size)


@inlined
def certain_below(coarse: Any, least: float, form: Form) -> Any:
    """Sums of multiples of ``coarse`` that stay below this are numbers of p bits.

    It is -1 if multiples are not of ``least``, for which nothing is said.
    """
    return where(coarse >= splat(least), splat(form.digits) * coarse, splat(-1.0))


@inlined
def activated(watch: Watch, of: Sum, error: Any, valid: Any, has_relu: bool, form: Form) -> Any:
    """The gate of a unit, or the lack of it.

    Args:
        watch: What may leave cases open.
        of: z.
        error: Its bound; negative where that is not known.
        valid: Where there is a unit.
        has_relu: Whether there is a gate.
        form: The constants of the format.

    Returns:
        What may leave cases open, and what is known of the activation.
    """
    open_, least, most, sparse, has_grids = watch
    zero, big = splat(0.0), splat(NOT_FINITE)
    high, low, size = of.high, of.low, absolute(of.high)
    open_ = open_ | ~(of.total < big) | (error < zero)
    error = where(valid, error, zero)
    if has_relu:
        open_ = open_ | (valid & ~(size > error * splat(form.widen)))
        active = high > zero
        high = where(active, high, zero)
        low = where(active, low, zero)
        error = where(active, error, zero)
        size = where(active, size, zero)
        least = lesser(where(active, size, big), least)
    return Watch(open_, least, most, sparse, has_grids), Known(high, low, error, size + error)


@inlined
def residual(watch: Watch, a: Known, y: Any, valid: Any, targets: Targets, form: Form) -> Any:
    """D = a - y.

    Args:
        watch: What may leave cases open.
        a: What is known of the output.
        y: Its target.
        valid: Where there is one.
        targets: What all residuals have in common.
        form: The constants of the format.

    Returns:
        What may leave cases open, and what is known of d.
    """
    open_, least, most, sparse, has_grids = watch
    zero, two, big = splat(0.0), splat(2.0), splat(NOT_FINITE)
    live = a.reach > zero
    high, rest = two_sum(a.high, -y)
    high, low = in_two(high, rest + a.low, form.splitter)
    size = absolute(high)
    lost = two * splat(form.tau)
    error = a.error + where(y == zero, zero, splat(form.u)) * (size + a.error) + lost
    error = where(valid, error, zero)
    # Exact by the certificate; or perhaps, which is good enough where nothing hangs on it.
    exact = live & (a.error == zero)
    certain = exact & (size * splat(MORE) <= targets.exactly)
    perhaps = exact & ~certain & (rest == zero) & fits(high, low, form.splitter)
    open_ = open_ | (perhaps & ~targets.dead)
    error = where(live & ~(certain | perhaps), error, zero)
    reach = size + error
    open_ = open_ | ~(reach < big)
    if not targets.relu_output:
        open_ = open_ | (valid & ~live)
    least = lesser(where(error > zero, error, where(live & (size > zero), size, big)), least)
    most = greater(two * reach, most)
    return Watch(open_, least, most, sparse, has_grids), Known(high, low, error, reach)


@inlined
def plus_square(so_far: Sum, terms: Any, d: Known, form: Form) -> Any:
    """The sum of squares with one more, and how many of them are not zero."""
    zero, one = splat(0.0), splat(1.0)
    product, product_low, error = squared(d, form)
    high, low = add(so_far.high, so_far.low, product, product_low, form.splitter)
    total = so_far.total + (product + error)
    return (
        Sum(high, low, total, so_far.carried + error),
        terms + where(d.reach > zero, one, zero),
    )


@inlined
def as_cotangent(d: Known, live: Any, divisor: int, form: Form) -> Known:
    """The share of one residual in the cotangent of the last layer's sums."""
    if divisor > 1:
        d = divided(d, divisor, form)
    return masked(d, live)


@inlined
def masked(what: Known, chosen: Any) -> Known:
    """What is known of quantities that are 0 elsewhere."""
    zero = splat(0.0)
    high, error = where(chosen, what.high, zero), where(chosen, what.error, zero)
    return Known(high, where(chosen, what.low, zero), error, absolute(high) + error)


@inlined
def halved(watch: Watch, of: Sum, terms: Any, coarse: Any, form: Form) -> Any:
    """Half of the sum of squares.

    Args:
        watch: What may leave cases open.
        of: The sum.
        terms: How many squares are not zero.
        coarse: All residuals are multiples of it.
        form: The constants of the format.

    Returns:
        What may leave cases open, and what is known of the half.
    """
    open_, least, most, sparse, has_grids = watch
    zero, one, two, half = splat(0.0), splat(1.0), splat(2.0), splat(0.5)
    most = greater(of.total, most)
    of = renormalised(of, form.splitter)
    theta = growth_of_sum(zero, terms, splat(form.u))
    error = error_bound(of, zero, zero, terms, theta, form)
    exactly = splat(2.0**53) * coarse * coarse
    exact = (terms > one) & (of.carried == zero)
    error = settled(exact, of, exactly, error, form.splitter)
    open_ = open_ | (error < zero)
    # What is exact may stay so.
    error = where(error == zero, zero, half * error + two * splat(form.tau))
    high = half * of.high
    known = Known(high, half * of.low, error, absolute(high) + error)
    return Watch(open_, least, most, sparse, has_grids), known
