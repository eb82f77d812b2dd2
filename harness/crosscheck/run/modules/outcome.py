"""What came of a model: its verdict, its operations and its kinks, as a record."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from crosscheck.tools.words import place_of

__all__ = ["Kink", "ModelOutcome", "OperationRow", "State", "Unread"]


class State(StrEnum):
    """What is said of one operation."""

    INSIDE = "inside"
    WRONG = "wrong"
    UNTOLD = "not told from an error of 1 %"
    UNBOUNDED = "no bound"
    UNREAD = "not understood"


@dataclass(frozen=True)
class OperationRow:
    """One operation, as it was run.

    Attributes:
        id: Its number and name.
        name: Of the operation in its library.
        inputs: Names of what it was given: leaves, or ids of operations.
        shape: Of what it returned.
        state: What is said of it.
        ratio: The largest error / bound; infinite where the bound is 0 and there is an error.
        compared: How many numbers were compared.
        wrong: What is wrong, in a line; empty if nothing is.
        file: Where it stands; empty if that is not known.
        line: Number of the line; 0 if that is not known.
        text: The expression.
    """

    id: str
    name: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    state: State
    ratio: float
    compared: int
    wrong: str = ""
    file: str = ""
    line: int = 0
    text: str = ""

    @property
    def where(self) -> str:
        """``file:line``; empty if that is not known."""
        return place_of(self.file, self.line) if self.file else ""


@dataclass(frozen=True)
class Kink:
    """A decision at a breakpoint, or one that is too near to tell.

    Attributes:
        where: The operation, or the expression.
        index: In what is decided upon; of several the first.
        count: How many there are.
        value: The number that was decided upon; of several the first.
        slope: λ, or a weight; ``None`` where nothing depends on it, or it was not read.
        said: That in words.
    """

    where: str
    index: tuple[int, ...]
    count: int
    value: float
    slope: float | None
    said: str


@dataclass(frozen=True)
class Unread:
    """An operation that is not understood.

    Attributes:
        operation: Its name.
        reason: Why, in a line.
        count: How often it occurs.
        where: ``file:line`` of the first; empty if that is not known.
    """

    operation: str
    reason: str
    count: int
    where: str

    def __str__(self) -> str:
        times = f" ({self.count} times)" if self.count > 1 else ""
        where = f"{self.where}: " if self.where else ""
        return f"{where}{self.operation}{times}: {self.reason}"


@dataclass(frozen=True)
class ModelOutcome:
    """What is said of a model's gradients.

    Attributes:
        name: Of the model.
        library: Whose it is.
        derivation: What was called.
        dtype: Of its numbers.
        kind: The verdict; ``UNSUPPORTED`` where something is not understood.
        detail: A line; empty when there is nothing to add.
        first_wrong: Id of the first operation that is wrong; empty if none is.
        outputs: Names of what it returns.
        leaves: Names of what it is differentiated by.
        checked: Those of both that were held to bounds which tell them from zero.
        ratio: The largest error / bound of the whole.
        operations: In the order in which they were run.
        kinks: Decisions.
        unread: What is not understood, operation by operation.
        notes: Lines that have to be said.
        passed: Whether nothing is wrong.
        certified: Whether every operation was held to its bounds and is inside them, and the whole.
    """

    name: str
    library: str
    derivation: str
    dtype: str
    kind: str
    detail: str
    first_wrong: str
    outputs: tuple[str, ...]
    leaves: tuple[str, ...]
    checked: tuple[str, ...]
    ratio: float
    operations: tuple[OperationRow, ...]
    kinks: tuple[Kink, ...]
    unread: tuple[Unread, ...]
    notes: tuple[str, ...]
    passed: bool
    certified: bool

    @property
    def wrong(self) -> OperationRow | None:
        """The first operation that is wrong; ``None`` if none is."""
        return next((each for each in self.operations if each.id == self.first_wrong), None)
