"""How comparisons look in a notebook: every text escaped, styled cell by cell.

Styles of cells cannot meet those of the notebook, whichever it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from crosscheck.judge.notebook import badge, verdict_html
from crosscheck.judge.verdict import Kind, Verdict
from crosscheck.tools.markup import SOFT, table, text

__all__ = ["comparison_html"]

_PRE = (
    "white-space:pre-wrap;overflow-wrap:anywhere;max-height:30em;overflow:auto;"
    "background:none;padding:0;font-family:monospace;font-size:.92em"
)


def comparison_html(
    *,
    message: str,
    kinds: Mapping[str, Mapping[Kind, int]],
    boundary: Mapping[tuple[str, str, str], int],
    unchecked: Mapping[str, Sequence[str]],
    failing: Sequence[Verdict],
    notes: Sequence[str] = (),
) -> str:
    """The outcome, the verdicts on each implementation, its slopes at kinks, and what failed.

    Args:
        message: What a person reads; the first line is the outcome if nothing failed.
        kinds: Implementation to verdict to number of cases.
        boundary: (implementation, gate class, λ) to number of decisions that are not certain.
        unchecked: Implementation to the arrays that were never told from zero.
        failing: The verdicts on the smallest failing cases.
        notes: What is said once.
    """
    pieces = list(_outcome(message, failing))
    pieces.append(_verdicts(kinds))
    if boundary:
        rows = [[*key, f"{count:,}"] for key, count in sorted(boundary.items())]
        title = "λ where a decision is not certain"
        pieces.append(table(("implementation", "decision", "λ", "times"), rows, title))
    for name, arrays in unchecked.items():
        pieces.append(f"<p>{text(name)}: not checked, {text(', '.join(arrays))}</p>")
    pieces += [f'<p style="{SOFT}">{text(note)}</p>' for note in notes]
    pieces += [verdict_html(each) for each in failing]
    return f'<div class="crosscheck-comparison">{"".join(pieces)}</div>'


def _outcome(message: str, failing: Sequence[Verdict]) -> Iterator[str]:
    if failing:
        yield f"<p>{badge('FAILED', good=False)}</p>"
        lines = "\n".join(map(text, message.splitlines()))
        yield f'<pre style="{_PRE}">{lines}</pre>'
    else:
        yield f"<p>{badge('PASSED', good=True)} {text(message)}</p>"


def _verdicts(kinds: Mapping[str, Mapping[Kind, int]]) -> str:
    shown = [kind for kind in Kind if any(kind in each for each in kinds.values())]
    rows = [
        [name, *(f"{each[kind]:,}" if each.get(kind) else "" for kind in shown)]
        for name, each in kinds.items()
    ]
    return table(("implementation", *map(str, shown)), rows, "Cases by verdict")
