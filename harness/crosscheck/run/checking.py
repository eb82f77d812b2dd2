"""Cross-checking functions of one's own: a gradient written by hand, one network in many libraries.

Dense networks with ReLU and the loss ½ Σ (a_L − y)² are differentiated at a `Case`, networks of
operators at a `Composed`; for any other function its formula is the specification
(`crosscheck.run.functions.checking`). Every function is compared with the harness's own reference,
none with another function: where they agree with each other, all may be wrong.
"""

from __future__ import annotations

import unittest
from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from typing import Any, Literal, TypedDict, Unpack, overload

from crosscheck.cases.drawing import Shape
from crosscheck.cases.profiles import profile as profile_of
from crosscheck.network.dense import Output, Reduction
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.named import known_names
from crosscheck.run.comparing import Comparing
from crosscheck.run.comparison import Comparison, raise_failure
from crosscheck.run.events import Event
from crosscheck.run.functions.comparison import FunctionComparison, raise_function_failure
from crosscheck.run.functions.spec import spec_of
from crosscheck.run.implementations import AbsentError, implement
from crosscheck.run.wanted import Cases, Fit, Wanted
from crosscheck.tools.errors import UsageError

__all__ = [
    "EXAMPLES",
    "Arguments",
    "compare_implementations",
    "require_agreement",
]

EXAMPLES: Mapping[str, int] = {"quick": 20, "default": 100, "nightly": 2_000}
"""Profile to how many cases are generated for one call, over all dtypes together."""

Function = Callable[..., Any]


class Arguments(TypedDict, total=False):
    """The keyword arguments of `compare_implementations`."""

    reference: Function | None
    numpy: Function | None
    torch: Function | None
    tensorflow: Function | None
    jax: Function | None
    cases: Cases | None
    dtypes: Sequence[str]
    shapes: Sequence[Shape] | None
    output: Output | None
    reduction: Reduction | None
    profile: str
    seed: int
    allow: Sequence[str]
    as_written: bool


@overload
def require_agreement(
    *, absent: Literal["fail", "skip"] = "fail", **arguments: Unpack[Arguments]
) -> Comparison: ...


@overload
def require_agreement(
    formula: Function,
    shapes: Any = None,
    /,
    *,
    absent: Literal["fail", "skip"] = "fail",
    **arguments: Any,
) -> FunctionComparison: ...


def require_agreement(
    formula: Function | None = None,
    shapes: Any = None,
    /,
    *,
    absent: Literal["fail", "skip"] = "fail",
    **arguments: Any,
) -> Comparison | FunctionComparison:
    """A comparison, with a failure raised.

    Args:
        formula: What is to be computed; then this is
            `crosscheck.run.functions.checking.compare_functions`. Of a formula with
            ``@crosscheck.spec`` all that is registered is compared. ``None`` is the dense ReLU
            network: `compare_implementations`.
        shapes: Of the formula's arguments.
        absent: What becomes of a test whose library is not installed.
        **arguments: Those of `compare_functions` or `compare_implementations`.

    Raises:
        DisagreementError: An implementation returned a wrong gradient, or raised; then its own
            exception is the cause.
        UsageError: See `compare_implementations`.
        unittest.SkipTest: A library is not installed, and ``absent="skip"``.
    """
    __tracebackhide__ = True
    if absent not in ("fail", "skip"):
        raise UsageError(f"absent={absent!r}: wanted 'fail' or 'skip'")
    comparison: Comparison | FunctionComparison
    try:
        if formula is None:
            comparison = compare_implementations(**arguments)
        else:
            comparison = _compared(formula, shapes, arguments)
    except AbsentError as error:
        if absent == "skip":
            raise unittest.SkipTest(str(error).split(";")[0]) from None
        raise
    if isinstance(comparison, FunctionComparison):
        raise_function_failure(comparison)
    else:
        raise_failure(comparison)
    return comparison


