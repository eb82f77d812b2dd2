"""What norms have in common: mean and variance along one axis, and ε under a root.

    x̂ = (z - m) / √(Σ (z - m)² / n + ε),    m = Σ z / n,

and y = w ∘ x̂ + b. In primitives, in two passes, the mean first: lines that find the variance in
another way, as E z² - m² or by updates, round in another way, and are no formulations of this.
The derivative takes its way through m too:

    ∂J/∂z = r (ĝ - Σ ĝ / n - x̂ Σ (ĝ ∘ x̂) / n),    ĝ = g ∘ w,  r the reciprocal of the root.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from crosscheck.formulas.tree import Call, Expression, Product, Sum
from crosscheck.operators.operator import Attribute, Line, Operator, exact
from crosscheck.program.graph import Shape, Var
from crosscheck.tools.errors import UsageError

__all__ = ["check_eps", "norm"]

_EPS = 2.0**-17
"""The usual 1e-5, but for a power of two, which every format holds."""


def norm(name: str, axis: int, words: str) -> Operator:
    """A norm with weight and bias, its mean along ``axis``.

    Args:
        name: Of the operator.
        axis: From the last.
        words: As of `Operator`.
    """

    def expand(z: Var, weight: Var, bias: Var, eps: Attribute) -> Var:
        return _normalized(z, weight, bias, eps, axis)

    def formula(z: Expression, weight: Expression, bias: Expression, eps: Attribute) -> Expression:
        return Sum((Product((weight, Call(name.replace("_", ""), (z,)))), bias))

    return Operator(
        name=name,
        role="activation",
        formula=formula,
        operands=("z", "weight", "bias"),
        attributes={"eps": _EPS},
        parameters=_of_features,
        check=check_eps,
        expand=expand,
        lines=_norm_lines(axis),
        words=words,
        is_drawn=False,
    )


def _normalized(z: Var, weight: Var, bias: Var, eps: Attribute, axis: int) -> Var:
    """y, with the mean along ``axis``."""
    share = Fraction(1, z.shape[axis])
    centred = z - z.sum(axis, keep=True).times(share)
    variance = (centred * centred).sum(axis, keep=True).times(share)
    small = z.graph.ones(variance.shape).times(exact(eps))
    root = (variance + small).elementary("rsqrt")
    return centred * root * weight.expand(-2) + bias.expand(-2)


def _of_features(shape: Shape, units: int) -> Mapping[str, Shape]:
    """Weight and bias, one number for each feature."""
    return {"weight": (shape[-1],), "bias": (shape[-1],)}


def check_eps(attributes: Mapping[str, Attribute]) -> None:
    """Raise a `UsageError` unless ε is positive."""
    if not exact(attributes["eps"]) > 0:
        raise UsageError(f"eps={attributes['eps']!r}, wanted a positive number")


def _norm_lines(axis: int) -> dict[str, dict[str, Line]]:
    """Two passes in each framework."""
    each = {
        "torch": ("torch.rsqrt", "({}).mean(AXIS, keepdim=True)", "{}.unsqueeze(-2)"),
        "tensorflow": (
            "tf.math.rsqrt",
            "tf.reduce_mean({}, AXIS, keepdims=True)",
            "tf.expand_dims({}, -2)",
        ),
        "jax": ("jax.lax.rsqrt", "jnp.mean({}, AXIS, keepdims=True)", "{}[..., None, :]"),
    }
    found: dict[str, dict[str, Line]] = {}
    for framework, (rsqrt, mean, row) in each.items():
        mean = mean.replace("AXIS", str(axis))
        centred = f"(z - {mean.format('z')})"
        square = "({0} * {0})"
        variance = mean.format(square.format(centred))
        scaled = f"{centred} * {rsqrt}({variance} + eps) * {row.format('weight')}"
        found[framework] = {"two_passes": f"{scaled} + {row.format('bias')}"}
    return found
