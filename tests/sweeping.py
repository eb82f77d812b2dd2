"""Frameworks in NumPy for the tests of sweeps: quick to start in a worker, and some of them wicked.

They are written as a package of somebody else's, with an entry point, since workers are processes
of their own and find frameworks as any command does.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from crosscheck.cli import main
from crosscheck.tools.sealed import checksum

SOURCE = '''
"""Frameworks for tests: each computes by hand, and some do something else at some cases."""

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from crosscheck.numbers.enclosure import Model
from crosscheck.judge.enclosed import Enclosed
from crosscheck.numbers.formats import format_of
from crosscheck.frameworks.base import Framework
from crosscheck.network.composed import Derivatives
from crosscheck.network.dense import Gradients
from crosscheck.network.reference import gradients
from crosscheck.studies.simulated import StepFault, simulated
from crosscheck.studies.steps import wrong_gradient

HERE = Path(__file__).parent
if (HERE / "imports").exists():
    with (HERE / "imports").open("a") as file:
        file.write(f"{os.getpid()}\\n")


class Plain(Framework):
    name, module, packages = "plain", "numpy", ("numpy",)

    def gradients(self, case):
        form = format_of(case.dtype)
        with np.errstate(all="ignore"):
            found = gradients(case)
            return Gradients(
                form.round(found.loss),
                tuple(form.round(w) for w in found.weights),
                tuple(None if b is None else form.round(b) for b in found.biases),
                form.round(found.x),
            )


    def derivatives(self, case):
        if case.count is None:
            return wrong_gradient(case, None)
        found = [wrong_gradient(case[index], None) for index in range(case.count)]
        arrays = {name: np.stack([each.arrays[name] for each in found]) for name in case.wanted}
        return Derivatives(np.array([float(each.loss) for each in found]), arrays)


class Wrong(Plain):
    """dJ/dW1[0,0] is too large by a thousandth wherever y[0,0] is above a half.

    In a network of operators wherever x[0,0] and y[0,0] are 2.
    """

    name = "wrong"

    def gradients(self, case):
        found = super().gradients(case)
        entry = found.weights[0][..., 0, 0]
        wrong = entry * np.where(case.y[..., 0, 0] > 0.5, 1.001, 1.0)
        entry[...] = format_of(case.dtype).round(wrong)
        return found

    def derivatives(self, case):
        found = super().derivatives(case)
        at = (case.inputs["x"][..., 0, 0] == 2) & (case.inputs["y"][..., 0, 0] == 2)
        name = case.wanted[0]
        entry = found.arrays[name].copy()
        entry[..., 0, 0] += np.where(at, 1.0, 0.0)
        return replace(found, arrays={**found.arrays, name: entry})


class Forward(Plain):
    """Errs in dJ/db_L by nearly as much as forward mode may: more than reverse mode may."""

    name = "forward"
    modes = {"forward": "at the edge of forward mode"}
    forward_modes = frozenset({"forward"})

    def gradients(self, case):
        found = super().gradients(case)
        enclosed = Enclosed(case, Model(format_of(case.dtype)), "forward")
        last = enclosed.certain_gradients.biases[-1]
        given = last.high + 63 / 64 * last.bound
        beyond = last.distance(given) > 63 / 64 * last.bound
        given = np.where(beyond, np.nextafter(given, last.high), given)
        return replace(found, biases=(*found.biases[:-1], given))


class Stepped(Plain):
    """Shows its steps; one of them is wrong by less than the bounds of the whole network.

    dJ/dW of the first layer by eight units of roundoff, wherever the first target is above a half.
    """

    name = "stepped"
    watched_modes = frozenset({"eager"})

    def gradients(self, case):
        return self.recorded(case).given

    derivatives = gradients

    def recorded(self, case):
        target = dict(case.entries())["y"][..., 0, 0, None, None]
        wrong = 1.0 + np.where(target > 0.5, 8.0 * format_of(case.dtype).unit_roundoff, 0.0)
        with np.errstate(all="ignore"):
            return simulated(case, self.fault(wrong))

    def fault(self, wrong):
        return StepFault("z1", "W", lambda array: wrong * array)


class Stepwise(Stepped):
    """Shows its steps, all of them right."""

    name = "stepwise"

    def fault(self, wrong):
        return None


class Shifting(Stepwise):
    """Returns other bits when it is watched, in one case of four."""

    name = "shifting"

    def recorded(self, case):
        found = super().recorded(case)
        if not self.plainly:
            shift = np.where(np.arange(len(case.x)) % 4 == 1, 2.0**-52, 0.0)
            given = replace(found.given, loss=found.given.loss * (1.0 + shift))
            return replace(found, given=given)
        return found

    plainly = False

    def gradients(self, case):
        self.plainly = True
        found = super().gradients(case)
        self.plainly = False
        return found


class Shy(Stepwise):
    """Fails when it is watched."""

    name = "shy"

    def gradients(self, case):
        return simulated(case).given

    def recorded(self, case):
        raise RuntimeError("not now")


class Fragile(Plain):
    """Dies at the sight of NaN; in a network of operators at that of a zero."""

    name = "fragile"

    def gradients(self, case):
        if any(np.isnan(array).any() for _, array in case.entries()):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().gradients(case)

    def derivatives(self, case):
        if any((array == 0).any() for _, array in case.entries()):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().derivatives(case)


class Sleepy(Plain):
    """Never answers when it sees NaN."""

    name = "sleepy"

    def gradients(self, case):
        while any(np.isnan(array).any() for _, array in case.entries()):
            time.sleep(60)
        return super().gradients(case)


class Touchy(Plain):
    """Dies of a batch with NaN, and is fine with each case."""

    name = "touchy"

    def gradients(self, case):
        if case.count and any(np.isnan(array).any() for _, array in case.entries()):
            os._exit(0)
        return super().gradients(case)


class Unlucky(Plain):
    """Is killed at its third batch, once, all processes together."""

    name = "unlucky"
    batches = 0

    def gradients(self, case):
        self.struck()
        return super().gradients(case)

    def derivatives(self, case):
        self.struck()
        return super().derivatives(case)

    def struck(self):
        Unlucky.batches += 1
        if Unlucky.batches == 3:
            try:
                (HERE / "luck").unlink()
            except FileNotFoundError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)


class Orphaned(Unlucky):
    """Kills the process that its own works for, in the middle of its third batch, once."""

    name = "orphaned"

    def struck(self):
        Orphaned.batches += 1
        if Orphaned.batches == 3:
            try:
                (HERE / "luck").unlink()
            except FileNotFoundError:
                pass
            else:
                os.kill(os.getppid(), signal.SIGKILL)
                time.sleep(60)


class Quits(Plain):
    """Ends the process, with success, whatever it is asked."""

    name = "quits"

    def gradients(self, case):
        os._exit(0)


class Exits(Plain):
    """The same in the way of Python."""

    name = "exits"

    def gradients(self, case):
        sys.exit(0)


class Slow(Plain):
    """Takes a twelfth of a second for each batch."""

    name = "slow"

    def gradients(self, case):
        time.sleep(1 / 12)
        return super().gradients(case)
'''

NAMES = (
    *("plain", "forward", "wrong", "fragile", "sleepy"),
    *("touchy", "unlucky", "quits", "exits", "slow", "orphaned"),
    *("stepped", "stepwise", "shifting", "shy"),
)


def write(folder: Path) -> Path:
    """Make the package in a folder; the place to be put on the module path."""
    package = folder / "site"
    (package / "wicked-1.0.dist-info").mkdir(parents=True)
    (package / "wicked.py").write_text(SOURCE)
    (package / "luck").write_text("")
    info = package / "wicked-1.0.dist-info"
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: wicked\nVersion: 1.0\n")
    lines = [f"{name} = wicked:{name.capitalize()}" for name in NAMES]
    (info / "entry_points.txt").write_text("\n".join(["[crosscheck.frameworks]", *lines, ""]))
    return package


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the package known to this process and to those it starts."""
    monkeypatch.syspath_prepend(str(write(folder)))
    monkeypatch.delitem(sys.modules, "wicked", raising=False)  # that of another test
    monkeypatch.chdir(folder)


def sweep(*words: str, report: str = "here") -> tuple[int, dict[str, Any]]:
    """Run ``crosscheck sweep``; its exit code and its report."""
    code = main(["sweep", *words, "--report", report])
    return code, json.loads(Path(report, "report.json").read_text())


def resealed(content: dict[str, Any]) -> str:
    """A file of this package with a checksum that fits what was made of it."""
    return json.dumps({**content, "checksum": checksum(content)})


def result(report: dict[str, Any]) -> dict[str, Any]:
    """A report without what depends on time and on who did the work."""
    run = {key: value for key, value in report["run"].items() if key != "seconds"}
    report = {key: value for key, value in report.items() if key != "checksum"}
    loaded = ("started", "blas")  # as far as it is loaded by then, in this process or another
    run["environment"] = {k: v for k, v in run["environment"].items() if k not in loaded}
    sweep_ = {k: v for k, v in report["sweep"].items() if k not in ("workers", "workers_lost")}
    return {**report, "run": run, "sweep": sweep_}
