"""JAX's `jax.grad` as a framework under test."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from crosscheck.frameworks.adapter import Adapter, Losses, Push, Seen
from crosscheck.frameworks.jax_lines import LINES
from crosscheck.frameworks.leaves import AT_ONCE, RELU, OneHot, numbers_of_a_pass
from crosscheck.frameworks.pointwise import Pointwise
from crosscheck.frameworks.watched import Mark
from crosscheck.network.composed import Composed, Derivatives
from crosscheck.network.dense import Case, Gradients
from crosscheck.numbers.arrays import Array
from crosscheck.program.second import WAYS, Way
from crosscheck.tools.errors import UnsupportedError
from crosscheck.tools.words import message_of

__all__ = ["JaxFramework"]

What = tuple[Losses, bool, int]
"""J, whether it is a single case, and how many numbers a pass with tangents holds of one."""

_NO_TANGENTS = "can't apply forward-mode"
"""How JAX says that somebody wrote a rule for cotangents only."""

_MOST = 2**27
"""How many tangents `jax.jacfwd`, which knows no parts, may hold of one case: 1 GiB of float64."""


class JaxFramework(Adapter):
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
    formulations: ClassVar[Mapping[str, str]] = LINES.formulations(RELU)
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
    modes_over_cases: ClassVar[frozenset[str]] = frozenset({"vmap", "jacrev", "jacfwd"})
    ways: ClassVar[Mapping[str, tuple[Way, ...]]] = MappingProxyType({"jit": WAYS, "eager": WAYS})

    def __init__(self, *, formulation: str | None = None, mode: str | None = None) -> None:
        super().__init__(formulation=formulation, mode=mode)
        self._jax: Any = importlib.import_module("jax")
        self._jnp: Any = importlib.import_module("jax.numpy")
        self._cpu = self._jax.local_devices(backend="cpu")[0]
        self._differentiate: Callable[..., Any] = self._at_once
        if self.mode in ("vmap", "jacrev", "jacfwd"):
            self._differentiate = self._over_cases
        elif self.mode == "forward":
            self._differentiate = self._pushed
        if self.mode != "eager":
            # One compiled function for each network; JAX adds one for each shape and dtype.
            self._differentiate = self._jax.jit(self._differentiate, static_argnums=0)
        self._twice: Callable[..., Any] = self._pushed_or_pulled
        if self.mode == "jit":
            self._twice = self._jax.jit(self._twice, static_argnums=(0, 1))

    def gradients(self, case: Case) -> Gradients:
        """Loss and gradients of ``case`` by JAX; see `Framework.gradients`.

        Raises:
            UnsupportedError: JAX has not implemented an operation for this dtype, or would need
                more memory in mode ``jacfwd`` than there is.
            CrosscheckError: JAX returned another dtype than the case's.
        """
        self._refuse_too_many(case)
        return super().gradients(case)

    def derivatives(self, case: Composed) -> Derivatives:
        """Loss and gradients of ``case`` by JAX; see `Framework.derivatives`.

        Raises:
            UnsupportedError: As of `gradients`.
            CrosscheckError: As of `gradients`.
        """
        self._refuse_too_many(case)
        return super().derivatives(case)

    def _refuse_too_many(self, case: Case | Composed) -> None:
        """No more of mode ``jacfwd`` than there is memory for."""
        if self.mode != "jacfwd":
            return
        size = OneHot(case).size
        numbers = size * numbers_of_a_pass(case)
        if numbers > _MOST:
            raise UnsupportedError(
                f"jax, jacfwd: for {size:,} parameters and inputs it would hold "
                f"{numbers:.1g} numbers at once; mode forward does as much in parts"
            )

    def unsupported(self, error: Exception) -> str | None:
        """See `Adapter.unsupported`."""
        said = message_of(error)
        is_told = isinstance(error, NotImplementedError) or _NO_TANGENTS in said
        return said if is_told else None

    def differentiate(
        self, case: Case | Composed, leaves: Sequence[Any], rest: Sequence[Any]
    ) -> tuple[Any, Sequence[Any]]:
        """See `Adapter.differentiate`."""
        losses, found = self._differentiate(self._what(case), leaves, rest)
        return losses, found

    def twice(
        self,
        case: Composed,
        leaves: Sequence[Any],
        rest: Sequence[Any],
        along: Sequence[Any],
        way: Way,
    ) -> Sequence[Any]:
        """See `Adapter.twice`: `jax.jvp` or `jax.vjp` of `jax.grad`."""
        found: Sequence[Any] = self._twice(self.losses_of(case), way, leaves, rest, along)
        return found

    def _pushed_or_pulled(
        self, losses_of: Losses, way: Way, leaves: Any, rest: Any, along: Any
    ) -> Any:
        gradient = self._jax.grad(lambda leaves: self._jnp.sum(losses_of(*leaves, *rest)))
        if way == "forward over reverse":
            return self._jax.jvp(gradient, (leaves,), (along,))[1]
        return self._jax.vjp(gradient, leaves)[1](along)[0]

    def watch(
        self,
        function: Callable[..., Any],
        leaves: Sequence[Any],
        rest: Sequence[Any],
        marks: Sequence[Mark],
    ) -> Seen:
        """See `Adapter.watch`: an identity with a derivative that looks on, at each mark.

        Nothing is compiled in mode ``eager``, so that what it looks at are numbers.
        """
        values: dict[Mark, Any] = {}
        cotangents: dict[Mark, Any] = {}

        def watch(step: str, operand: str, array: Any) -> Any:
            mark = (step, operand)

            def forward(array: Any) -> tuple[Any, None]:
                values[mark] = array
                return array, None

            def backward(_: None, cotangent: Any) -> tuple[Any]:
                cotangents[mark] = cotangent
                return (cotangent,)

            identity = self._jax.custom_vjp(lambda array: forward(array)[0])
            identity.defvjp(forward, backward)
            return identity(array)

        def sum_and_losses(leaves: Any) -> tuple[Any, Any]:
            losses = function(watch, *leaves, *rest)
            return self._jnp.sum(losses), losses

        (_, losses), found = self._jax.value_and_grad(sum_and_losses, has_aux=True)(leaves)
        return Seen(losses, found, values, [cotangents.get(mark) for mark in marks])

    def pusher(self, case: Case | Composed, leaves: Sequence[Any], rest: Sequence[Any]) -> Push:
        """See `Adapter.pusher`."""

        def push_block(tangents: Sequence[Array]) -> tuple[Any, Any]:
            along = [self.send(tangent, case.dtype) for tangent in tangents]
            losses, found = self._differentiate(self._what(case), leaves, rest, along)
            return losses, found

        return push_block

    def _what(self, case: Case | Composed) -> What:
        numbers = numbers_of_a_pass(case) if self.mode == "jacfwd" else 0
        return self.losses_of(case), case.count is None, numbers

    def session(self) -> AbstractContextManager[object]:
        """The 64-bit switch, on inside a with statement; its old place is before JAX 0.8."""
        if hasattr(self._jax, "enable_x64"):
            switch = self._jax.enable_x64
        else:
            switch = importlib.import_module("jax.experimental").enable_x64
        manager: AbstractContextManager[object] = switch(True)
        return manager

    def _at_once(self, what: What, leaves: Any, rest: Any) -> tuple[Any, Any]:
        """Modes ``jit`` and ``eager``: losses and their gradients, by one reverse pass.

        Each case of a stack has its own arrays, so the gradient of the sum of the losses holds
        the gradient of each.
        """
        losses_of, *_ = what

        def sum_and_losses(leaves: Any) -> tuple[Any, Any]:
            losses = losses_of(*leaves, *rest)
            return self._jnp.sum(losses), losses

        (_, losses), found = self._jax.value_and_grad(sum_and_losses, has_aux=True)(leaves)
        return losses, found

    def _over_cases(self, what: What, leaves: Any, rest: Any) -> tuple[Any, Any]:
        """Modes ``vmap``, ``jacrev`` and ``jacfwd``: the same for a function of one case.

        A single case is a stack of one.
        """
        jax = self._jax
        losses_of, is_single, numbers = what

        def loss_twice(leaves: Any, rest: Any) -> tuple[Any, Any]:
            loss = losses_of(*leaves, *rest)
            return loss, loss

        def differentiate(leaves: Any, rest: Any) -> tuple[Any, Any]:
            if self.mode == "vmap":
                (loss, _), found = jax.value_and_grad(loss_twice, has_aux=True)(leaves, rest)
            else:
                jacobian = jax.jacrev if self.mode == "jacrev" else jax.jacfwd
                found, loss = jacobian(loss_twice, has_aux=True)(leaves, rest)
            return loss, found

        if is_single:
            stack = jax.tree.map(lambda array: array[None], (leaves, rest))
            result = jax.vmap(differentiate)(*stack)
            one: tuple[Any, Any] = jax.tree.map(lambda array: array[0], result)
            return one
        count = len(leaves[0])
        size = sum(math.prod(leaf.shape[1:]) for leaf in leaves)
        at_once = AT_ONCE // max(1, size * numbers)
        if self.mode != "jacfwd" or at_once >= count:
            every: tuple[Any, Any] = jax.vmap(differentiate)(leaves, rest)
            return every
        parts: tuple[Any, Any] = jax.lax.map(
            lambda case: differentiate(*case), (leaves, rest), batch_size=max(1, at_once)
        )
        return parts

    def _pushed(self, what: What, leaves: Any, rest: Any, tangents: Any) -> tuple[Any, Any]:
        """Mode ``forward``: losses, and their tangents for each of some tangents."""
        jax = self._jax
        losses_of, *_ = what

        def push(tangents: Any) -> Any:
            along = [
                self._jnp.broadcast_to(tangent, leaf.shape)
                for tangent, leaf in zip(tangents, leaves, strict=True)
            ]
            return jax.jvp(lambda *each: losses_of(*each, *rest), tuple(leaves), tuple(along))

        pushed: tuple[Any, Any] = jax.vmap(push, out_axes=(None, 0))(tangents)
        return pushed

    def from_numpy(self, own: NDArray[Any], dtype: str) -> Any:
        """See `Adapter.from_numpy`; 64 bits need the switch on."""
        return self._jax.device_put(own, self._cpu)

    def has_dtype(self, dtype: str) -> bool:
        """See `Adapter.has_dtype`."""
        return hasattr(self._jnp, dtype)

    def to_numpy(self, array: Any) -> NDArray[Any]:
        """See `Adapter.to_numpy`; JAX may go on using the memory."""
        return np.asarray(array)

    def dtype_name(self, array: Any) -> str:
        """See `Adapter.dtype_name`."""
        return str(array.dtype)
