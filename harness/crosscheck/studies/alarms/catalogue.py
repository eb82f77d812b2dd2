"""The ways, by name: each right, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from crosscheck.judge.enclosed import Derivation
from crosscheck.judge.verdict import Kind
from crosscheck.network.batch import Batch
from crosscheck.network.dense import Gradients
from crosscheck.numbers.formats import FORMATS, WORKING
from crosscheck.studies.alarms import layouts, scalars, sums, wholes
from crosscheck.studies.alarms.numbers import Finer, Flushing, Nearest, TiesAway
from crosscheck.studies.alarms.ways import Way, run

__all__ = ["CATALOGUE", "Right"]

_NARROW = tuple(name for name in WORKING if FORMATS[name].precision < 24)


@dataclass(frozen=True)
class Right:
    """A right implementation.

    Attributes:
        name: In reports.
        why: Why it is right, in one line.
        gradients: Losses and gradients of a batch, held as the batch is.
        dtypes: It can do.
        derivation: The mode of differentiation.
        is_vectorised: Whether it does all cases of a batch at once.
        most: Numbers in a case beyond which it is too slow.
        may_be: Verdicts that it can have, besides those that every right gradient can have.
        but: Why it is not right on numbers that are not finite; empty if it is. Then a verdict is
            no alarm where the case, or the gradient, holds NaN or infinity.
    """

    name: str
    why: str
    gradients: Callable[[Batch], Gradients]
    dtypes: Sequence[str] = WORKING
    derivation: Derivation = "reverse"
    is_vectorised: bool = True
    most: int = 2**20
    may_be: frozenset[Kind] = frozenset()
    but: str = ""


def _sentence(function: Any) -> str:
    """The first sentence of a docstring, without its full stop."""
    text = " ".join((function.__doc__ or "").split("\n\n")[0].split())
    return text.rstrip(".")


_found: dict[str, Right] = {}


def _add(name: str, why: str, way: Way | Callable[[Batch], Gradients], **more: Any) -> None:
    assert name not in _found, name
    gradients = partial(run, way) if isinstance(way, Way) else way
    _found[name] = Right(name, why, gradients, **more)


# -- orders of summation -------------------------------------------------------------------

_PLAIN = Way()
for _name, _total in {
    "from the first term": sums.sequential,
    "from the last term": sums.reversed_order,
    "in a random order": sums.shuffled,
    "in a random tree": sums.in_random_tree,
    "pairwise": sums.pairwise,
    "in blocks of 16": sums.blocked(16),
    "in blocks of 128": sums.blocked(128),
    "in eight lanes": sums.in_lanes(8),
    "from the smallest term": sums.ascending,
    "from the largest term": sums.descending,
    "positive and negative apart": sums.apart_by_sign,
    "compensated (Kahan)": sums.compensated,
    "compensated (Neumaier)": sums.neumaier,
    "zeros skipped": sums.without_zeros,
}.items():
    _why = {
        "in blocks of 16": _sentence(sums.blocked).replace("``size``", "16"),
        "in blocks of 128": _sentence(sums.blocked).replace("``size``", "128"),
        "in eight lanes": _sentence(sums.in_lanes).replace("``width``", "8"),
    }.get(_name, _sentence(_total))
    _but = {
        "compensated (Kahan)": "where a sum overflows, ∞ - ∞ is NaN",
        "compensated (Neumaier)": "where a sum overflows, ∞ - ∞ is NaN",
    }.get(_name, "")
    _add(f"sums {_name}", _why, replace(_PLAIN, total=_total), but=_but)
for _name, _dot in {
    "bias first": sums.bias_first,
    "products first, then the bias": sums.products_then_bias,
    "fused multiply-add": sums.multiply_added,
    "fused multiply-add in two accumulators": sums.multiply_added_in_two,
    "twice the precision in each sum": sums.finer,
}.items():
    _add(_name, _sentence(_dot), replace(_PLAIN, dot=_dot))

# -- arithmetics ---------------------------------------------------------------------------

_add(
    "float64 inside",
    _sentence(Finer),
    replace(_PLAIN, number=Finer),
    dtypes=("float32", *_NARROW),
)
_add("ties away from zero", _sentence(TiesAway), replace(_PLAIN, number=TiesAway), dtypes=_NARROW)
_FLUSHED: Mapping[str, Callable[[str], Nearest]] = {
    "subnormal results flushed": Flushing,
    "subnormal results and operands flushed": partial(Flushing, reads=True),
}
for _name, _number in _FLUSHED.items():
    _add(
        _name,
        "Subnormal numbers become zero, as processors and compilers do when asked; it is reported",
        replace(_PLAIN, number=_number),
        may_be=frozenset({Kind.SUBNORMAL}),
    )

# -- layouts -------------------------------------------------------------------------------

for _name in layouts.LAYOUTS:
    _add(f"NumPy: {_name}", _sentence(layouts).split(",")[0], layouts.by_layout(_name))

# -- the order of the whole ------------------------------------------------------------------

for _name, _whole in {
    "bias folded into the weights": wholes.with_bias_as_weight,
    "padded to multiples of eight": wholes.padded,
    "rows and units the other way round": wholes.in_another_order,
    "activations computed again": wholes.recomputed,
    "a gradient for each row": wholes.by_example,
    "micro-batches": wholes.accumulated,
    "mean at the end": wholes.mean_at_the_end,
    "loss scaled, then unscaled": wholes.scaled,
}.items():
    _but = "0 · ∞ is NaN" if _whole is wholes.padded else ""
    _add(_name, _sentence(_whole), replace(_PLAIN, whole=_whole), but=_but)
_add(
    "forward mode",
    _sentence(wholes.forward_mode),
    replace(_PLAIN, whole=wholes.forward_mode),
    derivation="forward",
    most=120,
    but="zeros of a tangent are not multiplied, so that no 0 · ∞ is NaN",
)

# -- the mean --------------------------------------------------------------------------------


def _reciprocal(number: Nearest, d: Any, rows: int) -> Any:
    """Times 1 / B, which is rounded first: two roundings in place of one."""
    return number.multiply(d, number.divide(number.constant(1.0), number.constant(rows)))


def _twice_a_half(number: Nearest, d: Any, rows: int) -> Any:
    """As the square's derivative 2 d comes out, times ½ / B as one factor."""
    factor = number.divide(number.constant(0.5), number.constant(rows))
    return number.multiply(number.multiply(number.constant(2.0), d), factor)


