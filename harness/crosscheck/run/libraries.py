"""The libraries of functions of the user's: how tensors go in, and how a loss is differentiated."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np

from crosscheck.frameworks.refusals import RefusedError
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import FORMATS
from crosscheck.run.forms import GRADIENTS, WrongFormError, is_form, is_loss, kind_of
from crosscheck.tools.errors import CrosscheckError, UsageError
from crosscheck.tools.words import message_of

__all__ = ["ROLES", "Library", "WrongShapeError", "numbers_of"]


class WrongShapeError(CrosscheckError):
    """An output of a function has another shape than that of its formula."""


class Library(Protocol):
    """What an implementation needs of its library.

    Attributes:
        derivation: How it differentiates a loss, for people; empty if it does not.
        packages: Distributions whose versions identify it.
        dtypes: The dtypes it can do.
    """

    derivation: str
    packages: tuple[str, ...]
    dtypes: tuple[str, ...]

    def session(self) -> AbstractContextManager[object]:
        """A context for everything below."""

    def send(self, array: Array, dtype: str) -> Any:
        """A float64 array as a tensor of ``dtype``."""

    def fetch(self, tensor: Any, dtype: str) -> Array:
        """A tensor of ``dtype`` as a float64 array, without loss."""

    def evaluate(
        self, call: Callable[..., Any], leaves: Sequence[Any]
    ) -> tuple[Any, Sequence[Any] | None]:
        """What the call returns; and if that is a loss, its derivatives.

        Args:
            call: The function, of its leaves.
            leaves: What it is differentiated by.

        Returns:
            The derivatives are in the order of the leaves; ``None`` if the function returned
            gradients itself.
        """

    def know(self, value: Any) -> Any:
        """An argument that is no array of real numbers: arrays of integers as the library's own."""

    def pull_back(
        self,
        call: Callable[..., Mapping[str, Any]],
        leaves: Sequence[Any],
        cotangents: Mapping[str, Any],
    ) -> tuple[Mapping[str, Any], Sequence[Any]]:
        """What the call returns, by name, and the product of cotangents with its Jacobian.

        Args:
            call: The function, of its leaves.
            leaves: What it is differentiated by.
            cotangents: Name of each output to its cotangent.

        Returns:
            The outputs, and a derivative for each leaf.
        """


class _Adapted:
    """`Library` by one of the adapters in `crosscheck.frameworks`."""

    derivation = ""

    def __init__(self, module: str, adapter: str) -> None:
        self.adapter: Any = getattr(
            importlib.import_module(f"crosscheck.frameworks.{module}"), adapter
        )()
        self.packages: tuple[str, ...] = self.adapter.packages
        self.dtypes: tuple[str, ...] = self.adapter.dtypes

    def session(self) -> AbstractContextManager[object]:
        session: AbstractContextManager[object] = self.adapter.session()
        return session

    def send(self, array: Array, dtype: str) -> Any:
        return self.adapter.send(array, dtype)

    def fetch(self, tensor: Any, dtype: str) -> Array:
        if not hasattr(tensor, "dtype"):
            raise UsageError(f"{kind_of(tensor)} returned, wanted a tensor of {dtype}")
        fetched: Array = self.adapter.fetch(tensor, dtype)
        return fetched


