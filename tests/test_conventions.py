"""The table of conventions: measured, stored, compared, and an alarm when it changes."""

from __future__ import annotations

import dataclasses
import datetime
import importlib
import json
import math
import re
import shutil
import sys
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import processes
import pytest

from crosscheck.cli import main
from crosscheck.frameworks.jax_ import JaxFramework
from crosscheck.frameworks.pointwise import Pointwise
from crosscheck.frameworks.tensorflow_ import TensorFlowFramework
from crosscheck.frameworks.torch_ import TorchFramework
from crosscheck.frameworks.torch_lines import LINES as TORCH_LINES
from crosscheck.numbers.accuracy import RECORD, read_record
from crosscheck.numbers.formats import FORMATS
from crosscheck.operators.units import UNITS
from crosscheck.report.nightly import jobs
from crosscheck.studies.conventions.baseline import DIVERGENCES, FINDINGS, TABLE
from crosscheck.studies.conventions.divergences import KINDS, Sighting, _differ, divergences
from crosscheck.studies.conventions.expected import (
    Expected,
    accept,
    comparable,
    read_expected,
    unexpected,
    write_expected,
)
from crosscheck.studies.conventions.findings import findings, markdown
from crosscheck.studies.conventions.measure import (
    OWN,
    Source,
    _row,
    keys,
    measure,
    sources,
    written,
)
from crosscheck.studies.conventions.points import (
    SUBJECTS,
    depends_on_processor,
    points_of,
    spelled,
)
from crosscheck.studies.conventions.table import (
    ALL,
    Cell,
    Key,
    Row,
    Table,
    Wanted,
    read_table,
    write_table,
)
from crosscheck.studies.conventions.view import blocks
from crosscheck.studies.findings import document
from crosscheck.tools.errors import UsageError

ROOT = Path(__file__).parents[1]
REPORTS = ROOT / "reports"
BASELINE = read_table(REPORTS / TABLE)
FRAMEWORKS = ("torch", "tensorflow", "jax")


def relu(
    *cells: str, framework: str = "mine", mode: str = "eager", dtype: str = "float64"
) -> Table:
    """A table of one formulation of ReLU, with these cells at the first points."""
    names = list(points_of(UNITS["relu"], dtype))[: len(cells)]
    key = Key(framework, "relu", "relu", mode, dtype)
    row = Row(dict(zip(names, map(Cell.parse, cells), strict=True)))
    return Table({framework: "1.0"}, {"machine": "m", "vectors": "v"}, {key: row})


def both(one: Table, other: Table) -> Table:
    return dataclasses.replace(one, rows={**one.rows, **other.rows})


# The units


@pytest.mark.parametrize("unit", UNITS.values(), ids=lambda unit: unit.name)
def test_a_unit_is_continuous_and_has_the_slopes_of_its_pieces(unit: object) -> None:
    assert isinstance(unit, type(UNITS["relu"]))
    step = Fraction(1, 64)
    for breakpoint in unit.breakpoints:
        here = unit.value(float(breakpoint))
        left, right = unit.slopes(float(breakpoint))
        for sign, slope in ((-1, left), (1, right)):
            # A piece is at most quadratic: the difference quotient errs by its curvature only.
            near, far = (unit.value(float(breakpoint + sign * k * step)) for k in (1, 2))
            assert 4 * near - 3 * here - far == 2 * sign * step * slope
    for point, ends in ((math.inf, unit.slopes(math.inf)), (-math.inf, unit.slopes(-math.inf))):
        assert ends[0] == ends[1]
        assert not math.isnan(float(unit.value(point)))
    assert math.isnan(float(unit.value(math.nan)))


def test_relu_and_hardtanh_have_the_values_that_everybody_knows() -> None:
    relu_, hardtanh = UNITS["relu"], UNITS["hardtanh"]
    assert [relu_.value(z) for z in (-2.0, 0.0, 3.0)] == [0, 0, 3]
    assert relu_.slopes(0.0) == (0, 1)
    assert [hardtanh.value(z) for z in (-2.0, 0.25, 3.0)] == [-1, Fraction(1, 4), 1]
    assert (hardtanh.slopes(-1.0), hardtanh.slopes(1.0)) == ((0, 1), (1, 0))


