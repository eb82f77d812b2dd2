"""What others have written hurts nobody: no message of an exception, and no name of a file."""

from __future__ import annotations

import ast
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import crosscheck
from crosscheck.frameworks.refusals import reason_of
from crosscheck.frameworks.state import FrameworkState
from crosscheck.judge.verdict import Kind, Verdict
from crosscheck.network.dense import worked_example
from crosscheck.network.reference import gradients
from crosscheck.report.html import page
from crosscheck.report.json_ import JsonReport
from crosscheck.report.summary import MarkdownSummary
from crosscheck.report.terminal import TerminalReport
from crosscheck.run.events import CaseChecked, Event, ExitCode, RunFinished, RunStarted
from crosscheck.tools.atomic import write_text_atomically
from crosscheck.tools.consoles import Terminal
from crosscheck.tools.errors import UnsupportedError
from crosscheck.tools.markup import text as in_notebook
from crosscheck.tools.words import (
    LONGEST,
    code_in_markdown,
    exactly,
    fenced,
    in_markdown,
    lines_of,
    message_of,
    named,
    place_of,
    shown,
)

PACKAGE = Path(crosscheck.__file__).parent

HOSTILE = {
    "escape": "\x1b[2J\x1b]0;title\x07gone",
    "one-character": "\x9b2Jgone",
    "surrogate": "half \ud800 of it, and \udcff",
    "turned": "safe\u202egpj.exe",
    "lines": "first\u2028second\x0bthird\x85fourth",
    "null": "a\x00b",
    "markdown": "| cell | **bold** [link](http://e.example) <b>tag</b> `code` @octocat &copy;",
    "long": "x" * 50_000_000,
}
FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\ud800-\udfff]")


class Mute(Exception):
    """Does not tell its message."""

    def __str__(self) -> str:
        raise MemoryError("no words")


class Odd(str):
    """A text whose methods lie."""

    __slots__ = ()

    def lstrip(self, *_: Any) -> str:
        raise SystemExit(0)

    splitlines = split = __getitem__ = lstrip  # type: ignore[assignment]


class Speaking(Exception):
    """Tells its message in words of its own kind."""

    def __str__(self) -> str:
        return Odd("odd words")


class Disguised(type):
    """Classes that do not tell their name."""

    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise KeyError("name")


class Masked(Exception, metaclass=Disguised):
    """Has such a class."""


@pytest.mark.parametrize("name", HOSTILE)
def test_a_message_is_one_short_line_without_control_characters(name: str) -> None:
    for said in (
        message_of(ValueError(HOSTILE[name])),
        named(ValueError(HOSTILE[name])),
        reason_of(ValueError(HOSTILE[name])),
        reason_of(UnsupportedError(HOSTILE[name])),
        *lines_of(ValueError(HOSTILE[name])),
    ):
        assert said
        assert not FORBIDDEN.search(said)
        assert "\n" not in said
        assert len(said) <= 10 * LONGEST


def test_a_message_that_cannot_be_had_is_said_so() -> None:
    assert message_of(Mute()) == "(its message cannot be had: MemoryError)"
    assert named(Mute()) == "Mute: (its message cannot be had: MemoryError)"
    assert lines_of(Mute()) == ["(its message cannot be had: MemoryError)"]


def test_no_method_of_a_message_is_called_and_no_name_asked_of_a_metaclass() -> None:
    assert named(Speaking()) == "Speaking: odd words"
    assert named(Masked("hm")) == "Masked: hm"


def test_what_is_fit_to_be_shown_is_left_as_it_is() -> None:
    fit = "‖x‖ ≤ 2⁻⁵³ · λ, naïve 漢字 😀 a/b_c|d"
    assert shown(fit) == fit
    assert named(ValueError("  two\n lines ")) == "ValueError: two lines"
    assert named(ValueError("two\nlines"), first_line=True) == "ValueError: two"
    assert named(ValueError()) == "ValueError"


@pytest.mark.parametrize(
    "text",
    [HOSTILE["markdown"], "```\nfence", "`", "a``b", "| ~~x~~ #1 $x$ www.e.example"],
    ids=["all", "fence", "tick", "ticks", "more"],
)
def test_markdown_has_no_marks_of_the_text(text: str) -> None:
    left = re.sub(r"\\.|&#64;|&#8203;", "·", in_markdown(text))
    assert not re.search(r"[`*_\[\]|<>@#~$]|https?:|www\.", left)
    code = code_in_markdown(text)
    ticks = code[: len(code) - len(code.lstrip("`"))]
    assert ticks
    assert code.endswith(ticks)
    assert ticks not in code[len(ticks) : -len(ticks)]
    first, inner, last = fenced(text, "json")
    assert last not in inner
    assert first == f"{last}json"


