"""Cross-check the gradients of PyTorch, TensorFlow and JAX against one reference, by proof."""

from harness.compare import Judge, StackJudge
from harness.errors import HarnessError, UnsupportedError, UsageError
from harness.formats import FORMATS, Format
from harness.network import Case, Gradients, Network, worked_example
from harness.reference import gradients
from harness.verdict import Entry, GateClass, GateReading, Kind, Verdict

__all__ = [
    "FORMATS",
    "Case",
    "Entry",
    "Format",
    "GateClass",
    "GateReading",
    "Gradients",
    "HarnessError",
    "Judge",
    "Kind",
    "Network",
    "StackJudge",
    "UnsupportedError",
    "UsageError",
    "Verdict",
    "gradients",
    "worked_example",
]
