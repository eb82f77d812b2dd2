"""What is committed of bad days: as many as there are to be, and nothing found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import processes
import pytest
import sweeping
from hostile.targets import TARGETS
from reliability import ctrl_c, kills
from reliability.commands import Ended, groups, outcomes, place
from reliability.commands import Place as Where
from reliability.page import page, wrong
from reliability.rows import Found, Interrupt, Kill, Row, read, tried, write
from reliability.ways import COMMANDS, WAYS

REPORTS = Path(__file__).resolve().parent.parent / "reports"
FILES = json.loads((REPORTS / "reliability-files.json").read_text("utf-8"))


def test_a_hundred_thousand_case_files_and_a_thousand_of_each_other_kind_were_tried() -> None:
    kinds = {each["name"]: each for each in FILES["kinds"]}
    assert kinds.keys() == TARGETS.keys()
    for name, counts in kinds.items():
        assert counts["files"] >= 1_000
        assert (counts["findings"], counts["kept"]) == (0, []), name
        assert counts["read"] + counts["refused"] == counts["files"]
        assert counts["slowest"] < FILES["limits"]["seconds"]
        assert counts["largest"] < FILES["limits"]["mebibytes"]
    cases = [each["files"] for each in kinds.values() if each["group"] == "cases"]
    assert sum(cases) >= 100_000
    for group, counts in FILES["groups"].items():
        members = [each for each in kinds.values() if each["group"] == group]
        for name, count in counts.items():
            assert count == sum(each[name] for each in members)


SEED = 20261130
FOUND = read(REPORTS / "reliability.json", SEED)


def test_every_way_to_misbehave_was_tried_in_every_command_and_came_out_as_it_was_to() -> None:
    assert len(WAYS) >= 80
    assert [(row.way, row.command) for row in FOUND.rows] == [
        (way, command) for way in WAYS for command in COMMANDS
    ]
    assert wrong(FOUND) == []


def test_fifty_kills_and_ctrl_c_in_every_long_command_came_out_as_they_were_to() -> None:
    counts = {name: command.kills for name, command in kills.COMMANDS.items()}
    assert sum(counts.values()) >= 50
    assert {(each.command, each.number) for each in FOUND.kills} == {
        (name, number) for name, count in counts.items() for number in range(count)
    }
    assert {(each.command, each.number) for each in FOUND.interrupts} == {
        (name, number) for name in ctrl_c.COMMANDS for number in range(ctrl_c.TIMES)
    }


def test_the_page_is_what_is_written_of_what_was_found(tmp_path: Path) -> None:
    assert page(FOUND, FILES) == (REPORTS / "RELIABILITY.md").read_text("utf-8")
    write(tmp_path / "again.json", FOUND)
    text = (REPORTS / "reliability.json").read_text("utf-8")
    assert (tmp_path / "again.json").read_text("utf-8") == text


# What the study would find


def test_whatever_comes_out_otherwise_is_told_on_the_page_and_fails_the_study() -> None:
    found = Found(
        SEED,
        [Row("aborts", "run", "CRASHED", "AGREES")],
        [Kill("sweep", 0, 1.0, "half-way", "report.json is cut off")],
        [
            Interrupt("run", 0, 1.0, ctrl_c.HEARD + 0.1, "interrupted"),
            Interrupt("run", 1, 1.0, 0.1, "3: Traceback | so there"),
        ],
    )
    assert len(wrong(found)) == 4
    text = page(found, FILES)
    assert "4 came out otherwise than it was to" in text
    assert "**AGREES**, wanted CRASHED" in text
    assert "3: Traceback \\| so there" in text


def test_what_was_tried_is_gone_on_with_and_what_is_to_come_out_otherwise_now_is_not(
    tmp_path: Path,
) -> None:
    found, kept = Found(SEED), tmp_path / "kept.json"

    def came(ways: object, command: str) -> dict[str, str]:
        assert ways == ["aborts"]
        return {"aborts": "CRASHED"}

    def attempt(found: Found) -> int:
        before = len(found.rows)
        tried(
            found,
            came,
            lambda row: write(kept, found),
            groups=groups,
            ways=["aborts"],
            commands=("run", "sweep"),
        )
        return len(found.rows) - before

    assert attempt(found) == 2
    assert attempt(read(kept, SEED)) == 0
    assert read(kept, SEED + 1) == Found(SEED + 1)
    found.rows[0] = replace(found.rows[0], wanted="AGREES")
    write(kept, found)
    assert attempt(read(kept, SEED)) == 1


def test_a_file_that_is_cut_off_and_a_process_that_is_left_behind_are_found(tmp_path: Path) -> None:
    assert kills.complaint(tmp_path) == ""
    (tmp_path / "report.json").write_text('{"a": 1')
    assert "report.json is cut off" in kills.complaint(tmp_path)
    (tmp_path / "report.json").write_text("{}")
    (tmp_path / "report.html").write_text("<html>")
    assert kills.complaint(tmp_path) == "report.html is cut off"
    words = [sys.executable, "-c", "print(flush=True); input()"]
    with processes.started(
        words,
        env={**os.environ, "RELIABILITY_TOKEN": "mine"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert kills.left_behind("mine") == [process.pid]
    assert kills.left_behind("mine") == []


@pytest.fixture(scope="module")
def where() -> Iterator[Where]:
    with place() as found:
        yield found


@pytest.mark.long
@pytest.mark.parametrize("command", COMMANDS)
def test_some_ways_come_out_as_they_are_to_in_every_command(command: str, where: Where) -> None:
    for way in ("aborts", "exits as Python does", "returns twice of it", "breaks json"):
        assert outcomes(where, [way], command) == {way: WAYS[way].wanted[command]}


@pytest.mark.long
def test_a_way_that_is_told_wrongly_is_a_finding(where: Where) -> None:
    ended = where.run([sys.executable, "-c", "raise SystemExit(3)"], seconds=60.0)
    assert ended == Ended(3, "", "")
    (found,) = outcomes(where, ["leaves with 0"], "run").values()
    assert found == WAYS["leaves with 0"].wanted["run"] != WAYS["breaks json"].wanted["run"]


@pytest.mark.long
def test_a_sweep_that_is_killed_ends_as_if_nothing_had_been_the_matter(tmp_path: Path) -> None:
    path = os.pathsep.join([str(sweeping.write(tmp_path)), *filter(None, sys.path)])
    command = kills.Command(kills.COMMANDS["sweep"].words, 1, kills.COMMANDS["sweep"].resume)
    runs = kills.Runs("sweep", command, tmp_path, {**os.environ, "PYTHONPATH": path})
    assert runs.kill(0, 0.5).outcome == kills.SAME
