"""``python -m ourselves.runner`` from the folder of the tests: plant each fault, ask its test.

Each fault is planted in a process of its own, forked from one that has imported the project, where
pytest runs one test: it has to fail. Unplanted, all of these tests have to pass.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ourselves.catalogue import FAULTS
from ourselves.planting import Fault, planted

__all__ = ["Outcome", "main", "outcome_of", "page"]

TESTS = Path(__file__).parents[1]
REPORT = TESTS.parent / "reports" / "FAULTS.md"

Outcome = str
"""``caught``, ``missed``, or what went wrong."""

_OUTCOMES = {0: "missed", 1: "caught"}


def _asked(tests: Sequence[str], fault: Fault | None) -> int:
    """The exit code of pytest on these tests."""
    words = [str(TESTS / test) for test in tests]
    known = "ignore::pytest.PytestAssertRewriteWarning"  # that the project is imported already
    quiet = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", known]
    if fault is None:
        return int(pytest.main([*quiet, *words]))
    with planted(fault):
        return int(pytest.main([*quiet, *words]))


def _forked(work: Callable[[], int], seconds: int = 600) -> int:
    """What ``work`` returns in a process of its own."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 99
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            code = work()
        finally:
            os._exit(code)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return 98


def outcome_of(fault: Fault) -> Outcome:
    """Whether the test of ``fault`` notices it."""
    code = _forked(lambda: _asked([fault.caught_by], fault))
    return _OUTCOMES.get(code, f"pytest ended with {code}")


def page(outcomes: Sequence[tuple[Fault, Outcome]]) -> str:
    """The table, in Markdown."""
    caught = sum(outcome == "caught" for _, outcome in outcomes)
    lines = [
        "# Faults in ourselves",
        "",
        "Each is planted in the harness by itself, and the test beside it has to fail.",
        "Written by `nox -s faults`, in two minutes, from `tests/ourselves/catalogue.py`.",
        "",
        f"**{caught} of {len(outcomes)} are caught.**",
        "",
        "| role | fault | the test that notices it | |",
        "|---|---|---|---|",
        *(
            f"| {fault.role} | {fault.name} | `{fault.caught_by}` | {outcome} |"
            for fault, outcome in outcomes
        ),
    ]
    return "\n".join(lines) + "\n"


def main(words: Sequence[str]) -> int:
    """Plant the faults with one of ``words`` in name or role; or all, and write the page."""
    chosen = [
        fault
        for fault in FAULTS
        if not words or any(word in fault.name or word in fault.role for word in words)
    ]

    outcomes: list[tuple[Fault, Outcome]] = []
    for fault in chosen:
        start = time.monotonic()
        outcome = outcome_of(fault)
        outcomes.append((fault, outcome))
        took = time.monotonic() - start
        print(f"{outcome:8} {took:5.1f} s  {fault.role}: {fault.name}", flush=True)
    tests = sorted({fault.caught_by for fault in chosen})
    passes = _forked(lambda: _asked(tests, None), 1200) == 0
    print(f"unplanted, the {len(tests)} tests {'pass' if passes else 'FAIL'}")
    if not words:
        REPORT.write_text(page(outcomes), "utf-8")
    return 0 if passes and all(outcome == "caught" for _, outcome in outcomes) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
