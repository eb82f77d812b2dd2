"""How a function of the user's is called with arguments by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["called", "key_of"]


def called(
    function: Callable[..., Any],
    arguments: Mapping[str, Any],
    of: Callable[..., Any] | None = None,
) -> Any:
    """The function on arguments by name, if those are its parameters, else by position.

    Args:
        function: The function.
        arguments: What it is given.
        of: Whose parameters are looked at, if not its own.
    """
    try:
        parameters = inspect.signature(function if of is None else of).parameters
    except (TypeError, ValueError):
        return function(*arguments.values())
    if not all(name in parameters for name in arguments):
        return function(*arguments.values())
    by_name = {
        name: value
        for name, value in arguments.items()
        if parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
    }
    by_place = [arguments[name] for name in parameters if name in arguments and name not in by_name]
    skipped = [name for name in list(parameters)[: len(by_place)] if name not in arguments]
    if skipped:
        return function(**arguments)
    return function(*by_place, **by_name)


def key_of(entry: Any) -> str:
    """What a step of a path into a tree goes by: an entry of JAX's or of PyTorch's ``pytree``."""
    for attribute in ("key", "name", "idx"):
        if hasattr(entry, attribute):
            return str(getattr(entry, attribute))
    return str(entry)
