"""A case of a user's function, in numbers: its arguments, and what its results are weighed with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from crosscheck.numbers.arrays import Array

__all__ = ["Record", "written"]

_LONG = 8
"""Equal entries that are written as one; fewer are a list."""


@dataclass(frozen=True, eq=False)
class Record:
    """One call of a function.

    Attributes:
        name: Of the function.
        arguments: Name to array, in the order of the function's parameters: float64 whose numbers
            are those of ``dtype``, int64 or bool.
        cotangents: Name of each result to what it is weighed with, float64 shaped as it.
        sizes: Of the axes by name.
        dtype: Of the real numbers, a name of `crosscheck.numbers.formats.FORMATS`.
        kind: One of `crosscheck.cases.functions.source.KINDS`, or empty.
        keywords: What is handed on unchanged: numbers, strings, bools, ``None``, tuples of them.
    """

    name: str
    arguments: Mapping[str, Any]
    cotangents: Mapping[str, Array]
    sizes: Mapping[str, int]
    dtype: str
    kind: str = ""
    keywords: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """A stable name for the case: 16 hexadecimal digits of a SHA-256.

        What is hashed: a line of JSON with the function's name, the dtype, the keywords, and name,
        NumPy's letter of kind and shape of each argument and cotangent; then their numbers in
        order, as little-endian float64 or int64, or as a byte each.
        """
        whole = [*self.arguments.items(), *self.cotangents.items()]
        arrays = [[name, array.dtype.kind, list(array.shape)] for name, array in whole]
        head = ["call 1", self.name, self.dtype, dict(self.keywords), len(self.arguments), arrays]
        digest = hashlib.sha256(json.dumps(head).encode() + b"\n")
        for _, array in whole:
            form = {"f": "<f8", "i": "<i8", "b": "u1"}[array.dtype.kind]
            digest.update(np.ascontiguousarray(array, dtype=form).tobytes())
        return digest.hexdigest()[:16]

    def replaced(self, name: str, array: Any) -> Record:
        """The record with another array for an argument."""
        return replace(self, arguments={**self.arguments, name: array})

    def weighed(self, output: str, cotangent: Array) -> Record:
        """The record with another cotangent for a result."""
        return replace(self, cotangents={**self.cotangents, output: cotangent})

    def call(self) -> str:
        """The call as one would write it: ``loss(x=[[2.0]], y=[[1.0]])``."""
        words = [f"{name}={written(array)}" for name, array in self.arguments.items()]
        words += [f"{name}={value!r}" for name, value in self.keywords.items()]
        return f"{self.name}({', '.join(words)})"

    def weights(self) -> str:
        """The cotangents as one would write them; empty if there is one number, and it is 1."""
        if not self.cotangents:
            return ""
        if len(self.cotangents) > 1:
            each = [f"{name} {written(array)}" for name, array in self.cotangents.items()]
            return f"cotangents {', '.join(each)}"
        [array] = self.cotangents.values()
        return "" if array.ndim == 0 and array == 1 else f"cotangent {written(array)}"

    def __str__(self) -> str:
        weights = self.weights()
        return f"{self.call()}{', ' if weights else ''}{weights}   {self.dtype}"


def written(array: Any) -> str:
    """An array as one would write it: a list, or ``full((258, 1), 8.0)`` where it is long."""
    if array.size == 0 and array.shape != (0,):
        return f"zeros({array.shape})"
    if array.size > _LONG and _is_equal(array):
        value = array.reshape(-1)[0].item()
        if array.dtype.kind == "f" and value == 1:
            return f"ones({array.shape})"
        if array.dtype.kind == "f" and value == 0 and not np.signbit(value):
            return f"zeros({array.shape})"
        return f"full({array.shape}, {value!r})"
    return repr(array.tolist())


def _is_equal(array: Any) -> bool:
    flat = np.ascontiguousarray(array).reshape(-1)
    return flat.tobytes() == flat[:1].tobytes() * flat.size
