"""A PyTorch function run once on numbers, while each operation becomes steps of a program.

The function runs as it is, in float64, on tensors that are differentiated, so that it takes the
roads that differentiation takes. A dispatch mode stands below autograd and sees each operation
that autograd has a formula for, with its operands; in place of a graph to be read later, its steps
are added to the program there and then, and the frames of Python are at hand that say by which
expression of the user's it was called. Measured on a convolutional network and a transformer layer,
that takes a quarter of the time of ``make_fx`` and a twentieth of ``torch.export`` with its
decompositions; it knows the numbers, so integers may be branched on; and norms, softmax and GELU
come whole and not as one way to decompose them.

What is mutated is put back to its functional form: the operation's, then written into memory.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from crosscheck.frontends import values
from crosscheck.frontends.torch_.elementwise import RANDOM
from crosscheck.frontends.torch_.frames import Frames
from crosscheck.frontends.torch_.memory import Memory, numbers_of
from crosscheck.frontends.torch_.mutation import arguments_of, plain_of, results_of, targets_of
from crosscheck.frontends.torch_.operation import Operation
from crosscheck.frontends.torch_.operations import applied, has_rule
from crosscheck.frontends.torch_.widening import has_complex, mode_of, widened
from crosscheck.frontends.tracing import Extended, Known, Tracing, Value, shape_of
from crosscheck.program.graph import Var
from crosscheck.tools.errors import CrosscheckError, UnsupportedError

__all__ = ["PlacedError", "Recorder"]

_UNSET = ("empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided")
_SHAPED = ("zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full")
"""What takes only the shape of its operand."""

_SAME_MEMORY = frozenset(
    {
        "_reshape_alias", "_unsafe_view", "alias", "detach", "lift_fresh", "unsafe_chunk",
        "unsafe_split", "unsafe_split_with_sizes",
    }
)  # fmt: skip
"""What returns windows on the memory of its operand, and does not say so."""

_WORDS_OF_NUMBERS = (
    "something that is no tensor depends on the numbers of one; write both sides with torch.where, "
    "or say that nothing is differentiated by it"
)


class PlacedError(UnsupportedError):
    """An operation that is refused, with the user's line."""


