"""What the words of a command line name: a model, an example of its inputs, a loss.

A model is one of

    f(x, …)                    a JAX function; the file's arrays are its arguments by name, or by
                               position; ``params.layer.w`` is a leaf of a tree that it takes
    (f, parameters)            a JAX function and the tree that is its first argument, as of
                               ``(module.apply, variables)``
    an object that is called   and is a tree of arrays, as of equinox: its real arrays
    a module of PyTorch        its parameters are its own
    f(x, …)                    a function of PyTorch tensors
    a model of Keras           on its JAX or PyTorch backend
    make()                     something without required arguments that returns one of these
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.frontends.calling import called
from crosscheck.numbers.formats import format_of
from crosscheck.run.functions.formula import FormulaLibrary, library_of
from crosscheck.run.functions.partnered import loaded
from crosscheck.run.modules.keras_ import KerasModel, is_keras
from crosscheck.run.modules.reading import Asked
from crosscheck.tools.errors import UsageError
from crosscheck.tools.words import named

__all__ = ["ask", "asked_about", "example", "named_object"]

PARAMETERS = "model"
"""What the parameters of a model are called that brings its own."""


def ask(
    where: str,
    arrays: Mapping[str, Any],
    *,
    loss: str | None = None,
    wrt: Sequence[str] = (),
    dtype: str | None = None,
) -> Asked:
    """A model and the numbers that it is asked about.

    Args:
        where: ``PKG:MODEL`` or ``FILE.py:MODEL``.
        arrays: Of `example`.
        loss: Likewise of a function of what the model returns, and of arrays by name; or the name
            of one beside the model.
        wrt: Names, or beginnings of names, of what it is differentiated by.
        dtype: Of the real numbers; by default that of the model's, or of the example's.

    Raises:
        UsageError: Something is not there, or is none of the forms.
    """
    model = named_object(where)
    beside, _, name = where.rpartition(":")
    function = None
    if loss is not None:
        function = named_object(loss if ":" in loss else f"{beside}:{loss}")
    return asked_about(model, name, arrays, loss=function, wrt=wrt, dtype=dtype)


def asked_about(
    model: Any,
    name: str,
    arrays: Mapping[str, Any],
    *,
    loss: Callable[..., Any] | None = None,
    wrt: Sequence[str] = (),
    dtype: str | None = None,
) -> Asked:
    """As `ask`, of a model that is there.

    Args:
        model: The model.
        name: What it is called.
        arrays: As of `ask`, like what follows.
        loss: A function.
        wrt: Names, or beginnings of names.
        dtype: Of the real numbers.

    Raises:
        UsageError: It is none of the forms.
    """
    arguments: dict[str, Any] = dict(arrays)
    targets: dict[str, Any] = {}
    if loss is not None:
        targets = {n: arguments.pop(n) for n in _further(loss) if n in arguments}
    own, parameters, library, parts = _model(model, name, arguments)
    given = {**parameters, **arguments, **targets}
    whole = _with_loss(own, loss, name, tuple(given), tuple(targets))
    real = [key for key, value in given.items() if _is_real(value)]
    chosen = dtype or _dtype(given)
    format_of(chosen)
    tops = [each.partition(".")[0] for each in wrt]
    for each in wrt:
        if each.partition(".")[0] not in real:
            raise UsageError(f"--wrt {each}: wanted some of {', '.join(real)}")
    chosen_by = tuple(key for key in real if not tops or key in tops)
    if loss is not None and not wrt:
        chosen_by = tuple(key for key in chosen_by if key not in targets)
    fixed = tuple(key for key in real if key not in chosen_by)
    return Asked(name, library, whole, given, chosen_by, fixed, chosen, tuple(wrt), parts)


def named_object(where: str) -> Any:
    """What ``PKG:NAME`` or ``FILE.py:NAME`` names.

    Raises:
        UsageError: There is none, or importing it raises.
    """
    package, separator, name = where.rpartition(":")
    if not (separator and package and name):
        raise UsageError(f"{where}: wanted PKG:MODEL or FILE.py:MODEL, as in my_models:net")
    try:
        if package.endswith(".py"):
            found: Any = loaded(package)
        else:
            sys.path.insert(0, str(Path.cwd()))
            try:
                found = importlib.import_module(package)
            finally:
                sys.path.remove(str(Path.cwd()))
    except UsageError:
        raise
    except Exception as error:
        said = named(error, first_line=True, silent="no message")
        raise UsageError(f"{package}: importing it raised {said}") from None
    for part in name.split("."):
        if not hasattr(found, part):
            known = [each for each in vars(found) if not each.startswith("_")]
            raise UsageError(f"{where}: no {part!r} there; there are {', '.join(known[:20])}")
        found = getattr(found, part)
    return found


def example(path: Path) -> dict[str, Any]:
    """The arrays of a ``.npz`` file by name; dots in a name make a tree.

    Raises:
        UsageError: It is none.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            flat = {name: np.asarray(file[name]) for name in file.files}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UsageError(
            f"--input {path}: {first}; wanted a file that np.savez(path, x=…) has written"
        ) from None
    found: dict[str, Any] = {}
    for name, array in flat.items():
        *tree, last = name.split(".")
        here = found
        for part in tree:
            here = here.setdefault(part, {})
            if not isinstance(here, dict):
                raise UsageError(f"--input {path}: {name} is below an array of the file")
        here[last] = array
    return {name: _lists(value) for name, value in found.items()}


