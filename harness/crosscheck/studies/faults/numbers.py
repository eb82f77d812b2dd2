"""Faults of numbers: dtypes that are too coarse, and factors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from crosscheck.numbers.formats import format_of
from crosscheck.studies.faults.fault import Fault, each_array
from crosscheck.studies.faults.handwritten import At, Change

__all__ = ["DTYPES", "SCALES", "coarse"]


def coarse(dtype: str) -> Change:
    """Rounded to the numbers of another dtype."""
    return lambda value, at: format_of(dtype).round(value).astype(value.dtype)


def _numbers_as(dtype: str) -> Change:
    def change(numbers: Any, at: At) -> Any:
        def cast(array: Any) -> Any:
            return None if array is None else coarse(dtype)(array, at)

        return replace(numbers, weights=tuple(map(cast, numbers.weights)), x=cast(numbers.x))

    return change


def _bits(bits: int) -> Callable[[Any], Any]:
    """Rounded to so many significant bits."""

    def cut(array: Any) -> Any:
        significand, exponent = np.frexp(array)
        whole = np.rint(np.ldexp(significand, bits))
        return np.ldexp(whole, exponent - bits).astype(array.dtype)

    return cut


def _coarse_down(bits: int) -> Change:
    """Both multiplicands of the product that goes down have so many bits."""

    def change(value: Any, at: At) -> Any:
        cut = _bits(bits)
        return cut(at("delta", at.layer + 1)) @ cut(at("weight going down", at.layer + 1))

    return change


_F64, _F32 = ("float64",), ("float32",)

DTYPES = (
    Fault(
        "float32 in dW",
        "dtype",
        "a float64 dW has been through float32",
        "weight gradient",
        coarse("float32"),
        dtypes=_F64,
    ),
    Fault(
        "float32 in dx",
        "dtype",
        "a float64 dx has been through float32",
        "answer",
        lambda answer, at: replace(answer, x=coarse("float32")(answer.x, at)),
        dtypes=_F64,
    ),
    Fault(
        "float32 residual",
        "dtype",
        "in float64 it has been through float32",
        "residual",
        coarse("float32"),
        dtypes=_F64,
    ),
    Fault(
        "cast too early",
        "dtype",
        "weights and inputs are made float32 before the pass",
        "numbers",
        _numbers_as("float32"),
        dtypes=_F64,
    ),
    Fault(
        "float32 delta",
        "dtype",
        "in float64 it has been through float32",
        "delta",
        coarse("float32"),
        dtypes=_F64,
    ),
    Fault(
        "sum of rows in float32",
        "dtype",
        "db in float64",
        "bias gradient",
        lambda value, at: at("delta").astype(np.float32).sum(axis=-2).astype(value.dtype),
        dtypes=_F64,
    ),
    Fault(
        "40 bits",
        "dtype",
        "of 53 are kept in each number",
        "answer",
        each_array(_bits(40)),
        dtypes=_F64,
    ),
    Fault(
        "bfloat16 in float32",
        "dtype",
        "each number of the answer has 8 bits",
        "answer",
        each_array(_bits(8)),
        dtypes=_F32,
    ),
    Fault(
        "float16 in float32",
        "dtype",
        "the delta has been through float16",
        "delta",
        coarse("float16"),
        dtypes=_F32,
    ),
    Fault(
        "bfloat16 multiplicands",
        "dtype",
        "of the product that goes down, in float32",
        "cotangent",
        _coarse_down(8),
        dtypes=_F32,
    ),
    Fault(
        "TF32 multiplicands",
        "dtype",
        "of the product that goes down, in float32",
        "cotangent",
        _coarse_down(11),
        dtypes=_F32,
    ),
    Fault(
        "bfloat16 weights",
        "dtype",
        "float32 weights and inputs are made bfloat16 before the pass",
        "numbers",
        _numbers_as("bfloat16"),
        dtypes=_F32,
    ),
    Fault(
        "whole numbers",
        "dtype",
        "the residual is made an integer",
        "residual",
        lambda value, at: np.trunc(value),
    ),
    Fault(
        "4 bits in bfloat16",
        "dtype",
        "each number of a bfloat16 answer has 4 bits",
        "answer",
        each_array(_bits(4)),
        dtypes=("bfloat16",),
        caught=("quick", "default", "sweep", "kinks"),
        why="NumPy, and so the fixture's function, has no bfloat16",
    ),
    Fault(
        "5 bits in float16",
        "dtype",
        "each number of a float16 answer has 5 bits",
        "answer",
        each_array(_bits(5)),
        dtypes=("float16",),
    ),
)


def _one_number(factor: float) -> Change:
    """The largest number of dW is wrong by a factor, in each case."""

    def change(value: Any, at: At) -> Any:
        flat = value.reshape(*value.shape[:-2], -1).copy()
        index = np.abs(flat).argmax(axis=-1)[..., None]
        taken = np.take_along_axis(flat, index, axis=-1)
        np.put_along_axis(flat, index, (taken * factor).astype(value.dtype), axis=-1)
        return flat.reshape(value.shape)

    return change


def _all(name: str, says: str, factor: float, **more: Any) -> Fault:
    return Fault(
        name, "scale", says, "answer", each_array(lambda a: a * a.dtype.type(factor)), **more
    )


SCALES = (
    _all("all zero", "the gradient is 0", 0.0),
    _all("doubled", "the gradient is twice what it should be", 2.0),
    _all("halved", "the gradient is half of what it should be", 0.5),
    _all("negated", "the gradient has the other sign", -1.0),
    _all("1.01", "the gradient is one per cent too large", 1.01),
    _all("1 + 2^-10", "the gradient is too large by so much", 1 + 2.0**-10),
    _all("1 + 2^-18", "the gradient is too large by so much", 1 + 2.0**-18),
    _all("1 + 2^-30", "the gradient is too large by so much", 1 + 2.0**-30, dtypes=_F64),
    _all("1 + 2^-44", "the gradient is too large by so much", 1 + 2.0**-44, dtypes=_F64),
    Fault(
        "one number by 2^-12",
        "scale",
        "the largest number of each dW is too large by 1 + 2^-12",
        "weight gradient",
        _one_number(1 + 2.0**-12),
    ),
    Fault(
        "one number by 2^-40",
        "scale",
        "the largest number of each dW is too large by 1 + 2^-40",
        "weight gradient",
        _one_number(1 + 2.0**-40),
        dtypes=_F64,
    ),
    Fault(
        "42s",
        "scale",
        "each number of the gradient is 42",
        "answer",
        each_array(lambda a: np.full_like(a, 42)),
    ),
    Fault(
        "all zero in float16",
        "scale",
        "the gradient is 0",
        "answer",
        each_array(np.zeros_like),
        dtypes=("float16",),
    ),
    Fault(
        "all zero in bfloat16",
        "scale",
        "the gradient is 0",
        "answer",
        each_array(np.zeros_like),
        dtypes=("bfloat16",),
    ),
)
