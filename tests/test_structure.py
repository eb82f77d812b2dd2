"""The package is built from the ground upwards: imports go down, and none goes round."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import structure

CONTRIBUTING = Path(__file__).resolve().parent.parent / "CONTRIBUTING.md"


def test_every_module_is_in_a_part_that_has_its_place() -> None:
    assert {structure.room(name) for name in structure.modules()} - {""} == set(structure.ROOMS)


@pytest.mark.parametrize("room", structure.ROOMS)
def test_a_part_imports_only_what_is_below_it(room: str) -> None:
    below = set(structure.ROOMS[: structure.ROOMS.index(room)])
    assert structure.rooms()[room] <= below


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert structure.circle(structure.graph()) == []


def test_a_circle_is_found() -> None:
    arrows = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set[str]()}
    assert set(structure.circle(arrows)) == {"b", "c"}
    source = "if TYPE_CHECKING:\n    import a\ndef f():\n    import b\n"
    assert structure.imports(source, {"a": 0, "b": 0}) == {"b"}


def test_the_picture_in_the_guide_is_that_of_the_code() -> None:
    assert f"```text\n{structure.picture()}\n```" in CONTRIBUTING.read_text("utf-8")


NAMED = re.compile(r"`(crosscheck(?:\.\w+)+)`")


def test_what_a_text_names_is_there() -> None:
    missing = {
        f"{name}: {each}"
        for name, path in structure.modules().items()
        for each in NAMED.findall(path.read_text("utf-8"))
        if not structure.is_there(each)
    }
    assert missing == set()


@pytest.mark.parametrize("name", ["crosscheck.mixed", "crosscheck.run.tally.Spreads"])
def test_what_is_not_there_is_noticed(name: str) -> None:
    assert not structure.is_there(name)
