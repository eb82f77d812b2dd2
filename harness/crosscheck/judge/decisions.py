"""Decisions: where a network decides, what is known of each, and what a framework did there.

A ReLU decides on the sign of its pre-activation, another piecewise function on the side of its
breakpoint. A decision is open where correct evaluations may differ in it, or where there is no
derivative: then a framework's slope is s = s₋ + λ (s₊ - s₋), with the slopes from the left and
from the right, and λ in [0, 1] is reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

__all__ = ["Decision", "Effect", "GateClass", "GateReading", "Place"]


class GateClass(StrEnum):
    """What is known of the sign of a pre-activation.

    ``ACTIVE`` and ``INACTIVE`` are certain for every order of evaluation. ``KINK`` is exactly
    zero, in exact arithmetic and in every evaluation; ``MAYBE_MISSED`` is exactly zero, but a
    rounded sum may land beside it; ``UNDECIDED`` is not zero, but within the rounding bound
    of it.
    """

    ACTIVE = "active"
    INACTIVE = "inactive"
    KINK = "kink"
    MAYBE_MISSED = "kink, may be missed"
    UNDECIDED = "undecided"


class Effect(StrEnum):
    """What is known of the slope λ that was used at an open gate.

    ``READ``: λ is that of the simplest slopes which give the gradient. ``NONE``: the exact
    gradient is the same for all slopes at all gates of this kind together, the others as read.
    ``TOO_SMALL``: the exact gradient depends on λ, but another convention at this gate leaves
    every entry within its bound too. ``NOT_DECIDED``: no slopes were found, or to tell would take
    more work than is allowed.
    """

    READ = "read"
    NONE = "no effect"
    TOO_SMALL = "too small to read"
    NOT_DECIDED = "not decided"


@dataclass(frozen=True, order=True, slots=True)
class Place:
    """Where something is decided: a node of the computation, and an index in its value.

    All that depends on the same number is decided once. Places are in the order of the nodes, then
    of the indices.

    Attributes:
        node: What is decided upon. In a dense network 1 … L: the pre-activation of that layer. In
            a network of operators the number of a node of its program.
        index: Of the number in the node's value, from 0: in a dense network (row, unit).
    """

    node: int
    index: tuple[int, ...]

    @classmethod
    def of_gate(cls, layer: int, row: int, unit: int) -> Place:
        """That of a gate of a dense network."""
        return cls(layer, (row, unit))

    @property
    def layer(self) -> int:
        """1 … L, of a dense network."""
        return self.node

    @property
    def row(self) -> int:
        """Of the batch, from 0, of a dense network."""
        return self.index[0]

    @property
    def unit(self) -> int:
        """Within the layer, from 0, of a dense network."""
        return self.index[1]

    def __str__(self) -> str:
        """The place in a dense network, for people."""
        return f"layer {self.layer}, unit {self.unit}, row {self.row}"


class _AtPlace:
    """What is at a place; that of a dense network also in its own words."""

    place: Place

    @property
    def layer(self) -> int:
        """As of `Place`."""
        return self.place.node

    @property
    def row(self) -> int:
        """As of `Place`."""
        return self.place.row

    @property
    def unit(self) -> int:
        """As of `Place`."""
        return self.place.unit


@dataclass(frozen=True)
class Decision(_AtPlace):
    """One decision, and what is known of it.

    Attributes:
        place: Where.
        gate: Its class.
        value: The value that is decided upon, rounded to float64: of one that is certain the
            reference's, else the exact one, and at the breakpoint only if it is there.
        sign: Sign of the exact value minus the breakpoint.
        breakpoint: Where the slopes meet.
    """

    place: Place
    gate: GateClass
    value: float
    sign: int
    breakpoint: Fraction = Fraction(0)

    @property
    def side(self) -> float:
        """λ of the exact side: 1 above the breakpoint, 0 below it and at it."""
        return 1.0 if self.sign > 0 else 0.0


@dataclass(frozen=True)
class GateReading(_AtPlace):
    """One decision that is not certain, and what one framework did there.

    Attributes:
        place: Where.
        gate: ``KINK``, ``MAYBE_MISSED`` or ``UNDECIDED``.
        value: The exact value rounded to float64; at the breakpoint only if it is there.
        slope: λ that the framework used, in [0, 1]; ``None`` where it was not read.
        flipped: An undecided decision at which the framework took the side opposite to the
            exact one.
        effect: Whether λ was read, and if not why.
        step: In a network of operators the step that decides; empty in a dense one.
        operator: Of that step.
        breakpoint: Where the slopes meet.
        slopes: The slopes from the left and from the right of it; λ goes from one to the other.
    """

    place: Place
    gate: GateClass
    value: float
    slope: float | None
    flipped: bool = False
    effect: Effect = Effect.READ
    step: str = ""
    operator: str = ""
    breakpoint: float = 0.0
    slopes: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        if not self.step and len(self.place.index) != 2:
            raise ValueError(f"{self.place.index} is no row and unit of a dense network")

    @property
    def where(self) -> str:
        """The place, for people."""
        if not self.step:
            return str(self.place)
        return f"{self.step}[{','.join(map(str, self.place.index))}] at {self.breakpoint:g}"
