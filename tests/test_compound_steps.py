"""Softmax, norms, attention, cross-entropies: right steps are inside, the usual mistakes named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from crosscheck.judge.local.check import OfCase
from crosscheck.judge.local.judge import LocalJudge
from crosscheck.network.composed import Composed
from crosscheck.network.steps import step
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.library import Stated
from crosscheck.studies.simulated import StepFault, simulated

LIBRARY = Stated(count=4.0)
WIDTHS = (3, 48)
ACTIVATIONS = ("softmax", "log_softmax", "rms_norm", "layer_norm", "batch_norm", "attention")
LOSSES = ("cross_entropy", "binary_cross_entropy")


def network(name: str, dtype: str = "float32", width: int = 3, seed: int = 0) -> Composed:
    rng = np.random.default_rng([seed, width])
    rows = 5
    normal = rng.standard_normal
    parameters = {"W": normal((width, 4)) / 2, "b": normal(width)}
    steps = [step("z", "dense", "x", "W", "b")]
    if name == "attention":
        # A step of three products: where its terms cancel, its bounds are wide. So the keys differ.
        parameters |= {"K": normal((width, 4)) / 2, "V": normal((width, 4)) / 2}
        parameters |= {each: parameters[each] / np.sqrt(width) for each in ("W", "b")}
        steps += [step("k", "dense", "x", "K"), step("v", "dense", "x", "V")]
        steps.append(step("f", name, "z", "k", "v"))
    elif name.endswith("norm"):
        own = ["weight", "bias"][: 1 if name == "rms_norm" else 2]
        parameters |= {each: normal(width) for each in own}
        steps.append(step("f", name, "z", *own))
    elif name in ACTIVATIONS:
        steps.append(step("f", name, "z"))
    loss = name if name in LOSSES else "squared_error"
    steps.append(step("loss", loss, "z" if name in LOSSES else "f", "y"))
    targets = rng.random((rows, width))
    targets /= targets.sum(axis=1, keepdims=True)
    return Composed.of(steps, parameters, {"x": normal((rows, 4)), "y": targets}, dtype=dtype)


def said(case: Composed, fault: StepFault | None = None) -> OfCase:
    return LocalJudge(case, LIBRARY).check(simulated(case, fault)).of(0)


def named(case: Composed, part: str, change: Callable[[Mapping[str, Array], Array], Any]) -> bool:
    """Whether the step is accused where another array is sent, or returned."""
    where = "f" if any(each.id == "f" for each in case.steps) else "loss"
    (record,) = (each for each in simulated(case).records if each.step.id == where)
    wrong = np.asarray(change(record.operands, record.cotangent))
    found = said(case, StepFault(where, part, lambda _: wrong))
    return is_accused(found, where)


def is_accused(found: OfCase, step: str) -> bool:
    """Whether a step is named: as wrong, or as explained by a coarser arithmetic only."""
    if found.wrong is not None:
        return found.wrong.step == step
    return bool(found.names) and found.untold.startswith(f"step {step} ")


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("name", [*ACTIVATIONS, *LOSSES])
def test_what_is_right_is_inside(name: str, dtype: str) -> None:
    found = said(network(name, dtype))
    assert found.wrong is None
    assert found.unbounded == 0


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", [*ACTIVATIONS, *LOSSES])
def test_a_factor_of_a_thousandth_is_named(name: str, width: int) -> None:
    case = network(name, width=width)
    where = "f" if name in ACTIVATIONS else "loss"
    (record,) = (each for each in simulated(case).records if each.step.id == where)
    for part in ("result", *record.sent):
        assert is_accused(said(case, StepFault(where, part, lambda a: a * 1.001)), where)


def shares(z: Array) -> Array:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def norm(
    z: Array,
    g: Array,
    eps: float = 2.0**-17,
    axis: int = -1,
    ddof: int = 0,
    through: tuple[bool, bool] = (True, True),
) -> Array:
    """∂J/∂z of a norm, for ĝ; through the mean and through the deviation, or not."""
    r = 1 / np.sqrt(z.var(axis=axis, keepdims=True, ddof=ddof) + eps)
    x = (z - z.mean(axis=axis, keepdims=True)) * r
    found = g
    if through[0]:
        found = found - g.mean(axis=axis, keepdims=True)
    if through[1]:
        found = found - x * (g * x).mean(axis=axis, keepdims=True)
    return np.asarray(r * found)


MISTAKES: dict[str, tuple[str, str, Callable[[Mapping[str, Array], Array], Any]]] = {
    "softmax without its Jacobian term": ("softmax", "z", lambda o, g: g * shares(o["z"])),
    "softmax over the other axis": ("softmax", "result", lambda o, g: shares(o["z"].T).T),
    "softmax with its diagonal only": (
        "softmax", "z", lambda o, g: g * shares(o["z"]) * (1 - shares(o["z"])),
    ),
    "log-softmax without the shares": ("log_softmax", "z", lambda o, g: g),
    "log-softmax with the shares' mean": (
        "log_softmax", "z", lambda o, g: g - g.mean(axis=-1, keepdims=True),
    ),
    "layer norm with another ε": (
        "layer_norm", "z", lambda o, g: norm(o["z"], g * o["weight"], eps=1e-3),
    ),
    "layer norm with the unbiased variance": (
        "layer_norm", "z", lambda o, g: norm(o["z"], g * o["weight"], ddof=1),
    ),
    "layer norm with its mean detached": (
        "layer_norm", "z", lambda o, g: norm(o["z"], g * o["weight"], through=(False, True)),
    ),
    "layer norm with its deviation detached": (
        "layer_norm", "z", lambda o, g: norm(o["z"], g * o["weight"], through=(True, False)),
    ),
    "layer norm over the rows": (
        "layer_norm", "z", lambda o, g: norm(o["z"], g * o["weight"], axis=-2),
    ),
    "layer norm, its weight left out": ("layer_norm", "z", lambda o, g: norm(o["z"], g)),
    "layer norm, its bias's rows averaged": ("layer_norm", "bias", lambda o, g: g.mean(axis=0)),
    "batch norm with the unbiased variance": (
        "batch_norm", "z", lambda o, g: norm(o["z"], g * o["weight"], axis=-2, ddof=1),
    ),
    "batch norm as if its statistics were fixed": (
        "batch_norm",
        "z",
        lambda o, g: norm(o["z"], g * o["weight"], axis=-2, through=(False, False)),
    ),
    "RMS norm with its root detached": (
        "rms_norm",
        "z",
        lambda o, g: g * o["weight"] / np.sqrt((o["z"] ** 2).mean(-1, keepdims=True) + 2.0**-13),
    ),
    "attention without its scale": (
        "attention", "result", lambda o, g: shares(o["q"] @ o["k"].T) @ o["v"],
    ),
    "attention, q and k exchanged": (
        "attention",
        "result",
        lambda o, g: shares(o["k"] @ o["q"].T / np.sqrt(o["q"].shape[-1])) @ o["v"],
    ),
    "attention without softmax's term": (
        "attention",
        "q",
        lambda o, g: (
            shares(o["q"] @ o["k"].T / np.sqrt(o["q"].shape[-1])) * (g @ o["v"].T)
        ) @ o["k"] / np.sqrt(o["q"].shape[-1]),
    ),
    "cross-entropy without the targets": (
        "cross_entropy", "a", lambda o, g: shares(o["a"]) / len(o["a"]),
    ),
    "cross-entropy, not averaged": ("cross_entropy", "a", lambda o, g: shares(o["a"]) - o["y"]),
    "cross-entropy with smoothed targets": (
        "cross_entropy",
        "a",
        lambda o, g: (shares(o["a"]) - 0.999 * o["y"] - 0.001 / o["y"].shape[-1]) / len(o["a"]),
    ),
    "binary cross-entropy of σ of σ": (
        "binary_cross_entropy",
        "a",
        lambda o, g: (1 / (1 + np.exp(-1 / (1 + np.exp(-o["a"])))) - o["y"]) / o["a"].size,
    ),
}  # fmt: skip


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named(mistake: str, width: int) -> None:
    name, part, change = MISTAKES[mistake]
    assert named(network(name, width=width), part, change)


def test_what_the_mistakes_are_compared_with_is_right() -> None:
    for name, axis in (("layer_norm", -1), ("batch_norm", -2)):
        case = network(name)
        (record,) = (each for each in simulated(case).records if each.step.id == "f")
        right = norm(record.operands["z"], record.cotangent * record.operands["weight"], axis=axis)

        def sent(_: Array, right: Array = right) -> Array:
            return right

        assert said(case, StepFault("f", "z", sent)).is_gradual
