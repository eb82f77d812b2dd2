"""``crosscheck sweep`` and ``crosscheck replay``."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
from collections.abc import Callable, Mapping
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from harness.cli.options import checking_options, names
from harness.cli.session import Session
from harness.errors import UsageError
from harness.events import ExitCode, RunStarted

if TYPE_CHECKING:
    from harness.sweep.checkpoint import Checkpoint
    from harness.sweep.settings import Settings, Shape

__all__ = ["replay", "sweep"]

_CASES = 1_000_000
_ENDLESS = 2**62


def _count(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """A whole number, which may be written like 1e6."""
    if value is None:
        return None
    try:
        number = float(value) if re.search(r"[.eE]", value) else int(value)
    except ValueError:
        number = 0
    if not (1 <= number < _ENDLESS and number == int(number)):
        raise click.BadParameter(
            f"{value!r}: wanted a whole number, such as 1e6", context, parameter
        )
    return int(number)


def _duration(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> float | None:
    """Seconds, from 90, 90s, 10m or 1.5h."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d*)?)([smh]?)", value)
    if match is None:
        raise click.BadParameter(
            f"{value!r}: wanted a time such as 90s, 10m or 2h", context, parameter
        )
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def _widths(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[int, ...], ...]:
    found = []
    for value in values:
        words = value.split(",")
        if len(words) < 2 or not all(re.fullmatch(r"\s*0*[1-9]\d*\s*", word) for word in words):
            raise click.BadParameter(
                f"{value!r}: wanted at least two positive whole numbers, such as 4,8,1",
                context,
                parameter,
            )
        found.append(tuple(map(int, words)))
    return tuple(found)


