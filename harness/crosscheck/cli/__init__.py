"""The command ``crosscheck``; what it does is in `crosscheck.cli.commands`.

Nothing else is imported here, so that the process which watches (`crosscheck.cli.supervisor`) stays
small and has no threads when it starts the one that works.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from crosscheck.cli.supervisor import is_program, needs_none, supervised
from crosscheck.cli.waiting import told_if_slow

if TYPE_CHECKING:
    from crosscheck.cli.commands import cli

__all__ = ["cli", "main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Started as a program, it is run in a process of its own, under the eyes of this one; the
    arguments of a caller in Python are run here.

    Args:
        argv: Arguments; those of the process by default.

    Returns:
        0 fine, 1 disagreement, 2 interrupted, 3 internal error, 4 usage, 5 nothing checked; 141
        if whoever reads the standard output has closed it, as ``head`` does.
    """

    def work() -> int:
        code: int = importlib.import_module("crosscheck.cli.commands").run_command(argv)
        return code

    def watched() -> int:
        with told_if_slow("starting"):
            importlib.import_module("crosscheck.cli.commands")
        return work()

    if argv is None and is_program(sys.argv) and not needs_none(sys.argv):
        return supervised(watched)
    return work()


def __getattr__(name: str) -> Any:
    """The group of all commands, for whoever wants to look into it."""
    if name == "cli":
        return importlib.import_module("crosscheck.cli.commands").cli
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
