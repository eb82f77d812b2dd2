"""The cases on which functions are compared: given, drawn, aimed at kinks; one found again."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crosscheck.cases.functions.arguments import Arguments
from crosscheck.cases.functions.drawn import records
from crosscheck.cases.functions.files import MOST_BYTES, record_from_text, record_to_text
from crosscheck.cases.functions.record import Record
from crosscheck.cases.functions.smaller import smaller
from crosscheck.cases.profiles import settings
from crosscheck.cases.search import search
from crosscheck.numbers.formats import format_of
from crosscheck.run.functions.aimed import aimed
from crosscheck.run.functions.formula import Formula
from crosscheck.tools.atomic import write_text_atomically
from crosscheck.tools.errors import CrosscheckError, UsageError
from crosscheck.tools.reading import bytes_of
from crosscheck.tools.words import shown

__all__ = ["About", "found", "keep", "records_of", "smaller_of"]

_KEPT = Path(".hypothesis/crosscheck")


@dataclass(frozen=True, eq=False)
class About:
    """A formula and its arguments.

    Attributes:
        formula: The formula.
        arguments: What it is called with.
        notes: What the user should be told once.
        combinations: About how many different sizes are drawn, beside those that let every axis
            have each of its lengths.
    """

    formula: Formula
    arguments: Arguments
    notes: tuple[str, ...]
    combinations: int = 12


def records_of(
    about: About,
    dtypes: Sequence[str],
    count: int,
    seed: int,
    examples: Sequence[Mapping[str, Any]] = (),
) -> Iterator[Record]:
    """The examples, in each dtype, and then as many cases as are wanted, drawn.

    Args:
        about: The formula and its arguments.
        dtypes: Of the cases; each gets an equal share.
        count: How many are drawn.
        seed: The same seed draws the same ones (see `crosscheck.cases.search.search`).
        examples: Arguments by name.

    Raises:
        UsageError: An example does not fit.
    """
    for dtype in dtypes:
        yield from (_example(about, each, dtype) for each in examples)
    drawn: list[Record] = []
    for number, dtype in enumerate(dtypes):
        share = (count + len(dtypes) - 1 - number) // len(dtypes)
        if share:
            search(
                records(
                    about.arguments,
                    dtype=dtype,
                    aim=_aiming(about.formula),
                    combinations=about.combinations,
                ),
                lambda record, new: drawn.append(record),
                name=f"{about.formula.name}_{dtype}",
                settings=settings(),
                seed=seed + number,
                examples=share,
            )
    seen: set[str] = set()
    for record in drawn:
        if record.key not in seen:
            seen.add(record.key)
            yield record


def _aiming(formula: Formula) -> Callable[[Record, np.random.Generator], Record | None]:
    def aim(record: Record, rng: np.random.Generator) -> Record | None:
        moved = aimed(formula.case(record), rng)
        if moved is None:
            return None
        for name, array in moved.items():
            record = record.replaced(name, array)
        return record

    return aim


def _example(about: About, given: Mapping[str, Any], dtype: str) -> Record:
    names = list(about.arguments.shapes.arguments)
    if set(given) != set(names):
        raise UsageError(f"example of {', '.join(given)}: wanted {', '.join(names)}")
    form = format_of(dtype)
    arrays = {}
    for name in names:
        array = np.asarray(given[name])
        if about.arguments.domains[name].kind == "real":
            array = form.round(np.asarray(array, dtype=np.float64))
        elif array.dtype.kind in "iu":
            array = array.astype(np.int64)
        arrays[name] = array
    sizes = about.arguments.shapes.sizes_of({name: arrays[name].shape for name in names})
    keywords = {name: values[0] for name, values in about.arguments.keywords.items()}
    shapes = about.arguments.results(arrays, sizes, keywords)
    cotangents = {name: np.ones(shape) for name, shape in shapes.items()}
    return Record(about.formula.name, arrays, cotangents, sizes, dtype, "", keywords)


def found(case: str, about: About, dtypes: Sequence[str], count: int, seed: int) -> Record:
    """One case: of a JSON file, or drawn before under this key, or the beginning of it.

    Raises:
        UsageError: There is none.
    """
    if case == "-" or case.endswith(".json"):
        return _read(case)
    if (kept := _KEPT / f"{case}.json").is_file():
        return _read(str(kept))
    for record in records_of(about, dtypes, count, seed):
        if record.key.startswith(case):
            return record
    raise UsageError(
        f"case={case!r}: no case of this key is drawn; wanted the key of a drawn case with its "
        "profile and seed, or a JSON file"
    )


def keep(record: Record) -> None:
    """Keep a failing case where `found` looks for it, beside Hypothesis's database.

    Nothing happens where that cannot be written to: the case is in the message as well.
    """
    with contextlib.suppress(OSError, CrosscheckError):
        _KEPT.mkdir(parents=True, exist_ok=True)
        write_text_atomically(_KEPT / f"{record.key}.json", record_to_text(record))


def _read(case: str) -> Record:
    if case == "-":
        return record_from_text(sys.stdin.read(MOST_BYTES + 1), origin="standard input")
    return record_from_text(bytes_of(case, most=MOST_BYTES), origin=shown(case))


def smaller_of(arguments: Arguments) -> Callable[[Record, Callable[[Record], bool]], Record]:
    """Makes a case as small as it gets while something holds of it."""
    return lambda record, still_fails: smaller(record, still_fails, arguments, _ATTEMPTS)


_ATTEMPTS = 80
"""At making a case smaller: for each a framework may have to compile."""
