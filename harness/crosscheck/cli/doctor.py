"""``crosscheck doctor``."""

from __future__ import annotations

import click

from crosscheck.cli.options import framework_names_option
from crosscheck.cli.results import echo_json, result_options
from crosscheck.workers.patience import patient

__all__ = ["doctor"]


@click.command()
@framework_names_option(of="Examine only these.")
@click.option(
    "--timeout",
    type=float,
    default=lambda: patient(120.0),
    show_default="120",
    metavar="SECONDS",
    help="How long one step may take: an import, or one mode with its compilation.",
)
@click.option(
    "--no-compilation",
    is_flag=True,
    help="Leave out the modes that wait for a compiler, such as torch's compile: seconds, not "
    "minutes.",
)
@result_options
def doctor(
    frameworks: tuple[str, ...] | None, timeout: float, no_compilation: bool, as_json: bool
) -> int:
    """Say what is installed, what of it works, and what to do about the rest.

    For each framework: its version, its devices and threads, what it does with subnormal numbers,
    and whether each way of asking for a gradient works, the compiled ones included. Each is
    examined in a process of its own, so that one that crashes or hangs is no more than a line.

    \b
    Exit codes: 0 usable, 1 a framework is broken, 5 no framework is installed.

    \b
    Examples:
      crosscheck doctor
      crosscheck doctor --no-compilation
      crosscheck doctor --frameworks torch --timeout 30
      crosscheck doctor --json
    """  # noqa: D301  (click wants the control character)
    from crosscheck.doctor import examine
    from crosscheck.report.doctor import progress, show, to_json

    with progress(as_json) as report:
        diagnosis = examine(
            frameworks, limit=timeout, compilation=not no_compilation, report=report
        )
    if as_json:
        echo_json(to_json(diagnosis))
    else:
        show(diagnosis)
    return int(diagnosis.exit_code)
