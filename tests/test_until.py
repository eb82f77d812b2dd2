"""A sweep that has a time to end ends near it, however long its steps take."""

from __future__ import annotations

import itertools
import time
from collections.abc import Generator
from concurrent.futures import Executor, Future
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import faulty
import pytest

from crosscheck.cases.stream.settings import BLOCK, Settings, Shape
from crosscheck.network.dense import Network
from crosscheck.run.events import RunStarted
from crosscheck.run.sweep.checkpoint import load
from crosscheck.run.sweep.coordinate import Step, coordinated
from crosscheck.run.sweep.engine import Sweep, step_size, steps, steps_until
from crosscheck.run.sweep.record import Checked

SETTINGS = Settings((Shape(Network((4, 8, 1))),), 10**9, 1)


@pytest.mark.parametrize("pace", [1e-6, 1e-4, 1e-2, 1.0])
@pytest.mark.parametrize("begin", [0, 1000, 3 * BLOCK])
def test_the_last_step_ends_near_the_time_at_any_pace(pace: float, begin: int) -> None:
    clock, last, overhead = [0.0], begin, 0.01
    for start, stop in steps_until(SETTINGS, begin, 70.0, lambda: clock[0]):
        assert start == last < stop
        last = stop
        clock[0] += pace * (stop - start) + overhead
    # The first is taken whatever it takes; of those behind it each fits at the pace of the one
    # before, but for the smallest that there are.
    latest = max(70.0 + 16 * pace + 2 * overhead, 256 * pace + overhead)
    assert 70.0 <= clock[0] <= latest


def test_a_pace_that_slows_down_is_followed() -> None:
    clock = [0.0]
    for start, stop in steps_until(SETTINGS, 0, 70.0, lambda: clock[0]):
        clock[0] += (stop - start) * (1e-4 if clock[0] < 30 else 1e-3)
    assert 70.0 <= clock[0] <= 80.0


def test_without_hurry_steps_become_the_usual_ones() -> None:
    cut = [last for _, last in itertools.islice(steps_until(SETTINGS, 0, 1e9, lambda: 0.0), 30)]
    usual = [last for _, last in itertools.islice(steps(SETTINGS, 0), 10)]
    assert cut[:3] == [256, 512, 1024]  # at most twice as large, at whole powers of two
    assert set(usual) & set(cut)
    assert cut[-1] - cut[-2] == step_size(SETTINGS)


class Never(Executor):
    """Does nothing of what it is given."""

    def submit(self, fn: Any, /, *_: Any, **__: Any) -> Future[Any]:
        return Future()


class Work:
    """Ten steps of nothing."""

    places = 10

    def steps(self, start: int) -> Any:
        return ((place, place + 1) for place in range(start, self.places))

    def open(self) -> None:
        raise AssertionError

    def do(self, *_: Any) -> Any:
        raise AssertionError

    def described(self, first: int, last: int) -> str:
        return f"{first} to {last}"

    def quarantine(self, *_: Any) -> Any:
        return nullcontext()


def test_work_that_is_under_way_when_time_is_up_is_given_up() -> None:
    source = coordinated(Work(), [], {}, Never(), slots=2, deadline=600.0)
    assert list(source(0, time.monotonic() + 0.05)) == []  # without a time, for ever


def test_a_sweep_whose_time_is_up_between_two_results_is_resumed_and_not_done(
    tmp_path: Path,
) -> None:
    started = RunStarted("crosscheck sweep", "", 1, ("float64",), (), {})
    frameworks = [faulty.Faulty(faulty.correct)]
    under_way = Sweep(
        SETTINGS, frameworks, (), started, tmp_path, lambda *_: None, lambda *_: None, {}
    )

    def source(start: int, stop_at: float | None = None) -> Generator[Step[Checked], None, None]:
        assert stop_at is not None
        yield from ()

    assert under_way.run(source, until=1.0) == 5  # nothing was checked
    assert not load(tmp_path).finished
