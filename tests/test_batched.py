"""The fastest way to each framework's gradients is a correct way, and the framework's own."""

from __future__ import annotations

import numpy as np
import pytest
from faulty import Faulty, correct

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.batched import ThroughAdapter, batched
from crosscheck.frameworks.jax_ import JaxFramework
from crosscheck.frameworks.tensorflow_ import TensorFlowFramework
from crosscheck.frameworks.torch_ import TorchFramework
from crosscheck.judge.compare import Judge
from crosscheck.judge.door import Answer, certified
from crosscheck.judge.verdict import Kind
from crosscheck.network.batch import Batch, aligned, held_dtype
from crosscheck.network.dense import Case, Gradients
from crosscheck.studies.power import gaussian_stack

FRAMEWORKS: dict[str, type[Framework]] = {
    "torch": TorchFramework,
    "tensorflow": TensorFlowFramework,
    "jax": JaxFramework,
}

one_of_each = pytest.mark.parametrize("name", FRAMEWORKS)


def mixed_stack(dtype: str, count: int) -> Case:
    """Three rows, a missing bias, a mean, and an output without ReLU."""
    full = gaussian_stack((2, 3, 2), rows=3, count=count, dtype=dtype, seed=1)
    return Case.of(
        full.weights,
        [None, full.biases[1]],
        full.x,
        full.y,
        dtype=dtype,
        output="identity",
        reduction="mean",
    )


@one_of_each
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_gradients_of_a_batch_agree(name: str, dtype: str) -> None:
    case = mixed_stack(dtype, 40)
    given = batched(FRAMEWORKS[name]())(Batch.of(case))
    assert given.x.dtype == held_dtype(dtype)
    (agrees,) = certified(case, [Answer(given)]).agrees
    assert agrees.mean() > 0.95
    for index in np.flatnonzero(~agrees).tolist():
        assert Judge(case[index]).verdict(given[index], framework=name).kind is not Kind.DISAGREES


@one_of_each
def test_a_smaller_batch_is_filled_up_and_cut_again(name: str) -> None:
    case = mixed_stack("float64", 40)
    gradients, whole = batched(FRAMEWORKS[name]()), Batch.of(case)
    large = gradients(whole)
    small = gradients(Batch.of(whole.case(slice(3, 10))))
    for (array, one), (_, other) in zip(large.entries(), small.entries(), strict=True):
        assert other.shape == (7, *one.shape[1:]), array
        assert (one[3:10] == other).all(), array


@one_of_each
def test_the_chosen_formulation_is_the_one_that_is_used(name: str) -> None:
    kink = Case.of([[[0.0]], [[2.0]]], [[0.0], [1.0]], [[1.0]], [[5.0]])  # z_1 = 0
    stack = Case.of(
        [np.repeat(w[None], 8, 0) for w in kink.weights],
        [np.repeat(b[None], 8, 0) for b in kink.biases if b is not None],
        np.repeat(kink.x[None], 8, 0),
        np.repeat(kink.y[None], 8, 0),
    )
    kind = FRAMEWORKS[name]
    slopes = set()
    for formulation in ("relu", "maximum"):
        framework = kind(formulation=formulation)
        ours = batched(framework)(Batch.of(stack)).biases[0]
        assert (ours == framework.gradients(stack).biases[0]).all(), formulation
        slopes.add(float(ours[0, 0]))
    assert len(slopes) == 2


@one_of_each
def test_the_arrays_of_a_batch_are_read_only_by_the_framework(name: str) -> None:
    batch = Batch.of(mixed_stack("float64", 40))
    before = batch.case()
    batched(FRAMEWORKS[name]())(batch)
    assert batch.case()[7].key == before[7].key


def test_a_mode_that_was_chosen_goes_through_the_adapter() -> None:
    framework = JaxFramework(mode="eager")
    gradients = batched(framework)
    assert isinstance(gradients, ThroughAdapter)
    assert gradients.mode == framework.modes["eager"]


def test_a_framework_of_ones_own_goes_through_its_adapter() -> None:
    class Own(Framework):
        name, module, packages = "own", "numpy", ("numpy",)

        def gradients(self, case: Case) -> Gradients:
            return Faulty(correct).gradients(case)

    case = gaussian_stack((2, 3, 1), rows=1, count=20, dtype="float32", seed=0)
    given = batched(Own())(Batch.of(case))
    assert given.x.dtype == np.float32


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_formats_that_numpy_or_xla_hold_otherwise_go_through_the_adapter(dtype: str) -> None:
    case = gaussian_stack((2, 3, 1), rows=1, count=20, dtype=dtype, seed=0)
    framework = TorchFramework()
    given = batched(framework)(Batch.of(case))
    for (_, one), (_, other) in zip(
        given.entries(), framework.gradients(case).entries(), strict=True
    ):
        assert one.dtype == np.float32
        assert (one == other).all()


def test_memory_for_frameworks_is_aligned() -> None:
    for size in range(1, 9):
        array = aligned((size, 3), np.float32)
        assert array.shape == (size, 3)
        assert array.__array_interface__["data"][0] % 64 == 0