class _Torch(_Adapted):
    derivation = "torch.autograd.grad"

    def __init__(self) -> None:
        super().__init__("torch_", "TorchFramework")

    def evaluate(
        self, call: Callable[..., Any], leaves: Sequence[Any]
    ) -> tuple[Any, Sequence[Any] | None]:
        __tracebackhide__ = True
        torch: Any = importlib.import_module("torch")
        with torch.inference_mode(False), torch.enable_grad():
            for leaf in leaves:
                leaf.requires_grad_()
            returned = call(*leaves)
            if not is_loss(returned, torch.Tensor):
                return returned, None
            return returned, torch.autograd.grad(
                returned, leaves, allow_unused=True, materialize_grads=True
            )

    def know(self, value: Any) -> Any:
        torch: Any = importlib.import_module("torch")
        return torch.tensor(value) if isinstance(value, np.ndarray) else value

    def pull_back(
        self,
        call: Callable[..., Mapping[str, Any]],
        leaves: Sequence[Any],
        cotangents: Mapping[str, Any],
    ) -> tuple[Mapping[str, Any], Sequence[Any]]:
        __tracebackhide__ = True
        torch: Any = importlib.import_module("torch")
        with torch.inference_mode(False), torch.enable_grad():
            for leaf in leaves:
                leaf.requires_grad_()
            returned = _tensors(call(*leaves), torch.Tensor)
            moving = [name for name, each in returned.items() if each.requires_grad]
            _require_shapes(returned, cotangents)
            values = {name: each.detach() for name, each in returned.items()}
            if not moving:
                return values, [torch.zeros_like(leaf) for leaf in leaves]
            return values, torch.autograd.grad(
                [returned[name] for name in moving],
                leaves,
                [cotangents[name] for name in moving],
                allow_unused=True,
                materialize_grads=True,
            )


class _TensorFlow(_Adapted):
    derivation = "tf.GradientTape"

    def __init__(self) -> None:
        super().__init__("tensorflow_", "TensorFlowFramework")

    def evaluate(
        self, call: Callable[..., Any], leaves: Sequence[Any]
    ) -> tuple[Any, Sequence[Any] | None]:
        __tracebackhide__ = True
        tf: Any = importlib.import_module("tensorflow")
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(leaves)
            returned = call(*leaves)
        if not is_loss(returned, tf.Tensor):
            return returned, None
        found = tape.gradient(returned, leaves, unconnected_gradients="zero")
        return returned, [tf.convert_to_tensor(array) for array in found]

    def know(self, value: Any) -> Any:
        tf: Any = importlib.import_module("tensorflow")
        return tf.constant(value) if isinstance(value, np.ndarray) else value

    def pull_back(
        self,
        call: Callable[..., Mapping[str, Any]],
        leaves: Sequence[Any],
        cotangents: Mapping[str, Any],
    ) -> tuple[Mapping[str, Any], Sequence[Any]]:
        __tracebackhide__ = True
        tf: Any = importlib.import_module("tensorflow")
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(leaves)
            returned = _tensors(call(*leaves), tf.Tensor)
        _require_shapes(returned, cotangents)
        names = list(returned)
        found = tape.gradient(
            [returned[name] for name in names],
            leaves,
            output_gradients=[cotangents[name] for name in names],
            unconnected_gradients="zero",
        )
        return returned, [tf.convert_to_tensor(array) for array in found]


class _Jax(_Adapted):
    derivation = "jax.grad"

    def __init__(self) -> None:
        super().__init__("jax_", "JaxFramework")
        self._returns_loss = False

    def evaluate(
        self, call: Callable[..., Any], leaves: Sequence[Any]
    ) -> tuple[Any, Sequence[Any] | None]:
        __tracebackhide__ = True
        jax: Any = importlib.import_module("jax")
        if not self._returns_loss:  # once it has, evaluating it twice would be a waste
            returned = call(*leaves)
            if not is_loss(returned, jax.Array):
                return returned, None
            self._returns_loss = True
        argnums = tuple(range(len(leaves)))
        returned, found = jax.value_and_grad(call, argnums=argnums)(*leaves)
        return returned, list(found)

    def know(self, value: Any) -> Any:
        jax: Any = importlib.import_module("jax")
        return jax.numpy.asarray(value) if isinstance(value, np.ndarray) else value

    def pull_back(
        self,
        call: Callable[..., Mapping[str, Any]],
        leaves: Sequence[Any],
        cotangents: Mapping[str, Any],
    ) -> tuple[Mapping[str, Any], Sequence[Any]]:
        __tracebackhide__ = True
        jax: Any = importlib.import_module("jax")
        returned, back = jax.vjp(call, *leaves)
        _require_shapes(_tensors(returned, jax.Array), cotangents)
        return returned, list(back({name: cotangents[name] for name in returned}))


