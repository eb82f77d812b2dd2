"""``crosscheck check`` and ``crosscheck write``."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crosscheck.cli.options import arithmetics, names
from crosscheck.cli.results import echo_json, file_option, printed_to, result_options
from crosscheck.run.events import ExitCode
from crosscheck.tools.errors import UsageError

if TYPE_CHECKING:
    from crosscheck.run.functions.comparison import FunctionComparison
    from crosscheck.run.functions.spec import Spec

__all__ = ["check", "write"]


def _domains(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """Values of the form ARGUMENT=DOMAIN, as a mapping."""
    found = {}
    for value in values:
        name, separator, domain = value.partition("=")
        if not (name and separator and domain):
            wanted = "wanted ARGUMENT=DOMAIN, as in 'y=integers(0, \"c\")'"
            raise click.BadParameter(f"{value!r}: {wanted}", context, parameter)
        found[name] = domain
    return found


@click.command()
@click.argument("where", metavar="FILE[::NAME]")
@click.option("--shapes", metavar="TEXT", help='Shapes of the arguments: "b i, o i, o -> b o".')
@click.option(
    "--input",
    "inputs",
    multiple=True,
    callback=_domains,
    metavar="ARGUMENT=DOMAIN",
    help='What an argument holds: positive(), integers(0, "c"), probabilities(), mask() …',
)
@click.option(
    "--frameworks",
    callback=names,
    metavar="A,B",
    help="In whose words the formula itself is compared, beside what is given; where nothing "
    "is, all that are installed.",
)
@click.option("--dtype", callback=names, metavar="A,B", help="float64,float32 by default.")
@click.option("--precision", metavar="TEXT", help='"bfloat16, inside float32".')
@click.option("--allow", callback=arithmetics, metavar="A,B", help="Coarser arithmetics.")
@click.option("--case", metavar="KEY|FILE|-", help="One case: by its key, or from a JSON file.")
@click.option(
    "--profile",
    type=click.Choice(["quick", "default", "nightly"]),
    default="default",
    show_default=True,
)
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True)
@click.option("--trace", is_flag=True, help="Print the formula's steps, and check nothing.")
@result_options
def check(where: str, as_json: bool, trace: bool, **given: Any) -> int:
    """Check functions of a file against their formula, without pytest.

    What belongs together is said by @crosscheck.spec, or by names: f with f_backward or
    f_gradients, f_forward and f_backward, f_torch, f_jax, f_tensorflow; Model and ModelNew with
    get_inputs.

    \b
    Examples:
      crosscheck check layer.py
      crosscheck check layer.py::affine --shapes "b i, o i, o -> b o"
      crosscheck check layer.py::loss --frameworks torch,jax
    """  # noqa: D301  (\b is click's, not Python's)
    from crosscheck.run.functions.partnered import loaded, specs_in

    path, _, name = where.partition("::")
    specs = specs_in(loaded(path), name)
    settings = {key: value for key, value in given.items() if value not in (None, (), {})}
    if trace:
        for each in specs:
            _show_trace(each, settings)
        return int(ExitCode.OK)
    found = []
    for each in specs:
        if not as_json:
            click.echo(_listed(each))
        comparison = _compared(each, settings)
        found.append(comparison)
        if not as_json:
            click.echo(f"{comparison.message}\n")
            _say_how_to_replay(comparison, path)
    if as_json:
        echo_json({"functions": [each.as_json() for each in found]})
    return int(ExitCode.OK if all(each.passed for each in found) else ExitCode.DISAGREEMENT)


def _listed(each: Spec) -> str:
    """The formula and what is compared with it, in a line."""
    given = [f"{role} {name}" for role, known in each.implementations.items() for name in known]
    return f"{each.name}: {', '.join(given) or 'the formula in the words of frameworks'}"


def _compared(each: Spec, given: dict[str, Any]) -> FunctionComparison:
    from crosscheck.run.functions.checking import compare_spec

    return compare_spec(each, **_settings(given))


def _settings(given: dict[str, Any]) -> dict[str, Any]:
    plain = ("shapes", "precision", "allow", "profile", "case")
    found: dict[str, Any] = {key: given[key] for key in plain if key in given}
    found["seed"] = given.get("seed", 0)
    if "frameworks" in given:
        found["frameworks"] = given["frameworks"]
    if "dtype" in given:
        found["dtypes"] = given["dtype"]
    if "inputs" in given:
        found["inputs"] = {name: _domain(text) for name, text in given["inputs"].items()}
    return found


def _domain(text: str) -> Any:
    """A domain as one would write it: ``integers(0, "c")``.

    Raises:
        UsageError: It is none.
    """
    import crosscheck

    try:
        call = ast.parse(text, mode="eval").body
        assert isinstance(call, ast.Call)
        assert isinstance(call.func, ast.Name)
        made = getattr(crosscheck, call.func.id)
        assert made.__module__.startswith("crosscheck.cases.functions.")
        values = [ast.literal_eval(each) for each in call.args]
        named = {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
        return made(*values, **named)
    except (SyntaxError, AssertionError, AttributeError, ValueError, TypeError, RecursionError):
        raise UsageError(
            f"--input {text!r}: wanted a domain as in positive(), integers(0, 'c'), mask()"
        ) from None


def _show_trace(each: Spec, given: dict[str, Any]) -> None:
    from crosscheck.run.functions.checking import traced_spec

    click.echo(f"{each.name}:")
    click.echo(traced_spec(each, **_settings(given)).as_text())


def _say_how_to_replay(comparison: FunctionComparison, path: str) -> None:
    for failure in comparison.failures:
        click.echo(
            f"replay: crosscheck check {path}::{comparison.name} --case {failure.record.key}"
        )


@click.command()
@click.argument("where", metavar="FILE::NAME")
@click.option("--shapes", metavar="TEXT", help='Shapes of the arguments: "b i, o i, o -> b o".')
@file_option("Write the test to a file instead.")
def write(where: str, shapes: str | None, file: Path | None) -> int:
    """Print the test for a function of a file, to paste.

    \b
    Examples:
      crosscheck write layer.py::affine
      crosscheck write layer.py::affine -o test_affine.py
    """  # noqa: D301  (as above)
    from crosscheck.run.functions.partnered import loaded, specs_in
    from crosscheck.run.functions.written import test_of

    path, separator, name = where.partition("::")
    if not separator:
        raise UsageError(f"{where}: wanted FILE::NAME")
    (spec,) = specs_in(loaded(path), name)
    with printed_to(file):
        click.echo(test_of(spec, path, shapes), nl=False)
    return int(ExitCode.OK)
