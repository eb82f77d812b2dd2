"""A stack of cases as frameworks take it: arrays in memory of the case's own dtype.

A `Case` holds every number as float64, whatever its dtype, which is right for one case and costs
a conversion to and fro for millions. A batch holds float32 numbers as float32, and the gradients
that belong to it come the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crosscheck.network.dense import Case, Numbers
from crosscheck.network.tree import widened
from crosscheck.numbers.formats import FORMATS, format_of
from crosscheck.tools.errors import UsageError

__all__ = [
    "ALIGNMENT",
    "Batch",
    "address",
    "aligned",
    "held_dtype",
]

ALIGNMENT = 64
"""Bytes. TensorFlow takes memory that begins at a multiple of this, and no other."""


def held_dtype(dtype: str) -> Any:
    """The NumPy dtype that a batch of ``dtype`` is held in.

    float32 for all formats whose numbers it contains.
    """
    is_narrow = format_of(dtype).is_within(FORMATS["float32"])
    return np.dtype(np.float32 if is_narrow else np.float64)


@dataclass(frozen=True, eq=False)
class Batch(Numbers):
    """C cases of one shape, in C-contiguous arrays of `held_dtype`.

    The numbers must be those of the format ``dtype``. This is not checked again here: whoever
    generates them draws them so, and `Batch.of` takes them from a case, which has checked.

    Attributes:
        network: The shape and the loss.
        weights: ``W_l`` of shape ``(C, n_l, n_{l-1})``.
        biases: ``b_l`` of shape ``(C, n_l)``, or ``None``.
        x: Inputs, shape ``(C, B, n_0)``.
        y: Targets, shape ``(C, B, n_L)``.
        dtype: As in `Case`.

    Raises:
        UsageError: ``x`` has no axis over cases.
    """

    dtype: str = "float64"

    def __post_init__(self) -> None:
        if self.x.ndim != 3:
            raise UsageError(f"x: shape {self.x.shape} given, wanted a stack (cases, rows, inputs)")

    @classmethod
    def of(cls, case: Case) -> Batch:
        """The cases of a stack."""
        held = held_dtype(case.dtype)

        def hold(array: Any) -> Any:
            with np.errstate(invalid="ignore"):  # a signalling NaN becomes a quiet one
                return np.ascontiguousarray(array, dtype=held)

        return cls(**vars(case.each(hold)), dtype=case.dtype)

    @property
    def count(self) -> int:
        """C."""
        return int(self.x.shape[0])

    def case(self, chosen: Any = slice(None)) -> Case:
        """The cases at ``chosen``, an index array or a slice, as a stack of float64 arrays."""
        return Case.trusted(self.each(lambda array: widened(array[chosen])), self.dtype)


def address(array: Any) -> int:
    """Where an array's memory begins."""
    return int(array.__array_interface__["data"][0])


def aligned(shape: Sequence[int], dtype: Any) -> Any:
    """An empty array whose memory every framework can use where it lies."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.empty(size + ALIGNMENT, dtype=np.uint8)
    start = -address(memory) % ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)
