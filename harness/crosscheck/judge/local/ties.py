"""The weights of tied maxima, as one step had them.

A step that takes the largest of numbers sends each *member* of a tie a weight times what comes to
the window, and an operand's entry has the sum over the windows that it is in. So with g_j what
comes to window j,

    ŝ_i = Σ over windows j with i   w_ji g_j,     w_ji >= 0,     Σ_i w_ji = 1.

The weights that frameworks have are tried first: all of it to the first member, to the last, or
equal shares. A window is explained by them where all its members' entries are within their bounds.
What is left is read entry by entry: the weight of an entry that is in one such window only is what
is left of ŝ_i by g_j, which may leave another entry with one window, or a window with one member,
that has the rest of 1. Weights that were read are divided by their sum, 1 up to rounding: each is
off by a rounding more then, which its bound has for a weight that is formed. What comes of them is
tested like everything else; of windows that go round in a circle nothing is read, and any weights
may be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.numbers.arrays import Array
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.program.enclosures import OnEnclosures
from crosscheck.program.evaluate import evaluate, values_of
from crosscheck.program.floats import OnFloats
from crosscheck.program.graph import Program

__all__ = ["TiesRead", "in_order", "read_ties"]

_ONLY_MOVES = frozenset(
    {"input", "take", "add", "times_constants", "expand", "squeeze", "transpose"}
)
_MOST_ROUNDS = 64

Sent = Mapping[str, Enclosure]
"""By name, what goes down to each operand."""


@dataclass(frozen=True)
class TiesRead:
    """What was read of a step's ties.

    Attributes:
        weights: Of each site that has a tie, float64 of its shape.
        free: Of such a site, where any weight may be.
        tied: Where its numbers are tied.
    """

    weights: Mapping[int, Array] = field(default_factory=dict)
    free: Mapping[int, NDArray[np.bool_]] = field(default_factory=dict)
    tied: Mapping[int, NDArray[np.bool_]] = field(default_factory=dict)


def read_ties(
    program: Program,
    values: Mapping[int, Enclosure],
    given: Mapping[str, Array],
    sent: Callable[[Mapping[int, Array]], Sent],
) -> TiesRead:
    """The weights that explain what was sent, as far as they can be read.

    Args:
        program: The step's.
        values: Of its nodes.
        given: What was sent to each operand.
        sent: What goes down to each operand for some weights, by site.
    """
    factors = {
        node.inputs[0]: node.inputs[1]
        for node in (program.nodes[number] for number in program.needed)
        if node.op == "largest"
    }
    tied = {site: OnEnclosures.tied(values[site]) for site in factors}
    tied = {site: where for site, where in tied.items() if where.any()}
    if not tied:
        return TiesRead()
    chosen = {site: OnEnclosures.first_largest(values[site]) for site in tied}
    members = {site: _members(values[site], where) for site, where in tied.items()}
    origins = {site: _origin(program, site, tuple(given)) for site in tied}
    left: dict[int, Any] = {site: where.any(axis=-1) for site, where in tied.items()}
    for shares in (_first, _last, _alike):
        tried = {
            site: np.where(left[site][..., None], shares(members[site]), chosen[site])
            for site in tied
        }
        found = sent(tried)
        inside = {
            name: found[name].distance(each) <= found[name].bound for name, each in given.items()
        }
        for site, where in tied.items():
            if (origin := origins[site]) is None:
                continue
            fits = origin.at_site(inside, where.shape)
            fits = (fits | ~where).all(axis=-1) & left[site]
            chosen[site] = np.where(fits[..., None], tried[site], chosen[site])
            left[site] = left[site] & ~fits
        if not any(each.any() for each in left.values()):
            return TiesRead(chosen, {}, tied)
    free = {}
    for site in tied:
        origin = origins[site]
        is_open = left[site][..., None] & tied[site]
        if origin is None:
            free[site] = is_open
            continue
        nothing = {**chosen, site: np.where(left[site][..., None], 0.0, chosen[site])}
        rest = {
            name: given[name] - np.where(np.isfinite(each.high), each.high, 0.0)
            for name, each in sent(nothing).items()
        }
        comes = np.broadcast_to(values[factors[site]].high, tied[site].shape)
        read, free[site] = origin.read(rest, comes, is_open)
        chosen[site] = np.where(left[site][..., None], read, chosen[site])
    return TiesRead(chosen, free, tied)


def in_order(
    program: Program, values: Mapping[int, Enclosure], keys: Mapping[str, Array], result: str
) -> TiesRead:
    """The weights where equal numbers were put in an order, as keys say.

    Args:
        program: The step's, which compares numbers in pairs.
        values: Of its nodes.
        keys: By operand, for each number the place it was put to: what is compared in its stead.
        result: Name of the step's value.
    """
    sites = {node.inputs[0] for node in program.nodes if node.op == "largest"}
    tied = {site: OnEnclosures.tied(values[site]) for site in sites}
    tied = {site: where for site, where in tied.items() if where.any()}
    forward = Program(program.nodes, program.inputs, {result: program.outputs[result]})
    placed = values_of(forward, OnFloats(), keys) if tied else {}
    weights = {
        site: np.asarray((placed[site] == placed[site].max(axis=-1, keepdims=True)) * 1.0)
        for site in tied
    }
    return TiesRead(weights, {}, tied)


def _members(a: Enclosure, tied: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Those of the numbers that may be the largest which are that."""
    best = np.where(tied, a.high, -np.inf).max(axis=-1, keepdims=True)
    return np.asarray(tied & (a.high == best))


