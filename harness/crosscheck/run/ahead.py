"""Questions put ahead: frameworks work at some while the answers to earlier ones are judged.

This takes less time where frameworks are in processes of their own
(`crosscheck.frameworks.isolated`); one in this process answers when it is its turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeVar

__all__ = ["Ahead"]

T = TypeVar("T")

_MOST = 16
"""Questions that frameworks may be at, or have before them."""
_NUMBERS = 2**20
"""Numbers in them: the answers, with all their steps, may take a hundred bytes for each."""


class Ahead:
    """Asks in one order, and judges in the same."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, Callable[[], None]]] = deque()
        self._is_judging = False

    def put(
        self, size: int, ask: Callable[[], Callable[[], T]], judge: Callable[[T], None]
    ) -> None:
        """Ask a question; while too many wait for their answers, judge those to the first.

        Args:
            size: How many numbers are asked about.
            ask: Asks, and returns what waits for the answers.
            judge: Is given them later. It may put further questions.
        """
        awaited = ask()
        self._waiting.append((size, lambda: judge(awaited())))
        if not self._is_judging:
            self._judge(_MOST)

    def finish(self) -> None:
        """Judge the answers to all questions."""
        self._judge(0)

    @property
    def _is_much(self) -> bool:
        return sum(size for size, _ in self._waiting) > _NUMBERS

    def _judge(self, most: int) -> None:
        self._is_judging = True
        try:
            while len(self._waiting) > most or (self._is_much and len(self._waiting) > 1):
                self._waiting.popleft()[1]()
        finally:
            self._is_judging = False
