"""Enclosures: numbers that carry a bound on what any correct framework may return for them.

For every quantity with exact value q an enclosure holds

    c   the reference's value,
    r   with |c - q| <= r: what the reference's own rounding may have done,
    e   with |q̂ - q| <= e for the value q̂ of every framework that evaluates the same formula
        in the arithmetic described by `Model`: sums in any order, with or without fused
        multiply-add, every operation rounded to the dtype or more finely.

So a value q̂ with |q̂ - c| > r + e was not computed correctly; there is no tolerance.

The model of arithmetic (Higham, *Accuracy and Stability of Numerical Algorithms*, 2.2 and 2.8):
fl(x op y) = (x op y)(1 + δ) + τ with |δ| <= u; τ = 0 for additions and |τ| <= ½η for products
(gradual underflow). Under flush-to-zero any operation may in addition lose a result smaller
than λ₀, and may read an operand smaller than λ₀ as zero.

**Any-order sum of products** (`OpenSum`). Let n products v_j a_j and m further addends b_k be
summed, N = n + m of them. With hats on what the framework holds, |v̂| <= |v| + e_v =: V and
|â| <= |a| + e_a =: A, so what the operands' errors do to the exact sum s is at most

    carried = Σ (e_v A + |v| e_a) + Σ e_b.

The rounding of the sum itself is bounded twice. First, for M = Σ V A + Σ (|b| + e_b): a leaf t of
the summation tree passes at most N - 1 additions, a product one rounding more, so it contributes
t Π(1 + δ_i) with at most K = N - 1 + [n > 0] factors, and |Π(1 + δ_i) - 1| <= (1 + u)^K - 1 =: θ:

    E = θ M + (1 + θ) U.

(Higham, section 4.2, bounds θ by γ_K; θ itself is smaller and needs no K u < 1.) Here U collects
the absolute errors: ½η a product under gradual underflow; under flush-to-zero λ₀ an operation
(n + N - 1 of them) and what reading operands as zero can lose, ς(v) A + V ς(a) and ς(b), with
ς(v) = min(V, λ₀) if v̂ may be subnormal, else 0. A fused multiply-add leaves out a factor.

Second, every node of the tree adds δ times the sum of its two computed children to the error of
the root (the errors telescope), and that sum differs by at most E from a partial sum of the
leaves. A partial sum lies between minus the sum P₋ of the negative leaves and the sum P₊ of the
positive ones, and max(P₊, P₋) = ½ (P₊ + P₋ + |P₊ - P₋|). The leaves' magnitudes add up to at most
M + L and their sum is at most |s| + carried + L, where L = u Σ V A + U is what rounding the
products can do. So with P = ½ (M + |s| + carried) + L

    e = carried + min(E, L + u (N - 1) (P + E)),

about half of E where terms cancel. Only terms that can differ from zero count: adding zero and
multiplying by zero are exact.

**Exactness certificate.** If every operand that counts is exact (r = e = 0), all terms are
multiples of 2^g, 2^g >= η, and Σ|terms| <= 2^(p+g), then every partial sum in every order is a
multiple of 2^g below 2^(p+g): representable, hence computed without error, and r = e = 0. Under
flush-to-zero 2^g >= λ₀ is needed, and no operand may be subnormal.

**Overflow.** When the largest partial sum in any order, M (1 + θ) + U, reaches Ω, an evaluation
may overflow and e = ∞. A NaN in a bound reads as ∞.

**Named arithmetics.** Where `Model.arithmetic` is given, matrix products are formed as
`crosscheck.numbers.named` says, from multiplicands that are executed. If two of them have a product
that is exact in the accumulator, no product is rounded: K = N - 1, and L = U; what underflow and
flushing can do to a product is in U as before.

**Sums in a finer format.** Where `Model.inside` is given, a matrix product or a sum over axes is
formed in that format v, from products that are exact there, in any order; e_v is its bound. It is
rounded to the dtype at its end, or goes on as it is to what is added to it, a bias, and is rounded
after that:

    e = e_v + u (|q| + r + e_v) + τ

covers both. An addition in the dtype then errs by u' = u + v + u v, for it may be rounded twice.
Products entry by entry, and sums of several operations' results, are in the dtype as ever.

**Rounding of the bounds themselves.** They are sums of products of non-negative float64 numbers.
A formula of depth m loses at most the factor (1 - v)^m, v = 2^-53, which `up(·, m)` restores;
products of bounds that underflow lose at most `TINY` = 2^-1074 each, which is added wherever a
product of non-zero bounds was formed.

**Put to the test.** Against simulated frameworks of 3 to 11 bits, float32 and float64, whose
operands and orders climb with error / bound (`crosscheck.studies.adversary`), 1,015,808 tries a
rule gave at most 1.0000 for sums, products, differences and matrix products; 0.9993 for squares and
0.9697 for a sum of six. The bounds are attained, and never passed (reports/adversary.md).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from crosscheck.numbers.arrays import Array, blocks, condensed
from crosscheck.numbers.bounded import Bounded, Center, distance
from crosscheck.numbers.double_double import PRODUCT_UNDERFLOW, UNIT, DoubleDouble, high
from crosscheck.numbers.ieee import TINY
from crosscheck.numbers.model import Model
from crosscheck.numbers.named import executed
from crosscheck.numbers.rounding import or_infinity, up
from crosscheck.numbers.terms import Terms

__all__ = ["Enclosure", "OpenSum"]

_FEW_OF = 2.0**-5
"""Of so many sums `OpenSum.shares` forms the bound."""

_OF_ENTRIES = ("size", "reach", "exact", "grain", "lost_by_reading", "margin", "multiplicand")
"""What an `Enclosure` finds out about each of its numbers by itself."""


class Enclosure(Bounded):
    """An array of (c, r, e) with the reference's operators; see the module's text.

    Attributes:
        is_spared: Whether a matrix product with this as its right operand is formed in the dtype's
            own arithmetic, whatever the model's.
    """

    __array_ufunc__ = None  # so that `gate * enclosure` comes to __rmul__

    is_spared = False

    def __init__(self, model: Model, c: Center, r: Array, e: Array) -> None:
        self.model = model
        self.c = c
        self.r = r
        self.e = e

    @classmethod
    def of(cls, model: Model, values: Array) -> Enclosure:
        """Data: numbers of the model's format, known exactly to everyone."""
        center: Center = DoubleDouble(values) if model.wide else values
        zero = np.broadcast_to(0.0, np.shape(values))
        found = Enclosure(model, center, zero, zero)
        found.is_data = True
        return found

    def swapaxes(self, first: int, second: int) -> Enclosure:
        """As NumPy's."""
        return self.rearranged(lambda array: array.swapaxes(first, second))

    def __getitem__(self, index: Any) -> Enclosure:
        return self.rearranged(lambda array: array[index])

    def rearranged(self, function: Callable[[Any], Any]) -> Enclosure:
        """The same numbers in another arrangement, with what is known of them already."""
        found = Enclosure(self.model, function(self.c), function(self.r), function(self.e))
        found.is_data, found.is_spared = self.is_data, self.is_spared
        known = vars(self)
        for name in _OF_ENTRIES:
            if name in known:
                vars(found)[name] = function(known[name])
        return found

    def relu(self) -> Enclosure:
        """max(z, 0), whatever side a framework's z lands on.

        max(·, 0) is 1-Lipschitz, so r and e carry over; where ẑ <= 0 is certain the result is
        exactly 0. A framework that flushes may in addition return a subnormal of either sign,
        or zero, for a subnormal ẑ: ς(z) more.
        """
        tiny = self.model.least if self.model.flush else 0.0
        high = self.high
        surely_off = (high <= 0) & (high + self.margin <= -tiny) | (self.reach == 0)
        positive = high > 0
        if isinstance(self.c, DoubleDouble):
            c: Center = DoubleDouble(
                np.where(positive, self.c.high, 0.0), np.where(positive, self.c.low, 0.0)
            )
        else:
            c = np.where(positive, self.c, 0.0)
        e = self.e
        if self.model.flush:
            e = np.where(self.lost_by_reading > 0, up(e + self.lost_by_reading, 1), e)
        return Enclosure(
            self.model, c, np.where(surely_off, 0.0, self.r), np.where(surely_off, 0.0, e)
        )

    def spared(self) -> Enclosure:
        """The same numbers, with `is_spared`."""
        found = self.rearranged(lambda array: array)
        found.is_spared = True
        return found

    def __matmul__(self, other: Enclosure) -> Enclosure:
        """Σ_j v_ij a_jk, in the dtype's own arithmetic as a sum that is still open for addends."""
        arithmetic, inside = self.model.arithmetic, self.model.inside
        if inside is not None:
            rounds = 2 * self.model.precision > inside.precision
            return self._closed(self._inside.matrix_product(other._inside, rounds=rounds))
        if arithmetic is None or other.is_spared:
            return self.matrix_product(other)
        left, right = self.multiplicand, other.multiplicand
        found = left.matrix_product(right, rounds=not arithmetic.has_exact_products)
        if arithmetic.accumulator == self.model.format and not arithmetic.cut:
            return found
        c, r, e = found.high, found.r, found.e
        if arithmetic.cut:
            may_vanish = found.lost_by_reading > 0
            c, e = executed(c, found.bound, self.model.format, cut=True, may_vanish=may_vanish)
            r = np.zeros_like(e)
        return Enclosure(self.model, c, r, e)

    def matrix_product(self, other: Enclosure, *, rounds: bool = True) -> OpenSum:
        """`__matmul__` in the arithmetic of the model's format, whatever else the model says.

        Args:
            other: The right operand.
            rounds: Whether a product is rounded before it is added.
        """
        depth = self.shape[-1]
        # One product of numbers that are not negative is the same by itself and in a sum.
        product = np.multiply if depth == 1 else np.matmul
        c = self.c @ other.c  # type: ignore[operator]
        return OpenSum(c, Terms.of_products(self, other, product, depth, rounds=rounds))

    @cached_property
    def multiplicand(self) -> Enclosure:
        """What a named arithmetic multiplies and adds up in place of this; only with such a one."""
        arithmetic, model = self.model.arithmetic, self.model
        assert arithmetic is not None
        if arithmetic.accumulator != model.format:
            model = Model(arithmetic.accumulator, model.flush)
        if arithmetic.multiplicand is None:
            found = Enclosure(model, self.c, self.r, self.e)
            found.is_data = self.is_data
            return found
        form = arithmetic.multiplicand
        # Zero may be read in place of what is subnormal in either format, before it is rounded.
        least = np.abs(self.high) - self.bound
        may_vanish = self.model.flush & (self.reach > 0) & (least < form.smallest_normal)
        m, e = executed(self.high, self.bound, form, cut=False, may_vanish=may_vanish)
        found = Enclosure(model, m, np.zeros_like(e), e)
        found.is_data = not e.any()
        return found

    def __mul__(self, other: Enclosure) -> OpenSum:
        """Entry by entry: a sum of one product."""
        c = self.c[..., None, None] @ other.c[..., None, None]  # type: ignore[operator]
        return OpenSum(c[..., 0, 0], Terms.of_products(self, other, np.multiply, 1))

    def sum(self, axis: int | tuple[int, ...]) -> Enclosure:
        """Any-order sum over one axis or several; open for more in the dtype's own arithmetic."""
        if self.model.inside is not None:
            return self._closed(self._inside.open_sum(axis))
        return self.open_sum(axis)

    def open_sum(self, axis: int | tuple[int, ...]) -> OpenSum:
        """`sum` in the arithmetic of the model's format, whatever else the model says."""
        return OpenSum(self.c.sum(axis), Terms.of_addends(self, axis))

    @cached_property
    def _inside(self) -> Enclosure:
        """The same numbers where sums are formed in a finer format."""
        assert self.model.inside is not None
        model = Model(self.model.inside, self.model.flush, is_brief=self.model.is_brief)
        e = up(self.e + self.lost_by_reading, 1) if self.model.flush else self.e
        found = Enclosure(model, self.c, self.r, e)
        found.is_data = self.is_data and not e.any()
        return found

    def _closed(self, found: OpenSum) -> Enclosure:
        """A sum that was formed in a finer format, rounded to the dtype or not."""
        model, reach = self.model, found.reach
        c, r = found.c, found.r
        e = up(found.e + model.format.unit_roundoff * reach, 4) + (up(model.lost(1), 4) + 2 * TINY)
        exact, size = found.exact, np.abs(found.high)
        if exact.any():
            exact = exact & (model.format.round(size) == size)
        if model.flush:
            exact = exact & ((size == 0.0) | (size >= model.least)) & (found.lost_by_reading == 0)
        e = np.where(exact, 0.0, e)
        fits = up(reach + e, 4) < model.format.largest
        return Enclosure(model, c, r, np.where(fits, or_infinity(e), np.inf))

    def __add__(self, other: Enclosure) -> OpenSum:
        """A sum of two addends, open for more."""
        return self._as_addend() + other

    def _as_addend(self) -> OpenSum:
        return self[..., None].open_sum(-1)

    def __sub__(self, other: Enclosure) -> Enclosure:
        """A difference of two.

        fl(q̂ - p̂) = (q̂ - p̂)(1 + δ), so e = e_q + e_p + u (|q - p| + e_q + e_p), without the last
        where one of them is zero. Gradual underflow makes no difference inexact; under
        flush-to-zero λ₀ may be lost, and what reading operands as zero can lose. Exact when both
        operands are and |q - p| <= 2^(p+g), for both are multiples of 2^g then, as is q - p.
        """
        model = self.model
        c = self.c - other.c  # type: ignore[operator]
        own = self.r + other.r
        r = own + (UNIT if isinstance(c, DoubleDouble) else 2.0**-53) * (np.abs(high(c)) + own)
        carried = self.e + other.e
        size = np.abs(high(c)) + r
        one_is_zero = (self.reach == 0) | (other.reach == 0)
        u = np.where(one_is_zero, 0.0, model.roundoff)
        e = carried + u * (size + carried)
        exact = self.exact & other.exact
        if model.flush:
            e = e + self.lost_by_reading + other.lost_by_reading + model.least
            exact = exact & (self.lost_by_reading == 0) & (other.lost_by_reading == 0)
        if exact.any():
            grain = np.minimum(self.grain, other.grain)
            fits = up(np.abs(high(c)), 2) <= np.ldexp(1.0, np.minimum(grain, 900) + model.precision)
            exact = exact & fits & (np.ldexp(1.0, np.minimum(grain, 1023)) >= model.least)
        exact = exact | ((self.reach == 0) & (other.reach == 0))
        r = np.where(exact, 0.0, up(r, 6) + 2 * TINY)
        e = np.where(exact, 0.0, up(e, 8) + 2 * TINY)
        peak = (size + e) * (1.0 + model.roundoff)
        e = np.where(up(peak, 8) < model.format.largest, e, np.inf)
        return Enclosure(model, c, or_infinity(r), or_infinity(e))

    def __rmul__(self, factor: Array) -> Enclosure:
        """f ∘ q for float64 factors f known exactly to everyone, |f| <= 1.

        f = 0 gives exactly 0 and f = ±1 exactly ±q. But where q may overflow, a framework that
        multiplies by 0 returns 0 · ∞ = NaN, one that selects returns 0: e = ∞. Otherwise a
        framework multiplies once: e = |f| e_q + u |f| (|q| + e_q) + τ, with τ = ½η (λ₀ and ς(q)
        under flush-to-zero); halving is exact when q is exact and a multiple of 2η (2λ₀).
        """
        model, size = self.model, np.abs(factor)
        c = factor * self.c
        unit, lost = (UNIT, PRODUCT_UNDERFLOW) if model.wide else (2.0**-53, TINY)
        # u |f| would underflow for a tiny f, and |q| may be huge: so f comes last.
        r = up(size * self.r + size * (unit * self.size), 6) + lost + 2 * TINY
        e = size * self.e + size * (model.roundoff * self.reach) + self.lost_by_reading
        e = up(e, 8) + (up(model.lost(1), 8) + 2 * TINY)
        halved = (size == 0.5) & self.exact
        if halved.any():
            halved &= np.ldexp(1.0, np.minimum(self.grain, 1023)) >= 2.0 * model.least
        unchanged, shut = size == 1.0, (size == 0.0) | (self.reach == 0)
        if isinstance(c, DoubleDouble):
            c = DoubleDouble(np.where(shut, 0.0, c.high), np.where(shut, 0.0, c.low))
        else:
            c = np.where(shut, 0.0, c)
        r = np.where(shut | halved, 0.0, np.where(unchanged, self.r, r))
        overflows = (size == 0.0) & np.isinf(self.e)
        e = np.where(shut | halved, 0.0, np.where(unchanged, self.e, e))
        e = np.where(overflows, np.inf, e)
        return Enclosure(model, c, or_infinity(r), or_infinity(e))


