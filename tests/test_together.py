"""Verdicts on stacks of cases are those that each case gets by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from crosscheck.cases.stream.families import Mix
from crosscheck.cases.stream.generate import block
from crosscheck.cases.stream.settings import Shape
from crosscheck.judge.compare import Judge
from crosscheck.judge.decisions import GateClass
from crosscheck.judge.enclosed import Enclosed
from crosscheck.judge.kinks.slopes import System, likely_slopes
from crosscheck.judge.together import Judged, judged_together
from crosscheck.judge.verdict import Kind, Verdict
from crosscheck.network.dense import Case, Gradients, Network, worked_example
from crosscheck.network.reference import backward, forward
from crosscheck.network.tree import LEFT_OUT
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.model import Model
from crosscheck.studies.power import plant

STACKS: dict[str, tuple[Network, int, str, str, tuple[int, ...]]] = {
    "4-8-1 float64": (Network((4, 8, 1)), 1, "float64", "undecided=1,kinks=2", ()),
    "16-32-32-4 float32": (Network((16, 32, 32, 4)), 1, "float32", "undecided", ()),
    "rows": (Network((3, 5, 2)), 3, "float32", "undecided=1,kinks=1", ()),
    "rows in float64": (Network((4, 8, 1)), 3, "float64", "kinks", ()),
    "mean": (Network((3, 4, 2), reduction="mean"), 3, "float16", "undecided=1,kinks=1", ()),
    "bfloat16": (Network((3, 5, 4, 2)), 1, "bfloat16", "undecided=1,kinks=1", ()),
    "float16": (Network((4, 8, 1)), 1, "float16", "undecided=1,cancelling=1", ()),
    "identity output": (Network((2, 6, 3), output="identity"), 1, "float64", "kinks", ()),
    "no biases": (Network((4, 3, 3, 2)), 1, "float64", "kinks", (1, 2, 3)),
    "one bias missing": (Network((4, 6, 4, 2)), 3, "float32", "undecided=1,kinks=1", (2,)),
    "deep": (Network((2, 3, 3, 3, 3, 3, 1)), 1, "float32", "kinks=3,undecided=1", ()),
    "one unit": (Network((1, 1, 1)), 1, "float64", "kinks", ()),
    "special numbers": (Network((4, 8, 1)), 1, "float64", "special", ()),
    "special numbers in rows": (Network((3, 5, 4, 2)), 2, "float16", "special", ()),
    "no hidden layer": (Network((3, 2), output="identity"), 1, "float64", "kinks", ()),
}
"""Network, rows, dtype, families, and the layers without a bias."""


def stack_of(name: str, count: int = 120) -> Case:
    network, rows, dtype, mix, without = STACKS[name]
    made = block(Shape(network, rows, dtype), 3, 0, Mix.parse(mix))
    case = made.batch.case(slice(count))
    biases = [None if at in without else bias for at, bias in enumerate(case.biases, start=1)]
    return replace(case, biases=tuple(biases))


def open_gates(case: Case) -> Any:
    """How many gates of each case are open."""
    signs = Enclosed(case, Model(format_of(case.dtype))).signs
    return sum(((sign == 0).sum(axis=(1, 2)) for sign in signs if sign is not None), np.zeros(1))


def with_slope(case: Case, slope: float) -> Gradients:
    """Gradients with one slope at all open gates, rounded to the dtype."""
    signs = Enclosed(case, Model(format_of(case.dtype))).signs
    form = format_of(case.dtype)
    with np.errstate(all="ignore"):
        trace = forward(
            case.network, case.weights, case.biases, case.x, lambda z: np.maximum(z, 0.0)
        )
        gates = [
            None if sign is None else np.where(sign == 0, slope, sign > 0).astype(np.float64)
            for sign in signs
        ]
        found = backward(case.network, case.weights, case.biases, trace, case.y, gates)
        return Gradients(
            form.round(found.loss),
            tuple(form.round(weight) for weight in found.weights),
            tuple(None if bias is None else form.round(bias) for bias in found.biases),
            form.round(found.x),
        )


def alone(case: Case, given: Gradients, index: int) -> Verdict:
    return Judge(case[index]).verdict(given[index], framework="")


def same(left: Gradients, right: Gradients) -> bool:
    return all(
        (name, np.shape(one), np.asarray(one).tobytes())
        == (other_name, np.shape(other), np.asarray(other).tobytes())
        for (name, one), (other_name, other) in zip(left.entries(), right.entries(), strict=True)
    )


def judged(found: Judged | None) -> Judged:
    assert found is not None
    return found


@pytest.mark.parametrize("name", STACKS)
def test_each_case_has_the_verdict_it_gets_by_itself(name: str) -> None:
    case = stack_of(name)
    given = [with_slope(case, slope) for slope in (0.0, 0.5, 1.0, 0.3)]
    found = judged_together(case, given)
    gates = np.broadcast_to(open_gates(case), len(found))
    assert [each is not None for each in found] == (case.are_finite & (gates <= 1)).tolist()
    chosen = [index for index, each in enumerate(found) if each is not None]
    single = sum(gates[chosen] == 1)
    special = STACKS[name][3] == "special"
    assert single >= (0 if name == "no hidden layer" or special else 4)
    answered, classes, kinds = 0, set(), set()
    for index in chosen:
        judge, result = Judge(case[index]), judged(found[index])
        assert same(result.reference, judge.reference)
        for one, verdict in zip(given, result.verdicts, strict=True):
            if verdict is not None:
                wanted = judge.verdict(one[index], framework="")
                assert repr(verdict) == repr(wanted)  # tells -0.0 from 0.0, and NaN from others
                answered += 1
                classes |= {gate.gate for gate in verdict.gates}
                kinds.add((verdict.kind, bool(case[index].is_finite)))
    assert answered >= (0.7 if special else 0.85) * len(chosen) * len(given)
    if special:
        assert (Kind.AGREES, True) in kinds
        assert Kind.NONFINITE not in {kind for kind, _ in kinds}  # what is, is left to `Judge`
    elif "kinks" not in STACKS[name][3]:
        assert GateClass.UNDECIDED in classes
    elif single:
        assert GateClass.KINK in classes


@pytest.mark.parametrize(
    "name", ["4-8-1 float64", "rows", "bfloat16", pytest.param("deep", marks=pytest.mark.long)]
)
def test_a_wrong_gradient_is_never_explained(name: str) -> None:
    case = stack_of(name)
    rng = np.random.default_rng(0)
    right, form = with_slope(case, 0.0), format_of(case.dtype)
    given = [
        with_slope(case, 2.0),
        with_slope(case, -0.5),
        plant(right, 3, form, rng)[0],
        plant(with_slope(case, 1.0), 1, form, rng)[0],
        replace(right, loss=right.loss * 1.5 + 1.0),
        replace(right, x=np.where(np.arange(right.x.shape[-1]) == 0, np.nan, right.x)),
    ]
    found = judged_together(case, given)
    refused = explained = 0
    gates = np.broadcast_to(open_gates(case), len(found))
    for index in [
        *np.flatnonzero(gates == 1)[:8].tolist(),
        *np.flatnonzero(gates == 0)[:4].tolist(),
    ]:
        for one, verdict in zip(given, judged(found[index]).verdicts, strict=True):
            wanted = alone(case, one, index)
            if wanted.kind is Kind.DISAGREES:
                assert verdict is None
                refused += 1
            elif verdict is not None:  # the gate has no effect, or the fault is within rounding
                assert verdict == wanted
                explained += 1
    assert refused > 16
    assert refused > explained


def test_what_is_refuted_together_need_not_be_tried_again() -> None:
    case = stacked([SMOOTH, LAYER_1, worked_example(w1=2.0**-1060, w2=1.0)])
    right = with_slope(case, 0.0)
    flushed = replace(right, loss=right.loss, x=np.where(np.abs(right.x) < 2.0**-1022, 0, right.x))
    given = [right, flushed, replace(right, x=right.x * 1.5), with_slope(case, 2.0)]
    found = [*map(judged, judged_together(case, given))]
    assert [each.smooth for each in found] == [True, False, True]
    kinds = set()
    for index, each in enumerate(found):
        for one, verdict in zip(given, each.verdicts, strict=True):
            if each.smooth and verdict is None:
                wanted = alone(case, one, index)
                kinds.add(wanted.kind)
                again = Judge(case[index]).verdict(one[index], framework="", refuted=True)
                assert repr(again) == repr(wanted)
    assert kinds == {Kind.SUBNORMAL, Kind.DISAGREES}


def test_a_verdict_does_not_depend_on_the_other_cases_of_the_stack() -> None:
    case = stack_of("4-8-1 float64", 12)
    given = [with_slope(case, slope) for slope in (0.0, 1.0)]
    found = judged_together(case, given)

    def cut(each: Any) -> Any:
        return None if each is None else each[index : index + 1]

    for index in range(12):
        one = Case(
            case.network,
            tuple(map(cut, case.weights)),
            tuple(map(cut, case.biases)),
            cut(case.x),
            cut(case.y),
            case.dtype,
        )
        gradients = [
            Gradients(
                cut(each.loss),
                tuple(map(cut, each.weights)),
                tuple(map(cut, each.biases)),
                cut(each.x),
            )
            for each in given
        ]
        (result,) = judged_together(one, gradients)
        assert (result is None) == (found[index] is None)
        if result is not None:
            assert result.verdicts == judged(found[index]).verdicts


def stacked(cases: list[Case]) -> Case:
    """Cases of the worked example's shape as one stack."""
    layers = range(2)
    return Case(
        cases[0].network,
        tuple(np.stack([case.weights[at] for case in cases]) for at in layers),
        tuple(np.stack([np.asarray(case.biases[at]) for case in cases]) for at in layers),
        np.stack([case.x for case in cases]),
        np.stack([case.y for case in cases]),
    )


