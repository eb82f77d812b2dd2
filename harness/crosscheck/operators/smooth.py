"""Activations of analysis: one elementary function, entry by entry."""

from __future__ import annotations

import math
from collections.abc import Callable

from crosscheck.formulas.nodes import Expression
from crosscheck.formulas.tree import Call
from crosscheck.numbers.elementary import ELEMENTARY
from crosscheck.operators.elementary_lines import elementary_lines
from crosscheck.operators.operator import Operator
from crosscheck.program.graph import Var

__all__ = ["smooth"]

_FRAMEWORKS = ("torch", "tensorflow", "jax")


def smooth(
    name: str, words: str, formula: Callable[[Expression], Expression] | None = None
) -> Operator:
    """An operator of one operand ``z``, in each framework's own words.

    Args:
        name: Of the operator, and of the function in `crosscheck.numbers.elementary.ELEMENTARY`.
        words: As of `Operator`.
        formula: As of `Operator`; a call of the function if it is not given.
    """
    assert name in ELEMENTARY

    def expand(z: Var) -> Var:
        return z.elementary(name)

    return Operator(
        name=name,
        role="activation",
        formula=formula or (lambda z: Call(name, (z,))),
        operands=("z",),
        expand=expand,
        lines={each: elementary_lines(each)[name] for each in _FRAMEWORKS},
        words=words,
        is_drawn=False,
        is_of_positive=math.isfinite(ELEMENTARY[name].low) or ELEMENTARY[name].without_zero,
    )
