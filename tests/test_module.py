"""``crosscheck module``: whole models of JAX, each operation held to its own bounds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from crosscheck.cli import main
from crosscheck.judge.local.functions import OperationJudge, RecordedFunction
from crosscheck.numbers.library import Library
from crosscheck.report.module import lines_of
from crosscheck.run.modules.checking import check_model
from crosscheck.run.modules.loading import ask
from crosscheck.run.modules.outcome import ModelOutcome, State
from crosscheck.run.modules.reading import Asked, reader_of
from crosscheck.tools.errors import UsageError

jax = pytest.importorskip("jax")
jnp = jax.numpy

PAGE = Path(__file__).parents[1] / "docs" / "module.md"
DRAW = np.random.default_rng(3).standard_normal
PARAMS = {"w1": DRAW((4, 5)), "b1": DRAW(5), "w2": DRAW((5, 3))}
X = DRAW((2, 4))


def asked(function: Callable[..., Any], dtype: str = "float64", **arguments: Any) -> Asked:
    given = arguments or {"params": PARAMS, "x": X}
    return Asked("model", "jax", function, given, tuple(given), (), dtype)


def checked(function: Callable[..., Any], **arguments: Any) -> ModelOutcome:
    return check_model(asked(function, **arguments))


def net(activation: Callable[[Any], Any]) -> Callable[..., Any]:
    def whole(params: Any, x: Any) -> Any:
        h = activation(x @ params["w1"] + params["b1"])
        return h @ params["w2"]

    return whole


def with_derivative(function: Any, slope: Callable[[Any, Any], Any]) -> Any:
    """A function of one array with a derivative of its own."""
    own = jax.custom_vjp(function)
    own.defvjp(lambda x: (function(x), x), lambda x, g: (slope(x, g),))
    return own


def relu(x: Any) -> Any:
    return jnp.maximum(x, 0)


def softmax(x: Any) -> Any:
    e = jnp.exp(x - jax.lax.stop_gradient(x.max(-1, keepdims=True)))
    return e / e.sum(-1, keepdims=True)


FAULTS: Mapping[str, Any] = {
    "the slope is twice what it is": with_derivative(
        jnp.tanh, lambda x, g: 2 * g * (1 - jnp.tanh(x) ** 2)
    ),
    "the slope is 2^-40 too large": with_derivative(
        jnp.tanh, lambda x, g: g * (1 - jnp.tanh(x) ** 2) * (1 + 2.0**-40)
    ),
    "the mask is missing": with_derivative(relu, lambda x, g: g),
    "what is held sends down what comes to it": with_derivative(
        jax.lax.stop_gradient, lambda x, g: g
    ),
    "what is held sends down a small share of it": with_derivative(
        jax.lax.stop_gradient, lambda x, g: g * 2.0**-40
    ),
    "nothing is sent": with_derivative(jnp.tanh, lambda x, g: jnp.zeros_like(g)),
    "a term of the softmax is missing": with_derivative(softmax, lambda x, g: softmax(x) * g),
    "rows are in another order": with_derivative(jnp.sin, lambda x, g: (g * jnp.cos(x))[::-1]),
    "the cotangent is not used": with_derivative(jnp.exp, lambda x, g: jnp.exp(x)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_named_with_its_line(fault: str) -> None:
    outcome = checked(net(FAULTS[fault]))
    assert not outcome.passed
    assert outcome.wrong is not None
    assert outcome.wrong.id.startswith("4 ")
    assert outcome.wrong.state is State.WRONG
    assert Path(outcome.wrong.file).name == Path(__file__).name
    assert "what it sent to 3 add" in outcome.wrong.wrong
    assert [each.id for each in outcome.operations if each.state is State.WRONG] == [
        outcome.wrong.id
    ]


def test_a_value_that_is_not_what_the_function_says_is_named() -> None:
    almost = jax.custom_jvp(jnp.tanh)
    almost.defjvp(lambda x, t: (jnp.tanh(x[0]) * (1 + 2.0**-40), t[0] * (1 - jnp.tanh(x[0]) ** 2)))
    outcome = checked(net(almost))
    assert outcome.wrong is not None
    assert (outcome.wrong.id, outcome.wrong.wrong) == ("4 tanh", "its value")


def loops(params: Any, x: Any) -> Any:
    def turn(h: Any, row: Any) -> Any:
        h = jnp.tanh(row @ params["w1"] + h + params["b1"])
        return h, h

    last, every = jax.lax.scan(turn, jnp.zeros(5), x)
    return {"last": last, "norm": (every - every.mean()) / jnp.sqrt(every.var() + 1e-5)}


@pytest.mark.parametrize("dtype", ["float64", pytest.param("float32", marks=pytest.mark.long)])
def test_a_right_model_is_certified_and_watching_it_changes_no_bit(dtype: str) -> None:
    one = asked(loops, dtype)
    outcome = check_model(one)
    assert outcome.certified
    assert outcome.kind == "AGREES"
    assert outcome.outputs == ("last", "norm")
    assert set(outcome.leaves) == {"params.b1", "params.w1", "params.w2", "x"}
    assert all(each.state is State.INSIDE for each in outcome.operations)
    reader = reader_of(one)
    cotangents = {name: np.full(shape, 1.5) for name, shape in reader.shapes().items()}
    watched = reader.watched(cotangents)
    assert watched.answer.same_bits(watched.plain)


def test_a_kink_is_read_and_what_the_user_compiled_is_written_out() -> None:
    x = X.copy()
    x[0] = 0.0
    outcome = checked(jax.jit(net(relu)), params={**PARAMS, "b1": np.zeros(5)}, x=x)
    assert outcome.kind == "KINK"
    assert outcome.passed
    (kink,) = outcome.kinks
    assert kink.slope == 0.5
    assert kink.count == 5
    assert [each.name for each in outcome.operations][-1] == "dot_general"


def test_what_comes_to_a_product_with_known_zeros_does_not_matter() -> None:
    def whole(params: Any, x: Any) -> Any:
        h = jnp.tanh(x @ params["w1"])
        return (h + jnp.zeros(5) * jnp.exp(h)) @ params["w2"]

    outcome = checked(whole)
    assert outcome.certified
    assert "mul" in [each.name for each in outcome.operations]


def recorded(function: Callable[..., Any]) -> RecordedFunction:
    reader = reader_of(asked(function))
    cotangents = {name: np.full(shape, 1.5) for name, shape in reader.shapes().items()}
    found = reader.watched(cotangents).recorded
    assert found is not None
    return found


def test_numbers_that_do_not_hang_together_are_named() -> None:
    right = recorded(net(jnp.tanh))
    judge = OperationJudge("float64", Library("jax", "eager"))
    assert judge.check(right).wrong(0) is None
    tanh = right.operations[3]

    def forged(**changes: Any) -> str:
        operations = (*right.operations[:3], replace(tanh, **changes), *right.operations[4:])
        return str(judge.check(replace(right, operations=operations)).wrong(0))

    other = {name: array + 1.0 for name, array in tanh.operands.items()}
    assert "its operand 3 add is not what 3 holds" in forged(operands=other)
    half = {name: array / 2 for name, array in tanh.cotangents.items()}
    assert "is not what was sent to its only use" in forged(cotangents=half)
    derivatives = {**right.derivatives, "x": right.derivatives["x"] * 2}
    wrong = judge.check(replace(right, derivatives=derivatives)).wrong(0)
    assert wrong is not None
    assert wrong.step == "the derivative by x"
    values = {n: replace(each, value=each.value + 1) for n, each in right.outputs.items()}
    assert "is not what was computed last" in str(
        judge.check(replace(right, outputs=values)).wrong(0)
    )


def test_what_is_not_understood_is_a_line_an_operation() -> None:
    def whole(params: Any, x: Any) -> Any:
        one = jnp.tanh(x @ params["w1"])
        return jnp.sinh(one).sum() + jnp.sinh(x).sum() + jnp.cosh(x).sum()

    outcome = checked(whole)
    assert outcome.kind == "UNSUPPORTED"
    assert not outcome.certified
    told = [line for line in lines_of(outcome) if f"{Path(__file__).name}:" in line]
    assert len(told) == len(outcome.unread) == 2
    assert any("sinh (2 times)" in line for line in told)


class Layer:
    """A module as Equinox has them: called, and a tree of arrays."""

    def __init__(self, weight: Any, name: str) -> None:
        self.weight, self.name = weight, name

    def __call__(self, x: Any) -> Any:
        return jnp.tanh(x @ self.weight)


jax.tree_util.register_dataclass(Layer, ["weight"], ["name"])
MADE: Mapping[str, Any] = {
    "LAYER": Layer(PARAMS["w1"], "first"),
    "PAIR": (lambda params, x: jnp.tanh(x @ params["weight"]), {"weight": PARAMS["w1"]}),
}


def make() -> Any:
    return MADE["PAIR"]


@pytest.mark.parametrize("form", ["LAYER", "PAIR", "make"])
def test_models_that_bring_their_parameters(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, each in MADE.items():
        monkeypatch.setitem(globals(), name, each)
    found = ask(f"{__name__}:{form}", {"x": X})
    outcome = check_model(found)
    assert outcome.certified
    assert set(outcome.leaves) == {"model.weight", "x"}


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands of the page, with its files there."""
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text("utf-8")
    model, numbers = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    Path("models.py").write_text(model, "utf-8")
    held: dict[str, Any] = {}
    exec(numbers, held)
    np.savez("x.npz", x=held["draw"]((2, 4), "float32"))
    (commands,) = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    return [line.removeprefix("$ crosscheck ").split() for line in commands.splitlines()]


