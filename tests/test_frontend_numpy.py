"""Functions as people write them in NumPy: as programs they have the same values and gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy_formulas import FORMULAS, Formula

from crosscheck.frontends.numpy_.trace import trace
from crosscheck.frontends.traced import TracedFunction
from crosscheck.program.derive import vjp
from crosscheck.program.evaluate import evaluate
from crosscheck.program.floats import OnFloats


def traced(formula: Formula, arrays: Mapping[str, Any]) -> TracedFunction:
    given = {**arrays, **formula.static}
    return trace(formula.function, given, traced=list(arrays), fixed=formula.fixed)


def results(formula: Formula, arrays: Mapping[str, Any]) -> dict[str, Any]:
    found = formula.function(**{k: v.copy() for k, v in arrays.items()}, **formula.static)
    if isinstance(found, dict):
        return found
    if isinstance(found, tuple):
        return {f"out{k}": value for k, value in enumerate(found)}
    return {"out": found}


@pytest.mark.parametrize("formula", FORMULAS, ids=lambda each: each.function.__name__)
def test_a_function_has_the_values_and_derivatives_of_its_program(formula: Formula) -> None:
    arrays = formula.arrays()
    found = traced(formula, arrays)
    direct = results(formula, arrays)
    given = {**arrays, **found.constants}
    values = evaluate(found.program, OnFloats(), given)
    for name in found.outputs:
        np.testing.assert_allclose(values[name], direct[name], rtol=1e-12, atol=1e-14)

    draw = np.random.default_rng(1)
    weights = {name: draw.normal(size=np.shape(direct[name])) for name in found.outputs}
    wrt = [name for name in arrays if name not in formula.fixed]
    seeds = {name: f"d{name}" for name in found.outputs}
    gradients = evaluate(
        vjp(found.program, seeds, wrt),
        OnFloats(),
        {**given, **{f"d{name}": weight for name, weight in weights.items()}},
    )
    for name in wrt:
        along = draw.normal(size=arrays[name].shape)
        sides = [
            results(formula, {**arrays, name: arrays[name] + step * along})
            for step in (1e-6, -1e-6)
        ]
        slope = sum(
            np.sum(weights[key] * (sides[0][key] - sides[1][key])) / 2e-6 for key in found.outputs
        )
        np.testing.assert_allclose(np.sum(gradients[name] * along), slope, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("formula", FORMULAS, ids=lambda each: each.function.__name__)
def test_every_step_stands_somewhere_in_the_function(formula: Formula) -> None:
    found = traced(formula, formula.arrays())
    code = formula.function.__code__
    for number, source in found.sources.items():
        assert source.file == code.co_filename
        assert source.line >= code.co_firstlineno
        assert source.text, found.program.nodes[number]
    steps = {
        number
        for number in found.program.needed
        if found.program.nodes[number].op not in ("input", "ones", "zeros", "take")
    }
    assert steps <= set(found.sources)
