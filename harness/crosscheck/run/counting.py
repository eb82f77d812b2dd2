"""Cases that were checked, in numbers."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from crosscheck.frameworks.base import Framework
from crosscheck.judge.vacuity import Seen, seen_by
from crosscheck.judge.verdict import Kind
from crosscheck.network.composed import AnyCase, Composed
from crosscheck.numbers.arrays import Array
from crosscheck.run.certified import Certifications, certifications_of
from crosscheck.run.events import Part, StackChecked
from crosscheck.run.panel import Judged

__all__ = ["counted", "fingerprints"]


def counted(
    frameworks: Sequence[Framework], case: AnyCase, part: Part, found: Judged, distinct: int
) -> StackChecked:
    """What was said of a single case, or of a stack, in numbers.

    Args:
        frameworks: Who was asked.
        case: The case, or the stack.
        part: Where it comes from.
        found: What was said.
        distinct: How many of the cases had not been seen before in this run.
    """
    kinds: dict[str, dict[Kind, int]] = {}
    compared: dict[str, Array] = {}
    seen: dict[str, Seen] = {}
    certified: dict[str, Mapping[str, Certifications]] = {}
    for column, framework in enumerate(frameworks):
        own = [row[column] for row in found.verdicts]
        kinds[framework.name] = dict(Counter(verdict.kind for verdict in own))
        agrees = np.array([verdict.kind is Kind.AGREES for verdict in own])
        compared[framework.name] = found.bounds[agrees, column]
        certified[framework.name] = certifications_of(own)
        seen[framework.name] = seen_by(own)
    return StackChecked(
        part=part,
        widths=case.widths,
        rows=case.rows,
        dtype=case.dtype,
        count=len(found.verdicts),
        distinct=distinct,
        kinds=kinds,
        bounds=compared,
        seen=seen,
        certified=certified,
        operators=case.shape_name if isinstance(case, Composed) else "",
    )


def fingerprints(case: AnyCase) -> Iterable[int]:
    """One number per case, the same for equal cases in any process and hardly ever for others."""
    count = case.count or 1
    flat = np.concatenate([array.reshape(count, -1) for _, array in case.entries()], axis=1)
    shape = repr((case.kind, case.dtype, case.rows)).encode()
    for row in flat:
        digest = hashlib.blake2b(shape + row.tobytes(), digest_size=8).digest()
        yield int.from_bytes(digest, "little")
