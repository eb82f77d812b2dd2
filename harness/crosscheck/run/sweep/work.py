"""What a worker does: the cases between two places, with frameworks that it opens once."""

from __future__ import annotations

import faulthandler
import os
import socket
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from crosscheck.cases.stream.generate import block
from crosscheck.cases.stream.memory import keep_freed_memory
from crosscheck.cases.stream.settings import BLOCK, Part, Settings
from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.registry import open_frameworks
from crosscheck.judge.door import judge
from crosscheck.judge.verdict import Verdict
from crosscheck.run.answers import verdict_of
from crosscheck.run.environment import environment
from crosscheck.run.sweep.answers import Answer, answer
from crosscheck.run.sweep.check import batches_of, check_parts, made_anew
from crosscheck.run.sweep.checkpoint import made_with
from crosscheck.run.sweep.record import Checked
from crosscheck.tools.errors import CrosscheckError

__all__ = ["ONE_THREAD", "Done", "ask_batches", "ask_case", "do", "one_thread"]

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
}
"""What keeps a worker to one thread. The libraries read it when they are imported."""

_opened: dict[tuple[object, ...], tuple[list[Framework], dict[str, str]]] = {}


@dataclass(frozen=True, eq=False)
class Done:
    """What came of a piece of work.

    Attributes:
        checked: One result for each part.
        worker: Who did it.
        made_with: Its versions of all that the result depends on; see
            `crosscheck.run.sweep.checkpoint`.
    """

    checked: tuple[Checked, ...]
    worker: str
    made_with: Mapping[str, str]


@contextmanager
def one_thread(environment: MutableMapping[str, str]) -> Iterator[None]:
    """`ONE_THREAD` in an environment, where the user has not said otherwise."""
    added = {name: value for name, value in ONE_THREAD.items() if name not in environment}
    environment.update(added)
    try:
        yield
    finally:
        for name in added:
            del environment[name]


def do(settings: Settings, first: int, last: int, deadline: float | None = None) -> Done:
    """Check the cases from place ``first`` to place ``last``.

    Args:
        settings: The sweep.
        first: A place.
        last: A place.
        deadline: Seconds after which the process ends itself, whatever it is at: for workers
            that nobody else watches. Python's own `faulthandler` does it, which needs nothing
            from a thread that hangs, and says where it was on the standard error output.
    """
    if deadline is not None:
        faulthandler.dump_traceback_later(deadline, exit=True, file=sys.__stderr__ or sys.stderr)
    try:
        frameworks, made_with = opened(settings)
        parts = settings.parts(first, last)
        checked = check_parts(parts, settings, frameworks)
    finally:
        if deadline is not None:
            faulthandler.cancel_dump_traceback_later()
    return Done(checked, f"process {os.getpid()} on {socket.gethostname()}", made_with)


def ask_batches(settings: Settings, part: Part, name: str) -> list[Answer]:
    """What one framework makes of the batches of a part."""
    framework = _named(settings, name)
    anew = partial(made_anew, part=part, settings=settings)
    return [answer(framework, made, anew) for made in batches_of(part, settings)]


def ask_case(settings: Settings, part: Part, name: str, position: int) -> Verdict:
    """The verdict on one case of the block of a part, put to the framework by itself."""
    whole = block(part.shape, settings.seed, part.start // BLOCK, settings.mix)
    case = whole.case(position % BLOCK)
    return verdict_of(_named(settings, name), case, judge(case))


def opened(settings: Settings) -> tuple[list[Framework], dict[str, str]]:
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