# The baseline


@pytest.mark.parametrize("name", [*FRAMEWORKS, *OWN])
def test_the_baseline_has_every_cell_of_every_formulation(name: str) -> None:
    source = Source(name, "", written()[name])
    wanted = list(keys(source, ALL, True))
    assert [key for key in BASELINE.rows if key.framework == name] == wanted
    for key in wanted:
        row = BASELINE.rows[key]
        if not row.unsupported:
            assert list(row.cells) == list(points_of(SUBJECTS[key.unit], key.dtype)), key


def test_the_baseline_is_of_the_pinned_versions() -> None:
    pins = (ROOT / "constraints.txt").read_text("utf-8").split()
    for name in FRAMEWORKS:
        for version in BASELINE.versions[name].split(", "):
            assert version.split("+")[0].replace(" ", "==") in pins


def test_what_is_unsupported_is_so_in_the_librarys_own_words() -> None:
    said = [row.unsupported for row in BASELINE.rows.values() if row.unsupported]
    said += [
        cell.unsupported
        for row in BASELINE.rows.values()
        for cell in row.cells.values()
        if cell.unsupported
    ]
    assert said  # SymPy cannot compare NaN, for one
    for words in said:
        assert "Error: " in words


def test_a_few_cells_that_people_argue_about() -> None:
    def slope(framework: str, formulation: str, mode: str, point: str) -> str:
        dtype = "exact" if framework == "sympy" else "float64"
        return BASELINE.rows[Key(framework, "relu", formulation, mode, dtype)].cells[point].slope

    assert [slope("torch", each, "eager", "0") for each in ("relu", "clamp", "maximum")] == [
        "0",
        "1",
        "0.5",
    ]
    assert (slope("torch", "prelu", "eager", "0"), slope("torch", "prelu", "forward", "0")) == (
        "0",
        "1",
    )
    assert slope("torch", "relu", "eager", "nan") == "1"
    assert slope("jax", "relu", "jit", "tiny") == "0"
    assert slope("sympy", "max", "symbolic", "0") == "0.5"


# Measuring

STEP = Pointwise(
    setup="import numpy as np",
    units={"relu": {"step": "np.maximum(z, 0)"}},
    modes={"by hand": "def measure(z):\n    return f(z), np.heaviside(z, 0.25)"},
    make={"float64": "np.array(points)"},
    home="array.tolist()",
)
"""A framework that has λ = ¼ at zero."""


def test_a_measured_cell_holds_what_the_source_says() -> None:
    table = measure([Source("mine", "1.0", STEP)])
    (row,) = table.rows.values()
    assert [row.cells[name].slope for name in ("0", "-0", "tiny", "-tiny", "nan")] == [
        "0.25",
        "0.25",
        "1",
        "0",
        "nan",
    ]
    assert row.cells["tiny"].value == "z"


def test_what_differs_elsewhere_in_an_array_is_noticed() -> None:
    uneven = dataclasses.replace(
        STEP,
        modes={
            "by hand": "def measure(z):\n    return f(z), np.where(np.arange(len(z)) > 63, 1, 0)"
        },
    )
    (row,) = measure([Source("mine", "1.0", uneven)]).rows.values()
    assert str(row.cells["0"]) == "0 0 | 0 1"


def test_numbers_that_do_not_arrive_are_an_error_and_no_convention() -> None:
    flushing = dataclasses.replace(
        STEP, make={"float64": "np.array([p if abs(p) > 1 else 0.0 for p in points])"}
    )
    (row,) = measure([Source("mine", "1.0", flushing)]).rows.values()
    assert row.cells["tiny"].unsupported.startswith("ArithmeticError: [5e-324] arrived as [0.0]")
    assert row.cells["0"].slope == "0.25"


def test_an_unknown_formulation_is_answered_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="formulation 'clam': wanted some of step"):
        measure([Source("mine", "1.0", STEP)], wanted=Wanted.of(["clam"]))


def test_measuring_in_two_processes_gives_the_same_table() -> None:
    found, _ = sources(["numpy", "sympy"])
    assert measure(found, jobs=2) == measure(found)


