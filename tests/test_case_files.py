"""A case survives every kind of file bit for bit; a file that is none is named and explained."""

from __future__ import annotations

import io
import json
import math
import os
import re
import stat
import sys
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosscheck.network.dense import Case, worked_example
from crosscheck.network.files import case_from_json, case_to_json, read_case, write_case
from crosscheck.numbers.formats import FORMATS
from crosscheck.tools.atomic import write_bytes_atomically, write_text_atomically
from crosscheck.tools.errors import UsageError

ENDINGS = ("json", "npz", "safetensors")

EXAMPLE = {
    "widths": [1, 1, 1],
    "weights": [[[2]], [[3]]],
    "biases": [[0], [1]],
    "x": [[1]],
    "y": [[5]],
    "dtype": "float64",
    "output": "relu",
}


def awkward(dtype: str, *, extra: float = 0.0) -> Case:
    """Signed zeros, subnormals, the extremes, and a layer without bias."""
    form = FORMATS[dtype]
    rng = np.random.default_rng(0)
    return Case.of(
        [rng.standard_normal((2, 3)), [[-0.0, form.smallest_subnormal]]],
        [None, [-form.smallest_normal]],
        [[0.1, -0.0, form.largest], [extra, 0.5, 1e-3]],
        [[-form.largest], [3.0]],
        dtype=dtype,
        output="identity",
        reduction="mean",
    )


def one_number(value: Any, dtype: str = "float64") -> dict[str, Any]:
    """JSON of a one-unit network whose input is ``value``."""
    return {"weights": [[[1]]], "x": [[value]], "y": [[1]], "dtype": dtype}


def ones(dtype: Any = np.float64) -> dict[str, Any]:
    """The arrays of a one-unit network."""
    return {name: np.ones((1, 1), dtype=dtype) for name in ("W1", "x", "y")}


def complaint_about(path: Path, **options: bool) -> str:
    """The one line that reading ``path`` ends in, less the name of the file."""
    with pytest.raises(UsageError) as caught:
        read_case(path, **options)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < len(str(path)) + 250
    return message.removeprefix(f"{path}: ")


# -- there and back ------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize(
    "extra",
    [0.0, math.inf, -math.inf, math.nan, -math.nan],
    ids=["zero", "inf", "-inf", "nan", "-nan"],
)
def test_a_case_comes_back_bit_for_bit(
    extra: float, dtype: str, ending: str, tmp_path: Path
) -> None:
    case = awkward(dtype, extra=extra)
    write_case(case, tmp_path / f"case.{ending}")
    assert read_case(tmp_path / f"case.{ending}", allow_nonfinite=True).key == case.key


@pytest.mark.parametrize("dtype", FORMATS)
@given(value=st.floats())
def test_any_number_survives_json(dtype: str, value: float) -> None:
    form = FORMATS[dtype]
    if math.isnan(value):
        value = math.copysign(math.nan, value)
    with np.errstate(over="ignore"):
        value = float(form.round(value))
    case = Case.of([[[value]]], [[value]], [[value]], [[1.0]], dtype=dtype)
    text = json.dumps(case_to_json(case), allow_nan=False)
    assert case_from_json(json.loads(text), origin="here").key == case.key


@pytest.mark.parametrize("dtype", FORMATS)
def test_arrays_are_written_in_the_dtype_of_the_case(dtype: str, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    stored = dtype if FORMATS[dtype].is_native else "float32"
    for ending, load in (("npz", np.load), ("safetensors", load_file)):
        write_case(awkward(dtype), tmp_path / f"case.{ending}")
        arrays = load(tmp_path / f"case.{ending}")
        assert [arrays[name].dtype.name for name in ("W1", "W2", "b2", "x", "y")] == [stored] * 5
        assert "b1" not in arrays


def test_a_person_can_read_the_json_of_a_case(tmp_path: Path) -> None:
    write_case(worked_example(b1=0.1), tmp_path / "case.json")
    assert (tmp_path / "case.json").read_text() == (
        '{\n "widths": [1, 1, 1],\n'
        ' "weights": [\n  [\n   [2]],\n  [\n   [3]]],\n'
        ' "biases": [\n  ["0x1.999999999999ap-4"],\n  [1]],\n'
        ' "x": [\n  [1]],\n "y": [\n  [5]],\n'
        ' "dtype": "float64",\n "output": "relu",\n "reduction": "sum"\n}\n'
    )


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (5.0, 5),
        (-(2.0**53), -(2**53)),
        (0.0, 0),
        (-0.0, "-0x0p+0"),
        (-0.375, -0.375),
        (0.1, "0x1.999999999999ap-4"),
        (2.0**-1074, "0x0.0000000000001p-1022"),
        (2.0**60, "0x1p+60"),
        (1 / 16384, "0x1p-14"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (math.nan, "nan"),
    ],
    ids=str,
)
def test_a_number_is_written_plainly_only_where_that_is_exact_and_short(
    value: float, written: Any
) -> None:
    found = case_to_json(worked_example(x=value))["x"][0][0]
    assert found == written
    assert type(found) is type(written)


