"""The derivation of a gradient of a network of operators, step by step.

Forward, each step's value in exact numbers; then from the loss down what each step is sent, and the
gradient. Where something is decided at a breakpoint the slopes from the left and from the right
stand beside what each framework took. After ≈ numbers are rounded, but only to be
shown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from crosscheck.explain.document import Block, Cell, Document, Formulas, Paragraph, Section, Table
from crosscheck.explain.marks import marks_section
from crosscheck.formulas.tree import Expression, Line, Matrix, Number, Partial, Symbol, Words
from crosscheck.frameworks.base import Framework
from crosscheck.judge.door import judge
from crosscheck.judge.marking import Marked, MarkedEntry, marked
from crosscheck.judge.programs.enclosed import EnclosedProgram
from crosscheck.judge.programs.explanation import consumer_of
from crosscheck.judge.programs.judge import ProgramJudge
from crosscheck.judge.verdict import Verdict, fails
from crosscheck.network.composed import AnyCase, Composed
from crosscheck.network.exact import rational_of, rationals
from crosscheck.network.given import Given
from crosscheck.network.names import LOSS
from crosscheck.network.steps import Step
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.model import Model
from crosscheck.numbers.multilinear import fraction
from crosscheck.operators.registry import operator_of
from crosscheck.program.derive import cotangents
from crosscheck.program.evaluate import evaluate, values_of
from crosscheck.program.exact import OnExact
from crosscheck.run.answers import asking, with_verdict
from crosscheck.tools.errors import UsageError

__all__ = ["explain_composed", "require_explainable"]

_SHOWN = 24
"""Numbers of an array that are written out."""


def require_explainable(case: AnyCase) -> None:
    """Whether there is a derivation of a case, of either kind.

    Raises:
        UsageError: The case is a stack, or not finite.
    """
    if case.count is not None:
        raise UsageError(f"case: a stack of {case.count} given, wanted one; take a case[i]")
    if not case.is_finite:
        raise UsageError(
            "case: holds NaN or infinity, for which there is no derivation; "
            "`crosscheck run --case` shows what the frameworks make of it"
        )


def explain_composed(
    case: Composed,
    frameworks: Sequence[Framework] = (),
    *,
    given: Given | None = None,
    label: str = "",
) -> Document:
    """The derivation of ``case``, with the frameworks' verdicts beside the result.

    Args:
        case: A single finite case.
        frameworks: Adapters; each is asked for the gradient.
        given: Numbers to be marked.
        label: A name for the case.

    Raises:
        UsageError: The case is a stack, or not finite.
    """
    require_explainable(case)
    question = judge(case)
    waiting = [(each, asking(each, case, "run")) for each in frameworks]
    verdicts = [with_verdict(each, awaited(), question)[1] for each, awaited in waiting]
    arrays = {name: rationals(array) for name, array in case.entries()}
    forward = values_of(case.program, OnExact(rational_of), arrays)
    sent = evaluate(cotangents(case.program, LOSS, case.results), OnExact(rational_of), arrays)
    exact = evaluate(case.gradient, OnExact(rational_of), arrays)
    own = question.judge()
    assert isinstance(own, ProgramJudge)
    decisions = own.enclosed(Model(format_of(case.dtype)))
    sections = [
        Section("Given", (_given(case),)),
        Section("Forward", tuple(_forward(case, forward))),
        Section("Backward", tuple(_backward(case, sent))),
    ]
    if decisions.decisions:
        sections.append(Section("Breakpoints", tuple(_breakpoints(decisions, verdicts))))
    sections.append(Section("The gradient", tuple(_result(case, exact, verdicts))))
    failed = any(fails(verdict) for verdict in verdicts)
    if given is not None:
        found = marked(given, question)
        sections.append(_marks(found, exact))
        failed |= found.failed
    introduction = Paragraph((f"{case.description}; key {case.key}.",))
    title = f"The gradient of {label}" if label else "The gradient of a network of operators"
    return Document(title, (introduction,), tuple(sections), failed)


def _given(case: Composed) -> Formulas:
    lines = [Line((_symbol(name), _numbers(rationals(array)))) for name, array in case.entries()]
    return Formulas(tuple(lines), compact=True)


def _forward(case: Composed, values: dict[int, Any]) -> list[Block]:
    """What each step computes, and of what."""
    lines = []
    for each in case.steps:
        target = Symbol(LOSS) if each is case.steps[-1] else _symbol(each.id)
        lines.append(Line((target, _formula(each), _numbers(values[case.results[each.id]]))))
    words = dict.fromkeys(operator_of(each.op).words for each in case.steps)
    return [Formulas(tuple(lines)), Paragraph((" ".join(filter(None, words)),))]


def _formula(each: Step) -> Expression:
    """A step's operator, of its operands and attributes."""
    operands = {name: _symbol(source) for name, source in each.inputs}
    return operator_of(each.op).formula(**operands, **each.settings)


