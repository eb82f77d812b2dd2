"""Models of four kinds on real images: they learn, steps are certified, wrong ones are named."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from test_ties import pool

from crosscheck.cli.digits import digits
from crosscheck.frameworks.registry import open_frameworks
from crosscheck.frameworks.tensorflow_ import TensorFlowFramework
from crosscheck.frameworks.torch_ import TorchFramework
from crosscheck.judge.certificates import BY_STEPS
from crosscheck.judge.decisions import Effect, GateClass
from crosscheck.judge.door import Answer, judge
from crosscheck.judge.local.record import Recorded
from crosscheck.judge.verdict import Kind, Verdict, fails
from crosscheck.network.composed import Composed, Derivatives
from crosscheck.network.steps import step
from crosscheck.numbers.library import Library
from crosscheck.operators.operator import Line
from crosscheck.operators.registry import operator_of
from crosscheck.program.graph import Graph
from crosscheck.run.panel import judged
from crosscheck.studies.models import MODELS
from crosscheck.studies.simulated import StepFault, simulated
from crosscheck.studies.training import STEPS, train_model
from crosscheck.tools.errors import UsageError

RIGHT = (Kind.AGREES, Kind.KINK)
SMALL = (
    *((name, "float32") for name in MODELS),
    *(("recurrence", "float64"), ("residual", "bfloat16"), ("recurrence", "float16")),
)


@cache
def small(name: str, dtype: str = "float32") -> Composed:
    """A few images, a few steps."""
    return train_model(name, dtype=dtype, rows=4, steps=3).case


def verdict_on(case: Composed, recorded: Recorded) -> Verdict:
    answer = Answer(recorded.given, names=("simulated", "", "eager"), recorded=recorded)
    return judge(case, by_steps=True).another(answer)


# -- what is trained ---------------------------------------------------------------------------


def test_the_command_offers_every_model() -> None:
    (option,) = [each for each in digits.params if each.name == "model"]
    assert list(getattr(option.type, "choices", ())) == ["mlp", *MODELS]
    assert list(STEPS) == list(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_learns(name: str) -> None:
    assert train_model(name, rows=32, steps=12).accuracy > train_model(name, steps=0).accuracy + 0.1


@pytest.mark.parametrize("name", MODELS)
def test_the_case_is_the_first_images_with_the_numbers_of_its_dtype(name: str) -> None:
    from sklearn.datasets import load_digits

    case, data = small(name, "bfloat16"), load_digits()
    assert case.dtype == "bfloat16"
    assert np.array_equal(case.inputs["y"], np.eye(10)[data.target[:4]])
    pixels = [array for key, array in case.inputs.items() if key != "y"]
    axis = 1 if len(pixels) > 1 else 0
    seen = np.stack(pixels, axis=axis).reshape(4, 64)
    assert np.array_equal(seen, data.data[:4] / 16)


def test_one_seed_is_one_model() -> None:
    keys = [train_model("recurrence", rows=4, steps=3, seed=seed).case.key for seed in (0, 0, 1)]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "cnnn"}, "model='cnnn': wanted one of cnn, residual, transformer, recurrence"),
        ({"name": "cnn", "steps": -1}, "steps=-1: wanted a whole number, 0 or more"),
        ({"name": "cnn", "rows": 1}, "rows=1: wanted a whole number, 2 or more"),
        ({"name": "cnn", "rows": 9999}, "rows=9999: wanted 1797 or less"),
        ({"name": "cnn", "seed": True}, "seed=True: wanted a whole number"),
        ({"name": "cnn", "dtype": "int8"}, "dtype='int8'"),
    ],
)
def test_what_cannot_be_trained_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        train_model(**arguments)


# -- every step certified ----------------------------------------------------------------------


@cache
def right(name: str, dtype: str = "float32") -> Verdict:
    """On a right gradient of it."""
    case = small(name, dtype)
    return verdict_on(case, simulated(case))


@pytest.mark.parametrize(("name", "dtype"), SMALL)
def test_a_right_gradient_is_certified_step_by_step(name: str, dtype: str) -> None:
    case, found = small(name, dtype), right(name, dtype)
    (said,) = found.certificates
    assert found.kind in RIGHT, found.detail
    assert (said.wrong, said.note, said.unbounded, said.records) == ("", "", 0, len(case.steps))
    assert (found.checked, found.unchecked) == (case.wanted, ())
    assert not fails(found)


@pytest.mark.parametrize("name", MODELS)
def test_every_decision_has_its_place_and_what_it_does(name: str) -> None:
    case, found = small(name), right(name)
    told = {Effect.READ, Effect.NONE}
    assert {gate.effect for gate in found.gates} <= told
    assert all((gate.slope is None) == (gate.effect is Effect.NONE) for gate in found.gates)
    nodes = case.program.nodes
    for gate in found.gates:
        shape = nodes[gate.place.node].shape
        assert all(at < size for at, size in zip(gate.place.index, shape, strict=True))
        assert case.steps[[each.id for each in case.steps].index(gate.step)].op == gate.operator
    assert (found.kind is Kind.KINK) == any(gate.slope is not None for gate in found.gates)


@pytest.mark.parametrize("weights", [(1.0, 0.0), (0.0, 1.0)])
def test_decisions_read_from_steps_are_those_read_from_the_gradient(weights: Any) -> None:
    case = pool([-1.0, -2.0, 3.0, 3.0, -4.0, -1.0], window=2, stride=2)
    recorded = simulated(case)
    if weights == (0.0, 1.0):
        swapped = StepFault("p", "x", lambda sent: sent.reshape(-1, 2)[:, ::-1].reshape(sent.shape))
        recorded = simulated(case, swapped)
    whole = judge(case).another(Answer(recorded.given, names=("simulated", "", "eager")))
    steps = verdict_on(case, recorded)
    assert steps.kind is whole.kind is Kind.KINK
    assert [replace(each, gate=GateClass.KINK) for each in steps.gates] == [
        replace(each, gate=GateClass.KINK) for each in whole.gates
    ]


def test_ties_behind_closed_gates_are_no_kink() -> None:
    case = pool([-1.0, -2.0, 3.0, 1.0, -4.0, -1.0], window=2, stride=2)
    found = verdict_on(case, simulated(case))
    assert found.kind is Kind.AGREES
    assert [(gate.gate, gate.effect) for gate in found.gates] == [(GateClass.KINK, Effect.NONE)] * 4


# -- what is wrong is named --------------------------------------------------------------------


PRODUCTS = ("conv2d", "dense", "attention")
"""Operators of matrix products: coarser arithmetics explain what is wrong by little, as REDUCED."""


def scaled(operator: str) -> Callable[[Any], Any]:
    return lambda array: array * (2.0 if operator in PRODUCTS else 1.0 + 2.0**-10)


FAULTS = [
    ("cnn", "c1", "W"), ("cnn", "n1", "weight"), ("cnn", "p1", "x"), ("cnn", "loss", "a"),
    ("residual", "s3", "b"), ("residual", "n5", "z"), ("residual", "p2", "x"),
    ("transformer", "at", "W"), ("transformer", "t1", "q"), ("transformer", "n1", "z"),
    ("recurrence", "h3", "z"), ("recurrence", "r4", "W"), ("recurrence", "u1", "b"),
]  # fmt: skip
"""A model, a step, and an operand: what is sent to it is wrong."""


@pytest.mark.parametrize(("name", "where", "operand"), FAULTS)
def test_what_is_wrong_in_what_a_step_sends_is_named(name: str, where: str, operand: str) -> None:
    case = small(name)
    (chosen,) = [each for each in case.steps if each.id == where]
    found = verdict_on(case, simulated(case, StepFault(where, operand, scaled(chosen.op))))
    assert found.kind in (Kind.INCONSISTENT, Kind.DISAGREES)
    assert f"step {where} ({chosen.op}): what it sent to {operand} is " in found.detail


@pytest.mark.parametrize("use", ["r2", "r8"])
def test_a_use_of_a_tied_weight_that_is_left_out_of_its_sum_is_named(use: str) -> None:
    case = small("recurrence")
    own = simulated(case)
    assert isinstance(own.given, Derivatives)
    (record,) = [each for each in own.records if each.step.id == use]
    arrays = {**own.given.arrays, "W": own.given.arrays["W"] - record.sent["W"]}
    found = verdict_on(case, Recorded(replace(own.given, arrays=arrays), own.records))
    assert found.kind in (Kind.INCONSISTENT, Kind.DISAGREES)
    assert "W: the sum of the cotangents of its uses is " in found.detail


@pytest.mark.parametrize("name", MODELS)
def test_right_steps_do_not_excuse_another_gradient(name: str) -> None:
    case = small(name)
    own = simulated(case)
    doubled = own.given.map_derivatives(lambda array: 2.0 * array)
    found = verdict_on(case, Recorded(doubled, own.records))
    assert found.kind in (Kind.INCONSISTENT, Kind.DISAGREES)


def test_what_a_function_that_is_far_off_explains_in_a_step_is_named_library(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Library, "measured", lambda *_: 2.0**12)
    rng = np.random.default_rng(2)
    arrays = {name: rng.standard_normal(shape) for name, shape in NORMED.items()}
    steps = [
        step("n1", "layer_norm", "z", "weight", "bias"),
        step("n2", "layer_norm", "n1", "weight", "bias"),
        step("loss", "squared_error", "n2", "y"),
    ]
    case = Composed.of(steps, arrays, {"y": rng.standard_normal(NORMED["z"])}, dtype="float32")
    found = verdict_on(case, simulated(case, StepFault("n2", "z", lambda sent: sent * OFF)))
    assert found.kind is Kind.LIBRARY
    assert "rsqrt was measured to err by up to 4096 roundings of float32" in found.detail
    found = verdict_on(case, simulated(case, StepFault("n2", "z", lambda sent: sent * 2.0)))
    assert found.kind in (Kind.INCONSISTENT, Kind.DISAGREES)


NORMED = {"z": (4, 8), "weight": (8,), "bias": (8,)}
OFF = 1.0 + 2.0**-14
"""More than 16 roundings of float32, and fewer than 4096."""


@pytest.mark.parametrize("name", MODELS)
def test_the_reference_of_a_deep_network_decides_as_float64_does(name: str) -> None:
    case = small(name)
    reference = judge(case, by_steps=True).reference()
    own = simulated(replace(case, dtype="float64")).given
    assert isinstance(reference, Derivatives)
    assert isinstance(own, Derivatives)
    for array, given in own.entries():
        assert np.allclose(dict(reference.entries())[array], given), array


def test_a_case_goes_to_another_process_and_is_the_same_there() -> None:
    case = small("recurrence")
    assert case.steps[0].operands  # a view that was made is left behind
    assert pickle.loads(pickle.dumps(case)).key == case.key


def test_without_steps_a_deep_network_is_not_checked() -> None:
    case = small("transformer")
    answer = Answer(simulated(case).given, note="its steps were discarded")
    found = judge(case, by_steps=True).another(answer)
    assert found.kind is Kind.UNDECIDED
    assert set(found.unchecked) == set(case.wanted)


# -- frameworks --------------------------------------------------------------------------------

NORM = "({0} * torch.rsqrt(({0} * {0}).mean({1}, keepdim=True) + eps))"


def normed(axes: str, rank: int, mean: str = "z.mean({}, keepdim=True)") -> str:
    """A norm in PyTorch whose mean is written in some way."""
    row = "weight" + ".unsqueeze(-2)" * (rank - 1), "bias" + ".unsqueeze(-2)" * (rank - 1)
    return f"{NORM.format(f'(z - {mean.format(axes)})', axes)} * {row[0]} + {row[1]}"


DETACHED = "z.mean({}, keepdim=True).detach()"

PLANTED: list[tuple[str, str, str, str]] = [
    ("cnn", "batch_norm", normed("(-4, -3, -2)", 4, DETACHED), "step n2 (batch_norm): what"),
    ("cnn", "conv2d", "F.conv2d(x.movedim(-1, 1), W.movedim(-1, 1).flip(-1), padding=1)"
     ".movedim(1, -1)", "step c1 (conv2d): its value"),
    ("cnn", "cross_entropy", "(-y * F.log_softmax(a, -1)).mean()", "step loss (cross_entropy):"),
    ("residual", "add", "a + b.detach()", "step s5 (add): what it sent to b"),
    ("residual", "avg_pool2d", "F.max_pool2d(x.movedim(-1, 1), 2).movedim(1, -1)",
     "step p2 (avg_pool2d): its value"),
    ("transformer", "layer_norm", normed("-1", 2, DETACHED), "step n4 (layer_norm): what"),
    ("transformer", "attention", "(lambda e: e / e.sum(-1, keepdim=True).detach())"
     "(torch.exp(q @ k.transpose(-2, -1) * 0.25)) @ v", "step t2 (attention): what it sent to q"),
    ("transformer", "attention", "torch.softmax(q @ k.transpose(-2, -1), -1) @ v",
     "step t1 (attention): its value"),
    ("transformer", "relu", "F.gelu(z)", "step a1 (relu): its value"),
    ("recurrence", "relu", "F.leaky_relu(z, 0.01)", "step h1 (relu): its value"),
]  # fmt: skip
"""A model, an operator, a wrong line for it in PyTorch, and how the accusation begins."""


def planted(wrong: Mapping[str, Line]) -> TorchFramework:
    """PyTorch, with wrong lines for some operators."""

    class Planted(TorchFramework):
        @property
        def sources(self) -> dict[str, Line]:
            return {**super().sources, **wrong}

    return Planted()


@pytest.mark.parametrize(
    ("name", "operator", "line", "accusation"),
    PLANTED,
    ids=[f"{number} {name} {operator}" for number, (name, operator, *_) in enumerate(PLANTED)],
)
def test_a_wrong_operator_is_named_in_its_model(
    name: str, operator: str, line: str, accusation: str
) -> None:
    found = judged([planted({operator: line})], small(name), fails, BY_STEPS)
    (verdict,) = found.verdicts[0]
    assert verdict.kind in (Kind.INCONSISTENT, Kind.DISAGREES)
    assert accusation in verdict.detail


@pytest.mark.parametrize("formulation", operator_of("batch_norm").lines["torch"])
def test_batch_norm_over_positions_is_certified_in_every_formulation(formulation: str) -> None:
    line = operator_of("batch_norm").lines["torch"][formulation]
    (verdict,) = judged([planted({"batch_norm": line})], small("cnn"), fails, BY_STEPS).verdicts[0]
    assert verdict.kind in RIGHT, verdict.detail


@pytest.mark.parametrize("mask", ["none", "causal", "1 0 / 1 1 0"])
@pytest.mark.parametrize("formulation", operator_of("attention").lines["torch"])
def test_attention_of_several_sequences_is_certified(formulation: str, mask: str) -> None:
    rng = np.random.default_rng(5)
    steps = [
        *(step(f"{each}_", "reshape", each, shape="2 3 4") for each in "qkv"),
        step("t", "attention", "q_", "k_", "v_", mask=mask),
        step("flat", "reshape", "t", shape="6 4"),
        step("loss", "squared_error", "flat", "y"),
    ]
    arrays = {each: rng.standard_normal((6, 4)) for each in "qkvy"}
    targets = {"y": arrays.pop("y")}
    case = Composed.of(steps, arrays, targets, dtype="float32")
    line = operator_of("attention").lines["torch"][formulation]
    (verdict,) = judged([planted({"attention": line})], case, fails, BY_STEPS).verdicts[0]
    assert verdict.kind is Kind.AGREES, verdict.detail
    assert verdict.certificates[0].wrong == verdict.certificates[0].note == ""


@pytest.mark.parametrize(
    ("shape", "message"),
    [("2 5", "reshape: shape .2, 6. to .2, 5., wanted as many numbers"), ("0 12", "from 1 on")],
)
def test_a_reshape_that_does_not_fit_is_refused(shape: str, message: str) -> None:
    x = Graph().leaf("x", (2, 6))
    with pytest.raises(UsageError, match=message):
        operator_of("reshape").expand(x, shape)


@pytest.mark.parametrize("name", MODELS)
def test_pytorch_is_certified(name: str) -> None:
    found = judged([TorchFramework()], small(name), fails, BY_STEPS)
    (verdict,) = found.verdicts[0]
    assert verdict.kind in RIGHT, verdict.detail
    assert verdict.unchecked == ()
    assert not any(each.note for each in verdict.certificates)


@pytest.mark.parametrize("name", MODELS)
def test_a_trained_model_is_certified_in_every_framework(name: str) -> None:
    frameworks, _ = open_frameworks(by_steps=True)
    trained = train_model(name)
    assert trained.accuracy > 0.95
    (verdicts,) = judged(frameworks, trained.case, fails, BY_STEPS).verdicts
    for verdict in verdicts:
        (said,) = verdict.certificates
        assert verdict.kind in RIGHT, verdict.detail
        assert (verdict.unchecked, said.note, said.unbounded) == ((), "", 0)
        assert {gate.effect for gate in verdict.gates} <= {Effect.READ, Effect.NONE}


def test_a_mode_that_shows_steps_is_the_default_where_steps_decide() -> None:
    (plain,), _ = open_frameworks(["jax"])
    (shown,), _ = open_frameworks(["jax"], by_steps=True)
    assert (plain.mode, shown.mode) == ("jit", "eager")
    for other in (TorchFramework, TensorFlowFramework):  # whose own default is one
        assert next(iter(other.modes)) in other.watched_modes
