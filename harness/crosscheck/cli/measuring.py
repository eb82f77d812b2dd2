"""What commands that measure frameworks have in common: what is absent, and a bar."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager

import click

from crosscheck.frameworks.state import FrameworkState
from crosscheck.run.events import ExitCode
from crosscheck.tools.errors import UsageError

__all__ = ["BrokenFrameworkError", "measuring", "report_states"]


class BrokenFrameworkError(UsageError):
    """A framework is installed and cannot be imported."""

    exit_code = int(ExitCode.DISAGREEMENT)


def report_states(states: Iterable[FrameworkState], known: Collection[str] = ()) -> list[str]:
    """Say what is absent.

    Args:
        states: Of the frameworks that were asked for.
        known: What is in the baseline that they are to be compared with; those that are absent are
            left out, but not all of them.

    Returns:
        The names of those of the baseline that are absent.

    Raises:
        UsageError: Something is to be compared, and no framework of the baseline is installed.
        BrokenFrameworkError: One cannot be imported.
    """
    missing = []
    there = 0
    for state in states:
        if state.state == "broken":
            raise BrokenFrameworkError(f"{state.name} is broken: {state.detail}")
        there += state.state != "absent" and state.name in known
        if state.state == "absent":
            unchecked = ", and not checked" if state.name in known else ""
            click.echo(f"{state.name}: absent{unchecked}; {state.detail}", err=True)
            missing += [state.name] if unchecked else []
    if missing and not there:
        raise UsageError(
            f"{', '.join(missing)}: in the baseline, and none of them is installed here; install "
            "one, or name others with --frameworks"
        )
    return missing


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
