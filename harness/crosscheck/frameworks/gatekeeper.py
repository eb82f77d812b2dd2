"""The gate between frameworks and verdicts: a framework and a case in, gradients or a reason out.

What an adapter returns is believed only as far as it is looked at. A complex gradient converted to
float64 loses its imaginary part, a masked array its mask; zeroed weights give a gradient of zero,
and a reference that is computed from them afterwards agrees. So on every road a framework is asked
here, and nowhere else:

* It is given copies of the case's arrays, and afterwards they are compared with the case, bit for
  bit. Verdicts are computed from arrays that it never saw. (On the fast road of a sweep, which is
  the harness's own code around three libraries, `ask_batch` compares a share of them.)
* What it returns must be a `Gradients` of float64 arrays, each a plain `numpy.ndarray` of the right
  shape whose finite numbers are numbers of the case's dtype: a library that computed in this dtype
  cannot return others. ``None`` stands in the place of a bias that the case does not have, and
  nowhere else; the loss of a single case may be a Python or NumPy float.
* Whatever it raises is a reason, exceptions beyond `Exception` included: ``sys.exit(0)`` within a
  library would otherwise end the run, and all would seem well. `KeyboardInterrupt` is passed on
  where it may be the user's own (`crosscheck.tools.interrupts.may_be_the_users`).

Functions of users (`Framework.is_function`) pass the same gate with two allowances that they are
promised: they may leave arrays out, and NumPy code may go on in float64 where the case is float32,
since a result of more bits than were asked for is within every bound or wrong.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crosscheck.frameworks.base import Framework
from crosscheck.judge.verdict import Kind
from crosscheck.network.batch import Batch, arrays_of, held_dtype
from crosscheck.network.composed import AnyCase, AnyGradients, Composed, Derivatives
from crosscheck.network.dense import Case, Gradients, LeftOut
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import Format, format_of
from crosscheck.tools.errors import CrosscheckError, UnsupportedError
from crosscheck.tools.interrupts import may_be_the_users

__all__ = [
    "SHARE",
    "CrashedError",
    "Refused",
    "RefusedError",
    "admitted",
    "ask",
    "ask_adapter",
    "ask_batch",
    "reason_of",
    "required",
]

_FLOATS = (float, np.float64, np.float32, np.float16)
"""What a loss may be besides an array, each held by float64 without loss."""

SHARE = 64
"""Of a batch on the fast road, the arrays of one case in so many are looked at afterwards."""

_turn = itertools.count()


class RefusedError(CrosscheckError):
    """What was returned is no gradient of the case; the message says what was wanted."""

    exit_code = 1


class _ChangedError(RefusedError):
    """Arrays that were lent came back with other numbers in them."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"it changed {', '.join(names)} of the case in place")


class CrashedError(CrosscheckError):
    """A framework failed where there is no verdict to say so."""

    exit_code = 1


@dataclass(frozen=True)
class Refused:
    """Why there are no gradients.

    Attributes:
        kind: The verdict: CRASHED, or UNSUPPORTED where the framework itself says so.
        reason: One line.
        raised: Whether the framework said so by an ordinary exception. Of a stack that means that
            each case is to be asked for by itself; anything else is a crash even if they are right.
        changed: Whether it wrote into the arrays that it was given.
    """

    kind: Kind
    reason: str
    raised: bool = False
    changed: bool = False


def ask(framework: Framework, case: AnyCase) -> Any:
    """The gradients of a case by a framework, or why there are none.

    Args:
        framework: An adapter, or a function of the user's as one.
        case: A single case or a stack; it is not handed on, a copy of it is.

    Returns:
        `Refused`, or float64 arrays of the gate's own: `Gradients` for a dense network,
        `Derivatives` for a network of operators.

    Raises:
        KeyboardInterrupt: The user's, as far as can be told.
    """
    if case.dtype not in framework.dtypes:
        return Refused(Kind.UNSUPPORTED, f"{case.dtype} is not among its dtypes", raised=True)
    copy = case.copied()
    held, wanted = list(copy.arrays()), [array for _, array in case.arrays()]

    def call() -> AnyGradients:
        if isinstance(copy, Composed):
            derivatives = framework.derivatives(copy)
            _require_same(held, wanted)
            return admitted_by_name(derivatives, copy, is_function=framework.is_function)
        returned = framework.gradients(copy)
        _require_same(held, wanted)
        return admitted(returned, copy, is_function=framework.is_function)

    return _outcome(call)


