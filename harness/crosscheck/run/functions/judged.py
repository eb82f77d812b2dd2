"""The verdict on what a function returned for a case of its formula.

Beside the verdicts on networks of operators there are two:

**What was decided by numbers.** A formula may choose by comparing computed numbers, and is then a
program only on its side of the comparison (`crosscheck.frontends.traced.Comparison`). Where
rounding may tip one, or the two are equal, the case says nothing: UNSUPPORTED, with the comparison.

**Other ways of writing it.** The bound b of an entry is that of the formula as it is written, in
any order of its sums, and of the other ways that are known of what it is made of. Somebody may have
written the same function in a way that is not known here, and rounds somewhat more. So what leaves
b and stays within `FURTHER` b, a number of bits that are lost beside the formula, is UNDECIDED: it
may be another way of writing it, or a small mistake. Nothing is excused where b is 0, and a
mistake in a formula is a share of the result, not of its rounding errors. An array whose further
bounds would hold zero is not excused by them, and nothing is where a contract says what is
rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from crosscheck.frameworks.refusals import Refused
from crosscheck.frontends.case import FunctionCase
from crosscheck.frontends.traced import Source
from crosscheck.judge.enclosed import leaves_bound
from crosscheck.judge.entries import worst_entries, worst_of
from crosscheck.judge.programs.contract import ContractJudge, Precision
from crosscheck.judge.programs.enclosed import EnclosedProgram
from crosscheck.judge.programs.judge import ProgramJudge
from crosscheck.judge.verdict import Entry, Kind, Verdict
from crosscheck.network.composed import Derivatives
from crosscheck.network.tree import LeftOut
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.library import Library
from crosscheck.numbers.model import Model
from crosscheck.program.enclosures import OnEnclosures
from crosscheck.program.evaluate import values_of
from crosscheck.program.graph import Program

__all__ = ["FURTHER", "FunctionJudge"]

FURTHER = 8.0
"""Up to how many times its bound an entry may be off and still be only UNDECIDED: three bits."""


class FunctionJudge:
    """Compares what functions return for one case with their formula.

    Args:
        case: The case, with what is known of other ways of writing the formula.
        contract: What is rounded, if not every operation to the case's dtype.
    """

    def __init__(self, case: FunctionCase, contract: Precision | None = None) -> None:
        self.case, self.contract = case, contract
        self.judge = ProgramJudge(case) if contract is None else ContractJudge(case, contract)

    @cached_property
    def undecided(self) -> Source | str | None:
        """The first comparison that may come out otherwise; ``None`` if none does."""
        program = self.case.program
        comparisons = self.case.traced_function.comparisons
        if not comparisons:
            return None
        nodes = {str(each.node): each.node for each in comparisons}
        model = Model(format_of(self.case.dtype))
        arrays = {name: Enclosure.of(model, each) for name, each in self.case.entries()}
        with np.errstate(all="ignore"):
            asked = Program(program.nodes, program.inputs, nodes)
            values = values_of(asked, OnEnclosures(model), arrays)
            for each in comparisons:
                value = values[each.node]
                bound = Enclosure(model, value.c, value.r, value.e)
                if not (np.abs(bound.high) > bound.bound).all():
                    return each.source or "a comparison"
        return None

    def verdict(
        self,
        given: Derivatives | Refused,
        name: str,
        mode: str,
        library: Library | None = None,
        *,
        is_suspect: bool = False,
    ) -> Verdict:
        """What is to be said of what a function returned.

        Args:
            given: That, or why there is nothing.
            name: Of the function.
            mode: How it is differentiated.
            library: Whose elementary functions it calls.
            is_suspect: Whether it is likely to be wrong; see `ProgramJudge.verdict`.
        """
        if isinstance(given, Refused):
            return Verdict(name, "", mode, given.kind, detail=given.reason)
        if self.undecided is not None:
            where = self.undecided
            text = where if isinstance(where, str) else f"{where.text} (line {where.line})"
            detail = f"{text} may come out otherwise by rounding: nothing is said of this case"
            return Verdict(name, "", mode, Kind.UNSUPPORTED, detail=detail)
        found = self.judge.verdict(
            given, framework=name, mode=mode, library=library, is_suspect=is_suspect
        )
        if found.kind is Kind.DISAGREES and found.worst is not None and self.contract is None:
            return self._unless_near(found, given)
        return found

    def _unless_near(self, found: Verdict, given: Derivatives) -> Verdict:
        enclosed = self._enclosed
        if enclosed.decisions:
            return found
        bounds = enclosed.gradients()
        for name, value in given.arrays.items():
            if isinstance(value, LeftOut):
                continue
            bound = bounds.arrays[name]
            with np.errstate(all="ignore"):
                room = bound.bound * FURTHER
                off = bound.distance(np.asarray(value, dtype=np.float64))
                if (np.isfinite(bound.bound) & ~(off <= room)).any():
                    return found
                leaves = np.isfinite(bound.bound) & ~(off <= bound.bound)
                if (leaves & ~(np.abs(bound.high) > room)).any():
                    return found
        worst = worst_of(bounds, given, self.judge.format)
        detail = (
            f"off by {worst.bounds:.2g} times the bound of the formula as it is written: another "
            "way of writing it that rounds more, or a small mistake"
        )
        return replace(found, kind=Kind.UNDECIDED, detail=detail)

    # -- what is wrong -------------------------------------------------------------------------

    @property
    def _enclosed(self) -> EnclosedProgram:
        return self.judge.enclosed(Model(self.judge.format, flush=True))

    def outside(self, given: Derivatives) -> tuple[str, ...]:
        """Names of the arrays that leave their bounds, or have another shape."""
        enclosed = self._enclosed
        bounds = enclosed.any_gradients if enclosed.decisions else enclosed.gradients()
        return tuple(
            name
            for name, value in given.arrays.items()
            if not isinstance(value, LeftOut)
            and (
                np.shape(value) != bounds.arrays[name].shape
                or leaves_bound(bounds.arrays[name], value).any()
            )
        )

    def best_entry(self, given: Derivatives, verdict: Verdict) -> Entry | None:
        """The entry that shows it best: one that must be exactly something, and not zero."""
        if verdict.worst is None or self._enclosed.decisions:
            return verdict.worst
        found = worst_entries(self._enclosed.gradients(), given, self.judge.format)
        wrong = [each for each in found if each.bounds > 1.0]
        if not wrong:
            return verdict.worst
        return max(wrong, key=lambda each: (each.bound == 0, each.reference != 0, each.bounds))

    def are_alike(self, given: Sequence[Derivatives | Refused]) -> bool:
        """Whether what was returned agrees with each other, within what bounds leave to each."""
        bounds = self._enclosed.gradients()
        first, *rest = given
        if isinstance(first, Refused):
            return False
        for other in rest:
            if isinstance(other, Refused):
                return False
            for name, one in first.arrays.items():
                two = other.arrays[name]
                if isinstance(one, LeftOut) or isinstance(two, LeftOut):
                    continue
                if np.shape(one) != np.shape(two):
                    return False
                with np.errstate(all="ignore"):
                    room = 2.0 * bounds.arrays[name].bound
                    if not (np.abs(one - two) <= room).all():
                        return False
        return True
