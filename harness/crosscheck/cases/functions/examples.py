"""Shapes that are not written as text: those of example arrays, and those in annotations.

Example arrays, in a tuple or by name, have the shapes they have. Annotations of jaxtyping are read
where they are: whatever has a ``dim_str``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from crosscheck.cases.functions.shapes import Shapes, parsed
from crosscheck.tools.errors import UsageError
from crosscheck.tools.words import message_of

__all__ = ["annotated", "exemplified"]


def exemplified(
    examples: Mapping[str, Any] | Sequence[Any], names: Sequence[str]
) -> tuple[Shapes, dict[str, Any]]:
    """The shapes that examples have, and the examples by name, as arrays.

    Raises:
        UsageError: Their names or their number are not those of the arguments, or one is no array.
    """
    if isinstance(examples, Mapping):
        if set(examples) != set(names):
            given = ", ".join(map(str, examples)) or "none"
            raise UsageError(f"shapes: examples of {given}, wanted of {', '.join(names)}")
        by_name = {name: examples[name] for name in names}
    else:
        if len(examples) != len(names):
            raise UsageError(
                f"shapes: {len(examples)} examples, wanted {len(names)}: {', '.join(names)}"
            )
        by_name = dict(zip(names, examples, strict=True))
    arrays = {}
    for name, example in by_name.items():
        try:
            arrays[name] = np.asarray(example)
        except (ValueError, TypeError, RuntimeError) as error:
            raise UsageError(f"shapes: example {name} is no array: {message_of(error)}") from None
        if arrays[name].dtype.kind not in "biuf" and not _is_low(arrays[name]):
            raise UsageError(
                f"shapes: example {name} is of {arrays[name].dtype}, wanted an array of numbers"
            )
    text = ", ".join(" ".join(map(str, array.shape)) for array in arrays.values())
    return parsed(text, names), arrays


def annotated(function: Callable[..., Any]) -> tuple[Shapes, dict[str, str]] | None:
    """The shapes in a function's annotations, if all arguments without a default have one.

    Returns:
        The shapes, and of each argument ``"real"``, ``"integer"`` or ``"bool"``; ``None`` if the
        annotations are of another kind.

    Raises:
        UsageError: A shape in them is none.
    """
    try:
        signature = inspect.signature(function, eval_str=True)
    except (ValueError, TypeError, NameError, AttributeError, SyntaxError):
        return None
    texts, kinds = {}, {}
    for name, parameter in signature.parameters.items():
        written = getattr(parameter.annotation, "dim_str", None)
        if isinstance(written, str):
            texts[name], kinds[name] = written, _kind(parameter.annotation)
        elif parameter.default is parameter.empty:
            return None
    if not texts:
        return None
    returned = getattr(signature.return_annotation, "dim_str", None)
    arrow = f" -> {returned}" if isinstance(returned, str) else ""
    return parsed(", ".join(texts.values()) + arrow, list(texts)), kinds


def _kind(annotation: Any) -> str:
    """What an annotation of jaxtyping is of, by the names of its dtypes."""
    dtypes = getattr(annotation, "dtypes", ())
    words = [str(each) for each in dtypes] if isinstance(dtypes, Sequence) else []
    if words and all("int" in word for word in words):
        return "integer"
    return "bool" if words and all("bool" in word for word in words) else "real"


def _is_low(array: Any) -> bool:
    """Whether the dtype is one of ml_dtypes: NumPy has those of other packages as kind V."""
    return array.dtype.kind == "V" and array.dtype.names is None and "float" in str(array.dtype)
