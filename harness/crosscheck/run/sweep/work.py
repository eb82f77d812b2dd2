"""What a worker does: the cases between two places, with frameworks that it opens once."""

from __future__ import annotations

import os
from typing import Protocol

from crosscheck.cases.stream.generate import block
from crosscheck.cases.stream.memory import keep_freed_memory
from crosscheck.cases.stream.settings import BLOCK, Part, Settings
from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.registry import open_frameworks
from crosscheck.judge.door import judge
from crosscheck.judge.verdict import Verdict
from crosscheck.run.answers import verdict_of
from crosscheck.run.environment import environment
from crosscheck.run.sweep.answers import Answer
from crosscheck.run.sweep.check import asking, batches_of, check_parts
from crosscheck.run.sweep.checkpoint import made_with
from crosscheck.run.sweep.coordinate import Done
from crosscheck.run.sweep.record import Checked
from crosscheck.tools.errors import CrosscheckError
from crosscheck.workers.threads import ONE_THREAD, this_worker

__all__ = [
    "Choice",
    "ask_batches",
    "ask_case",
    "do",
    "opened",
]

_opened: dict[tuple[object, ...], tuple[list[Framework], dict[str, str]]] = {}


class Choice(Protocol):
    """Frameworks, and how they are asked; part of what a sweep is."""

    @property
    def frameworks(self) -> tuple[str, ...]:
        """Names of the frameworks; empty for all that are installed."""

    @property
    def formulations(self) -> tuple[tuple[str, str], ...]:
        """Framework name to formulation, where it is not the default."""

    @property
    def modes(self) -> tuple[tuple[str, str], ...]:
        """Framework name to mode, likewise."""


def do(settings: Settings, first: int, last: int) -> Done[Checked]:
    """Check the cases from place ``first`` to place ``last``.

    Args:
        settings: The sweep.
        first: A place.
        last: A place.
    """
    frameworks, made_with = opened(settings)
    parts = settings.parts(first, last)
    checked = check_parts(parts, settings, frameworks)
    return Done(checked, this_worker(), made_with)


def ask_batches(settings: Settings, part: Part, name: str) -> list[Answer]:
    """What one framework makes of the batches of a part."""
    framework, ask = _named(settings, name), asking(part, settings)
    return [ask(framework, made) for made in batches_of(part, settings)]


def ask_case(settings: Settings, part: Part, name: str, position: int) -> Verdict:
    """The verdict on one case of the block of a part, put to the framework by itself."""
    whole = block(part.shape, settings.seed, part.start // BLOCK, settings.mix)
    case = whole.case(position % BLOCK)
    framework = _named(settings, name)
    return verdict_of(framework, case, judge(case), command=settings.command)


def opened(settings: Choice) -> tuple[list[Framework], dict[str, str]]:
    """The frameworks of a sweep, opened when they are first asked for in this process.

    Returns:
        The frameworks, and the versions of all that the result depends on.
    """
    key = (settings.frameworks, settings.formulations, settings.modes)
    if key not in _opened:
        keep_freed_memory()
        for name, value in ONE_THREAD.items():
            os.environ.setdefault(name, value)
        frameworks, states = open_frameworks(
            settings.frameworks or None, dict(settings.formulations), dict(settings.modes)
        )
        _opened[key] = frameworks, made_with(tuple(states), environment())
    return _opened[key]


def _named(settings: Settings, name: str) -> Framework:
    for framework in opened(settings)[0]:
        if framework.name == name:
            return framework
    raise CrosscheckError(f"framework {name!r} cannot be used in this worker; install it there too")
