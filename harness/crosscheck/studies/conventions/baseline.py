"""Where the baseline is: the table and the divergences that later ones are compared with."""

from __future__ import annotations

from pathlib import Path

from crosscheck.tools.errors import UsageError

__all__ = ["DIVERGENCES", "FINDINGS", "SHIPPED", "TABLE", "folder"]

TABLE = "conventions.json"
DIVERGENCES = "divergences.json"
FINDINGS = "FINDINGS.md"

_PACKAGE = Path(__file__).resolve().parents[2]

SHIPPED = (_PACKAGE.parents[1] / "reports", Path(__file__).with_name("baseline"))
"""Where the baseline of this package is: in the checkout that it is installed from, or in the
package itself, where it is put when that is built."""


def folder(given: Path | None = None, *, to_write: bool = False) -> Path:
    """The folder of the baseline.

    Args:
        given: What the user asked for. By default ``reports`` in the current folder if a
            baseline is there, else the one that came with the package.
        to_write: Whether a baseline need not be there yet.

    Raises:
        UsageError: There is no baseline.
    """
    if given is not None:
        if not to_write and not (given / TABLE).is_file():
            raise UsageError(
                f"{given}: holds no {TABLE}; write one with 'crosscheck conventions --accept "
                f"--baseline {given}'"
            )
        return given
    here = Path("reports")
    if to_write:
        return here
    for candidate in (here, *SHIPPED):
        if (candidate / TABLE).is_file():
            return candidate
    raise UsageError(
        f"no baseline: neither reports/{TABLE} here nor one in the package; write one with "
        "'crosscheck conventions --accept'"
    )
