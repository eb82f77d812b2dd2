"""One case of a report, as a case again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crosscheck.network.composed import AnyCase
from crosscheck.report.reading import Report
from crosscheck.tools.errors import UsageError

__all__ = ["ReportedCase", "case_of_report"]


@dataclass(frozen=True, eq=False)
class ReportedCase:
    """A case of a report.

    Attributes:
        case: The case.
        label: Its name in the report, with its key.
        settings: Framework name to the formulation and the mode of that run.
    """

    case: AnyCase
    label: str
    settings: Mapping[str, tuple[str, str]]


def case_of_report(source: str, key: str) -> ReportedCase:
    """The case of a report that has a key.

    Args:
        source: A ``report.json``, or the folder that holds it.
        key: The case's key, or the beginning of it.

    Raises:
        UsageError: There is no such report, it is none, or there is no such case in it.
    """
    report = Report.read(source)
    path, cases = report.folder / "report.json", report.content.cases
    found = {str(kept.key): kept for kept in cases if kept.key.startswith(key)}
    if not key or len(found) != 1:
        keys = list(dict.fromkeys(str(kept.key) for kept in cases))
        raise UsageError(f"{path}: {_complaint(key, list(found), keys)}")
    (kept,) = found.values()
    if kept.case is None:
        raise UsageError(
            f"{path}: case {kept.key} is too large to be kept in a report; "
            f"explain it from its own file with --case"
        )
    settings = {
        state.name: (state.formulation, state.mode)
        for state in report.content.frameworks
        if state.state == "available"
    }
    return ReportedCase(kept.case, f"{kept.label} {kept.key}", settings)


def _complaint(key: str, found: list[str], keys: list[str]) -> str:
    if not keys:
        return "no cases are kept in it; only kinks, failures and cases of one's own are"
    shown = ", ".join(keys[:5]) + (f" … ({len(keys)} in all)" if len(keys) > 5 else "")
    if len(found) > 1:
        return f"several keys begin with {key!r}: {', '.join(found[:5])}; give more of it"
    return f"no case has the key {key!r}; kept are {shown}"
