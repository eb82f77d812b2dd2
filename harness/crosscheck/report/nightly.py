"""The text of the nightly job's issue: what changed first, then what failed, then the run itself.

Each job leaves a folder, and in it what it came to: ``report.json`` and ``summary.md`` of the run,
``drift-conventions.json`` and ``drift-accuracy.json`` of the checks, and ``installation.txt`` where
a framework could not be installed. A job that leaves nothing has ended before it had anything; that
is said too, since silence would pass for health.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosscheck.report.reading import Report
from crosscheck.tools.errors import CrosscheckError, UsageError
from crosscheck.tools.reading import json_of
from crosscheck.tools.words import code_in_markdown, in_markdown, shown

__all__ = ["DRIFT", "INSTALLATION", "Job", "jobs", "text"]

DRIFT = {"conventions": "drift-conventions.json", "accuracy": "drift-accuracy.json"}
"""What is checked, to the file that says what changed in it."""

INSTALLATION = "installation.txt"
"""What pip said last, where it failed."""

_SUMMARY = "summary.md"
_LONGEST = 60_000
"""Characters of the text; an issue takes 65,536."""

_LINES = 40
"""Of what changed in one job."""

_FINE = "success"


@dataclass(frozen=True)
class Job:
    """What one job of the night came to.

    Attributes:
        name: Its folder's: "crosscheck-report", "newest-torch".
        changed: Of what (conventions, accuracy), in which versions, and a line for each group.
        failed: What failed, each in a sentence.
        summary: The summary of its run, in Markdown; empty if there is none.
    """

    name: str
    changed: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    failed: tuple[str, ...] = ()
    summary: str = ""

    @property
    def is_fine(self) -> bool:
        """Whether there is nothing to tell."""
        return not self.changed and not self.failed


def jobs(folder: Path) -> list[Job]:
    """The jobs that left a folder.

    Args:
        folder: Holds one for each job.

    Raises:
        UsageError: There is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"{shown(str(folder))}: no such folder; wanted one with a folder a job")
    return [_job(each) for each in sorted(folder.iterdir()) if each.is_dir()]


def _job(folder: Path) -> Job:
    changed: list[tuple[str, str, tuple[str, ...]]] = []
    failed: list[str] = []
    installation = folder / INSTALLATION
    if installation.is_file():
        said = installation.read_text("utf-8", errors="replace").strip().splitlines()
        failed.append(f"the installation failed: {said[-1] if said else 'pip said nothing'}")
    for what, name in DRIFT.items():
        try:
            if (folder / name).is_file():
                changed += _changed(what, folder / name)
        except CrosscheckError as error:
            failed.append(str(error))
    if (folder / "report.json").is_file():
        try:
            run = Report.read(folder).content.run
            if run.exit_code != 0:
                failed.append(f"the run ended with {run.exit_code.value}: {run.reason}")
        except CrosscheckError as error:
            failed.append(str(error))
    elif not failed and not any((folder / name).is_file() for name in DRIFT.values()):
        failed.append("it ended before it had anything to say")
    summary = folder / _SUMMARY
    told = summary.read_text("utf-8", errors="replace") if summary.is_file() else ""
    return Job(folder.name, tuple(changed), tuple(failed), told)


def _changed(what: str, path: Path) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """What changed, with the versions before and after where they are others."""
    content: Any = json_of(path, name="a check as JSON", instead="run the check again")
    try:
        lines = tuple(map(str, content["changed"]))
        now: Mapping[str, str] = content["versions"]
        before: Mapping[str, str] = content["baseline"]
        versions = ", ".join(
            f"{before.get(name, 'not there')} -> {version}"
            for name, version in now.items()
            if before.get(name) != version
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{shown(str(path))}: no check as JSON: {error!r}") from None
    if lines:
        yield what, versions, lines


def text(found: Sequence[Job], results: Mapping[str, str], run: str = "") -> str:
    """The text, in Markdown.

    Args:
        found: What the jobs left.
        results: Name of a job of the workflow to "success", "failure" or "cancelled".
        run: The address of the run.
    """
    whole = "\n".join(_lines(found, results, run)) + "\n"
    if len(whole) <= _LONGEST:
        return whole
    return whole[:_LONGEST].rpartition("\n")[0] + "\n\nThe rest is in the run's report.\n"


def _lines(found: Sequence[Job], results: Mapping[str, str], run: str) -> Iterator[str]:
    if any(job.changed for job in found):
        yield "## Changed"
        for job in found:
            yield from _changes(job)
    unexplained = list(_unexplained(found, results))
    if unexplained or any(job.failed for job in found):
        yield "## Failed"
        yield ""
        for job in found:
            yield from (f"- {in_markdown(job.name)}: {in_markdown(one)}" for one in job.failed)
        yield from unexplained
        yield ""
    if all(job.is_fine for job in found) and not unexplained:
        yield "Nothing changed, and nothing failed."
        yield ""
    yield "; ".join(
        [*(f"{in_markdown(name)}: {in_markdown(of)}" for name, of in results.items())]
        + ([f"run: {run}"] if run else [])
    )
    for job in found:
        if job.summary and not job.is_fine:
            yield f"\n<details><summary>{in_markdown(job.name)}</summary>\n\n{job.summary}"
            yield "</details>"


def _changes(job: Job) -> Iterator[str]:
    for what, versions, lines in job.changed:
        of = f" ({in_markdown(versions)})" if versions else ""
        yield f"\n{in_markdown(job.name)}, {what}{of}:\n"
        for line in lines[:_LINES]:
            yield f"- {code_in_markdown(line.removeprefix('changed: '))}"
        if len(lines) > _LINES:
            yield f"- and {len(lines) - _LINES:,} lines more"
    if job.changed:
        yield ""


def _unexplained(found: Sequence[Job], results: Mapping[str, str]) -> Iterator[str]:
    """Jobs that did not succeed, and of which no folder says why."""
    for name, result in results.items():
        told = any(not job.is_fine for job in found if job.name.startswith(name))
        if result != _FINE and not told:
            yield f"- {in_markdown(name)}: {in_markdown(result)}, and nothing that it left says why"
