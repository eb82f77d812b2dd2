"""Softmax, its logarithm, and the logarithm of a sum of powers, found where they are written out.

    e^(z - c) / Σ e^(z - c)          softmax(z), for any c that is the same all along a row
    c + log Σ e^(z - c)              log_sum_exp(z)
    z - c - log Σ e^(z - c)          log_softmax(z)

also as the logarithm of the first, as the power of the last, with signs exchanged, with c = 0,
without entries that are masked, and along whatever axes the sum runs. A c that is a maximum is a
mere *shift*: the function does not depend on it (`crosscheck.program.compounds`), so that it has
neither derivative nor ties. A maximum that does not cancel, as that of log Σ e^(z - c) alone, stays
what it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from crosscheck.frontends.entries import Entries, Indices, Reader, different_rows, places_in

__all__ = ["Found", "Powers", "RowReader"]


@dataclass(frozen=True, eq=False)
class Powers:
    """Rows of z, of whose powers sums are taken.

    Attributes:
        z: Entries (rows, n); -1 is one that is left out.
        shift: Entries (rows, k) the largest of which is taken away from the row; ``None`` if
            nothing is.
    """

    z: Entries
    shift: Entries | None


@dataclass(frozen=True, eq=False)
class Found:
    """A compound that entries are.

    Attributes:
        kind: ``"softmax"``, ``"log_softmax"`` or ``"log_sum_exp"``.
        sign: 1, or -1 for the compound's negative.
        powers: Of which rows.
        row: Of each entry the row.
        column: Of each entry its place in the row, -1 for a share of 0; not of a `log_sum_exp`,
            which has one a row.
        is_of_shares: Whether the logarithm of the shares is taken, which may have vanished.
        is_called: Whether the program has it by its name, or makes it of one that it has.
    """

    kind: str
    sign: int
    powers: Powers
    row: Indices
    column: Indices | None = None
    is_of_shares: bool = False
    is_called: bool = False

    @property
    def places(self) -> Indices:
        """Where the entries are in an array of all rows."""
        if self.column is None:
            return self.row
        n = self.powers.z.at.shape[-1]
        return np.where(self.column >= 0, self.row * n + self.column, -1)


class RowReader:
    """What is made of rows in a program.

    Args:
        reader: The program.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def softmax(self, entries: Entries) -> Found | None:
        """The shares that entries are."""
        reader = self.reader
        if (entries.at < 0).any():
            return None
        if reader.is_op(entries, "softmax"):
            return self._called("softmax", entries)
        if reader.is_op(entries, "elementary", "exp"):
            found = self.log_softmax(reader.operand(entries, 0))
            return None if found is None or found.sign < 0 else self._as("softmax", found)
        for power, inverse in reader.operands(entries, "mul"):
            if not reader.is_op(power, "elementary", "exp"):
                continue
            if not reader.is_op(inverse, "elementary", "reciprocal"):
                continue
            found = self._shares(reader.operand(power, 0), reader.operand(inverse, 0))
            if found is not None:
                return found
        return None

    def _called(self, kind: str, entries: Entries, sign: int = 1) -> Found | None:
        """A compound that is called by its name, of all entries of its rows."""
        reader = self.reader
        node = reader.node(entries)
        z = reader.entries(node.inputs[0])
        n = z.at.shape[-1]
        if "kept" in node.settings or (z.at < 0).any():
            return None
        rows = Powers(Entries(z.node, z.at.reshape(-1, n)), None)
        if kind == "log_sum_exp":
            return Found(kind, sign, rows, entries.at, is_called=True)
        return Found(kind, sign, rows, entries.at // n, entries.at % n, is_called=True)

    @staticmethod
    def _as(kind: str, found: Found) -> Found:
        return replace(found, kind=kind)

    def _shares(self, exponent: Entries, total: Entries) -> Found | None:
        """Of powers of ``exponent`` divided by sums ``total``."""
        found = self._sum_of_powers(total)
        if found is None:
            return None
        d, row = found
        if d.node != exponent.node or row.shape != exponent.at.shape:
            return None
        column = places_in(d.at, row, exponent.at)
        return None if column is None else Found("softmax", 1, self._stripped(d), row, column)

    def _sum_of_powers(self, total: Entries) -> tuple[Entries, Indices] | None:
        """The rows d of which entries are Σ e^d, and the row of each entry."""
        reader = self.reader
        if not reader.is_op(total, "sum") or (total.at < 0).any():
            return None
        terms = reader.summed(total)
        if not reader.is_op(terms, "elementary", "exp"):
            return None
        exponents = reader.operand(terms, 0)
        rows = different_rows(exponents.at, some=True)
        return None if rows is None else (Entries(exponents.node, rows[0]), rows[1])

    def _stripped(self, d: Entries) -> Powers:
        """Rows without a shift that is taken away from them."""
        for z, shift in self._differences(d):
            largest = self._maximum(shift)
            is_whole = ((z.at >= 0) == (d.at >= 0)).all() and ((shift.at >= 0) == (d.at >= 0)).all()
            if largest is None or not is_whole:
                continue
            each = largest.at.max(axis=-1)
            if ((largest.at == each[:, None]) | (largest.at < 0)).all():
                return Powers(z, self.reader.reduced(Entries(largest.node, each)))
        return Powers(d, None)

    def _maximum(self, entries: Entries) -> Entries | None:
        """The maxima that entries are, held constant or not."""
        while self.reader.is_op(entries, "held"):
            entries = self.reader.operand(entries, 0)
        return entries if self.reader.is_op(entries, "max") else None

    def _differences(self, d: Entries) -> Iterator[tuple[Entries, Entries]]:
        """The ways to read entries as a difference."""
        reader = self.reader
        if reader.is_op(d, "difference"):
            yield reader.operand(d, 0), reader.operand(d, 1)
        for one, other in reader.operands(d, "add"):
            factor, of = reader.scaled(other)
            if factor == -1:
                yield one, of

    # -- logarithms --------------------------------------------------------------------------

    def log_softmax(self, entries: Entries) -> Found | None:
        """The logarithms of shares that entries are, or their negatives."""
        return self._logarithm(entries, "log_softmax")

    def log_sum_exp(self, entries: Entries) -> Found | None:
        """The logarithms of sums of powers that entries are, or their negatives."""
        return self._logarithm(entries, "log_sum_exp")

    def _logarithm(self, entries: Entries, kind: str) -> Found | None:
        reader = self.reader
        if (entries.at < 0).any():
            return None
        factor, of = reader.scaled(entries)
        if reader.is_op(of, kind) and abs(factor) == 1:
            return self._called(kind, of, int(factor))
        if reader.is_op(of, "elementary", "log") and abs(factor) == 1:
            found = self._of_logarithm(reader.operand(of, 0), int(factor))
            return found if found is not None and found.kind == kind else None
        if reader.node(of).op not in ("add", "difference"):
            return None
        for part, addend in reader.addends(entries):
            if abs(part) != 1:
                continue
            if reader.is_op(addend, "log_sum_exp") and kind == "log_softmax":
                found = self._less(entries, addend)
                if found is not None:
                    return found
            if reader.is_op(addend, "elementary", "log"):
                rows = self._sum_of_powers(reader.operand(addend, 0))
                if rows is not None and rows[1].shape == entries.at.shape:
                    found = self._added(entries, addend.node, *rows)
                    if found is not None and found.kind == kind:
                        return found
        return None

    def _less(self, entries: Entries, total: Entries) -> Found | None:
        """z - log Σ e^z, of a sum that is called by its name."""
        whole = self._called("log_sum_exp", total)
        if whole is None:
            return None
        z = whole.powers.z
        addends = self.reader.addends(entries, (total.node, z.node))
        if len(addends) != 2 or addends[0][0] != -addends[1][0] or abs(addends[0][0]) != 1:
            return None
        for (sign, one), (_, other) in (addends, addends[::-1]):
            if one.node == z.node and other.node == total.node:
                column = places_in(z.at, whole.row, one.at)
                if column is not None and (column >= 0).all():
                    return Found(
                        "log_softmax", int(sign), whole.powers, whole.row, column, is_called=True
                    )
        return None

    def _of_logarithm(self, of: Entries, sign: int) -> Found | None:
        rows = self._sum_of_powers(of)
        if rows is not None:
            return Found("log_sum_exp", sign, Powers(rows[0], None), rows[1])
        found = self.softmax(of)
        if found is None:
            return None
        return replace(found, kind="log_softmax", sign=sign, is_of_shares=True)

    def _added(self, entries: Entries, log: int, d: Entries, row: Indices) -> Found | None:
        """What a sum is, one of whose addends is log Σ e^d."""
        reader = self.reader
        powers = self._stripped(d)
        largest = None
        if powers.shift is not None:
            shifts = next(s for _, s in self._differences(d) if self._maximum(s) is not None)
            largest = shifts.node, shifts.at.max(axis=-1)[row]
        stops = (log, d.node, powers.z.node, *(() if largest is None else largest[:1]))
        of_log = of_shift = Fraction(0)
        rest: tuple[Fraction, Indices] | None = None
        for factor, addend in reader.addends(entries, stops):
            own = d.at if addend.node == d.node else powers.z.at
            if addend.node == log:
                of_log += factor
            elif largest is not None and addend.node == largest[0]:
                if (addend.at != largest[1]).any():
                    return None
                of_shift += factor
            elif addend.node in (d.node, powers.z.node) and rest is None:
                column = places_in(own, row, addend.at)
                if column is None or (column < 0).any():
                    return None
                rest = factor, column
                if powers.shift is not None and addend.node == d.node:
                    of_shift -= factor
            else:
                return None
        wanted = of_log if rest is None else -rest[0]
        if of_log != wanted or of_shift != (0 if largest is None else wanted) or abs(wanted) != 1:
            return None
        if rest is None:
            return Found("log_sum_exp", int(wanted), powers, row)
        return Found("log_softmax", -int(wanted), powers, row, rest[1])
