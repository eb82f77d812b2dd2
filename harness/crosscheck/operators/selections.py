"""The largest, or the smallest, of the numbers of a window: of what ties are measured.

Where several numbers of a window are the largest, there is no derivative. The generalised
derivatives are the weights that are 0 for every other number, at least 0 for these, and add up to 1
(Clarke, *Optimization and Nonsmooth Analysis*, 1983, proposition 2.3.12). Which of them a library
has is its convention: all to the first, all to the last, equal shares.

Sorting takes part by the number that it puts last, or first. The lines of operators are taken from
their files; what stands here besides is measured only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from crosscheck.operators import max_over, max_pool1d, max_pool2d, maximum, min_over, minimum, sort
from crosscheck.operators.operator import Attribute, Operator, Use

__all__ = ["SELECTIONS", "Selection", "selection_lines_of"]


@dataclass(frozen=True)
class Selection:
    """The largest of the numbers of a window, or the smallest.

    Attributes:
        name: What users type.
        formula: The function, for people.
        size: How many numbers a window has.
        sign: 1 for the largest, -1 for the smallest.
    """

    name: str
    formula: str
    size: int
    sign: int = 1

    def value(self, window: Sequence[float]) -> float:
        """The largest, or the smallest; of zeros any. No number is NaN."""
        return max(window) if self.sign > 0 else min(window)

    def tied(self, window: Sequence[float]) -> tuple[bool, ...]:
        """Which numbers of a window are that one; zeros of both signs are one number."""
        value = self.value(window)
        return tuple(each == value for each in window)


_OF_FOUR = "of four numbers"

SELECTIONS: Mapping[str, Selection] = MappingProxyType(
    {
        each.name: each
        for each in (
            Selection("maximum", "the larger of two numbers", 2),
            Selection("minimum", "the smaller of two numbers", 2, -1),
            Selection("max", f"the largest {_OF_FOUR}", 4),
            Selection("min", f"the smallest {_OF_FOUR}", 4, -1),
            Selection("max_pool1d", f"the largest {_OF_FOUR} in a row", 4),
            Selection("max_pool2d", f"the largest {_OF_FOUR} in a square", 4),
        )
    }
)
"""Every selection by name, in the order of the tables."""

_FRAMEWORKS = ("torch", "tensorflow", "jax")
_RESHAPED = {
    "torch": "{}.reshape({})",
    "tensorflow": "tf.reshape({}, [{}])",
    "jax": "{}.reshape({})",
}


def _shaped(operand: str, sizes: str) -> Mapping[str, str]:
    """Framework to an expression for an operand in another shape."""
    return {name: text.format(operand, sizes) for name, text in _RESHAPED.items()}


def _everywhere(text: str) -> Mapping[str, str]:
    """Framework to one text for all of them."""
    return dict.fromkeys(_FRAMEWORKS, text)


_PAIR = {"a": _everywhere("z[:, 0]"), "b": _everywhere("z[:, 1]")}
_WHOLE = {"x": _everywhere("z")}
_ROW, _SQUARE = ({"x": _shaped("z", sizes)} for sizes in ("-1, 4, 1", "-1, 2, 2, 1"))
_AS_IT_IS, _FIRST, _LAST = map(_everywhere, ("{}", "{}[:, 0]", "{}[:, -1]"))
_FLAT = _shaped("{}", "-1")

_Of = tuple[Operator, Mapping[str, Mapping[str, str]], Mapping[str, Attribute], Mapping[str, str]]
"""An operator, expressions for its operands, its attributes, and what is taken of its result; of
the expressions one for each framework."""

_OPERATORS: Mapping[str, tuple[_Of, ...]] = MappingProxyType(
    {
        "maximum": ((maximum.OPERATOR, _PAIR, {}, _AS_IT_IS),),
        "minimum": ((minimum.OPERATOR, _PAIR, {}, _AS_IT_IS),),
        "max": (
            (max_over.OPERATOR, _WHOLE, {"axes": -1}, _AS_IT_IS),
            (sort.OPERATOR, _WHOLE, {"axis": -1}, _LAST),
        ),
        "min": (
            (min_over.OPERATOR, _WHOLE, {"axes": -1}, _AS_IT_IS),
            (sort.OPERATOR, _WHOLE, {"axis": -1}, _FIRST),
        ),
        "max_pool1d": ((max_pool1d.OPERATOR, _ROW, {"window": 4, "stride": 4}, _FLAT),),
        "max_pool2d": ((max_pool2d.OPERATOR, _SQUARE, {"window": 2, "stride": 2}, _FLAT),),
    }
)

_MEASURED: Mapping[str, Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "torch": {
            "maximum": {
                "fmax": "torch.fmax(z[:, 0], z[:, 1])",
                "where": "torch.where(z[:, 0] > z[:, 1], z[:, 0], z[:, 1])",
            },
            "minimum": {"fmin": "torch.fmin(z[:, 0], z[:, 1])"},
            "max": {
                "max": "torch.max(z, -1).values",
                "topk": "torch.topk(z, 1).values[:, 0]",
                "scatter": "torch.zeros_like(z[:, :1]).scatter_reduce(-1, torch.zeros_like(z, "
                "dtype=torch.int64), z, 'amax', include_self=False)[:, 0]",
            },
            "min": {"min": "torch.min(z, -1).values"},
            "max_pool1d": {"adaptive": "F.adaptive_max_pool1d(z[:, None], 1)[:, 0, 0]"},
        },
        "tensorflow": {
            "maximum": {"where": "tf.where(z[:, 0] > z[:, 1], z[:, 0], z[:, 1])"},
            "max": {
                "top_k": "tf.math.top_k(z, 1).values[:, 0]",
                "segment": "tf.math.segment_max(tf.transpose(z), [0, 0, 0, 0])[0]",
            },
        },
        "jax": {
            "maximum": {"where": "jnp.where(z[:, 0] > z[:, 1], z[:, 0], z[:, 1])"},
            "max": {
                "top_k": "jax.lax.top_k(z, 1)[0][:, 0]",
                "segment": "jax.ops.segment_max(z.T, jnp.zeros(4, int), 1)[0]",
            },
        },
    }
)
"""Framework to selection to what is measured besides operators."""


def selection_lines_of(framework: str) -> Mapping[str, Mapping[str, str]]:
    """Selection to formulation to an expression in ``z``, windows by numbers; those there are.

    The expression is the largest, or the smallest, of each window.
    """
    found = {}
    for name in SELECTIONS:
        own: dict[str, str] = {}
        for operator, operands, attributes, taken in _OPERATORS[name]:
            # Its other lines have the choices of this one, and a table has enough without them.
            for formulation, line in [*operator.formulations(framework).items()][:1]:
                given = {operand: texts[framework] for operand, texts in operands.items()}
                use = Use(given, operator.settled(attributes), {})
                text = operator.line(framework, use, line)
                own[formulation] = taken[framework].format(text)
        found[name] = {**own, **_MEASURED.get(framework, {}).get(name, {})}
    return {name: lines for name, lines in found.items() if lines}
