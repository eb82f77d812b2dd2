"""The rungs of the ladder: each settles what it can, and hands the rest on.

    compiled        a pass over a whole batch says which gradients certainly AGREE
    enclosed        a stack is enclosed at once: the same, for all kinds of networks, formats
                    and modes, and with what the bounds check
    one_open_gate   cases with one open gate at the most are judged together, whatever the verdict
    one by one      everything else, each case by itself and not before it is asked for:
                    `crosscheck.judge.question.Question.verdict`

A rung may decline a question, or some of its answers or cases; it never has to say anything. What
it says is what the judge of one case would say, so that only time depends on who says it. Why that
is so is shown in `crosscheck.judge.compiled` and `crosscheck.judge.together`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from crosscheck.judge.compiled import FusedJudge
from crosscheck.judge.enclosed import Derivation
from crosscheck.judge.question import Question
from crosscheck.judge.stacks import ProgramStackJudge, StackJudge
from crosscheck.judge.together import judged_together
from crosscheck.judge.verdict import Kind, Verdict
from crosscheck.network.composed import Composed
from crosscheck.network.dense import Case
from crosscheck.numbers.library import Library

__all__ = ["AT_ONCE", "LADDER", "Rung", "compiled", "enclosed", "one_open_gate"]

Rung = Callable[[Question], None]
"""Settles what it can of a question."""


def compiled(question: Question) -> None:
    """Which gradients certainly AGREE, by a pass over the batch as it lies in memory.

    Being the first, it writes every entry of ``agrees`` and ``bounds``. It declines networks of
    operators, forward mode, questions about arrays, and what `FusedJudge` declines: formats and
    sizes that the pass is not made for, a single case, stacks of a few, gradients of other shapes.
    """
    rows = question.rows("reverse")
    if question.with_arrays or question.batch is None:
        rows = []
    if len(rows) < len(question.answers):
        question.agrees[:], question.bounds[:] = False, 0.0
    if not rows:
        return
    assert question.batch is not None
    judge = FusedJudge(question.batch)
    given: Any = [question.answers[row].given for row in rows]
    if len(rows) == len(question.answers):
        judge.certified(given, (question.agrees, question.bounds))
    else:
        question.agrees[rows], question.bounds[rows] = judge.certified(given)


def enclosed(question: Question) -> None:
    """Which gradients AGREE by the enclosures of whole stacks, and which arrays these check.

    It declines a single case, reverse-mode answers of which a few cases are left only, if there
    are to be so few, and gradients of other shapes.
    """
    if question.is_single:
        return
    for derivation in get_args(Derivation):
        rows = [row for row in question.rows(derivation) if question.fits(row)]
        if not rows:
            continue
        left = question.left(rows)
        if len(left) <= (question.few if derivation == "reverse" else 0):
            continue
        for chosen in question.pieces(left):
            _enclose(question, derivation, rows, chosen)


def _enclose(
    question: Question, derivation: Derivation, rows: Sequence[int], chosen: NDArray[np.intp]
) -> None:
    """Settle what can be settled of some cases by enclosing them together."""
    stack = question.stack(chosen)
    judges: dict[Library | None, Any] = {}
    for row in rows:
        fresh = ~question.agrees[row, chosen]
        if not fresh.any():
            continue
        library = question.library(question.answers[row])
        if library not in judges:
            judges[library] = (
                ProgramStackJudge(stack, library)
                if isinstance(stack, Composed)
                else StackJudge(stack)
            )
        judge = judges[library]
        agrees, bounds = judge.agreements(question.given(row, chosen), derivation)
        if question.with_gates:
            agrees &= ~judge.has_idle(derivation)
        question.agrees[row, chosen[fresh]] = agrees[fresh]
        question.bounds[row, chosen[fresh]] = bounds[fresh]
        if question.with_arrays and agrees.any():
            arrays, names = judge.arrays_checked(derivation), question.answers[row].names
            for index, at in zip(chosen[agrees].tolist(), np.flatnonzero(agrees), strict=True):
                checked, unchecked = arrays[at]
                question.verdicts[row, index] = Verdict(
                    *names, Kind.AGREES, checked=checked, unchecked=unchecked
                )


def one_open_gate(question: Question) -> None:
    """The verdicts on dense cases that have one open gate at the most, in reverse mode.

    It declines a single case, networks of operators, forward mode, and where there is more to be
    looked for; see `judged_together`.
    """
    if question.is_single or isinstance(question.cases, Composed):
        return
    rows = [row for row in question.rows("reverse") if question.has_all_cases(row)]
    for chosen in question.pieces(question.left(rows)) if rows else ():
        stack = question.stack(chosen)
        assert isinstance(stack, Case)
        found = judged_together(stack, [question.given(row, chosen) for row in rows])
        for index, judged in zip(chosen.tolist(), found, strict=True):
            if judged is None:
                continue
            question.references[index] = judged.reference
            question.refuted[index] = judged.smooth
            for row, verdict in zip(rows, judged.verdicts, strict=True):
                if verdict is not None and not question.agrees[row, index]:
                    question.settle(row, index, verdict)


AT_ONCE: tuple[Rung, ...] = (compiled, enclosed)
"""The rungs that certify, of many cases at once, that a gradient AGREES."""

LADDER: tuple[Rung, ...] = (*AT_ONCE, one_open_gate)
"""All rungs, in order."""
