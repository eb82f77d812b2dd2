"""Modules of PyTorch, which have arguments of their own: their parameters, by name.

As a formula, a module is a function of what its ``forward`` takes and then of its parameters, as
``0.weight``; their shapes are those they have, and their numbers are drawn as others are. Compared
with it, a module is handed the parameters that it has by those names. Buffers are constants, and
are what they were afterwards.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from typing import Any

from crosscheck.numbers.arrays import Array
from crosscheck.tools.errors import UsageError

__all__ = [
    "called_with",
    "forward_of",
    "function_class",
    "is_module",
    "parameters_of",
    "with_parameters",
]


def is_module(function: Any) -> bool:
    """Whether something is an ``nn.Module``; nothing is while PyTorch is not imported."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(function, torch.nn.Module)


def function_class(function: Any) -> Any:
    """The ``autograd.Function`` that something is, or whose ``apply`` it is; ``None`` of others."""
    torch = sys.modules.get("torch")
    is_applied = getattr(function, "__name__", "") == "apply"
    owner = getattr(function, "__self__", None) if is_applied else function
    if torch is None or not isinstance(owner, type):
        return None
    return owner if issubclass(owner, torch.autograd.Function) else None


def forward_of(function: Any) -> Callable[..., Any]:
    """Whose parameters are those of a function: of a module its ``forward``.

    Of an ``autograd.Function`` it is its ``forward``, without the context that this may take.
    """
    owner = function_class(function)
    if owner is not None:
        torch: Any = sys.modules["torch"]
        has_context = owner.setup_context is torch.autograd.Function.setup_context
        return functools.partial(owner.forward, None) if has_context else owner.forward
    found: Callable[..., Any] = function.forward if is_module(function) else function
    return found


def parameters_of(function: Any) -> dict[str, Array]:
    """A module's parameters by name, as float64; none of anything else."""
    if not is_module(function):
        return {}
    return {
        name: each.detach().double().cpu().numpy() for name, each in function.named_parameters()
    }


def with_parameters(shapes: Any, parameters: Mapping[str, Array]) -> Any:
    """What shapes are given as, with those of parameters behind them.

    Args:
        shapes: Text, or example arrays, in a tuple or by name.
        parameters: By name.
    """
    if not parameters:
        return shapes
    if isinstance(shapes, str):
        own, arrow, result = shapes.partition("->")
        form = "({})" if "(" in own else "{}"
        between = "," if "(" in own else " "
        rest = [form.format(between.join(map(str, each.shape))) for each in parameters.values()]
        first = [own.strip()] if own.strip() else []
        return f"{', '.join([*first, *rest])} {arrow}{result}".rstrip()
    if isinstance(shapes, Mapping):
        return {**shapes, **parameters}
    return (*shapes, *parameters.values())


def called_with(module: Any, arguments: Mapping[str, Any], keywords: Mapping[str, Any]) -> Any:
    """A module on arguments of which some are its parameters; others of those stay what they are.

    Raises:
        UsageError: It has no parameter of a name.
    """
    __tracebackhide__ = True
    torch: Any = sys.modules["torch"]
    own = dict(module.named_parameters())
    unknown = [name for name in arguments if "." in name and name not in own]
    if unknown:
        raise UsageError(
            f"{type(module).__name__} has no parameter {unknown[0]!r}; it has {', '.join(own)}"
        )
    rest = [value for name, value in arguments.items() if name not in own]
    if len(rest) == len(arguments):
        return module(*rest, **keywords)
    dtype = next(arguments[name] for name in own if name in arguments).dtype
    state = {}
    for name, each in (*own.items(), *module.named_buffers()):
        copy = each.detach().clone()
        state[name] = copy.to(dtype) if copy.is_floating_point() else copy
    state |= {name: arguments[name] for name in own if name in arguments}
    return torch.func.functional_call(module, state, tuple(rest), dict(keywords))
