"""The programs that show a failure need one framework, and print its number and the exact one."""

from __future__ import annotations

import ast
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import faulty
import numpy as np
import processes
import pytest

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.registry import open_frameworks
from crosscheck.frameworks.script import exact_entry, script
from crosscheck.judge.compare import Judge
from crosscheck.judge.verdict import Kind, Verdict
from crosscheck.network.dense import Case, Gradients, worked_example

MODES = {"torch": ["eager"], "tensorflow": ["eager", "graph", "xla"], "jax": ["jit", "eager"]}


def network(dtype: str = "float64") -> Case:
    return Case.of(
        [[[1.0, -2.5], [3.0, 0.1], [0.5, 1e-3]], [[1.0, 2.0, 1 / 3]]],
        [[0.5, 1.0, -0.0], None],
        [[1.0, 2.0], [0.3, -1.0]],
        [[1.0], [4.0]],
        reduction="mean",
        output="identity",
        dtype=dtype,
    )


def spoiled(framework: Framework, case: Case) -> tuple[Gradients, Verdict]:
    """What the framework returns, and the verdict on it with dJ/dW1[1,0] doubled."""
    given = framework.gradients(case)
    weight = given.weights[0].copy()
    weight[1, 0] *= 2.0
    verdict = Judge(case).verdict(
        replace(given, weights=(weight, *given.weights[1:])),
        framework=framework.name,
        formulation=framework.formulation,
        mode=framework.mode,
    )
    assert verdict.kind is Kind.DISAGREES
    assert verdict.worst is not None
    assert verdict.worst.name == "W1[1,0]"
    return given, verdict


def run(*programs: Path) -> list[str]:
    """The lines that programs print, one after the other in a process of their own."""
    runner = "import runpy, sys\nfor path in sys.argv[1:]:\n    runpy.run_path(path)\n"
    done = processes.run([sys.executable, "-c", runner, *map(str, programs)], capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", MODES)
def test_a_program_prints_what_the_framework_returns_and_the_exact_value(
    name: str, tmp_path: Path
) -> None:
    programs, expected = [], []
    for dtype in ("float64", "float32", "bfloat16"):
        case = network(dtype)
        exact = exact_entry(case, "W1[1,0]")
        for mode in MODES[name] if dtype == "float64" else MODES[name][:1]:
            (framework,), _ = open_frameworks([name], modes={name: mode})
            given, verdict = spoiled(framework, case)
            text = script(case, framework, verdict)
            assert text is not None
            assert len(text.splitlines()) < 45
            assert imports(text) <= {name, "numpy"}
            assert f"{framework.formulation}, {mode}; {dtype}: DISAGREES" in text.splitlines()[0]
            programs.append(tmp_path / f"{dtype}-{mode}.py")
            programs[-1].write_text(text)
            expected.append(f"dJ/dW1[1,0]: {given.weights[0][1, 0]!r}".replace("np.float64", ""))
            expected.append(f"exactly: {float(exact)!r}")
    lines = run(*programs)
    assert [line.replace("(", "").replace(")", "") for line in lines] == [
        line.replace("(", "").replace(")", "") for line in expected
    ]


def imports(text: str) -> set[str]:
    """The packages that a program imports."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).partition(".")[0])
    return found


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_special_numbers_reach_the_framework_and_a_crash_shows_everything(
    name: str, tmp_path: Path
) -> None:
    case = Case.of(
        [[[2.0**-1074, np.inf]]], [[-0.0]], [[np.nan, 1e300]], [[-np.inf]], output="identity"
    )
    (framework,), _ = open_frameworks([name])
    crashed = Verdict(name, "relu", framework.mode, Kind.CRASHED)
    text = script(case, framework, crashed)
    assert text is not None
    program = tmp_path / "special.py"
    names = ", ".join(f'p["{array}"]' for array in ("W1", "b1", "x"))
    program.write_text(f"{text}\nprint(*(float(v) for a in ({names}) for v in a.reshape(-1)))\n")
    lines = run(program)
    assert lines[-1] == "5e-324 inf -0.0 nan 1e+300"
    assert lines[0].startswith("J ")
    assert {"W1", "b1", "x"} <= {line.split()[0] for line in lines if line.split()}


def test_the_exact_entry_of_the_worked_example_is_known_by_hand() -> None:
    case = worked_example()
    values = {"J": 2, "W2[0,0]": 4, "b2[0]": 2, "W1[0,0]": 6, "b1[0]": 6, "x[0,0]": 12}
    for name, value in values.items():
        assert exact_entry(case, name) == Fraction(value)


def test_at_a_kink_the_program_says_which_slope_the_exact_value_is_for() -> None:
    (torch,), _ = open_frameworks(["torch"])
    case = worked_example(x=0.0)
    given = torch.gradients(case)
    bias = given.biases[1] * 2.0
    verdict = Judge(case).verdict(replace(given, biases=(given.biases[0], bias)), framework="torch")
    text = script(case, torch, verdict)
    assert text is not None
    assert "exactly with ReLU'(0) = 0:" in text


def test_a_framework_whose_source_is_not_known_has_no_program() -> None:
    own = faulty.Faulty(faulty.doubled_loss)
    case = worked_example()
    verdict = Judge(case).verdict(own.gradients(case), framework="faulty")
    assert script(case, own, verdict) is None
