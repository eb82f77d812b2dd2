"""Further lines of operators: each is inside the bounds, in values and in what is sent down."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosscheck.cases.composed import seeded_composed
from crosscheck.cases.plans import plans
from crosscheck.cli import main
from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.gatekeeper import ask, watch
from crosscheck.frameworks.refusals import Refused
from crosscheck.frameworks.registry import open_frameworks
from crosscheck.judge.adjoint.boxes import Box
from crosscheck.judge.adjoint.judge import AdjointJudge
from crosscheck.judge.adjoint.terms import terms
from crosscheck.judge.door import Answer, judge
from crosscheck.judge.libraries import library_of
from crosscheck.judge.local.judge import LocalJudge
from crosscheck.judge.verdict import Kind
from crosscheck.network.composed import Composed
from crosscheck.network.exact import rational_of, rationals
from crosscheck.network.steps import step
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import FORMATS
from crosscheck.numbers.library import Stated
from crosscheck.numbers.model import Model
from crosscheck.operators.registry import operator_of
from crosscheck.program.alternatives import ways
from crosscheck.program.derive import gradient
from crosscheck.program.evaluate import evaluate
from crosscheck.program.exact import OnExact
from crosscheck.program.graph import Graph, Program
from crosscheck.studies.simulated import StepFault, simulated
from crosscheck.tools.errors import UsageError

SEVERAL = (
    *("class_cross_entropy", "cross_entropy", "attention"),
    *("layer_norm", "batch_norm", "rms_norm", "max_pool1d", "max_pool2d", "multiply", "sort"),
)
"""Operators of which there are several lines."""


WIDE = pytest.param(40, marks=pytest.mark.long)
QUICK = {"torch": SEVERAL, "tensorflow": ("cross_entropy", "batch_norm", "sort"), "jax": ()}
"""Whose lines are not left to the long tests: no others need other imports, or compile."""


def opened(name: str, formulation: str | None = None) -> Framework:
    pytest.importorskip(name)
    chosen = {} if formulation is None else {name: formulation}
    (framework,), _ = open_frameworks([name], chosen, {name: "eager"})
    return framework


def lines() -> Iterator[Any]:
    for framework in ("torch", "tensorflow", "jax"):
        for operator in SEVERAL:
            for line in operator_of(operator).formulations(framework):
                marks = [] if operator in QUICK[framework] else [pytest.mark.long]
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
    both = ways((a, b), (a + b) * (a - b), a * a - b * b)
    return graph.program({"a": a, "b": b}, {"J": both.sum()}), both.number


def test_the_derivative_in_several_ways_is_that_of_each() -> None:
    program, _ = squares()
    found = gradient(program, "J", ("a", "b"))
    assert [found.nodes[found.outputs[name]].op for name in "ab"] == ["ways", "ways"]
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


@pytest.mark.parametrize("width", [3, WIDE])
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


# -- attention with masks ----------------------------------------------------------------------

CAUSAL = np.tril(np.ones((5, 5), dtype=bool))


def attending(width: int, mask: str, dtype: str = "float32") -> Composed:
    rng = np.random.default_rng(width)
    steps = [step(each, "dense", "x", each.upper()) for each in "qkv"]
    steps += [step("f", "attention", "q", "k", "v", mask=mask)]
    steps += [step("loss", "squared_error", "f", "y")]
    normal = rng.standard_normal
    size = np.sqrt(width)
    parameters = {
        "Q": normal((width, 4)) / size,
        "K": normal((width, 4)) / 2,
        "V": normal((width, 4)) / 2,
    }
    inputs = {"x": normal((5, 4)), "y": normal((5, width))}
    return Composed.of(steps, parameters, inputs, dtype=dtype)


def scores(o: Mapping[str, Array]) -> Array:
    return np.asarray(o["q"] @ o["k"].T / np.sqrt(o["q"].shape[1]))


def masked(o: Mapping[str, Array], kept: Any = CAUSAL) -> Array:
    """Shares of what is kept, 0 elsewhere."""
    return shares(np.where(kept, scores(o), -np.inf))


def down(o: Mapping[str, Array], g: Array, share: Array) -> Array:
    """What softmax sends to the scores."""
    products = g @ o["v"].T
    return np.asarray(share * (products - (share * products).sum(axis=1, keepdims=True)))


def by_q(o: Mapping[str, Array], s: Array) -> Array:
    return np.asarray(s @ o["k"] / np.sqrt(o["q"].shape[1]))


OF_MASKS: dict[str, tuple[str, Callable[[Mapping[str, Array], Array], Any]]] = {
    "no mask": ("result", lambda o, g: shares(scores(o)) @ o["v"]),
    "masked after softmax": ("result", lambda o, g: (CAUSAL * shares(scores(o))) @ o["v"]),
    "0 in the place of what is masked": (
        "result", lambda o, g: shares(CAUSAL * scores(o)) @ o["v"],
    ),
    "the mask turned round": ("result", lambda o, g: masked(o, CAUSAL.T) @ o["v"]),
    "the mask off by one": ("result", lambda o, g: masked(o, np.tri(5, k=1) > 0) @ o["v"]),
    "masked after softmax, going down": (
        "q", lambda o, g: by_q(o, CAUSAL * down(o, g, shares(scores(o)))),
    ),
    "no mask going down": ("v", lambda o, g: shares(scores(o)).T @ g),
    "without softmax's term": ("q", lambda o, g: by_q(o, masked(o) * (g @ o["v"].T))),
    "its term over the other axis": (
        "q",
        lambda o, g: by_q(
            o, masked(o) * (g @ o["v"].T - (masked(o) * (g @ o["v"].T)).sum(axis=0)),
        ),
    ),
    "the term of the result's own rows left out": (
        "k", lambda o, g: (masked(o) * (g @ o["v"].T)).T @ o["q"] / np.sqrt(o["q"].shape[1]),
    ),
    "without its scale, going down": (
        "q", lambda o, g: down(o, g, masked(o)) @ o["k"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("width", [3, WIDE])
@pytest.mark.parametrize("mistake", OF_MASKS)
def test_a_mistake_with_a_mask_is_named(mistake: str, width: int) -> None:
    part, change = OF_MASKS[mistake]
    case = attending(width, "causal")
    judge, right = LocalJudge(case, Stated(count=4.0)), simulated(case)
    assert judge.check(right).wrong() is None
    record = right.records[-2]
    wrong = change(record.operands, record.cotangent)
    said = judge.check(simulated(case, StepFault("f", part, lambda _: wrong)))
    found = said.wrong()
    assert found is not None
    assert found.step == "f"


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_with_a_mask_every_entry_has_a_bound(dtype: str) -> None:
    case = attending(3, "causal", dtype)
    found = LocalJudge(case, Stated(count=4.0)).check(simulated(case))
    assert found.wrong() is None
    assert found.unbounded() == 0
    assert found.compared() > 90


def test_what_is_masked_has_no_part_in_anything() -> None:
    """Whatever the masked scores are: the first row is that of the first key."""
    case = attending(3, "causal", "float64")
    (record,) = (each for each in simulated(case).records if each.step.id == "f")
    assert (record.result[0] == record.operands["v"][0]).all()
    assert (record.sent["q"][0] == 0).all()
    assert (record.sent["k"][4] != 0).all()


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ("0 0", "row 0 keeps no key, where softmax is 0 / 0; wanted a 1 in each row"),
        ("1 0 / 0 0", "row 1 keeps no key"),
        ("1 2", "wanted none, causal, or zeros and ones"),
        ("some", "mask='some', wanted a whole number"),
    ],
)
def test_a_mask_that_makes_no_sense_is_refused(mask: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        operator_of("attention").settled({"mask": mask})
    if mask == "0 0":
        with pytest.raises(UsageError, match="row 0 keeps no key"):
            attending(3, "0 0 0 0 0 1 / 1")


# -- norms -------------------------------------------------------------------------------------


def normalized(operator: str, seed: int, mean: float = 0.0) -> Composed:
    rng = np.random.default_rng(seed)
    names = ["weight", "bias"][: 1 if operator == "rms_norm" else 2]
    return Composed.of(
        [step("f", operator, "x", *names), step("loss", "squared_error", "f", "y")],
        {name: rng.standard_normal(24) for name in names},
        {"x": rng.standard_normal((6, 24)) + mean, "y": rng.standard_normal((6, 24))},
        dtype="float32",
    )


@pytest.mark.parametrize(
    "mean", [0.0, *(pytest.param(each, marks=pytest.mark.long) for each in (10.0, 300.0))]
)
@pytest.mark.parametrize("operator", ["layer_norm", "batch_norm"])
def test_a_library_s_norm_of_numbers_with_a_large_mean_is_inside(
    operator: str, mean: float
) -> None:
    """That of batches is outside of the bounds of two passes alone, for some of these."""
    framework = opened("torch", f"{operator}:{operator}")
    for seed in range(5):
        assert check(framework, normalized(operator, seed, mean)) == ([""], 0)


def statistics(z: Array, axis: int) -> tuple[Array, Array]:
    r = 1 / np.sqrt(z.var(axis=axis, keepdims=True) + 2.0**-17)
    return z.mean(axis=axis, keepdims=True), r


def folded(o: Mapping[str, Array], g: Array, *, of_mean: float = 1.0, of_z: float = 1.0) -> Array:
    """Layer norm's derivative as r ĝ + β z + γ, with parts of β z and of γ."""
    z, own = o["z"], g * o["weight"]
    m, r = statistics(z, -1)
    total, n = own.sum(axis=-1, keepdims=True), z.shape[-1]
    beta = (m * total - (own * z).sum(axis=-1, keepdims=True)) * r**3 / n
    return np.asarray(r * own + of_z * beta * z - of_mean * beta * m - r * total / n)


