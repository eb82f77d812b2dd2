"""Steps with elementary functions: right ones are inside their bounds, wrong ones are named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from crosscheck.judge.door import Answer, judge
from crosscheck.judge.local.check import OfCase
from crosscheck.judge.local.judge import LocalJudge
from crosscheck.judge.verdict import Kind
from crosscheck.network.composed import Composed, Derivatives
from crosscheck.network.steps import step
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.elementary import ELEMENTARY
from crosscheck.numbers.elementary_values import elementary_of
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import FORMATS
from crosscheck.numbers.library import Stated
from crosscheck.numbers.model import Model
from crosscheck.operators.registry import known
from crosscheck.studies.simulated import StepFault, simulated

LIBRARY = Stated(count=4.0)
"""Four roundings: about what most libraries' functions err by."""

SMOOTH = ("pow", *(name for name in known() if name in ELEMENTARY))
WIDTHS = (3, 48)


def network(name: str, dtype: str, width: int = 3, rows: int = 5, seed: int = 0) -> Composed:
    """Two layers with a function between them; eᶻ before it, where its domain is the positive."""
    rng = np.random.default_rng([seed, width])
    steps = [step("z", "dense", "x", "W", "b")]
    positive = name in ("log", "sqrt", "rsqrt", "reciprocal", "pow")
    if positive:
        steps.append(step("e", "exp", "z"))
    steps.append(step("f", name, "e" if positive else "z"))
    steps += [step("o", "dense", "f", "V", "c"), step("loss", "squared_error", "o", "y")]
    return Composed.of(
        steps,
        {
            "W": rng.standard_normal((width, 2)),
            "b": np.abs(rng.standard_normal(width)) + (name == "log1p") * 6,
            "V": rng.standard_normal((2, width)) / np.sqrt(width),
            "c": rng.standard_normal(2),
        },
        {"x": rng.standard_normal((rows, 2)) / 2, "y": rng.standard_normal((rows, 2))},
        dtype=dtype,
    )


def said(case: Composed, fault: StepFault | None = None) -> OfCase:
    return LocalJudge(case, LIBRARY).check(simulated(case, fault)).of(0)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("name", SMOOTH)
def test_what_is_right_is_inside(name: str, dtype: str) -> None:
    assert said(network(name, dtype)).is_gradual


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("part", ["result", "z"])
@pytest.mark.parametrize("name", SMOOTH)
def test_a_factor_of_a_thousandth_is_named(name: str, part: str, width: int) -> None:
    found = said(network(name, "float32", width), StepFault("f", part, lambda a: a * 1.001))
    assert found.wrong is not None
    assert found.wrong.step == "f"


def sent(change: Callable[[Array, Array], Array]) -> Callable[[Composed], OfCase]:
    """What is said of a step that sends something else: of z and of what comes down."""

    def judged(case: Composed) -> OfCase:
        right = simulated(case)
        (record,) = (each for each in right.records if each.step.id == "f")
        wrong = change(record.operands["z"], record.cotangent)
        return said(case, StepFault("f", "z", lambda _: wrong))

    return judged


MISTAKES: dict[str, tuple[str, Callable[[Array, Array], Array]]] = {
    "tanh without its square": ("tanh", lambda z, g: g * (1 - np.tanh(z))),
    "tanh of the result": ("tanh", lambda z, g: g * (1 - np.tanh(np.tanh(z)) ** 2)),
    "sigmoid without 1 - σ": ("sigmoid", lambda z, g: g / (1 + np.exp(-z))),
    "softplus as a ReLU": ("softplus", lambda z, g: g * (z > 0)),
    "silu without its second term": ("silu", lambda z, g: g / (1 + np.exp(-z))),
    "elu with its result for its slope": ("elu", lambda z, g: g * np.where(z > 0, 1, np.expm1(z))),
    "log, not divided": ("log", lambda z, g: g),
    "sqrt without its half": ("sqrt", lambda z, g: g / np.sqrt(z)),
    "rsqrt with another power": ("rsqrt", lambda z, g: -0.5 * g * z**-0.5),
    "reciprocal without its minus": ("reciprocal", lambda z, g: g / z**2),
    "pow without its factor": ("pow", lambda z, g: g * z),
    "cos without its minus": ("cos", lambda z, g: g * np.sin(z)),
    "sin as itself": ("sin", lambda z, g: g * np.sin(z)),
    "erf without its constant": ("erf", lambda z, g: g * np.exp(-z * z)),
    "expm1 as its result": ("expm1", lambda z, g: g * np.expm1(z)),
    "log1p as log": ("log1p", lambda z, g: g / z),
}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_derivative_is_named(mistake: str, width: int) -> None:
    name, change = MISTAKES[mistake]
    found = sent(change)(network(name, "float32", width, seed=1))
    assert found.wrong is not None
    assert found.wrong.step == "f"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("is_", "is_not"), [("gelu", "gelu_tanh"), ("gelu_tanh", "gelu")])
