"""Numbers of cases in JSON: exact ones as such, others as hex floats."""

from __future__ import annotations

import contextlib
import math
import re
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np

from crosscheck.network.files.building import indexed_path, kind_of, largest_of, refuse, round_array
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import Format
from crosscheck.numbers.written import WrittenFloat

__all__ = ["LONGEST", "array_of", "array_of_any_depth", "number_of", "to_lists"]

_DEEPEST = 8
"""The most axes of an array."""

_PLAIN = (int, float, WrittenFloat)
"""What JSON's own numbers are read as."""

LONGEST = 10_000
"""Characters of a number: far more than any number of any format has digits."""

_HEX = re.compile(
    r"([+-]?)0x(?=\.?[0-9a-f])([0-9a-f]*)(?:\.([0-9a-f]*))?(?:p([+-]?[0-9]{1,18}))?", re.IGNORECASE
)


def to_lists(value: Any) -> Any:
    """Nested lists of floats as JSON takes them: whole and short numbers as such, else hex."""
    if isinstance(value, list):
        return [to_lists(item) for item in value]
    if not math.isfinite(value):
        return f"{'-' if math.copysign(1.0, value) < 0 else ''}{abs(value)}"
    if value == 0 and math.copysign(1.0, value) < 0:
        return "-0x0p+0"  # many programs that rewrite JSON lose the sign of a plain -0.0
    if value.is_integer() and abs(value) <= 2**53:
        return int(value)
    text = repr(value)
    if len(text) <= 8 and Decimal(text) == Decimal(value):
        return value
    return re.sub(r"\.?0+p", "p", value.hex())


def array_of_any_depth(data: Any, field: str, form: Format, origin: str) -> Array:
    """A nested list of numbers, however deep, as an array rounded to the format."""
    depth, inner = 0, data
    while isinstance(inner, list) and inner and depth <= _DEEPEST:
        depth, inner = depth + 1, inner[0]
    if depth > _DEEPEST:
        refuse(origin, f"{field} is nested too deeply, wanted at most {_DEEPEST} axes")
    return array_of(data, field, depth, form, origin)


def array_of(data: Any, field: str, depth: int, form: Format, origin: str) -> Array:
    """A nested list of numbers as an array of ``depth`` axes, rounded to the format."""
    shape = "a list of lists of numbers" if depth == 2 else "a list of numbers"

    def convert(value: Any, at: str, left: int) -> Any:
        if not left:
            return number_of(value, at, form, origin)
        if not isinstance(value, list) or not value:
            refuse(origin, f"{at} is {kind_of(value)}; wanted {field} as {shape}, not empty")
        if left == 1 and all(type(item) in _PLAIN for item in value):
            with contextlib.suppress(OverflowError):  # of one of them, to be named
                return list(map(float, value))  # as `number_of` does, without a name for each
        rows = [convert(item, f"{at}[{i}]", left - 1) for i, item in enumerate(value)]
        if left >= 2:
            for i, row in enumerate(rows):
                if len(row) != len(rows[0]):
                    refuse(
                        origin,
                        f"{at}[{i}] has length {len(row)} and {at}[0] has length "
                        f"{len(rows[0])}, wanted rows of one length",
                    )
        return rows

    converted = convert(data, field, depth)
    try:
        wide = np.array(converted, dtype=np.float64)
    except ValueError:
        refuse(origin, f"{field} has rows of several lengths, wanted an array")
    return round_array(wide, form, partial(indexed_path, field), origin)


def number_of(value: Any, at: str, form: Format, origin: str) -> float:
    """One number as float64; a hex float must be one of the format."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        refuse(origin, f"{at} is {kind_of(value)}, wanted a number")
    if not isinstance(value, str):
        try:
            return float(value)
        except OverflowError:
            refuse(origin, f"{at} is {largest_of(form)}")
    if len(value) > LONGEST:
        refuse(origin, f"{at} is {kind_of(value)}, of more than {LONGEST:,} characters")
    text = value.strip().lower()
    if text in ("inf", "+inf", "-inf", "nan", "-nan"):
        return float(text)
    match = _HEX.fullmatch(text)
    if match is None:
        refuse(origin, f'{at} is {kind_of(value)}, wanted a number or a hex float like "0x1.8p+1"')
    # The number is ±mantissa · 2^power with an odd mantissa. It is in the format if the mantissa
    # has at most p bits, the lowest of them no lower than η and the highest no higher than 2^emax.
    sign, whole, fraction, exponent = match.groups(default="")
    mantissa = int(whole + fraction, 16)
    power = int(exponent or 0) - 4 * len(fraction)
    if mantissa:
        zeros = (mantissa & -mantissa).bit_length() - 1
        mantissa, power = mantissa >> zeros, power + zeros
        if power + mantissa.bit_length() - 1 > form.emax:
            refuse(origin, f"{at} is {kind_of(value)}, {largest_of(form)}")
        if mantissa.bit_length() > form.precision or power < form.emin - form.precision + 1:
            refuse(
                origin,
                f"{at} is {kind_of(value)}, which is not a {form.name} number; "
                f"write it as a decimal number to have it rounded",
            )
    return math.copysign(math.ldexp(mantissa, power), -1.0 if sign == "-" else 1)
