"""Options that tell which cases are meant, for ``crosscheck sweep`` and ``crosscheck replay``."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from crosscheck.cli.options import gathered, names, with_options
from crosscheck.tools.errors import UsageError
from crosscheck.tools.words import cut

if TYPE_CHECKING:
    from crosscheck.cases.stream.families import Mix
    from crosscheck.cases.stream.settings import Shape
    from crosscheck.network.dense import Network

__all__ = [
    "ENDLESS",
    "Stream",
    "seconds",
    "steps_option",
    "stream_options",
    "whole_number",
]

ENDLESS = 2**62
"""More cases than anybody can check."""

_LONGEST = 10**6 * 3600
"""Seconds, a hundred years: what the system waits for is limited."""

_MOST_NUMBERS = 2**22
"""Of a case that is drawn: 32 MiB in float64. The smallest batches have sixteen of them, and there
are some copies of each batch."""


def _shown(value: str) -> str:
    return cut(repr(value), 60)


def whole_number(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> int | None:
    """A whole number, which may be written like 1e6."""
    if value is None:
        return None
    try:
        number = float(value) if re.search(r"[.eE]", value) else int(value)
    except ValueError:
        number = 0
    if not (1 <= number < ENDLESS and number == int(number)):
        raise click.BadParameter(
            f"{_shown(value)}: wanted a whole number, such as 1e6", context, parameter
        )
    return int(number)


def seconds(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """Seconds, from 90, 90s, 10m or 1.5h."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d*)?)([smh]?)", value)
    if match is None:
        raise click.BadParameter(
            f"{_shown(value)}: wanted a time such as 90s, 10m or 2h", context, parameter
        )
    found = float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
    if found > _LONGEST:
        raise click.BadParameter(
            f"{_shown(value)}: wanted at most {_LONGEST // 3600:,}h", context, parameter
        )
    return found


def _widths(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[int, ...], ...]:
    found = []
    for value in values:
        words = value.split(",")
        if len(words) < 2 or not all(re.fullmatch(r"\s*0*[1-9]\d{0,9}\s*", word) for word in words):
            raise click.BadParameter(
                f"{_shown(value)}: wanted at least two positive whole numbers, such as 4,8,1",
                context,
                parameter,
            )
        found.append(tuple(map(int, words)))
    return tuple(found)


@dataclass(frozen=True)
class Stream:
    """What `stream_options` say.

    Attributes:
        widths: Of each network.
        rows: Of each case.
        dtypes: Of the cases.
        output: Of the networks.
        reduction: Of the networks.
        mix: Families of cases and their shares, as they were written, if they were.
    """

    widths: tuple[tuple[int, ...], ...]
    rows: int
    dtypes: tuple[str, ...]
    output: str
    reduction: str
    mix: str | None

    def of(self, network: Network, rows: int, dtype: str) -> Stream:
        """The same with cases of one network."""
        widths = (network.widths,)
        return Stream(widths, rows, (dtype,), network.output, network.reduction, self.mix)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """One shape for each dtype and widths.

        Raises:
            UsageError: A case of one has more numbers than are drawn.
        """
        from crosscheck.cases.stream.settings import Shape
        from crosscheck.network.dense import Network

        found = tuple(
            Shape(
                Network(each, self.output, self.reduction),  # type: ignore[arg-type]
                self.rows,
                dtype,
            )
            for dtype in self.dtypes
            for each in dict.fromkeys(self.widths)
        )
        for shape in found:
            if shape.numbers > _MOST_NUMBERS:
                widths = ",".join(map(str, shape.network.widths))
                raise UsageError(
                    f"--widths {cut(widths, 60)} --rows {shape.rows}: a case of {shape.numbers:,} "
                    f"numbers, wanted at most {_MOST_NUMBERS:,}"
                )
        return found

    @property
    def families(self) -> Mix:
        """The mix that is written, or the default."""
        from crosscheck.cases.stream.families import DEFAULT_MIX, Mix

        return DEFAULT_MIX if self.mix is None else Mix.parse(self.mix)


steps_option = click.option(
    "--steps",
    is_flag=True,
    help="Hold each step to its own bounds too, in modes that show their steps, such as "
    "torch=eager. Takes several times as long.",
)
"""Asks for the local certificate; see `crosscheck.judge.certificates`."""


def stream_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that tell which cases are meant, as the argument ``stream``."""
    options = [
        click.option(
            "--widths",
            multiple=True,
            default=["4,8,1"],
            show_default=True,
            callback=_widths,
            metavar="N,N,…",
            help="Units of each layer, the inputs first.",
        ),
        click.option("--rows", type=click.IntRange(min=1), default=1, show_default=True),
        click.option(
            "--dtype",
            "dtypes",
            callback=names,
            default="float64",
            show_default=True,
            metavar="A,B",
            help="Formats of the numbers; crosscheck run --help names all.",
        ),
        click.option(
            "--output", type=click.Choice(["relu", "identity"]), default="relu", show_default=True
        ),
        click.option(
            "--reduction", type=click.Choice(["sum", "mean"]), default="sum", show_default=True
        ),
        click.option(
            "--mix",
            metavar="FAMILY=SHARE,…",
            help="Families of cases and their shares, e.g. uniform=3,kinks=1.",
        ),
    ]
    return with_options(options, gathered(Stream, "stream", command))
