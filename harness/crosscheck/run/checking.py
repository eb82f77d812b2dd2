"""Cross-checking functions of one's own: a gradient written by hand, one network in many libraries.

What can be proved is what the harness has bounds for: dense networks with ReLU and the loss
½ Σ (a_L − y)², differentiated at a `Case`. Every function is compared with the harness's own
reference, none with another function: where they agree with each other, all may be wrong. Networks
of operators are checked at a `Composed`. For any other function there is no bound here, and so
neither a verdict nor a tolerance.
"""

from __future__ import annotations

import unittest
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict, Unpack

import hypothesis
from hypothesis import strategies as st

from crosscheck.cases.drawing import SHAPES, Shape
from crosscheck.cases.profiles import profile as profile_of
from crosscheck.cases.profiles import settings
from crosscheck.cases.search import search
from crosscheck.cases.shrink import shrink
from crosscheck.cases.strategies import boundary_cases, smooth_cases
from crosscheck.cases.wide import WIDE_SHAPES, visits, wide_case
from crosscheck.frameworks.gatekeeper import ask
from crosscheck.judge.verdict import Kind, Verdict
from crosscheck.network.composed import AnyCase, Composed
from crosscheck.network.dense import Case, Network, Output, Reduction, worked_example
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.named import known_names
from crosscheck.run.checker import Checker, Disagreement
from crosscheck.run.comparison import Comparison, Failure, raise_failure
from crosscheck.run.events import CaseChecked, Event, Part
from crosscheck.run.failing import SameFailure, failures
from crosscheck.run.implementations import AbsentError, Implementation, implement
from crosscheck.tools.errors import UsageError

__all__ = [
    "EXAMPLES",
    "Arguments",
    "compare_implementations",
    "require_agreement",
]

EXAMPLES: Mapping[str, int] = {"quick": 20, "default": 100, "nightly": 2_000}
"""Profile to how many cases are generated for one call, over all dtypes together."""

_UNCOMPARED = (Kind.UNSUPPORTED,)
_WORKED = "worked example"

Function = Callable[..., Any]
Cases = AnyCase | Iterable[AnyCase] | st.SearchStrategy[Any] | int


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


def require_agreement(
    *, absent: Literal["fail", "skip"] = "fail", **arguments: Unpack[Arguments]
) -> Comparison:
    """`compare_implementations`, with a failure raised.

    Args:
        absent: What becomes of a test whose library is not installed.
        **arguments: Those of `compare_implementations`.

    Raises:
        DisagreementError: An implementation returned a wrong gradient, or raised; then its own
            exception is the cause.
        UsageError: See `compare_implementations`.
        unittest.SkipTest: A library is not installed, and ``absent="skip"``.
    """
    __tracebackhide__ = True
    if absent not in ("fail", "skip"):
        raise UsageError(f"absent={absent!r}: wanted 'fail' or 'skip'")
    try:
        comparison = compare_implementations(**arguments)
    except AbsentError as error:
        if absent == "skip":
            raise unittest.SkipTest(str(error).split(";")[0]) from None
        raise
    raise_failure(comparison)
    return comparison


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
        seed: The same seed generates the same cases, failures of earlier runs aside, which are
            tried first.
        allow: Names of coarser arithmetics that may stand in for a dtype's own, such as ``"tf32"``:
            a gradient that is REDUCED by them is no failure. All of them are in
            `crosscheck.numbers.named.ARITHMETICS`.
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
    fit = _Fit(output, reduction, arrays=any(not each.takes_case for each in implementations))
    comparing = _Comparing(implementations, known_names(allow, "allow"), emit)
    for given in _given(cases, fit, None if shapes is None else [widths for widths, _ in shapes]):
        if comparing.check_single("given", *given):
            return comparing.result()
    examples = _examples(cases, EXAMPLES[profile])
    own = shapes is not None or isinstance(cases, st.SearchStrategy)
    wide = [] if own else _wide(fit, dtypes, seed, _share_of_wide(examples))
    for number, (part, label, strategy, count) in enumerate(
        _generated(cases, fit, dtypes, shapes or SHAPES, examples - len(wide))
    ):
        if count and comparing.search(part, label, strategy, seed + number, count, seed):
            return comparing.result()
    for label, case in wide:
        if comparing.check_single("smooth", label, case, f"found ({label}, seed {seed})"):
            return comparing.result()
    if comparing.finish():
        return comparing.result()
    comparing.require_compared()
    comparing.require_checked()
    return comparing.result()


