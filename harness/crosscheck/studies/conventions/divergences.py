"""What in a table of conventions is no mere convention: contradictions, and departures from IEEE.

A convention is any number between the one-sided derivatives at a kink. Beyond that a table can
show that one framework contradicts itself, or that it departs from IEEE 754 arithmetic:

    modes      a formulation has another value or derivative in another mode
    split      at a subnormal number the value is that of the number and the derivative that of 0
    position   … at another place of a long array
    dtypes     … in another dtype, at a point that is not subnormal
    wrong      the value is not the function's, or the derivative no generalised derivative
    nan        at NaN the value or the derivative is a number
    infinity   at ±inf the value or the derivative is not the limit
    flush      subnormal numbers are read or written as 0, by value and derivative alike
    formula    the formulation, as it is written, is not the function there in IEEE 754 arithmetic

Rounding counts as right when no number of the dtype lies between the result and the exact one. The
sign of a zero is never held against anyone; it is in the table.

Of the largest of several numbers the derivative is right if it is one of weights: 0 for every
number that is not the largest, at least 0 for each that is, and 1 in all. A weight w counts as the
rounded v where no number lies between the two, |w - v| < ulp(w); so weights are right if and only
if |Σ w - 1| < Σ ulp(w) over those that are not 0, or Σ w = 1.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, zip_longest
from types import MappingProxyType
from typing import Literal, get_args

from crosscheck.frameworks.pointwise import Point
from crosscheck.numbers.formats import FORMATS, Format
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.numbers.piecewise import Piecewise
from crosscheck.operators.selections import Selection
from crosscheck.studies.conventions.points import FLUSHED, SUBJECTS, Subject, points_of
from crosscheck.studies.conventions.table import Cell, Key, Table, unsigned

__all__ = ["KINDS", "Divergence", "Kind", "Sighting", "are_shares", "divergences", "is_right_value"]

Kind = Literal[
    "modes", "split", "position", "dtypes", "wrong", "nan", "infinity", "flush", "formula"
]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""The kinds of divergence, contradictions within a framework first."""

_AS_WRITTEN: Mapping[tuple[str, str], tuple[str, str]] = MappingProxyType(
    {
        ("relu", "where"): ("nan", "0"),  # NaN > 0 is false
        ("relu", "where_ge"): ("nan", "0"),
        ("relu", "mask"): ("-inf", "nan"),  # -inf · 0
        ("relu", "abs"): ("-inf", "nan"),  # -inf + inf
        ("relu", "leaky_relu"): ("-inf", "nan"),  # 0 · -inf
        ("relu", "prelu"): ("-inf", "nan"),
    }
)
"""(unit, formulation) to a point and the value there of what is written, by IEEE 754."""


@dataclass(frozen=True, order=True)
class Sighting:
    """One cell that shows a divergence."""

    key: Key
    point: str


