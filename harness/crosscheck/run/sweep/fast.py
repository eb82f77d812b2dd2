"""The gradients of a whole batch, by the fastest correct path that a framework has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.batched import Batched, batched
from crosscheck.frameworks.gatekeeper import ask_adapter, ask_batch
from crosscheck.frameworks.refusals import Refused
from crosscheck.frameworks.remote import Remote
from crosscheck.network.batch import Batch
from crosscheck.run.sweep.steps import are_shown

__all__ = ["batched_gradients", "mode_of", "modes_of"]

_paths: WeakKeyDictionary[Framework, Batched] = WeakKeyDictionary()
"""What was compiled for a framework is kept as long as the framework."""


def _path(framework: Framework) -> Batched:
    if framework not in _paths:
        _paths[framework] = batched(framework)
    return _paths[framework]


def _is_through_adapter(framework: Framework, dtype: str, command: str) -> bool:
    """Whether the adapter itself is asked: always for what has to show its steps too."""
    return are_shown(framework, command) or _path(framework).is_through_adapter(dtype)


def mode_of(framework: Framework, dtype: str, command: str = "sweep") -> str:
    """How `batched_gradients` asks for gradients: the name for reports.

    The adapter's name for its mode where it goes through the adapter, else a line of source.
    """
    if isinstance(framework, Remote):
        found = framework.there(mode_of, dtype, command)
        return framework.mode if isinstance(found, Refused) else str(found)
    through = _is_through_adapter(framework, dtype, command)
    return framework.mode if through else _path(framework).mode


def modes_of(framework: Framework, dtypes: Sequence[str], command: str = "sweep") -> str:
    """`mode_of` for several dtypes, in one line."""
    modes: dict[str, list[str]] = {}
    for dtype in dtypes:
        modes.setdefault(mode_of(framework, dtype, command), []).append(dtype)
    if len(modes) == 1:
        return next(iter(modes))
    return "; ".join(f"{mode} for {', '.join(which)}" for mode, which in modes.items())


def batched_gradients(framework: Framework, batch: Batch, command: str = "sweep") -> Any:
    """The gradients of a batch, by the framework's fastest correct path, or why there are none.

    Args:
        framework: The framework.
        batch: The cases.
        command: Of `crosscheck.judge.certificates.CERTIFICATES`.

    Returns:
        Arrays in `crosscheck.network.batch.held_dtype`; in float64 where they come from the
        adapter.
    """
    if isinstance(framework, Remote):
        return framework.there(batched_gradients, batch, command)
    if _is_through_adapter(framework, batch.dtype, command):
        return ask_adapter(framework, batch)
    return ask_batch(_path(framework), batch)
