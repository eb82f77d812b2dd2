"""JAX's `jax.grad` as a framework under test."""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.jax_lines import LINES
from crosscheck.frameworks.leaves import AT_ONCE, OneHot, assembled, leaves_of, tangents_of_a_pass
from crosscheck.frameworks.pointwise import Pointwise
from crosscheck.network.dense import Case, Gradients, Network
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import DTYPES, format_of
from crosscheck.tools.errors import CrosscheckError, UnsupportedError

__all__ = ["JaxFramework"]

_MOST = 2**27
"""How many tangents `jax.jacfwd`, which knows no parts, may hold of one case: 1 GiB of float64."""


class JaxFramework(Framework):
    """JAX's automatic differentiation, on the CPU.

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
            "vmap": "jax.jit(jax.vmap(jax.value_and_grad(J))), over the cases",
            "forward": "jax.jit(jax.jvp(J, …)), one-hot tangents under jax.vmap",
            "jacrev": "jax.jit(jax.vmap(jax.jacrev(J))), over the cases",
            "jacfwd": "jax.jit(jax.vmap(jax.jacfwd(J))), over the cases",
        }
    )
    forward_modes: ClassVar[frozenset[str]] = frozenset({"forward", "jacfwd"})
    dtypes: ClassVar[tuple[str, ...]] = DTYPES

    def __init__(self, *, formulation: str | None = None, mode: str | None = None) -> None:
        super().__init__(formulation=formulation, mode=mode)
        self._jax: Any = importlib.import_module("jax")
        self._jnp: Any = importlib.import_module("jax.numpy")
        self._cpu = self._jax.local_devices(backend="cpu")[0]
        self._relu = LINES.function(self.formulations[self.formulation])
        self._differentiate: Callable[..., Any] = self._at_once
        if self.mode in ("vmap", "jacrev", "jacfwd"):
            self._differentiate = self._over_cases
        elif self.mode == "forward":
            self._differentiate = self._pushed
        if self.mode != "eager":
            # One compiled function for each network; JAX adds one for each shape and dtype.
            self._differentiate = self._jax.jit(self._differentiate, static_argnums=0)

    def gradients(self, case: Case) -> Gradients:
        """Loss and gradients of ``case`` by JAX; see `Framework.gradients`.

        Raises:
            UnsupportedError: JAX has not implemented an operation for this dtype, or would need
                more memory in mode ``jacfwd`` than there is.
            CrosscheckError: JAX returned another dtype than the case's.
        """
        if self.mode == "jacfwd":
            size = OneHot(case).size
            numbers = size * tangents_of_a_pass(case.network, case.rows, size)
            if numbers > _MOST:
                raise UnsupportedError(
                    f"jax, jacfwd: for {size:,} parameters and inputs it would hold "
                    f"{numbers:.1g} numbers at once; mode forward does as much in parts"
                )
        with self.session():
            try:
                return self._gradients(case)
            except NotImplementedError as error:
                raise UnsupportedError(
                    f"jax, {case.dtype}, {self.mode}: {' '.join(str(error).split())}"
                ) from error

    def _gradients(self, case: Case) -> Gradients:
        structure = self._jax.tree.structure((list(case.weights), list(case.biases), case.x))

        def send(leaves: Iterable[Array]) -> Any:
            return self._jax.tree.unflatten(structure, [self.send(v, case.dtype) for v in leaves])

        parameters, y = send(leaves_of(case)), self.send(case.y, case.dtype)
        if self.mode == "forward":
            one_hot = OneHot(case)
            derivatives = np.empty((one_hot.size, *case.x.shape[:-2]))
            for start, tangents in one_hot.blocks():
                losses, found = self._differentiate(case.network, parameters, y, send(tangents))
                derivatives[start : start + len(found)] = self.fetch(found, case.dtype)
            return one_hot.gradients(self.fetch(losses, case.dtype), derivatives)
        losses, found = self._differentiate(case.network, parameters, y)
        arrays = [self.fetch(array, case.dtype) for array in self._jax.tree.leaves(found)]
        return assembled(case, self.fetch(losses, case.dtype), arrays)

    def session(self) -> AbstractContextManager[object]:
        """The 64-bit switch, on inside a with statement; its old place is before JAX 0.8."""
        if hasattr(self._jax, "enable_x64"):
            switch = self._jax.enable_x64
        else:
            switch = importlib.import_module("jax.experimental").enable_x64
        manager: AbstractContextManager[object] = switch(True)
        return manager

    def _at_once(self, network: Network, parameters: Any, y: Any) -> tuple[Any, Any]:
        """Modes ``jit`` and ``eager``: losses and their gradients, by one reverse pass.

        Each case of a stack has its own arrays, so the gradient of the sum of the losses holds
        the gradient of each.
        """

        def sum_and_losses(parameters: Any) -> tuple[Any, Any]:
            losses = self._losses(network, parameters, y)
            return self._jnp.sum(losses), losses

        (_, losses), found = self._jax.value_and_grad(sum_and_losses, has_aux=True)(parameters)
        return losses, found

    def _over_cases(self, network: Network, parameters: Any, y: Any) -> tuple[Any, Any]:
        """Modes ``vmap``, ``jacrev`` and ``jacfwd``: the same for a function of one case.

        A single case is a stack of one.
        """
        jax = self._jax

        def loss_twice(parameters: Any, y: Any) -> tuple[Any, Any]:
            loss = self._losses(network, parameters, y)
            return loss, loss

        def differentiate(parameters: Any, y: Any) -> tuple[Any, Any]:
            if self.mode == "vmap":
                (loss, _), found = jax.value_and_grad(loss_twice, has_aux=True)(parameters, y)
            else:
                jacobian = jax.jacrev if self.mode == "jacrev" else jax.jacfwd
                found, loss = jacobian(loss_twice, has_aux=True)(parameters, y)
            return loss, found

        if y.ndim == 2:
            stack = jax.tree.map(lambda array: array[None], (parameters, y))
            result = jax.vmap(differentiate)(*stack)
            one: tuple[Any, Any] = jax.tree.map(lambda array: array[0], result)
            return one
        size = sum(math.prod(leaf.shape[1:]) for leaf in jax.tree.leaves(parameters))
        at_once = AT_ONCE // (size * tangents_of_a_pass(network, y.shape[-2], size))
        if self.mode != "jacfwd" or at_once >= len(y):
            every: tuple[Any, Any] = jax.vmap(differentiate)(parameters, y)
            return every
        parts: tuple[Any, Any] = jax.lax.map(
            lambda case: differentiate(*case), (parameters, y), batch_size=max(1, at_once)
        )
        return parts

    def _pushed(self, network: Network, parameters: Any, y: Any, tangents: Any) -> tuple[Any, Any]:
        """Mode ``forward``: losses, and their tangents for each of some tangents."""
        jax = self._jax

        def push(tangents: Any) -> Any:
            along = jax.tree.map(
                lambda tangent, leaf: self._jnp.broadcast_to(tangent, leaf.shape),
                tangents,
                parameters,
            )
            losses = functools.partial(self._losses, network, y=y)
            return jax.jvp(losses, (parameters,), (along,))

        pushed: tuple[Any, Any] = jax.vmap(push, out_axes=(None, 0))(tangents)
        return pushed

    def _losses(self, network: Network, parameters: Any, y: Any) -> Any:
        """``J``, one for each case of a stack."""
        jnp = self._jnp
        weights, biases, activation = parameters
        for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
            z = activation @ jnp.swapaxes(weight, -1, -2)
            if bias is not None:
                z = z + bias[..., None, :]
            activation = self._relu(z) if network.has_relu(layer) else z
        losses = 0.5 * jnp.sum(jnp.square(activation - y), axis=(-2, -1))
        return losses / y.shape[-2] if network.reduction == "mean" else losses

    def send(self, array: Array, dtype: str) -> Any:
        """``array`` as a JAX array of ``dtype`` on the CPU; 64 bits need the switch on.

        NumPy converts, so that no kernel of the framework can flush subnormals on the way. JAX
        may share the memory of what it is given, hence a copy.

        Args:
            array: Float64 numbers of the format ``dtype``.
            dtype: One of ``dtypes``.

        Raises:
            UnsupportedError: JAX has no such dtype.
        """
        if not hasattr(self._jnp, dtype):
            raise UnsupportedError(f"jax has no dtype {dtype}")
        with np.errstate(invalid="ignore"):  # a signalling NaN becomes a quiet one
            own = np.array(array, dtype=format_of(dtype).dtype, order="C")
        return self._jax.device_put(own, self._cpu)

    def fetch(self, array: Any, dtype: str) -> Array:
        """``array`` as a float64 NumPy array of its own, without loss.

        Args:
            array: What JAX returned.
            dtype: What it has to be.

        Raises:
            CrosscheckError: It has another dtype.
        """
        if array.dtype != format_of(dtype).dtype:
            raise CrosscheckError(f"jax returned {array.dtype} where {dtype} was asked for")
        with np.errstate(invalid="ignore"):
            return np.array(np.asarray(array), dtype=np.float64, order="C")
