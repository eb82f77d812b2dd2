"""How a command ends: its exit code tells the truth, and no traceback comes out of it."""

from __future__ import annotations

import errno
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import processes
import pytest

from crosscheck.cli import commands
from crosscheck.cli.commands import CLOSED_OUTPUT, run_command
from crosscheck.cli.options import Checking
from crosscheck.cli.session import Session
from crosscheck.cli.waiting import told_if_slow
from crosscheck.frameworks import registry
from crosscheck.report import html
from crosscheck.run import crosscheck as run
from crosscheck.run.events import ExitCode, RunStarted
from crosscheck.tools.atomic import require_writable
from crosscheck.tools.consoles import Terminal
from crosscheck.tools.errors import UsageError
from crosscheck.tools.folders import LOCK, claimed

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def crosscheck(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Run:
    """Runs the command in an empty folder; it ends where frameworks are to be opened."""
    monkeypatch.chdir(tmp_path)

    def opened(*_: object, **__: object) -> None:
        raise UsageError("frameworks are opened")

    monkeypatch.setattr(registry, "open_frameworks", opened)

    def run(*words: str) -> tuple[int, str, str]:
        code = run_command(words)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


OPENED = "crosscheck: frameworks are opened\n"


def ending(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """The command ``doctor`` ends with ``error``."""

    @click.command()
    def doctor() -> int:
        raise error

    monkeypatch.setitem(commands.cli.commands, "doctor", doctor)


# -- the folder of the report --------------------------------------------------------------


@pytest.mark.parametrize("command", ["run --case worked-example", "sweep", "replay 1:1"])
def test_a_folder_that_cannot_be_written_is_found_before_the_work(
    command: str, crosscheck: Run, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    words = command.split()
    code, out, err = crosscheck(*words, "--report", "file/below")
    assert (code, out) == (4, "")
    assert err == (
        "crosscheck: file/below: cannot be written to: Not a directory; choose another folder "
        "for the report\n"
    )
    assert crosscheck(*words, "--report", "another/below") == (4, "", OPENED)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]  # nothing is left behind


def test_what_is_written_to_one_file_is_found_to_be_writable_before(
    crosscheck: Run, tmp_path: Path
) -> None:
    code, _, err = crosscheck("explain", "-o", str(tmp_path / "no\x1b" / ".." / "x" / ("y" * 300)))
    assert code == 4
    assert "\x1b" not in err
    assert err.count("\n") == 1
    for name in ("", "made/below/file"):
        before = sorted(tmp_path.rglob("*"))
        if name:
            require_writable(tmp_path / name)
        else:
            with pytest.raises(UsageError, match="cannot be written: Is a directory"):
                require_writable(tmp_path)
        assert sorted(tmp_path.rglob("*")) == before
    require_writable("/dev/null")


@pytest.mark.parametrize("code", [ExitCode.OK, ExitCode.DISAGREEMENT, ExitCode.INTERRUPTED])
def test_a_disagreement_is_told_by_the_exit_code_even_if_the_report_cannot_be_written(
    code: ExitCode,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    @click.command()
    def doctor() -> int:
        session = Session(Checking(None, {}, {}, (), tmp_path))
        started = RunStarted("crosscheck run", "", None, (), (), {})
        monkeypatch.setattr("os.replace", full)
        return session.run(started, lambda checker: None)

    monkeypatch.setitem(commands.cli.commands, "doctor", doctor)
    monkeypatch.setattr(registry, "open_frameworks", lambda *_, **__: ([], []))
    monkeypatch.setattr(html, "find_table", lambda folder: None)  # reading it takes seconds
    monkeypatch.setattr(run, "outcome", lambda *_, **__: (code, "as asked"))
    assert run_command(["doctor"]) == (1 if code is ExitCode.DISAGREEMENT else 4)
    assert "cannot be written: No space left on device" in capsys.readouterr().err


def test_two_runs_in_one_folder_are_refused(crosscheck: Run, tmp_path: Path) -> None:
    with claimed(tmp_path / "reports"):
        code, _, err = crosscheck("run", "--case", "worked-example", "--report", "reports")
        assert crosscheck("sweep", "--report", "reports") == (code, "", err)
        assert crosscheck("run", "--report", "other") == (4, "", OPENED)
    assert code == 4
    assert re.fullmatch(
        rf"crosscheck: reports: process {os.getpid()} on \S+, since [0-9 :-]+, is writing its "
        "report there; wait for its end, or choose another folder\n",
        err,
    )
    assert not (tmp_path / "reports").exists()  # it was made for the claim, and nothing is in it


def test_the_claim_of_a_process_that_was_killed_is_none(tmp_path: Path) -> None:
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom crosscheck.tools.folders import claimed\n"
        "with claimed(Path(sys.argv[1])):\n    print('mine', flush=True)\n    sys.stdin.read()\n"
    )
    words = [sys.executable, "-c", program, str(tmp_path)]
    with processes.started(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "mine\n"
        with pytest.raises(UsageError, match=f"process {process.pid} "), claimed(tmp_path):
            pass
        process.kill()
        process.wait()
    assert (tmp_path / LOCK).exists()
    with claimed(tmp_path):
        assert str(os.getpid()) in (tmp_path / LOCK).read_text()
    assert not (tmp_path / LOCK).exists()


def test_without_locks_nobody_is_kept_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with claimed(tmp_path), claimed(tmp_path):
        pass


# -- the output ----------------------------------------------------------------------------


def test_a_closed_output_is_neither_success_nor_disagreement() -> None:
    reader, writer = os.pipe()
    os.close(reader)  # as `head` does when it has seen enough
    try:
        words = [sys.executable, "-m", "crosscheck", "--help"]
        done = processes.run(words, stdout=writer, stderr=subprocess.PIPE)
    finally:
        os.close(writer)
    assert done.returncode == CLOSED_OUTPUT == 141
    assert [line for line in done.stderr.splitlines() if not line.endswith(" …")] == []


def test_a_terminal_whose_reader_is_gone_ends_the_command_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    @click.command()
    def doctor() -> int:
        Terminal(file=Gone()).print("anything")  # Rich's own console ends with 1
        return 0

    monkeypatch.setitem(commands.cli.commands, "doctor", doctor)
    monkeypatch.setattr(sys, "__stdout__", io.StringIO())  # has no number, so nothing is moved
    assert run_command(["doctor"]) == CLOSED_OUTPUT


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_output_is_one_line(unbuffered: str) -> None:
    with open("/dev/full", "w") as full:
        done = processes.run(
            [sys.executable, "-m", "crosscheck", "--help"],
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=subprocess.PIPE,
        )
    assert done.returncode == 4
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 4, "No space left on device; make room"),
        (OSError(errno.EMFILE, "Too many open files", "x\x1b"), 4, "x\\x1b: Too many open files"),
        (MemoryError(), 4, "there is not enough memory for this"),
        (SystemExit("\x1b"), 1, "a library called sys.exit('\\x1b')"),
        (KeyboardInterrupt(), 2, ""),
        (UsageError("a\x1b[2J\nfile \udcff"), 4, "crosscheck: a\\x1b[2J file \\udcff"),
        (click.UsageError("x\x1b"), 4, "x\\x1b"),
        (RuntimeError("\x1b" + "y" * 50_000_000), 3, "y" * 1000),
    ],
    ids=["full", "files", "memory", "exit", "interrupt", "usage", "click", "defect"],
)
def test_whatever_ends_a_command_is_told_in_characters_that_can_be_shown(
    error: BaseException,
    code: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ending(monkeypatch, error)
    assert run_command(["doctor"]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert words in captured.err
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", captured.err)
    assert len(captured.err) < 30_000
    assert code == 3 or captured.err.count("\n") <= 1


def test_an_interrupted_run_is_not_called_failed() -> None:
    assert [each.word for each in ExitCode if each.word != "failed"] == ["passed", "interrupted"]


def test_what_takes_long_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from crosscheck.cli import waiting

    monkeypatch.setattr(sys, "argv", ["/usr/bin/crosscheck", "run"])
    monkeypatch.setattr(waiting, "_PATIENCE", 0.0)
    said: list[str] = []
    with told_if_slow("opening frameworks"):
        while not said:
            said += capsys.readouterr().err.splitlines()
    assert said == ["crosscheck: opening frameworks …"]
    monkeypatch.setattr(sys, "argv", ["/usr/bin/pytest"])
    with told_if_slow("nothing"):
        pass
    assert capsys.readouterr().err == ""


# -- arguments that are too large ----------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("sweep --widths 1000000000,1", "1000000000,1 --rows 1: a case of 2,000,000,002 numbers"),
        ("sweep --widths 4,8,1 --rows 1000000000", "wanted at most 4,194,304"),
        ("replay 1:1 --widths 99999,99999", "a case of"),
        (f"sweep --widths {'9' * 5000},1", "wanted at least two positive whole numbers"),
        (f"sweep --until {'9' * 400}", "wanted at most 1,000,000h"),
        ("sweep --deadline 1e9", "wanted a time such as 90s"),
        (f"sweep --cases {'9' * 5000}", "wanted a whole number, such as 1e6"),
        (f"run --seed {2**64}", "--seed"),
        (f"run --seed {'9' * 5000}", "--seed"),
        ("explain --set x=0x1p99999", "wanted ENTRY=NUMBER"),
        ("explain --set x=1e999 --frameworks none", "x"),
        (f"replay {'9' * 5000}:1", "wanted SEED:INDEX"),
    ],
    ids=lambda value: value[:40],
)
def test_what_is_too_large_is_refused_in_one_line(
    command: str, words: str, crosscheck: Run
) -> None:
    code, out, err = crosscheck(*command.split())
    assert (code, out) == (4, "")
    assert words in err
    assert err.count("\n") == 1
    assert len(err) < 10_000
