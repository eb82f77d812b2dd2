"""A jaxpr, equation by equation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crosscheck.frontends import verbs
from crosscheck.frontends.jax_primitives import MOVES, RULES, gathered, scattered
from crosscheck.frontends.sources import Frame, source_of
from crosscheck.frontends.traced import Source
from crosscheck.frontends.tracing import Known, Tracing, Value, shape_of
from crosscheck.program.graph import Var
from crosscheck.tools.errors import UnsupportedError, UsageError

__all__ = ["PlacedError", "Reader"]

_MOST_TURNS = 10_000
_INNER = ("call_jaxpr", "jaxpr", "fun_jaxpr")
_CALLS = frozenset(
    {
        "jit",
        "pjit",
        "closed_call",
        "core_call",
        "remat",
        "remat2",
        "checkpoint",
        "custom_jvp_call",
        "custom_vjp_call",
        "custom_vjp_call_jaxpr",
    }
)


class Reader:
    """Reads jaxprs into a program.

    Args:
        jax: The library.
        tracing: The program in the making.
    """

    def __init__(self, jax: Any, tracing: Tracing) -> None:
        self._jax, self._tracing = jax, tracing
        self._inside_library = 0

    def run(self, jaxpr: Any, consts: Sequence[Any], arguments: Sequence[Value]) -> list[Value]:
        """The results of a jaxpr.

        Args:
            jaxpr: An open one.
            consts: Numbers, or values, of its constants.
            arguments: Of its other inputs.

        Raises:
            UnsupportedError: A primitive has no rule; with the user's line.
        """
        constants = [each if _is_value(each) else Known(each) for each in consts]
        found: dict[Any, Value] = dict(
            zip((*jaxpr.constvars, *jaxpr.invars), (*constants, *arguments), strict=True)
        )

        def value(atom: Any) -> Value:
            return Known(atom.val) if hasattr(atom, "val") else found[atom]

        for equation in jaxpr.eqns:
            operands = [value(each) for each in equation.invars]
            with self._tracing.at(self.source(equation)):
                results = self._applied(equation, operands)
            found.update(zip(equation.outvars, results, strict=True))
        return [value(each) for each in jaxpr.outvars]

    def equation(self, equation: Any, operands: Sequence[Value]) -> list[Value]:
        """The results of one equation.

        Args:
            equation: Of a jaxpr.
            operands: Its own.

        Raises:
            UnsupportedError: As of `run`.
        """
        with self._tracing.at(self.source(equation)):
            return self._applied(equation, operands)

    def source(self, equation: Any) -> Source | None:
        """Where an equation stands."""
        traceback = equation.source_info.traceback
        if self._inside_library or traceback is None:
            return None
        codes, places = traceback.raw_frames()
        frames: list[Frame] = list(zip(codes, places, strict=True))
        return source_of(frames)

    def _applied(self, equation: Any, operands: Sequence[Value]) -> list[Value]:
        name, params = equation.primitive.name, equation.params
        try:
            if name in _CALLS:
                return self._called(equation, operands)
            if all(isinstance(each, Known) for each in operands) and name not in (
                "select_n",
                "not",
            ):
                return self._folded(equation, operands)
            if name in ("scan", "while", "cond"):
                return list(getattr(self, f"_{name}")(params, operands))
            result = self._real(name, equation, operands)
        except UnsupportedError as error:
            raise self._placed(error, name) from None
        except UsageError as error:
            raise self._placed(error, name) from None
        return result if isinstance(result, list) else [result]

    def _placed(self, error: Exception, name: str) -> PlacedError:
        """The error with the primitive and the user's line, once."""
        if isinstance(error, PlacedError):
            return error
        source = self._tracing.source
        where = "" if source is None else f"{source.place}: "
        what = "" if source is None else f", in {source.text}"
        return PlacedError(f"{where}{name}: {error}{what}", name, str(error))

    def _folded(self, equation: Any, operands: Sequence[Value]) -> list[Value]:
        """What is known of known numbers, by the primitive itself."""
        known = [each for each in operands if isinstance(each, Known)]
        if equation.primitive.name == "stop_gradient":
            return [*known]
        pairs = tuple(dict.fromkeys(pair for each in known for pair in each.pairs))
        tests = [each.test for each in known]
        result = equation.primitive.bind(*(each.array for each in known), **equation.params)
        results = result if equation.primitive.multiple_results else [result]
        kept = None
        if len(known) == 1 and equation.primitive.name == "convert_element_type":
            kept = tests[0]
        if (
            len(known) == 1
            and equation.primitive.name in ("broadcast_in_dim", "reshape")
            and tests[0]
        ):
            return [RULES[equation.primitive.name](self._tracing, equation.params, known[0])]
        return [Known(each, pairs, kept) for each in results]

    def _real(self, name: str, equation: Any, operands: Sequence[Value]) -> Any:
        tracing, params = self._tracing, equation.params
        if name in RULES:
            return RULES[name](tracing, params, *operands)
        if name in MOVES:
            return self._moved(name, equation, operands)
        if name == "gather":
            return self._gathered(equation, *operands)
        if name in ("scatter-add", "scatter_add"):
            return self._scattered(equation, *operands)
        raise UnsupportedError("no rule for this primitive")

    # -- places ----------------------------------------------------------------------------------

    def _moved(self, name: str, equation: Any, operands: Sequence[Value]) -> Any:
        """A primitive that moves numbers, run on their places."""
        real = {"dynamic_slice": (0,), "slice": (0,), "split": (0,), "tile": (0,), "pad": (0, 1)}
        moving = real.get(name, (0, 2) if name == "scatter" else (0, 1))
        moving = tuple(range(len(operands))) if name == "stack" else moving
        self._indices(each for at, each in enumerate(operands) if at not in moving)

        def run(*places: Any) -> Any:
            given = dict(zip(moving, places, strict=True))
            arrays = [
                given[at] if at in given else self._array(each) for at, each in enumerate(operands)
            ]
            return equation.primitive.bind(*arrays, **equation.params)

        values = [operands[at] for at in moving]
        if name == "split":
            count = len(equation.outvars)
            return [self._part(values[0], run, number) for number in range(count)]
        if len(values) == 1:
            return self._tracing.moved(values[0], run)
        return self._tracing.moved_together(values, run)

    def _part(self, value: Value, run: Any, number: int) -> Value:
        return self._tracing.moved(value, lambda places: run(places)[number])

    def _gathered(self, equation: Any, x: Value, indices: Value) -> Value:
        self._indices([indices])

        def change(places: Any, fill: int) -> Any:
            params = {**equation.params, "fill_value": fill}
            return np.asarray(equation.primitive.bind(places, self._array(indices), **params))

        return gathered(self._tracing, equation.params, x, change)

    def _scattered(self, equation: Any, x: Value, indices: Value, updates: Value) -> Value:
        """The adjoint of ``scatter-add`` by the updates, of the places, one further on."""
        self._indices([indices])
        jnp, at = self._jax.numpy, self._array(indices)
        zeros = jnp.zeros(shape_of(x))

        def added(u: Any) -> Any:
            return equation.primitive.bind(zeros, at, u, **equation.params)

        _, back = self._jax.vjp(added, jnp.zeros(shape_of(updates)))
        (places,) = back(jnp.asarray(verbs.numbered(shape_of(x)) + 1.0))
        return scattered(self._tracing, x, updates, np.asarray(places).astype(np.intp) - 1)

    def _indices(self, values: Any) -> None:
        for each in values:
            if isinstance(each, Known):
                self._tracing.note(each.pairs)

    @staticmethod
    def _array(value: Value) -> Any:
        if not isinstance(value, Known):
            raise UnsupportedError("an index is computed of numbers that are differentiated")
        return value.array

    # -- calls and loops -------------------------------------------------------------------------

    def _called(self, equation: Any, operands: Sequence[Value]) -> list[Value]:
        inner = next(equation.params[key] for key in _INNER if key in equation.params)
        jaxpr, consts = (inner.jaxpr, inner.consts) if hasattr(inner, "consts") else (inner, ())
        info = str(getattr(getattr(jaxpr, "debug_info", None), "func_src_info", ""))
        file = info.partition(" at ")[2].rpartition(":")[0]
        of_library = "site-packages" in Path(file).parts or not file
        function = info.partition(" at ")[0]
        if of_library and function in _FUNCTIONS:
            known = _FUNCTIONS[function](self._tracing, operands)
            if known is not None:
                return [known]
        self._inside_library += of_library
        try:
            return self.run(jaxpr, consts, operands)
        finally:
            self._inside_library -= of_library

    def _scan(self, params: Mapping[str, Any], operands: Sequence[Value]) -> list[Value]:
        count, carried = params["num_consts"], params["num_carry"]
        consts = list(operands[:count])
        carry = list(operands[count : count + carried])
        rows = operands[count + carried :]
        order = range(params["length"])
        found: list[list[Value]] = []
        for turn in reversed(order) if params["reverse"] else order:
            here = [self._row(each, turn) for each in rows]
            closed = params["jaxpr"]
            results = self.run(closed.jaxpr, closed.consts, [*consts, *carry, *here])
            carry = results[:carried]
            found.append(results[carried:])
        if params["reverse"]:
            found.reverse()
        if not found and len(params["jaxpr"].jaxpr.outvars) > carried:
            raise UnsupportedError("a loop of no turns with results of each")
        return [*carry, *map(self._stacked, zip(*found, strict=True))]

    def _row(self, value: Value, number: int) -> Value:
        return self._tracing.moved(value, lambda places: places[number])

    def _stacked(self, values: Sequence[Value]) -> Value:
        known = [each for each in values if isinstance(each, Known)]
        if len(known) == len(values):
            pairs = tuple(pair for each in known for pair in each.pairs)
            return Known(np.stack([np.asarray(each.array) for each in known]), pairs)
        return self._tracing.moved_together(values, lambda *places: np.stack(places))

    def _while(self, params: Mapping[str, Any], operands: Sequence[Value]) -> list[Value]:
        of_test, of_body = params["cond_nconsts"], params["body_nconsts"]
        test, body = params["cond_jaxpr"], params["body_jaxpr"]
        first, second = operands[:of_test], operands[of_test : of_test + of_body]
        carry = list(operands[of_test + of_body :])
        for _ in range(_MOST_TURNS):
            (goes_on,) = self.run(test.jaxpr, test.consts, [*first, *carry])
            self._indices([goes_on])
            if not bool(np.asarray(self._array(goes_on))):
                return carry
            carry = self.run(body.jaxpr, body.consts, [*second, *carry])
        raise UnsupportedError(f"more than {_MOST_TURNS} turns of a loop")

    def _cond(self, params: Mapping[str, Any], operands: Sequence[Value]) -> list[Value]:
        which, *rest = operands
        self._indices([which])
        branches = params["branches"]
        at = min(max(int(np.asarray(self._array(which))), 0), len(branches) - 1)
        return self.run(branches[at].jaxpr, branches[at].consts, rest)


