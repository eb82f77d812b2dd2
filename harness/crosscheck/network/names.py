"""What an array of a case or of a gradient is called, and an entry of one.

``W2`` and ``b2`` belong to layer 2, ``x`` and ``y`` are inputs and targets, ``J`` is the loss.
``W2[0,1]`` is the weight of layer 2 from unit 1 to unit 0: the index counts from 0, and stands in
brackets behind the name of the array; the loss has none. Networks of operators have arrays of any
name, and entries called in the same way. Whatever says or reads such a name, says
and reads it by this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, SupportsInt

__all__ = [
    "LOSS",
    "EntryName",
    "array_name",
    "as_said",
    "by_layer",
    "derivative",
    "label",
    "layer_of",
    "parsed",
]

LOSS = "J"
"""What the loss is called."""

_NAME = re.compile(r"([A-Za-z])([1-9][0-9]{0,8})?(?:\[([0-9]{1,18}(?:,[0-9]{1,18})*)\])?")

_ANY = re.compile(r"([A-Za-z_]\w*)(?:\[([0-9]{1,18}(?:,[0-9]{1,18})*)\])?")


_DERIVATIVE = re.compile("^d?J/d")
_SPACED = re.compile(r"\s*([\[\],])\s*")


@dataclass(frozen=True)
class EntryName:
    """An entry of an array, or a whole one.

    Attributes:
        letter: ``W``, ``b``, ``x``, ``y`` or ``J``.
        layer: 1 … L for W and b, else ``None``.
        index: Its zero-based index in the array; empty for the loss, and for a whole array.
    """

    letter: str
    layer: int | None = None
    index: tuple[int, ...] = ()

    @classmethod
    def of(cls, array: str, index: Iterable[SupportsInt | str] = ()) -> EntryName:
        """The entry of the array that is called ``array`` at ``index``.

        Raises:
            ValueError: An array is not called that.
        """
        letter, number = array[:1], array[1:]
        return cls(letter, int(number) if number else None, tuple(int(each) for each in index))

    @classmethod
    def parse(cls, text: str) -> EntryName:
        """The inverse of ``str``.

        Raises:
            ValueError: ``text`` is no such name. A number of more than eighteen digits is no
                index, since there is no array of that size.
        """
        match = _NAME.fullmatch(text)
        if match is None:
            raise ValueError(f"{text[:40]!r}: no entry, wanted a name such as W2[0,1]")
        return cls.of(match[1] + (match[2] or ""), match[3].split(",") if match[3] else ())

    @property
    def array(self) -> str:
        """The name of the array."""
        return self.letter if self.layer is None else array_name(self.letter, self.layer)

    def __str__(self) -> str:
        return label(self.array, self.index)


def array_name(letter: str, layer: int) -> str:
    """``W2``, or ``b2``: the name of an array of a layer."""
    return f"{letter}{layer}"


def derivative(entry: str) -> str:
    """What the derivative of J by an entry, or by an array, is called: ``dJ/dW2[0,1]``; or J."""
    return entry if entry == LOSS else f"d{LOSS}/d{entry}"


def as_said(text: str) -> str:
    """A name as `label` says it, of one that a person may have written.

    With spaces in it, a small w, or, as `derivative` says it, the derivative by it.
    """
    bare = _DERIVATIVE.sub("", _SPACED.sub(r"\1", text.strip()), count=1)
    return f"W{bare[1:]}" if bare[:1] == "w" else bare


def by_layer(arrays: Mapping[str, Any]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """``W_1 … W_L`` and ``b_1 … b_L`` of arrays by name, ``None`` where a layer has no bias.

    Raises:
        ValueError: One of them is called as no array is, or a layer has no ``W``.
    """
    depth = max((layer_of(name) or 0 for name in arrays), default=0)
    layers = range(1, depth + 1)
    for layer in layers:  # which ends at once where a layer is missing
        if array_name("W", layer) not in arrays:
            raise ValueError(f"{array_name('W', layer)}: missing, in arrays of {depth} layers")
    weights = tuple(arrays[array_name("W", layer)] for layer in layers)
    return weights, tuple(arrays.get(array_name("b", layer)) for layer in layers)


def label(array: str, index: Iterable[SupportsInt | str] = ()) -> str:
    """The name of an entry of an array, whatever that is called."""
    numbers = ",".join(str(int(each)) for each in index)
    return f"{array}[{numbers}]" if numbers else array


def parsed(text: str) -> tuple[str, tuple[int, ...]]:
    """The array and the index of an entry, whatever the array is called.

    Raises:
        ValueError: ``text`` is no name of an entry.
    """
    match = _ANY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r}: no entry, wanted a name such as W2[0,1]")
    return match[1], tuple(int(each) for each in match[2].split(",")) if match[2] else ()


def layer_of(array: str) -> int | None:
    """The layer in which backpropagation reaches an array of a gradient.

    1 … L for W and b, 0 for x, which is the activation below the first layer, and ``None`` for J,
    from which it starts.

    Args:
        array: The name of the array.
    """
    return 0 if array == "x" else EntryName.of(array).layer
