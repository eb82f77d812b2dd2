"""PyTorch models, function by function.

What is watched is PyTorch's own eager run: each of its functions, as `torch.nn.functional.linear`
or a method of a tensor, is handed views of its operands, one for each use, and what it returns is
handed on as a view. A view has a cotangent of its own, at which a hook looks on. Views are made
from the last operand to the first, so that autograd, which goes back from the latest, adds up what
comes to them in the order in which it would without them. A function's program is read by itself,
of its own operands (`crosscheck.frontends.torch_.trace`); one that writes into its operand is
refused.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from crosscheck.frameworks.fetched import Fetched
from crosscheck.frontends.calling import key_of
from crosscheck.frontends.recognised import recognised
from crosscheck.frontends.torch_.frames import Frames
from crosscheck.frontends.torch_.trace import trace_torch
from crosscheck.frontends.traced import Source, TracedFunction
from crosscheck.judge.local.functions import Operation, Output, RecordedFunction, has_slope
from crosscheck.network.steps import Step
from crosscheck.numbers.arrays import Array
from crosscheck.run.modules.reading import Answer, Asked, NotUnderstood, Watched
from crosscheck.tools.errors import UnsupportedError, UsageError
from crosscheck.tools.words import named

__all__ = ["TorchReader"]

_COMPARISONS = frozenset({"gt", "ge", "lt", "le", "eq", "ne"})


class TorchReader:
    """A PyTorch function of tensors; see `crosscheck.run.modules.reading.ModelReader`."""

    framework: ClassVar[str] = "torch"
    mode: ClassVar[str] = "eager"
    derivation: ClassVar[str] = "torch.autograd.grad"

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._torch: Any = importlib.import_module("torch")
        self._tree: Any = importlib.import_module("torch.utils._pytree")
        self._dtype = getattr(self._torch, asked.dtype)
        self._forms: dict[str, tuple[list[str], Any]] = {}
        held: dict[str, Any] = {}
        for name in (*asked.wrt, *asked.fixed):
            leaves, form = self._tree.tree_flatten_with_path(asked.arguments[name])
            names = [".".join([name, *map(key_of, path)]) for path, _ in leaves]
            self._forms[name] = names, form
            for own, (_, leaf) in zip(names, leaves, strict=True):
                held[own] = np.asarray(leaf, asked.dtype)
        self._held = {own: held[own] for name in asked.arguments for own in self._own(name)}
        self.leaves: Mapping[str, Array] = {n: a.astype(np.float64) for n, a in self._held.items()}
        self._wanted = [name for name in self.leaves if asked.wants(name)]
        self._fetch = Fetched(np.asarray, lambda array: np.array(array, dtype=np.float64))
        with self._torch.no_grad():
            found = self._outputs(self._call(self._sent()))
        self._shapes = {name: tuple(each.shape) for name, each in found.items()}
        for name, each in found.items():
            if each.dtype != self._dtype:
                raise UsageError(
                    f"{asked.name}: {name} is {each.dtype}, the numbers are {asked.dtype}; wanted "
                    "one dtype throughout"
                )

    def _own(self, name: str) -> Sequence[str]:
        return self._forms[name][0] if name in self._forms else ()

    def _sent(self) -> dict[str, Any]:
        return {name: self._torch.tensor(array) for name, array in self._held.items()}

    def _call(self, leaves: Mapping[str, Any]) -> Any:
        given = []
        for name, value in self._asked.arguments.items():
            if name in self._forms:
                names, form = self._forms[name]
                given.append(self._tree.tree_unflatten([leaves[each] for each in names], form))
            else:
                is_array = isinstance(value, np.ndarray)
                given.append(self._torch.as_tensor(value.copy()) if is_array else value)
        try:
            return self._asked.function(*given)
        except Exception as error:
            said = named(error, first_line=True, silent="no message")
            raise UsageError(f"the function {self._asked.name} raised {said}") from error

    def _outputs(self, returned: Any) -> dict[str, Any]:
        leaves, _ = self._tree.tree_flatten_with_path(returned)
        by_key = isinstance(returned, Mapping)
        found = {}
        for path, leaf in leaves:
            if isinstance(leaf, self._torch.Tensor) and leaf.is_floating_point():
                words = ".".join(map(key_of, path))
                name = words if by_key else f"out{words}"
                found["out" if len(leaves) == 1 and not path else name] = leaf
        return found

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """See `ModelReader`."""
        return self._shapes

    def traced(self) -> TracedFunction:
        """See `ModelReader`."""
        asked = self._asked
        return trace_torch(asked.function, asked.arguments, traced=asked.wrt, fixed=asked.fixed)

    # -- gradients -------------------------------------------------------------------------------

    def given(self, cotangents: Mapping[str, Array]) -> Answer:
        """See `ModelReader`."""
        return self._answer(self._sent(), cotangents)[0]

    def _answer(
        self,
        leaves: Mapping[str, Any],
        cotangents: Mapping[str, Array],
        around: Callable[[], Any] = contextlib.nullcontext,
    ) -> tuple[Answer, dict[str, Any]]:
        torch = self._torch
        for name in self._wanted:
            leaves[name].requires_grad_()
        with torch.enable_grad():
            with around():
                found = self._outputs(self._call(leaves))
            moving = [name for name, each in found.items() if each.requires_grad]
            derivatives = torch.autograd.grad(
                [found[name] for name in moving],
                [leaves[name] for name in self._wanted],
                [torch.tensor(cotangents[name], dtype=self._dtype) for name in moving],
                allow_unused=True,
                materialize_grads=True,
            )
        values = {name: self._number(each) for name, each in found.items()}
        numbers = map(self._number, derivatives)
        return Answer(values, dict(zip(self._wanted, numbers, strict=True))), found

    def _number(self, tensor: Any) -> Array:
        return self._fetch(tensor.detach().numpy())

    def watched(self, cotangents: Mapping[str, Array]) -> Watched:
        """See `ModelReader`."""
        leaves = self._sent()
        calls = _Calls(self._torch, self._tree, leaves, self._asked.parts)
        answer, found = self._answer(leaves, cotangents, calls.watching)
        reading = _Reading(self._torch, self._tree, self._number, self._wanted)
        operations = [reading.operation(each) for each in calls.runs]
        recorded = None
        if not reading.refused:
            outputs = {
                name: Output(calls.name(each), answer.values[name], cotangents[name])
                for name, each in found.items()
            }
            done = tuple(each for each in operations if each is not None)
            recorded = RecordedFunction(done, self.leaves, outputs, answer.derivatives)
        plain = self.given(cotangents)
        return Watched(recorded, answer, plain, tuple(reading.refused), reading.ties)


@dataclass(eq=False)
class _Use:
    """A number where it is used, or where it is returned: a view and what came to it.

    It is used at several places at once by a function of Python's, which may ask whether two of
    its operands are one.
    """

    name: str
    places: Sequence[int]
    view: Any
    cotangent: Any = None


@dataclass(eq=False)
class _Call:
    """A function as it was called."""

    number: int
    title: str
    function: Callable[..., Any]
    flat: Sequence[Any]
    form: Any
    uses: Sequence[_Use]
    results: Sequence[_Use]
    source: Source | None
    refusal: str = ""


class _Calls:
    """Looks on while a function runs."""

    def __init__(
        self, torch: Any, tree: Any, leaves: Mapping[str, Any], parts: Mapping[int, str]
    ) -> None:
        self._torch, self._tree = torch, tree
        self.runs: list[_Call] = []
        self._names: dict[int, tuple[str, Any]] = {id(t): (n, t) for n, t in leaves.items()}
        self._frames = Frames(torch, sys._getframe(1), parts)
        self._applying = False

    def name(self, tensor: Any) -> str:
        """What a tensor is called; empty if it depends on no real argument."""
        return self._names.get(id(tensor), ("", None))[0]

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
        """A function of PyTorch's, handed views."""
        flat, form = self._tree.tree_flatten((args, kwargs))
        live = [at for at, each in enumerate(flat) if self.name(each)]
        if not live:
            return function(*args, **kwargs)
        title = str(getattr(function, "__name__", function))
        if title == "__get__":
            found = function(*args, **kwargs)
            if not isinstance(found, self._torch.Tensor):
                return found
            title = str(getattr(getattr(function, "__self__", None), "__name__", title))
        title = title.strip("_") or title
        refusal = _mutation(str(getattr(function, "__name__", "")), kwargs)
        if refusal:
            self.runs.append(
                _Call(
                    len(self.runs) + 1, title, function, flat, form, (), (), self._source(), refusal
                )
            )
            return function(*args, **kwargs)
        places: dict[int, list[int]] = {}
        for at in live:
            places.setdefault(id(flat[at]) if hasattr(function, "__code__") else at, []).append(at)
        uses = [
            self._use(self.name(flat[each[0]]), each, flat[each[0]])
            for each in reversed(places.values())
        ]
        given = list(flat)
        for use in uses:
            for at in use.places:
                given[at] = use.view
        own, named = self._tree.tree_unflatten(given, form)
        returned = function(*own, **named)
        outs, shape = self._tree.tree_flatten(returned)
        number, results = len(self.runs) + 1, []
        tensors = [at for at, each in enumerate(outs) if self._is_real(each)]
        for at in tensors:
            name = str(number) if len(tensors) == 1 else f"{number}.{at}"
            results.append(self._use(name, [at], outs[at]))
            outs[at] = results[-1].view
            self._names[id(outs[at])] = name, outs[at]
        call = _Call(number, title, function, flat, form, uses[::-1], results, self._source())
        self.runs.append(call)
        return self._tree.tree_unflatten(outs, shape) if tensors else returned

    def _source(self) -> Source | None:
        return self._frames.source()

    def _is_real(self, each: Any) -> bool:
        return isinstance(each, self._torch.Tensor) and each.is_floating_point()

    def _use(self, name: str, places: Sequence[int], tensor: Any) -> _Use:
        with self._torch._C.DisableTorchFunction():
            found = _Use(name, places, tensor.view_as(tensor))
            if found.view.requires_grad:

                def look(cotangent: Any) -> None:
                    found.cotangent = cotangent

                found.view.register_hook(look)
        return found


