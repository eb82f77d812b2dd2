"""`FusedJudge`: the verdict AGREES for whole batches, at the speed of the frameworks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cache, cached_property, partial
from importlib import resources
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from crosscheck.judge.compare import Judge, StackJudge
from crosscheck.network.batch import (
    Batch,
    address,
    aligned,
    arrays_of,
    chosen_gradients,
    held_dtype,
)
from crosscheck.network.dense import Case, Gradients, Network
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import Format, format_of
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.tools.compiling import digest, is_compiled

if TYPE_CHECKING:
    from crosscheck.judge.compiled.records import Form

__all__ = ["WITHOUT_NUMBA", "FusedJudge", "is_compiled", "pieces"]

WITHOUT_NUMBA = (
    "numba is not installed: cases and verdicts come from NumPy forms, which are the same and many "
    "times slower; pip install 'gradient-crosscheck[sweep]'"
)
"""What to tell the user where `is_compiled` is false."""

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

_CACHED = 65_536
"""Numbers in the cases that are enclosed together: what comes of them stays in memory for so long
as they are compared, several hundred bytes for each."""

_SINGLE = np.dtype(np.float32)
_WIDEN = 2.0**-10
_KEEP = 1.0 - 2.0**-20


class FusedJudge:
    """Compares gradients of a batch of cases, those of all frameworks in one pass.

    Its answers are those of `crosscheck.judge.compare.StackJudge`: what the compiled pass does not
    certify is put to that.

    Args:
        batch: The cases, as a batch or as a stack.
    """

    def __init__(self, batch: Batch | Case) -> None:
        self.batch = batch if isinstance(batch, Batch) else Batch.of(batch)
        self._judges: dict[int, Judge] = {}

    def judge(self, index: int) -> Judge:
        """The judge of case ``index``."""
        if index not in self._judges:
            self._judges[index] = Judge(self.batch.case([index])[0])
        return self._judges[index]

    def agreements(self, given: Gradients) -> tuple[Any, Array]:
        """As `StackJudge.agreements`; the numbers may be held as the batch's are.

        Returns:
            A bool array of shape (C,): which cases AGREE; and the largest error / bound of each
            case, float64 of the same shape, only meaningful where the first is true. It may be
            above the readable form's, by little: a bound that is certainly reached is used.
        """
        agrees, largest = self.all_agreements([given])
        return agrees[0], largest[0]

    def all_agreements(
        self,
        given: Sequence[Gradients],
        *,
        few: int = 0,
        out: tuple[Any, Array] | None = None,
    ) -> tuple[Any, Array]:
        """`agreements` of several frameworks' gradients, which costs little more than of one.

        Args:
            given: Of each framework.
            few: If no more than that many cases are left uncertified, they stay so: for callers
                who put them to `judge` anyway.
            out: Arrays for the result, in place of new ones.

        Returns:
            What `agreements` returns, of shape (F, C).
        """
        sound, largest = self.certified(given, out)
        open_ = np.flatnonzero(~sound.all(axis=0))
        fitting = (
            [each for each, one in enumerate(given) if self._fits(arrays_of(one))]
            if len(open_)
            else []
        )
        for left in pieces(self.batch, open_) if len(open_) > few else ():
            judge = StackJudge(self.batch.case(left))
            for framework in fitting:
                rest = left[~sound[framework, left]]
                if not rest.size:
                    continue
                agrees, ratio = judge.agreements(chosen_gradients(given[framework], left))
                open_ = ~sound[framework, left]
                sound[framework, rest] = agrees[open_]
                largest[framework, rest] = ratio[open_]
        return sound, largest

    @in_ieee_arithmetic
    def certified(
        self, given: Sequence[Gradients], out: tuple[Any, Array] | None = None
    ) -> tuple[Any, Array]:
        """What the compiled pass alone can say.

        Args:
            given: Of each framework.
            out: Arrays for the result, in place of new ones.

        Returns:
            A bool array of shape (F, C), true where a framework's gradient certainly AGREES,
            and an upper bound on its largest error / bound where it does.
        """
        shape = len(given), self.batch.count
        sound, largest = out or (np.empty(shape, dtype=bool), np.empty(shape))
        rows = [arrays_of(gradients) for gradients in given]
        whole = [f for f, row in enumerate(rows) if self._pass.is_suitable and self._fits(row)]
        if whole and len(whole) == len(given) and _can_be_written(sound, largest):
            self._pass.certify(rows, sound, largest)
            return sound, largest
        sound[:], largest[:] = False, 0.0
        if whole:
            found = np.empty((len(whole), shape[1]), dtype=bool), np.empty((len(whole), shape[1]))
            self._pass.certify([rows[f] for f in whole], *found)
            sound[whole], largest[whole] = found
        return sound, largest

    def _fits(self, row: Sequence[Any]) -> bool:
        """Whether gradients have the shapes they should have."""
        return list(map(_shape, row)) == self._pass.shapes

    @cached_property
    def _pass(self) -> _Pass:
        found = _passes.get(self.batch)
        if found is None:
            found = _passes[self.batch] = _Pass(self.batch)
        return found


def _shape(array: Any) -> Any:
    if array is None:
        return None
    return array.shape if isinstance(array, np.ndarray) else np.shape(array)


def _can_be_written(sound: Any, largest: Array) -> bool:
    """Whether the pass can: rows may be apart, numbers of a row may not."""
    step, size = sound.strides
    return size == 1 and largest.strides == (8 * step, 8)


def pieces(batch: Batch, chosen: Any) -> Iterator[Any]:
    """``chosen``, indices of cases, in pieces that `StackJudge` can hold in little memory."""
    step = max(16, _CACHED // sum(array[0].size for array in batch.arrays))
    for start in range(0, len(chosen), step):
        yield chosen[start : start + step]


def is_suitable(batch: Batch) -> bool:
    """Whether the compiled pass is made for such a batch; see `crosscheck.judge.compiled`."""
    u = format_of(batch.dtype).unit_roundoff
    longest = max(*batch.network.widths, batch.rows) + 2
    return (
        (batch.dtype == "float64" or held_dtype(batch.dtype) == np.float32)
        and batch.count >= _LEAST_CASES
        and max(batch.network.widths) <= _MOST_UNITS
        and batch.rows <= _MOST_ROWS
        and longest * u <= 0.25
    )


def is_wide(network: Network, rows: int) -> bool:
    """Whether cases are judged one by one, with units side by side, and not eight together."""
    pairs = list(pairwise(network.widths))
    total = sum(fan_in * fan_out for fan_in, fan_out in pairs)
    wide = sum(fan_in * fan_out for fan_in, fan_out in pairs if fan_in >= _LONG)
    return rows == 1 and wide > _FEW and wide >= _NEARLY_ALL * total


class _Pass:
    """The compiled pass over a batch, with all that stays the same as long as its arrays do.

    What is in them may change: in a sweep one batch after the other is written to the same memory.

    Attributes:
        is_suitable: Whether there is such a pass.
        shapes: Those that the arrays of gradients should have.
    """

    def __init__(self, batch: Batch) -> None:
        self.is_suitable = is_compiled() and is_suitable(batch)
        parts = [*batch.weights, *batch.biases, batch.x]
        self.shapes = [*map(_shape, parts), (batch.count,)]
        self._arrays = [*parts, batch.y]
        self._kinds = {array.dtype for array in batch.arrays}
        self._prepared: _Prepared | None = None
        # Not the batch itself, for the sake of whose end this is kept.
        self._about = batch.network, batch.rows, batch.count, batch.dtype

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
        addresses = np.array([prepared.addresses, *(list(map(_address, row)) for row in kept)])
        prepared.run(
            *prepared.cases,
            prepared.tag,
            address(addresses),
            *prepared.common,
            prepared.room(),
            (len(rows), address(sound), address(largest), sound.strides[0]),
        )


_passes: WeakKeyDictionary[Batch, _Pass] = WeakKeyDictionary()


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
        starts, units = (np.cumsum([0, *each]) for each in (sizes, lanes))
        return cls(np.array(sizes), starts, np.array(widths), units)


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


@cache
def _digest() -> str:
    """Of all files that may be compiled."""
    package = "crosscheck.judge.compiled"
    names = (each.name for each in resources.files(package).iterdir())
    return digest(package, sorted(name for name in names if name.endswith(".py")))


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