class _NumPy:
    """`Library` of functions in NumPy, which return gradients: nothing differentiates them."""

    derivation = ""
    packages: tuple[str, ...] = ("numpy",)
    dtypes: tuple[str, ...] = tuple(name for name, form in FORMATS.items() if form.is_native)

    def session(self) -> AbstractContextManager[object]:
        return nullcontext()

    def send(self, array: Array, dtype: str) -> Any:
        return np.array(array, dtype=dtype)

    def fetch(self, tensor: Any, dtype: str) -> Array:
        return numbers_of(tensor)

    def know(self, value: Any) -> Any:
        return np.copy(value) if isinstance(value, np.ndarray) else value

    def pull_back(
        self,
        call: Callable[..., Mapping[str, Any]],
        leaves: Sequence[Any],
        cotangents: Mapping[str, Any],
    ) -> tuple[Mapping[str, Any], Sequence[Any]]:
        raise UsageError("NumPy does not differentiate; wanted a backward pass written by hand")

    def evaluate(
        self, call: Callable[..., Any], leaves: Sequence[Any]
    ) -> tuple[Any, Sequence[Any] | None]:
        __tracebackhide__ = True
        returned = call(*leaves)
        if not is_form(returned):
            raise WrongFormError(
                f"{kind_of(returned)} returned, and NumPy does not differentiate; "
                f"wanted {GRADIENTS}"
            )
        return returned, None


def _tensors(returned: Mapping[str, Any], kind: type) -> Mapping[str, Any]:
    """Outputs, all of them a library's arrays."""
    for name, each in returned.items():
        if not isinstance(each, kind):
            raise UsageError(f"{name}: {kind_of(each)} returned, wanted a {kind.__name__}")
    return returned


def _require_shapes(returned: Mapping[str, Any], cotangents: Mapping[str, Any]) -> None:
    """Raise a `WrongShapeError` unless the outputs have the shapes of their cotangents."""
    for name, each in returned.items():
        shape, wanted = tuple(each.shape), tuple(cotangents[name].shape)
        if shape != wanted:
            raise WrongShapeError(f"{name}: shape {shape} returned, the formula's is {wanted}")


ROLES: Mapping[str, Callable[[], Library]] = {
    "reference": _NumPy,
    "numpy": _NumPy,
    "torch": _Torch,
    "tensorflow": _TensorFlow,
    "jax": _Jax,
}
"""The keywords under which implementations are handed in, and the library of each."""


def numbers_of(value: Any) -> Array:
    """What NumPy code returned, as float64 without loss.

    Raises:
        UsageError: It is nothing that holds numbers.
        RefusedError: It is an array of something else than real numbers, of a kind that computes
            by rules of its own, or of numbers that float64 does not hold.
    """
    if not isinstance(value, np.ndarray | np.generic | int | float | list | tuple):
        raise UsageError(f"{kind_of(value)} returned, wanted real numbers")
    if isinstance(value, np.ndarray) and type(value) is not np.ndarray:
        raise RefusedError(f"{kind_of(value)} returned, wanted a plain numpy.ndarray")
    try:
        array = np.asarray(value)
    except ValueError as error:  # rows of several lengths
        raise RefusedError(
            f"{kind_of(value)} returned that is no array: {message_of(error)}"
        ) from error
    if array.dtype.kind not in "fiu":
        raise RefusedError(f"{array.dtype} returned, wanted real numbers")
    with np.errstate(all="ignore"):
        found = np.array(array, dtype=np.float64)
        if not np.array_equal(found.astype(array.dtype), array, equal_nan=array.dtype.kind == "f"):
            raise RefusedError(f"{array.dtype} numbers returned that are none of float64")
    return found
