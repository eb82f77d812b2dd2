"""What is said of a model, for a terminal and as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from crosscheck.run.modules.outcome import ModelOutcome, OperationRow, State

__all__ = ["as_json_of", "lines_of", "ratio_text"]

_MOST_ROWS = 60


def as_json_of(outcome: ModelOutcome) -> dict[str, Any]:
    """One document; an infinite ratio is ``null``."""
    found = asdict(outcome)
    for row in found["operations"]:
        row["ratio"] = row["ratio"] if math.isfinite(row["ratio"]) else None
    found["ratio"] = found["ratio"] if math.isfinite(found["ratio"]) else None
    return found


def ratio_text(ratio: float) -> str:
    """An error over its bound; where the bound is 0 whatever is off is wrong."""
    if ratio == 0.0:
        return "exact"
    return f"{ratio:.2g}" if math.isfinite(ratio) else "no bound"


def lines_of(outcome: ModelOutcome) -> Iterator[str]:
    """The verdict, the first wrong operation, the operations, the kinks, what is not understood."""
    count = len(outcome.operations)
    yield (
        f"{outcome.name}: {outcome.kind}, {outcome.library}, {outcome.derivation}, "
        f"{outcome.dtype}, {count} operations, {len(outcome.leaves)} arrays differentiated by"
    )
    if outcome.detail:
        yield f"  {outcome.detail}"
    wrong = outcome.wrong
    if wrong is not None:
        yield f"  first wrong  {wrong.id}: {wrong.wrong}"
        if wrong.where:
            yield f"               {wrong.where}   {wrong.text}"
    for note in outcome.notes:
        yield f"  note         {note}"
    if outcome.operations:
        yield ""
        yield from _table(outcome)
    if outcome.kinks:
        yield ""
        yield "  kinks"
        for kink in outcome.kinks:
            times = f", {kink.count} entries" if kink.count > 1 else ""
            at = f" at {list(kink.index)}" if kink.index else ""
            yield f"    {kink.where}{at}{times}: {kink.said}"
    if outcome.unread:
        yield ""
        yield "  not understood"
        for each in outcome.unread:
            yield f"    {each}"


def _table(outcome: ModelOutcome) -> Iterator[str]:
    rows = _shown(outcome)
    width = max(len(each.id) for each in rows)
    yield f"  {'operation':{width}}  error / bound  numbers"
    for each in rows:
        mark = "" if each.state is State.INSIDE else f"  {each.state}"
        where = f"  {each.where.rpartition('/')[2]}  {each.text}" if each.where else ""
        yield (
            f"  {each.id:{width}}  {ratio_text(each.ratio):>13}  {each.compared:>7}{mark}{where}"
        )
    if len(rows) < len(outcome.operations):
        yield f"  … {len(outcome.operations) - len(rows)} more, all nearer to right than these"


def _shown(outcome: ModelOutcome) -> list[OperationRow]:
    """Those that are not inside, and of the others the nearest to their bounds, in their order."""

    def rank(row: OperationRow) -> tuple[bool, float]:
        return row.state is State.INSIDE, -row.ratio

    first = {id(each) for each in sorted(outcome.operations, key=rank)[:_MOST_ROWS]}
    return [each for each in outcome.operations if id(each) in first]
