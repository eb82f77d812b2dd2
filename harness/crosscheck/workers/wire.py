"""Messages between two processes: pickles, each after its length, through a pipe.

Both ends are processes of one user, one of which started the other, on the same source of this
package; what is unpickled is what that source has pickled. Arrays travel as they are, bit for bit:
what is in a NaN arrives.
"""

from __future__ import annotations

import pickle
import traceback
from typing import IO, Any

__all__ = ["UnsentError", "answer_of", "read", "write", "written"]

_LENGTH = 8


class UnsentError(RuntimeError):
    """What came of a call could not be sent; what is pickled there may be missing since."""


def written(message: Any) -> bytes:
    """A message as it is sent.

    Raises:
        Exception: Whatever pickling something raises that cannot be sent.
    """
    return pickle.dumps(message, protocol=5)


def write(pipe: IO[bytes], message: bytes) -> None:
    """Send what is `written`.

    Raises:
        OSError: Nobody is there to read it.
    """
    for part in (len(message).to_bytes(_LENGTH, "big"), message):
        view = memoryview(part)
        while view:
            view = view[pipe.write(view) :]
    pipe.flush()


def read(pipe: IO[bytes]) -> bytes:
    """The next message.

    Raises:
        EOFError: The other end was closed.
        OSError: It is lost.
    """
    return _exactly(pipe, int.from_bytes(_exactly(pipe, _LENGTH), "big"))


def _exactly(pipe: IO[bytes], count: int) -> bytes:
    parts, left = [], count
    while left:
        part = pipe.read(min(left, 2**20))
        if not part:
            raise EOFError
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def answer_of(succeeded: bool, found: Any) -> bytes:
    """What came of a call, as it is sent: a result, or an exception with where it was raised.

    What cannot be pickled, or not be made of its pickle again, is told in words.
    """
    try:
        if not succeeded:
            lines = traceback.format_exception(found)
            found.add_note("in a worker process:\n" + "".join(lines))
            pickle.loads(pickle.dumps(found))
        return written((succeeded, found))
    except BaseException as error:
        what = "an error" if not succeeded else "a result"
        told = f"{what} of type {type(found).__name__} cannot be sent: {type(error).__name__}"
        return written((False, UnsentError(told)))
