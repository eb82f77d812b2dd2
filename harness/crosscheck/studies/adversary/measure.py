"""How near to its bound each rule and each step is brought, and by how many tries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import FORMATS, Format
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.numbers.library import Stated
from crosscheck.numbers.model import Model
from crosscheck.studies.adversary.genes import Genes, climb
from crosscheck.studies.adversary.machine import TOYS, Machine
from crosscheck.studies.adversary.rules import PRIMITIVES, ratios
from crosscheck.studies.adversary.steps import STEPS, step_ratios

__all__ = ["FORMS", "NAMES", "Worst", "worst_of"]

FORMS: Sequence[Format] = (*TOYS, FORMATS["float32"], FORMATS["float64"])
"""The formats that are simulated; float64 beside a reference in float64."""

NAMES: Sequence[str] = (*PRIMITIVES, *(f"step {name}" for name in STEPS))
"""Every rule and every step."""

_COUNT, _STEPS = 256, 64


@dataclass(frozen=True)
class Worst:
    """What a climb came to.

    Attributes:
        name: Of `NAMES`.
        ratio: The largest error / bound.
        form: The format that it was found in.
        flush: Whether subnormal numbers could be flushed.
        tries: How many evaluations were looked at.
        known: The largest error / bound with operands that are held without an error, so that all
            of it is the rule's own; a step's always are.
    """

    name: str
    ratio: float
    form: str
    flush: bool
    tries: int
    known: float


@in_ieee_arithmetic
@np.errstate(all="ignore")
def worst_of(
    name: str,
    *,
    tries: int,
    forms: Sequence[Format] = FORMS,
    seed: int = 0,
    count: int = _COUNT,
    steps: int = _STEPS,
) -> Worst:
    """The largest error / bound of a rule or step, over formats, with and without flushing.

    Args:
        name: Of `NAMES`.
        tries: At least so many, all formats together.
        forms: The formats.
        seed: Of all dice.
        count: How many climb at once.
        steps: How often all of them are tried in a climb.
    """
    best, done = Worst(name, -1.0, "", False, 0, 0.0), 0
    for number, (form, flush, is_known) in enumerate(_climbs(forms)):
        if done >= tries:
            break
        way = seed + number

        def attempt(
            genes: Genes, form: Format = form, flush: bool = flush, known: bool = is_known,
            way: int = way,
        ) -> Array:  # fmt: skip
            return _attempt(name, genes, form, flush, known, way)

        found = climb(attempt, np.random.default_rng([seed, number]), count=count, steps=steps)
        done += count * steps
        known = max(best.known, found) if is_known or name not in PRIMITIVES else best.known
        if found > best.ratio:
            best = Worst(name, found, form.name, flush, done, known)
        best = replace(best, tries=done, known=known)
    return best


def _climbs(forms: Sequence[Format]) -> Iterator[tuple[Format, bool, bool]]:
    while True:
        for form in forms:
            yield form, False, True
            yield form, True, False
            yield form, False, False
            yield form, True, True


def _attempt(name: str, genes: Genes, form: Format, flush: bool, is_known: bool, way: int) -> Array:
    machine = Machine(form, flush, genes, np.random.default_rng(way), form.smallest_normal)
    model = Model(form, flush=flush, is_brief=True, library=Stated())
    if name in PRIMITIVES:
        return ratios(PRIMITIVES[name], machine, model, is_known=is_known)
    parts = step_ratios(STEPS[name.removeprefix("step ")], machine, model)
    return np.asarray(np.max([*parts.values()], axis=0))
