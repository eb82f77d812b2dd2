"""The cases that functions of the user's are compared on: given, searched for, and wide ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from hypothesis import strategies as st

from crosscheck.cases.drawing import SHAPES, Shape
from crosscheck.cases.strategies import boundary_cases, smooth_cases
from crosscheck.cases.wide import WIDE_SHAPES, visits, wide_case
from crosscheck.network.composed import AnyCase, Composed
from crosscheck.network.dense import Case, Network, Output, Reduction, worked_example
from crosscheck.run.events import Part
from crosscheck.tools.errors import UsageError

__all__ = ["Cases", "Fit", "Search", "Wanted", "singles"]

Cases = AnyCase | Iterable[AnyCase] | st.SearchStrategy[Any] | int
"""What a user may say of the cases."""

_WORKED = "worked example"


@dataclass(frozen=True)
class Fit:
    """Makes generated cases such that the functions can know what they are to compute.

    Attributes:
        output: That of all cases, if it is stated.
        reduction: Likewise.
        arrays: Whether a function takes arrays, which do not say either of these.
    """

    output: Output | None
    reduction: Reduction | None
    arrays: bool

    def __call__(self, case: Any) -> Any:
        """A generated case, made to fit."""
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


class Search(NamedTuple):
    """Cases to be drawn.

    Attributes:
        part: Where they belong.
        label: Their name.
        strategy: What they are drawn from.
        examples: How many.
    """

    part: Part
    label: str
    strategy: st.SearchStrategy[Any]
    examples: int


@dataclass(frozen=True, eq=False)
class Wanted:
    """The cases of one comparison.

    Attributes:
        cases: What the user said; `crosscheck.run.checking.compare_implementations` has the
            meaning of this and of the next three.
        dtypes: Of generated cases.
        shapes: Of generated cases.
        seed: Of generated cases.
        fit: Makes generated cases fit the functions.
        usual: How many are generated where the user does not say.
    """

    cases: Cases | None
    dtypes: Sequence[str]
    shapes: Sequence[Shape] | None
    seed: int
    fit: Fit
    usual: int

    def given(self) -> Iterator[tuple[str, AnyCase]]:
        """Pairs of a label and a single case that is not searched for.

        Raises:
            UsageError: There are none where some are wanted, or others than were stated.
        """
        if self.cases is None:
            example = worked_example()
            if self.shapes is None or example.network.widths in [each for each, _ in self.shapes]:
                yield _WORKED, self.fit(example)
        elif isinstance(self.cases, Case | Composed):
            for label, case in singles(self.cases, "case"):
                yield label, self.fit.require(case)
        elif not isinstance(self.cases, int | st.SearchStrategy):
            for number, case in enumerate(_listed(self.cases)):
                if not isinstance(case, Case | Composed):
                    raise UsageError(
                        f"cases[{number}]: {type(case).__name__}, wanted a crosscheck.Case"
                    )
                for label, single in singles(case, f"case {number}"):
                    yield label, self.fit.require(single)

    def generated(self) -> tuple[list[Search], list[tuple[str, Case]]]:
        """Searches; and pairs of a label and a single case of a wide network.

        Raises:
            UsageError: Less than one is wanted.
        """
        examples = self._examples()
        own = self.shapes is not None or isinstance(self.cases, st.SearchStrategy)
        # A fifth are wide, once round the shapes, or a fiftieth.
        share = min(examples // 5, max(len(WIDE_SHAPES), examples // 50))
        wide = [
            (f"wide {dtype}", self.fit(wide_case(shape, each, dtype)))
            for shape, dtype, _, each in visits(0 if own else share, self.dtypes, self.seed)
        ]
        return self._searches(examples - len(wide)), wide

    def _examples(self) -> int:
        """How many cases to generate, by a strategy of the user's or of the harness's own."""
        if self.cases is None or isinstance(self.cases, st.SearchStrategy):
            return self.usual
        if not isinstance(self.cases, int):
            return 0
        if isinstance(self.cases, bool) or self.cases < 1:
            raise UsageError(f"cases={self.cases!r}: wanted at least one")
        return self.cases

    def _searches(self, examples: int) -> list[Search]:
        if isinstance(self.cases, st.SearchStrategy):
            return [Search("smooth", "strategy", self.cases.map(self.fit), examples)]
        if self.cases is not None and not isinstance(self.cases, int):
            return []
        found: list[tuple[Part, str, st.SearchStrategy[Case]]] = []
        for dtype in self.dtypes:
            smooth, boundary = (
                make(dtype=dtype, shapes=self.shapes or SHAPES).map(self.fit)
                for make in (smooth_cases, boundary_cases)
            )
            found += [
                ("smooth", f"smooth {dtype}", smooth),
                ("boundary", f"boundary {dtype}", boundary),
            ]
        return [
            Search(*each, (examples + len(found) - 1 - number) // len(found))
            for number, each in enumerate(found)
        ]


def _listed(cases: Any) -> list[Any]:
    """Cases that the user gave several of."""
    if not isinstance(cases, Iterable):
        raise UsageError(
            f"cases={cases!r} (type={type(cases).__name__}): wanted a crosscheck.Case, a list "
            "of them, a Hypothesis strategy for them, or how many to generate"
        )
    listed = list(cases)
    if not listed:
        raise UsageError("cases: none given, wanted at least one")
    return listed


def singles(case: AnyCase, label: str) -> Iterator[tuple[str, AnyCase]]:
    """A case, or each of a stack, with its label."""
    if case.count is None:
        yield label, case
    else:
        yield from ((f"{label}[{index}]", case[index]) for index in range(case.count))
