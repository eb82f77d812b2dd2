"""Rates of the floor and of the sweep, by one process or by several at the same time."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from harness.network import Network

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
        seconds: How long each rate is measured for, each time.
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
        memory: Bytes of the largest process so far; 0 where it was not looked at.
        open: Share of cases, of those swept, that do not AGREE by all frameworks.
    """

    what: str
    widths: tuple[int, ...]
    dtype: str
    size: int
    workers: int
    rates: tuple[float, ...]
    memory: int = 0
    open: float = 0.0


def measure_batches(plan: Plan, tell: Callable[[str], None] = lambda line: None) -> list[Rate]:
    """All rates of batches. Processes are started anew for each number of workers."""
    for variable, value in ONE_THREAD.items():
        os.environ.setdefault(variable, value)
    found = []
    context = multiprocessing.get_context("spawn")
    for workers in plan.workers:
        barrier = context.Barrier(workers)
        pipes, processes = [], []
        try:
            for number in range(workers):
                here, there = context.Pipe(duplex=False)
                arguments = (plan, number, workers, barrier, there)
                processes.append(context.Process(target=_work, args=arguments))
                processes[-1].start()
                there.close()
                pipes.append(here)
            while parts := [part for pipe in pipes if (part := pipe.recv()) is not None]:
                found.append(_added(parts, workers))
                tell(_line(found[-1]))
        except EOFError:
            for process in processes:
                process.join(timeout=_PATIENCE)
            codes = ", ".join(str(process.exitcode) for process in processes)
            raise RuntimeError(f"a worker ended early; exit codes: {codes}") from None
        finally:
            for process in processes:
                if process.pid is not None:  # an interrupt may come before it was started
                    process.kill()  # libraries may take their time to end; all is known by now
                    process.join()
    return found


def _line(rate: Rate) -> str:
    median = sorted(rate.rates)[len(rate.rates) // 2]
    name = "-".join(map(str, rate.widths))
    where = f"{name} {rate.dtype}, batches of {rate.size}, {rate.workers} worker(s)"
    return f"{where}: {rate.what} {median:,.0f} cases/s"


def _added(parts: Sequence[Rate], workers: int) -> Rate:
    first = parts[0]
    return Rate(
        first.what,
        first.widths,
        first.dtype,
        first.size,
        workers,
        tuple(sum(rates) for rates in zip(*(part.rates for part in parts), strict=True)),
        max(part.memory for part in parts),
        max(part.open for part in parts),
    )


def _work(plan: Plan, number: int, workers: int, barrier: Any, pipe: Any) -> None:
    """One worker: everything of the plan, in step with the others."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[number % len(cores)]})
    from harness.frameworks.batched import batched
    from harness.frameworks.registry import open_frameworks
    from harness.sweep.memory import keep_freed_memory
    from harness.sweep.settings import Shape

    keep_freed_memory()  # for a floor as well as for a sweep
    frameworks, _ = open_frameworks(plan.frameworks)
    for widths in plan.shapes:
        for dtype in plan.dtypes:
            for size in sorted({*plan.sizes, Shape(Network(widths), 1, dtype).batch}):
                gradients = [batched(framework) for framework in frameworks]
                for rate in _rates(plan, gradients, widths, dtype, size, number, workers, barrier):
                    pipe.send(rate)
    pipe.send(None)
    pipe.close()


def _rates(
    plan: Plan,
    frameworks: Sequence[Any],
    widths: tuple[int, ...],
    dtype: str,
    size: int,
    number: int,
    workers: int,
    barrier: Any,
) -> list[Rate]:
    from harness.bench.cases import batches
    from harness.fused import FusedJudge
    from harness.sweep.check import batches_of, check_parts
    from harness.sweep.engine import step_size
    from harness.sweep.settings import BLOCK, Part, Settings, Shape

    shape = Shape(Network(widths), 1, dtype)
    settings = Settings((shape,), 1 << 62, plan.seed)
    places = iter(range(number, 1 << 51, workers))
    produced = batches(shape, size, plan.seed, iter(range(number, 1 << 51, workers)))
    first = next(produced)
    bytes_each = sum(array.nbytes for array in first.arrays)
    several = [first, *(next(produced) for _ in range(_NOT_CACHED // bytes_each))]
    coming = itertools.cycle(several)
    given = [gradients(first) for gradients in frameworks]  # compiles
    swept = left = 0

    # Each step returns how many cases it was about.

    def floor() -> int:
        batch = next(coming)
        for gradients in frameworks:
            gradients(batch)
        return size

    def cached() -> int:
        for gradients in frameworks:
            gradients(first)
        return size

    def alone(gradients: Any) -> int:
        gradients(next(coming))
        return size

    def verdicts() -> int:
        FusedJudge(first).certified(given)
        return size

    def new() -> Part:
        start = next(places) * BLOCK
        return Part(shape, start, start + BLOCK)

    def cases() -> int:
        return sum(made.batch.count for made in batches_of(new(), settings))

    def sweep() -> int:
        """A step of a sweep."""
        nonlocal swept, left
        parts = [new() for _ in range(step_size(settings) // BLOCK)]
        done = check_parts(parts, settings, [each.framework for each in frameworks])
        count = sum(part.summary.count for part in done)
        swept += count
        left += sum(len(part.cases) for part in done)
        return count

    steps: dict[str, Callable[[], int]] = {"floor": floor, "floor, cached": cached}
    for gradients in frameworks:
        steps[gradients.framework.name] = partial(alone, gradients)
    if size == shape.batch:
        steps |= {"sweep": sweep, "cases": cases, "verdicts": verdicts}
    rates: dict[str, list[float]] = {what: [] for what in steps}
    for step in steps.values():
        step()
    for _ in range(plan.repeats):
        for what, step in steps.items():
            barrier.wait()
            done, start = 0, time.perf_counter()
            while (elapsed := time.perf_counter() - start) < plan.seconds or not done:
                done += step()
            rates[what].append(done / elapsed)
    memory = _largest_so_far()
    return [
        Rate(what, widths, dtype, size, 1, tuple(found), memory, left / swept if swept else 0.0)
        for what, found in rates.items()
    ]


def _largest_so_far() -> int:
    """Bytes of memory this process has held at the most; 0 where the system does not say."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