def _stream_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that tell which cases are meant."""
    options = [
        click.option(
            "--widths",
            multiple=True,
            default=["4,8,1"],
            show_default=True,
            callback=_widths,
            metavar="N,N,…",
            help="Units of each layer, the inputs first.",
        ),
        click.option("--rows", type=click.IntRange(min=1), default=1, show_default=True),
        click.option(
            "--dtype",
            "dtypes",
            callback=names,
            default="float64",
            show_default=True,
            metavar="A,B",
            help="float64, float32, bfloat16, float16.",
        ),
        click.option(
            "--output", type=click.Choice(["relu", "identity"]), default="relu", show_default=True
        ),
        click.option(
            "--reduction", type=click.Choice(["sum", "mean"]), default="sum", show_default=True
        ),
        click.option(
            "--mix",
            metavar="FAMILY=SHARE,…",
            help="Families of cases and their shares, e.g. uniform=3,kinks=1.",
        ),
    ]
    return reduce(lambda inner, option: option(inner), reversed(options), command)


def _shapes(
    widths: tuple[tuple[int, ...], ...],
    rows: int,
    dtypes: tuple[str, ...],
    output: str,
    reduction: str,
) -> tuple[Shape, ...]:
    from harness.network import Network
    from harness.sweep.settings import Shape

    return tuple(
        Shape(Network(each, output, reduction), rows, dtype)  # type: ignore[arg-type]
        for dtype in dtypes
        for each in dict.fromkeys(widths)
    )


@click.command()
@click.option("--cases", callback=_count, metavar="N", help="How many, such as 1e6 (the default).")
@click.option(
    "--until", callback=_duration, metavar="TIME", help="Stop after 90s, 10m or 2h at the latest."
)
@_stream_options
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), help="Default: a fresh seed.")
@click.option(
    "--max-failures",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Stop with so many failing cases.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Share the work among N processes. Default: all of it in this one.",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Share the work among the workers of a Dask cluster, such as tcp://10.0.0.5:8786.",
)
@click.option(
    "--deadline",
    callback=_duration,
    default="5m",
    show_default=True,
    metavar="TIME",
    help="With --jobs or --scheduler: take a worker for hung that does not answer in this time.",
)
@click.option("--resume", is_flag=True, help="Go on with the sweep in the report's folder.")
@checking_options
@click.pass_context
def sweep(
    context: click.Context,
    cases: int | None,
    until: float | None,
    widths: tuple[tuple[int, ...], ...],
    rows: int,
    dtypes: tuple[str, ...],
    output: str,
    reduction: str,
    mix: str | None,
    seed: int | None,
    max_failures: int,
    jobs: int | None,
    scheduler: str | None,
    deadline: float,
    resume: bool,
    frameworks: tuple[str, ...] | None,
    formulations: Mapping[str, str],
    modes: Mapping[str, str],
    full_precision: bool,
    report: Path,
) -> int:
    """Cross-check many generated cases, in batches.

    \b
    Examples:
      crosscheck sweep --cases 1e6 --widths 4,8,1 --dtype float64
      crosscheck sweep --until 10m --jobs 2 --widths 4,8,1 --widths 16,32,32,4 --seed 7
      crosscheck sweep --resume
    """  # noqa: D301  (click wants the control character)
    from harness.sweep.checkpoint import load
    from harness.sweep.families import DEFAULT_MIX, Mix
    from harness.sweep.settings import Settings

    if jobs is not None and scheduler is not None:
        raise UsageError("--jobs and --scheduler: both given, wanted one of them")
    resumed = load(report) if resume else None
    wanted = Settings(
        shapes=_shapes(widths, rows, dtypes, output, reduction),
        cases=cases or (_CASES if until is None else _ENDLESS),
        seed=secrets.randbits(32) if seed is None else seed,
        mix=DEFAULT_MIX if mix is None else Mix.parse(mix),
        frameworks=frameworks or (),
        formulations=tuple(sorted(formulations.items())),
        modes=tuple(sorted(modes.items())),
        full_precision=full_precision,
        max_failures=max_failures,
    )
    settings = wanted if resumed is None else _same(context, wanted, resumed.settings)
    session = Session(
        settings.frameworks or None,
        dict(settings.formulations),
        dict(settings.modes),
        report,
        settings.full_precision,
    )
    return _run(session, settings, resumed, until, jobs, scheduler, deadline)


_GIVEN = {
    "shapes": ("widths", "rows", "dtypes", "output", "reduction"),
    "cases": ("cases",),
    "seed": ("seed",),
    "mix": ("mix",),
    "frameworks": ("frameworks",),
    "formulations": ("formulations",),
    "modes": ("modes",),
    "full_precision": ("full_precision",),
    "max_failures": ("max_failures",),
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
            now, then = wanted.to_json()[field], before.to_json()[field]
            raise UsageError(
                f"--resume: {field} is {json.dumps(now)}, and {json.dumps(then)} in the sweep that "
                f"was begun; leave the option out, or begin anew without --resume"
            )
    return before


def _run(
    session: Session,
    settings: Settings,
    resumed: Checkpoint | None,
    until: float | None,
    jobs: int | None,
    scheduler: str | None,
    deadline: float,
) -> int:
    from harness import crosscheck
    from harness.report.sweep import SweepTerminal
    from harness.sweep.checkpoint import changed, made_with
    from harness.sweep.conclude import smallest
    from harness.sweep.engine import Sweep, in_this_process
    from harness.sweep.workers import on_cluster, on_processes

    environment = crosscheck.environment()
    versions = made_with(session.states, environment)
    if resumed is not None and (difference := changed(resumed.made_with, versions)):
        raise UsageError(
            f"--resume: the sweep was begun with other versions, then and now: {difference}; "
            f"begin anew without --resume"
        )
    started = RunStarted(
        command=session.command(_words(settings)),
        profile="",
        seed=settings.seed,
        dtypes=tuple(dict.fromkeys(shape.dtype for shape in settings.shapes)),
        frameworks=session.states,
        environment=environment,
        planned=None if settings.cases == _ENDLESS else settings.cases,
    )
    terminal = SweepTerminal(session.report, until=until)
    under_way = Sweep(
        settings,
        session.frameworks,
        session.states,
        started,
        session.report,
        terminal.show,
        versions,
        resumed,
    )
    with contextlib.ExitStack() as stack:
        stack.callback(terminal.close)
        if scheduler is not None:
            source = stack.enter_context(
                on_cluster(settings, session.frameworks, versions, scheduler, deadline)
            )
        elif jobs is None:
            source = in_this_process(settings, session.frameworks)
        else:
            source = stack.enter_context(
                on_processes(settings, session.frameworks, versions, jobs, deadline)
            )
        return int(
            under_way.run(
                source,
                until=until,
                conclude=lambda tally: smallest(settings, session.frameworks, tally),
            )
        )


def _words(settings: Settings) -> list[str]:
    from harness.sweep.families import DEFAULT_MIX

    words = ["crosscheck", "sweep"]
    if settings.cases != _ENDLESS:
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
    return words


@click.command()
@click.argument("address", metavar="SEED:INDEX")
@_stream_options
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
    full_precision: bool,
    report: Path,
) -> int:
    """Show one case of a sweep, and every verdict on it.

    The options are those of the sweep; a sweep prints the whole line for each case that is worth
    a look.

    \b
    Example:
      crosscheck replay 7:16384 --widths 4,8,1 --dtype float64
    """  # noqa: D301  (as above)
    from harness import crosscheck
    from harness.casefile import case_to_json
    from harness.sweep.check import check_part
    from harness.sweep.families import DEFAULT_MIX, Mix
    from harness.sweep.generate import case as case_of
    from harness.sweep.settings import BLOCK, Part, Settings

    match = re.fullmatch(r"(\d+):(\d+)", address)
    if match is None or int(match[1]) >= 2**64 or int(match[2]) >= _ENDLESS:
        raise UsageError(f"{address!r}: wanted SEED:INDEX, two whole numbers, such as 7:16384")
    shapes = _shapes(widths, rows, dtypes, output, reduction)
    if len(shapes) > 1:
        raise UsageError("replay: several shapes given, wanted one --widths and one --dtype")
    seed, index = int(match[1]), int(match[2])
    chosen = DEFAULT_MIX if mix is None else Mix.parse(mix)
    (shape,) = shapes
    case, family = case_of(shape, seed, index, chosen)
    session = Session(frameworks, formulations, modes, report, full_precision)
    settings = Settings(shapes, index + 1, seed, chosen, full_precision=full_precision)
    started = RunStarted(
        command=session.command(settings.address(shape, index).split()),
        profile="",
        seed=None,
        dtypes=(shape.dtype,),
        frameworks=session.states,
        environment=crosscheck.environment(),
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
    kinds = (
        f"{name} {kind}"
        for name, families in in_batch.summary.kinds.items()
        for counts in families.values()
        for kind in counts
    )
    click.echo(f"in its batch of {BLOCK:,}, as in the sweep: {', '.join(kinds)}")
    return max(code, int(ExitCode.DISAGREEMENT)) if in_batch.failing and not code else code
