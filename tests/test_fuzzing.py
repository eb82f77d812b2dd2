"""Files that were tampered with are read or refused in a line; what else happens is found."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hostile.measure import Counts, measure, read, tried, write
from hostile.mutations import archive, json_values, mutated_bytes, sealed, tensors
from hostile.targets import TARGETS, Target, Untrue, one

from crosscheck.tools.errors import UsageError
from crosscheck.tools.sealed import checksum

QUICK = [name for name, target in TARGETS.items() if target.group == "cases"]


def never(counts: Counts) -> None:
    """Keeps nothing."""


@pytest.mark.parametrize("name", QUICK)
def test_no_case_file_ends_in_a_traceback(name: str) -> None:
    found: dict[str, Counts] = {}
    measure(found, {name: 60}, 1, never)
    (counts,) = found.values()
    assert counts.kept == []
    assert counts.read + counts.refused == counts.files == 60
    assert counts.refused > 20  # most of what is changed matters


@pytest.mark.long
@pytest.mark.parametrize("name", TARGETS)
def test_no_file_ends_in_a_traceback(name: str) -> None:
    found: dict[str, Counts] = {}
    measure(found, {name: 600}, 2, never)
    (counts,) = found.values()
    assert counts.kept == []
    assert counts.read + counts.refused == counts.files == 600


def raising(error: BaseException) -> Target:
    """A kind of file whose reader raises."""

    def use(path: Path) -> None:
        raise error

    return replace(TARGETS["case.json"], use=use)


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (KeyError("x"), "KeyError at"),
        (UsageError("two\nlines"), "no short line"),
        (UsageError("\x1b[2J"), "no short line"),
        (UsageError("x" * 5000), "no short line"),
        (Untrue("more"), "believed: more"),
        (SystemExit(0), "SystemExit at"),
        (RecursionError(), "RecursionError at"),
        (MemoryError(), "MemoryError at"),
    ],
    ids=["key", "lines", "escape", "long", "untrue", "exit", "deep", "memory"],
)
def test_what_a_reader_must_not_do_is_a_finding(
    error: BaseException, what: str, tmp_path: Path
) -> None:
    outcome, why = tried(raising(error), b"", tmp_path)
    assert outcome == "found"
    assert what in why
    assert tried(raising(UsageError("a line")), b"", tmp_path) == ("refused", "a line")


@pytest.mark.parametrize(
    ("module", "name", "value", "what"),
    [("measure.time", "process_time", None, "3.0 s"), ("measure", "_peak", None, "MiB")],
    ids=["slow", "large"],
)
def test_what_takes_too_long_or_too_much_is_a_finding(
    module: str, name: str, value: Any, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter(range(0, 10_000, 3)) if name == "process_time" else iter(range(1023, 10_000, 2))
    monkeypatch.setattr(f"hostile.{module}.{name}", lambda: float(next(ticks)))
    found: dict[str, Counts] = {}
    measure(found, {"case.json": 1}, 1, never)
    assert found["case.json"].findings == 1
    assert what in found["case.json"].kept[0][1]


def test_what_was_counted_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "counts.json"
    once: dict[str, Counts] = {}
    measure(once, {"function.json": 30}, 3, never)
    found = read(path, 3)
    measure(found, {"function.json": 10}, 3, lambda counts: write(path, found, 3))
    found = read(path, 3)
    assert found["function.json"].files == 10
    assert read(path, 4) == {}  # of another seed
    measure(found, {"function.json": 30}, 3, never)
    for name in ("files", "read", "refused", "findings"):
        assert getattr(found["function.json"], name) == getattr(once["function.json"], name)


def test_a_file_is_the_same_whenever_it_is_made() -> None:
    target = TARGETS["case.json"]
    assert one(target, 5, 7) == one(target, 5, 7)
    assert len({one(target, 5, number) for number in range(50)}) > 40


@pytest.mark.parametrize("name", QUICK)
def test_what_was_not_tampered_with_is_read(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    for content in target.bases():
        assert tried(target, content, tmp_path) == ("read", "")


def test_a_checksum_is_made_to_fit_most_often() -> None:
    content = json.dumps({"a": [1, 2, 3], "checksum": ""}).encode()
    fits = 0
    for number in range(100):
        try:
            data = json.loads(sealed(content, random.Random(number)))
        except ValueError:
            continue
        fits += isinstance(data, dict) and data.get("checksum") == checksum(data)
    assert fits > 50


@pytest.mark.parametrize("mutate", [mutated_bytes, json_values, archive, tensors])
def test_every_mutation_changes_most_files(mutate: Any) -> None:
    name = {archive: "case.npz", tensors: "case.safetensors"}.get(mutate, "case.json")
    (content, *_) = TARGETS[name].bases()
    changed = [mutate(content, random.Random(number)) != content for number in range(50)]
    assert sum(changed) > 40
