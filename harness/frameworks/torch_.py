"""The adapter of PyTorch autograd."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from harness.errors import UnsupportedError
from harness.frameworks.base import Framework
from harness.network import Array, Case, Gradients

__all__ = ["TorchFramework"]


def _relus(torch: Any) -> dict[str, Callable[[Any], Any]]:
    return {
        "relu": torch.relu,
        "clamp": lambda z: torch.clamp(z, min=0),
        "maximum": lambda z: torch.maximum(z, torch.zeros_like(z)),
        "maximum_swapped": lambda z: torch.maximum(torch.zeros_like(z), z),
        "where": lambda z: torch.where(z > 0, z, 0),
        "where_ge": lambda z: torch.where(z >= 0, z, 0),
        "abs": lambda z: (z + z.abs()) / 2,
    }


class TorchFramework(Framework):
    """`torch.autograd.grad` on fresh leaf tensors."""

    name: ClassVar[str] = "torch"
    module: ClassVar[str] = "torch"
    packages: ClassVar[tuple[str, ...]] = ("torch",)
    formulations: ClassVar[Mapping[str, str]] = {
        "relu": "torch.relu(z)",
        "clamp": "torch.clamp(z, min=0)",
        "maximum": "torch.maximum(z, torch.zeros_like(z))",
        "maximum_swapped": "torch.maximum(torch.zeros_like(z), z)",
        "where": "torch.where(z > 0, z, 0)",
        "where_ge": "torch.where(z >= 0, z, 0)",
        "abs": "(z + z.abs()) / 2",
    }
    modes: ClassVar[Mapping[str, str]] = {"eager": "torch.autograd.grad, uncompiled"}
    dtypes: ClassVar[tuple[str, ...]] = ("float64", "float32", "bfloat16", "float16")

    def __init__(self, *, formulation: str | None = None, mode: str | None = None) -> None:
        super().__init__(formulation=formulation, mode=mode)
        import torch

        self._torch = torch
        self._relu = _relus(torch)[self.formulation]

    def gradients(self, case: Case) -> Gradients:
        """See `Framework.gradients`."""
        torch = self._torch
        weights = [self._leaf(weight, case.dtype) for weight in case.weights]
        biases = [None if bias is None else self._leaf(bias, case.dtype) for bias in case.biases]
        x, y = self._leaf(case.x, case.dtype), self._leaf(case.y, case.dtype).detach()
        try:
            a = x
            for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
                z = a @ weight.mT
                if bias is not None:
                    z = z + bias[..., None, :]
                a = self._relu(z) if case.network.has_relu(layer) else z
            loss = 0.5 * ((a - y) ** 2).sum(dim=(-2, -1))
            if case.network.reduction == "mean":
                loss = loss / case.rows
            variables = [*weights, *(bias for bias in biases if bias is not None), x]
            found = torch.autograd.grad(loss.sum(), variables)
        except (NotImplementedError, RuntimeError) as error:
            if "not implemented" in str(error):
                raise UnsupportedError(str(error).splitlines()[0]) from error
            raise
        remaining = iter([self._numpy(gradient, case.dtype) for gradient in found])
        return Gradients(
            self._numpy(loss, case.dtype),
            tuple(next(remaining) for _ in weights),
            tuple(None if bias is None else next(remaining) for bias in biases),
            next(remaining),
        )

    def _leaf(self, array: Array, dtype: str) -> Any:
        # Into float32 by NumPy, which keeps subnormals; float32 holds both half formats, so
        # that PyTorch's further conversion is exact.
        narrow = array.astype(np.float64 if dtype == "float64" else np.float32)
        return self._torch.from_numpy(narrow.copy()).to(self._dtype(dtype)).requires_grad_()

    def _dtype(self, dtype: str) -> Any:
        return getattr(self._torch, dtype)

    def _numpy(self, tensor: Any, dtype: str) -> Array:
        if tensor.dtype != self._dtype(dtype):
            raise TypeError(f"torch returned {tensor.dtype}, wanted {dtype}")
        wide = self._torch.float64 if dtype == "float64" else self._torch.float32
        array: Array = tensor.detach().to(wide).numpy().astype(np.float64)
        return array
