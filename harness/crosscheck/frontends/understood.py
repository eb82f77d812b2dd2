"""What is understood in a formula, by name, from the tables that formulas are read with."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

__all__ = ["understood"]


def _numpy() -> Iterable[str]:
    functions = importlib.import_module("crosscheck.frontends.numpy_.functions")
    methods = importlib.import_module("crosscheck.frontends.numpy_.methods")
    moving = importlib.import_module("crosscheck.frontends.numpy_.moving")
    patching = importlib.import_module("crosscheck.frontends.numpy_.patching")
    special = importlib.import_module("crosscheck.frontends.numpy_.special")
    ufuncs = importlib.import_module("crosscheck.frontends.numpy_.ufuncs")
    for each in (*functions.FUNCTIONS, *moving.MOVES, *moving.PUTS):
        module = each.__module__.replace("numpy.lib._stride_tricks_impl", "numpy.lib.stride_tricks")
        yield f"{module}.{each.__name__}".replace("numpy", "np", 1)
    of_scipy = set(special.SPECIAL)
    numpy = importlib.import_module("numpy")
    for name in (*patching.CREATED, *ufuncs.UFUNCS, *ufuncs.OTHERS):
        if hasattr(numpy, name):
            yield f"np.{name}"
        else:
            of_scipy.add(name)
    yield from (f"scipy.special.{name}" for name in of_scipy)
    yield from (f"x.{name}()" for name in methods.METHODS)


def _jax() -> Iterable[str]:
    primitives = importlib.import_module("crosscheck.frontends.jax_primitives")
    return (*primitives.RULES, *primitives.MOVES)


def _torch() -> Iterable[str]:
    operations = importlib.import_module("crosscheck.frontends.torch_.operations")
    moving = importlib.import_module("crosscheck.frontends.torch_.moving")
    return (*operations.RULES, *moving.MOVES, *moving.ADDING)


_TABLES: Mapping[str, Callable[[], Iterable[str]]] = MappingProxyType(
    {"numpy": _numpy, "jax": _jax, "torch": _torch}
)


def understood(word: str = "") -> dict[str, list[str]]:
    """Library to the names of what is understood of it, in alphabetical order.

    Of JAX they are primitives, as ``jax.make_jaxpr`` prints them, of PyTorch ATen's operations by
    their names without a namespace; what PyTorch decomposes into these is understood too.

    Args:
        word: What names must contain; capitals count for nothing.
    """
    return {
        library: sorted({name for name in table() if word.lower() in name.lower()}, key=str.lower)
        for library, table in _TABLES.items()
    }
