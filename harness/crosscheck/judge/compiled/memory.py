"""`Lanes` from memory and back.

Memory is addressed by whole numbers, since a pass takes any number of arrays, and numba would
compile it anew for every number of them. Whoever calls it keeps the arrays alive.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from crosscheck.judge.compiled.lanes import (
    DOUBLE,
    INDEX,
    LANES,
    MASK,
    MASK_BITS,
    VECTOR,
    WIDTH,
    splatted,
)

__all__ = [
    "LINE",
    "aligned_stack",
    "any_bit",
    "broadcast",
    "bytes_of",
    "differs",
    "gather",
    "load",
    "place_at",
    "prefetch",
    "raw",
    "read",
    "read_some",
    "scalar_of",
    "set_whole",
    "store",
    "united",
    "whole",
    "write",
]

LINE = 64
"""Bytes that the processor's caches move at once."""


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


def place_at(builder: Any, address: Any, kind: Any) -> Any:
    """A value of LLVM that is an address, as a pointer to ``kind``."""
    return builder.inttoptr(address, kind.as_pointer())


@intrinsic  # type: ignore[untyped-decorator]
def load(typing: Any, address: Any, index: Any) -> Any:
    """The ``index``-th `Lanes` of a row of them that starts at ``address``."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = builder.gep(place_at(builder, values[0], VECTOR), [values[1]])
        return builder.load(place, align=8)

    return LANES(types.int64, types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def store(typing: Any, address: Any, index: Any, lanes: Any) -> Any:
    """Write ``lanes`` as the ``index``-th of a row of them that starts at ``address``."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = builder.gep(place_at(builder, values[0], VECTOR), [values[1]])
        builder.store(values[2], place, align=8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, LANES), build


def scalar_of(tag: Any) -> tuple[Any, int]:
    """The type of LLVM of a number of the type ``tag``, and how many bytes it takes."""
    return (ir.FloatType(), 4) if tag == types.float32 else (DOUBLE, 8)


@intrinsic  # type: ignore[untyped-decorator]
def bytes_of(typing: Any, tag: Any) -> Any:
    """How many bytes a number of the type of ``tag`` takes."""
    _, size = scalar_of(tag)

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return ir.Constant(ir.IntType(64), size)

    return types.int64(tag), build


