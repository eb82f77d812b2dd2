"""Coarser arithmetics: honest ones get their name, nothing wrong hides behind them."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from coarser import FAULTS, Simulated, random_case
from toy import Overflow, Toy

from crosscheck.judge.compare import Judge
from crosscheck.judge.verdict import Kind, Verdict, fails
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.reference import gradients
from crosscheck.numbers import enclosure as enclosures
from crosscheck.numbers.formats import FORMATS, Format
from crosscheck.numbers.model import Model
from crosscheck.numbers.named import ARITHMETICS, Arithmetic, arithmetics_of, executed
from crosscheck.run.checking import compare_implementations

ALL = tuple(ARITHMETICS)
MULTIPLICANDS = ("tf32", "bfloat16-multiplicands")


def dtype_of(name: str) -> str:
    (dtype,) = ARITHMETICS[name].dtypes
    return dtype


def honest(name: str, index: int, **options: Any) -> tuple[Case, Gradients]:
    """A random case and what the arithmetic gives for it."""
    rng = np.random.default_rng([index, len(name)])
    share = options.pop("spared", 0.0)
    case = random_case(rng, dtype_of(name), **options)
    slope = float(rng.choice([0.0, 0.5, 1.0]))
    with np.errstate(all="ignore"):
        evaluation = Simulated(case, ARITHMETICS[name], rng, slope=slope, spared=share)
        return case, evaluation.gradients()


def judged(case: Case, given: Gradients) -> Verdict:
    return Judge(case).verdict(given, framework="simulated")


@pytest.mark.parametrize("kinks", [False, True], ids=["gaussian", "kinks"])
@pytest.mark.parametrize("name", MULTIPLICANDS)
def test_honest_coarser_arithmetic_gets_its_name(name: str, kinks: bool) -> None:
    named = []
    for index in range(25):
        verdict = judged(*honest(name, index, widest=24, kinks=kinks))
        assert not fails(verdict, (name,)), (index, verdict)
        if verdict.kind is Kind.REDUCED:
            named.append(verdict.arithmetic)
    assert set(named) == {name}
    assert len(named) > 15


@pytest.mark.parametrize("shape", ["one product", "any"])
def test_honest_results_that_are_cut_are_named(shape: str) -> None:
    # The cut of d x, which has 16 bits, errs by up to two roundings. Sums may err by more.
    name, named = "truncated", []
    for index in range(25):
        if shape == "any":
            case, given = honest(name, index, widest=24)
        else:
            rng = np.random.default_rng(index)
            x, d = rng.integers(128, 256, (1, 1)), rng.integers(128, 256, (1, 6))
            case = Case.of([np.ones((6, 1))], [None], x, x - d, dtype="bfloat16")
            given = Simulated(case, ARITHMETICS[name], rng).gradients()
        verdict = judged(case, given)
        assert not fails(verdict, (name,)), (index, verdict)
        named += [verdict.arithmetic] if verdict.kind is Kind.REDUCED else []
    assert set(named) <= {name}
    assert len(named) > (15 if shape == "one product" else -1)


@pytest.mark.parametrize("name", MULTIPLICANDS)
def test_wide_networks_are_told_from_wrong_ones(name: str) -> None:
    rng = np.random.default_rng(len(name))
    draw = rng.standard_normal
    case = Case.of(
        [draw((512, 256)) / 11, draw((10, 512)) / 16],
        [draw(512), draw(10)],
        draw((3, 256)),
        draw((3, 10)),
        dtype="float32",
    )
    given = Simulated(case, ARITHMETICS[name], rng).gradients()
    judge = Judge(case)
    verdict = judge.verdict(given, framework="simulated")
    assert (verdict.kind, verdict.arithmetic) == (Kind.REDUCED, name)
    assert verdict.precision == pytest.approx(ARITHMETICS[name].bits, abs=0.5)
    for wrong in ("zero", "doubled", "negated", "one layer negated"):
        assert judge.verdict(FAULTS[wrong](given), framework="wrong").kind is Kind.DISAGREES


@pytest.mark.parametrize("name", MULTIPLICANDS)
def test_the_number_of_bits_is_right_to_half_a_bit(name: str) -> None:
    verdicts = [judged(*honest(name, index, widest=24)) for index in range(100, 112)]
    bits = [each.precision for each in verdicts if each.kind is Kind.REDUCED]
    assert len(bits) > 8
    assert bits == pytest.approx([ARITHMETICS[name].bits] * len(bits), abs=0.5)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("wrong", FAULTS)
def test_no_arithmetic_that_is_allowed_excuses_a_wrong_gradient(wrong: str, dtype: str) -> None:
    if wrong == "a hundredth more":
        allowed: tuple[str, ...] = ("tf32", "bfloat16-multiplicands", "truncated")
        widest = {"float64": 64, "float32": 64}.get(dtype, 0)  # 2^-7 is near enough to 1.01
    else:
        allowed, widest = ALL, {"float64": 64, "float32": 64}.get(dtype, 3)
    tried = 0
    for index in range(12 if widest else 0):
        rng = np.random.default_rng([index, len(dtype)])
        case = random_case(rng, dtype, widest=widest, rows=4)
        right = gradients(case)
        form = FORMATS[dtype]
        given = Gradients(
            form.round(right.loss),
            tuple(map(form.round, right.weights)),
            tuple(None if bias is None else form.round(bias) for bias in right.biases),
            form.round(right.x),
        )
        judge = Judge(case)
        sound = judge.verdict(given, framework="rounded")
        if sound.kind is not Kind.AGREES or not np.any(right.weights[0]):
            continue
        if dtype in ("bfloat16", "float16") and not _is_checked(judge):
            continue
        tried += 1
        assert fails(judge.verdict(FAULTS[wrong](given), framework="wrong"), allowed)
    assert tried > (3 if widest else -1)


def _is_checked(judge: Judge) -> bool:
    """Whether the ordinary bounds tell the first layer's weights from zero."""
    bound = judge.enclosed(Model(judge.format, flush=True)).certain_gradients.weights[0]
    return bool((np.abs(bound.high) > bound.bound).any())


