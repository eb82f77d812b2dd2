"""z to a constant power, of those whose accuracy is known; its derivative is p z^(p - 1).

A power that is no integer is there for positive z, a negative one for z that are not 0.
"""

from __future__ import annotations

from collections.abc import Mapping

from crosscheck.formulas.tree import Call, Expression, Number
from crosscheck.numbers.elementary import ELEMENTARY
from crosscheck.operators.operator import Attribute, Operator, Use, exact
from crosscheck.program.graph import Var
from crosscheck.tools.errors import UsageError

__all__ = ["OPERATOR"]

_KNOWN = tuple(name for name in ELEMENTARY if name.startswith("power_"))


def _name(exponent: Attribute) -> str:
    return f"power_{float(exact(exponent)):g}"


def _check(attributes: Mapping[str, Attribute]) -> None:
    if _name(attributes["exponent"]) not in _KNOWN:
        known = ", ".join(name.removeprefix("power_") for name in _KNOWN)
        raise UsageError(f"pow: exponent={attributes['exponent']!r}, wanted one of {known}")


def _expand(z: Var, exponent: Attribute) -> Var:
    return z.elementary(_name(exponent))


def _formula(z: Expression, exponent: Attribute) -> Expression:
    return Call("pow", (z, Number(exact(exponent))))


def _line(use: Use) -> str:
    """A whole exponent is written as a whole number, of which frameworks make products."""
    return f"z ** {_name(use.attributes['exponent']).removeprefix('power_')}"


OPERATOR = Operator(
    name="pow",
    role="activation",
    formula=_formula,
    operands=("z",),
    attributes={"exponent": 2.0},
    variants=({"exponent": 3.0}, {"exponent": -1.0}, {"exponent": 0.5}, {"exponent": 1.5}),
    check=_check,
    expand=_expand,
    lines={each: {"power": _line} for each in ("torch", "tensorflow", "jax")},
    words="What goes down is multiplied by p and by the power of one less.",
    is_drawn=False,
    is_of_positive=True,
)