def test_the_commands_of_the_page(
    page: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = page
    assert main(first) == 0
    assert capsys.readouterr().out.startswith("net: AGREES, jax, jax.vjp, float32")
    assert main(second) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["leaves"] == ["params.b1", "params.w1", "params.w2"]
    assert main(third) == 1
    said = capsys.readouterr().out
    page_ = Path("page/module.html").read_text("utf-8")
    root = ElementTree.fromstring(re.findall(r"<svg.*?</svg>", page_, re.DOTALL)[0])
    groups = {each.findtext("text"): each for each in root.iter("g")}
    assert groups["4 squash"].get("class") == "bad"
    assert {each.get("class") for each in groups.values()} == {"bad", "good", "leaf"}
    assert len({(r.get("x"), r.get("y")) for r in root.iter("rect")}) == len(groups)
    assert "The first operation that is wrong is 4 squash" in page_
    (told,) = re.findall(r"```text\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    for line in told.splitlines():
        assert line.partition("…")[0].strip() in re.sub(r"\S*/models.py", "models.py", said)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["models.py", "--input", "batch.npz"], "wanted PKG:MODEL"),
        (["models.py:nets", "--input", "batch.npz"], "no 'nets' there; there are"),
        (["no_such_package:net", "--input", "batch.npz"], "importing it raised ModuleNotFound"),
        (["models.py:net", "--input", "models.py"], "np.savez"),
        (["models.py:net", "--input", "batch.npz", "--wrt", "w3"], "wanted some of params, x"),
        (
            [
                "models.py:net",
                "--input",
                "batch.npz",
                "--loss",
                "cross_entropy",
                "--wrt",
                "params.w3",
            ],
            "wanted some of params.b1",
        ),
        (["models.py:net", "--input", "batch.npz"], "the function net raised TypeError"),
        (["models.py:squash", "--input", "x.npz", "--loss", "squash"], "wanted one number"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_4(
    words: list[str], wanted: str, page: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["module", *words]) == 4
    said = capsys.readouterr().err
    assert wanted in said
    assert len(said.splitlines()) == 1


KERAS = """
import keras

net = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="relu")])
"""


@pytest.mark.long
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_keras_gets_a_process_and_a_backend_of_its_own(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("keras")
    pytest.importorskip(backend)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    Path("models.py").write_text(KERAS, "utf-8")
    np.savez("x.npz", x=DRAW((2, 3)).astype("float32"))
    assert main(["module", "models.py:net", "--input", "x.npz", "--keras", backend]) == 0
    assert f"net: AGREES, {backend}, " in capfd.readouterr().out


def test_random_numbers_are_refused() -> None:
    calls = iter(range(100))

    def whole(x: Any) -> Any:
        return x * float(next(calls))

    with pytest.raises(UsageError, match="other numbers the second time"):
        checked(whole, x=X)
