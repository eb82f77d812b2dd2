"""What is compared with a formula: functions of a library, which it differentiates, or by hand.

A function takes the formula's arguments by position, or by name where all names agree, as its
library's own arrays in the case's dtype; integers and keywords as they are. What a library
differentiates is Σ c ∘ f with the case's cotangents c.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, ClassVar

import numpy as np

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.programs import run_in
from crosscheck.frameworks.state import FrameworkState
from crosscheck.frontends.case import FunctionCase
from crosscheck.network.composed import Composed, Derivatives
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.tree import LEFT_OUT
from crosscheck.run import libraries
from crosscheck.run.functions import forms
from crosscheck.run.functions.forms import Backward, HandWritten, Layer, by_name
from crosscheck.run.functions.formula import Formula
from crosscheck.run.functions.modules import called_with, forward_of, function_class, is_module
from crosscheck.run.implementations import from_the_function_on, name_of, require_available
from crosscheck.run.libraries import ROLES, numbers_of
from crosscheck.tools.errors import CrosscheckError, UsageError

__all__ = ["BY_HAND", "Partner", "TheFormula"]

BY_HAND = ("by_hand", "numpy")
"""Under which keywords NumPy functions are handed in."""

_OURS = (__file__, forms.__file__, libraries.__file__)


class Partner(Framework):
    """One function that is compared with a formula.

    Attributes:
        error: What the last call raised.
        traceback: Where, from the function on.

    Args:
        role: ``"by_hand"``, ``"numpy"``, ``"torch"``, ``"tensorflow"`` or ``"jax"``.
        function: See this module's docstring, and `crosscheck.run.functions.forms`.
        name: What it is called; the function's own name by default.

    Raises:
        UsageError: It is nothing that can be called.
        AbsentError: The library is not installed.
        CrosscheckError: It is installed and cannot be imported.
    """

    name: ClassVar[str] = "function"
    module: ClassVar[str] = "numpy"
    is_function: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ()

    def __init__(self, role: str, function: Any, name: str = "") -> None:
        if role not in BY_HAND:
            require_available(role)
        self.role = role
        self._library = ROLES["numpy" if role in BY_HAND else role]()
        self.is_by_hand = role in BY_HAND or isinstance(function, Backward)
        self._function = function.function if isinstance(function, Backward) else function
        if not self.is_by_hand:
            self._function = _callable(role, self._function)
        own = _named(self._function) if not name or name.startswith("\0") else name
        vars(self).update(
            name=f"{role} {own}", packages=self._library.packages, dtypes=self._library.dtypes
        )
        self.formulation = ""
        self.mode = "by hand" if self.is_by_hand else self._library.derivation
        self.error: BaseException | None = None
        self.traceback: TracebackType | None = None

    @property
    def state(self) -> FrameworkState:
        """How it appears in a report."""
        adapter = getattr(self._library, "adapter", None)
        versions = {"numpy": np.__version__} if adapter is None else adapter.versions()
        return FrameworkState(self.name, "available", versions, mode=self.mode)

    def gradients(self, case: Case) -> Gradients:
        """Not of dense networks.

        Raises:
            UsageError: Always.
        """
        raise UsageError(f"{self.name}: a function, and a dense network is given")

    def derivatives(self, case: Composed) -> Derivatives:
        """Values of the outputs, and derivatives; see `Framework.derivatives`.

        Raises:
            UsageError: What it returned has none of the forms.
            BaseException: Whatever the function raises.
        """
        __tracebackhide__ = True
        assert isinstance(case, FunctionCase)
        self.error = self.traceback = None
        try:
            with self._library.session():
                values, derivatives = self._asked(case)
                fetch = self._fetching(case)
                found = dict.fromkeys(case.wanted, LEFT_OUT)
                found |= {name: fetch(name, array) for name, array in values.items()}
                found |= {
                    f"{name}": fetch(f"∂{name}", array) for name, array in derivatives.items()
                }
                return Derivatives(LEFT_OUT, found)
        except BaseException as error:  # it may be sys.exit, and is looked at by whoever called
            self.error = error
            self.traceback = from_the_function_on(error.__traceback__, _OURS)
            raise

    def _asked(self, case: FunctionCase) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        __tracebackhide__ = True
        library, dtype = self._library, case.dtype
        numbers = case.arguments()
        names = case.order
        sent = {name: library.send(numbers[name], dtype) for name in names if name in numbers}
        sent |= {name: library.know(value) for name, value in case.known_arguments.items()}
        cotangents = {n: library.send(c, dtype) for n, c in case.cotangents().items()}
        outputs, wrt = case.traced_function.outputs, tuple(case.parameters)
        if self.is_by_hand:
            is_scalar = all(np.ndim(each) == 0 for each in case.cotangents().values())
            written = HandWritten(self._function, names, outputs, wrt, is_scalar)
            return written(sent, cotangents)

        def call(*leaves: Any) -> dict[str, Any]:
            own = {**sent, **dict(zip(wrt, leaves, strict=True))}
            return self._run({name: own[name] for name in names}, case)

        values, found = library.pull_back(call, [sent[name] for name in wrt], cotangents)
        return values, dict(zip(wrt, found, strict=True))

    def _run(self, arguments: Mapping[str, Any], case: FunctionCase) -> dict[str, Any]:
        """The outputs by name, of the library's arrays."""
        __tracebackhide__ = True
        returned = _called(self._function, arguments, case.keywords)
        return by_name(returned, case.traced_function.outputs)

    def _fetching(self, case: FunctionCase) -> Callable[[str, Any], Any]:
        def fetch(what: str, tensor: Any) -> Any:
            if tensor is None:
                return LEFT_OUT
            try:
                if isinstance(tensor, np.ndarray | np.generic | float | int):
                    return numbers_of(tensor)
                return self._library.fetch(tensor, case.dtype)
            except CrosscheckError as error:
                raise type(error)(f"{self.name}, {what}: {error}") from None

        return fetch


