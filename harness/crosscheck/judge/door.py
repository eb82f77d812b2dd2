"""The door to verdicts: a case of any kind in, the judge that knows it out.

Callers do not know what is behind it: dense networks have bounds and searches of their own,
networks of operators are judged by the program that they expand to.
"""

from __future__ import annotations

from typing import TypeAlias

from crosscheck.judge.compare import Judge, StackJudge
from crosscheck.judge.programs.judge import ProgramJudge, ProgramStackJudge
from crosscheck.network.composed import AnyCase, Composed

__all__ = ["AnyJudge", "AnyStackJudge", "judge_of", "stack_judge_of"]

AnyJudge: TypeAlias = Judge | ProgramJudge
AnyStackJudge: TypeAlias = StackJudge | ProgramStackJudge


def judge_of(case: AnyCase) -> AnyJudge:
    """What compares gradients of a single case with the reference."""
    return ProgramJudge(case) if isinstance(case, Composed) else Judge(case)


def stack_judge_of(stack: AnyCase) -> AnyStackJudge:
    """What compares gradients of a stack of cases with the reference."""
    return ProgramStackJudge(stack) if isinstance(stack, Composed) else StackJudge(stack)
