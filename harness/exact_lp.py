"""Exact linear programming: is there w >= 0 with A w = b, and what proves the answer?

The first phase of the simplex method on rationals, with Bland's rule, which cannot cycle
(Bland 1977). Farkas' lemma says that exactly one of these exists:

    w >= 0 with A w = b                                      the system is feasible
    y with yᵀ A <= 0 and yᵀ b > 0                            it is not

The method ends with one of the two, and `solve` checks it, by arithmetic that shares nothing with
the method, before it is returned. Meant for a few dozen rows and columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Answer", "solve", "strictly_feasible"]

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


def solve(columns: Sequence[Vector], target: Vector) -> Answer:
    """Whether ``target`` is a non-negative combination of ``columns``.

    Args:
        columns: The columns of A, vectors of rationals (or whole numbers) of one length.
        target: b, of the same length.

    Raises:
        ArithmeticError: The certificate does not check, which would be a bug.
    """
    answer = _simplex(columns, target)
    if not _checks(answer, columns, target):
        raise ArithmeticError("the certificate of an exact linear program does not check")
    return answer


def strictly_feasible(forms: Sequence[Vector]) -> tuple[Any, ...] | None:
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
    answer = solve(columns, [*[zero] * len(forms[0]), one])
    if answer.feasible:
        return None
    return tuple(-value for value in answer.certificate[:-1])


def _simplex(columns: Sequence[Vector], target: Vector) -> Answer:
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
    # Reduced costs of minimising the sum of the artificial variables, and minus that sum.
    costs = [-sum((row[j] for row in rows), zero) for j in range(count)]
    costs += [zero] * height + [-sum((row[-1] for row in rows), zero)]
    while True:
        entering = next((j for j in range(count + height) if costs[j] < 0), None)
        if entering is None:
            break
        ratios = [
            (row[-1] / row[entering], basis[i], i)
            for i, row in enumerate(rows)
            if row[entering] > 0
        ]
        leaving = min(ratios)[2]  # bounded below by zero, so there always is one
        pivot = rows[leaving][entering]
        rows[leaving] = [value / pivot for value in rows[leaving]]
        for i, row in enumerate(rows):
            if i != leaving and row[entering] != 0:
                factor = row[entering]
                rows[i] = [a - factor * b for a, b in zip(row, rows[leaving], strict=True)]
        factor = costs[entering]
        costs = [a - factor * b for a, b in zip(costs, rows[leaving], strict=True)]
        basis[leaving] = entering
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
    def dot(one: Vector, other: Vector) -> Any:
        return sum((a * b for a, b in zip(one, other, strict=True)), target[0] * 0)

    if len(answer.certificate) != (len(columns) if answer.feasible else len(target)):
        return False
    if answer.feasible:
        weights = answer.certificate
        return all(weight >= 0 for weight in weights) and all(
            dot(weights, [column[i] for column in columns]) == value
            for i, value in enumerate(target)
        )
    normal = answer.certificate
    return all(dot(normal, column) <= 0 for column in columns) and dot(normal, target) > 0
