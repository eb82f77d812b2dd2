"""The files that are tampered with, and what is done with each, as the command does it."""

from __future__ import annotations

import io
import random
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from crosscheck.cases.functions.files import record_from_text, record_to_text
from crosscheck.cases.functions.record import Record
from crosscheck.cases.stream.settings import Settings, Shape
from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.state import FrameworkState
from crosscheck.network.composed import Composed
from crosscheck.network.dense import Case, Gradients, Network, worked_example
from crosscheck.network.files import read_marked_case, write_case
from crosscheck.network.reference import gradients
from crosscheck.network.steps import step
from crosscheck.numbers.accuracy import RECORD, SHIPPED, read_record
from crosscheck.report import html, write_reports
from crosscheck.report.accuracy import markdown as accuracy_page
from crosscheck.report.conventions import markdown as conventions_page
from crosscheck.report.json_ import JsonReport, as_text
from crosscheck.report.reading import Report
from crosscheck.report.summary import markdown
from crosscheck.report.terminal import TerminalReport
from crosscheck.run import crosscheck
from crosscheck.run.checker import Checker
from crosscheck.run.events import ExitCode, RunFinished, RunStarted
from crosscheck.run.sweep.checkpoint import load
from crosscheck.run.sweep.engine import Sweep, in_this_process
from crosscheck.studies.conventions.baseline import DIVERGENCES, TABLE
from crosscheck.studies.conventions.expected import accept, comparable, read_expected, unexpected
from crosscheck.studies.conventions.table import read_table
from crosscheck.tools.consoles import Terminal
from hostile import mutations
from hostile.mutations import Mutation

__all__ = ["TARGETS", "Target", "Untrue"]


class Untrue(Exception):
    """What was read is believed, and says other than what was written."""


@dataclass(frozen=True)
class Target:
    """A kind of file.

    Attributes:
        name: Its name.
        group: What it is counted with.
        ending: Of its files.
        bases: Makes some that are as they should be.
        mutate: Changes one.
        use: Reads one, and does with it what the command does.
    """

    name: str
    group: str
    ending: str
    bases: Callable[[], list[bytes]]
    mutate: Mutation
    use: Callable[[Path], None]


FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\ud800-\udfff]")


def shown(*texts: str) -> None:
    """Complain about characters that are not to be shown."""
    for text in texts:
        found = FORBIDDEN.search(text)
        if found:
            raise Untrue(f"shows {found[0]!r}")


class ByHand(Framework):
    """The reference as a framework, right or wrong."""

    name, module, packages = "right", "numpy", ("numpy",)
    factor = 1.0

    def gradients(self, case: Case) -> Gradients:
        """See `Framework.gradients`."""
        found = gradients(case)
        return found.map(lambda array: array * self.factor)


class Wrong(ByHand):
    """All of it is twice of what is right."""

    name, factor = "wrong", 2.0


STATES = (
    FrameworkState("right", "available", {"numpy": "2"}, "relu", "eager"),
    FrameworkState("wrong", "available", {"numpy": "2"}, "relu", "eager"),
)
STARTED = RunStarted("crosscheck run", "", None, ("float64",), STATES, {"python": "3"})
FRAMEWORKS = (ByHand(), Wrong())


# -- cases ---------------------------------------------------------------------------------


def _dense() -> list[Case]:
    rng = np.random.default_rng(1)
    weights = [rng.integers(-8, 8, (3, 2)) / 4, rng.standard_normal((1, 3))]
    other = Case.of(weights, [None, [0.5]], [[1.0, -0.0]], [[2.5]], reduction="mean")
    return [worked_example(), other]


def _composed() -> Composed:
    steps = [
        step("z", "dense", "x", "W1", "b1"),
        step("a", "leaky_relu", "z", slope=0.125),
        step("s", "softmax", "a"),
        step("loss", "huber", "s", "y"),
    ]
    parameters: dict[str, Any] = {"W1": [[0.5, 1.0], [2.0, -1.0]], "b1": [0.0, 1.0]}
    return Composed.of(steps, parameters, {"x": [[1.0, 2.0]], "y": [[0.0, 1.0]]})


def _written(ending: str, *cases: Any) -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"case{ending}"
        found = []
        for case in cases:
            write_case(case, path)
            found.append(path.read_bytes())
        return found


def _json_bases() -> list[bytes]:
    marked = (
        b'{"weights": [[[2]], [[3]]], "biases": [[0], [1]], "x": [[1]], "y": [[5]],'
        b' "gradient": {"W2": [[4]], "b2": [2], "W1": [["0x1.8p+2"]], "b1": [6.0], "J": "2.0"}}'
    )
    return [*_written(".json", *_dense(), _composed()), marked]


def _use_case(path: Path) -> None:
    read_marked_case(path)


def _functions() -> list[bytes]:
    record = Record(
        "loss",
        {
            "z": np.array([[0.5, -1.25]]),
            "y": np.array([1]),
            "m": np.array([True]),
            "x": np.full((20, 1), 8.0),
        },
        {"out": np.array(-2.0)},
        {"b": 1, "c": 2},
        "float32",
        "",
        {"eps": 1e-5, "axes": (0, 1)},
    )
    return [record_to_text(record).encode()]


def _use_function(path: Path) -> None:
    record_from_text(path.read_bytes(), origin="case")


# -- checkpoints and reports ---------------------------------------------------------------


