"""What norms have in common: mean and variance along some axes, and ε under a root.

    x̂ = (z - m) / √(Σ (z - m)² / n + ε),    m = Σ z / n,

and y = w ∘ x̂ + b. The variance is that of deviations from the mean, in two passes or by updates,
as PyTorch's ``layer_norm`` (`crosscheck.numbers.updates`); E z² - m² rounds far more where the mean
is beyond the deviation, and is no formulation of this. The mean may be taken away first, or last,
folded into what is added: z (r w) + (b - m r w), as ``tf.nn.batch_normalization`` and PyTorch's
``batch_norm`` do, which keeps fewer digits of a large mean; that much their bounds are wider.
The derivative takes its way through m too:

    ∂J/∂z = r (ĝ - Σ ĝ / n - x̂ Σ (ĝ ∘ x̂) / n),    ĝ = g ∘ w,  r the reciprocal of the root,

and is written out by PyTorch's functions (`crosscheck.program.norms`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction

from crosscheck.formulas.tree import Call, Expression, Product, Sum
from crosscheck.operators.operator import Attribute, Line, OfOneCase, Operator, Use, exact
from crosscheck.program.alternatives import ways
from crosscheck.program.graph import Shape, Var
from crosscheck.tools.errors import UsageError

__all__ = ["check_eps", "norm", "ways_of_norms"]

_EPS = 2.0**-17
"""The usual 1e-5, but for a power of two, which every format holds."""


def norm(name: str, axes_of: Callable[[int], tuple[int, ...]], words: str) -> Operator:
    """A norm with weight and bias, one number for each feature.

    Args:
        name: Of the operator.
        axes_of: Along which axes, counted from the last, the mean is taken, by how many there are.
        words: As of `Operator`.
    """

    def expand(z: Var, weight: Var, bias: Var, eps: Attribute) -> Var:
        if len(z.shape) < 2:
            raise UsageError(f"{name}: shape {z.shape}, wanted two axes at least")
        return _normalized(z, weight, bias, eps, axes_of(len(z.shape)))

    def formula(z: Expression, weight: Expression, bias: Expression, eps: Attribute) -> Expression:
        return Sum((Product((weight, Call(name.replace("_", ""), (z,)))), bias))

    return Operator(
        name=name,
        role="activation",
        formula=formula,
        operands=("z", "weight", "bias"),
        attributes={"eps": _EPS},
        parameters=_of_features,
        check=check_eps,
        expand=expand,
        lines=_norm_lines(name, axes_of),
        words=words,
        is_drawn=False,
    )


def _normalized(z: Var, weight: Var, bias: Var, eps: Attribute, axes: tuple[int, ...]) -> Var:
    """y, with the mean along ``axes``, in all ways."""
    w, b = weight, bias
    for _ in z.shape[:-1]:
        w, b = w.expand(-2), b.expand(-2)
    return ways((z, weight, bias), *ways_of_norms(z, w, b, exact(eps), axes))


def ways_of_norms(z: Var, w: Var, b: Var, eps: Fraction, axes: tuple[int, ...]) -> tuple[Var, ...]:
    """y in all ways.

    Args:
        z: What is normalized.
        w: The weight, of as many axes.
        b: The bias, likewise.
        eps: ε.
        axes: Along which the mean is taken, counted from the last.
    """
    share = Fraction(1, math.prod(z.shape[axis] for axis in axes))
    mean = z.sum(*axes, keep=True).times(share)
    centred = z - mean
    root = _inverse_root((centred * centred).sum(*axes, keep=True).times(share), eps)
    scale = root * w
    folded = z * scale + (b - mean * scale)
    found = [centred * root * w + b, folded]
    if axes == (-1,):
        updated = z.updated(-1, 1)
        own = _inverse_root(z.updated(-1, 2).times(share), eps)
        value = ((z - updated) * own * w + b).either((z * own + (own * updated).times(-1)) * w + b)
        found.append(_derived("folded", (value, updated, own, z, w, b), axes))
    else:
        found.append(_derived("centred", (folded, mean, root, z, w, b), axes))
    return tuple(found)


def _inverse_root(variance: Var, eps: Fraction) -> Var:
    """1 / √(variance + ε), as one function or as two."""
    total = variance + variance.graph.ones(variance.shape).times(eps)
    of_root = total.elementary("sqrt").elementary("reciprocal", row="quotient")
    return total.elementary("rsqrt").either(of_root)


def _derived(form: str, inputs: tuple[Var, ...], axes: tuple[int, ...]) -> Var:
    """The first of the inputs with a derivative that is written out: `crosscheck.program.norms`."""
    y = inputs[0]
    return y.graph.apply("derived", inputs, y.shape, axes=axes, form=form)


def _of_features(shape: Shape, units: int) -> Mapping[str, Shape]:
    """Weight and bias, one number for each feature."""
    return {"weight": (shape[-1],), "bias": (shape[-1],)}


def check_eps(attributes: Mapping[str, Attribute]) -> None:
    """Raise a `UsageError` unless ε is positive."""
    if not exact(attributes["eps"]) > 0:
        raise UsageError(f"eps={attributes['eps']!r}, wanted a positive number")


_TORCH: Mapping[str, str] = {
    "layer_norm": "F.layer_norm(z, z.shape[-1:], weight, bias, eps)",
    "batch_norm": "F.batch_norm(z.movedim(-1, 1), None, None, weight, bias, training=True, "
    "eps=eps).movedim(1, -1)",
}


def _norm_lines(name: str, axes_of: Callable[[int], tuple[int, ...]]) -> dict[str, dict[str, Line]]:
    """Two passes in each framework, and functions of the libraries'."""
    each = {
        "torch": ("torch.rsqrt", "({}).mean(AXES, keepdim=True)", _nested("{}.unsqueeze(-2)")),
        "tensorflow": (
            "tf.math.rsqrt",
            "tf.reduce_mean({}, AXES, keepdims=True)",
            _nested("tf.expand_dims({}, -2)"),
        ),
        "jax": (
            "jax.lax.rsqrt",
            "jnp.mean({}, AXES, keepdims=True)",
            lambda name, count: f"{name}[..., {'None, ' * count}:]",
        ),
    }
    found: dict[str, dict[str, Line]] = {
        framework: {"two_passes": _two_passes(axes_of, *parts)} for framework, parts in each.items()
    }
    found["torch"][name] = OfOneCase(_TORCH[name])

    def folded(use: Use) -> str:
        count = len(use.shapes["z"])
        row = _nested("tf.expand_dims({}, -2)")
        moments = f"*tf.nn.moments(z, {list(axes_of(count))}, keepdims=True)"
        own = f"{row('bias', count - 1)}, {row('weight', count - 1)}"
        return f"tf.nn.batch_normalization(z, {moments}, {own}, eps)"

    found["tensorflow"]["batch_normalization"] = folded
    return found


def _nested(text: str) -> Callable[[str, int], str]:
    """What puts so many axes before that of features, one by one."""

    def row(name: str, count: int) -> str:
        for _ in range(count):
            name = text.format(name)
        return name

    return row


def _two_passes(
    axes_of: Callable[[int], tuple[int, ...]],
    rsqrt: str,
    mean: str,
    row: Callable[[str, int], str],
) -> Line:
    """The line of a framework.

    Args:
        axes_of: As of `norm`.
        rsqrt: Its function.
        mean: Of ``{}`` along ``AXES``.
        row: Writes a parameter with axes of length 1 before that of features.
    """

    def line(use: Use) -> str:
        count = len(use.shapes["z"])
        axes = axes_of(count)
        over = mean.replace("AXES", repr(axes if len(axes) > 1 else axes[0]))
        centred = f"(z - {over.format('z')})"
        variance = over.format(f"({centred} * {centred})")
        scaled = f"{centred} * {rsqrt}({variance} + eps) * {row('weight', count - 1)}"
        return f"{scaled} + {row('bias', count - 1)}"

    return line
