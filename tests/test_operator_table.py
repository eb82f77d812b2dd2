"""The table of operators: what is judged, what is counted, and how it goes on."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from crosscheck.numbers.elementary import ELEMENTARY
from crosscheck.operators.registry import known
from crosscheck.program.exact import FARTHEST, OnExact
from crosscheck.studies.operators.measure import (
    COMPOSITE,
    MODES,
    Cell,
    Table,
    cells,
    measure,
    read,
    variant_of,
    write,
)
from crosscheck.studies.operators.page import page

VERSIONS = {"torch": "torch 0"}


def nothing(_: Table) -> None:
    """What is told after a cell is not of interest."""


def test_every_operator_is_asked_for_once_in_every_mode_and_dtype() -> None:
    found = [key for keys in cells(list(MODES), ["float64", "float16"]) for key in keys]
    modes = sum(len(each) for each in MODES.values())
    every = len(known()) * (modes - 1 + modes - 4)
    assert len(found) == len(set(found)) == 2 * (every + len(COMPOSITE))
    assert len(COMPOSITE) == 10
    assert set(COMPOSITE) < set(known())


def test_cells_that_are_judged_together_have_one_operator_and_one_dtype() -> None:
    for keys in cells(list(MODES), ["float64", "float16"]):
        assert len({(operator, dtype) for operator, _, _, dtype, _ in keys}) == 1


def test_each_network_counts_with_gaussian_numbers_and_with_halves(tmp_path: Path) -> None:
    wanted: dict[str, Any] = {"frameworks": ["torch"], "dtypes": ["float32"], "operators": ["relu"]}
    wanted["orders"] = [1]
    told: list[Table] = []
    table = measure(Table(VERSIONS), told.append, **wanted)
    eager = table.cells[0]
    assert eager.key == ("relu", "torch", "eager", "float32", 1)
    assert sum(eager.verdicts.values()) == eager.certificates["local"] == 8
    assert not eager.fails
    write(tmp_path / "operators.json", table)
    again = read(tmp_path / "operators.json", VERSIONS)
    assert again == table
    told.clear()
    assert measure(again, told.append, **wanted) == table
    assert told == []
    assert "| relu | 1 |" in page(table)


def test_second_derivatives_have_rows_of_their_own(tmp_path: Path) -> None:
    wanted: dict[str, Any] = {"frameworks": ["torch"], "dtypes": ["float32"], "orders": [2]}
    table = measure(Table(VERSIONS), nothing, operators=["tanh"], **wanted)
    (cell,) = table.cells
    assert cell.key == ("tanh", "torch", "eager", "float32", 2)
    assert cell.verdicts == {"AGREES": 8}
    assert cell.certificates == {"adjoint": 1}
    write(tmp_path / "operators.json", table)
    assert read(tmp_path / "operators.json", VERSIONS) == table
    assert "| tanh | 2 | **B** 32 |" in page(table)


def test_what_a_framework_cannot_do_is_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    from crosscheck.frameworks.torch_ import TorchFramework
    from crosscheck.tools.errors import UnsupportedError

    def refuse(self: object, case: object) -> None:
        raise UnsupportedError("no\n  such kernel")

    monkeypatch.setattr(TorchFramework, "derivatives", refuse)
    table = measure(
        Table(VERSIONS),
        nothing,
        frameworks=["torch"],
        dtypes=["float64"],
        operators=["relu"],
        orders=[1],
    )
    assert table.cells[0] == Cell(
        "relu", "torch", "eager", "float64", unsupported="UnsupportedError: no such kernel"
    )


@pytest.mark.parametrize("order", [1, 2])
def test_a_variant_that_is_refused_is_named_beside_those_that_ran(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, order: int
) -> None:
    from crosscheck.frameworks.torch_ import TorchFramework
    from crosscheck.tools.errors import UnsupportedError

    method = {1: "derivatives", 2: "products"}[order]
    whole = getattr(TorchFramework, method)

    def refuse(self: Any, case: Any, *more: Any) -> Any:
        if variant_of(case, "leaky_relu") == "slope=0.25":
            raise UnsupportedError("no\n  such slope")
        return whole(self, case, *more)

    wanted: dict[str, Any] = {"frameworks": ["torch"], "dtypes": ["float64"], "orders": [order]}
    wanted["operators"] = ["leaky_relu"]
    plain = measure(Table(VERSIONS), nothing, **wanted).cells[0]
    assert plain.refused == {}
    monkeypatch.setattr(TorchFramework, method, refuse)
    table = measure(Table(VERSIONS), nothing, **wanted)
    cell = table.cells[0]
    (variant,) = cell.refused
    assert variant.startswith("slope=0.25")
    assert cell.refused[variant].endswith("no such slope")
    assert not cell.unsupported
    assert 0 < sum(cell.verdicts.values()) < sum(plain.verdicts.values())
    write(tmp_path / "operators.json", table)
    assert read(tmp_path / "operators.json", VERSIONS) == table
    assert f"leaky_relu, float64{', order 2' * (order > 1)}: {variant}: " in page(table)
    assert "64~" in page(table) or "64?~" in page(table)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_reciprocal_square_root_of_a_short_array_is_right_to_what_its_kernel_can(
    dtype: str,
) -> None:
    wanted: dict[str, Any] = {"frameworks": ["torch"], "dtypes": [dtype], "orders": [1]}
    table = measure(Table(VERSIONS), nothing, operators=["rsqrt"], **wanted)
    (eager,) = (cell for cell in table.cells if cell.mode == "eager")
    assert eager.verdicts == {"AGREES": 8}
    assert eager.certificates["local"] == 8


def test_the_exponential_of_a_large_number_has_few_bits() -> None:
    verb = OnExact(lambda number: number)
    for sign in (1, -1):
        array = verb.filled(0.0, (1,))
        array[0] = Fraction(sign * 10**9)
        (found,) = verb.elementary(array, ELEMENTARY["exp"], 0, "exp")
        assert found == Fraction(2) ** (sign * FARTHEST)
