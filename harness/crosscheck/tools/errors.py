"""The errors that a user of the harness can meet, each with the exit code it leads to."""

from __future__ import annotations

__all__ = ["CrosscheckError", "UnsupportedError", "UsageError"]


class CrosscheckError(Exception):
    """Base class of every error the harness raises on purpose.

    The message is one line: what was given, what was wanted, what to do.
    """

    exit_code = 3


class UsageError(CrosscheckError, ValueError):
    """The user's data or arguments cannot be used as they are."""

    exit_code = 4


class UnsupportedError(CrosscheckError):
    """A framework says that it cannot do this dtype, formulation or mode."""
