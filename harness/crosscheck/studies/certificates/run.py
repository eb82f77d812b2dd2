"""All settings, one after the other or in several processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from crosscheck.frameworks.registry import open_frameworks
from crosscheck.studies.certificates.counts import Found
from crosscheck.studies.certificates.measure import measure
from crosscheck.studies.certificates.settings import Effort, Setting

__all__ = ["all_of"]


def all_of(
    chosen: Sequence[Setting],
    effort: Effort,
    seed: int,
    names: Sequence[str],
    *,
    jobs: int,
    tell: Callable[[Found], None],
) -> list[Found]:
    """What is measured in each of several settings, the smallest first.

    Args:
        chosen: The settings.
        effort: How many faults.
        seed: Of all.
        names: Of frameworks whose right gradients are judged too.
        jobs: How many processes to use.
        tell: Takes what was found in each, as it comes.
    """
    found = []
    ordered = sorted(chosen, key=lambda each: each.size)
    if jobs == 1 or len(chosen) < 2:
        for each in ordered:
            found.append(_measured(each, effort, seed, names))
            tell(found[-1])
        return found
    # Not forked: threads of the libraries would not be there.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        tasks = [pool.submit(_measured, each, effort, seed, names) for each in ordered]
        for task in as_completed(tasks):
            found.append(task.result())
            tell(found[-1])
    return found


def _measured(setting: Setting, effort: Effort, seed: int, names: Sequence[str]) -> Found:
    if not names:
        return measure(setting, effort, seed)
    opened, _ = open_frameworks(names, {}, dict.fromkeys(names, "eager"))
    return measure(setting, effort, seed, opened)
