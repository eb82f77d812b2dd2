"""``crosscheck functions``."""

from __future__ import annotations

import json
import textwrap

import click

from crosscheck.tools.errors import UsageError

__all__ = ["functions"]


@click.command()
@click.argument("word", default="")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def functions(word: str, as_json: bool) -> None:
    """List the functions that are understood in a formula, or those with WORD in their name."""
    from crosscheck.frontends.understood import understood

    found = understood(word)
    if as_json:
        click.echo(json.dumps(found, indent=1))
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
