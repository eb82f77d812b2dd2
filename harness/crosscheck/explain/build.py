"""From steps and answers to a document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from crosscheck.explain.answers import Answer
from crosscheck.explain.closed import closed_formulas
from crosscheck.explain.comparison import result_section
from crosscheck.explain.document import Block, Document, Formulas, Items, Paragraph, Part, Section
from crosscheck.explain.large import entry_section, overview, size
from crosscheck.explain.marks import marks_of_derivation
from crosscheck.explain.names import find_entry
from crosscheck.explain.steps import Derivation, Step
from crosscheck.explain.values import Value
from crosscheck.formulas.tree import Expression, Line, Matrix, Number, relation
from crosscheck.judge.decisions import Decision, Effect, GateClass
from crosscheck.judge.marking import Marked
from crosscheck.network.names import EntryName
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.numbers.multilinear import fraction

__all__ = ["build", "is_small"]

_MOST_UNITS = 3
_MOST_ROWS = 3
_MOST_LAYERS = 5


def is_small(derivation: Derivation) -> bool:
    """Whether everything is shown: up to three units in a layer, three rows and five layers."""
    case = derivation.case
    return (
        max(case.network.widths) <= _MOST_UNITS
        and case.rows <= _MOST_ROWS
        and case.network.depth <= _MOST_LAYERS
    )


@in_ieee_arithmetic
def build(
    derivation: Derivation,
    answers: Sequence[Answer],
    marked: Marked | None = None,
    *,
    label: str,
    entry: EntryName | None,
    symbolic: bool,
) -> Document:
    """The document.

    Args:
        derivation: The steps.
        answers: What the frameworks say.
        marked: The reader's own numbers, if there are any.
        label: A name for the case.
        entry: The entry to look into, if any.
        symbolic: Whether closed formulas are wanted.

    Raises:
        UsageError: Closed formulas are wanted of a network that is too large.
    """
    sections: list[Section] = []
    small = is_small(derivation)
    if small:
        sections += _everything(derivation, answers)
    else:
        sections.append(overview(derivation))
        sections += _gate_section(derivation, answers)
        entry = entry or _default_entry(derivation, answers)
    if entry is not None:
        sections.append(entry_section(derivation, entry))
    if symbolic:
        sections.append(closed_formulas(derivation, entry))
    sections.append(result_section(derivation, answers, None if small else entry))
    failed = any(answer.failed for answer in answers)
    if marked is not None:
        sections.append(marks_of_derivation(derivation, marked, small=small))
        failed |= marked.failed
    return Document(
        title=f"{label}: the gradient, step by step" if label else "The gradient, step by step",
        introduction=(Paragraph((_introduction(derivation),)),),
        sections=tuple(sections),
        failed=failed,
    )


def _introduction(derivation: Derivation) -> str:
    case = derivation.case
    network = case.network
    widths = ", ".join(map(str, network.widths))
    rows = "one row" if case.rows == 1 else f"{case.rows} rows"
    text = f"Widths {widths}; {rows}; {case.dtype}; "
    if network.output == "relu":
        text += "a ReLU after every layer"
    else:
        text += "a ReLU after every layer but the last" if network.depth > 1 else "no ReLU"
    if network.reduction == "mean":
        text += "; J is the mean over the rows"
    text += f"; key {case.key}. "
    if derivation.is_exact:
        return text + "The numbers are exact; after ≈ they are rounded, but only to be shown."
    return (
        text + "The network is large, so the numbers here are float64 and rounded. The verdicts "
        "do not depend on them."
    )


def _lines(derivation: Derivation, steps: Sequence[Step]) -> Formulas:
    return Formulas(tuple(map(derivation.line, steps)))


def _everything(derivation: Derivation, answers: Sequence[Answer]) -> Iterator[Section]:
    depth = derivation.case.network.depth
    yield Section("Given", (_given(derivation),))
    forward = [step for layer in range(1, depth + 1) for step in derivation.forward_steps(layer)]
    yield Section("Forward", (_lines(derivation, forward),))
    yield from _gate_section(derivation, answers)
    yield Section("Loss", (_lines(derivation, derivation.loss_steps()),))
    for layer in range(depth, 0, -1):
        local = _lines(derivation, derivation.local_steps(layer))
        yield Section(
            f"Layer {layer}",
            (
                _lines(derivation, derivation.gate_steps(layer)),
                Formulas(local.lines, compact=True),
                _lines(derivation, derivation.gradient_steps(layer)),
            ),
        )


def _given(derivation: Derivation) -> Block:
    """All the numbers of the case."""
    case, names = derivation.case, derivation.names
    order = ["x", *(name for name, _ in case.entries() if name not in "xy"), "y"]
    arrays = dict(case.entries())
    lines = []
    for name in order:
        symbol = names.entry(EntryName.of(name))
        lines.append(Line((symbol, _matrix(derivation, arrays[name]))))
    return Formulas(tuple(lines), compact=True)


def _matrix(derivation: Derivation, array: Array) -> Expression:
    if derivation.names.scalar:
        return derivation.show(fraction(array.item()))
    return Matrix(
        tuple(
            tuple(derivation.show(fraction(value)) for value in row) for row in np.atleast_2d(array)
        )
    )


_SHOWN_GATES = 12


def _gate_section(derivation: Derivation, answers: Sequence[Answer]) -> Iterator[Section]:
    """The gates that are not certain, each with what is known of it."""
    if not derivation.open_gates:
        return
    items = [
        Paragraph((*_about(derivation, gate), *_used(derivation, gate, answers)))
        for gate in derivation.open_gates[:_SHOWN_GATES]
    ]
    left = len(derivation.open_gates) - len(items)
    if left:
        items.append(Paragraph((f"… and {left} more such gates.",)))
    if not derivation.symbols:
        items.append(Paragraph(("The numbers below use λ = 0 wherever a pre-activation is zero.",)))
    yield Section("Where ReLU has no derivative, or none that is certain", (Items(tuple(items)),))


def _about(derivation: Derivation, gate: Decision) -> tuple[Part, ...]:
    """What is known of a gate."""
    z = derivation.names.pre_activation(gate.layer, gate.row, gate.unit)
    slope = derivation.names.slope(gate.place)
    kept: tuple[Part, ...] = ()
    if derivation.symbols:
        kept = (" The formulas keep ", slope, " as a symbol.")
    if gate.gate is not GateClass.UNDECIDED:
        missed = ""
        if gate.gate is GateClass.MAYBE_MISSED:
            missed = " A rounded sum may also land beside zero."
        return (
            z,
            " = 0 exactly: ReLU has no derivative here, and any ",
            slope,
            f" in [0, 1] is a convention.{missed}",
            *kept,
        )
    value: Value = derivation.pre_activation(gate.layer, gate.row, gate.unit)
    if not derivation.is_exact:
        value = fraction(gate.value)
    shown = derivation.show(value)
    bits = f" ({gate.value.hex()})" if np.isfinite(gate.value) else ""
    why = "it is closer to zero than rounding can tell: a correct evaluation may find "
    why += "the other side."
    if derivation.may_overflow(gate.layer, gate.row, gate.unit):
        why = "a correct evaluation may overflow on its way there."
    return (
        z,
        f" {relation(shown)} ",
        shown,
        f"{bits} is {'above' if gate.sign > 0 else 'below'} zero, so that exactly ",
        slope,
        f" = {int(gate.side)}. But {why}",
        *kept,
    )


_UNREAD = {
    Effect.NONE: " has no effect.",
    Effect.TOO_SMALL: " is too small to read: other slopes are within the bounds too.",
    Effect.NOT_DECIDED: " was not decided.",
}


def _used(derivation: Derivation, gate: Decision, answers: Sequence[Answer]) -> Iterator[Part]:
    """Which slope each framework used there."""
    slope = derivation.names.slope(gate.place)
    groups: dict[float | Effect, list[str]] = {}
    for answer in answers:
        reading = answer.readings.get(gate.place)
        if reading is not None:
            used = reading.effect if reading.slope is None else reading.slope
            groups.setdefault(used, []).append(f"{answer.name} ({answer.verdict.mode})")
    for used, names in groups.items():
        yield f" {', '.join(names)}: "
        if isinstance(used, Effect):
            yield from (slope, _UNREAD[used])
        else:
            yield from (slope, " = ", Number(Fraction(used)), ".")


def _default_entry(derivation: Derivation, answers: Sequence[Answer]) -> EntryName | None:
    """The worst entry of a framework that fails, else the largest entry of the first layer."""
    for answer in answers:
        worst = answer.verdict.worst
        if answer.failed and worst is not None and worst.name != "J":
            return find_entry(worst.name, derivation.case)
    values = derivation.gradients.weights[0]
    sizes = np.vectorize(size, otypes=[float])(values)
    row, column = np.unravel_index(int(np.argmax(sizes)), sizes.shape)
    return EntryName("W", 1, (int(row), int(column)))
