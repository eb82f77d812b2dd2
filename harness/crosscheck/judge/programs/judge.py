"""Verdicts on gradients of networks of operators, from their programs' a-priori bounds.

As for dense networks (`crosscheck.judge.compare`) the arithmetics that a framework may honestly
have used are tried in order, and the first that explains the gradient gives the verdict: gradual
underflow, flush-to-zero, a named arithmetic. Of what can be computed in several ways
(`crosscheck.program.alternatives`) the first way alone is tried before them: most frameworks are
within its bounds. Three things are less:

    not finite      where an intermediate result may overflow, or be outside a function's domain,
                    entries without a bound are not compared: UNSUPPORTED, unless one that has a
                    bound is wrong
    named           all matrix products have the arithmetic, or none
    membership      see `crosscheck.judge.programs.membership`
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from crosscheck.judge.decisions import Effect, GateClass, GateReading, Place
from crosscheck.judge.enclosed import Derivation
from crosscheck.judge.entries import is_bounded, misshapen_of, worst_entries, worst_of
from crosscheck.judge.kinks.influence import Influence
from crosscheck.judge.kinks.slopes import CONVENTIONS
from crosscheck.judge.programs.enclosed import EnclosedProgram, Slopes
from crosscheck.judge.programs.explanation import (
    MOST_OPERATIONS,
    Explanation,
    consumer_of,
    contains,
    explain,
)
from crosscheck.judge.programs.forms import Forms
from crosscheck.judge.programs.influence import influences
from crosscheck.judge.programs.membership import membership
from crosscheck.judge.programs.unread import within_any_slopes
from crosscheck.judge.vacuity import arrays_checked
from crosscheck.judge.verdict import Kind, Validity, Verdict, kind_of
from crosscheck.network.composed import Composed, Derivatives
from crosscheck.network.tree import LeftOut
from crosscheck.numbers.formats import Format, format_of
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.numbers.library import Library
from crosscheck.numbers.model import Model, reductions_of
from crosscheck.numbers.scaling import nearest
from crosscheck.program.alternatives import WAYS
from crosscheck.program.evaluate import evaluate
from crosscheck.program.floats import OnFloats
from crosscheck.program.products import has_products
from crosscheck.tools.budget import Budget, Exhausted
from crosscheck.tools.errors import UsageError

__all__ = ["ENDLESS", "ProgramJudge"]

_LEFT_OPEN = (
    "no slopes at its open decisions were found that explain the gradient, and none excluded"
)
ENDLESS = (
    "an intermediate result may overflow, or a function be asked outside its domain; entries "
    "without a bound were not compared"
)
"""Said where the bounds of the whole do not bound each entry."""
_NOT_FINITE = "the case holds NaN or infinity, of which networks of operators have no verdict"

_EFFECTS = {
    Influence.NONE: Effect.NONE,
    Influence.TOGETHER: Effect.READ,
}


class ProgramJudge:
    """Compares gradients of one case with the reference.

    Args:
        case: A single case.
        by_steps: Whether decisions are left to what steps show; see
            `crosscheck.judge.programs.unread`.
    """

    def __init__(self, case: Composed, *, by_steps: bool = False) -> None:
        self.case, self.by_steps = case, by_steps
        self.format: Format = format_of(case.dtype)
        self._enclosed: dict[tuple[Model, Derivation, bool], EnclosedProgram] = {}
        self._validity: tuple[Validity, ...] | None = None

    def enclosed(
        self, model: Model, derivation: Derivation = "reverse", *, takes_first: bool = False
    ) -> EnclosedProgram:
        """The case on enclosures of ``model``, computed once; arguments as of `EnclosedProgram`."""
        key = model, derivation, takes_first
        if key not in self._enclosed:
            found = EnclosedProgram(self.case, model, derivation, takes_first=takes_first)
            self._enclosed[key] = found
        return self._enclosed[key]

    @property
    def has_open_decisions(self) -> bool:
        """Whether a finite case has a decision that is not certain."""
        return self.case.is_finite and bool(self.enclosed(Model(self.format)).has_open)

    @cached_property
    @in_ieee_arithmetic
    def reference(self) -> Derivatives:
        """The reference's gradient in float64, with λ = 0 at every decision that is open.

        Where nothing bounds an enclosure its middle says nothing: float64 as it rounds has to do.
        So it has where decisions are left to steps: bounds of the whole leave open most of those
        of a deep network, and with λ = 0 at them all it would be the gradient of another one.
        """
        if self.case.is_finite and not self.by_steps:
            found = self.enclosed(Model(self.format)).gradients()
            if all(np.isfinite(each.r).all() for _, each in found.entries()):
                return found.map(lambda each: each.high)
        with np.errstate(all="ignore"):
            plain = evaluate(self.case.gradient, OnFloats(), dict(self.case.entries()))
        return Derivatives(plain.pop("J"), plain)

    @in_ieee_arithmetic
    def verdict(
        self,
        given: Derivatives,
        *,
        framework: str,
        formulation: str = "",
        mode: str = "",
        derivation: Derivation = "reverse",
        library: Library | None = None,
        is_suspect: bool = False,
    ) -> Verdict:
        """What comparing ``given`` with the reference says; arguments as of the dense judge's.

        ``library`` is that whose elementary functions were called; any, if none is given. Whoever
        may flush may as well not: where flushing explains nothing nothing less does, and of what
        ``is_suspect`` that is looked at first. The verdict is the same.

        Raises:
            UsageError: All of the gradient is left out.
        """
        named = Verdict(framework, formulation, mode, Kind.DISAGREES)
        if all(isinstance(value, LeftOut) for value in given.arrays.values()):
            raise UsageError("given: every array of the gradient is left out, wanted at least one")
        misshapen = self._misshapen(given)
        if misshapen:
            return replace(named, detail=misshapen)
        if not self.case.is_finite:
            return replace(named, kind=Kind.UNSUPPORTED, detail=_NOT_FINITE)
        if self.by_steps:
            return within_any_slopes(self.enclosed, self.format, named, given, library)
        if not is_suspect and (found := self._by_first_ways(named, given, derivation, library)):
            return found
        left_open: Verdict | None = None
        flushed = Model(self.format, flush=True, library=library)
        tried: tuple[tuple[bool, Kind | None], ...] = ((False, None), (True, Kind.SUBNORMAL))
        if is_suspect and explain(self.enclosed(flushed, derivation), given) is None:
            tried = ()
        for flush, kind in tried:
            model = replace(flushed, flush=flush)
            enclosed = self.enclosed(model, derivation)
            explanation = explain(enclosed, given)
            if explanation is None:
                continue
            verdict = self._explained(named, enclosed, given, explanation, kind)
            if explanation.found:
                return verdict if left_open is None else left_open
            left_open = left_open or verdict
        if left_open is not None:
            return left_open
        found = self._reduced(named, given, flushed, derivation)
        return found or self._disagreement(named, given, self.enclosed(flushed, derivation))

    def _by_first_ways(
        self, named: Verdict, given: Derivatives, derivation: Derivation, library: Library | None
    ) -> Verdict | None:
        """AGREES, of a case without open decisions, by the first way alone that each number has.

        Of what may be computed in several ways the enclosure is that of all of them together, the
        first among them: so what is within the first one's bound is within theirs, and it takes a
        fraction of the time to form.
        """
        if not any(node.op == WAYS for node in self.case.program.nodes):
            return None
        first = self.enclosed(Model(self.format, library=library), derivation, takes_first=True)
        if first.decisions or first.idle:
            return None
        bounds = first.gradients()
        if not contains(bounds, given) or not is_bounded(bounds, given):
            return None
        return self._explained(named, first, given, Explanation({}, bounds), None)

    def _explained(
        self,
        named: Verdict,
        enclosed: EnclosedProgram,
        given: Derivatives,
        explanation: Explanation,
        kind: Kind | None,
    ) -> Verdict:
        readings = self._readings(enclosed, given, explanation)
        checked, not_checked = arrays_checked(explanation.gradients, given)
        detail = "" if explanation.found else _LEFT_OPEN
        if not is_bounded(explanation.gradients, given):
            kind, detail = Kind.UNSUPPORTED, ENDLESS
        elif not explanation.found:
            kind = Kind.UNDECIDED
        return replace(
            named,
            kind=kind or kind_of(readings),
            worst=worst_of(explanation.gradients, given, self.format),
            gates=readings,
            validity=self._members(enclosed, explanation),
            detail=detail,
            checked=checked,
            unchecked=not_checked,
        )

    def _readings(
        self, enclosed: EnclosedProgram, given: Derivatives, explanation: Explanation
    ) -> tuple[GateReading, ...]:
        """What was read of each open decision; of those without effect nothing but that is said."""
        decisions = enclosed.decisions
        if not decisions and not enclosed.idle:
            return ()
        effects = self._effects(enclosed, given, explanation)
        step_of = enclosed.case.step_of
        operators = {each.id: each.op for each in enclosed.case.steps}
        found = []
        slopes = {**explanation.slopes}
        if slopes:
            slopes |= enclosed.weights(slopes)
        for each in sorted((*decisions, *enclosed.idle), key=lambda each: each.place):
            step = consumer_of(enclosed, each.place.node, step_of)
            effect = effects.get(each.place, Effect.NONE)
            slope = slopes.get(each.place) if effect is Effect.READ else None
            found.append(
                GateReading(
                    each.place,
                    each.gate,
                    each.value,
                    slope,
                    each.gate is GateClass.UNDECIDED and slope not in (None, each.side),
                    effect,
                    step,
                    operators.get(step, ""),
                    nearest(each.breakpoint),
                    enclosed.slopes_at(each),
                )
            )
        return tuple(found)

    def _effects(
        self, enclosed: EnclosedProgram, given: Derivatives, explanation: Explanation
    ) -> dict[Place, Effect]:
        places = [each.place for each in enclosed.decisions]
        if not explanation.found:
            return dict.fromkeys(places, Effect.NOT_DECIDED)
        slopes = explanation.slopes
        found = {}
        influence: dict[Any, Influence] = dict.fromkeys(places, Influence.ALONE)
        if enclosed.model.arithmetic is None:
            try:
                forms = explanation.forms or Forms(enclosed, Budget(MOST_OPERATIONS))
                influence |= influences(forms, given, slopes)
            except Exhausted:
                influence = dict.fromkeys(places, Influence.UNKNOWN)
        for place in places:
            effect = _EFFECTS.get(influence[place])
            if effect is None:
                others = [each for each in CONVENTIONS if each != slopes[place]]
                small = any(
                    contains(enclosed.gradients({**slopes, place: each}), given) for each in others
                )
                effect = Effect.TOO_SMALL if small else Effect.READ
                if not small and influence[place] is Influence.UNKNOWN:
                    effect = Effect.NOT_DECIDED
            found[place] = effect
        for members in enclosed.windows.values():
            _of_members([each.place for each in members], found, slopes)
        return found

    def _members(self, enclosed: EnclosedProgram, explanation: Explanation) -> tuple[Validity, ...]:
        kinks = [each for each in enclosed.decisions if each.gate is not GateClass.UNDECIDED]
        if not kinks or enclosed.model.arithmetic is not None:
            return ()
        undecided = len(kinks) < len(enclosed.decisions)
        if not explanation.found or undecided:
            reason = "it is not known on which side of each breakpoint the framework was"
            return tuple(
                Validity(block, "not decided", reason) for block in ("parameters", "inputs")
            )
        if self._validity is None:
            self._validity = membership(enclosed, kinks)
        return self._validity

    def _reduced(
        self, named: Verdict, given: Derivatives, flushed: Model, derivation: Derivation
    ) -> Verdict | None:
        """The named arithmetics whose bounds hold the gradient and would not hold zero.

        They form matrix products; of a program without any the bounds are those that have failed.
        """
        if not has_products(self.case.gradient):
            return None
        found: list[tuple[float, str, EnclosedProgram, Explanation]] = []
        zeros = given.map_derivatives(np.zeros_like)
        for model in reductions_of(flushed):
            assert model.arithmetic is not None
            if any(name == model.arithmetic.name for _, name, _, _ in found):
                continue
            enclosed = self.enclosed(model, derivation)
            explanation = explain(enclosed, given)
            if explanation is None or not explanation.found:
                continue
            checked, _ = arrays_checked(explanation.gradients, given)
            if not checked or not is_bounded(explanation.gradients, given):
                continue
            if explain(enclosed, zeros) is not None:
                continue
            entries = worst_entries(explanation.gradients, given, self.format)
            distance = max(each.error for each in entries)
            found.append((distance, model.arithmetic.name, enclosed, explanation))
        if not found:
            return None
        found.sort(key=lambda each: each[0])
        _, _, enclosed, explanation = found[0]
        verdict = self._explained(named, enclosed, given, explanation, Kind.REDUCED)
        return replace(verdict, arithmetics=tuple(name for _, name, _, _ in found))

    def _disagreement(
        self, named: Verdict, given: Derivatives, enclosed: EnclosedProgram
    ) -> Verdict:
        sided = {each.place: each.side for each in enclosed.decisions}
        bounds = enclosed.gradients(sided)
        checked, not_checked = arrays_checked(bounds, given)
        detail = ""
        if enclosed.decisions:
            detail = "no slopes between the one-sided ones at its open decisions explain it"
        return replace(
            named,
            worst=worst_of(bounds, given, self.format),
            detail=detail,
            checked=checked,
            unchecked=not_checked,
        )

    def _misshapen(self, given: Derivatives) -> str:
        if list(given.arrays) != list(self.case.wanted):
            wanted, found = ", ".join(self.case.wanted), ", ".join(given.arrays)
            return f"derivatives by {found} returned, wanted {wanted}"
        return misshapen_of(given, self.case.gradient_shapes)


def _of_members(members: Sequence[Place], effects: dict[Place, Effect], slopes: Slopes) -> None:
    """Make the effects of λ those of the weights of a tie's members.

    Where what is left is nothing every λ has the weight 0, which is read with those before it; and
    the last one's weight is read with all others.
    """
    rest, told = 1.0, Effect.READ
    for place in members[:-1]:
        if rest == 0.0:
            effects[place] = told
        elif told is Effect.READ:
            told = effects[place]
        rest *= 1.0 - slopes[place]
    effects[members[-1]] = told