@pytest.mark.parametrize("name", MULTIPLICANDS)
def test_an_arithmetic_may_be_used_in_some_matrix_products_and_not_in_others(name: str) -> None:
    remarks = []
    for index in range(12):
        verdict = judged(*honest(name, index, widest=24, spared=0.4))
        assert not fails(verdict, (name,)), (index, verdict)
        if verdict.kind is Kind.REDUCED:
            assert verdict.arithmetic == name
            remarks.append(verdict.detail)
    assert sum("matrix products" in remark for remark in remarks) > 4


def test_float16_accumulation_is_named_and_only_where_its_bounds_tell_something() -> None:
    name, seen = "float16-accumulation", []
    for index in range(15):
        case, given = honest(name, index, widest=8, rows=2)
        verdict = judged(case, given)
        if verdict.kind is Kind.REDUCED and verdict.arithmetics == (name,):
            seen.append(index)
            for wrong in ("zero", "doubled", "negated"):
                assert fails(judged(case, FAULTS[wrong](given)), ALL)
    assert len(seen) > 4
    case, given = honest(name, 1, widest=700, rows=3)
    assert max(case.network.widths) > 100
    assert fails(judged(case, FAULTS["zero"](given)), ALL)


def test_gates_that_float16_accumulation_leaves_open_do_not_excuse_a_gradient_of_zeros() -> None:
    # 140 terms of size 1 leave 0.01: in float32 a certain gate, in float16 an open one.
    rng, form = np.random.default_rng(3), FORMATS["float32"]
    first = form.round(rng.uniform(0.5, 1.0, (140, 1)))
    last = form.round(rng.uniform(0.5, 1.0, 140) * np.tile([1.0, -1.0], 70) / first[:, 0])
    last[-1] += form.round((0.01 - last @ first[:, 0]) / first[-1, 0])
    case = Case.of([first, form.round(last[None])], None, [[1.0]], [[-20.0]], dtype="float32")
    right = gradients(case)
    given = replace(
        right,
        loss=form.round(right.loss),
        weights=tuple(map(form.round, right.weights)),
        x=form.round(right.x),
    )
    judge = Judge(case)
    assert judge.verdict(given, framework="rounded").kind is Kind.AGREES
    assert judge.verdict(FAULTS["zero"](given), framework="zero").kind is Kind.DISAGREES


