"""Many tuples as few products of sets, with nothing lost and nothing added.

A table that changed in 144 rows has mostly changed in one respect: some names × some modes × some
dtypes. Here such a set of tuples becomes disjoint products. Two products that differ in one axis
only are one product with that axis united, and the union is disjoint from all others again, since a
tuple of it is a tuple of one of the two. So from the products of single tuples on, along each axis
in turn until nothing is left to unite, every tuple stays in exactly one product.

The fewest products are hard to find: of two axes that is the partition of a bipartite graph into
complete ones, which is NP-hard (Jiang and Ravikumar, "Minimal NFA problems are hard", *SIAM Journal
on Computing* 22, 1993). Which axis is united first decides what comes out, so all orders of axes
are tried, and the fewest products are taken.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, TypeAlias, TypeVar

__all__ = ["Product", "grouped", "products"]

Product: TypeAlias = tuple[tuple[Any, ...], ...]
"""For each axis the values, whose combinations are meant."""

_Label = TypeVar("_Label", bound=Hashable)
_Block: TypeAlias = tuple[frozenset[Hashable], ...]


def products(items: Iterable[tuple[Hashable, ...]]) -> list[Product]:
    """Disjoint products whose tuples are the items; no two of them differ in one axis only.

    Args:
        items: Tuples of one length, at most six or so: all orders of axes are tried.

    Returns:
        The products, and the values of each axis, in the order in which the items have them.
    """
    rows = list(dict.fromkeys(items))
    if not rows:
        return []
    width = len(rows[0])
    places = [
        {value: at for at, value in enumerate(dict.fromkeys(row[axis] for row in rows))}
        for axis in range(width)
    ]
    orders = itertools.permutations(range(width))
    fewest = min((_united(rows, axes) for axes in orders), key=len)
    found = [
        tuple(
            tuple(sorted(values, key=place.__getitem__))
            for place, values in zip(places, block, strict=True)
        )
        for block in fewest
    ]
    first = {row: at for at, row in enumerate(rows)}
    return sorted(found, key=lambda each: min(first[row] for row in itertools.product(*each)))


def grouped(
    rows: Iterable[tuple[_Label, tuple[Hashable, ...]]],
) -> list[tuple[_Label, Product]]:
    """Tuples with labels as products with labels: those of one label and one length together.

    Args:
        rows: A label and a tuple each.

    Returns:
        Labels, and products of tuples that have them, labels in their order.
    """
    alike: dict[tuple[_Label, int], list[tuple[Hashable, ...]]] = {}
    for label, items in rows:
        alike.setdefault((label, len(items)), []).append(items)
    return [(label, each) for (label, _), items in alike.items() for each in products(items)]


def _united(rows: Sequence[tuple[Hashable, ...]], axes: Sequence[int]) -> list[_Block]:
    blocks: list[_Block] = [tuple(frozenset([value]) for value in row) for row in rows]
    before = len(blocks) + 1
    while len(blocks) < before:
        before = len(blocks)
        for axis in axes:
            alike: dict[_Block, frozenset[Hashable]] = {}
            for block in blocks:
                rest = (*block[:axis], *block[axis + 1 :])
                alike[rest] = alike.get(rest, frozenset()) | block[axis]
            blocks = [(*rest[:axis], values, *rest[axis:]) for rest, values in alike.items()]
    return blocks
