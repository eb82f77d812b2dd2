"""Faults of the linear algebra: transposes, broadcasts, and sums."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from crosscheck.studies.faults.fault import Fault, Road, square, without
from crosscheck.studies.faults.handwritten import At, Change

__all__ = ["ACCUMULATIONS", "BROADCASTS", "LARGE", "REDUCTIONS", "SMALL", "TRANSPOSES", "remainder"]


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


LARGE: tuple[Road, ...] = ("default", "sweep", "fixture")
SMALL = "the kink cases are small, and the quick profile has few that are large"
VERY_LARGE = "few networks of the quick profile and of the fixture's hundred cases are as wide"


def remainder(size: int, length: int) -> slice:
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
        lambda value, at: _db_rows(remainder(4, at.rows))(value, at),
    ),
    Fault(
        "rows after whole eights lost",
        "accumulation",
        "the remainder of a loop unrolled by 8 is not added to dW",
        "weight gradient",
        lambda value, at: _rows(remainder(8, at.rows))(value, at),
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
        caught=LARGE,
        why=SMALL,
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
    delta = without(delta, remainder(size, delta.shape[-1]), -1)
    return delta @ at("weight going down", at.layer + 1)
