"""The derivation of one case, in the steps that a textbook would take.

    case ─ steps ─┐
                  ├─ document ─ text, Markdown, LaTeX, HTML
    frameworks ───┤
    own numbers ──┘

`Derivation` holds the steps as data: forward values, loss, and layer by layer each factor of the
chain rule, exact, with a symbol λ for the derivative of ReLU wherever there is none. `explain_case`
puts them into a `Document`, with what the frameworks return beside them; it is written in four
formats. Small networks are shown in full, of larger ones an overview and the entry asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crosscheck.explain.answers import Answer, ask
from crosscheck.explain.build import build
from crosscheck.explain.closed import require_short
from crosscheck.explain.document import FORMATS, Document
from crosscheck.explain.names import find_entry, with_changes
from crosscheck.explain.operators import explain_composed, require_explainable
from crosscheck.explain.steps import Derivation, Step
from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.registry import open_frameworks
from crosscheck.judge.compare import Judge
from crosscheck.judge.door import judge
from crosscheck.judge.marking import marked
from crosscheck.network.composed import AnyCase, AnyGradients, Composed
from crosscheck.network.dense import Case
from crosscheck.network.given import Given, given_of
from crosscheck.network.names import EntryName
from crosscheck.tools.errors import CrosscheckError, UsageError

__all__ = [
    "FORMATS",
    "Answer",
    "Derivation",
    "Document",
    "Step",
    "check_request",
    "explain_case",
    "find_entry",
    "require_explainable",
    "with_changes",
]


def explain_case(
    case: AnyCase,
    frameworks: str | Sequence[str | Framework] = (),
    *,
    mine: Given | AnyGradients | Mapping[str, Any] | None = None,
    label: str = "",
    entry: str | None = None,
    symbolic: bool = False,
) -> Document:
    """The derivation of ``case``, with the frameworks' values beside the result.

    Args:
        case: A single finite case of a dense network, or of a network of operators.
        frameworks: Who is asked for the gradient: names, as in ``"torch,jax"`` or
            ``["torch", "jax"]``, or adapters. Nobody, if it is left out.
        mine: Numbers of one's own for the gradient, to be marked: arrays by name, some or all, as
            in ``{"W1": [[6]], "b2": [2]}``, or a gradient. Numbers in nested lists stand for what
            their digits say, those in arrays for themselves (`crosscheck.numbers.written`).
        label: A name for the case.
        entry: An entry of the gradient to look into: ``"W2[0,1]"``, ``"b1[0]"``, ``"x[0,2]"``.
        symbolic: Whether SymPy's closed formulas are wanted as well.

    Returns:
        The document, which shows itself in a notebook; see `Document.render`.

    Raises:
        UsageError: The case is a stack or not finite, has no such entry, or is too large for
            closed formulas; a framework is unknown or absent; or ``mine`` is no gradient of it.
        CrosscheckError: A framework is installed and cannot be imported.
    """
    if isinstance(case, Composed):
        for option, asked in (("entry", entry), ("symbolic", symbolic)):
            if asked:
                raise UsageError(f"{option}: a network of operators is given, wanted a dense one")
        require_explainable(case)
        given = _given(case, mine)
        return explain_composed(case, _opened(frameworks), given=given, label=label)
    name = check_request(case, entry=entry, symbolic=symbolic)
    given = _given(case, mine)
    adapters = _opened(frameworks)
    question = judge(case)
    own = question.judge()
    assert isinstance(own, Judge)
    derivation = Derivation(case, own)
    answers = ask(case, adapters, question)
    found = None if given is None else marked(given, question)
    return build(derivation, answers, found, label=label, entry=name, symbolic=symbolic)


def _given(case: AnyCase, mine: Any) -> Given | None:
    return mine if mine is None or isinstance(mine, Given) else given_of(case, mine)


def _opened(frameworks: str | Sequence[str | Framework]) -> list[Framework]:
    """Adapters, those of which the names are given opened."""
    if isinstance(frameworks, str):
        frameworks = [name.strip() for name in frameworks.split(",")]
    found: list[Framework] = []
    for each in frameworks:
        if isinstance(each, Framework):
            found.append(each)
            continue
        if not isinstance(each, str):
            raise UsageError(f"frameworks: {each!r} given, wanted names, as in 'torch,jax'")
        adapters, states = open_frameworks([each])
        if not adapters:
            raise CrosscheckError(f"{each} is broken; {states[0].detail}")
        found += adapters
    return found


def check_request(case: Case, *, entry: str | None, symbolic: bool) -> EntryName | None:
    """Whether `explain_case` can do it, before frameworks are imported; gives the entry.

    Raises:
        UsageError: The case is a stack or not finite, has no such entry, or is too large for
            closed formulas.
    """
    require_explainable(case)
    name = None if entry is None else find_entry(entry, case)
    if symbolic:
        require_short(case, name)
    return name
