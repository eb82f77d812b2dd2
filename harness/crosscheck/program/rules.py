"""The table of rules: for each primitive its value, and derivative rules that emit primitives.

With g the cotangent of the result y, ẋ the tangents of the operands:

    primitive          y                         cotangents of the operands       tangent
    add                a + b                     g, g                             ȧ + ḃ
    difference         a - b                     g, -g                            ȧ - ḃ
    mul                a ∘ b                     g ∘ b, g ∘ a                     ȧ ∘ b + a ∘ ḃ
    times_constants    C a                       C g                              C ȧ
    contract           A B                       G Bᵀ, Aᵀ G                       Ȧ B + A Ḃ
    sum                Σ over axes               g repeated                       Σ ȧ
    broadcast          a repeated                Σ g                              ȧ repeated
    take               a[i], 0 for i = -1        scatter of g                     take of ȧ
    scatter            Σ of entries at a place   take of g                        scatter of ȧ
    piecewise          f(z)                      select(z, g)                     select(z, ż)
    select             f'(z) ∘ c                 select(z, g) for c,              select(z, ċ) +
                                                 f''(z) ∘ c ∘ g for z             f''(z) ∘ c ∘ ż
    elementary         f(x)                      g ∘ f'(x)                        f'(x) ∘ ẋ
    max                the largest a             largest(a, g)                    Σ largest(a, ȧ)
    largest            w(a) ∘ c, Σ w = 1         largest(a, g) for c              largest(a, ċ)
    held               a                         none                             none

w(a) is 1 at the largest entry of a and 0 elsewhere; at ties the weights are a decision, as f' is
where it jumps. What is held is a constant to whoever differentiates; its rounding still goes on to
what is made of it (`crosscheck.program.derive.shares`). Operands that broadcast have the sum of
their repeated entries' cotangents. So the gradient of a program is a program, and a product of its
Hessian with a vector is one too. What a number type does with a primitive, and how it bounds it, is
its arithmetic's business (`crosscheck.program.arithmetic`).

A node that is none of these is an error which names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from crosscheck.numbers.elementary import ELEMENTARY
from crosscheck.program.alternatives import rule as rule_of_alternatives
from crosscheck.program.alternatives import rule_of_results
from crosscheck.program.compounds import COMPOUNDS
from crosscheck.program.graph import Node, Shape, Var
from crosscheck.program.norms import NORMS
from crosscheck.program.pairs import PAIRS
from crosscheck.tools.errors import UsageError

__all__ = ["RULES", "Rule", "rule_of"]

Settings = Mapping[str, Any]
Values = Sequence[Any]


@dataclass(frozen=True)
class Rule:
    """One primitive.

    Attributes:
        name: Of the primitive.
        value: The result: of an arithmetic, the node, and the operands' values.
        vjp: The operands' cotangents: of g, y, the operands and the attributes; ``None`` for an
            operand that has none.
        jvp: The tangent of the result: of the operands' tangents (``None`` for zero), y, the
            operands and the attributes; ``None`` for zero.
    """

    name: str
    value: Callable[[Any, Node, Values], Any]
    vjp: Callable[[Var, Var, Sequence[Var], Settings], Sequence[Var | None]]
    jvp: Callable[[Sequence[Var | None], Var, Sequence[Var], Settings], Var | None]


def _added(*terms: Var | None) -> Var | None:
    found: Var | None = None
    for term in terms:
        if term is not None:
            found = term if found is None else found + term
    return found


def _unbroadcast(g: Var, shape: Shape) -> Var:
    """Σ over the axes along which an operand of this shape was repeated."""
    axes = [
        at - len(shape)
        for at, (size, wanted) in enumerate(zip(g.shape, shape, strict=True))
        if wanted == 1 and size != 1
    ]
    return g.sum(*axes, keep=True) if axes else g


def _binary(
    left: Callable[[Var, Sequence[Var]], Var], right: Callable[[Var, Sequence[Var]], Var]
) -> Callable[[Var, Var, Sequence[Var], Settings], Sequence[Var]]:
    """Cotangents of two operands, each summed to its shape."""

    def vjp(g: Var, y: Var, x: Sequence[Var], _: Settings) -> Sequence[Var]:
        whole = g.broadcast(y.shape)
        return (
            _unbroadcast(left(whole, x), x[0].shape),
            _unbroadcast(right(whole, x), x[1].shape),
        )

    return vjp


def _mapped(change: Callable[[Var, Settings, Var], Var]) -> Callable[..., Var | None]:
    """The tangent of a linear function of one operand: the same of its tangent."""
    return lambda t, y, x, s: None if t[0] is None else change(t[0], s, y)


def _product_tangent(t: Sequence[Var | None], y: Var, x: Sequence[Var], _: Settings) -> Var | None:
    a, b = x
    return _added(
        None if t[0] is None else t[0].broadcast(a.shape) * b,
        None if t[1] is None else a * t[1].broadcast(b.shape),
    )


def _contract_tangent(
    t: Sequence[Var | None], _: Var, x: Sequence[Var], __: Settings
) -> Var | None:
    return _added(None if t[0] is None else t[0] @ x[1], None if t[1] is None else x[0] @ t[1])


def _sum_cotangent(g: Var, y: Var, x: Sequence[Var], s: Settings) -> Sequence[Var]:
    shape = x[0].shape
    if not s["keep"]:
        for axis in reversed(s["axes"]):  # counted from the last: those behind have to be there
            g = g.expand(axis)
    return (g.broadcast(shape),)


def _select_cotangent(g: Var, y: Var, x: Sequence[Var], s: Settings) -> Sequence[Var | None]:
    z, factor = x
    slopes = s["function"].derivative
    curved = None if slopes.derivative.is_zero else z.select(slopes, factor * g)
    return curved, z.select(s["function"], g)


def _select_tangent(t: Sequence[Var | None], y: Var, x: Sequence[Var], s: Settings) -> Var | None:
    z, factor = x
    slopes = s["function"].derivative
    curved = None
    if t[0] is not None and not slopes.derivative.is_zero:
        curved = z.select(slopes, factor * t[0])
    return _added(curved, None if t[1] is None else z.select(s["function"], t[1]))


def _slope(x: Var, s: Settings) -> Var:
    """f' of a function of analysis, or a derivative of it."""
    return x.elementary(s["function"], s["order"] + 1, row=s["row"])


