"""How many right gradients are accused: counted in parts, so that it can be taken up again."""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from crosscheck.judge.door import Answer, judge
from crosscheck.judge.verdict import Kind
from crosscheck.network.batch import Batch
from crosscheck.network.dense import Gradients
from crosscheck.numbers.formats import WORKING
from crosscheck.studies.alarms.catalogue import Right
from crosscheck.studies.alarms.streams import STREAMS, Stream, batches, chosen
from crosscheck.tools.atomic import write_text_atomically

__all__ = ["EVERYBODY", "Key", "Rate", "Tally", "measure", "read", "verdicts", "write"]

EVERYBODY = frozenset({Kind.AGREES, Kind.KINK, Kind.UNDECIDED, Kind.NONFINITE})
"""Verdicts that any right gradient may have; every other one is an alarm."""

_AT_ONCE = 8
"""So many implementations hold their gradients of a batch at a time."""

_KEPT = 5
"""So many alarms of a part are kept word for word."""


@dataclass
class Tally:
    """What was said of one implementation in one dtype, on the cases of one stream.

    Attributes:
        kinds: Verdicts.
        seconds: Of the gradients and the verdicts.
        accused: How many verdicts no right gradient may have.
        alarms: The first of them: number of the case, kind, and what was furthest off.
        excused: How many there were besides where something is not finite, of an
            implementation that is right on finite numbers only.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    accused: int = 0
    excused: int = 0
    alarms: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Rate:
    """How many right gradients of one implementation and dtype another checker rejects.

    Attributes:
        checker: As in `crosscheck.studies.alarms.others`.
        implementation: Its name.
        dtype: Of the cases.
        rejected: Of these,
        cases: of so many.
    """

    checker: str
    implementation: str
    dtype: str
    rejected: int
    cases: int


Key = tuple[str, str, str]
"""Implementation, dtype, stream."""


def measure(
    rights: Sequence[Right],
    dtypes: Sequence[str] = WORKING,
    streams: Sequence[Stream] = STREAMS,
    *,
    share: float = 1.0,
    known: Mapping[Key, Tally] | None = None,
    after: Callable[[dict[Key, Tally]], object] = lambda tallies: None,
) -> dict[Key, Tally]:
    """Verdicts on right gradients, counted.

    Args:
        rights: Whose gradients.
        dtypes: Of the cases.
        streams: Where the cases are from.
        share: Of the cases of each stream; at least one.
        known: What was counted before, and is not counted again.
        after: Called with what is known by then, after each part.
    """
    tallies = dict(known or {})
    for dtype, stream in itertools.product(dtypes, streams):
        numbers = stream.shape(dtype).numbers
        left = [
            right
            for right in rights
            if dtype in right.dtypes
            and numbers <= right.most
            and (right.name, dtype, stream.name) not in tallies
        ]
        for is_vectorised in (True, False):
            some = [right for right in left if right.is_vectorised is is_vectorised]
            count = stream.count(dtype, is_vectorised)
            for at in range(0, len(some), _AT_ONCE):
                group = some[at : at + _AT_ONCE]
                found = _part(group, dtype, stream, max(1, round(share * count)))
                for right, tally in zip(group, found, strict=True):
                    tallies[right.name, dtype, stream.name] = tally
                after(tallies)
    return tallies


def _part(rights: Sequence[Right], dtype: str, stream: Stream, count: int) -> list[Tally]:
    tallies = [Tally() for _ in rights]
    first = 0
    for batch in batches(stream, dtype, count):
        # What is computed one by one is computed of finite numbers: rationals know no others.
        if not all(right.is_vectorised for right in rights):
            finite = np.flatnonzero(batch.case().are_finite)
            batch = chosen(batch, finite)
        given = []
        for right, tally in zip(rights, tallies, strict=True):
            start = time.perf_counter()
            given.append(right.gradients(batch))
            tally.seconds += time.perf_counter() - start
        start = time.perf_counter()
        left = [0] * len(rights)
        for row, at, kind, detail in verdicts(batch, given, rights):
            tally, left[row] = tallies[row], left[row] + 1
            tally.kinds[kind.name] += 1
            if kind in EVERYBODY | rights[row].may_be:
                continue
            if rights[row].but and not _is_finite(batch, given[row], at):
                tally.excused += 1
                continue
            tally.accused += 1
            if len(tally.alarms) < _KEPT:
                tally.alarms.append(f"case {first + at}: {kind.name}, {detail}")
        for tally, others in zip(tallies, left, strict=True):
            tally.kinds[Kind.AGREES.name] += batch.count - others
            tally.seconds += (time.perf_counter() - start) / len(rights)
        first += batch.count
    return tallies


def _is_finite(batch: Batch, given: Gradients, at: int) -> bool:
    """Whether a case of a batch and its gradient hold neither NaN nor infinity."""
    place = np.array([at])
    one = given.wide(place)
    return bool(batch.case(place).are_finite[0]) and all(
        np.isfinite(array).all() for _, array in one.entries()
    )


def verdicts(
    batch: Batch, given: Sequence[Gradients], rights: Sequence[Right]
) -> Iterator[tuple[int, int, Kind, str]]:
    """The verdicts other than that nearly all cases have, which is AGREES in the first place.

    Args:
        batch: The cases.
        given: Of each implementation, its gradients.
        rights: The implementations.

    Yields:
        Number of an implementation, of a case, its verdict, and what was furthest off.
    """
    answers = [Answer(each, right.derivation) for each, right in zip(given, rights, strict=True)]
    question = judge(batch, answers)
    for place in question.left(range(len(rights))).tolist():
        for row in np.flatnonzero(~question.agrees[:, place]).tolist():
            verdict = question.verdict(row, place)
            yield row, place, verdict.kind, f"{verdict.worst or ''} {verdict.detail}".strip()


def write(path: Path, tallies: Mapping[Key, Tally], rates: Sequence[Rate] = ()) -> None:
    """What was counted as JSON, a line for each part."""
    parts = [
        {
            "implementation": name,
            "dtype": dtype,
            "stream": stream,
            "verdicts": dict(sorted((+tally.kinds).items())),
            "seconds": round(tally.seconds, 2),
            "accused": tally.accused,
            "excused": tally.excused,
            "alarms": tally.alarms,
        }
        for (name, dtype, stream), tally in tallies.items()
    ]
    lines = [
        ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        for rows in (parts, [asdict(rate) for rate in rates])
    ]
    write_text_atomically(path, f'{{"counts": [\n{lines[0]}\n],\n"peers": [\n{lines[1]}\n]}}\n')


def read(path: Path) -> tuple[dict[Key, Tally], list[Rate]]:
    """What `write` wrote; nothing if there is no such file."""
    if not path.exists():
        return {}, []
    found = json.loads(path.read_text("utf-8"))
    tallies = {
        (row["implementation"], row["dtype"], row["stream"]): Tally(
            Counter(row["verdicts"]),
            row["seconds"],
            row["accused"],
            row["excused"],
            row["alarms"],
        )
        for row in found["counts"]
    }
    return tallies, [Rate(**row) for row in found["peers"]]
