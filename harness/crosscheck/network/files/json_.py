"""Cases as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from crosscheck.network.composed import AnyCase, Composed
from crosscheck.network.dense import Case
from crosscheck.network.files.building import (
    OPTIONS,
    build_case,
    checked_options,
    indexed_path,
    kind_of,
    options_of,
    refuse,
    require_single,
    shortened,
)
from crosscheck.network.files.gradient import given_from_json, given_to_json
from crosscheck.network.files.numbers import LONGEST, array_of, to_lists
from crosscheck.network.files.program import composed_from_json, composed_to_json
from crosscheck.network.given import Given
from crosscheck.network.names import EntryName
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import FORMATS
from crosscheck.numbers.written import WrittenFloat
from crosscheck.tools.errors import meant
from crosscheck.tools.reading import refused_json

__all__ = [
    "case_from_json",
    "case_to_json",
    "from_json_text",
    "json_entry",
    "readable",
    "strict_json",
]

_KEYS = ("widths", "weights", "biases", "x", "y", *OPTIONS, "gradient")

_HUGE = 10**400
"""A whole number beyond every format, in place of one too long to be worth converting."""


def case_to_json(case: AnyCase, given: Given | None = None) -> dict[str, Any]:
    """A single case as what `json.dumps` takes, with the numbers given for its gradient, if any.

    A number is written as such where its decimal form is exact and short, else as a hex float.

    Raises:
        UsageError: The case is a stack.
    """
    require_single(case)
    own = {} if given is None else {"gradient": given_to_json(given)}
    if isinstance(case, Composed):
        return {**composed_to_json(case), **own}
    return {
        "widths": list(case.network.widths),
        "weights": [to_lists(weight.tolist()) for weight in case.weights],
        "biases": [None if bias is None else to_lists(bias.tolist()) for bias in case.biases],
        "x": to_lists(case.x.tolist()),
        "y": to_lists(case.y.tolist()),
        **options_of(case),
        **own,
    }


def readable(data: Mapping[str, Any]) -> str:
    """JSON with one key on a line, and one row of a matrix on a line."""

    def rows(value: Any, indent: str) -> str:
        if isinstance(value, list) and any(isinstance(item, list) for item in value):
            return "[\n" + ",\n".join(f"{indent}{rows(v, indent + ' ')}" for v in value) + "]"
        return json.dumps(value)

    lines = (f" {json.dumps(key)}: {rows(value, '  ')}" for key, value in data.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def case_from_json(data: Any, *, origin: str) -> Any:
    """The case that parsed JSON describes; NaN and infinities are let through.

    An object with ``program`` is a network of operators (`crosscheck.network.files.program`), any
    other one a dense network. A gradient in it is looked at, and left behind.

    Args:
        data: What `json.loads` returned.
        origin: Names the file in messages.

    Raises:
        UsageError: It is none.
    """
    return _marked_from_json(data, origin)[0]


def _marked_from_json(data: Any, origin: str) -> tuple[AnyCase, Given | None]:
    """The case, and the numbers given for its gradient."""
    if not isinstance(data, dict):
        refuse(
            origin, f"{kind_of(data)} at the top level, wanted an object with {', '.join(_KEYS)}"
        )
    case: AnyCase
    if "program" in data:
        rest = {key: value for key, value in data.items() if key != "gradient"}
        case = composed_from_json(rest, origin=origin)
    else:
        case = _dense_from_json(data, origin)
    if "gradient" not in data:
        return case, None
    return case, given_from_json(data["gradient"], case, origin=origin)


def _dense_from_json(data: Mapping[str, Any], origin: str) -> Case:
    for key in data:
        if key not in _KEYS:
            wanted = f"wanted {', '.join(_KEYS)}{meant(key, _KEYS)}"
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
        array_of(matrix, f"weights[{layer}]", 2, form, origin)
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
            None if bias is None else array_of(bias, f"biases[{layer}]", 1, form, origin)
            for layer, bias in enumerate(given)
        ]
    x, y = (array_of(data[key], key, 2, form, origin) for key in ("x", "y"))
    case = build_case(weights, biases, x, y, options, _json_name, origin)
    if "widths" in data:
        widths, own = data["widths"], list(case.network.widths)
        if widths != own or not all(type(width) is int for width in widths):
            shown = shortened(widths) if isinstance(widths, list) else kind_of(widths)
            refuse(origin, f"widths is {shown}, but the weights have {own}")
    return case


def from_json_text(content: bytes, origin: str) -> tuple[AnyCase, Given | None]:
    """The case in the bytes of a JSON file, and the numbers in it for its gradient."""
    return _marked_from_json(strict_json(content, origin), origin)


def strict_json(content: bytes, origin: str) -> Any:
    """What the bytes of a JSON file say; a key that is there twice is refused.

    The sign of ``-0`` is kept, and a number too long for float64 is a whole one beyond it.

    Raises:
        UsageError: It is no JSON.
    """

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
        if len(text) > LONGEST:
            refuse(origin, f"a number of {len(text):,} characters, wanted at most {LONGEST:,}")
        value = WrittenFloat(text)
        return value if math.isfinite(value) else _HUGE * (-1 if text[0] == "-" else 1)

    reason = refused_json(content)
    if reason:
        refuse(origin, reason)
    try:
        return json.loads(
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


def _json_name(name: str) -> str:
    """Where JSON has the array that is called ``W1``, ``b1``, ``x`` or ``y``."""
    return json_entry(EntryName.of(name))


def json_entry(entry: EntryName) -> str:
    """Where an entry of a case is in JSON: ``W2[0,1]`` is ``weights[1][0][1]``."""
    if entry.layer is None:
        return indexed_path(entry.letter, entry.index)
    field = "weights" if entry.letter == "W" else "biases"
    return indexed_path(field, (entry.layer - 1, *entry.index))
