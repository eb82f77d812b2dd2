r"""Text that others wrote, made fit to be shown: messages of exceptions, names of files.

A message is what a library, or an adapter, or a case file makes it. It may be fifty megabytes, hold
halves of characters (lone surrogates, as in file names that are not UTF-8), escape sequences that
move a terminal's cursor or rename its window, or marks of Markdown and HTML; and asking for it runs
somebody else's ``__str__``, which may raise. So:

- `message_of` gets a message, come what may, in one line of limited length;
- `shown` writes what is not to be sent anywhere as escapes, ``\x1b`` for ESC;
- each sink escapes what *it* takes for more than text: `in_markdown` here, the templates of HTML
  by themselves, `crosscheck.tools.markup` in notebooks, and Rich's ``escape`` on a terminal.
"""

from __future__ import annotations

import contextlib
import html
import os
import re

__all__ = [
    "LONGEST",
    "code_in_markdown",
    "cut",
    "exactly",
    "fenced",
    "in_markdown",
    "lines_of",
    "lines_shown",
    "message_of",
    "named",
    "place_of",
    "shown",
]

LONGEST = 2_000
"""Characters of a message. Longer ones are dumps."""

_UNFIT = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters, C0 and C1: ESC, and CSI in one character
    "\u2028\u2029"  # separators, at which some break lines
    "\u200e\u200f\u202a-\u202e\u2066-\u2069"  # turn the direction of text: Unicode's TR 36
    "\ud800-\udfff\ufffe\uffff]"  # halves of characters, and what XML has not
)

_MARKS = re.compile(r"([\\`*_\[\]#|~$])")

_NAME = type.__dict__["__name__"]
"""Of a class, whatever its metaclass says of that."""


def shown(text: str) -> str:
    """A text with what is no character to be shown as escapes, on one line."""
    return _UNFIT.sub(_escape, text)


def lines_shown(text: str) -> str:
    """`shown` for a text of several lines; tabs stay as well."""
    return _UNFIT.sub(lambda found: found[0] if found[0] in "\n\t" else _escape(found), text)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


def in_markdown(text: str) -> str:
    """A text as GitHub Markdown that looks like it, within a line or a cell of a table.

    Marks are escaped by backslashes; what begins a tag or an entity, and an ``@``, which names
    somebody to be told, by entities. An address becomes a link without any mark, which a space of
    no width prevents.
    """
    found = html.escape(_MARKS.sub(r"\\\1", shown(text)), quote=False).replace("@", "&#64;")
    return _ADDRESS.sub(lambda each: f"{each[0]}&#8203;", found)


_ADDRESS = re.compile(r"https?(?=:)|ftp(?=:)|www(?=\.)", re.IGNORECASE)


def code_in_markdown(text: str) -> str:
    """A text as a span of code: between more backticks than it has in a row."""
    text = shown(text)
    ticks = "`" * (_most_ticks(text) + 1)
    space = " " * (text.startswith("`") or text.endswith("`"))
    return f"{ticks}{space}{text}{space}{ticks}"


def fenced(text: str, language: str) -> tuple[str, str, str]:
    """A text as the lines of a block of code, whose fence is none of its own."""
    ticks = "`" * max(3, _most_ticks(text) + 1)
    return f"{ticks}{language}", lines_shown(text), ticks


def _most_ticks(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


def message_of(
    error: BaseException, longest: int = LONGEST, *, first_line: bool = False, silent: str = ""
) -> str:
    """What an exception says, in one line, cut.

    Its ``__str__`` is the library's, and may raise whatever it likes; that is said then.

    Args:
        error: The exception.
        longest: Characters.
        first_line: Whether to leave out what comes after the first line.
        silent: What to say of one that says nothing.
    """
    text = _written(error, 2 * longest)
    told = text.splitlines()[:1] if first_line else [text]
    return cut(shown(" ".join(" ".join(told).split())), longest) or silent


def lines_of(error: BaseException, longest: int = 10 * LONGEST) -> list[str]:
    """The lines of what an exception says, without empty ones and white space around them."""
    lines = map(str.strip, _written(error, longest).splitlines())
    return [shown(line) for line in lines if line]


def _written(error: BaseException, longest: int) -> str:
    """The beginning of what an exception says, or why that cannot be had."""
    try:
        text = str.__str__(str(error))  # of a subclass of str, none of its own methods is called
    except BaseException as problem:  # it is the library's own method that is called
        return f"(its message cannot be had: {_name(problem)})"
    return text.lstrip()[:longest]


def named(
    error: BaseException, longest: int = LONGEST, *, first_line: bool = False, silent: str = ""
) -> str:
    """The name of an exception's class, and what it says; arguments as of `message_of`."""
    said = message_of(error, longest, first_line=first_line, silent=silent)
    return f"{_name(error)}: {said}" if said else _name(error)


def exactly(value: float) -> str:
    """A number in digits where six are all of it, and in hexadecimal otherwise; 0 without sign."""
    short = f"{value:g}" if value else "0"
    return short if float(short) == value else value.hex()


def cut(text: str, longest: int = LONGEST) -> str:
    """The beginning of a text, with a mark that it is no more than that."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _name(error: BaseException) -> str:
    return cut(shown(_NAME.__get__(type(error))), _LONGEST_NAME)


_LONGEST_NAME = 100


def place_of(file: str, line: int) -> str:
    """``file:line``, as editors read it; from here, if the file is here or below."""
    path = file
    if os.path.isabs(file):
        with contextlib.suppress(OSError, ValueError):  # nowhere, or on another drive
            path = os.path.relpath(file)
    return f"{file if path.startswith(os.pardir) else path}:{line}"
