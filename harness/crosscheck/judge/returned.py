"""What frameworks return for a stack of cases, side by side, each gradient once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.judge.decisions import Effect
from crosscheck.network.dense import Gradients
from crosscheck.numbers.arrays import Array

__all__ = ["Answers", "Indices", "Part", "side_by_side"]

Indices = NDArray[np.intp]

Part = tuple[str, int, tuple[int, ...]]
"""Name, first entry and shape of an array of a gradient, all entries side by side."""


@dataclass(eq=False)
class Answers:
    """The gradients to be explained; what several frameworks return to the bit is there once.

    Attributes:
        case: Whose each is, (A,).
        values: Loss and gradient side by side, in the order of `Gradients.entries`, (A, entries).
        number: Of each framework and case the position here; -1 where there is nothing to explain.
        slopes: The slope at the case's open gate that each may have; 0, which has no meaning,
            where there is no open gate. None of a case that is not finite, or whose gate needs
            to be looked at by itself.
        effect: What is known of that slope, of each.
    """

    case: Indices
    values: Array
    number: list[list[int]]
    slopes: list[list[float]]
    effect: list[Effect]

    @classmethod
    def of(cls, given: Sequence[Gradients], parts: Sequence[Part], ours: Any) -> Answers:
        """What frameworks returned for the cases that are judged together.

        Args:
            given: Of each framework, for all cases.
            parts: Of each array of a gradient.
            ours: Which cases these are, (C,).
        """
        wanted = [(name, (len(ours), *shape)) for name, _, shape in parts]
        judged = np.flatnonzero(ours).tolist()
        positions: dict[tuple[int, bytes], int] = {}
        values: list[Array] = []
        cases: list[int] = []
        number: list[list[int]] = []
        for each in given:
            number.append([-1] * len(ours))
            if [(name, np.shape(value)) for name, value in each.entries()] != wanted:
                continue
            flat = side_by_side([np.asarray(value) for _, value in each.entries()])
            for index in judged:
                row = flat[index]
                at = positions.setdefault((index, row.tobytes()), len(positions))
                number[-1][index] = at
                if at == len(values):
                    values.append(row)
                    cases.append(index)
        return cls(
            np.array(cases, dtype=np.intp),
            np.stack(values) if values else np.empty((0, 0)),
            number,
            [[0.0] for _ in cases],
            [Effect.READ] * len(values),
        )


def side_by_side(arrays: Sequence[Any]) -> Array:
    """The entries of several arrays of stacks, of shape (stack, entries), as float64."""
    return np.concatenate(
        [array.reshape(len(array), -1) for array in arrays], axis=1, dtype=np.float64
    )
