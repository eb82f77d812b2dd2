"""How often λ matters by precision: counted right, explained by the gates, shown as it is."""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from functools import cache, partial
from typing import Any

import faulty
import numpy as np
import pytest

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.jax_ import JaxFramework
from crosscheck.frameworks.tensorflow_ import TensorFlowFramework
from crosscheck.frameworks.torch_ import TorchFramework
from crosscheck.judge.decisions import GateClass
from crosscheck.judge.enclosed import Enclosed
from crosscheck.network.dense import Case, Gradients
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import WORKING, format_of
from crosscheck.numbers.model import Model
from crosscheck.report.precision import as_json, plot, table
from crosscheck.studies.precision import gates, settings
from crosscheck.studies.precision.gates import GateCounts, count_gates
from crosscheck.studies.precision.measure import (
    FORMULATIONS,
    Factory,
    Influence,
    Result,
    influence,
    measure,
)
from crosscheck.studies.precision.settings import (
    DTYPES,
    Setting,
    default_settings,
    draw,
    quick_settings,
)
from crosscheck.tools.errors import UnsupportedError, UsageError

BUILT_IN = [TorchFramework, TensorFlowFramework, JaxFramework]
KINKS = (GateClass.KINK, GateClass.MAYBE_MISSED)


class Planted(Framework):
    """The reference's own gradients; ``where_ge`` takes what the test has planted."""

    name, module, packages = "planted", "numpy", ("numpy",)
    formulations = dict.fromkeys(FORMULATIONS, "by hand")
    dtypes = ("float64", "float32")

    def __init__(self, one: faulty.Fault = faulty.not_strict, *, formulation: str) -> None:
        super().__init__(formulation=formulation)
        self.one = one

    def gradients(self, case: Case) -> Gradients:
        fault = faulty.correct if self.formulation == "where" else self.one
        return faulty.Faulty(fault).gradients(case)


@cache
def pair(framework: type[Framework]) -> tuple[Framework, Framework]:
    return framework(formulation=FORMULATIONS[0]), framework(formulation=FORMULATIONS[1])


@cache
def results() -> tuple[Result, ...]:
    return tuple(measure(TorchFramework, quick_settings(), trials=20, seed=3))


def by_dtype(dtype: str) -> list[Result]:
    return [result for result in results() if result.setting.dtype == dtype]


def with_a_zero_unit(dtype: str) -> Case:
    """A hidden unit without weights or bias: z = 0 for every image, and its slope has effect."""
    case = draw(Setting((8,), dtype), seed=0, trial=0)
    first, second = case.weights
    b1, b2 = case.biases
    assert b1 is not None
    first, b1 = first.copy(), b1.copy()
    first[3], b1[3] = 0.0, 0.0
    return replace(case, weights=(first, second), biases=(b1, b2))


def counted_exactly(case: Case) -> GateCounts:
    """The classes of all gates, every open one decided on rationals."""
    enclosed = Enclosed(case, Model(format_of(case.dtype)))
    kinks = sum(gate.gate in KINKS for gate in enclosed.open_gates)
    gates = sum(sign.size for sign in enclosed.signs if sign is not None)
    return GateCounts(gates, len(enclosed.open_gates) - kinks, kinks)


def test_16_bits_change_often_and_64_never() -> None:
    half, brain, single, double = (
        sum(result.matters for result in by_dtype(dtype))
        for dtype in ("float16", "bfloat16", "float32", "float64")
    )
    assert double == 0
    assert single <= 1
    assert half >= 4
    assert brain >= 25
    assert max(result.share for result in by_dtype("bfloat16")) >= 0.8


def test_a_change_is_small_and_there_only_where_lambda_matters() -> None:
    for result in results():
        assert (result.largest_change > 0) == (result.matters > 0)
        assert result.largest_change < 0.2


def test_every_change_is_explained_by_an_open_gate() -> None:
    assert all(result.unexplained == 0 for result in results())


def test_fewer_bits_leave_more_gates_open() -> None:
    for groups in zip(*(by_dtype(dtype) for dtype in DTYPES), strict=True):
        half, brain, single, double = (result.counts for result in groups)
        assert brain.open > half.open > single.open >= double.open
        assert half.gates == brain.gates == single.gates == double.gates > 0
        assert single.kinks == double.kinks == 0


def test_what_fails_is_told_with_its_trial_and_the_other_settings_are_measured() -> None:
    def fails(case: Case) -> Gradients:
        if case.dtype == "float32":
            raise MemoryError("all of it")
        return faulty.correct(case)

    wanted = [Setting((4,), dtype) for dtype in ("float64", "float32", "float64")]
    found = measure(partial(Planted, fails), wanted, trials=2, seed=0)
    assert [result.trials for result in found] == [2, 0, 2]
    assert [result.failed for result in found] == [
        "",
        "planted: CRASHED: MemoryError: all of it; in trial 0",
        "",
    ]
    assert "| planted: CRASHED: MemoryError: all of it; in trial 0 |" in table(found)