def test_the_point_itself_is_z_and_a_slope_of_one_is_one() -> None:
    assert spelled(5e-324, 5e-324) == "z"
    assert spelled(1.0, 1.0) == "1"
    assert [spelled(each, 0.0) for each in (0.0, -0.0, math.nan, -math.inf)] == [
        "0",
        "-0",
        "nan",
        "-inf",
    ]


# Storing and comparing


def test_a_stored_table_is_read_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / TABLE
    write_table(BASELINE, path)
    assert read_table(path) == BASELINE
    assert path.read_bytes() == (REPORTS / TABLE).read_bytes()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}', '{"format": 1, "versions": 3}'])
def test_a_damaged_table_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / TABLE
    path.write_text(text)
    with pytest.raises(UsageError, match=r"no(t a)? table of conventions"):
        read_table(path)


def test_a_change_names_formulation_mode_dtype_point_and_both_values() -> None:
    (change,) = relu("0 0").changes(relu("0 1"))
    assert str(change) == ("mine relu (eager, float64) at 0: slope 0 -> 1")


def test_what_was_not_measured_is_no_change_and_what_is_gone_is() -> None:
    other_mode = relu("0 0", mode="forward")
    assert not list(both(relu("0 0"), other_mode).changes(relu("0 0")))
    other_dtype = relu("0 0", dtype="float32")
    (change,) = both(relu("0 0"), other_dtype).changes(relu("0 0"))
    assert str(change) == "mine relu (eager, float32): in the baseline -> gone"
    part = dataclasses.replace(relu("0 0"), wanted=Wanted.of({"clamp"}))
    assert not list(both(relu("0 0"), other_dtype).changes(part))
    (change,) = relu("0 0").changes(both(relu("0 0"), other_mode))
    assert "not in the baseline -> measured" in str(change)


def test_places_in_an_array_count_on_the_same_processor_only() -> None:
    old, new = relu("0 0 | 0 1"), relu("0 0")
    assert len(list(old.changes(new))) == 1
    elsewhere = dataclasses.replace(new, environment={"machine": "m", "vectors": "other"})
    assert not list(old.changes(elsewhere))
    assert len(list(old.changes(dataclasses.replace(relu("0 1"), environment={})))) == 1


@pytest.mark.parametrize(
    ("framework", "formulation", "mode", "found"),
    [
        ("tensorflow", "max_pool", "graph", 0),
        ("tensorflow", "max_pool", "eager", 1),
        ("tensorflow", "relu", "graph", 1),
        ("torch", "max_pool", "graph", 1),
    ],
)
@pytest.mark.parametrize("vectors", ["v", "other"])
def test_nan_in_a_pooling_counts_on_the_same_processor_only_and_elsewhere_on_all(
    framework: str, formulation: str, mode: str, found: int, vectors: str
) -> None:
    def of(**cells: str) -> Table:
        (row,) = planted(**cells).rows.values()
        rows = {Key(framework, "relu", formulation, mode, "float64"): row}
        return dataclasses.replace(planted(), rows=rows)

    elsewhere = {"machine": "m", "vectors": vectors}
    new = dataclasses.replace(of(nan="nan 0"), environment=elsewhere)
    old, _, new = comparable(of(), [], new)
    assert len(list(old.changes(new))) == (found if vectors == "other" else 1)
    wrong = dataclasses.replace(of(inf="inf 0"), environment=elsewhere)
    old, _, wrong = comparable(of(), [], wrong)
    assert len(list(old.changes(wrong))) == 1


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        ("no kernel for __inference_measure_{}[seed=7]", 1),
        ("a buffer at 0x{}5678f0 is gone", 1),
        ("no kernel of {} dimensions", 2),
        ("no kernel for rank={}, tile_{}", 2),
    ],
)
def test_of_what_a_library_says_the_numbers_of_one_run_alone_are_left_out(
    words: str, kinds: int
) -> None:
    class Refusing:
        def __init__(self, number: int) -> None:
            self.said = words.format(number, number)

        def measure(self, *_: str) -> None:
            raise ValueError(self.said)

    key = Key("mine", "relu", "relu", "eager", "float64")
    runs: list[Any] = [Refusing(7), Refusing(32)]
    said = {_row(each, key).unsupported for each in runs}
    assert len(said) == kinds
    assert all(words.partition("{")[0].partition("0x")[0] in each for each in said)


