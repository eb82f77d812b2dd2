"""Whether gradients of one case are generalised derivatives, where the slopes have been read."""

from __future__ import annotations

from crosscheck.judge.decisions import Effect, GateClass, GateReading
from crosscheck.judge.entries import is_bounded
from crosscheck.judge.kinks.clarke import Around, Block, Subdifferential
from crosscheck.judge.kinks.explanation import Explanation
from crosscheck.judge.verdict import Validity
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.tree import LeftOut

__all__ = ["Membership"]


class Membership:
    """The question, for one gradient after the other.

    Args:
        case: A finite single case.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self._subdifferential: Subdifferential | None = None

    def validity(
        self, given: Gradients, readings: tuple[GateReading, ...], explanation: Explanation
    ) -> tuple[Validity, ...]:
        """Whether the gradient is a generalised derivative, if there is an exact kink."""
        at = {gate.place: gate for gate in readings}
        kinks = [place for place, gate in at.items() if gate.gate is not GateClass.UNDECIDED]
        if not kinks:
            return ()
        blocks: list[Block] = ["parameters", "inputs"]
        blocks = [block for block in blocks if _is_whole(given, block)]
        reason = ""
        if not explanation.found:
            reason = "it is not known whether any slopes explain the gradient"
        elif not is_bounded(explanation.gradients, given, loss=False):
            reason = "an intermediate result may overflow, so that some entries have no bound"
        elif any(gate.flipped for gate in readings):
            reason = "rounding took the framework to the other side of a gate that is no kink"
        elif any(
            gate.gate is GateClass.UNDECIDED
            and gate.effect is Effect.NOT_DECIDED
            and explanation.slopes[place] != float(gate.value > 0)
            for place, gate in at.items()
        ):
            reason = "it is not known which side of a gate that is no kink the framework took"
        if reason:
            return tuple(Validity(block, "not decided", reason) for block in blocks)
        if self._subdifferential is None:
            self._subdifferential = Subdifferential(self.case, kinks)

        def around() -> Around:
            return Around(given, _widths(explanation.gradients))

        slopes = {kink: explanation.slopes[kink] for kink in kinks}
        free = [kink for kink in kinks if at[kink].effect is Effect.NONE]
        found = []
        for block in blocks:
            if block == "parameters":
                found.append(self._subdifferential.parameters(slopes, around, free))
            else:
                found.append(self._subdifferential.inputs(slopes, around))
        return tuple(found)


def _widths(bounds: Gradients) -> Gradients:
    """How far each entry may be from the exact one."""
    return bounds.map(lambda each: each.bound)


def _is_whole(given: Gradients, block: str) -> bool:
    """Whether every derivative with respect to the parameters, or to the inputs, is there."""
    parts = (*given.weights, *given.biases) if block == "parameters" else (given.x,)
    return not any(isinstance(part, LeftOut) for part in parts)
