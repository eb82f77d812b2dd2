"""Whether a program forms products of matrices, which libraries offer coarser arithmetics for."""

from __future__ import annotations

from functools import lru_cache

from crosscheck.program.graph import Node, Program

__all__ = ["has_products"]

_PRODUCTS = ("contract", "softmax_product")


def has_products(program: Program) -> bool:
    """Whether any node that a result depends on is one, or has a way of computing it that does."""
    return any(_is_product(program.nodes[number]) for number in program.needed)


@lru_cache(maxsize=4096)
def _is_product(node: Node) -> bool:
    if node.op in _PRODUCTS:
        return True
    ways = (
        *node.settings.get("ways", ()),
        *(w for each in node.settings.get("sent", ()) for w in each),
    )
    return any(has_products(each) for each in ways)