def test_an_update_keeps_the_order_and_what_was_not_measured() -> None:
    old = both(relu("0 0"), relu("0 0", mode="forward"))
    new = both(relu("0 1"), relu("0 1", dtype="float32"))
    updated = old.updated(new)
    assert [(key.mode, key.dtype) for key in updated.rows] == [
        ("eager", "float64"),
        ("eager", "float32"),
        ("forward", "float64"),
    ]
    assert [row.cells["0"].slope for row in updated.rows.values()] == ["1", "1", "0"]


# Divergences

CLEAN = ("0 0", "-0 0.5", "z 1", "0 0", "z 1", "0 0", "z 1", "0 0", "nan nan", "inf 1", "0 0")


def planted(**cells: str) -> Table:
    """The clean table with other cells at some points."""
    names = list(points_of(UNITS["relu"], "float64"))
    return relu(*(cells.get(name, cell) for name, cell in zip(names, CLEAN, strict=True)))


def test_a_convention_is_no_divergence() -> None:
    assert divergences(relu(*CLEAN)) == []
    assert not [each for each in divergences(BASELINE) if each.framework == "numpy"]


PLANTED: Mapping[str, Table] = MappingProxyType(
    {
        "modes": both(relu("0 0"), relu("0 1", mode="forward")),
        "split": planted(tiny="z 0"),
        "position": planted(nan="nan nan | nan nan", inf="inf 1 | inf 0"),
        "dtypes": both(relu("0 0"), relu("0 1", dtype="float32")),
        "wrong": planted(normal="z 0"),
        "nan": planted(nan="nan 1"),
        "infinity": planted(inf="inf nan"),
        "flush": planted(tiny="0 0"),
    }
)


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_divergence_is_found_for_what_it_is(kind: str) -> None:
    assert kind in {each.kind for each in divergences(PLANTED[kind])}


def test_every_kind_is_planted_or_in_the_baseline() -> None:
    assert {*PLANTED, *(each.kind for each in divergences(BASELINE))} == set(KINDS)


def test_a_derivative_that_is_rounded_is_right_and_one_rounded_to_another_dtype_is_not() -> None:
    def table(slope: float) -> Table:
        key = Key("mine", "hard_sigmoid", "h", "eager", "float64")
        return Table({"mine": "1"}, {}, {key: Row({"0": Cell("0.5", repr(slope))})})

    sixth = 1 / 6
    for right in (sixth, math.nextafter(sixth, 0), math.nextafter(sixth, 1)):
        assert (divergences(table(right)) == []) == (
            abs(Fraction(right) - Fraction(1, 6)) < Fraction(float(FORMATS["float64"].ulp(sixth)))
        )
    single = float(FORMATS["float32"].round(sixth))
    assert [each.kind for each in divergences(table(single))] == ["wrong"]


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        ("0 0", "0 1", True),
        ("0 0", "1 0", True),
        ("0 nan", "0 1", True),
        ("0 0.5", "0 -0.5", True),
        ("0 -0", "0 0", False),
        ("0 0.16666666666666666", "0 0.1666259765625", False),  # rounded to float16
        ("0 0.16666666666666666", "0 0.166748046875", False),
        ("0 0.16666666666666666", "0 0.1669921875", True),
        ("0 1", "0 1.0009765625", True),  # the next number of float16
        ("0 1", "0 0.99951171875", True),  # and the one before
        ("0 1", "0 1.0009765624", False),
        ("inf 1", "-inf 1", True),
    ],
)
def test_two_cells_differ_or_not_whichever_comes_first(one: str, other: str, differ: bool) -> None:
    def cell(dtype: str, text: str) -> tuple[Sighting, Cell]:
        return Sighting(Key("mine", "relu", "relu", "eager", dtype), "0"), Cell.parse(text)

    for first, second in (("float64", "float16"), ("float16", "float64")):
        assert _differ(cell(first, one), cell(second, other)) == differ
        assert _differ(cell(first, other), cell(second, one)) == differ