def test_a_stack_is_not_written(tmp_path: Path) -> None:
    stack = Case.of([np.ones((3, 1, 1))], None, np.ones((3, 1, 1)), np.ones((3, 1, 1)))
    for ending in ENDINGS:
        with pytest.raises(UsageError, match="a stack of 3 given, wanted a single case"):
            write_case(stack, tmp_path / f"case.{ending}")
    with pytest.raises(UsageError, match=r"write each case\[i\]"):
        case_to_json(stack)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_ending_may_be_in_capitals(ending: str, tmp_path: Path) -> None:
    write_case(worked_example(), tmp_path / f"CASE.{ending.upper()}")
    assert read_case(tmp_path / f"CASE.{ending.upper()}").key == worked_example().key


# -- what is read --------------------------------------------------------------------------


def test_the_documented_json_is_the_worked_example(tmp_path: Path) -> None:
    path = tmp_path / "case.json"
    path.write_text(json.dumps(EXAMPLE))
    assert read_case(path).key == worked_example().key == read_case("worked-example").key


def test_everything_but_the_numbers_has_a_default() -> None:
    case = case_from_json({"weights": [[[2]]], "x": [[1]], "y": [[5]]}, origin="here")
    assert case.key == Case.of([[[2]]], None, [[1]], [[5]]).key
    one = case_from_json({**EXAMPLE, "biases": [None, [1]]}, origin="here")
    assert [bias is None for bias in one.biases] == [True, False]


@pytest.mark.parametrize(
    ("text", "dtype", "value"),
    [
        ("0.1", "float32", float(np.float32(0.1))),
        ("16777217", "float32", 16777216.0),
        ("9007199254740993", "float64", 9007199254740992.0),
        ("-0", "float64", -0.0),
        ("-0.0", "float64", -0.0),
        ("1e-400", "float64", 0.0),
        ('"0x1.8p+1"', "float16", 3.0),
        ('"-0X.8"', "float16", -0.5),
        ('"0x10"', "float16", 16.0),
        ('"0x1p-24"', "float16", 2.0**-24),
        ('"0x1.ffcp15"', "float16", 65504.0),
        ('"0x0.00000p99"', "float16", 0.0),
        ('"-0x0p0"', "float16", -0.0),
    ],
    ids=lambda value: str(value),
)
def test_decimals_are_rounded_and_hex_strings_are_exact(
    text: str, dtype: str, value: float, tmp_path: Path
) -> None:
    (tmp_path / "case.json").write_text(json.dumps(one_number("?", dtype)).replace('"?"', text))
    found = read_case(tmp_path / "case.json").x.item()
    assert (found, math.copysign(1.0, found)) == (value, math.copysign(1.0, value))


