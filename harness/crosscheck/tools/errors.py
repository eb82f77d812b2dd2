"""The errors that a user of the harness can meet, each with the exit code it leads to."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

__all__ = ["CrosscheckError", "UnsupportedError", "UsageError", "meant", "require_known"]


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


def meant(word: object, known: Iterable[str]) -> str:
    """The end of a message that hints at the word that was probably meant, or nothing.

    Args:
        word: What was given.
        known: What there is.
    """
    close = difflib.get_close_matches(str(word).lower(), list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def require_known(option: str, given: Collection[str], known: Collection[str]) -> None:
    """Refuse names that are nobody's.

    Args:
        option: Where they were given.
        given: The names.
        known: Those that there are.

    Raises:
        UsageError: One is not among them.
    """
    for name in given:
        if name not in known:
            wanted = f"wanted some of {', '.join(known)}{meant(name, known)}"
            raise UsageError(f"{option} {name!r}: {wanted}")
