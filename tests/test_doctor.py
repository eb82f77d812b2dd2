"""The doctor finds what does not work, survives it, and says what to do."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import processes
import pytest
from flushing import FLUSH, needs_x86
from processes import is_running

from crosscheck.cli import main
from crosscheck.doctor import Diagnosis, FrameworkHealth, LibraryHealth, Problem, advice, examine
from crosscheck.doctor.advice import on_framework, on_libraries
from crosscheck.doctor.diagnosis import Check
from crosscheck.doctor.examination import _USES
from crosscheck.doctor.probe import LIBRARIES, PACKAGES
from crosscheck.doctor.runner import Outcome, Runner
from crosscheck.frameworks import registry
from crosscheck.frameworks.registry import GROUP
from crosscheck.workers.patience import patient

ROOT = Path(__file__).parents[1]

ADAPTER = """
import sys
from crosscheck.numbers.formats import format_of
from crosscheck.frameworks.base import Framework
from crosscheck.network.dense import Gradients
from crosscheck.network.reference import gradients as exact

def gradients(case):
    hold, found = format_of(case.dtype).round, exact(case)
    biases = [None if each is None else hold(each) for each in found.biases]
    weights = tuple(map(hold, found.weights))
    return Gradients(hold(found.loss), weights, tuple(biases), hold(found.x))

class Planted(Framework):
    name, module, packages = {name!r}, "numpy", ("numpy",)
    modes = {{"first": "", "second": "", "third": ""}}

    def gradients(self, case):
        print("chatter of a library")
        {body}
        return gradients(case)
"""
"""A framework that is right, except for what is planted in it."""

FLUSHES = """\
right = gradients(case)
        import numpy as np
        from crosscheck.numbers.formats import format_of
        least = format_of(case.dtype).smallest_normal
        z = case.x * case.weights[0].item()
        if case.network.depth == 1 and (abs(z) < least).all():
            right = Gradients(right.loss, (right.weights[0] * 0,), right.biases, right.x)
        return right"""


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Registers frameworks of the given sources, and hides all others and the packages."""
    run = Runner.run
    monkeypatch.setattr(
        Runner, "run", lambda self, name: Outcome() if name == LIBRARIES else run(self, name)
    )
    monkeypatch.setattr(registry, "_BUILT_IN", {})
    monkeypatch.syspath_prepend(tmp_path)
    installed = importlib.metadata.entry_points

    def others(*, group: str) -> Any:
        entries = installed(group=group)
        kept = [entry for entry in entries if entry.value.startswith("planted_")]
        return importlib.metadata.EntryPoints(kept)

    monkeypatch.setattr("importlib.metadata.entry_points", others)

    def put(**sources: str) -> None:
        for name, source in sources.items():
            if "\nclass " not in source:
                source = ADAPTER.format(name=name, body=source)
            (tmp_path / f"planted_{name}.py").write_text(source, "utf-8")
        folder = tmp_path / "planted-1.0.dist-info"
        folder.mkdir()
        text = "Metadata-Version: 2.1\nName: planted\nVersion: 1.0\n"
        (folder / "METADATA").write_text(text, "utf-8")
        lines = [f"[{GROUP}]", *(f"{name} = planted_{name}:Planted" for name in sources)]
        (folder / "entry_points.txt").write_text("\n".join(lines), "utf-8")
        importlib.invalidate_caches()

    yield put
    for name in [name for name in sys.modules if name.startswith("planted_")]:
        del sys.modules[name]


def found(diagnosis: Diagnosis, name: str) -> FrameworkHealth:
    (health,) = (each for each in diagnosis.frameworks if each.name == name)
    return health


def works(health: FrameworkHealth) -> Mapping[str, bool]:
    return {mode.name: mode.works for mode in health.modes}


def patience() -> float:
    """Seconds for a step that nothing is wrong with, on this machine as it is today."""
    began = time.monotonic()
    examine(["good"], limit=patient(60.0))
    return max(4.0, 4 * (time.monotonic() - began))


HANG = "__import__('time').sleep(600)"
ABORT = "__import__('os').abort()"


