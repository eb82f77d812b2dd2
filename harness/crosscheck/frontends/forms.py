"""Values that are polynomials of another between breakpoints: found in a program, exactly.

A value y is such a *form* of a value r if it is made of r and constants by sums, products with
constants, products of two, and functions that are such polynomials already. What an implementation
computes passes the roundings of these steps, so the form counts them; and a form in which terms
would cancel is none, as their errors stay: of (3 r + 1) - 1 the error is not that of 3 r. Nor is
one that hides a rounding behind a piece that is r, -r or a constant, which are taken as they are.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from crosscheck.frontends.verbs import number_of
from crosscheck.numbers.piecewise import Piecewise, Polynomial, evaluated
from crosscheck.program.graph import Var

__all__ = ["Form", "between", "composed", "folded", "form_of", "is_simple", "merged", "written"]

_ONE, _ZERO = Fraction(1), Fraction(0)
_MOST_DEGREE = 2
_OF_A_PRODUCT = 3
"""Roundings of a product with a constant: that of the constant, of a quotient in its place, and of
the product."""


@dataclass(frozen=True)
class Form:
    """Polynomials between breakpoints.

    Attributes:
        breakpoints: Ascending.
        pieces: One polynomial more.
        roundings: The most that a term of a piece passes.
    """

    breakpoints: tuple[Fraction, ...]
    pieces: tuple[Polynomial, ...]
    roundings: int = 0

    def piece(self, point: Fraction) -> Polynomial:
        """The polynomial at a point that is no breakpoint."""
        return self.pieces[sum(each < point for each in self.breakpoints)]


def form_of(y: Var, root: Var) -> Form | None:
    """y as a function of ``root``, entry by entry; ``None`` if it is none of these."""
    if y == root:
        return Form((), ((_ZERO, _ONE),))
    number = number_of(y)
    if number is not None:
        return Form((), ((number,),))
    node = y.node
    operands = [Var(y.graph, each) for each in node.inputs]
    if node.op not in _STEPS or any(
        each.shape != root.shape and number_of(each) is None for each in operands
    ):
        return None
    forms = [form_of(each, root) for each in operands]
    known = [each for each in forms if each is not None]
    return _STEPS[node.op](node.settings, *known) if len(known) == len(forms) else None


def _hides(found: Polynomial, parts: Iterable[Polynomial]) -> bool:
    """Whether a result is none that passes a rounding, though it was rounded."""
    return is_simple(found) and _trimmed(found) not in map(_trimmed, parts)


def _is_square(settings: Mapping[str, Any]) -> bool:
    return (settings["function"], settings["order"]) == ("power_2", 0)


def _scaled(settings: dict[str, tuple[Fraction, ...]], form: Form) -> Form | None:
    constants = settings["constants"]
    found = form.pieces
    for constant in constants:
        found = tuple(tuple(constant * c for c in piece) for piece in found)
    rounded = sum(not _is_power_of_two(constant) for constant in constants)
    if rounded and any(map(_hides, found, zip(form.pieces))):
        return None
    return Form(form.breakpoints, found, form.roundings + _OF_A_PRODUCT * rounded)


def _is_power_of_two(number: Fraction) -> bool:
    size = abs(number)
    return size > 0 and all(part & (part - 1) == 0 for part in (size.numerator, size.denominator))


def _sum(one: Form, two: Form, sign: int = 1) -> Form | None:
    def added(p: Polynomial, q: Polynomial) -> Polynomial:
        return tuple(a + sign * b for a, b in itertools.zip_longest(p, q, fillvalue=_ZERO))

    def sizes(p: Polynomial, q: Polynomial) -> Polynomial:
        pairs = itertools.zip_longest(p, q, fillvalue=_ZERO)
        return tuple(abs(a) + abs(b) for a, b in pairs)

    return _both(one, two, added, sizes, max(one.roundings, two.roundings) + 1)


def _product(one: Form, two: Form) -> Form | None:
    def sizes(p: Polynomial, q: Polynomial) -> Polynomial:
        return _times(tuple(map(abs, p)), tuple(map(abs, q)))

    return _both(one, two, _times, sizes, one.roundings + two.roundings + 1)


def _both(
    one: Form,
    two: Form,
    combine: Callable[[Polynomial, Polynomial], Polynomial],
    sizes: Callable[[Polynomial, Polynomial], Polynomial],
    roundings: int,
) -> Form | None:
    """Piece by piece, unless something cancels."""
    breaks = sorted({*one.breakpoints, *two.breakpoints})
    pieces = []
    for point in between(breaks):
        p, q = one.piece(point), two.piece(point)
        found = combine(p, q)
        if tuple(map(abs, found)) != sizes(p, q) or len(_trimmed(found)) > _MOST_DEGREE + 1:
            return None
        if _hides(found, (p, q)):
            return None
        pieces.append(found)
    return Form(tuple(breaks), tuple(pieces), roundings)


def between(breaks: Sequence[Fraction]) -> Iterable[Fraction]:
    """A point in each interval."""
    if not breaks:
        yield _ZERO
        return
    yield breaks[0] - 1
    for low, high in itertools.pairwise(breaks):
        yield (low + high) / 2
    yield breaks[-1] + 1


def composed(outer: Form, inner: Form) -> Form | None:
    """outer of inner; ``None`` where that is more than inner's lines lead to, or cancels."""
    breaks = set(inner.breakpoints)
    for point in between(inner.breakpoints):
        constant, slope = (*inner.piece(point), _ZERO)[:2]
        if len(_trimmed(inner.piece(point))) > 2 and outer.breakpoints:
            return None
        if slope:
            breaks |= {(each - constant) / slope for each in outer.breakpoints}
    ordered = sorted(breaks)
    pieces = []
    for point in between(ordered):
        line = inner.piece(point)
        function = outer.piece(evaluated(line, point))
        found = _of_line(function, line)
        if found is None:
            return None
        exact = is_simple(function) and is_simple(line)
        if any(found) and not exact and _hides(found, (function, line)):
            return None
        pieces.append(found)
    return Form(tuple(ordered), tuple(pieces), inner.roundings + outer.roundings)


