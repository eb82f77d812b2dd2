"""PyTorch's autograd as a framework under test."""

from __future__ import annotations

import contextlib
import importlib
import types
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

from numpy.typing import NDArray

from crosscheck.frameworks.adapter import Adapter, Losses, Push, Seen
from crosscheck.frameworks.leaves import RELU
from crosscheck.frameworks.pointwise import Pointwise
from crosscheck.frameworks.torch_lines import LINES
from crosscheck.frameworks.watched import Mark
from crosscheck.network.composed import Composed
from crosscheck.network.dense import Case
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of
from crosscheck.program.second import Way
from crosscheck.tools.words import lines_of, message_of

__all__ = ["TorchFramework"]

Returned = tuple[Any, Sequence[Any]]
"""J, and its derivative by each leaf."""

_UNSUPPORTED = (
    "Batching rule not implemented",
    "in some data-dependent control flow",
    "No working C++ compiler found",
    "derivative for aten::",
)
"""How PyTorch says that vmap, the compiler or double backward cannot do something, when it does not
raise its NotImplementedError or the compiler's Unsupported."""


class TorchFramework(Adapter):
    """PyTorch's automatic differentiation, on the CPU.

    Mode ``compile`` takes seconds for each shape, dtype and network, and needs a C++ compiler.

    Args:
        formulation: A key of ``formulations``.
        mode: A key of ``modes``.

    Raises:
        UsageError: No such formulation or mode.
        Exception: Whatever importing PyTorch raises.
    """

    name: ClassVar[str] = "torch"
    module: ClassVar[str] = "torch"
    packages: ClassVar[tuple[str, ...]] = ("torch",)
    lines: ClassVar[Pointwise | None] = LINES
    formulations: ClassVar[Mapping[str, str]] = LINES.formulations(RELU)
    modes: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "eager": "torch.autograd.grad(J, …)",
            "func": "torch.func.grad_and_value(J)",
            "vmap": "torch.func.vmap(torch.func.grad_and_value(J)), over the cases",
            "forward": "torch.func.jvp(J, …), one-hot tangents under torch.func.vmap",
            "compile": "torch.autograd.grad of torch.compile(J)",
        }
    )
    forward_modes: ClassVar[frozenset[str]] = frozenset({"forward"})
    compiled_modes: ClassVar[frozenset[str]] = frozenset({"compile"})
    modes_over_cases: ClassVar[frozenset[str]] = frozenset({"vmap"})
    ways: ClassVar[Mapping[str, tuple[Way, ...]]] = MappingProxyType(
        {"eager": ("reverse over reverse",), "func": ("forward over reverse",)}
    )

    def __init__(self, *, formulation: str | None = None, mode: str | None = None) -> None:
        super().__init__(formulation=formulation, mode=mode)
        self._torch: Any = importlib.import_module("torch")
        self._compiled: dict[object, Losses] = {}

    @contextlib.contextmanager
    def context(self) -> Iterator[None]:
        """A caller's torch.no_grad or inference_mode must not reach in here."""
        with self._torch.inference_mode(False), self._torch.enable_grad():
            yield

    def differentiate(
        self, case: Case | Composed, leaves: Sequence[Any], rest: Sequence[Any]
    ) -> Returned:
        """See `Adapter.differentiate`."""
        by = {"func": self._by_func, "vmap": self._by_vmap}.get(self.mode, self._by_autograd)
        return by(case, leaves, rest)

    def _by_autograd(
        self, case: Case | Composed, leaves: Sequence[Any], rest: Sequence[Any]
    ) -> Returned:
        losses_of = self.losses_of(case)
        if self.mode == "compile":
            key = (losses_of, *map(_kind, (*leaves, *rest)))
            if key not in self._compiled:
                self._compiled[key] = self._torch.compile(
                    _with_code_of_its_own(losses_of), fullgraph=True, dynamic=False
                )
            losses_of = self._compiled[key]
        for leaf in leaves:
            leaf.requires_grad_()
        losses = losses_of(*leaves, *rest)
        # Each case of a stack has its own leaves, so the gradient of the sum of the losses
        # holds the gradient of each.
        return losses, self._torch.autograd.grad(losses.sum(), leaves)

    def watch(
        self,
        function: Callable[..., Any],
        leaves: Sequence[Any],
        rest: Sequence[Any],
        marks: Sequence[Mark],
    ) -> Seen:
        """See `Adapter.watch`: a view at each mark, by which autograd differentiates as well.

        What is held is copied at once, since a step may change it in place, of which tensors keep
        count (``_version``); one copy does for all uses in between. What was sent is not copied: if
        it is changed, its use is not of what was sent, and is found out as that.

        What a view has is lost when a step changes it in place: it becomes a view of what the step
        returned. Then the marks are copies, which keep what went into them.
        """
        for leaf in leaves:
            leaf.requires_grad_()
        seen, is_whole = self._watched(function, leaves, rest, marks, self._torch.Tensor.view_as)
        if is_whole:
            return seen
        return self._watched(function, leaves, rest, marks, lambda array, _: array.clone())[0]

    def _watched(
        self,
        function: Callable[..., Any],
        leaves: Sequence[Any],
        rest: Sequence[Any],
        marks: Sequence[Mark],
        mark_of: Callable[[Any, Any], Any],
    ) -> tuple[Seen, bool]:
        """What is seen at marks of one kind, and whether none of them was changed in place."""
        edge_of = self._torch.autograd.graph.get_gradient_edge
        passed, edges, values = [], {}, {}
        # With each tensor itself: were it gone, its memory might be another's.
        copies = {_held(each): (each, each.detach()) for each in (*leaves, *rest)}

        def watch(step: str, operand: str, array: Any) -> Any:
            found = mark_of(array, array)
            passed.append((found, found._version))
            if found.requires_grad:
                edges[step, operand] = edge_of(found)
            if (held := _held(array)) not in copies:
                copies[held] = array, array.detach().clone()
            values[step, operand] = copies[held][1]
            return found

        losses = function(watch, *leaves, *rest)
        wanted = [*leaves, *edges.values()]
        found = self._torch.autograd.grad(losses.sum(), wanted, allow_unused=True)
        cotangents = dict(zip(edges, found[len(leaves) :], strict=True))
        is_whole = all(each._version == version for each, version in passed)
        seen = Seen(losses, found[: len(leaves)], values, [cotangents.get(each) for each in marks])
        return seen, is_whole

    def twice(
        self,
        case: Composed,
        leaves: Sequence[Any],
        rest: Sequence[Any],
        along: Sequence[Any],
        way: Way,
    ) -> Sequence[Any]:
        """See `Adapter.twice`: by ``create_graph``, or a tangent of `torch.func.grad`."""
        torch, losses_of = self._torch, self.losses_of(case)
        if way == "forward over reverse":
            gradient = torch.func.grad(
                lambda *each: losses_of(*each, *rest).sum(), argnums=tuple(range(len(leaves)))
            )
            _, found = torch.func.jvp(gradient, tuple(leaves), tuple(along))
            return [_owned(leaf, array) for leaf, array in zip(leaves, found, strict=True)]
        for leaf in leaves:
            leaf.requires_grad_()
        losses = losses_of(*leaves, *rest)
        slopes = torch.autograd.grad(losses.sum(), leaves, create_graph=True)
        moving = [pair for pair in zip(slopes, along, strict=True) if pair[0].requires_grad]
        found = [None] * len(leaves)
        if moving:
            outputs, seeds = zip(*moving, strict=True)
            found = torch.autograd.grad(outputs, leaves, seeds, allow_unused=True)
        return [_owned(leaf, array) for leaf, array in zip(leaves, found, strict=True)]

    def _by_func(
        self, case: Case | Composed, leaves: Sequence[Any], rest: Sequence[Any]
    ) -> Returned:
        losses_of = self.losses_of(case)

        def sum_and_losses(*arrays: Any) -> tuple[Any, Any]:
            losses = losses_of(*arrays)
            return losses.sum(), losses

        differentiate = self._torch.func.grad_and_value(
            sum_and_losses, argnums=tuple(range(len(leaves))), has_aux=True
        )
        found, (_, losses) = differentiate(*leaves, *rest)
        return losses, found

    def _by_vmap(
        self, case: Case | Composed, leaves: Sequence[Any], rest: Sequence[Any]
    ) -> Returned:
        """A single case is a stack of one."""
        differentiate = self._torch.func.vmap(
            self._torch.func.grad_and_value(self.losses_of(case), argnums=tuple(range(len(leaves))))
        )
        if case.count is not None:
            found, losses = differentiate(*leaves, *rest)
            return losses, found
        found, losses = differentiate(*(array.unsqueeze(0) for array in (*leaves, *rest)))
        return losses[0], [array[0] for array in found]

    def pusher(self, case: Case | Composed, leaves: Sequence[Any], rest: Sequence[Any]) -> Push:
        """See `Adapter.pusher`. A single case is a stack of one.

        Were its loss a tensor without axes, ½ times it would have a tangent in float64,
        whatever the dtype (https://github.com/pytorch/functorch/issues/1073).
        """
        jvp, losses_of = self._torch.func.jvp, self.losses_of(case)
        if case.count is None:
            leaves, rest = ([array.unsqueeze(0) for array in each] for each in (leaves, rest))

        def push(*tangents: Any) -> Any:
            along = tuple(
                tangent.expand(leaf.shape) for tangent, leaf in zip(tangents, leaves, strict=True)
            )
            return jvp(lambda *arrays: losses_of(*arrays, *rest), tuple(leaves), along)

        push_all = self._torch.func.vmap(push, out_dims=(None, 0))

        def push_block(tangents: Sequence[Array]) -> tuple[Any, Any]:
            losses, found = push_all(*(self.send(tangent, case.dtype) for tangent in tangents))
            return (losses[0], found[:, 0]) if case.count is None else (losses, found)

        return push_block

    def unsupported(self, error: Exception) -> str | None:
        """See `Adapter.unsupported`."""
        chain: list[BaseException] = [error]
        while (cause := chain[-1].__cause__) is not None:
            chain.append(cause)
        for each in chain:
            lines = lines_of(each)
            if isinstance(each, NotImplementedError):
                return message_of(each)
            if any(phrase in line for line in lines for phrase in _UNSUPPORTED):
                return lines[0]
        if self.mode == "compile":
            exceptions = importlib.import_module("torch._dynamo.exc")
            if isinstance(error, exceptions.Unsupported):
                return message_of(error, first_line=True)
        return None

    def from_numpy(self, own: NDArray[Any], dtype: str) -> Any:
        """See `Adapter.from_numpy`; PyTorch takes NumPy's dtypes only, so bits pass as integers."""
        bits = own.view(f"i{own.itemsize}")
        return self._torch.from_numpy(bits).view(getattr(self._torch, dtype))

    def has_dtype(self, dtype: str) -> bool:
        """See `Adapter.has_dtype`."""
        return hasattr(self._torch, dtype)

    def to_numpy(self, array: Any) -> NDArray[Any]:
        """See `Adapter.to_numpy`; the bits pass as integers here too."""
        bits = getattr(self._torch, f"int{8 * array.element_size()}")
        dtype: Any = format_of(self.dtype_name(array)).dtype
        found: NDArray[Any] = array.detach().view(bits).numpy().view(dtype)
        return found

    def dtype_name(self, array: Any) -> str:
        """See `Adapter.dtype_name`."""
        return str(array.dtype).removeprefix("torch.")


def _held(tensor: Any) -> Hashable:
    """Equal of tensors that are the same piece of memory with nothing written to it in between.

    As long as one of them is there: later the memory may be given to another one.
    """
    return tensor.data_ptr(), tensor._version, tensor.dtype, tensor.shape, tensor.stride()


def _owned(leaf: Any, array: Any) -> Any:
    """A derivative by a leaf in memory of its own, where autograd has no more than that it is 0."""
    zeros = leaf.detach().new_zeros(leaf.shape)
    return zeros if array is None else zeros + array


def _kind(tensor: Any) -> tuple[object, ...]:
    """What code is compiled for."""
    return (tensor.dtype, tuple(tensor.shape))


def _with_code_of_its_own(function: Losses) -> Losses:
    """``function`` with a copy of its code.

    The compiler keeps what it makes with the code of a function, wherever that came from, and
    goes on without compiling, in silence, once there are eight shapes for one code.
    """
    assert isinstance(function, types.FunctionType)
    own = types.FunctionType(
        function.__code__.replace(),
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    return own
