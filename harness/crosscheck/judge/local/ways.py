"""The arithmetics in which a step may be explained, in the order in which they are tried.

A dtype of few bits is hardly ever added up in: libraries form the sums of one operation in float32
and round them once. So this is tried first (`crosscheck.numbers.enclosure`, *Sums in a finer
format*), and its bounds are a rounding or two. Sums in the dtype itself are as right, and their
bounds hold nearly anything from some hundred terms on: with u = 2^-8 the any-order bound of 256
terms is their whole size. What such a bound explains may be right, and may be anything else. So an
explanation *tells* only if it would not hold an error of one in a hundred as well: of an entry c if
|c| > 201 b with b its bound, since from what is within b of c, 1.01 times that is at least
|c| / 100 - 1.01 b away, which is more than b then. Every entry that sums in float32 do not explain
has to be like that. Of named arithmetics, which explain an array as a whole, some entry has to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosscheck.judge.local.step import Part
from crosscheck.numbers.formats import FORMATS, Format
from crosscheck.numbers.library import Library
from crosscheck.numbers.model import Model
from crosscheck.numbers.named import arithmetics_of

__all__ = ["Way", "holds_zero", "models_of", "ways_of"]

_INSIDE = FORMATS["float32"]

_TOLD = 202.0
"""|c| over a bound from which on it tells an error of 1 %; a little more than 201."""


@dataclass(frozen=True)
class Way:
    """One arithmetic.

    Attributes:
        at: Which of `models_of` it counts as: sums in a finer format count as the dtype's own.
        model: The arithmetic.
        is_telling: Whether what it explains is explained, however wide its bounds are.
    """

    at: int
    model: Model
    is_telling: bool

    def explains(
        self, part: Part, finer: Sequence[Part], count: int
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """(C,) each: in which of C cases a part is explained, and in which that tells.

        A named arithmetic explains nothing that its bounds cannot tell from zero.

        Args:
            part: The part.
            finer: The same under the ways that were tried before and are telling.
            count: C.
        """
        inside = part.within(count)
        if self.model.arithmetic is not None:
            inside = inside & ~holds_zero(part, count)
        if self.is_telling:
            return inside, inside
        told = self.told(part)
        if self.model.arithmetic is not None:
            return inside, inside & told.reshape(count, -1).any(axis=1)
        for each in finer:
            told = told | (each.ratio <= 1.0)
        return inside, inside & told.reshape(count, -1).all(axis=1)

    def told(self, part: Part) -> NDArray[np.bool_]:
        """Which entries an explanation by this way tells from an error of 1 %."""
        if self.is_telling:
            return np.ones(part.given.shape, dtype=bool)
        return np.asarray(np.abs(part.bound.high) > _TOLD * part.bound.bound)


def models_of(form: Format, library: Library | None = None) -> tuple[Model, ...]:
    """Gradual underflow, flush-to-zero, and the named arithmetics that may stand in for a dtype.

    Args:
        form: The dtype.
        library: Whose elementary functions are called.
    """
    return (
        Model(form, is_brief=True, library=library),
        Model(form, flush=True, is_brief=True, library=library),
        *(
            Model(form, flush=True, arithmetic=each, is_brief=True, library=library)
            for each in arithmetics_of(form.name)
        ),
    )


def ways_of(form: Format, library: Library | None = None) -> tuple[Way, ...]:
    """Those of `models_of`, and before them sums in float32 if two factors' product fits there."""
    return tuple(_ways(form, library))


def _ways(form: Format, library: Library | None) -> Iterator[Way]:
    is_narrow = 2 * form.precision <= _INSIDE.precision
    if is_narrow:
        for flush in (False, True):
            model = Model(form, flush, is_brief=True, inside=_INSIDE, library=library)
            yield Way(int(flush), model, is_telling=True)
    for at, model in enumerate(models_of(form, library)):
        yield Way(at, model, is_telling=model.arithmetic is None and not is_narrow)


def holds_zero(part: Part, count: int) -> NDArray[np.bool_]:
    """(C,): in which of C cases the bounds of a part cannot tell any entry from zero."""
    bound = part.bound
    return np.asarray((np.abs(bound.high) <= bound.bound).reshape(count, -1).all(axis=1))
