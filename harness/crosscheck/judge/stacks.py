"""Gradients of a stack of cases, compared with the reference all at once where nothing is open.

The readable form of the certificate; `crosscheck.judge.compiled` has the fast one of dense
networks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from crosscheck.judge.compare import Judge
from crosscheck.judge.enclosed import Derivation, Enclosed
from crosscheck.judge.entries import ratio_of
from crosscheck.judge.programs.enclosed import EnclosedProgram
from crosscheck.judge.vacuity import unchecked
from crosscheck.network.composed import AnyGradients, Composed, Derivatives
from crosscheck.network.dense import Case, Gradients
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.numbers.library import Library
from crosscheck.numbers.model import Model

__all__ = ["ProgramStackJudge", "StackJudge"]


class _Stacked(ABC):
    """What is the same for stacks of all networks.

    Attributes:
        finite: Which cases hold no NaN and no infinity, bool (C,).
    """

    finite: Any

    def __init__(self) -> None:
        self._unchecked: dict[Derivation, list[tuple[tuple[str, ...], tuple[str, ...]]]] = {}

    @abstractmethod
    def has_idle(self, derivation: Derivation) -> Any:
        """Which cases have decisions of which a verdict tells though they cannot matter."""

    @abstractmethod
    def _certain(self, derivation: Derivation) -> tuple[Any, AnyGradients]:
        """Which cases have an open decision; and enclosures of the others' gradients."""

    @in_ieee_arithmetic
    def arrays_checked(
        self, derivation: Derivation = "reverse"
    ) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
        """Of each case without open decisions: the arrays that are checked, and the others."""
        if derivation not in self._unchecked:
            found = unchecked(self._certain(derivation)[1], stacked=True)
            names = tuple(found)
            self._unchecked[derivation] = [
                (
                    tuple(name for name, empty in zip(names, row, strict=True) if not empty),
                    tuple(name for name, empty in zip(names, row, strict=True) if empty),
                )
                for row in np.stack(list(found.values()), axis=1).tolist()
            ]
        return self._unchecked[derivation]

    def _agreements(self, given: AnyGradients, derivation: Derivation) -> tuple[Any, Array]:
        """`StackJudge.agreements`, of any network."""
        has_open, bounds = self._certain(derivation)
        agrees = self.finite & ~has_open
        largest = np.zeros(len(agrees))
        with np.errstate(all="ignore"):
            values = dict(given.entries())
            for name, bound in bounds.entries():
                value = np.asarray(values[name])
                if value.shape != bound.shape:
                    return np.zeros_like(agrees), largest
                ratio = ratio_of(bound.distance(value), bound.bound)
                ratio = ratio.reshape(len(agrees), -1).max(axis=1)
                finite = np.isfinite(bound.bound).reshape(len(agrees), -1).all(axis=1)
                agrees &= finite & (ratio <= 1.0)
                largest = np.fmax(largest, ratio)
        return agrees, largest


class StackJudge(_Stacked):
    """Compares gradients of a stack of cases, all at once where no gate is open.

    Verdicts are those of `Judge` case by case; cases with open gates and cases outside their
    bounds are handed to it.

    Args:
        case: A stack of cases.
    """

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.case = case
        self.finite = case.are_finite
        self._enclosed: dict[Derivation, Enclosed] = {}
        self._judges: dict[int, Judge] = {}

    def judge(self, index: int) -> Judge:
        """The judge of case ``index``."""
        if index not in self._judges:
            self._judges[index] = Judge(self.case[index])
        return self._judges[index]

    @in_ieee_arithmetic
    def enclosed(self, derivation: Derivation = "reverse") -> Enclosed:
        """The stack on enclosures, in one mode of differentiation, computed once."""
        if derivation not in self._enclosed:
            self._enclosed[derivation] = Enclosed(
                self.case, Model(format_of(self.case.dtype)), derivation
            )
        return self._enclosed[derivation]

    def has_idle(self, derivation: Derivation) -> Any:
        """No gate is left out of its open ones."""
        return np.zeros(len(self.finite), dtype=bool)

    def _certain(self, derivation: Derivation) -> tuple[Any, AnyGradients]:
        enclosed = self.enclosed(derivation)
        return enclosed.has_open_gates, enclosed.certain_gradients

    @in_ieee_arithmetic
    def agreements(self, given: Gradients, derivation: Derivation = "reverse") -> tuple[Any, Array]:
        """Which cases AGREE, and the largest error / bound of each case.

        Args:
            given: Losses and gradients of the stack.
            derivation: Whether ``given`` was computed in reverse mode or in forward mode.

        Returns:
            A bool array of shape (C,), and float64 of the same shape, only meaningful where
            the first is true. Where it is false, ask `judge`.
        """
        return self._agreements(given, derivation)


class ProgramStackJudge(_Stacked):
    """Compares gradients of a stack of networks of operators where no decision is open.

    Args:
        case: A stack of cases.
        library: Whose elementary functions are called, if any are.
    """

    def __init__(self, case: Composed, library: Library | None = None) -> None:
        super().__init__()
        self.case, self.library = case, library
        self.finite = case.are_finite
        self._wholes: dict[Derivation, EnclosedProgram] = {}

    def _whole(self, derivation: Derivation) -> EnclosedProgram:
        if derivation not in self._wholes:
            model = Model(format_of(self.case.dtype), library=self.library)
            self._wholes[derivation] = EnclosedProgram(self.case, model, derivation)
        return self._wholes[derivation]

    @in_ieee_arithmetic
    def has_idle(self, derivation: Derivation) -> Any:
        """Windows in which members are tied that cannot matter."""
        return self._whole(derivation).has_idle

    def _certain(self, derivation: Derivation) -> tuple[Any, AnyGradients]:
        whole = self._whole(derivation)
        return whole.has_open, whole.gradients()

    @in_ieee_arithmetic
    def agreements(
        self, given: Derivatives, derivation: Derivation = "reverse"
    ) -> tuple[Any, Array]:
        """As of `StackJudge`."""
        return self._agreements(given, derivation)
