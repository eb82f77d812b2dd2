"""A case survives every kind of file bit for bit, and a file that is none is explained."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.atomic import write_text_atomically
from harness.casefile import case_from_json, case_to_json, read_case, write_case
from harness.errors import UsageError
from harness.formats import FORMATS
from harness.network import Case, worked_example

EXAMPLE = {
    "widths": [1, 1, 1],
    "weights": [[[2]], [[3]]],
    "biases": [[0], [1]],
    "x": [[1]],
    "y": [[5]],
    "dtype": "float64",
    "output": "relu",
}


def awkward(dtype: str) -> Case:
    """Signed zeros, subnormals, the extremes, and a layer without bias."""
    form = FORMATS[dtype]
    rng = np.random.default_rng(0)
    return Case.of(
        [rng.standard_normal((2, 3)), [[-0.0, form.smallest_subnormal]]],
        [None, [-form.smallest_normal]],
        [[0.1, -0.0, form.largest]],
        [[-form.largest]],
        dtype=dtype,
        output="identity",
        reduction="mean",
    )


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("ending", ["json", "npz", "safetensors"])
@pytest.mark.parametrize("dtype", FORMATS)
def test_a_case_comes_back_bit_for_bit(dtype: str, ending: str, tmp_path: Path) -> None:
    case = awkward(dtype)
    write_case(case, tmp_path / f"case.{ending}")
    assert read_case(tmp_path / f"case.{ending}").key == case.key


def test_the_documented_json_is_the_worked_example(tmp_path: Path) -> None:
    path = write(tmp_path / "case.json", json.dumps(EXAMPLE))
    assert read_case(path).key == worked_example().key == read_case("worked-example").key


def test_json_of_a_case_is_short_where_it_can_be() -> None:
    assert case_to_json(worked_example()) == {**EXAMPLE, "reduction": "sum"}


def test_decimals_are_rounded_and_hex_strings_are_exact() -> None:
    data: dict[str, Any] = {"weights": [[[0.1]]], "x": [["0x1.8p+1"]], "y": [[1]]}
    case = case_from_json({**data, "dtype": "float32"}, origin="here")
    assert case.weights[0].item() == float(np.float32(0.1))
    assert case.x.item() == 3.0


def test_the_dtype_of_arrays_is_the_cases(tmp_path: Path) -> None:
    arrays = {"W1": np.ones((1, 2)), "x": np.ones((1, 2)), "y": np.ones((1, 1))}
    for dtype in ("float16", "float32", "float64"):
        path = tmp_path / f"{dtype}.npz"
        np.savez(path, allow_pickle=False, **{k: v.astype(dtype) for k, v in arrays.items()})
        assert read_case(path).dtype == dtype
    np.savez(tmp_path / "mixed.npz", allow_pickle=False, **{**arrays, "x": np.ones((1, 2), "f4")})
    assert read_case(tmp_path / "mixed.npz").dtype == "float64"


def test_bfloat16_tensors_are_read_without_a_framework(tmp_path: Path) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    from safetensors.numpy import save_file

    one = np.ones((1, 1), dtype=ml_dtypes.bfloat16)
    save_file({"W1": one * ml_dtypes.bfloat16(1.5), "x": one, "y": one}, tmp_path / "c.safetensors")
    case = read_case(tmp_path / "c.safetensors")
    assert case.dtype == "bfloat16"
    assert case.weights[0].item() == 1.5


def edited(**changes: Any) -> dict[str, Any]:
    return {**EXAMPLE, **changes}


BAD_JSON = [
    ("{", "line 1, column 2"),
    ("[1]", "a list at the top level"),
    ('{"x": 1, "x": 2}', "key 'x' is given twice"),
    ("[" * 100_000, "nested too deeply"),
    (edited(weight=1), "did you mean 'weights'"),
    (edited(weights=[[[1, 2], [3]], [[1]]]), "weights[0][1] has 1 numbers"),
    (edited(weights=[[[True]], [[3]]]), "weights[0][0][0] is true"),
    (edited(weights=[[["two"]], [[3]]]), "weights[0][0][0] is 'two'"),
    (edited(weights=[[[None]], [[3]]]), "weights[0][0][0] is null"),
    (edited(weights=[]), "weights is an empty list"),
    (edited(weights=[[[10**400]], [[3]]]), "beyond the largest float64"),
    (edited(weights=[[[1e300]], [[3]]], dtype="float32"), "beyond the largest float32"),
    (edited(x=[["0x1.000001p0"]], dtype="float16"), "not a float16 number"),
    (edited(x=[1]), "x[0] is the number 1"),
    (edited(x=[[1, 2]]), "x: shape (1, 2) given, wanted (1, 1)"),
    (edited(y=[[5], [5]]), "y: shape (2, 1) given, wanted (1, 1)"),
    (edited(biases=[[0]]), "biases has 1 entries, wanted 2"),
    (edited(biases=[[0, 0], [1]]), "b1: shape (2,) given, wanted (1,)"),
    (edited(widths=[1, 2, 1]), "widths [1, 2, 1] given"),
    (edited(dtype="int8"), "dtype='int8'"),
    (edited(output="tanh"), "output='tanh'"),
    (edited(reduction="max"), "reduction='max'"),
    (edited(dtype=3), "dtype is the number 3"),
    (edited(x=[["nan"]]), "x[0,0] is nan, wanted a finite number"),
    ({"weights": [[[1]]], "x": [[1]]}, "key 'y' is missing"),
]


@pytest.mark.parametrize(
    ("content", "complaint"), BAD_JSON, ids=[complaint for _, complaint in BAD_JSON]
)
def test_bad_json_gets_one_line_that_names_the_field(
    content: Any, complaint: str, tmp_path: Path
) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    path = write(tmp_path / "case.json", text)
    with pytest.raises(UsageError) as caught:
        read_case(path)
    message = str(caught.value)
    assert complaint in message
    assert message.startswith(path)
    assert "\n" not in message


def bad_arrays(**arrays: Any) -> dict[str, Any]:
    return {"W1": np.ones((1, 1)), "x": np.ones((1, 1)), "y": np.ones((1, 1)), **arrays}


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"W1": np.ones((1, 1)), "x": np.ones((1, 1))}, "array y is missing"),
        (bad_arrays(W3=np.ones((1, 1))), "array W2 is missing"),
        (bad_arrays(bias=np.ones(1)), "array 'bias' is not known"),
        (bad_arrays(W1=np.ones((1, 1), complex)), "W1 is complex128"),
        (bad_arrays(W1=np.array([["a"]])), "W1 is <U1"),
        (bad_arrays(x=np.ones(1)), "x has shape (1,)"),
        (bad_arrays(W1=np.full((1, 1), np.inf)), "W1[0,0] is inf"),
        (bad_arrays(dtype=np.array(7)), "dtype is int64"),
        (bad_arrays(dtype=np.array("float16"), W1=np.full((1, 1), 1e9)), "largest float16"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_arrays_get_one_line_that_names_the_array(
    arrays: Any, complaint: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "case.npz", allow_pickle=False, **arrays)
    with pytest.raises(UsageError, match=re.escape(complaint)):
        read_case(tmp_path / "case.npz")


def test_pickled_objects_are_not_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "case.npz", W1=np.array([object()], dtype=object))
    with pytest.raises(UsageError, match="holds Python objects"):
        read_case(tmp_path / "case.npz")


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("c.npz", b"\x89PNG\r\n\x1a\n" * 20, "no .npz file"),
        ("c.npz", b"PK\x03\x04 truncated", "no .npz file"),
        ("c.safetensors", b"\x89PNG\r\n\x1a\n" * 20, "no .safetensors file"),
        ("c.json", b"\xff\xfe\x00", "is not text"),
        ("c.json", b"", "is empty"),
        ("c.txt", b"x", "ending .txt"),
        ("c", b"x", "ending missing"),
    ],
)
def test_foreign_files_are_recognised(
    name: str, content: bytes, complaint: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=complaint):
        read_case(tmp_path / name)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_case(tmp_path / "none.json")
    with pytest.raises(UsageError, match="is a folder"):
        read_case(tmp_path)


def test_without_safetensors_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "c.safetensors").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(UsageError, match=r"pip install 'gradient-crosscheck\[files\]'"):
        read_case(tmp_path / "c.safetensors")


def test_a_file_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "folder" / "file.txt"
    write_text_atomically(target, "old")

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(UsageError, match="No space left on device"):
        write_text_atomically(target, "new")
    assert target.read_text() == "old"
    assert [path.name for path in target.parent.iterdir()] == ["file.txt"]


def test_a_file_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        write_text_atomically(tmp_path / "file" / "below.txt", "")
