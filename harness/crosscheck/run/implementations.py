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
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any, ClassVar, Protocol

import numpy as np

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.gatekeeper import RefusedError
from crosscheck.frameworks.leaves import (
    assembled,
    assembled_by_name,
    constants_of,
    leaves_of,
)
from crosscheck.frameworks.registry import state_of
from crosscheck.frameworks.state import FrameworkState
from crosscheck.network.composed import AnyCase, Composed, Derivatives
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
        self, call: Callable[..., Any], leaves: Sequence[Any]
    ) -> tuple[Any, Sequence[Any] | None]:
        """What the call returns; and if that is a loss, its derivatives.

        Args:
            call: The function, of its leaves.
            leaves: What it is differentiated by.

        Returns:
            The derivatives are in the order of the leaves; ``None`` if the function returned
            gradients itself.
        """


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
        self, call: Callable[..., Any], leaves: Sequence[Any]
    ) -> tuple[Any, Sequence[Any] | None]:
        __tracebackhide__ = True
        torch: Any = importlib.import_module("torch")
        with torch.inference_mode(False), torch.enable_grad():
            for leaf in leaves:
                leaf.requires_grad_()
            returned = call(*leaves)
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
        self, call: Callable[..., Any], leaves: Sequence[Any]
    ) -> tuple[Any, Sequence[Any] | None]:
        __tracebackhide__ = True
        tf: Any = importlib.import_module("tensorflow")
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(leaves)
            returned = call(*leaves)
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
        self, call: Callable[..., Any], leaves: Sequence[Any]
    ) -> tuple[Any, Sequence[Any] | None]:
        __tracebackhide__ = True
        jax: Any = importlib.import_module("jax")
        if not self._returns_loss:  # once it has, evaluating it twice would be a waste
            returned = call(*leaves)
            if not _is_loss(returned, jax.Array):
                return returned, None
            self._returns_loss = True
        argnums = tuple(range(len(leaves)))
        returned, found = jax.value_and_grad(call, argnums=argnums)(*leaves)
        return returned, list(found)


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
        self, call: Callable[..., Any], leaves: Sequence[Any]
    ) -> tuple[Any, Sequence[Any] | None]:
        __tracebackhide__ = True
        returned = call(*leaves)
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
        found: Gradients = self._asked(lambda: self._gradients(case))
        return found

    def derivatives(self, case: Composed) -> Derivatives:
        """What the function says of a network of operators; see `gradients`."""
        __tracebackhide__ = True
        found: Derivatives = self._asked(lambda: self._derivatives(case))
        return found

    def _asked(self, call: Callable[[], Any]) -> Any:
        __tracebackhide__ = True
        self.error = self.traceback = None
        try:
            return call()
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

                def call(*leaves: Any) -> Any:
                    rest = iter(leaves)
                    weights = [next(rest) for _ in case.weights]
                    biases = [None if bias is None else next(rest) for bias in case.biases]
                    return self._function(weights, biases, next(rest), y)

                returned, found = self._evaluated(call, leaves)
            self.mode = library.derivation if found is not None else "its own gradient"
            if found is not None:
                derivatives = [self._fetch("a derivative", array, dtype) for array in found]
                return assembled(case, self._fetch("loss", returned, dtype), derivatives)
            return self._given(case, returned)

    def _of_case(self, case: AnyCase) -> Any:
        returned = self._function(case)
        if not _is_form(returned):
            raise UsageError(
                f"{self.name}: {_kind(returned)} returned by a function of a case; a loss can only "
                "be differentiated with respect to arrays that it was given: take (weights, "
                "biases, x, y), or (parameters, inputs), or return gradients"
            )
        return returned

    def _evaluated(
        self, call: Callable[..., Any], leaves: Sequence[Any]
    ) -> tuple[Any, Sequence[Any] | None]:
        __tracebackhide__ = True
        try:
            return self._library.evaluate(call, leaves)
        except _WrongFormError as error:
            raise UsageError(f"{self.name}: {error}") from None

    def _derivatives(self, case: Composed) -> Derivatives:
        __tracebackhide__ = True
        library, dtype = self._library, case.dtype
        with library.session():
            if self.takes_case:
                return self._named(case, self._of_case(case))
            if not self.takes_names:
                raise UsageError(
                    f"{self.name}: takes four arguments, and a network of operators is given; "
                    "wanted f(parameters, inputs) or f(case)"
                )
            leaves = [library.send(leaf, dtype) for leaf in leaves_of(case)]
            names = [name for name, _ in case.arrays() if name not in case.wanted]
            rest = [library.send(array, dtype) for array in constants_of(case)]
            constants = dict(zip(names, rest, strict=True))

            def call(*leaves: Any) -> Any:
                every = {**dict(zip(case.wanted, leaves, strict=True)), **constants}
                parameters = {name: every[name] for name in case.parameters}
                return self._function(parameters, {name: every[name] for name in case.inputs})

            returned, found = self._evaluated(call, leaves)
            self.mode = library.derivation if found is not None else "its own gradient"
            if found is None:
                return self._named(case, returned)
            derivatives = [self._fetch("a derivative", array, dtype) for array in found]
            return assembled_by_name(case, self._fetch("loss", returned, dtype), derivatives)

    def _named(self, case: Composed, returned: Any) -> Derivatives:
        """Derivatives by name, with what is not there left out."""
        self.mode = "its own gradient"
        if isinstance(returned, Derivatives):
            returned = {**returned.arrays, "loss": returned.loss}
        if not isinstance(returned, Mapping):
            raise UsageError(
                f"{self.name}: {_kind(returned)} returned, wanted a dict by name of derivatives, "
                f"some of {', '.join(case.wanted)}, and 'loss'"
            )
        unknown = [name for name in returned if name not in (*case.wanted, "loss")]
        if unknown:
            raise UsageError(
                f"{self.name}: {unknown[0]!r} among what it returned, wanted some of "
                f"{', '.join(case.wanted)}, loss"
            )
        found = {name: self._fetch(name, returned.get(name), case.dtype) for name in case.wanted}
        if all(isinstance(value, LeftOut) for value in found.values()):
            raise UsageError(f"{self.name}: no derivative returned, wanted at least one")
        return Derivatives(self._fetch("loss", returned.get("loss"), case.dtype), found)

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
    return isinstance(returned, Gradients | Derivatives | Mapping | tuple | list)


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
