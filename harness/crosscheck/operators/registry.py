"""Which operators there are: those of this folder, those of installed distributions, and others.

Every module here that has an ``OPERATOR`` is one. A distribution can add more under the entry-point
group ``crosscheck.operators``, and a program can `register` one. Nothing is passed over in silence:
an entry point that does not load is an error when operators are asked for.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib import metadata

from crosscheck.operators.operator import Operator
from crosscheck.operators.randomness import refuse_random
from crosscheck.tools.errors import UsageError, meant
from crosscheck.tools.words import named

__all__ = ["GROUP", "known", "operator_of", "register"]

GROUP = "crosscheck.operators"
"""The entry-point group: name to ``package.module:OPERATOR``."""

_registered: dict[str, Operator] = {}


@cache
def _built_in() -> dict[str, Operator]:
    package = importlib.import_module("crosscheck.operators")
    found = {}
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        operator = getattr(importlib.import_module(module.name), "OPERATOR", None)
        if isinstance(operator, Operator):
            found[operator.name] = operator
    return found


@cache
def _installed() -> dict[str, Operator]:
    found = {}
    for entry in metadata.entry_points(group=GROUP):
        try:
            operator = entry.load()
        except Exception as error:
            raise UsageError(
                f"operator {entry.name!r} ({entry.value}) cannot be loaded: {named(error)}; "
                f"mend or uninstall what declares it"
            ) from error
        if not isinstance(operator, Operator):
            raise UsageError(f"operator {entry.name!r} ({entry.value}) is no crosscheck Operator")
        found[operator.name] = operator
    return found


def register(operator: Operator) -> Operator:
    """Make an operator known in this process, in the place of any other of its name.

    Raises:
        UsageError: It is none.
    """
    if not isinstance(operator, Operator):
        raise UsageError(f"{type(operator).__name__} given, wanted a crosscheck Operator")
    _registered[operator.name] = operator
    return operator


def known() -> dict[str, Operator]:
    """Every operator by name.

    Raises:
        UsageError: One that is installed does not load.
    """
    return {**_built_in(), **_installed(), **_registered}


def operator_of(name: str) -> Operator:
    """One operator.

    Raises:
        UsageError: There is none of this name, or it draws random numbers.
    """
    operators = known()
    if name not in operators:
        refuse_random(name)
        hint = meant(name, operators)
        raise UsageError(f"operator {name!r}: wanted one of {', '.join(operators)}{hint}")
    return operators[name]
