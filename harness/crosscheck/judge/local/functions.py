"""The local certificate of a function of the user's: each operation that a library ran.

A step here is an operation as it was run, on real numbers, with the program of what it computes.
The numbers that it was given and returned have names: those of the function's arguments, and those
of what operations returned. What is differentiated is Σ c ∘ f over the outputs f, with cotangents
c: an output's cotangent is c, added to what comes from further uses of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from crosscheck.frontends.traced import Source
from crosscheck.judge.local.check import Comparison, Flags
from crosscheck.judge.local.judge import StepJudge
from crosscheck.judge.local.step import StepBounds
from crosscheck.network.steps import Step
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.library import Library
from crosscheck.program.derive import vjp
from crosscheck.program.graph import Program

__all__ = ["Operation", "OperationJudge", "Output", "RecordedFunction", "has_slope"]


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation as it was run.

    Attributes:
        step: Its number and name; ``inputs`` are the numbers that it was given, by their names.
        forward: What it computes: of ``operands``, ``results``.
        operands: As of `crosscheck.judge.local.record.Record`; with constants that it has itself.
        results: By name, what it returned.
        cotangents: By ``"cotangent of …"`` of a result.
        sent: By name of an operand, what its derivative returned.
        made: Name of each result to the name that it has among all numbers.
        source: Where it stands.
        has_slope: See `has_slope`. Of what has none it does not matter what comes: all that it
            sends down has to be 0.
        placed: None of them puts numbers in an order by itself.
        parts: Of what a derivative hands over in parts that are added to what comes from elsewhere
            one by one, those. ``sent`` has their sum, rounded once to float64, which is no more
            than the library's own additions are allowed.
    """

    step: Step
    forward: Program
    operands: Mapping[str, Array]
    results: Mapping[str, Array]
    cotangents: Mapping[str, Array]
    sent: Mapping[str, Array]
    made: Mapping[str, str]
    source: Source | None = None
    has_slope: bool = True
    placed: Callable[..., Array] | None = None
    parts: Mapping[str, Sequence[Array]] = field(default_factory=dict)

    def program(self, stacked: bool) -> Program:
        """See `crosscheck.judge.local.record.AnyRecord`."""
        seeds = dict(zip(self.results, self.cotangents, strict=True))
        return vjp(self.forward, seeds, tuple(self.sent))

    def map(self, change: Callable[[Array], Array]) -> Operation:
        """The same step with other arrays."""

        def changed(arrays: Mapping[str, Array]) -> dict[str, Array]:
            return {name: change(array) for name, array in arrays.items()}

        return replace(
            self,
            operands=changed(self.operands),
            results=changed(self.results),
            cotangents=changed(self.cotangents),
            sent=changed(self.sent),
            parts={name: tuple(map(change, each)) for name, each in self.parts.items()},
        )


def has_slope(forward: Program, names: Sequence[str]) -> bool:
    """Whether a program is differentiated by any of these inputs, and not cut off from them all.

    What is held, what has steps, and a product with known zeros send down nothing; a library that
    knows that does not even form the cotangent.
    """
    seeds = {name: f"cotangent of {name}" for name in forward.outputs}
    derived = vjp(forward, seeds, tuple(names))
    return any(derived.nodes[derived.outputs[name]].op != "zeros" for name in names)


@dataclass(frozen=True, eq=False)
class Output:
    """What a function returned.

    Attributes:
        made: Which of the numbers it is.
        value: As it was returned.
        cotangent: c.
    """

    made: str
    value: Array
    cotangent: Array


@dataclass(frozen=True, eq=False)
class RecordedFunction:
    """A function's gradient, and the operations that led to it.

    Attributes:
        operations: In the order in which they were run.
        arrays: The arguments that are real numbers, by name.
        outputs: By name.
        derivatives: By argument, what was returned.
    """

    operations: tuple[Operation, ...]
    arrays: Mapping[str, Array]
    outputs: Mapping[str, Output]
    derivatives: Mapping[str, Array]


class OperationJudge(StepJudge[Operation, RecordedFunction]):
    """Judges the operations of a recorded function.

    Args:
        dtype: Of all its numbers.
        library: Whose elementary functions are called.
    """

    def __init__(self, dtype: str, library: Library | None = None) -> None:
        super().__init__(dtype, None, library)

    def _records(self, recorded: RecordedFunction) -> Sequence[Operation]:
        return recorded.operations

    def _find_idle(
        self, recorded: RecordedFunction, bounds: Sequence[tuple[Operation, StepBounds]]
    ) -> None:
        if not any(each.has_ties for _, each in bounds):
            return
        alive = {
            name: np.full(array.shape, name in recorded.derivatives)
            for name, array in recorded.arrays.items()
        }
        for record, each in bounds:
            named = record.step.operands
            operands = {
                name: alive[named[name]] if name in named else np.zeros(array.shape, dtype=bool)
                for name, array in record.operands.items()
            }
            found = each.live(operands)
            alive |= {record.made[name]: found[name] for name in record.results}

    def _addends(self, record: Operation, name: str) -> Sequence[Array]:
        return record.parts.get(name) or super()._addends(record, name)

    def _links(
        self, recorded: RecordedFunction, records: Sequence[Operation], left_out: Flags
    ) -> Iterator[list[Comparison]]:
        """Whether each operand is what was given, or what an operation before returned."""
        made = dict(recorded.arrays)
        for record in records:
            yield [
                self._linked(record, name, source, made[source], left_out)
                for name, source in record.step.inputs
            ]
            made |= {record.made[name]: result for name, result in record.results.items()}

    def _sums(
        self, recorded: RecordedFunction, records: Sequence[Operation], left_out: Flags
    ) -> dict[str, list[Comparison]]:
        """Whether each cotangent is the sum of what was sent to its uses, and of c of outputs."""
        uses = self._uses(records)
        for output in recorded.outputs.values():
            uses.setdefault(output.made, []).append(output.cotangent)
        found: dict[str, list[Comparison]] = {}
        values: dict[str, Array] = {}
        for record in records:
            values |= {record.made[name]: array for name, array in record.results.items()}
            if not (record.sent and record.has_slope):
                continue
            found[record.step.id] = [
                self._came(record.step.id, cotangent, uses.get(record.made[name], ()), left_out)
                for name, cotangent in zip(record.results, record.cotangents.values(), strict=True)
            ]
        for name, derivative in recorded.derivatives.items():
            said = f"the derivative by {name}"
            found[said] = [self._came(said, derivative, uses.get(name, ()), left_out)]
        for name, output in recorded.outputs.items():
            held = values.get(output.made, recorded.arrays.get(output.made))
            if held is not None:
                same = self._same(output.value, held) | left_out
                what = "it is not what was computed last"
                found[f"output {name}"] = [Comparison(name, "", what, (), (), same)]
        return found

    def _came(self, name: str, value: Array, sent: Sequence[Array], left_out: Flags) -> Comparison:
        if sent:
            return self._summed(name, value, sent, left_out)
        same = self._all(value == 0.0) | left_out
        return Comparison(name, "", "its cotangent is not 0, and it has no use", (), (), same)