# What is expected


def test_the_committed_expectations_are_those_of_the_committed_table() -> None:
    expected = read_expected(REPORTS / DIVERGENCES)
    assert [each.identity for each in expected] == [each.identity for each in accept(BASELINE)]
    for each in expected:
        assert each.seen
        assert each.versions
        datetime.date.fromisoformat(each.date)


def test_a_divergence_that_is_new_or_gone_is_told(tmp_path: Path) -> None:
    clean, odd = relu(*CLEAN), planted(nan="nan 1")
    known = accept(odd, date=datetime.date(2026, 1, 31))
    (line,) = unexpected(odd, [], odd)
    assert line == "not expected: mine relu: nan (eager, float64 at nan: nan 1)"
    (line,) = unexpected(clean, known, clean)
    assert line.startswith("expected and no longer there: mine relu: nan")
    assert line.endswith("seen in 1.0 on 2026-01-31")
    assert unexpected(odd, known, odd) == []
    path = tmp_path / DIVERGENCES
    write_expected(known, path)
    assert read_expected(path) == known


def test_what_was_known_keeps_its_date() -> None:
    odd = planted(nan="nan 1")
    known = accept(odd, date=datetime.date(2026, 1, 31))
    assert accept(odd, known) == known


@pytest.mark.parametrize("text", ["", "{}", '[{"framework": "torch"}]', "[3]"])
def test_damaged_expectations_are_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / DIVERGENCES
    path.write_text(text)
    with pytest.raises(UsageError, match="wanted expected divergences"):
        read_expected(path)


# Several versions in one table

RELU, CLAMP = ("torch", "relu", "relu"), ("torch", "relu", "clamp")


def clamp_at_its_bound(slope: str, versions: str, *modes: str) -> Table:
    """What one version of a framework does in some modes; formulation relu never changes."""
    rows = {
        Key(*formulation, mode, "float64"): Row({"0": Cell("0", given)})
        for formulation, given in ((RELU, "0"), (CLAMP, slope))
        for mode in modes
    }
    return Table({"torch": versions}, {"machine": "m", "vectors": "v"}, rows)


OLD = clamp_at_its_bound("1", "torch 2.13", "eager", "forward", "compile")


def test_an_upgrade_with_another_convention_in_every_mode_is_no_contradiction_of_two() -> None:
    new = clamp_at_its_bound("0", "torch 2.14", "eager", "forward")  # compile is slow: not measured
    mixed = OLD.updated(new)
    assert divergences(mixed) == []
    assert unexpected(mixed, [], new) == []
    assert [str(change) for change in OLD.changes(new)] == [
        f"torch clamp ({mode}, float64) at 0: slope 1 -> 0" for mode in ("eager", "forward")
    ]


def test_a_contradiction_within_the_new_version_is_one() -> None:
    both_ways = clamp_at_its_bound("0", "torch 2.14", "eager")
    both_ways = both_ways.updated(clamp_at_its_bound("1", "torch 2.14", "forward"))
    (line,) = unexpected(OLD.updated(both_ways), [], both_ways)
    assert line.startswith("not expected: torch clamp: modes (eager, float64 at 0: 0 0; forward")
    (known,) = accept(OLD.updated(both_ways))
    assert known.versions == "torch 2.14"


def test_a_known_contradiction_with_a_mode_that_was_not_measured_is_not_said_to_be_gone() -> None:
    before = clamp_at_its_bound("0", "torch 2.13", "eager").updated(
        clamp_at_its_bound("1", "torch 2.13", "compile")
    )
    known = accept(before, date=datetime.date(2026, 1, 31))
    assert [each.kind for each in known] == ["modes"]
    eager = clamp_at_its_bound("0", "torch 2.14", "eager")
    mixed = before.updated(eager)
    assert unexpected(mixed, known, eager) == []
    assert accept(mixed, known) == known
    whole = eager.updated(clamp_at_its_bound("0", "torch 2.14", "compile"))
    (line,) = unexpected(before.updated(whole), known, whole)
    assert line.startswith("expected and no longer there: torch clamp: modes")
    assert accept(before.updated(whole), known) == []


