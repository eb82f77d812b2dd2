"""The compiled pass certifies only what the readable form certifies, and nearly all of it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import njit

from crosscheck.cases.stream.families import FAMILIES, HARD, Mix
from crosscheck.cases.stream.generate import block
from crosscheck.cases.stream.settings import Shape
from crosscheck.judge import door
from crosscheck.judge.compiled import FusedJudge, passes
from crosscheck.judge.compiled.lanes import fused, splat
from crosscheck.judge.compiled.memory import load, store
from crosscheck.judge.compiled.transposed import transpose
from crosscheck.judge.door import Answer
from crosscheck.judge.enclosed import Enclosed
from crosscheck.judge.stacks import StackJudge
from crosscheck.network.batch import Batch, held_dtype
from crosscheck.network.dense import Case, Gradients, Network, Reduction
from crosscheck.network.reference import gradients
from crosscheck.numbers.formats import WORKING, format_of
from crosscheck.numbers.model import Model
from crosscheck.studies.power import gaussian_stack, plant

pytestmark = pytest.mark.xdist_group("compiled")  # in one process, which compiles it once

Draw = Callable[[np.random.Generator, tuple[int, ...]], Any]


def wide_exponents(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.standard_normal(shape) * 2.0 ** rng.integers(-12, 13, shape)


def enormous_exponents(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.standard_normal(shape) * 2.0 ** rng.integers(-330, 331, shape)


def far_exponents(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.standard_normal(shape) * 2.0 ** rng.integers(-110, 111, shape)


def special(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    values = rng.standard_normal(shape)
    odd = rng.choice([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-310, 1e-41, 1e-6], shape)
    return np.where(rng.random(shape) < 0.02, odd, values)


def few_bits(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return np.round(rng.standard_normal(shape) * 16.0) / 16.0


DRAWS: dict[str, Draw] = {
    "gaussian": lambda rng, shape: rng.standard_normal(shape),
    "uniform": lambda rng, shape: rng.uniform(-1.0, 1.0, shape),
    "wide exponents": wide_exponents,
    "enormous exponents": enormous_exponents,
    "far exponents": far_exponents,
    "large integers": lambda rng, shape: rng.integers(-512, 513, shape).astype(np.float64),
    "small integers": lambda rng, shape: rng.integers(-3, 4, shape).astype(np.float64),
    "odd integers": lambda rng, shape: 2.0 * rng.integers(-16, 16, shape) + 1.0,
    "dyadic": few_bits,
    "subnormal": lambda rng, shape: rng.standard_normal(shape) * 2.0 ** rng.choice([0, -70], shape),
    "special": special,
}

SHAPES: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "1-1-1": ((1, 1, 1), {}),
    "4-8-1": ((4, 8, 1), {}),
    "rows": ((3, 5, 4, 2), {"rows": 3}),
    "mean of three": ((3, 4, 2), {"rows": 3, "reduction": "mean"}),
    "mean of four": ((3, 4, 2), {"rows": 4, "reduction": "mean"}),
    "identity output": ((2, 6, 3), {"output": "identity"}),
    "no hidden layer": ((3, 2), {"output": "identity"}),
    "no biases": ((4, 8, 1), {"biases": ()}),
    "some biases": ((3, 4, 4, 1), {"biases": (2,)}),
    "wider than eight": ((9, 12, 2), {}),
    "columns by 16 and 32": ((33, 10, 2), {}),
}


ONE_ROW = [name for name, (_, options) in SHAPES.items() if options.get("rows", 1) == 1]


def judge_by_units(monkeypatch: pytest.MonkeyPatch, by_units: bool) -> None:
    """Have cases of one row judged one by one, or eight together, however wide they are."""
    monkeypatch.setattr(passes, "is_wide", lambda network, rows: by_units and rows == 1)


@pytest.fixture(params=["eight cases", "eight units"])
def _side_by_side(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    judge_by_units(monkeypatch, request.param == "eight units")


def draw_stack(
    draw: Draw,
    widths: tuple[int, ...],
    *,
    dtype: str,
    count: int,
    seed: int,
    rows: int = 1,
    biases: tuple[int, ...] | None = None,
    **network: Any,
) -> Case:
    rng = np.random.default_rng(seed)
    pairs = list(zip(widths[1:], widths[:-1], strict=True))
    with np.errstate(all="ignore"):
        case = Case.of(
            [draw(rng, (count, *pair)) for pair in pairs],
            [
                draw(rng, (count, units)) if biases is None or layer in biases else None
                for layer, (units, _) in enumerate(pairs, start=1)
            ],
            draw(rng, (count, rows, widths[0])),
            draw(rng, (count, rows, widths[-1])),
            dtype=dtype,
            **network,
        )
    return case


def nearly_cancelling(case: Case) -> Case:
    """The same cases with b_1 next to minus the rest of z_1, where gates are hard to tell."""
    rng = np.random.default_rng(0)
    with np.errstate(all="ignore"):
        z = (case.x @ case.weights[0].swapaxes(-1, -2))[:, 0]
        off = 2.0 ** rng.uniform(-2.0, 8.0, z.shape) * format_of(case.dtype).unit_roundoff
        bias = -z * (1.0 + rng.choice([-1, 1], z.shape) * off)
    biases = [bias, *case.biases[1:]]
    network = case.network
    return Case.of(
        case.weights,
        biases,
        case.x,
        case.y,
        dtype=case.dtype,
        output=network.output,
        reduction=network.reduction,
    )


def rounded(case: Case, given: Gradients) -> Gradients:
    """The gradients as a framework would return them for a batch."""
    form, held = format_of(case.dtype), held_dtype(case.dtype)

    def hold(array: Any) -> Any:
        with np.errstate(all="ignore"):
            return form.round(array).astype(held)

    return Gradients(
        hold(given.loss),
        tuple(hold(weight) for weight in given.weights),
        tuple(None if bias is None else hold(bias) for bias in given.biases),
        hold(given.x),
    )


def at_the_bound(case: Case, seed: int) -> Gradients:
    """Gradients that are wrong, in one entry of each array, by nearly or just over the bound."""
    rng = np.random.default_rng(seed)
    enclosed = Enclosed(case, Model(format_of(case.dtype)))

    def move(enclosure: Any) -> Any:
        with np.errstate(all="ignore"):
            shape = enclosure.high.shape
            sizes = 1.0 + rng.choice([-1, 1], shape) * 2.0 ** -rng.integers(1, 22, shape)
            sizes = np.where(rng.random(shape) < 0.3, rng.choice([-1, 1], shape) * sizes, 0.0)
            bound = np.where(np.isfinite(enclosure.bound), enclosure.bound, 0.0)
            return enclosure.high + sizes * bound

    found = enclosed.certain_gradients
    return Gradients(
        move(found.loss),
        tuple(move(weight) for weight in found.weights),
        tuple(None if bias is None else move(bias) for bias in found.biases),
        move(found.x),
    )


def unsound(
    case: Case, given: list[Gradients], *, compare_ratios: bool = True
) -> tuple[int, int, int]:
    """How many gradients are certified wrongly, certified, and accepted by the readable form."""
    readable = StackJudge(case)
    certified, largest = FusedJudge(case).certified(given)
    wrong = total = accepted = 0
    for framework, gradients_ in enumerate(given):
        agrees, ratio = readable.agreements(gradients_.wide(slice(None)))
        both = certified[framework] & agrees
        wrong += int((certified[framework] & ~agrees).sum())
        total += int(certified[framework].sum())
        accepted += int(agrees.sum())
        upper = largest[framework][both] + 2.0**-27
        assert not compare_ratios or (upper >= ratio[both]).all()
    return wrong, total, accepted


def everything_given(case: Case) -> list[Gradients]:
    with np.errstate(all="ignore"):
        right = gradients(case)
    held, form = held_dtype(case.dtype), format_of(case.dtype)
    given = [rounded(case, right)]
    for seed in range(2):
        moved = at_the_bound(case, seed)
        # For float32 also float64 numbers: no rounding blurs how near to the bound they are.
        given.append(rounded(case, moved) if held == np.float64 or seed else moved)
    if np.isfinite(right.loss).all():
        rng = np.random.default_rng(1)
        given.append(rounded(case, plant(right, form.precision - 1, form, rng)[0]))
    return given


@pytest.mark.parametrize("dtype", WORKING)
@pytest.mark.parametrize(
    ("shape", "by_units"),
    [*((shape, False) for shape in SHAPES), *((shape, True) for shape in ONE_ROW)],
)
def test_what_is_certified_agrees_in_the_readable_form(
    shape: str, by_units: bool, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge_by_units(monkeypatch, by_units)
    widths, options = SHAPES[shape]
    certified = 0
    for seed, draw in enumerate(DRAWS.values()):
        case = draw_stack(
            draw, widths, dtype=dtype, count=(67, 128)[seed % 2], seed=seed, **options
        )
        wrong, total, _ = unsound(case, everything_given(case))
        assert wrong == 0
        certified += total
    assert certified > 100


@pytest.mark.usefixtures("_side_by_side")
@pytest.mark.parametrize("dtype", WORKING)
def test_gates_close_to_zero_are_no_more_certain_than_in_the_readable_form(dtype: str) -> None:
    case = draw_stack(DRAWS["gaussian"], (4, 3, 1), dtype=dtype, count=1500, seed=3)
    case = nearly_cancelling(case)
    wrong, total, accepted = unsound(case, everything_given(case)[:1])
    assert wrong == 0
    assert 0 < total <= accepted < case.count  # type: ignore[operator]


@pytest.mark.usefixtures("_side_by_side")
@pytest.mark.parametrize("dtype", WORKING)
@pytest.mark.parametrize("shape", [((4, 8, 1), 1), ((2, 3, 2), 3)], ids=["one row", "three rows"])
def test_a_shut_unit_whose_cotangent_may_overflow_is_left_open(
    shape: tuple[tuple[int, ...], int], dtype: str
) -> None:
    # Every output is live, the first hidden unit is off in every row, and what comes down to it
    # is 32 · 2^k: a framework that multiplies by the gate 0 returns NaN where that overflows.
    widths, rows = shape
    form, count = format_of(dtype), 96
    case = draw_stack(DRAWS["gaussian"], widths, dtype=dtype, count=count, seed=8, rows=rows)
    first, last = case.biases[0], np.abs(case.weights[1])
    assert first is not None
    first[:, 0] = -100.0
    last[:, 0, 0] = 2.0 ** (form.emax - np.arange(count) % 24)
    biases = [first, np.ones_like(case.biases[1])]
    shut = Case.of((case.weights[0], last), biases, case.x, case.y - 32.0, dtype=dtype)
    right = rounded(shut, gradients(shut))
    agrees, _ = StackJudge(shut).agreements(right.wide(slice(None)))
    certified = FusedJudge(shut).certified([right])[0][0]
    overflows = np.arange(count) % 24 < 5
    assert not agrees[overflows].any()
    assert not (certified & ~agrees).any()
    assert agrees.any()
    assert certified.any() == (dtype != "float64")  # the pass stops at 2^200


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("dtype", WORKING)
def test_sums_of_exact_numbers_are_not_taken_for_rounded_ones(
    dtype: str, reduction: Reduction
) -> None:
    # Dead hidden units: the outputs are their biases, and everything may be exact.
    case = draw_stack(DRAWS["uniform"], (2, 3, 2), dtype=dtype, count=3000, seed=4, rows=4)
    dead = Case.of(
        case.weights,
        [np.full_like(case.biases[0], -100.0), case.biases[1]],
        case.x,
        case.y,
        dtype=dtype,
        reduction=reduction,
    )
    wrong, total, _ = unsound(dead, [at_the_bound(dead, 0), *everything_given(dead)])
    assert wrong == 0
    assert total > 0


@pytest.mark.usefixtures("_side_by_side")
@pytest.mark.parametrize("name", ["_KEEP", "_WIDEN", "_underflow", "exactness"])
def test_a_pass_that_is_too_generous_is_found_out(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dtype = "float64"
    if name == "_KEEP":
        monkeypatch.setattr(passes, name, 1.0 + 2.0**-15)
    elif name == "_WIDEN":
        monkeypatch.setattr(passes, name, -(2.0**-3))
    elif name == "_underflow":
        dtype = "float16"
        monkeypatch.setattr(passes, name, lambda form: 0.6 * form.smallest_subnormal)
    else:
        # Numbers of 30 bits less: their products are exact in float64 but look rounded.
        dtype = "float32"
        monkeypatch.setattr(passes, "_splitter", lambda form: 2.0 ** (53 - 8) + 1.0)
    wrong = 0
    for seed in range(6):
        draw = DRAWS["odd integers" if name == "exactness" else "gaussian"]
        case = draw_stack(draw, (4, 3, 1), dtype=dtype, count=1500, seed=seed)
        if name == "_WIDEN":
            case = nearly_cancelling(case)
        given = [at_the_bound(case, seed), *everything_given(case)]
        wrong += unsound(case, given, compare_ratios=False)[0]
    assert wrong > 0


@pytest.mark.usefixtures("_side_by_side")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("widths", [(1, 1, 1), (4, 8, 1), (16, 32, 32, 4)], ids=str)
def test_nearly_every_correct_gaussian_gradient_is_certified_directly(
    widths: tuple[int, ...], dtype: str
) -> None:
    case = gaussian_stack(widths, rows=1, count=400, dtype=dtype, seed=5)
    given = [rounded(case, gradients(case))]
    wrong, total, accepted = unsound(case, given)
    assert wrong == 0
    assert total > 0.98 * accepted > 0.9 * 400


@pytest.mark.usefixtures("_side_by_side")
@pytest.mark.parametrize("dtype", WORKING)
def test_faults_are_caught_exactly_as_often_as_by_the_readable_form(dtype: str) -> None:
    case = gaussian_stack((4, 8, 1), rows=1, count=300, dtype=dtype, seed=6)
    right, form = rounded(case, gradients(case)), format_of(dtype)
    right = right.wide(slice(None))
    readable = StackJudge(case)
    caught = []
    for exponent in range(3, form.precision, 4):
        given, _ = plant(right, exponent, form, np.random.default_rng(exponent))
        wanted, _ = readable.agreements(given)
        (found,) = door.certified(case, [Answer(given)]).agrees
        assert (found == wanted).all()
        caught.append(int((~found).sum()))
    assert caught[0] > 80  # of the cases that have a live output
    assert caught[-1] < caught[0]


def entries_changed(given: Gradients, share: float, by: float, seed: int) -> Gradients:
    """The gradients with a relative change in one entry of W_1 or W_2 of some cases."""
    rng = np.random.default_rng(seed)
    weights = [np.array(weight) for weight in given.weights]
    for index in np.flatnonzero(rng.random(len(given.loss)) < share):
        weight = weights[rng.integers(2)][index].reshape(-1)
        at = rng.integers(weight.size)
        weight[at] = weight[at] * (1.0 + by) if weight[at] else by
    return Gradients(given.loss, tuple(weights), given.biases, given.x)


@pytest.mark.usefixtures("_side_by_side")
@pytest.mark.parametrize("dtype", WORKING)
@pytest.mark.parametrize("widths", [(9, 18, 2), (20, 33, 8, 1), (70, 16, 1)], ids=str)
def test_frameworks_that_give_the_same_bits_are_judged_as_if_they_were_alone(
    widths: tuple[int, ...], dtype: str
) -> None:
    case = gaussian_stack(widths, rows=1, count=256, dtype=dtype, seed=9)
    u = format_of(dtype).unit_roundoff
    right = rounded(case, gradients(case))
    barely = rounded(case, entries_changed(right, 0.3, 2.0 * u, 1))
    wrong = entries_changed(right, 0.3, 0.5, 2)
    unknown = entries_changed(wrong, 0.2, math.nan, 3)
    given = [right, right, barely, barely, right, wrong, wrong, barely, unknown, unknown, right]
    together, ratios = FusedJudge(case).certified(given)
    alone = [FusedJudge(case).certified([each]) for each in given]
    for found, ratio, (wanted, wanted_ratio) in zip(together, ratios, alone, strict=True):
        assert (found == wanted[0]).all()
        assert (ratio[found] == wanted_ratio[0][found]).all()
    counts = together.sum(axis=1).tolist()
    if u < 2.0**-20:  # 16 bits leave most cases with an open gate
        assert counts[0] > 240 > counts[5] > counts[8]
    assert counts[0] == counts[1] == counts[4] == counts[10]


@pytest.mark.usefixtures("_side_by_side")
@pytest.mark.parametrize("in_one_piece", [True, False])
def test_memory_that_is_used_again_is_judged_by_what_is_in_it_now(in_one_piece: bool) -> None:
    cases = [gaussian_stack((9, 10, 1), rows=1, count=16, dtype="float64", seed=k) for k in (0, 1)]
    made = [Batch.of(case) for case in cases]
    step = 1 if in_one_piece else 2

    def room(array: Any) -> Any:
        return np.zeros((step * len(array), *array.shape[1:]))[::step]

    memory = Batch(
        made[0].network,
        tuple(map(room, made[0].weights)),
        tuple(map(room, made[0].biases)),
        room(made[0].x),
        room(made[0].y),
    )
    for case, batch in zip(cases, made, strict=True):
        for target, source in zip(memory.flatten(), batch.flatten(), strict=True):
            target[...] = source
        expected = FusedJudge(batch).certified([gradients(case)])
        assert expected[0].mean() > 0.9
        found = FusedJudge(memory).certified([gradients(case)])
        assert all(np.array_equal(one, other) for one, other in zip(expected, found, strict=True))


@pytest.mark.usefixtures("_side_by_side")
def test_answers_are_written_to_a_part_of_larger_arrays() -> None:
    case = gaussian_stack((9, 10, 1), rows=1, count=16, dtype="float32", seed=0)
    given = [gradients(case)] * 3
    expected = FusedJudge(case).certified(given)
    agrees, largest = np.full((3, 48), 7, dtype=np.int8).view(bool), np.full((3, 48), -7.0)
    here = slice(16, 32)
    FusedJudge(case).certified(given, (agrees[:, here], largest[:, here]))
    assert np.array_equal(agrees[:, here], expected[0])
    assert np.array_equal(largest[:, here], expected[1])
    around = np.r_[0:16, 32:48]
    assert (agrees.view(np.int8)[:, around] == 7).all()
    assert (largest[:, around] == -7.0).all()


def test_what_is_kept_on_disk_depends_on_every_file_that_is_compiled() -> None:
    folder = Path(passes.__file__).parent
    pattern = re.compile(r"^from crosscheck\.judge\.compiled\.(\w+) import", re.MULTILINE)
    used, left = set(), {"kernel", "wide"}
    while left:
        used |= left
        sources = [(folder / f"{name}.py").read_text("utf-8") for name in left]
        left = {name for source in sources for name in pattern.findall(source)} - used
    assert {f"{name}.py" for name in used} <= set(passes._sources())
    assert {"kernel_forward", "rules", "sums", "lanes", "rows", "outer"} <= used


def test_forms_for_different_types_are_kept_under_different_names() -> None:
    """Two processes that compile them at the same time must not write each other's file."""
    forms = passes._compiled, passes._compiled_wide
    names = {form(dtype).__qualname__ for form in forms for dtype in ("float64", "float64_in_two")}
    assert len(names) == 4


