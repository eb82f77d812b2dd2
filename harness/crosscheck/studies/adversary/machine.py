"""Operations that round as a format says, on arrays of float64, with dice for what is left open.

**Exactness.** In a format of p bits, from 2^emin to 2^emax, numbers are multiples of 2^(emin-p+1)
below 2^(emax+1): sums of products of two of them are exact in float64 if 2 (emax - emin + p) + 2 is
at most 53, which holds for the `TOYS`. A sum, a product and a quotient of two numbers of float32
may be rounded to float64 first, as 53 >= 2 · 24 + 2 (Figueroa, *When is double rounding
innocuous?*, 1995). A fused multiply-add may not; there what float64 cannot hold is rounded to odd,
which is innocuous (Boldo and Melquiond, *Emulation of FMA and correctly rounded sums: proved
algorithms using rounding to odd*, 2008), in float64 itself as theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from crosscheck.numbers.arrays import Array
from crosscheck.numbers.double_double import two_prod, two_sum
from crosscheck.numbers.formats import Format
from crosscheck.numbers.scaling import nearest
from crosscheck.studies.adversary.genes import Bits, Genes

__all__ = ["TOYS", "Machine", "Term"]

TOYS = (
    Format("three bits", precision=3, emin=-4, emax=5),
    Format("four bits", precision=4, emin=-6, emax=8),
    Format("five bits", precision=5, emin=-8, emax=8),
    Format("eight bits", precision=8, emin=-7, emax=8),
    Format("eleven bits", precision=11, emin=-6, emax=7),
)
"""Formats that nobody has, in which much happens in few tries."""

Term = tuple[Array, Array | None]
"""A product of two arrays, or an array."""

_FUSED, _FLUSHED = np.uint64(59), np.uint64(60)
_SECOND = np.uint64(24)
_SAFE = 2.0**900


@dataclass
class Machine:
    """One way of evaluating.

    Attributes:
        form: The format that results are rounded to.
        flush: Whether subnormals may be replaced by zero, as results and as operands.
        genes: The dice of each number.
        ways: The dice of what all tries do in one way.
        least: The smallest normal number, below which there is flushing.
    """

    form: Format
    flush: bool
    genes: Genes
    ways: np.random.Generator
    least: float

    def rounded(self, exact: Array) -> Array:
        """To nearest, ties to even."""
        if self.form.name == "float64":
            return exact
        if self.form.name == "float32":
            return np.asarray(exact.astype(np.float32).astype(np.float64))
        return self.form.round(exact)

    def constant(self, value: Fraction) -> Array:
        """A constant as it is held."""
        return self.rounded(np.asarray(nearest(value)))

    def read(self, value: Array, bits: Bits | None = None, at: int = 0) -> Array:
        """An operand, or a result on its way out."""
        if not self.flush:
            return value
        if bits is None:
            bits = self._dice(value, value, None)
        lost = (np.abs(value) < self.least) & (
            (bits >> (_FLUSHED + np.uint64(at))) % np.uint64(2) == 1
        )
        return np.where(lost, 0.0, value)

    def plus(self, one: Array, other: Array, bits: Bits | None = None) -> Array:
        """A sum of two."""
        bits = self._dice(one, other, bits)
        total = self.rounded(self.read(one, bits) + self.read(other, bits, 1))
        return self.read(total, bits, 2)

    def times(self, one: Array, other: Array, bits: Bits | None = None) -> Array:
        """A product."""
        bits = self._dice(one, other, bits)
        product = self.rounded(self.read(one, bits) * self.read(other, bits, 1))
        return self.read(product, bits, 2)

    def over(self, one: Array, other: Array) -> Array:
        """A quotient."""
        bits = self._dice(one, other, None)
        return self.read(self.rounded(self.read(one, bits) / other), bits, 2)

    def fused(self, one: Array, other: Array, addend: Array, bits: Bits) -> Array:
        """A product that is added without being rounded."""
        a, b, c = self.read(one, bits), self.read(other, bits, 1), self.read(addend, bits, 2)
        return self.read(self.rounded(self._product_and(a, b, c)), bits, 3)

    def total(self, terms: Sequence[Term]) -> Array:
        """Σ of terms, each number's in an order of its own; products are fused, or not."""
        whole = np.broadcast_shapes(
            *(np.shape(part) for t in terms for part in t if part is not None)
        )
        left = np.stack([np.broadcast_to(one, whole) for one, _ in terms])
        right = np.stack([np.broadcast_to(1.0 if b is None else b, whole) for _, b in terms])
        product = np.stack([np.full(whole, b is not None) for _, b in terms])
        for count in range(len(terms), 1, -1):
            bits = self.genes.bits(whole[1:])
            self._to_the_end(left, right, product, count, bits)
            joined = self._joined(left, right, product, count, bits)
            left[count - 2], right[count - 2], product[count - 2] = joined, 1.0, False
        bits = self.genes.bits(whole[1:])
        alone = np.where(product[0], self.times(left[0], right[0], bits), self.read(left[0], bits))
        return alone if len(terms) == 1 else left[0]

    @staticmethod
    def _to_the_end(left: Array, right: Array, product: Any, count: int, bits: Bits) -> None:
        """Exchange what the dice choose with the last two of ``count`` terms."""
        for end, chosen in (
            (count - 1, bits % np.uint64(count)),
            (count - 2, (bits >> _SECOND) % np.uint64(count - 1)),
        ):
            index = chosen.astype(np.int64)[None]
            for array in (left, right, product):
                picked = np.take_along_axis(array, index, axis=0)
                last = array[end].copy()
                np.put_along_axis(array, index, last[None], axis=0)
                array[end] = picked[0]

    def _joined(self, left: Array, right: Array, product: Any, count: int, bits: Bits) -> Array:
        """The last two of ``count`` terms, added."""
        a, b = left[count - 1], right[count - 1]
        other = left[count - 2]
        if product[count - 2].any():
            rounded = self.times(other, right[count - 2], bits ^ np.uint64(0xF << 60))
            other = np.where(product[count - 2], rounded, other)
        plain = a
        if product[count - 1].any():
            plain = np.where(product[count - 1], self.times(a, b, bits), a)
        added = self.plus(plain, other, bits)
        fuse = product[count - 1] & ((bits >> _FUSED) % np.uint64(2) == 1)
        return np.where(fuse, self.fused(a, b, other, bits), added) if fuse.any() else added

    def _product_and(self, a: Array, b: Array, c: Array) -> Array:
        if self.form.precision < 20:
            return np.asarray(a * b + c)
        product, rest = two_prod(a, b)
        if self.form.name != "float64":
            return _to_odd(*two_sum(product, c))
        low, lower = two_sum(c, rest)
        high, middle = two_sum(product, low)
        safe = (np.abs(product) < _SAFE) & (np.abs(product) > 1 / _SAFE) & (np.abs(c) < _SAFE)
        return np.where(safe, high + _to_odd(*two_sum(lower, middle)), product + c)

    def _dice(self, one: Array, other: Array, bits: Bits | None) -> Bits:
        if bits is not None or not self.flush:
            return np.zeros((), np.uint64) if bits is None else bits
        shape = np.broadcast_shapes(np.shape(one), np.shape(other))
        if not shape:  # two constants, which everybody puts together in one way
            return np.asarray(self.ways.integers(0, 2**64, dtype=np.uint64))
        return self.genes.bits(shape[1:])


def _to_odd(total: Array, rest: Array) -> Array:
    """A sum rounded to odd: the neighbour of ``total`` towards ``rest`` if its last bit is 0."""
    total, rest = np.broadcast_arrays(total, rest)
    even = np.ascontiguousarray(total).view(np.int64) % 2 == 0
    moved = np.nextafter(total, np.where(rest > 0, np.inf, -np.inf))
    return np.where((rest != 0) & even & np.isfinite(total), moved, total)
