"""Formulas as people spell them, and float32 implementations that are written otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from crosscheck.frontends import verbs as v
from crosscheck.frontends.traced import TracedFunction
from crosscheck.numbers.piecewise import Piecewise
from crosscheck.program.graph import Graph, Var

Implementation = Callable[..., Iterator[tuple[str, Any, tuple[Any, ...]]]]
"""Of arrays and a cotangent, with an axis over cases in front: name, value, derivatives."""

ABSOLUTE = Piecewise(
    "abs", "|z|", (Fraction(0),), ((Fraction(0), Fraction(-1)), (Fraction(0), Fraction(1)))
)
HALF = Fraction(1, 2)
EPS = 1e-5
LABELS = [0, 2, 1, 1]
f32 = np.float32


def traced(formula: Callable[..., Var], **shapes: tuple[int, ...]) -> TracedFunction:
    """A formula as a frontend would hand it over."""
    graph = Graph()
    inputs = {name: graph.leaf(name, shape) for name, shape in shapes.items()}
    return TracedFunction("f", graph.program(inputs, {"out": formula(**inputs)}), ("out",))


def number(x: Var, value: float) -> Var:
    found = v.constant(x.graph, value)
    assert found is not None
    return found


def one(x: Var) -> Var:
    return number(x, 1.0)


def exp(x: Var) -> Var:
    return v.elementary("exp", x)


def log(x: Var) -> Var:
    return v.elementary("log", x)


def largest(x: Var, axis: Any = -1) -> Var:
    return v.extreme_along(x, axis, 1, True)


def softmax(x: Var, axis: Any = -1) -> Var:
    e = exp(v.subtract(x, largest(x, axis)))
    return v.divide(e, v.sum_along(e, axis, True))


def softmax_held(x: Var) -> Var:
    e = exp(v.subtract(x, largest(x).held()))
    return v.divide(e, v.sum_along(e, -1, True))


def softmax_transposed(x: Var) -> Var:
    e = exp(v.subtract(x, largest(x)))
    return v.divide(e.transposed, v.sum_along(e, -1)).transposed


def softmax_plain(x: Var) -> Var:
    e = exp(x)
    return v.divide(e, v.sum_along(e, -1, True))


MASK = np.array([[True, False, True], [True, True, True]])


def masked(x: Var, mask: Any = MASK) -> Var:
    """As a frontend reads e^(x - max x) of an x that is -∞ in places."""

    def kept(each: Var) -> Var:
        return v.moved(each, lambda places: np.where(mask, places, -1))

    first = np.arange(mask.size).reshape(mask.shape)
    table = np.where(mask, first, np.where(mask, first, -1).max(-1, keepdims=True))
    m = v.moved(x, lambda places: places.ravel()[table]).maximum().expand(-1)
    e = kept(exp(v.subtract(x, m)))
    return v.divide(e, v.sum_along(e, -1, True))


def causal_attention(q: Var, k: Var, w: Var) -> Var:
    scores = v.divide(v.matmul(q, v.transposed(k)), number(q, 3**0.5))
    return v.matmul(masked(scores, np.tril(np.ones((4, 4), dtype=bool))), w)


def softmax_of_all(x: Var) -> Var:
    e = exp(v.subtract(x, largest(x, None)))
    return v.multiply(e, v.divide(one(x), v.sum_along(e, -1, True)))


def log_sum_exp(x: Var) -> Var:
    m = largest(x)
    return v.add(log(v.sum_along(exp(v.subtract(x, m)), -1, True)), m)


def log_softmax(x: Var) -> Var:
    d = v.subtract(x, largest(x))
    return v.subtract(d, log(v.sum_along(exp(d), -1, True)))


def sigmoid(x: Var) -> Var:
    return v.divide(one(x), v.add(one(x), exp(x.times(-1))))


def standardized(x: Var, axis: int) -> Var:
    d = v.subtract(x, v.mean(x, axis, True))
    variance = v.mean(v.multiply(d, d), axis, True)
    return v.divide(d, v.elementary("sqrt", v.add(variance, number(x, EPS))))


def layer_norm(x: Var, w: Var, b: Var) -> Var:
    return v.add(v.multiply(w, standardized(x, -1)), b)


def batch_norm(x: Var, w: Var, b: Var) -> Var:
    d = v.subtract(x, v.mean(x, 0, True))
    root = v.elementary("rsqrt", v.add(v.mean(v.power(d, 2), 0, True), number(x, EPS)))
    return v.add(v.multiply(v.multiply(d, root), w), b)


def rms_norm(x: Var, w: Var) -> Var:
    mean = v.mean(v.power(x, 2), -1, True)
    return v.multiply(v.multiply(x, v.elementary("rsqrt", v.add(mean, number(x, EPS)))), w)


def unit_length(x: Var) -> Var:
    return v.divide(x, v.elementary("sqrt", v.sum_along(v.multiply(x, x), -1, True)))


def cross_entropy(x: Var, y: Var) -> Var:
    return v.mean(v.sum_along(v.multiply(y, log_softmax(x)), -1)).times(-1)


def picked(x: Var) -> Var:
    shares = v.moved(softmax(x), lambda places: places[np.arange(4), LABELS])
    return v.mean(log(shares)).times(-1)


def binary(x: Var, y: Var) -> Var:
    p, ones = sigmoid(x), one(x)
    first = v.multiply(y, log(p))
    return v.mean(v.add(first, v.multiply(v.subtract(ones, y), log(v.subtract(ones, p))))).times(-1)


def binary_of_logits(x: Var, y: Var) -> Var:
    corner = v.extreme(x, number(x, 0.0), 1)
    rest = v.elementary("log1p", exp(x.piecewise(ABSOLUTE).times(-1)))
    return v.mean(v.add(v.subtract(corner, v.multiply(x, y)), rest))


def attention(q: Var, k: Var, w: Var) -> Var:
    scores = v.divide(v.matmul(q, v.transposed(k)), number(q, 3**0.5))
    return v.matmul(softmax(scores), w)


def gelu(x: Var) -> Var:
    inner = v.elementary("erf", v.divide(x, number(x, 2**0.5)))
    return v.multiply(v.multiply(number(x, 0.5), x), v.add(one(x), inner))


def gelu_tanh(x: Var) -> Var:
    cubic = v.add(x, v.multiply(number(x, 0.044715), v.power(x, 3)))
    inner = v.elementary("tanh", v.multiply(number(x, (2 / np.pi) ** 0.5), cubic))
    return v.multiply(v.multiply(number(x, 0.5), x), v.add(one(x), inner))


def tanh_of_powers(x: Var) -> Var:
    up, down = exp(x), exp(x.times(-1))
    return v.divide(v.subtract(up, down), v.add(up, down))


OF_ROWS: Mapping[str, Callable[[Var], Var]] = {
    "softmax": softmax,
    "softmax held": softmax_held,
    "softmax along the first axis": lambda x: softmax(x, 0),
    "softmax along both axes": lambda x: softmax(x, (0, 1)),
    "softmax transposed": softmax_transposed,
    "softmax plain": softmax_plain,
    "softmax shifted by all": softmax_of_all,
    "log_sum_exp": log_sum_exp,
    "log_sum_exp plain": lambda x: log(v.sum_along(exp(x), -1, True)),
    "log_softmax": log_softmax,
    "log_softmax late": lambda x: v.subtract(x, log_sum_exp(x)),
    "log_softmax parted": lambda x: v.subtract(
        v.subtract(x, largest(x)),
        log(v.sum_along(exp(v.subtract(x, largest(x))), -1, True)),
    ),
    "log_softmax of shares": lambda x: log(softmax(x)),
    "softmax of logarithms": lambda x: exp(log_softmax(x)),
    "softmax called": lambda x: x.softmax(),
    "softmax masked": lambda x: masked(x),
    "log_softmax called": lambda x: x.log_softmax(),
    "log_softmax less": lambda x: v.subtract(x, x.log_sum_exp()),
    "log_softmax of softmax": lambda x: log(x.softmax()),
    "log_sum_exp called": lambda x: x.log_sum_exp(),
}
"""Each to the compound that its name begins with."""

OF_ONE: Mapping[str, Callable[[Var], Var]] = {
    "sigmoid": sigmoid,
    "sigmoid of powers": lambda x: v.divide(exp(x), v.add(exp(x), one(x))),
    "sigmoid of tanh": lambda x: v.add(v.elementary("tanh", x.times(HALF)), one(x)).times(HALF),
    "sigmoid from the other side": lambda x: v.subtract(one(x), sigmoid(x)),
    "tanh of powers": tanh_of_powers,
    "tanh of sigmoid": lambda x: v.subtract(sigmoid(x.times(2)).times(2), one(x)),
    "tanh of doubles": lambda x: v.divide(
        v.subtract(exp(x.times(2)), one(x)), v.add(exp(x.times(2)), one(x))
    ),
    "softplus": lambda x: log(v.add(one(x), exp(x))),
    "softplus by log1p": lambda x: v.elementary("log1p", exp(x)),
    "softplus with corners": lambda x: v.add(
        v.extreme(x, number(x, 0.0), 1),
        v.elementary("log1p", exp(x.piecewise(ABSOLUTE).times(-1))),
    ),
    "softplus beside zero": lambda x: v.joined(
        [x.expand(-1), x.graph.zeros((2, 3, 1))], 2
    ).log_sum_exp(),
    "softplus of sigmoid": lambda x: log(sigmoid(x)).times(-1),
    "silu": lambda x: v.multiply(x, sigmoid(x)),
    "silu as a quotient": lambda x: v.divide(x, v.add(one(x), exp(x.times(-1)))),
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "expm1": lambda x: v.subtract(exp(x), one(x)),
    "rsqrt": lambda x: v.divide(one(x), v.elementary("sqrt", v.add(v.multiply(x, x), one(x)))),
    "log1p": lambda x: log(v.add(one(x), v.multiply(x, x))),
}
"""Each to the function that its name begins with; of one operand of shape (2, 3)."""


# -- implementations in NumPy --------------------------------------------------------------------


def shares(x: Any, axis: int = -1) -> Any:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def total(x: Any) -> Any:
    return x.sum(-1, keepdims=True)


def of_softmax(x: Any, g: Any) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    y = shares(x)
    yield "at once", y, (y * (g - total(g * y)),)
    yield "two products", y, (y * g - y * total(y * g),)
    jacobian = (
        y[..., :, None] * np.eye(x.shape[-1], dtype=x.dtype) - y[..., :, None] * y[..., None, :]
    )
    yield "jacobian", y, ((jacobian @ g[..., None])[..., 0],)
    d = x - x.max(-1, keepdims=True)
    e = np.exp(d)
    s = total(e)
    by_d = (g / s - total(g * e) / (s * s)) * e
    yield "step by step", e / s, (by_d,)
    tied = d == 0
    rest = total(by_d) / tied.sum(-1, keepdims=True).astype(x.dtype)
    yield "through the shift", e / s, (by_d - tied * rest,)
    first = np.arange(x.shape[-1]) == x.argmax(-1)[..., None]
    yield "through the first", e * (1 / s), (by_d - first * total(by_d),)
    y = np.exp(d - np.log(s))
    yield "of logarithms", y, (g * y - y * total(g * y),)


def of_log_softmax(x: Any, g: Any) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    m = x.max(-1, keepdims=True)
    e = np.exp(x - m)
    s = total(e)
    y = x - m - np.log(s)
    yield "shares", y, (g - e / s * total(g),)
    yield "powers", y, (g - np.exp(y) * total(g),)
    late = x - (m + np.log(s))
    yield "late", late, (g - e * (total(g) / s),)
    yield "late powers", late, (g - np.exp(late) * total(g),)


def of_log_sum_exp(x: Any, g: Any) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    m = x.max(-1, keepdims=True)
    e = np.exp(x - m)
    y, g = m + np.log(total(e)), g[..., :1]
    yield "shares", y, (g * (e / total(e)),)
    yield "powers", y, (g * np.exp(x - y),)


def of_sigmoid(x: Any, g: Any) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    y = logistic(x)
    yield "result", y, (g * y * (1 - y),)
    yield "squares", y, (g * (y - y * y),)
    e = np.exp(-x)
    yield "step by step", 1 / (1 + e), (g * e / ((1 + e) * (1 + e)),)
    y = f32(0.5) * (1 + np.tanh(f32(0.5) * x))
    yield "tanh", y, (y * (1 - y) * g,)


def logistic(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def of_tanh(x: Any, g: Any) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    y = np.tanh(x)
    yield "squares", y, (g * (1 - y * y),)
    yield "two factors", y, (g * ((1 - y) * (1 + y)),)
    y = 2 * logistic(2 * x) - 1
    yield "sigmoid", y, (g * (1 - y**2),)


def of_softplus(x: Any, g: Any) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    e = np.exp(x)
    yield "logarithm", np.log(1 + e), (g * logistic(x),)
    yield "step by step", np.log1p(e), (g / (1 + e) * e,)
    stable = np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
    yield "stable", stable, (g * np.exp(x - stable),)


def of_stable_softplus(x: Any, g: Any) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    e = np.exp(-np.abs(x))
    own = np.maximum(x, 0) + np.log1p(e)
    yield "corners", own, (g * logistic(x),)
    yield "powers", own, (g * np.exp(x - own),)
    yield "sides", own, (g * np.where(x >= 0, 1 / (1 + e), e / (1 + e)),)
    yield "logaddexp", np.logaddexp(x, f32(0)), (g * logistic(x),)


def of_silu(x: Any, g: Any) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    s = logistic(x)
    y = x * s
    yield "parts", y, (g * (s + x * s * (1 - s)),)
    yield "result", y, (g * (y + s * (1 - y)),)
    yield "quotient", x / (1 + np.exp(-x)), (g * s * (1 + x * (1 - s)),)


def of_gelu_tanh(x: Any, g: Any) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    c, a = f32((2 / np.pi) ** 0.5), f32(0.044715)
    t = np.tanh(c * (x + a * x**3))
    half = f32(0.5)
    slope = half * (1 + t) + half * x * (1 - t * t) * c * (1 + 3 * a * x * x)
    yield "powers", half * x * (1 + t), (g * slope,)
    t = np.tanh(x * c * (1 + a * x * x))
    yield "factors", half * x * (1 + t), (g * slope,)


def of_expm1(x: Any, g: Any) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    yield "itself", np.expm1(x), (g * (np.expm1(x) + 1),)
    yield "difference", np.exp(x) - 1, (g * np.exp(x),)


def of_norm(axis: int) -> Implementation:
    def found(x: Any, w: Any, b: Any, g: Any) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
        n, w, b = x.shape[axis], w[:, None], b[:, None]

        def mean(a: Any) -> Any:
            return a.mean(axis, keepdims=True)

        def along(a: Any) -> Any:
            return a.sum(axis, keepdims=True)

        d, by = x - mean(x), g * w
        variance = mean(d * d)
        root = np.sqrt(variance + f32(EPS))
        for name, r in (("root", 1 / root), ("power", (variance + f32(EPS)) ** f32(-0.5))):
            h = d * r
            of_rows = (g * h).sum(1), g.sum(1)
            yield name, w * h + b, (r * (by - mean(by) - h * mean(by * h)), *of_rows)
            sums = n * by - along(by) - h * along(by * h)
            yield f"{name}, n times", w * h + b, (f32(1) / n * r * sums, *of_rows)
            of_variance = along(by * d * f32(-0.5) * r**3)
            of_mean = along(by * -r) + of_variance * mean(-2 * d)
            staged = by * r + of_variance * 2 * d / n + of_mean / n
            yield f"{name}, staged", x * (r * w) + (b - mean(x) * r * w), (staged, *of_rows)
        h = d / root
        each = by / root + 2 * d * (f32(0.5) / root * (-1 / (root * root)) * along(by * d) / n)
        yield "backwards", h * w + b, (each - along(each) / n, (g * h).sum(1), g.sum(1))

    return found


def of_rms_norm(x: Any, w: Any, g: Any) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    w = w[:, None]
    r = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + f32(EPS))
    h, by = x * r, g * w
    yield "result", h * w, (r * (by - h * (by * h).mean(-1, keepdims=True)), (g * h).sum(1))
    cubes = by * r - x * (r**3 / 3) * total(by * x)
    yield "cubes", x * w * r, (cubes, (g * x * r).sum(1))


def of_unit_length(x: Any, g: Any) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    size = np.sqrt(total(x * x))
    y = x / size
    yield "result", y, ((g - y * total(g * y)) / size,)
    yield "cubes", y, (g / size - x * (total(g * x) / size**3),)


def of_cross_entropy(x: Any, y: Any, g: Any) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    g, p = g[:, None, None], shares(x)
    d = x - x.max(-1, keepdims=True)
    log_p = d - np.log(total(np.exp(d)))
    less = p * total(y) - y
    yield "first", -(y * log_p).sum((-1, -2)) / 4, (less * (g / 4), -g / 4 * log_p)
    yield "last", -(y * log_p).sum(-1).mean(-1), (less / 4 * g, -g * log_p / 4)


def of_picked(x: Any, g: Any) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    p, rows = shares(x), np.arange(4)
    less = p.copy()
    less[:, rows, LABELS] -= 1
    yield "ones less", -np.log(p[:, rows, LABELS]).mean(-1), (less / 4 * g[:, None, None],)


def of_binary(x: Any, y: Any, g: Any) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    p, g = logistic(x), g[:, None, None]
    stable = (np.maximum(x, 0) - x * y + np.log1p(np.exp(-np.abs(x)))).mean((-1, -2))
    yield "stable", stable, ((p - y) / 12 * g, -x * g / 12)


def of_causal(q: Any, k: Any, w: Any, g: Any) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    yield from of_attention(q, k, w, g, np.tril(np.ones((4, 4), dtype=bool)))


def of_attention(
    q: Any, k: Any, w: Any, g: Any, mask: Any = True
) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    def turned(a: Any) -> Any:
        return np.swapaxes(a, -1, -2)

    c = f32(3**-0.5)
    for name, scores in (
        ("scores", q @ turned(k) / f32(3**0.5)),
        ("one", (q * c) @ turned(k)),
        ("both", (q * f32(3**-0.25)) @ turned(k * f32(3**-0.25))),
    ):
        p = shares(np.where(mask, scores, f32(-np.inf)))
        y, by_p = p @ w, g @ turned(w)
        by = p * (by_p - total(p * by_p)) * c
        yield name, y, (by @ k, turned(by) @ q, turned(p) @ g)
        by = p * (by_p - total(g * y))
        yield f"{name}, kernel", y, (by @ k * c, turned(by) @ q * c, turned(p) @ g)


Spelled = tuple[Callable[..., Var], Mapping[str, tuple[int, ...]], Implementation]

SPELLED: Mapping[str, Spelled] = {
    **{
        f"rows: {name}": (OF_ROWS[name], {"x": (2, 3)}, how)
        for name, how in (
            ("softmax", of_softmax),
            ("softmax held", of_softmax),
            ("softmax called", of_softmax),
            ("log_softmax less", of_log_softmax),
            ("log_sum_exp called", of_log_sum_exp),
            ("softmax plain", of_softmax),
            ("softmax of logarithms", of_softmax),
            ("log_softmax", of_log_softmax),
            ("log_softmax of shares", of_log_softmax),
            ("log_sum_exp", of_log_sum_exp),
        )
    },
    **{
        f"one: {name}": (OF_ONE[name], {"x": (2, 3)}, how)
        for name, how in (
            ("sigmoid", of_sigmoid),
            ("sigmoid of tanh", of_sigmoid),
            ("tanh of powers", of_tanh),
            ("softplus", of_softplus),
            ("softplus with corners", of_stable_softplus),
            ("silu", of_silu),
            ("gelu_tanh", of_gelu_tanh),
            ("expm1", of_expm1),
        )
    },
    "layer norm": (layer_norm, {"x": (4, 3), "w": (3,), "b": (3,)}, of_norm(-1)),
    "batch norm": (batch_norm, {"x": (4, 3), "w": (3,), "b": (3,)}, of_norm(-2)),
    "rms norm": (rms_norm, {"x": (4, 3), "w": (3,)}, of_rms_norm),
    "unit length": (unit_length, {"x": (4, 3)}, of_unit_length),
    "cross-entropy": (cross_entropy, {"x": (4, 3), "y": (4, 3)}, of_cross_entropy),
    "picked": (picked, {"x": (4, 3)}, of_picked),
    "binary": (binary, {"x": (4, 3), "y": (4, 3)}, of_binary),
    "binary of logits": (binary_of_logits, {"x": (4, 3), "y": (4, 3)}, of_binary),
    "attention": (attention, {"q": (4, 3), "k": (4, 3), "w": (4, 3)}, of_attention),
    "causal attention": (causal_attention, {"q": (4, 3), "k": (4, 3), "w": (4, 3)}, of_causal),
}
"""Formula, shapes, and those who compute it otherwise."""
