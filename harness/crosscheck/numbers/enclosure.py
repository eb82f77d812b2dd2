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

**Rounding of the bounds themselves.** They are sums of products of non-negative float64 numbers.
A formula of depth m loses at most the factor (1 - v)^m, v = 2^-53, which `up(·, m)` restores;
products of bounds that underflow lose at most `_TINY` = 2^-1074 each, which is added wherever a
product of non-zero bounds was formed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np

from crosscheck.numbers.arrays import Array
from crosscheck.numbers.double_double import PRODUCT_UNDERFLOW, UNIT, DoubleDouble, high
from crosscheck.numbers.formats import Format
from crosscheck.numbers.ieee import TINY
from crosscheck.numbers.named import Arithmetic, executed
from crosscheck.numbers.rounding import (
    NO_GRAIN,
    growth,
    least_sums,
    lowest_bit,
    or_infinity,
    tiny,
    up,
)

__all__ = ["Center", "Enclosure", "Model", "OpenSum", "Product", "distance"]

Center: TypeAlias = "Array | DoubleDouble"
"""The reference's value: float64, or double-double where float64 is what is being checked."""

Product: TypeAlias = tuple[Literal["forward", "weight", "input"], int]
"""A matrix product of backpropagation and its layer: z_l, ∂J/∂W_l or g_{l-1}."""

_TINY = TINY

_WITHOUT_OVERFLOW = 2.0**1000
"""A few numbers below this have a sum in float64."""

_OF_ENTRIES = ("size", "reach", "exact", "grain", "lost_by_reading", "margin", "multiplicand")
"""What an `Enclosure` finds out about each of its numbers by itself."""


@dataclass(frozen=True)
class Model:
    """The arithmetic that a framework is held to.

    Attributes:
        format: The dtype.
        flush: Whether subnormal numbers may be replaced by zero, as results and as operands.
        arithmetic: How matrix products are formed, if not in the dtype's own arithmetic.
        spared: Matrix products that are formed in the dtype's own arithmetic nevertheless.
    """

    format: Format
    flush: bool = False
    arithmetic: Arithmetic | None = None
    spared: frozenset[Product] = frozenset()

    @property
    def precision(self) -> int:
        """p, the significant bits of each operation."""
        return self.format.precision

    @property
    def roundoff(self) -> float:
        """u, the largest relative error of one operation."""
        return self.format.unit_roundoff

    @property
    def least(self) -> float:
        """The smallest positive number whose multiples are all handled without underflow."""
        return self.format.smallest_normal if self.flush else self.format.smallest_subnormal

    @property
    def underflow(self) -> float:
        """The largest absolute error of a product: ½η, λ₀ under flush-to-zero.

        In float64 ½η rounds to 0: where it has to be there, see `lost`.
        """
        return self.least if self.flush else 0.5 * self.least

    def lost(self, products: Array | float) -> Any:
        """The largest absolute error of so many products together, rounded up.

        `underflow` times their number, but for float64: there ½η is no number and rounds to 0,
        so that half of an odd number of η is the next whole number of them.

        Args:
            products: How many, any number that is not negative.
        """
        if self.flush:
            return products * self.least
        halves = 0.5 * products
        return (np.ceil(halves) if self.format.emin < -1000 else halves) * self.least

    @property
    def wide(self) -> bool:
        """Whether the reference needs double-double to be finer than the framework."""
        return self.format.precision > 26  # products of two such numbers exceed float64

    def enclose(self, values: Array) -> Enclosure:
        """An enclosure of data: numbers of the format, known exactly to everyone."""
        center: Center = DoubleDouble(values) if self.wide else values
        zero = np.zeros_like(values)
        found = Enclosure(self, center, zero, zero)
        found.is_data = True
        return found


def distance(values: Array, center: Center) -> Array:
    """|values - center| in float64."""
    gap = values - high(center)
    if isinstance(center, DoubleDouble):
        gap = gap - center.low
    return np.abs(gap)