LAYER_1 = worked_example(x=0.0)
LAYER_2 = worked_example(w2=-1.0, b2=2.0)
SMOOTH = worked_example()
BOTH = worked_example(x=0.0, b2=0.0)
DEAD = worked_example(x=0.0, b2=-1.0)  # so that the kink of layer 1 has no effect
NAN = worked_example(x=0.0, y=np.nan)


def test_cases_with_two_open_gates_are_left_alone() -> None:
    case = stacked([LAYER_1, SMOOTH, BOTH, LAYER_2, NAN, DEAD])
    found = judged_together(case, [with_slope(case, 0.0)])
    assert [each is not None for each in found] == [True, True, False, True, False, True]
    gates = [judged(found[at]).verdicts[0] for at in (0, 1, 3, 5)]
    assert [gate and [(g.layer, g.slope) for g in gate.gates] for gate in gates] == [
        [(1, 0.0)],
        [],
        [(2, 0.0)],
        [(1, None)],
    ]


def test_what_may_overflow_is_left_to_the_judge_of_one_case() -> None:
    # dJ/dw2 = -1e400 overflows, dJ/db2 = -1e200 does not.
    case = stacked([worked_example(w1=1e200, w2=3e-200, y=1e200), SMOOTH])
    right = with_slope(case, 0.0)
    wrong = [
        replace(right, biases=(right.biases[0], right.biases[1] * (1.0 + 2.0**-40))),
        replace(right, x=right.x + 1e190),
        replace(right, weights=(-right.weights[0], right.weights[1])),
        replace(right, weights=(right.weights[0], np.full_like(right.weights[1], 42.0))),
    ]
    found = judged_together(case, [right, *wrong])
    assert judged(found[0]).verdicts == (None,) * (1 + len(wrong))
    assert not judged(found[0]).smooth
    assert judged(found[1]).smooth
    verdict = alone(case, right, 0)
    assert (verdict.kind, verdict.detail) == (Kind.NONFINITE, "J: 1 +inf; W2: 1 -inf")
    for each in wrong:
        assert alone(case, each, 0).kind is Kind.DISAGREES


