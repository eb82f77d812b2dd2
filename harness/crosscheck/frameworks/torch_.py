"""PyTorch's autograd as a framework under test."""

from __future__ import annotations

import importlib
import types
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

import numpy as np

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.leaves import (
    RELU,
    OneHot,
    assembled,
    assembled_by_name,
    constants_of,
    leaves_of,
    loss_function,
)
from crosscheck.frameworks.pointwise import Pointwise
from crosscheck.frameworks.torch_lines import LINES
from crosscheck.network.composed import Composed, Derivatives
from crosscheck.network.dense import Case, Gradients
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import DTYPES, format_of
from crosscheck.tools.errors import CrosscheckError, UnsupportedError

__all__ = ["TorchFramework"]

T = TypeVar("T")

Losses = Callable[..., Any]
"""J of the leaves and targets, one after the other; one number for each case of a stack."""

Returned = tuple[Any, Sequence[Any]]
"""J, and its derivative by each leaf."""

_UNSUPPORTED = (
    "Batching rule not implemented",
    "in some data-dependent control flow",
    "No working C++ compiler found",
)
"""How PyTorch says that vmap or the compiler cannot do something, when it does not raise its
NotImplementedError or the compiler's Unsupported."""


class TorchFramework(Framework):
    """PyTorch's automatic differentiation, on the CPU.

    Mode ``compile`` takes seconds for each shape, dtype and network, and needs a C++ compiler.

    Args:
        formulation: A key of ``formulations``.
        mode: A key of ``modes``.

    Raises:
        UsageError: No such formulation or mode.
        Exception: Whatever importing PyTorch raises.
    """

    name: ClassVar[str] = "torch"
    module: ClassVar[str] = "torch"
    packages: ClassVar[tuple[str, ...]] = ("torch",)
    lines: ClassVar[Pointwise | None] = LINES
    formulations: ClassVar[Mapping[str, str]] = LINES.formulations(RELU)
    modes: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "eager": "torch.autograd.grad(J, …)",
            "func": "torch.func.grad_and_value(J)",
            "vmap": "torch.func.vmap(torch.func.grad_and_value(J)), over the cases",
            "forward": "torch.func.jvp(J, …), one-hot tangents under torch.func.vmap",
            "compile": "torch.autograd.grad of torch.compile(J)",
        }
    )
    forward_modes: ClassVar[frozenset[str]] = frozenset({"forward"})
    dtypes: ClassVar[tuple[str, ...]] = DTYPES

    def __init__(self, *, formulation: str | None = None, mode: str | None = None) -> None:
        super().__init__(formulation=formulation, mode=mode)
        self._torch: Any = importlib.import_module("torch")
        self._compiled: dict[object, Losses] = {}

    def gradients(self, case: Case) -> Gradients:
        """Loss and gradients of ``case`` by PyTorch; see `Framework.gradients`.

        Raises:
            UnsupportedError: PyTorch has not implemented an operation for this dtype or mode.
            CrosscheckError: PyTorch returned another dtype than the case's.
        """
        if self.mode == "forward":
            return self._asked(case.dtype, lambda: self._by_jvp(case))
        loss, found = self._asked(case.dtype, lambda: self._differentiated(case))
        return assembled(case, loss, found)

    def derivatives(self, case: Composed) -> Derivatives:
        """Loss and gradients of ``case`` by PyTorch; see `Framework.derivatives`.

        Raises:
            UnsupportedError: As of `gradients`, or in mode ``forward``.
            CrosscheckError: As of `gradients`.
        """
        if self.mode == "forward":
            raise UnsupportedError("torch: networks of operators in reverse mode only")
        loss, found = self._asked(case.dtype, lambda: self._differentiated(case))
        return assembled_by_name(case, loss, found)

    def _asked(self, dtype: str, call: Callable[[], T]) -> T:
        """What ``call`` returns, unless PyTorch cannot do it."""
        torch = self._torch
        try:
            # A caller's torch.no_grad or inference_mode must not reach in here.
            with torch.inference_mode(False), torch.enable_grad():
                return call()
        except Exception as error:
            reason = self._unsupported(error)
            if reason is None:
                raise
            raise UnsupportedError(f"torch, {dtype}, {self.mode}: {reason}") from error

    def _differentiated(self, case: Case | Composed) -> tuple[Array, list[Array]]:
        """J and its derivatives by the leaves, in reverse mode."""
        differentiate = {
            "eager": self._by_autograd,
            "func": self._by_func,
            "vmap": self._by_vmap,
            "compile": self._by_autograd,
        }[self.mode]
        leaves = [self.send(leaf, case.dtype) for leaf in leaves_of(case)]
        rest = [self.send(array, case.dtype) for array in constants_of(case)]
        losses, found = differentiate(case, leaves, rest)
        return self.fetch(losses, case.dtype), [self.fetch(array, case.dtype) for array in found]

    def _by_autograd(
        self, case: Case | Composed, leaves: Sequence[Any], rest: Sequence[Any]
    ) -> Returned:
        losses_of = self._losses_of(case)
        if self.mode == "compile":
            key = (losses_of, *map(_kind, (*leaves, *rest)))
            if key not in self._compiled:
                self._compiled[key] = self._torch.compile(
                    _with_code_of_its_own(losses_of), fullgraph=True, dynamic=False
                )
            losses_of = self._compiled[key]
        for leaf in leaves:
            leaf.requires_grad_()
        losses = losses_of(*leaves, *rest)
        # Each case of a stack has its own leaves, so the gradient of the sum of the losses
        # holds the gradient of each.
        return losses, self._torch.autograd.grad(losses.sum(), leaves)

    def _by_func(
        self, case: Case | Composed, leaves: Sequence[Any], rest: Sequence[Any]
    ) -> Returned:
        losses_of = self._losses_of(case)

        def sum_and_losses(*arrays: Any) -> tuple[Any, Any]:
            losses = losses_of(*arrays)
            return losses.sum(), losses

        differentiate = self._torch.func.grad_and_value(
            sum_and_losses, argnums=tuple(range(len(leaves))), has_aux=True
        )
        found, (_, losses) = differentiate(*leaves, *rest)
        return losses, found

    def _by_vmap(
        self, case: Case | Composed, leaves: Sequence[Any], rest: Sequence[Any]
    ) -> Returned:
        """A single case is a stack of one."""
        differentiate = self._torch.func.vmap(
            self._torch.func.grad_and_value(
                self._losses_of(case), argnums=tuple(range(len(leaves)))
            )
        )
        if case.count is not None:
            found, losses = differentiate(*leaves, *rest)
            return losses, found
        found, losses = differentiate(*(array.unsqueeze(0) for array in (*leaves, *rest)))
        return losses[0], [array[0] for array in found]

    def _by_jvp(self, case: Case) -> Gradients:
        """A single case is a stack of one.

        Were its loss a tensor without axes, ½ times it would have a tangent in float64,
        whatever the dtype (https://github.com/pytorch/functorch/issues/1073).
        """
        one_hot, jvp = OneHot(case), self._torch.func.jvp
        losses_of = self._losses_of(case)
        leaves = [self.send(leaf, case.dtype) for leaf in leaves_of(case)]
        y = self.send(case.y, case.dtype)
        if case.count is None:
            leaves, y = [leaf.unsqueeze(0) for leaf in leaves], y.unsqueeze(0)

        def push(*tangents: Any) -> Any:
            along = tuple(
                tangent.expand(leaf.shape) for tangent, leaf in zip(tangents, leaves, strict=True)
            )
            return jvp(lambda *arrays: losses_of(*arrays, y), tuple(leaves), along)

        push_all = self._torch.func.vmap(push, out_dims=(None, 0))
        derivatives = np.empty((one_hot.size, case.count or 1))
        for start, tangents in one_hot.blocks():
            losses, found = push_all(*(self.send(tangent, case.dtype) for tangent in tangents))
            derivatives[start : start + len(found)] = self.fetch(found, case.dtype)
        if case.count is None:
            losses, derivatives = losses[0], derivatives[:, 0]
        return one_hot.gradients(self.fetch(losses, case.dtype), derivatives)

    def _losses_of(self, case: Case | Composed) -> Losses:
        """``J`` as a function of the leaves and the rest, for single cases and stacks."""
        return loss_function(case, "torch", LINES, {RELU: self.formulations[self.formulation]})

    def _unsupported(self, error: Exception) -> str | None:
        """What ``error`` says PyTorch cannot do, or ``None``."""
        chain: list[BaseException] = [error]
        while (cause := chain[-1].__cause__) is not None:
            chain.append(cause)
        for each in chain:
            said = str(each).strip()
            if isinstance(each, NotImplementedError):
                return " ".join(said.split())
            if any(phrase in said for phrase in _UNSUPPORTED):
                return said.splitlines()[0]
        if self.mode == "compile":
            exceptions = importlib.import_module("torch._dynamo.exc")
            if isinstance(error, exceptions.Unsupported):
                return str(error).strip().splitlines()[0]
        return None

    def send(self, array: Array, dtype: str) -> Any:
        """``array`` as a CPU tensor of ``dtype``, in memory of its own.

        NumPy converts, so that no kernel of the framework can flush subnormals on the way.

        Args:
            array: Float64 numbers of the format ``dtype``.
            dtype: One of ``dtypes``.

        Raises:
            UnsupportedError: PyTorch has no such dtype.
        """
        torch = self._torch
        if not hasattr(torch, dtype):
            raise UnsupportedError(f"torch has no dtype {dtype}")
        with np.errstate(invalid="ignore"):  # a signalling NaN becomes a quiet one
            own = np.array(array, dtype=format_of(dtype).dtype, order="C")
        # PyTorch takes the dtypes of NumPy only, so the bits pass as whole numbers.
        bits = own.view(f"i{own.itemsize}")
        return torch.from_numpy(bits).view(getattr(torch, dtype))

    def fetch(self, tensor: Any, dtype: str) -> Array:
        """``tensor`` as a float64 array of its own, without loss.

        Args:
            tensor: What PyTorch returned.
            dtype: What it has to be.

        Raises:
            CrosscheckError: It has another dtype.
        """
        torch = self._torch
        if tensor.dtype != getattr(torch, dtype):
            raise CrosscheckError(f"torch returned {tensor.dtype} where {dtype} was asked for")
        bits = getattr(torch, f"int{8 * tensor.element_size()}")
        values = tensor.detach().view(bits).numpy().view(format_of(dtype).dtype)
        with np.errstate(invalid="ignore"):
            return np.array(values, dtype=np.float64, order="C")


def _kind(tensor: Any) -> tuple[object, ...]:
    """What code is compiled for."""
    return (tensor.dtype, tuple(tensor.shape))


def _with_code_of_its_own(function: Losses) -> Losses:
    """``function`` with a copy of its code.

    The compiler keeps what it makes with the code of a function, wherever that came from, and
    goes on without compiling, in silence, once there are eight shapes for one code.
    """
    assert isinstance(function, types.FunctionType)
    own = types.FunctionType(
        function.__code__.replace(),
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    return own
