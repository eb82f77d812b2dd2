"""The pytest plugin is thin, and its section says what happened at the boundary."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

HEAVY = ["torch", "tensorflow", "jax", "numpy", "sympy", "hypothesis.extra", "harness.compare"]

A_TEST = """
import pytest
from harness import Judge, gradients, worked_example

@pytest.mark.parametrize("slope", [0.0, 1.0])
def test_kink(slope, relu_boundary_record):
    case = worked_example(x=0.0)
    verdict = Judge(case).verdict(
        gradients(case, kink_slope=slope), framework="mine", formulation="relu", mode="by hand"
    )
    relu_boundary_record(verdict)
"""


def test_the_plugin_imports_nothing_heavy() -> None:
    program = (
        "import sys, harness.pytest_plugin; "
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["one-process", "xdist"])
def test_the_terminal_summary_has_a_section_for_the_boundary(
    pytester: pytest.Pytester, workers: list[str]
) -> None:
    pytester.makepyfile(A_TEST)
    result = pytester.runpytest_subprocess(*workers)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["*= ReLU boundary =*", "mine relu (by hand)*kink*λ = 0: 1, λ = 1: 1"]
    )


def test_without_boundary_verdicts_there_is_no_section(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_nothing(): pass")
    result = pytester.runpytest_subprocess()
    result.stdout.no_fnmatch_line("*ReLU boundary*")


def test_the_gates_reach_a_junit_file(pytester: pytest.Pytester, tmp_path: Path) -> None:
    pytester.makepyfile(A_TEST)
    pytester.runpytest_subprocess(f"--junit-xml={tmp_path / 'junit.xml'}")
    assert (tmp_path / "junit.xml").read_text().count('name="relu_boundary"') == 2
