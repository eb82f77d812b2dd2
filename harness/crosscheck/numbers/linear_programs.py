"""Exact linear programming: answers on rationals, each with the certificate that proves it.

`solve` asks whether some w >= 0 has A w = b. Farkas' lemma says that exactly one of these exists:

    w >= 0 with A w = b                                      the system is feasible
    y with yᵀ A <= 0 and yᵀ b > 0                            it is not

`maximum` asks how large c · x gets where A x <= b and 0 <= x <= u. Its dual is

    minimise b · y + u · s   subject to   Aᵀ y + s >= c,  y, s >= 0,

and x and (y, s) with c · x = b · y + u · s prove each other optimal; no x is possible iff some
y, s >= 0 has Aᵀ y + s >= 0 and b · y + u · s < 0.

Both run the simplex method, with Bland's rule after a while so that it cannot cycle (Bland 1977),
and check the certificate, by arithmetic that shares nothing with the method, before they return.
Meant for a few dozen rows and columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from crosscheck.tools.budget import Budget

__all__ = ["Answer", "maximum", "solve", "strictly_feasible"]

Vector = Sequence[Any]


@dataclass(frozen=True)
class Answer:
    """One of the two certificates of Farkas' lemma.

    Attributes:
        feasible: Which one it is.
        certificate: ``w`` if feasible, else ``y``.
    """

    feasible: bool
    certificate: tuple[Any, ...]


def solve(columns: Sequence[Vector], target: Vector, budget: Budget | None = None) -> Answer:
    """Whether ``target`` is a non-negative combination of ``columns``.

    Args:
        columns: The columns of A, vectors of rationals (or whole numbers) of one length.
        target: b, of the same length.
        budget: What the pivots may take, each as much as there are numbers in the tableau.

    Raises:
        Exhausted: They take more.
        ArithmeticError: The certificate does not check, which would be a bug.
    """
    answer = _simplex(columns, target, budget)
    if not _checks(answer, columns, target):
        raise ArithmeticError(_UNCHECKED)
    return answer


def strictly_feasible(
    forms: Sequence[Vector], budget: Budget | None = None
) -> tuple[Any, ...] | None:
    """A vector v with c · v > 0 for every c in ``forms``, or ``None`` if there is none.

    By Gordan's theorem there is none iff some y >= 0, y ≠ 0 has Σ y_i c_i = 0, which is a system
    for `solve`. Where that has no solution, its Farkas vector (v', t) has v' · c_i + t <= 0 and
    t > 0, so -v' is what is wanted.
    """
    if not forms:
        return ()
    zero = forms[0][0] * 0
    one = zero + 1
    columns = [[*form, one] for form in forms]
    answer = solve(columns, [*[zero] * len(forms[0]), one], budget)
    if answer.feasible:
        return None
    return tuple(-value for value in answer.certificate[:-1])


def maximum(
    objective: Vector,
    rows: Sequence[Vector],
    limits: Vector,
    upper: Vector,
    budget: Budget | None = None,
) -> tuple[Any, ...] | None:
    """An x that makes ``objective`` · x largest, or ``None`` if no x is possible.

    Args:
        objective: c, of k rationals.
        rows: The rows of A, of k rationals each; there may be none.
        limits: b, one for each row.
        upper: u >= 0, of k rationals.
        budget: As for `solve`.

    Raises:
        Exhausted: The pivots take more.
        ArithmeticError: The certificate does not check, which would be a bug.
    """
    count, height = len(objective), len(rows)
    zero = upper[0] * 0
    # The dual's columns are y, s and the surplus t of Aᵀ y + s - t = c. Basic at first: s_i
    # where c_i >= 0, else t_i in a row that is turned.
    table, basis, costs = [], [], [*limits, *upper, *[zero] * count, zero]
    for i, wanted in enumerate(objective):
        sign = -1 if wanted < 0 else 1
        row = [sign * each[i] for each in rows]
        row += [zero + (sign if i == k else 0) for k in range(count)]
        row += [zero - (sign if i == k else 0) for k in range(count)]
        table.append([*row, sign * wanted])
        basis.append(height + i if sign > 0 else height + count + i)
        if sign > 0:
            costs = [a - upper[i] * b for a, b in zip(costs, table[i], strict=True)]
    ray = _minimise(table, basis, costs, budget)
    if ray is not None:
        dual = [zero] * (height + 2 * count)
        dual[ray] = zero + 1
        for i, variable in enumerate(basis):
            dual[variable] = -table[i][ray]
        _check_dual(dual[: height + count], [zero] * count, rows)
        if not _dot(dual[: height + count], [*limits, *upper]) < 0:
            raise ArithmeticError(_UNCHECKED)
        return None
    dual = [zero] * (height + 2 * count)
    for i, variable in enumerate(basis):
        dual[variable] = table[i][-1]
    found = tuple(costs[height + count : height + 2 * count])
    _check_dual(dual[: height + count], objective, rows)
    inside = all(0 <= value <= most for value, most in zip(found, upper, strict=True)) and all(
        _dot(row, found) <= limit for row, limit in zip(rows, limits, strict=True)
    )
    value = _dot(dual[: height + count], [*limits, *upper])
    if not inside or _dot(objective, found) != value:
        raise ArithmeticError(_UNCHECKED)
    return found


_UNCHECKED = "the certificate of an exact linear program does not check"
_IMPATIENCE = 200
"""Pivots before Bland's rule, which is slow and cannot cycle."""


def _dot(one: Vector, other: Vector) -> Any:
    return sum((a * b for a, b in zip(one, other, strict=True)), other[0] * 0)


def _check_dual(dual: Vector, objective: Vector, rows: Sequence[Vector]) -> None:
    """Aᵀ y + s >= c and y, s >= 0, or an `ArithmeticError`."""
    y, s = dual[: len(rows)], dual[len(rows) :]
    for i, wanted in enumerate(objective):
        reached = sum((a * row[i] for a, row in zip(y, rows, strict=True)), s[i])
        if reached < wanted:
            raise ArithmeticError(_UNCHECKED)
    if any(value < 0 for value in dual):
        raise ArithmeticError(_UNCHECKED)


def _minimise(
    rows: list[list[Any]], basis: list[int], costs: list[Any], budget: Budget | None = None
) -> int | None:
    """Pivots, in place, until no reduced cost is negative, or returns an unbounded column."""
    columns = len(costs) - 1
    pivots = 0
    while True:
        negative = [j for j in range(columns) if costs[j] < 0]
        if not negative:
            return None
        entering = negative[0] if pivots >= _IMPATIENCE else min(negative, key=costs.__getitem__)
        ratios = [
            (row[-1] / row[entering], basis[i], i)
            for i, row in enumerate(rows)
            if row[entering] > 0
        ]
        if not ratios:
            return entering
        leaving = min(ratios)[2]
        if budget is not None:
            budget.spend((len(rows) + 1) * len(costs))
        pivot = rows[leaving][entering]
        rows[leaving] = turned = [value / pivot for value in rows[leaving]]
        for each in (*(row for i, row in enumerate(rows) if i != leaving), costs):
            factor = each[entering]
            if factor != 0:
                each[:] = [a - factor * b if b else a for a, b in zip(each, turned, strict=True)]
        basis[leaving] = entering
        pivots += 1


def _simplex(columns: Sequence[Vector], target: Vector, budget: Budget | None) -> Answer:
    count, height = len(columns), len(target)
    # One artificial variable for each row, rows turned so that b >= 0: these form the first basis.
    signs = [-1 if value < 0 else 1 for value in target]
    zero = target[0] * 0
    rows = [
        [sign * column[i] for column in columns]
        + [zero + (1 if i == k else 0) for k in range(height)]
        + [sign * target[i]]
        for i, sign in enumerate(signs)
    ]
    basis = list(range(count, count + height))
    # Reduced costs of minimising the sum of the artificial variables, and minus that sum. It is
    # bounded below by zero.
    costs = [-sum((row[j] for row in rows), zero) for j in range(count)]
    costs += [zero] * height + [-sum((row[-1] for row in rows), zero)]
    _minimise(rows, basis, costs, budget)
    if costs[-1] == 0:
        weights = [zero] * count
        for i, variable in enumerate(basis):
            if variable < count:
                weights[variable] = rows[i][-1]
        return Answer(True, tuple(weights))
    # The reduced cost of artificial variable i is 1 - y_i, in the turned rows.
    duals = [sign * (1 - cost) for sign, cost in zip(signs, costs[count:-1], strict=True)]
    return Answer(False, tuple(duals))


def _checks(answer: Answer, columns: Sequence[Vector], target: Vector) -> bool:
    if len(answer.certificate) != (len(columns) if answer.feasible else len(target)):
        return False
    if answer.feasible:
        weights = answer.certificate
        return all(weight >= 0 for weight in weights) and all(
            sum((w * column[i] for w, column in zip(weights, columns, strict=True)), value * 0)
            == value
            for i, value in enumerate(target)
        )
    normal = answer.certificate
    return all(_dot(normal, column) <= 0 for column in columns) and _dot(normal, target) > 0
