"""The pytest plugin: collects ReLU-boundary verdicts and shows them in a section of their own.

It imports no framework, and nothing of the harness until a test uses it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.verdict import Verdict

__all__ = ["relu_boundary_record"]

_PROPERTY = "relu_boundary"


@pytest.fixture
def relu_boundary_record(
    record_property: Callable[[str, object], None],
) -> Callable[[Verdict], None]:
    """Call it with a verdict to have its gates counted in the section "ReLU boundary".

    The gates become properties of the test, so that they reach JUnit files, and the terminal
    when the tests run in several processes.
    """

    def record(verdict: Verdict) -> None:
        path = f"{verdict.framework} {verdict.formulation} ({verdict.mode})"
        for gate in verdict.gates:
            slope = "no effect" if gate.slope is None else f"{gate.slope:.6g}"
            record_property(_PROPERTY, [path, str(gate.gate), slope])

    return record


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One line for each path and gate class: which slopes were used, at how many gates."""
    counts: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == _PROPERTY and getattr(report, "when", "") == "call":
                    path, gate, slope = value
                    counts[path, gate][slope] += 1
    if not counts:
        return
    terminalreporter.section("ReLU boundary")
    width = max(len(path) for path, _ in counts)
    for (path, gate), slopes in sorted(counts.items()):
        shown = ", ".join(f"λ = {slope}: {count}" for slope, count in sorted(slopes.items()))
        terminalreporter.write_line(f"{path:<{width}}  {gate:<18}  {shown}")
