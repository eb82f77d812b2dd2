"""What frameworks show of their steps: the plain gradient's, and inside the local certificate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from processors import tensorflow_cuts
from test_local import DTYPES, SMALL, stack_of

from crosscheck.cases.composed import composed_boundary_cases, composed_cases
from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.fetched import Fetched
from crosscheck.frameworks.registry import open_frameworks
from crosscheck.judge.door import Answer
from crosscheck.judge.local.judge import LocalJudge
from crosscheck.network.composed import Composed
from crosscheck.network.dense import worked_example
from crosscheck.network.steps import step
from crosscheck.run.answers import OTHER_BITS, asked
from crosscheck.tools.errors import UnsupportedError


@pytest.fixture(scope="module", params=["torch", "tensorflow", "jax"])
def eager(request: pytest.FixtureRequest) -> Framework:
    (framework,), _ = open_frameworks([request.param], {}, {request.param: "eager"})
    return framework


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mix", ["uniform", "kinks"])
def test_every_step_of_a_framework_is_inside_its_bounds(
    eager: Framework, dtype: str, mix: str
) -> None:
    case = stack_of(SMALL, dtype, mix)
    check = LocalJudge(case).check(eager.recorded(case))
    cuts = (eager.name, dtype) == ("tensorflow", "bfloat16") and tensorflow_cuts()
    explained = check.explained[-1 if cuts else 0]  # the last is the named arithmetic
    assert explained.all(), check.wrong(int(np.argmin(explained)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_gradient_that_is_watched_is_the_plain_one_bit_for_bit(
    eager: Framework, dtype: str
) -> None:
    case = stack_of(SMALL, dtype)
    pairs = zip(eager.gradients(case).entries(), eager.recorded(case).given.entries(), strict=True)
    assert all((one == other).all() for (_, one), (_, other) in pairs)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_networks_of_operators_are_inside(eager: Framework, dtype: str) -> None:
    @settings(deadline=None, max_examples=15)
    @given(composed_cases(dtype=dtype) | composed_boundary_cases(dtype=dtype))
    def inside(case: Composed) -> None:
        check = LocalJudge(case).check(eager.recorded(case))
        assert check.passes.all(), check.wrong()

    inside()


def test_a_mode_that_shows_no_steps_says_so() -> None:
    (framework,), _ = open_frameworks(["jax"], {}, {"jax": "jit"})
    with pytest.raises(UnsupportedError, match="shows no steps"):
        framework.recorded(worked_example())


def written(line: str) -> Framework:
    """PyTorch, with a line of its own for ReLU."""
    adapter = pytest.importorskip("crosscheck.frameworks.torch_").TorchFramework
    other = type("Other", (adapter,), {"formulations": {"other": line}})
    framework: Framework = other(mode="eager")
    return framework


@pytest.mark.parametrize("line", ["torch.relu_(z)", "torch.relu(z.mul_(1))"])
def test_a_step_may_change_in_place_what_it_was_handed(line: str) -> None:
    case = stack_of(SMALL, "float32")
    check = LocalJudge(case).check(written(line).recorded(case))
    assert check.explained[0].all(), check.wrong(int(np.argmin(check.explained[0])))


@pytest.mark.parametrize("width", [2, 8])
def test_memory_that_is_used_again_is_not_taken_for_the_tensor_it_held_before(width: int) -> None:
    case = stack_of((4, *[width] * 24, 1), "float32")
    framework = written("torch.relu(z.mul_(1))")
    for _ in range(8):
        check = LocalJudge(case).check(framework.recorded(case))
        assert check.explained[0].all(), check.wrong(int(np.argmin(check.explained[0])))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("torch.relu_(z.mul_(1.01))", "its value is"),
        ("torch.relu(z + z.mul_(0))", "its value is"),
        ("torch.relu_(z.detach().clone()) + 0 * z", "what it sent to z is"),
        ("torch.relu(z) + 0 * W2.data.mul_(2).sum()", "step z2"),
    ],
)
def test_in_place_too_the_wrong_step_is_named(line: str, said: str) -> None:
    case = stack_of(SMALL, "float32")
    check = LocalJudge(case).check(written(line).recorded(case))
    assert not check.explained[0].all()
    assert said in str(check.wrong(int(np.argmin(check.explained[0]))))


def norm_first() -> Composed:
    """A residual block with its norm before the layer: x goes to the norm, and around it."""
    rng = np.random.default_rng(3)
    steps = [
        step("n", "layer_norm", "x", "weight", "bias"),
        step("f", "dense", "n", "W", None),
        step("s", "add", "f", "x"),
        step("loss", "squared_error", "s", "y"),
    ]
    shapes = {"W": (8, 8), "weight": (8,), "bias": (8,)}
    parameters = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    inputs = {name: rng.standard_normal((16, 8)) for name in "xy"}
    return Composed.of(steps, parameters, inputs, dtype="float32")


def test_around_a_norm_in_two_passes_another_order_of_sums_is_told(eager: Framework) -> None:
    found = asked(eager, norm_first(), "run")
    assert isinstance(found, Answer)
    assert (found.recorded, found.note) == (None, OTHER_BITS)


def test_around_a_norm_that_takes_its_operand_once_nothing_changes() -> None:
    line = {"torch": "layer_norm:layer_norm"}
    (framework,), _ = open_frameworks(["torch"], line, {"torch": "eager"})
    case = norm_first()
    found = asked(framework, case, "run")
    assert isinstance(found, Answer)
    assert found.recorded is not None
    check = LocalJudge(case).check(found.recorded)
    assert check.passes.all(), check.wrong()


def test_two_views_of_one_piece_of_memory_are_two_arrays() -> None:
    array = np.zeros((16, 16), dtype=np.float32)
    array[12, 3] = 1.0
    fetch = Fetched(lambda given: given, lambda given: given.astype(np.float64))
    one, turned, again = fetch(array), fetch(array.T), fetch(array[:])
    assert (turned[3, 12], turned[12, 3]) == (1.0, 0.0)
    assert again is one
