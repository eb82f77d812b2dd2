"""Forward mode of networks of operators in the three frameworks, and what they have no rule for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from test_forward_operators import some_case

from crosscheck.cases.composed import plans, seeded_composed
from crosscheck.frameworks.registry import open_frameworks
from crosscheck.judge.door import Answer, judge
from crosscheck.judge.verdict import FAILING, Kind
from crosscheck.network.composed import Composed
from crosscheck.network.steps import step
from crosscheck.operators import registry, relu
from crosscheck.tools.errors import UnsupportedError

FRAMEWORKS = ("torch", "tensorflow", "jax")


def opened(name: str, mode: str = "forward") -> Any:
    return open_frameworks([name], {}, {name: mode})[0][0]


@pytest.mark.parametrize("name", FRAMEWORKS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_frameworks_carry_tangents_through_operators(name: str, dtype: str) -> None:
    framework = opened(name)
    for operator in ("relu6", "softmax"):
        stack = seeded_composed(5, plans([operator])[0], 2, dtype)
        answer = Answer(framework.derivatives(stack), framework.derivation, by_adjoint=True)
        question = judge(stack, [answer])
        for index in range(2):
            verdict = question.verdict(0, index)
            assert verdict.kind not in FAILING
            assert [each.wrong for each in verdict.certificates] == [""]
    alone = framework.derivatives(stack[0])
    for key, array in alone.entries():
        assert np.shape(array) == np.shape(dict(stack[0].entries()).get(key, 0.0))
    assert judge(stack[0], [Answer(alone, "forward")]).verdict(0, 0).kind not in FAILING


@pytest.mark.parametrize("operator", ["max_pool1d", "conv1d"])
def test_lines_of_one_case_are_mapped_over_passes(operator: str) -> None:
    for name in FRAMEWORKS[:2]:
        stack = seeded_composed(2, plans([operator])[0], 2, "float64")
        found = opened(name).derivatives(stack)
        question = judge(stack, [Answer(found, "forward")])
        assert {question.verdict(0, at).kind for at in range(2)} <= {Kind.AGREES, Kind.KINK}


def test_jacobians_by_tangents_are_forward_mode_too() -> None:
    framework = opened("jax", "jacfwd")
    case = some_case("sigmoid", "float32", 2)
    answer = Answer(framework.derivatives(case), framework.derivation)
    assert answer.derivation == "forward"
    assert judge(case, [answer]).verdict(0, 0).kind is Kind.AGREES


def test_a_slope_of_forward_mode_alone_is_read_in_forward_mode() -> None:
    steps = (
        step("z", "dense", "x", "W"),
        step("a", "relu", "z"),
        step("loss", "squared_error", "a", "y"),
    )
    case = Composed.of(steps, {"W": [[1.0, -1.0]]}, {"x": [[2.0, 2.0]], "y": [[4.0]]})
    found = {}
    for mode in ("eager", "forward"):
        framework = open_frameworks(["torch"], {"torch": "prelu"}, {"torch": mode})[0][0]
        answer = Answer(framework.derivatives(case), framework.derivation)
        (gate,) = judge(case, [answer]).verdict(0, 0).gates
        found[mode] = gate.slope
    assert found == {"eager": 0.0, "forward": 1.0}


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operators that are max(z, 0) with derivatives that somebody wrote for JAX."""
    value = "lambda z: jnp.maximum(z, 0)"
    rules = {
        "only_back": (
            f"jax.custom_vjp({value})",
            "f.defvjp(lambda z: (f(z), z), lambda z, g: (jnp.where(z > 0, g, 0),))",
        ),
        "right": (
            f"jax.custom_jvp({value})",
            "f.defjvp(lambda z, t: (f(z[0]), jnp.where(z[0] > 0, t[0], 0)))",
        ),
        "one_slope": (
            f"jax.custom_jvp({value})",
            "f.defjvp(lambda z, t: (f(z[0]), t[0]))",
        ),
    }
    for name, (made, told) in rules.items():
        line = {"jax": {"by_hand": f"(lambda f: ({told}, f)[1])({made})(z)"}}
        monkeypatch.setitem(
            registry._registered, name, replace(relu.OPERATOR, name=name, lines=line)
        )


def bent(operator: str) -> Composed:
    """z = (2, -1), and J = ½ (max(z₁, 0) - 1)² + ½ (max(z₂, 0) - 1)²."""
    steps = (
        step("z", "dense", "x", "W"),
        step("a", operator, "z"),
        step("loss", "squared_error", "a", "y"),
    )
    arrays = {"W": [[1.0], [-0.5]]}
    return Composed.of(steps, arrays, {"x": [[2.0]], "y": [[1.0, 1.0]]}, dtype="float32")


@pytest.mark.parametrize("mode", ["forward", "jacfwd"])
def test_an_operator_without_a_rule_for_tangents_is_unsupported(mode: str, by_hand: None) -> None:
    case = bent("only_back")
    reverse = opened("jax", "jit").derivatives(case)
    assert judge(case, [Answer(reverse)]).verdict(0, 0).kind is Kind.AGREES
    with pytest.raises(UnsupportedError, match=rf"jax, float32, {mode}: can't apply forward-mode"):
        opened("jax", mode).derivatives(case)


@pytest.mark.parametrize(("rule", "kind"), [("right", Kind.AGREES), ("one_slope", Kind.DISAGREES)])
def test_a_rule_for_tangents_that_somebody_wrote_is_judged(
    rule: str, kind: Kind, by_hand: None
) -> None:
    case = bent(rule)
    answer = Answer(opened("jax").derivatives(case), "forward")
    assert judge(case, [answer]).verdict(0, 0).kind is kind


def test_a_padded_window_has_no_rule_for_tangents_in_tensorflow() -> None:
    padded = next(
        plan
        for plan in plans(["max_pool1d"])
        if any(dict(each.attributes).get("padding") for each in plan.steps)
    )
    case = seeded_composed(1, padded, 1, "float32")[0]
    with pytest.raises(UnsupportedError, match=r"tensorflow, float32, forward: .*MaxPoolGradGrad"):
        opened("tensorflow").derivatives(case)
