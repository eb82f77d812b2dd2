"""PyTorch models, function by function.

What is watched is PyTorch's own eager run: each of its functions, as `torch.nn.functional.linear`
or a method of a tensor (`crosscheck.run.modules.torch_watching`). A function's program is read by
itself, of its own operands (`crosscheck.frontends.torch_.trace`).
"""

from __future__ import annotations

import contextlib
import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from crosscheck.frameworks.fetched import Fetched
from crosscheck.frontends.calling import key_of
from crosscheck.frontends.recognised import recognised
from crosscheck.frontends.torch_.trace import trace_torch
from crosscheck.frontends.traced import TracedFunction
from crosscheck.judge.local.functions import Operation, Output, RecordedFunction, has_slope
from crosscheck.network.steps import Step
from crosscheck.numbers.arrays import Array
from crosscheck.run.modules.reading import Answer, Asked, NotUnderstood, Watched
from crosscheck.run.modules.torch_watching import Call, Calls, Use
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

    def _copied(self, tensor: Any) -> Array:
        return self._number(tensor.detach().clone())

    def watched(self, cotangents: Mapping[str, Array]) -> Watched:
        """See `ModelReader`."""
        leaves = self._sent()
        for name in self._wanted:
            leaves[name].requires_grad_()
        calls = Calls(self._torch, self._tree, leaves, self._copied, self._asked.parts)
        answer, found = self._answer(leaves, cotangents, calls.watching)
        reading = _Reading(self._tree, self._wanted)
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


class _Reading:
    """Makes operations of calls; notes what is not understood, and what was equal."""

    def __init__(self, tree: Any, wanted: Sequence[str]) -> None:
        self._tree = tree
        self._active = set(wanted)
        self._ids: dict[str, str] = {}
        self.refused: list[NotUnderstood] = []
        self.ties: dict[str, int] = {}

    def operation(self, call: Call) -> Operation | None:
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
        operands = {own: use.value for own, use in zip(owns, call.uses, strict=True)}
        active = {o: u for o, u in zip(owns, call.uses, strict=True) if u.name in self._active}
        try:
            traced = recognised(self._program(call, operands, list(active)))
        except (UnsupportedError, UsageError) as error:
            self.refused.append(NotUnderstood(call.title, str(error), call.source))
            return None
        slopes = has_slope(traced.program, list(active))
        if slopes:
            self._active |= {each.name for each in call.results}
        place = call.title
        if call.source is not None:
            place = f"{Path(call.source.file).name}:{call.source.line}"
        inputs = zip(owns, (use.name for use in call.uses), strict=True)
        step = Step(f"{call.number} {call.title}", place, tuple(inputs))
        self._ids |= {each.name: step.id for each in call.results}
        named = dict(zip(traced.outputs, call.results, strict=True))
        return Operation(
            step,
            traced.program,
            {**operands, **traced.constants},
            {key: each.value for key, each in named.items()},
            {f"cotangent of {key}": _total(each) for key, each in named.items()},
            {own: _total(use) for own, use in active.items()},
            {key: each.name for key, each in named.items()},
            call.source,
            slopes,
            parts={own: tuple(use.sent) for own, use in active.items() if len(use.sent) > 1},
        )

    def _program(
        self, call: Call, operands: Mapping[str, Array], active: Sequence[str]
    ) -> TracedFunction:
        def again(*values: Any) -> Any:
            outs = call.again(self._tree, values)
            found = tuple(outs[each.places[0]] for each in call.results)
            return found[0] if len(found) == 1 else found

        again.__name__ = call.title
        fixed = [own for own in operands if own not in active]
        return trace_torch(again, operands, traced=active, fixed=fixed)

    def _compare(self, call: Call) -> None:
        values = {at: use.value for use in call.uses for at in use.places}
        sides = [values.get(at, each) for at, each in enumerate(call.flat[:2])]
        if len(sides) == 2:
            count = int(np.count_nonzero(np.equal(*map(np.asarray, sides))))
            if count:
                self.ties[f"{call.number} {call.title}"] = count


def _total(use: Use) -> Array:
    """The exact sum of what was sent, rounded once to float64; 0 if nothing was."""
    if len(use.sent) == 1:
        return use.sent[0]
    found = np.zeros(use.value.shape)
    for at in np.ndindex(use.value.shape if use.sent else (0,)):
        parts = [float(each[at]) for each in use.sent]
        found[at] = math.fsum(parts) if np.all(np.isfinite(parts)) else np.sum(parts)
    return found
