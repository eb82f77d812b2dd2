"""Operations that only move numbers, run by PyTorch itself on an array of places.

Places are numbered from 1 on, so that the zeros that an operation puts in are none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from crosscheck.frontends import values, verbs
from crosscheck.frontends.torch_.operation import Operation, is_value
from crosscheck.frontends.tracing import Known, Tracing, Value, shape_of
from crosscheck.program.graph import Var
from crosscheck.tools.errors import UnsupportedError

__all__ = ["ADDING", "MOVES", "added_at", "moved"]

MOVES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "_reshape_copy", "_unsafe_index", "_upsample_nearest_exact1d",
                "_upsample_nearest_exact2d", "_upsample_nearest_exact3d", "channel_shuffle",
                "clone", "diag_embed", "expand_copy", "flip", "gather", "im2col", "index",
                "index_select", "masked_select", "max_unpool2d", "max_unpool3d",
                "pixel_shuffle", "pixel_unshuffle", "reflection_pad1d", "reflection_pad2d",
                "reflection_pad3d", "repeat", "replication_pad1d", "replication_pad2d",
                "replication_pad3d", "roll", "rot90", "take", "tril", "triu", "unfold_copy",
                "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "view_copy",
            ),
            (0,),
        ),
        **dict.fromkeys(("slice_scatter", "select_scatter", "diagonal_scatter"), (0, 1)),
        "as_strided_scatter": (0, 1),
        "masked_scatter": (0, 2),
        "constant_pad_nd": (0, 2),
        "scatter": (0, 3),
        "index_copy": (0, 3),
        "index_fill": (0, 3),
        "index_put": (0, 2),
        "put": (0, 2),
    }
)  # fmt: skip
"""Name to the positions of the operands whose numbers are moved."""


def moved(t: Tracing, operation: Operation, moving: Sequence[int]) -> Value:
    """What an operation makes of the entries of some operands.

    Args:
        t: The program in the making.
        operation: The call.
        moving: Positions of those operands; numbers among them are arrays without axes.
    """
    torch = operation.torch
    default = dict.fromkeys(moving, 0.0)
    parts = [_as_value(operation.value_at(at, default[at])) for at in moving]
    rest = [
        each for at, each in enumerate(operation.values) if at not in moving and each is not None
    ]
    require_known(t, [*rest, *operation.named.values()])
    is_number = [not is_value(operation.value_at(at, 0.0)) for at in moving]

    def run(*places: Any) -> Any:
        names = [each.name for each in operation.call._schema.arguments]
        args, kwargs = list(operation.args), dict(operation.kwargs)
        for at, each, plain in zip(moving, places, is_number, strict=True):
            numbers = each + 1.0
            given = float(numbers) if plain else torch.tensor(numbers, dtype=torch.float64)
            if at < len(args):
                args[at] = given
            else:
                kwargs[names[at]] = given
        return operation.call(*args, **kwargs).numpy().astype(np.intp) - 1

    if len(parts) == 1:
        return t.moved(parts[0], run)
    return t.moved_together(parts, run)


def require_known(t: Tracing, each: Any) -> None:
    """Note by what comparisons indices were found.

    Raises:
        UnsupportedError: One is computed of numbers of the program.
    """
    if isinstance(each, list):
        for one in each:
            require_known(t, one)
    elif isinstance(each, Known):
        t.note(each.pairs)
    elif is_value(each):
        raise UnsupportedError("an index is computed of numbers that are differentiated")


def _as_value(each: Any) -> Value:
    return each if is_value(each) else Known(np.asarray(each, dtype=np.float64))


# -- adding ----------------------------------------------------------------------------------------

Places = Callable[[Operation, Any], Any]


def _by_gather(operation: Operation, places: Any) -> Any:
    axis, index = operation.at(1), operation.at(2)
    return operation.torch.gather(places, axis, index)


def _by_summing(operation: Operation, places: Any) -> Any:
    """``scatter_reduce``, if it adds up, to what is there."""
    if operation.at(4) != "sum" or not operation.at(5, True):
        raise UnsupportedError(f"reduce={operation.at(4)!r}, wanted 'sum', with include_self")
    return _by_gather(operation, places)


def _by_selection(operation: Operation, places: Any) -> Any:
    return operation.torch.index_select(places, operation.at(1), operation.at(2))


def _by_index(operation: Operation, places: Any) -> Any:
    aten = operation.torch.ops.aten
    return aten.index.Tensor(places, operation.at(1))


def _by_taking(operation: Operation, places: Any) -> Any:
    return operation.torch.take(places, operation.at(1))


ADDING: Mapping[str, tuple[int, Places]] = MappingProxyType(
    {
        "scatter_add": (3, _by_gather),
        "scatter_reduce": (3, _by_summing),
        "index_add": (3, _by_selection),
        "index_put": (2, _by_index),
        "_unsafe_index_put": (2, _by_index),
        "put": (2, _by_taking),
    }
)
"""Name to the position of what is added, and which place each of its entries is added to."""


def added_at(t: Tracing, operation: Operation) -> Value:
    """The first operand, with the entries of another added to some of its places."""
    position, places_of = ADDING[operation.name]
    x, update = _as_value(operation.value_at(0)), _as_value(operation.value_at(position))
    rest = [each for at, each in enumerate(operation.values) if at not in (0, position)]
    require_known(t, rest)
    numbered = operation.torch.tensor(verbs.numbered(shape_of(x)), dtype=operation.torch.float64)
    places = places_of(operation, numbered).numpy().astype(np.intp)
    var = t.lift(update)
    if operation.name in ("scatter_add", "scatter_reduce"):
        begin = tuple(slice(0, size) for size in places.shape)
        var = verbs.moved(var, lambda at: at[begin])
    alpha = operation.kwargs.get("alpha", 1)
    if alpha != 1:
        var = t.lift(values.product(t, var, _as_value(alpha)))
    if var.shape != places.shape:
        var = t.lift(t.moved(var, lambda at: np.broadcast_to(at, places.shape)))
    assert math.prod(var.shape) == places.size
    return verbs.add(t.lift(x), var.scatter(places.ravel().tolist(), shape_of(x)))


# -- views that programs have primitives for ------------------------------------------------------


def transposed(t: Tracing, x: Value, order: Sequence[int]) -> Value:
    """Axes in another order."""
    if isinstance(x, Var):
        return verbs.transposed(x, order)
    return t.moved(x, lambda places: places.transpose([each % places.ndim for each in order]))


def swapped(t: Tracing, x: Value, one: int, other: int) -> Value:
    """Two axes in each other's place."""
    order = list(range(len(shape_of(x))))
    order[one], order[other] = order[other], order[one]
    return transposed(t, x, order)


