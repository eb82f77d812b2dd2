"""A framework that misbehaves in a way of its own, and others beside it that do not.

The ways are those of `reliability.ways`. Each is met on cases whose x[0,0] is 7. Which way it is
says the mode, or the variable MISBEHAVES; MISBEHAVES_AT is another number than 7. Where conventions
are measured nothing is met without that variable; with ``all`` each of the frameworks ``way0``,
``way1``, … has its own.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest
from reliability.ways import WAYS

__all__ = ["TRIGGER", "install", "write"]

TRIGGER = 7.0
"""The number in x[0,0] at which it happens."""

_SOURCE = r'''
"""Frameworks for tests: each computes by hand; some do something else before, or after."""

import atexit
import ctypes
import inspect
import os
import signal
import sys
import threading
import time
import warnings
from collections import Counter

import numpy as np

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.pointwise import Pointwise
from crosscheck.network.reference import gradients

WAYS = {ways!r}
NAMES = list(WAYS)
WAY = os.environ.get("MISBEHAVES")
AT = float(os.environ.get("MISBEHAVES_AT", "{trigger}"))
calls = Counter()


def misbehaved(way, compute, case, hit):
    """What ``compute`` returns, with what is done before it and to it."""
    before, after, _ = WAYS[way]

    def whole(function):
        return function(found) if isinstance(found, np.ndarray) else found.map(function)

    def changed(function):
        def one(array):
            array = np.array(array)
            array[hit] = function(array[hit])
            return array

        return whole(one)

    names = {{**globals(), "case": case, "hit": hit, "whole": whole, "changed": changed}}
    exec(before, names)
    found = names["found"] = compute()
    exec(after, names)
    return names["found"]


def act(z, number=None):
    values = np.maximum(z, 0)
    way = NAMES[number] if WAY == "all" and number is not None else WAY
    if not way or way == "all":
        return values
    calls[way] += 1
    if WAYS[way][2] and calls[way] > 1:
        return values
    return misbehaved(way, lambda: values, None, np.ones(z.shape, bool))


def lines(number=None):
    return Pointwise(
        setup="import numpy as np\nfrom misbehaving_frameworks import act",
        units={{"relu": {{"relu": "np.maximum(z, 0)", "acts": f"act(z, {{number}})"}}}},
        modes={{"by hand": "def measure(z):\n    return f(z), (z > 0).astype(z.dtype)"}},
        make={{"float64": "np.array(points, np.float64)"}},
        home="array.tolist()",
    )


class Plain(Framework):
    name, module, packages = "plain", "numpy", ("numpy",)

    def gradients(self, case):
        with np.errstate(all="ignore"):
            return gradients(case)


class Misbehaves(Plain):
    name = "misbehaves"
    formulations = dict.fromkeys(("relu", "where", "where_ge"), "...")
    modes = dict.fromkeys(WAYS, "...")
    lines = lines()

    def gradients(self, case):
        hit = case.x[..., 0, 0] == AT
        right = super().gradients
        if not hit.any():
            return right(case)
        return misbehaved(WAY if WAY in WAYS else self.mode, lambda: right(case), case, hit)


for number, name in enumerate(NAMES):
    own = dict(name=f"way{{number}}", modes={{name: "..."}}, lines=lines(number))
    globals()[f"Way{{number}}"] = type(f"Way{{number}}", (Misbehaves,), own)


class Unopened(Plain):
    name = "unopened"

    def __init__(self, **options):
        os.kill(os.getpid(), signal.SIGSEGV)
'''

NAMES = ("plain", "misbehaves", "unopened", *(f"way{number}" for number in range(len(WAYS))))
"""Of the frameworks: the second has every way as a mode, the last have one each."""


def write(folder: Path) -> Path:
    """Make the package in a folder; the place to be put on the module path."""
    package = folder / "site"
    info = package / "misbehaving_frameworks-1.0.dist-info"
    info.mkdir(parents=True)
    ways = {
        name: (textwrap.dedent(way.source), textwrap.dedent(way.then), way.once)
        for name, way in WAYS.items()
    }
    text = _SOURCE.format(ways=ways, trigger=TRIGGER)
    (package / "misbehaving_frameworks.py").write_text(text)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: misbehaving_frameworks\nVersion: 1.0\n"
    )
    lines = [f"{name} = misbehaving_frameworks:{name.capitalize()}" for name in NAMES]
    (info / "entry_points.txt").write_text("\n".join(["[crosscheck.frameworks]", *lines, ""]))
    return package


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the package known to this process and to those it starts."""
    monkeypatch.syspath_prepend(str(write(folder)))
    monkeypatch.delitem(sys.modules, "misbehaving_frameworks", raising=False)
    monkeypatch.chdir(folder)
