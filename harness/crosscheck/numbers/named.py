"""Arithmetics coarser than a dtype's own that libraries offer, by name, and what each does.

All of them are ways of forming matrix products; biases, gates, residuals, the loss and sums over
rows are in the dtype. Let p be the precision of the multiplicands' format, 24 bits that of float32.

``tf32``, ``bfloat16-multiplicands``
    The multiplicands are rounded to p = 11 or 8 bits, to nearest, ties in whatever way; they keep
    float32's exponents. A product of two has at most 2p <= 24 bits, so it is exact in float32 but
    for underflow, and is added up in float32 in any order, the bias with it.

    NVIDIA, *TensorFloat-32 in the A100 GPU* (2020), and ``torch.backends.cuda.matmul.allow_tf32``;
    Henry, Tang, Heinecke, *Leveraging the bfloat16 Artificial Intelligence Datatype For
    Higher-Precision Computations* (2019); Intel, *Instruction Set Extensions Programming
    Reference*, VDPBF16PS and TDPBF16PS (to nearest even, subnormals as zero); oneDNN,
    *Floating-point math mode*; ``torch.set_float32_matmul_precision``, ``jax.lax.Precision``.
    Tensor cores that cut their sums (Fasi, Higham, Mikaitis, Pranesh, *Numerical behavior of NVIDIA
    tensor cores*, 2021) do not add up in float32, and are not covered.

    A library may do so in some of its matrix products and not in others: PyTorch with
    ``set_float32_matmul_precision("medium")`` does in those that are large enough, TensorFlow with
    ``TF_SET_ONEDNN_FPMATH_MODE=BF16`` in those of stacks (both measured, on a processor with
    AMX). See `crosscheck.judge.coarse`.

``truncated``
    Of bfloat16: the products, which have 16 bits, are added up in float32 in any order, and the
    sum is cut towards zero to bfloat16. A bias is added to that, with a rounding of its own.

    TensorFlow on CPUs with ``TF_ENABLE_ONEDNN_OPTS=0``, not in XLA: ``FloatToBFloat16`` in
    tensorflow/core/framework/bfloat16.cc copies the upper 16 bits. Measured: all products of
    matrices, stacks and vectors, of every size; everything else is rounded to nearest.

``float16-accumulation``
    The multiplicands are rounded to float16, and products and sums too, in any order; the bias is
    added in the dtype. In float16 itself this is the ordinary contract. In bfloat16 it is not
    offered: float16 has not the range.

    ``torch.backends.cuda.matmul.allow_fp16_accumulation``, cuBLAS ``CUBLAS_COMPUTE_16F``.

**Execution.** For ordinary enclosures (c, r, e) the exact value q is that of exact arithmetic.
Under a named arithmetic the multiplicands of the products are *executed*: every framework's
multiplicand v̂ lies within R = r + e of c, so that its rounded form lies between those of
c - R and c + R, for rounding is monotone. If they are the same number m, all frameworks have m: a
point, r = e = 0. Otherwise q := round(c), r = 0, and e is the distance to the further end. A
midpoint that is met counts both ways, so that nothing depends on how ties are broken. From there on
q is what exact arithmetic makes of the executed numbers; the bounds of sums are those of the
accumulating format. So the bounds stay near those of float32 as long as the multiplicands can be
told; where one cannot, they grow by the distance of two neighbours for that operand alone. Adding
2^-p for each term instead would hold everything from a few dozen terms on.

The same is done with the results that are cut: cutting is monotone too.

Where a framework may read a subnormal operand as zero, before or after rounding it, or may flush a
result, zero is among the forms as well. What overflows in the multiplicands' format has e = ∞.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import FORMATS, Format
from crosscheck.tools.errors import UsageError

__all__ = ["ARITHMETICS", "Arithmetic", "arithmetics_of", "executed", "known_names"]


@dataclass(frozen=True)
class Arithmetic:
    """A way of forming matrix products that is coarser than a dtype's own.

    Attributes:
        name: As in ``--allow``.
        dtypes: Those that it may stand in for.
        meaning: What it does, in a line for a person.
        bits: Of its roundings, as if they were to nearest; for display.
        multiplicand: What multiplicands are rounded to; ``None`` if they are not.
        accumulator: What products are added up in.
        cut: Whether results are cut towards zero to the dtype.
        spares: Whether libraries use it in some matrix products and not in others.
    """

    name: str
    dtypes: tuple[str, ...]
    meaning: str
    bits: int
    multiplicand: Format | None
    accumulator: Format
    cut: bool = False
    spares: bool = False

    @property
    def has_exact_products(self) -> bool:
        """Whether a product of two multiplicands is exact in the accumulator's precision."""
        factor = FORMATS["bfloat16"] if self.multiplicand is None else self.multiplicand
        return 2 * factor.precision <= self.accumulator.precision


