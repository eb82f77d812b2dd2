"""Whole gradients in simulated arithmetic, several rows, missing biases: none is called wrong."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from toy import NINE_BITS, Overflow, Toy, one_more_format

from crosscheck.judge.compare import Judge
from crosscheck.judge.enclosed import Enclosed
from crosscheck.judge.kinks.exclusion import possible
from crosscheck.judge.verdict import Kind, fails
from crosscheck.network.dense import Case, Gradients, worked_example
from crosscheck.network.reference import gradients
from crosscheck.numbers.formats import FORMATS, format_of
from crosscheck.numbers.model import Model

DTYPES = [*FORMATS, NINE_BITS.name]
ZERO, HALF = Fraction(0), Fraction(1, 2)
choose: Any = np.where  # whose types know nothing of fractions


@pytest.fixture(autouse=True)
def _one_more_format() -> Iterator[None]:
    with one_more_format(NINE_BITS):
        yield


def exact(array: Any) -> Any:
    return np.vectorize(lambda value: Fraction(float(value)), otypes=[object])(array)


def toy_gradients(case: Case, toy: Toy, slope: Fraction) -> Gradients:
    """The network and its gradient, every operation by ``toy``, every sum in a random order."""
    weights = [exact(weight) for weight in case.weights]
    biases = [None if bias is None else exact(bias) for bias in case.biases]
    rows, depth = range(case.rows), case.network.depth
    a, gates = [exact(case.x)], []
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
        z: Any = np.array(
            [
                [
                    toy.dot(w, a[-1][r], [] if bias is None else [bias[i]])
                    for i, w in enumerate(weight)
                ]
                for r in rows
            ],
            dtype=object,
        )
        one = Fraction(1)
        relu = case.network.has_relu(layer)
        gate: Any = choose(z > 0, one, choose(z < 0, ZERO, slope)) if relu else z * 0 + 1
        gates.append(gate)
        a.append(choose(z > 0, z, ZERO) if relu else z)
    y = exact(case.y)
    d = np.array(
        [
            [toy.plus(v, -t) for v, t in zip(*pair, strict=True)]
            for pair in zip(a[-1], y, strict=True)
        ],
        dtype=object,
    )
    loss = toy.times(HALF, toy.dot(d.ravel(), d.ravel()))
    g = d
    if case.network.reduction == "mean":
        share = toy.rounded(Fraction(1, case.rows))
        loss = toy.times(loss, share)
        g = np.array([[toy.times(v, share) for v in row] for row in d], dtype=object)
    of_weights: list[Any] = []
    of_biases: list[Any] = []
    for layer in range(depth, 0, -1):
        weight, below = weights[layer - 1], a[layer - 1]
        delta = np.array(
            [
                [
                    toy.times(s, v) if s not in (0, 1) else s * v
                    for s, v in zip(gates[layer - 1][r], g[r], strict=True)
                ]
                for r in rows
            ],
            dtype=object,
        )
        of_weights.insert(
            0,
            [
                [toy.dot(delta[:, i], below[:, j]) for j in range(weight.shape[1])]
                for i in range(weight.shape[0])
            ],
        )
        of_biases.insert(
            0,
            None
            if biases[layer - 1] is None
            else [toy.dot([], [], delta[:, i]) for i in range(weight.shape[0])],
        )
        g = np.array(
            [[toy.dot(delta[r], weight[:, j]) for j in range(weight.shape[1])] for r in rows],
            dtype=object,
        )

    def floats(values: Any) -> Any:
        return np.array(values, dtype=object).astype(np.float64)

    return Gradients(
        floats(loss),
        tuple(floats(w) for w in of_weights),
        tuple(None if b is None else floats(b) for b in of_biases),
        floats(g),
    )


def random_case(rng: np.random.Generator, dtype: str, *, kinks: bool) -> Case:
    widths = rng.integers(1, 4, rng.integers(2, 5))
    rows = int(rng.integers(1, 4))

    def draw(*shape: int) -> Any:
        if kinks:
            return rng.integers(-2, 3, shape) / 2
        return rng.standard_normal(shape) * 2.0 ** rng.integers(-2, 3)

    pairs = [(int(n), int(m)) for n, m in zip(widths[1:], widths[:-1], strict=True)]
    return Case.of(
        [draw(*pair) for pair in pairs],
        [draw(pair[0]) if rng.random() < 0.6 else None for pair in pairs],
        draw(rows, int(widths[0])),
        draw(rows, int(widths[-1])),
        dtype=dtype,
        output="identity" if rng.random() < 0.4 else "relu",
        reduction="mean" if rng.random() < 0.4 else "sum",
    )


@pytest.mark.parametrize("flush", [False, True], ids=["gradual", "flush"])
@pytest.mark.parametrize("kinks", [False, True], ids=["gaussian", "small-numbers"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_no_correct_evaluation_is_called_wrong(dtype: str, kinks: bool, flush: bool) -> None:
    rng = np.random.default_rng([kinks, flush, len(dtype)])
    toy = Toy(format_of(dtype), random.Random(dtype), flush=flush)
    seen: Counter[Kind] = Counter()
    for _ in range(50):
        case = random_case(rng, dtype, kinks=kinks)
        slope = Fraction(int(rng.integers(0, 3)), 2)
        try:
            given = toy_gradients(case, toy, slope)
        except Overflow:
            continue
        verdict = Judge(case).verdict(given, framework="toy")
        assert verdict.kind not in {Kind.DISAGREES, Kind.REDUCED}, (case, slope, verdict)
        seen[verdict.kind] += 1
        for gate in verdict.gates:
            if gate.gate == "kink" and gate.slope is not None and case.rows == 1:
                assert gate.slope == slope
    assert seen[Kind.KINK] > 10 if kinks else seen[Kind.AGREES] > 10


@pytest.mark.parametrize("flush", [False, True], ids=["gradual", "flush"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_no_correct_evaluation_has_its_slopes_excluded(dtype: str, flush: bool) -> None:
    rng = np.random.default_rng([flush, len(dtype), 1])
    toy = Toy(format_of(dtype), random.Random(dtype), flush=flush)
    tested = 0
    for _ in range(100):
        case = random_case(rng, dtype, kinks=True)
        enclosed = Enclosed(case, Model(format_of(dtype), flush=flush))
        if not enclosed.open_gates:
            continue
        slope = Fraction(int(rng.integers(0, 9)), 8)
        try:
            given = toy_gradients(case, toy, slope)
        except Overflow:
            continue
        tested += 1
        assert possible(enclosed, given) is not None, (case, slope)
    assert tested > 20


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arithmetic_of_fewer_bits_is_noticed(dtype: str) -> None:
    rng = np.random.default_rng(4)
    coarse = Toy(format_of("bfloat16" if dtype == "float32" else "float32"), random.Random(1))
    total = 0
    for _ in range(40):
        case = random_case(rng, dtype, kinks=False)
        given = toy_gradients(case, coarse, ZERO)
        if not any(np.any(weight) for weight in given.weights):
            continue
        total += 1
        # Rounding every operation is none of the arithmetics that round multiplicands alone.
        verdict = Judge(case).verdict(given, framework="toy")
        assert fails(verdict, ("tf32", "bfloat16-multiplicands", "truncated")), verdict
    assert total > 15


def spoilt(right: Gradients, name: str, change: Callable[[Any], Any]) -> Gradients:
    """One array of a gradient changed, by its name."""
    if name in ("J", "x"):
        field = "loss" if name == "J" else "x"
        return replace(right, **{field: change(getattr(right, field))})
    field, at = ("weights" if name[0] == "W" else "biases"), int(name[1:]) - 1
    arrays = list(getattr(right, field))
    arrays[at] = change(arrays[at])
    return replace(right, **{field: tuple(arrays)})


FAULTS: dict[str, Callable[[Any], Any]] = {
    "nothing": np.zeros_like,
    "the other sign": np.negative,
    "everything": lambda array: np.full_like(array, 2.0) + 4.0 * array,
}


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2", NINE_BITS.name])
def test_what_is_checked_in_a_coarse_format_is_found_out_if_it_is_wrong(dtype: str) -> None:
    # Each array that counts as checked, and no other, is made wrong; the worst of many right
    # evaluations is near its bound.
    rng, form = np.random.default_rng(0), format_of(dtype)
    toy, caught, unchecked, largest = Toy(form, random.Random(dtype)), Counter[str](), 0, 0.0
    for index in range(40):
        case = random_case(rng, dtype, kinks=index % 4 == 0)
        judge = Judge(case)
        for _ in range(3):
            try:
                right = toy_gradients(case, toy, ZERO)
            except Overflow:
                continue
            verdict = judge.verdict(right, framework="toy")
            assert not fails(verdict, ())
            if verdict.kind is Kind.AGREES and verdict.worst is not None:
                largest = max(largest, verdict.worst.bounds)
        if verdict.kind is not Kind.AGREES:
            continue
        unchecked += len(verdict.unchecked)
        arrays = dict(right.entries())
        # A zero that is right to the last bit has no sign.
        names = [name for name in verdict.checked if np.any(arrays[name])]
        for name, (fault, change) in itertools.product(names, FAULTS.items()):
            found = judge.verdict(spoilt(right, name, change), framework="toy")
            # Or gates are open under flush-to-zero, and nothing counts as checked any more.
            assert found.kind in (Kind.DISAGREES, Kind.SUBNORMAL) or not found.checked, found
            caught[fault] += found.kind is Kind.DISAGREES
    assert min(caught[fault] for fault in FAULTS) > 20
    assert unchecked > 5
    assert largest > 0.4


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_last_bit_of_an_exact_gradient_is_checked_in_every_format(dtype: str) -> None:
    form, case = format_of(dtype), worked_example(dtype=dtype)
    judge, right = Judge(case), gradients(case)
    assert judge.verdict(right, framework="toy").kind is Kind.AGREES
    for name, array in right.entries():
        for sign in (-1.0, 1.0):
            beside = np.asarray(array + sign * form.ulp(array))
            wrong = spoilt(right, name, lambda _, beside=beside: beside)  # type: ignore[misc]
            assert judge.verdict(wrong, framework="toy").kind is Kind.DISAGREES, name
