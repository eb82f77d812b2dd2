"""The command does what it says, and answers wrong usage with one line and exit code 4."""

from __future__ import annotations

import importlib
import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import processes
import pytest

from crosscheck.cli import main
from crosscheck.cli.commands import cli
from crosscheck.frameworks import registry
from crosscheck.tools.options import run_program
from crosscheck.workers.process import running

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


def test_the_worked_example_agrees_everywhere_and_its_kinks_show_three_conventions(
    crosscheck: Run,
) -> None:
    code, out, _ = crosscheck("run", "--case", "worked-example")
    assert code == 0
    for framework in ("torch", "tensorflow", "jax"):
        assert f"{framework} relu: AGREES; bit for bit the reference" in out
        assert out.count(f"{framework} relu: KINK") == 2

    def values(table: int, source: str) -> list[str]:
        lines = [line for line in out.splitlines() if source in line and line.startswith("│")]
        return [cell.strip() for cell in lines[table].split("│")[2:-1]]

    sources = ["(z >= 0)", "(z > 0)", "SymPy", "torch relu", "tensorflow relu", "jax relu"]
    first = len([line for line in out.splitlines() if "torch relu" in line and "│" in line]) - 3
    for source in sources:
        offset = first if source.endswith("relu") else 0
        assert values(offset, source) == ["4", "2", "6", "6"]
    assert values(1, "(z >= 0)") == ["0", "-4", "0", "-12"]
    assert values(1, "SymPy") == ["0", "-4", "0", "-6"]
    assert values(first + 1, "torch relu") == ["0", "-4", "0", "0"]
    assert values(2, "(z >= 0)") == ["-10", "-5", "5", "5"]
    assert values(2, "SymPy") == ["-5", "-2.5", "2.5", "2.5"]
    assert values(first + 2, "jax relu") == ["0", "0", "0", "0"]
    assert not Path("reports").exists()


def test_a_generated_run_reports_seed_profile_and_distinct_cases(crosscheck: Run) -> None:
    arguments = ("--frameworks", "torch", "--max-examples", "30", "--dtype", "float32")
    code, out, _ = crosscheck("run", *arguments, "--seed", "7", "--report", "here")
    assert code == 0
    assert "seed 7, profile default" in out
    assert "distinct" in out
    report = json.loads(Path("here/report.json").read_text())
    assert report["run"]["seed"] == 7
    assert report["run"]["cases"] == 30
    assert report["run"]["distinct_cases"] <= 30
    assert report["run"]["command"] == (
        "crosscheck run --profile default --seed 7 --dtype float32 --max-examples 30 "
        "--frameworks torch"
    )


def test_a_fresh_seed_is_drawn_and_told(crosscheck: Run) -> None:
    seeds = set()
    for _ in range(2):
        crosscheck("run", "--frameworks", "torch", "--max-examples", "2", "--dtype", "float64")
        seeds.add(json.loads(Path("reports/latest/report.json").read_text())["run"]["seed"])
    assert len(seeds) == 2


def test_a_formulation_shows_its_own_slope(crosscheck: Run) -> None:
    code, out, _ = crosscheck(
        "run", "--case", "worked-example", "--frameworks", "torch", "--formulation", "torch=clamp"
    )
    assert code == 0
    boundary = out[out.index("ReLU boundary") : out.index("passed")]
    cells = [
        [cell.strip() for cell in line.split("│")[1:-1]]
        for line in boundary.splitlines()
        if "kink" in line
    ]
    assert [cell[:5] for cell in cells] == [["torch clamp", "kink", "1", "2", "2"]]


def test_the_digits_agree_on_the_whole_data_set(crosscheck: Run) -> None:
    code, out, _ = crosscheck("digits")
    assert code == 0
    assert "1797 rows" in out
    for framework in ("torch", "tensorflow", "jax"):
        assert f"{framework} relu: AGREES" in out


def test_a_model_on_digits_is_certified_step_by_step(crosscheck: Run) -> None:
    code, out, _ = crosscheck("digits", "--model", "recurrence", "--frameworks", "torch")
    assert code == 0
    assert "digits, recurrence: " in out
    assert "torch relu: AGREES" in out
    assert "local certificate: 1 of 1 gradients inside" in out


def test_training_is_ended_where_the_frameworks_are_not_there(crosscheck: Run) -> None:
    code, _, told = crosscheck("digits", "--model", "cnn", "--frameworks", "tourch")
    assert code == 4
    assert "did you mean 'torch'" in told
    assert running() == []


