"""Networks of operators in runs: the gate, failures made small, scripts, files, and complaints."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from crosscheck.cases.composed import plans, seeded_composed
from crosscheck.cases.profiles import Profile, profile
from crosscheck.cli import main
from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.gatekeeper import ask
from crosscheck.frameworks.refusals import Refused
from crosscheck.frameworks.registry import open_frameworks
from crosscheck.frameworks.script import exact_entry, script
from crosscheck.judge.programs.judge import ProgramJudge
from crosscheck.judge.verdict import Kind
from crosscheck.network.composed import Composed, Derivatives
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.files import read_any_case, read_case, write_case
from crosscheck.network.reference import gradients
from crosscheck.network.steps import step
from crosscheck.run.checker import Checker
from crosscheck.run.crosscheck import check_generated
from crosscheck.run.events import CaseChecked, Event
from crosscheck.run.failure import case_as_python, failure_text
from crosscheck.studies.steps import wrong_gradient
from crosscheck.tools.errors import UsageError


class Ours(Framework):
    """The reference's own numbers, spoilt."""

    name: ClassVar[str] = "ours"
    module: ClassVar[str] = "numpy"
    packages: ClassVar[tuple[str, ...]] = ("numpy",)
    dtypes: ClassVar[tuple[str, ...]] = ("float64", "float32")

    def __init__(self, spoil: Callable[[Composed, Derivatives], Any]) -> None:
        super().__init__()
        self.spoil = spoil

    def gradients(self, case: Any) -> Gradients:
        """Not for dense networks."""
        raise NotImplementedError

    def derivatives(self, case: Composed) -> Derivatives:
        """See `Framework.derivatives`."""
        if case.count is not None:
            found = [wrong_gradient(case[index], None) for index in range(case.count)]
            whole = Derivatives(
                np.array([float(each.loss) for each in found]),
                {name: np.stack([each.arrays[name] for each in found]) for name in case.wanted},
            )
        else:
            whole = wrong_gradient(case, None)
        spoilt: Derivatives = self.spoil(case, whole)
        return spoilt


def right(case: Composed, given: Derivatives) -> Derivatives:
    return given


def doubled(case: Composed, given: Derivatives) -> Derivatives:
    name = case.wanted[0]
    return Derivatives(given.loss, {**given.arrays, name: 2.0 * given.arrays[name]})


def example(**attributes: Any) -> Composed:
    steps = (
        step("z", "dense", "x", "W", "b"),
        step("a", "leaky_relu", "z", slope=0.25),
        step("loss", "squared_error", "a", "y", **attributes),
    )
    return Composed.of(
        steps,
        {"W": [[1.0, -2.0], [0.5, 1.0]], "b": [0.0, 1.0]},
        {"x": [[1.0, 0.25], [-1.5, 2.0], [3.0, 1.0]], "y": [[1.0, 0.0]] * 3},
    )


def without_names(case: Composed, given: Derivatives) -> Any:
    return Derivatives(given.loss, {"W": given.arrays["W"]})


def of_float32(case: Composed, given: Derivatives) -> Any:
    return given.map(lambda array: array.astype(np.float32))


def changing(case: Composed, given: Derivatives) -> Any:
    case.parameters["W"][0, 0] = 0.0
    return given


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda case, given: given.arrays, "dict returned, wanted crosscheck.Derivatives"),
        (without_names, "derivatives by W returned, wanted W, b, x"),
        (of_float32, "J: float32 array of shape () returned"),
        (changing, "it changed W of the case in place"),
    ],
)
def test_the_gate_lets_nothing_else_in(spoil: Any, reason: str) -> None:
    found = ask(Ours(spoil), example())
    assert isinstance(found, Refused)
    assert found.kind is Kind.CRASHED
    assert found.reason.startswith(reason)


def test_an_adapter_for_dense_networks_alone_is_unsupported() -> None:
    class Dense(Ours):
        derivatives = Framework.derivatives

    found = ask(Dense(right), example())
    assert isinstance(found, Refused)
    assert found.kind is Kind.UNSUPPORTED


def test_what_fails_is_made_small_and_told_with_its_operators() -> None:
    events: list[Event] = []
    checker = Checker(
        [Ours(right), type("Wrong", (Ours,), {"name": "wrong"})(doubled)], events.append
    )
    stack = seeded_composed(1, plans(["leaky_relu", "huber"])[0], 4, "float64")
    checker.check_stack(stack, "smooth", "stack")
    assert checker.failed
    shrunk = [each for each in events if isinstance(each, CaseChecked) and each.shrunk]
    assert shrunk
    (ours, wrong) = shrunk[0].verdicts
    assert ours.kind is not Kind.DISAGREES
    assert wrong.kind is Kind.DISAGREES
    assert shrunk[0].case.rows == 1
    text = failure_text(shrunk[0], note="smallest")
    assert "leaky_relu" in text
    assert "worst entry W_z1" in text or "worst entry b_" in text


