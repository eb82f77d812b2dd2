"""Work that is counted while it is done, so that a question may be given up before it takes long.

What is counted are operations on numbers, not seconds: the same question is given up on every
machine, or on none.
"""

from __future__ import annotations

__all__ = ["Budget", "Exhausted"]


class Exhausted(Exception):
    """The work is more than was allowed; what it was for is not decided."""


class Budget:
    """So many operations, and no more.

    Args:
        operations: How many there may be.

    Attributes:
        operations: As given.
        left: How many are left.
    """

    def __init__(self, operations: int) -> None:
        self.operations = self.left = operations

    def spend(self, operations: int) -> None:
        """Counts work that is about to be done.

        Raises:
            Exhausted: It is more than is left. Nothing of it is counted then.
        """
        if operations > self.left:
            raise Exhausted(f"more than {self.operations:,} operations on rational numbers")
        self.left -= operations
