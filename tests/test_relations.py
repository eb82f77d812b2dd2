"""The certificate of relations: returned arrays held to each other."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from faulty import at_kinks

from crosscheck.cases.composed import plans, seeded_composed
from crosscheck.cases.stream.families import Mix
from crosscheck.cases.stream.generate import block
from crosscheck.cases.stream.settings import Shape
from crosscheck.judge.certificates import CERTIFICATES, FUNCTION, Certificate, with_relations
from crosscheck.judge.door import Answer, judge
from crosscheck.judge.local.check import OfCase
from crosscheck.judge.relations.factors import factor_of
from crosscheck.judge.relations.judge import NOT_FINITE, NOTHING_USED, SEVERAL_ROWS, related
from crosscheck.judge.relations.moves import sources
from crosscheck.judge.verdict import Kind, Verdict
from crosscheck.network.composed import AnyCase, Composed, composed
from crosscheck.network.dense import Case, Gradients, Network, worked_example
from crosscheck.network.steps import step
from crosscheck.network.tree import LEFT_OUT
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import Format, format_of
from crosscheck.numbers.ieee import TINY
from crosscheck.numbers.model import Model
from crosscheck.numbers.named import ARITHMETICS
from crosscheck.program.graph import Graph
from crosscheck.run.answers import verdict_of
from crosscheck.run.checking import compare_implementations, require_agreement
from crosscheck.run.comparison import DisagreementError
from crosscheck.run.events import CaseChecked
from crosscheck.run.failure import failure_text
from crosscheck.run.implementations import implement
from crosscheck.studies.simulated import simulated

REGIMES: dict[str, Callable[[np.random.Generator, Array], Array]] = {
    "gaussian": lambda rng, v: v,
    "integers": lambda rng, v: np.round(2 * v),
    "scaled entries": lambda rng, v: v * 2.0 ** rng.integers(-30, 8, size=v.shape),
    "tiny": lambda rng, v: v * 2.0**-70,
    "offsets": lambda rng, v: v + 100,
    "zeros": lambda rng, v: np.where(rng.random(v.shape) < 0.5, 0.0, v),
}

DTYPES = ("float64", "float32", "bfloat16")


def case_of(
    widths: tuple[int, ...],
    dtype: str = "float64",
    *,
    seed: int = 0,
    biased: tuple[bool, ...] = (),
    regime: str = "gaussian",
    output: Any = "relu",
    rows: int = 1,
) -> Case:
    rng = np.random.default_rng([seed, len(widths), widths[0]])

    def draw(*shape: int) -> Array:
        return REGIMES[regime](rng, rng.normal(size=shape))

    layers = list(itertools.pairwise(widths))
    weights = [draw(m, n) * 2.0 ** -round(np.log2(n) / 2) for n, m in layers]
    biased = biased or (True,) * len(layers)
    biases = [draw(m) if some else None for (_, m), some in zip(layers, biased, strict=True)]
    x, y = draw(rows, widths[0]), draw(rows, widths[-1])
    return Case.of(weights, biases, x=x, y=y, dtype=dtype, output=output)


def live_case(widths: tuple[int, ...], dtype: str = "float64", **more: Any) -> Case:
    """One whose gradient has several numbers in each array that are not zero."""
    for seed in range(100):
        case = case_of(widths, dtype, seed=seed, **more)
        arrays = dict(simulated(case).given.entries())
        if all(np.count_nonzero(arrays[name]) > 1 for name in case.wanted):
            return case
    raise AssertionError("no such case")


def is_caught(case: AnyCase, given: Any) -> bool:
    found = said_of(case, given)
    return found.wrong is not None or bool(found.names)


def verdict_on(function: Callable[..., Any], case: Case) -> Verdict:
    """That on a function of the user's."""
    (implementation,) = implement({"numpy": function})
    return verdict_of(implementation, case, judge(case), command=FUNCTION)


def said_of(case: AnyCase, given: Any) -> OfCase:
    found = related(case, given)
    assert isinstance(found, OfCase)
    return found


def wrong_of(case: AnyCase, given: Any) -> str:
    found = said_of(case, given)
    assert found.wrong is not None
    return str(found.wrong)


def changed(case: AnyCase, name: str, change: Callable[[Array], Array]) -> Any:
    """The right gradient with one array changed."""
    found = simulated(case).given
    arrays = {each: np.array(array) for each, array in found.entries()}
    arrays[name] = change(arrays[name])
    return type(found).named(arrays)


def one_entry(factor: float) -> Callable[[Array], Array]:
    def change(array: Array) -> Array:
        found = np.array(array)
        found[np.unravel_index(np.argmax(np.abs(found)), found.shape)] *= factor
        return found

    return change


# -- a hand-written backward pass, of one row --------------------------------------------------