def test_hanging_and_crashing_frameworks_cost_only_their_own_answers(
    plant: Callable[..., None],
) -> None:
    plant(
        good="pass",
        hangs=f"if self.mode == 'second': {HANG}",
        crashes=f"if self.mode == 'second': {ABORT}",
        broken_import=f"{ABORT}\nclass Planted: pass\n",
        stuck_import=f"{HANG}\nclass Planted: pass\n",
    )
    before = set(sys.modules)
    limit = patience()
    start = time.monotonic()
    diagnosis = examine(limit=limit)
    assert time.monotonic() - start < 10 * limit
    assert not [name for name in set(sys.modules) - before if name.startswith("planted_")]
    for name in ("good", "hangs", "crashes"):
        health = found(diagnosis, name)
        assert health.state == "available"
        second = name == "good"
        assert works(health) == {"first": True, "second": second, "third": True}
    assert found(diagnosis, "hangs").modes[1].detail == f"no answer within {limit:g} s"
    assert "the process ended by SIGABRT" in found(diagnosis, "crashes").modes[1].detail
    assert found(diagnosis, "broken_import").state == "broken"
    assert "the process ended by SIGABRT" in found(diagnosis, "broken_import").detail
    assert found(diagnosis, "stuck_import").detail == f"no answer within {limit:g} s"
    serious = {problem.subject for problem in diagnosis.problems if problem.serious}
    assert serious == {"broken_import", "stuck_import"}
    mild = {problem.subject for problem in diagnosis.problems if not problem.serious}
    assert mild == {"hangs, second", "crashes, second"}
    assert all(problem.remedy for problem in diagnosis.problems)
    assert diagnosis.exit_code == 1


def test_what_hangs_is_ended_with_all_it_started(
    plant: Callable[..., None], tmp_path: Path
) -> None:
    child = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'input()'], "
    child += f"stdin=subprocess.PIPE); open({str(tmp_path / 'pid')!r}, 'w').write(str(p.pid)); "
    plant(good="pass", hangs=f"if self.mode == 'second':\n            {child}{HANG}")
    examine(["hangs"], limit=patience())
    pid = int((tmp_path / "pid").read_text())
    processes.wait_until(lambda: not is_running(pid))


def test_a_default_mode_that_is_wrong_makes_a_framework_broken(plant: Callable[..., None]) -> None:
    wrong = "r = gradients(case); r.weights[1][...] += 1; return r"
    plant(
        first_wrong=f"if self.mode == 'first' and case.network.depth > 1:\n            {wrong}",
        third_wrong=f"if self.mode == 'third' and case.network.depth > 1:\n            {wrong}",
        raises="if self.mode == 'third': raise RuntimeError('no such\\n  device')",
    )
    diagnosis = examine(limit=patient(60.0))
    first = found(diagnosis, "first_wrong")
    assert first.state == "broken"
    assert first.detail == "mode first: ArithmeticError: the worked example gave 5, 2, 6, 6, " + (
        "wanted 4, 2, 6, 6"
    )
    assert found(diagnosis, "third_wrong").state == "available"
    assert works(found(diagnosis, "third_wrong")) == {
        "first": True,
        "second": True,
        "third": False,
    }
    raised = found(diagnosis, "raises").modes[2].detail
    assert raised == "CrashedError: raises: CRASHED: RuntimeError: no such"
    assert [problem.subject for problem in diagnosis.problems if problem.serious] == [
        "first_wrong, first"
    ]
    assert diagnosis.exit_code == 1


def test_flushing_is_measured(plant: Callable[..., None]) -> None:
    plant(keeps="pass", flushes=FLUSHES)
    diagnosis = examine(limit=patient(60.0))
    assert found(diagnosis, "keeps").subnormals == {
        dtype: {"results": True, "operands": True} for dtype in ("float64", "float32")
    }
    assert found(diagnosis, "flushes").subnormals == {
        dtype: {"results": False, "operands": True} for dtype in ("float64", "float32")
    }


