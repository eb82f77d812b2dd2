"""Rates of the floor and of the sweep, by one process or by several at the same time."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import connection
from typing import TYPE_CHECKING, Any

from crosscheck.frameworks.refusals import CrashedError
from crosscheck.network.batch import Batch
from crosscheck.network.dense import Network
from crosscheck.studies.bench.cases import batches
from crosscheck.workers.patience import patient

if TYPE_CHECKING:
    from crosscheck.cases.stream.settings import Part, Shape
    from crosscheck.frameworks.base import Framework

__all__ = ["ONE_THREAD", "Plan", "Rate", "measure_batches"]

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
}
"""Variables that keep a worker to its own core, set where the user has not set them."""

_NOT_CACHED = 2**26
"""Bytes of the batches that a floor goes through in turn: cases are new to the caches, as those
of a sweep are."""

_PATIENCE = 10.0  # seconds, for the exit codes of workers when one has failed


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        shapes: Widths of the networks.
        dtypes: Of the cases.
        sizes: Cases in a batch of a floor. Those of a sweep have a size of their own.
        workers: Numbers of processes that work at the same time.
        frameworks: Names.
        seconds: How long each rate is measured for, each time; a third of that for parts of a sweep
            and of a floor.
        repeats: How often each rate is measured, in turns with the others.
        seed: Of the cases.
    """

    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[str, ...]
    sizes: tuple[int, ...]
    workers: tuple[int, ...]
    frameworks: tuple[str, ...]
    seconds: float
    repeats: int
    seed: int = 0


@dataclass(frozen=True)
class Rate:
    """How fast one thing was.

    Attributes:
        what: ``"floor"``; ``"floor, cached"``, of one batch again and again; ``"sweep"``, and of
            it ``"verdicts"`` and ``"cases"``; or a framework's name: its gradients alone.
        widths: Of the network.
        dtype: Of the cases.
        size: Cases in a batch; 1 for what is done case by case.
        workers: Processes at the same time; the rates of all are added.
        rates: Cases per second, one for each repeat.
        open: Share of cases, of those swept, that do not AGREE by all frameworks.
    """

    what: str
    widths: tuple[int, ...]
    dtype: str
    size: int
    workers: int
    rates: tuple[float, ...]
    open: float = 0.0


def measure_batches(plan: Plan, tell: Callable[[str], None] = lambda line: None) -> list[Rate]:
    """All rates of batches.

    Raises:
        CrashedError: A process ended early.
    """
    for variable, value in ONE_THREAD.items():
        os.environ.setdefault(variable, value)
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(max(plan.workers))
    pipes: list[Any] = []
    processes: list[Any] = []
    found = []
    try:
        for number in range(max(plan.workers)):
            here, there = context.Pipe(duplex=False)
            processes.append(context.Process(target=_work, args=(plan, number, barrier, there)))
            processes[-1].start()
            there.close()
            pipes.append(here)
        for _ in range(len(plan.shapes) * len(plan.dtypes)):
            for rate in _added(_received(pipes)):
                found.append(rate)
                tell(_line(rate))
    except EOFError:
        for process in processes:
            process.join(timeout=patient(_PATIENCE))
        codes = ", ".join(str(process.exitcode) for process in processes)
        raise CrashedError(f"a worker ended early; exit codes: {codes}") from None
    finally:
        for process in processes:
            if process.pid is not None:  # an interrupt may come before it was started
                process.kill()  # libraries may take their time to end; all is known by now
                process.join()
    return found


def _received(pipes: Sequence[Any]) -> list[list[Rate]]:
    """The next message of each worker.

    Raises:
        EOFError: One of them has ended, which the others may be waiting for.
    """
    found: dict[Any, list[Rate]] = {}
    while left := [pipe for pipe in pipes if pipe not in found]:
        ready: list[Any] = connection.wait(left)
        found |= {pipe: pipe.recv() for pipe in ready}
    return [found[pipe] for pipe in pipes]


