"""A function in float64, whatever dtypes are named in it.

Dtypes belong to implementations, and the formula is mathematics: what it converts to float32 stays
what it is, and what it makes in bfloat16 is made in float64.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

__all__ = ["has_complex", "in_float64", "mode_of", "settled", "widened"]


def widened(
    torch: Any, call: Any, args: Any, kwargs: Any, wider: Callable[[Any], Any]
) -> tuple[Any, Any]:
    """The operands of an operation in float64; what is written into stays what it is.

    Args:
        torch: The library.
        call: The operator.
        args: What it is handed by position.
        kwargs: And by name.
        wider: A tensor as one of float64.
    """
    arguments = call._schema.arguments
    written = {
        each.name for each in arguments if each.alias_info is not None and each.alias_info.is_write
    }

    def wide(each: Any) -> Any:
        if isinstance(each, list | tuple):
            return [wide(one) for one in each]
        is_dtype = isinstance(each, torch.dtype)
        if not (is_dtype or isinstance(each, torch.Tensor)):
            return each
        dtype = each if is_dtype else each.dtype
        if not dtype.is_floating_point or dtype == torch.float64:
            return each
        return torch.float64 if is_dtype else wider(each)

    given = [
        each if schema.name in written else wide(each)
        for schema, each in zip(arguments, args, strict=False)
    ]
    return given, {name: each if name in written else wide(each) for name, each in kwargs.items()}


def has_complex(torch: Any, operands: Sequence[Any]) -> bool:
    """Whether a dtype, or a tensor's, is complex."""
    for each in operands:
        if isinstance(each, list | tuple):
            if has_complex(torch, each):
                return True
        elif isinstance(each, torch.dtype | torch.Tensor):
            dtype = each if isinstance(each, torch.dtype) else each.dtype
            if dtype.is_complex:
                return True
    return False


@contextlib.contextmanager
def in_float64(torch: Any) -> Iterator[None]:
    """All that this thread computes with PyTorch is in float64 while this lasts."""

    def in_wide(call: Any, args: Any, kwargs: Any) -> Any:
        given, named = widened(torch, call, args, kwargs, lambda each: each.double())
        return call(*given, **named)

    with settled(torch), mode_of(in_wide):
        yield


def mode_of(dispatch: Callable[[Any, Any, Any], Any]) -> Any:
    """A mode that hands each operation over: the operator, its operands, and those by name."""
    modes = importlib.import_module("torch.utils._python_dispatch")

    class Mode(modes.TorchDispatchMode):  # type: ignore[misc, name-defined]
        @classmethod
        def _should_skip_dynamo(cls) -> bool:
            return False  # else every such call imports the compiler, and is wrapped by it

        def __torch_dispatch__(
            self, call: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            return dispatch(call, args, kwargs or {})

    return Mode()


@contextlib.contextmanager
def settled(torch: Any) -> Iterator[None]:
    """What has no dtype of its own is float64, and nothing is compiled, while this lasts."""
    before = torch.get_default_dtype()
    with contextlib.ExitStack() as stack:
        if "torch._dynamo" in sys.modules:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        torch.set_default_dtype(torch.float64)
        stack.callback(torch.set_default_dtype, before)
        yield
