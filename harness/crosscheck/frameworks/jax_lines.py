"""JAX's ways of writing units with kinks, and of differentiating them."""

from __future__ import annotations

from crosscheck.frameworks.pointwise import Pointwise
from crosscheck.numbers.formats import WORKING

__all__ = ["LINES"]

_REVERSE = """\
def measure(z):
    value, pull = jax.vjp(f, z)
    return value, pull(jnp.ones_like(value))[0]"""


def _pooled(pair: str) -> str:
    pairs = f"jnp.stack([{pair}], -1).reshape(-1, 2)"
    pooled = f"jax.lax.reduce_window({pairs}, -jnp.inf, jax.lax.max, (1, 2), (1, 2), 'VALID')"
    return f"{pooled}.reshape(z.shape)"


LINES = Pointwise(
    setup="import jax\nimport jax.numpy as jnp\nimport numpy as np",
    switches='jax.config.update("jax_enable_x64", True)',
    units={
        "relu": {
            "relu": "jax.nn.relu(z)",
            "maximum": "jnp.maximum(z, 0)",
            "maximum_swapped": "jnp.maximum(0, z)",
            "lax_max": "jax.lax.max(z, jnp.zeros_like(z))",
            "where": "jnp.where(z > 0, z, 0)",
            "where_ge": "jnp.where(z >= 0, z, 0)",
            "clip": "jnp.clip(z, 0)",
            "abs": "(z + jnp.abs(z)) / 2",
            "mask": "z * (z > 0)",
            "leaky_relu": "jax.nn.leaky_relu(z, 0.0)",
            "max": "jnp.max(jnp.stack([z, jnp.zeros_like(z)]), 0)",
            "max_pool": _pooled("z, jnp.zeros_like(z)"),
        },
        "abs": {"abs": "jnp.abs(z)", "maximum": "jnp.maximum(z, -z)"},
        "relu6": {"relu6": "jax.nn.relu6(z)", "clip": "jnp.clip(z, 0, 6)"},
        "hardtanh": {"hard_tanh": "jax.nn.hard_tanh(z)", "clip": "jnp.clip(z, -1, 1)"},
        "hard_sigmoid": {"hard_sigmoid": "jax.nn.hard_sigmoid(z)"},
        "hardswish": {"hard_swish": "jax.nn.hard_swish(z)"},
        "max_pool": {
            "max_pool": _pooled("z, jnp.ones_like(z)"),
            "max_pool_last": _pooled("jnp.ones_like(z), z"),
        },
    },
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
)
