"""``crosscheck sweep``."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from crosscheck.cli.complaints import complain
from crosscheck.cli.options import DEFAULT_REPORT, Checking, checking_options
from crosscheck.cli.session import Session
from crosscheck.cli.streams import (
    ENDLESS,
    Stream,
    seconds,
    steps_option,
    stream_options,
    whole_number,
)
from crosscheck.cli.workers import Workers, worker_options
from crosscheck.run.events import ExitCode, RunStarted
from crosscheck.tools.errors import UsageError

if TYPE_CHECKING:
    from crosscheck.cases.stream.settings import Settings
    from crosscheck.network.composed import AnyCase
    from crosscheck.run.sweep.checkpoint import Checkpoint
    from crosscheck.run.sweep.coordinate import Source
    from crosscheck.run.sweep.record import Checked

__all__ = ["sweep"]

_CASES = 1_000_000


@click.command()
@click.option(
    "--cases", callback=whole_number, metavar="N", help="How many, such as 1e6 (the default)."
)
@click.option(
    "--until", callback=seconds, metavar="TIME", help="Stop after 90s, 10m or 2h at the latest."
)
@stream_options
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), help="Default: a fresh seed.")
@click.option(
    "--max-failures",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Stop with so many failing cases.",
)
@worker_options
@click.option(
    "--program",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Draw numbers for the network of a case file (.json), dense or of operators.",
)
@steps_option
@click.option("--resume", is_flag=True, help="Go on with the sweep in the report's folder.")
@checking_options
@click.pass_context
def sweep(
    context: click.Context,
    cases: int | None,
    until: float | None,
    seed: int | None,
    max_failures: int,
    program: str | None,
    steps: bool,
    resume: bool,
    stream: Stream,
    workers: Workers,
    checking: Checking,
) -> int:
    """Cross-check many generated cases, in batches.

    \b
    Examples:
      crosscheck sweep --cases 1e6 --widths 4,8,1 --dtype float64
      crosscheck sweep --until 10m --jobs 2 --widths 4,8,1 --widths 16,32,32,4 --seed 7
      crosscheck sweep --program my_network.json --cases 1e4
      crosscheck sweep --cases 1e5 --steps --mode jax=eager
      crosscheck sweep --resume
    """  # noqa: D301  (click wants the control character)
    from crosscheck.cases.stream.settings import Settings
    from crosscheck.cli.program import stacks_of, sweep_program
    from crosscheck.network.composed import Composed
    from crosscheck.run.sweep.checkpoint import load

    if program is not None:
        case = _program(context, program, resume)
        if isinstance(case, Composed):
            number = secrets.randbits(32) if seed is None else seed
            count = cases or (None if until is not None else _CASES)
            stacks = stacks_of(case, checking, count, number, certified=steps)
            session = Session(checking.reporting, workers.place)
            return sweep_program(session, program, stacks, workers, until)
        stream = stream.of(case.network, case.rows, case.dtype)
    folder = checking.reporting.report or DEFAULT_REPORT
    resumed = load(folder) if resume else None
    wanted = Settings(
        shapes=stream.shapes,
        cases=cases or (_CASES if until is None else ENDLESS),
        seed=secrets.randbits(32) if seed is None else seed,
        mix=stream.families,
        frameworks=checking.frameworks or (),
        formulations=tuple(sorted(checking.formulations.items())),
        modes=tuple(sorted(checking.modes.items())),
        allow=checking.allow,
        max_failures=max_failures,
        steps=steps,
    )
    settings = wanted if resumed is None else _same(context, wanted, resumed.settings)
    session = _session(checking.reporting, settings, workers)
    return _run(session, settings, folder, resumed, until, workers)


def _program(context: click.Context, source: str, resume: bool) -> AnyCase:
    """The network of a case file, with options that go with it."""
    from crosscheck.network.composed import Composed
    from crosscheck.network.files import read_any_case

    case = read_any_case(source)
    _require_alone(context)
    if isinstance(case, Composed) and resume:
        raise UsageError(
            "--program: a network of operators is swept from the start; leave --resume out"
        )
    return case


def _session(checking: Checking, settings: Settings, workers: Workers) -> Session:
    """The frameworks of a sweep, with one thread each."""
    from crosscheck.workers.threads import one_thread

    with one_thread(os.environ):  # frameworks look at it when they are opened here
        return Session(
            replace(
                checking,
                frameworks=settings.frameworks or None,
                formulations=dict(settings.formulations),
                modes=dict(settings.modes),
                allow=settings.allow,
            ),
            workers.place,
        )


def _require_alone(context: click.Context) -> None:
    """A program says itself what these options say."""
    for option in ("widths", "rows", "dtypes", "output", "reduction"):
        if context.get_parameter_source(option) is ParameterSource.COMMANDLINE:
            name = {"dtypes": "dtype"}.get(option, option)
            raise UsageError(f"--program and --{name}: the file states it, leave --{name} out")


_GIVEN = {
    "shapes": ("widths", "rows", "dtypes", "output", "reduction"),
    "cases": ("cases",),
    "seed": ("seed",),
    "mix": ("mix",),
    "frameworks": ("frameworks",),
    "formulations": ("formulations",),
    "modes": ("modes",),
    "allow": ("allow",),
    "max_failures": ("max_failures",),
    "steps": ("steps",),
}
"""Each field of the settings, and the options it is made of."""


def _same(context: click.Context, wanted: Settings, before: Settings) -> Settings:
    """The settings of the sweep that is resumed; what was given now must not be different."""
    for field, options in _GIVEN.items():
        given = any(
            context.get_parameter_source(option) is ParameterSource.COMMANDLINE
            for option in options
        )
        if given and getattr(wanted, field) != getattr(before, field):
            now, then = (_told(getattr(each, field)) for each in (wanted, before))
            raise UsageError(
                f"--resume: {field} is {now}, and {then} in the sweep that was begun; "
                f"leave the option out, or begin anew without --resume"
            )
    return before


def _told(value: Any) -> str:
    """A field of the settings, for a person."""
    if isinstance(value, tuple):
        return ",".join(map(_told, value)) or "none"
    return " ".join(value.words()) if hasattr(value, "words") else str(value)


def _run(
    session: Session,
    settings: Settings,
    folder: Path,
    resumed: Checkpoint | None,
    until: float | None,
    workers: Workers,
) -> int:
    from rich.console import Console

    from crosscheck.judge.compiled import WITHOUT_NUMBA, is_compiled
    from crosscheck.report import write_reports
    from crosscheck.report.sweep import SweepTerminal
    from crosscheck.run.environment import environment as described
    from crosscheck.run.sweep.checkpoint import changed, made_with
    from crosscheck.run.sweep.conclude import smallest
    from crosscheck.run.sweep.dense import DenseWork
    from crosscheck.run.sweep.engine import Sweep, in_this_process

    environment = described()
    versions = made_with(session.states, environment)
    if resumed is not None and (difference := changed(resumed.made_with, versions)):
        raise UsageError(
            f"--resume: the sweep was begun with other versions, then and now: {difference}; "
            f"begin anew without --resume"
        )
    if not is_compiled():
        click.echo(f"crosscheck: {WITHOUT_NUMBA}", err=True)
    as_json = session.checking.as_json
    console = Console(stderr=True, highlight=False) if as_json else None
    terminal = SweepTerminal(folder, until=until, console=console)
    under_way = Sweep(
        settings,
        session.frameworks,
        session.states,
        _started(session, settings, environment),
        folder,
        terminal.show,
        write_reports,
        versions,
        resumed,
    )
    work = DenseWork(settings), session.frameworks, versions
    with contextlib.closing(terminal), contextlib.ExitStack() as stack:
        if workers.are_wanted:
            source: Source[Checked] = stack.enter_context(workers.at_work(*work))
        else:
            source = in_this_process(settings, session.frameworks)
        try:
            code = under_way.run(
                source,
                until=until,
                conclude=lambda tally: smallest(settings, session.frameworks, tally),
            )
        except UsageError as error:
            if not under_way.failed:
                raise
            complain(str(error))  # that a report cannot be written hides no disagreement
            return int(ExitCode.DISAGREEMENT)
    if as_json:
        click.echo((folder / "report.json").read_text("utf-8"), nl=False)
    return int(code)


def _started(session: Session, settings: Settings, environment: Mapping[str, str]) -> RunStarted:
    """The first event."""
    from crosscheck.run.sweep.fast import modes_of

    dtypes = tuple(dict.fromkeys(shape.dtype for shape in settings.shapes))
    modes = {each.name: modes_of(each, dtypes, settings.command) for each in session.frameworks}
    return RunStarted(
        command=session.command(_words(settings)),
        profile="",
        seed=settings.seed,
        dtypes=dtypes,
        frameworks=tuple(
            replace(state, mode=modes.get(state.name, state.mode)) for state in session.states
        ),
        environment=environment,
        planned=None if settings.cases == ENDLESS else settings.cases,
    )


def _words(settings: Settings) -> list[str]:
    from crosscheck.cases.stream.families import DEFAULT_MIX

    words = ["crosscheck", "sweep"]
    if settings.cases != ENDLESS:
        words += ["--cases", str(settings.cases)]
    words += ["--seed", str(settings.seed)]
    shapes = settings.shapes
    for widths in dict.fromkeys(shape.network.widths for shape in shapes):
        words += ["--widths", ",".join(map(str, widths))]
    dtypes = ",".join(dict.fromkeys(shape.dtype for shape in shapes))
    words += ["--dtype", dtypes, *shapes[0].words()[4:]]
    if settings.mix != DEFAULT_MIX:
        words += ["--mix", str(settings.mix)]
    if settings.max_failures != 100:
        words += ["--max-failures", str(settings.max_failures)]
    if settings.steps:
        words.append("--steps")
    return words