def _line(rate: Rate) -> str:
    median = sorted(rate.rates)[len(rate.rates) // 2]
    name = "-".join(map(str, rate.widths))
    where = f"{name} {rate.dtype}, batches of {rate.size}, {rate.workers} worker(s)"
    return f"{where}: {rate.what} {median:,.0f} cases/s"


def _added(messages: Sequence[Sequence[Rate]]) -> Iterator[Rate]:
    """The rates of all workers together; the first takes part in everything."""
    for first in messages[0]:
        parts = [
            rate
            for message in messages
            for rate in message
            if (rate.what, rate.size, rate.workers) == (first.what, first.size, first.workers)
        ]
        rates = zip(*(part.rates for part in parts), strict=True)
        yield replace(first, rates=tuple(map(sum, rates)), open=max(part.open for part in parts))


def _work(plan: Plan, number: int, barrier: Any, pipe: Any) -> None:
    """One worker: everything of the plan, in step with the others."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[number % len(cores)]})
    from crosscheck.cases.stream.memory import keep_freed_memory
    from crosscheck.cases.stream.settings import Shape
    from crosscheck.frameworks.registry import open_frameworks

    keep_freed_memory()  # for a floor as well as for a sweep
    frameworks, _ = open_frameworks(plan.frameworks)
    for widths in plan.shapes:
        for dtype in plan.dtypes:
            shape = Shape(Network(widths), 1, dtype)
            blocks = range(number, 1 << 51, max(plan.workers))
            steps = _Steps(plan, shape, frameworks, blocks)
            pipe.send(_rates(plan, steps, number, barrier))
    pipe.close()


class _Steps:
    """What is measured for one shape, each as a function that says how many cases it was about.

    Attributes:
        floors: By the size of the batches.
        sweep: A step of a sweep.
        others: By what they are, and the size of the batches.
        open: Share of cases, of those swept, that do not AGREE by all frameworks.

    Args:
        plan: The sizes.
        shape: Of the cases.
        frameworks: Opened.
        numbers: Of the blocks of cases that are this worker's.
    """

    def __init__(
        self, plan: Plan, shape: Shape, frameworks: Sequence[Framework], numbers: Sequence[int]
    ) -> None:
        from crosscheck.cases.stream.settings import Settings

        self.shape, self._frameworks = shape, frameworks
        self._settings = Settings((shape,), 1 << 62, plan.seed)
        self._numbers = iter(numbers)
        self._swept = self._left = 0
        self.floors: dict[int, Callable[[], int]] = {}
        self.others: dict[tuple[str, int], Callable[[], int]] = {}
        for size in sorted({*plan.sizes, shape.batch}):
            self._add(size, batches(shape, size, plan.seed, iter(numbers)))

    def _add(self, size: int, produced: Iterator[Batch]) -> None:
        from crosscheck.frameworks.batched import batched
        from crosscheck.judge.compiled import FusedJudge

        first = next(produced)
        bytes_each = sum(array.nbytes for array in first.flatten())
        several = [first, *(next(produced) for _ in range(_NOT_CACHED // bytes_each))]
        coming = itertools.cycle(several)
        gradients = [batched(framework) for framework in self._frameworks]
        given = [each(first) for each in gradients]  # compiles

        def asked(which: Sequence[Callable[[Batch], Any]], batch: Callable[[], Batch]) -> int:
            what = batch()
            for each in which:
                each(what)
            return size

        def verdicts() -> int:
            FusedJudge(first).certified(given)
            return size

        new = partial(next, coming)
        self.floors[size] = partial(asked, gradients, new)
        self.others["floor, cached", size] = partial(asked, gradients, lambda: first)
        for each in gradients:
            self.others[each.framework.name, size] = partial(asked, [each], new)
        if size == self.shape.batch:
            self.others["cases", size] = self._cases
            self.others["verdicts", size] = verdicts

    def _new(self) -> Part:
        from crosscheck.cases.stream.settings import BLOCK, Part

        start = next(self._numbers) * BLOCK
        return Part(self.shape, start, start + BLOCK)

    def _cases(self) -> int:
        from crosscheck.run.sweep.check import batches_of

        return sum(made.batch.count for made in batches_of(self._new(), self._settings))

    def sweep(self) -> int:
        from crosscheck.cases.stream.settings import BLOCK
        from crosscheck.run.sweep.check import check_parts
        from crosscheck.run.sweep.engine import step_size

        parts = [self._new() for _ in range(step_size(self._settings) // BLOCK)]
        done = check_parts(parts, self._settings, self._frameworks)
        count = sum(part.summary.count for part in done)
        self._swept += count
        self._left += sum(len(part.cases) for part in done)
        return count

    @property
    def open(self) -> float:
        return self._left / self._swept


def _rates(plan: Plan, steps: _Steps, number: int, barrier: Any) -> list[Rate]:
    """Everything in turns, with one worker and with several.

    The speed of a machine that others use as well changes from one second to the next. So each
    floor is measured before a sweep and after it, one half each, at the same distance from it.

    Args:
        plan: How long and how often.
        steps: What is measured.
        number: Of this worker. It looks on where fewer are wanted.
        barrier: Where all workers meet before each turn.
    """
    batch = steps.shape.batch
    keys = [*(("floor", size) for size in steps.floors), ("sweep", batch), *steps.others]
    rates: dict[tuple[str, int, int], list[float]] = {
        (*key, workers): [] for workers in plan.workers for key in keys
    }

    def turn(step: Callable[[], int], seconds: float, workers: int) -> tuple[int, float]:
        barrier.wait()
        done, start = 0, time.perf_counter()
        if number >= workers:
            return 0, 1.0
        while (elapsed := time.perf_counter() - start) < seconds or not done:
            done += step()
        return done, elapsed

    for step in (*steps.floors.values(), steps.sweep, *steps.others.values()):
        step()
    floors = sorted(steps.floors.items(), key=lambda floor: floor[0] == batch)  # this one last
    for workers in plan.workers * plan.repeats:
        before = [turn(step, plan.seconds / 2, workers) for _, step in floors]
        done, elapsed = turn(steps.sweep, plan.seconds, workers)
        rates["sweep", batch, workers].append(done / elapsed)
        after = [turn(step, plan.seconds / 2, workers) for _, step in reversed(floors)]
        for (size, _), one, two in zip(floors, before, reversed(after), strict=True):
            rates["floor", size, workers].append((one[0] + two[0]) / (one[1] + two[1]))
        for key, step in steps.others.items():
            done, elapsed = turn(step, plan.seconds / 3, workers)
            rates[*key, workers].append(done / elapsed)
    shape = steps.shape
    return [
        Rate(
            what,
            shape.network.widths,
            shape.dtype,
            size,
            workers,
            tuple(found),
            steps.open if what == "sweep" else 0.0,
        )
        for (what, size, workers), found in rates.items()
        if number < workers
    ]
