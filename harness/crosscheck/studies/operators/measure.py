"""Judging the gradients of networks with one operator, and counting what is said of them."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import TypeAlias

import numpy as np

from crosscheck.cases.composed import seeded_composed
from crosscheck.cases.plans import plans
from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.gatekeeper import ask, ask_twice, watch
from crosscheck.frameworks.refusals import Refused
from crosscheck.frameworks.registry import open_frameworks
from crosscheck.judge.door import Answer, judge
from crosscheck.judge.libraries import library_of
from crosscheck.judge.second import SecondJudge
from crosscheck.judge.verdict import FAILING, Kind, Verdict
from crosscheck.network.composed import Composed
from crosscheck.network.second import seeded_direction
from crosscheck.numbers.formats import WORKING
from crosscheck.operators.registry import known
from crosscheck.program.second import WAYS
from crosscheck.tools.atomic import write_text_atomically
from crosscheck.tools.errors import UsageError
from crosscheck.tools.reading import json_of
from crosscheck.tools.records import Records

__all__ = [
    "COMPOSITE",
    "MODES",
    "ORDERS",
    "Cell",
    "Table",
    "cells",
    "measure",
    "opened",
    "read",
    "stored",
    "variant_of",
    "write",
]

MODES = {
    "torch": ("eager", "forward", "compile"),
    "tensorflow": ("eager", "graph", "xla", "forward"),
    "jax": ("eager", "jit", "forward"),
}
"""Those with arithmetic of their own: PyTorch's ``func`` and ``vmap`` and JAX's ``vmap``,
``jacrev`` and ``jacfwd`` run the rules of these."""

COMPOSITE = (
    "attention",
    "batch_norm",
    "binary_cross_entropy",
    "conv2d",
    "cross_entropy",
    "gelu_tanh",
    "layer_norm",
    "log_softmax",
    "max_pool2d",
    "rms_norm",
)
"""The operators of which ``torch.compile``, ten seconds for each network, is asked, each in one
network: those of several steps, which a compiler has something to fuse and to reorder in."""

_CASES = {"eager": 4, "": 2, "forward": 1, "compile": 2}
"""Of each network, by mode: so many with Gaussian numbers, and so many with halves.

