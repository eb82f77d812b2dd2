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
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import numpy as np

from crosscheck.frontends.case import FunctionCase
from crosscheck.judge.causes.edits import Edit, Editor
from crosscheck.judge.decisions import GateClass
from crosscheck.judge.enclosed import leaves_bound
from crosscheck.judge.programs.enclosed import EnclosedProgram
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

    def within(self, sizes: Mapping[str, int]) -> Fraction:
        """The number in a case whose axes have these lengths; of an unknown axis 1."""
        if self.number is not None:
            return self.number
        above, _, below = self.symbol.partition("/")
        return Fraction(_length(above, sizes), _length(below or "1", sizes))


def _length(symbol: str, sizes: Mapping[str, int]) -> int:
    """A product of axes' lengths and whole numbers."""
    parts = symbol.strip("()").split("·")
    return math.prod(int(each) if each.isdigit() else sizes.get(each, 1) for each in parts)


@dataclass(frozen=True)
class Cause:
    """One mistake that explains what was given in every failing case.

    Attributes:
        edit: The mistake.
        factor: What something is multiplied with: c, of a scaled use or array; the slope of a
            piece; ``None`` where there is no size.
        wrong: Names of the arrays that it makes wrong.
        at: λ, of a slope at a breakpoint.
        size: c, of a scaled use or array; of a piece what is added to the slope.
    """

    edit: Edit
    factor: Size | None
    wrong: tuple[str, ...]
    at: Fraction | None = None
    size: Size | None = None

    def explains(self, failing: Failing) -> bool:
        """Whether it explains another case."""
        size = Fraction(1)
        if self.size is not None:
            shift = 0 if self.edit.kind == "piece" else 1
            size = self.size.within(failing.sizes) - shift
        return failing.is_explained(self.edit, size)


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
    def _enclosed(self) -> EnclosedProgram:
        return EnclosedProgram(self.case, self.model)

    @property
    def has_open(self) -> bool:
        """Whether it holds a kink or a tie, or something next to one."""
        return bool(self._enclosed.has_open)

    @cached_property
    def _arrays(self) -> dict[str, Enclosure]:
        return {name: Enclosure.of(self.model, each) for name, each in self.case.entries()}

    def _arithmetic(self, edit: Edit | None) -> OnEnclosures:
        """With every slope at open decisions; for a mistake in slopes, the exact sides'."""
        if edit is None or edit.kind != "piece":
            return OnEnclosures(self.model, any_slope=dict(self._enclosed.is_open))
        decided: dict[int, Array] = {}
        for each in self._enclosed.decisions:
            if each.gate is GateClass.UNDECIDED and each.place.node in self._enclosed.sites:
                shape = self._enclosed.values[each.place.node].shape
                sides = decided.setdefault(each.place.node, np.zeros(shape))
                sides[each.place.index] = each.side
        return OnEnclosures(self.model, decided)

    def is_explained(self, edit: Edit | None, size: Fraction = Fraction(0)) -> bool:
        """Whether the derivatives lie in the enclosure of the reference's with a mistake."""
        return next(self._outside(edit, size), None) is None

    @cached_property
    def wrong(self) -> frozenset[str]:
        """Names of the derivatives that leave the enclosure of the reference's."""
        return frozenset(self._outside(None, Fraction(0)))

    def _outside(self, edit: Edit | None, size: Fraction) -> Iterator[str]:
        program = self.editor.gradient(edit and self.own(edit), size)
        with np.errstate(all="ignore"):
            arithmetic = self._arithmetic(edit)
            values = values_of(program, arithmetic, self._arrays, self._enclosed.values)
            for name, given in self.derivatives.items():
                value = values[program.outputs[name]]
                bound = Enclosure(self.model, value.c, value.r, value.e)
                whole = OnEnclosures(self.model).broadcast(bound, self.case.shapes[name])
                if whole.shape != given.shape or leaves_bound(whole, given).any():
                    yield name

    def own(self, edit: Edit) -> Edit:
        """A mistake of another case in this one, where its node has another number."""
        if edit.kind != "missing" or edit in self.editor.missing:
            return edit
        same = (
            each
            for each in self.editor.missing
            if each.op == edit.op and each.source == edit.source and each.source is not None
        )
        return next(same, edit)

    def changed_by(self, edit: Edit) -> set[str]:
        """The derivatives that a mistake changes here."""
        effect = self.editor.effect(self.own(edit)) or {}
        return {name for name in self.derivatives if name in effect and effect[name].any()}

    def fit(self, edit: Edit) -> tuple[float, float]:
        """The size of a mistake by least squares, and what it leaves, as a share of what is wrong.

        Returns:
            (0, ∞) for a mistake that has no effect here.
        """
        effect = self.editor.effect(self.own(edit))
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
    # What is read off one case is read where floats and what was given decide alike.
    cases.sort(key=lambda each: not each.has_open)
    for edit in _likely(cases):
        for size, value in _sizes(edit, cases):
            if all(
                each.is_explained(edit, number) for each, number in zip(cases, value, strict=True)
            ):
                return _cause(edit, size, cases)
    return None


