"""Each adapter returns its framework's gradient, in the dtype asked for, and nothing but that."""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest

from crosscheck.frameworks.jax_ import JaxFramework
from crosscheck.frameworks.tensorflow_ import TensorFlowFramework
from crosscheck.frameworks.torch_ import TorchFramework
from crosscheck.network.dense import Case, Gradients, worked_example
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import WORKING, format_of
from crosscheck.tools.errors import CrosscheckError, UnsupportedError

ADAPTERS: dict[str, type[Any]] = {
    adapter.name: adapter for adapter in (TorchFramework, TensorFlowFramework, JaxFramework)
}
MODES = [
    # The slow modes, which compile for seconds, have a few tests of their own in test_modes.py.
    pytest.param(name, mode, id=f"{name}-{mode}")
    for name, adapter in ADAPTERS.items()
    for mode in adapter.modes
    if mode not in adapter.lines.slow
]
FORMULATIONS = [
    pytest.param(name, mode, formulation, id=f"{name}-{mode}-{formulation}")
    for name, mode in (param.values for param in MODES)
    for formulation in ADAPTERS[str(name)].formulations
    if mode in ("eager", "graph", "xla", "jit") or formulation == "relu"
]
COMPILED = [
    pytest.param(name, mode, id=f"{name}-{mode}")
    for name, mode in (
        *(("tensorflow", mode) for mode in ("graph", "xla")),
        *(("jax", mode) for mode in JaxFramework.modes if mode != "eager"),
    )
]
DTYPES = list(WORKING)


@cache
def adapter(name: str, mode: str | None = None, formulation: str | None = None) -> Any:
    try:
        return ADAPTERS[name](mode=mode, formulation=formulation)
    except ModuleNotFoundError as error:
        if error.name != ADAPTERS[name].module:
            raise
        pytest.skip(f"{name} is not installed, so its adapter is not tested")


def bits(array: Array) -> Any:
    return np.ascontiguousarray(array, dtype=np.float64).view(np.uint64)


def require_same(given: Gradients, wanted: Gradients) -> None:
    for (name, one), (other_name, other) in zip(given.entries(), wanted.entries(), strict=True):
        assert name == other_name
        assert one.dtype == np.float64
        assert one.shape == np.shape(other), name
        np.testing.assert_array_equal(one, other, err_msg=name, strict=True)


# The gradient


def exact_gradients(case: Case) -> Gradients:
    """Loops over `fractions.Fraction`: nothing is rounded, and ReLU'(0) = 0."""
    weights = [[[Fraction(v) for v in row] for row in weight] for weight in case.weights]
    biases = [None if bias is None else [Fraction(v) for v in bias] for bias in case.biases]
    for_weights = [np.zeros(weight.shape, dtype=object) for weight in case.weights]
    for_biases = [None if b is None else np.zeros(b.shape, dtype=object) for b in case.biases]
    for_x = np.zeros(case.x.shape, dtype=object)
    share = Fraction(1, case.rows if case.network.reduction == "mean" else 1)
    loss = Fraction(0)
    for r in range(case.rows):
        layers = [[Fraction(v) for v in case.x[r]]]
        opened = []
        for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
            z = [
                sum((w * a for w, a in zip(row, layers[-1], strict=True)), Fraction(0))
                + (bias[i] if bias is not None else 0)
                for i, row in enumerate(weight)
            ]
            opened.append([v > 0 or not case.network.has_relu(layer) for v in z])
            layers.append([v if o else Fraction(0) for v, o in zip(z, opened[-1], strict=True)])
        residual = [a - Fraction(v) for a, v in zip(layers[-1], case.y[r], strict=True)]
        loss += share * sum(d * d for d in residual) / 2
        cotangent = [share * d for d in residual]
        for k in range(case.network.depth - 1, -1, -1):
            delta = [g if o else Fraction(0) for g, o in zip(cotangent, opened[k], strict=True)]
            for i, d in enumerate(delta):
                for j, a in enumerate(layers[k]):
                    for_weights[k][i, j] += d * a
                into = for_biases[k]
                if into is not None:
                    into[i] += d
            cotangent = [
                sum((d * weights[k][i][j] for i, d in enumerate(delta)), Fraction(0))
                for j in range(len(layers[k]))
            ]
        for_x[r] = cotangent

    def as_floats(values: Any) -> Array:
        floats = np.asarray(values, dtype=np.float64)
        assert all(Fraction(v) == f for v, f in zip(floats.flat, np.ravel(values), strict=True))
        return floats

    return Gradients(
        as_floats(loss),
        tuple(map(as_floats, for_weights)),
        tuple(None if bias is None else as_floats(bias) for bias in for_biases),
        as_floats(for_x),
    )


