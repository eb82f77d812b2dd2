"""Products, convolutions and pooling of PyTorch's."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import numpy as np

from crosscheck.frontends import verbs
from crosscheck.frontends.tracing import Tracing, Value, shape_of
from crosscheck.frontends.windows import Sliding, convolved, extreme_over
from crosscheck.program.graph import Shape, Var
from crosscheck.program.places import Places

__all__ = ["LAYERS"]

Rule = Callable[..., Any]


# -- products ------------------------------------------------------------------------------------


def _product(t: Tracing, a: Value, b: Value) -> Value:
    return verbs.matmul(t.lift(a), t.lift(b))


def _affine(t: Tracing, bias: Value, a: Value, b: Value, beta: Any = 1, alpha: Any = 1) -> Value:
    """``addmm``, ``baddbmm``, ``addmv``: β c + α A B."""
    found = _times(t.lift(_product(t, a, b)), alpha)
    return found if beta == 0 else verbs.add(_times(t.lift(bias), beta), found)


def _trilinear(
    t: Tracing,
    a: Value,
    b: Value,
    c: Value,
    axes_a: Sequence[int],
    axes_b: Sequence[int],
    axes_c: Sequence[int],
    summed: Sequence[int],
    _: int = 1,
) -> Value:
    """Sums of products of three, each with axes put in."""
    found: Var | None = None
    for each, axes in ((a, axes_a), (b, axes_b), (c, axes_c)):
        shape = list(shape_of(each))
        for axis in sorted(axes):
            shape.insert(axis, 1)
        one = verbs.reshaped(t.lift(each), tuple(shape))
        found = one if found is None else verbs.multiply(found, one)
    assert found is not None
    return verbs.sum_along(found, tuple(summed))


def _times(x: Var, factor: Any) -> Var:
    return x if factor == 1 else x.times(Fraction(float(factor)))


def _convolution(
    t: Tracing,
    x: Value,
    weight: Value,
    bias: Value | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Value:
    """A convolution, or its transpose: that one of numbers ``stride`` apart, with taps reversed."""
    one, kernel = t.lift(x), t.lift(weight)
    axes = len(kernel.shape) - 2
    stride, padding, dilation, output_padding = (
        _each(every, axes) for every in (stride, padding, dilation, output_padding)
    )
    sizes = kernel.shape[2:]
    if transposed:
        kernel = verbs.moved(kernel, lambda places: _turned(places, groups))
        pads = []
        for k in range(axes):
            reach = dilation[k] * (sizes[k] - 1) - padding[k]
            pads.append((reach, reach + output_padding[k]))
        over = Sliding(sizes, (1,) * axes, pads, dilation, stride)
    else:
        over = Sliding(sizes, stride, [(p, p) for p in padding], dilation, (1,) * axes)
    found = convolved(one, kernel, over, groups)
    if bias is None:
        return found
    return verbs.add(found, verbs.reshaped(t.lift(bias), (*shape_of(bias), *(1,) * axes)))


def _turned(places: Any, groups: int) -> Any:
    """The kernel of a transposed convolution as that of a plain one."""
    inside, per_group, *taps = places.shape
    found = places.reshape(groups, inside // groups, per_group, *taps).swapaxes(1, 2)
    found = found.reshape(groups * per_group, inside // groups, *taps)
    return np.flip(found, tuple(range(2, found.ndim)))


def _each(value: Sequence[int], count: int) -> Shape:
    given = tuple(value)
    return given * count if len(given) == 1 else given


# -- pooling ---------------------------------------------------------------------------------------


def _around(
    shape: Shape, size: Shape, stride: Shape, padding: Shape, gaps: Shape, ceil: bool
) -> list[tuple[int, int]]:
    """Zeros in front and behind; with ``ceil`` as many more as fill a last window.

    One that would begin beyond the end and the zeros in front is none.
    """
    found = []
    for n, k, step, pad, gap in zip(shape, size, stride, padding, gaps, strict=True):
        room = n + 2 * pad - gap * (k - 1) - 1
        more = -room % step if ceil else 0
        found.append((pad, pad if room + more >= n + pad else pad + more))
    return found


def _windows(
    shape: Shape,
    size: Sequence[int],
    stride: Sequence[int] | None,
    padding: Sequence[int],
    dilation: Sequence[int] = (1,),
    ceil: bool = False,
    *,
    with_zeros: bool = False,
) -> Any:
    """Places of windows over the last axes, (positions …, taps …), -1 where nothing is.

    With ``with_zeros`` those over the axes with their zeros, which are places too.
    """
    count = len(shape)
    sizes, pads, gaps = (_each(every, count) for every in (size, padding, dilation))
    steps = _each(stride, count) if stride else sizes
    around = _around(shape, sizes, steps, pads, gaps, ceil)
    if with_zeros:
        around = [(0, behind - front) for front, behind in around]
        shape = tuple(n + 2 * pad for n, pad in zip(shape, pads, strict=True))
    return Sliding(sizes, steps, around, gaps, (1,) * count).places(shape)


def _over_last(x: Var, places: Any, count: int) -> tuple[Any, Shape]:
    """Windows over the last axes of all rows: (rows, positions, taps) in x, and their shape."""
    lead, axes = x.shape[: len(x.shape) - count], x.shape[len(x.shape) - count :]
    positions = places.shape[:count]
    flat = places.reshape(math.prod(positions), -1)
    begins = np.arange(math.prod(lead)).reshape(-1, 1, 1) * math.prod(axes)
    return np.where(flat >= 0, flat + begins, -1), (*lead, *positions)


def _max_pool(count: int) -> Rule:
    def rule(
        t: Tracing,
        x: Value,
        size: Sequence[int],
        stride: Sequence[int] = (),
        padding: Sequence[int] = (0,),
        dilation: Sequence[int] = (1,),
        ceil: bool = False,
    ) -> list[Value | None]:
        var = t.lift(x)
        windows = _windows(var.shape[-count:], size, stride, padding, dilation, ceil)
        rows, shape = _over_last(var, windows, count)
        found, none = extreme_over(var, rows.reshape(-1, rows.shape[-1]), 1)
        return [t.extended(verbs.reshaped(found, shape), none.reshape(shape)), None]

    return rule


def _average_pool(count: int) -> Rule:
    def rule(
        t: Tracing,
        x: Value,
        size: Sequence[int],
        stride: Sequence[int] = (),
        padding: Sequence[int] = (0,),
        ceil: bool = False,
        with_padding: bool = True,
        divisor: int | None = None,
    ) -> Value:
        var = t.lift(x)
        axes = var.shape[-count:]
        windows = _windows(axes, size, stride, padding, (1,), ceil)
        rows, shape = _over_last(var, windows, count)
        total = verbs.reshaped(verbs.moved(var, lambda _: rows).sum(-1), shape)
        taps = windows.reshape(*windows.shape[:count], -1)
        counts = (taps >= 0).sum(-1)
        if divisor is not None:
            counts = np.full_like(counts, divisor)
        elif with_padding:
            inside = _windows(axes, size, stride, padding, (1,), ceil, with_zeros=True)
            counts = (inside.reshape(*inside.shape[:count], -1) >= 0).sum(-1)
        return _shared(total, counts)

    return rule


def _shared(total: Var, counts: Any) -> Var:
    """Sums over how many terms each has, which is known."""
    numbers = np.unique(counts)
    if len(numbers) == 1:
        return total.times(Fraction(1, int(numbers[0])))
    whole, found = np.broadcast_to(counts, total.shape), None
    for number in numbers:
        here = np.where(whole == number, verbs.numbered(total.shape), -1)
        part = total.take(Places(here.ravel().tolist()), total.shape)
        part = part.times(Fraction(1, int(number)))
        found = part if found is None else found + part
    assert found is not None
    return found


def _adaptive(count: int) -> Rule:
    def rule(t: Tracing, x: Value, size: Sequence[int]) -> Value:
        """Means over windows that share an axis among a number of positions."""
        found = t.lift(x)
        for axis, positions in zip(range(-count, 0), _each(size, count), strict=True):
            found = _adapted(found, axis, positions)
        return found

    return rule


def _bins(length: int, positions: int) -> list[range]:
    return [
        range(k * length // positions, -(-(k + 1) * length // positions)) for k in range(positions)
    ]


def _adapted(x: Var, axis: int, positions: int) -> Var:
    bins = _bins(x.shape[axis], positions)
    most = max(map(len, bins))
    table = np.array([[*each, *(-1,) * (most - len(each))] for each in bins])

    def change(places: Any) -> Any:
        moved = np.moveaxis(places, axis, -1)
        return np.where(table >= 0, moved[..., table], -1)

    total = verbs.moved(x, change).sum(-1)
    counts = np.array([len(each) for each in bins])
    return verbs.moved(_shared(total, counts), lambda places: np.moveaxis(places, -1, axis))


def _adaptive_extreme(t: Tracing, x: Value, size: Sequence[int]) -> list[Value | None]:
    """``adaptive_max_pool2d``."""
    var = t.lift(x)
    count = len(size)
    lists = [_bins(n, p) for n, p in zip(var.shape[-count:], size, strict=True)]
    windows = [[[a, b] for a in one for b in two] for one in lists[0] for two in lists[-1]]
    if count == 1:
        windows = [[[0, b] for b in one] for one in lists[0]]
    most = max(map(len, windows))
    width = var.shape[-1]
    flat = [[a * width + b for a, b in each] + [-1] * (most - len(each)) for each in windows]
    places = np.array(flat).reshape(*size, most, *(1,) * (count - 1))
    rows, shape = _over_last(var, places, count)
    found, _ = extreme_over(var, rows.reshape(-1, rows.shape[-1]), 1)
    return [verbs.reshaped(found, shape), None]


LAYERS: Mapping[str, Rule] = MappingProxyType(
    {
        **dict.fromkeys(("mm", "bmm", "mv", "dot", "matmul", "vdot"), _product),
        **dict.fromkeys(("addmm", "baddbmm", "addmv"), _affine),
        "_trilinear": _trilinear,
        "convolution": _convolution,
        **{f"max_pool{n}d_with_indices": _max_pool(n) for n in (1, 2, 3)},
        **{f"avg_pool{n}d": _average_pool(n) for n in (1, 2, 3)},
        **{f"_adaptive_avg_pool{n}d": _adaptive(n) for n in (2, 3)},
        **{f"adaptive_max_pool{n}d": _adaptive_extreme for n in (1, 2)},
    }
)
"""Rules by the operator's name."""
