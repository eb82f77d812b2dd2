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

import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from crosscheck.frameworks.admission import (
    admitted,
    admitted_by_name,
    admitted_products,
    admitted_records,
    in_form,
)
from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.lent import Sample, require_same
from crosscheck.frameworks.refusals import (
    ChangedError,
    CrashedError,
    Refused,
    RefusedError,
    reason_of,
)
from crosscheck.frameworks.remote import Awaited, AwaitedEach, ElsewhereError, Remote
from crosscheck.judge.local.record import Recorded
from crosscheck.judge.verdict import Kind
from crosscheck.network.batch import Batch
from crosscheck.network.composed import AnyCase, AnyGradients, Composed
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.second import Direction, Products
from crosscheck.program.second import Way
from crosscheck.tools.errors import UnsupportedError
from crosscheck.tools.interrupts import may_be_the_users

__all__ = [
    "accepted",
    "ask",
    "ask_adapter",
    "ask_batch",
    "ask_twice",
    "begin",
    "begin_each",
    "required",
    "watch",
]


def begin(framework: Framework, case: AnyCase, *, watched: bool = False) -> Awaited:
    """Ask a framework that works in another process, and go on; one that works here waits its turn.

    Args:
        framework: As of `ask`.
        case: Likewise.
        watched: Whether its steps are asked for too, in one of its ``watched_modes``.

    Returns:
        Gives what `ask` gives; and what `watch` gives, or ``None`` where the first is `Refused` or
        nobody has asked for it.
    """
    if isinstance(framework, Remote) and case.dtype in framework.dtypes:
        awaited = framework.begin(case, watched=watched)
        return lambda: _arrived(awaited, case)

    def here() -> tuple[Any, Any]:
        given = ask(framework, case)
        if isinstance(given, Refused) or not watched:
            return given, None
        return given, watch(framework, case)

    return here


def begin_each(framework: Framework, stack: AnyCase, *, watched: bool = False) -> AwaitedEach:
    """`begin`, for the cases of a stack, each asked by itself.

    Where the process is lost on the way they are asked once more, one call each: so the one that
    ends it is told from those beside it.

    Args:
        framework: As of `ask`.
        stack: Several cases.
        watched: As of `begin`.
    """
    count = stack.count or 0

    def each() -> list[tuple[Any, Any]]:
        return [begin(framework, stack[at], watched=watched)() for at in range(count)]

    if not isinstance(framework, Remote) or stack.dtype not in framework.dtypes:
        return each
    awaited = framework.begin_each(stack, watched=watched)

    def arrived() -> list[tuple[Any, Any]]:
        found = awaited()
        if len(found) != count:
            return each()
        return [_admitted(*pair, stack[at]) for at, pair in enumerate(found)]

    return arrived


def _arrived(awaited: Awaited, case: AnyCase) -> tuple[Any, Any]:
    return _admitted(*awaited(), case)


def _admitted(given: Any, recorded: Any, case: AnyCase) -> tuple[Any, Any]:
    """What has come from another process, looked at once more in this one."""
    if not isinstance(given, Refused):
        returned = given

        def admit() -> AnyGradients:
            if isinstance(case, Composed):
                return admitted_by_name(returned, case)
            return admitted(returned, case)

        given = _outcome(admit)
    if recorded is not None and not isinstance(recorded, Refused):
        shown = recorded
        recorded = _outcome(lambda: admitted_records(shown, case))
    return given, None if isinstance(given, Refused) else recorded


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
    if isinstance(framework, Remote):
        return begin(framework, case)()[0]
    copy = case.copied()
    held, wanted = list(copy.entries()), [array for _, array in case.entries()]

    def call() -> AnyGradients:
        if isinstance(copy, Composed):
            derivatives = framework.derivatives(copy)
            require_same(held, wanted)
            return admitted_by_name(derivatives, copy, is_function=framework.is_function)
        returned = framework.gradients(copy)
        require_same(held, wanted)
        return admitted(returned, copy, is_function=framework.is_function)

    return _outcome(call)


