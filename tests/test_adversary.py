"""No evaluation that a climb finds leaves the bounds of a rule or a step; a wrong one does."""

from __future__ import annotations

import numpy as np
import pytest

from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import FORMATS
from crosscheck.studies.adversary.genes import Genes
from crosscheck.studies.adversary.machine import TOYS, Machine
from crosscheck.studies.adversary.measure import FORMS, NAMES, worst_of


@pytest.mark.parametrize("name", NAMES)
def test_no_evaluation_is_outside(name: str) -> None:
    # python -m crosscheck.studies.adversary looks ten thousand times as long.
    form = FORMS[NAMES.index(name) % len(FORMS)]
    assert worst_of(name, tries=512, forms=[form], count=32, steps=8).ratio <= 1.0


@pytest.mark.parametrize("name", ["add", "difference", "contract", "piecewise leaky_relu"])
def test_a_bound_is_nearly_reached(name: str) -> None:
    assert worst_of(name, tries=1, forms=[TOYS[3]], count=256).ratio > 0.6


class Truncating(Machine):
    """A machine that cuts off what does not fit, and so errs by up to twice u."""

    def rounded(self, exact: Array) -> Array:
        """Towards zero."""
        nearest = super().rounded(exact)
        below = np.copysign(np.abs(nearest) - self.form.ulp(nearest), nearest)
        return np.where(np.abs(nearest) > np.abs(exact), below, nearest)


@pytest.mark.parametrize("name", ["difference", "contract, of two", "step dense", "step prelu"])
def test_what_is_cut_off_is_outside(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crosscheck.studies.adversary.measure.Machine", Truncating)
    assert worst_of(name, tries=1, forms=[TOYS[3]], count=256).ratio > 1.0


def test_sums_of_products_of_toys_are_exact_in_float64() -> None:
    assert all(2 * (each.emax - each.emin + each.precision) + 2 <= 53 for each in TOYS)


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_a_fused_product_is_rounded_once(name: str) -> None:
    form = FORMATS[name]
    u = form.unit_roundoff
    machine = Machine(form, False, Genes(np.random.default_rng(0), 1), np.random.default_rng(0), 0)
    one = np.array([1 + 2 * u])
    # (1 + 2u)² - (1 + 4u) = 4u², which is lost if the product is rounded first.
    found = machine.fused(one, one, -np.array([1 + 4 * u]), np.zeros(1, np.uint64))
    assert found.item() == 4 * u * u
    half = machine.fused(
        np.array([1 + 2 * u]), np.array([u]), np.array([1.0]), np.zeros(1, np.uint64)
    )
    assert half.item() == 1 + 2 * u, "just above half a unit, so that it is rounded up"
