"""JAX on whole batches: `jax.jit(jax.value_and_grad(Σ J))`, on NumPy's own memory."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.batched import Batched, losses_of
from crosscheck.network.batch import Batch

__all__ = ["JaxBatched"]


class JaxBatched(Batched):
    """One reverse pass, compiled by XLA.

    A compiled function takes NumPy arrays as they are, faster than anything that makes JAX
    arrays of them first, and may use their memory until its results are there. They are waited
    for here, so that the caller may write into the arrays afterwards.
    """

    mode = "jax.jit(jax.value_and_grad(Σ J))"

    def __init__(self, framework: Framework) -> None:
        super().__init__(framework)
        self._jax: Any = importlib.import_module("jax")
        self._cpu = self._jax.local_devices(backend="cpu")[0]

    def compile(self, batch: Batch) -> Any:
        """See `Batched.compile`."""
        jax, losses = self._jax, losses_of(self.framework, batch)

        def sum_and_losses(leaves: Any, y: Any) -> Any:
            found = losses(*leaves, y)
            # Each case has its own arrays, so the gradient of the sum holds that of each.
            return found.sum(), found

        def everything(*arrays: Any) -> Any:
            differentiate = jax.value_and_grad(sum_and_losses, has_aux=True)
            (_, found), gradients = differentiate(arrays[:-1], arrays[-1])
            return (found, *gradients)

        return jax.jit(everything)

    def compute(self, function: Any, arrays: Sequence[Any]) -> Sequence[Any]:
        """See `Batched.compute`; no array is copied."""
        with self.framework.session(), self._jax.default_device(self._cpu):
            return [np.asarray(array) for array in function(*arrays)]
