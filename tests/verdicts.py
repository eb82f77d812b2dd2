"""Whether two states of the code say the same, record for record, of the same gradients.

    python tests/verdicts.py write before.jsonl [--share 0.5]
    python tests/verdicts.py compare before.jsonl after.jsonl

``write`` judges right and wrong gradients of the cases of `crosscheck.studies.alarms.streams`,
which are made from numbers, so that no framework is needed and every machine has the same ones. A
line of the file is one verdict, whole. ``compare`` names each line that differs, and exits with 1
if one does.
"""

from __future__ import annotations

import dataclasses
import enum
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import coarser
import numpy as np

from crosscheck.judge.compare import Judge
from crosscheck.judge.door import Answer, certified
from crosscheck.judge.together import judged_together
from crosscheck.network.dense import Gradients
from crosscheck.numbers.formats import WORKING
from crosscheck.studies.alarms.catalogue import CATALOGUE, Right
from crosscheck.studies.alarms.streams import STREAMS, Stream, batches

RIGHT = (
    "sums pairwise",
    "slope at kinks: one",
    "slope at kinks: by place",
    "subnormal results flushed",
    "padded to multiples of eight",
    "forward mode",
)
"""Implementations whose gradients are judged as they are; the first one's also spoilt."""

CASES = 10
"""Of each dtype and stream."""


def plain(value: Any) -> Any:
    """``value`` as JSON can hold it; floats in hexadecimal."""
    if dataclasses.is_dataclass(value):
        return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    return value


def records(dtype: str, stream: Stream, count: int) -> Iterator[tuple[str, Any]]:
    """Every verdict on the cases of one stream, under the name of what was judged."""
    rights = [right for right in map(CATALOGUE.get, RIGHT) if right is not None]
    rights = [right for right in rights if stream.shape(dtype).numbers <= right.most]
    assert rights[0].name == RIGHT[0]
    for batch in batches(stream, dtype, count):
        stack = batch.case()
        every: list[tuple[str, Right, Gradients]] = [
            (right.name, right, right.gradients(batch)) for right in rights
        ]
        answers = [Answer(given, right.derivation) for _, right, given in every]
        at_once = certified(batch, answers, few=16)
        sound, largest = at_once.agrees, at_once.bounds
        places = np.arange(batch.count)
        reverse = [
            (name, given.wide(places))
            for name, right, given in every
            if right.derivation == "reverse"
        ]
        together = judged_together(stack, [given for _, given in reverse])
        for at in range(batch.count):
            case = stack[at]
            yield f"{at} key", case.key
            judge = Judge(case)
            for row, (name, right, given) in enumerate(every):
                one = given.wide(np.array([at]))[0]
                yield f"{at} {name}, at once", bool(sound[row, at])
                if sound[row, at]:
                    yield f"{at} {name}, largest", float(largest[row, at])
                yield (
                    f"{at} {name}",
                    judge.verdict(one, framework=name, derivation=right.derivation),
                )
                if row == 0:
                    for fault, spoilt in coarser.FAULTS.items():
                        yield f"{at} {fault}", judge.verdict(spoilt(one), framework=fault)
            judged = together[at]
            if judged is not None:
                for (name, _), verdict in zip(reverse, judged.verdicts, strict=True):
                    yield f"{at} {name}, together", verdict


@click.group()
def main() -> None:
    """Write verdicts, or compare two files of them."""


@main.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--share", default=1.0, show_default=True, help="Of the cases.")
def write(path: Path, share: float) -> None:
    """Judge, and write every verdict to PATH."""
    count, lines = max(1, round(share * CASES)), 0
    with path.open("w", encoding="utf-8") as out:
        for dtype, stream in itertools.product(WORKING, STREAMS):
            for name, verdict in records(dtype, stream, count):
                line = {"of": f"{dtype} {stream.name} {name}", "is": plain(verdict)}
                out.write(json.dumps(line) + "\n")
                lines += 1
    click.echo(f"{lines:,} records")


@main.command()
@click.argument("before", type=click.Path(exists=True, path_type=Path))
@click.argument("after", type=click.Path(exists=True, path_type=Path))
def compare(before: Path, after: Path) -> None:
    """Name what differs between two files."""
    one, other = (
        {row["of"]: row["is"] for row in map(json.loads, path.open(encoding="utf-8"))}
        for path in (before, after)
    )
    different = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    for name in different[:20]:
        click.echo(f"{name}\n  before {one.get(name)}\n  after  {other.get(name)}")
    click.echo(f"{len(one):,} and {len(other):,} records, {len(different):,} differ")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
