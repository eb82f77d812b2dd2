"""What is known of a formula, kept at the function itself: shapes, domains, implementations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from crosscheck.run.implementations import name_of
from crosscheck.tools.errors import UsageError

__all__ = ["ROLES", "Spec", "spec", "spec_of"]

ROLES = ("by_hand", "numpy", "torch", "tensorflow", "jax")
"""Under which names implementations are registered."""

_ATTRIBUTE = "spec"

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(eq=False)
class Spec:
    """A formula with what is to be compared with it.

    Attributes:
        formula: The function.
        shapes: As of `crosscheck.run.functions.checking.compare_functions`.
        inputs: Argument to its domain.
        settings: The other keyword arguments of a comparison.
        implementations: Role to name to function.
        examples: Arguments that are always tried, first.
    """

    formula: Callable[..., Any]
    shapes: Any
    inputs: Mapping[str, Any]
    settings: Mapping[str, Any]
    implementations: dict[str, dict[str, Any]] = field(default_factory=dict)
    examples: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The formula's name."""
        return name_of(self.formula)

    def add(self, role: str, function: F) -> F:
        """Register an implementation; a decorator's body.

        Raises:
            UsageError: There is one of this name already.
        """
        name = getattr(function, "__name__", type(function).__name__)
        known = self.implementations.setdefault(role, {})
        if name in known:
            raise UsageError(f"{role} {name}: registered twice for {self.name}")
        known[name] = function
        return function

    def example(self, **arguments: Any) -> Callable[[F], F]:
        """Arguments that are always tried, first; a decorator of whatever follows."""
        self.examples.append(arguments)
        return lambda function: function


_SETTINGS = ("wrt", "static", "sizes", "dtypes", "precision", "values", "allow")


def spec(shapes: Any = None, /, **arguments: Any) -> Callable[[F], F]:
    """Says what a formula is of, and makes it a place to register implementations.

    The function stays an ordinary function. It gets attributes ``by_hand``, ``numpy``, ``torch``,
    ``tensorflow`` and ``jax``, decorators each of which registers an implementation, ``example``,
    and ``spec``, a `Spec`.

    Args:
        shapes: ``"b i, o i, o -> b o"``; see `crosscheck.run.functions.checking.compare_functions`.
        **arguments: Domains by the argument's name; and wrt, static, sizes, dtypes, precision,
            values, allow as of `crosscheck.run.functions.checking.compare_functions`.
    """

    def decorated(function: F) -> F:
        settings = {name: arguments[name] for name in _SETTINGS if name in arguments}
        inputs = {name: value for name, value in arguments.items() if name not in settings}
        made = Spec(function, shapes, inputs, settings)
        target: Any = function
        target.spec = made
        for role in ROLES:
            setattr(target, role, _registering(made, role))
        target.reference = target.by_hand
        target.example = made.example
        return function

    return decorated


def _registering(made: Spec, role: str) -> Callable[[F], F]:
    def register(function: F) -> F:
        return made.add(role, function)

    return register


def spec_of(function: Any) -> Spec | None:
    """What `spec` put at a function; ``None`` if nothing."""
    found = getattr(function, _ATTRIBUTE, None)
    return found if isinstance(found, Spec) else None
