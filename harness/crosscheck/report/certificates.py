"""What each certificate catches, as Markdown tables and as a page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from crosscheck.studies.certificates.counts import Counts, Found
from crosscheck.studies.certificates.settings import GROUPS, SIZES, STRUCTURAL, Setting

__all__ = ["page", "table"]

_RETURNED, _EACH = GROUPS[0], GROUPS[1:]

_ENOUGH = 0.99
"""Share of small faults that the local certificate is to catch; where it does not, that is said."""


def table(found: Sequence[Found]) -> str:
    """The tables of all dtypes, and a line on what cannot be caught."""
    lines = []
    for dtype in dict.fromkeys(each.setting.dtype for each in found):
        of_dtype = [each for each in found if each.setting.dtype == dtype]
        lines += [*_returned(of_dtype), *_by_array(of_dtype), *_limits(of_dtype)]
    return "\n".join([*lines, *_structural(found), *_right(found)]) + "\n"


def page(found: Sequence[Found], about: Mapping[str, str], words: str, picture: str) -> str:
    """The page of one measurement.

    Args:
        found: What was measured.
        about: Of the environment and versions, and the seed.
        words: Of the command.
        picture: File name of the chart.
    """
    planted = sum(counts.planted for each in found for counts in each.counts)
    versions = ", ".join(f"{name} {version}" for name, version in about.items())
    lines = [
        "# What each certificate catches",
        "",
        f"Made with `{words}`, {versions}. {planted:,} faults in {len(found)} settings.",
        "",
        f"![Share of faults caught against width, by certificate, dtype and rows]({picture})",
        "",
        *_ABOUT,
        "",
    ]
    return "\n".join(lines) + "\n" + table(found)


_ABOUT = (
    "A gradient is computed step by step, and one random non-zero entry of an array in it is made",
    "wrong by a factor 1 + 2^-k. The numbers are percentages of these faults that are caught:",
    "a-priori / adjoint / **local**. REDUCED counts as caught, and so does UNDECIDED where a step",
    "is explained only by bounds that would hold an error of 1 % as well: neither passes. Networks",
    "are Gaussian, with weights of standard deviation √(2 / width), all layers equally wide. Up to",
    "width 16 several networks share the faults of a setting, from 64 on there is one, and of its",
    "layers up to four have faults.",
    "",
    "Resolution: in one entry of what is returned there are about 400 faults of each size, so",
    "that a share is known to within 5 points, and 100 means more than 99 in such a network (both",
    "at 95 %). The adjoint certificate is asked about 4 or more of them, and about the very entry",
    "that is wrong; a run looks at few entries of a wide gradient, and a fault in one of the",
    "others is beyond it. Of cotangents, from which all below goes on, there are at least six",
    "faults of each size: there the adjoint certificate looks where a run looks. The a-priori and",
    "the adjoint certificate are not asked where layers · width² · rows is above 2²² (–). Where",
    "gates are open, what the a-priori one refuses is what lies beyond its bounds for any",
    "decisions.",
)


def _returned(found: Sequence[Found]) -> Iterator[str]:
    """One entry of a weight or bias gradient, at each size."""
    dtype = found[0].setting.dtype
    sizes = SIZES[dtype]
    yield f"**{dtype}**: one entry of a weight or bias gradient"
    yield ""
    yield f"| width | layers | rows | {' | '.join(f'2^-{k}' for k in sizes)} |"
    yield "|--:|--:|--:|" + "--:|" * len(sizes)
    for each in found:
        cells = " | ".join(_three(each.of(_RETURNED, k)) for k in sizes)
        yield f"| {_shape(each.setting)} | {cells} |"
    yield ""


def _by_array(found: Sequence[Found]) -> Iterator[str]:
    """One entry of each kind of array, at the largest size."""
    size = SIZES[found[0].setting.dtype][0]
    heads = ["weights", "biases", "dx", "cotangents"]
    yield f"By array, at 2^-{size}; for weights and biases a-priori / local"
    yield ""
    yield f"| width | layers | rows | {' | '.join(heads)} |"
    yield "|--:|--:|--:|" + "--:|" * len(heads)
    for each in found:
        cells = " | ".join(_three(each.of(group, size)) for group in _EACH)
        yield f"| {_shape(each.setting)} | {cells} |"
    yield ""


def _limits(found: Sequence[Found]) -> Iterator[str]:
    """Where the local certificate catches less than it is to."""
    dtype = found[0].setting.dtype
    size = SIZES[dtype][0]
    names = {"weights or biases": "weights or biases together", "inputs": "dx"}
    for group in GROUPS[:-1]:
        few = [
            (each.setting, counts)
            for each in found
            if (counts := each.of(group, size)).planted and counts.local < _ENOUGH * counts.planted
        ]
        if few:
            where = "; ".join(
                f"{_short(setting)}: {_percent(counts.local, counts.planted)} %"
                for setting, counts in few
            )
            name = names.get(group, group)
            yield (
                f"{name}, 2^-{size}: a sum in any order may err by more than such a fault in some "
                f"entries, and less than 99 % are caught at (width, layers, rows) {where}."
            )
            yield ""


def _structural(found: Sequence[Found]) -> Iterator[str]:
    yield "Whole arrays: caught of planted, by certificate"
    yield ""
    yield "| dtype | fault | planted | a-priori | adjoint | local | local, all allowed |"
    yield "|---|---|--:|--:|--:|--:|--:|"
    dtypes = list(dict.fromkeys(each.setting.dtype for each in found))
    for dtype in dtypes:
        for sort in STRUCTURAL:
            all_of = [each.of(sort, None) for each in found if each.setting.dtype == dtype]
            whole = [sum(getattr(each, name) for each in all_of) for name in _COLUMNS]
            planted, held, a_priori, looked, adjoint, local, allowed = whole
            yield (
                f"| {dtype} | {sort} | {planted} | {a_priori} of {held} | {adjoint} of {looked} | "
                f"{local} | {allowed} |"
            )
    yield ""
    yield (
        "*All allowed*: with every named arithmetic that may stand in for the dtype allowed; what "
        "one of these explains by bounds that would hold an error of 1 % as well counts as caught. "
        "In bfloat16 1.01 is a unit in the last place or two."
    )
    yield ""
    for name, words in (("local", "nothing allowed"), ("unless_allowed", "everything allowed")):
        missed = [
            f"{each.setting}: {sort} ({counts.planted - getattr(counts, name)})"
            for each in found
            for sort in STRUCTURAL
            if getattr(counts := each.of(sort, None), name) < counts.planted
        ]
        if missed:
            yield f"Missed by the local certificate, {words}: {'; '.join(missed)}."
            yield ""


_COLUMNS = ("planted", "held", "a_priori", "looked", "adjoint", "local", "unless_allowed")


def _right(found: Sequence[Found]) -> Iterator[str]:
    names = ("right", "rejected", "judged", "otherwise")
    right, rejected, judged, other = (sum(getattr(each, n) for each in found) for n in names)
    yield (
        f"Right gradients: {right}, of which a certificate rejects {rejected}. Faults that were "
        f"put to the door too: {judged}, of which {other} had another verdict than is counted here."
    )


def _shape(setting: Setting) -> str:
    return f"{setting.width:,} | {setting.depth} | {setting.rows}"


def _short(setting: Setting) -> str:
    return f"({setting.width}, {setting.depth}, {setting.rows})"


def _three(counts: Counts) -> str:
    if not counts.planted:
        return ""
    cells = [_percent(counts.a_priori, counts.held)]
    if counts.sort not in _EACH[:2]:
        cells.append(_percent(counts.adjoint, counts.looked))
    return " / ".join([*cells, f"**{_percent(counts.local, counts.planted)}**"])


def _percent(caught: int, planted: int) -> str:
    if not planted:
        return "–"
    share = 100.0 * caught / planted
    # A share that is not quite none or all must not look as if it were.
    if 0.0 < share < 1.0:
        return f"{share:.1f}"
    return f"{math.floor(10 * share) / 10:.1f}" if 99.0 < share < 100.0 else f"{share:.0f}"
