"""What an operator is: sentences in primitives, and its line of source in each framework.

The line that is shown is the line that runs: adapters, programs to paste and tables are made of it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from crosscheck.formulas.nodes import Expression
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.piecewise import Piecewise
from crosscheck.program.graph import Shape, Var
from crosscheck.tools.errors import UsageError

__all__ = ["Attribute", "Line", "OfOneCase", "Operator", "Role", "Use", "exact"]

Role: TypeAlias = Literal["layer", "activation", "stage", "join", "table", "loss"]
"""What strategies do with it: ``"layer"`` and ``"activation"`` take one array that comes from below
(a layer has parameters that mix its features), and so does ``"stage"``, which returns one of
another shape; ``"join"`` takes two of one shape, ``"table"`` parameters alone, ``"loss"`` takes an
output and targets and ends a program."""

Attribute: TypeAlias = float | int | str

_NOTHING: Mapping[str, Any] = MappingProxyType({})


def exact(value: Attribute) -> Fraction:
    """A number of a program as a rational: what float64 has for it, or a fraction in words.

    Raises:
        UsageError: It is no finite number, or beyond the range of float64.
    """
    try:
        float(number := Fraction(value))
        return number
    except (ValueError, OverflowError, ZeroDivisionError, TypeError):
        raise UsageError(f"{value!r}: wanted a finite number, within float64") from None


@dataclass(frozen=True)
class Use:
    """One use of an operator, for lines that depend on it.

    Attributes:
        operands: Name of each operand that is there to the expression that stands for it.
        attributes: The attributes, those left out with their defaults.
        shapes: Name of each operand that is there to its shape, for one case.
    """

    operands: Mapping[str, str]
    attributes: Mapping[str, Attribute]
    shapes: Mapping[str, Shape]


@dataclass(frozen=True)
class OfOneCase:
    """A line for one case, which is mapped over those of a stack.

    Attributes:
        text: The expression.
    """

    text: str

    def __call__(self, use: Use) -> str:
        """The expression."""
        return self.text


Line: TypeAlias = str | Callable[[Use], str]
"""An expression in the names of operands and attributes, or a function that writes one."""


@dataclass(frozen=True, kw_only=True)
class Operator:
    """An operator.

    Attributes:
        name: What users type, in case files too.
        role: See `Role`.
        formula: What it is, for people: as ``expand``, of an `Expression` for each operand.
        operands: Names of its arrays, in order.
        expand: Its value in primitives, of a `Var` for each operand that is there and of the
            attributes, both by name.
        lines: Framework to name of a formulation to its line; the first is the default.
        optional: Operands that may be left out.
        targets: Operands that nothing is differentiated by.
        attributes: Name to default.
        parameters: Shapes of the operands that are parameters, by name, for an input of some shape
            and a number of units, and for attributes that it takes by name; the last axis is that
            of features.
        unit: Its function of one number, if it is one; conventions are measured of it.
        check: Raises a `UsageError` if attributes do not go together.
        words: A sentence for `explain`.
        is_drawn: Whether strategies draw it when no operators are named.
        variants: Attributes that strategies draw besides the defaults.
        tried_on: Shape of what comes from below where strategies draw it.
        of_one_case: Whether its lines are for one case, and are mapped over those of a stack.
        placed: For an operator that puts numbers in order: of its operand, the cotangent, what was
            sent down and the attributes by name, the place that each number was put to, where equal
            ones are told by what they were sent.
        is_of_positive: Whether strategies put eᶻ before it, as it is not there for all numbers.

    Raises:
        UsageError: ``formula`` is no function.
    """

    name: str
    role: Role
    formula: Callable[..., Expression]
    operands: tuple[str, ...]
    expand: Callable[..., Var]
    lines: Mapping[str, Mapping[str, Line]]
    optional: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()
    attributes: Mapping[str, Attribute] = field(default_factory=lambda: _NOTHING)
    parameters: Callable[..., Mapping[str, Shape]] = lambda shape, units: _NOTHING
    unit: Piecewise | None = None
    check: Callable[[Mapping[str, Attribute]], None] = lambda attributes: None
    words: str = ""
    is_drawn: bool = True
    variants: tuple[Mapping[str, Attribute], ...] = ()
    tried_on: Shape = (3, 2)
    of_one_case: bool = False
    placed: Callable[..., Array] | None = None
    is_of_positive: bool = False

    def __post_init__(self) -> None:
        if not callable(self.formula):
            raise UsageError(
                f"{self.name}: formula {self.formula!r}, wanted a function of operands and "
                f"attributes that returns a formula as a tree"
            )

    @property
    def arguments(self) -> tuple[str, ...]:
        """The operands that are no parameters: what comes from below, and targets."""
        own = self.parameters(self.tried_on, 2)
        return tuple(name for name in self.operands if name not in own)

    def parameters_of(
        self, shape: Shape, units: int, attributes: Mapping[str, Attribute]
    ) -> Mapping[str, Shape]:
        """Shapes of the parameters by name, for an input of ``shape`` and some attributes."""
        taken = inspect.signature(self.parameters).parameters
        chosen = {name: value for name, value in attributes.items() if name in taken}
        return self.parameters(shape, units, **chosen)

    def formulations(self, framework: str) -> Mapping[str, Line]:
        """The ways of writing it in a framework; none where it is not known there."""
        return self.lines.get(framework, _NOTHING)

    def settled(self, given: Mapping[str, Attribute]) -> dict[str, Attribute]:
        """The attributes with defaults for those that are left out.

        Raises:
            UsageError: One is unknown, or they do not go together.
        """
        for name, value in given.items():
            if name not in self.attributes:
                known = ", ".join(self.attributes) or "none"
                raise UsageError(f"{self.name}: attribute {name!r}, wanted some of: {known}")
            if not isinstance(value, str | int | float) or isinstance(value, bool):
                raise UsageError(f"{self.name}: {name}={value!r}, wanted a number or a word")
        found = {**self.attributes, **given}
        self.check(found)
        return found

    def takes_one_case(self, framework: str, source: Line | None = None) -> bool:
        """Whether its line, by default the first of the framework's, is for one case."""
        first = next(iter(self.formulations(framework).values()), None)
        return self.of_one_case or isinstance(source or first, OfOneCase)

    def line(self, framework: str, use: Use, source: Line | None = None) -> str:
        """Its source for one use.

        Args:
            framework: Whose.
            use: The use.
            source: The line to take, if not the first of the framework's.

        Raises:
            UsageError: It has no line there.
        """
        lines = self.formulations(framework)
        if source is None and not lines:
            raise UsageError(f"{self.name}: no line of source for {framework}")
        line = next(iter(lines.values())) if source is None else source
        text = line if isinstance(line, str) else line(use)
        names = {**use.operands, **{name: _literal(v) for name, v in use.attributes.items()}}
        return replaced(text, names)


def replaced(text: str, names: Mapping[str, str]) -> str:
    """An expression with others in the place of names."""
    if not names:
        return text
    pattern = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    return re.sub(rf"(?<![\w.])(?:{pattern})\b(?!\s*=[^=])", lambda m: names[m.group()], text)


def _literal(value: Attribute) -> str:
    return repr(float(exact(value))) if not _is_word(value) else repr(value)


def _is_word(value: Attribute) -> bool:
    if not isinstance(value, str):
        return False
    try:
        Fraction(value)
    except (ValueError, ZeroDivisionError):
        return True
    return False


def require_shape(name: str, shapes: Sequence[Shape], axes: int) -> None:
    """Raise a `UsageError` unless each shape has this many axes."""
    for shape in shapes:
        if len(shape) != axes:
            raise UsageError(f"{name}: shape {shape}, wanted {axes} axes")
