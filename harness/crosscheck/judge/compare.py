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
from crosscheck.judge.decisions import Effect, GateClass, GateReading
from crosscheck.judge.enclosed import Derivation, Enclosed, leaves_bound
from crosscheck.judge.entries import entry_of, misshapen_of, ratio_of
from crosscheck.judge.kinks.clarke import Around, Block, Subdifferential
from crosscheck.judge.kinks.exclusion import Work
from crosscheck.judge.kinks.explanation import Explanation, explain
from crosscheck.judge.kinks.readings import gate_readings
from crosscheck.judge.nonfinite import judged
from crosscheck.judge.outcomes import Outcomes
from crosscheck.judge.vacuity import arrays_checked, unchecked
from crosscheck.judge.verdict import Entry, Kind, Validity, Verdict, kind_of
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

__all__ = ["Judge", "StackJudge"]

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
        self._subdifferential: Subdifferential | None = None

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
            entries = list(_entries(explanation.gradients, given, self.format))
            readings = gate_readings(enclosed, self._plain, given, explanation)
            detail = _mixture(readings) if explanation.found else _LEFT_OPEN
            if left_open is not None:  # so it is not known that subnormal numbers are at fault
                kind, detail = None, "; ".join(filter(None, (detail, _FLUSHED_OR_NOT)))
            if not _is_bounded(explanation.gradients, given):
                beyond = self._compared_by_kind(given, derivation, named)
                if beyond.kind is not Kind.NONFINITE:
                    return beyond
                if not _is_bounded(explanation.gradients, given, loss=False):
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
                worst=_worst(entries),
                gates=readings,
                validity=self._validity(given, readings, explanation),
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
        if not _is_bounded(explanation.gradients, given):
            beyond = self._compared_by_kind(given, derivation, named, sizes=False)
            if beyond.kind is Kind.DISAGREES:
                return None
        checked, not_checked = arrays_checked(explanation.gradients, given)
        return replace(
            named,
            kind=Kind.REDUCED,
            worst=_worst(list(_entries(explanation.gradients, given, self.format))),
            gates=gate_readings(best.enclosed, self._plain, given, explanation)
            if explanation.found
            else (),
            checked=checked,
            unchecked=not_checked,
            arithmetics=tuple(each.arithmetic.name for each in found),
            precision=best.precision,
            detail=best.remark,
        )

    def _validity(
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
        elif not _is_bounded(explanation.gradients, given, loss=False):
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
        entries = list(_entries(bounds, given, self.format))
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
            worst=_worst(entries),
            first_layer=first,
            detail=detail,
            checked=checked,
            unchecked=not_checked,
        )


class StackJudge:
    """Compares gradients of a stack of cases, all at once where no gate is open.

    Verdicts are those of `Judge` case by case; cases with open gates and cases outside their
    bounds are handed to it.

    Args:
        case: A stack of cases.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self.finite: Any = case.are_finite
        self._enclosed: dict[Derivation, Enclosed] = {}
        self._judges: dict[int, Judge] = {}
        self._unchecked: dict[Derivation, list[tuple[tuple[str, ...], tuple[str, ...]]]] = {}

    def judge(self, index: int) -> Judge:
        """The judge of case ``index``."""
        if index not in self._judges:
            self._judges[index] = Judge(self.case[index])
        return self._judges[index]

    @in_ieee_arithmetic
    def enclosed(self, derivation: Derivation = "reverse") -> Enclosed:
        """The stack on enclosures, in one mode of differentiation, computed once."""
        if derivation not in self._enclosed:
            self._enclosed[derivation] = Enclosed(
                self.case, Model(format_of(self.case.dtype)), derivation
            )
        return self._enclosed[derivation]

    @in_ieee_arithmetic
    def arrays_checked(
        self, derivation: Derivation = "reverse"
    ) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
        """Of each case with certain gates: the arrays that are checked, and those that are not."""
        if derivation not in self._unchecked:
            found = unchecked(self.enclosed(derivation).certain_gradients, stacked=True)
            names = tuple(found)
            self._unchecked[derivation] = [
                (
                    tuple(name for name, empty in zip(names, row, strict=True) if not empty),
                    tuple(name for name, empty in zip(names, row, strict=True) if empty),
                )
                for row in np.stack(list(found.values()), axis=1).tolist()
            ]
        return self._unchecked[derivation]

    @in_ieee_arithmetic
    def agreements(self, given: Gradients, derivation: Derivation = "reverse") -> tuple[Any, Array]:
        """Which cases AGREE, and the largest error / bound of each case.

        Args:
            given: Losses and gradients of the stack.
            derivation: Whether ``given`` was computed in reverse mode or in forward mode.

        Returns:
            A bool array of shape (C,), and float64 of the same shape, only meaningful where
            the first is true. Where it is false, ask `judge`.
        """
        enclosed = self.enclosed(derivation)
        agrees = self.finite & ~enclosed.has_open_gates
        largest = np.zeros(len(agrees))
        with np.errstate(all="ignore"):
            for name, bound in enclosed.certain_gradients.entries():
                value = np.asarray(dict(given.entries())[name])
                if value.shape != bound.shape:
                    return np.zeros_like(agrees), largest
                ratio = ratio_of(bound.distance(value), bound.bound)
                ratio = ratio.reshape(len(agrees), -1).max(axis=1)
                finite = np.isfinite(bound.bound).reshape(len(agrees), -1).all(axis=1)
                agrees &= finite & (ratio <= 1.0)
                largest = np.fmax(largest, ratio)
        return agrees, largest


def _identity(value: Any) -> tuple[object, ...]:
    """What tells an array from every other one."""
    if isinstance(value, LeftOut):
        return (LeftOut,)
    array = np.asarray(value)
    return array.shape, array.dtype, array.tobytes()


def _widths(bounds: Gradients) -> Gradients:
    """How far each entry may be from the exact one."""
    return bounds.map(lambda each: each.bound)


def _is_whole(given: Gradients, block: str) -> bool:
    """Whether every derivative with respect to the parameters, or to the inputs, is there."""
    parts = (*given.weights, *given.biases) if block == "parameters" else (given.x,)
    return not any(isinstance(part, LeftOut) for part in parts)


def _sided(enclosed: Enclosed, layer: int) -> Array:
    """Gate 1 at the open gates of ``layer`` with a positive exact pre-activation, else 0."""
    side = np.zeros(enclosed.trace.pre_activations[layer - 1].shape)
    for gate in enclosed.open_gates:
        if gate.layer == layer:
            side[gate.place.index] = gate.side
    return side


def _entries(bounds: Gradients, given: Gradients, form: Format) -> Iterator[Entry]:
    """The worst entry of each array."""
    with np.errstate(all="ignore"):
        for (name, bound), (_, value) in zip(bounds.entries(), given.entries(), strict=True):
            if isinstance(value, LeftOut):
                continue
            values = np.asarray(value, dtype=np.float64)
            ratio = ratio_of(bound.distance(values), bound.bound)
            index = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
            yield entry_of(name, bound, values, index, form)


def _is_bounded(bounds: Gradients, given: Gradients, *, loss: bool = True) -> bool:
    """Whether every entry of a gradient, and the loss if that is asked for, has a bound."""
    pairs = zip(bounds.entries(), given.entries(), strict=True)
    return all(
        np.isfinite(bound.bound).all()
        for (name, bound), (_, value) in pairs
        if (loss or name != "J") and not isinstance(value, LeftOut)
    )


def _worst(entries: list[Entry]) -> Entry:
    return max(entries, key=lambda entry: entry.bounds)


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