@pytest.mark.usefixtures("_side_by_side")
def test_gradients_of_the_wrong_shape_never_agree() -> None:
    case = gaussian_stack((2, 3, 1), rows=1, count=20, dtype="float64", seed=0)
    right = gradients(case)
    wrong = Gradients(
        right.loss, tuple(w.swapaxes(-1, -2) for w in right.weights), right.biases, right.x
    )
    good, bad = door.certified(case, [Answer(right), Answer(wrong)]).agrees
    assert good.all()
    assert not bad.any()


@pytest.mark.usefixtures("_side_by_side")
def test_nan_in_a_gradient_never_agrees() -> None:
    case = gaussian_stack((9, 10, 1), rows=1, count=16, dtype="float64", seed=0)
    right = gradients(case)
    for name, array in right.entries():
        spoilt = {name: np.array(array) for name, array in right.entries()}
        flat = spoilt[name].reshape(16, -1)
        flat[np.arange(16), np.arange(16) % flat.shape[1]] = math.nan
        given = Gradients(
            spoilt["J"], (spoilt["W1"], spoilt["W2"]), (spoilt["b1"], spoilt["b2"]), spoilt["x"]
        )
        assert not door.certified(case, [Answer(given)]).agrees.any(), (name, array.shape)


def test_what_the_pass_is_not_made_for_is_left_to_the_readable_form(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few = gaussian_stack((2, 3, 1), rows=1, count=3, dtype="float64", seed=0)
    assert not FusedJudge(few).certified([gradients(few)])[0].any()
    assert door.certified(few, [Answer(gradients(few))]).agrees.all()
    case = gaussian_stack((2, 3, 1), rows=1, count=20, dtype="float64", seed=0)
    monkeypatch.setattr(passes, "is_compiled", lambda: False)
    assert not FusedJudge(case).certified([gradients(case)])[0].any()
    assert door.certified(case, [Answer(gradients(case))]).agrees.all()


@pytest.mark.parametrize(
    ("widths", "rows", "wide"),
    [
        ((16, 32, 32, 4), 1, True),
        ((64, 64, 8), 1, True),
        ((16, 32, 32, 4), 2, False),
        ((4, 8, 1), 1, False),
        ((8, 16, 8, 2), 1, False),
    ],
    ids=str,
)
def test_wide_networks_of_one_row_are_judged_case_by_case(
    widths: tuple[int, ...], rows: int, wide: bool
) -> None:
    case = gaussian_stack(widths, rows=rows, count=8, dtype="float32", seed=0)
    assert passes.is_wide(case.network, case.rows) == wide


@pytest.mark.parametrize("widths", [(9, 3, 2), (16, 20, 5), (33, 24, 8, 4)], ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_both_ways_certify_nearly_the_same(
    widths: tuple[int, ...], dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, draw in enumerate(DRAWS.values()):
        case = draw_stack(draw, widths, dtype=dtype, count=128, seed=seed)
        given = everything_given(case)
        found = []
        for by_units in (False, True):
            judge_by_units(monkeypatch, by_units)
            found.append(FusedJudge(case).certified(given))
        (cases, case_ratios), (units, unit_ratios) = found
        # Which term of a sum tells that it is not exact depends on the order they are looked at.
        assert (cases != units).mean() <= 0.05
        both = cases & units
        assert np.allclose(case_ratios[both], unit_ratios[both], rtol=1e-5, atol=1e-6)


def test_a_batch_gives_its_cases_back() -> None:
    case = gaussian_stack((2, 3, 1), rows=2, count=9, dtype="bfloat16", seed=0)
    batch = Batch.of(case)
    assert batch.x.dtype == np.float32
    again = batch.case(np.array([4, 2]))
    assert again[0].key == case[4].key
    assert again[1].key == case[2].key


@njit  # type: ignore[untyped-decorator]
def _errors(tag: Any, source: int, target: int) -> None:
    transpose(tag, source, 8, target, 0)
    a, b = load(target, 0), load(target, 1)
    product, total = a * b, a + b
    shadow = total - a
    store(target, 2, product)
    store(target, 3, fused(a, b, -product))
    store(target, 4, total)
    store(target, 5, (a - (total - shadow)) + (b - shadow))
    store(target, 6, a * b + splat(1.0))


def test_the_compiler_neither_fuses_nor_reorders() -> None:
    from fractions import Fraction

    numbers = np.random.default_rng(0).standard_normal((8, 8))
    result = np.zeros((8, 8))
    _errors(0.0, numbers.ctypes.data, result.ctypes.data)
    for lane in range(8):
        a, b = map(Fraction, numbers[lane, :2].tolist())
        product, error, total, rest, separate = map(Fraction, result[2:7, lane].tolist())
        assert product + error == a * b
        assert total + rest == a + b
        assert separate == Fraction(float(product) + 1.0)  # rounded twice, so not fused


@pytest.mark.usefixtures("_side_by_side")
@pytest.mark.parametrize(
    ("widths", "dtype"), [((4, 8, 1), "float64"), ((16, 32, 32, 4), "float32")]
)
@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in HARD])
def test_hardly_a_case_of_the_easy_families_takes_more_than_the_compiled_pass(
    family: str, widths: tuple[int, ...], dtype: str
) -> None:
    made = block(Shape(Network(widths), 1, dtype), 3, 0, Mix(((family, 1.0),)))
    case = made.batch.case(slice(0, 512))
    given = [rounded(case, gradients(case))]
    (agrees,) = door.certified(case, [Answer(given[0])]).agrees
    certified, _ = FusedJudge(case).certified(given)
    assert agrees.mean() > 0.95
    assert certified[0][agrees].mean() > 0.99
