"""Keras models, on the backend that Keras was imported with: JAX's, or PyTorch's.

A model is called through `stateless_call`, of its trainable variables by their paths and of its
inputs; the other variables are constants, and dropout and the like are off. Keras has one backend
in a process, said by ``KERAS_BACKEND`` before it is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from crosscheck.numbers.arrays import Array
from crosscheck.tools.errors import UsageError

__all__ = ["BACKENDS", "BackendError", "KerasModel", "is_keras"]

BACKENDS: tuple[Literal["jax", "torch"], ...] = ("jax", "torch")


class BackendError(UsageError):
    """Keras was imported with a backend that is not read."""


def is_keras(model: Any) -> bool:
    """Whether something is a model, or a layer, of Keras."""
    keras: Any = sys.modules.get("keras")
    return keras is not None and isinstance(model, getattr(keras, "Layer", ()))


class KerasModel:
    """A model of Keras as a function of its variables and inputs.

    Attributes:
        library: Its backend.
        arrays: Name of each trainable variable to its numbers.

    Raises:
        BackendError: See there.
        UsageError: The model has no variables yet.
    """

    def __init__(self, model: Any) -> None:
        keras: Any = sys.modules["keras"]
        backend = keras.backend.backend()
        if backend not in BACKENDS:
            raise BackendError(
                f"Keras was imported with KERAS_BACKEND={backend}; wanted {' or '.join(BACKENDS)}"
            )
        if not model.built:
            raise UsageError(f"{model.name}: it has no variables yet; call it once, or build() it")
        self.library: Literal["jax", "torch"] = backend
        self._model = model
        convert = keras.ops.convert_to_numpy
        self.arrays: dict[str, Array] = {
            each.path.replace(".", "_"): np.array(convert(each.value))
            for each in model.trainable_variables
        }

    def __call__(self, variables: Mapping[str, Any], inputs: Mapping[str, Any]) -> Any:
        """What the model returns."""
        rest = [each.value for each in self._model.non_trainable_variables]
        first = list(inputs.values())
        given = first[0] if len(first) == 1 else first
        found, _ = self._model.stateless_call(
            [variables[name] for name in self.arrays], rest, given, training=False
        )
        return found
