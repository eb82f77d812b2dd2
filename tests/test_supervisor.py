"""A command that did not come to its end does not end with 0, whatever ended it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import processes
import pytest
import sweeping

from crosscheck.cli.supervisor import is_program, needs_none
from crosscheck.network.dense import Case
from crosscheck.network.files import write_case

PROGRAM = """
import atexit, os, signal, sys, threading, time
from crosscheck.cli.supervisor import supervised

def work():
    {}

sys.exit(supervised(work))
"""


def program(body: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM.format(body.replace("\n", "\n    "))]


ENDS: dict[str, tuple[str, int, str]] = {
    "fine": ("return 0", 0, ""),
    "disagreement": ("return 1", 1, ""),
    "exit": ("os._exit(0)", 1, "ended with 0 before it had come to its end"),
    "exit-5": ("os._exit(5)", 1, "ended with 5 before it had come to its end"),
    "thread": (
        "threading.Thread(target=os._exit, args=(0,)).start()\ntime.sleep(60)",
        1,
        "ended with 0 before it had come to its end",
    ),
    "system-exit": ("sys.exit(0)", 1, "ended with 0 before it had come to its end"),
    "other-program": (
        "os.execv(sys.executable, [sys.executable, '-c', ''])",
        1,
        "ended with 0 before it had come to its end",
    ),
    "fork": (
        "if os.fork() == 0:\n    return 0\nos.wait()\nos._exit(0)",
        1,
        "ended with 0 before it had come to its end",
    ),
    "crash": (
        "os.kill(os.getpid(), signal.SIGSEGV)",
        1,
        "was ended by SIGSEGV before it had come to its end",
    ),
    "handler": ("atexit.register(os._exit, 0)\nreturn 1", 1, ""),
    "handler-0": ("atexit.register(os._exit, 0)\nreturn 0", 0, ""),
    "handler-3": ("atexit.register(os._exit, 3)\nreturn 0", 3, ""),
    "crash-at-the-end": (
        "atexit.register(os.kill, os.getpid(), signal.SIGKILL)\nreturn 0",
        1,
        "was ended by SIGKILL after its last words",
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_only_what_came_to_its_end_ends_with_0(name: str) -> None:
    body, code, words = ENDS[name]
    done = processes.run(program(body), capture_output=True)
    assert done.returncode == code
    assert done.stdout == ""
    if words:
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"crosscheck: the process of this command {words}: most likely a ")
    else:
        assert done.stderr == ""


COUNTING = """
heard = []
signal.signal(signal.SIGINT, lambda *arguments: heard.append(1))
print(os.getpid(), flush=True)
while not heard:
    time.sleep(0.02)
time.sleep(0.3)  # for one too many
return 20 + len(heard)
""".strip()


def test_an_interrupt_is_passed_on_once() -> None:
    with processes.started(program(COUNTING), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        processes.ended(process)
    assert process.returncode == 21


TERMINAL = """
import os, pty, sys
child, terminal = pty.fork()
if child == 0:
    os.execv(sys.executable, sys.argv[1:])
os.read(terminal, 100)
os.write(terminal, b"\\x03")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_what_is_typed_at_the_terminal_is_heard_once() -> None:
    with processes.interruptible():
        done = processes.run([sys.executable, "-c", TERMINAL, *program(COUNTING)])
    assert done.returncode == 21


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_both_processes_end_together(number: signal.Signals) -> None:
    body = "print(os.getpid(), flush=True)\ntime.sleep(60)"
    with processes.started(program(body), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        assert child != process.pid
        process.send_signal(number)
        processes.ended(process)
        assert process.returncode == -number
        processes.wait_until(lambda: not processes.is_running(child))


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["/usr/bin/crosscheck"], True),
        (["C:\\Scripts\\crosscheck.exe".replace("\\", os.sep)], True),
        (["/somewhere/crosscheck/__main__.py", "run"], True),
        (["/somewhere/study.py"], False),
        (["/somewhere/other/__main__.py"], False),
        (["-c"], False),
        ([""], False),
    ],
)
def test_a_program_that_calls_the_command_is_not_split_in_two(
    words: Sequence[str], found: bool
) -> None:
    assert is_program(words) is found


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["run"], False),
        (["sweep", "--jobs", "2"], False),
        (["doctor"], False),
        ([], True),
        (["--version"], True),
        (["run", "--help"], True),
        (["report"], True),
        (["completion", "bash"], True),
    ],
)
def test_what_asks_no_framework_is_not_watched(words: Sequence[str], found: bool) -> None:
    assert needs_none(["crosscheck", *words]) is found


def test_the_one_that_watches_imports_nothing_heavy() -> None:
    program = (
        "import sys, crosscheck.cli\n"
        "assert not {'numpy', 'click', 'hypothesis', 'ctypes'} & set(sys.modules)\n"
    )
    processes.run([sys.executable, "-c", program], check=True)


RUN = ["run", "--case", "small.json"]


SWEEP = ["sweep", "--cases", "100"]


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(RUN, id="run"),
        pytest.param(SWEEP, id="sweep", marks=pytest.mark.long),
        pytest.param([*RUN, "--in-process"], id="run in process"),
        pytest.param([*SWEEP, "--in-process"], id="sweep in process"),
    ],
)
def test_a_framework_that_ends_the_process_fails_the_command(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeping.install(tmp_path, monkeypatch)
    write_case(Case.of([[[1.0, -2.0]]], None, [[1.0, 0.5]], [[1.0]]), "small.json")
    words = [sys.executable, "-m", "crosscheck", *command, "--frameworks", "quits"]
    path = os.pathsep.join([str(tmp_path / "site"), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": path}
    done = processes.run(words, capture_output=True, env=environment, cwd=tmp_path)
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if not line.endswith(" …")]
    if "--in-process" not in command:  # as a program it lets no framework into its process
        assert "CRASHED" in done.stdout
        assert "ended with 0" in done.stdout
        assert said == []
    else:
        ended = "crosscheck: the process of this command ended with 0 before "
        assert said[0].startswith(ended)


# Where the command is run by a program of one's own, and by workers


def test_a_library_that_exits_outside_of_all_gates_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from crosscheck import cli

    monkeypatch.setattr(cli.cli, "main", lambda **options: sys.exit(0))
    assert cli.main(["run"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("crosscheck: a library called sys.exit(0) in the middle of the command")


def test_a_library_that_exits_in_a_worker_is_a_crash_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeping.install(tmp_path, monkeypatch)
    words = ("--cases", "40", "--seed", "1", "--max-failures", "2", "--jobs", "1")
    code, report = sweeping.sweep(*words, "--frameworks", "plain,exits")
    assert code == 1
    assert report["sweep"]["workers_lost"] == 0
    counts = {each["framework"]: each["counts"] for each in report["verdicts"]}
    assert counts["exits"] == {"CRASHED": 2}
    assert "CRASHED" not in counts["plain"]
