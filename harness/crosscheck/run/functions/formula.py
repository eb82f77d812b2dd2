"""The specification: a function in NumPy, JAX or PyTorch, and its cases."""

from __future__ import annotations

import importlib
import inspect
import types
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from crosscheck.cases.functions.record import Record
from crosscheck.frontends.case import FunctionCase
from crosscheck.frontends.traced import TracedFunction
from crosscheck.run.functions.modules import function_class
from crosscheck.run.implementations import name_of

__all__ = ["Formula", "FormulaLibrary", "library_of"]

FormulaLibrary = Literal["numpy", "jax", "torch"]

_MODULES: Mapping[str, FormulaLibrary] = {"jax": "jax", "torch": "torch", "equinox": "jax"}


def library_of(function: Any) -> FormulaLibrary:
    """In whose arrays a function is written.

    A module, or a function transformed by JAX, tells; of any other one the modules that its code
    names do, NumPy's where there are none.
    """
    for each in type(function_class(function) or function).__mro__:
        top = each.__module__.partition(".")[0]
        if top in _MODULES or top == "jaxlib":
            return _MODULES.get(top, "jax")
    found = _libraries(function, set())
    for name in ("jax", "torch"):
        if name in found:
            return name
    return "numpy"


def _libraries(function: Any, seen: set[int]) -> set[str]:
    """The libraries that a function names in its code, or functions that it calls do."""
    function = inspect.unwrap(function)
    code = getattr(function, "__code__", None)
    if code is None or id(code) in seen:
        return set()
    seen.add(id(code))
    names = getattr(function, "__globals__", {})
    closure = inspect.getclosurevars(function).nonlocals if function.__closure__ else {}
    found = set()
    for name in _names_of(code):
        value = closure.get(name, names.get(name))
        if isinstance(value, types.ModuleType):
            found.add(_MODULES.get(value.__name__.partition(".")[0], ""))
        elif isinstance(value, types.FunctionType):
            module = value.__module__.partition(".")[0]
            found |= {_MODULES[module]} if module in _MODULES else _libraries(value, seen)
    return found - {""}


def _names_of(code: types.CodeType) -> set[str]:
    found = {*code.co_names, *code.co_freevars}
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            found |= _names_of(each)
    return found


def frontend(library: FormulaLibrary) -> Callable[..., Any]:
    """What traces functions of a library."""
    module, name = {
        "numpy": ("numpy_.trace", "trace"),
        "jax": ("jax_tracing", "trace_jax"),
        "torch": ("torch_.trace", "trace_torch"),
    }[library]
    found: Callable[..., Any] = getattr(
        importlib.import_module(f"crosscheck.frontends.{module}"), name
    )
    return found


@dataclass(frozen=True)
class Formula:
    """A function that says what is to be computed.

    Attributes:
        function: The function.
        wrt: Names of the arguments that it is differentiated by, where they are real.
    """

    function: Callable[..., Any]
    wrt: tuple[str, ...]

    @property
    def name(self) -> str:
        """The function's name."""
        return name_of(function_class(self.function) or self.function)

    @cached_property
    def library(self) -> FormulaLibrary:
        """See `library_of`."""
        return library_of(self.function)

    @cached_property
    def _known(self) -> dict[Hashable, TracedFunction]:
        """Programs that are those of every call with arguments of their shapes."""
        return {}

    def traced(self, arguments: Mapping[str, Any], real: Sequence[str]) -> TracedFunction:
        """The function on arguments, in primitives.

        Where all arrays are real and differentiated nothing is known of their numbers but how
        computed ones compare; if none were compared the program is that of the shapes, and is
        traced once.

        Args:
            arguments: Each by name.
            real: Those that are arrays of real numbers.

        Raises:
            UsageError: It cannot be traced, or raises.
        """
        fixed = [name for name in real if name not in self.wrt]
        arrays = [name for name, value in arguments.items() if isinstance(value, np.ndarray)]
        shapes = tuple((name, np.shape(arguments[name])) for name in arrays)
        key = shapes, repr([each for each in arguments.items() if each[0] not in arrays])
        is_of_shapes = not fixed and set(arrays) == set(real)
        if is_of_shapes and key in self._known:
            return self._known[key]
        trace = frontend(self.library)
        found: TracedFunction = trace(self.function, arguments, traced=real, fixed=fixed)
        found = replace(found, parameters=tuple(arguments))
        if is_of_shapes and not found.comparisons:
            self._known[key] = found
        return found

    def case(self, record: Record) -> FunctionCase:
        """A case of the function, as it is written.

        Raises:
            UsageError: The function cannot be traced, or raises.
        """
        real = {n: array for n, array in record.arguments.items() if array.dtype.kind == "f"}
        known = {n: array for n, array in record.arguments.items() if n not in real}
        traced = self.traced({**record.arguments, **record.keywords}, tuple(real))
        shapes = {
            name: traced.program.nodes[traced.program.outputs[name]].shape
            for name in traced.outputs
        }
        weights = {
            name: record.cotangents.get(name, np.ones(shape)) for name, shape in shapes.items()
        }
        wrt = tuple(name for name in self.wrt if name in real)
        return FunctionCase.at(
            traced, real, weights, wrt, dtype=record.dtype, known={**known, **record.keywords}
        )

    def output_shapes(
        self, arguments: Mapping[str, Any], keywords: Mapping[str, Any]
    ) -> dict[str, tuple[int, ...]]:
        """Name of each output to its shape, by tracing.

        Raises:
            UsageError: The function cannot be traced, or raises.
        """
        real = [n for n, array in arguments.items() if np.asarray(array).dtype.kind == "f"]
        program = (traced := self.traced({**arguments, **keywords}, real)).program
        return {name: program.nodes[program.outputs[name]].shape for name in traced.outputs}
