"""What is put to a rule or a step: numbers of any kind, decisions, and steps of all operators."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from crosscheck.network.steps import Step, step
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import Format
from crosscheck.numbers.piecewise import Piecewise
from crosscheck.numbers.scaling import nearest
from crosscheck.operators.operator import Attribute, Operator
from crosscheck.program.graph import Shape
from crosscheck.studies.adversary.genes import Genes

__all__ = ["lambdas", "numbers", "step_of"]

_SHAPE, _UNITS = (2, 3), 2


def numbers(genes: Genes, form: Format, shape: Shape, near: Piecewise | None = None) -> Array:
    """Numbers of a format of any kind that makes trouble, or next to breakpoints; (P, *shape)."""
    p, low, top = form.precision, form.emin, form.emax
    kind = genes.below(10, shape)
    digits = genes.below(1 << (p - 1), shape) + (1 << (p - 1))
    digits = np.select([kind == 1, kind == 2], [1 << (p - 1), (1 << p) - 1], digits)
    other = genes.bits(shape)
    where = [
        (other % np.uint64(7)).astype(np.int64) - 3,
        low // 2 + (other % np.uint64(max(top // 2 - low // 2, 1))).astype(np.int64),
        low + (other % np.uint64(4)).astype(np.int64),
        top - (other % np.uint64(5)).astype(np.int64),
    ]
    exponent = np.select([kind == 3, (kind == 4) | (kind == 5), kind == 6], where[1:], where[0])
    exponent = np.clip(exponent, low, top)
    digits = np.where(
        kind == 4, digits >> ((other >> np.uint64(8)) % np.uint64(p)).astype(np.int64), digits
    )
    sign = 1.0 - 2.0 * (other >> np.uint64(40) & np.uint64(1)).astype(np.float64)
    found = sign * np.ldexp(digits.astype(np.float64), exponent - p + 1)
    whole = (other >> np.uint64(20)) % np.uint64(9)
    small = (whole.astype(np.float64) - 4.0) / np.where(other % np.uint64(2) == 0, 1.0, 2.0)
    found = np.where(kind == 0, small, found)
    if near is not None and near.breakpoints:
        points = form.round(np.array([nearest(point) for point in near.breakpoints]))
        chosen = points[genes.below(len(points), shape)]
        beside = form.round(chosen + (genes.below(7, shape) - 3) * form.ulp(chosen))
        found = np.where(genes.below(5, shape) < 3, beside, found)
    return found


def lambdas(genes: Genes, shape: Shape) -> Array:
    """Numbers in [0, 1]: an end, a half, a quarter or any."""
    kind = genes.below(5, shape)
    fixed = [np.zeros(()), np.ones(()), np.asarray(0.5), np.asarray(0.25)]
    return np.select([kind == k for k in range(4)], fixed, genes.share(shape))


def step_of(
    operator: Operator, attributes: Mapping[str, Attribute]
) -> tuple[Step, tuple[tuple[str, Shape], ...]]:
    """A step that takes each operand once, and the operands' shapes."""
    is_usual = operator.tried_on == Operator.tried_on
    shape = _SHAPE if is_usual else operator.tried_on
    own = operator.parameters_of(shape, _UNITS, attributes)
    taken = step("it", operator.name, *operator.operands, **attributes)
    return taken, tuple((name, own.get(name, shape)) for name in operator.operands)
