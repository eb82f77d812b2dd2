"""How far a sweep has come: saved as it goes, and taken up again.

The file ``sweep.json`` in the report's folder holds the settings, what the result depends on
beside them, and the tally of everything before one *place*. It is replaced whole or not at all, so
whenever a sweep is killed, the file is one of some moment before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from crosscheck.cases.stream.settings import Settings
from crosscheck.frameworks.state import FrameworkState
from crosscheck.run.records import RECORDS
from crosscheck.run.sweep.plausible import require_plausible
from crosscheck.run.sweep.state import taken_up
from crosscheck.run.tally import Tally
from crosscheck.tools.atomic import write_text_atomically
from crosscheck.tools.sealed import FileKind, bare

__all__ = ["NAME", "Checkpoint", "changed", "load", "made_with", "save"]

NAME = "sweep.json"

_KIND = FileKind(
    "a sweep",
    version=4,
    instead="leave --resume out to begin anew",
    missing=(
        ", so there is no sweep to resume; leave --resume out, or name its folder with --report"
    ),
)


@dataclass(frozen=True)
class Checkpoint:
    """A sweep up to some place.

    Attributes:
        settings: The sweep.
        made_with: What the result may depend on beside: versions of everything in use.
        place: Everything before it is in the tally.
        seconds: How long that took.
        smooth: How many cases with certain gates were compared.
        failing: How many cases fail.
        finished: Whether nothing is left to do.
        tally: All results.
    """

    settings: Settings
    made_with: Mapping[str, str]
    place: int
    seconds: float
    smooth: int
    failing: int
    finished: bool
    tally: Tally


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write ``sweep.json``.

    Raises:
        UsageError: The file cannot be written.
    """
    content = _KIND.sealed(RECORDS.apart(checkpoint))
    write_text_atomically(folder / NAME, json.dumps(content, allow_nan=False) + "\n")


def load(folder: Path) -> Checkpoint:
    """Read ``sweep.json``.

    Raises:
        UsageError: There is none, or it is of another version, or damaged, or what it says cannot
            be; see `crosscheck.run.sweep.plausible`.
    """
    path = folder / NAME
    content = _KIND.read(path)
    try:
        found = RECORDS.together(bare(content), Checkpoint)
        require_plausible(found)
    except ValueError as error:
        raise _KIND.damaged(path, str(error)) from None
    return replace(found, tally=taken_up(found.tally))


def made_with(states: tuple[FrameworkState, ...], environment: Mapping[str, str]) -> dict[str, str]:
    """What the result of a sweep depends on beside its settings."""
    relevant = ("gradient-crosscheck", "numpy", "python-flint", "machine")
    found = {name: environment[name] for name in relevant if name in environment}
    for state in states:
        if state.state == "available":
            found |= dict(state.versions)
            found[f"{state.name} as"] = f"{state.formulation}, {state.mode}"
    return found


def changed(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What is different between two of `made_with`; empty if nothing is."""
    return "; ".join(
        f"{name} {then.get(name, 'absent')} and {now.get(name, 'absent')}"
        for name in sorted(then.keys() | now.keys())
        if then.get(name) != now.get(name)
    )
