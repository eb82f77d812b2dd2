"""What differs between two reports: verdicts, cases, kinks, certificates, and how they ended.

Of cases those are compared that the reports hold: the failing ones, and examples. Times are not
compared, and no numbers of a gradient: those of a case that is worth it are in `crosscheck replay`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import TypeVar

from crosscheck.report.differences.difference import Change, Difference, groups_of, versions_of
from crosscheck.report.document import Document, KeptCase
from crosscheck.report.reading import Report

__all__ = ["of_reports"]

_Key = TypeVar("_Key")
_NOT_THERE = "not there"


def of_reports(first: Path, second: Path) -> Difference:
    """What differs between two reports."""
    old, new = (Report.read(path).content for path in (first, second))
    changes = [*_endings(old, new), *_verdicts(old, new), *_cases(old, new)]
    changes += [*_boundary(old, new), *_certificates(old, new), *_spreads(old, new)]
    found = groups_of(changes)
    return Difference(
        "report",
        versions_of(*map(_versions, (old, new))),
        len(changes),
        new.run.cases,
        tuple(map(str, found)),
        tuple(each.as_json() for each in found),
        tuple(_notes(old, new)),
    )


def _versions(document: Document) -> Mapping[str, str]:
    return {
        state.name: ", ".join(f"{name} {version}" for name, version in state.versions.items())
        or state.state
        for state in document.frameworks
    }


def _notes(old: Document, new: Document) -> Iterator[str]:
    """Why the two may differ without any change of a framework."""
    for name in ("command", "profile", "seed", "dtypes", "cases"):
        one, other = (getattr(each.run, name) for each in (old, new))
        if one != other:
            yield f"not the same {name}: {one} and {other}"
    ways = [
        {state.name: f"{state.formulation} in mode {state.mode}" for state in each.frameworks}
        for each in (old, new)
    ]
    for name, before, after in _pairs(*ways):
        yield f"not the same {name}: {before or _NOT_THERE} and {after or _NOT_THERE}"


def _pairs(
    old: Mapping[_Key, object], new: Mapping[_Key, object]
) -> Iterator[tuple[_Key, object, object]]:
    """Where two mappings differ, with what each has; ``None`` for nothing."""
    for key in {**old, **new}:
        if old.get(key) != new.get(key):
            yield key, old.get(key), new.get(key)


def _changes(
    about: str, old: Mapping[tuple[str, ...], str], new: Mapping[tuple[str, ...], str]
) -> Iterator[Change]:
    for where, before, after in _pairs(old, new):
        told = (_NOT_THERE if each is None else str(each) for each in (before, after))
        yield Change(about, where, *told)


def _endings(old: Document, new: Document) -> Iterator[Change]:
    ends: list[dict[tuple[str, ...], str]] = [
        {("code",): f"{each.run.exit_code.value} ({each.run.reason})"} for each in (old, new)
    ]
    yield from _changes("exit", *ends)


def _verdicts(old: Document, new: Document) -> Iterator[Change]:
    """How many of each kind; in every part, and of a sweep in every family."""

    def counted(document: Document) -> dict[tuple[str, ...], str]:
        found: dict[tuple[str, ...], str] = {}
        for each in document.verdicts:
            found |= {(each.framework, each.part, k): str(n) for k, n in each.counts.items()}
            found |= {
                (each.framework, each.part, f"REDUCED to {name}"): str(count)
                for name, count in each.arithmetics.items()
            }
        for one in document.sweep.families if document.sweep else ():
            found |= {(one.framework, one.family, k): str(n) for k, n in one.counts.items()}
        return {where: count for where, count in found.items() if count != "0"}

    yield from _changes("verdicts", counted(old), counted(new))


def _cases(old: Document, new: Document) -> Iterator[Change]:
    """The verdicts on each case that a report holds."""

    def told(case: KeptCase) -> dict[str, str]:
        words = {
            verdict.framework: ", ".join(
                filter(None, (verdict.kind.value, "fails" if verdict.fails else ""))
            )
            for verdict in case.verdicts
        }
        return words

    before, after = ({case.key: told(case) for case in each.cases} for each in (old, new))
    for key in chain(before, (key for key in after if key not in before)):
        for name in {**before.get(key, {}), **after.get(key, {})}:
            pair = [
                each[key].get(name, _NOT_THERE) if key in each else _NOT_THERE
                for each in (before, after)
            ]
            if pair[0] != pair[1]:
                yield Change("case", (name, key), *pair)


def _boundary(old: Document, new: Document) -> Iterator[Change]:
    """The derivatives λ that were read at kinks; in how many gates, where these are the same."""

    def read(document: Document) -> dict[tuple[str, ...], dict[str, int]]:
        found: dict[tuple[str, ...], dict[str, int]] = defaultdict(dict)
        for each in document.relu_boundary:
            flipped = ("flipped",) if each.flipped else ()
            where = each.framework, each.formulation, each.mode, each.gate.value, *flipped
            found[where][each.slope] = each.gates
        return found

    for where, before, after in _pairs(read(old), read(new)):
        slopes = [each if isinstance(each, dict) else {} for each in (before, after)]
        counted = [", ".join(f"{s} in {n:,} gates" for s, n in each.items()) for each in slopes]
        bare = [", ".join(each) for each in slopes]
        told = bare if slopes[0].keys() != slopes[1].keys() else counted
        yield Change("kink", where, *(each or _NOT_THERE for each in told))


def _certificates(old: Document, new: Document) -> Iterator[Change]:
    def told(document: Document) -> dict[tuple[str, ...], str]:
        return {
            (each.framework, each.certificate): f"{each.inside:,} of {each.cases:,} cases inside, "
            f"{each.wrong:,} wrong"
            for each in document.certified
        }

    yield from _changes("certificate", told(old), told(new))


def _spreads(old: Document, new: Document) -> Iterator[Change]:
    """The largest error / bound."""

    def largest(document: Document) -> dict[tuple[str, ...], str]:
        return {
            (each.framework, each.dtype, f"depth {each.depth}"): f"{each.maximum:.6g}"
            for each in document.error_over_bound
        }

    yield from _changes("error / bound", largest(old), largest(new))
