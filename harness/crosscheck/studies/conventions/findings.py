"""What a table of conventions reveals, for people: one finding for each thing that is odd.

Divergences of one framework and one kind that show at the same points, in the same modes and
dtype, are one finding. Each has a program of a few lines that needs only that framework, and the
lines that it prints follow from the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from crosscheck.frameworks.pointwise import Point, Pointwise, Slope, script_line
from crosscheck.operators.selections import Selection
from crosscheck.studies.conventions.divergences import Divergence, Kind, divergences
from crosscheck.studies.conventions.measure import LONG, counts_of
from crosscheck.studies.conventions.points import FLUSHED, SUBJECTS, points_of
from crosscheck.studies.conventions.table import Cell, Key, Table

__all__ = ["Finding", "findings", "known_issues", "markdown"]

_HEADING: Mapping[Kind, str] = MappingProxyType(
    {
        "modes": "another result in another mode",
        "split": "value and derivative take a subnormal number for different numbers",
        "position": "the result depends on the place in the array",
        "dtypes": "another result in another dtype",
        "wrong": "not the derivative",
        "nan": "NaN is lost",
        "infinity": "not the limit at infinity",
        "flush": "subnormal numbers are taken for zero",
        "formula": "the formula is not the function",
    }
)

_WHAT: Mapping[Kind, str] = MappingProxyType(
    {
        "modes": (
            "The same function of the same number has another value or another derivative when "
            "it is compiled, vectorised or differentiated forwards. A program changes what it "
            "computes when only the way of asking changes."
        ),
        "split": (
            "The value is that of the number itself and the derivative is that of 0, or z is "
            "compared as 0 and returned as itself: value and derivative belong to different "
            "points."
        ),
        "position": (
            f"Elements of one array that hold the same number get different results: one kernel "
            f"works on whole vectors, another on the remainder. Shown with arrays of 1 and {LONG} "
            "elements; which element gets which depends on the processor."
        ),
        "dtypes": (
            "At a point that every dtype can represent, the value or the derivative depends on "
            "the dtype, by more than rounding."
        ),
        "wrong": (
            "The value is not the function's, or the derivative lies outside the one-sided "
            "derivatives, by more than the rounding of this dtype; of tied numbers, their shares "
            "do not add up to 1, or one that is not tied has a share."
        ),
        "nan": (
            "IEEE 754 operations pass a NaN on. Here the value or the derivative at NaN is a "
            "number, so that a NaN on its way through this function disappears from the gradient."
        ),
        "infinity": "At an infinity the value or the derivative is not the limit there.",
        "flush": (
            "A subnormal number is read as 0 or written as 0. Value and derivative are those of 0; "
            "so a negative subnormal number may be given the derivative of the kink."
        ),
        "formula": (
            "No fault of the framework: what is written is, by IEEE 754, not the function at this "
            "point (a comparison with NaN is false; 0 times infinity and infinity minus infinity "
            "are NaN)."
        ),
    }
)


@dataclass(frozen=True)
class Known:
    """A public discussion of a finding.

    Attributes:
        framework: Of whose findings.
        kinds: Of which kinds.
        formulations: Of which formulations; empty for any.
        address: Where.
    """

    framework: str
    kinds: tuple[Kind, ...]
    formulations: tuple[str, ...]
    address: str


_KNOWN = (
    Known(
        "torch",
        ("position",),
        ("hardtanh", "relu6", "softshrink", "hardswish"),
        "https://github.com/pytorch/pytorch/issues/195075",
    ),
    Known("torch", ("nan",), ("relu",), "https://github.com/apache/mxnet/pull/14262"),
    Known(
        "tensorflow",
        ("modes", "position", "dtypes"),
        ("relu6",),
        "https://github.com/tensorflow/tensorflow/issues/119628",
    ),
    Known(
        "tensorflow",
        ("split", "position"),
        ("abs",),
        "https://github.com/tensorflow/tensorflow/issues/127905",
    ),
    Known("jax", ("flush", "split"), (), "https://github.com/jax-ml/jax/issues/16200"),
)


@dataclass(frozen=True)
class Finding:
    """Divergences that have a cause, or at least an appearance, in common.

    Attributes:
        framework: Whose.
        kind: Of which kind.
        divergences: All of them.
        modes: In which modes the script shows it.
        dtype: In which dtype.
        points: At which points, by name.
    """

    framework: str
    kind: Kind
    divergences: tuple[Divergence, ...]
    modes: tuple[str, ...]
    dtype: str
    points: tuple[str, ...]

    @property
    def title(self) -> str:
        """One line."""
        names = [_name(each) for each in self.divergences]
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        return f"{self.framework} {shown}: {_HEADING[self.kind]}"

    def script(self, lines: Pointwise) -> str:
        """A program that shows it; `expected` is what it prints."""
        unit = self.divergences[0].unit
        points, modes = points_of(SUBJECTS[unit], self.dtype), lines.modes_of(unit)
        return lines.script(
            {
                _name(each): lines.formulations(each.unit)[each.formulation]
                for each in self.divergences
            },
            {mode: modes[mode] for mode in self.modes},
            self.dtype,
            [points[name] for name in self.points],
            counts_of(SUBJECTS[unit]),
        )

    def expected(self, table: Table) -> list[str]:
        """The lines that the script prints, by the table."""
        found = []
        for each in self.divergences:
            points = points_of(SUBJECTS[each.unit], self.dtype)
            for mode in self.modes:
                key = Key(each.framework, each.unit, each.formulation, mode, self.dtype)
                for name in self.points:
                    pairs = _pairs(table.rows[key].cells[name], points[name])
                    found.append(script_line(_name(each), mode, points[name], pairs))
        return found


def _name(divergence: Divergence) -> str:
    unit, formulation = divergence.unit, divergence.formulation
    # abs and max_pool are also names of ways to write ReLU.
    plain = unit == "relu" or (unit == formulation and unit not in ("abs", "max_pool"))
    return formulation if plain else f"{unit}_{formulation}"


def _pairs(cell: Cell, point: Point) -> Iterator[tuple[float, Slope]]:
    z = point[0] if isinstance(point, Sequence) else point
    for pair in ((cell.value, cell.slope), *cell.elsewhere):
        value, *slopes = (z if text == "z" else float(text) for text in ",".join(pair).split(","))
        yield value, slopes if isinstance(point, Sequence) else slopes[0]


def findings(table: Table) -> list[Finding]:
    """Every finding of ``table``, contradictions within a framework first."""
    groups: dict[tuple[str, Kind, int, _Face], list[Divergence]] = {}
    for each in divergences(table):
        unit = SUBJECTS[each.unit]
        size = unit.size * unit.sign if isinstance(unit, Selection) else 0
        groups.setdefault((each.framework, each.kind, size, _face(each, table)), []).append(each)
    return [
        Finding(framework, kind, tuple(members), *face)
        for (framework, kind, _, face), members in groups.items()
    ]


_Face = tuple[tuple[str, ...], str, tuple[str, ...]]


def _face(divergence: Divergence, table: Table) -> _Face:
    """Modes, dtype and points that show a divergence, those of its first sighting."""
    first = divergence.sightings[0].key
    dtype = first.dtype
    if divergence.kind == "dtypes":
        # The second one is where it differs; float64 is what everybody compares with.
        dtype = divergence.sightings[1].key.dtype
    here = [each for each in divergence.sightings if each.key.dtype == dtype]
    points = tuple(dict.fromkeys(each.point for each in here))[:2]
    modes: tuple[str, ...] = (here[0].key.mode,)
    if divergence.kind == "modes":
        modes = tuple(dict.fromkeys(each.key.mode for each in here if each.point == points[0]))
    return modes, dtype, points


def known_issues(finding: Finding) -> list[str]:
    """Addresses of public discussions of a finding."""
    return [
        known.address
        for known in _KNOWN
        if known.framework == finding.framework
        and finding.kind in known.kinds
        and (
            not known.formulations
            or any(each.formulation in known.formulations for each in finding.divergences)
        )
    ]


def markdown(table: Table, sources: Mapping[str, Pointwise]) -> str:
    """All findings as a Markdown document.

    Args:
        table: A table with the rows of these frameworks.
        sources: Framework to its lines.
    """
    return "\n".join(_document(table, findings(table), sources)) + "\n"


def _document(
    table: Table, found: Sequence[Finding], sources: Mapping[str, Pointwise]
) -> Iterator[str]:
    yield "# Findings"
    yield ""
    yield (
        "What the table of conventions (`conventions.json`) shows beyond conventions: where a "
        "framework contradicts itself, and where it departs from IEEE 754. Made from the table by "
        "`crosscheck conventions --accept`; the tests run every program here and compare what it "
        "prints. Each line printed holds a function, the way it was differentiated, the point, and "
        "the pairs (value, derivative) that elements of an array full of that point have. A point "
        "of several numbers is a window, of which the largest or the smallest is taken; its "
        "derivative is the share that each of them has."
    )
    for framework in table.frameworks:
        mine = [each for each in found if each.framework == framework]
        if not mine:
            continue
        yield ""
        yield f"## {framework} ({table.versions_of(framework)})"
        for finding in mine:
            yield ""
            yield from _section(table, finding, sources[framework])


def _section(table: Table, finding: Finding, lines: Pointwise) -> Iterator[str]:
    yield f"### {finding.title}"
    yield ""
    yield f"{_WHAT[finding.kind]} {_where(finding)}"
    issues = known_issues(finding)
    if issues:
        yield ""
        yield f"See {', '.join(f'<{address}>' for address in issues)}."
    yield ""
    yield "```python"
    yield finding.script(lines).rstrip()
    yield "```"
    yield ""
    yield "```text"
    yield from finding.expected(table)
    yield "```"


def _where(finding: Finding) -> str:
    keys = [sighting.key for each in finding.divergences for sighting in each.sightings]
    points = dict.fromkeys(s.point for each in finding.divergences for s in each.sightings)
    modes = ", ".join(dict.fromkeys(key.mode for key in keys))
    dtypes = ", ".join(dict.fromkeys(key.dtype for key in keys))
    shown = ", ".join(_POINTS.get(point, point) for point in points)
    plural = "s" if len(points) > 1 else ""
    return f"Seen in the modes {modes}; in {dtypes}; at the point{plural} {shown}."


_POINTS = {
    "tiny": "η",
    "-tiny": "-η",
    "subnormal": "a middle subnormal",
    "-subnormal": "a negative middle subnormal",
    "normal": "ν",
    "-normal": "-ν",
    "all": "of as many equal numbers",
    "ends": "of equal numbers at both ends",
    "middle": "of equal numbers in the middle",
    "three": "of three equal numbers",
    "0,-0": "(0, -0)",
    "-0,0": "(-0, 0)",
    FLUSHED: "(η, 0)",
}
"""η is the smallest subnormal number of a dtype and ν the smallest normal one."""