def _lists(value: Any) -> Any:
    """A tree whose keys are 0, 1, 2, … as a list."""
    if not isinstance(value, dict):
        return value
    inner = {key: _lists(each) for key, each in value.items()}
    if list(inner) == [str(k) for k in range(len(inner))]:
        return list(inner.values())
    return inner


def _leaves(value: Any) -> list[NDArray[Any]]:
    if isinstance(value, Mapping):
        return [leaf for each in value.values() for leaf in _leaves(each)]
    if isinstance(value, list | tuple):
        return [leaf for each in value for leaf in _leaves(each)]
    return [np.asarray(value)]


def _is_real(value: Any) -> bool:
    """Whether a tree is of real numbers throughout."""
    leaves = _leaves(value)
    return bool(leaves) and all(_of_reals(each.dtype) for each in leaves)


def _of_reals(dtype: Any) -> bool:
    return bool(dtype.kind == "f" or dtype.name == "bfloat16")


def _dtype(given: Mapping[str, Any]) -> str:
    for value in given.values():
        for leaf in _leaves(value):
            if _of_reals(leaf.dtype):
                return str(leaf.dtype.name)
    raise UsageError("no array of real numbers among the model's parameters and its example")


def _further(function: Callable[..., Any]) -> list[str]:
    """Names of the arguments of a loss after the first."""
    try:
        return list(inspect.signature(function).parameters)[1:]
    except (TypeError, ValueError):
        raise UsageError(f"{function!r}: its parameters are not known; wrap it") from None


def _with_loss(
    own: Callable[[Mapping[str, Any]], Any],
    loss: Callable[..., Any] | None,
    name: str,
    names: Sequence[str],
    targets: Sequence[str],
) -> Callable[..., Any]:
    """The whole, of its arguments in their order."""

    def whole(*values: Any) -> Any:
        arguments = dict(zip(names, values, strict=True))
        rest = {key: value for key, value in arguments.items() if key not in targets}
        returned = own(rest)
        if loss is None:
            return returned
        return loss(returned, **{key: arguments[key] for key in targets})

    whole.__name__ = name
    return whole


_Loaded = tuple[
    Callable[[Mapping[str, Any]], Any], dict[str, Any], FormulaLibrary, Mapping[int, str]
]
"""A model as a function of a dict, what it brings, its library, and names of its parts."""


