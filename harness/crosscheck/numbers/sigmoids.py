"""Sigmoids and what is made of them: the smooth activations of networks, and their derivatives."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from crosscheck.numbers.analysis import Analysis
from crosscheck.numbers.differentiable import ORDERS, Elementary, Form, one, sizes, times, zero

__all__ = ["elu", "erf", "gelu", "gelu_tanh", "sigmoid", "silu", "softplus", "tanh"]


def tanh() -> Elementary:
    """1 - tanh² is computed of a rounded tanh: it errs by u, however small it is.

    So does tanh'' where tanh' is computed as (1 - t) (1 + t), whose derivative is t' - t' - 2 t t'.
    """

    def second(m: Analysis, x: Any) -> Any:
        return -2 * m.tanh(x) * m.sech2(x)

    def third(m: Analysis, x: Any) -> Any:
        t, s = m.tanh(x), m.sech2(x)
        return 2 * s * (2 * t * t - s)

    def size(m: Analysis, x: Any) -> Any:
        return m.absolute(m.tanh(x))

    forms = (lambda m, x: m.tanh(x), lambda m, x: m.sech2(x), second, third)
    scales = (size, one, times(2, one), times(2, one))
    return Elementary("tanh", "tanh x", forms, scales, products=2)


def _sigmoids(m: Analysis, x: Any) -> tuple[Any, Any, Any, Any]:
    """σ and its three derivatives: p = σ σ̄ with σ̄ = 1 - σ = σ(-x), p (σ̄ - σ), p (1 - 6 p)."""
    s, other = m.sigmoid(x), m.sigmoid(-x)
    p = s * other
    return s, p, p * (other - s), p * (1 - 6 * p)


def _sigmoid(k: int) -> Form:
    return lambda m, x: _sigmoids(m, x)[k]


def _softplus(m: Analysis, x: Any) -> Any:
    return m.softplus(x)


def _silu(k: int) -> Form:
    def form(m: Analysis, x: Any) -> Any:
        of = _sigmoids(m, x)
        return x * of[k] + k * of[k - 1] if k else x * of[0]

    return form


def sigmoid() -> Elementary:
    """1 - σ is computed of a rounded σ: its scale is 1, that of derivatives σ."""
    forms = tuple(_sigmoid(k) for k in range(ORDERS))
    return Elementary("sigmoid", "σ(x) = 1 / (1 + e⁻ˣ)", forms, (_sigmoid(0),) * ORDERS)


def softplus() -> Elementary:
    """Its derivatives are those of σ, of one order less."""
    value = _softplus
    forms = (value, *(_sigmoid(k) for k in range(ORDERS - 1)))
    scales = (value, *(_sigmoid(0),) * (ORDERS - 1))
    return Elementary("softplus", "log(1 + eˣ)", forms, scales)


def silu() -> Elementary:
    """(x σ)^(k) = x σ^(k) + k σ^(k-1), with scales σ of both."""

    def scale(k: int) -> Form:
        return lambda m, x: m.sigmoid(x) * (k + m.absolute(x))

    orders = range(ORDERS)
    return Elementary("silu", "x σ(x)", tuple(map(_silu, orders)), tuple(map(scale, orders)))


def erf() -> Elementary:
    """e^(-x²) has the error of x²: a factor of 1 + x²."""

    def bell(m: Analysis, x: Any) -> Any:
        return m.exp(-x * x) * 2 / m.sqrt(m.pi())

    def rounded(growing: Form) -> Form:
        return lambda m, x: m.damped(bell(m, x), growing(m, x) * (1 + x * x))

    forms = (
        lambda m, x: m.erf(x),
        bell,
        lambda m, x: m.damped(bell(m, x), -2 * x),
        lambda m, x: m.damped(bell(m, x), 4 * x * x - 2),
    )
    scales = (
        *sizes(forms[0]),
        rounded(one),
        rounded(lambda m, x: 2 * m.absolute(x)),
        rounded(lambda m, x: 4 * x * x + 2),
    )
    return Elementary("erf", "erf x", forms, scales)


def gelu() -> Elementary:
    """Φ is ½ (1 + erf), good to u; φ has the error of x²."""

    def bell(m: Analysis, x: Any) -> Any:
        return m.exp(-x * x / 2) / m.sqrt(2 * m.pi())

    def decaying(growing: Form) -> Form:
        return lambda m, x: m.damped(bell(m, x), growing(m, x))

    def rounded(growing: Form) -> Form:
        return decaying(lambda m, x: growing(m, x) * (1 + x * x / 2))

    edge = decaying(lambda m, x: x)
    forms = (
        lambda m, x: x * m.normal(x),
        lambda m, x: m.normal(x) + edge(m, x),
        decaying(lambda m, x: 2 - x * x),
        decaying(lambda m, x: x * (x * x - 4)),
    )
    scales = (
        lambda m, x: m.absolute(x),
        lambda m, x: 1 + m.absolute(edge(m, x)),
        rounded(lambda m, x: 2 + x * x),
        rounded(lambda m, x: m.absolute(x) * (x * x + 4)),
    )
    return Elementary("gelu", "x Φ(x)", forms, scales)


def gelu_tanh() -> Elementary:
    """½ x (1 + tanh g) = x σ(h) with h = 2 g = c (x + a x³).

    A product with t = tanh g is doubled near t = -1, as in tanh', and costs |x| h' / 2: of the
    scale 5.4 at the last x where t is not -1 in float64, which is -7.1.
    """

    def inner(m: Analysis, x: Any) -> tuple[Any, Any, Any, Any]:
        c, a = m.sqrt(8 / m.pi()), m.number(Fraction(44715, 1000000))
        square = x * x
        return c * x * (1 + a * square), c * (1 + 3 * a * square), 6 * c * a * x, 6 * c * a

    def second(m: Analysis, x: Any) -> Any:
        h, h1, h2, _ = inner(m, x)
        _, p, q, _ = _sigmoids(m, h)
        return m.damped(p, 2 * h1 + x * h2) + m.damped(q, x * h1 * h1)

    def third(m: Analysis, x: Any) -> Any:
        h, h1, h2, h3 = inner(m, x)
        _, p, q, r = _sigmoids(m, h)
        return (
            m.damped(p, 3 * h2 + x * h3)
            + m.damped(q, 3 * h1 * h1 + 3 * x * h1 * h2)
            + m.damped(r, x * h1 * h1 * h1)
        )

    def first(m: Analysis, x: Any) -> Any:
        h, h1, *_ = inner(m, x)
        s, p, *_ = _sigmoids(m, h)
        return s + m.damped(p, x * h1)

    def second_scale(m: Analysis, x: Any) -> Any:
        _, h1, h2, _ = inner(m, x)
        size = m.absolute(x)
        return 2 * h1 + size * (m.absolute(h2) + h1 * h1)

    def third_scale(m: Analysis, x: Any) -> Any:
        _, h1, h2, h3 = inner(m, x)
        size, bend = m.absolute(x), m.absolute(h2)
        return 3 * (bend + h1 * h1) + size * (h3 + 3 * h1 * bend + h1 * h1 * h1)

    def value(m: Analysis, x: Any) -> Any:
        return x * m.sigmoid(inner(m, x)[0])

    def size(m: Analysis, x: Any) -> Any:
        return m.absolute(x)

    return Elementary(
        "gelu_tanh",
        "½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))",
        (value, first, second, third),
        (size, lambda m, x: 1 + m.absolute(x), second_scale, third_scale),
        products=6,
    )


def elu() -> Elementary:
    """Its second derivative jumps at 0, where it is here the one from the left."""

    def left(form: Form, right: Form) -> Form:
        return lambda m, x: m.choose(x, lambda x: form(m, x), lambda x: right(m, x))

    def exp(m: Analysis, x: Any) -> Any:
        return m.exp(x)

    value = left(lambda m, x: m.expm1(x), lambda m, x: x)
    bent = left(exp, zero)
    forms = (value, left(exp, one), bent, bent)
    # eˣ is computed as (eˣ - 1) + 1.
    scales = (*sizes(value), one, left(one, zero), left(one, zero))
    return Elementary("elu", "x for x > 0, else eˣ - 1", forms, scales, jumps=2)