OF_NORMS: dict[str, tuple[str, str, Callable[[Mapping[str, Array], Array], Any]]] = {
    "γ without β m": ("layer_norm", "z", lambda o, g: folded(o, g, of_mean=0.0)),
    "without β z": ("layer_norm", "z", lambda o, g: folded(o, g, of_z=0.0)),
    "β m a little off": ("layer_norm", "z", lambda o, g: folded(o, g, of_mean=1.001)),
    "the weight's sum without the mean": (
        "layer_norm",
        "weight",
        lambda o, g: (g * o["z"] * statistics(o["z"], -1)[1]).sum(axis=0),
    ),
    "folded with the mean's weight left out": (
        "batch_norm",
        "result",
        lambda o, g: (
            o["z"] * statistics(o["z"], 0)[1] * o["weight"]
            + (o["bias"] - statistics(o["z"], 0)[0] * statistics(o["z"], 0)[1])
        ),
    ),
    "κ with r once": (
        "batch_norm",
        "z",
        lambda o, g: (
            (
                g
                - g.mean(axis=0)
                - (o["z"] - o["z"].mean(axis=0))
                * ((o["z"] - o["z"].mean(axis=0)) * g).mean(axis=0)
                * statistics(o["z"], 0)[1]
            )
            * statistics(o["z"], 0)[1]
            * o["weight"]
        ),
    ),
    "the other axis": (
        "batch_norm",
        "result",
        lambda o, g: (
            (o["z"] - statistics(o["z"], -1)[0]) * statistics(o["z"], -1)[1] * o["weight"]
            + o["bias"]
        ),
    ),
}


