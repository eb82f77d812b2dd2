"""Rules of primitives that are computed by verbs that others have, with derivatives of their own.

    softmax        y = eᶻ⁻ᵐ / Σ eᶻ⁻ᵐ               y ∘ (g - Σ g ∘ y)
    log_softmax    y = z - m - log Σ eᶻ⁻ᵐ          g - softmax(z) Σ g
    log_sum_exp    y = m + log Σ eᶻ⁻ᵐ              g softmax(z)
    softmax_product  y = (eᶻ⁻ᵐ v) / Σ eᶻ⁻ᵐ         P ∘ (g vᵀ - Σ g ∘ y), Pᵀ g,
                                                   P = e to the power z - log_sum_exp(z)
    cross_entropy  J = -Σ y log_softmax(z)         g (softmax(z) Σ y - y), -g log_softmax(z)
    shifted        z - m                           g
    shift          m                               0 at entries that could be m
    total          Σ e                             g repeated
    either         a, which is b as well           g to a

all sums along the last axis, m the largest z there. The derivatives are written as people write
them, with the result y in them, rather than derived from the steps of the value: those are not what
a framework differentiates. What is subtracted, m, cancels, in every derivative too; so no decision
is taken at tied maxima. `shifted` is for functions in which it does, as eᶻ⁻ᵐ / Σ eᶻ⁻ᵐ.

`shift` is m in such a function F(z, m) that is written out. As F does not depend on m, what its
uses send to m adds up to ∂F/∂m = 0 exactly, whatever the cotangent. Whoever holds m constant sends
on nothing, whoever differentiates it as a maximum what rounding has left of that 0, to the largest
entries; both are held, and no tie is decided upon. (The derivative of this 0 is taken to be 0: of
second derivatives the bounds hold for those who hold m constant.) `total` is Σ e, of e = e^d with
a d that is not far below 0 (`crosscheck.program.arithmetic.Arithmetic.total`).

Derivatives are written in several ways, and then differentiated as they are written
(`crosscheck.program.alternatives`).

*Softmax.* Frameworks form y g - y Σ g y as a product of y with a difference (TensorFlow's Python,
PyTorch's kernel), or as a difference of products (the transpose of JAX's tangent; PyTorch's second
derivative is that of this one), which rounds more where g is near Σ g y.

*Log-softmax.* The share of Σ g is formed as e^y with the y that was returned (PyTorch,
TensorFlow), or as eᶻ⁻ᵐ over the sum that is there already, which JAX differentiates part by part:
first eᶻ⁻ᵐ and then the quotient.

*Masks.* What is not kept has the share 0, exactly, and no part in m and in the sums, whatever z is
there. So no infinity comes in, nor the lowest number of a dtype, by which frameworks have it so.

*Softmax times a matrix*, as kernels that keep no matrix of shares compute it: shares are divided by
their sum only after the product, and formed anew for the derivative from the logarithm of the sum,
which is rounded where it is large; Σ P ∘ (g vᵀ) is taken as Σ g ∘ y, of the result.

*Cross-entropy.* Libraries' own functions form the shares once, take the targets from them, and
multiply the difference by what comes down. Derived from the logarithms, g y is formed first and
taken from the shares of its sum. Where the shares are small the first rounds a difference of nearly
y twice more, the second once. Some take 1 for Σ y, whatever it is. That is one of the roundings of
Σ y if it is within the bound of that sum, as where a row of y is shares that were rounded to the
dtype; if it is not they return the derivative of something else.

`either` says that one number can be computed in two ways: what is known of it is what is known of
both, and a framework may err as it may in any of the two. What is differentiated is the first; a
number with a derivative for each way is made by `crosscheck.program.alternatives.ways`.

**Put to the test** (`crosscheck.studies.adversary`): 1,015,808 tries a rule gave at most 1.0000 of
the bound, for one number computed in two ways; 0.9742 for softmax, 0.9982 for its logarithm, and
0.9878 and 0.9999 for what goes down through them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from crosscheck.numbers.elementary import ELEMENTARY
from crosscheck.program.alternatives import ways
from crosscheck.program.graph import Node, Var
from crosscheck.program.places import Places

__all__ = ["COMPOUNDS"]

Settings = Mapping[str, Any]


def _shifted(n: Any, z: Any, node: Node) -> tuple[Any, Any, Any, Any]:
    """m, z - m, its exponential, and the sum of that.

    What is not kept is another entry of its row until the exponentials are there, and 0 then.
    """
    kept: Places | None = node.settings.get("kept")
    shape = node.settings.get("source", ())
    if kept is not None:
        z = n.take(z, _filled(kept, shape[-1]), shape, shape)
    m = n.expand(n.maximum(z), -1)
    d = n.difference(z, m)
    e = n.elementary(d, ELEMENTARY["exp"], 0, "exp")
    if kept is not None:
        e = n.take(e, kept, shape, shape)
    return m, d, e, n.total(e, d)


@functools.lru_cache(maxsize=256)
def _filled(kept: Places, width: int) -> Places:
    """The places, with the first that is kept of its row for each that is not."""
    rows = kept.array.reshape(-1, width)
    first = rows[np.arange(len(rows)), (rows >= 0).argmax(axis=-1)]
    return Places(np.where(rows >= 0, rows, first[:, None]).ravel().tolist())


def _softmax_value(n: Any, node: Node, x: Sequence[Any]) -> Any:
    """eᶻ⁻ᵐ / Σ eᶻ⁻ᵐ; the quotient as that of `crosscheck.operators.division`."""
    _, _, e, total = _shifted(n, x[0], node)
    return n.mul(e, n.elementary(total, ELEMENTARY["reciprocal"], 0, "quotient"))


def _log_softmax_value(n: Any, node: Node, x: Sequence[Any]) -> Any:
    """z - m - log Σ eᶻ⁻ᵐ."""
    _, d, _, total = _shifted(n, x[0], node)
    return n.difference(d, n.elementary(total, ELEMENTARY["log"], 0, "log"))


def _softmax_product_value(n: Any, node: Node, x: Sequence[Any]) -> Any:
    """(eᶻ⁻ᵐ v) / Σ eᶻ⁻ᵐ."""
    _, _, e, total = _shifted(n, x[0], node)
    inverse = n.elementary(total, ELEMENTARY["reciprocal"], 0, "quotient")
    return n.mul(n.contract(e, x[1]), inverse)


def _log_sum_exp_value(n: Any, node: Node, x: Sequence[Any]) -> Any:
    """m + log Σ eᶻ⁻ᵐ."""
    m, _, _, total = _shifted(n, x[0], node)
    return n.add(m, n.elementary(total, ELEMENTARY["log"], 0, "log"))


def _cross_entropy_value(n: Any, node: Node, x: Sequence[Any]) -> Any:
    """-Σ y (z - m - log Σ eᶻ⁻ᵐ)."""
    terms = n.mul(_log_softmax_value(n, node, x), x[1])
    return n.times(n.sum(terms, (-1,), False), (Fraction(-1),))


def _shifted_value(n: Any, node: Node, x: Sequence[Any]) -> Any:
    """z - m."""
    return n.difference(x[0], n.expand(n.maximum(x[0]), -1))


def _either_value(n: Any, node: Node, x: Sequence[Any]) -> Any:
    """A number that is computed in one of two ways."""
    return n.either(*x)


def _shift_vjp(g: Var, y: Var, x: Sequence[Var], _: Settings) -> Sequence[Var]:
    """What adds up to 0."""
    (a,) = x
    return (a.graph.apply("vanishing", (a, g.expand(-1)), a.shape),)


def _total_value(n: Any, node: Node, x: Sequence[Any]) -> Any:
    """Σ e."""
    return n.total(*x)


def _total_jvp(t: Sequence[Var | None], y: Var, x: Sequence[Var], _: Settings) -> Var | None:
    """Σ ė."""
    return None if t[0] is None else t[0].sum(-1, keep=True)


def _through_softmax(y: Var, g: Var) -> Var:
    total = (g * y).sum(-1, keep=True)
    return ways((y, g), y * (g - total), y * g - y * total)


def _softmax_vjp(g: Var, y: Var, x: Sequence[Var], _: Settings) -> Sequence[Var]:
    """See the module; the Jacobian is symmetric, so that tangents go through it alike."""
    return (_through_softmax(y, g),)


def _log_softmax_vjp(g: Var, y: Var, x: Sequence[Var], _: Settings) -> Sequence[Var]:
    """See the module."""
    (z,), total = x, g.sum(-1, keep=True)
    powers = z.shifted().elementary("exp")
    inverse = powers.sum(-1, keep=True).elementary("reciprocal", row="quotient")
    shares = y.elementary("exp"), z.softmax(), powers * inverse
    return (ways((z, g), *(g - each * total for each in shares)),)


def _shares_again(z: Var, kept: Places | None) -> Var:
    """e to the power z - log Σ eᶻ, 0 where it is not kept."""
    if kept is None:
        return (z - z.log_sum_exp()).elementary("exp")
    filled = z.take(_filled(kept, z.shape[-1]), z.shape)
    return (filled - z.log_sum_exp(kept)).elementary("exp").take(kept, z.shape)


def _softmax_product_vjp(g: Var, y: Var, x: Sequence[Var], s: Settings) -> Sequence[Var]:
    """See the module."""
    z, v = x
    shares = _shares_again(z, s.get("kept"))
    own = (g * y).sum(-1, keep=True)
    return shares * (g @ v.transposed - own), shares.transposed @ g


def _softmax_product_jvp(
    t: Sequence[Var | None], y: Var, x: Sequence[Var], s: Settings
) -> Var | None:
    """See the module."""
    shares = _shares_again(x[0], s.get("kept"))
    by_z = None
    if t[0] is not None:
        along = shares * t[0]
        by_z = along @ x[1] - along.sum(-1, keep=True) * y
    by_v = None if t[1] is None else shares @ t[1]
    return by_z if by_v is None else by_v if by_z is None else by_z + by_v


def _log_sum_exp_vjp(g: Var, y: Var, x: Sequence[Var], s: Settings) -> Sequence[Var]:
    """See the module."""
    return (x[0].softmax(s.get("kept")) * g,)


def _log_sum_exp_jvp(t: Sequence[Var | None], y: Var, x: Sequence[Var], s: Settings) -> Var | None:
    """See the module."""
    return None if t[0] is None else (x[0].softmax(s.get("kept")) * t[0]).sum(-1, keep=True)


def _from_targets(x: Sequence[Var]) -> Var:
    """softmax(z) Σ y - y."""
    return x[0].softmax() * x[1].sum(-1, keep=True) - x[1]


def _cross_entropy_vjp(g: Var, y: Var, x: Sequence[Var], _: Settings) -> Sequence[Var]:
    """See the module."""
    each = g.expand(-1).broadcast(x[0].shape)
    return each * _from_targets(x), (each * x[0].log_softmax()).times(-1)


def _softmax_jvp(t: Sequence[Var | None], y: Var, x: Sequence[Var], _: Settings) -> Var | None:
    """See the module."""
    return None if t[0] is None else _through_softmax(y, t[0])


def _log_softmax_jvp(t: Sequence[Var | None], y: Var, x: Sequence[Var], _: Settings) -> Var | None:
    """See the module."""
    if t[0] is None:
        return None
    return t[0] - (x[0].softmax() * t[0]).sum(-1, keep=True)


def _cross_entropy_jvp(
    t: Sequence[Var | None], _: Var, x: Sequence[Var], __: Settings
) -> Var | None:
    """See the module."""
    by_z = None if t[0] is None else (_from_targets(x) * t[0]).sum(-1)
    by_y = None if t[1] is None else (x[0].log_softmax() * t[1]).sum(-1).times(-1)
    return by_z if by_y is None else by_y if by_z is None else by_z + by_y


Compound = tuple[str, Callable[..., Any], Callable[..., Any], Callable[..., Any]]

COMPOUNDS: tuple[Compound, ...] = (
    ("softmax", _softmax_value, _softmax_vjp, _softmax_jvp),
    ("log_softmax", _log_softmax_value, _log_softmax_vjp, _log_softmax_jvp),
    ("cross_entropy", _cross_entropy_value, _cross_entropy_vjp, _cross_entropy_jvp),
    ("softmax_product", _softmax_product_value, _softmax_product_vjp, _softmax_product_jvp),
    ("log_sum_exp", _log_sum_exp_value, _log_sum_exp_vjp, _log_sum_exp_jvp),
    ("shifted", _shifted_value, lambda g, y, x, s: (g,), lambda t, y, x, s: t[0]),
    (
        "shift",
        lambda n, node, x: n.maximum(x[0]),
        _shift_vjp,
        lambda t, y, x, s: None,
    ),
    (
        "vanishing",
        lambda n, node, x: n.vanishing(*x),
        lambda g, y, x, s: (None, None),
        lambda t, y, x, s: None,
    ),
    (
        "total",
        _total_value,
        lambda g, y, x, s: (g.broadcast(x[0].shape), None),
        _total_jvp,
    ),
    ("either", _either_value, lambda g, y, x, s: (g, None), lambda t, y, x, s: t[0]),
)
"""Name, value, cotangents and tangent of each; see `crosscheck.program.rules.Rule`."""
