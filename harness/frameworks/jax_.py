"""The adapter of `jax.grad`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from harness.frameworks.base import Framework
from harness.network import Array, Case, Gradients, Network

__all__ = ["JaxFramework"]


def _relus(jax: Any) -> dict[str, Callable[[Any], Any]]:
    jnp = jax.numpy
    return {
        "relu": jax.nn.relu,
        "maximum": lambda z: jnp.maximum(z, 0),
        "maximum_swapped": lambda z: jnp.maximum(0, z),
        "where": lambda z: jnp.where(z > 0, z, 0),
        "where_ge": lambda z: jnp.where(z >= 0, z, 0),
        "clip": lambda z: jnp.clip(z, min=0),
        "abs": lambda z: (z + jnp.abs(z)) / 2,
    }


class JaxFramework(Framework):
    """`jax.value_and_grad` of the loss, compiled by default, as JAX is meant to be used.

    JAX computes in float32 unless 64-bit numbers are switched on, which is a global setting. It
    is switched on here for the duration of each call only (`jax.enable_x64`, thread-local), so
    that a process that uses JAX for other things is not affected.
    """

    name: ClassVar[str] = "jax"
    module: ClassVar[str] = "jax"
    packages: ClassVar[tuple[str, ...]] = ("jax", "jaxlib")
    formulations: ClassVar[Mapping[str, str]] = {
        "relu": "jax.nn.relu(z)",
        "maximum": "jnp.maximum(z, 0)",
        "maximum_swapped": "jnp.maximum(0, z)",
        "where": "jnp.where(z > 0, z, 0)",
        "where_ge": "jnp.where(z >= 0, z, 0)",
        "clip": "jnp.clip(z, min=0)",
        "abs": "(z + jnp.abs(z)) / 2",
    }
    modes: ClassVar[Mapping[str, str]] = {
        "jit": "jax.jit(jax.value_and_grad(loss))",
        "eager": "jax.value_and_grad(loss), operation by operation",
    }
    dtypes: ClassVar[tuple[str, ...]] = ("float64", "float32", "bfloat16", "float16")

    def __init__(self, *, formulation: str | None = None, mode: str | None = None) -> None:
        super().__init__(formulation=formulation, mode=mode)
        import jax
        import jax.experimental
        import jax.numpy

        self._jax = jax
        # Older releases have the switch under jax.experimental.
        place = jax if hasattr(jax, "enable_x64") else jax.experimental
        self._x64: Any = place.enable_x64
        self._relu = _relus(jax)[self.formulation]
        self._compiled: dict[Network, Callable[..., Any]] = {}

    def gradients(self, case: Case) -> Gradients:
        """See `Framework.gradients`."""
        with self._x64(True):
            weights = [self._convert(weight, case.dtype) for weight in case.weights]
            biases = [
                None if bias is None else self._convert(bias, case.dtype) for bias in case.biases
            ]
            x, y = self._convert(case.x, case.dtype), self._convert(case.y, case.dtype)
            (_, loss), found = self._function(case.network)(weights, biases, x, y)
            of_weights, of_biases, of_x = found
            return Gradients(
                self._numpy(loss, case.dtype),
                tuple(self._numpy(weight, case.dtype) for weight in of_weights),
                tuple(
                    None if bias is None else self._numpy(bias, case.dtype) for bias in of_biases
                ),
                self._numpy(of_x, case.dtype),
            )

    def _function(self, network: Network) -> Callable[..., Any]:
        """Loss and gradients of one kind of network, compiled if the mode says so."""
        if network not in self._compiled:

            def loss(weights: Sequence[Any], biases: Sequence[Any], x: Any, y: Any) -> Any:
                return self._loss(network, weights, biases, x, y)

            run = self._jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True)
            self._compiled[network] = self._jax.jit(run) if self.mode == "jit" else run
        return self._compiled[network]

    def _loss(
        self, network: Network, weights: Sequence[Any], biases: Sequence[Any], x: Any, y: Any
    ) -> Any:
        """The sum of the losses of all cases, and the losses themselves."""
        a = x
        for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
            z = a @ weight.swapaxes(-1, -2)
            if bias is not None:
                z = z + bias[..., None, :]
            a = self._relu(z) if network.has_relu(layer) else z
        losses = 0.5 * ((a - y) ** 2).sum(axis=(-2, -1))
        if network.reduction == "mean":
            losses = losses / x.shape[-2]
        return losses.sum(), losses

    def _convert(self, array: Array, dtype: str) -> Any:
        # NumPy converts: XLA's own casts replace subnormals by zero.
        jnp = self._jax.numpy
        return jnp.asarray(array.astype(jnp.dtype(dtype)))

    def _numpy(self, array: Any, dtype: str) -> Array:
        if array.dtype != self._jax.numpy.dtype(dtype):
            raise TypeError(f"jax returned {array.dtype}, wanted {dtype}")
        return np.asarray(array).astype(np.float64)
