"""Measuring: every function, formulation, mode and dtype of every framework, against the exact."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np

from crosscheck.frameworks.adapter import Adapter
from crosscheck.numbers.accuracy import Kernel, Key, Record, Row
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.elementary import ELEMENTARY, Elementary
from crosscheck.numbers.formats import WORKING, Format, format_of
from crosscheck.operators.elementary_lines import elementary_lines
from crosscheck.studies.accuracy.departures import MANY
from crosscheck.studies.accuracy.points import Settings, bins, chunks, points, scales_of_bins
from crosscheck.studies.accuracy.reference import Reference, error_at, reference
from crosscheck.studies.accuracy.second import BENT, SECOND
from crosscheck.studies.accuracy.short import PIECES, in_pieces, is_exhaustive, some
from crosscheck.tools.errors import require_known
from crosscheck.tools.records import Decimal
from crosscheck.tools.words import named

__all__ = [
    "DEMANDED",
    "LENGTH",
    "MODES",
    "Source",
    "measured",
    "merged",
    "parts",
    "quietly",
    "sources",
]

MODES = {"torch": ("eager",), "tensorflow": ("eager", "xla"), "jax": ("eager", "jit")}
"""The modes that are measured: kernels of the library, and what its compiler makes of the line.

Not ``torch.compile``, which takes ten seconds for each line, dtype and length; and not the modes
that differentiate in another way and run the same kernels.
"""

LENGTH = 1 << 18
"""Elements of an array, all but the last: compilers make code for each length."""

DEMANDED = frozenset(
    {"sqrt", "reciprocal", "dividend", "divisor", *(n for n in ELEMENTARY if n.startswith("over"))}
)
"""Functions whose value IEEE 754 demands to be the nearest number."""

_LEAST = 4.0
"""A subnormal input is taken for another number where the error is this and above the row's."""

_CANDIDATES = 3
"""So many of the largest errors are computed anew, by Arb."""

_PROFILES = ("float32",)
"""The dtypes of which errors are kept by size of the input."""

Run = Callable[[tuple[Array, ...]], tuple[Array, Array]]
"""From operands to values, and derivatives by the one of them that has been asked for; or to first
and second derivatives."""


@dataclass(frozen=True, eq=False)
class Source:
    """A framework, and its lines.

    Attributes:
        adapter: How arrays go there and come back.
        versions: Of its packages, in a word.
        lines: Function to formulation to expression.
        second: Mode to how it is differentiated twice.
    """

    adapter: Adapter
    versions: str
    lines: Any
    second: Mapping[str, str]

    @property
    def name(self) -> str:
        """The framework's name."""
        return self.adapter.name

    def keys(self, function: str, dtype: str) -> Iterator[Key]:
        """The rows of values that there are to measure."""
        for mode in MODES.get(self.name, ()):
            for formulation in self.lines.get(function, ()):
                yield Key(self.name, function, formulation, mode, dtype, 0)

    def orders(self, key: Key) -> range:
        """Which derivatives are measured of a row's line."""
        return range(3 if key.function in BENT and key.mode in self.second else 2)

    def run(self, key: Key, *, twice: bool = False) -> Run:
        """What evaluates and differentiates a line, or differentiates it once and twice.

        Raises:
            Exception: What the library raises, also when it is called.
        """
        assert self.adapter.lines is not None
        lines = replace(self.adapter.lines, units=self.lines)
        if twice:
            lines = replace(lines, modes=self.second)
        names: dict[str, Any] = {}
        # The line that people are shown is the line that runs. It is one of our own constants.
        exec(lines.source(key.function, key.formulation, key.mode), names)
        which = 1 if key.function == "divisor" else 0

        def run(operands: tuple[Array, ...]) -> tuple[Array, Array]:
            pair = operands[::-1] if which else operands
            sent = self.adapter.send(pair[0] if len(pair) == 1 else np.stack(pair), key.dtype)
            value, slope = names["measure"](sent)
            found = self.adapter.fetch(slope, key.dtype)
            slopes = found if len(pair) == 1 else found[which]
            return self.adapter.fetch(value, key.dtype), slopes

        return run


