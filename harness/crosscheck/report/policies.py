"""The table of policies: what each framework does where IEEE 754 leaves it to a ReLU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from crosscheck.judge.verdict import QUESTIONS

__all__ = ["NOT_SEEN", "Told", "choice", "policy_rows"]

NOT_SEEN = "not seen"

Told: TypeAlias = Mapping[str, Mapping[tuple[str, ...], int]]
"""Of each question the answers that single gradients left, and in how many cases they did."""


def choice(question: str, told: Mapping[tuple[str, ...], int]) -> str:
    """The answer of one framework in one mode to one of `crosscheck.judge.verdict.QUESTIONS`.

    Args:
        question: One of them.
        told: What single gradients left of its answers, and how often.

    Returns:
        The answers that explain all cases; if none does, what was told, case by case.
    """
    if not told:
        return NOT_SEEN
    left = [answer for answer in QUESTIONS[question] if all(answer in each for each in told)]
    if left:
        return " or ".join(left)
    return "several: " + "; ".join(sorted(" or ".join(each) for each in told))


def policy_rows(
    policies: Mapping[tuple[str, str, str], Told],
) -> list[tuple[tuple[str, str, str], tuple[str, ...]]]:
    """(framework, formulation, mode) and a cell for each question, in order."""
    return [
        (key, tuple(choice(question, told.get(question, {})) for question in QUESTIONS))
        for key, told in sorted(policies.items())
    ]