@cache
def _swept() -> tuple[bytes, bytes]:
    """A checkpoint, and the report beside it, of a sweep with failures and kinks."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = Settings((Shape(Network((2, 3, 1))),), 300, 7, max_failures=10**6)
        sweep = Sweep(
            settings,
            FRAMEWORKS,
            STATES,
            STARTED,
            folder,
            lambda event, tally: None,
            write_reports,
            {"numpy": "2"},
        )
        sweep.run(in_this_process(settings, FRAMEWORKS))
        return (folder / "sweep.json").read_bytes(), (folder / "report.json").read_bytes()


def _use_checkpoint(path: Path) -> None:
    """What resuming it does, up to its last report."""
    (before,) = (_loaded(_swept()[0]),)
    found = load(path.parent)
    if found.place > before.place and not found.finished:
        raise Untrue("more is done than was")
    if found.tally.cases > before.tally.cases:
        raise Untrue("more cases are counted than there were")
    if found.failing == 0 and found.place == before.place:
        raise Untrue("nothing failed")
    tally = found.tally
    tally.started, tally.sweep = STARTED, found.settings
    tally.finished = RunFinished(ExitCode.DISAGREEMENT, "as asked", found.seconds, None)
    as_text(tally)
    shown(markdown(tally), _on_terminal(tally))


@cache
def _loaded(content: bytes) -> Any:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "sweep.json").write_bytes(content)
        return load(Path(name))


def _on_terminal(tally: Any) -> str:
    stream = io.StringIO()
    sink = TerminalReport(Path("reports"), Terminal(file=stream))
    sink._tally = tally
    sink._tables(tally.finished)
    return stream.getvalue()


@cache
def _failed() -> bytes:
    """The report of a run of given cases, one framework of which is wrong."""
    with tempfile.TemporaryDirectory() as name:
        sink = JsonReport(Path(name))
        cases = [("example", worked_example()), ("kink", worked_example(x=0.0))]
        crosscheck.run(
            lambda emit: Checker(FRAMEWORKS, emit),
            lambda checker: crosscheck.check_given(checker, cases),
            STARTED,
            STATES,
            sink.handle,
        )
        sink.close()
        return (Path(name) / "report.json").read_bytes()


def _use_report(path: Path) -> None:
    """What ``crosscheck report`` and a notebook do with it."""
    found = Report.read(path)
    if found.passed:
        raise Untrue("a run is called passed that has failed")
    shown(html.page(found.document), html.excerpt(found.document), repr(found))


# -- baselines -----------------------------------------------------------------------------


def _shipped(name: str) -> Path:
    return next(folder / name for folder in SHIPPED if (folder / name).is_file())


@cache
def _small_table() -> bytes:
    """A few rows of the table, as it is written."""
    from crosscheck.studies.conventions.table import Wanted, dumps

    whole = read_table(_shipped(TABLE))
    return dumps(whole.part(("torch", "numpy"), Wanted.of(("relu", "clamp", "max")))).encode()


def _use_table(path: Path) -> None:
    found = read_table(path)
    now = _table(_small_table())
    before, _, after = comparable(found, [], now)
    text = "\n".join(map(str, before.changes(after)))
    conventions_page(found, accept(found), {})
    assert isinstance(text, str)


@cache
def _table(content: bytes) -> Any:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / TABLE).write_bytes(content)
        return read_table(Path(name) / TABLE)


def _use_divergences(path: Path) -> None:
    now = _table(_small_table())
    unexpected(now, read_expected(path), now)


@cache
def _small_record() -> bytes:
    from dataclasses import replace

    from crosscheck.numbers.accuracy import dumps

    whole = read_record(_shipped(RECORD))
    return dumps(replace(whole, rows=whole.rows[:40])).encode()


def _use_record(path: Path) -> None:
    accuracy_page(read_record(path), {})


def _either(*mutate: Mutation) -> Mutation:
    return lambda content, rng: rng.choice(mutate)(content, rng)


_JSON = _either(mutations.mutated_bytes, mutations.json_values)

TARGETS: Mapping[str, Target] = {
    each.name: each
    for each in (
        Target("case.json", "cases", ".json", _json_bases, _JSON, _use_case),
        Target(
            "case.npz",
            "cases",
            ".npz",
            lambda: _written(".npz", *_dense()),
            mutations.archive,
            _use_case,
        ),
        Target(
            "case.safetensors",
            "cases",
            ".safetensors",
            lambda: _written(".safetensors", *_dense()),
            mutations.tensors,
            _use_case,
        ),
        Target("function.json", "cases", ".json", _functions, _JSON, _use_function),
        Target(
            "sweep.json",
            "checkpoints",
            ".json",
            lambda: [_swept()[0]],
            mutations.sealed,
            _use_checkpoint,
        ),
        Target(
            "report.json",
            "reports",
            ".json",
            lambda: [_failed(), _swept()[1]],
            mutations.sealed,
            _use_report,
        ),
        Target(TABLE, "baselines", ".json", lambda: [_small_table()], _JSON, _use_table),
        Target(
            DIVERGENCES,
            "baselines",
            ".json",
            lambda: [_shipped(DIVERGENCES).read_bytes()[:2000].rpartition(b"},")[0] + b"}]"],
            _JSON,
            _use_divergences,
        ),
        Target(RECORD, "baselines", ".json", lambda: [_small_record()], _JSON, _use_record),
    )
}


def one(target: Target, seed: int, number: int) -> bytes:
    """A file: the same for the same seed and number, on every machine."""
    rng = random.Random(f"{seed} {target.name} {number}")
    bases = _bases(target.name)
    return target.mutate(bases[rng.randrange(len(bases))], rng)


@cache
def _bases(name: str) -> list[bytes]:
    return TARGETS[name].bases()
