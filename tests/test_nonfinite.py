"""Gradients with NaN, infinities and overflow: what IEEE 754 allows passes, nothing else does."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from unbounded import Simulated, stack_of_cases

from crosscheck.judge.compare import Judge
from crosscheck.judge.nonfinite import compared
from crosscheck.judge.outcomes import Outcomes
from crosscheck.judge.policies import Policy
from crosscheck.judge.stacks import StackJudge
from crosscheck.judge.together import judged_together
from crosscheck.judge.verdict import QUESTIONS, Kind, PolicyReading, Verdict
from crosscheck.network.dense import Case, Gradients, worked_example
from crosscheck.network.reference import gradients
from crosscheck.network.tree import LEFT_OUT
from crosscheck.numbers.endless import model_of
from crosscheck.numbers.extended import Extended, placed
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.named import ARITHMETICS
from crosscheck.run.checking import require_agreement
from crosscheck.run.comparison import DisagreementError

NAN, INF = math.nan, math.inf
BIG = 65504.0  # the largest float16

FINITE, PLUS, MINUS, NOT = "finite", "+inf", "-inf", "NaN"
SELECTS = Policy("NaN", "0", "0", "select")


def kinds_of(numbers: Extended) -> set[str]:
    """The kinds that the one number there is can be of."""
    return {name for name, may in zip((FINITE, PLUS, MINUS, NOT), numbers.may, strict=True) if may}


def dot(left: list[float], right: list[float], dtype: str = "float16") -> Extended:
    form = format_of(dtype)
    model = model_of(form)
    row = Extended.of(model, form.round(np.array([left])))
    column = Extended.of(model, form.round(np.array([right]).T))
    with np.errstate(all="ignore"):
        return (row @ column).closed.returned[0, 0]


@pytest.mark.parametrize(
    ("left", "right", "kinds"),
    [
        ([NAN], [0.0], {NOT}),
        ([NAN, 1.0], [1.0, 1.0], {NOT}),
        ([NAN, INF], [1.0, 1.0], {NOT}),
        ([INF], [0.0], {NOT}),
        ([-INF], [-0.0], {NOT}),
        ([INF], [2.0**-24], {PLUS, NOT}),  # subnormal: it may be read as zero
        ([INF], [2.0**-14], {PLUS}),
        ([INF], [-2.0], {MINUS}),
        ([INF], [-INF], {MINUS}),
        ([-INF], [-INF], {PLUS}),
        ([INF, -BIG, -BIG], [1.0, BIG, BIG], {PLUS, NOT}),
        ([INF, -0.5 * BIG], [1.0, 1.0], {PLUS}),
        ([INF, INF], [1.0, 2.0], {PLUS}),
        ([INF, INF], [1.0, -2.0], {NOT}),
        ([BIG, 1.0], [1.0, 1.0], {FINITE, PLUS}),
        ([BIG, BIG], [1.0, 1.0], {PLUS}),
        ([-BIG, -BIG], [1.0, 1.0], {MINUS}),
        ([0.7 * BIG, 0.7 * BIG, -0.7 * BIG], [1.0, 1.0, 1.0], {FINITE, PLUS}),
        ([0.7 * BIG, -0.7 * BIG, -0.7 * BIG], [1.0, 1.0, 1.0], {FINITE, MINUS}),
        ([0.5 * BIG, -0.5 * BIG], [1.0, 1.0], {FINITE}),
        ([BIG, BIG, -BIG, -BIG], [1.0] * 4, {FINITE, PLUS, MINUS, NOT}),
        ([BIG, -BIG], [BIG, BIG], {FINITE, PLUS, MINUS, NOT}),  # unless it is accumulated wider
        ([BIG], [BIG], {PLUS}),
        ([0.5 * BIG, 0.25 * BIG], [1.0, 1.0], {FINITE}),
    ],
)
def test_what_a_sum_of_products_can_be(
    left: list[float], right: list[float], kinds: set[str]
) -> None:
    assert kinds_of(dot(left, right)) == kinds


def test_the_largest_float64_is_no_obstacle() -> None:
    large = 2.0**1023
    assert kinds_of(dot([large, large], [2.0**900, 1.0], "float64")) == {PLUS}
    assert kinds_of(dot([large, -large], [2.0**900, 2.0**900], "float64")) == {
        FINITE,
        PLUS,
        MINUS,
        NOT,
    }
    just = dot([2.0**600, 1.0], [2.0**423, 1.0], "float64")  # 2^1023 + 1
    assert kinds_of(just) == {FINITE}
    assert abs(just.finite.high - large) <= just.finite.bound <= 2.0**1023 * 2.0**-50
    assert kinds_of(dot([2.0**600], [2.0**425], "float64")) == {PLUS}


@pytest.mark.parametrize(
    ("left", "right", "kinds"),
    [
        (BIG, BIG, {PLUS}),
        (-BIG, BIG, {MINUS}),
        (BIG, -BIG, {MINUS}),
        (-BIG, -BIG, {PLUS}),
        (256.0, 256.0, {PLUS}),
        (-256.0, 256.0, {MINUS}),
        (256.0, -255.0, {FINITE}),
        (-256.0, -255.0, {FINITE}),
        (INF, -1.0, {MINUS}),
        (INF, 0.0, {NOT}),
        (NAN, 1.0, {NOT}),
    ],
)
def test_what_a_product_can_be(left: float, right: float, kinds: set[str]) -> None:
    model = model_of(format_of("float16"))
    one, other = (Extended.of(model, np.array([each])) for each in (left, right))
    with np.errstate(all="ignore"):
        assert kinds_of((one * other).returned[0]) == kinds
        assert kinds_of((other * one).returned[0]) == kinds


@pytest.mark.parametrize(
    ("terms", "kinds"),
    [
        ([BIG, BIG], {PLUS}),
        ([-BIG, -BIG], {MINUS}),
        ([0.7 * BIG, 0.7 * BIG, -0.7 * BIG], {FINITE, PLUS}),
        ([-0.7 * BIG, 0.7 * BIG, -0.7 * BIG], {FINITE, MINUS}),
        ([0.5 * BIG, -0.5 * BIG], {FINITE}),
        ([INF, -BIG], {PLUS, NOT}),
        ([INF, -INF], {NOT}),
    ],
)
def test_what_a_sum_can_be(terms: list[float], kinds: set[str]) -> None:
    """Of numbers side by side, and added one to the others."""
    form = format_of("float16")
    numbers = Extended.of(model_of(form), form.round(np.array([terms])))
    with np.errstate(all="ignore"):
        at_once = numbers.sum(-1)
        one_by_one: Any = numbers[:, :1].sum(-1)
        for k in range(1, len(terms)):
            one_by_one = one_by_one + numbers[:, k]
        assert kinds_of(at_once.closed.returned[0]) == kinds
        assert kinds_of(one_by_one.closed.returned[0]) == kinds


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_what_is_put_together_is_each_part_in_its_place_and_anything_elsewhere(dtype: str) -> None:
    model = model_of(format_of(dtype))
    part = Extended.of(model, np.array([[1.5, NAN], [INF, -2.0]]))
    whole = placed(model, 2, (2, 2), [(np.array([3, 0]), part)])
    assert whole.shape == (2, 2, 2)
    assert [kinds_of(whole[0, 1, 1]), kinds_of(whole[0, 0, 0])] == [{FINITE}, {NOT}]
    assert [kinds_of(whole[1, 1, 1]), kinds_of(whole[1, 0, 0])] == [{PLUS}, {FINITE}]
    assert kinds_of(whole[0, 0, 1]) == kinds_of(whole[1, 1, 0]) == {FINITE, PLUS, MINUS, NOT}
    assert whole.finite.high[0, 1, 1] == 1.5
    assert whole.finite.e[0, 1, 1] == 0.0
    assert whole.finite.e[0, 0, 1] == np.finfo(np.float64).max


LARGEST = float(np.finfo(np.float64).max)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(("left", "right"), [([LARGEST], [1.0]), ([LARGEST, 0.0], [1.0, 1.0])])
def test_a_number_near_the_end_of_float64_is_known_to_a_few_roundings(
    left: list[float], right: list[float], sign: float
) -> None:
    found = dot([sign * each for each in left], right, "float64").finite
    assert abs(found.high - sign * LARGEST) <= found.bound <= LARGEST * 2.0**-50


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_what_is_cut_at_the_end_of_float64_is_what_is_left_of_it(sign: float) -> None:
    terms = [LARGEST, LARGEST, -LARGEST]
    found = dot([sign * each for each in terms], [1.0] * 3, "float64").finite
    small = dot([2.0**-100 * sign * each for each in terms], [1.0] * 3, "float64").finite
    least = 2.0**100 * (abs(small.high) - small.bound)
    assert LARGEST * (1.0 - 2.0**-45) < least < LARGEST
    half, ulp = 0.5 * (LARGEST - least), float(np.spacing(least))
    assert half <= found.bound <= half + ulp
    assert abs(abs(found.high) - (least + half)) <= ulp


@pytest.mark.parametrize(
    ("left", "right", "dtype"),
    [([NAN], [1.0], "float16"), ([INF], [1.0], "float64"), ([2.0**600], [2.0**425], "float64")],
)
def test_where_no_number_is_finite_nothing_is_enclosed(
    left: list[float], right: list[float], dtype: str
) -> None:
    found = dot(left, right, dtype).finite
    assert not np.any([found.high, found.r, found.e])


POOL = (NAN, INF, -INF, BIG, -BIG, 0.75 * BIG, 200.0, -300.0, 1.0, -1.0, 0.0, 2.0**-24, 0.1)


def every_sum(terms: list[Any]) -> set[str]:
    """All results of a few terms, in all orders and ways to put parentheses."""

    def results(some: tuple[Any, ...]) -> list[Any]:
        if len(some) == 1:
            return [some[0]]
        return [
            one + other
            for cut in range(1, len(some))
            for one in results(some[:cut])
            for other in results(some[cut:])
        ]

    return {repr(float(value)) for each in itertools.permutations(terms) for value in results(each)}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float8_e4m3fn", "float8_e5m2"])
def test_every_order_of_a_few_terms_is_allowed(dtype: str) -> None:
    rng, form = np.random.default_rng(3), format_of(dtype)
    assert form.dtype is not None
    kind, scale = form.dtype, 0.99 * form.largest / BIG
    reached = set()
    for _ in range(100):
        size = int(rng.integers(1, 5))
        left, right = (rng.choice(POOL, size) for _ in range(2))
        left = np.where(np.abs(left) > 1000, left * scale, left)
        left, right = (form.round(each).astype(kind) for each in (left, right))
        found = dot([float(v) for v in left], [float(v) for v in right], dtype)
        with np.errstate(all="ignore"):
            sums = every_sum([*(left * right)])
            wide = left.astype(np.float64) * right.astype(np.float64)
            sums |= {repr(float(kind.type(float(s)))) for s in every_sum([*wide])}
        for text in sums:
            value = float(text)
            name = NOT if math.isnan(value) else FINITE
            name = {INF: PLUS, -INF: MINUS}.get(value, name)
            reached.add(name)
            assert name in kinds_of(found), (left, right, value)
            if name == FINITE:
                assert found.finite.distance(np.array(value)) <= found.finite.bound
    assert reached == ({FINITE, PLUS, MINUS, NOT} if form.has_infinity else {FINITE, NOT})


def policies() -> list[Policy]:
    return [Policy(*answers) for answers in itertools.product(*QUESTIONS.values())]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float8_e4m3fn"])
@pytest.mark.parametrize("settings", [{"output": "identity", "reduction": "mean"}, {}])
def test_an_honest_gradient_of_each_policy_is_explained_by_it(
    dtype: str, settings: dict[str, Any]
) -> None:
    count = 16
    stack = stack_of_cases(5, count, dtype, **settings)
    rng, told, kinds = np.random.default_rng(6), set(), set()
    for index in range(count):
        outcomes = Outcomes(stack[index])
        for policy in rng.permutation(np.array(policies(), dtype=object))[:12]:
            given = Simulated(stack[index], policy, rng).gradients()
            answers = compared(outcomes, given).answers
            assert answers is not None, (index, policy)
            for place, name in enumerate(QUESTIONS):
                if name in answers:
                    assert policy.answers[place] in answers[name]
                    told.add((name, policy.answers[place]))
            for _, value in given.entries():
                kinds |= {repr(each) for each in value.ravel() if not math.isfinite(each)}
    has_infinity = format_of(dtype).has_infinity
    infinities = ["np.float64(inf)", "np.float64(-inf)"] * has_infinity
    assert kinds == {"np.float64(nan)", *infinities}
    assert told >= {
        *(("value at NaN", each) for each in ("NaN", "0")),
        *(("value at -inf", each) for each in ("NaN", "0") if has_infinity),
        *(("slope at NaN", each) for each in ("0", "1", "NaN")),
        *(("closed gate", each) for each in ("select", "product")),
    }


# -- faults ------------------------------------------------------------------------------------

NAN_IN_X = Case.of(
    [[[1.0, -2.0], [0.5, 1.0]], [[1.0, 3.0]]],
    [[0.25, 4.0], [0.5]],
    [[NAN, 1.0], [2.0, 0.5]],
    [[1.0], [-1.0]],
    output="identity",
)
INF_IN_W = Case.of(
    [[[1.0, -2.0], [0.5, 1.0]], [[1.0, -INF], [1.0, 3.0]]],
    [[0.25, 4.0], [0.5, -1.0]],
    [[-1.0, 1.0], [2.0, 0.5]],
    [[1.0, 2.0], [-1.0, 0.25]],
    output="identity",
)
OVERFLOWS = replace(
    INF_IN_W,
    weights=(INF_IN_W.weights[0], np.array([[1.0, 2.0**127], [1.0, 3.0]])),
    dtype="float32",
)
CASES = {"NaN in x": NAN_IN_X, "inf in w": INF_IN_W, "overflow": OVERFLOWS}


def honest(case: Case, policy: Policy = SELECTS) -> Gradients:
    if case.dtype == "float64":  # simulated as if it were float32: these numbers are small
        case = replace(case, dtype="float32")
    return Simulated(case, policy, np.random.default_rng(0)).gradients()


def verdict(case: Case, given: Gradients) -> Verdict:
    return Judge(case).verdict(given, framework="")


def with_first(given: Gradients, old: Callable[[Any], Any], new: Any) -> tuple[str, Gradients]:
    """The first entry, from the top, that is as ``old`` says, replaced."""
    copy = given.map(np.array)
    for name, value in copy.entries():
        if name != "J" and old(value).any():
            at = tuple(np.argwhere(old(value))[0])
            value[at] = new(value[at]) if callable(new) else new
            return f"{name}[{','.join(map(str, at))}]", copy
    raise AssertionError("no such entry")


@pytest.mark.parametrize(
    ("name", "detail"),
    [
        ("NaN in x", "J: 1 NaN; W2: 2 NaN; b2: 1 NaN; W1: 2 NaN"),
        (
            "inf in w",
            "J: 1 +inf; W2: 1 NaN, 1 -inf; b2: 1 -inf; W1: 1 NaN, 1 +inf, 2 -inf; "
            "b1: 1 +inf, 1 -inf; x: 1 NaN, 3 +inf",
        ),
        (
            "overflow",
            "J: 1 +inf; W2: 1 NaN, 1 +inf; b2: 1 +inf; W1: 1 NaN, 3 +inf; b1: 2 +inf; "
            "x: 1 NaN, 3 +inf",
        ),
    ],
    ids=CASES,
)
def test_an_honest_gradient_passes_and_what_is_not_finite_is_counted(
    name: str, detail: str
) -> None:
    found = verdict(CASES[name], honest(CASES[name]))
    assert found.kind is Kind.NONFINITE
    assert found.worst is not None
    assert found.worst.bounds <= 1.0
    assert found.detail == detail


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    "fault",
    [
        lambda value: np.full_like(value, 42.0),
        np.zeros_like,
        np.nan_to_num,
        lambda value: np.nan_to_num(value, nan=0.0, posinf=0.0, neginf=0.0),
        lambda value: np.where(np.isnan(value), 0.0, value),
        lambda value: np.where(np.isinf(value), np.nan, value),
        lambda value: np.where(np.isnan(value), np.inf, value),
        lambda value: -value if np.isinf(value).any() else value + 1.0,
        lambda value: np.full_like(value, np.nan),
    ],
    ids=[
        "42",
        "0",
        "nan_to_num",
        "all to 0",
        "NaN to 0",
        "inf to NaN",
        "NaN to inf",
        "sign",
        "all NaN",
    ],
)
def test_a_gradient_that_is_changed_as_a_whole_disagrees(
    name: str, fault: Callable[[Any], Any]
) -> None:
    case = CASES[name]
    right = honest(case)
    given = right.map(fault)
    # In float64, rounded once: what overflows before the end in a narrower range need not there.
    with np.errstate(all="ignore"):
        wider = gradients(case).map(format_of(case.dtype).round)
    same = equal(given, right) or (name == "overflow" and equal(given, wider))
    assert (verdict(case, given).kind is Kind.DISAGREES) == (not same)


def equal(one: Gradients, other: Gradients) -> bool:
    return all(
        np.array_equal(value, same, equal_nan=True)
        for (_, value), (_, same) in zip(one.entries(), other.entries(), strict=True)
    )


@pytest.mark.parametrize("width", [1, 64, 256])
def test_what_overflows_on_the_way_may_come_back_in_a_wider_range(width: int) -> None:
    # z1 = 2^128 is beyond float32; dJ/dw1 = 2 · 2^-10 · a2 is not, with a2 = width · 2^118.
    case = Case.of(
        [np.full((width, 1), 2.0**127), np.full((1, width), 2.0**-10)],
        None,
        [[2.0]],
        [[0.0]],
        dtype="float32",
        output="identity",
    )
    narrow, wide = honest(case), gradients(case).map(format_of("float32").round)
    assert np.isinf(narrow.weights[0]).all()
    assert np.isfinite(wide.weights[0]).all()
    for given in (narrow, wide):
        assert verdict(case, given).kind is Kind.NONFINITE
    doubled = replace(wide, weights=(2.0 * wide.weights[0], wide.weights[1]))
    for wrong in (wide.map(np.zeros_like), doubled, narrow.map(np.nan_to_num)):
        assert verdict(case, wrong).kind is Kind.DISAGREES


def test_a_multiplicand_may_overflow_when_it_is_rounded() -> None:
    # The largest float32 number is beyond the largest of 11 bits.
    for name, kinds in (("", (True, False)), ("tf32", (True, True))):
        model = model_of(format_of("float32"), ARITHMETICS[name] if name else None)
        largest = Extended.of(model, np.array([[format_of("float32").largest]]))
        small = Extended.of(model, np.array([[2.0**-100]]))
        may = (largest @ small).closed.may
        assert (bool(may.finite[0, 0]), bool(may.plus[0, 0])) == kinds


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("new", [42.0, NAN, INF, -INF, lambda value: value * (1 + 2.0**-18)])
def test_one_finite_entry_that_is_wrong_is_named(name: str, new: Any) -> None:
    def settled(value: Any) -> Any:
        return np.isfinite(value) & (value != 0)

    entry, given = with_first(honest(CASES[name]), settled, new)
    found = verdict(CASES[name], given)
    assert found.kind is Kind.DISAGREES
    assert found.worst is not None
    assert found.worst.name == entry
    assert found.first_layer == (0 if entry[0] == "x" else int(entry[1]))


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("NaN in x", np.isnan, 0.0),
        ("NaN in x", np.isnan, INF),
        ("NaN in x", np.isnan, 1.5),
        ("inf in w", np.isinf, lambda value: -value),
        ("inf in w", np.isinf, 0.0),
        ("inf in w", np.isnan, 0.0),
        ("overflow", np.isinf, lambda value: -value),
        ("overflow", np.isinf, float(np.finfo(np.float32).max)),
        ("overflow", np.isinf, 0.0),
    ],
)
def test_one_entry_that_cannot_be_finite_is_named(
    name: str, old: Callable[[Any], Any], new: Any
) -> None:
    entry, given = with_first(honest(CASES[name]), old, new)
    found = verdict(CASES[name], given)
    assert found.kind is Kind.DISAGREES
    assert found.worst is not None
    assert found.worst.name == entry
    assert entry in found.detail


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("loss", [42.0, 0.0, -INF])
def test_the_loss_is_compared(name: str, loss: float) -> None:
    right = honest(CASES[name])
    assert not math.isfinite(right.loss)
    found = verdict(CASES[name], replace(right, loss=np.float64(loss)))
    assert found.kind is Kind.DISAGREES
    assert found.worst is not None
    assert (found.worst.name, found.first_layer) == ("J", None)


def test_a_loss_that_overflows_alone_is_compared_by_every_judge() -> None:
    # d = 2^600: d² overflows, while every entry of the gradient is finite.
    case = Case.of([[[1.0]]], [[0.0]], [[1.0]], [[-(2.0**600)]])
    right = replace(gradients(case), loss=np.float64(INF))
    assert verdict(case, right).kind is Kind.AGREES
    for wrong in (42.0, -INF, NAN, 2.0**1000):
        assert verdict(case, replace(right, loss=np.float64(wrong))).kind is Kind.DISAGREES
    stack = Case.of([[[[1.0]]]], [[[0.0]]], [[[1.0]]], [[[-(2.0**600)]]])
    given = right.map(lambda value: value[None])
    assert not StackJudge(stack).agreements(given)[0].any()
    (found,) = judged_together(stack, [given])
    assert found is not None
    assert (found.verdicts, found.smooth) == ((None,), False)


def test_what_is_left_out_is_not_compared() -> None:
    right = honest(NAN_IN_X)
    given = replace(right, weights=(LEFT_OUT, right.weights[1]), loss=LEFT_OUT)
    assert verdict(NAN_IN_X, given).kind is Kind.NONFINITE
    given = replace(given, biases=(right.biases[0], np.array([42.0])))
    assert verdict(NAN_IN_X, given).kind is Kind.DISAGREES


# -- policies ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (SELECTS, {"value at NaN": ("NaN",), "slope at NaN": ("0",), "closed gate": ("select",)}),
        (Policy("0", "0", "0", "select"), {"value at NaN": ("0",), "slope at NaN": ("0",)}),
        (Policy("NaN", "0", "1", "select"), {"value at NaN": ("NaN",)}),
    ],
)
def test_a_gradient_tells_the_policy(policy: Policy, told: dict[str, tuple[str, ...]]) -> None:
    found = verdict(worked_example(x=NAN), honest(worked_example(x=NAN), policy))
    assert found.policies == tuple(PolicyReading(*each) for each in told.items())


def test_one_gradient_has_one_policy() -> None:
    # Two rows are NaN. That each is gated as some policy has it is not enough.
    x = [[NAN, 1.0], [NAN, 2.0]]
    case = replace(NAN_IN_X, x=np.array(x))
    one = honest(case, SELECTS)
    other = honest(case, Policy("NaN", "0", "1", "select"))
    assert verdict(case, one).kind is verdict(case, other).kind is Kind.NONFINITE
    mixed = np.array([one.x[0], other.x[1]])
    assert verdict(case, replace(one, x=mixed)).kind is Kind.DISAGREES


def test_a_slope_beside_those_at_a_finite_number_disagrees() -> None:
    # Row 1 is finite, its unit 0 on a kink, where 0 … 1 is allowed.
    case = Case.of(
        [[[1.0, 1.0]], [[2.0]]],
        [[0.0], [1.0]],
        [[NAN, 1.0], [1.0, -1.0]],
        [[1.0], [-1.0]],
        output="identity",
    )
    right = honest(case)
    g = 2.0 * 2.0  # d = 1 + 1
    for slope, kind in ((0.0, Kind.NONFINITE), (1.0, Kind.NONFINITE), (2.0, Kind.DISAGREES)):
        x = right.x.copy()
        x[1] = slope * g
        given = replace(right, x=x, biases=(np.array([slope * g]), right.biases[1]))
        assert verdict(case, given).kind is kind


def test_a_coarser_arithmetic_is_named_in_such_a_case_too() -> None:
    # 1 + 2^-9 is 1 in 8 bits: row 1, which is finite, shows it; row 0 is NaN.
    case = Case.of(
        [[[1.0 + 2.0**-9]], [[1.0]]],
        [[0.0], [0.0]],
        [[NAN], [1.0]],
        [[1.0], [3.0]],
        dtype="float32",
        output="identity",
    )
    rounded = replace(case, weights=(np.array([[1.0]]), case.weights[1]))
    found = verdict(case, honest(rounded))
    assert (found.kind, found.arithmetics) == (Kind.REDUCED, ("bfloat16-multiplicands",))
    assert verdict(case, honest(case)).kind is Kind.NONFINITE
    wrong = honest(rounded).map(lambda value: 2.0 * value)
    assert verdict(case, wrong).kind is Kind.DISAGREES


def by_hand(weights: Any, biases: Any, x: Any, y: Any) -> Any:
    """Two layers with ReLU; gates are factors."""
    (w1, w2), (b1, b2) = weights, biases
    with np.errstate(all="ignore"):
        z1 = x @ w1.T + b1
        a1 = np.maximum(z1, 0)
        d = a1 @ w2.T + b2 - y
        g1 = (d @ w2) * (z1 > 0)
        found = [g1.T @ x, d.T @ a1], [g1.sum(0), d.sum(0)], g1 @ w1, 0.5 * (d * d).sum()
    return found


def without_nan(*arrays: Any) -> Any:
    weights, biases, x, loss = by_hand(*arrays)
    return [*map(np.nan_to_num, weights)], [*map(np.nan_to_num, biases)], np.nan_to_num(x), loss


def test_functions_of_one_s_own_are_compared_on_such_cases() -> None:
    result = require_agreement(numpy=by_hand, cases=[NAN_IN_X, INF_IN_W])
    assert [*result.kinds.values()] == [{Kind.NONFINITE: 2}]
    with pytest.raises(DisagreementError):
        require_agreement(numpy=without_nan, cases=[NAN_IN_X])
