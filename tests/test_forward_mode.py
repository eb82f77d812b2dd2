"""Forward mode: the same gradient by another formula, with bounds of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import random
from collections import Counter
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pytest
from test_whole_gradients import choose, exact, random_case
from toy import Overflow, Toy

from crosscheck.judge.compare import Judge
from crosscheck.judge.enclosed import Enclosed, joined
from crosscheck.judge.kinks.exclusion import possible
from crosscheck.judge.kinks.explanation import explain
from crosscheck.judge.verdict import Kind, fails
from crosscheck.network.dense import Case, Gradients, worked_example
from crosscheck.network.exact import exact_forward, exact_gradients, rationals
from crosscheck.network.forward_mode import forward_mode
from crosscheck.network.loss_bounds import loss_and_cotangent
from crosscheck.network.reference import forward, gradients
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.model import Model

ZERO, ONE, HALF = Fraction(0), Fraction(1), Fraction(1, 2)


class ToyForwardMode:
    """Forward mode with every operation by a toy, in an order that is drawn for every entry.

    Args:
        case: A single case.
        toy: The arithmetic.
        slope: The derivative of ReLU at zero.
    """

    def __init__(self, case: Case, toy: Toy, slope: Fraction) -> None:
        self.case, self.toy, self.rng = case, toy, toy.rng
        self.rows, self.depth = range(case.rows), case.network.depth
        self.weights = [exact(weight) for weight in case.weights]
        self.biases = [None if bias is None else exact(bias) for bias in case.biases]
        self.share = toy.rounded(Fraction(1, case.rows))
        self.mean = case.network.reduction == "mean"
        self.a: list[Any] = [exact(case.x)]
        self.gates: list[Any] = []
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True), 1):
            z = self.table(
                len(weight),
                lambda r, i, w=weight, b=bias: toy.dot(
                    w[i], self.a[-1][r], [] if b is None else [b[i]]
                ),
            )
            if case.network.has_relu(layer):
                self.gates.append(choose(z > 0, ONE, choose(z < 0, ZERO, slope)))
                z = choose(z > 0, z, ZERO)
            else:
                self.gates.append(z * 0 + 1)
            self.a.append(z)
        y = exact(case.y)
        self.d = self.table(y.shape[1], lambda r, k: toy.plus(self.a[-1][r, k], -y[r, k]))

    def table(self, width: int, entry: Any) -> Any:
        """An array over rows and units."""
        return np.array([[entry(r, i) for i in range(width)] for r in self.rows], dtype=object)

    def gated(self, z: Any, layer: int) -> Any:
        """ȧ = s ∘ ż."""

        def entry(r: int, i: int) -> Fraction:
            s = self.gates[layer - 1][r, i]
            return s * z[r, i] if s in (0, 1) else self.toy.times(s, z[r, i])

        return self.table(z.shape[1], entry)

    def tangent(self, a: Any, layer: int, w: Any, b: Any) -> Any:
        """ȧ_layer from ȧ_{layer-1} and the tangents of this layer's own parameters."""
        weight, below = self.weights[layer - 1], self.a[layer - 1]

        def entry(r: int, i: int) -> Fraction:
            ones = [*a[r], *(below[r] if w is not None else [])]
            others = [*weight[i], *(w[i] if w is not None else [])]
            return self.toy.dot(ones, others, [b[i]] if b is not None else [])

        return self.gated(self.table(len(weight), entry), layer)

    def divided(self, value: Fraction) -> Fraction:
        """A value over the number of rows."""
        if self.rng.random() < 0.5:
            return self.toy.times(value, self.share)
        return self.toy.rounded(self.toy.read(value) / self.case.rows)

    def loss_tangent(self, tangent: Any) -> Fraction:
        """J̇, with the factors 2, ½ and 1 / B where the dice put them."""
        toy, rng = self.toy, self.rng
        d, t = list(self.d.ravel()), list(tangent.ravel())
        places = [rng.choice(["d", "t", "terms", "rows", "sum"]) for _ in range(2)]
        steps = [("half", places[0])] + ([("mean", places[1])] if self.mean else [])
        rng.shuffle(steps)

        def scale(values: list[Fraction], place: str) -> list[Fraction]:
            for what, where in steps:
                if where == place:
                    halve = what == "half"
                    values = [toy.times(HALF, v) if halve else self.divided(v) for v in values]
            return values

        def add(values: list[Fraction]) -> Fraction:
            return toy.dot([], [], values)

        half_d, half_t = scale(d, "d"), scale(t, "t")
        how = rng.choice(["square", "product rule", "dots"])
        if how == "square":
            which = rng.randrange(3)
            if which == 0:
                half_d = [toy.times(Fraction(2), v) for v in half_d]
            elif which == 1:
                half_t = [toy.times(Fraction(2), v) for v in half_t]
            if which < 2 and places == ["sum"] * 2:
                # The products themselves may be fused into the sum.
                total = toy.dot(half_d, half_t)
                return scale([total], "sum")[0]
            terms = [toy.times(v, w) for v, w in zip(half_d, half_t, strict=True)]
            if which == 2:
                terms = [toy.times(Fraction(2), v) for v in terms]
        elif how == "product rule" or "rows" in places or "terms" in places:
            # J = Σ e d with e = c d: ė d + e ḋ.
            scaled = scale(scale(d, "d"), "t")
            scaled_t = scale(scale(t, "d"), "t")
            terms = [
                toy.dot([v, w], [y, x]) for v, w, x, y in zip(scaled, scaled_t, d, t, strict=True)
            ]
        else:
            scaled, scaled_t = scale(scale(d, "d"), "t"), scale(scale(t, "d"), "t")
            total = toy.plus(toy.dot(scaled, t), toy.dot(scaled_t, d))
            return scale([total], "sum")[0]
        terms = scale(terms, "terms")
        width = self.d.shape[1]
        by_row = [add(terms[width * r : width * (r + 1)]) for r in self.rows]
        if "rows" in places:
            return scale([add(scale(by_row, "rows"))], "sum")[0]
        return scale([add(terms)], "sum")[0]

    def along(self, layer: int, *, w: Any = None, b: Any = None, x: Any = None) -> Fraction:
        """∂J/∂θ for one parameter of ``layer``, or of the input."""
        a = self.a[max(layer - 1, 0)] * 0 if x is None else x
        if layer > 0:
            a = self.tangent(a, layer, w, b)
        for above in range(layer + 1, self.depth + 1):
            a = self.tangent(a, above, None, None)
        return self.loss_tangent(a)

    def gradients(self) -> Gradients:
        """Loss and gradient, one forward pass for each parameter."""

        def each(shape: tuple[int, ...], layer: int, name: str) -> Any:
            result = np.empty(shape)
            for index in np.ndindex(*shape):
                one_hot = np.full(shape, ZERO, dtype=object)
                one_hot[index] = ONE
                result[index] = float(self.along(layer, **{name: one_hot}))
            return result

        toy = self.toy
        loss = toy.times(HALF, toy.dot(self.d.ravel(), self.d.ravel()))
        loss = self.divided(loss) if self.mean else loss
        case = self.case
        return Gradients(
            np.float64(float(loss)),
            tuple(each(w.shape, layer, "w") for layer, w in enumerate(case.weights, 1)),
            tuple(
                None if b is None else each(b.shape, layer, "b")
                for layer, b in enumerate(case.biases, 1)
            ),
            each(case.x.shape, 0, "x"),
        )