def test_source_that_builds_a_case_builds_it() -> None:
    case = example(factor="1/3", reduction="rows")
    names: dict[str, Any] = {}
    exec(case_as_python(case), names)
    assert names["case"].key == case.key


@pytest.mark.parametrize("name", ["torch", "jax", "tensorflow"])
def test_a_script_needs_its_framework_only_and_prints_the_entry(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip(name)
    (framework,), _ = open_frameworks([name])
    case = example()
    given = ask(framework, case)
    verdict = ProgramJudge(case).verdict(doubled(case, given), framework=name)
    text = script(case, framework, verdict)
    assert text is not None
    assert "crosscheck" not in text
    assert verdict.worst is not None
    exec(text, {})
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"dJ/d{verdict.worst.name}:")
    exact = exact_entry(case, verdict.worst.name)
    assert float(said[0].split(":")[1]) == pytest.approx(float(exact), rel=2.0**-40)
    assert float(said[1].split(":")[1]) == float(exact)


def test_files_are_read_as_they_are_written(tmp_path: Path) -> None:
    for number, plan in enumerate(plans()[::3]):
        case = seeded_composed(number, plan, 1, "float32")[0]
        write_case(case, tmp_path / "case.json")
        assert read_any_case(tmp_path / "case.json").key == case.key
    with pytest.raises(UsageError, match="wanted a dense network here"):
        read_case(tmp_path / "case.json")
    with pytest.raises(UsageError, match=r"wanted \.json"):
        write_case(example(), tmp_path / "case.npz")


