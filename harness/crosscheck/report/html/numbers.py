"""How numbers, networks and frameworks are written in the page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from crosscheck.judge.decisions import Effect, GateReading
from crosscheck.numbers.formats import format_of
from crosscheck.report.boundary import ALL

__all__ = [
    "UNREAD",
    "count",
    "digits",
    "exact",
    "hexadecimal",
    "named_together",
    "network",
    "path",
    "shortest",
    "slope",
    "value",
]

Number = Mapping[str, Any]
"""A float of the report: ``{"hex": …, "decimal": …}``."""

UNREAD = (str(Effect.NONE), str(Effect.TOO_SMALL), str(Effect.NOT_DECIDED))
"""What stands in the place of λ where it was not read."""

_SIMPLE = {0.0: "0", 0.5: "½", 1.0: "1"}
_TRAILING = re.compile(r"(\.[0-9a-f]*?)0+(?=p)")


def value(number: Number) -> float:
    """The float itself."""
    return float.fromhex(number["hex"])


def digits(number: Number) -> str:
    """Four significant decimal digits."""
    return f"{value(number):.4g}"


def exact(number: Number) -> str:
    """The shortest decimal that reads back as the same float64."""
    return repr(value(number)).removesuffix(".0")


def hexadecimal(number: Number) -> str:
    """The exact hexadecimal form without the zeros at its end, ``0`` for zero."""
    text = str(number["hex"])
    if value(number) == 0:
        return "-0" if text.startswith("-") else "0"
    return _TRAILING.sub(r"\1", text).replace(".p", "p")


def shortest(number: Any, dtype: str) -> str:
    """A number of a case, an integer or a hex string, in the fewest digits that tell it apart.

    A float32 0.1 is not 0.10000000149011612 to a reader.
    """
    exact_value = float.fromhex(number) if isinstance(number, str) else float(number)
    if format_of(dtype).is_native and dtype != "float64":
        narrow = np.array(exact_value, dtype)
        if float(narrow) == exact_value:
            return str(narrow).removesuffix(".0")
    return repr(exact_value).removesuffix(".0")


def slope(reading: GateReading) -> str:
    """λ of a gate in a table, or why it was not read."""
    if reading.slope is None:
        return str(reading.effect)
    return _SIMPLE.get(reading.slope, f"{reading.slope:.4g}")


def count(number: int) -> str:
    """A count, thousands apart."""
    return f"{number:,}"


def network(case: Mapping[str, Any]) -> str:
    """What is differentiated, in a line."""
    if "program" in case:
        steps = " → ".join(each["op"] for each in case["program"])
        return f"{steps}, {case['dtype']}"
    rows = len(case["x"])
    return (
        f"{' → '.join(map(str, case['widths']))}, {case['dtype']}, {rows} "
        f"row{'' if rows == 1 else 's'}, output {case['output']}, {case['reduction']}"
    )


def path(line: Mapping[str, Any]) -> str:
    """A framework and how it writes max(z, 0)."""
    return f"{line['framework']} {line['formulation']}".strip()


def named_together(names: Sequence[str], frameworks: Sequence[str]) -> str:
    """Frameworks in few words: ``all`` if there are several and these are all of them."""
    found = [name for name in frameworks if name in names]
    found += [name for name in dict.fromkeys(names) if name not in frameworks]
    return ALL if len(found) == len(frameworks) > 1 else ", ".join(found)
