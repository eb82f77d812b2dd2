"""A jaxpr without calls of the user's: operations of JAX's own, one after another.

Functions that the user has compiled, loops and branches are written out; what depends on no
argument is computed here. Kept as one operation each are functions that have a derivative of their
own (``custom_jvp``, ``custom_vjp``) and those that JAX itself has compiled, such as ``jnp.var``.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["bound", "flat", "function_name", "is_of_jax"]

_WRITTEN_OUT = frozenset(
    {"jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint"}
)
_INNER = ("call_jaxpr", "jaxpr", "fun_jaxpr")


def function_name(equation: Any) -> str:
    """The name of the function that an equation calls; of any other its primitive's."""
    inner = _inner(equation)
    if inner is None:
        return str(equation.primitive.name)
    info = str(getattr(getattr(inner[0], "debug_info", None), "func_src_info", ""))
    name = equation.params.get("name")
    return str(name or info.partition(" at ")[0] or equation.primitive.name)


def is_of_jax(jaxpr: Any) -> bool:
    """Whether the function that a jaxpr was read from is one of JAX's own."""
    info = str(getattr(getattr(jaxpr, "debug_info", None), "func_src_info", ""))
    parts = Path(info.partition(" at ")[2].rpartition(":")[0]).parts
    return any(
        one in ("site-packages", "dist-packages") and two == "jax" for one, two in pairwise(parts)
    )


def flat(jax: Any, closed: Any) -> Any:
    """A closed jaxpr with the calls and loops written out.

    Args:
        jax: The library.
        closed: A closed jaxpr.
    """
    writer = _Writer(jax)
    avals = [jax.ShapeDtypeStruct(each.aval.shape, each.aval.dtype) for each in closed.jaxpr.invars]
    return jax.make_jaxpr(lambda *leaves: writer.run(closed.jaxpr, closed.consts, leaves))(*avals)


def bound(equation: Any, operands: Sequence[Any]) -> list[Any]:
    """What an equation computes, by its primitive."""
    params = equation.primitive.get_bind_params(equation.params)
    functions: Sequence[Any] = ()
    if isinstance(params, tuple):  # as it was before JAX 0.10
        functions, params = params
    found = equation.primitive.bind(*functions, *operands, **params)
    return list(found) if equation.primitive.multiple_results else [found]


def _inner(equation: Any) -> tuple[Any, Sequence[Any]] | None:
    found = next((equation.params[key] for key in _INNER if key in equation.params), None)
    if found is None or equation.primitive.name in ("scan", "while"):
        return None
    return (found.jaxpr, found.consts) if hasattr(found, "consts") else (found, ())


class _Writer:
    """Evaluates jaxprs on tracers."""

    def __init__(self, jax: Any) -> None:
        self._jax = jax
        self._context: Any = importlib.import_module(
            "jax._src.source_info_util"  # as jax.core.eval_jaxpr does, which writes nothing out
        ).user_context

    def run(self, jaxpr: Any, consts: Sequence[Any], arguments: Sequence[Any]) -> list[Any]:
        """The results, known ones as numbers."""
        found = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *arguments), strict=True))

        def value(atom: Any) -> Any:
            return atom.val if hasattr(atom, "val") else found[atom]

        for equation in jaxpr.eqns:
            operands = [value(each) for each in equation.invars]
            with self._context(equation.source_info.traceback):
                results = self._applied(equation, operands)
            found.update(zip(equation.outvars, results, strict=True))
        return [value(each) for each in jaxpr.outvars]

    def _applied(self, equation: Any, operands: Sequence[Any]) -> list[Any]:
        tracer = self._jax.core.Tracer
        name, params = equation.primitive.name, equation.params
        if not any(isinstance(each, tracer) for each in operands):
            with self._jax.ensure_compile_time_eval():
                return bound(equation, operands)
        inner = _inner(equation)
        if name in _WRITTEN_OUT and inner is not None and not is_of_jax(inner[0]):
            return self.run(*inner, operands)
        if name == "scan":
            return self._scan(params, operands)
        if name == "cond" and not isinstance(operands[0], tracer):
            at = int(np.clip(int(operands[0]), 0, len(params["branches"]) - 1))
            chosen = params["branches"][at]
            return self.run(chosen.jaxpr, chosen.consts, operands[1:])
        return bound(equation, operands)

    def _scan(self, params: Any, operands: Sequence[Any]) -> list[Any]:
        """A loop, turn by turn; rows are taken and put together by operations of their own."""
        lax, jnp = self._jax.lax, self._jax.numpy
        count, carried = params["num_consts"], params["num_carry"]
        consts, carry = list(operands[:count]), list(operands[count : count + carried])
        rows, body = operands[count + carried :], params["jaxpr"]
        turns = range(params["length"])
        found = []
        for turn in reversed(turns) if params["reverse"] else turns:
            here = [lax.index_in_dim(each, turn, keepdims=False) for each in rows]
            results = self.run(body.jaxpr, body.consts, [*consts, *carry, *here])
            carry = results[:carried]
            found.append(results[carried:])
        if params["reverse"]:
            found.reverse()
        if not found:
            shapes = [each.aval for each in body.jaxpr.outvars[carried:]]
            return [*carry, *(jnp.zeros((0, *each.shape), each.dtype) for each in shapes)]
        return [*carry, *(jnp.stack(each) for each in zip(*found, strict=True))]
