"""A folder for reports: found fit to be written to before the work, and one run's at a time."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from crosscheck.tools.errors import UsageError
from crosscheck.tools.words import cut, shown

try:
    import fcntl
except ImportError:  # Windows: there nobody is kept out
    fcntl = None  # type: ignore[assignment]

__all__ = ["LOCK", "claimed"]

LOCK = ".crosscheck.lock"

_LONGEST = 200


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """A folder that is there, can be written to, and is written to by nobody else meanwhile.

    The claim is the system's lock (flock(2)) on a file in the folder, which says whose it is. The
    system lets go of it when the process ends, in whatever way, so the file of a process that was
    killed is no claim. What has been made for the claim is taken away again at the end: the file,
    and folders that are empty still. A file system without locks keeps nobody out.

    Args:
        folder: Made, with those above it, if it is not there.

    Raises:
        UsageError: It cannot be written to, or somebody else has it.
    """
    made: list[Path] = []
    try:
        above = folder
        while not above.exists():
            made.append(above)
            above = above.parent
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _locked(folder)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, _whose().encode())
    except OSError as error:
        raise UsageError(
            f"{shown(str(folder))}: cannot be written to: {error.strerror or shown(str(error))}; "
            "choose another folder for the report"
        ) from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.unlink(folder / LOCK)  # while it is locked: whoever waits for it looks again
        if fcntl is not None:
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)  # children that were forked have it too
        os.close(descriptor)
        with contextlib.suppress(OSError):
            for each in made:
                each.rmdir()


def _locked(folder: Path) -> int:
    """The file of the claim, open and locked.

    Raises:
        OSError: It cannot be made.
        UsageError: Somebody else has it.
    """
    path = folder / LOCK
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    while True:
        descriptor = os.open(path, flags, 0o666)
        if fcntl is None:
            return descriptor
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            whose = os.read(descriptor, _LONGEST).decode("utf-8", "replace")
            os.close(descriptor)
            raise UsageError(
                f"{shown(str(folder))}: {cut(shown(whose.strip()), _LONGEST) or 'another process'} "
                "is writing its report there; wait for its end, or choose another folder"
            ) from None
        except OSError:  # a file system without locks
            return descriptor
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        os.close(descriptor)  # whoever had it before has taken the file away


def _whose() -> str:
    started = time.strftime("%Y-%m-%d %H:%M:%S")
    return f"process {os.getpid()} on {socket.gethostname()}, since {started},"
