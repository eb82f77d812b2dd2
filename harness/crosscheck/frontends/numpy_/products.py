"""Sums of products along axes: ``einsum``, and what is one, in matrix products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from crosscheck.frontends import verbs
from crosscheck.program.graph import Var
from crosscheck.tools.errors import UsageError

__all__ = ["contracted", "einsum"]

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def contracted(what: Any, *operands: Any, **more: Any) -> Var:
    """A function of NumPy's that sums products: ``einsum``, ``dot``, ``inner`` and the like."""
    if what is np.einsum:
        return einsum(*operands)
    a, b, *rest = operands
    if what is np.outer:
        return einsum("i,j->ij", *(verbs.reshaped(x, (math.prod(x.shape),)) for x in (a, b)))
    if what is np.vdot:
        return einsum("i,i->", *(verbs.reshaped(x, (math.prod(x.shape),)) for x in (a, b)))
    if what is np.tensordot:
        axes = rest[0] if rest else more.get("axes", 2)
        return _tensordot(a, b, axes)
    if not a.shape or not b.shape:
        return verbs.multiply(a, b)
    if what is np.inner:
        return _tensordot(a, b, (-1, -1))
    if len(b.shape) == 1 or (len(a.shape) <= 2 and len(b.shape) == 2):
        return verbs.matmul(a, b)
    return _tensordot(a, b, (-1, -2))


def _tensordot(a: Var, b: Var, axes: Any) -> Var:
    if isinstance(axes, int | np.integer):
        one, other = list(range(len(a.shape) - axes, len(a.shape))), list(range(axes))
    else:
        one, other = ([each] if isinstance(each, int) else list(each) for each in axes)
    left, right = list(_LETTERS[: len(a.shape)]), list(_LETTERS[26 : 26 + len(b.shape)])
    for i, j in zip(one, other, strict=True):
        right[j] = left[i]
    shared = {left[i] for i in one}
    out = [each for each in (*left, *right) if each not in shared]
    return einsum(f"{''.join(left)},{''.join(right)}->{''.join(out)}", a, b)


def einsum(subscripts: str, *operands: Var) -> Var:
    """Σ of products, operand after operand from the left.

    Raises:
        UsageError: The subscripts do not fit.
    """
    labels, out = _read(subscripts, operands)
    arrays = [_distinct(*each) for each in zip(labels, operands, strict=True)]
    (names, found), *others = arrays
    for k, (more, other) in enumerate(others):
        later = set(out).union(*(each for each, _ in others[k + 1 :]))
        names, found = _pair(names, found, more, other, later)
    summed = [names.index(each) - len(names) for each in names if each not in out]
    found = found.sum(*summed) if summed else found
    names = "".join(each for each in names if each in out)
    return verbs.transposed(found, [names.index(each) for each in out]) if names != out else found


def _read(subscripts: str, operands: Sequence[Var]) -> tuple[list[str], str]:
    """A letter for each axis of each operand, and of the result; dots become letters."""
    text = subscripts.replace(" ", "")
    left, arrow, out = text.partition("->")
    parts = left.split(",")
    if len(parts) != len(operands):
        raise UsageError(f"einsum {subscripts!r} of {len(operands)} operands")
    free = [each for each in _LETTERS if each not in text]
    counts = [
        len(x.shape) - len(part.replace("...", "")) if "..." in part else 0
        for part, x in zip(parts, operands, strict=True)
    ]
    dots = "".join(free[: max(counts)])
    labels = [
        part.replace("...", dots[len(dots) - count :])
        for part, count in zip(parts, counts, strict=True)
    ]
    if not arrow:
        letters = left.replace(",", "").replace("...", "")
        out = dots + "".join(sorted(each for each in set(letters) if letters.count(each) == 1))
    return labels, out.replace("...", dots)


def _distinct(names: str, x: Var) -> tuple[str, Var]:
    """The diagonal where a letter comes twice."""
    if len(set(names)) == len(names):
        return names, x
    once = "".join(dict.fromkeys(names))
    return once, verbs.moved(x, lambda places: np.einsum(f"{names}->{once}", places))


def _pair(names: str, a: Var, more: str, b: Var, later: set[str]) -> tuple[str, Var]:
    """The product of two operands, summed along what neither the result nor a later one has."""
    names, a = _summed(names, a, set(more) | later)
    more, b = _summed(more, b, set(names) | later)
    both = [each for each in names if each in more]
    inner = "".join(each for each in both if each not in later)
    lead = "".join(each for each in both if each in later)
    rows = "".join(each for each in names if each not in more)
    columns = "".join(each for each in more if each not in names)
    sizes = dict(zip(names, a.shape, strict=True))
    for letter, size in zip(more, b.shape, strict=True):
        if sizes.get(letter, size) == 1:
            sizes[letter] = size
        elif sizes.setdefault(letter, size) != size and size != 1:
            raise UsageError(f"einsum: axis {letter!r} has {sizes[letter]} and {size} entries")
    a, b = _widened(names, a, sizes), _widened(more, b, sizes)
    if not inner:
        result = lead + rows + columns
        one = _arranged(names, a, result, sizes)
        return result, one * _arranged(more, b, result, sizes)

    def size_of(letters: str) -> int:
        return math.prod(sizes[each] for each in letters)

    front = tuple(sizes[each] for each in lead)
    one = _flat(names, a, lead + rows + inner, (*front, size_of(rows), size_of(inner)))
    other = _flat(more, b, lead + inner + columns, (*front, size_of(inner), size_of(columns)))
    shape = tuple(sizes[each] for each in lead + rows + columns)
    return lead + rows + columns, _shaped(one @ other, shape)


def _summed(names: str, x: Var, kept: set[str]) -> tuple[str, Var]:
    gone = [names.index(each) - len(names) for each in names if each not in kept]
    return "".join(each for each in names if each in kept), x.sum(*gone) if gone else x


def _widened(names: str, x: Var, sizes: dict[str, int]) -> Var:
    return x.broadcast(tuple(sizes[each] for each in names))


def _flat(names: str, x: Var, order: str, shape: tuple[int, ...]) -> Var:
    """The axes in another order, some of them as one."""
    axes = [names.index(each) for each in order]
    if axes == list(range(len(axes))):
        return _shaped(x, shape)
    found = verbs.transposed(x, axes)
    if found.shape == shape:
        return found
    return verbs.moved(x, lambda places: places.transpose(axes).reshape(shape))


def _shaped(x: Var, shape: tuple[int, ...]) -> Var:
    return verbs.reshaped(x, shape)


def _arranged(names: str, x: Var, order: str, sizes: dict[str, int]) -> Var:
    """The axes in an order in which others are, with length 1."""
    own = [each for each in order if each in names]
    found = verbs.transposed(x, [names.index(each) for each in own])
    for k, each in enumerate(order):
        if each not in names:
            found = found.expand(k - len(found.shape) - 1)
    return found
