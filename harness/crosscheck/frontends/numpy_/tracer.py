"""What is known of a function while it is being traced: numbers of all arrays, and their origin.

Every number of every traced array has a *code*: which number of which value of the program it is.
Codes are held in an array of integers beside that of the numbers, laid out in memory just alike. So
what only moves numbers is done by NumPy twice, on the numbers and on the codes, and what is a view
of what, which copies are made, and in which order assignments come, is as NumPy has it.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from crosscheck.frontends import verbs
from crosscheck.frontends.numpy_.sources import line_of, located
from crosscheck.frontends.traced import Comparison, Source
from crosscheck.numbers.arrays import Array
from crosscheck.program.graph import Graph, Var
from crosscheck.program.places import Places
from crosscheck.tools.errors import CrosscheckError, UnsupportedError, UsageError

__all__ = ["UNSET", "Codes", "Tracer", "taken"]

Codes = NDArray[np.int64]

UNSET = -1
"""The code of a number that ``np.empty`` left as it was; 0 is that of the number 0."""


@dataclass(frozen=True)
class _Part:
    var: Var
    begin: int
    is_known: bool
    is_constant: bool


@dataclass(eq=False)
class Tracer:
    """A function in the making.

    Attributes:
        names: Of captured arrays, by identity.
        graph: The program so far.
        sources: As of `crosscheck.frontends.traced.TracedFunction`, as what follows.
        constants: Arrays that are inputs and no arguments.
        notes: What the user should be told.
        refusal: The first error that was raised, which the user's code may have caught.
    """

    names: Mapping[int, str] = field(default_factory=dict)
    graph: Graph = field(default_factory=Graph)
    sources: dict[int, Source] = field(default_factory=dict)
    constants: dict[str, Array] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)
    refusal: CrosscheckError | None = None
    _parts: list[_Part] = field(default_factory=list)
    _begins: list[int] = field(default_factory=list)
    _known: dict[tuple[int, bool], _Part] = field(default_factory=dict)
    _leaves: dict[tuple[bytes, tuple[int, ...]], Var] = field(default_factory=dict)
    _compared: dict[int, tuple[Comparison, set[int | None]]] = field(default_factory=dict)
    _next: int = 1
    _depth: int = 0

    # -- numbers and their codes ---------------------------------------------------------------

    def codes(self, var: Var, value: Array, is_known: bool, is_constant: bool = False) -> Codes:
        """Codes of the numbers of a value of the program, laid out as the numbers are."""
        part = self._known.get((var.number, is_known))
        if part is None:
            part = _Part(var, self._next, is_known, is_constant)
            self._known[var.number, is_known] = part
            self._next += max(value.size, 1)
            self._parts.append(part)
            self._begins.append(part.begin)
        found = np.empty_like(value, dtype=np.int64)
        found[...] = np.arange(part.begin, part.begin + value.size).reshape(value.shape)
        return found

    def is_known(self, codes: Codes) -> bool:
        """Whether numbers depend on nothing that is differentiated."""
        return all(part.is_known for part in self._parts_of(codes))

    def is_constant(self, codes: Codes) -> bool:
        """Whether numbers are the function's own, which no input goes into."""
        return all(part.is_constant and part.is_known for part in self._parts_of(codes))

    def read(self, codes: Codes, value: Array) -> Var:
        """The value of the program that has these numbers.

        Raises:
            UsageError: Some were never set.
        """
        if (codes == UNSET).any():
            self.refuse("numbers of np.empty are read before they are set", "Begin with np.zeros.")
        parts = self._parts_of(codes)
        varying = [each for each in parts if not each.is_constant]
        if not varying:
            return self.constant(value)
        found: Var | None = None
        if len(varying) == 1 and len(parts) == 1 and codes.all():
            return taken(varying[0].var, codes - varying[0].begin)
        fixed = codes == 0
        for each in parts:
            size = max(math.prod(each.var.shape), 1)
            here = (codes >= each.begin) & (codes < each.begin + size)
            if each.is_constant:
                fixed |= here
                continue
            places = np.where(here, codes - each.begin, -1)
            term = each.var.take(Places(places.ravel().tolist()), codes.shape)
            found = term if found is None else found + term
        assert found is not None
        if fixed.any() and value[fixed].any():
            found = found + self.constant(np.where(fixed, value, 0.0))
        return found

    def _parts_of(self, codes: Codes) -> list[_Part]:
        if not codes.size:
            return []
        low, high = int(codes.min()), int(codes.max())
        if high <= 0:
            return []
        last = bisect.bisect_right(self._begins, high) - 1
        if low >= self._parts[last].begin:
            return [self._parts[last]]
        numbers = np.unique(np.searchsorted(self._begins, np.unique(codes), side="right") - 1)
        return [self._parts[each] for each in numbers if each >= 0]

    def constant(self, value: object) -> Var:
        """Numbers that the function has of its own.

        Raises:
            UnsupportedError: A number is not finite.
        """
        array = np.asarray(value, dtype=np.float64)
        name = self._name_of(value)
        if name and array.ndim:
            size = " x ".join(map(str, array.shape))
            self.notes[f"captured: {name} ({size}), not differentiated"] = None
        try:
            found = verbs.constant(self.graph, array)
        except UnsupportedError:
            self.refuse(
                "a constant is NaN or infinite",
                "Write a large finite number such as -1e9.",
                UnsupportedError,
            )
        if found is not None:
            return found
        key = (array.tobytes(), array.shape)
        if key not in self._leaves:
            free = name if name and name not in self.constants else ""
            free = free or f"constant{len(self.constants)}"
            self.constants[free] = array.copy()
            self._leaves[key] = self.graph.leaf(free, array.shape)
        return self._leaves[key]

    def _name_of(self, value: object) -> str:
        while isinstance(value, np.ndarray):
            if id(value) in self.names and value.dtype.kind == "f":
                return self.names[id(value)]
            value = value.base
        return ""

    # -- what is said ----------------------------------------------------------------------------

    def compare(self, difference: Var, by: Var | None = None) -> None:
        """Something was chosen by the sign of this, entry by entry.

        Args:
            difference: What was compared, left less right.
            by: The value that was chosen, without which nothing was; else it matters always.
        """
        number = difference.number
        comparison = Comparison(number, located() or self.sources.get(number))
        self._compared.setdefault(number, (comparison, set()))[1].add(
            None if by is None else by.number
        )

    def comparisons(self, needed: Collection[int]) -> tuple[Comparison, ...]:
        """What decided, of what the outputs need."""
        return tuple(
            comparison
            for comparison, chosen in self._compared.values()
            if None in chosen or not chosen.isdisjoint(needed)
        )

    @contextmanager
    def step(self) -> Iterator[None]:
        """What is added to the program meanwhile has the user's present expression as its source.

        Errors of the operations get the place in the user's code.
        """
        begin = len(self.graph.nodes)
        self._depth += 1
        try:
            yield
        except CrosscheckError as error:
            if error is not self.refusal:
                self.refuse(str(error), "", type(error), error)
            raise
        finally:
            self._depth -= 1
            if not self._depth and len(self.graph.nodes) > begin:
                source = located()
                if source is not None:
                    for number in range(begin, len(self.graph.nodes)):
                        self.sources.setdefault(number, source)

    def refuse(
        self,
        what: str,
        advice: str,
        kind: type[CrosscheckError] = UsageError,
        cause: BaseException | None = None,
    ) -> NoReturn:
        """Raise one line with the user's place and line."""
        error = kind(self.line(what, advice))
        self.refusal = self.refusal or error
        raise error from cause

    def line(self, what: str, advice: str) -> str:
        """What is wrong, where, and what to do."""
        source = located()
        where = f"{source.place}: " if source else ""
        text = f": {line_of(source)}" if line_of(source) else ""
        return f"{where}{what}{text}" + (f"  {advice}" if advice else "")


