"""Workers may die or hang: nothing is lost, what kills them is named, the result is the same."""

from __future__ import annotations

import math
import multiprocessing
import os
import pickle
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import processes
import pytest
import sweeping

from crosscheck.cases.stream.settings import BLOCK, Settings, Shape
from crosscheck.cli import main
from crosscheck.frameworks.registry import open_frameworks
from crosscheck.network.dense import Network
from crosscheck.run.sweep.check import check_part
from crosscheck.run.sweep.coordinate import coordinated
from crosscheck.run.sweep.dense import DenseWork
from crosscheck.run.sweep.engine import steps
from crosscheck.run.sweep.work import opened
from crosscheck.tools.errors import UsageError
from crosscheck.workers.pool import ProcessExecutor
from crosscheck.workers.process import WorkerDied, WorkerHung

CASES = (
    *("--cases", "250000", "--seed", "7", "--widths", "1,1"),
    *("--mix", "uniform=1,dyadic=1,kinks=.02"),
)


@pytest.fixture(autouse=True)
def wicked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweeping.install(tmp_path, monkeypatch)


def test_the_result_does_not_depend_on_the_number_of_workers() -> None:
    code, alone = sweeping.sweep(*CASES, "--frameworks", "plain")
    assert code == 0
    assert alone["run"]["cases"] == 250_000
    assert alone["cases"]
    wanted = sweeping.result(alone)
    for jobs in ("1", "2"):
        report = sweeping.sweep(*CASES, "--frameworks", "plain", "--jobs", jobs)[1]
        assert sweeping.result(report) == wanted


def test_a_worker_that_is_killed_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    # `unlucky` is killed with SIGKILL in the middle, once.
    code, struck = sweeping.sweep(*CASES, "--frameworks", "unlucky", "--jobs", "2")
    assert code == 0
    assert not Path("site/luck").exists()
    (lost,) = struck["sweep"]["workers"]
    assert struck["sweep"]["workers_lost"] == 1
    assert lost["what"] == "ended by SIGKILL"
    assert lost["cases"].startswith("cases ")
    assert "SIGKILL" in capsys.readouterr().out
    undisturbed = sweeping.sweep(*CASES, "--frameworks", "unlucky")[1]
    assert sweeping.result(struck) == sweeping.result(undisturbed)


@pytest.mark.parametrize("jobs", [1, 2])
def test_each_process_that_works_imports_the_frameworks_and_no_other_does(jobs: int) -> None:
    Path("site/imports").touch()
    words = ("--cases", "100000", "--widths", "1,1", "--seed", "7", "--jobs", str(jobs))
    code, _ = sweeping.sweep(*words, "--frameworks", "plain,slow", "--isolated")
    assert code == 0
    imported = Path("site/imports").read_text().split()
    assert 1 <= len(imported) <= jobs
    assert str(os.getpid()) not in imported


# Case 48 is the only one with NaN.
SPECIAL = ("--cases", "100", "--seed", "28", "--mix", "uniform=20,special=1", "--jobs", "1")


def with_nan(report: dict[str, object]) -> set[str]:
    """Replay addresses of the cases that hold NaN."""
    cases = report["cases"]
    assert isinstance(cases, list)
    return {
        case["label"].split("; ")[1]
        for case in cases
        if not case["shrunk"] and "nan" in str(case["case"])
    }


def patience() -> int:
    """Seconds in which a healthy worker is done with its work, on this machine as it is today."""
    began = time.monotonic()
    sweeping.sweep(*SPECIAL, "--frameworks", "plain")
    return max(2, math.ceil(time.monotonic() - began))  # with its start, which is not counted


@pytest.mark.parametrize(
    ("name", "kind", "detail"),
    [
        ("fragile", "CRASHED", "the process ended by SIGKILL"),
        ("sleepy", "TIMED_OUT", "the process no answer in {deadline} s"),
    ],
)
def test_what_kills_or_hangs_is_narrowed_down_to_the_case(
    name: str, kind: str, detail: str
) -> None:
    deadline = patience() if kind == "TIMED_OUT" else 300
    words = (*SPECIAL, "--frameworks", f"plain,{name}", "--deadline", f"{deadline}s")
    code, report = sweeping.sweep(*words)
    assert code == 1
    assert report["sweep"]["workers_lost"] == 2  # and no third
    named = {
        case["label"].split("; ")[1]
        for case in report["cases"]
        for verdict in case["verdicts"]
        if verdict["verdict"] == kind and not case["shrunk"]
    }
    details = [
        verdict["detail"]
        for case in report["cases"]
        for verdict in case["verdicts"]
        if verdict["verdict"] == kind
    ]
    assert len(named) == 1
    assert named == with_nan(report)
    assert all(each.startswith(detail.format(deadline=deadline)) for each in details)
    counts = {each["framework"]: each["counts"] for each in report["verdicts"]}
    assert counts["plain"].keys() == {"AGREES", "NONFINITE"} | counts["plain"].keys() - {kind}
    assert counts[name][kind] == len(named)
    assert sum(counts[name].values()) == sum(counts["plain"].values()) == report["run"]["cases"]


