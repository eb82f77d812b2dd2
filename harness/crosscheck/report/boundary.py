"""The rows of the table of kinks, those that are the same in all frameworks as one."""

from __future__ import annotations

from collections import defaultdict

from crosscheck.run.tally import Boundary, BoundaryKey, Tally

__all__ = ["ALL", "boundary_rows"]

ALL = "all"
"""Stands for the frameworks of a row that is the same in each of them."""


def boundary_rows(tally: Tally) -> list[tuple[str, BoundaryKey, Boundary]]:
    """Whose row it is, its key and its counts, in the order of a table.

    A row is the same in all frameworks of the run, of which there are several, if gates of one
    class had one λ in all of them, and equally many in equally many cases.
    """
    names = {state.name for state in tally.states() if state.state == "available"}
    alike: dict[tuple[object, ...], list[BoundaryKey]] = defaultdict(list)
    for key, line in tally.boundary.items():
        what = key.formulation, key.gate, key.slope, key.flipped, line.gates, line.cases
        alike[what].append(key)
    found = []
    for keys in alike.values():
        shared = len(keys) == len(names) > 1 and {key.framework for key in keys} == names
        for key in sorted(keys)[:1] if shared else keys:
            found.append((ALL if shared else key.framework, key, tally.boundary[key]))
    return sorted(found, key=lambda row: (row[0] != ALL, row[0], row[1]))
