"""What a framework returned, looked at: gradients of the case in form and numbers, or an error.

The rules: `crosscheck.frameworks.gatekeeper`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crosscheck.frameworks.leaves import steps_of
from crosscheck.frameworks.refusals import RefusedError
from crosscheck.judge.local.record import Recorded
from crosscheck.network.batch import Batch, held_dtype
from crosscheck.network.composed import AnyCase, Composed, Derivatives
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.second import Products
from crosscheck.network.steps import differentiated
from crosscheck.network.tree import LeftOut
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import Format, format_of

__all__ = ["admitted", "admitted_by_name", "admitted_products", "admitted_records", "in_form"]

_FLOATS = (float, np.float64, np.float32, np.float16)
"""What a loss may be besides an array, each held by float64 without loss."""


def admitted(
    given: Any, case: Case, *, is_function: bool = False, some: slice | None = None
) -> Gradients:
    """What a framework returned, if it is a gradient of ``case`` in form and numbers.

    Args:
        given: What was returned.
        case: What was asked; a single case or a stack.
        is_function: Whether a function of the user's returned it.
        some: Which cases of a stack have their numbers looked at, and then nothing is copied.

    Returns:
        Copies, which no later call can change; or with ``some`` the arrays themselves.

    Raises:
        RefusedError: It is something else.
    """
    if not isinstance(given, Gradients):
        raise RefusedError(f"{_kind(given)} returned, wanted crosscheck.Gradients")
    gate = _Gate(format_of(case.dtype), is_function, some)
    shape = case.x.shape[:-2]
    loss = given.loss
    if not shape and type(loss) in _FLOATS:
        loss = np.array(loss, dtype=np.float64)
    return Gradients(
        gate.array("J", loss, shape),
        gate.layers("W", given.weights, case.weights),
        gate.layers("b", given.biases, case.biases),
        gate.array("x", given.x, case.x.shape),
    )


def admitted_by_name(given: Any, case: Composed, *, is_function: bool = False) -> Derivatives:
    """`admitted` for a network of operators.

    Raises:
        RefusedError: It is something else.
    """
    if not isinstance(given, Derivatives):
        raise RefusedError(f"{_kind(given)} returned, wanted crosscheck.Derivatives")
    gate = _Gate(format_of(case.dtype), is_function, None)
    lead = () if case.count is None else (case.count,)
    loss = given.loss
    if not lead and type(loss) in _FLOATS:
        loss = np.array(loss, dtype=np.float64)
    return Derivatives(gate.array("J", loss, lead), gate.named(given.arrays, case))


def admitted_products(given: Any, case: Composed) -> Products:
    """`admitted` for second derivatives.

    Raises:
        RefusedError: It is something else.
    """
    if not isinstance(given, Products):
        raise RefusedError(f"{_kind(given)} returned, wanted crosscheck.network.second.Products")
    return Products(_Gate(format_of(case.dtype), False, None).named(given.arrays, case))


@dataclass(frozen=True)
class _Gate:
    """How strict it is.

    Attributes:
        form: Of the case.
        is_function: Whether a function of the user's is looked at.
        some: See `admitted`.
    """

    form: Format
    is_function: bool
    some: slice | None

    def named(self, given: Any, case: Composed) -> dict[str, Any]:
        """An array for each that a loss is differentiated by."""
        if not isinstance(given, Mapping) or list(given) != list(case.wanted):
            found = ", ".join(map(str, given)) if isinstance(given, Mapping) else "none"
            raise RefusedError(f"derivatives by {found} returned, wanted {', '.join(case.wanted)}")
        shapes = case.gradient_shapes
        return {name: self.array(name, value, shapes[name]) for name, value in given.items()}

    def layers(self, name: str, given: Any, wanted: Sequence[Array | None]) -> tuple[Any, ...]:
        """An array for each layer."""
        if not isinstance(given, list | tuple) or len(given) != len(wanted):
            found = f"{len(given)} arrays" if isinstance(given, list | tuple) else _kind(given)
            raise RefusedError(
                f"{name}: {found} returned, wanted a tuple with one for each of {len(wanted)} "
                "layers"
            )
        return tuple(
            self._layer(f"{name}{layer}", value, array)
            for layer, (value, array) in enumerate(zip(given, wanted, strict=True), start=1)
        )

    def _layer(self, name: str, value: Any, wanted: Array | None) -> Any:
        if wanted is not None:
            return self.array(name, value, wanted.shape)
        if value is not None and not (self.is_function and isinstance(value, LeftOut)):
            raise RefusedError(f"{name}: {_kind(value)} returned, wanted None: there is no bias")
        return None

    def array(self, name: str, value: Any, shape: tuple[int, ...]) -> Any:
        """One array, as a copy."""
        if self.is_function and isinstance(value, LeftOut):
            return value
        wanted = f"a float64 array of shape {shape}"
        if type(value) is not np.ndarray or value.dtype != np.float64 or value.shape != shape:
            raise RefusedError(f"{name}: {_kind(value)} returned, wanted {wanted}")
        looked_at = value if self.some is None else value[self.some]
        if not (self.is_function or self.form.contains(looked_at)):
            other = looked_at[self.form.round(looked_at) != looked_at]
            number = float(other[~np.isnan(other)].flat[0])
            raise RefusedError(
                f"{name}: {number!r} returned, which is no {self.form.name} number; wanted "
                f"what the library returned in {self.form.name}, converted without loss"
            )
        return np.array(value, order="C") if self.some is None else value


def admitted_records(given: Any, case: AnyCase) -> Recorded:
    """What a framework showed of its steps, if it is that in form.

    Raises:
        RefusedError: It is something else.
    """
    if not isinstance(given, Recorded):
        raise RefusedError(f"{_kind(given)} returned, wanted crosscheck.Recorded")
    gradients: Any = given.given
    gradients = (
        admitted_by_name(gradients, case)
        if isinstance(case, Composed)
        else admitted(gradients, case)
    )
    steps = steps_of(case)
    if tuple(each.step for each in given.records) != steps:
        raise RefusedError(f"records of other steps returned, wanted {len(steps)} in their order")
    operands = differentiated(steps)
    shapes = {name: array.shape for name, array in case.entries()}
    for record in given.records:
        shapes[record.step.id] = record.result.shape
        if record.cotangent.shape != record.result.shape:
            raise RefusedError(f"{record.step.id}: a cotangent of another shape than the result")
        for name, source in record.step.inputs:
            found = [record.operands.get(name)]
            if name in operands[record.step.id]:
                found.append(record.sent.get(name))
            if any(array is None or array.shape != shapes[source] for array in found):
                raise RefusedError(f"{record.step.id}: {name}, or its cotangent, has another shape")
    return Recorded(gradients, given.records)


def in_form(given: Gradients, batch: Batch) -> Gradients:
    """Gradients of a batch, if each array is plain, of the batch's own dtype and of its shape."""
    held, wanted = held_dtype(batch.dtype), batch.gradient_shapes
    if set(given.names) != set(wanted):
        raise RefusedError(f"{', '.join(given.names)} returned, wanted {', '.join(wanted)}")
    for name, value in given.entries():
        shape = wanted[name]
        if type(value) is not np.ndarray or value.dtype != held or value.shape != shape:
            raise RefusedError(
                f"{name}: {_kind(value)} returned, wanted a {held} array of shape {shape}"
            )
    return given


def _kind(value: Any) -> str:
    """What something is, for people."""
    if value is None:
        return "None"
    name = type(value).__name__
    dtype, shape = getattr(value, "dtype", None), getattr(value, "shape", None)
    if isinstance(value, np.ndarray | np.generic):
        name = "array" if type(value) is np.ndarray else name
        return f"{dtype} {name} of shape {shape}"
    return f"{name} of shape {tuple(shape)}" if isinstance(shape, tuple) else name