def _half_then_twice(number: Nearest, d: Any, rows: int) -> Any:
    """½ is put to the square's cotangent 1 / B, which then meets d, and last its 2."""
    seed = number.multiply(
        number.divide(number.constant(1.0), number.constant(rows)), number.constant(0.5)
    )
    return number.multiply(number.multiply(seed, d), number.constant(2.0))


for _name, _cotangent in {
    "mean as a rounded reciprocal": _reciprocal,
    "2 d times ½ / B": _twice_a_half,
    "½ / B times d, then twice": _half_then_twice,
}.items():
    _add(_name, _sentence(_cotangent), replace(_PLAIN, cotangent=_cotangent))

# -- the loss --------------------------------------------------------------------------------


def _over(number: Nearest, loss: Any, rows: int) -> Any:
    return loss if rows == 1 else number.divide(loss, number.constant(rows))


def _half_of_the_sum(number: Nearest, total: Any, residuals: Sequence[Any], rows: int) -> Any:
    """0.5 · Σ d · d."""
    squares = total(number, [number.multiply(d, d) for d in residuals])
    return _over(number, number.multiply(number.constant(0.5), squares), rows)


def _halves_of_squares(number: Nearest, total: Any, residuals: Sequence[Any], rows: int) -> Any:
    """Σ 0.5 · (d · d): each square is halved."""
    half = number.constant(0.5)
    return _over(
        number,
        total(number, [number.multiply(half, number.multiply(d, d)) for d in residuals]),
        rows,
    )


def _half_of_each(number: Nearest, total: Any, residuals: Sequence[Any], rows: int) -> Any:
    """Σ (0.5 · d) · d: each residual is halved first."""
    half = number.constant(0.5)
    return _over(
        number,
        total(number, [number.multiply(number.multiply(half, d), d) for d in residuals]),
        rows,
    )


