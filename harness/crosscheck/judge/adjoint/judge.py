"""Entries of a gradient against their adjoint bounds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from crosscheck.judge.adjoint.boxes import Box
from crosscheck.judge.adjoint.forward import forward_terms, terms_of_dense
from crosscheck.judge.adjoint.terms import Position, Terms, terms
from crosscheck.judge.enclosed import Derivation
from crosscheck.judge.entries import entry_of
from crosscheck.judge.programs.enclosed import Slopes
from crosscheck.judge.vacuity import vacuous
from crosscheck.judge.verdict import Entry
from crosscheck.network.composed import AnyCase, AnyGradients, Composed, composed
from crosscheck.network.dense import Case
from crosscheck.network.names import LOSS, label
from crosscheck.network.tree import LeftOut
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.bounded import Center
from crosscheck.numbers.double_double import DoubleDouble
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.numbers.library import Library
from crosscheck.numbers.model import Model
from crosscheck.program.graph import Shape
from crosscheck.tools.errors import UsageError

__all__ = ["AdjointJudge", "Bounds", "Comparison", "Position", "sampled"]

ALL = 64
"""A gradient of so many entries is looked at in all of them."""

OF_EACH = 2
"""Entries of each array that are looked at otherwise."""


@dataclass(frozen=True)
class Bounds:
    """What some entries of a gradient may be.

    Attributes:
        positions: Which, K of them.
        enclosure: Of shape (K,): the reference's values c with r, and e the adjoint bound, ∞ where
            there is none.
        expected: Of shape (K,): the error that is usual. No bound.
    """

    positions: tuple[Position, ...]
    enclosure: Enclosure
    expected: Array


@dataclass(frozen=True)
class Comparison:
    """What comparing entries of a gradient with their bounds says.

    Attributes:
        worst: The entry with the largest error / bound; ``None`` if none was compared.
        failing: The entries beyond their bounds.
        sampled: How many entries were compared, those without a bound among them.
        entries: How many there are in the arrays that were given.
        unbounded: How many of those that were compared have no bound, and so were not checked.
        vacuous: How many have a bound that is not below their size.
    """

    worst: Entry | None
    failing: tuple[Entry, ...]
    sampled: int
    entries: int
    unbounded: int
    vacuous: int


def sampled(case: AnyCase, *, of_each: int = OF_EACH, all_up_to: int = ALL) -> tuple[Position, ...]:
    """Entries to look at: all of a small gradient, else some of each array, and the loss.

    Which they are follows from the numbers of the case, by SHA-256 of its key and their names.

    Args:
        case: A single case.
        of_each: How many of each array.
        all_up_to: How many entries a small gradient has, the loss not counted.
    """
    case = _single(case)
    shapes = case.shapes
    wanted = {name: shapes[name] for name in case.wanted}
    total = sum(int(np.prod(shape)) for shape in wanted.values())
    found: list[Position] = [(LOSS, ())]
    for name, shape in wanted.items():
        size = int(np.prod(shape))
        chosen = list(range(size))
        if total > all_up_to and size > of_each:
            seed = hashlib.sha256(f"{case.key} {name}".encode()).digest()[:16]
            rng = np.random.Generator(np.random.Philox(int.from_bytes(seed, "big")))
            chosen = sorted(rng.choice(size, of_each, replace=False).tolist())
        found += [(name, tuple(map(int, np.unravel_index(at, shape)))) for at in chosen]
    return tuple(found)


class AdjointJudge:
    """Bounds on entries of the gradient of one case, and comparisons with them.

    Args:
        case: A single case, of operators or dense.
        flush: Whether subnormal numbers may be replaced by zero.
        library: Whose elementary functions are called, if any are.
    """

    def __init__(
        self, case: AnyCase, *, flush: bool = False, library: Library | None = None
    ) -> None:
        self.case = _single(case)
        self._dense = case if isinstance(case, Case) else None
        self.model = Model(format_of(case.dtype), flush=flush, library=library)
        self._last: tuple[Any, Box] | None = None

    @cached_property
    def _shapes(self) -> Mapping[str, Shape]:
        shapes = self.case.shapes
        return {LOSS: (), **{name: shapes[name] for name in self.case.wanted}}

    def _box(self, slopes: Slopes | None) -> Box:
        """The program on balls; those of the last slopes that were asked for are kept."""
        key = tuple(sorted((slopes or {}).items()))
        if self._last is None or self._last[0] != key:
            arrays = dict(self.case.entries())
            self._last = key, Box(self.case.gradient, self.model, arrays, slopes)
        return self._last[1]

    @in_ieee_arithmetic
    def bounds(
        self,
        positions: Sequence[Position],
        *,
        derivation: Derivation = "reverse",
        per_use: bool = False,
        slopes: Slopes | None = None,
    ) -> Bounds:
        """What correct evaluations may give for some entries.

        Args:
            positions: Which.
            derivation: How they are computed; in forward mode with one-hot tangents.
            per_use: Whether a value may be computed anew, and round differently, for each of its
                uses, as compilers do.
            slopes: λ of open decisions. At the others a framework may decide as it likes, and the
                bounds, that of the reference too, cover what that changes. λ has to be the one that
                was used: one that was solved for by other bounds is known to within these only.

        Raises:
            UsageError: There is no such entry.
        """
        self._check(positions)
        count = len(positions)
        expected, e = np.full(count, np.inf), np.full(count, np.inf)
        if not self.case.is_finite:
            nothing = np.full(count, np.nan)
            return Bounds(tuple(positions), Enclosure(self.model, nothing, e, e), expected)
        reference = self._box(slopes).reference
        columns = [_entry(reference[name], index) for name, index in positions]
        found = self._terms(positions, derivation, slopes)
        e, expected = found.per_use if per_use else found.bound, found.expected
        r = np.array([each.r.item() for each in columns])
        return Bounds(tuple(positions), Enclosure(self.model, _stacked(columns), r, e), expected)

    @in_ieee_arithmetic
    def check(
        self,
        given: AnyGradients,
        positions: Sequence[Position] | None = None,
        *,
        derivation: Derivation = "reverse",
        per_use: bool = False,
        slopes: Slopes | None = None,
    ) -> Comparison:
        """Entries of a gradient against their bounds; arrays that are left out are not compared.

        Args:
            given: The gradient, float64 arrays with numbers of the case's dtype.
            positions: Which entries; by default those that are `sampled`.
            derivation: As of `bounds`.
            per_use: As of `bounds`.
            slopes: As of `bounds`.

        Raises:
            UsageError: There is no such entry, or an array has another shape.
        """
        arrays = {
            name: np.asarray(value, dtype=np.float64)
            for name, value in given.entries()
            if not isinstance(value, LeftOut)
        }
        for name, array in arrays.items():
            if array.shape != self._shapes.get(name):
                raise UsageError(f"{name}: shape {array.shape}, wanted {self._shapes.get(name)}")
        chosen = sampled(self.case) if positions is None else positions
        chosen = [each for each in chosen if each[0] in arrays]
        total = sum(array.size for array in arrays.values())
        if not chosen:
            return Comparison(None, (), 0, total, 0, 0)
        bounds = self.bounds(chosen, derivation=derivation, per_use=per_use, slopes=slopes)
        form = self.model.format
        values = np.array([arrays[name][index] for name, index in chosen])
        entries = [
            replace(entry_of(name, bounds.enclosure, values, (k,), form), name=label(name, index))
            for k, (name, index) in enumerate(chosen)
        ]
        room = bounds.enclosure.bound
        unbounded = np.isinf(room)
        empty = vacuous(bounds.enclosure) & ~unbounded
        return Comparison(
            max(entries, key=lambda each: each.bounds),
            tuple(each for each in entries if each.bounds > 1.0),
            len(chosen),
            total,
            int(unbounded.sum()),
            int(empty.sum()),
        )

    def _terms(
        self, positions: Sequence[Position], derivation: Derivation, slopes: Slopes | None
    ) -> Terms:
        """What rounding can do to entries; the loss is the same in both modes."""
        if derivation == "reverse":
            return terms(self._box(slopes), positions)
        found = Terms(*np.zeros((3, len(positions))))
        losses = [k for k, (name, _) in enumerate(positions) if name == LOSS]
        others = [k for k, (name, _) in enumerate(positions) if name != LOSS]
        of_losses = terms(self._box(slopes), [positions[k] for k in losses])
        some = [positions[k] for k in others]
        about = self.model, slopes or {}, some
        of_others = (
            forward_terms(self.case, *about)
            if self._dense is None
            else terms_of_dense(self._dense, self.case, *about)
        )
        for rows, parts in ((losses, of_losses), (others, of_others)):
            for whole, part in zip(found, parts, strict=True):
                whole[rows] = part
        return found

    def _check(self, positions: Sequence[Position]) -> None:
        shapes = self._shapes
        for name, index in positions:
            if name not in shapes:
                raise UsageError(f"{name!r} is no array of the gradient: {', '.join(shapes)}")
            shape = shapes[name]
            fits = len(index) == len(shape)
            if not fits or not all(0 <= at < size for at, size in zip(index, shape, strict=True)):
                raise UsageError(f"{label(name, index)}: no entry of an array of shape {shape}")


def _single(case: AnyCase) -> Composed:
    if case.count is not None:
        raise UsageError(f"a stack of {case.count} cases given, wanted a single case")
    return case if isinstance(case, Composed) else composed(case)


def _entry(array: Enclosure, index: tuple[int, ...]) -> Enclosure:
    return Enclosure(array.model, array.c[index], array.r[index], array.e[index])


def _stacked(numbers: Sequence[Enclosure]) -> Center:
    """The centres side by side."""
    high, low = (np.zeros(len(numbers)) for _ in range(2))
    for k, each in enumerate(numbers):
        high[k] = each.high.item()
        low[k] = each.c.low.item() if isinstance(each.c, DoubleDouble) else 0.0
    return DoubleDouble(high, low) if isinstance(numbers[0].c, DoubleDouble) else high