@intrinsic  # type: ignore[untyped-decorator]
def whole(typing: Any, address: Any, index: Any) -> Any:
    """The ``index``-th of a row of whole numbers of 64 bits that starts at ``address``."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = builder.gep(place_at(builder, values[0], ir.IntType(64)), [values[1]])
        return builder.load(place, align=8)

    return types.int64(types.int64, types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def set_whole(typing: Any, address: Any, index: Any, value: Any) -> Any:
    """Write ``value`` as the ``index``-th of a row of whole numbers; see `whole`."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = builder.gep(place_at(builder, values[0], ir.IntType(64)), [values[1]])
        builder.store(values[2], place, align=8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def gather(typing: Any, tag: Any, address: Any, stride: Any) -> Any:
    """The numbers at ``address + lane · stride``, of the type of ``tag``.

    The stride is counted in numbers.
    """
    scalar, size = scalar_of(tag)

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        _, address, stride = values
        base, lanes = place_at(builder, address, scalar), ir.Constant(VECTOR, ir.Undefined)
        for lane in range(WIDTH):
            step = builder.mul(stride, ir.Constant(ir.IntType(64), lane))
            number = builder.load(builder.gep(base, [step]), align=size)
            if size == 4:
                number = builder.fpext(number, DOUBLE)
            lanes = builder.insert_element(lanes, number, ir.Constant(INDEX, lane))
        return lanes

    return LANES(tag, types.int64, types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def broadcast(typing: Any, address: Any, index: Any) -> Any:
    """The ``index``-th float64 number from ``address`` on, in every lane."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = builder.gep(place_at(builder, values[0], DOUBLE), [values[1]])
        return splatted(builder, builder.load(place, align=8))

    return LANES(types.int64, types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def read(typing: Any, tag: Any, address: Any) -> Any:
    """Eight neighbouring numbers from ``address`` on, of the type of ``tag``."""
    scalar, size = scalar_of(tag)
    narrow = ir.VectorType(scalar, WIDTH)

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        row = builder.load(place_at(builder, values[1], narrow), align=size)
        return builder.fpext(row, VECTOR) if size == 4 else row

    return LANES(tag, types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def read_some(typing: Any, tag: Any, address: Any, chosen: Any) -> Any:
    """`read` where ``chosen``, and 0 elsewhere, where memory is not touched."""
    scalar, size = scalar_of(tag)
    narrow = ir.VectorType(scalar, WIDTH)

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        _, address, chosen = values
        place, whole = place_at(builder, address, narrow), ir.IntType(32)
        name = f"llvm.masked.load.v{WIDTH}f{8 * size}.p0v{WIDTH}f{8 * size}"
        kind = ir.FunctionType(narrow, [place.type, whole, MASK_BITS, narrow])
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        nothing = ir.Constant(narrow, [0.0] * WIDTH)
        row = builder.call(function, [place, ir.Constant(whole, size), chosen, nothing])
        return builder.fpext(row, VECTOR) if size == 4 else row

    return LANES(tag, types.int64, MASK), build


@intrinsic  # type: ignore[untyped-decorator]
def differs(typing: Any, tag: Any, address: Any, other: Any) -> Any:
    """Where eight neighbouring numbers from ``address`` on are not, bit by bit, those at ``other``.

    They are of the type of ``tag``.
    """
    _, size = scalar_of(tag)
    bits = ir.VectorType(ir.IntType(8 * size), WIDTH)

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        first, second = (builder.load(place_at(builder, v, bits), align=size) for v in values[1:])
        return builder.icmp_unsigned("!=", first, second)

    return MASK(tag, types.int64, types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def write(typing: Any, value: Any, address: Any) -> Any:
    """Write one float64 number, or one truth value as a byte, at ``address``."""
    if value not in (types.float64, types.boolean):
        return None
    kind = DOUBLE if value == types.float64 else ir.IntType(8)

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        what, address = values
        if value == types.boolean:
            what = builder.zext(what, kind)
        builder.store(what, place_at(builder, address, kind), align=1)
        return context.get_dummy_value()

    return types.void(value, types.int64), build


_WHOLE = ir.VectorType(ir.IntType(64), WIDTH)


@intrinsic  # type: ignore[untyped-decorator]
def raw(typing: Any, address: Any) -> Any:
    """The 64 bytes from ``address`` on, whatever they mean."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        bits = builder.load(place_at(builder, values[0], _WHOLE), align=1)
        return builder.bitcast(bits, VECTOR)

    return LANES(types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def united(typing: Any, a: Any, b: Any) -> Any:
    """The bits that are set in ``a`` or in ``b``."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        first, second = (builder.bitcast(value, _WHOLE) for value in values)
        return builder.bitcast(builder.or_(first, second), VECTOR)

    return LANES(LANES, LANES), build


@intrinsic  # type: ignore[untyped-decorator]
def any_bit(typing: Any, tag: Any, bits: Any) -> Any:
    """Whether any bit but those of signs is set, in numbers of the type of ``tag``."""
    _, size = scalar_of(tag)
    sign = 1 << 63 if size == 8 else 1 << 63 | 1 << 31

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        rest = ir.Constant(_WHOLE, [~sign & (2**64 - 1)] * WIDTH)
        others = builder.and_(builder.bitcast(values[1], _WHOLE), rest)
        found = builder.icmp_unsigned("!=", others, ir.Constant(_WHOLE, [0] * WIDTH))
        found = builder.bitcast(found, ir.IntType(WIDTH))
        return builder.icmp_unsigned("!=", found, ir.Constant(ir.IntType(WIDTH), 0))

    return types.boolean(tag, LANES), build


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
