"""The ways in which frameworks evaluate functions in pieces and their slopes, on a machine.

Which way is taken is one and the same for all tries; where it branches, it does so number by
number. They are the ways that `crosscheck.operators` has lines for, and some more.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from crosscheck.numbers.arrays import Array
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.piecewise import Piecewise
from crosscheck.numbers.sides import sides_of
from crosscheck.studies.adversary.machine import Machine

__all__ = ["applied", "multiplied", "selected", "valued"]


def applied(machine: Machine, value: Array, constants: Sequence[Fraction]) -> Array:
    """A value times constants, in some order, some of them put together first."""
    ways = machine.ways
    waiting: list[tuple[bool, Array]] = []
    for at in ways.permutation(len(constants)):
        c = constants[at]
        held = machine.constant(c)
        is_inverse = abs(c) < 1 and (1 / c).denominator == 1 and abs(1 / c) <= machine.form.largest
        way = int(ways.integers(0, 3)) if is_inverse else 0
        if way == 1:
            held = machine.over(np.ones(()), machine.constant(1 / c))
        waiting.append((way != 2, machine.constant(1 / c) if way == 2 else held))
    while len(waiting) > 1 and ways.random() < 0.4:
        (by, one), (also, other) = waiting.pop(), waiting.pop()
        if not (by and also) and abs(one * other) > machine.form.largest / 2:
            waiting += [(by, one), (also, other)]
            break
        if by == also:
            waiting.append((by, machine.times(one, other)))
        else:
            top, bottom = (one, other) if by else (other, one)
            waiting.append((True, machine.over(top, bottom)))
    for by, c in waiting:
        value = machine.times(value, c) if by else machine.over(value, c)
    return value


def multiplied(machine: Machine, factor: Array, value: Array) -> Array:
    """A product with a factor; one of 0, 1 or -1 may be left out or selected."""
    product = machine.times(value, factor)
    if machine.ways.random() < 0.5:
        plain = (factor == 0) | (np.abs(factor) == 1)
        return np.where(plain, np.where(factor == 0, 0.0, factor * value), product)
    return product


def valued(machine: Machine, function: Piecewise, z: Array) -> Array:
    """f(z) in some way."""
    ways = {"leaky_relu": _leak, "hard_sigmoid": _hard_sigmoid, "huber": _huber}
    ways["softshrink"] = _softshrink
    return ways.get(function.name, _of_trivial_pieces)(machine, function, z)


def _of_trivial_pieces(machine: Machine, function: Piecewise, z: Array) -> Array:
    points = [machine.constant(point) for point in function.breakpoints]
    read = machine.read(z)
    if len(points) == 2 and machine.ways.random() < 0.5:
        return machine.read(np.clip(read, points[0], points[1]))
    number = sum(((z > point) * 1 for point in points), np.zeros(z.shape, np.int64))
    found = np.zeros(z.shape)
    for k, piece in enumerate(function.pieces):
        value = machine.constant(piece[0]) if not any(piece[1:]) else float(piece[1]) * read
        found = np.where(number == k, value, found)
    return found


def _leak(machine: Machine, function: Piecewise, z: Array) -> Array:
    slope = machine.constant(function.pieces[0][1])
    if machine.ways.random() < 0.5:
        return np.where(z > 0, machine.read(z), machine.times(z, slope))
    scaled = machine.times(np.minimum(z, 0.0), slope)
    return machine.plus(np.maximum(z, 0.0), scaled)


def _hard_sigmoid(machine: Machine, _: Piecewise, z: Array) -> Array:
    way = int(machine.ways.integers(0, 4))
    sixth, six = machine.constant(Fraction(1, 6)), np.asarray(6.0)
    if way < 2:
        t = np.clip(machine.plus(z, np.asarray(3.0)), 0.0, 6.0)
        return machine.over(t, six) if way else machine.times(t, sixth)
    t = machine.over(z, six) if way == 2 else machine.times(z, sixth)
    return np.clip(machine.plus(t, np.asarray(0.5)), 0.0, 1.0)


def _huber(machine: Machine, function: Piecewise, d: Array) -> Array:
    delta, half = machine.constant(function.breakpoints[1]), np.asarray(0.5)
    way, size = int(machine.ways.integers(0, 4)), np.abs(d)
    if way == 0:
        q = np.clip(d, -delta, delta)
        return machine.times(q, machine.plus(d, -machine.times(q, half)))
    if way == 1:
        q = np.minimum(size, delta)
        square = machine.times(machine.times(q, q), half)
        return machine.plus(square, machine.times(machine.plus(size, -q), delta))
    if way == 2:
        inner = machine.times(machine.times(d, d), half)
    else:
        inner = machine.times(machine.times(d, half), d)
    outer = machine.times(machine.plus(size, -machine.times(half, delta)), delta)
    return np.where(size <= delta, inner, outer)


def _softshrink(machine: Machine, _: Piecewise, z: Array) -> Array:
    half = np.asarray(0.5)
    if machine.ways.random() < 0.5:
        moved = np.where(z > 0, machine.plus(z, -half), machine.plus(z, half))
        return np.where(np.abs(z) > 0.5, moved, 0.0)
    return np.maximum(machine.plus(np.abs(z), -half), 0.0) * np.sign(z)


def selected(
    machine: Machine,
    function: Piecewise,
    z: Array,
    g: Array,
    lambda_: Array,
    enclosure: Enclosure | None,
) -> Array:
    """f'(z) g in some way, by the framework's own comparisons, λ where it is open."""
    slopes, points = function.derivative, [machine.constant(p) for p in function.breakpoints]
    if function.name == "huber":
        return _cut_off(machine, z, g, points[1])
    if function.name == "hard_sigmoid":
        t = machine.plus(z, np.asarray(3.0))
        if machine.ways.random() < 0.5:
            sixth = machine.over(z, np.asarray(6.0))
            t = machine.times(machine.plus(sixth, np.asarray(0.5)), np.asarray(6.0))
        number: Any = (t > 0) * 1 + (t >= 6) * 1
    else:
        number = sum(((z > point) * 1 for point in points), np.zeros(z.shape, np.int64))
    constants = np.array([float(machine.constant(piece[0])) for piece in slopes.pieces])
    found = multiplied(machine, constants[number], g)
    jump = np.full(z.shape, -1)
    sides = None if enclosure is None else sides_of(enclosure, function)
    for k in reversed(range(len(points))):
        if slopes.jumps[k]:
            here = z == points[k] if sides is None else (sides.first <= k) & (k < sides.last)
            jump = np.where(here, k, jump)
    if function.name == "hard_sigmoid" and sides is None:
        return found
    mixture = _mixed(
        machine, constants[jump], constants[np.minimum(jump + 1, len(points))], lambda_, g
    )
    return np.where(jump >= 0, mixture, found)


def _cut_off(machine: Machine, z: Array, g: Array, delta: Array) -> Array:
    """clip(z, -δ, δ) g."""
    way = int(machine.ways.integers(0, 3))
    if way == 0:
        return machine.times(np.clip(z, -delta, delta), g)
    half = machine.times(machine.times(z, np.asarray(0.5)), g)
    inner = machine.times(half, np.asarray(2.0)) if way == 1 else machine.plus(half, half)
    outer = machine.times(g, delta) * np.sign(z)
    return np.where(np.abs(z) > delta, outer, inner)


def _mixed(machine: Machine, one: Array, other: Array, lambda_: Array, g: Array) -> Array:
    """A slope between two, times g, in some way."""
    end = multiplied(machine, np.where(lambda_ == 1.0, other, one), g)
    step = machine.times(machine.plus(other, -one), lambda_)
    between = machine.times(machine.plus(one, step), g)
    if machine.ways.random() < 0.5:
        middle = machine.times(machine.times(machine.plus(one, other), np.asarray(0.5)), g)
        between = np.where(lambda_ == 0.5, middle, between)
    return np.where((lambda_ == 0.0) | (lambda_ == 1.0), end, between)