def test_an_arithmetic_that_changes_nothing_explains_nothing() -> None:
    # All numbers have few bits. The two gates of layer 1 are kinks of one unit: its bias gradient
    # says λ = ½ for both, its weights say 0 and 1. No slopes give both, and each is in their hull.
    case = Case.of(
        [[[1.0, -1.0]], [[1.0]]],
        [[0.0], [1.0]],
        [[1.0, 1.0], [2.0, 2.0]],
        [[0.0], [0.0]],
        dtype="float32",
        output="identity",
    )
    right = gradients(case, kink_slope=0.5)
    assert judged(case, right).kind is Kind.KINK
    weights = (gradients(case, kink_slope=1.0).weights[0] * np.array([[0.75, 0.25]]),)
    mixed = replace(right, weights=(*weights, right.weights[1]))
    assert judged(case, mixed).kind is Kind.DISAGREES


@pytest.mark.parametrize("allowed", [True, False], ids=["allowed", "not allowed"])
def test_a_comparison_of_functions_fails_unless_the_arithmetic_is_allowed(allowed: bool) -> None:
    case, _ = honest("tf32", 5, widest=8)

    def in_tf32(case: Case) -> Gradients:
        rng = np.random.default_rng(0)
        return Simulated(case, ARITHMETICS["tf32"], rng).gradients()

    given = in_tf32(case)
    assert judged(case, given).arithmetic == "tf32"

    def by_hand(case: Case) -> Any:
        found = in_tf32(case)
        return found.weights, found.biases, found.x

    found = compare_implementations(
        numpy=by_hand, cases=case, allow=("tf32",) if allowed else ("truncated",)
    )
    assert found.passed is allowed
    assert ('allow=("tf32",)' in found.message) is not allowed


# -- executing -----------------------------------------------------------------------------------

FOUR_BITS = Format("four bits", precision=4, emin=-3, emax=6)


def test_float64_has_no_coarser_arithmetic_and_each_other_dtype_its_own() -> None:
    assert arithmetics_of("float64") == arithmetics_of("float16") == ()
    assert [each.name for each in arithmetics_of("bfloat16")] == ["truncated"]
    assert [each.name for each in arithmetics_of("float32")] == [
        "tf32",
        "bfloat16-multiplicands",
        "float16-accumulation",
    ]


def in_form(value: Fraction, rng: random.Random, way: str) -> Fraction:
    """``value`` rounded to four bits: cut, or to nearest with a tie either way."""
    size = abs(value)
    grid = Fraction(1, 2**6)
    while size >= 16 * grid:
        grid *= 2
    steps = value / grid
    if way == "cut":
        return grid * int(steps)
    if abs(steps - int(steps)) == Fraction(1, 2):
        return grid * (int(steps) + rng.choice([0, 1 if value > 0 else -1]))
    return grid * round(steps)


@pytest.mark.parametrize("way", ["nearest", "cut"])
def test_what_is_rounded_lies_where_execution_says_and_is_a_point_where_it_can_be(way: str) -> None:
    rng = random.Random(way)
    points = 0
    for _ in range(3000):
        center = rng.choice([rng.randint(-256, 256), rng.uniform(-250, 250)]) / 2.0**6
        radius = rng.choice([0.0, 2.0**-20, 2.0**-8, 0.1, 3.0])
        m, e = executed(
            np.array(center), np.array(radius), FOUR_BITS, cut=way == "cut", may_vanish=False
        )
        points += e == 0
        found = set()
        for _ in range(5):
            share = Fraction(rng.choice([-1.0, 1.0, 0.0, rng.uniform(-1, 1)]))
            held = Fraction(center) + share * Fraction(radius)
            value = in_form(held, rng, way)
            assert abs(value - Fraction(float(m))) <= Fraction(float(e))
            found.add(value)
        if e == 0:
            assert found == {Fraction(float(m))}
    assert points > 1000


def test_what_may_overflow_or_vanish_in_the_coarser_format_is_not_a_point() -> None:
    form = FORMATS["float16"]
    values = np.array([65519.0, 65520.0, 1e9, np.inf, 2.0**-20, 0.0])
    m, e = executed(
        values, 0 * values[:1], form, cut=False, may_vanish=np.array([False] * 4 + [True] * 2)
    )
    assert np.isfinite(m).tolist() == [True] * 6
    assert np.isinf(e).tolist() == [False, True, True, True, False, False]
    assert e[4] >= 2.0**-20
    assert (m[5], e[5]) == (0.0, 0.0)


