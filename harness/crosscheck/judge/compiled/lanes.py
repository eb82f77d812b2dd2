"""Eight float64 numbers side by side: a number type for code that numba compiles.

`Lanes` holds one number of each of eight cases. Code is written as for one case, and every
operation works on all eight: one AVX-512 instruction, or two or four narrower ones where the
processor has no wider ones. Nothing is left to a compiler's guess about which loop can be
vectorised, and nothing is reordered: each operation is the IEEE 754 operation of its name.

    a + b   a - b   a * b   a / b   -a        lane by lane, rounded to nearest
    a < b   a <= b  a > b   a >= b  a == b    a `Mask`; false where either is NaN
    p & q   p | q   ~p                        on masks
    fused(a, b, c)                            a b + c, rounded once
    absolute(a)  lesser(a, b)  greater(a, b)  |a|, min, max (of numbers)
    where(p, a, b)                            a where p, else b
    splat(v)                                  v in every lane
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.types.containers import UniTuple
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

__all__ = [
    "DOUBLE",
    "INDEX",
    "LANES",
    "MASK",
    "MASK_BITS",
    "VECTOR",
    "WIDTH",
    "absolute",
    "any_lane",
    "everywhere",
    "first_lanes",
    "fused",
    "greater",
    "grid",
    "lane",
    "lesser",
    "nowhere",
    "peak",
    "reciprocal",
    "splat",
    "splatted",
    "split_by_four",
    "split_by_one",
    "split_by_two",
    "where",
]

WIDTH = 8
"""How many cases are worked on at once."""

DOUBLE = ir.DoubleType()
VECTOR = ir.VectorType(DOUBLE, WIDTH)
MASK_BITS = ir.VectorType(ir.IntType(1), WIDTH)
INDEX = ir.IntType(32)


class _LanesType(types.Type):
    def __init__(self) -> None:
        super().__init__(name="Lanes")


class _MaskType(types.Type):
    def __init__(self) -> None:
        super().__init__(name="Mask")


LANES, MASK = _LanesType(), _MaskType()


@register_model(_LanesType)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, VECTOR)


@register_model(_MaskType)
class _MaskModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, MASK_BITS)


def _define(
    function: Any, operands: tuple[Any, ...], result: Any, build: Callable[..., Any]
) -> None:
    """``function`` on these types of operand is what ``build(builder, *values)`` emits."""

    @type_callable(function)  # type: ignore[untyped-decorator]
    def _(context: Any) -> Any:
        def typer(*given: Any) -> Any:
            return result if given == operands else None

        return typer

    @lower_builtin(function, *operands)  # type: ignore[untyped-decorator]
    def _(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return build(builder, *values)


def _ordered(comparison: str) -> Callable[..., Any]:
    return lambda builder, a, b: builder.fcmp_ordered(comparison, a, b)


for _function, _name in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _define(
        _function,
        (LANES, LANES),
        LANES,
        lambda builder, a, b, name=_name: getattr(builder, name)(a, b),
    )
_define(operator.neg, (LANES,), LANES, lambda builder, a: builder.fneg(a))
for _function, _name in (
    (operator.lt, "<"),
    (operator.le, "<="),
    (operator.gt, ">"),
    (operator.ge, ">="),
    (operator.eq, "=="),
):
    _define(_function, (LANES, LANES), MASK, _ordered(_name))
_define(operator.and_, (MASK, MASK), MASK, lambda builder, p, q: builder.and_(p, q))
_define(operator.or_, (MASK, MASK), MASK, lambda builder, p, q: builder.or_(p, q))
_define(operator.invert, (MASK,), MASK, lambda builder, p: builder.not_(p))


def _call(builder: Any, name: str, *values: Any) -> Any:
    kind = ir.FunctionType(VECTOR, [VECTOR] * len(values))
    module = builder.module
    function = module.globals.get(name) or ir.Function(module, kind, name)
    return builder.call(function, values)


@intrinsic  # type: ignore[untyped-decorator]
def fused(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """a b + c, rounded once."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return _call(builder, "llvm.fma.v8f64", *values)

    return LANES(LANES, LANES, LANES), build


@intrinsic  # type: ignore[untyped-decorator]
def absolute(typing: Any, a: Any) -> Any:
    """|a|."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return _call(builder, "llvm.fabs.v8f64", *values)

    return LANES(LANES), build


@intrinsic  # type: ignore[untyped-decorator]
def where(typing: Any, chosen: Any, a: Any, b: Any) -> Any:
    """A where ``chosen``, else b."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.select(*values)

    return LANES(MASK, LANES, LANES), build


@intrinsic  # type: ignore[untyped-decorator]
def lesser(typing: Any, a: Any, b: Any) -> Any:
    """A where a < b, else b: NaN in a is passed over."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", *values), *values)

    return LANES(LANES, LANES), build


@intrinsic  # type: ignore[untyped-decorator]
def greater(typing: Any, a: Any, b: Any) -> Any:
    """A where a > b, else b: NaN in a is passed over."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", *values), *values)

    return LANES(LANES, LANES), build


