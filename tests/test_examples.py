"""The committed pages are what the commands beside them make today."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from crosscheck.cli import main

ROOT = Path(__file__).parents[1]
README = ROOT / "reports" / "examples" / "README.md"
COMMANDS = [line for line in README.read_text("utf-8").splitlines() if "crosscheck explain" in line]


def test_every_page_has_its_command() -> None:
    made = {shlex.split(line)[-1] for line in COMMANDS}
    pages = {f"reports/examples/{path.name}" for path in README.parent.iterdir()}
    assert made == pages - {"reports/examples/README.md"}


@pytest.mark.parametrize("line", COMMANDS)
def test_a_page_is_what_its_command_makes(line: str, tmp_path: Path) -> None:
    *words, page = shlex.split(line)[1:]
    fresh = tmp_path / "page"
    assert main([*words, str(fresh)]) == 0
    assert fresh.read_text("utf-8") == (ROOT / page).read_text("utf-8")
