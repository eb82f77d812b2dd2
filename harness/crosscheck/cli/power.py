"""``crosscheck power``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crosscheck.cli.options import framework_names_option
from crosscheck.cli.results import echo_json, result_options
from crosscheck.run.events import ExitCode
from crosscheck.tools.errors import UsageError

if TYPE_CHECKING:
    from crosscheck.studies.power import Power

__all__ = ["power"]


@click.command()
@framework_names_option("torch", "Whose correct gradients the faults are planted in.")
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
    "write POWER.md and POWER.json. Takes an hour; begun and not ended, it goes on.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Of the catalogue and of --certificates.",
)
@click.option(
    "--program",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Plant faults at every node of the backward pass of the network in a case file (.json) "
    "of operators, on --cases cases (20 at most).",
)
@click.option(
    "--certificates",
    is_flag=True,
    help="Plant faults at widths to 1,024 and depths to 16 instead, and show what each certificate "
    "catches: a-priori, adjoint, local. A quarter of an hour; with --report written there, and "
    "begun and not ended it goes on.",
)
@click.option("--quick", is_flag=True, help="Of --certificates: widths 4 and 64, and few faults.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of --certificates.")
@click.option(
    "--report",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Folder for POWER.md of the catalogue (reports, if not given) or certificates.md.",
)
@result_options
def power(
    frameworks: tuple[str, ...],
    cases: int,
    peers: int,
    catalogue: bool,
    jobs: int,
    program: str | None,
    certificates: bool,
    quick: bool,
    seed: int,
    report: Path | None,
    as_json: bool,
) -> int:
    """Measure how small a fault is caught.

    One random entry of each gradient is made wrong by a factor 1 + 2^-k; the table shows, in
    percent, how many of these faults are caught, and how many correct gradients are rejected.
    """
    from dataclasses import asdict

    from crosscheck.report.power import table
    from crosscheck.tools.atomic import require_writable

    if program is not None:
        return _of_program(program, min(cases, _MOST_CASES), as_json=as_json)
    if certificates or catalogue:
        if len(frameworks) > 1:
            option = "--certificates" if certificates else "--catalogue"
            raise UsageError(f"{option} takes one framework, {', '.join(frameworks)} given")
        (framework,) = frameworks
        place, name = report or Path("reports"), "certificates" if certificates else "POWER"
        if report is not None or catalogue:
            require_writable(place / f"{name}.json")  # before a quarter of an hour
        if certificates:
            return _certificates(framework, quick, seed, jobs, report, as_json=as_json)
        written = _write(framework, cases, peers, jobs, (report or Path("reports")) / "POWER")
        click.echo(written, nl=False) if as_json else None
        return int(ExitCode.OK)
    found = {name: _small(name, cases, peers) for name in frameworks}
    if as_json:
        echo_json({name: [asdict(each) for each in rows] for name, rows in found.items()})
        return int(ExitCode.OK)
    for name, rows in found.items():
        if len(found) > 1:
            click.echo(f"{name}\n")
        click.echo(table(rows), nl=False)
    return int(ExitCode.OK)


def _of_program(source: str, cases: int, *, as_json: bool) -> int:
    """The table of a network of operators; fails where a fault is never caught."""
    from dataclasses import asdict

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
    missed = any(each.cases and not each.caught for each in found)
    code = int(ExitCode.DISAGREEMENT if missed or rejected else ExitCode.OK)
    if as_json:
        faults = [asdict(each) for each in found]
        echo_json({"network": case.description, "rejected": rejected, "faults": faults})
        return code
    click.echo(f"{case.description}: {cases} cases, right gradients rejected: {rejected}")
    for each in found:
        where = f"{each.fault.step}: " if each.fault.step else ""
        share = f"{each.caught} of {each.cases}" if each.cases else "changes nothing"
        click.echo(f"  {where}{each.fault.what} (node {each.fault.node})  caught {share}")
    planted, caught = sum(each.cases for each in found), sum(each.caught for each in found)
    click.echo(f"{caught:,} of {planted:,} wrong gradients caught, {len(found)} faults")
    return code


def _certificates(
    framework: str, quick: bool, seed: int, jobs: int, folder: Path | None, *, as_json: bool
) -> int:
    """The three certificates side by side; fails where a right gradient is rejected."""
    import json

    from crosscheck.frameworks.registry import open_frameworks
    from crosscheck.report.certificates import page, table
    from crosscheck.report.certificates_chart import chart
    from crosscheck.run.environment import environment
    from crosscheck.studies.certificates.counts import Found
    from crosscheck.studies.certificates.run import all_of
    from crosscheck.studies.certificates.settings import QUICK, Effort, settings
    from crosscheck.tools.atomic import write_text_atomically

    chosen, effort = settings(quick=quick), QUICK if quick else Effort()
    names = [] if quick else [framework]
    here = environment()
    about = {"Python": here["python"], "NumPy": here["numpy"]}
    for each in open_frameworks(names)[0] if names else ():
        about |= each.versions()
    about["seed"] = str(seed)
    words = f"crosscheck power --certificates{' --quick' if quick else ''} --report {folder}"
    report = None if folder is None else folder / "certificates"
    record: dict[str, Any] = {"about": about, "words": words, "found": []}
    unfinished = Path(f"{report}.unfinished.json")
    if report is not None and unfinished.exists():
        before = json.loads(unfinished.read_text("utf-8"))
        if all(before[key] == record[key] for key in ("about", "words")):
            record = before
    done = {each.setting: each for each in map(Found.from_json, record["found"])}

    def text() -> str:
        return json.dumps(record, indent=1, allow_nan=False) + "\n"

    def keep(each: Found) -> None:
        click.echo(f"{each.setting}: done", err=True)
        done[each.setting] = each
        record["found"].append(each.as_json())
        if report is not None:
            write_text_atomically(unfinished, text())

    left = [each for each in chosen if each not in done]
    all_of(left, effort, seed, names, jobs=1 if quick else jobs, tell=keep)
    found = [done[each] for each in chosen]
    record["found"] = [each.as_json() for each in found]
    click.echo(text() if as_json else table(found), nl=False)
    if report is not None:
        record["about"] = about = {"on": here["started"][:10], **about}
        shown = page(found, about, words, f"{report.name}.svg")
        for ending, content in {"json": text(), "svg": chart(found), "md": shown}.items():
            write_text_atomically(Path(f"{report}.{ending}"), content)
        unfinished.unlink(missing_ok=True)
    wrong = any(each.rejected or each.otherwise for each in found)
    return int(ExitCode.DISAGREEMENT if wrong else ExitCode.OK)


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


def _write(framework: str, cases: int, peers: int, jobs: int, report: Path) -> str:
    """Measure all and write the page; rows that an unfinished measurement kept are taken over.

    Returns:
        What POWER.json holds.
    """
    import json
    from dataclasses import asdict

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
    return text
