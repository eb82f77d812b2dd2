"""Certificates: what a verdict rests on, which are asked for when, and what they say together.

    a-priori    bounds that run through the whole network; outputs are enough
    adjoint     the rounding of each step, times what it does to an entry; outputs are enough
    local       each step on the framework's own numbers; needs a mode that shows its steps
    relations   each returned array on those next to it; needs one row, and code that is run as it
                is written

The a-priori certificate decides what kind of verdict there is: it alone holds the gradient against
that of the network that was asked for. The others say more of the same gradient, and never less: a
gradient that is wrong is not made right by steps that are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from types import MappingProxyType

from crosscheck.judge.adjoint.judge import AdjointJudge, Comparison
from crosscheck.judge.decisions import GateClass, Place
from crosscheck.judge.enclosed import Derivation
from crosscheck.judge.local.check import Check, OfCase
from crosscheck.judge.local.decided import arrays_checked_of, readings_of
from crosscheck.judge.programs.unread import UNREAD
from crosscheck.judge.relations.judge import NOT_FINITE, related
from crosscheck.judge.verdict import Certified, Kind, Validity, Verdict
from crosscheck.network.composed import AnyCase, AnyGradients, Composed
from crosscheck.numbers.library import Library

__all__ = [
    "BY_STEPS",
    "CERTIFICATES",
    "FUNCTION",
    "NOT_AS_WRITTEN",
    "NOT_FINITE",
    "OF_STACK",
    "Certificate",
    "with_adjoint",
    "with_decisions",
    "with_local",
    "with_relations",
    "with_steps",
    "without_steps",
]

FUNCTION = "function"
"""What stands for a command where functions of the user's are compared."""
NOT_AS_WRITTEN = "function, not as written"
"""Likewise, where they are compiled or go forwards."""
BY_STEPS = "digits --model"
"""The command whose networks are so deep that decisions are read from steps alone."""


class Certificate(StrEnum):
    """What a verdict can rest on."""

    A_PRIORI = "a-priori"
    ADJOINT = "adjoint"
    LOCAL = "local"
    RELATIONS = "relations"


_A, _B, _C = Certificate.A_PRIORI, Certificate.ADJOINT, Certificate.LOCAL
_R = Certificate.RELATIONS

CERTIFICATES: Mapping[tuple[str, bool], tuple[Certificate, ...]] = MappingProxyType(
    {
        ("run", True): (_A, _C),
        ("run", False): (_A, _B),
        ("sweep", True): (_A,),
        ("sweep", False): (_A,),
        ("sweep --steps", True): (_A, _C),
        ("sweep --steps", False): (_A,),
        (BY_STEPS, True): (_A, _C),
        (BY_STEPS, False): (_A,),
        (FUNCTION, True): (_A, _C),
        (FUNCTION, False): (_A, _R),
        (NOT_AS_WRITTEN, True): (_A,),
        (NOT_AS_WRITTEN, False): (_A,),
    }
)
"""What is asked for: by command, and whether the mode shows its steps."""

OF_STACK = 4
"""Cases of a stack, its first ones, of which the adjoint certificate is asked."""

_EACH_BY_ITSELF = "each decision was read where it was made, and explained there by itself"

_EXPLAINED = (Kind.AGREES, Kind.KINK, Kind.UNDECIDED, Kind.SUBNORMAL)


def with_steps(verdict: Verdict, check: Check, index: int = 0) -> Verdict:
    """`with_local`, of case ``index`` of a check of the same gradient."""
    return with_local(verdict, check.of(index))


