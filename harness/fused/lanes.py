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

Memory is addressed by whole numbers, since a pass takes any number of arrays, and numba would
compile it anew for every number of them. Whoever calls it keeps the arrays alive.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.types.containers import UniTuple
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable
from numba.np.arrayobj import make_array

__all__ = [
    "LINE",
    "WIDTH",
    "absolute",
    "aligned_stack",
    "any_lane",
    "borrowed",
    "broadcast",
    "bytes_of",
    "differs",
    "eight",
    "four",
    "fused",
    "gather",
    "greater",
    "grid",
    "lane",
    "lesser",
    "load",
    "peak",
    "prefetch",
    "raise_to",
    "read",
    "reciprocal",
    "splat",
    "store",
    "transpose",
    "transpose_lanes",
    "where",
]

WIDTH = 8
"""How many cases are worked on at once."""

LINE = 64
"""Bytes that the processor's caches move at once."""

_DOUBLE = ir.DoubleType()
_VECTOR = ir.VectorType(_DOUBLE, WIDTH)
_BITS = ir.VectorType(ir.IntType(1), WIDTH)
_INDEX = ir.IntType(32)


class _LanesType(types.Type):
    def __init__(self) -> None:
        super().__init__(name="Lanes")


class _MaskType(types.Type):
    def __init__(self) -> None:
        super().__init__(name="Mask")


_LANES, _MASK = _LanesType(), _MaskType()


@register_model(_LanesType)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VECTOR)


@register_model(_MaskType)
class _MaskModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _BITS)


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
        (_LANES, _LANES),
        _LANES,
        lambda builder, a, b, name=_name: getattr(builder, name)(a, b),
    )
_define(operator.neg, (_LANES,), _LANES, lambda builder, a: builder.fneg(a))
for _function, _name in (
    (operator.lt, "<"),
    (operator.le, "<="),
    (operator.gt, ">"),
    (operator.ge, ">="),
    (operator.eq, "=="),
):
    _define(_function, (_LANES, _LANES), _MASK, _ordered(_name))
_define(operator.and_, (_MASK, _MASK), _MASK, lambda builder, p, q: builder.and_(p, q))
_define(operator.or_, (_MASK, _MASK), _MASK, lambda builder, p, q: builder.or_(p, q))
_define(operator.invert, (_MASK,), _MASK, lambda builder, p: builder.not_(p))


def _call(builder: Any, name: str, *values: Any) -> Any:
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * len(values))
    module = builder.module
    function = module.globals.get(name) or ir.Function(module, kind, name)
    return builder.call(function, values)


@intrinsic  # type: ignore[untyped-decorator]
def aligned_stack(typing: Any) -> Any:
    """Have the stack of the function that calls this begin at a multiple of 64 bytes.

    What does not fit into registers is kept there. Elsewhere each of these `Lanes` would take two
    lines of the cache, in three processes of four.
    """

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        attributes = builder.function.attributes
        attributes.alignstack = LINE
        attributes.add("nounwind")  # llvmlite writes none where only the alignment is given
        return context.get_dummy_value()

    return types.void(), build


@intrinsic  # type: ignore[untyped-decorator]
def borrowed(typing: Any, array: Any) -> Any:
    """The array without a count of its owners, which is a locked operation for every call."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        view = make_array(array)(context, builder, values[0])
        for owner in ("meminfo", "parent"):
            setattr(view, owner, ir.Constant(getattr(view, owner).type, None))
        return view._getvalue()

    return array(array), build


@intrinsic  # type: ignore[untyped-decorator]
def fused(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """a b + c, rounded once."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return _call(builder, "llvm.fma.v8f64", *values)

    return _LANES(_LANES, _LANES, _LANES), build


@intrinsic  # type: ignore[untyped-decorator]
def absolute(typing: Any, a: Any) -> Any:
    """|a|."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return _call(builder, "llvm.fabs.v8f64", *values)

    return _LANES(_LANES), build


@intrinsic  # type: ignore[untyped-decorator]
def where(typing: Any, chosen: Any, a: Any, b: Any) -> Any:
    """A where ``chosen``, else b."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.select(*values)

    return _LANES(_MASK, _LANES, _LANES), build


