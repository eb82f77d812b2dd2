"""The adapter of `tf.GradientTape`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from harness.errors import UnsupportedError
from harness.frameworks.base import Framework
from harness.network import Array, Case, Gradients, Network

__all__ = ["TensorFlowFramework"]


def _relus(tf: Any) -> dict[str, Callable[[Any], Any]]:
    def zero(z: Any) -> Any:
        return tf.zeros((), z.dtype)

    return {
        "relu": tf.nn.relu,
        "maximum": lambda z: tf.maximum(z, zero(z)),
        "maximum_swapped": lambda z: tf.maximum(zero(z), z),
        "where": lambda z: tf.where(z > 0, z, zero(z)),
        "where_ge": lambda z: tf.where(z >= 0, z, zero(z)),
        "clip": lambda z: tf.clip_by_value(z, zero(z), z.dtype.max),
        "abs": lambda z: (z + tf.abs(z)) / 2,
    }


class TensorFlowFramework(Framework):
    """`tf.GradientTape` around the network, eagerly or compiled."""

    name: ClassVar[str] = "tensorflow"
    module: ClassVar[str] = "tensorflow"
    packages: ClassVar[tuple[str, ...]] = ("tensorflow", "tensorflow-cpu")
    formulations: ClassVar[Mapping[str, str]] = {
        "relu": "tf.nn.relu(z)",
        "maximum": "tf.maximum(z, 0)",
        "maximum_swapped": "tf.maximum(0, z)",
        "where": "tf.where(z > 0, z, 0)",
        "where_ge": "tf.where(z >= 0, z, 0)",
        "clip": "tf.clip_by_value(z, 0, z.dtype.max)",
        "abs": "(z + tf.abs(z)) / 2",
    }
    modes: ClassVar[Mapping[str, str]] = {
        "eager": "tf.GradientTape, eager",
        "graph": "tf.GradientTape inside tf.function",
        "xla": "tf.GradientTape inside tf.function(jit_compile=True)",
    }
    dtypes: ClassVar[tuple[str, ...]] = ("float64", "float32", "bfloat16", "float16")

    def __init__(self, *, formulation: str | None = None, mode: str | None = None) -> None:
        super().__init__(formulation=formulation, mode=mode)
        # TensorFlow's C++ logs start-up notices that are no concern of a gradient check. The
        # variable is read while it is imported; a user's own setting stays.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        import tensorflow as tf

        self._tf = tf
        self._relu = _relus(tf)[self.formulation]
        self._compiled: dict[Network, Callable[..., Any]] = {}

    def gradients(self, case: Case) -> Gradients:
        """See `Framework.gradients`."""
        tf = self._tf
        weights = [self._tensor(weight, case.dtype) for weight in case.weights]
        biases = [None if bias is None else self._tensor(bias, case.dtype) for bias in case.biases]
        x, y = self._tensor(case.x, case.dtype), self._tensor(case.y, case.dtype)
        try:
            loss, found = self._function(case.network)(weights, biases, x, y)
        except (tf.errors.UnimplementedError, tf.errors.NotFoundError) as error:
            raise UnsupportedError(str(error.message).splitlines()[0]) from error
        remaining = iter([self._numpy(gradient, case.dtype) for gradient in found])
        return Gradients(
            self._numpy(loss, case.dtype),
            tuple(next(remaining) for _ in weights),
            tuple(None if bias is None else next(remaining) for bias in biases),
            next(remaining),
        )

    def _function(self, network: Network) -> Callable[..., Any]:
        """Loss and gradients of one kind of network, compiled if the mode says so."""
        if network not in self._compiled:

            def run(weights: Sequence[Any], biases: Sequence[Any], x: Any, y: Any) -> Any:
                return self._run(network, weights, biases, x, y)

            if self.mode != "eager":
                run = self._tf.function(run, jit_compile=self.mode == "xla")
            self._compiled[network] = run
        return self._compiled[network]

    def _run(
        self, network: Network, weights: Sequence[Any], biases: Sequence[Any], x: Any, y: Any
    ) -> Any:
        tf = self._tf
        variables = [*weights, *(bias for bias in biases if bias is not None), x]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            a = x
            for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
                z = tf.matmul(a, weight, transpose_b=True)
                if bias is not None:
                    z = z + bias[..., None, :]
                a = self._relu(z) if network.has_relu(layer) else z
            loss = 0.5 * tf.reduce_sum(tf.square(a - y), axis=(-2, -1))
            if network.reduction == "mean":
                loss = loss / tf.cast(x.shape[-2], loss.dtype)
            total = tf.reduce_sum(loss)
        return loss, tape.gradient(total, variables)

    def _tensor(self, array: Array, dtype: str) -> Any:
        # NumPy converts: TensorFlow's own casts replace subnormals by zero.
        narrow = array.astype(self._tf.as_dtype(dtype).as_numpy_dtype)
        return self._tf.constant(narrow)

    def _numpy(self, tensor: Any, dtype: str) -> Array:
        if tensor.dtype != self._tf.as_dtype(dtype):
            raise TypeError(f"tensorflow returned {tensor.dtype.name}, wanted {dtype}")
        array: Array = tensor.numpy().astype(np.float64)
        return array
