"""A backward pass in NumPy whose every step can be replaced: where faults are planted.

It is written a second time, apart from `crosscheck.network.reference`, and as a user would write
it: arrays of the case's own dtype, no enclosures. Each value that a step makes has a *role*; a
fault is a function that takes the value of one role and gives another in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from crosscheck.frameworks.base import Framework
from crosscheck.network.batch import held_dtype
from crosscheck.network.dense import Case, Gradients, Numbers
from crosscheck.numbers.formats import FORMATS, format_of

__all__ = ["ROLES", "At", "Change", "HandWritten"]

ROLES: Mapping[str, str] = MappingProxyType(
    {
        "numbers": "weights, biases, inputs and targets, as a case hands them over",
        "pre-activation": "z of a layer",
        "activation": "a of a layer",
        "residual": "the output minus the targets",
        "loss": "J, the value that is returned",
        "loss cotangent": "dJ/da of the last layer",
        "gate": "the derivative of a layer's ReLU; none where the layer has no ReLU",
        "delta": "dJ/dz of a layer",
        "activation kept": "the inputs of a layer, as its weight gradient sees them",
        "weight gradient": "dJ/dW of a layer",
        "bias gradient": "dJ/db of a layer that has a bias",
        "weight going down": "W of a layer, as the pass takes it downwards",
        "cotangent": "dJ/da of the layer below; of layer 0, dJ/dx",
        "answer": "the loss and the gradients of a whole call, as returned",
    }
)
"""What can be replaced, in the order of a call. Numbers and the answer are asked once a call, the
rest once for each layer that has it."""


@dataclass(frozen=True)
class At:
    """Where in a call a value is replaced.

    Attributes:
        case: The case or the stack of cases.
        layer: 1 … L; 0 for what belongs to no layer, and for dJ/dx.
        call: How many calls there have been, this one included.
        before: How many cases have been answered before this call.
        memory: Kept from call to call.
        seen: (role, layer) to the value there, after it was replaced.
    """

    case: Case
    layer: int
    call: int
    before: int
    memory: dict[Any, Any]
    seen: dict[tuple[str, int], Any] = field(repr=False)

    @property
    def last(self) -> bool:
        """Whether this is the last layer of the network."""
        return self.layer == self.case.network.depth

    @property
    def rows(self) -> int:
        """Rows of the batch."""
        return self.case.rows

    @property
    def numbers(self) -> Numbers:
        """The numbers of the case, as they were handed over."""
        found: Numbers = self.seen["numbers", 0]
        return found

    def __call__(self, role: str, layer: int | None = None) -> Any:
        """The value of a role in this layer, or in another one."""
        return self.seen[role, self.layer if layer is None else layer]

    @property
    def z(self) -> Any:
        """The layer's pre-activations."""
        return self("pre-activation")

    @property
    def g(self) -> Any:
        """The cotangent that comes down to the layer: dJ/da."""
        return self("loss cotangent") if self.last else self("cotangent")

    @property
    def below(self) -> Any:
        """The layer's inputs."""
        return self.numbers.x if self.layer == 1 else self("activation", self.layer - 1)


Change = Callable[[Any, At], Any]
"""From the right value of a role, and where it is, to the wrong one."""


class HandWritten(Framework):
    """The gradient by hand, right unless something is replaced.

    Args:
        changes: Role to what is done to its values.
    """

    name: ClassVar[str] = "by-hand"
    module: ClassVar[str] = "numpy"
    packages: ClassVar[tuple[str, ...]] = ("numpy",)
    dtypes: ClassVar[tuple[str, ...]] = tuple(FORMATS)

    def __init__(self, changes: Mapping[str, Change] | None = None) -> None:
        super().__init__()
        self._changes = dict(changes or {})
        assert self._changes.keys() <= ROLES.keys()
        self._calls = self._cases = 0
        self._memory: dict[Any, Any] = {}

    def gradients(self, case: Case) -> Gradients:
        """See `Framework.gradients`."""
        self._calls += 1
        at = At(case, 0, self._calls, self._cases, self._memory, {})
        self._cases += case.count or 1
        with np.errstate(all="ignore"):  # NaN and overflow show in the result
            return self._answer(at)

    def _take(self, role: str, at: At, value: Any) -> Any:
        if role in self._changes:
            value = self._changes[role](value, at)
        at.seen[role, at.layer] = value
        return value

    def _answer(self, at: At) -> Gradients:
        case, form = at.case, format_of(at.case.dtype)
        held = held_dtype(case.dtype)

        def number(array: Any) -> Any:
            return np.array(array, dtype=held)

        def rounded(array: Any) -> Any:
            # Arrays of the dtype itself have been rounded by the operation.
            return array if form.dtype == held else number(form.round(array))

        numbers = self._take("numbers", at, case.each(number))
        depth, a = case.network.depth, numbers.x
        for layer in range(1, depth + 1):
            here, bias = replace(at, layer=layer), numbers.biases[layer - 1]
            z = rounded(a @ numbers.weights[layer - 1].swapaxes(-1, -2))
            if bias is not None:
                z = rounded(z + bias[..., None, :])
            z = self._take("pre-activation", here, z)
            a = np.maximum(z, 0) if case.network.has_relu(layer) else z
            a = self._take("activation", here, a)
        top = replace(at, layer=depth)
        residual = self._take("residual", top, rounded(a - numbers.y))
        loss = rounded(rounded((rounded(residual * residual)).sum(axis=(-2, -1))) / 2)
        g = residual
        if case.network.reduction == "mean":
            loss, g = rounded(loss / case.rows), rounded(residual / case.rows)
        loss = self._take("loss", top, loss)
        g = self._take("loss cotangent", top, g)
        weights: dict[int, Any] = {}
        biases: dict[int, Any] = dict.fromkeys(range(1, depth + 1))
        for layer in range(depth, 0, -1):
            here = replace(at, layer=layer)
            gate = (here.z > 0).astype(held) if case.network.has_relu(layer) else None
            gate = self._take("gate", here, gate)
            delta = self._take("delta", here, g if gate is None else rounded(gate * g))
            kept = self._take("activation kept", here, here.below)
            product = rounded(delta.swapaxes(-1, -2) @ kept)
            weights[layer] = self._take("weight gradient", here, product)
            if numbers.biases[layer - 1] is not None:
                total = rounded(delta.sum(axis=-2))
                biases[layer] = self._take("bias gradient", here, total)
            weight = self._take("weight going down", here, numbers.weights[layer - 1])
            g = self._take("cotangent", replace(at, layer=layer - 1), rounded(delta @ weight))
        layers = range(1, depth + 1)
        found = Gradients(
            loss, tuple(weights[layer] for layer in layers), tuple(map(biases.get, layers)), g
        )
        found = self._take("answer", at, found)

        def returned(array: Any) -> Any:
            return form.round(np.array(array, dtype=np.float64))

        given: Gradients = found.map(returned)
        return given
