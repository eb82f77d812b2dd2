"""``crosscheck replay``."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import click

from crosscheck.cli.isolation import Place, isolation_options
from crosscheck.cli.options import Checking, checking_options
from crosscheck.cli.session import Session
from crosscheck.cli.streams import ENDLESS, Stream, steps_option, stream_options
from crosscheck.run.events import ExitCode, RunStarted
from crosscheck.tools.errors import UsageError
from crosscheck.tools.words import cut

if TYPE_CHECKING:
    from crosscheck.cases.stream.settings import Settings, Shape

__all__ = ["replay"]


@click.command()
@click.argument("address", metavar="SEED:INDEX")
@stream_options
@steps_option
@isolation_options
@checking_options
def replay(
    address: str,
    steps: bool,
    stream: Stream,
    checking: Checking,
    place: Place,
) -> int:
    """Show one case of a sweep, and every verdict on it.

    The options are those of the sweep; a sweep prints the whole line for each case that is worth
    a look.

    \b
    Example:
      crosscheck replay 7:16384 --widths 4,8,1 --dtype float64
    """  # noqa: D301  (as above)
    from crosscheck.cases.stream.generate import case as case_of
    from crosscheck.cases.stream.settings import Settings
    from crosscheck.network.files import case_to_json
    from crosscheck.run import crosscheck
    from crosscheck.run.environment import environment

    seed, index = _parsed(address)
    shapes, mix = stream.shapes, stream.families
    if len(shapes) > 1:
        raise UsageError("replay: several shapes given, wanted one --widths and one --dtype")
    (shape,) = shapes
    case, family = case_of(shape, seed, index, mix)
    session = Session(checking, place)
    settings = Settings(shapes, index + 1, seed, mix, allow=session.allow, steps=steps)
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
    if not checking.as_json:
        click.echo(f"case: {json.dumps(case_to_json(case))}")
    fails = bool(session.frameworks) and _fails_in_batch(session, settings, shape, index)
    return int(ExitCode.DISAGREEMENT) if fails and not code else code


def _parsed(address: str) -> tuple[int, int]:
    """Seed and index."""
    match = re.fullmatch(r"(\d{1,20}):(\d{1,20})", address)
    if match is None or int(match[1]) >= 2**64 or int(match[2]) >= ENDLESS:
        raise UsageError(
            f"{cut(repr(address), 60)}: wanted SEED:INDEX, two whole numbers, such as 7:16384"
        )
    return int(match[1]), int(match[2])


def _fails_in_batch(session: Session, settings: Settings, shape: Shape, index: int) -> bool:
    """Tell what comes of the case among those of its batch; whether that is a failure."""
    from crosscheck.cases.stream.settings import Part
    from crosscheck.run.sweep.check import check_part
    from crosscheck.run.sweep.fast import mode_of

    in_batch = check_part(Part(shape, index, index + 1), settings, session.frameworks)
    modes = {each.name: mode_of(each, shape.dtype, settings.command) for each in session.frameworks}
    kinds = (
        f"{name} {kind} ({modes[name]})"
        for name, families in in_batch.summary.kinds.items()
        for counts in families.values()
        for kind in counts
    )
    if not session.checking.as_json:
        click.echo(f"in its batch of {shape.batch:,}, as in the sweep: {', '.join(kinds)}")
    return in_batch.failing > 0
