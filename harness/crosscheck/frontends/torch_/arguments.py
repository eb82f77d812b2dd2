"""The arguments of a PyTorch function or module, and how it is called with others."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from crosscheck.frontends.calling import called, key_of
from crosscheck.numbers.arrays import Array
from crosscheck.tools.errors import UsageError

__all__ = ["Arguments"]


class Arguments:
    """The arguments, with the arrays that become inputs by name.

    Args:
        torch: The library.
        function: A function, an ``autograd.Function`` or a module.
        arguments: Name to what is handed over.
        real: Names of those that become inputs.

    Attributes:
        name: Of the function.
        arrays: Name of each input to its numbers, float64; a module's parameters among them.
        owners: Name of each input to the argument that it is a leaf of.

    Raises:
        UsageError: A name is unknown, or an array is not real.
    """

    def __init__(
        self,
        torch: Any,
        function: Callable[..., Any],
        arguments: Mapping[str, Any],
        real: Sequence[str],
    ) -> None:
        unknown = [name for name in real if name not in arguments]
        if unknown:
            raise UsageError(f"{unknown[0]!r} is no argument; there are {', '.join(arguments)}")
        self._torch, self._arguments = torch, arguments
        self._module = function if isinstance(function, torch.nn.Module) else None
        self._function = _callable(torch, function)
        self.name = getattr(function, "__name__", None) or type(function).__name__
        self.arrays: dict[str, Array] = {}
        self.owners: dict[str, str] = {}
        self._forms: dict[str, tuple[list[str], Any]] = {}
        for name in dict.fromkeys(real):
            self._add(name, arguments[name])
        for name, parameter in self._parameters().items():
            if name not in self.arrays:
                self.arrays[name] = parameter.detach().double().cpu().numpy().copy()
                self.owners[name] = name

    def _parameters(self) -> Mapping[str, Any]:
        return {} if self._module is None else dict(self._module.named_parameters())

    @property
    def modules(self) -> dict[int, str]:
        """Name of each part of a module, by identity."""
        parts = () if self._module is None else self._module.named_modules()
        return {id(part): name for name, part in parts}

    def _add(self, name: str, given: Any) -> None:
        pytree = importlib.import_module("torch.utils._pytree")
        leaves, form = pytree.tree_flatten_with_path(given)
        names = [".".join([name, *map(key_of, path)]) for path, _ in leaves]
        for each, (_, leaf) in zip(names, leaves, strict=True):
            plain = leaf.detach().double() if isinstance(leaf, self._torch.Tensor) else leaf
            array = np.asarray(plain)
            if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
                raise UsageError(f"{each}: dtype {array.dtype}, wanted real numbers")
            self.arrays[each] = array.astype(np.float64)
            self.owners[each] = name
        self._forms[name] = names, form

    def call(self, leaves: Mapping[str, Any]) -> Any:
        """The function, of other tensors for its inputs.

        A module's buffers are handed over as copies in float64.
        """
        pytree = importlib.import_module("torch.utils._pytree")
        parameters = self._parameters()
        given: dict[str, Any] = {}
        for name, value in self._arguments.items():
            if name in parameters:
                continue
            if name in self._forms:
                names, form = self._forms[name]
                given[name] = pytree.tree_unflatten([leaves[each] for each in names], form)
            else:
                is_array = isinstance(value, np.ndarray)
                given[name] = self._torch.as_tensor(value.copy()) if is_array else value
        if self._module is None:
            return called(self._function, given)
        state = {name: leaves[name] for name in parameters}
        for name, buffer in self._module.named_buffers():
            copy = buffer.detach().clone()
            state[name] = copy.double() if copy.is_floating_point() else copy
        functional_call = self._torch.func.functional_call

        def forward(*args: Any, **kwargs: Any) -> Any:
            return functional_call(self._module, state, args, kwargs)

        return called(forward, given, of=self._module.forward)


def _callable(torch: Any, function: Any) -> Callable[..., Any]:
    """What to call: of an ``autograd.Function`` its ``apply``."""
    if isinstance(function, type) and issubclass(function, torch.autograd.Function):
        function = getattr(function, "apply")  # noqa: B009  (mypy knows no such attribute of a type)
    found: Callable[..., Any] = function
    return found
