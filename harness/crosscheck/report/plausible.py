"""Whether a report can be one of a run: what it says twice is compared.

With c cases, n_f(k) the number of verdicts k on framework f, over all parts, and n_f = Σ_k n_f(k):

- n_f <= c for each f. c <= Σ_f n_f, since a case is counted for having been put to somebody. (A
  report of tests has functions in place of frameworks, each with cases of its own.)
- A run that passed has no verdict that fails: Σ of the failing kinds, less what was allowed of
  REDUCED and what LIBRARY was measured elsewhere, is 0; nor a case that fails, nor one that is
  broken. One of no cases has not passed.
- A histogram has as many values as cases, all histograms of f no more than n_f.
- What a certificate was asked of is inside, wrong, or of a note: the numbers add up.
"""

from __future__ import annotations

from crosscheck.judge.verdict import FAILING, Kind
from crosscheck.report.document import Document
from crosscheck.run.events import ExitCode
from crosscheck.tools.plausible import negative, require

__all__ = ["require_plausible"]


def require_plausible(found: Document) -> None:
    """Have a report be such as a run writes.

    Raises:
        Implausible: It is not.
    """
    for at in negative({**vars(found), "cases": ()}):  # those were looked at when they were read
        require(False, f"{at} is negative")
    run = found.run
    require(run.seconds >= 0, "run.seconds is no duration")
    for field in ("failing_cases", "distinct_cases"):
        count = getattr(run, field) or 0
        require(count <= run.cases, f"run.{field} is {count:,}, of {run.cases:,} cases")
    counts: dict[str, int] = {}
    for each in found.verdicts:
        counts[each.framework] = counts.get(each.framework, 0) + sum(each.counts.values())
        reduced = each.counts.get(Kind.REDUCED, 0)
        require(
            (each.allowed or 0) <= reduced, f"verdicts: {each.framework} allowed more than REDUCED"
        )
    most = max(counts.values(), default=0)
    require(
        most <= run.cases <= sum(counts.values()),
        f"run.cases is {run.cases:,}, and there are {most:,} to {sum(counts.values()):,} verdicts",
    )
    if run.exit_code is ExitCode.OK:
        _require_passed(found)
    _require_parts(found, counts)


def _require_passed(found: Document) -> None:
    require(found.run.cases > 0, "run: passed without a case")
    require(found.run.failing_cases == 0, "run: passed with failing cases")
    for each in found.verdicts:
        failing = sum(each.counts.get(kind, 0) for kind in FAILING - {Kind.LIBRARY})
        require(failing == (each.allowed or 0), f"run: passed, and {each.framework} has failed")
    for state in found.frameworks:
        require(state.state != "broken", f"run: passed, and {state.name} is broken")
    for kept in found.cases:
        require(not any(each.fails for each in kept.verdicts), f"run: passed, and {kept.key} fails")


def _require_parts(found: Document, counts: dict[str, int]) -> None:
    spread: dict[str, int] = {}
    for each in found.error_over_bound:
        name = f"error_over_bound of {each.framework}"
        require(sum(each_bin.cases for each_bin in each.histogram) == each.cases, f"{name}: bins")
        edges = [each_bin.up_to for each_bin in each.histogram]
        require(edges == sorted(set(edges)), f"{name}: bins out of order")
        require(not each.median > each.maximum, f"{name}: a median beyond the maximum")
        spread[each.framework] = spread.get(each.framework, 0) + each.cases
    _require_within(spread, counts, "error_over_bound")
    for said in found.certified:
        name = f"certified of {said.framework}"
        total = said.inside + said.wrong + sum(note.cases for note in said.notes)
        require(total == said.cases, f"{name}: {said.cases:,} gradients, and {total:,} told")
        require(said.untold <= said.inside, f"{name}: untold")
        require(said.unbounded <= said.compared, f"{name}: unbounded")
    for line in found.not_checked:
        require(
            sum(line.arrays.values()) == line.not_checked <= line.compared,
            f"not_checked of {line.framework}: the numbers of arrays",
        )
    for again in found.asked_again:
        parts = again.not_reproducible, again.nondeterministic
        require(max(parts) <= again.cases, f"asked_again of {again.framework}")
    if found.sweep is not None:
        _require_sweep(found)


def _require_sweep(found: Document) -> None:
    sweep = found.sweep
    assert sweep is not None
    if sweep.settings is not None:
        most = sweep.settings.cases
        require(
            found.run.cases <= most, f"run.cases is {found.run.cases:,}, of a sweep of {most:,}"
        )
    require(len(sweep.workers) <= sweep.workers_lost, "sweep.workers: more than were lost")
    by_kind: dict[tuple[str, Kind], int] = {}
    for each in sweep.families:
        for kind, count in each.counts.items():
            by_kind[each.framework, kind] = by_kind.get((each.framework, kind), 0) + count
    told = {
        (each.framework, kind): count
        for each in found.verdicts
        if each.part == "sweep"
        for kind, count in each.counts.items()
    }
    require(by_kind == told, "sweep.families: others than the verdicts")


def _require_within(some: dict[str, int], all_: dict[str, int], name: str) -> None:
    for framework, count in some.items():
        require(count <= all_.get(framework, 0), f"{name}: {count:,} cases of {framework}")
