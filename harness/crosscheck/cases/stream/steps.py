"""The steps of the compiled generator, each as in `crosscheck.cases.stream.readable`.

Each floating-point operation is that of the readable form, in the same order; numba neither
reorders nor contracts them unless it is told to.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from numba import int64, njit, uint64

from crosscheck.cases.stream.families import FAMILIES
from crosscheck.cases.stream.layout import TABLE
from crosscheck.cases.stream.words import (
    GROUP,
    binade,
    cancel_eight,
    copy,
    copy_eight,
    copy_four,
    copy_sixteen,
    mirrored,
    number,
    octet,
    philox,
    power,
    put,
    put_eight_normals,
    set_word,
    word,
)

__all__ = [
    "Waiting",
    "cancel",
    "draw",
    "fetched",
    "find_families",
    "look_up",
    "make_tables",
    "narrowed",
    "put_normals",
    "turn",
]

_FAMILIES = len(FAMILIES)


@njit  # type: ignore[untyped-decorator]
def draw(
    seed: Any, key: Any, block: Any, purpose: int, first: int, groups: int, address: int
) -> None:
    """Groups of words from the ``first`` on, which is the first of a counter.

    NumPy adds one to the counter before it makes the first four words.
    """
    for group in range(groups):
        counter = uint64(first // 4 + 1 + GROUP // 4 * group)
        philox(seed, key, counter, block, uint64(purpose), address + 8 * GROUP * group)


class Waiting(NamedTuple):
    """Words of one purpose that are in memory.

    Attributes:
        state: Address of the first of them, the end of them, the end of all words in use, and how
            many cases have used theirs.
        words: Address of the memory.
        room: Words that it holds.
    """

    state: int
    words: int
    room: int


@njit(inline="always")  # type: ignore[untyped-decorator]
def turn(waiting: Any) -> Any:
    """How many cases have used their words; one more has from now on."""
    found = int64(word(waiting.state, 3))
    set_word(waiting.state, 3, found + 1)
    return found


@njit(inline="always")  # type: ignore[untyped-decorator]
def fetched(seed: Any, key: Any, block: Any, purpose: int, waiting: Any, at: int, size: int) -> Any:
    """Address of the bytes from ``at`` on, ``size`` of which are in memory from now on."""
    _fetch(
        seed,
        key,
        block,
        purpose,
        waiting.state,
        at // 8,
        (at + size + 7) // 8,
        waiting.words,
        waiting.room,
    )
    return waiting.words + at - 8 * int64(word(waiting.state, 0))


@njit  # type: ignore[untyped-decorator]
def _fetch(
    seed: Any,
    key: Any,
    block: Any,
    purpose: int,
    state: int,
    first: int,
    last: int,
    address: int,
    room: int,
) -> None:
    """See to it that the words from ``first`` up to ``last`` are in memory.

    If they are not, words are drawn from the counter of ``first`` on, as many as there is room
    for and as are used.
    """
    if first >= int64(word(state, 0)) and last <= int64(word(state, 1)):
        return
    start = first // 4 * 4
    groups = min(room // GROUP, (int64(word(state, 2)) - start + GROUP - 1) // GROUP)
    draw(seed, key, block, purpose, start, groups, address)
    set_word(state, 0, start)
    set_word(state, 1, start + GROUP * groups)


@njit  # type: ignore[untyped-decorator]
def narrowed(value: float, precision: int, tiny: float, largest: float) -> float:
    """`Format.round` for a narrow format and numbers far from the ends of float64.

    Beside 3 · 2^51 times the spacing of the format, float64 has the same spacing: a sum with it is
    rounded as the format does.
    """
    spacing = max(binade(value) * power(1 - precision), tiny)
    anchor = 3.0 * 2.0**51 * spacing
    result = (value + anchor) - anchor
    if abs(result) > largest:
        result = math.inf
    return math.copysign(result, value)


@njit  # type: ignore[untyped-decorator]
def _put_rounded(
    tag: Any, address: int, at: int, value: float, precision: int, tiny: float, largest: float
) -> None:
    """Write a number rounded to the format; the memory's dtype rounds to its own."""
    if precision < 24:
        value = narrowed(value, precision, tiny, largest)
    put(tag, address, at, value)


@njit  # type: ignore[untyped-decorator]
def find_families(
    start: Any,
    edges: Any,
    numbers: Any,
    pattern: Any,
    varying: Any,
    families: Any,
    choices: Any,
    signs: int,
) -> None:
    """The family of each case, and that plus the number of families where the sign is odd.

    Args:
        start: Number of the first case, in the stream.
        edges: See `crosscheck.cases.stream.families.Mix.parts`.
        numbers: Likewise.
        pattern: See `crosscheck.cases.stream.families.Mix.pattern`.
        varying: Likewise.
        families: Where the families go, int8.
        choices: Where the rows of `crosscheck.cases.stream.layout.Layout.tables` go, int8.
        signs: Address of a random byte for each.
    """
    families[:] = pattern
    for position in varying:
        place = mirrored(start + uint64(position))
        part = 0
        for edge in edges:
            part += place >= edge
        families[position] = numbers[part]
    for position in range(len(families)):
        choices[position] = families[position] + _FAMILIES * (octet(signs, position) & 1)


