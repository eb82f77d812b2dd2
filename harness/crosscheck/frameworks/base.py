"""What an adapter around one library's differentiation has to offer."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib import metadata
from typing import ClassVar

from crosscheck.frameworks.pointwise import Pointwise
from crosscheck.judge.enclosed import Derivation
from crosscheck.judge.local.record import Recorded
from crosscheck.network.composed import AnyCase, Composed, Derivatives
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.second import Direction, Products
from crosscheck.operators.operator import Line
from crosscheck.operators.registry import operator_of
from crosscheck.operators.relu import OPERATOR
from crosscheck.program.second import Way
from crosscheck.tools.errors import UnsupportedError, UsageError, meant

__all__ = ["RELU", "Framework"]

RELU = OPERATOR.name
"""Of which a framework's formulation is chosen."""


class Framework(abc.ABC):
    """An adapter around one library's differentiation, set to one formulation and one mode.

    A subclass names the library and implements `gradients`; nothing of the library is
    imported before the adapter is constructed. Register the subclass under the entry-point
    group ``crosscheck.frameworks`` and every command knows it.

    Attributes:
        name: What users type.
        module: The module to import. The framework is *absent* when it cannot be found and
            *broken* when importing it raises.
        packages: Distributions whose versions identify the framework.
        formulations: Ways of writing max(z, 0): name to a line of source for people. The
            first is the default.
        modes: Ways of asking for the gradient, likewise.
        forward_modes: Those of ``modes`` that carry derivatives forwards, with the values: a
            sum over other terms than in reverse mode, with rounding errors of its own.
        watched_modes: Those of ``modes`` in which it can show what it held at each step.
        compiled_modes: Those of ``modes`` that wait for a compiler, for seconds and more.
        ways: In which ways second derivatives are asked for, of each of ``modes`` that has any.
        dtypes: The dtypes it can do.
        lines: Its units with kinks as source, for the table of conventions; ``None`` for a
            framework that is in no such table.
        is_function: Whether it stands for a function of the user's
            (`crosscheck.run.implementations`), which may leave arrays out. Not for adapters.

    Args:
        formulation: A key of ``formulations``; the default is the first.
        mode: A key of ``modes``; the default is the first.

    Raises:
        UsageError: No such formulation or mode.
    """

    name: ClassVar[str]
    module: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]
    formulations: ClassVar[Mapping[str, str]] = {"relu": "the framework's own ReLU"}
    modes: ClassVar[Mapping[str, str]] = {"eager": "reverse mode, uncompiled"}
    forward_modes: ClassVar[frozenset[str]] = frozenset()
    watched_modes: ClassVar[frozenset[str]] = frozenset()
    compiled_modes: ClassVar[frozenset[str]] = frozenset()
    ways: ClassVar[Mapping[str, tuple[Way, ...]]] = {}
    dtypes: ClassVar[tuple[str, ...]] = ("float64", "float32")
    lines: ClassVar[Pointwise | None] = None
    is_function: ClassVar[bool] = False

    def __init__(self, *, formulation: str | None = None, mode: str | None = None) -> None:
        for field, value, known in (
            ("formulation", formulation, self.formulations),
            ("mode", mode, self.modes),
        ):
            if value is not None and value not in known and not self.is_line(field, value):
                raise UsageError(
                    f"{field}={value!r} for {self.name}: wanted one of {', '.join(known)}"
                    f"{meant(value, known)}"
                )
        self.formulation = formulation or next(iter(self.formulations))
        self.mode = mode or next(iter(self.modes))

    def is_line(self, field: str, value: str) -> bool:
        """Whether a formulation is one of another operator than max(z, 0), where it has such."""
        return False

    @property
    def relu(self) -> str:
        """The source of max(z, 0)."""
        return self.formulations.get(self.formulation, next(iter(self.formulations.values())))

    @property
    def written(self) -> dict[str, str]:
        """Operators to the names of their lines, where these are chosen."""
        operator, found, name = self.formulation.partition(":")
        return {operator: name} if found else {RELU: self.formulation}

    @property
    def sources(self) -> dict[str, Line]:
        """The lines of operators that are not written in their first way."""
        if self.formulation in self.formulations:
            return {RELU: self.relu}
        return {
            operator: operator_of(operator).formulations(self.name)[name]
            for operator, name in self.written.items()
        }

    @property
    def derivation(self) -> Derivation:
        """How the mode differentiates; the gradient is held to the bounds that belong to it."""
        return "forward" if self.mode in self.forward_modes else "reverse"

    @classmethod
    def versions(cls) -> dict[str, str]:
        """Version of each of ``packages`` that is installed."""
        found = {}
        for package in cls.packages:
            try:
                found[package] = metadata.version(package)
            except metadata.PackageNotFoundError:
                continue
        return found

    def session(self) -> AbstractContextManager[object]:
        """A context in which source of ``lines`` can be run: on the CPU, in 64 bits."""
        return nullcontext()

    @abc.abstractmethod
    def gradients(self, case: Case) -> Gradients:
        """Loss and gradients of ``case``, computed by the library in the case's dtype.

        Args:
            case: A single case or a stack. Its float64 arrays hold numbers of ``case.dtype``:
                convert them to that dtype, which loses nothing. They are a copy for this call;
                whoever changes them computes for another case, and that is told.

        Returns:
            Float64 arrays of the shapes in `Gradients`, converted without loss from what the
            library returned in ``case.dtype``; ``None`` where the case has no bias. The loss of a
            single case may be a float. Anything else is a CRASHED verdict with the reason, see
            `crosscheck.frameworks.gatekeeper`, and so is whatever is raised.

        Raises:
            UnsupportedError: The library cannot do this dtype, formulation or mode; or no stack,
                and then it is asked for each case by itself.
        """

    def derivatives(self, case: Composed) -> Derivatives:
        """Loss and gradients of a network of operators, as `gradients` of a dense one.

        Args:
            case: A single case or a stack; a copy for this call.

        Returns:
            Float64 arrays for each of `Composed.wanted`, in that order.

        Raises:
            UnsupportedError: The adapter knows dense networks only, as it does unless it says
                otherwise; or the library cannot do this dtype, formulation or mode.
        """
        raise UnsupportedError(f"{self.name}: its adapter knows dense ReLU networks only")

    def products(self, case: Composed, direction: Direction, way: Way) -> Products:
        """The Hessian of the loss of ``case``, times a vector, computed in the case's dtype.

        Args:
            case: A single case or a stack; a copy for this call.
            direction: The vector, of such numbers too; likewise.
            way: One of ``ways`` of this mode.

        Returns:
            Float64 arrays for each of `Composed.wanted`, in that order.

        Raises:
            UnsupportedError: The adapter, or the library, has no second derivatives in this mode,
                or none in this way or dtype.
        """
        raise UnsupportedError(f"{self.name}, {self.mode}: no second derivatives")

    def recorded(self, case: AnyCase) -> Recorded:
        """The gradient of ``case`` once more, with what the library held at each step.

        Args:
            case: A single case or a stack; a copy for this call.

        Raises:
            UnsupportedError: The mode is none of ``watched_modes``; or as of `gradients`.
        """
        raise UnsupportedError(f"{self.name}, {self.mode}: shows no steps")