def _model(model: Any, where: str, arguments: Mapping[str, Any]) -> _Loaded:
    if inspect.isclass(model) or (callable(model) and arguments and _is_factory(model)):
        model = model()
    if is_keras(model):
        keras = KerasModel(model)

        def of_keras(given: Mapping[str, Any]) -> Any:
            return keras(given[PARAMETERS], _others(given))

        return of_keras, {PARAMETERS: keras.arrays}, keras.library, {}
    if callable(model) and _library(model) == "torch":
        return _of_torch(model)
    if isinstance(model, tuple) and len(model) == 2 and callable(model[0]):
        function, parameters = model
        first = _Tree(parameters)

        def paired(given: Mapping[str, Any]) -> Any:
            return _put(function, first.put(given[PARAMETERS]), _others(given))

        return paired, {PARAMETERS: first.arrays}, "jax", {}
    tree = _Tree(model)
    if tree.arrays:
        if not callable(model):
            raise UsageError(f"{where}: {type(model).__name__} is nothing that can be called")

        def of_tree(given: Mapping[str, Any]) -> Any:
            return called(tree.put(given[PARAMETERS]), _others(given))

        return of_tree, {PARAMETERS: tree.arrays}, "jax", {}
    if not callable(model):
        raise UsageError(
            f"{where}: {type(model).__name__}, wanted a function, a pair of a function and its "
            "parameters, or an object that is called and holds arrays"
        )
    return lambda given: called(model, given), {}, "jax", {}


def _library(model: Any) -> FormulaLibrary:
    """As of `library_of`; of a function that names neither, that of its file's imports."""
    found = library_of(model)
    names = {
        getattr(each, "__name__", "").partition(".")[0]
        for each in getattr(inspect.unwrap(model), "__globals__", {}).values()
        if inspect.ismodule(each)
    }
    return "torch" if found == "numpy" and "torch" in names and "jax" not in names else found


def _others(given: Mapping[str, Any]) -> dict[str, Any]:
    """What the model does not bring itself."""
    return {key: value for key, value in given.items() if key != PARAMETERS}


def _of_torch(model: Any) -> _Loaded:
    """A function of tensors, or a module with its parameters; buffers are copied for each call."""
    torch: Any = importlib.import_module("torch")
    if not isinstance(model, torch.nn.Module):
        return lambda given: called(model, given), {}, "torch", {}

    def forward(given: Mapping[str, Any]) -> Any:
        buffers = {name: each.detach().clone() for name, each in model.named_buffers()}
        state = {**given[PARAMETERS], **buffers}

        def call(*args: Any, **kwargs: Any) -> Any:
            return torch.func.functional_call(model, state, args, kwargs)

        return called(call, _others(given), of=model.forward)

    arrays = {name: each.detach().numpy().copy() for name, each in model.named_parameters()}
    parts = {id(part): name for name, part in model.named_modules()}
    return forward, {PARAMETERS: arrays}, "torch", parts


def _put(function: Callable[..., Any], first: Any, rest: Mapping[str, Any]) -> Any:
    """The function of its parameters, then of the others by name where it has these names."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return function(first, *rest.values())
    if all(name in parameters for name in rest):
        return function(first, **rest)
    return function(first, *rest.values())


def _is_factory(model: Callable[..., Any]) -> bool:
    """Whether it is a function that takes nothing."""
    if not inspect.isfunction(model):
        return False
    return not inspect.signature(model).parameters


class _Tree:
    """An object that is a tree of arrays and of other things.

    Attributes:
        arrays: Its arrays of real numbers, by their places.
    """

    def __init__(self, model: Any) -> None:
        self._jax: Any = importlib.import_module("jax")
        flat, self._form = self._jax.tree_util.tree_flatten_with_path(model)
        self._leaves: list[tuple[str, Any]] = [
            (_place(self._jax, path), leaf) for path, leaf in flat
        ]
        self.arrays = {
            place: np.asarray(leaf) for place, leaf in self._leaves if place and _is_array(leaf)
        }

    def put(self, arrays: Mapping[str, Any]) -> Any:
        """The object with other arrays."""
        leaves = [arrays.get(place, leaf) for place, leaf in self._leaves]
        return self._jax.tree_util.tree_unflatten(self._form, leaves)


def _place(jax: Any, path: Sequence[Any]) -> str:
    return str(jax.tree_util.keystr(tuple(path), simple=True, separator="."))


def _is_array(leaf: Any) -> bool:
    return hasattr(leaf, "shape") and hasattr(leaf, "dtype") and _of_reals(np.dtype(leaf.dtype))
