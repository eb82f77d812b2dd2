"""Failures of functions as a person reads them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from crosscheck.frontends.traced import Source
from crosscheck.judge.causes.differences import Difference
from crosscheck.judge.causes.formulas import OtherFormula
from crosscheck.judge.causes.search import Cause
from crosscheck.judge.causes.sums import CoarseSum
from crosscheck.judge.verdict import Entry, Kind

if TYPE_CHECKING:
    from crosscheck.run.functions.comparison import AnyCause, FunctionComparison, FunctionFailure

__all__ = ["cause_text", "comparison_text"]

_LONGEST = 4_000
_WORDS = {"2": "twice", "1/2": "half of", "-1": "minus", "0": "0, where it must be"}


def comparison_text(comparison: FunctionComparison) -> str:
    """What came of a comparison; one line if nothing failed."""
    if comparison.passed:
        return f"every gradient of {comparison.name} is explained, {_counted(comparison)}"
    parts = ["\n".join(_lines(failure)) for failure in comparison.failures]
    if comparison.agree_with_each_other:
        names = comparison.agree_with_each_other
        told = f"{', '.join(names[:-1])} and {names[-1]}"
        parts.append(
            f"{told} agree with each other in all failing cases, and not with the formula: look "
            "at the formula first"
        )
    if comparison.notes:
        parts.append("\n".join(f"note: {each}" for each in comparison.notes))
    return "\n\n".join(parts)


def _counted(comparison: FunctionComparison) -> str:
    count = len(comparison.judged)
    return f"on {count} case{'' if count == 1 else 's'}"


def _lines(failure: FunctionFailure) -> Iterator[str]:
    failed, count = failure.cases
    kind = failure.verdict.kind
    if failure.error is not None or kind in (Kind.CRASHED, Kind.TIMED_OUT):
        yield f"{failure.name} raised {failure.verdict.detail}, in {failed} of {count} cases"
    else:
        yield f"{failure.name}: {_what(failure)}, in {failed} of {count} cases"
        if failure.cause is not None:
            first, *rest = cause_text(failure.cause).splitlines()
            yield f"  cause   {first}"
            yield from (f"          {line}" for line in rest)
        elif failure.verdict.detail:
            yield f"  detail  {failure.verdict.detail}"
        if failure.entry is not None:
            yield f"  entry   {_entry(failure.entry, failure)}"
        yield from _arrays(failure)
    text = str(failure.record)
    if len(text) > _LONGEST:
        text = f"{failure.case.description}, {len(text):,} characters"
    yield f"  case    {text}"
    yield f"  key     {failure.record.key}"


def _what(failure: FunctionFailure) -> str:
    outputs = set(failure.case.traced_function.outputs)
    wrong = set(failure.wrong)
    if isinstance(failure.cause, CoarseSum):
        return "REDUCED"
    if failure.verdict.kind is Kind.REDUCED:
        return f"REDUCED ({failure.verdict.reduction})"
    if wrong and wrong <= outputs:
        return "the values are wrong"
    if wrong & outputs:
        return "the values and the gradient are wrong"
    return "the gradient is wrong"


def _arrays(failure: FunctionFailure) -> Iterator[str]:
    parts = []
    for word, names in (
        ("wrong", failure.wrong),
        ("right", failure.right),
        ("not given", failure.not_given),
    ):
        if names and (word != "wrong" or failure.right or failure.not_given):
            parts.append(f"{word}  {', '.join(_name(name, failure) for name in names)}")
    if parts:
        yield f"  {'      '.join(parts)}"


def _name(name: str, failure: FunctionFailure) -> str:
    outputs = failure.case.traced_function.outputs
    if name not in outputs:
        return f"∂{name}"
    return "the values" if len(outputs) == 1 else name


def _entry(entry: Entry, failure: FunctionFailure) -> str:
    name, *rest = entry.name.split("[")
    index = "".join(rest)
    where = f"{_name(name, failure) if index or name in failure.wrong else entry.name}"
    where += f"[{', '.join(index.rstrip(']').split(','))}]" if index else ""
    if entry.bound == 0:
        return f"{where}: given {_short(entry.given)}, must be exactly {_short(entry.reference)}"
    digits = _digits(entry)
    return (
        f"{where}: given {entry.given:.{digits}g}, must be {entry.reference:.{digits}g} "
        f"± {entry.bound:.2g}"
    )


def _short(number: float) -> str:
    """As few digits as tell it."""
    return f"{number:.15g}" if float(f"{number:.15g}") == number else repr(number)


def _digits(entry: Entry) -> int:
    """How many are told by the bound, and two more; not more than float64 has."""
    if not entry.reference or not np.isfinite(entry.bound):
        return 6
    return int(np.clip(np.ceil(np.log10(abs(entry.reference) / entry.bound)) + 1, 2, 15))


def cause_text(cause: AnyCause) -> str:
    """A cause in words, with the user's line, and what to do about it."""
    if isinstance(cause, Difference):
        names = ", ".join(f"∂{name}" for name in cause.names)
        return (
            f"{names}: a {cause.quotient} difference with step {cause.step}, off by its truncation"
            "\nno derivative: a smaller step is nearer to it and rounds more"
        )
    if isinstance(cause, CoarseSum):
        return _of_sum(cause)
    if isinstance(cause, OtherFormula):
        return _of_formula(cause)
    edit = cause.edit
    lines = [_sentence(cause)]
    if edit.source is not None:
        lines.append(f"  {_place(edit.source)}   {edit.source.text}")
    if repair := _repair(cause):
        lines.append(repair)
    return "\n".join(lines)