def forward_verdict(case: Case, given: Gradients) -> Any:
    return Judge(case).verdict(given, framework="given", derivation="forward")


def gates_at_kinks(case: Case, slope: float) -> list[Any]:
    return [
        np.heaviside((z > 0) * 1.0 - (z < 0) * 1.0, slope) if case.network.has_relu(layer) else None
        for layer, z in enumerate(exact_forward(case).pre_activations, start=1)
    ]


@pytest.mark.parametrize("slope", [0.0, 0.25, 0.5, 1.0])
def test_forward_and_reverse_mode_are_equal_in_rationals(slope: float) -> None:
    rng = np.random.default_rng(0)
    kinks = 0
    for _ in range(40):
        case = random_case(rng, "float64", kinks=True)
        gates = gates_at_kinks(case, slope)
        kinks += sum(int((gate == slope).sum()) for gate in gates if gate is not None)
        trace = exact_forward(case)
        forwards = forward_mode(
            case.network,
            [rationals(weight) for weight in case.weights],
            [None if bias is None else rationals(bias) for bias in case.biases],
            trace,
            rationals(case.y),
            [None if gate is None else rationals(gate) for gate in gates],
            rationals,
        )
        for (name, one), (_, other) in zip(
            forwards.entries(), exact_gradients(case, trace, gates).entries(), strict=True
        ):
            assert np.shape(one) == np.shape(other), name
            assert np.array_equal(one, other), name
    assert kinks > 20


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_unit_by_unit_or_all_at_once_is_the_same(dtype: str) -> None:
    rng = np.random.default_rng(1)
    for _ in range(10):
        case = random_case(rng, dtype, kinks=True)
        enclosed = Enclosed(case, Model(format_of(dtype)), "forward")
        gates = gates_at_kinks(case, 0.5)
        arguments = (case.network, enclosed.weights, enclosed.biases, enclosed.trace, enclosed.y)
        many, one = (
            forward_mode(
                *arguments,
                gates,
                partial(Enclosure.of, enclosed.model),
                join=joined,
                at_once=at_once,
                loss_and_cotangent=loss_and_cotangent,
            )
            for at_once in (2**16, 1)
        )
        for (name, bound), (_, other) in zip(many.entries(), one.entries(), strict=True):
            assert np.array_equal(bound.high, other.high), name
            assert np.array_equal(bound.bound, other.bound), name


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_a_stack_in_forward_mode_has_each_case_s_own_gradient(reduction: Any) -> None:
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> Any:
        return rng.integers(-6, 7, shape) / 8  # so that nothing is rounded in any order

    stack = Case.of(
        [draw(5, 4, 3), draw(5, 2, 4)],
        [draw(5, 4), None],
        draw(5, 2, 3),
        draw(5, 2, 2),
        reduction=reduction,
    )
    trace = forward(
        stack.network, stack.weights, stack.biases, stack.x, lambda z: np.maximum(z, 0.0)
    )
    gates = [np.heaviside(z, 0.5) for z in trace.pre_activations]
    together = forward_mode(
        stack.network, stack.weights, stack.biases, trace, stack.y, gates, lambda values: values
    )
    enclosed = Enclosed(stack, Model(format_of("float64")), "forward").gradients(gates)
    for index in range(5):
        alone = gradients(stack[index], kink_slope=0.5)
        for (name, one), (_, other) in zip(together[index].entries(), alone.entries(), strict=True):
            assert np.array_equal(one, other), name
        for (name, bound), (_, other) in zip(enclosed.entries(), alone.entries(), strict=True):
            assert np.array_equal(bound.high[index], other), name
            assert not bound.bound[index].any(), name


