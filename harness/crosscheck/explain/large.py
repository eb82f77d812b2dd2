"""Networks too large to be shown in full: an overview, and one entry with the terms of its sum."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from crosscheck.explain.document import Block, Cell, Formulas, Paragraph, Section, Table
from crosscheck.explain.steps import Derivation, Step
from crosscheck.explain.values import Value, plain
from crosscheck.formulas.tree import Expression, Line, Over, Product, Sum, Symbol
from crosscheck.network.exact import nearest_float
from crosscheck.network.names import EntryName
from crosscheck.numbers.multilinear import Multilinear, fraction

__all__ = ["entry_section", "overview", "size"]

_SHOWN_TERMS = 6


def size(value: Any) -> float:
    """The absolute value of a number, or the largest one of a polynomial, as a float."""
    found = value.size if isinstance(value, Multilinear) else abs(fraction(value))
    return abs(nearest_float(found))


def _norm(values: Any) -> str:
    """The Euclidean norm, three digits."""
    return f"{math.hypot(*(size(value) for value in np.asarray(values).flat)):.3g}"


def overview(derivation: Derivation) -> Section:
    """Shapes, norms and gates, layer by layer."""
    case, trace = derivation.case, derivation.trace
    rows: list[tuple[Cell, ...]] = [
        ("x", f"{case.rows} × {case.network.widths[0]}", "", "", _norm(case.x), "", "", "")
    ]
    for layer in range(1, case.network.depth + 1):
        weight = case.weights[layer - 1]
        z = trace.pre_activations[layer - 1]
        active = ""
        if derivation.gates[layer - 1] is not None:
            active = f"{int(np.sum(z > 0))} of {z.size}"
        bias = derivation.gradients.biases[layer - 1]
        rows.append(
            (
                str(layer),
                f"{weight.shape[0]} × {weight.shape[1]}",
                _norm(weight),
                active,
                _norm(trace.activations[layer]),
                _norm(derivation.cotangents[layer]),
                _norm(derivation.gradients.weights[layer - 1]),
                "" if bias is None else _norm(bias),
            )
        )
    heading = ("layer", "shape", "‖W‖", "z > 0", "‖a‖", "‖∂J/∂a‖", "‖∂J/∂W‖", "‖∂J/∂b‖")
    blocks: list[Block] = [Table(heading, tuple(rows))]
    notes = f"‖∂J/∂x‖ = {_norm(derivation.gradients.x)}. "
    if derivation.symbols:
        notes += "Where an entry depends on slopes λ, its size is the largest that they allow. "
    notes += "Too large to be shown in full: ask for an entry, as in --entry W1[0,0]."
    loss = Line((Symbol("J"), derivation.show(plain(derivation.loss))))
    return Section("Overview", (*blocks, Formulas((loss,)), Paragraph((notes,))))


def entry_section(derivation: Derivation, entry: EntryName) -> Section:
    """One entry of the gradient: its sum, and that of the largest term, up to the loss."""
    names = derivation.names
    step = derivation.entry_step(entry)
    assert step.value is not None
    blocks: list[Block] = [
        Formulas((Line((step.target, *step.rules, derivation.show(step.value))),))
    ]
    row: int | None
    unit: int | None
    if entry.letter == "x":
        row, layer = entry.index[0], 1
        unit = _terms_table(derivation, "unit i", step, blocks)
    else:
        assert entry.layer is not None
        layer, unit = entry.layer, entry.index[0]
        row = _terms_table(derivation, "row r", step, blocks)
    while row is not None and unit is not None:
        lines = [_pre_activation(derivation, layer, row, unit)]
        lines.append(derivation.line(derivation.gate_step(layer, row, unit)))
        target = names.derivative(names.activation(layer, row, unit))
        blocks.append(Paragraph((f"The largest term: layer {layer}, unit {unit}, row {row}.",)))
        if layer == derivation.case.network.depth:
            last = [step for step in derivation.loss_steps() if step.target == target]
            blocks.append(Formulas((*lines, *map(derivation.line, last))))
            break
        step = derivation.cotangent_step(layer, row, unit)
        assert step.value is not None
        lines.append(Line((step.target, *step.rules, derivation.show(step.value))))
        blocks.append(Formulas(tuple(lines)))
        layer += 1
        unit = _terms_table(derivation, "unit i", step, blocks)
    return Section(f"The entry {entry}", tuple(blocks))


def _pre_activation(derivation: Derivation, layer: int, row: int, unit: int) -> Line:
    """z of one unit in one row, without its numbers where there are many."""
    step = derivation.unit_steps(layer, row, unit)[0]
    if len(step.terms) > _SHOWN_TERMS:
        names = derivation.names
        product = Product((names.weight(layer, unit, "j"), names.activation(layer - 1, row, "j")))
        rule: Expression = Over((("j", derivation.case.network.widths[layer - 1]),), product)
        if derivation.case.biases[layer - 1] is not None:
            rule = Sum((rule, names.bias(layer, unit)))
        step = replace(step, rules=(rule,), terms=())
    return derivation.line(step)


def _terms_table(
    derivation: Derivation, numbered: str, step: Step, blocks: list[Block]
) -> int | None:
    """The largest terms of a sum, and the others in one line.

    Returns:
        The index of the largest term; ``None`` if all are zero.
    """
    terms = step.terms
    heading: tuple[Cell, ...] = (numbered, "∂J/∂a", "∂a/∂z", "∂z/∂…", "product")
    products = [_product(term) for term in terms]
    order = sorted(range(len(terms)), key=lambda at: -size(products[at]))
    rows: list[tuple[Cell, ...]] = [
        (
            str(at),
            *(derivation.show(factor) for factor in terms[at]),
            derivation.show(products[at]),
        )
        for at in order[:_SHOWN_TERMS]
    ]
    left = [products[at] for at in order[_SHOWN_TERMS:]]
    if left:
        zeros = sum(1 for value in left if size(value) == 0)
        words = f"{len(left)} others" + (f" ({zeros} are 0)" if zeros else "")
        rest = plain(sum(left[1:], left[0]))
        rows.append((words, "", "", "", derivation.show(rest)))
    if len(terms) > 1:
        total = plain(sum(products[1:], products[0]))
        rows.append(("sum", "", "", "", derivation.show(total)))
    blocks.append(Table(heading, tuple(rows)))
    return order[0] if size(products[order[0]]) else None


def _product(term: Sequence[Value]) -> Value:
    found: Any = term[0]
    for factor in term[1:]:
        found = found * factor
    return plain(found)
