"""Slopes are excluded only where none is right, and wrong gradients at many kinks are refuted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np
import pytest

from crosscheck.judge.compare import Judge
from crosscheck.judge.decisions import Effect, Place
from crosscheck.judge.enclosed import Enclosed
from crosscheck.judge.kinks import exclusion, inequalities
from crosscheck.judge.kinks import explanation as kink
from crosscheck.judge.kinks.exclusion import Work, possible
from crosscheck.judge.verdict import Kind, Verdict
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.reference import backward, forward
from crosscheck.network.tree import LEFT_OUT
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.model import Model


def several_rows(seed: int, dtype: str = "float64") -> Case:
    """Small networks of small numbers, five to eight rows: many kinks in each unit."""
    rng = np.random.default_rng(seed)
    depth = int(rng.integers(2, 5))
    widths = [int(width) for width in rng.integers(1, 6, size=depth + 1)]
    rows = int(rng.integers(5, 9))
    weights = [
        rng.integers(-2, 3, size=shape).astype(float)
        for shape in zip(widths[1:], widths[:-1], strict=True)
    ]
    if rng.random() < 0.5:
        weights = [weight + 0.375 * rng.integers(0, 2, size=weight.shape) for weight in weights]
    biases = [rng.integers(-1, 2, size=width) * (rng.random() < 0.5) for width in widths[1:]]
    return Case.of(
        weights,
        biases,
        rng.integers(-2, 3, size=(rows, widths[0])),
        3.0 * rng.standard_normal((rows, widths[-1])),
        dtype=dtype,
        output="identity" if rng.random() < 0.7 else "relu",
    )


def with_slopes(case: Case, slopes: Callable[[int, Array], Array]) -> Gradients:
    """The gradient, rounded to the dtype, with ``slopes(layer, z)`` wherever z = 0."""
    trace = forward(case.network, case.weights, case.biases, case.x, lambda z: np.maximum(z, 0.0))
    gates = [
        np.where(z == 0, slopes(layer, z), z > 0) if case.network.has_relu(layer) else None
        for layer, z in enumerate(trace.pre_activations, start=1)
    ]
    found = backward(case.network, case.weights, case.biases, trace, case.y, gates)
    rounded = format_of(case.dtype).round
    return Gradients(
        rounded(found.loss),
        tuple(rounded(weight) for weight in found.weights),
        tuple(None if bias is None else rounded(bias) for bias in found.biases),
        rounded(found.x),
    )


def drawn(seed: int, among: list[float] | None = None) -> Callable[[int, Array], Array]:
    """Random slopes, in [0, 1] or from a few."""
    rng = np.random.default_rng(seed)

    def slopes(_: int, z: Array) -> Array:
        return rng.random(z.shape) if among is None else rng.choice(among, z.shape)

    return slopes


def constant(of_layer: Mapping[int, float], layer: int, z: Array) -> Array:
    """One slope for each layer."""
    return np.full(z.shape, of_layer[layer])


def many_kinks(dtype: str, count: int) -> Iterator[tuple[int, Case]]:
    """Cases in which some unit is on a kink in at least four rows."""
    form = format_of(dtype)
    for seed in range(10_000):
        case = several_rows(seed, dtype)
        gates = Enclosed(case, Model(form)).open_gates
        if gates and max(Counter((gate.layer, gate.unit) for gate in gates).values()) >= 4:
            yield seed, case
            count -= 1
            if count == 0:
                return


def judge(case: Case, given: Gradients) -> Verdict:
    return Judge(case).verdict(given, framework="given")


@pytest.mark.parametrize("flush", [False, True], ids=["gradual", "flush"])
def test_slopes_that_were_used_are_never_excluded(flush: bool) -> None:
    for seed, case in many_kinks("float64", 40):
        given = with_slopes(case, drawn(seed))
        enclosed = Enclosed(case, Model(format_of("float64"), flush=flush))
        assert possible(enclosed, given) is not None, seed


def test_each_framework_may_use_any_convention_at_each_of_many_kinks() -> None:
    for seed, case in many_kinks("float64", 40):
        given = with_slopes(case, drawn(seed, [0.0, 0.5, 1.0]))
        verdict = judge(case, given)
        assert verdict.kind is Kind.KINK, (seed, verdict)
        assert not verdict.detail.startswith("no slopes")


FAULTS: dict[str, Callable[[Gradients, Gradients], Gradients]] = {
    "inputs' gradient with other slopes": lambda one, other: replace(one, x=other.x),
    "one entry of the inputs' gradient": lambda one, other: replace(
        one, x=np.where(np.arange(one.x.size).reshape(one.x.shape) == 0, 1 + other.x, one.x)
    ),
    "weights with other slopes": lambda one, other: replace(
        one, weights=(other.weights[0], *one.weights[1:])
    ),
    "one entry of a bias": lambda one, other: replace(
        one, biases=(one.biases[0] + np.eye(len(one.biases[0]))[0] / 8, *one.biases[1:])
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_kinks_in_several_rows_is_caught(fault: str) -> None:
    seen: Counter[Kind] = Counter()
    for _, case in many_kinks("float64", 40):
        right = with_slopes(case, lambda _, z: np.zeros(z.shape))
        wrong = FAULTS[fault](right, with_slopes(case, lambda _, z: np.ones(z.shape)))
        if all(
            np.array_equal(a, b)
            for (_, a), (_, b) in zip(wrong.entries(), right.entries(), strict=True)
        ):
            continue
        verdict = judge(case, wrong)
        seen[verdict.kind] += 1
        if verdict.kind is Kind.KINK:  # other slopes than those of the fault do explain it
            assert verdict.worst is not None
            assert verdict.worst.bounds <= 1.0
    assert seen[Kind.DISAGREES] >= 0.75 * seen.total(), seen
    assert seen[Kind.UNDECIDED] <= 0.1 * seen.total(), seen


def test_what_is_neither_found_nor_excluded_is_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inequalities, "_MOST_PROGRAMS", 0)
    verdicts = []
    for seed, case in many_kinks("float64", 10):
        verdicts.append(judge(case, with_slopes(case, drawn(seed))))
    left_open = [verdict for verdict in verdicts if verdict.kind is Kind.UNDECIDED]
    assert left_open
    for verdict in left_open:
        assert verdict.detail.endswith("and none excluded")
        assert {status.status for status in verdict.validity} == {"not decided"}


def test_a_cotangent_of_either_sign_is_decided_by_trying_both() -> None:
    # One row, both layers on a kink, no biases: z1 = z2 = 0, a0 = 1, W2 = (1, -1), g2 = -y = -2.
    # δ2 = λ2 g2; g1 = δ2 (1, -1). dJ/dx = δ1 · W1 with W1 = 0 tells nothing, dJ/dW1 = δ1.
    case = Case.of([[[0.0], [0.0]], [[1.0, -1.0]]], [None, None], [[1.0]], [[2.0]])
    fine = with_slopes(case, lambda _, z: np.ones(z.shape))
    assert judge(case, fine).kind is Kind.KINK
    for wrong in ([[1.0], [2.0]], [[-1.0], [-1.0]], [[-2.5], [0.0]]):
        given = replace(fine, weights=(np.array(wrong), fine.weights[1]))
        assert judge(case, given).kind is Kind.DISAGREES
    given = replace(fine, weights=(np.array([[-1.0], [0.5]]), fine.weights[1]))
    assert judge(case, given).kind is Kind.KINK


@pytest.mark.parametrize("scale", [-1.0, -(2.0**-10), 2.0**-10, 1.0])
def test_what_is_excluded_at_a_cotangent_of_one_sign_does_not_depend_on_its_size(
    scale: float,
) -> None:
    # z1 = (0, 1, 1), z2 = (1, 0) and g3 = r: g1 = (r + λ2 r, …) has the sign of r, and what λ2 r is
    # is seen at the active units of layer 1 alone.
    case = Case.of(
        [[[0.0], [1.0], [1.0]], [[1.0, 1.0, 0.0], [1.0, 1.0, -1.0]], [[1.0, 1.0]]],
        None,
        [[1.0]],
        [[1.0 - scale]],
        output="identity",
    )
    enclosed = Enclosed(case, Model(format_of("float64")))
    assert [(gate.layer, gate.unit) for gate in enclosed.open_gates] == [(1, 0), (2, 1)]
    for below, above in product([0.0, 0.5, 1.0], repeat=2):
        of_layer = {1: below, 2: above}
        given = with_slopes(case, partial(constant, of_layer))
        given = replace(given, weights=(given.weights[0], LEFT_OUT, given.weights[2]))
        left = possible(enclosed, given)
        assert left is not None, (below, above)
        assert left.slopes == pytest.approx(
            {Place.of_gate(1, 0, 0): below, Place.of_gate(2, 0, 1): above}, abs=2.0**-30
        )
        wrong = given.weights[0].copy()
        wrong[0] = 1.25 * (1.0 + above) * scale
        assert possible(enclosed, replace(given, weights=(wrong, *given.weights[1:]))) is None


def test_the_search_is_given_up_past_a_number_of_operations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seed, case = next(many_kinks("float64", 1))
    given = with_slopes(case, drawn(seed))
    enclosed = Enclosed(case, Model(format_of("float64")))
    monkeypatch.setattr(exclusion, "MOST_OPERATIONS", 100)
    work = Work()
    left = possible(enclosed, given, work)
    assert left is not None
    assert left.slopes == {}
    assert 0 <= work.budget.left <= 100
    monkeypatch.setattr(kink._Search, "uniform", lambda _: None)
    monkeypatch.setattr(kink._Search, "descend", lambda *_: None)
    verdict = judge(case, given)
    assert verdict.kind is Kind.UNDECIDED
    assert verdict.detail.endswith("and none excluded")
    assert {gate.effect for gate in verdict.gates} == {Effect.NOT_DECIDED}


def test_arithmetics_with_the_same_rooms_are_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    searches: list[object] = []
    solve = exclusion._System.solve

    def counted(system: exclusion._System) -> dict[Place, float] | None:
        searches.append(system)
        return solve(system)

    monkeypatch.setattr(exclusion._System, "solve", counted)
    # dJ/dx = -λ1 λ2 is all that depends on a slope.
    case = Case.of(
        [[[1.0]], [[-1.0]], [[1.0]]], [None, None, [1.0]], [[0.0]], [[0.0]], output="identity"
    )
    given = with_slopes(case, lambda _, z: np.ones(z.shape))
    half = replace(given, x=np.array([[-0.375]]))
    work = Work()
    found = [
        possible(Enclosed(case, Model(format_of("float64"), flush=flush)), half, work)
        for flush in (False, True)
    ]
    assert len(work.known) == 1
    assert len(searches) == 1
    one, other = found
    assert one is not None
    assert other is not None
    assert one.slopes == other.slopes
