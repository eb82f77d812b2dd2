"""A network of operators on enclosures: its open decisions, and its gradient for chosen ones.

A decision is identified by its *site*, the node whose value is at a breakpoint, and an index: all
that depends on the same number is decided once.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.judge.decisions import Decision, Place
from crosscheck.judge.gates import open_decision
from crosscheck.network.composed import Composed, Derivatives
from crosscheck.network.exact import rational_of, rationals
from crosscheck.network.names import LOSS
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.numbers.model import Model
from crosscheck.numbers.multilinear import fraction
from crosscheck.numbers.piecewise import Piecewise
from crosscheck.numbers.sides import sides_of
from crosscheck.program.enclosures import OnEnclosures
from crosscheck.program.evaluate import values_of
from crosscheck.program.exact import OnExact

__all__ = ["EnclosedProgram", "Slopes"]

Slopes = Mapping[Place, float]
"""λ of each open decision."""


class EnclosedProgram:
    """A finite case, single or a stack, on enclosures of one arithmetic.

    Args:
        case: The case.
        model: The arithmetic that frameworks are held to.

    Attributes:
        sites: Each node at whose value something is decided, to the functions that are.
    """

    @in_ieee_arithmetic
    def __init__(self, case: Composed, model: Model) -> None:
        self.case, self.model = case, model
        self.program = case.gradient
        sites: dict[int, list[Piecewise]] = {}
        for number in self.program.needed:
            node = self.program.nodes[number]
            if node.op == "select" and node.settings["function"].kinks:
                functions = sites.setdefault(node.inputs[0], [])
                if node.settings["function"] not in functions:
                    functions.append(node.settings["function"])
        self.sites: Mapping[int, list[Piecewise]] = sites
        arrays = {name: Enclosure.of(model, array) for name, array in case.entries()}
        with np.errstate(all="ignore"):
            self._forward = values_of(case.program, OnEnclosures(model), arrays)
            self._arrays = arrays
        self._known: dict[Any, Derivatives] = {}

    @cached_property
    @in_ieee_arithmetic
    def is_open(self) -> Mapping[int, NDArray[np.bool_]]:
        """Of each site, where a slope is open."""
        found = {}
        with np.errstate(all="ignore"):
            for site, functions in self.sites.items():
                z = self._forward[site]
                some = np.zeros(z.shape, dtype=bool)
                for function in functions:
                    sides = sides_of(z, function)
                    for k, jumps in enumerate(function.derivative.jumps):
                        if jumps:
                            some |= (sides.first <= k) & (k < sides.last)
                found[site] = some
        return found

    @cached_property
    def has_open(self) -> Any:
        """Whether any decision is open; one answer per case of a stack."""
        if self.case.count is None:
            return any(bool(some.any()) for some in self.is_open.values())
        found = np.zeros(self.case.count, dtype=bool)
        for some in self.is_open.values():
            found |= some.reshape(self.case.count, -1).any(axis=1)
        return found

    @cached_property
    def exact_values(self) -> Mapping[int, Any]:
        """The value of each node of the loss's program on rationals, of a single case."""
        arrays = {name: rationals(array) for name, array in self.case.entries()}
        return values_of(self.case.program, OnExact(rational_of), arrays)

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """The open decisions of a single case, in the order of places."""
        found = []
        for site, some in sorted(self.is_open.items()):
            for index in map(tuple, np.argwhere(some).tolist()):
                found.append(self._decision(Place(site, index)))
        return tuple(found)

    def _decision(self, place: Place) -> Decision:
        z = self._forward[place.node]
        if self.model.arithmetic is None:
            value = self.exact_values[place.node][place.index]
        else:  # exact arithmetic says nothing about it; what is executed decides
            value = Fraction(float(np.nan_to_num(z.high[place.index])))
        exact = fraction(value)
        points = {point for function in self.sites[place.node] for point in function.kinks}
        nearest = min(points, key=lambda point: (abs(point - exact), point))
        return open_decision(place, value, bool(z.exact[place.index]), nearest)

    @in_ieee_arithmetic
    def gradients(self, slopes: Slopes | None = None) -> Derivatives:
        """The gradient for any framework that uses these slopes; λ = 0 at other open decisions."""
        key = tuple(sorted((slopes or {}).items()))
        if key not in self._known:
            decided: dict[int, Array] = {}
            for place, value in key:
                whole = decided.setdefault(place.node, np.zeros(self._forward[place.node].shape))
                whole[place.index] = value
            if len(self._known) > 64:
                self._known.clear()
            self._known[key] = self._evaluated(OnEnclosures(self.model, decided))
        return self._known[key]

    @cached_property
    @in_ieee_arithmetic
    def any_gradients(self) -> Derivatives:
        """The gradient with every slope between the extremes at each open decision."""
        return self._evaluated(OnEnclosures(self.model, any_slope=dict(self.is_open)))

    def _evaluated(self, arithmetic: OnEnclosures) -> Derivatives:
        with np.errstate(all="ignore"):
            found = values_of(self.program, arithmetic, self._arrays, self._forward)
            closed: dict[str, Enclosure] = {}
            for name, number in self.program.outputs.items():
                value = found[number]
                closed[name] = Enclosure(self.model, value.c, value.r, value.e)
        closed = {name: self._shaped(name, value) for name, value in closed.items()}
        return Derivatives(closed.pop(LOSS), closed)

    def _shaped(self, name: str, value: Enclosure) -> Enclosure:
        """With an axis over cases, also where a value is the same for all."""
        count = self.case.count
        shape = () if name == LOSS else self.case.shapes[name]
        whole = shape if count is None else (count, *shape)
        if value.shape == whole:
            return value
        return OnEnclosures(self.model).broadcast(value, whole)
