"""The faults, each with a test that must notice it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ourselves.planting import Fault, around, changed, of_first

__all__ = ["FAULTS"]


def _with(enclosure: Any, **parts: Any) -> Any:
    """An enclosure with another c, r or e."""
    have = {name: parts.get(name, getattr(enclosure, name)) for name in ("c", "r", "e")}
    for kind in type(enclosure).__mro__:
        if kind.__name__ == "Enclosure":
            return kind(enclosure.model, have["c"], have["r"], have["e"])
    raise TypeError(type(enclosure))


def _sum_network(network: Any) -> Any:
    return replace(network, reduction="sum")


def _without_last_row(right: Any, bias: Any, activation: Any, delta: Any) -> Any:
    rows = delta.shape[-2]
    keep = slice(0, max(1, rows - 1))
    return right(bias, activation[..., keep, :], delta[..., keep, :])


def _bias_of_first_row(right: Any, bias: Any, activation: Any, delta: Any) -> Any:
    weight, given = right(bias, activation, delta)
    return weight, None if given is None else delta[..., :1, :].sum(axis=-2)


def _ungated_below(right: Any, weight: Any, bias: Any, a: Any, cotangent: Any, gate: Any) -> Any:
    *own, _ = right(weight, bias, a, cotangent, gate)
    return (*own, cotangent @ weight)


def _no_bias(right: Any, network: Any, weights: Any, biases: Any, x: Any, relu: Any) -> Any:
    return right(network, weights, [*biases[:-1], None], x, relu)


def _doubled_loss(found: Any) -> Any:
    loss, cotangent = found
    return loss + loss, cotangent


def _top_negated(found: Any) -> Any:
    return replace(found, weights=(*found.weights[:-1], 0 - found.weights[-1]))


def _towards_zero(right: Any, self: Any, values: Any) -> Any:
    found, values = right(self, values), np.asarray(values, dtype=np.float64)
    over = np.abs(found) > np.abs(values)
    return np.where(over & np.isfinite(found), found - np.copysign(self.ulp(found), found), found)


REFERENCE = (
    Fault(
        "the last layer's bias is not added",
        "forward pass",
        around(_no_bias),
        "test_reference.py::test_the_worked_example_gives_the_gradient_found_by_hand",
    ),
    Fault(
        "an identity output has a ReLU",
        "layers with a ReLU",
        changed(lambda has: True),
        "test_gates.py::test_an_identity_output_has_no_gates",
    ),
    Fault(
        "the loss has no ½",
        "loss and its cotangent",
        changed(_doubled_loss),
        "test_reference.py::test_the_worked_example_gives_the_gradient_found_by_hand",
    ),
    Fault(
        "a mean is not divided by the rows",
        "loss and its cotangent",
        of_first(_sum_network),
        "test_reference.py::test_sympy_finds_the_same_gradient_by_differentiating_the_loss",
    ),
    Fault(
        "the last row adds nothing to weights and biases",
        "parameters of a layer",
        around(_without_last_row),
        "test_reference.py::test_sympy_finds_the_same_gradient_by_differentiating_the_loss",
    ),
    Fault(
        "biases get the first row alone",
        "parameters of a layer",
        around(_bias_of_first_row),
        "test_reference.py::test_sympy_finds_the_same_gradient_by_differentiating_the_loss",
    ),
    Fault(
        "the gate is forgotten on the way down",
        "one layer backwards",
        around(_ungated_below),
        "test_reference.py::test_sympy_finds_the_same_gradient_by_differentiating_the_loss",
    ),
    Fault(
        "the top layer has the other sign in forward mode",
        "forward mode",
        changed(_top_negated),
        "test_forward_mode.py::test_forward_and_reverse_mode_are_equal_in_rationals",
    ),
    Fault(
        "the slope at zero is 1 whatever is asked for",
        "gradient in floats",
        around(lambda right, case, kink_slope=0.0: right(case, kink_slope=1.0)),
        "test_reference.py::test_the_slope_at_a_kink_is_an_argument",
    ),
    Fault(
        "numbers are rounded towards zero",
        "rounding to a format",
        around(_towards_zero),
        "test_sweep_compiled.py::test_numbers_are_rounded_as_the_format_rounds",
    ),
)

_SOUND = "test_bounds.py::test_no_evaluation_leaves_its_bound"


def _rule(name: str) -> str:
    """The same for one rule, in a format of four bits."""
    return f"{_SOUND}[a_{name}-four-bits-gradual]"


_WHOLE = "test_whole_gradients.py::test_no_correct_evaluation_is_called_wrong"
_CERTIFIED = "test_bounds.py::test_a_certificate_of_exactness_is_given_and_kept"
_FIT = "test_verdicts.py::test_a_sum_that_just_does_not_fit_is_not_taken_for_exact"


def _any_size(right: Any, self: Any) -> Any:
    return right(self) | self.all_exact


def _infinite_is_large(found: Any) -> Any:
    return np.where(np.isinf(found), 2.0**100, found)


BOUNDS = (
    Fault("u is a quarter of itself", "unit roundoff", changed(lambda u: u / 4), _SOUND),
    Fault("products never underflow", "loss by underflow", changed(lambda tau: 0.0), _SOUND),
    Fault(
        "flushing takes no more than gradual underflow",
        "smallest safe number",
        around(lambda right, model: model.format.smallest_subnormal),
        _SOUND,
    ),
    Fault("a sum's bound is half of it", "error of a sum", changed(lambda e: e / 2), _SOUND),
    Fault(
        "θ has one factor less",
        "roundings of a term",
        changed(lambda k: np.maximum(k - 1, 0)),
        _SOUND,
    ),
    Fault(
        "one addition is not counted",
        "additions of a sum",
        changed(lambda k: np.maximum(k - 1, 0)),
        _SOUND,
    ),
    Fault(
        "errors of operands are not carried",
        "error of a sum",
        around(lambda right, self: np.maximum(right(self) - self.terms.carried, 0.0)),
        _SOUND,
    ),
    Fault(
        "the reference's own error is left out",
        "the reference's error in a sum",
        changed(lambda r: r * 0.0),
        _SOUND,
    ),
    Fault("exact operands make any sum exact", "certificate of exactness", around(_any_size), _FIT),
    Fault(
        "lowest bits are taken for one place higher",
        "lowest bit",
        changed(lambda grain: grain + 1),
        _CERTIFIED,
    ),
    Fault(
        "a sum that may overflow has a bound",
        "error of a sum",
        changed(_infinite_is_large),
        "test_verdicts.py::test_one_entry_that_may_overflow_is_not_hidden_by_another_that_may_not",
    ),
    Fault(
        "a residual is not rounded",
        "error of a residual",
        around(lambda right, a, y: _with(right(a, y), e=a.e + y.e)),
        _rule("residual"),
    ),
    Fault(
        "a product with a gate is not rounded",
        "error of a gated cotangent",
        around(lambda right, g, gate: _with(right(g, gate), e=gate * g.e)),
        _rule("gate"),
    ),
    Fault(
        "a division is not rounded",
        "error of a quotient",
        around(lambda right, q, divisor: _with(right(q, divisor), e=q.e / divisor)),
        _rule("division"),
    ),
    Fault(
        "a ReLU takes the error away",
        "error of a ReLU",
        changed(lambda a: _with(a, e=a.e * 0.0)),
        _rule("relu"),
    ),
    Fault(
        "reading subnormal operands as zero loses nothing",
        "what reading as zero loses",
        changed(lambda lost: lost * 0.0),
        _SOUND,
    ),
    Fault(
        "the loss has its constants last",
        "error of the loss",
        around(lambda right, loss, residual, divisor: loss),
        "test_alarms.py::test_a_mean_may_be_divided_square_by_square",
    ),
    Fault(
        "a loss tangent's bound is half of it",
        "error of a loss tangent",
        changed(lambda found: _with(found, e=found.e / 2)),
        "test_forward_mode.py::test_no_correct_forward_mode_is_called_wrong",
    ),
    Fault("half of a bound is compared", "bound to compare with", changed(lambda b: b / 2), _WHOLE),
    Fault(
        "roundings of the bounds themselves are forgotten",
        "rounding of bounds",
        around(lambda right, bound, depth: bound),
        "test_verdicts.py::test_a_sum_that_just_does_not_fit_is_not_taken_for_exact",
    ),
    Fault(
        "NaN is inside every bound",
        "comparison with a bound",
        around(lambda right, bound, values: right(bound, values) & ~np.isnan(np.asarray(values))),
        "test_verdicts.py::test_nan_where_a_number_is_wanted_disagrees",
    ),
)


def _kink_whatever(right: Any, *args: Any) -> Any:
    found = right(*args)
    return replace(found, gate=type(found.gate)["KINK"])


GATES = (
    Fault(
        "a sign has no margin",
        "margin of a sign",
        changed(lambda margin: margin * 0.0),
        "test_gates.py::test_a_value_within_rounding_of_zero_is_undecided",
    ),
    Fault(
        "every open gate is a kink",
        "class of an open gate",
        around(_kink_whatever),
        "test_gates.py::test_a_value_within_rounding_of_zero_is_undecided",
    ),
    Fault(
        "no gate is ever open",
        "gates that are open",
        changed(lambda are: are & False),
        "test_verdicts.py::test_any_slope_in_the_unit_interval_is_read_off",
    ),
)


def _left_whatever(right: Any, enclosed: Any, given: Any) -> Any:
    found = right(enclosed, given)
    if found is not None:
        return found
    from importlib import import_module

    module = import_module(right.__module__)
    return module.Left({}, enclosed.gradients(module.hulls(enclosed)))


def _other_slopes(found: Any) -> Any:
    if found is None:
        return None
    return replace(found, slopes={site: 1.0 - slope for site, slope in found.slopes.items()})


def _wide_open(right: Any, enclosure: Any, given: Any) -> bool:
    return True


KINKS = (
    Fault(
        "slopes are read and not tested",
        "entries of a layer out of reach",
        changed(lambda leaves: False),
        "test_influence.py::test_a_fault_that_only_dj_dx_shows_is_caught",
    ),
    Fault(
        "without open gates, every gradient is explained",
        "all entries contained",
        around(_wide_open),
        "test_verdicts.py::test_a_planted_fault_is_caught",
    ),
    Fault(
        "the other slope is told",
        "explained by slopes",
        changed(_other_slopes),
        "test_verdicts.py::test_any_slope_in_the_unit_interval_is_read_off",
    ),
    Fault(
        "linear programs exclude everything",
        "slopes left by linear programs",
        around(lambda right, enclosed, given: None),
        "test_exclusion.py::test_what_is_neither_found_nor_excluded_is_left_open",
    ),
    Fault(
        "linear programs exclude nothing",
        "slopes left by linear programs",
        around(_left_whatever),
        "test_exclusion.py::test_a_fault_at_kinks_in_several_rows_is_caught",
    ),
    Fault(
        "a corrupted certificate is accepted",
        "certificate of a program",
        changed(lambda holds: True),
        "test_exact_lp.py::test_a_corrupted_certificate_is_rejected",
    ),
    Fault(
        "no slope explains anything",
        "explained by slopes",
        around(
            lambda right, enclosed, given: None if enclosed.open_gates else right(enclosed, given)
        ),
        "test_verdicts.py::test_greater_or_equal_is_a_boundary_difference_and_no_fault",
    ),
    Fault(
        "no slope has an influence",
        "influence of slopes",
        changed(lambda found: {site: _least(value) for site, value in found.items()}),
        "test_influence.py::test_slopes_that_only_the_inputs_show_are_read_and_judged",
    ),
    Fault(
        "slopes are put in the other way round",
        "gradients of slopes",
        around(
            lambda right, enclosed, slopes: right(enclosed, {s: 1 - v for s, v in slopes.items()})
        ),
        "test_verdicts.py::test_a_flushed_subnormal_is_named_and_not_blamed",
    ),
)


def _least(value: Any) -> Any:
    return type(value)["NONE"]


CLARKE = (
    Fault(
        "only the first adjacent cell is looked at",
        "adjacent cells",
        around(lambda right, point: list(right(point))[:1]),
        "test_clarke.py::test_without_biases_it_depends_on_which_slopes_go_together",
    ),
    Fault(
        "everything is a convex combination",
        "convex combination",
        around(lambda right, gradients, target: True),
        "test_clarke.py::test_two_relus_that_make_the_identity",
    ),
    Fault(
        "nothing but a vertex is a convex combination",
        "convex combination",
        around(lambda right, gradients, target: target in gradients),
        "test_clarke.py::test_a_shared_weight_is_one_variable",
    ),
    Fault(
        "every pattern of signs is taken to occur",
        "every pattern occurs",
        changed(lambda reason: reason or "they all do"),
        "test_clarke.py::test_equal_rows_share_the_sign_of_their_kinks",
    ),
    Fault(
        "every cell has a direction",
        "a direction into a cell",
        changed(lambda has: True),
        "test_clarke.py::test_equal_rows_share_the_sign_of_their_kinks",
    ),
)


def _never(kind: str, instead: str) -> Any:
    """A verdict of one kind is of another."""

    def change(verdict: Any) -> Any:
        kinds = type(verdict.kind)
        return replace(verdict, kind=kinds[instead]) if verdict.kind is kinds[kind] else verdict

    return changed(change)


def _all_agree(right: Any, self: Any, given: Any, *more: Any, **others: Any) -> Any:
    agrees, largest = right(self, given, *more, **others)
    return agrees | True, largest * 0.0


JUDGE = (
    Fault(
        "what disagrees is called REDUCED",
        "verdict of a case",
        _never("DISAGREES", "REDUCED"),
        "test_verdicts.py::test_a_planted_fault_is_caught",
    ),
    Fault(
        "what disagrees agrees",
        "verdict of a case",
        _never("DISAGREES", "AGREES"),
        "test_verdicts.py::test_a_planted_fault_is_caught",
    ),
    Fault(
        "a kink agrees",
        "verdict with open gates",
        around(lambda right, readings: type(right(()))["AGREES"]),
        "test_verdicts.py::test_greater_or_equal_is_a_boundary_difference_and_no_fault",
    ),
    Fault(
        "shapes are not looked at",
        "shapes of a gradient",
        changed(lambda detail: ""),
        "test_verdicts.py::test_a_gradient_of_the_wrong_shape_disagrees_and_says_so",
    ),
    Fault(
        "an error that is NaN is none",
        "ratio of error and bound",
        around(lambda right, error, bound: right(np.nan_to_num(error), bound)),
        "test_fused.py::test_nan_in_a_gradient_never_agrees",
    ),
    Fault(
        "every case of a stack agrees",
        "agreement of a stack",
        around(_all_agree),
        "test_verdicts.py::test_a_stack_gets_the_verdicts_of_its_cases",
    ),
    Fault(
        "the compiled pass certifies everything",
        "compiled agreement",
        around(_all_agree),
        "test_fused.py::test_nan_in_a_gradient_never_agrees",
    ),
    Fault(
        "no bound is too wide to tell from zero",
        "entries that a bound can tell from zero",
        changed(lambda are: are & False),
        "test_vacuity.py::test_an_array_is_checked_where_a_bound_is_below_the_size_of_an_entry",
    ),
    Fault(
        "together, nothing is explained by the wrong slope",
        "verdicts together",
        changed(lambda found: {at: replace(one, gates=()) for at, one in found.items()}),
        "test_together.py::test_each_case_has_the_verdict_it_gets_by_itself",
    ),
)


def _ends_well(right: Any, *args: Any, **more: Any) -> Any:
    code, reason = right(*args, **more)
    return type(code)(0), reason


def _without_smooth(right: Any, checked: Any, states: Any, started: Any, **more: Any) -> Any:
    return right(checked, states, replace(started, seed=None), **more)


def _real_parts(right: Any, given: Any, case: Any, **more: Any) -> Any:
    def real(array: Any) -> Any:
        return array.real if isinstance(array, np.ndarray) and np.iscomplexobj(array) else array

    if hasattr(given, "weights") and isinstance(given.weights, tuple):
        given = replace(given, weights=tuple(map(real, given.weights)))
    return right(given, case, **more)


def _without_last(right: Any, self: Any, start: int, stop: int) -> Any:
    parts = list(right(self, start, stop))
    return iter(parts[:-1])


RUN = (
    Fault(
        "DISAGREES does not fail a run",
        "verdicts that fail a run",
        lambda failing: frozenset(kind for kind in failing if kind.name != "DISAGREES"),
        "test_crosscheck.py::test_a_disagreement_ends_with_1",
    ),
    Fault(
        "every coarser arithmetic is allowed",
        "whether a verdict fails",
        around(
            lambda right, verdict, allowed=(): (
                verdict.kind.name != "REDUCED" and right(verdict, allowed)
            )
        ),
        "test_verdicts.py::test_a_verdict_fails_a_run_unless_its_arithmetic_is_allowed",
    ),
    Fault(
        "every run ends with 0",
        "how a run ends",
        around(_ends_well),
        "test_crosscheck.py::test_a_disagreement_ends_with_1",
    ),
    Fault(
        "a broken framework is no failure",
        "how a run ends",
        around(lambda right, checked, states, *a, **more: right(checked, [], *a, **more)),
        "test_crosscheck.py::test_a_broken_framework_ends_with_1",
    ),
    Fault(
        "a run without a smooth case is a run",
        "how a run ends",
        around(_without_smooth),
        "test_crosscheck.py::test_a_run_that_checked_no_smooth_case_ends_with_5",
    ),
    Fault(
        "the report leaves failing verdicts out",
        "failing verdicts of a case",
        changed(lambda found: ()),
        "test_report.py::test_the_summary_names_failures_and_escapes_bars",
    ),
    Fault(
        "every case counts as another",
        "cases seen before",
        around(lambda right, case: iter([np.random.default_rng().integers(2**62)])),
        "test_crosscheck.py::test_repeated_cases_are_counted_once",
    ),
    Fault(
        "failures are not made smaller",
        "smaller cases",
        around(lambda right, case, fails, **more: case),
        "test_sweep.py::test_the_first_failure_of_each_framework_is_made_small_and_has_a_program",
    ),
    Fault(
        "imaginary parts are dropped",
        "the gate",
        around(_real_parts),
        "test_gatekeeper.py::test_what_is_no_gradient_is_a_crash_with_the_reason",
    ),
    Fault(
        "nobody looks whether arrays that were lent have changed",
        "arrays that were lent",
        around(lambda right, array, wanted: False),
        "test_gatekeeper.py::test_what_is_no_gradient_is_a_crash_with_the_reason",
    ),
    Fault(
        "the last part of a sweep is skipped",
        "parts of a sweep",
        around(_without_last),
        "test_sweep_cases.py::test_parts_cover_every_case_once_wherever_they_are_cut",
    ),
    Fault(
        "a sweep is resumed with other versions",
        "what has changed since",
        around(lambda right, then, now: ""),
        "test_sweep.py::test_a_sweep_is_not_resumed_with_other_versions_or_from_a_broken_file",
    ),
    Fault(
        "hard families are never drawn",
        "families of cases",
        changed(lambda found: found * 0),
        "test_sweep_cases.py::test_one_case_in_sixteen_thousand_is_a_hard_one_and_the_first_is",
    ),
    Fault(
        "what a batch leaves open is not looked at",
        "cases left to be judged",
        changed(lambda positions: []),
        "test_sweep.py::test_a_case_of_a_sweep_has_the_verdict_it_has_alone[torch]",
    ),
)

FAULTS = (*REFERENCE, *BOUNDS, *GATES, *KINKS, *CLARKE, *JUDGE, *RUN)
