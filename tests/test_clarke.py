"""Whether a gradient at a kink is a generalised derivative is decided right, or not decided."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import brute
import numpy as np
import pytest

from crosscheck.judge.compare import Judge
from crosscheck.judge.decisions import Place
from crosscheck.judge.kinks import clarke, own_parameters
from crosscheck.judge.kinks.cells import Cell, Point
from crosscheck.judge.kinks.clarke import Subdifferential
from crosscheck.judge.verdict import Kind, Validity
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.exact import exact_forward, nearest_floats, rationals
from crosscheck.network.reference import forward, gradients
from crosscheck.tools.budget import Budget

Decide = Callable[..., Validity]


def parameter_validity(case: Case, slopes: dict[Place, float], **options: Any) -> Validity:
    return Subdifferential(case, slopes, **options).parameters(slopes)


def input_validity(case: Case, slopes: dict[Place, float]) -> Validity:
    return Subdifferential(case, slopes).inputs(slopes)


def point_of(case: Case, sites: list[Place], row: int | None) -> Point:
    return Point(case, sites, row, Budget(clarke.MOST_OPERATIONS))


# ReLU(x) - ReLU(-x) + 1 = x + 1: its derivative is 1 everywhere.
IDENTITY = Case.of(
    [[[1.0], [-1.0]], [[1.0, -1.0]]], [[0.0, 0.0], [1.0]], [[0.0]], [[0.0]], output="identity"
)
# x = 1, w1 = 0, W2 = (1, -1), W3 = (1, 3), b3 = 1, no other biases, y = 0. For w1 > 0:
# a1 = w1, z2 = (w1, -w1), so J = ½ (w1 + 1)² and dJ/dw1 = 1 at 0; for w1 < 0 it is 0. So the
# subdifferential with respect to w1 is [0, 1], while slopes λ give λ·(λ·1 - λ·3) = -2 λ².
WITHOUT_BIASES = Case.of(
    [[[0.0]], [[1.0], [-1.0]], [[1.0, 3.0]]],
    [None, None, [1.0]],
    [[1.0]],
    [[0.0]],
    output="identity",
)


def kinks(case: Case) -> list[Place]:
    return [
        Place.of_gate(layer, int(row), int(unit))
        for layer, z in enumerate(exact_forward(case).pre_activations, start=1)
        if case.network.has_relu(layer)
        for row, unit in np.argwhere(z == 0)
    ]


def decide(decide_one: Decide, case: Case, slope: float | dict[Place, float]) -> Validity:
    slopes = slope if isinstance(slope, dict) else dict.fromkeys(kinks(case), slope)
    return decide_one(case, slopes)


@pytest.mark.parametrize(("slope", "status"), [(0.0, "outside"), (0.5, "inside"), (1.0, "outside")])
def test_two_relus_that_make_the_identity(slope: float, status: str) -> None:
    # The gradient with respect to x is (λ + λ)·1: right only for λ = ½.
    assert decide(input_validity, IDENTITY, slope).status == status
    # With respect to the parameters the two hidden biases move the kinks apart.
    assert decide(parameter_validity, IDENTITY, slope).status == "inside"


@pytest.mark.parametrize(("slope", "status"), [(0.0, "inside"), (0.5, "outside"), (1.0, "outside")])
def test_without_biases_zero_may_be_fine_where_one_is_not(slope: float, status: str) -> None:
    assert decide(parameter_validity, WITHOUT_BIASES, slope).status == status


@pytest.mark.parametrize(
    ("slopes", "status"),
    [((1.0, 1.0, 0.0), "inside"), ((0.5, 1.0, 0.0), "inside"), ((1.0, 0.0, 1.0), "outside")],
)
def test_without_biases_it_depends_on_which_slopes_go_together(
    slopes: tuple[float, ...], status: str
) -> None:
    sites = [Place.of_gate(1, 0, 0), Place.of_gate(2, 0, 0), Place.of_gate(2, 0, 1)]
    chosen = dict(zip(sites, slopes, strict=True))
    assert decide(parameter_validity, WITHOUT_BIASES, chosen).status == status


def test_with_a_bias_of_its_own_every_unit_is_inside_in_every_layer() -> None:
    # Kinks in layers 1 and 2 at once: z1 = 2 - 2, z2 = 0·w + 0.
    case = Case.of([[[1.0]], [[1.0]], [[2.0]]], [[-2.0], [0.0], [1.0]], [[2.0]], [[5.0]])
    assert len(kinks(case)) == 2
    for slope in (0.0, 0.3, 1.0):
        assert decide(parameter_validity, case, slope).status == "inside"


def repeated_rows(targets: list[float]) -> Case:
    """Two equal rows: their kinks have one sign, although they are two gates."""
    return Case.of(
        [[[1.0, 1.0]], [[1.0]]],
        [[-2.0], [0.0]],
        [[1.0, 1.0], [1.0, 1.0]],
        [[target] for target in targets],
        output="identity",
    )


def test_equal_rows_share_the_sign_of_their_kinks() -> None:
    case = repeated_rows([3.0, -4.0])
    one_and_none = {Place.of_gate(1, 0, 0): 1.0, Place.of_gate(1, 1, 0): 0.0}
    # Residuals -3 and 4: both gates open give +1, both shut 0, one alone -3 or 4.
    assert decide(parameter_validity, case, 0.0).status == "inside"
    assert decide(parameter_validity, case, 1.0).status == "inside"
    assert decide(parameter_validity, case, one_and_none).status == "outside"
    # The inputs of the two rows are different variables.
    assert decide(input_validity, case, one_and_none).status == "inside"


def test_duplicated_units_are_tied_for_the_inputs_only() -> None:
    case = Case.of([[[1.0], [1.0]], [[3.0, -2.0]]], [[-2.0, -2.0], [1.0]], [[2.0]], [[9.0]])
    one_and_none = {Place.of_gate(1, 0, 0): 1.0, Place.of_gate(1, 0, 1): 0.0}
    assert decide(input_validity, case, one_and_none).status == "outside"
    assert decide(input_validity, case, 1.0).status == "inside"
    assert decide(parameter_validity, case, one_and_none).status == "inside"


def test_a_shared_bias_ties_the_signs_of_its_units() -> None:
    # At x = 0 both pre-activations are the bias b: gates (1, 0) never go together.
    case = Case.of([[[1.0], [-1.0]], [[2.0, 5.0]]], [[0.0, 0.0], [1.0]], [[0.0]], [[9.0]])
    one_and_none = {Place.of_gate(1, 0, 0): 1.0, Place.of_gate(1, 0, 1): 0.0}
    one_bias = [{("b1", 0), ("b1", 1)}]
    assert parameter_validity(case, one_and_none).status == "inside"
    # dJ/db1 is (2 + 5) g for b > 0 and 0 for b < 0; 2 g lies between them.
    assert parameter_validity(case, one_and_none, shared=one_bias).status == "inside"
    # With weights of two signs it does not: 2 g - 5 g and 0 do not reach 2 g.
    signs = Case.of([[[1.0], [-1.0]], [[2.0, -5.0]]], [[0.0, 0.0], [1.0]], [[0.0]], [[9.0]])
    assert parameter_validity(signs, one_and_none).status == "inside"
    assert parameter_validity(signs, one_and_none, shared=one_bias).status == "outside"
    assert (
        parameter_validity(signs, dict.fromkeys(one_and_none, 1.0), shared=one_bias).status
        == "inside"
    )


def test_a_shared_weight_is_one_variable() -> None:
    # One weight w for two units, at w = 0 and x = 1: ReLU(w) - ReLU(w) and ReLU(w) + ReLU(w).
    case = Case.of(
        [[[0.0], [0.0]], [[1.0, -1.0]]], [None, [1.0]], [[1.0]], [[0.0]], output="identity"
    )
    mirrored = Case.of(
        [[[0.0], [0.0]], [[1.0, 1.0]]], [None, [1.0]], [[1.0]], [[0.0]], output="identity"
    )
    one_weight = [{("W1", 0, 0), ("W1", 1, 0)}]
    for each, slope, status in (
        (case, 0.0, "inside"),  # always 0
        (case, 1.0, "inside"),
        (mirrored, 0.5, "inside"),  # between 0 and 2
        (mirrored, 1.0, "inside"),
    ):
        slopes = dict.fromkeys(kinks(each), slope)
        found = parameter_validity(each, slopes, shared=one_weight)
        assert found.status == status
    uneven = dict(zip(kinks(case), (1.0, 0.0), strict=True))
    found = parameter_validity(case, uneven, shared=one_weight)
    assert found.status == "outside"


def test_more_kinks_than_inputs_leave_cells_out() -> None:
    # Three lines through one point of the plane: 6 of the 8 patterns occur.
    case = Case.of(
        [[[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]], [[1.0, 1.0, 1.0]]],
        [[0.0] * 3, [1.0]],
        [[0.0, 0.0]],
        [[9.0]],
        output="identity",
    )
    point = point_of(case, kinks(case), 0)
    patterns = {tuple(cell.pattern.values()) for cell in point.cells}
    assert patterns == {(1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1)}


@pytest.mark.parametrize("decide_one", [input_validity, parameter_validity])
def test_thirty_kinks_at_once_are_decided_or_given_up_fast(decide_one: Decide) -> None:
    rng = np.random.default_rng(0)
    case = Case.of(
        [rng.integers(-2, 3, (30, 4)), np.ones((1, 30))],
        [np.zeros(30), [1.0]],
        [[0.0] * 4],
        [[5.0]],
    )
    begin = time.process_time()
    answer = decide(decide_one, case, 0.0)
    # 2^30 cells could not be gone through at all; no time is asserted closer than that.
    assert time.process_time() - begin < 60
    assert answer.status == ("inside" if decide_one is parameter_validity else "not decided")


def random_case(seed: int) -> Case:
    """A small kink-rich case, some layers without bias."""
    rng = np.random.default_rng(seed)
    widths = rng.integers(1, 4, rng.integers(2, 4))
    pairs = list(zip(widths[1:], widths[:-1], strict=True))
    rows = int(rng.integers(1, 3))
    return Case.of(
        [rng.integers(-1, 2, pair) for pair in pairs],
        [rng.integers(-1, 2, pair[0]) if rng.random() < 0.6 else None for pair in pairs],
        rng.integers(-1, 2, (rows, widths[0])),
        rng.integers(-2, 3, (rows, widths[-1])),
        output="identity" if rng.random() < 0.3 else "relu",
    )


def observed_patterns(case: Case, row: int | None, rng: np.random.Generator) -> set[Any]:
    """Patterns of the kinks at exact random points nearby, each layer moved at its own scale."""
    sites = [site for site in kinks(case) if row is None or site.row == row]
    found = set()

    def moved(array: Any, scale: int) -> Any:
        steps = rng.integers(-1000, 1001, array.shape)
        exact = np.empty(array.shape, dtype=object)
        for index, value in np.ndenumerate(array):
            exact[index] = Fraction(float(value)) + Fraction(int(steps[index]), 2**scale)
        return exact

    def fixed(array: Any) -> Any:
        return moved(array, 60) * 0 + np.vectorize(Fraction, otypes=[object])(array)

    for _ in range(400):
        scales = rng.integers(30, 70, case.network.depth)
        shift = moved if row is None else (lambda array, scale: fixed(array))
        weights = [shift(w, int(s)) for w, s in zip(case.weights, scales, strict=True)]
        biases = [
            None if b is None else shift(b, int(s))
            for b, s in zip(case.biases, scales, strict=True)
        ]
        x = fixed(case.x) if row is None else moved(case.x, 30)
        trace = forward(case.network, weights, biases, x, lambda z: np.where(z > 0, z, 0 * z))
        values = [trace.pre_activations[site.layer - 1][site.index] for site in sites]
        # At a random point only what is zero throughout its cell is zero, and has no influence.
        found.add(tuple(int(value > 0) for value in values))
    return found


@pytest.mark.parametrize("seed", range(60))
def test_no_cell_that_random_points_show_is_missing_and_certain_ones_are_there(seed: int) -> None:
    case = random_case(seed)
    sites = kinks(case)
    rng = np.random.default_rng(seed)
    for row in (None, *sorted({site.row for site in sites})):
        here = [site for site in sites if row is None or site.row == row]
        if not here or len(here) > 4:
            continue
        point = point_of(case, here, row)
        possible = {point.gradient(dict(cell.pattern)) for cell in point.cells}
        shown = {
            point.gradient(dict(zip(here, pattern, strict=True)))
            for pattern in observed_patterns(case, row, rng)
        }
        assert shown <= possible
        complete = {
            tuple(cell.pattern[site] for site in here) for cell in point.cells if cell.certain
        }
        if len(here) <= 2 and shown:
            certain = {point.gradient(dict(zip(here, p, strict=True))) for p in complete}
            assert certain <= shown


def test_a_gradient_of_slopes_all_in_a_cell_is_always_inside() -> None:
    for seed in range(40):
        case = random_case(seed)
        sites = kinks(case)
        if not sites or len(sites) > 5:
            continue
        point = point_of(case, sites, None)
        for cell in point.cells:
            if cell.certain:
                slopes = {site: float(gate) for site, gate in cell.pattern.items()}
                assert parameter_validity(case, slopes).status == "inside"


def test_the_verdict_carries_the_answer_for_parameters_and_inputs() -> None:
    verdict = Judge(IDENTITY).verdict(gradients(IDENTITY), framework="mine")
    assert verdict.kind is Kind.KINK
    assert [(each.block, each.status) for each in verdict.validity] == [
        ("parameters", "inside"),
        ("inputs", "outside"),
    ]
    half = Judge(IDENTITY).verdict(gradients(IDENTITY, kink_slope=0.5), framework="mine")
    assert [each.status for each in half.validity] == ["inside", "inside"]


def test_a_case_without_kinks_has_no_such_question() -> None:
    smooth = Case.of([[[1.0]]], [[1.0]], [[1.0]], [[5.0]])
    assert Judge(smooth).verdict(gradients(smooth), framework="mine").validity == ()


def thirds(*slopes: float) -> Gradients:
    """The gradient of `IDENTITY` with these slopes, as float64 has it."""
    one, other = slopes
    right = gradients(IDENTITY)
    return replace(
        right,
        weights=(np.zeros((2, 1)), right.weights[1]),
        biases=(np.array([one, -other]), right.biases[1]),
        x=np.array([[one + other]]),
    )


@pytest.mark.parametrize(
    ("slopes", "derivative", "status"),
    [
        pytest.param((1 / 3, 2 / 3), 1.0, "inside", id="a sum that rounds to the derivative"),
        pytest.param((0.3, 0.7), 1.0, "inside", id="another"),
        pytest.param((0.25, 0.5), 0.75, "outside", id="nothing rounded"),
        pytest.param((0.3, 0.6), 0.8999999999999999, "outside", id="rounded, and far away"),
        pytest.param((1 / 3, 2 / 3), 1.0 - 2.0**-53, "not decided", id="as near as rounding"),
    ],
)
def test_membership_is_asked_of_what_was_returned_and_of_its_bounds(
    slopes: tuple[float, float], derivative: float, status: str
) -> None:
    given = replace(thirds(*slopes), x=np.array([[derivative]]))
    verdict = Judge(IDENTITY).verdict(given, framework="mine")
    assert verdict.kind is Kind.KINK
    assert [gate.slope for gate in verdict.gates] == pytest.approx(slopes)
    assert {each.block: each.status for each in verdict.validity} == {
        "parameters": "inside",
        "inputs": status,
    }


CLOSE, UNSETTLED = "than rounding may take it", "first-order terms do not settle"


@pytest.mark.parametrize(
    ("certain", "uncertain", "target", "given", "width", "status", "reason"),
    [
        pytest.param([0, 1], [], 0.5, 0.5, 0.0, "inside", "2 adjacent cells", id="inside"),
        pytest.param([0, 1], [], 1.25, 0.75, 0.5, "inside", "as it was returned", id="returned"),
        pytest.param([0, 1], [], 1.25, 1.25, 0.0, "outside", "all 2", id="outside"),
        pytest.param([0, 1], [2], 2.25, 2.25, 0.0, "outside", "all 3", id="outside of all"),
        pytest.param([0, 1], [2], 1.75, 1.75, 0.0, "not decided", UNSETTLED, id="between"),
        pytest.param([0, 1], [], 1.75, 1.75, 0.5, "outside", "with its bounds", id="far"),
        pytest.param([0, 1], [2], 2.75, 2.75, 0.5, "outside", "with its bounds", id="far from all"),
        pytest.param([0, 1], [], 1.25, 1.25, 0.5, "not decided", CLOSE, id="near"),
        pytest.param([0, 1], [2], 1.25, 1.25, 0.5, "not decided", CLOSE, id="near a certain cell"),
        pytest.param([0, 1], [2], 2.25, 2.25, 0.5, "not decided", UNSETTLED, id="near another"),
        pytest.param([], [0, 1], 0.5, 0.5, 0.5, "not decided", UNSETTLED, id="no certain cell"),
    ],
)
def test_it_is_said_whether_rounding_or_uncertain_cells_leave_it_open(
    certain: list[int],
    uncertain: list[int],
    target: float,
    given: float,
    width: float,
    status: str,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # One input, and cells that have the slope itself as their gradient.
    monkeypatch.setattr(clarke, "is_silent", lambda *_: False)
    site = Place.of_gate(1, 0, 0)
    point: Any = SimpleNamespace(
        row=0,
        rows=[0],
        kinks=[site],
        budget=Budget(clarke.MOST_OPERATIONS),
        cells=[
            *(Cell({site: value}) for value in certain),
            *(Cell({site: value}, certain=False) for value in uncertain),
        ],
        gradient=lambda pattern: tuple(rationals(np.array([float(pattern[site])]))),
        variables=1,
        zero=rationals(np.zeros(1))[0],
        add_shared=lambda values: values,
    )

    def with_inputs(value: float) -> Gradients:
        return Gradients(np.array(0.0), (), (), np.array([[value]]))

    around = clarke.Around(with_inputs(given), with_inputs(width))
    found = clarke._membership(IDENTITY, point, {site: target}, lambda: around)
    assert found.status == status
    assert reason in found.reason


@pytest.mark.parametrize(
    ("vectors", "patterns"),
    [
        ([[2]], {(0,), (1,)}),
        ([[1], [-3]], {(0, 1), (1, 0)}),
        ([[1, 0], [2, 0], [0, 1]], {(0, 0, 0), (0, 0, 1), (1, 1, 0), (1, 1, 1)}),
        # Three lines through 0 in the plane: all but the two that have all signs equal.
        (
            [[1, 0], [0, 1], [-1, -1]],
            {(0, 0, 1), (0, 1, 0), (0, 1, 1), (1, 0, 0), (1, 0, 1), (1, 1, 0)},
        ),
        # The third is the sum of the others: it has their sign where they have one.
        (
            [[1, 0], [0, 1], [1, 1]],
            {(0, 0, 0), (0, 1, 0), (0, 1, 1), (1, 0, 0), (1, 0, 1), (1, 1, 1)},
        ),
    ],
)
def test_the_patterns_of_a_unit_are_the_signs_that_one_direction_gives_its_rows(
    vectors: list[list[int]], patterns: set[tuple[int, ...]]
) -> None:
    exact = [list(rationals(np.array(vector, dtype=np.float64))) for vector in vectors]
    found = own_parameters._patterns(exact, Budget(clarke.MOST_OPERATIONS))
    assert sorted(tuple(map(int, pattern)) for pattern in found) == sorted(patterns)


def opposite_rows(slope: dict[Place, float] | float) -> tuple[str, str]:
    """x = 1 and x = -1 without bias at w = 0: the kinks have opposite signs, J is not smooth."""
    case = Case.of(
        [[[0.0]], [[1.0]]], [None, [0.0]], [[1.0], [-1.0]], [[3.0], [5.0]], output="identity"
    )
    found = decide(parameter_validity, case, slope)
    return found.status, found.reason


def test_slopes_are_inside_by_own_parameters_only_as_these_can_choose_the_signs() -> None:
    # dJ/dw = -3 λ_0 + 5 λ_1, and the cells have -3 and 5.
    status, reason = opposite_rows(0.5)
    assert (status, "parameters can choose" in reason) == ("inside", True)
    assert (
        opposite_rows({Place.of_gate(1, 0, 0): 0.25, Place.of_gate(1, 1, 0): 0.75})[0] == "inside"
    )
    status, reason = opposite_rows({Place.of_gate(1, 0, 0): 0.0, Place.of_gate(1, 1, 0): 0.0})
    assert (status, "parameters can choose" in reason) == ("inside", False)  # 0 is between -3 and 5
    assert opposite_rows({Place.of_gate(1, 0, 0): 1.0, Place.of_gate(1, 1, 0): 0.0})[0] == "inside"
    # With 3 λ_0 + 5 λ_1 the cells have 3 and 5: not both gates, and not none.
    same = Case.of(
        [[[0.0]], [[1.0]]], [None, [0.0]], [[1.0], [-1.0]], [[-3.0], [5.0]], output="identity"
    )
    statuses = [decide(parameter_validity, same, slope).status for slope in (0.0, 0.5, 1.0)]
    assert statuses == ["outside", "inside", "outside"]


def test_a_kink_that_no_own_parameter_moves_must_have_no_influence() -> None:
    # x = 0 without bias below a bias: dJ/db2 shows λ2 only, and z1 = 0 stays.
    silent = Case.of([[[1.0]], [[1.0]], [[1.0]]], [None, [0.0], [1.0]], [[0.0]], [[3.0]])
    assert len(kinks(silent)) == 2
    for slope in (0.0, 0.3, 1.0):
        found = decide(parameter_validity, silent, slope)
        assert found.status == "inside"
        assert found.reason.startswith("each kink's sign")
    # In WITHOUT_BIASES z2 = W2 a1 with a1 = 0: its slopes count for dJ/dw1.
    for slope in (0.5, 1.0):
        assert decide(parameter_validity, WITHOUT_BIASES, slope).status == "outside"


def test_a_storm_is_decided_by_counting_before_anything_large_is_made() -> None:
    zeros = Case.of(
        [np.zeros((64, 64)), np.zeros((1, 64))],
        [np.zeros(64), np.zeros(1)],
        np.ones((2, 64)),
        np.ones((2, 1)),
    )
    sites = kinks(zeros)
    assert len(sites) == 130
    found = Subdifferential(zeros, sites)
    same = dict.fromkeys(sites, 1.0)
    assert found.parameters(same).status == "inside"
    assert found.inputs(same).status == "inside"
    mixed = {site: float(site.row) for site in sites}  # equal rows have equal signs
    answer = found.parameters(mixed)
    assert (answer.status, "at once" in answer.reason) == ("not decided", True)
    for point in found._points.values():
        assert point.budget.left >= 0
        assert not any(isinstance(value, Cell) for value in vars(point).values())


def test_work_that_is_too_much_is_not_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clarke, "MOST_OPERATIONS", 20)
    for one in (0.0, 1.0):
        answer = decide(
            input_validity, IDENTITY, {Place.of_gate(1, 0, 0): one, Place.of_gate(1, 0, 1): 1.0}
        )
        assert answer.status == "not decided"
        assert "more than 20 operations" in answer.reason


def test_where_no_cell_is_certain_rounded_slopes_are_no_reason_to_fail() -> None:
    # z2 is 0 in both rows whatever w1 is, so that first-order terms show no cell at all.
    case = Case.of(
        [[[0.0]], [[-2.0], [1.0], [0.0]]], None, [[2.0], [-2.0]], [[4, -2, 5], [1, -1, 1]]
    )
    sites = brute.kinks(case, brute.exact_trace(case))
    slopes = dict(zip(sites, (1 / 3, 0.7, 0.25, 2 / 3, 0.7, 0.7, 1 / 3, 1 / 3), strict=True))
    given = nearest_floats(brute.gradient(case, brute.exact_trace(case), dict(slopes)))
    verdict = Judge(case).verdict(given, framework="mine")
    assert verdict.kind is Kind.KINK
    assert [each.status for each in verdict.validity] == ["not decided", "inside"]
