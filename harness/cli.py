"""The command ``crosscheck``."""

from __future__ import annotations

import functools
import secrets
import shlex
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from harness.errors import HarnessError
from harness.events import ExitCode, FrameworkState, RunStarted
from harness.formats import format_of
from harness.network import Case

__all__ = ["cli", "main"]

_DEFAULT_REPORT = Path("reports/latest")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        argv: Arguments; those of the process by default.

    Returns:
        0 fine, 1 disagreement, 2 interrupted, 3 internal error, 4 usage, 5 nothing checked.
    """
    try:
        result = cli.main(args=argv, prog_name="crosscheck", standalone_mode=False)
    except click.exceptions.Abort:
        return int(ExitCode.INTERRUPTED)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = f" (see '{context.command_path} --help')" if context else ""
        _complain(f"{error.format_message()}{hint}")
        return int(ExitCode.USAGE)
    except HarnessError as error:
        _complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
    except Exception:
        traceback.print_exc()
        return int(ExitCode.INTERNAL_ERROR)
    return int(result or 0)


def _complain(message: str) -> None:
    click.echo(f"crosscheck: {' '.join(message.split())}", err=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gradient-crosscheck", prog_name="crosscheck")
def cli() -> None:
    """Check gradients of PyTorch, TensorFlow and JAX against a reference, by proof.

    \b
    crosscheck run                          generated networks, all frameworks found
    crosscheck run --case worked-example    one network, every value beside the reference
    crosscheck run --case my_network.json   your own network
    crosscheck digits                       a trained network on real data
    """  # noqa: D301  (click wants the control character)


def _pairs(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    found = {}
    for value in values:
        name, separator, choice = value.partition("=")
        if not (name and separator and choice):
            raise click.BadParameter(f"{value!r}: wanted FRAMEWORK=NAME", context, parameter)
        found[name] = choice
    return found


def _names(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[str, ...] | None:
    if value is None:
        return None
    names = tuple(name.strip() for name in value.split(","))
    if not all(names):
        raise click.BadParameter(f"{value!r}: wanted names separated by commas", context, parameter)
    return tuple(dict.fromkeys(names))


def _common(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that every checking command has."""
    options = [
        click.option(
            "--frameworks",
            callback=_names,
            metavar="A,B",
            help="Check only these, e.g. torch,jax. Default: all that are installed.",
        ),
        click.option(
            "--formulation",
            "formulations",
            multiple=True,
            callback=_pairs,
            metavar="F=NAME",
            help="How framework F writes max(z, 0), e.g. torch=clamp. Default: its relu.",
        ),
        click.option(
            "--mode",
            "modes",
            multiple=True,
            callback=_pairs,
            metavar="F=NAME",
            help="How framework F is asked for the gradient, e.g. tensorflow=xla.",
        ),
        click.option(
            "--full-precision",
            is_flag=True,
            help="Fail on arithmetic coarser than the dtype (REDUCED) as well.",
        ),
        click.option(
            "--report",
            type=click.Path(file_okay=False, path_type=Path),
            default=_DEFAULT_REPORT,
            show_default=True,
            help="Folder for report.json and summary.md.",
        ),
    ]
    return functools.reduce(lambda inner, option: option(inner), reversed(options), command)


@cli.command()
@click.option(
    "--case",
    "sources",
    multiple=True,
    metavar="FILE",
    help="Check this network (.json, .npz, .safetensors, or 'worked-example') instead of "
    "generated ones. May be given several times.",
)
@click.option(
    "--profile",
    "profile_name",
    default="default",
    show_default=True,
    help="How long to search: quick, default or nightly.",
)
@click.option("--max-examples", type=click.IntRange(min=1), help="Cases to draw, instead.")
@click.option("--seed", type=click.IntRange(min=0), help="Repeat a run. Default: a fresh seed.")
@click.option(
    "--dtype",
    "dtypes",
    callback=_names,
    default="float64,float32",
    show_default=True,
    metavar="A,B",
    help="Of generated cases: float64, float32, bfloat16, float16.",
)
@_common
def run(
    sources: tuple[str, ...],
    profile_name: str,
    max_examples: int | None,
    seed: int | None,
    dtypes: tuple[str, ...],
    frameworks: tuple[str, ...] | None,
    formulations: Mapping[str, str],
    modes: Mapping[str, str],
    full_precision: bool,
    report: Path,
) -> int:
    """Cross-check generated networks, or your own.

    \b
    Examples:
      crosscheck run
      crosscheck run --frameworks torch,jax --max-examples 2000 --seed 7
      crosscheck run --case worked-example
      crosscheck run --case my_network.json --formulation torch=clamp
    """  # noqa: D301  (as above)
    from harness import crosscheck
    from harness.casefile import read_case
    from harness.profiles import profile as profile_of
    from harness.worked import points

    for dtype in dtypes:
        format_of(dtype)
    profile = profile_of(profile_name)
    if max_examples is not None:
        profile = profile.limited(max_examples)
    cases: list[tuple[str, Case]] = []
    for source in sources:
        cases += points() if source == "worked-example" else [(source, read_case(source))]
    given = bool(cases)
    if seed is None:
        seed = secrets.randbits(32)

    session = _Session(frameworks, formulations, modes, report, full_precision)
    words = ["crosscheck", "run"]
    if given:
        words += [word for source in sources for word in ("--case", source)]
    else:
        words += ["--profile", profile_name, "--seed", str(seed), "--dtype", ",".join(dtypes)]
        if max_examples is not None:
            words += ["--max-examples", str(max_examples)]
    started = RunStarted(
        command=session.command(words),
        profile="" if given else profile_name,
        seed=None if given else seed,
        dtypes=tuple(dict.fromkeys(case.dtype for _, case in cases)) if given else dtypes,
        frameworks=session.states,
        environment=crosscheck.environment(),
        planned=len(cases) if given else profile.planned,
    )

    def work(checker: crosscheck.Checker) -> None:
        if given:
            crosscheck.check_given(checker, cases)
        else:
            crosscheck.check_generated(checker, profile, seed=seed, dtypes=dtypes)

    code = session.run(started, work)
    if "worked-example" in sources:
        session.show_worked_example()
    return code