@dataclass(frozen=True)
class _Fit:
    """Makes generated cases such that the functions can know what they are to compute."""

    output: Output | None
    reduction: Reduction | None
    arrays: bool

    def __call__(self, case: Any) -> Any:
        if isinstance(case, Composed):  # its functions are given names
            return case
        # A bias of zero adds nothing to a sum: the pre-activations stay what they were built to be.
        network, biases = case.network, case.biases
        output, reduction = self.output or network.output, self.reduction or network.reduction
        if self.arrays:
            output, reduction = self.output or "relu", self.reduction or "sum"
            biases = tuple(
                weight[..., 0] * 0.0 if bias is None else bias
                for weight, bias in zip(case.weights, case.biases, strict=True)
            )
        network = Network(network.widths, output, reduction)
        return Case(network, case.weights, biases, case.x, case.y, case.dtype)

    def require(self, case: AnyCase) -> AnyCase:
        """``case``, if it is as stated."""
        if isinstance(case, Composed):
            return case
        for field_, wanted in (("output", self.output), ("reduction", self.reduction)):
            found = getattr(case.network, field_)
            if wanted is not None and found != wanted:
                raise UsageError(
                    f"{field_}={wanted!r}, and a case is given whose {field_} is {found!r}; "
                    f"leave {field_} out, or change the case"
                )
        return case


def _given(
    cases: Cases | None, fit: _Fit, widths: Sequence[tuple[int, ...]] | None
) -> Iterator[tuple[str, AnyCase]]:
    """Pairs of a label and a single case that is not searched for."""
    if cases is None:
        example = worked_example()
        if widths is None or example.network.widths in widths:
            yield _WORKED, fit(example)
    elif isinstance(cases, Case | Composed):
        yield from ((label, fit.require(case)) for label, case in _singles(cases, "case"))
    elif not isinstance(cases, int | st.SearchStrategy):
        if not isinstance(cases, Iterable):
            raise UsageError(
                f"cases={cases!r} (type={type(cases).__name__}): wanted a crosscheck.Case, a list "
                "of them, a Hypothesis strategy for them, or how many to generate"
            )
        listed = list(cases)
        if not listed:
            raise UsageError("cases: none given, wanted at least one")
        for number, case in enumerate(listed):
            if not isinstance(case, Case | Composed):
                raise UsageError(
                    f"cases[{number}]: {type(case).__name__}, wanted a crosscheck.Case"
                )
            yield from (
                (label, fit.require(single)) for label, single in _singles(case, f"case {number}")
            )


def _singles(case: AnyCase, label: str) -> Iterator[tuple[str, AnyCase]]:
    if case.count is None:
        yield label, case
    else:
        yield from ((f"{label}[{index}]", case[index]) for index in range(case.count))


def _examples(cases: Cases | None, usual: int) -> int:
    """How many cases are to be generated, by a strategy of the user's or of the harness's own."""
    if cases is None or isinstance(cases, st.SearchStrategy):
        return usual
    if not isinstance(cases, int):
        return 0
    if isinstance(cases, bool) or cases < 1:
        raise UsageError(f"cases={cases!r}: wanted at least one")
    return cases


