"""Formats without an upper end of the exponents, in which nothing overflows.

What they are for: `crosscheck.numbers.extended`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from crosscheck.numbers.formats import Format
from crosscheck.numbers.model import Model
from crosscheck.numbers.named import Arithmetic

__all__ = ["Endless", "end_of", "model_of"]


@dataclass(frozen=True)
class Endless(Format):
    """A format whose exponents have no upper end.

    Attributes:
        end: Ω of the format that has one.
    """

    end: float = field(default=np.inf)

    @property
    def largest(self) -> float:
        """Nothing overflows."""
        return np.inf


def model_of(form: Format, arithmetic: Arithmetic | None = None) -> Model:
    """The arithmetic of ``form`` without an upper end, flushing or not.

    Args:
        form: The dtype.
        arithmetic: How matrix products are formed, if not in that.
    """
    if arithmetic is not None:
        multiplicand = arithmetic.multiplicand
        arithmetic = replace(
            arithmetic,
            multiplicand=None if multiplicand is None else _endless(multiplicand),
            accumulator=_endless(arithmetic.accumulator),
        )
    return Model(_endless(form), flush=True, arithmetic=arithmetic)


def _endless(form: Format) -> Endless:
    return Endless(
        form.name, form.precision, form.emin, form.emax, form.has_infinity, end=form.largest
    )


def end_of(form: Format) -> float:
    """Ω of the format that has one.

    Args:
        form: An `Endless` one.
    """
    assert isinstance(form, Endless)
    return form.end