def test_a_case_with_nan_is_left_to_the_judge_of_one_case() -> None:
    case = stacked([NAN, SMOOTH])
    found = judged_together(case, [with_slope(case, 0.0)])
    assert [each is None for each in found] == [True, False]


def test_a_kink_that_rounding_may_miss_is_called_so() -> None:
    t = 2.0**-54  # 1 + t - 1 - t = 0, but 1 + t rounds to 1
    weights = [np.ones((2, 1, 4)), np.ones((2, 1, 1))]
    case = Case.of(weights, None, [[[1.0, t, -1.0, -t]], [[1.0, 0.0, -1.0, 0.0]]], [[[5.0]]] * 2)
    case = replace(case, network=replace(case.network, output="identity"))
    given = [with_slope(case, slope) for slope in (0.0, 1.0)]
    missed, kink = map(judged, judged_together(case, given))
    for index, result in enumerate((missed, kink)):
        assert result.verdicts == tuple(alone(case, each, index) for each in given)
    for result, gate in ((missed, GateClass.MAYBE_MISSED), (kink, GateClass.KINK)):
        assert [verdict and verdict.gates[0].gate for verdict in result.verdicts] == [gate] * 2


def test_a_range_of_slopes_that_overflowed_offers_none() -> None:
    assert list(likely_slopes(np.nan, 1.0)) == list(likely_slopes(0.0, np.nan)) == []
    assert list(likely_slopes(0.75, 0.5)) == []
    assert list(likely_slopes(0.25, 1.0)) == [0.5, 1.0, 0.625]


