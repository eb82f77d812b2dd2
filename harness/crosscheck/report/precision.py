"""The precision study as Markdown tables and as a figure."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from crosscheck.studies.precision.gates import GateCounts
from crosscheck.studies.precision.measure import Result
from crosscheck.studies.precision.settings import Setting
from crosscheck.tools.errors import UsageError
from crosscheck.tools.installing import installation

__all__ = ["as_json", "plot", "require_plots", "table"]

_COLUMNS = (
    "images",
    "gates",
    "trials",
    "λ matters",
    "95 % interval",
    "largest change",
    "undecided",
    "kink",
)


def table(results: Sequence[Result]) -> str:
    """A Markdown table for each dtype, networks down, and below them what the columns mean.

    Shares are percentages. A column for gates that are not classified is there if any are, and a
    line for trials that are not explained likewise.

    Args:
        results: What `crosscheck.studies.precision.measure.measure` returned, of one framework.
    """
    dtypes = dict.fromkeys(result.setting.dtype for result in results)
    unclassified = any(result.counts.unclassified for result in results)
    lines = [
        line
        for dtype in dtypes
        for line in _lines(
            dtype, [result for result in results if result.setting.dtype == dtype], unclassified
        )
    ]
    return "\n".join([*lines, *_legend(results, unclassified)]) + "\n"


def as_json(results: Sequence[Result]) -> list[dict[str, Any]]:
    """What `json.dumps` takes of each result: its fields, its share and its interval.

    The share of no trials and an infinite change are ``null``.

    Args:
        results: What `crosscheck.studies.precision.measure.measure` returned.
    """
    found = []
    for result in results:
        fields = asdict(result)
        fields["share"] = result.share if result.trials else None
        fields["interval"] = result.interval
        if math.isinf(result.largest_change):
            fields["largest_change"] = None
        found.append(fields)
    return found


def _lines(dtype: str, results: Sequence[Result], unclassified: bool) -> Iterator[str]:
    columns = (*_COLUMNS, "not classified") if unclassified else _COLUMNS
    yield f"| {dtype} | {' | '.join(columns)} |"
    yield "|---|" + "--:|" * len(columns)
    for result in results:
        setting, counts = result.setting, result.counts
        cells = [_network(setting), f"{setting.rows:,}", f"{setting.gates:,}"]
        if result.unsupported or result.failed:
            reason = result.failed or f"UNSUPPORTED: {result.unsupported}"
            cells += ["0", reason.replace("|", "\\|")] + [""] * (len(columns) - 4)
        else:
            low, high = result.interval
            cells += [
                f"{result.trials:,}",
                _percent(result.share),
                f"{_percent(low)} – {_percent(high)}",
                f"{result.largest_change:.1e}" if result.matters else "0",
                _gates(counts, counts.undecided),
                _gates(counts, counts.kinks),
            ]
            if unclassified:
                cells.append(_gates(counts, counts.unclassified))
        yield f"| {' | '.join(cells)} |"
    yield ""


def _legend(results: Sequence[Result], unclassified: bool) -> Iterator[str]:
    if not results:
        return
    frameworks = ", ".join(dict.fromkeys(result.framework for result in results))
    yield (
        f"{frameworks}. *λ matters*: percentage of the trials in which any entry of the gradient "
        "with respect to the parameters is another number for ReLU'(0) = 1 than for ReLU'(0) = 0; "
        "with Wilson's interval. *Largest change*: norm of the difference over the norm of the "
        "gradient for ReLU'(0) = 0."
    )
    counted = [result for result in results if result.gate_trials]
    if counted:
        trials = max(result.gate_trials for result in counted)
        rows = max(result.gate_rows for result in counted)
        yield (
            "*Undecided*, *kink*: percentage of the gates at which correct evaluations may "
            "differ on the sign of z, or z is exactly zero; by proof for each gate of the first "
            f"{rows} images of the first {trials} trials."
        )
    if unclassified:
        number = sum(result.counts.unclassified for result in results)
        yield (
            f"*Not classified*: open gates of which it is not known whether z is exactly zero "
            f"({number:,}): the bounds cannot tell, and not all of these images "
            "were evaluated on rationals."
        )
    unexplained = sum(result.unexplained for result in results)
    if unexplained:
        yield (
            f"**Not explained: {unexplained} trials**, in which λ mattered although the sign of "
            "every gate is certain: the two formulations differ in more than λ, or one is wrong."
        )


def _network(setting: Setting) -> str:
    widths = setting.hidden
    shown = ", ".join(map(str, widths))
    if len(set(widths)) == 1:
        shown = f"{len(widths)} × {widths[0]}"
    return f"{shown}, no biases" if setting.zero_biases else shown


def _gates(counts: GateCounts, number: int) -> str:
    return _percent(counts.share(number)) if counts.gates else ""


def _percent(share: float) -> str:
    percent = 100.0 * share
    # A share that is not quite none or all must not look as if it were.
    if 0.0 < percent < 0.01:
        return f"{percent:.0e}"
    if 0.0 < percent < 1.0:
        return f"{percent:.2g}"
    return f"{math.floor(10 * percent) / 10:.1f}" if 99.0 < percent < 100.0 else f"{percent:.0f}"


@dataclass(frozen=True)
class _Series:
    """Networks that differ in one thing only.

    Attributes:
        label: What is on the horizontal axis.
        fixed: What is the same for all of them.
        x: That coordinate of a setting.
        results: Those in the series.
    """

    label: str
    fixed: str
    x: Callable[[Setting], int]
    results: tuple[Result, ...]


def _width(setting: Setting) -> int:
    return setting.hidden[0]


def _depth(setting: Setting) -> int:
    return len(setting.hidden)


def _rows(setting: Setting) -> int:
    return setting.rows


_AXES: tuple[tuple[str, str, Callable[[Setting], int]], ...] = (
    ("units per hidden layer", "{} units", _width),
    ("hidden layers", "{} layers", _depth),
    ("images in the minibatch", "{} images", _rows),
)


def _series(results: Sequence[Result]) -> list[_Series]:
    """The longest series along each axis; one over the number of gates if there is none."""
    regular = [
        result
        for result in results
        if len(set(result.setting.hidden)) == 1 and not result.setting.zero_biases
    ]
    found = []
    for label, _, x in _AXES:
        others = [(words, other) for _, words, other in _AXES if other is not x]
        groups: dict[tuple[int, ...], list[Result]] = {}
        for result in regular:
            key = tuple(other(result.setting) for _, other in others)
            groups.setdefault(key, []).append(result)
        if not groups:
            continue
        key, members = max(
            groups.items(), key=lambda item: len({x(result.setting) for result in item[1]})
        )
        if len({x(result.setting) for result in members}) > 1:
            fixed = ", ".join(
                words.format(value) for (words, _), value in zip(others, key, strict=True)
            )
            found.append(_Series(label, fixed, x, tuple(members)))
    if not found:
        found.append(_Series("gates", "", lambda setting: setting.gates, tuple(results)))
    return found


# Told apart in grey as well: by marker, by dashes, and by how dark the colour is.
_STYLES: tuple[dict[str, Any], ...] = (
    {"color": "#08306b", "marker": "o", "linestyle": "-"},
    {"color": "#b2182b", "marker": "s", "linestyle": "--"},
    {"color": "#b0661a", "marker": "^", "linestyle": "-."},
    {"color": "#7fa8a0", "marker": "x", "linestyle": ":"},
)


def require_plots() -> None:
    """Raise `UsageError` unless figures can be drawn."""
    try:
        import matplotlib.figure  # noqa: F401  (only whether it is there)
    except ImportError:
        raise UsageError(
            "precision: the figure is drawn with matplotlib, which is not installed; "
            f"{installation('plots')}"
        ) from None


def plot(results: Sequence[Result]) -> str:
    """The study as one self-contained SVG document, the same for the same results.

    One row of two panels for each series of networks (width, depth, images): the share of
    trials in which λ matters with its 95 % interval, and the share of gates that are open. The
    axes are logarithmic, and linear below their smallest power of ten, so that 0 is on them. One
    line for each dtype, told apart in grey as well.

    Args:
        results: What `crosscheck.studies.precision.measure.measure` returned. Those without trials
            are left out; networks of unequal layers or without biases belong to no series, and are
            drawn only if there is no series at all.

    Raises:
        UsageError: matplotlib is not installed, or there is nothing to draw.
    """
    usable = [result for result in results if result.trials]
    if not usable:
        raise UsageError("precision: no result to draw; every setting is unsupported or failed")
    require_plots()
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    series = _series(usable)
    dtypes = list(dict.fromkeys(result.setting.dtype for result in usable))
    parameters: dict[Any, Any] = {
        "svg.hashsalt": "crosscheck precision",
        "svg.fonttype": "path",
        "font.size": 9,
    }
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(parameters)
        figure = Figure(figsize=(8.0, 0.6 + 2.4 * len(series)), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots(len(series), 2, squeeze=False)
        for (left, right), one in zip(axes, series, strict=True):
            for index, dtype in enumerate(dtypes):
                members = [result for result in one.results if result.setting.dtype == dtype]
                if members:
                    style = _STYLES[index % len(_STYLES)]
                    _draw(
                        left,
                        right,
                        sorted(members, key=lambda r: one.x(r.setting)),
                        one.x,
                        {**style, "label": dtype, "markerfacecolor": "none"},
                    )
            ticks = sorted({one.x(result.setting) for result in one.results})
            for panel in (left, right):
                panel.set_xscale("log", base=2)
                panel.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
                panel.minorticks_off()
                panel.set_xlabel(f"{one.label} ({one.fixed})" if one.fixed else one.label)
                panel.grid(visible=True, color="0.88", linewidth=0.6)
                panel.set_axisbelow(True)
            for panel, label, least in (
                (left, "λ matters, % of trials", 0.1),
                (right, "open gates, %", 0.001),
            ):
                panel.set_yscale("symlog", linthresh=least, linscale=0.5)
                powers = [0.0, *(10.0**k for k in range(round(math.log10(least)), 3))]
                panel.set_yticks(powers, [f"{power:g}" for power in powers])
                panel.minorticks_off()
                panel.set_ylim(-0.2 * least, 200.0)
                panel.set_ylabel(label)
        handles, labels = axes[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
        target = io.StringIO()
        title = "How often the derivative of ReLU at 0 changes the gradient"
        figure.savefig(
            target, format="svg", metadata={"Date": None, "Creator": None, "Title": title}
        )
    return target.getvalue()


def _draw(
    left: Any,
    right: Any,
    members: Sequence[Result],
    x: Callable[[Setting], int],
    style: dict[str, Any],
) -> None:
    """One dtype's two lines."""
    places = [x(result.setting) for result in members]
    shares = [100.0 * result.share for result in members]
    intervals = [result.interval for result in members]
    # A share of none or all may lie beyond its interval by a rounding.
    below = [
        max(0.0, share - 100.0 * low) for share, (low, _) in zip(shares, intervals, strict=True)
    ]
    above = [
        max(0.0, 100.0 * high - share) for share, (_, high) in zip(shares, intervals, strict=True)
    ]
    left.errorbar(
        places, shares, yerr=[below, above], capsize=2, linewidth=1.4, elinewidth=0.7, **style
    )
    counted = [result for result in members if result.counts.gates]
    right.plot(
        [x(result.setting) for result in counted],
        [100.0 * result.counts.share(result.counts.open) for result in counted],
        linewidth=1.4,
        **style,
    )
