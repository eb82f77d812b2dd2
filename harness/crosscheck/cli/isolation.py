"""Options that tell where frameworks run: each in a process of its own, or all in this one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from crosscheck.cli.options import gathered, pairs, with_options
from crosscheck.cli.streams import seconds
from crosscheck.cli.supervisor import is_program
from crosscheck.frameworks.base import Framework
from crosscheck.tools.errors import UsageError
from crosscheck.workers.patience import patient

if TYPE_CHECKING:
    from crosscheck.frameworks.isolated import Host

__all__ = ["Place", "isolated_option", "isolation_options", "place_options", "until_the_end"]


@dataclass(frozen=True)
class Place:
    """What `isolation_options` say.

    Attributes:
        isolated: Whether frameworks run in processes of their own.
        deadline: Seconds that an answer may take there.
        others: Frameworks of other environments: names to the paths of their Pythons.
        environment: Variables that are added in those processes.
        host: Who opens all of them in one process first; see `crosscheck.frameworks.isolated`.

    Raises:
        UsageError: Another environment is named, and all are to run in this process; or there is
            no time to answer in.
    """

    isolated: bool
    deadline: float
    others: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    host: Host | None = None

    def __post_init__(self) -> None:
        if not self.deadline > 0:
            raise UsageError(f"--deadline {self.deadline:g}: wanted a time above 0, such as 90s")
        if self.others and not self.isolated:
            raise UsageError(
                "--worker and --in-process: both given; another Python needs a process of its own"
            )

    def opening(self) -> dict[str, Any]:
        """Arguments for `crosscheck.frameworks.registry.open_frameworks`."""
        if not self.isolated:
            return {}
        from crosscheck.frameworks.isolated import Isolation

        isolation = Isolation(self.deadline, dict(self.others), self.environment, self.host)
        named = {"others": tuple(self.others)} if self.others else {}
        return {**named, "opened": isolation.opened}

    def words(self) -> list[str]:
        """What has to be typed to have it so again."""
        return [word for pair in self.others.items() for word in ("--worker", "=".join(pair))]


def until_the_end(framework: Framework) -> Framework:
    """A framework whose process, if it has one of its own, is ended with the command."""
    close = getattr(framework, "close", None)
    context = click.get_current_context(silent=True)
    if close is not None and context is not None:
        context.call_on_close(close)
    return framework


isolated_option = click.option(
    "--isolated/--in-process",
    "isolated",
    default=lambda: is_program(sys.argv),
    help="Run each framework in a process of its own, where it may crash or hang, or all "
    "in this one, to debug. Default: isolated; called from Python, in its process.",
)
_HERE = (
    isolated_option,
    click.option(
        "--deadline",
        callback=seconds,
        default=lambda: f"{patient(120.0):g}s",
        show_default="2m",
        metavar="TIME",
        help="Take a framework for hung that gives no answer in this time.",
    ),
)
_WORKER = click.option(
    "--worker",
    "others",
    multiple=True,
    callback=pairs,
    metavar="F-NAME=PYTHON",
    help="Add framework F as it is in another environment, e.g. torch-old=old/bin/python.",
)


def place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that tell where frameworks of this environment run, as the argument ``place``."""
    return with_options(_HERE, gathered(Place, "place", command))


def isolation_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same, for commands that take frameworks of other environments too."""
    return with_options([*_HERE, _WORKER], gathered(Place, "place", command))
