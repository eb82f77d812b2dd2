"""Verdicts by a precision contract: what a kernel rounds, and to what.

    inputs      the numbers that come in are of this format, exactly
    inside      every operation rounds at most as this format does
    sums        every sum is formed in this format, in any order
    products    the operands of matrix products are rounded to this format first
    outputs     each result, and each derivative, is rounded to this format once

So the enclosures are those of the program in ``inside`` on numbers of ``inputs``, and each result's
(c, r, e) becomes, with u and η those of ``outputs``,

    e' = e + u (|c| + r + e) + η / 2,

for whatever is within e of q, with |q| <= |c| + r, is rounded by at most that. Where the enclosure
is exact and its number one of ``outputs``, nothing is rounded.

Where ``sums`` are coarser than ``inside`` everything is held to ``sums`` only, which is a wider
bound than the contract's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from crosscheck.judge.enclosed import Derivation
from crosscheck.judge.programs.enclosed import EnclosedProgram
from crosscheck.judge.programs.judge import ProgramJudge
from crosscheck.network.composed import Composed, Derivatives
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import Format, format_of
from crosscheck.numbers.model import Model
from crosscheck.numbers.named import arithmetics_of
from crosscheck.numbers.rounding import up
from crosscheck.program.enclosures import OnEnclosures
from crosscheck.tools.errors import UsageError

__all__ = ["ContractJudge", "Precision", "precision_of"]


@dataclass(frozen=True)
class Precision:
    """A precision contract; names of formats.

    Attributes:
        inputs: Of the numbers that come in.
        inside: Of operations; as ``inputs`` by default.
        sums: Of sums; as ``inside`` by default.
        outputs: Of results; as ``inputs`` by default.
        products: Of the operands of matrix products: ``"tf32"``, ``"bfloat16"``; as ``inside`` if
            empty.
    """

    inputs: str
    inside: str = ""
    sums: str = ""
    outputs: str = ""
    products: str = ""

    def __post_init__(self) -> None:
        for name in (self.inputs, self.inside, self.sums, self.outputs):
            if name:
                format_of(name)
        if self.products and self._arithmetic is None:
            raise UsageError(
                f"precision: products {self.products!r}, wanted tf32 or bfloat16, inside float32"
            )

    @property
    def _arithmetic(self) -> object:
        name = {"bfloat16": "bfloat16-multiplicands"}.get(self.products, self.products)
        known = {each.name: each for each in arithmetics_of(self.working.name)}
        return known.get(name)

    @property
    def working(self) -> Format:
        """What operations are held to."""
        inside, sums = (format_of(each or self.inputs) for each in (self.inside, self.sums))
        return sums if self.sums and sums.precision < inside.precision else inside

    @property
    def result(self) -> Format:
        """What results are rounded to."""
        return format_of(self.outputs or self.inputs)

    def model(self, model: Model) -> Model:
        """A model of the dtype's own arithmetic as this contract's."""
        if self.products and model.arithmetic is None:
            found = self._arithmetic
            return replace(model, format=self.working, arithmetic=found, flush=True)  # type: ignore[arg-type]
        return replace(model, format=self.working)

    def __str__(self) -> str:
        words = [self.inputs]
        for name in ("inside", "sums", "products", "outputs"):
            if value := getattr(self, name):
                words.append(f"{name} {value}")
        return ", ".join(words)


def precision_of(text: str | Precision) -> Precision:
    """A contract in words: ``"bfloat16, inside float32, sums bfloat16"``.

    Raises:
        UsageError: It says something else.
    """
    if isinstance(text, Precision):
        return text
    first, *rest = [each.strip() for each in text.split(",")]
    named: dict[str, str] = {}
    for each in rest:
        name, _, value = each.partition(" ")
        if name not in ("inside", "sums", "products", "outputs") or not value or name in named:
            raise UsageError(
                f"precision={text!r}: {each!r}, wanted a dtype and then inside, sums, products or "
                "outputs with one each: 'bfloat16, inside float32'"
            )
        named[name] = value.strip()
    return Precision(first, **named)


class _ContractProgram(EnclosedProgram):
    """A case on enclosures in which results are rounded once more."""

    def __init__(self, case: Composed, model: Model, result: Format, *, takes_first: bool) -> None:
        self._result = result
        super().__init__(case, model, takes_first=takes_first)

    def _evaluated(self, arithmetic: OnEnclosures) -> Derivatives:
        return super()._evaluated(arithmetic).map(self._rounded)

    def _rounded(self, value: Enclosure) -> Enclosure:
        form, working = self._result, self.model.format
        if form.precision >= working.precision:
            return value
        with np.errstate(all="ignore"):
            is_exact = (value.bound == 0) & (form.round(value.high) == value.high)
            size = np.abs(value.high) + value.r + value.e
            wider = up(value.e + size * form.unit_roundoff + form.smallest_subnormal, 5)
            e = np.where(is_exact, value.e, wider)
            return Enclosure(value.model, value.c, value.r, e)


class ContractJudge(ProgramJudge):
    """Compares gradients of one case with the reference, by a contract.

    Args:
        case: A single case, whose numbers are of the contract's ``inputs``.
        precision: The contract.
    """

    def __init__(self, case: Composed, precision: Precision) -> None:
        super().__init__(case)
        self.precision = precision
        self._programs: dict[tuple[Model, bool], _ContractProgram] = {}

    def enclosed(
        self, model: Model, derivation: Derivation = "reverse", *, takes_first: bool = False
    ) -> EnclosedProgram:
        """See `ProgramJudge`."""
        key = self.precision.model(model), takes_first
        if key not in self._programs:
            found = _ContractProgram(
                self.case, key[0], self.precision.result, takes_first=takes_first
            )
            self._programs[key] = found
        return self._programs[key]
