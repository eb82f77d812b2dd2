"""The benchmark measures the floor and the sweep in turns, and says what it found."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import processes
import pytest

from crosscheck.cases.stream.families import DEFAULT_MIX
from crosscheck.cases.stream.generate import case
from crosscheck.cases.stream.settings import BLOCK, Shape
from crosscheck.cli import main
from crosscheck.frameworks.refusals import CrashedError
from crosscheck.network.dense import Network
from crosscheck.studies.bench.batches import Plan, Rate, measure_batches
from crosscheck.studies.bench.cases import batches
from crosscheck.studies.bench.commands import Growth, StartUp, measure_growth
from crosscheck.studies.bench.local import Local
from crosscheck.studies.bench.storms import Storm
from crosscheck.studies.bench.table import as_json, as_markdown

pytestmark = pytest.mark.xdist_group("compiled")  # in one process, which compiles it once


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small benchmark, run as a user would."""
    place = tmp_path_factory.mktemp("bench")
    options = "--widths 1,1,1 --dtype float64 --batches 16384 --jobs 1,2 --frameworks jax"
    numbers = "--seconds 0.02 --repeats 2 --no-growth --no-storms --no-start-up --no-local --quiet"
    program = [sys.executable, "-m", "crosscheck", "bench", *options.split(), *numbers.split()]
    processes.run([*program, "--report", str(place)], check=True, stdout=subprocess.DEVNULL)
    return place


def test_the_floor_and_the_sweep_are_both_there_for_each_number_of_workers(report: Path) -> None:
    content = json.loads((report / "bench.json").read_text("utf-8"))
    found = {(rate["what"], rate["workers"]): rate for rate in content["rates"]}
    for workers in (1, 2):
        for what in ("floor", "floor, cached", "jax", "cases", "verdicts", "sweep"):
            rate = found[what, workers]
            assert len(rate["rates"]) == 2
            assert 0 < rate["least"] <= rate["median"] <= rate["largest"]
    assert found["loop", 1]["size"] == 1
    assert found["jax.test_util.check_grads", 1]["median"] < found["sweep", 1]["median"]


def test_the_table_has_a_ratio_for_each_row(report: Path) -> None:
    table = (report / "bench.md").read_text("utf-8")
    rows = [line for line in table.splitlines() if line.startswith("| 1-1-1 | float64 | ")]
    # sweep and floor for each number of workers, loops, scaling
    assert len(rows) == 2 + 2 + 2 + 1
    assert "times as many" in table


def rate(what: str, values: tuple[float, ...], **changes: Any) -> Rate:
    return Rate(what, (4, 8, 1), "float64", changes.pop("size", 64), 1, values, **changes)


def test_the_ratio_is_taken_repeat_by_repeat() -> None:
    plan = Plan(((4, 8, 1),), ("float64",), (64,), (1,), ("jax",), 0.1, 3)
    rates = [rate(what, (100.0, 10.0, 1.0)) for what in ("floor", "floor, cached")]
    rates.append(rate("sweep", (50.0, 5.0, 0.5)))
    rates.append(rate("loop", (0.5, 0.5, 0.5), size=1))
    growths = [Growth("crosscheck sweep --cases 7", 7, 1.25, 2**30)]
    starts = [StartUp("crosscheck --help", (0.25, 0.5, 0.125))]
    storms = [Storm("all zero", "λ = 0", "KINK", 1234, {"inputs": "inside"}, 0.25, 2**20)]
    local = [Local((784, 10), 128, "float32", (0.25, 0.5, 0.5), (1.0, 3.0, 4.0))]
    table = as_markdown(plan, rates, growths, storms, starts, local, {"processors": "2"})
    assert "0.50 (0.50 – 0.50)" in table
    assert "10 times as many" in table
    assert "| `crosscheck sweep --cases 7` | 7 | 1.2 | 1,024 MiB |" in table
    assert "| `crosscheck --help` | 0.25 | 0.12 – 0.50 |" in table
    assert "| all zero | λ = 0 | 1,234 | KINK |  | inside | 0.2 | 1 MiB |" in table
    assert "| 784-10 | 128 | float32 | 500.0 | 3000.0 | 6.0 (4.0 – 8.0) |" in table
    content = as_json(plan, rates, growths, storms, starts, local, {})
    assert content["local"][0]["median"] == 6.0
    assert [each["median"] for each in content["rates"]] == [10.0, 10.0, 5.0, 0.5]
    assert content["start_up"][0]["median"] == 0.25
    assert content["growth"][0]["memory"] == 2**30


def test_the_best_floor_may_be_one_of_other_batches() -> None:
    plan = Plan(((4, 8, 1),), ("float64",), (64, 128), (1,), ("jax",), 0.1, 3)
    rates = [rate("floor", (100.0, 10.0, 1.0)), rate("sweep", (50.0, 5.0, 0.5))]
    rates += [rate("floor, cached", (100.0, 10.0, 1.0), size=size) for size in (64, 128)]
    rates.append(rate("floor", (200.0, 20.0, 2.0), size=128))
    table = as_markdown(plan, rates, [], [], [], [], {})
    assert "| 0.50 (0.50 – 0.50) | 0.25 (0.25 – 0.25) at 128 |" in table


def test_what_a_long_sweep_takes_is_that_of_the_whole_command() -> None:
    plan = Plan(((1, 1, 1), (1, 2, 1)), ("float32",), (64,), (1,), ("jax",), 0.1, 3)
    lines: list[str] = []
    other, few, more = measure_growth(plan, [100, 200], lines.append)
    start, end = "crosscheck sweep --widths", "--dtype float32 --frameworks jax --cases"
    assert other.command == f"{start} 1,1,1 {end} 100"
    assert few.command == f"{start} 1,2,1 {end} 100"
    assert more.command == f"{start} 1,2,1 {end} 200"
    for each in (other, few, more):
        assert each.seconds > 0.5  # JAX is imported
        assert each.memory > 2**26
    assert len(lines) == 3


def test_a_worker_that_ends_early_ends_the_benchmark() -> None:
    plan = Plan(((1, 1, 1),), ("float64",), (64,), (1, 2), ("nonsense",), 0.1, 3)
    with pytest.raises(CrashedError, match="a worker ended early; exit codes: 1"):
        measure_batches(plan)


@pytest.mark.parametrize("size", [512, 2048, 20_000])
def test_batches_are_the_cases_of_a_sweep_in_order(size: int) -> None:
    shape = Shape(Network((4, 8, 1)), 1, "float32")
    produced = batches(shape, size, 1, iter(range(3, 9)))
    first, second = next(produced), next(produced)
    assert first.count == second.count == size
    expected = case(shape, 1, 3 * BLOCK + size - 1, DEFAULT_MIX)[0]
    assert first.case([size - 1])[0].key == expected.key
    start = 3 * BLOCK + (size if size <= BLOCK else -(-size // BLOCK) * BLOCK)
    assert second.case([0])[0].key == case(shape, 1, start, DEFAULT_MIX)[0].key


@pytest.mark.parametrize("option", ["--widths=4,x,1", "--batches=0", "--jobs="])
def test_numbers_that_cannot_be_read_are_a_usage_error(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", option]) == 4
    assert option.split("=")[0] in capsys.readouterr().err
