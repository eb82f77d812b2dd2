"""An explanation derives the gradient step by step, and every number in it is the right one."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sweeping
from faulty import Faulty, correct, not_strict, scaled_gradient

from crosscheck.cli import main
from crosscheck.explain import Derivation, Step, explain_case, find_entry, with_changes
from crosscheck.explain.comparison import entries_of, expected
from crosscheck.formulas.numerals import numeral
from crosscheck.frameworks.base import Framework
from crosscheck.judge.compare import Judge
from crosscheck.network import exact as exact_module
from crosscheck.network.dense import Case, Gradients, worked_example
from crosscheck.network.exact import exact_forward, exact_gradients, nearest_float
from crosscheck.network.files import write_case
from crosscheck.network.reference import gradients
from crosscheck.network.symbolic import sympy_gradients
from crosscheck.numbers.multilinear import Multilinear, slope_symbol
from crosscheck.tools.errors import UsageError

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def crosscheck(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Run the command in a folder of its own; gives exit code, output and complaints."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def normal(
    widths: tuple[int, ...], *, rows: int = 1, seed: int = 0, whole: bool = False, **options: Any
) -> Case:
    """A random network; with small whole numbers it has kinks."""
    dice = np.random.default_rng(seed)

    def draw(*shape: int) -> Any:
        return dice.integers(-2, 3, shape) if whole else dice.standard_normal(shape)

    return Case.of(
        [draw(n, m) for m, n in itertools.pairwise(widths)],
        [None if layer == 1 else draw(n) for layer, n in enumerate(widths[1:], start=1)],
        draw(rows, widths[0]),
        draw(rows, widths[-1]),
        **options,
    )


GOLDEN = """\
Forward

  z1 = w1 · x + b1 = 2 · 1 + 0 = 2
  a1 = ReLU(z1) = max(2, 0) = 2
  z2 = w2 · a1 + b2 = 3 · 2 + 1 = 7
  a2 = ReLU(z2) = max(7, 0) = 7

Loss

  J = ½ (a2 − y)² = ½ (7 − 5)² = 2
  ∂J/∂a2 = a2 − y = 7 − 5 = 2

Layer 2

  ∂a2/∂z2 = ReLU′(z2) = 1    z > 0

  ∂z2/∂w2 = a1 = 2   ∂z2/∂b2 = 1   ∂z2/∂a1 = w2 = 3

  ∂J/∂w2 = ∂J/∂a2 · ∂a2/∂z2 · ∂z2/∂w2 = 2 · 1 · 2 = 4
  ∂J/∂b2 = ∂J/∂a2 · ∂a2/∂z2 · ∂z2/∂b2 = 2 · 1 · 1 = 2
  ∂J/∂a1 = ∂J/∂a2 · ∂a2/∂z2 · ∂z2/∂a1 = 2 · 1 · 3 = 6

Layer 1

  ∂a1/∂z1 = ReLU′(z1) = 1    z > 0

  ∂z1/∂w1 = x = 1   ∂z1/∂b1 = 1   ∂z1/∂x = w1 = 2

  ∂J/∂w1 = ∂J/∂a1 · ∂a1/∂z1 · ∂z1/∂w1 = 6 · 1 · 1 = 6
  ∂J/∂b1 = ∂J/∂a1 · ∂a1/∂z1 · ∂z1/∂b1 = 6 · 1 · 1 = 6
  ∂J/∂x = ∂J/∂a1 · ∂a1/∂z1 · ∂z1/∂x = 6 · 1 · 2 = 12

Result

           by hand   torch  tensorflow     jax
  ───────  ───────  ──────  ──────────  ──────
  J              2       2           2       2
  ∂J/∂w2         4       4           4       4
  ∂J/∂b2         2       2           2       2
  ∂J/∂w1         6       6           6       6
  ∂J/∂b1         6       6           6       6
  ∂J/∂x         12      12          12      12
  verdict           AGREES      AGREES  AGREES

  - torch, eager: AGREES; bit for bit the reference.
  - tensorflow, eager: AGREES; bit for bit the reference.
  - jax, jit: AGREES; bit for bit the reference.
