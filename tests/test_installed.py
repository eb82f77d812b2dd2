"""What is built from the sources works where it is installed, beside whatever is there."""

from __future__ import annotations

import os
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import processes
import pytest

ROOT = Path(__file__).resolve().parents[1]

HARNESS = '''"""A module of the project's own, with a name that many have."""

from crosscheck import Case


def gradients(case: Case):
    d = case.x[0, 0] * case.weights[0][0, 0] - case.y[0, 0]
    return {"weights": [[[d * case.x[0, 0]]]]}
'''

A_TEST = """
import harness.backward
from crosscheck import Case


def test_mine(crosscheck):
    case = Case.of([[[2.0]]], None, [[3.0]], [[5.0]], output="identity")
    crosscheck(numpy=harness.backward.gradients, cases=case)
"""


def built(folder: Path, into: Path) -> tuple[Path, Path]:
    """A wheel and an archive of the sources, made of those in ``folder``."""
    words = [sys.executable, "-m", "hatchling", "build", "-d", str(into)]
    done = processes.run(words, cwd=folder, capture_output=True)
    assert done.returncode == 0, done.stderr
    [wheel], [archive] = into.glob("*.whl"), into.glob("*.tar.gz")
    return wheel, archive


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return built(ROOT, tmp_path_factory.mktemp("built"))


def test_the_wheel_is_one_package_and_brings_the_baseline(made: tuple[Path, Path]) -> None:
    names = zipfile.ZipFile(made[0]).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"crosscheck"}
    wanted = {
        "crosscheck/py.typed",
        "crosscheck/report/html/templates/style.css",
        "crosscheck/studies/conventions/baseline/conventions.json",
        "crosscheck/studies/conventions/baseline/divergences.json",
    }
    assert wanted <= set(names)


def test_a_wheel_from_the_archive_of_the_sources_is_the_same(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    with tarfile.open(made[1]) as archive:
        # Python knows of filters from 3.11.4 on.
        safe: Any = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(tmp_path / "sources", **safe)
    [sources] = (tmp_path / "sources").iterdir()
    again, _ = built(sources, tmp_path / "again")
    one, other = (zipfile.ZipFile(path) for path in (made[0], again))
    assert {name: one.read(name) for name in one.namelist()} == {
        name: other.read(name) for name in other.namelist()
    }


def test_the_wheel_works_beside_a_project_that_has_a_harness_of_its_own(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    site = tmp_path / "site"
    zipfile.ZipFile(made[0]).extractall(site)
    project = tmp_path / "project"
    for path, text in {
        "harness/__init__.py": "",
        "harness/backward.py": HARNESS,
        "tests/test_mine.py": A_TEST,
    }.items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(text, "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(site)}
    where = "import crosscheck; print(crosscheck.__file__)"
    done = processes.run(
        [sys.executable, "-c", where], cwd=project, env=environment, capture_output=True
    )
    assert done.stdout.startswith(str(site))
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = processes.run(words, cwd=project, env=environment, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
