"""The script of a newcomer's hour has every command of the README, and ends where one fails."""

from __future__ import annotations

import re
from pathlib import Path

import newcomer
import processes
import pytest

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
STUB = '#!/bin/bash\necho "$(basename "$0") $*" >> "$PLACE/calls"\n'


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder whose programs write down how they are called, and a shell that sees no others."""
    programs = tmp_path / "programs"
    programs.mkdir()
    activate = tmp_path / "there" / "activate"
    activate.parent.mkdir()
    activate.write_text("")
    venv = (
        'if [ "$2" = venv ]; then\n  mkdir -p "${@: -1}/bin"\n  touch "${@: -1}/bin/activate"\n'
        f'  for each in pip nox; do ln -sf {programs}/$each "${{@: -1}}/bin/$each"; done\nfi\n'
    )
    bodies = {
        "python3": venv,
        "pip": "mkdir -p dist; touch dist/it.whl\n",
        "nox": f'echo "    . {activate}"\n',
        "crosscheck": '[ "$*" != "$FAILING" ]\n',
        "pytest": '[ "$2" != test_affine.py ]\n',
    }
    for name, body in bodies.items():
        (programs / name).write_text(STUB + body)
        (programs / name).chmod(0o755)
    (tmp_path / "copy").mkdir()
    return tmp_path


def run(place: Path, failing: str = "") -> tuple[int, list[str]]:
    shell = place / "newcomer.sh"
    shell.write_text(newcomer.script(README))
    env = {"PATH": f"{place}/programs:/usr/bin:/bin", "PLACE": str(place), "FAILING": failing}
    done = processes.run(
        ["bash", str(shell)], env={**env, "COPY": str(place / "copy")}, capture_output=True
    )
    return done.returncode, (place / "calls").read_text().splitlines()


def test_every_command_of_the_readme_is_run_in_its_order(place: Path) -> None:
    code, calls = run(place)
    assert code == 0
    wanted = [
        re.sub(r"^.*&& ", "", line).replace(".venv/bin/", "") for line in newcomer.commands(README)
    ]
    wanted = [line.split(" ")[0] for line in wanted]
    places = iter(call.split(" ")[0] for call in calls)
    assert len(wanted) > 5
    assert all(name in places for name in wanted), calls  # each after the one before it


def test_a_command_that_fails_ends_the_hour(place: Path) -> None:
    (line,) = (each for each in newcomer.commands(README) if "run --profile" in each)
    code, calls = run(place, failing=line.removeprefix("crosscheck "))
    assert code != 0
    assert calls[-1] == line
