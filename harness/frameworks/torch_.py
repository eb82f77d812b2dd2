"""PyTorch's autograd as a framework under test."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from harness.errors import HarnessError, UnsupportedError
from harness.frameworks.base import Framework
from harness.frameworks.pointwise import Pointwise
from harness.frameworks.torch_lines import LINES
from harness.network import Array, Case, Gradients, Network

__all__ = ["TorchFramework"]


class TorchFramework(Framework):
    """`torch.autograd.grad` on fresh leaf tensors, on the CPU.

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
    formulations: ClassVar[Mapping[str, str]] = LINES.formulations("relu")
    modes: ClassVar[Mapping[str, str]] = MappingProxyType({"eager": "torch.autograd.grad(J, …)"})
    dtypes: ClassVar[tuple[str, ...]] = ("float64", "float32", "bfloat16", "float16")

    def __init__(self, *, formulation: str | None = None, mode: str | None = None) -> None:
        super().__init__(formulation=formulation, mode=mode)
        self._torch: Any = importlib.import_module("torch")
        self._relu = LINES.function(self.formulations[self.formulation])

    def gradients(self, case: Case) -> Gradients:
        """Loss and gradients of ``case`` by PyTorch; see `Framework.gradients`.

        Raises:
            UnsupportedError: PyTorch has not implemented an operation for this dtype.
            HarnessError: PyTorch returned another dtype than the case's.
        """
        torch, dtype = self._torch, case.dtype

        def leaf(array: Array) -> Any:
            return self.send(array, dtype).requires_grad_()

        def home(tensor: Any) -> Array:
            return self.fetch(tensor, dtype)

        try:
            # A caller's torch.no_grad or inference_mode must not reach in here.
            with torch.inference_mode(False), torch.enable_grad():
                weights = [leaf(weight) for weight in case.weights]
                biases = [None if bias is None else leaf(bias) for bias in case.biases]
                x = leaf(case.x)
                losses = self._losses(case.network, weights, biases, x, self.send(case.y, dtype))
                leaves = [*weights, *(bias for bias in biases if bias is not None), x]
                # Each case of a stack has its own leaves, so the gradient of the sum of the
                # losses holds the gradient of each.
                found = torch.autograd.grad(losses.sum(), leaves)
        except NotImplementedError as error:
            raise UnsupportedError(f"torch, {dtype}: {' '.join(str(error).split())}") from error
        remaining = iter(found)
        return Gradients(
            home(losses),
            tuple(home(next(remaining)) for _ in weights),
            tuple(None if bias is None else home(next(remaining)) for bias in biases),
            home(next(remaining)),
        )

    def _losses(
        self, network: Network, weights: Sequence[Any], biases: Sequence[Any], x: Any, y: Any
    ) -> Any:
        """``J``, one for each case of a stack."""
        activation = x
        for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
            z = activation @ weight.transpose(-1, -2)
            if bias is not None:
                z = z + bias.unsqueeze(-2)
            activation = self._relu(z) if network.has_relu(layer) else z
        losses = 0.5 * (activation - y).square().sum((-2, -1))
        return losses / y.shape[-2] if network.reduction == "mean" else losses

    def send(self, array: Array, dtype: str) -> Any:
        """``array`` as a CPU tensor of ``dtype``, in memory of its own.

        NumPy converts, so that no kernel of the framework can flush subnormals on the way.

        Args:
            array: Float64 numbers of the format ``dtype``.
            dtype: One of ``dtypes``.
        """
        torch = self._torch
        with np.errstate(invalid="ignore"):  # a signalling NaN becomes a quiet one
            if dtype != "bfloat16":
                return torch.from_numpy(np.array(array, dtype=dtype, order="C"))
            # NumPy has no bfloat16. It is the upper half of a float32, whose lower half is
            # zero here; from_numpy takes 16 bits as a signed integer.
            single = np.array(array, dtype=np.float32, order="C")
        upper = (single.view(np.uint32) >> 16).astype(np.uint16)
        return torch.from_numpy(upper.view(np.int16)).view(torch.bfloat16)

    def fetch(self, tensor: Any, dtype: str) -> Array:
        """``tensor`` as a float64 array of its own, without loss.

        Args:
            tensor: What PyTorch returned.
            dtype: What it has to be.

        Raises:
            HarnessError: It has another dtype.
        """
        torch = self._torch
        if tensor.dtype != getattr(torch, dtype):
            raise HarnessError(f"torch returned {tensor.dtype} where {dtype} was asked for")
        tensor = tensor.detach()
        if dtype == "bfloat16":
            upper = tensor.contiguous().view(torch.int16).numpy().view(np.uint16)
            values = (upper.astype(np.uint32) << 16).view(np.float32)
        else:
            values = tensor.numpy()
        with np.errstate(invalid="ignore"):
            return np.array(values, dtype=np.float64, order="C")
