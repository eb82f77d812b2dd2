"""No evaluation that a climb finds leaves the bounds of a rule or a step; a wrong one does."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structure
from click.testing import CliRunner

from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import FORMATS
from crosscheck.numbers.model import Model
from crosscheck.studies.adversary.__main__ import main
from crosscheck.studies.adversary.genes import Genes, climb
from crosscheck.studies.adversary.machine import TOYS, Machine
from crosscheck.studies.adversary.measure import FORMS, NAMES, Worst, worst_of
from crosscheck.studies.adversary.record import Record, page, read, sources
from crosscheck.studies.adversary.rules import PRIMITIVES
from crosscheck.studies.adversary.steps import STEPS, step_ratios

RECORD = Path(__file__).resolve().parent.parent / "reports" / "adversary.json"

DERIVED_IN = {
    "numbers.enclosure": ("add", "difference", "mul", "contract", "sum"),
    "numbers.scaling": ("times_constants",),
    "numbers.piecewise_values": ("piecewise",),
    "numbers.piecewise_slopes": ("select",),
    "program.enclosures": ("take", "scatter", "broadcast", "max", "largest"),
    "numbers.elementary_values": ("elementary",),
    "numbers.updates": ("updated",),
    "program.compounds": ("either", "softmax", "log_softmax"),
    "judge.local.step": ("step",),
}
"""Module to the first words of the rules and steps that its text derives."""


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


def test_of_what_is_not_finite_nothing_is_said() -> None:
    """What is sent to an operand may overflow although the operand, of the same name, does not."""
    form = FORMATS["float64"]
    genes = Genes(np.random.default_rng(1), 2048)
    machine = Machine(form, False, genes, np.random.default_rng(1), form.smallest_normal)
    with np.errstate(all="ignore"):
        found = step_ratios(STEPS["hinge"], machine, Model(form, is_brief=True))
    assert max(each.max() for each in found.values()) <= 1.0


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


def test_a_climb_comes_further_than_chance() -> None:
    """A row has three numbers; the largest of their product is 1, and is far from most."""

    def product(genes: Genes) -> Array:
        return np.asarray((genes.bits((3,)) / 2.0**64).prod(axis=1))

    found = [
        climb(product, np.random.default_rng(0), count=16, steps=steps) for steps in (1, 16, 256)
    ]
    assert found[0] < found[1] < found[2] <= 1.0
    assert found[2] > 0.99


# -- what is kept --------------------------------------------------------------------------------


def some(name: str, tries: int = 5) -> Worst:
    return Worst(name, 0.5, "four bits", True, tries, 0.25)


NOW = {"NumPy": "2", "rules": "a", "steps": "b"}


@pytest.mark.parametrize(
    ("seed", "changed", "current"),
    [
        (1, {}, {"add", "step add"}),
        (1, {"steps": "c"}, {"add"}),
        (1, {"rules": "c"}, set()),
        (1, {"NumPy": "3"}, set()),
        (2, {}, set()),
    ],
)
def test_what_would_be_found_again_is_known(seed: int, changed: Any, current: set[str]) -> None:
    record = Record({}).with_one(some("step add"), 1, NOW).with_one(some("add"), 1, NOW)
    assert list(record.kept) == ["add", "step add"]
    now = {**NOW, **changed}
    assert {name for name, each in record.kept.items() if each.is_current(seed, now)} == current


def test_a_page_says_what_each_was_found_with() -> None:
    record = Record({}).with_one(some("step add"), 1, NOW).with_one(some("add"), 2, NOW)
    record = record.with_one(some("difference"), 2, {**NOW, "steps": "c"})
    lines = page(record).splitlines()
    assert lines[-3:] == [
        "2 of them with seed 2; NumPy 2, rules a.",
        "",
        "1 of them with seed 1; NumPy 2, rules a, steps b.",
    ]


def test_what_is_kept_holds_for_every_module_that_its_numbers_depend_on() -> None:
    names = structure.modules()
    needed, waiting = set[str](), ["crosscheck.studies.adversary.measure"]
    waiting += [name for name in names if name.startswith("crosscheck.operators.")]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += structure.graph()[name]
    folders = ("numbers.", "program.", "operators.", "judge.local.", "judge.entries", "studies.")
    wanted = {
        names[name] for name in needed if name.removeprefix("crosscheck.").startswith(folders)
    }
    rules, steps = set(sources("rules")), set(sources("steps"))
    of_steps = {
        "step.py",
        "steps.py",
        "record.py",
        "ties.py",
        "liveness.py",
        "arrays.py",
        "floats.py",
    }
    assert {path.name for path in steps} == of_steps
    assert {path for path in rules | steps if path.name != "__init__.py"} == {
        path for path in wanted if path.name != "__init__.py"
    }
    assert not rules & steps


def test_a_record_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def worst(name: str, *, tries: int, seed: int) -> Worst:
        asked.append(name)
        return some(name, tries)

    monkeypatch.setattr("crosscheck.studies.adversary.measure.worst_of", worst)
    place = tmp_path / "adversary.json"

    def run(only: str, tries: int, seed: int = 0) -> None:
        words = ["--only", only, "--tries", str(tries), "--report", str(place.parent)]
        assert CliRunner().invoke(main, [*words, "--seed", str(seed)]).exit_code == 0

    run("mul, square", 5)
    run("mul, ", 5)
    assert asked == ["mul, square", "mul, then add"]
    run("mul, square", 6)
    run("mul, square", 6, seed=1)
    assert asked[2:] == ["mul, square"] * 2
    kept = read(place).kept
    assert {name: each.seed for name, each in kept.items()} == {
        "mul, then add": 0,
        "mul, square": 1,
    }
    assert {each.tries for each in read(place).found.values()} == {5, 6}
    assert place.with_suffix(".md").read_text("utf-8") == page(read(place))


def test_what_is_outside_is_no_part_of_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worst(name: str, *, tries: int, seed: int) -> Worst:
        return Worst(name, np.inf, "three bits", False, tries, np.inf)

    monkeypatch.setattr("crosscheck.studies.adversary.measure.worst_of", worst)
    place = tmp_path / "adversary.json"
    found = CliRunner().invoke(main, ["--only", "mul, square", "--report", str(place.parent)])
    assert (found.exit_code, place.exists()) == (1, False)


# -- what is committed ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted({*PRIMITIVES, *read(RECORD).kept}))
def test_a_million_tries_of_each_rule_and_step_are_inside(name: str) -> None:
    found = read(RECORD).found[name]
    assert found.tries >= 10**6
    assert 0.0 <= found.known <= found.ratio <= 1.0


def test_the_page_is_that_of_the_record() -> None:
    assert RECORD.with_suffix(".md").read_text("utf-8") == page(read(RECORD))


@pytest.mark.parametrize("module", DERIVED_IN)
def test_the_worst_stands_where_a_rule_is_derived(module: str) -> None:
    found = [
        each
        for name, each in read(RECORD).found.items()
        if name.replace(",", " ").split()[0] in DERIVED_IN[module]
    ]
    text = importlib.import_module(f"crosscheck.{module}").__doc__ or ""
    words = f"{found[0].tries:,} tries a {'step' if module.endswith('step') else 'rule'}"
    assert words in " ".join(text.split())
    assert f"{max(each.ratio for each in found):.4f}" in text


def test_every_rule_is_derived_somewhere() -> None:
    words = {word for each in DERIVED_IN.values() for word in each}
    assert {name.replace(",", " ").split()[0] for name in NAMES} == words