def by_hand(case: Case, rng: np.random.Generator, dtype: Any) -> Gradients:
    """Sums in an order of its own: as they come, one after the other, or in pairs."""

    def times(matrix: Array, vector: Array) -> Any:
        terms = (matrix * vector)[:, rng.permutation(len(vector))]
        way = rng.integers(3)
        if way == 0:
            return (matrix @ vector).astype(dtype)
        if way == 1:
            total = np.zeros(len(matrix), dtype)
            for term in terms.T:
                total = (total + term).astype(dtype)
            return total
        while terms.shape[1] > 1:
            if terms.shape[1] % 2:
                terms = np.concatenate([terms, np.zeros((len(terms), 1), dtype)], axis=1)
            terms = (terms[:, ::2] + terms[:, 1::2]).astype(dtype)
        return terms[:, 0]

    weights = [each.astype(dtype) for each in case.weights]
    biases = [None if each is None else each.astype(dtype) for each in case.biases]
    below, gates = [case.x[0].astype(dtype)], []
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
        z = times(weight, below[-1])
        z = z if bias is None else (z + bias).astype(dtype)
        gates.append(z > 0 if case.network.has_relu(layer) else np.ones(z.shape, bool))
        below.append(np.maximum(z, dtype(0)) if case.network.has_relu(layer) else z)
    residual = (below[-1] - case.y[0].astype(dtype)).astype(dtype)
    found: list[Any] = []
    loss, down = dtype(0.5) * (residual * residual).sum(), residual
    for layer in reversed(range(len(weights))):
        delta = np.where(gates[layer], down, dtype(0))
        found.insert(0, ((delta[:, None] * below[layer]).astype(dtype), delta))
        down = times(weights[layer].T, delta)
    for_weights = tuple(each.astype(np.float64) for each, _ in found)
    for_biases = tuple(
        None if bias is None else delta.astype(np.float64)
        for (_, delta), bias in zip(found, biases, strict=True)
    )
    down = down.astype(np.float64)[None]
    return Gradients(np.float64(loss), for_weights, for_biases, down)


def numpy_dtype(name: str) -> Any:
    import ml_dtypes

    return ml_dtypes.bfloat16 if name == "bfloat16" else np.dtype(name).type


# -- nothing right is accused ------------------------------------------------------------------

SHAPES: tuple[tuple[tuple[int, ...], tuple[bool, ...]], ...] = (
    ((3, 2), (True,)),
    ((3, 2), (False,)),
    ((1, 1, 1), (True, True)),
    ((4, 8, 8, 1), (True, True, True)),
    ((4, 8, 8, 3), (False, True, False)),
    ((5, 6, 7), (False, False)),
    ((2, 3, 4, 5, 6, 2), (True, False, True, False, True)),
    ((64, 64, 16), (True, True)),
)


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_right_gradients_are_not_accused(dtype: str, regime: str) -> None:
    rng = np.random.default_rng(5)
    for seed, (widths, biased) in enumerate(SHAPES):
        case = case_of(widths, dtype, seed=seed, biased=biased, regime=regime)
        with np.errstate(all="ignore"):
            given = simulated(case).given, by_hand(case, rng, numpy_dtype(dtype))
        for each in given:
            found = said_of(case, each)
            assert (found.wrong, found.names, found.is_gradual) == (None, (), True)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_is_computed_in_more_digits_and_rounded_when_returned_is_not_accused(
    dtype: str,
) -> None:
    rng, form = np.random.default_rng(6), format_of(dtype)
    for seed, (widths, biased) in enumerate(SHAPES):
        case = case_of(widths, dtype, seed=seed, biased=biased)
        given = by_hand(case, rng, np.float64)
        for each in (given, given.map(lambda array: form.round(np.asarray(array)))):
            assert said_of(case, each).wrong is None


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_a_choice_at_a_kink_is_not_accused(slope: float) -> None:
    cases = [worked_example(x=0.0), worked_example(w2=-1.0, b2=2.0), worked_example(x=0.0, b1=-0.0)]
    comparison = compare_implementations(numpy=at_kinks(slope), cases=cases)
    assert comparison.passed


def test_a_slope_outside_of_those_at_a_kink_is_accused() -> None:
    case = worked_example(w2=-1.0, b2=2.0)
    given = simulated(case).given.map_derivatives(lambda array: array)
    arrays = dict(given.entries()) | {"b2": np.array([-10.0]), "W2": np.array([[-20.0]])}
    assert "behind the gates of z2" in wrong_of(case, Gradients.named(arrays))


def test_flushed_numbers_are_subnormal_and_not_wrong() -> None:
    case = case_of((2, 3, 2), "float32", regime="tiny")
    given = simulated(case).given

    def flushed(array: Any) -> Any:
        tiny = format_of("float32").smallest_normal
        return np.where(np.abs(array) < tiny, 0.0, array)

    found = said_of(case, given.map(flushed))
    assert (found.wrong, found.is_gradual) == (None, False)


