"""``reports/RELIABILITY.md``: what came of bad days."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reliability.ctrl_c import HEARD, was_heard
from reliability.kills import SAME
from reliability.rows import Found, Interrupt, Row
from reliability.ways import CHANGES, COMMANDS, DIES, HANGS, RAISES, RETURNS

__all__ = ["page", "wrong"]

_HEAD = """# Bad days

What comes of frameworks that misbehave, of files that were tampered with, of commands that are
killed, and of Ctrl-C. Written by `nox -s reliability`, which goes on where it was ended, from
`reliability.json` and, for files, from what `nox -s hostile` counted.
"""

_WAYS = """## Frameworks that misbehave

Each row is an adapter that does what the row says before or after it computes, on one case of
several, in each command. What was to come of it was written first, in `tests/reliability/ways.py`,
and is what came of it, unless a cell says otherwise in bold. In all of them every other case, and
the framework beside it, was checked as if nothing were the matter.

| | |
|---|---|
| `run`, `sweep` | the verdict on that case: AGREES, exit code 0; or another, exit code 1 |
| `conventions` | of `--check`, SAME, exit code 0; CHANGED, or what else became of the one row: 1 |
| `pytest` | PASSED, or FAILED: that test, and no other; INTERRUPTED; ERROR, its own |
| | DIED: the process ends, not with 0; HUNG: it has to be ended; the next session tells the case |
"""

_TITLES = {
    "What ends its process": DIES,
    "What never answers": HANGS,
    "What is raised": RAISES,
    "What is returned": {f"returns {name}": way for name, way in RETURNS.items()},
    "What is done to the process, before the right gradient is returned": CHANGES,
}

_FILES = """## Files that were tampered with

Bytes and values of files were changed at random, with checksums that fit where a file has one. Each
is read, and used as the command uses it, or refused in one line. A traceback, a line that cannot be
shown, a result that is not what was written, more than {seconds:g} s of processor time or
{mebibytes:,} MiB is a finding.

| file | kind | tried | refused | read | findings | slowest, s | largest, MiB |
|---|---|--:|--:|--:|--:|--:|--:|
"""

_KILLS = """## Commands that are killed

SIGKILL at a random moment of a command; then it is run again in the same folder, `sweep` and the
studies from where they were. *The same* is: no file was cut off, no process and no temporary file
was left behind, and exit code and result are those of a run that nobody disturbed.

| command | kills | before anything was written | half-way | at its end | the same |
|---|--:|--:|--:|--:|--:|
"""

_CTRL_C = """## Ctrl-C

SIGINT at random moments of the first ten seconds, while other work went on on the machine: how
many seconds later the command had ended, with its report where it writes one, and no process that
it had started was there. It is to be {heard:g} s at most.

| command | times | seconds at most | ended as |
|---|--:|--:|---|
"""


def wrong(found: Found) -> list[str]:
    """What did not come out as it was to, a line each."""
    rows = [
        f"{row.way}, {row.command}: {row.outcome}; wanted {row.wanted}"
        for row in found.rows
        if not row.is_right
    ]
    kills = [
        f"{kill.command}, kill {kill.number} after {kill.after} s: {kill.outcome}"
        for kill in found.kills
        if kill.outcome != SAME
    ]
    late = [
        f"{each.command}, Ctrl-C {each.number} after {each.after} s: {each.outcome}, "
        f"{each.seconds} s later"
        for each in found.interrupts
        if not was_heard(each)
    ]
    return [*rows, *kills, *late]


def page(found: Found, files: Mapping[str, Any]) -> str:
    """The page, in Markdown.

    Args:
        found: What was tried.
        files: What `hostile` counted.
    """
    parts = (_summary(found, files), _ways(found), _files(files), _kills(found), _ctrl_c(found))
    return "\n\n".join([_HEAD.strip(), *("\n".join(part) for part in parts)]) + "\n"


def _summary(found: Found, files: Mapping[str, Any]) -> Iterator[str]:
    ways = len({row.way for row in found.rows})
    tried = sum(each["files"] for each in files["kinds"])
    findings = sum(each["findings"] for each in files["kinds"])
    problems = len(wrong(found)) + findings
    slowest = max((each.seconds for each in found.interrupts), default=0.0)
    yield (
        f"**{ways} ways to misbehave in {len(COMMANDS)} commands, {tried:,} files, "
        f"{len(found.kills)} kills, {len(found.interrupts)} times Ctrl-C, heard within "
        f"{slowest:g} s: {problems or 'nothing'} came out otherwise than it was to.**"
    )
    for line in wrong(found):
        yield f"- {_shown(line)}"


def _ways(found: Found) -> Iterator[str]:
    yield _WAYS.strip()
    cells = {(row.way, row.command): row for row in found.rows}
    for title, ways in _TITLES.items():
        yield ""
        yield f"### {title}"
        yield ""
        yield f"| | {' | '.join(f'`{command}`' for command in COMMANDS)} |"
        yield "|---|" + "---|" * len(COMMANDS)
        for way in ways:
            came = [_cell(cells.get((way, command))) for command in COMMANDS]
            yield f"| {_shown(way)} | {' | '.join(came)} |"


def _cell(row: Row | None) -> str:
    if row is None:
        return "not tried"
    return row.wanted if row.is_right else f"**{_shown(row.outcome)}**, wanted {row.wanted}"


def _files(files: Mapping[str, Any]) -> Iterator[str]:
    yield _FILES.format(**files["limits"]).strip()
    for each in files["kinds"]:
        counts = [f"{each[name]:,}" for name in ("files", "refused", "read", "findings")]
        used = [f"{each['slowest']:.2f}", f"{each['largest']:,}"]
        yield f"| `{each['name']}` | {each['group']} | {' | '.join([*counts, *used])} |"


def _kills(found: Found) -> Iterator[str]:
    yield _KILLS.strip()
    for command in dict.fromkeys(kill.command for kill in found.kills):
        kills = [kill for kill in found.kills if kill.command == command]
        where = Counter(kill.where for kill in kills)
        same = sum(kill.outcome == SAME for kill in kills)
        counts = [where[each] for each in ("nothing was there", "half-way", "it had ended")]
        yield f"| `{command}` | {' | '.join(map(str, [len(kills), *counts, same]))} |"


def _ctrl_c(found: Found) -> Iterator[str]:
    yield _CTRL_C.format(heard=HEARD).strip()
    for command in dict.fromkeys(each.command for each in found.interrupts):
        times = [each for each in found.interrupts if each.command == command]
        most = max(each.seconds for each in times)
        yield f"| {command} | {len(times)} | {most:.1f} | {_listed(times)} |"


def _listed(times: Sequence[Interrupt]) -> str:
    counts = Counter(each.outcome for each in times)
    return ", ".join(f"{_shown(outcome)}: {count}" for outcome, count in counts.items())


def _shown(text: str) -> str:
    """For a cell of a table."""
    printable = "".join(each if each.isprintable() else "�" for each in text)
    return printable.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
