"""Numbers that somebody came to for the gradient of a case: some of its arrays, or all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from crosscheck.network.composed import AnyCase, AnyGradients, Composed, Derivatives
from crosscheck.network.dense import Gradients
from crosscheck.network.names import LOSS, as_said, label
from crosscheck.network.tree import LEFT_OUT, LeftOut
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import FORMATS
from crosscheck.numbers.written import stands_for, text_of
from crosscheck.program.graph import Shape
from crosscheck.tools.errors import UsageError

__all__ = ["Complain", "Given", "ReadNumber", "given_arrays", "given_of", "partial_gradients"]

Complain = Callable[[str], NoReturn]
"""Raises a complaint, with whatever names its origin in front."""

ReadNumber = Callable[[Any, str], float]
"""A number as float64, of what was given and of what it is called."""

_DEEPEST = 8


@dataclass(frozen=True, eq=False)
class Given:
    """Numbers for arrays of a gradient, float64, by the names of the arrays, ``J`` among them.

    Attributes:
        values: The numbers, each array shaped as that of the gradient.
        low: The lowest number that each may stand for; see `crosscheck.numbers.written`.
        high: The highest.
        texts: Each as it was written, where it may have been rounded; else an empty string.
    """

    values: Mapping[str, Array]
    low: Mapping[str, Array]
    high: Mapping[str, Array]
    texts: Mapping[str, NDArray[Any]]

    def nearest_to(self, bounds: Mapping[str, Any]) -> dict[str, Array]:
        """Of the numbers that each may stand for, the one nearest to the middle of an enclosure."""
        return {
            name: np.clip(bounds[name].high, self.low[name], self.high[name])
            for name in self.values
        }


def partial_gradients(case: AnyCase, arrays: Mapping[str, Any]) -> AnyGradients:
    """Arrays by name as a gradient of ``case`` whose others are left out."""
    every = {name: arrays.get(name, LEFT_OUT) for name in case.gradient_shapes}
    return (Derivatives if isinstance(case, Composed) else Gradients).named(every)


def given_of(case: AnyCase, mine: Any) -> Given:
    """What a program holds as its own numbers.

    Args:
        case: A single case.
        mine: Arrays by name, as nested lists or arrays of any library, or a gradient.

    Raises:
        UsageError: There is no array of that name, one has another shape, or is none of numbers;
            or no derivative is given.
    """

    def complain(words: str) -> NoReturn:
        raise UsageError(f"mine: {words}") from None

    def number(value: Any, at: str) -> float:
        if isinstance(value, int | float | np.number | str) and not isinstance(value, bool):
            try:
                if isinstance(value, str) and "x" in value.lower():
                    return float.fromhex(value)
                return float(value)
            except (TypeError, ValueError, OverflowError):
                pass
        complain(f"{at} is {str(value)[:40]!r}, wanted a number")

    if isinstance(mine, Gradients | Derivatives):
        mine = {name: each for name, each in mine.entries() if not isinstance(each, LeftOut)}
    if not isinstance(mine, Mapping):
        complain(f"{type(mine).__name__} given, wanted a dict of arrays by name")
    return given_arrays(case, mine, number, complain)


def given_arrays(
    case: AnyCase, data: Mapping[Any, Any], number: ReadNumber, complain: Complain
) -> Given:
    """Arrays by name, each of the shape that it has in the gradient of ``case``."""
    found = Given({}, {}, {}, {})
    shapes = case.gradient_shapes
    for said, value in data.items():
        name = as_said(str(said))
        name = str(said) if name not in shapes else name
        if name not in shapes:
            complain(
                f"there is no array {str(said)[:40]!r} in its gradient, wanted some of "
                f"{_cut(', '.join(shapes))}"
            )
        if name in found.values:
            complain(f"{name} is given twice, wanted it once")
        if hasattr(value, "shape") and hasattr(value, "dtype"):
            array, texts = _of_array(name, value, shapes[name], complain)
            values = low = high = array
        else:
            shape = _shape_of(value)
            if shape != shapes[name]:
                _refuse_shape(name, shape, shapes[name], complain)
            flat: list[tuple[float, float, float, str]] = []
            _read(value, name, (), shapes[name], partial(_one, number, flat), complain)
            values, low, high = (
                np.array([each[at] for each in flat], dtype=np.float64).reshape(shapes[name])
                for at in range(3)
            )
            texts = np.array([each[3] for each in flat], dtype=object).reshape(shapes[name])
        for kept, each in zip(vars(found).values(), (values, low, high, texts), strict=True):
            kept[name] = each
    if not set(found.values) - {LOSS}:
        complain(f"holds no derivative, wanted at least one of {_cut(', '.join(case.wanted))}")
    return found


def _of_array(
    name: str, value: Any, wanted: Shape, complain: Complain
) -> tuple[Array, NDArray[Any]]:
    """An array of a library, each of whose numbers stands for itself."""
    try:
        array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    except Exception as error:  # whatever a library raises
        complain(f"{name} is no array that NumPy takes ({type(error).__name__})")
    if array.dtype.kind not in "fiu" and array.dtype.name not in FORMATS:
        complain(f"{name} is an array of {array.dtype}, wanted real numbers")
    if array.shape != wanted:
        _refuse_shape(name, array.shape, wanted, complain)
    return array.astype(np.float64), np.full(wanted, "", dtype=object)


def _one(
    number: ReadNumber, flat: list[tuple[float, float, float, str]], value: Any, at: str
) -> None:
    text, read = text_of(value), number(value, at)
    flat.append((read, *stands_for(text, read), text))


def _read(
    data: Any,
    name: str,
    index: tuple[int, ...],
    wanted: Shape,
    take: Callable[[Any, str], None],
    complain: Complain,
) -> None:
    """Each number in nested lists of the shape ``wanted``, in order."""
    if len(index) == len(wanted):
        take(data, label(name, index))
        return
    if not isinstance(data, list | tuple) or len(data) != wanted[len(index)]:
        found = f"length {len(data)}" if isinstance(data, list | tuple) else "no length"
        complain(
            f"{label(name, index)} has {found}, wanted {wanted[len(index)]}: "
            f"{name} has shape {wanted}"
        )
    for at, each in enumerate(data):
        _read(each, name, (*index, at), wanted, take, complain)


def _shape_of(data: Any) -> Shape:
    """The shape of nested lists, by the first of each."""
    shape: list[int] = []
    while isinstance(data, list | tuple) and len(shape) < _DEEPEST:
        shape.append(len(data))
        if not data:
            break
        data = data[0]
    return tuple(shape)


def _refuse_shape(name: str, shape: Shape, wanted: Shape, complain: Complain) -> NoReturn:
    hint = "; is it transposed?" if len(shape) > 1 and shape[::-1] == wanted else ""
    complain(f"{name} has shape {shape}, wanted {wanted}{hint}")


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}…"
