"""What an argument ranges over: a domain for each argument, by its name.

>>> import crosscheck
>>> {"y": crosscheck.integers(0, "c"), "x": crosscheck.reals(min=0, exclude=(1,))}

Every real number of a domain is one of the case's dtype, and those that cases are shrunk to are
small and dyadic. A domain says whether the function is differentiated by its argument, unless
``wrt`` says so by name. Derivatives are those by entries that vary freely: that of a symmetric
matrix is by each entry alone, as if the other did not follow, and probabilities need not sum to 1
beside a case.

More of them are in `crosscheck.cases.functions.structured`, and what else is taken for one in
`crosscheck.cases.functions.given`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from crosscheck.cases.functions.axes import axis_of
from crosscheck.cases.functions.shapes import Shape
from crosscheck.cases.functions.source import Place, Source, grid
from crosscheck.numbers.arrays import Array
from crosscheck.tools.errors import UsageError

__all__ = [
    "Domain",
    "Place",
    "integers",
    "is_real",
    "lengths",
    "positive",
    "reals",
    "scale",
    "unique",
    "unit",
]


class Domain:
    """A set of arrays, with numbers drawn from it.

    Attributes:
        kind: ``"real"``, ``"integer"`` or ``"bool"``; ``"any"`` where the numbers say so.
        grad: Whether the function is differentiated by the argument, where it is real.
        can_be_cut: Whether entries may be taken away at the ends of its axes.
        is_free: Whether entries may be changed as far as `holds`.
    """

    kind: ClassVar[str] = "real"
    grad: bool = True
    can_be_cut: bool = True
    is_free: bool = True

    @property
    def own_shape(self) -> Shape | None:
        """The shape, where the domain is one array."""
        return None

    def draw(self, source: Source, place: Place) -> Any:
        """An array: float64 with numbers of the format, int64 or bool.

        Raises:
            UsageError: There is none of this shape.
        """
        raise NotImplementedError

    def holds(self, array: Any, place: Place) -> bool:
        """Whether an array is one of the domain."""
        raise NotImplementedError

    def simplest(self, place: Place) -> Any:
        """The simplest array of the domain, where there is one; else ``None``."""
        return None

    def mended(self, array: Any, place: Place) -> Any:
        """An array near one of which something was cut away or changed."""
        return array


def is_real(array: Any, place: Place) -> bool:
    """Whether the array has the shape, and finite numbers of the format."""
    return bool(
        array.dtype == np.float64
        and array.shape == place.shape
        and np.isfinite(array).all()
        and place.form.contains(array)
    )


def _number(value: Any, who: str) -> float:
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        raise UsageError(f"{who}={value!r}: wanted a number")
    if not math.isfinite(value):
        raise UsageError(f"{who}={value!r}: wanted a finite number")
    return float(value)


@dataclass(frozen=True)
class _Reals(Domain):
    low: float | None
    high: float | None
    exclude: tuple[float, ...]
    grad: bool = True

    def draw(self, source: Source, place: Place) -> Any:
        allowed = self._allowed(place)
        found = source.reals(place.shape, self.low, self.high)
        return np.where(np.isin(found, self.exclude), allowed[0], found)

    def holds(self, array: Any, place: Place) -> bool:
        if not is_real(array, place) or np.isin(array, self.exclude).any():
            return False
        low, high = self.low, self.high
        above = low is None or bool((array >= low).all())
        return above and (high is None or bool((array <= high).all()))

    def simplest(self, place: Place) -> Any:
        return np.full(place.shape, self._allowed(place)[0])

    def _allowed(self, place: Place) -> list[float]:
        found = [each for each in grid(place.form, self.low, self.high) if each not in self.exclude]
        if not found:
            raise UsageError(
                f"inputs[{place.name!r}]: no simple {place.form.name} number between "
                f"{self.low} and {self.high} without {list(self.exclude)}; wanted a wider range"
            )
        return found


def reals(
    *,
    min: float | None = None,
    max: float | None = None,
    exclude: Sequence[float] = (),
    grad: bool = True,
) -> Domain:
    """Real numbers.

    Args:
        min: The smallest; without one they are of moderate size.
        max: The largest.
        exclude: Numbers that no entry is.
        grad: Whether the function is differentiated by the argument.

    Raises:
        UsageError: A bound is no finite number, or there is nothing between them.
    """
    low = None if min is None else _number(min, "reals(min")
    high = None if max is None else _number(max, "reals(max")
    if low is not None and high is not None and low > high:
        raise UsageError(f"reals(min={min!r}, max={max!r}): wanted min up to max")
    if isinstance(exclude, str) or not isinstance(exclude, Sequence):
        raise UsageError(f"reals(exclude={exclude!r}): wanted a tuple of numbers")
    without = tuple(_number(each, "reals(exclude") for each in exclude)
    return _Reals(low, high, without, grad)


def positive(*, max: float | None = None) -> Domain:
    """Real numbers from 2^-4 on, up to ``max``."""
    return reals(min=2.0**-4, max=max)


def unit() -> Domain:
    """Real numbers from 0 to 1, both included."""
    return reals(min=0.0, max=1.0)


@dataclass(frozen=True)
class _Integers(Domain):
    low: int
    high: int | str
    who: str
    kind: ClassVar[str] = "integer"
    grad: bool = False

    def draw(self, source: Source, place: Place) -> Any:
        return source.integers(place.shape, self.low, self._most(place))

    def holds(self, array: Any, place: Place) -> bool:
        fits = array.dtype == np.int64 and array.shape == place.shape
        return bool(fits and ((array >= self.low) & (array <= self._most(place))).all())

    def simplest(self, place: Place) -> Any:
        return np.full(place.shape, self.low, dtype=np.int64)

    def mended(self, array: Any, place: Place) -> Any:
        return np.clip(array, self.low, self._most(place))

    def _most(self, place: Place) -> int:
        high = self.high
        if isinstance(high, str):
            axis = axis_of(high)
            unknown = [name for name in axis.names if name not in place.sizes]
            if unknown:
                known = ", ".join(place.sizes) or "none"
                raise UsageError(
                    f"inputs[{place.name!r}]: {self.who} names the axis {unknown[0]!r}, wanted "
                    f"one of {known}"
                )
            high = axis.size(place.sizes)
        if high <= self.low and 0 not in place.shape:
            raise UsageError(
                f"inputs[{place.name!r}]: {self.who} has none, for {self.high} is {high}"
            )
        return high - 1


def integers(low: int, high: int | str) -> Domain:
    """Whole numbers from ``low`` up to ``high``, this one not included; as int64.

    Args:
        low: The smallest.
        high: One more than the largest: a number, or the size of an axis by its name, ``"c"``,
            ``"c-1"``.

    Raises:
        UsageError: There is none, or an argument is of another kind.
    """
    who = f"integers({low!r}, {high!r})"
    for each in (low, high):
        if isinstance(each, bool) or not isinstance(each, int | np.integer | str):
            raise UsageError(f"{who}: wanted whole numbers, the second may be an axis's name")
    if isinstance(low, str):
        raise UsageError(f"{who}: wanted a whole number first")
    if isinstance(high, str):
        try:
            usable = axis_of(high).kind == "size"
        except ValueError:
            usable = False
        if not usable:
            raise UsageError(f"{who}: {high!r} is no axis, wanted a name such as 'c'")
    elif high <= low:
        raise UsageError(f"{who}: wanted the second larger, for it is not included")
    return _Integers(int(low), high if isinstance(high, str) else int(high), who)


def lengths(axis: str) -> Domain:
    """Whole numbers from 1 to the size of an axis, this one included: lengths of sequences.

    Args:
        axis: Its name.
    """
    if not isinstance(axis, str):
        raise UsageError(f"lengths({axis!r}): wanted an axis's name such as 't'")
    return integers(1, f"{axis}+1")


@dataclass(frozen=True)
class _Scale(Domain):
    reach: int
    grad: bool = False

    def draw(self, source: Source, place: Place) -> Any:
        return source.chosen(place.shape, self._powers(place))

    def holds(self, array: Any, place: Place) -> bool:
        return is_real(array, place) and bool(np.isin(array, self._powers(place)).all())

    def simplest(self, place: Place) -> Any:
        return np.ones(place.shape)

    def _powers(self, place: Place) -> list[float]:
        exponents = sorted(range(-self.reach, self.reach + 1), key=lambda each: (abs(each), -each))
        every = [2.0**each for each in exponents]
        return [each for each in every if place.form.contains(each) and each <= place.form.largest]


def scale(k: int = 4, *, grad: bool = False) -> Domain:
    """Powers of two from 2^-k to 2^k: by which something is multiplied without a rounding.

    Raises:
        UsageError: ``k`` is no whole number from 0 to 100.
    """
    if isinstance(k, bool) or not isinstance(k, int) or not 0 <= k <= 100:
        raise UsageError(f"scale({k!r}): wanted a whole number from 0 to 100, for 2^-k to 2^k")
    return _Scale(k, grad)


@dataclass(frozen=True)
class _Unique(Domain):
    grad: bool = True

    def draw(self, source: Source, place: Place) -> Any:
        """Different whole numbers k, to which something in [0, ½] is added in the kind ``full``.

        Rounding is monotone and k + 1 is a number of the format, so k + ½ rounded is less than it
        as long as numbers at k are ½ apart or less: as long as count ≤ 2^p.
        """
        count = math.prod(place.shape)
        found = self._in_order(place)[source.order((count,), 0)]
        if source.kind == "full" and count <= 2**place.form.precision:
            found = place.form.round(found + source.reals((count,), 0.0, 0.5))
        return found.reshape(place.shape)

    def holds(self, array: Any, place: Place) -> bool:
        return is_real(array, place) and len(np.unique(array)) == array.size

    def simplest(self, place: Place) -> Any:
        return self._in_order(place).reshape(place.shape)

    def _in_order(self, place: Place) -> Array:
        """Whole numbers around 0; beyond 2^p those that the format has, each its neighbour's next.

        These are (2^(p-1) + r) 2^(e+1) for e = 0, 1, … and 0 ≤ r < 2^(p-1).
        """
        count, half = math.prod(place.shape), 2 ** (place.form.precision - 1)
        steps = np.arange(count) - count // 2
        further, rest = np.divmod(np.maximum(np.abs(steps) - 2 * half, 0), half)
        beyond = np.ldexp((half + rest).astype(np.float64), np.minimum(further + 1, 2**10 - 54))
        size = np.where(np.abs(steps) <= 2 * half, np.abs(steps), beyond)
        if size.max(initial=0.0) > place.form.largest:
            raise UsageError(
                f"inputs[{place.name!r}]: {count} entries without ties, and {place.form.name} has "
                f"not so many whole numbers, wanted fewer"
            )
        return np.asarray(np.sign(steps) * size, dtype=np.float64)


def unique() -> Domain:
    """Real numbers no two of which are equal in an array: no ties."""
    return _Unique()
