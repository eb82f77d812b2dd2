"""The derivation of one case, in the steps that a textbook would take.

    case ─ steps ─┐
                  ├─ document ─ text, Markdown, LaTeX, HTML
    frameworks ───┘

`Derivation` holds the steps as data: forward values, loss, and layer by layer each factor of the
chain rule, exact, with a symbol λ for the derivative of ReLU wherever there is none. `explain_case`
puts them into a `Document`, with what the frameworks return beside them; it is written in four
formats. Small networks are shown in full, of larger ones an overview and the entry asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.compare import Judge
from harness.explain.answers import Answer, ask
from harness.explain.build import build
from harness.explain.document import FORMATS, Document
from harness.explain.names import find_entry, with_changes
from harness.explain.steps import Derivation, Step
from harness.frameworks.base import Framework
from harness.network import Case

__all__ = [
    "FORMATS",
    "Answer",
    "Derivation",
    "Document",
    "Step",
    "explain_case",
    "find_entry",
    "with_changes",
]


def explain_case(
    case: Case,
    frameworks: Sequence[Framework] = (),
    *,
    label: str = "",
    entry: str | None = None,
    symbolic: bool = False,
) -> Document:
    """The derivation of ``case``, with the frameworks' values beside the result.

    Args:
        case: A single finite case.
        frameworks: Adapters; each is asked for the gradient.
        label: A name for the case.
        entry: An entry of the gradient to look into: ``"W2[0,1]"``, ``"b1[0]"``, ``"x[0,2]"``.
        symbolic: Whether SymPy's closed formulas are wanted as well.

    Raises:
        UsageError: The case is a stack or not finite, has no such entry, or is too large for
            closed formulas.
    """
    name = None if entry is None else find_entry(entry, case)
    if case.count is not None or not case.is_finite:
        Derivation(case)  # says what is wrong
    judge = Judge(case)
    derivation = Derivation(case, judge)
    answers = ask(case, frameworks, judge)
    return build(derivation, answers, label=label, entry=name, symbolic=symbolic)
