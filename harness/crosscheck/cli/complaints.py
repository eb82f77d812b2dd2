"""How the command complains: in one line, on the error output."""

from __future__ import annotations

import contextlib

import click

from crosscheck.tools.words import cut, shown

__all__ = ["complain"]


def complain(message: str) -> None:
    """Say what is wrong, without an end of the command for it if nobody can hear it."""
    with contextlib.suppress(OSError):
        click.echo(f"crosscheck: {cut(shown(' '.join(message.split())))}", err=True)
