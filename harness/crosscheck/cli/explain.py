"""``crosscheck explain``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import click

from crosscheck.cli.complaints import complain
from crosscheck.cli.isolation import Place, isolation_options, until_the_end
from crosscheck.cli.options import framework_options
from crosscheck.cli.results import result_options
from crosscheck.cli.waiting import told_if_slow
from crosscheck.frameworks.state import FrameworkState
from crosscheck.run.events import ExitCode
from crosscheck.tools.errors import UsageError

if TYPE_CHECKING:
    from crosscheck.frameworks.base import Framework
    from crosscheck.network.given import Given

__all__ = ["explain"]


def _changes(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, float]:
    """Values of the form ENTRY=NUMBER, as a mapping; a number may be a hex float."""
    found = {}
    for value in values:
        entry, separator, text = value.partition("=")
        try:
            number = float.fromhex(text) if "x" in text.lower() else float(text)
        except (ValueError, OverflowError):  # OverflowError: a hex float beyond all
            separator = ""
        if not (entry and separator):
            wanted = "wanted ENTRY=NUMBER, as in x=0 or W2[0,1]=0x1.8p-3"
            raise click.BadParameter(f"{value!r}: {wanted}", context, parameter)
        found[entry] = number
    return found


@click.command()
@click.option(
    "--case",
    "source",
    metavar="FILE",
    help="The network to explain: .json, .npz, .safetensors, or 'worked-example', the default. "
    'Numbers under "gradient" in a .json are marked: right, or what they should be.',
)
@click.option(
    "--from",
    "reported",
    nargs=2,
    metavar="REPORT KEY",
    help="A case of a report.json (or of the folder it is in), by its key or the beginning of it; "
    "with the formulations and modes of that run.",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    callback=_changes,
    metavar="ENTRY=NUMBER",
    help="Put another number into the case, e.g. x=0. May be given several times.",
)
@click.option(
    "--entry",
    metavar="NAME",
    help="Look into one entry of the gradient: W2[0,1], b1[0], x[0,2]; indices start at 0.",
)
@click.option("--symbolic", is_flag=True, help="Add SymPy's closed formulas.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "latex", "html", "json"]),
    default="text",
    show_default=True,
)
@result_options
@framework_options
@isolation_options
def explain(
    source: str | None,
    reported: tuple[str, str] | None,
    changes: Mapping[str, float],
    entry: str | None,
    symbolic: bool,
    form: Literal["text", "markdown", "latex", "html", "json"],
    as_json: bool,
    frameworks: tuple[str, ...] | None,
    formulations: Mapping[str, str],
    modes: Mapping[str, str],
    place: Place,
) -> int:
    """Derive the gradient of one network, step by step.

    Forward values, the loss, then layer by layer each factor of the chain rule, in symbols and in
    exact numbers. Where ReLU has no derivative its slope stays a symbol λ. Beside the result stand
    the values of the frameworks (of those in --frameworks, or of none: --frameworks none), and the
    verdict on them; if one of them disagrees, the exit code is 1. So it is if the file holds a
    gradient of your own, some of its arrays or all, and a number in it is wrong.

    \b
    Examples:
      crosscheck explain
      crosscheck explain --set x=0 --symbolic
      crosscheck explain --case my_network.json --entry W1[0,0] --frameworks torch,jax
      crosscheck explain --from reports/latest a401213ce270338b
      crosscheck explain --format html -o worked-example.html
    """  # noqa: D301  (click wants the control character)
    from crosscheck.explain import (
        check_request,
        explain_case,
        require_explainable,
        with_changes,
    )

    if source is not None and reported is not None:
        raise UsageError("--case and --from: both given, wanted one of them")
    formulations, modes = dict(formulations), dict(modes)
    case, given, label = _case(source, reported, formulations, modes, frameworks)
    composed = _is_composed(case, changes, entry, symbolic)
    if changes and given is not None:
        raise UsageError(
            f"--set: {label} holds a gradient, which is that of its own numbers; leave one out"
        )
    if changes:
        case = with_changes(case, dict(changes))
        words = ", ".join(f"{name} = {value:g}" for name, value in changes.items())
        label = f"{label} with {words}"
    if composed:
        require_explainable(case)
    else:
        check_request(case, entry=entry, symbolic=symbolic)
    adapters: list[Framework] = []
    states: list[FrameworkState] = []
    if frameworks != ("none",):
        from crosscheck.frameworks.registry import open_frameworks

        with told_if_slow("opening frameworks"):
            adapters, states = open_frameworks(frameworks, formulations, modes, **place.opening())
        adapters = [until_the_end(each) for each in adapters]
    document = explain_case(case, adapters, mine=given, label=label, entry=entry, symbolic=symbolic)
    broken = [state for state in states if state.state == "broken"]
    for state in broken:
        complain(f"{state.name} is broken; {state.detail}")
    form = "json" if as_json else form
    written = document.render(form)
    if form == "text":
        _print(written)
    else:
        click.echo(written, nl=False)
    return int(ExitCode.DISAGREEMENT if document.failed or broken else ExitCode.OK)


def _is_composed(
    case: Any, changes: Mapping[str, float], entry: str | None, symbolic: bool
) -> bool:
    """Whether it is a network of operators, of which there are fewer ways to ask."""
    from crosscheck.network.composed import Composed

    if not isinstance(case, Composed):
        return False
    for option, given in (("--set", changes), ("--entry", entry), ("--symbolic", symbolic)):
        if given:
            raise UsageError(f"{option}: a network of operators is given, wanted a dense one")
    return True


def _case(
    source: str | None,
    reported: tuple[str, str] | None,
    formulations: dict[str, str],
    modes: dict[str, str],
    frameworks: tuple[str, ...] | None,
) -> tuple[Any, Given | None, str]:
    """The case, numbers given for its gradient, and a name for it.

    A report adds its formulations and modes to those given.
    """
    from crosscheck.network.files import read_marked_case

    if reported is None:
        source = source or "worked-example"
        return *read_marked_case(source), source
    from crosscheck.report.kept import case_of_report

    found = case_of_report(*reported)
    for name, (formulation, mode) in found.settings.items():
        if frameworks is None or name in frameworks:
            formulations.setdefault(name, formulation)
            modes.setdefault(name, mode)
    return found.case, None, found.label


def _print(written: str) -> None:
    """Text with its headings bold on a terminal; the variable NO_COLOR is respected."""
    from rich.text import Text

    from crosscheck.tools.consoles import Terminal

    console = Terminal(soft_wrap=True)
    for line in written.splitlines():
        console.print(Text(line, style="" if line.startswith(" ") else "bold"))
