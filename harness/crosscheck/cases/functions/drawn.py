"""A Hypothesis strategy of a function's cases.

>>> from hypothesis import given
>>> from crosscheck.cases.functions.arguments import arguments_of
>>> from crosscheck.cases.functions.drawn import records
>>> from crosscheck.cases.functions.shapes import parsed
>>> dense = arguments_of("dense", parsed("b i, o i, o -> b o", ["x", "w", "b"]))
>>> @given(records(dense, dtype="float32"))
... def test_my_gradient(record): ...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from crosscheck.cases.functions.arguments import Arguments
from crosscheck.cases.functions.record import Record
from crosscheck.cases.functions.shapes import Shape
from crosscheck.cases.functions.source import KINDS, Place, Source
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.tools.errors import UsageError

__all__ = ["Aim", "records"]

Aim = Callable[[Record, np.random.Generator], Record | None]
"""Moves a case onto a kink of the function: it, or ``None`` if there is none to be met."""

_SHARES = ("small", "small", "ties", "full", "full", "long")
"""Kinds of numbers, the simplest first; one that comes twice comes twice as often."""

_WEIGHTS = (1.0, -2.0, 2.0, -1.0, 0.5, 3.0)
"""Cotangents of a number; 1 alone would not see whether it is used."""


def records(
    arguments: Arguments,
    *,
    dtype: str = "float64",
    kinds: Sequence[str] | None = None,
    aim: Aim | None = None,
    combinations: int = 12,
) -> st.SearchStrategy[Record]:
    """Single cases of a function.

    Args:
        arguments: What it is called with.
        dtype: A name of `crosscheck.numbers.formats.FORMATS`.
        kinds: Some of `crosscheck.cases.functions.source.KINDS`, the simplest first; all of them by
            default. ``"long"`` only where there is an axis for it.
        aim: Tried on half of the cases. What it returns counts if all arguments are still of
            their domains and shapes.
        combinations: About how many different sizes there are.

    Raises:
        UsageError: No such dtype or kind, or no sizes are possible.
    """
    form = format_of(dtype)
    chosen = list(_SHARES if kinds is None else kinds)
    for kind in chosen:
        if kind not in KINDS:
            raise UsageError(f"kinds: {kind!r}, wanted some of {', '.join(KINDS)}")
    usual, long = arguments.combinations(combinations), arguments.long_sums(form)
    if not long:
        chosen = [kind for kind in chosen if kind != "long"]
    if not chosen:
        raise UsageError(f"kinds: long, and no axis can have 2^{form.precision} + 2 entries")

    @st.composite
    @in_ieee_arithmetic
    def draw_record(draw: st.DrawFn) -> Record:
        kind = draw(st.sampled_from(chosen))
        axis, sizes = (
            draw(st.sampled_from(long)) if kind == "long" else ("", draw(st.sampled_from(usual)))
        )
        keywords = {
            name: draw(st.sampled_from(values)) for name, values in arguments.keywords.items()
        }
        arrays = {}
        for name in arguments.shapes.arguments:
            source = Source(draw, form, kind, arguments.edges.get(name, ()))
            arrays[name] = _array(arguments, name, source, sizes, axis)
        source = Source(draw, form, kind)
        shapes = arguments.results(arrays, sizes, keywords)
        cotangents = _cotangents(arguments, shapes, source, sizes)
        record = Record(arguments.name, arrays, cotangents, sizes, dtype, kind, keywords)
        if aim is not None and draw(st.booleans()):
            moved = aim(record, source.rng())
            if moved is not None and _is_case(moved, arguments):
                return moved
        return record

    return draw_record()


def _array(
    arguments: Arguments, name: str, source: Source, sizes: Mapping[str, int], axis: str
) -> Any:
    """Numbers of an argument; equal ones along the axis of a long sum if the domain has them."""
    domain, form = arguments.domains[name], source.form
    place = arguments.place(name, sizes, form)
    if axis:
        short = arguments.place(name, arguments.shapes.settled({**sizes, axis: 1}), form)
        if all(one in (1, many) for one, many in zip(short.shape, place.shape, strict=True)):
            found = np.broadcast_to(domain.draw(source, short), place.shape).copy()
            if domain.holds(found, place):
                return found
    return domain.draw(source, place)


def _cotangents(
    arguments: Arguments, shapes: Mapping[str, Shape], source: Source, sizes: Mapping[str, int]
) -> dict[str, Array]:
    """What results are weighed with: of several, one time in four only one is."""
    draw = source.draw
    found = {}
    for name, shape in shapes.items():
        if arguments.weighing is not None:
            place = Place(f"cotangent of {name}", shape, source.form, sizes)
            found[name] = np.asarray(arguments.weighing.draw(source, place), dtype=np.float64)
            continue
        plain = not shape or source.kind == "long" or draw(st.integers(0, 3)) == 0
        if plain and not (source.kind == "full" and draw(st.booleans())):
            array = np.full(shape, draw(st.sampled_from(_WEIGHTS)))
        else:
            array = source.reals(shape)
        found[name] = array if array.any() else np.ones(shape)
    if len(found) > 1 and arguments.weighing is None and draw(st.integers(0, 3)) == 0:
        kept = draw(st.sampled_from(list(found)))
        found = {n: each if n == kept else np.zeros(each.shape) for n, each in found.items()}
    return found


def _is_case(record: Record, arguments: Arguments) -> bool:
    """Whether a case that was moved is still one."""
    form = format_of(record.dtype)
    return set(record.arguments) == set(arguments.domains) and all(
        arguments.holds(name, array, record.sizes, form) for name, array in record.arguments.items()
    )