def whole_numbers(
    *widths: int, rows: int, without_bias: tuple[int, ...] = (), seed: int = 0, **options: Any
) -> Case:
    """Whole numbers from -2 to 2: every sum and product stays exact in every dtype used here."""
    rng = np.random.default_rng(seed)
    shapes = list(zip(widths[1:], widths[:-1], strict=True))
    return Case.of(
        [rng.integers(-2, 3, shape) for shape in shapes],
        [
            None if layer in without_bias else rng.integers(-2, 3, units)
            for layer, (units, _) in enumerate(shapes, start=1)
        ],
        rng.integers(-2, 3, (rows, widths[0])),
        rng.integers(-2, 3, (rows, widths[-1])),
        **options,
    )


WHOLE = {
    "two-layers": whole_numbers(3, 4, 2, rows=3, seed=9),
    "no-hidden-bias-identity": whole_numbers(2, 3, 2, rows=2, without_bias=(1,), output="identity"),
    "no-output-bias-mean": whole_numbers(
        2, 3, 3, 1, rows=4, without_bias=(3,), reduction="mean", seed=12
    ),
    "no-bias-mean-identity-float32": whole_numbers(
        3, 3, 2, rows=2, without_bias=(1, 2), reduction="mean", output="identity", dtype="float32"
    ),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("name", "mode", "formulation"),
    [
        # Compiling costs most of the time, so the slow modes take each formulation below.
        param
        for param in FORMULATIONS
        if param.values[1] in ("jit", "graph")
        or param.values[:2] in (("torch", "eager"), ("tensorflow", "eager"))
        or param.values[2] == "relu"
    ],
)
def test_the_worked_example_has_the_gradient_found_by_hand(
    name: str, mode: str, formulation: str, dtype: str
) -> None:
    found = adapter(name, mode, formulation).gradients(worked_example(dtype=dtype))
    (w1, w2), (b1, b2) = found.weights, found.biases
    assert [float(v.item()) for v in (found.loss, w2, b2, w1, b1)] == [2.0, 4.0, 2.0, 6.0, 6.0]
    assert found.x.item() == 12.0  # w1 · w2 · (a2 - y)


@pytest.mark.parametrize(("name", "mode", "formulation"), FORMULATIONS)
def test_every_formulation_opens_above_zero_and_shuts_below(
    name: str, mode: str, formulation: str
) -> None:
    # z1 = (2, -2): without a ReLU the second unit would add -10 and get a gradient.
    case = Case.of([[[2.0], [-2.0]], [[3.0, 5.0]]], [[0.0, 0.0], [1.0]], [[1.0]], [[5.0]])
    found = adapter(name, mode, formulation).gradients(case)
    assert found.loss == 2.0
    np.testing.assert_array_equal(found.weights[0], [[6.0], [0.0]])
    np.testing.assert_array_equal(found.biases[0], [6.0, 0.0])
    np.testing.assert_array_equal(found.weights[1], [[4.0, 0.0]])
    np.testing.assert_array_equal(found.x, [[12.0]])


