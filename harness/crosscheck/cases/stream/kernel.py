"""The compiled generator: what `crosscheck.cases.stream.readable` does, in one pass over each case.

`begin` prepares a block: families, signs and tables. `fill` makes consecutive cases of it: a byte
becomes a number of the case where it is to lie. Words are drawn a few thousand bytes at a time, so
that they and the tables stay in the processor's fastest cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crosscheck.cases.stream.draw import BYTES, EXPONENTS, NORMALS, SIGNS, TABLES
from crosscheck.cases.stream.families import FAMILIES
from crosscheck.cases.stream.layout import TABLE
from crosscheck.cases.stream.steps import (
    Waiting,
    cancel,
    draw,
    fetched,
    find_families,
    look_up,
    make_tables,
    put_normals,
    turn,
)
from crosscheck.cases.stream.words import GROUP
from crosscheck.tools.compiling import kept

__all__ = ["STATE", "WAITING", "passes"]

STATE = (3, 4)
"""What is kept from one `fill` to the next, for the bytes, the normal numbers and the exponents
each: see `crosscheck.cases.stream.steps.Waiting`."""

WAITING = 512
"""Words that are drawn at a time, unless a case needs more: 4 KiB."""

_GAUSSIAN, _CANCELLING, _UNDECIDED = map(
    list(FAMILIES).index, ("gaussian", "cancelling", "undecided")
)


def passes(digest: str, dtype: str) -> tuple[Callable[..., None], Callable[..., None]]:
    """`begin` and `fill`, as functions that numba keeps on disk once compiled.

    Args:
        digest: Of all the source that is compiled; see `crosscheck.tools.compiling.digest`.
        dtype: In which the cases are held.
    """

    @kept(dtype)
    def begin(
        tag: Any,
        key: Any,
        state: Any,
        edges: Any,
        numbers: Any,
        pattern: Any,
        varying: Any,
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
        draw(key[0], key[1], key[2], SIGNS, 0, (count + 8 * GROUP - 1) // (8 * GROUP), scratch)
        find_families(key[3], edges, numbers, pattern, varying, families, choices, scratch)
        draw(key[0], key[1], key[2], TABLES, 0, 5 * TABLE // GROUP, scratch)
        make_tables(tag, scratch, tables, depth, spread, whole, lowest, precision, tiny, largest)
        state[:] = 0
        normals = cancelled = 0
        for family in families:
            normals += family == _GAUSSIAN
            cancelled += family in (_CANCELLING, _UNDECIDED)
        state[0, 2] = (count * in_case + 7) // 8
        state[1, 2] = normals * in_case
        state[2, 2] = (cancelled * units + 7) // 8

    @kept(dtype)
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
        # Made here: as arguments, tuples would cost a tenth of all that is done for small cases.
        bytes_ = Waiting(octet_state, octet_words, octet_room)
        normals = Waiting(normal_state, normal_words, normal_room)
        exponents = Waiting(exponent_state, exponent_words, exponent_room)
        arrays = len(sizes)
        for row in range(count):
            case = turn(bytes_)
            family, choice = families[case], choices[case]
            if family == _GAUSSIAN:
                at = 8 * in_case * turn(normals)
                words = fetched(seed, philox_key, block, NORMALS, normals, at, 8 * in_case)
                for k in range(arrays):
                    size = sizes[k]
                    positive = tables[choice, k] != tables[family, k]
                    put_normals(
                        tag,
                        addresses[k],
                        row * size,
                        size,
                        words,
                        quantiles,
                        positive,
                        precision,
                        tiny,
                        largest,
                    )
                    words += 8 * size
                continue
            octets = fetched(seed, philox_key, block, BYTES, bytes_, case * in_case, in_case)
            for k in range(arrays):
                size = sizes[k]
                look_up(tag, addresses[k], row * size, size, octets, tables[choice, k])
                octets += size
            if family in (_CANCELLING, _UNDECIDED):
                at = units * turn(exponents)
                cancel(
                    tag,
                    addresses[0] + row * sizes[0] * itemsize,
                    addresses[1] + row * sizes[1] * itemsize,
                    addresses[arrays - 2] + row * sizes[arrays - 2] * itemsize,
                    inputs,
                    units,
                    fetched(seed, philox_key, block, EXPONENTS, exponents, at, units),
                    factors,
                    family == _UNDECIDED,
                    precision,
                    tiny,
                    largest,
                )

    return begin, fill
