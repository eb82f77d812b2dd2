"""The one mistake that explains every failing case, if there is one.

A mistake *explains* a case if the gradient that was given lies in the enclosure of the reference's
with this mistake: the same bounds by which verdicts are given, of another program. Where its size
is free it is read off the numbers, and has to be the same in all cases: a number, or a symbol for
one of the case's sizes, 1 / n for a mean that was forgotten, so that n = 2 is not taken for "twice"
where other cases have other sizes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from crosscheck.frontends.case import FunctionCase
from crosscheck.judge.causes.edits import Edit, Editor
from crosscheck.judge.enclosed import leaves_bound
from crosscheck.network.composed import Derivatives
from crosscheck.network.tree import LeftOut
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.model import Model
from crosscheck.program.enclosures import OnEnclosures
from crosscheck.program.evaluate import values_of

__all__ = ["Cause", "Failing", "Size", "find_cause"]

_MOST_CASES = 12
_MOST_TRIED = 8
_LARGEST_DENOMINATOR = 1000


@dataclass(frozen=True)
class Size:
    """How large a mistake is: a number, or a product of axes' lengths and such.

    Attributes:
        symbol: For people: ``"2"``, ``"1/n"``.
        number: The number where it does not depend on the case.
    """

    symbol: str
    number: Fraction | None = None


@dataclass(frozen=True)
class Cause:
    """One mistake that explains what was given in every failing case.

    Attributes:
        edit: The mistake.
        factor: What something is multiplied with: c, of a scaled use or array; the slope of a
            piece; ``None`` where there is no size.
        wrong: Names of the arrays that it makes wrong.
    """

    edit: Edit
    factor: Size | None
    wrong: tuple[str, ...]


class Failing:
    """A case on which something wrong was returned.

    Args:
        case: The case, of the function as it was traced.
        given: What was returned.
        sizes: Name of each axis to its length.
    """

    def __init__(
        self, case: FunctionCase, given: Derivatives, sizes: Mapping[str, int] | None = None
    ) -> None:
        self.case, self.given = case, given
        self.sizes = dict(sizes or {})
        self.model = Model(format_of(case.dtype))

    @cached_property
    def editor(self) -> Editor:
        """The mistakes that can be made in it."""
        return Editor(self.case)

    @cached_property
    def derivatives(self) -> dict[str, Array]:
        """What was given of the derivatives."""
        return {
            name: np.asarray(value, dtype=np.float64)
            for name, value in self.given.arrays.items()
            if name in self.case.parameters and not isinstance(value, LeftOut)
        }

    @cached_property
    def _arrays(self) -> dict[str, Enclosure]:
        return {name: Enclosure.of(self.model, each) for name, each in self.case.entries()}

    @cached_property
    def _forward(self) -> Mapping[int, Enclosure]:
        with np.errstate(all="ignore"):
            return values_of(self.case.program, OnEnclosures(self.model), self._arrays)

    def is_explained(self, edit: Edit | None, size: Fraction = Fraction(0)) -> bool:
        """Whether the derivatives lie in the enclosure of the reference's with a mistake."""
        program = self.editor.gradient(edit, size)
        with np.errstate(all="ignore"):
            values = values_of(program, OnEnclosures(self.model), self._arrays, self._forward)
            for name, given in self.derivatives.items():
                value = values[program.outputs[name]]
                bound = Enclosure(self.model, value.c, value.r, value.e)
                whole = OnEnclosures(self.model).broadcast(bound, self.case.shapes[name])
                if whole.shape != given.shape or leaves_bound(whole, given).any():
                    return False
        return True

    def fit(self, edit: Edit) -> tuple[float, float]:
        """The size of a mistake by least squares, and what it leaves, as a share of what is wrong.

        Returns:
            (0, ∞) for a mistake that has no effect here.
        """
        effect = self.editor.effect(edit)
        if effect is None:
            return 0.0, math.inf
        off, changed = [], []
        for name, given in self.derivatives.items():
            if given.shape == effect[name].shape:
                off.append((given - self.editor.right[name]).ravel())
                changed.append(effect[name].ravel())
        e, d = np.concatenate(changed), np.concatenate(off)
        if not e.any() or not np.isfinite(d).all():
            return 0.0, math.inf
        size = float(e @ d / (e @ e)) if edit.is_free else 1.0
        rest = float(np.linalg.norm(d - size * e))
        whole = float(np.linalg.norm(d))
        return size, rest / whole if whole else math.inf


