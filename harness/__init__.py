"""Cross-check the gradients of PyTorch, TensorFlow and JAX against one reference, by proof."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.checking import (
        Comparison,
        DisagreementError,
        compare_implementations,
        require_agreement,
    )
    from harness.compare import Judge, StackJudge
    from harness.errors import HarnessError, UnsupportedError, UsageError
    from harness.formats import FORMATS, Format
    from harness.network import Case, Gradients, Network, worked_example
    from harness.reference import gradients
    from harness.report.reading import Report
    from harness.verdict import Entry, GateClass, GateReading, Kind, Verdict

__all__ = [
    "FORMATS",
    "Case",
    "Comparison",
    "DisagreementError",
    "Entry",
    "Format",
    "GateClass",
    "GateReading",
    "Gradients",
    "HarnessError",
    "Judge",
    "Kind",
    "Network",
    "Report",
    "StackJudge",
    "UnsupportedError",
    "UsageError",
    "Verdict",
    "compare_implementations",
    "gradients",
    "require_agreement",
    "worked_example",
]

_HOME = {
    "checking": (
        "Comparison",
        "DisagreementError",
        "compare_implementations",
        "require_agreement",
    ),
    "compare": ("Judge", "StackJudge"),
    "errors": ("HarnessError", "UnsupportedError", "UsageError"),
    "formats": ("FORMATS", "Format"),
    "network": ("Case", "Gradients", "Network", "worked_example"),
    "reference": ("gradients",),
    "report.reading": ("Report",),
    "verdict": ("Entry", "GateClass", "GateReading", "Kind", "Verdict"),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for.

    The pytest plugin lives in this package and is loaded into every test run of whoever has the
    package installed; NumPy should not come with it.
    """
    for module, names in _HOME.items():
        if name in names:
            value = getattr(importlib.import_module(f"harness.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