@pytest.mark.parametrize("dtype", FORMATS)
@given(data=st.data())
def test_a_hex_string_is_read_exactly_or_not_at_all(dtype: str, data: st.DataObject) -> None:
    form = FORMATS[dtype]
    bits = data.draw(st.sampled_from([1, 5, form.precision, form.precision + 1]))
    digits = f"{data.draw(st.integers(0, 2**bits - 1)):x}" + "0" * data.draw(st.integers(0, 5))
    point = data.draw(st.integers(0, len(digits)))
    lowest = form.emin - form.precision + 1
    exponent = data.draw(
        st.integers(lowest - 9, lowest + 9)
        | st.integers(form.emax - bits - 9, form.emax + 9)
        | st.integers(-9, 9)
    )
    text = f"0x{digits[:point]}.{digits[point:]}p{exponent}"
    exact = Fraction(int(digits, 16)) * Fraction(2) ** (exponent - 4 * len(digits[point:]))
    try:
        value = float(exact)
        with np.errstate(over="ignore"):
            there = Fraction(value) == exact and form.contains(value)
    except OverflowError:
        there = False
    if there:
        assert case_from_json(one_number(text, dtype), origin="here").x.item() == exact
    else:
        # 480 has the bits of a number of float8_e4m3fn, whose largest is 448.
        told = r"here: x\[0\]\[0\] is (the string|480, beyond the largest)"
        with pytest.raises(UsageError, match=told):
            case_from_json(one_number(text, dtype), origin="here")


def test_json_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "case.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(EXAMPLE).encode())
    assert read_case(tmp_path / "case.json").key == worked_example().key


@pytest.mark.parametrize(
    ("weights", "rest", "dtype"),
    [
        ("f2", "f2", "float16"),
        ("f4", "f4", "float32"),
        ("f8", "f8", "float64"),
        (">f4", ">f4", "float32"),
        ("f4", "u1", "float32"),
        ("i8", "i2", "float64"),
        ("f4", "f8", "float64"),
        ("f2", "f4", "float64"),
    ],
)
def test_the_dtype_of_an_npz_is_that_of_its_floats_if_they_agree(
    weights: str, rest: str, dtype: str, tmp_path: Path
) -> None:
    arrays: dict[str, Any] = ones(rest) | {"W1": np.full((1, 1), 3, weights)}
    np.savez(tmp_path / "case.npz", **arrays)
    case = read_case(tmp_path / "case.npz")
    assert case.dtype == dtype
    assert case.weights[0].item() == 3.0


def raw_safetensors(path: Path, kinds: dict[str, tuple[str, bytes]], **metadata: str) -> None:
    """A file of one-number tensors, by the format's definition and without the package."""
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    body = b""
    for name, (kind, data) in kinds.items():
        offsets = [len(body), len(body) + len(data)]
        header[name] = {"dtype": kind, "shape": [1, 1], "data_offsets": offsets}
        body += data
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)


BFLOAT16 = ("BF16", b"\xc0\x3f")
"""1.5."""


@pytest.mark.parametrize(
    ("rest", "dtype", "value"),
    [
        (BFLOAT16, "bfloat16", 1.5),
        (("U8", b"\x02"), "bfloat16", 2.0),
        (("I64", b"\xfe" + 7 * b"\xff"), "bfloat16", -2.0),
        (("U32", b"\x02\0\0\0"), "bfloat16", 2.0),
        (("F32", b"\0\0\xc0\x3f"), "float64", 1.5),
        (("F16", b"\0\x3e"), "float64", 1.5),
    ],
    ids=["BF16", "U8", "I64", "U32", "F32", "F16"],
)
def test_bfloat16_tensors_are_read_without_a_framework(
    rest: tuple[str, bytes], dtype: str, value: float, tmp_path: Path
) -> None:
    raw_safetensors(tmp_path / "c.safetensors", {"W1": BFLOAT16, "x": rest, "y": rest})
    case = read_case(tmp_path / "c.safetensors")
    assert case.dtype == dtype
    assert (case.weights[0].item(), case.x.item()) == (1.5, value)


