"""The table of formats: constants, roundings, and what a new entry of it needs."""

from __future__ import annotations

import ast
import math
import random
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from toy import NINE_BITS, Overflow, Toy, one_more_format

from crosscheck.cases.strategies import boundary_cases, nonfinite_cases, smooth_cases
from crosscheck.cases.stream.families import DEFAULT_MIX
from crosscheck.cases.stream.generate import block
from crosscheck.cases.stream.settings import Shape
from crosscheck.judge.compare import Judge
from crosscheck.judge.compiled import FusedJudge
from crosscheck.judge.stacks import StackJudge
from crosscheck.judge.verdict import fails
from crosscheck.network.batch import Batch
from crosscheck.network.dense import Case, Network
from crosscheck.network.files import case_from_json, case_to_json, read_case, write_case
from crosscheck.network.reference import gradients
from crosscheck.numbers import formats
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import FORMATS, Format, add_format, format_of
from crosscheck.tools.errors import UsageError

NARROW = [name for name, form in FORMATS.items() if form.precision <= 11]


def everything(form: Format) -> Array:
    """All finite numbers of a format that are not negative, in order."""
    assert form.dtype is not None
    bits = np.arange(2 ** (8 * form.dtype.itemsize - 1), dtype=f"u{form.dtype.itemsize}")
    with np.errstate(invalid="ignore"):
        values = bits.view(form.dtype).astype(np.float64)
    return np.sort(values[np.isfinite(values)])


@pytest.mark.parametrize("dtype", NARROW)
def test_the_constants_of_a_format_are_those_of_its_numbers(dtype: str) -> None:
    form = FORMATS[dtype]
    numbers = everything(form)
    assert numbers[:2].tolist() == [0.0, form.smallest_subnormal]
    assert numbers[-1] == form.largest
    steps = np.diff(numbers)
    assert numbers[:-1][steps > form.smallest_subnormal][0] == 2 * form.smallest_normal
    assert steps[numbers[:-1] == 1.0].tolist() == [2 * form.unit_roundoff]
    assert (form.ulp(numbers[:-1]) == steps).all()
    assert form.contains(numbers)
    assert not form.contains(numbers[1] / 2)


def midpoints(form: Format) -> Array:
    """The midpoints of neighbours of a format, and the one beyond its largest number."""
    numbers = everything(form)
    return np.append(
        0.5 * (numbers[:-1] + numbers[1:]), form.largest + 0.5 * form.ulp(form.largest)
    )


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("dtype", NARROW)
def test_numbers_are_rounded_once_to_nearest_even(dtype: str, sign: float) -> None:
    form = FORMATS[dtype]
    numbers, ties = everything(form), midpoints(form)
    above = np.append(numbers[1:], form.beyond)
    is_even = np.arange(len(ties)) % 2 == 0
    wanted = {
        "below": (np.nextafter(ties, 0.0), numbers),
        "tie": (ties, np.where(is_even, numbers, above)),
        "above": (np.nextafter(ties, np.inf), above),
        "itself": (numbers, numbers),
    }
    for name, (values, result) in wanted.items():
        found = form.round(sign * values)
        assert np.array_equal(found, sign * result, equal_nan=True), name
        assert (np.signbit(found) == (sign < 0))[~np.isnan(found)].all()


@pytest.mark.parametrize("dtype", [name for name in NARROW if not FORMATS[name].is_native])
def test_the_conversions_of_ml_dtypes_round_twice_from_float64_and_once_from_float32(
    dtype: str,
) -> None:
    # Were the first no longer so, `Format.round` could use them.
    form = FORMATS[dtype]
    ties = midpoints(form)
    ties = ties[ties >= FORMATS["float32"].smallest_normal]
    for start, is_right in ((np.float64, False), (np.float32, True)):
        for towards in (0.0, np.inf):
            beside: Any = np.nextafter(ties.astype(start), start(towards))
            with np.errstate(over="ignore"):
                found = beside.astype(form.dtype).astype(np.float64)
            same = np.array_equal(found, form.round(beside), equal_nan=True)
            assert same is is_right, (start, towards)


@pytest.mark.parametrize("dtype", FORMATS)
def test_what_is_not_finite_stays_or_becomes_nan(dtype: str) -> None:
    form = FORMATS[dtype]
    values = np.array([np.inf, -np.inf, np.nan, 2.0 * form.largest, -1e308])
    wanted = np.array([np.inf, -np.inf, np.nan, np.inf, -np.inf])
    if dtype == "float64":
        wanted[3:] = values[3:] = 1e308
    if not form.has_infinity:
        wanted[:] = np.nan
    with np.errstate(over="ignore"):
        assert np.array_equal(form.round(values), wanted, equal_nan=True)
    assert form.contains(np.nan)
    assert form.contains(np.inf) is form.has_infinity


@pytest.mark.parametrize("dtype", FORMATS)
def test_rounding_is_that_of_exact_arithmetic(dtype: str) -> None:
    form, rng = FORMATS[dtype], random.Random(dtype)
    toy = Toy(form, rng)
    for _ in range(300):
        exponent = rng.randint(form.emin - form.precision - 2, form.emax)
        value = math.ldexp(rng.choice([-1, 1]) * rng.uniform(1, 2), exponent)
        try:
            wanted = float(toy.rounded(Fraction(value)))
        except Overflow:
            wanted = math.copysign(form.beyond, value)
        assert np.array_equal(form.round(value), wanted, equal_nan=True), value


