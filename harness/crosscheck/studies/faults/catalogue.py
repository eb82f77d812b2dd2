"""The catalogue of wrong gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Literal

from crosscheck.studies.faults import (
    gates,
    indices,
    linear,
    losses,
    nonfinite,
    numbers,
    paths,
    state,
)
from crosscheck.studies.faults.fault import Fault, Road

__all__ = ["CATALOGUE"]

_PLAIN = (
    *gates.MASKS,
    *gates.SLOPES,
    *linear.TRANSPOSES,
    *linear.BROADCASTS,
    *linear.REDUCTIONS,
    *linear.ACCUMULATIONS,
    *indices.ROWS,
    *indices.TAILS,
    *indices.SWAPS,
    *state.ALIASES,
    *state.STALE,
    *state.NONDETERMINISM,
    *numbers.DTYPES,
    *numbers.SCALES,
    *paths.DETACHED,
    *paths.LAYERS,
    *losses.LOSSES,
    *losses.BIASES,
    *paths.TERMS,
    *nonfinite.NONFINITES,
)

_IN_KINKS_TOO = (
    "no gate",
    "leaky",
    "dW in the order of its transpose",
    "db of unit 0 for all",
    "db averaged over rows",
    "dW without the last row",
    "dx off by one row",
    "units after whole fours",
    "two db swapped",
    "one buffer for db",
    "inputs of the call before",
    "every second call",
    "float32 in dW",
    "bfloat16 in float32",
    "all zero",
    "doubled",
    "negated",
    "1 + 2^-18",
    "dx detached",
    "sign of dW1",
    "loss without the half",
    "biases ignored",
    "weights already updated",
)


_REACHED: Mapping[str, tuple[tuple[Road, ...], str]] = MappingProxyType(
    {
        "kinks": (("quick", "default", "fixture", "kinks"), "few cases of a sweep have kinks"),
        "storms": (("default", "kinks"), "few cases of the shorter roads have so many kinks"),
    }
)
"""The roads with enough cases of the kind in which a fault strikes, and why not the others."""


def _within(fault: Fault, within: Literal["kinks", "storms"]) -> Fault:
    words = {"kinks": "at kinks", "storms": "in storms"}[within]
    roads, why = _REACHED[within]
    caught = tuple(road for road in fault.caught if road in roads)
    return replace(fault, name=f"{fault.name}, {words}", within=within, caught=caught, why=why)


_BY_NAME = {fault.name: fault for fault in _PLAIN}

CATALOGUE: Mapping[str, Fault] = MappingProxyType(
    {
        fault.name: fault
        for fault in (
            *_PLAIN,
            *(_within(_BY_NAME[name], "kinks") for name in _IN_KINKS_TOO),
            *(_within(_BY_NAME[name], "storms") for name in _IN_KINKS_TOO),
        )
    }
)
"""Every fault by its name. Those that strike only at kinks or in storms come last."""
