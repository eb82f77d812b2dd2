"""The accuracy of elementary functions: measured, departures, drift, and N for verdicts."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import processes
import pytest
from test_conventions import FINDING_RUNNER

from crosscheck.cli import main
from crosscheck.frameworks.pointwise import Pointwise
from crosscheck.numbers.accuracy import (
    RECORD,
    Key,
    Record,
    Row,
    Sample,
    dumps,
    read_record,
    roundings,
    write_record,
)
from crosscheck.numbers.elementary import ELEMENTARY
from crosscheck.numbers.formats import WORKING, format_of
from crosscheck.operators.elementary_lines import elementary_lines
from crosscheck.report.accuracy import markdown
from crosscheck.report.accuracy_chart import chart
from crosscheck.studies.accuracy.departures import KINDS, departures, kinds
from crosscheck.studies.accuracy.drift import beyond, changes
from crosscheck.studies.accuracy.findings import expected, script
from crosscheck.studies.accuracy.measure import MODES, Source, measured, merged
from crosscheck.studies.accuracy.points import (
    BRIEF,
    SETTINGS,
    Settings,
    bins,
    points,
    samples,
    scales_of_bins,
)
from crosscheck.studies.accuracy.reference import error_at, reference
from crosscheck.studies.accuracy.run import empty, measure
from crosscheck.studies.accuracy.second import BENT
from crosscheck.tools.errors import UsageError

REPORTS = Path(__file__).parents[1] / "reports"
COMMITTED = read_record(REPORTS / RECORD)
FEW = Settings(stride=200_003, count=600, short=150)

# A framework whose functions are NumPy's, or wrong

_SETUP = """\
import ml_dtypes
import numpy as np


def wide(z):
    return z.astype("float64")


