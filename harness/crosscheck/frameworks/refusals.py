"""Why a framework has no gradients: reasons in one line, and the errors that say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crosscheck.judge.verdict import Kind
from crosscheck.tools.errors import CrosscheckError, UnsupportedError
from crosscheck.tools.words import message_of, named

__all__ = ["NOT_ASKED", "ChangedError", "CrashedError", "Refused", "RefusedError", "reason_of"]


NOT_ASKED = "not asked"
"""How the reason begins where a framework was given up."""


class RefusedError(CrosscheckError):
    """What was returned is no gradient of the case; the message says what was wanted."""

    exit_code = 1


class ChangedError(RefusedError):
    """Arrays that were lent came back with other numbers in them."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"it changed {', '.join(names)} of the case in place")


class CrashedError(CrosscheckError):
    """A framework failed where there is no verdict to say so."""

    exit_code = 1


@dataclass(frozen=True)
class Refused:
    """Why there are no gradients.

    Attributes:
        kind: The verdict: CRASHED, or UNSUPPORTED where the framework itself says so.
        reason: One line.
        raised: Whether the framework said so by an ordinary exception. Of a stack that means that
            each case is to be asked for by itself; anything else is a crash even if they are right.
        changed: Whether it wrote into the arrays that it was given.
    """

    kind: Kind
    reason: str
    raised: bool = False
    changed: bool = False


def reason_of(error: BaseException) -> str:
    """An exception in one line; of one that only says what was returned, the bare words."""
    # What a library cannot do is told whole; what else it says may be pages.
    first_line = not isinstance(error, UnsupportedError)
    if isinstance(error, RefusedError):
        return message_of(error, first_line=first_line)
    return named(error, first_line=first_line)
