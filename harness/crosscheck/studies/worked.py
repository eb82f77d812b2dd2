"""The worked example at three points, with every convention side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crosscheck.frameworks.base import Framework
from crosscheck.judge.door import judge
from crosscheck.network.dense import Case, Gradients, worked_example
from crosscheck.network.exact import nearest_floats
from crosscheck.network.reference import gradients
from crosscheck.network.symbolic import sympy_gradients
from crosscheck.run.answers import answer

__all__ = ["POINTS", "Row", "points", "side_by_side"]

POINTS = {
    "worked-example": {},
    "worked-example at x = 0 (z1 = 0)": {"x": 0.0},
    "worked-example at w2 = -1, b2 = 2 (z2 = 0)": {"w2": -1.0, "b2": 2.0},
}
"""A name for each point, and how its numbers differ from the example's."""


@dataclass(frozen=True)
class Row:
    """One source's gradient at one point.

    Attributes:
        source: Who says so, and with which derivative of ReLU at zero.
        values: ``dJ/dw2, dJ/db2, dJ/dw1, dJ/db1``; ``None`` if there is no gradient.
        reason: Why there is none.
    """

    source: str
    values: tuple[float, float, float, float] | None
    reason: str = ""


def points(dtype: str = "float64") -> list[tuple[str, Case]]:
    """The example and its two kinks, with their names."""
    return [(name, worked_example(dtype=dtype, **change)) for name, change in POINTS.items()]


def side_by_side(case: Case, frameworks: Sequence[Framework]) -> list[Row]:
    """The gradient of ``case`` by hand, by SymPy and by each framework.

    Args:
        case: The worked example at one of its points.
        frameworks: Adapters; each shows its own convention.
    """
    question = judge(case)
    rows = [
        _row("by hand, ReLU'(0) = 1 (z >= 0)", gradients(case, kink_slope=1.0)),
        _row("by hand, ReLU'(0) = 0 (z > 0)", gradients(case, kink_slope=0.0)),
        _row("SymPy, Heaviside(0) = 1/2", nearest_floats(sympy_gradients(case))),
    ]
    for framework in frameworks:
        source = f"{framework.name} {framework.formulation}"
        given, verdict = answer(framework, case, question)
        if given is None:
            rows.append(Row(source, None, f"{verdict.kind}: {verdict.detail}"))
        else:
            rows.append(_row(source, given))
    return rows


def _row(source: str, result: Gradients) -> Row:
    (w1, w2), (b1, b2) = result.weights, result.biases
    return Row(source, (float(w2.item()), float(b2.item()), float(w1.item()), float(b1.item())))
