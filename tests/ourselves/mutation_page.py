"""The page of the mutants: what was tried, what survived, and why that is no gap."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ourselves.equivalent import why
from ourselves.mathematics import MATHEMATICS, TESTS

__all__ = ["DATA", "PAGE", "Found", "Survivor", "page", "read", "write"]

REPORTS = TESTS.parent / "reports"
PAGE, DATA = REPORTS / "mutation.md", REPORTS / "mutation.json"


@dataclass(frozen=True)
class Survivor:
    """A mutant that no test notices.

    Attributes:
        function: Where it is.
        before: The lines that were changed, joined.
        after: What they became.
    """

    function: str
    before: str
    after: str

    @classmethod
    def of(cls, function: str, difference: str) -> Survivor:
        """The survivor of a unified difference."""
        lines = [line for line in difference.splitlines() if not line.startswith(("---", "+++"))]

        def those(sign: str) -> str:
            return " ".join(line[1:].strip() for line in lines if line.startswith(sign))

        return cls(function, those("-"), those("+"))

    @property
    def why(self) -> str:
        """Why no test can notice it; empty if nobody has said so."""
        return why(self.before, self.after)


@dataclass(frozen=True)
class Found:
    """What was found of one module.

    Attributes:
        module: Its name.
        source: Digest of the source that was changed.
        seed: Of the sample.
        sampled: Mutants in the sample.
        tried: Of these.
        ended: Of these, killed by the limit of time or memory, or by the end of the process.
        survivors: Of those tried.
        only: Which of the module's tests were asked, as pytest's -k; all where it is empty.
    """

    module: str
    source: str
    seed: int
    sampled: int
    tried: int
    ended: int
    survivors: list[Survivor]
    only: str = ""

    @property
    def killed(self) -> int:
        """Mutants that a test noticed."""
        return self.tried - len(self.survivors)

    @property
    def equivalent(self) -> int:
        """Survivors that no test can notice."""
        return sum(bool(each.why) for each in self.survivors)

    def __str__(self) -> str:
        return (
            f"{self.module}: {self.tried} of {self.sampled} tried, {self.killed} killed "
            f"({self.ended} ended), {len(self.survivors)} survived, {self.equivalent} explained"
        )


def read() -> dict[str, Found]:
    """What was found so far, by module."""
    if not DATA.exists():
        return {}
    found: Mapping[str, Any] = json.loads(DATA.read_text("utf-8"))
    return {
        name: Found(**{**each, "survivors": [Survivor(**one) for one in each["survivors"]]})
        for name, each in found.items()
    }


def write(found: Found) -> None:
    """Put what was found in the place of what was known of that module."""
    known = {**read(), found.module: found}
    ordered = {name: known[name] for name in MATHEMATICS if name in known}
    data = {name: asdict(each) for name, each in ordered.items()}
    DATA.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", "utf-8")
    PAGE.write_text(page(ordered), "utf-8")


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else ""


def page(known: Mapping[str, Found]) -> str:
    """The page, in Markdown."""
    tried, killed, equivalent = (
        sum(getattr(each, name) for each in known.values())
        for name in ("tried", "killed", "equivalent")
    )
    missing = [name for name in MATHEMATICS if name not in known]
    lines = [
        "# Mutants of the mathematics",
        "",
        "Each is a small change in the mathematics. A test that needs no framework has to fail.",
        "Written by `nox -s mutation -- MODULE`, from `tests/ourselves/mathematics.py`, which says",
        "which tests are asked for which module.",
        "",
        f"**{killed} of {tried} are killed, {equivalent} are equivalent: "
        f"{_percent(killed, tried - equivalent)} of those that can be killed.**",
        "",
        "| module | seed | sampled | tried | killed | of these, out of time or memory "
        "| survived | equivalent | killed of those that can be |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, each in known.items():
        counts = [each.seed, each.sampled, each.tried, each.killed, each.ended]
        counts += [len(each.survivors), each.equivalent]
        share = _percent(each.killed, each.tried - each.equivalent)
        lines.append(f"| `{name}` | {' | '.join(map(str, counts))} | {share} |")
    if missing:
        lines += ["", f"Not tried yet: {', '.join(f'`{name}`' for name in missing)}."]
    for name, each in known.items():
        if each.only:
            lines += ["", f"Of `{name}` only the tests `{each.only}` were asked."]
    for name, each in known.items():
        if each.survivors:
            lines += ["", f"## Survivors of `{name}`", ""]
        for one in each.survivors:
            lines += [f"- `{one.function}`: {one.why or '**open**'}", "", "  ```diff"]
            lines += [f"  - {one.before}", f"  + {one.after}", "  ```", ""]
    return "\n".join(lines).rstrip() + "\n"
