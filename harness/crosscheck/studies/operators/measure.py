"""Judging the gradients of networks with one operator, and counting what is said of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from crosscheck.cases.composed import seeded_composed
from crosscheck.cases.plans import plans
from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.gatekeeper import ask, watch
from crosscheck.frameworks.refusals import Refused
from crosscheck.judge.door import Answer, judge
from crosscheck.judge.verdict import FAILING, Kind
from crosscheck.network.composed import Composed
from crosscheck.numbers.formats import WORKING
from crosscheck.operators.registry import known
from crosscheck.tools.atomic import write_text_atomically
from crosscheck.tools.errors import UsageError
from crosscheck.tools.records import Records

__all__ = ["MODES", "Cell", "Table", "cells", "measure", "read", "write"]

MODES = {
    "torch": ("eager",),
    "tensorflow": ("eager", "graph", "xla"),
    "jax": ("eager", "jit"),
}
"""Not ``torch.compile``, ten seconds for each network; nor forward modes, of dense ones only."""

_CASES = {True: 4, False: 2}
"""Of each network, eager or not: so many with Gaussian numbers, and so many with halves."""


@dataclass(frozen=True)
class Cell:
    """What is said of one operator in one framework, mode and dtype.

    Attributes:
        operator: Its name.
        framework: The framework's.
        mode: How the gradient was asked for.
        dtype: Of the numbers.
        verdicts: Kind to how many gradients.
        certificates: Name to how many gradients it was asked of and found nothing wrong in.
        wrong: The first thing that was found wrong.
        unsupported: Why there is no gradient, in the framework's words.
    """

    operator: str
    framework: str
    mode: str
    dtype: str
    verdicts: dict[str, int] = field(default_factory=dict)
    certificates: dict[str, int] = field(default_factory=dict)
    wrong: str = ""
    unsupported: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What it is about."""
        return self.operator, self.framework, self.mode, self.dtype

    @property
    def fails(self) -> bool:
        """Whether a gradient was wrong."""
        return any(Kind(name) in FAILING for name in self.verdicts)


@dataclass(frozen=True)
class Table:
    """All that was judged.

    Attributes:
        versions: Framework to the versions of its packages.
        cells: One for each operator, framework, mode and dtype.
    """

    versions: dict[str, str]
    cells: tuple[Cell, ...] = ()


_RECORDS = Records()
_RECORDS.lay(Cell, if_told=("wrong", "unsupported"))


def read(path: Path, versions: dict[str, str]) -> Table:
    """What was judged of the same versions; nothing, if there is no such file.

    Raises:
        UsageError: The file holds something else.
    """
    if not path.exists():
        return Table(versions)
    try:
        found: Table = _RECORDS.together(json.loads(path.read_text("utf-8")), Table)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path}: no table of operators ({error}); move it away") from error
    return found if found.versions == versions else Table(versions)


def write(path: Path, table: Table) -> None:
    """Store a table."""
    whole = _RECORDS.apart(table)
    lines = ",\n".join(f"  {json.dumps(cell, ensure_ascii=False)}" for cell in whole.pop("cells"))
    head = json.dumps(whole, indent=1, ensure_ascii=False).removesuffix("\n}")
    write_text_atomically(path, f'{head},\n "cells": [\n{lines}\n ]\n}}\n')


def cells(frameworks: Sequence[str], dtypes: Sequence[str]) -> Iterator[tuple[str, str, str, str]]:
    """The keys of all cells, the modes that take long last."""
    for is_quick in (True, False):
        for dtype in dtypes:
            for operator in known():
                for framework in frameworks:
                    for mode in MODES[framework]:
                        if (mode == "eager") == is_quick:
                            yield operator, framework, mode, dtype


def measure(
    opened: Callable[[str, str], Framework],
    table: Table,
    after: Callable[[Table], None],
    *,
    frameworks: Sequence[str] = tuple(MODES),
    dtypes: Sequence[str] = WORKING,
    operators: Sequence[str] = (),
) -> Table:
    """Judge what is not in the table yet.

    Args:
        opened: A framework by its name and mode.
        table: What was judged before.
        after: Takes the table after each new cell.
        frameworks: Names.
        dtypes: Names.
        operators: Names; all that are known, if there are none.
    """
    done = {cell.key for cell in table.cells}
    for key in cells(frameworks, dtypes):
        if key in done or (operators and key[0] not in operators):
            continue
        table = replace(table, cells=(*table.cells, _judged(opened(key[1], key[2]), *key)))
        after(table)
    return table


def _judged(framework: Framework, operator: str, name: str, mode: str, dtype: str) -> Cell:
    verdicts: Counter[str] = Counter()
    inside: Counter[str] = Counter()
    cell = Cell(operator, name, mode, dtype)
    wrong = ""
    for case in _cases(operator, dtype, _CASES[mode == "eager"]):
        given = ask(framework, case)
        if isinstance(given, Refused):
            return replace(cell, unsupported=" ".join(given.reason.split())[:200])
        names = (name, "", mode)
        answer = Answer(given, names=names, by_adjoint=mode not in framework.watched_modes)
        if mode in framework.watched_modes:
            recorded = watch(framework, case)
            if isinstance(recorded, Refused):
                return replace(cell, unsupported=" ".join(recorded.reason.split())[:200])
            answer = replace(answer, recorded=recorded)
        question = judge(case, [answer])
        for index in range(question.count):
            verdict = question.verdict(0, index)
            verdicts[str(verdict.kind)] += 1
            for said in verdict.certificates:
                inside[said.certificate] += not (said.wrong or said.note)
            if verdict.kind in FAILING and not wrong:
                wrong = f"{verdict.kind}: {verdict.detail}"
    return replace(cell, verdicts=dict(verdicts), certificates=dict(inside), wrong=wrong)


def _cases(operator: str, dtype: str, count: int) -> Iterator[Composed]:
    tried = set()
    for number, plan in enumerate(plans([operator])):
        settings = frozenset(each.attributes for each in plan.steps if each.op == operator)
        if settings in tried:
            continue
        tried.add(settings)
        for boundary in (False, True):
            yield seeded_composed(number, plan, count, dtype, boundary=boundary)
