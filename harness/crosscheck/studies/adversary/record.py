"""``reports/adversary.json`` and ``.md``: how near each rule came to its bound, kept as found.

A rule that was put to as many tries with the same dice, NumPy and source of the bounds is not put
to them again.
"""

from __future__ import annotations

import ast
import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

import crosscheck
from crosscheck.studies.adversary.measure import NAMES, Worst
from crosscheck.studies.adversary.rules import PRIMITIVES
from crosscheck.tools.atomic import write_text_atomically

__all__ = ["Record", "current", "page", "read", "sources", "versions", "write"]

_SOURCES = {
    "rules": (
        "numbers",
        "program",
        "operators",
        "studies/adversary",
        "judge/entries.py",
        "judge/local/programs.py",
    ),
    "steps": (
        "judge/local/record.py",
        "judge/local/step.py",
        "studies/adversary/steps.py",
    ),
}
_NO_MATTER = (
    *(f"program/{name}.py" for name in ("arrays", "balls", "exact", "floats")),
    *(f"numbers/{name}.py" for name in ("balls", "closing", "dyadic", "endless", "extended")),
    *(f"numbers/{name}.py" for name in ("kinds", "linear_programs", "multilinear")),
    *(f"studies/adversary/{name}.py" for name in ("record", "__main__", "steps")),
)
"""Modules of these folders that change no number of a rule."""

_DIGITS = 12

_HEAD = """# Adversaries

Every rule of a primitive and every operator's step, against simulated frameworks of 3 to 11 bits,
float32 and float64 whose operands, orders and ways of evaluating are made to climb towards the
largest error / bound, with and without flushing. Above 1 a bound would be wrong. *Operands exact*:
all of the error is the rule's own; else operands are held with an error that their bounds know. A
step has its operands exactly.

Written by `nox -s adversary`; `reports/adversary.json` has the numbers.
"""


@dataclass(frozen=True)
class Record:
    """What was found, and with what.

    Attributes:
        seed: Of all dice.
        versions: Of what the numbers depend on.
        found: By name of the rule.
    """

    seed: int
    versions: Mapping[str, str]
    found: Mapping[str, Worst]

    def with_one(self, one: Worst) -> Record:
        """And one more, in its place."""
        found = {**self.found, one.name: one}
        return replace(self, found={name: found[name] for name in NAMES if name in found})


def versions() -> dict[str, str]:
    """NumPy's, and digests of the modules with the bounds and of those that attack them."""
    found = {"NumPy": np.__version__}
    for kind in _SOURCES:
        text = "".join(_without_words(path.read_text("utf-8")) for path in sources(kind))
        found[kind] = hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
    return found


def sources(kind: str) -> list[Path]:
    """The modules whose digest `versions` has under ``kind``: ``rules``, or ``steps`` besides."""
    root = Path(crosscheck.__file__).parent
    places = [root / name for name in _SOURCES[kind]]
    files = [[each] if each.is_file() else sorted(each.rglob("*.py")) for each in places]
    return [
        path
        for path in itertools.chain.from_iterable(files)
        if kind == "steps" or path.relative_to(root).as_posix() not in _NO_MATTER
    ]


def _without_words(source: str) -> str:
    """A module without comments and docstrings, which may tell what is found here."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value.value = None
    return ast.dump(tree)


def read(path: Path) -> Record:
    """What was found before; nothing if there is no such file."""
    if not path.is_file():
        return Record(0, {}, {})
    content = json.loads(path.read_text("utf-8"))
    found = {each["name"]: Worst(**each) for each in content["rules"]}
    return Record(content["seed"], content["versions"], found)


def current(record: Record, seed: int, now: Mapping[str, str]) -> Record:
    """What of it still holds: what would be found again.

    Args:
        record: What was found.
        seed: Of the dice now.
        now: `versions`.
    """
    changed = {name for name in now if record.versions.get(name) != now[name]}
    found = dict(record.found)
    if record.seed != seed or changed - {"steps"}:
        found = {}
    if changed:
        found = {name: each for name, each in found.items() if name in PRIMITIVES}
    return Record(seed, now, found)


def write(path: Path, record: Record) -> None:
    """Keep what was found, and its page beside it."""
    rules = [asdict(each) for each in record.found.values()]
    content = {"seed": record.seed, "versions": dict(record.versions), "rules": rules}
    write_text_atomically(path, json.dumps(content, indent=1, allow_nan=False) + "\n")
    write_text_atomically(path.with_suffix(".md"), page(record))


def page(record: Record) -> str:
    """The page, in Markdown."""
    return "\n".join([_HEAD, *_lines(record)]) + "\n"


def _lines(record: Record) -> Iterator[str]:
    found = list(record.found.values())
    largest = max((each.ratio for each in found), default=0.0)
    tries = sum(each.tries for each in found)
    yield f"**No more than {largest:.6f} in {tries:,} tries.**"
    yield ""
    yield "| rule | tries | error / bound at most | in | operands exact |"
    yield "|---|--:|--:|---|--:|"
    for each in found:
        where = f"{each.form}{', flushing' if each.flush else ''}"
        name = each.name.replace("|", "\\|")
        yield f"| {name} | {each.tries:,} | {each.ratio:.6f} | {where} | {each.known:.6f} |"
    yield ""
    words = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    yield f"Seed {record.seed}; {words}."