def repeated(t: Tracing, x: Value, size: Sequence[int], implicit: bool = False) -> Value:
    """``expand``: lengths of 1 repeated, -1 for what stays, axes in front."""
    shape = shape_of(x)
    lead = len(size) - len(shape)
    wanted = tuple((shape[at - lead] if each == -1 else each) for at, each in enumerate(size))
    if not isinstance(x, Var):
        return t.moved(x, lambda places: np.broadcast_to(places, wanted))
    for _ in range(lead):
        x = x.expand(-len(x.shape) - 1)
    return x.broadcast(wanted)


def expanded(t: Tracing, x: Value, axis: int) -> Value:
    """``unsqueeze``."""
    count = len(shape_of(x)) + 1
    if isinstance(x, Var):
        return x.expand(axis % count - count)
    return t.moved(x, lambda places: np.expand_dims(places, axis % count))


def squeezed(t: Tracing, x: Value, axes: Any = None) -> Value:
    """Without axes of length 1."""
    shape = shape_of(x)
    chosen = range(len(shape)) if axes is None else [axes] if isinstance(axes, int) else axes
    gone = sorted({each % len(shape) for each in chosen if shape[each] == 1}) if shape else []
    if not isinstance(x, Var):
        return t.moved(x, lambda places: np.squeeze(places, tuple(gone)))
    for axis in gone:
        x = x.squeeze(axis - len(shape))
    return x


def filled(x: Value, value: Any) -> Value:
    """The same number everywhere."""
    if is_value(value):
        found = value
        assert isinstance(found, Known | Var)
        if isinstance(found, Var):
            return found.broadcast(shape_of(x)) if found.shape else _spread(found, shape_of(x))
        value = found.array
    return Known(np.full(shape_of(x), np.asarray(value)))


def _spread(x: Var, shape: Sequence[int]) -> Var:
    for _ in shape:
        x = x.expand(-1)
    return x.broadcast(tuple(shape))