BAD_USAGE = [
    (("run", "--case", "none.json"), "none.json: no such file"),
    (("run", "--frameworks", "tourch"), "did you mean 'torch'"),
    (("run", "--frameworks", "torch,"), "wanted names separated by commas"),
    (("run", "--dtype", "int8"), "dtype='int8'"),
    (("run", "--profile", "nigthly"), "profile='nigthly'"),
    (("run", "--seed", "-1"), "--seed"),
    (("run", "--max-examples", "many"), "--max-examples"),
    (("run", "--formulation", "torch"), "wanted FRAMEWORK=NAME"),
    (
        ("run", "--allow", "tf33"),
        "'tf33' is no arithmetic that can be allowed; wanted some of tf32",
    ),
    (("sweep", "--allow", "tf32,half"), "--allow: 'half' is no arithmetic that can be allowed"),
    (("digits", "--full-precision"), "No such option"),
    (("digits", "--model", "gru"), "'gru' is not one of 'mlp', 'cnn', 'residual'"),
    (("run", "--formulation", "torch=gelu"), "gelu"),
    (("run", "--mode", "jax=quantum"), "quantum"),
    (("run", "--frameworks", "jax", "--formulation", "torch=clamp"), "torch"),
    (("run", "--report", "a-file"), "Directory 'a-file' is a file"),
    (
        (
            "run",
            "--frobnicate",
        ),
        "--frobnicate",
    ),
    (("digits", "--dtype", "int8"), "dtype='int8'"),
    (("frobnicate",), "frobnicate"),
]


@pytest.mark.parametrize(
    ("arguments", "complaint"), BAD_USAGE, ids=[" ".join(words) for words, _ in BAD_USAGE]
)
def test_wrong_usage_gets_one_line_and_exit_code_4(
    arguments: tuple[str, ...], complaint: str, crosscheck: Run
) -> None:
    Path("a-file").write_text("")
    code, out, err = crosscheck(*arguments)
    assert code == 4
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("crosscheck: ")
    assert complaint in err
    assert not Path("reports").exists()


def test_help_has_examples(crosscheck: Run) -> None:
    code, out, _ = crosscheck("run", "--help")
    assert code == 0
    assert "crosscheck run --frameworks torch,jax --max-examples 2000 --seed 7" in out