def test_stated_options_are_taken_and_a_stated_dtype_wins(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    options = {"dtype": "float32", "output": "identity", "reduction": "mean"}
    arrays = {**ones(), "x": np.full((1, 1), 0.1)}
    fields: dict[str, Any] = {**arrays, **options}
    np.savez(tmp_path / "c.npz", **fields)
    save_file(arrays, tmp_path / "c.safetensors", metadata={**options, "format": "pt"})
    wanted = Case.of([[[1]]], None, [[0.1]], [[1]], **options)  # type: ignore[arg-type]
    assert wanted.x.item() != 0.1
    assert read_case(tmp_path / "c.npz").key == wanted.key
    assert read_case(tmp_path / "c.safetensors").key == wanted.key


# -- what is refused -----------------------------------------------------------------------


def edited(**changes: Any) -> dict[str, Any]:
    return {**EXAMPLE, **changes}


BAD_JSON: list[tuple[Any, str]] = [
    ("{", "line 1, column 2"),
    ('{"x": [[1]],\n "y": [[1', "line 2, column"),
    ("[1]", "a list at the top level, wanted an object with widths, weights"),
    ('{"x": 1, "x": 2}', "key 'x' is given twice"),
    ("[" * 100_000, "nested too deeply"),
    (edited(weight=1), "unknown key 'weight', wanted widths"),
    (edited(weight=1), "did you mean 'weights'?"),
    (edited(weights=[[[1, 2], [3]], [[1]]]), "weights[0][1] has length 1 and weights[0][0] has"),
    (edited(weights=[[[True]], [[3]]]), "weights[0][0][0] is true, wanted a number"),
    (edited(weights=[[["two"]], [[3]]]), "weights[0][0][0] is the string 'two', wanted a number"),
    (edited(weights=[[["1.5"]], [[3]]]), "weights[0][0][0] is the string '1.5'"),
    (edited(weights=[[["0x"]], [[3]]]), "is the string '0x', wanted a number"),
    (edited(weights=[[["0xp1"]], [[3]]]), "is the string '0xp1', wanted a number"),
    (edited(weights=[[["z" * 9999]], [[3]]]), "zzz…, wanted a number"),
    (edited(weights=[[[None]], [[3]]]), "weights[0][0][0] is null, wanted a number"),
    (edited(weights=[[[{}]], [[3]]]), "weights[0][0][0] is an object, wanted a number"),
    (edited(weights=[[[[1]]], [[3]]]), "weights[0][0][0] is a list, wanted a number"),
    (edited(weights=[]), "weights is an empty list"),
    (edited(weights={"a": 1}), "weights is an object"),
    (edited(weights=[[], [[3]]]), "weights[0] is an empty list"),
    (edited(weights=[[[]], [[3]]]), "weights[0][0] is an empty list"),
    (edited(weights=[[[10**400]], [[3]]]), "weights[0][0][0] is beyond the largest float64"),
    ('{"weights":[[[%s]]],"x":[[1]],"y":[[1]]}' % ("7" * 9999), "[0][0] is beyond the largest"),
    ('{"weights":[[[-1e999]]],"x":[[1]],"y":[[1]]}', "[0] is beyond the largest"),
    (edited(weights=[[[1e300]], [[3]]], dtype="float32"), "[0] is 1e+300, beyond the largest flo"),
    (one_number("0x1p16", "float16"), "x[0][0] is the string '0x1p16', beyond the largest float16"),
    (one_number("0x1.001p0", "float16"), "'0x1.001p0', which is not a float16 number; write"),
    (one_number("0x1.ffep0", "float16"), "'0x1.ffep0', which is not a float16 number"),
    (one_number("0x1p-25", "float16"), "'0x1p-25', which is not a float16 number"),
    (one_number("0x1p-2000"), "which is not a float64 number"),
    (edited(x=[1]), "x[0] is the number 1; wanted x as a list of lists of numbers"),
    (edited(x=1), "x is the number 1; wanted x as a list of lists of numbers"),
    (
        edited(x=[[1, 2]]),
        "x has shape (1, 2), wanted (1, 1): a column for each column of weights[0]",
    ),
    (edited(y=[[5], [5]]), "y has shape (2, 1), wanted (1, 1): a row for each row of x"),
    (edited(weights=[[[2]], [[3, 4]]]), "weights[1] has shape (1, 2), wanted (1, 1): a column fo"),
    (edited(biases=[[0]]), "biases has length 1, wanted a list of 2"),
    (edited(biases=[]), "biases has length 0, wanted a list of 2"),
    (edited(biases=7), "biases is the number 7, wanted a list of 2"),
    (edited(biases=[[0], 1]), "biases[1] is the number 1; wanted biases[1] as a list of numbers"),
    (edited(biases=[[0], [1, 0]]), "biases[1] has shape (2,), wanted (1,): a number for each row"),
    (edited(widths=[1, 2, 1]), "widths is [1, 2, 1], but the weights have [1, 1, 1]"),
    (edited(widths=[1.0, 1, 1]), "widths is [1.0, 1, 1], but"),
    (edited(widths=None), "widths is null, but"),
    (
        edited(dtype="int8"),
        "dtype='int8', wanted float64, float32, bfloat16, float16, float8_e4m3fn or float8_e5m2",
    ),
    (edited(dtype="Float32"), "did you mean 'float32'?"),
    (edited(output="tanh"), "output='tanh', wanted relu or identity"),
    (edited(reduction="max"), "reduction='max', wanted sum or mean"),
    (edited(dtype=3), "dtype is the number 3, wanted a string"),
    (edited(weights=[[[2]], [["nan"]]]), "weights[1][0][0] is nan, wanted a finite number"),
    (edited(biases=[[0], [-math.inf]]), "biases[1][0] is -inf, wanted a finite number"),
    ({"weights": [[[1]]], "x": [[1]]}, "key 'y' is missing"),
]


@pytest.mark.parametrize(
    ("content", "complaint"), BAD_JSON, ids=[complaint for _, complaint in BAD_JSON]
)
def test_bad_json_gets_one_line_that_names_the_field(
    content: Any, complaint: str, tmp_path: Path
) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / "case.json").write_text(text)
    assert complaint in complaint_about(tmp_path / "case.json")


