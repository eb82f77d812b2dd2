"""Examining everything, side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

import crosscheck.doctor.advice as advice
from crosscheck.doctor.diagnosis import (
    Check,
    Diagnosis,
    FrameworkHealth,
    LibraryHealth,
    Problem,
    Subnormals,
)
from crosscheck.doctor.probe import LIBRARIES, PACKAGES
from crosscheck.doctor.runner import Outcome, Runner
from crosscheck.doctor.system import system
from crosscheck.frameworks import registry
from crosscheck.tools.errors import UsageError
from crosscheck.tools.installing import installation
from crosscheck.tools.interrupts import interrupts

__all__ = ["examine"]

_USES: Mapping[str, tuple[str, str]] = {
    "python-flint": (
        "exact rationals; without it Python's own fractions, with the same results, slower; and "
        "Arb, which `crosscheck accuracy` needs",
        "exact",
    ),
    "scikit-learn": ("the data of `crosscheck digits`, which needs it", "digits"),
    "safetensors": ("cases in .safetensors files, which cannot be read without it", "files"),
    "matplotlib": ("the figures of studies, which are left out without it", "plots"),
    "numba": (
        "verdicts on many cases at once; without it from NumPy, the same verdicts, slower",
        "sweep",
    ),
    "distributed": ("sweeps over several machines, which need it", "distributed"),
}
"""Optional distribution to what it is for, and our own extra that brings it."""


_LOOK = 0.5
"""Seconds between looks at whether an interrupt has come."""


def examine(
    names: Sequence[str] | None = None,
    *,
    limit: float = 120.0,
    compilation: bool = True,
    report: Callable[[str], None] = lambda name: None,
) -> Diagnosis:
    """Find out what is installed and what of it works.

    Args:
        names: The frameworks to examine; all that are known by default.
        limit: Seconds that one step may take: an import, or one mode with its compilation.
        compilation: Whether modes that wait for a compiler are tried.
        report: Is called with the name of whatever is done.

    Raises:
        UsageError: No such framework, or a limit that is none.
    """
    if not limit > 0:
        raise UsageError(f"timeout={limit!r}: wanted a number of seconds above 0")
    wanted = registry.names() if names is None else list(dict.fromkeys(names))
    for name in wanted:
        if name not in registry.names():
            registry.adapter_of(name)  # says so
    subjects = [LIBRARIES, *wanted]
    runner = Runner(limit, compilation=compilation)

    def look_at(subject: str) -> Outcome:
        outcome = runner.run(subject)
        report(subject)
        return outcome

    with (
        interrupts() as held,
        ThreadPoolExecutor(max_workers=min(len(subjects), os.cpu_count() or 1)) as pool,
    ):
        try:
            futures = {subject: pool.submit(look_at, subject) for subject in subjects}
            # Not without end: a signal that comes just before the wait does not cut it short.
            while wait(futures.values(), timeout=_LOOK).not_done:
                with held():
                    pass  # an interrupt that was swallowed comes here
            outcomes = {subject: future.result() for subject, future in futures.items()}
        finally:
            with held():  # the pool waits for whatever is left running
                runner.close()
    libraries = outcomes.pop(LIBRARIES)
    numpy = libraries.found.get("numpy", {})
    frameworks = tuple(_framework(name, outcome) for name, outcome in outcomes.items())
    packages = tuple(_library(name, libraries) for name in PACKAGES)
    subnormals: Subnormals | None = numpy.get("subnormals")
    problems: list[Problem] = []
    for health, outcome in zip(frameworks, outcomes.values(), strict=True):
        problems += advice.on_framework(health, outcome)
    judged = bool(numpy.get("judged", True))
    problems += advice.on_libraries(packages, libraries, subnormals, judged)
    problems.sort(key=lambda problem: not problem.serious)
    return Diagnosis(system(), subnormals, frameworks, packages, tuple(problems))


def _framework(name: str, outcome: Outcome) -> FrameworkHealth:
    """The findings on one framework."""
    if "import" in outcome.failed:
        return FrameworkHealth(name, "broken", {}, detail=outcome.failed["import"])
    opened = outcome.found["import"]
    modes = tuple(
        Check(
            step.removeprefix("mode "),
            step in outcome.found,
            outcome.failed.get(step, ""),
            outcome.seconds.get(step, 0.0),
        )
        for step in outcome.plan
        if step.startswith("mode ")
    )
    state, detail = opened["state"], opened["detail"]
    for mode in modes:
        if mode.name == opened["default"] and not mode.works:
            state, detail = "broken", f"mode {mode.name}: {mode.detail}"
    devices = outcome.found.get("devices", {})
    return FrameworkHealth(
        name,
        state,
        opened["versions"],
        detail=detail,
        seconds=outcome.seconds["import"],
        devices=tuple(devices.get("devices", ())),
        threads=devices.get("threads"),
        subnormals=outcome.found.get("subnormals"),
        modes=modes,
        left_out=tuple(opened.get("left_out", ())),
    )


def _library(name: str, outcome: Outcome) -> LibraryHealth:
    """The findings on one optional package."""
    use, extra = _USES[name]
    if name in outcome.failed:
        return LibraryHealth(name, "broken", "", use, outcome.failed[name])
    version = str(outcome.found.get(name, {}).get("version", ""))
    if version:
        return LibraryHealth(name, "available", version, use)
    return LibraryHealth(name, "absent", "", use, installation(extra))