class Recorder:
    """What is done to tensors, as steps of a program.

    Attributes:
        memory: What tensors hold.
        inside_forward: How many operations we are in whose parts autograd does not see.
        refusal: The last error that was raised here, whatever became of it above.

    Args:
        torch: The library.
        tracing: The program in the making.
        frames: Of the function.
    """

    def __init__(self, torch: Any, tracing: Tracing, frames: Frames) -> None:
        self.torch, self.tracing, self.frames = torch, tracing, frames
        self.memory = Memory(tracing)
        self.refusal: CrosscheckError | None = None
        self.inside_forward = 0
        self._varies: dict[int, bool] = {}
        self._decompositions: Any = None

    # -- values ----------------------------------------------------------------------------------

    def value(self, tensor: Any) -> Value:
        """What a tensor holds; a constant to derivatives where it is one to autograd."""
        found = self.memory.get(tensor)
        if tensor.requires_grad or self.inside_forward or not tensor.is_floating_point():
            return found
        return values.held(self.tracing, found) if self.varies(found) else found

    def varies(self, value: Value) -> bool:
        """Whether something is differentiated that a value is made of."""
        if isinstance(value, Known):
            return False
        var = value.var if isinstance(value, Extended) else value
        data = self.tracing.is_data
        waiting = [var.number]
        while waiting:
            number = waiting[-1]
            node = var.graph.nodes[number]
            missing = [each for each in node.inputs if each not in self._varies]
            if number in self._varies or not missing or node.op == "held":
                is_input = node.op == "input" and not data(Var(var.graph, number))
                from_operands = node.op != "held" and any(
                    self._varies.get(each, False) for each in node.inputs
                )
                self._varies[number] = is_input or from_operands
                waiting.pop()
                continue
            waiting += missing
        return self._varies[var.number]

    # -- calls -----------------------------------------------------------------------------------

    def dispatch(self, call: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """An operation of PyTorch's: its tensors, after its steps were added.

        Raises:
            PlacedError: There is no rule for it.
        """
        with self.tracing.at(self.frames.source()):
            try:
                return self._dispatched(call, args, kwargs)
            except UnsupportedError as error:
                self.refusal = self._placed(error, call)
                raise self.refusal from None

    def _placed(self, error: CrosscheckError, call: Any) -> PlacedError:
        """The error with the operation and the user's line, once."""
        if isinstance(error, PlacedError):
            return error
        source = self.tracing.source
        where = "" if source is None else f"{source.place}: "
        what = "" if source is None else f", in {source.text}"
        return PlacedError(f"{where}{_name_of(call)}: {error}{what}")

    def refuse(self, words: str) -> PlacedError:
        """An error at the place where we are."""
        source = self.frames.source()
        where = "" if source is None else f"{source.place}: "
        what = "" if source is None else f", in {source.text}"
        self.refusal = PlacedError(f"{where}{words}{what}")
        return self.refusal

    def entering(self, each: Any) -> Any:
        """An operand where autograd is not asked: a copy of one that is a constant to it."""
        if not isinstance(each, self.torch.Tensor) or each.requires_grad:
            return each
        value = self.memory.get(each)
        held = self.value(each)
        if held is value:
            return each
        copy = each.clone()
        self.memory.put(copy, held)
        return copy

    def _dispatched(self, call: Any, args: Any, kwargs: Any) -> Any:
        if has_complex(self.torch, (*args, *kwargs.values())):
            raise UnsupportedError("complex numbers, wanted real ones")
        args, kwargs = widened(self.torch, call, args, kwargs, self._wider)
        if call._schema.is_mutable:
            return self._mutated(call, args, kwargs)
        if call.is_view or _short(call) in _SAME_MEMORY:
            return self._viewed(call, args, kwargs)
        operation = Operation.of(self.torch, call, args, kwargs, self.value)
        self._require_certain(call, operation)
        if _short(call) in (*_UNSET, *_SHAPED):
            return self._made(call, args, kwargs)
        if not has_rule(operation) and not operation.is_known:
            decomposed = self._decomposed(call)
            if decomposed is None:
                raise UnsupportedError("no rule for this operation")
            return self._by_parts(decomposed, args, kwargs)
        found = call(*args, **kwargs)
        if not operation.is_known:
            self._put(found, applied(self.tracing, operation))
        else:
            self._put_known(found, operation)
        return found

    def _made(self, call: Any, args: Any, kwargs: Any) -> Any:
        """A tensor that is new; NaN until something is written into it, if nothing is yet."""
        found = call(*args, **kwargs)
        if _short(call) in _UNSET and found.is_floating_point():
            self._put(found, Known(np.full(tuple(found.shape), np.nan)))
        else:
            self._put(found, Known(numbers_of(found)))
        return found

    def _by_parts(self, decomposed: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """An operation as PyTorch decomposes it, below autograd."""
        given = [self.entering(each) for each in args]
        self.inside_forward += 1
        try:
            with mode_of(self.dispatch):
                return decomposed(*given, **kwargs)
        finally:
            self.inside_forward -= 1

    def _viewed(self, call: Any, args: Any, kwargs: Any) -> Any:
        """A window on the same memory: its value is read there."""
        if self.memory.is_lost(args[0]):
            return call(*args, **kwargs)
        operation = Operation.of(self.torch, call, args, kwargs, self.memory.get)
        found = call(*args, **kwargs)
        if has_rule(operation) and not operation.is_known:
            self._put(found, applied(self.tracing, operation))
        return found

    def _mutated(self, call: Any, args: Any, kwargs: Any) -> Any:
        """An operation that writes into its operands, as one that does not, and a writing."""
        targets, plain = targets_of(call, args, kwargs), plain_of(self.torch, call)
        if self.torch.Tag.nondeterministic_seeded in call.tags and plain is None:
            raise UnsupportedError(RANDOM)
        if plain is None:
            raise UnsupportedError("no rule for this operation, which changes its operand")
        found = self._dispatched(plain, args, arguments_of(call, kwargs))
        own, results = results_of(plain, found, len(targets))
        for target, result in zip(targets, results, strict=True):
            self._write(target, result)
        returned = own or targets
        return returned[0] if len(returned) == 1 else tuple(returned)

    def _write(self, target: Any, result: Any) -> None:
        value = self.memory.get(result)
        if not target.is_floating_point() and not isinstance(value, Known):
            raise UnsupportedError("numbers that are differentiated go into a tensor of integers")
        if isinstance(value, Known) and np.shape(value.array) != tuple(target.shape):
            value = Known(np.broadcast_to(value.array, tuple(target.shape)), value.pairs)
        self.memory.write(target, value)
        target.detach().copy_(result)

    def _require_certain(self, call: Any, operation: Operation) -> None:
        torch, name = self.torch, _short(call)
        if name in ("_local_scalar_dense", "equal"):
            sides = [side for pair in operation.pairs for side in pair]
            is_free = not _is_floating_or_bool(operation) or self.frames.are_pytorchs()
            if not operation.is_known or (any(map(self.varies, sides)) and not is_free):
                raise UnsupportedError(_WORDS_OF_NUMBERS)
            self.tracing.note(operation.pairs)
            return
        if torch.Tag.nondeterministic_seeded in call.tags and not has_rule(operation):
            raise UnsupportedError(RANDOM)

    def _decomposed(self, call: Any) -> Any:
        """An operation in others, as PyTorch writes it; ``None`` if it does not."""
        if self._decompositions is None:
            decompositions = importlib.import_module("torch._decomp")
            self._decompositions = decompositions.decomposition_table
        composite = self.torch._C.DispatchKey.CompositeImplicitAutograd
        if call not in self._decompositions and call.has_kernel_for_dispatch_key(composite):
            return call.decompose
        return self._decompositions.get(call)

    def _wider(self, tensor: Any) -> Any:
        found = tensor.double()
        self.memory.put(found, self.memory.get(tensor))
        return found.requires_grad_() if tensor.requires_grad else found

    # -- results ---------------------------------------------------------------------------------

    def _put(self, found: Any, results: Any) -> None:
        tensors = list(found) if isinstance(found, tuple | list) else [found]
        given = results if isinstance(results, list) else [results]
        for tensor, value in zip(tensors, given, strict=False):
            if not isinstance(tensor, self.torch.Tensor) or not tensor.numel():
                continue
            if value is None:
                self.memory.lose(tensor)
                continue
            if shape_of(value) != tuple(tensor.shape):
                raise UnsupportedError(
                    f"a result of shape {tuple(tensor.shape)} was read as {shape_of(value)}"
                )
            self.memory.put(tensor, value)

    def _put_known(self, found: Any, operation: Operation) -> None:
        """What is known of known numbers, by the operation itself."""
        for tensor in found if isinstance(found, tuple | list) else [found]:
            if isinstance(tensor, self.torch.Tensor) and not self.memory.knows(tensor):
                self.memory.put(tensor, Known(numbers_of(tensor), operation.pairs, None))
        if operation.has_test and has_rule(operation):
            self._put(found, applied(self.tracing, operation))


def _is_floating_or_bool(operation: Operation) -> bool:
    """Whether a number is no whole one, which may be a place."""
    (tensor, *_) = operation.args
    return bool(tensor.is_floating_point()) or str(tensor.dtype) == "torch.bool"


def _short(call: Any) -> str:
    """``add`` of ``aten.add.Tensor``."""
    return str(call._schema.name.partition("::")[2])


def _name_of(call: Any) -> str:
    return str(call._schema.name.removeprefix("aten::"))