def narrow(like, values):
    return values.astype(like.dtype)"""


class Mine:
    """An adapter of NumPy, as far as it is asked."""

    name = "torch"

    def __init__(self, slope: str) -> None:
        measure = f"def measure(z):\n    return f(z), {slope}"
        self.lines = Pointwise(_SETUP, {}, {"eager": measure}, {}, "array.tolist()")
        self.calls = 0

    def context(self) -> Any:
        return nullcontext()

    def send(self, array: Any, dtype: str) -> Any:
        self.calls += 1
        with np.errstate(all="ignore"):
            return np.asarray(array).astype(format_of(dtype).dtype)

    def fetch(self, array: Any, dtype: str) -> Any:
        assert array.dtype == format_of(dtype).dtype
        return array.astype(np.float64)


def mine(function: str, value: str, slope: str) -> Source:
    """A source of one function."""
    adapter: Any = Mine(slope)
    own = next(iter(elementary_lines("torch")[function]))
    return Source(adapter, "1.0", {function: {own: value}}, {})


def rows(
    function: str, dtype: str, value: str, slope: str = "narrow(z, 0 * wide(z))"
) -> tuple[Row, Row]:
    """Its value's row and its derivative's."""
    found, first = measured([mine(function, value, slope)], function, dtype, FEW)
    return found, first


EXP = "narrow(z, np.exp(wide(z)))"


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_a_function_that_is_rounded_once_errs_by_no_more_than_one_rounding(dtype: str) -> None:
    for row in rows("exp", dtype, EXP, EXP):
        assert row.error is not None
        assert 0.9 < row.error <= 1.0
        assert (row.nonfinite, row.vanished, row.lost) == (0, 0, 0)
        assert list(kinds(row)) == []


def test_the_error_of_a_row_is_that_of_its_worst_input_and_result() -> None:
    row, _ = rows("exp", "float32", EXP)
    assert row.got is not None
    error = error_at(ELEMENTARY["exp"], 0, format_of("float32"), row.at, row.got)
    assert row.error is not None
    assert error <= row.error <= error + 1e-4
    assert max(row.profile) == pytest.approx(row.error, rel=1e-2)


@pytest.mark.parametrize("ulps", [1, 3, 40])
def test_an_error_that_is_planted_is_measured(ulps: int) -> None:
    off = f"narrow(z, np.exp(wide(z)) * (1 + {ulps} * 2.0**-24))"
    row, _ = rows("exp", "float32", off)
    assert row.error is not None
    assert ulps - 1 < row.error <= ulps + 1
    assert list(kinds(row)) == (["far"] if ulps > 16 else [])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
@pytest.mark.parametrize("of", ["value", "derivative"])
def test_a_kernel_that_is_worse_in_short_arrays_only_is_noticed(dtype: str, of: str) -> None:
    u = format_of(dtype).unit_roundoff
    worse = f"narrow(z, np.exp(wide(z)) * (1 + (z.size < {{}}) * {4 * u}))"
    for limit in (2, 8):  # in arrays of one number, or in all short ones
        planted = worse.format(limit)
        pair = (
            rows("exp", dtype, planted, EXP) if of == "value" else rows("exp", dtype, EXP, planted)
        )
        bad, good = pair if of == "value" else pair[::-1]
        assert bad.error is not None
        assert good.error is not None
        assert bad.error > 3.0
        assert good.error < 1.5
        assert bad.kernel == "short"
        found = roundings(
            "torch", "eager", "exp", bad.key.order, dtype, record=recorded(dtype, bad)
        )
        assert found is not None
        assert found.count >= Fraction(bad.error)
        assert found.how.endswith("most in short arrays")


def recorded(dtype: str, row: Row) -> Record:
    return replace(some_record(row), samples={dtype: samples(FEW)[dtype]})


def test_a_kernel_that_is_worse_in_long_arrays_only_is_noticed_there() -> None:
    row, _ = rows("exp", "float16", "narrow(z, np.exp(wide(z)) * (1 + (z.size > 99) * 2.0**-9))")
    assert row.error is not None
    assert row.error > 3.0
    assert row.kernel == "long"


def test_in_short_arrays_all_numbers_of_16_bits_are_tried_and_some_of_the_others() -> None:
    for dtype in ("bfloat16", "float16"):
        row, _ = rows("exp", dtype, EXP)
        assert row.points < row.short < 1.1 * row.points
    for dtype in ("float32", "float64"):
        row, _ = rows("exp", dtype, EXP)
        assert 0 < row.short < 2 * FEW.short


PLANTED: Mapping[str, tuple[str, str, str, str, int]] = {
    "wrong": ("tanh", "float16", "np.tanh(z)", "narrow(z, 2 / np.cosh(wide(z)) ** 2)", 1),
    "narrow": ("cos", "float64", 'np.cos(z).astype("float32").astype("float64")', "z", 0),
    "threshold": (
        "softplus",
        "float64",
        "np.where(z > 20, z, np.log1p(np.exp(np.minimum(z, 30))))",
        "np.where(z > 20, 1.0, 1 / (1 + np.exp(-z)))",
        1,
    ),
    "far": ("sigmoid", "float16", "narrow(z, 1 / (1 + np.exp(-wide(z))) * (1 + 2.0**-6))", "z", 0),
    "multiplication": ("over_3", "float32", "z * np.float32(1 / 3)", "z", 0),
    "inexact": ("sqrt", "float32", "np.nextafter(np.sqrt(z), np.float32(0))", "z", 0),
    "range": (
        "reciprocal",
        "float32",
        "1 / z",
        "np.where(abs(z) < 2.0**-60, np.inf, narrow(z, -1 / wide(z) ** 2))",
        1,
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_departure_that_is_planted_is_called_what_it_is(kind: str) -> None:
    function, dtype, value, slope, order = PLANTED[kind]
    assert list(kinds(rows(function, dtype, value, slope)[order])) == [kind]


def test_what_is_far_off_next_to_underflow_is_lost_on_the_way_there() -> None:
    narrow = "narrow(z, np.exp(wide(z)) * np.where(z < -8, 1 + 2.0**-6, 1))"
    value, _ = rows("exp", "float16", narrow)
    assert value.error is not None
    assert value.error > 16
    assert list(kinds(value)) == ["range"]


@pytest.mark.parametrize("kind", ["multiplication", "inexact", "threshold", "range"])
def test_what_is_right_is_no_departure(kind: str) -> None:
    right = {
        "multiplication": ("over_3", "float32", "z / np.float32(3)", "z", 0),
        "inexact": ("sqrt", "float32", "np.sqrt(z)", "z", 0),
        "threshold": (
            "softplus",
            "float64",
            "np.logaddexp(z, 0.0)",
            "np.where(z > 0, 1, np.exp(np.minimum(z, 0))) / (1 + np.exp(-abs(z)))",
            1,
        ),
        "range": ("reciprocal", "float32", "1 / z", "narrow(z, -1 / wide(z) ** 2)", 1),
    }
    function, dtype, value, slope, order = right[kind]
    assert list(kinds(rows(function, dtype, value, slope)[order])) == []


def test_a_result_that_is_zero_in_place_of_a_normal_number_is_counted_and_no_error() -> None:
    lost = "np.where(z < 2.0**-6, 0, z).astype(z.dtype)"
    row, _ = rows("sqrt", "float16", "np.where(z < 2.0**-6, 0, np.sqrt(z)).astype(z.dtype)", lost)
    assert row.error is not None
    assert row.error <= 1.0
    small = points(ELEMENTARY["sqrt"], "float16")[0]
    assert row.vanished == int(((small >= 2.0**-14) & (small < 2.0**-6)).sum())
    assert row.vanished_at == (2.0**-14,)


def test_subnormal_inputs_that_are_taken_for_zero_are_counted_apart() -> None:
    flushed = "np.where(z < 2.0**-14, 0, np.sqrt(z)).astype(z.dtype)"
    kept, _ = rows("sqrt", "float16", "np.sqrt(z)")
    lost, _ = rows("sqrt", "float16", flushed)
    assert (kept.subnormal, kept.flushed) == (1023, 0)
    assert (lost.subnormal, lost.flushed) == (1023, 1023)
    assert lost.error == kept.error


def test_what_a_library_cannot_do_is_in_its_own_words() -> None:
    row, _ = rows("exp", "float16", "np.exp(z, out=3)")
    assert row.error is None
    assert row.unsupported == "TypeError: return arrays must be of ArrayType"


@pytest.mark.parametrize(("function", "order"), [("dividend", 0), ("divisor", 1)])
def test_both_derivatives_of_a_division_are_by_the_operand_that_is_named(
    function: str, order: int
) -> None:
    slopes = "narrow(z, np.stack([1 / wide(z[1]), -wide(z[0]) / wide(z[1]) ** 2]))"
    value, slope = rows(function, "float16", "z[0] / z[1]", slopes)
    for row in (value, slope):
        assert row.error is not None
        assert row.error <= 1.0
        assert len(row.at) == 2
    assert value.misrounded == 0


def test_a_second_derivative_of_which_a_part_is_detached_is_found() -> None:
    def twice(bend: str) -> Row:
        source = replace(
            mine("silu", "z", "z"),
            second={"eager": f"def measure(z):\n    s = 1 / (1 + np.exp(-wide(z)))\n    {bend}"},
        )
        return measured([source], "silu", "float16", FEW)[2]

    right = twice("return z, narrow(z, s * (1 - s) * (2 + z * (1 - 2 * s)))")
    assert right.error is not None
    assert right.error <= 1.0
    detached = twice("return z, narrow(z, s * (1 - s) * (1 + 0 * z))")
    assert list(kinds(detached)) == ["wrong"]


def test_where_a_derivative_jumps_nothing_is_judged() -> None:
    x = np.array([-1.0, -0.0, 0.0])
    for order, judged in ((1, [True] * 3), (2, [True, False, False])):
        found = reference(ELEMENTARY["elu"], order, format_of("float32"), (x,))
        assert found.is_judged.tolist() == judged


def test_a_library_that_cannot_differentiate_twice_keeps_its_other_rows() -> None:
    source = replace(
        mine("exp", EXP, EXP), second={"eager": "def measure(z):\n    raise KeyError(1)"}
    )
    value, slope, bend = measured([source], "exp", "float16", FEW)
    assert bend.unsupported == "KeyError: 1"
    assert value.error == slope.error is not None


# Inputs and reference


def test_all_numbers_of_16_bits_are_tried() -> None:
    for dtype in ("bfloat16", "float16"):
        (x,) = points(ELEMENTARY["tanh"], dtype)
        form = format_of(dtype)
        assert np.unique(x).size == x.size - 1  # both zeros
        assert x.size == 2 * (form.emax - form.emin + 2) << (form.precision - 1)
        assert samples(SETTINGS)[dtype].is_all


def test_every_so_many_th_number_of_float32_is_tried() -> None:
    (x,) = points(ELEMENTARY["exp"], "float32", Settings(stride=1 << 20))
    bits = x.astype(np.float32).view(np.uint32)
    assert (bits % (1 << 20) == 0).all()
    assert x.size == 4096 - 16  # without infinities and NaN
    assert not samples(SETTINGS)["float32"].is_all
    assert samples(Settings(stride=1))["float32"].is_all


def test_a_brief_look_tries_some_of_the_same_numbers() -> None:
    for dtype in ("float32", "float64"):
        for name in ("log", "divisor"):
            whole = Settings(stride=100_003, count=3000)
            some = points(ELEMENTARY[name], dtype, replace(whole, thin=BRIEF.thin))
            every = points(ELEMENTARY[name], dtype, whole)
            assert 0 < some[0].size < every[0].size / 50
            assert set(zip(*some, strict=True)) <= set(zip(*every, strict=True))


def test_the_bins_are_in_the_order_of_the_numbers() -> None:
    x = np.array([-1e38, -65.0, -64.0, -1.5, -1e-30, -0.0, 0.0, 1e-40, 1.0, 1.9, 2.0, 3e38])
    places = bins(x, "float32")
    assert (np.diff(places) >= 0).all()
    starts = scales_of_bins("float32")
    assert (places[8], places[9], places[10]) == (starts.index(1.0),) * 2 + (starts.index(2.0),)
    assert 0 <= places.min() < places.max() < len(starts)


def test_results_near_overflow_and_underflow_are_not_judged() -> None:
    form = format_of("float16")
    x = np.array([11.0859375, 11.0, 12.0, -9.7, -9.75, -200.0, 1e-5, 0.0])
    found = reference(ELEMENTARY["exp"], 0, form, (form.round(x),))
    assert found.is_judged.tolist() == [False, True, False, True, False, False, False, True]
    assert found.is_small.tolist() == [False, False, False, False, True, True, False, False]
    assert found.is_subnormal.tolist() == [*[False] * 6, True, False]


def test_in_float64_an_error_is_counted_where_its_unit_is_a_normal_number() -> None:
    x = np.array([2.0**-480, 2.0**-484, 2.0**-485, 2.0**-520])
    found = reference(ELEMENTARY["power_2"], 0, format_of("float64"), (x,))
    assert found.is_judged.tolist() == [True, True, False, False]
    assert found.is_small.tolist() == [False, False, True, True]


def test_the_worst_input_is_found_among_many_as_exact_as_can_be() -> None:
    value, _ = rows("power_2.5", "float64", "z ** 2.5", "z")
    assert value.error is not None
    assert 0.9 < value.error < 2.0


def test_the_reference_of_float64_has_a_hundred_bits() -> None:
    found = reference(ELEMENTARY["exp"], 0, format_of("float64"), (np.array([1.0]),))
    tail = Fraction(found.high.item()) + Fraction(found.low.item())
    e = Fraction(27182818284590452353602874713526624977572, 10**40)
    assert abs(tail - e) < Fraction(1, 2**100)
    assert found.errors(found.high).item() < 1.0


# Departures of the committed record


def test_the_known_departures_are_found_unprompted() -> None:
    found = departures(COMMITTED)
    assert {
        ("torch", "sqrt", 0, "inexact"),
        ("torch", "softplus", 1, "threshold"),
        ("tensorflow", "reciprocal", 0, "range"),
        ("tensorflow", "log", 1, "range"),
        ("tensorflow", "gelu", 0, "narrow"),
        ("jax", "over_3", 0, "multiplication"),
        ("tensorflow", "over_3", 0, "multiplication"),
    } <= {(each.framework, each.function, n, each.kind) for each in found for n in each.orders}


def test_the_committed_record_has_every_line_in_every_mode_and_dtype() -> None:
    wanted = {
        Key(framework, function, formulation, mode, dtype, order)
        for framework, modes in MODES.items()
        for function, ways in elementary_lines(framework).items()
        for formulation in ways
        for mode in modes
        for dtype in WORKING
        for order in range(3 if function in BENT else 2)
    }
    assert set(COMMITTED.by_key) == wanted
    assert COMMITTED.samples == samples(SETTINGS)


def test_the_committed_pages_are_those_of_the_committed_record() -> None:
    lines = {name: elementary_lines(name) for name in COMMITTED.frameworks}
    assert (REPORTS / "accuracy.md").read_text("utf-8") == markdown(COMMITTED, lines)
    assert (REPORTS / "accuracy.svg").read_text("utf-8") == chart(COMMITTED)


def test_the_picture_has_a_higher_line_where_the_error_is_larger() -> None:
    def heights(error: float) -> list[float]:
        profile = tuple(error if start == 1.0 else 1.0 for start in scales_of_bins("float32"))
        key = Key("torch", "tanh", "tanh", "eager", "float32", 0)
        picture = chart(some_record(Row(key, error=1.0, profile=profile)))  # type: ignore[arg-type]
        (line,) = re.findall(
            r'points="([^"]*)" fill="none" stroke="#b2182b" stroke-w[^>]*1.2"', picture
        )
        return [float(point.split(",")[1]) for point in line.split()]

    assert min(heights(1.0)) == max(heights(1.0))
    assert min(heights(16.0)) < min(heights(8.0)) < max(heights(8.0))


@pytest.mark.parametrize(
    "framework",
    [pytest.param(each, marks=[] if each == "torch" else [pytest.mark.long]) for each in MODES],
)
def test_every_script_of_a_departure_needs_its_framework_only_and_shows_what_it_claims(
    framework: str, tmp_path: Path
) -> None:
    mine = [each for each in departures(COMMITTED) if each.framework == framework]
    assert mine
    done = processes.run(
        [sys.executable, "-c", FINDING_RUNNER, framework],
        input=json.dumps([script(each) for each in mine]),
        capture_output=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    here = empty([], SETTINGS, "").environment
    if any(COMMITTED.environment[name] != here[name] for name in ("processor", "vectors")):
        return  # another processor may round otherwise
    for departure, output in zip(mine, printed, strict=True):
        assert output == [expected(departure, COMMITTED)]


# N


def some_record(*found: Row, **samples_: Sample) -> Record:
    told = {"float32": Sample("some", False), "bfloat16": Sample("all", True), **samples_}
    environment = {"machine": "m", "vectors": "v", "processor": "p"}
    return Record({"torch": "torch 1.0"}, environment, told, found)


def row(error: float | None, dtype: str = "bfloat16", mode: str = "eager", **what: Any) -> Row:
    key = Key("torch", "tanh", "tanh", mode, dtype, 1)
    return Row(key, error=error, at=(1.0,), got=1.0, points=9, **what)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "dtype", "count"),
    [
        (1.0, "bfloat16", Fraction(1)),
        (1.0001, "bfloat16", Fraction(9, 8)),
        (0.0, "bfloat16", Fraction(0)),
        (1.0001, "float32", Fraction(17, 8)),
    ],
)
def test_n_is_the_largest_error_rounded_up_and_one_more_where_it_was_sampled(
    error: float, dtype: str, count: Fraction
) -> None:
    found = roundings("torch", "eager", "tanh", 1, dtype, record=some_record(row(error, dtype)))
    assert found is not None
    assert found.count == count
    assert not found.is_nearest
    assert ("sampled" in found.basis) == (dtype == "float32")


@pytest.mark.parametrize(
    ("here", "is_nearest"),
    [
        ({}, False),
        ({"versions": "torch 1.0"}, False),
        ({"versions": "torch 1.1"}, True),
        ({"environment": {"machine": "m", "vectors": "v"}}, False),
        ({"environment": {"machine": "m", "vectors": "w"}}, True),
    ],
)
def test_another_version_or_processor_has_the_nearest_row(
    here: dict[str, Any], is_nearest: bool
) -> None:
    found = roundings("torch", "eager", "tanh", 1, "bfloat16", record=some_record(row(1.0)), **here)
    assert found is not None
    assert found.is_nearest == is_nearest
    assert ("nearest row" in found.basis) == is_nearest


def test_a_mode_without_rows_has_those_of_the_mode_that_errs_most() -> None:
    record = some_record(row(1.0), row(3.0, mode="xla"))
    found = roundings("torch", "vmap", "tanh", 1, "bfloat16", record=record)
    assert found is not None
    assert found.count == 3
    assert found.is_nearest


@pytest.mark.parametrize("about", [("jax", "tanh"), ("torch", "sinh")])
def test_where_there_is_no_row_there_is_no_n(about: tuple[str, str]) -> None:
    framework, function = about
    record = some_record(row(1.0))
    assert roundings(framework, "eager", function, 1, "bfloat16", record=record) is None
    unsupported = some_record(row(None, unsupported="no"))
    assert roundings("torch", "eager", "tanh", 1, "bfloat16", record=unsupported) is None


@pytest.mark.parametrize(
    ("framework", "mode", "function", "order", "low", "high"),
    [
        ("torch", "eager", "tanh", 1, 2, 3),
        ("jax", "jit", "tanh", 1, 8, 11),
        ("tensorflow", "xla", "exp", 0, 4, 6),
        ("tensorflow", "eager", "log", 1, 4000, 8000),
    ],
)
def test_the_record_that_came_with_the_package_is_read(
    framework: str, mode: str, function: str, order: int, low: float, high: float
) -> None:
    found = roundings(framework, mode, function, order, "float32")
    assert found is not None
    assert low <= found.count <= high


# The file, and the alarm


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    few = replace(COMMITTED, rows=COMMITTED.rows[::50])
    write_record(few, tmp_path / RECORD)
    again = read_record(tmp_path / RECORD)
    assert again.rows == few.rows
    assert dumps(again) == dumps(few)  # which has NaN
    assert dumps(few).count('{"key"') == len(few.rows) + len(few.shown)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": 7}', '{"format": 1, "rows": 3}'])
def test_a_damaged_record_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / RECORD).write_text(text)
    with pytest.raises(UsageError, match=r"no(t a)? record of accuracy"):
        read_record(tmp_path / RECORD)


def test_a_record_with_rows_of_a_dtype_that_was_not_tried_is_refused(tmp_path: Path) -> None:
    few = replace(COMMITTED, rows=COMMITTED.rows[::50])
    samples = {name: each for name, each in few.samples.items() if name != "bfloat16"}
    write_record(replace(few, samples=samples), tmp_path / RECORD)
    with pytest.raises(UsageError, match="rows of bfloat16, of which it does not say what was"):
        read_record(tmp_path / RECORD)


def test_the_same_record_raises_no_alarm() -> None:
    assert list(changes(COMMITTED, COMMITTED)) == []


def other_processor(record: Record) -> Record:
    return replace(record, environment={**record.environment, "vectors": "w"})


@pytest.mark.parametrize(
    ("new", "told"),
    [
        (row(2.0001), "2.0 roundings -> 2.0001 at 1.0"),
        (row(1.9), "2.0 roundings -> 1.9 at 1.0"),
        (row(2.0, nonfinite=1), "0 results infinite or NaN -> 1"),
        (row(2.0, misrounded=1), "-1 results not rounded correctly -> 1"),
        (row(None, unsupported="no"), "2.0 roundings -> UNSUPPORTED: no"),
    ],
)
def test_an_alarm_is_raised_by_what_is_planted(new: Row, told: str) -> None:
    old = some_record(row(2.0))
    name = "torch tanh' (eager, bfloat16)"
    assert [*map(str, changes(old, some_record(new)))] == [f"{name}: {told}"]


def test_errors_that_are_the_same_to_nine_digits_raise_no_alarm() -> None:
    old, same, other = 2.0**54, 2.0**54 + 4.0, 2.0**54 * (1 + 2.0**-20)
    assert list(changes(some_record(row(old)), some_record(row(same)))) == []
    assert len(list(changes(some_record(row(old)), some_record(row(other))))) == 1


def test_rows_that_come_and_go_raise_an_alarm() -> None:
    one, other = some_record(row(2.0)), some_record(row(2.0, mode="xla"))
    assert [*map(str, changes(one, other))] == [
        "torch tanh' (xla, bfloat16): not in the record, now 2.0 roundings",
        "torch tanh' (eager, bfloat16): in the record, now gone",
    ]


@pytest.mark.parametrize(("error", "told"), [(2.0, 0), (2.125, 0), (2.2, 1), (1.0, 0)])
def test_on_another_processor_an_error_beyond_n_is_told_and_no_alarm(
    error: float, told: int
) -> None:
    old, new = some_record(row(2.1)), other_processor(some_record(row(error)))
    assert len(list(beyond(old, new))) == told
    assert list(changes(old, new)) == []
    assert list(beyond(old, some_record(row(error)))) == []


@pytest.mark.parametrize("what", [{"error": 17.0}, {"error": 2.0, "nonfinite": 1}])
def test_on_another_processor_a_departure_that_is_new_is_an_alarm(what: dict[str, Any]) -> None:
    new = some_record(row(**what))
    assert len(list(changes(some_record(row(2.0)), other_processor(new)))) == 1
    assert list(changes(new, other_processor(new))) == []


def sources_of(*found: Source) -> Sequence[Source]:
    return found


def test_a_measurement_goes_on_where_it_was_ended(tmp_path: Path) -> None:
    (source,) = sources_of(mine("sqrt", "np.sqrt(z)", "z"))
    start, keep = empty([source], FEW, "2026-01-31"), tmp_path / "part.json"

    def again(*dtypes: str) -> Record:
        return measure([source], start, FEW, functions=["sqrt"], dtypes=dtypes, keep=keep)

    first = again("float16")
    calls = source.adapter.calls  # type: ignore[attr-defined]
    both = again("float16", "bfloat16")
    assert {row.key.dtype for row in both.rows} == {"float16", "bfloat16"}
    assert [row for row in both.rows if row.key.dtype == "float16"] == list(first.rows)
    again("float16")
    assert source.adapter.calls < 2.2 * calls  # type: ignore[attr-defined]


def test_a_brief_look_finds_the_error_of_the_record() -> None:
    source = mine("exp", EXP, EXP)
    whole = Settings(stride=20_011, count=600)
    old = merged(empty([source], whole, ""), measured([source], "exp", "float32", whole))
    brief = replace(whole, thin=50)
    new = measure(
        [source],
        empty([source], brief, ""),
        brief,
        functions=["exp"],
        dtypes=["float32"],
        known=old,
    )
    assert new.rows[0].points < old.rows[0].points / 20
    assert list(changes(old, new, functions=["exp"], dtypes=["float32"])) == []


# The command


def test_the_record_is_shown_without_measuring(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["accuracy", "--recorded", "--function", "tanh", "--dtype", "float32"]
    assert main([*words, "--baseline", str(REPORTS)]) == 0
    shown = capsys.readouterr().out
    assert "float32: one bit pattern in 401" in shown
    assert "jax jit" in shown
    assert "tanh" in shown


def test_a_function_that_is_measured_again_is_as_recorded_or_the_command_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["accuracy", "--frameworks", "torch", "--function", "tanh", "--dtype", "bfloat16"]
    assert main([*words, "--baseline", str(REPORTS)]) == 0
    assert "no accuracy has changed, of 3 measured" in capsys.readouterr().out
    better = [replace(each, error=each.error and each.error / 2) for each in COMMITTED.rows]  # type: ignore[arg-type]
    # Of another processor less is compared.
    environment = {**COMMITTED.environment, **empty([], SETTINGS, "").environment}
    record = replace(COMMITTED, rows=tuple(better), environment=environment)
    write_record(record, tmp_path / RECORD)
    assert main([*words, "--baseline", str(tmp_path)]) == 1
    assert "changed: torch tanh, tanh', tanh'': larger error; eager; bfloat16" in (
        capsys.readouterr().out
    )


def test_a_part_that_is_accepted_takes_the_place_of_its_rows_and_leaves_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["accuracy", "--frameworks", "torch", "--function", "sqrt", "--dtype", "float16"]
    assert main([*words, "--here", str(tmp_path)]) == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"FINDINGS.md", RECORD, "accuracy.md", "accuracy.svg"}
    here = read_record(tmp_path / RECORD)
    old = Key("torch", "sqrt", "gone", "eager", "float16", 0)
    other = Key("torch", "exp", "exp", "eager", "float16", 0)
    rows = (replace(here.rows[0], error=None, unsupported="no"), Row(old), Row(other))
    write_record(replace(here, rows=rows), tmp_path / RECORD)
    assert main([*words, "--baseline", str(tmp_path), "--accept"]) == 0
    again = read_record(tmp_path / RECORD)
    assert set(again.by_key) == {*here.by_key, other}
    assert again.by_key[here.rows[0].key] == here.rows[0]
    lines = capsys.readouterr().out.splitlines()
    accepted = [line for line in lines if line.startswith("accepted: ")]
    assert len(accepted) == len(here.rows)  # of two derivatives in one line, and one that is gone
    assert "torch sqrt', sqrt'': not in the record" in accepted[1]
    assert not any("exp" in line for line in accepted)


def test_without_python_flint_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [each for each in sys.modules if each.startswith("crosscheck.studies.accuracy")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "crosscheck.numbers.arb", raising=False)
    monkeypatch.setitem(sys.modules, "flint", None)
    assert main(["accuracy", "--frameworks", "torch", "--baseline", str(REPORTS)]) == 4
    assert "pip install 'python-flint>=" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--recorded", "--accept"], "--recorded and --accept given together"),
        (["--recorded", "--function", "sinhh"], "wanted some of exp"),
        (["--recorded", "--frameworks", "trch"], "did you mean 'torch'?"),
        (["--function", "sinh", "--frameworks", "torch"], "--function 'sinh': wanted some of exp"),
        (
            ["--dtype", "float8", "--frameworks", "torch"],
            "--dtype 'float8': wanted some of float",
        ),
        (["--recorded", "--baseline", "nowhere"], "accuracy.json: no such file"),
    ],
)
def test_what_cannot_be_asked_is_told_in_a_line(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["accuracy", *words]) == 4
    assert said in capsys.readouterr().err
