"""What the guide shows in full is one file outside the package, and everything takes it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import processes
import pytest
from hypothesis import HealthCheck, given, settings

from crosscheck.cases.composed import composed_boundary_cases, plans, seeded_composed
from crosscheck.frameworks.gatekeeper import ask
from crosscheck.frameworks.refusals import Refused
from crosscheck.frameworks.registry import open_frameworks
from crosscheck.judge.programs.judge import ProgramJudge
from crosscheck.judge.verdict import Kind, fails
from crosscheck.network.composed import Composed
from crosscheck.network.dense import worked_example
from crosscheck.network.files import read_any_case, write_case
from crosscheck.network.steps import step
from crosscheck.operators import registry
from crosscheck.studies.steps import faults_of, wrong_gradient

GUIDE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text("utf-8")
OURS = ("softshrink", "tube")


def shown(section: str, kind: str = "python") -> str:
    """The first block of a kind in a section of the guide."""
    text = GUIDE.split(f"## {section}\n")[1].split("\n## ")[0]
    found = re.search(rf"```{kind}\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a package of two operators, as if it were installed."""
    folder = tmp_path_factory.mktemp("outside")
    inside = folder / "my_package"
    inside.mkdir()
    (inside / "__init__.py").write_text("")
    (inside / "softshrink.py").write_text(shown("A new operator"))
    (inside / "tube.py").write_text(shown("A new loss"))
    [(group, lines)] = tomllib.loads(shown("A new operator", "toml"))["project"][
        "entry-points"
    ].items()
    info = folder / "my_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    entries = "".join(f"{name} = {value}\n" for name, value in lines.items())
    (info / "entry_points.txt").write_text(f"[{group}]\n{entries}")
    return folder


@pytest.fixture
def installed(package: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(package))
    registry._installed.cache_clear()
    yield package
    registry._installed.cache_clear()


def network() -> Composed:
    steps = (
        step("z", "dense", "x", "W", "b"),
        step("a", "softshrink", "z", bend=0.25),
        step("s", "add", "a", "z"),
        step("loss", "tube", "s", "y", epsilon=0.5, reduction="mean"),
    )
    return Composed.of(
        steps,
        {"W": [[1.0, -0.5], [0.5, 2.0]], "b": [0.0, 0.25]},
        {"x": [[0.5, 0.5], [1.0, -2.0]], "y": [[2.0, 1.0], [-1.0, 0.0]]},
        dtype="float32",
    )


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", ["torch", "tensorflow", "jax"])
def test_a_framework_differentiates_an_operator_from_outside(name: str) -> None:
    pytest.importorskip(name)
    (framework,), _ = open_frameworks([name])
    for case in (network(), seeded_composed(1, plans(OURS)[0], 1, "float64")[0]):
        given = ask(framework, case)
        assert not isinstance(given, Refused), given
        assert ProgramJudge(case).verdict(given, framework=name).kind in (Kind.AGREES, Kind.KINK)


@pytest.mark.usefixtures("installed")
def test_kinks_of_an_operator_from_outside_are_located_and_read() -> None:
    case = network()  # z = 1/4 and 9/4 in the first row: the first is at the breakpoint
    found = ProgramJudge(case).verdict(wrong_gradient(case, None), framework="ours")
    assert found.kind is Kind.KINK
    assert "a[0,0] at 0.25" in [gate.where for gate in found.gates]


@pytest.mark.usefixtures("installed")
def test_faults_in_an_operator_from_outside_are_caught() -> None:
    case = seeded_composed(2, plans(OURS)[1 % len(plans(OURS))], 1, "float64")[0]
    judge, right = ProgramJudge(case), wrong_gradient(case, None)
    assert not fails(judge.verdict(right, framework="ours"))
    planted = 0
    for fault in faults_of(case):
        wrong = wrong_gradient(case, fault)
        pairs = zip(wrong.entries(), right.entries(), strict=True)
        if all(np.array_equal(a, b) for (_, a), (_, b) in pairs):
            continue
        planted += 1
        assert fails(judge.verdict(wrong, framework="ours")), fault.what
    assert planted > 20


@pytest.mark.usefixtures("installed")
def test_case_files_hold_an_operator_from_outside(tmp_path: Path) -> None:
    write_case(network(), tmp_path / "case.json")
    again = read_any_case(tmp_path / "case.json")
    assert again.key == network().key
    assert json.loads((tmp_path / "case.json").read_text())["program"][1] == {
        "id": "a",
        "op": "softshrink",
        "inputs": {"z": "z"},
        "attributes": {"bend": 0.25},
    }