class PlacedError(UnsupportedError):
    """An error that says where.

    Attributes:
        primitive: What is not understood.
        reason: Why.
    """

    def __init__(self, message: str, primitive: str, reason: str) -> None:
        super().__init__(message)
        self.primitive, self.reason = primitive, reason


def _is_value(each: Any) -> bool:
    return isinstance(each, Known | Var) or hasattr(each, "special")


# -- functions of JAX's own that are one of the table's --------------------------------------------


def _one_elementary(name: str) -> Any:
    return lambda tracing, x: verbs.elementary(name, tracing.lift(x[0]))


def _log_add_exp(tracing: Tracing, x: Sequence[Value]) -> Value | None:
    """log(eᵃ + eᵇ): with 0 for one of them `softplus`; its forward pass has kinks that cancel."""
    for one, other in ((x[0], x[1]), (x[1], x[0])):
        if isinstance(other, Known) and not np.any(np.asarray(other.array)):
            shape = np.broadcast_shapes(*map(shape_of, x))
            return verbs.elementary("softplus", tracing.lift(one).broadcast(shape))
    a, b = verbs.aligned(*(tracing.lift(each) for each in x))
    shape = np.broadcast_shapes(a.shape, b.shape)
    size = (math.prod(shape),)
    pair = [verbs.reshaped(each.broadcast(shape), size).expand(-1) for each in (a, b)]
    found = verbs.joined(pair, 1).log_sum_exp().squeeze(-1)
    return verbs.reshaped(found, shape)


_FUNCTIONS = {
    "logaddexp": _log_add_exp,
    "softplus": _one_elementary("softplus"),
    "silu": _one_elementary("silu"),
}
"""By the name that JAX's function has there."""