def hostile_run(words: str) -> list[Event]:
    """A run in which every text that others may write is ``words``."""
    case = worked_example()
    states = (
        FrameworkState("faulty", "available", {"numpy": words}, "relu", "eager"),
        FrameworkState("wreck", "broken", detail=words),
    )
    verdict = Verdict("faulty", "relu", "eager", Kind.CRASHED, detail=words)
    checked = CaseChecked(
        "given", words, case, gradients(case), (verdict,), scripts={"faulty": f"# {words}"}
    )
    started = RunStarted(f"crosscheck run --case '{words}'", "", None, ("float64",), states, {})
    return [started, checked, RunFinished(ExitCode.DISAGREEMENT, words, 0.5, 1)]


@pytest.mark.parametrize("name", [name for name in HOSTILE if name != "long"])
def test_every_sink_escapes_what_a_record_holds(name: str, tmp_path: Path) -> None:
    stream = io.StringIO()
    stored = JsonReport(tmp_path)
    sinks = (stored, MarkdownSummary(tmp_path), TerminalReport(tmp_path, Terminal(file=stream)))
    for event in hostile_run(HOSTILE[name]):
        for sink in sinks:
            sink.handle(event)
    for sink in sinks:
        sink.close()
    written = page(json.loads(stored.text))
    summary = (tmp_path / "summary.md").read_text("utf-8")
    for text in (written, summary, stream.getvalue(), in_notebook(HOSTILE[name])):
        assert text.strip()
        assert not FORBIDDEN.search(text)
    if name == "markdown":
        assert "<b>tag" not in written
        outside = re.sub(r"(`+).*?\1", "", summary, flags=re.DOTALL)
        assert "**bold**" not in outside
        assert "<b>tag" not in outside
        assert not re.search(r"(?<!\\)\]\(http", outside)


def test_rich_alone_would_pass_an_escape_sequence_on() -> None:
    stream = io.StringIO()
    Console(file=stream).print(HOSTILE["escape"])
    assert "\x1b" in stream.getvalue()


def test_the_colours_of_a_terminal_stay() -> None:
    stream = io.StringIO()
    Terminal(file=stream, force_terminal=True, color_system="standard").print("[red]x\x1b[0m[/red]")
    assert stream.getvalue() == "\x1b[31mx\\x1b[0m\x1b[0m\n"


def test_halves_of_characters_are_written_as_escapes(tmp_path: Path) -> None:
    write_text_atomically(tmp_path / "text", "\udcff λ")
    assert (tmp_path / "text").read_text("utf-8") == "\\udcff λ"


ANYTHING = {"Exception", "BaseException"}


def told_unsafely(source: str) -> Iterator[int]:
    """Lines where what any exception says is formatted by its own ``__str__``."""
    if not re.search(r"except .*Exception\b.* as ", source):  # parsing all takes seconds
        return
    for handler in ast.walk(ast.parse(source)):
        if not isinstance(handler, ast.ExceptHandler) or handler.name is None:
            continue
        types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        if not any(isinstance(each, ast.Name) and each.id in ANYTHING for each in types):
            continue
        for node in ast.walk(handler):
            formatted: ast.AST | None = node.value if isinstance(node, ast.FormattedValue) else None
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("str", "repr"):
                formatted = node.args[0]
            if isinstance(formatted, ast.Name) and formatted.id == handler.name:
                yield handler.lineno


def test_what_any_exception_says_is_asked_for_in_one_place() -> None:
    assert list(told_unsafely("try: f()\nexcept Exception as e: g(f'{e}')")) == [2]
    assert list(told_unsafely("try: f()\nexcept (OSError, BaseException) as e: g(str(e))")) == [2]
    found = {
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for line in told_unsafely(path.read_text("utf-8"))
    }
    assert not found


@pytest.mark.parametrize(
    ("value", "told"),
    [(5.0, "5"), (-0.0, "0"), (0.1, "0.1"), (1 / 3, "0x1.5555555555555p-2"), (2.0**-24, None)],
)
def test_a_number_is_told_exactly(value: float, told: str | None) -> None:
    found = exactly(value)
    assert found == (value.hex() if told is None else told)
    assert (float.fromhex(found) if "0x" in found else float(found)) == value


def test_a_place_is_told_from_here_if_it_is_here_or_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = tmp_path / "here" / "below"
    inside.mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    assert place_of(str(inside / "a.py"), 3) == f"{Path('below', 'a.py')}:3"
    assert place_of(str(tmp_path / "a.py"), 3) == f"{tmp_path / 'a.py'}:3"
    assert place_of("<cell 2>", 1) == "<cell 2>:1"
    inside.rmdir()
    monkeypatch.chdir(inside.parent)
    inside.parent.rmdir()
    assert place_of(str(tmp_path / "a.py"), 3) == f"{tmp_path / 'a.py'}:3"  # nowhere
