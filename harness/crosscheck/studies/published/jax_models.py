"""JAX models and losses of Equinox, Flax and Optax, with random weights and small inputs."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

__all__ = ["MODELS"]

Made = tuple[Any, dict[str, Any]]
"""A model, and the arrays that it is asked about."""


def draw(*shape: int) -> Any:
    """Numbers of a normal distribution, the same each time."""
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype("float32")


def _key() -> Any:
    jax: Any = importlib.import_module("jax")
    return jax.random.PRNGKey(0)


def _equinox(name: str, arrays: Mapping[str, Any], *args: Any, **kwargs: Any) -> Made:
    equinox: Any = importlib.import_module("equinox")
    return getattr(equinox.nn, name)(*args, key=_key(), **kwargs), dict(arrays)


def _flax(make: Callable[[Any], Any], *arrays: Any) -> Made:
    linen: Any = importlib.import_module("flax.linen")
    module = make(linen)
    variables = module.init(_key(), *arrays)
    return (module.apply, variables), {f"x{at}": each for at, each in enumerate(arrays)}


def _optax(name: str, **arrays: Any) -> Made:
    losses: Any = importlib.import_module("optax.losses")
    return getattr(losses, name), arrays


MODELS: Mapping[str, Callable[[], Made]] = MappingProxyType(
    {
        "equinox MLP": lambda: _equinox("MLP", {"x": draw(4)}, 4, 3, 8, 2),
        "equinox MultiheadAttention": lambda: _equinox(
            "MultiheadAttention",
            {"query": draw(5, 8), "key_": draw(6, 8), "value": draw(6, 8)},
            2,
            8,
        ),
        "equinox GRUCell": lambda: _equinox("GRUCell", {"input": draw(3), "hidden": draw(5)}, 3, 5),
        "equinox ConvTranspose2d": lambda: _equinox(
            "ConvTranspose2d", {"x": draw(2, 4, 4)}, 2, 3, 3, stride=2
        ),
        "flax MultiHeadDotProductAttention": lambda: _flax(
            lambda nn: nn.MultiHeadDotProductAttention(num_heads=2, qkv_features=8),
            draw(1, 4, 8),
            draw(1, 5, 8),
        ),
        "flax RNN of LSTMCell": lambda: _flax(lambda nn: nn.RNN(nn.LSTMCell(4)), draw(2, 3, 5)),
        "flax GroupNorm": lambda: _flax(lambda nn: nn.GroupNorm(num_groups=2), draw(2, 3, 4)),
        "optax poly_loss_cross_entropy": lambda: _optax(
            "poly_loss_cross_entropy", logits=draw(3, 4), labels=np.eye(4, dtype="float32")[:3]
        ),
        "optax ctc_loss": lambda: _optax(
            "ctc_loss",
            logits=draw(2, 5, 3),
            logit_paddings=np.zeros((2, 5), "int32"),
            labels=np.array([[1, 2, 1], [2, 2, 0]]),
            label_paddings=np.array([[0, 0, 0], [0, 0, 1]]),
        ),
        "optax cosine_distance": lambda: _optax(
            "cosine_distance", predictions=draw(3, 4), targets=draw(4, 3).reshape(3, 4)
        ),
    }
)
"""By name, what makes one."""