def _symbol(name: str) -> Symbol:
    """A name as a symbol; ``W1`` has a number."""
    numbered = re.fullmatch(r"([A-Za-z])(\d+)", name)
    return Symbol(name) if numbered is None else Symbol(numbered[1], int(numbered[2]))


def _derivative(name: str) -> Partial:
    return Partial(Symbol(LOSS), _symbol(name))


def _backward(case: Composed, sent: dict[str, Any]) -> list[Block]:
    """What comes to each step's result from the loss."""
    lines = [
        Line((_derivative(each.id), _numbers(sent[each.id])), note=f"the result of {each.op}")
        for each in reversed(case.steps[:-1])
    ]
    told = "Each step is sent the derivative of the loss by its result, and hands on what its rule "
    told += "makes of it. At breakpoints the slopes from the left are taken here."
    return [Paragraph((told,)), Formulas(tuple(lines))]


def _breakpoints(enclosed: EnclosedProgram, verdicts: Sequence[Verdict]) -> list[Block]:
    """What is decided, and what each framework took."""
    case = enclosed.case
    readings = [{gate.place: gate for gate in verdict.gates} for verdict in verdicts]
    names = tuple(f"λ, {verdict.framework}" for verdict in verdicts)
    rows = []
    for each in enclosed.decisions:
        site = each.place.node
        step = consumer_of(enclosed, site, case.step_of)
        slopes = enclosed.slopes_at(each)
        taken = []
        for found in readings:
            gate = found.get(each.place)
            if gate is None:
                taken.append("no effect")
            else:
                taken.append(str(gate.effect) if gate.slope is None else f"{gate.slope:g}")
        place = f"{step}[{','.join(map(str, each.place.index))}]"
        numbers: list[Cell] = [_number(each.breakpoint), *map(_number, slopes)]
        rows.append((place, str(each.gate), *numbers, *taken))
    heading = ("where", "class", "breakpoint", "slope, left", "slope, right", *names)
    told = "The slope s = s₋ + λ (s₊ - s₋) is a choice for λ in [0, 1]: "
    told += (
        "there is no derivative at a breakpoint. Of a number that is one of the largest λ is the "
    )
    told += "weight that it has among them."
    return [Paragraph((told,)), Table(heading, tuple(rows), left=2, keys=1)]


def _result(case: Composed, exact: dict[str, Any], verdicts: Sequence[Verdict]) -> list[Block]:
    lines = [Line((Symbol(LOSS), _numbers(exact[LOSS])))]
    lines += [Line((_derivative(name), _numbers(exact[name]))) for name in case.wanted]
    blocks: list[Block] = [Formulas(tuple(lines))]
    if verdicts:
        told = []
        for verdict in verdicts:
            worst = verdict.worst
            error = "" if worst is None else f"{worst.bounds:.3g} of its bound, in {worst.name}"
            told.append((verdict.framework, str(verdict.kind), error, verdict.detail))
        heading = ("framework", "verdict", "largest error", "remark")
        blocks.append(Table(heading, tuple(told), left=4))
        blocks += [
            Paragraph((f"{verdict.framework}: {verdict.basis}.",))
            for verdict in verdicts
            if verdict.basis
        ]
    return blocks


def _marks(found: Marked, exact: dict[str, Any]) -> Section:
    """Numbers given, at breakpoints beside those of the slopes that fit them best."""

    def called(each: MarkedEntry) -> Expression:
        by = _symbol(each.array)
        if each.array == LOSS:
            return by
        return Partial(Symbol(LOSS), Symbol(by.letter, by.layer, each.index))

    def wanted(each: MarkedEntry) -> Expression:
        if found.slopes:
            return Number(fraction(each.reference), rounded=True)
        return _number(np.asarray(exact[each.array], dtype=object)[each.index])

    return marks_section(found, called, wanted)


def _numbers(values: Any) -> Expression:
    """An array of rationals, row by row; of a larger one its shape."""
    array = np.asarray(values, dtype=object)
    if array.ndim == 0:
        return _number(array.item())
    if array.size > _SHOWN or array.ndim > 2:
        return Words(f"{' × '.join(map(str, array.shape))} numbers")
    return Matrix(tuple(tuple(map(_number, row)) for row in np.atleast_2d(array)))


def _number(value: Any) -> Number:
    return Number(fraction(value))