@intrinsic  # type: ignore[untyped-decorator]
def lesser(typing: Any, a: Any, b: Any) -> Any:
    """A where a < b, else b: NaN in a is passed over."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", *values), *values)

    return _LANES(_LANES, _LANES), build


@intrinsic  # type: ignore[untyped-decorator]
def greater(typing: Any, a: Any, b: Any) -> Any:
    """A where a > b, else b: NaN in a is passed over."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", *values), *values)

    return _LANES(_LANES, _LANES), build


@intrinsic  # type: ignore[untyped-decorator]
def splat(typing: Any, value: Any) -> Any:
    """``value``, a float, in every lane."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return _splat(builder, values[0])

    return _LANES(types.float64), build


def _splat(builder: Any, value: Any) -> Any:
    empty = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(empty, value, ir.Constant(_INDEX, 0))
    zeros = ir.Constant(ir.VectorType(_INDEX, WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(first, empty, zeros)


def _place(builder: Any, address: Any, kind: Any) -> Any:
    return builder.inttoptr(address, kind.as_pointer())


@intrinsic  # type: ignore[untyped-decorator]
def load(typing: Any, address: Any, index: Any) -> Any:
    """The ``index``-th `Lanes` of a row of them that starts at ``address``."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = builder.gep(_place(builder, values[0], _VECTOR), [values[1]])
        return builder.load(place, align=8)

    return _LANES(types.int64, types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def store(typing: Any, address: Any, index: Any, lanes: Any) -> Any:
    """Write ``lanes`` as the ``index``-th of a row of them that starts at ``address``."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = builder.gep(_place(builder, values[0], _VECTOR), [values[1]])
        builder.store(values[2], place, align=8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, _LANES), build


def _scalar(tag: Any) -> tuple[Any, int]:
    return (ir.FloatType(), 4) if tag == types.float32 else (_DOUBLE, 8)


@intrinsic  # type: ignore[untyped-decorator]
def bytes_of(typing: Any, tag: Any) -> Any:
    """How many bytes a number of the type of ``tag`` takes."""
    _, size = _scalar(tag)

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return ir.Constant(ir.IntType(64), size)

    return types.int64(tag), build


@intrinsic  # type: ignore[untyped-decorator]
def gather(typing: Any, tag: Any, address: Any, stride: Any) -> Any:
    """The numbers at ``address + lane · stride``, of the type of ``tag``.

    The stride is counted in numbers.
    """
    scalar, size = _scalar(tag)

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        _, address, stride = values
        base, lanes = _place(builder, address, scalar), ir.Constant(_VECTOR, ir.Undefined)
        for lane in range(WIDTH):
            step = builder.mul(stride, ir.Constant(ir.IntType(64), lane))
            number = builder.load(builder.gep(base, [step]), align=size)
            if size == 4:
                number = builder.fpext(number, _DOUBLE)
            lanes = builder.insert_element(lanes, number, ir.Constant(_INDEX, lane))
        return lanes

    return _LANES(tag, types.int64, types.int64), build


def _transposed(builder: Any, rows: list[Any]) -> list[Any]:
    """An 8 × 8 matrix transposed in three rounds, or two 4 × 4 ones side by side in two.

    They swap its off-diagonal blocks of one, two and four.
    """
    for distance in (1, 2, 4)[: len(rows).bit_length() - 1]:
        swapped = list(rows)
        for k in range(len(rows)):
            if k & distance:
                continue
            first = [n if not n & distance else WIDTH + n - distance for n in range(WIDTH)]
            second = [n + distance if not n & distance else WIDTH + n for n in range(WIDTH)]
            for place, order in ((k, first), (k + distance, second)):
                mask = ir.Constant(ir.VectorType(_INDEX, WIDTH), order)
                swapped[place] = builder.shuffle_vector(rows[k], rows[k + distance], mask)
        rows = swapped
    return rows


def _rows(builder: Any, address: Any, stride: Any, scalar: Any, count: int) -> list[Any]:
    """``count`` neighbouring numbers of each of eight cases, widened to float64."""
    base, rows = _place(builder, address, scalar), []
    narrow, wide = ir.VectorType(scalar, count), ir.VectorType(_DOUBLE, count)
    for lane in range(WIDTH):
        step = builder.mul(stride, ir.Constant(ir.IntType(64), lane))
        place = builder.bitcast(builder.gep(base, [step]), narrow.as_pointer())
        row = builder.load(place, align=8 if scalar == _DOUBLE else 4)
        rows.append(row if scalar == _DOUBLE else builder.fpext(row, wide))
    return rows


def _store_rows(builder: Any, rows: list[Any], target: Any, index: Any) -> None:
    start = builder.gep(_place(builder, target, _VECTOR), [index])
    for k, row in enumerate(_transposed(builder, rows)):
        place = builder.gep(start, [ir.Constant(ir.IntType(64), k)])
        builder.store(row, place, align=8)


@intrinsic  # type: ignore[untyped-decorator]
def transpose(typing: Any, tag: Any, address: Any, stride: Any, target: Any, index: Any) -> Any:
    """Eight neighbouring numbers of each of eight cases, written as eight `Lanes`.

    Case k begins at ``address + k · stride`` (counted in numbers of the type of ``tag``); the
    result goes to the ``index``-th and the following `Lanes` at ``target``.
    """
    scalar, _ = _scalar(tag)

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        _, address, stride, target, index = values
        rows = _rows(builder, address, stride, scalar, WIDTH)
        _store_rows(builder, rows, target, index)
        return context.get_dummy_value()

    signature = types.void(tag, types.int64, types.int64, types.int64, types.int64)
    return signature, build


@intrinsic  # type: ignore[untyped-decorator]
def eight(typing: Any, tag: Any, address: Any, stride: Any) -> Any:
    """Eight neighbouring numbers of each of eight cases, as a tuple of eight `Lanes`.

    Case k begins at ``address + k · stride`` (counted in numbers of the type of ``tag``).
    """
    scalar, _ = _scalar(tag)
    result = UniTuple(_LANES, WIDTH)

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        rows = _rows(builder, values[1], values[2], scalar, WIDTH)
        return context.make_tuple(builder, result, _transposed(builder, rows))

    return result(tag, types.int64, types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def four(typing: Any, tag: Any, address: Any, stride: Any) -> Any:
    """Four neighbouring numbers of each of eight cases, as a tuple of four `Lanes`; see `eight`.

    What is read of case k + 4 is put behind what is read of case k.
    """
    scalar, _ = _scalar(tag)
    result = UniTuple(_LANES, WIDTH // 2)
    order = ir.Constant(ir.VectorType(_INDEX, WIDTH), list(range(WIDTH)))

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        rows = _rows(builder, values[1], values[2], scalar, WIDTH // 2)
        pairs = zip(rows[: WIDTH // 2], rows[WIDTH // 2 :], strict=True)
        whole = [builder.shuffle_vector(*pair, order) for pair in pairs]
        return context.make_tuple(builder, result, _transposed(builder, whole))

    return result(tag, types.int64, types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def transpose_lanes(typing: Any, source: Any, target: Any, index: Any) -> Any:
    """Eight `Lanes` at ``source``, turned: the k-th of the result holds lane k of each."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        source, target, index = values
        first = _place(builder, source, _VECTOR)
        rows = [
            builder.load(builder.gep(first, [ir.Constant(ir.IntType(64), k)]), align=8)
            for k in range(WIDTH)
        ]
        _store_rows(builder, rows, target, index)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def lane(typing: Any, lanes: Any, index: Any) -> Any:
    """The number in one lane."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        index = builder.trunc(values[1], _INDEX)
        return builder.extract_element(values[0], index)

    return types.float64(_LANES, types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def broadcast(typing: Any, address: Any, index: Any) -> Any:
    """The ``index``-th float64 number from ``address`` on, in every lane."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = builder.gep(_place(builder, values[0], _DOUBLE), [values[1]])
        return _splat(builder, builder.load(place, align=8))

    return _LANES(types.int64, types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def read(typing: Any, tag: Any, address: Any) -> Any:
    """Eight neighbouring numbers from ``address`` on, of the type of ``tag``."""
    scalar, size = _scalar(tag)
    narrow = ir.VectorType(scalar, WIDTH)

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        row = builder.load(_place(builder, values[1], narrow), align=size)
        return builder.fpext(row, _VECTOR) if size == 4 else row

    return _LANES(tag, types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def differs(typing: Any, tag: Any, address: Any, other: Any) -> Any:
    """Where eight neighbouring numbers from ``address`` on are not, bit by bit, those at ``other``.

    They are of the type of ``tag``.
    """
    _, size = _scalar(tag)
    bits = ir.VectorType(ir.IntType(8 * size), WIDTH)

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        first, second = (builder.load(_place(builder, v, bits), align=size) for v in values[1:])
        return builder.icmp_unsigned("!=", first, second)

    return _MASK(tag, types.int64, types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def prefetch(typing: Any, address: Any) -> Any:
    """Ask for the memory at ``address`` ahead of its use; nothing is read.

    It is brought near, but not into the nearest cache, which holds what is worked on.
    """

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        name = "llvm.prefetch.p0i8"
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        to_read, near, data = 0, 1, 1
        hints = [ir.Constant(number, hint) for hint in (to_read, near, data)]
        builder.call(function, [builder.inttoptr(values[0], byte), *hints])
        return context.get_dummy_value()

    return types.void(types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def peak(typing: Any, lanes: Any) -> Any:
    """The largest of the eight numbers, none of which is NaN, in every lane."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        (most,) = values
        for distance in (4, 2, 1):
            order = [lane ^ distance for lane in range(WIDTH)]
            mask = ir.Constant(ir.VectorType(_INDEX, WIDTH), order)
            other = builder.shuffle_vector(most, most, mask)
            most = builder.select(builder.fcmp_ordered(">", other, most), other, most)
        return most

    return _LANES(_LANES), build


@intrinsic  # type: ignore[untyped-decorator]
def raise_to(typing: Any, address: Any, index: Any, value: Any) -> Any:
    """Raise the ``index``-th float64 number from ``address`` on to at least ``value``."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = builder.gep(_place(builder, values[0], _DOUBLE), [values[1]])
        before = builder.load(place, align=8)
        above = builder.fcmp_ordered(">", values[2], before)
        builder.store(builder.select(above, values[2], before), place, align=8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.float64), build


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
        exponent = builder.bitcast(builder.and_(bits, every(0x7FF << 52, whole)), _VECTOR)
        step = builder.fmul(builder.sitofp(lowest, _VECTOR), every(2.0**-52, _VECTOR))
        power = builder.icmp_signed("==", significand, every(0, whole))
        result = builder.select(power, exponent, builder.fmul(step, exponent))
        nothing = builder.fcmp_ordered("==", a, every(0.0, _VECTOR))
        return builder.select(nothing, every(2.0**400, _VECTOR), result)

    return _LANES(_LANES), build


@intrinsic  # type: ignore[untyped-decorator]
def any_lane(typing: Any, mask: Any) -> Any:
    """Whether ``mask`` is true in any lane."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        bits = builder.bitcast(values[0], ir.IntType(WIDTH))
        return builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(WIDTH), 0))

    return types.boolean(_MASK), build


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
        y = builder.bitcast(builder.sub(start, builder.bitcast(a, whole)), _VECTOR)
        two = ir.Constant(_VECTOR, [2.0] * WIDTH)
        for _ in range(3):
            rest = _call(builder, "llvm.fma.v8f64", builder.fneg(a), y, two)
            y = builder.fmul(y, rest)
        return y

    return _LANES(_LANES), build