@pytest.mark.parametrize("boundary", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_networks_of_operators_of_one_row_are_not_accused(dtype: str, boundary: bool) -> None:
    compared = 0
    for seed, plan in enumerate(plans(rows=1, width=6)):
        stack = seeded_composed(seed, plan, 2, dtype, boundary=boundary)
        for case in (stack[0], stack[1]):
            found = related(case, simulated(case).given)
            if isinstance(found, str):  # behind what only moves numbers nothing is known again
                assert found.startswith("nothing that was returned is used")
                assert plan.steps[0].op == "add"
                continue
            assert (found.wrong, found.names, found.is_gradual) == (None, (), True)
            compared += found.compared
    assert compared > 1_000


def residual() -> Composed:
    """Two layers with one input, added up."""
    rng = np.random.default_rng(11)
    steps = [
        step("z1", "dense", "x", "W1", "b1"),
        step("a1", "relu", "z1"),
        step("z2", "dense", "a1", "W2", "b2"),
        step("s", "add", "z2", "a1"),
        step("z3", "dense", "s", "W3", "b3"),
        step("loss", "squared_error", "z3", "y"),
    ]
    shapes = {"W1": (5, 3), "b1": (5,), "W2": (5, 5), "b2": (5,), "W3": (2, 5), "b3": (2,)}
    parameters = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    inputs = {"x": rng.normal(size=(1, 3)), "y": rng.normal(size=(1, 2))}
    return Composed.of(steps, parameters, inputs)


def test_a_sum_of_two_paths_is_not_accused() -> None:
    assert said_of(residual(), simulated(residual()).given).wrong is None


def test_a_path_that_is_lost_is_named() -> None:
    case = residual()
    wrong = changed(case, "b1", lambda b: 0.5 * b)
    arrays = dict(wrong.entries())
    arrays["W1"] = 0.5 * arrays["W1"]
    arrays["x"] = 0.5 * arrays["x"]
    said = wrong_of(case, type(wrong).named(arrays))
    assert said.startswith("db1 is not (db2 + W2ᵀ db2) behind the gates of z1: b1[")


# -- what is wrong is caught -------------------------------------------------------------------


@pytest.mark.parametrize("width", [4, 64, 256])
@pytest.mark.parametrize(("dtype", "factor"), [("float64", 2.0**-41), ("float32", 2.0**-12)])
def test_one_entry_that_is_wrong_by_little_is_caught(width: int, dtype: str, factor: float) -> None:
    case = live_case((width, width, width, 4), dtype)
    for name in ("W1", "b1", "W2", "b2", "W3", "b3"):
        assert is_caught(case, changed(case, name, one_entry(1 + factor)))


@pytest.mark.parametrize("width", [4, 64])
@pytest.mark.parametrize("factor", [0.0, 2.0, -1.0, 1.01])
def test_one_array_that_is_wrong_as_a_whole_is_caught(width: int, factor: float) -> None:
    case = live_case((width, width, width, 4))
    for name in (*case.wanted, "J"):
        assert is_caught(case, changed(case, name, lambda array: factor * array))


@pytest.mark.parametrize("width", [4, 64, 256])
def test_a_cotangent_that_is_wrong_from_some_layer_down_is_caught(width: int) -> None:
    case = live_case((width, width, width, 4))
    arrays = dict(simulated(case).given.entries())
    for name in ("W2", "b2", "W1", "b1", "x"):
        arrays[name] = 1.01 * arrays[name]
    said = wrong_of(case, Gradients.named(arrays))
    assert said.startswith("db2 is not W3ᵀ db3 behind the gates of z2: b2[")


def test_the_entry_of_a_product_that_is_wrong_is_named() -> None:
    case = case_of((8, 16, 16, 8))
    right = dict(simulated(case).given.entries())["W2"]
    rows, columns = np.nonzero(right)
    at = int(rows[5]), int(columns[5])

    def change(array: Array) -> Array:
        array[at] *= 1 + 2.0**-41
        return array

    said = wrong_of(case, changed(case, "W2", change))
    start = f"dW2 is not db2 times one row of activations: W2[{at[0]},{at[1]}] is "
    assert said.startswith(start)


def test_a_wrong_loss_is_named() -> None:
    case = case_of((4, 8, 2), output="identity")
    said = wrong_of(case, changed(case, "J", lambda loss: loss * (1 + 2.0**-30)))
    assert said.startswith("J is not ½ Σ db2²: J is ")


def test_a_layer_without_bias_is_passed_through() -> None:
    case = live_case((4, 8, 8, 3), biased=(True, False, True))
    arrays = dict(simulated(case).given.entries())
    for name in ("W1", "b1", "x"):
        arrays[name] = 1.01 * arrays[name]
    said = wrong_of(case, Gradients.named(arrays))
    start = "db1 is not W2ᵀ (W3ᵀ db3 behind the gates of z2) behind the gates of z1: b1["
    assert said.startswith(start)


def test_cotangents_are_read_from_a_product_with_data() -> None:
    case = live_case((4, 8, 3), biased=(False, False))
    arrays = dict(simulated(case).given.entries())
    arrays["x"] = arrays["x"] * (1 + 2.0**-30)
    said = wrong_of(case, Gradients.named(arrays))
    assert said.startswith("dx is not W1ᵀ the cotangents in dW1: x[")


def test_where_no_cotangent_is_sent_no_weight_has_a_gradient() -> None:
    case = case_of((3, 4, 2), output="identity")
    outputs = next(each for each in simulated(case).records if each.step.id == "z2").result
    case = replace(case, y=outputs)
    arrays = dict(simulated(case).given.entries())
    assert not np.any(arrays["b2"])
    assert said_of(case, Gradients.named(arrays)).wrong is None
    arrays["W2"] = np.where(np.arange(4) == 1, 2.0**-60, arrays["W2"])
    assert wrong_of(case, Gradients.named(arrays)).startswith("dW2 is not db2 times ")


def nearly_cancelling() -> tuple[Case, dict[str, Array]]:
    """A first number before the gates that is above zero by rounding alone, and the gradient."""
    for seed in range(100):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(1, 8))
        weights = rng.normal(size=(3, 8))
        weights[0, -1] = -(weights[0, :-1] @ x[0, :-1]) / x[0, -1]
        biases = [np.array([0.0, 9.0, 9.0]), np.zeros(2)]
        last = rng.normal(size=(2, 3))
        case = Case.of([weights, last], biases, x, rng.normal(size=(1, 2)), output="identity")
        found = simulated(case)
        (z,) = next(each for each in found.records if each.step.id == "z1").result
        if 0 < z[0] < 2.0**-50:
            return case, dict(found.given.entries())
    raise AssertionError("no such case")


