"""Philox 4x64-10 for code that numba compiles, sixteen counters at a time.

A round multiplies two words by constants, 64 × 64 → 128 bits. Processors do this for one pair of
words at a time, or, with products of 32-bit halves, for eight words side by side; the second way
takes six tenths of the time where there is AVX-512, and two independent groups fill the time
that each has to wait. NumPy's own generator, one counter after the other, takes four times as
long for each word.

Memory is addressed by whole numbers, as in `crosscheck.judge.compiled.lanes`: an address in bytes,
and an index counted in what lies there. Whoever calls keeps the memory alive. (An array as an
argument would cost several atomic operations in each call: numba counts references to it.) Where an
operation is there for float64 and for float32, the first argument is any number of the type.
Bytes of a word are taken in little-endian order, which is that of every processor that numba
compiles for.
"""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

__all__ = [
    "GROUP",
    "binade",
    "cancel_eight",
    "copy",
    "copy_eight",
    "copy_four",
    "copy_sixteen",
    "mirrored",
    "number",
    "octet",
    "philox",
    "power",
    "put",
    "put_eight_normals",
    "set_word",
    "word",
]

GROUP = 64
"""Words that `philox` makes at once."""

_LANES = 8
_ROUNDS = 10
# Salmon, Moraes, Dror and Shaw (2011), table 2 and section 3.
_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)

_WORD = ir.IntType(64)
_WORDS = ir.VectorType(_WORD, _LANES)
_DOUBLE = ir.DoubleType()
_DOUBLES = ir.VectorType(_DOUBLE, _LANES)
_INDEX = ir.IntType(32)


def _every(number: int) -> Any:
    return ir.Constant(_WORDS, [number] * _LANES)


def _splat(builder: Any, value: Any) -> Any:
    empty = ir.Constant(_WORDS, ir.Undefined)
    first = builder.insert_element(empty, value, ir.Constant(_INDEX, 0))
    return builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(_INDEX, _LANES), [0] * 8))


def _product(builder: Any, a: Any, constant: int) -> tuple[Any, Any]:
    """The upper and the lower words of a · constant.

    With a = 2³² a₁ + a₀ and likewise c, the sums that carry are
    t = a₁ c₀ + ⌊a₀ c₀ / 2³²⌋ and u = a₀ c₁ + (t mod 2³²), neither of which overflows.
    """
    half, mask = _every(32), _every(2**32 - 1)
    upper, lower = _every(constant >> 32), _every(constant & (2**32 - 1))
    a_lower, a_upper = builder.and_(a, mask), builder.lshr(a, half)
    least = builder.mul(a_lower, lower)
    t = builder.add(builder.mul(a_upper, lower), builder.lshr(least, half))
    u = builder.add(builder.mul(a_lower, upper), builder.and_(t, mask))
    carried = builder.add(builder.lshr(t, half), builder.lshr(u, half))
    high = builder.add(builder.mul(a_upper, upper), carried)
    return high, builder.or_(builder.and_(least, mask), builder.shl(u, half))


def _in_order(builder: Any, words: list[Any]) -> list[Any]:
    """Four vectors with the first, second, … words of eight counters, as these follow in memory."""

    def shuffled(a: Any, b: Any, order: list[int]) -> Any:
        return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_INDEX, _LANES), order))

    first, second, third, fourth = words
    result = []
    for half in (0, 4):
        order = [place for k in range(half, half + 4) for place in (k, _LANES + k)]
        left, right = shuffled(first, second, order), shuffled(third, fourth, order)
        for pair in (0, 4):
            places = [pair, pair + 1, 8 + pair, 9 + pair, pair + 2, pair + 3, 10 + pair, 11 + pair]
            result.append(shuffled(left, right, places))
    return result