def watch(framework: Framework, case: AnyCase) -> Any:
    """The gradients of a case once more, with the steps that led to them, or why there are none.

    Args:
        framework: An adapter, in one of its ``watched_modes``.
        case: A single case or a stack; a copy of it is handed on.

    Returns:
        `Refused`, or `crosscheck.judge.local.record.Recorded`.

    Raises:
        KeyboardInterrupt: As by `ask`.
    """
    copy = case.copied()
    held, wanted = list(copy.entries()), [array for _, array in case.entries()]

    def call() -> Recorded:
        returned = framework.recorded(copy)
        require_same(held, wanted)
        return admitted_records(returned, copy)

    return _outcome(call)


def ask_twice(framework: Framework, case: Composed, direction: Direction, way: Way) -> Any:
    """The Hessian of a case's loss times a vector by a framework, or why there is none.

    Args:
        framework: An adapter.
        case: A single case or a stack; a copy of it is handed on, and of the vector.
        direction: The vector.
        way: How.

    Returns:
        `Refused`, or `crosscheck.network.second.Products` of the gate's own.

    Raises:
        KeyboardInterrupt: As by `ask`.
    """
    if case.dtype not in framework.dtypes:
        return Refused(Kind.UNSUPPORTED, f"{case.dtype} is not among its dtypes", raised=True)
    copy, vector = case.copied(), direction.map(np.copy)
    held = [*copy.entries(), *vector.entries()]
    wanted = [array for _, array in (*case.entries(), *direction.entries())]

    def call() -> Products:
        returned = framework.products(copy, vector, way)
        require_same(held, wanted)
        return admitted_products(returned, copy)

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
    sample = Sample.of(batch, batch.flatten())

    def call() -> Gradients:
        returned = compute(batch)
        if names := sample.changed():
            raise ChangedError(names)
        return in_form(returned, batch)

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
    sample = Sample.of(batch, case.flatten())

    def call() -> Gradients:
        returned = framework.gradients(case)
        if names := sample.changed():
            raise ChangedError(names)
        return admitted(returned, case, some=sample.cases)

    return _outcome(call)


def _outcome(call: Callable[[], object]) -> Any:
    """What comes of asking, whatever that is."""
    try:
        with np.errstate():  # what a library sets, it sets for itself
            return call()
    except UnsupportedError as error:
        return Refused(Kind.UNSUPPORTED, reason_of(error), raised=True)
    except ElsewhereError as error:
        return error.refused
    except KeyboardInterrupt as error:
        if may_be_the_users():
            raise
        return Refused(Kind.CRASHED, reason_of(error))
    except BaseException as error:  # whatever a library raises is its verdict
        if _steers_the_tests(error):
            raise
        raised = isinstance(error, Exception) and not isinstance(error, RefusedError)
        changed = isinstance(error, ChangedError)
        return Refused(Kind.CRASHED, reason_of(error), raised=raised, changed=changed)


def required(framework: Framework, case: Case) -> Gradients:
    """`ask`, for studies that go on only with gradients.

    Raises:
        UnsupportedError: The framework cannot do it.
        CrashedError: It failed.
    """
    return accepted(framework, ask(framework, case))


def accepted(framework: Framework, found: Any) -> Gradients:
    """What a framework was asked for, as by `required`.

    Raises:
        UnsupportedError: As of `required`.
        CrashedError: Likewise.
    """
    if isinstance(found, Gradients):
        return found
    if found.kind is Kind.UNSUPPORTED:
        raise UnsupportedError(found.reason.removeprefix(f"{UnsupportedError.__name__}: "))
    raise CrashedError(f"{framework.name}: {found.kind}: {found.reason}")


def _steers_the_tests(error: BaseException) -> bool:
    """Whether it is how pytest skips, fails or ends, from within a test that calls a function."""
    if "_pytest.outcomes" not in sys.modules or "PYTEST_CURRENT_TEST" not in os.environ:
        return False
    return any(kind.__module__ == "_pytest.outcomes" for kind in type(error).__mro__)