def test_one_gelu_is_not_the_other(is_: str, is_not: str, dtype: str) -> None:
    case = network(is_, dtype)
    other = replace(case, steps=network(is_not, dtype).steps)
    recorded = simulated(other)
    renamed = replace(
        recorded,
        records=tuple(
            replace(record, step=mine)
            for record, mine in zip(recorded.records, case.steps, strict=True)
        ),
    )
    found = LocalJudge(case, LIBRARY).check(renamed).of(0)
    assert found.wrong is not None
    assert found.wrong.step == "f"


@pytest.mark.parametrize("part", ["result", "a", "b"])
def test_a_wrong_quotient_is_named(part: str) -> None:
    steps = (
        step("z", "dense", "x", "W", "b"),
        step("e", "exp", "z"),
        step("f", "division", "z", "e"),
        step("loss", "squared_error", "f", "y"),
    )
    rng = np.random.default_rng(0)
    case = Composed.of(
        steps,
        {"W": rng.standard_normal((4, 2)), "b": rng.standard_normal(4)},
        {"x": rng.standard_normal((3, 2)), "y": rng.standard_normal((3, 4))},
        dtype="float32",
    )
    assert said(case).is_gradual
    found = said(case, StepFault("f", part, lambda a: a * (1 + 2.0**-16)))
    assert found.wrong is not None
    assert found.wrong.step == "f"


@pytest.mark.parametrize("name", ["log", "sqrt", "rsqrt", "log1p"])
def test_outside_its_domain_nothing_is_known(name: str) -> None:
    model = Model(FORMATS["float32"], library=LIBRARY)
    x = Enclosure.of(model, np.array([-3.0, 0.5, -1.5]))
    assert np.isinf(elementary_of(x, ELEMENTARY[name], 0, name).bound).tolist() == [1, 0, 1]


@pytest.mark.parametrize("name", ELEMENTARY)
def test_what_may_be_outside_its_domain_is_not_known(name: str) -> None:
    function = ELEMENTARY[name]
    if function.operands > 1 or np.isinf(function.low):
        return
    model = Model(FORMATS["float32"], library=LIBRARY)
    c, e = np.array([function.low + 0.25]), np.array([0.5])
    found = elementary_of(Enclosure(model, c, 0 * e, e), function, 0, name)
    assert np.isinf(found.e).all()


def test_what_is_decided_by_what_may_be_nan_is_not_known() -> None:
    case = Composed.of(
        [
            step("z", "dense", "x", "W"),
            step("l", "log", "z"),
            step("r", "relu", "l"),
            step("loss", "absolute_error", "r", "y"),
        ],
        {"W": [[1.0]]},
        {"x": [[-2.0], [2.0]], "y": [[0.0], [1.0]]},
        dtype="float32",
    )
    given = {"W": np.full((1, 1), np.nan), "x": np.array([[np.nan], [-0.5]])}
    verdict = judge(case).another(Answer(Derivatives(np.array(np.nan), given)))
    assert verdict.kind is Kind.UNSUPPORTED
    wrong = {**given, "x": np.array([[np.nan], [0.5]])}
    assert judge(case).another(Answer(Derivatives(np.array(np.nan), wrong))).kind is Kind.DISAGREES
