"""What NumPy does not hand over: arrays that a function begins with, while it is being traced.

``np.zeros`` and its like look at no array, so nobody is asked; and what they return takes numbers
alone. While a function is traced, in its thread and for calls from the user's own files, they
return traced arrays. The same is done with functions of ``scipy.special`` that are no ufuncs. Names
that the function's module has for them (``from numpy import zeros``) are changed with them, and all
are put back at the end, whatever happens.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from crosscheck.frontends.numpy_.arrays import Object, Traced
from crosscheck.frontends.numpy_.functions import filled
from crosscheck.frontends.numpy_.moving import array_of
from crosscheck.frontends.numpy_.operands import has_objects, traced
from crosscheck.frontends.numpy_.sources import is_users
from crosscheck.frontends.numpy_.special import SPECIAL
from crosscheck.frontends.numpy_.tracer import Tracer

__all__ = ["CREATED", "patched"]

_LOCK = threading.RLock()

Plain = Callable[..., Any]


def _begun(fill: float | None) -> Callable[[Tracer, Plain], Plain]:
    def write(tracer: Tracer, plain: Plain) -> Plain:
        def begin(shape: Any, dtype: Any = None, *rest: Any, **more: Any) -> Any:
            found = plain(shape, float if dtype is None else dtype, *rest, **more)
            if found.dtype.kind != "f":
                return found
            with tracer.step():
                return filled(tracer, fill, found.shape)

        return begin

    return write


def _full(tracer: Tracer, plain: Plain) -> Plain:
    def full(shape: Any, fill_value: Any, dtype: Any = None, **more: Any) -> Any:
        if not has_objects(fill_value):
            found = plain(shape, fill_value, dtype, **more)
            if found.dtype.kind != "f":
                return found
        with tracer.step():
            return filled(tracer, fill_value, shape, dtype)

    return full


def _like(fill: float | None) -> Callable[[Tracer, Plain], Plain]:
    def write(tracer: Tracer, plain: Plain) -> Plain:
        def like(a: Any, *rest: Any, **more: Any) -> Any:
            if has_objects(a):
                return plain(a, *rest, **more)
            found = plain(a, *rest, **more)
            if found.dtype.kind != "f":
                return found
            with tracer.step():
                return filled(tracer, fill, found.shape)

        return like

    return write


def _full_like(tracer: Tracer, plain: Plain) -> Plain:
    def like(a: Any, fill_value: Any, dtype: Any = None, **more: Any) -> Any:
        if isinstance(a, Object):
            return plain(a, fill_value, dtype, **more)
        shape = more.get("shape")
        kind = np.asarray(a).dtype if dtype is None else np.dtype(dtype)
        if kind.kind != "f":
            return plain(a, fill_value, dtype, **more)
        with tracer.step():
            return filled(tracer, fill_value, np.shape(a) if shape is None else shape)

    return like


def _array(copies: bool) -> Callable[[Tracer, Plain], Plain]:
    def write(tracer: Tracer, plain: Plain) -> Plain:
        def array(value: Any, dtype: Any = None, *rest: Any, **more: Any) -> Any:
            if isinstance(value, Object):
                if dtype is not None:
                    return value.astype(dtype, copy=copies)
                return value.copy() if copies and more.get("copy", True) else value
            if not has_objects(value):
                found = plain(value, dtype, *rest, **more)
                if not copies or found.dtype.kind != "f":
                    return found
                value = found
            with tracer.step():
                found = array_of(tracer, value)
            return found if dtype is None else found.astype(dtype)

        return array

    return write


CREATED: dict[str, Callable[[Tracer, Plain], Plain]] = {
    "zeros": _begun(0.0),
    "ones": _begun(1.0),
    "empty": _begun(None),
    "full": _full,
    "zeros_like": _like(0.0),
    "ones_like": _like(1.0),
    "empty_like": _like(None),
    "full_like": _full_like,
    "array": _array(True),
    "asarray": _array(False),
    "asanyarray": _array(False),
    "ascontiguousarray": _array(False),
    "asfarray": _array(False),
}
"""Functions that make arrays, which NumPy does not hand over."""


def _strided(tracer: Tracer, plain: Plain) -> Plain:
    def as_strided(x: Any, *rest: Any, **more: Any) -> Any:
        if not isinstance(x, Object):
            return plain(x, *rest, **more)
        with tracer.step():
            one = traced(tracer, x)
            pair = (plain(each, *rest, **more) for each in (one.value, one.codes))
            return Traced(tracer, *pair)

    return as_strided


def _special(name: str) -> Callable[[Tracer, Plain], Plain]:
    def write(tracer: Tracer, plain: Plain) -> Plain:
        def call(a: Any, *rest: Any, **more: Any) -> Any:
            if not isinstance(a, Object):
                return plain(a, *rest, **more)
            with tracer.step():
                return SPECIAL[name](tracer, a, *rest, **more)

        return call

    return write


def _for_users(plain: Plain, traced: Plain) -> Plain:
    """One for the thread that traces and the user's files, the other for everybody else."""
    thread = threading.get_ident()

    def call(*inputs: Any, **keywords: Any) -> Any:
        if threading.get_ident() != thread or not is_users(sys._getframe(1).f_code.co_filename):
            return plain(*inputs, **keywords)
        return traced(*inputs, **keywords)

    return call


@contextmanager
def patched(tracer: Tracer, namespace: MutableMapping[str, Any]) -> Iterator[None]:
    """While this is entered, arrays begin as traced ones in the user's files.

    Args:
        tracer: What is traced.
        namespace: The globals of the function's module.
    """
    with _LOCK, ExitStack() as stack:
        replaced: dict[int, Plain] = {}
        places: list[tuple[Any, str, Callable[[Tracer, Plain], Plain]]] = [
            (np, name, write) for name, write in CREATED.items() if hasattr(np, name)
        ]
        places.append((np.lib.stride_tricks, "as_strided", _strided))
        special = sys.modules.get("scipy.special")
        if special is not None:
            places += [(special, name, _special(name)) for name in SPECIAL]
        for module, name, write in places:
            plain = getattr(module, name)
            replaced[id(plain)] = _for_users(plain, write(tracer, plain))
            stack.callback(setattr, module, name, plain)
            setattr(module, name, replaced[id(plain)])
        for name, value in list(namespace.items()):
            if id(value) in replaced:
                stack.callback(namespace.__setitem__, name, value)
                namespace[name] = replaced[id(value)]
        yield
