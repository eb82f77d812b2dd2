"""Options of command lines that take names, and the ending of a small program.

All commands share a grammar: several names stand in one option, with commas between; a name that
nothing has is answered in one line, with what was probably meant.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from crosscheck.tools.errors import CrosscheckError, UsageError, require_known

__all__ = ["names", "names_option", "report_option", "run_program"]

_Command = TypeVar("_Command", bound=Callable[..., Any])
_USAGE = UsageError.exit_code


def names(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[str, ...] | None:
    """Names separated by commas, each once."""
    if value is None:
        return None
    found = tuple(name.strip() for name in value.split(","))
    if not all(found):
        raise click.BadParameter(f"{value!r}: wanted names separated by commas", context, parameter)
    return tuple(dict.fromkeys(found))


def names_option(
    option: str, parameter: str, known: Collection[str], of: str = ""
) -> Callable[[_Command], _Command]:
    """An option ``--frameworks A,B``; all that are known, if it is not given.

    Args:
        option: As it is typed.
        parameter: The name of the argument.
        known: The names that there are; with none, all names will do, and without the option none
            are given.
        of: For the help.
    """

    def chosen(
        context: click.Context, parameter: click.Parameter, value: str | None
    ) -> tuple[str, ...]:
        given = names(context, parameter, value)
        if given is None:
            return tuple(known)
        if known:
            require_known(option, given, known)
        return given

    told = of or f"Only these, of {', '.join(known)}."
    return click.option(option, parameter, callback=chosen, metavar="A,B", help=told)


def report_option(of: str) -> Callable[[_Command], _Command]:
    """The option ``--report FOLDER`` of a study, as the argument ``report``.

    Args:
        of: What is there, for the help.
    """
    return click.option(
        "--report",
        type=click.Path(file_okay=False, path_type=Path),
        default="reports",
        show_default=True,
        metavar="FOLDER",
        help=of,
    )


def run_program(command: click.Command, arguments: Sequence[str] | None = None) -> None:
    """Run a command as a program, which ends as `crosscheck` does.

    Args:
        command: What to run; it exits by itself, or is fine.
        arguments: Those of the command line, by default this process's.

    Raises:
        SystemExit: Always.
    """
    try:
        command.main(args=arguments, prog_name=command.name, standalone_mode=False)
    except (click.ClickException, CrosscheckError) as error:
        said = error.format_message() if isinstance(error, click.ClickException) else str(error)
        click.echo(f"{command.name}: {' '.join(said.split())}", err=True)
        sys.exit(error.exit_code if isinstance(error, CrosscheckError) else _USAGE)
    except (click.exceptions.Abort, KeyboardInterrupt):
        sys.exit(2)
    sys.exit(0)
