"""What reading a case takes whatever the file: checks, roundings, and the words for complaints."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NoReturn, get_args

import numpy as np

from crosscheck.network.composed import AnyCase
from crosscheck.network.dense import Case, Output, Reduction
from crosscheck.network.names import array_name
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import FORMATS, Format
from crosscheck.tools.errors import UsageError, meant

__all__ = [
    "OPTIONS",
    "build_case",
    "checked_options",
    "cut",
    "either",
    "indexed_path",
    "kind_of",
    "largest_of",
    "options_of",
    "refuse",
    "require_single",
    "round_array",
    "shortened",
]

OPTIONS: Mapping[str, Collection[str]] = {
    "dtype": FORMATS,
    "output": get_args(Output),
    "reduction": get_args(Reduction),
}


def options_of(case: Case) -> dict[str, str]:
    """What a file states of a case beside its numbers."""
    network = case.network
    return {"dtype": case.dtype, "output": network.output, "reduction": network.reduction}


def checked_options(given: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Stated options, each a string that is known."""
    for name, value in given.items():
        wanted = OPTIONS[name]
        if not isinstance(value, str):
            refuse(origin, f"{name} is {kind_of(value)}, wanted a string: {either(wanted)}")
        if value not in wanted:
            hint = meant(value, wanted)
            refuse(origin, f"{name}={shortened(value)}, wanted {either(wanted)}{hint}")
    return dict(given)


def round_array(wide: Array, form: Format, entry: Callable[[Any], object], origin: str) -> Array:
    """``wide`` in the format; a finite number must stay finite, an infinity infinite."""
    with np.errstate(over="ignore"):  # it is reported here
        rounded = form.round(wide)
    for index in np.argwhere(np.isfinite(wide) & ~np.isfinite(rounded))[:1]:
        refuse(origin, f"{entry(index)} is {wide[tuple(index)]:g}, {largest_of(form)}")
    for index in np.argwhere(np.isinf(wide) & np.isnan(rounded))[:1]:
        refuse(origin, f"{entry(index)} is {wide[tuple(index)]:g}, and {form.name} has no infinity")
    return rounded


def largest_of(form: Format) -> str:
    """The complaint about a number that is too large for the format."""
    return f"beyond the largest {form.name} number, {form.largest:g}"


def build_case(
    weights: Sequence[Array],
    biases: Sequence[Array | None],
    x: Array,
    y: Array,
    options: Mapping[str, Any],
    called: Callable[[str], str],
    origin: str,
) -> Case:
    """The case, if the shapes fit; ``called`` gives the name of an array in this kind of file."""
    for name, array in (
        *((array_name("W", i), w) for i, w in enumerate(weights, 1)),
        ("x", x),
        ("y", y),
    ):
        if array.ndim != 2 or not array.size:
            axes = "rows, units" if name in "xy" else "units, inputs"
            single = "; a single row has shape (1, units)" if name in "xy" else ""
            refuse(
                origin,
                f"{called(name)} has shape {array.shape}, wanted two axes ({axes}), "
                f"neither of them empty{single}",
            )
    inputs, source = weights[0].shape[1], f"column of {called('W1')}"
    fits: list[tuple[str, Array, tuple[int, ...], str]] = [
        ("x", x, (len(x), inputs), f"a column for each {source}")
    ]
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
        name, units = called(array_name("W", layer)), len(weight)
        fits.append((name, weight, (units, inputs), f"a column for each {source}"))
        inputs, source = units, f"row of {name}"
        if bias is not None:
            fits.append(
                (called(array_name("b", layer)), bias, (units,), f"a number for each {source}")
            )
    fits.append(("y", y, (len(x), inputs), f"a row for each row of x, a column for each {source}"))
    for field, array, shape, reason in fits:
        if array.shape != shape:
            refuse(origin, f"{field} has shape {array.shape}, wanted {shape}: {reason}")
    return Case.of(weights, biases, x, y, **options)


def require_single(case: AnyCase) -> None:
    """Refuse a stack: files hold one case."""
    if case.count is not None:
        raise UsageError(
            f"case: a stack of {case.count} given, wanted a single case; write each case[i]"
        )


def refuse(origin: str, complaint: str) -> NoReturn:
    """Raise a complaint about the file called ``origin``."""
    raise UsageError(f"{origin}: {complaint}") from None


def indexed_path(field: str, index: Sequence[int]) -> str:
    """``weights[1][0][1]`` for an entry of a JSON field."""
    return field + "".join(f"[{i}]" for i in index)


def either(words: Iterable[str]) -> str:
    """``a, b or c``."""
    *others, last = words
    return f"{', '.join(others)} or {last}"


def shortened(value: Any) -> str:
    """A value as Python writes it, cut to what fits a line."""
    return cut(repr(value))


def cut(text: str) -> str:
    """At most sixty characters of a text."""
    return text if len(text) <= 60 else f"{text[:57]}…"


def kind_of(value: Any) -> str:
    """What a JSON value is, for a person."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if isinstance(value, dict):
        return "an object"
    return (
        f"the string {shortened(value)}"
        if isinstance(value, str)
        else f"the number {shortened(value)}"
    )
