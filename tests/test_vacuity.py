"""What a bound cannot tell from zero is not checked, is said so, and is no pass by itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faulty
import numpy as np
import pytest
import sweeping
from test_report import shown, validate

from crosscheck.cases.profiles import Profile
from crosscheck.cases.stream.families import Mix
from crosscheck.cases.stream.settings import Shape
from crosscheck.frameworks.state import FrameworkState
from crosscheck.judge.branches import Stack
from crosscheck.judge.compare import Judge
from crosscheck.judge.stacks import StackJudge
from crosscheck.judge.vacuity import Coverage, Line, shares, side_by_side, unchecked, vacuous
from crosscheck.judge.verdict import Kind
from crosscheck.network.dense import Case, Gradients, Network, worked_example
from crosscheck.network.reference import gradients
from crosscheck.network.tree import LEFT_OUT
from crosscheck.numbers.formats import format_of
from crosscheck.report.html import HtmlReport
from crosscheck.report.json_ import JsonReport
from crosscheck.report.summary import MarkdownSummary
from crosscheck.run.checker import Checker
from crosscheck.run.checking import compare_implementations
from crosscheck.run.crosscheck import check_generated, check_given, run
from crosscheck.run.events import Event, ExitCode, RunStarted
from crosscheck.run.records import RECORDS
from crosscheck.run.sweep.sampled import asked
from crosscheck.run.sweep.state import taken_up
from crosscheck.run.tally import Tally
from crosscheck.tools.errors import UsageError

INF = float("inf")


def entries(high: Sequence[float], bound: Sequence[float]) -> Any:
    return SimpleNamespace(high=np.array(high), bound=np.array(bound))


def gradient(high: Sequence[float], bound: Sequence[float]) -> Gradients:
    """A gradient whose loss and input say nothing, and whose one weight matrix is given."""
    fixed = entries([1.0], [0.0])
    weights: Any = entries(high, bound)
    weights.high, weights.bound = weights.high[None], weights.bound[None]
    return Gradients(entries([0.0], [1.0]), (weights,), (None,), fixed)


@pytest.mark.parametrize(
    ("high", "bound", "wanted"),
    [
        pytest.param([0.0, 0.0], [0.0, 0.0], False, id="exactly-zero"),
        pytest.param([0.0, 1.0], [0.0, 1.0], True, id="zeros-beside-a-vacuous-entry"),
        pytest.param([0.0, 1.0], [0.0, 0.0], False, id="exact"),
        pytest.param([1.0, -1.0], [2.0, 0.5], False, id="one-telling-entry"),
        pytest.param([-1.0], [1.0], True, id="bound-equal-to-the-size"),
        pytest.param([-1.0], [np.nextafter(1.0, 0.0)], False, id="bound-just-below"),
        pytest.param([0.0, 0.0], [0.0, 1e-9], True, id="cancels-to-zero"),
        pytest.param([3.0], [INF], True, id="no-bound"),
        pytest.param([float("nan")], [INF], True, id="no-number"),
    ],
)
def test_an_array_is_checked_where_a_bound_is_below_the_size_of_an_entry(
    high: Sequence[float], bound: Sequence[float], wanted: bool
) -> None:
    single = gradient(high, bound)
    assert unchecked(single) == {"W1": wanted, "x": False}
    ((checked, empty),) = side_by_side(
        np.array([[0.0, *high, 1.0]]),
        np.array([[1.0, *bound, 0.0]]),
        [("J", 0, None), ("W1", 1, None), ("x", 1 + len(high), None)],
    )
    assert (checked, empty) == ((("x",), ("W1",)) if wanted else (("W1", "x"), ()))


def test_an_entry_is_vacuous_if_its_bound_is_positive_and_not_below_its_size() -> None:
    found = vacuous(entries([0.0, 0.0, 2.0, 2.0, -2.0], [0.0, 1.0, 0.0, 1.0, 2.0]))
    assert found.tolist() == [False, True, False, False, True]


def wide(dtype: str, widths: tuple[int, ...] = (500, 1), seed: int = 0) -> Case:
    """Ordinary numbers, of which so many are added that few digits of the sum are certain."""
    rng, form = np.random.default_rng(seed), format_of(dtype)

    def draw(*shape: int) -> Any:
        return form.round(rng.standard_normal(shape))

    (fan_in, units) = widths
    weights, biases = (draw(units, fan_in),), (draw(units),)
    return Case(
        Network(widths, "identity"), weights, biases, draw(1, fan_in), draw(1, units), dtype
    )


def zero(case: Case) -> Gradients:
    """All derivatives 0."""
    right = gradients(case)
    return Gradients(
        right.loss,
        tuple(0.0 * w for w in right.weights),
        tuple(None if b is None else 0.0 * b for b in right.biases),
        0.0 * right.x,
    )


def halved(case: Case) -> Gradients:
    """All derivatives half as large as they should be."""
    right = gradients(case)
    return Gradients(
        right.loss,
        tuple(0.5 * w for w in right.weights),
        tuple(None if b is None else 0.5 * b for b in right.biases),
        0.5 * right.x,
    )


STATES = (FrameworkState("faulty", "available", {"numpy": "2"}, "relu", "eager"),)


class Faulty(faulty.Faulty):
    dtypes = ("float64", "float32", "bfloat16", "float16")


def given_run(fault: faulty.Fault, *cases: Case) -> list[Event]:
    events: list[Event] = []
    started = RunStarted("crosscheck run", "", None, ("float16",), STATES, {})
    run(
        lambda emit: Checker([Faulty(fault)], emit),
        lambda checker: check_given(checker, [("mine", case) for case in cases]),
        started,
        STATES,
        events.append,
    )
    return events


@pytest.mark.parametrize("fault", [zero, halved, faulty.correct], ids=lambda each: each.__name__)
@pytest.mark.parametrize(
    ("dtype", "widths"),
    [("float16", (500, 1)), ("float16", (700, 2)), ("bfloat16", (100, 1))],
)
def test_a_run_that_could_not_tell_the_gradient_from_zero_ends_with_5(
    fault: faulty.Fault, dtype: str, widths: tuple[int, ...]
) -> None:
    end: Any = given_run(fault, *(wide(dtype, widths, seed) for seed in range(6)))[-1]
    assert end.exit_code is ExitCode.NOTHING_CHECKED
    shape = ", ".join(map(str, widths))
    assert f"nothing checked: W1, b1, x of {dtype} ({shape}), 1 row, in faulty" in end.reason


def test_with_digits_enough_the_same_gradient_is_wrong() -> None:
    end: Any = given_run(zero, wide("float64"))[-1]
    assert end.exit_code is ExitCode.DISAGREEMENT
    end = given_run(faulty.correct, wide("float64"))[-1]
    assert end.exit_code is ExitCode.OK


def test_one_case_that_checks_an_array_is_enough_for_its_shape() -> None:
    hollow = wide("float16")
    telling = Case(
        hollow.network,
        hollow.weights,
        hollow.biases,
        hollow.x * (np.arange(500) < 4),
        hollow.y,
        "float16",
    )
    end: Any = given_run(faulty.correct, hollow, telling)[-1]
    assert end.exit_code is ExitCode.OK


def test_the_verdict_says_which_arrays_were_checked_and_keeps_its_name() -> None:
    verdict = Judge(wide("float16")).verdict(zero(wide("float16")), framework="mine")
    assert verdict.kind is Kind.AGREES
    assert (verdict.checked, verdict.unchecked) == ((), ("W1", "b1", "x"))
    right = gradients(worked_example())
    verdict = Judge(worked_example()).verdict(right, framework="mine")
    assert (verdict.checked, verdict.unchecked) == (("W2", "b2", "W1", "b1", "x"), ())


def test_what_is_left_out_is_neither() -> None:
    given = replace(zero(wide("float16")), x=LEFT_OUT)
    verdict = Judge(wide("float16")).verdict(given, framework="mine")
    assert (verdict.checked, verdict.unchecked) == ((), ("W1", "b1"))


def test_one_by_one_together_and_side_by_side_the_same_arrays_are_checked() -> None:
    cases = [wide("bfloat16", (40, 2), seed) for seed in range(24)]
    weights, biases, x, y = (
        np.stack(arrays)
        for arrays in zip(*([a for _, a in case.entries()] for case in cases), strict=True)
    )
    stack = Case(cases[0].network, (weights,), (biases,), x, y, "bfloat16")
    judge = StackJudge(stack)
    found = judge.arrays_checked()
    assert len(set(found)) > 1
    flat = Stack(stack)
    entries_ = [bound for _, bound in judge.enclosed().certain_gradients.entries()]
    high, bound = (
        np.concatenate([getattr(each, name).reshape(24, -1) for each in entries_], axis=1)
        for name in ("high", "bound")
    )
    assert side_by_side(high, bound, flat.parts) == found
    for index, names in enumerate(found):
        verdict = Judge(stack[index]).verdict(gradients(stack[index]), framework="mine")
        assert (verdict.checked, verdict.unchecked) == names


# Reports


def counted() -> Coverage:
    coverage = Coverage()
    for framework in ("one", "other"):
        for line in (
            Line(framework, "float16", (500, 1), 1, {"W1": (6, 6), "x": (6, 2)}),
            Line(framework, "float16", (4, 8, 1), 1, {"W1": (9, 0), "W2": (9, 0)}),
            Line(framework, "float16", (2, 1), 3, {"W1": (9, 0)}),
        ):
            coverage.add(line)
    coverage.add(Line("one", "float64", (4, 8, 1), 2, {"W1": (4, 0)}))
    return coverage


def test_shares_are_by_dtype_and_width_and_what_was_never_checked_has_a_name() -> None:
    coverage = counted()
    found = [(each.dtype, each.width, each.compared, each.unchecked) for each in coverage.shares()]
    assert found == [
        ("float16", "2 to 8", 54, 0),
        ("float16", "500", 24, 16),
        ("float64", "8", 4, 0),
    ]
    assert [each.percent for each in coverage.shares()] == ["0 %", "66.7 %", "0 %"]
    assert coverage.never() == "W1 of float16 (500, 1), 1 row, in one, other"


@pytest.mark.parametrize(
    ("compared", "empty", "wanted"),
    [(7, 7, "100 %"), (10**9, 1, "0.001 %"), (10**9, 10**9 - 1, "100 %")],
)
def test_a_share_that_is_not_nothing_is_not_written_so(
    compared: int, empty: int, wanted: str
) -> None:
    ((share),) = shares([("float16", (3, 1), compared, empty)])
    assert share.percent == wanted


def test_every_report_says_what_was_not_checked(tmp_path: Path) -> None:
    events = given_run(zero, wide("float16"), worked_example())
    for sink in (JsonReport(tmp_path), HtmlReport(tmp_path), MarkdownSummary(tmp_path)):
        for event in events:
            sink.handle(event)
        sink.close()
    document = json.loads((tmp_path / "report.json").read_text())
    validate(document)
    by_width = {tuple(line["widths"]): line for line in document["not_checked"]}
    assert by_width[500, 1]["never_checked"] == ["W1", "b1", "x"]
    assert (by_width[500, 1]["compared"], by_width[500, 1]["not_checked"]) == (3, 3)
    assert by_width[1, 1, 1]["not_checked"] == 0
    assert document["cases"][0]["verdicts"][0]["not_checked"] == ["W1", "b1", "x"]
    page = (tmp_path / "report.html").read_text()
    assert "never checked" in page
    assert "(500, 1), 1 row" in page
    assert "| float16 | 500 | 3 | 3 | 100 % |" in (tmp_path / "summary.md").read_text()
    text = shown(events)
    assert "not checked: W1, b1, x" in text
    assert any("500" in line and "100 %" in line for line in text.splitlines())


def test_what_was_counted_survives_a_checkpoint() -> None:
    tally = Tally()
    for event in given_run(zero, wide("float16")):
        tally.add(event)
    again = taken_up(RECORDS.together(json.loads(json.dumps(RECORDS.apart(tally))), Tally))
    assert list(again.coverage.lines()) == list(tally.coverage.lines())
    assert again.kept[0].verdicts == tally.kept[0].verdicts


# Generated cases, functions of one's own, sweeps


def test_a_shape_of_which_chance_left_an_array_unchecked_is_asked_once_more() -> None:
    tiny = 2.0**-140
    case = Case.of([[[tiny]]], [[tiny]], x=[[tiny]], y=[[0.0]], dtype="float32")
    events: list[Event] = []
    checker = Checker([Faulty(faulty.correct)], events.append)
    (verdict,) = checker.check_case(case, "smooth", "tiny")
    assert verdict.unchecked
    assert checker.coverage.never()
    check_generated(checker, Profile("none", 0, 0, 0, 0), seed=1, dtypes=["float32"])
    assert not checker.coverage.never()


def test_functions_none_of_whose_arrays_was_checked_are_refused() -> None:
    with pytest.raises(UsageError, match=r"numpy zero_function: none of the arrays .* float16"):
        compare_implementations(numpy=zero_function, cases=wide("float16"))


def zero_function(weights: Any, biases: Any, x: Any, y: Any) -> Any:
    return [0 * w for w in weights], [0 * b for b in biases]


def test_a_comparison_tells_which_arrays_were_never_checked() -> None:
    def fault(case: Case) -> Gradients:
        return faulty.Faulty(faulty.correct).gradients(case)

    found = compare_implementations(numpy=by_case(fault), cases=[wide("float16"), worked_example()])
    assert found.passed
    assert dict(found.unchecked) == {
        ("numpy numpy_function", "float16", (500, 1), 1): ("W1", "b1", "x")
    }


def by_case(fault: Callable[[Case], Gradients]) -> Callable[[Case], Any]:
    def numpy_function(case: Case) -> Any:
        return fault(case)

    return numpy_function


@pytest.mark.parametrize(("mix", "code"), [("gaussian", 5), ("gaussian=1,dyadic=1", 0)])
def test_a_sweep_asks_a_share_of_its_cases(
    mix: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeping.install(tmp_path, monkeypatch)
    monkeypatch.setattr("wicked.Plain.dtypes", ("float16",))
    words = ["--cases", "300", "--seed", "3", "--frameworks", "plain", "--mix", mix]
    found, report = sweeping.sweep(
        *words, "--widths", "800,1", "--output", "identity", "--dtype", "float16"
    )
    assert found == code
    validate(report)
    (line,) = report["not_checked"]
    sampled = len(asked(Shape(Network((800, 1)), 1, "float16"), 0))
    assert 0 < line["compared"] <= 3 * sampled
    assert ("(800, 1)" in report["run"]["reason"]) is (code == 5)


def test_a_sweep_asks_of_every_sixteenth_block_and_of_few_numbers() -> None:
    small, large = Shape(Network((4, 8, 1))), Shape(Network((1024, 1024, 1)))
    assert [len(asked(small, number)) for number in range(18)] == [17, *[0] * 15, 17, 0]
    assert len(asked(large, 0)) == 2
    families = Mix.parse("uniform=1,kinks=0.001").families(0, 17)
    assert len(set(families.tolist())) == 2  # number 0 is of a hard family, the others are not
