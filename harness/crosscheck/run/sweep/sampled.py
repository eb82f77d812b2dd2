"""The share of a sweep's cases that is asked which arrays its bounds check.

What `crosscheck.judge.vacuity` calls not checked depends on the case and the bounds, not on the
answer; and a compiled pass that also looked for the largest |c| / b of each array would be slower
for every case. So it is asked of the first few cases of every sixteenth block, of small networks 17
in 262,144. Consecutive numbers are spread evenly over the families
(`crosscheck.cases.stream.families.Mix`). Cases whose gates are not all certain, or that are not
finite, are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from crosscheck.cases.stream.generate import Block
from crosscheck.cases.stream.settings import Part, Shape
from crosscheck.judge.enclosed import Derivation
from crosscheck.judge.stacks import StackJudge

__all__ = ["Sample", "asked", "sample"]

_EVERY = 16
"""Blocks, of which the first is asked."""
_CASES = 17
"""At the most: number 0 of a block is of a family with kinks, sixteen more are like all others."""
_NUMBERS = 2**18
"""In the cases of a sample, so that it takes little time and memory beside its block."""


@dataclass(frozen=True)
class Sample:
    """What would be checked of one case.

    Attributes:
        position: Of the case in its block.
        derivation: The mode of differentiation.
        checked: The arrays that are checked.
        unchecked: The arrays that are not.
    """

    position: int
    derivation: Derivation
    checked: tuple[str, ...]
    unchecked: tuple[str, ...]


def asked(shape: Shape, number: int) -> range:
    """The positions in block ``number`` of a stream that are asked."""
    if number % _EVERY:
        return range(0)
    return range(min(_CASES, max(2, _NUMBERS // shape.numbers)))


def sample(
    part: Part, number: int, made: Block, derivations: Iterable[Derivation]
) -> Sequence[Sample]:
    """What would be checked of the cases of a batch that are asked.

    Args:
        part: Of the sweep.
        number: Of its block.
        made: A batch of it.
        derivations: Of the frameworks.
    """
    first, last = made.first, made.first + made.batch.count
    positions = [each for each in asked(part.shape, number) if first <= each < last]
    if not positions:
        return ()
    stack = made.batch.case(np.array(positions) - first)
    finite = np.flatnonzero(stack.are_finite)
    if not len(finite):
        return ()
    judge = StackJudge(made.batch.case(finite + positions[0] - first))
    found = []
    for derivation in sorted(set(derivations), key=get_args(Derivation).index):
        opened = judge.enclosed(derivation).has_open_gates.tolist()
        arrays = judge.arrays_checked(derivation)
        for place, is_open, names in zip(finite.tolist(), opened, arrays, strict=True):
            if not is_open:
                found.append(Sample(positions[place], derivation, *names))
    return found