def _mean_of_squares(number: Nearest, total: Any, residuals: Sequence[Any], rows: int) -> Any:
    """Each square is divided by B, then the sum halved."""
    squares = [_over(number, number.multiply(d, d), rows) for d in residuals]
    return number.multiply(number.constant(0.5), total(number, squares))


def _one_factor(number: Nearest, total: Any, residuals: Sequence[Any], rows: int) -> Any:
    """The sum of squares times ½ / B, as one rounded factor."""
    factor = number.divide(number.constant(0.5), number.constant(rows))
    squares = total(number, [number.multiply(d, d) for d in residuals])
    return number.multiply(squares, factor)


for _name, _loss in {
    "0.5 · sum(d · d)": _half_of_the_sum,
    "sum(0.5 · (d · d))": _halves_of_squares,
    "sum(0.5 · d · d)": _half_of_each,
    "mean before ½": _mean_of_squares,
    "½ / B as one factor": _one_factor,
}.items():
    _add(f"loss {_name}", _sentence(_loss), replace(_PLAIN, loss=_loss))

# -- ReLU and its gates ----------------------------------------------------------------------


def _less_its_negative_part(number: Nearest, z: Any) -> Any:
    """z - min(z, 0): a difference with zero, or with itself, is exact."""
    return number.subtract(z, np.minimum(z, 0))


def _by_where(number: Nearest, z: Any) -> Any:
    """Zero where z < 0, else z, which keeps a NaN."""
    return np.where(z < 0, z.dtype.type(0), z)


def _times_its_sign(number: Nearest, z: Any) -> Any:
    """z times 1 or 0: both products are exact."""
    return number.multiply(z, (z > 0).astype(z.dtype))


def _multiplied(number: Nearest, s: Any, g: Any) -> Any:
    """s · g, with s as a number."""
    return number.multiply(s.astype(g.dtype), g)


def _assigned(number: Nearest, s: Any, g: Any) -> Any:
    """A copy in which what is behind a closed gate is set to zero."""
    delta = np.array(g)
    delta[~np.broadcast_to(s, g.shape)] = 0
    return delta


for _name, _relu in {
    "z - min(z, 0)": _less_its_negative_part,
    "where(z < 0, 0, z)": _by_where,
    "z · (z > 0)": _times_its_sign,
}.items():
    _add(f"ReLU as {_name}", _sentence(_relu), replace(_PLAIN, relu=_relu))
_add(
    "gate of the activation",
    "a > 0 where z > 0, and nowhere else",
    replace(_PLAIN, gate=lambda z, a: a > 0),
)
_add("gate as a factor", _sentence(_multiplied), replace(_PLAIN, gated=_multiplied))
_add("gate by assignment", _sentence(_assigned), replace(_PLAIN, gated=_assigned))


def _of_places(choose: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A gate with ``choose`` of row and unit where z is zero."""

    def gate(z: Any, a: Any) -> Any:
        rows, units = np.arange(z.shape[0])[:, None, None], np.arange(z.shape[1])[:, None]
        return np.where(z == 0, np.broadcast_to(choose(rows, units), z.shape), z > 0)

    return gate


_KINKS: Mapping[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "one": ("z >= 0: the right derivative", lambda r, i: 1.0),
    "a half": ("Heaviside's ½: the mean of both sides", lambda r, i: 0.5),
    "a third": ("any number between both sides will do", lambda r, i: 1 / 3),
    "by unit": ("0 at even units and 1 at odd ones", lambda r, i: i % 2),
    "by row": ("0 and 1 in turn from row to row", lambda r, i: r % 2),
    "by place": ("0, ½ or 1, by row and unit", lambda r, i: (r + 2 * i) % 3 / 2),
}
for _name, (_why, _choose) in _KINKS.items():
    _add(
        f"slope at kinks: {_name}",
        _why,
        replace(_PLAIN, gate=_of_places(_choose), gated=_multiplied),
    )

# -- one case at a time ------------------------------------------------------------------------

_add(
    "exact, rounded once",
    _sentence(scalars.exactly),
    scalars.exactly,
    is_vectorised=False,
)
_add(
    "sums rounded once (fsum)",
    _sentence(scalars.with_correctly_rounded_sums),
    scalars.with_correctly_rounded_sums,
    is_vectorised=False,
)

CATALOGUE: Mapping[str, Right] = MappingProxyType(_found)
"""By name."""
