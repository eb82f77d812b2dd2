"""The ways in which compounds are computed and differentiated, by whoever writes them out.

Each function here is one number with all the ways that an implementation may take to it: the
library's compound (`crosscheck.program.compounds`), what people write out, step by step, and
backward passes written by hand, in the result y that was kept. With g what comes down:

    softmax        y ∘ (g - Σ g y),  y g - y Σ g y,  (diag(y) - y yᵀ) g,  by the steps of e / Σ e
    log_softmax    g - e^y Σ g,  g - softmax(z) Σ g,  and by the steps of z - m - log Σ e^(z - m)
    log_sum_exp    g softmax(z),  g e^(z - y),  and by the steps of m + log Σ e^(z - m)
    sigmoid        g y (1 - y),  g (y - y²),  and g e⁻ˣ / (1 + e⁻ˣ)² of one that is written out
    tanh           g (1 - y²),  g (1 - y) (1 + y)
    softplus       g σ(z)
    silu           g (σ + z σ (1 - σ)),  g (y + σ (1 - y)),  g σ (1 + z (1 - σ))
    rsqrt          -½ g y³,  -½ g y / x
    x̂ = c r        r (g - x̂ s Σ g x̂)   for r = 1 / √(s Σ c² + ε)

**What is proved.** That each way is the same function, by algebra, and so that its bound holds for
whoever computes it so, in any order of sums: `crosscheck.program.alternatives.ways` holds them all.
What is not proved is that there is no other way to write them: that is measured, by the ways that
frameworks and textbooks have, in the tests.

Ways that overflow where the function does not, as eᶻ / Σ eᶻ without a shift, come in only where the
formula itself is written so; their bound is infinite where they overflow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from crosscheck.program.alternatives import differentiated, ways
from crosscheck.program.graph import Node, Var
from crosscheck.program.places import Places

__all__ = [
    "BY_RESULT",
    "Rows",
    "cross_entropy",
    "log_softmax",
    "log_sum_exp",
    "normalized",
    "of_one_number",
    "softmax",
    "standardized",
    "steps_between",
]

_HALF = Fraction(1, 2)
_MOST_OF_A_JACOBIAN = 4096
"""Numbers of the Jacobians of all rows, up to which somebody may write diag(y) - y yᵀ. That loses
what a large g makes of a y_i y_j that has underflowed."""


def _quotient(a: Var, b: Var) -> Var:
    return a * b.elementary("reciprocal", row="quotient")


def _ones(like: Var) -> Var:
    return like.graph.ones(like.shape)


def _through_shares(y: Var, _: Sequence[Var], g: Var) -> Sequence[Sequence[Var]]:
    total = (g * y).sum(-1, keep=True)
    found = [y * (g - total), y * g - y * total]
    size, n = math.prod(y.shape), y.shape[-1]
    if size * n <= _MOST_OF_A_JACOBIAN:
        own = np.where(np.eye(n, dtype=bool), np.arange(size).reshape(*y.shape, 1), -1)
        diagonal = y.take(own.ravel().tolist(), (*y.shape, n))
        jacobian = diagonal - y.expand(-1) * y.expand(-2)
        found.append((jacobian @ g.expand(-1)).squeeze(-1))
    return [found]


@dataclass(frozen=True)
class Rows:
    """Rows of which powers are taken.

    Attributes:
        z: Shape (rows, n), or with more axes in front.
        source: The same but for the last axis: what people take the largest of, and away.
        is_shifted: Whether the formula takes it away.
        kept: For each entry its place, or -1 where it is left out: there z is another entry of the
            row. ``None`` if none is.
    """

    z: Var
    source: Var
    is_shifted: bool
    kept: Places | None = None

    @property
    def operands(self) -> tuple[Var, Var]:
        """What the compounds are functions of."""
        return self.z, self.source

    def powers(self, exponent: Var) -> Var:
        """e^exponent, 0 where it is left out."""
        found = exponent.elementary("exp")
        return found if self.kept is None else found.take(self.kept, found.shape)

    def total(self, shifted: Var) -> Var:
        """Σ e^shifted, for a shift that leaves the largest near 0, or anything not above it."""
        powers = self.powers(shifted)
        return powers.graph.apply("total", (powers, shifted), (*powers.shape[:-1], 1))


def softmax(rows: Rows) -> Var:
    """eᶻ / Σ eᶻ along the last axis."""
    z, shifted = rows.z, rows.z - rows.source.shift()
    total = rows.total(shifted)
    of_logarithm = rows.powers(shifted - total.elementary("log"))
    written = [_quotient(rows.powers(shifted), total), of_logarithm]
    if not rows.is_shifted:
        powers = rows.powers(z)
        written.append(_quotient(powers, powers.sum(-1, keep=True)))
    known = z.softmax(rows.kept)
    y = known
    for each in written:
        y = y.either(each)
    return ways(rows.operands, known, *written, differentiated(y, (z,), _through_shares))


def log_softmax(rows: Rows, is_of_shares: bool) -> Var:
    """z - log Σ eᶻ along the last axis, of rows of which nothing is left out.

    Args:
        rows: The rows.
        is_of_shares: Whether the formula takes the logarithm of shares, -∞ where they vanish.
    """
    z, m = rows.z, rows.source.shift()
    shifted = z - m
    log = rows.total(shifted).elementary("log")
    written = [shifted - log, z - (m + log)]
    if not rows.is_shifted:
        written.append(z - rows.powers(z).sum(-1, keep=True).elementary("log"))
    if is_of_shares:
        written.append(z.softmax().elementary("log"))
    y = z.log_softmax()
    for each in written:
        y = y.either(each)

    def formulas(y: Var, x: Sequence[Var], g: Var) -> Sequence[Sequence[Var]]:
        return [[g - y.elementary("exp") * g.sum(-1, keep=True)]]

    return ways(rows.operands, z.log_softmax(), *written, differentiated(y, (z,), formulas))


def log_sum_exp(rows: Rows) -> Var:
    """log Σ eᶻ along the last axis, which stays with length 1."""
    z, m = rows.z, rows.source.shift()
    written = [m + rows.total(z - m).elementary("log")]
    if not rows.is_shifted:
        written.append(rows.powers(z).sum(-1, keep=True).elementary("log"))
    known = z.log_sum_exp(rows.kept)
    y = known
    for each in written:
        y = y.either(each)

    def formulas(y: Var, x: Sequence[Var], g: Var) -> Sequence[Sequence[Var]]:
        return [[g * rows.powers(x[0] - y)]]

    return ways(rows.operands, known, *written, differentiated(y, (z,), formulas))


def cross_entropy(z: Var, y: Var, own: Var, groups: Sequence[int], count: int) -> Var:
    """-Σ y log softmax(z) over rows, and over groups of rows.

    Args:
        z: Shape (rows, n).
        y: Likewise.
        own: `log_softmax` of z.
        groups: Numbers of rows, as many for each group one after the other.
        count: How many groups there are.
    """
    shape = (count, len(groups) // count)
    terms = (own * y).sum(-1).take(groups, shape).sum(-1)
    rows = z.cross_entropy(y).take(groups, shape).sum(-1).times(-1)
    return ways((z, y), terms, rows).times(-1)


# -- functions of one number -------------------------------------------------------------------


BY_RESULT = frozenset({"sigmoid", "tanh", "softplus", "silu", "rsqrt", "sqrt", "expm1"})
"""Functions whose derivative people write in the result."""


def of_one_number(
    name: str, x: Var, times: Fraction, border: Var | None, written: Var | None
) -> Var:
    """times · f(x), of a function of `crosscheck.numbers.elementary`, in all ways that are known.

    Args:
        name: Of f.
        x: Of any shape.
        times: A constant.
        border: What x and ``written`` are made of.
        written: What the formula has for it; ``None`` if it calls the function. What has kinks that
            cancel is a way to compute the value, and none to differentiate it.
    """
    known = x.elementary(name)
    found = [known.times(times)]
    y = found[0] if written is None else found[0].either(written)
    if written is not None:
        steps = steps_between(written, (x if border is None else border,))
        has_kinks = any(each.op in ("piecewise", "max", "smaller") for each in steps)
        found.append(y if has_kinks else written)
    if name in BY_RESULT:
        own = y.times(1 / times)
        is_written = written is not None

        def formulas(y: Var, operands: Sequence[Var], g: Var) -> Sequence[Sequence[Var]]:
            return [_in_y(name, y, operands[0], g, is_written)]

        found.append(differentiated(own, (x,), formulas).times(times))
    if name == "sigmoid":
        half = x.times(_HALF).elementary("tanh")
        found.append((half + _ones(x)).times(_HALF, times))
    if name == "silu":
        found.append((x * x.elementary("sigmoid")).times(times))
    return ways((x if border is None else border,), *found)


def steps_between(result: Var, operands: Sequence[Var]) -> list[Node]:
    """What a result is made of that its operands are not; arrays that are given among it."""
    border = {each.number for each in operands}
    seen: set[int] = set()
    waiting = [result.number]
    while waiting:
        number = waiting.pop()
        if number not in seen and number not in border:
            seen.add(number)
            waiting += result.graph.nodes[number].inputs
    return [result.graph.nodes[number] for number in sorted(seen)]


def _in_y(name: str, y: Var, x: Var, g: Var, is_written: bool) -> list[Var]:
    """g f'(x) as it is written in the result."""
    one = _ones(x)
    match name:
        case "sigmoid":
            found = [g * (y * (one - y)), g * (y - y * y)]
            if is_written:
                power = x.times(-1).elementary("exp")
                found.append(g * _quotient(power, (one + power) * (one + power)))
            return found
        case "tanh":
            return [g * (one - y * y), g * ((one - y) * (one + y))]
        case "softplus":
            return [g * x.elementary("sigmoid")]
        case "silu":
            sigmoid = x.elementary("sigmoid")
            rest = one - sigmoid
            each = sigmoid + x * (sigmoid * rest), y + sigmoid * (one - y)
            return [g * each[0], g * each[1], g * (sigmoid * (one + x * rest))]
        case "rsqrt":
            inverse = x.elementary("reciprocal", row="quotient")
            return [(g * (y * y * y)).times(-_HALF), (g * (y * inverse)).times(-_HALF)]
        case "sqrt":
            return [(g * y.elementary("reciprocal", row="quotient")).times(_HALF)]
    return [g * (y + one)]


