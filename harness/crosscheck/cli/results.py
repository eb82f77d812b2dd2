"""``--json`` and ``-o FILE``: what a command prints, for machines and into a file."""

from __future__ import annotations

import contextlib
import functools
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

__all__ = [
    "check_report_option",
    "echo_json",
    "file_option",
    "json_option",
    "printed_to",
    "result_options",
    "write_check",
]

_Command = Callable[..., Any]

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


check_report_option = click.option(
    "--report",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Also write what changed there, as JSON, for 'crosscheck nightly'.",
)


def write_check(folder: Path | None, name: str, content: Any) -> None:
    """Write what a check found, as one JSON document.

    Args:
        folder: Where to; nothing is written without one.
        name: Of the file.
        content: The document.

    Raises:
        UsageError: It cannot be written.
    """
    from crosscheck.tools.atomic import write_text_atomically

    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write_text_atomically(folder / name, _json(content) + "\n")


def file_option(what: str) -> Callable[[_Command], _Command]:
    """The option ``-o FILE``, as the argument ``file``.

    Args:
        what: For the help.
    """
    option: Callable[[_Command], _Command] = click.option(
        "-o",
        "file",
        type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
        metavar="FILE",
        help=what,
    )
    return option


def result_options(command: _Command) -> _Command:
    """A command whose result is what it prints: ``--json`` as ``as_json``, and ``-o FILE``."""

    @functools.wraps(command)
    def call(*arguments: Any, file: Path | None, **given: Any) -> Any:
        with printed_to(file):
            return command(*arguments, **given)

    return json_option(file_option("Write what is printed to a file instead.")(call))


@contextlib.contextmanager
def printed_to(file: Path | None) -> Iterator[None]:
    """What is printed within goes to a file, whole or, after an error, not at all.

    Args:
        file: Where to; ``None`` and ``-`` are the standard output.

    Raises:
        UsageError: It cannot be written.
    """
    from crosscheck.tools.atomic import require_writable, write_text_atomically

    if file is None or str(file) == "-":
        yield
        return
    require_writable(file)  # before the work
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        yield
    write_text_atomically(file, printed.getvalue())


def echo_json(content: Any) -> None:
    """Print one JSON document, without NaN."""
    click.echo(_json(content))


def _json(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