def with_local(verdict: Verdict, local: OfCase) -> Verdict:
    """A verdict by the a-priori certificate, and what the local one says of the same gradient.

    ==============  ==============================  ============================================
    a-priori        local                           together
    ==============  ==============================  ============================================
    fails           whatever it says                as it is; a step that is wrong is named
    REDUCED         a step fails, or needs another  INCONSISTENT
    explained       a step fails                    INCONSISTENT, the step named
    explained       needs a coarser arithmetic      REDUCED
    AGREES, KINK,   a step is explained only by     UNDECIDED, the step named
    SUBNORMAL,      bounds that would hold an
    UNDECIDED       error of 1 % as well
    AGREES, KINK,   needs flush-to-zero             SUBNORMAL
    UNDECIDED
    UNDECIDED       inside, with λ read at a kink,  KINK
                    and each number has a bound
    UNDECIDED       inside, and each number has a   AGREES: each gate was decided on a number
                    bound                           that is known
    else            inside, or nothing finite       as it is
    ==============  ==============================  ============================================

    Args:
        verdict: Of a case.
        local: What is said of the steps of the same gradient.
    """
    found = _certified(verdict, Certificate.LOCAL, local)
    if local.left_out:
        return found
    found = _together(found, local)
    if found.kind is Kind.UNDECIDED and not (local.untold or local.unbounded):
        return replace(found, kind=Kind.KINK if local.is_read else Kind.AGREES, detail="")
    return found


def with_decisions(verdict: Verdict, check: Check, case: Composed) -> Verdict:
    """A verdict to which the steps have been put, with the decisions that were read from them.

    Of a network whose own bounds are too wide to read decisions from, or to tell an array from
    zero (`crosscheck.judge.programs.unread`). Which arrays are checked, and which entry is nearest
    to its bound, is then what the steps' bounds say.

    Args:
        verdict: By the a-priori and the local certificate.
        check: Of the steps.
        case: A single case.
    """
    if check.left_out.any() or verdict.kind is Kind.DISAGREES:
        return verdict
    gates = readings_of(check, case)
    checked, unchecked = arrays_checked_of(check, case)
    found = replace(
        verdict, worst=check.worst_entry(), gates=gates, checked=checked, unchecked=unchecked
    )
    if found.kind is not Kind.UNDECIDED:
        found = replace(found, detail=found.detail.removeprefix(UNREAD).removeprefix("; "))
    if found.kind is not Kind.KINK:
        return found
    return replace(
        found,
        validity=tuple(
            Validity(block, "not decided", _EACH_BY_ITSELF) for block in ("parameters", "inputs")
        ),
    )


def with_relations(verdict: Verdict, case: AnyCase, answer: AnyGradients) -> Verdict:
    """A verdict by the a-priori certificate, and what the returned arrays say of each other.

    As in `with_local`, with relations in the place of steps, but that nothing is decided by them:
    what is UNDECIDED stays so.

    Args:
        verdict: The verdict.
        case: A single case.
        answer: The gradient.
    """
    if verdict.kind not in (*_EXPLAINED, Kind.REDUCED, Kind.DISAGREES):
        note = f"not asked of what is {verdict.kind}"
        return _without(verdict, Certificate.RELATIONS, note)
    relations = related(case, answer)
    if isinstance(relations, str):
        return _without(verdict, Certificate.RELATIONS, relations)
    return _together(_certified(verdict, Certificate.RELATIONS, relations), relations)


def _certified(verdict: Verdict, certificate: Certificate, local: OfCase) -> Verdict:
    """The verdict, with what was said of the case noted."""
    wrong = local.wrong
    said = Certified(
        str(certificate),
        records=local.records,
        compared=local.compared,
        unbounded=local.unbounded,
        worst=local.worst,
        step=wrong.step if wrong else "",
        wrong=str(wrong) if wrong else "",
        note=NOT_FINITE if local.left_out else "",
        untold=local.untold,
    )
    return replace(verdict, certificates=(*verdict.certificates, said))


