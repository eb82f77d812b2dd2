"""A PyTorch function or module as a program, for one case.

What is read is the forward pass; a derivative that the user has written for it, by
``autograd.Function``, is what will be judged, and is not read: its ``forward`` is.

What the program is held against is the function run directly, in float64:
`crosscheck.frontends.agreement`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from crosscheck.frontends.agreement import require_same, require_values
from crosscheck.frontends.torch_.arguments import Arguments
from crosscheck.frontends.torch_.frames import Frames
from crosscheck.frontends.torch_.patching import recording
from crosscheck.frontends.torch_.recording import Recorder
from crosscheck.frontends.torch_.widening import in_float64
from crosscheck.frontends.traced import TracedFunction
from crosscheck.frontends.tracing import Extended, Known, Tracing, Value
from crosscheck.numbers.arrays import Array
from crosscheck.tools.errors import CrosscheckError, UnsupportedError, UsageError
from crosscheck.tools.words import named

__all__ = ["trace_torch"]


def trace_torch(
    function: Callable[..., Any],
    arguments: Mapping[str, Any],
    *,
    traced: Sequence[str],
    fixed: Sequence[str] = (),
) -> TracedFunction:
    """A function of PyTorch tensors in primitives, for arguments of these shapes and numbers.

    Args:
        function: A function, an ``autograd.Function`` or an ``nn.Module``. A module's parameters
            are inputs by their names, with the numbers they have unless ``arguments`` has others;
            its buffers are constants, and are what they were afterwards.
        arguments: Name to what is handed over, in the order of the function's parameters. Arrays
            of real numbers may be leaves of a tree; they are inputs then as ``"params.layer.w"``.
        traced: Names of the arguments that become inputs.
        fixed: Names of those that become inputs too, but are not differentiated. All others are
            known: they are handed over as they are.

    Raises:
        UsageError: A name is unknown, an array that is traced is not real, the function raises, or
            gives other numbers when it is run again.
        UnsupportedError: An operation has no rule, or something that is no tensor depends on
            numbers; with the user's line.
    """
    torch = importlib.import_module("torch")
    given = Arguments(torch, function, arguments, (*traced, *fixed))
    constant = [leaf for leaf, owner in given.owners.items() if owner in fixed]
    tracing = Tracing(given.arrays, constant)
    recorder = Recorder(torch, tracing, Frames(torch, sys._getframe(), given.modules))
    leaves = _leaves(torch, given, constant)
    for name, leaf in leaves.items():
        recorder.memory.put(leaf, tracing.inputs[name])
    with recording(recorder):
        returned = _called(given, leaves, recorder)
    outputs = _outputs(torch, returned, recorder)
    found = tracing.result(given.name, outputs, tuple(arguments))
    direct = [_direct(torch, given, constant) for _ in range(2)]
    require_same(given.name, *direct)
    arrays = {**given.arrays, **found.constants}
    require_values(found, arrays, direct[0], library="PyTorch")
    return found


def _leaves(torch: Any, given: Arguments, constant: Sequence[str]) -> dict[str, Any]:
    """The inputs as tensors, which may be written into and are differentiated."""
    leaves = {}
    for name, array in given.arrays.items():
        leaf = torch.tensor(array, dtype=torch.float64)
        leaves[name] = leaf if name in constant else leaf.requires_grad_().clone()
    return leaves


def _direct(torch: Any, given: Arguments, constant: Sequence[str]) -> dict[str, Array]:
    """The function's results, without anything about it."""
    with in_float64(torch), torch.enable_grad():
        returned = _called(given, _leaves(torch, given, constant))
    found = {}
    for name, tensor in _named(torch, returned).items():
        if isinstance(tensor, torch.Tensor) and tensor.is_floating_point():
            found[name] = tensor.detach().double().numpy()
    return found


def _called(given: Arguments, leaves: Mapping[str, Any], recorder: Recorder | None = None) -> Any:
    try:
        return given.call(leaves)
    except CrosscheckError:
        raise
    except Exception as error:
        if recorder is not None and recorder.refusal is not None:
            raise recorder.refusal from None
        said = named(error, first_line=True, silent="no message")
        raise UsageError(f"the function {given.name} raised {said}") from error


def _named(torch: Any, returned: Any) -> dict[str, Any]:
    """What was returned, by the names of outputs."""
    pytree = importlib.import_module("torch.utils._pytree")
    leaves, _ = pytree.tree_flatten_with_path(returned)
    if len(leaves) == 1 and not leaves[0][0]:
        return {"out": leaves[0][1]}
    by_key = isinstance(returned, Mapping)
    found = {}
    for path, leaf in leaves:
        words = ".".join(str(getattr(each, "key", getattr(each, "idx", each))) for each in path)
        found[words if by_key else f"out{words}"] = leaf
    return found


def _outputs(torch: Any, returned: Any, recorder: Recorder) -> dict[str, Value]:
    """The outputs by name; those that are no real numbers are left out, and that is noted."""
    found: dict[str, Value] = {}
    for name, tensor in _named(torch, returned).items():
        if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
            if tensor is not None:
                recorder.tracing.notes.append(f"{name} is no tensor of real numbers: left out")
            continue
        value = recorder.value(tensor)
        if isinstance(value, Extended):
            raise UnsupportedError(
                f"{name}: an entry is infinite or NaN whatever the arguments are"
            )
        found[name] = Known(np.asarray(value.array)) if isinstance(value, Known) else value
    if not found:
        raise UsageError("the function returns no tensor of real numbers")
    return found
