"""A framework that runs a network step by step and shows all it holds, with a fault where wanted.

Every step is computed in float64 and rounded to the dtype, which is finer than any framework needs
to be; cotangents are added up in the order of the uses. A fault changes one array of one step, and
whatever is computed from it follows from that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from crosscheck.frameworks.leaves import steps_of
from crosscheck.judge.local.programs import COTANGENT, RESULT, program_of
from crosscheck.judge.local.record import Record, Recorded
from crosscheck.network.composed import AnyCase, Composed, Derivatives
from crosscheck.network.dense import Gradients
from crosscheck.network.names import LOSS
from crosscheck.network.steps import differentiated
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of
from crosscheck.program.evaluate import evaluate
from crosscheck.program.floats import OnFloats
from crosscheck.program.graph import Program

__all__ = ["StepFault", "simulated"]


@dataclass(frozen=True)
class StepFault:
    """What is wrong in one step.

    Attributes:
        step: Its id.
        part: ``"result"``, or the operand whose cotangent it is.
        change: From the right array, in float64, to the wrong one.
    """

    step: str
    part: str
    change: Callable[[Array], Array]


def simulated(case: AnyCase, fault: StepFault | None = None) -> Recorded:
    """The gradient of a case or a stack, with what was held at each step.

    Args:
        case: The case.
        fault: What is wrong; ``None`` for a right gradient.
    """
    form, steps = format_of(case.dtype), steps_of(case)
    wanted = differentiated(steps)
    lead = 0 if case.count is None else 1
    held: dict[str, Array] = dict(case.entries())
    operands: dict[str, dict[str, Array]] = {}
    results: dict[str, Array] = {}

    def run(step: Any, seed: Array | None) -> dict[str, Any]:
        inputs = operands[step.id]
        shapes = tuple((name, array.shape[lead:]) for name, array in inputs.items())
        program = program_of(step, shapes, wanted[step.id])
        if seed is None:
            seed = np.zeros(())
            program = Program(program.nodes, program.inputs, {RESULT: program.outputs[RESULT]})
        with np.errstate(all="ignore"):
            found = evaluate(program, OnFloats(), {**inputs, COTANGENT: seed})
        found = {name: form.round(np.asarray(value)) for name, value in found.items()}
        if fault is not None and fault.step == step.id and fault.part in found:
            found[fault.part] = form.round(fault.change(found[fault.part]))
        return found

    for step in steps:
        operands[step.id] = {name: held[source] for name, source in step.inputs}
        results[step.id] = held[step.id] = run(step, None)[RESULT]
    sent: dict[str, Array] = {steps[-1].id: np.ones_like(results[steps[-1].id])}
    records = []
    for step in reversed(steps):
        found = run(step, sent[step.id])
        down: Mapping[str, Array] = {
            name: np.broadcast_to(found[name], held[source].shape)
            for name, source in step.inputs
            if name in wanted[step.id]
        }
        for name, source in step.inputs:
            if name in down:
                before = sent.get(source)
                sent[source] = down[name] if before is None else form.round(before + down[name])
        records.append(Record(step, operands[step.id], results[step.id], sent[step.id], down))
    found = {LOSS: results[steps[-1].id], **{name: sent[name] for name in case.wanted}}
    kind = Derivatives if isinstance(case, Composed) else Gradients
    given: Any = kind.named(found)
    return Recorded(given, tuple(reversed(records)))
