"""Wrong gradients that one mistake makes: the reverse sweep with one thing changed.

At a *use*, an operand of a node, the rule sends something down. A mistake there is one of

    scaled       c times that: 0 is a term that is missing, or a step that is held constant
    factor       the node's own cotangent: what it should be multiplied with is left out, a mask, f'
    transposed   the product with the other matrix as it lies
    piece        another slope on one piece of a function with breakpoints, or at a breakpoint
    exchanged    the rule with some other value of the program, of the same shape, in place of the
                 operand that it takes: x for x̂, W₁ for W₂, f'(a) for f'(z)
    array        not of a use: one derivative is c times what it should be, or all are
    missing      not of a use: one derivative is what it should be without a factor, entry by entry
                 the value of some step; every way that leads there has lost it

Uses that stand in the same place of the user's text, as in a loop, have their mistakes together.
A maximum that cancels (`FunctionCase.shifts`) is held constant, as everybody does who works the
derivative out by hand: what is sent to it adds up to 0 while all else is right, and once one term
is missing it would not.

A gradient is linear in what one use sends down, while all else is right. So with the gradient ĝ of
the reference and e what changes when the use sends a unit more, a gradient g that comes of it is
g = ĝ + t e, and one evaluation of e tells t for every entry: the mistake is found, and how large it
is, without a guess. Whether it explains a gradient is another question, which is put to enclosures
(`crosscheck.judge.causes.search`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Literal

import numpy as np

from crosscheck.frontends.case import FunctionCase
from crosscheck.frontends.traced import Source
from crosscheck.network.names import LOSS
from crosscheck.numbers.arrays import Array
from crosscheck.program.evaluate import values_of
from crosscheck.program.floats import OnFloats
from crosscheck.program.graph import Graph, Node, Program, Shape, Var
from crosscheck.program.places import Places
from crosscheck.program.rules import rule_of
from crosscheck.program.sweeps import Change, Use, sent_down

__all__ = ["Edit", "EditKind", "Editor"]

EditKind = Literal["scaled", "factor", "transposed", "piece", "exchanged", "array", "missing"]

_TAKING = ("mul", "contract", "piecewise", "elementary")
_MOVING = ("transpose", "broadcast", "expand", "squeeze")
_WITH_FACTORS = ("mul", "select", "piecewise", "elementary", "times_constants")


@dataclass(frozen=True)
class Edit:
    """One mistake, wherever the program's nodes are numbered otherwise.

    Attributes:
        kind: Of those in this module's docstring.
        op: The primitive; for ``"array"`` and ``"missing"`` the name of the derivative, or ``""``
            for all.
        at: Number of the operand.
        source: Where the node stands in the user's text, and where the operand does.
        piece: For ``"piece"``, the number of the piece; -1 - k for breakpoint k.
        number: Of the node, where its place is not known, and for ``"missing"``.
        other: For ``"exchanged"``, what was taken: the name of an argument, or where it stands.
        taken: For ``"exchanged"``, where what should have been taken stands, or its name.
    """

    kind: EditKind
    op: str
    at: int = 0
    source: Source | None = None
    operand: Source | None = None
    piece: int = 0
    number: int = -1
    other: Source | str = ""
    taken: Source | str = ""

    @property
    def is_free(self) -> bool:
        """Whether it has a size, c or another slope; else it is made or not."""
        return self.kind in ("scaled", "piece", "array")


class Editor:
    """The mistakes that can be made in the gradient of one case, and what comes of each.

    Args:
        case: The case, of the function as it was traced.
    """

    def __init__(self, case: FunctionCase) -> None:
        self.case, self.program = case, case.program
        self._effects: dict[Edit, dict[str, Array] | None] = {}
        self.known = values_of(self.program, OnFloats(), dict(case.entries()))
        with np.errstate(all="ignore"):
            self.right = self._evaluated(self.gradient())

    @cached_property
    def uses(self) -> Mapping[Edit, frozenset[Use]]:
        """Each mistake at uses to these, those nearest to the result first."""
        found: dict[Edit, set[Use]] = {}
        sources = self.case.traced_function.sources
        for number in reversed(self.program.needed):
            node = self.program.nodes[number]
            for at, operand in enumerate(node.inputs):
                if operand not in self._moving:
                    continue
                source = sources.get(number)
                where = (at, source, self._source_of(operand, source))
                for kind, piece in self._kinds(node, operand):
                    edit = Edit(kind, node.op, *where, piece, -1 if source else number)
                    found.setdefault(edit, set()).add((number, at))
        return {edit: frozenset(uses) for edit, uses in found.items()}

    @cached_property
    def exchanges(self) -> Mapping[Edit, Mapping[Use, int]]:
        """Each exchange to the uses at which it is made, and what is taken there."""
        found: dict[Edit, dict[Use, int]] = {}
        for edit, uses in self.uses.items():
            if edit.kind != "scaled" or edit.op not in _TAKING or edit.source is None:
                continue
            own = {use: self._takes(use) for use in uses}
            right = {self._named.get(number) for number in own.values()}
            if len(right) != 1 or None in right:
                continue
            for name, numbers in self._by_name.items():
                taken = self._taken_for(own, numbers)
                if taken and {name} != right:
                    (wanted,) = right
                    assert wanted is not None
                    made = replace(edit, kind="exchanged", other=name, taken=wanted)
                    found[made] = taken
        return found

    def _takes(self, use: Use) -> int:
        """The operand whose value a rule multiplies with, or differentiates at."""
        inputs = self.program.nodes[use[0]].inputs
        return inputs[1 - use[1]] if len(inputs) == 2 else inputs[0]

    def _taken_for(self, own: Mapping[Use, int], numbers: Sequence[int]) -> dict[Use, int]:
        """The value of a name in place of each; nothing if it has no such shape or is not there."""
        taken = {}
        for use, number in own.items():
            fitting = [
                each
                for each in numbers
                if self.program.nodes[each].shape == self.program.nodes[number].shape
                and each != number
            ]
            if len(fitting) != 1:
                return {}
            taken[use] = fitting[0]
        return taken

    @cached_property
    def _named(self) -> dict[int, Source | str]:
        """What each node is called: the name of an input, or the last one that an expression made.

        A node that only moves numbers, as a transposition does, is called as what it moves, if it
        has no name of its own.
        """
        found: dict[int, Source | str] = {
            number: name for name, number in self.program.inputs.items()
        }
        sources = self.case.traced_function.sources
        for number in self.program.needed:
            node = self.program.nodes[number]
            if number in sources:
                found.setdefault(number, sources[number])
            elif node.op in _MOVING and node.inputs[0] in found:
                found.setdefault(number, found[node.inputs[0]])
        return found

    @cached_property
    def _by_name(self) -> Mapping[Source | str, Sequence[int]]:
        """The nodes of each name, in the text's own form of them."""
        constants = {*self.case.traced_function.constants}
        found: dict[Source | str, list[int]] = {}
        for number, name in self._named.items():
            if number in self.program.needed and name not in constants:
                found.setdefault(name, []).append(number)
        return found

    def _source_of(self, number: int, outer: Source | None) -> Source | None:
        """Where a node stands; of the reciprocal within a division, what is divided by."""
        node, sources = self.program.nodes[number], self.case.traced_function.sources
        own = sources.get(number)
        if own == outer and node.op == "elementary" and node.settings["function"] == "reciprocal":
            return sources.get(node.inputs[0], own)
        return own

    @cached_property
    def missing(self) -> tuple[Edit, ...]:
        """Factors of whole derivatives: steps whose values have a shape that spreads to theirs."""
        found = []
        sources = self.case.traced_function.sources
        for number in reversed(self.program.needed):
            node = self.program.nodes[number]
            if number not in self._moving or node.op in ("input", "take", "expand", "broadcast"):
                continue
            for name in self.case.parameters:
                shape = self.case.shapes[name]
                if len(node.shape) == len(shape) and all(
                    size in (1, whole) for size, whole in zip(node.shape, shape, strict=True)
                ):
                    source = sources.get(number)
                    inner = self._source_of(number, source)
                    found.append(Edit("missing", name, source=source, operand=inner, number=number))
        return tuple(found)

    def _kinds(self, node: Node, operand: int) -> Iterator[tuple[EditKind, int]]:
        yield "scaled", 0
        if node.op in _WITH_FACTORS:
            yield "factor", 0
        if node.op == "contract":
            yield "transposed", 0
        if node.op == "piecewise":
            points = node.settings["function"].breakpoints
            for k, point in enumerate(points):
                if np.any(self.known[operand] == float(point)):
                    yield "piece", -1 - k
            for k in range(len(points) + 1):
                yield "piece", k

    @cached_property
    def _moving(self) -> set[int]:
        """The nodes through which something is sent to what is differentiated."""
        found = {self.program.inputs[name] for name in self.case.parameters}
        for number in self.program.needed:
            if number not in self.case.shifts and found & set(self.program.nodes[number].inputs):
                found.add(number)
        return found

    def effect(self, edit: Edit) -> dict[str, Array] | None:
        """What a mistake of size 1 changes, array by array; ``None`` if it is nothing."""
        if edit not in self._effects:
            self._effects[edit] = self._effect(edit)
        return self._effects[edit]

    def _effect(self, edit: Edit) -> dict[str, Array] | None:
        with np.errstate(all="ignore"):
            if edit.kind == "array":
                chosen = [edit.op] if edit.op else list(self.right)
                found = {
                    name: value if name in chosen else np.zeros_like(value)
                    for name, value in self.right.items()
                }
            else:
                wrong = self._evaluated(self.gradient(edit, Fraction(1)))
                found = {name: wrong[name] - self.right[name] for name in self.right}
        is_finite = all(bool(np.isfinite(each).all()) for each in found.values())
        return found if is_finite and any(each.any() for each in found.values()) else None

    def gradient(self, edit: Edit | None = None, size: Fraction = Fraction(0)) -> Program:
        """The program of the gradient with a mistake of some size; of none without one."""
        program = self.program
        graph = Graph.of(program)
        nodes = {name: program.inputs[name] for name in self.case.parameters}
        seeds = {program.outputs[LOSS]: graph.ones(())}
        change = self._change(edit, size)
        found = sent_down(graph, seeds, program, nodes, rule_of, None, change)
        if edit is not None and edit.kind == "array":
            found = {
                name: value.times(1 + size) if edit.op in ("", name) else value
                for name, value in found.items()
            }
        if edit is not None and edit.kind == "missing":
            factor = Var(graph, edit.number).elementary("reciprocal", row="quotient")
            found[edit.op] = found[edit.op] * factor
        inputs = {name: Var(graph, number) for name, number in program.inputs.items()}
        return graph.program(inputs, found)

    def _evaluated(self, program: Program) -> dict[str, Array]:
        values = values_of(program, OnFloats(), dict(self.case.entries()), self.known)
        return {
            name: np.broadcast_to(values[number], self.case.shapes[name])
            for name, number in program.outputs.items()
        }

    def _change(self, edit: Edit | None, size: Fraction) -> Change:
        uses: frozenset[Use] = frozenset()
        exchanged: Mapping[Use, int] = {}
        if edit is not None and edit.kind == "exchanged":
            exchanged = self.exchanges.get(edit, exchanged)
            uses = frozenset(exchanged)
        elif edit is not None and edit.kind not in ("array", "missing"):
            uses = self.uses.get(edit, uses)  # it may not be there in this case

        def change(use: Use, g: Var, right: Var) -> Var | None:
            if use[0] in self.case.shifts:
                return None
            if edit is None or use not in uses:
                return right
            node = self.program.nodes[use[0]]
            if edit.kind == "scaled":
                return None if size == -1 else right.times(1 + size)
            if edit.kind == "factor":
                return _summed_to(g, right.shape)
            if edit.kind == "transposed":
                return _transposed(g, node, use[1], right)
            if edit.kind == "exchanged":
                return _exchanged(g, node, use, exchanged[use])
            return right + self._on_piece(g, node, edit.piece, right.shape).times(size)

        return change

    def _on_piece(self, g: Var, node: Node, piece: int, shape: Shape) -> Var:
        """The cotangent where the operand is on a piece, or at a breakpoint; else 0."""
        z = np.broadcast_to(self.known[node.inputs[0]], shape)
        points = [float(each) for each in node.settings["function"].breakpoints]
        # λ = 0 is the slope on the left.
        here = z == points[-1 - piece] if piece < 0 else np.searchsorted(points, z) == piece
        places = np.where(here, np.arange(z.size).reshape(z.shape), -1)
        return g.broadcast(shape).take(Places(places.ravel().tolist()), shape)


