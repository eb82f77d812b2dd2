"""What belongs together in the compiled passes, as named tuples, and how it is held in memory.

A record costs nothing: in compiled code its fields are arguments and registers like any others.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from crosscheck.judge.compiled.functions import inlined
from crosscheck.judge.compiled.lanes import WIDTH
from crosscheck.judge.compiled.memory import bytes_of, load, store, whole

__all__ = [
    "BYTES",
    "Answers",
    "Cases",
    "Form",
    "Held",
    "Known",
    "Layer",
    "Room",
    "Shape",
    "Sum",
    "Watch",
    "activations_of",
    "keep",
    "known",
    "layer_of",
    "place_of",
    "quarters",
    "shifted",
]

BYTES = 8 * WIDTH
"""Of one `Lanes` in memory."""


class Form(NamedTuple):
    """The constants of a format.

    Attributes:
        splitter: 2^(53-p) + 1 for a format of p < 53 bits; ``None`` for float64, whose reference
            is in double-double. Code asks for it as an argument by itself: only so does numba
            leave out what is for the other kind.
        digits: 2^p.
        u: Unit roundoff.
        tau: The largest absolute error of a product.
        eta: The smallest subnormal number.
        widen: The factor on a bound that makes a gate's margin certain.
        keep: The factor on a bound that makes an entry's answer certain.
        limit: Below it nothing can overflow, in the format or here.
    """

    splitter: Any
    digits: float
    u: float
    tau: float
    eta: float
    widen: float
    keep: float
    limit: float


class Shape(NamedTuple):
    """What all cases have in common.

    Arrays are addressed by whole numbers, like all memory here: numba would count owners of an
    array in a record, by a locked operation, wherever the record goes.

    Attributes:
        depth: L.
        rows: B.
        relu_output: Whether the last layer has a ReLU.
        divisor: What the loss is divided by.
        widest: How many `Lanes` the units of one layer take at the most.
        sizes: Address of the numbers per case of each array ``W_1 … W_L, b_1 … b_L, x, y``,
        starts: of the sum of the sizes before each,
        widths: of n_0 … n_L,
        units: and of where each layer's activations begin in memory, counted in `Lanes`, and where
            the last layer's end.
    """

    depth: int
    rows: int
    relu_output: bool
    divisor: int
    widest: int
    sizes: int
    starts: int
    widths: int
    units: int


class Layer(NamedTuple):
    """One layer.

    Attributes:
        number: l - 1, which is also the position of W_l among the arrays.
        fan_in: n_{l-1}.
        fan_out: n_l.
        before: Where the activations that it takes begin; see `Shape`.
        after: Where its own do.
        has_bias: Whether b_l is there.
        has_relu: Whether it ends in a ReLU.
    """

    number: int
    fan_in: int
    fan_out: int
    before: int
    after: int
    has_bias: bool
    has_relu: bool


class Room(NamedTuple):
    """Addresses of memory to work in.

    Attributes:
        parameters: All numbers of eight cases, array after array, as `Lanes`.
        activations: Of all layers; see `quarters`.
        cotangents: Of one layer, likewise.
        others: Of another, likewise.
        worst: Each framework's largest error / bound so far.
        grids: A power of two that divides all numbers of an array, for each of them; then of the
            exact activations of each layer, from x on.
        table: What is passed on between loops.
    """

    parameters: int
    activations: int
    cotangents: int
    others: int
    worst: int
    grids: int
    table: int

    @classmethod
    def of(cls, begin: int, lanes: Sequence[int]) -> Room:
        """Parts of so many `Lanes` each, one behind the other."""
        return cls(*accumulate((BYTES * count for count in lanes[:-1]), initial=begin))


class Answers(NamedTuple):
    """Where the answers go.

    Attributes:
        frameworks: F.
        sound: Address of one byte each: certainly AGREES.
        largest: Address of the largest error / bound, float64.
        pitch: From a case's answer for one framework to that for the next, counted in answers.
    """

    frameworks: int
    sound: int
    largest: int
    pitch: int


class Cases(NamedTuple):
    """The cases that are judged together, with all that is needed for it.

    Attributes:
        tag: A number of the type in which all arrays are held.
        addresses: Address of those of arrays: in row 0 ``W_1 … W_L, b_1 … b_L, x, y``, in the
            others, one for each framework, the gradients in the same order, J in the place of y.
        first: The first of them.
        apart: From one of them to the next.
        shape: What they have in common.
        form: The constants of their format.
        room: Memory to work in.
        answers: Where the answers go.
    """

    tag: Any
    addresses: int
    first: int
    apart: int
    shape: Shape
    form: Form
    room: Room
    answers: Answers


class Watch(NamedTuple):
    """What may leave cases open, as far as they have been looked at.

    Attributes:
        open_: `Mask`: where something is not certain.
        least: `Lanes`: the smallest of what products are formed of, or its error.
        most: `Lanes`: the largest sum of magnitudes.
        sparse: Whether any weight is zero.
        has_grids: Whether grids have been found; until then they are 0.
    """

    open_: Any
    least: Any
    most: Any
    sparse: bool
    has_grids: bool


class Known(NamedTuple):
    """What is known of eight quantities, `Lanes` all of it.

    Attributes:
        high: The reference,
        low: its low part, which is only used in float64,
        error: e', at most the bound on the error of a framework's value; 0 of what is exact,
        reach: |c| + e'.
    """

    high: Any
    low: Any
    error: Any
    reach: Any


class Held(NamedTuple):
    """Where `Known` of a row of quantities is held: addresses of four rows of `Lanes`."""

    high: int
    low: int
    error: int
    reach: int


class Sum(NamedTuple):
    """An any-order sum of eight quantities each, `Lanes` all of it.

    Attributes:
        high: The reference,
        low: what was rounded off it, in float64,
        total: M, the sum of the magnitudes of its terms,
        carried: that of the errors that come with the operands.
    """

    high: Any
    low: Any
    total: Any
    carried: Any


@inlined
def quarters(address: int, lanes: int) -> Held:
    """Four parts of memory, each of so many `Lanes`."""
    size = BYTES * lanes
    return Held(address, address + size, address + 2 * size, address + 3 * size)


@inlined
def shifted(held: Held, lanes: int) -> Held:
    """What is held from there on."""
    by = BYTES * lanes
    return Held(held.high + by, held.low + by, held.error + by, held.reach + by)


@inlined
def known(held: Held, at: int) -> Known:
    """Read the ``at``-th of a row."""
    return Known(
        load(held.high, at), load(held.low, at), load(held.error, at), load(held.reach, at)
    )


@inlined
def keep(held: Held, at: int, what: Known) -> None:
    """Write the ``at``-th of a row."""
    store(held.high, at, what.high)
    store(held.low, at, what.low)
    store(held.error, at, what.error)
    store(held.reach, at, what.reach)


@inlined
def layer_of(shape: Shape, number: int) -> Layer:
    """The ``number``-th layer, counted from 0."""
    fan_in, fan_out = whole(shape.widths, number), whole(shape.widths, number + 1)
    before, after = whole(shape.units, number), whole(shape.units, number + 1)
    has_bias = whole(shape.sizes, shape.depth + number) > 0
    has_relu = shape.relu_output or number < shape.depth - 1
    return Layer(number, fan_in, fan_out, before, after, has_bias, has_relu)


@inlined
def activations_of(cases: Cases) -> Held:
    """Where what is known of all activations is held."""
    shape = cases.shape
    return quarters(cases.room.activations, whole(shape.units, shape.depth + 1))


@inlined
def place_of(cases: Cases, owner: int, array: int) -> int:
    """Address of one array's part that is the first case's.

    Args:
        cases: The cases.
        owner: 0 for the case's own, or 1 + f for framework f's.
        array: Which it is.
    """
    arrays = 2 * cases.shape.depth + 2
    start: int = whole(cases.addresses, arrays * owner + array)
    size: int = bytes_of(cases.tag) * whole(cases.shape.sizes, array)
    return start + size * cases.first