@intrinsic  # type: ignore[untyped-decorator]
def philox(
    typing: Any, seed: Any, key: Any, counter: Any, number: Any, purpose: Any, address: Any
) -> Any:
    """Write the words of sixteen counters from ``(counter, number, purpose, 0)`` on."""
    unsigned = types.uint64

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        seed, key, counter, number, purpose, address = values
        groups = []
        for group in (0, _LANES):
            steps = ir.Constant(_WORDS, list(range(group, group + _LANES)))
            lowest = builder.add(_splat(builder, counter), steps)
            groups.append(
                [lowest, _splat(builder, number), _splat(builder, purpose), _every(0)],
            )
        keys = [seed, key]
        for _ in range(_ROUNDS):
            here = [_splat(builder, each) for each in keys]
            for group, (c0, c1, c2, c3) in enumerate(groups):
                high0, low0 = _product(builder, c0, _MULTIPLIERS[0])
                high1, low1 = _product(builder, c2, _MULTIPLIERS[1])
                groups[group] = [
                    builder.xor(builder.xor(high1, c1), here[0]),
                    low1,
                    builder.xor(builder.xor(high0, c3), here[1]),
                    low0,
                ]
            keys = [
                builder.add(each, ir.Constant(_WORD, step))
                for each, step in zip(keys, _WEYL, strict=True)
            ]
        start = builder.inttoptr(address, _WORDS.as_pointer())
        vectors = [vector for group in groups for vector in _in_order(builder, group)]
        for position, vector in enumerate(vectors):
            builder.store(vector, builder.gep(start, [ir.Constant(_WORD, position)]), align=8)
        return context.get_dummy_value()

    return types.void(unsigned, unsigned, unsigned, unsigned, unsigned, types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def mirrored(typing: Any, number: Any) -> Any:
    """The 53 lowest binary digits of a whole number, mirrored at the point: in [0, 1)."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = ir.FunctionType(_WORD, [_WORD])
        name = "llvm.bitreverse.i64"
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        digits = builder.lshr(builder.call(function, values), ir.Constant(_WORD, 11))
        return builder.fmul(builder.uitofp(digits, _DOUBLE), ir.Constant(_DOUBLE, 2.0**-53))

    return types.float64(types.uint64), build


@intrinsic  # type: ignore[untyped-decorator]
def power(typing: Any, exponent: Any) -> Any:
    """2 to a whole number between -1022 and 1023."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        biased = builder.add(values[0], ir.Constant(_WORD, 1023))
        return builder.bitcast(builder.shl(biased, ir.Constant(_WORD, 52)), _DOUBLE)

    return types.float64(types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def binade(typing: Any, value: Any) -> Any:
    """The largest power of two that is not above the magnitude of a normal number; 0 for 0."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        bits = builder.bitcast(values[0], _WORD)
        return builder.bitcast(builder.and_(bits, ir.Constant(_WORD, 0x7FF << 52)), _DOUBLE)

    return types.float64(types.float64), build


# -- memory ----------------------------------------------------------------------------------------


def _place(builder: Any, address: Any, index: Any, kind: Any) -> Any:
    return builder.gep(builder.inttoptr(address, kind.as_pointer()), [index])


def _scalar(tag: Any) -> tuple[Any, int]:
    return (ir.FloatType(), 4) if tag == types.float32 else (_DOUBLE, 8)


class _Places(ir.instructions.Instruction):  # type: ignore[misc]
    """Places of an array, by several indexes at once, as llvmlite's own form does not take them."""

    def __init__(self, builder: Any, address: Any, indexes: Any, kind: Any) -> None:
        several = ir.VectorType(ir.PointerType(), indexes.type.count)
        start = builder.inttoptr(address, ir.PointerType())
        super().__init__(builder.block, several, "getelementptr", [start, indexes])
        self._kind = kind
        builder._insert(self)

    def descr(self, buf: list[str]) -> None:
        words = ", ".join(f"{each.type} {each.get_reference()}" for each in self.operands)
        buf.append(f"getelementptr {self._kind}, {words}\n")


def _gathered(builder: Any, address: Any, indexes: Any, kind: Any, size: int) -> Any:
    """Numbers of an array, side by side; ``size`` is that of one in bytes."""
    count = indexes.type.count
    places = _Places(builder, address, indexes, kind)
    mask, result = ir.VectorType(ir.IntType(1), count), ir.VectorType(kind, count)
    name = f"llvm.masked.gather.v{count}{kind.intrinsic_name}.v{count}p0"
    signature = ir.FunctionType(result, [places.type, _INDEX, mask, result])
    function = builder.module.globals.get(name) or ir.Function(builder.module, signature, name)
    every, nothing = ir.Constant(mask, [1] * count), ir.Constant(result, ir.Undefined)
    return builder.call(function, [places, ir.Constant(_INDEX, size), every, nothing])


@intrinsic  # type: ignore[untyped-decorator]
def octet(typing: Any, address: Any, index: Any) -> Any:
    """A byte, as int64."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        byte = builder.load(_place(builder, values[0], values[1], ir.IntType(8)), align=1)
        return builder.zext(byte, _WORD)

    return types.int64(types.int64, types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def word(typing: Any, address: Any, index: Any) -> Any:
    """A word of 64 bits."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.load(_place(builder, values[0], values[1], _WORD), align=8)

    return types.uint64(types.int64, types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def set_word(typing: Any, address: Any, index: Any, value: Any) -> Any:
    """Write a word of 64 bits."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        builder.store(values[2], _place(builder, values[0], values[1], _WORD), align=8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def number(typing: Any, tag: Any, address: Any, index: Any) -> Any:
    """A number of the dtype of ``tag``, as float64."""
    scalar, size = _scalar(tag)

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        value = builder.load(_place(builder, values[1], values[2], scalar), align=size)
        return builder.fpext(value, _DOUBLE) if size == 4 else value

    return types.float64(tag, types.int64, types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def put(typing: Any, tag: Any, address: Any, index: Any, value: Any) -> Any:
    """Write a float64 number as one of the dtype of ``tag``, rounded to nearest."""
    scalar, size = _scalar(tag)

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        _, address, index, value = values
        value = builder.fptrunc(value, scalar) if size == 4 else value
        builder.store(value, _place(builder, address, index, scalar), align=size)
        return context.get_dummy_value()

    return types.void(tag, types.int64, types.int64, types.float64), build


@intrinsic  # type: ignore[untyped-decorator]
def copy(typing: Any, tag: Any, address: Any, index: Any, table: Any, octets: Any, at: Any) -> Any:
    """Write the number that byte ``at`` chooses of a table; of the dtype of ``tag``."""
    _, size = _scalar(tag)
    bits = ir.IntType(8 * size)  # moved through the registers for whole numbers

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        _, address, index, table, octets, at = values
        byte = builder.load(_place(builder, octets, at, ir.IntType(8)), align=1)
        choice = builder.zext(byte, _WORD)
        value = builder.load(_place(builder, table, choice, bits), align=size)
        builder.store(value, _place(builder, address, index, bits), align=size)
        return context.get_dummy_value()

    whole = types.int64
    return types.void(tag, whole, whole, whole, whole, whole), build


def _copying(count: int) -> Any:
    @intrinsic  # type: ignore[untyped-decorator]
    def copy_several(
        typing: Any, tag: Any, address: Any, index: Any, table: Any, octets: Any, at: Any
    ) -> Any:
        scalar, size = _scalar(tag)
        octet = ir.IntType(8)

        def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            _, address, index, table, octets, at = values
            start = _place(builder, octets, at, octet)
            start = builder.bitcast(start, ir.VectorType(octet, count).as_pointer())
            indexes = builder.zext(builder.load(start, align=1), ir.VectorType(_INDEX, count))
            found = _gathered(builder, table, indexes, scalar, size)
            to = builder.bitcast(_place(builder, address, index, scalar), found.type.as_pointer())
            builder.store(found, to, align=size)
            return context.get_dummy_value()

        whole = types.int64
        return types.void(tag, whole, whole, whole, whole, whole), build

    return copy_several


copy_sixteen, copy_eight, copy_four = map(_copying, (16, 8, 4))
"""`copy` for as many bytes from ``at`` on."""


def _doubles(builder: Any, value: Any) -> Any:
    """A float64 number in every lane."""
    return builder.bitcast(_splat(builder, builder.bitcast(value, _WORD)), _DOUBLES)


def _magnitude(builder: Any, value: Any) -> Any:
    digits = builder.and_(builder.bitcast(value, _WORDS), _every(2**63 - 1))
    return builder.bitcast(digits, _DOUBLES)


def _narrowed(builder: Any, value: Any, precision: Any, tiny: Any, largest: Any) -> Any:
    """`crosscheck.cases.stream.steps.narrowed`."""
    bits = builder.bitcast(value, _WORDS)
    binades = builder.bitcast(builder.and_(bits, _every(0x7FF << 52)), _DOUBLES)
    exponent = builder.sub(ir.Constant(_WORD, 1024), precision)  # of 2^(1 - precision), biased
    step = builder.bitcast(builder.shl(exponent, ir.Constant(_WORD, 52)), _DOUBLE)
    spacing, least = builder.fmul(binades, _doubles(builder, step)), _doubles(builder, tiny)
    spacing = builder.select(builder.fcmp_ordered(">", spacing, least), spacing, least)
    anchor = builder.fmul(spacing, ir.Constant(_DOUBLES, [3.0 * 2.0**51] * _LANES))
    result = _magnitude(builder, builder.fsub(builder.fadd(value, anchor), anchor))
    above = builder.fcmp_ordered(">", result, _doubles(builder, largest))
    result = builder.select(above, ir.Constant(_DOUBLES, [math.inf] * _LANES), result)
    signs = builder.and_(bits, _every(2**63))
    return builder.bitcast(builder.or_(builder.bitcast(result, _WORDS), signs), _DOUBLES)


def _put_eight(
    builder: Any, tag: Any, address: Any, index: Any, value: Any, form: tuple[Any, Any, Any]
) -> None:
    """Write eight numbers rounded to the format: ``(precision, tiny, largest)``."""
    scalar, size = _scalar(tag)
    before = builder.block
    with builder.if_then(builder.icmp_signed("<", form[0], ir.Constant(_WORD, 24))):
        narrowed = _narrowed(builder, value, *form)
        narrow = builder.block
    rounded = builder.phi(_DOUBLES)
    rounded.add_incoming(value, before)
    rounded.add_incoming(narrowed, narrow)
    kind = ir.VectorType(scalar, _LANES)
    result = builder.fptrunc(rounded, kind) if size == 4 else rounded
    to = builder.bitcast(_place(builder, address, index, scalar), kind.as_pointer())
    builder.store(result, to, align=size)


@intrinsic  # type: ignore[untyped-decorator]
def put_eight_normals(
    typing: Any,
    tag: Any,
    address: Any,
    index: Any,
    words: Any,
    at: Any,
    quantiles: Any,
    positive: Any,
    precision: Any,
    tiny: Any,
    largest: Any,
) -> Any:
    """`crosscheck.cases.stream.steps.put_normals` for the eight words from ``at`` on."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        _, address, index, words, at, quantiles, positive, *form = values
        start = builder.bitcast(_place(builder, words, at, _WORD), _WORDS.as_pointer())
        bits = builder.load(start, align=8)
        piece = builder.lshr(bits, _every(52))
        low = _gathered(builder, quantiles, piece, _DOUBLE, 8)
        after = builder.add(quantiles, ir.Constant(_WORD, 8))
        high = _gathered(builder, after, piece, _DOUBLE, 8)
        value = builder.sitofp(builder.and_(bits, _every(2**52 - 1)), _DOUBLES)
        value = builder.fmul(value, ir.Constant(_DOUBLES, [2.0**-52] * _LANES))
        value = builder.fadd(builder.fmul(value, builder.fsub(high, low)), low)
        value = builder.select(positive, _magnitude(builder, value), value)
        _put_eight(builder, tag, address, index, value, form)
        return context.get_dummy_value()

    whole, real = types.int64, types.float64
    given = [whole] * 5 + [types.boolean, whole, real, real]
    return types.void(tag, *given), build


@intrinsic  # type: ignore[untyped-decorator]
def cancel_eight(
    typing: Any,
    tag: Any,
    weight: Any,
    bias: Any,
    x: Any,
    inputs: Any,
    unit: Any,
    octets: Any,
    factors: Any,
    precision: Any,
    tiny: Any,
    largest: Any,
) -> Any:
    """`crosscheck.cases.stream.steps.cancel` for the eight units from ``unit`` on."""
    scalar, size = _scalar(tag)

    def widened(builder: Any, value: Any, kind: Any) -> Any:
        return builder.fpext(value, kind) if size == 4 else value

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        _, weight, bias, x, inputs, unit, octets, factors, *form = values
        lanes = ir.Constant(_WORDS, list(range(_LANES)))
        rows = builder.mul(builder.add(_splat(builder, unit), lanes), _splat(builder, inputs))
        nothing = ir.Constant(_DOUBLES, [0.0] * _LANES)
        total = cgutils.alloca_once_value(builder, nothing)
        sizes = cgutils.alloca_once_value(builder, nothing)
        with cgutils.for_range(builder, inputs) as loop:
            places = builder.add(rows, _splat(builder, loop.index))
            weights = widened(builder, _gathered(builder, weight, places, scalar, size), _DOUBLES)
            here = builder.load(_place(builder, x, loop.index, scalar), align=size)
            term = builder.fmul(weights, _doubles(builder, widened(builder, here, _DOUBLE)))
            builder.store(builder.fadd(builder.load(total), term), total)
            magnitude = _magnitude(builder, term)
            builder.store(builder.fadd(builder.load(sizes), magnitude), sizes)
        octet = ir.IntType(8)
        start = _place(builder, octets, unit, octet)
        start = builder.bitcast(start, ir.VectorType(octet, _LANES).as_pointer())
        choices = builder.zext(builder.load(start, align=1), _WORDS)
        chosen = _gathered(builder, factors, choices, _DOUBLE, 8)
        rest = builder.fmul(builder.load(sizes), chosen)
        value = builder.fneg(builder.fadd(builder.load(total), rest))
        _put_eight(builder, tag, bias, unit, value, form)
        return context.get_dummy_value()

    whole, real = types.int64, types.float64
    return types.void(tag, *[whole] * 8, real, real), build