@cli.command()
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--dtype", default="float32", show_default=True, help="Of the trained network.")
@_common
def digits(
    seed: int,
    dtype: str,
    frameworks: tuple[str, ...] | None,
    formulations: Mapping[str, str],
    modes: Mapping[str, str],
    full_precision: bool,
    report: Path,
) -> int:
    """Cross-check a trained network on real data.

    Trains a small ReLU network on scikit-learn's digits (1,797 images of 8 x 8 whole-number
    pixels, many of them zero) and checks its gradient on the whole data set.
    """
    from harness import crosscheck
    from harness.digits import train_digits

    format_of(dtype)
    session = _Session(frameworks, formulations, modes, report, full_precision)
    trained = train_digits(dtype=dtype, seed=seed)
    case = trained.case
    label = f"digits: {trained.accuracy:.1%} right after {trained.steps} steps"
    words = ["crosscheck", "digits", "--seed", str(seed), "--dtype", dtype]
    started = RunStarted(
        command=session.command(words),
        profile="",
        seed=None,
        dtypes=(dtype,),
        frameworks=session.states,
        environment=crosscheck.environment(),
        planned=1,
    )
    return session.run(
        started,
        lambda checker: crosscheck.check_given(checker, [(label, case)]),
    )


@cli.command()
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
def power(framework: str, cases: int, peers: int) -> int:
    """Measure how small a fault is caught.

    One random entry of each gradient is made wrong by a factor 1 + 2^-k; the table shows, in
    percent, how many of these faults are caught, and how many correct gradients are rejected.
    """
    from harness import peers as checkers
    from harness.frameworks.registry import open_frameworks
    from harness.power import FAULTS, SHAPES, measure, measure_peer
    from harness.report.power import table

    (adapter,), _ = open_frameworks([framework])
    results = []
    for dtype, exponents in FAULTS.items():
        for widths in SHAPES:
            results += measure(adapter, widths, dtype=dtype, exponents=exponents, count=cases)
            for checker in checkers.CHECKERS if peers else ():
                results += measure_peer(
                    checker, adapter, widths, dtype=dtype, exponents=exponents, count=peers
                )
    click.echo(table(results), nl=False)
    return int(ExitCode.OK)


class _Session:
    """The frameworks and the sinks of one command."""

    def __init__(
        self,
        names: tuple[str, ...] | None,
        formulations: Mapping[str, str],
        modes: Mapping[str, str],
        report: Path,
        full_precision: bool,
    ) -> None:
        from harness.frameworks.registry import open_frameworks

        self.names, self.formulations, self.modes = names, formulations, modes
        self.report = report
        self.full_precision = full_precision
        self.frameworks, states = open_frameworks(names, formulations, modes)
        self.states: tuple[FrameworkState, ...] = tuple(states)

    def command(self, words: Sequence[str]) -> str:
        """The command line that repeats the run."""
        parts = list(words)
        if self.names is not None:
            parts += ["--frameworks", ",".join(self.names)]
        for option, pairs in (("--formulation", self.formulations), ("--mode", self.modes)):
            for name, choice in pairs.items():
                parts += [option, f"{name}={choice}"]
        parts += ["--full-precision"] * self.full_precision
        return shlex.join(parts)

    def run(self, started: RunStarted, work: Callable[[Any], None]) -> int:
        """Do ``work`` with every sink listening."""
        from harness import crosscheck
        from harness.report import open_sinks

        with open_sinks(self.report) as emit:
            return int(
                crosscheck.run(
                    lambda emit: crosscheck.Checker(
                        self.frameworks, emit, full_precision=self.full_precision
                    ),
                    work,
                    started,
                    self.states,
                    emit,
                )
            )

    def show_worked_example(self) -> None:
        """Every convention side by side."""
        from harness.report.worked import show

        show(self.frameworks)


if __name__ == "__main__":
    sys.exit(main())
