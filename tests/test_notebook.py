"""Cases and verdicts show what they are in a notebook, with every text escaped."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import processes
import pytest
from faulty import at_kinks, not_strict, scaled_gradient
from test_explain_formats import checked

from crosscheck.judge.compare import Judge
from crosscheck.judge.decisions import GateClass, GateReading, Place
from crosscheck.judge.verdict import MEANING, Entry, Kind, Verdict
from crosscheck.network.dense import Case, worked_example
from crosscheck.run.checking import compare_implementations
from crosscheck.run.functions.checking import compare_functions
from crosscheck.run.notebook import comparison_html


def words(source: str) -> str:
    """The text of well-formed HTML that loads nothing and runs nothing."""
    found = checked(source)
    assert found.faults == []
    assert not found.tags & {"script", "link", "img", "iframe"}
    return " ".join(" ".join(found.words).split())


def test_a_small_case_shows_its_numbers() -> None:
    case = Case.of([[[1.0, -2.5], [3.0, 4.0]]], [[7, 8]], [[0.125, 9]], [[5, 6]], reduction="mean")
    text = words(case._repr_html_())
    assert "Case 2 → 2 1 row; float64; output relu; mean over rows; key" in text
    assert case.key in text
    assert "x 0.125 9 W1 1 -2.5 3 4 b1 7 8 y 5 6" in text


def test_a_large_case_shows_shapes_only() -> None:
    dice = np.random.default_rng(0)
    case = Case.of(
        [dice.random((20, 30)), dice.random((2, 20))],
        None,
        dice.random((5, 30)),
        dice.random((5, 2)),
    )
    text = words(case._repr_html_())
    assert "W1 20 × 30" in text
    assert "x 5 × 30" in text
    assert len(text) < 400


def test_a_stack_says_how_many_cases_it_holds() -> None:
    stack = Case.of([np.ones((40, 1, 1))], None, np.ones((40, 2, 1)), np.ones((40, 2, 1)))
    text = words(stack._repr_html_())
    assert "a stack of 40 cases; 2 rows" in text
    assert "key" not in text


def test_a_case_that_is_not_finite_says_so() -> None:
    assert "not finite" in words(worked_example(x=float("nan"))._repr_html_())


def test_a_verdict_at_a_kink_shows_the_gates_and_the_slopes() -> None:
    case = worked_example(x=0.0)
    verdict = Judge(case).verdict(not_strict(case), framework="mine", formulation="ge")
    text = words(verdict._repr_html_())
    assert text.startswith("KINK mine ge At least one pre-activation is exactly zero")
    assert "layer unit row class z λ used 1 0 0 kink 0 1" in text
    assert "as a generalised derivative with respect to the parameters: inside" in text


def test_a_decision_of_a_network_of_operators_is_named_by_its_step() -> None:
    reading = GateReading(
        Place(7, ()), GateClass.KINK, 2.0, 1.0, step="c", operator="clip", breakpoint=2.0
    )
    verdict = Verdict("mine", "", "eager", Kind.KINK, gates=(reading,))
    text = words(verdict._repr_html_())
    assert "where class z λ used c[] at 2 kink 2 1" in text


def test_a_disagreement_shows_the_worst_entry_and_its_bits() -> None:
    case = worked_example()
    verdict = Judge(case).verdict(scaled_gradient(case), framework="mine")
    text = words(verdict._repr_html_())
    assert verdict.worst is not None
    assert text.startswith("DISAGREES mine")
    assert f"farthest beyond it: {verdict.worst.name}" in text
    assert float(verdict.worst.given).hex() in text
    assert "first layer out of its bounds: 2" in text


@pytest.mark.parametrize("kind", Kind)
def test_every_verdict_has_a_badge_and_its_meaning(kind: Kind) -> None:
    text = words(Verdict("mine", "", "", kind)._repr_html_())
    assert text.startswith(f"{kind} mine {MEANING[kind]}")


def test_a_coarser_arithmetic_is_named_with_its_bits_and_how_to_allow_it() -> None:
    reduced = Verdict("mine", "", "", Kind.REDUCED, arithmetics=("tf32",), precision=10.5)
    text = words(reduced._repr_html_())
    assert "tf32" in text
    assert "10.5 bits" in text
    assert "--allow tf32" in text


def test_every_text_is_escaped() -> None:
    evil = "<script>alert('x')</script>&"
    entry = Entry(evil, 1.0, 2.0, 1.0, 0.5, 2.0, 3.0)
    verdict = Verdict(evil, evil, evil, Kind.CRASHED, entry, detail=evil)
    source = verdict._repr_html_()
    assert "<script" not in source
    assert words(source).count(evil) == 5


def test_many_gates_are_cut() -> None:
    case = worked_example(x=0.0)
    verdict = Judge(case).verdict(not_strict(case), framework="mine")
    many = replace(verdict, gates=verdict.gates * 50)
    source = many._repr_html_()
    assert len(re.findall("<tr>", source)) < 30
    assert "the first 12" in words(source)


def test_a_verdict_brings_no_web_page_along_until_it_is_shown() -> None:
    program = (
        "import sys, crosscheck.judge.verdict, crosscheck.network.dense\n"
        "assert 'crosscheck.judge.notebook' not in sys.modules\n"
    )
    processes.run([sys.executable, "-c", program], check=True)


def test_a_comparison_shows_its_verdicts_its_slopes_and_what_failed() -> None:
    def backward(x: Any, w: Any, g: Any) -> Any:
        return g @ w, g.T @ x

    def product(x: Any, w: Any) -> Any:
        return np.maximum(x @ w.T, 0)

    shapes = "n i, o i -> n o"
    wrong = compare_functions(product, shapes, by_hand=backward, profile="quick")
    text = words(wrong._repr_html_())
    assert text.startswith("FAILED by_hand backward: the gradient is wrong")
    assert " ".join(wrong.message.split()) in text
    counts = wrong.kinds["by_hand backward"]
    shown = [str(kind) for kind in Kind if kind in counts]
    numbers = [str(counts[kind]) for kind in Kind if kind in counts]
    assert f"implementation {' '.join(shown)} by_hand backward {' '.join(numbers)}" in text
    assert wrong.failures[0].verdict.worst is not None
    assert "farthest beyond it" in text
    assert str(wrong) == wrong.message

    right = compare_functions(
        product, shapes, by_hand=lambda x, w, g: backward(x, w, g * (x @ w.T > 0)), profile="quick"
    )
    text = words(right._repr_html_())
    assert text.startswith("PASSED every gradient of product is explained, on")
    assert "FAILED" not in text
    assert len(right.boundary) > 1
    for (who, decision, slope), count in right.boundary.items():
        assert f"{who} {decision} {slope} {count}" in text


def test_a_comparison_of_networks_shows_the_same() -> None:
    case = worked_example(x=0.0)
    found = compare_implementations(numpy=at_kinks(0.5), cases=[case])
    text = words(found._repr_html_())
    assert text.startswith("PASSED every gradient is explained, on 1 case ")
    assert "implementation KINK numpy" in text
    assert str(found) == found.message
    for (who, decision, slope), count in found.boundary.items():
        assert f"{who} {decision} {slope} {count}" in text
    wrong = compare_implementations(numpy=at_kinks(2.0), cases=[case])
    assert wrong.failure is not None
    text = words(wrong._repr_html_())
    assert text.startswith("FAILED")
    assert "DISAGREES" in text


def test_what_a_comparison_says_is_escaped() -> None:
    evil = "<script>alert('x')</script>&"
    source = comparison_html(
        message=f"{evil}\n{evil}",
        kinds={evil: {Kind.CRASHED: 1}},
        boundary={(evil, evil, evil): 2},
        unchecked={evil: (evil,)},
        failing=[Verdict(evil, evil, evil, Kind.CRASHED, detail=evil)],
        notes=[evil],
    )
    assert "<script" not in source
    assert words(source).count(evil) == 2 + 1 + 3 + 2 + 1 + 4
