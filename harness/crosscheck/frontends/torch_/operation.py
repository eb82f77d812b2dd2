"""An operation of PyTorch's in flight: its tensors, and what they hold in the program."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from crosscheck.frontends.tracing import Extended, Known, Pair, Value
from crosscheck.program.graph import Var

__all__ = ["Operation", "is_value"]


def is_value(each: Any) -> bool:
    """Whether something is a value of the program."""
    return isinstance(each, Known | Var | Extended)


@dataclass(frozen=True, eq=False)
class Operation:
    """A call of an operator.

    Attributes:
        torch: The library.
        call: The operator, an ``OpOverload``.
        args: What it was handed by position.
        kwargs: And by name.
        values: As ``args``, with values for tensors.
        named: As ``kwargs``, likewise.
    """

    torch: Any
    call: Any
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    values: Sequence[Any]
    named: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        torch: Any,
        call: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        read: Callable[[Any], Value],
    ) -> Operation:
        """A call, with its operands read.

        Args:
            torch: The library.
            call: The operator.
            args: What it is handed by position.
            kwargs: And by name.
            read: What a tensor holds.
        """

        def value(each: Any) -> Any:
            if isinstance(each, torch.Tensor):
                return read(each)
            return [value(one) for one in each] if isinstance(each, list | tuple) else each

        values = [value(each) for each in args]
        return cls(torch, call, args, kwargs, values, {n: value(v) for n, v in kwargs.items()})

    @property
    def name(self) -> str:
        """``add`` of ``aten.add.Tensor``."""
        return str(self.call._schema.name.partition("::")[2])

    def _each(self, values: Sequence[Any]) -> Iterator[Value]:
        for each in values:
            if isinstance(each, list):
                yield from self._each(each)
            elif is_value(each):
                yield each

    @cached_property
    def operands(self) -> tuple[Value, ...]:
        """All values."""
        return tuple(self._each([*self.values, *self.named.values()]))

    @property
    def is_known(self) -> bool:
        """Whether all operands are numbers that are known."""
        return all(isinstance(each, Known) for each in self.operands)

    @property
    def has_test(self) -> bool:
        """Whether one operand is the answer to a comparison."""
        return any(isinstance(each, Known) and each.test is not None for each in self.operands)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The comparisons that known operands were found by."""
        known = [each for each in self.operands if isinstance(each, Known)]
        return tuple(dict.fromkeys(pair for each in known for pair in each.pairs))

    def at(self, position: int, default: Any = None) -> Any:
        """The operand at a position of the schema, as it was handed over."""
        if position < len(self.args):
            return self.args[position]
        return self.kwargs.get(self.call._schema.arguments[position].name, default)

    def value_at(self, position: int, default: Any = None) -> Any:
        """The same, with a value for a tensor."""
        if position < len(self.values):
            return self.values[position]
        return self.named.get(self.call._schema.arguments[position].name, default)
