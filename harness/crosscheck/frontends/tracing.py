"""A program in the making, beside the numbers that it is traced on.

While a function is read each of its values is one of three: `Known` numbers, that are whatever the
arguments are, or were found by comparing numbers; a `Var` of the program; or `Extended`, a `Var`
some of whose entries are certainly infinite, as scores under a mask are.

Numbers that a `Var` has for the arguments of this case are there when they are asked for
(`Tracing.numbers`), in float64: a comparison is decided by them, and noted.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crosscheck.frontends import verbs
from crosscheck.frontends.selects import Test, kinked
from crosscheck.frontends.traced import Comparison, Source, TracedFunction
from crosscheck.numbers.arrays import Array
from crosscheck.program.floats import OnFloats
from crosscheck.program.graph import Graph, Shape, Var
from crosscheck.program.places import Places
from crosscheck.program.rules import rule_of
from crosscheck.tools.errors import UnsupportedError

__all__ = ["INFINITE", "Extended", "Known", "Pair", "Tracing", "Value", "shape_of"]

INFINITE = 2.0**128
"""From here on a constant is taken for an infinity, as float32 does."""

Pair: TypeAlias = tuple[Var, Var]
"""The sides of a comparison."""


@dataclass(frozen=True, eq=False)
class Known:
    """Numbers that are known.

    Attributes:
        array: The numbers, of any dtype.
        pairs: The comparisons that they were found by.
        test: What they are the answer to, if that is one comparison with a constant.
    """

    array: Any
    pairs: tuple[Pair, ...] = ()
    test: Test | None = None


@dataclass(frozen=True, eq=False)
class Extended:
    """Numbers some of which are certainly no finite ones.

    Attributes:
        var: The others, and anything where they are not.
        special: ±inf or NaN where it is that, else 0, shaped as ``var``.
    """

    var: Var
    special: Array


Value: TypeAlias = Known | Var | Extended


def shape_of(value: Value) -> Shape:
    """The shape of a value."""
    if isinstance(value, Known):
        return tuple(np.shape(value.array))
    return value.shape if isinstance(value, Var) else value.var.shape


class Tracing:
    """A program in the making.

    Args:
        arrays: Name to numbers of each argument that becomes an input.
        fixed: Names of those by which nothing is differentiated.
    """

    def __init__(self, arrays: Mapping[str, Array], fixed: Sequence[str] = ()) -> None:
        self.graph = Graph()
        self.inputs: dict[str, Var] = {}
        self.constants: dict[str, Array] = {}
        self.notes: list[str] = []
        self._numbers: dict[int, Any] = {}
        self._sources: dict[int, Source] = {}
        self._compared: dict[int, Comparison] = {}
        self._lifted: dict[tuple[Shape, bytes], Var] = {}
        self._source: Source | None = None
        for name, array in arrays.items():
            self.inputs[name] = self._given(name, np.asarray(array, dtype=np.float64))
        self._data = {self.inputs[name].number for name in fixed}

    def _given(self, name: str, array: Array) -> Var:
        leaf = self.graph.leaf(name, array.shape)
        self._numbers[leaf.number] = array
        return leaf

    # -- values ----------------------------------------------------------------------------------

    def lift(self, value: Value) -> Var:
        """A value as one of the program.

        Raises:
            UnsupportedError: It is not real, or not finite.
        """
        found = self.real(value)
        if isinstance(found, Extended):
            raise UnsupportedError(
                "an entry that is infinite or NaN goes into an operation that has no rule for it"
            )
        return found

    def real(self, value: Value) -> Var | Extended:
        """A value as real numbers, infinite ones among them.

        Raises:
            UnsupportedError: It is complex.
        """
        if not isinstance(value, Known):
            return value
        self.note(value.pairs)
        if np.iscomplexobj(value.array):
            raise UnsupportedError("complex numbers, wanted real ones")
        array = np.asarray(value.array).astype(np.float64)
        special = np.where(np.abs(array) < INFINITE, 0.0, array)
        is_none = (special == 0) | np.isnan(special)
        special = np.where(is_none, special, np.copysign(np.inf, special))
        found = self._constant(np.where(special == 0, array, 0.0))
        return found if not special.any() else Extended(found, special)

    def _constant(self, array: Array) -> Var:
        key = array.shape, array.tobytes()
        if key not in self._lifted:
            found = verbs.constant(self.graph, array)
            if found is None:
                name = f"constant {len(self.constants) + 1}"
                self.constants[name] = array
                self.inputs[name] = found = self._given(name, array)
                self._data.add(found.number)
                shape = " x ".join(map(str, array.shape))
                self.notes.append(f"{name} ({shape}) is the function's own: not differentiated")
            self._lifted[key] = found
        return self._lifted[key]

    def numbers(self, value: Value) -> Any:
        """The numbers that a value has in this case."""
        if isinstance(value, Known):
            return value.array
        if isinstance(value, Extended):
            return np.where(value.special == 0, self.numbers(value.var), value.special)
        waiting = [value.number]
        with np.errstate(all="ignore"):
            while waiting:
                number = waiting[-1]
                node = self.graph.nodes[number]
                missing = [each for each in node.inputs if each not in self._numbers]
                if number in self._numbers or not missing:
                    if number not in self._numbers:
                        operands = [self._numbers[each] for each in node.inputs]
                        self._numbers[number] = rule_of(node.op).value(OnFloats(), node, operands)
                    waiting.pop()
                waiting += missing
        return self._numbers[value.number]

    # -- decisions -------------------------------------------------------------------------------

    def note(self, pairs: Sequence[Pair]) -> None:
        """Something was chosen by these comparisons."""
        for left, right in pairs:
            node = verbs.subtract(left, right).number
            self._compared.setdefault(node, Comparison(node, self._source))

    def is_data(self, x: Var) -> bool:
        """Whether these are numbers as they are given, by which nothing is differentiated."""
        node = x.node
        if node.op in ("zeros", "ones") or x.number in self._data:
            return True
        moves = ("take", "expand", "squeeze", "broadcast", "transpose", "times_constants")
        return node.op in moves and self.is_data(Var(self.graph, node.inputs[0]))

    def compared(self, name: str, left: Value, right: Value, write: Callable[..., Any]) -> Known:
        """A comparison, decided by the numbers of this case.

        Args:
            name: ``gt``, ``ge``, ``lt``, ``le``, ``eq`` or ``ne``.
            left: A side.
            right: Another.
            write: The comparison of arrays.
        """
        answer = write(self.numbers(left), self.numbers(right))
        vars_ = [None if isinstance(each, Known) else each for each in (left, right)]
        pairs = tuple(
            pair for each in (left, right) if isinstance(each, Known) for pair in each.pairs
        )
        if (not any(isinstance(each, Var) for each in vars_)) or left == right:
            return Known(answer, pairs)
        if any(isinstance(each, Extended) for each in vars_):
            return Known(answer, pairs)
        constants = [each for each in (left, right) if isinstance(each, Known)]
        if any(not np.isfinite(np.asarray(each.array, np.float64)).all() for each in constants):
            return Known(answer, pairs)
        one, two = self.lift(left), self.lift(right)
        if self.is_data(one) and self.is_data(two):
            return Known(answer, pairs)
        test = Test.of(name, one, two)
        return Known(answer, (*pairs, (one, two)), test)

    def selected(self, mask: Known, a: Value, b: Value) -> Value:
        """``a`` where the mask is true, else ``b``: a function with kinks, if it can be one."""
        known = np.asarray(mask.array, dtype=bool)
        if isinstance(a, Known) and isinstance(b, Known):
            pairs = (*mask.pairs, *a.pairs, *b.pairs)
            return Known(np.where(known, a.array, b.array), pairs)
        one, two = self.real(a), self.real(b)
        if mask.test is not None and isinstance(one, Var) and isinstance(two, Var):
            found = kinked(mask.test, one, two)
            if found is not None:
                return found
        self.note(mask.pairs)
        shape = np.broadcast_shapes(known.shape, shape_of(one), shape_of(two))
        parts = [each.var if isinstance(each, Extended) else each for each in (one, two)]
        if known.all() and parts[0].shape == shape:
            return one
        if not known.any() and parts[1].shape == shape:
            return two
        special = np.where(known, _special(one), _special(two))
        return self.extended(verbs.chosen(np.broadcast_to(known, shape), *parts), special)

    @staticmethod
    def extended(var: Var, special: Array) -> Var | Extended:
        """Numbers, some of which are no finite ones, if any is."""
        whole = np.broadcast_to(special, var.shape)
        return Extended(var, whole) if whole.any() else var

    # -- places ----------------------------------------------------------------------------------

    def moved(self, value: Value, change: Callable[[NDArray[np.intp]], Any]) -> Value:
        """The entries where ``change`` puts their places; zero where it has -1."""
        shape = shape_of(value)
        places = np.asarray(change(verbs.numbered(shape))).astype(np.intp)
        if isinstance(value, Var):
            stays = places.shape == shape and np.array_equal(places, verbs.numbered(shape))
            return value if stays else value.take(Places(places.ravel().tolist()), places.shape)

        def taken(array: Any) -> Any:
            if not array.size:
                return np.zeros(places.shape, array.dtype)
            return np.where(places >= 0, array.ravel()[places], np.zeros((), array.dtype))

        if isinstance(value, Extended):
            return self.extended(self._var(self.moved(value.var, change)), taken(value.special))
        test = value.test
        if test is not None:
            there = test.x.shape == shape and (places >= 0).all()
            x = self._var(self.moved(test.x, change)) if there else None
            test = None if x is None else replace(test, x=x)
        return Known(taken(np.asarray(value.array)), value.pairs, test)

    def moved_together(self, values: Sequence[Value], change: Callable[..., Any]) -> Value:
        """The entries of several where ``change`` puts their places, numbered one after another."""
        parts = [self.real(each) for each in values]
        begins = np.cumsum([0, *(math.prod(shape_of(each)) for each in parts)])
        numbers = [
            verbs.numbered(shape_of(each)) + begin
            for each, begin in zip(parts, begins[:-1], strict=True)
        ]
        places = np.asarray(change(*numbers)).astype(np.intp)
        flat = [each.var if isinstance(each, Extended) else each for each in parts]
        whole = verbs.joined([verbs.reshaped(each, (math.prod(each.shape),)) for each in flat], 0)
        special = np.concatenate(
            [np.broadcast_to(_special(each), shape_of(each)).ravel() for each in parts]
        )
        found = self.extended(whole, special)
        return self.moved(found, lambda _: places)

    @staticmethod
    def _var(value: Value) -> Var:
        assert isinstance(value, Var)
        return value

    # -- the end ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def at(self, source: Source | None) -> Iterator[None]:
        """While this lasts, what is added to the program is of ``source``."""
        before, self._source = self._source, source or self._source
        begin = len(self.graph.nodes)
        try:
            yield
        finally:
            if self._source is not None:
                for number in range(begin, len(self.graph.nodes)):
                    self._sources.setdefault(number, self._source)
            self._source = before

    @property
    def source(self) -> Source | None:
        """Where we are."""
        return self._source

    def result(
        self, name: str, outputs: Mapping[str, Value], parameters: Sequence[str] = ()
    ) -> TracedFunction:
        """What has been traced.

        Args:
            name: Of the function.
            outputs: What it returns, by name.
            parameters: Names of its arguments, in order.
        """
        results = {key: self.lift(each) for key, each in outputs.items()}
        return TracedFunction(
            name,
            self.graph.program(self.inputs, results),
            tuple(results),
            self.constants,
            self._sources,
            tuple(self._compared.values()),
            tuple(self.notes),
            tuple(parameters),
        )


def _special(value: Var | Extended) -> Array:
    return value.special if isinstance(value, Extended) else np.zeros(value.shape)
