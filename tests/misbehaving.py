"""A framework that misbehaves in a way of its own, and others beside it that do not.

Each way is a few lines that are run before the gradient is computed, on cases whose x[0,0] is 7;
and what is to come of it, in a run, is written beside it. Which way it is says the mode, or the
variable MISBEHAVES; MISBEHAVES_AT is another number than 7.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import flushing
import pytest

__all__ = ["TRIGGER", "WAYS", "Way", "install"]

TRIGGER = 7.0
"""The number in x[0,0] at which it happens."""


@dataclass(frozen=True)
class Way:
    """How a framework misbehaves.

    Attributes:
        source: What is run; ``case`` is the case.
        kind: The verdict that is to come of it, in a process of its own.
        detail: What it says, from its beginning.
        here: The same in the process of the command; empty where that cannot be survived.
    """

    source: str
    kind: str
    detail: str = ""
    here: str = ""


DIES: Mapping[str, Way] = {
    "leaves with 0": Way("os._exit(0)", "CRASHED", "the process ended with 0"),
    "leaves with 3": Way("os._exit(3)", "CRASHED", "the process ended with 3"),
    "aborts": Way("os.abort()", "CRASHED", "the process ended by SIGABRT"),
    "segfaults": Way("ctypes.string_at(0)", "CRASHED", "the process ended by SIGSEGV"),
    "kills itself": Way(
        "os.kill(os.getpid(), signal.SIGKILL)", "CRASHED", "the process ended by SIGKILL"
    ),
    "overflows the stack in C": Way(
        "import pickle\nclass Deep: pass\nsys.setrecursionlimit(10**9)\n"
        "def down(): return repr(down2())\ndef down2():\n    a = []\n"
        "    for _ in range(10**6): a = [a]\n    return a\ndown()",
        "CRASHED",
    ),
    "closes all files": Way("os.closerange(0, 256)", "CRASHED"),
    "leaves from a thread": Way(
        "threading.Thread(target=os._exit, args=(5,)).start()\ntime.sleep(60)",
        *("CRASHED", "the process ended with 5"),
    ),
}
"""What ends the process."""

HANGS: Mapping[str, Way] = {
    "sleeps": Way("time.sleep(3600)", "TIMED_OUT", "the process no answer in"),
    "hangs in C with the interpreter's lock": Way(
        "ctypes.PyDLL(None).sleep(3600)", "TIMED_OUT", "the process no answer in"
    ),
    "stops itself": Way(
        "os.kill(os.getpid(), signal.SIGSTOP)", "TIMED_OUT", "the process no answer in"
    ),
    "ignores every signal and spins": Way(
        "for each in range(1, 32):\n    if each not in (9, 19):\n"
        "        signal.signal(each, signal.SIG_IGN)\nwhile True: pass",
        *("TIMED_OUT", "the process no answer in"),
    ),
}
"""What never answers."""

RAISES: Mapping[str, Way] = {
    "exits as Python does": Way("sys.exit(0)", "CRASHED", "SystemExit: 0", "CRASHED"),
    "interrupts": Way("raise KeyboardInterrupt", "CRASHED", "KeyboardInterrupt", "CRASHED"),
    "raises what is no Exception": Way(
        "raise BaseException('so there')", "CRASHED", "BaseException: so there", "CRASHED"
    ),
    "raises what cannot be sent": Way(
        "class Odd(Exception):\n    def __reduce__(self): raise TypeError('no')\nraise Odd('x')",
        *("CRASHED", "Odd: x", "CRASHED"),
    ),
    "raises what cannot be told": Way(
        "class Odd(Exception):\n    def __str__(self): raise TypeError('no')\nraise Odd",
        *("CRASHED", "Odd", "CRASHED"),
    ),
    "raises MemoryError": Way("raise MemoryError", "CRASHED", "MemoryError", "CRASHED"),
    "recurses": Way(
        "def down(): return down()\ndown()", "CRASHED", "RecursionError: maximum", "CRASHED"
    ),
}
"""What is raised."""

CHANGES: Mapping[str, Way] = {
    "prints": Way("print('{' * 100_000)\nsys.stdout.flush()", "AGREES"),
    "prints in C": Way("os.write(1, b'{' * 1000)", "AGREES"),
    "closes the standard output": Way("sys.stdout.close()\nos.close(1)", "AGREES"),
    "closes the standard error output": Way("sys.stderr.close()\nos.close(2)", "AGREES"),
    "reads the standard input": Way("sys.stdin.read()", "AGREES"),
    "sets NumPy's error state": Way("np.seterr(all='raise')", "AGREES"),
    "lowers the recursion limit": Way("sys.setrecursionlimit(len(inspect.stack()) + 60)", "AGREES"),
    "handles signals": Way(
        "for each in (2, 15, 14): signal.signal(each, lambda *_: os._exit(9))", "AGREES"
    ),
    "sets an alarm that it ignores": Way("signal.alarm(0)", "AGREES"),
    "leaves a thread behind": Way(
        "threading.Thread(target=time.sleep, args=(3600,)).start()", "AGREES"
    ),
    "forks, and both come back": Way("os.fork()", "AGREES"),
    "leaves the folder": Way("os.chdir('/')", "AGREES"),
    "changes the environment": Way("os.environ.clear()", "AGREES"),
    "makes warnings errors": Way("warnings.simplefilter('error')", "AGREES"),
    "breaks json": Way("import json\njson.dumps = None", "AGREES"),
    "breaks print": Way("import builtins\nbuiltins.print = None", "AGREES"),
    "runs something at the end": Way("atexit.register(time.sleep, 3600)", "AGREES"),
    "starts a process": Way(
        "import subprocess\nsubprocess.Popen(['sleep', '3600'])",
        "AGREES",
    ),
    "replaces subnormal numbers by zero": Way(flushing.FLUSH, "AGREES"),
}
"""What changes the process, and returns the right gradient."""

WAYS: Mapping[str, Way] = {**DIES, **HANGS, **RAISES, **CHANGES}

_SOURCE = r'''
"""Frameworks for tests: each computes by hand; some do something else before."""

import atexit
import ctypes
import inspect
import os
import signal
import sys
import threading
import time
import warnings

import numpy as np

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.pointwise import Pointwise
from crosscheck.network.reference import gradients


class Plain(Framework):
    name, module, packages = "plain", "numpy", ("numpy",)

    def gradients(self, case):
        with np.errstate(all="ignore"):
            return gradients(case)


WAYS = {ways!r}
WAY = os.environ.get("MISBEHAVES")
AT = float(os.environ.get("MISBEHAVES_AT", "{trigger}"))


def act(z):
    if WAY:
        exec(WAYS[WAY], globals())
    return np.maximum(z, 0)


class Misbehaves(Plain):
    name = "misbehaves"
    formulations = dict.fromkeys(("relu", "where", "where_ge"), "...")
    modes = dict.fromkeys(WAYS, "...")
    lines = Pointwise(
        setup="import numpy as np\nfrom misbehaving_frameworks import act",
        units={{"relu": {{"relu": "np.maximum(z, 0)", "acts": "act(z)"}}}},
        modes={{"by hand": "def measure(z):\n    return f(z), (z > 0).astype(z.dtype)"}},
        make={{"float64": "np.array(points, np.float64)"}},
        home="array.tolist()",
    )

    def gradients(self, case):
        if (case.x[..., 0, 0] == AT).any():
            exec(WAYS[WAY or self.mode], globals())
        return super().gradients(case)


class Unopened(Plain):
    name = "unopened"

    def __init__(self, **options):
        os.kill(os.getpid(), signal.SIGSEGV)
'''

NAMES = ("plain", "misbehaves", "unopened")


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the package known to this process and to those it starts."""
    package = folder / "site"
    info = package / "misbehaving_frameworks-1.0.dist-info"
    info.mkdir(parents=True)
    ways = {name: textwrap.dedent(way.source) for name, way in WAYS.items()}
    text = _SOURCE.format(ways=ways, trigger=TRIGGER)
    (package / "misbehaving_frameworks.py").write_text(text)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: misbehaving_frameworks\nVersion: 1.0\n"
    )
    lines = [f"{name} = misbehaving_frameworks:{name.capitalize()}" for name in NAMES]
    (info / "entry_points.txt").write_text("\n".join(["[crosscheck.frameworks]", *lines, ""]))
    monkeypatch.syspath_prepend(str(package))
    monkeypatch.delitem(sys.modules, "misbehaving_frameworks", raising=False)
    monkeypatch.chdir(folder)
