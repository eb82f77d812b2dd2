"""TensorFlow's `tf.GradientTape` as a framework under test."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from crosscheck.frameworks.adapter import Adapter, Push, Seen
from crosscheck.frameworks.leaves import RELU, constants_of, leaves_of
from crosscheck.frameworks.pointwise import Pointwise
from crosscheck.frameworks.tensorflow_lines import LINES
from crosscheck.frameworks.watched import Mark
from crosscheck.network.composed import Composed
from crosscheck.network.dense import Case
from crosscheck.numbers.arrays import Array
from crosscheck.program.second import Way
from crosscheck.tools.words import lines_of

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
    "Current CPU implementations do not yet support",
    "Op passed string",
    # Of XLA, as of a loop's second derivative:
    # https://github.com/tensorflow/tensorflow/issues/62861
    "must be a compile-time constant",
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


class TensorFlowFramework(Adapter):
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
    compiled_modes: ClassVar[frozenset[str]] = frozenset({"xla"})
    ways: ClassVar[Mapping[str, tuple[Way, ...]]] = MappingProxyType(
        {
            "eager": ("reverse over reverse", "forward over reverse"),
            "graph": ("reverse over reverse",),
            "xla": ("reverse over reverse",),
        }
    )

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

    def unsupported(self, error: Exception) -> str | None:
        """See `Adapter.unsupported`."""
        errors = self._tf.errors
        if not isinstance(error, TypeError | ValueError | LookupError | errors.OpError):
            return None
        lines = lines_of(error)
        for line in lines:
            if any(phrase in line for phrase in _UNSUPPORTED):
                return line
        return lines[0] if lines and isinstance(error, errors.UnimplementedError) else None

    def pusher(self, case: Case | Composed, leaves: Sequence[Any], rest: Sequence[Any]) -> Push:
        """See `Adapter.pusher`. One accumulator for many passes: each has a copy of the cases.

        So P passes cost as much as a stack of P times as many cases, and no axis over passes is
        needed that only a private name of TensorFlow's would give. TensorFlow traces each operation
        anew for each new shape: tenths of a second for a network's first case.
        """
        cases = () if case.count is None else (case.count,)
        losses_of, own, others = self.losses_of(case), leaves_of(case), constants_of(case)

        def push_block(tangents: Sequence[Array]) -> tuple[Any, Any]:
            count = len(tangents[0])

            def joined(array: Array) -> Any:
                whole = np.broadcast_to(array, (count, *cases, *array.shape[1 + len(cases) :]))
                return self.send(whole.reshape(-1, *whole.shape[1 + len(cases) :]), case.dtype)

            at, targets = ([joined(each[None]) for each in some] for some in (own, others))
            ones = tuple(1 for _ in cases)
            by = [joined(each.reshape(count, *ones, *each.shape[1:])) for each in tangents]
            with self._tf.autodiff.ForwardAccumulator(at, by) as accumulator:
                losses = losses_of(*at, *targets)
            found = accumulator.jvp(losses, self._tf.UnconnectedGradients.ZERO)
            losses, found = (self._tf.reshape(each, (count, *cases)) for each in (losses, found))
            return losses[0], found

        return push_block

    def differentiate(
        self, case: Case | Composed, leaves: Sequence[Any], rest: Sequence[Any]
    ) -> tuple[Any, Sequence[Any]]:
        """See `Adapter.differentiate`."""
        tf, losses_of = self._tf, self.losses_of(case)

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

    def twice(
        self,
        case: Composed,
        leaves: Sequence[Any],
        rest: Sequence[Any],
        along: Sequence[Any],
        way: Way,
    ) -> Sequence[Any]:
        """See `Adapter.twice`: by nested tapes, or an accumulator around a tape."""
        tf, losses_of = self._tf, self.losses_of(case)

        def slopes_of(leaves: Any, rest: Any) -> list[Any]:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(leaves)
                losses = losses_of(*leaves, *rest)
            return [tf.convert_to_tensor(each) for each in tape.gradient(losses, leaves)]

        def by_tapes(leaves: Any, rest: Any, along: Any) -> list[Any]:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(leaves)
                slopes = slopes_of(leaves, rest)
            none = tf.UnconnectedGradients.ZERO
            found = tape.gradient(slopes, leaves, along, unconnected_gradients=none)
            return [tf.convert_to_tensor(each) for each in found]

        if way == "forward over reverse":
            with tf.autodiff.ForwardAccumulator(leaves, along) as accumulator:
                slopes = slopes_of(leaves, rest)
            none = tf.UnconnectedGradients.ZERO
            return [accumulator.jvp(each, unconnected_gradients=none) for each in slopes]
        if self.mode == "eager":
            return by_tapes(leaves, rest, along)
        key = ("twice", losses_of, *((tuple(each.shape), each.dtype) for each in (*leaves, *rest)))
        if key not in self._compiled:
            compiled = tf.function(by_tapes, autograph=False, jit_compile=self.mode == "xla")
            self._compiled[key] = compiled.get_concrete_function(leaves, rest, along)
        found: Sequence[Any] = self._compiled[key](leaves, rest, along)
        return found

    def watch(
        self,
        function: Callable[..., Any],
        leaves: Sequence[Any],
        rest: Sequence[Any],
        marks: Sequence[Mark],
    ) -> Seen:
        """See `Adapter.watch`: tf.identity at each mark, by which the tape differentiates too."""
        values = {}

        def watch(step: str, operand: str, array: Any) -> Any:
            values[step, operand] = found = self._tf.identity(array)
            return found

        with self._tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(leaves)
            losses = function(watch, *leaves, *rest)
        found = tape.gradient(losses, [*leaves, *(values[mark] for mark in marks)])
        return Seen(losses, found[: len(leaves)], values, found[len(leaves) :])

    def from_numpy(self, own: NDArray[Any], dtype: str) -> Any:
        """See `Adapter.from_numpy`."""
        return self._tf.constant(own)

    def has_dtype(self, dtype: str) -> bool:
        """See `Adapter.has_dtype`."""
        try:
            self._tf.as_dtype(dtype)
        except TypeError:
            return False
        return True

    def to_numpy(self, array: Any) -> NDArray[Any]:
        """See `Adapter.to_numpy`."""
        found: NDArray[Any] = array.numpy()
        return found

    def dtype_name(self, array: Any) -> str:
        """See `Adapter.dtype_name`."""
        return str(array.dtype.name)
