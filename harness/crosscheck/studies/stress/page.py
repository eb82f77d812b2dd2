"""``reports/stress.md``: records outside of their bounds, of how many, and how near others come."""

from __future__ import annotations

from collections.abc import Iterator

from crosscheck.studies.stress.measure import Key, State, Tally
from crosscheck.studies.stress.regimes import REGIMES

__all__ = ["page"]

_HEAD = """# Records under stress

Every step that an eager framework takes, and what it sends down, held to its own bounds on its own
operands: dense networks, and networks of all operators with residual sums, with numbers in six
regimes. A *violation* is a record that is neither inside the bounds of gradual underflow nor inside
those of flush-to-zero; a *departure* is one too, of a step that calls a function that was measured
to do more than rounding in this framework and dtype ([FINDINGS](FINDINGS.md)). *Flushed* are those
that only the latter hold. *Not told* are those that only bounds hold which would hold an error of
1 % as well: sums that are added up in a dtype of few bits. Of cases that hold a number which is not
finite nothing is said: *overflow*. An entry is *unbounded* where its step may overflow in some
order; where the case holds a number beyond 1/16 of the largest one that is as it should be, and
counted apart.

Written by `nox -s stress`; `reports/stress.json` has the counts.
"""


def page(state: State) -> str:
    """The page, in Markdown."""
    parts = (_summary(state), _violations(state), _worst(state), _regimes(), _versions(state))
    return "\n\n".join([_HEAD.strip(), *("\n".join(part) for part in parts)]) + "\n"


def _summary(state: State) -> Iterator[str]:
    records = sum(each.records for each in state.tallies.values())
    violations = sum(each.violations for each in state.tallies.values())
    departures = sum(each.departures for each in state.tallies.values())
    yield (
        f"**{violations or 'No'} violation{'s' * (violations != 1)} in {records:,} records; "
        f"{departures:,} departure{'s' * (departures != 1)}.**"
    )
    yield ""
    counts = [each.by_operator for each in state.tallies.values()]
    names = {name for each in counts for name in each}
    if names and all(counts):
        least = min(names, key=lambda name: min(each[name] for each in counts))
        yield (
            f"{len(names) - ('cotangents' in names)} operators, each with "
            f"{min(each[least] for each in counts):,} records or more in every framework and dtype."
        )
        yield ""
    yield (
        "| framework | dtype | records | overflow | flushed | not told | departures | violations "
        "| error / bound at most "
        "| entries | unbounded | of large numbers | unbounded |"
    )
    yield "|---|---|" + "--:|" * 11
    for (framework, dtype), each in state.tallies.items():
        cells = [
            framework,
            dtype,
            f"{each.records:,}",
            f"{each.overflow:,}",
            f"{each.flushed:,}",
            f"{each.untold:,}",
            f"{each.departures:,}",
            f"{each.violations:,}",
            f"{max(each.worst.values(), default=0.0):.4f}",
            f"{each.entries:,}",
            _share(each.unbounded, each.entries),
            f"{each.large:,}",
            _share(each.unbounded_large, each.large),
        ]
        yield f"| {' | '.join(cells)} |"


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({part / whole:.3%})" if part else "0"


def _violations(state: State) -> Iterator[str]:
    for key, each in state.tallies.items():
        if each.kept:
            yield f"The first of {_called(key)}:"
            yield ""
            yield from (f"- {line}" for line in each.kept)
            yield ""
        if each.departing:
            yield f"Departures of {_called(key)}, one of each function:"
            yield ""
            yield from (f"- {name}: {line}" for name, line in each.departing.items())
            yield ""
        for reason, count in each.refused.items():
            yield f"{_called(key)} returned no records of {count} stacks: {reason}"
            yield ""
    yield "## The largest error / bound, by operator and part"


def _called(key: Key) -> str:
    return f"{key[0]}, {key[1]}"


def _worst(state: State) -> Iterator[str]:
    frameworks = list(dict.fromkeys(framework for framework, _ in state.tallies))
    dtypes = list(dict.fromkeys(dtype for _, dtype in state.tallies))
    yield f"Cells are those of {', '.join(frameworks)}, in this order."
    yield ""
    yield f"| operator | part | {' | '.join(dtypes)} |"
    yield "|---|---|" + "---|" * len(dtypes)
    names = sorted({name for each in state.tallies.values() for name in each.worst})
    for name in names:
        operator, part = name.split(": ", 1)
        cells = []
        for dtype in dtypes:
            found = [state.tallies.get((framework, dtype), Tally()) for framework in frameworks]
            cells.append(
                ", ".join(
                    f"{each.worst[name]:.3f}" if name in each.worst else "-" for each in found
                )
            )
        yield f"| {operator} | {part} | {' | '.join(cells)} |"


def _regimes() -> Iterator[str]:
    yield "## Regimes"
    yield ""
    for name, draw in REGIMES.items():
        yield f"- *{name}*: {' '.join((draw.__doc__ or '').split())}"


def _versions(state: State) -> Iterator[str]:
    pairs = {pair for each in state.versions.values() for pair in each.items()}
    words = ", ".join(f"{name} {version}" for name, version in sorted(pairs))
    yield f"Seed {state.seed}; {words}."