def test_the_loops_over_fractions_reproduce_the_worked_example() -> None:
    found = exact_gradients(worked_example())
    (w1, w2), (b1, b2) = found.weights, found.biases
    assert [v.item() for v in (found.loss, w2, b2, w1, b1)] == [2.0, 4.0, 2.0, 6.0, 6.0]


@pytest.mark.parametrize("which", WHOLE)
@pytest.mark.parametrize(("name", "mode"), MODES)
def test_whole_numbers_give_the_exact_gradient_bit_for_bit(
    name: str, mode: str, which: str
) -> None:
    case = WHOLE[which]
    wanted = exact_gradients(case)
    assert wanted.loss != 0.0
    assert all(weight.any() for weight in wanted.weights)
    require_same(adapter(name, mode).gradients(case), wanted)


@pytest.mark.parametrize(("name", "mode"), MODES)
def test_a_stack_gives_each_case_the_gradient_it_has_alone(name: str, mode: str) -> None:
    options: dict[str, Any] = {"rows": 2, "without_bias": (2,), "reduction": "mean"}
    cases = [whole_numbers(2, 3, 2, seed=seed, **options) for seed in range(3)]
    first = cases[0]
    stack = Case(
        first.network,
        tuple(np.stack(arrays) for arrays in zip(*(c.weights for c in cases), strict=True)),
        (np.stack([c.biases[0] for c in cases if c.biases[0] is not None]), None),
        np.stack([c.x for c in cases]),
        np.stack([c.y for c in cases]),
    )
    found = adapter(name, mode).gradients(stack)
    assert found.loss.shape == (3,)
    assert len(set(found.loss)) == 3
    for index, case in enumerate(cases):
        require_same(found[index], adapter(name, mode).gradients(case))
        require_same(found[index], exact_gradients(case))


# The dtype


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "mode"), MODES)
def test_one_ulp_survives_from_the_bias_to_the_gradient(name: str, mode: str, dtype: str) -> None:
    # z = 1 + ulp and y = 1: a computation in fewer bits has no residual, and no gradient.
    ulp = 2.0 ** (1 - format_of(dtype).precision)
    case = Case.of([[[1.0]]], [[ulp]], [[1.0]], [[1.0]], dtype=dtype, output="identity")
    found = adapter(name, mode).gradients(case)
    assert found.biases[0].item() == ulp


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("name", "mode"), MODES)
def test_half_an_ulp_is_rounded_away_as_the_dtype_says(name: str, mode: str, dtype: str) -> None:
    # z = 1 + ulp/2 rounds to 1, to even: a computation in more bits would have a residual.
    half = 2.0 ** -format_of(dtype).precision
    case = Case.of([[[1.0]]], [[half]], [[1.0]], [[1.0]], dtype=dtype, output="identity")
    found = adapter(name, mode).gradients(case)
    assert found.biases[0].item() == 0.0


@pytest.mark.parametrize("name", ADAPTERS)
def test_another_dtype_coming_back_is_an_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    framework = ADAPTERS[name]()
    send = framework.send
    monkeypatch.setattr(framework, "send", lambda array, dtype: send(array, "float32"))
    with pytest.raises(CrosscheckError, match=rf"{name} returned \S*float32 where float64"):
        framework.gradients(worked_example())


@pytest.mark.parametrize("enabled", [False, True], ids=["user-off", "user-on"])
def test_the_64_bit_switch_of_jax_stays_as_the_user_left_it(enabled: bool) -> None:
    framework = adapter("jax")
    jax, jnp = importlib.import_module("jax"), importlib.import_module("jax.numpy")
    outside = (jnp.ones(1).dtype, jax.config.jax_enable_x64)
    with jax.enable_x64(enabled):
        before = jnp.ones(1).dtype
        assert framework.gradients(worked_example()).loss == 2.0
        assert jnp.ones(1).dtype == before == (np.float64 if enabled else np.float32)
    with pytest.raises(UnsupportedError), jax.enable_x64(enabled):
        unsupported("jax", "eager").gradients(worked_example(dtype="float16"))
    assert (jnp.ones(1).dtype, jax.config.jax_enable_x64) == outside


