"""A whole network as a program of a few lines that needs one framework only.

For a report to the people who make the framework: paste it, run it, and it prints the entry of the
gradient in question, and its exact value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import numpy as np

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.pointwise import Pointwise
from crosscheck.frameworks.text import statements
from crosscheck.judge.decisions import GateClass
from crosscheck.judge.programs.enclosed import EnclosedProgram
from crosscheck.judge.verdict import Verdict
from crosscheck.network.composed import AnyCase, Composed, composed
from crosscheck.network.exact import (
    exact_forward,
    exact_gradients,
    nearest_float,
    rational_of,
    rationals,
)
from crosscheck.network.names import LOSS, derivative, parsed
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.model import Model
from crosscheck.numbers.multilinear import fraction
from crosscheck.operators.operator import Line
from crosscheck.program.evaluate import evaluate
from crosscheck.program.exact import OnExact
from crosscheck.tools.errors import UnsupportedError

__all__ = ["exact_entry", "script"]

_TORCH = """\
def gradient(p):
    value = J(p)
    found = torch.autograd.grad(value, list(p.values()))
    return value, dict(zip(p, found))"""

_TAPE = """\
def gradient(p):
    with tf.GradientTape() as tape:
        tape.watch(p)
        value = J(p)
    return value, tape.gradient(value, p)"""

_GRADIENT: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "torch": {"eager": _TORCH},
        "tensorflow": {
            "eager": _TAPE,
            "graph": f"@tf.function(autograph=False)\n{_TAPE}",
            "xla": f"@tf.function(autograph=False, jit_compile=True)\n{_TAPE}",
        },
        "jax": {
            "jit": "gradient = jax.jit(jax.value_and_grad(J))",
            "eager": "gradient = jax.value_and_grad(J)",
        },
    }
)
"""Framework to mode to the definition of ``gradient(p)``: J and its gradient, by name."""

_MAKE = MappingProxyType(
    {
        "torch": "torch.tensor({}, dtype=torch.{})",
        "tensorflow": "tf.constant({}, tf.{})",
        "jax": "jnp.asarray(np.array({}, jnp.{}))",
    }
)
_LEAF = MappingProxyType({"torch": ".requires_grad_()", "tensorflow": "", "jax": ""})


def script(case: AnyCase, framework: Framework, verdict: Verdict) -> str | None:
    """The program for what ``verdict`` says of ``framework`` on a single case.

    It prints the entry with the largest error, as the framework returns it and exactly; the
    whole gradient where nothing was compared.

    Returns:
        ``None`` for a framework, or a mode of one, of which this module knows no source.
    """
    name, lines = framework.name, framework.lines
    modes = _GRADIENT.get(name, {})
    if lines is None or framework.mode not in modes or case.dtype not in framework.dtypes:
        return None
    text = _loss(case, name, framework.sources)
    if text is None:
        return None
    printing = _printing(case, verdict, lines)
    body = "\n\n".join([_numbers(case, name), text, modes[framework.mode], printing])
    versions = ", ".join(f"{package} {number}" for package, number in framework.versions().items())
    head = f"# {versions}; {framework.formulation}, {framework.mode}; {case.dtype}: {verdict.kind}"
    imports = [line for line in lines.setup.splitlines() if _is_used(line, body)]
    switches = [lines.switches] if lines.switches else []
    return "\n".join([head, *imports, "", *switches, body]) + "\n"


def exact_entry(case: AnyCase, name: str) -> Fraction:
    """One entry of the exact gradient of a finite single case, with λ = 0 at kinks.

    Args:
        case: The case.
        name: As in `crosscheck.judge.verdict.Entry`: ``"J"``, ``"W2[0,1]"``, ``"b1[0]"``,
            ``"x[0,1]"``.
    """
    array, index = parsed(name)
    if isinstance(case, Composed):
        exact = {name: rationals(values) for name, values in case.entries()}
        found = evaluate(case.gradient, OnExact(rational_of), exact)
        return fraction(np.asarray(found[array])[index])
    trace = exact_forward(case)
    gates = [
        (z > 0).astype(np.float64) if case.network.has_relu(layer) else None
        for layer, z in enumerate(trace.pre_activations, start=1)
    ]
    arrays = dict(exact_gradients(case, trace, gates).entries())
    return fraction(np.asarray(arrays[array])[index])


def _is_used(line: str, body: str) -> bool:
    return re.search(rf"\b{line.split()[-1]}\.", body) is not None


def _literal(values: Any) -> str:
    if isinstance(values, list):
        return f"[{', '.join(map(_literal, values))}]"
    if not math.isfinite(values):
        return f'float("{values}")'
    return (
        str(int(values)) + "." if values.is_integer() and 0 < abs(values) < 2**20 else repr(values)
    )


def _numbers(case: AnyCase, name: str) -> str:
    def made(array: Array) -> str:
        return _MAKE[name].format(_literal(array.tolist()), case.dtype)

    constants = [name for name, _ in case.entries() if name not in case.wanted]
    lines, rest = ["p = {"], []
    for array_name, array in case.entries():
        if array_name in constants:
            rest.append(f"{array_name} = {made(array)}")
        else:
            lines.append(f'    "{array_name}": {made(array)}{_LEAF[name]},')
    return "\n".join([*lines, "}", *rest, ""])


def _remark(case: AnyCase) -> str:
    """What the exact entry supposes at kinks, if there are any."""
    if isinstance(case, Composed):
        decisions = EnclosedProgram(case, Model(format_of(case.dtype))).decisions
        kinks = any(each.gate is not GateClass.UNDECIDED for each in decisions)
        return " with the slopes from the left at kinks" if kinks else ""
    zero = any((np.asarray(z) == 0).any() for z in exact_forward(case).pre_activations)
    return " with ReLU'(0) = 0" if zero else ""


def _loss(case: AnyCase, name: str, sources: Mapping[str, Line]) -> str | None:
    """The definition of J, of the operators' lines; ``None`` where an operator has none."""
    network = case if isinstance(case, Composed) else composed(case)
    shapes = {**network.shapes, **network.result_shapes}

    def spelt(array: str) -> str:
        return f'p["{array}"]' if array in network.wanted else array

    try:
        lines = statements(network.steps, shapes, name, sources, spelt)
    except UnsupportedError:
        return None
    body = [*lines[:-1], f"return {lines[-1].removeprefix('J = ')}"]
    return "\n    ".join(["def J(p):", *body]) + "\n"


def _printing(case: AnyCase, verdict: Verdict, lines: Pointwise) -> str:
    calls = "\nvalue, found = gradient(p)\n"
    if verdict.worst is None:
        return f'{calls}print("J", value)\nfor name in found:\n    print(name, found[name])'
    array, index = parsed(verdict.worst.name)
    where = f'found["{array}"][{", ".join(map(str, index))}]'
    where = "value" if array == LOSS else where
    text = f'{calls}print("{derivative(verdict.worst.name)}:", float({where}))'
    if case.is_finite:
        exact = exact_entry(case, verdict.worst.name)
        rounded = nearest_float(exact)
        is_exact = math.isfinite(rounded) and Fraction(rounded) == exact
        comment = "" if is_exact else "  # rounded to float64"
        remark = _remark(case)
        text += f'\nprint("exactly{remark}:", {_literal(rounded)}){comment}'
    return text
