"""Attributes that are whole numbers, one or several: axes, strides, sizes of windows."""

from __future__ import annotations

from collections.abc import Sequence

from crosscheck.operators.operator import Attribute
from crosscheck.tools.errors import UsageError

__all__ = ["axes_of", "spread", "whole", "wholes"]


def wholes(name: str, value: Attribute) -> tuple[int, ...]:
    """The whole numbers of an attribute: 2, or ``"2 1"``.

    Args:
        name: The attribute's, in messages.
        value: What is given for it.

    Raises:
        UsageError: It is something else.
    """
    try:
        words = value.replace(",", " ").split() if isinstance(value, str) else [value]
        found = tuple(int(each) for each in words)
        if found and all(float(a) == b for a, b in zip(words, found, strict=True)):
            return found
    except (ValueError, OverflowError):
        pass
    raise UsageError(f"{name}={value!r}, wanted a whole number, or several in words: '2 1'")


def whole(name: str, value: Attribute, least: int = 0) -> int:
    """The one whole number of an attribute; ``least`` is the smallest that makes sense."""
    found = wholes(name, value)
    if len(found) > 1 or found[0] < least:
        raise UsageError(f"{name}={value!r}, wanted a whole number from {least} on")
    return found[0]


def spread(name: str, value: Attribute, count: int, least: int = 1) -> tuple[int, ...]:
    """One whole number for each of some axes: as many as there are, or one for all of them."""
    found = wholes(name, value)
    if len(found) not in (1, count) or min(found) < least:
        raise UsageError(
            f"{name}={value!r}, wanted whole numbers from {least} on: one, or one for each of "
            f"{count} axes"
        )
    return found * (count if len(found) == 1 else 1)


def axes_of(value: Attribute, shape: Sequence[int] | None = None) -> tuple[int, ...]:
    """Axes, counted from the last, in order.

    Args:
        value: The attribute ``axes``.
        shape: What has them; not looked at if it is not given.

    Raises:
        UsageError: One is not negative, is there twice, or is none of the shape's.
    """
    found = tuple(sorted(wholes("axes", value)))
    if max(found) >= 0 or len(set(found)) < len(found):
        raise UsageError(f"axes={value!r}, wanted each once, counted from the last: -1, -2, …")
    if shape is not None and -found[0] > len(shape):
        raise UsageError(f"axes={value!r} of an array of shape {tuple(shape)}")
    return found