class TheFormula(Partner):
    """The formula itself, written in a library's words, which differentiates it.

    Args:
        role: ``"torch"``, ``"tensorflow"`` or ``"jax"``.
        formula: Its program is run: see `crosscheck.frameworks.programs`.

    Raises:
        AbsentError: The library is not installed.
        CrosscheckError: It is installed and cannot be imported.
    """

    def __init__(self, role: str, formula: Formula) -> None:
        super().__init__(role, _nothing, formula.name)

    def _run(self, arguments: Mapping[str, Any], case: FunctionCase) -> dict[str, Any]:
        traced = case.traced_function
        constants = {n: self._library.send(a, case.dtype) for n, a in traced.constants.items()}
        found = run_in(self.role, traced.program, {**arguments, **constants}, case.dtype)
        return {name: found[name] for name in traced.outputs}


def _nothing() -> None:
    """Stands where a function would: the program is run."""


def _called(function: Any, arguments: Mapping[str, Any], keywords: Mapping[str, Any]) -> Any:
    """By name where the names agree, else by position; keywords where they are taken."""
    __tracebackhide__ = True
    try:
        parameters = inspect.signature(forward_of(function)).parameters
    except (TypeError, ValueError):
        return function(*arguments.values())
    anything = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values())
    taken = {name: value for name, value in keywords.items() if name in parameters or anything}
    if set(arguments) <= set(parameters) and function_class(function) is None:
        return function(**arguments, **taken)
    if is_module(function):
        return called_with(function, arguments, taken)
    return function(*arguments.values(), **taken)


def _callable(role: str, function: Any) -> Any:
    """What to call: of an ``autograd.Function`` its ``apply``, of a module itself."""
    if role == "torch" and isinstance(function, type):
        torch: Any = importlib.import_module("torch")
        if issubclass(function, torch.autograd.Function):
            return getattr(function, "apply")  # noqa: B009  (mypy knows no such attribute of a type)
        if issubclass(function, torch.nn.Module):
            return function()
    if not callable(function):
        raise UsageError(f"{role}={function!r}: wanted a function")
    return function


def _named(function: Any) -> str:
    if isinstance(function, Layer):
        return function.kind.__name__
    if isinstance(function, tuple):
        return name_of(function[-1])
    owner = getattr(function, "__self__", None)
    if isinstance(owner, type):  # a bound `apply`
        return owner.__name__
    return name_of(function)
