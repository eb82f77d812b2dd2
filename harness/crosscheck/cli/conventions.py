"""``crosscheck conventions``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crosscheck.cli.isolation import Place, place_options
from crosscheck.cli.measuring import measuring, report_states
from crosscheck.cli.options import framework_names_option, names
from crosscheck.cli.results import check_report_option, echo_json, result_options, write_check
from crosscheck.cli.waiting import told_if_slow
from crosscheck.frameworks.refusals import CrashedError
from crosscheck.run.events import ExitCode
from crosscheck.tools.errors import UsageError

if TYPE_CHECKING:
    from crosscheck.studies.conventions.table import Key, Table, Wanted

__all__ = ["conventions"]


@click.command()
@framework_names_option(of="Only these; numpy (the reference) and sympy are among them.")
@click.option(
    "--formulation",
    "formulations",
    callback=names,
    metavar="A,B",
    help="Only these formulations, e.g. clamp,maximum.",
)
@click.option(
    "--operators",
    callback=names,
    metavar="A,B",
    help="Only formulations of these, e.g. hardtanh,relu6; 'relu' is max(z, 0).",
)
@click.option(
    "--compiled", is_flag=True, help="Measure torch.compile as well, which takes ten minutes."
)
@click.option(
    "--recorded",
    is_flag=True,
    help="Show the baseline instead of measuring anything; imports no framework.",
)
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the table as Markdown.")
@click.option("--check", is_flag=True, help="Compare with the baseline; exit with 1 on a change.")
@click.option("--accept", is_flag=True, help="Make what is measured the new baseline.")
@click.option(
    "--baseline",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Folder of the baseline. Default: reports, else the one that came with the package.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=lambda: min(4, os.cpu_count() or 1),
    show_default="processors, at most 4",
    help="Processes to measure in.",
)
@check_report_option
@place_options
@result_options
def conventions(
    frameworks: tuple[str, ...] | None,
    formulations: tuple[str, ...] | None,
    operators: tuple[str, ...] | None,
    compiled: bool,
    recorded: bool,
    as_json: bool,
    as_markdown: bool,
    check: bool,
    accept: bool,
    baseline: Path | None,
    jobs: int,
    report: Path | None,
    place: Place,
) -> int:
    """Measure what every framework does at the kink, or check that it has not changed.

    Every usual way of writing max(z, 0) and its relatives is run in every mode and dtype, at
    0, -0, subnormal numbers, NaN, infinities and the other breakpoints; every usual way of
    taking the largest of several numbers, where several of them are.

    \b
    Examples:
      crosscheck conventions --recorded                     the committed table, at once
      crosscheck conventions --frameworks torch             measure PyTorch
      crosscheck conventions --formulation clamp,maximum
      crosscheck conventions --operators hardtanh --recorded -o hardtanh.txt
      crosscheck conventions --check                        has anything changed?
      crosscheck conventions --accept                       yes, and that is all right
    """  # noqa: D301  (click wants the control character)
    from crosscheck.studies.conventions.baseline import TABLE, folder
    from crosscheck.studies.conventions.table import Wanted, read_table
    from crosscheck.tools.atomic import require_writable

    options = {"--markdown": as_markdown, "--check": check, "--accept": accept, "--json": as_json}
    chosen = [option for option, is_set in options.items() if is_set]
    if len(chosen) > 1 and chosen != ["--check", "--json"]:
        raise UsageError(f"{' and '.join(chosen)} given together; wanted one of them")
    if recorded and (check or accept):
        raise UsageError(f"--recorded measures nothing, so it cannot {chosen[0][2:]}")
    if report is not None and not check:
        raise UsageError(f"--report {report}: wanted with --check, whose result goes there")
    lost: dict[Key, str] = {}
    if accept:  # before minutes of work
        require_writable(folder(baseline, to_write=True) / TABLE)
    wanted = Wanted.of(formulations, operators)
    if recorded:
        table = read_table(folder(baseline) / TABLE).part(frameworks, wanted)
    else:
        table = _measured(frameworks, wanted, compiled, check, baseline, jobs, place, lost)
    for key, what in lost.items():
        click.echo(f"{' '.join(astuple(key))}: {what}", err=True)
    if check:
        return int(_check(table, baseline, report, lost, as_json=as_json))
    if accept and lost:
        raise CrashedError(f"nothing is accepted: {len(lost)} conventions could not be measured")
    if accept:
        _accept(table, baseline)
    else:
        _show(table, as_json=as_json, as_markdown=as_markdown)
    return int(ExitCode.DISAGREEMENT if lost else ExitCode.OK)


def _measured(
    frameworks: tuple[str, ...] | None,
    wanted: Wanted,
    compiled: bool,
    check: bool,
    baseline: Path | None,
    jobs: int,
    place: Place,
    lost: dict[Key, str],
) -> Table:
    """The table as measured; what could not be, since a framework died, is put into ``lost``.

    Raises:
        UsageError: It is to be checked, and no framework of the baseline is installed; or a
            framework or formulation is unknown.
        CrosscheckError: A framework is broken.
    """
    from crosscheck.studies.conventions.baseline import TABLE, folder
    from crosscheck.studies.conventions.measure import measure, sources
    from crosscheck.studies.conventions.table import read_table

    known: tuple[str, ...] = ()
    if check:  # before minutes of work
        known = read_table(folder(baseline) / TABLE).frameworks
    with told_if_slow("opening frameworks"):
        found, states = sources(frameworks, **place.opening())
    report_states(states, known)
    with measuring() as progress:
        return measure(
            found,
            wanted=wanted,
            slow=compiled,
            jobs=jobs if place.isolated or jobs > 1 else None,
            deadline=place.deadline,
            lost=lost,
            progress=progress,
        )


def _check(
    table: Table,
    baseline: Path | None,
    report: Path | None,
    lost: Mapping[Key, str],
    *,
    as_json: bool,
) -> ExitCode:
    from crosscheck.report.nightly import DRIFT
    from crosscheck.studies.conventions.baseline import DIVERGENCES, TABLE, folder
    from crosscheck.studies.conventions.drift import drift, lines
    from crosscheck.studies.conventions.expected import comparable, read_expected, unexpected
    from crosscheck.studies.conventions.table import read_table

    place = folder(baseline)
    before = read_table(place / TABLE)
    expected = read_expected(place / DIVERGENCES)
    said = [] if as_json else [_versions(table, before, framework) for framework in table.versions]
    for line in said:
        click.echo(line)
    if not as_json and not before.is_of_processor(table):
        click.echo(
            "another processor than the baseline's: subnormal numbers, places in an array, and NaN "
            "in TensorFlow's pooling in graphs are not compared"
        )
    before, expected, table = comparable(before, expected, table)
    groups = drift(before, table)
    told = [f"changed: {line}" for line in lines(groups, table)]
    told += unexpected(before.updated(table), expected, table)
    told += [f"not measured: {key}: {what}" for key, what in lost.items()]
    content = {
        "versions": dict(table.versions),
        "baseline": {name: before.versions_of(name) for name in before.frameworks},
        "measured": len(table.rows),
        "changed": told,
        "groups": [each.as_json() for each in groups],
    }
    write_check(report, DRIFT["conventions"], content)
    if as_json:
        echo_json(content)
        return ExitCode.DISAGREEMENT if told else ExitCode.OK
    for line in told:
        click.echo(line)
    rows, of = len(table.rows), ", ".join(table.frameworks)
    if not told:
        click.echo(f"no convention has changed, of {rows:,} measured of {of}")
        return ExitCode.OK
    cells = sum(1 for each in groups for _ in each.changes())
    click.echo(
        f"{cells:,} differences from {place / TABLE}, in {len(told):,} lines; if they are all "
        "right, accept them with 'crosscheck conventions --accept'"
    )
    return ExitCode.DISAGREEMENT


def _versions(table: Table, before: Table, framework: str) -> str:
    """What a framework was measured with, now and before."""
    known = framework in before.frameworks
    was = before.versions_of(framework) if known else "not in the baseline"
    return f"{framework}: {table.versions[framework]}; baseline: {was}"


def _accept(table: Table, baseline: Path | None) -> None:
    from crosscheck.studies.conventions.baseline import DIVERGENCES, TABLE, folder
    from crosscheck.studies.conventions.drift import drift, lines
    from crosscheck.studies.conventions.expected import accept, read_expected, write_expected
    from crosscheck.studies.conventions.table import read_table, write_table
    from crosscheck.studies.findings import write_findings

    place = folder(baseline, to_write=True)
    path = place / TABLE
    if path.is_file():
        before = read_table(path)
        for line in lines(drift(before, table), table):
            click.echo(f"accepted: {line}")
        table = before.updated(table)
        for line in table.mixtures():
            click.echo(line)
    known = place / DIVERGENCES
    expected = accept(table, read_expected(known) if known.is_file() else ())
    place.mkdir(parents=True, exist_ok=True)
    write_table(table, path)
    write_expected(expected, known)
    click.echo(f"wrote {path}, {known} and {write_findings(place)}")


def _show(table: Table, *, as_json: bool, as_markdown: bool) -> None:
    from crosscheck.report import conventions as report
    from crosscheck.studies.conventions.expected import accept
    from crosscheck.studies.conventions.measure import written
    from crosscheck.studies.conventions.table import to_json

    if as_json:
        echo_json(to_json(table))
        return
    sources = {
        (name, unit, formulation): expression
        for name, lines in written().items()
        for unit, formulations in lines.written.items()
        for formulation, expression in formulations.items()
    }
    found = accept(table)
    if as_markdown:
        click.echo(report.markdown(table, found, sources), nl=False)
    else:
        report.show(table, found, sources)
