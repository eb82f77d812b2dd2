"""Arrays of eight cases, each of which is held by itself, turned in registers to `Lanes`."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.types.containers import UniTuple
from numba.extending import intrinsic

from crosscheck.judge.compiled.lanes import DOUBLE, INDEX, LANES, VECTOR, WIDTH
from crosscheck.judge.compiled.memory import place_at, scalar_of

__all__ = ["eight", "four", "transpose"]


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
    base, rows = place_at(builder, address, scalar), []
    narrow, wide = ir.VectorType(scalar, count), ir.VectorType(DOUBLE, count)
    for lane in range(WIDTH):
        step = builder.mul(stride, ir.Constant(ir.IntType(64), lane))
        place = builder.bitcast(builder.gep(base, [step]), narrow.as_pointer())
        row = builder.load(place, align=8 if scalar == DOUBLE else 4)
        rows.append(row if scalar == DOUBLE else builder.fpext(row, wide))
    return rows


def _store_rows(builder: Any, rows: list[Any], target: Any, index: Any) -> None:
    start = builder.gep(place_at(builder, target, VECTOR), [index])
    for k, row in enumerate(_transposed(builder, rows)):
        place = builder.gep(start, [ir.Constant(ir.IntType(64), k)])
        builder.store(row, place, align=8)


@intrinsic  # type: ignore[untyped-decorator]
def transpose(typing: Any, tag: Any, address: Any, stride: Any, target: Any, index: Any) -> Any:
    """Eight neighbouring numbers of each of eight cases, written as eight `Lanes`.

    Case k begins at ``address + k · stride`` (counted in numbers of the type of ``tag``); the
    result goes to the ``index``-th and the following `Lanes` at ``target``.
    """
    scalar, _ = scalar_of(tag)

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
    scalar, _ = scalar_of(tag)
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
    scalar, _ = scalar_of(tag)
    result = UniTuple(LANES, WIDTH // 2)
    order = ir.Constant(ir.VectorType(INDEX, WIDTH), list(range(WIDTH)))

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        rows = _rows(builder, values[1], values[2], scalar, WIDTH // 2)
        pairs = zip(rows[: WIDTH // 2], rows[WIDTH // 2 :], strict=True)
        whole = [builder.shuffle_vector(*pair, order) for pair in pairs]
        return context.make_tuple(builder, result, _transposed(builder, whole))

    return result(tag, types.int64, types.int64), build
