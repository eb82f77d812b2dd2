"""A NumPy function of the user's as a program, for one case.

The function is run as it is, on arrays that remember what is done with them
(`crosscheck.frontends.numpy_.arrays`): NumPy hands its functions over to such arrays. Each carries
the numbers that the same call of NumPy's gives, so that shapes, broadcasting, which arrays are
views of which, and errors are NumPy's. A branch on what is not differentiated is taken, which is
why every case is traced anew.

The formula is mathematics: float64 throughout, whatever dtypes are named in it.

What the program, and the numbers that were carried, are held against is the function run directly:
`crosscheck.frontends.agreement`.
"""

from __future__ import annotations

import copy
import dis
import inspect
import traceback
from collections.abc import Callable, Collection, Mapping
from types import CodeType
from typing import Any

import numpy as np

from crosscheck.frontends.agreement import require_same, require_values
from crosscheck.frontends.numpy_ import functions, indexing, methods, ufuncs
from crosscheck.frontends.numpy_.arrays import Decided, Object, Step, Traced, handle_with
from crosscheck.frontends.numpy_.operands import traced as as_traced
from crosscheck.frontends.numpy_.patching import patched
from crosscheck.frontends.numpy_.sources import is_users, line_of, located_at
from crosscheck.frontends.numpy_.tracer import Tracer
from crosscheck.frontends.traced import Source, TracedFunction
from crosscheck.numbers.arrays import Array
from crosscheck.program.graph import Program
from crosscheck.tools.errors import CrosscheckError, UnsupportedError, UsageError
from crosscheck.tools.words import named

__all__ = ["trace"]

handle_with(
    ufunc=ufuncs.ufunc,
    function=functions.function,
    get=indexing.get,
    put=indexing.put,
    method=methods.method,
    methods=lambda tracer: methods.METHODS,
)


def trace(
    function: Callable[..., Any],
    arguments: Mapping[str, Any],
    *,
    traced: Collection[str],
    fixed: Collection[str] = (),
) -> TracedFunction:
    """The program of a function on one case's arguments.

    Args:
        function: On NumPy's arrays.
        arguments: Every parameter by name; none is changed.
        traced: Those that are float64 arrays and become inputs of the program.
        fixed: Those of them that are not differentiated: branches on their numbers are taken.

    Raises:
        UsageError: The function fails by itself, is not the same twice, or decides by numbers of a
            differentiated array; with its file and line.
        UnsupportedError: It uses a function that is not understood.
    """
    name = getattr(function, "__name__", type(function).__name__)
    unknown = [each for each in (*traced, *fixed) if each not in arguments or each not in traced]
    if unknown:
        raise UsageError(f"{name}: {unknown[0]!r} is to be traced, and is no argument")
    wanted = {
        key: np.asarray(value, dtype=np.float64) if key in traced else value
        for key, value in arguments.items()
    }
    call = _caller(function, name)
    direct = [_direct(call, name, wanted, traced) for _ in range(2)]
    try:
        require_same(name, *direct)
    except UsageError as error:
        raise UsageError(f"{_random_place(function)}{error}") from None

    tracer = Tracer(names=_captured(function))
    inputs = {}
    given: dict[str, Any] = {}
    for key, value in wanted.items():
        if key in traced:
            inputs[key] = tracer.graph.leaf(key, value.shape)
            given[key] = Traced.of(tracer, inputs[key], value.copy(), key in fixed)
        else:
            given[key] = copy.deepcopy(value)
    returned = _run(call, name, given, tracer, function)
    outputs = _outputs(tracer, name, returned)
    if tracer.refusal is not None:
        raise tracer.refusal

    variables = {key: each.variable for key, each in outputs.items()}
    inputs.update({key: tracer.graph.leaf(key, a.shape) for key, a in tracer.constants.items()})
    program = tracer.graph.program(inputs, variables)
    reached = {program.nodes[number].settings.get("name") for number in program.needed}
    for key in traced:
        if key not in fixed and key not in reached:
            tracer.notes[f"∂{key} is zero by construction: no output depends on {key}"] = None
    found = TracedFunction(
        name=name,
        program=program,
        outputs=tuple(outputs),
        constants=dict(tracer.constants),
        sources=_sources(tracer, program),
        comparisons=tracer.comparisons(program.needed),
        notes=tuple(tracer.notes),
    )
    arrays = {**{key: wanted[key] for key in traced}, **tracer.constants}
    carried = {key: each.value for key, each in outputs.items()}
    require_values(found, arrays, direct[0], carried=carried, library="NumPy")
    return found


def _sources(tracer: Tracer, program: Program) -> dict[int, Source]:
    """The sources of all steps; one that puts together what is returned has its last operand's."""
    found = dict(tracer.sources)
    for number in program.needed:
        before = [each for each in program.nodes[number].inputs if each in found]
        if number not in found and before:
            found[number] = found[max(before)]
    return dict(sorted(found.items()))


