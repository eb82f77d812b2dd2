"""Pooling of pairs of numbers, as source: a way of writing the larger of two."""

from __future__ import annotations

__all__ = ["jax_pooled", "tensorflow_pooled", "torch_pooled"]


def torch_pooled(pair: str) -> str:
    """PyTorch's ``max_pool1d`` of stacked pairs."""
    return f"F.max_pool1d(torch.stack([{pair}], -1).reshape(1, -1, 2), 2).reshape(z.shape)"


def tensorflow_pooled(pair: str) -> str:
    """TensorFlow's ``max_pool1d`` of stacked pairs."""
    windows = f"tf.reshape(tf.stack([{pair}], -1), [1, -1, 1])"
    return f'tf.reshape(tf.nn.max_pool1d({windows}, 2, 2, "VALID"), tf.shape(z))'


def jax_pooled(pair: str) -> str:
    """JAX's ``reduce_window`` of stacked pairs."""
    pairs = f"jnp.stack([{pair}], -1).reshape(-1, 2)"
    pooled = f"jax.lax.reduce_window({pairs}, -jnp.inf, jax.lax.max, (1, 2), (1, 2), 'VALID')"
    return f"{pooled}.reshape(z.shape)"
