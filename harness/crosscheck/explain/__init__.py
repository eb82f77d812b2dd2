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

from crosscheck.explain.answers import Answer, ask
from crosscheck.explain.build import build
from crosscheck.explain.closed import require_short
from crosscheck.explain.document import FORMATS, Document
from crosscheck.explain.names import find_entry, with_changes
from crosscheck.explain.steps import Derivation, Step
from crosscheck.frameworks.base import Framework
from crosscheck.judge.compare import Judge
from crosscheck.judge.door import judge
from crosscheck.network.dense import Case
from crosscheck.network.names import EntryName
from crosscheck.tools.errors import UsageError

__all__ = [
    "FORMATS",
    "Answer",
    "Derivation",
    "Document",
    "Step",
    "check_request",
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
    name = check_request(case, entry=entry, symbolic=symbolic)
    question = judge(case)
    own = question.judge()
    assert isinstance(own, Judge)
    derivation = Derivation(case, own)
    answers = ask(case, frameworks, question)
    return build(derivation, answers, label=label, entry=name, symbolic=symbolic)


def check_request(case: Case, *, entry: str | None, symbolic: bool) -> EntryName | None:
    """Whether `explain_case` can do it, before frameworks are imported; gives the entry.

    Raises:
        UsageError: The case is a stack or not finite, has no such entry, or is too large for
            closed formulas.
    """
    if case.count is not None:
        raise UsageError(f"case: a stack of {case.count} given, wanted one; take a case[i]")
    if not case.is_finite:
        raise UsageError(
            "case: holds NaN or infinity, for which there is no derivation; "
            "`crosscheck run --case` shows what the frameworks make of it"
        )
    name = None if entry is None else find_entry(entry, case)
    if symbolic:
        require_short(case, name)
    return name
