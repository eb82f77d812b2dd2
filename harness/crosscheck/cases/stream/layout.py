"""Where the numbers of a case lie, and which table of values each is picked from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.cases.stream.families import FAMILIES
from crosscheck.cases.stream.settings import Shape
from crosscheck.network.batch import Batch, aligned, held_dtype
from crosscheck.network.dense import Network
from crosscheck.network.names import array_name, by_layer
from crosscheck.numbers.formats import Format

__all__ = [
    "NUMBER",
    "TABLE",
    "Layout",
    "largest_whole",
    "layout_of",
    "lowest_binade",
    "spread",
    "table_count",
]

NUMBER = {name: number for number, name in enumerate(FAMILIES)}
"""The number of each family."""

TABLE = 256
"""Values in a table."""


def lowest_binade(form: Format) -> int:
    """Uniform numbers have at least the magnitude 2^-1 divided by 2 to this: a normal number."""
    return min(8, -1 - form.emin)


def largest_whole(form: Format) -> int:
    """Whole numbers go up to this in magnitude: few bits are filled quickly by products."""
    return 4 if form.precision >= 24 else 1


def spread(shape: Shape, form: Format) -> int:
    """Exponents of the wide family go from minus this to this.

    With L layers, products of up to L + 1 numbers are squared in the loss: 2 (L + 1) factors, whose
    exponents, with some room for sums, stay within the format's.
    """
    return max(1, min(60, form.emax // (3 * (shape.network.depth + 1))))


def table_count(shape: Shape) -> int:
    """How many tables a block has: six, one for each layer's biases, and one more."""
    return 7 + shape.network.depth


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the numbers of a case lie, and which table each is picked from.

    Attributes:
        pieces: Name of each array to its first column and the one behind its last.
        last_layer: The same of W_L and b_L.
        tables: (2 · families, arrays): the number of the table that the numbers of each array are
            picked from; the second half with a positive last layer.
    """

    pieces: dict[str, tuple[int, int]]
    last_layer: tuple[tuple[int, int], tuple[int, int]]
    tables: NDArray[np.int64]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Numbers in each array of a case."""
        return np.array([last - first for first, last in self.pieces.values()])

    def empty(self, shape: Shape, count: int) -> tuple[Batch, list[Any]]:
        """A batch of ``count`` cases, and its arrays with the numbers of a case in a row."""
        network = shape.network
        shapes = _shapes(network, shape.rows)
        held = held_dtype(shape.dtype)
        flat = {
            name: aligned((count, last - first), held)
            for name, (first, last) in self.pieces.items()
        }
        arrays = {name: array.reshape(count, *shapes[name]) for name, array in flat.items()}
        batch = Batch(network, *by_layer(arrays), arrays["x"], arrays["y"], shape.dtype)
        return batch, list(flat.values())


def _shapes(network: Network, rows: int) -> dict[str, tuple[int, ...]]:
    widths = network.widths
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in range(1, network.depth + 1):
        shapes[array_name("W", layer)] = (widths[layer], widths[layer - 1])
        shapes[array_name("b", layer)] = (widths[layer],)
    return {**shapes, "x": (rows, widths[0]), "y": (rows, widths[-1])}


@cache
def layout_of(shape: Shape) -> Layout:
    """The layout of a shape's cases."""
    depth, pieces, end = shape.network.depth, {}, 0
    for name, sizes in _shapes(shape.network, shape.rows).items():
        pieces[name] = (end, end + int(np.prod(sizes)))
        end = pieces[name][1]
    names = list(pieces)
    last_layer = (array_name("W", depth), array_name("b", depth))
    tables = np.zeros((2, len(FAMILIES), len(pieces)), dtype=np.int64)
    for family, number in NUMBER.items():
        plain = {"wide": 2, "dyadic": 4, "kinks": 4}.get(family, 0)
        for half in (0, 1):
            row = tables[half, number]
            row[:] = plain
            for name in last_layer if half else ():
                row[names.index(name)] = plain + 1
            if family == "dyadic":
                for layer in range(1, depth + 1):
                    row[names.index(array_name("b", layer))] = 5 + layer
                if half:
                    row[names.index(last_layer[1])] = 6 + depth
    return Layout(
        pieces,
        (pieces[last_layer[0]], pieces[last_layer[1]]),
        tables.reshape(2 * len(FAMILIES), len(pieces)),
    )