def _of_line(function: Polynomial, line: Polynomial) -> Polynomial | None:
    """One polynomial of another, unless something cancels or the degree is too high."""
    total, sizes = [_ZERO], [_ZERO]
    power: Polynomial = (_ONE,)
    for k, coefficient in enumerate(function):
        if k:
            power = _times(power, line)
        term = tuple(coefficient * c for c in power)
        total = [a + b for a, b in itertools.zip_longest(total, term, fillvalue=_ZERO)]
        sizes = [a + abs(b) for a, b in itertools.zip_longest(sizes, term, fillvalue=_ZERO)]
    absolute = _trimmed(tuple(map(abs, total)))
    whole = _times(*[tuple(map(abs, line))] * 2) if len(_trimmed(function)) > 2 else ()
    cancels = absolute != _trimmed(tuple(sizes)) or (
        bool(whole) and _trimmed(whole) != _trimmed(tuple(map(abs, _times(line, line))))
    )
    return None if cancels or len(absolute) > _MOST_DEGREE + 1 else tuple(total)


def _times(p: Polynomial, q: Polynomial) -> Polynomial:
    found = [_ZERO] * (len(p) + len(q) - 1)
    for (i, a), (j, b) in itertools.product(enumerate(p), enumerate(q)):
        found[i + j] += a * b
    return tuple(found)


def _trimmed(polynomial: Polynomial) -> Polynomial:
    found = list(polynomial)
    while len(found) > 1 and not found[-1]:
        found.pop()
    return tuple(found)


def merged(form: Form) -> Form | None:
    """Without breakpoints that are none; ``None`` if it jumps."""
    pieces = [_trimmed(piece) for piece in form.pieces]
    kept, breaks = [pieces[0]], []
    for point, piece in zip(form.breakpoints, pieces[1:], strict=True):
        if piece != kept[-1]:
            if evaluated(piece, point) != evaluated(kept[-1], point):
                return None
            breaks.append(point)
            kept.append(piece)
    return Form(tuple(breaks), tuple(kept), form.roundings)


def is_simple(piece: Polynomial) -> bool:
    """Whether it is z, -z or a constant."""
    trimmed = _trimmed(piece)
    return len(trimmed) == 1 or trimmed in ((_ZERO, _ONE), (_ZERO, -_ONE))


def written(form: Form, blur: Fraction = _ZERO) -> Piecewise:
    """A form as a function."""
    names: dict[tuple[tuple[Fraction, ...], tuple[Polynomial, ...]], str] = {
        ((_ZERO,), ((_ZERO,), (_ZERO, _ONE))): "relu",
        ((_ZERO,), ((_ZERO, -_ONE), (_ZERO, _ONE))): "abs",
    }
    points = ", ".join(map(str, form.breakpoints))
    words = [_words(piece) for piece in form.pieces]
    formula = ", ".join(
        f"{word} for z < {point}" for word, point in zip(words, form.breakpoints, strict=False)
    )
    return Piecewise(
        names.get((form.breakpoints, form.pieces), f"piecewise({points})"),
        f"{formula}, else {words[-1]}",
        form.breakpoints,
        form.pieces,
        max(form.roundings, 1),
        blur,
    )


def _words(piece: Polynomial) -> str:
    powers = ("", " z", " z²")
    terms = [f"{c}{powers[k]}" for k, c in enumerate(piece) if c]
    return " + ".join(terms) or "0"


def of_function(function: Piecewise) -> Form:
    """A function as a form."""
    exact = all(map(is_simple, function.pieces))
    return Form(function.breakpoints, function.pieces, 0 if exact else function.roundings)


def folded(y: Var) -> Var:
    """A function of a function that only takes numbers or constants, as one function."""
    if y.node.op != "piecewise":
        return y
    inner = Var(y.graph, y.node.inputs[0])
    if inner.node.op != "piecewise":
        return y
    first, second = inner.node.settings["function"], y.node.settings["function"]
    if not all(map(is_simple, first.pieces)) or first.blur or second.blur:
        return y
    found = composed(of_function(second), of_function(first))
    whole = None if found is None else merged(found)
    if whole is None or not whole.breakpoints:
        return y
    return Var(y.graph, inner.node.inputs[0]).piecewise(written(whole))


_STEPS: dict[str, Callable[..., Form | None]] = {
    "times_constants": _scaled,
    "add": lambda _, one, two: _sum(one, two),
    "difference": lambda _, one, two: _sum(one, two, -1),
    "mul": lambda _, one, two: _product(one, two),
    "piecewise": lambda settings, form: composed(of_function(settings["function"]), form),
    "elementary": lambda settings, form: (
        _product(form, form)
        if (settings["function"], settings["order"]) == ("power_2", 0)
        else None
    ),
}
