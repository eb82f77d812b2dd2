"""The power to catch planted faults, as a Markdown table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from crosscheck.studies.power import Power

__all__ = ["table"]


def table(powers: Sequence[Power]) -> str:
    """A table for each dtype: checkers and shapes down, fault sizes 2^-k across.

    The cells are percentages of the faults that were caught. The first column of numbers is
    the share of correct gradients that were rejected.
    """
    dtypes = dict.fromkeys(power.dtype for power in powers)
    return "\n".join(
        line
        for dtype in dtypes
        for line in _lines(dtype, [power for power in powers if power.dtype == dtype])
    )


def _lines(dtype: str, powers: Sequence[Power]) -> Iterator[str]:
    sizes = sorted({power.exponent for power in powers if power.exponent is not None})
    faults = " | ".join(f"2^-{size}" for size in sizes)
    yield f"| {dtype} | widths | rejects correct | {faults} |"
    yield "|---|---|--:|" + "--:|" * len(sizes)
    rows: dict[tuple[str, str], dict[int | None, Power]] = {}
    for power in powers:
        widths = ", ".join(map(str, power.widths))
        rows.setdefault((power.checker, widths), {})[power.exponent] = power
    for (checker, widths), cells in rows.items():
        shown = " | ".join(_percent(cells[size]) for size in (None, *sizes))
        yield f"| {checker} | {widths} | {shown} |"
    yield ""


def _percent(power: Power) -> str:
    if not power.cases:
        return ""
    share = 100.0 * power.probability
    # A share that is not quite none or all must not look as if it were.
    if 0.0 < share < 1.0:
        return f"{share:.1f}"
    return f"{math.floor(10 * share) / 10:.1f}" if 99.0 < share < 100.0 else f"{share:.0f}"
