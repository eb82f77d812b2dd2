"""A program run by a framework, which differentiates it: the same function written in its words.

Each primitive is one of the library's own operations on its own arrays. So a formula that was read
from one library is there in all of them, and each one's gradient of it is its own: the program of
the derivative is not run.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import numpy as np

from crosscheck.frameworks.pointwise import Pointwise
from crosscheck.numbers.differentiable import Elementary
from crosscheck.numbers.piecewise import Piecewise
from crosscheck.numbers.scaling import nearest
from crosscheck.operators.elementary_lines import elementary_lines
from crosscheck.program.arrays import OnArrays
from crosscheck.program.evaluate import evaluate
from crosscheck.program.graph import Program, Shape
from crosscheck.program.places import Places
from crosscheck.tools.errors import UnsupportedError

__all__ = ["LIBRARIES", "run_in"]


class _OnLibrary(OnArrays):
    """The verbs of `crosscheck.program.arithmetic.Arithmetic`, in a library's words.

    Args:
        dtype: Of all numbers.
    """

    framework: str
    setup: str

    def __init__(self, dtype: str) -> None:
        self._dtype = dtype
        self._lines = elementary_lines(self.framework)
        self._written = Pointwise(self.setup, {}, {}, {}, "")

    # -- what each library says in its own way --------------------------------------------------

    def constant(self, array: np.ndarray[Any, Any]) -> Any:
        """An array of the library's, in the dtype if it holds real numbers."""
        raise NotImplementedError

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        """a where the condition holds, b elsewhere."""
        raise NotImplementedError

    def reshape(self, a: Any, shape: Shape) -> Any:
        """The same numbers in another shape."""
        raise NotImplementedError

    def entries(self, flat: Any, places: Any) -> Any:
        """Entries of a vector."""
        raise NotImplementedError

    def first_largest(self, a: Any) -> Any:
        """Number of the first of the largest along the last axis, which is left out."""
        raise NotImplementedError

    # -- the verbs ------------------------------------------------------------------------------

    def filled(self, value: float, shape: Shape) -> Any:
        """See `Arithmetic`."""
        return self.constant(np.full(shape, value))

    def times(self, a: Any, constants: tuple[Fraction, ...]) -> Any:
        """See `Arithmetic`: the product of the constants is rounded once."""
        return a * nearest(math.prod(constants, start=Fraction(1)))

    def take(self, a: Any, indices: Places, source: Shape, shape: Shape) -> Any:
        """See `Arithmetic`."""
        return self.reshape(self._taken(a, indices, source), shape)

    def scatter(self, a: Any, indices: Places, source: Shape, shape: Shape) -> Any:
        """See `Arithmetic`: as a sum of what is taken."""
        size = math.prod(shape)
        found = self._taken(a, indices.by_place(size), source)
        summed = self.sum(self.reshape(found, (size, -1)), (-1,), False)
        return self.reshape(summed, shape)

    def _taken(self, a: Any, places: Places, source: Shape) -> Any:
        flat = self.reshape(a, (math.prod(source),))
        found = self.entries(flat, np.maximum(places.array, 0))
        if places.is_there is None:
            return found
        return self.where(self.constant(places.is_there), found, self.filled(0.0, (len(places),)))

    def total(self, e: Any, d: Any) -> Any:
        """See `Arithmetic`: a sum."""
        return self.sum(e, (-1,), True)

    def piecewise(self, z: Any, function: Piecewise) -> Any:
        """See `Arithmetic`: a choice between pieces, at a breakpoint the one below it."""
        found = self._polynomial(z, function.pieces[0])
        for point, piece in zip(function.breakpoints, function.pieces[1:], strict=True):
            found = self.where(z > nearest(point), self._polynomial(z, piece), found)
        return found

    def select(self, site: int, z: Any, factor: Any, function: Piecewise) -> Any:
        """See `Arithmetic`."""
        return self.piecewise(z, function.derivative) * factor

    def _polynomial(self, z: Any, piece: Sequence[Fraction]) -> Any:
        total = self.filled(nearest(piece[-1]) if piece else 0.0, tuple(z.shape))
        for coefficient in reversed(piece[:-1]):
            total = total * z + nearest(coefficient)
        return total

    def elementary(self, x: Any, function: Elementary, order: int, row: str) -> Any:
        """See `Arithmetic`: the library's first way of writing it.

        Raises:
            UnsupportedError: It has none, or a derivative is asked for.
        """
        lines = self._lines.get(function.name, {})
        if order or not lines:
            what = f"derivative {order} of {function.name}" if order else function.name
            raise UnsupportedError(f"{self.framework} has no function of its own for {what}")
        return self._written.function(next(iter(lines.values())))(x)

    def largest(self, site: int, a: Any, factor: Any) -> Any:
        """See `Arithmetic`: the first of those that are tied."""
        count = int(a.shape[-1])
        chosen = self.expand(self.first_largest(a), -1) == self.constant(np.arange(count))
        return self.where(chosen, factor, self.filled(0.0, tuple(a.shape)))


