"""``python -m crosscheck.studies.operators``: judge, and write the table and its page."""

from __future__ import annotations

from pathlib import Path

import click

from crosscheck.numbers.formats import WORKING
from crosscheck.tools.errors import require_known
from crosscheck.tools.options import names_option, report_option, run_program

ORDERS = (1, 2)

_FRAMEWORKS = ("torch", "tensorflow", "jax")


@click.command("operators")
@report_option("Folder of operators.json and operators.md.")
@names_option("--frameworks", "frameworks", _FRAMEWORKS)
@names_option("--dtype", "dtypes", WORKING)
@names_option("--operators", "operators", (), "Only these, e.g. gelu,softmax. Default: all.")
@names_option(
    "--orders",
    "orders",
    tuple(map(str, ORDERS)),
    "1 for gradients, 2 for products of a Hessian with a vector. Default: both.",
)
@click.option(
    "--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes that judge."
)
@click.option("--page", is_flag=True, help="Only write the page from what was judged before.")
def main(
    report: Path,
    frameworks: tuple[str, ...],
    dtypes: tuple[str, ...],
    operators: tuple[str, ...],
    orders: tuple[str, ...],
    jobs: int,
    page: bool,
) -> None:
    """Judge derivatives of every operator in every framework, mode, dtype and order.

    What was judged before, of the same versions, is kept and gone on with.
    """
    from crosscheck.operators.registry import known
    from crosscheck.studies.operators.measure import Cell, Table, measure, opened, read, write
    from crosscheck.studies.operators.page import page as text
    from crosscheck.tools.atomic import write_text_atomically

    require_known("--operators", operators, known())

    def versions_of(name: str) -> str:
        versions = opened(name, "eager").versions()
        return ", ".join(f"{package} {version}" for package, version in versions.items())

    def words_of(cell: Cell) -> str:
        counts = ", ".join(f"{name} {count}" for name, count in cell.verdicts.items())
        refused = "".join(f"; not {name}: {why}" for name, why in cell.refused.items())
        return cell.unsupported or (cell.wrong or counts) + refused

    place = report / "operators.json"
    table = read(place, {name: versions_of(name) for name in _FRAMEWORKS})

    def after(now: Table) -> None:
        write(place, now)
        cell = now.cells[-1]
        click.echo(f"{' '.join(map(str, cell.key))}: {words_of(cell)}", err=True)

    if not page:
        wanted = {"frameworks": frameworks, "dtypes": dtypes, "operators": operators}
        table = measure(table, after, orders=[*map(int, orders)], jobs=jobs, **wanted)
    write_text_atomically(report / "operators.md", text(table))
    raise SystemExit(1 if any(cell.fails for cell in table.cells) else 0)


if __name__ == "__main__":
    run_program(main)
