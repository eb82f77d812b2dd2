"""Operations of array libraries in primitives, with NumPy's rules for shapes.

Every frontend is a reading of its library's operations as these. Operands broadcast as NumPy's do:
axes of length 1 are added in front, and repeated. What only moves numbers is `moved`, by running
the library's own operation on an array of places.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from crosscheck.numbers.elementary import ELEMENTARY
from crosscheck.numbers.piecewise import Piecewise
from crosscheck.operators.places import moved, numbered
from crosscheck.program.graph import Graph, Shape, Var
from crosscheck.program.places import Places
from crosscheck.tools.errors import UnsupportedError, UsageError

__all__ = [
    "MOST_NUMBERS",
    "add",
    "aligned",
    "chosen",
    "constant",
    "divide",
    "elementary",
    "extreme",
    "extreme_along",
    "joined",
    "matmul",
    "mean",
    "moved",
    "multiply",
    "number_of",
    "numbered",
    "power",
    "reshaped",
    "subtract",
    "sum_along",
    "transposed",
    "with_constant",
]

MOST_NUMBERS = 32
"""Different numbers of an array that become constants of the program; arrays of more are inputs."""


def constant(graph: Graph, value: object) -> Var | None:
    """Numbers that are known, each an exact constant, which an implementation rounds to its dtype.

    Args:
        graph: What the result belongs to.
        value: Anything that becomes a float64 array.

    Returns:
        ``None`` if there are more than `MOST_NUMBERS` different ones: they have to be an input.

    Raises:
        UnsupportedError: A number is not finite.
    """
    array = np.asarray(value, dtype=np.float64)
    if not np.isfinite(array).all():
        raise UnsupportedError("a constant is NaN or infinite, wanted finite numbers")
    numbers = np.unique(array)
    if len(numbers) > MOST_NUMBERS:
        return None
    found: Var | None = None
    for number in numbers:
        if number == 0.0:
            continue
        here = np.flatnonzero(array.ravel() == number)
        ones = graph.ones(array.shape)
        if len(here) < array.size:
            ones = graph.ones((len(here),)).scatter(Places(here.tolist()), array.shape)
        term = ones.times(Fraction(float(number)))
        found = term if found is None else found + term
    return graph.zeros(array.shape) if found is None else found


def aligned(*operands: Var) -> tuple[Var, ...]:
    """The operands with as many axes as the one that has most; lengths of 1 stay.

    Raises:
        UsageError: They do not broadcast.
    """
    shapes = [each.shape for each in operands]
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        words = " and ".join(map(str, shapes))
        raise UsageError(f"shapes {words} do not broadcast") from None
    most = max(map(len, shapes))
    return tuple(_with_axes(each, most) for each in operands)


def _with_axes(x: Var, count: int) -> Var:
    if x.node.op == "zeros":
        return x.graph.zeros((*(1,) * (count - len(x.shape)), *x.shape))
    while len(x.shape) < count:
        x = x.expand(-len(x.shape) - 1)
    return x


def add(a: Var, b: Var) -> Var:
    """a + b; what has nothing added to it is what it was."""
    a, b = aligned(a, b)
    shape = np.broadcast_shapes(a.shape, b.shape)
    for one, other in ((a, b), (b, a)):
        if number_of(one) == 0 and other.shape == shape:
            return other
    return a + b


def subtract(a: Var, b: Var) -> Var:
    """a - b; what has nothing taken from it is what it was."""
    a, b = aligned(a, b)
    if number_of(b) == 0 and a.shape == np.broadcast_shapes(a.shape, b.shape):
        return a
    return a - b


def multiply(a: Var, b: Var) -> Var:
    """a ∘ b; with the constant 0, zeros."""
    a, b = aligned(a, b)
    if 0 in (number_of(a), number_of(b)):
        return a.graph.zeros(np.broadcast_shapes(a.shape, b.shape))
    return a * b


def divide(a: Var, b: Var) -> Var:
    """a / b, as `crosscheck.operators.division` has it; by a constant, the product with 1 / c.

    Raises:
        UsageError: The constant is 0.
    """
    a, b = aligned(a, b)
    number = number_of(b)
    if number is not None:
        if number == 0:
            raise UsageError("a division by the constant 0")
        shape = np.broadcast_shapes(a.shape, b.shape)
        return a.broadcast(shape).times(1 / number)
    return a * b.elementary("reciprocal", row="quotient")


def number_of(x: Var) -> Fraction | None:
    """The number that all of a constant array's entries are, or ``None``."""
    node = x.node
    if node.op == "zeros":
        return Fraction(0)
    if node.op == "ones":
        return Fraction(1)
    if node.op == "times_constants" and x.graph.nodes[node.inputs[0]].op == "ones":
        return math.prod(node.settings["constants"], start=Fraction(1))
    return None