def test_a_gate_is_open_where_the_number_behind_it_is_shown() -> None:
    """That z is above zero is not known from x, but from the factor of dW2 that is a."""
    case, arrays = nearly_cancelling()
    assert arrays["b1"][0] != 0
    assert said_of(case, Gradients.named(arrays)).wrong is None
    closed = arrays["b1"] * [0.0, 1.0, 1.0]
    arrays |= {"b1": closed, "W1": closed[:, None] * case.x, "x": closed[None] @ case.weights[0]}
    said = wrong_of(case, Gradients.named(arrays))
    assert said.startswith("db1 is not W2ᵀ db2 behind the gates of z1: b1[0]")


# -- mistakes of hands -------------------------------------------------------------------------


def backward(weights: Any, biases: Any, x: Any, y: Any, *, mistake: str = "") -> Any:
    """Three layers; ``mistake`` is what goes wrong."""
    (w1, w2, w3), (b1, b2, b3) = weights, biases
    z1 = x @ w1.T + b1
    a1 = np.maximum(z1, 0)
    z2 = a1 @ w2.T + b2
    a2 = np.maximum(z2, 0)
    z3 = a2 @ w3.T + b3
    d3 = (np.maximum(z3, 0) - y) * (z3 > 0)
    if mistake == "mean":
        d3 = d3 / d3.size
    g2 = d3 @ w3
    d2 = g2 if mistake == "mask" else g2 * (z2 > 0)
    g1 = d2 @ (w2.T if mistake == "transposed" else w2)
    if mistake == "detached":
        g1 = 0 * g1
    d1 = g1 * (z1 > 0)
    for_w2 = d2.T @ (z1 if mistake == "before relu" else a1)
    for_b2 = np.roll(d2, 1) if mistake == "bias" else d2
    return [d1.T @ x, for_w2, d3.T @ a2], [d1.sum(0), for_b2.sum(0), d3.sum(0)], d1 @ w1


@pytest.mark.parametrize(
    ("mistake", "named"),
    [
        ("mask", "db2 is not W3ᵀ db3 behind the gates of z2: b2["),
        ("transposed", "db1 is not W2ᵀ db2 behind the gates of z1: b1["),
        ("mean", "db3 is not (relu(W3 a2 + b3) − y) behind the gates of z3: b3["),
        ("detached", "db1 is not W2ᵀ db2 behind the gates of z1: b1["),
        ("bias", "dW2 is not db2 times one row of activations: W2["),
        ("before relu", "the activations in dW2 are not relu(W1 x + b1): a1["),
    ],
)
def test_a_mistake_is_told_by_the_relation_that_it_breaks(mistake: str, named: str) -> None:
    found = verdict_on(functools.partial(backward, mistake=mistake), live_case((4, 6, 6, 3)))
    assert found.kind is Kind.DISAGREES
    assert found.detail.startswith(named)


