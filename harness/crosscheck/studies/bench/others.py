"""What users do today, case by case."""

from __future__ import annotations

import operator
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from crosscheck.cases.stream.settings import Shape
from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.gatekeeper import required
from crosscheck.network.batch import Batch
from crosscheck.network.dense import Case, Gradients, Network
from crosscheck.studies import peers
from crosscheck.studies.bench.batches import Plan, Rate
from crosscheck.studies.bench.cases import batches

__all__ = ["measure_loops"]


def measure_loops(plan: Plan, tell: Callable[[str], None] = lambda line: None) -> list[Rate]:
    """Rates of eager gradients with a tolerance, and of the frameworks' own checkers."""
    from crosscheck.frameworks.registry import open_frameworks

    frameworks, _ = open_frameworks(plan.frameworks)
    eager = {each.name: "eager" for each in frameworks if "eager" in each.modes}
    frameworks, _ = open_frameworks(plan.frameworks, modes=eager)
    found = []
    for widths in plan.shapes:
        for dtype in plan.dtypes:
            batch = next(batches(Shape(Network(widths), 1, dtype), 64, plan.seed, [1]))
            cases = [batch.case([index])[0] for index in range(batch.count)]
            right = _right(batch)
            steps: dict[str, Callable[[Case], Any]] = {"loop": partial(_loop, frameworks)}
            for checker in peers.CHECKERS:
                if any(_belongs(checker, framework.name) for framework in frameworks):
                    steps[checker] = partial(_check, checker, right)
            for what, step in steps.items():
                rates = tuple(_rate(step, cases, plan.seconds) for _ in range(plan.repeats))
                found.append(Rate(what, widths, dtype, 1, 1, rates))
                name = "-".join(map(str, widths))
                tell(
                    f"{name} {dtype}, case by case: {what} {statistics.median(rates):,.1f} cases/s"
                )
    return found


def _belongs(checker: str, framework: str) -> bool:
    module = {"torch": ("torch", "gradcheck"), "jax": ("jax",), "tensorflow": ("tf",)}
    return checker.startswith(module.get(framework, (framework,)))


def _right(batch: Batch) -> dict[str, Gradients]:
    from crosscheck.network.reference import gradients

    stack = batch.case()
    found = gradients(stack)
    return {stack[index].key: found[index] for index in range(batch.count)}


def _check(checker: str, right: Mapping[str, Gradients], case: Case) -> None:
    peers.accepts(checker, case, right[case.key])


def _loop(frameworks: Sequence[Framework], case: Case) -> None:
    """As a user would write it: gradients one after the other, all close to the first."""
    compare = operator.attrgetter("testing.assert_allclose")(np)
    first, *others = (required(framework, case) for framework in frameworks)
    for other in others or [first]:
        for (_, one), (_, value) in zip(first.entries(), other.entries(), strict=True):
            try:
                compare(value, one)
            except AssertionError:
                continue  # float32 leaves the defaults; that is not what is measured


def _rate(step: Callable[[Case], Any], cases: Sequence[Case], seconds: float) -> float:
    """Cases per second. The first case is not counted: whatever is traced is traced for it."""
    step(cases[0])
    start, count = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - start) < seconds or not count:
        step(cases[count % len(cases)])
        count += 1
    return count / elapsed
