"""What is asked of a library so that a model can be read, watched and judged."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from crosscheck.frontends.traced import Source, TracedFunction
from crosscheck.judge.local.functions import RecordedFunction
from crosscheck.numbers.arrays import Array

__all__ = ["READERS", "Answer", "Asked", "ModelReader", "NotUnderstood", "Watched", "reader_of"]


@dataclass(frozen=True)
class Asked:
    """A model, and the numbers that it is asked about.

    Attributes:
        name: Of the model, for people.
        library: A key of `READERS`.
        function: Of the arguments by name: what is differentiated.
        arguments: Name to an array, a tree of arrays, or something else.
        wrt: Names of the arguments that are differentiated by, all of their leaves.
        fixed: Names of those that are real numbers too.
        dtype: Of the real numbers.
        only: Beginnings of the names of the leaves that are wanted; all if it is empty.
        parts: Of a module of PyTorch's, the name of each part by identity.
    """

    name: str
    library: str
    function: Callable[..., Any]
    arguments: Mapping[str, Any]
    wrt: tuple[str, ...]
    fixed: tuple[str, ...]
    dtype: str
    only: tuple[str, ...] = ()
    parts: Mapping[int, str] = field(default_factory=dict)

    def wants(self, leaf: str) -> bool:
        """Whether a leaf is differentiated by."""
        if leaf.partition(".")[0] not in self.wrt:
            return False
        begins = (leaf == each or leaf.startswith(f"{each}.") for each in self.only)
        return not self.only or any(begins)


@dataclass(frozen=True)
class NotUnderstood:
    """An operation that has no rule.

    Attributes:
        operation: Its name in the library.
        reason: Why, in a line.
        source: Where it stands.
    """

    operation: str
    reason: str
    source: Source | None

    def __str__(self) -> str:
        where = "" if self.source is None else f"{self.source.place}: "
        return f"{where}{self.operation}: {self.reason}"


@dataclass(frozen=True, eq=False)
class Answer:
    """What a library returned.

    Attributes:
        values: Name of each output to its numbers.
        derivatives: Name of each leaf differentiated by to its derivative.
    """

    values: Mapping[str, Array]
    derivatives: Mapping[str, Array]

    def same_bits(self, other: Answer) -> bool:
        """Whether another one has the same numbers, bit for bit but for the sign of 0."""
        return _same(self.values, other.values) and _same(self.derivatives, other.derivatives)


def _same(one: Mapping[str, Array], other: Mapping[str, Array]) -> bool:
    import numpy as np

    return list(one) == list(other) and all(
        np.array_equal(array, other[name], equal_nan=True) for name, array in one.items()
    )


@dataclass(frozen=True, eq=False)
class Watched:
    """A gradient that was watched.

    Attributes:
        recorded: The operations; ``None`` if one of them is not understood.
        answer: What came of it.
        plain: The same operations, not watched.
        known: Numbers of operations whose operands are no numbers of the model's, and the rest.
        refused: Operations that are not understood, with where they are used.
        ties: What was compared and found equal: the operation, how many entries.
    """

    recorded: RecordedFunction | None
    answer: Answer
    plain: Answer
    refused: tuple[NotUnderstood, ...] = ()
    ties: Mapping[str, int] = field(default_factory=dict)


class ModelReader(Protocol):
    """A model as a library reads it.

    Attributes:
        framework: Whose elementary functions are called, as the accuracy table names it.
        mode: How, likewise.
        derivation: What was called for the gradient, for people.
    """

    framework: str
    mode: str
    derivation: str

    @property
    def leaves(self) -> Mapping[str, Array]:
        """The real numbers by name, as they are held."""

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Name of each output of real numbers to its shape."""

    def traced(self) -> TracedFunction:
        """The whole as a program.

        Raises:
            UnsupportedError: An operation has no rule.
        """

    def given(self, cotangents: Mapping[str, Array]) -> Answer:
        """What the library returns for the model as it is."""

    def watched(self, cotangents: Mapping[str, Array]) -> Watched:
        """What it held at each operation."""


READERS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"jax": ("jax_", "JaxReader"), "torch": ("torch_", "TorchReader")}
)
"""Library to the module here and the class that reads its models."""


def reader_of(asked: Asked) -> ModelReader:
    """Reads a model.

    Raises:
        UsageError: It cannot be called on these numbers.
    """
    module, name = READERS[asked.library]
    found: Sequence[Any] = [
        getattr(importlib.import_module(f"crosscheck.run.modules.{module}"), name)(asked)
    ]
    reader: ModelReader = found[0]
    return reader
