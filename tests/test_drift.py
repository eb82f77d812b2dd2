"""What changed is told in few lines, from which every change comes back."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosscheck.numbers.accuracy import Key as Function
from crosscheck.numbers.formats import FORMATS
from crosscheck.operators.selections import SELECTIONS, Selection
from crosscheck.studies.accuracy.drift import Change as Erring
from crosscheck.studies.accuracy.drift import groups as erring_groups
from crosscheck.studies.conventions.baseline import TABLE
from crosscheck.studies.conventions.drift import (
    drift,
    groups,
    lines,
    named_formulations,
    shares_as_word,
    word_as_shares,
)
from crosscheck.studies.conventions.points import SUBJECTS, windows_of
from crosscheck.studies.conventions.table import Cell, Key, Row, Table, Wanted, read_table
from crosscheck.tools.grouping import products

BASELINE = read_table(Path(__file__).parents[1] / "reports" / TABLE)

# Tuples as products

TUPLES = st.sets(st.tuples(*[st.integers(0, 3)] * 3), max_size=40)


@settings(deadline=None)
@given(TUPLES)
def test_products_hold_each_tuple_once_and_no_other(items: set[tuple[int, ...]]) -> None:
    found = [row for block in products(items) for row in itertools.product(*block)]
    assert len(found) == len(set(found))
    assert set(found) == items


@settings(deadline=None)
@given(TUPLES)
def test_no_two_products_differ_in_one_axis_only(items: set[tuple[int, ...]]) -> None:
    for one, other in itertools.combinations(products(items), 2):
        assert sum(a != b for a, b in zip(one, other, strict=True)) > 1


@settings(deadline=None)
@given(st.tuples(*[st.lists(st.integers(), min_size=1, max_size=4, unique=True)] * 3))
def test_a_product_is_one_product_in_its_order(axes: tuple[list[int], ...]) -> None:
    assert products(itertools.product(*axes)) == [tuple(map(tuple, axes))]


def test_the_order_of_axes_that_gives_fewest_products_is_found() -> None:
    column, row = [(at, 0, 0) for at in range(5)], [(4, at, 1) for at in range(5)]
    both = products([*column, *row, (4, 1, 0), (4, 2, 0)])
    assert len(both) <= 3


# Conventions

SOME = BASELINE.part(["torch"], Wanted.of(operators=["relu6", "hardtanh", "maximum"]))
MODES = ("eager", "func", "vmap", "forward")


@st.composite
def edits(draw: st.DrawFn) -> tuple[str, str, frozenset[str], str, frozenset[str]]:
    """A formulation of a unit, modes, another derivative, and the points at which it has that."""
    key = draw(st.sampled_from([key for key, row in SOME.rows.items() if row.cells]))
    modes = draw(st.frozensets(st.sampled_from(MODES), min_size=1))
    points = draw(st.frozensets(st.sampled_from(list(SOME.rows[key].cells)), min_size=1))
    return key.unit, key.formulation, modes, draw(st.sampled_from(["0", "1", "0.25"])), points


def edited(
    table: Table,
    unit: str,
    formulation: str,
    modes: Iterable[str],
    slope: str,
    points: frozenset[str],
) -> Table:
    rows = dict(table.rows)
    for key, row in table.rows.items():
        if (key.unit, key.formulation) == (unit, formulation) and key.mode in modes:
            cells = {
                point: dataclasses.replace(
                    cell, slope=",".join([slope, *cell.slope.split(",")[1:]])
                )
                if point in points
                else cell
                for point, cell in row.cells.items()
            }
            rows[key] = dataclasses.replace(row, cells=cells)
    return dataclasses.replace(table, rows=rows)


@settings(deadline=None, max_examples=30)
@given(st.lists(edits(), min_size=1, max_size=3))
def test_from_the_groups_every_change_comes_back_once(some: list[Any]) -> None:
    new = SOME
    for each in some:
        new = edited(new, *each)
    wanted = list(SOME.changes(new))
    found = [change for group in drift(SOME, new) for change in group.changes()]
    assert len(found) == len(wanted)
    assert set(found) == set(wanted)


def test_a_table_without_a_row_and_with_another_comes_back_too() -> None:
    some = BASELINE.part(["jax"])
    (gone, kept), rows = list(some.rows)[:2], dict(some.rows)
    rows[dataclasses.replace(gone, formulation="new")] = rows.pop(gone)
    rows[kept] = Row(unsupported="it is not there")
    new = dataclasses.replace(some, rows=rows)
    found = [change for group in drift(some, new) for change in group.changes()]
    assert set(found) == set(some.changes(new))
    assert len(found) == 3


def clamped(slope: str) -> Table:
    """What clamp does at its bounds, of several functions, in all modes and dtypes."""
    rows = {}
    for unit, formulation in (
        ("relu", "relu"),
        ("relu", "clamp"),
        ("relu", "clamp_min"),
        ("relu6", "clamp"),
        ("hardtanh", "clamp"),
    ):
        for mode, dtype in itertools.product(("eager", "func", "vmap", "forward"), FORMATS):
            bounds = {"relu": ("0", "-0"), "relu6": ("0", "-0", "6"), "hardtanh": ("-1", "1")}
            cells = {
                point: Cell("6" if point == "6" else "0", "0" if formulation == "relu" else slope)
                for point in bounds[unit]
            }
            key = Key("torch", unit, formulation, mode, dtype)
            rows[key] = Row({**cells, "nan": Cell("nan", "0")})
    return Table({"torch": "torch 2.14"}, {"machine": "m", "vectors": "v"}, rows)


def test_clamp_with_another_derivative_at_its_bounds_is_one_line() -> None:
    old, new = clamped("1"), clamped("0")
    assert lines(drift(old, new), new) == [
        "torch clamp, clamp_min, and relu6 and hardtanh as clamp: slope 1 -> 0 at the breakpoints; "
        "eager, func, vmap, forward; all dtypes"
    ]


def test_a_mode_that_stays_as_it_was_is_not_in_the_line() -> None:
    old, new = clamped("1"), clamped("0")
    rows = {
        key: row
        for key, row in new.rows.items()
        if key.formulation == "clamp_min" and key.dtype != "float16"
    }
    kept = {k: old.rows[k] if k.mode == "func" else row for k, row in rows.items()}
    part = dataclasses.replace(new, rows={**old.rows, **kept})
    (line,) = lines(drift(old, part), part)
    assert line.startswith("torch clamp_min: slope 1 -> 0 at 0, -0; eager, vmap, forward; ")
    assert "float16" not in line.replace("bfloat16", "")
    assert "all" not in line


@pytest.mark.parametrize("unit", SELECTIONS.values(), ids=lambda unit: unit.name)
def test_shares_in_a_word_are_exactly_those_shares(unit: Selection) -> None:
    for dtype in ("float32", "bfloat16", "float64"):
        for point in windows_of(unit, FORMATS[dtype]):
            for word in ("first", "last", "even"):
                shares = word_as_shares(word, unit, dtype, point)
                found = shares_as_word(shares, unit, dtype, point)
                assert found is not None
                assert word_as_shares(found, unit, dtype, point) == shares
    assert shares_as_word("0.7,0.3" + ",0" * (unit.size - 2), unit, "float64", "all") is None


def test_the_words_of_the_baseline_are_its_shares() -> None:
    words = set()
    for key, row in BASELINE.rows.items():
        unit = SUBJECTS[key.unit]
        for point, cell in row.cells.items():
            if isinstance(unit, Selection) and key.dtype in FORMATS and not cell.unsupported:
                word = shares_as_word(cell.slope, unit, key.dtype, point)
                words.add(word)
                assert word is None or word_as_shares(word, unit, key.dtype, point) == cell.slope
    assert words >= {"first", "last", "even"}


def test_ties_that_all_go_to_another_number_are_one_line() -> None:
    part = BASELINE.part(["torch"])
    rows = dict(part.rows)
    for key, row in rows.items():
        unit = SUBJECTS[key.unit]
        if (key.unit, key.formulation) != ("max", "max") or key.mode == "compile":
            continue
        assert isinstance(unit, Selection)
        cells = {
            point: dataclasses.replace(cell, slope=word_as_shares("last", unit, key.dtype, point))
            for point, cell in row.cells.items()
        }
        rows[key] = dataclasses.replace(row, cells=cells)
    new = dataclasses.replace(part, rows=rows)
    (line,) = lines(drift(part, new), new)
    assert line.startswith("torch max as max: first -> last at the ties; eager, ")


def test_formulations_are_named_as_people_say_them() -> None:
    some = [("relu", "clamp"), ("relu6", "clamp"), ("abs", "clamp"), ("hardtanh", "where")]
    assert named_formulations(some[:1]) == "clamp"
    assert named_formulations(some[1:3]) == "relu6 and abs as clamp"
    assert named_formulations(some) == "clamp, and relu6 and abs as clamp, hardtanh as where"


def test_nothing_that_changed_is_no_line() -> None:
    assert drift(BASELINE, BASELINE) == []
    assert groups([]) == []


# Accuracy


def erring(kind: str, names: Iterable[str], *dtypes: str) -> list[Erring]:
    return [
        Erring(Function("torch", name, name, mode, dtype, 1), kind, f"{name} {size} -> 2", size)
        for size, (name, mode, dtype) in enumerate(
            itertools.product(names, ("eager", "compile"), dtypes), start=1
        )
    ]


def test_errors_of_one_kind_are_one_line_with_the_figures_of_the_largest() -> None:
    found = erring("larger error", ("tanh", "gelu"), "float32", "float64")
    (group,) = erring_groups(found)
    assert str(group) == (
        "torch tanh', gelu': larger error; eager, compile; float32, float64; "
        "most gelu' (compile, float64) gelu 8 -> 2"
    )


def test_every_row_that_errs_otherwise_is_in_one_group() -> None:
    found = erring("larger error", ("tanh", "gelu"), "float32", "float64")[:-1]
    found += erring("gone", ("tanh",), "float16")
    members = [each for group in erring_groups(found) for each in group.members]
    assert sorted(members, key=str) == sorted(found, key=str)
    assert len(members) == len(set(members))
    (single,) = erring_groups(found[:1])
    assert str(single) == str(found[0])
