"""Numbers as somebody wrote them down, and which numbers that may have been before.

A decimal with a point, such as 0.33, has been rounded at its last digit: with d = 0.33 and half a
unit of that digit, h = 0.005, it stands for every t with d − h <= t <= d + h. Both ends belong to
it, since some round ties up and others to even. What is judged are float64 numbers. Rounding to
float64 is monotonic, so if t is in [d − h, d + h] then fl(t) is in [fl(d − h), fl(d + h)], and
that is the interval kept here: it holds each float64 number that is written so, and the nearest
float64 to each exact number that is. By the rounding of its two ends it is wider by less than an
ulp of float64.

Three ways of writing state one number, without an interval:

- A whole number without point and exponent: 4 is 4.
- A hex float, which states bits.
- A decimal of more than fifteen significant digits. Up to fifteen survive being read as float64
  and written again (2⁵³ > 10¹⁵, so that float64 numbers lie closer than such decimals); more of
  them come of a program that wrote a float64 number in full, and that number is meant.

So a program that prints few digits states few: what it printed is held to these, and no more.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

__all__ = ["WrittenFloat", "is_decimal", "stands_for", "text_of"]

_DECIMAL = re.compile(r"[+-]?([0-9]*)(?:\.([0-9]*))?(?:e([+-]?[0-9]{1,9}))?", re.IGNORECASE)

_SURVIVING_DIGITS = 15
"""DBL_DIG of C: significant digits of a decimal that float64 keeps."""

_LARGEST_EXPONENT = 400
"""Beyond it, either way, powers of ten are no float64 numbers."""


class WrittenFloat(float):
    """A float64 number that knows how it was written.

    Args:
        text: The decimal.

    Attributes:
        text: The same.

    Raises:
        ValueError: It is no number.
    """

    __slots__ = ("text",)

    text: str

    def __new__(cls, text: str) -> WrittenFloat:
        """See the class."""
        found = super().__new__(cls, text)
        found.text = text
        return found


def is_decimal(text: str) -> bool:
    """Whether a text is a decimal number, of ASCII digits."""
    match = _DECIMAL.fullmatch(text)
    return match is not None and bool(match[1] or match[2])


def text_of(value: Any) -> str:
    """How a number was written, where that is a decimal that may have been rounded; else "".

    A float of Python's stands for the shortest decimal that is read as it, the one to be seen where
    it was typed. A number out of an array was computed, and stands for itself.
    """
    if isinstance(value, WrittenFloat):
        return value.text
    if isinstance(value, str):
        return value.strip() if is_decimal(value.strip()) else ""
    return repr(value) if type(value) is float else ""


def stands_for(text: str, value: float) -> tuple[float, float]:
    """The lowest and the highest float64 number that is written as ``text``.

    Args:
        text: A decimal, or "" for a number that is stated exactly.
        value: The float64 number nearest to it.
    """
    match = _DECIMAL.fullmatch(text)
    if match is None or (match[2] is None and match[3] is None):
        return value, value
    whole, decimals, exponent = match[1], match[2] or "", int(match[3] or 0)
    significant = (whole + decimals).lstrip("0")
    last = exponent - len(decimals)
    if len(significant) > _SURVIVING_DIGITS or abs(last) > _LARGEST_EXPONENT:
        return value, value
    unit = Fraction(10) ** last
    middle = int(significant or "0") * unit * (-1 if text.startswith("-") else 1)
    return _float(middle - unit / 2), _float(middle + unit / 2)


def _float(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