def _compared(formula: Function, shapes: Any, arguments: dict[str, Any]) -> FunctionComparison:
    from crosscheck.run.functions.checking import compare_functions, compare_spec, unknown_keyword

    for name in arguments:
        if name not in signature(compare_functions).parameters:
            raise unknown_keyword(name)
    spec = spec_of(formula)
    if spec is None:
        return compare_functions(formula, shapes, **arguments)
    own = {} if shapes is None else {"shapes": shapes}
    return compare_spec(spec, **own, **arguments)


def compare_implementations(
    *,
    reference: Function | None = None,
    numpy: Function | None = None,
    torch: Function | None = None,
    tensorflow: Function | None = None,
    jax: Function | None = None,
    cases: Cases | None = None,
    dtypes: Sequence[str] = ("float64", "float32"),
    shapes: Sequence[Shape] | None = None,
    output: Output | None = None,
    reduction: Reduction | None = None,
    profile: str = "default",
    seed: int = 0,
    allow: Sequence[str] = (),
    as_written: bool = True,
    emit: Callable[[Event], None] | None = None,
) -> Comparison:
    """Compare functions of one's own with the harness's reference, case by case.

    A function takes ``weights, biases, x, y``: two lists with an array for each layer (``None``
    for a layer without bias) and two arrays, in its own library and in the case's dtype. Or it
    takes the one `Case`. It returns the loss, which PyTorch, TensorFlow or JAX then differentiates,
    or gradients (`crosscheck.run.implementations` lists the forms); what is left out is not
    compared. Gradients are held to the bounds of backpropagation, whose rounding errors are not
    those of forward mode.

    Arrays do not say whether the output has a ReLU and whether the loss is a mean. So where a
    function takes arrays, generated cases have ``output="relu"`` and ``reduction="sum"`` unless
    stated otherwise, and a zero bias where there would be none. Cases that are given are taken as
    they are.

    Args:
        reference: A gradient written by hand in NumPy. It is judged like all others.
        numpy: Another one.
        torch: A function of PyTorch tensors, which require gradients.
        tensorflow: A function of TensorFlow tensors.
        jax: A function of JAX arrays.
        cases: A case, several, a Hypothesis strategy for cases, or how many to generate. Left
            out, the worked example, and as many smooth and boundary cases as the profile says.
        dtypes: Of generated cases; each gets an equal share.
        shapes: (widths, rows) of generated cases; `crosscheck.cases.strategies.SHAPES` if left out,
            and for one case in five, at the most, `crosscheck.cases.wide.WIDE_SHAPES`.
        output: See above. Cases that are given must have it, if it is stated.
        reduction: Likewise.
        profile: ``"quick"``, ``"default"`` or ``"nightly"``: how many cases, see `EXAMPLES`.
        seed: The same seed generates the same cases (see `crosscheck.cases.search.search`),
            failures of earlier runs aside, which are tried first.
        allow: Names of coarser arithmetics that may stand in for a dtype's own, such as ``"tf32"``:
            a gradient that is REDUCED by them is no failure. All of them are in
            `crosscheck.numbers.named.ARITHMETICS`.
        as_written: Whether the functions are run as they are written, and go backwards. Then what
            they return for one row is held to what else they return
            (`crosscheck.judge.relations.judge`). A compiler may compute a value anew where it is
            used, and forward mode has no cotangents: say False of such functions.
        emit: Takes each event as it comes.

    Raises:
        UsageError: The arguments, or what a function returned, cannot be used; or an
            implementation could not be compared on any case, or none of its arrays was checked.
            Its subclass `AbsentError`: a library is not installed.
        CrosscheckError: A library is installed and cannot be imported.
    """
    profile_of(profile)
    implementations = implement(
        {
            "reference": reference,
            "numpy": numpy,
            "torch": torch,
            "tensorflow": tensorflow,
            "jax": jax,
        }
    )
    for dtype in dtypes:
        format_of(dtype)
    fit = Fit(output, reduction, arrays=any(not each.takes_case for each in implementations))
    comparing = Comparing(implementations, known_names(allow, "allow"), emit, as_written)
    comparing.run(Wanted(cases, dtypes, shapes, seed, fit, EXAMPLES[profile]))
    return comparing.result()
