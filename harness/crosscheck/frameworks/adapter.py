"""What the adapters of PyTorch, TensorFlow and JAX share: cases go there, gradients come back.

A library's own part is small: how an array of NumPy becomes one of its own, how J is differentiated
in each mode, and how it says that it cannot do something.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.fetched import Fetched
from crosscheck.frameworks.leaves import (
    OneHot,
    assembled,
    constants_of,
    leaves_of,
    loss_function,
    steps_of,
)
from crosscheck.frameworks.watched import (
    Mark,
    marks_of,
    records_of,
)
from crosscheck.judge.local.record import Recorded
from crosscheck.network.composed import AnyCase, Composed, Derivatives
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.second import Direction, Products
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import DTYPES, format_of
from crosscheck.operators.registry import operator_of
from crosscheck.program.second import Way
from crosscheck.tools.errors import CrosscheckError, UnsupportedError, UsageError, meant

__all__ = ["Adapter", "Losses", "Push", "Seen"]

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Seen:
    """What a library held while it differentiated, as arrays of its own.

    Attributes:
        losses: J.
        derivatives: By each of the leaves.
        values: What was held at each mark.
        cotangents: At the marks that were asked for, in their order; ``None`` where none came.
    """

    losses: Any
    derivatives: Sequence[Any]
    values: Mapping[Mark, Any]
    cotangents: Sequence[Any]


Losses: TypeAlias = Callable[..., Any]
"""J of the leaves and targets, one after the other; one number for each case of a stack."""

Push: TypeAlias = Callable[[Sequence[Array]], tuple[Any, Any]]
"""Tangents of K passes, float64 of shape (K, *shape) for each leaf of shape ``shape`` within one
case, to J, of shape ([C]), and its tangents, of shape (K, [C]), as arrays of the library."""


class Adapter(Framework):
    """An adapter of a library that differentiates J as it is made of the operators' lines.

    Mode ``forward``, of those that have one, is done in blocks of passes with one-hot tangents
    (`crosscheck.frameworks.leaves`); every other mode gives all derivatives at once.

    Args:
        formulation: A key of ``formulations``, or an operator and the name of one of its lines:
            ``"attention:where"``.
        mode: A key of ``modes``.

    Raises:
        UsageError: No such formulation or mode.
        Exception: Whatever importing the library raises.
    """

    watched_modes: ClassVar[frozenset[str]] = frozenset({"eager"})
    modes_over_cases: ClassVar[frozenset[str]] = frozenset()
    dtypes: ClassVar[tuple[str, ...]] = DTYPES

    def gradients(self, case: Case) -> Gradients:
        """Loss and gradients of ``case``; see `Framework.gradients`.

        Raises:
            UnsupportedError: The library has not implemented an operation for this dtype or mode.
            CrosscheckError: The library returned another dtype than the case's.
        """
        if self.mode == "forward":
            found: Gradients = self._asked(case.dtype, lambda: self._by_tangents(case))
            return found
        gradients: Gradients = self._whole_gradient(case)
        return gradients

    def derivatives(self, case: Composed) -> Derivatives:
        """Loss and gradients of ``case``; see `Framework.derivatives`.

        Raises:
            UnsupportedError: As of `gradients`; in a mode that carries tangents also where there
                is no rule for those of an operation.
            CrosscheckError: As of `gradients`.
        """
        if self.mode != "forward":
            derivatives: Derivatives = self._whole_gradient(case)
            return derivatives
        # Some lines are of one case, and are mapped over those of a stack.
        stack = case if case.count is not None else _stack_of_one(case)
        found: Derivatives = self._asked(case.dtype, lambda: self._by_tangents(stack))
        return found if case.count is not None else found.wide(0)

    def products(self, case: Composed, direction: Direction, way: Way) -> Products:
        """See `Framework.products`.

        Raises:
            UnsupportedError: As of `Framework.products`.
            CrosscheckError: As of `gradients`.
        """
        if way not in self.ways.get(self.mode, ()):
            raise UnsupportedError(f"{self.name}, {self.mode}: no second derivatives {way}")
        along = [direction.arrays[name] for name in case.wanted]

        def call() -> list[Array]:
            leaves, rest = self._sent(case)
            sent = [self.send(array, case.dtype) for array in along]
            found = self.twice(case, leaves, rest, sent, way)
            return [self.fetch(array, case.dtype) for array in found]

        return Products(dict(zip(case.wanted, self._asked(case.dtype, call), strict=True)))

    def recorded(self, case: AnyCase) -> Recorded:
        """See `Framework.recorded`.

        Raises:
            UnsupportedError: As of `Framework.recorded`.
            CrosscheckError: As of `gradients`, of anything that the library held.
        """
        if self.mode not in self.watched_modes:
            return super().recorded(case)
        assert self.lines is not None
        function = loss_function(case, self.name, self.lines, self.sources, watched=True)
        marks = marks_of(steps_of(case))
        leaves, rest = self._asked(case.dtype, lambda: self._sent(case))
        seen = self._asked(case.dtype, lambda: self.watch(function, leaves, rest, marks))
        fetch = Fetched(self.to_numpy, lambda array: self.fetch(array, case.dtype))
        own = (*leaves_of(case), *constants_of(case))
        for array, as_float64 in zip((*leaves, *rest), own, strict=True):
            fetch.sent(array, as_float64)

        def fetched(arrays: Iterable[Any]) -> list[Any]:
            return [None if array is None else fetch(array) for array in arrays]

        loss, found = fetch(seen.losses), fetched(seen.derivatives)
        values = dict(zip(seen.values, fetched(seen.values.values()), strict=True))
        cotangents = dict(zip(marks, fetched(seen.cotangents), strict=True))
        return records_of(case, assembled(case, loss, found), values, cotangents, self.written)

    def send(self, array: Array, dtype: str) -> Any:
        """``array`` as one of the library's, of ``dtype``, on the CPU, in memory of its own.

        NumPy converts, so that no kernel of the library can flush subnormals on the way.

        Args:
            array: Float64 numbers of the format ``dtype``.
            dtype: One of ``dtypes``.

        Raises:
            UnsupportedError: The library has no such dtype.
        """
        if not self.has_dtype(dtype):
            raise UnsupportedError(f"{self.name} has no dtype {dtype}")
        with np.errstate(invalid="ignore"):  # a signalling NaN becomes a quiet one
            own = np.array(array, dtype=format_of(dtype).dtype, order="C")
        return self.from_numpy(own, dtype)

    def fetch(self, array: Any, dtype: str) -> Array:
        """``array`` as a float64 array of NumPy's, in memory of its own, without loss.

        Args:
            array: What the library returned.
            dtype: What it has to be.

        Raises:
            CrosscheckError: It has another dtype.
        """
        given = self.dtype_name(array)
        if given != dtype:
            raise CrosscheckError(f"{self.name} returned {given} where {dtype} was asked for")
        with np.errstate(invalid="ignore"):
            return np.array(self.to_numpy(array), dtype=np.float64, order="C")

    # -- what each library has of its own --------------------------------------------------------

    @abc.abstractmethod
    def from_numpy(self, own: NDArray[Any], dtype: str) -> Any:
        """An array of NumPy's, or of ml_dtypes, that nobody else has, as one of the library's."""

    @abc.abstractmethod
    def has_dtype(self, dtype: str) -> bool:
        """Whether the installed library has a dtype."""

    @abc.abstractmethod
    def to_numpy(self, array: Any) -> NDArray[Any]:
        """An array of the library's as one of NumPy's, or of ml_dtypes, of the same dtype."""

    @abc.abstractmethod
    def dtype_name(self, array: Any) -> str:
        """The name of the dtype of an array of the library's."""

    @abc.abstractmethod
    def differentiate(
        self, case: Case | Composed, leaves: Sequence[Any], rest: Sequence[Any]
    ) -> tuple[Any, Sequence[Any]]:
        """J, and its derivative by each of the leaves, in modes other than ``forward``.

        Args:
            case: What is differentiated, for `losses_of`.
            leaves: Its `leaves_of`, sent.
            rest: Its `constants_of`, sent.
        """

    @abc.abstractmethod
    def watch(
        self,
        function: Callable[..., Any],
        leaves: Sequence[Any],
        rest: Sequence[Any],
        marks: Sequence[Mark],
    ) -> Seen:
        """J and its derivatives in one of ``watched_modes``, with what was seen at marks.

        Args:
            function: J of ``watch(step, operand, array)``, the leaves and the rest.
            leaves: As of `differentiate`.
            rest: Likewise.
            marks: Of which cotangents are wanted.
        """

    @abc.abstractmethod
    def twice(
        self,
        case: Composed,
        leaves: Sequence[Any],
        rest: Sequence[Any],
        along: Sequence[Any],
        way: Way,
    ) -> Sequence[Any]:
        """The Hessian of J times a vector, in one of ``ways`` of the mode.

        Args:
            case: As of `differentiate`.
            leaves: Likewise.
            rest: Likewise.
            along: The vector, sent: an array for each leaf.
            way: Which.

        Returns:
            An array for each leaf, also where nothing depends on it.
        """

    @abc.abstractmethod
    def pusher(self, case: Case | Composed, leaves: Sequence[Any], rest: Sequence[Any]) -> Push:
        """Forward passes in mode ``forward``; arguments as of `differentiate`."""

    @abc.abstractmethod
    def unsupported(self, error: Exception) -> str | None:
        """What an error says that the library cannot do, in a line; ``None`` if it says no such."""

    def context(self) -> AbstractContextManager[object]:
        """What is on while the library differentiates."""
        return self.session()

    # -- what is the same for all ----------------------------------------------------------------

    def losses_of(self, case: Case | Composed) -> Losses:
        """``J`` of the leaves and the rest, for single cases and stacks of this network.

        In a mode of ``modes_over_cases`` it is handed one case at a time.
        """
        assert self.lines is not None
        stacked = case.count is not None and self.mode not in self.modes_over_cases
        return loss_function(case, self.name, self.lines, self.sources, stacked=stacked)

    def is_line(self, field: str, value: str) -> bool:
        """See `Framework.is_line`.

        Raises:
            UsageError: There is no such operator, or it has no such line.
        """
        operator, found, name = value.partition(":")
        if field != "formulation" or not found:
            return False
        lines = operator_of(operator).formulations(self.name)
        if name not in lines:
            raise UsageError(
                f"formulation={value!r} for {self.name}: wanted {operator}: and one of "
                f"{', '.join(lines) or 'none'}{meant(name, lines)}"
            )
        return True

    def _asked(self, dtype: str, call: Callable[[], T]) -> T:
        """What ``call`` returns, unless the library cannot do it."""
        try:
            with self.context():
                return call()
        except Exception as error:
            reason = self.unsupported(error)
            if reason is None:
                raise
            raise UnsupportedError(f"{self.name}, {dtype}, {self.mode}: {reason}") from error

    def _sent(self, case: Case | Composed) -> tuple[list[Any], list[Any]]:
        """The leaves and the rest."""
        leaves = [self.send(leaf, case.dtype) for leaf in leaves_of(case)]
        return leaves, [self.send(array, case.dtype) for array in constants_of(case)]

    def _differentiated(self, case: Case | Composed) -> tuple[Array, list[Array]]:
        """J and its derivatives by the leaves."""
        losses, found = self.differentiate(case, *self._sent(case))
        return self.fetch(losses, case.dtype), [self.fetch(array, case.dtype) for array in found]

    def _whole_gradient(self, case: Case | Composed) -> Any:
        """The gradient, in modes other than ``forward``."""
        loss, found = self._asked(case.dtype, lambda: self._differentiated(case))
        return assembled(case, loss, found)

    def _by_tangents(self, case: Case | Composed) -> Any:
        """Mode ``forward``: pass by pass, in blocks."""
        one_hot = OneHot(case)
        push = self.pusher(case, *self._sent(case))
        derivatives = np.empty((one_hot.size, *(() if case.count is None else (case.count,))))
        for start, tangents in one_hot.blocks():
            losses, found = push(tangents)
            derivatives[start : start + len(found)] = self.fetch(found, case.dtype)
        return one_hot.gradients(self.fetch(losses, case.dtype), derivatives)


def _stack_of_one(case: Composed) -> Composed:
    parameters, inputs = (
        {name: array[None] for name, array in each.items()}
        for each in (case.parameters, case.inputs)
    )
    return Composed(case.steps, parameters, inputs, case.dtype, 1)
