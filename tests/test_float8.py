"""float8: what frameworks do with it, what overflows where there is no infinity, and whole runs."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import given

from crosscheck.cases.construct import clear_shapes
from crosscheck.cases.profiles import settings
from crosscheck.cases.strategies import (
    SHAPES,
    boundary_cases,
    gaussian_stack,
    nonfinite_cases,
    smooth_cases,
)
from crosscheck.cases.stream.families import DEFAULT_MIX, Mix
from crosscheck.cases.stream.generate import block
from crosscheck.cases.stream.settings import Shape
from crosscheck.cli import main
from crosscheck.frameworks.gatekeeper import ask
from crosscheck.frameworks.jax_ import JaxFramework
from crosscheck.frameworks.refusals import Refused
from crosscheck.frameworks.tensorflow_ import TensorFlowFramework
from crosscheck.frameworks.torch_ import TorchFramework
from crosscheck.judge.compare import Judge
from crosscheck.judge.compiled import FusedJudge
from crosscheck.judge.door import Answer, certified
from crosscheck.judge.stacks import StackJudge
from crosscheck.judge.verdict import Kind, fails
from crosscheck.network.dense import Case, Gradients, Network, worked_example
from crosscheck.network.files import write_case
from crosscheck.network.reference import gradients
from crosscheck.numbers.formats import FORMATS, format_of
from crosscheck.run.events import ExitCode
from crosscheck.tools.errors import UnsupportedError, UsageError

FLOAT8 = ["float8_e4m3fn", "float8_e5m2"]
ADAPTERS: dict[str, type[Any]] = {
    adapter.name: adapter for adapter in (TorchFramework, TensorFlowFramework, JaxFramework)
}


def adapter(name: str, mode: str | None = None) -> Any:
    try:
        return ADAPTERS[name](mode=mode)
    except ModuleNotFoundError as error:
        if error.name != ADAPTERS[name].module:
            raise
        pytest.skip(f"{name} is not installed, so its adapter is not tested")


# -- what frameworks do ------------------------------------------------------------------------


def every_pattern(dtype: str) -> tuple[Any, Any]:
    """All 256 bit patterns but NaN with a payload, and what ml_dtypes says that they are."""
    patterns, own = np.arange(256, dtype=np.uint8), format_of(dtype).dtype
    assert own is not None
    values = patterns.view(own).astype(np.float64)
    kept = ~np.isnan(values) | (values.astype(own).view(np.uint8) == patterns)
    return patterns[kept], values[kept]


def bits_inside(name: str, tensor: Any) -> Any:
    if name == "torch":
        return tensor.view(importlib.import_module("torch").uint8).numpy()
    if name == "tensorflow":
        return tensor.numpy().view(np.uint8)
    lax = importlib.import_module("jax.lax")
    return np.asarray(lax.bitcast_convert_type(tensor, np.uint8))


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
@pytest.mark.parametrize("dtype", FLOAT8)
@pytest.mark.parametrize("name", ADAPTERS)
def test_every_number_arrives_and_comes_back(name: str, dtype: str) -> None:
    framework, (patterns, values) = adapter(name), every_pattern(dtype)
    sent = framework.send(values, dtype)
    assert bits_inside(name, sent).tolist() == patterns.tolist()
    back = framework.fetch(sent, dtype)
    assert np.array_equal(back, values, equal_nan=True)
    assert (np.signbit(back) == np.signbit(values)).all()


@pytest.mark.parametrize("dtype", FLOAT8)
@pytest.mark.parametrize(
    ("name", "mode"),
    [(name, mode) for name in ADAPTERS for mode in ADAPTERS[name].modes if mode != "compile"],
)
def test_jax_computes_in_float8_and_the_others_say_what_they_have_not_got(
    name: str, mode: str, dtype: str
) -> None:
    # Where one of them begins to, this fails, and its gradients are judged from then on.
    case = worked_example(dtype=dtype)
    found = ask(adapter(name, mode), case)
    if name != "jax":
        assert isinstance(found, Refused)
        assert found.kind is Kind.UNSUPPORTED
        said = {"torch": "not implemented for 'Float8_", "tensorflow": "list of allowed values"}
        assert said[name] in found.reason
        return
    assert not isinstance(found, Refused)
    assert [float(each.item()) for _, each in found.entries()] == [2.0, 4.0, 2.0, 6.0, 6.0, 12.0]
    judge = Judge(case)
    assert judge.verdict(found, framework=name).kind is Kind.AGREES
    wrong = found.map_derivatives(lambda array: array * 1.25)
    assert judge.verdict(wrong, framework=name).kind is Kind.DISAGREES


def test_a_dtype_that_a_framework_has_not_got_is_unsupported() -> None:
    for name in ADAPTERS:
        with pytest.raises(UnsupportedError, match=f"{name} has no dtype float8_e9m9"):
            adapter(name).send(np.ones(1), "float8_e9m9")


@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("dtype", FLOAT8)
def test_each_operation_of_jax_is_rounded_once(dtype: str, jit: bool) -> None:
    # All pairs of numbers, so that nothing is left to find out about one operation.
    jax, form = pytest.importorskip("jax"), format_of(dtype)
    values = every_pattern(dtype)[1]
    one, other = np.meshgrid(values, values)
    sent = [np.asarray(each).astype(form.dtype) for each in (one, other)]
    operations: list[Any] = [
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: a * b,
        lambda a, b: a / b,
    ]
    with np.errstate(all="ignore"):
        for operation in operations:
            function = jax.jit(operation) if jit else operation
            found = np.asarray(function(*map(jax.numpy.array, sent)))
            wanted = form.round(operation(one, other))
            assert np.array_equal(found.astype(np.float64), wanted, equal_nan=True)


@pytest.mark.parametrize("dtype", FLOAT8)
def test_gradients_of_jax_are_accepted_and_those_of_another_loss_are_not(dtype: str) -> None:
    framework, kinds = adapter("jax", "eager"), set()
    few = [each for each in clear_shapes(SHAPES, format_of(dtype)) if sum(each[0]) < 5]
    strategies = (smooth_cases, boundary_cases, nonfinite_cases)
    for strategy in strategies:

        @hypothesis.settings(settings(), max_examples=5, database=None, derandomize=True)
        @given(strategy(dtype=dtype, shapes=few))
        def check(case: Case) -> None:
            found = framework.gradients(case)
            judge, derivation = Judge(case), framework.derivation
            verdict = judge.verdict(found, framework="jax", derivation=derivation)
            assert not fails(verdict, ()), (case, verdict)
            kinds.add(verdict.kind)
            if verdict.kind is Kind.AGREES and verdict.checked:
                wrong = judge.verdict(
                    found.map(lambda array: -1.0 - 2.0 * array),
                    framework="jax",
                    derivation=derivation,
                )
                assert fails(wrong, ())

        check()
    assert kinds >= {Kind.AGREES, Kind.KINK, Kind.NONFINITE}


# -- no infinity -------------------------------------------------------------------------------


def one_weight(weight: float, x: float, y: float, dtype: str = "float8_e4m3fn") -> Case:
    return Case.of([[[weight]]], None, [[x]], [[y]], dtype=dtype, output="identity")


def answer(loss: float, dw: float, dx: float) -> Gradients:
    return Gradients(np.array(loss), (np.array([[dw]]),), (None,), np.array([[dx]]))


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ((np.nan, np.nan, np.nan), Kind.NONFINITE),
        ((np.nan, 208.0, 208.0), Kind.DISAGREES),  # 16 · 13 is there, and a NaN is not
        ((448.0, 448.0, 448.0), Kind.DISAGREES),  # saturated, as torch's conversion does
        ((np.inf, np.inf, np.inf), Kind.DISAGREES),
        ((-np.nan, 0.0, np.nan), Kind.DISAGREES),
    ],
    ids=["nan", "finite", "saturated", "infinite", "zero"],
)
def test_what_overflows_without_infinity_is_nan(
    answers: tuple[float, float, float], kind: Kind
) -> None:
    # z = 32 · 32 = 1024 > 448: d = z, J = ½ d², and both derivatives are 32 · 1024.
    case = one_weight(32.0, 32.0, 0.0)
    found = Judge(case).verdict(answer(*answers), framework="f")
    assert found.kind is kind
    assert "\n" not in found.detail


@pytest.mark.parametrize("loss", [np.nan, 448.0, np.inf])
def test_only_what_overflows_may_be_nan(loss: float) -> None:
    # d = 8 + 24 = 32 and J = 512, which does not fit; dJ/dw = 8 d and dJ/dx = d do.
    judge = Judge(one_weight(1.0, 8.0, -24.0))
    right, wrong = answer(loss, 256.0, 32.0), answer(loss, np.nan, 32.0)
    kind = Kind.AGREES if np.isnan(loss) else Kind.DISAGREES  # an overflow of J alone, as ever
    assert judge.verdict(right, framework="f").kind is kind
    assert judge.verdict(wrong, framework="f").kind is Kind.DISAGREES


def test_in_a_format_with_infinity_nothing_of_that_is_allowed() -> None:
    case = one_weight(256.0, 512.0, 0.0, "float8_e5m2")
    infinite, nan = answer(np.inf, np.inf, np.inf), answer(np.nan, np.nan, np.nan)
    assert Judge(case).verdict(infinite, framework="f").kind is Kind.NONFINITE
    assert Judge(case).verdict(nan, framework="f").kind is Kind.DISAGREES


def test_a_number_of_rows_that_the_dtype_cannot_hold_leaves_no_bound() -> None:
    # JAX divides by the number of rows in the dtype: by NaN. In 224 rows 2 B is 448.
    for rows, kind in ((512, Kind.NONFINITE), (224, Kind.DISAGREES)):
        case = Case.of(
            [[[1.0]]],
            [[0.0]],
            np.ones((rows, 1)),
            np.zeros((rows, 1)),
            dtype="float8_e4m3fn",
            output="identity",
            reduction="mean",
        )
        nothing = gradients(case).map(lambda array: np.full_like(array, np.nan))
        assert Judge(case).verdict(nothing, framework="f").kind is kind


def test_infinity_is_no_number_of_a_format_that_has_none() -> None:
    infinite = replace(one_weight(1.0, 1.0, 0.0, "float16"), x=np.array([[np.inf]]))
    with pytest.raises(UsageError, match="x: holds numbers that are not float8_e4m3fn"):
        replace(infinite, dtype="float8_e4m3fn")
    with pytest.raises(UsageError, match="float8_e4m3fn has no infinity"):
        nonfinite_cases(dtype="float8_e4m3fn", kind="infinity")


# -- streams, and whole runs -------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOAT8)
def test_streams_hold_numbers_of_the_format(dtype: str) -> None:
    form = format_of(dtype)
    for mix in (DEFAULT_MIX, Mix((("special", 1.0),)), Mix((("dyadic", 1.0),))):
        made = block(Shape(Network((2, 3, 2, 1, 1)), 2, dtype), 1, 0, mix)
        for array in made.batch.flatten():
            assert form.contains(array)
            assert len(np.unique(array)) >= 3


@pytest.mark.parametrize("dtype", FLOAT8)
def test_the_compiled_pass_leaves_float8_to_the_readable_one(dtype: str) -> None:
    rng = np.random.default_rng(0)
    case = gaussian_stack(rng, Network((2, 2, 1), "identity"), 2, 64, dtype)
    right = gradients(case).map(format_of(dtype).round)
    readable = StackJudge(case)
    for given_ in (right, right.map(lambda array: 2.0 * array)):
        assert not FusedJudge(case).certified([given_])[0].any()
        found, wanted = certified(case, [Answer(given_)]).agrees[0], readable.agreements(given_)[0]
        assert found.tolist() == wanted.tolist()
    assert not found.all()


def test_a_run_judges_jax_says_what_it_could_not_check_and_lists_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ADAPTERS:
        adapter(name)
    write_case(worked_example(dtype="float8_e5m2"), Path("narrow.json"))
    assert main(["run", "--case", "narrow.json"]) == ExitCode.OK
    told = capsys.readouterr().out
    assert "jax relu: AGREES; bit for bit the reference" in told
    assert "torch relu: UNSUPPORTED" in told
    rng = np.random.default_rng(0)
    wide = Case.of(
        [rng.standard_normal((8, 8)), rng.standard_normal((1, 8))],
        None,
        rng.standard_normal((1, 8)),
        [[0.0]],
        dtype="float8_e5m2",
        output="identity",
    )
    write_case(wide, Path("wide.json"))
    # Nothing can be told from zero there, and that is no success.
    assert main(["run", "--case", "wide.json"]) == ExitCode.NOTHING_CHECKED
    assert "the bounds there cannot tell the gradient from zero" in capsys.readouterr().out


def test_other_names_are_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "--cases", "10", "--dtype", "float8_e4m3"]) == ExitCode.USAGE
    told = capsys.readouterr().err
    assert f"wanted one of {', '.join(FORMATS)}" in told
    assert len(told.splitlines()) == 1
