"""Functions of one's own are judged by proof: right ones pass, wrong ones are shown and shrunk."""

from __future__ import annotations

import re
import traceback
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faulty import FAULTS, Faulty, at_kinks, correct, not_strict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_docs import drawn

from crosscheck.cases.strategies import boundary_cases, seeded_stacks, smooth_cases
from crosscheck.frameworks import registry
from crosscheck.judge.door import judge
from crosscheck.judge.verdict import Kind
from crosscheck.network.dense import Case, Gradients, Network, worked_example
from crosscheck.run.checking import EXAMPLES, compare_implementations, require_agreement
from crosscheck.run.comparison import DisagreementError, raise_failure
from crosscheck.run.failure import case_as_python
from crosscheck.tools.errors import UsageError

SHAPES = [((1, 1, 1), 1), ((2, 3, 1), 2)]
FEW: dict[str, Any] = {"shapes": SHAPES, "cases": 8}


@pytest.fixture(autouse=True)
def _own_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def by_hand(weights: Any, biases: Any, x: Any, y: Any) -> Any:
    """Two layers with ReLU, whatever library the arrays are of."""
    (w1, w2), (b1, b2) = weights, biases
    z1 = x @ w1.T + b1
    a1 = z1 * (z1 > 0)
    z2 = a1 @ w2.T + b2
    d = z2 * (z2 > 0) - y
    g2 = d * (z2 > 0)
    g1 = (g2 @ w2) * (z1 > 0)
    return [g1.T @ x, g2.T @ a1], [g1.sum(0), g2.sum(0)], g1 @ w1, 0.5 * (d * d).sum()


def as_gradients(*arrays: Any) -> Gradients:
    weights, biases, x, loss = by_hand(*arrays)
    return Gradients(loss, tuple(weights), tuple(biases), x)


def of_a_case(case: Case) -> Any:
    weights, biases, x, y = (
        [w.astype(case.dtype) for w in case.weights],
        [np.zeros(len(w), case.dtype) if b is None else b.astype(case.dtype)
         for w, b in zip(case.weights, case.biases, strict=True)],
        case.x.astype(case.dtype),
        case.y.astype(case.dtype),
    )  # fmt: skip
    return by_hand(weights, biases, x, y)


FORMS: dict[str, Callable[..., Any]] = {
    "gradients": as_gradients,
    "four": by_hand,
    "three": lambda *arrays: by_hand(*arrays)[:3],
    "two": lambda *arrays: by_hand(*arrays)[:2],
    "dict": lambda *arrays: {"biases": by_hand(*arrays)[1], "x": by_hand(*arrays)[2]},
    "none": lambda *arrays: (by_hand(*arrays)[0], None, None),
    "one-layer": lambda *arrays: {"weights": [None, by_hand(*arrays)[0][1]]},
}


def torch_loss(weights: Any, biases: Any, x: Any, y: Any) -> Any:
    import torch

    for w, b in zip(weights, biases, strict=True):
        x = torch.relu(x @ w.T + b)
    return 0.5 * ((x - y) ** 2).sum()


def tensorflow_loss(weights: Any, biases: Any, x: Any, y: Any) -> Any:
    import tensorflow as tf

    for w, b in zip(weights, biases, strict=True):
        x = tf.nn.relu(tf.matmul(x, w, transpose_b=True) + b)
    return 0.5 * tf.reduce_sum((x - y) ** 2)


def jax_loss(weights: Any, biases: Any, x: Any, y: Any) -> Any:
    import jax

    for w, b in zip(weights, biases, strict=True):
        x = jax.nn.relu(x @ w.T + b)
    return 0.5 * ((x - y) ** 2).sum()


def torch_fault(weights: Any, biases: Any, x: Any, y: Any) -> Any:
    return torch_loss(weights, [b.detach() for b in biases], x, y)


def tensorflow_fault(weights: Any, biases: Any, x: Any, y: Any) -> Any:
    import tensorflow as tf

    return tensorflow_loss(weights, [tf.stop_gradient(b) for b in biases], x, y)


def jax_fault(weights: Any, biases: Any, x: Any, y: Any) -> Any:
    import jax

    return jax_loss(weights, [jax.lax.stop_gradient(b) for b in biases], x, y)


