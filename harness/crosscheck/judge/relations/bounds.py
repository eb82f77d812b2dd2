"""All that returned arrays say of each other, in one arithmetic.

The gradient's program is run on enclosures (`crosscheck.numbers.enclosure`) which start anew at
each node whose value is known. Known are the inputs, exactly; the nodes whose numbers were returned
(`crosscheck.judge.relations.moves`); and factors of products that were returned
(`crosscheck.judge.relations.factors`). For a dense network on one row, with δ_l = ∂J/∂z_l,

    ∂J/∂b_l = δ_l,    ∂J/∂W_l[i,j] = δ_l[i] a_{l-1}[j],

so that all δ_l are known, and all a_l below the last with δ_{l+1} ≠ 0. What was returned for a node
then has to be what the program makes of the known values next to it, and nothing is carried over
from further away:

    ∂J/∂W_l       of δ_l and one and the same a_{l-1}
    a_l           of W_l a_{l-1} + b_l
    δ_l           of s_l ∘ W_{l+1}ᵀ δ_{l+1}
    δ_L and J     of a_L, which is enclosed from a_{L-1}
    ∂J/∂x         of W_1ᵀ δ_1

Where something is not known, as δ_l of a layer without bias, the stretch is longer by that step.

**What is known of a number that was returned.** The number d was returned, and ũ was used where the
program goes on. They are the same, or d is ũ rounded once, as where a function computes in more
digits and rounds what it returns:

    |d - ũ|  <=  ρ(d) = u |d| (1 + 4u) + ½η,

λ₀ in the place of ½η where results may be flushed. So an enclosure that starts at d has e = ρ(d),
and one that d is held to is wider by ρ(d).

**One number, two enclosures.** A value that is known has another enclosure by what it was computed
from. Both hold ũ, so that they have to meet, and of each entry the narrower is gone on with.

**Gates.** Where f(z) is known and lies strictly within a piece of f that is z itself, and f is
monotone, z is what f(z) is. Then the enclosure of z says on which side it is of each breakpoint;
where that leaves more than one side, every slope between the extremes is allowed there: the
framework was on one of the sides, or at the breakpoint, where λ is its choice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.judge.local.step import Part
from crosscheck.judge.relations.factors import Factor, factor_of
from crosscheck.judge.relations.moves import SAME, sources
from crosscheck.network.composed import Composed
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.model import Model
from crosscheck.numbers.piecewise import Piecewise
from crosscheck.numbers.rounding import up
from crosscheck.numbers.sides import constant_held
from crosscheck.program.enclosures import OnEnclosures
from crosscheck.program.floats import OnFloats
from crosscheck.program.graph import Node
from crosscheck.program.rules import rule_of

__all__ = ["RelatedBounds", "Relation"]

_IDENTITY = (Fraction(0), Fraction(1))
"""The piece of a piecewise polynomial that is z."""


@dataclass(frozen=True, eq=False)
class Relation:
    """One array that is known, beside what encloses it by the arrays next to it.

    Attributes:
        node: Of the gradient's program.
        part: What is known, and what encloses it. Its name is that of the array that was returned,
            or empty for a factor.
        is_product: Whether it is a product that one of its factors is known from.
    """

    node: int
    part: Part
    is_product: bool = False


class RelatedBounds:
    """What the arrays of a gradient say of each other, in one arithmetic.

    Args:
        case: A single finite case.
        returned: Name to array, of what was returned; finite, of the right shapes.
        model: The arithmetic.

    Attributes:
        known: Node to what was returned for it.
        names: Node to the name of the array that was.
        targets: Node to the names of the arrays that are held to what encloses it, each with the
            nodes that rearrange it, up to the one that was returned.
        factors: Node of a product to the node of the factor that it shows, and that factor.
        found: Node to a factor, or to what is known by that.
    """

    def __init__(self, case: Composed, returned: Mapping[str, Array], model: Model) -> None:
        self.case, self.model, self.returned = case, model, returned
        self.program = case.gradient
        self.known: dict[int, Enclosure] = {}
        self.names: dict[int, str] = {}
        self.targets: dict[int, list[tuple[str, tuple[int, ...]]]] = {}
        self.factors: dict[int, tuple[int, Factor]] = {}
        self.found: dict[int, Enclosure] = {}
        arrays = dict(case.entries())
        self._inputs = {
            number: Enclosure.of(model, arrays[name])
            for name, number in self.program.inputs.items()
        }
        with np.errstate(all="ignore"):
            for name, array in returned.items():
                self._take(name, array)
            for number in self.program.needed:
                self._factor(number)

    # -- what is known -----------------------------------------------------------------------

    def _rounded(self, array: Array) -> Array:
        """ρ."""
        u = self.model.roundoff
        return np.asarray(up(u * (1.0 + 4.0 * u) * np.abs(array), 4) + float(self.model.lost(1)))

    def _take(self, name: str, array: Array) -> None:
        output = self.program.outputs[name]
        if self.program.nodes[output].op in ("input", "ones", "zeros"):
            return
        value = Enclosure(self.model, array, np.zeros_like(array), self._rounded(array))
        path = []
        for number, found in sources(self.program, output, value):
            self.known.setdefault(number, found)
            self.names.setdefault(number, name)
            path.append(number)
        *above, deepest = path
        self.targets.setdefault(deepest, []).append((name, tuple(reversed(above))))

    def _factor(self, number: int) -> None:
        """Find a factor of an outer product that was returned, if just one of them is known."""
        node = self.program.nodes[number]
        if number not in self.known or not self._is_outer(node):
            return
        left, right = (self._at_hand(each) for each in node.inputs)
        if (left is None) == (right is None):
            return
        p, rounded = self.known[number].high, self.known[number].e
        unknown = node.inputs[0 if left is None else 1]
        if left is None:
            assert right is not None
            factor = factor_of(p, rounded, right.rearranged(lambda array: array[0, :]))
        else:
            found = factor_of(p.T, rounded.T, left.rearranged(lambda array: array[:, 0]))
            factor = Factor(found.value, found.refused.T)
        self.factors[number] = unknown, factor
        shape = self.program.nodes[unknown].shape
        value = factor.value.rearranged(lambda array: array.reshape(shape))
        for each, known in sources(self.program, unknown, value):
            self._note(each, known)

    def _is_outer(self, node: Node) -> bool:
        nodes = self.program.nodes
        return (
            node.op == "contract" and len(node.shape) == 2 and nodes[node.inputs[0]].shape[1] == 1
        )

    def _at_hand(self, number: int) -> Enclosure | None:
        """The value of a node that is given, or returned, or such a one rearranged."""
        node = self.program.nodes[number]
        if number in self._inputs:
            return self._inputs[number]
        if number in self.known:
            return self.known[number]
        if node.op not in SAME:
            return None
        operand = self._at_hand(node.inputs[0])
        if operand is None:
            return None
        found: Enclosure = rule_of(node.op).value(OnEnclosures(self.model), node, [operand])
        return found

    def _note(self, number: int, value: Enclosure) -> None:
        before = self.found.get(number)
        self.found[number] = value if before is None else _narrower(before, value)
        node = self.program.nodes[number]
        if node.op == "piecewise":
            z = _before(self.found[number], node.settings["function"])
            if z is not None:
                self._note(node.inputs[0], z)

    @cached_property
    def is_something(self) -> bool:
        """Whether anything that was returned is used for anything else."""
        nodes = [self.program.nodes[number] for number in self.program.needed]
        if any(node.op == "largest" for node in nodes):  # of which not every choice is enclosed
            return False
        return bool(self.factors) or any(
            each in self.names and self.names.get(number) != self.names[each]
            for number in self.program.needed
            for each in self.program.nodes[number].inputs
        )

    # -- what follows ------------------------------------------------------------------------

    @cached_property
    def relations(self) -> tuple[Relation, ...]:
        """Each array that is known, products first, then in the order of computation."""
        found = list(self._walk())
        return tuple(sorted(found, key=lambda each: (not each.is_product, each.node)))

    def _walk(self) -> Iterator[Relation]:
        nodes = self.program.nodes
        arithmetic = OnEnclosures(self.model, any_slope=_Everywhere(self.program))
        values: dict[int, Any] = dict(self._inputs)
        alone: dict[int, Any] = {}  # by what it was computed from, whatever is known of it
        for number in self.program.needed:
            node = nodes[number]
            if number in values:
                continue
            with np.errstate(all="ignore"):
                operands = [values[each] for each in node.inputs]
                alone[number] = value = rule_of(node.op).value(arithmetic, node, operands)
                if number in self.targets:
                    yield from self._held(number, self._closed(value))
                elif number in self._factor_nodes:
                    if node.op == "piecewise":  # z may be what is to be held to it
                        before = [alone.get(each, values[each]) for each in node.inputs]
                        value = rule_of(node.op).value(arithmetic, node, before)
                    yield self._met(number, self._closed(value))
                for other in (self.known.get(number), self.found.get(number)):
                    if other is not None:
                        value = _narrower(self._closed(value), other)
            values[number] = value

    @cached_property
    def _factor_nodes(self) -> frozenset[int]:
        """The nodes at which factors are held to what they were computed from."""
        return frozenset(self.nodes_of_factor(unknown)[-1] for unknown, _ in self.factors.values())

    def nodes_of_factor(self, unknown: int) -> list[int]:
        """A factor, then the nodes that it is a rearrangement of."""
        nothing = np.zeros(self.program.nodes[unknown].shape)
        value = Enclosure(self.model, nothing, nothing, nothing)
        return [number for number, _ in sources(self.program, unknown, value)]

    def _closed(self, value: Any) -> Enclosure:
        """A value as numbers: a sum that is open is rounded here."""
        return Enclosure(self.model, value.c, value.r, value.e)

    def _held(self, number: int, bound: Enclosure) -> Iterator[Relation]:
        """What was returned for a node, each beside what encloses it, arranged as it was."""
        is_product = number in self.factors
        if is_product:
            shown = self._product(number)
            is_shown = np.isfinite(shown.e)
            bound = _chosen(is_shown, shown, bound)
        for name, path in self.targets[number]:
            enclosed: Any = bound
            refused: Any = self.factors[number][1].refused if is_product else None
            for each in path:
                node = self.program.nodes[each]
                value = rule_of(node.op).value
                enclosed = value(OnEnclosures(self.model), node, [enclosed])
                if refused is not None:
                    refused = value(OnFloats(), node, [refused])
            given = self.returned[name]
            part = Part(name, given, _wider(enclosed, self._rounded(given)), refused)
            yield Relation(number, part, is_product)

    def _product(self, number: int) -> Enclosure:
        """A product, of the factor that it shows and the other one, whatever else they are."""
        node, (unknown, factor) = self.program.nodes[number], self.factors[number]
        shape = self.program.nodes[unknown].shape
        shown = factor.value.rearranged(lambda array: array.reshape(shape))
        operands = [shown if each == unknown else self._at_hand(each) for each in node.inputs]
        value = rule_of(node.op).value(OnEnclosures(self.model), node, operands)
        return self._closed(value)

    def _met(self, number: int, bound: Enclosure) -> Relation:
        """A factor, where one is found, beside what encloses it."""
        known = self.found[number]
        nothing = ~np.isfinite(known.e)
        given = np.where(nothing, bound.high, known.high)
        e = np.where(nothing, 0.0, known.e)
        return Relation(number, Part("", given, _wider(bound, e)))


class _Everywhere(dict[int, NDArray[np.bool_]]):
    """Every slope between the extremes, wherever more than one is open."""

    def __init__(self, program: Any) -> None:
        super().__init__()
        self._nodes = program.nodes

    def get(self, site: int, default: Any = None) -> Any:
        return np.ones(self._nodes[site].shape, dtype=bool)


def _wider(bound: Enclosure, more: Array) -> Enclosure:
    return Enclosure(bound.model, bound.c, bound.r, up(bound.e + more, 2))


def _narrower(one: Enclosure, other: Enclosure) -> Enclosure:
    """Of each entry the enclosure with the smaller bound."""
    return _chosen(one.margin <= other.margin, one, other)


def _chosen(first: NDArray[np.bool_], one: Enclosure, other: Enclosure) -> Enclosure:
    c = np.where(first, one.high, other.high)
    r, e = np.where(first, one.r, other.r), np.where(first, one.e, other.e)
    return Enclosure(one.model, c, r, e)


def _before(value: Enclosure, function: Piecewise) -> Enclosure | None:
    """z, where it is what f(z) is; e = ∞ elsewhere. ``None`` where that is nowhere."""
    rises = all(len(p) <= 2 and (len(p) < 2 or p[1] >= 0) for p in function.pieces)
    if not rises or any(function.jumps) or function.blur:
        return None
    held = [constant_held(point, value.model) for point in function.breakpoints]
    low = [-np.inf, *(np.nextafter(at + own + error, np.inf) for at, own, error in held)]
    high = [*(np.nextafter(at - own - error, -np.inf) for at, own, error in held), np.inf]
    margin = value.margin + (value.model.least if value.model.flush else 0.0)
    below = np.nextafter(value.high - margin, -np.inf)
    above = np.nextafter(value.high + margin, np.inf)
    inside = np.zeros(value.shape, dtype=bool)
    for piece, first, last in zip(function.pieces, low, high, strict=True):
        if piece == _IDENTITY:
            inside |= (below > first) & (above < last)
    if not inside.any():
        return None
    return Enclosure(value.model, value.high, value.r, np.where(inside, value.e, np.inf))
