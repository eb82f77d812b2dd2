"""The dense network's loss on numbers that may be infinite or NaN.

See `crosscheck.numbers.extended`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from crosscheck.network.loss_bounds import divided
from crosscheck.network.loss_bounds import residual_of as residual_bound
from crosscheck.numbers.closing import closed, shrunk
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.extended import Extended, kinds_of_products, positive, products_of
from crosscheck.numbers.kinds import Kinds, Sum

__all__ = ["half_sum_of_squares", "quotient_of", "residual_of", "tangent_of_loss"]


def residual_of(output: Extended, y: Extended) -> Extended:
    """The residual d; as the derivative of ½ d² it passes through 2 d, which may overflow."""
    negative = -y
    up = positive(output.high) + positive(negative.high)
    down = positive(-output.low) + positive(-negative.low)
    pair = Kinds(*(np.stack(both, -1) for both in zip(output.may, negative.may, strict=True)))
    found = Sum.of(pair, -1, 2.0 * up, 2.0 * down, 2)
    scaled = None
    if output.model.wide:
        scaled = residual_bound(shrunk(output.finite, -8), shrunk(y.finite, -8))
    finite = residual_bound(output.finite, y.finite)
    whole = Extended(*closed(finite, scaled, -8, found, up + down))
    if not output.model.format.has_infinity:
        return whole
    # 2 d is one number: it overflows to one side, never to NaN
    nan = found.nan | (found.plus & found.minus & (found.infinite > 1))
    return Extended(whole.finite, whole.may._replace(nan=nan))


def quotient_of(residual: Extended, divisor: int) -> Extended:
    """g_L of a mean over B rows.

    Args:
        residual: d.
        divisor: B.
    """
    return _divisor_formed(Extended(divided(residual.finite, divisor), residual.may), divisor)


def _divisor_formed(quotient: Extended, divisor: int) -> Extended:
    """A quotient by B where 2 B is beyond Ω, and so B or 2 B an infinity, or NaN, in the dtype.

    What is finite is 0 then, or what it is; and a quotient of infinities is NaN.

    Args:
        quotient: With a B that is formed exactly.
        divisor: B.
    """
    if divisor == 1 or 2.0 * divisor <= quotient.end:
        return quotient
    finite, may = quotient.finite, quotient.may
    nan = may.nan | may.plus | may.minus | (not finite.model.format.has_infinity)
    e = np.maximum(finite.e, finite.size)
    return Extended(Enclosure(finite.model, finite.c, finite.r, e), may._replace(nan=nan))


def half_sum_of_squares(residual: Extended, divisor: int) -> Extended:
    """J = ½ Σ d² / B over the last two axes: Σ d² may overflow, or be halved in time.

    Args:
        residual: d.
        divisor: B.
    """
    size = np.maximum(np.abs(residual.low), np.abs(residual.high))
    may = residual.may
    squares = Kinds(may.finite, may.plus | may.minus, np.zeros_like(may.nan), may.nan)
    total = (size * size).sum(axis=(-2, -1))
    found = Sum.of(squares, (-2, -1), total, np.zeros_like(total), size.size)

    def enclosed(d: Enclosure) -> Enclosure:
        return divided(divided((d * d).sum(axis=(-2, -1)), 2), divisor)

    scaled = enclosed(shrunk(residual.finite, -540)) if residual.model.wide else None
    whole = Extended(*closed(enclosed(residual.finite), scaled, -1080, found))
    return _divisor_formed(whole, divisor)


def tangent_of_loss(
    cotangent: Extended,
    tangent: Extended,
    divisor: int,
    enclosed: Callable[[Enclosure, Enclosure], Enclosure],
) -> Extended:
    """J̇ = Σ g_L ∘ ȧ_L over the last two axes, with partial sums up to 2 B J̇.

    Args:
        cotangent: g_L.
        tangent: ȧ_L, with any axes in front.
        divisor: B.
        enclosed: J̇ from enclosures of g_L and ȧ_L, bilinear.
    """
    axes = (-2, -1)
    up, down = products_of(cotangent, tangent)
    kinds = kinds_of_products(cotangent, tangent)
    factor, terms = 2.0 * divisor, 2 * int(np.prod(cotangent.shape[-2:]))
    found = Sum.of(kinds, axes, factor * up.sum(axis=axes), factor * down.sum(axis=axes), terms)
    scaled = None
    if cotangent.model.wide:
        scaled = enclosed(shrunk(cotangent.finite, -540), shrunk(tangent.finite, -540))
    return Extended(*closed(enclosed(cotangent.finite, tangent.finite), scaled, -1080, found))
