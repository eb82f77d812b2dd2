"""How verdicts look in a notebook."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from crosscheck.judge.decisions import GateReading
from crosscheck.judge.verdict import FAILING, MEANING, Entry, Kind, Verdict, how_to_allow
from crosscheck.tools.markup import SOFT, table, text
from crosscheck.tools.words import exactly

__all__ = ["badge", "verdict_html"]

_SHOWN_GATES = 12


def verdict_html(verdict: Verdict) -> str:
    """The verdict as a badge, the worst entry, the gates that are not certain, and remarks."""
    path = " ".join(filter(None, (verdict.framework, verdict.formulation)))
    if verdict.mode:
        path += f", {verdict.mode}"
    pieces = [
        f'<p>{_badge(verdict.kind)} <strong>{text(path)}</strong> <span style="{SOFT}">'
        f"{text(MEANING[verdict.kind])}</span></p>"
    ]
    remarks = [verdict.detail] if verdict.detail else []
    if verdict.first_layer is not None:
        remarks.append(f"first layer out of its bounds: {verdict.first_layer}")
    if verdict.reduction:
        remarks.append(f"coarser arithmetic: {verdict.reduction}; {how_to_allow(verdict)}")
    remarks += [f"{each.question}: {' or '.join(each.answers)}" for each in verdict.policies]
    remarks += [
        f"as a generalised derivative with respect to the {each.block}: {each.status}; "
        f"{each.reason}"
        for each in verdict.validity
    ]
    if remarks:
        pieces.append(f"<ul>{''.join(f'<li>{text(remark)}</li>' for remark in remarks)}</ul>")
    if verdict.worst is not None:
        pieces.append(_worst(verdict.worst))
    if verdict.gates:
        pieces.append(_gates(verdict.gates))
    return f'<div class="crosscheck-verdict">{"".join(pieces)}</div>'


def badge(word: object, *, good: bool | None) -> str:
    """A word on green, on red, or on amber if it is neither good nor bad."""
    # White on each of these can be read in the light and in the dark.
    colour = "#8a5a00" if good is None else "#1a7f37" if good else "#c62828"
    return (
        f'<span style="background:{colour};color:#fff;border-radius:.3em;padding:.1em .5em;'
        f'font-weight:600">{text(word)}</span>'
    )


def _badge(kind: Kind) -> str:
    return badge(kind, good=True if kind is Kind.AGREES else False if kind in FAILING else None)


def _worst(entry: Entry) -> str:
    ratio = "none is allowed" if entry.bounds == math.inf else f"error / bound {entry.bounds:.3g}"
    rows = [
        ["given", f"{entry.given!r}", float(entry.given).hex()],
        ["reference", f"{entry.reference!r}", float(entry.reference).hex()],
        ["error", f"{entry.error:.3g}", f"{entry.ulps:.3g} ulp" if entry.ulps < math.inf else ""],
        ["bound", f"{entry.bound:.3g}", ratio],
    ]
    return table((), rows, f"Nearest to its bound, or farthest beyond it: {entry.name}")


def _gates(gates: Sequence[GateReading]) -> str:
    rows = [*map(list, _readings(gates[:_SHOWN_GATES]))]
    left = len(gates) - len(rows)
    title = "Gates that are not certain" + (f", the first {_SHOWN_GATES}" if left else "")
    place = ("where",) if gates[0].step else ("layer", "unit", "row")
    return table((*place, "class", "z", "λ used"), rows, title)


def _readings(gates: Sequence[GateReading]) -> Iterator[tuple[str, ...]]:
    for gate in gates:
        slope = str(gate.effect) if gate.slope is None else f"{gate.slope:g}"
        place = (gate.where,) if gate.step else (gate.layer, gate.unit, gate.row)
        yield (
            *map(str, place),
            str(gate.gate),
            exactly(gate.value),
            slope + (" (other side)" if gate.flipped else ""),
        )
