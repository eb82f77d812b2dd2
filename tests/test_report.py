"""The reports hold what happened: valid, whole, and readable in a log."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faulty
import jsonschema
import numpy as np
import pytest
from rich.console import Console

from crosscheck.frameworks.state import FrameworkState
from crosscheck.judge.decisions import Effect, GateClass, GateReading, Place
from crosscheck.judge.verdict import FAILING, Entry, Kind, Validity, Verdict, fails
from crosscheck.network.dense import worked_example
from crosscheck.network.files import case_from_json
from crosscheck.network.reference import gradients
from crosscheck.report import listening, open_sinks
from crosscheck.report.json_ import JsonReport, as_text, schema
from crosscheck.report.reading import Report
from crosscheck.report.summary import MarkdownSummary
from crosscheck.report.terminal import TerminalReport
from crosscheck.run.checker import Checker
from crosscheck.run.events import (
    CaseChecked,
    Event,
    ExitCode,
    RunFinished,
    RunStarted,
    StackChecked,
)
from crosscheck.run.spread import Spread
from crosscheck.run.tally import Tally
from crosscheck.tools.errors import UsageError
from crosscheck.tools.records import number as as_number

STATES = (
    FrameworkState("faulty", "available", {"numpy": "2.4.6"}, "relu", "eager"),
    FrameworkState("absentee", "absent", detail="pip install absentee"),
    FrameworkState("wreck", "broken", detail="ImportError: lib|so"),
)


def started(seed: int | None = 7) -> RunStarted:
    return RunStarted(
        "crosscheck run --seed 7", "quick", seed, ("float64",), STATES, {"python": "3"}, 100
    )


def run_of(*faults: faulty.Fault, end: ExitCode = ExitCode.DISAGREEMENT) -> list[Event]:
    """Events of a run over the worked example and its kinks, one fault after the other."""
    events: list[Event] = [started()]
    for fault in faults:
        checker = Checker([faulty.Faulty(fault)], events.append)
        changes: tuple[Any, ...] = ({}, {"x": 0.0}, {"w2": -1.0, "b2": 2.0}, {"x": float("nan")})
        for change in changes:
            checker.check_case(worked_example(**change), "smooth", "example")
        if checker.failed:
            checker.check_shrunk(worked_example(), "smooth", "example")
    events.append(RunFinished(end, "at least one framework disagrees", 1.25, 4))
    return events


EVERYTHING = [faulty.correct, faulty.not_strict, faulty.doubled_loss]


def every_verdict() -> list[Event]:
    """A stream with a case for each verdict there is."""
    case = worked_example(x=0.0)
    events: list[Event] = [started()]
    for kind in Kind:
        events.append(
            StackChecked(
                "boundary",
                (1, 1, 1),
                1,
                "float64",
                1,
                1,
                {"faulty": {kind: 1}},
                {"faulty": np.zeros(0)},
            )
        )
        verdict = Verdict(
            "faulty",
            "relu",
            "eager",
            kind,
            validity=(
                Validity("parameters", "inside", "its own bias [x]"),
                Validity("inputs", "outside", "a separating vector"),
            ),
            detail="[detail] | with a bar",
        )
        events.append(CaseChecked("boundary", "by hand", case, gradients(case), (verdict,)))
    events.append(RunFinished(ExitCode.DISAGREEMENT, "as asked", 0.5, len(Kind)))
    return events


def written(folder: Path, events: Sequence[Event]) -> dict[str, Any]:
    sink = JsonReport(folder)
    for event in events:
        sink.handle(event)
    sink.close()
    document: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return document


def validate(document: Any) -> None:
    jsonschema.Draft202012Validator(schema()).validate(document)


def shown(events: Sequence[Event], **options: Any) -> str:
    stream = io.StringIO()
    sink = TerminalReport(Path("reports"), Console(file=stream, highlight=False, **options))
    for event in events:
        sink.handle(event)
    sink.close()
    return stream.getvalue()


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("events", [run_of(*EVERYTHING), every_verdict()], ids=["run", "verdicts"])
def test_the_report_fits_its_schema(events: list[Event], tmp_path: Path) -> None:
    validate(written(tmp_path, events))


@pytest.mark.parametrize(
    "path",
    [
        ("schema_version",),
        ("run", "exit_code"),
        ("relu_boundary", 0, "gates"),
        ("cases", 0, "key"),
    ],
    ids=str,
)
def test_a_corrupted_report_does_not_fit(path: tuple[Any, ...], tmp_path: Path) -> None:
    document = written(tmp_path, run_of(*EVERYTHING))
    target: Any = document
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = "corrupted"
    with pytest.raises(jsonschema.ValidationError):
        validate(document)
    del target[path[-1]]
    with pytest.raises(jsonschema.ValidationError):
        validate(document)


def test_the_records_of_a_report_are_those_that_were_written(tmp_path: Path) -> None:
    tally = Tally()
    for event in [*every_verdict()[:-1], *run_of(*EVERYTHING)[1:]]:
        tally.add(event)
    (tmp_path / "report.json").write_text(as_text(tally))
    content = Report.read(tmp_path).content
    for kept, event in zip(content.cases, tally.kept, strict=True):
        assert kept.case is not None
        assert kept.case.key == event.case.key == kept.key
        assert kept.reference is not None
        for (name, one), (_, other) in zip(
            kept.reference.entries(), event.reference.entries(), strict=True
        ):
            assert np.asarray(one).tobytes() == np.asarray(other, np.float64).tobytes(), name
        for judged, verdict in zip(kept.verdicts, event.verdicts, strict=True):
            assert repr(vars(judged)) == repr(
                {**vars(verdict), "fails": fails(verdict, event.allow)}
            )


def test_every_kept_case_can_be_checked_again_from_the_report(tmp_path: Path) -> None:
    document = written(tmp_path, run_of(*EVERYTHING))
    assert document["cases"]
    for entry in document["cases"]:
        case = case_from_json(entry["case"], origin="report")
        assert case.key == entry["key"]


def test_floats_are_exact_and_never_bare_nan(tmp_path: Path) -> None:
    written(tmp_path, run_of(*EVERYTHING))

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    json.loads((tmp_path / "report.json").read_text(), parse_constant=refuse)
    third = {"hex": (1 / 3).hex(), "decimal": 1 / 3}
    assert as_number(1 / 3) == third
    assert as_number(float("nan")) == {"hex": "nan", "decimal": None}


def test_the_same_events_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        written(tmp_path / name, run_of(*EVERYTHING))
    assert (tmp_path / "a/report.json").read_bytes() == (tmp_path / "b/report.json").read_bytes()


def test_a_case_is_counted_once_however_often_it_is_reported(tmp_path: Path) -> None:
    document = written(tmp_path, run_of(faulty.doubled_loss))
    assert document["run"]["cases"] == 4
    (counts,) = (entry["counts"] for entry in document["verdicts"])
    assert sum(counts.values()) == 4
    assert document["run"]["failing_cases"] == counts["DISAGREES"]
    assert sum(entry["shrunk"] for entry in document["cases"]) == 1


def test_the_boundary_has_a_section_of_its_own(tmp_path: Path) -> None:
    document = written(tmp_path, run_of(faulty.correct, faulty.not_strict))
    lines = {(line["gate"], line["slope"]): line["gates"] for line in document["relu_boundary"]}
    assert lines == {("kink", "0"): 2, ("kink", "1"): 2}
    example = document["relu_boundary"][0]["example"]
    assert example["value"] == {"hex": "0x0.0p+0", "decimal": 0.0}
    assert example["case"] in {entry["key"] for entry in document["cases"]}


def test_an_interrupted_run_leaves_a_valid_report(tmp_path: Path) -> None:
    events = run_of(faulty.correct, end=ExitCode.INTERRUPTED)
    document = written(tmp_path, events)
    validate(document)
    assert document["run"]["exit_code"] == 2


def test_a_run_that_broke_off_leaves_the_old_report(tmp_path: Path) -> None:
    written(tmp_path, run_of(faulty.correct))
    before = (tmp_path / "report.json").read_bytes()

    def break_off() -> None:
        with open_sinks(tmp_path) as emit:
            emit(started(seed=None))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert (tmp_path / "report.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_sinks_are_closed_when_the_run_raises() -> None:
    class Spy:
        closed = False

        def handle(self, event: Event) -> None:
            raise KeyError

        def close(self) -> None:
            self.closed = True

    spy = Spy()
    with pytest.raises(KeyError), listening([spy]) as emit:
        emit(started())
    assert spy.closed


def test_a_log_has_no_control_characters_and_the_boundary_below_the_frameworks() -> None:
    text = shown(run_of(*EVERYTHING))
    assert "\x1b" not in text
    assert "\r" not in text
    frameworks, boundary = text.index("Frameworks"), text.index("ReLU boundary")
    assert frameworks < boundary < text.index("smallest form of a failing case")
    assert "absentee: absent; pip install absentee" in text
    assert "wreck: broken; ImportError: lib|so" in text
    assert "failed: at least one framework disagrees" in text
    assert "seed 7" in text


def test_a_terminal_gets_a_progress_display_that_goes_away() -> None:
    text = shown(run_of(faulty.correct), force_terminal=True, width=100)
    assert "checking" in text
    assert "\x1b" in text
    assert "checking" not in shown(run_of(faulty.correct))


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[1;31m" not in shown(run_of(*EVERYTHING), force_terminal=True, width=100)


def test_every_verdict_is_shown() -> None:
    text = shown(every_verdict())
    for kind in Kind:
        if kind not in FAILING:
            assert str(kind) in text
    assert "[detail] | with a bar" in text


def test_validity_is_counted_for_parameters_and_inputs(tmp_path: Path) -> None:
    document = written(tmp_path, every_verdict())
    counts = {entry["block"]: entry["counts"] for entry in document["validity"]}
    assert counts == {"parameters": {"inside": len(Kind)}, "inputs": {"outside": len(Kind)}}
    text = shown(every_verdict())
    assert "is the gradient a generalised derivative" in text


def test_a_given_case_shows_every_framework_beside_the_reference() -> None:
    events: list[Event] = [started(seed=None)]
    Checker([faulty.Faulty(faulty.correct)], events.append).check_case(
        worked_example(), "given", "my network"
    )
    events.append(RunFinished(ExitCode.OK, "every gradient is explained", 0.1, 1))
    text = shown(events)
    assert "dJ/dW2[0,0] = 4, dJ/db2[0] = 2, dJ/dW1[0,0] = 6, dJ/db1[0] = 6" in text
    assert "faulty relu: AGREES; bit for bit the reference" in text


@pytest.mark.parametrize("effect", [Effect.TOO_SMALL, Effect.NOT_DECIDED, Effect.NONE])
def test_where_a_slope_was_not_read_nothing_is_called_the_reference_that_may_be_another(
    effect: Effect,
) -> None:
    case = worked_example(x=0.0)
    reference = gradients(case)
    reading = GateReading(Place.of_gate(1, 0, 0), GateClass.KINK, 0.0, None, effect=effect)
    worst = Entry("J", 8.0, 8.0, 0.0, 0.0, 0.0, 0.0)
    verdict = Verdict("faulty", "relu", "eager", Kind.UNDECIDED, worst, gates=(reading,))
    event = CaseChecked("given", "by hand", case, reference, (verdict,), given=(reference,))
    said = shown([started(None), event], width=200)
    assert ("bit for bit the reference" in said) is (effect is Effect.NONE)
    assert ("bit for bit a gradient for some λ" in said) is (effect is not Effect.NONE)


def test_the_summary_names_failures_and_escapes_bars(tmp_path: Path) -> None:
    sink = MarkdownSummary(tmp_path)
    for event in run_of(*EVERYTHING):
        sink.handle(event)
    sink.close()
    text = (tmp_path / "summary.md").read_text()
    assert text.startswith("# Gradient cross-check: failed")
    assert "## ReLU boundary" in text
    assert "## Failures" in text
    assert "(shrunk)" in text
    assert "lib\\|so" in text
    assert "Repeat it: `crosscheck run --seed 7`" in text


def test_the_summary_shows_the_program_of_a_failure(tmp_path: Path) -> None:
    case = worked_example()
    verdict = Verdict("faulty", "relu", "eager", Kind.DISAGREES)
    programs = {"faulty": "import faulty\nprint(1)\n"}
    event = CaseChecked("smooth", "", case, gradients(case), (verdict,), scripts=programs)
    sink = MarkdownSummary(tmp_path)
    for each in (started(), event, RunFinished(ExitCode.DISAGREEMENT, "it", 1.0, 1)):
        sink.handle(each)
    sink.close()
    text = (tmp_path / "summary.md").read_text()
    assert "With faulty alone:\n\n```python\nimport faulty\nprint(1)\n```\n" in text


def test_the_spread_knows_median_and_maximum() -> None:
    spread = Spread()
    spread.add(np.array([0.0, 0.1, 0.2, 0.3, 0.9]))
    assert spread.total == 5
    assert spread.largest == 0.9
    assert 0.2 <= spread.median <= 0.2 * 2**0.25
    spread.add(np.array([]))
    assert spread.total == 5


def test_the_spread_bins_every_number_by_its_edges() -> None:
    rng = np.random.default_rng(3)
    edges = np.exp2(np.arange(-80, 1) / 4.0)
    values = np.concatenate(
        [
            np.exp2(rng.uniform(-30.0, 3.0, 2000)),
            edges,
            np.nextafter(edges, 0.0),
            np.nextafter(edges, 2.0),
            [0.0, 5e-324, 1.0, 2.0, np.inf],
        ]
    )
    spread = Spread()
    spread.add(values)
    found = dict(spread.bins())
    uppers = np.concatenate([[0.0], edges, [np.inf]])
    for lower, upper in itertools.pairwise([-1.0, *uppers]):
        assert found.get(upper, 0) == np.count_nonzero((values > lower) & (values <= upper))


def test_failures_beyond_the_cap_are_counted_though_not_kept() -> None:
    tally = Tally()
    case = worked_example()
    verdict = Verdict("faulty", "relu", "eager", Kind.DISAGREES)
    for _ in range(100):
        tally.add(CaseChecked("smooth", "", case, gradients(case), (verdict,)))
    assert tally.failures == 100
    assert 0 < len(tally.kept) < 100


def test_each_failing_framework_has_its_failures_kept_beside_others_that_agree() -> None:
    tally = Tally()

    def add(number: int, *failing: str) -> None:
        case = worked_example(x=float(number))
        verdicts = tuple(
            Verdict(name, "relu", "eager", Kind.DISAGREES if name in failing else Kind.AGREES)
            for name in ("one", "two", "three")
        )
        tally.add(CaseChecked("smooth", "", case, gradients(case), verdicts))

    for number in range(1, 31):
        add(number, "one")
    assert len(tally.kept) == 20
    for number in range(31, 61):
        add(number, "one", "two")
    assert len(tally.kept) == 40, "what fails always hides no other"
    assert tally.failures == 60


def checked(
    kinds: dict[str, Kind],
    *,
    number: int = 1,
    shrunk: bool = False,
    allow: tuple[str, ...] = (),
) -> CaseChecked:
    case = worked_example(x=float(number))
    verdicts = tuple(
        Verdict(name, "relu", "eager", kind, arithmetics=("tf32",) * (kind is Kind.REDUCED))
        for name, kind in kinds.items()
    )
    return CaseChecked("smooth", "by hand", case, gradients(case), verdicts, shrunk, allow=allow)


def test_a_framework_that_always_fails_does_not_hide_another(tmp_path: Path) -> None:
    events: list[Event] = [started()]
    events += [checked({"loud": Kind.CRASHED, "quiet": Kind.AGREES}, number=n) for n in range(50)]
    events.append(checked({"loud": Kind.CRASHED, "quiet": Kind.DISAGREES}, number=50))
    events.append(RunFinished(ExitCode.DISAGREEMENT, "as asked", 0.5, 51))
    document = written(tmp_path, events)
    validate(document)
    kept = [v for entry in document["cases"] for v in entry["verdicts"]]
    assert any(v["framework"] == "quiet" and v["verdict"] == "DISAGREES" for v in kept)
    assert document["run"]["cases_not_kept"] == 51 - len(document["cases"]) > 0


def test_slopes_of_every_size_stay_one_line_and_a_few_examples() -> None:
    tally = Tally()
    case = worked_example(x=0.0)
    for slope in np.linspace(0.01, 0.49, 500):
        reading = GateReading(Place(1, (0, 0)), GateClass.KINK, 0.0, float(slope))
        verdict = Verdict("faulty", "relu", "eager", Kind.KINK, gates=(reading,))
        tally.add(CaseChecked("boundary", "by hand", case, gradients(case), (verdict,)))
    ((key, line),) = tally.boundary.items()
    assert (key.slope, line.gates) == ("other", 500)
    assert len(tally.kept) + tally.dropped == 500
    assert len(tally.kept) < 10


@pytest.mark.parametrize("allow", [(), ("tf32",), ("truncated",)], ids=["none", "it", "another"])
def test_coarser_arithmetic_is_shown_as_a_failure_unless_allowed(
    allow: tuple[str, ...], tmp_path: Path
) -> None:
    failing = allow != ("tf32",)
    events: list[Event] = [started(), checked({"faulty": Kind.REDUCED}, allow=allow)]
    events.append(RunFinished(ExitCode.DISAGREEMENT, "as asked", 0.5, 1))
    assert ("faulty relu, eager: REDUCED" in shown(events)) is failing
    sink = MarkdownSummary(tmp_path)
    for event in events:
        sink.handle(event)
    sink.close()
    assert ("faulty relu: REDUCED" in (tmp_path / "summary.md").read_text()) is failing
    document = written(tmp_path, events)
    validate(document)
    assert document["run"]["failing_cases"] == failing
    (verdict,) = document["cases"][0]["verdicts"]
    assert (verdict["fails"], verdict["arithmetics"]) == (failing, ["tf32"])
    tally = Tally()
    for event in events:
        tally.add(event)
    assert tally.arithmetics == {("faulty", "smooth"): {"tf32": 1}}
    assert tally.allowed == {("faulty", "smooth"): 1 - failing}


def test_brackets_in_a_reason_or_a_folder_are_not_read_as_markup() -> None:
    stream = io.StringIO()
    sink = TerminalReport(Path("out[x]"), Console(file=stream, highlight=False))
    sink.handle(started())
    sink.handle(RunFinished(ExitCode.DISAGREEMENT, "broken: a[/b]", 0.5, 0))
    assert "failed: broken: a[/b]" in stream.getvalue()
    assert str(Path("out[x]") / "report.html") in stream.getvalue()


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "log"])
def test_no_pre_activation_and_no_key_is_cut_off_at_80_columns(terminal: bool) -> None:
    case, z = worked_example(x=0.0), -float.fromhex("0x1.199999999999ap-1022")
    reading = GateReading(
        Place(4, (15, 15)), GateClass.UNDECIDED, z, None, flipped=True, effect=Effect.TOO_SMALL
    )
    verdict = Verdict("tensorflow", "relu", "eager", Kind.UNDECIDED, gates=(reading,))
    events: list[Event] = [started()]
    events.append(CaseChecked("boundary", "by hand", case, gradients(case), (verdict,)))
    events.append(RunFinished(ExitCode.OK, "as asked", 0.5, 1))
    text = shown(events, width=80, force_terminal=terminal, color_system=None)
    assert z.hex() in text
    assert case.key in text
    boundary = text[text.index("ReLU boundary") :]
    assert all(word in boundary for word in ("tensorflow", "undecided,", "small", "gates"))
    if terminal:
        assert max(map(len, boundary.splitlines())) <= 80


def test_a_message_with_a_tag_survives_on_the_page(tmp_path: Path) -> None:
    case = worked_example()
    verdict = Verdict("faulty", "relu", "eager", Kind.CRASHED, detail="TypeError: <class 'int'>")
    sink = MarkdownSummary(tmp_path)
    sink.handle(started())
    sink.handle(CaseChecked("smooth", "by hand", case, gradients(case), (verdict,)))
    sink.handle(RunFinished(ExitCode.DISAGREEMENT, "as asked", 0.5, 1))
    sink.close()
    assert "TypeError: &lt;class 'int'&gt;" in (tmp_path / "summary.md").read_text()


def test_a_report_that_fails_half_way_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, run_of(faulty.correct))
    before = (tmp_path / "report.json").read_bytes()

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(UsageError, match="cannot be written"):
        written(tmp_path, run_of(faulty.doubled_loss))
    assert (tmp_path / "report.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