# What cannot be done


def writing_relu_as(source: str, name: str, mode: str) -> Any:
    """An adapter with a formulation of its own."""
    adapter(name)  # skips where it is not installed
    return type("Other", (ADAPTERS[name],), {"formulations": {"other": source}})(mode=mode)


def unsupported(name: str, mode: str) -> Any:
    """An adapter whose formulation its framework does not have for 16 bits, or for XLA."""
    sources = {
        "torch": "torch.special.bessel_j0(z)",
        "tensorflow": "tf.math.special.bessel_j0(z)",
        "tensorflow-graph": "tf.linalg.inv(z)",
        "tensorflow-xla": "z + tf.strings.to_number(tf.strings.as_string(z), z.dtype)",
        "jax": "jnp.linalg.inv(z)",
    }
    source = sources.get(f"{name}-{mode}", sources[name])

    return writing_relu_as(source, name, mode)


@pytest.mark.parametrize(("name", "mode"), MODES)
def test_what_a_framework_lacks_is_unsupported_in_its_own_words(name: str, mode: str) -> None:
    words = {
        "torch": "not implemented for 'BFloat16'",
        "tensorflow": "Could not find device for node",
        "tensorflow-graph": "bfloat16 not in list of allowed values",
        "tensorflow-xla": "unsupported operations",
        "jax": "Unsupported dtype bfloat16",
    }
    dtype = "float32" if mode == "xla" else "bfloat16"
    with pytest.raises(UnsupportedError) as caught:
        unsupported(name, mode).gradients(worked_example(dtype=dtype))
    assert words.get(f"{name}-{mode}", words[name]) in str(caught.value)
    assert str(caught.value).startswith(f"{name}, {dtype}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "mode"), MODES)
def test_a_framework_that_fails_is_not_called_unsupported(name: str, mode: str) -> None:
    namespace = {"torch": "torch", "tensorflow": "tf", "jax": "jnp"}[name]
    failing = writing_relu_as(f"{namespace}.reshape(z, (7, 7))", name, mode)
    with pytest.raises(Exception, match=r"7|49") as caught:
        failing.gradients(worked_example())
    assert not isinstance(caught.value, CrosscheckError)


# The way there and back


def special_patterns(dtype: str) -> tuple[Any, Array]:
    """Bit patterns on which conversions go wrong, and the numbers that they stand for.

    All patterns where there are only 16 bits; of the NaNs the quiet ones without payload.
    """
    form = format_of(dtype)
    low = form.precision - 1  # bits of the fraction; the field of the exponent is above it
    width = {"float64": 64, "float32": 32}.get(dtype, 16)
    most = 2 ** (width - 1 - low) - 1
    if width == 16:
        magnitudes = np.arange(2**15, dtype=np.uint64)
        magnitudes = magnitudes[magnitudes <= most << low]
    else:
        rng = np.random.default_rng(0)
        subnormal = [*(1 << bit for bit in range(low)), *rng.integers(1, 1 << low, 1000)]
        normal = [1 << low, (1 << low) - 1, (most << low) - 1, (most // 2) << low]
        magnitudes = np.array([0, most << low, *normal, *subnormal], dtype=np.uint64)
    magnitudes = np.append(magnitudes, np.uint64((most << low) + (1 << (low - 1))))
    fraction = (magnitudes & np.uint64((1 << low) - 1)).astype(np.float64)
    exponent = (magnitudes >> np.uint64(low)).astype(np.int64)
    values = np.ldexp(fraction + 2.0**low * (exponent > 0), form.emin - low)
    values = np.ldexp(values, np.where(exponent < most, np.maximum(exponent - 1, 0), 0))
    values[magnitudes == most << low] = np.inf
    values[magnitudes > most << low] = np.nan
    patterns = np.concatenate([magnitudes, magnitudes | np.uint64(1 << (width - 1))])
    return patterns.astype(f"uint{width}"), np.concatenate([values, np.copysign(values, -1.0)])


def bits_inside(name: str, tensor: Any, width: int) -> Any:
    """The bits of ``tensor`` as its framework sees them."""
    if name == "torch":
        torch = importlib.import_module("torch")
        signed = tensor.view(getattr(torch, f"int{width}")).numpy()
        return signed.view(f"uint{width}")
    if name == "tensorflow":
        tf = importlib.import_module("tensorflow")
        return tf.bitcast(tensor, getattr(tf, f"uint{width}")).numpy()
    lax, jnp = importlib.import_module("jax.lax"), importlib.import_module("jax.numpy")
    return np.asarray(lax.bitcast_convert_type(tensor, jnp.dtype(f"uint{width}")))


def x64(name: str) -> AbstractContextManager[Any]:
    manager: AbstractContextManager[Any] = (
        importlib.import_module("jax").enable_x64(True) if name == "jax" else np.errstate()
    )
    return manager


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ADAPTERS)
def test_every_special_number_arrives_and_comes_back_bit_for_bit(name: str, dtype: str) -> None:
    framework, (patterns, values) = adapter(name), special_patterns(dtype)
    assert np.isnan(values).sum() == np.isinf(values).sum() == (values == 0.0).sum() == 2
    assert (np.abs(values[values != 0.0]) < format_of(dtype).smallest_normal).sum() > 200
    with x64(name):
        sent = framework.send(values, dtype)
        arrived = bits_inside(name, sent, 8 * patterns.itemsize)
        back = framework.fetch(sent, dtype)
    np.testing.assert_array_equal(arrived, patterns, strict=True)
    np.testing.assert_array_equal(bits(back), bits(values))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_subnormal_gradient_comes_back_whole_from_pytorch(dtype: str) -> None:
    tiny = format_of(dtype).smallest_subnormal
    case = Case.of([[[tiny]]], None, [[1.0]], [[0.0]], dtype=dtype, output="identity")
    found = adapter("torch").gradients(case)
    assert found.weights[0].item() == tiny


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ADAPTERS)
def test_infinity_and_nan_pass_through_a_gradient(name: str, dtype: str) -> None:
    case = Case.of([[[1.0]]], [[0.0]], [[1.0]], [[-np.inf]], dtype=dtype, output="identity")
    found = adapter(name).gradients(case)
    assert found.loss.item() == found.weights[0].item() == found.biases[0].item() == np.inf
    case = Case.of([[[1.0]]], [[0.0]], [[1.0]], [[np.nan]], dtype=dtype, output="identity")
    found = adapter(name).gradients(case)
    assert all(np.isnan(value).all() for _, value in found.entries())


def test_a_signalling_nan_raises_no_warning() -> None:
    signalling = np.array([[0x7FF0000000000001]], dtype=np.uint64).view(np.float64)
    for dtype in DTYPES:
        back = adapter("torch").fetch(adapter("torch").send(signalling, dtype), dtype)
        assert np.isnan(back).all()


@pytest.mark.parametrize(("name", "mode"), MODES)
def test_the_case_is_left_alone_and_the_result_is_the_callers_own(name: str, mode: str) -> None:
    case = WHOLE["two-layers"]
    before = {array_name: bits(array).copy() for array_name, array in case.entries()}
    found = adapter(name, mode).gradients(case)
    for _, gradient in found.entries():
        assert not any(np.shares_memory(gradient, array) for _, array in case.entries())
        gradient[...] = 99.0  # writable, and nothing else changes with it
    for array_name, array in case.entries():
        np.testing.assert_array_equal(bits(array), before[array_name])
    require_same(adapter(name, mode).gradients(case), exact_gradients(case))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ADAPTERS)
