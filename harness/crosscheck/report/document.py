"""What ``report.json`` holds, as records: its layout and its schema follow from their types."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NewType

import numpy as np

from crosscheck.cases.stream.settings import Settings
from crosscheck.frameworks.state import FrameworkState
from crosscheck.judge.decisions import GateClass, GateReading
from crosscheck.judge.verdict import Kind, Verdict
from crosscheck.run.events import ExitCode, Part, WorkerLost
from crosscheck.run.records import RECORDS, KeptNetwork, KeptReference
from crosscheck.tools.records import Decimal

__all__ = ["Counted", "Document", "Judged", "KeptCase", "Ran", "Swept"]

Key = NewType("Key", str)
"""Of a case: sixteen hexadecimal digits."""


@dataclass(frozen=True)
class Ran:
    """The run as a whole; see `crosscheck.run.events.RunStarted` and `RunFinished`."""

    command: str
    profile: str
    seed: int | None
    dtypes: tuple[str, ...]
    environment: Mapping[str, str]
    exit_code: ExitCode
    reason: str
    seconds: Decimal
    cases: int
    distinct_cases: int | None
    failing_cases: int
    cases_not_kept: int


@dataclass(frozen=True)
class Counted:
    """The verdicts on one framework in one part, by kind.

    Attributes:
        framework: Its name.
        part: Where the cases come from.
        counts: Verdict to number of cases.
        arithmetics: Name of a coarser arithmetic to number of cases that are REDUCED to it.
        allowed: How many of these were allowed; ``None`` where there are none.
    """

    framework: str
    part: Part
    counts: Mapping[Kind, int]
    arithmetics: Mapping[str, int] = field(default_factory=dict)
    allowed: int | None = None


@dataclass(frozen=True)
class Bin:
    """A bin of a histogram: values up to an edge, from that of the bin before."""

    up_to: float
    cases: int


@dataclass(frozen=True)
class Distribution:
    """How error / bound is distributed; see `crosscheck.run.spread`."""

    framework: str
    dtype: str
    depth: int
    cases: int
    median: float
    maximum: float
    histogram: tuple[Bin, ...]


@dataclass(frozen=True, kw_only=True)
class Example(GateReading):
    """An open gate of a case.

    Attributes:
        case: The case's key.
    """

    case: str


@dataclass(frozen=True)
class AtBoundary:
    """A line of the ReLU-boundary table; see `crosscheck.run.tally.BoundaryKey`."""

    framework: str
    formulation: str
    mode: str
    gate: GateClass
    slope: str
    flipped: bool
    gates: int
    cases: int
    example: Example | None


@dataclass(frozen=True)
class Validities:
    """In how many cases a gradient at a kink is a generalised derivative, by status."""

    framework: str
    formulation: str
    block: Literal["parameters", "inputs"]
    counts: Mapping[Literal["inside", "outside", "not decided"], int]


@dataclass(frozen=True)
class Again:
    """What came of asking a framework again; see `crosscheck.run.again`."""

    framework: str
    cases: int
    not_reproducible: int
    nondeterministic: int


@dataclass(frozen=True)
class Note:
    """Why a certificate says nothing, and of how many gradients."""

    note: str
    cases: int


@dataclass(frozen=True)
class CertifiedBy:
    """What a certificate beyond the a-priori one said; see `crosscheck.run.certified`."""

    framework: str
    certificate: str
    cases: int
    inside: int
    wrong: int
    compared: int
    unbounded: int
    worst: float
    notes: tuple[Note, ...]
    untold: int


@dataclass(frozen=True)
class NotChecked:
    """What was not checked of the cases of one shape; see `crosscheck.judge.vacuity`."""

    framework: str
    dtype: str
    widths: tuple[int, ...]
    rows: int
    compared: int
    not_checked: int
    arrays: Mapping[str, int]
    never_checked: tuple[str, ...]
    operators: str


@dataclass(frozen=True)
class Answered:
    """Answers that single gradients left, and in how many cases."""

    answers: tuple[str, ...]
    cases: int


@dataclass(frozen=True)
class Answer:
    """What a framework does where IEEE 754 leaves it open; see `crosscheck.report.policies`."""

    question: str
    choice: str
    told: tuple[Answered, ...]


@dataclass(frozen=True)
class Policy:
    """The answers of one framework, formulation and mode."""

    framework: str
    formulation: str
    mode: str
    questions: tuple[Answer, ...]


@dataclass(frozen=True, kw_only=True)
class Judged(Verdict):
    """A verdict in a run.

    Attributes:
        fails: Whether the run fails for it.
    """

    fails: bool


@dataclass(frozen=True, eq=False)
class KeptCase:
    """A case that is worth showing; see `crosscheck.run.events.CaseChecked`.

    Attributes:
        key: Its key.
        part: Where it comes from.
        label: Its name for a person.
        shrunk: Whether it is the smallest form of a failing case.
        case: The case; ``None`` for a large one.
        reference: The reference's loss and gradient; likewise.
        verdicts: One for each framework.
        scripts: Framework name to a program that shows the failure.

    Raises:
        ValueError: They do not fit together.
    """

    key: Key
    part: Part
    label: str
    shrunk: bool
    case: KeptNetwork
    reference: KeptReference
    verdicts: tuple[Judged, ...]
    scripts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.case is not None and self.case.key != self.key:
            raise ValueError(f"the case has the key {self.case.key}, not {self.key}")
        if self.case is not None and self.reference is not None:
            found = {name: np.shape(array) for name, array in self.reference.entries()}
            shapes = {name: array.shape for name, array in self.case.entries() if name != "y"}
            if found != {"J": (), **shapes}:
                raise ValueError("the reference does not fit the case")


@dataclass(frozen=True)
class InFamily:
    """The verdicts on one framework in one family of a sweep's cases, by kind."""

    framework: str
    family: str
    counts: Mapping[Kind, int]


@dataclass(frozen=True)
class Swept:
    """What a sweep has beside; ``workers`` depends on how the work was shared out."""

    settings: Settings | None
    families: tuple[InFamily, ...]
    workers_lost: int
    workers: tuple[WorkerLost, ...]


@dataclass(frozen=True, eq=False)
class Document:
    """All of a report."""

    run: Ran
    frameworks: tuple[FrameworkState, ...]
    verdicts: tuple[Counted, ...]
    error_over_bound: tuple[Distribution, ...]
    relu_boundary: tuple[AtBoundary, ...]
    validity: tuple[Validities, ...]
    certified: tuple[CertifiedBy, ...]
    asked_again: tuple[Again, ...]
    not_checked: tuple[NotChecked, ...]
    policies: tuple[Policy, ...]
    cases: tuple[KeptCase, ...]
    sweep: Swept | None = None


def _key(data: Any) -> Key:
    if not isinstance(data, str) or not re.fullmatch(_DIGITS, data):
        raise ValueError(f"{str(data)[:40]!r} is not the key of a case")
    return Key(data)


_DIGITS = "[0-9a-f]{16}"

RECORDS.add(Key, str, _key, {"type": "string", "pattern": f"^{_DIGITS}$"})
RECORDS.lay(Counted, if_told=("arithmetics", "allowed"))
RECORDS.lay(KeptCase, if_told=("scripts",))
RECORDS.lay(Document, if_told=("sweep",))