def test_a_batch_that_kills_though_no_case_does_is_told_so() -> None:
    code, report = sweeping.sweep(*SPECIAL, "--frameworks", "touchy")
    assert code == 1
    assert report["run"]["failing_cases"] == 1
    (detail,) = {
        verdict["detail"]
        for case in report["cases"]
        for verdict in case["verdicts"]
        if verdict["verdict"] == "CRASHED"
    }
    assert detail == (
        f"the process ended with 0, on the block of cases 0 to {BLOCK - 1}; on none of them alone"
    )
    assert report["run"]["cases"] == 100


# The pool


def double(number: int) -> int:
    return 2 * number


def identity() -> int:
    return os.getpid()


def threads() -> dict[str, str | None]:
    return {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "TF_NUM_INTEROP_THREADS")}


def fail() -> None:
    raise ValueError("as asked")


def test_futures_give_results_and_exceptions() -> None:
    with ProcessExecutor(2, deadline=processes.LIMIT) as pool:
        futures = [pool.submit(double, number) for number in range(20)]
        assert [future.result() for future in futures] == list(range(0, 40, 2))
        with pytest.raises(ValueError, match="as asked"):
            pool.submit(fail).result()
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(double, 1)


def test_a_process_that_dies_takes_one_future_with_it_and_is_replaced() -> None:
    with ProcessExecutor(1, deadline=processes.LIMIT) as pool:
        first = pool.submit(identity).result()
        doomed, after = pool.submit(os.kill, first, signal.SIGKILL), pool.submit(identity)
        with pytest.raises(WorkerDied, match="ended by SIGKILL"):
            doomed.result()
        assert after.result() != first


def test_a_process_that_hangs_is_killed_at_its_deadline() -> None:
    with ProcessExecutor(1, deadline=2.0) as pool:
        first = pool.submit(os.getpid).result()  # which needs no import
        with pytest.raises(WorkerHung, match="no answer in 2 s, killed"):
            pool.submit(time.sleep, 60).result()
        assert pool.submit(os.getpid).result() != first
        with pytest.raises(ProcessLookupError):
            os.kill(first, 0)


def test_what_a_process_does_first_is_not_counted_in_its_deadline_and_not_sent_back() -> None:
    with ProcessExecutor(1, deadline=1.0, first=unsendable_after_a_while) as pool:
        first = pool.submit(os.getpid).result()
        assert pool.submit(os.getpid).result() == first  # it is done once
        with pytest.raises(WorkerHung):
            pool.submit(time.sleep, 3600).result()
        assert pool.submit(os.getpid).result() != first


def unsendable_after_a_while() -> object:
    time.sleep(1.5)
    return lambda: None


def test_a_process_that_cannot_send_what_it_has_done_is_replaced() -> None:
    with ProcessExecutor(1, deadline=processes.LIMIT) as pool:
        first = pool.submit(os.getpid).result()
        with pytest.raises(WorkerDied, match="a result of type function cannot be sent"):
            pool.submit(unsendable).result()
        assert pool.submit(os.getpid).result() != first


def unsendable() -> object:
    return lambda: None


def test_that_a_worker_was_lost_can_be_sent() -> None:
    found = pickle.loads(pickle.dumps(WorkerHung("a worker", "no answer in 1 s, killed")))
    assert (type(found), found.worker, found.what) == (
        *(WorkerHung, "a worker", "no answer in 1 s, killed"),
    )


def test_a_worker_keeps_to_one_thread_and_the_parent_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("TF_NUM_INTEROP_THREADS", "2")  # the user's own choice stays
    with ProcessExecutor(1, deadline=processes.LIMIT) as pool:
        found = pool.submit(threads).result()
    assert found == {"OMP_NUM_THREADS": "1", "TF_NUM_INTEROP_THREADS": "2"}
    assert "OMP_NUM_THREADS" not in os.environ


