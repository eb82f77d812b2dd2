"""Ctrl-C is never lost, and never cuts a result in half."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import faulty
import processes
import pytest

from crosscheck import cli
from crosscheck.frameworks import registry
from crosscheck.network.dense import Case, Gradients, worked_example
from crosscheck.run.checker import Checker
from crosscheck.run.crosscheck import check_given, run
from crosscheck.run.events import CaseChecked, Event, ExitCode, RunFinished, RunStarted
from crosscheck.studies.conventions import measure as measuring
from crosscheck.studies.conventions.apart import Found
from crosscheck.studies.conventions.table import Key, Wanted
from crosscheck.tools.interrupts import interrupts
from crosscheck.workers.process import running

Steps = Callable[[str], None]
Held = Callable[[], AbstractContextManager[None]]

STARTED = RunStarted("crosscheck run", "short", 1, ("float64",), (), {})


@pytest.fixture(autouse=True)
def _hears_interrupts() -> Iterator[None]:
    with processes.interruptible():
        yield


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


def test_what_a_library_makes_of_an_interrupt_is_an_interrupt() -> None:
    def work(step: Steps, held: Held) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("a library could not be loaded") from None

    assert steps_until_interrupted(work) == []


def test_an_error_without_an_interrupt_stays_what_it_is() -> None:
    with pytest.raises(ImportError, match="odd"), interrupts():
        raise ImportError("odd")


def test_a_process_that_ignores_interrupts_goes_on_ignoring_them() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in a background job of a shell script
    try:
        with interrupts() as held:
            signal.raise_signal(signal.SIGINT)
            with held():
                pass
    except KeyboardInterrupt:
        pytest.fail("it was heard")
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_what_tests_start_hears_interrupts_where_the_tests_themselves_ignore_them() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    words = [sys.executable, "-c", "import time; print('begun', flush=True); time.sleep(60)"]
    with processes.started(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in processes.ended(process)[1]
    assert process.returncode == -signal.SIGINT


def test_a_test_whose_process_goes_on_fails_and_says_where_the_process_is() -> None:
    program = (
        "import time\ndef waits_for_ever(): print(flush=True) or time.sleep(60)\nwaits_for_ever()"
    )
    words = [sys.executable, "-c", program]
    with processes.started(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(pytest.fail.Exception, match=r"not ended within 0\.1 s") as failed:
            processes.ended(process, within=0.1)
    assert "waits_for_ever" in str(failed.value)
    assert process.returncode is not None
    with pytest.raises(pytest.fail.Exception, match=r"not done within 0\.1 s"):
        processes.run(words, timeout=0.1, stdout=subprocess.PIPE)


def test_a_framework_that_swallows_an_interrupt_when_it_is_imported_is_not_called_broken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Swallows(faulty.Faulty):
        def __init__(self, **options: Any) -> None:
            try:
                signal.raise_signal(signal.SIGINT)
            except BaseException:
                raise ImportError("partially initialized module") from None

    monkeypatch.setattr(registry, "_registered", lambda: {"swallows": ["a:A"]})
    monkeypatch.setattr(registry, "_load", lambda *_: Swallows)
    with pytest.raises(KeyboardInterrupt):
        registry.open_frameworks(["swallows"])


def test_a_command_whose_interrupt_is_swallowed_does_not_end_with_0(
    swallowed: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli.cli, "main", lambda **options: swallowed())
    assert cli.main([]) == 2


def hangs_at_last(part: Sequence[Key]) -> Found:
    """In a process of its own, which imports this module; the part of NumPy is the last begun."""
    if part[0].framework == "numpy":
        time.sleep(3600)
    return Found()


def test_an_interrupt_ends_the_measuring_of_conventions_and_its_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(measuring, "_part", hangs_at_last)
    found, _ = measuring.sources(["numpy", "sympy"])
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        measuring.measure(
            found,
            wanted=Wanted.of(None, ["relu"]),
            jobs=2,
            progress=lambda done, of: signal.raise_signal(signal.SIGINT),
        )
    assert time.monotonic() - began < processes.LIMIT
    assert running() == []
