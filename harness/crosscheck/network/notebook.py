"""How cases look in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crosscheck.numbers.arrays import Array
from crosscheck.tools.markup import LEFT, SOFT, table, text

if TYPE_CHECKING:
    from crosscheck.network.dense import Case

__all__ = ["case_html"]

_SHOWN_COLUMNS = 8
_SHOWN_ROWS = 8


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
        f"<p><strong>Case {text(arrow)}</strong> "
        f'<span style="{SOFT}">{text("; ".join(facts))}</span></p>'
    ]
    if case.count is None:
        arrays = [("x", case.x), *((n, a) for n, a in case.entries() if n not in "xy")]
        cells = (
            f'<td style="vertical-align:top;{LEFT}">{_array(name, array)}</td>'
            for name, array in [*arrays, ("y", case.y)]
        )
        pieces.append(f"<table><tr>{''.join(cells)}</tr></table>")
    return f'<div class="crosscheck-case">{"".join(pieces)}</div>'


def _array(name: str, array: Array) -> str:
    """A matrix, or a vector as one row; shape only, where it is large."""
    matrix = np.atleast_2d(array)
    if matrix.shape[0] > _SHOWN_ROWS or matrix.shape[1] > _SHOWN_COLUMNS:
        shape = " × ".join(map(str, array.shape))
        return f'{text(name)} <span style="{SOFT}">{text(shape)}</span>'
    return table((), [[f"{value:.6g}" for value in row] for row in matrix], name)
