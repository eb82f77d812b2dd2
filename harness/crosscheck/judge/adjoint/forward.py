"""The terms of entries that forward mode computes.

With a one-hot tangent of one parameter the tangents ȧ_l are a program as the values are
(`crosscheck.program.derive.jvp`), in which every sum is open for any order. The last step is

    J̇ = Σ g_L ∘ ȧ_L,    g_L = (a_L - y) / B,    ∂J̇/∂ȧ_L = g_L,  ∂J̇/∂g_L = ȧ_L,  ∂g_L/∂a_L = 1/B,

and what it loses where 2, ½ and 1 / B stand somewhere else is bounded as one rounding
(`crosscheck.network.loss_bounds.loss_tangent`), on balls as everything else. That is for dense
networks. In networks of operators J̇ is the tangent of a program like any other: its constants are
primitives that may be put anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache, partial

import numpy as np

from crosscheck.judge.adjoint.boxes import Box, ball_of
from crosscheck.judge.adjoint.terms import Position, Terms, at_once, charged, charges, joined
from crosscheck.judge.decisions import Place
from crosscheck.judge.programs.tangents import ALONG, DOT, along
from crosscheck.network.composed import Composed
from crosscheck.network.dense import Case
from crosscheck.network.loss_bounds import loss_and_cotangent, loss_tangent
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.balls import Ball
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.model import Model
from crosscheck.numbers.rounding import or_infinity, up
from crosscheck.program.derive import jvp
from crosscheck.program.graph import Program

__all__ = ["forward_terms", "terms_of_dense"]

_OUTPUT, _DOT = "a", "a."


def forward_terms(
    case: Composed,
    model: Model,
    slopes: Mapping[Place, float],
    positions: Sequence[Position],
) -> Terms:
    """What rounding can do to some derivatives in forward mode.

    Args:
        case: A single finite case.
        model: The arithmetic that frameworks are held to.
        slopes: λ by nodes of its program.
        positions: K entries, none of them the loss.
    """

    def of_some(program: Program, arrays: Mapping[str, Array], count: int) -> Terms:
        if not program.outputs:
            return Terms(*np.zeros((3, count)))
        box = Box(program, model, arrays, slopes)
        ones = np.ones(count)
        return charged(box, {DOT: Ball(ones, np.zeros_like(ones))})

    return _by_array(case, positions, partial(along, case.program), of_some)


def terms_of_dense(
    case: Case,
    network: Composed,
    model: Model,
    slopes: Mapping[Place, float],
    positions: Sequence[Position],
) -> Terms:
    """`forward_terms` of a dense network.

    Args:
        case: A single finite case.
        network: The same as a network of operators.
        model: The arithmetic that frameworks are held to.
        slopes: λ by nodes of the network's program.
        positions: K entries, none of them the loss.
    """
    output = network.results[network.steps[-1].operands["a"]]

    def of_some(program: Program, arrays: Mapping[str, Array], _: int) -> Terms:
        return _terms(case, Box(program, model, arrays, slopes))

    return _by_array(network, positions, partial(_along, network.program, output), of_some)


def _by_array(
    case: Composed,
    positions: Sequence[Position],
    program_of: Callable[[str], Program],
    of_some: Callable[[Program, Mapping[str, Array], int], Terms],
) -> Terms:
    """The terms of all positions, those of an array's entries together as far as there is room.

    Args:
        case: The case.
        positions: K entries.
        program_of: The program along an array.
        of_some: The terms of a program's results, of arrays with one-hot tangents of so many
            entries among them.
    """
    found: dict[int, Terms] = {}
    for name in dict.fromkeys(name for name, _ in positions):
        rows = [k for k, (each, _) in enumerate(positions) if each == name]
        program = program_of(name)
        step = at_once(program) if program.outputs else len(rows)
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            one_hot = np.zeros((len(some), *case.shapes[name]))
            for k, row in enumerate(some):
                one_hot[(k, *positions[row][1])] = 1.0
            arrays = {**dict(case.entries()), ALONG + name: one_hot}
            terms = of_some(program, arrays, len(some))
            for k, row in enumerate(some):
                found[row] = Terms(*(each[k : k + 1] for each in terms))
    return joined([found[k] for k in range(len(positions))])


@lru_cache(maxsize=256)
def _along(program: Program, output: int, name: str) -> Program:
    """The output of a network and its tangent along an array."""
    whole = Program(program.nodes, program.inputs, {_OUTPUT: output})
    return jvp(whole, {name: ALONG + name})


def _terms(case: Case, box: Box) -> Terms:
    """Those of K entries, of which the program has the tangents."""
    program, network = box.program, case.network
    output, dot = (box.balls[program.outputs[each]] for each in (_OUTPUT, _DOT))
    rows = case.rows if network.reduction == "mean" else 1
    with np.errstate(all="ignore"):
        loss, g = loss_and_cotangent(network, output, Enclosure.of(box.model, case.y))
        end = loss_tangent(ball_of(box.model, g), dot, rows)
        # Where Σ d² may overflow J̇ may be NaN.
        last = np.where(np.isfinite(loss.e), or_infinity(end.e), np.inf)
        tangent, cotangent = box.known[program.outputs[_DOT]], box.narrow(ball_of(box.model, g))
        shape = np.broadcast_shapes(tangent.shape, cotangent.shape)
        tangent, cotangent = (
            each.map(lambda array: np.broadcast_to(array, shape)) for each in (tangent, cotangent)
        )
        seeds = {_OUTPUT: tangent.times(Fraction(1, rows)), _DOT: cotangent}
        residual = charges(g.e, [tangent])
        found = charged(box, seeds)
    return Terms(
        or_infinity(up(found.bound + residual.bound + last, 3)),
        or_infinity(up(found.per_use + residual.bound + last, 3)),
        or_infinity(np.sqrt(found.expected**2 + residual.expected**2 + last**2)),
    )
