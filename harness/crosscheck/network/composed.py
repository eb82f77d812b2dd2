"""Networks composed of operators, with their numbers: one point at which to differentiate a loss.

A network is a sequence of steps, each an operator applied to arrays that are given or to the
results of steps before it; the last one is a loss. Residual sums are steps with two operands from
below.
"""

from __future__ import annotations

import hashlib
import json
import keyword
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crosscheck.network.dense import Case, Gradients, LeftOut, Network, Tree
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of
from crosscheck.operators import dense, relu, squared_error
from crosscheck.operators.operator import Attribute, exact
from crosscheck.operators.registry import operator_of
from crosscheck.program.derive import gradient
from crosscheck.program.graph import Graph, Program, Shape, Var
from crosscheck.tools.errors import UsageError

__all__ = [
    "AnyCase",
    "AnyGradients",
    "Composed",
    "Derivatives",
    "Step",
    "composed",
    "dense_steps",
    "step",
]

LOSS = "J"
"""What the result of the last step is called."""


@dataclass(frozen=True)
class Step:
    """One operator, applied.

    Attributes:
        id: Names its result.
        op: Name of the operator.
        inputs: What its operands are, by the operands' names: arrays or results of earlier steps.
        attributes: Of the operator, all of them.
    """

    id: str
    op: str
    inputs: tuple[tuple[str, str], ...]
    attributes: tuple[tuple[str, Attribute], ...] = ()

    @cached_property
    def operands(self) -> Mapping[str, str]:
        """``inputs`` by name."""
        return MappingProxyType(dict(self.inputs))

    @cached_property
    def settings(self) -> Mapping[str, Attribute]:
        """``attributes`` by name."""
        return MappingProxyType(dict(self.attributes))


def step(id: str, op: str, *inputs: str | None, **attributes: Attribute) -> Step:
    """A step, with the operands in the operator's order; ``None`` for one that is left out.

    Raises:
        UsageError: There is no such operator, or it has other operands or attributes.
    """
    operator = operator_of(op)
    given = [*inputs, *[None] * (len(operator.operands) - len(inputs))]
    if len(given) != len(operator.operands):
        raise UsageError(
            f"{id}: {len(inputs)} inputs for {op}, wanted {', '.join(operator.operands)}"
        )
    pairs = []
    for name, each in zip(operator.operands, given, strict=True):
        if each is not None:
            pairs.append((name, each))
        elif name not in operator.optional:
            raise UsageError(f"{id}: {op} without {name}, wanted {', '.join(operator.operands)}")
    settled = operator.settled(attributes)
    return Step(id, op, tuple(pairs), tuple(sorted(settled.items())))


