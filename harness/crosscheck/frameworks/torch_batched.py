"""PyTorch on whole batches: `torch.compile(torch.func.grad(Σ J))`, on NumPy's own memory."""

from __future__ import annotations

import importlib
import shutil
import types
from collections.abc import Sequence
from typing import Any

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.batched import Batched, losses_of
from crosscheck.network.batch import Batch

__all__ = ["TorchBatched"]


class TorchBatched(Batched):
    """One reverse pass, compiled where there is a C++ compiler.

    Compiling takes seconds for each shape and dtype; PyTorch keeps the result on disk. Without a
    compiler the same function runs as it is, which takes about five times as long.
    """

    def __init__(self, framework: Framework) -> None:
        super().__init__(framework)
        self._torch: Any = importlib.import_module("torch")
        self._compiles = any(map(shutil.which, ("g++", "c++", "clang++", "cl")))
        gradient = "torch.func.grad(Σ J)"
        self.mode = f"torch.compile({gradient})" if self._compiles else gradient

    def compile(self, batch: Batch) -> Any:
        """See `Batched.compile`."""
        torch, losses = self._torch, losses_of(self.framework, batch)
        parameters = len(batch.flatten()) - 1

        def sum_and_losses(*arrays: Any) -> Any:
            found = losses(*arrays)
            # Each case has its own arrays, so the gradient of the sum holds that of each.
            return found.sum(), found

        differentiate = torch.func.grad(
            sum_and_losses, argnums=tuple(range(parameters)), has_aux=True
        )

        def everything(*arrays: Any) -> Any:
            gradients, found = differentiate(*arrays)
            return (found, *gradients)

        if not self._compiles:
            return everything
        # PyTorch counts how often it compiles a piece of code, and gives up on too many shapes.
        own = types.FunctionType(
            everything.__code__.replace(),
            everything.__globals__,
            closure=everything.__closure__,
        )
        return torch.compile(own, fullgraph=True, dynamic=False)

    def compute(self, function: Any, arrays: Sequence[Any]) -> Sequence[Any]:
        """See `Batched.compute`; no array is copied."""
        torch = self._torch
        # A caller's torch.no_grad or inference_mode must not reach in here.
        with torch.inference_mode(False), torch.enable_grad():
            found = function(*(torch.from_numpy(array) for array in arrays))
        return [tensor.detach().numpy() for tensor in found]