@pytest.mark.parametrize("framework", BUILT_IN)
@pytest.mark.parametrize("dtype", WORKING)
def test_lambda_matters_in_every_dtype_at_a_unit_that_is_exactly_zero(
    framework: type[Framework], dtype: str
) -> None:
    case = with_a_zero_unit(dtype)
    found = influence(*pair(framework), case)
    assert found.matters
    assert found.change > 0.01
    assert count_gates(case).kinks >= case.rows


@pytest.mark.parametrize("dtype", DTYPES)
def test_without_biases_a_dead_layer_makes_kinks_in_every_dtype(dtype: str) -> None:
    (result,) = measure(
        TorchFramework, [Setting((2,) * 6, dtype, zero_biases=True)], trials=10, seed=1
    )
    assert result.counts.kinks > 0
    assert result.matters > 0
    assert result.unexplained == 0


def test_one_seed_gives_one_result_and_another_seed_another() -> None:
    settings = [Setting((16, 16), "bfloat16")]
    first, second, other = (
        measure(TorchFramework, settings, trials=8, seed=seed) for seed in (5, 5, 6)
    )
    assert first == second
    assert first != other


def test_all_dtypes_get_the_same_case_rounded() -> None:
    exact = draw(Setting((16, 16), "float64"), seed=2, trial=1)
    for dtype in DTYPES:
        case = draw(Setting((16, 16), dtype), seed=2, trial=1)
        rounded = Case.of(
            exact.weights, exact.biases, exact.x, exact.y,
            dtype=dtype, output="identity", reduction="mean",
        )  # fmt: skip
        assert case.key == rounded.key
        assert np.array_equal(case.x, exact.x)  # pixels are exact in every dtype
    assert draw(Setting((16, 16), "float64"), seed=2, trial=2).key != exact.key
    assert np.array_equal(draw(Setting((9,), "float64"), seed=2, trial=1).x, exact.x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("zero_biases", [False, True])
@pytest.mark.parametrize("hidden", [(6, 5), (3, 3, 3, 3)])
def test_the_classes_of_gates_are_those_decided_on_rationals(
    hidden: tuple[int, ...], zero_biases: bool, dtype: str
) -> None:
    for trial in range(4):
        setting = Setting(hidden, dtype, rows=6, zero_biases=zero_biases)
        case = draw(setting, seed=11, trial=trial)
        assert count_gates(case) == counted_exactly(case)


def tied(dtype: str = "float32") -> Case:
    """Two units that are equal and a third one, their rounded difference: z = 0 exactly."""
    case = draw(Setting((3, 3), dtype, rows=8), seed=4, trial=0)
    first, second, third = (weight.copy() for weight in case.weights)
    b1, b2, b3 = (np.zeros(len(weight)) for weight in (first, second, third))
    first[1] = first[0] = np.abs(first[0])
    second[0] = [0.75, -0.75, 0.0]
    return replace(case, weights=(first, second, third), biases=(b1, b2, b3))


def test_zeros_that_the_enclosure_cannot_see_are_found_on_rationals_in_some_rows() -> None:
    case = tied()
    enclosed = Enclosed(case, Model(format_of(case.dtype)))
    z = enclosed.trace.pre_activations[1]
    assert isinstance(z, Enclosure)
    assert np.all(z.r[:, 0] > 0)
    exact = counted_exactly(case)
    assert exact.kinks >= case.rows
    row = sum(weight.size for weight in case.weights)
    assert count_gates(case) == count_gates(case, exact_products=case.rows * row) == exact
    some = count_gates(case, exact_products=4 * row - 1)
    none = count_gates(case, exact_products=row - 1)
    assert (some.unclassified, none.unclassified) == (case.rows - 3, case.rows)
    assert some.kinks == none.kinks + 3
    assert some.open == none.open == exact.open
    assert some.undecided == none.undecided == exact.undecided


def test_a_zero_of_another_sign_or_nan_is_no_change() -> None:
    case = draw(Setting((2,), "float64", rows=1), seed=0, trial=0)

    def fixed(value: float) -> faulty.Fault:
        def gradients(case: Case) -> Gradients:
            return replace(faulty.correct(case), biases=(np.array([value, 1.0]), np.zeros(10)))

        return gradients

    class Fixed(Planted):
        def gradients(self, case: Case) -> Gradients:
            return self.one(case)

    def found(before: float, after: float) -> Influence:
        return influence(
            Fixed(fixed(before), formulation="where"),
            Fixed(fixed(after), formulation="where_ge"),
            case,
        )

    assert found(0.0, -0.0) == Influence(False, 0.0)
    assert found(np.nan, np.nan) == Influence(False, 0.0)
    assert found(1.0, np.nan) == Influence(True, np.inf)
    changed = found(1.0, np.nextafter(1.0, 2.0))
    assert changed.matters
    assert 0.0 < changed.change < 2.0**-52


def test_a_change_without_an_open_gate_is_not_explained() -> None:
    wrong: Factory = partial(Planted, faulty.scaled_gradient)
    (result,) = measure(wrong, [Setting((4,), "float64")], trials=3)
    assert (result.matters, result.unexplained) == (3, 3)
    assert result.largest_change == pytest.approx(2.0**-20)
    assert "**Not explained: 3 trials**" in table([result])
    assert "Not explained" not in table(results())


def test_the_gates_of_the_whole_minibatch_explain_a_change() -> None:
    # 40 images of which the last 8 lie in a second block: zero inputs make zero units there.
    case = draw(Setting((4,), "float64", rows=40), seed=0, trial=0)
    assert not gates.is_explained(case)
    x = case.x.copy()
    x[39] = 0.0
    assert gates.is_explained(replace(case, x=x, biases=(np.zeros(4), case.biases[1])))


def test_what_a_framework_cannot_do_is_a_row_with_the_reason() -> None:
    def refuses(case: Case) -> Gradients:
        raise UnsupportedError("planted:\nno | such kernel")

    settings = [Setting((4,), dtype) for dtype in ("float64", "float16")]
    double, half = measure(Planted, settings, trials=2)
    assert (double.unsupported, double.trials) == ("", 2)
    assert half.unsupported == "planted: float16 is none of its dtypes, float64, float32"
    assert (half.trials, half.matters, half.counts) == (0, 0, GateCounts())
    assert np.isnan(half.share)
    assert half.interval == (0.0, 1.0)
    (refused,) = measure(partial(Planted, refuses), settings[:1], trials=2)
    shown = table([double, half, refused])
    assert "| UNSUPPORTED: planted: float16 is none of its dtypes" in shown
    assert "| UNSUPPORTED: planted: no \\| such kernel |" in shown
    for line in shown.replace("\\|", "").splitlines():
        assert line.count("|") in (0, 10)


def test_repeat_multiplies_the_trials_of_one_setting() -> None:
    once, thrice = measure(
        Planted, [Setting((2,), "float32"), Setting((2,), "float32", repeat=3)], trials=2
    )
    assert (once.trials, thrice.trials) == (2, 6)
    assert (once.gate_trials, thrice.gate_trials) == (2, 6)
    assert once.counts.gates == 2 * 32 * 2


@pytest.mark.parametrize(
    ("matters", "trials", "low", "high"),
    # Brown, Cai and DasGupta (2001), equation 4, by hand.
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634)],
)
def test_the_interval_is_wilsons(matters: int, trials: int, low: float, high: float) -> None:
    found = Result(Setting((2,), "float64"), "any", trials, matters).interval
    assert [round(end, 4) for end in found] == [low, high]


