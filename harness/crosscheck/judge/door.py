"""The door to verdicts: cases of any kind and answers in, verdicts out.

Callers do not know what is behind it: in which order which mechanisms are tried, and which of them
know what kind of network, format or mode of differentiation, is written in
`crosscheck.judge.rungs` alone.

    question = judge(cases, [Answer(gradients)])
    question.verdict(0, 5)  # on the first answer to case 5

    question = judge(case)
    question.another(Answer(gradient))  # whatever is asked of a single case, one after the other
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from crosscheck.judge.question import Answer, Cases, Question
from crosscheck.judge.rungs import AT_ONCE, LADDER
from crosscheck.numbers.arrays import Array

__all__ = [
    "Answer",
    "Cases",
    "Question",
    "certified",
    "judge",
    "judge_rest",
]


def judge(
    cases: Cases,
    answers: Sequence[Answer] = (),
    *,
    with_arrays: bool = False,
    with_gates: bool = False,
    by_steps: bool = False,
) -> Question:
    """The verdicts on several answers to a stack of cases, or to one.

    Args:
        cases: C cases, or one without an axis in front.
        answers: F answers on all of them; more can be asked about by `Question.another`.
        with_arrays: Whether also a verdict that all is well says which arrays are checked.
        with_gates: See `Question`.
        by_steps: Likewise.

    Returns:
        What was asked, with what is known of it; ask it for each `Question.verdict`.
    """
    question = Question(
        cases, answers, with_arrays=with_arrays, with_gates=with_gates, by_steps=by_steps
    )
    for rung in LADDER:
        rung(question)
    return question


def certified(
    cases: Cases,
    answers: Sequence[Answer],
    *,
    few: int = 0,
    out: tuple[NDArray[np.bool_], Array] | None = None,
) -> Question:
    """Which answers certainly AGREE on which cases, as far as that can be said of all at once.

    Args:
        cases: C cases.
        answers: F answers on all of them.
        few: So many cases are not worth a stack of their own: they may be left, to be handed to
            `judge_rest` with those of others.
        out: Arrays for `Question.agrees` and `Question.bounds`, in place of new ones.

    Returns:
        What was asked. Where it does not agree, there is an open gate, or something to explain.
    """
    question = Question(cases, answers, few=few, out=out)
    for rung in AT_ONCE:
        rung(question)
    return question


def judge_rest(cases: Cases, answers: Sequence[Answer], agrees: NDArray[np.bool_]) -> Question:
    """The verdicts on cases that `certified` has left.

    Args:
        cases: C cases, of several batches, if need be.
        answers: F answers on all of them.
        agrees: (F, C): which certainly AGREE.
    """
    question = Question(cases, answers, out=(agrees, np.zeros(agrees.shape)))
    for rung in LADDER[len(AT_ONCE) :]:
        rung(question)
    return question
