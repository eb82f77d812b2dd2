"""One of the user's own cases on the terminal: what each framework returned, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from rich.console import Console
from rich.markup import escape

from crosscheck.judge.decisions import Effect
from crosscheck.judge.verdict import Kind, Verdict
from crosscheck.network.composed import AnyGradients
from crosscheck.network.names import derivative, label
from crosscheck.run.certified import Certifications
from crosscheck.run.events import CaseChecked

__all__ = ["GivenCase"]

_SHOWN_ENTRIES = 20
"""Numbers of a loss and its gradient that are written out; of a larger one only the verdict is."""

_SHOWN_SLOPES = 4


class GivenCase:
    """Prints a case.

    Args:
        event: What is known of it.
        console: Where to print.
    """

    def __init__(self, event: CaseChecked, console: Console) -> None:
        self._event = event
        self._console = console

    def print(self, styles: Mapping[Kind, str]) -> None:
        """Print the reference's numbers, then each framework's with the verdict on them.

        Args:
            styles: Of the verdicts; all others are yellow.
        """
        event, out = self._event, self._console
        name = f"[bold]{escape(event.label)}[/bold]"
        out.print(f"{name}: {event.case.description}; key {event.case.key}")
        if numbers := _numbers(event.reference):
            is_open = any(reading for verdict in event.verdicts for reading in verdict.gates)
            which = "reference, slope 0 at kinks" if is_open else "reference"
            out.print(f"  {which}: {numbers}")
        given = event.given or (None,) * len(event.verdicts)
        for verdict, returned in zip(event.verdicts, given, strict=True):
            style = styles.get(verdict.kind, "yellow")
            out.print(f"  {self._said(verdict, style)}")
            if returned is not None and (numbers := _numbers(returned)):
                out.print(f"    {numbers}")
            for line in _grounds(verdict):
                out.print(f"    {escape(line)}")

    def _said(self, verdict: Verdict, style: str) -> str:
        """The verdict, how near the gradient is, and remarks."""
        line = f"{verdict.framework} {verdict.formulation}: [{style}]{verdict.kind}[/{style}]"
        worst, slopes = verdict.worst, _slopes(verdict)
        if slopes:
            line += f"; λ = {slopes}"
        if worst is not None and not math.isfinite(worst.bounds):
            line += f"; {worst.distance}, in {worst.name}"
        elif worst is not None and worst.error > 0:
            line += (
                f"; largest error {worst.bounds:.3g} of its bound, {worst.ulps:.3g} ulp, "
                f"in {worst.name}"
            )
        elif worst is not None and (slopes or not _has_unread(verdict)):
            line += f"; bit for bit the {'gradient for this λ' if slopes else 'reference'}"
        elif worst is not None:
            line += "; bit for bit a gradient for some λ, too small or too hard to read"
        for said in (verdict.reduction, escape(verdict.detail)):
            line += f"; {said}" if said else ""
        if verdict.unchecked:
            line += f"; not checked: {', '.join(verdict.unchecked)}"
        return line


def _has_unread(verdict: Verdict) -> bool:
    """Whether the gradient may depend on a λ that was not read."""
    return any(each.effect in (Effect.TOO_SMALL, Effect.NOT_DECIDED) for each in verdict.gates)


def _slopes(verdict: Verdict) -> str:
    """The λ that were read, each once."""
    read = [each.slope for each in verdict.gates if each.slope is not None]
    found = [f"{each:.4g}" for each in dict.fromkeys(read)]
    more = len(found) - _SHOWN_SLOPES
    return " and ".join(found[:_SHOWN_SLOPES]) + (f" and {more} more" if more > 0 else "")


def _numbers(gradients: AnyGradients) -> str:
    """A loss and its gradient, if these are few numbers."""
    entries = [
        (label(name, index), float(value))
        for name, array in gradients.entries()
        for index, value in np.ndenumerate(np.asarray(array))
    ]
    if len(entries) > _SHOWN_ENTRIES:
        return ""
    # Adding zero turns -0 into 0, which is what a reader expects to see.
    return ", ".join(f"{derivative(name)} = {value + 0.0:g}" for name, value in entries)


def _grounds(verdict: Verdict) -> list[str]:
    """What the verdict rests on, and what else was found, a line each."""
    lines = [verdict.basis] if verdict.basis else []
    for said in verdict.certificates:
        words = Certifications.of(said).words if not said.wrong else said.wrong
        lines.append(f"{said.certificate} certificate: {words}")
    lines += [f"{each.question}: {' or '.join(each.answers)}" for each in verdict.policies]
    return lines + [
        f"as a generalised derivative, {each.block}: {each.status}; {each.reason}"
        for each in verdict.validity
    ]
