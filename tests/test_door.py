"""One door to verdicts: whoever settles a question, the verdict is the judge's of one case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from structure import imports, modules

from crosscheck.cases.stream.families import Mix
from crosscheck.cases.stream.generate import block
from crosscheck.cases.stream.settings import Shape
from crosscheck.judge import rungs
from crosscheck.judge.door import Answer, Question, certified, judge, judge_rest
from crosscheck.judge.verdict import Kind, Verdict
from crosscheck.network.batch import Batch
from crosscheck.network.composed import Composed, Derivatives, composed
from crosscheck.network.dense import Case, Gradients, Network
from crosscheck.network.reference import gradients
from crosscheck.network.tree import LEFT_OUT
from crosscheck.numbers.formats import format_of

SHAPE = Shape(Network((4, 8, 1)), 1, "float64")
NAMES = ("mine", "relu", "eager")


def stack_of(mix: str, count: int = 40, shape: Shape = SHAPE) -> Case:
    return block(shape, 3, 0, Mix.parse(mix)).batch.case(slice(count))


def right(case: Case) -> Gradients:
    """The textbook's gradient in the case's own dtype."""
    with np.errstate(all="ignore"):
        return gradients(case).map(format_of(case.dtype).round)


def wrong(given: Gradients) -> Gradients:
    """A gradient with a fault in every case: the loss, and all else, twice as large."""
    return given.map(lambda array: 2.0 * array + 1.0)


def derivatives(case: Composed, given: Gradients) -> Derivatives:
    found = dict(given.entries())
    return Derivatives(found["J"], {name: found[name] for name in case.wanted})


def alone(case: Any, given: Any, index: int) -> Verdict:
    return judge(case[index]).another(Answer(given[index], names=NAMES))


@pytest.mark.parametrize("spoil", [right, lambda case: wrong(right(case))], ids=["right", "wrong"])
@pytest.mark.parametrize("mix", ["uniform", "kinks", "undecided=1,special=1"])
def test_the_door_says_what_the_judge_of_one_case_says(
    mix: str, spoil: Callable[[Case], Gradients]
) -> None:
    case = stack_of(mix, 24)
    question = judge(case, [Answer(spoil(case), names=NAMES)], with_arrays=True)
    for index in range(24):
        wanted, found = alone(case, spoil(case), index), question.verdict(0, index)
        if question.agrees[0, index]:
            wanted = replace(wanted, worst=None)  # which is not told of what agrees at once
        assert found == wanted


def test_what_was_left_by_one_question_is_settled_by_the_next() -> None:
    case = stack_of("kinks", 24)
    answers = [Answer(right(case), names=NAMES)]
    at_once = certified(Batch.of(case), answers)
    rest = judge_rest(Batch.of(case), answers, at_once.agrees)
    kinds = [rest.verdict(0, index).kind for index in range(24)]
    assert kinds == [alone(case, right(case), index).kind for index in range(24)]


def test_the_reference_that_the_door_has_is_that_of_the_judge_of_one_case() -> None:
    case = stack_of("undecided=1,kinks=1", 24)
    question = judge(case, [Answer(right(case))])
    for index in range(24):
        wanted: Any = judge(case[index]).reference()
        pairs = zip(wanted.entries(), question.reference(index).entries(), strict=True)
        assert all((one == other).all() for (_, one), (_, other) in pairs)


@pytest.mark.parametrize("rung", rungs.LADDER)
def test_each_rung_settles_right_gradients_by_itself(rung: rungs.Rung) -> None:
    batch = block(SHAPE, 3, 0, Mix.parse("uniform")).batch
    batch = Batch.of(batch.case(slice(256)))
    question = Question(batch, [Answer(right(batch.case()))])
    rung(question)
    agrees = question.agrees[0].copy()
    for (_, index), verdict in question.verdicts.items():
        agrees[index] = verdict.kind is Kind.AGREES
    assert agrees.mean() > 0.9


@pytest.mark.parametrize("rung", rungs.LADDER)
def test_no_rung_lets_a_planted_fault_pass(rung: rungs.Rung) -> None:
    case = stack_of("uniform=2,kinks=1,undecided=1", 64)
    question = Question(case, [Answer(right(case)), Answer(wrong(right(case)))])
    rung(question)
    passed = {index for (row, index), each in question.verdicts.items() if row == 1}
    assert not question.agrees[1].any()
    assert not passed


def test_of_a_batch_that_is_settled_as_it_lies_no_case_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batch = Batch.of(stack_of("uniform", 256))
    given = right(batch.case())
    settled = certified(batch, [Answer(given)]).agrees[0]
    batch = Batch.of(batch.case(np.flatnonzero(settled)[:128]))
    given = right(batch.case())

    def case(self: Batch, chosen: object = None) -> Case:
        raise AssertionError("a case was made")

    monkeypatch.setattr(Batch, "case", case)
    assert certified(batch, [Answer(given)], few=4).agrees.sum() > 120


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_compiled_rung_declines_networks_of_operators_and_another_settles_them(
    dtype: str,
) -> None:
    case = stack_of("uniform", 20, Shape(Network((4, 8, 1)), 1, dtype))
    network = composed(case)
    question = Question(network, [Answer(derivatives(network, right(case)))])
    rungs.compiled(question)
    assert not question.agrees.any()
    rungs.enclosed(question)
    assert question.agrees.mean() > 0.7


def test_networks_of_operators_go_through_the_same_door() -> None:
    case = composed(stack_of("kinks=1,uniform=1", 12))
    dense = stack_of("kinks=1,uniform=1", 12)
    for each in (right(dense), wrong(right(dense))):
        given = derivatives(case, each)
        question = judge(case, [Answer(given, names=NAMES)], with_arrays=True)
        for index in range(12):
            wanted = alone(case, given, index)
            if question.agrees[0, index]:
                wanted = replace(wanted, worst=None)
            assert question.verdict(0, index) == wanted


def test_a_gradient_with_an_array_left_out_is_judged_case_by_case() -> None:
    case = stack_of("uniform", 20)
    given = replace(right(case), x=LEFT_OUT)
    question = judge(case, [Answer(given, names=NAMES)])
    assert not question.agrees.any()
    assert not question.verdicts
    assert [question.verdict(0, index) for index in range(20)] == [
        alone(case, given, index) for index in range(20)
    ]


def test_forward_mode_is_held_to_its_own_bounds() -> None:
    case = stack_of("uniform", 40)
    both = [Answer(right(case), "forward"), Answer(right(case))]
    question = certified(case, both)
    alone_ = certified(case, both[:1])
    assert (question.agrees[0] == alone_.agrees[0]).all()
    assert (question.bounds[0] < question.bounds[1]).any()


@pytest.mark.parametrize("mix", ["uniform", "kinks"])
def test_a_case_by_itself_has_the_verdict_it_has_in_a_stack(mix: str) -> None:
    case = stack_of(mix, 8)
    together = judge(case, [Answer(right(case), names=NAMES)])
    for index in range(8):
        given = right(case[index])
        single = judge(case[index], [Answer(given, names=NAMES)])
        assert single.verdict(0, 0).kind is together.verdict(0, index).kind


def test_a_case_by_itself_that_is_wrong_fails() -> None:
    case = stack_of("uniform", 1)[0]
    assert judge(case, [Answer(wrong(right(case)))]).verdict(0, 0).kind is Kind.DISAGREES


def test_nobody_but_the_judge_knows_the_ladder() -> None:
    known = modules()
    ladder = {f"crosscheck.judge.{name}" for name in ("rungs", "question", "together")}
    for name, path in known.items():
        if not name.startswith("crosscheck.judge."):
            assert not imports(path.read_text(encoding="utf-8"), known) & ladder, name
