"""Cases as JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np

from crosscheck.network.dense import Case
from crosscheck.network.files.building import (
    OPTIONS,
    build_case,
    checked_options,
    close_match,
    indexed_path,
    kind_of,
    largest_of,
    options_of,
    refuse,
    require_single,
    round_array,
    shortened,
)
from crosscheck.network.names import EntryName
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import FORMATS, Format

__all__ = ["case_from_json", "case_to_json", "from_json_text", "json_entry", "readable"]

_KEYS = ("widths", "weights", "biases", "x", "y", *OPTIONS)

_HEX = re.compile(
    r"([+-]?)0x(?=\.?[0-9a-f])([0-9a-f]*)\.?([0-9a-f]*)(?:p([+-]?[0-9]{1,18}))?", re.IGNORECASE
)

_HUGE = 10**400
"""A whole number beyond every format, in place of one too long to be worth converting."""


def case_to_json(case: Case) -> dict[str, Any]:
    """A single case as what `json.dumps` takes.

    A number is written as such where its decimal form is exact and short, else as a hex float.

    Raises:
        UsageError: The case is a stack.
    """
    require_single(case)
    return {
        "widths": list(case.network.widths),
        "weights": [_to_lists(weight.tolist()) for weight in case.weights],
        "biases": [None if bias is None else _to_lists(bias.tolist()) for bias in case.biases],
        "x": _to_lists(case.x.tolist()),
        "y": _to_lists(case.y.tolist()),
        **options_of(case),
    }


def _to_lists(value: Any) -> Any:
    if isinstance(value, list):
        return [_to_lists(item) for item in value]
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


def readable(data: Mapping[str, Any]) -> str:
    """JSON with one key on a line, and one row of a matrix on a line."""

    def rows(value: Any, indent: str) -> str:
        if isinstance(value, list) and any(isinstance(item, list) for item in value):
            return "[\n" + ",\n".join(f"{indent}{rows(v, indent + ' ')}" for v in value) + "]"
        return json.dumps(value)

    lines = (f" {json.dumps(key)}: {rows(value, '  ')}" for key, value in data.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def case_from_json(data: Any, *, origin: str) -> Case:
    """The case that parsed JSON describes; NaN and infinities are let through.

    Args:
        data: What `json.loads` returned.
        origin: Names the file in messages.

    Raises:
        UsageError: It is none.
    """
    if not isinstance(data, dict):
        refuse(
            origin, f"{kind_of(data)} at the top level, wanted an object with {', '.join(_KEYS)}"
        )
    for key in data:
        if key not in _KEYS:
            wanted = f"wanted {', '.join(_KEYS)}{close_match(key, _KEYS)}"
            refuse(origin, f"unknown key {shortened(key)}, {wanted}")
    for key in ("weights", "x", "y"):
        if key not in data:
            refuse(origin, f"key {key!r} is missing, wanted weights, x and y at least")
    options = checked_options({key: data[key] for key in OPTIONS if key in data}, origin)
    form = FORMATS[options.get("dtype", "float64")]
    if not isinstance(data["weights"], list) or not data["weights"]:
        refuse(
            origin,
            f"weights is {kind_of(data['weights'])}, wanted a list of matrices, one per layer",
        )
    weights = [
        _array(matrix, f"weights[{layer}]", 2, form, origin)
        for layer, matrix in enumerate(data["weights"])
    ]
    biases: list[Array | None] = [None] * len(weights)
    given = data.get("biases")
    if given is not None:
        if not isinstance(given, list) or len(given) != len(weights):
            found = (
                f"has length {len(given)}" if isinstance(given, list) else f"is {kind_of(given)}"
            )
            refuse(
                origin,
                f"biases {found}, wanted a list of {len(weights)}: one for each weight matrix, "
                f"null for a layer without bias",
            )
        biases = [
            None if bias is None else _array(bias, f"biases[{layer}]", 1, form, origin)
            for layer, bias in enumerate(given)
        ]
    x, y = (_array(data[key], key, 2, form, origin) for key in ("x", "y"))
    case = build_case(weights, biases, x, y, options, _json_name, origin)
    if "widths" in data:
        widths, own = data["widths"], list(case.network.widths)
        if widths != own or not all(type(width) is int for width in widths):
            shown = shortened(widths) if isinstance(widths, list) else kind_of(widths)
            refuse(origin, f"widths is {shown}, but the weights have {own}")
    return case


def from_json_text(content: bytes, origin: str) -> Case:
    """The case in the bytes of a JSON file."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                refuse(origin, f"key {shortened(key)} is given twice, wanted it once")
            found[key] = value
        return found

    def integer(text: str) -> int | float:
        if text == "-0":
            return -0.0
        return int(text) if len(text) < 400 else _HUGE * (-1 if text[0] == "-" else 1)

    def decimal(text: str) -> int | float:
        value = float(text)
        return value if math.isfinite(value) else _HUGE * (-1 if text[0] == "-" else 1)

    try:
        data = json.loads(
            content.decode("utf-8-sig"),
            object_pairs_hook=unique,
            parse_int=integer,
            parse_float=decimal,
        )
    except UnicodeDecodeError:
        refuse(origin, "is not text in UTF-8, wanted JSON")
    except json.JSONDecodeError as error:
        refuse(origin, f"line {error.lineno}, column {error.colno}: {error.msg}; wanted JSON")
    except RecursionError:
        refuse(origin, "lists are nested too deeply, wanted a case")
    return case_from_json(data, origin=origin)