@needs_x86
def test_a_framework_that_makes_its_thread_flush_is_usable_and_told_of(
    plant: Callable[..., None],
) -> None:
    flushing = "".join(f"\n        {line}" for line in FLUSH.strip().splitlines())
    plant(keeps="pass", flushes=f"pass{flushing}")
    diagnosis = examine(limit=patient(60.0))
    assert found(diagnosis, "flushes").state == "available"
    (problem,) = diagnosis.problems
    assert (problem.subject, problem.serious) == ("flushes", False)
    assert "replace subnormal numbers by zero" in problem.what
    assert diagnosis.exit_code == 0


def test_an_absent_framework_is_no_problem_and_is_named_with_its_command(
    plant: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    source = ADAPTER.format(name="absent", body="pass").replace('"numpy", (', '"nowhere", (')
    plant(absent=source)
    code = main(["doctor"])
    out = capsys.readouterr().out
    assert code == 5
    assert "-- absent: not installed; pip install numpy" in out
    assert "no framework is installed; no problems found" in out


def test_json_holds_the_same_as_the_screen(
    plant: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    plant(good="pass", bad="raise RuntimeError('never')")
    code = main(["doctor", "--json", "--timeout", "60"])
    report = json.loads(capsys.readouterr().out)
    assert code == report["exit_code"] == 1
    states = {each["name"]: each["state"] for each in report["frameworks"]}
    assert states == {"good": "available", "bad": "broken"}
    assert report["problems"][0]["subject"] == "bad, first"
    assert report["system"]["python"].startswith(".".join(map(str, sys.version_info[:3])))
    assert {each["name"] for each in report["libraries"]} == set(PACKAGES)


def test_a_real_framework_is_healthy(capsys: pytest.CaptureFixture[str]) -> None:
    before = "jax" in sys.modules
    code = main(["doctor", "--frameworks", "jax", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert code == 0
    (health,) = report["frameworks"]
    assert health["state"] == "available"
    assert health["versions"]["jax"] == importlib.metadata.version("jax")
    assert health["devices"][0].startswith("cpu")
    assert health["subnormals"]["float32"] == {"results": False, "operands": False}
    assert len(health["modes"]) > 3
    assert all(mode["works"] for mode in health["modes"])
    assert report["subnormals"] == {
        dtype: {"results": True, "operands": True} for dtype in ("float64", "float32")
    }
    assert report["system"]["BLAS"]
    assert ("jax" in sys.modules) == before


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--frameworks", "tourch"), "did you mean 'torch'"),
        (("--timeout", "0"), "wanted a number of seconds above 0"),
        (("--timeout", "long"), "--timeout"),
    ],
    ids=["name", "zero", "word"],
)
def test_wrong_usage_gets_one_line_and_exit_code_4(
    arguments: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", *arguments]) == 4
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert complaint in captured.err


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--help"]) == 0
    assert "crosscheck doctor --frameworks torch --timeout 30" in capsys.readouterr().out


def test_an_interrupt_ends_the_examination_and_what_it_started(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    source = f"import os, time\nopen({str(marker)!r}, 'w').write(str(os.getpid()) + ' ')\n"
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(f"{source}time.sleep(600)\n")
    path = os.pathsep.join([str(tmp_path), str(ROOT), os.environ.get("PYTHONPATH", "")])
    with processes.started(
        [sys.executable, "-m", "crosscheck", "doctor", "--frameworks", "torch", "--timeout", "600"],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        processes.wait_until(lambda: marker.is_file() and marker.read_text().endswith(" "), process)
        process.send_signal(signal.SIGINT)
        processes.ended(process)
    assert process.returncode == 2
    assert not is_running(int(marker.read_text()))


@pytest.mark.parametrize("is_heard", [True, False], ids=["heard", "swallowed"])
def test_an_interrupt_while_the_examination_starts_ends_it_all_the_same(
    is_heard: bool, plant: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(stuck=f"{HANG}\nclass Planted: pass\n")
    submit = ThreadPoolExecutor.submit

    def interrupted(self: ThreadPoolExecutor, *task: Any) -> Any:
        future = submit(self, *task)
        with contextlib.suppress(*[] if is_heard else [KeyboardInterrupt]):
            if task[1] == "stuck":
                signal.raise_signal(signal.SIGINT)
        return future

    monkeypatch.setattr(ThreadPoolExecutor, "submit", interrupted)
    began = time.monotonic()
    with processes.interruptible(), pytest.raises(KeyboardInterrupt):
        examine(limit=patient(60.0))
    assert time.monotonic() - began < patient(50)


def test_what_leaves_its_group_and_keeps_the_output_is_not_waited_for(
    plant: Callable[..., None], tmp_path: Path
) -> None:
    code = "import os, time; os.setsid(); open({!r}, 'w').write(f'{{os.getpid()}} '); "
    code = code.format(str(tmp_path / "pid")) + "time.sleep(600)"
    body = "import os, subprocess, sys, time\n"
    body += "        if self.mode == 'second' and not os.path.exists({!r}):\n".format(
        str(tmp_path / "pid")
    )
    body += "            fds = [int(fd) for fd in os.listdir('/proc/self/fd') if int(fd) > 2]\n"
    body += f"            subprocess.Popen([sys.executable, '-c', {code!r}], pass_fds=fds)\n"
    body += "            while not os.path.exists({!r}): time.sleep(0.01)".format(
        str(tmp_path / "pid")
    )
    plant(leaves=body)
    began = time.monotonic()
    diagnosis = examine(limit=patient(60.0))
    assert time.monotonic() - began < patient(50)
    assert works(found(diagnosis, "leaves")) == {"first": True, "second": True, "third": True}
    pid = int((tmp_path / "pid").read_text())
    assert is_running(pid)
    os.kill(pid, signal.SIGKILL)


# What it says


def test_every_package_has_a_use_and_every_extra_named_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(_USES) == set(PACKAGES)
    for use, extra in _USES.values():
        assert use
        assert not extra or extra in extras["optional-dependencies"]


REMEDIES = [
    ("import", "the process ended by SIGILL", "instructions that the processor does not have"),
    ("import", "no answer within 3 s", "--timeout"),
    ("import", "the process ended by SIGKILL", "memory"),
    ("import", "ImportError: libcudart.so", "--force-reinstall"),
    ("mode compile", "InductorError: Python.h: No such file", "python3-dev"),
    ("mode second", "no answer within 3 s", "--timeout"),
    ("mode second", "RuntimeError: odd", "the other modes are not affected"),
    ("mode first", "ArithmeticError: the worked example gave 5, wanted 4", "crosscheck run"),
]


@pytest.mark.parametrize(
    ("step", "what", "remedy"), REMEDIES, ids=[f"{step}: {what}" for step, what, _ in REMEDIES]
)
def test_each_kind_of_problem_has_a_remedy_of_its_own(step: str, what: str, remedy: str) -> None:
    outcome = Outcome(failed={step: what})
    modes: tuple[Check, ...] = ()
    if step != "import":
        outcome.found["import"] = {"default": "first"}
        modes = (Check(step.removeprefix("mode "), False, what, 0.0),)
    health = FrameworkHealth("torch", "broken", {}, modes=modes)
    (problem,) = on_framework(health, outcome)
    assert remedy in problem.remedy
    assert what in problem.what
    assert problem.serious == (step in ("import", "mode first"))


def test_without_a_compiler_torch_compile_asks_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda program: None)
    assert "install g++" in advice._mode("torch", "compile", "InductorError: no CXX", False)


def test_a_broken_optional_package_is_a_problem_but_not_a_serious_one() -> None:
    package = LibraryHealth("numba", "broken", "", "speed", "ImportError: odd")
    kept = {"float32": {"results": True, "operands": True}}
    (problem,) = on_libraries([package], Outcome(), kept, judged=True)
    assert isinstance(problem, Problem)
    assert (problem.subject, problem.serious) == ("numba", False)
    kept["float32"]["operands"] = False
    for judged, serious in ((True, [False]), (False, [True])):
        problems = list(on_libraries([], Outcome(), kept, judged=judged))
        assert [problem.serious for problem in problems] == serious
