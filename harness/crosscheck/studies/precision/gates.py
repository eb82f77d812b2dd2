"""How many gates of a case are open: classes by proof."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from crosscheck.judge.enclosed import Enclosed
from crosscheck.network.dense import Case
from crosscheck.network.exact import exact_forward
from crosscheck.numbers.double_double import DoubleDouble
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.numbers.model import Model
from crosscheck.studies.precision.settings import require_count

__all__ = ["BLOCK", "EXACT_PRODUCTS", "GateCounts", "count_gates", "is_explained", "some_rows"]

Mask: TypeAlias = NDArray[np.bool_]

EXACT_PRODUCTS = 100_000
"""Products of rationals for the gates of one case: a twentieth of a second, a quarter without
python-flint."""

BLOCK = 32
"""Rows of a batch that are enclosed at a time."""


@dataclass(frozen=True)
class GateCounts:
    """How many gates there are of each class.

    Attributes:
        gates: All that were looked at.
        undecided: Open, and z ≠ 0 in exact arithmetic.
        kinks: Open, and z = 0 in exact arithmetic.
        unclassified: Open, and not known whether z = 0: neither the enclosure nor the limited
            number of rows evaluated on rationals has settled it.
    """

    gates: int = 0
    undecided: int = 0
    kinks: int = 0
    unclassified: int = 0

    def __add__(self, other: GateCounts) -> GateCounts:
        return GateCounts(
            self.gates + other.gates,
            self.undecided + other.undecided,
            self.kinks + other.kinks,
            self.unclassified + other.unclassified,
        )

    @property
    def open(self) -> int:
        """Gates whose sign is not the same for every correct evaluation."""
        return self.undecided + self.kinks + self.unclassified

    def share(self, count: int) -> float:
        """``count`` of all gates, in [0, 1]; 0 if there are none."""
        return count / self.gates if self.gates else 0.0


@in_ieee_arithmetic
def count_gates(case: Case, *, exact_products: int = EXACT_PRODUCTS) -> GateCounts:
    """Put every gate of a single finite case into its class, by proof.

    A gate is open where `crosscheck.judge.gates.certain_signs` proves no sign, for arithmetic that
    keeps subnormal numbers. Whether the exact z of an open gate is zero follows from the enclosure
    |c − z| <= r nearly always: z ≠ 0 if |c| > r, z = 0 if c = r = 0. For the gates that are left,
    the rows they are in are evaluated on rationals, as many as ``exact_products`` allows; what
    lies in further rows is counted as unclassified, and nothing is extrapolated.

    Args:
        case: A single case.
        exact_products: Most products of rationals to form, 0 or more; a row takes as many as
            there are weights.
    """
    require_count("exact_products", exact_products, 0)
    enclosed = Enclosed(case, Model(format_of(case.dtype)))
    counts = GateCounts()
    left: list[tuple[int, Mask]] = []
    for layer, sign in enumerate(enclosed.signs):
        if sign is None:
            continue
        enclosure: Enclosure = enclosed.trace.pre_activations[layer]
        is_open = sign == 0
        nonzero, zero = _settled(enclosure)
        unsettled = is_open & ~nonzero & ~zero
        left.append((layer, unsettled))
        counts += GateCounts(
            sign.size,
            int((is_open & nonzero).sum()),
            int((is_open & zero).sum()),
            int(unsettled.sum()),
        )
    if not counts.unclassified:
        return counts
    rows = np.flatnonzero(np.any([unsettled.any(axis=-1) for _, unsettled in left], axis=0))
    rows = rows[: exact_products // sum(weight.size for weight in case.weights)]
    if not len(rows):
        return counts
    exact = exact_forward(some_rows(case, rows))
    found = zeros = 0
    for layer, unsettled in left:
        here = unsettled[rows]
        found += int(here.sum())
        zeros += int((here & (exact.pre_activations[layer] == 0)).sum())
    return counts + GateCounts(0, found - zeros, zeros, -found)


def _settled(z: Enclosure) -> tuple[Mask, Mask]:
    """Where the exact z is proved not to be zero, and where it is proved to be; bool arrays."""
    size = np.abs(z.high)
    low = np.abs(z.c.low) if isinstance(z.c, DoubleDouble) else np.zeros_like(size)
    # Rounding is monotonic, so fl(size - low) > r proves size - low > r, hence |c| > r.
    nonzero: Mask = size - low > z.r
    zero: Mask = (z.r == 0) & (size == 0) & (low == 0)
    return nonzero, zero


def some_rows(case: Case, rows: slice | NDArray[np.intp]) -> Case:
    """The case on some rows of its batch only: the gates of a row do not depend on the others."""
    return replace(case, x=case.x[rows], y=case.y[rows])


@in_ieee_arithmetic
def is_explained(case: Case) -> bool:
    """Whether any gate is open, for arithmetic that may flush subnormal numbers or keep them."""
    model = Model(format_of(case.dtype), flush=True)
    return any(
        bool(Enclosed(some_rows(case, slice(start, start + BLOCK)), model).has_open_gates)
        for start in range(0, case.rows, BLOCK)
    )