def test_the_same_backward_pass_without_a_mistake_agrees() -> None:
    found = verdict_on(backward, live_case((4, 6, 6, 3)))
    assert (found.kind, found.detail) == (Kind.AGREES, "")


# -- a factor from a product -------------------------------------------------------------------


@pytest.mark.parametrize("flush", [False, True])
@pytest.mark.parametrize("exponent", [0, -60, -70])
def test_a_factor_holds_what_was_multiplied(exponent: int, flush: bool) -> None:
    rng, form = np.random.default_rng(3), format_of("float32")
    model = Model(form, flush=flush, is_brief=True)
    a = form.round(rng.normal(size=50) * 2.0**exponent)
    d = form.round(rng.normal(size=20) * 2.0 ** rng.integers(-70, 3, size=20))
    p = form.round(a[:, None] * d)
    if flush:
        p = np.where(np.abs(p) < form.smallest_normal, 0.0, p)
    found = factor_of(p, np.zeros_like(p), Enclosure.of(model, d))
    assert (np.abs(a - found.value.high) <= found.value.bound).all()
    assert not found.refused.any()


def test_a_product_that_was_rounded_when_it_was_returned_shows_its_factor_all_the_same() -> None:
    rng, form = np.random.default_rng(5), format_of("float32")
    a, d = rng.normal(size=40), rng.normal(size=12)
    p = form.round(a[:, None] * d)
    model = Model(format_of("float64"), is_brief=True)
    rounded = form.unit_roundoff * np.abs(p) * (1 + 4 * form.unit_roundoff)
    found = factor_of(p, rounded, Enclosure.of(model, d))
    assert not found.refused.any()
    assert (np.abs(a - found.value.high) <= found.value.bound).all()
    assert (found.value.bound <= 1.5 * form.unit_roundoff * np.abs(a)).all()


def test_a_factor_is_known_to_a_few_units_of_roundoff() -> None:
    rng = np.random.default_rng(4)
    for dtype in ("float32", "float64"):
        form = format_of(dtype)
        a, d = (form.round(rng.normal(size=size)) for size in (40, 12))
        p = form.round(a[:, None] * d)
        model = Model(form, is_brief=True)
        found = factor_of(p, np.zeros_like(p), Enclosure.of(model, d))
        assert (found.value.bound <= 24 * form.unit_roundoff * np.abs(a)).all()


def coarse_product(name: str, a: Array, d: Array, flush: bool = False) -> tuple[Model, Array]:
    """a_j d_i as a named arithmetic forms it, and the model of that."""
    arithmetic = ARITHMETICS[name]
    model = Model(format_of(arithmetic.dtypes[0]), flush, arithmetic=arithmetic, is_brief=True)

    def held(form: Format | None, array: Array) -> Array:
        if form is None:
            return array
        array = np.asarray(form.round(array))
        return np.where(np.abs(array) < form.smallest_normal, 0.0, array) if flush else array

    one, other = (held(arithmetic.multiplicand, each) for each in (a, d))
    exact = held(arithmetic.accumulator, one[:, None] * other)
    found = held(model.format, exact)
    if arithmetic.cut:
        below = np.copysign(np.abs(found) - model.format.ulp(found), found)
        found = np.where(np.abs(found) > np.abs(exact), below, found)
    return model, found


@pytest.mark.parametrize("flush", [False, True], ids=["gradual", "flush"])
@pytest.mark.parametrize("power", [0, -12, -22, -130])
@pytest.mark.parametrize("name", ARITHMETICS)
def test_the_factor_of_a_coarser_product_is_where_it_is_said_to_be(
    name: str, power: int, flush: bool
) -> None:
    rng, ratios = np.random.default_rng(7), []
    for _ in range(50):
        form = format_of(ARITHMETICS[name].dtypes[0])
        a, d = form.round(rng.normal(size=64) * 2.0**power), form.round(rng.normal(size=1))
        model, product = coarse_product(name, a, d, flush)
        found = factor_of(product, np.zeros_like(product), Enclosure.of(model, d))
        assert not found.refused.any()
        ratios.append(np.abs(a - found.value.high) / found.value.bound)
    assert np.max(ratios) <= 1.0
    assert np.max(ratios) > 0.65 or power


def test_a_factor_of_what_may_be_zero_is_not_known() -> None:
    model = Model(format_of("float32"), is_brief=True)
    d = Enclosure(model, np.array([0.5, 0.5]), np.zeros(2), np.array([0.25, 1.0]))
    product = np.array([[1.0, 1.0]])
    alone, other = (factor_of(product[:, [k]], np.zeros((1, 1)), d[[k]]).value for k in (0, 1))
    assert np.isinf(other.e).all()
    both = factor_of(product, np.zeros((1, 2)), d).value
    assert (both.high, both.bound) == (alone.high, alone.bound)


