"""Functions of the user's as frameworks under test: a loss to differentiate, or gradients.

A function takes the arrays of a case, ``weights, biases, x, y``, as its library's own tensors in
the case's dtype, or the `Case` itself. What it returns is one number, the loss, which the library
then differentiates; or gradients, in one of these forms, whose parts may be ``None``:

    Gradients(loss, weights, biases, x)
    {"weights": [...], "biases": [...], "x": ..., "loss": ...}      any of them
    (weights, biases[, x[, loss]])

For a network of operators (`crosscheck.network.composed.Composed`) a function takes two dicts by
name, ``parameters, inputs``, or the case; it returns the loss, or `Derivatives`, or a dict by name
of derivatives, among them ``"loss"`` if it likes.

A part that is not there is compared with nothing. Arrays are the library's own, of the case's
dtype, or NumPy's of real numbers, which may have more bits than the case's; see
`crosscheck.frameworks.gatekeeper` for what becomes of others.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from types import TracebackType
from typing import Any, ClassVar

import numpy as np

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.leaves import (
    assembled,
    constants_of,
    leaves_of,
)
from crosscheck.frameworks.registry import state_of
from crosscheck.frameworks.state import FrameworkState
from crosscheck.network.composed import AnyCase, Composed, Derivatives
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.tree import LEFT_OUT
from crosscheck.run import libraries
from crosscheck.run.forms import (
    WrongFormError,
    derivatives_of,
    gradients_of,
    is_form,
    kind_of,
)
from crosscheck.run.libraries import ROLES, numbers_of
from crosscheck.tools.errors import CrosscheckError, UsageError
from crosscheck.tools.trail import note

__all__ = [
    "AbsentError",
    "Implementation",
    "from_the_function_on",
    "implement",
    "name_of",
    "require_available",
]

_OURS = (__file__, libraries.__file__)
"""What is called before a function is."""


class AbsentError(UsageError):
    """The library of an implementation is not installed."""


class Implementation(Framework):
    """A function of the user's; its name is the keyword and the function's own name.

    Attributes:
        takes_case: Whether the function takes a case, and not arrays.
        takes_names: Whether it takes arrays by name, those of a network of operators.
        error: What the last call raised.
        traceback: Where, from the function on.

    Args:
        role: A key of `ROLES`.
        function: See this module's docstring.

    Raises:
        UsageError: It is no function of one, two or four arguments.
        AbsentError: The library is not installed.
        CrosscheckError: The library is installed and cannot be imported.
    """

    name: ClassVar[str] = "function"
    module: ClassVar[str] = "numpy"
    is_function: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ()

    def __init__(self, role: str, function: Callable[..., Any]) -> None:
        count = _count_arguments(role, function)
        self.takes_case, self.takes_names = count == 1, count == 2
        if role not in ("reference", "numpy"):
            require_available(role)
        self._library = ROLES[role]()
        self._function = function
        # For adapters these belong to the class; here every function has its own.
        vars(self).update(
            name=f"{role} {name_of(function)}",
            packages=self._library.packages,
            dtypes=self._library.dtypes,
        )
        self.formulation, self.mode = "", ""
        self.error: BaseException | None = None
        self.traceback: TracebackType | None = None

    def gradients(self, case: Case) -> Gradients:
        """What the function says of ``case``; see `Framework.gradients`.

        Raises:
            UsageError: The function returned nothing of the forms that it may return.
            RefusedError: An array that it returned is none of real numbers.
            UnsupportedError: All that it returns belongs to arrays that the case does not have.
            BaseException: Whatever the function raises.
        """
        __tracebackhide__ = True
        note(self.name, lambda: case.key)
        found: Gradients = self._asked(lambda: self._gradients(case))
        return found

    def derivatives(self, case: Composed) -> Derivatives:
        """What the function says of a network of operators; see `gradients`."""
        __tracebackhide__ = True
        note(self.name, lambda: case.key)
        found: Derivatives = self._asked(lambda: self._derivatives(case))
        return found

    def _asked(self, call: Callable[[], Any]) -> Any:
        __tracebackhide__ = True
        self.error = self.traceback = None
        try:
            return call()
        except BaseException as error:  # it may be sys.exit, and is looked at by whoever called
            self.error = error
            self.traceback = from_the_function_on(error.__traceback__, _OURS)
            raise

    @property
    def state(self) -> FrameworkState:
        """How it appears in a report."""
        adapter = getattr(self._library, "adapter", None)
        versions = {"numpy": np.__version__} if adapter is None else adapter.versions()
        return FrameworkState(self.name, "available", versions, mode=self.mode)

    def _gradients(self, case: Case) -> Gradients:
        __tracebackhide__ = True
        library, dtype = self._library, case.dtype
        with library.session():
            if self.takes_names:
                raise UsageError(
                    f"{self.name}: takes arrays by name, and a case of a dense network is given; "
                    "wanted f(weights, biases, x, y) or f(case)"
                )
            if self.takes_case:
                returned, found = self._of_case(case), None
            else:
                leaves = [library.send(leaf, dtype) for leaf in leaves_of(case)]
                y = library.send(case.y, dtype)
                arrays = case.each(lambda array: array)

                def call(*leaves: Any) -> Any:
                    own = arrays.filled([*leaves, y])
                    return self._function(list(own.weights), list(own.biases), own.x, own.y)

                returned, found = self._evaluated(call, leaves)
            fetch = self._fetch_of(dtype)
            if found is None:
                self.mode = "its own gradient"
                return gradients_of(case, returned, self.name, fetch)
            self.mode = library.derivation
            derivatives = [fetch("a derivative", array) for array in found]
            gradients: Gradients = assembled(case, fetch("loss", returned), derivatives)
            return gradients

    def _of_case(self, case: AnyCase) -> Any:
        returned = self._function(case)
        if not is_form(returned):
            raise UsageError(
                f"{self.name}: {kind_of(returned)} returned by a function of a case; a loss can "
                "only be differentiated with respect to arrays that it was given: take "
                "(weights, biases, x, y), or (parameters, inputs), or return gradients"
            )
        return returned

    def _evaluated(
        self, call: Callable[..., Any], leaves: Sequence[Any]
    ) -> tuple[Any, Sequence[Any] | None]:
        __tracebackhide__ = True
        try:
            return self._library.evaluate(call, leaves)
        except WrongFormError as error:
            raise UsageError(f"{self.name}: {error}") from None

    def _derivatives(self, case: Composed) -> Derivatives:
        __tracebackhide__ = True
        library, dtype = self._library, case.dtype
        with library.session():
            if not (self.takes_case or self.takes_names):
                raise UsageError(
                    f"{self.name}: takes four arguments, and a network of operators is given; "
                    "wanted f(parameters, inputs) or f(case)"
                )
            if self.takes_case:
                returned, found = self._of_case(case), None
            else:
                returned, found = self._by_name(case)
            fetch = self._fetch_of(dtype)
            if found is None:
                self.mode = "its own gradient"
                return derivatives_of(case, returned, self.name, fetch)
            self.mode = library.derivation
            derivatives = [fetch("a derivative", array) for array in found]
            named: Derivatives = assembled(case, fetch("loss", returned), derivatives)
            return named

    def _by_name(self, case: Composed) -> tuple[Any, Sequence[Any] | None]:
        __tracebackhide__ = True
        library, dtype = self._library, case.dtype
        leaves = [library.send(leaf, dtype) for leaf in leaves_of(case)]
        names = [name for name, _ in case.entries() if name not in case.wanted]
        rest = [library.send(array, dtype) for array in constants_of(case)]
        constants = dict(zip(names, rest, strict=True))

        def call(*leaves: Any) -> Any:
            every = {**dict(zip(case.wanted, leaves, strict=True)), **constants}
            parameters = {name: every[name] for name in case.parameters}
            return self._function(parameters, {name: every[name] for name in case.inputs})

        return self._evaluated(call, leaves)

    def _fetch_of(self, dtype: str) -> Callable[[str, Any], Any]:
        """Fetches an array of ``dtype`` by what it is called; see `crosscheck.run.forms.Fetch`."""
        return lambda what, tensor: self._fetch(what, tensor, dtype)

    def _fetch(self, what: str, tensor: Any, dtype: str) -> Any:
        if tensor is None:
            return LEFT_OUT
        try:
            if isinstance(tensor, np.ndarray | np.generic | float | int):
                return numbers_of(tensor)
            return self._library.fetch(tensor, dtype)
        except CrosscheckError as error:
            raise type(error)(f"{self.name}, {what}: {error}") from None


def implement(functions: Mapping[str, Callable[..., Any] | None]) -> list[Implementation]:
    """An implementation of each function that there is.

    Args:
        functions: A key of `ROLES` to a function, or to ``None``.

    Raises:
        UsageError: There is no function, or one is none that can be used.
        AbsentError: A library is not installed.
        CrosscheckError: A library is installed and cannot be imported.
    """
    given = {role: function for role, function in functions.items() if function is not None}
    if not given:
        raise UsageError(f"no implementation given, wanted at least one of {', '.join(ROLES)}")
    return [Implementation(role, function) for role, function in given.items()]


def _count_arguments(role: str, function: Any) -> int:
    """1, 2 or 4: how many arguments a function has to be given.

    Raises:
        UsageError: It is not a function of that many.
    """
    wanted = "wanted f(weights, biases, x, y), f(parameters, inputs) or f(case)"
    if not callable(function):
        raise UsageError(f"{role}={function!r}: {wanted}")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return 4  # some compiled functions do not tell
    for count in (4, 2, 1):
        try:
            signature.bind(*range(count))
        except TypeError:
            continue
        return count
    raise UsageError(f"{role}={name_of(function)}{signature}: {wanted}")


def require_available(role: str) -> None:
    """Raise an `AbsentError`, or a `CrosscheckError`, if a library cannot be used here."""
    state = state_of(role)
    if state.state == "absent":
        raise AbsentError(
            f"{role}: not installed here; {state.detail}, leave the argument out, or say "
            "absent='skip' to have the test skipped where it is not"
        )
    if state.state == "broken":
        raise CrosscheckError(f"{role}: installed, but it cannot be imported: {state.detail}")


def name_of(function: Any) -> str:
    """The name of a function, for people."""
    while isinstance(function, functools.partial):
        function = function.func
    found = getattr(function, "__name__", None) or type(function).__name__
    return "lambda" if found == "<lambda>" else str(found)


def from_the_function_on(
    traceback: TracebackType | None, files: Collection[str]
) -> TracebackType | None:
    """The traceback without the frames of some files that come first."""
    while (
        traceback is not None
        and traceback.tb_next is not None
        and traceback.tb_frame.f_code.co_filename in files
    ):
        traceback = traceback.tb_next
    return traceback
