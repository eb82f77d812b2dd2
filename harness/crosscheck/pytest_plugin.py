"""The pytest plugin: cross-checks the gradients of other people's tests.

It imports no framework, and nothing of the harness until a test uses it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shlex
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, overload

import pytest

if TYPE_CHECKING:
    from typing import Unpack

    from crosscheck.judge.verdict import Verdict
    from crosscheck.run.checking import Arguments
    from crosscheck.run.comparison import Comparison
    from crosscheck.run.functions.comparison import FunctionComparison

__all__ = ["crosscheck", "relu_boundary_record"]

_PROPERTY = "relu_boundary"
_SHARED = "crosscheck"
_STARTED = pytest.StashKey[tuple[str, float]]()
_WRITTEN = pytest.StashKey[bool]()
_LEFT = pytest.StashKey[list[str]]()


class CrossCheck(Protocol):
    """What the fixture `crosscheck` gives: `crosscheck.run.checking.require_agreement`."""

    @overload
    def __call__(
        self, *, absent: Literal["fail", "skip"] = "fail", **arguments: Unpack[Arguments]
    ) -> Comparison: ...

    @overload
    def __call__(
        self,
        formula: Callable[..., Any],
        shapes: Any = None,
        /,
        *,
        absent: Literal["fail", "skip"] = "fail",
        **arguments: Any,
    ) -> FunctionComparison: ...

    def __call__(self, *given: Any, **arguments: Any) -> Any:  # type: ignore[misc]
        """Compare functions with a formula, or with the harness's reference of a dense network.

        The test fails where one is wrong.
        """


def pytest_addoption(parser: pytest.Parser) -> None:
    """Name the plugin's options."""
    group = parser.getgroup("crosscheck", "gradient cross-check (fixture crosscheck)")
    group.addoption(
        "--crosscheck-profile",
        choices=["quick", "default", "nightly"],
        default="default",
        help="how many cases each test generates: quick 20, default 100, nightly 2000",
    )
    group.addoption(
        "--crosscheck-seed",
        type=int,
        metavar="N",
        help="seed of the generated cases; default: 0, and with the profile nightly a fresh one",
    )
    group.addoption(
        "--crosscheck-report",
        metavar="FOLDER",
        help="write report.json, report.html and summary.md of everything that was cross-checked",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Settle what all processes of a run share."""
    option = config.option
    if not _is_worker(config):
        config.stash[_LEFT] = _left(config)
    if _is_worker(config):
        for name, value in config.workerinput[_SHARED].items():  # type: ignore[attr-defined]
            setattr(option, name, value)
        return
    if option.crosscheck_seed is None:
        import secrets

        nightly = option.crosscheck_profile == "nightly"
        option.crosscheck_seed = secrets.randbits(32) if nightly else 0
    elif option.crosscheck_seed < 0:
        raise pytest.UsageError(
            f"--crosscheck-seed={option.crosscheck_seed}: wanted a whole number from 0 on"
        )
    if option.crosscheck_report is not None:
        folder = config.invocation_params.dir / option.crosscheck_report
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Readable by this user only, because what is in it will be unpickled.
            option.crosscheck_parts = tempfile.mkdtemp(prefix=".parts-", dir=folder)
        except OSError as error:
            raise pytest.UsageError(
                f"--crosscheck-report={option.crosscheck_report}: cannot be written to "
                f"({error.strerror})"
            ) from None
        config.add_cleanup(functools.partial(shutil.rmtree, option.crosscheck_parts))
        option.crosscheck_report = str(folder)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        config.stash[_STARTED] = (now, time.monotonic())


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand what was settled to a worker of pytest-xdist, which is asked before it starts."""
    option = node.config.option
    node.workerinput[_SHARED] = {
        "crosscheck_seed": option.crosscheck_seed,
        "crosscheck_parts": getattr(option, "crosscheck_parts", None),
    }


@pytest.fixture
def relu_boundary_record(request: pytest.FixtureRequest) -> Callable[[Verdict], None]:
    """Call it with a verdict to have its gates counted in the section "ReLU boundary".

    The gates become properties of the test, so that they reach JUnit files, and the terminal
    when the tests run in several processes.
    """

    def record(verdict: Verdict) -> None:
        path = f"{verdict.framework} {verdict.formulation} ({verdict.mode})"
        for gate in verdict.gates:
            slope = str(gate.effect) if gate.slope is None else f"{gate.slope:.6g}"
            _add_property(request, _PROPERTY, [path, str(gate.gate), slope])

    return record


@pytest.fixture
def crosscheck(request: pytest.FixtureRequest) -> Iterator[CrossCheck]:
    """Cross-check functions of one's own, by proof.

    ``crosscheck(formula, "b i, o i, o -> b o", by_hand=…, torch=…, jax=…, tensorflow=…)`` compares
    implementations of any function, and of its gradient, with its formula
    (`crosscheck.run.functions.checking.compare_functions`). Without a formula
    ``crosscheck(reference=…, torch=…, jax=…, tensorflow=…, numpy=…, cases=…)`` compares a gradient
    written by hand, or a dense ReLU network written in several libraries, with the harness's
    reference. The test fails if a gradient is wrong; choices made at a kink pass, and are listed in
    the section "ReLU boundary".
    """

    def check(
        formula: Any = None,
        shapes: Any = None,
        /,
        *,
        absent: Literal["fail", "skip"] = "fail",
        **arguments: Any,
    ) -> Any:
        __tracebackhide__ = True
        import unittest

        from crosscheck.run.checking import require_agreement
        from crosscheck.run.comparison import DisagreementError
        from crosscheck.run.implementations import AbsentError
        from crosscheck.tools.errors import CrosscheckError

        option = request.config.option
        arguments.setdefault("profile", option.crosscheck_profile)
        arguments.setdefault("seed", option.crosscheck_seed)
        try:
            comparison: Any = require_agreement(formula, shapes, absent=absent, **arguments)
        except DisagreementError as error:
            _record(request, error.comparison)
            raise
        except unittest.SkipTest as error:
            pytest.skip(str(error))
        except AbsentError as error:
            pytest.fail(f"crosscheck: {error}", pytrace=False)
        except CrosscheckError as error:
            raise error.with_traceback(None) from error.__cause__
        _record(request, comparison)
        return comparison

    from crosscheck.tools.trail import kept

    folder = _trail(request.config)
    if folder is None:
        yield _Named(check)
        return
    with kept(folder / f"asking-{os.getpid()}.json", request.node.nodeid):
        yield _Named(check)


class _Named:
    """The fixture's function with the module's names, so that a test needs no import beside it."""

    def __init__(self, check: Callable[..., Any]) -> None:
        self._check = check

    def __call__(self, formula: Any = None, shapes: Any = None, /, **arguments: Any) -> Any:
        __tracebackhide__ = True
        return self._check(formula, shapes, **arguments)

    def __getattr__(self, name: str) -> Any:
        import crosscheck as module

        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(module, name)


def _record(request: pytest.FixtureRequest, comparison: Any) -> None:
    """Put a comparison into the test's properties, and into the report if one is wanted."""
    for name, kinds in comparison.kinds.items():
        told = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
        _add_property(request, f"crosscheck {name}", told)
    for key, count in sorted(comparison.boundary.items()):
        _add_property(request, _PROPERTY, [*key, count])
    parts = getattr(request.config.option, "crosscheck_parts", None)
    if parts is not None:
        from crosscheck.report.collected import Collected, append

        collected = Collected(
            request.node.nodeid,
            comparison.states,
            comparison.events,
            comparison.keys,
            comparison.passed,
        )
        append(Path(parts), collected)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report, in the process that started the others."""
    config, option = session.config, session.config.option
    parts = getattr(option, "crosscheck_parts", None)
    if _is_worker(config) or parts is None:
        return
    if any(Path(parts).iterdir()):
        from crosscheck.report.collected import write_reports

        started, begin = config.stash[_STARTED]
        config.stash[_WRITTEN] = write_reports(
            Path(parts),
            Path(option.crosscheck_report),
            command=shlex.join(["pytest", *map(str, config.invocation_params.args)]),
            profile=option.crosscheck_profile,
            seed=option.crosscheck_seed,
            started=started,
            seconds=time.monotonic() - begin,
        )


def pytest_report_header(config: pytest.Config) -> list[str]:
    """What was being asked when an earlier session ended in the middle."""
    return _earlier(config)


def _earlier(config: pytest.Config) -> list[str]:
    return [f"crosscheck: in an earlier session {call}" for call in config.stash.get(_LEFT, [])]


def _left(config: pytest.Config) -> list[str]:
    """Calls that have not come back, of processes that have ended."""
    folder = _trail(config)
    if folder is None or not any(folder.glob("asking-*.json")):
        return []
    from crosscheck.tools.trail import calls_left

    return [str(call) for call in calls_left(folder)]


def _trail(config: pytest.Config) -> Path | None:
    """The folder, in pytest's cache, of files that say what is being asked; if there is a cache."""
    cache = getattr(config, "cache", None)
    if cache is None:
        return None
    with contextlib.suppress(OSError):
        return Path(cache.mkdir("crosscheck"))
    return None


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Which slopes were used, at how many gates; and what a process died of that has ended.

    One line for each path and gate class.
    """
    for line in _earlier(config) if config.option.verbose < 0 else ():  # then there is no header
        terminalreporter.write_line(line)
    for call in [] if _is_worker(config) else _left(config):
        terminalreporter.write_line(f"crosscheck: {call}")
    counts: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == _PROPERTY and getattr(report, "when", "") == "call":
                    path, gate, slope, *number = value
                    counts[path, gate][slope] += number[0] if number else 1
    if counts:
        from crosscheck.judge.decisions import Effect

        unread = set(map(str, Effect))
        terminalreporter.section("ReLU boundary")
        width = max(len(path) for path, _ in counts)
        for (path, gate), slopes in sorted(counts.items()):
            shown = ", ".join(
                f"{slope if slope in unread else f'λ = {slope}'}: {count}"
                for slope, count in sorted(slopes.items())
            )
            terminalreporter.write_line(f"{path:<{width}}  {gate:<21}  {shown}")
    if config.option.crosscheck_report is not None:
        page = Path(config.option.crosscheck_report) / "report.html"
        written = config.stash.get(_WRITTEN, False)
        told = page if written else "none, no test used the fixture crosscheck"
        terminalreporter.write_sep("-", f"crosscheck report: {told}")


def _add_property(request: pytest.FixtureRequest, name: str, value: object) -> None:
    """What `record_property` does, without its warning about the format of JUnit files.

    A suite that makes errors of warnings would fail with it.
    """
    request.node.user_properties.append((name, value))


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")
