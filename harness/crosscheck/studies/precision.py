"""How often the derivative of ReLU at 0 matters: a study by precision, width, depth and batch.

Bertoin, Bolte, Gerchinovitz and Pauwels, *Numerical influence of ReLU'(0) on backpropagation*
(NeurIPS 2021), found that the number λ = ReLU'(0) changes what backpropagation returns: nearly
always in 16 bits, sometimes in 32, never in 64. Here the same is measured on fully connected
networks at their initialisation, with scikit-learn's digits as data:

- Each trial draws a network and a minibatch. A framework computes the gradient twice, in the
  dtype asked for, and only λ differs: ``where(z > 0, z, 0)`` has λ = 0, ``where(z >= 0, z, 0)``
  has λ = 1. λ *matters* if any entry of the gradient with respect to the parameters is another
  number. +0 and −0 are the same number, and so are two NaNs.
- The gates of the same networks are put into classes by proof (`count_gates`): *kink* where the
  pre-activation z is exactly zero in exact arithmetic, *undecided* where z is not zero and a
  correct evaluation may land on either side of it or on it. At all other gates every correct
  evaluation has z ≠ 0, so that λ cannot matter there.

The share of these *open* gates is a worst case over all correct evaluations, the share of trials
is what one evaluation did. So open gates are necessary for λ to matter and far from sufficient:
the framework's own z has to be zero. A trial in which λ mattered and no gate is open contradicts
this and is counted as *unexplained*.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.gatekeeper import required
from crosscheck.judge.enclosed import Enclosed
from crosscheck.network.dense import Case, Gradients, Network
from crosscheck.network.exact import exact_forward
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.double_double import DoubleDouble
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import WORKING, format_of
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.numbers.model import Model
from crosscheck.studies.digits import load_images
from crosscheck.tools.errors import UnsupportedError, UsageError
from crosscheck.tools.interrupts import interrupts

__all__ = [
    "DTYPES",
    "FORMULATIONS",
    "Factory",
    "GateCounts",
    "Influence",
    "Result",
    "Setting",
    "count_gates",
    "default_settings",
    "draw",
    "influence",
    "measure",
    "quick_settings",
]

FORMULATIONS = ("where", "where_ge")
"""Two formulations that every built-in adapter has, alike but for λ: 0 for the first, 1 for the
second."""

DTYPES = tuple(reversed(WORKING))
"""The dtypes of the study."""

Mask = NDArray[np.bool_]

_PIXELS, _DIGITS, _IMAGES = 64, 10, 1797

_EXACT_PRODUCTS = 100_000
"""Products of rationals for the gates of one case: a twentieth of a second, a quarter without
python-flint."""

_BLOCK = 32
"""Rows of a batch that are enclosed at a time."""


class Factory(Protocol):
    """Builds the adapter under study; a subclass of `Framework` is one."""

    def __call__(self, *, formulation: str) -> Framework:
        """The adapter set to ``formulation``, a member of `FORMULATIONS`."""


@dataclass(frozen=True)
class Setting:
    """One network shape, batch size and dtype of the study.

    Attributes:
        hidden: Units of each hidden layer, each with ReLU; at least one layer.
        dtype: A name in `crosscheck.numbers.formats.FORMATS`.
        rows: Images in a minibatch, 1 to 1,797.
        repeat: Trials of this setting for each trial asked for: more where λ matters rarely.
        zero_biases: Whether all biases are zero: then a layer whose units are all inactive for an
            image makes kinks of the next layer's pre-activations, all zero.

    Raises:
        UsageError: An attribute is not as described.
    """

    hidden: tuple[int, ...]
    dtype: str
    rows: int = 32
    repeat: int = 1
    zero_biases: bool = False

    def __post_init__(self) -> None:
        format_of(self.dtype)
        if not isinstance(self.hidden, tuple) or not self.hidden:
            raise UsageError(f"hidden={self.hidden!r}: wanted a tuple with at least one width")
        Network(self.widths)
        for name, value, most in (
            ("rows", self.rows, _IMAGES),
            ("repeat", self.repeat, None),
        ):
            _require_count(name, value, 1, most)

    @property
    def widths(self) -> tuple[int, ...]:
        """``(64, *hidden, 10)``: pixels, hidden layers, digits."""
        return (_PIXELS, *self.hidden, _DIGITS)

    @property
    def gates(self) -> int:
        """ReLU evaluations in one forward pass over the minibatch."""
        return self.rows * sum(self.hidden)


@dataclass(frozen=True)
class GateCounts:
    """How many gates there are of each class.

    Attributes:
        gates: All that were looked at.
        undecided: Open, and z ≠ 0 in exact arithmetic.
        kinks: Open, and z = 0 in exact arithmetic.
        unclassified: Open, and not known whether z = 0: neither the enclosure nor the limited
            number of rows evaluated on rationals has settled it.
    """

    gates: int = 0
    undecided: int = 0
    kinks: int = 0
    unclassified: int = 0

    def __add__(self, other: GateCounts) -> GateCounts:
        return GateCounts(
            self.gates + other.gates,
            self.undecided + other.undecided,
            self.kinks + other.kinks,
            self.unclassified + other.unclassified,
        )

    @property
    def open(self) -> int:
        """Gates whose sign is not the same for every correct evaluation."""
        return self.undecided + self.kinks + self.unclassified

    def share(self, count: int) -> float:
        """``count`` of all gates, in [0, 1]; 0 if there are none."""
        return count / self.gates if self.gates else 0.0


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
    """

    setting: Setting
    framework: str
    trials: int = 0
    matters: int = 0
    largest_change: float = 0.0
    counts: GateCounts = GateCounts()
    gate_trials: int = 0
    gate_rows: int = 0
    unexplained: int = 0
    unsupported: str = ""

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