class _OnTorch(_OnLibrary):
    framework = "torch"
    setup = "import torch\nimport torch.nn.functional as F"

    def __init__(self, dtype: str) -> None:
        super().__init__(dtype)
        self._torch: Any = importlib.import_module("torch")

    def constant(self, array: np.ndarray[Any, Any]) -> Any:
        made = self._torch.tensor(array)
        return made.to(getattr(self._torch, self._dtype)) if array.dtype.kind == "f" else made

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        return self._torch.where(condition, a, b)

    def reshape(self, a: Any, shape: Shape) -> Any:
        return a.reshape(shape)

    def entries(self, flat: Any, places: Any) -> Any:
        return flat[self._torch.tensor(places)]

    def detached(self, a: Any) -> Any:
        return a.detach()

    def first_largest(self, a: Any) -> Any:
        return a.detach().argmax(-1)

    def sum(self, a: Any, axes: tuple[int, ...], keep: bool) -> Any:
        return a.sum(dim=axes, keepdim=keep) if axes else a

    def broadcast(self, a: Any, shape: Shape) -> Any:
        return a.broadcast_to(shape)

    def expand(self, a: Any, axis: int) -> Any:
        return a.unsqueeze(axis)

    def squeeze(self, a: Any, axis: int) -> Any:
        return a.squeeze(axis)

    def transpose(self, a: Any) -> Any:
        return a.mT

    def maximum(self, a: Any) -> Any:
        return a.amax(-1)


class _OnTensorFlow(_OnLibrary):
    framework = "tensorflow"
    setup = "import tensorflow as tf"

    def __init__(self, dtype: str) -> None:
        super().__init__(dtype)
        self._tf: Any = importlib.import_module("tensorflow")

    def constant(self, array: np.ndarray[Any, Any]) -> Any:
        made = self._tf.constant(array)
        return self._tf.cast(made, self._dtype) if array.dtype.kind == "f" else made

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        return self._tf.where(condition, a, b)

    def reshape(self, a: Any, shape: Shape) -> Any:
        return self._tf.reshape(a, shape)

    def entries(self, flat: Any, places: Any) -> Any:
        return self._tf.gather(flat, places)

    def detached(self, a: Any) -> Any:
        return self._tf.stop_gradient(a)

    def first_largest(self, a: Any) -> Any:
        return self._tf.argmax(a, -1)

    def sum(self, a: Any, axes: tuple[int, ...], keep: bool) -> Any:
        return self._tf.reduce_sum(a, axes, keepdims=keep)

    def broadcast(self, a: Any, shape: Shape) -> Any:
        return self._tf.broadcast_to(a, shape)

    def expand(self, a: Any, axis: int) -> Any:
        return self._tf.expand_dims(a, axis)

    def squeeze(self, a: Any, axis: int) -> Any:
        return self._tf.squeeze(a, axis)

    def transpose(self, a: Any) -> Any:
        return self._tf.linalg.matrix_transpose(a)

    def maximum(self, a: Any) -> Any:
        return self._tf.reduce_max(a, -1)


class _OnJax(_OnLibrary):
    framework = "jax"
    setup = "import jax\nimport jax.numpy as jnp"

    def __init__(self, dtype: str) -> None:
        super().__init__(dtype)
        self._jax: Any = importlib.import_module("jax")
        self._numpy: Any = importlib.import_module("jax.numpy")

    def constant(self, array: np.ndarray[Any, Any]) -> Any:
        return self._numpy.asarray(array, self._dtype if array.dtype.kind == "f" else None)

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        return self._numpy.where(condition, a, b)

    def reshape(self, a: Any, shape: Shape) -> Any:
        return a.reshape(shape)

    def entries(self, flat: Any, places: Any) -> Any:
        return flat[places]

    def detached(self, a: Any) -> Any:
        return self._jax.lax.stop_gradient(a)

    def first_largest(self, a: Any) -> Any:
        return self._numpy.argmax(a, -1)

    def sum(self, a: Any, axes: tuple[int, ...], keep: bool) -> Any:
        return self._numpy.sum(a, axis=axes, keepdims=keep)

    def broadcast(self, a: Any, shape: Shape) -> Any:
        return self._numpy.broadcast_to(a, shape)

    def expand(self, a: Any, axis: int) -> Any:
        return self._numpy.expand_dims(a, axis)

    def squeeze(self, a: Any, axis: int) -> Any:
        return self._numpy.squeeze(a, axis)

    def transpose(self, a: Any) -> Any:
        return self._numpy.swapaxes(a, -1, -2)


LIBRARIES: Mapping[str, type[_OnLibrary]] = MappingProxyType(
    {each.framework: each for each in (_OnTorch, _OnTensorFlow, _OnJax)}
)
"""Those that can run a program, by name."""


def run_in(
    framework: str, program: Program, arrays: Mapping[str, Any], dtype: str
) -> dict[str, Any]:
    """The results by name, as the library's own arrays.

    Args:
        framework: A key of `LIBRARIES`.
        program: Of a forward pass.
        arrays: The inputs by name, as the library's arrays of the dtype.
        dtype: Of all numbers.

    Raises:
        UnsupportedError: A primitive has no function of the library's.
    """
    return evaluate(program, LIBRARIES[framework](dtype), arrays)
