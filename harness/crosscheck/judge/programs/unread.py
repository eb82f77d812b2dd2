"""What the bounds of a whole network say of a gradient whose decisions are not read from it.

A deep network of norms and kinks has bounds too wide to read decisions from, and hundreds of them,
each a search. Where a framework shows its steps, each decision is read where it is made
(`crosscheck.judge.local`). What is left to the a-priori certificate is whether the gradient lies
within its bounds for *any* slopes between the extremes. Outside them it is wrong, by proof; inside
it may be right, and nothing more is said, unless nothing is open.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from crosscheck.judge.entries import is_bounded, worst_of
from crosscheck.judge.programs.enclosed import EnclosedProgram
from crosscheck.judge.programs.explanation import contains
from crosscheck.judge.vacuity import arrays_checked
from crosscheck.judge.verdict import Kind, Verdict
from crosscheck.network.composed import Derivatives
from crosscheck.numbers.formats import Format
from crosscheck.numbers.library import Library
from crosscheck.numbers.model import Model, reductions_of

__all__ = ["UNREAD", "within_any_slopes"]

UNREAD = "within the bounds of the whole for some slopes; which they are is read from steps alone"


def within_any_slopes(
    enclosed_of: Callable[[Model], EnclosedProgram],
    form: Format,
    named: Verdict,
    given: Derivatives,
    library: Library | None,
) -> Verdict:
    """What is said of a gradient of a finite case.

    Args:
        enclosed_of: The case on enclosures of an arithmetic.
        form: Its dtype.
        named: A verdict with the names of who answered.
        given: The gradient, with the arrays that it should have.
        library: Whose elementary functions were called; any, if none is given.
    """
    zeros = given.map_derivatives(np.zeros_like)
    plain = Model(form, library=library)
    flushed = replace(plain, flush=True)
    for model in (plain, flushed, *reductions_of(flushed)):
        enclosed = enclosed_of(model)
        bounds = enclosed.any_gradients
        if not contains(bounds, given):
            continue
        found = _compared(named, bounds, given, form)
        if model.arithmetic is not None:
            if contains(bounds, zeros) or not is_bounded(bounds, given):
                continue
            return replace(found, kind=Kind.REDUCED, arithmetics=(model.arithmetic.name,))
        if model.flush:
            return replace(found, kind=Kind.SUBNORMAL)
        if not enclosed.has_open and is_bounded(bounds, given):
            return replace(found, kind=Kind.AGREES)
        return replace(found, kind=Kind.UNDECIDED, detail=UNREAD)
    return _compared(named, enclosed_of(flushed).any_gradients, given, form)


def _compared(named: Verdict, bounds: Derivatives, given: Derivatives, form: Format) -> Verdict:
    checked, not_checked = arrays_checked(bounds, given)
    worst = worst_of(bounds, given, form)
    return replace(named, kind=Kind.DISAGREES, worst=worst, checked=checked, unchecked=not_checked)