GOOD = {
    "program": [
        {"id": "z", "op": "dense", "inputs": ["x", "W"]},
        {"id": "loss", "op": "huber", "inputs": {"a": "z", "y": "y"}},
    ],
    "parameters": {"W": [[1, 2]]},
    "inputs": {"x": [[1, 2]], "y": [[1]]},
}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"version": 2}, "version is the number 2, wanted 1"),
        ({"programs": []}, "unknown key 'programs'"),
        ({"program": []}, "program is an empty list, wanted a list of steps"),
        ({"program": [{"id": "z", "op": "densee", "inputs": []}]}, "did you mean 'dense'"),
        ({"program": [{"op": "dense"}]}, "program[0].id is null, wanted a string"),
        ({"program": [{"id": "z", "op": "dense", "inputs": {"q": "x"}}]}, "dense has no 'q'"),
        (
            {
                "program": [
                    {"id": "l", "op": "huber", "inputs": ["x", "y"], "attributes": {"delta": 0}}
                ]
            },
            "delta=0, wanted a positive number",
        ),
        (
            {
                "program": [
                    {"id": "l", "op": "huber", "inputs": ["x", "y"], "attributes": {"delta": 1e200}}
                ]
            },
            "delta=1e+200, wanted at most 1e+154",
        ),
        (
            {
                "program": [
                    {
                        "id": "l",
                        "op": "huber",
                        "inputs": ["x", "y"],
                        "attributes": {"factor": "1e400"},
                    }
                ]
            },
            "'1e400': wanted a finite number, within float64",
        ),
        ({"inputs": {"x": [[1, 2]], "y": [[1, 2], [3]]}}, "wanted rows of one length"),
        ({"inputs": {"x": [[1, "nan"]], "y": [[1]]}}, "x[0,1] is nan, wanted a finite number"),
        ({"parameters": {"W": [[1, 2]], "V": [[1]]}}, "'V' is used by no step"),
        ({"parameters": {"W": [[1, 2, 3]]}}, "contract: shapes (1, 2) and (3, 1)"),
    ],
)
def test_a_bad_file_gets_one_line_and_exit_code_4(
    change: dict[str, Any], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "case.json"
    path.write_text(json.dumps({**GOOD, **change}))
    assert main(["run", "--case", str(path)]) == 4
    said = capsys.readouterr().err
    assert complaint in said
    assert str(path) in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("sweep", "--program", "case.json", "--widths", "2,1"), "leave --widths out"),
        (("sweep", "--program", "case.json", "--resume"), "from the start"),
        (("explain", "--case", "case.json", "--entry", "W[0,0]"), "wanted a dense one"),
        (("power", "--program", "worked-example"), "wanted one of operators"),
    ],
)
def test_what_networks_of_operators_cannot_be_asked_is_said_in_a_line(
    words: tuple[str, ...],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("case.json").write_text(json.dumps(GOOD))
    assert main(words) == 4
    said = capsys.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1


def _overflowing(width: int, weight: float, x: float) -> ProgramJudge:
    steps = (
        step("z", "dense", "x", "W"),
        step("a", "leaky_relu", "z"),
        step("o", "dense", "a", "V"),
        step("l", "squared_error", "o", "y"),
    )
    parameters = {"W": np.full((width, 1), weight), "V": np.ones((1, width))}
    inputs = {"x": np.array([[np.float32(x)]], dtype=np.float64), "y": np.ones((1, 1))}
    return ProgramJudge(Composed(steps, parameters, inputs, dtype="float32"))


@pytest.mark.parametrize("width", [1, 48])
@pytest.mark.parametrize("factor", [1.0, 0.0, 2.0, -1.0])
def test_what_has_no_bound_is_not_said_to_be_explained(width: int, factor: float) -> None:
    judge = _overflowing(width, 1e5, 1e30)
    verdict = judge.verdict(judge.reference.map(lambda array: factor * array), framework="mine")
    assert verdict.kind is Kind.UNSUPPORTED
    assert not verdict.checked
    assert "may overflow" in verdict.detail


@pytest.mark.parametrize("width", [1, 48])
@pytest.mark.parametrize(
    ("factor", "kind"),
    [(1.0, Kind.UNSUPPORTED), (0.0, Kind.DISAGREES), (2.0, Kind.DISAGREES), (-1.0, Kind.DISAGREES)],
)
def test_what_has_a_bound_is_compared_though_something_else_may_overflow(
    width: int, factor: float, kind: Kind
) -> None:
    judge = _overflowing(width, 1.0, 1e25)
    verdict = judge.verdict(judge.reference.map(lambda array: factor * array), framework="mine")
    assert verdict.kind is kind


# -- networks of operators that are named --------------------------------------------------------


def test_networks_are_drawn_of_the_operators_that_are_named() -> None:
    events: list[Event] = []
    drawn = profile("quick").limited(12).of_operators()
    names = ("prelu", "hinge")
    checker = Checker([Ours(right)], events.append)
    check_generated(checker, drawn, seed=1, dtypes=("float64",), operators=names)
    assert not checker.failed
    told = [event.case for event in events if isinstance(event, CaseChecked)]
    steps = [{each.op for each in case.steps} for case in told if isinstance(case, Composed)]
    assert steps
    assert all({"prelu", "hinge"} <= each <= {"dense", "prelu", "hinge", "add"} for each in steps)


def test_what_is_made_smaller_fails_as_it_did() -> None:
    def spoil(case: Composed, given: Derivatives) -> Derivatives:
        """Wrong by itself, an error where most of the case is zeros, and right where all is."""
        count = sum(int(np.count_nonzero(array)) for _, array in case.entries())
        if not count:  # what is drawn first, and would be all that is found
            return given
        if count < 6:
            raise ValueError("too small")
        return doubled(case, given)

    events: list[Event] = []
    checker = Checker([Ours(spoil)], events.append)
    drawn = profile("quick").limited(12).of_operators()
    check_generated(checker, drawn, seed=1, dtypes=("float64",), operators=("prelu",))
    found = [each for each in events if isinstance(each, CaseChecked) and each.shrunk]
    first = [each for each in events if isinstance(each, CaseChecked) and not each.shrunk]
    assert found
    assert {each.verdicts[0].kind for each in found} <= {each.verdicts[0].kind for each in first}
    assert Kind.DISAGREES in {each.verdicts[0].kind for each in found}


def test_run_takes_operators(tmp_path: Path) -> None:
    words = ["run", "--operators", "gelu", "--frameworks", "torch", "--max-examples", "16"]
    words += ["--dtype", "float32", "--seed", "3", "--report", str(tmp_path)]
    assert main(words) == 0
    told = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert "--operators gelu" in told["run"]["command"]


def test_an_operator_that_there_is_not_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--operators", "gelus"]) == 4
    assert "did you mean 'gelu'?" in capsys.readouterr().err


def zeros(case: Composed, given: Derivatives) -> Derivatives:
    return given.map_derivatives(np.zeros_like)


@pytest.mark.parametrize("width", [3, 24])
@pytest.mark.parametrize("spoil", [right, zeros])
def test_a_network_that_chance_left_unchecked_is_asked_with_ordinary_numbers(
    spoil: Callable[[Composed, Derivatives], Any], width: int
) -> None:
    plan = plans(["gelu", "squared_error"], width=width)[0]
    shapes = {**plan.parameters, **plan.inputs}
    arrays = {name: np.ones(shape) for name, shape in shapes.items()}
    arrays |= {"W_out": np.zeros(shapes["W_out"]), "b_out": np.zeros(shapes["b_out"])}
    arrays["y"] = np.array([[0.1] * 2, [0.2] * 2, [-0.3] * 2])  # adds up to next to nothing
    cancelling = plan.case(arrays, "float32")
    dense = Case.of([[[2.0]], [[3.0]]], [[0.0], [1.0]], x=[[1.0]], y=[[5.0]], dtype="float32")

    class Both(Ours):
        def gradients(self, case: Any) -> Gradients:
            found: Gradients = gradients(case)
            return found

    checker = Checker([Both(spoil)], lambda _: None)
    checker.check_case(dense, "smooth", "worked")
    (verdict,) = checker.check_case(cancelling, "smooth", "cancelling")
    assert verdict.unchecked == ("W_out", "b_out")
    never = checker.coverage.never()
    assert f"of float32 dense({width}) gelu" in never
    check_generated(checker, Profile("none", 0, 0, 0, 0), seed=1, dtypes=["float32"])
    assert checker.failed is (spoil is zeros)
    assert not checker.coverage.never()
