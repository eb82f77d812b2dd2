"""``python -m crosscheck.studies.operators``: judge, and write the table and its page."""

from __future__ import annotations

from pathlib import Path

import click

from crosscheck.numbers.formats import WORKING

ORDERS = (1, 2)

_FOLDER = click.Path(file_okay=False, path_type=Path)
_FRAMEWORKS = ("torch", "tensorflow", "jax")


@click.command()
@click.option("--folder", type=_FOLDER, default="reports", show_default=True, help="Of both files.")
@click.option(
    "--framework",
    "frameworks",
    type=click.Choice(_FRAMEWORKS),
    multiple=True,
    help="All if not given.",
)
@click.option(
    "--dtype", "dtypes", type=click.Choice(WORKING), multiple=True, help="All if not given."
)
@click.option("--operator", "operators", multiple=True, help="All if not given.")
@click.option(
    "--order",
    "orders",
    type=click.Choice([str(each) for each in ORDERS]),
    multiple=True,
    help="1 for gradients, 2 for products of a Hessian with a vector. All if not given.",
)
@click.option(
    "--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes that judge."
)
@click.option("--page", is_flag=True, help="Only write the page from what was judged before.")
def main(
    folder: Path,
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
    from crosscheck.studies.operators.measure import Cell, Table, measure, opened, read, write
    from crosscheck.studies.operators.page import page as text
    from crosscheck.tools.atomic import write_text_atomically

    names = frameworks or _FRAMEWORKS

    def versions_of(name: str) -> str:
        versions = opened(name, "eager").versions()
        return ", ".join(f"{package} {version}" for package, version in versions.items())

    def words_of(cell: Cell) -> str:
        counts = ", ".join(f"{name} {count}" for name, count in cell.verdicts.items())
        refused = "".join(f"; not {name}: {why}" for name, why in cell.refused.items())
        return cell.unsupported or (cell.wrong or counts) + refused

    place = folder / "operators.json"
    table = read(place, {name: versions_of(name) for name in _FRAMEWORKS})

    def after(now: Table) -> None:
        write(place, now)
        cell = now.cells[-1]
        click.echo(f"{' '.join(map(str, cell.key))}: {words_of(cell)}", err=True)

    if not page:
        wanted = {"frameworks": names, "dtypes": dtypes or WORKING, "operators": operators}
        some = [int(each) for each in orders] or ORDERS
        table = measure(table, after, orders=some, jobs=jobs, **wanted)
    write_text_atomically(folder / "operators.md", text(table))
    raise SystemExit(1 if any(cell.fails for cell in table.cells) else 0)


if __name__ == "__main__":
    main()
