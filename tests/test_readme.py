"""What the README says is what happens: every command in it, every program, every picture."""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from pathlib import Path
from typing import Any

import processes
import pytest

from crosscheck.cases.strategies import SHAPES, boundary_cases, seeded_stacks, smooth_cases
from crosscheck.cli import main
from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.registry import GROUP, open_frameworks
from crosscheck.judge.compare import Judge
from crosscheck.judge.verdict import MEANING, Kind
from crosscheck.network.dense import worked_example
from crosscheck.run.checker import Checker
from crosscheck.run.functions.checking import compare_functions

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, flags=re.DOTALL)


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


COMMANDS = [line for block in blocks("sh") for line in block.splitlines() if line.strip()]
SHORT = [line for line in COMMANDS if line.startswith("crosscheck ")]


def test_every_command_is_of_a_kind_that_is_tested() -> None:
    assert SHORT
    for line in COMMANDS:
        assert line.startswith(("crosscheck ", "pytest ", "python3 -m venv ")), line


@pytest.mark.parametrize("line", SHORT)
def test_a_command_of_the_readme_runs(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ("my_gradient.json", "my_network.json", "my_program.json")
    for name, text in zip(names, blocks("json"), strict=False):
        (tmp_path / name).write_text(text)
    words = shlex.split(line)[1:]
    if words[0] == "power":
        # Minutes long as it stands there; the smallest numbers do the same things.
        monkeypatch.setattr("crosscheck.studies.power.SHAPES", ((4, 8, 1),))
        words = ["1" if word.isdigit() else word for word in words]
    if words[0] == "precision":
        words = [*words, "--quick", "--trials", "1"]  # the last --trials counts
    if words[0] == "conventions" and "--recorded" not in words:
        words += ["--framework", "numpy"]
    if words[0] == "accuracy" and "--recorded" not in words:
        words += ["--framework", "torch", "--function", "tanh", "--dtype", "bfloat16"]
    if words[0] == "sweep":
        words = [{"1e6": "5000", "1e4": "256"}.get(word, word) for word in words]
    if words[0] == "bench":
        words += ["--framework", "jax", "--jobs", "1", "--seconds", "0.01", "--repeats", "1"]
        words += ["--widths", "1,1,1", "--no-growth", "--no-storms", "--no-start-up"]
    if words[0] == "doctor":  # one framework does for all, without minutes of compilation
        words += ["--frameworks", "jax"]
    assert main(words) == ("my_gradient.json" in words)  # in which a number is wrong
    studies = ("power", "precision", "conventions", "accuracy", "bench")
    checks = words[0] not in (*studies, "explain", "doctor")
    assert (tmp_path / "reports/latest/report.json").is_file() == checks


def test_the_two_commands_name_sessions_that_exist() -> None:
    listed = processes.run(
        [sys.executable, "-m", "nox", "--list", "-f", str(ROOT / "noxfile.py")],
        capture_output=True,
        check=True,
    ).stdout
    sessions = set(re.findall(r"^[*-] (\w+)", listed, flags=re.MULTILINE))
    named = [line.split(" -s ")[1].split() for line in COMMANDS if " -s " in line]
    assert named == [["crosscheck"], ["lint", "types", "tests"]]
    assert {name for names in named for name in names} <= sessions


def test_the_boundary_is_selected_by_its_name() -> None:
    (line,) = (line for line in COMMANDS if line.startswith("pytest "))
    collected = processes.run(
        [
            sys.executable,
            "-m",
            *shlex.split(line),
            "--collect-only",
            "-q",
            "-p",
            "no:cacheprovider",
        ],
        capture_output=True,
        check=True,
        cwd=ROOT,
    ).stdout
    tests = [line for line in collected.splitlines() if "::" in line]
    assert len(tests) > 100
    assert all("relu_boundary" in test for test in tests)


def program(start: str) -> str:
    (found,) = (text for text in blocks("python") if text.startswith(start))
    return found


def test_the_example_of_an_own_function_fails_as_it_says(tmp_path: Path) -> None:
    source = program("import numpy as np\n\n\ndef affine")
    assert len([line for line in source.splitlines() if line.strip()]) <= 12
    file = tmp_path / "test_affine.py"
    file.write_text(source, "utf-8")
    names: dict[str, Any] = {}
    exec(compile(source, str(file), "exec"), names)
    found = compare_functions(names["affine"], "n i, o i, o -> n o", by_hand=names["backward"])
    (said,) = (text for text in blocks("text") if text.startswith("by_hand backward"))
    # Which cases are drawn is Hypothesis's affair, so that counts and numbers may change with it.
    kept = [line for line in said.rstrip().splitlines()[1:] if not line.startswith("  case")]
    assert [line for line in kept if line not in found.message.splitlines()] == []


def test_the_program_for_users_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    exec(program("from crosscheck import Judge"), {})
    assert capsys.readouterr().out == "KINK 1.0\n"


def test_the_program_for_second_derivatives_prints_what_it_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = program("import numpy as np\n\nfrom crosscheck.judge.second")
    exec(text, {})
    assert text.endswith(f"  # {capsys.readouterr().out}")


def test_the_fourth_framework_is_short_and_correct(tmp_path: Path, monkeypatch: Any) -> None:
    source = program("import numpy as np\nfrom crosscheck")
    names: dict[str, Any] = {}
    exec(source, names)
    framework: Framework = names["MineFramework"]()
    assert len([line for line in source.splitlines() if line.strip()]) <= 30
    assert (
        Judge(worked_example())
        .verdict(framework.gradients(worked_example()), framework="mine")
        .kind
        is Kind.AGREES
    )
    checker = Checker([framework], lambda event: None)
    for dtype in framework.dtypes:
        for strategy in (smooth_cases(dtype=dtype), boundary_cases(dtype=dtype)):
            for seed in range(15):
                checker.check_case(drawn(strategy, seed), "smooth", "readme")
        checker.check_stack(
            drawn(seeded_stacks(count=20, dtype=dtype, shapes=SHAPES), 3), "smooth", "readme"
        )
    assert not checker.failed
    assert checker.smooth > 50


def drawn(strategy: Any, seed: int) -> Any:
    """One example of a strategy, the same every time."""
    import hypothesis

    found: list[Any] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=2,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(strategy)
    def keep(case: Any) -> None:
        found.append(case)

    keep()
    return found[-1]


def test_every_verdict_is_explained() -> None:
    for kind in MEANING:
        assert str(kind) in README


def test_the_picture_of_the_worked_example_is_what_the_command_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    main(["run", "--case", "worked-example"])
    out = "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines())
    (picture,) = (text for text in blocks("text") if "by hand, ReLU'(0) = 1" in text)
    assert picture.strip() in out


def test_the_part_of_the_table_of_conventions_is_what_the_command_prints(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["conventions", "--recorded", "--framework", "torch", "--baseline", str(ROOT / "reports")])
    out = {" ".join(line.split()) for line in capsys.readouterr().out.splitlines()}
    (picture,) = (text for text in blocks("text") if text.startswith("torch (torch"))
    for line in picture.splitlines():
        assert " ".join(line.split()) in out


def test_the_derivation_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = (line for line in SHORT if line.startswith("crosscheck explain --set"))
    assert main(shlex.split(line)[1:]) == 0
    (picture,) = (text for text in blocks("text") if "−12 · λ1" in text)
    assert picture in capsys.readouterr().out


def test_the_marks_are_what_the_command_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (text,) = (text for text in blocks("json") if '"gradient"' in text)
    (tmp_path / "my_gradient.json").write_text(text)
    case = str(tmp_path / "my_gradient.json")
    assert main(["explain", "--case", case, "--frameworks", "none"]) == 1
    (picture,) = (text for text in blocks("text") if text.startswith("Your numbers"))
    assert capsys.readouterr().out.endswith(picture)


def test_the_pictures_are_there_and_small() -> None:
    named = re.findall(r'(?:src|srcset)="([^"]+)"', README)
    assert named
    for name in named:
        picture = (ROOT / name).read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) <= 200_000


def test_the_entry_point_of_a_fourth_framework_loads_and_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [snippet] = blocks("toml")
    [(group, lines)] = tomllib.loads(snippet)["project"]["entry-points"].items()
    [(name, value)] = lines.items()
    (tmp_path / "my_package.py").write_text(program("import numpy as np\nfrom crosscheck"))
    monkeypatch.delitem(sys.modules, "my_package", raising=False)
    info = tmp_path / "my_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {value}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert group == GROUP
    (framework,), _ = open_frameworks([name])
    assert framework.gradients(worked_example()).loss == 2.0
