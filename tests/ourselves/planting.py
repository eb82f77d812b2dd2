"""Planting a fault: a piece is replaced wherever the project has taken hold of it."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ourselves.roles import ROLES

__all__ = ["Fault", "around", "changed", "of_first", "planted"]

Maker = Callable[[Any], Any]


@dataclass(frozen=True)
class Fault:
    """A fault in ourselves.

    Attributes:
        name: What is wrong, in a few words.
        role: Where: a key of `ROLES`.
        make: What stands there instead, from what stands there.
        caught_by: A test that has to fail, ``file::name`` within the tests.
    """

    name: str
    role: str
    make: Maker
    caught_by: str


def around(wrong: Callable[..., Any]) -> Maker:
    """A function, method or property that ``wrong`` stands in for.

    ``wrong`` is called with the right one and then what that would be called with.
    """

    def make(right: Any) -> Any:
        if isinstance(right, functools.cached_property):
            found = functools.cached_property(lambda self: wrong(right.func, self))
            found.__set_name__(object, right.attrname or "")
            return found
        if isinstance(right, property):
            return property(lambda self: wrong(right.fget, self))
        return functools.wraps(right)(lambda *args, **more: wrong(right, *args, **more))

    return make


def changed(change: Callable[[Any], Any]) -> Maker:
    """The same, with another result."""
    return around(lambda right, *args, **more: change(right(*args, **more)))


def of_first(change: Callable[[Any], Any]) -> Maker:
    """The same, asked about something else in place of its first argument."""
    return around(lambda right, first, *args, **more: right(change(first), *args, **more))


@contextmanager
def planted(fault: Fault) -> Iterator[None]:
    """The project with ``fault`` in it."""
    module_name, _, path = ROLES[fault.role].partition(":")
    owner: Any = importlib.import_module(module_name)
    *classes, name = path.split(".")
    for each in classes:
        owner = getattr(owner, each)
    right = inspect.getattr_static(owner, name)
    wrong = fault.make(right)
    places = [(owner, name)]
    if not classes:
        # Whoever has imported it by name has a name of their own for it.
        places += [
            (module, key)
            for module in _modules()
            for key, value in list(vars(module).items())
            if value is right and (module, key) != (owner, name)
        ]
    for place, key in places:
        setattr(place, key, wrong)
    try:
        yield
    finally:
        for place, key in places:
            setattr(place, key, right)


def _modules() -> list[Any]:
    """The project's modules that have been imported, tests included."""
    return [
        module
        for name, module in list(sys.modules.items())
        if name.split(".")[0] == "crosscheck" or name.startswith("test_")
    ]
