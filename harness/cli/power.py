"""``crosscheck power``."""

from __future__ import annotations

import click

from harness.events import ExitCode

__all__ = ["power"]


@click.command()
@click.option(
    "--framework",
    default="torch",
    show_default=True,
    help="Whose correct gradients the faults are planted in.",
)
@click.option("--cases", type=click.IntRange(min=1), default=2000, show_default=True)
@click.option(
    "--peers",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Put the faults to the frameworks' own checkers too, on N cases each (slow).",
)
def power(framework: str, cases: int, peers: int) -> int:
    """Measure how small a fault is caught.

    One random entry of each gradient is made wrong by a factor 1 + 2^-k; the table shows, in
    percent, how many of these faults are caught, and how many correct gradients are rejected.
    """
    from harness import peers as checkers
    from harness.frameworks.registry import open_frameworks
    from harness.power import FAULTS, SHAPES, measure, measure_peer
    from harness.report.power import table

    (adapter,), _ = open_frameworks([framework])
    results = []
    for dtype, exponents in FAULTS.items():
        for widths in SHAPES:
            results += measure(adapter, widths, dtype=dtype, exponents=exponents, count=cases)
            for checker in checkers.CHECKERS if peers else ():
                results += measure_peer(
                    checker, adapter, widths, dtype=dtype, exponents=exponents, count=peers
                )
    click.echo(table(results), nl=False)
    return int(ExitCode.OK)
