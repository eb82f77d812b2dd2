"""TensorFlow on whole batches: `tf.GradientTape` compiled by XLA, on NumPy's own memory."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.batched import Batched, aligned_like, losses_of
from crosscheck.network.batch import Batch

__all__ = ["TensorFlowBatched"]


class TensorFlowBatched(Batched):
    """One reverse pass in a `tf.function` with ``jit_compile=True``.

    Arrays go in and come out by DLPack, since `tf.constant` and `Tensor.numpy` copy, which takes
    as long as the gradient of a small network.
    """

    mode = "tf.GradientTape in a tf.function with jit_compile=True"

    def __init__(self, framework: Framework) -> None:
        super().__init__(framework)
        self._tf: Any = importlib.import_module("tensorflow")

    def compile(self, batch: Batch) -> Any:
        """See `Batched.compile`."""
        tf, losses = self._tf, losses_of(self.framework, batch)

        def everything(*arrays: Any) -> Any:
            leaves, y = arrays[:-1], arrays[-1]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(leaves)
                found = losses(*leaves, y)
            # A tape differentiates the sum of its targets; each case has its own arrays.
            return (found, *tape.gradient(found, leaves))

        compiled = tf.function(everything, autograph=False, jit_compile=True)
        return compiled.get_concrete_function(
            *(tf.TensorSpec(array.shape, array.dtype) for array in batch.flatten())
        )

    def compute(self, function: Any, arrays: Sequence[Any]) -> Sequence[Any]:
        """See `Batched.compute`; only arrays that do not lie as XLA wants them are copied."""
        take = self._tf.experimental.dlpack.from_dlpack
        with self.framework.session():
            found = function(*(take(aligned_like(array).__dlpack__()) for array in arrays))
        return [np.from_dlpack(tensor) for tensor in found]
