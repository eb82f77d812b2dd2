"""One step held to its own bounds, on the numbers that the framework itself had.

The operands and the cotangent of a record are data: the framework held exactly these. So the
enclosures of `crosscheck.numbers.enclosure`, which bound a whole network from outside, start anew
at every step with nothing carried over, and say of this step alone what it may have returned.

A gate is decided on the number that was held. Where that lies at a breakpoint the derivative is
decided there, and read from what was sent down: with x₀ and x₁ the cotangent of the operand for
λ = 0 and λ = 1, all else the same, what came for λ lies near

    x(λ) = x₀ + λ (x₁ - x₀),    so    λ = (x̂ - x₀) / (x₁ - x₀),

each entry by itself, as such operators take each number by itself. λ = 0 and λ = 1 are tried first,
with their bounds; a number in between is taken where it lies strictly between 0 and 1 and the bound
of x(λ) holds what came. A breakpoint may also be only near, since the step itself rounds what it
compares (1 - y a of the hinge loss), or flushes it (a - y of the absolute error). What a framework
compared was on either side of the breakpoint, or the breakpoint itself, where λ is its choice.

*Beyond both ends.* Rounding may carry a mixture beyond its ends, as λ g + (1 - λ) α g of PReLU
where α is 1 or nearly so. What came is beyond x₁, say, and some λ explains it. Then one next to 1
does: x(λ) is nearer by (1 - λ) |x₁ - x₀| there, and the bounds of two mixtures differ by a few u of
that. Taken is 1 - 2^-53; what this changes in a slope is within r of a mixture, 2^-50 of the larger
slope. Where one end is 0 a mixture is a product, which rounding does not carry beyond x₁ rounded,
as it is monotone; nothing beyond is taken there.

**Put to the test** (`crosscheck.studies.adversary`): 1,015,808 tries a step, of those that are
listed in reports/adversary.md, gave at most 1.0000 of the bound; 0.6667 for the squared error times
1/3 and 0.4954 for the loss of Huber with δ = 2 times 3, whose constants seldom err to one side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.judge.entries import ratio_of
from crosscheck.judge.local.record import AnyRecord
from crosscheck.judge.local.ties import TiesRead, in_order, read_ties
from crosscheck.numbers.arrays import Array, blocks
from crosscheck.numbers.enclosure import Enclosure, OpenSum
from crosscheck.numbers.model import Model
from crosscheck.numbers.piecewise import Piecewise
from crosscheck.numbers.sides import sides_of
from crosscheck.program.enclosures import OnEnclosures
from crosscheck.program.evaluate import values_of
from crosscheck.program.graph import Program
from crosscheck.program.liveness import live_values

__all__ = ["OpenPlace", "Part", "StepBounds"]

_NEAR_THE_END = 2.0**1000
_NEXT_TO_AN_END = 2.0**-53

_LARGE = 2**15
"""Entries of an array, from which on it pays to ask first whether a part of a bound is enough."""


@dataclass(frozen=True, eq=False)
class Part:
    """One array of a record, beside what encloses it.

    Attributes:
        name: Of a result, or of the operand whose cotangent it is.
        given: What the framework held.
        bound: What encloses it.
        refused: Entries that no decision explains, whatever ``bound`` says.
    """

    name: str
    given: Array
    bound: Enclosure
    refused: NDArray[np.bool_] | None = None

    def within(self, count: int) -> NDArray[np.bool_]:
        """(C,): in which of C cases all entries are within their bounds."""
        if self._shares is not None:
            return np.ones(count, dtype=bool)
        return np.asarray((self.ratio <= 1.0).reshape(count, -1).all(axis=1))

    def worst(self, count: int) -> Array:
        """(C,): the largest error / bound of each case, of a large array as far as it was looked.

        What is surely within its bounds is compared with a part of them. The entry that is nearest
        to that is then compared with its bound.
        """
        if self._shares is None:
            found: Array = self.ratio.reshape(count, -1).max(axis=1, initial=0.0)
            return found
        some = _largest(self._shares, count)
        return _ratios(_at(self.bound, some), self.given[some])

    @cached_property
    def ratio(self) -> Array:
        """error / bound, entry by entry; infinite where an entry is refused."""
        found = self._compared[0]
        return found if self.refused is None else np.where(self.refused, np.inf, found)

    def unbounded(self, count: int) -> NDArray[np.int64]:
        """(C,): how many entries nothing is known of, since the step may overflow there."""
        if self._shares is not None:
            return np.zeros(count, dtype=np.int64)
        return np.asarray(self.is_unbounded.reshape(count, -1).sum(axis=1))

    @property
    def is_unbounded(self) -> NDArray[np.bool_]:
        """Where nothing is known: the step may overflow."""
        return self._compared[1]

    @cached_property
    def _compared(self) -> tuple[Array, NDArray[np.bool_]]:
        ratio, unbounded = np.empty(self.given.shape), np.empty(self.given.shape, dtype=bool)
        for block in blocks(ratio.shape):
            part = _at(self.bound, block)
            ratio[block] = _ratios(part, self.given[block])
            unbounded[block] = np.isinf(part.bound)
        return ratio, unbounded

    @cached_property
    def _shares(self) -> Array | None:
        """See `OpenSum.shares`; asked for where that pays."""
        large = self.given.size >= _LARGE and self.refused is None
        return self.bound.shares(self.given) if large and isinstance(self.bound, OpenSum) else None


@dataclass(frozen=True, eq=False)
class OpenPlace:
    """Where a step decides at a breakpoint.

    Attributes:
        site: Node of the step's program.
        functions: Whose derivative jumps there.
        is_open: Where.
        is_exact: Where the number is the breakpoint itself, and not only near it.
    """

    site: int
    functions: tuple[Piecewise, ...]
    is_open: NDArray[np.bool_]
    is_exact: NDArray[np.bool_]


class StepBounds:
    """What a step may have returned and sent down, in one arithmetic.

    Args:
        record: Of the step; its numbers are finite.
        model: The arithmetic.
        stacked: Whether arrays have an axis over cases in front.
    """

    def __init__(self, record: AnyRecord, model: Model, stacked: bool) -> None:
        self.record, self.model = record, model
        self.program: Program = record.program(stacked)
        self._arrays = {
            name: Enclosure.of(model, array)
            for name, array in (*record.operands.items(), *record.cotangents.items())
        }
        self._idle: dict[int, NDArray[np.bool_]] = {}
        for each in self._arrays.values():
            _ = each.reach  # found once for all arrangements of the array
        with np.errstate(all="ignore"):
            self._values = values_of(self.program, OnEnclosures(model), self._arrays)

    @cached_property
    def places(self) -> tuple[OpenPlace, ...]:
        """Where a decision is open."""
        functions: dict[int, list[Piecewise]] = {}
        for number in self.program.needed:
            node = self.program.nodes[number]
            if node.op == "select" and node.settings["function"].kinks:
                known = functions.setdefault(node.inputs[0], [])
                if node.settings["function"] not in known:
                    known.append(node.settings["function"])
        found = []
        for site, each in functions.items():
            z = self._values[site]
            some, exact = (np.zeros(z.shape, dtype=bool) for _ in range(2))
            for function in each:
                sides = sides_of(z, function)
                for k, jumps in enumerate(function.derivative.jumps):
                    if jumps:
                        here = (sides.first <= k) & (k < sides.last)
                        some |= here
                        point = function.breakpoints[k]
                        if Fraction(float(point)) == point:
                            exact |= here & z.exact & (z.high == float(point))
            if some.any():
                found.append(OpenPlace(site, tuple(each), some, exact))
        return tuple(found)

    @cached_property
    def _ties(self) -> TiesRead:
        step, record = self.record.step, self.record
        placed = record.placed
        if placed is not None and record.sent:
            ((name, sent),) = record.sent.items()
            ((result, cotangent),) = zip(record.results, record.cotangents.values(), strict=True)
            compared = record.operands[name]
            if self.model.flush:  # all that may be read as zero is equal
                compared = np.where(np.abs(compared) < self.model.least, 0.0, compared)
            keys = placed(compared, cotangent, sent, **step.settings)
            return in_order(self.program, self._values, {name: keys}, result)
        return read_ties(
            self.program, self._values, self.record.sent, lambda weights: self._sent(weights)
        )

    @property
    def has_ties(self) -> bool:
        """Whether several numbers may be the largest somewhere."""
        return bool(self._ties.tied)

    @cached_property
    def decided(self) -> tuple[OpenPlace, ...]:
        """Where a decision is open, or several numbers may be the largest."""
        found = list(self.places)
        for site, tied in self._ties.tied.items():
            z = self._values[site]
            best = np.where(tied, z.high, -np.inf).max(axis=-1, keepdims=True)
            found.append(OpenPlace(site, (), tied, tied & (z.high == best)))
        return tuple(found)

    def live(self, alive: Mapping[str, NDArray[np.bool_]]) -> dict[str, NDArray[np.bool_]]:
        """Where each result can matter, by where the operands can; notes it for ties.

        Args:
            alive: Name of each operand to where it can matter.
        """
        outputs = {name: self.program.outputs[name] for name in self.record.results}
        forward = Program(self.program.nodes, self.program.inputs, outputs)
        with np.errstate(all="ignore"):
            found = live_values(forward, self._values, alive)
        for site, tied in self._ties.tied.items():
            self._idle[site] = np.asarray(~(tied & found[site]).any(axis=-1, keepdims=True))
        return {
            name: np.broadcast_to(found[outputs[name]], result.shape)
            for name, result in self.record.results.items()
        }

    @cached_property
    def _ends(self) -> Sequence[Mapping[str, Enclosure]]:
        """What goes down to each operand for λ = 0 at every open decision, and for λ = 1."""
        return [
            self._sent({p.site: np.full(p.is_open.shape, side) for p in self.places})
            for side in (0.0, 1.0)
        ]

    @cached_property
    def _decided(self) -> tuple[Mapping[int, Array], Mapping[str, NDArray[np.bool_]]]:
        """λ at each site, and by name the entries that no λ explains."""
        if not self.places:
            return {}, {}
        slopes = {p.site: np.zeros(p.is_open.shape) for p in self.places}
        refused: dict[str, NDArray[np.bool_]] = {}
        for name, given in self.record.sent.items():
            low, high = (end[name] for end in self._ends)
            for place in self.places:
                if place.is_open.shape != given.shape:
                    continue
                found, wrong = _read(place, given, low, high)
                undecided = place.is_open & np.isfinite(found)
                slopes[place.site] = np.where(undecided, found, slopes[place.site])
                refused[name] = refused.get(name, False) | wrong
        return slopes, refused

    @cached_property
    def _free(self) -> Mapping[int, NDArray[np.bool_]]:
        """The open decisions of which each entry sent mixes several: any slope may be there."""
        shapes = {array.shape for array in self.record.sent.values()}
        return {p.site: p.is_open for p in self.places if p.is_open.shape not in shapes}

    @property
    def slopes(self) -> Mapping[int, Array]:
        """λ at each site that has an open decision."""
        return {**self._decided[0], **self._ties.weights}

    def is_idle(self, place: OpenPlace) -> NDArray[np.bool_]:
        """At which open decisions nothing depends on λ: nothing comes there, or none can matter."""
        if place.site in self._ties.tied:
            idle = self._idle.get(place.site, np.zeros((), dtype=bool))
            comes = self._comes(place.site)
            return np.asarray(place.is_open & (idle | ((comes.high == 0) & (comes.bound == 0))))
        found = place.is_open & (place.site not in self._free)
        for name, given in self.record.sent.items():
            if given.shape == found.shape:
                low, high = (end[name] for end in self._ends)
                found = found & (low.high == high.high) & (low.bound + high.bound == 0)
        return np.asarray(found)

    def is_free(self, place: OpenPlace) -> NDArray[np.bool_]:
        """Of which open decisions any slope, or any weight, is taken to be there."""
        free = {**self._free, **self._ties.free}.get(place.site, np.zeros((), dtype=bool))
        return np.asarray(place.is_open & free)

    def _comes(self, site: int) -> Enclosure:
        """The cotangent of the largest of what is at a site."""
        found: Enclosure = next(
            self._values[node.inputs[1]]
            for node in map(self.program.nodes.__getitem__, self.program.needed)
            if node.op == "largest" and node.inputs[0] == site
        )
        return found

    def is_read(self, place: OpenPlace) -> NDArray[np.bool_]:
        """At which open decisions λ can be told from any other: a cotangent that is not zero.

        Of ties that cannot matter, as far as `live` has said so, nothing is read.
        """
        if place.site in self._ties.tied:
            told = place.is_open & ~self._ties.free.get(place.site, np.zeros((), dtype=bool))
            return np.asarray(
                told
                & (self._comes(place.site).high != 0)
                & ~self._idle.get(place.site, np.zeros((), dtype=bool))
            )
        found = np.zeros(place.is_open.shape, dtype=bool)
        for name, given in self.record.sent.items():
            low, high = (end[name] for end in self._ends)
            if place.is_open.shape == given.shape:
                both = (low.distance(given) <= low.bound) & (high.distance(given) <= high.bound)
                found |= place.is_open & ~both & (low.high != high.high)
        return found

    def _sent(
        self,
        decisions: Mapping[int, Array],
        free: Mapping[int, NDArray[np.bool_]] = MappingProxyType({}),
    ) -> dict[str, Enclosure]:
        arithmetic = OnEnclosures(self.model, dict(decisions), any_slope={**self._free, **free})
        known = {
            number: value
            for number, value in self._values.items()
            if not self._depends_on_decisions[number]
        }
        with np.errstate(all="ignore"):
            values = values_of(self.program, arithmetic, self._arrays, known)
            return {name: self._closed(name, values) for name in self.record.sent}

    @cached_property
    def _depends_on_decisions(self) -> dict[int, bool]:
        found: dict[int, bool] = {}
        for number in self.program.needed:
            node = self.program.nodes[number]
            found[number] = node.op in ("select", "largest") or any(
                found[each] for each in node.inputs
            )
        return found

    def _closed(self, name: str, values: Mapping[int, Any]) -> Enclosure:
        """A result as one number for each of its entries; an axis over cases where it has none."""
        value = values[self.program.outputs[name]]
        results = self.record.results
        given = results[name] if name in results else self.record.sent[name]
        if isinstance(value, OpenSum) and value.shape == given.shape and value.model == self.model:
            return value
        closed = Enclosure(self.model, value.c, value.r, value.e)
        if closed.shape == given.shape:
            return closed
        return OnEnclosures(self.model).broadcast(closed, given.shape)

    def value(self, site: int) -> Array:
        """What is decided upon, as float64."""
        found: Array = self._values[site].high
        return found

    def parts(self) -> Iterator[Part]:
        """Each result, then what was sent to each operand."""
        for name, given in self.record.results.items():
            yield Part(name, given, self._closed(name, self._values))
        slopes, refused = self.slopes, self._decided[1]
        sent = self._sent(slopes, self._ties.free) if slopes else None
        for name, given in self.record.sent.items():
            bound = self._closed(name, self._values) if sent is None else sent[name]
            yield Part(name, given, bound, refused.get(name))


def _largest(array: Array, count: int) -> tuple[NDArray[np.int64], ...]:
    """Where the largest number of each of C cases is, an array of shape (C,) for each axis."""
    if count == 1 and array.T.flags.c_contiguous:  # in the order of memory, with no copy
        (*index,) = np.unravel_index([array.T.argmax()], array.T.shape)
        return tuple(reversed(index))
    flat = array.reshape(count, -1).argmax(axis=1) + np.arange(count) * (array.size // count)
    return np.unravel_index(flat, array.shape)


def _at(bound: Enclosure, index: Any) -> Enclosure:
    """Some of the numbers; of sums with no bounds formed for the others."""
    if isinstance(bound, OpenSum):
        return bound.map(lambda array: array[index])
    return bound[index]


def _ratios(bound: Enclosure, given: Array) -> Array:
    with np.errstate(all="ignore"):
        return ratio_of(bound.distance(given), bound.bound)


def _read(
    place: OpenPlace, given: Array, low: Enclosure, high: Enclosure
) -> tuple[Array, NDArray[np.bool_]]:
    """λ where it can be read, NaN elsewhere; and where nothing in [0, 1] explains what came."""
    at_low = low.distance(given) <= low.bound
    at_high = high.distance(given) <= high.bound
    with np.errstate(all="ignore"):
        size = np.maximum(np.abs(low.high), np.abs(high.high))
        scale = np.where(size > _NEAR_THE_END, 0.25, 1.0)  # x₁ - x₀ is within float64 then
        step = scale * high.high - scale * low.high
        between = (scale * given - scale * low.high) / step
        next_to = np.clip(between, _NEXT_TO_AN_END, 1.0 - _NEXT_TO_AN_END)
    is_between = (between > 0) & (between < 1)
    is_mixture = (low.high != 0) & (high.high != 0)
    next_to = np.where(np.isnan(next_to), _NEXT_TO_AN_END, next_to)
    between = np.where(is_mixture & ~is_between, next_to, between)
    is_between |= is_mixture
    found = np.where(at_low, 0.0, np.where(at_high, 1.0, np.where(is_between, between, np.nan)))
    return np.where(place.is_open, found, np.nan), place.is_open & np.isnan(found)
