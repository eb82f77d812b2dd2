"""A case of a user's function: the function traced, numbers for its arguments, cotangents.

What is differentiated is J = Σ c ∘ f over all outputs f, weighed with cotangents c, which are
inputs that nothing is differentiated by; so the gradient of J is the product of c with the
Jacobian. The outputs themselves are among what is compared, beside the derivatives.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import ArrayLike

from crosscheck.frontends.recognised import recognised
from crosscheck.frontends.traced import TracedFunction
from crosscheck.network.composed import Composed
from crosscheck.network.names import LOSS
from crosscheck.network.steps import Step
from crosscheck.network.tracing import Traced
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of
from crosscheck.program.derive import gradient
from crosscheck.program.graph import Graph, Program, Shape, Var
from crosscheck.tools.errors import UsageError

__all__ = ["FunctionCase", "cotangent_name"]


_DERIVED: WeakKeyDictionary[TracedFunction, dict[tuple[str, ...], Traced]] = WeakKeyDictionary()
"""A function to what becomes of it where it is differentiated by some arguments."""


def cotangent_name(output: str) -> str:
    """What the cotangent of an output is called."""
    return f"cotangent of {output}"


@dataclass(frozen=True, eq=False)
class FunctionCase(Composed):
    """A single case of a function.

    Attributes:
        function: As traced on this case's numbers. ``parameters`` are the arguments that it is
            differentiated by; ``inputs`` are the other real ones, its constants and the
            cotangents.
        known: Arguments that are no real numbers: integers, bools, keywords.

    Raises:
        UsageError: See `Composed`.
    """

    function: TracedFunction | None = None
    known: Mapping[str, Any] | None = None

    @classmethod
    def at(
        cls,
        function: TracedFunction,
        arguments: Mapping[str, ArrayLike],
        cotangents: Mapping[str, ArrayLike],
        wrt: Sequence[str],
        *,
        dtype: str = "float64",
        known: Mapping[str, Any] | None = None,
    ) -> FunctionCase:
        """A case from anything array-like; each number is rounded to ``dtype``.

        Args:
            function: As traced.
            arguments: Name to real numbers, of each input of the program that is an argument.
            cotangents: Output to numbers, shaped as it.
            wrt: Names of the arguments that the function is differentiated by.
            dtype: Of the numbers.
            known: The other arguments.

        Raises:
            UsageError: A name is unknown, or a shape does not fit.
        """
        form = format_of(dtype)
        unknown = [name for name in wrt if name not in arguments]
        if unknown:
            raise UsageError(f"wrt={unknown[0]!r}: wanted some of {', '.join(arguments)}")
        inputs = {name: array for name, array in arguments.items() if name not in wrt}
        inputs |= function.constants
        for name in function.outputs:
            shape = function.program.nodes[function.program.outputs[name]].shape
            if np.shape(cotangents[name]) != shape:
                raise UsageError(
                    f"cotangent of {name}: shape {np.shape(cotangents[name])}, wanted {shape}"
                )
            inputs[cotangent_name(name)] = cotangents[name]
        return cls(
            _steps(function),
            {name: form.round(arguments[name]) for name in wrt},
            {name: form.round(array) for name, array in inputs.items()},
            dtype,
            None,
            function,
            known or {},
        )

    @property
    def traced_function(self) -> TracedFunction:
        """The function."""
        assert self.function is not None
        return self.function

    @cached_property
    def _traced(self) -> Traced:
        """The function with its cotangents as a network's loss; see `Composed`."""
        function = self.traced_function
        shapes = {name: np.shape(array) for name, array in self.entries()}
        for name, number in function.program.inputs.items():
            wanted = function.program.nodes[number].shape
            if shapes.get(name) != wanted:
                raise UsageError(f"{name}: shape {shapes.get(name)}, wanted {wanted}")
        known = _DERIVED.setdefault(function, {})
        key = tuple(self.parameters)
        if key not in known:
            known[key] = self._derived()
        return known[key]

    def _derived(self) -> Traced:
        function = self.traced_function
        graph = Graph.of(function.program)
        inputs = {name: Var(graph, number) for name, number in function.program.inputs.items()}
        total: Var | None = None
        results = {name: Var(graph, function.program.outputs[name]) for name in function.outputs}
        for name, value in results.items():
            cotangent = graph.leaf(cotangent_name(name), value.shape)
            inputs[cotangent_name(name)] = cotangent
            term = (cotangent * value).sum()
            total = term if total is None else total + term
        assert total is not None
        loss = graph.program(inputs, {LOSS: total})
        derived = gradient(loss, LOSS, tuple(self.parameters))
        outputs = {**{name: each.number for name, each in results.items()}, **derived.outputs}
        whole = Program(derived.nodes, derived.inputs, outputs)
        step_of = {number: _named(source) for number, source in function.sources.items()}
        numbers = {each.id: 0 for each in self.steps} | {
            step: number for number, step in step_of.items()
        }
        shapes_of = {step: whole.nodes[number].shape for step, number in numbers.items()}
        return Traced(loss, whole, step_of, numbers, shapes_of)

    @cached_property
    def recognised(self) -> FunctionCase:
        """The same case with what is known of other ways of writing the function."""
        function = self.traced_function
        return replace(self, function=recognised(function))

    @cached_property
    def shifts(self) -> frozenset[int]:
        """The nodes that are maxima which cancel: by proof nothing is sent down through them."""
        program = self.traced_function.program
        if not any(program.nodes[number].op == "max" for number in program.needed):
            return frozenset()
        return self.recognised.traced_function.shifts

    @property
    def shapes(self) -> dict[str, Shape]:
        """Name to shape, of the outputs too; see `Composed`."""
        program = self.traced_function.program
        outputs = {
            name: program.nodes[program.outputs[name]].shape
            for name in self.traced_function.outputs
        }
        return {**self.array_shapes, **outputs}

    @property
    def wanted(self) -> tuple[str, ...]:
        """The outputs, whose values are compared, and the arguments differentiated by."""
        return (*self.traced_function.outputs, *self.parameters)

    @property
    def gradient_shapes(self) -> dict[str, Shape]:
        """``J`` and each of ``wanted`` to its shape."""
        shapes = self.shapes
        return {LOSS: (), **{name: shapes[name] for name in self.wanted}}

    @property
    def shape_name(self) -> str:
        """The function's name with its arguments' shapes, for people."""
        words = [f"{name} {_written(shape)}" for name, shape in self._argument_shapes.items()]
        return f"{self.traced_function.name}({', '.join(words)})"

    @property
    def _argument_shapes(self) -> Mapping[str, Shape]:
        inputs = self.traced_function.program.inputs
        constants = self.traced_function.constants
        return {n: s for n, s in self.array_shapes.items() if n in inputs and n not in constants}

    @property
    def description(self) -> str:
        """The function, its arguments' shapes and the dtype, for people."""
        return f"{self.shape_name}, {self.dtype}"

    @property
    def key(self) -> str:
        """A stable name for the case: 16 hexadecimal digits of a SHA-256 of all it holds.

        What is hashed: a line of JSON with the function's name, the dtype, the known arguments and
        each array's name and shape, then the numbers as little-endian float64.
        """
        known = {name: np.asarray(value).tolist() for name, value in (self.known or {}).items()}
        shapes = [[name, list(array.shape)] for name, array in self.entries()]
        head = ["function 1", self.traced_function.name, self.dtype, known, shapes]
        digest = hashlib.sha256(json.dumps(head, default=repr).encode() + b"\n")
        for _, array in self.entries():
            digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
        return digest.hexdigest()[:16]

    def arguments(self) -> dict[str, Array]:
        """Name to numbers of each argument that is an array of real numbers."""
        return {name: dict(self.entries())[name] for name in self._argument_shapes}

    @property
    def order(self) -> tuple[str, ...]:
        """The arguments that are arrays, in the order of the function's parameters."""
        named = (*self._argument_shapes, *self.known_arguments)
        order = self.traced_function.parameters or named
        return tuple(name for name in order if name in named)

    @property
    def known_arguments(self) -> Mapping[str, Any]:
        """Arguments by position that are known: arrays of integers and bools."""
        return {n: v for n, v in (self.known or {}).items() if isinstance(v, np.ndarray)}

    @property
    def keywords(self) -> Mapping[str, Any]:
        """Arguments that are known and no arrays."""
        return {n: v for n, v in (self.known or {}).items() if not isinstance(v, np.ndarray)}

    def cotangents(self) -> dict[str, Array]:
        """Output to its cotangent."""
        return {name: self.inputs[cotangent_name(name)] for name in self.traced_function.outputs}


def _named(source: object) -> str:
    """What a step is called: its expression and its line."""
    text, line = getattr(source, "text", ""), getattr(source, "line", 0)
    return f"{text}  (line {line})"


def _steps(function: TracedFunction) -> tuple[Step, ...]:
    """A step for each expression of the user's: what readings of decisions are told by."""
    names = dict.fromkeys(_named(source) for source in function.sources.values())
    return tuple(Step(name, "", ()) for name in names) or (Step(function.name, "", ()),)


def _written(shape: Shape) -> str:
    return " x ".join(map(str, shape)) if shape else "()"
