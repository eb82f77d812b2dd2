"""Faults in ourselves: each has a test that notices it, and the list is what was measured."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import processes
import pytest
from ourselves.catalogue import FAULTS
from ourselves.planting import Fault, around, changed, planted
from ourselves.roles import ROLES

import crosscheck.judge.kinks.explanation  # noqa: F401  # who has imported much by name
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.model import Model

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "reports" / "FAULTS.md"

SAMPLE = (
    "an identity output has a ReLU",
    "a sum's bound is half of it",
    "exact operands make any sum exact",
    "a sign has no margin",
    "slopes are read and not tested",
    "everything is a convex combination",
    "what disagrees is called REDUCED",
    "DISAGREES does not fail a run",
)


def test_there_are_enough_faults_in_every_part_of_the_harness() -> None:
    assert len(FAULTS) >= 40
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert {fault.role for fault in FAULTS} == set(ROLES)


@pytest.mark.parametrize("role", ROLES)
def test_every_role_is_played_by_something(role: str) -> None:
    module, _, path = ROLES[role].partition(":")
    found = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    assert found is not None


def functions(file: str) -> Iterator[str]:
    for node in ast.parse((TESTS / file).read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            yield node.name


def test_every_fault_names_a_test_that_is_there() -> None:
    for fault in FAULTS:
        file, _, name = fault.caught_by.partition("::")
        assert name.partition("[")[0] in functions(file), fault.name


def test_a_planted_fault_is_everywhere_and_goes_away() -> None:
    role = "loss and its cotangent"
    module, _, name = ROLES[role].partition(":")
    right = getattr(importlib.import_module(module), name)

    def places() -> list[str]:
        return [
            each
            for each, found in sys.modules.items()
            if each.startswith("crosscheck.") and vars(found).get(name) is right
        ]

    before = places()
    assert len(before) >= 3
    with planted(Fault("none", role, changed(lambda found: "wrong"), "")):
        assert places() == []
    assert places() == before


def test_what_is_computed_once_can_be_replaced_too() -> None:
    model = Model(format_of("float32"))
    with planted(Fault("none", "margin of a sign", around(lambda right, self: 7), "")):
        assert Enclosure.of(model, np.ones(1)).margin == 7
    assert Enclosure.of(model, np.ones(1)).margin == 0


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_a_sample_of_faults_is_caught() -> None:
    """Those whose test takes no time; `nox -s faults` plants all."""
    words = [sys.executable, "-m", "ourselves.runner", *SAMPLE]
    done = processes.run(words, cwd=TESTS, capture_output=True)
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == ["caught"] * len(SAMPLE), done.stdout
    assert re.fullmatch(r"unplanted, the \d+ tests pass", lines[-1]), done.stdout
    assert done.returncode == 0


def test_the_page_is_about_the_faults_of_the_list() -> None:
    rows = [f"| {fault.role} | {fault.name} | `{fault.caught_by}` | caught |" for fault in FAULTS]
    text = PAGE.read_text("utf-8")
    assert f"**{len(FAULTS)} of {len(FAULTS)} are caught.**" in text
    assert [line for line in text.splitlines() if line.endswith("| caught |")] == rows
