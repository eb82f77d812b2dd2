"""What a user may give in the place of a domain.

An array, or a number for all entries, stays as it is; real ones are rounded to the case's dtype. A
strategy of Hypothesis draws whole arrays, or entries, as its first value tells. A function
``lambda draw, sizes: array`` is given Hypothesis's ``draw`` and the sizes of all axes by name. What
those two draw is not changed where a case is made smaller; entries that were drawn one by one
may be left away.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

import numpy as np
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from crosscheck.cases.functions.domains import Domain
from crosscheck.cases.functions.shapes import Shape
from crosscheck.cases.functions.source import Place, Source
from crosscheck.network.files.building import indexed_path, round_array
from crosscheck.tools.errors import UsageError
from crosscheck.tools.words import message_of

__all__ = ["constant", "domain_of", "settled"]

_OURS = "crosscheck.cases.functions."


class _Given(Domain):
    """One array, or one number for all entries."""

    kind: ClassVar[str] = "any"
    is_free = False

    def __init__(self, array: Any, grad: bool) -> None:
        self.array, self.grad = array, grad
        self.can_be_cut = array.ndim == 0

    @property
    def own_shape(self) -> Shape | None:
        return self.array.shape if self.array.ndim else None

    def draw(self, source: Source, place: Place) -> Any:
        return self._at(place)

    def holds(self, array: Any, place: Place) -> bool:
        return array.shape == place.shape and np.array_equal(array, self._at(place), equal_nan=True)

    def _at(self, place: Place) -> Any:
        array = np.broadcast_to(self.array, place.shape) if not self.array.ndim else self.array
        return settled(array, place)


def constant(value: ArrayLike) -> Domain:
    """The same array in every case, or one number for all entries; not differentiated by.

    Args:
        value: Whole numbers stay whole numbers, 1.0 is a real one; those are rounded to the
            case's dtype.

    Raises:
        UsageError: It is no array of numbers.
    """
    return _Given(_array(value, "constant"), False)


class _Drawn(Domain):
    """What a strategy of the user's draws: whole arrays, or one entry at a time."""

    kind: ClassVar[str] = "any"
    is_free = False
    can_be_cut = False

    def __init__(self, strategy: st.SearchStrategy[Any]) -> None:
        self.strategy = strategy

    def draw(self, source: Source, place: Place) -> Any:
        first = source.draw(self.strategy)
        if np.ndim(first) or not place.shape:
            return settled(_array(first, f"inputs[{place.name!r}]"), place)
        self.can_be_cut = True  # entries do not know of one another
        rest = max(math.prod(place.shape) - 1, 0)
        entries = [first, *(source.draw(self.strategy) for _ in range(rest))]
        entries = entries[: math.prod(place.shape)]
        return settled(_array(entries, f"inputs[{place.name!r}]").reshape(place.shape), place)

    def holds(self, array: Any, place: Place) -> bool:
        return bool(array.shape == place.shape)


class _Computed(Domain):
    """What a function of the user's makes of ``draw`` and the sizes."""

    kind: ClassVar[str] = "any"
    is_free = False
    can_be_cut = False

    def __init__(self, function: Callable[[st.DrawFn, Mapping[str, int]], Any]) -> None:
        self.function = function

    def draw(self, source: Source, place: Place) -> Any:
        found = self.function(source.draw, dict(place.sizes))
        return settled(_array(found, f"inputs[{place.name!r}]"), place)

    def holds(self, array: Any, place: Place) -> bool:
        return bool(array.shape == place.shape)


def settled(array: Any, place: Place) -> Any:
    """An array of the user's as float64 with numbers of the format, int64 or bool.

    Raises:
        UsageError: The shape is another one, or a number is beyond the format's largest.
    """
    who = f"inputs[{place.name!r}]"
    if array.shape != place.shape:
        raise UsageError(f"{who}: shape {array.shape}, wanted {place.shape}")
    if array.dtype.kind == "b":
        return array.astype(bool)
    if array.dtype.kind in "iu":
        if array.dtype.kind == "u" and array.size and int(array.max()) > np.iinfo(np.int64).max:
            raise UsageError(f"{who}: {array.max()} is beyond the largest int64")
        return array.astype(np.int64)
    wide = array.astype(np.float64)
    return round_array(wide, place.form, partial(indexed_path, place.name), who)


def _array(value: Any, who: str) -> Any:
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise UsageError(f"{who}: no array: {message_of(error)}") from None
    is_low = array.dtype.kind == "V" and "float" in array.dtype.name
    if array.dtype.kind not in "biuf" and not is_low:
        raise UsageError(f"{who}: of {array.dtype}, wanted an array of numbers")
    return array


def domain_of(value: Any, name: str) -> Domain:
    """What an argument ranges over, from what the user gave.

    Args:
        value: See this module's docstring.
        name: Of the argument.

    Raises:
        UsageError: It is nothing of the kind.
    """
    who = f"inputs[{name!r}]"
    if isinstance(value, Domain):
        return value
    if isinstance(value, st.SearchStrategy):
        return _Drawn(value)
    if callable(value):
        word = getattr(value, "__name__", "")
        if getattr(value, "__module__", "").startswith(_OURS) or isinstance(value, type):
            raise UsageError(f"{who}: {word} is not called, wanted {word}(…)")
        try:
            inspect.signature(value).bind(None, None)
        except TypeError:
            raise UsageError(f"{who}: wanted a function of draw and sizes") from None
        except ValueError:
            pass  # a function without a signature is called and seen
        return _Computed(value)
    if isinstance(value, str):
        raise UsageError(f"{who}={value!r}: wanted a domain such as reals(), an array, a strategy")
    array = _array(value, who)
    return _Given(array, array.dtype.kind not in "biu")
