"""The ways in which compounds are computed and differentiated, by whoever writes them out.

Each function here is one number with all the ways that an implementation may take to it: the
library's compound (`crosscheck.program.compounds`), what people write out, step by step, and
backward passes written by hand, in the result y that was kept. With g what comes down:

    softmax        y ∘ (g - Σ g y),  y g - y Σ g y,  and by the steps of e / Σ e
    log_softmax    g - e^y Σ g,  g - softmax(z) Σ g,  and by the steps of z - m - log Σ e^(z - m)
    log_sum_exp    g softmax(z),  g e^(z - y),  and by the steps of m + log Σ e^(z - m)
    sigmoid        g y (1 - y),  g (y - y²)
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

from collections.abc import Sequence
from fractions import Fraction

from crosscheck.program.alternatives import differentiated, ways
from crosscheck.program.graph import Var

__all__ = ["cross_entropy", "log_softmax", "log_sum_exp", "normalized", "of_one_number", "softmax", "standardized"]

_HALF = Fraction(1, 2)


def _quotient(a: Var, b: Var) -> Var:
    return a * b.elementary("reciprocal", row="quotient")


def _ones(like: Var) -> Var:
    return like.graph.ones(like.shape)


def _through_shares(y: Var, _: Sequence[Var], g: Var) -> Sequence[Sequence[Var]]:
    total = (g * y).sum(-1, keep=True)
    return [[y * (g - total), y * g - y * total]]


def softmax(z: Var, source: Var, is_shifted: bool) -> Var:
    """eᶻ / Σ eᶻ along the last axis.

    Args:
        z: Shape (rows, n).
        source: Shape (rows, k), the largest of which is what people take away.
        is_shifted: Whether the formula takes it away.
    """
    shifted = z - source.shift()
    written = [_quotient(shifted.elementary("exp"), shifted.total())]
    if not is_shifted:
        powers = z.elementary("exp")
        written.append(_quotient(powers, powers.sum(-1, keep=True)))
    y = z.softmax()
    for each in written:
        y = y.either(each)
    by_result = _among((z, source), y, _through_shares)
    return ways((z, source), z.softmax(), *written, by_result)


def _among(operands: Sequence[Var], y: Var, formulas: object) -> Var:
    """y, with a derivative by the first operand alone."""
    return differentiated(y, operands[:1], formulas)  # type: ignore[arg-type]


def log_softmax(z: Var, source: Var, is_shifted: bool, is_of_shares: bool) -> Var:
    """z - log Σ eᶻ along the last axis.

    Args:
        z: As of `softmax`, as the next two.
        source: Likewise.
        is_shifted: Likewise.
        is_of_shares: Whether the formula takes the logarithm of shares, -∞ where they vanish.
    """
    m = source.shift()
    shifted = z - m
    log = shifted.total().elementary("log")
    written = [shifted - log, z - (m + log)]
    if not is_shifted:
        written.append(z - z.elementary("exp").sum(-1, keep=True).elementary("log"))
    if is_of_shares:
        written.append(z.softmax().elementary("log"))
    y = z.log_softmax()
    for each in written:
        y = y.either(each)

    def formulas(y: Var, x: Sequence[Var], g: Var) -> Sequence[Sequence[Var]]:
        total = g.sum(-1, keep=True)
        return [[g - y.elementary("exp") * total]]

    return ways((z, source), z.log_softmax(), *written, _among((z, source), y, formulas))


def log_sum_exp(z: Var, source: Var, is_shifted: bool) -> Var:
    """log Σ eᶻ along the last axis, which stays with length 1; arguments as of `softmax`."""
    m = source.shift()
    shifted = z - m
    written = [m + shifted.total().elementary("log")]
    if not is_shifted:
        written.append(z.elementary("exp").sum(-1, keep=True).elementary("log"))
    y = z.log_sum_exp()
    for each in written:
        y = y.either(each)

    def formulas(y: Var, x: Sequence[Var], g: Var) -> Sequence[Sequence[Var]]:
        return [[g * (x[0] - y).elementary("exp")]]

    return ways((z, source), z.log_sum_exp(), *written, _among((z, source), y, formulas))


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


def of_one_number(name: str, x: Var, written: Var | None) -> Var:
    """A function of `crosscheck.numbers.elementary` in all ways that are known of it.

    Args:
        name: Its name.
        x: Of any shape.
        written: What the formula has for it, made of ``x``; ``None`` if it calls the function.
    """
    known = x.elementary(name)
    found = [known, *([] if written is None else [written])]
    y = known if written is None else known.either(written)
    sigmoid = x.elementary("sigmoid")
    one = _ones(x)

    def formulas(y: Var, operands: Sequence[Var], g: Var) -> Sequence[Sequence[Var]]:
        (x,) = operands
        one, sigmoid = _ones(x), x.elementary("sigmoid")
        match name:
            case "sigmoid":
                return [[g * (y * (one - y)), g * (y - y * y)]]
            case "tanh":
                return [[g * (one - y * y), g * ((one - y) * (one + y))]]
            case "softplus":
                return [[g * sigmoid]]
            case "silu":
                rest = one - sigmoid
                by_parts = sigmoid + x * (sigmoid * rest)
                return [
                    [g * by_parts, g * (y + sigmoid * (one - y)), g * (sigmoid * (one + x * rest))]
                ]
            case "rsqrt":
                cube = (y * y * y).times(-_HALF)
                inverse = x.elementary("reciprocal", row="quotient")
                return [[g * cube, g * (y * inverse).times(-_HALF)]]
            case "sqrt":
                return [[g * y.elementary("reciprocal", row="quotient").times(_HALF)]]
            case "exp" | "expm1":
                return [[g * (y if name == "exp" else y + one)]]
        return [[]]

    if name in _BY_RESULT:
        found.append(differentiated(y, (x,), formulas))
    if name == "sigmoid":
        half = x.times(_HALF).elementary("tanh")
        found.append((half + one).times(_HALF))
    if name == "silu":
        found.append(x * sigmoid)
    return ways((x,), *found)


_BY_RESULT = frozenset({"sigmoid", "tanh", "softplus", "silu", "rsqrt", "sqrt", "expm1"})


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
