"""What the frameworks return for the case that is explained, beside what was derived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crosscheck.frameworks.base import Framework
from crosscheck.judge.decisions import GateReading, Place
from crosscheck.judge.door import Question
from crosscheck.judge.verdict import Verdict, fails
from crosscheck.network.dense import Case, Gradients
from crosscheck.run.answers import asking, with_verdict

__all__ = ["Answer", "ask"]


@dataclass(frozen=True, eq=False)
class Answer:
    """One framework's gradient of a case.

    Attributes:
        name: The framework, with its formulation where that is not its ReLU.
        gradients: What it returned; ``None`` if it returned nothing.
        verdict: What that says.
    """

    name: str
    gradients: Gradients | None
    verdict: Verdict

    @property
    def failed(self) -> bool:
        """Whether the verdict is one that fails a run."""
        return fails(self.verdict)

    @property
    def readings(self) -> dict[Place, GateReading]:
        """Place of each gate that is not certain to what was read there."""
        return {gate.place: gate for gate in self.verdict.gates}


def ask(case: Case, frameworks: Sequence[Framework], question: Question) -> list[Answer]:
    """Each framework's gradient of a single ``case``, and the verdict on it.

    Args:
        case: The case.
        frameworks: Adapters.
        question: One about the same case.
    """
    found, waiting = [], [(each, asking(each, case, "run")) for each in frameworks]
    for framework, awaited in waiting:
        given, verdict = with_verdict(framework, awaited(), question)
        default = next(iter(framework.formulations))
        name = framework.name
        if framework.formulation != default:
            name = f"{name} {framework.formulation}"
        found.append(Answer(name, given, verdict))
    return found
