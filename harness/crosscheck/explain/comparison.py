"""The result, with each framework's values beside it and the verdict on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from crosscheck.explain.answers import Answer
from crosscheck.explain.document import Block, Cell, Items, Paragraph, Section, Table
from crosscheck.explain.steps import Derivation
from crosscheck.explain.values import Value, plain
from crosscheck.formulas.tree import Expression, Number
from crosscheck.judge.decisions import GateReading, Place
from crosscheck.judge.verdict import MEANING, Kind, Validity, Verdict
from crosscheck.network.dense import Gradients
from crosscheck.network.exact import nearest_float
from crosscheck.network.names import EntryName
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.multilinear import Multilinear

__all__ = ["entries_of", "expected", "result_section"]

_SHOWN_BITS = 12
_SHOWN_SLOPES = 24


def entries_of(gradients: Gradients) -> Iterator[EntryName]:
    """All entries of a gradient in the order of backpropagation, the loss first."""
    for name, array in gradients.entries():
        for index in np.ndindex(*np.shape(array)):
            yield EntryName.of(name, index)


def result_section(
    derivation: Derivation, answers: Sequence[Answer], entry: EntryName | None
) -> Section:
    """The gradient by hand and by each framework, and what the comparison says.

    Args:
        derivation: The steps.
        answers: What the frameworks say.
        entry: The only entry to show; ``None`` for all.
    """
    wanted = [EntryName("J"), entry] if entry else [*entries_of(derivation.gradients)]
    rows: list[tuple[Cell, ...]] = [
        (derivation.names.slope(place), *_slopes(derivation, place, answers))
        for place in [*derivation.symbols][:_SHOWN_SLOPES]
    ]
    rows += [(_called(derivation, name), *_values(derivation, name, answers)) for name in wanted]
    if answers:
        rows.append(("verdict", "", *(str(answer.verdict.kind) for answer in answers)))
    heading = ("", "by hand", *(answer.name for answer in answers))
    blocks: list[Block] = [Table(heading, tuple(rows), keys=1)]
    blocks += _bits(derivation, wanted, answers)
    blocks.append(Items(tuple(Paragraph((line,)) for line in _remarks(answers))))
    return Section("Result", tuple(blocks))


def _called(derivation: Derivation, name: EntryName) -> Expression:
    symbol = derivation.names.entry(name)
    return symbol if name.letter == "J" else derivation.names.derivative(symbol)


def _by_hand(derivation: Derivation, name: EntryName) -> Value:
    return plain(derivation.loss) if name.letter == "J" else derivation.entry(name)


def _slopes(derivation: Derivation, place: Place, answers: Sequence[Answer]) -> Iterator[Cell]:
    """A gate's slope: what is known of it, and what each framework used."""
    side = derivation.exact_sides.get(place)
    yield "any in [0, 1]" if side is None else f"{side} exactly"
    for answer in answers:
        reading = answer.readings.get(place)
        yield "" if reading is None else _slope(reading)


def _slope(reading: GateReading) -> str:
    if reading.slope is None:
        return str(reading.effect)
    return f"{reading.slope:g}" + (" (other side)" if reading.flipped else "")


def _given(answer: Answer, name: EntryName) -> float | None:
    """The framework's value of an entry."""
    if answer.gradients is None:
        return None
    arrays = dict(answer.gradients.entries())
    array = np.asarray(arrays[name.array])
    return float(array[name.index]) if array.ndim == len(name.index) else None


def expected(derivation: Derivation, name: EntryName, verdict: Verdict) -> float:
    """What was derived for an entry, at a framework's own slopes, rounded to the dtype.

    A slope that was not read is taken to be the exact one, or 0 at a kink.
    """
    slopes = dict.fromkeys(derivation.symbols, Fraction(0))
    slopes.update(derivation.exact_sides)
    for gate in verdict.gates:
        if gate.slope is not None:
            slopes[gate.place] = Fraction(gate.slope)
    value = _by_hand(derivation, name)
    if isinstance(value, Multilinear):
        number = value.at(slopes).constant
        assert number is not None
        value = number
    return float(format_of(derivation.case.dtype).round(nearest_float(value)))


def _distance(derivation: Derivation, given: float, wanted: float) -> str:
    """How far two different numbers are apart, in units in the last place of the dtype."""
    form = format_of(derivation.case.dtype)
    if not (np.isfinite(given) and np.isfinite(wanted)):
        return "not finite"
    return f"{(given - wanted) / float(form.ulp(wanted)):+.3g} ulp"


def _values(derivation: Derivation, name: EntryName, answers: Sequence[Answer]) -> Iterator[Cell]:
    """One entry by hand and by each framework."""
    value = _by_hand(derivation, name)
    if isinstance(value, Multilinear):
        value = plain(value.at(derivation.exact_sides))
    yield derivation.show(value)
    for answer in answers:
        given = _given(answer, name)
        if given is None:
            yield "—"
            continue
        wanted = expected(derivation, name, answer.verdict)
        shown = Number(Fraction(given)) if np.isfinite(given) else str(given)
        if given != wanted and derivation.is_exact:
            yield Paragraph((shown, f" ({_distance(derivation, given, wanted)})"))
        else:
            yield shown


def _bits(
    derivation: Derivation, wanted: Sequence[EntryName], answers: Sequence[Answer]
) -> Iterator[Block]:
    """The exact bits of the entries at which a framework returned another number."""
    rows: list[tuple[Cell, ...]] = []
    left = 0
    for name in wanted:
        lines: dict[tuple[float, float], list[str]] = {}  # (wanted, given) to who gave it
        for answer in answers:
            given, exact = _given(answer, name), expected(derivation, name, answer.verdict)
            if given is not None and given != exact:
                lines.setdefault((exact, given), []).append(answer.name)
        if lines and len(rows) >= _SHOWN_BITS:
            left += 1
            continue
        before, first = None, True
        for (exact, given), sources in sorted(lines.items()):
            called = _called(derivation, name) if first else ""
            if exact != before:
                rows.append((called, "by hand, rounded once", exact.hex(), ""))
                called, before = "", exact
            far = _distance(derivation, given, exact) if derivation.is_exact else ""
            rows.append((called, ", ".join(sources), given.hex(), far))
            first = False
    if rows:
        yield Table(("bits that differ", "source", "hexadecimal", "distance"), tuple(rows), left=3)
    if left:
        yield Paragraph((f"… and {left} more entries whose bits differ.",))


def _remarks(answers: Sequence[Answer]) -> Iterator[str]:
    """A line for each framework, on the validity of its gradient at a kink, on each verdict."""
    if not answers:
        yield "No framework was asked."
    validities: dict[Validity, list[str]] = {}
    for answer in answers:
        verdict = answer.verdict
        text = f"{answer.name}, {verdict.mode}: {verdict.kind}"
        worst = verdict.worst
        if worst is not None and worst.error == 0:
            text += "; bit for bit the reference"
        elif worst is not None:
            text += f"; largest error {worst.bounds:.3g} of its bound, in {worst.name}"
        if verdict.reduction:
            text += f"; {verdict.reduction}"
        if verdict.detail:
            text += f"; {verdict.detail}"
        yield f"{text}."
        for each in verdict.validity:
            validities.setdefault(each, []).append(answer.name)
    for each, names in validities.items():
        yield (
            f"A generalised derivative with respect to the {each.block}? {', '.join(names)}: "
            f"{each.status}; {each.reason}."
        )
    for kind in Kind:
        if any(answer.verdict.kind is kind for answer in answers):
            yield f"{kind}: {MEANING[kind]}"
