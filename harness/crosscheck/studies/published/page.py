"""The table of models for people, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from crosscheck.studies.published.measure import Row

__all__ = ["page"]

_INTRODUCTION = """
Each is taken from an installed package as it is, with random weights and small inputs in float32,
and asked as `crosscheck module` asks. **Certified**: the gradient as a whole is within its bounds,
and each operation within its own on the numbers that the library itself had. **Fault**: the
derivative of one operation, in the middle of the model, is made 2^-7 too large; it has to be the
first that is named.
"""


def page(rows: Sequence[Row], versions: Mapping[str, str]) -> str:
    """What was found, as a document."""
    return "\n".join(_lines(rows, versions)) + "\n"


def _lines(rows: Sequence[Row], versions: Mapping[str, str]) -> Iterator[str]:
    yield "# Models that nobody here has written"
    yield ""
    yield "Written by `nox -s models`; its numbers are in [models.json](models.json)."
    yield ""
    for library, told in (("jax", "JAX"), ("torch", "PyTorch")):
        own = [each for each in rows if each.library == library]
        inside, found = sum(e.certified for e in own), sum(e.is_named for e in own)
        yield f"{told}: {inside} of {len(own)} certified whole, {found} planted faults named."
    yield ""
    yield ", ".join(f"{name} {version}" for name, version in versions.items()) + "."
    yield _INTRODUCTION
    yield "| model | verdict | certified | operations | numbers | error/bound | fault in | named |"
    yield "|---|---|---|---:|---:|---:|---|---|"
    for each in rows:
        certified = "yes" if each.certified else "no"
        named = "yes" if each.is_named else each.named or "no"
        yield (
            f"| {each.name} | {each.kind or 'not read'} | {certified} | {each.operations} | "
            f"{each.compared:,} | {each.ratio:.2g} | {each.planted} | {named} |"
        )
    yield ""
    yield "## What is not understood"
    yield ""
    unread = [f"- {each.name}: {reason}" for each in rows for reason in each.unread]
    yield from unread or ["Nothing."]
    notes = [f"- {each.name}: {note}" for each in rows for note in each.notes]
    if notes:
        yield from ("", "## What was said beside", "")
        yield from notes
