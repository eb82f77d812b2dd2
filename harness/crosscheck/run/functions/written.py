"""The test for a formula and its implementations, as text to paste."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

from crosscheck.run.functions.spec import Spec

__all__ = ["test_of"]


def test_of(spec: Spec, path: str, shapes: str | None) -> str:
    """A pytest test that compares a formula's implementations with it.

    Args:
        spec: The formula.
        path: Of the file that it is in.
        shapes: Of its arguments; guessed as one axis each where nothing is known.
    """
    name = spec.name
    given = [
        (role, own, value)
        for role, known in spec.implementations.items()
        for own, value in known.items()
    ]
    imported = sorted({name, *(part for _, own, value in given for part in _names(own, value))})
    text = shapes or spec.shapes or _guessed(spec)
    lines = [f"from {Path(path).stem} import {', '.join(imported)}", "", ""]
    lines += [f"def test_{name}(crosscheck):", "    crosscheck(", f"        {name},"]
    lines.append(f"        {json.dumps(str(text))},")
    for role in dict.fromkeys(role for role, _, _ in given):
        own = [_expression(n, v) for r, n, v in given if r == role]
        value = own[0] if len(own) == 1 else f"[{', '.join(own)}]"
        lines.append(f"        {role}={value},")
    return "\n".join([*lines, "    )", ""])


def _names(own: str, value: object) -> list[str]:
    if isinstance(value, tuple):
        return [getattr(each, "__name__", own) for each in value]
    return [own]


def _expression(own: str, value: object) -> str:
    names = _names(own, value)
    return names[0] if len(names) == 1 else f"({', '.join(names)})"


def _guessed(spec: Spec) -> str:
    """A matrix for each argument, all of one shape: for the user to correct."""
    parameters = inspect.signature(spec.formula).parameters.values()
    count = sum(each.default is inspect.Parameter.empty for each in parameters)
    return ", ".join(["n d"] * count)
