"""What differs between two tables, in few lines: the rows that changed alike are one group.

A group says a change once, and of what: formulations × places × modes × dtypes of one framework.
From the groups all changes come back (`Group.changes`). Two ways of saying make that short:

- Where all breakpoints of a function change alike, or all ties of a selection, the place is "the
  breakpoints", or "the ties", whatever they are of each formulation.
- Shares of tied numbers are first, last or even, where they are exactly that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import product
from typing import Any

from crosscheck.numbers.formats import FORMATS
from crosscheck.operators.selections import Selection
from crosscheck.studies.conventions.points import FLUSHED, SUBJECTS, points_of, spelled, windows_of
from crosscheck.studies.conventions.table import Change, Key, Table, arrow
from crosscheck.tools.grouping import grouped

__all__ = [
    "Group",
    "drift",
    "groups",
    "lines",
    "named_formulations",
    "shares_as_word",
    "word_as_shares",
]

_BREAKPOINTS, _TIES = "the breakpoints", "the ties"
_SLOPE = "slope "
_WORDS = ("first", "last", "even")


@dataclass(frozen=True)
class Group:
    """Changes that are alike.

    Attributes:
        framework: Whose.
        formulations: Units, each with a formulation of it.
        places: Names of points, or what stands for several; "" for a convention as a whole.
        modes: How it is differentiated.
        dtypes: The dtypes.
        old: What was there.
        new: What is there now.
    """

    framework: str
    formulations: tuple[tuple[str, str], ...]
    places: tuple[str, ...]
    modes: tuple[str, ...]
    dtypes: tuple[str, ...]
    old: str
    new: str

    def changes(self) -> Iterator[Change]:
        """All changes that the group stands for."""
        every = product(self.formulations, self.places, self.modes, self.dtypes)
        for (unit, formulation), place, mode, dtype in every:
            key = Key(self.framework, unit, formulation, mode, dtype)
            for point in _points(unit, place):
                old, new = (_spelled_out(each, key, point) for each in (self.old, self.new))
                yield Change(key, point, old, new)

    def described(self, dtypes: Collection[str] = ()) -> str:
        """One line.

        Args:
            dtypes: All that the framework has; where the group has them all, that is said.
        """
        where = self._where()
        of = "all dtypes" if len(self.dtypes) > 1 and {*dtypes} <= {*self.dtypes} else ""
        parts = (", ".join(self.modes), of or ", ".join(self.dtypes))
        told = f"{arrow(self.old, self.new)}{where}; {'; '.join(parts)}"
        return f"{self.framework} {named_formulations(self.formulations)}: {told}"

    def _where(self) -> str:
        names: list[str] = []
        for place in self.places:
            meant = {_points(unit, place) for unit, _ in self.formulations}
            # Those of one function are few, and tell more than that word.
            names += meant.pop() if place == _BREAKPOINTS and len(meant) == 1 else [place]
        shown = [f"({name})" if "," in name else name for name in names if name]
        return f" at {', '.join(shown)}" if shown else ""

    def as_json(self) -> dict[str, Any]:
        """The group as one object of JSON, its formulations as "unit as formulation"."""
        names = [f"{unit} as {formulation}" for unit, formulation in self.formulations]
        return {**asdict(self), "formulations": names, "rows": len([*self.changes()])}


def drift(before: Table, new: Table) -> list[Group]:
    """What differs between two tables; see `Table.changes`."""
    return groups(before.changes(new))


def groups(changes: Iterable[Change]) -> list[Group]:
    """Changes as groups, in the order of the changes; all of them come back from these."""
    alike: dict[tuple[Key, str, str], list[str]] = defaultdict(list)
    for change in changes:
        old, new = (_in_a_word(each, change) for each in (change.old, change.new))
        alike[change.key, old, new].append(change.point)
    rows = (
        ((key.framework, old, new), ((key.unit, key.formulation), place, key.mode, key.dtype))
        for (key, old, new), points in alike.items()
        for place in _places(key.unit, points)
    )
    return [
        Group(framework, formulations, places, modes, dtypes, old, new)
        for (framework, old, new), (formulations, places, modes, dtypes) in grouped(rows)
    ]


def lines(found: Sequence[Group], table: Table) -> list[str]:
    """A line for each group.

    Args:
        found: The groups.
        table: What was measured, which says what all dtypes are.
    """
    dtypes: dict[str, dict[str, None]] = defaultdict(dict)
    for key in table.rows:
        dtypes[key.framework][key.dtype] = None
    return [each.described(dtypes[each.framework]) for each in found]


def named_formulations(formulations: Sequence[tuple[str, str]]) -> str:
    """Formulations for people: "clamp, clamp_min, and relu6 and hardtanh as clamp"."""
    own = [formulation for unit, formulation in formulations if unit == "relu"]
    units: dict[str, list[str]] = defaultdict(list)
    for unit, formulation in formulations:
        if unit != "relu":
            units[formulation].append(unit)
    others = [f"{_and(of)} as {formulation}" for formulation, of in units.items()]
    if own and others:
        return f"{', '.join(own)}, and {', '.join(others)}"
    return ", ".join(own or others)


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


# Places


@cache
def _points(unit: str, place: str) -> tuple[str, ...]:
    """The names of the points that a place stands for."""
    subject = SUBJECTS[unit]
    if place == _TIES and isinstance(subject, Selection):
        return tuple(name for name in windows_of(subject, FORMATS["float64"]) if name != FLUSHED)
    if place == _BREAKPOINTS and not isinstance(subject, Selection):
        known = points_of(subject, "float64")
        return tuple(name for name, at in known.items() if at in subject.breakpoints)
    return (place,)


def _places(unit: str, points: Sequence[str]) -> list[str]:
    """The same points, those that have a name in common by that."""
    name = _TIES if isinstance(SUBJECTS[unit], Selection) else _BREAKPOINTS
    together = _points(unit, name)
    if together and {*together} <= {*points}:
        return [name, *(point for point in points if point not in together)]
    return list(points)


# Shares


def shares_as_word(shares: str, unit: Selection, dtype: str, point: str) -> str | None:
    """Who of the tied numbers has the derivative, in a word if it is exactly that."""
    return next(
        (word for word in _WORDS if word_as_shares(word, unit, dtype, point) == shares), None
    )


@cache
def word_as_shares(word: str, unit: Selection, dtype: str, point: str) -> str:
    """The shares that a word stands for, as the table writes them."""
    form = FORMATS[dtype]
    tied = unit.tied(windows_of(unit, form)[point])
    places = [at for at, is_one in enumerate(tied) if is_one]
    if word == "even":
        share = spelled(float(form.round(1.0 / len(places))), 0.0)
        return ",".join(share if is_one else "0" for is_one in tied)
    whole = places[0 if word == "first" else -1]
    return ",".join("1" if at == whole else "0" for at in range(len(tied)))


def _in_a_word(text: str, change: Change) -> str:
    unit, key = SUBJECTS[change.key.unit], change.key
    if not (isinstance(unit, Selection) and text.startswith(_SLOPE) and key.dtype in FORMATS):
        return text
    shares = text.removeprefix(_SLOPE)
    if change.point not in windows_of(unit, FORMATS[key.dtype]):
        return text
    return shares_as_word(shares, unit, key.dtype, change.point) or text


def _spelled_out(text: str, key: Key, point: str) -> str:
    unit = SUBJECTS[key.unit]
    if text not in _WORDS or not isinstance(unit, Selection):
        return text
    return _SLOPE + word_as_shares(text, unit, key.dtype, point)
