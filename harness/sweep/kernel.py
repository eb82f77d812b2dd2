"""The compiled generator: what `harness.sweep.readable` does, in one pass over each case.

`begin` prepares a block: families, signs and tables. `fill` makes consecutive cases of it: a byte
becomes a number of the case where it is to lie. Words are drawn a few thousand bytes at a time, so
that they and the tables stay in the processor's fastest cache.

Each floating-point operation is that of the readable form, in the same order; numba neither
reorders nor contracts them unless it is told to.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from numba import int64, njit, uint64

from harness.sweep.draw import BYTES, EXPONENTS, NORMALS, SIGNS, TABLES
from harness.sweep.families import FAMILIES
from harness.sweep.words import (
    GROUP,
    binade,
    copy,
    copy_eight,
    mirrored,
    number,
    octet,
    philox,
    power,
    put,
    set_word,
    word,
)

__all__ = ["STATE", "WAITING", "passes"]

STATE = (3, 4)
"""What is kept from one `fill` to the next: for the bytes, the normal numbers and the exponents
each the first of the words in memory, the end of them, the end of all words in use, and how many
cases have used theirs."""

WAITING = 512
"""Words that are drawn at a time, unless a case needs more: 4 KiB."""

_FAMILIES = len(FAMILIES)
_GAUSSIAN, _CANCELLING, _UNDECIDED = map(
    list(FAMILIES).index, ("gaussian", "cancelling", "undecided")
)
_TABLE = 256


@njit  # type: ignore[untyped-decorator]
def _draw(
    seed: Any, key: Any, block: Any, purpose: int, first: int, groups: int, address: int
) -> None:
    """Groups of words from the ``first`` on, which is the first of a counter.

    NumPy adds one to the counter before it makes the first four words.
    """
    for group in range(groups):
        counter = uint64(first // 4 + 1 + GROUP // 4 * group)
        philox(seed, key, counter, block, uint64(purpose), address + 8 * GROUP * group)


@njit  # type: ignore[untyped-decorator]
def _fetch(
    seed: Any,
    key: Any,
    block: Any,
    purpose: int,
    state: int,
    start: int,
    address: int,
    room: int,
) -> None:
    """Draw the words from ``start`` on, as many as there is room for and as are used."""
    groups = min(room // GROUP, (int64(word(state, 2)) - start + GROUP - 1) // GROUP)
    _draw(seed, key, block, purpose, start, groups, address)
    set_word(state, 0, start)
    set_word(state, 1, start + GROUP * groups)


@njit  # type: ignore[untyped-decorator]
def _are_at_hand(state: int, first: int, last: int) -> bool:
    """Whether the words from ``first`` up to ``last`` are in memory."""
    return bool(first >= int64(word(state, 0)) and last <= int64(word(state, 1)))


@njit  # type: ignore[untyped-decorator]
def _narrowed(value: float, precision: int, tiny: float, largest: float) -> float:
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
def _put(
    tag: Any, address: int, at: int, value: float, precision: int, tiny: float, largest: float
) -> None:
    """Write a number rounded to the format; the memory's dtype rounds to its own."""
    if precision < 24:
        value = _narrowed(value, precision, tiny, largest)
    put(tag, address, at, value)


@njit  # type: ignore[untyped-decorator]
def _find_families(
    start: Any, edges: Any, numbers: Any, families: Any, choices: Any, signs: int
) -> None:
    for position in range(len(families)):
        place = mirrored(start + uint64(position))
        part = 0
        for edge in edges:
            part += place >= edge
        families[position] = numbers[part]
        choices[position] = numbers[part] + _FAMILIES * (octet(signs, position) & 1)


