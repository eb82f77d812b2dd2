"""Faults that show where a case holds NaN or an infinity, or overflows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from crosscheck.network.dense import Gradients
from crosscheck.studies.faults.fault import Fault, Road, each_array
from crosscheck.studies.faults.handwritten import At

__all__ = ["NONFINITES"]


def _quiet(array: Any) -> Any:
    return np.nan_to_num(array, nan=0.0)


def _infected(answer: Gradients, at: At) -> Gradients:
    """NaN everywhere as soon as a number of the case is NaN."""
    if not any(np.isnan(array).any() for array in at.numbers.flatten()):
        return answer
    return answer.map_derivatives(lambda array: np.full_like(array, np.nan))


def _is_nonfinite(at: At) -> bool:
    return not (at.case.is_finite if at.case.count is None else bool(at.case.are_finite.all()))


_FINITE = "few cases that are not finite are among the hundred of the fixture"
_SPECIAL: tuple[Road, ...] = ("quick", "default", "sweep", "kinks")

NONFINITES = (
    Fault(
        "nan_to_num",
        "NaN and infinity",
        "NaN in the answer is made 0",
        "answer",
        each_array(_quiet),
        caught=_SPECIAL,
        why=_FINITE,
    ),
    Fault(
        "nan_to_num of infinities",
        "NaN and infinity",
        "NaN is made 0, an infinity the largest number",
        "answer",
        each_array(np.nan_to_num),
        caught=_SPECIAL,
        why=_FINITE,
    ),
    Fault(
        "NaN among the inputs made 0",
        "NaN and infinity",
        "before the pass",
        "numbers",
        lambda value, at: replace(value, x=_quiet(value.x)),
        caught=_SPECIAL,
        why=_FINITE,
    ),
    Fault(
        "42s beside NaN",
        "NaN and infinity",
        "all is 42 where the case holds NaN or an infinity",
        "answer",
        lambda answer, at: (
            answer.map_derivatives(lambda a: np.full_like(a, 42)) if _is_nonfinite(at) else answer
        ),
        caught=_SPECIAL,
        why=_FINITE,
    ),
    Fault(
        "doubled beside NaN",
        "NaN and infinity",
        "the finite numbers are doubled where the case holds NaN or an infinity",
        "answer",
        lambda answer, at: answer.map_derivatives(lambda a: a * 2) if _is_nonfinite(at) else answer,
        caught=_SPECIAL,
        why=_FINITE,
    ),
    Fault(
        "NaN everywhere",
        "NaN and infinity",
        "one NaN in the case makes all of the gradient NaN",
        "answer",
        _infected,
        caught=_SPECIAL,
        why=_FINITE,
    ),
    Fault(
        "rows with NaN skipped",
        "NaN and infinity",
        "their delta is 0",
        "delta",
        lambda value, at: np.where(np.isnan(value).any(axis=-1, keepdims=True), 0, value),
        caught=_SPECIAL,
        why=_FINITE,
    ),
    Fault(
        "infinity is the largest number",
        "NaN and infinity",
        "in what goes down",
        "cotangent",
        lambda value, at: np.clip(value, np.finfo(value.dtype).min, np.finfo(value.dtype).max),
        caught=_SPECIAL,
        why=_FINITE,
    ),
)
