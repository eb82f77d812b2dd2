"""The forms in which people write gradients by hand, and what they return.

With inputs x, w, b in the formula's order and one cotangent for each output:

    backward(x, w, b)                     of a formula that is one number; or (loss, gradients)
    backward(x, w, b, cotangent)
    (forward, backward)                   out, cache = forward(x, w, b); backward(cotangent, cache)
    layer(Affine, W="w", b="b")           Affine(w, b); .forward(x), .backward(cotangent), .dW, .db

What comes back is a tuple in the order of what is differentiated, or of all inputs; a dict by name,
``"w"`` or ``"dw"``; or an array where there is one. ``None``, or what is absent, is not compared.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crosscheck.run.forms import kind_of
from crosscheck.tools.errors import UsageError

__all__ = [
    "Backward",
    "HandWritten",
    "Layer",
    "backward",
    "by_name",
    "count_of",
    "derivatives_of",
    "layer",
]


@dataclass(frozen=True)
class Layer:
    """A class with ``forward`` and ``backward``.

    Attributes:
        kind: The class; it is made of the arguments in ``attributes``, in that order.
        attributes: Name of an attribute to the argument that it holds; its derivative is the
            attribute with a ``d`` in front.
    """

    kind: type
    attributes: Mapping[str, str]


def layer(kind: type, **attributes: str) -> Layer:
    """A class of the user's as an implementation: ``layer(Affine, W="w", b="b")``.

    Args:
        kind: The class.
        **attributes: Which argument of the formula each attribute holds.

    Raises:
        UsageError: It has no ``forward`` or no ``backward``.
    """
    for name in ("forward", "backward"):
        if not callable(getattr(kind, name, None)):
            raise UsageError(f"layer({getattr(kind, '__name__', kind)}): has no method {name}")
    return Layer(kind, attributes)


@dataclass(frozen=True)
class Backward:
    """A backward pass written by hand in the arrays of a library that also differentiates.

    Attributes:
        function: In any of the forms of this module.
    """

    function: Any


def backward(function: Any) -> Backward:
    """Says that a function of PyTorch, TensorFlow or JAX arrays returns gradients itself."""
    return Backward(function)


@dataclass(frozen=True)
class HandWritten:
    """A backward pass, called in its form.

    Attributes:
        function: What the user gave.
        inputs: Names of the arguments of the formula.
        outputs: Names of its outputs.
        wrt: Names of what is differentiated.
        is_scalar: Whether the formula is one number.
    """

    function: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    wrt: tuple[str, ...]
    is_scalar: bool

    def __post_init__(self) -> None:
        if isinstance(self.function, Layer):
            unknown = set(self.function.attributes.values()) - set(self.inputs)
            if unknown:
                raise UsageError(
                    f"layer: {min(unknown)!r} is no argument; wanted {', '.join(self.inputs)}"
                )
        elif isinstance(self.function, tuple):
            if len(self.function) != 2 or not all(map(callable, self.function)):
                raise UsageError(f"{self.function!r}: wanted a pair (forward, backward)")
        elif self._takes() is None:
            raise UsageError(f"{_signature(self.function)}: {self._wanted()}")

    def _takes(self) -> str | None:
        """``"inputs"``, ``"cotangents"``, or ``None`` if it is neither."""
        few, many = len(self.inputs), len(self.inputs) + len(self.outputs)
        if count_of(self.function, few) and self.is_scalar:
            return "inputs"
        return "cotangents" if count_of(self.function, many) else None

    def _wanted(self) -> str:
        inputs = ", ".join(self.inputs)
        cotangents = ", ".join(f"cotangent_of_{name}" for name in self.outputs)
        first = f"f({inputs}), " if self.is_scalar else ""
        return f"wanted {first}f({inputs}, {cotangents}) or a pair (forward, backward)"

    def __call__(
        self, arguments: Mapping[str, Any], cotangents: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """What it returns: values of outputs, and derivatives by name, as far as they go.

        Raises:
            UsageError: It returns something of another form.
            BaseException: Whatever the function raises.
        """
        __tracebackhide__ = True
        own = [arguments[name] for name in self.inputs]
        sent = [cotangents[name] for name in self.outputs]
        if isinstance(self.function, Layer):
            return self._of_layer(self.function, arguments, sent)
        if isinstance(self.function, tuple):
            forward, back = self.function
            returned = forward(*own)
            if not isinstance(returned, tuple) or len(returned) != 2:
                raise UsageError(
                    f"forward: {kind_of(returned)} returned, wanted a pair (outputs, cache)"
                )
            values, cache = returned
            return self._values(values), self.derivatives(back(*sent, cache))
        if self._takes() == "cotangents":
            return {}, self.derivatives(self.function(*own, *sent))
        returned = self.function(*own)
        if _is_loss_and_gradients(returned):
            values, found = returned
            return self._values(values), self._weighed(found, sent)
        return {}, self._weighed(returned, sent)

    def _weighed(self, returned: Any, sent: Sequence[Any]) -> dict[str, Any]:
        """Derivatives of one number, times its cotangent."""
        return {
            name: None if value is None else sent[0] * value
            for name, value in self.derivatives(returned).items()
        }

    def _values(self, returned: Any) -> dict[str, Any]:
        return by_name(returned, self.outputs)

    def _of_layer(
        self, made: Layer, arguments: Mapping[str, Any], sent: Sequence[Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        __tracebackhide__ = True
        held = made.attributes
        rest = [name for name in self.inputs if name not in held.values()]
        own = made.kind(*[arguments[name] for name in held.values()])
        values = own.forward(*[arguments[name] for name in rest])
        returned = own.backward(*sent)
        derivatives = derivatives_of(returned, tuple(rest), tuple(rest))
        for attribute, name in held.items():
            if name in self.wrt:
                derivatives[name] = getattr(own, f"d{attribute}", None)
        return self._values(values), {n: d for n, d in derivatives.items() if n in self.wrt}

    def derivatives(self, returned: Any) -> dict[str, Any]:
        """See `derivatives_of`."""
        return derivatives_of(returned, self.wrt, self.inputs)


def derivatives_of(returned: Any, wrt: tuple[str, ...], inputs: tuple[str, ...]) -> dict[str, Any]:
    """Derivatives by name, from any of the forms; what is left out is not there.

    Args:
        returned: What a backward pass returned.
        wrt: Names of what is differentiated.
        inputs: Names of all arguments.

    Raises:
        UsageError: It is something else.
    """
    if isinstance(returned, Mapping):
        found = {}
        for key, value in returned.items():
            name = key if key in inputs else str(key).removeprefix("d")
            if name not in inputs:
                raise UsageError(f"a derivative by {key!r} returned; wanted {', '.join(wrt)}")
            found[name] = value
        return {name: found[name] for name in wrt if name in found}
    if isinstance(returned, tuple | list):
        for names in (wrt, inputs):
            if len(returned) == len(names):
                pairs = dict(zip(names, returned, strict=True))
                return {name: pairs[name] for name in wrt}
        raise UsageError(
            f"{len(returned)} derivatives returned, wanted {len(wrt)}: {', '.join(wrt)}"
        )
    if len(wrt) == 1:
        return {wrt[0]: returned}
    raise UsageError(
        f"{kind_of(returned)} returned, wanted {len(wrt)} derivatives: a tuple or a dict by "
        f"{', '.join(wrt)}"
    )


def by_name(returned: Any, outputs: tuple[str, ...]) -> dict[str, Any]:
    """Outputs by name: of an array, a tuple, a list or a dict.

    Raises:
        UsageError: There are others than wanted.
    """
    if isinstance(returned, Mapping):
        if set(returned) != set(outputs):
            raise UsageError(
                f"outputs {', '.join(map(str, returned))} returned, wanted {', '.join(outputs)}"
            )
        return {name: returned[name] for name in outputs}
    if len(outputs) == 1 and not (isinstance(returned, tuple | list) and len(returned) == 1):
        return {outputs[0]: returned}
    if not isinstance(returned, tuple | list) or len(returned) != len(outputs):
        raise UsageError(f"{kind_of(returned)} returned, wanted {len(outputs)} outputs")
    return dict(zip(outputs, returned, strict=True))


def count_of(function: Callable[..., Any], count: int) -> bool:
    """Whether a function can be called with so many arguments by position."""
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # some compiled functions do not tell
        return True
    return True


def _is_loss_and_gradients(returned: Any) -> bool:
    if not isinstance(returned, tuple) or len(returned) != 2:
        return False
    loss, gradients = returned
    return isinstance(gradients, Mapping | tuple | list) and getattr(loss, "shape", ()) == ()


def _signature(function: Any) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    try:
        return f"{name}{inspect.signature(function)}"
    except (TypeError, ValueError):
        return str(name)
