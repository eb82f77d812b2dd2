"""The pytest plugin is thin, and its section says what happened at the boundary."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import processes
import pytest

from crosscheck.report.reading import Report

pytest_plugins = ["pytester"]

HEAVY = [
    "torch",
    "tensorflow",
    "jax",
    "numpy",
    "sympy",
    "hypothesis.extra",
    "crosscheck.judge.compare",
]

A_TEST = """
import pytest

from crosscheck.report.reading import Report
from crosscheck import Judge, gradients, worked_example

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
        "import sys, crosscheck.pytest_plugin; "
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = processes.run([sys.executable, "-c", program], capture_output=True, check=True)
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


# The fixture crosscheck


BY_HAND = """
import numpy as np
import pytest

from crosscheck.report.reading import Report
from crosscheck import worked_example

SHAPES = [((1, 1, 1), 1), ((2, 3, 1), 2)]


def by_hand(weights, biases, x, y):
    (w1, w2), (b1, b2) = weights, biases
    z1 = x @ w1.T + b1
    a1 = np.maximum(z1, 0)
    z2 = a1 @ w2.T + b2
    d2 = (np.maximum(z2, 0) - y) * (z2 > 0)
    d1 = (d2 @ w2) * (z1 > 0)
    return [d1.T @ x, d2.T @ a1], [d1.sum(axis=0), d2.sum(axis=0)]


def without_mask(weights, biases, x, y):
    (w1, w2), (b1, b2) = weights, biases
    z1 = x @ w1.T + b1
    a1 = np.maximum(z1, 0)
    z2 = a1 @ w2.T + b2
    d2 = (np.maximum(z2, 0) - y) * (z2 > 0)
    d1 = d2 @ w2
    return [d1.T @ x, d2.T @ a1], [d1.sum(axis=0), d2.sum(axis=0)]
"""

KINKS = (
    BY_HAND
    + """

def kinks(slope):
    def gradient(case):
        from crosscheck import gradients
        return gradients(case, kink_slope=slope)
    return gradient


@pytest.mark.parametrize("number", range(4))
def test_kink(number, crosscheck):
    crosscheck(reference=kinks(0.0), numpy=kinks(1.0), cases=[worked_example(x=0.0)] * 2)


def test_smooth(crosscheck):
    crosscheck(reference=by_hand, cases=worked_example())
"""
)


def test_a_correct_gradient_passes_and_its_counts_are_properties(
    pytester: pytest.Pytester, tmp_path: Path
) -> None:
    pytester.makepyfile(
        BY_HAND + "def test_mine(crosscheck):\n    crosscheck(numpy=by_hand, shapes=SHAPES)\n"
    )
    junit = tmp_path / "junit.xml"
    result = pytester.runpytest_subprocess(
        "-W", "error", f"--junit-xml={junit}", "--crosscheck-profile=quick"
    )
    result.assert_outcomes(passed=1)
    written = junit.read_text("utf-8")
    properties = dict(re.findall(r'<property name="([^"]+)" value="([^"]+)"', written))
    told = properties["crosscheck numpy by_hand"]
    assert sum(int(count) for count in re.findall(r"\d+", told)) == 21
    assert "AGREES" in told
    assert "KINK" in told
    assert properties["relu_boundary"].startswith("[")


def test_a_wrong_gradient_fails_with_a_message_for_people(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        BY_HAND
        + "def test_mine(crosscheck):\n"
        + "    crosscheck(reference=by_hand, numpy=without_mask, shapes=SHAPES)\n"
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">   *crosscheck(reference=by_hand, numpy=without_mask, shapes=SHAPES)",
            "*reference by_hand (its own gradient): *",
            "*numpy without_mask (its own gradient): DISAGREES*",
            "*worst entry *1[[]*[]]: given *, reference 0.0; no error is allowed",
            "*first to leave its bound, from the top: layer 1",
            "*gates: * active, 1 inactive",
            "*layer 1, unit ?, row 0: inactive, z = -[0-9]*",
            "*smallest failing case found (smooth float64, seed 0): widths *",
            "*case = Case.of(",
        ]
    )
    # The way through the harness is of no interest to whoever reads this.
    assert "compare_implementations" not in result.stdout.str()


