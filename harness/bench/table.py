"""What was measured, as JSON and as a table for people."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from harness.bench.batches import Plan, Rate
from harness.bench.others import StartUp

__all__ = ["as_json", "as_markdown"]

_SCHEMA = 1


def as_json(
    plan: Plan, rates: Sequence[Rate], starts: Sequence[StartUp], environment: dict[str, str]
) -> dict[str, Any]:
    """Everything, for programs. Rates are in cases per second, memory in bytes."""
    return {
        "schema": _SCHEMA,
        "environment": environment,
        "plan": asdict(plan),
        "rates": [asdict(rate) | _spread(rate.rates) for rate in rates],
        "start_up": [asdict(start) | {"median": start.median} for start in starts],
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "least": min(values), "largest": max(values)}


def as_markdown(
    plan: Plan, rates: Sequence[Rate], starts: Sequence[StartUp], environment: dict[str, str]
) -> str:
    """The tables: rates are medians in cases per second, with the least and the largest."""
    names = ", ".join(plan.frameworks)
    lines = [
        f"Cases per second, medians of {plan.repeats} measurements of {plan.seconds:g} s in turns "
        f"(least – largest). {names}; {environment.get('processors', '?')} processors, "
        f"{environment.get('platform', '')}.",
        "",
        *_table(
            [
                *("network", "dtype", "workers", "batch", "floor", *plan.frameworks, "cases"),
                *("verdicts", "sweep", "sweep / floor", "left open", "memory"),
            ],
            _batches(plan, rates),
        ),
        "",
        *_table(
            ["network", "dtype", "case by case", "cases per second", "the sweep does"],
            _loops(rates),
        ),
        "",
    ]
    scaling = list(_scaling(plan, rates))
    if scaling:
        lines += [*_table(["network", "dtype", "workers", "sweep, times one worker"], scaling), ""]
    if starts:
        rows = [
            [f"`{start.command}`", f"{start.median:.2f}", _range(start.seconds, 2)]
            for start in starts
        ]
        lines += [*_table(["command", "start-up in seconds", "least – largest"], rows), ""]
    return "\n".join(lines)


def _table(head: Sequence[str], rows: Iterator[list[str]] | Sequence[list[str]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _name(rate: Rate) -> str:
    return "-".join(map(str, rate.widths))


def _range(values: Sequence[float], digits: int) -> str:
    return f"{min(values):,.{digits}f} – {max(values):,.{digits}f}"


def _cell(rate: Rate | None) -> str:
    if rate is None:
        return ""
    return f"{statistics.median(rate.rates):,.0f} ({_range(rate.rates, 0)})"


def _batches(plan: Plan, rates: Sequence[Rate]) -> Iterator[list[str]]:
    found: dict[tuple[Any, ...], dict[str, Rate]] = {}
    for rate in rates:
        if rate.size > 1:
            key = (rate.widths, rate.dtype, rate.workers, rate.size)
            found.setdefault(key, {})[rate.what] = rate
    for (_, dtype, workers, size), of in sorted(found.items()):
        sweep, floor = of["sweep"], of["floor"]
        # Each repeat took both in turns, so the ratio of each is a measurement of its own.
        ratios = [a / b for a, b in zip(sweep.rates, floor.rates, strict=True)]
        yield [
            _name(sweep),
            dtype,
            str(workers),
            f"{size:,}",
            _cell(floor),
            *(_cell(of.get(name)) for name in plan.frameworks),
            _cell(of.get("cases")),
            _cell(of.get("verdicts")),
            _cell(sweep),
            f"{statistics.median(ratios):.2f} ({_range(ratios, 2)})",
            f"{sweep.open:.1%}",
            f"{sweep.memory / 2**20:,.0f} MiB",
        ]


def _best(rates: Sequence[Rate]) -> dict[tuple[Any, ...], Rate]:
    """The fastest sweep of each network, dtype and number of workers."""
    best: dict[tuple[Any, ...], Rate] = {}
    for rate in rates:
        key = (rate.widths, rate.dtype, rate.workers)
        if rate.what == "sweep" and (
            key not in best or statistics.median(rate.rates) > statistics.median(best[key].rates)
        ):
            best[key] = rate
    return best


def _loops(rates: Sequence[Rate]) -> Iterator[list[str]]:
    best = _best(rates)
    for rate in rates:
        if rate.size > 1:
            continue
        sweeps = [
            statistics.median(sweep.rates)
            for (widths, dtype, _), sweep in best.items()
            if (widths, dtype) == (rate.widths, rate.dtype)
        ]
        own = statistics.median(rate.rates)
        times = f"{max(sweeps) / own:,.0f} times as many" if sweeps else ""
        what = "eager gradients and a tolerance" if rate.what == "loop" else f"`{rate.what}`"
        yield [_name(rate), rate.dtype, what, f"{own:,.1f} ({_range(rate.rates, 1)})", times]


def _scaling(plan: Plan, rates: Sequence[Rate]) -> Iterator[list[str]]:
    best = _best(rates)
    for (widths, dtype, workers), sweep in sorted(best.items()):
        one = best.get((widths, dtype, 1))
        if workers > 1 and one is not None:
            gain = statistics.median(sweep.rates) / statistics.median(one.rates)
            yield [_name(sweep), dtype, str(workers), f"{gain:.2f}"]