def _summed_to(g: Var, shape: Shape) -> Var:
    """A cotangent without its factor, in the shape of the operand."""
    axes = [
        at - len(shape)
        for at, (size, wanted) in enumerate(zip(g.shape, shape, strict=True))
        if wanted == 1 and size != 1
    ]
    return (g.sum(*axes, keep=True) if axes else g).broadcast(shape)


def _exchanged(g: Var, node: Node, use: Use, taken: int) -> Var | None:
    """What the rule sends down with another value for the operand that it takes."""
    operands = list(node.inputs)
    operands[1 - use[1] if len(operands) == 2 else 0] = taken
    values = [Var(g.graph, each) for each in operands]
    sent: Sequence[Var | None] = rule_of(node.op).vjp(
        g, Var(g.graph, use[0]), values, node.settings
    )
    return sent[use[1]]


def _transposed(g: Var, node: Node, at: int, right: Var) -> Var:
    """G B for G Bᵀ, or A G for Aᵀ G, where that has the operand's shape."""
    other = Var(g.graph, node.inputs[1 - at])
    one, two = (g, other) if at == 0 else (other, g)
    if one.shape[:-2] != two.shape[:-2] or one.shape[-1] != two.shape[-2]:
        return right
    found = one @ two
    return found if found.shape == right.shape else right