def test_what_is_sent_does_not_follow_a_later_change_of_the_array(name: str, dtype: str) -> None:
    framework = adapter(name)
    # Page-aligned memory of some size is what JAX would share rather than copy.
    array = np.ones((64, 1024))
    with x64(name):
        sent = framework.send(array, dtype)
        array[...] = 5.0
        assert (framework.fetch(sent, dtype) == 1.0).all()


@pytest.mark.parametrize("name", ADAPTERS)
def test_read_only_and_reversed_and_transposed_arrays_are_taken(name: str) -> None:
    case = WHOLE["two-layers"]
    arrays = [np.asfortranarray(case.weights[0]), case.weights[1][::-1, ::-1][::-1, ::-1]]
    for array in arrays:
        array.flags.writeable = False
    odd = Case(case.network, tuple(arrays), case.biases, case.x[::-1][::-1], case.y, case.dtype)
    require_same(adapter(name).gradients(odd), exact_gradients(case))


# The surroundings


@pytest.mark.parametrize("name", ADAPTERS)
def test_threads_do_not_disturb_each_other(name: str) -> None:
    framework = adapter(name)
    cases = [worked_example(dtype=dtype) for dtype in ("float64", "float32")] * 4
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(framework.gradients, cases))
    assert [gradients.weights[1].item() for gradients in found] == [4.0] * 8


