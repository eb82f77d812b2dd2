"""The subcommands of ``crosscheck``, its exit codes, and how it complains."""

from __future__ import annotations

import os
import traceback
from collections.abc import Sequence

import click

from crosscheck.cli.accuracy import accuracy
from crosscheck.cli.bench import bench
from crosscheck.cli.check import check, write
from crosscheck.cli.completion import completion
from crosscheck.cli.conventions import conventions
from crosscheck.cli.digits import digits
from crosscheck.cli.doctor import doctor
from crosscheck.cli.explain import explain
from crosscheck.cli.functions import functions
from crosscheck.cli.module import module
from crosscheck.cli.power import power
from crosscheck.cli.precision import precision
from crosscheck.cli.replay import replay
from crosscheck.cli.report import report
from crosscheck.cli.run import run
from crosscheck.cli.sweep import sweep
from crosscheck.run.events import ExitCode
from crosscheck.tools.errors import CrosscheckError
from crosscheck.tools.interrupts import interrupts

__all__ = ["cli", "run_command"]


def run_command(argv: Sequence[str] | None) -> int:
    """Run the command and return its exit code; see `crosscheck.cli.main`."""
    try:
        with interrupts():  # one that a library swallowed is not taken for success
            result = cli.main(args=argv, prog_name="crosscheck", standalone_mode=False)
    except click.exceptions.Abort:
        return int(ExitCode.INTERRUPTED)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = f" (see '{context.command_path} --help')" if context else ""
        _complain(f"{error.format_message()}{hint}")
        return int(ExitCode.USAGE)
    except CrosscheckError as error:
        _complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
    except SystemExit as error:
        if "_CROSSCHECK_COMPLETE" in os.environ:  # so click ends a completion
            raise
        _complain(
            f"a library called sys.exit({error.code!r}) in the middle of the command; 'crosscheck "
            "doctor' examines each framework by itself"
        )
        return int(ExitCode.DISAGREEMENT)
    except BaseException:
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
    crosscheck check layer.py               your own functions against their formula
    crosscheck module my_models:net         your own model, operation by operation
    crosscheck explain                      the derivation of one gradient, step by step
    crosscheck digits                       a trained network on real data
    crosscheck sweep --cases 1e6            a million networks, in batches
    crosscheck conventions                  what each framework does at the kink
    crosscheck accuracy                     how many roundings their functions err by
    crosscheck report                       the page of the latest report
    crosscheck doctor                       what is installed, and whether it works
    """  # noqa: D301  (click wants the control character)


_CHECKS = (run, check, write, module, sweep, replay, digits)
_EXPLANATIONS = (explain, conventions, accuracy, precision, power, bench, report)
_HELP = (functions, doctor, completion)

for _command in (*_CHECKS, *_EXPLANATIONS, *_HELP):
    cli.add_command(_command)
