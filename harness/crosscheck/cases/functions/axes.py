"""One axis of a shape that is written as text: a name, a number, an expression of both."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["WANTED", "Axis", "axis_of"]

WANTED = "wanted a name, a whole number, 2*h-1 without spaces, _, #n, *batch or ..."
"""What a complaint about an axis ends in."""

Kind = Literal["size", "any", "one or", "several"]

_LONGEST = 64
"""Characters of an axis; deeper expressions than these can hold are none."""
_LARGEST = 2**31 - 1
_WORD = r"\d+(?!\w)|[^\W\d]\w*|//|[-+*()]"
_EXPRESSION = re.compile(f"(?:{_WORD})+")
_NAMED = re.compile(r"[^\W\d]\w*=(?=.)")


@dataclass(frozen=True)
class Axis:
    """One axis, or several.

    Attributes:
        text: As it is written.
        kind: ``"size"`` for names, numbers and expressions; ``"any"`` for ``_``; ``"one or"`` for
            ``#n``, which is 1 or n; ``"several"`` for ``*batch`` and ``...``, any number of axes.
        names: The names that its size depends on. For several axes the one name of all of them,
            ``"..."`` for those without.
    """

    text: str
    kind: Kind
    names: tuple[str, ...] = ()
    _tree: ast.expr | None = field(default=None, compare=False, repr=False)

    @property
    def is_name(self) -> bool:
        """Whether it is a name and nothing else."""
        return isinstance(self._tree, ast.Name) and self.kind == "size"

    @property
    def is_fixed(self) -> bool:
        """Whether its size depends on no name."""
        return self.kind == "size" and not self.names

    def size(self, sizes: Mapping[str, int]) -> int:
        """The size under those of the names; not for ``_`` and several axes.

        Of ``#n`` it is n. An expression may come out below 0.
        """
        assert self._tree is not None
        return _value(self._tree, sizes)


def axis_of(text: str) -> Axis:
    """The axis that is written as ``text``.

    Raises:
        ValueError: It is none.
    """
    whole, text = text, _NAMED.sub("", text)  # jaxtyping's ``rows=4`` is 4
    if text == "_":
        return Axis(whole, "any")
    if text == "...":
        return Axis(whole, "several", ("...",))
    mark = text[0] if text[:1] in ("#", "*") else ""
    tree = _tree(text.removeprefix(mark))
    if mark and not isinstance(tree, ast.Name):
        raise ValueError(whole)
    names = tuple(dict.fromkeys(each.id for each in ast.walk(tree) if isinstance(each, ast.Name)))
    if mark == "*":
        return Axis(whole, "several", names)
    return Axis(whole, "one or" if mark else "size", names, tree)


def _tree(text: str) -> ast.expr:
    """A sum of products of names and whole numbers, with ``//`` besides."""
    if len(text) > _LONGEST or not _EXPRESSION.fullmatch(text):
        raise ValueError(text)
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError:
        raise ValueError(text) from None
    for each in ast.walk(tree):
        if isinstance(each, ast.Constant):
            if type(each.value) is not int or each.value > _LARGEST:
                raise ValueError(text)
        elif isinstance(each, ast.BinOp):
            if not isinstance(each.op, ast.Add | ast.Sub | ast.Mult | ast.FloorDiv):
                raise ValueError(text)
        elif not isinstance(each, ast.Name | ast.operator | ast.expr_context):
            raise ValueError(text)
    return tree


def _value(tree: ast.expr, sizes: Mapping[str, int]) -> int:
    if isinstance(tree, ast.Constant):
        assert isinstance(tree.value, int)
        return tree.value
    if isinstance(tree, ast.Name):
        return sizes[tree.id]
    assert isinstance(tree, ast.BinOp)
    left, right = _value(tree.left, sizes), _value(tree.right, sizes)
    if isinstance(tree.op, ast.Add):
        return left + right
    if isinstance(tree.op, ast.Sub):
        return left - right
    if isinstance(tree.op, ast.Mult):
        return left * right
    return left // right if right else -1  # a size that is none