@njit  # type: ignore[untyped-decorator]
def _make_tables(
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
    for k in range(_TABLE):
        bits = word(words, k)
        sign = -1.0 if bits >> uint64(63) else 1.0
        zeros = 0
        if bits:
            while zeros < lowest and not (bits >> uint64(zeros)) & uint64(1):
                zeros += 1
        significand = 1.0 + float(word(words, _TABLE + k) >> uint64(12)) * 2.0**-52
        uniform = sign * significand * power(-1 - zeros)
        _put(tag, tables, k, uniform, precision, tiny, largest)
        _put(tag, tables, _TABLE + k, abs(uniform), precision, tiny, largest)
        exponent = int(word(words, 2 * _TABLE + k) % uint64(2 * spread + 1)) - spread
        significand = 1.0 + float(word(words, 3 * _TABLE + k) >> uint64(12)) * 2.0**-52
        wide = sign * significand * power(exponent)
        _put(tag, tables, 2 * _TABLE + k, wide, precision, tiny, largest)
        _put(tag, tables, 3 * _TABLE + k, abs(wide), precision, tiny, largest)
        unit = float(word(words, 4 * _TABLE + k) % uint64(2 * whole + 1)) - whole
        put(tag, tables, 4 * _TABLE + k, unit)
        put(tag, tables, 5 * _TABLE + k, abs(unit))
        shifted = unit
        for layer in range(1, depth + 1):
            shifted = unit + power(-layer)
            put(tag, tables, (5 + layer) * _TABLE + k, shifted)
        put(tag, tables, (6 + depth) * _TABLE + k, abs(shifted))


@njit  # type: ignore[untyped-decorator]
def _look_up(tag: Any, target: int, at: int, size: int, octets: int, table: int) -> None:
    eights = size // 8 * 8
    for j in range(0, eights, 8):
        copy_eight(tag, target, at + j, table, octets, j)
    for j in range(eights, size):
        copy(tag, target, at + j, table, octets, j)


@njit  # type: ignore[untyped-decorator]
def _put_normals(
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
    """`harness.sweep.draw.normals`, and their magnitudes where ``positive``."""
    for j in range(size):
        bits = word(words, j)
        piece = int64(bits >> uint64(52))
        low, high = number(0.0, quantiles, piece), number(0.0, quantiles, piece + 1)
        value = float(int64(bits & uint64(2**52 - 1))) * 2.0**-52
        value = value * (high - low) + low
        if positive:
            value = abs(value)
        _put(tag, target, at + j, value, precision, tiny, largest)


@njit  # type: ignore[untyped-decorator]
def _cancel(
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
    """First biases that cancel W_1 x: see `harness.sweep.readable`."""
    chosen = octet(octets, 0) % units
    for i in range(units):
        if undecided and i != chosen:
            continue
        total = 0.0
        for j in range(inputs):
            total += number(tag, weight, i * inputs + j) * number(tag, x, j)
        rest = 0.0
        if not undecided:
            rest = total * number(0.0, factors, octet(octets, i))
        _put(tag, bias, i, -(total + rest), precision, tiny, largest)


def passes(digest: str) -> tuple[Callable[..., None], Callable[..., None]]:
    """`begin` and `fill`, as functions that numba keeps on disk once compiled.

    Args:
        digest: Of all the source that is compiled; see `harness.compiling.digest`.
    """

    @njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
    def begin(
        tag: Any,
        key: Any,
        state: Any,
        edges: Any,
        numbers: Any,
        families: Any,
        choices: Any,
        tables: int,
        scratch: int,
        depth: int,
        spread: int,
        whole: int,
        lowest: int,
        precision: int,
        tiny: float,
        largest: float,
        in_case: int,
        units: int,
    ) -> None:
        if len(digest) == 0:
            return
        count = len(families)
        _draw(key[0], key[1], key[2], SIGNS, 0, (count + 8 * GROUP - 1) // (8 * GROUP), scratch)
        _find_families(key[3], edges, numbers, families, choices, scratch)
        _draw(key[0], key[1], key[2], TABLES, 0, 5 * _TABLE // GROUP, scratch)
        _make_tables(tag, scratch, tables, depth, spread, whole, lowest, precision, tiny, largest)
        state[:] = 0
        normals = cancelled = 0
        for family in families:
            normals += family == _GAUSSIAN
            cancelled += family in (_CANCELLING, _UNDECIDED)
        state[0, 2] = (count * in_case + 7) // 8
        state[1, 2] = normals * in_case
        state[2, 2] = (cancelled * units + 7) // 8

    @njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
    def fill(
        tag: Any,
        key: Any,
        families: Any,
        choices: Any,
        tables: Any,
        sizes: Any,
        addresses: Any,
        count: int,
        octet_state: int,
        octet_words: int,
        octet_room: int,
        normal_state: int,
        normal_words: int,
        normal_room: int,
        exponent_state: int,
        exponent_words: int,
        exponent_room: int,
        quantiles: int,
        factors: int,
        itemsize: int,
        precision: int,
        tiny: float,
        largest: float,
        in_case: int,
        inputs: int,
        units: int,
    ) -> None:
        if len(digest) == 0:
            return
        seed, philox_key, block = key[0], key[1], key[2]
        arrays = len(sizes)
        for row in range(count):
            case = int64(word(octet_state, 3))
            set_word(octet_state, 3, case + 1)
            family, choice = families[case], choices[case]
            if family == _GAUSSIAN:
                first = int64(word(normal_state, 3)) * in_case
                set_word(normal_state, 3, int64(word(normal_state, 3)) + 1)
                if not _are_at_hand(normal_state, first, first + in_case):
                    _fetch(
                        seed,
                        philox_key,
                        block,
                        NORMALS,
                        normal_state,
                        first // 4 * 4,
                        normal_words,
                        normal_room,
                    )
                words = normal_words + 8 * (first - int64(word(normal_state, 0)))
                for k in range(arrays):
                    _put_normals(
                        tag,
                        addresses[k],
                        row * sizes[k],
                        sizes[k],
                        words,
                        quantiles,
                        tables[choice, k] != tables[family, k],
                        precision,
                        tiny,
                        largest,
                    )
                    words += 8 * sizes[k]
                continue
            first = case * in_case
            if not _are_at_hand(octet_state, first // 8, (first + in_case + 7) // 8):
                _fetch(
                    seed,
                    philox_key,
                    block,
                    BYTES,
                    octet_state,
                    first // 32 * 4,
                    octet_words,
                    octet_room,
                )
            octets = octet_words + first - 8 * int64(word(octet_state, 0))
            for k in range(arrays):
                size = sizes[k]
                _look_up(tag, addresses[k], row * size, size, octets, tables[choice, k])
                octets += size
            if family in (_CANCELLING, _UNDECIDED):
                first = int64(word(exponent_state, 3)) * units
                set_word(exponent_state, 3, int64(word(exponent_state, 3)) + 1)
                if not _are_at_hand(exponent_state, first // 8, (first + units + 7) // 8):
                    _fetch(
                        seed,
                        philox_key,
                        block,
                        EXPONENTS,
                        exponent_state,
                        first // 32 * 4,
                        exponent_words,
                        exponent_room,
                    )
                _cancel(
                    tag,
                    addresses[0] + row * sizes[0] * itemsize,
                    addresses[1] + row * sizes[1] * itemsize,
                    addresses[arrays - 2] + row * sizes[arrays - 2] * itemsize,
                    inputs,
                    units,
                    exponent_words + first - 8 * int64(word(exponent_state, 0)),
                    factors,
                    family == _UNDECIDED,
                    precision,
                    tiny,
                    largest,
                )

    return begin, fill
