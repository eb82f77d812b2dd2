"""How often λ matters, and how many gates are open, for each setting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.gatekeeper import accepted, begin
from crosscheck.frameworks.refusals import CrashedError
from crosscheck.network.dense import Case, Gradients
from crosscheck.numbers.arrays import Array
from crosscheck.studies.precision.gates import (
    BLOCK,
    EXACT_PRODUCTS,
    GateCounts,
    count_gates,
    is_explained,
    some_rows,
)
from crosscheck.studies.precision.settings import Setting, draw, require_count
from crosscheck.tools.errors import UnsupportedError
from crosscheck.tools.interrupts import interrupts
from crosscheck.tools.words import message_of

__all__ = ["FORMULATIONS", "Factory", "Influence", "Result", "influence", "measure"]

FORMULATIONS = ("where", "where_ge")
"""Two formulations that every built-in adapter has, alike but for λ: 0 for the first, 1 for the
second."""


class Factory(Protocol):
    """Builds the adapter under study; a subclass of `Framework` is one."""

    def __call__(self, *, formulation: str) -> Framework:
        """The adapter set to ``formulation``, a member of `FORMULATIONS`."""


@dataclass(frozen=True)
class Influence:
    """What λ does to the gradient of one case with respect to the parameters.

    Attributes:
        matters: Whether any entry is another number for λ = 1 than for λ = 0.
        change: ‖g₁ − g₀‖ / ‖g₀‖ in the Euclidean norm over all parameters, computed in float64
            from the framework's g₀ (λ = 0) and g₁ (λ = 1); 0 if λ does not matter, ∞ if it does
            and the quotient is not a finite number.
    """

    matters: bool
    change: float


@dataclass(frozen=True)
class Result:
    """What was measured for one setting.

    Attributes:
        setting: The setting.
        framework: Name of the framework.
        trials: Trials made; 0 if unsupported.
        matters: Trials in which λ mattered.
        largest_change: Largest `Influence.change` of all trials.
        counts: Classes of the gates, over the first ``gate_rows`` rows of the first
            ``gate_trials`` trials.
        gate_trials: Trials whose gates were counted.
        gate_rows: Rows whose gates were counted in each of them.
        unexplained: Trials in which λ mattered although the sign of every gate of the whole
            minibatch is certain, also for arithmetic that flushes subnormal numbers.
        unsupported: Why the framework cannot do the setting; empty if it can.
        failed: In which trial it failed, and how; empty if it did not. What other trials had
            shown is not told then.
    """

    setting: Setting
    framework: str
    trials: int = 0
    matters: int = 0
    largest_change: float = 0.0
    counts: GateCounts = field(default_factory=GateCounts)
    gate_trials: int = 0
    gate_rows: int = 0
    unexplained: int = 0
    unsupported: str = ""
    failed: str = ""

    @property
    def share(self) -> float:
        """Share of the trials in which λ mattered, in [0, 1]; NaN without trials."""
        return self.matters / self.trials if self.trials else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % confidence interval for `share`; (0, 1) without trials."""
        if not self.trials:
            return 0.0, 1.0
        z = 1.959963984540054  # quantile 0.975 of the normal distribution
        n, p = self.trials, self.share
        centre = p + z * z / (2 * n)
        half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        scale = 1 + z * z / n
        low = 0.0 if self.matters == 0 else max(0.0, (centre - half) / scale)
        high = 1.0 if self.matters == n else min(1.0, (centre + half) / scale)
        return low, high


def influence(zero: Framework, one: Framework, case: Case) -> Influence:
    """Compare the gradients of a single case with λ = 0 and with λ = 1.

    Args:
        zero: An adapter whose ReLU has the derivative 0 at 0.
        one: The same with the derivative 1.
        case: A single case.

    Raises:
        UnsupportedError: The framework cannot do the dtype of the case.
        CrashedError: It failed.
    """
    for framework in (zero, one):
        if case.dtype not in framework.dtypes:
            raise UnsupportedError(
                f"{framework.name}: {case.dtype} is none of its dtypes, "
                f"{', '.join(framework.dtypes)}"
            )
    awaited = [(each, begin(each, case)) for each in (zero, one)]
    before, after = (_flat(accepted(each, answer()[0])) for each, answer in awaited)
    if np.array_equal(before, after, equal_nan=True):
        return Influence(matters=False, change=0.0)
    with np.errstate(all="ignore"):
        change = float(np.linalg.norm(after - before) / np.linalg.norm(before))
    return Influence(matters=True, change=change if math.isfinite(change) else math.inf)


def _flat(gradients: Gradients) -> Array:
    """Every entry with respect to a parameter, as one float64 vector."""
    arrays = [*gradients.weights, *(bias for bias in gradients.biases if bias is not None)]
    return np.concatenate([np.asarray(array, dtype=np.float64).ravel() for array in arrays])


def measure(
    framework: Factory,
    settings: Sequence[Setting],
    *,
    trials: int = 100,
    seed: int = 0,
    gate_trials: int = 20,
    gate_rows: int = BLOCK,
    exact_products: int = EXACT_PRODUCTS,
) -> list[Result]:
    """How often λ matters, and how many gates are open, for each setting.

    Args:
        framework: Builds the adapter for each of `FORMULATIONS`: a subclass of `Framework`, say.
        settings: What to measure.
        trials: Trials of each setting, times its own ``repeat``; at least 1.
        seed: One seed gives one set of cases; not negative.
        gate_trials: How many of the trials have their gates counted; 0 or more.
        gate_rows: In how many rows of the minibatch. The images are in random order, so that the
            first ones are a random sample. At least 1.
        exact_products: See `count_gates`.

    Returns:
        One result per setting, in their order. Where the framework cannot do a dtype, or fails,
        the result has no trials and says why.

    Raises:
        UsageError: An argument is not as described, scikit-learn is not installed, or the
            framework lacks one of the two formulations.
    """
    for name, value, least in (
        ("trials", trials, 1),
        ("seed", seed, 0),
        ("gate_trials", gate_trials, 0),
        ("gate_rows", gate_rows, 1),
        ("exact_products", exact_products, 0),
    ):
        require_count(name, value, least)
    zero, one = (framework(formulation=name) for name in FORMULATIONS)
    results = []
    for setting in settings:
        try:
            with interrupts():  # swallowed by a library, one would be heard after half an hour
                result = _measure(zero, one, setting, trials * setting.repeat, seed)
        except UnsupportedError as error:
            results.append(Result(setting, zero.name, unsupported=message_of(error)))
            continue
        if result.failed:
            results.append(result)
            continue
        counted = min(gate_trials, result.trials)
        rows = min(gate_rows, setting.rows)
        counts = GateCounts()
        for trial in range(counted):
            case = some_rows(draw(setting, seed=seed, trial=trial), slice(0, rows))
            counts += count_gates(case, exact_products=exact_products)
        results.append(replace(result, counts=counts, gate_trials=counted, gate_rows=rows))
    return results


def _measure(zero: Framework, one: Framework, setting: Setting, trials: int, seed: int) -> Result:
    """The result for a setting, without its gates."""
    matters = unexplained = 0
    largest = 0.0
    for trial in range(trials):
        case = draw(setting, seed=seed, trial=trial)
        try:
            found = influence(zero, one, case)
        except CrashedError as error:
            return Result(setting, zero.name, failed=f"{error}; in trial {trial}")
        if found.matters:
            matters += 1
            largest = max(largest, found.change)
            unexplained += not is_explained(case)
    return Result(setting, zero.name, trials, matters, largest, unexplained=unexplained)
