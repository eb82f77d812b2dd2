"""How cases and verdicts look in a notebook: small pieces of HTML, every text escaped."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

import numpy as np

from crosscheck.judge.verdict import (
    FAILING,
    MEANING,
    Entry,
    GateReading,
    Kind,
    Verdict,
    how_to_allow,
)
from crosscheck.network.dense import Array, Case

__all__ = ["case_html", "verdict_html"]

_SHOWN_COLUMNS = 8
_SHOWN_ROWS = 8
_SHOWN_GATES = 12

_CELL = "padding:.15em .6em;text-align:right;font-variant-numeric:tabular-nums"
_LEFT = "padding:.15em .6em;text-align:left"
_SOFT = "opacity:.7"


def case_html(case: Case) -> str:
    """Shape, key and, where they are small, the numbers of a case or of a stack of cases."""
    network = case.network
    arrow = " → ".join(map(str, network.widths))
    rows = f"{case.rows} row{'' if case.rows == 1 else 's'}"
    facts = [rows, case.dtype, f"output {network.output}", f"{network.reduction} over rows"]
    if case.count is not None:
        facts.insert(0, f"a stack of {case.count:,} cases")
    else:
        facts.append(f"key {case.key}")
    if not case.is_finite:
        facts.append("not finite")
    pieces = [
        f"<p><strong>Case {_text(arrow)}</strong> "
        f'<span style="{_SOFT}">{_text("; ".join(facts))}</span></p>'
    ]
    if case.count is None:
        arrays = [("x", case.x), *((n, a) for n, a in case.arrays() if n not in "xy")]
        cells = (
            f'<td style="vertical-align:top;{_LEFT}">{_array(name, array)}</td>'
            for name, array in [*arrays, ("y", case.y)]
        )
        pieces.append(f"<table><tr>{''.join(cells)}</tr></table>")
    return f'<div class="crosscheck-case">{"".join(pieces)}</div>'


def verdict_html(verdict: Verdict) -> str:
    """The verdict as a badge, the worst entry, the gates that are not certain, and remarks."""
    path = " ".join(filter(None, (verdict.framework, verdict.formulation)))
    if verdict.mode:
        path += f", {verdict.mode}"
    pieces = [
        f'<p>{_badge(verdict.kind)} <strong>{_text(path)}</strong> <span style="{_SOFT}">'
        f"{_text(MEANING[verdict.kind])}</span></p>"
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
        pieces.append(f"<ul>{''.join(f'<li>{_text(remark)}</li>' for remark in remarks)}</ul>")
    if verdict.worst is not None:
        pieces.append(_worst(verdict.worst))
    if verdict.gates:
        pieces.append(_gates(verdict.gates))
    return f'<div class="crosscheck-verdict">{"".join(pieces)}</div>'


def _text(words: object) -> str:
    return html.escape(str(words))


def _badge(kind: Kind) -> str:
    # White on each of these can be read in the light and in the dark.
    colour = "#1a7f37" if kind is Kind.AGREES else "#c62828" if kind in FAILING else "#8a5a00"
    return (
        f'<span style="background:{colour};color:#fff;border-radius:.3em;padding:.1em .5em;'
        f'font-weight:600">{_text(kind)}</span>'
    )


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> str:
    cells = "".join(f'<th style="{_CELL}">{_text(cell)}</th>' for cell in heading)
    lines = "".join(
        f"<tr>{''.join(f'<td style={_quoted(_CELL)}>{_text(cell)}</td>' for cell in row)}</tr>"
        for row in rows
    )
    caption = f'<caption style="{_LEFT};caption-side:top">{_text(title)}</caption>'
    head = f"<thead><tr>{cells}</tr></thead>" if heading else ""
    return f"<table>{caption}{head}<tbody>{lines}</tbody></table>"


def _quoted(style: str) -> str:
    return f'"{style}"'


def _array(name: str, array: Array) -> str:
    """A matrix, or a vector as one row; shape only, where it is large."""
    matrix = np.atleast_2d(array)
    if matrix.shape[0] > _SHOWN_ROWS or matrix.shape[1] > _SHOWN_COLUMNS:
        shape = " × ".join(map(str, array.shape))
        return f'{_text(name)} <span style="{_SOFT}">{_text(shape)}</span>'
    return _table((), [[f"{value:.6g}" for value in row] for row in matrix], name)


def _worst(entry: Entry) -> str:
    rows = [
        ["given", f"{entry.given!r}", float(entry.given).hex()],
        ["reference", f"{entry.reference!r}", float(entry.reference).hex()],
        ["error", f"{entry.error:.3g}", f"{entry.ulps:.3g} ulp"],
        ["bound", f"{entry.bound:.3g}", f"error / bound {entry.bounds:.3g}"],
    ]
    return _table((), rows, f"Nearest to its bound, or farthest beyond it: {entry.name}")


def _gates(gates: Sequence[GateReading]) -> str:
    rows = [*map(list, _readings(gates[:_SHOWN_GATES]))]
    left = len(gates) - len(rows)
    title = "Gates that are not certain" + (f", the first {_SHOWN_GATES}" if left else "")
    return _table(("layer", "unit", "row", "class", "z", "λ used"), rows, title)


def _readings(gates: Sequence[GateReading]) -> Iterator[tuple[str, ...]]:
    for gate in gates:
        slope = str(gate.effect) if gate.slope is None else f"{gate.slope:g}"
        yield (
            str(gate.layer),
            str(gate.unit),
            str(gate.row),
            str(gate.gate),
            "0" if gate.pre_activation == 0 else float(gate.pre_activation).hex(),
            slope + (" (other side)" if gate.flipped else ""),
        )
