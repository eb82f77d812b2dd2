"""The certificate of relations: what was returned, held to what else was returned.

**What it is for.** Of a backward pass that somebody wrote nothing is seen but what it returns.
Bounds that start at the inputs of the network grow with every sum on the way. But arrays of a
gradient are also intermediate values of it, so that bounds can start anew at each of them
(`crosscheck.judge.relations.bounds`), and do not grow with the depth or the width before it.

**What it says.** Let every relation be inside its bounds. Then each returned array is what a right
step makes of the returned arrays next to it, with no more than the rounding of that step.

**What it assumes.** That the numbers which were returned are the numbers that were used, or these
rounded once. A compiler may compute a value anew for another use, in another order, and a gradient
in forward mode has no such values. So it is asked of functions that are run as they are written and
go backwards.

**Where it says nothing.** With several rows ∂J/∂b is a sum over them, and so is ∂J/∂W: what belongs
to one row cannot be told.

**Arithmetics.** As of the local certificate: gradual underflow, then flush-to-zero, then a named
coarser one, whose bounds must then not hold zero as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from crosscheck.judge.entries import entry_of, misshapen_of
from crosscheck.judge.local.check import OfCase, Wrong
from crosscheck.judge.local.ways import holds_zero, models_of
from crosscheck.judge.relations.bounds import RelatedBounds, Relation
from crosscheck.judge.relations.words import gradient_name, said_of
from crosscheck.network.composed import AnyCase, AnyGradients, Composed, composed
from crosscheck.network.tree import LeftOut
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.numbers.model import Model

__all__ = ["NOTHING_USED", "NOT_FINITE", "SEVERAL_ROWS", "Unrelated", "related"]

SEVERAL_ROWS = "several rows: what is returned is summed over them"
"""Why nothing is said of most cases."""
NOTHING_USED = "nothing that was returned is used for anything else that was"
"""Why nothing is said of what is left."""
NOT_FINITE = "holds numbers that are not finite"
"""Likewise."""


@dataclass(frozen=True)
class Unrelated(Wrong):
    """The first array that is not what those next to it say; ``step`` is its name."""

    def __str__(self) -> str:
        entry = self.entry
        if entry is None:
            return self.what
        return (
            f"{self.what}: {entry.name} is {entry.given!r}, wanted {entry.reference!r} "
            f"within {entry.bound:.3g}"
        )


@in_ieee_arithmetic
@np.errstate(all="ignore")
def related(case: AnyCase, given: AnyGradients) -> OfCase | str:
    """What the arrays of a gradient say of each other; or why nothing is said.

    Args:
        case: A single case.
        given: The gradient; what is `LeftOut` is not known.
    """
    network = case if isinstance(case, Composed) else composed(case)
    returned = {
        name: np.asarray(array, dtype=np.float64)
        for name, array in given.entries()
        if not isinstance(array, LeftOut)
    }
    if misshapen := misshapen_of(given, case.gradient_shapes):
        return misshapen
    if not (case.is_finite and all(np.isfinite(each).all() for each in returned.values())):
        return NOT_FINITE
    bounds = RelatedBounds(network, returned, models_of(format_of(case.dtype))[0])
    if not bounds.is_something:
        return SEVERAL_ROWS if case.rows > 1 else NOTHING_USED
    return _Relations(network, returned, bounds).of_case()


@dataclass(eq=False)
class _Relations:
    """The relations of one gradient, in one arithmetic after the other."""

    case: Composed
    returned: dict[str, Array]
    first: RelatedBounds
    _later: dict[int, Sequence[Relation]] = field(default_factory=dict)

    @cached_property
    def models(self) -> tuple[Model, ...]:
        return models_of(format_of(self.case.dtype))

    def under(self, at: int) -> Sequence[Relation]:
        """The relations, all in one order, in arithmetic ``at``."""
        if at == 0:
            return self.first.relations
        if at not in self._later:
            bounds = RelatedBounds(self.case, self.returned, self.models[at])
            self._later[at] = bounds.relations
        return self._later[at]

    @cached_property
    def ok(self) -> list[list[bool]]:
        """By relation, by arithmetic: whether it is inside; tried until one explains it."""
        found = []
        for number, relation in enumerate(self.under(0)):
            inside = [bool(relation.part.within(1)[0])]
            for at in range(1, len(self.models)):
                if any(inside):
                    inside.append(False)
                    continue
                part = self.under(at)[number].part
                is_vacuous = self.models[at].arithmetic is not None and holds_zero(part, 1)[0]
                inside.append(bool(part.within(1)[0]) and not is_vacuous)
            found.append(inside)
        return found

    def explains(self, at: int) -> bool:
        """Whether one arithmetic explains every relation, with those before it."""
        is_named = self.models[at].arithmetic is not None
        return all(
            inside[0] or (at > 0 and inside[1]) or (is_named and inside[at]) for inside in self.ok
        )

    def of_case(self) -> OfCase:
        """What is said."""
        parts = [each.part for each in self.under(0)]
        explained = [self.explains(at) for at in range(len(self.models))]
        names: tuple[str, ...] = ()
        if not (explained[0] or explained[1]):
            names = tuple(
                model.arithmetic.name
                for model, found in zip(self.models, explained, strict=True)
                if model.arithmetic is not None and found
            )
        return OfCase(
            records=len(parts),
            compared=sum(part.given.size for part in parts),
            unbounded=sum(int(part.is_unbounded.sum()) for part in parts),
            worst=max(self._worst(number) for number in range(len(parts))),
            left_out=False,
            wrong=None if any(explained) else self._wrong(),
            names=names,
            is_gradual=explained[0],
            is_read=False,
        )

    def _worst(self, number: int) -> float:
        """error / bound in the arithmetic that explains a relation best, of those tried."""
        tried = [self.under(0), *self._later.values()]
        return min(float(each[number].part.ratio.max(initial=0.0)) for each in tried)

    def _wrong(self) -> Unrelated:
        for number, inside in enumerate(self.ok):
            if not any(inside):
                return self._named(self.under(0)[number])
        return Unrelated("", "", "no one arithmetic explains all relations")

    def _named(self, relation: Relation) -> Unrelated:
        """What is wrong with one relation, in words, at its worst entry."""
        part, node = relation.part, relation.node
        results = {number: each for each, number in self.case.results.items()}
        known = self._known(results)
        if part.name:
            array, verb, name = gradient_name(part.name), "is", part.name
            whole = self.case.gradient.outputs[name]
            known = {n: each for n, each in known.items() if self.first.names.get(n) != name}
            if relation.is_product:
                unknown = self.first.factors[node][0]
                known[unknown] = f"one row of {self._kind(unknown)}"
        else:
            array, verb, name = self._shown_in[node], "are", results.get(node, "factor")
            whole = node
        said = said_of(self.case.gradient, whole, known, results)
        index = np.unravel_index(int(np.argmax(part.ratio)), part.ratio.shape)
        entry = entry_of(name, part.bound, part.given, index, format_of(self.case.dtype))
        return Unrelated(array, "", f"{array} {verb} not {said}", entry)

    def _kind(self, node: int) -> str:
        """What a factor is a row of."""
        is_forward = any(each in self._forward for each in self.first.nodes_of_factor(node))
        return "activations" if is_forward else "cotangents"

    @cached_property
    def _forward(self) -> frozenset[int]:
        return frozenset(self.case.program.needed)

    @cached_property
    def _shown_in(self) -> dict[int, str]:
        """Node of a factor to what it is called, of all nodes that hold it."""
        found = {}
        for product, (unknown, _) in self.first.factors.items():
            array = gradient_name(self.first.targets[product][0][0])
            for node in self.first.nodes_of_factor(unknown):
                found[node] = f"the {self._kind(unknown)} in {array}"
        return found

    def _known(self, results: Mapping[int, str]) -> dict[int, str]:
        """Node to what it is called, of all that is known."""
        found = {node: results.get(node, said) for node, said in self._shown_in.items()}
        for node, name in self.first.names.items():
            found[node] = gradient_name(name)
        return found
