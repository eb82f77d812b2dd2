"""The reference's ReLU in NumPy, and SymPy's: what the frameworks are compared with."""

from __future__ import annotations

from crosscheck.frameworks.pointwise import Pointwise
from crosscheck.numbers.formats import FORMATS
from crosscheck.operators.relu import OPERATOR

__all__ = ["NUMPY", "SYMPY"]

NUMPY = Pointwise(
    setup="import numpy as np",
    units={OPERATOR.name: {"reference": "np.maximum(z, 0)"}},
    modes={
        "by hand": """\
def measure(z):
    return f(z), np.heaviside(z, 0.0).astype(z.dtype)""",
    },
    make={name: f"np.array(points, np.{name})" for name, form in FORMATS.items() if form.is_native},
    home='array.astype("float64").tolist()',
)
"""The gate s = ReLU'(z) of `crosscheck.network.reference.gradients`, with its default λ = 0."""

SYMPY = Pointwise(
    setup="import sympy",
    units={
        OPERATOR.name: {
            "max": "sympy.Max(z, 0)",
            "piecewise": "sympy.Piecewise((z, z > 0), (0, True))",
            "abs": "(z + sympy.Abs(z)) / 2",
        }
    },
    modes={
        "symbolic": """\
def measure(z):
    t = sympy.Symbol("t", real=True)
    value, slope = f(t), sympy.diff(f(t), t)
    return [value.subs(t, point) for point in z], [slope.subs(t, point) for point in z]""",
    },
    # Numbers, exactly; SymPy knows one zero and keeps infinities and NaN of its own.
    make={"exact": "[sympy.Rational(z) if z - z == 0 else sympy.sympify(z) for z in points]"},
    home="[float(number) for number in array]",
    has_signed_zeros=False,
)