class Enclosure:
    """An array of (c, r, e); see the module's text for their meaning.

    Attributes:
        model: The arithmetic e speaks of.
        c: The reference's values.
        r: Bound on the reference's own error, float64, same shape.
        e: Bound on any framework's error, float64, same shape; ∞ where it may overflow.
        is_data: Whether r and e are 0 throughout, because these are numbers that were given.
        is_spared: Whether a matrix product with this as its right operand is formed in the dtype's
            own arithmetic, whatever the model's.
    """

    __array_ufunc__ = None  # so that `gate * enclosure` comes to __rmul__

    is_data = False
    is_spared = False

    c: Center
    r: Array
    e: Array

    def __init__(self, model: Model, c: Center, r: Array, e: Array) -> None:
        self.model = model
        self.c = c
        self.r = r
        self.e = e

    # -- magnitudes ------------------------------------------------------------------------

    @cached_property
    def size(self) -> Array:
        """Upper bound on |q|."""
        if self.is_data:
            return np.abs(high(self.c))
        size = np.abs(high(self.c)) + self.r
        if isinstance(self.c, DoubleDouble):
            size = size + np.abs(self.c.low)
            inexact = (self.r != 0) | (self.c.low != 0)
        else:
            inexact = self.r != 0
        return np.where(inexact, up(size, 2), size)

    @cached_property
    def reach(self) -> Array:
        """Upper bound on |q̂|."""
        if self.is_data:
            return self.size
        return np.where(self.e != 0, or_infinity(up(self.size + self.e, 1)), self.size)

    @cached_property
    def exact(self) -> Any:
        """Where everyone holds the same value without error."""
        return (self.r == 0) & (self.e == 0)

    @cached_property
    def grain(self) -> Any:
        """Exponent of the lowest set bit of c; only meaningful where `exact`."""
        return lowest_bit(np.where(self.exact, high(self.c), 0.0))

    @cached_property
    def lost_by_reading(self) -> Array:
        """ς: what a framework that reads subnormals as zero can lose; 0 under gradual underflow."""
        if not self.model.flush:
            return np.zeros_like(self.e)
        tiny = self.model.format.smallest_normal
        least = np.abs(high(self.c)) - up(self.reach - np.abs(high(self.c)), 2)
        return np.where((self.reach > 0) & (least < tiny), np.minimum(self.reach, tiny), 0.0)

    @cached_property
    def margin(self) -> Array:
        """Upper bound on |q̂ - c_high|, for deciding the sign of q̂; 0 where all is exact."""
        margin = self.r + self.e
        if isinstance(self.c, DoubleDouble):
            margin = margin + np.abs(self.c.low)
        return or_infinity(up(margin, 2))

    @property
    def high(self) -> Array:
        """c rounded to float64."""
        return high(self.c)

    @cached_property
    def bound(self) -> Array:
        """r + e, and what forming |q̂ - c| in float64 can add to it."""
        return or_infinity(up(self.r + self.e, 4))

    def distance(self, values: Array) -> Array:
        """|values - c| in float64; compare it with `bound`."""
        return distance(values, self.c)

    # -- the reference's operators ---------------------------------------------------------

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

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.r.shape

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
        arithmetic = self.model.arithmetic
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
        return self._products(other, c, product, depth, rounds=rounds)

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
        return self._products(other, c[..., 0, 0], np.multiply, 1)

    def _products(
        self,
        other: Enclosure,
        c: Center,
        product: np.ufunc,
        depth: int,
        *,
        rounds: bool = True,
    ) -> OpenSum:
        """The sum that has ``c`` as its value.

        Args:
            other: The right operand.
            c: Of the sum.
            product: How arrays are multiplied, `np.matmul` or, for ``depth`` 1, `np.multiply`.
            depth: How many products are added.
            rounds: Whether a product is rounded before it is added.
        """
        left, right = self, other
        left_counts, right_counts = (left.reach > 0) * 1.0, (right.reach > 0) * 1.0
        products = product(left_counts, right_counts)
        inexact = np.zeros_like(products)
        if not left.is_data:
            inexact = product(~left.exact * 1.0, right_counts)
        if not right.is_data:
            inexact = inexact + product(left_counts, ~right.exact * 1.0)
        flushed = np.zeros_like(inexact)
        if left.model.flush:
            flushed = product(left.lost_by_reading, right.reach)
            flushed = flushed + product(left.reach, right.lost_by_reading)
        exact = inexact == 0
        grain = np.full(inexact.shape, NO_GRAIN)
        if (exact & (products > 0)).any():
            grain = (np.add if product is np.multiply else least_sums)(left.grain, right.grain)
        own = carried = np.zeros_like(products)
        if not (left.is_data and np.isfinite(right.reach).all()):
            own, carried = product(left.r, right.size), product(left.e, right.reach)
        if not (right.is_data and np.isfinite(left.size).all()):
            own = own + product(left.size, right.r)
            carried = carried + product(left.size, right.e)
        return OpenSum(
            left.model,
            c,
            own=own,
            carried=carried,
            total=(total := product(left.reach, right.reach)),
            rounded=total if rounds else np.zeros_like(total),
            products=products,
            addends=np.zeros_like(inexact),
            flushed=flushed,
            all_exact=exact,
            least_grain=grain,
            depth=depth,
            rounds=rounds,
        )

    def sum(self, axis: int | tuple[int, ...]) -> OpenSum:
        """Any-order sum over one axis or several."""
        axes = axis if isinstance(axis, tuple) else (axis,)
        depth = int(np.prod([self.shape[one] for one in axes]))
        own = self.r.sum(axis)
        nothing = np.zeros_like(own)
        addends, exact = ((self.reach > 0) * 1.0).sum(axis), self.exact.all(axis)
        is_needed = (exact & (addends > 0)).any()
        return OpenSum(
            self.model,
            self.c.sum(axis),
            own=own,
            carried=self.e.sum(axis),
            total=self.reach.sum(axis),
            rounded=nothing,
            products=nothing,
            addends=addends,
            flushed=self.lost_by_reading.sum(axis) if self.model.flush else nothing,
            all_exact=exact,
            least_grain=self.grain.min(axis) if is_needed else np.full(own.shape, NO_GRAIN),
            depth=depth,
        )

    def __add__(self, other: Enclosure) -> OpenSum:
        """A sum of two addends, open for more."""
        return self._as_addend() + other

    def _as_addend(self) -> OpenSum:
        return self[..., None].sum(-1)

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
        r = np.where(exact, 0.0, up(r, 6) + 2 * _TINY)
        e = np.where(exact, 0.0, up(e, 8) + 2 * _TINY)
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
        unit, lost = (UNIT, PRODUCT_UNDERFLOW) if model.wide else (2.0**-53, _TINY)
        # u |f| would underflow for a tiny f, and |q| may be huge: so f comes last.
        r = up(size * self.r + size * (unit * self.size), 6) + lost + 2 * _TINY
        e = size * self.e + size * (model.roundoff * self.reach) + self.lost_by_reading
        e = up(e, 8) + (up(model.lost(1), 8) + 2 * _TINY)
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


