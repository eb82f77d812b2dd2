"""How each framework writes the functions of `crosscheck.numbers.elementary`, in ``z``.

Of a function with a second operand, ``z`` is both: one row of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from crosscheck.numbers.elementary import ELEMENTARY

__all__ = ["elementary_lines"]

_Lines = dict[str, dict[str, str]]


def _operators() -> _Lines:
    """What Python's operators write, the same in every framework."""
    found: _Lines = {}
    for name in ELEMENTARY:
        kind, _, constant = name.partition("_")
        if kind == "power":
            found[name] = {"power": f"z ** {constant}"}
        elif kind == "over":
            found[name] = {"over": f"z / {constant}"}
        elif kind == "dividend" or kind == "divisor":
            found[name] = {"division": "z[0] / z[1]"}
    return found


def _composed(exp: str, erf: str, tanh: str, sqrt: str, sigmoid: str) -> _Lines:
    """Formulas of other functions, which people write as well, by how those are called."""
    cubic = "0.7978845608028654 * (z + 0.044715 * z * z * z)"
    return {
        "reciprocal": {"divided": "1 / z"},
        "rsqrt": {"divided": f"1 / {sqrt}(z)"},
        "sigmoid": {"exp": f"1 / (1 + {exp}(-z))"},
        "silu": {"product": f"z * {sigmoid}(z)"},
        "gelu": {"erf": f"0.5 * z * (1 + {erf}(z * 0.7071067811865476))"},
        "gelu_tanh": {"tanh": f"0.5 * z * (1 + {tanh}({cubic}))"},
    }


def _torch() -> _Lines:
    names = ("exp", "expm1", "log", "log1p", "sqrt", "rsqrt", "reciprocal")
    found = {name: {name: f"torch.{name}(z)"} for name in (*names, "tanh", "sigmoid")}
    found |= {name: {name: f"torch.{name}(z)"} for name in ("erf", "sin", "cos")}
    found |= {name: {name: f"F.{name}(z)"} for name in ("softplus", "silu", "gelu", "elu")}
    found["softplus"]["logaddexp"] = "torch.logaddexp(z, torch.zeros_like(z))"
    found["gelu_tanh"] = {"gelu": 'F.gelu(z, approximate="tanh")'}
    return found


def _tensorflow() -> _Lines:
    names = ("expm1", "log", "log1p", "rsqrt", "reciprocal", "erf")
    found = {name: {name: f"tf.math.{name}(z)"} for name in names}
    found |= {
        name: {name: f"tf.{name}(z)"} for name in ("exp", "sqrt", "tanh", "sigmoid", "sin", "cos")
    }
    found |= {name: {name: f"tf.nn.{name}(z)"} for name in ("softplus", "silu", "gelu", "elu")}
    found["gelu_tanh"] = {"gelu": "tf.nn.gelu(z, approximate=True)"}
    return found


def _jax() -> _Lines:
    names = ("exp", "expm1", "log", "log1p", "sqrt", "tanh", "sin", "cos", "reciprocal")
    found = {name: {name: f"jnp.{name}(z)"} for name in names}
    found |= {name: {name: f"jax.lax.{name}(z)"} for name in ("rsqrt", "erf")}
    found |= {name: {name: f"jax.nn.{name}(z)"} for name in ("sigmoid", "softplus", "silu", "elu")}
    found["gelu"] = {"gelu": "jax.nn.gelu(z, approximate=False)"}
    found["gelu_tanh"] = {"gelu": "jax.nn.gelu(z)"}
    return found


def _together(own: _Lines, composed: _Lines) -> Mapping[str, Mapping[str, str]]:
    """All lines in the order of the table, a framework's own function first."""
    found = _operators() | own
    return MappingProxyType(
        {
            name: MappingProxyType({**found[name], **composed.get(name, {})})
            for name in ELEMENTARY
            if name in found
        }
    )


_LINES: Mapping[str, Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "torch": _together(
            _torch(),
            _composed("torch.exp", "torch.erf", "torch.tanh", "torch.sqrt", "torch.sigmoid"),
        ),
        "tensorflow": _together(
            _tensorflow(), _composed("tf.exp", "tf.math.erf", "tf.tanh", "tf.sqrt", "tf.sigmoid")
        ),
        "jax": _together(
            _jax(), _composed("jnp.exp", "jax.lax.erf", "jnp.tanh", "jnp.sqrt", "jax.nn.sigmoid")
        ),
    }
)


def elementary_lines(framework: str) -> Mapping[str, Mapping[str, str]]:
    """Function to formulation to an expression in ``z``; empty if nobody has said how.

    The first formulation is the framework's own function.
    """
    return _LINES.get(framework, MappingProxyType({}))
