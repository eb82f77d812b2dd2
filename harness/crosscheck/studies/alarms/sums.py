"""Orders in which a sum, or a sum of products, is formed.

A sum takes its terms as a list of arrays that broadcast; a *dot product* two lists of factors,
and further addends. Any binary tree over the terms, and any choice of fused multiply-adds in it,
is one of "any order".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from crosscheck.numbers.double_double import two_prod, two_sum
from crosscheck.studies.alarms.numbers import Finer, Nearest, fused

__all__ = [
    "Dot",
    "Total",
    "apart_by_sign",
    "ascending",
    "bias_first",
    "blocked",
    "by_products",
    "compensated",
    "descending",
    "finer",
    "in_lanes",
    "in_random_tree",
    "multiply_added",
    "multiply_added_in_two",
    "neumaier",
    "pairwise",
    "products_then_bias",
    "reversed_order",
    "sequential",
    "shuffled",
    "without_zeros",
]

Terms = Sequence[Any]
Total = Callable[[Nearest, Terms], Any]
Dot = Callable[[Nearest, Total, Terms, Terms, Terms], Any]


# -- sums ----------------------------------------------------------------------------------


def sequential(number: Nearest, terms: Terms) -> Any:
    """One accumulator, from the first term to the last: a tree that leans to one side."""
    return reduce(number.add, terms)


def reversed_order(number: Nearest, terms: Terms) -> Any:
    """From the last term to the first."""
    return reduce(number.add, terms[::-1])


def shuffled(number: Nearest, terms: Terms) -> Any:
    """One accumulator, in an order drawn at random: addition is commutative."""
    order = np.random.Generator(np.random.Philox(len(terms))).permutation(len(terms))
    return reduce(number.add, [terms[at] for at in order])


def pairwise(number: Nearest, terms: Terms) -> Any:
    """Halves are summed, then added: a balanced tree, as NumPy's own sum is."""
    if len(terms) == 1:
        return terms[0]
    middle = len(terms) // 2
    return number.add(pairwise(number, terms[:middle]), pairwise(number, terms[middle:]))


def in_random_tree(number: Nearest, terms: Terms) -> Any:
    """Any two of what is left are added, until one is left."""
    rng, left = np.random.Generator(np.random.Philox(7)), list(terms)
    while len(left) > 1:
        one = left.pop(int(rng.integers(len(left))))
        other = left.pop(int(rng.integers(len(left))))
        left.append(number.add(one, other))
    return left[0]


def blocked(size: int) -> Total:
    """Blocks of ``size`` terms are summed, then their sums: the tree of a tiled kernel."""

    def total(number: Nearest, terms: Terms) -> Any:
        starts = range(0, len(terms), size)
        return sequential(number, [sequential(number, terms[at : at + size]) for at in starts])

    return total


def in_lanes(width: int) -> Total:
    """Term k goes to accumulator k mod ``width``, as in a vector register; these are halved."""

    def total(number: Nearest, terms: Terms) -> Any:
        lanes = [sequential(number, terms[lane::width]) for lane in range(min(width, len(terms)))]
        return pairwise(number, lanes)

    return total


def compensated(number: Nearest, terms: Terms) -> Any:
    """Kahan's: what each addition rounds off is subtracted from the next term."""
    total, lost = terms[0], None
    for term in terms[1:]:
        term = term if lost is None else number.subtract(term, lost)
        larger = number.add(total, term)
        lost = number.subtract(number.subtract(larger, total), term)
        total = larger
    return total


def neumaier(number: Nearest, terms: Terms) -> Any:
    """Kahan's after Neumaier: what additions round off is collected, and added at the end."""
    total, lost = terms[0], None
    for term in terms[1:]:
        larger = number.add(total, term)
        rest = np.where(
            np.abs(total) >= np.abs(term),
            number.add(number.subtract(total, larger), term),
            number.add(number.subtract(term, larger), total),
        )
        total, lost = larger, rest if lost is None else number.add(lost, rest)
    # An infinite sum has no rest: infinity less infinity would make NaN of it.
    return total if lost is None else np.where(np.isfinite(lost), number.add(total, lost), total)


