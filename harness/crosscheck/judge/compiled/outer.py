"""The comparison of δ aᵀ, the gradient of a layer's weights, in one case of one row.

The gradients of wide layers are read as they lie in memory, row by row, with eight columns side by
side. Nearly all entries stay below the largest error / bound so far, which is found without a
division. And frameworks that share a compiler often give the same bits: as long as they do, the
second has what the first has.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import boolean

from crosscheck.judge.compiled.columns import broadcast_known
from crosscheck.judge.compiled.functions import inlined
from crosscheck.judge.compiled.gradients import Entry, cotangent_of, entry_of, gap, met_by
from crosscheck.judge.compiled.lanes import (
    WIDTH,
    any_lane,
    first_lanes,
    greater,
    nowhere,
    peak,
    reciprocal,
    splat,
    where,
)
from crosscheck.judge.compiled.memory import (
    LINE,
    any_bit,
    bytes_of,
    differs,
    load,
    prefetch,
    raw,
    read,
    read_some,
    store,
    united,
    whole,
)
from crosscheck.judge.compiled.records import Form, Held, known

__all__ = ["Outer", "compare_lanes", "compare_outer"]


class Outer(NamedTuple):
    """δ aᵀ of one layer, and what frameworks give for it.

    Attributes:
        tag: A number of the type of the gradients.
        fan_in: Number of activations.
        fan_out: Number of units.
        inputs: What is known of a.
        cotangents: And of δ.
        order: Address of the units that are live, in order, and from ``fan_out`` on of those that
            are off.
        live: How many are live.
        places: Address of the address of each framework's gradient.
        behind: From there to that of the next case, in bytes.
        frameworks: How many there are.
        best: Address of each one's largest error / bound so far, in every lane.
        form: The constants of the format.
    """

    tag: Any
    fan_in: int
    fan_out: int
    inputs: Held
    cotangents: Held
    order: int
    live: int
    places: int
    behind: int
    frameworks: int
    best: int
    form: Form


class Four(NamedTuple):
    """Something of each of four blocks of eight columns; or of two, and then three are alike."""

    one: Any
    two: Any
    three: Any
    last: Any


@inlined
def _exceeds(value: Any, entry: Entry, so_far: Any, splitter: Any) -> Any:
    """Where numbers are further from the reference than ``so_far`` bounds."""
    return ~(gap(value, entry, splitter) <= so_far * entry.bound)


@inlined
def _risen(value: Any, entry: Entry, so_far: Any, splitter: Any) -> Any:
    """The largest error / bound, with some more numbers; infinite where one is above 1."""
    error, bound = gap(value, entry, splitter), entry.bound
    ratio = where(error <= bound, error * reciprocal(bound), splat(float("inf")))
    return greater(ratio, so_far)


@inlined
def compare_lanes(value: Any, entry: Entry, best: int, f: int, splitter: Any) -> None:
    """Compare eight numbers of framework ``f`` with those of the reference."""
    so_far = load(best, f)
    if any_lane(_exceeds(value, entry, so_far, splitter)):
        store(best, f, peak(_risen(value, entry, so_far, splitter)))


@inlined
def _column(outer: Outer, first: int) -> Any:
    """What is known of eight activations from the ``first`` on; see `met_by`."""
    lost = splat(outer.form.tau) * splat(outer.form.keep)
    at = 8 * first  # bytes, as if they lay one after the other: eight are one of `Lanes`
    inputs = outer.inputs
    here = Held(inputs.high + at, inputs.low + at, inputs.error + at, inputs.reach + at)
    return met_by(known(here, 0), lost, outer.form.splitter)


@inlined
def _cotangent(outer: Outer, i: int) -> Any:
    """What is known of the ``i``-th cotangent, for `entry_of`; and whether it is exact."""
    cotangent = cotangent_of(broadcast_known(outer.cotangents, i), outer.form)
    return cotangent, any_lane(cotangent.exact)


@inlined
def _ask(tag: Any, place: int, at: Four, four: bool) -> None:
    """Have the same blocks of another row fetched."""
    each = bytes_of(tag) == 8  # else two of them share a line
    prefetch(place + at.one)
    if each:
        prefetch(place + at.two)
    if four:
        prefetch(place + at.three)
        if each:
            prefetch(place + at.last)


@inlined
def _unlike(tag: Any, place: int, other: int, at: Four, four: bool) -> Any:
    """Where the bits of blocks of two rows are not the same."""
    unlike = differs(tag, place + at.one, other + at.one)
    unlike = unlike | differs(tag, place + at.two, other + at.two)
    if four:
        unlike = unlike | differs(tag, place + at.three, other + at.three)
        unlike = unlike | differs(tag, place + at.last, other + at.last)
    return unlike


@inlined
def _above(
    tag: Any, place: int, at: Four, entries: Four, so_far: Any, four: bool, splitter: Any
) -> Any:
    """Where blocks of a row are further from the reference than ``so_far`` bounds."""
    above = _exceeds(read(tag, place + at.one), entries.one, so_far, splitter)
    above = above | _exceeds(read(tag, place + at.two), entries.two, so_far, splitter)
    if four:
        above = above | _exceeds(read(tag, place + at.three), entries.three, so_far, splitter)
        above = above | _exceeds(read(tag, place + at.last), entries.last, so_far, splitter)
    return above


@inlined
def _raise(outer: Outer, row: int, at: Four, entries: Four, four: bool) -> None:
    """Raise each framework's largest error / bound by blocks of a row."""
    tag, splitter = outer.tag, outer.form.splitter
    for f in range(outer.frameworks):
        place, most = whole(outer.places, f) + row, load(outer.best, f)
        most = _risen(read(tag, place + at.one), entries.one, most, splitter)
        most = _risen(read(tag, place + at.two), entries.two, most, splitter)
        if four:
            most = _risen(read(tag, place + at.three), entries.three, most, splitter)
            most = _risen(read(tag, place + at.last), entries.last, most, splitter)
        store(outer.best, f, peak(most))


