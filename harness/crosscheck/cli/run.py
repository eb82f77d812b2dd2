"""``crosscheck run``."""

from __future__ import annotations

import secrets

import click

from crosscheck.cli.completion import operator_names
from crosscheck.cli.isolation import Place, isolation_options
from crosscheck.cli.options import Checking, checking_options, names
from crosscheck.cli.session import Session
from crosscheck.network.composed import AnyCase
from crosscheck.numbers.formats import FORMATS, format_of
from crosscheck.run.events import RunStarted
from crosscheck.tools.errors import UsageError

__all__ = ["run"]


@click.command()
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
@click.option(
    "--operators",
    callback=names,
    metavar="A,B",
    shell_complete=operator_names,
    help="Draw networks of these operators alone, e.g. gelu,softmax; 'all' for every one.",
)
@click.option(
    "--max-examples",
    type=click.IntRange(min=1),
    metavar="N",
    help="Cases to draw, instead, of all dtypes together. Where an array of some shape was never "
    "checked 16 ordinary cases of it follow.",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**64 - 1), help="Repeat a run. Default: a fresh seed."
)
@click.option(
    "--dtype",
    "dtypes",
    callback=names,
    default="float64,float32",
    show_default=True,
    metavar="A,B",
    help=f"Of generated cases: {', '.join(FORMATS)}.",
)
@isolation_options
@checking_options
def run(
    sources: tuple[str, ...],
    profile_name: str,
    operators: tuple[str, ...] | None,
    max_examples: int | None,
    seed: int | None,
    dtypes: tuple[str, ...],
    checking: Checking,
    place: Place,
) -> int:
    """Cross-check generated networks, or your own.

    \b
    Examples:
      crosscheck run
      crosscheck run --frameworks torch,jax --max-examples 2000 --seed 7
      crosscheck run --operators gelu,softmax,attention
      crosscheck run --case worked-example
      crosscheck run --case my_network.json --formulation torch=clamp
    """  # noqa: D301  (as above)
    from crosscheck.cases.profiles import profile as profile_of
    from crosscheck.run import crosscheck
    from crosscheck.run.checker import Checker
    from crosscheck.run.environment import environment
    from crosscheck.studies.worked import points

    for dtype in dtypes:
        format_of(dtype)
    profile = profile_of(profile_name)
    if max_examples is not None:
        profile = profile.limited(max_examples)
    if operators is not None:
        profile = profile.of_operators()
        operators = _known(operators)
    cases: list[tuple[str, AnyCase]] = []
    for source in sources:
        cases += points() if source == "worked-example" else [(source, _case(source))]
    given = bool(cases)
    if seed is None:
        seed = secrets.randbits(32)

    session = Session(checking if given else checking.reporting, place)
    words = ["crosscheck", "run"]
    if given:
        words += [word for source in sources for word in ("--case", source)]
    else:
        words += ["--profile", profile_name, "--seed", str(seed), "--dtype", ",".join(dtypes)]
        if operators is not None:
            words += ["--operators", ",".join(operators)]
        if max_examples is not None:
            words += ["--max-examples", str(max_examples)]
    started = RunStarted(
        command=session.command(words),
        profile="" if given else profile_name,
        seed=None if given else seed,
        dtypes=tuple(dict.fromkeys(case.dtype for _, case in cases)) if given else dtypes,
        frameworks=session.states,
        environment=environment(session.frameworks, dtypes[0]),
        planned=len(cases) if given else profile.planned,
    )

    def work(checker: Checker) -> None:
        if given:
            crosscheck.check_given(checker, cases)
        else:
            crosscheck.check_generated(
                checker, profile, seed=seed, dtypes=dtypes, operators=operators
            )

    code = session.run(started, work)
    if "worked-example" in sources:
        session.show_worked_example()
    return code


def _case(source: str) -> AnyCase:
    """The case in a file, which holds no gradient: that is no framework's."""
    from crosscheck.network.files import read_marked_case

    case, gradient = read_marked_case(source)
    if gradient is not None:
        raise UsageError(
            f"{source}: holds a gradient, wanted a case alone; "
            f"`crosscheck explain --case {source}` marks its numbers, beside the frameworks'"
        )
    return case


def _known(operators: tuple[str, ...]) -> tuple[str, ...]:
    """The operators that are asked for, each of which there is."""
    from crosscheck.operators.registry import known, operator_of

    if operators == ("all",):
        return tuple(known())
    for name in operators:
        operator_of(name)
    return operators
