"""The derivation of one gradient as data: every quantity, its rule, its factors, its value.

What a step shows, the sum over products of its factors, is put together from the numbers of
`crosscheck.explain.derived` and is not used to compute them, so that a test can hold the one
against the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from crosscheck.explain.derived import Numbers
from crosscheck.explain.values import Value, plain, value_expression
from crosscheck.formulas.tree import (
    Call,
    Difference,
    Expression,
    Line,
    Over,
    Partial,
    Product,
    Scaled,
    Square,
    Sum,
    Symbol,
)
from crosscheck.judge.decisions import Place
from crosscheck.network.names import EntryName
from crosscheck.numbers.multilinear import fraction

__all__ = ["Derivation", "Step"]


@dataclass(frozen=True)
class Step:
    """One quantity of the derivation.

    Attributes:
        target: The quantity.
        rules: What it is, in symbols.
        terms: Its value as a sum of products of numbers; empty where it is none.
        numbers: The same as an expression, if ``terms`` does not say it.
        value: Its value; ``None`` for a rule without numbers.
        note: A few words.
        entry: For an entry of the gradient, which one.
    """

    target: Symbol | Partial
    rules: tuple[Expression, ...]
    terms: tuple[tuple[Value, ...], ...] = ()
    numbers: Expression | None = None
    value: Value | None = None
    note: str = ""
    entry: EntryName | None = None


class Derivation(Numbers):
    """A derivation in steps, and its steps as formulas; for the numbers see `Numbers`."""

    def show(self, value: Value) -> Expression:
        """A value as an expression."""
        return value_expression(value, self.names.slope, rounded=not self.is_exact)

    def line(self, step: Step) -> Line:
        """A step as a chain of equals."""
        chain: list[Expression] = [step.target, *step.rules]
        numbers = step.numbers
        if numbers is None and step.terms:
            products = [
                Product(tuple(map(self.show, term))) if len(term) > 1 else self.show(term[0])
                for term in step.terms
            ]
            numbers = products[0] if len(products) == 1 else Sum(tuple(products))
        value = None if step.value is None else self.show(step.value)
        for member in (numbers, value):
            if member is not None and member != chain[-1]:
                chain.append(member)
        return Line(tuple(chain), step.note)

    # -- the steps -----------------------------------------------------------------------------

    def forward_steps(self, layer: int) -> list[Step]:
        """z and a of every unit of a layer in every row."""
        return [
            step
            for row in range(self.case.rows)
            for unit in range(self.case.network.widths[layer])
            for step in self.unit_steps(layer, row, unit)
        ]

    def unit_steps(self, layer: int, row: int, unit: int) -> list[Step]:
        """z and a of one unit in one row."""
        names, bias = self.names, self.case.biases[layer - 1]
        below = range(self.case.network.widths[layer - 1])
        symbols: list[Expression] = [
            Product((names.weight(layer, unit, j), names.activation(layer - 1, row, j)))
            for j in below
        ]
        terms: list[tuple[Value, ...]] = [
            (self.weight(layer, unit, j), self.activation(layer - 1, row, j)) for j in below
        ]
        if bias is not None:
            symbols.append(names.bias(layer, unit))
            terms.append((fraction(bias[unit]),))
        rule = symbols[0] if len(symbols) == 1 else Sum(tuple(symbols))
        z = names.pre_activation(layer, row, unit)
        value = self.pre_activation(layer, row, unit)
        a, activation = names.activation(layer, row, unit), self.activation(layer, row, unit)
        affine = Step(z, (rule,), tuple(terms), value=value)
        if not self.case.network.has_relu(layer):
            return [affine, Step(a, (z,), value=activation, note="no ReLU in this layer")]
        shown = Call("max", (self.show(value), self.show(Fraction(0))))
        return [affine, Step(a, (Call("ReLU", (z,)),), numbers=shown, value=activation)]

    def loss_steps(self) -> list[Step]:
        """J, and ∂J/∂a of every output in every row."""
        names, case = self.names, self.case
        depth, rows, outputs = case.network.depth, case.rows, case.network.widths[-1]
        mean = case.network.reduction == "mean"
        scale = Fraction(1, 2 * rows if mean else 2)

        def residual(row: Any, unit: Any) -> Difference:
            return Difference(names.activation(depth, row, unit), names.target(row, unit))

        def numbers(row: int, unit: int) -> Difference:
            return Difference(
                self.show(self.activation(depth, row, unit)),
                self.show(fraction(case.y[row, unit])),
            )

        places = [(row, unit) for row in range(rows) for unit in range(outputs)]
        rule: Expression = Square(residual(*places[0]))
        shown: Expression = Square(numbers(*places[0]))
        if len(places) > 1:
            counts = tuple((letter, n) for letter, n in (("r", rows), ("i", outputs)) if n > 1)
            row, unit = ("r" if rows > 1 else 0), ("i" if outputs > 1 else 0)
            rule = Over(counts, Square(residual(row, unit)))
            shown = Sum(tuple(Square(numbers(*place)) for place in places))
        loss = Step(
            Symbol("J"),
            (Scaled(scale, rule),),
            numbers=Scaled(scale, shown),
            value=plain(self.loss),
        )
        steps = [loss]
        share = Fraction(1, rows if mean else 1)
        for row, unit in places:
            rule, shown = residual(row, unit), numbers(row, unit)
            if share != 1:
                rule, shown = Scaled(share, rule), Scaled(share, shown)
            target = names.derivative(names.activation(depth, row, unit))
            value = self.cotangent(depth, row, unit)
            steps.append(Step(target, (rule,), numbers=shown, value=value))
        return steps

    def gate_steps(self, layer: int) -> list[Step]:
        """∂a/∂z of every unit of a layer in every row."""
        return [
            self.gate_step(layer, row, unit)
            for row in range(self.case.rows)
            for unit in range(self.case.network.widths[layer])
        ]

    def gate_step(self, layer: int, row: int, unit: int) -> Step:
        """∂a/∂z of one unit in one row, and why."""
        z = self.names.pre_activation(layer, row, unit)
        target = Partial(self.names.activation(layer, row, unit), z)
        value = self.gate(layer, row, unit)
        if self.gates[layer - 1] is None:
            return Step(target, (), value=value, note="no ReLU in this layer")
        sign = self.pre_activation(layer, row, unit)
        if Place.of_gate(layer, row, unit) in self.symbols:
            note = "not certain: see above" if sign else "z = 0: see above"
        elif sign == 0:
            note = "z = 0: no derivative; λ = 0 is used here"
        else:
            note = "z > 0" if value == 1 else "z < 0"
        return Step(target, (Call("ReLU′", (z,)),), value=value, note=note)

    def local_steps(self, layer: int) -> list[Step]:
        """The derivatives of z with respect to what it is made of, in symbols."""
        names = self.names
        weight, bias = names.weight(layer, "i", "j"), names.bias(layer, "i")
        z, below = names.pre_activation(layer, "r", "i"), names.activation(layer - 1, "r", "j")
        known = names.scalar
        activation = self.activation(layer - 1, 0, 0) if known else None
        steps = [Step(Partial(z, weight), (below,), value=activation)]
        if self.case.biases[layer - 1] is not None:
            steps.append(Step(Partial(z, bias), (), value=Fraction(1)))
        value = self.weight(layer, 0, 0) if known else None
        return [*steps, Step(Partial(z, below), (weight,), value=value)]

    def gradient_steps(self, layer: int) -> list[Step]:
        """∂J with respect to every weight, every bias and every activation below a layer."""
        widths, case = self.case.network.widths, self.case
        units, inputs = range(widths[layer]), range(widths[layer - 1])
        steps = [
            self.entry_step(EntryName("W", layer, (unit, source)))
            for unit in units
            for source in inputs
        ]
        if case.biases[layer - 1] is not None:
            steps += [self.entry_step(EntryName("b", layer, (unit,))) for unit in units]
        return steps + [
            self.cotangent_step(layer - 1, row, source)
            for row in range(case.rows)
            for source in inputs
        ]

    def entry_step(self, name: EntryName) -> Step:
        """∂J with respect to one entry of the case, by the chain rule through its layer."""
        if name.letter == "x":
            return self.cotangent_step(0, *name.index)
        layer, unit = name.layer, name.index[0]
        assert layer is not None
        rows = range(self.case.rows)
        source = name.index[1] if name.letter == "W" else None
        terms = tuple(
            (
                self.cotangent(layer, row, unit),
                self.gate(layer, row, unit),
                Fraction(1) if source is None else self.activation(layer - 1, row, source),
            )
            for row in rows
        )
        by = self.names.entry(name)
        rule = self._chain(layer, "r" if len(rows) > 1 else 0, unit, by)
        if len(rows) > 1:
            rule = Over((("r", len(rows)),), rule)
        return Step(self.names.derivative(by), (rule,), terms, value=self.entry(name), entry=name)

    def cotangent_step(self, layer: int, row: int, unit: int) -> Step:
        """∂J/∂a of one unit in one row, by the chain rule through the layer above."""
        above = range(self.case.network.widths[layer + 1])
        terms = tuple(
            (
                self.cotangent(layer + 1, row, i),
                self.gate(layer + 1, row, i),
                self.weight(layer + 1, i, unit),
            )
            for i in above
        )
        by = self.names.activation(layer, row, unit)
        rule = self._chain(layer + 1, row, "i" if len(above) > 1 else 0, by)
        if len(above) > 1:
            rule = Over((("i", len(above)),), rule)
        return Step(
            self.names.derivative(by),
            (rule,),
            terms,
            value=self.cotangent(layer, row, unit),
            entry=EntryName("x", None, (row, unit)) if layer == 0 else None,
        )

    def _chain(self, layer: int, row: Any, unit: Any, by: Symbol) -> Expression:
        """∂J/∂a · ∂a/∂z · ∂z/∂by."""
        a, z = self.names.activation(layer, row, unit), self.names.pre_activation(layer, row, unit)
        return Product((self.names.derivative(a), Partial(a, z), Partial(z, by)))
