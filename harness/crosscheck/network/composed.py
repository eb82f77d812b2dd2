"""Networks composed of operators, with their numbers: where a loss is differentiated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from crosscheck.network.dense import Case, Gradients
from crosscheck.network.names import LOSS
from crosscheck.network.steps import Step, dense_steps
from crosscheck.network.tracing import Traced, traced, wanted
from crosscheck.network.tree import Point, Slopes
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of
from crosscheck.program.graph import Program, Shape
from crosscheck.tools.errors import UsageError

__all__ = ["AnyCase", "AnyGradients", "Composed", "Derivatives", "composed"]


@dataclass(frozen=True, eq=False)
class Composed(Point):
    """A network of operators with its parameters, inputs and targets.

    Every array is float64 and holds numbers of the format ``dtype`` only. All arrays may have one
    leading axis of length ``count``: then the object is a *stack* of independent cases, and
    ``case[i]`` is the i-th.

    Attributes:
        steps: The network; the last step is a loss.
        parameters: Name to array, of what is learned.
        inputs: Name to array, of the rest: inputs and targets.
        dtype: A name of `crosscheck.numbers.formats.FORMATS`.
        count: ``C`` for a stack of cases, ``None`` for a single one.

    Raises:
        UsageError: The steps or shapes do not fit together, or a number is not one of ``dtype``.
    """

    parts: ClassVar[Mapping[str, str]] = {"parameters": "*", "inputs": "*"}

    steps: tuple[Step, ...]
    parameters: Mapping[str, Array]
    inputs: Mapping[str, Array]
    dtype: str = "float64"
    count: int | None = None

    def __post_init__(self) -> None:
        form = format_of(self.dtype)
        if twice := set(self.parameters) & set(self.inputs):
            raise UsageError(f"{min(twice)!r} is a parameter and an input, wanted one of the two")
        for name, array in self.entries():
            if not isinstance(array, np.ndarray) or array.dtype != np.float64:
                raise UsageError(f"{name}: wanted a float64 array")
            if self.count is not None and array.shape[:1] != (self.count,):
                raise UsageError(f"{name}: shape {array.shape}, wanted {self.count} cases in front")
            if 0 in array.shape:
                raise UsageError(f"{name}: shape {array.shape}, wanted at least one number")
            if not form.contains(array):
                raise UsageError(
                    f"{name}: holds numbers that are not {self.dtype}; round them first "
                    f"(Composed.of does) or ask for float64"
                )
        self._traced  # noqa: B018  (once, so that what does not fit is said here)

    @classmethod
    def of(
        cls,
        steps: Sequence[Step],
        parameters: Mapping[str, ArrayLike],
        inputs: Mapping[str, ArrayLike],
        *,
        dtype: str = "float64",
        count: int | None = None,
    ) -> Composed:
        """Build a case from anything array-like, rounding each number to ``dtype``.

        Raises:
            UsageError: See `Composed`.
        """
        form = format_of(dtype)
        return cls(
            tuple(steps),
            {name: form.round(array) for name, array in parameters.items()},
            {name: form.round(array) for name, array in inputs.items()},
            dtype,
            count,
        )

    # -- what a case is asked ----------------------------------------------------------------

    @property
    def shapes(self) -> dict[str, Shape]:
        """Name to the shape that an array has in one case."""
        lead = 0 if self.count is None else 1
        return {name: shape[lead:] for name, shape in self.array_shapes.items()}

    @property
    def _traced(self) -> Traced:
        return traced(self.steps, tuple(self.shapes.items()))

    @property
    def program(self) -> Program:
        """The loss in primitives."""
        return self._traced.program

    @property
    def gradient(self) -> Program:
        """The loss and its derivatives in primitives."""
        return self._traced.gradient

    @property
    def step_of(self) -> Mapping[int, str]:
        """Node of `gradient` to the id of the step whose result, or part of it, it is."""
        return self._traced.step_of

    @property
    def results(self) -> Mapping[str, int]:
        """Id of each step to the node of `program` that is its result."""
        return self._traced.results

    @property
    def result_shapes(self) -> Mapping[str, Shape]:
        """Id of each step to the shape of its result in one case."""
        return self._traced.result_shapes

    @property
    def wanted(self) -> tuple[str, ...]:
        """The arrays that the loss is differentiated by: all but targets, parameters first."""
        return wanted(self.steps, self.names)

    @property
    def rows(self) -> int:
        """The length of the first axis of the inputs."""
        lead = 0 if self.count is None else 1
        first = next(iter((*self.inputs.values(), *self.parameters.values())))
        return int(first.shape[lead]) if first.ndim > lead else 1

    @property
    def kind(self) -> object:
        """What tells networks apart, whatever their numbers."""
        return self.steps, tuple(self.shapes.items())

    @property
    def widths(self) -> tuple[int, ...]:
        """The features of the inputs, then the first axis of each parameter that is a matrix."""
        shapes = self.shapes
        first = next(iter(self.inputs), None)
        own = shapes[first][-1:] if first else ()
        return (*own, *(shapes[name][0] for name in self.parameters if len(shapes[name]) > 1))

    @property
    def shape_name(self) -> str:
        """The operators, for people: ``dense(4) relu dense(1) squared_error``."""
        words = []
        for each in self.steps:
            name = each.op
            sizes = [
                self.shapes[operand][0]
                for operand in each.operands.values()
                if operand in self.parameters and len(self.shapes[operand]) > 1
            ]
            words.append(f"{name}({sizes[0]})" if sizes else name)
        return " ".join(words)

    @property
    def description(self) -> str:
        """The operators, rows and dtype, for people."""
        rows = f"{self.rows} row{'' if self.rows == 1 else 's'}"
        return f"{self.shape_name}; {rows}, {self.dtype}"

    @property
    def key(self) -> str:
        """A stable name for the case: 16 hexadecimal digits of a SHA-256 of all it holds.

        What is hashed: a line of JSON with the steps, the dtype and each array's name and shape,
        then the arrays' numbers as little-endian float64, in the order of `entries`.
        """
        steps = [
            [each.id, each.op, list(each.inputs), [[k, str(v)] for k, v in each.attributes]]
            for each in self.steps
        ]
        shapes = [[name, list(array.shape)] for name, array in self.entries()]
        text = json.dumps(["program 1", steps, self.dtype, list(self.parameters), shapes])
        digest = hashlib.sha256(text.encode() + b"\n")
        for _, array in self.entries():
            digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
        return digest.hexdigest()[:16]

    def __getitem__(self, case: Any) -> Composed:
        """See `Point`."""
        found = super().__getitem__(case)
        one = isinstance(case, int | np.integer)
        vars(found)["count"] = None if one else len(found.flatten()[0])
        return found

    def beside(self, others: Sequence[Composed]) -> Composed:
        """See `Point`."""
        found = super().beside(others)
        vars(found)["count"] = 1 + len(others)
        return found


@dataclass(frozen=True, eq=False)
class Derivatives(Slopes):
    """A loss and its derivatives by arrays with names.

    Attributes:
        loss: ``J``, shape ``([C])``.
        arrays: Name of each array to ``∂J/∂array``, shaped as it; `LeftOut` where it was not
            computed.
    """

    parts: ClassVar[Mapping[str, str]] = {"loss": LOSS, "arrays": "*"}

    loss: Any
    arrays: Mapping[str, Any]

    @classmethod
    def named(cls, arrays: Mapping[str, Any]) -> Derivatives:
        """Of ``J`` and the derivatives by name."""
        found = dict(arrays)
        return cls(found.pop(LOSS), found)


AnyCase: TypeAlias = Case | Composed
"""A case of a dense network, or of a network of operators."""

AnyGradients: TypeAlias = Gradients | Derivatives
"""A loss and its gradient, of either."""


def composed(case: Case) -> Composed:
    """A case of a dense network as one of operators."""
    steps = dense_steps(case.network, case.has_bias)
    arrays = dict(case.entries())
    inputs = {name: arrays.pop(name) for name in ("x", "y")}
    return Composed(steps, arrays, inputs, case.dtype, case.count)
