"""TensorFlow's `tf.GradientTape` as a framework under test."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

import numpy as np

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.leaves import (
    RELU,
    OneHot,
    assembled,
    assembled_by_name,
    constants_of,
    leaves_of,
    loss_function,
)
from crosscheck.frameworks.pointwise import Pointwise
from crosscheck.frameworks.tensorflow_lines import LINES
from crosscheck.network.composed import Composed, Derivatives
from crosscheck.network.dense import Case, Gradients
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import DTYPES, format_of
from crosscheck.tools.errors import CrosscheckError, UnsupportedError

__all__ = ["TensorFlowFramework"]

_ENVIRONMENT = {
    # Only what aborts. Every other error reaches Python as an exception; the rest is chatter
    # about processors.
    "TF_CPP_MIN_LOG_LEVEL": "3",
    # The harness computes on the CPU; without this the first operation takes all GPU memory.
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
}
"""What TensorFlow finds in the environment when it is imported, unless the user has set it."""

_UNSUPPORTED = (
    "not in list of allowed values",
    "not in the list of allowed values",
    "Could not find device for node",
    "Detected unsupported operations",
    "gradient registry has no entry",
)
"""How TensorFlow says that an operation does not exist for a dtype or for XLA, when it does not
raise its UnimplementedError."""


@contextlib.contextmanager
def _start_up_notices_held_back() -> Iterator[None]:
    """Keep notices of the import off the terminal, unless the import fails.

    Two lines about oneDNN are written by C++ before its log level has been read
    (https://github.com/tensorflow/tensorflow/issues/100442), so that only the file descriptor
    is left to turn aside.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as notices:
        os.dup2(notices.fileno(), 2)
        try:
            yield
        except BaseException:
            notices.seek(0)
            os.write(terminal, notices.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


T = TypeVar("T")


class TensorFlowFramework(Framework):
    """TensorFlow's automatic differentiation, on the CPU.

    Args:
        formulation: A key of ``formulations``.
        mode: A key of ``modes``.

    Raises:
        UsageError: No such formulation or mode.
        Exception: Whatever importing TensorFlow raises.
    """

    name: ClassVar[str] = "tensorflow"
    module: ClassVar[str] = "tensorflow"
    packages: ClassVar[tuple[str, ...]] = ("tensorflow", "tensorflow-cpu")
    lines: ClassVar[Pointwise | None] = LINES
    formulations: ClassVar[Mapping[str, str]] = LINES.formulations(RELU)
    modes: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "eager": "tf.GradientTape",
            "graph": "tf.GradientTape in a tf.function",
            "xla": "tf.GradientTape in a tf.function with jit_compile=True",
            "forward": "tf.autodiff.ForwardAccumulator, one-hot tangents for copies of a case",
        }
    )
    forward_modes: ClassVar[frozenset[str]] = frozenset({"forward"})
    dtypes: ClassVar[tuple[str, ...]] = DTYPES

    def __init__(self, *, formulation: str | None = None, mode: str | None = None) -> None:
        super().__init__(formulation=formulation, mode=mode)
        if "tensorflow" not in sys.modules:
            for variable, value in _ENVIRONMENT.items():
                os.environ.setdefault(variable, value)
        with _start_up_notices_held_back():
            self._tf: Any = importlib.import_module("tensorflow")
        self._compiled: dict[object, Callable[..., Any]] = {}

    def session(self) -> contextlib.AbstractContextManager[object]:
        """The CPU as the device."""
        device: contextlib.AbstractContextManager[object] = self._tf.device("/CPU:0")
        return device

    def gradients(self, case: Case) -> Gradients:
        """Loss and gradients of ``case`` by TensorFlow; see `Framework.gradients`.

        Raises:
            UnsupportedError: TensorFlow has no such operation for this dtype or mode.
            CrosscheckError: TensorFlow returned another dtype than the case's.
        """
        if self.mode == "forward":
            return self._asked(case.dtype, lambda: self._by_accumulator(case))
        loss, found = self._asked(case.dtype, lambda: self._by_tape(case))
        return assembled(case, loss, found)

    def derivatives(self, case: Composed) -> Derivatives:
        """Loss and gradients of ``case`` by TensorFlow; see `Framework.derivatives`.

        Raises:
            UnsupportedError: As of `gradients`, or in mode ``forward``.
            CrosscheckError: As of `gradients`.
        """
        if self.mode == "forward":
            raise UnsupportedError("tensorflow: networks of operators in reverse mode only")
        loss, found = self._asked(case.dtype, lambda: self._by_tape(case))
        return assembled_by_name(case, loss, found)

    def _asked(self, dtype: str, call: Callable[[], T]) -> T:
        """What ``call`` returns, unless TensorFlow cannot do it."""
        errors = self._tf.errors
        try:
            with self.session():
                return call()
        except (TypeError, LookupError, errors.OpError) as error:
            reason = _unsupported(error, errors.UnimplementedError)
            if reason is None:
                raise
            raise UnsupportedError(f"tensorflow, {dtype}, {self.mode}: {reason}") from error

    def _by_tape(self, case: Case | Composed) -> tuple[Array, list[Array]]:
        dtype = case.dtype
        leaves = [self.send(leaf, dtype) for leaf in leaves_of(case)]
        rest = [self.send(array, dtype) for array in constants_of(case)]
        losses, found = self._differentiate(self._losses_of(case), leaves, rest)
        return self.fetch(losses, dtype), [self.fetch(array, dtype) for array in found]

    def _by_accumulator(self, case: Case) -> Gradients:
        """One accumulator for many passes: each has a copy of the case, with its own tangent.

        So P passes cost as much as a stack of P cases, and no axis over passes is needed that
        only a private name of TensorFlow's would give. TensorFlow traces each operation anew
        for each new shape: tenths of a second for a network's first case.
        """
        tf, dtype, one_hot = self._tf, case.dtype, OneHot(case)
        cases, losses_of = case.x.shape[:-2], self._losses_of(case)
        leaves = leaves_of(case)
        y = self.send(case.y, dtype)
        derivatives = np.empty((one_hot.size, *cases))
        for start, tangents in one_hot.blocks():
            count = len(tangents[0])
            copies = [self.send(np.broadcast_to(v, (count, *v.shape)), dtype) for v in leaves]
            along = [
                self.send(
                    np.broadcast_to(
                        tangent.reshape(count, *(1 for _ in cases), *tangent.shape[1:]), copy.shape
                    ),
                    dtype,
                )
                for tangent, copy in zip(tangents, copies, strict=True)
            ]
            with tf.autodiff.ForwardAccumulator(copies, along) as accumulator:
                losses = losses_of(*copies, y)
            found = accumulator.jvp(losses)
            derivatives[start : start + count] = self.fetch(found, dtype)
        return one_hot.gradients(self.fetch(losses[0], dtype), derivatives)

    def _differentiate(
        self, losses_of: Callable[..., Any], leaves: Sequence[Any], rest: Sequence[Any]
    ) -> tuple[Any, Any]:
        """Losses, and their gradients by each of the leaves."""
        tf = self._tf

        def differentiate(leaves: Any, rest: Any) -> tuple[Any, Any]:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(leaves)
                losses = losses_of(*leaves, *rest)
            # A tape differentiates the sum of its targets. Each case of a stack has its own
            # arrays, so the gradient of the sum holds the gradient of each.
            return losses, tape.gradient(losses, leaves)

        if self.mode == "eager":
            return differentiate(leaves, rest)
        key = (losses_of, *((tuple(each.shape), each.dtype) for each in (*leaves, *rest)))
        if key not in self._compiled:
            compiled = tf.function(differentiate, autograph=False, jit_compile=self.mode == "xla")
            # Traced here for this one shape. A tf.function that is called with many shapes
            # warns that it is traced too often.
            self._compiled[key] = compiled.get_concrete_function(leaves, rest)
        losses, found = self._compiled[key](leaves, rest)
        return losses, found

    def _losses_of(self, case: Case | Composed) -> Callable[..., Any]:
        """``J`` as a function of the leaves and the rest, one number for each case of a stack."""
        return loss_function(case, "tensorflow", LINES, {RELU: self.formulations[self.formulation]})

    def send(self, array: Array, dtype: str) -> Any:
        """``array`` as a tensor of ``dtype``, in memory that is not the caller's.

        NumPy converts, so that no kernel of the framework can flush subnormals on the way.

        Args:
            array: Float64 numbers of the format ``dtype``.
            dtype: One of ``dtypes``.

        Raises:
            UnsupportedError: TensorFlow has no such dtype.
        """
        try:
            self._tf.as_dtype(dtype)
        except TypeError as error:
            raise UnsupportedError(f"tensorflow has no dtype {dtype}") from error
        with np.errstate(invalid="ignore"):  # a signalling NaN becomes a quiet one
            own = np.array(array, dtype=format_of(dtype).dtype, order="C")
        return self._tf.constant(own)

    def fetch(self, tensor: Any, dtype: str) -> Array:
        """``tensor`` as a float64 array of its own, without loss.

        Args:
            tensor: What TensorFlow returned.
            dtype: What it has to be.

        Raises:
            CrosscheckError: It has another dtype.
        """
        if tensor.dtype != self._tf.as_dtype(dtype):
            raise CrosscheckError(
                f"tensorflow returned {tensor.dtype.name} where {dtype} was asked for"
            )
        with np.errstate(invalid="ignore"):
            return np.array(tensor.numpy(), dtype=np.float64, order="C")


def _unsupported(error: Exception, unimplemented: type[Exception]) -> str | None:
    """The line of ``error`` that says what TensorFlow cannot do, or ``None``."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    for line in lines:
        if any(phrase in line for phrase in _UNSUPPORTED):
            return line
    return lines[0] if lines and isinstance(error, unimplemented) else None
