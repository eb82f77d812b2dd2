"""``crosscheck power``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from crosscheck.run.events import ExitCode

if TYPE_CHECKING:
    from crosscheck.studies.power import Power

__all__ = ["power"]


@click.command()
@click.option(
    "--framework",
    default="torch",
    show_default=True,
    help="Whose correct gradients the faults are planted in.",
)
@click.option("--cases", type=click.IntRange(min=1), default=2000, show_default=True)
@click.option(
    "--peers",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Put the faults to the frameworks' own checkers too, on N cases each (slow).",
)
@click.option(
    "--catalogue",
    is_flag=True,
    help="Also put every wrong gradient of the catalogue on every road, and to the other checkers; "
    "write REPORT.md and REPORT.json. Takes an hour; begun and not ended, it goes on.",
)
@click.option(
    "--jobs", type=click.IntRange(min=1), default=2, show_default=True, help="Of the catalogue."
)
@click.option(
    "--program",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Plant faults at every node of the backward pass of the network in a case file (.json) "
    "of operators, on --cases cases (20 at most).",
)
@click.option("--report", default="reports/POWER", show_default=True, help="Without .json or .md.")
def power(
    framework: str,
    cases: int,
    peers: int,
    catalogue: bool,
    jobs: int,
    program: str | None,
    report: str,
) -> int:
    """Measure how small a fault is caught.

    One random entry of each gradient is made wrong by a factor 1 + 2^-k; the table shows, in
    percent, how many of these faults are caught, and how many correct gradients are rejected.
    """
    from crosscheck.report.power import table

    if program is not None:
        return _of_program(program, min(cases, _MOST_CASES))
    if catalogue:
        _write(framework, cases, peers, jobs, report)
        return int(ExitCode.OK)
    click.echo(table(_small(framework, cases, peers)), nl=False)
    return int(ExitCode.OK)


def _of_program(source: str, cases: int) -> int:
    """The table of a network of operators; fails where a fault is never caught."""
    from crosscheck.cases.composed import Plan
    from crosscheck.network.composed import Composed
    from crosscheck.network.files import read_any_case, refuse
    from crosscheck.studies.steps import measure

    case = read_any_case(source)
    if not isinstance(case, Composed):
        refuse(source, "is a dense network, wanted one of operators; leave --program out")
    shapes = case.shapes
    plan = Plan(
        case.steps,
        {name: shapes[name] for name in case.parameters},
        {name: shapes[name] for name in case.inputs},
    )
    found, rejected = measure(plan, case.dtype, cases, seed=0)
    click.echo(f"{case.description}: {cases} cases, right gradients rejected: {rejected}")
    for each in found:
        where = f"{each.fault.step}: " if each.fault.step else ""
        share = f"{each.caught} of {each.cases}" if each.cases else "changes nothing"
        click.echo(f"  {where}{each.fault.what} (node {each.fault.node})  caught {share}")
    planted, caught = sum(each.cases for each in found), sum(each.caught for each in found)
    click.echo(f"{caught:,} of {planted:,} wrong gradients caught, {len(found)} faults")
    missed = any(each.cases and not each.caught for each in found)
    return int(ExitCode.DISAGREEMENT if missed or rejected else ExitCode.OK)


_MOST_CASES = 20
"""Of a network of operators, for each of hundreds of faults."""


def _small(framework: str, cases: int, peers: int) -> Sequence[Power]:
    from crosscheck.frameworks.registry import open_frameworks
    from crosscheck.studies import peers as checkers
    from crosscheck.studies.power import FAULTS, SHAPES, measure, measure_peer

    (adapter,), _ = open_frameworks([framework])
    results = []
    for dtype, exponents in FAULTS.items():
        for widths in SHAPES:
            results += measure(adapter, widths, dtype=dtype, exponents=exponents, count=cases)
            with checkers.numeric_kept({}):
                for checker in checkers.CHECKERS if peers else ():
                    results += measure_peer(
                        checker, adapter, widths, dtype=dtype, exponents=exponents, count=peers
                    )
    return results


def _write(framework: str, cases: int, peers: int, jobs: int, report: str) -> None:
    """Measure all and write the page; rows that an unfinished measurement kept are taken over."""
    import json
    from dataclasses import asdict
    from pathlib import Path

    from crosscheck.frameworks.registry import open_frameworks
    from crosscheck.report.kills import page
    from crosscheck.run.environment import environment
    from crosscheck.studies.faults import matrix
    from crosscheck.studies.faults.catalogue import CATALOGUE
    from crosscheck.studies.faults.roads import DESCRIPTIONS, SEED
    from crosscheck.tools.atomic import write_text_atomically

    opened, _ = open_frameworks()
    record: dict[str, Any] = {
        "catalogue": matrix.catalogue_digest(),
        "source": matrix.source_digest(),
        "seed": SEED,
        "versions": {k: v for each in opened for k, v in each.versions().items()},
        "environment": environment(),
        "roads": dict(DESCRIPTIONS),
        "framework": framework,
        "rows": {},
        "small": [],
    }
    unfinished = Path(f"{report}.unfinished.json")
    if unfinished.exists():
        before = json.loads(unfinished.read_text("utf-8"))
        if all(before[key] == record[key] for key in ("source", "versions", "seed")):
            record["rows"], record["small"] = before["rows"], before["small"]

    def keep() -> None:
        write_text_atomically(unfinished, json.dumps(record, indent=1, allow_nan=False) + "\n")

    def tell(name: str, row: dict[str, Any]) -> None:
        record["rows"][name] = row
        missed = [road for road in row["must"] if row["caught"][road] is None]
        click.echo(f"{name}: {'missed by ' + ', '.join(missed) if missed else 'ok'}", err=True)
        keep()

    faults = [matrix.NO_FAULT, *CATALOGUE.values()]
    record["rows"] = matrix.matrix(faults, done=record["rows"], jobs=jobs, tell=tell)
    keep()
    if not record["small"]:
        record["small"] = [asdict(each) for each in _small(framework, cases, peers)]
        keep()
    text = json.dumps(record, indent=1, allow_nan=False) + "\n"
    write_text_atomically(Path(f"{report}.json"), text)
    write_text_atomically(Path(f"{report}.md"), page(json.loads(text)))
    unfinished.unlink()
