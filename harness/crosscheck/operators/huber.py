"""The Huber loss: c Σ h(a - y), h(d) = ½ d² for |d| <= δ and δ (|d| - ½ δ) beyond.

∂J/∂a = c clip(d, -δ, δ): continuous, so that there is no choice to be made at |d| = δ. The value is
formed as q (d - ½ q) with q = clip(d, -δ, δ), as ½ q² + δ (|d| - q) with q = min(|d|, δ), or piece
by piece: at most six roundings of a term of ½ d², or of δ |d| and ½ δ².

A derivative is one of clip(d, -δ, δ), of d chosen by |d| <= δ, or of the first form. That of the
second form by reverse mode adds c δ and takes it away again for |d| < δ, u c δ off however small d
is: it is none of the ways that the bounds allow.

Source: Huber, *Robust estimation of a location parameter*, 1964.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from crosscheck.formulas.tree import (
    Absolute,
    Cases,
    Comparison,
    Difference,
    Expression,
    Number,
    Product,
    Scaled,
    Square,
)
from crosscheck.numbers.piecewise import Piecewise
from crosscheck.operators.formulas import number
from crosscheck.operators.operator import Attribute, Operator, exact
from crosscheck.operators.reductions import check_reduction, loss_lines, reduced, reduced_formula
from crosscheck.program.graph import Var
from crosscheck.tools.errors import UsageError

__all__ = ["OPERATOR"]

_LARGEST = 1e154
"""The largest δ: ½ δ², which the value has a place for, is within float64."""


def _function(delta: Attribute) -> Piecewise:
    d, half, zero = exact(delta), Fraction(1, 2), Fraction(0)
    outside = -half * d * d
    pieces = ((outside, -d), (zero, zero, half), (outside, d))
    return Piecewise("huber", "½ d² or δ (|d| - ½ δ)", (-d, d), pieces, roundings=6)


def _expand(a: Var, y: Var, delta: Attribute, factor: Attribute, reduction: Attribute) -> Var:
    return reduced((a - y).piecewise(_function(delta)), factor, reduction)


def _terms(a: Expression, y: Expression, delta: Attribute) -> Expression:
    half, size = Fraction(1, 2), Absolute(Difference(a, y))
    inner = Scaled(half, Square(Difference(a, y)))
    outer = Product((number(delta), Difference(size, Number(half * exact(delta)))))
    return Cases(((inner, Comparison(size, "≤", number(delta))),), outer)


def _check(attributes: Mapping[str, Attribute]) -> None:
    check_reduction(attributes)
    delta = exact(attributes["delta"])
    if not delta > 0:
        raise UsageError(f"huber: delta={attributes['delta']}, wanted a positive number")
    if delta > _LARGEST:
        raise UsageError(f"huber: delta={attributes['delta']}, wanted at most {_LARGEST:g}")


OPERATOR = Operator(
    name="huber",
    role="loss",
    formula=reduced_formula(_terms),
    operands=("a", "y"),
    targets=frozenset({"y"}),
    attributes={"delta": 1.0, "factor": 1.0, "reduction": "sum"},
    check=_check,
    variants=({"delta": 0.5, "reduction": "mean"}, {"delta": 2.0, "factor": 3.0}),
    expand=_expand,
    lines=loss_lines(
        {
            "torch": {"huber_loss": "F.huber_loss(a, y, reduction='none', delta=delta)"},
            "tensorflow": {
                "where": "tf.where(tf.abs(a - y) <= delta, 0.5 * tf.square(a - y), "
                "delta * (tf.abs(a - y) - 0.5 * delta))"
            },
            "jax": {
                "where": "jnp.where(jnp.abs(a - y) <= delta, 0.5 * jnp.square(a - y), "
                "delta * (jnp.abs(a - y) - 0.5 * delta))"
            },
        }
    ),
    words="Small residuals are squared, large ones are not; what goes down is cut off at delta.",
)
