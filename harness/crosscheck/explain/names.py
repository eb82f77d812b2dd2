"""What the numbers of a case are called, and how a person asks for one of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np

from crosscheck.formulas.tree import Index, Partial, Symbol
from crosscheck.judge.decisions import Place
from crosscheck.network.dense import Case
from crosscheck.network.names import EntryName, as_said
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of
from crosscheck.tools.errors import UsageError

__all__ = ["Names", "find_entry", "with_changes"]


@dataclass(frozen=True)
class Names:
    """Symbols for everything in the derivation of one case.

    Where each layer has one unit and there is one row, no index is needed: w2, z1, x. Elsewhere
    the names are those of reports: ``W2[0,1]`` is the weight from unit 1 to unit 0, and
    ``z1[0,2]`` is unit 2 in row 0, as ``x[0,2]`` is the third input of the first row.

    Attributes:
        scalar: Whether no index is needed.
    """

    scalar: bool

    @classmethod
    def of(cls, case: Case) -> Names:
        """Those for ``case``."""
        return cls(max(case.network.widths) == 1 and case.rows == 1)

    def weight(self, layer: int, unit: Index, source: Index) -> Symbol:
        """The weight of layer ``layer`` from unit ``source`` below to ``unit``."""
        return Symbol("w", layer) if self.scalar else Symbol("W", layer, (unit, source))

    def bias(self, layer: int, unit: Index) -> Symbol:
        """The bias of a unit."""
        return Symbol("b", layer, self._index(unit))

    def pre_activation(self, layer: int, row: Index, unit: Index) -> Symbol:
        """z of a unit in a row."""
        return Symbol("z", layer, self._index(row, unit))

    def activation(self, layer: int, row: Index, unit: Index) -> Symbol:
        """a of a unit in a row; below the first layer, the input."""
        if layer == 0:
            return Symbol("x", None, self._index(row, unit))
        return Symbol("a", layer, self._index(row, unit))

    def target(self, row: Index, unit: Index) -> Symbol:
        """The target of an output."""
        return Symbol("y", None, self._index(row, unit))

    def slope(self, place: Place) -> Symbol:
        """The slope λ of a gate that is not certain."""
        return Symbol("λ", place.layer, self._index(place.row, place.unit))

    def derivative(self, by: Symbol) -> Partial:
        """∂J/∂by."""
        return Partial(Symbol("J"), by)

    def entry(self, name: EntryName) -> Symbol:
        """The symbol of an entry of an array of the case."""
        if name.letter == "J":
            return Symbol("J")
        letter = "w" if self.scalar and name.letter == "W" else name.letter
        return Symbol(letter, name.layer, self._index(*name.index))

    def _index(self, *index: Index) -> tuple[Index, ...]:
        return () if self.scalar else index


def find_entry(text: str, case: Case, *, targets: bool = False) -> EntryName:
    """The entry that ``text`` names: ``W2[0,1]``, ``b1[0]``, ``x[0,2]``, or ``w2`` if it has one.

    Args:
        text: What the user wrote; a ``dJ/d`` in front is passed over.
        case: Whose entry it is.
        targets: Whether entries of y are meant as well.

    Raises:
        UsageError: There is no such entry.
    """
    arrays = dict(case.entries())
    if not targets:
        del arrays["y"]
    entry = _parsed(text)
    if entry is None or entry.array not in arrays:
        last = _last(*next(iter(arrays.items())))
        _refuse(text, f"wanted an entry such as {last} of {', '.join(arrays)}")
    array = arrays[entry.array]
    shape, last = f"{entry.array} has shape {array.shape}", _last(entry.array, array)
    if not entry.index and array.size == 1:
        return replace(entry, index=(0,) * array.ndim)
    if len(entry.index) != array.ndim:
        _refuse(text, f"{shape}, wanted an index as in {last}")
    if any(at >= size for at, size in zip(entry.index, array.shape, strict=True)):
        _refuse(text, f"{shape}: indices start at 0, the last is {last}")
    return entry


def _parsed(text: str) -> EntryName | None:
    """The entry's name in ``text``, as a person may have written it."""
    try:
        return EntryName.parse(as_said(text))
    except ValueError:
        return None


def _last(name: str, array: Array) -> EntryName:
    return EntryName.of(name, (size - 1 for size in array.shape))


def _refuse(text: str, complaint: str) -> NoReturn:
    raise UsageError(f"entry {text!r}: {complaint}")


def with_changes(case: Case, changes: dict[str, float]) -> Case:
    """``case`` with other numbers at some entries, rounded to its dtype.

    Args:
        case: A single case.
        changes: Entry, as `find_entry` reads it, to its number.

    Raises:
        UsageError: There is no such entry, or the number is not finite in the dtype.
    """
    arrays = {name: array.copy() for name, array in case.entries()}
    for text, value in changes.items():
        entry = find_entry(text, case, targets=True)
        array = arrays[entry.array]
        array[entry.index] = value
        if not np.isfinite(value):
            raise UsageError(f"{text}={value}: wanted a finite number")
    form = format_of(case.dtype)
    return case.map_named(lambda name, _: form.round(arrays[name]))
