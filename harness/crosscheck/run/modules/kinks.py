"""The kinks of a model: where, what was decided there, and whether that may be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from crosscheck.judge.decisions import Effect, GateClass
from crosscheck.judge.local.check import Check
from crosscheck.judge.verdict import Verdict
from crosscheck.run.modules.outcome import Kink

__all__ = ["kinks_of"]

_EFFECTS: Mapping[Any, str] = {
    Effect.NONE: "without effect on the gradient",
    Effect.TOO_SMALL: "its effect is too small to be read",
    Effect.NOT_DECIDED: "not decided: any choice may have been made",
}


def kinks_of(
    verdict: Verdict | None, check: Check | None, ties: Mapping[str, int]
) -> tuple[Kink, ...]:
    """Decisions at breakpoints, those that operations show before those of the whole.

    Args:
        verdict: Of the whole.
        check: Of its operations.
        ties: What was compared and found equal.
    """
    local = [] if check is None else list(_of_operations(check))
    found = local or ([] if verdict is None else list(_of_whole(verdict)))
    compared = [
        Kink(step, (), count, 0.0, None, "both sides are equal: the comparison says which is taken")
        for step, count in ties.items()
    ]
    return tuple(_gathered([*found, *compared]))


def _of_operations(check: Check) -> Iterator[Kink]:
    for each in check.readings(0):
        at = "at" if each.is_exact else "too near to"
        said = f"{at} a breakpoint, "
        if each.slope is None:
            said += "without effect on the gradient, or too small to be read"
        else:
            said += f"λ = {each.slope:g} was taken, which is between the one-sided slopes"
        yield Kink(each.step, each.index, 1, each.value, each.slope, said)


def _of_whole(verdict: Verdict) -> Iterator[Kink]:
    for each in verdict.gates:
        at = "at" if each.gate is not GateClass.UNDECIDED else "too near to"
        said = _EFFECTS.get(each.effect, "")
        if not said and each.slope is not None:
            said = f"λ = {each.slope:g} was taken, which is between the one-sided slopes"
        yield Kink(
            each.step or f"node {each.place.node}",
            each.place.index,
            1,
            each.value,
            each.slope,
            f"{at} a breakpoint, {said or 'not read'}",
        )


def _gathered(kinks: list[Kink]) -> list[Kink]:
    """Those of one place about which the same is said, as one."""
    found: dict[tuple[str, str], Kink] = {}
    for each in kinks:
        key = each.where, each.said
        if key in found:
            first = found[key]
            found[key] = Kink(
                first.where,
                first.index,
                first.count + each.count,
                first.value,
                first.slope,
                first.said,
            )
        else:
            found[key] = each
    return list(found.values())
