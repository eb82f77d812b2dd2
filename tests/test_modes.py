"""Every mode of a framework gives the gradient, and is held to the bounds of how it gives it."""

from __future__ import annotations

import copy
import importlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosscheck.cases.stream.families import Mix
from crosscheck.cases.stream.generate import Block
from crosscheck.cases.stream.settings import BLOCK, Part, Settings, Shape
from crosscheck.cli import main
from crosscheck.frameworks import jax_, leaves
from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.jax_ import JaxFramework
from crosscheck.frameworks.leaves import OneHot
from crosscheck.frameworks.tensorflow_ import TensorFlowFramework
from crosscheck.frameworks.torch_ import TorchFramework
from crosscheck.judge.compare import Judge
from crosscheck.judge.verdict import Kind, Verdict
from crosscheck.network.batch import Batch
from crosscheck.network.dense import Case, worked_example
from crosscheck.run.checker import Checker
from crosscheck.run.events import CaseChecked, Event, StackChecked
from crosscheck.run.sweep.answers import Answer
from crosscheck.run.sweep.check import judged as judged_in_sweep
from crosscheck.studies import power
from crosscheck.studies.power import gaussian_stack
from crosscheck.tools.errors import UnsupportedError

ADAPTERS: dict[str, type[Any]] = {
    adapter.name: adapter for adapter in (TorchFramework, TensorFlowFramework, JaxFramework)
}
FORWARD = {
    ("torch", "forward"),
    ("tensorflow", "forward"),
    ("jax", "forward"),
    ("jax", "jacfwd"),
}
MODES = [
    pytest.param(name, mode, id=f"{name}-{mode}")
    for name, adapter in ADAPTERS.items()
    for mode in adapter.modes
    if mode not in adapter.lines.slow
]
FORWARD_MODES = [param for param in MODES if param.values in FORWARD]

FEW = {"relu", "maximum"}
"""Formulations for modes in which each is compiled anew."""


@cache
def adapter(name: str, mode: str, formulation: str = "relu") -> Any:
    try:
        return ADAPTERS[name](mode=mode, formulation=formulation)
    except ModuleNotFoundError as error:
        if error.name != ADAPTERS[name].module:
            raise
        pytest.skip(f"{name} is not installed, so its adapter is not tested")


def altered(name: str, mode: str, **attributes: Any) -> Any:
    """An adapter whose class differs in some attributes."""
    adapter(name, mode)  # skips where it is not installed
    return type("Altered", (ADAPTERS[name],), attributes)(mode=mode)


def judged(framework: Framework, case: Case) -> Verdict:
    """The verdict of a run on a single case."""
    (verdict,) = Checker([framework], lambda event: None).verdicts(case)
    return verdict


def judged_in_stack(framework: Framework, stack: Case) -> list[Kind]:
    """The verdicts of a run on a stack."""
    events: list[Event] = []
    checker = Checker([framework], events.append)
    checker.is_lasting = lambda verdict: False  # type: ignore[method-assign]  # nothing is shrunk
    checker.check_stack(stack, "smooth", "stack")
    assert isinstance(events[0], StackChecked)
    kinds = [Kind.AGREES] * (stack.count or 0)
    for event in events[1:]:
        if isinstance(event, CaseChecked):
            kinds[int(event.label.rsplit(" ", 1)[1])] = event.verdicts[0].kind
    assert {kind: kinds.count(kind) for kind in kinds} == dict(events[0].kinds[framework.name])
    return kinds


# What there is


@pytest.mark.parametrize("name", ADAPTERS)
def test_whole_networks_have_the_modes_of_the_pointwise_table(name: str) -> None:
    found = ADAPTERS[name]
    assert set(found.modes) == set(found.lines.modes)
    assert next(iter(found.modes)) == {"torch": "eager", "tensorflow": "eager", "jax": "jit"}[name]


def test_the_modes_that_carry_derivatives_forwards_say_so() -> None:
    said = {
        (name, mode)
        for name, found in ADAPTERS.items()
        for mode in found.modes
        if adapter(name, mode).derivation == "forward"
    }
    assert said == FORWARD


