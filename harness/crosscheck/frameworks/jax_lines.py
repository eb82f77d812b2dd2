"""JAX's ways of writing units with kinks and selections, and of differentiating them."""

from __future__ import annotations

from crosscheck.frameworks.pointwise import Pointwise
from crosscheck.numbers.formats import WORKING
from crosscheck.operators.selections import selection_lines_of
from crosscheck.operators.units import lines_of

__all__ = ["LINES"]

_REVERSE = """\
def measure(z):
    value, pull = jax.vjp(f, z)
    return value, pull(jnp.ones_like(value))[0]"""


LINES = Pointwise(
    setup="import jax\nimport jax.numpy as jnp\nimport numpy as np",
    switches='jax.config.update("jax_enable_x64", True)',
    units=lines_of("jax"),
    modes={
        "jit": f"@jax.jit\n{_REVERSE}",
        "eager": _REVERSE,
        "vmap": """\
@jax.jit
def measure(z):
    return jax.vmap(jax.value_and_grad(f))(z)""",
        "forward": """\
@jax.jit
def measure(z):
    return jax.jvp(f, (z,), (jnp.ones_like(z),))""",
        "jacrev": """\
@jax.jit
def measure(z):
    return f(z), jax.vmap(jax.jacrev(f))(z)""",
        "jacfwd": """\
@jax.jit
def measure(z):
    return f(z), jax.vmap(jax.jacfwd(f))(z)""",
    },
    make={dtype: f"jnp.asarray(np.array(points, jnp.{dtype}))" for dtype in WORKING},
    home='np.asarray(array).astype("float64").tolist()',
    selections=selection_lines_of("jax"),
    of_windows={
        "vmap": """\
@jax.jit
def measure(z):
    return jax.vmap(jax.value_and_grad(lambda window: f(window[None])[0]))(z)""",
        "forward": """\
@jax.jit
def measure(z):
    each = [jnp.broadcast_to(one, z.shape) for one in jnp.eye(z.shape[1], dtype=z.dtype)]
    return f(z), jnp.stack([jax.jvp(f, (z,), (one,))[1] for one in each], 1)""",
    },
    # They are vmap and forward once more, which map the same pullback and the same pushforward.
    of_units=frozenset({"jacrev", "jacfwd"}),
)