@pytest.mark.parametrize("mean", [0.0, pytest.param(3.0, marks=pytest.mark.long)])
@pytest.mark.parametrize("mistake", OF_NORMS)
def test_a_mistake_in_a_norm_that_is_written_out_is_named(mistake: str, mean: float) -> None:
    operator, part, change = OF_NORMS[mistake]
    case = normalized(operator, 0, 2.0 + mean)
    judge, right = LocalJudge(case, Stated(count=4.0)), simulated(case)
    assert judge.check(right).wrong() is None
    record = right.records[0]
    wrong = change(record.operands, record.cotangent)
    found = judge.check(simulated(case, StepFault("f", part, lambda _: wrong))).wrong()
    assert found is not None
    assert found.step == "f"


@pytest.mark.parametrize("operator", ["layer_norm", "batch_norm"])
def test_adjoint_bounds_hold_norms(operator: str) -> None:
    case = normalized(operator, 0, 2.0)
    found = AdjointJudge(case, library=Stated(count=4.0)).check(simulated(case).given)
    assert not found.failing
    assert found.unbounded == 0
    assert found.vacuous < found.sampled


def test_what_is_written_out_is_the_derivative() -> None:
    case = normalized("layer_norm", 0, 2.0)
    judge, right = LocalJudge(case, Stated(count=4.0)), simulated(case)
    wanted = folded(right.records[0].operands, right.records[0].cotangent)
    assert judge.check(simulated(case, StepFault("f", "z", lambda _: wanted))).wrong() is None