def test_giving_up_ends_processes_at_once() -> None:
    pool = ProcessExecutor(2, deadline=600.0)
    futures = [pool.submit(time.sleep, 600) for _ in range(4)]
    processes.wait_until(lambda: len(pool.pids()) == 2)
    began = time.monotonic()
    pool.shutdown(cancel_futures=True)
    assert time.monotonic() - began < processes.LIMIT
    assert all(future.done() for future in futures)
    assert pool.pids() == []


def test_an_executor_of_the_standard_library_does_as_well() -> None:
    settings = Settings((Shape(Network((4, 8, 1))),), 70_000, 7, frameworks=("plain",))
    (plain,), _ = open_frameworks(["plain"])
    made_with = opened(settings)[1]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        source = coordinated(
            DenseWork(settings), [plain], made_with, executor, slots=1, deadline=processes.LIMIT
        )
        results = list(source(0))
    assert [step.stop for step in results] == [last for _, last in steps(settings, 0)]
    assert sum(part.summary.count for step in results for part in step.checked) == 70_000
    first = check_part(next(settings.parts(0, BLOCK)), settings, [plain])
    assert results[0].checked[0].summary.kinds == first.summary.kinds


def test_a_worker_with_other_versions_is_refused() -> None:
    settings = Settings((Shape(Network((4, 8, 1))),), 100, 7, frameworks=("plain",))
    (plain,), _ = open_frameworks(["plain"])
    here = {**opened(settings)[1], "numpy": "1.0"}
    with ThreadPoolExecutor(1) as executor:
        source = coordinated(
            DenseWork(settings), [plain], here, executor, slots=1, deadline=processes.LIMIT
        )
        with pytest.raises(UsageError, match=r"other versions, here and there: numpy 1\.0 and"):
            list(source(0))


# Dask


@pytest.fixture
def cluster(wicked: None) -> Iterator[Any]:
    """A Dask cluster of two processes on this machine; a task may end one of them, no second."""
    distributed = pytest.importorskip("distributed")
    patience = pytest.importorskip("dask").config.set({"distributed.scheduler.allowed-failures": 1})
    with (
        patience,
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",  # any free port: other tests have clusters too
        ) as started,
    ):
        yield started


def test_on_a_dask_cluster_the_result_is_the_same_though_a_worker_is_killed_at_work(
    cluster: Any,
) -> None:
    # `orphaned` kills the worker of Dask's for which it works, in the middle of a batch, once.
    before = {worker.pid for worker in cluster.workers.values()}
    words = (*CASES, "--frameworks", "orphaned")
    code, struck = sweeping.sweep(*words, "--scheduler", cluster.scheduler_address)
    assert code == 0
    assert not Path("site/luck").exists()
    assert struck["sweep"]["workers_lost"] == 1
    (lost,) = struck["sweep"]["workers"]
    assert lost["what"] == "left the cluster"
    assert len(before - {worker.pid for worker in cluster.workers.values()}) == 1
    undisturbed = sweeping.sweep(*words)[1]
    assert sweeping.result(struck) == sweeping.result(undisturbed)


def test_on_a_dask_cluster_what_hangs_is_found_out(cluster: Any) -> None:
    deadline = patience()
    before = {worker.pid for worker in cluster.workers.values()}
    words = ("--scheduler", cluster.scheduler_address, "--deadline", f"{deadline}s")
    code, report = sweeping.sweep(*SPECIAL[:-2], *words, "--frameworks", "sleepy")
    assert code == 1
    (counts,) = (each["counts"] for each in report["verdicts"])
    assert counts["TIMED_OUT"] == 1
    assert report["run"]["cases"] == 100
    # What hangs has processes of its own, which end: no worker of Dask's is lost with them.
    whats = {each["what"] for each in report["sweep"]["workers"]}
    assert whats == {f"no answer in {deadline} s, killed"}
    assert {worker.pid for worker in cluster.workers.values()} == before


def test_an_address_without_a_scheduler_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("crosscheck.run.sweep.workers._PATIENCE", 1)
    words = ["sweep", "--frameworks", "plain", "--scheduler", "tcp://127.0.0.1:9", "--cases", "10"]
    assert main(words) == 4
    assert "wanted the address of a Dask scheduler" in capsys.readouterr().err
    assert main([*words, "--jobs", "2"]) == 4
    assert "wanted one of them" in capsys.readouterr().err
