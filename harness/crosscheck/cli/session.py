"""The frameworks and the sinks of one checking command."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click

from crosscheck.cli.complaints import complain
from crosscheck.cli.isolation import Place, until_the_end
from crosscheck.cli.options import Checking
from crosscheck.cli.waiting import told_if_slow
from crosscheck.frameworks.state import FrameworkState
from crosscheck.run.events import ExitCode, RunStarted
from crosscheck.tools.errors import UsageError
from crosscheck.tools.folders import claimed

__all__ = ["Session"]


def reported(codes: Iterator[int]) -> int:
    """The exit code of a run, though its report may not be written.

    Args:
        codes: Gives the exit code, and then writes what is left of the report. A disagreement that
            was found is what the command ends with even so; the complaint is told beside it.

    Raises:
        UsageError: The report cannot be written, and no disagreement was found.
    """
    code = next(codes)
    try:
        next(codes, None)
    except UsageError as error:
        if code != ExitCode.DISAGREEMENT:
            raise
        complain(str(error))
    return code


class Session:
    """The frameworks and the sinks of one command.

    Args:
        checking: What the options say.
        place: Where frameworks run; in this process, if nothing is said.
        by_steps: Whether frameworks are asked in modes that show their steps, where nothing else
            is said.
    """

    def __init__(
        self, checking: Checking, place: Place | None = None, *, by_steps: bool = False
    ) -> None:
        from crosscheck.frameworks.registry import open_frameworks

        self.checking = checking
        self.report, self.allow = checking.report, checking.allow
        self._place = place
        context = click.get_current_context(silent=True)
        if (
            context is not None and checking.report is not None
        ):  # before the work, and until its very end
            context.with_resource(claimed(checking.report))
        with told_if_slow("opening frameworks"):
            opened, states = open_frameworks(
                checking.frameworks,
                checking.formulations,
                checking.modes,
                by_steps=by_steps,
                **({} if place is None else place.opening()),
            )
        self.frameworks = [until_the_end(each) for each in opened]
        self.states: tuple[FrameworkState, ...] = tuple(states)

    def command(self, words: Sequence[str]) -> str:
        """The command line that repeats the run."""
        parts = list(words)
        given = self.checking
        if given.frameworks is not None:
            parts += ["--frameworks", ",".join(given.frameworks)]
        for option, pairs in (("--formulation", given.formulations), ("--mode", given.modes)):
            for name, choice in pairs.items():
                parts += [option, f"{name}={choice}"]
        if self._place is not None:
            parts += self._place.words()
        if self.allow:
            parts += ["--allow", ",".join(self.allow)]
        return shlex.join(parts)

    def run(self, started: RunStarted, work: Callable[[Any], None], command: str = "run") -> int:
        """Do ``work`` with every sink listening.

        Args:
            started: The first event.
            work: Puts cases to a checker.
            command: Which certificates that asks for; see `crosscheck.run.checker.Checker`.
        """
        from crosscheck.report import open_sinks
        from crosscheck.run import crosscheck
        from crosscheck.run.checker import Checker

        def listened_to() -> Iterator[int]:
            with open_sinks(self.report, as_json=self.checking.as_json) as emit:
                yield int(
                    crosscheck.run(
                        lambda emit: Checker(
                            self.frameworks, emit, allow=self.allow, command=command
                        ),
                        work,
                        started,
                        self.states,
                        emit,
                    )
                )

        return reported(listened_to())

    def show_worked_example(self) -> None:
        """Every convention side by side, for people."""
        if self.checking.as_json:
            return
        from crosscheck.report.worked import show

        show(self.frameworks)
