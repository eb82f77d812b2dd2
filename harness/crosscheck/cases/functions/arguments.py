"""What the arguments of a user's function range over, all of them together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from crosscheck.cases.functions.domains import Domain, reals
from crosscheck.cases.functions.given import domain_of
from crosscheck.cases.functions.shapes import MOST_AXES, Shape, Shapes, is_count
from crosscheck.cases.functions.source import Place
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import Format
from crosscheck.tools.errors import UsageError, meant

__all__ = ["Arguments", "Outputs", "arguments_of"]

Outputs = Callable[[Mapping[str, Any], Mapping[str, Any]], Mapping[str, Shape]]
"""From arguments and keywords to the name and the shape of each result."""

_USUAL = (1, 2, 3, 4)
_FURTHER = tuple(range(1, 17))
_COMBINATIONS = 4_096
_MOST_ENTRIES = 2**14


@dataclass(frozen=True, eq=False)
class Arguments:
    """Shapes, domains and sizes for the arguments of a function.

    Attributes:
        name: Of the function.
        shapes: Of its arguments.
        domains: Of each argument.
        sizes: The sizes that each name of `Shapes.names` may have.
        given: The names whose sizes the user has said, or an array of his has.
        outputs: The shapes of what the function returns, where ``shapes`` does not say it.
        weighing: What cotangents range over; ``None`` for small numbers of either sign.
        edges: Breakpoints that arguments are put on, by name.
        keywords: Keyword to the values that it may have.
        entries: How many numbers the arguments may have together.
    """

    name: str
    shapes: Shapes
    domains: Mapping[str, Domain]
    sizes: Mapping[str, tuple[int, ...]]
    given: frozenset[str] = frozenset()
    outputs: Outputs | None = None
    weighing: Domain | None = None
    edges: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    keywords: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    entries: int = _MOST_ENTRIES

    def place(self, argument: str, sizes: Mapping[str, int], form: Format) -> Place:
        """Where an argument's numbers are drawn for."""
        shape = self.shapes.of(argument, sizes)
        return Place(argument, shape, form, sizes, self.shapes.labels(argument, sizes))

    def results(
        self, arguments: Mapping[str, Any], sizes: Mapping[str, int], keywords: Mapping[str, Any]
    ) -> dict[str, Shape]:
        """Name and shape of each result; empty where nothing is known of them.

        Raises:
            UsageError: They are not shaped as is written.
        """
        if self.outputs is not None:
            found = dict(self.outputs(arguments, keywords))
            self.shapes.require_outputs(list(found.values()), sizes)
            return found
        shapes = self.shapes.outputs_of(sizes) or ()
        names = ["out"] if len(shapes) == 1 else [f"out{number}" for number in range(len(shapes))]
        return dict(zip(names, shapes, strict=True))

    def holds(self, name: str, array: Any, sizes: Mapping[str, int], form: Format) -> bool:
        """Whether an array is one that an argument may be."""
        return self.domains[name].holds(array, self.place(name, sizes, form))

    def combinations(self, most: int = 12) -> list[dict[str, int]]:
        """Sizes for all names, few and different, so that little is compiled.

        The first has the first of each. Then each name takes its sizes in turn, beginning one
        later than the name before, so that different names mostly differ and every size comes;
        more are drawn with a fixed seed. What no expression can have, or has too many entries, is
        left out.

        Raises:
            UsageError: Nothing is left.
        """
        names = list(self.sizes)
        turns = max((len(each) for each in self.sizes.values()), default=1)
        found = [{name: each[0] for name, each in self.sizes.items()}]
        for turn in range(turns):
            found.append(
                {n: self.sizes[n][(turn + k) % len(self.sizes[n])] for k, n in enumerate(names)}
            )
        rng = np.random.Generator(np.random.Philox(len(names)))
        if len(names) > 1:
            for _ in range(most):
                found.append({n: int(rng.choice(each)) for n, each in self.sizes.items()})
        possible = self._possible(found)
        if len(possible) < min(most, 4):
            wider = {n: s if n in self.given else _FURTHER for n, s in self.sizes.items()}
            every = (
                dict(zip(names, each, strict=True)) for each in itertools.product(*wider.values())
            )
            possible = self._possible([*found, *itertools.islice(every, _COMBINATIONS)])
        if not possible:
            raise UsageError(
                f"shapes={self.shapes.text!r}: no sizes found for which every axis has 1 entry or "
                f"more and all together {self.entries} at most; wanted sizes={{'name': numbers}}"
            )
        return possible[: max(most, turns + 1)]

    def _possible(self, found: Iterable[Mapping[str, int]]) -> list[dict[str, int]]:
        every: dict[tuple[tuple[str, int], ...], dict[str, int]] = {}
        for sizes in found:
            if not self.shapes.is_possible(sizes):
                continue
            settled = self.shapes.settled(sizes)
            if self.count(settled) <= self.entries:
                used = self.used(settled)
                every.setdefault(tuple(used.items()), used)
        return list(every.values())

    def used(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """The sizes without those of axes that ``*batch`` has not got."""
        unused = {
            f"{name.removeprefix('*')}[{number}]"
            for name, count in sizes.items()
            if is_count(name)
            for number in range(count, MOST_AXES)
        }
        return {name: size for name, size in sizes.items() if name not in unused}

    def count(self, sizes: Mapping[str, int]) -> int:
        """Numbers of all arguments together."""
        return sum(math.prod(self.shapes.of(name, sizes)) for name in self.shapes.arguments)

    def long_sums(self, form: Format) -> list[tuple[str, dict[str, int]]]:
        """Axes along which 2^p + 2 terms are possible, with the sizes of all; others are small.

        From 2^p equal terms on one more changes nothing where the sum has p bits: 2^p + 1 is a tie
        of rounding, and goes to 2^p. Left out where the user has said the sizes, and where there
        would be more entries than ``entries``: always in float32 and float64.
        """
        found = []
        length = 2**form.precision + 2
        for name in self.sizes:
            if name in self.given or length > self.entries or is_count(name):
                continue
            others = {n: s if n in self.given else (1, 2) for n, s in self.sizes.items()}
            tried = [
                {**{n: s[min(k, len(s) - 1)] for n, s in others.items()}, name: length}
                for k in (0, 1)
            ]
            found += [(name, sizes) for sizes in self._possible(tried) if sizes.get(name) == length]
        return found


def arguments_of(
    name: str,
    shapes: Shapes,
    *,
    inputs: Mapping[str, Any] | None = None,
    kinds: Mapping[str, str] | None = None,
    sizes: Mapping[str, int | Sequence[int]] | None = None,
    outputs: Outputs | None = None,
    cotangents: Any = None,
    edges: Mapping[str, Sequence[float]] | None = None,
    static: Mapping[str, Any] | None = None,
    entries: int = _MOST_ENTRIES,
) -> Arguments:
    """What a function's arguments range over, from what the user says.

    Args:
        name: Of the function.
        shapes: Of its arguments.
        inputs: Argument to domain, or what `crosscheck.cases.functions.given.domain_of` takes; real
            numbers of moderate size where there is none.
        kinds: Argument to ``"integer"`` or ``"bool"`` where an annotation says so.
        sizes: Axis to its size, or to those it may have; 1 to 4 where there are none. ``"batch"``
            is each axis of ``*batch``, ``"*batch"`` their number.
        outputs: See `Arguments`.
        cotangents: ``None``, ``"ones"``, or a domain.
        edges: Argument to its breakpoints.
        static: Keyword to its value, or to a list of values to draw from.
        entries: How many numbers the arguments may have together.

    Raises:
        UsageError: Something of it fits nothing else, in one line that says what.
    """
    known = list(shapes.arguments)
    domains = {each: domain_of(value, each) for each, value in _named(inputs, known, "inputs")}
    for each, kind in (kinds or {}).items():
        if kind != "real" and each not in domains:
            example = "integers(0, 'c')" if kind == "integer" else "mask()"
            raise UsageError(
                f"inputs: {each} is of {kind}s by its annotation, wanted its domain, as in "
                f"inputs={{{each!r}: {example}}}"
            )
    domains = {each: domains.get(each) or reals() for each in known}
    fixed = {n: d.own_shape for n, d in domains.items() if d.own_shape is not None}
    bound = shapes.sizes_of(fixed)
    allowed = _sizes(shapes, sizes or {})
    for axis, size in bound.items():
        if axis in allowed and size not in allowed[axis]:
            raise UsageError(
                f"sizes: {axis} is {list(allowed[axis])}, and an array in inputs has {size}"
            )
        allowed[axis] = (size,)
    every = {
        axis: allowed.get(axis, (0, 1, 2) if is_count(axis) else _USUAL)
        for axis in dict.fromkeys((*shapes.names, *bound))
    }
    weighing = None
    if cotangents is not None:
        ones = isinstance(cotangents, str) and cotangents == "ones"
        weighing = domain_of(1.0 if ones else cotangents, "cotangents")
    return Arguments(
        name,
        shapes,
        domains,
        every,
        frozenset(allowed),
        outputs,
        weighing,
        {n: _edges(n, values) for n, values in _named(edges, known, "edges")},
        {n: tuple(v) if isinstance(v, list) else (v,) for n, v in (static or {}).items()},
        entries,
    )


def _named(given: Mapping[str, Any] | None, known: Sequence[str], field_: str) -> Any:
    """The pairs of a mapping whose keys are arguments."""
    for name in given or {}:
        if name not in known:
            hint = meant(name, known)
            raise UsageError(
                f"{field_}: no argument {str(name)[:60]!r}, wanted {', '.join(known)}{hint}"
            )
    return (given or {}).items()


def _sizes(shapes: Shapes, given: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The sizes that the user says, by name; each axis of ``*batch`` by itself."""
    found = {}
    for name, value in given.items():
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        listed = list(value) if isinstance(value, Iterable) and not isinstance(value, str) else []
        values = [value] if whole else listed
        if not values or not all(
            isinstance(each, int | np.integer) and not isinstance(each, bool) and each >= 0
            for each in values
        ):
            raise UsageError(f"sizes[{name!r}]={value!r}: wanted a whole number, or several")
        several = [each for each in shapes.names if each.startswith(f"{name}[")]
        is_several = f"*{name}" in shapes.names
        for each in several if is_several else [shapes.checked_name(name, "sizes")]:
            found[each] = tuple(int(each) for each in values)
    return found


def _edges(name: str, values: Any) -> tuple[float, ...]:
    array: Array = np.atleast_1d(np.asarray(values))
    if array.ndim != 1 or array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise UsageError(f"edges[{name!r}]={values!r}: wanted finite numbers")
    return tuple(map(float, array))
