"""PyTorch's own run of a model, looked on at function by function, and changed in nothing.

A function is called with the tensors that it would be called with. What it was given is copied
before and what it returned after. What it sends to an operand is read from autograd's graph: of
the nodes between its results and its operands, those with an edge to an operand have a hook that is
told what goes along it. Neither hooks nor copies are part of the graph, so that the gradient is,
bit for bit, that of the model unwatched. A function that uses an operand several times sends it
several parts, which autograd adds to what comes from elsewhere one by one; they are kept apart
(`crosscheck.judge.local.functions.Operation.parts`).

One that writes into an operand is followed too: the tensor is another number from then on. What is
seen through another view of what was written into is not known any more, and is refused where it is
used.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crosscheck.frontends.torch_.frames import Frames
from crosscheck.frontends.traced import Source
from crosscheck.numbers.arrays import Array

__all__ = ["Call", "Calls", "Use"]


@dataclass(eq=False)
class Use:
    """A number where a function is given it, or returns it.

    Attributes:
        name: Among all numbers of the model.
        places: Where it is among the function's operands, or the one where it is among its results.
        value: As it was then.
        sent: What autograd sent along each edge to it, in that order; of a result, its cotangent.
    """

    name: str
    places: Sequence[int]
    value: Array
    sent: list[Array] = field(default_factory=list)


@dataclass(eq=False)
class Call:
    """A function as it was called.

    Attributes:
        number: Of the call, from 1.
        title: The function's name.
        function: It.
        flat: Its operands, a list without trees; tensors are copies made before.
        form: Their trees.
        uses: Those among them that depend on arguments of the model's.
        results: What it returned, and after that what it wrote into and did not return.
        written: Places among the operands of the latter.
        source: Where in the user's code it is called.
        refusal: Why it could not be watched; empty if it was.
    """

    number: int
    title: str
    function: Callable[..., Any]
    flat: Sequence[Any]
    form: Any
    uses: Sequence[Use]
    source: Source | None
    results: Sequence[Use] = ()
    written: Sequence[int] = ()
    refusal: str = ""

    def again(self, tree: Any, operands: Sequence[Any]) -> list[Any]:
        """Calls it again on other numbers; all that it returns and writes into."""
        given = _copies(self.flat)
        for use, value in zip(self.uses, operands, strict=True):
            for at in use.places:
                given[at] = value
        args, kwargs = tree.tree_unflatten(given, self.form)
        outs, _ = tree.tree_flatten(self.function(*args, **kwargs))
        return [*outs, *(given[at] for at in self.written)]


@dataclass(frozen=True, eq=False)
class _Named:
    """A tensor, the name and the number it had when it was given them, and its edge in the graph.

    The edge is ``None`` if nothing is sent to it.
    """

    name: str
    tensor: Any
    version: int
    value: Array
    edge: Any

    @property
    def key(self) -> tuple[int, int] | None:
        return None if self.edge is None else (id(self.edge.node), self.edge.output_nr)


class Calls:
    """Looks on while a function runs.

    Args:
        torch: The library.
        tree: Its trees.
        leaves: The arguments that are real numbers, by name.
        number: A tensor's numbers, copied.
        parts: Of a module, the name of each part by identity.
    """

    def __init__(
        self,
        torch: Any,
        tree: Any,
        leaves: Mapping[str, Any],
        number: Callable[[Any], Array],
        parts: Mapping[int, str],
    ) -> None:
        self._torch, self._tree, self._number = torch, tree, number
        self._graph: Any = importlib.import_module("torch.autograd.graph")
        self.runs: list[Call] = []
        self._tensors: dict[int, _Named] = {}
        self._edges: dict[tuple[int, int], _Named] = {}
        for name, leaf in leaves.items():
            self._name(name, leaf)
        self._frames = Frames(torch, sys._getframe(1), parts)
        self._applying = False

    def name(self, tensor: Any) -> str:
        """What a tensor is called; empty if it depends on no real argument."""
        known = self._tensors.get(id(tensor))
        return "" if known is None else known.name

    def _name(self, name: str, tensor: Any) -> _Named:
        edge = self._graph.get_gradient_edge(tensor) if tensor.requires_grad else None
        found = _Named(name, tensor, tensor._version, self._number(tensor), edge)
        self._tensors[id(tensor)] = found
        if found.key is not None:
            self._edges[found.key] = found
        return found

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """What is called in this thread is seen while this lasts."""
        overrides = importlib.import_module("torch.overrides")
        functions = importlib.import_module("torch.autograd.function")
        seen = self

        class Mode(overrides.TorchFunctionMode):  # type: ignore[misc, name-defined]
            def __torch_function__(
                self, function: Any, types: Any, args: Any = (), kwargs: Any = None
            ) -> Any:
                return seen.call(function, args, kwargs or {})

        between = functions._SingleLevelFunction

        def apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
            base: Any = super(between, cls)

            def own(*args: Any, **kwargs: Any) -> Any:
                if seen._applying:
                    with self._torch._C.DisableTorchFunction():
                        return base.apply(*args, **kwargs)
                return cls.apply(*args, **kwargs)

            own.__name__ = cls.__name__
            seen._applying = True
            try:
                return seen.call(own, args, kwargs)
            finally:
                seen._applying = False

        between.apply = classmethod(apply)
        try:
            with Mode():
                yield
        finally:
            del between.apply

    def call(self, function: Any, args: Any, kwargs: Any) -> Any:
        """A function of PyTorch's, called as it would be."""
        flat, form = self._tree.tree_flatten((args, kwargs))
        places: dict[int, list[int]] = {}
        for at, each in enumerate(flat):
            if self.name(each):
                places.setdefault(id(each), []).append(at)
        if not places:
            return function(*args, **kwargs)
        title = _title(function)
        if title == "get":  # an attribute: its shape or dtype, or a view as that transposed
            if not self._is_tensor(function(*args, **kwargs)):
                return function(*args, **kwargs)
            title = str(getattr(getattr(function, "__self__", None), "__name__", title)).strip("_")
        known = [self._tensors[each] for each in places]
        stale = [each for each in known if each.tensor._version != each.version]
        with self._torch._C.DisableTorchFunction():
            before = _copies(flat)
            versions = [e._version if self._is_tensor(e) else 0 for e in flat]
        returned = function(*args, **kwargs)
        uses = [Use(e.name, at, e.value) for e, at in zip(known, places.values(), strict=True)]
        call = Call(len(self.runs) + 1, title, function, before, form, uses, self._frames.source())
        if stale:
            call.refusal = (
                "an operand was written into through another view of it, which is not watched; "
                "write what returns a new tensor"
            )
        self.runs.append(call)
        written = {
            at: each
            for at, (each, version) in enumerate(zip(flat, versions, strict=True))
            if self._is_real(each) and each._version != version
        }
        with self._torch._C.DisableTorchFunction():
            self._look(call, known, self._tree.tree_flatten(returned)[0], written)
        return returned

    def _look(
        self, call: Call, known: Sequence[_Named], outs: Sequence[Any], written: Mapping[int, Any]
    ) -> None:
        """Names what was returned and written into, and hooks what is sent to operands."""
        returned = {id(each) for each in outs}
        call.written = [
            at for at, each in written.items() if each.requires_grad and id(each) not in returned
        ]
        changed = {id(each) for each in written.values()}
        same = {id(each.tensor) for each in known} - changed
        tensors = [
            (at, each)
            for at, each in enumerate([*outs, *(written[at] for at in call.written)])
            if self._is_real(each) and id(each) not in same
        ]
        results = []
        for at, each in tensors:
            name = f"{call.number}" if len(tensors) == 1 else f"{call.number}.{at}"
            results.append(self._result(name, at, each))
        call.results = results
        operands = {
            each.key: use
            for use, each in zip(call.uses, known, strict=True)
            if each.key is not None
        }
        if not self._hook([self._tensors[id(each)] for _, each in tensors], operands):
            call.refusal = call.refusal or (
                "what is sent through it goes to a number that is none of its operands; hand it "
                "over, or write what returns a new tensor"
            )

    def _result(self, name: str, at: int, tensor: Any) -> Use:
        result = Use(name, [at], self._name(name, tensor).value)
        if tensor.requires_grad:

            def look(cotangent: Any) -> None:
                if cotangent is not None:  # of one of several results it may be
                    result.sent.append(self._number(cotangent))

            tensor.register_hook(look)
        return result

    def _hook(self, results: Sequence[_Named], operands: Mapping[tuple[int, int], Use]) -> bool:
        """Hooks nodes between results and operands; whether these are all that they lead to.

        Nodes are kept until the end: identities are told apart only of what lives.
        """
        is_whole = True
        ends = [each.edge.node for each in results if each.edge is not None]
        nodes = list({id(node): node for node in ends}.values())  # several results may have one
        seen = set(map(id, nodes))
        for node in nodes:
            crossing = {}
            for at, edge in enumerate(node.next_functions):
                if edge[0] is None:
                    continue
                key = id(edge[0]), edge[1]
                if key in operands:
                    crossing[at] = operands[key]
                elif key in self._edges:
                    is_whole = False
                elif id(edge[0]) not in seen:
                    seen.add(id(edge[0]))
                    nodes.append(edge[0])
            if crossing:
                node.register_hook(self._looking(crossing))
        return is_whole

    def _looking(self, crossing: Mapping[int, Use]) -> Callable[[Any, Any], None]:
        def look(sent: Sequence[Any], _: Any) -> None:
            for at, use in crossing.items():
                if sent[at] is not None:
                    use.sent.append(self._number(sent[at]))

        return look

    def _is_tensor(self, each: Any) -> bool:
        return isinstance(each, self._torch.Tensor)

    def _is_real(self, each: Any) -> bool:
        return self._is_tensor(each) and each.is_floating_point()


def _copies(flat: Sequence[Any]) -> list[Any]:
    """With a copy for each tensor; what was one tensor stays one."""
    made = {id(each): each.detach().clone() for each in flat if hasattr(each, "detach")}
    return [made.get(id(each), each) for each in flat]


def _title(function: Any) -> str:
    title = str(getattr(function, "__name__", function))
    return title.strip("_") or title
