"""What is done in the process of a framework: it is opened there, and asked.

Nothing else of `crosscheck.frameworks.isolated` happens there; each function is found by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.gatekeeper import ask_twice, begin, begin_each
from crosscheck.frameworks.pointwise import Pointwise
from crosscheck.frameworks.registry import Request, open_here
from crosscheck.frameworks.state import FrameworkState
from crosscheck.network.composed import AnyCase, Composed
from crosscheck.network.second import Direction
from crosscheck.program.second import Way
from crosscheck.tools.loaded import loaded_libraries

__all__ = [
    "About",
    "answered",
    "answered_each",
    "answered_twice",
    "applied",
    "applied_beside",
    "open_all",
    "open_one",
]


@dataclass(frozen=True)
class About:
    """What is to be known of a framework where it is not.

    Attributes:
        state: Whether it can be used there.
        attributes: Those of its class; empty if it cannot.
    """

    state: FrameworkState
    attributes: Mapping[str, Any] = field(default_factory=dict)


_TOLD = (
    *("module", "packages", "formulations", "modes", "forward_modes", "watched_modes", "ways"),
    *("dtypes",),
)
_opened: list[Framework] = []


def open_one(request: Request) -> About:
    """Open the framework of this process; the functions below ask the one that was opened last."""
    framework, state = open_here(request)
    if framework is None:
        return About(state)
    _opened[:] = [framework]
    told = {name: _plain(getattr(framework, name)) for name in _TOLD}
    lines = framework.lines
    told["loaded"] = frozenset(loaded_libraries())
    told["lines"] = None if lines is None else _plain_lines(lines)
    return About(state, told)


def _plain(value: Any) -> Any:
    """A mapping that can be sent."""
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, Mapping) else value


def _plain_lines(lines: Pointwise) -> Pointwise:
    return replace(
        lines, **{each.name: _plain(getattr(lines, each.name)) for each in fields(lines)}
    )


_hosted: dict[Request, Framework] = {}


def open_all(requests: Sequence[Request]) -> list[About]:
    """`open_one` for frameworks that are in one process together."""
    return [_open_beside(request) for request in requests]


def _open_beside(request: Request) -> About:
    about = open_one(request)
    if about.state.state == "available":
        (_hosted[request],) = _opened
    return about


def applied_beside(request: Request, function: Callable[..., Any], *arguments: Any) -> Any:
    """`applied`, to one of several frameworks that are in one process."""
    if request not in _hosted:  # it was opened in another process
        _open_beside(request)
    return function(_hosted[request], *arguments)


def answered(case: AnyCase, watched: bool) -> tuple[Any, Any]:
    """What `crosscheck.frameworks.gatekeeper.begin` gives."""
    (framework,) = _opened
    return begin(framework, case, watched=watched)()


def answered_each(stack: AnyCase, watched: bool) -> tuple[Any, Any]:
    """What `crosscheck.frameworks.gatekeeper.begin_each` gives; and ``None``."""
    (framework,) = _opened
    return begin_each(framework, stack, watched=watched)(), None


def applied(function: Callable[..., Any], arguments: Sequence[Any]) -> tuple[Any, Any]:
    """What a function makes of the framework; and ``None``."""
    (framework,) = _opened
    return function(framework, *arguments), None


def answered_twice(case: Composed, direction: Direction, way: Way) -> tuple[Any, Any]:
    """What `crosscheck.frameworks.gatekeeper.ask_twice` gives; and ``None``."""
    (framework,) = _opened
    return ask_twice(framework, case, direction, way), None
