"""The frameworks' own gradient checkers, put to the same planted faults as the verdicts.

Each checker gets a function whose value is the network's loss and whose backward pass returns a
given gradient, right or wrong, at the one point where it is asked. It is called as its
documentation shows, with its default step and tolerances.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from harness.network import Array, Case, Gradients

__all__ = ["CHECKERS", "accepts"]


def accepts(checker: str, case: Case, given: Gradients) -> bool:
    """Whether ``checker`` passes ``given`` as the gradient of a single ``case``.

    Args:
        checker: A key of `CHECKERS`.
        case: A single float32 or float64 case, all layers with biases.
        given: The gradient that the backward pass is to return.
    """
    inputs = [*case.weights, *(bias for bias in case.biases if bias is not None), case.x]
    backward = [*given.weights, *(bias for bias in given.biases if bias is not None), given.x]
    return CHECKERS[checker](case, inputs, backward)


def _torch_loss(torch: Any, case: Case, tensors: Sequence[Any]) -> Any:
    depth = case.network.depth
    weights, biases, a = tensors[:depth], tensors[depth:-1], tensors[-1]
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
        z = a @ weight.mT + bias
        a = torch.relu(z) if case.network.has_relu(layer) else z
    return 0.5 * ((a - torch.from_numpy(case.y).to(a.dtype)) ** 2).sum()


def _gradcheck(fast: bool) -> Callable[[Case, Sequence[Array], Sequence[Array]], bool]:
    def check(case: Case, inputs: Sequence[Array], backward: Sequence[Array]) -> bool:
        import torch

        dtype = getattr(torch, case.dtype)

        class Given(torch.autograd.Function):
            @staticmethod
            def forward(context: Any, *tensors: Any) -> Any:
                return _torch_loss(torch, case, tensors)

            @staticmethod
            def backward(context: Any, *cotangents: Any) -> Any:
                (cotangent,) = cotangents
                return tuple(cotangent * torch.from_numpy(g).to(dtype) for g in backward)

        leaves = tuple(torch.from_numpy(a).to(dtype).clone().requires_grad_() for a in inputs)
        function: Any = Given.apply
        with warnings.catch_warnings():
            # It warns that float32 will likely fail; how likely is what is measured.
            warnings.simplefilter("ignore", UserWarning)
            return bool(
                torch.autograd.gradcheck(function, leaves, fast_mode=fast, raise_exception=False)
            )

    return check


def _check_grads(case: Case, inputs: Sequence[Array], backward: Sequence[Array]) -> bool:
    import jax
    import jax.experimental
    import jax.numpy as jnp
    import jax.test_util

    check_grads: Any = jax.test_util.check_grads  # has no types
    place: Any = jax if hasattr(jax, "enable_x64") else jax.experimental
    with place.enable_x64(True):
        dtype = jnp.dtype(case.dtype)
        constants = [jnp.asarray(g, dtype) for g in backward]

        def loss(*arrays: Any) -> Any:
            depth = case.network.depth
            weights, biases, a = arrays[:depth], arrays[depth:-1], arrays[-1]
            for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
                z = a @ weight.T + bias
                a = jax.nn.relu(z) if case.network.has_relu(layer) else z
            return 0.5 * ((a - jnp.asarray(case.y, dtype)) ** 2).sum()

        given = jax.custom_vjp(loss)
        given.defvjp(
            lambda *arrays: (loss(*arrays), None),
            lambda _, cotangent: tuple(cotangent * g for g in constants),
        )
        try:
            check_grads(given, [jnp.asarray(a, dtype) for a in inputs], order=1, modes=["rev"])
        except AssertionError:
            return False
        return True


def _compute_gradient(case: Case, inputs: Sequence[Array], backward: Sequence[Array]) -> bool:
    tf: Any = importlib.import_module("tensorflow")
    dtype = tf.as_dtype(case.dtype)
    constants = [tf.constant(g, dtype) for g in backward]

    def wrapped(*arrays: Any) -> Any:
        depth = case.network.depth
        weights, biases, a = arrays[:depth], arrays[depth:-1], arrays[-1]
        for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
            z = tf.matmul(a, weight, transpose_b=True) + bias
            a = tf.nn.relu(z) if case.network.has_relu(layer) else z
        loss = 0.5 * tf.reduce_sum(tf.square(a - tf.constant(case.y, dtype)))
        return loss, lambda cotangent: [cotangent * g for g in constants]

    given = tf.custom_gradient(wrapped)
    analytic, numeric = tf.test.compute_gradient(given, [tf.constant(a, dtype) for a in inputs])
    # It returns both Jacobians; comparing them is left to TensorFlow's own test case.
    try:
        tf.test.TestCase().assertAllClose(analytic, numeric)
    except AssertionError:
        return False
    return True


CHECKERS: Mapping[str, Callable[[Case, Sequence[Array], Sequence[Array]], bool]] = MappingProxyType(
    {
        "torch.autograd.gradcheck": _gradcheck(fast=False),
        "gradcheck(fast_mode=True)": _gradcheck(fast=True),
        "jax.test_util.check_grads": _check_grads,
        "tf.test.compute_gradient": _compute_gradient,
    }
)
"""The checkers by the name under which they are reported."""