def _of_formula(cause: OtherFormula) -> str:
    here = cause.source.text
    if cause.constant is not None:
        own, taken = (f"{float(each):.6g}" for each in cause.constant)
        told = f"another function: the constant {taken} in place of {own} in {here}"
    elif cause.op in ("piecewise", "elementary"):
        told = f"another function: without {here}, what it is applied to was taken"
    else:
        part = "a part of it" if cause.kept in (None, cause.source) else cause.kept.text
        told = f"another function: of {here} only {part} was taken"
    return f"{told}\n  {_place(cause.source)}   {here}"


def _of_sum(cause: CoarseSum) -> str:
    names = ", ".join(f"∂{name}" for name in cause.names)
    given, right = cause.stopped
    lines = [
        f"{names} was summed in {cause.format}: {cause.terms} terms that make {right:g} come to "
        f"{given:g}, where one more changes nothing or too little"
    ]
    if cause.source is not None:
        lines.append(f"  {_place(cause.source)}   {cause.source.text}   ({cause.terms} terms)")
    lines.append(
        f"add up in a finer format and round once; or state what it does: sums {cause.format}"
    )
    return "\n".join(lines)


def _place(source: Source) -> str:
    return f"{source.file.replace(chr(92), '/').rsplit('/', 1)[-1]}:{source.line}"


def _expression(source: Source | None, otherwise: str) -> str:
    return source.text if source is not None and source.text else otherwise


def _named(place: Source | str) -> str:
    return place if isinstance(place, str) else place.text


def _sentence(cause: Cause) -> str:
    edit, factor = cause.edit, cause.factor
    symbol = "" if factor is None else factor.symbol
    names = ", ".join(f"∂{name}" for name in cause.wrong)
    here = _expression(edit.source, edit.op)
    operand = _expression(edit.operand, "its operand")
    if edit.kind == "array":
        if symbol == "0":
            return f"{names}: 0 everywhere, in every case"
        return f"{names}: {_times(symbol)} what {_it(cause.wrong)} must be, in every case"
    if edit.kind == "factor":
        if edit.op == "piecewise":
            return f"the mask of {here} is missing: its derivative was taken as 1 everywhere"
        if edit.op == "elementary":
            return f"the derivative of {here} is missing: it was taken as 1"
        return f"a factor of {here} is missing where the gradient goes down to {operand}"
    if edit.kind == "missing":
        lost = here if edit.operand in (None, edit.source) else f"1 / ({operand})"
        return f"{names}: the factor {lost} of the whole derivative is missing"
    if edit.kind == "transposed":
        return f"a matrix is transposed in the backward of {here}"
    if edit.kind == "exchanged":
        taken, other = _named(edit.taken), _named(edit.other)
        return f"{names}: formed with {other} in place of {taken}, in the backward of {here}"
    if edit.kind == "piece":
        if edit.piece < 0:
            λ = "" if cause.at is None else f", λ = {float(cause.at):g}"
            return f"at the kink of {here} the slope {symbol} was taken{λ}{_where(cause.at)}"
        return f"another slope: on one side of {here} it is {symbol}"
    if symbol == "0":
        return f"the term through {operand} is missing in {here}: it was held constant"
    return f"what {here} sends down to {operand} is {_times(symbol)} what it must be"


def _where(convention: Fraction | None) -> str:
    if convention is None or convention in (0, 1):
        return ""
    return ", between the two" if 0 < convention < 1 else ", outside [0, 1]"


def _it(names: tuple[str, ...]) -> str:
    return "it" if len(names) == 1 else "they"


def _times(symbol: str) -> str:
    return _WORDS.get(symbol, f"{symbol} times")


def _repair(cause: Cause) -> str:
    edit, factor = cause.edit, cause.factor
    if edit.kind == "array" and factor is not None and factor.symbol != "0":
        return _inverse(factor.symbol)
    if edit.kind == "factor" and edit.op == "piecewise" and edit.operand is not None:
        return f"multiply the gradient there by the slope at {edit.operand.text}"
    return ""


def _inverse(symbol: str) -> str:
    if symbol.startswith("1/"):
        return f"multiply by {symbol[2:]}"
    if symbol == "-1":
        return "change the sign"
    if symbol == "2":
        return "divide by 2"
    return f"divide by {symbol}"