def _together(verdict: Verdict, local: OfCase) -> Verdict:
    """What a verdict is with what was said of its steps, but for decisions read from them."""
    wrong, names = local.wrong, local.names
    if verdict.kind is Kind.REDUCED:
        both = tuple(name for name in verdict.arithmetics if name in names)
        if wrong is None and (both or not names):
            return replace(verdict, arithmetics=both or verdict.arithmetics)
        detail = str(wrong) if wrong else f"its steps are those of {', '.join(names)}"
        return replace(
            verdict, kind=Kind.INCONSISTENT, detail=detail, arithmetics=(), precision=None
        )
    if verdict.kind not in _EXPLAINED:
        if wrong is not None:
            return replace(verdict, detail=_joined(verdict.detail, str(wrong)))
        return verdict
    if wrong is not None:
        return replace(verdict, kind=Kind.INCONSISTENT, detail=str(wrong))
    untold = f"{local.untold} may be right, or wrong by 1 %" if local.untold else ""
    if names:
        return replace(
            verdict, kind=Kind.REDUCED, arithmetics=names, detail=_joined(verdict.detail, untold)
        )
    if untold:
        return replace(verdict, kind=Kind.UNDECIDED, detail=untold)
    if verdict.kind is not Kind.SUBNORMAL and not local.is_gradual:
        return replace(verdict, kind=Kind.SUBNORMAL)
    return verdict


def with_adjoint(
    verdict: Verdict,
    case: AnyCase,
    answer: AnyGradients,
    mode: Derivation,
    library: Library | None = None,
) -> Verdict:
    """A verdict by the a-priori certificate, and what the adjoint one says of sampled entries.

    Where that holds an entry for wrong the gradient DISAGREES, unless flush-to-zero explains it:
    then it is SUBNORMAL. Values are taken to be computed anew for each of their uses, since modes
    that show no steps are compiled.

    Args:
        verdict: The verdict.
        case: A single case.
        answer: The gradient.
        mode: How it was computed.
        library: Whose elementary functions were called, if any were.
    """
    name = str(Certificate.ADJOINT)
    if verdict.kind not in _EXPLAINED:
        note = f"not asked of what is {verdict.kind}"
        return _without(verdict, Certificate.ADJOINT, note)
    flush = verdict.kind is Kind.SUBNORMAL
    found = _compared(verdict, case, answer, mode, flush, library)
    if found.failing and not flush:
        again = _compared(verdict, case, answer, mode, True, library)
        if not again.failing:
            verdict, found = replace(verdict, kind=Kind.SUBNORMAL), again
    wrong = ""
    if found.failing:
        first = max(found.failing, key=lambda each: each.bounds)
        wrong = (
            f"{first.name} is {first.given!r}, wanted {first.reference!r} within {first.bound:.3g}"
        )
        detail = f"by the adjoint certificate {wrong}"
        verdict = replace(verdict, kind=Kind.DISAGREES, worst=first, detail=detail)
    said = Certified(
        name,
        compared=found.sampled,
        unbounded=found.unbounded,
        worst=found.worst.bounds if found.worst else 0.0,
        wrong=wrong,
    )
    return replace(verdict, certificates=(*verdict.certificates, said))


def _compared(
    verdict: Verdict,
    case: AnyCase,
    answer: AnyGradients,
    mode: Derivation,
    flush: bool,
    library: Library | None,
) -> Comparison:
    judge = AdjointJudge(case, flush=flush, library=library)
    return judge.check(answer, derivation=mode, per_use=True, slopes=_sides(verdict, judge.case))


def _sides(verdict: Verdict, case: Composed) -> Mapping[Place, float]:
    """λ at the decisions that are only near their breakpoints: on one side of them, or the other.

    At a kink λ may be any number, and is known to within the a-priori bounds only: it is left free.

    Args:
        verdict: Of the case, or of the dense one that it was.
        case: The network, of operators.
    """
    found = {}
    for each in verdict.gates:
        if each.gate is GateClass.UNDECIDED and each.slope in (0.0, 1.0):
            place = each.place
            if not each.step:  # of a dense network
                place = Place(case.results[f"z{place.node}"], place.index)
            found[place] = each.slope
    return found


def without_steps(verdict: Verdict, note: str) -> Verdict:
    """A verdict without a local certificate, and why there is none."""
    return _without(verdict, Certificate.LOCAL, note)


def _without(verdict: Verdict, certificate: Certificate, note: str) -> Verdict:
    said = Certified(str(certificate), note=note)
    return replace(verdict, certificates=(*verdict.certificates, said))


def _joined(*sentences: str) -> str:
    return "; ".join(each for each in sentences if each)
