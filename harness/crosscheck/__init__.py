"""Cross-check the gradients of PyTorch, TensorFlow and JAX against one reference, by proof."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crosscheck.cases.functions.domains import (
        Domain,
        integers,
        lengths,
        positive,
        reals,
        scale,
        unique,
        unit,
    )
    from crosscheck.cases.functions.given import constant
    from crosscheck.cases.functions.matrices import causal, lower, spd, symmetric
    from crosscheck.cases.functions.structured import (
        log_probabilities,
        mask,
        one_hot,
        permutation,
        probabilities,
        sorted_,
    )
    from crosscheck.explain import explain_case
    from crosscheck.judge.compare import Judge
    from crosscheck.judge.decisions import GateClass, GateReading
    from crosscheck.judge.stacks import StackJudge
    from crosscheck.judge.verdict import Entry, Kind, Verdict
    from crosscheck.network.dense import Case, Gradients, Network, worked_example
    from crosscheck.network.reference import gradients
    from crosscheck.numbers.formats import FORMATS, Format
    from crosscheck.report.reading import Report
    from crosscheck.run.checking import compare_implementations, require_agreement
    from crosscheck.run.comparison import Comparison, DisagreementError
    from crosscheck.run.functions.checking import compare_functions
    from crosscheck.run.functions.comparison import FunctionComparison
    from crosscheck.run.functions.forms import backward, layer
    from crosscheck.run.functions.spec import spec
    from crosscheck.tools.errors import CrosscheckError, UnsupportedError, UsageError

__all__ = [
    "FORMATS",
    "Case",
    "Comparison",
    "Composed",
    "CrosscheckError",
    "Derivatives",
    "DisagreementError",
    "Domain",
    "Entry",
    "Format",
    "FunctionComparison",
    "GateClass",
    "GateReading",
    "Gradients",
    "Judge",
    "Kind",
    "Network",
    "Operator",
    "Report",
    "StackJudge",
    "UnsupportedError",
    "UsageError",
    "Verdict",
    "backward",
    "causal",
    "compare_functions",
    "compare_implementations",
    "constant",
    "explain_case",
    "gradients",
    "integers",
    "layer",
    "lengths",
    "log_probabilities",
    "lower",
    "mask",
    "one_hot",
    "permutation",
    "positive",
    "probabilities",
    "reals",
    "register",
    "require_agreement",
    "scale",
    "sorted_",
    "spd",
    "spec",
    "step",
    "symmetric",
    "unique",
    "unit",
    "worked_example",
]

_HOME = {
    "cases.functions.domains": (
        "Domain",
        "integers",
        "lengths",
        "positive",
        "reals",
        "scale",
        "unique",
        "unit",
    ),
    "cases.functions.given": ("constant",),
    "cases.functions.matrices": ("causal", "lower", "spd", "symmetric"),
    "cases.functions.structured": (
        "log_probabilities",
        "mask",
        "one_hot",
        "permutation",
        "probabilities",
        "sorted_",
    ),
    "explain": ("explain_case",),
    "run.checking": ("compare_implementations", "require_agreement"),
    "run.functions.checking": ("compare_functions",),
    "run.functions.comparison": ("FunctionComparison",),
    "run.functions.forms": ("backward", "layer"),
    "run.functions.spec": ("spec",),
    "run.comparison": ("Comparison", "DisagreementError"),
    "judge.compare": ("Judge",),
    "judge.stacks": ("StackJudge",),
    "tools.errors": ("CrosscheckError", "UnsupportedError", "UsageError"),
    "numbers.formats": ("FORMATS", "Format"),
    "network.dense": ("Case", "Gradients", "Network", "worked_example"),
    "network.composed": ("Composed", "Derivatives"),
    "network.steps": ("step",),
    "network.reference": ("gradients",),
    "operators.operator": ("Operator",),
    "operators.registry": ("register",),
    "report.reading": ("Report",),
    "judge.decisions": ("GateClass", "GateReading"),
    "judge.verdict": ("Entry", "Kind", "Verdict"),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for.

    The pytest plugin lives in this package and is loaded into every test run of whoever has the
    package installed; NumPy should not come with it.
    """
    for module, names in _HOME.items():
        if name in names:
            value = getattr(importlib.import_module(f"crosscheck.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
