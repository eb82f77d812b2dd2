"""`Lanes` from memory and back: arrays of frameworks, read case by case, turned in registers.

Memory is addressed by whole numbers, since a pass takes any number of arrays, and numba would
compile it anew for every number of them. Whoever calls it keeps the arrays alive.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.types.containers import UniTuple
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

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
    "borrowed",
    "broadcast",
    "bytes_of",
    "differs",
    "eight",
    "four",
    "gather",
    "load",
    "prefetch",
    "raw",
    "read",
    "read_some",
    "set_whole",
    "store",
    "transpose",
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


@intrinsic  # type: ignore[untyped-decorator]
def borrowed(typing: Any, array: Any) -> Any:
    """The array without a count of its owners, which is a locked operation for every call."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        view = make_array(array)(context, builder, values[0])
        for owner in ("meminfo", "parent"):
            setattr(view, owner, ir.Constant(getattr(view, owner).type, None))
        return view._getvalue()

    return array(array), build


def _place(builder: Any, address: Any, kind: Any) -> Any:
    return builder.inttoptr(address, kind.as_pointer())


@intrinsic  # type: ignore[untyped-decorator]
def load(typing: Any, address: Any, index: Any) -> Any:
    """The ``index``-th `Lanes` of a row of them that starts at ``address``."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = builder.gep(_place(builder, values[0], VECTOR), [values[1]])
        return builder.load(place, align=8)

    return LANES(types.int64, types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def store(typing: Any, address: Any, index: Any, lanes: Any) -> Any:
    """Write ``lanes`` as the ``index``-th of a row of them that starts at ``address``."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = builder.gep(_place(builder, values[0], VECTOR), [values[1]])
        builder.store(values[2], place, align=8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, LANES), build


def _scalar(tag: Any) -> tuple[Any, int]:
    return (ir.FloatType(), 4) if tag == types.float32 else (DOUBLE, 8)


@intrinsic  # type: ignore[untyped-decorator]
def bytes_of(typing: Any, tag: Any) -> Any:
    """How many bytes a number of the type of ``tag`` takes."""
    _, size = _scalar(tag)

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return ir.Constant(ir.IntType(64), size)

    return types.int64(tag), build


@intrinsic  # type: ignore[untyped-decorator]
def whole(typing: Any, address: Any, index: Any) -> Any:
    """The ``index``-th of a row of whole numbers of 64 bits that starts at ``address``."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = builder.gep(_place(builder, values[0], ir.IntType(64)), [values[1]])
        return builder.load(place, align=8)

    return types.int64(types.int64, types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def set_whole(typing: Any, address: Any, index: Any, value: Any) -> Any:
    """Write ``value`` as the ``index``-th of a row of whole numbers; see `whole`."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = builder.gep(_place(builder, values[0], ir.IntType(64)), [values[1]])
        builder.store(values[2], place, align=8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def gather(typing: Any, tag: Any, address: Any, stride: Any) -> Any:
    """The numbers at ``address + lane · stride``, of the type of ``tag``.

    The stride is counted in numbers.
    """
    scalar, size = _scalar(tag)

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        _, address, stride = values
        base, lanes = _place(builder, address, scalar), ir.Constant(VECTOR, ir.Undefined)
        for lane in range(WIDTH):
            step = builder.mul(stride, ir.Constant(ir.IntType(64), lane))
            number = builder.load(builder.gep(base, [step]), align=size)
            if size == 4:
                number = builder.fpext(number, DOUBLE)
            lanes = builder.insert_element(lanes, number, ir.Constant(INDEX, lane))
        return lanes

    return LANES(tag, types.int64, types.int64), build


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
                mask = ir.Constant(ir.VectorType(INDEX, WIDTH), order)
                swapped[place] = builder.shuffle_vector(rows[k], rows[k + distance], mask)
        rows = swapped
    return rows


def _rows(builder: Any, address: Any, stride: Any, scalar: Any, count: int) -> list[Any]:
    """``count`` neighbouring numbers of each of eight cases, widened to float64."""
    base, rows = _place(builder, address, scalar), []
    narrow, wide = ir.VectorType(scalar, count), ir.VectorType(DOUBLE, count)
    for lane in range(WIDTH):
        step = builder.mul(stride, ir.Constant(ir.IntType(64), lane))
        place = builder.bitcast(builder.gep(base, [step]), narrow.as_pointer())
        row = builder.load(place, align=8 if scalar == DOUBLE else 4)
        rows.append(row if scalar == DOUBLE else builder.fpext(row, wide))
    return rows


def _store_rows(builder: Any, rows: list[Any], target: Any, index: Any) -> None:
    start = builder.gep(_place(builder, target, VECTOR), [index])
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
    result = UniTuple(LANES, WIDTH)

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
    result = UniTuple(LANES, WIDTH // 2)
    order = ir.Constant(ir.VectorType(INDEX, WIDTH), list(range(WIDTH)))

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        rows = _rows(builder, values[1], values[2], scalar, WIDTH // 2)
        pairs = zip(rows[: WIDTH // 2], rows[WIDTH // 2 :], strict=True)
        whole = [builder.shuffle_vector(*pair, order) for pair in pairs]
        return context.make_tuple(builder, result, _transposed(builder, whole))

    return result(tag, types.int64, types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def broadcast(typing: Any, address: Any, index: Any) -> Any:
    """The ``index``-th float64 number from ``address`` on, in every lane."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = builder.gep(_place(builder, values[0], DOUBLE), [values[1]])
        return splatted(builder, builder.load(place, align=8))

    return LANES(types.int64, types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def read(typing: Any, tag: Any, address: Any) -> Any:
    """Eight neighbouring numbers from ``address`` on, of the type of ``tag``."""
    scalar, size = _scalar(tag)
    narrow = ir.VectorType(scalar, WIDTH)

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        row = builder.load(_place(builder, values[1], narrow), align=size)
        return builder.fpext(row, VECTOR) if size == 4 else row

    return LANES(tag, types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def read_some(typing: Any, tag: Any, address: Any, chosen: Any) -> Any:
    """`read` where ``chosen``, and 0 elsewhere, where memory is not touched."""
    scalar, size = _scalar(tag)
    narrow = ir.VectorType(scalar, WIDTH)

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        _, address, chosen = values
        place, whole = _place(builder, address, narrow), ir.IntType(32)
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
    _, size = _scalar(tag)
    bits = ir.VectorType(ir.IntType(8 * size), WIDTH)

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        first, second = (builder.load(_place(builder, v, bits), align=size) for v in values[1:])
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
        builder.store(what, _place(builder, address, kind), align=1)
        return context.get_dummy_value()

    return types.void(value, types.int64), build


_WHOLE = ir.VectorType(ir.IntType(64), WIDTH)


@intrinsic  # type: ignore[untyped-decorator]
def raw(typing: Any, address: Any) -> Any:
    """The 64 bytes from ``address`` on, whatever they mean."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        bits = builder.load(_place(builder, values[0], _WHOLE), align=1)
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
    _, size = _scalar(tag)
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
