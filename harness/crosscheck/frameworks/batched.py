"""Gradients of whole batches, by the fastest correct way that each framework has.

An adapter's `gradients` takes cases one by one or in stacks, in any mode, and converts between
float64 and the case's dtype. For millions of cases the conversions and copies cost more than the
gradients. A `Batched` takes a `Batch`, whose arrays the framework can use where they lie, and
hands back arrays in memory of the framework's own.

What is fastest was measured, for (1, 1, 1), (4, 8, 1) and (16, 32, 32, 4) in float64 and float32
(`nox -s bench` measures it again): in all three frameworks one reverse pass over the whole batch,
with a matrix product for each layer, compiled; `vmap` of the gradient of one case comes second.
"""

from __future__ import annotations

import abc
import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.gatekeeper import required
from crosscheck.frameworks.leaves import RELU, assembled, loss_function
from crosscheck.network.batch import ALIGNMENT, Batch, address, aligned, held_dtype
from crosscheck.network.dense import Gradients
from crosscheck.operators import dense

__all__ = ["Batched", "ThroughAdapter", "aligned_like", "batched", "losses_of"]

_FAST = {
    "crosscheck.frameworks.torch_:TorchFramework": (
        "crosscheck.frameworks.torch_batched:TorchBatched"
    ),
    "crosscheck.frameworks.tensorflow_:TensorFlowFramework": (
        "crosscheck.frameworks.tensorflow_batched:TensorFlowBatched"
    ),
    "crosscheck.frameworks.jax_:JaxFramework": "crosscheck.frameworks.jax_batched:JaxBatched",
}


class Batched(abc.ABC):
    """A framework's gradients of batches.

    One compilation serves all batches of one shape: a batch with fewer cases than an earlier one
    is filled up with copies of its last case.

    Attributes:
        mode: How the gradient is asked for, as a line of source for people.

    Args:
        framework: Whose formulation of max(z, 0) is used.
    """

    mode: str

    def __init__(self, framework: Framework) -> None:
        self.framework = framework
        self._compiled: dict[object, tuple[int, Any]] = {}

    def __call__(self, batch: Batch) -> Gradients:
        """Loss and gradients of a batch, in arrays of `held_dtype`, as the framework returned them.

        Raises:
            UnsupportedError: The framework cannot do this dtype.
        """
        key = (batch.network, batch.has_bias, batch.rows, batch.dtype)
        count = batch.count
        size, function = self._compiled.get(key, (0, None))
        if count > size:
            size = count
            function = self.compile(batch)
            self._compiled[key] = (size, function)
        arrays = [filled_up(array, size) for array in batch.flatten()]
        found = [array[:count] for array in self.compute(function, arrays)]
        gradients: Gradients = assembled(batch, found[0], found[1:])
        return gradients

    def is_through_adapter(self, dtype: str) -> bool:
        """Whether gradients of ``dtype`` are the adapter's own, in the adapter's mode."""
        return False

    @abc.abstractmethod
    def compile(self, batch: Batch) -> Any:
        """Whatever `compute` needs for batches of this shape."""

    @abc.abstractmethod
    def compute(self, function: Any, arrays: Sequence[Any]) -> Sequence[Any]:
        """J, and the derivatives by all arrays but y, in the order of the batch's entries.

        Args:
            function: What `compile` returned.
            arrays: Those of the batch, in the order of its entries.
        """


class ThroughAdapter(Batched):
    """Any adapter, by its own `gradients`."""

    def __init__(self, framework: Framework) -> None:
        super().__init__(framework)
        self.mode = framework.modes.get(framework.mode, framework.mode)

    def is_through_adapter(self, dtype: str) -> bool:
        """Always."""
        return True

    def __call__(self, batch: Batch) -> Gradients:
        """Loss and gradients of a batch, in arrays of `held_dtype`."""
        found, held = required(self.framework, batch.case()), held_dtype(batch.dtype)

        def hold(array: Any) -> Any:
            with np.errstate(invalid="ignore"):  # a signalling NaN becomes a quiet one
                return np.asarray(array, dtype=held)

        return found.map(hold)

    def compile(self, batch: Batch) -> Any:
        """Nothing."""

    def compute(self, function: Any, arrays: Sequence[Any]) -> Sequence[Any]:
        """Not used."""
        raise NotImplementedError


class _ByDtype(Batched):
    """The fast way for float64 and float32; the adapter's own for the 16-bit formats."""

    def __init__(self, fast: Batched) -> None:
        super().__init__(fast.framework)
        self.mode = fast.mode
        self._fast, self._own = fast, ThroughAdapter(fast.framework)

    def is_through_adapter(self, dtype: str) -> bool:
        return dtype not in ("float64", "float32")

    def __call__(self, batch: Batch) -> Gradients:
        chosen = self._own if self.is_through_adapter(batch.dtype) else self._fast
        return chosen(batch)

    def compile(self, batch: Batch) -> Any:
        raise NotImplementedError

    def compute(self, function: Any, arrays: Sequence[Any]) -> Sequence[Any]:
        raise NotImplementedError


def batched(framework: Framework) -> Batched:
    """The fastest correct way to a framework's gradients of batches.

    Frameworks that the harness does not know, and modes that a user has chosen, go through the
    adapter; the default mode of a known framework does not matter for the gradient's meaning, and
    is replaced by the fastest.
    """
    kind = type(framework)
    place = _FAST.get(f"{kind.__module__}:{kind.__qualname__}")
    if place is None or framework.mode != next(iter(framework.modes)):
        return ThroughAdapter(framework)
    module, name = place.split(":")
    fast: Batched = getattr(importlib.import_module(module), name)(framework)
    return _ByDtype(fast)


def losses_of(framework: Framework, batch: Batch) -> Callable[..., Any]:
    """``J`` of each case of a batch, as a function of its arrays: the operators' lines.

    Where there is a choice, a dense layer's line is the one whose gradient comes out in the memory
    order of the weights, so that nothing is copied.
    """
    assert framework.lines is not None
    products = dense.OPERATOR.formulations(framework.name)
    sources = {
        RELU: framework.relu,
        dense.OPERATOR.name: products.get(dense.TURNED, next(iter(products.values()))),
    }
    return loss_function(batch, framework.name, framework.lines, sources)


def aligned_like(array: Any) -> Any:
    """``array`` itself if its memory is as frameworks want it, else a copy."""
    fitting = address(array) % ALIGNMENT == 0
    if fitting and array.flags.c_contiguous and array.flags.writeable:
        return array
    copy = aligned(array.shape, array.dtype)
    copy[...] = array
    return copy


def filled_up(array: Any, size: int) -> Any:
    """``array`` with its last case repeated until there are ``size``."""
    if len(array) == size:
        return array
    filled = aligned((size, *array.shape[1:]), array.dtype)
    filled[: len(array)] = array
    filled[len(array) :] = array[-1]
    return filled