def test_the_mode_is_in_the_header_and_judged_by_its_own_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ADAPTERS:
        adapter(name, "forward")
    modes = [word for name in ADAPTERS for word in ("--mode", f"{name}=forward")]
    assert main(["run", "--case", "worked-example", *modes]) == 0
    out = capsys.readouterr().out
    for name in ADAPTERS:
        assert f"{name} relu: AGREES; bit for bit the reference" in out
    assert out.count("; relu, forward\n") == 3


# The gradient


@pytest.mark.parametrize(
    ("name", "mode", "dtype"),
    [
        pytest.param(*param.values, dtype, id=f"{param.id}-{dtype}")
        for dtype, params in (("float64", MODES), ("bfloat16", FORWARD_MODES))
        for param in params
    ],
)
def test_gaussian_batches_agree_and_a_stack_has_the_verdicts_of_its_cases(
    name: str, mode: str, dtype: str
) -> None:
    framework = adapter(name, mode)
    stack = gaussian_stack((2, 3, 2), rows=3, count=6, dtype=dtype, seed=4)
    kinds = judged_in_stack(framework, stack)
    assert set(kinds) <= {Kind.AGREES, Kind.UNDECIDED}
    assert kinds.count(Kind.AGREES) >= 4
    assert [judged(framework, stack[index]).kind for index in range(2)] == kinds[:2]


@pytest.mark.parametrize(
    ("name", "mode", "formulation"),
    [
        pytest.param(name, mode, formulation, id=f"{name}-{mode}-{formulation}")
        for name, mode in (param.values for param in MODES)
        for formulation in ADAPTERS[str(name)].formulations
        if (name != "jax" and mode not in ("graph", "xla")) or formulation in FEW
    ],
)
def test_a_kink_of_a_network_has_the_slope_of_the_pointwise_table(
    name: str, mode: str, formulation: str
) -> None:
    framework = adapter(name, mode, formulation)
    with framework.session():
        (_, (slope,)) = framework.lines.measure("relu", formulation, mode)("float64", [0.0])
    for case in (worked_example(x=0.0), worked_example(w2=-1.0, b2=2.0)):
        verdict = judged(framework, case)
        assert verdict.kind is Kind.KINK
        assert [gate.slope for gate in verdict.gates] == [slope]


def test_prelu_has_another_slope_in_forward_mode_and_networks_show_it() -> None:
    slopes = {
        mode: judged(adapter("torch", mode, "prelu"), worked_example(x=0.0)).gates[0].slope
        for mode in ("eager", "func", "vmap", "forward")
    }
    assert slopes == {"eager": 0.0, "func": 0.0, "vmap": 0.0, "forward": 1.0}


@pytest.mark.parametrize(("name", "mode"), MODES)
def test_a_forgotten_mask_is_found_in_every_mode(name: str, mode: str) -> None:
    # The value of ReLU, and the derivative of the identity.
    still = {"torch": "z.detach()", "tensorflow": "tf.stop_gradient(z)"}.get(
        name, "jax.lax.stop_gradient(z)"
    )
    relu = next(iter(ADAPTERS[name].formulations.values())).replace("(z)", f"({still})")
    framework = altered(name, mode, formulations={"other": f"{relu} + (z - {still})"})
    case = Case.of([[[2.0], [-2.0]], [[3.0, 5.0]]], [[0.0, 0.0], [1.0]], [[1.0]], [[5.0]])
    verdict = judged(framework, case)
    assert verdict.kind is Kind.DISAGREES
    assert verdict.first_layer == 1


# Forward mode's own bounds


def cancelling(count: int = 8, *, kink: bool = False) -> Case:
    """Cases with dJ/dx = 0, exactly in reverse mode and up to rounding in forward mode.

    With x = 0 the hidden units are a = b1 = 1, 1, so z2 = 2, 6 and the residual is 3, -1, all
    exactly. Backwards δ_1 = W2ᵀ (3, -1) = 0 before the weights W1 come in. Forwards they come in
    first: 3 (w + w') - 1 (3w + 3w') is not zero once the sums are rounded. A third hidden unit may
    be on its kink, without effect.
    """
    weights = np.random.default_rng(0).uniform(1.0, 2.0, (20 * count, 2, 1))
    first, second = weights[:, 0, 0], weights[:, 1, 0]
    weights = weights[3.0 * (first + second) != 3.0 * first + 3.0 * second]
    every = np.ones((count, 1, 1))
    upper, biases = np.array([[1.0, 1.0], [3.0, 3.0]]), [1.0, 1.0]
    weights = weights[:count]
    if kink:
        weights = np.concatenate([weights, every], axis=1)
        upper, biases = np.concatenate([upper, np.zeros((2, 1))], axis=1), [1.0, 1.0, 0.0]
    return Case.of(
        [weights, every * upper],
        [every[:, 0] * biases, every[:, 0] * [0.0, 0.0]],
        0.0 * every,
        every * [[-1.0, 7.0]],
        output="identity",
    )


