"""What a framework held at each step of a network while it differentiated a loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np

from crosscheck.judge.local.programs import COTANGENT, RESULT, program_of, shapes_of
from crosscheck.network.composed import AnyGradients
from crosscheck.network.steps import Step
from crosscheck.numbers.arrays import Array
from crosscheck.operators.registry import operator_of
from crosscheck.program.graph import Program

__all__ = ["AnyRecord", "Record", "Recorded"]


class AnyRecord(Protocol):
    """What one step held, whatever it is a step of."""

    @property
    def step(self) -> Step:
        """The step; its operands are named, and its attributes are those of an operator."""

    @property
    def operands(self) -> Mapping[str, Array]:
        """By name, what the step was given."""

    @property
    def results(self) -> Mapping[str, Array]:
        """By name, what it returned."""

    @property
    def cotangents(self) -> Mapping[str, Array]:
        """The cotangents of the results, by the names that the program has for them."""

    @property
    def sent(self) -> Mapping[str, Array]:
        """By name of an operand, what goes down to it."""

    @property
    def placed(self) -> Callable[..., Array] | None:
        """See `crosscheck.operators.operator.Operator`."""

    def program(self, stacked: bool) -> Program:
        """Of the operands and `cotangents`: the results, and what goes down to each of `sent`."""

    def map(self: _AnyRecord, change: Callable[[Array], Array]) -> _AnyRecord:
        """The same step with other arrays."""


_AnyRecord = TypeVar("_AnyRecord", bound=AnyRecord)


@dataclass(frozen=True, eq=False)
class Record:
    """One step as it was run: float64 arrays with the framework's own numbers.

    An operand is recorded at its *use*: where two steps take the same array, each has a cotangent
    of its own, and their sum is the array's.

    Attributes:
        step: The step.
        operands: By the operator's names, what the step was given, each with an axis over the C
            cases in front if there are several, as all arrays here.
        result: What it returned.
        cotangent: ∂J/∂result, as it was handed to the step's derivative.
        sent: By name, ∂J/∂operand as far as it goes through this use: what the derivative
            returned. Operands that nothing is differentiated by have none.
        formulation: How the step was written.
    """

    step: Step
    operands: Mapping[str, Array]
    result: Array
    cotangent: Array
    sent: Mapping[str, Array]
    formulation: str = ""

    @property
    def results(self) -> Mapping[str, Array]:
        """See `AnyRecord`."""
        return {RESULT: self.result}

    @property
    def cotangents(self) -> Mapping[str, Array]:
        """See `AnyRecord`."""
        return {COTANGENT: self.cotangent}

    @property
    def placed(self) -> Callable[..., Array] | None:
        """See `AnyRecord`."""
        return operator_of(self.step.op).placed

    def program(self, stacked: bool) -> Program:
        """See `AnyRecord`."""
        return program_of(self.step, shapes_of(self.operands, stacked), tuple(self.sent))

    @classmethod
    def together(cls, singles: Sequence[Record]) -> Record:
        """One step as it was run for single cases, as for a stack."""
        first = singles[0]
        return replace(
            first,
            operands={
                name: np.stack([s.operands[name] for s in singles]) for name in first.operands
            },
            result=np.stack([each.result for each in singles]),
            cotangent=np.stack([each.cotangent for each in singles]),
            sent={name: np.stack([each.sent[name] for each in singles]) for name in first.sent},
        )

    def map(self, change: Callable[[Array], Array]) -> Record:
        """The same step with other arrays."""
        return replace(
            self,
            operands={name: change(array) for name, array in self.operands.items()},
            result=change(self.result),
            cotangent=change(self.cotangent),
            sent={name: change(array) for name, array in self.sent.items()},
        )


@dataclass(frozen=True, eq=False)
class Recorded:
    """A gradient, and the steps that led to it.

    Attributes:
        given: The loss and its gradient, as the framework returned them while it was watched.
        records: In the order of the steps; the last is the loss.
    """

    given: AnyGradients
    records: tuple[Record, ...]

    @classmethod
    def together(cls, singles: Sequence[Recorded]) -> Recorded:
        """Those of single cases of one kind, as of a stack."""
        first, *others = (each.given for each in singles)
        given: AnyGradients = first.map(lambda *arrays: np.stack(arrays), *others)
        steps = zip(*(each.records for each in singles), strict=True)
        return cls(given, tuple(map(Record.together, steps)))

    def __getitem__(self, cases: slice) -> Recorded:
        """Some of the cases of a stack, as a stack."""
        return Recorded(
            self.given[cases],
            tuple(each.map(lambda array: array[cases]) for each in self.records),
        )