def power(x: Var, exponent: float) -> Var:
    """x to a constant power: a product of factors for whole ones, else of `ELEMENTARY`.

    Raises:
        UnsupportedError: There is no rule for the exponent.
    """
    if exponent == 0:
        return x.graph.ones(x.shape)
    if exponent == int(exponent) and 1 <= abs(exponent) <= 64:
        found = _whole_power(x, int(abs(exponent)))
        return found if exponent > 0 else divide(x.graph.ones(()), found)
    name = {0.5: "sqrt", -0.5: "rsqrt"}.get(exponent, f"power_{float(exponent):g}")
    return elementary(name, x)


def _whole_power(x: Var, exponent: int) -> Var:
    if exponent == 2 and "power_2" in ELEMENTARY:
        return x.elementary("power_2")
    if exponent == 3 and "power_3" in ELEMENTARY:
        return x.elementary("power_3")
    half = x if exponent // 2 == 1 else _whole_power(x, exponent // 2) if exponent > 1 else None
    if half is None:
        return x
    squared = half * half
    return squared * x if exponent % 2 else squared


def elementary(name: str, x: Var) -> Var:
    """A function of `crosscheck.numbers.elementary`, entry by entry.

    Raises:
        UnsupportedError: There is none of this name.
    """
    if name not in ELEMENTARY:
        raise UnsupportedError(
            f"{name}: no rule for this function; there are {', '.join(ELEMENTARY)}"
        )
    return x.elementary(name)


# -- sums and products over axes ---------------------------------------------------------------


def _axes_of(shape: Shape, axis: int | Sequence[int] | None) -> tuple[int, ...]:
    """Axes counted from the last, ascending; all for ``None``."""
    if axis is None:
        return tuple(range(-len(shape), 0))
    given = (axis,) if isinstance(axis, int | np.integer) else tuple(axis)
    found = []
    for each in given:
        if not -len(shape) <= each < len(shape):
            raise UsageError(f"axis {each} of an array of shape {shape}")
        found.append(int(each) if each < 0 else int(each) - len(shape))
    return tuple(sorted(set(found)))


def sum_along(x: Var, axis: int | Sequence[int] | None = None, keep: bool = False) -> Var:
    """Σ over axes, in any order."""
    axes = _axes_of(x.shape, axis)
    return x.sum(*axes, keep=keep) if axes else x


def mean(x: Var, axis: int | Sequence[int] | None = None, keep: bool = False) -> Var:
    """The mean over axes: a sum, times one over the number of terms."""
    axes = _axes_of(x.shape, axis)
    count = math.prod(x.shape[each] for each in axes)
    return sum_along(x, axes, keep).times(Fraction(1, count)) if axes else x


def matmul(a: Var, b: Var) -> Var:
    """The matrix product as NumPy's ``@``: of vectors too, with axes in front that broadcast.

    Raises:
        UsageError: The shapes do not fit.
    """
    if not a.shape or not b.shape:
        raise UsageError(f"a matrix product of shapes {a.shape} and {b.shape}")
    row, column = len(a.shape) == 1, len(b.shape) == 1
    a = a.expand(-2) if row else a
    b = b.expand(-1) if column else b
    if a.shape[-1] != b.shape[-2]:
        raise UsageError(f"a matrix product of shapes {a.shape} and {b.shape}")
    count = max(len(a.shape), len(b.shape))
    a, b = _with_axes(a, count), _with_axes(b, count)
    try:
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise UsageError(f"a matrix product of shapes {a.shape} and {b.shape}") from None
    found = a.broadcast((*lead, *a.shape[-2:])) @ b.broadcast((*lead, *b.shape[-2:]))
    found = found.squeeze(-1) if column else found
    return found.squeeze(-1 if column else -2) if row else found


