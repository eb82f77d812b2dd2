"""A softmax as a jax.custom_vjp."""

import jax
import jax.numpy as jnp
import numpy as np


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


SHAPES = "n k -> n k"


@jax.custom_vjp
def right(z):
    return jax.nn.softmax(z)


def _forward(z):
    p = jax.nn.softmax(z)
    return p, p


right.defvjp(_forward, lambda p, g: (p * (g - jnp.sum(p * g, -1, keepdims=True)),))


@jax.custom_vjp
def without_jacobian(z):
    return jax.nn.softmax(z)


without_jacobian.defvjp(_forward, lambda p, g: (p * g,))
