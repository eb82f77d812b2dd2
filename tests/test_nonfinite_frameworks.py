"""The frameworks on cases that are not finite: one policy explains each gradient."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from processors import tensorflow_cuts
from unbounded import stack_of_cases

from crosscheck.frameworks.jax_ import JaxFramework
from crosscheck.frameworks.tensorflow_ import TensorFlowFramework
from crosscheck.frameworks.torch_ import TorchFramework
from crosscheck.judge.compare import Judge
from crosscheck.judge.verdict import Kind
from crosscheck.network.dense import Case
from crosscheck.report.policies import choice

COUNT = 16
ADAPTERS: dict[str, Any] = {
    "torch": TorchFramework,
    "tensorflow": TensorFlowFramework,
    "jax": JaxFramework,
}
SETTINGS: dict[str, Any] = {"output": "identity", "reduction": "mean"}

WANTED = {
    ("torch", "eager", "relu"): ("NaN", "0", "1 or NaN or 1/2", "select"),
    ("torch", "eager", "clamp"): ("NaN", "0", "0", "select"),
    ("torch", "eager", "mask"): ("NaN", "NaN", "not seen", "product"),
    ("torch", "eager", "where"): ("0", "0", "0", "select"),
    ("torch", "forward", "relu"): ("NaN", "0", "not seen", "select"),
    ("tensorflow", "eager", "relu"): ("NaN", "0", "not seen", "product"),
    ("tensorflow", "eager", "maximum"): ("NaN", "0", "0", "select"),
    ("tensorflow", "eager", "max_pool"): ("0", "0", "1", "select"),
    ("tensorflow", "graph", "max_pool"): ("0", "0", "0", "select"),
    ("jax", "jit", "relu"): ("NaN", "0", "0", "select"),
    ("jax", "jit", "maximum"): ("NaN", "0", "not seen", "product"),
    ("jax", "jit", "mask"): ("0", "0", "0", "select"),
}
"""What was measured; of the others only that one policy explains each gradient."""


@cache
def judges(seed: int, dtype: str) -> tuple[Case, list[Judge]]:
    stack = stack_of_cases(seed, COUNT, dtype, **SETTINGS)
    return stack, [Judge(stack[index]) for index in range(COUNT)]


def adapter(name: str, mode: str, formulation: str) -> Any:
    try:
        return ADAPTERS[name](mode=mode, formulation=formulation)
    except ModuleNotFoundError as error:
        if error.name != ADAPTERS[name].module:
            raise
        pytest.skip(f"{name} is not installed, so its adapter is not tested")


def answers(name: str, mode: str, formulation: str, dtype: str = "float32") -> tuple[str, ...]:
    framework = adapter(name, mode, formulation)
    stack, each = judges(8, dtype)
    given = framework.gradients(stack)
    told: dict[str, dict[tuple[str, ...], int]] = {}
    kinds = set()
    for index, judge in enumerate(each):
        verdict = judge.verdict(given[index], framework=name, derivation=framework.derivation)
        assert verdict.kind is not Kind.DISAGREES, (index, verdict.detail, verdict.worst)
        kinds.add(verdict.kind)
        for policy in verdict.policies:
            told.setdefault(policy.question, {})[policy.answers] = 1
    assert Kind.NONFINITE in kinds
    questions = ("value at NaN", "value at -inf", "slope at NaN", "closed gate")
    return tuple(choice(question, told.get(question, {})) for question in questions)


@pytest.mark.parametrize("formulation", TorchFramework.formulations)
def test_pytorch(formulation: str) -> None:
    found = answers("torch", "eager", formulation)
    assert found == WANTED.get(("torch", "eager", formulation), found)
    assert not any("several" in answer for answer in found)


@pytest.mark.parametrize("formulation", TensorFlowFramework.formulations)
def test_tensorflow(formulation: str) -> None:
    found = answers("tensorflow", "eager", formulation)
    assert found == WANTED.get(("tensorflow", "eager", formulation), found)
    assert not any("several" in answer for answer in found)


@pytest.mark.parametrize(
    ("name", "mode", "formulation"),
    [
        ("torch", "forward", "relu"),
        ("tensorflow", "graph", "max_pool"),
        ("jax", "jit", "relu"),
        ("jax", "jit", "maximum"),
        ("jax", "jit", "mask"),
    ],
)
def test_other_modes(name: str, mode: str, formulation: str) -> None:
    wanted = WANTED[name, mode, formulation]
    if formulation == "max_pool" and tensorflow_cuts():  # another kernel, on AVX2
        wanted = (*wanted[:2], "1", wanted[3])
    assert answers(name, mode, formulation) == wanted


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
def test_other_dtypes(dtype: str) -> None:
    assert answers("torch", "eager", "relu", dtype)[::3] == ("NaN", "select")


@pytest.mark.parametrize("name", ADAPTERS)
def test_nan_to_num_on_a_framework_s_gradient_disagrees(name: str) -> None:
    framework = adapter(name, "jit" if name == "jax" else "eager", "relu")
    stack, each = judges(8, "float32")
    given, caught, odd = framework.gradients(stack), 0, 0
    for index, judge in enumerate(each):
        one = given[index]
        if all(np.isfinite(value).all() for _, value in one.entries()):
            continue
        odd += 1
        one = type(one)(
            np.nan_to_num(one.loss),
            tuple(map(np.nan_to_num, one.weights)),
            tuple(map(np.nan_to_num, one.biases)),
            np.nan_to_num(one.x),
        )
        caught += judge.verdict(one, framework=name).kind is Kind.DISAGREES
    assert caught == odd >= 12