def mistaken_for_reverse_mode(framework: Any) -> Any:
    """The same adapter, judged by the bounds of reverse mode."""
    mistaken = copy.copy(framework)
    mistaken.forward_modes = frozenset()
    return mistaken


@pytest.mark.parametrize("kink", [False, True], ids=["smooth", "kink"])
@pytest.mark.parametrize(("name", "mode"), FORWARD_MODES)
def test_forward_mode_is_right_by_its_own_bounds_and_wrong_by_those_of_reverse_mode(
    name: str, mode: str, kink: bool
) -> None:
    stack, framework = cancelling(kink=kink), adapter(name, mode)
    right = judged_in_stack(framework, stack)
    assert set(right) <= {Kind.AGREES, *([Kind.KINK] if kink else [])}
    assert [judged(framework, stack[index]).kind for index in range(8)] == right
    mistaken = mistaken_for_reverse_mode(framework)
    kinds = judged_in_stack(mistaken, stack)
    assert kinds.count(Kind.DISAGREES) >= 2
    assert [judged(mistaken, stack[index]).kind for index in range(8)] == kinds


def kinds_in_sweep(frameworks: list[Any], stack: Case) -> list[list[Kind]]:
    """The verdicts of a sweep on the first twelve cases of a stack; none where all agree."""
    shape = Shape(stack.network)
    settings = Settings((shape,), BLOCK, 0, Mix.parse("uniform"), max_failures=BLOCK)
    block = Block(Batch.of(stack), np.zeros(BLOCK, dtype=np.int64))
    answers = [Answer(framework.gradients(stack)) for framework in frameworks]
    checked = judged_in_sweep(Part(shape, 0, 12), settings, frameworks, [(block, answers)])
    return [[verdict.kind for verdict in event.verdicts] for event in checked.cases]


@pytest.mark.parametrize("kink", [False, True], ids=["smooth", "kink"])
def test_a_sweep_judges_each_framework_by_the_bounds_of_its_mode(kink: bool) -> None:
    right = adapter("torch", "forward")
    kinds = kinds_in_sweep([right, mistaken_for_reverse_mode(right)], cancelling(BLOCK, kink=kink))
    assert {kind for kind, _ in kinds} <= {Kind.AGREES, *([Kind.KINK] if kink else [])}
    assert [kind for _, kind in kinds].count(Kind.DISAGREES) >= 3


def test_a_smooth_block_in_forward_mode_is_judged_all_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(Judge, "verdict")
    assert kinds_in_sweep([adapter("torch", "forward")], cancelling(BLOCK)) == []


def test_a_smooth_stack_in_forward_mode_is_judged_all_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    framework = adapter("torch", "forward")
    monkeypatch.delattr(Judge, "verdict")
    assert judged_in_stack(framework, cancelling()) == [Kind.AGREES] * 8


@pytest.mark.parametrize("name", ADAPTERS)
def test_reverse_mode_cancels_exactly(name: str) -> None:
    framework = adapter(name, next(iter(ADAPTERS[name].modes)))
    assert framework.derivation == "reverse"
    assert not framework.gradients(cancelling()).x.any()


