"""Arrays of frameworks as `Lanes`, and their comparison with the reference."""

from __future__ import annotations

from typing import Any

from numba import njit

from crosscheck.judge.compiled.lanes import WIDTH, absolute, greater, lane, reciprocal, splat, where
from crosscheck.judge.compiled.memory import (
    LINE,
    aligned_stack,
    borrowed,
    bytes_of,
    eight,
    four,
    gather,
    load,
    prefetch,
    store,
    transpose,
    write,
)

__all__ = ["answer", "answers", "compare", "enter", "spread"]

_BYTES = 8 * WIDTH


@njit(forceinline=True)  # type: ignore[untyped-decorator]
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


@njit  # type: ignore[untyped-decorator]
def spread(tag: Any, address: int, size: int, case: int, apart: int, target: int, at: int) -> None:
    """One array of eight cases as `Lanes`, from the ``at``-th on."""
    step = bytes_of(tag)
    start = address + case * size * step
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


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _spread_four(tag: Any, start: int, stride: int, k: int, target: int, at: int) -> None:
    one, two, three, last = four(tag, start + k * bytes_of(tag), stride)
    store(target, at + k, one)
    store(target, at + k + 1, two)
    store(target, at + k + 2, three)
    store(target, at + k + 3, last)


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def enter(table: int, k: int, high: Any, low: Any, bound: Any, splitter: Any) -> None:
    """Write what `compare` has to know of the ``k``-th entry."""
    store(table, 4 * k, high)
    store(table, 4 * k + 1, bound)
    store(table, 4 * k + 2, reciprocal(bound))
    if splitter is None:
        store(table, 4 * k + 3, low)


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _with_entry(found: Any, value: Any, table: int, k: int, splitter: Any) -> Any:
    """The largest error / bound, and whether any error is above its bound, after one entry."""
    most, above = found
    error = value - load(table, 4 * k)
    if splitter is None:
        error = error - load(table, 4 * k + 3)
    error = absolute(error)
    above = above | ~(error <= load(table, 4 * k + 1))
    return greater(error * load(table, 4 * k + 2), most), above


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _with_four(found: Any, values: Any, table: int, k: int, splitter: Any) -> Any:
    """The same after four entries, which are looked at side by side."""
    most, above = found
    nothing = splat(0.0), most < most
    one = _with_entry(nothing, values[0], table, k, splitter)
    one = _with_entry(one, values[1], table, k + 1, splitter)
    two = _with_entry(nothing, values[2], table, k + 2, splitter)
    two = _with_entry(two, values[3], table, k + 3, splitter)
    return greater(greater(one[0], two[0]), most), above | (one[1] | two[1])


@njit  # type: ignore[untyped-decorator]
def compare(
    tag: Any,
    addresses: Any,
    array: int,
    size: int,
    first: int,
    count: int,
    case: int,
    apart: int,
    table: int,
    worst: int,
    frameworks: int,
    splitter: Any,
) -> None:
    """Raise each framework's largest error / bound; to infinity where it is above 1.

    Args:
        tag: A number of the type in which arrays are held.
        addresses: Where they begin; see `crosscheck.judge.compiled.kernel.judge_group`.
        array: Which one is compared.
        size: Numbers per case.
        first: The first of each case that are compared,
        count: and how many are.
        case: The first of the eight.
        apart: From one of them to the next.
        table: What was written by `enter`, of these numbers.
        worst: Where each framework's largest error / bound is.
        frameworks: How many there are.
        splitter: ``None`` if the reference has a low part.
    """
    aligned_stack()
    addresses = borrowed(addresses)
    step = bytes_of(tag)
    stride = size * apart
    left = count % WIDTH
    for f in range(frameworks):
        case_at = addresses[1 + f, array] + case * size * step
        start = case_at + first * step
        _ask(tag, case_at, size, first, count, apart)
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


@njit  # type: ignore[untyped-decorator]
def answers(
    worst: int, case: int, apart: int, frameworks: int, sound: int, largest: int, pitch: int
) -> None:
    """Write what was found on eight cases where the caller looks for it."""
    for f in range(frameworks):
        ratios = load(worst, f)
        for k in range(WIDTH):
            answer(lane(ratios, k), f * pitch + case + k * apart, sound, largest)


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def answer(ratio: float, at: int, sound: int, largest: int) -> None:
    """Write what was found on one case, at the ``at``-th place of both arrays."""
    write(ratio <= 1.0, sound + at)
    write(ratio, largest + 8 * at)
