"""NumPy's universal functions, and those of SciPy that are some."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from crosscheck.frontends import verbs
from crosscheck.frontends.numpy_ import choices
from crosscheck.frontends.numpy_.arrays import Decided, Object, Step, Traced
from crosscheck.frontends.numpy_.operands import (
    has_objects,
    is_constant,
    is_known,
    number,
    plain,
    result,
    stacked,
    store,
    traced,
)
from crosscheck.frontends.numpy_.tracer import UNSET, Tracer
from crosscheck.program.graph import Var
from crosscheck.program.places import Places
from crosscheck.tools.errors import UnsupportedError

__all__ = ["OTHERS", "REDUCED", "UFUNCS", "ufunc"]

_COMPARED = ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal")
_LOGICAL = (
    *("logical_and", "logical_or", "logical_xor", "logical_not"),
    *("bitwise_and", "bitwise_or", "bitwise_xor", "invert"),
)
_OF_NUMBERS = ("isnan", "isinf", "isfinite", "signbit")
_FLAT = ("floor", "ceil", "rint", "trunc")
_EXTREMES: Mapping[str, Literal[-1, 1]] = {"maximum": 1, "fmax": 1, "minimum": -1, "fmin": -1}
_POWERS = ("power", "float_power")

OTHERS = (*_COMPARED, *_LOGICAL, *_OF_NUMBERS, *_EXTREMES, *_POWERS, "sign", "heaviside")
"""Those that are understood and not in `UFUNCS`: they choose, or depend on a constant."""

REDUCED: Mapping[str, str] = {
    "add": "sum",
    "multiply": "prod",
    "maximum": "max",
    "minimum": "min",
    "logical_and": "all",
    "logical_or": "any",
}
"""The function that a reduction by a universal function is."""


def _logarithm_of(base: int) -> Fraction:
    """log base, to sixty digits."""
    return Fraction(Context(prec=60).ln(Decimal(base)))


def _of(name: str) -> Callable[[Var], Var]:
    return lambda x: verbs.elementary(name, x)


def _exponential(factor: Fraction) -> Callable[[Var], Var]:
    return lambda x: x.times(factor).elementary("exp")


def _hyperbolic(sign: int) -> Callable[[Var], Var]:
    def build(x: Var) -> Var:
        up, down = x.elementary("exp"), x.times(-1).elementary("exp")
        return (up + down if sign > 0 else up - down).times(Fraction(1, 2))

    return build


def _logaddexp(a: Var, b: Var) -> Var:
    a, b = verbs.aligned(a, b)
    shape = np.broadcast_shapes(a.shape, b.shape)
    pair = verbs.joined([each.broadcast(shape).expand(-1) for each in (a, b)], len(shape))
    return pair.log_sum_exp().squeeze(-1)


def _hypot(a: Var, b: Var) -> Var:
    return verbs.elementary("sqrt", verbs.add(verbs.power(a, 2), verbs.power(b, 2)))


def _xlogy(x: Var, y: Var) -> Var:
    return verbs.multiply(x, verbs.elementary("log", y))


UFUNCS: Mapping[str, Callable[..., Var]] = {
    "subtract": verbs.subtract,
    "add": verbs.add,
    "multiply": verbs.multiply,
    "divide": verbs.divide,
    "true_divide": verbs.divide,
    "matmul": verbs.matmul,
    "vecdot": lambda a, b: verbs.sum_along(verbs.multiply(a, b), -1),
    "negative": lambda x: x.times(-1),
    "positive": lambda x: x,
    "conjugate": lambda x: x,
    "absolute": choices.absolute,
    "fabs": choices.absolute,
    "exp": _of("exp"),
    "exp2": _exponential(_logarithm_of(2)),
    "log": _of("log"),
    "log2": lambda x: x.elementary("log").times(1 / _logarithm_of(2)),
    "log10": lambda x: x.elementary("log").times(1 / _logarithm_of(10)),
    "log1p": _of("log1p"),
    "expm1": _of("expm1"),
    "sqrt": _of("sqrt"),
    "square": lambda x: verbs.power(x, 2),
    "reciprocal": lambda x: verbs.divide(x.graph.ones(()), x),
    "tanh": _of("tanh"),
    "sinh": _hyperbolic(-1),
    "cosh": _hyperbolic(1),
    "sin": _of("sin"),
    "cos": _of("cos"),
    "tan": lambda x: verbs.divide(x.elementary("sin"), x.elementary("cos")),
    "logaddexp": _logaddexp,
    "hypot": _hypot,
    "erf": _of("erf"),
    "erfc": lambda x: verbs.subtract(x.graph.ones(()), verbs.elementary("erf", x)),
    "expit": _of("sigmoid"),
    "log_expit": lambda x: x.times(-1).elementary("softplus").times(-1),
    "xlogy": _xlogy,
}
"""What a universal function of NumPy's or SciPy's is, on values of the program."""


def ufunc(
    tracer: Tracer, function: Any, method: str, inputs: tuple[Any, ...], keywords: dict[str, Any]
) -> Any:
    """A universal function with all that may be asked of one.

    Raises:
        UnsupportedError: It is not known, or not in this way.
    """
    keywords = dict(keywords)
    out = keywords.pop("out", None)
    inputs = tuple(
        stacked(tracer, each) if not isinstance(each, Object) and has_objects(each) else each
        for each in inputs
    )
    if method == "at":
        return _at(tracer, function, *inputs)
    if method == "outer":
        a, b = inputs
        a = traced(tracer, a)
        index = (..., *[None] * np.ndim(plain(b)))
        a = Traced(tracer, a.value[index], a.codes[index])
        return ufunc(tracer, function, "__call__", (a, b), {**keywords})
    if method != "__call__":
        return _reduction(tracer, function, method, inputs, keywords, out)
    for each in ("dtype", "casting", "order", "subok", "signature", "axes"):
        if keywords.pop(each, None) is not None and each in ("signature", "axes"):
            tracer.refuse(f"{function.__name__} with {each}=", "Leave it away.", UnsupportedError)
    mask = keywords.pop("where", True)
    if keywords:
        tracer.refuse(
            f"{function.__name__} with {next(iter(keywords))}=", "Leave it away.", UnsupportedError
        )
    target = None if out is None else out[0]
    if mask is not True:
        return _masked(tracer, function, inputs, mask, target)
    found = _called(tracer, function, inputs)
    return found if target is None else store(target, found)


def _called(tracer: Tracer, function: Any, inputs: tuple[Any, ...]) -> Any:
    name = function.__name__
    with np.errstate(all="ignore"):
        value = function(*map(plain, inputs))
    for each in inputs:
        if isinstance(each, Decided):
            if any(isinstance(other, Traced) and not other.is_known for other in inputs):
                each.used()
            return Decided(tracer, value, each.what)
    if name in _COMPARED:
        return choices.compared(tracer, function, *inputs)
    if name in _LOGICAL:
        return choices.logical(tracer, function, *inputs)
    if name in _OF_NUMBERS or (name in _FLAT and is_known(list(inputs))):
        return value
    if name == "sign":
        return choices.sign(tracer, traced(tracer, inputs[0]), value)
    if name == "heaviside":
        return _heaviside(tracer, value, *inputs)
    if any(isinstance(each, Step) for each in inputs):
        found = choices.step_arithmetic(tracer, name, value, *inputs)
        if found is not None:
            return found
    if name in _EXTREMES:
        a, b = (traced(tracer, each) for each in inputs)
        return result(tracer, choices.extreme(tracer, a, b, value, _EXTREMES[name]), value, a, b)
    if name in _POWERS:
        return _power(tracer, value, *inputs)
    if name not in UFUNCS and is_constant(list(inputs)):
        return value
    if name not in UFUNCS:
        tracer.refuse(
            f"{name} is not understood",
            f"There are {', '.join(sorted(UFUNCS))}.",
            UnsupportedError,
        )
    operands = [traced(tracer, each) for each in inputs]
    values = [each.variable for each in operands]
    var = choices.joined_sum(name, *values) if name in ("add", "subtract") else None
    if var is None:
        var = UFUNCS[name](*values)
    return result(tracer, var, value, *operands)


def _heaviside(tracer: Tracer, value: Any, x: Any, at_zero: Any) -> Any:
    if has_objects(at_zero):
        tracer.refuse("heaviside of two traced arrays", "Write np.where.", UnsupportedError)
    found = choices.compared(tracer, np.greater, x, 0.0)
    if not isinstance(found, Step):
        return value
    return Step(tracer, value, found.compared, found.site, found.pieces)


def _power(tracer: Tracer, value: Any, base: Any, exponent: Any) -> Any:
    """x to a constant power, or a constant or another number to the power x, by logarithms."""
    constant = number(exponent)
    a = traced(tracer, base)
    if constant is not None:
        whole = np.broadcast_shapes(a.shape, np.shape(exponent))
        try:
            var = verbs.power(a.variable, float(constant))
        except UnsupportedError:
            _require_positive(tracer, a)
            var = a.variable.elementary("log").times(constant).elementary("exp")
        return result(
            tracer,
            verbs.aligned(var, a.variable.graph.zeros(whole))[0].broadcast(whole)
            if whole != var.shape
            else var,
            value,
            a,
        )
    b = traced(tracer, exponent)
    _require_positive(tracer, a)
    logarithm = verbs.elementary("log", a.variable)
    return result(tracer, verbs.multiply(logarithm, b.variable).elementary("exp"), value, a, b)


def _require_positive(tracer: Tracer, base: Traced) -> None:
    if not (base.value > 0).all():
        tracer.refuse(
            "a power of numbers that are not all positive",
            "There are rules for whole and half exponents that are constants.",
            UnsupportedError,
        )


def _masked(tracer: Tracer, function: Any, inputs: Any, mask: Any, target: Any) -> Any:
    """A universal function only where a mask is true; elsewhere what was there stays."""
    if isinstance(mask, Step):
        for each in mask.compared:
            tracer.compare(each)
    truth = np.asarray(plain(mask), dtype=bool)
    shape = np.broadcast_shapes(truth.shape, *(np.shape(plain(each)) for each in inputs))
    truth = np.broadcast_to(truth, shape)
    if target is None:
        codes = np.full(shape, UNSET, dtype=np.int64)
        target = Traced(tracer, np.full(shape, np.nan), codes)
    parts = []
    for each in inputs:
        one = traced(tracer, each)
        pair = (np.broadcast_to(x, shape)[truth] for x in (one.value, one.codes))
        parts.append(Traced(tracer, *pair))
    found = traced(tracer, _called(tracer, function, tuple(parts)))
    if not isinstance(target, Traced):
        tracer.refuse("out= is an array of plain numbers", "Begin it with np.zeros in this file.")
    target.value[truth] = found.value
    target.codes[truth] = found.codes
    return target


def _reduction(
    tracer: Tracer, function: Any, method: str, inputs: Any, keywords: Any, out: Any
) -> Any:
    name = function.__name__
    keywords = {"axis": 0, **keywords}
    if method == "reduce" and name in REDUCED:
        plain_function = getattr(np, REDUCED[name])
        found = plain_function(*inputs, **keywords)
    elif method == "accumulate" and name == "add":
        found = np.cumsum(*inputs, **keywords)
    else:
        tracer.refuse(
            f"{name}.{method} is not understood", "Write it with sums and loops.", UnsupportedError
        )
    return found if out is None else store(out[0], found)


def _at(tracer: Tracer, function: Any, target: Any, index: Any, *values: Any) -> None:
    """``np.add.at``: each number is added, also where a place comes several times."""
    name = function.__name__
    if name not in ("add", "subtract") or not isinstance(target, Traced):
        tracer.refuse(
            f"{name}.at is not understood",
            "There are np.add.at and np.subtract.at, on arrays that begin with np.zeros here.",
            UnsupportedError,
        )
    places = tuple(map(plain, index)) if isinstance(index, tuple) else plain(index)
    if any(not isinstance(each, Traced) or not each.is_known for each in _objects_in(index)):
        tracer.refuse("an index depends on differentiated numbers", "Take it as an argument.")
    new = traced(tracer, values[0])
    numbers = np.arange(target.size).reshape(target.shape)[places]
    codes = np.broadcast_to(new.codes, numbers.shape)
    whole = np.broadcast_to(new.value, numbers.shape)
    added = tracer.read(codes, whole).scatter(Places(numbers.ravel().tolist()), target.shape)
    before = target.variable
    var = verbs.add(before, added) if name == "add" else verbs.subtract(before, added)
    function.at(target.value, places, new.value)
    known = target.is_known and new.is_known
    target.codes[...] = tracer.codes(var, target.value, known)


def _objects_in(index: Any) -> list[Any]:
    return [
        each
        for each in (index if isinstance(index, tuple) else (index,))
        if isinstance(each, Object)
    ]
