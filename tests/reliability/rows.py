"""What was tried, row by row: kept as JSON after each, and gone on with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from crosscheck.tools.atomic import write_text_atomically
from reliability.ways import COMMANDS, WAYS

__all__ = ["Found", "Interrupt", "Kill", "Row", "read", "tried", "write"]


@dataclass(frozen=True)
class Row:
    """A way to misbehave in a command.

    Attributes:
        way: Of `WAYS`.
        command: Of `COMMANDS`.
        wanted: What is to come of it.
        outcome: What came of it.
    """

    way: str
    command: str
    wanted: str
    outcome: str

    @property
    def is_right(self) -> bool:
        """Whether that is the same."""
        return self.outcome == self.wanted


@dataclass(frozen=True)
class Kill:
    """A command that was killed at a random moment.

    Attributes:
        command: Its name.
        number: Of the kill, from 0 on; moments are drawn from the seed, the command and this.
        after: Seconds from its start.
        where: What was there then: "no report yet", "half-way", or that it had ended.
        outcome: What came of running it again: `SAME`, or what went wrong.
    """

    command: str
    number: int
    after: float
    where: str
    outcome: str


@dataclass(frozen=True)
class Interrupt:
    """A command at work that got Ctrl-C at a random moment.

    Attributes:
        command: Its name.
        number: As of `Kill`.
        after: Seconds from its start.
        seconds: Until its end.
        outcome: Its exit code in words.
    """

    command: str
    number: int
    after: float
    seconds: float
    outcome: str


@dataclass
class Found:
    """All that was tried.

    Attributes:
        seed: Of the moments.
        rows: Of ways and commands.
        kills: Of commands.
        interrupts: Likewise.
    """

    seed: int
    rows: list[Row] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)
    interrupts: list[Interrupt] = field(default_factory=list)


def read(path: Path, seed: int) -> Found:
    """What was found before with this seed, but for rows that are to come out otherwise now."""
    if not path.is_file():
        return Found(seed)
    content = json.loads(path.read_text("utf-8"))
    if content["seed"] != seed:
        return Found(seed)
    rows = [Row(**each) for each in content["rows"]]
    kept = [
        each
        for each in rows
        if each.way in WAYS and WAYS[each.way].wanted[each.command] == each.wanted
    ]
    return Found(
        seed,
        kept,
        [Kill(**each) for each in content["kills"]],
        [Interrupt(**each) for each in content["interrupts"]],
    )


def write(path: Path, found: Found) -> None:
    """Keep what was found, in the order in which it is listed."""
    ways, commands = list(WAYS), list(COMMANDS)
    found.rows.sort(key=lambda row: (ways.index(row.way), commands.index(row.command)))
    found.kills.sort(key=lambda kill: (kill.command, kill.number))
    found.interrupts.sort(key=lambda each: (each.command, each.number))
    content: dict[str, Any] = {"seed": found.seed}
    for name in ("rows", "kills", "interrupts"):
        content[name] = [asdict(each) for each in getattr(found, name)]
    lines = [f' "{name}": {_lines(each)}' for name, each in content.items()]
    write_text_atomically(path, "{\n" + ",\n".join(lines) + "\n}\n")


def _lines(value: Any) -> str:
    if not isinstance(value, list):
        return json.dumps(value)
    return "[" + ",".join(f"\n  {json.dumps(each, ensure_ascii=False)}" for each in value) + "\n ]"


def tried(
    found: Found,
    outcomes: Callable[[Sequence[str], str], Mapping[str, str]],
    after: Callable[[Row], None],
    *,
    groups: Callable[[Sequence[str], str], Sequence[Sequence[str]]],
    ways: Iterable[str] = WAYS,
    commands: Sequence[str] = COMMANDS,
    jobs: int = 1,
) -> None:
    """Try what was not tried before.

    Args:
        found: What was; changed.
        outcomes: Tries ways in a command.
        after: Called with each row, to keep it.
        groups: Which of some ways are tried together in a command.
        ways: Which.
        commands: In which.
        jobs: How many at a time.
    """
    known = {(row.way, row.command) for row in found.rows}
    todo = [
        (group, name)
        for name in commands
        for group in groups([way for way in ways if (way, name) not in known], name)
    ]

    def several(group: Sequence[str], command: str) -> list[Row]:
        came = outcomes(group, command)
        return [Row(way, command, WAYS[way].wanted[command], came[way]) for way in group]

    with ThreadPoolExecutor(jobs) as pool:
        waiting = [pool.submit(several, *each) for each in todo]
        try:
            for each in as_completed(waiting):
                for row in each.result():
                    found.rows.append(row)
                    after(row)
        finally:
            for each in waiting:
                each.cancel()
