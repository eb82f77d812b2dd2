"""Verdicts on second derivatives: the Hessian of a loss, times a vector.

H v is a program of the same primitives as the gradient (`crosscheck.program.second`), so that what
bounds a gradient bounds it: rules that were derived once. Two certificates are asked for:

    a-priori    every entry, by the enclosures of the program that goes the framework's way
    adjoint     each rounding error times what it can do to an entry, by the mean value theorem
                (`crosscheck.judge.adjoint`); of one case, all entries of a small network, else some

**The reference** is an enclosure too: c with |c - q| <= r. Float64 has sums of two float64 as c,
and Arb's values of functions, so that r is about 2^-100 of the terms; what is coarser has float64.
Nothing of it depends on the bounds of frameworks.

**Where a second derivative is not judged.** At a breakpoint of a piece, or of its slope, at tied
maxima that matter, and where rounding cannot tell on which side of one a value is, there is none,
or it cannot be said which: the verdict is UNSUPPORTED, and the places are listed. Slopes are not
read there. Nor is a function judged of whose second derivative nobody has measured the roundings,
as division.

**Which way.** A framework that sends cotangents through the backward pass is held to that program,
one that carries tangents through it to the other. Where it has a formula of its own for the
derivative of a derivative, as PyTorch has for softmax, the formula is one of the ways that
`crosscheck.program.compounds` lists. A second derivative of an elementary function is held to the
roundings that were measured of it, f'' as differentiating twice returns it, and to two more for the
two factors it is multiplied by (`crosscheck.numbers.elementary_values`). Products of several
factors may be formed in any order: their relative errors are the same, and where the order decides
what underflows a product is SUBNORMAL at most. Coarser arithmetics are not looked for: their bounds
would hold much that is wrong, and what they explain DISAGREES.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from crosscheck.judge.adjoint.boxes import Box
from crosscheck.judge.adjoint.judge import sampled
from crosscheck.judge.adjoint.terms import terms
from crosscheck.judge.certificates import Certificate
from crosscheck.judge.enclosed import leaves_bound
from crosscheck.judge.entries import entry_of, misshapen_of, worst_of
from crosscheck.judge.libraries import departures, unmeasured, with_basis
from crosscheck.judge.programs.enclosed import EnclosedProgram
from crosscheck.judge.programs.explanation import consumer_of
from crosscheck.judge.vacuity import arrays_checked
from crosscheck.judge.verdict import Certified, Entry, Kind, Verdict
from crosscheck.network.composed import Composed
from crosscheck.network.names import LOSS, label
from crosscheck.network.second import Direction, Products, arrays_of, product_program
from crosscheck.numbers.elementary import ELEMENTARY
from crosscheck.numbers.elementary_values import box_of
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import Format, format_of
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.numbers.library import Library
from crosscheck.numbers.model import Model
from crosscheck.numbers.rounding import up
from crosscheck.numbers.sides import sides_of
from crosscheck.program.enclosures import OnEnclosures
from crosscheck.program.evaluate import values_of
from crosscheck.program.second import Way

__all__ = ["SecondJudge"]

_ENDLESS = "an intermediate result may overflow, or a function be asked outside its domain"
_NOT_FINITE = "the case holds NaN or infinity, of which second derivatives have no verdict"
_FACTORS = tuple(map(Fraction, ("0", "-1", "2", "1/2", "4", "1/4")))
"""Multiples of H v that mistakes make."""

Open = list[tuple[int, NDArray[np.bool_]]]
"""Nodes of the gradient's program, and where something is open at them."""