# -- extremes ------------------------------------------------------------------------------------


def extreme(a: Var, b: Var, sign: int) -> Var:
    """The larger of two numbers (``sign`` 1), or the smaller (-1), entry by entry.

    With a constant it is a function of one number with a kink; else two equal ones are a tie.
    """
    a, b = aligned(a, b)
    shape = np.broadcast_shapes(a.shape, b.shape)
    constants = number_of(a), number_of(b)
    if constants[1] is None and constants[0] is not None:
        a, b, constants = b, a, constants[::-1]
    if constants[1] is not None:
        return with_constant(a.broadcast(shape), constants[1], sign)
    pair = joined([each.broadcast(shape).expand(-1) for each in (a, b)], len(shape))
    return pair.maximum() if sign > 0 else pair.smaller()


def with_constant(x: Var, bound: Fraction, sign: int) -> Var:
    """max(x, c) or min(x, c) as a function with one kink."""
    flat, line = (bound,), (Fraction(0), Fraction(1))
    pieces = (flat, line) if sign > 0 else (line, flat)
    name = "relu" if not bound and sign > 0 else f"{'max' if sign > 0 else 'min'}_{bound}"
    words = f"{'max' if sign > 0 else 'min'}(z, {bound})"
    return x.piecewise(Piecewise(name, words, (bound,), pieces))


def extreme_along(x: Var, axis: int | Sequence[int] | None, sign: int, keep: bool = False) -> Var:
    """The largest (``sign`` 1) or smallest number along axes, tied where several are it."""
    axes = _axes_of(x.shape, axis)
    if not axes:
        return x
    rest = [each - len(x.shape) for each in range(len(x.shape)) if each - len(x.shape) not in axes]
    order = [each + len(x.shape) for each in (*rest, *axes)]
    lead = tuple(x.shape[each] for each in rest)
    size = math.prod(x.shape[each] for each in axes)
    flat = x
    if axes != (-1,):
        flat = moved(x, lambda places: places.transpose(order).reshape(*lead, size))
    found = flat.maximum() if sign > 0 else flat.times(-1).maximum().times(-1)
    if keep:
        for each in reversed(axes):  # counted from the last: those behind have to be there
            found = found.expand(each)
    return found


# -- places --------------------------------------------------------------------------------------


def reshaped(x: Var, shape: Shape) -> Var:
    """The same numbers in another shape."""
    return x if shape == x.shape else moved(x, lambda places: places.reshape(shape))


def transposed(x: Var, order: Sequence[int] | None = None) -> Var:
    """The axes in another order; reversed for ``None``."""
    count = len(x.shape)
    axes = tuple(reversed(range(count))) if order is None else tuple(each % count for each in order)
    if axes == tuple(range(count)):
        return x
    if axes == (*range(count - 2), count - 1, count - 2):
        return x.transposed
    return moved(x, lambda places: places.transpose(axes))


def joined(parts: Sequence[Var], axis: int) -> Var:
    """The parts one after the other along an axis, counted from the first."""
    parts = [each for each in parts if each.shape[axis]] or parts[:1]
    if len(parts) == 1:
        return parts[0]
    total = sum(each.shape[axis] for each in parts)
    shape = tuple(total if at == axis else size for at, size in enumerate(parts[0].shape))
    found: Var | None = None
    begin = 0
    for each in parts:
        index = tuple(
            slice(begin, begin + each.shape[axis]) if at == axis else slice(None)
            for at in range(len(shape))
        )
        begin += each.shape[axis]
        there = np.full(shape, -1, dtype=np.intp)
        there[index] = numbered(each.shape)
        placed = each.take(Places(there.ravel().tolist()), shape)
        found = placed if found is None else found + placed
    assert found is not None
    return found


def chosen(mask: NDArray[np.bool_], a: Var, b: Var) -> Var:
    """a where the mask, which is known, is true, else b."""
    a, b = aligned(a, b)
    shape = np.broadcast_shapes(a.shape, b.shape, mask.shape)
    a, b = (_with_axes(each, len(shape)).broadcast(shape) for each in (a, b))
    whole = np.broadcast_to(mask, shape)
    kept = moved(a, lambda places: np.where(whole, places, -1))
    return kept + moved(b, lambda places: np.where(whole, -1, places))
