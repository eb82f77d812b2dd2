"""A program for each rule of a primitive, with operands that are known or held with an error.

An operand has a value c that the reference holds within r and frameworks within e of the exact
number; the simulated framework holds any number within r + e of c. Error / bound is that of the
verdict: what the framework returns, less the reference's value, over r + e of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from crosscheck.judge.entries import ratio_of
from crosscheck.judge.local.programs import program_of
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.model import Model
from crosscheck.numbers.piecewise import Piecewise
from crosscheck.operators.registry import known
from crosscheck.operators.units import UNITS
from crosscheck.program.enclosures import OnEnclosures
from crosscheck.program.evaluate import values_of
from crosscheck.program.graph import Graph, Node, Program, Shape, Var
from crosscheck.program.rules import RULES
from crosscheck.studies.adversary.arithmetic import Held, OnMachine
from crosscheck.studies.adversary.machine import Machine
from crosscheck.studies.adversary.operands import lambdas, numbers, step_of

__all__ = ["PRIMITIVES", "Primitive", "ratios"]

OUTPUT = "result"


@dataclass(frozen=True)
class Primitive:
    """One rule, alone or after one that leaves a sum open.

    Attributes:
        shapes: Of the operands.
        build: The result, of the operands.
        near: A function near whose breakpoints the first operand is.
        is_free: Whether every slope at an open jump is enclosed at once.
    """

    shapes: tuple[Shape, ...]
    build: Callable[..., Var]
    near: Piecewise | None = None
    is_free: bool = False

    def program(self) -> Program:
        """Of operands a, b, … ."""
        graph = Graph()
        leaves = {
            name: graph.leaf(name, shape) for name, shape in zip("abcd", self.shapes, strict=False)
        }
        result = self.build(*leaves.values())
        return graph.program(leaves, {OUTPUT: result})


def _operand(machine: Machine, model: Model, c: Array, is_known: bool) -> tuple[Enclosure, Held]:
    genes, form, shape = machine.genes, model.format, c.shape[1:]
    if is_known:
        return Enclosure.of(model, c), Held.of(machine, c)
    kind = genes.below(3, shape)
    ulp = form.ulp(c)
    r = np.where(kind == 1, ulp * genes.below(5, shape) / 8.0, 0.0)
    e = np.where(kind == 0, 0.0, ulp * genes.below(4, shape))
    held = machine.rounded(c + (2.0 * genes.share(shape) - 1.0) * (r + e))
    held = np.where((np.abs(held - c) > r + e) | ~np.isfinite(held), c, held)
    return Enclosure(model, c, r, e), Held.of(machine, held)


def ratios(rule: Primitive, machine: Machine, model: Model, *, is_known: bool) -> Array:
    """Error / bound of each try, (P,).

    Args:
        rule: What is evaluated.
        machine: The framework.
        model: What it is held to.
        is_known: Whether operands are held without an error.
    """
    program = rule.program()
    genes = machine.genes
    enclosed: dict[str, Any] = {}
    held: dict[str, Any] = {}
    for name, number in program.inputs.items():
        near = rule.near if name == "a" else None
        c = numbers(genes, model.format, program.nodes[number].shape, near)
        enclosed[name], held[name] = _operand(machine, model, c, is_known)
    decisions: dict[int, Array] = {}
    sites: dict[int, Enclosure] = {}
    for number in program.needed:
        node = program.nodes[number]
        if node.op in ("select", "largest"):
            site = node.inputs[0]
            name = next(name for name, at in program.inputs.items() if at == site)
            sites[site] = enclosed[name]
            if node.op == "select":
                decisions[site] = lambdas(genes, program.nodes[site].shape)
    on_enclosures = OnEnclosures(model, decisions)
    if rule.is_free:
        free = {site: np.ones(each.shape, dtype=bool) for site, each in sites.items()}
        on_enclosures = OnEnclosures(model, any_slope=free)
    bound = values_of(program, on_enclosures, enclosed)[program.outputs[OUTPUT]]
    found = values_of(program, OnMachine(machine, decisions, sites), held)
    given = np.broadcast_to(found[program.outputs[OUTPUT]].closed, bound.c.shape)
    bound = Enclosure(model, bound.c, bound.r, bound.e)
    ratio = ratio_of(bound.distance(given), bound.bound)
    return np.asarray(ratio.reshape(genes.count, -1).max(axis=1))


def _nodes(op: str) -> Iterator[Node]:
    """The nodes of one kind in all operators' steps."""
    for operator in known().values():
        for attributes in ({}, *operator.variants):
            yield from (
                node for node in program_of(*step_of(operator, attributes)).nodes if node.op == op
            )


