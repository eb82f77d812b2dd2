"""``crosscheck precision``."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from crosscheck.cli.isolation import Place, isolation_options, until_the_end
from crosscheck.cli.options import framework_names_option, names
from crosscheck.cli.results import echo_json, result_options
from crosscheck.cli.waiting import told_if_slow
from crosscheck.frameworks.base import Framework
from crosscheck.numbers.formats import WORKING, format_of
from crosscheck.run.events import ExitCode
from crosscheck.tools.errors import UsageError

__all__ = ["precision"]


@click.command()
@framework_names_option(
    "torch", "Whose gradients are compared, with ReLU'(0) = 0 and with ReLU'(0) = 1."
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
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.svg",
    help="Draw the figure there as well; needs matplotlib.",
)
@isolation_options
@result_options
def precision(
    frameworks: tuple[str, ...],
    dtypes: tuple[str, ...],
    trials: int,
    seed: int,
    quick: bool,
    plot: Path | None,
    place: Place,
    as_json: bool,
) -> int:
    """Measure how often the derivative of ReLU at 0 changes the gradient, by precision.

    Networks of growing width and depth see scikit-learn's digits; each gradient is computed with
    ReLU'(0) = 0 and with ReLU'(0) = 1. Beside it stands the share of gates that rounding may
    move to zero, or that are zero, by proof.

    \b
    Examples:
      crosscheck precision --quick
      crosscheck precision --trials 200 --plot precision.svg     half an hour
      crosscheck precision --frameworks jax --dtype float16,float32 --json
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
    if plot is not None and len(frameworks) > 1:
        raise UsageError(f"--plot draws one framework, {len(frameworks)} given")

    def opened(name: str, *, formulation: str) -> Framework:
        with told_if_slow("opening frameworks"):
            found, (state,) = open_frameworks([name], {name: formulation}, **place.opening())
        if not found:
            raise UsageError(f"{name} is {state.state}; {state.detail}")
        return until_the_end(found[0])

    settings = quick_settings(dtypes) if quick else default_settings(dtypes)
    many = {"trials": trials, "seed": seed, "gate_trials": min(trials, 20)}
    found = {name: measure(partial(opened, name), settings, **many) for name in frameworks}
    if plot is not None:
        write_text_atomically(plot, report.plot(found[frameworks[0]]))
    if as_json:
        echo_json([row for results in found.values() for row in report.as_json(results)])
    else:
        for name, results in found.items():
            click.echo((f"{name}\n\n" if len(found) > 1 else "") + report.table(results), nl=False)
    failed = any(result.failed for results in found.values() for result in results)
    return int(ExitCode.DISAGREEMENT if failed else ExitCode.OK)