def _first(members: NDArray[np.bool_]) -> Array:
    return np.asarray((members & (np.cumsum(members, axis=-1) == 1)) * 1.0)


def _last(members: NDArray[np.bool_]) -> Array:
    return _first(members[..., ::-1])[..., ::-1]


def _alike(members: NDArray[np.bool_]) -> Array:
    return np.asarray(members / np.maximum(members.sum(axis=-1, keepdims=True), 1))


@dataclass(frozen=True, eq=False)
class _Origin:
    """Where the numbers at a site come from.

    Attributes:
        names: Of the operands.
        places: Of each number at the site its place among all operands' numbers, of one case.
        signs: -1.0 where the sign was changed, likewise.
    """

    names: tuple[str, ...]
    places: NDArray[np.intp]
    signs: Array

    def _flat(self, arrays: Mapping[str, Any], count: int) -> Any:
        """The operands' arrays one after the other, (C, N)."""
        return np.concatenate([arrays[name].reshape(count, -1) for name in self.names], axis=1)

    def at_site(self, arrays: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
        """The entries of operands' arrays that the numbers at the site come from."""
        count = math.prod(shape) // self.places.size
        return self._flat(arrays, count)[:, self.places].reshape(shape)

    def read(
        self, rest: Mapping[str, Array], comes: Array, is_open: NDArray[np.bool_]
    ) -> tuple[Array, NDArray[np.bool_]]:
        """Weights where they can be read, and where any may be.

        Args:
            rest: What the open windows have to send to each operand.
            comes: What comes to them, at each of their numbers.
            is_open: Their members.
        """
        count = is_open.size // self.places.size
        left = self._flat(rest, count)
        shape = (count, *self.places.shape)
        cases = np.arange(count).reshape(count, *[1] * self.places.ndim)
        at = tuple(np.broadcast_arrays(cases, self.places[None]))
        factor = comes.reshape(shape) * self.signs
        unread = is_open.reshape(shape).copy()
        weights, total = np.zeros(shape), np.ones((*shape[:-1], 1))
        for _ in range(_MOST_ROUNDS):
            windows = np.zeros(left.shape, dtype=np.int64)
            np.add.at(windows, at, unread)
            alone = unread & (windows[at] == 1)
            rest_of_it = unread & ~alone & (unread.sum(axis=-1, keepdims=True) == 1)
            now = alone | rest_of_it
            if not now.any():
                break
            with np.errstate(all="ignore"):
                share = np.where(factor != 0.0, left[at] / factor, 0.0)
            weights = np.where(alone, share, np.where(rest_of_it, total, weights))
            total = total - np.where(now, weights, 0.0).sum(axis=-1, keepdims=True)
            np.add.at(left, at, -np.where(now, weights * factor, 0.0))
            unread &= ~now
        free = unread.any(axis=-1, keepdims=True) & is_open.reshape(shape)
        weights = np.maximum(np.nan_to_num(weights), 0.0)
        sums = weights.sum(axis=-1, keepdims=True)
        nothing = _first(is_open.reshape(shape))  # as good as any, and held to its bound
        weights = np.where(sums > 0.0, weights / np.where(sums > 0.0, sums, 1.0), nothing)
        return weights.reshape(is_open.shape), free.reshape(is_open.shape)


@lru_cache(maxsize=256)
def _origin(program: Program, site: int, names: tuple[str, ...]) -> _Origin | None:
    """Where the numbers at a site come from, if they are only put there; else ``None``."""
    until = Program(program.nodes, program.inputs, {"site": site})
    if any(program.nodes[number].op not in _ONLY_MOVES for number in until.needed):
        return None
    tags, start = {}, 1
    for name, number in program.inputs.items():
        shape = program.nodes[number].shape
        size = math.prod(shape)
        if name in names:
            tags[name] = np.arange(start, start + size, dtype=np.float64).reshape(shape)
            start += size
    if not {program.nodes[number].settings.get("name") for number in until.needed} <= {None, *tags}:
        return None
    found = evaluate(until, OnFloats(), tags)["site"]
    return _Origin(tuple(tags), np.abs(found).astype(np.intp) - 1, np.sign(found))
