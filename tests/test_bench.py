"""The benchmark measures the floor and the sweep in turns, and says what it found."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.bench.batches import Plan, Rate
from harness.bench.cases import draw
from harness.bench.others import StartUp
from harness.bench.table import as_json, as_markdown
from harness.cli import main
from harness.formats import format_of
from harness.frameworks.batched import batched
from harness.frameworks.jax_ import JaxFramework
from harness.fused.check import check_batch
from harness.network import Network


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small benchmark, run as a user would."""
    place = tmp_path_factory.mktemp("bench") / "small"
    options = "--widths 1,1,1 --dtype float64 --batches 64 --jobs 1,2 --framework jax"
    numbers = "--seconds 0.02 --repeats 2 --no-start-up --quiet"
    program = [sys.executable, "-m", "harness", "bench", *options.split(), *numbers.split()]
    subprocess.run([*program, "--report", str(place)], check=True, stdout=subprocess.DEVNULL)
    return place


def test_the_floor_and_the_sweep_are_both_there_for_each_number_of_workers(report: Path) -> None:
    content = json.loads(report.with_suffix(".json").read_text("utf-8"))
    found = {(rate["what"], rate["workers"]): rate for rate in content["rates"]}
    for workers in (1, 2):
        for what in ("floor", "jax", "cases", "verdicts", "sweep"):
            rate = found[what, workers]
            assert len(rate["rates"]) == 2
            assert 0 < rate["least"] <= rate["median"] <= rate["largest"]
            assert rate["memory"] > 2**24
    assert found["loop", 1]["size"] == 1
    assert found["jax.test_util.check_grads", 1]["median"] < found["sweep", 1]["median"]


def test_the_table_has_a_ratio_for_each_row(report: Path) -> None:
    table = report.with_suffix(".md").read_text("utf-8")
    rows = [line for line in table.splitlines() if line.startswith("| 1-1-1 | float64 | ")]
    assert len(rows) == 2 + 2 + 1  # batches for each number of workers, loops, scaling
    assert "times as many" in table


def rate(what: str, values: tuple[float, ...], **changes: Any) -> Rate:
    return Rate(what, (4, 8, 1), "float64", changes.pop("size", 64), 1, values, **changes)


def test_the_ratio_is_taken_repeat_by_repeat() -> None:
    plan = Plan(((4, 8, 1),), ("float64",), (64,), (1,), ("jax",), 0.1, 3)
    rates = [rate("floor", (100.0, 10.0, 1.0)), rate("sweep", (50.0, 5.0, 0.5))]
    rates.append(rate("loop", (0.5, 0.5, 0.5), size=1))
    starts = [StartUp("crosscheck --help", (0.25, 0.5, 0.125))]
    table = as_markdown(plan, rates, starts, {"processors": "2"})
    assert "0.50 (0.50 – 0.50)" in table
    assert "10 times as many" in table
    assert "| `crosscheck --help` | 0.25 | 0.12 – 0.50 |" in table
    content = as_json(plan, rates, starts, {})
    assert content["rates"][1]["median"] == 5.0
    assert content["start_up"][0]["median"] == 0.25


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_cases_are_of_their_dtype_and_a_function_of_seed_and_number(dtype: str) -> None:
    network = Network((4, 8, 1))
    one, again, other = (
        draw(network, dtype=dtype, count=50, seed=1, number=number) for number in (3, 3, 4)
    )
    form = format_of(dtype)
    for (_, array), (_, same), (_, different) in zip(
        one.case().arrays(), again.case().arrays(), other.case().arrays(), strict=True
    ):
        assert form.contains(array)
        assert (array == same).all()
        assert (array != different).any()
    assert np.unique(one.weights[0]).size > 100


def test_a_checked_batch_says_who_agrees_and_can_be_asked_about_the_rest() -> None:
    batch = draw(Network((4, 8, 1)), dtype="float64", count=50, seed=1, number=0)
    checked = check_batch(batch, [batched(JaxFramework())])
    assert checked.agrees.shape == checked.largest.shape == (1, 50)
    assert checked.agrees.all()
    assert checked.judge.judge(7).case.key == batch.case()[7].key


@pytest.mark.parametrize("option", ["--widths=4,x,1", "--batches=0", "--jobs="])
def test_numbers_that_cannot_be_read_are_a_usage_error(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", option]) == 4
    assert option.split("=")[0] in capsys.readouterr().err