def default_settings(dtypes: Sequence[str] = DTYPES) -> list[Setting]:
    """The grid of the study: three series of networks, each in every dtype.

    Two hidden layers of 16, 64 and 256 units; 1, 2, 4 and 6 hidden layers of 64 units; and two
    layers of 256 units on minibatches of 32, 256 and all 1,797 images. The last one has ten
    times the trials in float32. A narrow network without biases, six layers of 4 units, comes
    with them: it has kinks in every dtype.
    """
    shapes: list[tuple[tuple[int, ...], int]] = [((width, width), 32) for width in (16, 64, 256)]
    shapes += [((64,) * depth, 32) for depth in (1, 4, 6)]
    shapes += [((256, 256), rows) for rows in (256, _IMAGES)]
    settings = []
    for dtype in dtypes:
        for hidden, rows in shapes:
            repeat = 10 if rows == _IMAGES and dtype == "float32" else 1
            settings.append(Setting(hidden, dtype, rows, repeat))
        settings.append(Setting((4,) * 6, dtype, zero_biases=True))
    return settings


def quick_settings(dtypes: Sequence[str] = DTYPES) -> list[Setting]:
    """A small grid, for a first look and for tests: a few seconds at 20 trials."""
    shapes: list[tuple[int, ...]] = [(16, 16), (64, 64), (64,) * 4]
    return [Setting(hidden, dtype) for dtype in dtypes for hidden in shapes]


@cache
def _digits() -> tuple[Array, Array]:
    """The pixels divided by 16, shape (1797, 64), and the one-hot labels, shape (1797, 10)."""
    pixels, labels = load_images("precision")
    return pixels / 16.0, np.eye(_DIGITS)[labels]


@in_ieee_arithmetic
def draw(setting: Setting, *, seed: int, trial: int) -> Case:
    """The case of one trial.

    Weights are He's, Gaussian with variance 2 / n for n inputs. Biases are uniform in ±n^-½,
    PyTorch's default, unless the setting has none. Pixels are divided by 16, so
    that they lie in [0, 1] and are exact in every dtype. Targets are one-hot, the output is
    linear, the loss is a mean over the rows. The same seed and trial give the same minibatch for
    every shape, and the same parameters, before they are rounded to the dtype, for every dtype.

    Args:
        setting: Shape, dtype and rows.
        seed: Of the study; not negative.
        trial: Number of the trial, from 0.

    Raises:
        UsageError: scikit-learn is not installed.
    """
    pixels, targets = _digits()
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, trial])))
    rows = rng.permutation(len(pixels))[: setting.rows]
    pairs = list(zip(setting.widths[1:], setting.widths[:-1], strict=True))
    weights = [rng.standard_normal(pair) * math.sqrt(2.0 / pair[1]) for pair in pairs]
    size = 0.0 if setting.zero_biases else 1.0
    biases = [size * rng.uniform(-1.0, 1.0, units) / math.sqrt(inputs) for units, inputs in pairs]
    return Case.of(
        weights,
        biases,
        pixels[rows],
        targets[rows],
        dtype=setting.dtype,
        output="identity",
        reduction="mean",
    )


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
    before, after = _flat(required(zero, case)), _flat(required(one, case))
    if np.array_equal(before, after, equal_nan=True):
        return Influence(matters=False, change=0.0)
    with np.errstate(all="ignore"):
        change = float(np.linalg.norm(after - before) / np.linalg.norm(before))
    return Influence(matters=True, change=change if math.isfinite(change) else math.inf)


def _flat(gradients: Gradients) -> Array:
    """Every entry with respect to a parameter, as one float64 vector."""
    arrays = [*gradients.weights, *(bias for bias in gradients.biases if bias is not None)]
    return np.concatenate([np.asarray(array, dtype=np.float64).ravel() for array in arrays])


