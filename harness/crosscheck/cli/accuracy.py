"""``crosscheck accuracy``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crosscheck.cli.completion import function_names
from crosscheck.cli.measuring import measuring, report_states
from crosscheck.cli.options import framework_names_option, names
from crosscheck.cli.results import check_report_option, echo_json, result_options, write_check
from crosscheck.cli.waiting import told_if_slow
from crosscheck.run.events import ExitCode
from crosscheck.tools.errors import UsageError, require_known

if TYPE_CHECKING:
    from crosscheck.numbers.accuracy import Record
    from crosscheck.studies.accuracy.measure import Source

__all__ = ["accuracy"]

_PART = "accuracy.part.json"
"""What is done of a measurement, while it lasts."""

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@framework_names_option(of="Only these.")
@click.option(
    "--function",
    "functions",
    callback=names,
    shell_complete=function_names,
    metavar="A,B",
    help="Only these, e.g. tanh,gelu.",
)
@click.option("--dtype", "dtypes", callback=names, metavar="A,B", help="Only these, e.g. float32.")
@click.option("--recorded", is_flag=True, help="Show the record instead of measuring anything.")
@click.option("--full", is_flag=True, help="Try all inputs of the record again: an hour.")
@click.option("--here", type=_FOLDER, metavar="FOLDER", help="Measure this machine into a folder.")
@click.option("--accept", is_flag=True, help="Make what is measured the new record.")
@click.option(
    "--baseline",
    type=_FOLDER,
    metavar="FOLDER",
    help="Folder of the record. Default: reports, else the one that came with the package.",
)
@check_report_option
@result_options
def accuracy(
    frameworks: tuple[str, ...] | None,
    functions: tuple[str, ...] | None,
    dtypes: tuple[str, ...] | None,
    recorded: bool,
    full: bool,
    here: Path | None,
    accept: bool,
    baseline: Path | None,
    report: Path | None,
    as_json: bool,
) -> int:
    """Measure the elementary functions of every framework, and compare with the record.

    Each function and two derivatives are held to Arb, in every formulation, mode and dtype: all
    numbers in 16 bits, some in float32 and float64. Without --full that is one in a hundred of the
    record's, and its worst ones. Exits with 1 where an error is not the recorded one or, on another
    processor, where more than rounding has come up that the record does not have.

    \b
    Examples:
      crosscheck accuracy --recorded               the committed table, at once
      crosscheck accuracy                          has anything changed? some minutes
      crosscheck accuracy --function tanh,gelu --dtype float32
      crosscheck accuracy --here FOLDER            a table of this machine
      crosscheck accuracy --accept                 the new record: an hour
    """  # noqa: D301  (click wants the control character)
    chosen = [
        option
        for option, is_set in (
            ("--recorded", recorded),
            ("--here", here is not None),
            ("--accept", accept),
        )
        if is_set
    ]
    if len(chosen) > 1:
        raise UsageError(f"{' and '.join(chosen)} given together; wanted one of them")
    if as_json and (accept or here is not None):
        raise UsageError(f"--json and {chosen[0]} given together; {chosen[0]} writes JSON itself")
    if report is not None and chosen:
        raise UsageError(f"--report and {chosen[0]} given together; wanted one of them")
    if recorded:
        _show(_part(_read(baseline), frameworks, functions, dtypes), as_json=as_json)
        return int(ExitCode.OK)
    if here is not None or accept:
        place = here if here is not None else baseline or Path("reports")
        record, found = _measured(frameworks, functions, dtypes, full=True, keep=place)
        before = _before(place, record, functions, dtypes) if accept else None
        _write(record if before is None else before, found, place)
        return int(ExitCode.OK)
    known = _read(baseline)
    words = (known, frameworks, functions, dtypes, report)
    return int(_check(*words, full=full, as_json=as_json))


def _read(baseline: Path | None) -> Record:
    from crosscheck.numbers.accuracy import RECORD, committed, read_record

    if baseline is not None:
        return read_record(baseline / RECORD)
    own = Path("reports") / RECORD
    return read_record(own) if own.is_file() else committed()


def _part(
    record: Record,
    frameworks: tuple[str, ...] | None,
    functions: tuple[str, ...] | None,
    dtypes: tuple[str, ...] | None,
) -> Record:
    from dataclasses import replace

    from crosscheck.studies.accuracy.measure import parts

    parts(functions, dtypes)  # whose names have to be known
    require_known("--frameworks", frameworks or (), record.frameworks)
    rows = tuple(
        row
        for row in record.rows
        if (frameworks is None or row.key.framework in frameworks)
        and (functions is None or row.key.function in functions)
        and (dtypes is None or row.key.dtype in dtypes)
    )
    if not rows:
        given = (("--frameworks", frameworks), ("--function", functions), ("--dtype", dtypes))
        told = " ".join(f"{option} {','.join(names)}" for option, names in given if names)
        raise UsageError(f"{told}: the record has none of these together; leave one out")
    return replace(record, rows=rows)


def _measured(
    frameworks: tuple[str, ...] | None,
    functions: tuple[str, ...] | None,
    dtypes: tuple[str, ...] | None,
    *,
    full: bool,
    known: Record | None = None,
    keep: Path | None = None,
) -> tuple[Record, list[Source]]:
    """What is measured here, and with what.

    Raises:
        UsageError: No framework of ``known`` is installed, or something is unknown.
    """
    from crosscheck.numbers.accuracy import RECORD
    from crosscheck.studies.accuracy.measure import parts
    from crosscheck.studies.accuracy.points import BRIEF, SETTINGS
    from crosscheck.studies.accuracy.run import empty, measure, opened
    from crosscheck.tools.atomic import require_writable

    parts(functions, dtypes)  # before seconds of imports
    with told_if_slow("opening frameworks"):
        found, states = opened(frameworks)
    report_states(states, () if known is None else known.frameworks)
    settings = SETTINGS if full else BRIEF
    date = datetime.now(UTC).date().isoformat()
    if keep is not None:
        require_writable(keep / RECORD)
        keep.mkdir(parents=True, exist_ok=True)
    with measuring() as progress:
        record = measure(
            found,
            empty(found, settings, date),
            settings,
            functions=functions,
            dtypes=dtypes,
            known=known,
            keep=None if keep is None else keep / _PART,
            progress=progress,
        )
    return record, found


def _before(
    place: Path,
    record: Record,
    functions: tuple[str, ...] | None,
    dtypes: tuple[str, ...] | None,
) -> Record | None:
    """The record that is there with what was measured in the place of its own; ``None`` if none is.

    Rows of other frameworks, functions and dtypes stay as they are.
    """
    from dataclasses import replace

    from crosscheck.numbers.accuracy import RECORD, read_record
    from crosscheck.studies.accuracy.drift import changes, groups, is_measured
    from crosscheck.studies.accuracy.measure import merged

    if not (place / RECORD).is_file():
        return None
    before = read_record(place / RECORD)
    for group in groups(changes(before, record, functions=functions, dtypes=dtypes)):
        click.echo(f"accepted: {group}")
    rows = [row for row in before.rows if not is_measured(row.key, record, functions, dtypes)]
    versions = {**before.versions, **record.versions}
    kept = replace(record, versions=versions, rows=tuple(rows), shown=before.shown)
    return merged(kept, record.rows)


def _write(record: Record, found: list[Source], place: Path) -> None:
    """Write the record and its pages."""
    from crosscheck.numbers.accuracy import RECORD, write_record
    from crosscheck.operators.elementary_lines import elementary_lines
    from crosscheck.report.accuracy import markdown
    from crosscheck.report.accuracy_chart import chart
    from crosscheck.studies.accuracy.shown import with_shown
    from crosscheck.studies.findings import write_findings
    from crosscheck.tools.atomic import write_text_atomically

    path = place / RECORD
    record = with_shown(record, found)
    write_record(record, path)
    lines = {name: elementary_lines(name) for name in record.frameworks}
    write_text_atomically(place / "accuracy.md", markdown(record, lines))
    write_text_atomically(place / "accuracy.svg", chart(record))
    findings = write_findings(place)
    (place / _PART).unlink(missing_ok=True)
    click.echo(f"wrote {path}, accuracy.md and accuracy.svg beside it, and {findings}")


def _check(
    record: Record,
    frameworks: tuple[str, ...] | None,
    functions: tuple[str, ...] | None,
    dtypes: tuple[str, ...] | None,
    report: Path | None,
    *,
    full: bool,
    as_json: bool,
) -> ExitCode:
    from crosscheck.report.nightly import DRIFT
    from crosscheck.studies.accuracy.drift import beyond, changes, groups

    new, _ = _measured(frameworks, functions, dtypes, full=full, known=record)
    found = list(changes(record, new, functions=functions, dtypes=dtypes))
    alike = groups(found)
    elsewhere = list(beyond(record, new))
    content = {
        "versions": dict(new.versions),
        "baseline": dict(record.versions),
        "measured": len(new.rows),
        "changed": [f"changed: {each}" for each in alike],
        "groups": [each.as_json() for each in alike],
        "another_processor": elsewhere,
    }
    write_check(report, DRIFT["accuracy"], content)
    if as_json:
        echo_json(content)
        return ExitCode.DISAGREEMENT if found else ExitCode.OK
    for framework, versions in new.versions.items():
        was = record.versions.get(framework, "not in the record")
        click.echo(f"{framework}: {versions}; record: {was}")
    for line in elsewhere:
        click.echo(f"another processor: {line}")
    for group in alike:
        click.echo(f"changed: {group}")
    if not found:
        of = f"{len(new.rows):,} measured of {', '.join(new.frameworks)}"
        click.echo(f"no accuracy has changed, of {of}")
        return ExitCode.OK
    click.echo(
        f"{len(found):,} differences from the record, in {len(alike):,} lines; if they are all "
        "right, accept them with 'crosscheck accuracy --accept'"
    )
    return ExitCode.DISAGREEMENT


def _show(record: Record, *, as_json: bool) -> None:
    from crosscheck.numbers.accuracy import dumps
    from crosscheck.report.accuracy import show

    if as_json:
        click.echo(dumps(record), nl=False)
    else:
        show(record)