def _caller(function: Callable[..., Any], name: str) -> Callable[[Mapping[str, Any]], Any]:
    """The function, of a mapping of its arguments."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return lambda given: function(**given)

    def call(given: Mapping[str, Any]) -> Any:
        positional, named = [], {}
        for key, parameter in signature.parameters.items():
            if key not in given:
                continue
            if parameter.kind is parameter.POSITIONAL_ONLY:
                positional.append(given[key])
            else:
                named[key] = given[key]
        extra = {key: value for key, value in given.items() if key not in signature.parameters}
        if extra and not any(
            each.kind is each.VAR_KEYWORD for each in signature.parameters.values()
        ):
            raise UsageError(f"{name} has no parameter {next(iter(extra))!r}: {name}{signature}")
        return function(*positional, **named, **extra)

    return call


def _direct(
    call: Callable[[Mapping[str, Any]], Any],
    name: str,
    arguments: Mapping[str, Any],
    traced: Collection[str],
) -> dict[str, Array]:
    """The function's results in NumPy itself."""
    given = {
        key: value.copy() if key in traced else copy.deepcopy(value)
        for key, value in arguments.items()
    }
    try:
        with np.errstate(all="ignore"):
            found = call(given)
    except CrosscheckError:
        raise
    except Exception as error:
        where, text = _where_raised(error)
        raise UsageError(
            f"{where}the formula {name} raised {named(error)}{text}; nothing was checked"
        ) from error
    return {
        key: np.asarray(value, dtype=np.float64)
        for key, value in _named(found).items()
        if _is_real(value)
    }


def _where_raised(error: BaseException) -> tuple[str, str]:
    """The user's place, and line, at which an exception came up."""
    found: Source | None = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if is_users(frame.f_code.co_filename):
            found = located_at(frame.f_code, _instruction(error, frame))
    if found is None:
        return "", ""
    return f"{found.place}: ", f": {line_of(found)}"


def _instruction(error: BaseException, frame: Any) -> int:
    step = error.__traceback__
    while step is not None:
        if step.tb_frame is frame:
            return step.tb_lasti
        step = step.tb_next
    return 0


def _run(
    call: Callable[[Mapping[str, Any]], Any],
    name: str,
    given: Mapping[str, Any],
    tracer: Tracer,
    function: Callable[..., Any],
) -> Any:
    inner = inspect.unwrap(function)
    inner = getattr(inner, "__func__", inner)
    namespace = getattr(inner, "__globals__", {})
    try:
        with patched(tracer, namespace), np.errstate(all="ignore"):
            return call(given)
    except CrosscheckError:
        raise
    except Exception as error:
        if tracer.refusal is not None:
            raise tracer.refusal from error
        where, text = _where_raised(error)
        raise UnsupportedError(
            f"{where}{name} runs in NumPy and could not be traced: {named(error)}{text}"
        ) from error


# -- what is returned ----------------------------------------------------------------------------


def _named(found: Any) -> dict[str, Any]:
    """What was returned, by the names of outputs."""
    if isinstance(found, Object):
        return {"out": found}
    if isinstance(found, Mapping):
        return {str(key): value for key, value in found.items()}
    if isinstance(found, tuple | list):
        return {f"out{k}": value for k, value in enumerate(found)}
    return {"out": found}


def _is_real(value: Any) -> bool:
    """Whether something is an array of real numbers, or one number."""
    if isinstance(value, Decided):
        return False
    if isinstance(value, Object):
        return True
    if isinstance(value, bool | np.bool_ | int | np.integer):
        return False
    return isinstance(value, float) or (
        isinstance(value, np.ndarray | np.generic) and (value.dtype.kind == "f")
    )


def _outputs(tracer: Tracer, name: str, returned: Any) -> dict[str, Traced]:
    """The outputs; what else was returned is noted."""
    found: dict[str, Traced] = {}
    for key, value in _named(returned).items():
        if isinstance(value, Step) and value.value.dtype == bool:
            tracer.notes[f"{key} is an array of truth values, and no output"] = None
        elif _is_real(value):
            found[key] = as_traced(tracer, value)
        else:
            kind = value.what if isinstance(value, Decided) else type(value).__name__
            tracer.notes[f"{key} is no array of real numbers ({kind}), and no output"] = None
    if not found:
        raise UsageError(
            f"{name} returns no array of real numbers: wanted an array, a tuple or a dict of arrays"
        )
    return found


# -- what the function has of its own ------------------------------------------------------------


def _captured(function: Callable[..., Any]) -> dict[int, str]:
    """The name of each array that the function knows besides its arguments, by identity."""
    inner = inspect.unwrap(function)
    owner = getattr(inner, "__self__", None)
    inner = getattr(inner, "__func__", inner)
    found: dict[str, Any] = {}
    try:
        variables = inspect.getclosurevars(inner)
        found |= {**variables.globals, **variables.nonlocals}
    except (TypeError, ValueError):
        pass
    if owner is not None:
        found |= {f"self.{key}": value for key, value in getattr(owner, "__dict__", {}).items()}
    return {id(value): key for key, value in found.items() if type(value) is np.ndarray}


def _random_place(function: Callable[..., Any]) -> str:
    inner = inspect.unwrap(function)
    code = getattr(getattr(inner, "__func__", inner), "__code__", None)
    if not isinstance(code, CodeType):
        return ""
    for each in dis.get_instructions(code):
        if "random" in str(each.argval) or "rng" in str(each.argval):
            source = located_at(code, each.offset)
            return f"{source.place}: "
    return ""
