"""Whether a checkpoint can be one of a sweep: what it counts twice is compared.

With c cases before the place, and n_f(v, k) the number of verdicts k on framework f in family v:

- the place lies in the sweep, and the settings tell c from it, unless the sweep was cut within a
  step by failures; then it is over, and there are fewer cases;
- Σ_v Σ_k n_f(v, k) = Σ_k n_f(k) = c for each f, since each case has one verdict of each;
- the bins of f's spread hold the cases that AGREE, Σ_bins = n_f(AGREES);
- a case is *smooth* if one framework AGREES or DISAGREES on it, so the number of these is at least
  the largest n_f(AGREES) + n_f(DISAGREES) and at most their sum over f, and at most c;
- a case fails if one of its verdicts does: at least max_f of the verdicts that always fail, at most
  Σ_f of those that may.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from crosscheck.judge.verdict import FAILING, Kind
from crosscheck.run.tally import Tally
from crosscheck.tools.plausible import negative, require

__all__ = ["require_plausible"]

_SURE = FAILING - {Kind.REDUCED, Kind.LIBRARY}
"""Verdicts that fail whatever is allowed or was measured."""


def require_plausible(found: Any) -> None:
    """Have a `crosscheck.run.sweep.checkpoint.Checkpoint` be such as a sweep writes.

    Raises:
        Implausible: It is not.
    """
    settings, tally, place = found.settings, found.tally, found.place
    for field in ("place", "smooth", "failing"):
        require(getattr(found, field) >= 0, f"{field} is negative")
    require(math.isfinite(found.seconds) and found.seconds >= 0, "seconds is no duration")
    require(place <= settings.places, f"place is {place:,}, beyond the end at {settings.places:,}")
    done = settings.done(place)
    is_cut = found.finished and found.failing > 0
    require(
        tally.cases == done or (is_cut and tally.cases < done),
        f"{tally.cases:,} cases are counted, and there are {done:,} before the place",
    )
    at_end = place == settings.places or is_cut or not tally.kinds
    require(at_end or not found.finished, "it is said to be finished, before its end")
    require(found.smooth <= tally.cases, "more smooth cases than cases")
    require(found.failing == tally.failures, "failing is not what the tally counts")
    require_consistent(tally)
    kinds = {framework: of_it for (framework, _), of_it in tally.kinds.items()}
    _require_between(
        found.smooth,
        [_sum(each, (Kind.AGREES, Kind.DISAGREES)) for each in kinds.values()],
        "smooth",
    )
    sure = max((_sum(each, _SURE) for each in kinds.values()), default=0)
    most = sum(_sum(each, FAILING) for each in kinds.values())
    require(
        sure <= found.failing <= most,
        f"{found.failing:,} cases are said to fail, and the verdicts say {sure:,} to {most:,}",
    )


def require_consistent(tally: Tally) -> None:
    """Have what the tally of a sweep counts twice be the same.

    Raises:
        Implausible: It is not.
    """
    for at in negative({name: value for name, value in vars(tally).items() if name != "kept"}):
        require(False, f"tally: {at} is negative")
    require({part for _, part in tally.kinds} <= {"sweep"}, "tally.kinds: cases of another part")
    for (framework, _), kinds in tally.kinds.items():
        total = sum(kinds.values())
        require(total == tally.cases, f"tally.kinds: {total:,} of {framework} in {tally.cases:,}")
        families: dict[Kind, int] = {}
        for (name, _), of_family in tally.families.items():
            for kind, count in of_family.items() if name == framework else ():
                families[kind] = families.get(kind, 0) + count
        require(families == dict(kinds), f"tally.families: others than tally.kinds of {framework}")
        agreeing = sum(s.total for (name, *_), s in tally.spreads.items() if name == framework)
        require(
            agreeing == kinds.get(Kind.AGREES, 0),
            f"tally.spreads: {agreeing:,} of {framework} that agree",
        )
    named = {framework for framework, _ in tally.kinds}
    for field in ("families", "spreads", "certified", "arithmetics", "allowed"):
        others = {key[0] for key in getattr(tally, field)} - named
        require(not others, f"tally.{field}: of {', '.join(sorted(others))}, which has no verdicts")
    require(len(tally.lost) <= tally.losses, "tally.lost: more than there were")
    require(
        all(math.isfinite(s.largest) and s.largest >= 0 for s in tally.spreads.values()),
        "tally.spreads: no error / bound",
    )
    for line in tally.coverage.lines():
        for name, (compared, empty) in line.seen.items():
            require(
                0 <= empty <= compared <= tally.cases, f"tally.coverage: {name} of {line.dtype}"
            )


def _sum(kinds: Mapping[Kind, int], wanted: Any) -> int:
    return sum(kinds.get(kind, 0) for kind in wanted)


def _require_between(count: int, counts: list[int], name: str) -> None:
    least, most = max(counts, default=0), sum(counts)
    require(
        least <= count <= most, f"{name} is {count:,}, and the verdicts say {least:,} to {most:,}"
    )