@pytest.mark.parametrize("order", [1, 2])
def test_updates_give_the_mean_and_the_squares(order: int) -> None:
    graph = Graph()
    z = graph.leaf("z", (2, 5))
    program = graph.program({"z": z}, {"y": z.updated(-1, order)})
    numbers = np.arange(10.0).reshape(2, 5) ** 2
    found = evaluate(program, OnExact(rational_of), {"z": rationals(numbers)})["y"]
    mean = numbers.mean(axis=1, keepdims=True)
    wanted = mean if order == 1 else ((numbers - mean) ** 2).sum(axis=1, keepdims=True)
    assert found.shape == (2, 1)
    given = [float(Fraction(str(each))) for each in found.ravel()]
    assert given == pytest.approx(wanted.ravel().tolist(), rel=2.0**-40)


# -- random operators --------------------------------------------------------------------------

RANDOM = (
    *("dropout", "Dropout2d", "alpha_dropout", "rrelu", "gaussian_noise", "spatial_dropout1d"),
    *("stochastic_depth", "gumbel_softmax", "bernoulli"),
)


@pytest.mark.parametrize("name", RANDOM)
def test_what_is_random_is_refused_by_name(name: str) -> None:
    with pytest.raises(
        UsageError, match="draws random numbers, so that its result is no"
    ) as caught:
        operator_of(name)
    said = str(caught.value)
    assert name in said
    assert "multiply: op 'multiply'" in said
    assert "\n" not in said


def test_a_case_file_with_dropout_ends_with_4(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = [
        {"id": "z", "op": "dropout", "inputs": ["x"]},
        {"id": "loss", "op": "squared_error", "inputs": ["z", "y"]},
    ]
    arrays = {"x": [[1.0]], "y": [[0.0]]}
    place = tmp_path / "case.json"
    place.write_text(json.dumps({"program": program, "inputs": arrays, "dtype": "float32"}))
    assert main(["run", "--case", str(place), "--frameworks", "torch"]) == 4
    assert "operator 'dropout' draws random numbers" in capsys.readouterr().err
    with pytest.raises(UsageError, match="operator 'dropout' draws random numbers"):
        plans(["dropout"])


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("result", lambda o, g: o["a"] + o["b"]),
        ("a", lambda o, g: g * o["a"]),
        ("b", lambda o, g: g),
        ("a", lambda o, g: g * (o["b"] != 0)),
    ],
    ids=["a sum", "the same one", "a sum's", "without its scale"],
)
def test_a_wrong_product_with_a_mask_is_named(part: str, change: Any) -> None:
    mask = np.array([[0.0, 2.0, 2.0], [2.0, 0.0, 2.0]])
    rng = np.random.default_rng(0)
    case = Composed.of(
        [step("f", "multiply", "x", "mask"), step("loss", "squared_error", "f", "y")],
        {},
        {"x": rng.standard_normal((2, 3)), "mask": mask, "y": rng.standard_normal((2, 3))},
        dtype="float32",
    )
    judge, right = LocalJudge(case), simulated(case)
    assert judge.check(right).wrong() is None
    record = right.records[0]
    wrong = change(record.operands, record.cotangent)
    found = judge.check(simulated(case, StepFault("f", part, lambda _: wrong))).wrong()
    assert found is not None
    assert found.step == "f"


# -- sort --------------------------------------------------------------------------------------


