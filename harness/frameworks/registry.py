"""Which frameworks are known, and in what state each of them is."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from importlib import metadata

from harness.errors import UsageError
from harness.events import FrameworkState
from harness.frameworks.base import Framework

__all__ = ["GROUP", "known", "open_frameworks", "state_of"]

GROUP = "harness.frameworks"
"""The entry-point group in which packages name their adapters."""

_BUILT_IN = {
    "torch": "harness.frameworks.torch_:TorchFramework",
    "tensorflow": "harness.frameworks.tensorflow_:TensorFlowFramework",
    "jax": "harness.frameworks.jax_:JaxFramework",
}
"""Known without installed metadata too, as when the harness is used from a source tree."""


def known() -> dict[str, type[Framework] | Exception]:
    """Every adapter by name, the built-in ones first.

    Returns:
        The adapter's class, or the error that loading its entry point raised: an adapter that
        cannot be loaded is broken, not unknown.
    """
    points = {name: metadata.EntryPoint(name, value, GROUP) for name, value in _BUILT_IN.items()}
    for point in sorted(metadata.entry_points(group=GROUP), key=lambda point: point.name):
        points[point.name] = point
    found: dict[str, type[Framework] | Exception] = {}
    for name, point in points.items():
        try:
            adapter = point.load()
            if not (isinstance(adapter, type) and issubclass(adapter, Framework)):
                raise TypeError(f"{point.value} is not a subclass of harness.frameworks.Framework")
            found[name] = adapter
        except Exception as error:  # whatever a stranger's module raises is its state
            found[name] = error
    return found


def state_of(
    name: str, *, formulation: str | None = None, mode: str | None = None
) -> FrameworkState:
    """Whether the framework ``name`` can be used here.

    Args:
        name: As users type it.
        formulation: How max(z, 0) is to be written; the adapter's default if not given.
        mode: How the gradient is to be asked for; likewise.

    Raises:
        UsageError: No such framework, formulation or mode.
    """
    return _open(name, _look_up(known(), name), formulation, mode)[1]


def open_frameworks(
    names: Sequence[str] | None = None,
    formulations: Mapping[str, str] | None = None,
    modes: Mapping[str, str] | None = None,
) -> tuple[list[Framework], list[FrameworkState]]:
    """Adapters that are ready for use, and the state of every framework concerned.

    Args:
        names: The frameworks wanted; by default every known one that is installed.
        formulations: Framework name to formulation, where it is not the default.
        modes: Framework name to mode, likewise.

    Returns:
        The available adapters, and one state for each framework that is known (for each of
        ``names``, if given). A *broken* framework has a state only: the run is to fail.

    Raises:
        UsageError: A framework is not known; one asked for by name is absent; a formulation
            or mode is not known, or is given for a framework that is not in use.
    """
    adapters = known()
    wanted = list(adapters) if names is None else list(dict.fromkeys(names))
    for name in wanted:
        _look_up(adapters, name)
    for option, choices in (("formulation", formulations or {}), ("mode", modes or {})):
        for name in choices:
            if name not in wanted:
                _look_up(adapters, name)
                raise UsageError(
                    f"{option} {name}={choices[name]}: {name} is not among the frameworks "
                    f"in use ({', '.join(wanted)}); add it to --frameworks or drop the option"
                )
    opened, states = [], []
    for name in wanted:
        framework, state = _open(
            name, adapters[name], (formulations or {}).get(name), (modes or {}).get(name)
        )
        if state.state == "absent" and names is not None:
            raise UsageError(f"frameworks: {name} is not installed; {state.detail}")
        if framework is not None:
            opened.append(framework)
        states.append(state)
    return opened, states


def _look_up(
    adapters: Mapping[str, type[Framework] | Exception], name: str
) -> type[Framework] | Exception:
    if name in adapters:
        return adapters[name]
    close = difflib.get_close_matches(name, adapters, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise UsageError(
        f"frameworks: {name!r} is not known, wanted one of {', '.join(adapters)}{hint}"
    )


def _open(
    name: str,
    adapter: type[Framework] | Exception,
    formulation: str | None,
    mode: str | None,
) -> tuple[Framework | None, FrameworkState]:
    if isinstance(adapter, Exception):
        return None, FrameworkState(name, "broken", detail=_one_line(adapter))
    if importlib.util.find_spec(adapter.module) is None:
        extra = f"'gradient-crosscheck[{name}]'" if name in _BUILT_IN else adapter.packages[0]
        return None, FrameworkState(name, "absent", detail=f"pip install {extra}")
    try:
        framework = adapter(formulation=formulation, mode=mode)
    except UsageError:
        raise
    except Exception as error:  # whatever importing a library raises is its state
        return None, FrameworkState(name, "broken", detail=_one_line(error))
    return framework, FrameworkState(
        name,
        "available",
        versions=adapter.versions(),
        formulation=framework.formulation,
        mode=framework.mode,
    )


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
