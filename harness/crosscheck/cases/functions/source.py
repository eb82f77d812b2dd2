"""Where the numbers of a drawn case come from: Hypothesis, entry by entry, or a seed of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from crosscheck.cases.functions.shapes import Shape
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import COARSE, Format
from crosscheck.tools.errors import UsageError

__all__ = ["KINDS", "Place", "Source", "grid", "inward"]

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "small": "small whole numbers and halves, so that few sums are rounded",
        "ties": "each array of three numbers, 0 among them: equal entries, and kinks",
        "full": "all bits of the significand in use, of several magnitudes",
        "long": "2^p + 2 equal terms along an axis: more than a sum of p bits can count",
    }
)
"""Kinds of numbers in a case, the simplest first."""

T = TypeVar("T")

_ONE_BY_ONE = 32
"""Up to so many entries are drawn one by one, and shrink so; more are drawn from a seed."""
_UP = 3
_FINEST = 12


@dataclass(frozen=True)
class Place:
    """What an argument's numbers are drawn for.

    Attributes:
        name: Of the argument, for complaints.
        shape: Of the array.
        form: Of real numbers.
        sizes: Of all axes by name.
        labels: What each axis of the array is called.
    """

    name: str
    shape: Shape
    form: Format
    sizes: Mapping[str, int]
    labels: tuple[str, ...] = ()

    def axis(self, axis: int | str, who: str) -> int:
        """An axis by its number or its name, as a number from 0 on.

        Raises:
            UsageError: There is none.
        """
        if isinstance(axis, str) and axis in self.labels:
            return self.labels.index(axis)
        if isinstance(axis, int) and -len(self.shape) <= axis < len(self.shape):
            return axis % len(self.shape)
        named = f" ({', '.join(self.labels)})" if self.labels else ""
        raise UsageError(
            f"inputs[{self.name!r}]: {who} has axis={axis!r}, wanted one of shape "
            f"{self.shape}{named}"
        )


class Source:
    """Draws arrays.

    Args:
        draw: Of a composite strategy of Hypothesis.
        form: Of real numbers.
        kind: One of `KINDS`.
        edges: Numbers that arrays of the kind ``"ties"`` hold besides.
    """

    def __init__(
        self, draw: st.DrawFn, form: Format, kind: str, edges: Sequence[float] = ()
    ) -> None:
        self.draw, self.form, self.kind, self.edges = draw, form, kind, edges

    def rng(self) -> np.random.Generator:
        """NumPy's Philox generator with a drawn seed."""
        return np.random.Generator(np.random.Philox(self.draw(st.integers(0, 2**32 - 1))))

    def integers(self, shape: Shape, low: int, high: int) -> NDArray[np.int64]:
        """Whole numbers from ``low`` to ``high``, this one included, int64."""
        count = math.prod(shape)
        if count > _ONE_BY_ONE:
            return self.rng().integers(low, high, shape, endpoint=True)
        numbers = st.lists(st.integers(low, high), min_size=count, max_size=count)
        return np.array(self.draw(numbers), dtype=np.int64).reshape(shape)

    def chosen(self, shape: Shape, options: Sequence[float]) -> Array:
        """Entries out of ``options``, the simplest first."""
        return np.array(options, dtype=np.float64)[self.integers(shape, 0, len(options) - 1)]

    def reals(self, shape: Shape, low: float | None = None, high: float | None = None) -> Array:
        """Numbers of the format from ``low`` to ``high``, of this source's kind."""
        simple = grid(self.form, low, high)
        if self.kind == "full":
            return self._full(shape, low, high)
        if self.kind == "ties":
            value = self.draw(st.sampled_from([v for v in simple if v] or simple))
            few = dict.fromkeys(each for each in (0.0, value, -value) if each in simple)
            edges = self.form.round(np.array([*self.edges], dtype=np.float64)).tolist()
            few |= dict.fromkeys(each for each in edges if _is_within(each, low, high))
            return self.chosen(shape, list(few))
        return self.chosen(shape, simple)

    def order(self, shape: Shape, axis: int) -> NDArray[np.int64]:
        """Permutations of 0 … n - 1 along an axis of size n."""
        return np.argsort(self.integers(shape, 0, 2**16), axis=axis, kind="stable")

    def _full(self, shape: Shape, low: float | None, high: float | None) -> Array:
        """Significands of p drawn bits; without bounds times 2^e, with two from one to the other.

        With bounds a drawn integer t ≤ 2^p gives low + (high - low) t 2^-p. Rounding is monotone,
        so that does not pass a bound that is a number of the format.
        """
        form = self.form
        reach = 8 if form.emax >= 64 else 4 if form.precision >= COARSE else 1
        bits = form.precision
        if low is None and high is None:
            significand = self.integers(shape, 2 ** (bits - 1), 2**bits - 1)
            exponent = self.integers(shape, -reach, 0)[()] + self.draw(st.integers(0, _UP))
            sign = 1.0 - 2.0 * self.integers(shape, 0, 1)
            return np.asarray(sign * np.ldexp(significand.astype(np.float64), exponent - bits))
        lower, upper = inward(form, *_window(low, high))
        steps = self.integers(shape, 0, 2**bits).astype(np.float64) / 2.0**bits
        if lower == 0.0:
            steps = np.ldexp(steps, -self.integers(shape, 0, reach))
        found = form.round(np.clip(lower + (upper - lower) * steps, lower, upper))
        return np.asarray(found)


def inward(form: Format, low: float, high: float) -> tuple[float, float]:
    """The smallest number of the format from ``low`` on, and the largest up to ``high``.

    Where there is none between, the first is larger than the second.
    """
    lower, upper = (
        float(form.round(np.clip(each, -form.largest, form.largest))) for each in (low, high)
    )
    if lower < low:
        lower += float(form.ulp(lower))
    if upper > high:
        upper -= float(form.ulp(upper))
    # The neighbour towards zero of a power of two is half as far; one step then skips a number at
    # the most, and what is between the bounds stays between them.
    return lower, upper


def _window(low: float | None, high: float | None) -> tuple[float, float]:
    """Both bounds, with one that is not given eight away from the other."""
    if low is None:
        return (-4.0, 4.0) if high is None else (high - 8.0, high)
    return low, (max(4.0, low + 8.0) if high is None else high)


def _is_within(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)


@lru_cache(maxsize=256)
def grid(form: Format, low: float | None = None, high: float | None = None) -> tuple[float, ...]:
    """A few simple numbers of the format between the bounds, the simplest first.

    Multiples of 2^-j with the least j that gives five of them, ½ at the least; those of the
    smallest denominators come first, then those nearest to zero. Two of a coarse format's are
    the largest, four of others', unless the bounds are beyond that.
    """
    most = 4.0 if form.precision >= COARSE else 2.0
    lower, upper = _window(low, high)
    if lower <= most and upper >= -most:
        lower, upper = max(lower, -most), min(upper, most)
    found: list[float] = []
    for finer in range(1, _FINEST):
        first, last = math.ceil(lower * 2.0**finer), math.floor(upper * 2.0**finer)
        if last - first > 2**8:
            last = first + 2**8
        found = [k / 2.0**finer for k in range(first, last + 1)]
        found = [each for each in found if form.contains(each)]
        if len(found) >= 5:
            break
    ends = [each for each in inward(form, lower, upper) if _is_within(each, low, high)]
    found = list(dict.fromkeys([each + 0.0 for each in found or ends]))
    found.sort(key=lambda each: (_denominator(each), abs(each), each < 0))
    return tuple(found)


def _denominator(value: Any) -> int:
    return float(value).as_integer_ratio()[1]
