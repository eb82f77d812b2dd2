"""Records under stress: counted right, taken up where it stopped, and the page is current."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processors import tensorflow_cuts

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.registry import open_frameworks
from crosscheck.judge.local.judge import LocalJudge
from crosscheck.network.composed import Composed
from crosscheck.network.steps import step
from crosscheck.numbers.formats import FORMATS, WORKING
from crosscheck.studies.simulated import StepFault, simulated
from crosscheck.studies.stress.measure import (
    KERNELS,
    State,
    Tally,
    _departures,
    counted,
    measure,
    read,
    write,
)
from crosscheck.studies.stress.networks import Stack, stack_of, stacks
from crosscheck.studies.stress.page import page
from crosscheck.studies.stress.regimes import REGIMES
from crosscheck.tools.processor import processor

REPORTS = Path(__file__).resolve().parent.parent / "reports"
ENOUGH = 10**5


def opened(name: str) -> Framework:
    (framework,), _ = open_frameworks([name], {}, {name: "eager"})
    return framework


def some(count: int) -> list[Stack]:
    """Stacks of several networks, in each regime in turn."""
    by_regime = [[each for each in stacks() if each.regime == regime] for regime in REGIMES]
    return [by_regime[number % len(by_regime)][number] for number in range(count)]


@pytest.mark.parametrize("name", ["torch", "tensorflow"])
@pytest.mark.parametrize("dtype", WORKING)
def test_no_record_of_a_tiny_stress_is_outside(name: str, dtype: str) -> None:
    state = State({}, {}, 1)
    framework = opened(name)
    measure([framework], [dtype], state, records=1, after=lambda *_: None, only=some(6), cases=16)
    tally = state.tallies[name, dtype]
    assert tally.rounds == 1
    assert tally.records + tally.overflow > 250
    if (name, dtype) == ("tensorflow", "bfloat16") and tensorflow_cuts():
        assert all(each.endswith("explained by truncated only") for each in tally.kept), tally.kept
    else:
        assert (tally.violations, tally.kept) == (0, [])
    assert dict(tally.refused) == {}
    assert tally.unbounded == 0


@pytest.mark.parametrize("part", ["result", "x", "W"])
def test_a_fault_is_counted_once_for_each_case_that_it_is_in(part: str) -> None:
    stack = stacks()[0]
    case = stack_of(stack, "float32", (0,), 16)
    fault = StepFault("z2", part, lambda array: array * (1 + 2.0**-9))
    tallies = []
    for given in (simulated(case), simulated(case, fault)):
        tallies.append(Tally())
        counted(LocalJudge(case).check(given), np.zeros(16, dtype=bool), stack.name, tallies[-1])
    right, wrong = tallies
    assert right.violations == 0
    assert right.records == wrong.records == 16 * 7
    one, other = (
        next(each for each in given.records if each.step.id == "z2")
        for given in (simulated(case), simulated(case, fault))
    )
    arrays = [(each.result, each.sent["x"], each.sent["W"]) for each in (one, other)]
    pairs = zip(*arrays, strict=True)
    changed = np.any([(a != b).reshape(16, -1).any(axis=1) for a, b in pairs], axis=0)
    assert wrong.violations == changed.sum() > 8
    assert len(wrong.kept) == 5
    assert any("step z2 (dense)" in line for line in wrong.kept)
    assert all("step z2 (dense)" in line or "-accumulation only" in line for line in wrong.kept)
    assert max(right.worst.values()) <= 1.0 < max(wrong.worst.values())


@pytest.mark.parametrize("step", ["z2", "z1"])
def test_what_is_wrong_at_a_function_that_departs_is_a_departure_and_nothing_else(
    step: str,
) -> None:
    stack = stacks()[0]
    case = stack_of(stack, "float32", (0,), 16)
    given = simulated(case, StepFault(step, "result", lambda array: array * (1 + 2.0**-9)))
    tally = Tally()
    nothing = np.zeros(16, dtype=bool)
    counted(LocalJudge(case).check(given), nothing, stack.name, tally, {"z2": "exp, log"})
    found, other = tally.departures, tally.violations
    if step == "z1":
        found, other = other, found
    assert found > 8
    assert other == 0
    assert set(tally.departing) == ({"exp, log"} if step == "z2" else set())
    assert tally.by_operator["dense"] == 16 * 3


def test_only_functions_that_were_measured_to_depart_are_granted_it() -> None:
    assert "gelu" in _departures("tensorflow", "float64")
    assert "exp" not in _departures("tensorflow", "float64")
    assert "hard_sigmoid" in _departures("torch", "float64")
    assert "hard_sigmoid" not in _departures("torch", "float32")
    assert "relu" not in _departures("torch", "float64")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_tensorflow_s_softmax_loses_what_is_small(dtype: str) -> None:
    assert KERNELS["tensorflow", dtype] == {"softmax"}
    tf = pytest.importorskip("tensorflow")
    least = FORMATS[dtype].smallest_normal

    def shares(power: int) -> Any:
        given = tf.constant([[0.0, float(np.log(least)) + power * np.log(2.0) - 1.0 / 4, -3.0]])
        found = tf.nn.softmax(tf.cast(given, dtype))
        return tf.cast(found, "float64").numpy()[0]

    assert shares(2)[1] > 2 * least
    if "AVX512" in processor().get("vectors", ""):  # with AVX2 it is kept
        assert shares(1)[1] == 0.0
    else:
        assert shares(1)[1] >= least


@pytest.mark.parametrize("name", ["torch", "tensorflow", "jax"])
def test_silu_is_zero_where_an_exponential_overflows(name: str) -> None:
    assert KERNELS[name, "float64"] == {"silu"}
    case = Composed.of(
        (step("a", "silu", "x"), step("l", "squared_error", "a", "y")),
        {"x": [[-712.0]]},
        {"y": [[0.0]]},
    )
    record = opened(name).recorded(case).records[0]
    assert record.result.item() == 0.0
    assert -712.0 * np.exp(-712.0) < -FORMATS["float64"].smallest_normal


def test_what_only_flushing_explains_is_counted_as_flushed() -> None:
    stack = next(each for each in stacks() if each.regime == "tiny inputs")
    case = stack_of(stack, "float32", (0,), 64)

    def flush(array: Any) -> Any:
        return np.where(np.abs(array) < FORMATS["float32"].smallest_normal, 0.0, array)

    tally = Tally()
    found = simulated(case, StepFault("z1", "W", flush))
    counted(LocalJudge(case).check(found), np.zeros(64, dtype=bool), "", tally)
    assert tally.violations == 0
    assert tally.flushed > 0


def test_numbers_are_those_of_their_regime() -> None:
    by_regime = {each.regime: each for each in reversed(stacks())}
    found = {
        (regime, dtype): dict(stack_of(stack, dtype, (3,), 64).entries())
        for regime, stack in by_regime.items()
        for dtype in WORKING
    }
    for dtype in WORKING:
        tiny, least = found["tiny inputs", dtype]["x"], FORMATS[dtype].smallest_normal
        size = float(np.median(np.abs(tiny)))
        assert size**0.5 * size**0.5 > least > size * size
        assert (found["small integers", dtype]["W1"] % 1 == 0).all()
        assert found["offset", dtype]["x"].min() > 20 > found["offset", dtype]["W1"].max()
        for regime in ("scaled arrays", "scaled entries"):
            sizes = np.abs(found[regime, dtype]["W1"])
            assert sizes.max() > 2 * np.abs(found["none", dtype]["W1"]).max()


def test_a_stress_goes_on_where_it_stopped(tmp_path: Path) -> None:
    place, stack = tmp_path / "stress.json", stacks()[:1]
    framework = opened("torch")
    versions = {"torch": dict(framework.versions())}

    def rounds(records: int, seed: int = 1) -> State:
        state = read(place, versions, seed)
        measure(
            [framework], ["float32"], state, records=records,
            after=lambda *_: write(place, state), only=stack, cases=8,
        )  # fmt: skip
        return state

    one = rounds(1).tallies["torch", "float32"]
    assert one.rounds == 1
    two = rounds(one.records + 1).tallies["torch", "float32"]
    assert (two.rounds, two.records) == (2, 2 * one.records)
    place.unlink()
    assert rounds(one.records + 1).tallies["torch", "float32"] == two
    assert rounds(1, seed=2).tallies["torch", "float32"].rounds == 1
    changed = json.loads(place.read_text("utf-8"))
    changed["versions"]["torch"]["torch"] = "0"
    place.write_text(json.dumps(changed), "utf-8")
    assert read(place, versions, 2).tallies == {}


# -- what is committed ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def committed() -> State:
    content = json.loads((REPORTS / "stress.json").read_text("utf-8"))
    return read(REPORTS / "stress.json", {}, content["seed"])


def test_the_page_is_current(committed: State) -> None:
    assert (REPORTS / "stress.md").read_text("utf-8") == page(committed)


def test_every_framework_and_dtype_has_enough_records(committed: State) -> None:
    assert set(committed.tallies) == {
        (name, dtype) for name in ("torch", "tensorflow", "jax") for dtype in WORKING
    }
    assert all(each.records >= ENOUGH for each in committed.tallies.values())


def test_no_record_is_outside_and_few_entries_are_unbounded(committed: State) -> None:
    for each in committed.tallies.values():
        assert each.violations == 0
        assert not each.refused
        assert each.unbounded < each.entries / 1000
        assert max(each.worst.values()) <= 1.0
