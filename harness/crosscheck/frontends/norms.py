"""Norms, found where they are written out: rows divided by the root of a sum of their squares.

    c r,    r = 1 / √(s Σ c² + ε),    with c = z - Σ z / n or any other c,

as a quotient or a product with the reciprocal, of one root or of two functions, with further
factors and a bias. A variance as E z² - m² is another formula, which loses digits of a large mean:
it is none of these, and stays what it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from crosscheck.frontends.entries import Entries, Indices, Reader, different_rows, places_in

__all__ = ["Norm", "NormReader"]


@dataclass(frozen=True, eq=False)
class Norm:
    """What entries are: constant · Π rest · c r.

    Attributes:
        rows: Entries (rows, n): z if a mean is taken away, else c.
        is_centred: Whether it is.
        share: s.
        eps: ε.
        row: Of each entry the row.
        column: Of each entry its place in the row.
        constant: A factor.
        rest: The other factors, as entries each.
    """

    rows: Entries
    is_centred: bool
    share: Fraction
    eps: Fraction
    row: Indices
    column: Indices
    constant: Fraction
    rest: tuple[Entries, ...]


class NormReader:
    """The norms of a program.

    Args:
        reader: The program.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def found(self, entries: Entries) -> Norm | None:
        """The norm that a product is; of the least product that is one, not of its multiples."""
        reader = self.reader
        if reader.node(entries).op != "mul" or (entries.at < 0).any():
            return None
        whole = [reader.operand(entries, k) for k in (0, 1)]
        return None if any(map(self.product, whole)) else self.product(entries)

    def product(self, entries: Entries) -> Norm | None:
        """The norm that a product is, with whatever factors."""
        reader = self.reader
        if reader.node(reader.scaled(entries)[1]).op != "mul" or (entries.at < 0).any():
            return None
        constant, factors = reader.factors(entries)
        for k, factor in enumerate(factors):
            under = self._under_the_root(factor)
            if under is None:
                continue
            share, eps, c, row = under
            others = [*factors[:k], *factors[k + 1 :]]
            for j, other in enumerate(others):
                if other.node != c.node:
                    continue
                column = places_in(c.at, row, other.at)
                if column is not None and (column >= 0).all():
                    rest = (*others[:j], *others[j + 1 :])
                    z = self._centred(c)
                    rows, is_centred = (c, False) if z is None else (z, True)
                    return Norm(rows, is_centred, share, eps, row, column, constant, rest)
        return None

    def _under_the_root(
        self, factor: Entries
    ) -> tuple[Fraction, Fraction, Entries, Indices] | None:
        """s, ε, rows of c, and the row of each entry, of 1 / √(s Σ c² + ε)."""
        reader = self.reader
        if reader.is_op(factor, "elementary", "reciprocal"):
            factor = reader.operand(factor, 0)
            names = ("sqrt", "power_0.5")
        else:
            names = ("rsqrt", "power_-0.5")
        if not any(reader.is_op(factor, "elementary", name) for name in names):
            return None
        share, eps, total = Fraction(0), Fraction(0), None
        for part, addend in reader.addends(reader.operand(factor, 0)):
            if reader.node(addend).op == "ones":
                eps += part
            elif total is None:
                share, total = part, addend
            else:
                return None
        if total is None or not reader.is_op(total, "sum") or share <= 0 or eps < 0:
            return None
        squares = reader.summed(total)
        c = self._root_of(squares)
        rows = None if c is None else different_rows(c.at)
        return (
            None if c is None or rows is None else (share, eps, Entries(c.node, rows[0]), rows[1])
        )

    def _root_of(self, squares: Entries) -> Entries | None:
        reader = self.reader
        if (squares.at < 0).any():
            return None
        if reader.is_op(squares, "elementary", "power_2"):
            return reader.operand(squares, 0)
        if reader.is_op(squares, "mul"):
            one, other = reader.operand(squares, 0), reader.operand(squares, 1)
            return one if one.are(other) else None
        return None

    def _centred(self, c: Entries) -> Entries | None:
        """z, if rows are z - Σ z / n."""
        reader = self.reader
        if not reader.is_op(c, "difference"):
            return None
        z, mean = reader.operand(c, 0), reader.operand(c, 1)
        factor, total = reader.scaled(mean)
        same = (total.at == total.at[:, :1]).all() and (total.at >= 0).all()
        if not same or not reader.is_op(total, "sum") or factor * c.at.shape[-1] != 1:
            return None
        terms = reader.summed(total[:, 0])
        if terms.node != z.node or terms.at.shape != z.at.shape:
            return None
        return z if (np.sort(terms.at, -1) == np.sort(z.at, -1)).all() else None
