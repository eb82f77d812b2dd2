"""Gradients of mini-batches added up, against that of one batch; no biases."""

import numpy as np


def loss(x, y, w1, w2):
    return 0.5 * np.mean(np.sum((np.tanh(x @ w1.T) @ w2.T - y) ** 2, axis=1))


SHAPES = "2*n i, 2*n o, h i, o h ->"


def _of_sum(x, y, w1, w2):
    a = np.tanh(x @ w1.T)
    d = a @ w2.T - y
    return ((d @ w2) * (1 - a**2)).T @ x, d.T @ a


def accumulated(x, y, w1, w2):
    half = len(x) // 2
    one = _of_sum(x[:half], y[:half], w1, w2)
    two = _of_sum(x[half:], y[half:], w1, w2)
    return {"w1": (one[0] + two[0]) / len(x), "w2": (one[1] + two[1]) / len(x)}


def means_added(x, y, w1, w2):
    half = len(x) // 2
    one = _of_sum(x[:half], y[:half], w1, w2)
    two = _of_sum(x[half:], y[half:], w1, w2)
    return {"w1": (one[0] + two[0]) / half, "w2": (one[1] + two[1]) / half}
