"""One part of a sweep, checked: cases in, gradients of whole batches, verdicts, events out.

What comes back depends on the part and on the settings alone, so that any worker may do it, and
do it again.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from harness.batch import chosen_gradients
from harness.compare import Judge
from harness.crosscheck import verdict_of
from harness.errors import UnsupportedError
from harness.events import CaseChecked, SweepChecked
from harness.frameworks.base import Framework
from harness.network import Array, Gradients
from harness.report.tally import Spread
from harness.sweep.families import FAMILIES
from harness.sweep.fast import agreements, batched_gradients, mode_of
from harness.sweep.generate import Block, slices
from harness.sweep.settings import BLOCK, Part, Settings
from harness.verdict import FAILING, Kind, Verdict

__all__ = ["Answer", "Checked", "answer", "batches_of", "check_part", "is_failing", "judged"]

_NAMES = tuple(FAMILIES)
_KINDS = list(Kind)
_AGREES = _KINDS.index(Kind.AGREES)


@dataclass(frozen=True, eq=False)
class Answer:
    """What a framework makes of a batch.

    Attributes:
        given: The gradients of all its cases, or ``None`` where they are not to be had.
        verdict: Why not: what is to be said of every case. ``None`` if each case is to be put
            to the framework by itself.
        by_case: Verdicts on cases that were found out otherwise, by position in the block.
        upto: The position in the block up to which it was asked, where it was given up on.
        mode: How ``given`` was asked for; empty where there is none.
    """

    given: Gradients | None
    verdict: Verdict | None = None
    by_case: Mapping[int, Verdict] = field(default_factory=dict)
    upto: int = BLOCK
    mode: str = ""


@dataclass(frozen=True, eq=False)
class Checked:
    """What is to be told of a part.

    Attributes:
        summary: The counts.
        cases: Every case with a verdict other than AGREES, in order.
        failing: How many of them fail.
        cut: Whether the part ends early, with as many failing cases as are wanted at the most,
            or with a framework that was given up on.
    """

    summary: SweepChecked
    cases: tuple[CaseChecked, ...]
    failing: int
    cut: bool = False


def is_failing(verdict: Verdict, settings: Settings) -> bool:
    """Whether ``verdict`` makes the sweep fail."""
    return verdict.kind in FAILING or (settings.full_precision and verdict.kind is Kind.REDUCED)


def answer(framework: Framework, made: Block) -> Answer:
    """The gradients of a batch, or why there are none."""
    batch = made.batch
    if batch.dtype not in framework.dtypes:
        return Answer(None, _of_every_case(framework, made))
    try:
        given = batched_gradients(framework, batch)
    except UnsupportedError:
        return Answer(None, _of_every_case(framework, made))
    except Exception:  # whatever a library raises is its verdict, found case by case
        return Answer(None)
    return Answer(given, mode=mode_of(framework, batch.dtype))


def _of_every_case(framework: Framework, made: Block) -> Verdict:
    case = made.case(0)
    return verdict_of(framework, case, Judge(case))


def check_part(part: Part, settings: Settings, frameworks: Sequence[Framework]) -> Checked:
    """Check the cases of one part.

    Args:
        part: Of one block.
        settings: The sweep.
        frameworks: Opened, in the order of the sweep.
    """
    with closing(batches_of(part, settings)) as batches:
        asked = ((made, [answer(framework, made) for framework in frameworks]) for made in batches)
        return judged(part, settings, frameworks, asked)


def batches_of(part: Part, settings: Settings) -> Generator[Block, None, None]:
    """The batches that the cases of a part are in; each is valid until the next is asked for."""
    shape, number = part.shape, part.start // BLOCK
    first, last = part.start - number * BLOCK, part.stop - number * BLOCK
    with closing(slices(shape, settings.seed, number, settings.mix, shape.batch)) as batches:
        for made in batches:
            if made.first >= last:
                break  # the rest of the block is not made
            if first < made.first + made.batch.count:
                yield made


def judged(
    part: Part,
    settings: Settings,
    frameworks: Sequence[Framework],
    asked: Iterable[tuple[Block, Sequence[Answer]]],
) -> Checked:
    """The verdicts on one part.

    Args:
        part: Of one block.
        settings: The sweep.
        frameworks: As in ``asked``.
        asked: The batches of `batches_of`, and what the frameworks made of each.
    """
    offset = part.start // BLOCK * BLOCK
    first, last = part.start - offset, part.stop - offset
    codes = np.full((len(frameworks), BLOCK), -1)
    bounds = np.zeros((len(frameworks), BLOCK))
    families = np.zeros(BLOCK, dtype=np.int64)
    cases: list[CaseChecked] = []
    failing, cut = 0, False
    for made, answers in asked:
        here = slice(made.first, made.first + made.batch.count)
        families[here] = made.families
        codes[:, here], bounds[:, here] = _together(made, frameworks, answers)
        upto = min(each.upto for each in answers)
        cut, last = cut or upto < last, min(upto, last)
        left = set((np.flatnonzero((codes[:, here] < 0).any(axis=0)) + made.first).tolist())
        if part.start == made.first == 0 and any(each.verdict is not None for each in answers):
            left.add(0)  # what a framework says of every case is told once
        for position in sorted(left):
            if not first <= position < last:
                continue
            judge = Judge(made.case(position - made.first))
            verdicts = []
            for row, (framework, each) in enumerate(zip(frameworks, answers, strict=True)):
                agrees = codes[row, position] == _AGREES
                verdict = _verdict(framework, judge, each, made, position, agrees)
                if codes[row, position] < 0 and verdict.kind is Kind.AGREES:
                    bounds[row, position] = verdict.worst.bounds if verdict.worst else 0.0
                codes[row, position] = _KINDS.index(verdict.kind)
                verdicts.append(verdict)
            if all(verdict.kind is Kind.AGREES for verdict in verdicts):
                continue
            family = _NAMES[families[position]]
            label = f"{family}; {settings.address(part.shape, offset + position)}"
            cases.append(CaseChecked("sweep", label, judge.case, judge.reference, tuple(verdicts)))
            failing += any(is_failing(verdict, settings) for verdict in verdicts)
            if failing >= settings.max_failures:
                last, cut = position + 1, True
        if cut and here.stop >= last:
            break
    codes, bounds, families = codes[:, first:last], bounds[:, first:last], families[first:last]
    agrees = codes == _AGREES
    compared = agrees | (codes == _KINDS.index(Kind.DISAGREES))
    spreads = {}
    for row, framework in enumerate(frameworks):
        spreads[framework.name] = Spread()
        spreads[framework.name].add(bounds[row] if agrees[row].all() else bounds[row, agrees[row]])
    summary = SweepChecked(
        widths=part.shape.network.widths,
        rows=part.shape.rows,
        dtype=part.shape.dtype,
        count=last - first,
        smooth=int(compared.any(axis=0).sum()),
        kinds={
            framework.name: _counts(families, codes[row])
            for row, framework in enumerate(frameworks)
        },
        spreads=spreads,
    )
    return Checked(summary, tuple(cases), failing, cut)


def _together(
    made: Block, frameworks: Sequence[Framework], answers: Sequence[Answer]
) -> tuple[NDArray[np.int64], Array]:
    """The numbers of the verdicts that are known for a whole batch, and error / bound.

    Both of shape (frameworks, cases). -1 stands for a case that is to be looked at by itself;
    error / bound is meaningful where the verdict is AGREES.
    """
    count = made.batch.count
    codes = np.full((len(answers), count), -1)
    bounds = np.zeros((len(answers), count))
    rows = [row for row, each in enumerate(answers) if each.given is not None]
    if rows:
        agrees, bounds[rows] = agreements(
            made.batch,
            [each.given for each in answers if each.given is not None],
            [frameworks[row].derivation for row in rows],
        )
        codes[rows] = np.where(agrees, _AGREES, -1)
    for row, each in enumerate(answers):
        if each.verdict is not None:
            codes[row] = _KINDS.index(each.verdict.kind)
        known = np.fromiter(each.by_case, dtype=np.int64) - made.first
        codes[row, known[(known >= 0) & (known < count)]] = -1
    return codes, bounds


def _verdict(
    framework: Framework,
    judge: Judge,
    answer: Answer,
    made: Block,
    position: int,
    agrees: bool,
) -> Verdict:
    names = (framework.name, framework.formulation, answer.mode or framework.mode)
    if agrees:
        return Verdict(*names, Kind.AGREES)
    known = answer.by_case.get(position, answer.verdict)
    if known is not None:
        return known
    if answer.given is None:
        return verdict_of(framework, judge.case, judge)
    return judge.verdict(
        chosen_gradients(answer.given, position - made.first),
        framework=names[0],
        formulation=names[1],
        mode=names[2],
        derivation=framework.derivation,
    )


def _counts(families: NDArray[np.int64], codes: NDArray[np.int64]) -> dict[str, dict[Kind, int]]:
    """Family to verdict to number of cases."""
    found: dict[str, dict[Kind, int]] = {}
    both = np.bincount(families * len(_KINDS) + codes, minlength=len(_NAMES) * len(_KINDS))
    for at in np.flatnonzero(both).tolist():
        family, code = divmod(at, len(_KINDS))
        found.setdefault(_NAMES[family], {})[_KINDS[code]] = int(both[at])
    return found
