"""Sums in a finer format, and explanations that would explain an error of 1 % as well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from crosscheck.judge.certificates import with_local
from crosscheck.judge.entries import ratio_of
from crosscheck.judge.local.judge import LocalJudge
from crosscheck.judge.local.record import Recorded
from crosscheck.judge.local.step import Part
from crosscheck.judge.local.ways import Way, models_of, ways_of
from crosscheck.judge.verdict import Kind, Verdict, fails
from crosscheck.network.dense import Case
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import FORMATS, Format
from crosscheck.numbers.model import Model
from crosscheck.studies.certificates.settings import Setting, case_of
from crosscheck.studies.simulated import StepFault, simulated

NARROW = ("bfloat16", "float16")
TOY, TOY_INSIDE = Format("toy", 3, -6, 7), Format("toy inside", 7, -14, 15)
PAIRS = ((TOY, TOY_INSIDE), *((FORMATS[name], FORMATS["float32"]) for name in NARROW))


# -- the bounds --------------------------------------------------------------------------------


def in_some_order(terms: Array, inside: Format, rng: np.random.Generator) -> Any:
    """A sum along the last axis in a random tree, every addition rounded."""
    parts = [terms[..., k] for k in rng.permutation(terms.shape[-1])]
    while len(parts) > 1:
        k = int(rng.integers(len(parts) - 1))
        parts[k : k + 2] = [inside.round(parts[k] + parts[k + 1])]
    return parts[0]


def flushed(values: Array, form: Format, rng: np.random.Generator) -> Array:
    small = (np.abs(values) < form.smallest_normal) & (rng.random(values.shape) < 0.5)
    return np.where(small, 0.0, values)


def evaluated(
    left: Array, right: Array, bias: Array, pair: tuple[Format, Format], flush: bool, seed: int
) -> tuple[Array, Array]:
    """``left @ right`` alone, and with a bias, as some framework forms them."""
    (form, inside), rng = pair, np.random.default_rng(seed)
    maybe: Callable[[Array], Array] = partial(flushed, form=form, rng=rng) if flush else np.array
    products = maybe(left)[:, None, :] * maybe(right).T[None, :, :]
    whole = in_some_order(inside.round(products), inside, rng)
    alone = maybe(form.round(whole))
    if rng.random() < 0.5:  # one operation, or two; the addition may be rounded twice
        whole = form.round(whole)
    total = whole + maybe(bias)
    total = inside.round(total) if rng.random() < 0.5 else total
    return alone, maybe(form.round(total))


@pytest.mark.parametrize("flush", [False, True])
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0].name)
@pytest.mark.parametrize("power", [0, -7, 3])
def test_a_sum_in_a_finer_format_is_inside_its_bounds(
    pair: tuple[Format, Format], flush: bool, power: int
) -> None:
    form, inside = pair
    model = Model(form, flush, is_brief=True, inside=inside)
    worst = np.zeros(2)
    for seed in range(25):
        rng = np.random.default_rng(seed)
        depth = int(rng.integers(1, 9))
        left, right = rng.standard_normal((6, depth)), rng.standard_normal((depth, 5))
        bias = form.round(rng.standard_normal(5) * 2.0 ** rng.integers(-4, 3))
        left, right = form.round(left * 2.0**power), form.round(right)
        product = Enclosure.of(model, left) @ Enclosure.of(model, right)
        total = product + Enclosure.of(model, bias)
        for turn in range(4):
            alone, added = evaluated(left, right, bias, pair, flush, 97 * seed + turn)
            for k, (bound, given) in enumerate(((product, alone), (total, added))):
                worst[k] = max(worst[k], ratio_of(bound.distance(given), bound.bound).max())
    assert (worst <= 1.0).all()
    assert flush or worst.min() > 0.5  # the bounds are not far from what is attained


def test_ones_that_stop_at_256_are_not_the_sum_of_258() -> None:
    form = FORMATS["bfloat16"]
    ones = np.ones((1, 258))
    inside = Model(form, is_brief=True, inside=FORMATS["float32"])
    sums = Enclosure.of(inside, ones).sum(1)
    assert (sums.bound[0], sums.high[0]) == (0.0, 258.0)
    assert Enclosure.of(Model(form, is_brief=True), ones).sum(1).bound[0] >= 2.0


# -- what tells --------------------------------------------------------------------------------


def part_of(way: Way, bounds: list[float], given: list[float]) -> Part:
    """Two numbers that are 1, with these bounds."""
    e = np.array(bounds)
    return Part("b", np.array(given), Enclosure(way.model, np.ones(2), np.zeros(2), e))


def said(way: Way, part: Part, *finer: Part) -> tuple[bool, bool]:
    inside, tells = way.explains(part, finer, 1)
    return bool(inside[0]), bool(tells[0])


def test_sums_in_the_dtype_tell_where_their_bounds_are_narrow_or_finer_sums_explain() -> None:
    finely, flushing, own, *_ = ways_of(FORMATS["bfloat16"])
    assert (finely.is_telling, flushing.is_telling, own.is_telling) == (True, True, False)
    right, wide = [1.0, 1.0], part_of(own, [0.0, 0.5], [1.0, 1.0])
    one, other = (part_of(finely, [0.0, 0.0], each) for each in ([1.0, 1.5], [1.5, 1.0]))
    assert said(own, wide) == (True, False)
    assert said(own, wide, one) == (True, False)
    assert said(own, wide, one, other) == (True, True)
    assert said(own, part_of(own, [1 / 256, 0.0], right)) == (True, True)
    assert said(own, part_of(own, [1 / 128, 0.0], right)) == (True, False)
    assert said(own, part_of(own, [0.0, 0.0], [1.0, 1.5])) == (False, False)


def test_of_a_named_arithmetic_one_narrow_bound_tells() -> None:
    named = next(each for each in ways_of(FORMATS["float32"]) if each.model.arithmetic)
    right = [1.0, 1.0]
    assert said(named, part_of(named, [0.5, 0.0], right)) == (True, True)
    assert said(named, part_of(named, [0.5, 0.5], right)) == (True, False)
    assert said(named, part_of(named, [0.5, 0.0], [1.0, 1.5])) == (False, False)
    assert said(named, part_of(named, [2.0, 2.0], right)) == (False, False)


@pytest.mark.parametrize("dtype", ["float64", "float32", *NARROW])
def test_ways_are_tried_gradually_and_then_flushing_the_finer_sums_before_others(
    dtype: str,
) -> None:
    form = FORMATS[dtype]
    ways = [(way.at, way.model.flush, way.model.inside, way.is_telling) for way in ways_of(form)]
    named = [(at, True, None, False) for at in range(2, len(models_of(form)))]
    if dtype in NARROW:
        finer = [(0, False, FORMATS["float32"], True), (1, True, FORMATS["float32"], True)]
        assert ways == [*finer, (0, False, None, False), (1, True, None, False), *named]
    else:
        assert ways == [(0, False, None, True), (1, True, None, True), *named]


def test_what_is_explained_by_the_arithmetic_of_the_dtype_is_told_however_wide() -> None:
    way = ways_of(FORMATS["float32"])[0]
    wide = part_of(way, [0.5, 2.0], [1.0, 1.0])
    assert said(way, wide) == (True, True)
    assert way.told(wide).all()


def in_the_dtype(case: Case) -> Recorded:
    """A right gradient whose bias gradients are added up row by row in the dtype."""
    form = FORMATS[case.dtype]
    right = simulated(case)
    records = []
    for record in right.records:
        if "b" in record.sent:
            total = np.zeros_like(record.sent["b"])
            for row in record.cotangent:
                total = form.round(total + row)
            record = replace(record, sent={**record.sent, "b": total})
        records.append(record)
    arrays: dict[str, Any] = dict(right.given.entries())
    for record in records:
        for name, source in record.step.inputs:
            if name == "b":
                arrays[source] = record.sent["b"]
    return Recorded(type(right.given).named(arrays), tuple(records))


AGREES = Verdict("mine", "", "eager", Kind.AGREES)


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("width", [4, 64])
def test_sums_in_the_dtype_itself_are_not_wrong_and_not_told(dtype: str, width: int) -> None:
    case = case_of(Setting(width, 2, 300, dtype), 3)
    check = LocalJudge(case).check(in_the_dtype(case))
    assert check.explained[0][0]
    assert check.untold(0).endswith("what it sent to b")
    verdict = with_local(AGREES, check.of(0))
    assert verdict.kind is Kind.UNDECIDED
    assert "wrong by 1 %" in verdict.detail


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize(("width", "rows"), [(4, 3), (256, 1)])
@pytest.mark.parametrize("factor", [0.0, 2.0, -1.0, 1.01])
def test_no_cotangent_that_is_wrong_as_a_whole_passes(
    dtype: str, width: int, rows: int, factor: float
) -> None:
    case = case_of(Setting(width, 2, rows, dtype), 11)
    record = next(each for each in simulated(case).records if "a" in each.sent)
    fault = StepFault(record.step.id, "a", partial(np.multiply, factor))
    found = with_local(AGREES, LocalJudge(case).check(simulated(case, fault)).of(0))
    assert found.kind is Kind.UNDECIDED or fails(found)


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize(("width", "rows"), [(4, 32), (64, 32)])
def test_one_entry_that_is_wrong_by_a_thirtysecond_does_not_pass(
    dtype: str, width: int, rows: int
) -> None:
    case = case_of(Setting(width, 2, rows, dtype), 7)
    judge, right = LocalJudge(case), simulated(case)
    rng = np.random.default_rng(width)
    record = next(each for each in right.records if "W" in each.sent)
    for flat in rng.choice(np.flatnonzero(record.sent["W"]), 6):

        def change(array: Array, flat: int = flat) -> Array:
            found = np.array(array)
            found.flat[flat] *= 1.0 + 2.0**-5
            return found

        fault = StepFault(record.step.id, "W", change)
        found = with_local(AGREES, judge.check(simulated(case, fault)).of(0))
        assert found.kind is Kind.UNDECIDED or fails(found)


def test_what_is_told_of_one_case_says_nothing_of_another() -> None:
    one, other = (case_of(Setting(4, 2, 300, "bfloat16"), seed) for seed in (3, 4))
    right, coarse = simulated(one), in_the_dtype(other)
    judge = LocalJudge(one)
    assert not judge.check(right).is_untold[0]
    assert LocalJudge(other).check(coarse).is_untold[0]
    assert (
        not LocalJudge(case_of(Setting(4, 2, 300, "float32"), 3))
        .check(simulated(case_of(Setting(4, 2, 300, "float32"), 3)))
        .is_untold[0]
    )