@pytest.mark.parametrize("flush", [False, True], ids=["gradual", "flush"])
@pytest.mark.parametrize("kinks", [False, True], ids=["gaussian", "small-numbers"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_no_correct_forward_mode_is_called_wrong(dtype: str, kinks: bool, flush: bool) -> None:
    rng = np.random.default_rng([kinks, flush, len(dtype), 2])
    toy = Toy(format_of(dtype), random.Random(dtype), flush=flush)
    seen: Counter[Kind] = Counter()
    tested = 0
    while tested < 50:
        case = random_case(rng, dtype, kinks=kinks)
        slope = Fraction(int(rng.integers(0, 3)), 2)
        try:
            given = ToyForwardMode(case, toy, slope).gradients()
        except Overflow:
            continue
        tested += 1
        verdict = forward_verdict(case, given)
        assert verdict.kind not in {Kind.DISAGREES, Kind.REDUCED}, (case, slope, verdict)
        seen[verdict.kind] += 1
        for gate in verdict.gates:
            if gate.gate == "kink" and gate.slope is not None and case.rows == 1:
                assert gate.slope == slope
    assert seen[Kind.KINK] > 10 if kinks else seen[Kind.AGREES] > 10


@pytest.mark.parametrize("flush", [False, True], ids=["gradual", "flush"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_the_end_of_the_range_is_no_mistake(dtype: str, flush: bool) -> None:
    form = format_of(dtype)
    rng = np.random.default_rng([flush, len(dtype), 3])
    toy = Toy(form, random.Random(dtype), flush=flush)
    seen: Counter[Kind] = Counter()
    while seen.total() < 60:
        case = random_case(rng, dtype, kinks=False)
        # Powers of two that take d, its products with tangents, or both, below normal numbers.
        down = float(2.0 ** (form.emin - int(rng.integers(-3, form.precision))))
        scale = [(1.0, down), (down, 1.0), (2.0 ** (form.emin // 2), 1.0)][rng.integers(0, 3)]
        last = len(case.weights) - 1
        case = Case.of(
            [w * scale[0] if layer == last else w for layer, w in enumerate(case.weights)],
            [
                None if b is None else b * scale[1] * scale[0] ** (layer == last)
                for layer, b in enumerate(case.biases)
            ],
            case.x * scale[1],
            case.y * scale[0] * scale[1],
            dtype=dtype,
            output=case.network.output,
            reduction=case.network.reduction,
        )
        given = ToyForwardMode(case, toy, ZERO).gradients()
        verdict = forward_verdict(case, given)
        assert verdict.kind not in {Kind.DISAGREES, Kind.REDUCED}, (case, verdict)
        seen[verdict.kind] += 1


@pytest.mark.parametrize("flush", [False, True], ids=["gradual", "flush"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_no_correct_forward_mode_has_its_slopes_excluded(dtype: str, flush: bool) -> None:
    rng = np.random.default_rng([flush, len(dtype), 1])
    toy = Toy(format_of(dtype), random.Random(dtype), flush=flush)
    tested = explained = 0
    while tested < 30:
        case = random_case(rng, dtype, kinks=True)
        enclosed = Enclosed(case, Model(format_of(dtype), flush=flush), "forward")
        if not enclosed.open_gates:
            continue
        slope = Fraction(int(rng.integers(0, 9)), 8)
        try:
            given = ToyForwardMode(case, toy, slope).gradients()
        except Overflow:
            continue
        tested += 1
        assert possible(enclosed, given) is not None, (case, slope)
        explanation = explain(enclosed, given)
        assert explanation is not None, (case, slope)
        explained += explanation.found
    assert explained >= 0.9 * tested


def errors_in_bounds(dtype: str, cases: int) -> list[float]:
    """The largest error / bound of each of many gradients without open gates."""
    rng = np.random.default_rng(5)
    toy = Toy(format_of(dtype), random.Random(5))
    found: list[float] = []
    while len(found) < cases:
        verdict = None
        case = random_case(rng, dtype, kinks=False)
        with contextlib.suppress(Overflow):
            verdict = forward_verdict(case, ToyForwardMode(case, toy, ZERO).gradients())
        if verdict is not None and verdict.kind is Kind.AGREES and verdict.worst is not None:
            found.append(verdict.worst.bounds)
    return found


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_the_bound_is_not_wasted(dtype: str) -> None:
    found = errors_in_bounds(dtype, 60)
    assert 0.3 < max(found) <= 1.0
    assert np.median(found) > 0.05


def scaled(given: Gradients, factor: float) -> Any:
    """Gradients with the largest entry of one array times ``factor``."""
    for name, value in given.entries():
        if name == "J" or not value.any():
            continue
        wrong = value.copy()
        index = np.unravel_index(np.argmax(np.abs(value)), value.shape)
        wrong[index] *= factor
        layer = int(name[1:] or 0) - 1
        if name == "x":
            yield dataclasses.replace(given, x=wrong)
        elif name[0] == "W":
            arrays = [wrong if at == layer else each for at, each in enumerate(given.weights)]
            yield dataclasses.replace(given, weights=tuple(arrays))
        else:
            arrays = [wrong if at == layer else each for at, each in enumerate(given.biases)]
            yield dataclasses.replace(given, biases=tuple(arrays))


@pytest.mark.parametrize("kinks", [False, True], ids=["gaussian", "small-numbers"])
def test_one_entry_that_is_off_by_a_millionth_is_found(kinks: bool) -> None:
    rng = np.random.default_rng(6)
    toy = Toy(format_of("float64"), random.Random(6))
    noticed = total = 0
    for _ in range(30):
        case = random_case(rng, "float64", kinks=kinks)
        given = ToyForwardMode(case, toy, ZERO).gradients()
        for wrong in scaled(given, 1.0 + 2.0**-20):
            total += 1
            kind = forward_verdict(case, wrong).kind
            noticed += kind is Kind.DISAGREES
            # A slope other than 0 may explain one entry at a kink, and does so openly.
            assert kind is Kind.DISAGREES or kinks
    assert noticed >= 0.9 * total > 50


def test_a_missing_mask_is_found() -> None:
    rng = np.random.default_rng(7)
    toy = Toy(format_of("float64"), random.Random(7))
    tested = 0
    while tested < 20:
        case = random_case(rng, "float64", kinks=False)
        evaluation = ToyForwardMode(case, toy, ZERO)
        right = evaluation.gradients()
        evaluation.gates = [gate * 0 + 1 for gate in evaluation.gates]
        wrong = evaluation.gradients()
        off = (
            np.max(np.abs(one - other)) > 1e-6
            for (_, one), (_, other) in zip(right.entries(), wrong.entries(), strict=True)
        )
        if not any(off):
            continue
        tested += 1
        assert forward_verdict(case, wrong).kind is Kind.DISAGREES


@pytest.mark.parametrize(("dtype", "coarse"), [("float32", "bfloat16"), ("float64", "float32")])
def test_forward_mode_of_fewer_bits_is_noticed(dtype: str, coarse: str) -> None:
    rng = np.random.default_rng(8)
    toy = Toy(format_of(coarse), random.Random(8))
    total = 0
    while total < 30:
        case = random_case(rng, dtype, kinks=False)
        given = ToyForwardMode(case, toy, ZERO).gradients()
        if not any(np.any(weight) for weight in given.weights):
            continue
        total += 1
        # Rounding every operation is none of the arithmetics that round multiplicands alone.
        verdict = forward_verdict(case, given)
        assert fails(verdict, ("tf32", "bfloat16-multiplicands", "truncated")), verdict


def test_the_worked_example_is_exact_in_forward_mode() -> None:
    case = worked_example()
    bounds = Enclosed(case, Model(format_of("float64")), "forward").certain_gradients
    for name, bound in bounds.entries():
        assert not np.any(bound.bound), name
    assert forward_verdict(case, gradients(case)).kind is Kind.AGREES


def test_partial_sums_at_twice_the_size_may_overflow_in_forward_mode_alone() -> None:
    # J̇ = d · ȧ = 40000 for the weight; frameworks form 2 d ȧ = 80000 > 65504 on the way.
    case = Case.of([[[1.0]]], [None], [[200.0]], [[0.0]], dtype="float16", output="identity")
    backwards = Enclosed(case, Model(format_of("float16"))).certain_gradients
    forwards = Enclosed(case, Model(format_of("float16")), "forward").certain_gradients
    assert np.isfinite(backwards.weights[0].bound).all()
    assert np.isinf(forwards.weights[0].bound).all()


@pytest.mark.parametrize(("size", "fits"), [(180.0, True), (400.0, False)])
def test_nothing_is_said_in_forward_mode_of_a_case_whose_loss_overflows(
    size: float, fits: bool
) -> None:
    # d = 1 + size, so Σ d² is 32761 or 160801, and float16 ends at 65504. The second hidden unit
    # is off: its entries are zero, and even they may come out as 0 · ∞.
    case = Case.of(
        [[[1.0], [-1.0]], [[1.0, 1.0]]],
        [[0.0, 0.0], [0.0]],
        [[1.0]],
        [[-size]],
        dtype="float16",
        output="identity",
    )
    form = format_of("float16")
    for flush in (False, True):
        backwards = Enclosed(case, Model(form, flush=flush)).certain_gradients
        forwards = Enclosed(case, Model(form, flush=flush), "forward").certain_gradients
        for name, bound in forwards.entries():
            assert (np.isfinite(bound.bound) == fits).all(), name
            assert name == "J" or np.isfinite(dict(backwards.entries())[name].bound).all()
    stack = Case(
        case.network,
        tuple(np.stack([weight, weight]) for weight in case.weights),
        tuple(np.stack([bias, bias]) for bias in case.biases if bias is not None),
        np.stack([case.x, case.x]),
        np.stack([case.y, case.y / 4]),
        case.dtype,
    )
    for name, bound in Enclosed(stack, Model(form), "forward").certain_gradients.entries():
        assert (np.isfinite(bound.bound[0]) == fits).all(), name
        assert np.isfinite(bound.bound[1]).all(), name