def test_a_number_that_overflows_is_refused_even_where_infinity_is_let_through(
    tmp_path: Path,
) -> None:
    path = tmp_path / "case.json"
    for text in ("1e400", "1.7e308", "1e39", "1" + 500 * "0", '"0x1p128"'):
        content = json.dumps(one_number("?", "float32")).replace('"?"', text)
        path.write_text(content)
        assert "beyond the largest float32" in complaint_about(path, allow_nonfinite=True)
    path.write_text(json.dumps(one_number("-inf", "float32")))
    assert read_case(path, allow_nonfinite=True).x.item() == -math.inf


BAD_ARRAYS: list[tuple[dict[str, Any], str]] = [
    ({}, "array W1 is missing, wanted W1, b1, W2, …, x, y; it has none"),
    ({"W1": np.ones((1, 1)), "x": np.ones((1, 1))}, "array y is missing"),
    (ones() | {"W3": np.ones((1, 1))}, "array 'W3' is there, but W2 is missing"),
    (ones() | {"W987654321987": np.ones((1, 1))}, "is there, but W2 is missing"),
    (ones() | {"b2": np.ones(1)}, "array 'b2' is there, but W2 is missing"),
    (ones() | {"bias": np.ones(1)}, "array 'bias' is not known; rename it to one of W1, b1"),
    (ones() | {"W0": np.ones((1, 1))}, "'W0' is not known; rename it to one of W1, b1, W2"),
    (ones() | {"w2": np.ones((1, 1))}, "'w2' is not known"),
    (ones() | {"W1": np.ones((1, 1), complex)}, "W1 is complex128, wanted float16, float32"),
    (ones() | {"W1": np.ones((1, 1), bool)}, "W1 is bool"),
    (ones() | {"W1": np.array([["a"]])}, "W1 is <U1"),
    (ones() | {"W1": np.ones((1, 1), "M8[s]")}, "W1 is datetime64"),
    (ones() | {"x": np.ones(1)}, "x has shape (1,), wanted two axes (rows, units)"),
    (ones() | {"x": np.ones(1)}, "a single row has shape (1, units)"),
    (ones() | {"x": np.ones((0, 1)), "y": np.ones((0, 1))}, "x has shape (0, 1)"),
    (ones() | {"W1": np.float64(3)}, "W1 has shape (), wanted two axes (units, inputs)"),
    (ones() | {"W1": np.ones((1, 1, 1))}, "W1 has shape (1, 1, 1), wanted two axes"),
    (ones() | {"W2": np.ones((1, 2))}, "W2 has shape (1, 2), wanted (1, 1): a column for each row"),
    (
        ones() | {"x": np.ones((1, 2))},
        "x has shape (1, 2), wanted (1, 1): a column for each column of W1",
    ),
    (ones() | {"b1": np.ones((1, 1))}, "b1 has shape (1, 1), wanted (1,)"),
    (ones() | {"y": np.ones((1, 2))}, "y has shape (1, 2), wanted (1, 1)"),
    (ones() | {"W1": np.full((1, 1), -np.inf)}, "W1[0,0] is -inf, wanted a finite number"),
    (ones() | {"dtype": np.array(7)}, "dtype is int64 of shape (), wanted one string"),
    (ones() | {"output": np.array(["relu"])}, "output is <U4 of shape (1,), wanted one string"),
    (ones() | {"output": np.array("ReLU")}, "output='ReLU', wanted relu or identity; did you me"),
    (
        ones() | {"dtype": np.array("float16"), "W1": np.full((1, 1), 1e9)},
        "W1[0,0] is 1e+09, beyond the largest float16 number, 65504",
    ),
]


