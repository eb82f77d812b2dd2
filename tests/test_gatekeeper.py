"""Whatever a framework returns or does instead, there is a verdict that says so, on every road."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import faulty
import numpy as np
import processes
import pytest

from crosscheck.cases.stream.families import Mix
from crosscheck.cases.stream.generate import block
from crosscheck.cases.stream.settings import Part, Settings, Shape
from crosscheck.cli import main
from crosscheck.explain.answers import ask as explained
from crosscheck.frameworks import gatekeeper, registry
from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.gatekeeper import ask, ask_batch, required
from crosscheck.frameworks.jax_batched import JaxBatched
from crosscheck.frameworks.lent import SHARE
from crosscheck.frameworks.refusals import CrashedError, Refused
from crosscheck.judge.door import judge
from crosscheck.judge.verdict import Kind, Verdict
from crosscheck.network.batch import Batch
from crosscheck.network.dense import Case, Gradients, Network, worked_example
from crosscheck.network.reference import gradients
from crosscheck.network.tree import LEFT_OUT
from crosscheck.numbers.formats import format_of
from crosscheck.run.answers import verdict_of
from crosscheck.run.checker import Checker
from crosscheck.run.checking import compare_implementations
from crosscheck.run.environment import keeps_subnormals
from crosscheck.run.events import CaseChecked
from crosscheck.run.sweep.check import check_part
from crosscheck.run.sweep.fast import batched_gradients
from crosscheck.studies import power
from crosscheck.studies.conventions import measure as measuring
from crosscheck.studies.conventions.apart import Found
from crosscheck.studies.conventions.table import Key, Wanted
from crosscheck.studies.power import gaussian_stack
from crosscheck.studies.precision.measure import influence
from crosscheck.tools.errors import UnsupportedError
from crosscheck.tools.interrupts import interrupts

Plant = Callable[[Case, Gradients], Any]


class Planted(faulty.Faulty):
    """Computes correctly, and then does something else."""

    name = "planted"

    def __init__(self, plant: Plant, **options: Any) -> None:
        super().__init__(faulty.correct)
        self._plant = plant

    def gradients(self, case: Case) -> Any:
        return self._plant(case, super().gradients(case))


def weights(change: Callable[[Any], Any]) -> Plant:
    """A change of the first dJ/dW only."""
    return lambda case, right: replace(right, weights=(change(right.weights[0]), right.weights[1]))


def with_loss(loss: Any) -> Plant:
    return lambda case, right: replace(right, loss=loss)


def iter_of(arrays: Any) -> Any:
    return (array for array in arrays)


class Own(np.ndarray):
    pass


class Quit(BaseException):
    pass


class Mumbling(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


def raising(error: BaseException) -> Plant:
    def plant(case: Case, right: Gradients) -> Any:
        raise error

    return plant


def exits(case: Case, right: Gradients) -> Any:
    sys.exit(0)


def zeroed(case: Case, right: Gradients) -> Any:
    """What would pass: everything is zero, and so is the gradient at the zeros."""
    for _, array in case.entries():
        array[...] = 0.0
    return gradients(case)


def zeroed_weights_afterwards(case: Case, right: Gradients) -> Any:
    for weight in case.weights:
        weight[...] = 0.0
    return right


def one_bit(case: Case, right: Gradients) -> Any:
    case.y[..., -1] = np.nextafter(case.y[..., -1], np.inf)
    return right


SINGLE: dict[str, tuple[Plant, str]] = {
    "complex": (weights(lambda w: w + 5j), "W1: complex128 array of shape (1, 1) returned, wanted"),
    "strings": (weights(lambda w: w.astype(str)), "W1: <U32 array of shape (1, 1) returned"),
    "objects": (weights(lambda w: w.astype(object)), "W1: object array of shape (1, 1) returned"),
    "masked": (weights(np.ma.asarray), "W1: float64 MaskedArray of shape (1, 1) returned"),
    "matrix": (weights(np.asmatrix), "W1: float64 matrix of shape (1, 1) returned"),
    "subclass": (weights(lambda w: w.view(Own)), "W1: float64 Own of shape (1, 1) returned"),
    "float32": (weights(lambda w: w.astype("f4")), "W1: float32 array of shape (1, 1) returned"),
    "swapped": (weights(lambda w: w.astype(">f8")), "W1: >f8 array of shape (1, 1) returned"),
    "list": (weights(lambda w: [[1.0], [1.0, 2.0]]), "W1: list returned, wanted a float64 array"),
    "none": (weights(lambda w: None), "W1: None returned, wanted a float64 array of shape (1, 1)"),
    "shape": (weights(lambda w: w[0]), "W1: float64 array of shape (1,) returned, wanted"),
    "left-out": (weights(lambda w: LEFT_OUT), "W1: LeftOut returned, wanted a float64 array"),
    "short": (
        lambda case, right: replace(right, weights=right.weights[:1]),
        "W: 1 arrays returned, wanted a tuple with one for each of 2 layers",
    ),
    "long": (lambda case, right: replace(right, biases=(None,) * 3), "b: 3 arrays returned"),
    "generator": (
        lambda case, right: replace(right, weights=iter_of(right.weights)),
        "W: generator returned, wanted a tuple with one for each of 2 layers",
    ),
    "no-bias": (lambda case, right: replace(right, biases=(None, None)), "b1: None returned"),
    "tuple": (lambda case, right: (right.weights, right.biases), "tuple returned, wanted"),
    "nothing": (lambda case, right: None, "None returned, wanted crosscheck.Gradients"),
    "loss": (lambda case, right: replace(right, loss="2"), "J: str returned"),
    "zeroed": (zeroed, "it changed W1, b1, W2, b2, x, y of the case in place"),
    "afterwards": (zeroed_weights_afterwards, "it changed W1, W2 of the case in place"),
    "one-bit": (one_bit, "it changed y of the case in place"),
    "exit": (exits, "SystemExit: 0"),
    "quit": (raising(Quit("enough\nof it")), "Quit: enough"),
    "generator-exit": (raising(GeneratorExit()), "GeneratorExit"),
    "mumbling": (raising(Mumbling()), "Mumbling:"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("name", SINGLE)
def test_what_is_no_gradient_is_a_crash_with_the_reason(name: str) -> None:
    plant, reason = SINGLE[name]
    case = worked_example(x=1.25, b1=0.5)
    before = case.key
    verdict = verdict_of(Planted(plant), case, judge(case))
    assert (verdict.kind, verdict.detail[: len(reason)]) == (Kind.CRASHED, reason)
    assert "\n" not in verdict.detail
    assert case.key == before


def test_the_same_adapter_without_a_plant_agrees() -> None:
    case = worked_example()
    for loss in (2.0, np.float64(2.0), np.float32(2.0), np.array(2.0)):
        right = Planted(with_loss(loss))
        assert verdict_of(right, case, judge(case)).kind is Kind.AGREES


def test_numbers_between_those_of_the_dtype_were_not_computed_in_it() -> None:
    case = worked_example(x=0.1, dtype="float32")
    finer = Planted(weights(lambda w: w * (1 + 2.0**-40)))
    verdict = verdict_of(finer, case, judge(case))
    assert verdict.kind is Kind.CRASHED
    assert "which is no float32 number" in verdict.detail
    for special in (np.inf, np.nan, -0.0, 2.0**-149):
        found = ask(Planted(weights(partial(np.full_like, fill_value=special))), case)
        assert isinstance(found, Gradients)


def test_a_bias_that_the_case_does_not_have_has_no_derivative() -> None:
    case = Case.of([[[2.0]], [[3.0]]], None, [[1.0]], [[5.0]])
    given = Planted(lambda case, right: replace(right, biases=(np.zeros(1), None)))
    reason = "b1: float64 array of shape (1,) returned, wanted None: there is no bias"
    assert ask(given, case) == Refused(Kind.CRASHED, reason)
    assert isinstance(ask(Planted(lambda case, right: right), case), Gradients)


def test_what_is_admitted_is_a_copy() -> None:
    buffer = np.zeros((1, 1))
    found = ask(Planted(weights(lambda w: buffer)), worked_example())
    buffer[...] = 7.0
    assert isinstance(found, Gradients)
    assert found.weights[0] == 0.0


def test_an_interrupt_that_nobody_sent_is_a_crash_and_that_of_the_user_is_none() -> None:
    raises = Planted(raising(KeyboardInterrupt()))
    with processes.interruptible(), interrupts():
        found = ask(raises, worked_example())
    assert found == Refused(Kind.CRASHED, "KeyboardInterrupt")

    def asked() -> None:
        with processes.interruptible(), interrupts():
            ask(Planted(lambda case, right: signal.raise_signal(signal.SIGINT)), worked_example())

    with pytest.raises(KeyboardInterrupt):
        asked()


def test_what_a_library_makes_of_numpys_errors_it_makes_for_itself() -> None:
    def plant(case: Case, right: Gradients) -> Any:
        np.seterr(all="raise")
        return right

    before = np.geterr()
    assert isinstance(ask(Planted(plant), worked_example()), Gradients)
    assert np.geterr() == before


def test_studies_without_verdicts_say_that_a_framework_crashed_in_one_line() -> None:
    with pytest.raises(CrashedError, match=r"^planted: CRASHED: SystemExit: 0$") as caught:
        required(Planted(exits), worked_example())
    assert caught.value.exit_code == 1
    with pytest.raises(UnsupportedError, match="bfloat16 is not among its dtypes"):
        required(Planted(exits), worked_example(dtype="bfloat16"))


# Stacks


def only_in_stacks(plant: Plant) -> Planted:
    return Planted(lambda case, right: right if case.count is None else plant(case, right))


STACKED = {
    "complex": weights(lambda w: w + 5j),
    "short": SINGLE["short"][0],
    "zeroed": zeroed,
    "afterwards": zeroed_weights_afterwards,
    "exit": exits,
    "quit": raising(Quit()),
    "loss": lambda case, right: replace(right, loss=2.0),
}


def kinds(framework: Framework, stack: Case) -> tuple[Counter[Kind], list[Verdict]]:
    events: list[Any] = []
    checker = Checker([framework], events.append)
    checker.check_stack(stack, "smooth", "stacks")
    (counted,) = [event.kinds[framework.name] for event in events if hasattr(event, "kinds")]
    told = [v for e in events if isinstance(e, CaseChecked) and not e.shrunk for v in e.verdicts]
    assert checker.failed is (counted.get(Kind.CRASHED, 0) > 0)
    return Counter(counted), told


@pytest.mark.parametrize("name", STACKED)
def test_what_a_framework_does_in_stacks_only_is_told(name: str) -> None:
    stack = gaussian_stack((2, 3, 1), rows=1, count=5, dtype="float64", seed=1)
    before = stack.key
    counted, (told,) = kinds(only_in_stacks(STACKED[name]), stack)
    assert counted == {Kind.CRASHED: 1, Kind.AGREES: 4}
    assert told.detail.endswith("; asked for the stack of 5 cases, for none of them alone")
    assert stack.key == before


def test_what_fails_alone_too_is_told_of_each_case() -> None:
    stack = gaussian_stack((2, 3, 1), rows=1, count=5, dtype="float64", seed=1)
    counted, told = kinds(Planted(zeroed), stack)
    assert counted == {Kind.CRASHED: 5}
    assert {verdict.detail for verdict in told} == {SINGLE["zeroed"][1]}


def test_a_library_that_cannot_do_stacks_and_says_so_is_asked_case_by_case() -> None:
    stack = gaussian_stack((2, 3, 1), rows=1, count=5, dtype="float64", seed=1)
    for error in (UnsupportedError("no stacks"), ValueError("no stacks")):
        counted, told = kinds(only_in_stacks(raising(error)), stack)
        assert counted == {Kind.AGREES: 5}
        assert told == []


# Sweeps

SHAPE = Shape(Network((2, 3, 1)))
MIX = Mix.parse("uniform")


def swept(framework: Framework, count: int = 40, failures: int = 100) -> dict[Kind, int]:
    settings = Settings((SHAPE,), count, 5, MIX, max_failures=failures)
    checked = check_part(Part(SHAPE, 0, count), settings, [framework])
    return dict(checked.summary.kinds[framework.name]["uniform"])


@pytest.mark.parametrize("name", STACKED)
def test_a_sweep_tells_the_same_of_its_batches(name: str) -> None:
    assert swept(only_in_stacks(STACKED[name])) == {Kind.AGREES: 39, Kind.CRASHED: 1}
    if name != "loss":  # which may be a float where there is one case
        assert swept(Planted(STACKED[name]), failures=3) == {Kind.CRASHED: 3}


def test_what_one_case_gives_is_not_said_of_all_when_batches_are_unsupported() -> None:
    def plant(case: Case, right: Gradients) -> Any:
        if case.count is not None:
            raise UnsupportedError("no stacks")
        wrong = 2.0 if case.key != first.key else 1.0
        return replace(right, weights=(right.weights[0] * wrong, right.weights[1]))

    first = block(SHAPE, 5, 0, MIX).case(0)
    assert swept(Planted(plant)) == {Kind.AGREES: 12, Kind.DISAGREES: 28}  # twelve are all zero


def test_a_batch_is_handed_to_an_adapter_as_a_copy() -> None:
    made = block(SHAPE, 5, 0, MIX)
    before = made.case(3).key
    found = batched_gradients(Planted(zeroed), made.batch)
    assert isinstance(found, Refused)
    assert found.changed
    assert made.case(3).key == before


def test_the_fast_road_finds_a_library_that_writes_into_the_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compute = JaxBatched.compute

    def writing(self: Any, function: Any, arrays: Any) -> Any:
        found = compute(self, function, arrays)
        arrays[-2][...] = 0.0  # x
        return found

    (framework,), _ = registry.open_frameworks(["jax"])
    assert swept(framework) == {Kind.AGREES: 40}
    monkeypatch.setattr(JaxBatched, "compute", writing)
    assert swept(framework) == {Kind.AGREES: 39, Kind.CRASHED: 1}  # from cases made anew


def test_a_share_of_a_batch_is_looked_at_others_each_time() -> None:
    batch = Batch.of(gaussian_stack((2, 3, 1), rows=1, count=2 * SHARE, dtype="float32", seed=1))

    def tampers(batch: Batch) -> Gradients:
        batch.y[5] += 1.0
        raise ValueError("the end")

    def computes(batch: Batch) -> Gradients:
        tampered = batch.y.copy()
        batch.y[5] += 1.0
        return Gradients(tampered[:, 0, 0], (tampered,), (None,), tampered)

    found = [ask_batch(computes, batch) for _ in range(SHARE)]
    assert sum(isinstance(each, Refused) and each.changed for each in found) == 1
    last = ask_batch(tampers, batch)
    assert isinstance(last, Refused)
    assert last.raised


@pytest.mark.parametrize("change", [np.float64, lambda array: array[:, None], np.ma.asarray])
def test_the_fast_road_returns_plain_arrays_of_the_right_dtype_and_shape(change: Any) -> None:
    stack = gaussian_stack((2, 3, 1), rows=1, count=20, dtype="float32", seed=1)
    batch, form = Batch.of(stack), format_of("float32")

    def compute(batch: Batch) -> Gradients:
        found = gradients(stack)
        single = [form.round(w).astype("f4") for w in found.weights]
        biases = [None if b is None else form.round(b).astype("f4") for b in found.biases]
        loss, x = (form.round(each).astype("f4") for each in (found.loss, found.x))
        return Gradients(loss, tuple(single), tuple(biases), x)

    def changed(batch: Batch) -> Gradients:
        right = compute(batch)
        return replace(right, x=change(right.x))

    assert isinstance(ask_batch(compute, batch), Gradients)
    found = ask_batch(changed, batch)
    assert isinstance(found, Refused)
    assert "returned, wanted a float32 array of shape (20, 1, 2)" in found.reason


# Functions of users


def by_hand(weights: Any, biases: Any, x: Any, y: Any) -> Any:
    found = gradients(Case.of(weights, biases, x, y))
    return list(found.weights), list(found.biases)


FUNCTIONS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "complex": (lambda w: w + 5j, "weights[0]: complex128 returned, wanted real numbers"),
    "strings": (lambda w: w.astype(str), "weights[0]: <U32 returned, wanted real numbers"),
    "objects": (lambda w: w.astype(object), "weights[0]: object returned, wanted real numbers"),
    "masked": (np.ma.asarray, "weights[0]: MaskedArray of shape (1, 1) returned, wanted a plain"),
    "matrix": (np.asmatrix, "weights[0]: matrix of shape (1, 1) returned, wanted a plain numpy"),
    "ragged": (lambda w: [[1.0], [1.0, 2.0]], "weights[0]: list returned that is no array"),
    "whole": (lambda w: np.array([[2**60 + 1]]), "weights[0]: int64 numbers returned that are"),
    "shape": (lambda w: w[0], "W1: float64 array of shape (1,) returned, wanted"),
    "exit": (lambda w: sys.exit(0), "SystemExit: 0"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_passes_the_same_gate(name: str) -> None:
    change, reason = FUNCTIONS[name]

    def function(*arrays: Any) -> Any:
        weights, biases = by_hand(*arrays)
        return [change(weights[0]), weights[1]], biases

    comparison = compare_implementations(numpy=function, cases=worked_example())
    assert comparison.failure is not None
    (verdict,) = comparison.failure.event.verdicts
    assert verdict.kind is Kind.CRASHED
    assert reason in verdict.detail


@pytest.mark.parametrize("change", [np.float64, np.ndarray.tolist, lambda w: w.astype(int)])
def test_a_function_in_numpy_may_return_more_bits_lists_and_whole_numbers(change: Any) -> None:
    def function(*arrays: Any) -> Any:
        weights, biases = by_hand(*arrays)
        return [change(w) for w in weights], biases

    case = worked_example(dtype="float32")
    assert compare_implementations(numpy=function, cases=case).passed


def test_a_test_may_be_skipped_from_within_a_function() -> None:
    with pytest.raises(pytest.skip.Exception):
        compare_implementations(numpy=lambda case: pytest.skip("not today"), cases=1)


def test_an_adapter_whose_numbers_are_finer_is_found_in_a_sweep() -> None:
    stack = gaussian_stack((2, 3, 1), rows=1, count=200, dtype="float32", seed=1)
    finer = Planted(weights(lambda w: w * (1 + 2.0**-40)))
    found = [batched_gradients(finer, Batch.of(stack)) for _ in range(SHARE)]
    refused = [each for each in found if isinstance(each, Refused)]
    assert len(refused) > SHARE / 2  # of some cases dJ/dW1 is zero
    assert all("which is no float32 number" in each.reason for each in refused)
    right = Planted(lambda case, right: right)
    assert isinstance(batched_gradients(right, Batch.of(stack)), Gradients)


def test_nothing_but_the_gatekeeper_asks_a_framework() -> None:
    package = Path(gatekeeper.__file__).parents[1]
    asking = [
        path.name
        for path in package.rglob("*.py")
        if re.search(
            r"(framework|adapter|zero|one|each)\.gradients\((case|stack|copy|batch)",
            path.read_text(),
        )
    ]
    # The second makes one adapter of another, and the gate asks that one.
    assert sorted(asking) == ["gatekeeper.py", "planted.py"]


# Studies, which have no verdicts


def quits(part: Sequence[Key]) -> Found:
    """In a process of its own, which imports this module."""
    os._exit(0)


def test_a_library_that_exits_while_conventions_are_measured_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (source,), _ = measuring.sources(["numpy"])
    exiting = replace(source, session=lambda: sys.exit(0))
    with pytest.raises(CrashedError, match=r"^numpy, by hand, relu: CRASHED: SystemExit: 0$"):
        measuring.measure([exiting], wanted=Wanted.of(operators=["relu"]))
    monkeypatch.setattr(measuring, "_part", quits)
    with pytest.raises(CrashedError, match=r"^numpy, by hand, relu: CRASHED: the process ended"):
        measuring.measure([source], wanted=Wanted.of(operators=["relu"]), jobs=2)


def test_a_study_that_needs_gradients_says_that_there_are_none() -> None:
    framework, case = Planted(exits), worked_example()
    with pytest.raises(CrashedError, match="planted: CRASHED: SystemExit: 0"):
        influence(framework, framework, case)
    with pytest.raises(CrashedError, match="planted: CRASHED: SystemExit: 0"):
        power.measure(framework, (1, 1), dtype="float64", exponents=(5,), count=3)
    assert keeps_subnormals(framework) is None
    (answer,) = explained(case, [framework], judge(case))
    assert answer.gradients is None
    assert answer.verdict.kind is Kind.CRASHED


# The command


def test_a_run_with_a_library_that_exits_fails_and_says_so(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_registered", lambda: {"planted": []})
    monkeypatch.setattr(registry, "_load", lambda name, values: type("P", (Exits,), {}))
    assert main(["run", "--case", "worked-example"]) == 1
    assert "planted relu: CRASHED: SystemExit: 0" in capsys.readouterr().out


class Exits(Planted):
    def __init__(self, **options: Any) -> None:
        super().__init__(exits)
