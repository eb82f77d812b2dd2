"""Terminals: what is printed on them moves no cursor, renames no window, and is on its own line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.segment import Segment

from crosscheck.tools.words import lines_shown

__all__ = ["Terminal"]


class Terminal(Console):
    """A terminal, or a log, on which control characters of what is printed are seen as escapes.

    Rich passes them on as they are, but for a few; its own, for colours and for progress displays,
    are no part of the text. Where nobody reads the output any more, the error is the caller's:
    Rich's own way is to end the process with 1.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, **options)
        self.push_render_hook(_Shown())

    def on_broken_pipe(self) -> None:
        """See Rich's `Console`: called where a `BrokenPipeError` is handled."""
        raise


class _Shown(RenderHook):
    """Puts each thing that is printed into an `_Inert`."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """See Rich's `RenderHook`."""
        return [_Inert(each) for each in renderables]


class _Inert:
    """Something to be printed, with control characters of its text as escapes."""

    def __init__(self, inner: ConsoleRenderable) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """See Rich's `Console`."""
        return _inert(console.render(self._inner, options))


def _inert(segments: Iterable[Segment]) -> Iterable[Segment]:
    for each in segments:
        yield each if each.control else Segment(lines_shown(each.text), each.style)