def test_the_default_grid_has_every_series_in_every_dtype() -> None:
    settings = default_settings()
    assert len(set(settings)) == len(settings)
    for dtype in DTYPES:
        mine = [one for one in settings if one.dtype == dtype and not one.zero_biases]
        shapes = {(one.hidden, one.rows) for one in mine}
        assert {((width, width), 32) for width in (16, 64, 256)} <= shapes
        assert {((64,) * depth, 32) for depth in (1, 2, 4, 6)} <= shapes
        assert {((256, 256), rows) for rows in (32, 256, 1797)} <= shapes
    assert [one.dtype for one in default_settings(["float32"])] == ["float32"] * 9


def test_a_setting_knows_its_widths_and_gates() -> None:
    setting = Setting((16, 8), "float16", rows=4)
    assert setting.widths == (64, 16, 8, 10)
    assert setting.gates == 4 * 24
    assert draw(setting, seed=0, trial=0).network.widths == setting.widths


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"hidden": ()}, r"hidden=\(\): wanted a tuple with at least one width"),
        ({"hidden": (0,)}, "0 is not a positive integer"),
        ({"dtype": "int8"}, "dtype='int8'"),
        ({"rows": 0}, "rows=0: wanted a whole number, 1 to 1797"),
        ({"rows": 1798}, "rows=1798"),
        ({"repeat": True}, "repeat=True: wanted a whole number, 1 or more"),
    ],
    ids=["no-layer", "no-units", "dtype", "no-rows", "too-many-rows", "true-repeat"],
)
def test_a_bad_setting_is_named(arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        Setting(**{"hidden": (4,), "dtype": "float32", **arguments})


@pytest.mark.parametrize("name", ["trials", "seed", "gate_trials", "gate_rows", "exact_products"])
def test_a_bad_count_is_named(name: str) -> None:
    arguments: dict[str, Any] = {name: -1}
    with pytest.raises(UsageError, match=f"{name}=-1: wanted a whole number"):
        measure(Planted, [Setting((2,), "float32")], **arguments)


def test_a_framework_without_the_two_formulations_is_refused() -> None:
    class Plain(Planted):
        formulations = {"relu": "by hand"}  # noqa: RUF012

    with pytest.raises(UsageError, match="formulation='where' for planted: wanted one of relu"):
        measure(Plain, [Setting((2,), "float64")])


def test_the_table_is_well_formed_and_says_what_was_counted() -> None:
    lines = table(results()).splitlines()
    for start, dtype in zip((0, 6, 12, 18), DTYPES, strict=True):
        block = lines[start : start + 6]
        assert block[0].startswith(f"| {dtype} | images | gates | trials | λ matters |")
        assert {line.count("|") for line in block[:5]} == {10}
        assert [line.split(" |")[0] for line in block[2:5]] == ["| 2 × 16", "| 2 × 64", "| 4 × 64"]
        assert block[5] == ""
    assert lines[-2].startswith("torch. *λ matters*: percentage of the trials")
    assert "of the first 32 images of the first 20 trials" in lines[-1]
    half = by_dtype("bfloat16")[2]
    assert f"| 20 | {100 * half.share:.0f} |" in lines[10]


def test_gates_that_are_not_classified_have_a_column() -> None:
    (result,) = measure(Planted, [Setting((2,), "float32")], trials=1)
    shown = table([replace(result, counts=GateCounts(200, 3, 1, 1))])
    assert shown.splitlines()[0].endswith("| undecided | kink | not classified |")
    assert "| 2 | 0.5 | 0.5 |" in shown
    assert "(1)" in shown


def test_json_has_an_object_for_each_result() -> None:
    setting = Setting((2,), "float16")
    made_up = [
        Result(setting, "any", unsupported="no kernel"),
        Result(setting, "any", 1, 1, np.inf),
    ]
    lines = json.loads(json.dumps(as_json([*results(), *made_up]), allow_nan=False))
    assert len(lines) == len(results()) + 2
    for line, result in zip(lines, results(), strict=False):
        assert line["setting"]["hidden"] == list(result.setting.hidden)
        assert line["counts"]["undecided"] == result.counts.undecided
        assert (line["share"], tuple(line["interval"])) == (result.share, result.interval)
        assert line["largest_change"] == result.largest_change
    assert (lines[-2]["share"], lines[-2]["unsupported"]) == (None, "no kernel")
    assert (lines[-1]["share"], lines[-1]["largest_change"]) == (1.0, None)


def test_small_shares_do_not_look_like_none_and_large_ones_not_like_all() -> None:
    setting = Setting((2,), "float32")
    counts = GateCounts(10**6, 10, 999_999)
    shown = table([Result(setting, "any", 1000, 999, 1e-3, counts, 1, 1)])
    assert "| 1,000 | 99.9 |" in shown
    assert "| 1e-03 | 99.9 |" in shown


def test_the_figure_is_a_self_contained_svg_and_the_same_every_time() -> None:
    drawn = plot(results())
    root = ET.fromstring(drawn)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert plot(results()) == drawn
    links = {
        value
        for element in root.iter()
        for name, value in element.attrib.items()
        if name.endswith("href") and not value.startswith("#")
    }
    assert not links
    assert "<image" not in drawn
    assert "<script" not in drawn
    assert "<dc:date>" not in drawn
    titles = [element.text for element in root.iter() if element.tag.endswith("}title")]
    assert set(titles) == {"How often the derivative of ReLU at 0 changes the gradient"}


def test_each_series_has_two_panels() -> None:
    def panels(drawn: str) -> int:
        return sum(f'id="axes_{number}"' in drawn for number in range(1, 10))

    assert panels(plot(results())) == 4  # width and depth
    assert panels(plot(results()[:1])) == 2  # one network: over the number of gates
    made_up = [
        Result(setting, "any", 10, 3, 0.1, GateCounts(100, 5), 10, 32)
        for setting in default_settings()
    ]
    assert panels(plot(made_up)) == 6


def test_nothing_to_draw_is_an_error_of_one_line() -> None:
    none = Result(Setting((2,), "float16"), "any", unsupported="no kernel")
    with pytest.raises(UsageError, match="every setting is unsupported"):
        plot([none])


def test_without_matplotlib_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawable = results()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match=r"pip install 'matplotlib>="):
        plot(drawable)


def test_without_scikit_learn_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings._digits.cache_clear()
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(UsageError, match=r"pip install 'scikit-learn>="):
        draw(Setting((2,), "float32"), seed=0, trial=0)
