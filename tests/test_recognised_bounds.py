"""Implementations that are written otherwise are within the bounds of what is recognised; wrong
ones are not."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import spellings
from spellings import EPS, LABELS, OF_ONE, OF_ROWS, SPELLED, f32, logistic, shares, total

from crosscheck.frontends.recognised import recognised
from crosscheck.judge.enclosed import leaves_bound
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import FORMATS
from crosscheck.numbers.model import Model
from crosscheck.program.derive import vjp
from crosscheck.program.enclosures import OnEnclosures
from crosscheck.program.evaluate import evaluate

COUNT = int(os.environ.get("RECOGNISED_CASES", "240"))


def drawn(rng: np.random.Generator, shape: tuple[int, ...], count: int = COUNT) -> Any:
    """Numbers of six kinds: usual, eight times, far from 0, whole, small, large."""
    x = rng.standard_normal((count, *shape))
    k = count // 6
    x[k : 2 * k] *= 8
    x[2 * k : 3 * k] = 3 * x[2 * k : 3 * k] + 30
    x[3 * k : 4 * k] = rng.integers(-2, 3, (k, *shape))
    x[4 * k : 5 * k] *= 2.0**-10
    x[5 * k :] *= 40
    return x.astype(f32)


def arrays_of(name: str, seed: int, make: Callable[..., Any] = drawn) -> dict[str, Any]:
    formula, shapes, _ = SPELLED[name]
    rng = np.random.default_rng(seed)
    found = {each: make(rng, shape) for each, shape in shapes.items()}
    if "y" in shapes:
        targets = np.eye(3)[rng.integers(0, 3, found["y"].shape[:-1])]
        mixed = rng.dirichlet(np.ones(3), found["y"].shape[:-1])
        found["y"] = np.where(rng.random(len(targets))[:, None, None] < 0.5, targets, mixed)
        found["y"] = found["y"].astype(f32)
    program = spellings.traced(formula, **shapes).program
    found["g"] = make(rng, program.nodes[program.outputs["out"]].shape)
    rng.shuffle(found["g"])
    return found


def bounds_of(
    name: str, arrays: dict[str, Any], *, takes_first: bool = False
) -> dict[str, Enclosure]:
    """Those of the value and of all derivatives, of all cases at once."""
    formula, shapes, _ = SPELLED[name]
    program = recognised(spellings.traced(formula, **shapes)).program
    model = Model(FORMATS["float32"])
    given = {
        key: Enclosure.of(model, np.asarray(array, dtype=np.float64))
        for key, array in arrays.items()
    }
    with np.errstate(all="ignore"):
        arithmetic = OnEnclosures(model, takes_first=takes_first)
        found = evaluate(vjp(program, {"out": "g"}, list(shapes)), arithmetic, given)
        return {key: Enclosure(model, each.c, each.r, each.e) for key, each in found.items()}


@pytest.mark.parametrize("name", SPELLED)
def test_whoever_writes_it_otherwise_is_within_the_bounds(name: str) -> None:
    _, shapes, implementation = SPELLED[name]
    arrays = arrays_of(name, 11)
    bounds = bounds_of(name, arrays)
    bounded = np.concatenate([np.isfinite(each.bound).ravel() for each in bounds.values()])
    assert bounded.mean() > 0.6
    with np.errstate(all="ignore"):
        for way, value, derivatives in implementation(**arrays):
            parts = {"out": value, **dict(zip(shapes, derivatives, strict=False))}
            for part, array in parts.items():
                assert not leaves_bound(bounds[part], array).any(), (way, part)


@pytest.mark.parametrize("name", SPELLED)
def test_the_bounds_of_first_ways_are_within_those_of_all(name: str) -> None:
    arrays = arrays_of(name, 12)
    whole, first = bounds_of(name, arrays), bounds_of(name, arrays, takes_first=True)
    with np.errstate(all="ignore"):
        for part, bound in whole.items():
            apart = np.abs(bound.high - first[part].high) + first[part].bound
            bounded = np.isfinite(bound.bound)
            assert (apart <= bound.bound * (1 + 2.0**-20))[bounded].all(), part


# -- wrong ones ----------------------------------------------------------------------------------


def usual(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.standard_normal((60, *shape)).astype(f32)


def normed(axis: int, eps: float = EPS) -> Callable[..., Any]:
    def parts(x: Any, w: Any, b: Any, g: Any) -> Any:
        d = x - x.mean(axis, keepdims=True)
        r = 1 / np.sqrt((d * d).mean(axis, keepdims=True) + f32(eps))
        return d * r, r, g * w[:, None], b[:, None]

    return parts


def without_mean(x: Any, w: Any, b: Any, g: Any) -> Any:
    h, r, by, _ = normed(-1)(x, w, b, g)
    return r * (by - h * (by * h).mean(-1, keepdims=True))


def without_variance(x: Any, w: Any, b: Any, g: Any) -> Any:
    _, r, by, _ = normed(-1)(x, w, b, g)
    return r * (by - by.mean(-1, keepdims=True))


def with_other_eps(x: Any, w: Any, b: Any, g: Any) -> Any:
    h, r, by, _ = normed(-1, 1e-3)(x, w, b, g)
    return r * (by - by.mean(-1, keepdims=True) - h * (by * h).mean(-1, keepdims=True))


def along_the_other_axis(x: Any, w: Any, b: Any, g: Any) -> Any:
    h, r, by, _ = normed(-1)(x, w, b, g)
    return r * (by - by.mean(-2, keepdims=True) - h * (by * h).mean(-2, keepdims=True))


def unscaled_attention(q: Any, k: Any, w: Any, g: Any) -> Any:
    p = shares(q @ np.swapaxes(k, -1, -2) * f32(3**-0.5))
    by_p = g @ np.swapaxes(w, -1, -2)
    return (p * (by_p - total(p * by_p))) @ k


def attention_without_its_sum(q: Any, k: Any, w: Any, g: Any) -> Any:
    p = shares(q @ np.swapaxes(k, -1, -2) * f32(3**-0.5))
    return (p * (g @ np.swapaxes(w, -1, -2))) @ k * f32(3**-0.5)


def sum_for_mean(x: Any, y: Any, g: Any) -> Any:
    return (shares(x) - y) * g[:, None, None]


def picked_without_ones(x: Any, g: Any) -> Any:
    found = shares(x)
    found[:, np.arange(4), LABELS] *= -1
    return found / 4 * g[:, None, None]


def a_little_off(x: Any, g: Any) -> Any:
    y = shares(x)
    return y * (g - total(g * y)) * f32(1 + 2.0**-12)


WRONG: dict[str, tuple[str, Callable[..., Any]]] = {
    "no sum in softmax": ("rows: softmax", lambda x, g: shares(x) * g),
    "softmax along the other axis": (
        "rows: softmax",
        lambda x, g: shares(x) * (g - (g * shares(x)).sum(-2, keepdims=True)),
    ),
    "softmax off by 2^-12": ("rows: softmax", a_little_off),
    "no sum in log softmax": ("rows: log_softmax", lambda x, g: g - shares(x) * g),
    "no shares in log sum exp": ("rows: log_sum_exp", lambda x, g: np.broadcast_to(g, x.shape)),
    "half a sigmoid": ("one: sigmoid", lambda x, g: g * logistic(x)),
    "tanh for its derivative": ("one: tanh of powers", lambda x, g: g * (1 - np.tanh(x))),
    "softplus with a corner": ("one: softplus with corners", lambda x, g: g * (x > 0)),
    "silu without a product": ("one: silu", lambda x, g: g * logistic(x)),
    "gelu of a sigmoid": ("one: gelu_tanh", lambda x, g: g * logistic(f32(1.702) * x)),
    "mean held": ("layer norm", without_mean),
    "variance held": ("layer norm", without_variance),
    "another eps": ("layer norm", with_other_eps),
    "along rows": ("layer norm", along_the_other_axis),
    "batch norm along features": ("batch norm", without_variance),
    "rms held": (
        "rms norm",
        lambda x, w, g: g * w[:, None] / np.sqrt((x * x).mean(-1, keepdims=True) + f32(EPS)),
    ),
    "length held": ("unit length", lambda x, g: g / np.sqrt(total(x * x))),
    "a sum for a mean": ("cross-entropy", sum_for_mean),
    "no one less": ("picked", picked_without_ones),
    "targets with another sign": (
        "binary",
        lambda x, y, g: (logistic(x) + y) / 12 * g[:, None, None],
    ),
    "logits for shares": (
        "binary of logits",
        lambda x, y, g: (np.tanh(x) - y) / 12 * g[:, None, None],
    ),
    "attention without its scale": ("attention", unscaled_attention),
    "attention without its sum": ("attention", attention_without_its_sum),
}


@pytest.mark.parametrize("fault", WRONG)
def test_what_is_wrong_is_outside(fault: str) -> None:
    name, gradient = WRONG[fault]
    arrays = arrays_of(name, 5, usual)
    first = next(iter(SPELLED[name][1]))
    wrong = leaves_bound(bounds_of(name, arrays)[first], gradient(**arrays))
    assert wrong.reshape(len(wrong), -1).any(axis=1).mean() > 0.9


def test_the_derivative_of_softplus_at_its_corner_is_half() -> None:
    name = "one: softplus with corners"
    arrays = {"x": np.zeros((1, 2, 3), f32), "g": np.ones((1, 2, 3), f32)}
    bounds = bounds_of(name, arrays)["x"]
    assert not leaves_bound(bounds, np.full((1, 2, 3), 0.5)).any()
    for slope in (0.0, 1.0):
        assert leaves_bound(bounds, np.full((1, 2, 3), slope)).all()


# -- libraries -----------------------------------------------------------------------------------


def torch_ways(name: str) -> tuple[Callable[..., Any], ...]:
    import torch
    from torch.nn import functional

    def plain(x: Any) -> Any:
        e = torch.exp(x - x.amax(-1, keepdim=True))
        return e / e.sum(-1, keepdim=True)

    def held(x: Any) -> Any:
        e = torch.exp(x - x.max(-1, keepdim=True)[0].detach())
        return e / e.sum(-1, keepdim=True)

    def each(of: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arrays: torch.stack([of(*case) for case in zip(*arrays, strict=True)])

    def batch(x: Any, w: Any, b: Any) -> Any:
        return functional.batch_norm(x, None, None, w, b, True, 0.1, EPS)

    found: dict[str, tuple[Callable[..., Any], ...]] = {
        "rows: softmax": (lambda x: torch.softmax(x, -1), plain, held),
        "rows: log_softmax": (
            lambda x: torch.log_softmax(x, -1),
            lambda x: x - torch.logsumexp(x, -1, keepdim=True),
        ),
        "rows: log_sum_exp": (lambda x: torch.logsumexp(x, -1, keepdim=True),),
        "one: sigmoid": (torch.sigmoid, lambda x: 1 / (1 + torch.exp(-x))),
        "one: softplus": (functional.softplus, lambda x: torch.logaddexp(x, torch.zeros_like(x))),
        "one: silu": (functional.silu, lambda x: x * torch.sigmoid(x)),
        "one: gelu_tanh": (lambda x: functional.gelu(x, approximate="tanh"),),
        "layer norm": (each(lambda x, w, b: functional.layer_norm(x, (3,), w, b, EPS)),),
        "batch norm": (each(batch),),
        "rms norm": (each(lambda x, w: functional.rms_norm(x, (3,), w, EPS)),),
        "unit length": (lambda x: x / x.norm(dim=-1, keepdim=True),),
        "cross-entropy": (each(functional.cross_entropy),),
        "binary": (each(functional.binary_cross_entropy_with_logits),),
        "attention": (functional.scaled_dot_product_attention,),
        "causal attention": (
            lambda q, k, w: functional.scaled_dot_product_attention(q, k, w, is_causal=True),
        ),
    }
    return found.get(name, ())


@pytest.mark.parametrize("name", SPELLED)
def test_torch_is_within_the_bounds(name: str) -> None:
    torch = pytest.importorskip("torch")
    arrays = arrays_of(name, 23)
    bounds = bounds_of(name, arrays)
    g = torch.tensor(arrays.pop("g"))
    for way in torch_ways(name):
        given = [torch.tensor(array).requires_grad_(key != "y") for key, array in arrays.items()]
        value = way(*given)
        value.backward(g)
        assert not leaves_bound(bounds["out"], value.detach().numpy()).any()
        for key, each in zip(arrays, given, strict=True):
            if each.grad is not None:
                assert not leaves_bound(bounds[key], each.grad.numpy()).any(), key


def test_every_spelling_of_rows_and_numbers_has_a_name() -> None:
    assert {name.split(": ")[1] for name in SPELLED if ": " in name} <= {*OF_ROWS, *OF_ONE}