def test_what_a_function_raises_is_shown_where_it_was_raised(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def breaks(weights, biases, x, y):
            raise ValueError("not today")

        def test_mine(crosscheck):
            crosscheck(numpy=breaks)
        """
    )
    result = pytester.runpytest_subprocess()
    result.stdout.fnmatch_lines(
        [
            '>       raise ValueError("not today")',
            "*direct cause*",
            "*numpy breaks: CRASHED. ValueError: not today",
        ]
    )
    assert "crosscheck/run/implementations.py" not in result.stdout.str()
    assert "crosscheck/run/libraries.py" not in result.stdout.str()


def test_an_absent_library_is_told_in_one_line(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        BY_HAND
        + """
@pytest.mark.parametrize("absent", ["fail", "skip"])
def test_mine(absent, crosscheck, monkeypatch):
    monkeypatch.setattr("crosscheck.frameworks.registry._is_absent", lambda module: True)
    crosscheck(torch=by_hand, absent=absent)
"""
    )
    result = pytester.runpytest_subprocess("-rs")
    result.assert_outcomes(failed=1, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "crosscheck: torch: not installed here; pip install 'torch>=*",
            "SKIPPED*torch: not installed here",
        ]
    )
    assert "Traceback" not in result.stdout.str()


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["one-process", "xdist"])
def test_the_report_holds_what_every_process_has_checked(
    pytester: pytest.Pytester, workers: list[str]
) -> None:
    pytester.makepyfile(KINKS)
    result = pytester.runpytest_subprocess("--crosscheck-report", "out/here", *workers)
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(
        [
            "*= ReLU boundary =*",
            "numpy gradient (its own gradient) *kink*λ = 1: 8",
            "reference gradient (its own gradient) *kink*λ = 0: 8",
            "*crosscheck report: *report.html*",
        ]
    )
    folder = pytester.path / "out" / "here"
    assert sorted(path.name for path in folder.iterdir()) == [
        "report.html",
        "report.json",
        "summary.md",
    ]
    report = Report.read(folder)  # which checks it against the schema
    assert report.passed
    run = report.document["run"]
    assert (run["cases"], run["distinct_cases"]) == (9, 2)
    assert "--crosscheck-report out/here" in run["command"]
    counts = {each["framework"]: each["counts"] for each in report.document["verdicts"]}
    assert counts == {
        "numpy gradient": {"KINK": 8},
        "reference gradient": {"KINK": 8},
        "reference by_hand": {"AGREES": 1},
    }
    slopes = {
        (each["framework"], each["slope"]): each["gates"]
        for each in report.document["relu_boundary"]
    }
    assert slopes == {("numpy gradient", "1"): 8, ("reference gradient", "0"): 8}
    labels = [case["label"] for case in report.document["cases"]]
    assert any("::test_kink[3], case 1" in label for label in labels)


def test_a_failing_run_has_a_report_that_says_so(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        BY_HAND + "def test_mine(crosscheck):\n    crosscheck(numpy=without_mask, shapes=SHAPES)\n"
    )
    pytester.runpytest_subprocess("--crosscheck-report=out")
    report = Report.read(pytester.path / "out")
    assert not report.passed
    assert [case["shrunk"] for case in report.document["cases"]].count(True) == 1
    summary = (pytester.path / "out" / "summary.md").read_text("utf-8")
    assert r"**numpy without\_mask: DISAGREES.**" in summary
    # No command knows a function that is in a test.
    assert "crosscheck run" not in report.html()


def test_without_anything_cross_checked_there_is_no_report(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_nothing(): pass")
    result = pytester.runpytest_subprocess("--crosscheck-report=out")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*crosscheck report: none, no test used the fixture*"])
    assert list((pytester.path / "out").iterdir()) == []


def test_the_seed_is_an_option_and_a_fresh_one_every_night(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("number", [1, 2, 3, 4])
        def test_seed(number, request):
            assert False, f"seed {request.config.option.crosscheck_seed}."
        """
    )
    seeds = [
        set(re.findall(r"seed (\d+)\.$", pytester.runpytest_subprocess(*words).stdout.str(), re.M))
        for words in (
            ["--crosscheck-profile=quick"],
            ["--crosscheck-seed=7", "--crosscheck-profile=nightly"],
            ["--crosscheck-profile=nightly"],
            ["--crosscheck-profile=nightly", "-n", "2"],
        )
    ]
    assert [len(each) for each in seeds] == [1, 1, 1, 1]  # the same in every process
    assert seeds[:2] == [{"0"}, {"7"}]
    assert seeds[2] != seeds[3]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--crosscheck-seed=-1", "*--crosscheck-seed=-1: wanted a whole number from 0 on*"),
        ("--crosscheck-profile=slow", "*invalid choice: 'slow'*"),
        ("--crosscheck-report=file.txt", "*--crosscheck-report=file.txt: cannot be written to*"),
    ],
    ids=["seed", "profile", "report"],
)
def test_a_wrong_option_is_a_usage_error(
    option: str, message: str, pytester: pytest.Pytester
) -> None:
    pytester.makefile(".txt", file="a file")
    result = pytester.runpytest_subprocess(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


def _without_counts(line: str) -> str:
    return re.sub(r": \d+", "", line)


def test_the_example_in_the_docs_runs_and_shows_what_it_says(pytester: pytest.Pytester) -> None:
    page = (Path(__file__).parents[1] / "docs" / "testing.md").read_text("utf-8")
    section = page.split("## Dense networks\n")[1].split("\n## ")[0]
    (example,) = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    (shown,) = re.findall(r"```text\n(.*?)```", section, flags=re.DOTALL)
    pytester.makepyfile(example)
    result = pytester.runpytest_subprocess("--crosscheck-profile=quick")
    result.assert_outcomes(passed=1)
    out = result.stdout.str()
    # Which cases are drawn is Hypothesis's affair, so that the counts may change with it.
    for line in map(_without_counts, shown.strip().splitlines()):
        if "undecided" in line:  # on which side rounding comes out is the processor's affair
            continue
        assert line in map(_without_counts, out.splitlines())
    options = pytester.runpytest_subprocess("--help").stdout.str()
    named = re.findall(r"`(--crosscheck-\w+)", section)
    assert named == re.findall(r"^ +(--crosscheck-\w+)", options, flags=re.MULTILINE)


def test_loading_the_plugin_costs_next_to_nothing() -> None:
    program = (
        "import sys, pytest, secrets; before = set(sys.modules); import crosscheck.pytest_plugin; "
        "print(*sorted(set(sys.modules) - before))"
    )
    done = processes.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.split() == ["crosscheck", "crosscheck.pytest_plugin"]