def sorting(numbers: Any, axis: int = -1) -> Composed:
    x = np.array(numbers, dtype=float)
    return Composed.of(
        [step("f", "sort", "x", axis=axis), step("loss", "squared_error", "f", "y")],
        {},
        {"x": x, "y": -((np.arange(x.size).reshape(x.shape) + 3.0) ** 2)},
        dtype="float32",
    )


def with_order(case: Composed, order: Any) -> str:
    """What is said where what comes to the k-th place is sent to entry ``order[k]``."""
    right = simulated(case)
    g = right.records[0].cotangent
    sent = np.zeros_like(g)
    for at, to in np.ndenumerate(np.array(order)):
        sent[(*at[:-1], to)] += g[at]
    found = LocalJudge(case).check(simulated(case, StepFault("f", "x", lambda _: sent)))
    return str(found.wrong() or "")


MIXED = [[3.0, -1.0, 2.0, 0.5], [1.0, 4.0, -2.0, 0.0]]
ORDER = [[1, 3, 2, 0], [2, 3, 0, 1]]


def test_sorted_numbers_are_exact_and_so_is_what_is_sent() -> None:
    for axis in (-1, -2):
        case = sorting(MIXED, axis)
        found = simulated(case)
        assert (found.records[0].result == np.sort(MIXED, axis)).all()
        check_ = LocalJudge(case).check(found)
        assert check_.wrong() is None
        assert all(not each.parts[0].bound.bound.any() for each in check_.comparisons[1:2])
    assert with_order(sorting(MIXED), ORDER) == ""


@pytest.mark.parametrize(
    ("order", "numbers"),
    [
        ([[0, 1, 2, 3], [0, 1, 2, 3]], MIXED),
        ([[3, 0, 2, 1], [2, 3, 1, 0]], MIXED),
        ([each[::-1] for each in ORDER], MIXED),
        ([[1, 1, 2, 0], [2, 3, 0, 1]], MIXED),
        ([[2, 2, 1, 0]], [[3.0, 2.0, 1.0, 2.0]]),
        ([[2, 0, 3, 1]], [[3.0, 2.0, 1.0, 2.0]]),
        ([[2, 1, 1, 0]], [[3.0, 2.0, 1.0, 2.0]]),
        ([[0, 1, 1]], [[2.0, 2.0, 2.0]]),
    ],
    ids=[
        "not at all",
        "the other way",
        "turned round",
        "twice",
        "tie and other",
        "not of the tie",
        "one of a tie",
        "one of three",
    ],
)
def test_what_is_sent_to_another_place_is_named(order: Any, numbers: Any) -> None:
    assert with_order(sorting(numbers), order).startswith("step f (sort): what it sent to x")


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
def test_equal_numbers_may_come_in_any_order(order: Any) -> None:
    assert with_order(sorting([[2.0, 2.0, 2.0]]), [order]) == ""
    four = [{0: 1, 1: 3, 2: 2}[each] for each in order]
    assert with_order(sorting([[3.0, 2.0, 2.0, 2.0]]), [[*four, 0]]) == ""


@pytest.mark.parametrize("numbers", [[[2.0, 2.0, 1.0]], [[0.0, 0.0, 0.0, 0.0]]])
@pytest.mark.parametrize("name", ["torch", "tensorflow"])
def test_ties_of_a_framework_are_explained(name: str, numbers: Any) -> None:
    framework = opened(name)
    case = sorting(numbers)
    verdict = judge(case, [answer_of(framework, case)]).verdict(0, 0)
    assert verdict.kind is Kind.KINK, verdict


def answer_of(framework: Framework, case: Composed) -> Answer:
    given, recorded = ask(framework, case), watch(framework, case)
    assert not isinstance(given, Refused)
    assert not isinstance(recorded, Refused)
    return Answer(given, names=(framework.name, "", "eager"), recorded=recorded)


@pytest.mark.parametrize("axis", [0, "-1 -2"])
def test_an_axis_that_makes_no_sense_is_refused(axis: int | str) -> None:
    with pytest.raises(UsageError, match=f"{axis!r}, wanted"):
        operator_of("sort").settled({"axis": axis})
