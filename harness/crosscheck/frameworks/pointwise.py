"""A library's activation functions, one line of source each, and how to differentiate them.

So are its ways of taking the largest of several numbers: points are windows then, and derivatives
have as many numbers.

The lines are data: they are what runs when a convention is measured, what the tables show, and
what a script consists of that anyone can paste. So none of these can differ.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

__all__ = ["Point", "Pointwise", "Slope", "script_line"]

Point: TypeAlias = float | Sequence[float]
"""A number, or the numbers of a window."""

Slope: TypeAlias = float | list[float]
"""The derivative at a point, of a window by each of its numbers."""

Values = tuple[list[float], list[Any]]
"""What a function and its derivative are at some points: of each a number and a `Slope`."""

_NOTHING: Mapping[str, str] = MappingProxyType({})
_NONE: Mapping[str, Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True)
class Pointwise:
    """Source for evaluating functions of one number, point by point, and their derivatives.

    Attributes:
        setup: Import statements.
        units: Name of a unit (a key of `crosscheck.operators.units.UNITS`) to its formulations:
            name to an expression in ``z``.
        modes: Name to the definition of a function ``measure(z)`` that returns ``f(z)`` and its
            derivative, point by point, for a function ``f`` that is there.
        make: Dtype to an expression that makes an array ``z`` of the list ``points``.
        home: Expression that makes a list of Python floats of the array ``array``.
        switches: Statements a script needs before anything else; within the harness the
            adapter's `Framework.session` does the same for the length of one call.
        slow: Modes that are measured only when they are asked for.
        has_signed_zeros: Whether -0 is a number of its own.
        selections: Name of a selection (a key of `crosscheck.operators.selections.SELECTIONS`) to
            its formulations: name to an expression in ``z``, windows by numbers.
        of_windows: Those of ``modes`` that are written otherwise for selections.
        of_units: Those of ``modes`` that selections are not asked in.
    """

    setup: str
    units: Mapping[str, Mapping[str, str]]
    modes: Mapping[str, str]
    make: Mapping[str, str]
    home: str
    switches: str = ""
    slow: frozenset[str] = frozenset()
    has_signed_zeros: bool = True
    selections: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: _NONE)
    of_windows: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    of_units: frozenset[str] = frozenset()

    @property
    def written(self) -> Mapping[str, Mapping[str, str]]:
        """Name of a unit or a selection to its formulations."""
        return {**self.units, **self.selections}

    def formulations(self, unit: str) -> Mapping[str, str]:
        """The ways of writing a unit or a selection, name to expression in ``z``."""
        return self.written.get(unit, _NOTHING)

    def modes_of(self, unit: str) -> Mapping[str, str]:
        """The modes as they are written for a unit or a selection."""
        if unit not in self.selections:
            return self.modes
        found = {**self.modes, **self.of_windows}
        return {mode: source for mode, source in found.items() if mode not in self.of_units}

    def function(self, expression: str) -> Callable[[Any], Any]:
        """The function of ``z`` that an expression stands for."""
        names: dict[str, Any] = {}
        # The line that people are shown is the line that runs. It is one of our own constants.
        exec(self.setup, names)
        function: Callable[[Any], Any] = eval(f"lambda z: {expression}", names)
        return function

    def measure(
        self, unit: str, formulation: str, mode: str
    ) -> Callable[[str, Sequence[Point]], Values]:
        """A function of a dtype and points that returns values and derivatives.

        Whatever the library raises, when the function is built
        or called, is passed on.

        Raises:
            ArithmeticError: The points did not arrive in the library as they are.
        """
        source = self.source(unit, formulation, mode)
        names: dict[str, Any] = {}
        exec(source, names)  # our own constants, as in `function`

        def run(dtype: str, points: Sequence[Point]) -> Values:
            sent = [_listed(point, self.has_signed_zeros) for point in points]
            z = eval(self.make[dtype], {**names, "points": sent})
            arrived = self._floats(names, z)
            if list(map(repr, arrived)) != list(map(repr, sent)):
                raise ArithmeticError(f"{points} arrived as {arrived}")
            value, slope = names["measure"](z)
            return self._floats(names, value), self._floats(names, slope)

        return run

    def _floats(self, names: Mapping[str, Any], array: Any) -> Any:
        found: list[Any] = eval(self.home, {**names, "array": array})
        return found

    def source(self, unit: str, formulation: str, mode: str) -> str:
        """Definitions of ``f(z)`` and ``measure(z)``."""
        expression = self.formulations(unit)[formulation]
        defined = self.modes_of(unit)[mode]
        return f"{self.setup}\n\n\ndef f(z):\n    return {expression}\n\n\n{defined}\n"

    def script(
        self,
        functions: Mapping[str, str],
        modes: Mapping[str, str],
        dtype: str,
        points: Sequence[Point],
        counts: Sequence[int],
    ) -> str:
        """A program of a few lines that prints values and derivatives at some points.

        Each line it prints is a `script_line`: of one function, mode and point, the different
        pairs of value and derivative that elements of arrays full of the point have.

        Args:
            functions: Name to expression in ``z``.
            modes: Some of `modes_of`.
            dtype: A key of ``make``.
            points: Where.
            counts: Lengths of the arrays.
        """
        written = ", ".join(map(_literal, points))
        array = re.sub(r"\bpoints\b", "[point] * count", self.make[dtype])
        value, slope = (re.sub(r"\barray\b", each, self.home) for each in ("value", "slope"))
        table = "\n".join(f'    "{name}": lambda z: {each},' for name, each in functions.items())
        parts = [
            f"functions = {{\n{table}\n}}",
            *(
                f"def {mode}(f):\n{textwrap.indent(_compact(source), '    ')}\n    return measure"
                for mode, source in modes.items()
            ),
            "for name, f in functions.items():\n"
            f"    for mode in [{', '.join(modes)}]:\n"
            f"        for point in [{written}]:\n"
            "            pairs = set()\n"
            f"            for count in [{', '.join(map(str, counts))}]:\n"
            f"                value, slope = mode(f)({array})\n"
            f"                pairs |= set(map(str, zip({value}, {slope})))\n"
            "            print(name, mode.__name__, point, *sorted(pairs))",
        ]
        body = "\n\n".join(parts)
        imports = [line for line in self.setup.splitlines() if _is_used(line, body)]
        return "\n".join([*imports, *filter(None, [self.switches])]) + f"\n\n{body}\n"


def script_line(name: str, mode: str, point: Point, pairs: Iterable[tuple[float, Slope]]) -> str:
    """A line that `Pointwise.script` prints for a function that has these pairs."""
    shown = str(_listed(point, True))
    return " ".join([name, mode, shown, *sorted({str(pair) for pair in pairs})])


def _listed(point: Point, has_signed_zeros: bool) -> float | list[float]:
    """A point as libraries take it."""
    if isinstance(point, Sequence):
        return list(point)
    return point if has_signed_zeros else point + 0.0


def _compact(source: str) -> str:
    return re.sub(r"\n{2,}", "\n", source)


def _is_used(line: str, body: str) -> bool:
    name = line.split()[-1].split(".")[0]
    return re.search(rf"\b{name}\.", body) is not None


def _literal(point: Point) -> str:
    if isinstance(point, Sequence):
        return f"[{', '.join(map(_literal, point))}]"
    return repr(point) if math.isfinite(point) else f'float("{point}")'