@intrinsic  # type: ignore[untyped-decorator]
def splat(typing: Any, value: Any) -> Any:
    """``value``, a float, in every lane."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return splatted(builder, values[0])

    return LANES(types.float64), build


def splatted(builder: Any, value: Any) -> Any:
    """A value of LLVM in every lane of one."""
    empty = ir.Constant(VECTOR, ir.Undefined)
    first = builder.insert_element(empty, value, ir.Constant(INDEX, 0))
    zeros = ir.Constant(ir.VectorType(INDEX, WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(first, empty, zeros)


@intrinsic  # type: ignore[untyped-decorator]
def lane(typing: Any, lanes: Any, index: Any) -> Any:
    """The number in one lane."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        index = builder.trunc(values[1], INDEX)
        return builder.extract_element(values[0], index)

    return types.float64(LANES, types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def peak(typing: Any, lanes: Any) -> Any:
    """The largest of the eight numbers, none of which is NaN, in every lane."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        (most,) = values
        for distance in (4, 2, 1):
            order = [lane ^ distance for lane in range(WIDTH)]
            mask = ir.Constant(ir.VectorType(INDEX, WIDTH), order)
            other = builder.shuffle_vector(most, most, mask)
            most = builder.select(builder.fcmp_ordered(">", other, most), other, most)
        return most

    return LANES(LANES), build


def _split(distance: int) -> Any:
    """A function of two `Lanes`; see `split_by_one`."""
    first = [n if not n & distance else WIDTH + n - distance for n in range(WIDTH)]
    second = [n + distance if not n & distance else WIDTH + n for n in range(WIDTH)]
    result = UniTuple(LANES, 2)

    def split(typing: Any, a: Any, b: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            masks = [ir.Constant(ir.VectorType(INDEX, WIDTH), order) for order in (first, second)]
            halves = [builder.shuffle_vector(*values, mask) for mask in masks]
            return context.make_tuple(builder, result, halves)

        return result(LANES, LANES), build

    return intrinsic(split)


split_by_one, split_by_two, split_by_four = _split(1), _split(2), _split(4)
"""Two `Lanes` as two others: one has, of each pair of neighbours (of ones, of twos, of fours), the
first of a and the first of b, the other the second ones. So combining the two halves the numbers
of each, a's in the first places and b's in the second."""


@intrinsic  # type: ignore[untyped-decorator]
def first_lanes(typing: Any, count: Any) -> Any:
    """The `Mask` that is true in the first ``count`` lanes, which may be more than there are."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        whole = ir.VectorType(ir.IntType(64), WIDTH)
        empty = ir.Constant(whole, ir.Undefined)
        first = builder.insert_element(empty, values[0], ir.Constant(INDEX, 0))
        zeros = ir.Constant(ir.VectorType(INDEX, WIDTH), [0] * WIDTH)
        counts = builder.shuffle_vector(first, empty, zeros)
        return builder.icmp_signed("<", ir.Constant(whole, list(range(WIDTH))), counts)

    return MASK(types.int64), build


def _constant(truth: bool) -> Any:
    def constant(typing: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            return ir.Constant(MASK_BITS, [truth] * WIDTH)

        return MASK(), build

    return intrinsic(constant)


everywhere, nowhere = _constant(True), _constant(False)
"""The `Mask` that is true in every lane, and the one that is false in each."""


@intrinsic  # type: ignore[untyped-decorator]
def grid(typing: Any, a: Any) -> Any:
    """The largest power of two that divides a, which is 2^400 for 0 and 0 for subnormals.

    With the bits of the significand as a whole number m, m & -m is its lowest bit; m without the
    hidden bit is 0 for a power of two, which divides itself.
    """

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        whole = ir.VectorType(ir.IntType(64), WIDTH)

        def every(number: Any, kind: Any) -> Any:
            return ir.Constant(kind, [number] * WIDTH)

        (a,) = values
        bits = builder.bitcast(a, whole)
        significand = builder.and_(bits, every((1 << 52) - 1, whole))
        lowest = builder.and_(significand, builder.sub(every(0, whole), significand))
        exponent = builder.bitcast(builder.and_(bits, every(0x7FF << 52, whole)), VECTOR)
        step = builder.fmul(builder.sitofp(lowest, VECTOR), every(2.0**-52, VECTOR))
        power = builder.icmp_signed("==", significand, every(0, whole))
        result = builder.select(power, exponent, builder.fmul(step, exponent))
        nothing = builder.fcmp_ordered("==", a, every(0.0, VECTOR))
        return builder.select(nothing, every(2.0**400, VECTOR), result)

    return LANES(LANES), build


@intrinsic  # type: ignore[untyped-decorator]
def any_lane(typing: Any, mask: Any) -> Any:
    """Whether ``mask`` is true in any lane."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        bits = builder.bitcast(values[0], ir.IntType(WIDTH))
        return builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(WIDTH), 0))

    return types.boolean(MASK), build


@intrinsic  # type: ignore[untyped-decorator]
def reciprocal(typing: Any, a: Any) -> Any:
    """1 / a for a >= 0 to seven digits, and large for 0; a quarter of the time of a division.

    Taking the bits of a from a constant halves and negates its exponent and gives 1 / a with an
    error of an eighth; Newton's y (2 - a y) squares that three times.
    """

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        whole = ir.VectorType(ir.IntType(64), WIDTH)
        start = ir.Constant(whole, [0x7FDE623822FC16E6] * WIDTH)
        (a,) = values
        y = builder.bitcast(builder.sub(start, builder.bitcast(a, whole)), VECTOR)
        two = ir.Constant(VECTOR, [2.0] * WIDTH)
        for _ in range(3):
            rest = _call(builder, "llvm.fma.v8f64", builder.fneg(a), y, two)
            y = builder.fmul(y, rest)
        return y

    return LANES(LANES), build