# -- norms -------------------------------------------------------------------------------------


def _root(c: Var, share: Fraction, eps: Fraction) -> Var:
    """1 / √(share Σ c² + ε), as one function or as two."""
    total = (c * c).sum(-1, keep=True).times(share)
    if eps:
        total = total + _ones(total).times(eps)
    inverse = _quotient(_ones(total), total.elementary("sqrt"))
    return total.elementary("rsqrt").either(inverse)


def normalized(c: Var, share: Fraction, eps: Fraction) -> Var:
    """c / √(share Σ c² + ε) along the last axis.

    Args:
        c: Shape (rows, n).
        share: What the sum is multiplied by.
        eps: ε.
    """

    def formulas(y: Var, x: Sequence[Var], g: Var) -> Sequence[Sequence[Var]]:
        (c,) = x
        r = _root(c, share, eps)
        dot = (g * y).sum(-1, keep=True).times(share)
        far = (g * c).sum(-1, keep=True).times(share)
        return [[r * (g - y * dot), r * g - c * (r * r * r * far)]]

    y = c * _root(c, share, eps)
    total = (c * c).sum(-1, keep=True).times(share)
    total = total + _ones(total).times(eps) if eps else total
    by_square_root = _quotient(c, total.elementary("sqrt"))
    return ways(
        (c,),
        c * total.elementary("rsqrt"),
        by_square_root,
        differentiated(y.either(by_square_root), (c,), formulas),
    )


def standardized(z: Var, share: Fraction, eps: Fraction) -> Var:
    """(z - m) / √(share Σ (z - m)² + ε) along the last axis, m the mean there.

    Its backward pass is written with the mean of what goes down taken away, as

        r (g - Σ g / n - y s Σ g y),    or (r / n) (n g - Σ g - n y s Σ g y).

    Args:
        z: Shape (rows, n).
        share: s, that of the squares' sum.
        eps: ε.
    """
    n = z.shape[-1]

    def formulas(y: Var, x: Sequence[Var], g: Var) -> Sequence[Sequence[Var]]:
        (z,) = x
        r = _root(z - _mean(z), share, eps)
        dot = (g * y).sum(-1, keep=True)
        at_once = r * (g - _mean(g) - y * dot.times(share))
        of_n = g.times(n) - g.sum(-1, keep=True) - y * dot.times(n, share)
        return [[at_once, (r * of_n).times(Fraction(1, n))]]

    y = normalized(z - _mean(z), share, eps)
    return ways((z,), y, differentiated(y, (z,), formulas))


def _mean(z: Var) -> Var:
    return z.sum(-1, keep=True).times(Fraction(1, z.shape[-1]))
