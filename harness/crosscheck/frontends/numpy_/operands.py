"""What functions are given: traced arrays, numbers of the user's own, and lists of both."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from crosscheck.frontends.numpy_.arrays import Decided, Object, Step, Traced
from crosscheck.frontends.numpy_.tracer import Tracer
from crosscheck.program.graph import Var
from crosscheck.tools.errors import UnsupportedError

__all__ = [
    "has_objects",
    "ignored",
    "is_constant",
    "is_known",
    "number",
    "objects",
    "plain",
    "result",
    "stacked",
    "store",
    "traced",
]


def objects(value: Any) -> list[Object]:
    """The traced arrays that are in something, however deep in lists, tuples and dicts."""
    if isinstance(value, Object):
        return [value]
    if isinstance(value, list | tuple):
        return [each for part in value for each in objects(part)]
    if type(value) is dict:
        return [each for part in value.values() for each in objects(part)]
    return []


def has_objects(value: Any) -> bool:
    """Whether there are any."""
    return bool(objects(value))


def is_known(value: Any) -> bool:
    """Whether nothing in it depends on numbers that are differentiated."""
    return all(isinstance(each, Traced) and each.is_known for each in objects(value))


def is_constant(value: Any) -> bool:
    """Whether no input goes into it."""
    return all(
        isinstance(each, Traced) and each.tracer.is_constant(each.codes) for each in objects(value)
    )


def plain(value: Any) -> Any:
    """The same with the numbers in the place of traced arrays."""
    if isinstance(value, Traced):
        return value.value[()] if value.is_scalar else value.value
    if isinstance(value, Object):
        return value.value
    if type(value) in (list, tuple):
        return type(value)([plain(each) for each in value])
    if type(value) is dict:
        return {key: plain(each) for key, each in value.items()}
    return value


def traced(tracer: Tracer, value: Any) -> Traced:
    """An operand as an array of numbers of the program.

    Raises:
        UsageError: It is none of real numbers, or one that numbers decided.
    """
    if isinstance(value, Traced):
        return value
    if isinstance(value, Step):
        return value.settled()
    if isinstance(value, Decided):
        value.used()
    if has_objects(value):
        return stacked(tracer, value)
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        tracer.refuse(f"an operand of dtype {array.dtype}", "Wanted real numbers.")
    var = tracer.constant(value if isinstance(value, np.ndarray) else array)
    is_constant = var.node.op != "input"
    return Traced.of(tracer, var, array.astype(np.float64), True, is_constant=is_constant)


def stacked(tracer: Tracer, value: Sequence[Any]) -> Traced:
    """A list of arrays, or of lists of them, as one array, as ``np.array`` makes it."""
    parts = [traced(tracer, each) for each in value]
    numbers = np.array([each.value for each in parts], dtype=np.float64)
    codes = np.array([each.codes for each in parts], dtype=np.int64)
    return Traced(tracer, numbers, codes.reshape(numbers.shape))


def number(value: Any) -> Fraction | None:
    """The number that a constant is everywhere, if it is one."""
    if isinstance(value, Object) or has_objects(value):
        return None
    array = np.asarray(value)
    if array.dtype.kind not in "biuf" or not array.size:
        return None
    first = array.flat[0]
    if not np.isfinite(first) or not (array == first).all():
        return None
    return Fraction(first.item())


def result(tracer: Tracer, var: Var, value: Any, *operands: Any) -> Traced:
    """What has been computed from operands."""
    return Traced.of(tracer, var, value, is_known(list(operands)))


def store(target: Any, value: Any) -> Any:
    """Put an array's numbers into another one, in place.

    Returns:
        The target; of a number, which stays as it is, the new one.
    """
    if not isinstance(target, Object):
        if isinstance(value, Object):
            tracer = value.tracer
            tracer.refuse(
                "out= is an array of plain numbers",
                "Begin such arrays with np.zeros in this file; the derivative would be lost.",
            )
        target[...] = value
        return target
    if isinstance(target, Traced):
        if target.is_scalar:
            return value
        new = traced(target.tracer, value)
        target.value[...] = new.value
        target.codes[...] = new.codes
        return target
    return value


def ignored(tracer: Tracer, name: str, more: dict[str, Any]) -> None:
    """Keywords that change nothing in mathematics; others are refused."""
    for key, value in more.items():
        is_default = value is np._NoValue or value is None or (key == "where" and value is True)
        if key not in ("dtype", "casting", "order", "subok", "out") and not is_default:
            tracer.refuse(f"{name} with {key}=", "Write it another way.", UnsupportedError)