def test_rows_that_were_not_measured_keep_the_version_they_were_measured_with(
    tmp_path: Path,
) -> None:
    mixed = OLD.updated(clamp_at_its_bound("0", "torch 2.14", "eager"))
    wanted = {"eager": "torch 2.14", "forward": "torch 2.13", "compile": "torch 2.13"}
    path = tmp_path / TABLE
    write_table(mixed, path)
    for table in (mixed, read_table(path)):
        assert {key.mode: row.versions for key, row in table.rows.items()} == wanted
        assert table.versions_of("torch") == "torch 2.14; torch 2.13"
    (line,) = mixed.mixtures()
    assert line.startswith("torch: 4 conventions (forward, compile) were not measured and stay")
    assert not list(OLD.mixtures())
    assert not list(OLD.updated(clamp_at_its_bound("0", "torch 2.14", *wanted)).mixtures())


def test_a_table_of_two_processors_is_of_neither() -> None:
    new = clamp_at_its_bound("1", "torch 2.13", "eager")
    here = dataclasses.replace(new, environment={"machine": "m", "vectors": "other"})
    assert OLD.updated(here).environment == {"machine": "m", "vectors": "v; other"}
    whole = dataclasses.replace(OLD, environment={"machine": "m", "vectors": "other"})
    assert OLD.updated(whole).environment == whole.environment


def test_a_table_whose_rows_do_not_tell_their_version_is_refused_in_one_line(
    tmp_path: Path,
) -> None:
    path = tmp_path / TABLE
    stored = (REPORTS / TABLE).read_text("utf-8").replace('"format": 2', '"format": 1')
    path.write_text(stored, "utf-8")
    with pytest.raises(UsageError, match="format 1, whose rows do not say with which") as caught:
        read_table(path)
    assert "\n" not in str(caught.value)
    assert "measure again" in str(caught.value)


