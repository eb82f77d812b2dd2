"""Faults of the linear algebra: transposes, broadcasts, sums, indices, tails and swaps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from harness.faults.fault import (
    Fault,
    Road,
    everything_but,
    square,
    without,
)
from harness.faults.handwritten import At, Change
from harness.network import Gradients

__all__ = ["ACCUMULATIONS", "BROADCASTS", "REDUCTIONS", "ROWS", "SWAPS", "TAILS", "TRANSPOSES"]


def _t(array: Any) -> Any:
    return array.swapaxes(-1, -2)


def _in_the_order_of_its_transpose(value: Any, at: At) -> Any:
    return _t(value).reshape(value.shape)


def _if_square(value: Any, at: At) -> Any:
    return _t(value) if square(value) else value


def _forward_transposed(numbers: Any, at: At) -> Any:
    return replace(numbers, weights=tuple(_if_square(w, at) for w in numbers.weights))


TRANSPOSES = (
    Fault(
        "dW in the order of its transpose",
        "transpose",
        "the memory of dW is that of its transpose",
        "weight gradient",
        _in_the_order_of_its_transpose,
    ),
    Fault("dW transposed", "transpose", "in square layers", "weight gradient", _if_square),
    Fault(
        "W for its transpose",
        "transpose",
        "in square layers, downwards",
        "weight going down",
        _if_square,
    ),
    Fault(
        "W transposed", "transpose", "in square layers, up and down", "numbers", _forward_transposed
    ),
    Fault(
        "dx in the order of its transpose",
        "transpose",
        "the memory of dx is that of its transpose",
        "answer",
        lambda answer, at: replace(answer, x=_in_the_order_of_its_transpose(answer.x, at)),
    ),
)


def _first_for_all(axis: int) -> Change:
    def change(value: Any, at: At) -> Any:
        return np.broadcast_to(np.take(value, [0], axis=axis), value.shape).copy()

    return change


def _mean_for_all(axis: int) -> Change:
    def change(value: Any, at: At) -> Any:
        return np.broadcast_to(value.mean(axis=axis, keepdims=True), value.shape).copy()

    return change


def _targets_of(axis: int) -> Change:
    def change(value: Any, at: At) -> Any:
        return at("activation") - np.take(at.numbers.y, [0], axis=axis)

    return change


BROADCASTS = (
    Fault(
        "db of unit 0 for all", "broadcast", "along the units", "bias gradient", _first_for_all(-1)
    ),
    Fault(
        "db averaged over units",
        "broadcast",
        "one number for all",
        "bias gradient",
        _mean_for_all(-1),
    ),
    Fault(
        "dx of the first row for all",
        "broadcast",
        "along the rows",
        "answer",
        lambda answer, at: replace(answer, x=_first_for_all(-2)(answer.x, at)),
    ),
    Fault(
        "dW of input 0 for all",
        "broadcast",
        "along the inputs",
        "weight gradient",
        _first_for_all(-1),
    ),
    Fault(
        "dW of unit 0 for all",
        "broadcast",
        "along the units",
        "weight gradient",
        _first_for_all(-2),
    ),
    Fault("targets of the first row", "broadcast", "for all rows", "residual", _targets_of(-2)),
    Fault(
        "targets of the first output", "broadcast", "for all outputs", "residual", _targets_of(-1)
    ),
    Fault("delta of unit 0 for all", "broadcast", "along the units", "delta", _first_for_all(-1)),
)


def _by_rows(always: bool) -> Change:
    """The mean where a sum is wanted, or the sum where a mean is."""

    def change(value: Any, at: At) -> Any:
        if always:
            return at("residual") / at.rows
        return at("residual")

    return change


REDUCTIONS = (
    Fault(
        "mean for sum",
        "reduction",
        "the gradient is divided by the rows, always",
        "loss cotangent",
        _by_rows(True),
    ),
    Fault(
        "sum for mean",
        "reduction",
        "the gradient is never divided by the rows",
        "loss cotangent",
        _by_rows(False),
        caught=("quick", "default", "sweep", "kinks"),
        why="the fixture's loss is a sum unless it is told otherwise",
    ),
    Fault(
        "divided by outputs too",
        "reduction",
        "as by the mean over all elements",
        "loss cotangent",
        lambda value, at: value / at.case.network.widths[-1],
    ),
    Fault(
        "db averaged over rows",
        "reduction",
        "the mean where the sum belongs",
        "bias gradient",
        lambda value, at: value / at.rows,
    ),
    Fault(
        "dW averaged over rows",
        "reduction",
        "the mean where the sum belongs",
        "weight gradient",
        lambda value, at: value / at.rows,
    ),
    Fault(
        "db summed over units",
        "reduction",
        "over the wrong axis, where as many rows as units make it fit",
        "bias gradient",
        lambda value, at: at("delta").sum(axis=-1) if square(at("delta")) else value,
    ),
    Fault(
        "db is the largest row",
        "reduction",
        "max for sum",
        "bias gradient",
        lambda value, at: at("delta").max(axis=-2),
    ),
    Fault(
        "db of all cases together",
        "reduction",
        "in a stacked call the sum runs over the cases too",
        "bias gradient",
        lambda value, at: (
            value if at.case.count is None else np.broadcast_to(value.sum(axis=0), value.shape)
        ),
        caught=("quick", "default", "sweep"),
        why="the others ask for one case at a time",
    ),
)


def _rows(where: slice) -> Change:
    """dW without some rows."""

    def change(value: Any, at: At) -> Any:
        return _t(without(at("delta"), where, -2)) @ at("activation kept")

    return change


def _db_rows(where: slice) -> Change:
    return lambda value, at: without(at("delta"), where, -2).sum(axis=-2)


_LARGE: tuple[Road, ...] = ("default", "sweep", "fixture")
_SMALL = "the kink cases are small, and the quick profile has few that are large"


def _remainder(size: int, length: int) -> slice:
    """What is left after whole blocks of ``size``, if there is a whole one."""
    return slice(length // size * size if length >= size else length, None)


ACCUMULATIONS = (
    Fault(
        "db overwritten",
        "accumulation",
        "the last row alone: = for +=",
        "bias gradient",
        lambda value, at: at("delta")[..., -1, :],
    ),
    Fault(
        "dW overwritten",
        "accumulation",
        "the last row alone: = for +=",
        "weight gradient",
        _rows(slice(None, -1)),
    ),
    Fault(
        "dW without the last row",
        "accumulation",
        "a loop that ends too early",
        "weight gradient",
        lambda value, at: _rows(slice(at.rows - 1 if at.rows > 1 else 1, None))(value, at),
    ),
    Fault(
        "dW without the first row",
        "accumulation",
        "a loop that begins too late",
        "weight gradient",
        lambda value, at: _rows(slice(0, 1 if at.rows > 1 else 0))(value, at),
    ),
    Fault(
        "db without the last row",
        "accumulation",
        "a loop that ends too early",
        "bias gradient",
        lambda value, at: _db_rows(slice(at.rows - 1 if at.rows > 1 else 1, None))(value, at),
    ),
    Fault(
        "last row twice",
        "accumulation",
        "in db",
        "bias gradient",
        lambda value, at: value + at("delta")[..., -1, :],
    ),
    Fault(
        "even rows only",
        "accumulation",
        "a stride of two in dW",
        "weight gradient",
        _rows(slice(1, None, 2)),
    ),
    Fault(
        "rows after whole fours lost",
        "accumulation",
        "the remainder of a loop unrolled by 4 is not added to db",
        "bias gradient",
        lambda value, at: _db_rows(_remainder(4, at.rows))(value, at),
    ),
    Fault(
        "rows after whole eights lost",
        "accumulation",
        "the remainder of a loop unrolled by 8 is not added to dW",
        "weight gradient",
        lambda value, at: _rows(_remainder(8, at.rows))(value, at),
    ),
    Fault(
        "inner sum in fours",
        "accumulation",
        "going down, units after whole fours are not added",
        "cotangent",
        lambda value, at: _down_without(4, value, at),
    ),
    Fault(
        "inner sum in sixteens",
        "accumulation",
        "going down, units after whole sixteens are not added",
        "cotangent",
        lambda value, at: _down_without(16, value, at),
        caught=_LARGE,
        why=_SMALL,
    ),
    Fault(
        "two paths overwrite",
        "accumulation",
        "what goes down is that of the last unit alone",
        "cotangent",
        lambda value, at: (
            at("delta", at.layer + 1)[..., -1:] @ at("weight going down", at.layer + 1)[..., -1:, :]
        ),
    ),
)


def _down_without(size: int, value: Any, at: At) -> Any:
    delta = at("delta", at.layer + 1)
    delta = without(delta, _remainder(size, delta.shape[-1]), -1)
    return delta @ at("weight going down", at.layer + 1)


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
        caught=_LARGE,
        why=_SMALL,
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
    return lambda value, at: without(value, _remainder(size, value.shape[axis]), axis)


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
        caught=_LARGE,
        why=_SMALL,
    ),
    Fault(
        "units after whole 32s",
        "tail",
        "of dW are not written",
        "weight gradient",
        _tail(32, -2),
        caught=_LARGE,
        why=_SMALL,
    ),
    Fault(
        "units after whole 64s",
        "tail",
        "of dW are not written",
        "weight gradient",
        _tail(64, -2),
        caught=_LARGE,
        why=_SMALL,
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
        caught=_LARGE,
        why=_SMALL,
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
    return without(flat, _remainder(size, flat.shape[-1]), -1).reshape(value.shape)


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
    ),
    Fault(
        "two db swapped",
        "swap",
        "of equal shape",
        "answer",
        lambda answer, at: replace(answer, biases=_swapped(answer.biases)),
    ),
    Fault("dW1 and dx swapped", "swap", "where their shapes are equal", "answer", _x_for_weights),
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