def test_a_product_that_is_cut_off_may_be_short_by_a_whole_least_number() -> None:
    eta = format_of("bfloat16").smallest_subnormal
    a, d = np.array([1.9375 * 2.0**-66]), np.array([eta * 2.0**66])
    model, product = coarse_product("truncated", a, d)
    assert product.item() == eta
    found = factor_of(product, np.zeros_like(product), Enclosure.of(model, d)).value
    assert np.abs(a - found.high) <= found.bound


def test_a_product_of_no_one_factor_is_refused_where_it_differs() -> None:
    rng = np.random.default_rng(4)
    a, d = rng.normal(size=7), rng.normal(size=5)
    p = a[:, None] * d
    p[3, 2] *= 1 + 2.0**-40
    model = Model(format_of("float64"), is_brief=True)
    found = factor_of(p, np.zeros_like(p), Enclosure.of(model, d))
    assert np.argwhere(found.refused).tolist() == [[3, 2]]


def test_a_factor_of_zeros_is_not_known() -> None:
    model = Model(format_of("float64"), is_brief=True)
    found = factor_of(np.zeros((3, 2)), np.zeros((3, 2)), Enclosure.of(model, np.zeros(2)))
    assert np.isinf(found.value.e).all()


# -- a node that another is a rearrangement of -------------------------------------------------


def behind(constants: tuple[Fraction, ...], value: Enclosure) -> Enclosure | None:
    """What x is by what x times constants is; ``None`` where that is not asked."""
    graph = Graph()
    z = graph.leaf("z", value.shape) + graph.leaf("b", value.shape)
    program = graph.program({}, {"z": z.times(*constants)})
    found = dict(sources(program, program.outputs["z"], value))
    return found.get(z.number)


@pytest.mark.parametrize("flush", [False, True], ids=["gradual", "flush"])
@pytest.mark.parametrize(
    "constants",
    [("4",), ("1/8",), ("-1",), ("4", "1/8"), ("1/8", "4"), ("8", "1/8", "1/2"), ("-1", "1/4")],
)
def test_what_a_number_times_powers_of_two_was_is_known(
    constants: tuple[str, ...], flush: bool
) -> None:
    """In any order, and each product and what it is of may be flushed."""
    form = Format("toy", 3, -3, 6)
    model = Model(form, flush=flush)
    numbers = form.round(np.arange(-80, 81) * form.smallest_subnormal)
    held, worst = tuple(map(Fraction, constants)), 0.0

    def flushed(array: Array) -> Array:
        return np.where(np.abs(array) < form.smallest_normal, 0.0, array) if flush else array

    for order in itertools.permutations(held):
        x = flushed(numbers)
        for constant in order:
            x = flushed(np.asarray(form.round(x * float(constant))))
        found = behind(held, Enclosure.of(model, x))
        assert found is not None
        error = np.abs(numbers - found.high)
        assert (error <= found.bound).all()
        worst = max(worst, (error / found.bound).max())
    some_is_lost = any(abs(each) < 1 for each in held) or flush
    assert worst > 0.2 or not some_is_lost


@pytest.mark.parametrize("constants", [("8",), ("4", "1/2"), ("1/8",), ("-2", "1/4", "1/4")])
def test_what_is_known_of_it_is_no_narrower_than_exact_arithmetic_says(
    constants: tuple[str, ...],
) -> None:
    """Among the least numbers of float64, where a quotient is rounded."""
    model = Model(format_of("float64"), is_brief=True)
    eta, held = Fraction(TINY), tuple(map(Fraction, constants))
    factor = functools.reduce(operator.mul, held)
    grown = functools.reduce(operator.mul, (max(Fraction(1), abs(each)) for each in held))
    for high, r, e in itertools.product((0, 1, 3, 13), (0, 1, 5), (0, 1, 7)):
        numbers = (np.array([each * TINY]) for each in (high, r, e))
        found = behind(held, Enclosure(model, *numbers))
        assert found is not None
        rest = (r + e) * eta + len(held) * eta / 2 * grown
        center = abs(high * eta / factor - Fraction(found.high.item()))
        assert Fraction(found.bound.item()) >= rest / abs(factor) + center


@pytest.mark.parametrize(
    ("constant", "is_known"),
    [
        ("1/2", True),
        (f"{2**63}", True),
        (f"1/{2**63}", True),
        ("-1", True),
        (f"{2**64}", False),
        ("3", False),
        ("1/3", False),
        ("3/4", False),
        ("3/2", False),
        ("6", False),
    ],
)
def test_constants_that_round_hide_what_they_were_put_to(constant: str, is_known: bool) -> None:
    model = Model(format_of("float32"), is_brief=True)
    value = Enclosure.of(model, np.array([1.5]))
    assert (behind((Fraction(constant),), value) is not None) == is_known


