"""The tutorial notebook is executed, and shows what it has when it is."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import tutorial


@pytest.fixture(scope="module")
def stored() -> Any:
    return json.loads(tutorial.NOTEBOOK.read_text("utf-8"))


@pytest.fixture(scope="module")
def today(stored: Any) -> Any:
    return tutorial.executed(copy.deepcopy(stored))


def texts(notebook: Any) -> str:
    return "".join(
        "".join(part)
        for cell in notebook["cells"]
        for output in cell.get("outputs", ())
        for part in (output.get("text", ()), *output.get("data", {}).values())
    )


def test_the_outputs_are_those_of_today(stored: Any, today: Any) -> None:
    assert tutorial.NOTEBOOK.read_text("utf-8") == tutorial.dumps(stored)
    for cell, fresh in zip(stored["cells"], today["cells"], strict=True):
        assert cell == fresh, f"python tests/tutorial.py: {''.join(cell['source'])}"


def test_what_is_said_between_the_cells_is_what_they_show(today: Any) -> None:
    said = texts(today)
    assert "without the factor" in said  # of the wrong number
    assert "4 of 4 right, 0 wrong: AGREES" in said
    assert "the mask of np.maximum(x @ w.T + b, 0) is missing" in said
    assert [f">{word}</span>" in said for word in ("FAILED", "PASSED")] == [True, True]
    assert "every gradient of affine is explained" in said
    assert [f"KINK, read {slope}" in said for slope in ("0.0", "0.5", "1.0")] == [True] * 3
    assert ">DISAGREES</span>" in said


def test_a_cell_that_fails_fails_the_notebook(stored: Any) -> None:
    broken = copy.deepcopy(stored)
    code = next(cell for cell in broken["cells"] if cell["cell_type"] == "code")
    code["source"] = ["case = crosscheck_of_nothing"]
    with pytest.raises(NameError):
        tutorial.executed(broken)
