"""JAX's `jax.grad` as a framework under test."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from harness.errors import HarnessError, UnsupportedError
from harness.frameworks.base import Framework
from harness.frameworks.jax_lines import LINES
from harness.frameworks.pointwise import Pointwise
from harness.network import Array, Case, Gradients, Network

__all__ = ["JaxFramework"]


class JaxFramework(Framework):
    """`jax.value_and_grad`, on the CPU.

    JAX computes in 64 bits only where its switch ``jax_enable_x64`` is on, and turns float64
    into float32 without a word where it is off. The switch is part of a user's global state
    and of the keys of JAX's caches. So it is turned on here with a context manager, which
    holds for this thread and for the length of one call.

    Args:
        formulation: A key of ``formulations``.
        mode: A key of ``modes``.

    Raises:
        UsageError: No such formulation or mode.
        Exception: Whatever importing JAX raises.
    """

    name: ClassVar[str] = "jax"
    module: ClassVar[str] = "jax"
    packages: ClassVar[tuple[str, ...]] = ("jax", "jaxlib")
    lines: ClassVar[Pointwise | None] = LINES
    formulations: ClassVar[Mapping[str, str]] = LINES.formulations("relu")
    modes: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "jit": "jax.jit(jax.value_and_grad(J))",
            "eager": "jax.value_and_grad(J)",
        }
    )
    dtypes: ClassVar[tuple[str, ...]] = ("float64", "float32", "bfloat16", "float16")

    def __init__(self, *, formulation: str | None = None, mode: str | None = None) -> None:
        super().__init__(formulation=formulation, mode=mode)
        self._jax: Any = importlib.import_module("jax")
        self._jnp: Any = importlib.import_module("jax.numpy")
        self._cpu = self._jax.local_devices(backend="cpu")[0]
        self._relu = LINES.function(self.formulations[self.formulation])
        self._differentiate: Callable[..., Any] = self._jax.value_and_grad(
            self._sum_and_losses, argnums=(1, 2, 3), has_aux=True
        )
        if self.mode == "jit":
            # One compiled function for each network; JAX adds one for each shape and dtype.
            self._differentiate = self._jax.jit(self._differentiate, static_argnums=0)

    def gradients(self, case: Case) -> Gradients:
        """Loss and gradients of ``case`` by JAX; see `Framework.gradients`.

        Raises:
            UnsupportedError: JAX has not implemented an operation for this dtype.
            HarnessError: JAX returned another dtype than the case's.
        """
        dtype = case.dtype

        def home(array: Any) -> Array:
            return self.fetch(array, dtype)

        with self.session():
            weights = [self.send(weight, dtype) for weight in case.weights]
            biases = [None if bias is None else self.send(bias, dtype) for bias in case.biases]
            x, y = self.send(case.x, dtype), self.send(case.y, dtype)
            try:
                (_, losses), found = self._differentiate(case.network, weights, biases, x, y)
            except NotImplementedError as error:
                raise UnsupportedError(f"jax, {dtype}: {' '.join(str(error).split())}") from error
            return Gradients(
                home(losses),
                tuple(home(weight) for weight in found[0]),
                tuple(None if bias is None else home(bias) for bias in found[1]),
                home(found[2]),
            )

    def session(self) -> AbstractContextManager[object]:
        """The 64-bit switch, on inside a with statement; its old place is before JAX 0.8."""
        if hasattr(self._jax, "enable_x64"):
            switch = self._jax.enable_x64
        else:
            switch = importlib.import_module("jax.experimental").enable_x64
        manager: AbstractContextManager[object] = switch(True)
        return manager

    def _sum_and_losses(
        self, network: Network, weights: Sequence[Any], biases: Sequence[Any], x: Any, y: Any
    ) -> tuple[Any, Any]:
        """``Σ J`` and, for each case of a stack, ``J``.

        Each case has its own arrays, so the gradient of the sum holds the gradient of each.
        """
        jnp = self._jnp
        activation = x
        for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
            z = activation @ jnp.swapaxes(weight, -1, -2)
            if bias is not None:
                z = z + bias[..., None, :]
            activation = self._relu(z) if network.has_relu(layer) else z
        losses = 0.5 * jnp.sum(jnp.square(activation - y), axis=(-2, -1))
        if network.reduction == "mean":
            losses = losses / y.shape[-2]
        return jnp.sum(losses), losses

    def send(self, array: Array, dtype: str) -> Any:
        """``array`` as a JAX array of ``dtype`` on the CPU; 64 bits need the switch on.

        NumPy converts, so that no kernel of the framework can flush subnormals on the way. JAX
        may share the memory of what it is given, hence a copy.

        Args:
            array: Float64 numbers of the format ``dtype``.
            dtype: One of ``dtypes``.
        """
        with np.errstate(invalid="ignore"):  # a signalling NaN becomes a quiet one
            own = np.array(array, dtype=self._jnp.dtype(dtype), order="C")
        return self._jax.device_put(own, self._cpu)

    def fetch(self, array: Any, dtype: str) -> Array:
        """``array`` as a float64 NumPy array of its own, without loss.

        Args:
            array: What JAX returned.
            dtype: What it has to be.

        Raises:
            HarnessError: It has another dtype.
        """
        if array.dtype != self._jnp.dtype(dtype):
            raise HarnessError(f"jax returned {array.dtype} where {dtype} was asked for")
        with np.errstate(invalid="ignore"):
            return np.array(np.asarray(array), dtype=np.float64, order="C")