class OpenSum(Enclosure):
    """A sum that takes more addends with ``+`` and is bounded, as one sum, when first used.

    Attributes:
        own: Σ of what the operands' r contribute.
        carried: Σ of what the operands' e contribute.
        total: M, the sum of the magnitudes of all terms.
        rounded: The part of M that is products, which are rounded before they are added.
        products: n, how many products can differ from zero.
        addends: m, how many further addends can differ from zero.
        flushed: Σ of what reading operands as zero can lose.
        all_exact: Where every operand that counts is exact.
        least_grain: Smallest exponent of a lowest set bit over all terms, where it matters.
        depth: Length of the longest sum formed in computing these numbers.
        rounds: Whether products are rounded before they are added.
    """

    def __init__(
        self,
        model: Model,
        c: Center,
        *,
        own: Array,
        carried: Array,
        total: Array,
        rounded: Array,
        products: Array,
        addends: Array,
        flushed: Array,
        all_exact: Any,
        least_grain: Any,
        depth: int,
        rounds: bool = True,
    ) -> None:
        self.model = model
        self.c = c
        self.own = own
        self.carried = carried
        self.total = total
        self.rounded = rounded
        self.products = products
        self.addends = addends
        self.flushed = flushed
        self.all_exact = all_exact
        self.least_grain = least_grain
        self.depth = depth
        self.rounds = rounds

    def map(self, reshape: Any) -> OpenSum:
        """The same sums in another arrangement."""
        return OpenSum(
            self.model,
            reshape(self.c),
            own=reshape(self.own),
            carried=reshape(self.carried),
            total=reshape(self.total),
            rounded=reshape(self.rounded),
            products=reshape(self.products),
            addends=reshape(self.addends),
            flushed=reshape(self.flushed),
            all_exact=reshape(self.all_exact),
            least_grain=reshape(self.least_grain),
            depth=self.depth,
            rounds=self.rounds,
        )

    def _as_addend(self) -> OpenSum:
        return self

    def __add__(self, other: Enclosure) -> OpenSum:
        """One more addend in the same sum; ``other`` is broadcast."""
        exact = self.all_exact & (other.exact | (other.reach == 0))
        grain = self.least_grain
        return OpenSum(
            self.model,
            self.c + other.c,  # type: ignore[operator]
            own=self.own + other.r,
            carried=self.carried + other.e,
            total=self.total + other.reach,
            rounded=self.rounded,
            products=self.products,
            addends=self.addends + (other.reach > 0),
            flushed=self.flushed + other.lost_by_reading if self.model.flush else self.flushed,
            all_exact=exact,
            least_grain=np.minimum(grain, other.grain) if exact.any() else grain,
            depth=self.depth + 1,
            rounds=self.rounds,
        )

    def joined(self, other: OpenSum) -> OpenSum:
        """The terms of two sums as one, of which nobody knows the order.

        That the terms of either are added by themselves first is one of the orders.
        """
        exact = self.all_exact & other.all_exact
        return OpenSum(
            self.model,
            self.c + other.c,  # type: ignore[operator]
            own=self.own + other.own,
            carried=self.carried + other.carried,
            total=self.total + other.total,
            rounded=self.rounded + other.rounded,
            products=self.products + other.products,
            addends=self.addends + other.addends,
            flushed=self.flushed + other.flushed,
            all_exact=exact,
            least_grain=np.minimum(self.least_grain, other.least_grain),
            depth=self.depth + other.depth,
            rounds=self.rounds or other.rounds,
        )

    @cached_property
    def _additions(self) -> Array:
        """N - 1, how many additions make the sum."""
        return np.maximum(self.products + self.addends - 1, 0)

    @cached_property
    def factors(self) -> Array:
        """K, the most roundings that any term can pass."""
        return self._additions + (self.products > 0) if self.rounds else self._additions

    @cached_property
    def _certain(self) -> Any:
        """The exactness certificate."""
        nothing = (self.products + self.addends) == 0
        exact = self.all_exact & (self.flushed == 0) if self.model.flush else self.all_exact
        if not (exact & ~nothing).any():
            return nothing
        # Exponents beyond float64's are clipped towards the side that certifies less.
        grain = np.clip(self.least_grain, -1100, 900)
        precision = self.model.precision
        with np.errstate(under="ignore"):
            # M itself is a rounded sum: 4 + 2^-51 must not pass for 4.
            magnitude = up(self.total, self.depth + 2)
            fits = magnitude <= np.ldexp(1.0, np.minimum(grain + precision, 1023))
            fine = np.ldexp(1.0, grain) >= self.model.least
        return (exact & fits & fine) | nothing

    @cached_property
    def r(self) -> Array:  # type: ignore[override]
        """Bound on the reference's own error, of this sum as a whole."""
        wide = isinstance(self.c, DoubleDouble)
        unit, lost = (UNIT, PRODUCT_UNDERFLOW) if wide else (2.0**-53, _TINY)
        theta = growth(unit, self.factors + 2)
        r = self.own + theta * self.total + tiny((2.0 * (lost / _TINY + 2.0)) * self.products)
        some = (self.factors > 0) | (self.products > 0)
        r = np.where(some, up(r, self.depth + 8) + 2 * _TINY, self.own)
        return np.where(self._certain, 0.0, or_infinity(r))

    @cached_property
    def e(self) -> Array:  # type: ignore[override]
        """Bound on any framework's error, of this sum as a whole.

        In float64 a product's ½η rounds to 0 here (`Model.underflow`). n products need n ½η (1 + θ)
        for it, and lose n η in ``carried`` and 1½η in what is multiplied below: less than the
        2 (n + 1) η that are added, as θ < ½.
        """
        model = self.model
        theta = growth(model.roundoff, self.factors)
        if model.flush:
            absolute = (self.products + self._additions) * model.least + self.flushed
        else:
            absolute = self.products * model.underflow
        in_any_order = theta * self.total + (1.0 + theta) * absolute
        node_by_node = leaves = model.roundoff * self.rounded + absolute
        if self._additions.any() or not self.total.max() < _WITHOUT_OVERFLOW:
            exact_sum = np.abs(high(self.c)) + self.r + self.carried
            partial = 0.5 * (self.total + exact_sum) + leaves
            with np.errstate(invalid="ignore"):  # no addition of what may overflow: 0 · ∞
                added = model.roundoff * self._additions * (partial + in_any_order)
            node_by_node = leaves + added
        rounding = np.fmin(in_any_order, node_by_node)
        e = up(self.carried + rounding, self.depth + 12) + tiny(2 * (self.products + 1))
        some = (self.factors > 0) | (self.products > 0)
        e = np.where(some | (self.flushed > 0) if model.flush else some, e, self.carried)
        fits = up(self.total + in_any_order, self.depth + 8) < model.format.largest
        return np.where(fits, np.where(self._certain, 0.0, or_infinity(e)), np.inf)
