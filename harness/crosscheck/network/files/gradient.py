"""Gradients in case files: the numbers that somebody came to, some arrays or all.

::

    "gradient": {"W2": [[4]], "b2": [2], "W1": [["0x1.8p+2"]], "b1": [6.0], "J": 2}

Arrays have the names and the shapes of those that they are derivatives by; ``J`` is the loss. A
number is written in JSON as such, or as a string: a hex float, or a decimal. Which numbers a
decimal stands for is told by its digits (`crosscheck.numbers.written`).
"""

from __future__ import annotations

import math
from typing import Any, NoReturn

from crosscheck.network.composed import AnyCase
from crosscheck.network.files.building import cut, kind_of, refuse
from crosscheck.network.files.numbers import number_of
from crosscheck.network.given import Given, given_arrays
from crosscheck.numbers.formats import FORMATS
from crosscheck.numbers.written import is_decimal

__all__ = ["given_from_json", "given_to_json"]


def given_from_json(data: Any, case: AnyCase, *, origin: str) -> Given:
    """The numbers under ``gradient``.

    Raises:
        UsageError: They are no gradient of ``case``.
    """

    def complain(words: str) -> NoReturn:
        refuse(origin, f"gradient: {words}")

    def number(value: Any, at: str) -> float:
        if isinstance(value, str) and is_decimal(value.strip()):
            found = float(value)
        else:
            found = number_of(value, f"gradient.{at}", FORMATS["float64"], origin)
        if not math.isfinite(found):
            complain(f"{at} is {cut(str(value))}, wanted a finite number")
        return found

    if not isinstance(data, dict):
        complain(f"{kind_of(data)} given, wanted an object of arrays by name")
    return given_arrays(case, data, number, complain)


def given_to_json(given: Given) -> dict[str, Any]:
    """The same as what `json.dumps` takes; `given_from_json` reads it to the same numbers."""
    return {
        name: _lists(values.tolist(), given.texts[name].tolist())
        for name, values in given.values.items()
    }


def _lists(values: Any, texts: Any) -> Any:
    if isinstance(values, list):
        return [_lists(*each) for each in zip(values, texts, strict=True)]
    if texts:
        return values if repr(values) == texts else texts
    is_negative_zero = values == 0 and math.copysign(1.0, values) < 0
    if values.is_integer() and abs(values) <= 2**53 and not is_negative_zero:
        return int(values)
    return values.hex()  # a decimal would stand for others too
