"""What losses have in common: a sum over rows and outputs, times constants.

``reduction`` is ``"sum"``; ``"mean"``, over all elements, as PyTorch's and Keras's mean losses; or
``"rows"``, the mean over rows of sums over outputs. ``factor`` is any constant.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction

from crosscheck.formulas.tree import Call, Expression, Over, Symbol
from crosscheck.operators.formulas import scaled
from crosscheck.operators.operator import Attribute, Line, Use, exact
from crosscheck.program.graph import Shape, Var
from crosscheck.tools.errors import UsageError

__all__ = [
    "check_reduction",
    "counted",
    "loss_lines",
    "reduced",
    "reduced_formula",
    "row_lines",
    "summed",
]

_REDUCTIONS = ("sum", "mean", "rows")


def check_reduction(attributes: Mapping[str, Attribute]) -> None:
    """Raise a `UsageError` if ``factor`` or ``reduction`` is none."""
    if attributes["reduction"] not in _REDUCTIONS:
        raise UsageError(
            f"reduction={attributes['reduction']!r}, wanted one of {', '.join(_REDUCTIONS)}"
        )
    if exact(attributes["factor"]) == 0:
        raise UsageError("factor=0, wanted another number")


def counted(shape: Shape, reduction: Attribute) -> int:
    """What a sum of an array of terms is divided by: their number, or that of rows, for a mean."""
    return {"sum": 1, "mean": math.prod(shape), "rows": shape[0]}[str(reduction)]


def summed(terms: Var, factor: Attribute, count: int) -> Var:
    """c / count Σ of all terms, with c the factor."""
    return terms.sum().times(exact(factor), Fraction(1, count))


def reduced(terms: Var, factor: Attribute, reduction: Attribute) -> Var:
    """c Σ of all terms, with c the factor, by the number of terms or of rows for a mean."""
    return summed(terms, factor, counted(terms.shape, reduction))


def reduced_formula(terms: Callable[..., Expression]) -> Callable[..., Expression]:
    """The formula of a loss, `Operator.formula`, from that of a term.

    Args:
        terms: A term of an output ``a``, its target ``y`` and attributes.
    """

    def formula(
        a: Symbol, y: Symbol, factor: Attribute, reduction: Attribute, **settings: Attribute
    ) -> Expression:
        entry = ("r", "i")
        term = terms(replace(a, index=entry), replace(y, index=entry), **settings)
        rows, units = ("r", 0), ("i", 0)
        total = {
            "sum": Over((rows, units), term),
            "mean": Call("mean", (term,)),
            "rows": Call("mean", (Over((units,), term),)),
        }[str(reduction)]
        return scaled(factor, total)

    return formula


_SUM = {
    "torch": "({}).sum((-2, -1))",
    "tensorflow": "tf.reduce_sum({}, axis=(-2, -1))",
    "jax": "jnp.sum({}, axis=(-2, -1))",
}
_MEAN = {
    "torch": "({}).mean((-2, -1))",
    "tensorflow": "tf.reduce_mean({}, axis=(-2, -1))",
    "jax": "jnp.mean({}, axis=(-2, -1))",
}


def loss_lines(terms: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, Line]]:
    """The lines of a loss from those of its terms.

    Args:
        terms: Framework to formulation to an expression of the terms, an array.
    """
    return {
        framework: {name: _reducing(framework, each) for name, each in lines.items()}
        for framework, lines in terms.items()
    }


def row_lines(
    terms: Mapping[str, Mapping[str, Line]], *, is_one_term: bool = False
) -> dict[str, dict[str, Line]]:
    """The lines of a loss from those of its rows.

    Args:
        terms: Framework to formulation to an expression of one number for each row.
        is_one_term: Whether a row is one term, so that a mean is that over rows.
    """
    return {
        framework: {name: _summing(framework, each, is_one_term) for name, each in lines.items()}
        for framework, lines in terms.items()
    }


_SUM_OF_ROWS = {
    "torch": "{}.sum(-1)",
    "tensorflow": "tf.reduce_sum({}, axis=-1)",
    "jax": "jnp.sum({}, axis=-1)",
}


def _summing(framework: str, terms: Line, is_one_term: bool) -> Callable[[Use], str]:
    def line(use: Use) -> str:
        text = _SUM_OF_ROWS[framework].format(terms if isinstance(terms, str) else terms(use))
        factor = exact(use.attributes["factor"])
        text = text if factor == 1 else f"{float(factor)} * {text}"
        shape = use.shapes["a"][:1] if is_one_term else use.shapes["a"]
        count = counted(shape, use.attributes["reduction"])
        return text if count == 1 else f"{text} / {count}"

    return line


def _reducing(framework: str, terms: str) -> Callable[[Use], str]:
    def line(use: Use) -> str:
        reduction, factor = use.attributes["reduction"], exact(use.attributes["factor"])
        total = (_MEAN if reduction == "mean" else _SUM)[framework].format(terms)
        text = total if factor == 1 else f"{float(factor)} * {total}"
        return f"{text} / {use.shapes['a'][-2]}" if reduction == "rows" else text

    return line
