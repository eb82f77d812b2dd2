"""What commands that measure frameworks have in common: what is absent, and a bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from crosscheck.frameworks.state import FrameworkState
from crosscheck.run.events import ExitCode
from crosscheck.tools.errors import UsageError

__all__ = ["BrokenFrameworkError", "measuring", "report_state"]


class BrokenFrameworkError(UsageError):
    """A framework is installed and cannot be imported."""

    exit_code = int(ExitCode.DISAGREEMENT)


def report_state(state: FrameworkState, *, must_be_there: bool) -> None:
    """Say what is absent.

    Args:
        state: Of a framework that was asked for.
        must_be_there: Whether it is an error that it is absent.

    Raises:
        UsageError: It is absent, and must not be.
        BrokenFrameworkError: It cannot be imported.
    """
    if state.state == "broken":
        raise BrokenFrameworkError(f"{state.name} is broken: {state.detail}")
    if state.state == "absent":
        if must_be_there:
            raise UsageError(
                f"{state.name} is in the baseline and not installed here ({state.detail}); "
                "install it, or name the others with --frameworks"
            )
        click.echo(f"{state.name}: absent; {state.detail}", err=True)


@contextmanager
def measuring() -> Iterator[Callable[[int, int], None] | None]:
    """A bar on a terminal; nothing in a log."""
    from rich.progress import Progress

    from crosscheck.tools.consoles import Terminal

    console = Terminal(stderr=True)
    if not console.is_terminal:
        yield None
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("measuring", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