@inlined
def _columns(outer: Outer, block: int, four: bool) -> Any:
    """Where blocks begin, in bytes of a row of the gradient; and what is known of their a."""
    last, final = (outer.fan_in - 1) // WIDTH, outer.fan_in - WIDTH
    one, two = min(WIDTH * block, final), min(WIDTH * min(block + 1, last), final)
    three, end = min(WIDTH * min(block + 2, last), final), min(WIDTH * min(block + 3, last), final)
    a_1, a_2 = _column(outer, one), _column(outer, two)
    a_3, a_4 = a_2, a_2
    if four:
        a_3, a_4 = _column(outer, three), _column(outer, end)
    step = bytes_of(outer.tag)
    return Four(step * one, step * two, step * three, step * end), Four(a_1, a_2, a_3, a_4)


@inlined
def _entries(outer: Outer, columns: Four, i: int, four: bool) -> Four:
    """The reference's entries of the ``i``-th row."""
    splitter = outer.form.splitter
    cotangent, some_exact = _cotangent(outer, i)
    one = entry_of(cotangent, columns.one, some_exact, splitter)
    two = entry_of(cotangent, columns.two, some_exact, splitter)
    three, last = two, two
    if four:
        three = entry_of(cotangent, columns.three, some_exact, splitter)
        last = entry_of(cotangent, columns.last, some_exact, splitter)
    return Four(one, two, three, last)


@inlined
def _compare_blocks(outer: Outer, block: int, four: bool) -> None:
    """`compare_outer` for four blocks of eight columns, or two.

    The last block may be looked at twice, and overlaps the one before where eight do not divide.
    """
    tag, best, splitter = outer.tag, outer.best, outer.form.splitter
    at, columns = _columns(outer, block, four)
    alike = -1  # bit f: framework f has given the same bits as the one before it
    for turn in range(outer.live):
        i = whole(outer.order, turn)
        row = bytes_of(tag) * i * outer.fan_in
        entries = _entries(outer, columns, i, four)
        above = nowhere()
        for f in range(outer.frameworks):
            place, so_far = whole(outer.places, f) + row, load(best, f)
            _ask(tag, place + outer.behind, at, four)
            if f and alike >> f & 1:
                other = whole(outer.places, f - 1) + row
                if any_lane(_unlike(tag, place, other, at, four)):
                    alike = alike & ~(1 << f)
                elif not any_lane(so_far < load(best, f - 1)):
                    continue  # it exceeds nothing that the other one does not exceed
            above = above | _above(tag, place, at, entries, so_far, four, splitter)
        if any_lane(above):
            _raise(outer, row, at, entries, four)


@inlined
def _are_zero(outer: Outer, start: int) -> bool:
    """Whether the gradient at ``start`` is 0, exactly, in all rows of units that are off."""
    tag, behind, step = outer.tag, outer.behind, bytes_of(outer.tag)
    row, found = step * outer.fan_in, splat(0.0)
    for turn in range(outer.live, outer.fan_out):
        place = start + row * whole(outer.order, outer.fan_out + turn - outer.live)
        if row < LINE:
            for k in range(0, row, step * WIDTH):
                columns = first_lanes((row - k) // step)
                found = united(found, read_some(tag, place + k, columns))
            continue
        for offset in range(0, row - LINE + 1, LINE):
            prefetch(place + offset + behind)
            found = united(found, raw(place + offset))
        if row % LINE:
            prefetch(place + row - LINE + behind)
            found = united(found, raw(place + row - LINE))
    return not any_bit(tag, found)


@inlined
def _compare_narrow(outer: Outer) -> None:
    """`compare_outer` for fewer columns than eight."""
    columns, row = first_lanes(outer.fan_in), bytes_of(outer.tag) * outer.fan_in
    column = _column(outer, 0)
    for turn in range(outer.live):
        i = whole(outer.order, turn)
        cotangent, some_exact = _cotangent(outer, i)
        entry = entry_of(cotangent, column, some_exact, outer.form.splitter)
        for f in range(outer.frameworks):
            value = read_some(outer.tag, whole(outer.places, f) + row * i, columns)
            compare_lanes(value, entry, outer.best, f, outer.form.splitter)


@inlined
def compare_outer(outer: Outer) -> None:
    """Compare δ aᵀ of one row, 16 or 32 columns together."""
    for f in range(outer.frameworks):
        if not _are_zero(outer, whole(outer.places, f)):
            store(outer.best, f, splat(float("inf")))
    if outer.fan_in < WIDTH:
        _compare_narrow(outer)
        return
    blocks = (outer.fan_in + WIDTH - 1) // WIDTH
    for block in range(0, blocks, 4):
        if block + 2 < blocks:  # inlined twice, for each number of blocks
            _compare_blocks(outer, block, boolean(True))
        else:
            _compare_blocks(outer, block, boolean(False))
