"""``python -m ourselves.mutation [MODULE ...]`` from the folder of the tests: try mutants.

Without a module, all of `ourselves.mathematics`. Each mutant runs in a process of its own, forked
from one that has imported what the project needs and nothing of the project, where an import of
the module gives the mutant: no file is changed. Its tests run until one fails, those that have
killed most so far and the fastest first, within a limit of processor time and of memory. Found are
kept as they come, in a session of Cosmic Ray for each module and source: what was ended goes on
from there, and mutants that survived are tried again when the tests have changed.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import pickle
import random
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from cosmic_ray.mutating import _make_diff, mutate_code
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkResult

from ourselves.mathematics import MATHEMATICS, TESTS, path_of
from ourselves.mutants import fill
from ourselves.mutation_page import Found, Survivor, write

__all__ = ["main"]

SESSIONS = TESTS.parent / ".nox" / "mutation"

SEED = 20261129
ALL = 1500
"""Mutants of the whole mathematics; a module has as many of them as it has lines."""

MEMORY = 6 * 2**30
"""Bytes that the tests of a mutant may take."""

FACTOR, CONSTANT, IDLE = 2.0, 20.0, 8.0
"""A mutant has that many times the processor time of the tests unchanged, and seconds on top; and
that many times as much by the clock, as it may have to wait for others."""


class _Mutant(importlib.abc.MetaPathFinder):
    """Gives one module another source."""

    def __init__(self, module: str, path: Path, source: str) -> None:
        self._module, self._path, self._source = module, str(path), source

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != self._module:
            return None
        source, where = self._source, self._path

        class Loader(importlib.machinery.SourceFileLoader):
            def get_code(self, fullname: str) -> CodeType:
                return compile(source, where, "exec", dont_inherit=True)

        return importlib.util.spec_from_file_location(name, where, loader=Loader(name, where))


class _InOrder:
    """A plugin of pytest: tests in a given order, how long each took, and which failed."""

    def __init__(self, order: Mapping[str, int]) -> None:
        self._order = order
        self.seconds: dict[str, float] = {}
        self.failed = ""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: self._order.get(item.nodeid, -1))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        if report.failed:
            self.failed = self.failed or report.nodeid


@dataclass(frozen=True)
class _Said:
    """What pytest found.

    Attributes:
        code: Its exit code.
        seconds: By test.
        failed: The test that failed first.
        took: Seconds of processor time, importing included.
    """

    code: int
    seconds: dict[str, float]
    failed: str
    took: float


def _asked(tests: Sequence[str], order: Mapping[str, int], only: str = "") -> _Said:
    """Run tests in this process until one fails."""
    import hypothesis

    # The same examples for each mutant; and what fails need not be made small.
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile(
        "mutants", database=None, derandomize=True, phases=phases, deadline=None
    )
    hypothesis.settings.load_profile("mutants")
    words = [*tests, "-q", "-x", "--no-header", "--tb=no", "--rootdir", str(TESTS.parent)]
    words += ["-p", "no:cacheprovider"]
    words += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of Hypothesis, imported already
    words += ["-k", only] if only else []
    plugin = _InOrder(order)
    code = int(pytest.main(words, plugins=[plugin]))
    return _Said(code, plugin.seconds, plugin.failed, time.process_time())


class _Child:
    """A forked process that answers with what can be pickled, or is ended."""

    def __init__(self, work: Callable[[], Any], seconds: float) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  # until it is read
        self._end = time.monotonic() + seconds * IDLE
        sys.stdout.flush()
        self._id = os.fork()
        if self._id == 0:
            code = 99
            try:
                os.setsid()
                nowhere = os.open(os.devnull, os.O_RDWR)
                for each in (0, 1, 2):
                    os.dup2(nowhere, each)
                limit = int(seconds) + 1
                resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
                resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
                pickle.dump(work(), self._file)
                self._file.flush()
                code = 0
            finally:
                os._exit(code)

    def ended(self) -> bool:
        """Whether it has; one that is out of time is ended."""
        done, status = os.waitpid(self._id, os.WNOHANG)
        if not done and time.monotonic() > self._end:
            os.killpg(self._id, signal.SIGKILL)
            done, status = os.waitpid(self._id, 0)
        if done:
            self._code = os.waitstatus_to_exitcode(status)
        return bool(done)

    @property
    def said(self) -> Any:
        """What it answered; ``None`` if it was ended before."""
        with self._file:
            if self._code != 0:
                return None
            self._file.seek(0)
            return pickle.load(self._file)


def _preloaded() -> None:
    """Import what the project imports and is not the project."""
    # The project is a plugin of pytest, which would import it by itself, past the mutant.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    names = ("numpy", "sympy", "hypothesis.extra.numpy", "ml_dtypes", "click", "rich.console")
    for name in (*names, "cattrs", "jinja2", "threadpoolctl", "flint", "scipy.optimize"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    assert not any(name.startswith("crosscheck") for name in sys.modules)


class Session:
    """The mutants of one module, and what was found of them so far.

    Args:
        module: A name of `MATHEMATICS`.
        most: How many mutants to try.
        seed: Of the sample.
        folder: Where sessions are kept.
        only: Which of its tests are asked, as pytest's -k; all where it is empty.
    """

    def __init__(self, module: str, most: int, seed: int, folder: Path, only: str = "") -> None:
        self.module, self.path, self.most, self.seed = module, path_of(module), most, seed
        self.only = only
        self.source = self.path.read_text("utf-8")
        self.tests = [str(TESTS / name) for name in MATHEMATICS[module]]
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / f"{module}-{seed}-{most}-{_digest(self.source)}.sqlite"
        made = self.file.with_suffix(".new")
        if not self.file.exists():
            made.unlink(missing_ok=True)
            with use_db(made) as session:
                fill(session, self.path, most, seed)
            made.rename(self.file)
        self._now = _digest(only, *(Path(each).read_text("utf-8") for each in self.tests))
        self._kills: Counter[str] = Counter()

    def run(self, workers: int, seconds: float) -> Found | None:
        """Try what is not yet known, and say what is.

        Args:
            workers: How many at once.
            seconds: No mutant begins later than that after the first; with 0 none is tried.

        Returns:
            ``None`` if the tests fail without a mutant.
        """
        with use_db(self.file, WorkDB.Mode.open) as session:
            waiting = self._waiting(session)
            if waiting and seconds > 0:
                unchanged = _waited(_Child(lambda: _asked(self.tests, {}, self.only), 3600.0))
                if unchanged is None or unchanged.code != 0:
                    what = "they were ended" if unchanged is None else unchanged.failed
                    print(f"{self.module}: the tests fail without a mutant: {what}")
                    return None
                broken = _waited(_Child(lambda: self._mutated("raise AssertionError", {}), 60.0))
                assert broken is None or broken.code != 0, "mutants are not what the tests import"
                self._all(session, waiting, unchanged, workers, time.monotonic() + seconds)
            return self._found(session)

    def _waiting(self, session: WorkDB) -> list[tuple[str, Any]]:
        found = []
        known = dict(session.results)
        for item in session.work_items:
            result = known.get(item.job_id)
            if result is not None:
                said = json.loads(result.output) if result.output else {}
                self._kills[said.get("by", "")] += 1
                survived = result.test_outcome is TestOutcome.SURVIVED
                if not (survived and said["tests"] != self._now):
                    continue
            found.append((item.job_id, item.mutations[0]))
        found.sort(key=lambda pair: (pair[1].start_pos, pair[1].operator_name, pair[1].occurrence))
        # So that what is tried before an end is a sample too.
        random.Random(self.seed).shuffle(found)
        return found

    def _all(
        self,
        session: WorkDB,
        waiting: list[tuple[str, Any]],
        unchanged: _Said,
        workers: int,
        until: float,
    ) -> None:
        seconds = FACTOR * unchanged.took + CONSTANT
        running: dict[str, tuple[_Child, str]] = {}
        while running or (waiting and time.monotonic() < until):
            while waiting and len(running) < workers and time.monotonic() < until:
                job, spec = waiting.pop()
                operator = get_operator(spec.operator_name)()
                mutant = mutate_code(self.source, operator, spec.occurrence)
                work = partial(self._mutated, mutant, self._order(unchanged.seconds))
                running[job] = _Child(work, seconds), mutant
            for job, (child, mutant) in list(running.items()):
                if child.ended():
                    del running[job]
                    result = self._result(child.said, mutant)
                    session.set_result(job, result)
                    print(f"{self.module}: {len(waiting)} to do; {result.test_outcome}", flush=True)
            time.sleep(0.02)

    def _order(self, seconds: Mapping[str, float]) -> dict[str, int]:
        order = sorted(seconds, key=lambda test: (-self._kills[test], seconds[test]))
        return {test: place for place, test in enumerate(order)}

    def _mutated(self, mutant: str, order: Mapping[str, int]) -> _Said:
        sys.meta_path.insert(0, _Mutant(f"crosscheck.{self.module}", self.path, mutant))
        return _asked(self.tests, order, self.only)

    def _result(self, said: _Said | None, mutant: str) -> WorkResult:
        by = "" if said is None else said.failed
        self._kills[by] += bool(by)
        note = json.dumps({"by": by, "tests": self._now, "ended": said is None})
        survived = said is not None and said.code == 0
        diff = "\n".join(_make_diff(self.source, mutant, self.path.relative_to(TESTS.parent)))
        outcome = TestOutcome.SURVIVED if survived else TestOutcome.KILLED
        return WorkResult(WorkerOutcome.NORMAL, note, outcome, diff)

    def _found(self, session: WorkDB) -> Found:
        tried = [
            (item.mutations[0], result)
            for item, result in session.completed_work_items
            if result.worker_outcome is WorkerOutcome.NORMAL
        ]
        survivors = [
            Survivor.of(str(spec.definition_name or ""), str(result.diff))
            for spec, result in sorted(tried, key=lambda pair: pair[0].start_pos)
            if result.test_outcome is TestOutcome.SURVIVED
        ]
        sampled = len(session.work_items) - sum(
            result.worker_outcome is WorkerOutcome.SKIPPED for _, result in session.results
        )
        ended = sum(json.loads(str(result.output))["ended"] for _, result in tried)
        return Found(
            self.module,
            _digest(self.source),
            self.seed,
            sampled,
            len(tried),
            ended,
            survivors,
            self.only,
        )


def _waited(child: _Child) -> _Said | None:
    while not child.ended():
        time.sleep(0.05)
    said: _Said | None = child.said
    return said


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]


def shares(most: int) -> dict[str, int]:
    """How many of ``most`` mutants each module has: as many as its lines."""
    lines = {name: path_of(name).read_text("utf-8").count("\n") for name in MATHEMATICS}
    return {name: round(most * count / sum(lines.values())) for name, count in lines.items()}


def main(words: Sequence[str]) -> int:
    """Try the mutants of some modules, and write the page."""
    parser = argparse.ArgumentParser(prog="nox -s mutation --", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="such as numbers.terms")
    parser.add_argument("--most", type=int, help="mutants of each of them, instead of its share")
    parser.add_argument("--seed", type=int, default=SEED, help="of the sample")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="mutants at once")
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="of a module: begin none after that"
    )
    parser.add_argument("--only", default="", help="tests to ask, as pytest's -k: the fast ones")
    given = parser.parse_args(words)
    unknown = [name for name in given.modules if name not in MATHEMATICS]
    if unknown:
        parser.error(f"{', '.join(unknown)} given; wanted some of {', '.join(MATHEMATICS)}")
    _preloaded()
    code = 0
    for module in given.modules or MATHEMATICS:
        most = shares(ALL)[module] if given.most is None else given.most
        session = Session(module, most, given.seed, SESSIONS, given.only)
        found = session.run(given.workers, 60.0 * given.minutes)
        if found is None:
            code = 1
            continue
        write(found)
        print(found)
    return code


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