@dataclass(frozen=True)
class Divergence:
    """A contradiction or departure of one formulation of one framework.

    Attributes:
        framework: Whose.
        kind: See the module's text.
        unit: Of which unit.
        formulation: In which formulation.
        sightings: The cells that show it; for ``modes`` and ``dtypes`` the cells that
            contradict each other follow one another.
    """

    framework: str
    kind: Kind
    unit: str
    formulation: str
    sightings: tuple[Sighting, ...]

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What tells it from the others."""
        return (self.framework, self.kind, self.unit, self.formulation)


@in_ieee_arithmetic
def divergences(table: Table) -> list[Divergence]:
    """All divergences in ``table``, contradictions within a framework first."""
    found: dict[tuple[str, Kind, str, str], list[Sighting]] = defaultdict(list)

    def note(kind: Kind, sightings: Sequence[Sighting]) -> None:
        key = sightings[0].key
        found[key.framework, kind, key.unit, key.formulation] += sightings

    for kind, group in _contradictions(table):
        note(kind, group)
    for key, row in table.rows.items():
        if key.dtype not in FORMATS or row.unsupported:
            continue
        points = points_of(SUBJECTS[key.unit], key.dtype)
        for name, cell in row.cells.items():
            for kind in _departures(key, name, points[name], cell):
                note(kind, [Sighting(key, name)])
    return sorted(
        (
            Divergence(framework, kind, unit, formulation, tuple(sightings))
            for (framework, kind, unit, formulation), sightings in found.items()
        ),
        key=lambda each: (
            table.frameworks.index(each.framework),
            KINDS.index(each.kind),
        ),
    )


def _contradictions(table: Table) -> Iterator[tuple[Kind, list[Sighting]]]:
    """Cells of one formulation that differ between modes, or between dtypes, in one version.

    Another version may have another convention in every mode: that is a change, and says nothing
    about two modes of one version.
    """
    by_mode: dict[tuple[str, ...], list[tuple[Sighting, Cell]]] = defaultdict(list)
    by_dtype: dict[tuple[str, ...], list[tuple[Sighting, Cell]]] = defaultdict(list)
    for key, row in table.rows.items():
        for point, cell in row.cells.items():
            if cell.unsupported:
                continue
            place = (Sighting(key, point), cell)
            formulation = (key.framework, row.versions, key.unit, key.formulation)
            by_mode[(*formulation, key.dtype, point)].append(place)
            if point.lstrip("-") not in {"tiny", "subnormal", "normal", FLUSHED}:
                by_dtype[(*formulation, key.mode, point)].append(place)
    kinds: tuple[tuple[Kind, dict[tuple[str, ...], list[tuple[Sighting, Cell]]]], ...]
    kinds = (("modes", by_mode), ("dtypes", by_dtype))
    for kind, groups in kinds:
        for group in groups.values():
            first = group[0]
            others = [each for each in group[1:] if _differ(first, each)]
            if others:
                yield kind, [first[0], *(sighting for sighting, _ in others)]


def _differ(one: tuple[Sighting, Cell], other: tuple[Sighting, Cell]) -> bool:
    """Whether two cells say different things, zeros and rounding apart."""
    form = _coarser(one, other)
    pairs = [
        list(zip_longest(a.split(","), b.split(","), fillvalue="none"))
        for a, b in zip(one[1].plain, other[1].plain, strict=True)
    ]
    return any(
        a != b
        and not (
            _is_number(a)
            and _is_number(b)
            and _are_closer_than_neighbours(float(a), float(b), form)
        )
        for a, b in chain(*pairs)
    )


def _are_closer_than_neighbours(a: float, b: float, form: Format) -> bool:
    """Below a power of two the numbers of a format are nearer together than above."""
    return abs(a - b) < float(form.ulp(min(abs(a), abs(b))))


def _coarser(one: tuple[Sighting, Cell], other: tuple[Sighting, Cell]) -> Format:
    dtypes = (one[0].key.dtype, other[0].key.dtype)
    return min((FORMATS[dtype] for dtype in dtypes), key=lambda form: form.precision)


def _is_number(text: str) -> bool:
    return text not in {"z", "nan", "none"} and math.isfinite(float(text))


def _departures(key: Key, name: str, point: Point, cell: Cell) -> list[Kind]:
    """What one cell shows by itself."""
    if cell.unsupported:
        return []
    unit, form = SUBJECTS[key.unit], FORMATS[key.dtype]
    pairs = [(cell.value, cell.slope), *cell.elsewhere]
    kinds: list[Kind | None] = []
    if len({(unsigned(value), unsigned(slope)) for value, slope in pairs}) > 1:
        kinds.append("position")
    for value, slope in pairs:
        if _AS_WRITTEN.get((key.unit, key.formulation)) == (name, unsigned(value)):
            kinds.append("formula")
        else:
            kinds.append(_departure_of(unit, form, point, value, slope))
    return [kind for kind in dict.fromkeys(kinds) if kind is not None]


def _departure_of(unit: Subject, form: Format, point: Point, value: str, slope: str) -> Kind | None:
    if isinstance(unit, Selection):
        assert isinstance(point, Sequence)
        shares = [float(each) for each in slope.split(",")]
        return _departure_of_shares(unit, form, point, _number(value, point[0]), shares)
    assert isinstance(point, float)
    return _departure(unit, form, point, _number(value, point), _number(slope, point))


def _departure_of_shares(
    unit: Selection,
    form: Format,
    window: Sequence[float],
    value: float,
    shares: Sequence[float],
) -> Kind | None:
    """Of the largest of numbers; ``shares`` are its derivative by each of them."""

    def is_right(window: Sequence[float]) -> bool:
        return are_shares(form, unit.tied(window), shares)

    right_value = value == unit.value(window)
    if right_value and is_right(window):
        return None
    if any(map(math.isinf, window)):
        return "infinity"
    flushed = [0.0 if abs(each) < form.smallest_normal else each for each in window]
    if is_right(flushed) and (right_value or value == unit.value(flushed)):
        return "split" if right_value else "flush"
    return "wrong"


def are_shares(form: Format, tied: Sequence[bool], shares: Sequence[float]) -> bool:
    """Whether shares are weights of what is tied, each exact or rounded to a format."""
    if len(shares) != len(tied) or not all(map(math.isfinite, shares)):
        return False
    if any(share < 0 or (share > 0 and not one) for share, one in zip(shares, tied, strict=True)):
        return False
    off = abs(sum(map(Fraction, shares), Fraction(-1)))
    ulps = (Fraction(float(form.ulp(each))) for each in shares if each)
    return off == 0 or off < sum(ulps, Fraction(0))


def _number(text: str, point: float) -> float:
    return point if text == "z" else float(text)


def _departure(
    unit: Piecewise, form: Format, point: float, value: float, slope: float
) -> Kind | None:
    if math.isnan(point):
        return None if math.isnan(value) and math.isnan(slope) else "nan"
    right_value = _is_value(unit, form, point, value)
    right_slope = _is_slope(unit, form, point, slope)
    if right_value and right_slope:
        return None
    if math.isinf(point):
        return "infinity"
    if abs(point) < form.smallest_normal and _is_slope(unit, form, 0.0, slope):
        if _is_value(unit, form, 0.0, value):
            return "flush"
        if right_value or value == point:  # z itself, also where the function is 0
            return "split"
    if right_slope and value == 0 and abs(float(unit.value(point))) < form.smallest_normal:
        return "flush"
    return "wrong"


@in_ieee_arithmetic
def is_right_value(unit: Subject, dtype: str, point: Point, value: float) -> bool:
    """Whether ``value`` is the unit's at ``point``, rounded to ``dtype``; NaN at NaN."""
    if isinstance(unit, Selection):
        assert isinstance(point, Sequence)
        return value == unit.value(point)
    assert isinstance(point, float)
    return (math.isnan(point) and math.isnan(value)) or _is_value(
        unit, FORMATS["float64" if dtype == "exact" else dtype], point, value
    )


def _is_value(unit: Piecewise, form: Format, point: float, value: float) -> bool:
    return _is_rounded(form, unit.value(point), value)


def _is_slope(unit: Piecewise, form: Format, point: float, slope: float) -> bool:
    """Whether ``slope`` is a generalised derivative, or one rounded."""
    low, high = sorted(unit.slopes(point))
    if not math.isfinite(slope):
        return False
    return low <= slope <= high or any(_is_rounded(form, end, slope) for end in (low, high))


def _is_rounded(form: Format, exact: Fraction | float, value: float) -> bool:
    """Whether no number of the format lies strictly between the two."""
    if not math.isfinite(exact) or not math.isfinite(value):
        return exact == value
    return abs(Fraction(value) - Fraction(exact)) < Fraction(float(form.ulp(float(exact))))
