"""Every framework's convention at the kink, per formulation of ReLU, read off whole gradients."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.registry import open_frameworks, state_of
from crosscheck.judge.compare import Judge
from crosscheck.judge.decisions import GateClass
from crosscheck.judge.verdict import Kind, Verdict
from crosscheck.network.dense import Case, worked_example
from crosscheck.numbers.formats import format_of
from crosscheck.studies.conventions.table import read_table

Record = Callable[[Verdict], None]

TABLE = read_table(Path(__file__).parents[1] / "reports" / "conventions.json")
"""The conventions as measured on single numbers, apart from any network."""

SLOPE_AT_ZERO = {
    (key.framework, key.formulation): float(row.cells["0"].slope)
    for key, row in TABLE.rows.items()
    if (key.unit, key.mode, key.dtype) == ("relu", "eager", "float64")
}
"""The derivative that each formulation uses where the pre-activation is exactly zero."""

PATHS = [pytest.param(name, form, id=f"{name}-{form}") for name, form in SLOPE_AT_ZERO]
DTYPES = ["float64", "float32"]


@cache
def adapter(name: str, formulation: str) -> Framework:
    state = state_of(name)
    if state.state == "absent":
        pytest.skip(f"{name} is not installed, so its boundary is not checked: {state.detail}")
    (framework,), _ = open_frameworks([name], {name: formulation}, {name: "eager"})
    return framework


def judged(name: str, formulation: str, case: Case, record: Record) -> Verdict:
    framework = adapter(name, formulation)
    verdict = Judge(case).verdict(
        framework.gradients(case),
        framework=name,
        formulation=formulation,
        mode=framework.mode,
    )
    record(verdict)
    return verdict


def chain(depth: int, kink: int, dtype: str) -> Case:
    """One unit a layer: the pre-activation is 0 in layer ``kink`` and positive elsewhere."""
    biases = [
        [0.0] if layer < kink else [-2.0] if layer == kink else [1.0]
        for layer in range(1, depth + 1)
    ]
    return Case.of([[[1.0]]] * depth, biases, [[2.0]], [[5.0]], dtype=dtype)


def test_the_table_of_conventions_has_every_formulation_of_every_framework() -> None:
    known = {
        (name, formulation)
        for name in ("torch", "tensorflow", "jax")
        for formulation in adapter(name, "relu").formulations
    }
    assert known == set(SLOPE_AT_ZERO)


def test_zero_is_the_same_kink_with_either_sign_and_in_every_dtype() -> None:
    for key, row in TABLE.rows.items():
        if key.unit == "relu" and key.mode == "eager":
            slopes = {float(row.cells[point].slope) for point in ("0", "-0")}
            assert slopes == {SLOPE_AT_ZERO[key.framework, key.formulation]}, key


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("change", "layer"),
    [pytest.param({"x": 0.0}, 1, id="x=0"), pytest.param({"w2": -1.0, "b2": 2.0}, 2, id="z2=0")],
)
@pytest.mark.parametrize(("name", "formulation"), PATHS)
def test_the_worked_example_at_its_kinks_shows_the_convention(
    name: str,
    formulation: str,
    change: Any,
    layer: int,
    dtype: str,
    relu_boundary_record: Record,
) -> None:
    verdict = judged(name, formulation, worked_example(dtype=dtype, **change), relu_boundary_record)
    assert verdict.kind is Kind.KINK
    (gate,) = verdict.gates
    assert (gate.layer, gate.unit, gate.row, gate.gate) == (layer, 0, 0, GateClass.KINK)
    assert gate.value == 0.0
    assert gate.slope == SLOPE_AT_ZERO[name, formulation]
    assert verdict.worst is not None
    assert verdict.worst.error == 0.0


@pytest.mark.parametrize(("name", "formulation"), PATHS)
@pytest.mark.parametrize(
    ("depth", "kink"), [(depth, kink) for depth in (1, 2, 3, 4) for kink in range(1, depth + 1)]
)
def test_a_kink_is_located_in_whatever_layer_it_lies(
    name: str, formulation: str, depth: int, kink: int, relu_boundary_record: Record
) -> None:
    verdict = judged(name, formulation, chain(depth, kink, "float32"), relu_boundary_record)
    assert verdict.kind is Kind.KINK
    assert [(g.layer, g.slope) for g in verdict.gates] == [(kink, SLOPE_AT_ZERO[name, formulation])]


@pytest.mark.parametrize(("name", "formulation"), PATHS)
def test_kinks_in_two_rows_and_two_layers_are_told_apart(
    name: str, formulation: str, relu_boundary_record: Record
) -> None:
    # Row 0 has z1 = 0 in unit 0, row 1 in unit 1; row 1 has z2 = 0 as well: 1·2 + 2·0 - 2.
    case = Case.of(
        [[[1.0, -1.0], [-1.0, 2.0]], [[1.0, 2.0]]],
        [[0.0, 0.0], [-2.0]],
        [[3.0, 3.0], [4.0, 2.0]],
        [[1.0], [7.0]],
    )
    verdict = judged(name, formulation, case, relu_boundary_record)
    assert verdict.kind is Kind.KINK
    slope = SLOPE_AT_ZERO[name, formulation]
    assert {(g.layer, g.unit, g.row): g.slope for g in verdict.gates} == {
        (1, 0, 0): slope,
        (1, 1, 1): slope if slope else None,  # behind a shut gate it has no effect
        (2, 0, 1): slope,
    }


@pytest.mark.parametrize(("name", "formulation"), PATHS)
def test_tied_units_share_the_convention(
    name: str, formulation: str, relu_boundary_record: Record
) -> None:
    # Two equal hidden units on the kink: 1·2 - 2 = 0 twice.
    case = Case.of([[[1.0], [1.0]], [[1.0, 3.0]]], [[-2.0, -2.0], [1.0]], [[2.0]], [[4.0]])
    verdict = judged(name, formulation, case, relu_boundary_record)
    assert verdict.kind is Kind.KINK
    assert [g.slope for g in verdict.gates] == [SLOPE_AT_ZERO[name, formulation]] * 2


@pytest.mark.parametrize(("name", "formulation"), PATHS)
def test_a_dead_unit_is_a_kink_and_not_an_inactive_gate(
    name: str, formulation: str, relu_boundary_record: Record
) -> None:
    # All weights and the bias of hidden unit 1 are zero, for every input.
    case = Case.of(
        [[[1.0, 1.0], [0.0, 0.0]], [[1.0, 1.0]]],
        [[1.0, 0.0], [0.0]],
        [[0.3, 0.7], [1.5, -0.25]],
        [[9.0], [9.0]],
    )
    verdict = judged(name, formulation, case, relu_boundary_record)
    assert verdict.kind is Kind.KINK
    assert {(g.layer, g.unit) for g in verdict.gates} == {(1, 1)}
    assert {g.slope for g in verdict.gates} == {SLOPE_AT_ZERO[name, formulation]}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "formulation"), PATHS)
def test_negative_zero_is_the_same_kink(
    name: str, formulation: str, dtype: str, relu_boundary_record: Record
) -> None:
    case = worked_example(x=-0.0, b1=-0.0, dtype=dtype)  # z1 = 2·(-0) + (-0) = -0
    verdict = judged(name, formulation, case, relu_boundary_record)
    assert verdict.kind is Kind.KINK
    assert [g.slope for g in verdict.gates] == [SLOPE_AT_ZERO[name, formulation]]


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["positive", "negative"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "formulation"), PATHS)
def test_a_subnormal_pre_activation_is_explained(
    name: str, formulation: str, dtype: str, sign: float, relu_boundary_record: Record
) -> None:
    tiny = sign * format_of(dtype).smallest_subnormal
    case = Case.of([[[1.0]], [[1.0]]], [[tiny], [1.0]], [[0.0]], [[5.0]], dtype=dtype)
    verdict = judged(name, formulation, case, relu_boundary_record)
    assert verdict.kind in {Kind.AGREES, Kind.SUBNORMAL}
    if name == "torch":
        assert verdict.kind is Kind.AGREES  # subnormals are numbers like others to it
    if verdict.kind is Kind.SUBNORMAL:
        (gate,) = verdict.gates
        assert gate.gate is GateClass.UNDECIDED
        assert gate.value == tiny
        # The framework saw z1 = 0, and used its slope there; or only its result was flushed.
        assert gate.slope == SLOPE_AT_ZERO[name, formulation]
        assert gate.flipped == (gate.slope != (1.0 if sign > 0 else 0.0))


@pytest.mark.parametrize(("name", "formulation"), PATHS)
def test_small_whole_numbers_leave_no_kink_unexplained(
    name: str, formulation: str, relu_boundary_record: Record
) -> None:
    rng = np.random.default_rng(8)
    kinks = 0
    for _ in range(15):
        case = Case.of(
            [rng.integers(-2, 3, (3, 2)), rng.integers(-2, 3, (2, 3))],
            [rng.integers(-2, 3, 3), rng.integers(-2, 3, 2)],
            rng.integers(-2, 3, (2, 2)),
            rng.integers(-2, 3, (2, 2)),
        )
        verdict = judged(name, formulation, case, relu_boundary_record)
        assert verdict.kind in {Kind.AGREES, Kind.KINK}, verdict
        slopes = {gate.slope for gate in verdict.gates} - {None}
        assert slopes <= {SLOPE_AT_ZERO[name, formulation]}, verdict
        kinks += verdict.kind is Kind.KINK
    assert kinks >= 5


@pytest.mark.parametrize(("dtype", "power"), [("float32", 12), ("float64", 27)])
@pytest.mark.parametrize("name", ["torch", "tensorflow", "jax"])
def test_fused_or_not_every_framework_is_right_where_rounding_decides(
    name: str, dtype: str, power: int, relu_boundary_record: Record
) -> None:
    # z1 = (1 + h)² - (1 + 2h) = h²: zero once the product is rounded before it is added.
    h = 2.0**-power
    case = Case.of(
        [[[1.0 + h]], [[1.0]]], [[-(1.0 + 2 * h)], [1.0]], [[1.0 + h]], [[0.0]], dtype=dtype
    )
    verdict = judged(name, "relu", case, relu_boundary_record)
    assert verdict.kind is Kind.UNDECIDED
    (gate,) = verdict.gates
    assert (gate.layer, gate.unit, gate.row) == (1, 0, 0)
    assert gate.gate is GateClass.UNDECIDED
    assert gate.value == h * h
    assert gate.slope in {0.0, 1.0}
    assert gate.flipped == (gate.slope == 0.0)
