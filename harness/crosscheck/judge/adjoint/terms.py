"""What the rounding errors of all values can do to entries of a result.

See `crosscheck.judge.adjoint` for what is computed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import NamedTuple, TypeAlias

import numpy as np

from crosscheck.judge.adjoint.boxes import Box
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.balls import Ball
from crosscheck.numbers.ieee import TINY
from crosscheck.numbers.rounding import or_infinity, up
from crosscheck.program.balls import OnBalls
from crosscheck.program.derive import Use, shares
from crosscheck.program.graph import Program
from crosscheck.program.rules import rule_of

__all__ = ["Position", "Terms", "at_once", "charged", "charges", "joined", "terms"]

Position: TypeAlias = tuple[str, tuple[int, ...]]
"""Name of a result, and the index of an entry in it; of a scalar ``()``."""

_SEED = "∂"
"""What the inputs for cotangents begin with: no array's name does."""

_AT_ONCE = 2**19
"""Of so many numbers the derivatives by them are held at the same time."""


class Terms(NamedTuple):
    """What rounding can do to K entries, arrays of shape (K,).

    Attributes:
        bound: Σ_i l_i sup |∂v_out/∂v_i|.
        per_use: The same with each use of a value rounded by itself.
        expected: The root of the sum of the squares of the terms of ``bound``; no bound.
    """

    bound: Array
    per_use: Array
    expected: Array


def terms(box: Box, positions: Sequence[Position]) -> Terms:
    """What rounding can do to entries of results.

    Args:
        box: All evaluations.
        positions: K entries; those of one result side by side take less time.
    """
    step = at_once(box.program)
    return joined(
        [
            charged(box, _seeds(box.program, positions[start : start + step]))
            for start in range(0, len(positions), step)
        ]
    )


def at_once(program: Program) -> int:
    """How many entries are looked at together."""
    return max(1, _AT_ONCE // sum(math.prod(program.nodes[k].shape) for k in program.needed))


def joined(parts: Sequence[Terms]) -> Terms:
    """The terms of some entries, and of others."""
    if not parts:
        return Terms(*np.zeros((3, 0)))
    return Terms(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def charged(box: Box, seeds: Mapping[str, Ball]) -> Terms:
    """What rounding can do to K functions of results.

    Args:
        box: All evaluations.
        seeds: The functions' derivatives by results, by the results' names; K in front.
    """
    program = box.program
    derived, uses = _shares(program, tuple(seeds), box.rounds)
    sent: dict[int, list[Ball]] = {}
    for name, seed in seeds.items():
        sent.setdefault(program.outputs[name], []).append(seed)
    count = len(next(iter(seeds.values())).c)
    with np.errstate(all="ignore"):
        values = _derivatives(box, derived, uses, seeds)
        for (consumer, at), share in uses.items():
            number = program.nodes[consumer].inputs[at]
            if not box.is_open(consumer, number):
                sent.setdefault(number, []).append(values[share])
        bound, per_use, squares = np.zeros((3, count))
        for number in sent.keys() & box.rounds:
            one = charges(box.rounding[number], sent[number])
            bound, per_use = bound + one.bound, per_use + one.per_use
            squares = squares + one.expected**2
        return Terms(
            or_infinity(up(bound, len(sent))),
            or_infinity(up(per_use, len(sent))),
            or_infinity(np.sqrt(squares)),
        )


def _seeds(program: Program, positions: Sequence[Position]) -> dict[str, Ball]:
    """The cotangents of the results: 1 at the entry that is looked at, 0 elsewhere."""
    found = {}
    for name in dict.fromkeys(name for name, _ in positions):
        shape = program.nodes[program.outputs[name]].shape
        seeds = np.zeros((len(positions), *shape))
        for k, (each, index) in enumerate(positions):
            if each == name:
                seeds[(k, *index)] = 1.0
        found[name] = Ball(seeds, np.zeros_like(seeds))
    return found


def _derivatives(
    box: Box, derived: Program, uses: Mapping[Use, int], seeds: Mapping[str, Ball]
) -> dict[int, Ball]:
    """Every node that the derivatives need, on balls with an axis over the entries in front."""
    of_gradients = OnBalls(partial(box.slope, of_value=False), box.weights)
    of_values = OnBalls(partial(box.slope, of_value=True), box.weights)
    # What is sent down is linear in seeds, so that no factor of a slope is a constant: it is a
    # `select` itself, and not one times that.
    from_values = {
        share
        for (consumer, _), share in uses.items()
        if box.program.nodes[consumer].op == "piecewise"
    }
    found = dict(box.known)
    for name, seed in seeds.items():
        found[derived.inputs[_SEED + name]] = seed
    for number in derived.needed:
        if number not in found:
            node = derived.nodes[number]
            arithmetic = of_values if number in from_values else of_gradients
            operands = [found[each] for each in node.inputs]
            found[number] = rule_of(node.op).value(arithmetic, node, operands)
    return found


def charges(rounding: Array, sent: Sequence[Ball]) -> Terms:
    """What the rounding of one array can do, by what its uses send down.

    Args:
        rounding: l of each of its entries; K in front, or not.
        sent: What each use sends down, with an axis over K functions in front.
    """
    apart = sent[0].size
    together = apart
    for each in sent[1:]:
        apart = apart + each.size
    if len(sent) > 1:
        whole = sent[0]
        for each in sent[1:]:
            whole = whole + each
        apart = up(apart, len(sent))
        together = np.minimum(whole.size, apart)
    axes = tuple(range(1, apart.ndim))
    size = apart[0].size + 4
    products = rounding * together
    lost = np.count_nonzero((rounding != 0.0) & (apart != 0.0), axis=axes) * TINY
    bound = up(products.sum(axis=axes), size) + lost
    per_use = bound if len(sent) == 1 else up((rounding * apart).sum(axis=axes), size) + lost
    return Terms(bound, per_use, np.sqrt((products * products).sum(axis=axes)))


@lru_cache(maxsize=512)
def _shares(
    program: Program, outputs: tuple[str, ...], nodes: frozenset[int]
) -> tuple[Program, Mapping[Use, int]]:
    return shares(program, {name: _SEED + name for name in outputs}, nodes)
