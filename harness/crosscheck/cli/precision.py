"""``crosscheck precision``."""

from __future__ import annotations

from pathlib import Path

import click

from crosscheck.cli.isolation import Place, isolation_options, until_the_end
from crosscheck.cli.options import names
from crosscheck.cli.waiting import told_if_slow
from crosscheck.frameworks.base import Framework
from crosscheck.numbers.formats import WORKING, format_of
from crosscheck.run.events import ExitCode
from crosscheck.tools.errors import UsageError

__all__ = ["precision"]


@click.command()
@click.option(
    "--framework",
    default="torch",
    show_default=True,
    help="Whose gradients are compared, with ReLU'(0) = 0 and with ReLU'(0) = 1.",
)
@click.option(
    "--dtype",
    "dtypes",
    callback=names,
    default=",".join(reversed(WORKING)),
    show_default=True,
    metavar="A,B",
    help="The precisions to compare.",
)
@click.option(
    "--trials", type=click.IntRange(min=1), default=100, show_default=True, help="Of each network."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--quick", is_flag=True, help="Three small networks only, for a first look.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object per network and dtype."
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.svg",
    help="Draw the figure there as well; needs matplotlib.",
)
@isolation_options
def precision(
    framework: str,
    dtypes: tuple[str, ...],
    trials: int,
    seed: int,
    quick: bool,
    as_json: bool,
    plot: Path | None,
    place: Place,
) -> int:
    """Measure how often the derivative of ReLU at 0 changes the gradient, by precision.

    Networks of growing width and depth see scikit-learn's digits; each gradient is computed with
    ReLU'(0) = 0 and with ReLU'(0) = 1. Beside it stands the share of gates that rounding may
    move to zero, or that are zero, by proof.

    \b
    Examples:
      crosscheck precision --quick
      crosscheck precision --trials 200 --plot precision.svg     half an hour
      crosscheck precision --framework jax --dtype float16,float32 --json
    """  # noqa: D301  (click wants the control character)
    from crosscheck.frameworks.registry import open_frameworks
    from crosscheck.report import precision as report
    from crosscheck.studies.precision.measure import measure
    from crosscheck.studies.precision.settings import default_settings, quick_settings
    from crosscheck.tools.atomic import require_writable, write_text_atomically

    for dtype in dtypes:
        format_of(dtype)
    if plot is not None:
        report.require_plots()  # before half an hour of work
        require_writable(plot)

    def opened(*, formulation: str) -> Framework:
        with told_if_slow("opening frameworks"):
            found, (state,) = open_frameworks(
                [framework], {framework: formulation}, **place.opening()
            )
        if not found:
            raise UsageError(f"framework={framework!r}: {state.state}; {state.detail}")
        return until_the_end(found[0])

    settings = quick_settings(dtypes) if quick else default_settings(dtypes)
    results = measure(opened, settings, trials=trials, seed=seed, gate_trials=min(trials, 20))
    if plot is not None:
        write_text_atomically(plot, report.plot(results))
    click.echo(report.json_lines(results) if as_json else report.table(results), nl=False)
    failed = any(result.failed for result in results)
    return int(ExitCode.DISAGREEMENT if failed else ExitCode.OK)