def taken(var: Var, places: Codes) -> Var:
    """Numbers of one value, by place: by the plainest primitive that moves them so."""
    shape = places.shape
    if places.size == math.prod(var.shape) and np.array_equal(
        places.ravel(), np.arange(places.size)
    ):
        if shape == var.shape:
            return var
        if tuple(n for n in shape if n != 1) == tuple(n for n in var.shape if n != 1):
            return _with_ones(var, shape)
    axes = [
        axis
        for axis, (size, stride) in enumerate(zip(shape, places.strides, strict=True))
        if size > 1 and not stride
    ]
    if axes:
        index = tuple(slice(0, 1) if k in axes else slice(None) for k in range(len(shape)))
        return taken(var, places[index]).broadcast(shape)
    if len(shape) > 1 and shape == (*var.shape[:-2], *var.shape[-2:][::-1]):
        numbers = np.arange(places.size).reshape(var.shape)
        if np.array_equal(places, numbers.swapaxes(-1, -2)):
            return var.transposed
    return var.take(Places(places.ravel().tolist()), shape)


def _with_ones(var: Var, shape: tuple[int, ...]) -> Var:
    """Axes of length 1 taken away and put in, the other ones staying in order."""
    at = 0
    while at < max(len(var.shape), len(shape)):
        size = var.shape[at] if at < len(var.shape) else 0
        if at < len(shape) and size == shape[at]:
            at += 1
        elif size == 1:
            var = var.squeeze(at - len(var.shape))
        else:
            var = var.expand(at - len(var.shape) - 1)
    return var
