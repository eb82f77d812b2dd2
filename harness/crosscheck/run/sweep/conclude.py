"""The failures of a sweep, as small as they can be made, with programs that show them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from crosscheck.cases.shrink import shrink
from crosscheck.cases.stream.settings import Settings
from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.script import script
from crosscheck.judge.door import judge
from crosscheck.judge.verdict import Kind, Verdict, fails
from crosscheck.network.composed import AnyCase
from crosscheck.run.answers import verdict_of
from crosscheck.run.events import CaseChecked
from crosscheck.run.sweep.quarantine import ENDED
from crosscheck.run.tally import Tally

__all__ = ["smallest"]


def smallest(
    settings: Settings, frameworks: Sequence[Framework], tally: Tally
) -> Iterator[CaseChecked]:
    """The first failing case of each framework in its smallest form, if that is not there yet.

    A case that ends the process or hangs is given as it is: trying would end this process too.
    A case that fails as part of its batch only is given as it is too.
    """
    for framework in frameworks:
        mark = f"smallest for {framework.name}"
        failing = [
            (event, verdict)
            for event in tally.kept
            for verdict in event.verdicts
            if verdict.framework == framework.name and fails(verdict, settings.allow)
        ]
        if not failing or any(mark in event.label for event in tally.kept):
            continue
        event, verdict = next((each for each in failing if not each[0].shrunk), failing[0])
        yield _made_small(settings, frameworks, framework, event, verdict, mark)


def _made_small(
    settings: Settings,
    frameworks: Sequence[Framework],
    framework: Framework,
    event: CaseChecked,
    verdict: Verdict,
    mark: str,
) -> CaseChecked:
    def still_fails(case: AnyCase) -> bool:
        found = verdict_of(framework, case, judge(case), command=settings.command)
        # A step that is wrong shows in the whole gradient of small networks: it is to stay a step.
        is_step = verdict.kind is Kind.INCONSISTENT
        return fails(found, settings.allow) and (found.kind is verdict.kind or not is_step)

    family, _, address = event.label.partition("; ")
    label = f"{family}; {mark}, from {address}"
    as_it_is = ""
    if verdict.kind is Kind.TIMED_OUT or verdict.detail.startswith(ENDED):
        as_it_is = "as it is, since it ends the process"
    elif not still_fails(event.case):
        as_it_is = "as it is, since it fails only in its batch"
    if as_it_is:
        text = script(event.case, framework, verdict)
        return replace(
            event,
            label=f"{label}, {as_it_is}",
            shrunk=True,
            scripts={framework.name: text} if text else {},
        )
    case = shrink(event.case, still_fails)
    question = judge(case)
    verdicts = tuple(
        verdict_of(each, case, question, command=settings.command) for each in frameworks
    )
    (own,) = (each for each in verdicts if each.framework == framework.name)
    text = script(case, framework, own)
    return CaseChecked(
        "sweep",
        label,
        case,
        question.reference(),
        verdicts,
        shrunk=True,
        scripts={framework.name: text} if text else {},
        allow=settings.allow,
    )