def products(arithmetic: Arithmetic, rng: random.Random, count: int) -> int:
    """How many bounds of matrix products were attacked; each is asserted to hold."""
    (dtype,) = arithmetic.dtypes
    form = FORMATS[dtype]
    model = Model(form, flush=True, arithmetic=arithmetic)
    accumulating = Toy(arithmetic.accumulator, rng, flush=True)
    attacked = 0

    def multiplicand(toy: Toy, held: Fraction) -> Fraction:
        held = toy.read(held)
        if arithmetic.multiplicand is None:
            return held
        away = rng.random() < 0.5
        grid = Fraction(2) ** int(np.log2(arithmetic.multiplicand.ulp(float(held))))
        steps = held / grid
        down = steps.numerator // steps.denominator
        if steps - down == Fraction(1, 2):
            found = grid * (down + (1 if away else 0))
        else:
            found = grid * round(steps)
        if abs(found) > Fraction(arithmetic.multiplicand.largest):
            raise Overflow
        return toy.read(found)

    for _ in range(count):
        size = rng.randint(1, 5)
        scale = rng.choice([0, 0, 0, -8, -70])
        operands: list[Any] = []
        helds: list[list[Fraction]] = []
        for _ in range(2):
            center = form.round(
                [rng.uniform(-2, 2) * 2.0 ** (scale - rng.randint(0, 3)) for _ in range(size)]
            )
            if rng.random() < 0.1:  # just below the least normal number, which it is rounded to
                center = np.array([form.smallest_normal * (1 - 2.0**-18)] * size)
                center = form.round(center * (1 if not operands else 2.0**126))
                center[1:] = 0.0
            elif rng.random() < 0.3:  # midpoints of the coarser format
                center = form.round(np.rint(center * 2.0**9) / 2.0**9)
            radius = np.abs(center) * rng.choice([0.0, 2.0**-20, 2.0**-9])
            operands.append(enclosures.Enclosure(model, center, 0.0 * radius, radius))
            helds.append(
                [
                    Fraction(float(form.round(c + rng.choice([-1, 0, 1]) * r * 0.9)))
                    for c, r in zip(center.tolist(), radius.tolist(), strict=True)
                ]
            )
            helds[-1] = [
                held if abs(held - Fraction(c)) <= Fraction(r) else Fraction(c)
                for held, c, r in zip(helds[-1], center.tolist(), radius.tolist(), strict=True)
            ]
        with np.errstate(all="ignore"):
            bound = operands[0][None, :] @ operands[1][:, None]
            c, room = Fraction(float(bound.high.item())), float(bound.bound.item())
        try:
            ones, others = ([multiplicand(accumulating, held) for held in each] for each in helds)
            found = accumulating.dot(ones, others)
            if arithmetic.cut:
                found = Fraction(float(_cut(float(found))))
                found = found if rng.random() < 0.5 else Toy(form, rng, flush=True).read(found)
        except Overflow:
            assert np.isinf(room)
            continue
        if np.isfinite(room):
            assert abs(found - c) <= Fraction(room), (float(found), float(c), room)
            attacked += 1
    return attacked


def _cut(value: float) -> float:
    spacing = float(FORMATS["bfloat16"].ulp(value))
    return float(np.trunc(value / spacing) * spacing)


@pytest.mark.parametrize("name", ALL)
def test_no_evaluation_leaves_the_bound_of_an_executed_product(name: str) -> None:
    assert products(ARITHMETICS[name], random.Random(name), 300) > 200


@pytest.mark.parametrize("planted", ["ties to even alone", "radius", "products", "vanishing"])
def test_a_bound_of_an_executed_product_with_a_part_left_out_is_found_out(
    planted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crosscheck.numbers import named

    right = named._neighbours
    if planted == "ties to even alone":

        def even(values: Any, form: Format, cut: bool) -> Any:
            if cut:
                return right(values, form, cut)
            found = form.round(values)
            return found, found

        monkeypatch.setattr(named, "_neighbours", even)
    elif planted == "products":
        monkeypatch.setattr(Arithmetic, "has_exact_products", property(lambda self: True))
    else:

        def part(center: Any, radius: Any, form: Format, *, cut: bool, may_vanish: Any) -> Any:
            radius = 0.0 * radius if planted == "radius" else radius
            may_vanish = False if planted == "vanishing" else may_vanish
            return executed(center, radius, form, cut=cut, may_vanish=may_vanish)

        monkeypatch.setattr(enclosures, "executed", part)

    def every_arithmetic() -> None:
        for name in ALL:
            products(ARITHMETICS[name], random.Random(name), 400)

    with pytest.raises(AssertionError):
        every_arithmetic()
