"""Operations that write into their operands, as those that return what these write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["arguments_of", "plain_of", "results_of", "targets_of"]


def targets_of(call: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    """The tensors that an operation writes into."""
    return [
        kwargs[each.name] if each.name in kwargs else args[at]
        for at, each in enumerate(call._schema.arguments)
        if each.alias_info is not None and each.alias_info.is_write
    ]


def arguments_of(call: Any, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Its operands by name, without those that are only written into."""
    outs = {each.name for each in call._schema.arguments if each.is_out}
    return {name: each for name, each in kwargs.items() if name not in outs}


def plain_of(torch: Any, call: Any) -> Any:
    """The operation that returns what this one writes: ``add`` of ``add_``, and of ``add.out``.

    One that has results besides is ``rrelu_with_noise_functional`` of ``rrelu_with_noise``.

    Returns:
        ``None`` if there is none with the same operands.
    """
    packet = str(call._schema.name.partition("::")[2])
    name = packet.removesuffix("_")
    wanted = _operands(call)
    for each in (name, f"{name}_functional"):
        found = getattr(getattr(torch.ops, call.namespace), each, None)
        for overload in found.overloads() if found is not None else ():
            other = getattr(found, overload)
            if not other._schema.is_mutable and _operands(other)[: len(wanted)] == wanted:
                return other
    return None


def _operands(call: Any) -> list[tuple[str, str]]:
    return [(each.name, str(each.type)) for each in call._schema.arguments if not each.is_out]


def results_of(plain: Any, found: Any, count: int) -> tuple[list[Any], list[Any]]:
    """What the plain operation returned: its own results, and what goes into ``count`` targets."""
    results = list(found) if isinstance(found, tuple | list) else [found]
    if str(plain._schema.name).endswith("_functional"):
        return results[: len(results) - count], results[len(results) - count :]
    return [], results
