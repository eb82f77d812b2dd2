"""A fault in its place: as a framework, and as a function of NumPy arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from crosscheck.frameworks.base import Framework
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.reference import float_forward, pre_activation
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of
from crosscheck.studies.faults.fault import Fault
from crosscheck.studies.faults.handwritten import HandWritten

__all__ = ["Planted", "PlantedIn", "as_function", "open_gates"]


class Planted(Framework):
    """The gradient by hand with one fault in it.

    Args:
        fault: Of the catalogue.
    """

    name: ClassVar[str] = "planted"
    module: ClassVar[str] = "numpy"
    packages: ClassVar[tuple[str, ...]] = ("numpy",)
    dtypes: ClassVar[tuple[str, ...]] = HandWritten.dtypes

    def __init__(self, fault: Fault) -> None:
        super().__init__()
        self._fault = fault
        self._wrong = HandWritten({fault.role: fault.change})
        self._right = HandWritten()

    def gradients(self, case: Case) -> Gradients:
        """See `Framework.gradients`."""
        wrong = self._wrong.gradients(case)
        if not self._fault.within:
            return wrong
        strikes = _strikes(self._fault.within, case)
        right = self._right.gradients(case)
        return _chosen(strikes, wrong, right)


class PlantedIn(Framework):
    """The gradient of another framework with a fault in its answer.

    Args:
        framework: Whose gradient is right.
        fault: One whose role is the answer.
    """

    name: ClassVar[str] = "planted"
    module: ClassVar[str] = "numpy"
    packages: ClassVar[tuple[str, ...]] = ()

    def __init__(self, framework: Framework, fault: Fault) -> None:
        super().__init__()
        assert fault.role == "answer"
        self._framework = framework
        self._given: Gradients | None = None
        self._wrong = HandWritten({"answer": lambda _, at: fault.change(self._given, at)})
        vars(self).update(dtypes=framework.dtypes)

    def gradients(self, case: Case) -> Gradients:
        """See `Framework.gradients`."""
        self._given = self._framework.gradients(case)
        return self._wrong.gradients(case)


def as_function(fault: Fault) -> Any:
    """The gradient by hand with one fault in it, as a user hands it to the fixture.

    Returns:
        A function of weights, biases, inputs and targets that returns a `Gradients`, for networks
        with a ReLU at the output and a summed loss.
    """
    framework = Planted(fault)

    def by_hand(
        weights: Sequence[Array], biases: Sequence[Array | None], x: Array, y: Array
    ) -> Gradients:
        return framework.gradients(Case.of(weights, biases, x, y, dtype=str(x.dtype)))

    return by_hand


def open_gates(case: Case) -> tuple[Array, Array]:
    """How many pre-activations of each case are zero or nearly, and how many there are.

    Nearly means within 4 n u of the sum of its n terms' sizes, with u the unit roundoff: what
    rounding in this layer may do, and more. It need not be exact, for it only decides where a
    fault strikes.

    Returns:
        Two float64 arrays of shape (C,); C is 1 for a single case.
    """
    stack = case if case.count is not None else _stacked(case)
    roundoff = format_of(case.dtype).unit_roundoff
    found = np.zeros(len(stack.x))
    total = 0
    with np.errstate(all="ignore"):
        trace = float_forward(stack.network, stack.weights, stack.biases, stack.x)
        for at, z in enumerate(trace.pre_activations):
            if case.network.has_relu(at + 1):
                weight, bias = stack.weights[at], stack.biases[at]
                offset = None if bias is None else np.abs(bias)
                size = pre_activation(np.abs(weight), offset, np.abs(trace.activations[at]))
                near = 4 * (weight.shape[-1] + 1) * roundoff * size
                found += (np.abs(z) <= near).sum(axis=(-2, -1))
                total += z[0].size
    return found, np.full_like(found, total)


def _strikes(within: str, case: Case) -> Any:
    found, total = open_gates(case)
    if within == "kinks":
        return found >= 1
    return (found >= 6) & (4 * found >= total)


def _chosen(strikes: Any, wrong: Gradients, right: Gradients) -> Gradients:
    if strikes.all() or not strikes.any():
        return wrong if strikes.all() else right

    def choose(one: Any, other: Any) -> Any:
        return np.where(strikes.reshape(-1, *(1,) * (one.ndim - 1)), one, other)

    return wrong.map(choose, right)


def _stacked(case: Case) -> Case:
    return case.map(lambda array: array[None])
