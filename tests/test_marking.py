"""Numbers of one's own for a gradient are marked, and the usual mistakes in them are named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faulty import missing_mask
from hypothesis import given as drawn
from hypothesis import strategies as st

import crosscheck
from crosscheck.cli import main
from crosscheck.explain import Document
from crosscheck.judge.door import judge
from crosscheck.judge.marking import Mark, Marked, marked
from crosscheck.judge.mistakes import mistakes_told
from crosscheck.judge.verdict import Kind
from crosscheck.network.composed import AnyCase, Derivatives, composed
from crosscheck.network.dense import Case, Gradients, worked_example
from crosscheck.network.files import case_from_json, read_any_case, read_marked_case, write_case
from crosscheck.network.given import Given, given_of
from crosscheck.network.reference import backward, float_forward, gradients
from crosscheck.numbers.written import stands_for, text_of
from crosscheck.tools.errors import UsageError

RIGHT = {"W2": [[4]], "b2": [2], "W1": [[6]], "b1": [6], "J": 2}
"""Of the worked example."""


def marks_of(case: AnyCase, mine: Any) -> Marked:
    return marked(given_of(case, mine), judge(case))


def marks(case: AnyCase, mine: Any) -> dict[str, Mark]:
    return {each.name: each.mark for each in marks_of(case, mine).entries}


def whole(*, reduction: Any = "sum", output: Any = "identity", rows: int = 3) -> Case:
    """Square layers, small odd whole numbers, closed gates in both, no kink."""
    return Case.of(
        [[[1, -3], [5, 1]], [[3, 1], [-1, 7]], [[1, 3], [5, -3]]],
        [[1, 3], [5, -9], [1, 3]],
        [[1, 7], [3, -1], [-5, 3]][:rows],
        [[11, 5], [3, 1], [7, 9]][:rows],
        reduction=reduction,
        output=output,
    )


def named(found: Gradients) -> dict[str, Any]:
    return dict(found.entries())


# -- the worked example ------------------------------------------------------------------------


def test_the_four_numbers_of_the_worked_example_are_right() -> None:
    found = marks_of(worked_example(), RIGHT)
    assert [each.mark for each in found.entries] == [Mark.RIGHT] * 5
    assert (found.verdict.kind, found.failed) == (Kind.AGREES, False)
    assert mistakes_told(found) == []


@pytest.mark.parametrize("name", ["W2", "b2", "W1", "b1"])
@pytest.mark.parametrize("wrong", [1, 4.1, 5.999999, 2.0000001, "0x1.8000000000001p+2"])
def test_one_wrong_number_is_marked_alone_and_fails(name: str, wrong: Any) -> None:
    mine = {**RIGHT, name: [[wrong]] if name[0] == "W" else [wrong]}
    found = marks_of(worked_example(), mine)
    assert [each.array for each in found.entries if each.mark is Mark.WRONG] == [name]
    assert found.failed
    assert found.verdict.kind is Kind.DISAGREES


def test_the_names_may_be_written_as_people_do() -> None:
    assert set(marks(worked_example(), {"dJ/dw1": [[6]], "w2": [[4.0]]}).values()) == {Mark.RIGHT}


# -- digits ------------------------------------------------------------------------------------

THIRDS = Case.of([[[1]]], [[0]], [[1], [1], [1]], [[0], [0], [2]], reduction="mean")
"""∂J/∂b = (1 + 1 − 1) / 3."""


@pytest.mark.parametrize(
    ("written", "mark"),
    [
        (0.3, Mark.DIGITS),
        ("0.333", Mark.DIGITS),
        ("3.33e-1", Mark.DIGITS),
        (1 / 3, Mark.RIGHT),
        (np.float64(1 / 3), Mark.RIGHT),
        (0.34, Mark.WRONG),
        ("0.334", Mark.WRONG),
        ("0.3330", Mark.WRONG),
        ("0.30", Mark.WRONG),
        (np.float64(0.333), Mark.WRONG),
        ("0x1.5p-2", Mark.WRONG),
        ("0.33333333333333332", Mark.RIGHT),
        ("0.33333333333333393", Mark.WRONG),
        (0, Mark.WRONG),
        ("0.0", Mark.WRONG),
        ("0e0", Mark.UNTOLD),
    ],
    ids=repr,
)
def test_a_decimal_is_held_to_the_digits_it_has(written: Any, mark: Mark) -> None:
    assert marks(THIRDS, {"b1": [written]}) == {"b1[0]": mark}


def test_a_number_whose_digits_do_not_tell_it_from_zero_says_nothing() -> None:
    case = worked_example(y=6.984375)  # ∂J/∂b2 = 2⁻⁶
    assert marks(case, {"b2": ["0.0"]}) == {"b2[0]": Mark.UNTOLD}
    assert marks(case, {"b2": ["0.00"]}) == {"b2[0]": Mark.WRONG}
    assert marks(case, {"b2": [0]}) == {"b2[0]": Mark.WRONG}
    assert marks(case, {"b2": ["0.02"]}) == {"b2[0]": Mark.DIGITS}
    assert marks(worked_example(x=-1), {"b1": ["0.0"]}) == {"b1[0]": Mark.RIGHT}


@drawn(
    st.fractions(min_value=-1000, max_value=1000, max_denominator=10**6),
    st.integers(0, 8),
)
def test_what_is_rounded_to_a_decimal_is_among_what_that_stands_for(
    exact: Fraction, digits: int
) -> None:
    scaled = exact * 10**digits
    for rounded in {round(scaled), (2 * scaled + 1).__floor__() // 2}:  # ties to even, ties up
        sign = "-" if rounded < 0 else ""
        decimals = f"{abs(rounded) % 10**digits:0{digits}d}" if digits else ""
        text = f"{sign}{abs(rounded) // 10**digits}.{decimals}"
        low, high = stands_for(text, float(text))
        assert low <= float(exact) <= high
        unit = Fraction(1, 10**digits)
        beyond = float(Fraction(rounded) * unit + unit)
        assert not low <= beyond <= high  # and the next decimal is not


@pytest.mark.parametrize("text", ["1e999999999", "1.5e-999999999", "0." + "0" * 100_000 + "1"])
def test_monstrous_decimals_take_no_time(text: str) -> None:
    value = float(text)
    assert stands_for(text, value) == (value, value)


def test_numbers_out_of_arrays_stand_for_themselves() -> None:
    assert text_of(np.float64(0.5)) == ""
    assert text_of(0.5) == "0.5"
    assert text_of(4) == ""


def test_the_derived_bound_decides_where_rounding_is_honest() -> None:
    dice = np.random.default_rng(5)
    draw = dice.standard_normal
    arrays = draw((2, 3)), draw((2, 1))
    case = Case.of([draw((4, 3)), draw((1, 4))], None, *arrays, output="identity")
    right = gradients(case)
    assert set(marks(case, right).values()) <= {Mark.RIGHT, Mark.UNTOLD}
    off = right.replaced("W1", right.weights[0] * (1 + 2.0**-40))
    found = marks(case, off)
    assert {name[:2] for name, mark in found.items() if mark is Mark.WRONG} == {"W1"}


# -- kinks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("slope", [0.0, 0.25, 0.5, 1.0])
def test_at_a_kink_exact_numbers_of_any_slope_are_right(slope: float) -> None:
    found = marks_of(worked_example(x=0), {"b1": np.array([-12 * slope]), "b2": [-4]})
    assert {each.mark for each in found.entries} == {Mark.RIGHT}
    assert found.verdict.kind is Kind.KINK
    assert marks(worked_example(x=0), {"b1": np.array([12.0])}) == {"b1[0]": Mark.WRONG}


def test_at_a_kink_a_rounded_number_of_another_slope_is_left_open() -> None:
    found = marks_of(worked_example(x=0), {"b1": ["-3.10"], "x": [["-6.20"]], "b2": ["-4.0"]})
    assert {each.name: each.mark for each in found.entries} == {
        "b2[0]": Mark.RIGHT,
        "b1[0]": Mark.UNTOLD,
        "x[0,0]": Mark.UNTOLD,
    }
    assert found.verdict.kind is Kind.UNDECIDED
    assert not found.failed
    wrong = marks_of(worked_example(x=0), {"b1": ["-3.10"], "x": [["-6.20"]], "b2": ["-4.1"]})
    assert wrong.failed
    assert next(each for each in wrong.entries if each.array == "b2").mark is Mark.WRONG


# -- the usual mistakes ------------------------------------------------------------------------


def sums(case: Case) -> Gradients:
    other: Any = "sum" if case.network.reduction == "mean" else "mean"
    return gradients(replace(case, network=replace(case.network, reduction=other)))


def with_gates_open(case: Case, layer: int) -> Gradients:
    trace = float_forward(case.network, case.weights, case.biases, case.x)
    gates: list[Any] = [
        (z > 0).astype(float) if case.network.has_relu(at) and at != layer else None
        for at, z in enumerate(trace.pre_activations, start=1)
    ]
    return backward(case.network, case.weights, case.biases, trace, case.y, gates)


def without(case: Case, layer: int | None) -> Gradients:
    """Without W of a layer on the way back, or without ∂J/∂a at its beginning."""
    trace = float_forward(case.network, case.weights, case.biases, case.x)
    gates: list[Any] = [
        (z > 0).astype(float) if case.network.has_relu(at) else None
        for at, z in enumerate(trace.pre_activations, start=1)
    ]
    weights = [np.eye(2) if at == layer else w for at, w in enumerate(case.weights, start=1)]
    start = trace.activations[-1] - case.y
    cotangent = np.ones_like(start) if layer is None else start
    loss = np.sum(start * start) / 2
    return backward(
        *(case.network, weights, case.biases, trace, case.y, gates, lambda *_: (loss, cotangent))
    )


def scaled(factor: float) -> Callable[[Case], Gradients]:
    return lambda case: gradients(case).map_derivatives(lambda array: factor * array)


MISTAKES: list[tuple[str, Callable[[Case], Gradients], str, Any]] = [
    ("twice", scaled(2.0), "twice what it should be", "sum"),
    ("half", scaled(0.5), "half of what it should be", "sum"),
    ("sign", scaled(-1.0), "right but for the sign", "sum"),
    ("sum", sums, "the sum over the rows, not the mean", "mean"),
    ("mean", sums, "the mean over the rows, not the sum", "sum"),
    ("mask 1", lambda case: with_gates_open(case, 1), "the factor ∂a1/∂z1", "sum"),
    ("mask 2", lambda case: with_gates_open(case, 2), "the factor ∂a2/∂z2", "sum"),
    ("masks", missing_mask, "without the mask of any ReLU", "sum"),
    ("loss", lambda case: without(case, None), "without the factor ∂J/∂a3", "sum"),
    ("W2", lambda case: without(case, 2), "without the factor ∂z2/∂a1 = W2", "sum"),
    ("W3", lambda case: without(case, 3), "without the factor ∂z3/∂a2 = W3", "sum"),
]


@pytest.mark.parametrize(
    ("mistake", "words", "reduction"),
    [each[1:] for each in MISTAKES],
    ids=[each[0] for each in MISTAKES],
)
def test_a_usual_mistake_is_named(
    mistake: Callable[[Case], Gradients], words: str, reduction: Any
) -> None:
    case = whole(reduction=reduction)
    right = named(gradients(case))
    wrong = {name: each for name, each in named(mistake(case)).items() if name not in "Jx"}
    assert any(np.any(each != right[name]) for name, each in wrong.items())
    found = marks_of(case, wrong)
    assert found.failed
    told = mistakes_told(found)
    assert len(told) == 1
    assert words in told[0]
    assert "several" not in told[0]
    for name, each in wrong.items():
        assert (f"∂J/∂{name}" in told[0].split(":")[0]) == bool(np.any(each != right[name]))


def test_a_transposed_array_and_a_missing_activation_are_named() -> None:
    case = whole()
    right = named(gradients(case))
    assert mistakes_told(marks_of(case, {"W2": right["W2"].T, "b2": right["b2"]})) == [
        "∂J/∂W2: the transposed array."
    ]
    bare = np.repeat(right["b3"][:, None], 2, axis=1)
    assert mistakes_told(marks_of(case, {"W3": bare})) == [
        "∂J/∂W3: without the factor ∂z3/∂W3 = a2."
    ]


def test_a_mistake_in_one_entry_is_named_for_it() -> None:
    case = whole()
    wrong = gradients(case).weights[0].copy()
    wrong[1, 0] *= -1
    assert mistakes_told(marks_of(case, {"W1": wrong})) == [
        "what is wrong in ∂J/∂W1: right but for the sign."
    ]


def test_a_mistake_is_found_in_rounded_numbers_and_in_rounding_errors() -> None:
    dice = np.random.default_rng(3)
    draw = dice.standard_normal
    arrays = draw((3, 3)), draw((3, 1))
    case = Case.of([draw((4, 3)), draw((1, 4))], None, *arrays, output="identity", reduction="mean")
    summed = sums(case)
    assert mistakes_told(marks_of(case, {"W1": summed.weights[0]})) == [
        "∂J/∂W1: the sum over the rows, not the mean."
    ]
    digits = [[f"{v:.3e}" for v in row] for row in summed.weights[0]]
    assert mistakes_told(marks_of(case, {"W1": digits})) == [
        "∂J/∂W1: the sum over the rows, not the mean."
    ]


def test_what_no_usual_mistake_makes_is_not_given_a_name() -> None:
    case = whole()
    wrong = 3 * gradients(case).weights[0]
    assert mistakes_told(marks_of(case, {"W1": wrong})) == []
    nearly = 2 * gradients(case).weights[0]
    nearly[0, 0] = np.nextafter(nearly[0, 0], np.inf)
    assert mistakes_told(marks_of(case, {"W1": nearly})) == []


def test_mistakes_that_make_the_same_numbers_are_possibilities() -> None:
    (told,) = mistakes_told(marks_of(worked_example(), {"W1": [[3]]}))
    assert "several mistakes make it: half of what it should be; or without the factor" in told


# -- files -------------------------------------------------------------------------------------


def as_file(folder: Path, gradient: Any, case: Case | None = None) -> Path:
    path = folder / "mine.json"
    write_case(case or worked_example(), path)
    path.write_text(json.dumps({**json.loads(path.read_text()), "gradient": gradient}))
    return path


NUMBERS = {"W1": [["0.330"]], "b1": [0.1], "W2": [["0x1.999999999999ap-4"]], "b2": [4], "J": "2.50"}


@pytest.mark.parametrize("of", [lambda case: case, composed], ids=["dense", "operators"])
def test_a_gradient_comes_back_from_a_file_with_its_digits(of: Any, tmp_path: Path) -> None:
    case = of(worked_example())
    first = given_of(case, {**NUMBERS, "x": np.array([[0.25]])})
    write_case(case, tmp_path / "mine.json", gradient=first)
    again, second = read_marked_case(tmp_path / "mine.json")
    assert again.key == case.key
    assert second is not None
    for field in ("values", "low", "high", "texts"):
        one, other = getattr(first, field), getattr(second, field)
        assert sorted(one) == sorted(other)
        assert all(np.array_equal(one[name], other[name]) for name in one), field
    assert second.texts["W1"][0, 0] == "0.330"
    assert second.low["x"] == second.high["x"] == 0.25
    assert second.low["b1"] < 0.1 < second.high["b1"]


def test_a_number_keeps_the_digits_it_has_in_json(tmp_path: Path) -> None:
    path = as_file(tmp_path, {"W1": [[6]]})
    path.write_text(path.read_text().replace("[[6]]", "[[6.00]]"))
    _, given = read_marked_case(path)
    assert isinstance(given, Given)
    assert (given.low["W1"][0, 0], given.high["W1"][0, 0]) == (5.995, 6.005)
    assert read_any_case(path).key == worked_example().key


@pytest.mark.parametrize(
    ("gradient", "complaint"),
    [
        (3, "gradient: the number 3 given, wanted an object of arrays by name"),
        ({}, "gradient: holds no derivative, wanted at least one of W1, b1, W2, b2, x"),
        ({"J": 2}, "gradient: holds no derivative, wanted at least one of W1, b1, W2, b2, x"),
        ({"W3": [[1]]}, "gradient: there is no array 'W3' in its gradient, wanted some of J, W1"),
        ({"y": [[1]]}, "gradient: there is no array 'y' in its gradient"),
        ({"W1": [[1, 2]]}, "gradient: W1 has shape (1, 2), wanted (1, 1)"),
        ({"W1": 6}, "gradient: W1 has shape (), wanted (1, 1)"),
        ({"W1": [[[[6]]]]}, "gradient: W1 has shape (1, 1, 1, 1), wanted (1, 1)"),
        ({"W1": []}, "gradient: W1 has shape (0,), wanted (1, 1)"),
        ({"W1": [[6]], "w1": [[6]]}, "gradient: W1 is given twice, wanted it once"),
        ({"W1": [[None]]}, "gradient.W1[0,0] is null, wanted a number"),
        ({"W1": [[True]]}, "gradient.W1[0,0] is true, wanted a number"),
        ({"W1": [["six"]]}, "gradient.W1[0,0] is the string 'six', wanted a number"),
        ({"W1": [["nan"]]}, "gradient: W1[0,0] is nan, wanted a finite number"),
        ({"W1": [["-inf"]]}, "gradient: W1[0,0] is -inf, wanted a finite number"),
        ({"W1": [["1e999"]]}, "gradient: W1[0,0] is 1e999, wanted a finite number"),
        ({"W1": [["0x1p5000"]]}, "gradient.W1[0,0] is the string '0x1p5000', beyond the largest"),
        ({"b1": [{}]}, "gradient.b1[0] is an object, wanted a number"),
        ({"W" * 10_000: [1]}, "gradient: there is no array 'WWWWW"),
    ],
)
def test_a_bad_gradient_is_refused_in_one_line(
    gradient: Any, complaint: str, tmp_path: Path
) -> None:
    path = as_file(tmp_path, gradient)
    for read in (read_any_case, lambda it: case_from_json(json.loads(it.read_text()), origin="x")):
        with pytest.raises(UsageError) as caught:
            read(path)
        message = str(caught.value)
        assert complaint in message
        assert "\n" not in message
        assert len(message) < 300


def test_a_transposed_shape_is_recognised() -> None:
    case = Case.of([[[1, 2, 3]]], None, [[1, 1, 1]], [[0]])
    with pytest.raises(UsageError, match=r"W1 has shape \(3, 1\), wanted \(1, 3\); is it transp"):
        given_of(case, {"W1": [[1], [2], [3]]})
    with pytest.raises(UsageError, match=r"W1\[1\] has length 3, wanted 2: W1 has shape"):
        given_of(whole(), {"W1": [[1, 2], [3, 4, 5]]})


def test_arrays_and_a_network_of_operators_take_json_for_it(tmp_path: Path) -> None:
    case = worked_example()
    with pytest.raises(UsageError, match=r"wanted \.json for a case with a gradient"):
        write_case(case, tmp_path / "mine.npz", gradient=given_of(case, RIGHT))


# -- the command -------------------------------------------------------------------------------

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: object) -> tuple[int, str, str]:
        code = main([str(each) for each in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.mark.parametrize("form", ["text", "markdown", "latex", "html"])
def test_every_way_out_shows_the_marks(form: str, command: Run, tmp_path: Path) -> None:
    path = as_file(tmp_path, {**RIGHT, "W1": [[2]]})
    asked = ("explain", "--case", path, "--frameworks", "none", "--format", form)
    code, out, err = command(*asked)
    assert (code, err) == (1, "")
    words = ("Your numbers", "right", "wrong", "4 of 5 right, 1 wrong", "without the factor")
    assert all(word in out for word in words)
    as_file(tmp_path, RIGHT)
    code, out, _ = command(*asked)
    assert (code, "wrong" in out.replace("0 wrong", "")) == (0, False)


def test_set_and_run_say_where_to_go(command: Run, tmp_path: Path) -> None:
    path = as_file(tmp_path, RIGHT)
    code, _, err = command("explain", "--case", path, "--set", "x=0")
    assert (code, err.count("\n")) == (4, 1)
    assert "--set" in err
    code, _, err = command("run", "--case", path, "--frameworks", "jax")
    assert (code, err.count("\n")) == (4, 1)
    assert f"crosscheck explain --case {path}" in err


# -- notebooks ---------------------------------------------------------------------------------


def test_a_notebook_marks_numbers_beside_frameworks_by_name() -> None:
    document = crosscheck.explain_case(worked_example(), "torch, jax", mine={**RIGHT, "b1": [3]})
    assert isinstance(document, Document)
    text = " ".join(document.render().split())
    assert document.failed
    assert "by hand torch jax" in text
    assert "∂J/∂b1 6 3 wrong" in text
    assert 'class="bad">wrong<' in document._repr_html_()


@pytest.mark.parametrize("of", [lambda case: case, composed], ids=["dense", "operators"])
def test_a_gradient_is_taken_as_it_is(of: Any) -> None:
    case = of(worked_example())
    right = gradients(worked_example())
    mine = right if case.__class__ is Case else Derivatives.named(named(right))
    assert not crosscheck.explain_case(case, mine=mine).failed
    wrong = mine.map_derivatives(lambda array: 2 * array)
    document = crosscheck.explain_case(case, mine=wrong)
    assert document.failed
    assert "twice what it should be" in " ".join(document.render().split())


def test_tensors_of_libraries_are_arrays() -> None:
    import torch

    tensor = torch.tensor([[6.0]], requires_grad=True)
    assert marks(worked_example(), {"W1": tensor}) == {"W1[0,0]": Mark.RIGHT}


def test_a_large_network_shows_the_wrong_numbers_first() -> None:
    dice = np.random.default_rng(1)
    case = Case.of(
        [dice.integers(-3, 4, (8, 12)), dice.integers(-3, 4, (2, 8))],
        None,
        dice.integers(-3, 4, (3, 12)),
        dice.integers(-3, 4, (3, 2)),
    )
    right = gradients(case)
    wrong = right.weights[0].copy()
    wrong[7, 11] += 1
    out = crosscheck.explain_case(case, mine={"W1": wrong, "W2": right.weights[1]}).render()
    section = out[out.index("Your numbers") :]
    assert section.splitlines()[4].startswith("  ∂J/∂W1[7,11]")
    assert "1 wrong" in section
    assert "72 more are not shown" in section


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"frameworks": "torhc"}, "no framework is called 'torhc', wanted one of"),
        ({"frameworks": ["jaxx"]}, "did you mean 'jax'?"),
        ({"frameworks": [3]}, "frameworks: 3 given, wanted names"),
        ({"mine": {"W9": [[1]]}}, "mine: there is no array 'W9' in its gradient"),
        ({"mine": {"W1": np.ones((2, 3))}}, "mine: W1 has shape (2, 3), wanted (1, 1)"),
        ({"mine": {"W1": np.array([[1j]])}}, "mine: W1 is an array of complex128"),
        ({"mine": {"W1": [[object()]]}}, "mine: W1[0,0] is '<object object"),
        ({"mine": [1]}, "mine: list given, wanted a dict of arrays by name"),
    ],
)
def test_a_mistake_in_the_call_gets_one_clear_line(
    arguments: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        crosscheck.explain_case(worked_example(), **arguments)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nan_in_an_array_is_wrong() -> None:
    assert marks(worked_example(), {"b1": np.array([np.nan])}) == {"b1[0]": Mark.WRONG}
