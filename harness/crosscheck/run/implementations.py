"""Functions of the user's as frameworks under test: a loss to differentiate, or gradients.

A function takes the arrays of a case, ``weights, biases, x, y``, as its library's own tensors in
the case's dtype, or the `Case` itself. What it returns is one number, the loss, which the library
then differentiates; or gradients, in one of these forms, whose parts may be ``None``:

    Gradients(loss, weights, biases, x)
    {"weights": [...], "biases": [...], "x": ..., "loss": ...}      any of them
    (weights, biases[, x[, loss]])

A part that is not there is compared with nothing. Arrays are the library's own, of the case's
dtype, or NumPy's of real numbers, which may have more bits than the case's; see
`crosscheck.frameworks.gatekeeper` for what becomes of others.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any, ClassVar, Protocol

import numpy as np

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.gatekeeper import RefusedError
from crosscheck.frameworks.leaves import assembled
from crosscheck.frameworks.registry import state_of
from crosscheck.frameworks.state import FrameworkState
from crosscheck.network.dense import LEFT_OUT, Case, Gradients, LeftOut
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import FORMATS
from crosscheck.tools.errors import CrosscheckError, UnsupportedError, UsageError

__all__ = ["ROLES", "AbsentError", "Implementation", "implement"]

_PARTS = ("weights", "biases", "x", "loss")
_FORMS = (
    "wanted one number (the loss), or the gradients as crosscheck.Gradients, as a dict with some "
    "of 'weights', 'biases', 'x', 'loss', or as a tuple (weights, biases[, x[, loss]])"
)


class AbsentError(UsageError):
    """The library of an implementation is not installed."""


class Library(Protocol):
    """What an implementation needs of its library.

    Attributes:
        derivation: How it differentiates a loss, for people; empty if it does not.
        packages: Distributions whose versions identify it.
        dtypes: The dtypes it can do.
    """

    derivation: str
    packages: tuple[str, ...]
    dtypes: tuple[str, ...]

    def session(self) -> AbstractContextManager[object]:
        """A context for everything below."""

    def send(self, array: Array, dtype: str) -> Any:
        """A float64 array as a tensor of ``dtype``."""

    def fetch(self, tensor: Any, dtype: str) -> Array:
        """A tensor of ``dtype`` as a float64 array, without loss."""

    def evaluate(
        self, function: Callable[..., Any], arguments: tuple[Any, Any, Any, Any]
    ) -> tuple[Any, Sequence[Any] | None]:
        """What the function returns; and if that is a loss, its derivatives.

        Returns:
            The derivatives are in the order of `crosscheck.frameworks.leaves.leaves_of`; ``None``
            if the function returned gradients itself.
        """


def _leaves(arguments: tuple[Any, Any, Any, Any]) -> list[Any]:
    weights, biases, x, _ = arguments
    return [*weights, *(bias for bias in biases if bias is not None), x]


class _Adapted:
    """`Library` by one of the adapters in `crosscheck.frameworks`."""

    derivation = ""

    def __init__(self, module: str, adapter: str) -> None:
        self.adapter: Any = getattr(
            importlib.import_module(f"crosscheck.frameworks.{module}"), adapter
        )()
        self.packages: tuple[str, ...] = self.adapter.packages
        self.dtypes: tuple[str, ...] = self.adapter.dtypes

    def session(self) -> AbstractContextManager[object]:
        session: AbstractContextManager[object] = self.adapter.session()
        return session

    def send(self, array: Array, dtype: str) -> Any:
        return self.adapter.send(array, dtype)

    def fetch(self, tensor: Any, dtype: str) -> Array:
        if not hasattr(tensor, "dtype"):
            raise UsageError(f"{_kind(tensor)} returned, wanted a tensor of {dtype}")
        fetched: Array = self.adapter.fetch(tensor, dtype)
        return fetched


class _Torch(_Adapted):
    derivation = "torch.autograd.grad"

    def __init__(self) -> None:
        super().__init__("torch_", "TorchFramework")

    def evaluate(
        self, function: Callable[..., Any], arguments: tuple[Any, Any, Any, Any]
    ) -> tuple[Any, Sequence[Any] | None]:
        __tracebackhide__ = True
        torch: Any = importlib.import_module("torch")
        leaves = _leaves(arguments)
        with torch.inference_mode(False), torch.enable_grad():
            for leaf in leaves:
                leaf.requires_grad_()
            returned = function(*arguments)
            if not _is_loss(returned, torch.Tensor):
                return returned, None
            return returned, torch.autograd.grad(
                returned, leaves, allow_unused=True, materialize_grads=True
            )


class _TensorFlow(_Adapted):
    derivation = "tf.GradientTape"

    def __init__(self) -> None:
        super().__init__("tensorflow_", "TensorFlowFramework")

    def evaluate(
        self, function: Callable[..., Any], arguments: tuple[Any, Any, Any, Any]
    ) -> tuple[Any, Sequence[Any] | None]:
        __tracebackhide__ = True
        tf: Any = importlib.import_module("tensorflow")
        leaves = _leaves(arguments)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(leaves)
            returned = function(*arguments)
        if not _is_loss(returned, tf.Tensor):
            return returned, None
        found = tape.gradient(returned, leaves, unconnected_gradients="zero")
        return returned, [tf.convert_to_tensor(array) for array in found]


class _Jax(_Adapted):
    derivation = "jax.grad"

    def __init__(self) -> None:
        super().__init__("jax_", "JaxFramework")
        self._returns_loss = False

    def evaluate(
        self, function: Callable[..., Any], arguments: tuple[Any, Any, Any, Any]
    ) -> tuple[Any, Sequence[Any] | None]:
        __tracebackhide__ = True
        jax: Any = importlib.import_module("jax")
        if not self._returns_loss:  # once it has, evaluating it twice would be a waste
            returned = function(*arguments)
            if not _is_loss(returned, jax.Array):
                return returned, None
            self._returns_loss = True
        returned, found = jax.value_and_grad(function, argnums=(0, 1, 2))(*arguments)
        return returned, jax.tree.leaves(found)


class _NumPy:
    """`Library` of functions in NumPy, which return gradients: nothing differentiates them."""

    derivation = ""
    packages: tuple[str, ...] = ("numpy",)
    dtypes: tuple[str, ...] = tuple(name for name, form in FORMATS.items() if form.is_native)

    def session(self) -> AbstractContextManager[object]:
        return nullcontext()

    def send(self, array: Array, dtype: str) -> Any:
        return np.array(array, dtype=dtype)

    def fetch(self, tensor: Any, dtype: str) -> Array:
        return _numbers(tensor)

    def evaluate(
        self, function: Callable[..., Any], arguments: tuple[Any, Any, Any, Any]
    ) -> tuple[Any, Sequence[Any] | None]:
        __tracebackhide__ = True
        returned = function(*arguments)
        if not _is_form(returned):
            raise _WrongFormError(
                f"{_kind(returned)} returned, and NumPy does not differentiate; wanted the "
                "gradients: as crosscheck.Gradients, as a dict with some of 'weights', 'biases', "
                "'x', 'loss', or as a tuple (weights, biases[, x[, loss]])"
            )
        return returned, None


ROLES: Mapping[str, Callable[[], Library]] = {
    "reference": _NumPy,
    "numpy": _NumPy,
    "torch": _Torch,
    "tensorflow": _TensorFlow,
    "jax": _Jax,
}
"""The keywords under which implementations are handed in, and the library of each."""


class Implementation(Framework):
    """A function of the user's; its name is the keyword and the function's own name.

    Attributes:
        takes_case: Whether the function takes a `Case`, and not arrays.
        error: What the last call raised.
        traceback: Where, from the function on.

    Args:
        role: A key of `ROLES`.
        function: See this module's docstring.

    Raises:
        UsageError: It is no function of one or of four arguments.
        AbsentError: The library is not installed.
        CrosscheckError: The library is installed and cannot be imported.
    """

    name: ClassVar[str] = "function"
    module: ClassVar[str] = "numpy"
    is_function: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ()

    def __init__(self, role: str, function: Callable[..., Any]) -> None:
        self.takes_case = _count_arguments(role, function) == 1
        if role not in ("reference", "numpy"):
            _require_available(role)
        self._library = ROLES[role]()
        self._function = function
        # For adapters these belong to the class; here every function has its own.
        vars(self).update(
            name=f"{role} {_name(function)}",
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
        self.error = self.traceback = None
        try:
            return self._gradients(case)
        except BaseException as error:  # it may be sys.exit, and is looked at by whoever called
            self.error = error
            self.traceback = _from_the_function_on(error.__traceback__)
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
            if self.takes_case:
                returned, found = self._function(case), None
                if not _is_form(returned):
                    raise UsageError(
                        f"{self.name}: {_kind(returned)} returned by a function of a Case; a loss "
                        "can only be differentiated with respect to arrays that it was given: take "
                        "(weights, biases, x, y), or return gradients"
                    )
            else:
                arguments = (
                    [library.send(weight, dtype) for weight in case.weights],
                    [None if bias is None else library.send(bias, dtype) for bias in case.biases],
                    library.send(case.x, dtype),
                    library.send(case.y, dtype),
                )
                try:
                    returned, found = library.evaluate(self._function, arguments)
                except _WrongFormError as error:
                    raise UsageError(f"{self.name}: {error}") from None
            self.mode = library.derivation if found is not None else "its own gradient"
            if found is not None:
                derivatives = [self._fetch("a derivative", array, dtype) for array in found]
                return assembled(case, self._fetch("loss", returned, dtype), derivatives)
            return self._given(case, returned)

    def _fetch(self, what: str, tensor: Any, dtype: str) -> Any:
        if tensor is None:
            return LEFT_OUT
        if isinstance(tensor, np.ndarray | np.generic | float | int):
            fetch = _NumPy().fetch
        else:
            fetch = self._library.fetch
        try:
            return fetch(tensor, dtype)
        except CrosscheckError as error:
            raise type(error)(f"{self.name}, {what}: {error}") from None

    def _given(self, case: Case, returned: Any) -> Gradients:
        """Gradients in any of the forms as `Gradients` with float64 arrays."""
        parts = self._parts(returned)
        weights = self._layers("weights", parts.get("weights"), case)
        biases = self._layers("biases", parts.get("biases"), case)
        given = Gradients(
            self._fetch("loss", parts.get("loss"), case.dtype),
            tuple(weights),
            tuple(
                None if has is None else bias for has, bias in zip(case.biases, biases, strict=True)
            ),
            self._fetch("x", parts.get("x"), case.dtype),
        )
        if all(isinstance(value, LeftOut) for name, value in given.entries() if name != "J"):
            if any(parts.get(name) is not None for name in ("weights", "biases", "x")):
                raise UnsupportedError("it returns nothing that this case has")
            raise UsageError(f"{self.name}: no gradient returned; {_FORMS}")
        return given

    def _parts(self, returned: Any) -> Mapping[str, Any]:
        if isinstance(returned, Gradients):
            return {name: getattr(returned, name) for name in _PARTS}
        if isinstance(returned, Mapping):
            unknown = [key for key in returned if key not in _PARTS]
            if unknown:
                raise UsageError(
                    f"{self.name}: {unknown[0]!r} among what it returned; wanted some of "
                    f"{', '.join(_PARTS)}"
                )
            return returned
        if not 2 <= len(returned) <= len(_PARTS):
            raise UsageError(f"{self.name}: a tuple of {len(returned)} returned; {_FORMS}")
        return dict(zip(_PARTS, returned, strict=False))

    def _layers(self, name: str, arrays: Any, case: Case) -> list[Any]:
        depth = case.network.depth
        if arrays is None:
            return [LEFT_OUT] * depth
        if not isinstance(arrays, list | tuple) or len(arrays) != depth:
            found = f"{len(arrays)} arrays" if isinstance(arrays, list | tuple) else _kind(arrays)
            raise UsageError(
                f"{self.name}, {name}: {found} returned, wanted a list with one array for each "
                f"of {depth} layers"
            )
        return [self._fetch(f"{name}[{i}]", array, case.dtype) for i, array in enumerate(arrays)]


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


class _WrongFormError(UsageError):
    pass


def _is_form(returned: Any) -> bool:
    return isinstance(returned, Gradients | Mapping | tuple | list)


def _is_loss(returned: Any, tensor: type) -> bool:
    """Whether a function returned a loss, and not gradients.

    Raises:
        UsageError: It returned neither.
    """
    if _is_form(returned):
        return False
    if not isinstance(returned, tensor):
        raise _WrongFormError(f"{_kind(returned)} returned; {_FORMS}")
    if tuple(returned.shape) != ():  # type: ignore[attr-defined]
        raise _WrongFormError(f"{_kind(returned)} returned; {_FORMS}")
    return True


def _kind(value: Any) -> str:
    shape = getattr(value, "shape", None)
    name = type(value).__name__
    return f"{name} of shape {tuple(shape)}" if shape is not None else name


def _numbers(value: Any) -> Array:
    """What NumPy code returned, as float64 without loss.

    Raises:
        UsageError: It is nothing that holds numbers.
        RefusedError: It is an array of something else than real numbers, of a kind that computes
            by rules of its own, or of numbers that float64 does not hold.
    """
    if not isinstance(value, np.ndarray | np.generic | int | float | list | tuple):
        raise UsageError(f"{_kind(value)} returned, wanted real numbers")
    if isinstance(value, np.ndarray) and type(value) is not np.ndarray:
        raise RefusedError(f"{_kind(value)} returned, wanted a plain numpy.ndarray")
    try:
        array = np.asarray(value)
    except ValueError as error:  # rows of several lengths
        raise RefusedError(f"{_kind(value)} returned that is no array: {error}") from error
    if array.dtype.kind not in "fiu":
        raise RefusedError(f"{array.dtype} returned, wanted real numbers")
    with np.errstate(all="ignore"):
        found = np.array(array, dtype=np.float64)
        if not np.array_equal(found.astype(array.dtype), array, equal_nan=array.dtype.kind == "f"):
            raise RefusedError(f"{array.dtype} numbers returned that are none of float64")
    return found


def _count_arguments(role: str, function: Any) -> int:
    """1 or 4: how many arguments a function has to be given.

    Raises:
        UsageError: It is not a function of that many.
    """
    wanted = "wanted f(weights, biases, x, y) or f(case)"
    if not callable(function):
        raise UsageError(f"{role}={function!r}: {wanted}")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return 4  # some compiled functions do not tell
    for count in (4, 1):
        try:
            signature.bind(*range(count))
        except TypeError:
            continue
        return count
    raise UsageError(f"{role}={_name(function)}{signature}: {wanted}")


def _require_available(role: str) -> None:
    state = state_of(role)
    if state.state == "absent":
        raise AbsentError(
            f"{role}: not installed here; {state.detail}, leave the argument out, or say "
            "absent='skip' to have the test skipped where it is not"
        )
    if state.state == "broken":
        raise CrosscheckError(f"{role}: installed, but it cannot be imported: {state.detail}")


def _name(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    found = getattr(function, "__name__", None) or type(function).__name__
    return "lambda" if found == "<lambda>" else str(found)


def _from_the_function_on(traceback: TracebackType | None) -> TracebackType | None:
    """The traceback without the frames of this module that come first."""
    while (
        traceback is not None
        and traceback.tb_next is not None
        and traceback.tb_frame.f_code.co_filename == __file__
    ):
        traceback = traceback.tb_next
    return traceback