@dataclass(frozen=True, eq=False)
class Composed:
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

    steps: tuple[Step, ...]
    parameters: Mapping[str, Array]
    inputs: Mapping[str, Array]
    dtype: str = "float64"
    count: int | None = None
    _arrays: dict[str, Array] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        form = format_of(self.dtype)
        object.__setattr__(self, "_arrays", {**self.parameters, **self.inputs})
        if len(self._arrays) != len(self.parameters) + len(self.inputs):
            twice = set(self.parameters) & set(self.inputs)
            raise UsageError(f"{min(twice)!r} is a parameter and an input, wanted one of the two")
        for name, array in self._arrays.items():
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
        self.program  # noqa: B018  (traced once, so that what does not fit is said here)

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

    def arrays(self) -> Iterator[tuple[str, Array]]:
        """``(name, array)``: parameters, then inputs."""
        yield from self._arrays.items()

    @property
    def shapes(self) -> dict[str, Shape]:
        """Name to the shape that an array has in one case."""
        lead = 0 if self.count is None else 1
        return {name: array.shape[lead:] for name, array in self._arrays.items()}

    @property
    def program(self) -> Program:
        """The loss in primitives."""
        return _traced(self.steps, tuple(self.shapes.items()))[0]

    @property
    def gradient(self) -> Program:
        """The loss and its derivatives in primitives."""
        return _traced(self.steps, tuple(self.shapes.items()))[1]

    @property
    def step_of(self) -> Mapping[int, str]:
        """Node of `gradient` to the id of the step whose result, or part of it, it is."""
        return _traced(self.steps, tuple(self.shapes.items()))[2]

    @property
    def results(self) -> Mapping[str, int]:
        """Id of each step to the node of `program` that is its result."""
        return _traced(self.steps, tuple(self.shapes.items()))[4]

    @property
    def result_shapes(self) -> Mapping[str, Shape]:
        """Id of each step to the shape of its result in one case."""
        return _traced(self.steps, tuple(self.shapes.items()))[3]

    @property
    def wanted(self) -> tuple[str, ...]:
        """The arrays that the loss is differentiated by: all but targets, parameters first."""
        return _wanted(self.steps, tuple(self._arrays))

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
    def is_finite(self) -> bool:
        """Whether no number of the case is NaN or infinite."""
        return all(bool(np.isfinite(array).all()) for array in self._arrays.values())

    @property
    def are_finite(self) -> NDArray[np.bool_]:
        """Which cases of a stack hold no NaN and no infinity, of shape (C,)."""
        assert self.count is not None
        finite = np.ones(self.count, dtype=bool)
        for array in self._arrays.values():
            finite &= np.isfinite(array).reshape(self.count, -1).all(axis=1)
        return finite

    @property
    def key(self) -> str:
        """A stable name for the case: 16 hexadecimal digits of a SHA-256 of all it holds.

        What is hashed: a line of JSON with the steps, the dtype and each array's name and shape,
        then the arrays' numbers as little-endian float64, in the order of `arrays`.
        """
        steps = [
            [each.id, each.op, list(each.inputs), [[k, str(v)] for k, v in each.attributes]]
            for each in self.steps
        ]
        shapes = [[name, list(array.shape)] for name, array in self.arrays()]
        text = json.dumps(["program 1", steps, self.dtype, list(self.parameters), shapes])
        digest = hashlib.sha256(text.encode() + b"\n")
        for _, array in self.arrays():
            digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
        return digest.hexdigest()[:16]

    def __getitem__(self, index: int) -> Composed:
        """Case ``index`` of a stack."""
        if self.count is None:
            raise TypeError("a single case cannot be indexed; only a stack of cases can")
        return self._with(lambda array: array[index], None)

    def copied(self) -> Composed:
        """The same case in memory of its own."""
        return self._with(lambda array: np.array(array, order="C"), self.count)

    def replaced(self, name: str, array: Array) -> Composed:
        """The case with other numbers in one of its arrays."""
        return replace(
            self,
            parameters={k: array if k == name else v for k, v in self.parameters.items()},
            inputs={k: array if k == name else v for k, v in self.inputs.items()},
        )

    def _with(self, change: Callable[[Array], Array], count: int | None) -> Composed:
        found = object.__new__(Composed)  # whose numbers have been looked at
        parameters = {name: change(array) for name, array in self.parameters.items()}
        inputs = {name: change(array) for name, array in self.inputs.items()}
        vars(found).update(
            steps=self.steps,
            parameters=parameters,
            inputs=inputs,
            dtype=self.dtype,
            count=count,
            _arrays={**parameters, **inputs},
        )
        return found


@dataclass(frozen=True, eq=False)
class Derivatives(Tree):
    """A loss and its derivatives by arrays with names.

    Attributes:
        loss: ``J``, shape ``([C])``.
        arrays: Name of each array to ``∂J/∂array``, shaped as it; `LeftOut` where it was not
            computed.
    """

    loss: Any
    arrays: Mapping[str, Any]

    def entries(self) -> Iterator[tuple[str, Any]]:
        """``(name, array)``: ``J``, then the derivatives."""
        yield LOSS, self.loss
        yield from self.arrays.items()

    def map_derivatives(self, change: Callable[[Any], Any]) -> Derivatives:
        """Each array that is there put through ``change``, but not ``J``."""
        found = {
            name: array if isinstance(array, LeftOut) else change(array)
            for name, array in self.arrays.items()
        }
        return Derivatives(self.loss, found)