"""


def test_the_worked_example_is_derived_factor_by_factor(crosscheck: Run) -> None:
    code, out, err = crosscheck("explain")
    assert (code, err) == (0, "")
    assert out.startswith("worked-example: the gradient, step by step\n")
    assert GOLDEN in out


def test_a_kink_keeps_its_slope_as_a_symbol_and_shows_each_framework_s(crosscheck: Run) -> None:
    code, out, _ = crosscheck(
        *("explain", "--set", "x=0", "--frameworks", "torch,tensorflow,jax"),
        *("--formulation", "jax=maximum", "--formulation", "tensorflow=maximum"),
    )
    assert code == 0
    text = " ".join(out.split())
    assert "z1 = 0 exactly: ReLU has no derivative here, and any λ1 in [0, 1]" in text
    assert "torch (eager): λ1 = 0." in text
    assert "jax maximum (jit): λ1 = 0.5." in text
    assert "∂J/∂b1 = ∂J/∂a1 · ∂a1/∂z1 · ∂z1/∂b1 = −12 · λ1 · 1 = −12 · λ1\n" in out
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line.strip()}
    assert rows["λ1"][-3:] == ["0", "1", "0.5"]
    assert rows["∂J/∂b1"][-3:] == ["0", "−12", "−6"]
    assert rows["verdict"][1:] == ["KINK"] * 3


def test_a_gate_that_rounding_leaves_open_names_both_sides(crosscheck: Run, tmp_path: Path) -> None:
    case = worked_example(
        x=1 + 2**-12, w1=1 + 2**-12, b1=-(1 + 2**-11), w2=1, b2=1, y=0, dtype="float32"
    )
    write_case(case, tmp_path / "case.json")
    _, out, _ = crosscheck("explain", "--case", "case.json", "--frameworks", "torch,jax")
    assert "z1 = 2⁻²⁴ (0x1.0000000000000p-24) is above zero, so that exactly λ1 = 1" in out
    line = next(line for line in out.splitlines() if line.startswith("  λ1"))
    assert line.split() == ["λ1", "1", "exactly", "0", "(other", "side)", "1"]
    assert "UNDECIDED" in out


# The numbers


CASES = [
    normal((2, 3, 2), seed=6),
    normal((2, 3, 2), rows=3, seed=2, reduction="mean", output="identity"),
    normal((3, 2, 3, 1), rows=2, seed=15, dtype="float32"),
    normal((2, 2, 2), rows=2, seed=6, whole=True),
    normal((3, 3, 3, 2), rows=2, seed=10, whole=True, reduction="mean"),
]
IDS = ["smooth", "mean-identity", "deep-float32", "kinks", "kinks-mean"]


def total(step: Step) -> Any:
    """The sum of products that a step shows."""
    value: Any = 0
    for term in step.terms:
        product: Any = 1
        for factor in term:
            product = factor * product
        value = product + value
    return value


@pytest.mark.parametrize("rational", ["flint", "fractions"])
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_every_step_s_value_is_the_sum_of_its_products(
    case: Case, rational: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if rational == "fractions":
        monkeypatch.setattr(exact_module, "_rational", Fraction)
    derivation = Derivation(case)
    checked = 0
    for layer in range(1, case.network.depth + 1):
        for step in [*derivation.forward_steps(layer), *derivation.gradient_steps(layer)]:
            if step.terms:
                assert Multilinear.of(total(step)) == Multilinear.of(step.value)
                checked += 1
    assert checked > 20


@pytest.mark.parametrize("slope", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_the_entries_are_the_exact_gradient_for_every_slope(case: Case, slope: float) -> None:
    derivation = Derivation(case)
    trace = exact_forward(case)
    gates = [
        np.vectorize(lambda z: float(z > 0) if z != 0 else slope)(z)
        if case.network.has_relu(layer)
        else None
        for layer, z in enumerate(trace.pre_activations, start=1)
    ]
    wanted = dict(exact_gradients(case, trace, gates).entries())
    slopes = {key: Fraction(slope) for key in derivation.symbols} | derivation.exact_sides
    for name in entries_of(derivation.gradients):
        if name.letter == "J":
            continue
        value = Multilinear.of(derivation.entry(name)).at(slopes).constant
        exact = wanted[f"{name.letter}{name.layer or ''}"][name.index]
        assert value == Fraction(int(exact.numerator), int(exact.denominator))


def test_the_cases_have_kinks_that_matter_in_several_layers() -> None:
    layers = set()
    for derivation in map(Derivation, CASES):
        for name in entries_of(derivation.gradients):
            if name.letter != "J":
                slopes = Multilinear.of(derivation.entry(name)).slopes
                layers |= {place.layer for place in slopes}
    assert layers == {1, 2, 3}


def test_the_text_of_a_random_network_holds_the_reference_s_numbers() -> None:
    case = normal((2, 3, 2), rows=2, seed=2)
    out = explain_case(case).render("text").replace("−", "-")
    found = {
        match[1]: float(match[2])
        for match in re.finditer(r"^  ∂J/∂(\S+\])  +(\S+)$", out, flags=re.MULTILINE)
    }
    reference = dict(gradients(case).entries())
    del reference["J"]
    entries = {
        f"{name}[{','.join(map(str, index))}]": value
        for name, array in reference.items()
        for index, value in np.ndenumerate(array)
    }
    assert found.keys() == entries.keys()
    assert {name: f"{value:.5g}" for name, value in found.items()} == {
        name: f"{value:.5g}" for name, value in entries.items()
    }


def test_no_line_of_text_is_longer_than_a_terminal_is_wide() -> None:
    for case in [*CASES, normal((8, 16, 2), rows=4)]:
        for symbolic in (False, case.rows == 1 and max(case.network.widths) == 3):
            out = explain_case(case, [Faulty(scaled_gradient)], symbolic=symbolic).render("text")
            assert max(map(len, out.splitlines())) <= 80


def test_matrices_that_do_not_fit_a_line_are_broken_one_by_one() -> None:
    case = normal((3, 3, 3, 3), seed=1)
    out = explain_case(case).render("text")
    given = out.split("Given\n\n")[1].split("\n\n")[0]
    assert max(map(len, given.splitlines())) <= 80
    names = re.findall(r"([Wbxy]\d?) [=≈]", given)
    assert names == ["x", "W1", "W2", "b2", "W3", "b3", "y"]
    numbers = re.findall(r"(?<![Wbxy\d.])\d+(?:\.\d+)?", given)
    assert len(numbers) == sum(array.size for _, array in case.entries())


# Overflow


def test_a_gate_whose_sum_may_overflow_is_not_called_near_to_zero() -> None:
    large = Case.of([[[1e308, 1e308, -1e308]]], None, [[1, 1, 1]], [[1]])
    for case, shown in ((worked_example(x=1e200, w1=1e150), "1e+350"), (large, "1e+308")):
        out = " ".join(explain_case(case).render("text").split())
        assert f"≈ {shown} " in out
        assert "But a correct evaluation may overflow on its way there." in out
        assert "closer to zero" not in out


def test_a_gate_above_an_overflow_may_be_one_of_it() -> None:
    case = Case.of([[[1e200], [1.0]], [[0.0, 1.0]]], None, [[1e150]], [[1.0]])
    derivation = Derivation(case)
    assert derivation.may_overflow(1, 0, 0)
    assert not derivation.may_overflow(1, 0, 1)
    assert derivation.may_overflow(2, 0, 0)


def test_a_large_network_that_overflows_is_refused_in_one_line() -> None:
    case = normal((64, 128, 64, 2), rows=8)
    large = dataclasses.replace(case, weights=tuple(weight * 1e160 for weight in case.weights))
    with pytest.raises(UsageError, match="shown in float64, where it overflows"):
        explain_case(large)


# Frameworks beside it


def test_a_gradient_that_is_off_is_shown_with_its_distance_and_its_bits() -> None:
    document = explain_case(worked_example(), [Faulty(scaled_gradient)])
    out = document.render("text")
    assert document.failed
    assert re.search(r"∂J/∂w2 +4 +4 \(\+4\.29e\+09 ulp\)", out)
    assert "0x1.0000100000000p+2" in out
    assert "DISAGREES" in out


def test_a_framework_that_is_right_at_a_kink_has_no_distance() -> None:
    out = explain_case(worked_example(x=0.0), [Faulty(not_strict)]).render("text")
    assert "ulp" not in out
    assert re.search(r"∂J/∂b1 +−12 · λ1 +−12\n", out)


def test_what_is_expected_takes_the_framework_s_own_slopes() -> None:
    derivation = Derivation(worked_example(x=0.0))
    names = {str(name): name for name in entries_of(derivation.gradients)}
    given = not_strict(worked_example(x=0.0))
    verdict = Judge(worked_example(x=0.0)).verdict(given, framework="faulty")
    assert expected(derivation, names["b1[0]"], verdict) == -12.0
    none = dataclasses.replace(verdict, gates=())
    assert expected(derivation, names["b1[0]"], none) == 0.0


def test_a_framework_that_raises_leaves_its_column_empty() -> None:
    def raising(case: Case) -> Gradients:
        raise RuntimeError("no memory")

    document = explain_case(worked_example(), [Faulty(raising), Faulty(correct)])
    out = document.render("text")
    assert document.failed
    assert "CRASHED; RuntimeError: no memory" in out
    assert re.search(r"∂J/∂w2 +4 +— +4\n", out)


def test_an_unsupported_dtype_is_no_failure() -> None:
    document = explain_case(worked_example(dtype="float16"), [Faulty(correct)])
    assert "UNSUPPORTED" in document.render("text")
    assert not document.failed


def test_a_disagreement_ends_the_command_with_1(
    crosscheck: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Torch(Faulty):
        name = "torch"

        def __init__(self, **settings: str | None) -> None:
            super().__init__(scaled_gradient)

    monkeypatch.setattr("crosscheck.frameworks.registry._load", lambda name, values: Torch)
    assert crosscheck("explain", "--frameworks", "torch")[0] == 1


# Larger networks


def test_a_larger_network_shows_an_entry_with_its_largest_terms_first() -> None:
    case = normal((8, 12, 9, 2), rows=9, seed=6)
    entry = "W2[8,3]"
    document = explain_case(case, [Faulty(correct)], entry=entry)
    out = document.render("text").replace("−", "-")
    assert "Overview" in out
    assert "Forward" not in out
    derivation = Derivation(case)
    step = derivation.entry_step(find_entry(entry, case))
    products = [float(total(dataclasses.replace(step, terms=(term,)))) for term in step.terms]
    assert sum(product != 0 for product in products) > 2
    table = out.split("row r ")[1].split("\n\n")[0].splitlines()[2:]
    shown = [float(line.split()[-1]) for line in table[:6]]
    assert shown == sorted(shown, key=abs, reverse=True)
    wanted = sorted(products, key=abs, reverse=True)
    assert [f"{value:.5g}" for value in shown] == [f"{value:.5g}" for value in wanted[:6]]
    assert table[6].startswith("  3 others")
    assert f"{float(table[6].split()[-1]):.5g}" == f"{sum(wanted[6:]):.5g}"
    reference = float(gradients(case).weights[1][8, 3])
    assert f"{float(table[7].split()[-1]):.5g}" == f"{reference:.5g}"
    # From there it goes up to the loss, along the largest terms.
    assert re.findall(r"The largest term: layer (\d)", out) == ["2", "3"]


def test_the_worst_entry_of_a_wrong_framework_is_looked_into_unasked() -> None:
    def one_wrong(case: Case) -> Gradients:
        right = gradients(case)
        right.weights[1][1, 2] += 1.0
        return right

    out = explain_case(normal((8, 12, 2)), [Faulty(one_wrong)]).render("text")
    assert "The entry W2[1,2]" in out


def test_a_very_large_network_is_explained_in_rounded_numbers() -> None:
    case = normal((64, 128, 64, 2), rows=8)
    x = gradients(case).x
    row, column = np.unravel_index(int(np.argmax(np.abs(x))), x.shape)
    out = explain_case(case, entry=f"x[{row},{column}]").render("text")
    assert "the numbers here are float64 and rounded" in " ".join(out.split())
    found = re.search(rf"  ∂J/∂x\[{row},{column}\]  +(\S+)\n", out.replace("−", "-"))
    assert found is not None
    assert f"{float(found[1]):.4g}" == f"{float(x[row, column]):.4g}"


# Closed formulas


@pytest.mark.parametrize(
    "case", [worked_example(), worked_example(x=0.0), normal((2, 2, 1), seed=3)]
)
def test_closed_formulas_have_sympy_s_values(case: Case) -> None:
    out = explain_case(case, symbolic=True).render("text").replace("−", "-")
    section = out.split("Closed formulas, by SymPy")[1].split("\nResult")[0]
    pieces = re.split(r"\n  (?=∂J|J)", section)
    values = [piece.split()[-1] for piece in pieces[1:]]
    wanted = [
        nearest_float(value)
        for _, array in sympy_gradients(case).entries()
        for value in np.asarray(array).ravel()
    ]
    assert [f"{float(value):.5g}" for value in values] == [f"{value:.5g}" for value in wanted]
    assert "H(" in section
    assert "max(" in section


def test_closed_formulas_of_a_large_network_are_refused() -> None:
    with pytest.raises(UsageError, match="paths"):
        explain_case(normal((8, 12, 2)), symbolic=True)


# Which case, which entry


def test_a_case_of_a_report_is_explained_with_the_formulations_of_the_run(crosscheck: Run) -> None:
    arguments = ("--frameworks", "torch", "--formulation", "torch=clamp")
    crosscheck("run", "--case", "worked-example", *arguments, "--report", "reports/latest")
    key = worked_example(x=0.0).key
    for source in ("reports/latest", "reports/latest/report.json"):
        code, out, _ = crosscheck("explain", "--from", source, key[:8], "--frameworks", "torch")
        assert code == 0
        assert out.startswith("worked-example at x = 0 (z1 = 0) " + key)
        assert "torch clamp (eager): λ1 = 1." in " ".join(out.split())
    _, out, _ = crosscheck(
        *("explain", "--from", source, key, "--frameworks", "torch"),
        *("--formulation", "torch=relu"),
    )
    assert "torch (eager): λ1 = 0." in " ".join(out.split())


def test_an_array_of_one_number_needs_no_index() -> None:
    case = worked_example()
    names = [str(find_entry(text, case)) for text in ("w2", "W2[0,0]", "b1", "dJ/dx", "x[0, 0]")]
    assert names == ["W2[0,0]", "W2[0,0]", "b1[0]", "x[0,0]", "x[0,0]"]


def test_changed_entries_are_where_they_should_be() -> None:
    case = normal((2, 3, 2), rows=2)
    changed = with_changes(case, {"W2[1,2]": 5.0, "b2[0]": 6.0, "x[1,0]": 7.0, "y[0,1]": 8.0})
    before, after = dict(case.entries()), dict(changed.entries())
    moved = {
        (name, index): float(after[name][index])
        for name in before
        for index in np.ndindex(*before[name].shape)
        if before[name][index] != after[name][index]
    }
    assert moved == {
        ("W2", (1, 2)): 5.0,
        ("b2", (0,)): 6.0,
        ("x", (1, 0)): 7.0,
        ("y", (0, 1)): 8.0,
    }


BAD = [
    (("--entry", "W3[0,0]"), "wanted an entry such as W1[0,0] of W1, b1, W2, b2, x"),
    (("--entry", "W2[0,1]"), "indices start at 0, the last is W2[0,0]"),
    (("--entry", "W2[0]"), "wanted an index as in W2[0,0]"),
    (("--entry", "y[0,0]"), "wanted an entry such as"),
    (("--entry", "?"), "wanted an entry such as"),
    (("--set", "x"), "wanted ENTRY=NUMBER"),
    (("--set", "x=nought"), "wanted ENTRY=NUMBER"),
    (("--set", "x=nan"), "wanted a finite number"),
    (("--set", "q=1"), "wanted an entry such as"),
    (("--case", "none.json"), "no such file"),
    (("--from", "nowhere.json", "abc"), "no such file; wanted a report.json"),
    (("--from", "odd.json", "abc"), "not a report"),
    (("--from", "two.json", "ab"), "several keys begin with 'ab': ab"),
    (("--from", "two.json", "x"), "no case has the key 'x'; kept are ab"),
    (("--from", "two.json", "abd"), "too large to be kept in a report"),
    (("--case", "worked-example", "--from", "two.json", "abc"), "wanted one of them"),
    (("--format", "pdf"), "pdf"),
    (("--frameworks", "tourch"), "did you mean 'torch'"),
]


REPORT = {
    "schema_version": 4,
    "run": {
        **{"command": "crosscheck run", "profile": "", "seed": None, "dtypes": ["float64"]},
        **{"environment": {}, "exit_code": 5, "reason": "", "seconds": 1.0, "cases": 0},
        **{"distinct_cases": 0, "failing_cases": 0, "cases_not_kept": 0},
    },
    **{"frameworks": [], "verdicts": [], "error_over_bound": [], "relu_boundary": []},
    **{"validity": [], "not_checked": [], "asked_again": [], "certified": [], "policies": []},
    "cases": [
        {
            **{"key": key, "part": "given", "label": "", "shrunk": False},
            **{"case": None, "reference": None, "verdicts": []},
        }
        for key in ("abc4567890123456", "abd4567890123456")
    ],
}
"""A report with two cases that are too large to be kept."""


@pytest.mark.parametrize(("arguments", "complaint"), BAD, ids=[" ".join(each) for each, _ in BAD])
def test_wrong_usage_gets_one_line_and_exit_code_4(
    arguments: tuple[str, ...], complaint: str, crosscheck: Run
) -> None:
    Path("odd.json").write_text("{")
    Path("two.json").write_text(sweeping.resealed(REPORT))
    code, out, err = crosscheck("explain", *arguments)
    assert (code, out) == (4, "")
    assert err.count("\n") == 1
    assert complaint in err


def test_what_cannot_be_derived_is_refused() -> None:
    with pytest.raises(UsageError, match="holds NaN or infinity"):
        explain_case(worked_example(x=float("inf")))
    stack = Case.of([np.ones((2, 1, 1))], None, np.ones((2, 1, 1)), np.ones((2, 1, 1)))
    with pytest.raises(UsageError, match="a stack of 2"):
        explain_case(stack)
    with pytest.raises(UsageError, match="wanted one of text, markdown, latex, html"):
        explain_case(worked_example()).render("pdf")  # type: ignore[arg-type]


def test_no_framework_is_needed(crosscheck: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, values: object) -> type[Framework]:
        raise AssertionError(f"{name} was loaded")

    monkeypatch.setattr("crosscheck.frameworks.registry._load", refuse)
    code, out, _ = crosscheck("explain", "--frameworks", "none")
    assert code == 0
    assert "No framework was asked." in out


def test_help_has_examples(crosscheck: Run) -> None:
    _, out, _ = crosscheck("explain", "--help")
    assert "crosscheck explain --set x=0 --symbolic" in out


# Numbers and polynomials


@pytest.mark.parametrize(
    ("value", "parts", "exact"),
    [
        (Fraction(4), ("4",), True),
        (Fraction(-1, 4), ("0.25",), True),
        (Fraction(1, 2**24), ("-24",), True),
        (Fraction(2) ** 40, ("40",), True),
        (Fraction(1, 3), ("1", "3"), True),
        (Fraction(1) + Fraction(1, 2**12), ("1.00024",), False),
        (Fraction(1, 3000), ("0.000333333",), False),
        (Fraction(3, 2**60), ("2.60209", "-18"), False),
        (Fraction(3) ** 1000, ("1.32207", "477"), False),
        (Fraction(10) ** 616 / 2 + 1, ("5", "615"), False),
        (Fraction(10) ** 400 - 1, ("1", "400"), False),
        (1 / (Fraction(10) ** 400 * 2 + 1), ("5", "-401"), False),
    ],
    ids=str,
)
def test_a_number_is_written_exactly_where_that_is_short(
    value: Fraction, parts: tuple[str, ...], exact: bool
) -> None:
    written = numeral(value)
    assert (written.parts, written.exact) == (parts, exact)


def test_a_polynomial_in_slopes_is_an_exact_number_for_each_slope() -> None:
    one, two = slope_symbol((1, 0, 0)), slope_symbol((2, 0, 0))
    found = (3 * one + 1) * two - one / 2
    at = {(1, 0, 0): Fraction(1, 2), (2, 0, 0): Fraction(1, 4)}
    assert found.at(at).constant == Fraction(3, 8)
    assert found.at({(2, 0, 0): Fraction(0)}) == -one / 2
    assert found.slopes == ((1, 0, 0), (2, 0, 0))
    assert (one - one).constant == 0
    with pytest.raises(ValueError, match="squared"):
        one * one
