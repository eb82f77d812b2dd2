"""Functions as people write them in NumPy, each with the shapes of its arguments."""

# mypy: ignore-errors

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

FORMULAS: list[Formula] = []


@dataclass(frozen=True)
class Formula:
    """A function, and on what it is tried.

    Attributes:
        function: The function.
        shapes: Of its arrays of real numbers, by name.
        static: Its other arguments.
        fixed: Arrays that nothing is differentiated by.
        positive: Whether the arrays are of positive numbers.
    """

    function: Callable[..., Any]
    shapes: dict[str, tuple[int, ...]]
    static: dict[str, Any] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()
    positive: bool = False

    def arrays(self, seed: int = 0) -> dict[str, Any]:
        """Numbers for it: none of them ties or zero."""
        draw = np.random.default_rng(seed)
        found = {name: draw.normal(size=shape) for name, shape in self.shapes.items()}
        return {k: np.abs(v) + 0.5 for k, v in found.items()} if self.positive else found


def tried_on(
    shapes: str, fixed: str = "", positive: bool = False, **static: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``"x:2,3 b:3"`` says that x has the shape (2, 3) and b (3,)."""
    pairs = [each.split(":") for each in shapes.split()]
    sizes = {name: tuple(int(n) for n in size.split(",") if n) for name, size in pairs}

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        FORMULAS.append(Formula(function, sizes, static, tuple(fixed.split()), positive))
        return function

    return decorate


# -- layers ------------------------------------------------------------------------------------


@tried_on("x:4,3 w:2,3 b:2")
def dense(x, w, b):
    return x @ w.T + b


@tried_on("x:2,3 w:3,2 b:2")
def dense_by_loops(x, w, b):
    n, m = x.shape[0], w.shape[1]
    out = np.zeros((n, m))
    for i in range(n):
        for j in range(m):
            for k in range(len(w)):
                out[i, j] += x[i, k] * w[k, j]
            out[i, j] += b[j]
    return out


@tried_on("x:3,2,2 w:4,5 b:5")
def affine_flattened(x, w, b):
    rows = x.reshape(x.shape[0], -1)
    return rows.dot(w) + b


@tried_on("x:4,3 w1:3,5 b1:5 w2:5,2 b2:2")
def two_layers(x, w1, b1, w2, b2):
    hidden = np.maximum(0, x.dot(w1) + b1)
    scores = hidden.dot(w2) + b2
    loss = 0.5 * np.sum(scores**2) / x.shape[0]
    loss += 0.5 * 0.1 * (np.sum(w1 * w1) + np.sum(w2 * w2))
    return loss


@tried_on("x:2,2,4,4 w:3,2,3,3 b:3")
def convolution_by_loops(x, w, b, stride=1, pad=1):
    n, _, height, width = x.shape
    filters, _, rows, columns = w.shape
    down = 1 + (height + 2 * pad - rows) // stride
    across = 1 + (width + 2 * pad - columns) // stride
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode="constant")
    out = np.zeros((n, filters, down, across))
    for i in range(n):
        for f in range(filters):
            for r in range(down):
                for c in range(across):
                    top, left = r * stride, c * stride
                    window = padded[i, :, top : top + rows, left : left + columns]
                    out[i, f, r, c] = np.sum(window * w[f]) + b[f]
    return out


@tried_on("x:2,2,5,5 w:3,2,3,3 b:3")
def convolution_by_columns(x, w, b):
    n, c, h, k = *x.shape[:3], w.shape[2]
    size = h - k + 1
    columns = np.zeros((n, c, k, k, size, size))
    for i in range(k):
        for j in range(k):
            columns[:, :, i, j, :, :] = x[:, :, i : i + size, j : j + size]
    columns = columns.transpose(0, 4, 5, 1, 2, 3).reshape(n * size * size, -1)
    out = np.dot(columns, w.reshape(len(w), -1).T) + b
    return out.reshape(n, size, size, -1).transpose(0, 3, 1, 2)


@tried_on("x:2,5 w:3")
def convolution_by_windows(x, w):
    return np.lib.stride_tricks.sliding_window_view(x, 3, axis=1) @ w


@tried_on("x:2,6 w:2")
def convolution_by_strides(x, w):
    n, size = x.shape
    a, b = x.strides
    windows = np.lib.stride_tricks.as_strided(x, (n, size // 2, 2), (a, 2 * b, b))
    return np.einsum("nsk,k->ns", windows, w)


@tried_on("x:2,4,4")
def pooling_by_loops(x):
    out = np.empty((x.shape[0], 2, 2))
    for i in range(2):
        for j in range(2):
            out[:, i, j] = np.max(x[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2], axis=(1, 2))
    return out


@tried_on("x:2,4,4")
def pooling_by_reshape(x):
    where = np.argmax(x, axis=1)  # kept for the backward pass
    return x.reshape(2, 2, 2, 2, 2).max(axis=4).mean(axis=2), where


@tried_on("x:3,4 h:3,2 c:3,2 wx:4,8 wh:2,8 b:8")
def lstm_step(x, h, c, wx, wh, b):
    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    i, f, o, g = np.split(x @ wx + h @ wh + b, 4, axis=1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return {"h": sigmoid(o) * np.tanh(c), "c": c}


@tried_on("x:3,4 wx:4,2 wh:2,2 b:2")
def recurrence(x, wx, wh, b):
    steps, size = len(x), len(wh)
    h = np.zeros((steps + 1, size))
    for t in range(steps):
        h[t + 1] = np.tanh(x[t].dot(wx) + h[t].dot(wh) + b)
    return h[1:]


@tried_on("x:3,2 h:2 wz:4,2 wr:4,2 wh:4,2")
def gated_unit(x, h, wz, wr, wh):
    outputs = []
    for row in x:
        both = np.concatenate([row, h])
        z, r = (1.0 / (1.0 + np.exp(-np.dot(both, w))) for w in (wz, wr))
        new = np.tanh(np.hstack((row, r * h)) @ wh)
        h = (1 - z) * h + z * new
        outputs.append(h)
    return np.array(outputs)


@tried_on("q:2,3,4 k:2,3,4 v:2,3,4")
def causal_attention(q, k, v):
    scores = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])
    mask = np.triu(np.ones(scores.shape[-2:], dtype=bool), 1)
    scores = np.where(mask, -1e9, scores)
    scores = scores - scores.max(-1, keepdims=True)
    weights = np.exp(scores)
    weights /= weights.sum(-1, keepdims=True)
    return weights @ v


@tried_on("x:3,4 wq:4,4 wk:4,4 wv:4,4")
def attention_of_heads(x, wq, wk, wv, heads=2):
    def split(y):
        return y.reshape(len(y), heads, -1).swapaxes(0, 1)

    q, k, v = split(x @ wq), split(x @ wk), split(x @ wv)
    scores = np.einsum("hid,hjd->hij", q, k) * q.shape[-1] ** -0.5
    e = np.exp(scores - np.amax(scores, axis=-1, keepdims=True))
    p = e / np.sum(e, axis=-1, keepdims=True)
    return np.moveaxis(np.einsum("hij,hjd->hid", p, v), 0, 1).reshape(len(x), -1)


@tried_on("table:5,3", ids=np.array([[0, 2, 2], [4, 0, 1]]))
def embedding(table, ids):
    return table[ids].mean(axis=1)


@tried_on("x:5,3 gamma:3 beta:3")
def batch_norm(x, gamma, beta, eps=1e-5):
    mean, variance = x.mean(axis=0), x.var(axis=0)
    normalised = (x - mean) / np.sqrt(variance + eps)
    return gamma * normalised + beta


@tried_on("x:3,4 gamma:4 beta:4")
def layer_norm(x, gamma, beta):
    centred = x - np.mean(x, axis=-1, keepdims=True)
    deviation = np.std(x, axis=-1, keepdims=True)
    return gamma * centred / (deviation + 1e-6) + beta


@tried_on("x:2,4,3 g:4")
def group_norm(x, g):
    n, c, size = x.shape
    groups = x.reshape(n, 2, -1)
    groups = (groups - groups.mean(2)[..., None]) / np.sqrt(groups.var(2, ddof=1)[..., None] + 1e-5)
    return groups.reshape(n, c, size) * g[None, :, np.newaxis]


@tried_on("x:3,4 g:4")
def rms_norm(x, g):
    return x / np.sqrt(np.mean(np.square(x), -1, keepdims=True) + 1e-6) * g


@tried_on("x:4,3 mask:4,3", fixed="mask")
def dropout_with_mask(x, mask):
    keep = (mask > 0.2) / 0.8
    return x * keep


# -- losses ------------------------------------------------------------------------------------


@tried_on("z:4,3", y=np.array([0, 2, 1, 2]))
def softmax_loss(z, y):
    n = z.shape[0]
    z -= z.max(axis=1, keepdims=True)
    p = np.exp(z)
    p /= p.sum(axis=1, keepdims=True)
    return -np.log(p[np.arange(n), y]).sum() / n


@tried_on("x:4,3 w:3,5", y=np.array([4, 2, 1, 2]))
def softmax_loss_by_loops(x, w, y):
    loss = 0.0
    for i in range(x.shape[0]):
        scores = x[i].dot(w)
        scores = scores - np.max(scores)
        loss += -scores[y[i]] + np.log(np.sum(np.exp(scores)))
    return loss / len(x) + 0.1 * np.sum(w * w)


@tried_on("x:4,3 w:3,5", y=np.array([4, 2, 1, 2]))
def hinge_loss(x, w, y):
    scores = x @ w
    right = scores[np.arange(len(x)), y].reshape(-1, 1)
    margins = np.maximum(0, scores - right + 1.0)
    margins[np.arange(len(x)), y] = 0
    return np.mean(np.sum(margins, axis=1))


@tried_on("z:5 t:5", fixed="t")
def binary_cross_entropy(z, t):
    targets = (t > 0).astype(float)
    p = 1 / (1 + np.exp(-z))
    return -np.mean(targets * np.log(p + 1e-12) + (1 - targets) * np.log(1 - p + 1e-12))


@tried_on("z:5 t:5")
def stable_binary_cross_entropy(z, t):
    return np.mean(np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z))))


@tried_on("a:4,2 y:4,2")
def huber(a, y):
    d = np.abs(a - y)
    return np.where(d <= 1.0, 0.5 * d**2, d - 0.5).sum()


@tried_on("a:3,4 b:3,4")
def cosine_distance(a, b):
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return 1 - np.sum(a * b, axis=1) / norms


@tried_on("x:3,2 y:4,2")
def squared_distances(x, y):
    return np.sum((x[:, None, :] - y[None, :, :]) ** 2, axis=-1)


@tried_on("z:3,4")
def log_softmax_by_logaddexp(z):
    total = np.logaddexp(np.logaddexp(z[:, 0], z[:, 1]), np.logaddexp(z[:, 2], z[:, 3]))
    return z - total[:, None]


@tried_on("mu:3,2 s:3,2")
def divergence_from_normal(mu, s):
    return -0.5 * np.sum(1 + s - np.power(mu, 2) - np.exp(s))


# -- functions of one number -------------------------------------------------------------------


@tried_on("x:3,4")
def gelu_by_tanh(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


@tried_on("x:3,4")
def elu_by_where(x):
    return np.where(x > 0, x, np.expm1(x))


@tried_on("x:3,4")
def stable_sigmoid(x):
    out = np.zeros_like(x)
    positive = x >= 0
    out[positive] = 1 / (1 + np.exp(-x[positive]))
    e = np.exp(x[~positive])
    out[~positive] = e / (1 + e)
    return out


@tried_on("x:3,4")
def mish(x):
    return x * np.tanh(np.log1p(np.exp(x)))


@tried_on("x:6")
def trigonometry(x):
    return np.sin(x) ** 2 + np.cos(2 * x) + np.sinh(x) / np.cosh(x)


@tried_on("x:6", positive=True)
def powers_and_roots(x):
    return x**0.5 + x**-2 + np.sqrt(x) ** 3 + x**1.7 + 2.0**x + np.log2(x) + 1 / x


@tried_on("x:3 y:3", positive=True)
def power_of_two_arrays(x, y):
    return x**y


# -- writing into arrays ------------------------------------------------------------------------


@tried_on("x:3,4 v:4")
def in_place(x, v):
    x += v
    x *= 2
    x[0] -= x[1]
    x[:, 1] /= 3.0
    x[1:, ::2] = v[::2]
    return x


@tried_on("x:3,4")
def views_write_through(x):
    y = x.copy()
    row, column, flat = y[1], y.T[2], y.reshape(-1)
    row *= 2
    column += row[:3]
    flat[5] = flat[0] * flat[1]
    return y, row


@tried_on("x:4 v:3", ids=np.array([0, 2, 0]))
def added_at(x, v, ids):
    out = x * 2
    np.add.at(out, ids, v)
    np.subtract.at(out, (ids,), 1.0)
    return out


@tried_on("x:4 v:3", ids=np.array([0, 2, 0]))
def repeated_places_are_set_once(x, v, ids):
    out = x * 2
    out[ids] += v
    return out


@tried_on("x:3,3")
def triangles_and_diagonals(x):
    y = np.tril(x, -1) + np.eye(3)
    np.fill_diagonal(y, np.diag(x) ** 2)
    return y @ y.T + np.trace(x), np.diag(x[0])


@tried_on("x:2,3")
def out_argument(x):
    y = np.zeros_like(x)
    np.exp(x, out=y)
    np.add(y, x, out=y)
    return np.divide(x, y, out=np.zeros_like(x), where=np.array([True, False, True]))


# -- sums, places, products ---------------------------------------------------------------------


@tried_on("a:2,3 b:3,4 c:4,2")
def einsum_of_three(a, b, c):
    return np.einsum("ij,jk,kl->il", a, b, c)


@tried_on("a:2,3,4 b:2,4,3")
def einsum_forms(a, b):
    return (
        np.einsum("bij,bjk", a, b),
        np.einsum("bij,bji->b", a, b),
        np.einsum("...ij->...ji", a),
        np.einsum("bij->j", a),
        np.einsum("bii->bi", a[..., :3]),
    )


@tried_on("a:2,3,4 b:4,3,2")
def tensor_products(a, b):
    return (
        np.tensordot(a, b, axes=([1, 2], [1, 0])),
        np.tensordot(a, b, 1),
        np.inner(a[0], b.T[0, :, :]),
        np.outer(a[0, 0], b[:, 0, 0]),
        np.dot(a, b[:, :, 0]),
    )


@tried_on("x:2,3,4")
def many_moves(x):
    y = np.stack([x, 2 * x], axis=1).squeeze()
    y = np.concatenate((y, np.flip(y, 1)), axis=-1)
    y = np.roll(np.repeat(y, 2, axis=0), 1, axis=-1)
    y = np.tile(y, (1, 1, 1, 2)).swapaxes(1, 3)
    return np.broadcast_to(np.expand_dims(y[0, ..., 0], 0), (2, 16, 3))


@tried_on("x:3,4")
def many_sums(x):
    return (
        np.prod(x, axis=1),
        np.cumsum(x, axis=0),
        np.diff(x, axis=1),
        x.std(ddof=1),
        np.average(x, axis=1, weights=np.array([0.1, 0.2, 0.3, 0.4])),
        np.ptp(x, axis=0),
        np.add.reduce(x, axis=1),
        np.minimum(x.min(axis=0), np.amin(x)),
    )


@tried_on("x:3,4", ids=np.array([[1], [0], [3]]))
def taken_along(x, ids):
    return np.take_along_axis(x, ids, axis=1) + np.take(x, [0, 2], axis=1)


@tried_on("x:2,5")
def sorted_numbers(x):
    return np.sort(x, axis=1) * np.arange(5)


@tried_on("x:4 y:4 s:4", fixed="s")
def chosen_by_what_is_fixed(x, y, s):
    if s.sum() > 100:
        return x
    return np.where(s > 0, x * y, x) + x[np.argsort(s)]
