"""Right gradients, computed in unusual ways, are never accused; wrong ones among them are."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pytest
import toy

from crosscheck.judge.compare import Judge
from crosscheck.judge.verdict import Kind
from crosscheck.network.batch import Batch
from crosscheck.network.dense import Case
from crosscheck.network.loss_bounds import divided, with_constants_anywhere
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import WORKING, Format, format_of
from crosscheck.numbers.model import Model
from crosscheck.studies.alarms import sums
from crosscheck.studies.alarms.catalogue import CATALOGUE, Right
from crosscheck.studies.alarms.measure import EVERYBODY, measure
from crosscheck.studies.alarms.numbers import Nearest, TiesAway, fused, narrowed
from crosscheck.studies.alarms.streams import STREAMS, batches
from crosscheck.studies.alarms.ways import Way, run

DTYPES = [
    pytest.param(dtype, marks=[pytest.mark.long] if dtype != "float64" else []) for dtype in WORKING
]

FEW = 0.003
"""Of the cases of each stream: about three hundred for each implementation."""


def alarms(rights: list[Right], dtype: str) -> list[str]:
    found = measure(rights, [dtype], share=FEW)
    return [f"{key}: {alarm}" for key, tally in found.items() for alarm in tally.alarms]


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_right_gradient_is_accused(dtype: str) -> None:
    assert alarms(list(CATALOGUE.values()), dtype) == []


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_wrong_gradient_is_accused(dtype: str) -> None:
    doubled = Way(cotangent=lambda number, d, rows: number.add(d, d))
    open_gate = Way(gate=lambda z, a: z > -np.inf)
    wrong = [
        replace(CATALOGUE["sums pairwise"], name=name, gradients=partial(run, way))
        for name, way in (("doubled", doubled), ("gates open", open_gate))
    ]
    wrong.append(replace(wrong[0], name="right but where not finite", but="not so"))
    accused = alarms(wrong, dtype)
    assert {right.name for right in wrong if right.name in " ".join(accused)} == {
        right.name for right in wrong
    }
    assert not [alarm for alarm in accused if Kind.DISAGREES.name not in alarm]


def test_flushing_is_told_from_what_everybody_may_do() -> None:
    case = of_residuals([2.0**-9], "float16", "sum")
    name = "subnormal results flushed"
    assert verdict(case, name) is Kind.SUBNORMAL
    allowed = [right.name for right in CATALOGUE.values() if Kind.SUBNORMAL in right.may_be]
    assert allowed == [name, "subnormal results and operands flushed"]
    assert frozenset({Kind.AGREES, Kind.KINK, Kind.UNDECIDED, Kind.NONFINITE}) == EVERYBODY


def test_what_gradual_underflow_may_explain_is_not_called_subnormal() -> None:
    """Slopes that explain it were found under flush-to-zero alone; none are excluded without."""
    right = CATALOGUE["slope at kinks: a third"]
    (stream,) = (each for each in STREAMS if each.name.endswith("no bias in (1, 2)"))
    (batch,) = batches(stream, "float16", 128)
    place = np.array([53])
    given = right.gradients(batch).wide(place)[0]
    found = Judge(batch.case(place)[0]).verdict(given, framework=right.name)
    assert found.kind is Kind.KINK
    assert "not decided whether" in found.detail


def test_there_are_enough_implementations_and_each_says_why_it_is_right() -> None:
    assert len(CATALOGUE) >= 30
    assert all(right.why for right in CATALOGUE.values())
    assert len({right.why for right in CATALOGUE.values()}) >= 50


def test_implementations_differ() -> None:
    """In wide sums and means nearly every one has bits of its own; slopes differ at kinks only."""
    found: dict[bytes, list[str]] = {}
    (batch,) = batches(STREAMS[-1], "float32", 40)
    for name, right in CATALOGUE.items():
        if right.is_vectorised and right.most > 2000 and not name.startswith("slope"):
            given = right.gradients(batch)
            bits = b"".join(np.asarray(array).tobytes() for _, array in given.entries())
            found.setdefault(bits, []).append(name)
    assert len(found) >= 24, list(found.values())


# -- arithmetic ----------------------------------------------------------------------------


def numbers(dtype: str, count: int, seed: int) -> Any:
    """Of the dtype, subnormal ones and neighbours of ties included."""
    rng, form = np.random.default_rng(seed), format_of(dtype)
    exponent = rng.integers(form.emin // 2 - 3, -form.emin // 4, count)
    values = np.ldexp(rng.integers(-9, 9, count) + rng.choice([0.0, 0.5, 2.0**-9], count), exponent)
    held = np.float64 if dtype == "float64" else np.float32
    return form.round(values).astype(held)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
def test_a_fused_multiply_add_is_rounded_once(dtype: str) -> None:
    one, other, addend = (numbers(dtype, 3000, seed) for seed in (1, 2, 3))
    addend[:1000] = narrowed(-(one[:1000] * other[:1000]), dtype)  # all but the last bits cancel
    found, form = fused(Nearest(dtype), one, other, addend), format_of(dtype)
    for a, b, c, value in zip(
        *(map(float, each) for each in (one, other, addend, found)), strict=True
    ):
        exact = Fraction(a) * Fraction(b) + Fraction(c)
        assert Fraction(value) == toy.Toy(form, random.Random(0)).rounded(exact), (a, b, c)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_narrow_numbers_are_rounded_as_the_format_says(dtype: str) -> None:
    values = np.random.default_rng(0).standard_normal(10_000).astype(np.float32)
    values = np.concatenate(
        [values, np.array([0.0, -0.0, np.inf, np.nan, 3.0e38, 1.0e5], np.float32)]
    )
    with np.errstate(over="ignore"):
        found = narrowed(values, dtype)
    assert np.array_equal(found, format_of(dtype).round(values), equal_nan=True)


@pytest.mark.parametrize(("dtype", "tie"), [("bfloat16", 1 + 2.0**-8), ("float16", 1 + 2.0**-11)])
def test_ties_go_away_from_zero(dtype: str, tie: float) -> None:
    found = TiesAway(dtype).rounded(np.array([tie, -tie, tie - 2.0**-20], np.float32))
    ulp = 2.0 ** (1 - format_of(dtype).precision)
    assert found.tolist() == [1 + ulp, -1 - ulp, 1.0]


@pytest.mark.parametrize("name", [name for name in CATALOGUE if name.startswith("sums ")])
def test_every_order_sums_whole_numbers_exactly(name: str) -> None:
    terms = np.random.default_rng(5).integers(-50, 50, (37, 8)).astype(np.float32)
    (way,) = getattr(CATALOGUE[name].gradients, "args", (None,))
    if way is None:  # one case at a time
        return
    assert np.array_equal(way.total(Nearest("float32"), list(terms)), terms.sum(axis=0))


def test_a_compensated_sum_loses_less_than_a_plain_one() -> None:
    terms = list(np.random.default_rng(6).random((1000, 16)).astype(np.float32))
    exact = np.sum(np.array(terms, np.float64), axis=0)
    number = Nearest("float32")
    plain = np.abs(sums.sequential(number, terms) - exact).max()
    for total in (sums.compensated, sums.neumaier):
        assert 16 * np.abs(total(number, terms) - exact).max() < plain


# -- the loss, whose constants may stand anywhere ----------------------------------------------


def of_residuals(residuals: list[float], dtype: str, reduction: Any) -> Case:
    """One unit, whose output is 0 in every row."""
    column = [[-value] for value in residuals]
    return Case.of(
        [[[1.0]]],
        [[0.0]],
        np.zeros((len(residuals), 1)),
        column,
        dtype=dtype,
        output="identity",
        reduction=reduction,
    )


def verdict(case: Case, name: str, factor: float = 1.0) -> Kind:
    stack = Case.of(
        [case.weights[0][None]],
        [np.zeros((1, 1))],
        case.x[None],
        case.y[None],
        dtype=case.dtype,
        output="identity",
        reduction=case.network.reduction,
    )
    given = CATALOGUE[name].gradients(Batch.of(stack))
    loss = np.float64(given.loss[0]) * factor
    return Judge(case).verdict(replace(given[0], loss=loss), framework="").kind


def test_a_mean_may_be_divided_square_by_square() -> None:
    case = of_residuals([59.0, 61.0, 61.0, 22.0, 20.0, 36.0, 4.0, 32.0, 13.0], "float32", "mean")
    assert verdict(case, "loss mean before ½") is Kind.AGREES
    assert verdict(case, "loss mean before ½", 1 + 2.0**-19) is Kind.DISAGREES


def test_the_half_may_be_put_to_squares_that_are_too_small_for_it() -> None:
    case = of_residuals([2.0**-12] * 8, "float16", "sum")  # each square is the smallest number
    assert verdict(case, "loss sum(0.5 · (d · d))") is Kind.AGREES
    # 8 halves of it are lost; thrice as much is not explained
    enclosed = Judge(case).enclosed(Model(format_of("float16")))
    assert float(enclosed.loss.bound) < 20 * 2.0**-24


PLACES = ("factor", "square", "part", "whole")


@pytest.mark.parametrize("precision", [3, 4, 5])
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 6, 7])
def test_the_bound_on_the_loss_holds_wherever_constants_stand(precision: int, rows: int) -> None:
    form, rng = Format("toy", precision, -7, 12), random.Random(100 * precision + rows)
    machine = toy.Toy(form, rng)
    for _ in range(40):
        # Whole numbers whose squares are exact, most of them, at a size where halves may be lost.
        unit = Fraction(2) ** rng.choice([-6, -5, -4, 0])
        terms = [
            unit * rng.randrange(1, 2 ** (precision // 2 + 1)) for _ in range(rng.randrange(1, 9))
        ]
        residual = Enclosure.of(Model(form), np.array([[float(term)] for term in terms]))
        with np.errstate(all="ignore"):
            loss = divided((residual * residual).sum(axis=(-2, -1)), 2)
            loss = divided(loss, rows) if rows > 1 else loss
            bound = with_constants_anywhere(loss, residual, rows)
        exact = sum((term * term for term in terms), Fraction(0)) / 2 / rows
        room = Fraction(float(bound.e)) if np.isfinite(bound.e) else None
        for _ in range(12):
            try:
                error = abs(somehow(machine, terms, rows) - exact)
            except toy.Overflow:
                assert room is None or float(bound.size + bound.e) * rows * 4 > form.largest
                continue
            assert room is None or error <= room


def somehow(machine: toy.Toy, terms: list[Fraction], rows: int) -> Fraction:
    """½ Σ d² / B, with its constants anywhere."""
    rng = machine.rng
    half, count = Fraction(1, 2), Fraction(rows)
    inverse = machine.rounded(1 / count)
    constants: list[Any] = [lambda value: machine.times(value, half)]
    if rows > 1:
        by_inverse = rng.random() < 0.5
        constants.append(
            lambda value: (
                machine.times(value, inverse) if by_inverse else machine.rounded(value / count)
            )
        )
        rng.shuffle(constants)
        if rng.random() < 0.3:
            both = machine.rounded(half / count)
            constants = [lambda value: machine.times(value, both)]
    placed = sorted(rng.randrange(4) for _ in constants)

    def put(value: Fraction, place: int) -> Fraction:
        for constant, at in zip(constants, placed, strict=True):
            value = constant(value) if at == place else value
        return value

    squares = [put(machine.times(put(d, 0), d), 1) for d in terms]
    rng.shuffle(squares)
    middle = rng.randrange(len(squares) + 1)
    parts = [part for part in (squares[:middle], squares[middle:]) if part]
    sums_ = [put(machine.dot([], [], part), 2) for part in parts]
    return put(machine.dot([], [], sums_), 3)
