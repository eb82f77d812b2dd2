"""The mean squared error over all elements, in three frameworks."""

import jax.numpy as jnp
import numpy as np
import tensorflow as tf
import torch


def mse(a, y):
    return np.mean((a - y) ** 2)


SHAPES = "n k, n k ->"

torch_mse = torch.nn.functional.mse_loss


def tensorflow_mse(a, y):
    return tf.reduce_mean(tf.square(a - y))


def jax_mse(a, y):
    return jnp.mean((a - y) ** 2)


def jax_half(a, y):
    return 0.5 * jnp.mean((a - y) ** 2)