def find_cause(failing: Sequence[Failing]) -> Cause | None:
    """The mistake that explains all cases, the simplest first.

    Args:
        failing: Cases with what was returned for them, of different sizes where there are any.
    """
    cases = sorted(failing, key=lambda each: each.case.size)[-_MOST_CASES:]
    if not cases:
        return None
    for edit in _likely(cases):
        for size, value in _sizes(edit, cases):
            if all(
                each.is_explained(edit, number) for each, number in zip(cases, value, strict=True)
            ):
                wrong = {
                    name
                    for each in cases
                    for name in each.derivatives
                    if (effect := each.editor.effect(edit)) is not None and effect[name].any()
                }
                order = tuple(name for name in cases[0].derivatives if name in wrong)
                return Cause(edit, _factor(edit, size, cases), order)
    return None


def _likely(cases: Sequence[Failing]) -> list[Edit]:
    """The mistakes that leave least of what is wrong in the case that tells most, in order."""
    telling = cases[-1]
    names = list(telling.derivatives)
    edits = [Edit("array", ""), *(Edit("array", name) for name in names), *telling.editor.uses]
    left = {edit: telling.fit(edit)[1] for edit in edits}
    order = {edit: place for place, edit in enumerate(edits)}
    ranked = sorted(edits, key=lambda each: (left[each], order[each]))[:_MOST_TRIED]
    half = [each for each in ranked if left[each] < 0.5]
    # What comes of rounding alone does not order them; simpler and outer ones come first.
    return sorted(half, key=lambda each: order[each])


def _sizes(
    edit: Edit, cases: Sequence[Failing]
) -> Iterator[tuple[Size | None, tuple[Fraction, ...]]]:
    """How large it may be, and that in each case."""
    if not edit.is_free:
        yield None, (Fraction(1),) * len(cases)
        return
    shift = 0 if edit.kind == "piece" else 1
    fits = [each.fit(edit) for each in cases]
    known = [size for size, left in fits if math.isfinite(left)]
    if not known:
        return
    if edit.kind != "piece":
        yield from _symbols(cases, known)
    simple = Fraction(known[-1] + shift).limit_denominator(_LARGEST_DENOMINATOR)
    yield Size(str(simple), simple), (simple - shift,) * len(cases)


def _symbols(
    cases: Sequence[Failing], known: Sequence[float]
) -> Iterator[tuple[Size, tuple[Fraction, ...]]]:
    """Numbers, and products of sizes, that are near to what was read in the last case."""
    plain = [Fraction(each) for each in (0, -1, 2, Fraction(1, 2), -2, 4, Fraction(1, 4))]
    candidates: list[tuple[Size, list[Fraction]]] = [
        (Size(str(each), each), [each] * len(cases)) for each in plain
    ]
    names = sorted({name for each in cases for name in each.sizes})
    for count in (1, 2, 3):
        for chosen in itertools.combinations(names, count):
            lengths = [math.prod(each.sizes.get(name, 0) for name in chosen) for each in cases]
            if 0 in lengths or len(set(lengths)) == 1:
                continue
            symbol = "·".join(chosen)
            for factor in (1, 2):
                more = "" if factor == 1 else f"{factor}·"
                below = f"({symbol})" if count > 1 else symbol
                candidates += [
                    (Size(f"{more}{symbol}"), [Fraction(factor * each) for each in lengths]),
                    (Size(f"{factor}/{below}"), [Fraction(factor, each) for each in lengths]),
                ]
    candidates.sort(key=lambda each: abs(float(each[1][-1]) - 1.0 - known[-1]))
    for size, values in candidates[:3]:
        yield size, tuple(value - 1 for value in values)


def _factor(edit: Edit, size: Size | None, cases: Sequence[Failing]) -> Size | None:
    """What it is multiplied with, or the slope that a piece has."""
    if edit.kind != "piece" or size is None or size.number is None:
        return size
    editor = cases[-1].editor
    number, _ = min(editor.uses[edit])
    function = editor.program.nodes[number].settings["function"]
    if edit.piece < 0:
        base = function.slopes(float(function.breakpoints[-1 - edit.piece]))[0]
    else:
        piece = function.derivative.pieces[edit.piece]
        base = piece[0] if piece else Fraction(0)
    slope = Fraction(base) + size.number
    return Size(str(float(slope)), slope)
