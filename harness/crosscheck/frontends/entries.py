"""Entries of a program's arrays, whatever they are moved through: what a pattern is looked for in.

The same formula is written with many movements in it: ``e / e.sum(1)[:, None]``,
``(e.T / e.sum(1)).T``, ``e / e.sum(axis=1, keepdims=True)``. So patterns are matched entry by
entry. An `Entries` says of each entry of an array which entry of which other array it is, with
nothing but movement between them; from there one goes on to the operands of whatever computed that
array.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.operators.places import numbered
from crosscheck.program.graph import Node, Program

__all__ = ["Entries", "Indices", "Reader", "different_rows", "places_in"]

Indices = NDArray[np.intp]

_ONE_BY_ONE = frozenset(
    {"add", "difference", "mul", "times_constants", "elementary", "piecewise", "held"}
)
"""Primitives each entry of whose result is made of one entry of each operand."""


@dataclass(frozen=True, eq=False)
class Entries:
    """Entries of a node's array.

    Attributes:
        node: The node.
        at: Places in its flattened array, of any shape; -1 is a zero that was put in.
    """

    node: int
    at: Indices

    def __getitem__(self, index: Any) -> Entries:
        return Entries(self.node, self.at[index])

    def are(self, other: Entries) -> bool:
        """Whether they are the same entries, one by one, after broadcasting."""
        if self.node != other.node:
            return False
        try:
            return bool((self.at == other.at).all())
        except ValueError:
            return False


class Reader:
    """A program, read entry by entry.

    Args:
        program: The program.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._moved: dict[int, Entries] = {}

    def node(self, entries: Entries) -> Node:
        """What computed them."""
        return self.program.nodes[entries.node]

    def is_op(self, entries: Entries, op: str, function: str = "") -> bool:
        """Whether a primitive computed them; of elementary functions which, not a derivative."""
        node = self.node(entries)
        if node.op != op:
            return False
        return not function or (
            node.settings["function"] == function and node.settings["order"] == 0
        )

    def entries(self, number: int) -> Entries:
        """All entries of a node, followed back through movement."""
        if number not in self._moved:
            self._moved[number] = self._followed(number)
        return self._moved[number]

    def _followed(self, number: int) -> Entries:
        node = self.program.nodes[number]
        if node.op not in ("take", "transpose", "expand", "squeeze", "broadcast", "scatter"):
            return Entries(number, numbered(node.shape))
        before = self.entries(node.inputs[0])
        match node.op:
            case "take":
                places = node.settings["indices"].array
                found = np.where(places >= 0, before.at.ravel()[places], -1).reshape(node.shape)
            case "scatter":
                places = node.settings["indices"].array
                kept = places >= 0
                if len(np.unique(places[kept])) < kept.sum():
                    return Entries(number, numbered(node.shape))
                found = np.full(math.prod(node.shape), -1, dtype=np.intp)
                found[places[kept]] = before.at.ravel()[kept]
                found = found.reshape(node.shape)
            case "transpose":
                found = before.at.swapaxes(-1, -2)
            case "broadcast":
                found = np.broadcast_to(before.at, node.shape)
            case _:
                found = before.at.reshape(node.shape)
        return Entries(before.node, found)

    def operand(self, entries: Entries, k: int) -> Entries:
        """Of entries that were computed one by one, those of an operand that they were made of."""
        node = self.node(entries)
        assert node.op in _ONE_BY_ONE
        before = self.entries(node.inputs[k])
        whole = np.broadcast_to(before.at, node.shape).ravel()
        return Entries(before.node, np.where(entries.at >= 0, whole[entries.at], -1))

    def operands(self, entries: Entries, op: str) -> Iterator[tuple[Entries, Entries]]:
        """The two operands of a sum or product, in both orders; nothing of another primitive."""
        if self.node(entries).op == op:
            one, other = self.operand(entries, 0), self.operand(entries, 1)
            yield one, other
            yield other, one

    def reduced(self, entries: Entries) -> Entries:
        """The entries that sums or maxima are of, along one more axis at the end."""
        node = self.node(entries)
        before = self.entries(node.inputs[0])
        axes = node.settings["axes"] if node.op == "sum" else (-1,)
        count = before.at.ndim
        rest = [k for k in range(count) if k - count not in axes]
        each = before.at.transpose([*rest, *(k + count for k in axes)])
        table = each.reshape(math.prod(node.shape), -1)
        found = np.where(entries.at[..., None] >= 0, table[entries.at], -1)
        return Entries(before.node, found)

    def summed(self, entries: Entries) -> Entries:
        """What sums, of sums, are of, along one more axis; as far as no sum is left out."""
        terms = self.reduced(entries)
        while self.is_op(terms, "sum") and (terms.at >= 0).all():
            terms = self.reduced(terms)
            terms = Entries(terms.node, terms.at.reshape(*entries.at.shape, -1))
        return terms

    # -- constants and sums ----------------------------------------------------------------

    def scaled(self, entries: Entries) -> tuple[Fraction, Entries]:
        """The constants that entries are multiplied by, and what is multiplied."""
        factor = Fraction(1)
        while self.node(entries).op == "times_constants":
            factor *= math.prod(self.node(entries).settings["constants"], start=Fraction(1))
            entries = self.operand(entries, 0)
        return factor, entries

    def number(self, entries: Entries) -> Fraction | None:
        """The one constant that all entries are, or ``None``."""
        factor, of = self.scaled(entries)
        if self.node(of).op == "ones" and (of.at >= 0).all():
            return factor
        return None

    def addends(
        self, entries: Entries, stops: tuple[int, ...] = ()
    ) -> list[tuple[Fraction, Entries]]:
        """What is added up, each with its constant factor.

        Args:
            entries: A sum, of sums.
            stops: Nodes whose entries are not taken apart.
        """
        factor, of = self.scaled(entries) if entries.node not in stops else (Fraction(1), entries)
        node = self.node(of)
        if node.op not in ("add", "difference") or of.node in stops or (of.at < 0).any():
            return [(factor, of)]
        sign = -1 if node.op == "difference" else 1
        one = self.addends(self.operand(of, 0), stops)
        other = self.addends(self.operand(of, 1), stops)
        return [(factor * c, e) for c, e in one] + [(factor * sign * c, e) for c, e in other]

    def factors(self, entries: Entries) -> tuple[Fraction, list[Entries]]:
        """What is multiplied: the constants, and the rest one by one."""
        constant, of = self.scaled(entries)
        if self.node(of).op != "mul":
            return constant, [of]
        found: list[Entries] = []
        for k in (0, 1):
            more, each = self.factors(self.operand(of, k))
            constant *= more
            found += each
        return constant, found


def different_rows(table: Indices, *, some: bool = False) -> tuple[Indices, Indices] | None:
    """The different rows along the last axis, in ascending order of places, and which each is.

    Args:
        table: Places.
        some: Whether places may be missing, -1, some in each row.

    Returns:
        ``None`` if places are missing that may not be, or one is there twice.
    """
    if not table.size or (table.max(axis=-1) < 0).any() or (not some and (table < 0).any()):
        return None
    ordered = np.sort(table.reshape(-1, table.shape[-1]), axis=-1)
    if ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any():
        return None
    rows, which = np.unique(ordered, axis=0, return_inverse=True)
    return rows.astype(np.intp), which.reshape(table.shape[:-1]).astype(np.intp)


def places_in(rows: Indices, row: Indices, at: Indices) -> Indices | None:
    """Where in their rows entries are, -1 of those that are none; ``None`` if one is not there."""
    there = rows[row] == at[..., None]
    found = np.where(at >= 0, there.argmax(axis=-1), -1)
    return found if (there.any(axis=-1) | (at < 0)).all() else None