@njit  # type: ignore[untyped-decorator]
def make_tables(
    tag: Any,
    words: int,
    tables: int,
    depth: int,
    spread: int,
    whole: int,
    lowest: int,
    precision: int,
    tiny: float,
    largest: float,
) -> None:
    """The tables of a block, from five words for each place in them."""
    for k in range(TABLE):
        bits = word(words, k)
        sign = -1.0 if bits >> uint64(63) else 1.0
        zeros = 0
        if bits:
            while zeros < lowest and not (bits >> uint64(zeros)) & uint64(1):
                zeros += 1
        significand = 1.0 + float(word(words, TABLE + k) >> uint64(12)) * 2.0**-52
        uniform = sign * significand * power(-1 - zeros)
        _put_rounded(tag, tables, k, uniform, precision, tiny, largest)
        _put_rounded(tag, tables, TABLE + k, abs(uniform), precision, tiny, largest)
        exponent = int(word(words, 2 * TABLE + k) % uint64(2 * spread + 1)) - spread
        significand = 1.0 + float(word(words, 3 * TABLE + k) >> uint64(12)) * 2.0**-52
        wide = sign * significand * power(exponent)
        _put_rounded(tag, tables, 2 * TABLE + k, wide, precision, tiny, largest)
        _put_rounded(tag, tables, 3 * TABLE + k, abs(wide), precision, tiny, largest)
        unit = float(word(words, 4 * TABLE + k) % uint64(2 * whole + 1)) - whole
        put(tag, tables, 4 * TABLE + k, unit)
        put(tag, tables, 5 * TABLE + k, abs(unit))
        shifted = unit
        for layer in range(1, depth + 1):
            shifted = unit + power(-layer)
            put(tag, tables, (5 + layer) * TABLE + k, shifted)
        put(tag, tables, (6 + depth) * TABLE + k, abs(shifted))


# Inline, since a call takes as long as a few numbers.
@njit(inline="always")  # type: ignore[untyped-decorator]
def look_up(tag: Any, target: int, at: int, size: int, octets: int, table: int) -> None:
    """Write the ``size`` numbers of a table that the bytes at ``octets`` choose."""
    done = size // 16 * 16
    for j in range(0, done, 16):
        copy_sixteen(tag, target, at + j, table, octets, j)
    if size & 8:
        copy_eight(tag, target, at + done, table, octets, done)
        done += 8
    if size & 4:
        copy_four(tag, target, at + done, table, octets, done)
        done += 4
    for j in range(done, size):
        copy(tag, target, at + j, table, octets, j)


@njit  # type: ignore[untyped-decorator]
def put_normals(
    tag: Any,
    target: int,
    at: int,
    size: int,
    words: int,
    quantiles: int,
    positive: bool,
    precision: int,
    tiny: float,
    largest: float,
) -> None:
    """`crosscheck.cases.stream.draw.normals`, and their magnitudes where ``positive``."""
    eights = size // 8 * 8
    for j in range(0, eights, 8):
        put_eight_normals(
            tag, target, at + j, words, j, quantiles, positive, precision, tiny, largest
        )
    for j in range(eights, size):
        bits = word(words, j)
        piece = int64(bits >> uint64(52))
        low, high = number(0.0, quantiles, piece), number(0.0, quantiles, piece + 1)
        value = float(int64(bits & uint64(2**52 - 1))) * 2.0**-52
        value = value * (high - low) + low
        if positive:
            value = abs(value)
        _put_rounded(tag, target, at + j, value, precision, tiny, largest)


@njit  # type: ignore[untyped-decorator]
def _sums(tag: Any, weight: int, x: int, inputs: int, unit: int) -> tuple[float, float]:
    """The sum of the products of a row of W_1 with x, from the first on, and of magnitudes."""
    total = size = 0.0
    for j in range(inputs):
        term = number(tag, weight, unit * inputs + j) * number(tag, x, j)
        total += term
        size += abs(term)
    return total, size


@njit  # type: ignore[untyped-decorator]
def cancel(
    tag: Any,
    weight: int,
    bias: int,
    x: int,
    inputs: int,
    units: int,
    octets: int,
    factors: int,
    undecided: bool,
    precision: int,
    tiny: float,
    largest: float,
) -> None:
    """First biases that cancel W_1 x: see `crosscheck.cases.stream.readable`."""
    if undecided:
        unit = octet(octets, 0) % units
        total, _ = _sums(tag, weight, x, inputs, unit)
        _put_rounded(tag, bias, unit, -total, precision, tiny, largest)
        return
    eights = units // 8 * 8
    for i in range(0, eights, 8):
        cancel_eight(tag, weight, bias, x, inputs, i, octets, factors, precision, tiny, largest)
    for i in range(eights, units):
        total, size = _sums(tag, weight, x, inputs, i)
        rest = size * number(0.0, factors, octet(octets, i))
        _put_rounded(tag, bias, i, -(total + rest), precision, tiny, largest)
