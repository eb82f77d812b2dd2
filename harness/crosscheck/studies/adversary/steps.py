"""Each operator's step on a framework's own operands, judged as the local certificate does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from crosscheck.judge.local.programs import COTANGENT, RESULT, program_of
from crosscheck.judge.local.record import Record
from crosscheck.judge.local.step import StepBounds
from crosscheck.network.steps import Step
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.model import Model
from crosscheck.operators.registry import known
from crosscheck.program.evaluate import evaluate
from crosscheck.program.graph import Shape
from crosscheck.studies.adversary.arithmetic import Held, OnMachine
from crosscheck.studies.adversary.machine import Machine
from crosscheck.studies.adversary.operands import lambdas, numbers, step_of

__all__ = ["STEPS", "Taken", "parts_of", "step_ratios"]


@dataclass(frozen=True)
class Taken:
    """An operator's step.

    Attributes:
        step: The step.
        shapes: Name of each operand to its shape.
    """

    step: Step
    shapes: tuple[tuple[str, Shape], ...]


def _steps() -> dict[str, Taken]:
    found = {}
    for operator in known().values():
        for attributes in ({}, *operator.variants):
            words = " ".join(f"{name}={value}" for name, value in attributes.items())
            found[f"{operator.name} {words}".strip()] = Taken(*step_of(operator, attributes))
    return found


STEPS: Mapping[str, Taken] = MappingProxyType(_steps())
"""Every operator by name, with its variants."""


def step_ratios(taken: Taken, machine: Machine, model: Model) -> dict[str, Array]:
    """Error / bound of each part of each try: by name of the part, (P,).

    Args:
        taken: What is evaluated.
        machine: The framework.
        model: What it is held to.
    """
    program, genes = program_of(taken.step, taken.shapes), machine.genes
    operands = {}
    near = next(
        (node.settings["function"] for node in program.nodes if node.op == "piecewise"), None
    )
    for name, shape in taken.shapes:
        operands[name] = numbers(genes, model.format, shape, near if name == "z" else None)
    if near is not None and {"a", "y"} <= set(operands):
        # So that the residual, or the margin, is at a breakpoint now and then.
        beside = model.format.round(operands["y"] + numbers(genes, model.format, (2, 3), near))
        pick = (genes.below(2, (2, 3)) == 0) & np.isfinite(beside)
        operands["a"] = np.where(pick, beside, operands["a"])
    shape = program.nodes[program.outputs[RESULT]].shape
    cotangent = numbers(genes, model.format, shape)
    sites = {node.inputs[0] for node in program.nodes if node.op == "select"}
    decisions = {site: lambdas(genes, program.nodes[site].shape) for site in sorted(sites)}
    arrays = {**operands, COTANGENT: cotangent}
    held = {name: Held.of(machine, array) for name, array in arrays.items()}
    found = {
        name: value.closed
        for name, value in evaluate(program, OnMachine(machine, decisions), held).items()
    }
    sent = {
        name: np.broadcast_to(array, (genes.count, *dict(taken.shapes)[name]))
        for name, array in found.items()
        if name != RESULT
    }
    record = Record(taken.step, operands, found[RESULT], cotangent, sent)
    # Of what is not finite the local certificate says nothing.
    numbers_held = (*found.values(), *operands.values(), cotangent)
    judged = np.all(
        [np.isfinite(each).reshape(genes.count, -1).all(axis=1) for each in numbers_held], axis=0
    )
    return {
        part.name: np.where(judged, part.ratio.reshape(genes.count, -1).max(axis=1), 0.0)
        for part in StepBounds(record, model, stacked=True).parts()
    }


def parts_of(taken: Taken) -> tuple[str, ...]:
    """The names of the parts of a step."""
    return tuple(program_of(taken.step, taken.shapes).outputs)
