"""A formula written in each framework's words: the same function, its own gradient."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosscheck.cases.functions.domains import integers
from crosscheck.cli import main
from crosscheck.frameworks.programs import LIBRARIES
from crosscheck.judge.verdict import Kind
from crosscheck.run.functions.checking import compare_functions
from crosscheck.run.functions.comparison import FunctionComparison
from crosscheck.tools.errors import UsageError

FRAMEWORKS = ("torch", "tensorflow", "jax")


def layers(x: Any, w: Any, v: Any) -> Any:
    h = np.maximum(x @ w.T, 0)
    return np.abs(h @ v.T).sum(-1) / 3 + np.tanh(h).mean(-1)


def entropy(z: Any, y: Any) -> Any:
    e = np.exp(z - z.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    return -np.log(p[np.arange(len(y)), y]).mean()


def shifted(x: Any, k: Any) -> Any:
    out = np.zeros(x.shape)
    for at in range(k.shape[0]):
        out[at:] += x[: x.shape[0] - at] * k[at]
    return np.where(out > 1, 1 + np.log(np.maximum(out, 1)), out)


def compared(formula: Callable[..., Any], framework: str, count: int = 12) -> FunctionComparison:
    shapes = {layers: "b i, h i, o h -> b", entropy: "b c, b -> ", shifted: "n, 2 -> n"}[formula]
    inputs = {"y": integers(0, "c")} if formula is entropy else None
    return compare_functions(formula, shapes, inputs=inputs, frameworks=framework, cases=count)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("formula", [layers, entropy, shifted])
def test_the_formula_in_a_frameworks_words_has_its_gradient(
    formula: Callable[..., Any], framework: str
) -> None:
    pytest.importorskip(framework)
    comparison = compared(formula, framework)
    assert comparison.passed, comparison.message
    ((name, kinds),) = comparison.kinds.items()
    assert name == f"{framework} {formula.__name__}"
    assert kinds[Kind.AGREES] + kinds.get(Kind.KINK, 0) >= 3


FAULTS: dict[str, tuple[Callable[..., Any], str, Callable[..., Any]]] = {
    "a sum that is too large": (
        layers,
        "sum",
        lambda right: lambda s, a, axes, keep: right(s, a * 1.01, axes, keep),
    ),
    "a product cut off": (
        layers,
        "contract",
        lambda right: lambda s, a, b: right(s, s.detached(a), b),
    ),
    "a factor of one derivative": (
        entropy,
        "elementary",
        lambda right: lambda s, x, *rest: right(s, x + (x - s.detached(x)) * 2.0**-8, *rest),
    ),
    "a slope at all numbers": (
        layers,
        "piecewise",
        lambda right: lambda s, z, function: right(s, s.detached(z), function) + z - s.detached(z),
    ),
}


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_framework_differentiates_otherwise_disagrees(
    fault: str, framework: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(framework)
    formula, verb, wrong = FAULTS[fault]
    kind = LIBRARIES[framework]
    monkeypatch.setattr(kind, verb, wrong(getattr(kind, verb)))
    comparison = compared(formula, framework)
    assert not comparison.passed
    assert {Kind.DISAGREES} <= set(next(iter(comparison.kinds.values())))


def test_without_an_implementation_it_is_every_framework_that_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("torch")
    checking = "crosscheck.run.functions.checking.LIBRARIES"
    monkeypatch.setattr(checking, {"torch": LIBRARIES["torch"]})
    comparison = compare_functions(layers, "b i, h i, o h -> b", cases=2)
    assert list(comparison.kinds) == ["torch layers"]


def test_a_name_that_is_unknown_is_told() -> None:
    with pytest.raises(UsageError, match="did you mean 'torch'"):
        compare_functions(layers, "b i, h i, o h -> b", frameworks="torhc")


def test_a_function_without_partners_is_checked_by_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    file = tmp_path / "alone.py"
    file.write_text("import numpy as np\n\n\ndef f(x, w):\n    return np.maximum(x @ w, 0)\n")
    words = ["--shapes", "b i, i o -> b o", "--frameworks", "torch", "--profile", "quick"]
    assert main(["check", f"{file}::f", *words]) == 0
    assert "words of frameworks" in capsys.readouterr().out
