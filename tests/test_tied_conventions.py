"""Ties in the table of conventions: who has the derivative of the largest of equal numbers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from crosscheck.cli import main
from crosscheck.frameworks.pointwise import Pointwise
from crosscheck.frameworks.torch_ import TorchFramework
from crosscheck.frameworks.torch_lines import LINES
from crosscheck.numbers.formats import FORMATS
from crosscheck.operators.selections import SELECTIONS, Selection
from crosscheck.studies.conventions.baseline import TABLE
from crosscheck.studies.conventions.divergences import are_shares, divergences
from crosscheck.studies.conventions.expected import accept, comparable, unexpected
from crosscheck.studies.conventions.measure import Source, measure
from crosscheck.studies.conventions.points import FLUSHED, windows_of
from crosscheck.studies.conventions.table import Cell, Key, Row, Table, read_table
from crosscheck.studies.conventions.view import blocks

BASELINE = read_table(Path(__file__).parents[1] / "reports" / TABLE)


def table(vectors: str = "v", **cells: str) -> Table:
    """Of one way of taking the largest of four numbers."""
    key = Key("mine", "max", "max", "eager", "float64")
    names = {"tiny": FLUSHED, "inf_": "-inf", "zeros": "0,-0"}
    row = Row({names.get(name, name): Cell.parse(cell) for name, cell in cells.items()})
    return Table({"mine": "1.0"}, {"machine": "m", "vectors": vectors}, {key: row})


@pytest.mark.parametrize("unit", SELECTIONS.values(), ids=lambda unit: unit.name)
def test_every_window_has_a_tie_and_one_has_it_only_without_subnormal_numbers(
    unit: Selection,
) -> None:
    for form in FORMATS.values():
        for name, window in windows_of(unit, form).items():
            assert len(window) == unit.size
            value = max(unit.sign * each for each in window)
            tied = [unit.sign * each == value for each in window]
            assert list(unit.tied(window)) == tied
            assert unit.sign * unit.value(window) == value
            assert (sum(tied) > 1) == (name != FLUSHED)
        assert {name for name in windows_of(unit, form) if name not in ("ends", "middle", "three")}


def test_the_ways_of_the_libraries_are_in_the_baseline() -> None:
    told = {
        (block.framework, block.unit.name, line.label): line.cells[0]
        for block in blocks(BASELINE, {})
        for line in block.lines
        if isinstance(block.unit, Selection) and line.is_first
    }
    assert [told["torch", "max", each] for each in ("amax", "max", "sort")] == [
        "even",
        "first",
        "last",
    ]
    for framework, way in (("torch", "even"), ("tensorflow", "first"), ("jax", "even")):
        assert told[framework, "maximum", "maximum"] == way
    assert {told[key] for key in told if key[1].startswith("max_pool")} == {"first"}


RIGHT = {
    "all": "1 0,0,1,0",
    "ends": "1 0.25,0,0,0.75",
    "three": "1 0.3333333333333333,0,0.3333333333333333,0.3333333333333333",
    "zeros": "-0 -0,1,0,0",
    "tiny": "z 1,0,0,0",
    "inf_": "-inf 0,0,0,1",
}


def test_any_weights_are_a_convention() -> None:
    assert divergences(table(**RIGHT)) == []


@pytest.mark.parametrize(
    ("point", "cell", "kind"),
    [
        pytest.param("all", "1 1,1,1,1", "wrong", id="all of it to each"),
        pytest.param("ends", "1 0,1,0,0", "wrong", id="to one that is not tied"),
        pytest.param("ends", "1 0.5,0,0,0.25", "wrong", id="some is lost"),
        pytest.param("ends", "1 1.5,0,0,-0.5", "wrong", id="less than nothing"),
        pytest.param("three", "1 0.333,0,0.333,0.333", "wrong", id="not rounded"),
        pytest.param("all", "0 1,0,0,0", "wrong", id="value"),
        pytest.param("all", "1 nan,0,0,0", "wrong", id="NaN"),
        pytest.param("tiny", "0 0.25,0.25,0.25,0.25", "flush", id="flushed"),
        pytest.param("tiny", "z 0.25,0.25,0.25,0.25", "split", id="compared as 0"),
        pytest.param("inf_", "-inf 0,0,0,0", "infinity", id="nobody"),
        pytest.param("all", "1 1,0,0,0 | 1 0,1,0,0", "position", id="elsewhere"),
    ],
)
def test_what_are_no_weights_is_found_for_what_it_is(point: str, cell: str, kind: str) -> None:
    assert [each.kind for each in divergences(table(**{**RIGHT, point: cell}))] == [kind]


def test_shares_of_a_third_are_right_in_the_dtype_that_they_were_rounded_to() -> None:
    tied = (True, False, True, True)
    for name in ("float32", "bfloat16", "float16"):
        third = float(FORMATS[name].round(1 / 3))
        shares = [third, 0.0, third, third]
        assert are_shares(FORMATS[name], tied, shares)
        assert not are_shares(FORMATS["float64"], tied, shares)


def test_modes_and_dtypes_contradict_each_other_by_a_share() -> None:
    def other(mode: str, dtype: str, cell: str) -> Table:
        key = Key("mine", "max", "max", mode, dtype)
        one = table(all="1 1,0,0,0")
        return dataclasses.replace(one, rows={**one.rows, key: Row({"all": Cell.parse(cell)})})

    assert [each.kind for each in divergences(other("forward", "float64", "1 0,0,0,1"))] == [
        "modes"
    ]
    assert [each.kind for each in divergences(other("eager", "float16", "1 0,0,0,1"))] == ["dtypes"]
    assert divergences(other("forward", "float64", "1 1,-0,0,0")) == []


SHARED = Pointwise(
    setup="import numpy as np",
    units={},
    modes={"by hand": "def measure(z):\n    return f(z), (z == f(z)[:, None]) / [[1.0, 2, 3, 4]]"},
    make={"float64": "np.array(points)"},
    home="array.tolist()",
    selections={"max": {"max": "z.max(1)"}},
)


def test_shares_are_measured_as_they_are() -> None:
    (row,) = measure([Source("mine", "1.0", SHARED)]).rows.values()
    assert str(row.cells["ends"]) == "1 1,0,0,0.25"
    assert row.cells[FLUSHED].value == "z"
    assert [each.kind for each in divergences(measure([Source("mine", "1.0", SHARED)]))] == [
        "wrong",
        "infinity",
    ]


def test_a_tie_that_is_broken_in_another_way_is_an_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["conventions", "--frameworks", "torch", "--formulation", "amax", "--jobs", "1"]
    arguments += ["--baseline", str(tmp_path)]
    assert main([*arguments, "--accept"]) == 0
    assert main([*arguments, "--check"]) == 0
    maxima = {**LINES.selections["max"], "amax": LINES.selections["max"]["max"]}
    changed = dataclasses.replace(LINES, selections={**LINES.selections, "max": maxima})
    monkeypatch.setattr(TorchFramework, "lines", changed)
    capsys.readouterr()
    assert main([*arguments, "--check"]) == 1
    out = capsys.readouterr().out
    assert "changed: torch max as amax: even -> first at the ties; eager" in out


def test_of_another_processor_all_but_subnormal_numbers_is_compared() -> None:
    before = table(**{**RIGHT, "tiny": "0 0.25,0.25,0.25,0.25"})
    known = accept(before)
    now = table("other", **RIGHT)
    for measured, lines in ((now, 0), (table(**RIGHT), 2)):
        old, expected, new = comparable(before, known, measured)
        found = [*old.changes(new), *unexpected(old.updated(new), expected, new)]
        assert len(found) == lines
    changed = table("other", **{**RIGHT, "all": "1 1,1,1,1"})
    old, expected, new = comparable(before, known, changed)
    assert len(list(old.changes(new))) == 1
    (line,) = unexpected(old.updated(new), expected, new)
    assert line.startswith("not expected: mine max as max: wrong")