def _sorted(terms: Terms) -> list[Any]:
    stacked = np.stack(np.broadcast_arrays(*terms))
    return list(np.take_along_axis(stacked, np.argsort(np.abs(stacked), axis=0), axis=0))


def ascending(number: Nearest, terms: Terms) -> Any:
    """From the smallest term to the largest, as the textbooks say; an order for each entry."""
    return sequential(number, _sorted(terms))


def descending(number: Nearest, terms: Terms) -> Any:
    """From the largest term to the smallest."""
    return sequential(number, _sorted(terms)[::-1])


def apart_by_sign(number: Nearest, terms: Terms) -> Any:
    """What is positive and what is negative are summed apart: zeros in place of the others."""
    zero = number.constant(0.0)
    ups = sequential(number, [np.where(term > 0, term, zero) for term in terms])
    downs = sequential(number, [np.where(term > 0, zero, term) for term in terms])
    return number.add(ups, downs)


def without_zeros(number: Nearest, terms: Terms) -> Any:
    """Terms that are zero are skipped, as in a sparse product: adding zero changes nothing."""
    total = terms[0]
    for term in terms[1:]:
        first = np.where(total == 0, term, number.add(total, term))
        total = np.where(term == 0, total, first)
    return total


# -- sums of products ------------------------------------------------------------------------


def by_products(
    number: Nearest, total: Total, lefts: Terms, rights: Terms, addends: Terms = ()
) -> Any:
    """Products are rounded, then summed with the addends in one sum."""
    products = [number.multiply(a, b) for a, b in zip(lefts, rights, strict=True)]
    return total(number, [*products, *addends])


def bias_first(
    number: Nearest, total: Total, lefts: Terms, rights: Terms, addends: Terms = ()
) -> Any:
    """The accumulator starts from the bias."""
    products = [number.multiply(a, b) for a, b in zip(lefts, rights, strict=True)]
    return total(number, [*addends, *products])


def products_then_bias(
    number: Nearest, total: Total, lefts: Terms, rights: Terms, addends: Terms = ()
) -> Any:
    """The products are summed, and the bias is added to that, by another operation."""
    return reduce(number.add, addends, by_products(number, total, lefts, rights))


def multiply_added(
    number: Nearest, total: Total, lefts: Terms, rights: Terms, addends: Terms = ()
) -> Any:
    """One accumulator with fused multiply-adds: a product that is not rounded by itself."""
    pairs = list(zip(lefts, rights, strict=True))
    found = addends[0] if addends else number.multiply(*pairs.pop(0))
    for left, right in pairs:
        found = fused(number, left, right, found)
    return found


def multiply_added_in_two(
    number: Nearest, total: Total, lefts: Terms, rights: Terms, addends: Terms = ()
) -> Any:
    """Two accumulators with fused multiply-adds, as an unrolled loop has, and the bias last."""
    halves = [
        multiply_added(number, total, lefts[start::2], rights[start::2])
        for start in range(min(2, len(lefts)))
    ]
    return reduce(number.add, addends, reduce(number.add, halves))


def finer(number: Nearest, total: Total, lefts: Terms, rights: Terms, addends: Terms = ()) -> Any:
    """Accumulated in twice the precision, bias included, and rounded once.

    In float64 for the other dtypes; for float64 in double-double (Ogita, Rump and Oishi, *Accurate
    sum and dot product*, SIAM J. Sci. Comput. 26, 2005, algorithm 5.3).
    """
    if number.dtype != "float64":
        wide = Finer(number.dtype)
        operands = ([wide.taken(each) for each in some] for some in (lefts, rights, addends))
        return wide.given(by_products(wide, total, *operands))
    sums: list[Any] = []
    rest: Any = 0.0
    for left, right in zip(lefts, rights, strict=True):
        high, low = two_prod(left, right)
        sums.append(high)
        rest = rest + low
    found, *others = [*sums, *addends]
    for term in others:
        found, low = two_sum(found, term)
        rest = rest + low
    return np.where(np.isfinite(rest), found + rest, found)
