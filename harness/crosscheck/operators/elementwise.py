"""Activations: one function of one number, entry by entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from crosscheck.formulas.nodes import Expression
from crosscheck.numbers.piecewise import Piecewise
from crosscheck.operators.formulas import piece_by_piece
from crosscheck.operators.operator import Attribute, Line, Operator
from crosscheck.program.graph import Var

__all__ = ["activation"]


def activation(
    unit: Piecewise,
    lines: Mapping[str, Mapping[str, Line]],
    *,
    attributes: Mapping[str, Attribute] | None = None,
    function: Callable[..., Piecewise] | None = None,
    formula: Callable[..., Expression] | None = None,
    check: Callable[[Mapping[str, Attribute]], None] = lambda attributes: None,
    words: str = "",
    is_drawn: bool = True,
    variants: tuple[Mapping[str, Attribute], ...] = (),
) -> Operator:
    """An operator of one operand ``z``.

    Args:
        unit: The function; with the default attributes if there are any.
        lines: As of `Operator`, in ``z`` and the attributes.
        attributes: Name to default.
        function: The function for some attributes, if there are any.
        formula: As of `Operator`; piece by piece if it is not given.
        check: As of `Operator`.
        words: As of `Operator`.
        is_drawn: As of `Operator`.
        variants: As of `Operator`.
    """

    def chosen(**settings: Any) -> Piecewise:
        return unit if function is None else function(**settings)

    def expand(z: Var, **settings: Any) -> Var:
        return z.piecewise(chosen(**settings))

    def pieces(z: Expression, **settings: Any) -> Expression:
        return piece_by_piece(chosen(**settings), z)

    return Operator(
        name=unit.name,
        role="activation",
        formula=formula or pieces,
        operands=("z",),
        expand=expand,
        lines=lines,
        attributes=attributes or {},
        unit=unit,
        check=check,
        words=words,
        is_drawn=is_drawn,
        variants=variants,
    )
