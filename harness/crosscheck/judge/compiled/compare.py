"""Arrays of frameworks as `Lanes`, and their comparison with the reference."""

from __future__ import annotations

from typing import Any, NamedTuple

from crosscheck.judge.compiled.functions import called, inlined
from crosscheck.judge.compiled.gradients import Entry, gap
from crosscheck.judge.compiled.lanes import WIDTH, greater, lane, reciprocal, splat, where
from crosscheck.judge.compiled.memory import (
    LINE,
    aligned_stack,
    bytes_of,
    gather,
    load,
    prefetch,
    store,
    whole,
    write,
)
from crosscheck.judge.compiled.records import Answers, Cases
from crosscheck.judge.compiled.transposed import eight, four, transpose

__all__ = ["Given", "compare", "enter", "given", "spread", "write_answer", "write_answers"]


class Given(NamedTuple):
    """What frameworks have given for eight cases, and what it is compared with.

    Attributes:
        tag: A number of the type in which arrays are held.
        places: Address of where they begin; see `crosscheck.judge.compiled.records.Cases`.
        arrays: How many one framework gives.
        case: The first of the eight.
        apart: From one of them to the next.
        table: What was written by `enter`, of the numbers that are looked at.
        worst: Where each framework's largest error / bound is.
        frameworks: How many there are.
    """

    tag: Any
    places: int
    arrays: int
    case: int
    apart: int
    table: int
    worst: int
    frameworks: int


@inlined
def given(cases: Cases) -> Given:
    """What frameworks have given for these cases."""
    room, count, arrays = cases.room, cases.answers.frameworks, 2 * cases.shape.depth + 2
    places = cases.addresses + 8 * arrays
    return Given(cases.tag, places, arrays, cases.first, cases.apart, room.table, room.worst, count)


@inlined
def _ask(tag: Any, start: int, size: int, first: int, count: int, apart: int) -> None:
    """Have the same of the eight cases behind these fetched, so that it is near when looked at.

    Where several cases share a line of the cache, most of them have been fetched already.

    Args:
        tag: A number of the type in which the array is held.
        start: Where its part of the first case begins.
        size: Numbers per case.
        first: The first number of each case that is looked at.
        count: How many are.
        apart: From one of the eight cases to the next.
    """
    step = bytes_of(tag)
    behind = start + (size if apart > 1 else WIDTH * size) * step
    begin, end = behind + first * step, behind + (first + count) * step
    if begin // LINE == (end - 1) // LINE and (begin - size * step) // LINE == begin // LINE:
        return
    for k in range(WIDTH):
        for offset in range(0, count * step, LINE):
            prefetch(begin + k * apart * size * step + offset)


@called
def spread(tag: Any, start: int, size: int, apart: int, target: int, at: int) -> None:
    """One array of eight cases as `Lanes`, from the ``at``-th on."""
    step = bytes_of(tag)
    stride = size * apart
    _ask(tag, start, size, 0, size, apart)
    if size < WIDTH // 2:
        for k in range(size):
            store(target, at + k, gather(tag, start + k * step, stride))
        return
    for k in range(0, size - WIDTH + 1, WIDTH):
        transpose(tag, start + k * step, stride, target, at + k)
    left = size % WIDTH
    if left > WIDTH // 2:
        _spread_four(tag, start, stride, size - left, target, at)
    if left:
        _spread_four(tag, start, stride, size - WIDTH // 2, target, at)


@inlined
def _spread_four(tag: Any, start: int, stride: int, k: int, target: int, at: int) -> None:
    one, two, three, last = four(tag, start + k * bytes_of(tag), stride)
    store(target, at + k, one)
    store(target, at + k + 1, two)
    store(target, at + k + 2, three)
    store(target, at + k + 3, last)


@inlined
def enter(table: int, k: int, entry: Entry, splitter: Any) -> None:
    """Write what `compare` has to know of the ``k``-th entry."""
    store(table, 4 * k, entry.high)
    store(table, 4 * k + 1, entry.bound)
    store(table, 4 * k + 2, reciprocal(entry.bound))
    if splitter is None:
        store(table, 4 * k + 3, entry.low)


@inlined
def _with_entry(found: Any, value: Any, table: int, k: int, splitter: Any) -> Any:
    """The largest error / bound, and whether any error is above its bound, after one entry."""
    most, above = found
    entry = Entry(load(table, 4 * k), load(table, 4 * k + 3), load(table, 4 * k + 1))
    error = gap(value, entry, splitter)
    above = above | ~(error <= entry.bound)
    return greater(error * load(table, 4 * k + 2), most), above


@inlined
def _with_four(found: Any, values: Any, table: int, k: int, splitter: Any) -> Any:
    """The same after four entries, which are looked at side by side."""
    most, above = found
    nothing = splat(0.0), most < most
    one = _with_entry(nothing, values[0], table, k, splitter)
    one = _with_entry(one, values[1], table, k + 1, splitter)
    two = _with_entry(nothing, values[2], table, k + 2, splitter)
    two = _with_entry(two, values[3], table, k + 3, splitter)
    return greater(greater(one[0], two[0]), most), above | (one[1] | two[1])


@called
def compare(given: Given, array: int, size: int, first: int, count: int, splitter: Any) -> None:
    """Raise each framework's largest error / bound; to infinity where it is above 1.

    Args:
        given: What frameworks have given for eight cases, and the reference's table.
        array: Which array is compared.
        size: Numbers per case.
        first: The first of each case that are compared,
        count: and how many are: those in the table.
        splitter: ``None`` if the reference has a low part.
    """
    aligned_stack()
    tag, worst, table = given.tag, given.worst, given.table
    step = bytes_of(tag)
    stride = size * given.apart
    left = count % WIDTH
    for f in range(given.frameworks):
        case_at = whole(given.places, given.arrays * f + array) + given.case * size * step
        start = case_at + first * step
        _ask(tag, case_at, size, first, count, given.apart)
        before = load(worst, f)
        found = before, before < before
        if count < WIDTH // 2:
            for k in range(count):
                value = gather(tag, start + k * step, stride)
                found = _with_entry(found, value, table, k, splitter)
        else:
            for k in range(0, count - WIDTH + 1, WIDTH):
                values = eight(tag, start + k * step, stride)
                found = _with_four(found, values[:4], table, k, splitter)
                found = _with_four(found, values[4:], table, k + 4, splitter)
            if left > WIDTH // 2:
                values_4 = four(tag, start + (count - left) * step, stride)
                found = _with_four(found, values_4, table, count - left, splitter)
            if left:
                values_4 = four(tag, start + (count - WIDTH // 2) * step, stride)
                found = _with_four(found, values_4, table, count - WIDTH // 2, splitter)
        most, above = found
        store(worst, f, where(above, splat(float("inf")), most))


@called
def write_answers(worst: int, first: int, apart: int, answers: Answers) -> None:
    """Write what was found on eight cases where the caller looks for it."""
    for f in range(answers.frameworks):
        ratios = load(worst, f)
        for k in range(WIDTH):
            write_answer(lane(ratios, k), f, first + k * apart, answers)


@inlined
def write_answer(ratio: float, f: int, case: int, answers: Answers) -> None:
    """Write what was found on one case, and framework ``f``."""
    at = f * answers.pitch + case
    write(ratio <= 1.0, answers.sound + at)
    write(ratio, answers.largest + 8 * at)
