"""Each model: whether it is read, whether it is certified, and whether a fault in it is named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from crosscheck.run.modules.checking import check_model
from crosscheck.run.modules.loading import asked_about
from crosscheck.run.modules.outcome import ModelOutcome
from crosscheck.studies.published import jax_models, torch_models
from crosscheck.studies.published.plant import SLIP, with_fault_in_jax, with_fault_in_torch
from crosscheck.tools.errors import CrosscheckError

__all__ = ["MODELS", "Row", "measure"]

MODELS: Mapping[str, str] = {
    **dict.fromkeys(jax_models.MODELS, "jax"),
    **dict.fromkeys(torch_models.MODELS, "torch"),
}
"""Name of each model to its library."""


@dataclass(frozen=True)
class Row:
    """What is said of one model.

    Attributes:
        name: Of the model.
        library: In which it is written.
        kind: The verdict.
        certified: Whether it and each of its operations are within their bounds.
        operations: How many were held to their bounds.
        compared: How many numbers.
        ratio: The largest error / bound of an operation.
        unread: What is not understood, operation by operation, or why it cannot be asked at all.
        planted: The operation in which a fault was planted; empty if none was.
        named: The first operation that was said to be wrong then.
        notes: What was said beside.
    """

    name: str
    library: str
    kind: str
    certified: bool
    operations: int
    compared: int
    ratio: float
    unread: tuple[str, ...]
    planted: str
    named: str
    notes: tuple[str, ...]

    @property
    def is_named(self) -> bool:
        """Whether the planted fault was named."""
        return bool(self.planted) and self.named.endswith(self.planted)


def measure(names: Iterator[str]) -> Iterator[Row]:
    """Judge models, one after the other."""
    for name in names:
        try:
            yield _row(name)
        except CrosscheckError as error:
            yield Row(name, MODELS[name], "", False, 0, 0, 0.0, (str(error),), "", "", ())


def _row(name: str) -> Row:
    library = MODELS[name]
    made = jax_models.MODELS[name] if library == "jax" else torch_models.MODELS[name]
    model, arrays = made()
    asked = asked_about(model, name.rpartition(" ")[2], arrays)
    outcome = check_model(asked)
    planted, named = "", ""
    if outcome.operations:
        with ExitStack() as stack:
            if library == "jax":
                wrong, planted = with_fault_in_jax(asked)
            else:
                stack.enter_context(with_fault_in_torch(model))
                wrong, planted = asked, f" {SLIP}"
            named = check_model(wrong).first_wrong
    return Row(
        name,
        library,
        outcome.kind,
        outcome.certified,
        len(outcome.operations),
        sum(each.compared for each in outcome.operations),
        max((each.ratio for each in outcome.operations), default=0.0),
        _unread(outcome),
        planted.strip(),
        named,
        _notes(outcome),
    )


def _notes(outcome: ModelOutcome) -> tuple[str, ...]:
    """What was said, of a model that is not certified why; but for constants of its own."""
    notes = tuple(each for each in outcome.notes if "the function's own" not in each)
    return notes if outcome.certified or not outcome.detail else (outcome.detail, *notes)


def _unread(outcome: ModelOutcome) -> tuple[str, ...]:
    """What is not understood, without the places of files on this machine."""
    return tuple(
        f"{each.operation}: {each.reason}" + (f" ({each.count} times)" if each.count > 1 else "")
        for each in outcome.unread
    )
