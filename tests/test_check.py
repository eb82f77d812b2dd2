"""``crosscheck check`` and ``write``: functions of a file, found by their names, without pytest."""

from __future__ import annotations

import json
import operator
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosscheck import compare_functions, require_agreement
from crosscheck.cli import main
from crosscheck.tools.errors import UsageError

LAYER = """
import numpy as np


def affine(x, w, b):
    return np.maximum(x @ w.T + b, 0)


AFFINE_SHAPES = "n i, o i, o -> n o"


def affine_backward(x, w, b, g):
    g = g * (x @ w.T + b > 0)
    return g @ w, g.T @ x, g.sum(axis=0)
"""

WRONG = LAYER.replace("g = g * (x @ w.T + b > 0)", "pass")


@pytest.fixture
def layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "layer.py"
    file.write_text(LAYER, "utf-8")
    return file


def test_partners_are_found_by_their_names_and_listed(
    layer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "layer.py", "--profile", "quick"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("affine: by_hand affine_backward\n")
    assert "every gradient of affine is explained" in said


def test_what_is_wrong_ends_with_1_and_is_shown_again_by_its_key(
    layer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layer.write_text(WRONG, "utf-8")
    assert main(["check", "layer.py::affine", "--profile", "quick", "--json"]) == 1
    (function,) = json.loads(capsys.readouterr().out)["functions"]
    (failure,) = function["failures"]
    assert "the mask of np.maximum(x @ w.T + b, 0) is missing" in failure["cause"]
    assert main(["check", "layer.py::affine", "--case", failure["key"]]) == 1
    said = capsys.readouterr().out
    assert "in 1 of 1 cases" in said
    assert f"replay: crosscheck check layer.py::affine --case {failure['key']}" in said


def test_steps_are_printed_with_their_places(
    layer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "layer.py", "--trace"]) == 0
    assert "# line 6: np.maximum(x @ w.T + b, 0)" in capsys.readouterr().out


def test_the_test_to_paste_is_printed(layer: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["write", "layer.py::affine"]) == 0
    said = capsys.readouterr().out
    assert 'affine,\n        "n i, o i, o -> n o",\n        by_hand=affine_backward,' in said
    compile(said, "test_layer.py", "exec")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["check", "nothing.py"], "no such file"),
        (["check", "layer.py::other"], "no other that can be checked"),
        (["check", "layer.py", "--input", "x=open('y')"], "wanted a domain"),
        (["check", "layer.py", "--shapes", "n i, o i"], "2 shapes for 3 arguments"),
        (["check", "layer.py", "--case", "0123"], "no case of this key"),
        (["write", "layer.py"], "wanted FILE::NAME"),
    ],
)
def test_what_cannot_be_used_is_one_line(
    layer: Path, capsys: pytest.CaptureFixture[str], words: list[str], complaint: str
) -> None:
    assert main(words) == 4
    said = capsys.readouterr().err
    assert complaint in said
    assert len(said.splitlines()) == 1


def formula(x: Any) -> Any:
    return (x * x).sum()


@pytest.mark.parametrize(
    ("keyword", "complaint"),
    [
        ("pytorch", "did you mean torch=?"),
        ("atol", "there is no tolerance"),
        ("dtype", "did you mean dtypes=?"),
    ],
)
def test_an_unknown_keyword_has_an_answer(keyword: str, complaint: str) -> None:
    given: dict[str, Any] = {keyword: 1}
    with pytest.raises(UsageError, match=re.escape(complaint)):
        require_agreement(formula, "n ->", **given)


def test_nothing_to_compare_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crosscheck.run.functions.checking.LIBRARIES", {})
    with pytest.raises(UsageError, match="no implementation given"):
        compare_functions(formula, "n ->")


def test_functions_that_are_understood_are_listed_and_exist(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["functions", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"np.maximum", "np.zeros", "np.einsum", "x.sum()", "scipy.special.expit"} <= {
        *found["numpy"]
    }
    assert {"dot_general", "select_n"} <= {*found["jax"]}
    assert {"addmm", "native_layer_norm", "convolution", "relu"} <= {*found["torch"]}
    for name in found["numpy"]:
        if name.startswith("np."):
            assert callable(operator.attrgetter(name[3:])(np)), name
    assert main(["functions", "soft"]) == 0
    assert "scipy.special.log_softmax" in capsys.readouterr().out
    assert main(["functions", "np.fft"]) == 4