def test_the_power_is_measured_against_the_bounds_of_the_mode(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(power, "gaussian_stack", lambda *_, **__: cancelling(count=20))
    options: dict[str, Any] = {"dtype": "float64", "exponents": [20], "count": 20}
    none, fault = power.measure(adapter("torch", "forward"), (1, 2, 2), **options)
    assert (none.caught, fault.cases) == (0, 20)
    assert fault.caught >= 15
    mistaken = mistaken_for_reverse_mode(adapter("torch", "forward"))
    assert power.measure(mistaken, (1, 2, 2), **options)[0].caught >= 10


@pytest.mark.parametrize(("name", "mode"), FORWARD_MODES)
def test_one_entry_off_by_a_millionth_is_found_in_forward_mode(name: str, mode: str) -> None:
    framework = adapter(name, mode)
    stack = gaussian_stack((2, 3, 2), rows=3, count=6, dtype="float64", seed=4)
    given = framework.gradients(stack)
    found = 0
    for name_of_array, array in given.entries():
        right = array.copy()
        array[...] *= 1.0 + 2.0**-20
        for index in range(6):
            verdict = Judge(stack[index]).verdict(
                given[index], framework=name, derivation=framework.derivation
            )
            found += verdict.kind is Kind.DISAGREES
            assert verdict.kind is Kind.DISAGREES or not right[index].any(), name_of_array
        array[...] = right
    assert found >= 20


@pytest.mark.parametrize(("name", "mode"), FORWARD_MODES)
def test_a_loss_that_overflows_makes_a_gradient_in_forward_mode_no_defect(
    name: str, mode: str
) -> None:
    # d = 3e19 and d² > 3.4e38: the loss is infinite and its gradient is not, but TensorFlow
    # multiplies the infinity by the tangent 0 of the constant ½.
    case = Case.of([[[1.0]]], [[0.0]], [[3e19]], [[0.0]], dtype="float32", output="identity")
    given = adapter(name, mode).gradients(case)
    assert np.isposinf(given.loss)
    assert np.isnan(given.biases[0]).all() == (name == "tensorflow")
    assert judged(adapter(name, mode), case).kind is Kind.NONFINITE
    assert judged_in_stack(adapter(name, mode), stacked(case)) == [Kind.NONFINITE]


def stacked(case: Case) -> Case:
    """A stack of one."""
    return Case(
        case.network,
        tuple(weight[None] for weight in case.weights),
        tuple(None if bias is None else bias[None] for bias in case.biases),
        case.x[None],
        case.y[None],
        case.dtype,
    )


# One pass for each parameter


@pytest.mark.parametrize("most", [1, 300, 2**22])
@pytest.mark.parametrize("single", [False, True], ids=["stack", "single"])
def test_every_parameter_has_one_pass_and_its_own_place(
    most: int, single: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaves, "AT_ONCE", most)
    stack = gaussian_stack((2, 3, 2), rows=3, count=4, dtype="float64", seed=0)
    case = stack[0] if single else stack
    one_hot = OneHot(case)
    size = 6 + 6 + 3 + 2 + 6
    assert one_hot.size == size
    derivatives = np.full((size, *case.x.shape[:-2]), np.nan)
    sizes = set()
    for start, tangents in one_hot.blocks():
        flat = np.concatenate([each.reshape(len(each), -1) for each in tangents], axis=1)
        sizes.add(len(flat))
        np.testing.assert_array_equal(flat.sum(axis=1), 1.0)
        for row, parameter in enumerate(flat.argmax(axis=1)):
            assert parameter == start + row
            derivatives[parameter] = parameter
    assert sizes == {size} if most > 300 else max(sizes) < size and len(sizes) == 1
    found = one_hot.gradients(np.zeros(case.x.shape[:-2]), derivatives)
    for leaf, array in zip(leaves.leaves_of(case), found.by(case.wanted), strict=True):
        assert array.shape == leaf.shape
    one = found if single else found[2]
    order = one.by(case.wanted)
    flat_order = np.concatenate([array.ravel() for array in order])
    np.testing.assert_array_equal(flat_order, np.arange(size))


@pytest.mark.parametrize(("name", "mode"), FORWARD_MODES)
def test_passes_in_parts_give_what_all_at_once_give(
    name: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(3)
    whole: list[Any] = [rng.integers(-2, 3, shape) for shape in ((5, 3, 2), (5, 2, 3), (5, 3))]
    x, y = rng.integers(-2, 3, (5, 2, 2)), rng.integers(-2, 3, (5, 2, 2))
    stack = Case.of(whole[:2], [whole[2], None], x, y, reduction="mean")
    wanted = ADAPTERS[name](mode=mode).gradients(stack)
    assert wanted.x.any()
    monkeypatch.setattr(leaves, "AT_ONCE", 700)  # parts of 4 of 19 passes, or of 2 of 5 cases
    monkeypatch.setattr(jax_, "AT_ONCE", 1600)
    for case, right in [(stack, wanted), (stack[3], wanted[3])]:
        found = ADAPTERS[name](mode=mode).gradients(case)
        for (array, one), (_, other) in zip(found.entries(), right.entries(), strict=True):
            np.testing.assert_array_equal(one, other, err_msg=array)


def test_jacfwd_refuses_what_would_not_fit_into_memory() -> None:
    rows = 2000
    case = Case.of([np.ones((10, 64))], None, np.ones((rows, 64)), np.ones((rows, 10)))
    with pytest.raises(UnsupportedError, match=r"128,640 parameters .* mode forward") as caught:
        adapter("jax", "jacfwd").gradients(case)
    assert "\n" not in str(caught.value)
    assert judged(adapter("jax", "jacfwd"), case).kind is Kind.UNSUPPORTED


# PyTorch

BRANCHING = "z if (z > 0).all() else 0 * z"
"""What only eager execution can do."""


def test_pytorch_still_needs_its_loss_to_have_an_axis_in_forward_mode() -> None:
    adapter("torch", "forward")
    torch: Any = importlib.import_module("torch")
    x = torch.tensor([1.0, 2.0])
    for axes in (0, 1):
        loss, tangent = torch.func.jvp(
            lambda x, axes=axes: 0.5 * (x * x).sum().reshape((1,) * axes), (x,), (x,)
        )
        assert loss.dtype == torch.float32
        # Once this is float32 for a loss without axes, the adapter need not add one.
        assert tangent.dtype == (torch.float32 if axes else torch.float64)


def test_pytorch_compiles_each_shape_however_many_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    framework = altered("torch", "compile")
    torch: Any = importlib.import_module("torch")
    compiled, compilations = torch.compile, []

    def backend(graph: Any, inputs: Any) -> Any:
        compilations.append(graph)
        return graph

    monkeypatch.setattr(torch, "compile", lambda f, **o: compiled(f, backend=backend, **o))
    for _ in range(2):
        for rows in range(1, 13):
            stack = gaussian_stack((1, 1), rows=rows, count=1, dtype="float64", seed=rows)
            assert judged(framework, stack[0]).kind is Kind.AGREES
        assert len(compilations) == 12


def compiled_gradients(framework: Framework, case: Case) -> Verdict:
    verdict = judged(framework, case)
    if verdict.kind is Kind.UNSUPPORTED and "C++ compiler" in verdict.detail:
        pytest.skip(f"torch.compile cannot be tested: {verdict.detail}")
    return verdict


def test_pytorch_compiled_gives_the_worked_example_and_the_slope_of_the_pointwise_table() -> None:
    framework = adapter("torch", "compile", "clamp")
    verdict = compiled_gradients(framework, worked_example())
    assert verdict.kind is Kind.AGREES
    assert verdict.worst is not None
    assert verdict.worst.error == 0.0
    (_, (slope,)) = framework.lines.measure("relu", "clamp", "compile")("float64", [0.0])
    kink = judged(framework, worked_example(x=0.0))
    assert [gate.slope for gate in kink.gates] == [slope] == [1.0]


def test_pytorch_compiled_agrees_on_a_stack_of_batches() -> None:
    framework = adapter("torch", "compile")
    stack = gaussian_stack((2, 3, 2), rows=3, count=6, dtype="float32", seed=4)
    compiled_gradients(framework, worked_example())
    assert judged_in_stack(framework, stack) == [Kind.AGREES] * 6


def test_what_cannot_be_compiled_is_unsupported_in_pytorchs_own_words() -> None:
    framework = altered("torch", "compile", formulations={"other": BRANCHING})
    with pytest.raises(UnsupportedError, match=r"^torch, float64, compile: ") as caught:
        framework.gradients(worked_example())
    assert "\n" not in str(caught.value)
    failing = altered("torch", "compile", formulations={"other": "torch.reshape(z, (7, 7))"})
    with pytest.raises(RuntimeError):
        failing.gradients(worked_example())


def test_what_vmap_cannot_do_is_unsupported_in_pytorchs_own_words() -> None:
    framework = altered("torch", "vmap", formulations={"other": BRANCHING})
    with pytest.raises(UnsupportedError, match=r"^torch, float64, vmap: .*control flow"):
        framework.gradients(worked_example())
    found = altered("torch", "func", formulations={"other": BRANCHING}).gradients(worked_example())
    assert found.weights[1].item() == 4.0
