"""Mutants of a module: what may be changed in it, and which of that is tried.

The changes are those of Cosmic Ray (operators, comparisons, numbers, ``not``, loops, exceptions),
without those that no test could miss, and three of our own: `LeaveOut`, `Opposite`, `Augmented`.
What decides nothing is not changed: annotations, decorators, ``strict=`` of `zip`.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cosmic_ray.commands import init
from cosmic_ray.plugins import OPERATOR_PROVIDERS
from cosmic_ray.work_db import WorkDB
from cosmic_ray.work_item import WorkerOutcome, WorkResult

__all__ = ["fill"]

Position = tuple[int, int]
Span = tuple[Position, Position]


class LeaveOut:
    """An operand of a sum, a product or a condition is left out: ``a + b`` becomes ``a``."""

    _KINDS = ("arith_expr", "term", "expr", "xor_expr", "and_expr", "and_test", "or_test")

    @classmethod
    def arguments(cls) -> tuple[()]:
        return ()

    def mutation_positions(self, node: Any) -> Iterator[Span]:
        if node.type in self._KINDS:
            first = node.children[1]
            yield first.start_pos, first.end_pos
            for operator in node.children[1::2]:
                yield operator.start_pos, operator.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        at = 0 if index == 0 else 2 * index - 1
        node.children = [*node.children[:at], *node.children[at + 2 :]]
        return node


class _Other:
    """A leaf becomes another one."""

    others: dict[str, str]
    kind: str

    @classmethod
    def arguments(cls) -> tuple[()]:
        return ()

    def mutation_positions(self, node: Any) -> Iterator[Span]:
        if node.type == self.kind and node.value in self.others:
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        node.value = self.others[node.value]
        return node


class Opposite(_Other):
    """A name becomes its opposite: `numpy.maximum` the minimum, a lower end the upper one."""

    kind = "name"
    _PAIRS = (
        ("maximum", "minimum"),
        ("max", "min"),
        ("argmax", "argmin"),
        ("ceil", "floor"),
        ("any", "all"),
        ("low", "high"),
        ("zeros", "ones"),
        ("zeros_like", "ones_like"),
        ("r", "e"),
    )
    others = {**dict(_PAIRS), **{b: a for a, b in _PAIRS}}  # noqa: RUF012


class Augmented(_Other):
    """An assignment that goes on from what there is becomes the opposite one."""

    kind = "operator"
    _PAIRS = (("+=", "-="), ("*=", "/="), ("|=", "&="))
    others = {**dict(_PAIRS), **{b: a for a, b in _PAIRS}}  # noqa: RUF012


_OWN = {kind.__name__: kind for kind in (LeaveOut, Opposite, Augmented)}
OPERATOR_PROVIDERS.setdefault("ourselves", _OWN)

_ARITHMETIC = frozenset({"Add", "Sub", "Mul", "Div"})
_OTHER_ARITHMETIC = frozenset({"FloorDiv", "Mod", "Pow"})
_BITS = frozenset({"BitAnd", "BitOr", "BitXor"})


def _is_tried(operator: str) -> bool:
    """Whether an operator can give a mutant that is not broken at once."""
    name = operator.partition("/")[2]
    if name == "RemoveDecorator" or name.endswith(("_Is_Eq", "_IsNot_NotEq")):
        return False  # the same for all that this package compares so
    if not name.startswith("ReplaceBinaryOperator"):
        return True
    _, before, after = name.split("_")
    if before in _BITS:
        return after in _BITS
    return before in _ARITHMETIC | _OTHER_ARITHMETIC and after in _ARITHMETIC


def _spans(source: str) -> list[Span]:
    """Annotations, decorators, and how strict `zip` is."""
    found: list[ast.AST | None] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found += node.decorator_list
        if isinstance(node, ast.FunctionDef):
            found.append(node.returns)
        if isinstance(node, ast.arg | ast.AnnAssign):
            found.append(node.annotation)
        if isinstance(node, ast.keyword) and node.arg == "strict":
            found.append(node)
    ends: list[Any] = [node for node in found if node is not None]
    return [
        ((each.lineno, each.col_offset), (each.end_lineno, each.end_col_offset)) for each in ends
    ]


def fill(session: WorkDB, path: Path, most: int, seed: int) -> int:
    """Put all mutants of a module into a session, all but a sample of them as skipped.

    The sample is drawn by place: a round takes one mutant at every place, in random order, so that
    a place with ten mutants has no more weight than one with two.

    Args:
        session: To fill; what it held goes.
        path: Of the module.
        most: How many mutants to try.
        seed: Of the sample.

    Returns:
        How many places there are.
    """
    init([path], session, {})
    source = path.read_text("utf-8")
    spans = _spans(source)
    rng = random.Random(f"{seed} {path.stem}")
    places: dict[Any, list[tuple[str, int, str]]] = {}
    for item in session.work_items:
        [spec] = item.mutations
        if not _is_tried(spec.operator_name):
            continue
        start = tuple(spec.start_pos)
        if any(first <= start < last for first, last in spans):
            continue
        key = (start, tuple(spec.end_pos))
        places.setdefault(key, []).append((spec.operator_name, spec.occurrence, item.job_id))
    rounds = _rounds([sorted(places[place]) for place in sorted(places)], rng)
    chosen = {job for _, _, job in rounds[:most]}
    others = [item.job_id for item in session.work_items if item.job_id not in chosen]
    session.set_multiple_results(others, WorkResult(WorkerOutcome.SKIPPED))
    return len(places)


def _rounds(
    places: Sequence[Sequence[tuple[str, int, str]]], rng: random.Random
) -> list[tuple[str, int, str]]:
    shuffled = [rng.sample(each, len(each)) for each in places]
    order = rng.sample(shuffled, len(shuffled))
    most = max(map(len, order), default=0)
    return [each[turn] for turn in range(most) for each in order if turn < len(each)]