def _max_cotangent(g: Var, y: Var, x: Sequence[Var], _: Settings) -> Sequence[Var]:
    (a,) = x
    return (a.graph.apply("largest", (a, g.expand(-1).broadcast(a.shape)), a.shape),)


def _max_tangent(t: Sequence[Var | None], y: Var, x: Sequence[Var], _: Settings) -> Var | None:
    (a,) = x
    if t[0] is None:
        return None
    return a.graph.apply("largest", (a, t[0]), a.shape).sum(-1)


def _places(node: Node) -> tuple[Any, Any, Shape]:
    """What `take` and `scatter` go by: the places, and the shapes before and after."""
    return node.settings["indices"], node.settings["source"], node.shape


def _no_cotangents(g: Var, y: Var, x: Sequence[Var], _: Settings) -> Sequence[Var | None]:
    return [None] * len(x)


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        rule.name: rule
        for rule in (
            *(Rule(*each) for each in (*COMPOUNDS, *NORMS, *PAIRS)),
            Rule(*rule_of_alternatives(lambda op: rule_of(op))),
            Rule(*rule_of_results()),
            Rule(
                "ones",
                value=lambda n, node, x: n.filled(1.0, node.shape),
                vjp=_no_cotangents,
                jvp=lambda t, y, x, s: None,
            ),
            Rule(
                "zeros",
                value=lambda n, node, x: n.filled(0.0, node.shape),
                vjp=_no_cotangents,
                jvp=lambda t, y, x, s: None,
            ),
            Rule(
                "held",
                value=lambda n, node, x: n.detached(x[0]),
                vjp=_no_cotangents,
                jvp=lambda t, y, x, s: None,
            ),
            Rule(
                "add",
                value=lambda n, node, x: n.add(*x),
                vjp=_binary(lambda g, x: g, lambda g, x: g),
                jvp=lambda t, y, x, s: _added(
                    *(None if each is None else each.broadcast(y.shape) for each in t)
                ),
            ),
            Rule(
                "difference",
                value=lambda n, node, x: n.difference(*x),
                vjp=_binary(lambda g, x: g, lambda g, x: g.times(-1)),
                jvp=lambda t, y, x, s: _added(
                    None if t[0] is None else t[0].broadcast(y.shape),
                    None if t[1] is None else t[1].broadcast(y.shape).times(-1),
                ),
            ),
            Rule(
                "mul",
                value=lambda n, node, x: n.mul(*x),
                vjp=_binary(lambda g, x: g * x[1], lambda g, x: g * x[0]),
                jvp=_product_tangent,
            ),
            Rule(
                "times_constants",
                value=lambda n, node, x: n.times(x[0], node.settings["constants"]),
                vjp=lambda g, y, x, s: (g.times(*s["constants"]),),
                jvp=_mapped(lambda t, s, y: t.times(*s["constants"])),
            ),
            Rule(
                "contract",
                value=lambda n, node, x: n.contract(*x),
                vjp=lambda g, y, x, s: (g @ x[1].transposed, x[0].transposed @ g),
                jvp=_contract_tangent,
            ),
            Rule(
                "sum",
                value=lambda n, node, x: n.sum(x[0], node.settings["axes"], node.settings["keep"]),
                vjp=_sum_cotangent,
                jvp=_mapped(lambda t, s, y: t.sum(*s["axes"], keep=s["keep"])),
            ),
            Rule(
                "broadcast",
                value=lambda n, node, x: n.broadcast(x[0], node.shape),
                vjp=lambda g, y, x, s: (_unbroadcast(g, x[0].shape),),
                jvp=_mapped(lambda t, s, y: t.broadcast(y.shape)),
            ),
            Rule(
                "expand",
                value=lambda n, node, x: n.expand(x[0], node.settings["axis"]),
                vjp=lambda g, y, x, s: (g.squeeze(s["axis"]),),
                jvp=_mapped(lambda t, s, y: t.expand(s["axis"])),
            ),
            Rule(
                "squeeze",
                value=lambda n, node, x: n.squeeze(x[0], node.settings["axis"]),
                vjp=lambda g, y, x, s: (g.expand(s["axis"]),),
                jvp=_mapped(lambda t, s, y: t.squeeze(s["axis"])),
            ),
            Rule(
                "transpose",
                value=lambda n, node, x: n.transpose(x[0]),
                vjp=lambda g, y, x, s: (g.transposed,),
                jvp=_mapped(lambda t, s, y: t.transposed),
            ),
            Rule(
                "take",
                value=lambda n, node, x: n.take(
                    x[0], node.settings["indices"], node.settings["source"], node.shape
                ),
                vjp=lambda g, y, x, s: (g.scatter(s["indices"], x[0].shape),),
                jvp=_mapped(lambda t, s, y: t.take(s["indices"], y.shape)),
            ),
            Rule(
                "scatter",
                value=lambda n, node, x: n.scatter(
                    x[0], node.settings["indices"], node.settings["source"], node.shape
                ),
                vjp=lambda g, y, x, s: (g.take(s["indices"], x[0].shape),),
                jvp=_mapped(lambda t, s, y: t.scatter(s["indices"], y.shape)),
            ),
            Rule(
                "piecewise",
                value=lambda n, node, x: n.piecewise(x[0], node.settings["function"]),
                vjp=lambda g, y, x, s: (x[0].select(s["function"], g.broadcast(y.shape)),),
                jvp=lambda t, y, x, s: None if t[0] is None else x[0].select(s["function"], t[0]),
            ),
            Rule(
                "select",
                value=lambda n, node, x: n.select(node.inputs[0], *x, node.settings["function"]),
                vjp=_select_cotangent,
                jvp=_select_tangent,
            ),
            Rule(
                "elementary",
                value=lambda n, node, x: n.elementary(
                    x[0],
                    ELEMENTARY[node.settings["function"]],
                    node.settings["order"],
                    node.settings["row"],
                ),
                vjp=lambda g, y, x, s: (g.broadcast(y.shape) * _slope(x[0], s),),
                jvp=lambda t, y, x, s: None if t[0] is None else _slope(x[0], s) * t[0],
            ),
            Rule(
                "max",
                value=lambda n, node, x: n.maximum(x[0]),
                vjp=_max_cotangent,
                jvp=_max_tangent,
            ),
            Rule(
                "largest",
                value=lambda n, node, x: n.largest(node.inputs[0], *x),
                vjp=lambda g, y, x, s: (None, x[0].graph.apply("largest", (x[0], g), x[0].shape)),
                jvp=lambda t, y, x, s: (
                    None if t[1] is None else x[0].graph.apply("largest", (x[0], t[1]), x[0].shape)
                ),
            ),
        )
    }
)
"""Every primitive by name; arrays that are given are none."""


def rule_of(op: str) -> Rule:
    """The rule of a primitive.

    Raises:
        UsageError: There is none of this name.
    """
    if op not in RULES:
        raise UsageError(f"primitive {op!r} has no rule; there are {', '.join(RULES)}")
    return RULES[op]
