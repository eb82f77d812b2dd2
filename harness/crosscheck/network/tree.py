"""Arrays with names, in an order: what cases, batches and gradients are.

Whatever is done to each array of such an object is done here, once: it is changed, joined with the
array of the same place elsewhere, taken at one case of a stack, or put in its place again.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from crosscheck.network.names import LOSS, array_name
from crosscheck.program.graph import Shape

__all__ = ["LEFT_OUT", "LeftOut", "Point", "Slopes", "Tree", "widened"]


@dataclass(frozen=True)
class LeftOut:
    """Stands for an array of a gradient that was not computed: it is compared with nothing."""


LEFT_OUT = LeftOut()
"""In the place of ``J``, ``dJ/dW_l``, ``dJ/db_l`` or ``dJ/dx`` of a gradient under test."""


class Tree(abc.ABC):
    """A data class of which some fields hold arrays, of any type of number.

    Attributes:
        parts: Each of those fields, and what its arrays are called. ``"x"``: the field is one array
            of this name. ``"W*"``: a sequence with an array, or ``None``, for each layer, whose
            number stands behind the letter. ``"*"``: a mapping from names to arrays.
    """

    parts: ClassVar[Mapping[str, str]]

    # -- the arrays, in their order ------------------------------------------------------------

    def entries(self) -> Iterator[tuple[str, Any]]:
        """``(name, array)`` for each array there is, and for each that is `LEFT_OUT`.

        In the order of the fields; a class with layers says in which order those come.
        """
        for field, name in self.parts.items():
            if name == "*":
                yield from getattr(self, field).items()
            else:
                yield name, getattr(self, field)

    @property
    def names(self) -> tuple[str, ...]:
        """Of `entries`."""
        return tuple(name for name, _ in self.entries())

    def flatten(self) -> list[Any]:
        """The arrays of `entries`; `filled` is the inverse."""
        return [array for _, array in self.entries()]

    @property
    def array_shapes(self) -> dict[str, Shape]:
        """Name of each array to its shape, the axis over cases included."""
        return {name: np.shape(array) for name, array in self.entries()}

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return sum(math.prod(shape) for shape in self.array_shapes.values())

    # -- changed -------------------------------------------------------------------------------

    def map(self, change: Callable[..., Any], *others: Tree) -> Self:
        """Each array put through ``change``, with those of its place in ``others`` behind it.

        What is not there, or `LEFT_OUT`, stays so. A class that requires something of its arrays
        requires it of the new ones.
        """
        return self._with(self._changed(change, *map(vars, others)))

    def map_named(self, change: Callable[[str, Any], Any]) -> Self:
        """`map`, where ``change`` is told each array's name."""
        return self._with(self._changed(lambda array, name: change(name, array), self._labels()))

    def filled(self, arrays: Iterable[Any]) -> Self:
        """The same with ``arrays`` in the places of those of `flatten`.

        Raises:
            ValueError: There are more or fewer of them.
        """
        found = dict(zip(self.names, arrays, strict=True))
        return self.map_named(lambda name, _: found[name])

    def replaced(self, name: str, array: Any) -> Self:
        """The same with ``array`` in place of the one of that name."""
        return self.map_named(lambda each, here: array if each == name else here)

    def __getitem__(self, case: Any) -> Self:
        """Case number ``case`` of a stack; of a slice or an array of numbers, a stack of those."""
        return self._kept(lambda array: array[case])

    # -- how -----------------------------------------------------------------------------------

    def _changed(self, change: Callable[..., Any], *others: Mapping[str, Any]) -> dict[str, Any]:
        """Field to what ``change`` makes of each array in it, with those of its place behind it."""
        found: dict[str, Any] = {}
        for field, name in self.parts.items():
            values, rest = getattr(self, field), [other[field] for other in others]
            if name == "*":
                places = [tuple(one[each] for one in (values, *rest)) for each in values]
                found[field] = dict(zip(values, _changed(change, places), strict=True))
            elif name[-1] == "*":
                found[field] = tuple(_changed(change, zip(values, *rest, strict=True)))
            else:
                (found[field],) = _changed(change, [(values, *rest)])
        return found

    def _labels(self) -> dict[str, Any]:
        """Field to the names of the arrays in it, in the places of those."""
        found: dict[str, Any] = {}
        for field, name in self.parts.items():
            value = getattr(self, field)
            if name == "*":
                found[field] = {each: each for each in value}
            elif name[-1] == "*":
                found[field] = [array_name(name[:-1], at) for at, _ in enumerate(value, start=1)]
            else:
                found[field] = name
        return found

    def _with(self, arrays: Mapping[str, Any]) -> Self:
        return replace(self, **arrays)  # type: ignore[type-var]  # each is a data class

    def _kept(self, change: Callable[..., Any], *others: Tree) -> Self:
        """`map` where every number has been looked at: ``change`` chooses, orders and copies."""
        found = object.__new__(type(self))
        vars(found).update(vars(self))
        vars(found).update(self._changed(change, *map(vars, others)))
        return found


