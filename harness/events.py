"""What happens in a run, as a stream of records for the sinks in `harness.report`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal

from harness.network import Array, Case, Gradients
from harness.verdict import Kind, Verdict

__all__ = [
    "CaseChecked",
    "Event",
    "ExitCode",
    "FrameworkState",
    "Part",
    "RunFinished",
    "RunStarted",
    "StackChecked",
]

Part = Literal["smooth", "boundary", "given"]
"""Generated away from kinks, generated on them, or given by the user."""


class ExitCode(IntEnum):
    """How the command ends; the same numbers as pytest's."""

    OK = 0
    DISAGREEMENT = 1
    INTERRUPTED = 2
    INTERNAL_ERROR = 3
    USAGE = 4
    NOTHING_CHECKED = 5


@dataclass(frozen=True)
class FrameworkState:
    """Whether a framework can be used here.

    Attributes:
        name: The adapter's name.
        state: ``"available"``; ``"absent"`` (not installed); ``"broken"`` (importing it raised).
        versions: Package name to version; empty unless available.
        formulation: The formulation this run uses.
        mode: The mode this run uses.
        detail: For ``absent``, what to install; for ``broken``, the error in one line.
    """

    name: str
    state: Literal["available", "absent", "broken"]
    versions: Mapping[str, str] = field(default_factory=dict)
    formulation: str = ""
    mode: str = ""
    detail: str = ""


@dataclass(frozen=True)
class RunStarted:
    """The first event: what is about to be checked, with what.

    Attributes:
        command: The command line that repeats the run.
        profile: Name of the Hypothesis profile; empty for given cases.
        seed: Seed of the generated cases; ``None`` for given cases.
        dtypes: The dtypes asked for.
        frameworks: Every framework known, whatever its state.
        environment: Name to value: Python, platform, processor, harness and library versions.
        planned: Number of cases planned, for progress displays; ``None`` when not known.
    """

    command: str
    profile: str
    seed: int | None
    dtypes: tuple[str, ...]
    frameworks: tuple[FrameworkState, ...]
    environment: Mapping[str, str]
    planned: int | None = None


@dataclass(frozen=True, eq=False)
class CaseChecked:
    """One case was put to every available framework.

    Attributes:
        part: Where the case comes from.
        label: A name for a person, e.g. the file or the strategy it came from.
        case: The single case.
        reference: The reference's loss and gradient (gate 0 at kinks), as float64.
        verdicts: One per framework.
        shrunk: Whether this is the smallest form of a failing case.
    """

    part: Part
    label: str
    case: Case
    reference: Gradients
    verdicts: tuple[Verdict, ...]
    shrunk: bool = False


@dataclass(frozen=True, eq=False)
class StackChecked:
    """A stack of cases of one shape was put to every available framework.

    Cases whose verdict is not AGREES follow as `CaseChecked` events of their own (they are
    counted here already); a sink that counts must count one or the other.

    Attributes:
        part: Where the cases come from.
        widths: The shape of all the networks.
        rows: Rows in each case's batch.
        dtype: Of all the cases.
        count: Number of cases.
        distinct: How many of them had not been seen before in this run.
        kinds: Framework name to verdict to number of cases.
        bounds: Framework name to the largest error / bound of each case that was compared.
    """

    part: Part
    widths: tuple[int, ...]
    rows: int
    dtype: str
    count: int
    distinct: int
    kinds: Mapping[str, Mapping[Kind, int]]
    bounds: Mapping[str, Array]


@dataclass(frozen=True)
class RunFinished:
    """The last event.

    Attributes:
        exit_code: What the command exits with.
        reason: One line: why that exit code.
        seconds: Wall-clock duration.
        distinct: Number of distinct cases checked.
    """

    exit_code: ExitCode
    reason: str
    seconds: float
    distinct: int


Event = RunStarted | StackChecked | CaseChecked | RunFinished
