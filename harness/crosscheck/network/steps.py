"""The steps of a network: operators, each applied to arrays or to the results of steps before it.

A network is a sequence of steps; the last one is a loss. Residual sums are steps with two operands
from below. A dense network is such a sequence too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any

from crosscheck.network.dense import Network
from crosscheck.network.names import array_name
from crosscheck.operators import dense, relu, squared_error
from crosscheck.operators.operator import Attribute
from crosscheck.operators.registry import operator_of
from crosscheck.tools.errors import UsageError

__all__ = ["Step", "dense_steps", "differentiated", "step"]


@dataclass(frozen=True)
class Step:
    """One operator, applied.

    Attributes:
        id: Names its result.
        op: Name of the operator.
        inputs: What its operands are, by the operands' names: arrays or results of earlier steps.
        attributes: Of the operator, all of them.
    """

    id: str
    op: str
    inputs: tuple[tuple[str, str], ...]
    attributes: tuple[tuple[str, Attribute], ...] = ()

    @cached_property
    def operands(self) -> Mapping[str, str]:
        """``inputs`` by name."""
        return MappingProxyType(dict(self.inputs))

    @cached_property
    def settings(self) -> Mapping[str, Attribute]:
        """``attributes`` by name."""
        return MappingProxyType(dict(self.attributes))

    def __reduce__(self) -> tuple[Any, ...]:
        """To another process go the fields alone: a read-only view cannot."""
        return Step, (self.id, self.op, self.inputs, self.attributes)


def step(id: str, op: str, *inputs: str | None, **attributes: Attribute) -> Step:
    """A step, with the operands in the operator's order; ``None`` for one that is left out.

    Raises:
        UsageError: There is no such operator, or it has other operands or attributes.
    """
    operator = operator_of(op)
    given = [*inputs, *[None] * (len(operator.operands) - len(inputs))]
    if len(given) != len(operator.operands):
        raise UsageError(
            f"{id}: {len(inputs)} inputs for {op}, wanted {', '.join(operator.operands)}"
        )
    pairs = []
    for name, each in zip(operator.operands, given, strict=True):
        if each is not None:
            pairs.append((name, each))
        elif name not in operator.optional:
            raise UsageError(f"{id}: {op} without {name}, wanted {', '.join(operator.operands)}")
    settled = operator.settled(attributes)
    return Step(id, op, tuple(pairs), tuple(sorted(settled.items())))


@lru_cache(maxsize=256)
def differentiated(steps: tuple[Step, ...]) -> Mapping[str, tuple[str, ...]]:
    """Id of each step to the operands that cotangents go down to: all but mere targets.

    A target that is the result of a step, or an array that is differentiated by for its other
    uses, is an operand like any other.
    """
    moving = {each.id for each in steps}
    for each in steps:
        targets = operator_of(each.op).targets
        moving |= {source for name, source in each.inputs if name not in targets}
    return MappingProxyType(
        {each.id: tuple(name for name, source in each.inputs if source in moving) for each in steps}
    )


@lru_cache(maxsize=256)
def dense_steps(network: Network, has_bias: tuple[bool, ...]) -> tuple[Step, ...]:
    """A dense ReLU network as steps, with the names of `crosscheck.network.dense.Numbers.entries`.

    Args:
        network: The shape.
        has_bias: For each layer whether it has a bias.
    """
    steps, below = [], "x"
    for layer in range(1, network.depth + 1):
        bias = array_name("b", layer) if has_bias[layer - 1] else None
        steps.append(
            step(array_name("z", layer), dense.OPERATOR.name, below, array_name("W", layer), bias)
        )
        below = array_name("z", layer)
        if network.has_relu(layer):
            steps.append(step(array_name("a", layer), relu.OPERATOR.name, below))
            below = array_name("a", layer)
    reduction = "rows" if network.reduction == "mean" else "sum"
    loss = squared_error.OPERATOR.name
    steps.append(step("loss", loss, below, "y", factor=0.5, reduction=reduction))
    return tuple(steps)