@pytest.mark.parametrize(
    ("arrays", "complaint"), BAD_ARRAYS, ids=[complaint for _, complaint in BAD_ARRAYS]
)
def test_bad_arrays_get_one_line_that_names_the_array(
    arrays: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "case.npz", **arrays)
    assert complaint in complaint_about(tmp_path / "case.npz")


@pytest.mark.parametrize(
    ("kinds", "metadata", "complaint"),
    [
        ({"W1": ("BOOL", b"\1")}, {}, "W1' is BOOL, wanted F64, F32"),
        ({"0.weight": BFLOAT16}, {}, "'0.weight' is not known; rename"),
        ({"W1": BFLOAT16, "x": BFLOAT16}, {}, "array y is missing"),
        (
            dict.fromkeys(("W1", "x", "y"), BFLOAT16),
            {"reduction": "max"},
            "reduction='max', wanted sum or mean",
        ),
        (
            {**dict.fromkeys(("W1", "x"), BFLOAT16), "y": ("F16", b"\0\x7c")},
            {},
            "y[0,0] is inf, wanted a finite number",
        ),
    ],
    ids=["boolean", "name", "missing", "metadata", "infinity"],
)
def test_bad_tensors_get_one_line_that_names_the_tensor(
    kinds: dict[str, tuple[str, bytes]], metadata: dict[str, str], complaint: str, tmp_path: Path
) -> None:
    raw_safetensors(tmp_path / "c.safetensors", kinds, **metadata)
    assert complaint in complaint_about(tmp_path / "c.safetensors")


@pytest.mark.parametrize("names", [("W1",), ("W1", "x", "y")], ids=["one", "all"])
def test_numbers_wider_than_float64_are_refused(names: tuple[str, ...], tmp_path: Path) -> None:
    wide = np.dtype(np.longdouble)
    np.savez(tmp_path / "case.npz", **(ones() | dict.fromkeys(names, np.ones((1, 1), wide))))
    if wide == np.float64:  # so it is on some platforms
        assert read_case(tmp_path / "case.npz").dtype == "float64"
    else:
        assert f"W1 is {wide}, wanted float16, float32" in complaint_about(tmp_path / "case.npz")


def test_pickled_objects_are_not_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "case.npz", W1=np.array([object()], dtype=object))
    assert "holds Python objects, which are not loaded" in complaint_about(tmp_path / "case.npz")


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def single_array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ones(3))
    return buffer.getvalue()


