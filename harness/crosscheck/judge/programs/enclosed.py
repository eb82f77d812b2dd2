"""A network of operators on enclosures: its open decisions, and its gradient for chosen ones.

A decision is identified by its *site*, the node whose value is at a breakpoint, and an index: all
that depends on the same number is decided once.

**Ties.** Where several of k numbers may be the largest, each of them, the *members*, has a weight;
the weights are not negative and add up to 1. They are reached one by one: the first member takes a
share λ of the whole, the next one a share of what is left, and the last one the rest,

    w_1 = λ_1,    w_j = λ_j (1 - λ_1) … (1 - λ_{j-1}),    w_m = (1 - λ_1) … (1 - λ_{m-1}),

so that every λ in [0, 1] has weights, and all weights some λ. To each member belongs a decision, at
its place; that of the last has no effect of its own. So what is sent to a member is λ times what
comes to its decision, as at a breakpoint: one search, and one system of forms, serve both.

Where no member can matter (`crosscheck.program.liveness`) nothing is decided: the window is
*idle*, and listed as without effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.judge.decisions import Decision, GateClass, Place
from crosscheck.judge.enclosed import Derivation
from crosscheck.judge.gates import open_decision
from crosscheck.judge.programs.tangents import derivatives_by_tangents, without_bounds
from crosscheck.network.composed import Composed, Derivatives
from crosscheck.network.exact import rational_of, rationals
from crosscheck.network.names import LOSS
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.numbers.model import Model
from crosscheck.numbers.multilinear import fraction
from crosscheck.numbers.piecewise import Piecewise
from crosscheck.numbers.scaling import nearest
from crosscheck.numbers.sides import sides_of
from crosscheck.program.enclosures import OnEnclosures
from crosscheck.program.evaluate import values_of
from crosscheck.program.exact import OnExact
from crosscheck.program.liveness import live_values

__all__ = ["EnclosedProgram", "Slopes"]

Slopes = Mapping[Place, float]
"""λ of each open decision."""


class EnclosedProgram:
    """A finite case, single or a stack, on enclosures of one arithmetic.

    Args:
        case: The case.
        model: The arithmetic that frameworks are held to.
        derivation: How the gradient is computed; by one-hot tangents in forward mode
            (`crosscheck.judge.programs.tangents`).
        takes_first: Whether of what may be computed in several ways the first alone is enclosed.

    Attributes:
        sites: Each node at whose value something is decided, to the functions that are.
        ties: Each node of whose numbers along the last axis the largest is taken.
    """

    @in_ieee_arithmetic
    def __init__(
        self,
        case: Composed,
        model: Model,
        derivation: Derivation = "reverse",
        *,
        takes_first: bool = False,
    ) -> None:
        self.case, self.model, self.derivation = case, model, derivation
        self._takes_first = takes_first
        self.program = case.gradient
        sites: dict[int, list[Piecewise]] = {}
        for number in self.program.needed:
            node = self.program.nodes[number]
            if node.op == "select" and node.settings["function"].kinks:
                functions = sites.setdefault(node.inputs[0], [])
                if node.settings["function"] not in functions:
                    functions.append(node.settings["function"])
        self.sites: Mapping[int, list[Piecewise]] = sites
        nodes = [self.program.nodes[number] for number in self.program.needed]
        self.ties = tuple(dict.fromkeys(each.inputs[0] for each in nodes if each.op == "largest"))
        arrays = {name: Enclosure.of(model, array) for name, array in case.entries()}
        with np.errstate(all="ignore"):
            self._forward = values_of(case.program, self._arithmetic(), arrays)
            self._arrays = arrays
        self._known: dict[Any, Derivatives] = {}

    @property
    def values(self) -> Mapping[int, Enclosure]:
        """The value of each node of the loss's program."""
        return self._forward

    @cached_property
    @in_ieee_arithmetic
    def is_open(self) -> Mapping[int, NDArray[np.bool_]]:
        """Of each site, where a slope is open, or which numbers may be the largest of several."""
        found = {site: np.asarray(tied & self._matter[site]) for site, tied in self._tied.items()}
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
    def _tied(self) -> Mapping[int, NDArray[np.bool_]]:
        with np.errstate(all="ignore"):
            return {site: np.asarray(OnEnclosures.tied(self._forward[site])) for site in self.ties}

    @cached_property
    def _matter(self) -> Mapping[int, NDArray[np.bool_]]:
        """Of each node in ``ties``, in which windows any member can matter."""
        if not any(tied.any() for tied in self._tied.values()):
            return dict.fromkeys(self.ties, np.ones((), dtype=bool))
        alive = {
            name: np.full(array.shape, name in self.case.wanted)
            for name, array in self.case.entries()
        }
        with np.errstate(all="ignore"):
            live = live_values(self.case.program, self._forward, alive)
        return {
            site: np.asarray((tied & live[site]).any(axis=-1, keepdims=True))
            for site, tied in self._tied.items()
        }

    @cached_property
    def idle(self) -> tuple[Decision, ...]:
        """The members of idle windows of a single case, in the order of places."""
        found = []
        for site in sorted(self.ties):
            z, idle = self._forward[site], self._tied[site] & ~self._matter[site]
            for index in map(tuple, np.argwhere(idle).tolist()):
                window: Any = (*index[:-1], slice(None))
                best = float(z.high[window].max())
                is_exact = bool(z.exact[window][idle[window]].all())
                gate = GateClass.KINK if is_exact else GateClass.UNDECIDED
                place, value = Place(site, index), float(z.high[index])
                found.append(Decision(place, gate, value, 0, Fraction(best)))
        return tuple(found)

    @cached_property
    def windows(self) -> Mapping[tuple[int, tuple[int, ...]], tuple[Decision, ...]]:
        """A node in ``ties`` and an index of a window to the decisions of its members."""
        found: dict[tuple[int, tuple[int, ...]], tuple[Decision, ...]] = {}
        for each in self.decisions:
            if each.place.node in self.ties:
                window = each.place.node, each.place.index[:-1]
                found[window] = (*found.get(window, ()), each)
        return found

    def weights(self, slopes: Slopes) -> dict[Place, float]:
        """The weight of each member; λ = 0 where none is given."""
        found = {}
        for members in self.windows.values():
            rest = Fraction(1)
            for each in members[:-1]:
                taken = rest * Fraction(slopes.get(each.place, 0.0))
                found[each.place] = float(taken)
                rest -= taken
            found[members[-1].place] = float(rest)
        return found

    def shares(self, weights: Slopes) -> dict[Place, float]:
        """λ of the members of which these are the weights: the inverse of `weights`.

        A member's λ is its part of what those before it leave, 0 where they leave nothing. Members
        of a window none of whose weights is given have none.
        """
        found = {}
        for members in self.windows.values():
            if not any(each.place in weights for each in members):
                continue
            rest = Fraction(1)
            for each in members:
                taken = Fraction(weights.get(each.place, 0.0))
                found[each.place] = float(taken / rest) if rest > 0 else 0.0
                rest -= taken
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
    def has_idle(self) -> Any:
        """Whether members of a window are tied that cannot matter; one answer per case."""
        found = np.zeros(self.case.count or 1, dtype=bool)
        for site in self.ties:
            idle = self._tied[site] & ~self._matter[site]
            found |= idle.reshape(len(found), -1).any(axis=1)
        return found if self.case.count is not None else found[0]

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
            decided = self._tie if site in self.ties else self._decision
            for index in map(tuple, np.argwhere(some).tolist()):
                found.append(decided(Place(site, index)))
        return tuple(found)

    def _tie(self, place: Place) -> Decision:
        """One of several that may be the largest: its sign is that of what it has over the rest."""
        z, (*window, k) = self._forward[place.node], place.index
        at = (*window, slice(None))
        if self.model.arithmetic is None:
            values = [fraction(each) for each in self.exact_values[place.node][at]]
        else:
            values = [Fraction(float(each)) for each in np.nan_to_num(z.high[at])]
        best = max(values)
        sign = -1 if values[k] < best else int(values.count(best) == 1)
        gate = GateClass.UNDECIDED
        if sign == 0:
            tied = [j for j, each in enumerate(values) if each == best]
            is_exact = all(z.exact[(*window, j)] for j in tied)
            gate = GateClass.KINK if is_exact else GateClass.MAYBE_MISSED
        return Decision(place, gate, nearest(values[k]), sign, best)

    def slopes_at(self, decision: Decision) -> tuple[float, float]:
        """The slopes from the left and from the right of a breakpoint; of a tie 0 and 1."""
        for function in self.sites.get(decision.place.node, ()):
            if decision.breakpoint in function.kinks:
                left, right = function.slopes(nearest(decision.breakpoint))
                return float(left), float(right)
        return 0.0, 1.0

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
            chosen = dict(key)
            if slopes and self.ties:
                decided = {s: OnEnclosures.first_largest(self._forward[s]) for s in self.ties}
                chosen |= self.weights(slopes)
            for place, value in chosen.items():
                whole = decided.setdefault(place.node, np.zeros(self._forward[place.node].shape))
                whole[place.index] = value
            if len(self._known) > 64:
                self._known.clear()
            self._known[key] = self._evaluated(self._arithmetic(decisions=decided))
        return self._known[key]

    @cached_property
    @in_ieee_arithmetic
    def any_gradients(self) -> Derivatives:
        """The gradient with every slope between the extremes at each open decision."""
        return self._evaluated(self._arithmetic(any_slope=dict(self.is_open)))

    def _arithmetic(self, **settings: Any) -> OnEnclosures:
        return OnEnclosures(self.model, takes_first=self._takes_first, **settings)

    def _evaluated(self, arithmetic: OnEnclosures) -> Derivatives:
        if self.derivation == "forward":
            return self._by_tangents(arithmetic)
        with np.errstate(all="ignore"):
            found = values_of(self.program, arithmetic, self._arrays, self._forward)
            closed: dict[str, Enclosure] = {}
            for name, number in self.program.outputs.items():
                value = found[number]
                closed[name] = Enclosure(self.model, value.c, value.r, value.e)
        closed = {name: self._shaped(name, value) for name, value in closed.items()}
        return Derivatives(closed.pop(LOSS), closed)

    def _by_tangents(self, arithmetic: OnEnclosures) -> Derivatives:
        """The gradient in forward mode."""
        about = self.case, arithmetic, self._arrays, self._forward
        with np.errstate(all="ignore"):
            loss = self._forward[self.case.program.outputs[LOSS]]
            loss = self._shaped(LOSS, Enclosure(self.model, loss.c, loss.r, loss.e))
            found = Derivatives(loss, derivatives_by_tangents(*about))
            return found.map_derivatives(self._unless_zeros_may_be_nan)

    def _unless_zeros_may_be_nan(self, entries: Enclosure) -> Enclosure:
        free = self._without_bounds.reshape(-1, *(1,) * (entries.e.ndim - self._lead))
        free = free if self._lead else free[0]
        return Enclosure(entries.model, entries.c, entries.r, np.where(free, np.inf, entries.e))

    @property
    def _lead(self) -> int:
        return 0 if self.case.count is None else 1

    @cached_property
    def _without_bounds(self) -> NDArray[np.bool_]:
        return without_bounds(self.case, self._arithmetic(), self._arrays, self._forward)

    def _shaped(self, name: str, value: Enclosure) -> Enclosure:
        """With an axis over cases, also where a value is the same for all."""
        count = self.case.count
        shape = () if name == LOSS else self.case.shapes[name]
        whole = shape if count is None else (count, *shape)
        if value.shape == whole:
            return value
        return self._arithmetic().broadcast(value, whole)