class SecondJudge:
    """Compares products of a Hessian with a vector with the reference.

    Args:
        case: A single case or a stack.
        direction: The vector.
    """

    def __init__(self, case: Composed, direction: Direction) -> None:
        self.case, self.direction = case, direction
        self.format: Format = format_of(case.dtype)
        self._bounds: dict[tuple[Model, Way], Products] = {}
        self._boxes: dict[tuple[Model, Way, int | None], Box] = {}

    @in_ieee_arithmetic
    def bounds(self, way: Way, model: Model | None = None) -> Products:
        """Enclosures of H v, for any evaluation that goes this way.

        Args:
            way: Which.
            model: The arithmetic; that of the dtype, with any library's functions, if not given.
        """
        key = model or Model(self.format), way
        if key not in self._bounds:
            program = product_program(self.case, way)
            given = arrays_of(self.case, self.direction)
            arrays = {name: Enclosure.of(key[0], array) for name, array in given.items()}
            with np.errstate(all="ignore"):
                found = values_of(program, OnEnclosures(key[0]), arrays)
            shapes = self.case.array_shapes
            closed = {}
            for name, number in program.outputs.items():
                value = Enclosure(key[0], found[number].c, found[number].r, found[number].e)
                if value.shape != shapes[name]:
                    value = OnEnclosures(key[0]).broadcast(value, shapes[name])
                closed[name] = value
            self._bounds[key] = Products(closed)
        return self._bounds[key]

    @cached_property
    @in_ieee_arithmetic
    def open_places(self) -> tuple[tuple[str, ...], ...]:
        """Of each case the values at which a first or second derivative is open; one of a single.

        A value is named as an entry of the result of the step that decides on it.
        """
        enclosed = EnclosedProgram(self.case, Model(self.format))
        found: list[list[str]] = [[] for _ in range(self.case.count or 1)]
        for site, some in sorted(self._open(enclosed), key=lambda each: each[0]):
            shape = self.case.program.nodes[site].shape
            whole = np.broadcast_to(some, (len(found), *shape))
            step = consumer_of(enclosed, site, self.case.step_of)
            for number, *index in np.argwhere(whole).tolist():
                found[number].append(label(step, index))
        return tuple(tuple(dict.fromkeys(each)) for each in found)

    def _open(self, enclosed: EnclosedProgram) -> Open:
        found = list(enclosed.is_open.items())
        values = enclosed.values
        program = product_program(self.case, "forward over reverse")
        with np.errstate(all="ignore"):
            for number in program.needed:
                node = program.nodes[number]
                if node.op == "select":
                    sides = sides_of(values[node.inputs[0]], node.settings["function"])
                    jumps = node.settings["function"].derivative.jumps
                    for k, jumps_there in enumerate(jumps):
                        if jumps_there:
                            some = (sides.first <= k) & (k < sides.last)
                            found.append((node.inputs[0], some))
                if node.op == "elementary" and node.inputs[0] in values:
                    jump = ELEMENTARY[node.settings["function"]].jumps
                    if node.settings["order"] >= jump:
                        box = box_of(values[node.inputs[0]])
                        found.append((node.inputs[0], (box.low <= 0.0) & (box.high >= 0.0)))
        return found

    def verdicts(
        self,
        given: Products,
        names: tuple[str, str],
        way: Way,
        *,
        library: Library | None = None,
        by_adjoint: int = 1,
    ) -> list[Verdict]:
        """What comparing ``given`` with the reference says, of each case; one of a single case.

        Args:
            given: What a framework returned; float64 arrays, with an axis over cases for a stack.
            names: Of the framework and its mode.
            way: As what the framework computed it.
            library: Whose elementary functions were called; any, if none is given.
            by_adjoint: Of how many cases, the first ones, the adjoint certificate is asked for.
        """
        named = Verdict(names[0], "", f"{names[1]}, {way}", Kind.DISAGREES)
        shapes = self.case.array_shapes
        if wrong := misshapen_of(given, {name: shapes[name] for name in self.case.wanted}):
            return [replace(named, detail=wrong)] * (self.case.count or 1)
        program = product_program(self.case, way)
        if unknown := unmeasured(program, library, self.case.dtype):
            named = replace(named, kind=Kind.UNSUPPORTED, detail=f"not judged: {unknown}")
            return [named] * (self.case.count or 1)
        found = []
        for number in range(self.case.count or 1):
            index = None if self.case.count is None else number
            verdict = self._verdict(named, given, index, way, library)
            if number < by_adjoint and verdict.kind in (Kind.AGREES, Kind.SUBNORMAL):
                verdict = self._with_adjoint(verdict, given, index, way, library)
            found.append(with_basis(verdict, self.case, library, program))
        return found

    @in_ieee_arithmetic
    def _verdict(
        self, named: Verdict, given: Products, index: int | None, way: Way, library: Library | None
    ) -> Verdict:
        """By the a-priori certificate."""
        if not (self.case if index is None else self.case[index]).is_finite:
            return replace(named, kind=Kind.UNSUPPORTED, detail=_NOT_FINITE)
        if places := self.open_places[index or 0]:
            more = f" and {len(places) - 1} more" if len(places) > 1 else ""
            detail = f"not judged: at {places[0]}{more} there is no second derivative, or none that"
            return replace(named, kind=Kind.UNSUPPORTED, detail=f"{detail} is certain")
        mine = given if index is None else given[index]
        plain = Model(self.format, library=library)
        for model, kind, detail in self._models(plain, way):
            bounds = self._of(index, way, model)
            if not _contains(bounds, mine):
                continue
            if kind is Kind.LIBRARY and _contains(bounds, mine.map(np.zeros_like)):
                continue
            checked, unchecked = arrays_checked(bounds, mine)
            found = replace(named, kind=kind, worst=worst_of(bounds, mine, self.format))
            found = replace(found, checked=checked, unchecked=unchecked, detail=detail)
            if not all(np.isfinite(each.bound).all() for _, each in bounds.entries()):
                return replace(found, kind=Kind.UNSUPPORTED, detail=_ENDLESS)
            return found
        return self._disagreement(named, mine, self._of(index, way, plain))

    def _models(self, plain: Model, way: Way) -> Iterator[tuple[Model, Kind, str]]:
        """Arithmetics that may explain a product, the one that is promised first."""
        flushed = replace(plain, flush=True)
        yield plain, Kind.AGREES, ""
        yield flushed, Kind.SUBNORMAL, ""
        if plain.library is not None:
            program = product_program(self.case, way)
            far = "; ".join(departures(program, plain.library, self.case.dtype))
            if far:
                whole = replace(plain.library, is_whole=True)
                yield replace(flushed, library=whole), Kind.LIBRARY, far

    def _of(self, index: int | None, way: Way, model: Model) -> Products:
        bounds = self.bounds(way, model)
        return bounds if index is None else bounds[index]

    def _disagreement(self, named: Verdict, given: Products, bounds: Products) -> Verdict:
        worst = worst_of(bounds, given, self.format)
        detail = f"the second derivative {_said(worst)}"
        for factor in _FACTORS:
            times = bounds.map(lambda each: _multiplied(each, factor))  # noqa: B023
            if _contains(times, given):
                detail = f"all of it is {factor} times the second derivative; {detail}"
                break
        return replace(named, worst=worst, detail=detail)

    @in_ieee_arithmetic
    def _with_adjoint(
        self,
        verdict: Verdict,
        given: Products,
        index: int | None,
        way: Way,
        library: Library | None,
    ) -> Verdict:
        """And what the adjoint certificate says; values may be computed anew for each use."""
        model = Model(self.format, library=library)
        failing = list(self._compared(model, given, index, way))
        if any(each.bounds > 1.0 for each in failing):
            flushed = list(self._compared(replace(model, flush=True), given, index, way))
            if not any(each.bounds > 1.0 for each in flushed):
                verdict, failing = replace(verdict, kind=Kind.SUBNORMAL), flushed
        worst = max(failing, key=lambda each: each.bounds)
        wrong = ""
        if worst.bounds > 1.0:
            wrong = _said(worst)
            detail = f"by the adjoint certificate the second derivative {wrong}"
            verdict = replace(verdict, kind=Kind.DISAGREES, worst=worst, detail=detail)
        said = Certified(
            str(Certificate.ADJOINT),
            compared=len(failing),
            unbounded=sum(np.isinf(each.bound) for each in failing),
            worst=worst.bounds,
            wrong=wrong,
        )
        return replace(verdict, certificates=(*verdict.certificates, said))

    def _compared(
        self, model: Model, given: Products, index: int | None, way: Way
    ) -> Iterator[Entry]:
        """Entries against their adjoint bounds."""
        case = self.case if index is None else self.case[index]
        mine = given if index is None else given[index]
        box = self._box(model, way, index)
        positions = [each for each in sampled(case) if each[0] != LOSS]
        bound = terms(box, positions).per_use
        for (name, at), e in zip(positions, bound.tolist(), strict=True):
            c = box.reference[name]
            if c.shape != case.shapes[name]:
                c = OnEnclosures(model).broadcast(c, case.shapes[name])
            one = Enclosure(model, c.c, c.r, np.full(c.shape, e))
            yield entry_of(name, one, mine.arrays[name], at, self.format)

    def _box(self, model: Model, way: Way, index: int | None) -> Box:
        key = model, way, index
        if key not in self._boxes:
            case = self.case if index is None else self.case[index]
            direction = self.direction if index is None else self.direction[index]
            self._boxes[key] = Box(product_program(case, way), model, arrays_of(case, direction))
        return self._boxes[key]


def _contains(bounds: Products, given: Products) -> bool:
    """Whether every entry is within its bound."""
    pairs = zip(bounds.entries(), given.entries(), strict=True)
    return not any(leaves_bound(bound, value).any() for (_, bound), (_, value) in pairs)


def _multiplied(bound: Enclosure, factor: Fraction) -> Enclosure:
    """c and e times a power of two, or 0: what a wrong constant makes of what is right."""
    times = float(factor)
    return Enclosure(
        bound.model, times * bound.c, up(bound.r * abs(times), 1), up(bound.e * abs(times), 1)
    )


def _said(entry: Entry) -> str:
    return (
        f"by {entry.name}, along v, is {entry.given!r}, wanted {entry.reference!r} within "
        f"{entry.bound:.3g}"
    )
