"""``crosscheck doctor``."""

from __future__ import annotations

import click

from crosscheck.cli.completion import framework_names
from crosscheck.cli.options import names

__all__ = ["doctor"]


@click.command()
@click.option(
    "--frameworks",
    callback=names,
    metavar="A,B",
    shell_complete=framework_names,
    help="Examine only these. Default: all that are known.",
)
@click.option(
    "--timeout",
    type=float,
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="How long one step may take: an import, or one mode with its compilation.",
)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def doctor(frameworks: tuple[str, ...] | None, timeout: float, as_json: bool) -> int:
    """Say what is installed, what of it works, and what to do about the rest.

    For each framework: its version, its devices and threads, what it does with subnormal numbers,
    and whether each way of asking for a gradient works, the compiled ones included. Each is
    examined in a process of its own, so that one that crashes or hangs is no more than a line.

    \b
    Exit codes: 0 usable, 1 a framework is broken, 5 no framework is installed.

    \b
    Examples:
      crosscheck doctor
      crosscheck doctor --frameworks torch --timeout 30
      crosscheck doctor --json
    """  # noqa: D301  (click wants the control character)
    import json

    from crosscheck.doctor import examine
    from crosscheck.report.doctor import progress, show, to_json

    with progress(as_json) as report:
        diagnosis = examine(frameworks, limit=timeout, report=report)
    if as_json:
        click.echo(json.dumps(to_json(diagnosis), indent=1))
    else:
        show(diagnosis)
    return int(diagnosis.exit_code)
