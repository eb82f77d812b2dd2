"""Functions written for JAX, as users write them: traced, with JAX's values and gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from crosscheck.frontends.jax_tracing import trace_jax
from crosscheck.frontends.traced import TracedFunction
from crosscheck.program.derive import vjp
from crosscheck.program.evaluate import evaluate
from crosscheck.program.floats import OnFloats
from crosscheck.tools.errors import UnsupportedError, UsageError
from crosscheck.tools.words import place_of

jax = pytest.importorskip("jax")
jnp = jax.numpy
nn, lax = jax.nn, jax.lax

FUNCTIONS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {}


def numbers(*shape: int) -> Any:
    """Numbers that are none of the breakpoints below, and no two of them equal."""
    count = int(np.prod(shape))
    return (np.random.default_rng(count).permutation(count) - count / 2 + 0.3).reshape(shape) / 4


def function(**arguments: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def kept(write: Callable[..., Any]) -> Callable[..., Any]:
        FUNCTIONS[write.__name__] = write, arguments
        return write

    return kept


X = numbers(3, 4)
W1, W2 = numbers(4, 5), numbers(5, 2)
IDS = np.array([0, 2, 2])
IMAGE = numbers(2, 5, 5, 2)


@function(x=X, w1=W1, b1=numbers(5), w2=W2)
def mlp(x: Any, w1: Any, b1: Any, w2: Any) -> Any:
    return nn.relu(x @ w1 + b1) @ w2


@function(params={"first": {"w": W1, "b": numbers(5)}, "second": {"w": W2}}, x=X)
def mlp_of_a_tree(params: Any, x: Any) -> Any:
    h = jnp.tanh(x @ params["first"]["w"] + params["first"]["b"])
    return jnp.mean((h @ params["second"]["w"]) ** 2)


@function(x=IMAGE, k=numbers(3, 3, 2, 3), b=numbers(3))
def cnn(x: Any, k: Any, b: Any) -> Any:
    y = lax.conv_general_dilated(x, k, (2, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    y = nn.relu(y + b)
    return lax.reduce_window(y, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "SAME")


@function(x=IMAGE, k=numbers(2, 2, 1, 4))
def grouped_and_dilated(x: Any, k: Any) -> Any:
    numbers_ = ("NHWC", "HWIO", "NHWC")
    y = lax.conv_general_dilated(
        x, k, (1, 1), ((1, 0), (0, 2)), lhs_dilation=(2, 1), rhs_dilation=(1, 2),
        dimension_numbers=numbers_, feature_group_count=2,
    )  # fmt: skip
    return lax.reduce_window(y, 0.0, lax.add, (1, 2, 2, 1), (1, 1, 1, 1), "VALID") / 4


@function(x=X, scale=numbers(4), bias=numbers(4))
def batch_norm(x: Any, scale: Any, bias: Any) -> Any:
    mean, var = jnp.mean(x, axis=0), jnp.var(x, axis=0)
    return (x - mean) * lax.rsqrt(var + 1e-5) * scale + bias


@function(x=X, scale=numbers(4), bias=numbers(4))
def layer_norm_as_in_flax(x: Any, scale: Any, bias: Any) -> Any:
    mu = jnp.mean(x, -1, keepdims=True)
    mu2 = jnp.mean(lax.square(x), -1, keepdims=True)
    var = jnp.maximum(0.0, mu2 - lax.square(mu))
    return (x - mu) * (lax.rsqrt(var + 1e-6) * scale) + bias


@function(x=numbers(2, 3, 4), wq=numbers(4, 4), wk=numbers(4, 4) / 3, wv=W1)
def masked_attention(x: Any, wq: Any, wk: Any, wv: Any) -> Any:
    q, k, v = ((x @ w).reshape(2, 3, 2, -1) for w in (wq, wk, wv[:, :4]))
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / jnp.sqrt(2.0)
    scores = jnp.where(jnp.tril(jnp.ones((3, 3), bool)), scores, -jnp.inf)
    return jnp.einsum("bhqk,bkhd->bqhd", nn.softmax(scores, axis=-1), v).reshape(2, 3, -1)


@function(q=numbers(1, 3, 2, 2), k=numbers(1, 3, 2, 2) / 2, v=numbers(1, 3, 2, 2) + 1)
def attention_of_jax(q: Any, k: Any, v: Any) -> Any:
    scores = jnp.where(jnp.tri(3, dtype=bool), jnp.einsum("bqhd,bkhd->bhqk", q, k), -1e9)
    return jnp.einsum("bhqk,bkhd->bqhd", nn.softmax(scores), v)


@function(x=numbers(3, 2, 4), w=numbers(4, 5), u=numbers(5, 5) / 9)
def scan_rnn(x: Any, w: Any, u: Any) -> Any:
    def step(h: Any, row: Any) -> Any:
        h = jnp.tanh(row @ w + h @ u)
        return h, h

    last, every = lax.scan(step, jnp.zeros((2, 5)), x)
    return last, every


@function(x=numbers(2, 3), w=numbers(3, 3) / 4)
def loop(x: Any, w: Any) -> Any:
    return lax.fori_loop(0, 3, lambda i, h: jnp.sin(h @ w) * (i + 1), x)


@function(table=numbers(4, 3), w=numbers(3, 5), ids=IDS, y=np.array([4, 0, 1]))
def embedding_and_log_softmax(table: Any, w: Any, ids: Any, y: Any) -> Any:
    log_p = nn.log_softmax(table[ids] @ w)
    return -jnp.mean(jnp.take_along_axis(log_p, y[:, None], axis=1))


@function(z=X, y=np.array([3, 0, 1]))
def cross_entropy_by_one_hot(z: Any, y: Any) -> Any:
    return jnp.mean(nn.logsumexp(z, axis=-1) - jnp.sum(z * nn.one_hot(y, 4), axis=-1))


@function(z=X, y=np.abs(X) / 2)
def binary_cross_entropy(z: Any, y: Any) -> Any:
    return jnp.sum(jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z))))


@function(a=X, y=X.T.reshape(3, 4))
def huber(a: Any, y: Any) -> Any:
    d = jnp.abs(a - y)
    return jnp.where(d <= 1.0, 0.5 * d**2, d - 0.5).mean()


@function(x=X * 3)
def activations_with_kinks(x: Any) -> Any:
    return (
        nn.relu6(x), nn.leaky_relu(x), nn.elu(x), nn.selu(x), nn.celu(x, 2.0), nn.hard_tanh(x),
        nn.hard_sigmoid(x), nn.hard_swish(x), x * (x > 0), jnp.clip(x, -1, 2),
        jnp.where(x > 1, x - 1, jnp.where(x < -1, x + 1, 0.0)), nn.squareplus(x),
    )  # fmt: skip


@function(x=X)
def smooth_activations(x: Any) -> Any:
    return (
        nn.gelu(x), nn.gelu(x, approximate=False), nn.silu(x), nn.softplus(x), nn.sigmoid(x),
        nn.log_sigmoid(x), nn.glu(x), nn.soft_sign(x), nn.mish(x), nn.standardize(x),
    )  # fmt: skip


@jax.custom_vjp  # type: ignore[untyped-decorator]
def scaled_sine(x: Any) -> Any:
    return jnp.sin(x) * 2.0


scaled_sine.defvjp(lambda x: (scaled_sine(x), x), lambda x, g: (2.0 * jnp.cos(x) * g,))


@jax.custom_jvp  # type: ignore[untyped-decorator]
def logarithm(x: Any) -> Any:
    return jnp.log(1.0 + jnp.exp(x))


logarithm.defjvps(lambda t, y, x: nn.sigmoid(x) * t)


@function(x=X)
def custom_derivatives(x: Any) -> Any:
    return scaled_sine(x) + logarithm(x)


@function(a=numbers(2, 3), b=numbers(3, 4), c=numbers(2, 4))
def einsums(a: Any, b: Any, c: Any) -> Any:
    return jnp.einsum("ij,jk,ik->", a, b, c), jnp.einsum("ij,jk->kij", a, b)


@function(x=X, y=numbers(2, 4))
def rearranged(x: Any, y: Any) -> Any:
    z = jnp.concatenate([x[::-1, 1:], jnp.roll(y, 1, axis=1)[:, :3]])
    z = jnp.pad(z, ((1, 0), (0, 2)), mode="edge") + jnp.tile(x[:1, :1], (6, 5))
    a, b = jnp.split(z, 2)
    return jnp.stack([a, b]).transpose(2, 0, 1), lax.dynamic_slice(z, (1, 1), (2, 3)), x.ravel()[3]


@function(x=X, v=numbers(2, 4), ids=np.array([1, 1]))
def scattered_to(x: Any, v: Any, ids: Any) -> Any:
    return x.at[ids].add(v), x.at[0].set(v[0]), jax.ops.segment_sum(v, ids, 3)


@function(x=X)
def sorted_and_summed_up(x: Any) -> Any:
    values, _ = lax.top_k(x, 2)
    return jnp.sort(x), values, jnp.cumsum(x, 1), jnp.prod(x[:, :2]), jnp.median(x), lax.cummax(x)


@function(x=X)
def extremes_and_norms(x: Any) -> Any:
    return jnp.max(x, 0), jnp.min(x), jnp.linalg.norm(x, axis=1), jnp.std(x), x[jnp.argmax(x[:, 0])]


@function(x=X)
def in_branches(x: Any) -> Any:
    y = lax.cond(x[0, 0] > 0, lambda a: a * 2, lambda a: -(a**2), x)
    return jnp.where(x > y, x * y, y), jnp.where((x > 0) & (y < 1), x, 0.0)


@function(x=X, w=W1)
def mapped_and_checkpointed(x: Any, w: Any) -> Any:
    @jax.checkpoint  # type: ignore[untyped-decorator]
    def layer(row: Any) -> Any:
        return jnp.exp(-(row @ w))

    return jax.vmap(layer)(x), jax.jit(jnp.tanh)(x)


@function(x=X)
def held_constant(x: Any) -> Any:
    e = jnp.exp(x - lax.stop_gradient(x.max(-1, keepdims=True)))
    return e / e.sum(-1, keepdims=True) + lax.stop_gradient(x) * x


@function(x=X, w=W1)
def powers(x: Any, w: Any) -> Any:
    size = jnp.abs(x) + 1.0
    return size**2.5, jnp.sqrt(size), x**3, 1 / size, size**-2, lax.rsqrt(size), jnp.square(w).sum()


@function(x=X)
def many_numbers_of_its_own(x: Any) -> Any:
    return x @ jnp.linspace(-1, 1, 40).reshape(4, 10)


@function(p=np.abs(X) + 0.1, q=np.abs(X.T.reshape(3, 4)) + 0.2)
def divergence(p: Any, q: Any) -> Any:
    p, q = p / p.sum(-1, keepdims=True), q / q.sum(-1, keepdims=True)
    return {"kl": (p * jnp.log(p / q)).sum(), "cosine": (p * q).sum() / jnp.sqrt((p**2).sum())}


def traced(name: str) -> tuple[TracedFunction, Mapping[str, Any], Callable[..., Any]]:
    write, arguments = FUNCTIONS[name]
    real = [key for key, value in arguments.items() if not is_known(value)]
    return trace_jax(write, arguments, traced=real), arguments, write


def is_known(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "i"


def leaves(tree: Any) -> list[Any]:
    return [np.asarray(each) for each in jax.tree_util.tree_leaves(tree)]


def in_order(arguments: Mapping[str, Any]) -> list[Any]:
    return [each for argument in arguments.values() for each in leaves(argument)]


SHORT = ("mlp", "masked_attention", "scan_rnn", "activations_with_kinks", "rearranged")
"""What is left of the functions where tests have to be short: JAX compiles each operation."""


@pytest.mark.parametrize(
    "name",
    [each if each in SHORT else pytest.param(each, marks=pytest.mark.long) for each in FUNCTIONS],
)
def test_the_program_has_jaxs_values_and_gradients(name: str) -> None:
    found, arguments, write = traced(name)
    real = {key: value for key, value in arguments.items() if not is_known(value)}
    with jax.enable_x64(True):
        others = {key: jnp.asarray(v) for key, v in arguments.items() if is_known(v)}
        given = jax.tree_util.tree_map(jnp.asarray, real)
        plain, back = jax.vjp(lambda real: write(**real, **others), given)
        seeds = [np.cos(1.0 + np.arange(each.size)).reshape(each.shape) for each in leaves(plain)]
        form = jax.tree_util.tree_structure(plain)
        (found_,) = back(jax.tree_util.tree_unflatten(form, map(jnp.asarray, seeds)))
    gradient = {key: found_[key] for key in real}
    names = [key for key in found.program.inputs if key not in found.constants]
    seeded = {key: f"seed {key}" for key in found.outputs}
    derived = vjp(found.program, seeded, names)
    arrays = dict(zip(names, in_order(real), strict=True)) | dict(found.constants)
    order = sorted(found.outputs) if isinstance(plain, dict) else found.outputs
    cotangents = dict(zip([seeded[key] for key in order], seeds, strict=True))
    values = evaluate(derived, OnFloats(), {**arrays, **cotangents})
    for key, wanted in zip(order, leaves(plain), strict=True):
        assert values[key].shape == wanted.shape
        np.testing.assert_allclose(values[key], wanted, rtol=1e-11, atol=1e-11, err_msg=key)
    for key, wanted in zip(names, in_order(gradient), strict=True):
        np.testing.assert_allclose(values[key], wanted, rtol=1e-10, atol=1e-10, err_msg=key)


def of(write: Callable[..., Any], x: Any, **known: Any) -> TracedFunction:
    return trace_jax(write, {"x": x, **known}, traced=["x"])


def value(found: TracedFunction, x: Any) -> Any:
    return evaluate(found.program, OnFloats(), {"x": x, **found.constants})["out"]


@pytest.mark.parametrize("start", [0.5, -2.0])
def test_a_loop_goes_on_until_its_condition_is_false(start: float) -> None:
    def doubled(x: Any) -> Any:
        return lax.while_loop(lambda s: jnp.abs(s) < 3, lambda s: 2 * s, x)

    found = of(doubled, np.array(start))
    assert value(found, np.array(start)) == doubled(jnp.asarray(start))
    assert len(found.comparisons) == (4 if start > 0 else 2)


KINKS = {
    "relu": (nn.relu, 1),
    "relu6": (nn.relu6, 2),
    "leaky_relu": (nn.leaky_relu, 1),
    "hard_tanh": (nn.hard_tanh, 2),
    "clip": (lambda x: jnp.clip(x, -1, 2), 2),
    "mask": (lambda x: x * (x > 0), 1),
    "abs": (jnp.abs, 1),
    "huber": (lambda x: jnp.where(jnp.abs(x) < 1, 0.5 * x**2, jnp.abs(x) - 0.5), 2),
}


@pytest.mark.parametrize("name", KINKS)
def test_a_choice_whose_sides_meet_is_one_function_with_kinks(name: str) -> None:
    write, count = KINKS[name]
    found = of(write, X)
    functions = [
        found.program.nodes[number].settings["function"]
        for number in found.program.needed
        if found.program.nodes[number].op == "piecewise"
    ]
    assert [len(each.breakpoints) for each in functions] == [count]
    assert found.comparisons == ()


def test_sides_that_are_other_functions_meet_too() -> None:
    found = of(nn.elu, X)
    assert found.comparisons == ()
    sites = {
        found.program.nodes[number].inputs
        for number in found.program.needed
        if found.program.nodes[number].op == "piecewise"
    }
    assert sites == {(found.program.inputs["x"],)}


@pytest.mark.parametrize(
    "write",
    [
        lambda x: jnp.where(x > 0, x + 1, x),
        lambda x: jnp.where(x > 0, jnp.exp(x), x),
        lambda x: jnp.where(x > 0, (x + 1) - 1, x[::-1]),
        lambda x: jnp.where(x.sum() > 0, x, -x),
        lambda x: x * jnp.floor(x),
    ],
    ids=["jump", "sides-apart", "another", "whole", "steps"],
)
def test_what_is_chosen_by_numbers_otherwise_is_noted(write: Callable[..., Any]) -> None:
    found = of(write, X)
    assert found.comparisons
    assert all(each.source is not None for each in found.comparisons)
    np.testing.assert_allclose(value(found, X), write(jnp.asarray(X)), rtol=1e-5)


def test_numbers_that_are_only_given_are_compared_without_a_note() -> None:
    def kept(x: Any, m: Any) -> Any:
        return jnp.where(m > 0.5, x, 0.0)

    found = trace_jax(kept, {"x": X, "m": np.abs(X)}, traced=["x"], fixed=["m"])
    assert found.comparisons == ()
    assert set(found.program.inputs) == {"x", "m"}


def test_a_step_is_told_by_the_line_and_the_expression() -> None:
    def layered(x: Any) -> Any:
        y = nn.relu(x * 2)
        return jnp.tanh(y) + nn.relu(y - 1)

    found = of(layered, X)
    texts = {each.text for each in found.sources.values()}
    assert {"nn.relu(x * 2)", "x * 2", "jnp.tanh(y)", "nn.relu(y - 1)"} <= texts
    assert {each.file for each in found.sources.values()} == {__file__}


def test_the_forward_pass_is_read_and_not_the_derivative_of_the_users() -> None:
    @jax.custom_vjp  # type: ignore[untyped-decorator]
    def wrong(x: Any) -> Any:
        return x * x

    wrong.defvjp(lambda x: (x * x, x), lambda x, g: (3 * x * g,))
    found = of(wrong, X)
    derived = vjp(found.program, {"out": "g"}, ["x"])
    values = evaluate(derived, OnFloats(), {"x": X, "g": np.ones_like(X)})
    assert np.array_equal(values["x"], 2 * X)


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda x: jax.scipy.special.gammaln(x), "lgamma: no rule for this primitive"),
        (lambda x: jnp.linalg.inv(x[:3, :3]), "no rule"),
        (lambda x: x**x, "pow: wanted one exponent"),
        (lambda x: jnp.fft.fft(x).real, "complex"),
        (lambda x: jnp.where(x > 0, x, -jnp.inf), "infinite"),
    ],
    ids=["gammaln", "inverse", "power", "fourier", "infinite"],
)
def test_what_has_no_rule_is_refused_with_the_line(write: Callable[..., Any], words: str) -> None:
    with pytest.raises(UnsupportedError, match=words) as caught:
        of(write, X)
    assert "\n" not in str(caught.value)


def test_a_refusal_names_the_line_of_the_user() -> None:
    with pytest.raises(UnsupportedError) as caught:
        of(lambda x: jax.scipy.special.gammaln(x), X)
    assert str(caught.value).startswith(place_of(__file__, 1)[:-1])


def test_what_the_user_does_wrong_is_said() -> None:
    with pytest.raises(UnsupportedError, match="depends on the numbers"):
        of(lambda x: x if x.sum() > 0 else -x, X)
    with pytest.raises(UsageError, match="raised TypeError"):
        of(lambda x: x @ numbers(5, 2), X)
    with pytest.raises(UsageError, match="'y' is no argument"):
        trace_jax(jnp.sin, {"x": X}, traced=["y"])
    with pytest.raises(UsageError, match="wanted real numbers"):
        of(jnp.sin, X + 1j)
    with pytest.raises(UsageError, match="no array of real numbers"):
        of(lambda x: jnp.argmax(x), X)
