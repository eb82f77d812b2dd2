"""A program: a straight-line sequence of primitives, built by tracing.

A node is one primitive (`crosscheck.program.rules`) applied to earlier nodes; equal nodes are one
node. A derivative is a program that begins with the nodes of the program it was derived from, under
the same numbers, so that what has been computed for one is there for the other.

Shapes are those of one case. Arrays may have one more axis in front, over independent cases: every
primitive counts its axes from the last.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

from crosscheck.numbers.piecewise import Piecewise
from crosscheck.program.places import Places
from crosscheck.tools.errors import UsageError

__all__ = ["Graph", "Node", "Program", "Shape", "Var"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Node:
    """One primitive, applied.

    Attributes:
        op: The primitive's name.
        inputs: The numbers of the nodes that it is applied to.
        attributes: What else it needs, sorted by name.
        shape: Of its result, for one case.
    """

    op: str
    inputs: tuple[int, ...]
    attributes: tuple[tuple[str, Hashable], ...]
    shape: Shape

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        """The attributes by name."""
        return dict(self.attributes)


@dataclass(frozen=True, eq=False)
class Program:
    """A straight-line sequence of primitives.

    Attributes:
        nodes: Each with inputs that come before it.
        inputs: Name of each array that is given, to its node.
        outputs: Name of each result to its node.
    """

    nodes: tuple[Node, ...]
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]

    @cached_property
    def needed(self) -> tuple[int, ...]:
        """The nodes that any output depends on, in order."""
        found: set[int] = set()
        waiting = list(self.outputs.values())
        while waiting:
            number = waiting.pop()
            if number not in found:
                found.add(number)
                waiting.extend(self.nodes[number].inputs)
        return tuple(sorted(found))

    def __str__(self) -> str:
        names = {number: name for name, number in self.inputs.items()}
        lines = []
        for number in self.needed:
            node = self.nodes[number]
            operands = ", ".join(f"%{each}" for each in node.inputs)
            more = "".join(f"; {key} = {_words_of(value)}" for key, value in node.attributes)
            name = names.get(number, "")
            lines.append(f"%{number} = {node.op}({name or operands}{more})  {node.shape}")
        lines += [f"{name} = %{number}" for name, number in self.outputs.items()]
        return "\n".join(lines)


@dataclass(eq=False)
class Graph:
    """Nodes in the making; the methods of `Var` add to them."""

    nodes: list[Node] = field(default_factory=list)
    _known: dict[Node, int] = field(default_factory=dict)

    @classmethod
    def of(cls, program: Program) -> Graph:
        """A graph that begins with the nodes of ``program``."""
        found = cls(list(program.nodes))
        found._known = {node: number for number, node in enumerate(program.nodes)}
        return found

    def leaf(self, name: str, shape: Shape) -> Var:
        """An array that is given."""
        return self.apply("input", (), shape, name=name)

    def ones(self, shape: Shape) -> Var:
        """An array of ones."""
        return self.apply("ones", (), shape)

    def zeros(self, shape: Shape) -> Var:
        """An array of zeros."""
        return self.apply("zeros", (), shape)

    def apply(self, op: str, inputs: Sequence[Var], shape: Shape, **attributes: Hashable) -> Var:
        """One more node, or the equal one that is there."""
        node = Node(
            op, tuple(each.number for each in inputs), tuple(sorted(attributes.items())), shape
        )
        if node not in self._known:
            self._known[node] = len(self.nodes)
            self.nodes.append(node)
        return Var(self, self._known[node])

    def program(self, inputs: Mapping[str, Var], outputs: Mapping[str, Var]) -> Program:
        """What has been traced."""
        return Program(
            tuple(self.nodes),
            {name: each.number for name, each in inputs.items()},
            {name: each.number for name, each in outputs.items()},
        )


@dataclass(frozen=True)
class Var:
    """The result of a node, for tracing: operators on it add nodes.

    Both operands of ``+``, ``-`` and ``*`` have the same number of axes; an axis of length 1
    broadcasts.
    """

    graph: Graph
    number: int

    @property
    def node(self) -> Node:
        """What it is the result of."""
        return self.graph.nodes[self.number]

    @property
    def shape(self) -> Shape:
        """Of one case."""
        return self.node.shape

    # -- arithmetic ------------------------------------------------------------------------

    def __add__(self, other: Var) -> Var:
        return self.times(2) if other == self else self._binary("add", other)

    def __sub__(self, other: Var) -> Var:
        return self._binary("difference", other)

    def __mul__(self, other: Var) -> Var:
        """The product, entry by entry; with ones it is the other factor, put to their shape."""
        for one, factor in ((self, other), (other, self)):
            constants = one._constants_of_ones()
            if constants is not None:
                return factor.broadcast(_broadcast(self, other)).times(*constants)
        return self._binary("mul", other)

    def __matmul__(self, other: Var) -> Var:
        """Σ_j a_ij b_jk over the last two axes; other axes are equal."""
        one, two = self.shape, other.shape
        if len(one) < 2 or len(one) != len(two) or one[-1] != two[-2] or one[:-2] != two[:-2]:
            raise UsageError(f"contract: shapes {one} and {two}, wanted (…, n, k) and (…, k, m)")
        return self.graph.apply("contract", (self, other), (*one[:-1], two[-1]))

    def times(self, *constants: Fraction | int) -> Var:
        """The product with constants, which may be put to it in any order and place."""
        wanted = tuple(Fraction(c) for c in constants if c != 1)
        if not wanted or self.node.op == "zeros":
            return self
        if 0 in wanted:
            return self.graph.zeros(self.shape)
        if self.node.op == "times_constants":
            (inner,) = self.node.inputs
            return Var(self.graph, inner).times(*self.node.settings["constants"], *wanted)
        return self.graph.apply("times_constants", (self,), self.shape, constants=wanted)

    def piecewise(self, function: Piecewise) -> Var:
        """f of each entry."""
        return self.graph.apply("piecewise", (self,), self.shape, function=function)

    def select(self, function: Piecewise, factor: Var) -> Var:
        """``factor`` times f' of each entry of this, chosen where f' jumps.

        Constants that ``factor`` is an array of come last.
        """
        if function.derivative.is_zero or factor.node.op == "zeros":
            return self.graph.zeros(self.shape)
        constants = factor._constants_of_ones() or ()
        if constants:
            factor = self.graph.ones(factor.shape)
        found = self.graph.apply("select", (self, factor), self.shape, function=function)
        return found.times(*constants)

    def elementary(self, function: str, order: int = 0, *, row: str = "") -> Var:
        """f^(k) of each entry, of a function of `crosscheck.numbers.elementary`.

        Args:
            function: Its name.
            order: k.
            row: As what its roundings were measured, if under another name.
        """
        settings = {"function": function, "order": order, "row": row or function}
        return self.graph.apply("elementary", (self,), self.shape, **settings)

    def softmax(self, kept: Places | None = None) -> Var:
        """eᶻ over its sum along the last axis.

        Args:
            kept: For each entry its place, or -1 where eᶻ is left out and 0 comes; all by default.
        """
        return self.graph.apply("softmax", (self,), self.shape, **self._masked(kept))

    def softmax_product(self, v: Var, kept: Places | None = None) -> Var:
        """`softmax` times a matrix, divided at the end."""
        shape = (*self.shape[:-1], v.shape[-1])
        return self.graph.apply("softmax_product", (self, v), shape, **self._masked(kept))

    def log_sum_exp(self, kept: Places | None = None) -> Var:
        """log Σ eᶻ along the last axis, which stays with length 1."""
        shape = (*self.shape[:-1], 1)
        return self.graph.apply("log_sum_exp", (self,), shape, **self._masked(kept))

    def log_softmax(self) -> Var:
        """The logarithm of `softmax`."""
        return self.graph.apply("log_softmax", (self,), self.shape)

    def cross_entropy(self, y: Var) -> Var:
        """-Σ y `log_softmax` along the last axis."""
        return self.graph.apply("cross_entropy", (self, y), self.shape[:-1])

    def either(self, other: Var) -> Var:
        """This, which the other is as well: computed in one of two ways."""
        if other == self:
            return self
        return self.graph.apply("either", (self, other), self.shape)

    def shifted(self) -> Var:
        """Less the largest along the last axis; for what such a number cancels in."""
        return self.graph.apply("shifted", (self,), self.shape)

    def shift(self) -> Var:
        """The largest along the last axis, which stays; for what such a number cancels in."""
        return self.graph.apply("shift", (self,), self.shape[:-1]).expand(-1)

    def total(self) -> Var:
        """Σ eᶻ along the last axis, which stays, of numbers the largest of which is near 0."""
        powers = self.elementary("exp")
        return self.graph.apply("total", (powers, self), (*self.shape[:-1], 1))

    def updated(self, axis: int, order: int) -> Var:
        """The mean along an axis, or for order 2 the sum of squared deviations, by updates."""
        at = len(self.shape) + axis
        shape = (*self.shape[:at], 1, *self.shape[at + 1 :])
        return self.graph.apply("updated", (self,), shape, axis=axis, order=order)

    def maximum(self) -> Var:
        """The largest along the last axis."""
        return self.graph.apply("max", (self,), self.shape[:-1])

    def smaller(self) -> Var:
        """The smaller of two along the last axis, decided as `maximum` is."""
        return self.graph.apply("smaller", (self,), self.shape[:-1])

    def held(self) -> Var:
        """The same numbers, which nothing is differentiated by: a constant to derivatives."""
        if self.node.op in ("held", "ones", "zeros"):
            return self
        return self.graph.apply("held", (self,), self.shape)

    # -- sums and places -------------------------------------------------------------------

    def sum(self, *axes: int, keep: bool = False) -> Var:
        """Any-order sum over some axes, counted from the last; over all by default."""
        chosen = axes or tuple(range(-len(self.shape), 0))
        if not chosen:
            return self
        shape = [
            1 if at - len(self.shape) in chosen else size
            for at, size in enumerate(self.shape)
            if keep or at - len(self.shape) not in chosen
        ]
        return self.graph.apply("sum", (self,), tuple(shape), axes=tuple(sorted(chosen)), keep=keep)

    def broadcast(self, shape: Shape) -> Var:
        """The entries repeated along axes of length 1."""
        if shape == self.shape:
            return self
        constants = self._constants_of_ones()
        if constants is not None:
            return self.graph.ones(shape).times(*constants)
        return self.graph.apply("broadcast", (self,), shape)

    def expand(self, axis: int) -> Var:
        """One more axis of length 1, which will be the ``axis``-th from the last."""
        at = len(self.shape) + 1 + axis
        shape = (*self.shape[:at], 1, *self.shape[at:])
        constants = self._constants_of_ones()
        if constants is not None:
            return self.graph.ones(shape).times(*constants)
        return self.graph.apply("expand", (self,), shape, axis=axis)

    def squeeze(self, axis: int) -> Var:
        """Without an axis of length 1."""
        at = len(self.shape) + axis
        return self.graph.apply(
            "squeeze", (self,), (*self.shape[:at], *self.shape[at + 1 :]), axis=axis
        )

    @property
    def transposed(self) -> Var:
        """The last two axes in each other's place."""
        if self.node.op == "transpose":
            return Var(self.graph, self.node.inputs[0])
        *rest, rows, columns = self.shape
        return self.graph.apply("transpose", (self,), (*rest, columns, rows))

    def take(self, indices: Sequence[int], shape: Shape) -> Var:
        """The entries at some places of the flattened array, -1 for zero, as an array."""
        return self.graph.apply("take", (self,), shape, indices=_places(indices), source=self.shape)

    def scatter(self, indices: Sequence[int], shape: Shape) -> Var:
        """The adjoint of `take`: entries added up at places of an array of ``shape``."""
        return self.graph.apply(
            "scatter", (self,), shape, indices=_places(indices), source=self.shape
        )

    # -- helpers ---------------------------------------------------------------------------

    def _masked(self, kept: Places | None) -> dict[str, Any]:
        """The attributes of a node that leaves out entries of this."""
        return {} if kept is None else {"kept": kept, "source": self.shape}

    def _binary(self, op: str, other: Var) -> Var:
        return self.graph.apply(op, (self, other), _broadcast(self, other))

    def _constants_of_ones(self) -> tuple[Fraction, ...] | None:
        """The constants, if this is an array of ones times constants; else ``None``."""
        node = self.node
        if node.op == "ones":
            return ()
        if node.op == "times_constants" and self.graph.nodes[node.inputs[0]].op == "ones":
            found: tuple[Fraction, ...] = node.settings["constants"]
            return found
        return None


def _words_of(value: Hashable) -> str:
    """An attribute for people; of programs how many there are."""
    if isinstance(value, tuple) and value and isinstance(value[0], Program):
        return str(len(value))
    if isinstance(value, tuple) and value and isinstance(value[0], tuple):
        return ", ".join(map(_words_of, value))
    return str(value)


def _places(indices: Sequence[int]) -> Places:
    return indices if isinstance(indices, Places) else Places(indices)


def _broadcast(one: Var, other: Var) -> Shape:
    def fits(pair: tuple[int, int]) -> bool:
        return 1 in pair or pair[0] == pair[1]

    pairs = list(zip(one.shape, other.shape, strict=False))
    if len(one.shape) != len(other.shape) or not all(map(fits, pairs)):
        raise UsageError(
            f"shapes {one.shape} and {other.shape} do not broadcast; wanted as many axes, each of "
            "one length or 1"
        )
    return tuple(max(pair) if 0 not in pair else 0 for pair in pairs)
