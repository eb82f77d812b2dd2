"""The frameworks and the sinks of one checking command."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import Any

from crosscheck.cli.isolation import Place, until_the_end
from crosscheck.cli.options import Checking
from crosscheck.frameworks.state import FrameworkState
from crosscheck.run.events import RunStarted

__all__ = ["Session"]


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

        with open_sinks(self.report) as emit:
            return int(
                crosscheck.run(
                    lambda emit: Checker(self.frameworks, emit, allow=self.allow, command=command),
                    work,
                    started,
                    self.states,
                    emit,
                )
            )

    def show_worked_example(self) -> None:
        """Every convention side by side."""
        from crosscheck.report.worked import show

        show(self.frameworks)
