"""Ctrl-C is never lost, and never cuts a result in half."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

import faulty
import pytest

from harness.crosscheck import Checker, check_given, run
from harness.events import CaseChecked, Event, ExitCode, RunFinished, RunStarted
from harness.interrupts import interrupts
from harness.network import Case, Gradients, worked_example

Steps = Callable[[str], None]
Held = Callable[[], AbstractContextManager[None]]

STARTED = RunStarted("crosscheck run", "short", 1, ("float64",), (), {})


@pytest.fixture
def swallowed(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """An interrupt that comes while the garbage collector calls back, so that Python drops it."""
    dropped: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", dropped.append)

    def interrupt() -> None:
        def call_back(phase: str, info: object) -> None:
            if phase == "stop":
                signal.raise_signal(signal.SIGINT)

        gc.callbacks.append(call_back)
        try:
            gc.collect()
        finally:
            gc.callbacks.remove(call_back)
        assert len(dropped) == 1

    return interrupt


def steps_until_interrupted(work: Callable[[Steps, Held], None]) -> list[str]:
    steps: list[str] = []

    def interrupted() -> None:
        with interrupts() as held:
            work(steps.append, held)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    return steps


def test_an_interrupt_comes_at_once() -> None:
    def work(step: Steps, held: Held) -> None:
        step("before")
        signal.raise_signal(signal.SIGINT)
        step("after")

    assert steps_until_interrupted(work) == ["before"]


def test_an_interrupt_in_a_held_block_waits_for_its_end() -> None:
    def work(step: Steps, held: Held) -> None:
        with held():
            signal.raise_signal(signal.SIGINT)
            step("rest of the block")
        step("after the block")

    assert steps_until_interrupted(work) == ["rest of the block"]


def test_a_swallowed_interrupt_comes_again_at_the_end_of_a_block(
    swallowed: Callable[[], None],
) -> None:
    def work(step: Steps, held: Held) -> None:
        swallowed()
        step("swallowed")
        with held():
            step("block")
        step("after the block")

    assert steps_until_interrupted(work) == ["swallowed", "block"]


def test_a_swallowed_interrupt_comes_again_at_the_very_end(swallowed: Callable[[], None]) -> None:
    assert steps_until_interrupted(lambda step, held: swallowed()) == []


def test_a_run_whose_interrupt_is_swallowed_ends_after_the_case_under_way(
    swallowed: Callable[[], None],
) -> None:
    events: list[Event] = []

    def gradients(case: Case) -> Gradients:
        if len([event for event in events if isinstance(event, CaseChecked)]) == 1:
            swallowed()
        return faulty.correct(case)

    def work(checker: Checker) -> None:
        check_given(checker, [(name, worked_example()) for name in ("first", "second", "third")])

    frameworks = [faulty.Faulty(gradients)]
    code = run(lambda emit: Checker(frameworks, emit), work, STARTED, [], events.append)
    assert code is ExitCode.INTERRUPTED
    assert isinstance(events[-1], RunFinished)
    assert events[-1].exit_code is ExitCode.INTERRUPTED
    assert [e.label for e in events if isinstance(e, CaseChecked)] == ["first", "second"]
