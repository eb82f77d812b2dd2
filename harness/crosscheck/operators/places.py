"""What is only put somewhere else, as `take`: the places in the operand, as an array of numbers."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from crosscheck.program.graph import Shape, Var
from crosscheck.program.places import Places

__all__ = ["moved", "numbered"]


def numbered(shape: Shape) -> NDArray[np.intp]:
    """The place of each entry in the flattened array."""
    return np.arange(math.prod(shape), dtype=np.intp).reshape(shape)


def moved(x: Var, change: Callable[[NDArray[np.intp]], NDArray[np.intp]]) -> Var:
    """The entries of ``x`` where ``change`` puts their places, and zero where it has -1."""
    found = change(numbered(x.shape))
    return x.take(Places(found.ravel().tolist()), found.shape)
