"""Which frameworks there are, whether each can be used here, and how to open them.

The three built-in adapters are known whether or not the package is installed. Every installed
distribution can add one, or replace one of the same name, under the entry-point group
``crosscheck.frameworks``. Nothing is passed over in silence: an entry point that does not load is
a framework that is *broken*.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from types import MappingProxyType

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.state import FrameworkState
from crosscheck.tools.errors import UsageError, meant
from crosscheck.tools.installing import installation
from crosscheck.tools.interrupts import interrupts, may_be_the_users
from crosscheck.tools.words import named

__all__ = [
    "GROUP",
    "Opened",
    "Request",
    "adapter_of",
    "all_here",
    "installed",
    "known",
    "names",
    "open_frameworks",
    "open_here",
    "state_of",
]

GROUP = "crosscheck.frameworks"
"""The entry-point group: name to ``package.module:Class``."""

_BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "torch": "crosscheck.frameworks.torch_:TorchFramework",
        "tensorflow": "crosscheck.frameworks.tensorflow_:TensorFlowFramework",
        "jax": "crosscheck.frameworks.jax_:JaxFramework",
    }
)
"""The same as in our own pyproject.toml, for a source tree that is not installed."""

_DEFAULTS: Mapping[str, str] = MappingProxyType({})


def known() -> dict[str, type[Framework] | BaseException]:
    """Every framework by name, the built-in ones first; no framework's library is imported.

    Returns:
        The adapter class, or the error that came of loading its entry point.
    """
    return {name: _load(name, values) for name, values in _registered().items()}


def names() -> list[str]:
    """The names in `known`; nothing at all is imported to find them."""
    return list(_registered())


def adapter_of(name: str) -> type[Framework] | BaseException:
    """What `known` has for one name; no other adapter is loaded.

    Raises:
        UsageError: No such framework.
    """
    registered = _registered()
    _require_known("framework", [name], registered)
    return _load(name, registered[name])


def installed(names: Sequence[str] | None = None) -> tuple[str, ...]:
    """Names of frameworks that are installed here; no framework's library is imported.

    Args:
        names: Those that are asked for; ``None`` for all.

    Raises:
        UsageError: One that is asked for is unknown or absent.
    """
    adapters = known()
    _require_known("framework", names or (), adapters)
    found = []
    for name in dict.fromkeys(adapters if names is None else names):
        adapter = adapters[name]
        if isinstance(adapter, BaseException) or not _is_absent(adapter.module):
            found.append(name)
        elif names is not None:
            raise UsageError(_not_installed(name, _installation(name, adapter)))
    return tuple(found)


def _not_installed(name: str, detail: str) -> str:
    return f"framework {name!r} is not installed here: {detail}"


def _registered() -> dict[str, list[str]]:
    """Name to the entry points that count for it."""
    values: dict[str, set[str]] = {name: set() for name in _BUILT_IN}
    for entry in sorted(metadata.entry_points(group=GROUP), key=lambda entry: entry.name):
        values.setdefault(entry.name, set()).add(entry.value)
    return {
        name: sorted(added - {_BUILT_IN.get(name)}) or [_BUILT_IN[name]]
        for name, added in values.items()
    }


def _load(name: str, values: Sequence[str]) -> type[Framework] | BaseException:
    try:
        if len(values) > 1:
            raise ValueError(f"several packages register {name!r}: {', '.join(values)}")
        adapter = metadata.EntryPoint(name, values[0], GROUP).load()
        if not (isinstance(adapter, type) and issubclass(adapter, Framework)):
            raise TypeError(f"{values[0]} is not a subclass of {Framework.__qualname__}")
        if adapter.name != name:
            raise ValueError(f"{values[0]} is registered as {name!r} and named {adapter.name!r}")
    except BaseException as error:  # a module may even call sys.exit when it is imported
        if isinstance(error, KeyboardInterrupt) and may_be_the_users():
            raise
        return error
    return adapter


def state_of(name: str, formulation: str | None = None, mode: str | None = None) -> FrameworkState:
    """Whether the framework ``name`` can be used here; its library is imported to find out.

    Args:
        name: A key of `known`.
        formulation: One of its formulations; the default is its first.
        mode: One of its modes; the default is its first.

    Raises:
        UsageError: No such framework, formulation or mode.
    """
    return _open(name, adapter_of(name), formulation, mode)[1]


@dataclass(frozen=True)
class Request:
    """A framework that is to be opened.

    Attributes:
        name: Of the framework.
        formulation: One of its formulations; the default is its first.
        mode: One of its modes; the default is its first.
        by_steps: Whether the default mode is the first that shows its steps, if any does.
    """

    name: str
    formulation: str | None = None
    mode: str | None = None
    by_steps: bool = False


Opened = tuple[Framework | None, FrameworkState]
"""A framework, where it is available, and its state."""


def open_here(request: Request) -> Opened:
    """Open one framework in this process.

    Raises:
        UsageError: It has no such formulation or mode.
    """
    adapter, mode = adapter_of(request.name), request.mode
    if request.by_steps and mode is None and not isinstance(adapter, BaseException):
        mode = next((each for each in adapter.modes if each in adapter.watched_modes), None)
    return _open(request.name, adapter, request.formulation, mode)


def all_here(requests: Sequence[Request]) -> Iterator[Opened]:
    """One after the other, as they are asked for."""
    return map(open_here, requests)


def open_frameworks(
    names: Sequence[str] | None = None,
    formulations: Mapping[str, str] = _DEFAULTS,
    modes: Mapping[str, str] = _DEFAULTS,
    *,
    by_steps: bool = False,
    others: Iterable[str] = (),
    opened: Callable[[Sequence[Request]], Iterable[Opened]] = all_here,
) -> tuple[list[Framework], list[FrameworkState]]:
    """Open the frameworks of a run.

    Args:
        names: The frameworks asked for; ``None`` for every known one that is not absent.
        formulations: Framework name to formulation, where it is not to be the default.
        modes: Framework name to mode, likewise.
        by_steps: Whether the default mode is the first that shows its steps, if any does.
        others: More names, of frameworks in other environments.
        opened: Opens them, all together: here, or each in a process of its own
            (`crosscheck.frameworks.isolated`).

    Returns:
        The available frameworks, and the states of all that were asked for (of all known ones
        if ``names`` is ``None``), both in the order asked for. A broken one has a state only;
        the caller makes the run fail.

    Raises:
        UsageError: A framework asked for is unknown or absent, or has no such formulation or
            mode; or a formulation or mode is given for a framework that is not in use.
    """
    registered = [*_registered(), *others]
    if names is not None and (isinstance(names, str) or not names):
        raise UsageError(
            f"frameworks={names!r}: wanted a list with at least one of {', '.join(registered)}"
        )
    wanted = list(registered if names is None else dict.fromkeys(names))
    _require_known("framework", wanted, registered)
    for field, choices in (("formulation", formulations), ("mode", modes)):
        _require_known(field, choices, registered)
        for name, choice in choices.items():
            if name not in wanted:
                raise UsageError(
                    f"{field} {name}={choice}: {name} is not in use, only {', '.join(wanted)}; "
                    f"ask for {name} as well or leave the {field} out"
                )
    requests = [Request(name, formulations.get(name), modes.get(name), by_steps) for name in wanted]
    frameworks, states = [], []
    with interrupts() as held:  # while a library is imported, much may swallow one
        for name, (framework, state) in zip(wanted, opened(requests), strict=True):
            with held():
                pass  # it was no fault of the framework's
            asked_for = names is not None or name in formulations or name in modes
            if state.state == "absent" and asked_for:
                raise UsageError(_not_installed(name, state.detail))
            if framework is not None:
                frameworks.append(framework)
            states.append(state)
    return frameworks, states


def _require_known(field: str, names: Iterable[str], adapters: Collection[str]) -> None:
    for name in names:
        if name not in adapters:
            raise UsageError(
                f"{field}: no framework is called {name!r}, wanted one of {', '.join(adapters)}"
                f"{meant(name, adapters)}"
            )


def _open(
    name: str,
    adapter: type[Framework] | BaseException,
    formulation: str | None,
    mode: str | None,
) -> tuple[Framework | None, FrameworkState]:
    if isinstance(adapter, BaseException):
        return None, _broken(name, adapter, formulation, mode)
    try:
        if _is_absent(adapter.module):
            return None, FrameworkState(
                name,
                "absent",
                formulation=formulation or next(iter(adapter.formulations)),
                mode=mode or next(iter(adapter.modes)),
                detail=_installation(name, adapter),
            )
        framework = adapter(formulation=formulation, mode=mode)
        return framework, FrameworkState(
            name,
            "available",
            versions=adapter.versions(),
            formulation=framework.formulation,
            mode=framework.mode,
        )
    except UsageError:
        raise
    except BaseException as error:  # whatever importing or starting a library raises
        if isinstance(error, KeyboardInterrupt) and may_be_the_users():
            raise
        return None, _broken(name, error, formulation, mode)


def _is_absent(module: str) -> bool:
    """Whether ``module`` cannot be found, as opposed to found and not importable."""
    try:
        return importlib.util.find_spec(module) is None
    except ModuleNotFoundError as error:
        # Looking for a.b imports a: a may be missing, or may itself miss something else.
        return error.name is not None and f"{module}.".startswith(f"{error.name}.")
    except ValueError:  # it is imported already, and does not say from where
        return False


def _installation(name: str, adapter: type[Framework]) -> str:
    if _BUILT_IN.get(name) == f"{adapter.__module__}:{adapter.__qualname__}":
        return installation(name)
    return f"pip install {next(iter(adapter.packages), adapter.module)}"


def _broken(
    name: str, error: BaseException, formulation: str | None, mode: str | None
) -> FrameworkState:
    detail = named(error, silent="no message")
    return FrameworkState(
        name, "broken", formulation=formulation or "", mode=mode or "", detail=detail
    )