PNG = b"\x89PNG\r\n\x1a\n" * 20


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("c.npz", PNG, "is damaged or no .npz file"),
        ("c.npz", b"PK\x03\x04 truncated", "is damaged or no .npz file"),
        ("c.npz", single_array(), "is a single array, wanted an .npz file"),
        ("c.npz", zipped(x=b"text"), "'x' is no array, wanted an .npz file"),
        ("c.safetensors", PNG, "is damaged or no .safetensors file"),
        ("c.json", PNG, "is not text in UTF-8, wanted JSON"),
        ("c.json", "{}".encode("utf-16"), "is not text in UTF-8, wanted JSON"),
        ("c.json", b"", "is empty"),
        ("c.npz", b"", "is empty"),
        ("c.txt", b"x", "ending .txt, wanted .json, .npz or .safetensors"),
        ("c", b"x", "ending missing, wanted .json"),
    ],
    ids=[
        *("PNG-as-npz", "cut-zip", "npy-as-npz", "zip-as-npz", "PNG-as-safetensors", "PNG-as-json"),
        *("UTF-16", "empty-json", "empty-npz", "text", "no-ending"),
    ],
)
def test_foreign_files_are_recognised(
    name: str, content: bytes, complaint: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    assert complaint in complaint_about(tmp_path / name)


def test_an_array_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "case.npz", **ones())
    with (
        zipfile.ZipFile(tmp_path / "case.npz", "a") as file,
        pytest.warns(UserWarning, match="Duplicate"),
    ):
        file.writestr("x.npy", file.read("x.npy"))
    assert "'x' is there twice" in complaint_about(tmp_path / "case.npz")


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_cut_anywhere_is_refused(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"case.{ending}"
    write_case(awkward("float32"), path)
    content = path.read_bytes().rstrip(b"\n")
    for length in range(0, len(content), 3):
        path.write_bytes(content[:length])
        damaged = ending == "safetensors" and length > 0
        said = "is damaged or no .safetensors file" if damaged else "wanted"
        assert said in complaint_about(path)


def test_a_damaged_compressed_file_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {"W1": rng.random((9, 9)), **dict.fromkeys("xy", np.ones((1, 9)))}
    np.savez_compressed(tmp_path / "case.npz", **arrays)
    content = bytearray((tmp_path / "case.npz").read_bytes())
    content[100:120] = b"\xff" * 20
    (tmp_path / "case.npz").write_bytes(content)
    assert "is damaged or no .npz file" in complaint_about(tmp_path / "case.npz")


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    assert "no such file; wanted a .json, .npz or .safetensors file, or the name worked-ex" in (
        complaint_about(tmp_path / "none.json")
    )
    assert "is a folder, wanted a file" in complaint_about(tmp_path)
    assert "cannot be read: File name too long" in complaint_about(tmp_path / ("n" * 999))
    with pytest.raises(UsageError, match="'': is a folder"):
        read_case("")


def test_without_safetensors_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.safetensors"
    path.write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    assert "pip install 'safetensors>=" in complaint_about(path)
    with pytest.raises(UsageError, match=r"pip install 'safetensors>="):
        write_case(worked_example(), path)


def test_an_unknown_ending_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=re.escape("ending .csv, wanted .json, .npz or .safe")):
        write_case(worked_example(), tmp_path / "case.csv")
    assert list(tmp_path.iterdir()) == []


# -- whole or not at all -------------------------------------------------------------------


@pytest.mark.parametrize("call", ["os.replace", "os.chmod", "os.fdopen"])
def test_a_file_is_written_whole_or_not_at_all(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "folder" / "file.txt"
    write_text_atomically(target, "old")

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(call, fail)
    with pytest.raises(UsageError, match="cannot be written: No space left on device"):
        write_text_atomically(target, "new")
    assert target.read_text() == "old"
    assert [path.name for path in target.parent.iterdir()] == ["file.txt"]


def test_an_interrupted_writer_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_text_atomically(tmp_path / "file.txt", "new")
    assert list(tmp_path.iterdir()) == []


def test_a_reader_never_sees_a_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")
    seen: list[tuple[str, str]] = []
    replace = os.replace

    def look(source: str, destination: Path) -> None:
        assert Path(source).parent == target.parent
        seen.append((target.read_text(), Path(source).read_text()))
        replace(source, destination)

    monkeypatch.setattr("os.replace", look)
    write_text_atomically(target, "new: λ")
    assert seen == [("old", "new: λ")]
    assert target.read_bytes() == "new: λ".encode()


def test_a_new_file_has_the_usual_permissions_and_an_old_one_keeps_its_own(tmp_path: Path) -> None:
    (tmp_path / "private").write_text("")
    (tmp_path / "private").chmod(0o600)
    before = os.umask(0o027)
    try:
        write_text_atomically(tmp_path / "new", "")
        write_text_atomically(tmp_path / "private", "more")
    finally:
        after = os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("new", "private")]
    assert modes == [0o640, 0o600]
    assert after == 0o027


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "file")
    write_text_atomically(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "file").read_text() == "new"


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    try:
        write_bytes_atomically(pipe, b"content")
        assert os.read(reader, 100) == b"content"
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for target in (tmp_path / "file" / "below.txt", tmp_path, tmp_path / ("n" * 999)):
        with pytest.raises(UsageError) as caught:
            write_text_atomically(target, "")
        assert str(caught.value).startswith(f"{target}: cannot be written: ")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