@pytest.mark.parametrize(
    ("lowest", "highest", "tried"),
    [
        (0.0, 1.0, [0.5, 0.0, 1.0, 0.5]),
        (0.0, 0.75, [0.5, 0.0, 0.375]),
        (0.25, 0.75, [0.5, 0.5]),
        (0.0, 0.25, [0.0, 0.125]),
        (0.5, 0.5, [0.5, 0.5]),
        (0.625, 0.875, [0.75]),
    ],
)
def test_of_a_range_the_conventions_in_it_are_tried_before_its_middle(
    lowest: float, highest: float, tried: list[float]
) -> None:
    assert list(likely_slopes(lowest, highest)) == tried


def test_a_single_slope_has_the_range_that_all_equations_leave_of_zero_to_one() -> None:
    # The last equation is 0 λ = 1 up to 0.5, which nothing fulfils, or up to 2; one says nothing.
    matrix = np.array([[[2.0], [-4.0], [1.0], [0.0]]] * 3)
    rest = np.array([[0.75, -2.0, 9.0, 1.0], [0.75, -2.0, 9.0, 1.0], [1.0, -2.5, 9.0, 1.0]])
    room = np.array([[0.25, 0.5, np.inf, 0.5], [0.25, 0.5, np.inf, 2.0], [0.25, 1.0, np.inf, 2.0]])
    low, high = System(matrix, rest, room).interval()
    assert not low[0] <= high[0]
    # 1/4 <= λ <= 1/2 and 3/8 <= λ <= 5/8; 3/8 <= λ <= 5/8 and 3/8 <= λ <= 7/8.
    assert low[1:].tolist() == pytest.approx([0.375, 0.375], rel=2.0**-40)
    assert high[1:].tolist() == pytest.approx([0.5, 0.625], rel=2.0**-40)
    low, high = System(matrix[2, :1], rest[2, :1], room[2, :1]).interval()
    assert (low, high) == pytest.approx((0.375, 0.625), rel=2.0**-40)
    low, high = System(matrix[2, 1:2], rest[2, 1:2], room[2, 1:2]).interval()
    assert (low, high) == pytest.approx((0.375, 0.875), rel=2.0**-40)
    # Beyond [0, 1] there is nothing, and rounding takes nothing away.
    found = System(np.array([[3.0]]), np.array([1.0]), np.array([5.0])).interval()
    assert np.array(found).tolist() == [0.0, 1.0]
    low, high = System(np.array([[3.0]]), np.array([1.0]), np.array([0.0])).interval()
    assert low < 1 / 3 < high


def test_without_gradients_there_is_the_reference() -> None:
    case = stacked([LAYER_1, SMOOTH])
    for found, single in zip(judged_together(case, []), (LAYER_1, SMOOTH), strict=True):
        assert judged(found).verdicts == ()
        assert same(judged(found).reference, Judge(single).reference)


def test_gradients_of_another_shape_are_left_to_the_judge_and_others_are_not() -> None:
    case = stacked([LAYER_1, LAYER_2, DEAD])
    right = with_slope(case, 1.0)
    wrong = [
        replace(right, loss=right.loss[:, None]),
        replace(right, x=right.x[:2]),
        replace(right, weights=(right.weights[0][..., None], right.weights[1])),
        replace(right, biases=(None, right.biases[1])),
        replace(right, x=LEFT_OUT),
    ]
    for each in judged_together(case, [*wrong, right]):
        *refused, verdict = judged(each).verdicts
        assert refused == [None] * len(wrong)
        assert verdict is not None
        assert verdict.kind in (Kind.KINK, Kind.AGREES)


def test_equal_gradients_of_several_frameworks_are_judged_once() -> None:
    case = stack_of("4-8-1 float64")
    given = [with_slope(case, slope) for slope in (0.0, 1.0, 0.0)]
    for each in judged_together(case, given):
        if each is not None:
            assert each.verdicts[0] is each.verdicts[2]


def test_gradients_in_the_memory_of_the_dtype_are_taken() -> None:
    case = stack_of("rows")
    wide = with_slope(case, 1.0)
    narrow = Gradients(
        wide.loss.astype(np.float32),
        tuple(weight.astype(np.float32) for weight in wide.weights),
        tuple(bias.astype(np.float32) for bias in wide.biases),
        wide.x.astype(np.float32),
    )
    for each in judged_together(case, [wide, narrow]):
        if each is not None:
            assert each.verdicts[0] is each.verdicts[1] is not None
