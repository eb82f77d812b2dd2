"""The record of accuracy for a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid

from crosscheck.numbers.accuracy import Key, Record, Row
from crosscheck.numbers.elementary import ELEMENTARY
from crosscheck.numbers.formats import WORKING
from crosscheck.operators.elementary_lines import elementary_lines
from crosscheck.studies.accuracy.departures import MANY, departures
from crosscheck.tools.consoles import Terminal

__all__ = ["markdown", "show"]

_LEGEND = (
    "Value; derivative as automatic differentiation returns it; its derivative by the same means, "
    "where there is one: the largest error in roundings u scale. ∗: more than {many}. †: elsewhere "
    "infinite, NaN or 0 in place of a normal number. ≠: IEEE 754 demands the nearest number, and "
    "another one is returned. ◦: in short arrays, and less in long ones. –: not supported."
)
_WIDE = 130

Column = tuple[str, str]
"""Framework and mode."""


def _columns(record: Record) -> list[Column]:
    return list(dict.fromkeys((row.key.framework, row.key.mode) for row in record.rows))


def _lines(record: Record, dtype: str) -> Iterator[tuple[str, list[str]]]:
    """A function in one formulation, and a cell for each column."""
    columns = _columns(record)
    here: dict[tuple[str, str], dict[Column, list[Row]]] = {}
    for row in record.rows:
        key = row.key
        if key.dtype == dtype:
            lines = elementary_lines(key.framework).get(key.function, {})
            way = "" if key.formulation == next(iter(lines), "") else key.formulation
            cells = here.setdefault((key.function, way), {})
            cells.setdefault((key.framework, key.mode), []).append(row)
    names = list(ELEMENTARY)
    for function, way in sorted(here, key=lambda each: (names.index(each[0]), each[1])):
        label = f"… as {way}" if way else function
        yield label, [_cell(here[function, way].get(column, [])) for column in columns]


def _cell(rows: Sequence[Row]) -> str:
    return "; ".join(map(_number, sorted(rows, key=lambda row: row.key.order)))


def _number(row: Row) -> str:
    if row.error is None:
        return "–"
    text = f"{row.error:.3g}" if row.error < 1000 else f"{row.error:.2g}".replace("e+0", "e")
    if row.error > MANY:
        text += "∗"
    if row.nonfinite or row.vanished:
        text += "†"
    if row.misrounded > 0:
        text += "≠"
    if row.kernel == "short":
        text += "◦"
    return text


def show(record: Record, console: Console | None = None) -> None:
    """Print the record: a grid for each dtype.

    Args:
        record: The record.
        console: Where to print; the standard output by default.
    """
    out = console or Terminal()
    if not out.is_terminal:
        out.width = max(out.width, _WIDE)
    for dtype in WORKING:
        lines = list(_lines(record, dtype))
        if lines:
            title = f"{dtype}: {record.samples[dtype].words}"
            grid = Grid(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
            grid.add_column("function")
            for framework, mode in _columns(record):
                grid.add_column(f"{framework} {mode}", justify="right", no_wrap=True)
            for label, cells in lines:
                grid.add_row(label, *cells)
            out.print(grid)
    out.print(_LEGEND.format(many=MANY))


_HEAD = """# How accurate elementary functions are

Each function and its first two derivatives, as automatic differentiation returns them, in every
formulation, mode and dtype, held to exact values by Arb. An error is counted in roundings u scale:
u is 2^-53, 2^-24, 2^-8 and 2^-11 in float64, float32, bfloat16 and float16, and the scale is the
size of the exact result or, where no way of computing can do that, a size which
`harness/crosscheck/numbers/elementary.py` gives and explains. Half a unit in the last place is half
a rounding to one. What is counted are normal inputs whose result neither overflows nor underflows.

All numbers are tried in 16 bits. In float32 and float64 only some are, so the errors there are
lower bounds of the largest one; verdicts take one rounding more, and say "sampled".

Libraries work on whole vectors of a long array, and number by number on what is shorter than a
vector, with kernels that may round otherwise. So `--accept` puts PyTorch and TensorFlow in
`eager` mode and JAX in `jit` to short arrays as well: to all numbers in 16 bits, to some thousands
in float32 and float64, and to one in 64 of these in an array of its own. A row has the larger of
both errors; which rows were, is told below and by each row's `short` in `accuracy.json`.

Written by `crosscheck accuracy --accept`, which takes an hour and goes on where it was ended;
`crosscheck accuracy` measures again and says what has changed. Not measured: `torch.compile`, which
would take ten seconds for each line, dtype and length, and modes that run the same kernels.
"""


def markdown(record: Record, sources: Mapping[str, Mapping[str, Mapping[str, str]]]) -> str:
    """The page, in Markdown; its picture is `crosscheck.report.accuracy_chart.chart`.

    Args:
        record: The record.
        sources: Framework to function to formulation to what is written there.
    """
    return "\n".join([_HEAD, *_document(record, sources)]).rstrip() + "\n"


def _document(
    record: Record, sources: Mapping[str, Mapping[str, Mapping[str, str]]]
) -> Iterator[str]:
    told = {**record.versions, **record.environment}
    yield "; ".join(f"{name}: {value}" for name, value in told.items()) + "."
    yield ""
    yield f"{len(record.rows):,} rows; {len(departures(record))} departures, told in FINDINGS.md."
    yield ""
    counts = [
        f"{name} {sum(row.short > 0 and row.key.framework == name for row in record.rows):,}"
        for name in record.frameworks
    ]
    yield f"Rows that were measured in short arrays as well: {', '.join(counts)}."
    yield ""
    yield "![Largest error against input, by function and framework](accuracy.svg)"
    yield ""
    yield _LEGEND.format(many=MANY)
    columns = _columns(record)
    for dtype in WORKING:
        lines = list(_lines(record, dtype))
        if not lines:
            continue
        yield ""
        yield f"## {dtype}: {record.samples[dtype].words}"
        yield ""
        yield "| function | " + " | ".join(" ".join(column) for column in columns) + " |"
        yield "|---|" + "--:|" * len(columns)
        for label, cells in lines:
            yield f"| {label} | {' | '.join(cells)} |"
    yield ""
    yield "## What is written"
    yield ""
    frameworks = [name for name in record.frameworks if name in sources]
    yield f"| function | | {' | '.join(frameworks)} |"
    yield "|---|---|" + "---|" * len(frameworks)
    for function, of in ELEMENTARY.items():
        ways = dict.fromkeys(way for name in frameworks for way in sources[name].get(function, ()))
        for way in ways:
            cells = [sources[name].get(function, {}).get(way, "") for name in frameworks]
            code = [f"`{cell}`" if cell else "" for cell in cells]
            yield f"| {function} | {of.formula.replace('|', chr(92) + '|')} | {' | '.join(code)} |"
    refused = [row for row in record.rows if row.unsupported and not row.key.order]
    if refused:
        yield ""
        yield "## What is not supported"
        yield ""
        for row in refused:
            yield f"- {_spelled(row.key)}: {row.unsupported}"


def _spelled(key: Key) -> str:
    return f"{key.framework}, {key.function} as {key.formulation}, {key.mode}, {key.dtype}"