def _changed(change: Callable[..., Any], places: Iterable[Sequence[Any]]) -> list[Any]:
    return [
        each[0] if each[0] is None or each[0].__class__ is LeftOut else change(*each)
        for each in places
    ]


class Point(Tree):
    """What a loss is differentiated at: a case, or a stack of cases with one axis in front.

    Attributes:
        count: ``C`` for a stack of cases, ``None`` for a single one.
        wanted: The names of the arrays that the loss is differentiated by, in the order of
            `entries`: all but targets.
    """

    @property
    @abc.abstractmethod
    def count(self) -> int | None:
        """See above."""

    @property
    @abc.abstractmethod
    def wanted(self) -> tuple[str, ...]:
        """See above."""

    @property
    def gradient_shapes(self) -> dict[str, Shape]:
        """``J`` and each array of the gradient to its shape, the axis over cases included."""
        shapes = self.array_shapes
        lead = () if self.count is None else (self.count,)
        return {LOSS: lead, **{name: shapes[name] for name in self.wanted}}

    @property
    def numbers_each(self) -> int:
        """How many numbers a case has."""
        return self.size // (self.count or 1)

    @property
    def is_finite(self) -> bool:
        """Whether no number is NaN or infinite."""
        return all(bool(np.isfinite(array).all()) for array in self.flatten())

    @property
    def are_finite(self) -> NDArray[np.bool_]:
        """Which cases of a stack hold no NaN and no infinity, of shape (C,)."""
        finite = np.ones(self.count or 1, dtype=bool)
        for array in self.flatten():
            finite &= np.isfinite(array).all(axis=tuple(range(1, array.ndim)))
        return finite

    def copied(self) -> Self:
        """The same in memory of its own."""
        return self._kept(partial(np.array, order="C"))

    def beside(self, others: Sequence[Self]) -> Self:
        """A stack of this single case and others of its kind, dtype and shapes, in this order."""
        return self._kept(lambda *arrays: np.stack(arrays), *others)

    def __getitem__(self, case: Any) -> Self:
        """See `Tree`."""
        if self.count is None:
            raise TypeError("a single case cannot be indexed; only a stack of cases can")
        return super().__getitem__(case)


class Slopes(Tree):
    """A loss and its derivatives by arrays with names, of a single case or of a stack.

    Attributes:
        loss: ``J``, shape ``([C])``.
    """

    loss: Any

    def by(self, names: Iterable[str]) -> list[Any]:
        """The derivatives by the arrays of these names."""
        found = dict(self.entries())
        return [found[name] for name in names]

    def map_derivatives(self, change: Callable[[Any], Any]) -> Self:
        """`map`, but not of ``J``."""
        return self.map_named(lambda name, array: array if name == LOSS else change(array))

    def wide(self, cases: Any) -> Self:
        """Those of some cases of a stack, as float64 without loss."""
        return self.map(lambda array: widened(array[cases]))

    def has_cases(self, count: int) -> bool:
        """Whether each array has something for each of ``count`` cases, whatever it is."""
        return all(shape[:1] == (count,) for shape in self.array_shapes.values())


def widened(array: Any) -> Any:
    """``array`` as float64, without loss."""
    with np.errstate(invalid="ignore"):  # a signalling NaN becomes a quiet one
        return np.asarray(array, dtype=np.float64)
