"""A diagnosis on the terminal, and as JSON."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from crosscheck.doctor.diagnosis import Diagnosis, FrameworkHealth, LibraryHealth, Subnormals
from crosscheck.tools.consoles import Terminal

__all__ = ["progress", "show", "to_json"]

_MARK = {
    "available": ("ok", "green"),
    "absent": ("--", "yellow"),
    "broken": ("!!", "bold red"),
}
_LABEL = 22
"""Columns of a name."""
_VERDICT = {
    0: ("usable", "bold green"),
    1: ("something is broken", "bold red"),
    5: ("no framework is installed", "bold red"),
}


@contextlib.contextmanager
def progress(quiet: bool) -> Iterator[Callable[[str], None]]:
    """A function to call with each thing that is done; shows it on a terminal only."""
    console = Terminal(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda name: None
        return
    done: list[str] = []
    with console.status("examining; a first compilation may take a minute") as status:

        def report(name: str) -> None:
            done.append(name)
            status.update(f"examining; done: {', '.join(done)}")

        yield report


def to_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """The diagnosis as what `json.dumps` takes."""

    def convert(value: Any) -> Any:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = dataclasses.fields(value)
            return {field.name: convert(getattr(value, field.name)) for field in fields}
        if isinstance(value, Mapping):
            return {key: convert(each) for key, each in value.items()}
        if isinstance(value, tuple | list):
            return [convert(each) for each in value]
        return value

    found: dict[str, Any] = convert(diagnosis)
    return {**found, "exit_code": int(diagnosis.exit_code)}


def show(diagnosis: Diagnosis, console: Console | None = None) -> None:
    """Print the diagnosis.

    Args:
        diagnosis: The findings.
        console: Where to print; the standard output by default.
    """
    out = console or Terminal()
    _heading(out, "Machine")
    for name, value in diagnosis.system.items():
        _fact(out, name, value)
    _fact(out, "NumPy, subnormals", _subnormals(diagnosis.subnormals))
    _heading(out, "Frameworks")
    for framework in diagnosis.frameworks:
        _framework(out, framework)
    _heading(out, "Optional packages")
    for library in diagnosis.libraries:
        _library(out, library)
    if diagnosis.problems:
        _heading(out, "Problems, and what to do")
        for problem in diagnosis.problems:
            style = "bold red" if problem.serious else "bold yellow"
            _line(out, Text.assemble((problem.subject, style), f": {problem.what}"), 2)
            _line(out, Text(f"→ {problem.remedy}"), 4)
    word, style = _VERDICT[int(diagnosis.exit_code)]
    count = len(diagnosis.problems)
    plural = "no problems" if not count else f"{count} problem{'s' * (count > 1)}"
    out.print()
    out.print(Text.assemble((word, style), f"; {plural} found"))


def _heading(out: Console, text: str) -> None:
    out.print()
    out.print(Text(text, "bold"))


def _line(out: Console, text: Text, indent: int) -> None:
    out.print(Padding(text, (0, 0, 0, indent), expand=False))


def _fact(out: Console, name: str, value: str) -> None:
    """A name, and a value that may take several lines."""
    label = f"{name:<{_LABEL}} "
    room = max(out.width - len(label) - 2, 20)
    for number, part in enumerate(Text(value).wrap(out, room)):
        part.rstrip()
        _line(out, Text(" " * len(label) if number else label) + part, 2)


def _framework(out: Console, health: FrameworkHealth) -> None:
    mark, style = _MARK[health.state]
    versions = ", ".join(f"{name} {version}" for name, version in health.versions.items())
    line = Text.assemble((mark, style), " ", (health.name, "bold"))
    if health.state == "absent":
        line += Text(f": not installed; {health.detail}")
    else:
        line += Text(f": {versions}" if versions else "")
        line += Text(f"; broken: {health.detail}" if health.state == "broken" else "")
    if health.seconds is not None and health.state != "absent":
        line += Text(f"; imported in {health.seconds:.1f} s")
    _line(out, line, 2)
    facts = []
    if health.devices:
        facts.append(("devices", f"{', '.join(health.devices)} (the harness uses the CPU)"))
    if health.threads:
        counts = (f"{kind} {n or 'as it likes'}" for kind, n in health.threads.items())
        facts.append(("threads", ", ".join(counts)))
    if health.subnormals is not None:
        facts.append(("subnormals", _subnormals(health.subnormals)))
    working = [f"{mode.name} ({mode.seconds:.1f} s)" for mode in health.modes if mode.works]
    failing = [mode.name for mode in health.modes if not mode.works]
    if working:
        facts.append(("modes that work", ", ".join(working)))
    if failing:
        facts.append(("modes that do not", ", ".join(failing)))
    if health.left_out:
        facts.append(("modes left out", f"{', '.join(health.left_out)} (they wait for a compiler)"))
    for name, value in facts:
        _fact(out, f"   {name}", value)


def _library(out: Console, library: LibraryHealth) -> None:
    mark, style = _MARK[library.state]
    text = f" {library.name} {library.version}".rstrip()
    if library.state == "absent":
        text += f": {library.use}; {library.detail}"
    elif library.state == "broken":
        text += f": broken: {library.detail}"
    _line(out, Text.assemble((mark, style), text), 2)


def _subnormals(found: Subnormals | None) -> str:
    """What becomes of subnormal numbers, in words; one phrase if it is the same everywhere."""
    if not found:
        return "not measured"
    words = {dtype: _kept(kinds) for dtype, kinds in found.items()}
    if len(set(words.values())) == 1:
        return next(iter(words.values()))
    return "; ".join(f"{dtype}: {text}" for dtype, text in words.items())


def _kept(kinds: Mapping[str, bool]) -> str:
    lost = [kind for kind, kept in kinds.items() if not kept]
    if not lost:
        return "kept"
    return f"replaced by zero ({' and '.join(lost)})"
