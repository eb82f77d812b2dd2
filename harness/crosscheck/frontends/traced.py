"""What becomes of a function of the user's that has been traced: a program, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from crosscheck.numbers.arrays import Array
from crosscheck.program.graph import Program
from crosscheck.tools.words import place_of

__all__ = ["Comparison", "Source", "TracedFunction"]


@dataclass(frozen=True)
class Source:
    """Where a step of a program stands in somebody's code.

    Attributes:
        file: Path of the file, as Python has it.
        line: Number of the line, from 1 on.
        text: The expression as it is written, on one line.
    """

    file: str
    line: int
    text: str

    @property
    def place(self) -> str:
        """The file and the line, as editors read them."""
        return place_of(self.file, self.line)


@dataclass(frozen=True)
class Comparison:
    """A comparison of computed numbers by which something was chosen.

    The program is that of the function only where no entry of the node may have another sign.

    Attributes:
        node: Number of the node that is the left side less the right one.
        source: Where it stands.
    """

    node: int
    source: Source | None


@dataclass(frozen=True, eq=False)
class TracedFunction:
    """A function on arguments of some shapes, in primitives.

    Attributes:
        name: Of the function.
        program: Its inputs are the arguments that are arrays of real numbers, by name, and
            ``constants``; its outputs are what the function returns.
        outputs: Names of the outputs, in the order in which they are returned: ``"out"`` for one,
            ``"out0", "out1"`` for several, or the keys of a dict.
        constants: Inputs that are no arguments: name to float64 numbers that the function has of
            its own, and that nothing is differentiated by.
        sources: Number of a node to the innermost expression of the user's that made it.
        comparisons: What was decided by numbers.
        parameters: Names of all parameters in the function's order; empty if that is that of the
            program's inputs.
        shifts: Of a recognised function, the numbers of the nodes of the one that it was recognised
            in which are maxima that cancel: whatever they are, the function is the same.
        notes: What the user should be told once, each a line: which arrays were captured, which
            keyword is kept at its default.
    """

    name: str
    program: Program
    outputs: tuple[str, ...]
    constants: Mapping[str, Array] = field(default_factory=dict)
    sources: Mapping[int, Source] = field(default_factory=dict)
    comparisons: tuple[Comparison, ...] = ()
    notes: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    shifts: frozenset[int] = frozenset()

    def as_text(self) -> str:
        """The steps, one in a line, each with its place in the user's text."""
        lines = str(self.program).splitlines()
        found = []
        for line in lines:
            number = line.removeprefix("%").partition(" ")[0]
            source = self.sources.get(int(number)) if number.isdigit() else None
            found.append(f"{line}   # line {source.line}: {source.text}" if source else line)
        return "\n".join(found)
