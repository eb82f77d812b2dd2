"""A function written for JAX, as a program: read as the jaxpr of its forward pass.

What is read is the function itself; a derivative that the user has written for it, by
``custom_vjp`` or ``custom_jvp``, is what will be judged, and is not read.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from crosscheck.frontends.calling import called, key_of
from crosscheck.frontends.jax_reading import Reader
from crosscheck.frontends.traced import TracedFunction
from crosscheck.frontends.tracing import Known, Tracing, Value
from crosscheck.tools.errors import CrosscheckError, UnsupportedError, UsageError
from crosscheck.tools.words import message_of, named

__all__ = ["JaxFunction", "trace_jax"]


def trace_jax(
    function: Callable[..., Any],
    arguments: Mapping[str, Any],
    *,
    traced: Sequence[str],
    fixed: Sequence[str] = (),
) -> TracedFunction:
    """A function of JAX arrays in primitives, for arguments of these shapes and numbers.

    Args:
        function: Anything that JAX can trace.
        arguments: Name to what is handed over, in the order of the function's parameters. Arrays
            of real numbers may be leaves of a tree; they are inputs then as ``"params.layer.w"``.
        traced: Names of the arguments that are differentiated.
        fixed: Names of those that become inputs too, but are not differentiated. All others are
            known: they are handed over as they are.

    Raises:
        UsageError: A name is unknown, an array that is traced is not real, or the function raises.
        UnsupportedError: A primitive has no rule, or a branch of Python's depends on numbers.
    """
    return JaxFunction(function, arguments, traced=traced, fixed=fixed).traced()


class JaxFunction:
    """A function on arguments of some shapes, as JAX reads it.

    Attributes:
        jax: The library.
        name: Of the function.
        arrays: Name to float64 numbers of each leaf that becomes an input.
        closed: Its jaxpr, of these leaves in their order.
        form: The tree of what it returns, of shapes.

    Args:
        function: As of `trace_jax`, like what follows.
        arguments: Likewise.
        traced: Likewise.
        fixed: Likewise.
        dtype: Of the real numbers: the function may ask for it.
        change: Of the jaxpr, before it is read.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: Mapping[str, Any],
        *,
        traced: Sequence[str],
        fixed: Sequence[str] = (),
        dtype: str = "float64",
        change: Callable[[Any, Any], Any] = lambda jax, closed: closed,
    ) -> None:
        self.jax: Any = importlib.import_module("jax")
        self._function, self._arguments, self._dtype = function, arguments, dtype
        self._fixed = fixed
        unknown = [name for name in (*traced, *fixed) if name not in arguments]
        if unknown:
            raise UsageError(f"{unknown[0]!r} is no argument; there are {', '.join(arguments)}")
        self.name = getattr(function, "__name__", None) or type(function).__name__
        with self.session():
            self._given = _Arguments(self.jax, arguments, (*traced, *fixed))
            self.arrays = self._given.arrays
            closed, self.form = _jaxpr(self.jax, function, self._given, self.name, dtype)
            self.closed = change(self.jax, closed)

    def session(self) -> Any:
        """float64 is float64 while this lasts, if that is the dtype."""
        if self._dtype != "float64":
            return contextlib.nullcontext()
        if hasattr(self.jax, "enable_x64"):
            return self.jax.enable_x64(True)
        return importlib.import_module("jax.experimental").enable_x64(True)

    def call(self, *leaves: Any) -> Any:
        """What the function itself returns."""
        return called(self._function, self._given.put(leaves))

    def names(self) -> list[str | None]:
        """Of each leaf of what it returns its name; ``None`` of one that is no real number."""
        leaves, _ = self.jax.tree_util.tree_flatten_with_path(self.form)
        single = len(leaves) == 1 and not leaves[0][0]
        found: list[str | None] = []
        for path, leaf in leaves:
            words = ".".join(map(key_of, path))
            name = "out" if single else words if isinstance(self.form, dict) else f"out{words}"
            real = leaf.dtype.kind not in "biu"
            found.append(name if real else None)
        return found

    def traced(self) -> TracedFunction:
        """See `trace_jax`.

        Raises:
            UsageError: It returns no real numbers.
            UnsupportedError: A primitive has no rule.
        """
        owners = self._given.owners
        constant = [leaf for leaf, of in owners.items() if of in self._fixed]
        with self.session():
            tracing = Tracing(self.arrays, constant)
            inputs = [tracing.inputs[each] for each in self.arrays]
            reader = Reader(self.jax, tracing)
            values = reader.run(self.closed.jaxpr, self.closed.consts, inputs)
            outputs = self._named(values, tracing)
            return tracing.result(self.name, outputs, tuple(self._arguments))

    def _named(self, values: Sequence[Value], tracing: Tracing) -> dict[str, Value]:
        """The outputs by name; those that are no real numbers are left out, and that is noted."""
        found = {}
        for name, value in zip(self.names(), values, strict=True):
            if name is None:
                tracing.notes.append("an output is no array of real numbers: left out")
                continue
            if isinstance(value, Known):
                value = Known(np.asarray(value.array), value.pairs)
            found[name] = value
        if not found:
            raise UsageError("the function returns no array of real numbers")
        return found


class _Arguments:
    """The arguments, with the arrays that become inputs by name."""

    def __init__(self, jax: Any, arguments: Mapping[str, Any], real: Sequence[str]) -> None:
        self._jax, self._arguments = jax, arguments
        self.arrays: dict[str, Any] = {}
        self.owners: dict[str, str] = {}
        self._forms: dict[str, tuple[list[str], Any]] = {}
        for name in real:
            leaves, form = jax.tree_util.tree_flatten_with_path(arguments[name])
            names = [".".join([name, *map(key_of, path)]) for path, _ in leaves]
            for each, (_, leaf) in zip(names, leaves, strict=True):
                array = np.asarray(leaf)
                if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
                    raise UsageError(f"{each}: dtype {array.dtype}, wanted real numbers")
                self.arrays[each] = array.astype(np.float64)
                self.owners[each] = name
            self._forms[name] = names, form

    def put(self, leaves: Sequence[Any]) -> dict[str, Any]:
        """All arguments, with other leaves for those arrays."""
        by_name = dict(zip(self.arrays, leaves, strict=True))
        found = {}
        for name, value in self._arguments.items():
            if name in self._forms:
                names, form = self._forms[name]
                found[name] = self._jax.tree_util.tree_unflatten(
                    form, [by_name[each] for each in names]
                )
            else:
                is_array = isinstance(value, np.ndarray)
                found[name] = self._jax.numpy.asarray(value) if is_array else value
        return found


def _jaxpr(
    jax: Any, function: Callable[..., Any], given: _Arguments, name: str, dtype: str
) -> tuple[Any, Any]:
    def call(*leaves: Any) -> Any:
        return called(function, given.put(leaves))

    leaves = [jax.ShapeDtypeStruct(each.shape, dtype) for each in given.arrays.values()]
    try:
        found = jax.make_jaxpr(call, return_shape=True)(*leaves)
    except CrosscheckError:
        raise
    except jax.errors.JAXTypeError as error:
        first = message_of(error, first_line=True)
        raise UnsupportedError(
            f"{name}: something that is no array depends on the numbers of one; write both sides "
            f"with jnp.where, or make the argument static ({first})"
        ) from None
    except Exception as error:
        said = named(error, first_line=True, silent="no message")
        raise UsageError(f"the function {name} raised {said}") from error
    return found[0], found[1]
