"""The comparison: one framework's gradient against the reference, down to a verdict.

The arithmetics a framework may honestly have used are tried in order, and the first that
explains the gradient gives the verdict:

    gradual underflow         AGREES, KINK, UNDECIDED
    flush-to-zero             SUBNORMAL
    a named arithmetic        REDUCED                   (`crosscheck.judge.coarse`)
    none                      DISAGREES

Where a case holds NaN or infinity, or a bound is infinite, `crosscheck.judge.nonfinite` compares
the kinds of number, and says NONFINITE or DISAGREES.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from crosscheck.judge.coarse import coarse
from crosscheck.judge.decisions import GateClass, GateReading
from crosscheck.judge.enclosed import Derivation, Enclosed, leaves_bound
from crosscheck.judge.entries import is_bounded, misshapen_of, worst_of
from crosscheck.judge.kinks.exclusion import Work
from crosscheck.judge.kinks.explanation import explain
from crosscheck.judge.kinks.membership import Membership
from crosscheck.judge.kinks.readings import gate_readings
from crosscheck.judge.nonfinite import judged
from crosscheck.judge.outcomes import Outcomes
from crosscheck.judge.vacuity import arrays_checked
from crosscheck.judge.verdict import Kind, Verdict, kind_of
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.names import layer_of
from crosscheck.network.reference import gradients
from crosscheck.network.tree import LeftOut
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import Format, format_of
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.numbers.model import Model
from crosscheck.numbers.named import Arithmetic, arithmetics_of
from crosscheck.tools.errors import UsageError

__all__ = ["Judge"]

_LEFT_OPEN = "no slopes at its open gates were found that explain the gradient, and none excluded"

_FLUSHED_OR_NOT = "it is not decided whether that takes subnormal numbers as zero"


class Judge:
    """Compares gradients of one case with the reference.

    Args:
        case: A single case.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self.format: Format = format_of(case.dtype)
        self._enclosed: dict[tuple[Model, Derivation], Enclosed] = {}
        self._outcomes: dict[tuple[Derivation, Arithmetic | None], Outcomes] = {}
        self._verdicts: dict[tuple[object, ...], Verdict] = {}
        self._membership = Membership(case)

    @in_ieee_arithmetic
    def enclosed(self, model: Model, derivation: Derivation = "reverse") -> Enclosed:
        """The case on enclosures of ``model`` in one mode of differentiation, computed once."""
        key = (model, derivation)
        if key not in self._enclosed:
            self._enclosed[key] = Enclosed(self.case, model, derivation)
        return self._enclosed[key]

    @property
    def has_open_decisions(self) -> bool:
        """Whether a finite case has a gate that is not certain."""
        return self.case.is_finite and bool(self._plain.has_open_gates)

    def _compared_by_kind(
        self, given: Gradients, derivation: Derivation, named: Verdict, *, sizes: bool = True
    ) -> Verdict:
        """NONFINITE, REDUCED or DISAGREES, where something may be infinite or NaN."""
        found = judged(self._outcomes_of(derivation, None), given, named, sizes=sizes)
        if found.kind is not Kind.DISAGREES or not sizes:
            return found
        if (
            judged(self._outcomes_of(derivation, None), given, named, sizes=False).kind
            is found.kind
        ):
            return found
        for arithmetic in arithmetics_of(self.case.dtype):
            other = judged(self._outcomes_of(derivation, arithmetic), given, named)
            if other.kind is not Kind.DISAGREES:
                return replace(other, kind=Kind.REDUCED, arithmetics=(arithmetic.name,))
        return found

    def _outcomes_of(self, derivation: Derivation, arithmetic: Arithmetic | None) -> Outcomes:
        key = derivation, arithmetic
        if key not in self._outcomes:
            self._outcomes[key] = Outcomes(self.case, derivation, arithmetic)
        return self._outcomes[key]

    @cached_property
    @in_ieee_arithmetic
    def reference(self) -> Gradients:
        """The reference's gradient in float64, with gate 0 at every gate that is not certain."""
        if not self.case.is_finite:
            return gradients(self.case)
        return self.enclosed(Model(self.format)).certain_gradients.map(lambda each: each.high)

    @property
    def _plain(self) -> Enclosed:
        return self.enclosed(Model(self.format))

    def _models(self) -> Iterator[tuple[Model, Kind | None]]:
        yield Model(self.format), None
        yield Model(self.format, flush=True), Kind.SUBNORMAL

    @in_ieee_arithmetic
    def verdict(
        self,
        given: Gradients,
        *,
        framework: str,
        formulation: str = "",
        mode: str = "",
        derivation: Derivation = "reverse",
        refuted: bool = False,
    ) -> Verdict:
        """What comparing ``given`` with the reference says.

        Args:
            given: Loss and gradient, float64 arrays shaped as in `Gradients`. What is
                `LEFT_OUT` is not compared.
            framework: Name for the record.
            formulation: Name for the record.
            mode: Name for the record.
            derivation: Whether ``given`` was computed in reverse mode or in forward mode.
            refuted: Whether it is known that gradual underflow does not explain ``given``: then
                that is not tried again.

        Raises:
            UsageError: All of the gradient is left out.
        """
        if all(isinstance(value, LeftOut) for name, value in given.entries() if name != "J"):
            raise UsageError("given: every array of the gradient is left out, wanted at least one")
        # Several frameworks may share a compiler, and then, often, every bit of a gradient.
        key = derivation, *(_identity(value) for _, value in given.entries())
        if key not in self._verdicts:
            self._verdicts[key] = self._verdict(given, derivation, refuted)
        return replace(self._verdicts[key], framework=framework, formulation=formulation, mode=mode)

    def _verdict(self, given: Gradients, derivation: Derivation, refuted: bool) -> Verdict:
        """`verdict` without names."""
        named = Verdict("", "", "", Kind.DISAGREES)
        left_open: Verdict | None = None
        misshapen = misshapen_of(given, self.case.gradient_shapes)
        if misshapen:
            return replace(named, detail=misshapen)
        if not self.case.is_finite:
            return self._compared_by_kind(given, derivation, named)
        work = Work()
        for model, kind in itertools.islice(self._models(), int(refuted), None):
            enclosed = self.enclosed(model, derivation)
            explanation = explain(enclosed, given, work)
            if explanation is None:
                continue
            readings = gate_readings(enclosed, self._plain, given, explanation)
            detail = _mixture(readings) if explanation.found else _LEFT_OPEN
            if left_open is not None:  # so it is not known that subnormal numbers are at fault
                kind, detail = None, "; ".join(filter(None, (detail, _FLUSHED_OR_NOT)))
            if not is_bounded(explanation.gradients, given):
                beyond = self._compared_by_kind(given, derivation, named)
                if beyond.kind is not Kind.NONFINITE:
                    return beyond
                if not is_bounded(explanation.gradients, given, loss=False):
                    kind, detail = Kind.NONFINITE, beyond.detail
                    named = replace(named, policies=beyond.policies)
            if kind is Kind.NONFINITE:
                pass
            elif not explanation.found:
                kind = Kind.UNDECIDED
            checked, not_checked = arrays_checked(explanation.gradients, given)
            verdict = replace(
                named,
                kind=kind or kind_of(readings),
                checked=checked,
                unchecked=not_checked,
                worst=worst_of(explanation.gradients, given, self.format),
                gates=readings,
                validity=self._membership.validity(given, readings, explanation),
                detail=detail,
            )
            if explanation.found or kind is Kind.NONFINITE:
                return verdict
            left_open = left_open or verdict  # subnormal numbers may still explain it
        return (
            left_open
            or self._reduced(named, given, derivation)
            or self._disagreement(named, given, derivation)
        )

    def _reduced(self, named: Verdict, given: Gradients, derivation: Derivation) -> Verdict | None:
        """The named arithmetics that explain the gradient, if any do."""
        found = coarse(self.case, given, derivation, self.enclosed)
        if not found:
            return None
        best = found[0]
        explanation = best.explanation
        if not is_bounded(explanation.gradients, given):
            beyond = self._compared_by_kind(given, derivation, named, sizes=False)
            if beyond.kind is Kind.DISAGREES:
                return None
        checked, not_checked = arrays_checked(explanation.gradients, given)
        return replace(
            named,
            kind=Kind.REDUCED,
            worst=worst_of(explanation.gradients, given, self.format),
            gates=gate_readings(best.enclosed, self._plain, given, explanation)
            if explanation.found
            else (),
            checked=checked,
            unchecked=not_checked,
            arithmetics=tuple(each.arithmetic.name for each in found),
            precision=best.precision,
            detail=best.remark,
        )

    def _disagreement(self, named: Verdict, given: Gradients, derivation: Derivation) -> Verdict:
        """Where the gradient leaves the bounds of the most lenient arithmetic of full precision.

        Unless it is not finite, and a formulation may overflow where the formula does not.
        """
        if not all(
            isinstance(value, LeftOut) or np.isfinite(value).all() for _, value in given.entries()
        ):
            beyond = self._compared_by_kind(given, derivation, named)
            if beyond.kind is not Kind.DISAGREES:
                return beyond
        enclosed = self.enclosed(Model(self.format, flush=True), derivation)
        gates = [
            None if gate is None else np.where(sign == 0, _sided(enclosed, layer), gate)
            for layer, (gate, sign) in enumerate(
                zip(enclosed.certain_gates, enclosed.signs, strict=True), start=1
            )
        ]
        bounds = enclosed.gradients(gates)
        first = None
        for (name, bound), (_, value) in zip(bounds.entries(), given.entries(), strict=True):
            if name != "J" and leaves_bound(bound, value).any():
                first = layer_of(name)
                break
        detail = ""
        if enclosed.open_gates:
            detail = "no slopes in [0, 1] at its open gates explain the gradient"
        checked, not_checked = arrays_checked(bounds, given)
        return replace(
            named,
            worst=worst_of(bounds, given, self.format),
            first_layer=first,
            detail=detail,
            checked=checked,
            unchecked=not_checked,
        )


def _identity(value: Any) -> tuple[object, ...]:
    """What tells an array from every other one."""
    if isinstance(value, LeftOut):
        return (LeftOut,)
    array = np.asarray(value)
    return array.shape, array.dtype, array.tobytes()


def _sided(enclosed: Enclosed, layer: int) -> Array:
    """Gate 1 at the open gates of ``layer`` with a positive exact pre-activation, else 0."""
    side = np.zeros(enclosed.trace.pre_activations[layer - 1].shape)
    for gate in enclosed.open_gates:
        if gate.layer == layer:
            side[gate.place.index] = gate.side
    return side


def _mixture(readings: tuple[GateReading, ...]) -> str:
    """Names the layers at whose kinks more than one slope was used."""
    used: dict[int, set[float]] = defaultdict(set)
    for reading in readings:
        if reading.gate is GateClass.KINK and reading.slope is not None:
            used[reading.layer].add(reading.slope)
    return "; ".join(
        f"layer {layer} uses several slopes: {', '.join(f'{slope:g}' for slope in sorted(slopes))}"
        for layer, slopes in sorted(used.items())
        if len(slopes) > 1
    )