def _array(data: Any, field: str, depth: int, form: Format, origin: str) -> Array:
    """A nested list of numbers as an array of ``depth`` axes, rounded to the format."""
    shape = "a list of lists of numbers" if depth == 2 else "a list of numbers"

    def convert(value: Any, at: str, left: int) -> Any:
        if not left:
            return _number(value, at, form, origin)
        if not isinstance(value, list) or not value:
            refuse(origin, f"{at} is {kind_of(value)}; wanted {field} as {shape}, not empty")
        rows = [convert(item, f"{at}[{i}]", left - 1) for i, item in enumerate(value)]
        if left == 2:
            for i, row in enumerate(rows):
                if len(row) != len(rows[0]):
                    refuse(
                        origin,
                        f"{at}[{i}] has length {len(row)} and {at}[0] has length "
                        f"{len(rows[0])}, wanted rows of one length",
                    )
        return rows

    wide = np.array(convert(data, field, depth), dtype=np.float64)
    return round_array(wide, form, partial(indexed_path, field), origin)


def _number(value: Any, at: str, form: Format, origin: str) -> float:
    """One number as float64; a hex float must be one of the format."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        refuse(origin, f"{at} is {kind_of(value)}, wanted a number")
    if not isinstance(value, str):
        try:
            return float(value)
        except OverflowError:
            refuse(origin, f"{at} is {largest_of(form)}")
    text = value.strip().lower()
    if text in ("inf", "+inf", "-inf", "nan", "-nan"):
        return float(text)
    match = _HEX.fullmatch(text)
    if match is None:
        refuse(origin, f'{at} is {kind_of(value)}, wanted a number or a hex float like "0x1.8p+1"')
    # The number is ±mantissa · 2^power with an odd mantissa. It is in the format if the mantissa
    # has at most p bits, the lowest of them no lower than η and the highest no higher than 2^emax.
    sign, whole, fraction, exponent = match.groups()
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


def _json_name(name: str) -> str:
    """Where JSON has the array that is called ``W1``, ``b1``, ``x`` or ``y``."""
    return json_entry(EntryName.of(name))


def json_entry(entry: EntryName) -> str:
    """Where an entry of a case is in JSON: ``W2[0,1]`` is ``weights[1][0][1]``."""
    if entry.layer is None:
        return indexed_path(entry.letter, entry.index)
    field = "weights" if entry.letter == "W" else "biases"
    return indexed_path(field, (entry.layer - 1, *entry.index))
