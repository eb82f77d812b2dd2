"""Making a failing case of a function small enough to read, while it keeps failing.

Sizes go down by the names of their axes, so that shapes keep fitting, and what is taken away is at
the ends of axes. Then results are left out by cotangents of 0, and then numbers become simpler:
0, ±1, ±2, whole ones, fewer bits. Every argument stays in its domain, whose `mended` says what
remains of an array that was cut. Each step makes the case strictly simpler, so the search ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from crosscheck.cases.functions.arguments import Arguments
from crosscheck.cases.functions.record import Record
from crosscheck.cases.functions.shapes import Shape, is_count
from crosscheck.cases.functions.source import Place
from crosscheck.cases.shrink import MANY, Shrinking, simpler_numbers
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.tools.errors import UsageError

__all__ = ["smaller"]

_BIT = 64
"""What a significant bit costs; a factor of two costs 2, a minus sign 1."""


@in_ieee_arithmetic
def smaller(
    record: Record,
    still_fails: Callable[[Record], bool],
    arguments: Arguments,
    attempts: int = 400,
) -> Record:
    """A simpler case that still fails; the same one every time.

    Args:
        record: For which ``still_fails`` is true.
        still_fails: What to keep. Called at most ``attempts`` times.
        arguments: What the record was drawn from.
        attempts: When to be content with what has been found.
    """
    search = Shrinking(record, still_fails, attempts)
    before = None
    while before is not search.case and search.left > 0:
        before = search.case
        for name in record.sizes:
            if name in search.case.sizes:
                _less(search, name, arguments)
        _fewer_results(search)
        for array in _arrays(search, arguments):
            array.simplify()
    found: Record = search.case
    return found


def _less(search: Shrinking, name: str, arguments: Arguments) -> None:
    """A smaller size of one axis: the smallest ones first, then by halving what is between."""
    size = search.case.sizes[name]

    def take(candidate: int) -> bool:
        changed = _resized(search.case, {**search.case.sizes, name: candidate}, arguments)
        return changed is not None and search.take(changed)

    if name in arguments.given or is_count(name):
        for candidate in sorted(set(arguments.sizes.get(name, ()))):
            if candidate >= size or take(candidate):
                return
        return
    low = 0
    for candidate in range(1, min(size, 5)):
        if take(candidate):
            return
        low = candidate
    while size - low > 1:
        middle = (low + size) // 2
        if take(middle):
            size = middle
        else:
            low = middle


def _resized(record: Record, sizes: Mapping[str, int], arguments: Arguments) -> Record | None:
    """The record with other sizes; ``None`` if a domain has nothing that is left of an array."""
    shapes, form = arguments.shapes, format_of(record.dtype)
    if not shapes.is_possible(sizes):
        return None
    sizes = arguments.used(shapes.settled(sizes))
    arrays = {}
    for name, array in record.arguments.items():
        domain, place = arguments.domains[name], arguments.place(name, sizes, form)
        if place.shape != array.shape:
            if not domain.can_be_cut:
                return None
            # An axis of *batch that there is no longer is taken at its first entry.
            labels = shapes.labels(name, record.sizes)
            index = tuple(slice(None) if each in place.labels else 0 for each in labels)
            array = array[index]
            if any(new > old for new, old in zip(place.shape, array.shape, strict=True)):
                return None
            array = array[tuple(map(slice, place.shape))].copy()
        # Sizes are bounds of whole numbers too, and may leave none between them.
        try:
            array = domain.mended(array, place)
            if not domain.holds(array, place):
                return None
        except UsageError:
            return None
        arrays[name] = array
    results = arguments.results(arrays, sizes, record.keywords)
    cotangents = {name: _fitted(record.cotangents[name], shape) for name, shape in results.items()}
    found = replace(record, arguments=arrays, cotangents=cotangents, sizes=sizes)
    return found if _is_weighed(found) or not _is_weighed(record) else None


def _fitted(cotangent: Array, shape: Shape) -> Array:
    """A cotangent for a result of another shape: what is left of it, with ones beyond it."""
    while cotangent.ndim > len(shape):
        cotangent = cotangent[0]
    found = np.ones(shape)
    if cotangent.ndim == len(shape):
        common = tuple(slice(min(pair)) for pair in zip(shape, cotangent.shape, strict=True))
        found[common] = cotangent[common]
    return found


def _is_weighed(record: Record) -> bool:
    return any(array.any() for array in record.cotangents.values())


def _fewer_results(search: Shrinking) -> None:
    """Cotangents of 0, as long as another one is left."""
    for output in search.case.cotangents:
        array = search.case.cotangents[output]
        changed = search.case.weighed(output, np.zeros(array.shape))
        if array.any() and _is_weighed(changed):
            search.take(changed)


class _Simplified:
    """One array of the case under way: an argument, or the cotangent of a result."""

    def __init__(self, search: Shrinking, name: str, arguments: Arguments, is_input: bool) -> None:
        self.search, self.name, self.arguments, self.is_input = search, name, arguments, is_input
        weighing = arguments.weighing
        self.domain = arguments.domains[name] if is_input else weighing

    @property
    def array(self) -> Any:
        case = self.search.case
        return (case.arguments if self.is_input else case.cotangents)[self.name]

    def simplify(self) -> None:
        """Whole arrays first, then parts of those that are long, then single entries."""
        if self.domain is not None and not self.domain.is_free:
            return
        self._whole()
        if self.array.size >= MANY and len(np.unique(self.array)) == 1:
            return  # one number says it all, and is read more easily than a few zeros among others
        if np.count_nonzero(self.array) >= MANY:
            self._halves()
        for index in np.ndindex(self.array.shape):
            if self.search.left == 0:
                return
            value = self.array[index]
            for number in _simpler(value):
                if _cost(self.array.dtype.type(number)) >= _cost(value):
                    continue
                changed = self.array.copy()
                changed[index] = number
                if self.take(changed):
                    break

    def take(self, changed: Any, *, equal: bool = False) -> bool:
        """Go on with another array, if it is simpler, one of the domain, and the case fails."""
        case, array = self.search.case, self.array
        form = format_of(case.dtype)
        if self.domain is not None:
            if self.is_input:
                place = self.arguments.place(self.name, case.sizes, form)
            else:
                place = Place(self.name, array.shape, form, case.sizes)
            changed = self.domain.mended(changed, place)
            if not self.domain.holds(changed, place):
                return False
        elif not form.contains(changed):
            return False
        before, after = _cost(array), _cost(changed)
        if after > before or (after == before and not equal) or np.array_equal(array, changed):
            return False
        if self.is_input:
            return self.search.take(case.replaced(self.name, changed))
        moved = case.weighed(self.name, changed)
        return _is_weighed(moved) and self.search.take(moved)

    def _whole(self) -> None:
        array, case = self.array, self.search.case
        if self.is_input and self.domain is not None:
            place = self.arguments.place(self.name, case.sizes, format_of(case.dtype))
            simplest = self.domain.simplest(place)
            if simplest is not None and self.take(simplest, equal=True):
                return
        if array.dtype == np.bool_:
            self.take(np.ones_like(array))
            return
        for value in (0, 1, -1, 2):
            if self.take(np.full_like(array, value)):
                return
        if array.dtype == np.float64:
            self.take(np.where(np.isfinite(array), np.rint(array), array))

    def _halves(self) -> None:
        """Zeros in the place of half of the numbers, of a quarter, and so on."""

        def without(part: slice) -> Any:
            changed = self.array.copy()
            flat = changed.reshape(-1)
            flat[np.flatnonzero(flat)[part]] = 0
            return changed

        size = int(np.count_nonzero(self.array)) // 2
        while size > 0 and self.search.left > 0:
            start = 0
            while start < np.count_nonzero(self.array) and self.search.left > 0:
                if not self.take(without(slice(start, start + size))):
                    start += size
            size //= 2


def _arrays(search: Shrinking, arguments: Arguments) -> Iterator[_Simplified]:
    for name in search.case.arguments:
        yield _Simplified(search, name, arguments, True)
    for name in search.case.cotangents:
        yield _Simplified(search, name, arguments, False)


def _simpler(value: Any) -> Iterator[Any]:
    """What an entry may become, the simplest first."""
    if isinstance(value, np.bool_):
        yield True
    elif isinstance(value, np.integer):
        whole = int(value)
        yield from (0, 1, -1, 2, -2, whole // 2, whole - (1 if whole > 0 else -1))
    else:
        number = float(value)
        yield from (0.0, 1.0, -1.0, 2.0, -2.0)
        yield from simpler_numbers(number)
        if number and np.isfinite(number):
            exponent = int(np.frexp(number)[1]) - 1
            yield float(np.copysign(2.0 ** int(exponent / 2), number))


def _cost(array: Any) -> int:
    """How far an array is from the simplest one: a whole number, the sum of its entries' costs.

    A real number ±m 2^e with m in [1, 2) costs 1, and `_BIT` for each bit of m after the first, 2
    for each factor of two, 1 for the sign; zero costs nothing, and minus zero the sign.
    """
    array = np.asarray(array)
    if array.dtype == np.bool_:
        return int(np.count_nonzero(~array))
    if array.dtype != np.float64:
        return sum(2 * abs(each) + (each < 0) for each in array.reshape(-1).tolist())
    finite = np.isfinite(array)
    significand, exponent = np.frexp(np.where(finite, np.abs(array), 0.0))
    whole = np.ldexp(significand, 53).astype(np.int64)
    # The lowest bit that is set is a power of two, whose exponent frexp gives.
    bits = 53 - (np.frexp((whole & -whole).astype(np.float64))[1] - 1)
    costs = np.where(whole == 0, 0, 1 + _BIT * (bits - 1) + 2 * np.abs(exponent - 1))
    costs = np.where(finite, costs, 2**12)
    return int(costs.sum()) + int(np.count_nonzero(np.signbit(array)))
