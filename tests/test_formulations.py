"""Further lines of operators: each is inside the bounds, in values and in what is sent down."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from crosscheck.cases.composed import seeded_composed
from crosscheck.cases.plans import plans
from crosscheck.cli import main
from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.gatekeeper import watch
from crosscheck.frameworks.refusals import Refused
from crosscheck.frameworks.registry import open_frameworks
from crosscheck.judge.adjoint.boxes import Box
from crosscheck.judge.adjoint.terms import terms
from crosscheck.judge.libraries import library_of
from crosscheck.judge.local.judge import LocalJudge
from crosscheck.network.composed import Composed
from crosscheck.network.exact import rational_of, rationals
from crosscheck.network.steps import step
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import FORMATS
from crosscheck.numbers.library import Stated
from crosscheck.numbers.model import Model
from crosscheck.operators.registry import operator_of
from crosscheck.program.derive import gradient
from crosscheck.program.evaluate import evaluate
from crosscheck.program.exact import OnExact
from crosscheck.program.graph import Graph, Program
from crosscheck.studies.simulated import StepFault, simulated
from crosscheck.tools.errors import UsageError

SEVERAL = ("class_cross_entropy", "cross_entropy")
"""Operators of which there are several lines."""


def opened(name: str, formulation: str | None = None) -> Framework:
    pytest.importorskip(name)
    chosen = {} if formulation is None else {name: formulation}
    (framework,), _ = open_frameworks([name], chosen, {name: "eager"})
    return framework


def lines() -> Iterator[Any]:
    for framework in ("torch", "tensorflow", "jax"):
        for operator in SEVERAL:
            for line in operator_of(operator).formulations(framework):
                marks = [pytest.mark.long] if framework == "jax" else []
                yield pytest.param(framework, operator, line, marks=marks)


def stacks(operator: str, dtype: str, count: int = 2) -> Iterator[Composed]:
    """Of each variant; targets of cross-entropy add up to 1."""
    tried = set()
    for number, plan in enumerate(plans([operator])):
        settings = frozenset(each.attributes for each in plan.steps if each.op == operator)
        if settings not in tried:
            tried.add(settings)
            case = seeded_composed(number, plan, count, dtype)
            arrays = dict(case.entries())
            if operator == "cross_entropy":
                e = np.exp(arrays["y"])
                arrays["y"] = e / e.sum(axis=-1, keepdims=True)
            yield plan.case(arrays, dtype, count)


def check(framework: Framework, case: Composed) -> tuple[list[str], int]:
    """What is wrong with each case, and how many entries have no bound."""
    recorded = watch(framework, case)
    assert not isinstance(recorded, Refused), recorded
    with framework.session():
        library = library_of(case, framework.name, framework.mode)
        found = LocalJudge(case, library).check(recorded)
    count = case.count or 1
    return (
        [str(found.wrong(index) or "") for index in range(count)],
        sum(found.unbounded(index) for index in range(count)),
    )


@pytest.mark.parametrize(("name", "operator", "line"), [*lines()])
def test_every_line_is_inside_its_bounds(name: str, operator: str, line: str) -> None:
    framework = opened(name, f"{operator}:{line}")
    for case in stacks(operator, "float32"):
        assert check(framework, case) == ([""] * 2, 0)
        assert check(framework, case[0]) == ([""], 0)


def test_a_line_is_chosen_by_its_operator_and_name(capsys: pytest.CaptureFixture[str]) -> None:
    framework = opened("torch", "class_cross_entropy:nll_loss")
    case = next(stacks("class_cross_entropy", "float32"))
    recorded = watch(framework, case)
    assert not isinstance(recorded, Refused)
    assert recorded.records[-1].formulation == "nll_loss"
    with pytest.raises(UsageError, match="wanted class_cross_entropy: and one of cross_entropy, n"):
        opened("torch", "class_cross_entropy:of_mine")
    asked = ["run", "--frameworks", "torch", "--formulation", "torch=class_cross_entropy:of_mine"]
    assert main([*asked, "--max-examples", "1"]) == 4
    said = capsys.readouterr().err
    assert "wanted class_cross_entropy: and one of cross_entropy, nll_loss" in said


# -- several ways to a number ------------------------------------------------------------------


def squares() -> tuple[Program, int]:
    """Σ (a² - b²), as (a + b) (a - b) first."""
    graph = Graph()
    a, b = graph.leaf("a", (3,)), graph.leaf("b", (3,))
    both = graph.ways((a, b), (a + b) * (a - b), a * a - b * b)
    return graph.program({"a": a, "b": b}, {"J": both.sum()}), both.number


def test_the_derivative_in_several_ways_is_that_of_each() -> None:
    program, _ = squares()
    found = gradient(program, "J", ("a", "b"))
    assert [found.nodes[found.outputs[name]].op for name in "ab"] == ["either", "either"]
    arrays = {"a": rationals(np.arange(3.0)), "b": rationals(np.ones(3))}
    sent = evaluate(found, OnExact(rational_of), arrays)
    assert [float(each) for each in sent["a"]] == [0.0, 2.0, 4.0]
    assert [float(each) for each in sent["b"]] == [-2.0] * 3


def test_adjoint_bounds_hold_what_rounds_more_on_another_way() -> None:
    program, both = squares()
    rng = np.random.default_rng(0)
    a = np.float32(1 + rng.random(3))
    b = np.nextafter(a, np.float32(0))
    arrays = {"a": a.astype(float), "b": b.astype(float)}
    box = Box(program, Model(FORMATS["float32"]), arrays)
    error = abs(float((a * a - b * b).sum()) - ((arrays["a"] - arrays["b"]) * (a + b)).sum())
    bound = terms(box, [("J", ())]).bound.item()
    assert error / 8 < bound / 16 < error < bound
    assert both in box.rounds


# -- cross-entropy -----------------------------------------------------------------------------


def test_shares_less_targets_is_no_derivative_where_targets_do_not_add_up() -> None:
    framework = opened("tensorflow", "cross_entropy:with_logits")
    case = next(stacks("cross_entropy", "float32"))
    arrays = dict(case.entries())
    arrays["y"] = arrays["y"] * 1.001
    given = Composed.of(
        case.steps,
        {name: arrays[name] for name in case.parameters},
        {name: arrays[name] for name in case.inputs},
        dtype="float32",
        count=2,
    )
    wrong, _ = check(framework, given)
    assert all(each.startswith("step loss (cross_entropy): what it sent to a") for each in wrong)
    assert check(opened("torch", "cross_entropy:cross_entropy"), given)[0] == ["", ""]


def shares(z: Array) -> Array:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


CLASSES = [1, 0, 2, 1]


def of_classes(width: int, dtype: str = "float32", **more: Any) -> Composed:
    rng = np.random.default_rng(width)
    steps = (
        step("z", "dense", "x", "W", "b"),
        step("loss", "class_cross_entropy", "z", classes="1 0 2 1", **more),
    )
    return Composed.of(
        steps,
        {"W": rng.standard_normal((width, 2)), "b": rng.standard_normal(width)},
        {"x": rng.standard_normal((4, 2))},
        dtype=dtype,
    )


def less(z: Array, classes: Any, share: float = 1.0) -> Array:
    found = shares(z)
    found[np.arange(len(z)), classes] -= share
    return found


MISTAKES: Mapping[str, tuple[str, Callable[[Array], Any]]] = {
    "without the classes": ("a", lambda z: shares(z) / 4),
    "not averaged": ("a", lambda z: less(z, CLASSES)),
    "another class": ("a", lambda z: less(z, [1, 0, 2, 0]) / 4),
    "without the shares": ("a", lambda z: less(z, CLASSES) / 4 - shares(z) / 4),
    "smoothed": ("a", lambda z: less(z, CLASSES, 0.999) / 4),
    "over the rows": ("a", lambda z: (shares(z.T).T + less(z, CLASSES) - shares(z)) / 4),
    "the wrong class": (
        "result", lambda z: -np.log(shares(z))[np.arange(4), [1, 0, 2, 0]].mean(),
    ),
    "not of the logarithm": (
        "result", lambda z: -shares(z)[np.arange(4), CLASSES].mean(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("width", [3, 40])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_classes_is_named(mistake: str, width: int) -> None:
    part, change = MISTAKES[mistake]
    case = of_classes(width)
    judge = LocalJudge(case, Stated(count=4.0))
    right = simulated(case)
    assert judge.check(right).wrong() is None
    z = right.records[-1].operands["a"]
    said = judge.check(simulated(case, StepFault("loss", part, lambda _: change(z)))).wrong()
    assert said is not None
    assert said.step == "loss"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classes": "1 -1"}, "classes='1 -1', wanted numbers of classes, from 0 on"),
        ({"classes": "0.5"}, "classes='0.5', wanted a whole number"),
        ({"reduction": "most"}, "reduction='most', wanted one of sum, mean, rows"),
    ],
)
def test_classes_that_make_no_sense_are_refused(settings: Mapping[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        operator_of("class_cross_entropy").settled(settings)


@pytest.mark.parametrize("classes", ["0 3 1", "0 1 0 1 0"])
def test_classes_that_do_not_fit_are_refused(classes: str) -> None:
    case = of_classes(3)
    with pytest.raises(UsageError, match=r"wanted at most a class for each of 4 rows, from 0 to 2"):
        replace(
            case, steps=(case.steps[0], step("loss", "class_cross_entropy", "z", classes=classes))
        )