def test_accepting_a_part_under_another_version_says_what_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (TABLE, DIVERGENCES):
        shutil.copy(REPORTS / name, tmp_path / name)
    part = BASELINE.part(["torch"], Wanted.of(["clamp"]))
    eager = {key: row for key, row in part.rows.items() if key.mode == "eager"}
    cells = {
        key: Row({point: Cell(cell.value, "0") for point, cell in row.cells.items()})
        for key, row in eager.items()
    }
    measured = Table({"torch": "torch 2.14.0"}, BASELINE.environment, cells, Wanted.of({"clamp"}))
    command = importlib.import_module("crosscheck.cli.conventions")
    monkeypatch.setattr(command, "_measured", lambda *given: measured)
    arguments = ["conventions", "--frameworks", "torch", "--formulation", "clamp"]
    assert main([*arguments, "--check", "--baseline", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "torch: torch 2.14.0; baseline: torch 2.13.0+cpu" in out
    assert "not expected: torch clamp: modes" not in out
    assert main([*arguments, "--accept", "--baseline", str(tmp_path)]) == 0
    assert "were not measured and stay those of torch 2.13.0+cpu" in capsys.readouterr().out
    accepted = read_table(tmp_path / TABLE)
    for key, row in accepted.rows.items():
        if key.framework == "torch":
            wanted = "torch 2.14.0" if key in eager else "torch 2.13.0+cpu"
            assert row.versions == wanted, key


# Findings


def test_the_committed_findings_are_those_of_the_committed_table() -> None:
    record = read_record(REPORTS / RECORD)
    assert (REPORTS / FINDINGS).read_text("utf-8") == document(BASELINE, record)
    assert document(BASELINE, None) == markdown(BASELINE, written())


def test_every_divergence_is_in_a_finding() -> None:
    covered = [each for finding in findings(BASELINE) for each in finding.divergences]
    assert sorted(each.identity for each in covered) == sorted(
        each.identity for each in divergences(BASELINE)
    )


FINDING_RUNNER = """\
import contextlib, importlib.machinery, io, json, sys, warnings
warnings.simplefilter("ignore")
class Absent:
    others = {"torch", "tensorflow", "jax", "crosscheck"} - {sys.argv[1]}

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.others:
            return importlib.machinery.ModuleSpec(name, self)

    def create_module(self, spec):
        raise ModuleNotFoundError(f"{spec.name} is kept away", name=spec.name)

    def exec_module(self, module):
        raise NotImplementedError


sys.meta_path.insert(0, Absent())
for script in json.load(sys.stdin):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(script, {"__name__": "script"})
    print(json.dumps(out.getvalue().splitlines()))
"""


@pytest.mark.parametrize(
    "framework",
    [
        pytest.param(each, marks=[] if each == "torch" else [pytest.mark.long])
        for each in FRAMEWORKS
    ],
)
def test_every_script_of_the_findings_needs_its_framework_only_and_shows_what_it_claims(
    framework: str, tmp_path: Path
) -> None:
    lines = written()[framework]
    mine = [each for each in findings(BASELINE) if each.framework == framework]
    assert mine
    done = processes.run(
        [sys.executable, "-c", FINDING_RUNNER, framework],
        input=json.dumps([each.script(lines) for each in mine]),
        capture_output=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    for finding, output in zip(mine, printed, strict=True):
        depends = finding.kind == "position" or any(
            depends_on_processor(framework, each.formulation, mode, point)
            for each in finding.divergences
            for mode in finding.modes
            for point in finding.points
        )
        if depends and not BASELINE.is_of_processor(measure([], jobs=1)):
            continue  # another processor has other vectors, and flushes otherwise
        assert output == finding.expected(BASELINE), finding.title


# The view


def test_of_a_table_without_some_points_the_view_shows_the_others() -> None:
    rows = {
        key: dataclasses.replace(row, cells={k: v for k, v in row.cells.items() if k != "tiny"})
        for key, row in planted().rows.items()
    }
    (block,) = blocks(dataclasses.replace(planted(), rows=rows), {})
    assert "sub" in block.columns
    assert "η" not in block.columns


def test_the_view_has_a_line_for_every_formulation_and_marks_what_is_not_relus() -> None:
    torch = next(
        block
        for block in blocks(BASELINE, {})
        if (block.framework, block.unit.name) == ("torch", "relu")
    )
    firsts = [line for line in torch.lines if line.is_first]
    assert [line.label for line in firsts] == list(TORCH_LINES.formulations("relu"))
    at_zero = {line.label: (line.cells[0], line.differs[0]) for line in firsts}
    assert at_zero["relu"] == ("0", False)
    assert at_zero["clamp"] == ("1", True)
    assert at_zero["maximum"] == ("0.5", True)
    prelu = torch.lines[[line.label for line in torch.lines].index("prelu") + 1]
    assert (prelu.label, prelu.is_first, prelu.cells[0]) == ("forward", False, "1")


# The command


@pytest.fixture
def torch_clamp(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Arguments that measure one formulation, with a baseline of its own."""
    arguments = [
        "conventions",
        "--frameworks",
        "torch",
        "--formulation",
        "clamp_min",
        "--jobs",
        "1",
    ]
    arguments += ["--baseline", str(tmp_path / "baseline")]
    assert main([*arguments, "--accept"]) == 0
    capsys.readouterr()
    return arguments


def test_a_check_of_the_committed_baseline_passes_where_nothing_changed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["--frameworks", "torch,numpy,sympy", "--formulation", "relu", "--jobs", "1"]
    assert main(["conventions", *arguments, "--check", "--baseline", str(REPORTS)]) == 0
    assert "no convention has changed" in capsys.readouterr().out


def test_a_formulation_changed_by_hand_is_an_alarm_that_can_be_read_and_accepted(
    torch_clamp: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    units = {
        **TORCH_LINES.units,
        "relu": {**TORCH_LINES.units["relu"], "clamp_min": "torch.maximum(z, torch.zeros_like(z))"},
    }
    changed = dataclasses.replace(TORCH_LINES, units=units)
    monkeypatch.setattr(TorchFramework, "lines", changed)
    left = tmp_path / "night" / "newest-torch"
    assert main([*torch_clamp, "--check", "--report", str(left)]) == 1
    ((what, versions, lines),) = jobs(left.parent)[0].changed
    out = capsys.readouterr().out
    assert (what, versions) == ("conventions", "")
    assert all(f"{line}\n" in out for line in lines)
    modes = "eager, func, vmap, forward"
    assert f"changed: torch clamp_min: slope 1 -> 0.5 at 0; {modes}; all dtypes\n" in out
    # In forward mode maximum has another derivative at NaN; clamp_min has not.
    assert "not expected: torch clamp_min: modes" in out
    assert "accept them with 'crosscheck conventions --accept'" in out
    assert main([*torch_clamp, "--accept"]) == 0
    assert "accepted: torch clamp_min: slope 1 -> 0.5 at 0; eager" in capsys.readouterr().out
    assert main([*torch_clamp, "--check"]) == 0
    monkeypatch.undo()
    assert main([*torch_clamp, "--check"]) == 1
    assert "expected and no longer there: torch clamp_min: modes" in capsys.readouterr().out


def test_the_recorded_table_is_shown_without_importing_a_framework() -> None:
    program = (
        "import sys\n"
        "from crosscheck.cli import main\n"
        f"code = main(['conventions', '--recorded', '--baseline', {str(REPORTS)!r}])\n"
        "assert not {'torch', 'tensorflow', 'jax'} & set(sys.modules)\n"
        "sys.exit(code)\n"
    )
    done = processes.run([sys.executable, "-c", program], capture_output=True)
    assert done.returncode == 0, done.stderr
    assert "Contradictions within one framework" in done.stdout
    assert "torch.clamp(z, min=0)" in done.stdout


@pytest.mark.parametrize("form", ["--json", "--markdown"])
def test_the_table_comes_as_json_and_as_markdown(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--recorded", "--frameworks", "jax", "--formulation", "relu"]
    assert main(["conventions", *arguments, "--baseline", str(REPORTS), form]) == 0
    out = capsys.readouterr().out
    if form == "--markdown":
        assert "| `relu` | 0 | 0 |" in out
        return
    (tmp_path / TABLE).write_text(out)
    assert read_table(tmp_path / TABLE).rows == BASELINE.part(["jax"], Wanted.of(["relu"])).rows


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["--check", "--accept"], "wanted one of them", id="two-deeds"),
        pytest.param(["--recorded", "--check"], "so it cannot check", id="nothing-measured"),
        pytest.param(
            ["--recorded", "--frameworks", "jx"],
            "the table has nothing of 'jx'",
            id="framework",
        ),
        pytest.param(["--report", "here"], "wanted with --check", id="report"),
        pytest.param(["--frameworks", "jx"], "did you mean 'jax'?", id="typing-error"),
        pytest.param(["--check", "--baseline", "nowhere"], "holds no conventions.json", id="where"),
    ],
)
def test_wrong_usage_of_the_command_is_answered_in_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["conventions", *arguments]) == 4
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


def test_of_the_baseline_what_is_installed_is_checked_and_what_is_not_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for absent in (JaxFramework, TensorFlowFramework):
        monkeypatch.setattr(absent, "module", "not_there")
    arguments = ["conventions", "--check", "--baseline", str(REPORTS), "--jobs", "1"]
    assert main([*arguments, "--operators", "relu", "--formulation", "relu"]) == 0
    told = capsys.readouterr()
    assert re.search(r"no convention has changed, of \d+ measured of torch\n", told.out)
    assert "jax: absent, and not checked" in told.err
    monkeypatch.setattr(TorchFramework, "module", "not_there")
    assert main(arguments) == 4
    last = capsys.readouterr().err.splitlines()[-1]
    assert "none of them is installed here; install one" in last
    assert main([*arguments, "--frameworks", "torch"]) == 4  # named, it has to be there


def test_what_is_expected_reads_well() -> None:
    each = Expected(
        "torch", "nan", "relu6", "clamp", "eager at nan: nan 0", "torch 1", "2026-01-31"
    )
    assert str(each) == "torch relu6 as clamp: nan (eager at nan: nan 0)"
