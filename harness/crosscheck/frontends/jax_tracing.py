"""A function written for JAX, as a program: read as the jaxpr of its forward pass.

What is read is the function itself; a derivative that the user has written for it, by
``custom_vjp`` or ``custom_jvp``, is what will be judged, and is not read.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from crosscheck.frontends.calling import called
from crosscheck.frontends.jax_reading import Reader
from crosscheck.frontends.traced import TracedFunction
from crosscheck.frontends.tracing import Known, Tracing, Value
from crosscheck.tools.errors import CrosscheckError, UnsupportedError, UsageError

__all__ = ["trace_jax"]


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
    jax = importlib.import_module("jax")
    unknown = [name for name in (*traced, *fixed) if name not in arguments]
    if unknown:
        raise UsageError(f"{unknown[0]!r} is no argument; there are {', '.join(arguments)}")
    with _wide(jax):
        given = _Arguments(jax, arguments, (*traced, *fixed))
        name = getattr(function, "__name__", None) or type(function).__name__
        closed, form = _jaxpr(jax, function, given, name)
        constant = [leaf for leaf, of in given.owners.items() if of in fixed]
        tracing = Tracing(given.arrays, constant)
        inputs = [tracing.inputs[each] for each in given.arrays]
        values = Reader(jax, tracing).run(closed.jaxpr, closed.consts, inputs)
        outputs = _named(jax, form, values, tracing)
        return tracing.result(name, outputs, tuple(arguments))


def _wide(jax: Any) -> Any:
    """float64 is float64 while this lasts."""
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    return importlib.import_module("jax.experimental").enable_x64(True)


class _Arguments:
    """The arguments, with the arrays that become inputs by name."""

    def __init__(self, jax: Any, arguments: Mapping[str, Any], real: Sequence[str]) -> None:
        self._jax, self._arguments = jax, arguments
        self.arrays: dict[str, Any] = {}
        self.owners: dict[str, str] = {}
        self._forms: dict[str, tuple[list[str], Any]] = {}
        for name in real:
            leaves, form = jax.tree_util.tree_flatten_with_path(arguments[name])
            names = [".".join([name, *map(_key, path)]) for path, _ in leaves]
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


def _key(entry: Any) -> str:
    for attribute in ("key", "name", "idx"):
        if hasattr(entry, attribute):
            return str(getattr(entry, attribute))
    return str(entry)


def _jaxpr(jax: Any, function: Callable[..., Any], given: _Arguments, name: str) -> tuple[Any, Any]:
    def call(*leaves: Any) -> Any:
        return called(function, given.put(leaves))

    leaves = [jax.ShapeDtypeStruct(each.shape, each.dtype) for each in given.arrays.values()]
    try:
        found = jax.make_jaxpr(call, return_shape=True)(*leaves)
    except CrosscheckError:
        raise
    except jax.errors.JAXTypeError as error:
        first = str(error).strip().splitlines()[0]
        raise UnsupportedError(
            f"{name}: something that is no array depends on the numbers of one; write both sides "
            f"with jnp.where, or make the argument static ({first})"
        ) from None
    except Exception as error:
        first = (str(error).strip() or "no message").splitlines()[0]
        raise UsageError(f"the function {name} raised {type(error).__name__}: {first}") from error
    return found[0], found[1]


def _named(jax: Any, form: Any, values: Sequence[Value], tracing: Tracing) -> dict[str, Value]:
    """The outputs by name; those that are no real numbers are left out, and that is noted."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(form)
    single = len(leaves) == 1 and not leaves[0][0]
    found = {}
    for (path, leaf), value in zip(leaves, values, strict=True):
        words = ".".join(map(_key, path))
        name = "out" if single else words if isinstance(form, dict) else f"out{words}"
        if np.issubdtype(leaf.dtype, np.integer) or leaf.dtype == np.bool_:
            tracing.notes.append(f"{name} is no array of real numbers: left out")
            continue
        if isinstance(value, Known):
            value = Known(np.asarray(value.array), value.pairs)
        found[name] = value
    if not found:
        raise UsageError("the function returns no array of real numbers")
    return found
