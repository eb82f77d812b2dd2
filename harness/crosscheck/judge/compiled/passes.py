"""The compiled pass over one batch: whether there is one, its memory, and its arguments."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib import resources
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from crosscheck.network.batch import Batch, address, aligned, held_dtype
from crosscheck.network.dense import Gradients, Network
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import COARSE, Format, format_of
from crosscheck.tools.compiling import digest, is_compiled

if TYPE_CHECKING:
    from crosscheck.judge.compiled.records import Form

__all__ = ["Pass", "arrays_of", "is_suitable", "is_wide", "pass_over"]

_MOST_UNITS = 1024
_MOST_ROWS = 256
_LEAST_CASES = 8
_APART = 16
"""Cases of a sweep that lie 16 apart are nearly always of one family, since shares are sixteenths
(`crosscheck.cases.stream.families.Mix.families`): side by side, they take the same way through the
pass."""

_FEW = 64
"""Weights of a network whose cases are judged eight together in any case."""
_LONG = 16
_NEARLY_ALL = 0.875
"""Of the weights of others, if so many belong to units with sixteen of them, or more, each case is
judged by itself. For networks in between, both ways were measured to take about the same time."""

_PACKAGE = "crosscheck.judge.compiled"
_SINGLE = np.dtype(np.float32)
_WIDEN = 2.0**-10
_KEEP = 1.0 - 2.0**-20


def _shape(array: Any) -> Any:
    if array is None:
        return None
    return array.shape if isinstance(array, np.ndarray) else np.shape(array)


def arrays_of(given: Gradients) -> list[Any]:
    """``W_1 … W_L, b_1 … b_L, x, J``, as the pass takes them; ``None`` for no bias."""
    return [*given.weights, *given.biases, given.x, given.loss]


def is_suitable(batch: Batch) -> bool:
    """Whether the compiled pass is made for such a batch; see `crosscheck.judge.compiled`."""
    form = format_of(batch.dtype)
    longest = max(*batch.network.widths, batch.rows) + 2
    return (
        form.has_infinity
        and form.precision >= COARSE
        and (batch.dtype == "float64" or held_dtype(batch.dtype) == np.float32)
        and batch.count >= _LEAST_CASES
        and max(batch.network.widths) <= _MOST_UNITS
        and batch.rows <= _MOST_ROWS
        and longest * form.unit_roundoff <= 0.25
    )


def is_wide(network: Network, rows: int) -> bool:
    """Whether cases are judged one by one, with units side by side, and not eight together."""
    pairs = list(pairwise(network.widths))
    total = sum(fan_in * fan_out for fan_in, fan_out in pairs)
    wide = sum(fan_in * fan_out for fan_in, fan_out in pairs if fan_in >= _LONG)
    return rows == 1 and wide > _FEW and wide >= _NEARLY_ALL * total


class Pass:
    """The compiled pass over a batch, with all that stays the same as long as its arrays do.

    What is in them may change: in a sweep one batch after the other is written to the same memory.

    Attributes:
        is_suitable: Whether there is such a pass.
    """

    def __init__(self, batch: Batch) -> None:
        self.is_suitable = is_compiled() and is_suitable(batch)
        parts = [*batch.weights, *batch.biases, batch.x]
        self._shapes = [*map(_shape, parts), (batch.count,)]
        self._arrays = [*parts, batch.y]
        self._kinds = {array.dtype for array in batch.flatten()}
        self._prepared: _Prepared | None = None
        # Not the batch itself, for the sake of whose end this is kept.
        self._about = batch.network, batch.rows, batch.count, batch.dtype

    def fits(self, row: Sequence[Any]) -> bool:
        """Whether arrays of gradients have the shapes they should have."""
        return list(map(_shape, row)) == self._shapes

    def certify(self, rows: Sequence[Sequence[Any]], sound: Any, largest: Array) -> None:
        """Run the pass.

        Args:
            rows: Of each framework the arrays of its gradients, in the order of `arrays_of`.
            sound: (F, C) bool, for what it finds; see `FusedJudge.certified`.
            largest: (F, C) float64, likewise.
        """
        kinds = self._kinds.union(array.dtype for row in rows for array in row if array is not None)
        held = np.dtype(np.float32 if kinds == {_SINGLE} else np.float64)
        prepared = self._prepared
        if prepared is None or prepared.key != (held, len(rows)):
            prepared = _Prepared(*self._about, _contiguous(self._arrays, held), held, len(rows))
            if all(a is b for a, b in zip(prepared.arrays, self._arrays, strict=True)):
                self._prepared = prepared  # else these are copies of what is in them now
        kept = [_contiguous(row, held) for row in rows]
        rows_of_addresses = [prepared.addresses, *(list(map(_address, row)) for row in kept)]
        addresses = np.array(rows_of_addresses, dtype=np.int64)
        prepared.run(
            *prepared.cases,
            prepared.tag,
            address(addresses),
            *prepared.common,
            prepared.room(),
            (len(rows), address(sound), address(largest), sound.strides[0]),
        )


_passes: WeakKeyDictionary[Batch, Pass] = WeakKeyDictionary()


def pass_over(batch: Batch) -> Pass:
    """The pass over a batch, which is kept as long as the batch is."""
    found = _passes.get(batch)
    if found is None:
        found = _passes[batch] = Pass(batch)
    return found


def _contiguous(arrays: Sequence[Any], held: Any) -> list[Any]:
    return [None if array is None else np.ascontiguousarray(array, dtype=held) for array in arrays]


class _Prepared:
    """The arguments of the pass, but for gradients.

    Attributes:
        key: What it is for: the dtype in which arrays are held, and how many frameworks.
        arrays: ``W_1 … W_L, b_1 … b_L, x, y``.
        run: The pass.
        cases: Its first arguments: how many cases, and which are side by side.
        tag: A number of the type in which arrays are held.
        addresses: Those of ``arrays``.
        common: What does not depend on the gradients.
    """

    def __init__(
        self,
        network: Network,
        rows: int,
        count: int,
        dtype: str,
        arrays: list[Any],
        held: Any,
        frameworks: int,
    ) -> None:
        from crosscheck.judge.compiled.kernel import lanes_of_group
        from crosscheck.judge.compiled.lanes import WIDTH
        from crosscheck.judge.compiled.records import Room, Shape
        from crosscheck.judge.compiled.wide import lanes_of_case

        self.key, self.arrays = (held, frameworks), arrays
        self.addresses = list(map(_address, arrays))
        form, self.tag = format_of(dtype), held.type(0)
        name = held.name if form.precision < 53 else "float64_in_two"
        sizes = [0 if array is None else array.size // count for array in arrays]
        wide, widths = is_wide(network, rows), network.widths
        lanes = [-(-width // WIDTH) if wide else rows * width for width in widths]
        self._held = _Arrays.of(sizes, widths, lanes)
        divisor = rows if network.reduction == "mean" else 1
        shape = Shape(
            network.depth,
            rows,
            network.output == "relu",
            divisor,
            max(lanes),
            *map(address, self._held),
        )
        self.common = tuple(shape), tuple(_constants(form, max(*widths, rows) + 2))
        self.cases: tuple[int, ...]
        if wide:
            self.run, self.cases = _compiled_wide(name), (count,)
            parts = lanes_of_case(sum(lanes), shape, frameworks)
        else:
            self.run, self.cases = _compiled(name), (count, _apart(count))
            parts = lanes_of_group(sum(sizes), sum(lanes), shape, frameworks)
        self._size, self._room_at = WIDTH * sum(parts), partial(Room.of, lanes=parts)
        self._room = tuple(self._room_at(0))

    def room(self) -> tuple[int, ...]:
        """Addresses of memory to work in, as a `Room` has them."""
        begin, room = _scratch(self._size), self._room
        if room[0] != begin:
            self._room = room = tuple(self._room_at(begin))
        return room


def _constants(form: Format, units: int) -> Form:
    """Those of a format, for sums of no more than ``units`` terms."""
    from crosscheck.judge.compiled.records import Form

    return Form(
        _splitter(form),
        2.0**form.precision,
        form.unit_roundoff,
        _underflow(form),
        form.smallest_subnormal,
        1.0 + _WIDEN + (units * form.unit_roundoff) ** 3,
        _KEEP,
        min(0.5 * form.largest, 2.0**900),
    )


class _Arrays(NamedTuple):
    """What `Shape` has the addresses of."""

    sizes: Any
    starts: Any
    widths: Any
    units: Any

    @classmethod
    def of(cls, sizes: Sequence[int], widths: Sequence[int], lanes: Sequence[int]) -> _Arrays:
        """From the sizes of arrays, those of layers, and the `Lanes` that their units take."""
        starts, units = (np.cumsum([0, *each], dtype=np.int64) for each in (sizes, lanes))
        return cls(np.array(sizes, np.int64), starts, np.array(widths, np.int64), units)


def _apart(count: int) -> int:
    return _APART if count % (8 * _APART) == 0 else 1


_kept = threading.local()


def _scratch(size: int) -> int:
    """Where memory to work in begins, kept from call to call: fresh memory costs more than work."""
    if getattr(_kept, "size", 0) < size:
        _kept.memory, _kept.size = aligned((size,), np.float64), size
        _kept.begin = address(_kept.memory)
    begin: int = _kept.begin
    return begin


def _address(array: Any) -> int:
    return 0 if array is None else address(array)


def _splitter(form: Format) -> float | None:
    """What splits a float64 at p bits; ``None`` has the reference in double-double."""
    return None if form.precision == 53 else 2.0 ** (53 - form.precision) + 1.0


def _underflow(form: Format) -> float:
    """½η, which is 0 for float64: there the pass leaves tiny numbers alone."""
    return 0.5 * form.smallest_subnormal


def _sources() -> list[str]:
    """The files of which something may be compiled."""
    names = (each.name for each in resources.files(_PACKAGE).iterdir())
    return sorted(name for name in names if name.endswith(".py"))


@cache
def _digest() -> str:
    return digest(_PACKAGE, _sources())


@cache
def _compiled(dtype: str) -> Callable[..., None]:
    """The pass over all groups of eight, compiled once for each dtype and kept on disk.

    Args:
        dtype: A name for the types of the arguments.
    """
    from crosscheck.judge.compiled.kernel import pass_over_groups

    return pass_over_groups(_digest(), dtype)


@cache
def _compiled_wide(dtype: str) -> Callable[..., None]:
    """The pass over all cases one by one; see `_compiled`."""
    from crosscheck.judge.compiled.wide import pass_over_cases

    return pass_over_cases(_digest(), dtype)
