"""The rules of PyTorch's operations, by name, and which of them an operation goes by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from crosscheck.frontends.torch_ import moving
from crosscheck.frontends.torch_.activations import ACTIVATIONS
from crosscheck.frontends.torch_.elementwise import ELEMENTWISE
from crosscheck.frontends.torch_.layers import LAYERS
from crosscheck.frontends.torch_.losses import LOSSES
from crosscheck.frontends.torch_.norms import NORMS
from crosscheck.frontends.torch_.operation import Operation
from crosscheck.frontends.torch_.reductions import REDUCTIONS
from crosscheck.frontends.tracing import Tracing, shape_of

__all__ = ["applied", "has_rule"]

_VIEWS: Mapping[str, Callable[..., Any]] = {
    "t": lambda t, x: moving.transposed(t, x, range(len(shape_of(x)))[::-1]),
    "transpose": moving.swapped,
    "permute": moving.transposed,
    "expand": moving.repeated,
    "unsqueeze": moving.expanded,
    "squeeze": moving.squeezed,
    "copy": lambda t, x, source, *_: moving.repeated(t, source, shape_of(x)),
    "fill": lambda t, x, value: moving.filled(x, value),
    "zero": lambda t, x: moving.filled(x, 0.0),
}

RULES: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {**_VIEWS, **ELEMENTWISE, **ACTIVATIONS, **REDUCTIONS, **LAYERS, **NORMS, **LOSSES}
)
"""Rules by the operator's name."""


def has_rule(operation: Operation) -> bool:
    """Whether it is known what an operation does."""
    name = operation.name
    return name in RULES or name in moving.MOVES or name in moving.ADDING


def applied(t: Tracing, operation: Operation) -> Any:
    """The value of an operation's result, or a list of values.

    Raises:
        UnsupportedError: There is no rule for these operands.
        UsageError: They do not fit.
    """
    name = operation.name
    adds = name in moving.ADDING and (name not in moving.MOVES or operation.at(3, False))
    if adds:
        return moving.added_at(t, operation)
    if name in moving.MOVES:
        return moving.moved(t, operation, moving.MOVES[name])
    named = {key: each for key, each in operation.named.items() if key not in _IGNORED}
    return RULES[name](t, *operation.values, **named)


_IGNORED = ("memory_format", "layout", "device", "pin_memory", "non_blocking", "generator")
