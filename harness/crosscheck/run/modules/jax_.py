"""JAX models, equation by equation.

What is watched is JAX's own differentiation of the equations, run one after the other, with an
identity at each use of a number and at each result, whose derivative looks on
(`crosscheck.frameworks.watched`). What goes into an equation and depends on no real argument is
known to its program; the rest are the program's inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from crosscheck.frameworks.fetched import Fetched
from crosscheck.frontends.jax_flat import bound, flat, function_name
from crosscheck.frontends.jax_reading import PlacedError, Reader
from crosscheck.frontends.jax_tracing import JaxFunction
from crosscheck.frontends.recognised import recognised
from crosscheck.frontends.traced import TracedFunction
from crosscheck.frontends.tracing import Known, Tracing, Value
from crosscheck.judge.local.functions import Operation, Output, RecordedFunction, has_slope
from crosscheck.network.steps import Step
from crosscheck.numbers.arrays import Array
from crosscheck.run.modules.reading import Answer, Asked, NotUnderstood, Watched
from crosscheck.tools.errors import UnsupportedError, UsageError

__all__ = ["JaxReader"]

_COMPARISONS = frozenset({"gt", "ge", "lt", "le", "eq", "ne"})


@dataclass(frozen=True, eq=False)
class _Held:
    """A number while a model is run.

    Attributes:
        value: JAX's array, or a tracer of one.
        name: Of what depends on a real argument; empty otherwise.
    """

    value: Any
    name: str = ""


@dataclass(frozen=True, eq=False)
class _Run:
    """An equation as it was run: what it was given, and what it returned."""

    number: int
    equation: Any
    operands: Sequence[_Held]
    results: Sequence[_Held]


class JaxReader:
    """A JAX function of trees of arrays; see `crosscheck.run.modules.reading.ModelReader`."""

    framework: ClassVar[str] = "jax"
    mode: ClassVar[str] = "eager"
    derivation: ClassVar[str] = "jax.vjp"

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._function = JaxFunction(
            asked.function,
            asked.arguments,
            traced=asked.wrt,
            fixed=asked.fixed,
            dtype=asked.dtype,
            change=flat,
        )
        self._jax = self._function.jax
        held = {n: np.asarray(a, asked.dtype) for n, a in self._function.arrays.items()}
        self.leaves: Mapping[str, Array] = {n: a.astype(np.float64) for n, a in held.items()}
        with self._function.session():
            self._sent = [self._jax.numpy.asarray(each) for each in held.values()]
        self._wanted = [name for name in self.leaves if asked.wants(name)]
        self._fetch = Fetched(np.asarray, lambda array: np.array(array, dtype=np.float64))
        self._require_one_dtype()

    def _require_one_dtype(self) -> None:
        wanted = self._asked.dtype
        for equation in self._function.closed.jaxpr.eqns:
            for each in equation.outvars:
                dtype = each.aval.dtype
                if dtype.kind == "f" and str(dtype) != wanted:
                    raise UsageError(
                        f"{self._asked.name}: {equation.primitive.name} computes in {dtype}, the "
                        f"numbers are {wanted}; wanted one dtype throughout: --dtype {dtype}"
                    )

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """See `ModelReader`."""
        leaves = self._jax.tree_util.tree_leaves(self._function.form)
        names = self._function.names()
        return {name: each.shape for name, each in zip(names, leaves, strict=True) if name}

    def traced(self) -> TracedFunction:
        """See `ModelReader`."""
        return self._function.traced()

    # -- gradients -------------------------------------------------------------------------------

    def given(self, cotangents: Mapping[str, Array]) -> Answer:
        """See `ModelReader`."""
        with self._function.session():
            return self._answer(
                lambda leaves: self._jax.tree_util.tree_leaves(self._function.call(*leaves)),
                cotangents,
            )

    def _answer(
        self, call: Callable[[Sequence[Any]], Sequence[Any]], cotangents: Mapping[str, Array]
    ) -> Answer:
        names = self._function.names()
        known = dict(zip(self.leaves, self._sent, strict=True))

        def of_wanted(*leaves: Any) -> dict[str, Any]:
            arrays = {**known, **dict(zip(self._wanted, leaves, strict=True))}
            found = zip(names, call(list(arrays.values())), strict=True)
            return {name: self._jax.numpy.asarray(each) for name, each in found if name}

        values, back = self._jax.vjp(of_wanted, *(known[name] for name in self._wanted))
        seeds = {n: self._jax.numpy.asarray(c, self._asked.dtype) for n, c in cotangents.items()}
        derivatives = back({name: seeds[name] for name in values})
        return Answer(
            {name: self._fetch(each) for name, each in values.items()},
            {n: self._fetch(d) for n, d in zip(self._wanted, derivatives, strict=True)},
        )

    def watched(self, cotangents: Mapping[str, Array]) -> Watched:
        """See `ModelReader`."""
        with self._function.session():
            plain = _Equations(self._jax, self._function.closed, list(self.leaves))
            unwatched = self._answer(plain.run, cotangents)
            marks = _Marks(self._jax)
            equations = _Equations(self._jax, self._function.closed, list(self.leaves), marks)
            answer = self._answer(equations.run, cotangents)
            reading = _Reading(self._jax, marks, self._fetch, self._wanted)
            operations = [reading.operation(each) for each in equations.runs]
        recorded = None
        if not reading.refused:
            names = self._function.names()
            outputs = {
                name: Output(held.name, answer.values[name], cotangents[name])
                for name, held in zip(names, equations.outputs, strict=True)
                if name
            }
            recorded = RecordedFunction(
                tuple(each for each in operations if each is not None),
                self.leaves,
                outputs,
                answer.derivatives,
            )
        return Watched(recorded, answer, unwatched, tuple(reading.refused), reading.ties)


class _Marks:
    """What was seen: the value and the cotangent at each mark."""

    def __init__(self, jax: Any) -> None:
        self._jax = jax
        self.values: dict[tuple[int, str], Any] = {}
        self.cotangents: dict[tuple[int, str], Any] = {}

    def __call__(self, mark: tuple[int, str], array: Any) -> Any:
        """The array, looked at; see `crosscheck.frameworks.jax_`."""

        def forward(array: Any) -> tuple[Any, None]:
            self.values[mark] = array
            return array, None

        def backward(_: None, cotangent: Any) -> tuple[Any]:
            self.cotangents[mark] = cotangent
            return (cotangent,)

        identity = self._jax.custom_vjp(lambda array: forward(array)[0])
        identity.defvjp(forward, backward)
        return identity(array)


class _Equations:
    """A flat jaxpr, run equation by equation.

    Args:
        jax: The library.
        closed: The jaxpr.
        leaves: Name of each input.
        marks: Look on, if anybody does.
    """

    def __init__(
        self,
        jax: Any,
        closed: Any,
        leaves: Sequence[str],
        marks: _Marks | None = None,
    ) -> None:
        self._jax, self._closed, self._leaves, self._marks = jax, closed, leaves, marks
        self.runs: list[_Run] = []
        self.outputs: list[_Held] = []

    def run(self, leaves: Sequence[Any]) -> list[Any]:
        """What the function returns."""
        jaxpr = self._closed.jaxpr
        given = [_Held(value, name) for value, name in zip(leaves, self._leaves, strict=True)]
        constants = [_Held(each) for each in self._closed.consts]
        found = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*constants, *given), strict=True))

        def held(atom: Any) -> _Held:
            return _Held(atom.val) if hasattr(atom, "val") else found[atom]

        for number, equation in enumerate(jaxpr.eqns, 1):
            results = self._applied(number, equation, [held(each) for each in equation.invars])
            found.update(zip(equation.outvars, results, strict=True))
        self.outputs = [held(each) for each in jaxpr.outvars]
        return [each.value for each in self.outputs]

    def _applied(self, number: int, equation: Any, operands: Sequence[_Held]) -> Sequence[_Held]:
        with self._jax.named_scope(function_name(equation)):
            values = [
                self._mark((number, f"operand {at}"), each) for at, each in enumerate(operands)
            ]
            returned = bound(equation, values)
        is_live = any(each.name for each in operands)
        results = []
        for at, value in enumerate(returned):
            real = is_live and value.dtype.kind not in "biu"
            name = f"{number}" if len(returned) == 1 else f"{number}.{at}"
            one = _Held(value, name if real else "")
            results.append(_Held(self._mark((number, f"result {at}"), one), one.name))
        if is_live:
            self.runs.append(_Run(number, equation, operands, results))
        return results

    def _mark(self, mark: tuple[int, str], each: _Held) -> Any:
        return each.value if self._marks is None or not each.name else self._marks(mark, each.value)


class _Reading:
    """Makes operations of what was run; notes what is not understood, and what was equal."""

    def __init__(self, jax: Any, marks: _Marks, fetch: Fetched, wanted: Collection[str]) -> None:
        self._jax, self._marks, self._fetch = jax, marks, fetch
        self._active = set(wanted)
        self._ids: dict[str, str] = {}
        self.refused: list[NotUnderstood] = []
        self.ties: dict[str, int] = {}

    def operation(self, run: _Run) -> Operation | None:
        """An operation; ``None`` if it returns no real numbers, or is not understood."""
        equation, number = run.equation, run.number
        name = function_name(equation)
        source = Reader(self._jax, Tracing({})).source(equation)
        dtypes = [each.value.dtype.kind for each in (*run.operands, *run.results)]
        if "c" in dtypes:
            self.refused.append(NotUnderstood(name, "complex numbers, wanted real ones", source))
            return None
        operands: dict[str, Array] = {}
        inputs: dict[str, str] = {}
        values: list[str | Any] = []
        actives: list[tuple[str, int]] = []
        for at, each in enumerate(run.operands):
            if not each.name:
                values.append(Known(np.asarray(each.value)))
                continue
            own = self._ids.get(each.name, each.name)
            while own in operands:
                own += "'"
            operands[own] = self._fetch(self._marks.values[number, f"operand {at}"])
            inputs[own] = each.name
            values.append(own)
            if each.name in self._active:
                actives.append((own, at))
        if equation.primitive.name in _COMPARISONS:
            self._compare(f"{number} {name}", run)
        if not any(each.name for each in run.results):
            return None
        tracing = Tracing(operands)
        try:
            traced = self._program(equation, values, tracing)
        except PlacedError as error:
            inner = "" if error.primitive in (name, equation.primitive.name) else error.primitive
            whole = f"{name}, {inner}" if inner else name
            self.refused.append(NotUnderstood(whole, error.reason, source))
            return None
        except (UnsupportedError, UsageError) as error:
            self.refused.append(NotUnderstood(name, str(error), source))
            return None
        results = {
            key: self._fetch(self._marks.values[number, f"result {at}"]) for at, key in _keys(run)
        }
        source = next(iter(traced.sources.values()), source)
        place = name if source is None else f"{Path(source.file).name}:{source.line}"
        step = Step(f"{number} {name}", place, tuple(inputs.items()))
        self._ids |= {each.name: step.id for each in run.results}
        zeros = {key: np.zeros_like(array) for key, array in results.items()}
        slopes = has_slope(traced.program, [own for own, _ in actives])
        if slopes:
            self._active |= {each.name for each in run.results}
        return Operation(
            step,
            traced.program,
            {**operands, **traced.constants},
            results,
            {
                f"cotangent of {key}": self._cotangent((number, f"result {at}"), zeros[key])
                for at, key in _keys(run)
            },
            {
                own: self._cotangent((number, f"operand {at}"), np.zeros_like(operands[own]))
                for own, at in actives
            },
            {key: run.results[at].name for at, key in _keys(run)},
            source,
            slopes,
        )

    def _program(
        self, equation: Any, values: Sequence[str | Any], tracing: Tracing
    ) -> TracedFunction:
        named: list[Value] = [
            tracing.inputs[each] if isinstance(each, str) else each for each in values
        ]
        results = Reader(self._jax, tracing).equation(equation, named)
        outputs = {
            _key(at, len(results)): value
            for at, value in enumerate(results)
            if equation.outvars[at].aval.dtype.kind not in "biu"
        }
        return recognised(tracing.result(equation.primitive.name, outputs))

    def _cotangent(self, mark: tuple[int, str], zeros: Array) -> Array:
        seen = self._marks.cotangents.get(mark)
        return zeros if seen is None else self._fetch(seen)

    def _compare(self, step: str, run: _Run) -> None:
        """Notes where the sides of a comparison are equal."""
        one, two = (np.asarray(self._value(run, at)) for at in (0, 1))
        count = int(np.count_nonzero(np.equal(*np.broadcast_arrays(one, two))))
        if count and one.dtype.kind == "f":
            self.ties[step] = count

    def _value(self, run: _Run, at: int) -> Any:
        return self._marks.values.get((run.number, f"operand {at}"), run.operands[at].value)


def _keys(run: _Run) -> list[tuple[int, str]]:
    return [(at, _key(at, len(run.results))) for at, e in enumerate(run.results) if e.name]


def _key(at: int, count: int) -> str:
    return "result" if count == 1 else f"result {at}"
