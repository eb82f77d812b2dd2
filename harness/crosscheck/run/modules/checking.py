"""A model's gradients, judged: bounds of the whole, and each operation held to its own.

What is differentiated is the loss, or else Σ c ∘ f with random cotangents c none of which is 1. The
whole is held to a-priori bounds, the operations to theirs on the library's own numbers; together
they say what `crosscheck.judge.certificates.with_local` says. If the model's own gradient has
other bits than the operations run one after the other, as it has where the user has compiled a
part, it is held to the bounds of the whole by itself, and that is said. So it is where JAX forms
a derivative in several parts, as it does that of tanh, g + g a: without anybody looking on they are
added one by one to what came from other uses (`crosscheck.frameworks.watched`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from crosscheck.frontends.case import FunctionCase
from crosscheck.frontends.traced import Source
from crosscheck.judge.certificates import with_steps
from crosscheck.judge.local.check import Check
from crosscheck.judge.local.functions import OperationJudge, RecordedFunction
from crosscheck.judge.programs.judge import ENDLESS, ProgramJudge
from crosscheck.judge.programs.unread import UNREAD
from crosscheck.judge.verdict import Kind, Verdict, fails
from crosscheck.network.composed import Derivatives
from crosscheck.network.tree import LEFT_OUT
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.library import Library
from crosscheck.numbers.model import Model
from crosscheck.run.functions.judged import FunctionJudge
from crosscheck.run.modules.kinks import kinks_of
from crosscheck.run.modules.outcome import ModelOutcome, OperationRow, State, Unread
from crosscheck.run.modules.reading import Answer, Asked, ModelReader, Watched, reader_of
from crosscheck.tools.errors import UnsupportedError, UsageError

__all__ = ["check_model"]

_MOST_DECISIONS = 32
"""Open decisions of the whole from which on they are left to what the operations show."""


_COMPILED = (
    "the model compiles a part of itself: its own gradient is held to the bounds of the whole; "
    "operations are those of the same function run one by one"
)
_IN_PARTS = (
    "a derivative is formed in parts, whose sums are rounded in another order where they are "
    "watched: the model's own gradient is held to the bounds of the whole, and operations are "
    "those of the one that was watched"
)


def check_model(asked: Asked, *, seed: int = 0, is_loss: bool = False) -> ModelOutcome:
    """Judge a model's gradients.

    Args:
        asked: The model and its numbers.
        seed: Of the cotangents.
        is_loss: Whether what it returns is one number, whose cotangent is 1.

    Raises:
        UsageError: It cannot be called, returns no real numbers, or another number each time; or
            nothing of what was asked for depends on anything differentiated by.
    """
    reader = reader_of(asked)
    for each in asked.only:
        if not any(leaf == each or leaf.startswith(f"{each}.") for leaf in reader.leaves):
            raise UsageError(f"--wrt {each}: wanted some of {', '.join(reader.leaves)}")
    cotangents = _cotangents(reader.shapes(), asked.dtype, seed, is_loss)
    given, again = reader.given(cotangents), reader.given(cotangents)
    if not given.same_bits(again):
        raise UsageError(
            f"{asked.name} returned other numbers the second time; wanted a model without random "
            "numbers or state: in evaluation mode, or with a key that is given"
        )
    watched = reader.watched(cotangents)
    notes = []
    library = Library(reader.framework, reader.mode)
    check = None
    if watched.recorded is not None:
        check = OperationJudge(asked.dtype, library).check(watched.recorded)
    case, unread = _case(reader, asked, cotangents, watched)
    verdict = None if case is None else _verdict(case, given, library, check is not None)
    if verdict is not None and check is not None:
        assert case is not None
        if given.same_bits(watched.answer):
            verdict = with_steps(verdict, check)
        else:
            notes.append(_IN_PARTS if given.same_bits(watched.plain) else _COMPILED)
            steps = with_steps(_verdict(case, watched.answer, library, True), check)
            verdict = _worse(verdict, steps)
    return _outcome(asked, reader, verdict, check, watched, unread, notes, case)


def _cotangents(
    shapes: Mapping[str, tuple[int, ...]], dtype: str, seed: int, is_loss: bool
) -> dict[str, Array]:
    """Numbers of the dtype between 1/2 and 2 in size, either sign; 1 for a loss."""
    if not shapes:
        raise UsageError("the model returns no array of real numbers")
    if is_loss:
        if any(shape != () for shape in shapes.values()) or len(shapes) != 1:
            told = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            raise UsageError(f"the loss returns {told}; wanted one number")
        return {name: np.ones(()) for name in shapes}
    generator = np.random.Generator(np.random.Philox(seed))
    form = format_of(dtype)
    found = {}
    for name, shape in shapes.items():
        size = np.exp2(generator.uniform(-1.0, 1.0, shape))
        found[name] = form.round(np.where(generator.random(shape) < 0.5, -size, size))
    return found


def _case(
    reader: ModelReader, asked: Asked, cotangents: Mapping[str, Array], watched: Watched
) -> tuple[FunctionCase | None, list[Unread]]:
    """The whole as a case; ``None`` with what is not understood of it."""
    unread = _grouped(watched)
    try:
        traced = reader.traced()
    except UnsupportedError as error:
        return None, unread or [Unread(asked.name, str(error), 1, "")]
    if unread:
        return None, unread
    arrays = {n: a for n, a in reader.leaves.items() if n in traced.program.inputs}
    wrt = [name for name in arrays if asked.wants(name)]
    if not wrt:
        raise UsageError(f"{asked.name}: nothing to differentiate by; wanted some of --wrt")
    case = FunctionCase.at(traced, arrays, cotangents, wrt, dtype=asked.dtype)
    return case.recognised, []


def _grouped(watched: Watched) -> list[Unread]:
    found: dict[tuple[str, str], Unread] = {}
    for each in watched.refused:
        key = each.operation, each.reason
        where = "" if each.source is None else each.source.place
        known = found.get(key, Unread(each.operation, each.reason, 0, where))
        found[key] = replace(known, count=known.count + 1)
    return list(found.values())


def _verdict(case: FunctionCase, answer: Answer, library: Library, has_steps: bool) -> Verdict:
    given = Derivatives(LEFT_OUT, {**answer.values, **answer.derivatives})
    judge = FunctionJudge(case)
    if has_steps and judge.undecided is None:
        opened = judge.judge.enclosed(Model(format_of(case.dtype), library=library)).decisions
        if len(opened) > _MOST_DECISIONS:
            return _by_steps(case, given, library)
    found = judge.verdict(given, library.framework, library.mode, library)
    if has_steps and (found.kind, found.detail) == (Kind.UNSUPPORTED, ENDLESS):
        return _by_steps(case, given, library)
    return found


def _by_steps(case: FunctionCase, given: Derivatives, library: Library) -> Verdict:
    judge = ProgramJudge(case, by_steps=True)
    return judge.verdict(given, framework=library.framework, library=library)


def _worse(one: Verdict, other: Verdict) -> Verdict:
    """The verdict that is further down in the order of verdicts."""
    order = list(Kind)
    return max((one, other), key=lambda each: order.index(each.kind))


def _outcome(
    asked: Asked,
    reader: ModelReader,
    verdict: Verdict | None,
    check: Check | None,
    watched: Watched,
    unread: list[Unread],
    notes: list[str],
    case: FunctionCase | None,
) -> ModelOutcome:
    wrong = None if check is None else check.wrong(0)
    first = "" if wrong is None else _operation_of(wrong.step, watched.recorded)
    rows = _rows(check, watched.recorded) if watched.recorded and check is not None else ()
    if check is not None and check.left_out.any():
        notes.append("there are numbers that are not finite: nothing is said of the operations")
    if verdict is None:
        kind, detail = Kind.UNSUPPORTED, "operations that are not understood"
        passed, certified = wrong is None, False
        if wrong is not None:
            kind, detail = Kind.INCONSISTENT, str(wrong)
    else:
        kind, detail = verdict.kind, verdict.detail.removeprefix(UNREAD).removeprefix("; ")
        passed = not fails(verdict)
        good = kind in (Kind.AGREES, Kind.KINK, Kind.SUBNORMAL)
        certified = passed and good and check is not None and bool(check.passes[0])
    checked = () if verdict is None else verdict.checked
    if case is not None and not checked and check is not None and passed:
        notes.append("the bounds of the whole tell no array from zero: operations alone do")
    return ModelOutcome(
        asked.name,
        asked.library,
        reader.derivation,
        asked.dtype,
        str(kind),
        detail,
        first,
        tuple(watched.answer.values),
        tuple(watched.answer.derivatives),
        checked,
        0.0 if verdict is None or verdict.worst is None else verdict.worst.bounds,
        rows,
        kinks_of(verdict, check, watched.ties),
        tuple(unread),
        (*notes, *([] if case is None else case.traced_function.notes)),
        passed,
        certified,
    )


def _operation_of(step: str, recorded: RecordedFunction | None) -> str:
    """The operation that a comparison is about; of a derivative what is sent to it first."""
    names = [] if recorded is None else [each.step.id for each in recorded.operations]
    return step if step in names or not names else ""


def _rows(check: Check, recorded: RecordedFunction | None) -> tuple[OperationRow, ...]:
    assert recorded is not None
    ratios: dict[str, float] = {}
    counts: dict[str, int] = {}
    wrong: dict[str, str] = {}
    untold = check.untold(0)
    for each in check.comparisons:
        if each.parts:
            ratio = float(min(part.worst(1)[0] for part in each.parts))
            ratios[each.step] = max(ratios.get(each.step, 0.0), ratio)
            counts[each.step] = counts.get(each.step, 0) + each.parts[0].given.size
        is_inside = each.same[0] if each.same is not None else any(ok[0] for ok in each.ok)
        if not is_inside:
            wrong.setdefault(each.step, each.what)
    made = {name: each.step.id for each in recorded.operations for name in each.made.values()}
    return tuple(
        OperationRow(
            each.step.id,
            each.step.id.partition(" ")[2],
            tuple(made.get(source, source) for _, source in each.step.inputs),
            next(iter(each.results.values())).shape,
            _state(each.step.id, wrong, check, untold),
            ratios.get(each.step.id, 0.0),
            counts.get(each.step.id, 0),
            wrong.get(each.step.id, ""),
            *_source(each.source),
        )
        for each in recorded.operations
    )


def _state(step: str, wrong: Mapping[str, str], check: Check, untold: str) -> State:
    if step in wrong and not check.left_out.any():
        return State.WRONG
    if untold.startswith(f"step {step} ("):
        return State.UNTOLD
    return State.INSIDE


def _source(source: Source | None) -> tuple[str, int, str]:
    return ("", 0, "") if source is None else (source.file, source.line, source.text)
