"""A gradient by hand and a central difference, at a kink."""

import numpy as np


def hinge(x, w):
    return np.maximum(x @ w, 0).sum()


SHAPES = "n i, i ->"


def analytic(x, w):
    gate = (x @ w > 0).astype(x.dtype)
    return {"w": gate @ x}


def difference(x, w):
    step = 2.0**-6
    found = []
    for k in range(len(w)):
        move = np.zeros_like(w)
        move[k] = step
        found.append((hinge(x, w + move) - hinge(x, w - move)) / (2 * step))
    return {"w": np.array(found, dtype=w.dtype)}
