"""``crosscheck functions``."""

from __future__ import annotations

import textwrap

import click

from crosscheck.cli.results import echo_json, result_options
from crosscheck.tools.errors import UsageError

__all__ = ["functions"]


@click.command()
@click.argument("word", default="")
@result_options
def functions(word: str, as_json: bool) -> None:
    """List the functions that are understood in a formula, or those with WORD in their name."""
    from crosscheck.frontends.understood import understood

    found = understood(word)
    if as_json:
        echo_json(found)
        return
    if not any(found.values()):
        raise UsageError(
            f"no function has {word!r} in its name, wanted a part of one; 'crosscheck functions' "
            "lists them all"
        )
    for library, names in found.items():
        if names:
            click.echo(f"{library}, {len(names)}:")
            text = textwrap.fill("  ".join(names), 96, break_on_hyphens=False)
            click.echo(textwrap.indent(text, "  "))