def sources(adapters: Sequence[Adapter], versions: dict[str, str]) -> list[Source]:
    """The frameworks that have lines.

    Args:
        adapters: Opened.
        versions: Name to the versions of its packages.
    """
    found = [
        Source(each, versions[each.name], elementary_lines(each.name), SECOND.get(each.name, {}))
        for each in adapters
    ]
    return [each for each in found if each.lines]


def parts(
    functions: Collection[str] | None = None, dtypes: Collection[str] | None = None
) -> list[tuple[str, str]]:
    """Functions and dtypes in the order in which they are measured.

    Raises:
        UsageError: One of them is unknown.
    """
    require_known("--function", functions or (), ELEMENTARY)
    require_known("--dtype", dtypes or (), WORKING)
    return [
        (function, dtype)
        for function in ELEMENTARY
        if functions is None or function in functions
        for dtype in WORKING
        if dtypes is None or dtype in dtypes
    ]


def measured(
    found: Sequence[Source],
    function: str,
    dtype: str,
    settings: Settings,
    also: Sequence[tuple[float, ...]] = (),
) -> list[Row]:
    """The rows of one function in one dtype, in every framework, formulation and mode.

    Args:
        found: Whose.
        function: A name of `ELEMENTARY`.
        dtype: In which dtype.
        settings: At which inputs.
        also: At these as well.
    """
    of, form = ELEMENTARY[function], format_of(dtype)
    operands = points(of, dtype, settings)
    if also:
        more = np.array(sorted(set(also))).T
        operands = tuple(np.append(each, new) for each, new in zip(operands, more, strict=True))
    rows = [
        _Rows(source, key, of, form) for source in found for key in source.keys(function, dtype)
    ]
    with ExitStack() as stack, warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # what libraries say of NaN is not asked
        stack.enter_context(quietly("tensorflow"))  # each line is a function that is new to it
        for source in found:
            stack.enter_context(source.adapter.context())
        for part in chunks(operands[0].size, LENGTH):
            here = tuple(each[part] for each in operands)
            references = [reference(of, order, form, here) for order in range(3)]
            for each in rows:
                each.take(here, references)
        place = some(operands[0].size, len(set(also)), dtype, settings)
        for each in rows:
            each.take_short(tuple(operand[place] for operand in operands))
        return [row for each in rows for row in each.finished()]


