"""Kinks of small networks by brute force: polynomials in all slopes, cells shown by random points.

Nothing here is shared with `crosscheck.judge.kinks.influence` or `crosscheck.judge.kinks.clarke`.
What a reading says is held against the gradient as polynomials, whose coefficients are all there; a
membership against the gradients at exact points near the kinks, and the distance from their convex
hull, which HiGHS minimises. Points show cells that are there and may miss some: before "inside" is
called wrong, many more are drawn.

As a program it measures: ``python tests/brute.py 10000 1`` judges from seed 1 on until so many
verdicts are there, and prints what was right, wrong and not decided.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from scipy.optimize import linprog  # type: ignore[import-untyped]

from crosscheck.judge.compare import Judge
from crosscheck.judge.decisions import Effect, GateClass
from crosscheck.judge.verdict import Kind, Verdict
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.exact import nearest_floats
from crosscheck.network.reference import Trace, backward, forward
from crosscheck.numbers.multilinear import Multilinear, slope_symbol

Site = tuple[int, int, int]
MOST_KINKS = 12
_FINE = 200
"""Of the whole numbers that points near a kink are given in, the power of two that is 1."""

ROUNDING = 2.0**-30
"""Far above what rounding does to these gradients, far below what another slope does."""


@dataclass(frozen=True)
class Drawn:
    """A case at kinks, and a gradient of it.

    Attributes:
        case: Small whole numbers.
        slopes: λ at each kink.
        given: The gradient with these slopes, correctly rounded.
        biases: ``"all"``, ``"some"`` or ``"none"``.
        how: How the slopes were drawn.
        seed: Of the whole.
    """

    case: Case
    slopes: dict[Site, float]
    given: Gradients
    biases: str
    how: str
    seed: int


def fractions(values: Any) -> Any:
    """Floats as fractions, in an array of the same shape."""
    return np.vectorize(lambda value: Fraction(float(value)), otypes=[object])(values)


def exact_trace(case: Case) -> Trace:
    """The forward pass on fractions."""
    return forward(
        case.network,
        [fractions(weight) for weight in case.weights],
        [None if bias is None else fractions(bias) for bias in case.biases],
        fractions(case.x),
        lambda z: np.where(z > 0, z, 0 * z),
    )


def gradient(case: Case, trace: Trace, slopes: dict[Site, Any]) -> Gradients:
    """The exact gradient with numbers or symbols at the kinks."""
    gates: list[Any] = []
    for layer, z in enumerate(trace.pre_activations, start=1):
        gate = (z > 0).astype(object) if case.network.has_relu(layer) else None
        gates.append(gate)
    for (layer, row, unit), slope in slopes.items():
        value = slope if isinstance(slope, Multilinear) else Fraction(slope)
        gates[layer - 1][row, unit] = value
    weights = [fractions(weight) for weight in case.weights]
    return backward(case.network, weights, case.biases, trace, fractions(case.y), gates)


def kinks(case: Case, trace: Trace) -> list[Site]:
    """Where a pre-activation is exactly zero."""
    return [
        (layer, int(row), int(unit))
        for layer, z in enumerate(trace.pre_activations, start=1)
        if case.network.has_relu(layer)
        for row, unit in np.argwhere(z == 0)
    ]


def drawn_case(rng: np.random.Generator, biases: str) -> Case:
    """A network of small whole numbers, rich in kinks."""
    depth = int(rng.integers(1, 5))
    widths = [int(width) for width in rng.integers(1, 4, size=depth + 1)]
    rows, shapes = int(rng.integers(1, 4)), list(zip(widths[1:], widths[:-1], strict=True))
    share = {"all": 1.0, "some": 0.5, "none": 0.0}[biases]
    x = rng.integers(-2, 3, (rows, widths[0]))
    x[rng.random(rows) < 0.3] = 0
    return Case.of(
        [rng.integers(-2, 3, shape) for shape in shapes],
        [rng.integers(-1, 2, shape[0]) if rng.random() < share else None for shape in shapes],
        x,
        rng.integers(-3, 6, (rows, widths[-1])),
        output="identity" if rng.random() < 0.6 else "relu",
        reduction="mean" if rows == 2 and rng.random() < 0.3 else "sum",
    )


def drawn_slopes(rng: np.random.Generator, sites: list[Site]) -> tuple[str, dict[Site, float]]:
    """Slopes as frameworks have them, or mixed, or of another kind."""
    how = str(rng.choice(["uniform", "uniform", "mixed", "by layer", "other"]))
    among = [0.0, 0.5, 1.0]
    if how == "uniform":
        return how, dict.fromkeys(sites, float(rng.choice(among)))
    if how == "by layer":
        of = {layer: float(rng.choice(among)) for layer in range(1, 6)}
        return how, {site: of[site[0]] for site in sites}
    if how == "other":
        among = [0.25, 0.75, 1 / 3, 2 / 3, float(rng.random()), float(rng.random()), 1.0]
    return how, {site: float(rng.choice(among)) for site in sites}


def draw(first: int = 0, most: int = MOST_KINKS) -> Iterator[Drawn]:
    """Cases with one to ``most`` kinks, without end."""
    seed = first
    while True:
        rng = np.random.default_rng([7, seed])
        biases = ("all", "some", "none", "none")[seed % 4]
        seed, here = seed + 1, seed
        case = drawn_case(rng, biases)
        trace = exact_trace(case)
        sites = kinks(case, trace)
        if not 1 <= len(sites) <= most:
            continue
        how, slopes = drawn_slopes(rng, sites)
        given = nearest_floats(gradient(case, trace, dict(slopes)))
        yield Drawn(case, slopes, given, biases, how, here)


# -- readings ------------------------------------------------------------------------------


def polynomials(case: Case, trace: Trace, sites: list[Site]) -> list[Multilinear]:
    """Every entry of the gradient, in the slopes of all kinks."""
    found = gradient(case, trace, {site: slope_symbol(site) for site in sites})
    return [
        Multilinear.of(value)
        for name, array in found.entries()
        if name != "J"
        for value in np.asarray(array, dtype=object).ravel()
    ]


def wrong_readings(case: Case, trace: Trace, verdict: Verdict) -> str:
    """What is wrong about the gates that are said to have no effect; empty if nothing is."""
    sites = kinks(case, trace)
    readings = {(gate.layer, gate.row, gate.unit): gate for gate in verdict.gates}
    silent = {site for site, gate in readings.items() if gate.effect is Effect.NONE}
    heard = {
        site: Fraction(gate.slope) for site, gate in readings.items() if gate.slope is not None
    }
    entries = polynomials(case, trace, sites)
    if any(silent & set(entry.at(heard).slopes) for entry in entries):
        return "it varies with slopes that are said to have no effect"
    return ""


# -- membership ----------------------------------------------------------------------------


def block_of(found: Gradients, row: int | None) -> tuple[Any, ...]:
    """The derivatives with respect to the parameters, or to the inputs of one row."""
    if row is not None:
        return tuple(found.x[row])
    parts = [part for pair in zip(found.weights, found.biases, strict=True) for part in pair]
    return tuple(value for part in parts if part is not None for value in part.ravel())


class Cells:
    """Gradients of cells that touch a point, as far as random points nearby show them."""

    def __init__(self, case: Case, trace: Trace, row: int | None, seed: int) -> None:
        self.case, self.trace, self.row = case, trace, row
        self.sites = [site for site in kinks(case, trace) if row is None or site[1] == row]
        self.rng = np.random.default_rng([11, seed])
        self.patterns: set[tuple[int, ...]] = set()
        self.gradients: dict[tuple[Any, ...], None] = {}

    def look(self, count: int) -> None:
        """Draws so many points more."""
        for _ in range(count):
            pattern = self._pattern()
            if pattern not in self.patterns:
                self.patterns.add(pattern)
                slopes = dict(zip(self.sites, pattern, strict=True))
                found = gradient(self.case, self.trace, slopes)
                self.gradients[block_of(found, self.row)] = None

    def _moved(self, values: Any, scale: int, moves: bool) -> Any:
        """Whole numbers near 2^200 times the values; each layer, unit and entry at its scale."""
        exact = np.array([int(v) << _FINE for v in values.ravel()], dtype=object)
        exact = exact.reshape(values.shape)
        if not moves:
            return exact
        spread = self.rng.integers(0, 1 + self.rng.integers(1, 12), values.shape)
        steps = self.rng.integers(-1_000_000_000, 1_000_000_001, values.shape)
        if self.rng.random() < 0.5:  # directions nearly along the axes' diagonals
            steps = np.sign(steps) * 10**12 + steps
        moved = [
            int(step) << (scale + int(s)) for step, s in zip(steps.flat, spread.flat, strict=True)
        ]
        return exact + np.array(moved, dtype=object).reshape(values.shape)

    def _pattern(self) -> tuple[int, ...]:
        case, rng = self.case, self.rng
        a = self._moved(case.x, 10, self.row is not None)
        unit, found = 1 << _FINE, {}
        scale = 0
        for layer, (weight, bias) in enumerate(zip(case.weights, case.biases, strict=True), 1):
            scale = int(rng.integers(0, 5)) * 20
            z = a @ self._moved(weight, scale, self.row is None).T
            if bias is not None:
                z = z + self._moved(bias, scale, self.row is None) * unit
            unit <<= _FINE
            for row, i in [(r, i) for at, r, i in self.sites if at == layer]:
                found[layer, row, i] = int(z[row, i] > 0)
            a = np.where(z > 0, z, 0 * z) if case.network.has_relu(layer) else z
        return tuple(found[site] for site in self.sites)

    def distance(self, target: tuple[Any, ...]) -> float:
        """The largest entry of the shortest way from ``target`` to the hull."""
        if target in self.gradients:
            return 0.0
        columns = np.array([[float(v) for v in each] for each in self.gradients]).T
        wanted = np.array([float(v) for v in target])
        size = max(1.0, float(np.abs(columns).max(initial=0.0)))
        columns, wanted = columns / size, wanted / size
        height, count = columns.shape
        free = np.ones((height, 1))
        answer = linprog(
            [*[0.0] * count, 1.0],
            A_ub=np.block([[columns, -free], [-columns, -free]]),
            b_ub=np.concatenate([wanted, -wanted]),
            A_eq=[[*[1.0] * count, 0.0]],
            b_eq=[1.0],
            method="highs",
        )
        return float(answer.fun) if answer.status == 0 else float("nan")


def membership(case: Case, trace: Trace, given: Gradients, block: str, status: str) -> str:
    """``"right"``, ``"not decided"``, or what is wrong about a membership."""
    if status == "not decided":
        return status
    rows = sorted({row for _, row, _ in kinks(case, trace)})
    inside = True
    for row in [None] if block == "parameters" else rows:
        cells = Cells(case, trace, row, len(rows))
        target = tuple(Fraction(float(value)) for value in block_of(given, row))
        for count in (60, 600, 6_000) if status == "inside" else (60, 600):
            cells.look(count)
            is_in = cells.distance(target) <= ROUNDING
            if is_in:
                break
        inside = inside and is_in
    return "right" if inside == (status == "inside") else f"wrong: said {status}"


# -- measuring -----------------------------------------------------------------------------


def looked_at(each: Drawn) -> Counter[tuple[str, ...]]:
    """One verdict on a right gradient: what is said, and whether it is true."""
    found: Counter[tuple[str, ...]] = Counter()
    verdict = Judge(each.case).verdict(each.given, framework="brute")
    trace = exact_trace(each.case)
    found["kind", str(verdict.kind)] += 1
    told = verdict.kind in (Kind.KINK, Kind.AGREES) and verdict.gates
    undecided = any(gate.gate is GateClass.UNDECIDED for gate in verdict.gates)
    if not told or undecided or verdict.detail.startswith("no slopes"):
        return found
    assert all(gate.gate is not GateClass.UNDECIDED for gate in verdict.gates)
    found["readings", wrong_readings(each.case, trace, verdict) or "right"] += 1
    for of in verdict.validity:
        found[of.block, membership(each.case, trace, each.given, of.block, of.status)] += 1
    return found


def main() -> None:
    """Measures, and prints."""
    wanted, first = int(sys.argv[1]), int(sys.argv[2])
    total: Counter[tuple[str, ...]] = Counter()
    start, slowest = time.monotonic(), 0.0
    for each in draw(first):
        before = time.monotonic()
        found = looked_at(each)
        slowest = max(slowest, time.monotonic() - before)
        for key, count in found.items():
            total[(*key, each.biases)] += count
            if "wrong" in key[1] or "varies" in key[1] or key == ("kind", "DISAGREES"):
                print(*key, "seed", each.seed, each.how, flush=True)
        if sum(n for (what, *_), n in total.items() if what == "kind") >= wanted:
            break
    for key, count in sorted(total.items()):
        print(*key, count)
    print(f"{time.monotonic() - start:.0f} s, slowest {slowest:.1f} s")


if __name__ == "__main__":
    main()