LOSSES = {
    "torch": (torch_loss, torch_fault),
    "tensorflow": (tensorflow_loss, tensorflow_fault),
    "jax": (jax_loss, jax_fault),
}


# What passes


@pytest.mark.parametrize("role", ["reference", "numpy"])
@pytest.mark.parametrize("form", FORMS)
def test_a_gradient_written_by_hand_passes_in_every_form(form: str, role: str) -> None:
    functions: dict[str, Any] = {role: FORMS[form]}
    (counts,) = require_agreement(**FEW, **functions).kinds.values()
    assert counts[Kind.AGREES] >= 4
    at_its_kink = worked_example(b2=-6.0)  # of the last layer, which every form has a gradient of
    (counts,) = require_agreement(cases=at_its_kink, **functions).kinds.values()
    assert counts[Kind.KINK] == 1


@pytest.mark.parametrize("role", LOSSES)
def test_a_loss_is_differentiated_by_its_library(role: str) -> None:
    functions: dict[str, Any] = {role: LOSSES[role][0]}
    comparison = require_agreement(**FEW, **functions)
    (state,) = comparison.states
    assert state.name == f"{role} {role}_loss"
    assert "grad" in state.mode.lower()
    assert state.versions


@pytest.mark.parametrize("role", ["torch", "jax"])
def test_gradients_in_tensors_are_taken_as_they_are(role: str) -> None:
    functions: dict[str, Any] = {role: by_hand}
    (state,) = require_agreement(**FEW, **functions).states
    assert state.mode == "its own gradient"


def test_other_conventions_at_a_kink_pass_and_are_told_apart() -> None:
    def clamp(weights: Any, biases: Any, x: Any, y: Any) -> Any:
        for w, b in zip(weights, biases, strict=True):
            x = (x @ w.T + b).clamp(min=0)
        return 0.5 * ((x - y) ** 2).sum()

    comparison = require_agreement(numpy=by_hand, torch=clamp, cases=worked_example(x=0.0))
    assert comparison.boundary == {
        ("numpy by_hand (its own gradient)", "kink", "0"): 1,
        ("torch clamp (torch.autograd.grad)", "kink", "1"): 1,
    }


# What fails


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_gradient_written_by_hand_is_caught(fault: str) -> None:
    with pytest.raises(DisagreementError) as caught:
        require_agreement(reference=Faulty(FAULTS[fault]).gradients, cases=40)
    message = str(caught.value)
    assert "reference gradients (its own gradient): DISAGREES" in message
    assert "worst entry" in message
    assert re.search(r"; (off by \S+ bounds, \S+ ulp|no error is allowed)$", message, re.MULTILINE)


@pytest.mark.parametrize("function", [correct, not_strict])
def test_the_same_without_a_fault_passes(function: Any) -> None:
    assert require_agreement(reference=Faulty(function).gradients, cases=40).passed


@pytest.mark.parametrize("role", LOSSES)
def test_a_fault_in_one_library_is_caught_beside_correct_ones(role: str) -> None:
    functions: dict[str, Any] = {role: LOSSES[role][1]}
    comparison = compare_implementations(numpy=by_hand, cases=worked_example(), **functions)
    assert comparison.failure is not None
    kinds = {v.framework: v.kind for v in comparison.failure.event.verdicts}
    assert kinds == {"numpy by_hand": Kind.AGREES, f"{role} {role}_fault": Kind.DISAGREES}
    with pytest.raises(DisagreementError):
        raise_failure(comparison)


def test_the_case_of_a_failure_is_small_and_fails_again_when_it_is_pasted() -> None:
    def off(*arrays: Any) -> Any:
        weights, biases, *_ = by_hand(*arrays)
        return [weights[0], weights[1] * (1 + 2.0**-20)], biases

    with pytest.raises(DisagreementError) as caught:
        require_agreement(numpy=off, shapes=[((4, 8, 1), 3)], cases=20, dtypes=["float64"])
    message = str(caught.value)
    assert "first to leave its bound, from the top: layer 2" in message
    assert "gates: 2 active" in message
    names: dict[str, Any] = {}
    exec(message[message.index("from crosscheck import Case") :], names)
    assert names["case"].network.widths == (1, 1, 1)
    assert not compare_implementations(numpy=off, cases=names["case"]).passed
    assert compare_implementations(numpy=by_hand, cases=names["case"]).passed


