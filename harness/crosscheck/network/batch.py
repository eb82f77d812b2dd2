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

from crosscheck.network.dense import Case, Gradients, Network
from crosscheck.numbers.formats import FORMATS, format_of
from crosscheck.tools.errors import UsageError

__all__ = [
    "ALIGNMENT",
    "Batch",
    "address",
    "aligned",
    "arrays_of",
    "chosen_gradients",
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
class Batch:
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

    network: Network
    weights: tuple[Any, ...]
    biases: tuple[Any, ...]
    x: Any
    y: Any
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

        return cls(
            case.network,
            tuple(hold(weight) for weight in case.weights),
            tuple(None if bias is None else hold(bias) for bias in case.biases),
            hold(case.x),
            hold(case.y),
            case.dtype,
        )

    @property
    def count(self) -> int:
        """C."""
        return int(self.x.shape[0])

    @property
    def arrays(self) -> list[Any]:
        """``W_1 … W_L``, the biases there are, x and y."""
        return [*self.weights, *(bias for bias in self.biases if bias is not None), self.x, self.y]

    @property
    def names(self) -> list[str]:
        """Of `arrays`, as `Case.arrays` has them."""
        layers = range(1, len(self.weights) + 1)
        biases = [
            f"b{at}" for at, bias in zip(layers, self.biases, strict=True) if bias is not None
        ]
        return [*(f"W{layer}" for layer in layers), *biases, "x", "y"]

    @property
    def rows(self) -> int:
        """B."""
        return int(self.x.shape[1])

    def case(self, chosen: Any = slice(None)) -> Case:
        """The cases at ``chosen``, an index array or a slice, as a stack of float64 arrays."""
        found = object.__new__(Case)  # whose numbers are those of the dtype, see above
        vars(found).update(
            network=self.network,
            weights=tuple(widened(weight[chosen]) for weight in self.weights),
            biases=tuple(None if bias is None else widened(bias[chosen]) for bias in self.biases),
            x=widened(self.x[chosen]),
            y=widened(self.y[chosen]),
            dtype=self.dtype,
        )
        return found


def widened(array: Any) -> Any:
    """``array`` as float64, without loss."""
    with np.errstate(invalid="ignore"):
        return np.asarray(array, dtype=np.float64)


def chosen_gradients(given: Gradients, chosen: Any) -> Gradients:
    """The gradients at ``chosen`` of a batch's, as float64."""
    return given.map(lambda array: widened(array[chosen]))


def has_all_cases(given: Gradients, count: int) -> bool:
    """Whether each array has something for each of ``count`` cases, whatever it is."""
    parts = arrays_of(given)
    return all(part is None or np.shape(part)[:1] == (count,) for part in parts)


def arrays_of(given: Gradients) -> Sequence[Any]:
    """``W_1 … W_L, b_1 … b_L, x, J``; ``None`` for a bias that is not there."""
    return [*given.weights, *given.biases, given.x, given.loss]


def address(array: Any) -> int:
    """Where an array's memory begins."""
    return int(array.__array_interface__["data"][0])


def aligned(shape: Sequence[int], dtype: Any) -> Any:
    """An empty array whose memory every framework can use where it lies."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.empty(size + ALIGNMENT, dtype=np.uint8)
    start = -address(memory) % ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)
