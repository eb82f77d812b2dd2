"""The power to catch planted faults, as a Markdown table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.power import Power

__all__ = ["table"]


def table(powers: Sequence[Power]) -> str:
    """One row for each checker, shape and dtype; one column for each fault size 2^-k.

    The cells are percentages of the faults that were caught. The first column of numbers is
    the share of correct gradients that were rejected.
    """
    return "\n".join(_lines(powers)) + "\n"


def _lines(powers: Sequence[Power]) -> Iterator[str]:
    sizes = sorted({power.exponent for power in powers if power.exponent is not None})
    yield (
        "| checker | widths | dtype | rejects correct | "
        + " | ".join(f"2^-{size}" for size in sizes)
        + " |"
    )
    yield "|---|---|---|--:|" + "--:|" * len(sizes)
    rows: dict[tuple[str, str, str], dict[int | None, Power]] = {}
    for power in powers:
        widths = ", ".join(map(str, power.widths))
        rows.setdefault((power.checker, widths, power.dtype), {})[power.exponent] = power
    for (checker, widths, dtype), cells in rows.items():
        shown = [_percent(cells.get(size)) for size in (None, *sizes)]
        yield f"| {checker} | {widths} | {dtype} | " + " | ".join(shown) + " |"


def _percent(power: Power | None) -> str:
    if power is None or not power.cases:
        return ""
    share = 100.0 * power.probability
    # A share that is not quite none or all must not look as if it were.
    if 0.0 < share < 1.0:
        return f"{share:.1f}"
    return f"{share:.1f}" if 99.0 < share < 100.0 else f"{share:.0f}"
