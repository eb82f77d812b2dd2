"""A framework in another process, as those who ask it see it."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, ClassVar

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.refusals import Refused
from crosscheck.network.composed import AnyCase, Composed
from crosscheck.network.second import Direction
from crosscheck.program.second import Way
from crosscheck.tools.errors import CrosscheckError

__all__ = ["Awaited", "AwaitedEach", "ElsewhereError", "Remote"]

Awaited = Callable[[], tuple[Any, Any]]
"""Waits for what was asked for: gradients, and the steps that led to them; either may be `Refused`,
and the second is ``None`` where it was not asked for, or there is no gradient."""


AwaitedEach = Callable[[], list[tuple[Any, Any]]]
"""Waits for several cases that were asked for each by itself: of each what an `Awaited` gives."""


class ElsewhereError(CrosscheckError):
    """There are no gradients, and why was found out in the other process.

    Attributes:
        refused: Why.
    """

    exit_code = 1

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.reason)
        self.refused = refused


class Remote(Framework):
    """A framework that can be asked before its answer is wanted.

    It is asked by `begin`, of which the other methods are made; each of those raises
    `ElsewhereError` where there is no answer.

    Attributes:
        loaded: What is loaded there; see `crosscheck.tools.loaded.loaded_libraries`.
    """

    loaded: ClassVar[frozenset[str]] = frozenset()

    @abc.abstractmethod
    def begin(self, case: AnyCase, *, watched: bool = False) -> Awaited:
        """Ask for gradients, and go on.

        Args:
            case: A single case or a stack; nobody else gets the arrays themselves.
            watched: Whether the steps that lead to them are asked for too.
        """

    @abc.abstractmethod
    def begin_each(self, stack: AnyCase, *, watched: bool = False) -> AwaitedEach:
        """Ask for the cases of a stack, each by itself, one after the other, and go on.

        Args:
            stack: Several cases.
            watched: As of `begin`.
        """

    @abc.abstractmethod
    def there(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What a function makes of the framework itself, in its process.

        Args:
            function: Is called with the framework and the arguments; found there by its name.
            *arguments: Sent there.

        Returns:
            What it returns; `Refused` where the process is lost.
        """

    @abc.abstractmethod
    def twice(self, case: Composed, direction: Direction, way: Way) -> Any:
        """See `Framework.products`; `Refused` in its place where there is no answer."""
