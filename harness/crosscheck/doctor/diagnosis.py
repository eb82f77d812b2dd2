"""The findings of an examination."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from crosscheck.run.events import ExitCode

__all__ = ["Check", "Diagnosis", "FrameworkHealth", "LibraryHealth", "Problem", "Subnormals"]

Subnormals = Mapping[str, Mapping[str, bool]]
"""Dtype to ``results`` and ``operands`` to whether subnormal numbers are kept there."""


@dataclass(frozen=True)
class Problem:
    """Something that does not work, and what to do about it.

    Attributes:
        subject: What it is about: a framework, with its mode where only that is concerned.
        what: What was found.
        remedy: What to do.
        serious: Whether the framework cannot be used.
    """

    subject: str
    what: str
    remedy: str
    serious: bool = False


@dataclass(frozen=True)
class Check:
    """One way of asking a framework for a gradient, tried.

    Attributes:
        name: The mode.
        works: Whether it gave the right gradient.
        detail: What went wrong; empty if nothing did.
        seconds: How long it took, compilation included.
    """

    name: str
    works: bool
    detail: str
    seconds: float


@dataclass(frozen=True)
class FrameworkHealth:
    """What was found out about one framework.

    Attributes:
        name: The framework.
        state: ``"available"``, ``"absent"``, or ``"broken"``: it cannot be imported, or its
            default mode does not give the right gradient.
        versions: Package name to version.
        detail: For ``absent``, what to install; for ``broken``, what happened.
        seconds: How long importing took.
        devices: What it can compute on. The harness uses the CPU.
        threads: Kind of thread to their number, as the framework says; 0 is its own choice.
        subnormals: Which subnormal numbers are kept, and which replaced by zero.
        modes: Each mode, tried.
        left_out: Modes that were not to be tried, since they wait for a compiler.
    """

    name: str
    state: Literal["available", "absent", "broken"]
    versions: Mapping[str, str]
    detail: str = ""
    seconds: float | None = None
    devices: tuple[str, ...] = ()
    threads: Mapping[str, int] | None = None
    subnormals: Subnormals | None = None
    modes: tuple[Check, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class LibraryHealth:
    """What was found out about an optional package.

    Attributes:
        name: The distribution.
        state: ``"available"``, ``"absent"`` or ``"broken"``.
        version: Its version; empty if it is not installed.
        use: What it is for, and what happens without it.
        detail: What to install, or the error.
    """

    name: str
    state: Literal["available", "absent", "broken"]
    version: str
    use: str
    detail: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """All findings.

    Attributes:
        system: Name to value: Python, processor, BLAS, NumPy, variables that matter.
        subnormals: What NumPy does with subnormal numbers in a fresh process.
        frameworks: The frameworks.
        libraries: The optional packages.
        problems: What does not work, the serious first.
    """

    system: Mapping[str, str]
    subnormals: Subnormals | None
    frameworks: tuple[FrameworkHealth, ...]
    libraries: tuple[LibraryHealth, ...]
    problems: tuple[Problem, ...]

    @property
    def exit_code(self) -> ExitCode:
        """0 if the harness can be used, 1 if a framework is broken, 5 if none is available."""
        states = [framework.state for framework in self.frameworks]
        if any(problem.serious for problem in self.problems):
            return ExitCode.DISAGREEMENT
        return ExitCode.OK if "available" in states else ExitCode.NOTHING_CHECKED
