"""How many roundings the functions of libraries err by: the record, and N for verdicts.

`crosscheck accuracy` measures, for each function of `crosscheck.numbers.elementary` and its
derivative as a library's differentiation returns it, the largest |computed - exact| in roundings
u scale. Here the record is read, which needs neither a library nor Arb.

**N.** A verdict that rests on an elementary function says "proved given N roundings". N is fixed
here, by the record and before any verdict: the largest error of all numbers of the dtype, where
all were tried, rounded up to an eighth; where only some were (`Sample.is_all`), one more, since the
largest of some is less than the largest of all. That one is no proof: the words say "sampled".
Where the library's version, the processor or the mode is not that of a row, the nearest row is
taken and the words say so: what contradicts it is no fault that is proved.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal, TypeAlias

from crosscheck.tools.atomic import write_text_atomically
from crosscheck.tools.errors import UsageError
from crosscheck.tools.reading import json_of
from crosscheck.tools.records import Decimal, Records
from crosscheck.tools.words import message_of, shown

__all__ = [
    "RECORD",
    "SHIPPED",
    "Kernel",
    "Key",
    "Record",
    "Roundings",
    "Row",
    "Sample",
    "Shown",
    "committed",
    "read_record",
    "roundings",
    "write_record",
]

RECORD = "accuracy.json"

_VERSION = 1
_PACKAGE = Path(__file__).resolve().parents[1]
SHIPPED = (_PACKAGE.parents[1] / "reports", Path(__file__).with_name("records"))
"""Where the record of this package is: in the checkout that it is installed from, or in the package
itself, where it is put when that is built."""


Kernel: TypeAlias = Literal["long", "short"]
"""Arrays that a library works on in whole vectors, or those that are shorter than a vector: these,
like the tail of a long one, have kernels of their own, which may round otherwise."""


@dataclass(frozen=True, order=True)
class Key:
    """Which row.

    Attributes:
        framework: Whose.
        function: A name of `crosscheck.numbers.elementary.ELEMENTARY`.
        formulation: As what it is written.
        mode: How it is run and differentiated.
        dtype: In which dtype.
        order: 0 for the value, 1 and 2 for derivatives.
    """

    framework: str
    function: str
    formulation: str
    mode: str
    dtype: str
    order: int

    @property
    def named(self) -> str:
        """The function or derivative, and the formulation where it is not the function itself."""
        name = self.function + "'" * self.order
        return name if self.formulation == self.function else f"{name} as {self.formulation}"

    def __str__(self) -> str:
        return f"{self.framework} {self.named} ({self.mode}, {self.dtype})"


@dataclass(frozen=True)
class Row:
    """What was found.

    Attributes:
        key: Of what.
        error: The largest error in roundings u scale, in long and in short arrays, of normal
            numbers whose exact result does not underflow or overflow; ``None`` if the library
            cannot do it.
        at: The input where it occurs; of a function of two numbers, the first and the second.
        got: What the library returned there.
        alone: The error there in an array of one element, where it is another.
        misrounded: How many results are not the nearest number, of operations of which IEEE 754
            demands it; else -1.
        points: How many inputs ``error`` is the largest of.
        nonfinite: How many results are infinite or NaN though the exact one is a number of the
            dtype.
        nonfinite_at: The first of these inputs.
        vanished: How many results are 0 though the exact one is a normal number, more than 16
            roundings away: something on the way underflowed, or cancelled.
        vanished_at: The first of these inputs.
        subnormal: How many subnormal inputs were tried.
        flushed: Of these, how many were taken for zero, or for something else.
        lost: How many results below the smallest normal number are off by more than that number.
        profile: The largest error in each bin of inputs (`crosscheck.studies.accuracy.points`);
            -1 where there is none. Empty where it is not kept.
        kernel: In arrays of which length ``error``, ``at`` and ``got`` occur. Every other field is
            of long ones, but ``short``.
        short: How many inputs were tried in short arrays; 0 where only long ones were.
        unsupported: In the library's words, why there is nothing.
    """

    key: Key
    error: Decimal | None = None
    at: tuple[float, ...] = ()
    got: float | None = None
    alone: Decimal | None = None
    misrounded: int = -1
    points: int = 0
    nonfinite: int = 0
    nonfinite_at: tuple[float, ...] = ()
    vanished: int = 0
    vanished_at: tuple[float, ...] = ()
    subnormal: int = 0
    flushed: int = 0
    lost: int = 0
    profile: tuple[Decimal, ...] = ()
    kernel: Kernel = "long"
    short: int = 0
    unsupported: str = ""


@dataclass(frozen=True)
class Shown:
    """What a program prints that shows a departure (`crosscheck.studies.accuracy.findings`).

    Attributes:
        key: Of the row that it shows.
        kind: As what.
        pairs: Of value and derivative.
    """

    key: Key
    kind: str
    pairs: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Sample:
    """Which inputs were tried.

    Attributes:
        words: For people.
        is_all: Whether all numbers of the dtype were.
    """

    words: str
    is_all: bool


@dataclass(frozen=True)
class Record:
    """All rows of one measurement.

    Attributes:
        versions: Framework to the versions of its packages.
        environment: What else results may depend on.
        samples: Dtype to the inputs that were tried.
        rows: What was found.
        shown: What the programs of its departures print.
    """

    versions: Mapping[str, str]
    environment: Mapping[str, str]
    samples: Mapping[str, Sample]
    rows: tuple[Row, ...] = field(default=())
    shown: tuple[Shown, ...] = field(default=())

    @cached_property
    def by_key(self) -> Mapping[Key, Row]:
        """The rows by their keys."""
        return {row.key: row for row in self.rows}

    @property
    def frameworks(self) -> tuple[str, ...]:
        """The frameworks, in their order."""
        return tuple(dict.fromkeys(row.key.framework for row in self.rows))


@dataclass(frozen=True)
class Roundings:
    """N, and where it is from.

    Attributes:
        count: N, a multiple of ⅛.
        function: Of what: a function's name, with a prime for each derivative.
        where: Of which versions, mode and dtype.
        how: Of which inputs.
        is_nearest: Whether no row is of this version, processor and mode.
    """

    count: Fraction
    function: str
    where: str
    how: str
    is_nearest: bool

    @property
    def basis(self) -> str:
        """N, and where it is from, in a line."""
        nearest = "nearest row: " if self.is_nearest else ""
        return f"{self.words} ({nearest}{self.where}; {self.how})"

    @property
    def words(self) -> str:
        """N, and of what."""
        return f"{float(self.count):g} roundings in {self.function}"


_RECORDS = Records()
_RECORDS.lay(Row, if_told=[each.name for each in fields(Row) if each.name != "key"])


def dumps(record: Record) -> str:
    """The record as JSON, a row a line."""
    whole = {"format": _VERSION, **_RECORDS.apart(record)}
    lists = {name: whole.pop(name) for name in ("rows", "shown")}
    head = json.dumps(whole, indent=1, ensure_ascii=False).removesuffix("\n}")
    for name, entries in lists.items():
        lines = ",\n".join(f"  {json.dumps(entry, ensure_ascii=False)}" for entry in entries)
        head += f',\n "{name}": [\n{lines}\n ]' if lines else f',\n "{name}": []'
    return f"{head}\n}}\n"


def write_record(record: Record, path: Path) -> None:
    """Store a record.

    Raises:
        UsageError: The file cannot be written.
    """
    write_text_atomically(path, dumps(record))


def read_record(path: Path) -> Record:
    """The record stored at ``path``.

    Raises:
        UsageError: There is none, or the file holds something else.
    """
    stored = json_of(path, name="a record of accuracy", instead=_INSTEAD, missing=f"; {_INSTEAD}")
    try:
        if stored.pop("format") != _VERSION:
            raise ValueError("another format")
        record = _RECORDS.together(stored, Record)
        without = {row.key.dtype for row in record.rows} - record.samples.keys()
        if without:
            raise ValueError(f"rows of {min(without)}, of which it does not say what was tried")
        return record
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise UsageError(
            f"{shown(str(path))}: no record of accuracy ({message_of(error, 120)}); {_INSTEAD}"
        ) from None


_INSTEAD = "wanted a file that 'crosscheck accuracy --accept' wrote"


@lru_cache(maxsize=1)
def committed() -> Record:
    """The record that came with the package.

    Raises:
        UsageError: There is none.
    """
    for folder in SHIPPED:
        if (folder / RECORD).is_file():
            return read_record(folder / RECORD)
    raise UsageError(f"no {RECORD} came with the package; install it again")


def roundings(
    framework: str,
    mode: str,
    function: str,
    order: int,
    dtype: str,
    *,
    formulation: str | None = None,
    versions: str | None = None,
    environment: Mapping[str, str] | None = None,
    record: Record | None = None,
) -> Roundings | None:
    """N for a verdict.

    Args:
        framework: Whose function.
        mode: How it is run; a mode without rows has those of the mode that errs most.
        function: A name of `crosscheck.numbers.elementary.ELEMENTARY`.
        order: 0 for the value, 1 and 2 for derivatives as differentiation returns them.
        dtype: In which dtype.
        formulation: As what it is written; the framework's own function by default.
        versions: Those of the framework's packages here, as `Record.versions` has them, if known.
        environment: ``machine`` and ``vectors`` of the processor here, if known.
        record: Where to look; the one that came with the package by default.

    Returns:
        ``None`` if no mode of the framework has such a row.

    Raises:
        UsageError: No record came with the package.
    """
    record = committed() if record is None else record
    about = (framework, function, dtype, order)
    rows = [
        row
        for row in record.rows
        if (row.key.framework, row.key.function, row.key.dtype, row.key.order) == about
        and row.error is not None
    ]
    if formulation is None and rows:
        formulation = rows[0].key.formulation
    rows = [row for row in rows if row.key.formulation == formulation]
    if not rows:
        return None
    same = [row for row in rows if row.key.mode == mode]
    row = same[0] if same else max(rows, key=lambda row: row.error or 0)
    is_here = (versions is None or versions == record.versions.get(framework)) and all(
        (environment or {}).get(name, here) == here for name, here in record.environment.items()
    )
    return _roundings(row, record, is_nearest=not (same and is_here))


def _roundings(row: Row, record: Record, *, is_nearest: bool) -> Roundings:
    assert row.error is not None
    sample = record.samples[row.key.dtype]
    count = Fraction(math.ceil(8 * row.error), 8) + (not sample.is_all)
    how = sample.words if sample.is_all else f"sampled: {sample.words}, and one more"
    how += ", most in short arrays" if row.kernel == "short" else ""
    where = f"{record.versions[row.key.framework]}, {row.key.mode}, {row.key.dtype}"
    function = f"{row.key.function}{chr(39) * row.key.order}"
    return Roundings(count, function, where, how, is_nearest)
