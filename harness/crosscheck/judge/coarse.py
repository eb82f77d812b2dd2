"""Whether a named arithmetic explains a gradient that the dtype's own does not.

Containment in the bounds of an executed arithmetic (`crosscheck.numbers.named`) is necessary.

**Matrix products that are spared.** Where a library uses an arithmetic in some matrix products and
not in others, which ones is read off the gradient (`_spared`). The loss depends on the forward
products alone, so each choice there has to hold the loss; then, from the top layer down, ∂J/∂W_l
holds for one choice or the other or for none, and a choice for g_{l-1} is tested by what is below.
Then the arithmetic is executed as usual. The search ends after `BUDGET` products of matrices, or
`MOST_PRODUCTS` of numbers.

**What is no explanation.** Bounds that are infinite throughout; an arithmetic that changes nothing
in this case, for then it is the dtype's own, which is excluded already; and float16 accumulation,
whose bounds grow by 2^-11 a term, where they cannot tell some array from zero
(`crosscheck.judge.vacuity`), or where slopes at the many gates that they leave open explain zero.

**The name.** Several may hold a gradient. They are sorted by the root mean square of the difference
to what each arithmetic gives when executed, on whichever side of an undecided gate that is. What
accumulation in float32 holds is not ascribed to float16, whose sums are not executed.

**The precision.** The executed arithmetic tells what its one rounding of each multiplicand does to
this gradient: with b bits the root mean square of (executed - exact). That of (given - exact) is
as many times as large as 2^(b - bits): a number for a person, which decides nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crosscheck.judge.enclosed import Derivation, Enclosed, leaves_bound
from crosscheck.judge.kinks.exclusion import hulls
from crosscheck.judge.kinks.explanation import Explanation, explain
from crosscheck.judge.vacuity import arrays_checked
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.reference import parameter_gradients
from crosscheck.network.tree import LeftOut
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.model import Model, Product
from crosscheck.numbers.named import Arithmetic, arithmetics_of

__all__ = ["BUDGET", "Coarse", "coarse"]

BUDGET = 256
"""How many matrix products are formed in search of those that are spared, for one arithmetic."""

MOST_PRODUCTS = 2**25
"""How many products of numbers they may have in all."""

Enclose = Callable[[Model, Derivation], Enclosed]


@dataclass(frozen=True, eq=False)
class Coarse:
    """A named arithmetic that explains a gradient.

    Attributes:
        arithmetic: Which one.
        enclosed: The case in it.
        explanation: The gradient on its enclosures.
        distance: Root mean square of what was given minus what it gives when executed.
        checks: Whether its bounds tell any array from zero.
        precision: About how many bits the gradient has; ``None`` where that cannot be told.
    """

    arithmetic: Arithmetic
    enclosed: Enclosed
    explanation: Explanation
    distance: float
    checks: bool
    precision: float | None

    @property
    def remark(self) -> str:
        """One line for a person; empty if there is nothing to add."""
        parts = []
        spared, all_of_them = len(self.enclosed.model.spared), 3 * self.enclosed.case.network.depth
        if spared:
            parts.append(f"in {all_of_them - spared} of {all_of_them} matrix products")
        if not self.explanation.found:
            count = len(self.enclosed.open_gates)
            parts.append(
                f"with any slopes in [0, 1] at the {count} gate{'s' if count > 1 else ''} that it "
                f"leaves open"
            )
        if not self.checks:
            parts.append("its bounds do not tell any array from zero")
        return "; ".join(parts)


def coarse(case: Case, given: Gradients, derivation: Derivation, enclosed: Enclose) -> list[Coarse]:
    """The named arithmetics that explain ``given``, the nearest first.

    Args:
        case: A single finite case, whose dtype's own arithmetic does not explain ``given``.
        given: What a framework returned for it.
        derivation: The mode of differentiation.
        enclosed: The case on enclosures of a model.
    """
    form = format_of(case.dtype)
    found = []
    for arithmetic in arithmetics_of(case.dtype):
        whole = Model(form, flush=True, arithmetic=arithmetic)
        for spared in itertools.chain([frozenset[Product]()], _spared(enclosed, whole, given)):
            if spared and derivation == "forward":
                break
            model = Model(form, flush=True, arithmetic=arithmetic, spared=spared)
            each = _explained(enclosed(model, derivation), given, enclosed)
            if each is not None:
                found.append(each)
                break
    return sorted(found, key=lambda each: (_adds_in_float16(each.arithmetic), each.distance))


def _adds_in_float16(arithmetic: Arithmetic) -> bool:
    return arithmetic.accumulator.name == "float16"


def _explained(enclosed: Enclosed, given: Gradients, enclose: Enclose) -> Coarse | None:
    arithmetic = enclosed.model.arithmetic
    assert arithmetic is not None
    explanation = explain(enclosed, given)
    if explanation is None:
        return None
    pairs = list(_pairs(explanation.gradients, given))
    if not any(np.isfinite(bound.bound).any() for bound, _ in pairs):
        return None
    checked, unchecked = arrays_checked(explanation.gradients, given)
    zeros = given.map_derivatives(np.zeros_like)
    if _adds_in_float16(arithmetic) and (unchecked or explain(enclosed, zeros) is not None):
        return None
    gates = _own_gates(enclosed, explanation)
    executed = enclosed.gradients(gates)
    plain = enclose(Model(enclosed.model.format, flush=True), enclosed.derivation).gradients(gates)
    effect = _difference((each.high for each, _ in _pairs(executed, given)), plain, given)
    if effect == 0 and _high(executed.loss) == _high(plain.loss):
        return None
    values = [value for _, value in pairs]
    distance = _difference(values, executed, given)
    error = _difference(values, plain, given)
    precision = None
    if effect > 0 and error > 0:
        precision = arithmetic.bits - float(np.log2(error / effect))
    checks = bool(checked) or not unchecked
    return Coarse(arithmetic, enclosed, explanation, distance, checks, precision)


def _high(loss: Any) -> float:
    return float(loss.high)


def _pairs(bounds: Gradients, given: Gradients) -> Iterator[tuple[Enclosure, Array]]:
    """Each array of the gradient that is there, without the loss."""
    for (name, bound), (_, value) in zip(bounds.entries(), given.entries(), strict=True):
        if name != "J" and not isinstance(value, LeftOut):
            yield bound, np.asarray(value, dtype=np.float64)


def _difference(values: Any, bounds: Gradients, given: Gradients) -> float:
    """Root mean square over all entries of arrays minus the values of enclosures."""
    total, count = 0.0, 0
    with np.errstate(all="ignore"):
        for value, (bound, _) in zip(values, _pairs(bounds, given), strict=True):
            total += float(np.square(value - bound.high).sum())
            count += value.size
        return float(np.sqrt(total / max(count, 1)))


def _own_gates(enclosed: Enclosed, explanation: Explanation) -> list[Array | None]:
    """The slopes of the explanation; where there are none, the executed side of each open gate."""
    gates = [None if gate is None else gate.copy() for gate in enclosed.certain_gates]
    for each in enclosed.open_gates:
        gate = gates[each.layer - 1]
        assert gate is not None
        gate[each.place.index] = explanation.slopes.get(each.place, each.side)
    return gates


def _spared(enclose: Enclose, whole: Model, given: Gradients) -> Iterator[frozenset[Product]]:
    """Matrix products that, if they are spared, may explain ``given``; the fewest first."""
    assert whole.arithmetic is not None
    if not whole.arithmetic.spares:
        return
    case = enclose(whole, "reverse").case
    depth, sizes = case.network.depth, [weight.size for weight in case.weights]
    budget = _Budget(BUDGET, MOST_PRODUCTS)
    forward: list[Product] = [("forward", layer) for layer in range(1, depth + 1)]
    choices: Iterator[Sequence[Product]] = itertools.chain.from_iterable(
        itertools.combinations(forward, count) for count in range(depth + 1)
    )
    for chosen in choices:
        if not budget.take(depth, case.rows * sum(sizes)):
            return
        model = Model(whole.format, True, whole.arithmetic, frozenset(chosen))
        # Those that are only tried are not kept: of a wide network each takes much memory.
        enclosed = Enclosed(case, model) if chosen else enclose(model, "reverse")
        with np.errstate(all="ignore"):
            if leaves_bound(enclosed.loss, given.loss).any():
                continue
            gates = hulls(enclosed) if enclosed.has_open_gates else enclosed.certain_gates
            backward = _Backward(enclosed, given, gates, budget)
            spared = backward.descend(depth, enclosed.cotangent)
        if spared is not None and (chosen or spared):
            yield frozenset(chosen) | spared


@dataclass
class _Budget:
    matrices: int
    numbers: int

    def take(self, matrices: int, numbers: int) -> bool:
        """Whether so many products of matrices, and of numbers in them, may still be formed."""
        self.matrices -= matrices
        self.numbers -= numbers
        return self.matrices >= 0 and self.numbers >= 0


@dataclass
class _Backward:
    """Which products of the backward pass are spared, for given ones of the forward pass."""

    enclosed: Enclosed
    given: Gradients
    gates: Sequence[Any]
    budget: _Budget

    def descend(self, layer: int, cotangent: Enclosure) -> frozenset[Product] | None:
        """Those of ``layer`` and of all below it; ``None`` if no choice explains the gradient."""
        enclosed, given, at = self.enclosed, self.given, layer - 1
        gate, activation = self.gates[at], enclosed.trace.activations[at]
        size = enclosed.case.rows * enclosed.case.weights[at].size
        delta = cotangent if gate is None else gate * cotangent
        own: frozenset[Product] | None = None
        for spared, right in ((False, activation), (True, activation.spared())):
            if not self.budget.take(1, size):
                return None
            for_weight, for_bias = parameter_gradients(enclosed.biases[at], right, delta)
            if for_bias is not None and leaves_bound(for_bias, given.biases[at]).any():
                return None
            if not leaves_bound(for_weight, given.weights[at]).any():
                own = frozenset({("weight", layer)}) if spared else frozenset()
                break
        if own is None:
            return None
        weight = enclosed.weights[at]
        for spared, right in ((False, weight), (True, weight.spared())):
            if not self.budget.take(1, size):
                return None
            below = delta @ right
            here: frozenset[Product] = frozenset({("input", layer)}) if spared else frozenset()
            if layer == 1:
                if not leaves_bound(below, given.x).any():
                    return own | here
                continue
            found = self.descend(at, below)
            if found is not None:
                return own | here | found
        return None
