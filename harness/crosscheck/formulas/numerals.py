"""How a rational number is written: exactly where that is short, else rounded and said so."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

__all__ = ["Numeral", "numeral"]

_LONGEST = 8
"""Characters of a decimal form that counts as short."""
_LARGEST_RATIO = 999


@dataclass(frozen=True)
class Numeral:
    """The written form of the absolute value of a number.

    Attributes:
        kind: ``decimal``: one part, the digits. ``ratio``: numerator and denominator.
            ``power``: the exponent of 2. ``scientific``: mantissa and exponent of 10.
        parts: As the kind says.
        exact: Whether it is the number itself and not a rounded one.
    """

    kind: Literal["decimal", "ratio", "power", "scientific"]
    parts: tuple[str, ...]
    exact: bool = True


def numeral(value: Fraction) -> Numeral:
    """The written form of ``|value|``.

    In this order, the first that is exact and short: digits, a power of two, a ratio of small
    whole numbers. Otherwise six significant digits.
    """
    size = abs(value)
    digits = _decimal(size)
    if digits is not None:
        return Numeral("decimal", (digits,))
    top, bottom = size.numerator, size.denominator
    if top & (top - 1) == 0 and bottom & (bottom - 1) == 0:
        return Numeral("power", (str(top.bit_length() - bottom.bit_length()),))
    if top <= _LARGEST_RATIO and bottom <= _LARGEST_RATIO:
        return Numeral("ratio", (str(top), str(bottom)))
    return _rounded(size)


def _decimal(size: Fraction) -> str | None:
    """The digits of ``size`` if they are few, else ``None``."""
    if size.denominator == 1:
        text = str(size.numerator) if size < 10**_LONGEST else ""
        return text if 0 < len(text) <= _LONGEST else None
    places = 0
    while places < _LONGEST and (size * 10**places).denominator != 1:
        places += 1
    scaled = size * 10**places
    if scaled.denominator != 1:
        return None
    text = str(scaled.numerator).rjust(places + 1, "0")
    text = f"{text[:-places]}.{text[-places:]}"
    return text if len(text) <= _LONGEST else None


def _rounded(size: Fraction) -> Numeral:
    """Six significant digits, of numbers beyond the range of floats too."""
    exponent = len(str(size.numerator)) - len(str(size.denominator))
    if abs(exponent) < 300:
        text = f"{size.numerator / size.denominator:.6g}"
        mantissa, _, power = text.partition("e")
        if not power:
            return Numeral("decimal", (mantissa,), exact=False)
        return Numeral("scientific", (mantissa, str(int(power))), exact=False)
    scaled = size / Fraction(10) ** exponent  # between 1/10 and 10
    mantissa, _, power = f"{scaled.numerator / scaled.denominator:.5e}".partition("e")
    mantissa = f"{float(mantissa):.6g}"
    return Numeral("scientific", (mantissa, str(exponent + int(power))), exact=False)
