"""A disagreement as a message for a test's failure, with the case as Python to paste."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from crosscheck.judge.certificates import Certificate
from crosscheck.judge.compare import Judge
from crosscheck.judge.decisions import GateClass
from crosscheck.judge.programs.judge import ProgramJudge
from crosscheck.judge.verdict import Kind, Verdict, fails, how_to_allow
from crosscheck.network.composed import AnyCase, Composed
from crosscheck.network.steps import Step
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.model import Model
from crosscheck.numbers.scaling import nearest
from crosscheck.operators.registry import operator_of
from crosscheck.run.events import CaseChecked
from crosscheck.tools.words import exactly

__all__ = ["case_as_python", "failure_text"]

_RELATIONS = str(Certificate.RELATIONS)
_SHOWN_GATES = 8
_LONGEST_CASE = 4_000


def failure_text(event: CaseChecked, *, note: str) -> str:
    """What a person reads when implementations disagree with the reference.

    Args:
        event: The case and what every implementation made of it.
        note: Where the case comes from.
    """
    return "\n".join(_lines(event, note))


def case_as_python(case: AnyCase) -> str:
    """Source that builds ``case``, with hexadecimal floats where a decimal would be long."""
    if isinstance(case, Composed):
        return _composed_as_python(case)
    arguments = [
        f"[{', '.join(_numbers(weight.tolist()) for weight in case.weights)}]",
        f"[{', '.join('None' if b is None else _numbers(b.tolist()) for b in case.biases)}]",
        f"x={_numbers(case.x.tolist())}",
        f"y={_numbers(case.y.tolist())}",
        f'dtype="{case.dtype}"',
        f'output="{case.network.output}"',
        f'reduction="{case.network.reduction}"',
    ]
    body = "".join(f"    {argument},\n" for argument in arguments)
    head = "from crosscheck import Case\n\n"
    if "h(" in body:
        head += "h = float.fromhex\n"
    return f"{head}case = Case.of(\n{body})"


def _composed_as_python(case: Composed) -> str:
    def operand(each: Step, name: str) -> str:
        return repr(each.operands[name]) if name in each.operands else "None"

    steps = []
    for each in case.steps:
        operands = [operand(each, name) for name in operator_of(each.op).operands]
        attributes = [f"{name}={value!r}" for name, value in each.attributes]
        steps.append(f"step({', '.join([repr(each.id), repr(each.op), *operands, *attributes])})")
    lines = ["    ["] + [f"        {each}," for each in steps] + ["    ],"]
    for arrays in (case.parameters, case.inputs):
        body = [f'        "{name}": {_numbers(v.tolist())},' for name, v in arrays.items()]
        lines += ["    {", *body, "    },"]
    lines.append(f'    dtype="{case.dtype}",')
    head = "from crosscheck import Composed, step\n\n"
    if any("h(" in line for line in lines):
        head += "h = float.fromhex\n"
    return head + "case = Composed.of(\n" + "\n".join(lines) + "\n)"


def _numbers(values: Any) -> str:
    if isinstance(values, list):
        return f"[{', '.join(map(_numbers, values))}]"
    short = repr(values)
    if not math.isfinite(values):
        return f'float("{short}")'
    return short if len(short) <= 6 else f'h("{values.hex()}")'


def _lines(event: CaseChecked, note: str) -> Iterator[str]:
    yield "the gradients do not agree"
    yield ""
    for verdict in event.verdicts:
        yield from _verdict_lines(verdict, fails(verdict, event.allow))
    yield ""
    yield from _gate_lines(event)
    yield ""
    case = event.case
    yield f"{note}: {case.description}; key {case.key}"
    source = case_as_python(case)
    if len(source) <= _LONGEST_CASE:
        yield ""
        yield source


def _verdict_lines(verdict: Verdict, failing: bool) -> Iterator[str]:
    how = f" ({verdict.mode})" if verdict.mode else ""
    line = f"{verdict.framework}{how}: {verdict.kind}"
    worst = verdict.worst
    if worst is not None and not failing:
        line += (
            f"; largest error {worst.bounds:.3g} of its bound, {worst.ulps:.3g} ulp, "
            f"in {worst.name}"
            if worst.error > 0
            else "; bit for bit the reference"
        )
    if verdict.kind is Kind.REDUCED:
        line += f"; {verdict.reduction}"
    if verdict.detail:
        line += f". {verdict.detail}"
    yield line
    if verdict.basis:
        yield f"    {verdict.basis}"
    if failing and (advice := how_to_allow(verdict)):
        yield f"    {advice}"
    if verdict.kind is Kind.INCONSISTENT and verdict.certificates[-1].certificate == _RELATIONS:
        yield "    if it is compiled, or goes forwards, this need not hold: as_written=False"
    if worst is not None and failing:
        yield (
            f"    worst entry {worst.name}: given {worst.given!r}, reference {worst.reference!r}; "
            f"{worst.distance}"
        )
    if verdict.first_layer is not None:
        which = f"layer {verdict.first_layer}" if verdict.first_layer else "the input's gradient"
        yield f"    first to leave its bound, from the top: {which}"
    for policy in verdict.policies:
        yield f"    {policy.question}: {' or '.join(policy.answers)}"
    for gate in verdict.gates:
        slope = str(gate.effect) if gate.slope is None else f"λ = {gate.slope:g}"
        other = ", the other side" if gate.flipped else ""
        yield f"    {gate.where}: {slope}{other}"


def _decision_lines(case: Composed) -> Iterator[str]:
    """The decisions of a network of operators that are not certain."""
    decisions = ProgramJudge(case).enclosed(Model(format_of(case.dtype))).decisions
    yield f"decisions: {len(decisions) or 'none'} not certain"
    for each in decisions[:_SHOWN_GATES]:
        index = ",".join(map(str, each.place.index))
        step = case.step_of.get(each.place.node, "")
        at = f"{nearest(each.breakpoint):g}, value {exactly(each.value)}"
        yield f"    {step}[{index}]: {each.gate} at {at}"


def _gate_lines(event: CaseChecked) -> Iterator[str]:
    """The gates that are not certain; of a small case, all of them."""
    case = event.case
    if not case.is_finite:
        yield "gates: none, the case holds NaN or infinity"
        return
    if isinstance(case, Composed):
        yield from _decision_lines(case)
        return
    gates = Judge(case).enclosed(Model(format_of(case.dtype))).gates
    counts = {kind: sum(gate.gate is kind for gate in gates) for kind in GateClass}
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    yield f"gates: {told or 'none, the network is linear'}"
    certain = (GateClass.ACTIVE, GateClass.INACTIVE)
    shown = gates if len(gates) <= _SHOWN_GATES else [g for g in gates if g.gate not in certain]
    for gate in shown[:_SHOWN_GATES]:
        yield f"    {gate.place}: {gate.gate}, z = {exactly(gate.value)}"
    if len(shown) > _SHOWN_GATES:
        yield f"    … and {len(shown) - _SHOWN_GATES} more that are not certain"