def _mutation(name: str, kwargs: Mapping[str, Any]) -> str:
    """Why a function cannot be watched that writes into its operand; empty for others."""
    inner = name.strip("_")
    in_place = name.endswith("_") and not name.endswith("__")
    by_operator = name.startswith("__i") and inner[1:] in (
        "add", "sub", "mul", "div", "truediv", "pow", "matmul"
    )  # fmt: skip
    if in_place or by_operator or name == "__setitem__" or kwargs.get("inplace"):
        return "it writes into its operand, which is not watched; write what returns a new tensor"
    return ""


class _Reading:
    """Makes operations of calls; notes what is not understood, and what was equal."""

    def __init__(
        self, torch: Any, tree: Any, number: Callable[[Any], Array], wanted: Sequence[str]
    ) -> None:
        self._torch, self._tree, self._number = torch, tree, number
        self._active = set(wanted)
        self._ids: dict[str, str] = {}
        self.refused: list[NotUnderstood] = []
        self.ties: dict[str, int] = {}

    def operation(self, call: _Call) -> Operation | None:
        """An operation; ``None`` if it returns no real numbers, or is not understood."""
        if call.refusal:
            self.refused.append(NotUnderstood(call.title, call.refusal, call.source))
            return None
        if call.title in _COMPARISONS:
            self._compare(call)
        if not call.results:
            return None
        owns: list[str] = []
        for use in call.uses:
            own = self._ids.get(use.name, use.name)
            while own in owns:
                own += "'"
            owns.append(own)
        operands = {own: self._number(u.view) for own, u in zip(owns, call.uses, strict=True)}
        active = [o for o, use in zip(owns, call.uses, strict=True) if use.name in self._active]
        try:
            traced = recognised(self._program(call, operands, active))
        except (UnsupportedError, UsageError) as error:
            self.refused.append(NotUnderstood(call.title, str(error), call.source))
            return None
        keys = list(traced.outputs)
        slopes = has_slope(traced.program, active)
        if slopes:
            self._active |= {each.name for each in call.results}
        place = call.title
        if call.source is not None:
            place = f"{Path(call.source.file).name}:{call.source.line}"
        inputs = zip(owns, (use.name for use in call.uses), strict=True)
        step = Step(f"{call.number} {call.title}", place, tuple(inputs))
        self._ids |= {each.name: step.id for each in call.results}
        results = zip(keys, call.results, strict=True)
        named = dict(results)
        return Operation(
            step,
            traced.program,
            {**operands, **traced.constants},
            {key: self._number(each.view) for key, each in named.items()},
            {f"cotangent of {key}": self._came(each) for key, each in named.items()},
            {o: self._came(u) for o, u in zip(owns, call.uses, strict=True) if o in active},
            {key: each.name for key, each in named.items()},
            call.source,
            slopes,
        )

    def _came(self, use: _Use) -> Array:
        seen = use.cotangent
        return self._number(self._torch.zeros_like(use.view) if seen is None else seen)

    def _program(
        self, call: _Call, operands: Mapping[str, Array], active: Sequence[str]
    ) -> TracedFunction:
        known = [
            each.detach() if isinstance(each, self._torch.Tensor) else each for each in call.flat
        ]

        def again(*values: Any) -> Any:
            given = list(known)
            for use, value in zip(call.uses, values, strict=True):
                for at in use.places:
                    given[at] = value
            args, kwargs = self._tree.tree_unflatten(given, call.form)
            outs, _ = self._tree.tree_flatten(call.function(*args, **kwargs))
            found = tuple(outs[each.places[0]] for each in call.results)
            return found[0] if len(found) == 1 else found

        again.__name__ = call.title
        fixed = [own for own in operands if own not in active]
        return trace_torch(again, operands, traced=active, fixed=fixed)

    def _compare(self, call: _Call) -> None:
        sides = [self._torch.as_tensor(each) for each in call.flat[:2]]
        if len(sides) == 2 and sides[0].is_floating_point():
            count = int((sides[0].detach() == sides[1].detach()).sum())
            if count:
                self.ties[f"{call.number} {call.title}"] = count