def test_a_given_case_with_a_kink_is_shrunk_to_one_with_a_kink() -> None:
    # Wrong at kinks alone: rows and units that are not needed for that go.
    case = Case.of(
        [[[1.0, 2.0], [3.0, 1.0], [2.0, 2.0]], [[2.0, 1.0, 3.0]]],
        [[-3.0, 1.0, 1.0], [1.0]],
        [[1.0, 1.0], [2.0, 3.0], [3.0, 1.0]],
        [[1.0], [2.0], [3.0]],
    )
    comparison = compare_implementations(numpy=at_kinks(2.0), cases=case)
    failure = comparison.failure
    assert failure is not None
    assert failure.note == "smallest failing form of case"
    assert failure.event.case.rows == 1
    assert max(failure.event.case.widths) < 3
    (verdict,) = failure.event.verdicts
    assert verdict.detail == (
        "no slopes in [0, 1] at its open gates explain the gradient; "
        "db1 is not W2ᵀ db2 behind the gates of z1: b1[1] is 2.0, wanted 0.5 within 0.5"
    )
    assert judge(failure.event.case).has_open_decisions()
    assert compare_implementations(numpy=at_kinks(0.5), cases=case).passed


def test_a_given_smooth_case_is_shrunk_to_a_smooth_one() -> None:
    def doubled(*arrays: Any) -> Any:
        weights, biases, *_ = by_hand(*arrays)
        return [2 * weights[0], 2 * weights[1]], [2 * bias for bias in biases]

    case = Case.of(
        [[[1.0, 2.0], [3.0, 1.0]], [[2.0, 1.0]]], [[1.0, 1.0], [1.0]], [[1.0, 1.0]], [[1.0]]
    )
    failure = compare_implementations(numpy=doubled, cases=case).failure
    assert failure is not None
    assert failure.event.case.widths == (1, 1, 1)
    assert not judge(failure.event.case).has_open_decisions()


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_so_many_cases_are_generated_as_were_asked_for(count: int) -> None:
    comparison = compare_implementations(numpy=by_hand, shapes=SHAPES, cases=count)
    (kinds,) = comparison.kinds.values()
    assert sum(kinds.values()) == count


def test_a_wrong_shape_is_named_with_the_shape_that_was_wanted() -> None:
    def transposed(*arrays: Any) -> Any:
        weights, biases, *_ = by_hand(*arrays)
        return [weights[0].T, weights[1]], biases

    case = Case.of([np.ones((3, 2)), np.ones((1, 3))], [[1, 2, 3], [4]], [[1, 2]], [[3]])
    comparison = compare_implementations(numpy=transposed, cases=case)
    assert "CRASHED. W1: float64 array of shape" in comparison.message
    assert "wanted" in comparison.message


def test_a_function_that_raises_is_the_cause_with_its_own_traceback() -> None:
    def breaks(weights: Any, biases: Any, x: Any, y: Any) -> Any:
        raise ValueError("not today")

    with pytest.raises(
        DisagreementError, match=r"torch breaks: CRASHED. ValueError: not"
    ) as caught:
        require_agreement(torch=breaks, **FEW)
    cause = caught.value.__cause__
    assert isinstance(cause, ValueError)
    frames = [frame.name for frame in traceback.extract_tb(cause.__traceback__)]
    assert frames[0] == "breaks"


def test_a_crash_is_not_shrunk_into_another_crash() -> None:
    def breaks(weights: Any, biases: Any, x: Any, y: Any) -> Any:
        if len(x) < 2:
            raise KeyError("too small")
        raise ValueError("as it was")

    comparison = compare_implementations(
        numpy=breaks, cases=Case.of([[[1.0]]], [[1.0]], [[1], [2], [3]], [[1], [2], [3]])
    )
    assert comparison.failure is not None
    assert isinstance(comparison.failure.error, ValueError)