def ask_batch(compute: Callable[[Batch], Gradients], batch: Batch) -> Any:
    """The gradients of a batch by a fast way of the harness's own, or why there are none.

    There the library works on the memory of the batch itself: copies of all of it would take up to
    a tenth of a sweep's time. So the arrays of one case in `SHARE` are copied, of other cases each
    time, and compared afterwards; whoever writes into whole arrays, or into some entry of every
    case, is found at once.

    Args:
        compute: See `crosscheck.frameworks.batched.Batched`.
        batch: The cases. Where the reason is that they were changed, `Refused.changed` says so, and
            they are to be made anew.

    Returns:
        Arrays of `crosscheck.network.batch.held_dtype`, whose numbers are those of the case's
        dtype, as they were returned.

    Raises:
        KeyboardInterrupt: As by `ask`.
    """
    sample = _Sample.of(batch, batch.arrays)

    def call() -> Gradients:
        returned = compute(batch)
        if names := sample.changed():
            raise _ChangedError(names)
        return _in_form(returned, batch)

    return _outcome(call)


def ask_adapter(framework: Framework, batch: Batch) -> Any:
    """`ask` for the cases of a batch, at little cost beside that of an adapter in NumPy.

    The adapter is given copies, as ever. That it left them as they were, and that its numbers are
    those of the dtype, is looked at for one case in `SHARE`: of an entry that is within its bound
    it does not matter, and the others are found wrong anyway.

    Args:
        framework: An adapter.
        batch: The cases.

    Returns:
        Float64 arrays, the adapter's own: they are used before it is asked again.

    Raises:
        KeyboardInterrupt: As by `ask`.
    """
    if batch.dtype not in framework.dtypes:
        return Refused(Kind.UNSUPPORTED, f"{batch.dtype} is not among its dtypes", raised=True)
    case = batch.case()
    if batch.x.dtype == np.float64:  # else these are copies already
        case = case.copied()
    arrays = [*case.weights, *(bias for bias in case.biases if bias is not None), case.x, case.y]
    sample = _Sample.of(batch, arrays)

    def call() -> Gradients:
        returned = framework.gradients(case)
        if names := sample.changed():
            raise _ChangedError(names)
        return admitted(returned, case, some=sample.cases)

    return _outcome(call)


