"""``python -m reliability``, with ``tests`` among the places where modules are."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import sweeping

from crosscheck.tools.atomic import write_text_atomically
from reliability import ctrl_c, kills
from reliability.commands import groups, outcomes, place
from reliability.page import page, wrong
from reliability.rows import Found, Row, read, tried, write
from reliability.ways import COMMANDS, WAYS

_PARTS = ("ways", "kills", "ctrl-c")


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default="reports", show_default=True)
@click.option("--part", "parts", multiple=True, type=click.Choice(_PARTS), help="Default: all.")
@click.option("--way", "ways", multiple=True, type=click.Choice(list(WAYS)), help="Default: all.")
@click.option("--command", "commands", multiple=True, type=click.Choice(COMMANDS))
@click.option("--jobs", default=2, show_default=True, help="Commands at a time, in the first part.")
@click.option("--again", is_flag=True, help="Try once more what went wrong before.")
@click.option("--seed", default=20261130, show_default=True)
def main(
    folder: Path,
    parts: tuple[str, ...],
    ways: tuple[str, ...],
    commands: tuple[str, ...],
    jobs: int,
    again: bool,
    seed: int,
) -> None:
    """See what comes of bad days; resumed if ended, exits with 1 where that is not what was to.

    An hour on two cores.
    """
    path = folder / "reliability.json"
    found = read(path, seed)
    if again:
        found.rows = [row for row in found.rows if row.is_right]
        found.kills = [kill for kill in found.kills if kill.outcome == kills.SAME]
        found.interrupts = [each for each in found.interrupts if ctrl_c.was_heard(each)]

    def after(each: object) -> None:
        write(path, found)
        click.echo(each, err=True)

    wanted = parts or _PARTS
    if "ways" in wanted:
        _ways(found, after, ways or tuple(WAYS), commands or COMMANDS, jobs)
    with tempfile.TemporaryDirectory(prefix="reliability-") as name:
        site = sweeping.write(Path(name))
        ctrl_c.write_cases(Path(name))
        modules = os.pathsep.join([str(site), *filter(None, sys.path)])
        environment = {**os.environ, "PYTHONPATH": modules}
        if "kills" in wanted:
            kills.killed(found, Path(name), environment, after)
        if "ctrl-c" in wanted:
            ctrl_c.interrupted(found, Path(name), environment, after)
    write(path, found)
    files = json.loads((folder / "reliability-files.json").read_text("utf-8"))
    write_text_atomically(folder / "RELIABILITY.md", page(found, files))
    for line in wrong(found):
        click.echo(line)
    raise SystemExit(1 if wrong(found) else 0)


def _ways(
    found: Found,
    after: Callable[[Row], None],
    ways: Sequence[str],
    commands: Sequence[str],
    jobs: int,
) -> None:
    with place() as where:
        tried(
            found,
            lambda group, command: outcomes(where, group, command),
            after,
            groups=groups,
            ways=ways,
            commands=commands,
            jobs=jobs,
        )


if __name__ == "__main__":
    main()
