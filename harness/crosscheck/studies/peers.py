"""The frameworks' own gradient checkers, put to the same planted faults as the verdicts.

Each checker gets a function whose value is the network's loss and whose backward pass returns a
given gradient, right or wrong, at the one point where it is asked. It is called as its
documentation shows, with its default step and tolerances. A plain comparison with another
implementation, which has no such function, is among them.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from operator import attrgetter
from types import MappingProxyType
from typing import Any

import numpy as np

from crosscheck.frameworks import jax_lines, tensorflow_lines, torch_lines
from crosscheck.frameworks.leaves import leaves_of, loss_function
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.reference import gradients
from crosscheck.numbers.arrays import Array

__all__ = ["CHECKERS", "accepts", "numeric_kept"]


def accepts(checker: str, case: Case, given: Gradients) -> bool:
    """Whether ``checker`` passes ``given`` as the gradient of a single ``case``.

    Args:
        checker: A key of `CHECKERS`.
        case: A single float32 or float64 case, all layers with biases.
        given: The gradient that the backward pass is to return.
    """
    inputs = leaves_of(case)
    return CHECKERS[checker](case, inputs, given.by(case.wanted))


@contextlib.contextmanager
def numeric_kept(kept: dict[str, Any]) -> Iterator[None]:
    """A block in which `tf.test.compute_gradient` is asked once for each case.

    Its numeric Jacobian takes seconds and asks for values alone, so it is the same whatever the
    gradient. The analytic one of a scalar is the gradient itself.

    Args:
        kept: Filled with what was computed; the same one may be given again.
    """
    token = _numeric.set(kept)
    try:
        yield
    finally:
        _numeric.reset(token)


def _gradcheck(fast: bool) -> Callable[[Case, Sequence[Array], Sequence[Array]], bool]:
    def check(case: Case, inputs: Sequence[Array], backward: Sequence[Array]) -> bool:
        import torch

        dtype = getattr(torch, case.dtype)
        loss = loss_function(case, "torch", torch_lines.LINES, {})
        y = torch.from_numpy(case.y).to(dtype)

        class Given(torch.autograd.Function):  # type: ignore[misc]
            @staticmethod
            def forward(context: Any, *tensors: Any) -> Any:
                return loss(*tensors, y)

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


def _check_grads(forward: bool) -> Callable[[Case, Sequence[Array], Sequence[Array]], bool]:
    def check(case: Case, inputs: Sequence[Array], backward: Sequence[Array]) -> bool:
        import jax
        import jax.experimental
        import jax.numpy as jnp
        import jax.test_util

        check_grads: Any = jax.test_util.check_grads  # has no types
        place: Any = jax if hasattr(jax, "enable_x64") else jax.experimental
        with place.enable_x64(True):
            dtype = jnp.dtype(case.dtype)
            constants = [jnp.asarray(g, dtype) for g in backward]
            of_all = loss_function(case, "jax", jax_lines.LINES, {})
            y = jnp.asarray(case.y, dtype)

            def loss(*arrays: Any) -> Any:
                return of_all(*arrays, y)

            given: Any
            if forward:
                # The derivative in a direction is the given gradient's component in it.
                given = jax.custom_jvp(loss)
                given.defjvp(
                    lambda arrays, tangents: (
                        loss(*arrays),
                        sum((g * t).sum() for g, t in zip(constants, tangents, strict=True)),
                    )
                )
            else:
                given = jax.custom_vjp(loss)
                given.defvjp(
                    lambda *arrays: (loss(*arrays), None),
                    lambda _, cotangent: tuple(cotangent * g for g in constants),
                )
            modes = ["fwd" if forward else "rev"]
            try:
                check_grads(given, [jnp.asarray(a, dtype) for a in inputs], order=1, modes=modes)
            except AssertionError:
                return False
            return True

    return check


_numeric: ContextVar[dict[str, Any] | None] = ContextVar("_numeric", default=None)
"""Keys of cases to the numeric Jacobians of `tf.test.compute_gradient`, where they are kept."""


def _compute_gradient(case: Case, inputs: Sequence[Array], backward: Sequence[Array]) -> bool:
    tf: Any = importlib.import_module("tensorflow")
    dtype = tf.as_dtype(case.dtype)
    constants = [tf.constant(g, dtype) for g in backward]
    loss = loss_function(case, "tensorflow", tensorflow_lines.LINES, {})
    y = tf.constant(case.y, dtype)

    def wrapped(*arrays: Any) -> Any:
        return loss(*arrays, y), lambda cotangent: [cotangent * g for g in constants]

    given = tf.custom_gradient(wrapped)
    kept = _numeric.get()
    if kept is not None and case.key in kept:
        numeric, analytic = kept[case.key], [g.numpy().reshape(1, -1) for g in constants]
    else:
        tensors = [tf.constant(a, dtype) for a in inputs]
        analytic, numeric = tf.test.compute_gradient(given, tensors)
        if kept is not None:
            kept[case.key] = numeric
    # It returns both Jacobians; comparing them is left to TensorFlow's own test case.
    try:
        tf.test.TestCase().assertAllClose(analytic, numeric)
    except AssertionError:
        return False
    return True


def _assert_allclose(case: Case, inputs: Sequence[Array], backward: Sequence[Array]) -> bool:
    """Against backpropagation in float64, as one compares two implementations."""
    wanted = gradients(case).by(case.wanted)
    compare = attrgetter("assert_allclose")(np.testing)
    try:
        for given, expected in zip(backward, wanted, strict=True):
            compare(given, expected)
    except AssertionError:
        return False
    return True


CHECKERS: Mapping[str, Callable[[Case, Sequence[Array], Sequence[Array]], bool]] = MappingProxyType(
    {
        "torch.autograd.gradcheck": _gradcheck(fast=False),
        "gradcheck(fast_mode=True)": _gradcheck(fast=True),
        "jax.test_util.check_grads": _check_grads(forward=False),
        "check_grads(modes=['fwd'])": _check_grads(forward=True),
        "tf.test.compute_gradient": _compute_gradient,
        "numpy.testing.assert_allclose": _assert_allclose,
    }
)
"""The checkers by the name under which they are reported."""