Fewest where there is a pass for each entry, and TensorFlow maps its lines over all of them."""

_LONGEST = 200
"""Characters of what a framework says."""

ORDERS = (1, 2)
"""Gradients, and products of a Hessian with a vector."""

Key: TypeAlias = tuple[str, str, str, str, int]
"""An operator, a framework, its mode, a dtype and an order."""


@dataclass(frozen=True)
class Cell:
    """What is said of one operator in one framework, mode, dtype and order.

    Attributes:
        operator: Its name.
        framework: The framework's.
        mode: How the gradient was asked for.
        dtype: Of the numbers.
        order: 1 for gradients, 2 for products of a Hessian with a vector.
        verdicts: Kind to how many gradients.
        certificates: Name to how many gradients it was asked of and found nothing wrong in.
        wrong: The first thing that was found wrong.
        refused: Variant to why there is no gradient of it, in the framework's words, where there is
            one of another.
        unsupported: Why there is no gradient of any, in the framework's words.
    """

    operator: str
    framework: str
    mode: str
    dtype: str
    order: int = 1
    verdicts: dict[str, int] = field(default_factory=dict)
    certificates: dict[str, int] = field(default_factory=dict)
    wrong: str = ""
    refused: dict[str, str] = field(default_factory=dict)
    unsupported: str = ""

    @property
    def key(self) -> Key:
        """What it is about."""
        return self.operator, self.framework, self.mode, self.dtype, self.order

    @property
    def fails(self) -> bool:
        """Whether a gradient was wrong."""
        return any(Kind(name) in FAILING for name in self.verdicts)


@dataclass(frozen=True)
class Table:
    """All that was judged.

    Attributes:
        versions: Framework to the versions of its packages.
        cells: One for each operator, framework, mode, dtype and order.
    """

    versions: dict[str, str]
    cells: tuple[Cell, ...] = ()


_RECORDS = Records()
_RECORDS.lay(Cell, if_told=("order", "wrong", "refused", "unsupported"))


def read(path: Path, versions: dict[str, str]) -> Table:
    """What was judged of the same versions; nothing, if there is no such file.

    Raises:
        UsageError: The file holds something else.
    """
    found = stored(path) if path.exists() else Table(versions)
    return found if found.versions == versions else Table(versions)


def stored(path: Path) -> Table:
    """A table of any versions.

    Raises:
        UsageError: There is none, or the file holds something else.
    """
    content = json_of(path, name="a table of operators", instead="move it away")
    try:
        found: Table = _RECORDS.together(content, Table)
    except ValueError as error:
        raise UsageError(f"{path}: no table of operators ({error}); move it away") from None
    return found


def write(path: Path, table: Table) -> None:
    """Store a table."""
    whole = _RECORDS.apart(table)
    lines = ",\n".join(f"  {json.dumps(cell, ensure_ascii=False)}" for cell in whole.pop("cells"))
    head = json.dumps(whole, indent=1, ensure_ascii=False).removesuffix("\n}")
    write_text_atomically(path, f'{head},\n "cells": [\n{lines}\n ]\n}}\n')


def cells(
    frameworks: Sequence[str],
    dtypes: Sequence[str],
    operators: Sequence[str] = (),
    orders: Sequence[int] = ORDERS,
) -> Iterator[list[Key]]:
    """The keys of all cells, those of the same cases together, the modes that take long last."""
    for about, order, dtype in itertools.product(_CASES, orders, dtypes):
        for operator in operators or known():
            found = [
                (operator, framework, mode, dtype, order)
                for framework in frameworks
                for mode in MODES[framework]
                if (mode if mode in _CASES else "") == about
                and (order == 1 or mode not in ("forward", "compile"))
                and (mode != "compile" or operator in COMPOSITE)
            ]
            if found:
                yield found


@cache
def opened(name: str, mode: str) -> Framework:
    """A framework by its name and mode."""
    found, _ = open_frameworks([name], {}, {name: mode})
    return found[0]


def measure(
    table: Table,
    after: Callable[[Table], None],
    *,
    frameworks: Sequence[str] = tuple(MODES),
    dtypes: Sequence[str] = WORKING,
    operators: Sequence[str] = (),
    orders: Sequence[int] = ORDERS,
    jobs: int = 1,
) -> Table:
    """Judge what is not in the table yet.

    Args:
        table: What was judged before.
        after: Takes the table after each new cell.
        frameworks: Names.
        dtypes: Names.
        operators: Names; all that are known, if there are none.
        orders: Some of `ORDERS`.
        jobs: Processes; with one it is this one.
    """
    done = {cell.key for cell in table.cells}
    left = [
        [key for key in keys if key not in done]
        for keys in cells(frameworks, dtypes, operators, orders)
    ]
    for some in _everywhere([keys for keys in left if keys], jobs):
        for cell in some:
            table = replace(table, cells=(*table.cells, cell))
            after(table)
    return table


def _everywhere(left: Sequence[list[Key]], jobs: int) -> Iterator[list[Cell]]:
    if jobs == 1:
        yield from map(_judged, left)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        try:
            yield from map(
                Future.result, as_completed([pool.submit(_judged, keys) for keys in left])
            )
        finally:
            pool.shutdown(cancel_futures=True)


def _judged(keys: Sequence[Key]) -> list[Cell]:
    """Cells of the same cases, of which the judge knows what it has found for one framework."""
    operator, _, mode, dtype, order = keys[0]
    found = {key: Cell(*key) for key in keys}
    for number, case in enumerate(_cases(operator, dtype, mode)):
        if order == 2:
            found = _judged_twice(found, case, number)
            continue
        answers = []
        for key, cell in found.items():
            answer = _answered(opened(*key[1:3]), case)
            if isinstance(answer, Refused):
                found[key] = _refused(cell, variant_of(case, operator), answer)
            else:
                answers.append((key, answer))
        question = judge(case, [answer for _, answer in answers])
        for row, (key, _) in enumerate(answers):
            verdicts = [question.verdict(row, index) for index in range(question.count)]
            found[key] = _counted(found[key], verdicts)
    return list(map(_whole, found.values()))


def _judged_twice(cells: Mapping[Key, Cell], case: Composed, seed: int) -> dict[Key, Cell]:
    """The cells with second derivatives of a case counted, in each way that a mode has."""
    direction = seeded_direction(seed, case)
    judge, found = SecondJudge(case, direction), dict(cells)
    for key in cells:
        framework = opened(*key[1:3])
        for way in framework.ways.get(framework.mode, WAYS[:1]):
            given = ask_twice(framework, case, direction, way)
            if isinstance(given, Refused):
                variant = f"{variant_of(case, key[0])}, {way}"
                found[key] = _refused(found[key], variant, given)
                continue
            library = library_of(case, framework.name, framework.mode)
            names = framework.name, framework.mode
            found[key] = _counted(found[key], judge.verdicts(given, names, way, library=library))
    return found


def variant_of(case: Composed, operator: str) -> str:
    """The attributes of an operator in a network, for people; its name where it has none."""
    steps = [dict(step.attributes) for step in case.steps if step.op == operator]
    said = [", ".join(f"{name}={value}" for name, value in each.items()) for each in steps]
    return " and ".join(dict.fromkeys(filter(None, said))) or operator


def _refused(cell: Cell, variant: str, why: Refused) -> Cell:
    """The cell with a variant that the framework cannot do, named by the first thing it says."""
    said = " ".join(why.reason.split())[:_LONGEST]
    return replace(cell, refused={**cell.refused, variant: cell.refused.get(variant, said)})


def _whole(cell: Cell) -> Cell:
    """The cell, empty in the words of the first variant if none could be done."""
    if cell.verdicts or not cell.refused:
        return cell
    return replace(cell, refused={}, unsupported=next(iter(cell.refused.values())))


def _answered(framework: Framework, case: Composed) -> Answer | Refused:
    given = ask(framework, case)
    if isinstance(given, Refused):
        return given
    names, is_watched = (
        (framework.name, "", framework.mode),
        framework.mode in framework.watched_modes,
    )
    answer = Answer(given, framework.derivation, names, by_adjoint=not is_watched)
    if not is_watched:
        return answer
    recorded = watch(framework, case)
    return recorded if isinstance(recorded, Refused) else replace(answer, recorded=recorded)


def _counted(cell: Cell, found: Sequence[Verdict]) -> Cell:
    verdicts, inside, wrong = Counter(cell.verdicts), Counter(cell.certificates), cell.wrong
    for verdict in found:
        verdicts[str(verdict.kind)] += 1
        for said in verdict.certificates:
            inside[said.certificate] += not (said.wrong or said.note)
        if verdict.kind in FAILING and not wrong:
            wrong = f"{verdict.kind}: {verdict.detail}"
    return replace(cell, verdicts=dict(verdicts), certificates=dict(inside), wrong=wrong)


def _cases(operator: str, dtype: str, mode: str) -> Iterator[Composed]:
    """Of each network a stack: some cases with Gaussian numbers, then as many with halves."""
    count, tried = _CASES.get(mode, _CASES[""]), set()
    for number, plan in enumerate(plans([operator])):
        settings = frozenset(each.attributes for each in plan.steps if each.op == operator)
        if settings in tried:
            continue
        tried.add(settings)
        both = [
            dict(seeded_composed(number, plan, count, dtype, boundary=boundary).entries())
            for boundary in (False, True)
        ]
        arrays = {name: np.concatenate([each[name] for each in both]) for name in both[0]}
        yield plan.case(arrays, dtype, 2 * count)
        if mode == "compile":
            return