class _Sample:
    """Copies of some cases of a batch, in memory that is kept from batch to batch.

    Small arrays that come and go between large ones have the C library hand out new pages for
    those, which costs ten times what is done here.

    Args:
        batch: Of the shape of those that it is for.
        arrays: Of such a batch, in any dtype.

    Attributes:
        cases: Which cases are in it.
    """

    cases: slice
    _kept = threading.local()

    def __init__(self, batch: Batch, arrays: Sequence[Any]) -> None:
        self._count = max(1, batch.count // SHARE)
        self._names = batch.names
        self._copies = [
            np.empty((self._count, *array.shape[1:]), np.dtype(f"u{array.itemsize}"))
            for array in arrays
        ]
        self._same = [np.empty(copy.shape, dtype=bool) for copy in self._copies]
        self._parts: list[Any] = []

    @classmethod
    def of(cls, batch: Batch, arrays: Sequence[Any]) -> _Sample:
        """Take one, of other cases each time.

        Args:
            batch: The cases.
            arrays: Where they are, in the order of `Batch.arrays`.
        """
        kept: dict[Any, _Sample] = vars(cls._kept).setdefault("samples", {})
        key = batch.network, batch.rows, batch.count, batch.dtype, *map(_itemsize, arrays)
        sample = kept.get(key)
        if sample is None:
            if len(kept) > 16:
                kept.clear()
            sample = kept[key] = cls(batch, arrays)
        last = (sample._count - 1) * SHARE + 1
        first = next(_turn) % (batch.count - last + 1)
        sample.cases = slice(first, first + last, SHARE)
        sample._parts = [
            array[sample.cases].view(copy.dtype)
            for array, copy in zip(arrays, sample._copies, strict=True)
        ]
        for part, copy in zip(sample._parts, sample._copies, strict=True):
            np.copyto(copy, part)
        return sample

    def changed(self) -> list[str]:
        """The names of arrays that are not what they were, bit for bit; then it is done with."""
        found = []
        for name, part, copy, same in zip(
            self._names, self._parts, self._copies, self._same, strict=True
        ):
            if not np.equal(part, copy, out=same).all():
                found.append(name)
        self._parts = []
        return found


def _itemsize(array: Any) -> int:
    return int(array.itemsize)


def _outcome(call: Callable[[], AnyGradients]) -> Any:
    """What comes of asking, whatever that is."""
    try:
        with np.errstate():  # what a library sets, it sets for itself
            return call()
    except UnsupportedError as error:
        return Refused(Kind.UNSUPPORTED, reason_of(error), raised=True)
    except KeyboardInterrupt as error:
        if may_be_the_users():
            raise
        return Refused(Kind.CRASHED, reason_of(error))
    except BaseException as error:  # whatever a library raises is its verdict
        if _steers_the_tests(error):
            raise
        raised = isinstance(error, Exception) and not isinstance(error, RefusedError)
        changed = isinstance(error, _ChangedError)
        return Refused(Kind.CRASHED, reason_of(error), raised=raised, changed=changed)


def required(framework: Framework, case: Case) -> Gradients:
    """`ask`, for studies that go on only with gradients.

    Raises:
        UnsupportedError: The framework cannot do it.
        CrashedError: It failed.
    """
    found = ask(framework, case)
    if isinstance(found, Gradients):
        return found
    if found.kind is Kind.UNSUPPORTED:
        raise UnsupportedError(found.reason.removeprefix(f"{UnsupportedError.__name__}: "))
    raise CrashedError(f"{framework.name}: CRASHED: {found.reason}")


def reason_of(error: BaseException) -> str:
    """An exception in one line; of one that only says what was returned, the bare words."""
    try:
        words = str(error).strip().splitlines()
    except BaseException:  # it is the library's own method that is called
        words = []
    # What a library cannot do is told whole; what else it says may be pages.
    whole = isinstance(error, UnsupportedError)
    first = " ".join(" ".join(words).split()) if whole else words[0] if words else ""
    if isinstance(error, RefusedError):
        return first
    return f"{type(error).__name__}: {first}".strip()


def _steers_the_tests(error: BaseException) -> bool:
    """Whether it is how pytest skips, fails or ends, from within a test that calls a function."""
    if "_pytest.outcomes" not in sys.modules or "PYTEST_CURRENT_TEST" not in os.environ:
        return False
    return any(kind.__module__ == "_pytest.outcomes" for kind in type(error).__mro__)


def _require_same(held: Iterable[tuple[str, Any]], wanted: Iterable[Any]) -> None:
    """Raise `_ChangedError` where arrays are not what they were.

    Args:
        held: Names, and arrays that somebody may have written into.
        wanted: Their copies.
    """
    names = [
        name for (name, array), copy in zip(held, wanted, strict=True) if _differs(array, copy)
    ]
    if names:
        raise _ChangedError(names)


def _differs(array: Any, wanted: Any) -> bool:
    """Whether any bit does, the signs of zeros and what is in a NaN included."""
    if array.shape != wanted.shape or array.dtype != wanted.dtype:
        return True
    bits = np.dtype(f"u{wanted.itemsize}")
    return not np.array_equal(array.view(bits), wanted.view(bits))


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
    if not isinstance(given.arrays, Mapping) or list(given.arrays) != list(case.wanted):
        found = ", ".join(map(str, given.arrays)) if isinstance(given.arrays, Mapping) else "none"
        raise RefusedError(f"derivatives by {found} returned, wanted {', '.join(case.wanted)}")
    return Derivatives(
        gate.array("J", loss, lead),
        {
            name: gate.array(name, value, (*lead, *case.shapes[name]))
            for name, value in given.arrays.items()
        },
    )


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


def _in_form(given: Gradients, batch: Batch) -> Gradients:
    """Gradients of a batch, if each array is plain, of the batch's own dtype and of its shape."""
    held, parts = held_dtype(batch.dtype), [*batch.weights, *batch.biases, batch.x]
    shapes = [*(None if part is None else part.shape for part in parts), (batch.count,)]
    for value, shape in zip(arrays_of(given), shapes, strict=True):
        if shape is None is value:
            continue
        if type(value) is not np.ndarray or value.dtype != held or value.shape != shape:
            raise RefusedError(f"{_kind(value)} returned, wanted a {held} array of shape {shape}")
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