def test_constants_are_those_that_are_published() -> None:
    found = {
        name: (form.precision, form.emin, form.emax, form.largest, form.has_infinity)
        for name, form in FORMATS.items()
    }
    assert found == {
        "float64": (53, -1022, 1023, float(np.finfo(np.float64).max), True),
        "float32": (24, -126, 127, float(np.finfo(np.float32).max), True),
        "bfloat16": (8, -126, 127, 255 * 2.0**120, True),
        "float16": (11, -14, 15, 65504.0, True),
        "float8_e4m3fn": (4, -6, 8, 448.0, False),
        "float8_e5m2": (3, -14, 15, 57344.0, True),
    }


# -- one more ----------------------------------------------------------------------------------

ROOT = Path(__file__).parents[1]


@pytest.fixture
def _nine_bits() -> Iterator[None]:
    with one_more_format(NINE_BITS):
        yield


def test_the_guide_s_new_format_does_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    guide = (ROOT / "docs" / "extending.md").read_text("utf-8")
    section = guide.split("## A new number format\n")[1]
    (program,) = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)[:1]
    assert "add_format(form)" in program
    try:
        exec(program, {})
    finally:
        formats._FORMATS.pop("nine_bits", None)
    assert capsys.readouterr().out.split() == ["AGREES", "DISAGREES"]
    # What it says of the table's own line.
    assert Format.of_dtype("float8_e3m4") == Format("float8_e3m4", precision=5, emin=-2, emax=3)


@pytest.mark.usefixtures("_nine_bits")
@pytest.mark.parametrize("ending", ["json", "npz", "safetensors"])
def test_a_case_of_a_new_format_is_written_and_read(ending: str, tmp_path: Path) -> None:
    case = Case.of([[[0.1, 3.0]]], None, [[1e-4, -0.0]], [[57344.0]], dtype="nine_bits")
    assert case.weights[0].tolist() == [[0.1015625, 3.0]]
    path = tmp_path / f"case.{ending}"
    write_case(case, path)
    assert read_case(path).key == case.key
    data = case_to_json(case) | {"x": [["0x1.1p+0", 1]]}
    with pytest.raises(UsageError, match="which is not a nine_bits number"):
        case_from_json(data, origin="here")


@pytest.mark.usefixtures("_nine_bits")
def test_strategies_streams_and_the_judges_take_a_new_format() -> None:
    kinds = set()
    for strategy in (smooth_cases, boundary_cases, nonfinite_cases):

        @settings(max_examples=10, database=None, derandomize=True, deadline=None)
        @given(strategy(dtype="nine_bits"))
        def check(case: Case) -> None:
            with np.errstate(all="ignore"):
                right = gradients(case).map(NINE_BITS.round)
            # Rounded once from float64, as by code that computes in that.
            verdict = Judge(case).verdict(right, framework="mine")
            kinds.add(verdict.kind.name)
            assert not fails(verdict, ())

        check()
    assert kinds >= {"AGREES", "KINK", "NONFINITE"}
    made = block(Shape(Network((2, 2, 1)), 1, "nine_bits"), 1, 0, DEFAULT_MIX)
    assert all(NINE_BITS.contains(array) for array in made.batch.flatten())
    stack = made.batch.case(range(64))
    with np.errstate(all="ignore"):
        right = gradients(stack).map(NINE_BITS.round)
    agrees, _ = StackJudge(stack).agreements(right)
    wrong, _ = StackJudge(stack).agreements(right.map(lambda array: -1.0 - 4.0 * array))
    assert agrees.sum() > 32
    assert not wrong.any()


@pytest.mark.parametrize(
    ("form", "complaint"),
    [
        (Format("float16", 11, -14, 15), "there is one of this name"),
        (Format("wide", 54, -14, 15), "wanted a subset of float64"),
        (Format("far", 4, -14, 1024), "wanted a subset of float64"),
        (Format("fine", 4, -1074, 15), "wanted a subset of float64"),
        (Format("one bit", 1, -14, 15), "wanted a subset of float64"),
        (Format("empty", 4, 3, 2), "wanted a subset of float64"),
    ],
    ids=lambda value: value.name if isinstance(value, Format) else None,
)
def test_a_format_that_cannot_be_is_refused_in_one_line(form: Format, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint) as caught:
        add_format(form)
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="wanted one of float64, float32, bfloat16"):
        format_of("wide")


def test_a_format_wider_than_float32_is_held_as_float64() -> None:
    with one_more_format(Format("wide", precision=30, emin=-200, emax=200)):
        case = Case.of([[[[1.0]]] * 64], None, [[[2.0**-190]]] * 64, [[[1.0]]] * 64, dtype="wide")
        batch = Batch.of(case)
        assert batch.x.dtype == np.float64
        assert (batch.x == 2.0**-190).all()
        # The compiled forms know float64, and what fits float32.
        assert not FusedJudge(case).certified([gradients(case)])[0].any()
        assert StackJudge(case).agreements(gradients(case))[0].all()
        made = block(Shape(Network((2, 2, 1)), 1, "wide"), 1, 0, DEFAULT_MIX)
        assert all(format_of("wide").contains(array) for array in made.batch.flatten())


def test_no_module_but_one_lists_the_formats() -> None:
    # The words of a file format, and how large planted faults are, are lists of their own.
    found = []
    for path in sorted((ROOT / "harness").rglob("*.py")):
        text = path.read_text("utf-8")
        if sum(f'"{name}"' in text for name in FORMATS) < 3:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Tuple | ast.List | ast.Set | ast.Dict):
                inside = [*node.keys, *node.values] if isinstance(node, ast.Dict) else node.elts
                names = {each.value for each in inside if isinstance(each, ast.Constant)}
                if len(names & set(FORMATS)) > 2:
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert {each.split(":")[0] for each in found} == {
        "harness/crosscheck/network/files/arrays.py",
        "harness/crosscheck/studies/certificates/settings.py",
    }
