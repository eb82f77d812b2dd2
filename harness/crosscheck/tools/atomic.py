"""Writing a file whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path

from crosscheck.tools.errors import UsageError
from crosscheck.tools.words import shown

__all__ = ["require_writable", "write_bytes_atomically", "write_text_atomically"]


def write_bytes_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write ``content`` to ``path``; a reader sees the old file or the new one, never a part.

    Folders above are created. The content goes to a temporary name in the same folder first and
    then takes the place of the old file; on any error the temporary file is removed. A link
    stays a link: the file that it leads to is replaced. What exists and is no file, such as
    ``/dev/null`` or a pipe, is written to directly, since replacing it would destroy it.

    Raises:
        UsageError: The file cannot be written there.
    """
    target = Path(os.path.realpath(path))
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(content)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=".crosscheck-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            os.chmod(temporary, _mode(target))  # mkstemp's own 0600 would surprise
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise _refused(path, error) from error


def require_writable(path: str | os.PathLike[str]) -> None:
    """Find out before the work whether ``path`` can be written to after it; nothing is left there.

    Raises:
        UsageError: It cannot be.
    """
    target = Path(os.path.realpath(path))
    try:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if target.exists() and not target.is_file():
            return
        place = target.parent
        while not place.exists():
            place = place.parent
        with tempfile.TemporaryFile(dir=place, prefix=".crosscheck-"):
            pass
    except OSError as error:
        raise _refused(path, error) from error


def _refused(path: str | os.PathLike[str], error: OSError) -> UsageError:
    return UsageError(
        f"{shown(os.fspath(path))}: cannot be written: {error.strerror or shown(str(error))}; "
        f"choose a file in a folder that can be written to"
    )


def _mode(target: Path) -> int:
    """The permissions of the file that is replaced, or those of a new file."""
    if target.exists():
        return target.stat().st_mode & 0o777
    mask = os.umask(0)  # there is no way to read it without setting it
    os.umask(mask)
    return 0o666 & ~mask


def write_text_atomically(path: str | os.PathLike[str], content: str) -> None:
    """`write_bytes_atomically` for text, in UTF-8, halves of characters as escapes."""
    write_bytes_atomically(path, content.encode("utf-8", "backslashreplace"))
