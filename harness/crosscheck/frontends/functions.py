"""Functions of one number, found where they are written out.

    sigmoid    1 / (1 + e⁻ˣ),  eˣ / (1 + eˣ),  ½ (1 + tanh ½x),  1 - sigmoid(-x)
    tanh       (eˣ - e⁻ˣ) / (eˣ + e⁻ˣ),  (e²ˣ - 1) / (e²ˣ + 1),  2 sigmoid(2x) - 1,
               1 - 2 / (1 + e²ˣ)
    softplus   log(1 + eˣ),  log1p(eˣ),  max(x, 0) + softplus(-|x|),  x + softplus(-x),
               -log sigmoid(-x)
    silu       x sigmoid(x)
    gelu       ½ x (1 + erf(x / √2))
    gelu_tanh  ½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))
    expm1      eˣ - 1
    log1p      log(1 + x)
    rsqrt      1 / √x, √(1 / x)

Constants are read as float32 has them, which is what a float64 rounds to that was meant for the
same. The kinks of max(x, 0) and |x| cancel: softplus has a derivative at 0, ½, and whoever adds up
other slopes there returns the derivative of nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from crosscheck.frontends.entries import Entries, Reader
from crosscheck.numbers.piecewise import Piecewise

__all__ = ["FunctionReader", "OfOne"]

_ONE, _HALF = Fraction(1), Fraction(1, 2)


@dataclass(frozen=True, eq=False)
class OfOne:
    """times · function(factor · x).

    Attributes:
        function: A name of `crosscheck.numbers.elementary`.
        factor: A constant.
        x: Entries.
        times: A constant.
    """

    function: str
    factor: Fraction
    x: Entries
    times: Fraction = _ONE

    def is_of(self, factor: Fraction, x: Entries) -> bool:
        """Whether the argument is ``factor`` times these entries."""
        return self.factor == factor and self.x.are(x)


class FunctionReader:
    """What is made of single numbers in a program.

    Args:
        reader: The program.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def found(self, entries: Entries) -> OfOne | None:
        """What entries are, if it is written out."""
        if (entries.at < 0).any():
            return None
        op = self.reader.node(entries).op
        each: tuple[Callable[[Entries], OfOne | None], ...] = ()
        if op == "elementary":
            each = (self.sigmoid, self.softplus, self._log1p, self._rsqrt)
        elif op == "mul":
            each = (self.sigmoid, self._tanh, self._product)
        elif op in ("add", "difference"):
            each = (self.sigmoid, self._tanh, self.softplus, self._expm1)
        elif op == "log_sum_exp":
            each = (self.softplus,)
        elif op == "times_constants":
            each = (self._product,)
        for pattern in each:
            found = pattern(entries)
            if found is not None and not self.reader.is_op(entries, "elementary", found.function):
                return found
        return None

    def _argument(self, entries: Entries) -> tuple[Fraction, Entries]:
        return self.reader.scaled(self.reader.operand(entries, 0))

    def _called(self, entries: Entries, function: str) -> tuple[Fraction, Entries] | None:
        """The argument of an elementary function."""
        if self.reader.is_op(entries, "elementary", function):
            return self._argument(entries)
        return None

    def _pair(self, entries: Entries) -> Iterator[tuple[Fraction, Entries, Fraction, Entries]]:
        """Two addends with their constants, in both orders."""
        found = self.reader.addends(entries)
        if len(found) == 2:
            (a, one), (b, other) = found
            yield a, one, b, other
            yield b, other, a, one

    def _with_one(self, entries: Entries) -> Iterator[tuple[Fraction, Entries, Fraction]]:
        """c x + k of a constant k: c, x and k."""
        for c, x, k, other in self._pair(entries):
            if self.reader.node(other).op == "ones" and (other.at >= 0).all():
                yield c, x, k

    def _inverse_of(self, entries: Entries) -> Entries | None:
        if self.reader.is_op(entries, "elementary", "reciprocal"):
            return self.reader.operand(entries, 0)
        return None

    def _one_plus_power(self, entries: Entries) -> tuple[Fraction, Entries] | None:
        """u of 1 + e^u."""
        for c, x, k in self._with_one(entries):
            if c == k == 1 and (u := self._called(x, "exp")) is not None:
                return u
        return None

    # -- one by one ------------------------------------------------------------------------

    def sigmoid(self, entries: Entries) -> OfOne | None:
        """A constant times σ(u), in all its spellings."""
        reader = self.reader
        if (u := self._called(entries, "sigmoid")) is not None:
            return OfOne("sigmoid", *u)
        inverse = self._inverse_of(entries)
        if inverse is not None and (u := self._one_plus_power(inverse)) is not None:
            return OfOne("sigmoid", -u[0], u[1])
        for power, other in reader.operands(entries, "mul"):
            own, inverse = self._called(power, "exp"), self._inverse_of(other)
            if own is not None and inverse is not None:
                u = self._one_plus_power(inverse)
                if u is not None and u[0] == own[0] and u[1].are(own[1]):
                    return OfOne("sigmoid", *u)
        if reader.node(entries).op in ("add", "difference"):
            for c, x, k in self._with_one(entries):
                if c == k and (u := self._called(x, "tanh")) is not None:
                    return OfOne("sigmoid", 2 * u[0], u[1], 2 * k)
                inner = self.sigmoid(x) if self.reader.node(x).op != "add" else None
                if inner is not None and k == 1 and c * inner.times == -1:
                    return OfOne("sigmoid", -inner.factor, inner.x)
        return None

    def _tanh(self, entries: Entries) -> OfOne | None:
        reader = self.reader
        if reader.node(entries).op in ("add", "difference"):
            for c, x, k in self._with_one(entries):
                inner = self.sigmoid(x)
                if inner is None or abs(k) != 1 or c * inner.times != -2 * k:
                    continue
                return OfOne("tanh", -k * inner.factor * _HALF, inner.x)
            return None
        for one, other in reader.operands(entries, "mul"):
            inverse = self._inverse_of(other)
            if inverse is None:
                continue
            below = self._powers(inverse)
            above = self._powers(one)
            if below is None or above is None or not below[2].are(above[2]):
                continue
            (a, b, _), (p, q, _) = below, above
            if a[0] == p[0] and b[0] == q[0] and a[1] == b[1] == p[1] == -q[1] == 1:
                return OfOne("tanh", (a[0] - b[0]) * _HALF, below[2])
        return None

    def _powers(
        self, entries: Entries
    ) -> tuple[tuple[Fraction, Fraction], tuple[Fraction, Fraction], Entries] | None:
        """(u, c), (v, d) and x of c e^(u x) + d e^(v x) with u > v; v may be 0."""
        found: list[tuple[Fraction, Fraction]] = []
        x: Entries | None = None
        for c, each in self.reader.addends(entries):
            u = self._called(each, "exp")
            if u is None:
                if self.reader.node(each).op != "ones" or (each.at < 0).any():
                    return None
                found.append((Fraction(0), c))
                continue
            if x is not None and not x.are(u[1]):
                return None
            x = u[1]
            found.append((u[0], c))
        if len(found) != 2 or x is None:
            return None
        found.sort(reverse=True)
        return found[0], found[1], x

    def softplus(self, entries: Entries) -> OfOne | None:
        """A constant times log(1 + eᵘ), in all its spellings."""
        if (u := self._called(entries, "softplus")) is not None:
            return OfOne("softplus", *u)
        reader = self.reader
        if reader.is_op(entries, "log_sum_exp"):
            return self._beside_zero(entries)
        if reader.is_op(entries, "elementary", "log1p"):
            u = self._called(reader.operand(entries, 0), "exp")
            return None if u is None else OfOne("softplus", *u)
        if reader.is_op(entries, "elementary", "log"):
            inner = reader.operand(entries, 0)
            if (u := self._one_plus_power(inner)) is not None:
                return OfOne("softplus", *u)
            of = self.sigmoid(inner)
            if of is not None and of.times == 1:
                return OfOne("softplus", -of.factor, of.x, -_ONE)
            return None
        if reader.node(entries).op in ("add", "difference"):
            for a, one, b, other in self._pair(entries):
                rest = self.softplus(other)
                if rest is not None and a == b * rest.times and rest.is_of(-_ONE, one):
                    return OfOne("softplus", _ONE, one, a)
                x = self.corner(a, one, b, other)
                if x is not None:
                    return OfOne("softplus", _ONE, x, a)
        return None

    def _beside_zero(self, entries: Entries) -> OfOne | None:
        """log(e^x + e^0), as of a pair of which one is 0."""
        node = self.reader.node(entries)
        pair = self.reader.entries(node.inputs[0])
        if pair.at.shape[-1] != 2 or "kept" in node.settings or (pair.at < 0).any():
            return None
        addends = self.reader.addends(pair)
        found: list[OfOne] = []
        for own in (0, 1):
            there = [
                (factor, each[..., own].at, each.node)
                for factor, each in addends
                if (each.at[..., own] >= 0).any() and self.reader.node(each).op != "zeros"
            ]
            if len(there) > 1:
                return None
            for factor, at, number in there:
                found.append(OfOne("softplus", factor, Entries(number, at.ravel()[entries.at])))
        return found[0] if len(found) == 1 and (found[0].x.at >= 0).all() else None

    def corner(self, a: Fraction, one: Entries, b: Fraction, other: Entries) -> Entries | None:
        """x of a max(x, 0) + b κ softplus(-|x|), with a = b κ."""
        if self.reader.node(one).op != "piecewise":
            return None
        rest = self.softplus(other)
        return None if rest is None or a != b * rest.times else self._cornered(one, rest)

    def _cornered(self, one: Entries, rest: OfOne) -> Entries | None:
        """x of max(x, 0), with softplus(-|x|) beside it."""
        reader = self.reader
        if reader.node(one).op != "piecewise" or reader.node(rest.x).op != "piecewise":
            return None
        corner, size = (reader.node(each).settings["function"] for each in (one, rest.x))
        x = reader.operand(one, 0)
        is_size = _is_of(size, ((0, -1), (0, 1))) and rest.factor == -1
        is_minus = _is_of(size, ((0, 1), (0, -1))) and rest.factor == 1
        if not _is_of(corner, ((), (0, 1))) or not (is_size or is_minus):
            return None
        return x if x.are(reader.operand(rest.x, 0)) else None

    def _log1p(self, entries: Entries) -> OfOne | None:
        if not self.reader.is_op(entries, "elementary", "log"):
            return None
        for c, x, k in self._with_one(self.reader.operand(entries, 0)):
            if k == 1:
                return OfOne("log1p", c, x)
        return None

    def _expm1(self, entries: Entries) -> OfOne | None:
        for c, x, k in self._with_one(entries):
            if c == -k and abs(k) == 1 and (u := self._called(x, "exp")) is not None:
                return OfOne("expm1", *u, c)
        return None

    def _rsqrt(self, entries: Entries) -> OfOne | None:
        for outer, inner in (("reciprocal", "sqrt"), ("sqrt", "reciprocal")):
            if self.reader.is_op(entries, "elementary", outer):
                of = self.reader.operand(entries, 0)
                if self.reader.is_op(of, "elementary", inner):
                    return OfOne("rsqrt", _ONE, self.reader.operand(of, 0))
        return None

    # -- products with the argument -----------------------------------------------------------

    def _product(self, entries: Entries) -> OfOne | None:
        """silu, gelu and gelu_tanh."""
        constant, factors = self.reader.factors(entries)
        if len(factors) != 2:
            return None
        for x, gate in (factors, factors[::-1]):
            found = self._gated(constant, x, gate)
            if found is not None:
                return found
        return None

    def _gated(self, constant: Fraction, x: Entries, gate: Entries) -> OfOne | None:
        inner = self.sigmoid(gate)
        if inner is not None and constant * inner.times == 1:
            if inner.is_of(_ONE, x):
                return OfOne("silu", _ONE, x)
            powers = self._polynomial(inner.x, x)
            if powers is not None:
                powers = tuple(inner.factor * _HALF * c for c in powers)
                if len(powers) == 4 and not powers[0] and not powers[2]:
                    of_cube = powers[3] / powers[1] if powers[1] else Fraction(0)
                    if _is_near(powers[1], math.sqrt(2 / math.pi)) and _is_near(of_cube, 0.044715):
                        return OfOne("gelu_tanh", _ONE, x)
        if self.reader.node(gate).op not in ("add", "difference"):
            return None
        for c, each, k in self._with_one(gate):
            u = self._called(each, "erf")
            if u is None or c != k or constant * k != _HALF:
                continue
            if u[1].are(x) and _is_near(u[0], math.sqrt(0.5)):
                return OfOne("gelu", _ONE, x)
        return None

    def _polynomial(self, entries: Entries, x: Entries) -> tuple[Fraction, ...] | None:
        """The coefficients of entries as a polynomial in x of degree 3 at most, the first of 1."""
        reader = self.reader
        if entries.are(x):
            return (Fraction(0), _ONE)
        node = reader.node(entries)
        if node.op == "ones":
            return (_ONE,)
        if node.op == "times_constants":
            factor, of = reader.scaled(entries)
            inner = self._polynomial(of, x)
            return None if inner is None else tuple(factor * c for c in inner)
        if node.op == "elementary" and node.settings["order"] == 0:
            power = {"power_2": 2, "power_3": 3}.get(node.settings["function"], 0)
            inner = self._polynomial(reader.operand(entries, 0), x) if power else None
            found: tuple[Fraction, ...] | None = (_ONE,)
            for _ in range(power):
                found = None if inner is None or found is None else _times(found, inner)
            return found if inner is not None else None
        if node.op not in ("add", "difference", "mul"):
            return None
        one, other = (self._polynomial(reader.operand(entries, k), x) for k in (0, 1))
        if one is None or other is None:
            return None
        if node.op == "mul":
            return _times(one, other)
        sign = 1 if node.op == "add" else -1
        size = max(len(one), len(other))
        pad = [(*p, *(Fraction(0),) * (size - len(p))) for p in (one, other)]
        return tuple(a + sign * b for a, b in zip(*pad, strict=True))


def _times(one: tuple[Fraction, ...], other: tuple[Fraction, ...]) -> tuple[Fraction, ...] | None:
    if len(one) + len(other) > 5:
        return None
    found = [Fraction(0)] * (len(one) + len(other) - 1)
    for i, a in enumerate(one):
        for j, b in enumerate(other):
            found[i + j] += a * b
    return tuple(found)


def _is_near(value: Fraction, wanted: float) -> bool:
    """Whether float32 has one number for both."""
    return bool(np.float32(float(value)) == np.float32(wanted))


def _is_of(function: Piecewise, pieces: tuple[tuple[int, ...], ...]) -> bool:
    """Whether a function with one breakpoint, at 0, has these pieces."""

    def short(piece: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
        while piece and not piece[-1]:
            piece = piece[:-1]
        return tuple(piece)

    own = tuple(map(short, function.pieces))
    return list(function.breakpoints) == [0] and own == tuple(
        tuple(map(Fraction, piece)) for piece in pieces
    )
