"""``reports/adversary.json`` and ``.md``: how near each rule came to its bound, kept as found.

A rule that was put to as many tries with the same dice, NumPy and source of the bounds is not put
to them again. What was found with another one stays until it is, and the page says so.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

import crosscheck
from crosscheck.studies.adversary.measure import NAMES, Worst
from crosscheck.studies.adversary.rules import PRIMITIVES
from crosscheck.tools.atomic import write_text_atomically

__all__ = ["Kept", "Record", "needed", "page", "read", "sources", "versions", "write"]

_BOUNDS = ("numbers/", "program/", "operators/", "judge/local/", "judge/entries", "studies/")
"""Where modules are that change the numbers; others have names, words and files."""

_DIGITS = 12

_HEAD = """# Adversaries

Every rule of a primitive, and the steps that are listed, against simulated frameworks of 3 to 11
bits, float32 and float64 whose operands, orders and ways of evaluating are made to climb towards
the largest error / bound, with and without flushing. Above 1 a bound would be wrong. *Operands
exact*: all of the error is the rule's own; else operands are held with an error that their bounds
know. A step has its operands exactly.

Written by `nox -s adversary`; `reports/adversary.json` has the numbers.
"""


@dataclass(frozen=True)
class Kept:
    """What was found of a rule or step, and with what.

    Attributes:
        worst: What was found.
        seed: Of all dice.
        versions: Of what the numbers depend on.
    """

    worst: Worst
    seed: int
    versions: Mapping[str, str]

    def is_current(self, seed: int, now: Mapping[str, str]) -> bool:
        """Whether the same would be found again.

        Args:
            seed: Of the dice now.
            now: `versions`.
        """
        return self.seed == seed and self.versions == needed(self.worst.name, now)


@dataclass(frozen=True)
class Record:
    """What was found, by name of the rule or step; each stays until it is tried again."""

    kept: Mapping[str, Kept]

    @property
    def found(self) -> Mapping[str, Worst]:
        """What was found, whatever with."""
        return {name: each.worst for name, each in self.kept.items()}

    def with_one(self, worst: Worst, seed: int, now: Mapping[str, str]) -> Record:
        """And one more, in its place."""
        kept = {**self.kept, worst.name: Kept(worst, seed, needed(worst.name, now))}
        return Record({name: kept[name] for name in NAMES if name in kept})


def needed(name: str, now: Mapping[str, str]) -> dict[str, str]:
    """Those of `versions` that the numbers of a rule depend on, or those of a step."""
    return {what: one for what, one in now.items() if what != "steps" or name not in PRIMITIVES}


def versions() -> dict[str, str]:
    """NumPy's, and digests of the modules with the bounds and of those that attack them."""
    found = {"NumPy": np.__version__}
    for kind in ("rules", "steps"):
        text = "".join(_without_words(path.read_text("utf-8")) for path in sources(kind))
        found[kind] = hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
    return found


def sources(kind: str) -> list[Path]:
    """The modules whose digest `versions` has under ``kind``: ``rules``, or ``steps`` besides.

    What is imported, by whatever way; and every operator, since these are looked up by name.
    """
    root = Path(crosscheck.__file__).parent
    attack = root / "studies" / "adversary"
    operators = (root / "operators").glob("*.py")
    rules = {attack / "measure.py", *_imported(root, [attack / "rules.py", *operators])}
    found = rules if kind == "rules" else _imported(root, [attack / "steps.py"]) - rules
    return sorted(path for path in found if path.relative_to(root).as_posix().startswith(_BOUNDS))


def _imported(root: Path, paths: Iterable[Path]) -> set[Path]:
    """Some modules of the package and all that they import of it."""
    found, waiting = set[Path](), list(paths)
    while waiting:
        path = waiting.pop()
        if path in found or not path.is_file():
            continue
        found.add(path)
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                place = root.parent.joinpath(*node.module.split("."))
                waiting += [place / f"{each.name}.py" for each in node.names]
                waiting.append(place.with_suffix(".py"))
    return found


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
        return Record({})
    kept = {}
    for each in json.loads(path.read_text("utf-8"))["rules"]:
        seed, versions_ = each.pop("seed"), each.pop("versions")
        kept[each["name"]] = Kept(Worst(**each), seed, versions_)
    return Record(kept)


def write(path: Path, record: Record) -> None:
    """Keep what was found, and its page beside it."""
    rules = [
        {**asdict(each.worst), "seed": each.seed, "versions": dict(each.versions)}
        for each in record.kept.values()
    ]
    write_text_atomically(path, json.dumps({"rules": rules}, indent=1, allow_nan=False) + "\n")
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
    groups: dict[str, int] = {}
    for kept in record.kept.values():
        words = ", ".join(f"{name} {version}" for name, version in kept.versions.items())
        words = f"seed {kept.seed}; {words}"
        groups[words] = groups.get(words, 0) + 1
    for words, count in groups.items():
        yield ""
        yield f"{count} of them with {words}."
