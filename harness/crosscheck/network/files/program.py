"""Networks of operators as JSON.

::

    {"version": 1,
     "program": [{"id": "z1", "op": "dense", "inputs": {"x": "x", "W": "W1", "b": "b1"}},
                 {"id": "a1", "op": "leaky_relu", "inputs": ["z1"], "attributes": {"slope": 0.1}},
                 {"id": "out", "op": "dense", "inputs": ["a1", "W2", null]},
                 {"id": "loss", "op": "huber", "inputs": ["out", "y"]}],
     "parameters": {"W1": [[…]], "b1": […], "W2": [[…]]}, "inputs": {"x": [[…]], "y": [[…]]},
     "dtype": "float32"}

A step's ``inputs`` are the operator's operands by name, or in its order with null for one that is
left out: arrays, or ids of earlier steps. Attributes that are left out have their defaults; a
number may be a fraction in words, ``"1/3"``. The last step is a loss. Numbers are written and read
as in the dense form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crosscheck.network.composed import Composed
from crosscheck.network.files.building import (
    checked_options,
    kind_of,
    refuse,
    shortened,
)
from crosscheck.network.files.numbers import array_of_any_depth, to_lists
from crosscheck.network.steps import Step, step
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import FORMATS, Format
from crosscheck.operators.operator import Attribute
from crosscheck.operators.registry import operator_of
from crosscheck.tools.errors import UsageError, meant
from crosscheck.tools.words import cut, shown

__all__ = ["composed_from_json", "composed_to_json"]

_VERSION = 1
_KEYS = ("version", "program", "parameters", "inputs", "dtype", "gradient")
_STEP_KEYS = ("id", "op", "inputs", "attributes")


def composed_to_json(case: Composed) -> dict[str, Any]:
    """A single case as what `json.dumps` takes."""
    return {
        "version": _VERSION,
        "program": [_step_to_json(each) for each in case.steps],
        "parameters": {name: to_lists(array.tolist()) for name, array in case.parameters.items()},
        "inputs": {name: to_lists(array.tolist()) for name, array in case.inputs.items()},
        "dtype": case.dtype,
    }


def _step_to_json(each: Step) -> dict[str, Any]:
    found: dict[str, Any] = {"id": each.id, "op": each.op, "inputs": dict(each.inputs)}
    if each.attributes:
        found["attributes"] = dict(each.attributes)
    return found


def composed_from_json(data: Mapping[str, Any], *, origin: str) -> Composed:
    """The case that parsed JSON describes; NaN and infinities are let through.

    Raises:
        UsageError: It is none.
    """
    for key in data:
        if key not in _KEYS:
            wanted = f"wanted {', '.join(_KEYS)}{meant(key, _KEYS)}"
            refuse(origin, f"unknown key {shortened(key)}, {wanted}")
    version = data.get("version", _VERSION)
    if version != _VERSION or isinstance(version, bool):
        refuse(origin, f"version is {kind_of(version)}, wanted {_VERSION}")
    options = checked_options({key: data[key] for key in ("dtype",) if key in data}, origin)
    form = FORMATS[options.get("dtype", "float64")]
    if not isinstance(data["program"], list) or not data["program"]:
        refuse(origin, f"program is {kind_of(data['program'])}, wanted a list of steps")
    try:
        steps = [_step(each, f"program[{i}]", origin) for i, each in enumerate(data["program"])]
        parameters = _arrays(data.get("parameters", {}), "parameters", form, origin)
        inputs = _arrays(data.get("inputs", {}), "inputs", form, origin)
        return Composed(tuple(steps), parameters, inputs, form.name)
    except UsageError as error:
        text = str(error)
        if text.startswith(origin):
            raise
        raise UsageError(f"{origin}: {cut(shown(text))}") from None


def _step(data: Any, at: str, origin: str) -> Step:
    if not isinstance(data, dict):
        refuse(origin, f"{at} is {kind_of(data)}, wanted an object with {', '.join(_STEP_KEYS)}")
    for key in data:
        if key not in _STEP_KEYS:
            refuse(origin, f"{at}: unknown key {shortened(key)}, wanted {', '.join(_STEP_KEYS)}")
    for key in ("id", "op"):
        if not isinstance(data.get(key), str):
            refuse(origin, f"{at}.{key} is {kind_of(data.get(key))}, wanted a string")
    operator = operator_of(data["op"])
    given = data.get("inputs", [])
    if isinstance(given, dict):
        unknown = [name for name in given if name not in operator.operands]
        if unknown:
            operands = ", ".join(operator.operands)
            refuse(origin, f"{at}: {data['op']} has no {shortened(unknown[0])}, wanted {operands}")
        given = [given.get(name) for name in operator.operands]
    if not isinstance(given, list) or not all(
        each is None or isinstance(each, str) for each in given
    ):
        refuse(origin, f"{at}.inputs is {kind_of(given)}, wanted names of arrays or steps")
    attributes = data.get("attributes", {})
    if not isinstance(attributes, dict):
        refuse(origin, f"{at}.attributes is {kind_of(attributes)}, wanted an object")
    wanted: dict[str, Attribute] = {
        name: float(value) if isinstance(value, float) else value
        for name, value in attributes.items()
    }
    settled = operator.settled(wanted)
    found = step(data["id"], data["op"], *given)
    return Step(found.id, found.op, found.inputs, tuple(sorted(settled.items())))


def _arrays(data: Any, field: str, form: Format, origin: str) -> dict[str, Array]:
    if not isinstance(data, dict):
        refuse(origin, f"{field} is {kind_of(data)}, wanted an object of arrays by name")
    found = {}
    for name, values in data.items():
        if not str(name).isidentifier():
            refuse(origin, f"{field}: {shortened(name)}, wanted a name of letters and digits")
        found[name] = array_of_any_depth(values, f"{field}.{name}", form, origin)
    return found
