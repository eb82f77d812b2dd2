"""What a function of the user's may return: a loss, or gradients in one of several forms.

The forms are those of `crosscheck.run.implementations`. Whatever is in none of them is a mistake
in the call, not a wrong gradient, and is told in one line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from crosscheck.network.composed import Composed, Derivatives
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.tree import LEFT_OUT, LeftOut
from crosscheck.tools.errors import UnsupportedError, UsageError

__all__ = [
    "GRADIENTS",
    "WrongFormError",
    "derivatives_of",
    "gradients_of",
    "is_form",
    "is_loss",
    "kind_of",
]

_PARTS = ("weights", "biases", "x", "loss")

_AS = (
    "as crosscheck.Gradients, as a dict with some of 'weights', 'biases', 'x', 'loss', or as a "
    "tuple (weights, biases[, x[, loss]])"
)
GRADIENTS = f"the gradients: {_AS}"
"""The forms of gradients, for people."""
_FORMS = f"wanted one number (the loss), or the gradients {_AS}"

Fetch = Callable[[str, Any], Any]
"""An array by what it is called, and as it was returned, as float64; ``None`` as `LEFT_OUT`."""


class WrongFormError(UsageError):
    """What was returned is neither a loss nor gradients."""


def is_form(returned: Any) -> bool:
    """Whether a function returned what may be gradients."""
    return isinstance(returned, Gradients | Derivatives | Mapping | tuple | list)


def is_loss(returned: Any, tensor: type) -> bool:
    """Whether a function returned a loss, and not gradients.

    Raises:
        UsageError: It returned neither.
    """
    if is_form(returned):
        return False
    if not isinstance(returned, tensor):
        raise WrongFormError(f"{kind_of(returned)} returned; {_FORMS}")
    if tuple(returned.shape) != ():  # type: ignore[attr-defined]
        raise WrongFormError(f"{kind_of(returned)} returned; {_FORMS}")
    return True


def kind_of(value: Any) -> str:
    """What something is, for people."""
    shape = getattr(value, "shape", None)
    name = type(value).__name__
    return f"{name} of shape {tuple(shape)}" if shape is not None else name


def gradients_of(case: Case, returned: Any, name: str, fetch: Fetch) -> Gradients:
    """Gradients of a dense network in any of the forms, with float64 arrays.

    Args:
        case: What they are the gradients of.
        returned: What the function returned.
        name: The function, for complaints.
        fetch: See `Fetch`.

    Raises:
        UsageError: They are in none of the forms, or nothing is there.
        UnsupportedError: All that is there belongs to arrays that the case does not have.
    """
    parts = _parts(returned, name)
    depth = case.network.depth
    weights = _layers("weights", parts.get("weights"), depth, name, fetch)
    biases = _layers("biases", parts.get("biases"), depth, name, fetch)
    given = Gradients(
        fetch("loss", parts.get("loss")),
        tuple(weights),
        tuple(None if has is None else bias for has, bias in zip(case.biases, biases, strict=True)),
        fetch("x", parts.get("x")),
    )
    if all(isinstance(value, LeftOut) for entry, value in given.entries() if entry != "J"):
        if any(parts.get(part) is not None for part in ("weights", "biases", "x")):
            raise UnsupportedError("it returns nothing that this case has")
        raise UsageError(f"{name}: no gradient returned; {_FORMS}")
    return given


def _parts(returned: Any, name: str) -> Mapping[str, Any]:
    if isinstance(returned, Gradients):
        return {part: getattr(returned, part) for part in _PARTS}
    if isinstance(returned, Mapping):
        unknown = [key for key in returned if key not in _PARTS]
        if unknown:
            raise UsageError(
                f"{name}: {unknown[0]!r} among what it returned; wanted some of {', '.join(_PARTS)}"
            )
        return returned
    if not 2 <= len(returned) <= len(_PARTS):
        raise UsageError(f"{name}: a tuple of {len(returned)} returned; {_FORMS}")
    return dict(zip(_PARTS, returned, strict=False))


def _layers(part: str, arrays: Any, depth: int, name: str, fetch: Fetch) -> list[Any]:
    if arrays is None:
        return [LEFT_OUT] * depth
    if not isinstance(arrays, list | tuple) or len(arrays) != depth:
        found = f"{len(arrays)} arrays" if isinstance(arrays, list | tuple) else kind_of(arrays)
        raise UsageError(
            f"{name}, {part}: {found} returned, wanted a list with one array for each "
            f"of {depth} layers"
        )
    return [fetch(f"{part}[{i}]", array) for i, array in enumerate(arrays)]


def derivatives_of(case: Composed, returned: Any, name: str, fetch: Fetch) -> Derivatives:
    """Derivatives by name of a network of operators, with what is not there left out.

    Args:
        case: What they are the derivatives of.
        returned: What the function returned.
        name: The function, for complaints.
        fetch: See `Fetch`.

    Raises:
        UsageError: They are no dict by name, or nothing is there.
    """
    if isinstance(returned, Derivatives):
        returned = {**returned.arrays, "loss": returned.loss}
    if not isinstance(returned, Mapping):
        raise UsageError(
            f"{name}: {kind_of(returned)} returned, wanted a dict by name of derivatives, "
            f"some of {', '.join(case.wanted)}, and 'loss'"
        )
    unknown = [each for each in returned if each not in (*case.wanted, "loss")]
    if unknown:
        raise UsageError(
            f"{name}: {unknown[0]!r} among what it returned, wanted some of "
            f"{', '.join(case.wanted)}, loss"
        )
    found = {each: fetch(each, returned.get(each)) for each in case.wanted}
    if all(isinstance(value, LeftOut) for value in found.values()):
        raise UsageError(f"{name}: no derivative returned, wanted at least one")
    return Derivatives(fetch("loss", returned.get("loss")), found)