def _turned(array: Any) -> Any:
    return np.swapaxes(array, -1, -2)


class OpenSum(Enclosure):
    """A sum that takes more addends with ``+`` and is bounded, as one sum, when first used.

    Attributes:
        terms: What is known of those that it has.
    """

    def __init__(self, c: Center, terms: Terms) -> None:
        self.model = terms.model
        self.c = c
        self.terms = terms

    def map(self, reshape: Any) -> OpenSum:
        """The same sums in another arrangement."""
        return OpenSum(reshape(self.c), self.terms.map(reshape))

    def _as_addend(self) -> OpenSum:
        return self

    def __add__(self, other: Enclosure) -> OpenSum:
        """One more addend in the same sum; ``other`` is broadcast."""
        c = self.c + other.c  # type: ignore[operator]
        return OpenSum(c, self.terms.and_one(other))

    def joined(self, other: OpenSum) -> OpenSum:
        """The terms of two sums as one, of which nobody knows the order.

        That the terms of either are added by themselves first is one of the orders.
        """
        c = self.c + other.c  # type: ignore[operator]
        return OpenSum(c, self.terms.joined(other.terms))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.c.shape

    @np.errstate(divide="ignore", invalid="ignore")  # by 0, where a sum may be exact
    def shares(self, values: Array) -> Array | None:
        """|values - c| over a part of `bound`, where that says already that they are within it.

        It takes a small part of the time of `bound`, which is formed of a few sums only.

        Args:
            values: What a framework returned, float64 of the sums' shape.

        Returns:
            Numbers up to 1, each at least error / bound; or ``None`` if not all are within their
            bounds, or the reference is not float64.
        """
        if isinstance(self.c, DoubleDouble):
            return None
        if self.c.ndim > 1 and abs(self.c.strides[-2]) < abs(self.c.strides[-1]):
            # A block is a piece of memory, of arrays that are transposed too.
            turned = self.map(_turned).shares(_turned(values))
            return None if turned is None else _turned(turned)
        found, rest = np.empty(self.shape), 0
        for block in blocks(self.shape):
            room = self._terms_of(block).some_of_any(self.c[block])
            if room is None:
                return None
            gap = distance(values[block], self.c[block])
            found[block] = here = gap / room
            if not (here <= 1.0).all():
                found[block] = here = np.where(gap == 0.0, 0.0, here)
                rest += here.size - int(np.count_nonzero(here <= 1.0))
        if rest > _FEW_OF * found.size:
            return None
        if rest:
            others = np.nonzero(~(found <= 1.0))
            some = self.map(lambda array: array[others])
            gap = some.distance(values[others])
            found[others] = np.where(gap == 0.0, 0.0, gap / some.bound)
        return found if not rest or (found <= 1.0).all() else None

    def _terms_of(self, block: Any) -> Terms:
        return self.terms.map(lambda array: condensed(array[block]))

    @cached_property
    def _errors(self) -> tuple[Array, Array]:
        r, e = np.empty(self.c.shape), np.empty(self.c.shape)
        for block in blocks(r.shape):
            c, terms = self.c[block], self._terms_of(block)
            r[block] = own = terms.error_of_reference(c)
            e[block] = terms.error_of_any(c, own)
        return r, e

    @property
    def r(self) -> Array:  # type: ignore[override]
        """Bound on the reference's own error, of this sum as a whole."""
        return self._errors[0]

    @property
    def e(self) -> Array:  # type: ignore[override]
        """Bound on any framework's error, of this sum as a whole."""
        return self._errors[1]