AnyCase: TypeAlias = Case | Composed
"""A case of a dense network, or of a network of operators."""

AnyGradients: TypeAlias = Gradients | Derivatives
"""A loss and its gradient, of either."""

_Shapes: TypeAlias = tuple[tuple[str, Shape], ...]


_Traced: TypeAlias = tuple[
    Program, Program, Mapping[int, str], Mapping[str, Shape], Mapping[str, int]
]


@lru_cache(maxsize=256)
def _traced(steps: tuple[Step, ...], shapes: _Shapes) -> _Traced:
    """The loss in primitives, its gradient, each node's step, and the shapes of steps' results."""
    graph, nodes = Graph(), {}
    inputs: dict[str, Var] = {name: graph.leaf(name, shape) for name, shape in shapes}
    values = dict(inputs)
    if not steps:
        raise UsageError("program: no steps, wanted at least a loss")
    used: set[str] = set()
    for each in steps:
        operator = operator_of(each.op)
        _check_step(each, values)
        operands = {name: values[source] for name, source in each.inputs}
        before = len(graph.nodes)
        try:
            found = operator.expand(**operands, **each.settings)
        except UsageError as error:
            raise UsageError(f"step {each.id!r}: {error}") from None
        for number in range(before, len(graph.nodes)):
            nodes[number] = each.id
        values[each.id] = found
        used |= set(each.operands.values())
    last = steps[-1]
    if operator_of(last.op).role != "loss" or values[last.id].shape != ():
        raise UsageError(f"step {last.id!r}: {last.op}, wanted a loss at the end")
    unused = [name for name in values if name not in used and name != last.id]
    if unused:
        raise UsageError(f"{unused[0]!r} is used by no step, wanted every array and result used")
    program = graph.program(inputs, {LOSS: values[last.id]})
    derived = gradient(program, LOSS, _wanted(steps, tuple(inputs)))
    shapes_of = {each.id: values[each.id].shape for each in steps}
    results = {each.id: values[each.id].number for each in steps}
    return program, derived, nodes, shapes_of, results


def _check_step(each: Step, values: Mapping[str, Any]) -> None:
    if not each.id.isidentifier() or keyword.iskeyword(each.id) or each.id in (*values, LOSS):
        raise UsageError(f"step {each.id!r}: wanted an id of letters and digits, used once, not J")
    for name, source in each.inputs:
        if source not in values:
            raise UsageError(
                f"step {each.id!r}: {name} is {source!r}, wanted an array or an earlier step: "
                f"{', '.join(values)}"
            )
    for value in each.settings.values():
        if not isinstance(value, str):
            exact(value)


def _wanted(steps: tuple[Step, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    differentiated = {
        source
        for each in steps
        for operand, source in each.inputs
        if operand not in operator_of(each.op).targets
    }
    return tuple(name for name in names if name in differentiated)


@lru_cache(maxsize=256)
def dense_steps(network: Network, has_bias: tuple[bool, ...]) -> tuple[Step, ...]:
    """A dense ReLU network as steps, with the names of `Case.arrays`.

    Args:
        network: The shape.
        has_bias: For each layer whether it has a bias.
    """
    steps, below = [], "x"
    for layer in range(1, network.depth + 1):
        bias = f"b{layer}" if has_bias[layer - 1] else None
        steps.append(step(f"z{layer}", dense.OPERATOR.name, below, f"W{layer}", bias))
        below = f"z{layer}"
        if network.has_relu(layer):
            steps.append(step(f"a{layer}", relu.OPERATOR.name, below))
            below = f"a{layer}"
    reduction = "rows" if network.reduction == "mean" else "sum"
    loss = squared_error.OPERATOR.name
    steps.append(step("loss", loss, below, "y", factor=0.5, reduction=reduction))
    return tuple(steps)


def composed(case: Case) -> Composed:
    """A case of a dense network as one of operators."""
    steps = dense_steps(case.network, tuple(bias is not None for bias in case.biases))
    arrays = dict(case.arrays())
    inputs = {name: arrays.pop(name) for name in ("x", "y")}
    return Composed(steps, arrays, inputs, case.dtype, case.count)