@contextmanager
def quietly(name: str) -> Iterator[None]:
    """A library's logger says errors only."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


@dataclass(eq=False)
class _Largest:
    """What has been found of one row so far."""

    error: float = -1.0
    candidates: list[tuple[float, tuple[float, ...], float]] = field(default_factory=list)
    points: int = 0
    misrounded: int = 0
    nonfinite: int = 0
    nonfinite_at: tuple[float, ...] = ()
    vanished: int = 0
    vanished_at: tuple[float, ...] = ()
    subnormal: int = 0
    odd: list[Array] = field(default_factory=list)
    small: list[Array] = field(default_factory=list)
    profile: Array | None = None

    def take(
        self, operands: tuple[Array, ...], of: Reference, got: Array, form: Format, demanded: bool
    ) -> None:
        """Count one array."""
        errors, finite = of.errors(got), np.isfinite(got)
        fits = of.is_judged | of.is_small
        vanished = of.is_judged & (got == 0) & (errors > MANY)
        self.nonfinite, self.nonfinite_at = _counted(
            fits & ~finite, operands, self.nonfinite, self.nonfinite_at
        )
        self.vanished, self.vanished_at = _counted(
            vanished, operands, self.vanished, self.vanished_at
        )
        judged = of.is_judged & finite & ~vanished
        self.points += int(judged.sum())
        shown = np.where(judged, errors, -1.0)
        worst = np.argpartition(shown, -min(_CANDIDATES, shown.size))[-_CANDIDATES:]
        found = [(float(shown[k]), _at(operands, int(k)), float(got[k])) for k in worst]
        self.candidates = sorted([*self.candidates, *(each for each in found if each[0] >= 0)])
        self.candidates = self.candidates[-_CANDIDATES:]
        if demanded:
            half = 0.5 * form.ulp(np.where(judged, of.high, 1.0))
            off = np.abs((got - of.high) - of.low)
            self.misrounded += int((judged & (off > half * (1 + 2.0**-20))).sum())
        small = of.is_small & finite
        over = np.abs((got - of.high) - of.low) - form.smallest_normal
        self.small.append((over / of.unit)[small & (over > 0)])
        self.subnormal += int(of.is_subnormal.sum())
        self.odd.append(np.where(finite, errors, np.inf)[of.is_subnormal])
        if self.profile is not None:
            np.maximum.at(self.profile, bins(operands[0], form.name)[judged], errors[judged])


def _at(operands: tuple[Array, ...], place: int) -> tuple[float, ...]:
    return tuple(float(each[place]) for each in operands)


def _counted(
    these: Any, operands: tuple[Array, ...], count: int, first: tuple[float, ...]
) -> tuple[int, tuple[float, ...]]:
    """A count and its first input, with those of one more array."""
    places = np.flatnonzero(these)
    if places.size and not count:
        first = _at(operands, int(places[0]))
    return count + places.size, first


class _Rows:
    """The rows of the value and of the derivatives, while they are measured."""

    def __init__(self, source: Source, key: Key, of: Elementary, form: Format) -> None:
        self._source, self._key, self._of, self._form = source, key, of, form
        self._orders = source.orders(key)
        self._runs: dict[bool, Run] = {}
        self._why: dict[bool, str] = {}
        self._found = [_Largest() for _ in self._orders]
        self._short = [_Largest() for _ in self._orders]
        if key.dtype in _PROFILES:
            for each in self._found[:2]:
                each.profile = np.full(len(scales_of_bins(key.dtype)), -1.0)

    def take_short(self, operands: tuple[Array, ...]) -> None:
        """Run the line on short arrays: of these numbers, and of the worst in long ones."""
        key = self._key
        if key.mode not in PIECES.get(key.framework, ()) or not operands[0].size:
            return
        worst = sorted({at for found in self._found for _, at, _ in found.candidates})
        if worst and not is_exhaustive(key.dtype):
            more = zip(operands, np.array(worst).T, strict=True)
            operands = tuple(np.append(each, new) for each, new in more)
        for twice, run in self._runs.items():
            if twice in self._why:
                continue
            for here, got in in_pieces(run, operands, key.framework, key.dtype):
                for order in (order for order in self._orders if (order > 1) == twice):
                    of = reference(self._of, order, self._form, here)
                    self._short[order].take(here, of, got[min(order, 1)], self._form, False)

    def take(self, operands: tuple[Array, ...], references: Sequence[Reference]) -> None:
        """Run the line on one array."""
        size = operands[0].size
        full = tuple(np.pad(each, (0, _length(size) - size), mode="edge") for each in operands)
        for twice in (False, True):
            wanted = [order for order in self._orders if (order > 1) == twice]
            got = self._results(twice, full) if wanted else None
            if got is None:
                continue
            for order in wanted:
                demanded = order == 0 and self._key.function in DEMANDED
                here = got[min(order, 1)][:size]
                self._found[order].take(operands, references[order], here, self._form, demanded)

    def _results(self, twice: bool, operands: tuple[Array, ...]) -> tuple[Array, Array] | None:
        """What the line gives; ``None`` if the library cannot do it, now or before."""
        if twice in self._why:
            return None
        try:
            if twice not in self._runs:
                self._runs[twice] = self._source.run(self._key, twice=twice)
            return self._runs[twice](operands)
        except Exception as error:  # the library's own words for what it cannot do
            silent = type(error).__name__
            self._why[twice] = named(error, 200, first_line=True, silent=silent)
            return None

    def finished(self) -> Iterator[Row]:
        """The rows."""
        for order, found in enumerate(self._found):
            key = replace(self._key, order=order)
            why = self._why.get(order > 1)
            yield Row(key, unsupported=why) if why else self._row(key, found)

    def _row(self, key: Key, found: _Largest) -> Row:
        kernel: Kernel = "long"
        (error, at, got), short = self._worst(key, found), self._worst(key, self._short[key.order])
        in_long = error
        if short[0] > error:
            (error, at, got), kernel = short, "short"
        odd = np.concatenate([*found.odd, np.empty(0)])
        small = np.concatenate([*found.small, np.empty(0)])
        profile = () if found.profile is None else tuple(map(_short, found.profile.tolist()))
        return Row(
            key,
            error=_up(error),
            at=at,
            got=got,
            alone=self._alone(key.order, at, got, error),
            kernel=kernel,
            short=self._short[key.order].points,
            misrounded=found.misrounded if key.order == 0 and key.function in DEMANDED else -1,
            points=found.points,
            nonfinite=found.nonfinite,
            nonfinite_at=found.nonfinite_at,
            vanished=found.vanished,
            vanished_at=found.vanished_at,
            subnormal=found.subnormal,
            flushed=int((odd > max(_LEAST, in_long)).sum()),
            lost=int((small > in_long).sum()),
            profile=profile,
        )

    def _worst(self, key: Key, found: _Largest) -> tuple[float, tuple[float, ...], float]:
        """The largest error by Arb, where it is, and what came out there."""
        best: tuple[float, tuple[float, ...], float] = (0.0, (), 0.0)
        for _, at, got in found.candidates:
            error = error_at(self._of, key.order, self._form, at, got)
            if error > best[0] or not best[1]:
                best = (error, at, got)
        return best

    def _alone(self, order: int, at: tuple[float, ...], got: float, error: float) -> Decimal | None:
        """The error at the worst input in an array of its own, where it is another one."""
        run = self._runs.get(order > 1)
        if run is None or not at or self._key.dtype != "float32":
            return None
        single = float(run(tuple(np.array([each]) for each in at))[min(order, 1)][0])
        if single == got or not np.isfinite(single):
            return None
        return _up(error_at(self._of, order, self._form, at, single))


def _length(size: int) -> int:
    """Of the array that is run: whole ones are alike, so that they are compiled once."""
    return LENGTH if size > LENGTH // 8 else max(1, 1 << (size - 1).bit_length())


_DIGITS, _BEYOND = 10_000, 2.0**1000


def _up(error: float) -> Decimal:
    """Rounded up to the fourth decimal; what is beyond all reason is a number all the same."""
    exact = Fraction(min(error, _BEYOND)) * _DIGITS
    return Decimal(-(-exact.numerator // exact.denominator) / _DIGITS)


def _short(error: float) -> Decimal:
    """With three digits."""
    return Decimal(float(f"{min(error, _BEYOND):.3g}"))


def merged(record: Record, rows: Sequence[Row]) -> Record:
    """A record with rows replaced or added, in the order of the tables."""
    new = {row.key: row for row in rows}
    kept = {**record.by_key, **new}
    names = list(ELEMENTARY)

    def place(key: Key) -> tuple[object, ...]:
        frameworks = list(MODES)
        at = frameworks.index(key.framework) if key.framework in frameworks else len(frameworks)
        formulations = list(elementary_lines(key.framework).get(key.function, ()))
        way = formulations.index(key.formulation) if key.formulation in formulations else 99
        return at, names.index(key.function), way, key.mode, WORKING.index(key.dtype), key.order

    return replace(record, rows=tuple(kept[key] for key in sorted(kept, key=place)))
