"""Faults of indices: rows, remainders of loops, and arrays in each other's place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from crosscheck.network.dense import Gradients
from crosscheck.studies.faults.fault import Fault, everything_but, without
from crosscheck.studies.faults.handwritten import At, Change
from crosscheck.studies.faults.linear import LARGE, SMALL, VERY_LARGE, remainder

__all__ = ["ROWS", "SWAPS", "TAILS"]


ROWS = (
    Fault(
        "rows from 8 on",
        "row index",
        "contribute nothing to dW and db",
        "delta",
        lambda value, at: without(value, slice(8, None), -2),
    ),
    Fault(
        "rows from 16 on",
        "row index",
        "contribute nothing to dW and db",
        "delta",
        lambda value, at: without(value, slice(16, None), -2),
        caught=LARGE,
        why=SMALL,
    ),
    Fault(
        "dx off by one row",
        "row index",
        "row r holds what belongs to r - 1",
        "answer",
        lambda answer, at: replace(answer, x=np.roll(answer.x, 1, axis=-2)),
    ),
    Fault(
        "dx upside down",
        "row index",
        "the rows are reversed",
        "answer",
        lambda answer, at: replace(answer, x=answer.x[..., ::-1, :]),
    ),
    Fault(
        "inputs off by one row",
        "row index",
        "delta of row r meets the inputs of row r - 1 in dW",
        "activation kept",
        lambda value, at: np.roll(value, 1, axis=-2),
    ),
    Fault(
        "odd rows negative",
        "row index",
        "in dx",
        "answer",
        lambda answer, at: replace(
            answer, x=answer.x * np.where(np.arange(at.rows) % 2, -1, 1)[:, None]
        ),
    ),
    Fault(
        "first row for the second",
        "row index",
        "delta of row 1 is that of row 0",
        "delta",
        lambda value, at: (
            np.concatenate([value[..., :1, :], value[..., :1, :], value[..., 2:, :]], axis=-2)
            if at.rows > 1
            else value
        ),
    ),
)


def _tail(size: int, axis: int) -> Change:
    return lambda value, at: without(value, remainder(size, value.shape[axis]), axis)


TAILS = (
    Fault(
        "units after whole fours", "tail", "of dW are not written", "weight gradient", _tail(4, -2)
    ),
    Fault(
        "units after whole eights", "tail", "of db are not written", "bias gradient", _tail(8, -1)
    ),
    Fault(
        "units after whole sixteens",
        "tail",
        "of db are not written",
        "bias gradient",
        _tail(16, -1),
        caught=LARGE,
        why=SMALL,
    ),
    Fault(
        "units after whole 32s",
        "tail",
        "of dW are not written",
        "weight gradient",
        _tail(32, -2),
        caught=("default", "sweep"),
        why=VERY_LARGE,
    ),
    Fault(
        "units after whole 64s",
        "tail",
        "of dW are not written",
        "weight gradient",
        _tail(64, -2),
        caught=("default", "sweep"),
        why=VERY_LARGE,
    ),
    Fault(
        "inputs after whole fours", "tail", "of dW are not written", "weight gradient", _tail(4, -1)
    ),
    Fault(
        "inputs after whole eights",
        "tail",
        "of dW are not written",
        "weight gradient",
        _tail(8, -1),
    ),
    Fault(
        "inputs after whole sixteens",
        "tail",
        "of dW are not written",
        "weight gradient",
        _tail(16, -1),
        caught=LARGE,
        why=SMALL,
    ),
    Fault(
        "end of dx after whole eights",
        "tail",
        "of the numbers of dx are not written",
        "answer",
        lambda answer, at: replace(answer, x=_flat_tail(8, answer.x)),
    ),
    Fault(
        "end of dW after whole sixteens",
        "tail",
        "of its numbers are not written",
        "weight gradient",
        lambda value, at: _flat_tail(16, value),
    ),
    Fault(
        "last number of dW",
        "tail",
        "is not written",
        "weight gradient",
        lambda value, at: np.where(_is_last(value), 0, value),
    ),
    Fault(
        "forward in eights",
        "tail",
        "inputs after whole eights are not multiplied",
        "numbers",
        lambda value, at: replace(value, x=_tail(8, -1)(value.x, at)),
    ),
    Fault(
        "units below 8 only",
        "tail",
        "of db are written, however many there are",
        "bias gradient",
        everything_but(slice(8), -1),
    ),
)


def _flat_tail(size: int, value: Any) -> Any:
    flat = value.reshape(*value.shape[:-2], -1)
    return without(flat, remainder(size, flat.shape[-1]), -1).reshape(value.shape)


def _is_last(value: Any) -> Any:
    found = np.zeros(value.shape, dtype=bool)
    found[..., -1, -1] = True
    return found


def _swapped(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """With the first two of equal shape in each other's place."""
    found = list(values)
    for i, one in enumerate(found):
        for j in range(i):
            if one is not None and found[j] is not None and one.shape == found[j].shape:
                found[i], found[j] = found[j], found[i]
                return tuple(found)
    return values


def _x_for_weights(answer: Gradients, at: At) -> Gradients:
    if answer.x.shape != answer.weights[0].shape:
        return answer
    return replace(answer, x=answer.weights[0], weights=(answer.x, *answer.weights[1:]))


SWAPS = (
    Fault(
        "two dW swapped",
        "swap",
        "of equal shape",
        "answer",
        lambda answer, at: replace(answer, weights=_swapped(answer.weights)),
        caught=("quick", "default", "fixture", "kinks"),
        why="no two of these arrays have the same shape in the sweeps",
    ),
    Fault(
        "two db swapped",
        "swap",
        "of equal shape",
        "answer",
        lambda answer, at: replace(answer, biases=_swapped(answer.biases)),
    ),
    Fault(
        "dW1 and dx swapped",
        "swap",
        "where their shapes are equal",
        "answer",
        _x_for_weights,
        caught=("quick", "default", "fixture", "kinks"),
        why="no two of these arrays have the same shape in the sweeps",
    ),
    Fault(
        "dW of the layer above",
        "swap",
        "where a layer's shape is that of the next one",
        "answer",
        lambda answer, at: replace(
            answer,
            weights=tuple(
                above if above.shape == here.shape else here
                for here, above in zip(
                    answer.weights, (*answer.weights[1:], answer.weights[-1]), strict=True
                )
            ),
        ),
        caught=("quick", "default", "fixture", "kinks"),
        why="no two of these arrays have the same shape in the sweeps",
    ),
    Fault(
        "two units swapped",
        "swap",
        "the first two of db",
        "bias gradient",
        lambda value, at: np.concatenate(
            [value[..., 1:2], value[..., :1], value[..., 2:]], axis=-1
        ),
    ),
)
