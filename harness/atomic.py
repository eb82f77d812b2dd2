"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from harness.errors import UsageError

__all__ = ["write_bytes_atomically", "write_text_atomically"]


def write_bytes_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write ``content`` to ``path``; a reader sees the old file or the new one, never a part.

    Folders above are created. The content goes to a temporary name in the same folder first and
    then takes the place of the old file; on any error the temporary file is removed.

    Raises:
        UsageError: The file cannot be written there.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise UsageError(f"{target}: cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)  # mkstemp's own 0600 would surprise
        os.replace(temporary, target)
    except OSError as error:
        os.unlink(temporary)
        raise UsageError(f"{target}: cannot be written: {error.strerror}") from error
    except BaseException:
        os.unlink(temporary)
        raise


def write_text_atomically(path: str | os.PathLike[str], content: str) -> None:
    """`write_bytes_atomically` for text, in UTF-8."""
    write_bytes_atomically(path, content.encode("utf-8"))