def _cause(edit: Edit, size: Size | None, cases: Sequence[Failing]) -> Cause:
    wrong = {name for each in cases for name in each.changed_by(edit)}
    order = tuple(name for name in cases[0].derivatives if name in wrong)
    factor = _factor(edit, size, cases)
    at = None
    if edit.kind == "piece" and edit.piece < 0 and factor and factor.number is not None:
        at = convention(edit, factor.number, cases)
    return Cause(edit, factor, order, at, size)


def _likely(cases: Sequence[Failing]) -> Iterator[Edit]:
    """The mistakes that leave least of what is wrong in the case that tells most, in order.

    Exchanges are many, and come last: only those at uses that reach just what is wrong.
    """
    telling = cases[-1]
    names, editor = list(telling.derivatives), telling.editor
    edits = [Edit("array", ""), *(Edit("array", name) for name in names), *editor.uses]
    edits += [each for each in editor.missing if each.op in names]
    yield from _best(telling, edits)
    wrong = telling.wrong
    yield from _best(
        telling,
        [
            each
            for each in editor.exchanges
            if telling.changed_by(replace(each, kind="scaled", other="", taken="")) == wrong
        ],
    )


def _best(telling: Failing, edits: Sequence[Edit]) -> list[Edit]:
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
        yield from _symbols(cases, [size for size, _ in fits], [left for _, left in fits])
    simple = Fraction(known[-1] + shift).limit_denominator(_LARGEST_DENOMINATOR)
    yield Size(str(simple), simple), (simple - shift,) * len(cases)


def _symbols(
    cases: Sequence[Failing], read: Sequence[float], left: Sequence[float]
) -> Iterator[tuple[Size, tuple[Fraction, ...]]]:
    """Numbers, and products of sizes, the nearest first to what was read in all cases."""
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

    def distance(candidate: tuple[Size, list[Fraction]]) -> float:
        told = zip(candidate[1], read, left, strict=True)
        return sum(abs(float(c) - 1.0 - t) / (1.0 + abs(t)) for c, t, rest in told if rest < 0.5)

    candidates.sort(key=distance)
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
    slope = (Fraction(base) + size.number).limit_denominator(_LARGEST_DENOMINATOR)
    return Size(f"{float(slope):g}", slope)


def convention(edit: Edit, slope: Fraction, cases: Sequence[Failing]) -> Fraction | None:
    """λ of a slope at a breakpoint: its place between those on the left and on the right."""
    editor = cases[-1].editor
    number, _ = min(editor.uses[edit])
    function = editor.program.nodes[number].settings["function"]
    left, right = map(Fraction, function.slopes(float(function.breakpoints[-1 - edit.piece])))
    return None if left == right else (slope - left) / (right - left)