def test_a_broken_framework_fails_the_run(crosscheck: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    load = registry._load

    def with_a_wreck(name: str, values: Sequence[str]) -> Any:
        return ImportError("no such symbol") if name == "wreck" else load(name, values)

    torch = registry._BUILT_IN["torch"]
    monkeypatch.setattr(registry, "_registered", lambda: {"torch": [torch], "wreck": ["a:A"]})
    monkeypatch.setattr(registry, "_load", with_a_wreck)
    code, out, _ = crosscheck("run", "--case", "worked-example")
    assert code == 1
    assert "wreck: broken; ImportError: no such symbol" in out
    assert "broken: wreck" in out


def test_without_any_framework_nothing_is_checked(
    crosscheck: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_registered", dict)
    code, out, _ = crosscheck("run", "--max-examples", "2")
    assert code == 5
    assert "nothing checked" in out


def test_python_dash_m_is_the_same_command() -> None:
    done = processes.run(
        [sys.executable, "-m", "crosscheck", "--version"], capture_output=True, check=True
    )
    assert done.stdout.startswith("crosscheck, version ")


def test_nothing_is_complained_of_when_all_is_well(tmp_path: Path) -> None:
    done = processes.run(
        [sys.executable, "-m", "crosscheck", "run", "--case", "worked-example"],
        capture_output=True,
        check=True,
        cwd=tmp_path,
    )
    # On a slow machine it says what it waits for.
    assert [line for line in done.stderr.splitlines() if not line.endswith(" …")] == []


def test_an_interrupt_ends_with_2_and_a_report_of_what_was_done(tmp_path: Path) -> None:
    arguments = ["run", "--frameworks", "torch", "--profile", "nightly", "--dtype", "float32"]
    said = tmp_path / "said"
    with (
        said.open("w") as file,
        processes.started(
            [sys.executable, "-u", "-m", "crosscheck", *arguments], stdout=file, cwd=tmp_path
        ) as process,
    ):
        processes.wait_until(lambda: "generated cases" in said.read_text("utf-8"), process)
        time.sleep(2)  # into the search; the test holds wherever the interrupt comes
        process.send_signal(signal.SIGINT)
        processes.ended(process)
    out = said.read_text("utf-8")
    assert process.returncode == 2
    assert "interrupted; what was done until then is reported" in out
    report = json.loads((tmp_path / "reports/latest/report.json").read_text())
    assert report["run"]["exit_code"] == 2


def test_a_framework_that_raises_leaves_the_worked_example_readable(
    crosscheck: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crosscheck.frameworks.torch_ import TorchFramework

    def fail(self: Any, case: Any) -> Any:
        raise RuntimeError("planted")

    monkeypatch.setattr(TorchFramework, "gradients", fail)
    code, out, err = crosscheck("run", "--case", "worked-example", "--frameworks", "torch")
    assert code == 1
    assert "torch relu: CRASHED: RuntimeError: planted" in out
    assert "by hand, ReLU'(0) = 1" in out
    assert err == ""


# -- one grammar -------------------------------------------------------------------------------


def options() -> dict[str, dict[str, click.Parameter]]:
    """Every command's options, by the spellings that users type."""
    return {
        name: {spelling: each for each in command.params for spelling in each.opts}
        for name, command in cli.commands.items()
    }


def test_the_command_alone_prints_its_help(crosscheck: Run) -> None:
    code, out, err = crosscheck()
    assert (code, err) == (0, "")
    assert out == crosscheck("--help")[1]
    assert "crosscheck run --case worked-example" in out


def test_options_of_one_name_take_one_kind_of_value() -> None:
    metavars: dict[str, set[str]] = {}
    for name, command in options().items():
        if name == "module":  # of which one dtype is asked for
            command.pop("--dtype")
        for spelling, option in command.items():
            if isinstance(option, click.Option) and not option.is_flag and option.metavar:
                metavars.setdefault(spelling, set()).add(option.metavar)
    assert {"--frameworks", "--dtype", "--report", "-o"} <= set(metavars)
    shared = ("--frameworks", "--dtype", "--report", "-o", "--operators")
    assert {name: metavars[name] for name in shared} == {
        "--frameworks": {"A,B"},
        "--dtype": {"A,B"},
        "--report": {"FOLDER"},
        "-o": {"FILE"},
        "--operators": {"A,B"},
    }
    # Where it is there, it is what a network has at its output.
    assert {name for name, own in options().items() if "--output" in own} == {"sweep", "replay"}
    assert not any("--framework" in own for own in options().values())


STUDIES = ("adversary", "alarms", "operators", "published", "stress")


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_has_the_grammar_of_the_commands(study: str) -> None:
    found = importlib.import_module(f"crosscheck.studies.{study}.__main__").main
    own = {name: each for each in found.params for name in each.opts}
    assert own["--report"].metavar == "FOLDER"
    assert not {"--framework", "--folder", "--operator", "--model", "--order"} & set(own)
    for name in {"--frameworks", "--dtype", "--operators", "--orders", "--models"} & set(own):
        assert own[name].metavar == "A,B"
        assert not own[name].multiple


@pytest.mark.parametrize(
    ("study", "words", "said"),
    [
        ("operators", ["--frameworks", "torch,jx"], "--frameworks 'jx': wanted some of torch, "),
        ("operators", ["--operators", "gleu"], "did you mean 'gelu'?"),
        ("stress", ["--dtype", "flot32"], "did you mean 'float32'?"),
        ("alarms", ["--dtype", "float32,"], "wanted names separated by commas"),
        ("published", ["--models", "none"], "--models 'none': wanted some of "),
        ("adversary", ["--folder", "here"], "No such option '--folder'"),
    ],
)
def test_a_mistake_in_a_study_is_answered_in_one_line(
    study: str, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = importlib.import_module(f"crosscheck.studies.{study}.__main__").main
    with pytest.raises(SystemExit) as ended:
        run_program(found, words)
    err = capsys.readouterr().err
    assert (ended.value.code, err.count("\n")) == (4, 1)
    assert said in err


@pytest.mark.parametrize("name", sorted(set(cli.commands) - {"completion", "write"}))
def test_every_command_with_a_result_gives_it_to_machines_and_to_files(name: str) -> None:
    assert {"--json", "-o"} <= set(options()[name])


def test_a_run_as_json_is_its_report_and_nothing_else(crosscheck: Run) -> None:
    words = ("run", "--case", "worked-example", "--frameworks", "torch", "--json")
    code, out, err = crosscheck(*words)
    assert (code, err) == (0, "")
    content = json.loads(out)
    assert [case["verdicts"][0]["verdict"] for case in content["cases"]] == [
        "AGREES",
        "KINK",
        "KINK",
    ]
    assert not Path("reports").exists()
    assert crosscheck(*words, "--report", "here", "-o", "there.json")[1] == ""
    assert Path("there.json").read_text("utf-8") == Path("here/report.json").read_text("utf-8")
    code, out, _ = crosscheck("report", "here", "--json")
    assert out == Path("here/report.json").read_text("utf-8")


def test_nothing_is_written_after_an_error(crosscheck: Run) -> None:
    code, _, _ = crosscheck("run", "--case", "none.json", "-o", "said.txt")
    assert code == 4
    assert not Path("said.txt").exists()


def test_a_derivation_as_json_has_the_same_words(crosscheck: Run) -> None:
    words = ("explain", "--set", "x=0", "--frameworks", "none")
    content = json.loads(crosscheck(*words, "--json")[1])
    text = " ".join(crosscheck(*words)[1].split())
    (layer,) = (each for each in content["sections"] if each["title"] == "Layer 1")
    formulas = [line for block in layer["blocks"] for line in block.get("formulas", ())]
    assert len(formulas) > 3
    assert all(line in text for line in formulas)
    assert content["failed"] is False


def test_what_looks_at_one_case_leaves_the_latest_report_alone(crosscheck: Run) -> None:
    latest = Path("reports/latest/report.json")
    latest.parent.mkdir(parents=True)
    latest.write_text("another's")
    only = ("--frameworks", "torch")
    for words in (("run", "--case", "worked-example"), ("replay", "7:0", "--widths", "1,1,1")):
        code, out, _ = crosscheck(*words, *only)
        assert code == 0
        assert "report: none; --report FOLDER writes one" in out
    assert [path.name for path in latest.parent.iterdir()] == ["report.json"]
    assert latest.read_text() == "another's"


def test_so_many_cases_are_drawn_as_are_asked_for(crosscheck: Run) -> None:
    words = ("run", "--max-examples", "10", "--frameworks", "torch", "--json")
    for seed in ("1", "3"):
        run = json.loads(crosscheck(*words, "--seed", seed)[1])["run"]
        assert run["cases"] % 16 <= 10  # a shape of which nothing was checked gets 16 more
        assert run["seed"] == int(seed)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("bench", "--frameworks", "foo"), "no framework is called 'foo', wanted one of torch"),
        (
            ("bench", "--dtype", "float16"),
            "'float16': wanted some of float64, float32; did you",
        ),
        (("precision", "--frameworks", "jaxx"), "did you mean 'jax'"),
        (("power", "--frameworks", "torhc"), "did you mean 'torch'"),
        (("run", "--formulation", "torch=clmap"), "did you mean 'clamp'"),
        (("run", "--mode", "jax=jitt"), "did you mean 'jit'"),
        (("conventions", "--recorded", "--formulation", "clmap"), "did you mean 'clamp'"),
        (("conventions", "--recorded", "--operators", "rleu6"), "did you mean 'relu6'"),
        (("conventions", "--recorded", "--formulation", "hard_tanhh"), "did you mean 'hard_tanh'"),
    ],
)
def test_what_was_meant_is_said_in_one_line(
    words: tuple[str, ...], complaint: str, crosscheck: Run
) -> None:
    code, out, err = crosscheck(*words)
    assert (code, out, err.count("\n")) == (4, "", 1)
    assert complaint in err


def test_a_formulation_is_no_operator_of_its_name(crosscheck: Run) -> None:
    words = ("conventions", "--recorded", "--frameworks", "torch", "--json")
    found = json.loads(crosscheck(*words, "--formulation", "relu,clamp")[1])["conventions"]["torch"]
    assert {name for each in found.values() for name in each} == {"relu", "clamp"}
    assert set(found["relu"]) == {"relu", "clamp"}
    found = json.loads(crosscheck(*words, "--operators", "relu6")[1])["conventions"]["torch"]
    assert set(found) == {"relu6"}
    assert len(found["relu6"]) > 1


def test_each_framework_s_own_numbers_are_shown_at_a_kink(crosscheck: Run) -> None:
    words = ("--frameworks", "torch,jax", "--formulation", "torch=clamp")
    _, out, _ = crosscheck("run", "--case", "worked-example", *words)
    at_kink = out.split("worked-example at x = 0")[1].split("worked-example at")[0]
    assert "reference, slope 0 at kinks: J = 8," in at_kink
    assert "bit for bit the reference" not in at_kink
    lines = at_kink.splitlines()
    (torch,) = (place for place, line in enumerate(lines) if "torch clamp: KINK; λ = 1;" in line)
    (jax,) = (place for place, line in enumerate(lines) if "jax relu: KINK; λ = 0;" in line)
    assert "dJ/db1[0] = -12, dJ/dx[0,0] = -24" in lines[torch + 1]
    assert "dJ/db1[0] = 0, dJ/dx[0,0] = 0" in lines[jax + 1]
    smooth = out.split("worked-example at x = 0")[0]
    assert smooth.count("bit for bit the reference") == 2


def boundary_of(out: str) -> list[str]:
    """The first column of the table of kinks."""
    table = out.split("ReLU boundary")[1].split("Kinks:")[0]
    return [line.split("│")[1].strip() for line in table.splitlines() if "│" in line]


def test_a_row_of_kinks_that_all_frameworks_have_is_one(crosscheck: Run) -> None:
    words = ("run", "--case", "worked-example", "--frameworks", "torch,jax")
    assert boundary_of(crosscheck(*words)[1]) == ["all relu"]
    chosen = ("--formulation", "torch=clamp")
    assert boundary_of(crosscheck(*words, *chosen)[1]) == ["jax relu", "torch clamp"]
