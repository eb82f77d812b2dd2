"""A fault in one operation of a model: what its derivative returns is 2^-7 too large.

Of a JAX model an equation is given a derivative of its own, that of the primitive times 1 + 2^-7.
In a module of PyTorch a part is followed by an `autograd.Function` that returns what it is given,
and is wrong by as much going back.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from crosscheck.frontends.jax_flat import bound, flat, function_name
from crosscheck.frontends.jax_tracing import JaxFunction
from crosscheck.run.modules.reading import Asked, reader_of
from crosscheck.tools.errors import UsageError

__all__ = ["SLIP", "with_fault_in_jax", "with_fault_in_torch"]

_TOO_LARGE = 1.0 + 2.0**-7
SLIP = "Slip"
"""Name of what is planted in modules of PyTorch."""

_PLAIN = ("dot_general", "mul", "exp", "tanh", "logistic", "div", "add", "sub")


def with_fault_in_jax(asked: Asked) -> tuple[Asked, str]:
    """A model with a fault in a plain equation, and that one's id.

    The first from the middle on that changes the gradient: what comes to others is 0.

    Raises:
        UsageError: There is none.
    """
    right = reader_of(asked)
    seeds = {name: np.full(shape, 1.5) for name, shape in right.shapes().items()}
    given = right.given(seeds)
    for wrong, name in _faulty(asked):
        if not reader_of(wrong).given(seeds).same_bits(given):
            return wrong, name
    raise UsageError(f"{asked.name}: no operation to plant a fault in")


def _faulty(asked: Asked) -> Iterator[tuple[Asked, str]]:
    function = JaxFunction(
        asked.function,
        asked.arguments,
        traced=asked.wrt,
        fixed=asked.fixed,
        dtype=asked.dtype,
        change=flat,
    )
    jax, jaxpr = function.jax, function.closed.jaxpr
    plain = [
        number
        for number, each in enumerate(jaxpr.eqns, 1)
        if each.primitive.name in _PLAIN
        and not any(hasattr(one, "val") for one in each.invars)
        and each.invars[0] not in jaxpr.constvars
    ]
    names = (*asked.wrt, *asked.fixed)
    form = jax.tree_util.tree_structure(function.form)

    def wrong(chosen: int, *values: Any) -> Any:
        arguments = dict(zip(asked.arguments, values, strict=True))
        leaves = jax.tree_util.tree_leaves([arguments[name] for name in names])
        found = dict(zip(jaxpr.constvars, function.closed.consts, strict=True))
        found |= dict(zip(jaxpr.invars, leaves, strict=True))

        def value(atom: Any) -> Any:
            return atom.val if hasattr(atom, "val") else found[atom]

        for number, equation in enumerate(jaxpr.eqns, 1):
            operands = [value(each) for each in equation.invars]
            call = _slipped(jax, equation) if number == chosen else None
            results = bound(equation, operands) if call is None else [call(*operands)]
            found.update(zip(equation.outvars, results, strict=True))
        return jax.tree_util.tree_unflatten(form, [value(each) for each in jaxpr.outvars])

    for chosen in plain[len(plain) // 2 :]:
        name = function_name(jaxpr.eqns[chosen - 1])
        yield replace(asked, function=partial(wrong, chosen)), f"{chosen} {name}"


def _slipped(jax: Any, equation: Any) -> Any:
    def run(*operands: Any) -> Any:
        return bound(equation, operands)[0]

    def backward(operands: Any, cotangent: Any) -> Any:
        first, *rest = jax.vjp(run, *operands)[1](cotangent)
        return (first * _TOO_LARGE, *rest)

    run.__name__ = function_name(equation)
    own = jax.custom_vjp(run)
    own.defvjp(lambda *operands: (run(*operands), operands), backward)
    return own


@contextlib.contextmanager
def with_fault_in_torch(module: Any) -> Iterator[None]:
    """While this lasts, what follows the middle one of the module's linear parts is wrong."""
    torch: Any = importlib.import_module("torch")

    def backward(_: Any, g: Any) -> Any:
        return g * _TOO_LARGE

    members = {
        "forward": staticmethod(lambda context, x: x.clone()),
        "backward": staticmethod(backward),
    }
    slip: Any = type(SLIP, (torch.autograd.Function,), members)
    parts = [
        each
        for name, each in module.named_modules()
        if type(each).__name__ in ("Linear", "Conv1D", "LayerNorm") and "pooler" not in name
    ]
    hook = parts[len(parts) // 2].register_forward_hook(lambda _m, _i, out: slip.apply(out))
    try:
        yield
    finally:
        hook.remove()
