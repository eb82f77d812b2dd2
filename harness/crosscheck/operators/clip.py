"""Clipping: min(max(z, low), high), with the derivative 1 between the ends and 0 elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from crosscheck.numbers.piecewise import Piecewise
from crosscheck.operators.elementwise import activation
from crosscheck.operators.formulas import larger, number, smaller
from crosscheck.operators.operator import Attribute, exact
from crosscheck.tools.errors import UsageError

__all__ = ["OPERATOR"]


def _function(low: Attribute, high: Attribute) -> Piecewise:
    ends = exact(low), exact(high)
    pieces = ((ends[0],), (Fraction(0), Fraction(1)), (ends[1],))
    return Piecewise("clip", "min(max(z, low), high)", ends, pieces)


def _check(attributes: Mapping[str, Attribute]) -> None:
    if not exact(attributes["low"]) < exact(attributes["high"]):
        raise UsageError(
            f"clip: low={attributes['low']}, high={attributes['high']}, wanted low below high"
        )


OPERATOR = activation(
    _function(-1.0, 2.0),
    {
        "torch": {"clamp": "torch.clamp(z, low, high)"},
        "tensorflow": {"clip": "tf.clip_by_value(z, low, high)"},
        "jax": {"clip": "jnp.clip(z, low, high)"},
    },
    attributes={"low": -1.0, "high": 2.0},
    function=_function,
    check=_check,
    variants=({"low": 0.0, "high": 1.0},),
    formula=lambda z, low, high: smaller(larger(z, number(low)), number(high)),
    words="What is outside of an interval is put to its nearer end.",
)
