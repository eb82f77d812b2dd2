"""What was measured, as JSON and as a table for people."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from crosscheck.studies.bench.batches import Plan, Rate
from crosscheck.studies.bench.commands import Growth, StartUp
from crosscheck.studies.bench.local import Local
from crosscheck.studies.bench.storms import Storm

__all__ = ["as_json", "as_markdown", "storm_table"]

_SCHEMA = 1


def as_json(
    plan: Plan,
    rates: Sequence[Rate],
    growths: Sequence[Growth],
    storms: Sequence[Storm],
    starts: Sequence[StartUp],
    local: Sequence[Local],
    environment: dict[str, str],
) -> dict[str, Any]:
    """Everything, for programs. Rates are in cases per second, memory in bytes."""
    return {
        "schema": _SCHEMA,
        "environment": environment,
        "plan": asdict(plan),
        "rates": [asdict(rate) | _spread(rate.rates) for rate in rates],
        "growth": [asdict(growth) for growth in growths],
        "storms": [asdict(storm) for storm in storms],
        **({"local": [asdict(one) | _spread(one.ratios) for one in local]} if local else {}),
        "start_up": [asdict(start) | {"median": start.median} for start in starts],
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "least": min(values), "largest": max(values)}


def as_markdown(
    plan: Plan,
    rates: Sequence[Rate],
    growths: Sequence[Growth],
    storms: Sequence[Storm],
    starts: Sequence[StartUp],
    local: Sequence[Local],
    environment: dict[str, str],
) -> str:
    """The tables: rates are medians in cases per second, with the least and the largest."""
    names = ", ".join(plan.frameworks)
    lines = [
        f"Cases per second, medians of {plan.repeats} measurements of {plan.seconds:g} s in turns "
        f"(least – largest). {names}; {environment.get('processors', '?')} processors, "
        f"{environment.get('platform', '')}.",
        "",
        "The sweep, verdicts and the making of cases included, beside the floor: the frameworks' "
        "gradients of such batches, one framework after the other, without any check. `verdicts` "
        "and `cases` are parts of the sweep by themselves. The best floor is that of the batches "
        "that suit the frameworks best, larger or smaller than those of the sweep.",
        "",
        *_table(
            [
                *("network", "dtype", "workers", "batch", "cases", "verdicts", "sweep"),
                *("sweep / floor", "sweep / best floor", "not AGREES"),
            ],
            _sweeps(rates),
        ),
        "",
        "The floor by the size of its batches. A floor takes new cases each time, as a sweep has "
        "to; one that takes the same batch again and again, from the processor's caches, is beside "
        "it. The last column is the sweep above.",
        "",
        *_table(
            [
                *("network", "dtype", "workers", "batch", "floor", "the same batch"),
                *plan.frameworks,
                "sweep / floor",
            ],
            _floors(plan, rates),
        ),
        "",
    ]
    loops = list(_loops(rates))
    if loops:
        head = ["network", "dtype", "case by case", "cases per second", "the sweep does"]
        lines += [*_table(head, loops), ""]
    scaling = list(_scaling(plan, rates))
    if scaling:
        lines += [*_table(["network", "dtype", "workers", "sweep, times one worker"], scaling), ""]
    if growths:
        head = ["command", "cases", "seconds", "memory"]
        lines += [*_table(head, list(map(_growth, growths))), ""]
    if storms:
        lines += [*storm_table(storms), ""]
    if local:
        lines += [*_local_table(local), ""]
    if starts:
        rows = [
            [f"`{start.command}`", f"{start.median:.2f}", _range(start.seconds, 2)]
            for start in starts
        ]
        lines += [*_table(["command", "start-up in seconds", "least – largest"], rows), ""]
    return "\n".join(lines)


def storm_table(storms: Sequence[Storm]) -> list[str]:
    """Lines on what verdicts on storms take."""
    head = [
        *("storm", "gradient", "open gates", "verdict", "parameters", "inputs", "seconds"),
        "memory",
    ]
    rows = [
        [
            *(storm.name, storm.gradient, f"{storm.kinks:,}", storm.verdict),
            *(storm.validity.get(block, "") for block in ("parameters", "inputs")),
            f"{storm.seconds:.1f}",
            f"{storm.memory / 2**20:,.0f} MiB" if storm.memory else "",
        ]
        for storm in storms
    ]
    return [
        "One verdict on networks whose pre-activations are zero in thousands of places, and "
        "whether the gradient is a generalised derivative; each in a process of its own.",
        "",
        *_table(head, rows),
    ]


def _local_table(local: Sequence[Local]) -> list[str]:
    head = ["network", "rows", "dtype", "gradient in ms", "verdict in ms", "verdict / gradient"]
    rows = [
        [
            *("-".join(map(str, one.widths)), str(one.rows), one.dtype),
            *(f"{1e3 * statistics.median(each):.1f}" for each in (one.gradients, one.verdicts)),
            f"{statistics.median(one.ratios):.1f} ({_range(one.ratios, 1)})",
        ]
        for one in local
    ]
    return [
        "A local verdict, records, reference and bounds included, beside PyTorch's eager gradient "
        "of the same case, in turns, with two threads.",
        "",
        *_table(head, rows),
    ]


def _growth(growth: Growth) -> list[str]:
    memory = f"{growth.memory / 2**20:,.0f} MiB" if growth.memory else ""
    return [f"`{growth.command}`", f"{growth.cases:,}", f"{growth.seconds:.1f}", memory]


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


def _together(rates: Sequence[Rate]) -> list[tuple[tuple[Any, ...], dict[str, Rate]]]:
    """All rates of one network, dtype, number of workers and size of batches."""
    found: dict[tuple[Any, ...], dict[str, Rate]] = {}
    for rate in rates:
        if rate.size > 1:
            key = (rate.widths, rate.dtype, rate.workers, rate.size)
            found.setdefault(key, {})[rate.what] = rate
    return sorted(found.items())


def _floors(plan: Plan, rates: Sequence[Rate]) -> Iterator[list[str]]:
    sweeps = {
        (rate.widths, rate.dtype, rate.workers): rate for rate in rates if rate.what == "sweep"
    }
    for (widths, dtype, workers, size), of in _together(rates):
        yield [
            _name(of["floor"]),
            dtype,
            str(workers),
            f"{size:,}",
            _cell(of["floor"]),
            _cell(of["floor, cached"]),
            *(_cell(of.get(name)) for name in plan.frameworks),
            _ratio(sweeps[widths, dtype, workers], of["floor"]),
        ]


def _sweeps(rates: Sequence[Rate]) -> Iterator[list[str]]:
    together = _together(rates)
    for key, of in together:
        sweep = of.get("sweep")
        if sweep is None:
            continue
        floors = [of["floor"] for other, of in together if other[:3] == key[:3]]
        best = max(floors, key=lambda floor: statistics.median(floor.rates))
        yield [
            _name(sweep),
            sweep.dtype,
            str(sweep.workers),
            f"{sweep.size:,}",
            _cell(of.get("cases")),
            _cell(of.get("verdicts")),
            _cell(sweep),
            _ratio(sweep, of["floor"]),
            f"{_ratio(sweep, best)} at {best.size:,}",
            f"{sweep.open:.3%}",
        ]


def _ratio(one: Rate, other: Rate) -> str:
    """Repeat by repeat, which takes both in turns: the ratio of each is a measurement."""
    ratios = [a / b for a, b in zip(one.rates, other.rates, strict=True)]
    return f"{statistics.median(ratios):.2f} ({_range(ratios, 2)})"


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
            yield [_name(sweep), dtype, str(workers), _ratio(sweep, one)]
