"""A function that ends the process of its tests is told with its case, by whoever comes next."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from crosscheck.tools.trail import Call, calls_left, kept, note

pytest_plugins = ["pytester"]

DIES = """
import os

def dies(weights, biases, x, y):
    os._exit(3)

def test_mine(crosscheck):
    crosscheck(numpy=dies)
"""

LEAVES = DIES.replace("_exit(3)", "_exit(0)")

FORMULA = """
import os

def square(x):
    return x * x

def dies(x, cotangent_of_out):
    os._exit(3)

def test_mine(crosscheck):
    crosscheck(square, "b -> b", by_hand=dies)
"""


def test_the_call_under_way_is_in_the_file_and_the_file_goes_with_the_test(tmp_path: Path) -> None:
    path = tmp_path / "asking-x.json"
    note("nobody", lambda: "listens")
    with kept(path, "test_one"):
        assert path.read_text() == ""
        note("numpy affine", lambda: "a401" * 4)
        note("jax f", lambda: "b")
        assert path.read_text() == '{"test": "test_one", "function": "jax f", "case": "b"}'
        (found,) = calls_left(tmp_path)
        assert found == Call("test_one", "jax f", "b")
    assert calls_left(tmp_path) == []


def test_what_another_process_is_at_just_now_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / f"asking-{os.getpid()}.json"
    with kept(path, "test_one"):
        note("jax f", lambda: "b")
        assert calls_left(tmp_path) == []
        assert path.exists()


# JAX, where it has been imported, warns of forks; the child here ends at once.
@pytest.mark.filterwarnings("ignore:os.fork")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_was_forked_in_a_test_may_end_with_success(tmp_path: Path) -> None:
    before = os._exit
    with kept(tmp_path / "asking-x.json", "test_one"):
        child = os.fork()
        if child == 0:
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert os._exit is not before
    assert os._exit is before


def test_damaged_files_are_removed_and_hurt_nobody(tmp_path: Path) -> None:
    for number, text in enumerate((b"{", b"[1]", b"\xff", b'{"no": 1}', b"3")):
        (tmp_path / f"asking-x{number}.json").write_bytes(text)
    assert calls_left(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (LEAVES, 1),  # and not 0, with which it leaves
        pytest.param(DIES, 3, marks=pytest.mark.long),
        pytest.param(FORMULA, 3, marks=pytest.mark.long),
    ],
    ids=["leaves", "dense", "formula"],
)
def test_the_next_session_tells_what_the_last_one_died_of(
    source: str, code: int, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(source)
    assert pytester.runpytest_subprocess().ret == code
    quiet = ["-q"] if source == LEAVES else []  # which has no header
    second = pytester.runpytest_subprocess("--collect-only", *quiet)
    told = "crosscheck: in an earlier session *::test_mine asked * dies for case *"
    second.stdout.fnmatch_lines([told])
    third = pytester.runpytest_subprocess("--collect-only")
    third.stdout.no_fnmatch_line("*earlier session*")


@pytest.mark.long
def test_the_process_that_started_the_one_that_died_tells_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(DIES)
    result = pytester.runpytest_subprocess("-n", "1", "--max-worker-restart", "0")
    result.stdout.fnmatch_lines(["crosscheck: *::test_mine asked numpy dies for case *"])