ARITHMETICS: Mapping[str, Arithmetic] = MappingProxyType(
    {
        each.name: each
        for each in (
            Arithmetic(
                "tf32",
                ("float32",),
                "multiplicands of matrix products rounded to 11 bits, accumulated in float32",
                bits=11,
                multiplicand=Format("tf32", precision=11, emin=-126, emax=127),
                accumulator=FORMATS["float32"],
                spares=True,
            ),
            Arithmetic(
                "bfloat16-multiplicands",
                ("float32",),
                "multiplicands of matrix products rounded to 8 bits, accumulated in float32",
                bits=8,
                multiplicand=FORMATS["bfloat16"],
                accumulator=FORMATS["float32"],
                spares=True,
            ),
            Arithmetic(
                "truncated",
                ("bfloat16",),
                "matrix products accumulated in float32, their results cut towards zero",
                bits=7,
                multiplicand=None,
                accumulator=FORMATS["float32"],
                cut=True,
            ),
            Arithmetic(
                "float16-accumulation",
                ("float32",),
                "multiplicands of matrix products rounded to float16, accumulated in float16",
                bits=11,
                multiplicand=FORMATS["float16"],
                accumulator=FORMATS["float16"],
            ),
        )
    }
)
"""Every arithmetic by its name."""


def arithmetics_of(dtype: str) -> tuple[Arithmetic, ...]:
    """Those that may stand in for ``dtype``, in the order in which they are tried.

    None exists for float64, so that a float32 step hidden in a float64 gradient is a defect.
    """
    return tuple(each for each in ARITHMETICS.values() if dtype in each.dtypes)


def known_names(names: Iterable[str], what: str) -> tuple[str, ...]:
    """``names``, each once and in the order of `ARITHMETICS`.

    Args:
        names: Of arithmetics.
        what: Where they were given, for the message.

    Raises:
        UsageError: One of them is the name of none, or a string was given in place of several.
    """
    given = [names] if isinstance(names, str) else list(names)
    for name in given:
        if name not in ARITHMETICS:
            raise UsageError(
                f"{what}: {name!r} is no arithmetic that can be allowed; "
                f"wanted some of {', '.join(ARITHMETICS)}"
            )
    return tuple(name for name in ARITHMETICS if name in given)


def executed(
    center: Array, radius: Array, form: Format, *, cut: bool, may_vanish: Any
) -> tuple[Array, Array]:
    """What becomes of numbers that are known up to a radius when they are rounded.

    Args:
        center: Float64 of any shape.
        radius: How far a framework's number may be from it, float64, same shape; ∞ if it may be
            anything.
        form: What it is rounded to.
        cut: Whether it is cut towards zero, or else rounded to nearest with ties in whatever way.
        may_vanish: Where the number may also be replaced by zero, bool.

    Returns:
        m, numbers of ``form``, and e: the rounded form is within e of m, ∞ where it may overflow.
    """
    known = np.isfinite(radius) & np.isfinite(center)
    center, radius = np.where(known, center, 0.0), np.where(known, radius, 0.0)
    point = radius == 0
    # The ends are rounded outwards, and so hold what the radius holds.
    low = np.where(point, center, np.nextafter(center - radius, -np.inf))
    high = np.where(point, center, np.nextafter(center + radius, np.inf))
    middle = _neighbours(center, form, cut)[0]
    low, high = _neighbours(low, form, cut)[0], _neighbours(high, form, cut)[1]
    low = np.where(may_vanish, np.minimum(low, 0.0), low)
    high = np.where(may_vanish, np.maximum(high, 0.0), high)
    width = np.maximum(high - middle, middle - low) * (1.0 + 2.0**-50)
    fits = known & (np.maximum(np.abs(low), np.abs(high)) <= form.largest)
    return np.where(fits, middle, center), np.where(fits, width, np.inf)


def _neighbours(values: Array, form: Format, cut: bool) -> tuple[Array, Array]:
    """The least and the greatest that ``values`` may be rounded to; two numbers only for a tie.

    A quotient by the spacing, which is a power of two, is exact; so is its fraction.
    """
    spacing = form.ulp(values)
    quotient = values / spacing
    whole = np.trunc(quotient)
    if cut:
        return (found := whole * spacing), found
    tie = np.abs(quotient - whole) == 0.5
    nearest = np.rint(quotient)
    low = np.where(tie, np.floor(quotient), nearest) * spacing
    high = np.where(tie, np.ceil(quotient), nearest) * spacing
    return low, high