def test_a_parameter_that_the_loss_ignores_has_the_derivative_zero() -> None:
    def without_bias(weights: Any, biases: Any, x: Any, y: Any) -> Any:
        return torch_loss(weights, [0.0, 1.0], x, y)

    comparison = compare_implementations(torch=without_bias, cases=worked_example())
    assert "worst entry b" in comparison.message
    assert "given 0.0" in comparison.message


def test_a_loss_in_another_dtype_is_no_result_in_the_asked_one() -> None:
    comparison = compare_implementations(
        torch=lambda *arrays: torch_loss(*arrays).double(), cases=worked_example(dtype="float32")
    )
    assert "torch lambda, loss: torch returned float64" in comparison.message


# How it is used


MISUSES: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "no implementation given"),
    "arguments": ({"numpy": lambda a, b, c: None}, r"numpy=lambda\(a, b, c\): wanted f\(weights"),
    "no-function": ({"numpy": 3}, "numpy=3: wanted f"),
    "loss-in-numpy": ({"numpy": lambda *a: 1.0}, "NumPy does not differentiate"),
    "float": ({"torch": lambda *a: 1.0}, "torch lambda: float returned; wanted one number"),
    "vector": ({"torch": lambda w, b, x, y: x}, r"Tensor of shape \(1, 1\) returned"),
    "loss-of-case": ({"torch": lambda case: 1.0}, "take \\(weights, biases, x, y\\)"),
    "key": ({"numpy": lambda *a: {"w": 1}}, "'w' among what it returned"),
    "one-tuple": ({"numpy": lambda *a: (1,)}, "a tuple of 1 returned"),
    "layers": ({"numpy": lambda *a: ([1.0], None)}, "weights: 1 arrays returned, wanted"),
    "empty": ({"numpy": lambda *a: {}}, "no gradient returned"),
    "words": ({"numpy": lambda *a: {"x": "much"}}, "wanted real numbers"),
    "no-cases": ({"numpy": by_hand, "cases": []}, "cases: none given"),
    "zero": ({"numpy": by_hand, "cases": 0}, "cases=0: wanted at least one"),
    "cases": ({"numpy": by_hand, "cases": 1.5}, "cases=1.5"),
    "no-case": ({"numpy": by_hand, "cases": [1]}, r"cases\[0\]: int"),
    "output": (
        {"numpy": by_hand, "cases": worked_example(), "output": "identity"},
        "output='identity', and a case is given whose output is 'relu'",
    ),
    "dtype": ({"numpy": by_hand, "dtypes": ["float8"]}, "dtype='float8'"),
    "profile": ({"numpy": by_hand, "profile": "slow"}, "profile='slow'"),
    "uncompared": (
        {"numpy": by_hand, "cases": worked_example(dtype="bfloat16")},
        r"numpy by_hand was not compared on any case \(UNSUPPORTED 1\): bfloat16 is not",
    ),
    "not-there": (
        {
            "numpy": lambda *a: {"biases": [None, 1.0]},
            "cases": Case.of([[[1]], [[1]]], None, [[1]], [[1]]),
        },
        "returns nothing that this case has",
    ),
    "allow": (
        {"numpy": by_hand, "allow": ("tf32", "half")},
        "allow: 'half' is no arithmetic that can be allowed; wanted some of tf32",
    ),
    "a string to allow": ({"numpy": by_hand, "allow": "half"}, "allow: 'half' is no arithmetic"),
    "absent": ({"numpy": by_hand, "absent": "ignore"}, "absent='ignore': wanted 'fail' or 'skip'"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISUSES)
def test_misuse_is_one_clear_line_and_no_disagreement(name: str) -> None:
    arguments, message = MISUSES[name]
    with pytest.raises(UsageError, match=message) as caught:
        require_agreement(**arguments)
    assert "\n" not in str(caught.value)


def test_an_absent_library_fails_unless_it_was_to_be_skipped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "_is_absent", lambda module: module == "torch")
    with pytest.raises(UsageError, match=r"torch: not installed here; pip install 'torch>="):
        require_agreement(torch=torch_loss, numpy=by_hand, **FEW)
    with pytest.raises(unittest.SkipTest, match=r"^torch: not installed here$"):
        require_agreement(torch=torch_loss, numpy=by_hand, absent="skip", **FEW)