@pytest.mark.usefixtures("installed")
def test_strategies_draw_an_operator_from_outside() -> None:
    seen: set[str] = set()

    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
    @given(composed_boundary_cases(operators=OURS))
    def draw(case: Composed) -> None:
        seen.update(each.op for each in case.steps)
        right = wrong_gradient(case, None)
        assert not fails(ProgramJudge(case).verdict(right, framework="ours"))

    draw()
    assert set(OURS) <= seen


TEST = """
import crosscheck
from crosscheck.cases.composed import Plan, composed_boundary_cases, composed_cases

CASE = crosscheck.Composed.of(
    (
        crosscheck.step("z", "dense", "x", "W"),
        crosscheck.step("loss", "tube", "z", "y", epsilon=0.5),
    ),
    {"W": [[1.0, 2.0]]},
    {"x": [[1.0, 1.0]], "y": [[0.0]]},
)
PLAN = Plan(CASE.steps, {"W": (1, 2)}, {"x": (1, 2), "y": (1, 1)})


def by_hand(parameters, inputs):
    d = inputs["x"] @ parameters["W"].T - inputs["y"]
    g = (d > 0.5) * 1.0 - (d < -0.5) * 1.0
    return {"W": g.T @ inputs["x"], "x": g @ parameters["W"]}


def doubled(parameters, inputs):
    return {"W": 2 * by_hand(parameters, inputs)["W"]}


def test_right(crosscheck):
    for strategy in (composed_cases, composed_boundary_cases):
        crosscheck(reference=by_hand, cases=strategy(plan=PLAN))


def test_wrong(crosscheck):
    crosscheck(reference=doubled, cases=CASE)
"""


def run(package: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(package), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    command = [sys.executable, "-m", *words]
    return processes.run(command, cwd=folder, env=environment, capture_output=True)


def test_the_commands_take_an_operator_from_outside(package: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    data: dict[str, Any] = {
        "program": [
            {"id": "z", "op": "dense", "inputs": ["x", "W"]},
            {"id": "a", "op": "softshrink", "inputs": ["z"]},
            {"id": "loss", "op": "tube", "inputs": ["a", "y"]},
        ],
        "parameters": {"W": [[1, 2], [0.5, -1]]},
        "inputs": {"x": [[1, -0.25]], "y": [[2, 0]]},
    }
    (tmp_path / "net.json").write_text(json.dumps(data))
    one = ("--frameworks", "torch", "--report", "out")
    found = run(package, tmp_path, "crosscheck", "run", "--case", "net.json", *one)
    assert found.returncode == 0, found.stderr
    assert "a[0,0] at 0.5" in found.stdout
    swept = ("sweep", "--program", "net.json", "--cases", "300", "--seed", "1")
    found = run(package, tmp_path, "crosscheck", *swept, *one)
    assert found.returncode == 0, found.stderr
    assert "300 cases" in found.stdout
    explained = ("explain", "--case", "net.json", "--frameworks", "none")
    found = run(package, tmp_path, "crosscheck", *explained)
    assert found.returncode == 0, found.stderr
    assert "Numbers near zero become zero" in " ".join(found.stdout.split())
    found = run(package, tmp_path, "crosscheck", "power", "--program", "net.json", "--cases", "3")
    assert found.returncode == 0, found.stdout
    assert "right gradients rejected: 0" in found.stdout


def test_the_fixture_takes_an_operator_from_outside(package: Path, tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(TEST)
    found = run(package, tmp_path, "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py")
    assert "1 failed, 1 passed" in found.stdout, found.stdout
    assert "FAILED test_mine.py::test_wrong" in found.stdout
    assert 'step("loss", "tube", "z", "y"' in found.stdout.replace("'", '"')


def test_the_framework_of_the_guide_agrees() -> None:
    names: dict[str, Any] = {}
    exec(shown("A new framework"), names)
    given = ask(names["MineFramework"](), worked_example())
    assert not isinstance(given, Refused)
    assert [float(array.item()) for array in (*given.weights, *given.biases)] == [6, 4, 6, 2]


def test_without_the_package_its_operators_are_named_as_unknown(tmp_path: Path) -> None:
    data = {
        "program": [{"id": "loss", "op": "tube", "inputs": ["x", "y"]}],
        "inputs": {"x": [[1]], "y": [[1]]},
    }
    (tmp_path / "net.json").write_text(json.dumps(data))
    found = run(tmp_path, tmp_path, "crosscheck", "run", "--case", "net.json")
    assert found.returncode == 4
    assert "operator 'tube': wanted one of" in found.stderr
    said = [line for line in found.stderr.splitlines() if not line.endswith(" …")]
    assert len(said) == 1  # beside what is said at once, while libraries are imported
