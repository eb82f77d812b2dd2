"""One framework's death is its own verdict, and what it does to its process it does to nobody."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import flushing
import misbehaving
import numpy as np
import processes
import pytest
from misbehaving import TRIGGER
from reliability.ways import CHANGES, DIES, HANGS, RAISES, WAYS

from crosscheck.cases.stream.settings import Settings, Shape
from crosscheck.frameworks import isolated, served
from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.gatekeeper import ask, begin, begin_each
from crosscheck.frameworks.isolated import Isolated, Isolation
from crosscheck.frameworks.refusals import NOT_ASKED, Refused
from crosscheck.frameworks.registry import open_frameworks
from crosscheck.judge.verdict import Kind
from crosscheck.network.dense import Case, Gradients, Network, worked_example
from crosscheck.network.reference import gradients
from crosscheck.run.checker import Checker
from crosscheck.run.events import CaseChecked, Event
from crosscheck.run.sweep.check import check_part
from crosscheck.run.sweep.fast import mode_of
from crosscheck.tools.errors import UsageError
from crosscheck.workers.patience import patient

DEADLINE = patient(60.0)


@pytest.fixture(autouse=True, scope="module")
def misbehaves(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        misbehaving.install(tmp_path_factory.mktemp("misbehaving"), patch)
        yield


@pytest.fixture(scope="module")
def plain(misbehaves: None) -> Iterator[Isolated]:
    with opened("plain") as (framework, _):
        yield framework


@contextmanager
def opened(
    *names: str,
    mode: str = "sleeps",
    deadline: float = DEADLINE,
    others: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[list[Any]]:
    modes = {"misbehaves": mode} if "misbehaves" in names else {}
    found, states = open_frameworks(
        names, {}, modes, others=others, opened=Isolation(deadline, others).opened
    )
    try:
        yield [*found, *states]
    finally:
        for each in found:
            assert isinstance(each, Isolated)
            each.close()


def case(number: float = 1.0) -> Case:
    return worked_example(x=number)


BAD = case(TRIGGER)


def is_right(given: Any, at: Case) -> bool:
    return isinstance(given, Gradients) and all(
        np.array_equal(one, other)
        for (_, one), (_, other) in zip(given.entries(), gradients(at).entries(), strict=True)
    )


def test_a_framework_in_a_process_of_its_own_answers_as_it_does_here(plain: Isolated) -> None:
    assert plain.versions() == {"numpy": np.__version__}
    assert plain.name == "plain"
    stack = Case.of(
        [np.ones((3, 2, 2))], [None], np.ones((3, 1, 2)), np.zeros((3, 1, 2)), output="identity"
    )
    for each in (case(), stack):
        assert is_right(ask(plain, each), each)
        assert is_right(plain.gradients(each), each)
    other = ask(plain, worked_example(dtype="float8_e5m2"))
    assert other.kind is Kind.UNSUPPORTED


def test_what_was_returned_is_looked_at_here_as_well(
    plain: Isolated, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = ask(plain, case())
    monkeypatch.setattr(plain, "begin", lambda *_, **__: lambda: (found.map(np.float32), None))
    refused = begin(plain, case())()[0]
    assert refused.kind is Kind.CRASHED
    assert "float32" in refused.reason


NOT_LONG = ("segfaults", "sleeps")


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n in NOT_LONG else pytest.mark.long) for n in {**DIES, **HANGS}],
)
def test_what_ends_the_process_or_hangs_is_a_verdict_and_the_next_case_is_checked(
    name: str,
) -> None:
    with opened("misbehaves", mode=name) as (framework, _):
        assert is_right(ask(framework, case()), case())
        if name in HANGS:
            framework._deadline = 1.0
        found = ask(framework, BAD)
        framework._deadline = DEADLINE
        assert isinstance(found, Refused)
        assert (found.kind, found.raised) == (Kind(WAYS[name].wanted["run"]), False)
        assert found.reason.startswith(WAYS[name].detail)
        assert framework.losses == 1
        assert is_right(ask(framework, case()), case())


ALONE = {"forgets modules", "empties the module path", "logs to the standard output"}
"""Not after others that have taken away what these go on with."""


def test_what_is_raised_or_changed_there_is_as_here_and_reaches_nobody() -> None:
    with opened("misbehaves", mode="prints") as (framework, _):
        before = state_of_this_process()
        pid = framework._worker.pid
        for name in (each for each in {**RAISES, **CHANGES} if each not in ALONE):
            # The mode is a word that the adapter looks at: one process does them all.
            framework._worker.call(_set_mode, name)
            found = ask(framework, BAD)
            way = WAYS[name]
            if way.wanted["run"] == "AGREES":
                assert is_right(found, BAD), name
            else:
                assert found.kind is Kind(way.wanted["run"]), name
                assert found.reason.startswith(way.detail), name
            assert state_of_this_process() == before, name
        assert framework._worker.pid == pid
    assert not processes.is_running(pid)  # threads and exit handlers are not waited for


def _set_mode(name: str) -> None:
    (framework,) = served._opened
    framework.mode = name


def state_of_this_process() -> tuple[Any, ...]:
    tiny = np.full(8, 5e-324)
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
    return (
        np.geterr(),
        sys.getrecursionlimit(),
        [signal.getsignal(each) for each in signals],
        threading.active_count(),
        os.getcwd(),
        dict(os.environ),
        bool((tiny * 2 > 0).all()),
        os.fstat(1).st_ino,
        os.fstat(2).st_ino,
    )


@flushing.needs_x86
def test_gradients_from_a_process_that_replaces_subnormal_numbers_arrive_as_they_are() -> None:
    with opened("misbehaves", mode="replaces subnormal numbers by zero") as (framework, _):
        ask(framework, BAD)
        tiny = worked_example(x=5e-324, w1=1.0, w2=1.0, b2=0.0, y=0.0)
        given = ask(framework, tiny)
        assert given.x.shape == tiny.x.shape  # the gate takes its own copies here, unflushed
        assert float(given.loss) == 0.0


def test_a_case_that_kills_twice_is_set_aside_and_not_asked_a_third_time() -> None:
    with opened("misbehaves", mode="leaves with 0") as (framework, _):
        assert "twice" not in ask(framework, BAD).reason
        second = ask(framework, BAD)
        assert second.reason == "the process ended with 0: twice on this case, which is set aside"
        assert ask(framework, BAD) == second
        assert framework.losses == 2
        assert is_right(ask(framework, case()), case())


def test_a_framework_that_dies_again_and_again_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "MOST", 1)
    with opened("misbehaves", mode="leaves with 0") as (framework, _):
        first = ask(framework, BAD)
        assert ask(framework, BAD) == first  # which is known, and is not asked
        checker = Checker([framework], lambda event: None)
        (verdict,) = checker.check_case(case(), "given", "x")
    assert verdict.kind is Kind.CRASHED
    assert verdict.detail == f"{NOT_ASKED}: it has cost 1 processes"
    assert checker.is_failing(verdict)
    assert not checker.is_lasting(verdict)  # nobody tries to make it smaller


def test_batches_are_asked_for_there_by_the_road_of_a_sweep(plain: Isolated) -> None:
    settings = Settings((Shape(Network((4, 8, 1))),), 100, 7, frameworks=("plain",))
    (here,), _ = open_frameworks(["plain"])
    part = next(settings.parts(0, 100))
    found = [check_part(part, settings, [each]).summary for each in (here, plain)]
    assert found[0].kinds == found[1].kinds
    assert mode_of(plain, "float64") == mode_of(here, "float64")
    assert plain.there(type_of) == "Plain"


def type_of(framework: Framework) -> str:
    return type(framework).__name__


def test_an_answer_that_nobody_took_is_not_taken_for_that_of_another_case(plain: Isolated) -> None:
    left = begin(plain, case(3.0))
    assert is_right(ask(plain, case()), case())
    assert is_right(left()[0], case(3.0))


@pytest.mark.parametrize("place", [0, 2, 4])
def test_of_many_that_wait_the_one_that_kills_has_the_blame(place: int) -> None:
    cases = [case(float(number)) for number in range(1, 6)]
    cases[place] = BAD
    with opened("misbehaves", mode="segfaults") as (framework, _):
        waiting = [begin(framework, each) for each in cases]
        found = [each()[0] for each in reversed(waiting)][::-1]
        assert framework.losses == 1
    for number, (each, given) in enumerate(zip(cases, found, strict=True)):
        if number == place:
            assert given == Refused(Kind.CRASHED, "the process ended by SIGSEGV")
        else:
            assert is_right(given, each)


@pytest.mark.parametrize("way", ["segfaults", "says that a file has ended"])
def test_of_cases_asked_for_one_by_one_at_once_the_bad_one_alone_fails(way: str) -> None:
    cases = [case(float(number)) for number in range(1, 6)]
    cases[3] = BAD
    stack = cases[0].beside(cases[1:])
    with opened("misbehaves", mode=way) as (framework, _):
        found = begin_each(framework, stack)()
        assert framework.losses == (2 if way == "segfaults" else 0)
    for number, (each, (given, recorded)) in enumerate(zip(cases, found, strict=True)):
        assert recorded is None
        assert is_right(given, each) if number != 3 else given.kind is Kind.CRASHED


def test_a_framework_that_dies_while_it_is_imported_is_broken_and_the_others_are_open() -> None:
    with opened("plain", "unopened") as (plain, *states):
        assert [state.state for state in states] == ["available", "broken"]
        assert states[1].detail == "its process ended by SIGSEGV while it was imported"
        assert is_right(ask(plain, case()), case())


def test_no_such_formulation_is_the_users_mistake_there_as_here() -> None:
    with pytest.raises(UsageError, match="wanted one of relu"):
        open_frameworks(["plain"], {"plain": "clamp"}, {}, opened=Isolation().opened)


@pytest.mark.skipif(os.name != "posix", reason="the other Python is a script of the shell")
def test_a_framework_of_another_environment_stands_beside_this_one(tmp_path: Path) -> None:
    other = tmp_path / "python"
    site = next(each for each in sys.path if each.endswith("site") and "misbehaving" in each)
    words = f'PYTHONPATH={site} OTHER=yes exec {sys.executable} "$@"'
    other.write_text(f"#!/bin/sh\n{words}\n")
    other.chmod(0o755)
    with opened("plain-old", others={"plain-old": str(other)}) as (old, state):
        assert (old.name, state.name, state.state) == ("plain-old", "plain-old", "available")
        assert old._worker.call(os.getenv, "OTHER") == "yes"
        assert is_right(ask(old, case()), case())
        checker = Checker([old], lambda event: None)
        (verdict,) = checker.check_case(case(), "given", "x")
    assert (verdict.framework, verdict.kind) == ("plain-old", Kind.AGREES)


@pytest.mark.parametrize(
    ("name", "python", "message"),
    [
        ("torch", sys.executable, "a hyphen and a name of your own"),
        ("old", sys.executable, "a hyphen and a name of your own"),
        ("plain-old", "/no/such/python", "wanted the path of a Python"),
        ("plain-old", sys.executable, "worker plain-old=.*: no framework is called 'plain'"),
    ],
)
def test_another_environment_that_is_none_is_refused(name: str, python: str, message: str) -> None:
    with pytest.raises(UsageError, match=message), opened(name, others={name: python}):
        pass


def test_in_a_run_a_death_is_one_verdict_asked_again_and_the_rest_is_checked(
    plain: Isolated,
) -> None:
    events: list[Event] = []
    with opened("misbehaves", mode="segfaults") as (framework, _):
        checker = Checker([plain, framework], events.append)
        for each in (case(), BAD, case(2.0)):
            checker.check_case(each, "given", "x")
        checker.finish()
    kinds = [
        [str(verdict.kind) for verdict in event.verdicts]
        for event in events
        if isinstance(event, CaseChecked)
    ]
    assert kinds == [["AGREES", "AGREES"], ["AGREES", "CRASHED"], ["AGREES", "AGREES"]]
    assert checker.failed