def _functions() -> dict[str, Piecewise]:
    """What operators and units are made of, by name and number of the variant."""
    found: dict[Piecewise, None] = dict.fromkeys(UNITS[name] for name in ("softshrink",))
    found |= dict.fromkeys(node.settings["function"] for node in _nodes("piecewise"))
    names: dict[str, int] = {}
    named = {}
    for function in found:
        names[function.name] = names.get(function.name, 0) + 1
        times = names[function.name]
        named[function.name if times == 1 else f"{function.name} {times}"] = function
    return named


def _times(*constants: str) -> Callable[[Var], Var]:
    return lambda a: a.times(*map(Fraction, constants))


def _times_sum(*constants: str) -> Callable[..., Var]:
    return lambda a, b, c: (a @ b + c).times(*map(Fraction, constants))


def _piecewise(a: Var, function: Piecewise) -> Var:
    return a.piecewise(function)


def _select(a: Var, b: Var, function: Piecewise) -> Var:
    return a.select(function, b)


def _largest(a: Var, b: Var) -> Var:
    return a.graph.apply("largest", (a, b), a.shape)


def _down(a: Var, b: Var, op: str) -> Var:
    """What a cotangent b becomes on its way down."""
    (found,) = RULES[op].vjp(b, a.graph.apply(op, (a,), a.shape), (a,), {})
    assert found is not None
    return found


def _primitives() -> Mapping[str, Primitive]:
    row, column, one = (1, 4), (4, 1), (1, 1)
    found = {
        "add": Primitive(((2,), (2,)), lambda a, b: a + b),
        "add, four": Primitive(((2,),) * 4, lambda a, b, c, d: a + b + (c + d)),
        "difference": Primitive(((2,), (2,)), lambda a, b: a - b),
        "mul": Primitive(((2,), (2,)), lambda a, b: a * b),
        "mul, then add": Primitive(((2,),) * 3, lambda a, b, c: a * b + c),
        "mul, square": Primitive(((2,),), lambda a: a * a),
        "contract": Primitive((row, column), lambda a, b: a @ b),
        "contract, then add": Primitive((row, column, one), lambda a, b, c: a @ b + c),
        "contract, of two": Primitive(((1, 2), (2, 1)), lambda a, b: a @ b),
        "sum": Primitive(((6,),), lambda a: a.sum()),
        "sum of products": Primitive(((4,), (4,)), lambda a, b: (a * b).sum()),
        "take": Primitive(((4,),), lambda a: a.take((2, -1, 0, 0), (4,))),
        "scatter": Primitive(((5,),), lambda a: a.scatter((0, 1, 0, -1, 0), (2,))),
        "contract, then scatter": Primitive(
            (row, (4, 3)), lambda a, b: (a @ b).scatter((0, -1, 0), (2,))
        ),
        "broadcast": Primitive(((1,),), lambda a: a.broadcast((3,))),
        "max": Primitive(((2, 3),), lambda a: a.maximum()),
        "largest": Primitive(((2, 3), (2, 3)), _largest),
        "either": Primitive(((2,),) * 3, lambda a, b, c: (a * (b - c)).either(a * b - a * c)),
        "updated, mean": Primitive(((4,),), lambda a: a.updated(-1, 1)),
        "updated, squares": Primitive(((4,),), lambda a: a.updated(-1, 2)),
        "softmax": Primitive(((1, 3),), lambda a: a.softmax()),
        "softmax, down": Primitive(((1, 3), (1, 3)), partial(_down, op="softmax")),
        "log_softmax": Primitive(((1, 3),), lambda a: a.log_softmax()),
        "log_softmax, down": Primitive(((1, 3), (1, 3)), partial(_down, op="log_softmax")),
    }
    for words in ("2", "1/2", "3", "1/3", "1/2 2", "1/3 1/2", "1/6 3", "-5/3 1/7", "1/1024"):
        found[f"times_constants {words}"] = Primitive(((2,),), _times(*words.split()))
    for words in ("1/2", "1/3", "1/2 1/3", "2 -3"):
        shapes = ((1, 2), (2, 1), one)
        found[f"times_constants of a sum {words}"] = Primitive(shapes, _times_sum(*words.split()))
    for node in _nodes("elementary"):
        name, order = node.settings["function"], node.settings["order"]
        rule = partial(Var.elementary, function=name, order=order)
        found[f"elementary {name}{chr(39) * order}"] = Primitive(((3,),), rule)
    for name, function in _functions().items():
        value, slope = partial(_piecewise, function=function), partial(_select, function=function)
        found[f"piecewise {name}"] = Primitive(((3,),), value, function)
        found[f"select {name}"] = Primitive(((3,), (3,)), slope, function)
        if function.kinks:
            found[f"select {name}, every slope"] = Primitive(
                ((3,), (3,)), slope, function, is_free=True
            )
    return found


PRIMITIVES: Mapping[str, Primitive] = MappingProxyType(_primitives())
"""Every rule by name."""
