"""``reports/ALARMS.md``: right gradients that were accused, of how many, and by whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from crosscheck.studies.alarms.catalogue import CATALOGUE
from crosscheck.studies.alarms.measure import Key, Rate, Tally

__all__ = ["page"]

_HEAD = """# False alarms

The same gradient, computed in ways that nobody thought of when the bounds were written. Each way is
right, and why it is stands beside it; so every verdict but AGREES, KINK, UNDECIDED and NONFINITE,
and SUBNORMAL where subnormal numbers are flushed on purpose, would be a false alarm. Some ways are
right on finite numbers only: what is said of them where something is NaN or infinite is no alarm,
but is counted apart.

The cases are those of a sweep, all of its families included: numbers over a wide range, exact
ones, sums that cancel, kinks, NaN and infinities; seven shapes of networks, of 1 to 9 rows, with
sums of up to 130 products, one without biases in two layers.

Written by `nox -s alarms`; `reports/alarms.json` has the counts of each part.
"""


def page(counted: Mapping[Key, Tally], rates: Sequence[Rate]) -> str:
    """The page, in Markdown.

    Args:
        counted: Verdicts.
        rates: What other checkers reject.
    """
    return "\n".join([_HEAD, *_verdicts(counted), "", *_peers(rates)]).rstrip() + "\n"


def _verdicts(counted: Mapping[Key, Tally]) -> Iterator[str]:
    total = sum(tally.kinds.total() for tally in counted.values())
    alarms = sum(tally.accused for tally in counted.values())
    excused = sum(tally.excused for tally in counted.values())
    yield f"**{alarms or 'No'} false alarm{'s' * (alarms != 1)} in {total:,} gradients.**"
    if excused:
        yield ""
        yield f"Rejected of ways that are right on finite numbers only, elsewhere: {excused:,}."
    yield ""
    dtypes = list(dict.fromkeys(dtype for _, dtype, _ in counted))
    yield f"| implementation | why it is right | {' | '.join(dtypes)} | at the boundary | alarms |"
    yield "|---|---|" + "--:|" * (len(dtypes) + 2)
    for name in dict.fromkeys([*CATALOGUE, *(name for name, _, _ in counted)]):
        why = CATALOGUE[name].why if name in CATALOGUE else "automatic differentiation"
        if name in CATALOGUE and CATALOGUE[name].but:
            why += f". On finite numbers: {CATALOGUE[name].but}"
        cells, kinds, accused = [], Counter[str](), 0
        for dtype in dtypes:
            parts = [tally for key, tally in counted.items() if key[0] == name and key[1] == dtype]
            number = sum(tally.kinds.total() for tally in parts)
            cells.append(f"{number:,}" if number else "")
            accused += sum(tally.accused for tally in parts)
            for tally in parts:
                kinds.update(tally.kinds)
        boundary = sum(number for kind, number in kinds.items() if kind != "AGREES")
        yield f"| {name} | {why} | {' | '.join(cells)} | {boundary:,} | {accused} |"
    yield ""
    yield "Cells are cases. *At the boundary* are verdicts other than AGREES:"
    kinds = Counter()
    for tally in counted.values():
        kinds.update(tally.kinds)
    yield ", ".join(f"{kind} {number:,}" for kind, number in kinds.most_common()) + "."


def _peers(rates: Sequence[Rate]) -> Iterator[str]:
    if not rates:
        return
    yield "## What other checkers say of the same gradients"
    yield ""
    most = max(rate.cases for rate in rates)
    yield f"{most} cases of (4, 8, 1) with no kink, each implementation's gradient put to each"
    yield "checker as its documentation shows: how many of them it rejects, in percent. The right"
    yield "column is the implementation it rejects most often."
    yield ""
    yield "| checker | dtype | gradients | rejected | worst |"
    yield "|---|---|--:|--:|---|"
    for checker, dtype in dict.fromkeys((rate.checker, rate.dtype) for rate in rates):
        some = [rate for rate in rates if (rate.checker, rate.dtype) == (checker, dtype)]
        cases, rejected = sum(rate.cases for rate in some), sum(rate.rejected for rate in some)
        worst = max(some, key=lambda rate: rate.rejected / rate.cases)
        share = f"{100 * worst.rejected / worst.cases:.0f} %: {worst.implementation}"
        yield f"| {checker} | {dtype} | {cases:,} | {100 * rejected / cases:.1f} % | {share} |"
    most_of_all = sum(rate.cases for rate in rates if rate.checker == rates[0].checker)
    yield f"| crosscheck | both | {most_of_all:,} | 0.0 % | |"
