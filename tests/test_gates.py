"""The sign of every pre-activation is certified, decided exactly, or said to be open."""

from __future__ import annotations

import numpy as np
import pytest

from crosscheck.judge.decisions import GateClass
from crosscheck.judge.enclosed import Enclosed
from crosscheck.network.dense import Case
from crosscheck.network.exact import exact_forward, nearest_float
from crosscheck.numbers.formats import FORMATS, format_of
from crosscheck.numbers.model import Model


def one_gate(
    w: list[float], x: list[float], b: float | None, *, dtype: str = "float64", flush: bool = False
) -> tuple[GateClass, float]:
    """The class and the value of z = Σ w x + b."""
    case = Case.of([[w]], [None if b is None else [b]], [x], [[1.0]], dtype=dtype)
    (gate,) = Enclosed(case, Model(format_of(dtype), flush=flush)).gates
    assert (gate.layer, gate.row, gate.unit) == (1, 0, 0)
    return gate.gate, gate.value


@pytest.mark.parametrize("dtype", FORMATS)
def test_a_clear_sign_is_certain(dtype: str) -> None:
    assert one_gate([1.0, 2.0], [3.0, 1.0], -1.0, dtype=dtype) == (GateClass.ACTIVE, 4.0)
    assert one_gate([1.0, -2.0], [1.0, 2.0], 1.0, dtype=dtype) == (GateClass.INACTIVE, -2.0)


@pytest.mark.parametrize("dtype", FORMATS)
def test_an_exact_zero_that_no_order_of_summation_can_miss_is_a_kink(dtype: str) -> None:
    # 1·2 - 3·1 + 1 = 0: all partial sums are small whole numbers.
    assert one_gate([1.0, -3.0], [2.0, 1.0], 1.0, dtype=dtype) == (GateClass.KINK, 0.0)
    assert one_gate([0.0, -0.0], [3.0, 2.0], -0.0, dtype=dtype) == (GateClass.KINK, 0.0)
    assert one_gate([0.0, 0.0], [3.0, 2.0], None, dtype=dtype) == (GateClass.KINK, 0.0)


@pytest.mark.parametrize("dtype", FORMATS)
def test_an_exact_zero_that_rounding_can_miss_is_told_apart(dtype: str) -> None:
    # 1 + t - 1 - t = 0 with t = u/2: summed from the left 1 + t rounds to 1 and leaves -t.
    t = 0.5 * format_of(dtype).unit_roundoff
    found = one_gate([1.0, 1.0, 1.0, 1.0], [1.0, t, -1.0, -t], None, dtype=dtype)
    assert found == (GateClass.MAYBE_MISSED, 0.0)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_value_within_rounding_of_zero_is_undecided(dtype: str) -> None:
    # (1 + h)² - (1 + 2h) = h² > 0: zero if the product is rounded, h² if it is fused.
    h = 2.0 ** {"float64": -27, "float32": -12}[dtype]
    found = one_gate([1.0 + h], [1.0 + h], -(1.0 + 2 * h), dtype=dtype)
    assert found == (GateClass.UNDECIDED, h * h)


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_subnormal_is_certain_unless_it_may_be_flushed(dtype: str, sign: float) -> None:
    tiny = sign * format_of(dtype).smallest_subnormal
    certain = GateClass.ACTIVE if sign > 0 else GateClass.INACTIVE
    assert one_gate([0.0], [1.0], tiny, dtype=dtype) == (certain, tiny)
    assert one_gate([0.0], [1.0], tiny, dtype=dtype, flush=True) == (GateClass.UNDECIDED, tiny)
    # The smallest normal number is safe from that.
    normal = sign * format_of(dtype).smallest_normal
    assert one_gate([0.0], [1.0], normal, dtype=dtype, flush=True) == (certain, normal)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_value_too_small_for_a_float_is_not_shown_as_zero_and_keeps_its_sign(sign: float) -> None:
    # z = ±2^-1074 · 2^-10 is not zero, though float64 has no such number.
    gate, value = one_gate([2.0**-1074], [sign * 2.0**-10], None)
    assert gate is GateClass.UNDECIDED
    assert value == sign * 2.0**-1074


def test_every_gate_is_listed_with_its_place_and_its_value_in_hexadecimal() -> None:
    case = Case.of(
        [[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [1.0]], [[2.0], [0.0]], [[0.0], [0.0]]
    )
    gates = Enclosed(case, Model(format_of("float64"))).gates
    told = [f"{gate.place}: {gate.gate}, z = {gate.value.hex()}" for gate in gates]
    assert told == [
        "layer 1, unit 0, row 0: active, z = 0x1.0000000000000p+1",
        "layer 1, unit 1, row 0: inactive, z = -0x1.0000000000000p+1",
        "layer 1, unit 0, row 1: kink, z = 0x0.0p+0",
        "layer 1, unit 1, row 1: kink, z = 0x0.0p+0",
        "layer 2, unit 0, row 0: active, z = 0x1.8000000000000p+1",
        "layer 2, unit 0, row 1: active, z = 0x1.0000000000000p+0",
    ]


def test_an_identity_output_has_no_gates() -> None:
    case = Case.of([[[1.0]]], [[0.0]], [[0.0]], [[1.0]], output="identity")
    assert Enclosed(case, Model(format_of("float64"))).gates == ()


def test_an_open_gate_below_makes_no_gate_above_certain_that_is_not() -> None:
    # a1 is 0 or h², and z2 = a1 - h²/2 is positive exactly: whoever rounds a1 to 0 sees -h²/2.
    h = 2.0**-27
    case = Case.of([[[1.0 + h]], [[1.0]]], [[-(1.0 + 2 * h)], [-h * h / 2]], [[1.0 + h]], [[1.0]])
    gates = Enclosed(case, Model(format_of("float64"))).gates
    assert [gate.gate for gate in gates] == [GateClass.UNDECIDED] * 2
    assert np.sign([gate.value for gate in gates]).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_open_gates_have_the_signs_and_values_of_the_whole_exact_forward_pass(dtype: str) -> None:
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(40):
        # Few values, so that sums are often zero, some of them with bits that rounding takes.
        widths = [(4, 3), (5, 4), (4, 5), (2, 4)]
        case = Case.of(
            [rng.choice([-1.0, 0.0, 1.0, 1.0 + 2.0**-7], shape) for shape in widths],
            [rng.choice([-1.0, 0.0, 1.0], 4), None, rng.choice([-1.0, 0.0, 1.0], 4), None],
            rng.choice([-2.0, 1.0, 1.0 + 2.0**-6], (3, 3)),
            np.ones((3, 2)),
            dtype=dtype,
        )
        enclosed = Enclosed(case, Model(format_of(dtype)))
        exact = exact_forward(case).pre_activations
        places = []
        for gate in enclosed.open_gates:
            value = exact[gate.layer - 1][gate.row, gate.unit]
            assert gate.sign == int(value > 0) - int(value < 0)
            assert gate.value == nearest_float(value)
            places.append((gate.layer, gate.row, gate.unit))
        assert places == [
            (layer, row, unit)
            for layer, sign in enumerate(enclosed.signs, start=1)
            for row, unit in np.argwhere(np.asarray(sign) == 0).tolist()
        ]
        found += len(places)
    assert found > 100