def test_a_rearrangement_of_an_input_says_nothing_of_it() -> None:
    graph = Graph()
    x = graph.leaf("x", (2, 3))
    program = graph.program({"x": x}, {"out": x.transposed})
    value = Enclosure.of(Model(format_of("float32")), np.ones((3, 2)))
    assert [number for number, _ in sources(program, program.outputs["out"], value)] == [
        program.outputs["out"]
    ]


@pytest.mark.parametrize("factor", ["1/8", "1/2", "1", "-1", "4"])
def test_residuals_are_read_through_the_constant_of_a_loss(factor: str) -> None:
    """dJ/db = 2 C r, and J = C Σ r²: so J = Σ db² / (4 C)."""
    steps = [
        step("z1", "dense", "x", "W1", "b1"),
        step("loss", "squared_error", "z1", "y", factor=factor),
    ]
    rng = np.random.default_rng(2)
    parameters = {"W1": rng.normal(size=(4, 64)), "b1": rng.normal(size=4)}
    inputs = {"x": rng.normal(size=(1, 64)), "y": rng.normal(size=(1, 4))}
    case = Composed.of(steps, parameters, inputs, dtype="float32")
    assert said_of(case, simulated(case).given).wrong is None
    wrong = changed(case, "J", lambda loss: loss * (1 + 2.0**-18))
    assert wrong_of(case, wrong).startswith("J is not ")


# -- coarser arithmetics -----------------------------------------------------------------------


def reduced(case: Case) -> Gradients:
    """Multiplicands of matrix products rounded to 11 bits, in float32."""
    form, tf32 = format_of("float32"), ARITHMETICS["tf32"].multiplicand
    assert tf32 is not None
    (w1, w2), (b1, b2) = case.weights, case.biases
    assert b1 is not None
    assert b2 is not None

    def times(left: Array, right: Array) -> Array:
        return form.round(tf32.round(left) @ tf32.round(right))

    z1 = form.round(times(case.x, w1.T) + b1)
    a1 = np.maximum(z1, 0)
    z2 = form.round(times(a1, w2.T) + b2)
    d2 = form.round(z2 - case.y)
    d1 = np.where(z1 > 0, times(d2, w2), 0.0)
    loss = form.round(0.5 * (d2**2).sum())
    return Gradients(loss, (times(d1.T, case.x), times(d2.T, a1)), (d1[0], d2[0]), times(d1, w1))


def test_a_coarser_arithmetic_is_named() -> None:
    case = case_of((32, 32, 4), "float32", output="identity")
    found = said_of(case, reduced(case))
    assert (found.wrong, found.names[:1]) == (None, ("tf32",))


def test_zeros_are_no_coarser_arithmetic() -> None:
    case = case_of((32, 32, 4), "float32", output="identity")
    given = reduced(case)
    arrays = dict(given.entries()) | {"x": np.zeros_like(given.x)}
    assert said_of(case, Gradients.named(arrays)).wrong is not None


# -- where nothing is said ---------------------------------------------------------------------


def test_of_several_rows_nothing_is_said() -> None:
    case = case_of((3, 4, 2), rows=2)
    assert related(case, simulated(case).given) == SEVERAL_ROWS


def test_of_numbers_that_are_not_finite_nothing_is_said() -> None:
    case = case_of((3, 4, 2))
    assert related(case, changed(case, "b1", lambda b: b + np.inf)) == NOT_FINITE


def test_of_one_array_alone_nothing_is_said() -> None:
    case = case_of((3, 4, 2))
    arrays = dict.fromkeys(("J", *case.wanted), LEFT_OUT)
    found = dict(simulated(case).given.entries())
    alone = Gradients.named({**arrays, "W2": found["W2"]})
    assert related(case, alone) == NOTHING_USED


def test_what_is_left_out_is_not_held_to_anything() -> None:
    case = case_of((3, 4, 2))
    found = dict(simulated(case).given.entries())
    some = Gradients.named({**found, "J": LEFT_OUT, "x": LEFT_OUT, "b1": LEFT_OUT})
    assert said_of(case, some).wrong is None
    assert said_of(case, some).compared < said_of(case, simulated(case).given).compared


# -- what it says together with the a-priori certificate ---------------------------------------


def verdict(kind: Kind) -> Verdict:
    return Verdict("f", "", "", kind, detail="why")


@pytest.mark.parametrize("kind", [Kind.AGREES, Kind.KINK, Kind.UNDECIDED, Kind.SUBNORMAL])
def test_a_broken_relation_makes_what_is_explained_inconsistent(kind: Kind) -> None:
    case = case_of((3, 4, 2))
    found = with_relations(verdict(kind), case, changed(case, "b1", one_entry(1 + 2.0**-41)))
    assert found.kind is Kind.INCONSISTENT
    assert found.detail.startswith(("db1 is not", "dW1 is not"))


