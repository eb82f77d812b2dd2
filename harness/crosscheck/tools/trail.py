"""What was being asked when the process ended: a file that is written before each call.

Functions of users run in the process of their tests. One that ends it, by a segmentation fault or
`os._exit`, leaves no word on which function and case it was. So these are in a file before the
function is called; the file is removed when the test is over. Whoever finds one tells what is in
it: the next session, or the process that started the one that died.

Nothing but the standard library is imported: the pytest plugin imports this.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

__all__ = ["Call", "calls_left", "kept", "note"]


@dataclass(frozen=True)
class Call:
    """A call that has not come back.

    Attributes:
        test: In which test.
        function: The library and the function: ``"torch affine"``.
        case: The key of the case.
    """

    test: str
    function: str = ""
    case: str = ""

    def __str__(self) -> str:
        asked = f" asked {self.function} for case {self.case}" if self.function else " ran"
        return f"the process ended while {self.test}{asked}"


_under_way: tuple[int, str] | None = None
"""An open file, and the test."""


@contextlib.contextmanager
def kept(path: Path, test: str) -> Iterator[None]:
    """Write each call of a test to a file, which is gone when the test is over.

    Args:
        path: The file; its folder is there.
        test: The name of the test.
    """
    global _under_way
    file = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o644)
    before, _under_way = _under_way, (file, test)
    try:
        with _no_success():
            yield
    finally:
        _under_way = before
        os.close(file)
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _no_success() -> Iterator[None]:
    """No ``os._exit(0)`` ends this process: whoever has started the tests would take it for green.

    Processes that were forked from it end as they like.
    """
    own, leave = os.getpid(), os._exit

    def left(status: int) -> NoReturn:
        leave(status if status or os.getpid() != own else 1)

    os._exit = left
    try:
        yield
    finally:
        os._exit = leave


def note(function: str, key: Callable[[], str]) -> None:
    """Say which function is called now, if that is kept.

    Args:
        function: Its name.
        key: Gives the key of the case; takes time.
    """
    if _under_way is None:
        return
    file, test = _under_way
    text = json.dumps(asdict(Call(test, function, key()))).encode()
    with contextlib.suppress(OSError):  # a full disk is no fault of the function's
        os.lseek(file, 0, os.SEEK_SET)
        os.write(file, text)
        os.ftruncate(file, len(text))


def calls_left(folder: Path) -> list[Call]:
    """What is left in a folder, of processes that have ended; it is told once, and removed."""
    found = []
    for path in sorted(folder.glob("asking-*.json")):
        pid = path.stem.rpartition("-")[2]
        if pid.isdecimal() and _is_there(int(pid)):
            continue
        with contextlib.suppress(OSError, ValueError, TypeError):
            text = path.read_text("utf-8")
            found.append(Call(**json.loads(text)) if text else Call(path.stem))
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
    return found


def _is_there(pid: int) -> bool:
    if os.name == "nt":  # where that would end it
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