@in_ieee_arithmetic
def count_gates(case: Case, *, exact_products: int = _EXACT_PRODUCTS) -> GateCounts:
    """Put every gate of a single finite case into its class, by proof.

    A gate is open where `crosscheck.judge.gates.certain_signs` proves no sign, for arithmetic that
    keeps subnormal numbers. Whether the exact z of an open gate is zero follows from the enclosure
    |c − z| <= r nearly always: z ≠ 0 if |c| > r, z = 0 if c = r = 0. For the gates that are left,
    the rows they are in are evaluated on rationals, as many as ``exact_products`` allows; what
    lies in further rows is counted as unclassified, and nothing is extrapolated.

    Args:
        case: A single case.
        exact_products: Most products of rationals to form, 0 or more; a row takes as many as
            there are weights.
    """
    _require_count("exact_products", exact_products, 0)
    enclosed = Enclosed(case, Model(format_of(case.dtype)))
    counts = GateCounts()
    left: list[tuple[int, Mask]] = []
    for layer, sign in enumerate(enclosed.signs):
        if sign is None:
            continue
        enclosure: Enclosure = enclosed.trace.pre_activations[layer]
        is_open = sign == 0
        nonzero, zero = _settled(enclosure)
        unsettled = is_open & ~nonzero & ~zero
        left.append((layer, unsettled))
        counts += GateCounts(
            sign.size,
            int((is_open & nonzero).sum()),
            int((is_open & zero).sum()),
            int(unsettled.sum()),
        )
    if not counts.unclassified:
        return counts
    rows = np.flatnonzero(np.any([unsettled.any(axis=-1) for _, unsettled in left], axis=0))
    rows = rows[: exact_products // sum(weight.size for weight in case.weights)]
    if not len(rows):
        return counts
    exact = exact_forward(_some_rows(case, rows))
    found = zeros = 0
    for layer, unsettled in left:
        here = unsettled[rows]
        found += int(here.sum())
        zeros += int((here & (exact.pre_activations[layer] == 0)).sum())
    return counts + GateCounts(0, found - zeros, zeros, -found)


def _settled(z: Enclosure) -> tuple[Mask, Mask]:
    """Where the exact z is proved not to be zero, and where it is proved to be; bool arrays."""
    size = np.abs(z.high)
    low = np.abs(z.c.low) if isinstance(z.c, DoubleDouble) else np.zeros_like(size)
    # Rounding is monotonic, so fl(size - low) > r proves size - low > r, hence |c| > r.
    nonzero: Mask = size - low > z.r
    zero: Mask = (z.r == 0) & (size == 0) & (low == 0)
    return nonzero, zero


def _some_rows(case: Case, rows: slice | NDArray[np.intp]) -> Case:
    """The case on some rows of its batch only: the gates of a row do not depend on the others."""
    return replace(case, x=case.x[rows], y=case.y[rows])


@in_ieee_arithmetic
def _is_explained(case: Case) -> bool:
    """Whether any gate is open, for arithmetic that may flush subnormal numbers or keep them."""
    model = Model(format_of(case.dtype), flush=True)
    return any(
        bool(Enclosed(_some_rows(case, slice(start, start + _BLOCK)), model).has_open_gates)
        for start in range(0, case.rows, _BLOCK)
    )


def measure(
    framework: Factory,
    settings: Sequence[Setting],
    *,
    trials: int = 100,
    seed: int = 0,
    gate_trials: int = 20,
    gate_rows: int = _BLOCK,
    exact_products: int = _EXACT_PRODUCTS,
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
        One result per setting, in their order. Where the framework cannot do a dtype, the result
        has no trials and says why.

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
        _require_count(name, value, least)
    zero, one = (framework(formulation=name) for name in FORMULATIONS)
    results = []
    for setting in settings:
        try:
            with interrupts():  # swallowed by a library, one would be heard after half an hour
                result = _measure(zero, one, setting, trials * setting.repeat, seed)
        except UnsupportedError as error:
            reason = " ".join(str(error).split())
            results.append(Result(setting, zero.name, unsupported=reason))
            continue
        counted = min(gate_trials, result.trials)
        rows = min(gate_rows, setting.rows)
        counts = GateCounts()
        for trial in range(counted):
            case = _some_rows(draw(setting, seed=seed, trial=trial), slice(0, rows))
            counts += count_gates(case, exact_products=exact_products)
        results.append(replace(result, counts=counts, gate_trials=counted, gate_rows=rows))
    return results


def _measure(zero: Framework, one: Framework, setting: Setting, trials: int, seed: int) -> Result:
    """The result for a setting, without its gates."""
    matters = unexplained = 0
    largest = 0.0
    for trial in range(trials):
        case = draw(setting, seed=seed, trial=trial)
        found = influence(zero, one, case)
        if found.matters:
            matters += 1
            largest = max(largest, found.change)
            unexplained += not _is_explained(case)
    return Result(setting, zero.name, trials, matters, largest, unexplained=unexplained)


def _require_count(name: str, value: object, least: int, most: int | None = None) -> None:
    within = isinstance(value, int) and not isinstance(value, bool) and value >= least
    if not within or (most is not None and isinstance(value, int) and value > most):
        wanted = f"{least} or more" if most is None else f"{least} to {most}"
        raise UsageError(f"{name}={value!r}: wanted a whole number, {wanted}")
