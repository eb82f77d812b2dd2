"""Second derivatives, by differentiating what differentiation returns."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from crosscheck.numbers.elementary import ELEMENTARY

__all__ = ["BENT", "SECOND"]

_TORCH = """\
def measure(z):
    z.requires_grad_()
    value = f(z)
    (slope,) = torch.autograd.grad(value, z, torch.ones_like(value), create_graph=True)
    (bend,) = torch.autograd.grad(slope, z, torch.ones_like(slope))
    return slope, bend"""

_TENSORFLOW = """\
def measure(z):
    with tf.GradientTape() as outer:
        outer.watch(z)
        with tf.GradientTape() as inner:
            inner.watch(z)
            value = f(z)
        slope = inner.gradient(value, z)
    return slope, outer.gradient(slope, z)"""

_JAX = """\
def measure(z):
    ones = jnp.ones_like(z)
    return jax.jvp(lambda z: jax.vjp(f, z)[1](ones)[0], (z,), (ones,))"""

SECOND: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "torch": {"eager": _TORCH},
        "tensorflow": {
            "eager": _TENSORFLOW,
            "xla": f"@tf.function(autograph=False, jit_compile=True)\n{_TENSORFLOW}",
        },
        "jax": {"eager": _JAX, "jit": f"@jax.jit\n{_JAX}"},
    }
)
"""Framework to mode to the definition of a function ``measure(z)`` that returns the derivative of
``f(z)`` and the derivative of that: by two reverse passes, in JAX by a tangent of one."""

_STRAIGHT = ("over", "dividend")

BENT = tuple(
    name
    for name, function in ELEMENTARY.items()
    if function.operands == 1 and name.partition("_")[0] not in _STRAIGHT
)
"""Functions whose second derivative is measured: of one number, and not linear in it."""
