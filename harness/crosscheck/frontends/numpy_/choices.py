"""Comparisons, and what is chosen by them: one function with kinks where it is continuous."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from crosscheck.frontends import verbs
from crosscheck.frontends.numpy_.arrays import Step, Traced
from crosscheck.frontends.numpy_.operands import is_known, number, plain, traced
from crosscheck.frontends.numpy_.tracer import Tracer
from crosscheck.frontends.pieces import Pieces, exact_site, larger, pieces_of, step
from crosscheck.program.graph import Var

__all__ = [
    "absolute",
    "clipped",
    "compared",
    "extreme",
    "joined_sum",
    "logical",
    "sign",
    "step_arithmetic",
    "where",
]

_SIDES = {"greater": (0, 1), "greater_equal": (0, 1), "less": (1, 0), "less_equal": (1, 0)}
_TURNED = {
    "greater": "less",
    "greater_equal": "less_equal",
    "less": "greater",
    "less_equal": "greater_equal",
}


def compared(tracer: Tracer, ufunc: Any, a: Any, b: Any) -> Any:
    """A comparison of two operands of which one at least is traced."""
    name, value = ufunc.__name__, ufunc(plain(a), plain(b))
    if is_known([a, b]):
        return value
    for one, other, turned in ((a, b, False), (b, a, True)):
        constant = number(other)
        if isinstance(one, Step):
            return _step_compared(tracer, ufunc, one, other, turned, value)
        if isinstance(one, Traced) and constant is not None and value.shape == one.shape:
            kind = _TURNED.get(name, name) if turned else name
            return _with_number(tracer, kind, one.variable, constant, value)
    left, right = traced(tracer, a).variable, traced(tracer, b).variable
    difference = verbs.subtract(left, right)
    if name not in _SIDES:
        return Step(tracer, value, (difference,))
    site, factor = exact_site(difference)
    order = (left, right) if _SIDES[name] == (0, 1) else (right, left)
    below, above = _SIDES[name] if factor > 0 else _SIDES[name][::-1]
    pieces = step(Fraction(0), below, above)
    return Step(tracer, value, (difference,), site, pieces, order=order)


def _with_number(tracer: Tracer, name: str, var: Var, bound: Fraction, value: Any) -> Step:
    known = tracer.constant(float(bound))
    difference = verbs.subtract(var, known) if bound else var
    if name not in _SIDES:
        return Step(tracer, value, (difference,))
    site, factor = exact_site(var)
    below, above = _SIDES[name] if factor > 0 else _SIDES[name][::-1]
    return Step(tracer, value, (difference,), site, step(bound / factor, below, above))


def _step_compared(
    tracer: Tracer, ufunc: Any, one: Step, other: Any, turned: bool, value: Any
) -> Any:
    """Whether what was chosen is some number."""
    bound, pieces = number(other), one.pieces
    if bound is None:
        settled = (traced(tracer, other), one.settled())
        return compared(tracer, ufunc, *(settled if turned else settled[::-1]))
    if one.choose is not None or pieces is None or not pieces.is_constant:
        settled_one = one.settled()
        return compared(tracer, ufunc, *((other, settled_one) if turned else (settled_one, other)))

    def change(c: Fraction) -> int:
        return int(bool(ufunc(float(bound), float(c)) if turned else ufunc(float(c), float(bound))))

    return Step(tracer, value, one.compared, one.site, pieces.mapped(change))


def logical(tracer: Tracer, ufunc: Any, *operands: Any) -> Any:
    """``and``, ``or``, ``xor``, ``not`` of truth values."""
    value = ufunc(*map(plain, operands))
    if is_known(list(operands)):
        return value
    steps = [_as_step(tracer, each) for each in operands]
    conditions = tuple(dict.fromkeys(each for one in steps for each in one.compared))
    sites = {each.site for each in steps if each.pieces is None or each.pieces.breakpoints}
    pieces = [each.pieces for each in steps]
    found: Pieces | None = None
    if len(sites) == 1 and None not in sites and all(each is not None for each in pieces):
        a, b = pieces[0], pieces[-1]
        assert a is not None
        assert b is not None
        one = Pieces.number(1)
        kind = ufunc.__name__.removeprefix("logical_").removeprefix("bitwise_")
        found = {
            "and": lambda: a * b,
            "or": lambda: a + b - a * b,
            "xor": lambda: a + b - (a * b).times(2),
            "not": lambda: one - a,
            "invert": lambda: one - a,
        }[kind]()
    site = next(iter(sites)) if found is not None else None
    return Step(tracer, value, conditions, site, found)


def _as_step(tracer: Tracer, value: Any) -> Step:
    if isinstance(value, Step):
        return value
    if isinstance(value, Traced) and not value.is_known:
        found = compared(tracer, np.not_equal, value, 0.0)
        assert isinstance(found, Step)
        return found
    truth, constant = np.asarray(plain(value), dtype=bool), number(plain(value))
    pieces = None if constant is None else Pieces.number(int(bool(constant)))
    return Step(tracer, truth, (), None, pieces)


def step_arithmetic(tracer: Tracer, name: str, value: Any, *operands: Any) -> Any:
    """A sum, difference or product in which there is a step; its own numbers, once it must be.

    Returns:
        A step or a traced array; ``None`` if it is none of these operations.
    """
    if name == "positive":
        return _with_value(operands[0], value)
    if name == "negative":
        name, operands = "multiply", (operands[0], -1.0)
    if name in ("divide", "true_divide"):
        divisor = number(operands[1])
        if not divisor:
            return None
        name, operands = "multiply", (operands[0], 1.0 / float(divisor))
        if Fraction(1.0 / float(divisor)) * divisor != 1:
            return None
    if name not in ("add", "subtract", "multiply"):
        return None
    a, b = operands
    site = next(
        (each.site for each in operands if isinstance(each, Step) and each.site is not None), None
    )
    found = _combined(name, site, value, a, b)

    def choose() -> Var:
        one, other = (_settled_var(tracer, each) for each in (a, b))
        for mask, factor in ((a, other), (b, one)):
            if name == "multiply" and isinstance(mask, Step) and mask.value.dtype == bool:
                zero = factor.graph.zeros(())
                return verbs.chosen(np.asarray(mask.value), factor, zero)
        join = {"add": verbs.add, "subtract": verbs.subtract, "multiply": verbs.multiply}[name]
        return join(one, other)

    if found is None or site is None:
        for each in operands:
            if isinstance(each, Step):
                each.settled()  # what it compared decides
        return Traced.of(tracer, choose(), value, False)
    if found.is_continuous:
        return Traced.of(tracer, found.of(site), value, False)
    conditions = tuple(each for one in operands if isinstance(one, Step) for each in one.compared)
    frozen = [each.variable if isinstance(each, Traced) else None for each in operands]
    is_plain = not any(frozen) and all(
        each.choose is None for each in operands if isinstance(each, Step)
    )
    if not is_plain:
        chosen_now = choose()
        return Step(tracer, value, conditions, site, found, lambda: chosen_now)
    return Step(tracer, value, conditions, site, found)


def _settled_var(tracer: Tracer, value: Any) -> Var:
    """The value of the program, without a record of what decided."""
    if isinstance(value, Step):
        return (
            value.choose()
            if value.choose is not None
            else tracer.constant(np.asarray(value.value, dtype=np.float64))
        )
    return traced(tracer, value).variable


def _combined(name: str, site: Var | None, value: Any, a: Any, b: Any) -> Pieces | None:
    if site is None or np.shape(value) != site.shape:
        return None
    one, other = (_pieces(each, site) for each in (a, b))
    if one is None or other is None:
        return None
    return {"add": one.__add__, "subtract": one.__sub__, "multiply": one.__mul__}[name](other)


def _pieces(value: Any, site: Var) -> Pieces | None:
    """An operand as a function of the site."""
    if isinstance(value, Step):
        return value.pieces if value.site == site or value.site is None else None
    if isinstance(value, Traced):
        return pieces_of(value.variable, site)
    constant = number(value)
    return None if constant is None else Pieces.number(constant)


def _with_value(one: Step, value: Any) -> Step:
    return Step(one.tracer, value, one.compared, one.site, one.pieces, one.choose, one.order)


def where(tracer: Tracer, condition: Any, a: Any, b: Any) -> Any:
    """``np.where`` by what was compared: one function if it is continuous, else as it came out."""
    value = np.where(plain(condition), plain(a), plain(b))
    if not isinstance(condition, Step):
        condition = _as_step(tracer, condition)
    if condition.value.dtype != bool:
        found = compared(tracer, np.not_equal, condition, 0.0)
        return where(tracer, found, a, b)
    if condition.order is not None and value.shape == np.shape(condition.value):
        order = tuple(each.variable if isinstance(each, Traced) else None for each in (a, b))
        for pair, sign_of in ((condition.order, 1), (condition.order[::-1], -1)):
            if order == pair:
                return Traced.of(tracer, verbs.extreme(pair[0], pair[1], sign_of), value, False)
    site = condition.site
    if site is not None and condition.pieces is not None and value.shape == site.shape:
        one, other = _pieces(a, site), _pieces(b, site)
        if one is not None and other is not None:
            found = condition.pieces.chosen(one, other)
            if found.is_continuous:
                return Traced.of(tracer, found.of(site), value, False)
            choose = _choice(tracer, condition, a, b)
            return Step(tracer, value, condition.compared, site, found, choose)
    for each in condition.compared:
        tracer.compare(each)
    numbers = np.asarray(value, dtype=np.float64)
    codes = np.where(condition.value, traced(tracer, a).codes, traced(tracer, b).codes)
    found_array = Traced(tracer, numbers, codes)
    if found_array.is_known:  # what decided is not
        var = found_array.variable
        is_constant = var.node.op in ("zeros", "ones", "times_constants")
        return Traced.of(tracer, var, numbers, False, is_constant=is_constant)
    return found_array


def _choice(tracer: Tracer, condition: Step, a: Any, b: Any) -> Callable[[], Var] | None:
    """What is taken by the numbers there are; ``None`` for constants on both sides."""
    if not any(isinstance(each, Traced) or _is_chosen(each) for each in (a, b)):
        return None
    one, other = _settled_var(tracer, a), _settled_var(tracer, b)
    mask = np.asarray(condition.value)
    return lambda: verbs.chosen(mask, one, other)


def _is_chosen(value: Any) -> bool:
    return isinstance(value, Step) and value.choose is not None


def extreme(tracer: Tracer, a: Traced, b: Traced, value: Any, sign_of: int) -> Var:
    """The larger or the smaller one of two: of functions of one number, a function of that."""
    one, other = a.variable, b.variable
    for site in (other, one, *(_inside(each) for each in (other, one))):
        if verbs.number_of(site) is not None or site.shape != np.shape(value):
            continue
        p, q = pieces_of(one, site), pieces_of(other, site)
        if p is None or q is None or not (p.breakpoints or len(p.polynomials[0]) > 1):
            continue
        if verbs.number_of(one) is not None or verbs.number_of(other) is not None:
            continue
        found = larger(p.times(sign_of), q.times(sign_of))
        if found is not None:
            return found.times(sign_of).of(site)
    return verbs.extreme(one, other, sign_of)


def _inside(x: Var) -> Var:
    return Var(x.graph, x.node.inputs[0]) if x.node.op == "times_constants" else x


def joined_sum(name: str, a: Var, b: Var) -> Var | None:
    """A sum or difference of two functions with kinks of one number, as one of that."""
    sites = {_site(each) for each in (a, b)}
    site = sites.pop()
    if sites or site is None:
        return None
    one, other = pieces_of(a, site), pieces_of(b, site)
    if one is None or other is None:
        return None
    return (one + other if name == "add" else one - other).of(site)


def _site(x: Var) -> Var | None:
    x = _inside(x)
    return Var(x.graph, x.node.inputs[0]) if x.node.op == "piecewise" else None


def clipped(tracer: Tracer, x: Traced, low: Fraction, high: Fraction) -> Var | None:
    """A number held between two constants, as one function with two kinks."""
    if low >= high:
        return None
    one = Fraction(1)
    pieces = Pieces((low, high), ((low,), (Fraction(0), one), (high,)))
    return pieces.of(x.variable)


def absolute(x: Var) -> Var:
    """|x|."""
    line = (Fraction(0), Fraction(1))
    return Pieces((Fraction(0),), ((Fraction(0), Fraction(-1)), line)).of(x)


def sign(tracer: Tracer, x: Traced, value: Any) -> Any:
    """-1, 0 or 1."""
    if x.is_known:
        return value
    site, factor = exact_site(x.variable)
    side = 1 if factor > 0 else -1
    return Step(tracer, value, (x.variable,), site, step(Fraction(0), -side, side))
