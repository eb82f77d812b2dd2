"""What is a polynomial of one number between breakpoints, found in a graph, and put together.

Users write ``where(x > 0, x, a * x)``, ``x * (x > 0)`` and ``maximum(a * x, x)`` for one function
of x. Here expressions of one number, its *site*, are read as polynomials between breakpoints, and
joined by the operations that connect them; what comes out continuous is one function with kinks.

A site is the very number that was compared, as it was computed, or that number with its sign or its
power of two changed, which rounds nothing: so what decides is what the function decides by.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from crosscheck.frontends.verbs import number_of, with_constant
from crosscheck.numbers.piecewise import Piecewise, Polynomial, evaluated
from crosscheck.program.graph import Var

__all__ = ["Pieces", "exact_site", "larger", "pieces_of", "step"]

_MOST_STEPS = 24
"""Nodes that an expression of one number has at most, of those that are looked through."""

_ZERO: Polynomial = (Fraction(0),)


@dataclass(frozen=True)
class Pieces:
    """A function of one number, a polynomial between breakpoints; it may jump there.

    Attributes:
        breakpoints: Ascending.
        polynomials: One more than there are breakpoints.
        roundings: Of a term, at most, in the expression that this was read from.
        blur: As of `crosscheck.numbers.piecewise.Piecewise`.
    """

    breakpoints: tuple[Fraction, ...]
    polynomials: tuple[Polynomial, ...]
    roundings: int = 0
    blur: Fraction = Fraction(0)

    @classmethod
    def number(cls, value: Fraction | int) -> Pieces:
        """The same number everywhere."""
        return cls((), ((Fraction(value),),))

    @classmethod
    def identity(cls) -> Pieces:
        """The number itself."""
        return cls((), ((Fraction(0), Fraction(1)),))

    def __add__(self, other: Pieces) -> Pieces:
        return _joined(_sum, self, other, rounds=1)

    def __sub__(self, other: Pieces) -> Pieces:
        return self + other.times(-1)

    def __mul__(self, other: Pieces) -> Pieces:
        rounds = 0 if self.is_sign or other.is_sign else 1
        return _joined(_product, self, other, rounds=rounds)

    def times(self, factor: Fraction | int) -> Pieces:
        """A multiple."""
        found = self * Pieces.number(factor)
        return replace(found, roundings=self.roundings) if abs(factor) == 1 else found

    def chosen(self, a: Pieces, b: Pieces) -> Pieces:
        """a where this is not 0, else b."""
        kept = _joined(lambda p, q: q if any(p) else _ZERO, self, a, rounds=0)
        rest = _joined(lambda p, q: _ZERO if any(p) else q, self, b, rounds=0)
        found = _joined(_sum, kept, rest, rounds=0)
        return replace(found, roundings=max(a.roundings, b.roundings))

    def mapped(self, change: Callable[[Fraction], Fraction | int]) -> Pieces:
        """A function of constants, piece by piece."""
        return replace(self, polynomials=tuple((Fraction(change(p[0])),) for p in self.polynomials))

    @property
    def is_constant(self) -> bool:
        """Whether every piece is."""
        return all(len(each) == 1 for each in self.polynomials)

    @property
    def is_sign(self) -> bool:
        """Whether every piece is -1, 0 or 1: by such, nothing is rounded."""
        return self.is_constant and all(abs(each[0]) in (0, 1) for each in self.polynomials)

    @property
    def is_continuous(self) -> bool:
        """Whether neighbouring pieces have the same value where they meet."""
        pairs = zip(self.polynomials[:-1], self.polynomials[1:], strict=True)
        return all(
            evaluated(a, at) == evaluated(b, at)
            for at, (a, b) in zip(self.breakpoints, pairs, strict=True)
        )

    def of(self, site: Var) -> Var:
        """This function of a number, as steps of a program; it must be continuous."""
        (first, *rest) = self.polynomials
        if not rest:
            return _polynomial(first, site)
        if len(rest) == 1:
            (bound,), line = self.breakpoints, Pieces.identity().polynomials[0]
            flat = (bound,)
            if (first, rest[0]) in ((flat, line), (line, flat)):
                return with_constant(site, bound, 1 if first == flat else -1)
        return site.piecewise(self._function())

    def _function(self) -> Piecewise:
        degree = max(map(len, self.polynomials)) - 1
        is_free = not any(p[0] for p in self.polynomials)
        # By Horner's rule a term passes two roundings a degree; c z alone is one product.
        least = 1 if degree <= 1 and is_free else 2 * degree
        roundings, one = max(self.roundings, least), Fraction(1)
        slopes = tuple(p[1] if len(p) == 2 else None for p in self.polynomials)
        name, words = "piecewise", self._words()
        if not any(self.breakpoints) and is_free:
            if slopes == (-one, one):
                return Piecewise("abs", "|z|", self.breakpoints, self.polynomials)
            if slopes[1:] == (one,) and slopes[0] is not None:
                name = "leaky_relu"
        return Piecewise(
            name, words, self.breakpoints, self.polynomials, roundings=roundings, blur=self.blur
        )

    def _words(self) -> str:
        words = [
            f"{_words_of(p)} for z < {_number(at)}"
            for p, at in zip(self.polynomials[:-1], self.breakpoints, strict=True)
        ]
        return ", ".join([*words, f"else {_words_of(self.polynomials[-1])}"])


def step(threshold: Fraction, below: Fraction | int, above: Fraction | int) -> Pieces:
    """One number below a threshold and another one above."""
    return Pieces((threshold,), ((Fraction(below),), (Fraction(above),)))


def larger(a: Pieces, b: Pieces) -> Pieces | None:
    """The larger of two lines, or of two that differ by one; ``None`` for others.

    Where the two meet, each of their terms has been rounded: by so much the place where one takes
    over from the other may be off, which is the sum of their sizes there over the slope.
    """
    if a.breakpoints or b.breakpoints:
        return None
    p, q = a.polynomials[0], b.polynomials[0]
    difference = _trimmed(_sum(p, tuple(-c for c in q)))
    if len(difference) == 1:
        return a if difference[0] >= 0 else b
    if len(difference) > 2:
        return None
    at = -difference[0] / difference[1]
    pieces = (q, p) if difference[1] > 0 else (p, q)
    terms = [abs(c * at**k) for each in (p, q) for k, c in enumerate(each)]
    blur = sum(terms, Fraction(0)) / abs(difference[1])
    return Pieces((at,), pieces, max(a.roundings, b.roundings), max(a.blur, b.blur, blur))


def exact_site(x: Var) -> tuple[Var, Fraction]:
    """The number that x is a multiple of, by a power of two with a sign, and the factor."""
    factor = Fraction(1)
    while x.node.op == "times_constants":
        constants = x.node.settings["constants"]
        if not all(_is_power_of_two(abs(c)) for c in constants):
            break
        for c in constants:
            factor *= c
        x = Var(x.graph, x.node.inputs[0])
    return x, factor


def pieces_of(x: Var, site: Var) -> Pieces | None:
    """x as a function of the number at each entry of ``site``, or ``None`` where it is not seen."""
    budget = [_MOST_STEPS]

    def read(y: Var) -> Pieces | None:
        if y == site:
            return Pieces.identity()
        number = number_of(y)
        if number is not None:
            return Pieces.number(number)
        budget[0] -= 1
        if budget[0] < 0 or y.shape != site.shape:
            return None
        return _read(y, site, read)

    return read(x)


def _read(y: Var, site: Var, read: Callable[[Var], Pieces | None]) -> Pieces | None:
    node = y.node
    operands = [Var(y.graph, each) for each in node.inputs]
    if node.op == "piecewise":
        if operands[0] != site:
            return None
        function = node.settings["function"]
        pieces = tuple(_trimmed(each) for each in function.pieces)
        return Pieces(function.breakpoints, pieces, function.roundings, function.blur)
    if node.op not in ("add", "difference", "mul", "times_constants", "elementary"):
        return None
    if node.op == "elementary" and node.settings["function"] not in ("power_2", "power_3"):
        return None
    found = [read(each) for each in operands]
    if any(each is None for each in found):
        return None
    a, b = found[0], found[-1]
    assert a is not None
    assert b is not None
    if node.op == "elementary":
        if node.settings["order"]:
            return None
        return a * a if node.settings["function"] == "power_2" else a * a * a
    if node.op == "times_constants":
        for c in node.settings["constants"]:
            a = a.times(c)
        return a
    return {"add": a.__add__, "difference": a.__sub__, "mul": a.__mul__}[node.op](b)


def _joined(
    join: Callable[[Polynomial, Polynomial], Polynomial], a: Pieces, b: Pieces, *, rounds: int
) -> Pieces:
    """Two functions piece by piece; breakpoints with the same on both sides are none."""
    points = sorted({*a.breakpoints, *b.breakpoints})
    kept: list[Fraction] = []
    found: list[Polynomial] = []
    for k in range(len(points) + 1):
        # The piece on the left of the k-th breakpoint is the one that begins at the one before.
        begin = points[k - 1] if k else None
        p, q = (
            each.polynomials[0 if begin is None else bisect.bisect_right(each.breakpoints, begin)]
            for each in (a, b)
        )
        joined = _trimmed(join(p, q))
        if found and joined == found[-1]:
            continue
        if begin is not None:
            kept.append(begin)
        found.append(joined)
    roundings = max(a.roundings, b.roundings) if not rounds else a.roundings + b.roundings + rounds
    return Pieces(tuple(kept), tuple(found), roundings, max(a.blur, b.blur))


def _sum(p: Polynomial, q: Polynomial) -> Polynomial:
    size = max(len(p), len(q))
    p, q = (each + (Fraction(0),) * (size - len(each)) for each in (p, q))
    return tuple(a + b for a, b in zip(p, q, strict=True))


def _product(p: Polynomial, q: Polynomial) -> Polynomial:
    found = [Fraction(0)] * (len(p) + len(q) - 1)
    for i, a in enumerate(p):
        for j, b in enumerate(q):
            found[i + j] += a * b
    return tuple(found)


def _trimmed(p: Polynomial) -> Polynomial:
    """Without zeros at the end, but for the one of the polynomial that is 0."""
    while len(p) > 1 and not p[-1]:
        p = p[:-1]
    return p or _ZERO


def _polynomial(p: Polynomial, site: Var) -> Var:
    found = site.graph.zeros(site.shape)
    for c in reversed(p):
        found = found * site if found.node.op != "zeros" else found
        if c:
            number = site.graph.ones(site.shape).times(c)
            found = number if found.node.op == "zeros" else found + number
    return found


def _is_power_of_two(c: Fraction) -> bool:
    return bool(c) and all(n & (n - 1) == 0 for n in (c.numerator, c.denominator))


def _number(c: Fraction) -> str:
    return str(c) if c.denominator < 1000 else f"{float(c):g}"


def _words_of(p: Polynomial) -> str:
    powers = ("", " z", " z²", " z³")
    terms = [
        f"{_number(c)}{powers[k] if k < len(powers) else f' z^{k}'}" for k, c in enumerate(p) if c
    ]
    return " + ".join(terms) or "0"
