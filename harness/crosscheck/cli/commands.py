"""The subcommands of ``crosscheck``, its exit codes, and how it complains."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
import traceback
from collections.abc import Sequence

import click

from crosscheck.cli.accuracy import accuracy
from crosscheck.cli.bench import bench
from crosscheck.cli.check import check, write
from crosscheck.cli.complaints import complain
from crosscheck.cli.completion import completion
from crosscheck.cli.conventions import conventions
from crosscheck.cli.diff import diff
from crosscheck.cli.digits import digits
from crosscheck.cli.doctor import doctor
from crosscheck.cli.explain import explain
from crosscheck.cli.functions import functions
from crosscheck.cli.module import module
from crosscheck.cli.nightly import nightly
from crosscheck.cli.power import power
from crosscheck.cli.precision import precision
from crosscheck.cli.replay import replay
from crosscheck.cli.report import report
from crosscheck.cli.run import run
from crosscheck.cli.sweep import sweep
from crosscheck.run.events import ExitCode
from crosscheck.tools.errors import CrosscheckError, UsageError
from crosscheck.tools.interrupts import interrupts
from crosscheck.tools.words import lines_shown, shown
from crosscheck.workers.patience import factor_complaint

__all__ = ["cli", "run_command"]


def run_command(argv: Sequence[str] | None) -> int:
    """Run the command and return its exit code; see `crosscheck.cli.main`."""
    if argv is None:
        _make_output_safe()
    output = sys.stdout
    try:
        if wrong := factor_complaint():
            raise UsageError(wrong)
        with interrupts():  # one that a library swallowed is not taken for success
            result = cli.main(args=argv, prog_name="crosscheck", standalone_mode=False)
            _flush()
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = f" (see '{context.command_path} --help')" if context else ""
        complain(f"{error.format_message()}{hint}")
        return int(ExitCode.USAGE)
    except CrosscheckError as error:
        complain(str(error))
        return error.exit_code
    except (click.exceptions.Abort, KeyboardInterrupt):
        return int(ExitCode.INTERRUPTED)
    except (SystemExit, OSError, MemoryError) as error:
        if isinstance(error, BrokenPipeError) or sys.stdout is not output:
            sys.stdout = output  # click has put another in its place, and called sys.exit
            return _left()
        return _ended_by(error)
    except BaseException:
        _show_traceback()
        return int(ExitCode.INTERNAL_ERROR)
    return int(result or 0)


def _ended_by(error: SystemExit | OSError | MemoryError) -> int:
    """The exit code of a command that a library or the system has ended."""
    if isinstance(error, SystemExit):
        if "_CROSSCHECK_COMPLETE" in os.environ:  # so click ends a completion
            raise error
        complain(
            f"a library called sys.exit({shown(repr(error.code))}) in the middle of the command; "
            "'crosscheck doctor' examines each framework by itself"
        )
        return int(ExitCode.DISAGREEMENT)
    if isinstance(error, MemoryError):
        complain(
            "there is not enough memory for this; wanted fewer or smaller cases, or fewer jobs"
        )
        return int(ExitCode.USAGE)
    if error.errno in _OF_THE_SYSTEM:
        where = f"{error.filename}: " if error.filename else ""
        complain(f"{where}{error.strerror}; make room, or choose another place, and try again")
        try:
            _flush()
        except OSError:
            _left()  # else Python tries once more at the end, and ends with 120
        return int(ExitCode.USAGE)
    _show_traceback()
    return int(ExitCode.INTERNAL_ERROR)


CLOSED_OUTPUT = 128 + 13
"""What a shell says of a program that SIGPIPE has ended."""

_OF_THE_SYSTEM = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO),
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM),
)
"""What is wrong with the machine, and not with this program."""

_LONGEST_TRACEBACK = 20_000


def _make_output_safe() -> None:
    """What the output's encoding has not, such as halves of characters, becomes an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _flush() -> None:
    """Now, while it can still be said if that fails."""
    if sys.stdout is not None:
        sys.stdout.flush()


def _left() -> int:
    """The standard output takes nothing more: nothing goes there, nor at the end of the process."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        output = sys.__stdout__.fileno()  # type: ignore[union-attr]
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return CLOSED_OUTPUT


def _show_traceback() -> None:
    text = traceback.format_exc()[-_LONGEST_TRACEBACK:]
    with contextlib.suppress(OSError):
        click.echo(lines_shown(text), err=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True)
@click.version_option(package_name="gradient-crosscheck", prog_name="crosscheck")
@click.pass_context
def cli(context: click.Context) -> None:
    """Check gradients of PyTorch, TensorFlow and JAX against a reference, by proof.

    \b
    crosscheck run                          generated networks, all frameworks found
    crosscheck run --case worked-example    one network, every value beside the reference
    crosscheck run --case my_network.json   your own network
    crosscheck check layer.py               your own functions against their formula
    crosscheck module my_models:net         your own model, operation by operation
    crosscheck explain                      the derivation of one gradient, step by step
    crosscheck digits                       a trained network on real data
    crosscheck sweep --cases 1e6            a million networks, in batches
    crosscheck conventions                  what each framework does at the kink
    crosscheck accuracy                     how many roundings their functions err by
    crosscheck report                       the page of the latest report
    crosscheck diff A B                     what changed between two reports, or two tables
    crosscheck doctor                       what is installed, and whether it works
    """  # noqa: D301  (click wants the control character)
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


_CHECKS = (run, check, write, module, sweep, replay, digits)
_EXPLANATIONS = (explain, conventions, accuracy, precision, power, bench, report, diff, nightly)
_HELP = (functions, doctor, completion)

for _command in (*_CHECKS, *_EXPLANATIONS, *_HELP):
    cli.add_command(_command)
