"""The verdicts: what comparing one framework's gradient with the reference can say."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from crosscheck.judge.decisions import Effect, GateClass, GateReading

__all__ = [
    "FAILING",
    "MEANING",
    "QUESTIONS",
    "Certified",
    "Entry",
    "Kind",
    "PolicyReading",
    "Validity",
    "Verdict",
    "fails",
    "how_to_allow",
    "kind_of",
]


class Kind(StrEnum):
    """The verdicts, from the best to the worst."""

    AGREES = "AGREES"
    KINK = "KINK"
    UNDECIDED = "UNDECIDED"
    SUBNORMAL = "SUBNORMAL"
    REDUCED = "REDUCED"
    LIBRARY = "LIBRARY"
    NONFINITE = "NONFINITE"
    UNSUPPORTED = "UNSUPPORTED"
    INCONSISTENT = "INCONSISTENT"
    DISAGREES = "DISAGREES"
    CRASHED = "CRASHED"
    TIMED_OUT = "TIMED_OUT"


FAILING = frozenset(
    {
        *(Kind.REDUCED, Kind.LIBRARY, Kind.INCONSISTENT),
        *(Kind.DISAGREES, Kind.CRASHED, Kind.TIMED_OUT),
    }
)
"""The verdicts that make a run fail; REDUCED unless its arithmetic is allowed, and LIBRARY if its
accuracy was measured here, see `fails`."""

MEANING: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.AGREES: (
            "Every pre-activation has the same certain sign in exact arithmetic and in any "
            "correct evaluation, or its sign has no effect on the gradient; and every entry of "
            "the gradient lies within its proved bound. "
            "Arrays whose bounds could not tell them from zero are listed as not checked."
        ),
        Kind.KINK: (
            "At least one pre-activation is exactly zero, where ReLU has no derivative, and that "
            "matters. The "
            "gradient is the exact one for some choice of the derivative there; the choice the "
            "framework made is reported as λ, unit by unit."
        ),
        Kind.UNDECIDED: (
            "At least one pre-activation is so close to zero that correct evaluations may land "
            "on either side of it, and the gradient is right for one of the sides. Or it is open "
            "whether any slopes at its kinks explain the gradient, or a step is explained only by "
            "sums whose bounds would hold an error of one in a hundred as well; the remark says "
            "so then."
        ),
        Kind.SUBNORMAL: (
            "The gradient is right for arithmetic that replaces subnormal numbers by zero, and "
            "for no arithmetic that keeps them."
        ),
        Kind.REDUCED: (
            "The gradient is right only for an arithmetic that is coarser than its dtype promises; "
            "its name and about how many bits it has are reported. The run fails unless that "
            "arithmetic is allowed by name."
        ),
        Kind.LIBRARY: (
            "The gradient is right only for an elementary function that errs by more roundings "
            "than such functions do, 16 of them; which function of the framework's it is, and by "
            "how many it was measured to err, is said. The run fails if that was measured of this "
            "version, in this mode and on such a processor."
        ),
        Kind.NONFINITE: (
            "The case holds NaN or infinity, or an intermediate result may overflow. Every entry "
            "is of a kind (finite, +inf, -inf, NaN) that IEEE 754 allows there, and within its "
            "proved bound if it is finite, for one choice of what IEEE 754 leaves to a ReLU."
        ),
        Kind.UNSUPPORTED: "The framework says that it cannot do this dtype, formulation or mode.",
        Kind.INCONSISTENT: (
            "The gradient as a whole is within its bounds, and one step of it is not within its "
            "own, on the numbers that the framework itself had: the step is named. Of a function "
            "of one's own: an array is not what the arrays next to it say."
        ),
        Kind.DISAGREES: (
            "Nothing above explains the gradient: a defect in the framework, in its adapter, or "
            "in the model under test."
        ),
        Kind.CRASHED: "The framework raised an error, died, or returned no gradient.",
        Kind.TIMED_OUT: "The framework did not answer in time on this case.",
    }
)


QUESTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "value at NaN": ("NaN", "0"),
        "value at -inf": ("0", "NaN"),
        "slope at NaN": ("0", "1", "NaN", "1/2"),
        "closed gate": ("select", "product"),
    }
)
"""What IEEE 754 leaves open for a ReLU and its gate, with the answers that there are."""


@dataclass(frozen=True)
class Entry:
    """One entry of a gradient, and how far it is from the reference.

    Attributes:
        name: ``"J"``, or a name and a zero-based index as in ``"W2[0,1]"``.
        given: The framework's value.
        reference: The reference's value, rounded to float64.
        error: ``|given - reference|``.
        bound: The largest error of any correct evaluation, by proof. 0 means bit-exact.
        bounds: ``error / bound``; 0 for 0/0, ``inf`` for an error where the bound is 0.
        ulps: ``error`` in units in the last place of the case's dtype at the reference.
    """

    name: str
    given: float
    reference: float
    error: float
    bound: float
    bounds: float
    ulps: float

    @property
    def distance(self) -> str:
        """How far it is off, in words: where no error is allowed only that."""
        if not math.isfinite(self.bounds):
            return "no error is allowed" if self.bound == 0 else f"off by {self.error:.3g}"
        ulps = f", {self.ulps:.3g} ulp" if math.isfinite(self.ulps) else ""
        return f"off by {self.bounds:.3g} bounds{ulps}"


@dataclass(frozen=True)
class Validity:
    """Whether a gradient at a kink is a generalised derivative, and why.

    Attributes:
        block: ``"parameters"`` or ``"inputs"``: with respect to what.
        status: ``"inside"`` the Clarke subdifferential, ``"outside"`` it, or ``"not decided"``.
        reason: One line: the theorem or the certificate.
    """

    block: Literal["parameters", "inputs"]
    status: Literal["inside", "outside", "not decided"]
    reason: str


@dataclass(frozen=True)
class PolicyReading:
    """What a gradient that is not finite tells of one of `QUESTIONS`.

    Attributes:
        question: As there.
        answers: Those that explain the gradient; not all that there are.
    """

    question: str
    answers: tuple[str, ...]


@dataclass(frozen=True)
class Certified:
    """What a certificate beyond the a-priori one says of a gradient.

    Attributes:
        certificate: Its name, of `crosscheck.judge.certificates.Certificate`.
        records: How many steps were looked at; 0 if that is no question.
        compared: How many numbers were compared.
        unbounded: How many of them have no bound, since something may overflow.
        worst: The largest error / bound.
        step: The first step that is wrong; empty if none is.
        wrong: What is wrong, in a line.
        note: Why nothing is said; empty if something is.
        untold: What is explained only by bounds that would hold an error of 1 % as well.
    """

    certificate: str
    records: int = 0
    compared: int = 0
    unbounded: int = 0
    worst: float = 0.0
    step: str = ""
    wrong: str = ""
    note: str = ""
    untold: str = ""


@dataclass(frozen=True)
class Verdict:
    """What the comparison of one framework's gradient with the reference says.

    Attributes:
        framework: The adapter's name.
        formulation: How max(z, 0) was written.
        mode: How the gradient was asked for.
        kind: The verdict.
        worst: The entry with the largest ``bounds``; ``None`` where nothing was compared.
        first_layer: The layer whose gradient is the first to leave its bound, in the order
            of backpropagation (L down to 1; 0 is the input's); ``None`` when none does, or
            when only the loss does.
        gates: The gates that are not certain, with the slope the framework used.
        arithmetics: The names of the coarser arithmetics that explain the gradient, of
            `crosscheck.numbers.named.ARITHMETICS`; the nearest first. For ``REDUCED`` only.
        precision: Effective precision in bits, for ``REDUCED`` only; it decides nothing.
        validity: At a kink, whether the gradient with respect to the parameters and to the
            inputs is a generalised derivative; empty where that is no question.
        detail: One line for a person; empty when there is nothing to add.
        checked: The arrays of the gradient that were compared within bounds that tell them
            from zero; see `crosscheck.judge.vacuity`.
        unchecked: Those that were compared, and could have been zero as well.
        policies: For ``NONFINITE``, what the gradient tells of questions that IEEE 754 leaves
            open.
        certificates: What was asked beyond the a-priori certificate, and what came of it.
        basis: What the bounds take for granted of elementary functions, in a line; empty where none
            is called.
        is_nearest: Whether that was measured of another version, mode or processor than this one.
    """

    framework: str
    formulation: str
    mode: str
    kind: Kind
    worst: Entry | None = None
    first_layer: int | None = None
    gates: tuple[GateReading, ...] = ()
    arithmetics: tuple[str, ...] = ()
    precision: float | None = None
    validity: tuple[Validity, ...] = ()
    detail: str = ""
    checked: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    policies: tuple[PolicyReading, ...] = ()
    certificates: tuple[Certified, ...] = ()
    basis: str = ""
    is_nearest: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether it AGREES, and there is no decision to tell of."""
        return self.kind is Kind.AGREES and not self.gates

    @property
    def arithmetic(self) -> str | None:
        """The coarser arithmetic that explains the gradient best; ``None`` if it is not REDUCED."""
        return self.arithmetics[0] if self.arithmetics else None

    @property
    def reduction(self) -> str:
        """The coarser arithmetic and about how many bits it has; empty if it is not REDUCED."""
        if not self.arithmetics:
            return ""
        bits = "" if self.precision is None else f", about {self.precision:.1f} bits"
        return f"{self.arithmetic}{bits}"

    def _repr_html_(self) -> str:
        """The verdict for a notebook."""
        from crosscheck.judge.notebook import verdict_html

        return verdict_html(self)


def fails(verdict: Verdict, allowed: Collection[str] = ()) -> bool:
    """Whether ``verdict`` makes a run fail.

    A gradient that an allowed arithmetic explains passes, also where another one is nearer to it:
    what is allowed is what lies within its bounds. Nor is a library accused of what was measured
    of another version of it, or on another processor.

    Args:
        verdict: The verdict.
        allowed: Names of the coarser arithmetics that may stand in for a dtype's own.
    """
    if verdict.kind is Kind.REDUCED:
        return not any(name in allowed for name in verdict.arithmetics)
    if verdict.kind is Kind.LIBRARY:
        return not verdict.is_nearest
    return verdict.kind in FAILING


def how_to_allow(verdict: Verdict) -> str:
    """What to type for ``verdict`` to pass; empty where nothing helps."""
    name = verdict.arithmetic
    if name is None:
        return ""
    return f'if that is meant to be: --allow {name}, or allow=("{name}",) in a test'


def kind_of(readings: tuple[GateReading, ...]) -> Kind:
    """The verdict on a gradient that is explained by these readings.

    Decisions that are without effect, all of them together, do not count: the exact gradient is
    one and the same, whatever is decided. They stay among a verdict's readings.
    """
    telling = [reading for reading in readings if reading.effect is not Effect.NONE]
    if any(reading.gate is GateClass.KINK for reading in telling):
        return Kind.KINK
    return Kind.UNDECIDED if telling else Kind.AGREES
