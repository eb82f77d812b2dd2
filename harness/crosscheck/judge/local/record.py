"""What a framework held at each step of a network while it differentiated a loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from crosscheck.network.composed import AnyGradients
from crosscheck.network.steps import Step
from crosscheck.numbers.arrays import Array

__all__ = ["Record", "Recorded"]


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

    def __getitem__(self, cases: slice) -> Recorded:
        """Some of the cases of a stack, as a stack."""
        return Recorded(
            self.given[cases],
            tuple(each.map(lambda array: array[cases]) for each in self.records),
        )
