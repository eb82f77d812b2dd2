"""Finding what belongs together in a file: formulas with their implementations, by their names.

``@crosscheck.spec`` says it. Without it names do, as people choose them:

    f, and f_backward, f_gradients, f_by_hand           by hand
    f_forward and f_backward                            by hand, a pair; the formula is f
    f_torch, torch_f, FFunction                         PyTorch
    f_jax, jax_f                                        JAX
    f_tensorflow, tensorflow_f, f_tf                    TensorFlow
    Model and ModelNew, with get_inputs                 PyTorch modules; the shapes are the inputs'
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from crosscheck.run.functions.spec import Spec, spec_of
from crosscheck.tools.errors import UsageError

__all__ = ["loaded", "specs_in"]

_BY_HAND = ("{}_backward", "{}_gradients", "{}_gradient", "{}_grad", "{}_by_hand", "{}_vjp")
_LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "torch": ("{}_torch", "torch_{}", "{}_pytorch"),
    "tensorflow": ("{}_tensorflow", "tensorflow_{}", "{}_tf"),
    "jax": ("{}_jax", "jax_{}"),
}


def loaded(path: str) -> ModuleType:
    """A Python file as a module.

    Raises:
        UsageError: There is none.
    """
    file = Path(path)
    if not file.is_file():
        raise UsageError(f"{path}: no such file, wanted FILE.py or FILE.py::NAME")
    name = f"crosscheck_checked_{file.stem}"
    described = importlib.util.spec_from_file_location(name, file)
    if described is None or described.loader is None:
        raise UsageError(f"{path}: wanted a Python file")
    module = importlib.util.module_from_spec(described)
    sys.modules[name] = module
    sys.path.insert(0, str(file.resolve().parent))
    try:
        described.loader.exec_module(module)
    finally:
        sys.path.remove(str(file.resolve().parent))
    return module


def specs_in(module: ModuleType, name: str = "") -> list[Spec]:
    """The formulas of a file that have implementations.

    Args:
        module: The file.
        name: Only the formula of this name, which needs none: frameworks have it then.

    Raises:
        UsageError: There are none, or none of this name.
    """
    found = [each for each in _all(module) if not name or each.name == name]
    alone = vars(module).get(name)
    if not found and inspect.isfunction(alone):
        return [Spec(alone, _shapes_of(name, vars(module)), {}, {}, {})]
    if not found:
        wanted = (
            "wanted a function with @crosscheck.spec, or with partners by name: f and f_backward, "
            "f_torch, f_jax"
        )
        where = module.__file__
        raise UsageError(
            f"{where}: {f'no {name} that' if name else 'nothing'} can be checked; {wanted}"
        )
    return found


def _all(module: ModuleType) -> Iterator[Spec]:
    names = vars(module)
    own = {
        name: value
        for name, value in names.items()
        if callable(value) and getattr(value, "__module__", None) in (module.__name__, None)
    }
    said = [spec for value in own.values() if (spec := spec_of(value)) is not None]
    if said:
        yield from said
        return
    for name, value in own.items():
        if inspect.isfunction(value):
            partners = _partners(name, names)
            if partners:
                yield Spec(value, _shapes_of(name, names), {}, {}, partners)
    if "Model" in own and "ModelNew" in own and "get_inputs" in own:
        yield _of_models(names)


def _shapes_of(name: str, names: Mapping[str, Any]) -> Any:
    """The shapes that a file gives for a function of it, or for all."""
    return names.get(f"{name}_shapes".upper(), names.get("SHAPES"))


def _partners(name: str, names: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    if f"{name}_forward" in names and f"{name}_backward" in names:
        pair = names[f"{name}_forward"], names[f"{name}_backward"]
        found["by_hand"] = {f"{name}_backward": pair}
    else:
        by_hand = {each.format(name): names.get(each.format(name)) for each in _BY_HAND}
        found["by_hand"] = {each: value for each, value in by_hand.items() if callable(value)}
    for role, patterns in _LIBRARIES.items():
        given = {each.format(name): names.get(each.format(name)) for each in patterns}
        found[role] = {each: value for each, value in given.items() if callable(value)}
    camel = "".join(part.capitalize() for part in name.split("_")) + "Function"
    if callable(names.get(camel)):
        found["torch"][camel] = names[camel]
    return {role: given for role, given in found.items() if given}


def _of_models(names: Mapping[str, Any]) -> Spec:
    """Two modules that compute the same, of inputs that a function makes."""
    arguments = tuple(names["get_init_inputs"]()) if "get_init_inputs" in names else ()
    model, new = names["Model"](*arguments), names["ModelNew"](*arguments)
    new.load_state_dict(model.state_dict(), strict=False)
    shapes = tuple(each.detach().cpu().numpy() for each in names["get_inputs"]())
    return Spec(model, shapes, {}, {}, {"torch": {"ModelNew": new}})