@pytest.mark.parametrize("guard", ["no_grad", "inference_mode"])
def test_a_caller_that_has_switched_pytorchs_gradients_off_still_gets_them(guard: str) -> None:
    framework = adapter("torch")
    with getattr(importlib.import_module("torch"), guard)():
        found = framework.gradients(worked_example())
    assert found.weights[1].item() == 4.0


@pytest.mark.parametrize(("name", "mode"), COMPILED)
def test_a_compiled_mode_traces_once_for_each_shape_and_dtype(
    name: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter(name)
    framework = ADAPTERS[name](mode=mode)
    calls: list[int] = []
    right = framework.losses_of

    @functools.cache
    def counting(loss: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arrays: Any) -> Any:
            calls.append(1)
            return loss(*arrays)

        return counted

    monkeypatch.setattr(framework, "losses_of", lambda case: counting(right(case)))
    framework.gradients(worked_example())
    once = len(calls)
    assert once > 0
    for x in (1.0, 2.0, 3.0):
        framework.gradients(worked_example(x=x))
    assert len(calls) == once
    framework.gradients(worked_example(dtype="float32"))
    assert len(calls) == 2 * once


@pytest.mark.parametrize(
    ("imported", "given", "wanted"),
    [
        pytest.param(False, None, "3", id="unset"),
        pytest.param(False, "0", "0", id="set-by-the-user"),
        pytest.param(True, None, None, id="imported-before"),
    ],
)
def test_tensorflow_is_quieted_only_where_the_user_has_not_spoken(
    imported: bool, given: str | None, wanted: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter("tensorflow")
    tensorflow = importlib.import_module("tensorflow")
    variables = ("TF_CPP_MIN_LOG_LEVEL", "TF_FORCE_GPU_ALLOW_GROWTH")
    for variable in variables:
        monkeypatch.setenv(variable, "remembered, so that it is put back")
        monkeypatch.delenv(variable)
    if given is not None:
        monkeypatch.setenv(variables[0], given)
    if not imported:
        monkeypatch.delitem(sys.modules, "tensorflow")
        monkeypatch.setattr(importlib, "import_module", lambda name: tensorflow)
    TensorFlowFramework()
    assert os.environ.get(variables[0]) == wanted


@pytest.mark.parametrize("name", ADAPTERS)
def test_the_default_is_the_frameworks_own_relu(name: str) -> None:
    framework = adapter(name)
    assert framework.formulation == "relu"
    assert framework.mode == {"torch": "eager", "tensorflow": "eager", "jax": "jit"}[name]
    assert framework.versions()