def test_a_broken_relation_is_told_of_what_disagrees() -> None:
    case = case_of((3, 4, 2))
    found = with_relations(verdict(Kind.DISAGREES), case, changed(case, "b1", one_entry(2.0)))
    assert found.kind is Kind.DISAGREES
    assert found.detail.startswith("why; db1 is not W2ᵀ db2 behind the gates of z1: b1[")


@pytest.mark.parametrize("kind", [Kind.AGREES, Kind.KINK, Kind.UNDECIDED, Kind.DISAGREES])
def test_relations_that_hold_change_nothing(kind: Kind) -> None:
    case = case_of((3, 4, 2))
    found = with_relations(verdict(kind), case, simulated(case).given)
    assert (found.kind, found.detail) == (kind, "why")
    (said,) = found.certificates
    assert (said.certificate, said.wrong, said.note, said.records) == ("relations", "", "", 7)


@pytest.mark.parametrize("kind", [Kind.NONFINITE, Kind.UNSUPPORTED, Kind.CRASHED])
def test_of_other_verdicts_it_is_not_asked(kind: Kind) -> None:
    case = case_of((3, 4, 2))
    (said,) = with_relations(verdict(kind), case, simulated(case).given).certificates
    assert said.note == f"not asked of what is {kind}"


def test_why_nothing_is_said_is_noted() -> None:
    case = case_of((3, 4, 2), rows=2)
    found = with_relations(verdict(Kind.AGREES), case, simulated(case).given)
    assert [each.note for each in found.certificates] == [SEVERAL_ROWS]


def test_relations_are_asked_of_functions_alone() -> None:
    asked = {
        command for (command, _), each in CERTIFICATES.items() if Certificate.RELATIONS in each
    }
    assert asked == {FUNCTION}


def test_each_case_of_a_stack_is_asked_about_by_itself() -> None:
    shape = Shape(Network((3, 4, 2)), 1, "float64")
    stack = block(shape, 3, 0, Mix.parse("uniform")).batch.case(slice(3))
    given = simulated(stack).given.map(np.array)
    dict(given.entries())["b2"][1] *= 2.0
    question = judge(stack, [Answer(given, by_relations=True)])
    said = [question.verdict(0, index).certificates[0] for index in range(3)]
    assert [bool(each.wrong) for each in said] == [False, True, False]


# -- functions of the user's -------------------------------------------------------------------


def slightly_wrong(weights: Any, biases: Any, x: Any, y: Any) -> Any:
    """The whole bounds of a wide network do not see it."""
    for_weights, for_biases, for_x = backward(weights, biases, x, y)
    for_weights[1] = one_entry(1 + 2.0**-46)(for_weights[1])
    return for_weights, for_biases, for_x


def test_what_is_wrong_by_too_little_for_whole_bounds_is_inconsistent() -> None:
    found = verdict_on(slightly_wrong, live_case((64, 64, 64, 8)))
    assert found.kind is Kind.INCONSISTENT
    assert found.detail.startswith("dW2 is not db2 times one row of activations: W2[")


def test_the_relation_is_in_the_message_of_a_test_that_fails() -> None:
    wrong = functools.partial(backward, mistake="mask")
    with pytest.raises(DisagreementError) as caught:
        require_agreement(reference=wrong, cases=live_case((4, 6, 6, 3)))
    assert "db2 is not W3ᵀ db3 behind the gates of z2: b2[" in str(caught.value).splitlines()[2]


def test_how_to_have_relations_left_out_is_in_the_message() -> None:
    case = live_case((64, 64, 64, 8))
    reference, verdict = judge(case).reference(), verdict_on(slightly_wrong, case)
    text = failure_text(CaseChecked("given", "case", case, reference, (verdict,)), note="case")
    assert "goes forwards, this need not hold: as_written=False" in text


@pytest.mark.parametrize("as_written", [True, False])
def test_what_is_not_run_as_it_is_written_is_not_asked_for_relations(as_written: bool) -> None:
    case = live_case((3, 4, 2))

    def right(weights: Any, biases: Any, x: Any, y: Any) -> Any:
        found = simulated(case).given
        assert isinstance(found, Gradients)
        return found

    events: list[Any] = []
    compare_implementations(numpy=right, cases=case, as_written=as_written, emit=events.append)
    (checked,) = [each for each in events if isinstance(each, CaseChecked)]
    assert bool(checked.verdicts[0].certificates) == as_written


def test_a_dense_network_and_the_same_of_operators_are_told_the_same() -> None:
    case = case_of((4, 6, 3))
    wrong = changed(case, "b1", one_entry(2.0))
    assert wrong_of(case, wrong) == wrong_of(
        composed(case), type(simulated(composed(case)).given).named(dict(wrong.entries()))
    )
