"""A sweep gives the verdicts of the one-by-one path, ends as it should, and can be resumed."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import processes
import pytest
import sweeping
from jsonschema import Draft202012Validator

from crosscheck.cases.stream.families import FAMILIES, Mix
from crosscheck.cases.stream.generate import block
from crosscheck.cases.stream.settings import BLOCK, Part, Settings, Shape
from crosscheck.cli import main
from crosscheck.frameworks.batched import batched
from crosscheck.frameworks.jax_batched import JaxBatched
from crosscheck.frameworks.registry import open_frameworks
from crosscheck.frameworks.state import FrameworkState
from crosscheck.frameworks.torch_ import TorchFramework
from crosscheck.frameworks.torch_batched import TorchBatched
from crosscheck.judge.compare import Judge
from crosscheck.judge.door import judge
from crosscheck.judge.verdict import Kind, Verdict
from crosscheck.network.dense import Case, Gradients, Network
from crosscheck.report.json_ import schema
from crosscheck.report.sweep import duration
from crosscheck.run.answers import verdict_of
from crosscheck.run.spread import Spread
from crosscheck.run.sweep.check import check_part
from crosscheck.run.sweep.checkpoint import changed, load, made_with, save
from crosscheck.run.sweep.fast import batched_gradients
from crosscheck.tools.records import number

EVERYTHING = Mix(tuple((name, 1.0) for name in FAMILIES))
SCHEMA = schema()


@pytest.fixture(autouse=True)
def wicked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweeping.install(tmp_path, monkeypatch)


# The verdicts


@pytest.mark.parametrize("name", ["torch", "tensorflow", "jax", "wrong"])
@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(Shape(Network((4, 8, 1))), id="float64"),
        pytest.param(Shape(Network((2, 3, 2), "identity", "mean"), 2, "float32"), id="float32"),
    ],
)
def test_verdicts_are_those_of_the_judge_gate_for_gate(name: str, shape: Shape) -> None:
    frameworks, _ = open_frameworks([name])
    settings = Settings((shape,), 10**6, 5, EVERYTHING)
    part = Part(shape, BLOCK + 10, BLOCK + 130)
    checked = check_part(part, settings, frameworks)

    made = block(shape, 5, 1, EVERYTHING)
    given = batched_gradients(frameworks[0], made.batch)
    assert isinstance(given, Gradients)
    names: dict[str, Any] = {
        "framework": name,
        "formulation": frameworks[0].formulation,
        "mode": "eager" if name == "wrong" else batched(frameworks[0]).mode,
    }
    expected = {
        index: Judge(made.case(index - BLOCK)).verdict(given.wide(index - BLOCK), **names)
        for index in range(part.start, part.stop)
    }
    assert len({verdict.kind for verdict in expected.values()}) > 3
    totals: Counter[Kind] = Counter()
    for kinds in checked.summary.kinds[name].values():
        totals.update(kinds)
    assert totals == Counter(verdict.kind for verdict in expected.values())
    told = {event.label.split("; ")[1]: event for event in checked.cases}
    others = {index: v for index, v in expected.items() if not v.is_plain}
    assert list(told) == [settings.address(shape, index) for index in others]
    for index, verdict in others.items():
        event = told[settings.address(shape, index)]
        assert comparable(event.verdicts[0]) == comparable(verdict)
        assert event.case.key == made.case(index - BLOCK).key
    spread = Spread()
    agreeing = [v.worst.bounds for v in expected.values() if v.kind is Kind.AGREES and v.worst]
    spread.add(np.array(agreeing))
    # The compiled pass gives error / bound from above, by a millionth of it at the most where the
    # bound is not zero: a case may be counted in the bin above its own.
    found = checked.summary.spreads[name]
    assert found.total == spread.total
    assert (np.cumsum(found.counts) <= np.cumsum(spread.counts)).all()
    assert np.abs(np.cumsum(found.counts) - np.cumsum(spread.counts)).max() <= 1
    assert spread.largest <= found.largest <= spread.largest * (1.0 + 2.0**-16)


def comparable(verdict: Verdict) -> str:
    return repr(verdict)  # NaN is equal to itself there


@pytest.mark.parametrize("name", ["torch", "tensorflow", "jax"])
def test_a_case_of_a_sweep_has_the_verdict_it_has_alone(name: str) -> None:
    frameworks, _ = open_frameworks([name])
    shape = Shape(Network((4, 8, 1)))
    mix = Mix.parse("uniform,gaussian,wide,dyadic,cancelling,kinks")
    settings = Settings((shape,), 10**6, 6, mix)
    checked = check_part(Part(shape, 0, 150), settings, frameworks)
    made = [block(shape, 6, 0, mix).case(index) for index in range(150)]
    alone = Counter(verdict_of(frameworks[0], case, judge(case)).kind for case in made)
    totals: Counter[Kind] = Counter()
    for kinds in checked.summary.kinds[name].values():
        totals.update(kinds)
    assert totals == alone


@pytest.mark.parametrize("name", ["forward", "jax"])
def test_a_forward_mode_is_held_to_the_bounds_of_forward_mode(name: str) -> None:
    frameworks, _ = open_frameworks([name], modes={name: "forward"})
    (framework,) = frameworks
    shape = Shape(Network((4, 8, 2), "identity"))
    mix = Mix.parse("uniform,wide,dyadic,kinks=0.05")
    checked = check_part(Part(shape, 0, 200), Settings((shape,), 200, 5, mix), frameworks)

    made = block(shape, 5, 0, mix)
    given = framework.gradients(made.batch.case())
    kinds: dict[str, Counter[Kind]] = {"forward": Counter(), "reverse": Counter()}
    for index in range(200):
        judge = Judge(made.case(index))
        for derivation, counted in kinds.items():
            verdict = judge.verdict(given[index], framework=name, derivation=derivation)  # type: ignore[arg-type]
            counted[verdict.kind] += 1
    totals: Counter[Kind] = Counter()
    for families in checked.summary.kinds[name].values():
        totals.update(families)
    assert totals == kinds["forward"]
    assert not checked.failing
    assert {verdict.mode for event in checked.cases for verdict in event.verdicts} == {"forward"}
    if name == "forward":
        assert kinds["reverse"][Kind.DISAGREES] > 50


def test_a_report_says_how_gradients_were_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--frameworks", "jax,plain", "--dtype", "float32,bfloat16", "--widths", "2,3,1")
    _, report = sweeping.sweep("--cases", "4096", "--seed", "9", *words)
    modes = {each["name"]: each["mode"] for each in report["frameworks"]}
    fast = "jax.jit(jax.value_and_grad(Σ J))"
    assert modes["jax"] == f"{fast} for float32; jit for bfloat16"
    assert modes["plain"] == "eager"
    capsys.readouterr()
    main(["replay", "9:0", *words[:2], "--widths", "2,3,1"])
    last = capsys.readouterr().out.splitlines()[-1]
    assert re.fullmatch(
        rf"in its batch .*: jax \w+ \({re.escape(fast)}\), plain \w+ \(eager\)", last
    )


def test_a_fast_path_that_raises_costs_time_and_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: JaxBatched, function: Any, arrays: Any) -> Any:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(JaxBatched, "compute", broken)
    frameworks, _ = open_frameworks(["jax"])
    shape = Shape(Network((2, 3, 1)))
    mix = Mix.parse("uniform,kinks")
    checked = check_part(Part(shape, 0, 40), Settings((shape,), 40, 5, mix), frameworks)
    assert sum(checked.summary.kinds["jax"]["uniform"].values()) == 20
    assert not checked.failing
    assert {verdict.mode for event in checked.cases for verdict in event.verdicts} == {"jit"}


def test_a_dtype_that_is_not_supported_costs_nothing_and_is_told_once() -> None:
    code, report = sweeping.sweep(
        "--cases", "1e5", "--frameworks", "plain", "--dtype", "bfloat16", "--seed", "1"
    )
    assert code == 5
    (counts,) = (each["counts"] for each in report["verdicts"])
    assert counts == {"UNSUPPORTED": 100_000}
    (case,) = report["cases"]
    assert case["verdicts"][0]["detail"] == "bfloat16 is not among its dtypes"


# The report


def test_the_report_fits_its_schema_and_counts_families(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("--cases", "3e3", "--frameworks", "plain,wrong", "--seed", "3", "--rows", "2")
    code, report = sweeping.sweep(*words, "--mix", "uniform=1,kinks=.01", "--widths", "2,3,1")
    assert code == 1
    Draft202012Validator(SCHEMA).validate(report)
    assert report["run"]["command"] == (
        "crosscheck sweep --cases 3000 --seed 3 --widths 2,3,1 --dtype float64 --rows 2 "
        "--mix uniform=1,kinks=0.01 --frameworks plain,wrong"
    )
    totals: Counter[str] = Counter()
    for each in report["sweep"]["families"]:
        if each["framework"] == "plain":
            totals.update(each["counts"])
    (counts,) = (e["counts"] for e in report["verdicts"] if e["framework"] == "plain")
    assert totals == Counter(counts)
    assert report["run"]["distinct_cases"] is None
    out = capsys.readouterr().out
    assert "3,000 cases" in out
    assert "\x1b" not in out
    assert "cases/s" not in out  # no progress in a log


def test_the_first_failure_of_each_framework_is_made_small_and_has_a_program() -> None:
    code, report = sweeping.sweep(
        "--cases", "2048", "--frameworks", "plain,wrong", "--seed", "3", "--mix", "gaussian"
    )
    assert code == 1
    assert report["run"]["failing_cases"] == 100  # the sweep stops there
    assert report["run"]["reason"].endswith("stopped after 100 failing cases")
    (small,) = (case for case in report["cases"] if case["shrunk"])
    assert "smallest for wrong" in small["label"]
    kinds = {verdict["framework"]: verdict["verdict"] for verdict in small["verdicts"]}
    assert kinds == {"plain": "AGREES", "wrong": "DISAGREES"}
    assert small["case"]["widths"] == [1, 1, 1]
    numbers = str(small["case"]["weights"]) + str(small["case"]["x"])
    assert "0x" not in numbers


def test_the_program_of_a_failure_is_in_the_report_and_in_the_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = TorchFramework.gradients

    def wrong(self: TorchFramework, case: Case) -> Gradients:
        found = right(self, case)
        found.weights[0][..., 0, 0] *= 2.0
        return found

    fast = TorchBatched.compute

    def wrong_too(self: TorchBatched, function: Any, arrays: Any) -> Any:
        loss, first, *others = fast(self, function, arrays)
        first[:, 0, 0] *= 2.0
        return [loss, first, *others]

    words = ("--cases", "100", "--frameworks", "torch", "--seed", "3", "--mix", "gaussian")
    with monkeypatch.context() as patched:
        patched.setattr(TorchFramework, "gradients", wrong)
        patched.setattr(TorchBatched, "compute", wrong_too)
        code, report = sweeping.sweep(*words)
    assert code == 1
    (small,) = (case for case in report["cases"] if case["shrunk"])
    program = Path("here/failing_torch.py")
    assert small["scripts"] == {"torch": program.read_text()}
    done = processes.run([sys.executable, program], capture_output=True, check=True)
    first, second = done.stdout.splitlines()  # PyTorch alone is right
    assert first.startswith("dJ/dW1[0,0]: ")
    assert first.split(": ")[1] == second.removeprefix("exactly: ")
    worst = small["verdicts"][0]["worst"]
    assert worst["given"]["decimal"] == 2.0 * float(first.split(": ")[1])
    assert sweeping.sweep(*words)[0] == 0
    assert not program.exists()  # it is no result of this sweep


def test_a_sweep_that_fails_stops_at_the_same_case_however_it_is_shared_out() -> None:
    words = (
        *("--cases", "1e5", "--frameworks", "wrong", "--seed", "3", "--max-failures", "7"),
        *("--widths", "1,1"),
    )
    code, alone = sweeping.sweep(*words)
    assert code == 1
    assert alone["run"]["failing_cases"] == 7
    shared = sweeping.sweep(*words, "--jobs", "2")[1]
    assert sweeping.result(shared) == sweeping.result(alone)


# Checkpoints


WORDS = (
    *("--cases", "250000", "--seed", "9", "--frameworks", "slow", "--widths", "1,1"),
    *("--mix", "uniform=1,kinks=.01"),
)


def test_a_sweep_cut_off_by_time_goes_on_to_the_same_result() -> None:
    code, first = sweeping.sweep(*WORDS, "--until", "0.1s", report="cut")
    assert code == 0
    assert first["run"]["reason"].endswith("time is up")
    done = first["run"]["cases"]
    assert 0 < done < 250_000
    code, second = sweeping.sweep("--resume", "--until", "0.1s", report="cut")
    assert done < second["run"]["cases"] < 250_000
    code, resumed = sweeping.sweep("--resume", report="cut")
    assert code == 0
    code, whole = sweeping.sweep(*WORDS, report="whole")
    assert resumed["run"]["cases"] == 250_000
    assert len(resumed["cases"]) > 2
    assert sweeping.result(resumed) == sweeping.result(whole)
    again = sweeping.sweep("--resume", report="cut")[1]  # nothing is left to do
    assert sweeping.result(again) == sweeping.result(whole)


def environment() -> dict[str, str]:
    paths = [str(Path("site").resolve()), *sys.path]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}


@pytest.mark.parametrize("jobs", [(), ("--jobs", "2")], ids=["here", "jobs"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupt_or_a_kill_leaves_a_valid_report_and_can_be_resumed(
    jobs: tuple[str, ...], number: int
) -> None:
    path = Path("cut/report.json")
    with processes.started(
        [sys.executable, "-m", "crosscheck", "sweep", *WORDS, *jobs, "--report", "cut"],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        processes.wait_until(path.exists, process)
        process.send_signal(number)
        _, complaints = processes.ended(process)
    if number == signal.SIGINT:
        assert process.returncode == 2
        assert [line for line in complaints.splitlines() if not line.endswith(" …")] == []
    report = json.loads(path.read_text())
    Draft202012Validator(SCHEMA).validate(report)
    assert report["run"]["exit_code"] == 2
    assert report["run"]["cases"] < 250_000
    code, resumed = sweeping.sweep("--resume", report="cut")
    assert code == 0
    assert resumed["run"]["cases"] == 250_000
    assert sweeping.result(resumed) == whole()


def whole() -> dict[str, Any]:
    """The result of an undisturbed sweep, computed once."""
    if not _WHOLE:
        _WHOLE.update(sweeping.result(sweeping.sweep(*WORDS, report="whole")[1]))
    return dict(_WHOLE)


_WHOLE: dict[str, Any] = {}


RESUMED = ("--cases", "5000", "--seed", "9", "--frameworks", "plain")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--seed", "10"), "--resume: seed is 10, and 9 in the sweep that was begun"),
        (("--cases", "1e6"), "--resume: cases is 1000000, and 5000"),
        (("--widths", "1,1"), "--resume: shapes is --widths 1,1 --dtype float64, and --widths "),
        (("--frameworks", "plain,wrong"), "--resume: frameworks is plain,wrong, and plain in"),
        (("--report", "nowhere"), "no such file, so there is no sweep to resume"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_sweep_is_not_resumed_as_another(
    words: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sweeping.sweep(*RESUMED)
    before = Path("here/report.json").read_bytes()
    capsys.readouterr()
    assert main(["sweep", "--resume", "--report", "here", *words]) == 4
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1
    assert Path("here/report.json").read_bytes() == before
    assert main(["sweep", "--resume", "--report", "here", *RESUMED]) == 0  # the same is fine


def test_a_sweep_depends_on_the_versions_of_every_framework_in_it() -> None:
    states = (
        FrameworkState("one", "available", {"one": "1.0", "onelib": "3.0"}, "relu", "eager"),
        FrameworkState("two", "available", {"two": "2.0"}, "relu", "jit"),
        FrameworkState("gone", "absent", {"gone": "9.0"}),
    )
    here = {"numpy": "2.4", "machine": "m", "started": "now"}
    found = made_with(states, here)
    assert found == {
        **{"numpy": "2.4", "machine": "m", "one": "1.0", "onelib": "3.0", "two": "2.0"},
        **{"one as": "relu, eager", "two as": "relu, jit"},
    }
    upgraded = dataclasses.replace(states[1], versions={"two": "2.1"})
    assert changed(found, made_with((states[0], upgraded), here)) == "two 2.0 and 2.1"
    assert changed(found, made_with(states[:1], here)) == (
        "two 2.0 and absent; two as relu, jit and absent"
    )
    assert changed(found, dict(found)) == ""


def test_a_sweep_is_not_resumed_with_other_versions_or_from_a_broken_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sweeping.sweep(*RESUMED)
    path = Path("here/sweep.json")
    data = json.loads(path.read_text())
    for name in data["made_with"]:
        other = {**data, "made_with": {**data["made_with"], name: "1.0"}}
        path.write_text(sweeping.resealed(other))
        assert main(["sweep", "--resume", "--report", "here"]) == 4
        assert f"other versions, then and now: {name} 1.0 and" in capsys.readouterr().err
    path.write_text("{}")
    assert main(["sweep", "--resume", "--report", "here"]) == 4
    assert "JSON, but not a sweep: no field schema_version" in capsys.readouterr().err


def test_a_checkpoint_that_is_taken_up_is_written_as_it_was() -> None:
    sweeping.sweep("--cases", "3000", "--seed", "9", "--frameworks", "plain,wrong", *HARD)
    before = Path("here/sweep.json").read_bytes()
    found = load(Path("here"))
    assert found.tally.kept
    assert found.tally.boundary
    save(Path("here"), found)
    assert Path("here/sweep.json").read_bytes() == before


HARD = ("--mix", "uniform=1,kinks=0.01,special=0.01", "--widths", "2,3,1")


def changed_at(*path: Any, to: Any) -> Callable[[Any], str]:
    """A checkpoint in which something else stands at a place, with a checksum that fits."""

    def change(content: Any) -> str:
        place = content
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to
        return sweeping.resealed(content)

    return change


DAMAGED: dict[str, tuple[Callable[[Any], str], str]] = {
    "cut": (lambda content: json.dumps(content)[:-100], "not a sweep: "),
    "edited": (lambda content: json.dumps({**content, "place": 1}), "its checksum is not that"),
    "unsealed": (
        lambda content: json.dumps({**content, "checksum": None}),
        "a sweep that is damaged: its checksum is not that of the rest",
    ),
    "version 3": (changed_at("schema_version", to=3), "a sweep of version 3, and this crosscheck"),
    "no place": (changed_at("place", to="far"), "damaged: place: 'far' is not a whole number"),
    "no seed": (changed_at("settings", "seed", to=-1), "damaged: settings: seed=-1: wanted"),
    "no bins": (
        changed_at("tally", "spreads", 0, 1, to={"counts": [10**19], "largest": number(1.0)}),
        "its counts are not those of the bins",
    ),
    "no float": (
        changed_at("seconds", to={"hex": "0x1.0000000000000p+9999", "decimal": 1.0}),
        "damaged: seconds: ",
    ),
    "no case": (
        changed_at("tally", "kept", to=[{"part": "sweep", "case": {"weights": [[]]}}]),
        "damaged: tally.kept[0]",
    ),
    "too far": (changed_at("place", to=10**12), "damaged: place is 1,000,000,000,000, beyond"),
    "not so far": (changed_at("place", to=0), "damaged: 100 cases are counted, and there are 0"),
    "unfailing": (changed_at("failing", to=0), "damaged: failing is not what the tally counts"),
    "negative": (changed_at("tally", "dropped", to=-1), "damaged: tally: dropped is negative"),
    "deep": (
        changed_at("tally", "kept", to=json.loads("[" * 400 + "]" * 400)),
        "not a sweep: nested too deeply, wanted at most 64 levels",
    ),
}


@pytest.mark.parametrize(("change", "complaint"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_checkpoint_is_refused_in_one_line_that_says_what_to_do(
    change: Callable[[Any], str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sweeping.sweep("--cases", "100", "--seed", "9", "--frameworks", "wrong")
    path = Path("here/sweep.json")
    path.write_text(change(json.loads(path.read_text())))
    capsys.readouterr()
    assert main(["sweep", "--resume", "--report", "here"]) == 4
    error = capsys.readouterr().err
    assert complaint in error
    assert error.startswith("crosscheck: here/sweep.json: ")
    assert error.endswith("leave --resume out to begin anew\n")
    assert error.count("\n") == 1
    assert len(error) < 400


# Replay


def test_a_replay_shows_the_case_and_every_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    words = (
        "--cases",
        "3000",
        "--seed",
        "9",
        "--frameworks",
        "plain",
        "--mix",
        "uniform,kinks=.01",
    )
    report = sweeping.sweep(*words)[1]
    line = next(case for case in report["cases"] if case["verdicts"][0]["verdict"] == "KINK")
    program, *command = line["label"].split("; ")[1].split()
    assert program == "crosscheck"
    capsys.readouterr()
    assert main([*command, "--frameworks", "plain,wrong", "--report", "replay"]) == 0
    out = capsys.readouterr().out
    assert f"key {line['key']}" in out
    assert "plain relu: KINK" in out
    assert json.dumps(line["case"]) in out
    assert "in its batch of 16,384, as in the sweep: plain KINK" in out


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("sweep", "--cases", "many"), "wanted a whole number, such as 1e6"),
        (("sweep", "--cases", "1.5"), "wanted a whole number, such as 1e6"),
        (("sweep", "--cases", "0"), "wanted a whole number, such as 1e6"),
        (("sweep", "--widths", "4"), "wanted at least two positive whole numbers"),
        (("sweep", "--widths", "4,0"), "wanted at least two positive whole numbers"),
        (("sweep", "--until", "soon"), "wanted a time such as 90s, 10m or 2h"),
        (("sweep", "--dtype", "int8"), "dtype='int8'"),
        (("sweep", "--mix", "smooth"), "no family 'smooth'"),
        (("sweep", "--seed", "-1"), "--seed"),
        (("replay", "7"), "wanted SEED:INDEX"),
        (("replay", "7:x"), "wanted SEED:INDEX"),
        (("replay", "7:1", "--dtype", "float64,float32"), "wanted one --widths and one --dtype"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_usage_gets_one_line(
    words: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--frameworks", "plain"]) == 4
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert complaint in captured.err
    assert not Path("reports").exists()


def test_times_are_written_for_people() -> None:
    assert [duration(seconds) for seconds in (0.4, 61, 3723)] == ["0:00", "1:01", "1:02:03"]


def test_a_terminal_shows_speed_shares_and_the_time_left() -> None:
    environment_: Mapping[str, str] = {
        **environment(),
        "FORCE_COLOR": "1",
        "COLUMNS": "150",
        "TERM": "xterm",
    }
    done = processes.run(
        [sys.executable, "-m", "crosscheck", "sweep", *WORDS, "--until", "2s"],
        env=environment_,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert "cases/s; AGREES" in done.stdout
    assert " left" in done.stdout


@pytest.mark.parametrize(("asked", "wanted"), [(None, 1), ("2", 2)])
def test_frameworks_of_a_sweep_have_one_thread_unless_the_user_says_otherwise(
    asked: str | None, wanted: int, tmp_path: Path
) -> None:
    program = (
        "import importlib, os\n"
        "command = importlib.import_module('crosscheck.cli.sweep')\n"
        "def told(*_):\n"
        "    import torch\n"
        "    print(torch.get_num_threads(), 'OMP_NUM_THREADS' in os.environ)\n"
        "    return 0\n"
        "command._run = told\n"
        "from crosscheck.cli import main\n"
        f"main(['sweep', '--frameworks', 'torch', '--report', {str(tmp_path / 'report')!r}])\n"
    )
    names = "OMP_NUM_THREADS", "MKL_NUM_THREADS"
    environment = {name: value for name, value in os.environ.items() if name not in names}
    if asked is not None:
        environment |= dict.fromkeys(names, asked)
    command = [sys.executable, "-c", program]
    done = processes.run(command, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(wanted), str(asked is not None)]
