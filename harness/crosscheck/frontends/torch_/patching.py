"""What of PyTorch is another thing while a function is recorded."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

from crosscheck.frontends.torch_.recording import Recorder
from crosscheck.frontends.torch_.widening import mode_of, settled
from crosscheck.frontends.tracing import Known

__all__ = ["recording"]

_NUMBERS = ("numpy", "tolist", "__array__", "data_ptr", "__dlpack__")


@contextlib.contextmanager
def recording(recorder: Recorder) -> Iterator[None]:
    """What is done to tensors in this thread is recorded while this lasts.

    Default dtype, a module's fused paths and ``autograd.Function`` are as before afterwards.
    """
    torch = recorder.torch
    with contextlib.ExitStack() as stack:
        stack.enter_context(settled(torch))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(_forward_passes(recorder))
        stack.enter_context(_numbers_refused(recorder))
        stack.enter_context(mode_of(recorder.dispatch))
        yield


@contextlib.contextmanager
def _forward_passes(recorder: Recorder) -> Iterator[None]:
    """An ``autograd.Function`` is its ``forward`` while this lasts.

    ``Function.apply`` hands over to its base in C, through a class of Python's in between, which is
    where this steps in: so a bound ``apply`` that was stored before is caught too.
    """
    torch = recorder.torch
    functions = importlib.import_module("torch.autograd.function")
    between, base = functions._SingleLevelFunction, torch._C._FunctionBase

    def apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
        return _forward(recorder, cls, args, kwargs)

    assert "apply" not in vars(between)
    assert hasattr(base, "apply")
    between.apply = classmethod(apply)
    try:
        yield
    finally:
        del between.apply


@contextlib.contextmanager
def _numbers_refused(recorder: Recorder) -> Iterator[None]:
    """Numbers that leave PyTorch are refused, if anything is differentiated by them."""
    torch = recorder.torch
    overrides = importlib.import_module("torch.overrides")

    class Mode(overrides.TorchFunctionMode):  # type: ignore[misc, name-defined]
        def __torch_function__(
            self, function: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            name = getattr(function, "__name__", "")
            if name in _NUMBERS and args and isinstance(args[0], torch.Tensor):
                value = recorder.memory.get(args[0])
                if not isinstance(value, Known) or value.pairs:
                    raise recorder.refuse(
                        f"{name}: the numbers of a tensor leave PyTorch, and their derivative "
                        "with them"
                    )
            return function(*args, **(kwargs or {}))

    with Mode():
        yield


def _forward(recorder: Recorder, function: Any, args: Any, kwargs: Any) -> Any:
    """An ``autograd.Function``, of which only the forward pass is done.

    That is done without autograd's knowledge, as PyTorch does it; what it returns is differentiated
    if anything is that it was handed.
    """
    torch = recorder.torch
    between = torch.autograd.function._SingleLevelFunction
    context = torch.autograd.function.FunctionCtx()
    constants: list[int] = []
    context.mark_non_differentiable = lambda *each: constants.extend(map(id, each))
    context.needs_input_grad = tuple(
        isinstance(each, torch.Tensor) and each.requires_grad for each in args
    )
    has_context = function.setup_context is between.setup_context
    given = [recorder.entering(each) for each in args]
    recorder.inside_forward += 1
    try:
        with torch.no_grad():
            found = function.forward(*((context,) if has_context else ()), *given, **kwargs)
    finally:
        recorder.inside_forward -= 1

    def leaving(each: Any) -> Any:
        is_constant = not isinstance(each, torch.Tensor) or id(each) in constants
        if is_constant or not any(context.needs_input_grad) or not each.is_floating_point():
            return each
        return each.detach().requires_grad_().view_as(each)

    return tuple(map(leaving, found)) if isinstance(found, tuple) else leaving(found)