def test_functions_of_arrays_get_cases_that_arrays_can_tell() -> None:
    seen: list[Case] = []

    def keep(case: Case) -> Any:
        seen.append(case)
        return Faulty(correct).gradients(case)

    require_agreement(reference=keep, numpy=by_hand, shapes=SHAPES, cases=20)
    assert {case.network for case in seen} == {Network((1, 1, 1)), Network((2, 3, 1))}
    assert not [case for case in seen if any(bias is None for bias in case.biases)]
    seen.clear()
    require_agreement(reference=keep, shapes=SHAPES, cases=40)
    assert {case.network.output for case in seen} == {"relu", "identity"}
    assert {case.network.reduction for case in seen} == {"sum", "mean"}
    seen.clear()
    require_agreement(reference=keep, output="identity", reduction="mean", cases=10)
    assert {(c.network.output, c.network.reduction) for c in seen} == {("identity", "mean")}


def test_a_bias_that_is_not_there_is_zero_for_a_function_of_arrays_only() -> None:
    seen: list[Case] = []

    def keep(case: Case) -> Any:
        seen.append(case)
        return Faulty(correct).gradients(case)

    bare = Case.of([[[1.0]], [[2.0]]], None, [[1.0]], [[1.0]])
    require_agreement(reference=keep, cases=st.just(bare))
    assert list(seen[0].biases) == [None, None]
    seen.clear()
    require_agreement(reference=keep, numpy=by_hand, cases=st.just(bare))
    assert [np.array_equal(bias, [0.0]) for bias in seen[0].biases if bias is not None] == [
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("cases", "count"),
    [
        pytest.param(worked_example(), 1, id="case"),
        pytest.param([worked_example(), worked_example(x=0.0)], 2, id="list"),
        pytest.param(drawn(seeded_stacks(count=5, shapes=SHAPES[:1]), 1), 5, id="stack"),
        pytest.param(7, 7, id="number"),
        pytest.param(smooth_cases(shapes=SHAPES), EXAMPLES["quick"], id="strategy"),
        pytest.param(None, EXAMPLES["quick"] + 1, id="default"),
    ],
)
def test_as_many_cases_are_checked_as_were_asked_for(cases: Any, count: int) -> None:
    comparison = require_agreement(
        reference=Faulty(correct).gradients, cases=cases, profile="quick"
    )
    assert sum(sum(counts.values()) for counts in comparison.kinds.values()) == count
    assert len(comparison.keys) <= count


def test_a_failing_stack_of_a_strategy_comes_back_as_one_case() -> None:
    fault = Faulty(FAULTS["scaled_gradient"]).gradients
    comparison = compare_implementations(
        reference=fault, cases=seeded_stacks(count=5, shapes=SHAPES)
    )
    assert comparison.failure is not None
    assert comparison.failure.event.case.count is None


def test_the_seed_decides_which_cases_are_generated() -> None:
    def keys(seed: int) -> frozenset[str]:
        return require_agreement(numpy=by_hand, seed=seed, **FEW).keys

    assert keys(3) == keys(3)
    assert keys(3) != keys(4)


def test_inside_somebody_elses_search_nothing_is_shrunk() -> None:
    case = worked_example(x=0.5, dtype="float32")
    found: list[str] = []

    @settings(max_examples=1, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(boundary_cases(shapes=SHAPES))
    def search(_: Case) -> None:
        comparison = compare_implementations(
            reference=Faulty(FAULTS["doubled_loss"]).gradients, cases=case
        )
        assert comparison.failure is not None
        found.append(comparison.failure.event.case.key)

    search()
    assert set(found) == {case.key}


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("seed", range(4))
def test_a_case_as_python_is_the_same_case_bit_for_bit(dtype: str, seed: int) -> None:
    for case in (
        drawn(boundary_cases(dtype=dtype), seed),
        drawn(seeded_stacks(count=1, dtype=dtype), seed)[0],
        worked_example(x=-0.0, y=np.inf, w1=np.nan, dtype=dtype),
    ):
        names: dict[str, Any] = {}
        exec(case_as_python(case), names)
        assert names["case"].key == case.key