def _share_of_wide(examples: int) -> int:
    """How many of the generated cases are wide: a fifth, once round the shapes, or a fiftieth."""
    return min(examples // 5, max(len(WIDE_SHAPES), examples // 50))


def _wide(fit: _Fit, dtypes: Sequence[str], seed: int, count: int) -> list[tuple[str, Case]]:
    """Pairs of a label and a single case of one of `crosscheck.cases.wide.WIDE_SHAPES`."""
    return [
        (f"wide {dtype}", fit(wide_case(shape, each, dtype)))
        for shape, dtype, _, each in visits(count, dtypes, seed)
    ]


def _generated(
    cases: Cases | None,
    fit: _Fit,
    dtypes: Sequence[str],
    shapes: Sequence[Shape],
    examples: int,
) -> Iterator[tuple[Part, str, st.SearchStrategy[Any], int]]:
    """Searches: where the cases belong, a label, the strategy and how many."""
    if isinstance(cases, st.SearchStrategy):
        yield "smooth", "strategy", cases.map(fit), examples
        return
    if cases is not None and not isinstance(cases, int):
        return
    searches: list[tuple[Part, str, st.SearchStrategy[Case]]] = []
    for dtype in dtypes:
        smooth, boundary = (
            make(dtype=dtype, shapes=shapes).map(fit) for make in (smooth_cases, boundary_cases)
        )
        searches += [
            ("smooth", f"smooth {dtype}", smooth),
            ("boundary", f"boundary {dtype}", boundary),
        ]
    for number, (part, label, strategy) in enumerate(searches):
        share = (examples + len(searches) - 1 - number) // len(searches)
        yield part, label, strategy, share


@dataclass(eq=False)
class _Comparing:
    """One comparison under way."""

    implementations: Sequence[Implementation]
    allow: tuple[str, ...]
    emit: Callable[[Event], None] | None = None
    events: list[Event] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    failure: Failure | None = None

    def __post_init__(self) -> None:
        self._checker = Checker(self.implementations, self._take, allow=self.allow)
        self._same: SameFailure | None = None
        self._first: tuple[AnyCase, Sequence[Verdict]] | None = None

    def _take(self, event: Event) -> None:
        self.events.append(event)
        if self.emit is not None:
            self.emit(event)

    def result(self) -> Comparison:
        """What has been found so far."""
        states = tuple(each.state for each in self.implementations)
        return Comparison(states, tuple(self.events), frozenset(self.keys), self.failure)

    def check_single(self, part: Part, label: str, case: AnyCase, found: str = "") -> bool:
        """Check a single case; whether it fails. Then the smallest form is looked for.

        Args:
            part: Where it comes from.
            label: Its name.
            case: The case.
            found: For a generated case, what is to be said of it.
        """
        if not self._check(case, part, label):
            return False
        smallest = case
        # Inside somebody else's search, that one shrinks; what comes and goes, nobody does.
        if not (hypothesis.currently_in_test_context() or self._checker.nondeterministic):
            smallest = shrink(case, self._still_fails, attempts=200)
        note = label if smallest is case else f"smallest failing form of {label}"
        self._fail(smallest, part, label, f"smallest failing case {found}" if found else note)
        return True

    def search(
        self,
        part: Part,
        label: str,
        strategy: st.SearchStrategy[Any],
        seed: int,
        count: int,
        stated_seed: int,
    ) -> bool:
        """Check generated cases; whether one fails. Then its smallest form is looked for."""

        def check(drawn: AnyCase, new: bool) -> None:
            for _, case in _singles(drawn, label):
                failing = self._check(case, part, label) if new else self._still_fails(case)
                if failing:
                    raise Disagreement(label)

        finding = search(
            strategy,
            check,
            name="_".join([label, *(each.name for each in self.implementations)]).replace(" ", "_"),
            settings=settings(),
            seed=seed,
            examples=count,
            failure=Disagreement,
        )
        if finding is None:
            return False
        if finding.flaky:
            if not self._checker.nondeterministic and self._first is not None:
                self._checker.tell_flaky(*self._first, part, label)
            self._fail(finding.smallest, part, label, "")
            return True
        (smallest, *_) = [
            case for _, case in _singles(finding.smallest, label) if self._still_fails(case)
        ] or [case for _, case in _singles(finding.smallest, label)]
        # Hypothesis keeps to what the strategy can draw; rows and units may still go.
        smallest = shrink(smallest, self._still_fails, attempts=200)
        self._fail(
            smallest, part, label, f"smallest failing case found ({label}, seed {stated_seed})"
        )
        return True

    def finish(self) -> bool:
        """Ask again what still waits for it; whether an answer depends on when it was asked for."""
        self._checker.finish()
        if self.failure is None and self._checker.nondeterministic:
            self._fail_at_times()
        return self.failure is not None

    def require_checked(self) -> None:
        """Raise a `UsageError` if nothing that an implementation returned was ever checked."""
        lines = list(self.result().coverage.lines())
        for each in self.implementations:
            own = [line for line in lines if line.framework == each.name]
            if own and all(line.unchecked == line.compared for line in own):
                dtypes = ", ".join(dict.fromkeys(line.dtype for line in own))
                raise UsageError(
                    f"{each.name}: none of the arrays it returned was checked, since the bounds "
                    f"of {dtypes} in these cases cannot tell them from zero; use a dtype with "
                    "more digits, or smaller networks"
                )

    def require_compared(self) -> None:
        """Raise a `UsageError` if an implementation was not compared on any case."""
        for name, kinds in self.result().kinds.items():
            if not any(kind not in _UNCOMPARED for kind in kinds):
                told = ", ".join(f"{kind} {count}" for kind, count in kinds.items()) or "no cases"
                reasons = {
                    verdict.detail
                    for event in self.events
                    if isinstance(event, CaseChecked)
                    for verdict in event.verdicts
                    if verdict.framework == name and verdict.detail
                }
                because = f": {min(reasons)}" if reasons else ""
                raise UsageError(f"{name} was not compared on any case ({told}){because}")

    def _check(self, case: AnyCase, part: Part, label: str) -> bool:
        if not self.keys:
            self._introduce(case)
        self.keys.add(case.key)
        verdicts = self._checker.check_case(case, part, label)
        self._raise_misuse()
        failing = failures(verdicts, self._checker.is_failing)
        if failing and self._same is None:
            checker = self._checker
            self._same = SameFailure(case, failing, checker.ask, checker.is_failing)
            self._first = case, verdicts
        return bool(failing)

    def _still_fails(self, case: AnyCase) -> bool:
        """Whether one of the implementations that failed first fails in the same way."""
        return self._same is not None and self._same(case)

    def _fail_at_times(self) -> None:
        event = next(iter(self._checker.nondeterministic.values()))
        self.failure = Failure(
            event, f"a case that fails at times and passes at others ({event.label})"
        )

    def _fail(self, smallest: AnyCase, part: Part, label: str, note: str) -> None:
        if self._checker.nondeterministic:
            self._fail_at_times()
            return
        self._checker.check_shrunk(smallest, part, label)
        event = self.events[-1]
        assert isinstance(event, CaseChecked)
        crashed = [each for each in self.implementations if each.error is not None]
        error = crashed[0].error if crashed else None
        self.failure = Failure(event, note, error, crashed[0].traceback if crashed else None)

    def _introduce(self, case: AnyCase) -> None:
        """Let each function show what it returns, so that its verdicts say how it was used."""
        for each in self.implementations:
            ask(each, case)  # what is refused will come again, and be a verdict
        self._raise_misuse()

    def _raise_misuse(self) -> None:
        for each in self.implementations:
            if isinstance(each.error, UsageError):
                raise each.error.with_traceback(None)
