"""Elementary functions that err by as many roundings as their library may."""

from __future__ import annotations

import numpy as np

from crosscheck.numbers.arrays import Array
from crosscheck.numbers.differentiable import Elementary
from crosscheck.numbers.elementary_values import exactly
from crosscheck.numbers.library import Stated
from crosscheck.studies.adversary.machine import Machine

__all__ = ["erring"]

_LIBRARY = Stated()


def erring(machine: Machine, function: Elementary, order: int, x: Array) -> Array:
    """f^(k)(x), off by at most N roundings of its scale; a derivative by what products cost.

    Args:
        machine: Its dice say by how much, and to which side: often by all of it.
        function: f.
        order: k.
        x: Numbers of the format; of those outside the domain it makes 0.
    """
    read = machine.read(x)
    inside = function.is_within(read)
    safe = np.where(inside, read, 1.0)
    if machine.form.precision > 26:
        pairs = [exactly(function, order, value) for value in safe.ravel().tolist()]
        value, rest = (np.array(each).reshape(safe.shape) for each in zip(*pairs, strict=True))
    else:
        value, rest = function.floats(safe, order), np.zeros(safe.shape)
    count = _LIBRARY.roundings(function.name, order, machine.form.name) + order * function.products
    room = count * machine.form.unit_roundoff * function.scale(safe, order)
    bits = machine.genes.bits(x.shape[1:])
    share = np.minimum((bits >> np.uint64(20)) % np.uint64(16), np.uint64(8)).astype(float) / 8
    sign = np.where((bits >> np.uint64(30)) % np.uint64(2) == 1, 1.0, -1.0)
    with np.errstate(all="ignore"):
        moved = machine.rounded(value + (rest + sign * share * room))
        near = np.abs((moved - value) - rest) <= room
        found = np.where(near, moved, machine.rounded(value))
    return machine.read(np.where(inside, found, 0.0))
