"""The certificate of exactness of a sum on `Lanes`, as in `crosscheck.numbers.enclosure`."""

from __future__ import annotations

from typing import Any, NamedTuple

from crosscheck.judge.compiled.functions import called, inlined
from crosscheck.judge.compiled.lanes import any_lane, grid, lesser, splat, where
from crosscheck.judge.compiled.memory import load, store, whole
from crosscheck.judge.compiled.records import Form, Sum

__all__ = [
    "LESS",
    "MORE",
    "Factors",
    "Question",
    "certified",
    "decided",
    "find_layer_grids",
    "fits",
    "settled",
]

LESS, MORE = 1.0 - 2.0**-40, 1.0 + 2.0**-40
"""Factors that make up for the roundings of a bound."""


class Factors(NamedTuple):
    """Where the factors of a sum's products lie.

    Attributes:
        weights: Address of the first factors, as `Lanes`.
        stride: From one of them to the next.
        values: Address of the second factors, all of them exact numbers.
        terms: How many products there are.
    """

    weights: int
    stride: int
    values: int
    terms: int


class Question(NamedTuple):
    """Whether the certificate of exactness is given for a sum, by its own grid.

    Attributes:
        unknown: Where that is to be found out.
        bound: The bound so far, kept where it is known.
        formula: The bound without the certificate.
        total: The sum of magnitudes.
    """

    unknown: Any
    bound: Any
    formula: Any
    total: Any


@inlined
def fits(high: Any, low: Any, splitter: Any) -> Any:
    """Whether the reference's value is a number of p bits."""
    if splitter is None:
        return low == splat(0.0)
    big = high * splat(splitter)
    return big - (big - high) == high


@called
def find_layer_grids(depth: int, sizes: int, grids: int) -> None:
    """The largest powers of two that exact activations are certainly multiples of, layer by layer.

    Args:
        depth: L.
        sizes: Address of the sizes of arrays; see `crosscheck.judge.compiled.records.Shape`.
        grids: Address of the powers of two of all arrays, behind which those of layers go.
    """
    arrays = 2 * depth + 2
    coarse = load(grids, 2 * depth)
    store(grids, arrays, coarse)
    for layer in range(depth):
        coarse = load(grids, layer) * coarse
        if whole(sizes, depth + layer):
            coarse = lesser(coarse, load(grids, depth + layer))
        store(grids, arrays + layer + 1, coarse)


@inlined
def settled(exact: Any, of: Sum, most: Any, bound: Any, splitter: Any) -> Any:
    """The bound of a sum whose operands are without error where ``exact`` is true.

    A sum that comes out as a number of p bits may be exact everywhere: then the bound is 0 if its
    terms add up to no more than ``most``, which proves that it was formed without error here;
    otherwise -1, for it is not known.
    """
    zero = splat(0.0)
    known = of.total * splat(MORE) <= most
    unrounded = exact & fits(of.high, of.low, splitter)
    return where(unrounded, where(known, zero, splat(-1.0)), bound)


@called
def decided(asked: Question, fine: Any, factors: Factors, form: Form) -> Any:
    """Whether the certificate of exactness is given for one sum of products, by its own grid.

    Args:
        asked: Where that is to be found out, and of what.
        fine: A power of two that the addends are multiples of.
        factors: Of the products.
        form: The constants of the format.

    Returns:
        0 with the certificate, ``formula`` without, -1 where it is too close to call.
    """
    zero, big = splat(0.0), splat(2.0**1000)
    left = asked.unknown
    for k in range(factors.terms):
        w, v = load(factors.weights, factors.stride * k), load(factors.values, k)
        counts = ~((w == zero) | (v == zero))
        fine = lesser(where(counts, grid(w) * grid(v), big), fine)
        # The sum's grid is no coarser than this: too fine already?
        left = left & _may_be_given(asked.total, fine, form)
        if not any_lane(left):
            break
    return certified(asked, left, fine, form)


@inlined
def _may_be_given(total: Any, fine: Any, form: Form) -> Any:
    """Where a grid does not yet say that there is no certificate."""
    return (total * splat(LESS) <= splat(form.digits) * fine) | ~(fine >= splat(form.eta))


@inlined
def certified(asked: Question, left: Any, fine: Any, form: Form) -> Any:
    """`decided`, once the grid of the sum is known.

    Args:
        asked: See `decided`.
        left: Where the grid is the sum's. Elsewhere it is known to be too fine.
        fine: The grid.
        form: See `decided`.
    """
    left = left & _may_be_given(asked.total, fine, form)
    given = asked.total * splat(MORE) <= splat(form.digits) * fine
    given = given & (fine >= splat(form.eta))
    found = where(left, where(given, splat(0.0), splat(-1.0)), asked.formula)
    return where(asked.unknown, found, asked.bound)
