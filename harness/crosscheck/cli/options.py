"""Options that several subcommands share, and how their values are read."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import click

from crosscheck.cli.completion import arithmetic_names, choices, framework_names
from crosscheck.cli.results import result_options
from crosscheck.tools.options import names

__all__ = [
    "DEFAULT_REPORT",
    "Checking",
    "arithmetics",
    "checking_options",
    "framework_names_option",
    "framework_options",
    "gathered",
    "names",
    "pairs",
    "with_options",
]

DEFAULT_REPORT = Path("reports/latest")


def pairs(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """Values of the form FRAMEWORK=NAME, or JOB=RESULT, as a mapping."""
    found = {}
    for value in values:
        name, separator, choice = value.partition("=")
        if not (name and separator and choice):
            wanted = parameter.metavar if parameter.name == "results" else "FRAMEWORK=NAME"
            raise click.BadParameter(f"{value!r}: wanted {wanted}", context, parameter)
        found[name] = choice
    return found


def arithmetics(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[str, ...]:
    """Names of coarser arithmetics, separated by commas."""
    from crosscheck.numbers.named import known_names

    return known_names(names(context, parameter, value) or (), "--allow")


_Command = Callable[..., Any]


def with_options(options: Sequence[Callable[[_Command], _Command]], command: _Command) -> _Command:
    """A command with options, in this order."""
    return functools.reduce(lambda inner, option: option(inner), reversed(options), command)


def gathered(kind: type, name: str, command: _Command) -> _Command:
    """A command that is given the values of several options as one value.

    Args:
        kind: A dataclass whose fields have the names of the options; some may have defaults, and
            the command no such option.
        name: Of the argument.
        command: The command.
    """

    @functools.wraps(command)
    def call(*arguments: Any, **given: Any) -> Any:
        there = [each.name for each in fields(kind) if each.name in given]
        value = kind(**{each: given.pop(each) for each in there})
        return command(*arguments, **given, **{name: value})

    return call


def framework_names_option(
    default: str | None = None, of: str = "Only these, e.g. torch,jax."
) -> Callable[[_Command], _Command]:
    """The option ``--frameworks A,B``.

    Args:
        default: The names, if not all that are installed.
        of: For the help.
    """
    option: Callable[[_Command], _Command] = click.option(
        "--frameworks",
        callback=names,
        default=default,
        show_default=default is not None,
        metavar="A,B",
        shell_complete=framework_names,
        help=of if default else f"{of} Default: all that are installed.",
    )
    return option


def framework_options(command: _Command) -> _Command:
    """Which frameworks, and how they write and differentiate max(z, 0)."""
    options = [
        framework_names_option(),
        click.option(
            "--formulation",
            "formulations",
            multiple=True,
            callback=pairs,
            metavar="F=NAME",
            shell_complete=choices("formulations"),
            help="How framework F writes max(z, 0), e.g. torch=clamp, or another operator, e.g. "
            "torch=attention:where. Default: its first way.",
        ),
        click.option(
            "--mode",
            "modes",
            multiple=True,
            callback=pairs,
            metavar="F=NAME",
            shell_complete=choices("modes"),
            help="How framework F is asked for the gradient, e.g. tensorflow=xla.",
        ),
    ]
    return with_options(options, command)


@dataclass(frozen=True)
class Checking:
    """What `checking_options` say.

    Attributes:
        frameworks: Names; ``None`` for all that are installed.
        formulations: Framework name to formulation, where it is not the default.
        modes: Framework name to mode, likewise.
        allow: Names of coarser arithmetics whose REDUCED is no failure.
        report: The folder for reports, if one is named.
        as_json: Whether ``report.json`` is printed, and nothing else.
    """

    frameworks: tuple[str, ...] | None
    formulations: Mapping[str, str]
    modes: Mapping[str, str]
    allow: tuple[str, ...]
    report: Path | None
    as_json: bool = False

    @property
    def reporting(self) -> Checking:
        """The same with a folder for reports: the usual one, if none is named."""
        return self if self.report is not None else replace(self, report=DEFAULT_REPORT)


def checking_options(command: _Command) -> _Command:
    """The options that every checking command has, as its argument ``checking``."""
    options: list[Callable[[_Command], _Command]] = [
        framework_options,
        click.option(
            "--allow",
            callback=arithmetics,
            metavar="A,B",
            shell_complete=arithmetic_names,
            help="Coarser arithmetics that may stand in for a dtype's own, such as tf32: do not "
            "fail on REDUCED by them.",
        ),
        click.option(
            "--report",
            type=click.Path(file_okay=False, path_type=Path),
            metavar="FOLDER",
            help="Folder for report.html, report.json and summary.md. Default: reports/latest; of "
            "single cases (run --case, replay) nothing is written.",
        ),
        result_options,
    ]
    return with_options(options, gathered(Checking, "checking", command))
