"""``crosscheck replay``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import click

from crosscheck.cli.options import checking_options
from crosscheck.cli.session import Session
from crosscheck.cli.streams import ENDLESS, shapes_of, stream_options
from crosscheck.run.events import ExitCode, RunStarted
from crosscheck.tools.errors import UsageError

__all__ = ["replay"]


@click.command()
@click.argument("address", metavar="SEED:INDEX")
@stream_options
@checking_options
def replay(
    address: str,
    widths: tuple[tuple[int, ...], ...],
    rows: int,
    dtypes: tuple[str, ...],
    output: str,
    reduction: str,
    mix: str | None,
    frameworks: tuple[str, ...] | None,
    formulations: Mapping[str, str],
    modes: Mapping[str, str],
    allow: tuple[str, ...],
    report: Path,
) -> int:
    """Show one case of a sweep, and every verdict on it.

    The options are those of the sweep; a sweep prints the whole line for each case that is worth
    a look.

    \b
    Example:
      crosscheck replay 7:16384 --widths 4,8,1 --dtype float64
    """  # noqa: D301  (as above)
    from crosscheck.cases.stream.families import DEFAULT_MIX, Mix
    from crosscheck.cases.stream.generate import case as case_of
    from crosscheck.cases.stream.settings import Part, Settings
    from crosscheck.network.files import case_to_json
    from crosscheck.run import crosscheck
    from crosscheck.run.environment import environment
    from crosscheck.run.sweep.check import check_part
    from crosscheck.run.sweep.fast import mode_of

    match = re.fullmatch(r"(\d+):(\d+)", address)
    if match is None or int(match[1]) >= 2**64 or int(match[2]) >= ENDLESS:
        raise UsageError(f"{address!r}: wanted SEED:INDEX, two whole numbers, such as 7:16384")
    shapes = shapes_of(widths, rows, dtypes, output, reduction)
    if len(shapes) > 1:
        raise UsageError("replay: several shapes given, wanted one --widths and one --dtype")
    seed, index = int(match[1]), int(match[2])
    chosen = DEFAULT_MIX if mix is None else Mix.parse(mix)
    (shape,) = shapes
    case, family = case_of(shape, seed, index, chosen)
    session = Session(frameworks, formulations, modes, report, allow)
    settings = Settings(shapes, index + 1, seed, chosen, allow=allow)
    started = RunStarted(
        command=session.command(settings.address(shape, index).split()),
        profile="",
        seed=None,
        dtypes=(shape.dtype,),
        frameworks=session.states,
        environment=environment(),
        planned=1,
    )
    code = session.run(
        started,
        lambda checker: crosscheck.check_given(checker, [(f"{address}, {family}", case)]),
    )
    click.echo(f"case: {json.dumps(case_to_json(case))}")
    if not session.frameworks:
        return code
    in_batch = check_part(Part(shape, index, index + 1), settings, session.frameworks)
    modes = {each.name: mode_of(each, shape.dtype) for each in session.frameworks}
    kinds = (
        f"{name} {kind} ({modes[name]})"
        for name, families in in_batch.summary.kinds.items()
        for counts in families.values()
        for kind in counts
    )
    click.echo(f"in its batch of {shape.batch:,}, as in the sweep: {', '.join(kinds)}")
    return max(code, int(ExitCode.DISAGREEMENT)) if in_batch.failing and not code else code
