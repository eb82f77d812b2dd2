"""``crosscheck bench``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crosscheck.cli.options import framework_names_option, gathered, names, with_options
from crosscheck.cli.results import result_options
from crosscheck.run.events import ExitCode
from crosscheck.tools.errors import UsageError, require_known

if TYPE_CHECKING:
    from crosscheck.studies.bench.batches import Plan

__all__ = ["bench"]

_LENGTHS = (100_000, 1_000_000, 10_000_000)
_DTYPES = ("float64", "float32")


def _whole_numbers(text: str, option: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(word) for word in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 1:
        raise UsageError(f"{option}={text!r}: wanted positive whole numbers, like 4,8,1")
    return numbers


@dataclass(frozen=True)
class _Batches:
    """What is measured in batches."""

    widths: tuple[str, ...]
    dtypes: tuple[str, ...]
    batches: str
    jobs: str
    frameworks: tuple[str, ...] | None
    seconds: float
    repeats: int

    @property
    def plan(self) -> Plan:
        from crosscheck.frameworks.registry import installed
        from crosscheck.studies.bench.batches import Plan

        require_known("--dtype", self.dtypes, _DTYPES)
        return Plan(
            tuple(_whole_numbers(each, "--widths") for each in self.widths),
            self.dtypes,
            _whole_numbers(self.batches, "--batches"),
            _whole_numbers(self.jobs, "--jobs"),
            installed(self.frameworks),
            self.seconds,
            self.repeats,
        )


@dataclass(frozen=True)
class _Also:
    """What else is measured."""

    loops: bool
    growth: bool
    storms: bool
    start_up: bool
    local: bool


def _batch_options(command: Callable[..., Any]) -> Callable[..., Any]:
    options: list[Callable[[Callable[..., Any]], Callable[..., Any]]] = [
        click.option(
            "--widths",
            multiple=True,
            default=("1,1,1", "4,8,1", "16,32,32,4"),
            show_default=True,
            help="Shape of the networks; may be repeated.",
        ),
        click.option(
            "--dtype",
            "dtypes",
            callback=names,
            default="float64,float32",
            show_default=True,
            metavar="A,B",
            help="Of the cases: float64, float32.",
        ),
        click.option("--batches", default="256,2048,16384,65536", show_default=True, metavar="N,…"),
        click.option(
            "--jobs", default="1,2", show_default=True, metavar="N,…", help="Workers at once."
        ),
        framework_names_option(),
        click.option("--seconds", type=click.FloatRange(min=0.0), default=0.3, show_default=True),
        click.option("--repeats", type=click.IntRange(min=1), default=9, show_default=True),
    ]
    return with_options(options, gathered(_Batches, "batches", command))


def _also_options(command: Callable[..., Any]) -> Callable[..., Any]:
    options = [
        click.option("--loops/--no-loops", default=True, help="Also what is done case by case."),
        click.option("--growth/--no-growth", default=True, help="Also what long sweeps take."),
        click.option(
            "--storms/--no-storms", default=True, help="Also verdicts on thousands of kinks."
        ),
        click.option(
            "--start-up/--no-start-up", default=True, help="Also how long commands start."
        ),
        click.option(
            "--local/--no-local", default=True, help="Also what a local verdict takes (PyTorch)."
        ),
    ]
    return with_options(options, gathered(_Also, "also", command))


@click.command()
@_batch_options
@_also_options
@click.option(
    "--report",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("reports"),
    show_default=True,
    metavar="FOLDER",
    help="Folder for bench.json and bench.md.",
)
@click.option("-q", "--quiet", is_flag=True, help="No lines on the way.")
@result_options
def bench(batches: _Batches, also: _Also, report: Path, quiet: bool, as_json: bool) -> int:
    """Measure the speed of checking beside that of the frameworks' gradients alone.

    Writes bench.json and bench.md, and prints the latter. With the defaults it takes about
    twenty minutes. Leave the machine alone while it runs.
    """
    import json

    from crosscheck.judge.compiled import WITHOUT_NUMBA, is_compiled
    from crosscheck.studies.bench.table import as_json as content_of
    from crosscheck.studies.bench.table import as_markdown
    from crosscheck.tools.atomic import require_writable, write_text_atomically

    plan = batches.plan
    if not is_compiled():
        click.echo(f"crosscheck: {WITHOUT_NUMBA}", err=True)

    def tell(line: str) -> None:
        if not quiet:
            click.echo(line, err=True)

    require_writable(report / "bench.json")  # before twenty minutes
    measured = _measured(plan, also, tell)
    table = as_markdown(*measured)
    content = json.dumps(content_of(*measured), indent=1, allow_nan=False) + "\n"
    write_text_atomically(report / "bench.json", content)
    write_text_atomically(report / "bench.md", table)
    click.echo(content if as_json else table, nl=False)
    return int(ExitCode.OK)


def _measured(plan: Plan, also: _Also, tell: Callable[[str], None]) -> tuple[Any, ...]:
    """What `crosscheck.studies.bench.table` makes a table of."""
    from crosscheck.run.environment import environment
    from crosscheck.studies.bench.batches import measure_batches
    from crosscheck.studies.bench.commands import measure_growth, measure_start_up
    from crosscheck.studies.bench.local import measure_local
    from crosscheck.studies.bench.others import measure_loops
    from crosscheck.studies.bench.storms import measure_storms

    rates = measure_batches(plan, tell)
    growths = measure_growth(plan, _LENGTHS, tell) if also.growth else []
    if also.loops:
        rates += measure_loops(plan, tell)
    found = measure_storms(tell) if also.storms else []
    starts = []
    if also.start_up:
        group = click.get_current_context().find_root().command
        assert isinstance(group, click.Group)
        starts = measure_start_up(["", *sorted(group.commands)], plan.repeats, tell)
    local = measure_local(plan.dtypes, tell) if also.local else []
    return plan, rates, growths, found, starts, local, environment()
