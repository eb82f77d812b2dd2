"""Operators that move numbers, add them up and choose: definitions, frameworks, planted faults."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from processors import tensorflow_cuts

from crosscheck.cases.composed import plans, recurrence, seeded_composed
from crosscheck.frameworks.gatekeeper import ask
from crosscheck.frameworks.refusals import Refused
from crosscheck.frameworks.registry import open_frameworks
from crosscheck.frameworks.text import statements
from crosscheck.judge.local.judge import LocalJudge
from crosscheck.judge.local.record import Recorded
from crosscheck.judge.programs.judge import ProgramJudge
from crosscheck.judge.verdict import Kind
from crosscheck.network.composed import Composed, Derivatives
from crosscheck.network.exact import rational_of, rationals
from crosscheck.network.steps import step
from crosscheck.numbers.multilinear import fraction
from crosscheck.operators.operator import Use
from crosscheck.operators.registry import known, operator_of
from crosscheck.program.derive import vjp
from crosscheck.program.evaluate import evaluate
from crosscheck.program.exact import OnExact
from crosscheck.program.graph import Graph
from crosscheck.studies.simulated import StepFault, simulated
from crosscheck.tools.errors import UsageError

Arrays = Mapping[str, Any]

LINEAR = [
    "avg_pool1d", "avg_pool2d", "concatenate", "conv1d", "conv2d", "embedding", "flatten", "mean",
    "pad", "sum", "where",
]  # fmt: skip
CHOOSING = ["max", "max_pool1d", "max_pool2d", "maximum", "min", "minimum"]
EXACT = [*LINEAR, *CHOOSING]


def used(name: str) -> list[Any]:
    """An operator with its defaults and with each variant."""
    operator = operator_of(name)
    return [
        pytest.param(name, settings, id=f"{name}-{number}")
        for number, settings in enumerate(({}, *operator.variants))
    ]


EVERY = [each for name in EXACT for each in used(name)]


# -- what an operator is, in words of plain Python ---------------------------------------------


def windows(
    length: int, size: int, stride: int, padding: int = 0, dilation: int = 1
) -> list[list[int]]:
    """The places of the entries of each window; those beyond the ends are padding."""
    last = length + padding - dilation * (size - 1)
    return [[at + tap * dilation for tap in range(size)] for at in range(-padding, last, stride)]


def numbers(value: Any, count: int) -> list[int]:
    found = [int(each) for each in str(value).split()]
    return found * count if len(found) == 1 else found


def convolved(arrays: Arrays, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    x, W, b = (np.asarray(arrays[name], dtype=object) for name in ("x", "W", "b"))
    axes = x.ndim - 2
    each = [
        windows(x.shape[1 + k], W.shape[1 + k], s, p, d)
        for k, (s, p, d) in enumerate(
            zip(numbers(stride, axes), numbers(padding, axes), numbers(dilation, axes), strict=True)
        )
    ]
    found = np.empty((len(x), *map(len, each), len(W)), dtype=object)
    for row, *positions, unit in np.ndindex(*found.shape):
        first = unit // (len(W) // groups) * W.shape[-1]
        total = b[unit]
        for *taps, feature in np.ndindex(*W.shape[1:]):
            at = [each[k][positions[k]][taps[k]] for k in range(axes)]
            if all(0 <= i < x.shape[1 + k] for k, i in enumerate(at)):
                total += x[(row, *at, first + feature)] * W[(unit, *taps, feature)]
        found[(row, *positions, unit)] = total
    return found


def pooled(
    of: Callable[[list[Any]], Any], arrays: Arrays, window: Any, stride: Any, padding: Any = 0
) -> Any:
    x = np.asarray(arrays["x"], dtype=object)
    axes = x.ndim - 2
    several = (numbers(each, axes) for each in (window, stride, padding))
    each = [
        [
            [at for at in taps if 0 <= at < x.shape[1 + k]]
            for taps in windows(x.shape[1 + k], size, s, p)
        ]
        for k, (size, s, p) in enumerate(zip(*several, strict=True))
    ]
    found = np.empty((len(x), *map(len, each), x.shape[-1]), dtype=object)
    for row, *positions, feature in np.ndindex(*found.shape):
        places = itertools.product(*(each[k][at] for k, at in enumerate(positions)))
        found[(row, *positions, feature)] = of([x[(row, *at, feature)] for at in places])
    return found


def mean(values: list[Any]) -> Any:
    return sum(values) / len(values)


def over(function: Callable[..., Any], arrays: Arrays, axes: Any) -> Any:
    return function(np.asarray(arrays["x"], dtype=object), tuple(numbers(axes, 1)))


def padded(arrays: Arrays, axes: Any, before: int, after: int) -> Any:
    x = np.asarray(arrays["x"], dtype=object)
    chosen = [axis % x.ndim for axis in numbers(axes, 1)]
    widths = [(before, after) if axis in chosen else (0, 0) for axis in range(x.ndim)]
    nothing: Any = Fraction(0)
    return np.pad(x, widths, constant_values=nothing)


DEFINED: dict[str, Callable[..., Any]] = {
    "conv1d": convolved,
    "conv2d": convolved,
    "avg_pool1d": lambda arrays, **more: pooled(mean, arrays, **more),
    "avg_pool2d": lambda arrays, **more: pooled(mean, arrays, **more),
    "sum": lambda arrays, axes: over(np.sum, arrays, axes),
    "mean": lambda arrays, axes: over(np.mean, arrays, axes),
    "pad": padded,
    "embedding": lambda arrays, indices: np.asarray(arrays["W"])[numbers(indices, 1)],
    "max_pool1d": lambda arrays, **more: pooled(max, arrays, **more),
    "max_pool2d": lambda arrays, **more: pooled(max, arrays, **more),
    "max": lambda arrays, axes: over(np.max, arrays, axes),
    "min": lambda arrays, axes: over(np.min, arrays, axes),
    "maximum": lambda arrays: np.maximum(arrays["a"], arrays["b"]),
    "minimum": lambda arrays: np.minimum(arrays["a"], arrays["b"]),
    "where": lambda arrays, mask: np.where(
        [each == "1" for each in mask.split()], arrays["a"], arrays["b"]
    ),
    "flatten": lambda arrays: np.asarray(arrays["x"]).reshape(len(arrays["x"]), -1),
    "concatenate": lambda arrays, axis: np.concatenate([arrays["a"], arrays["b"]], axis),
}


def operands_of(name: str, settings: Mapping[str, Any], seed: int = 0) -> dict[str, Any]:
    """Small fractions for each operand, all different."""
    operator, dice = operator_of(name), np.random.default_rng(seed)
    own = operator.parameters_of(operator.tried_on, 2, settings)
    shapes = {each: own.get(each, operator.tried_on) for each in operator.operands}
    count = sum(map(math.prod, shapes.values()))
    mixed = iter(np.split(dice.permutation(count), np.cumsum([*map(math.prod, shapes.values())])))
    return {each: (next(mixed).reshape(shape) - count // 2) / 4.0 for each, shape in shapes.items()}


def as_fractions(array: Any) -> Any:
    return np.vectorize(fraction, otypes=[object])(np.asarray(array, dtype=object))


@pytest.mark.parametrize(("name", "settings"), EVERY)
def test_an_expansion_is_the_definition(name: str, settings: Mapping[str, Any]) -> None:
    operator = operator_of(name)
    arrays = operands_of(name, settings)
    graph = Graph()
    leaves = {each: graph.leaf(each, array.shape) for each, array in arrays.items()}
    result = operator.expand(**leaves, **operator.settled(settings))
    exact = {each: rationals(array) for each, array in arrays.items()}
    program = graph.program(leaves, {"result": result})
    found = evaluate(program, OnExact(rational_of), exact)["result"]
    wanted = DEFINED[name](
        {each: as_fractions(array) for each, array in exact.items()}, **operator.settled(settings)
    )
    assert result.shape == wanted.shape
    assert (as_fractions(found) == wanted).all()


@pytest.mark.parametrize(("name", "settings"), EVERY)
def test_what_is_sent_down_is_the_transposed_derivative(
    name: str, settings: Mapping[str, Any]
) -> None:
    """⟨g, f(x + d) - f(x - d)⟩ = 2 ⟨what is sent for g, d⟩, in each operand."""
    operator, arrays = operator_of(name), operands_of(name, settings)
    graph = Graph()
    leaves = {each: graph.leaf(each, array.shape) for each, array in arrays.items()}
    result = operator.expand(**leaves, **operator.settled(settings))
    moving = [each for each in arrays if each not in operator.targets]
    program = vjp(graph.program(leaves, {"result": result}), {"result": "g"}, moving)
    exact = {each: as_fractions(rationals(array)) for each, array in arrays.items()}
    dice = np.random.default_rng(1)
    g = as_fractions(dice.integers(-9, 10, result.shape))
    inner = {each: rationals(array) for each, array in arrays.items()} | {
        "g": np.vectorize(rational_of, otypes=[object])(g)
    }
    sent = evaluate(program, OnExact(rational_of), inner)
    for each in moving:
        array = arrays[each]
        d = as_fractions(dice.integers(-9, 10, array.shape)) / 1024  # no other is the largest
        both = [
            DEFINED[name]({**exact, each: exact[each] + sign * d}, **operator.settled(settings))
            for sign in (1, -1)
        ]
        assert (g * (both[0] - both[1])).sum() == 2 * (as_fractions(sent[each]) * d).sum(), each


# -- frameworks --------------------------------------------------------------------------------


IN_JAX = ("conv2d", "embedding", "max_pool2d", "min")
"""Of which no others are un-jitted but in the long tests: it compiles each operation."""


@pytest.mark.parametrize(
    ("name", "framework"),
    [
        pytest.param(name, framework, marks=[pytest.mark.long] if is_long else [])
        for framework in ("torch", "tensorflow", "jax")
        for name in EXACT
        for is_long in [framework == "jax" and name not in IN_JAX]
    ],
)
def test_frameworks_agree_step_by_step(name: str, framework: str) -> None:
    pytest.importorskip(framework)
    mode = {"jax": "eager"} if framework == "jax" else {}
    (adapter,), _ = open_frameworks([framework], modes=mode)
    stack = seeded_composed(1, plans([name])[0], 2, "float32")
    given = ask(adapter, stack)
    assert not isinstance(given, Refused), given
    for index in range(2):
        found = ProgramJudge(stack[index]).verdict(given[index], framework=framework)
        assert found.kind is Kind.AGREES, found
    with adapter.session():
        check = LocalJudge(stack).check(adapter.recorded(stack))
    assert [str(check.wrong(index) or "") for index in range(2)] == ["", ""]


@functools.cache
@pytest.mark.long
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize(
    "framework", ["torch", "torch=vmap", "tensorflow", "tensorflow=xla", "jax=eager", "jax=jit"]
)
@pytest.mark.parametrize("name", EXACT)
def test_frameworks_agree_in_every_dtype(name: str, framework: str, dtype: str) -> None:
    module, _, mode = framework.partition("=")
    pytest.importorskip(module)
    (adapter,), _ = open_frameworks([module], modes={module: mode} if mode else {})
    for plan in plans([name]):
        stack = seeded_composed(2, plan, 2, dtype)
        for case in (stack, stack[0]):
            given = ask(adapter, case)
            if isinstance(given, Refused):
                assert given.kind is Kind.UNSUPPORTED, given
                continue
            for index in range(case.count or 1):
                one, answer = (case, given) if case.count is None else (case[index], given[index])
                found = ProgramJudge(one).verdict(answer, framework=module)
                cuts = (module, dtype) == ("tensorflow", "bfloat16") and tensorflow_cuts()
                reduced = {Kind.REDUCED} if cuts else set[Kind]()
                assert found.kind in {Kind.AGREES, Kind.KINK, Kind.UNDECIDED, *reduced}, found


def test_the_lines_of_one_case_are_mapped_over_those_of_a_stack() -> None:
    plan = plans(["avg_pool1d"])[0]
    shapes = {**plan.parameters, **plan.inputs, "a1": (2, 4, 2), "it": (2, 2, 2), "out": (2, 2)}
    for stacked in (False, True):
        lines = statements(plan.steps, shapes, "torch", {}, stacked=stacked)
        line = "F.avg_pool1d(a1.movedim(-1, 1), (2,), (2,)).movedim(1, -1)"
        mapped = f"torch.func.vmap(lambda a1: {line})(a1)"
        assert f"it = {mapped if stacked else line}" in lines


def test_a_convolution_in_tensorflow_is_in_as_many_parts_as_there_are_groups() -> None:
    operator = operator_of("conv1d")
    names = {name: name for name in operator.operands}
    use = Use(names, operator.settled({"groups": 2, "padding": 1}), {})
    assert operator.line("tensorflow", use) == (
        'tf.nn.bias_add(tf.concat([tf.nn.conv1d(*each, (1,), "VALID") for each in '
        "zip(tf.split(tf.pad(x, [(0, 0), (1, 1), (0, 0)]), 2, -1), "
        "tf.split(tf.transpose(W, (1, 2, 0)), 2, -1))], -1), b)"
    )


# -- planted faults ----------------------------------------------------------------------------


def rolled(axis: int) -> Callable[[Any], Any]:
    return lambda array: np.roll(array, 1, axis)


def without_the_last(array: Any) -> Any:
    found = array.copy()
    found[..., -1] = 0.0
    return found


FAULTS: list[tuple[str, str, str, Callable[[Any], Any]]] = [
    ("conv1d", "flipped kernel", "result", lambda array: array[:, :, ::-1]),
    ("conv1d", "flipped kernel", "W", lambda array: array[:, :, ::-1]),
    ("conv2d", "flipped kernel", "W", lambda array: array[:, :, ::-1, ::-1]),
    ("conv2d", "axes exchanged", "W", lambda array: array.swapaxes(2, 3)),
    ("conv1d", "padding off by one", "x", rolled(2)),
    ("conv2d", "padding off by one", "x", rolled(3)),
    ("conv2d", "a term is missing", "W", without_the_last),
    ("conv2d", "a sum that is a mean", "b", lambda array: array / 6.0),
    ("avg_pool1d", "another share", "x", lambda array: 2.0 * array),
    ("avg_pool2d", "windows off by one", "x", rolled(2)),
    ("concatenate", "parts exchanged", "a", rolled(2)),
    ("pad", "off by one", "x", rolled(3)),
    ("sum", "wrong axis", "result", lambda array: array.swapaxes(2, 3)),
    ("embedding", "another row", "W", rolled(1)),
    ("embedding", "a use is missing", "W", lambda array: array / 3.0),
    ("max_pool1d", "to an entry that is not the largest", "x", rolled(2)),
    ("max_pool2d", "windows off by one", "result", rolled(2)),
    ("maximum", "the other one", "a", lambda array: array[:, ::-1]),
    ("max", "wrong axis", "result", lambda array: array.swapaxes(2, 3)),
    ("where", "the other one", "a", lambda array: array[..., ::-1]),
    ("mean", "a mean that is a sum", "x", lambda array: 3.0 * array),
]


@pytest.mark.parametrize(("name", "what", "part", "change"), FAULTS)
def test_a_fault_is_caught_and_its_step_named(
    name: str, what: str, part: str, change: Callable[[Any], Any]
) -> None:
    stack = seeded_composed(4, plans([name])[0], 2, "float64")
    found = simulated(stack, StepFault("it", part, change))
    check = LocalJudge(stack).check(found)
    said = [check.wrong(index) for index in range(2)]
    assert [each.step if each else "" for each in said] == ["it", "it"], what


@pytest.mark.parametrize("part", ["result", "x"])
@pytest.mark.parametrize("name", ["max_pool1d", "max_pool2d"])
def test_padding_that_is_off_by_one_is_caught(name: str, part: str) -> None:
    (plan,) = [each for each in plans([name]) if ("padding", 1) in each.steps[2].attributes]
    stack = seeded_composed(4, plan, 2, "float64")
    check = LocalJudge(stack).check(simulated(stack, StepFault("it", part, rolled(2))))
    said = [check.wrong(index) for index in range(2)]
    assert [each.step if each else "" for each in said] == ["it", "it"]


def test_padding_never_is_the_largest() -> None:
    operator = operator_of("max_pool1d")
    graph = Graph()
    x = graph.leaf("x", (1, 3, 1))
    result = operator.expand(x, window=2, stride=2, padding=1)
    program = vjp(graph.program({"x": x}, {"y": result}), {"y": "g"}, ["x"])
    numbers = np.array([-3.0, -2.0, -1.0]).reshape(1, 3, 1)
    given = {"x": rationals(numbers), "g": rationals(np.array([1.0, 10.0]).reshape(1, 2, 1))}
    found = evaluate(program, OnExact(rational_of), given)
    assert [float(fraction(each)) for each in found["y"].ravel()] == [-3.0, -1.0]
    assert [float(fraction(each)) for each in found["x"].ravel()] == [1.0, 0.0, 10.0]


# -- weights that are used more than once ------------------------------------------------------


def test_the_derivative_by_tied_weights_is_the_sum_over_their_uses() -> None:
    tied = seeded_composed(3, recurrence(), 1, "float64")[0]
    uses = [
        (each.id, operand)
        for each in tied.steps
        for operand, source in each.inputs
        if source == "W"
    ]
    assert len(uses) == 2
    steps, parameters = [], dict(tied.parameters)
    for each in tied.steps:
        renamed = [f"W_{each.id}" if source == "W" else source for source in each.operands.values()]
        if "W" in each.operands.values():
            parameters[f"W_{each.id}"] = tied.parameters["W"]
        names = dict(zip(each.operands, renamed, strict=True))
        inputs = [names.get(operand) for operand in operator_of(each.op).operands]
        steps.append(step(each.id, each.op, *inputs, **each.settings))
    del parameters["W"]
    apart = Composed.of(steps, parameters, tied.inputs)

    def gradient(case: Composed) -> Arrays:
        exact = {name: rationals(array) for name, array in case.entries()}
        return evaluate(case.gradient, OnExact(rational_of), exact)

    one, several = gradient(tied), gradient(apart)
    total = sum(several[f"W_{name}"] for name, _ in uses)
    assert (one["W"] == total).all()
    assert (one["W"] != 0).any()


def test_a_use_of_tied_weights_that_is_left_out_is_named() -> None:
    stack = seeded_composed(3, recurrence(), 2, "float64")
    right = simulated(stack)
    (last,) = [each for each in right.records if each.step.id == "r3"]
    lost = dict(right.given.entries())
    lost["W"] = lost["W"] - last.sent["W"]
    check = LocalJudge(stack).check(Recorded(Derivatives.named(lost), right.records))
    for index in range(2):
        said = check.wrong(index)
        assert said is not None
        assert (said.step, said.what) == ("W", "the sum of the cotangents of its uses")


# -- complaints --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("sum", {"axes": 0}, "axes=0, wanted each once, counted from the last"),
        ("sum", {"axes": "-1 -1"}, "axes='-1 -1', wanted each once"),
        ("mean", {"axes": "-1.5"}, "axes='-1.5', wanted a whole number"),
        ("pad", {"before": -1}, "before=-1, wanted a whole number from 0 on"),
        ("conv1d", {"stride": 0}, "stride=0, wanted whole numbers from 1 on"),
        ("conv2d", {"stride": "1 2 3"}, "one, or one for each of 2 axes"),
        ("conv2d", {"groups": "many"}, "groups='many', wanted a whole number"),
        ("avg_pool2d", {"window": 0}, "window=0, wanted whole numbers from 1 on"),
        ("max_pool1d", {"window": 2, "padding": 2}, "wanted at most half a window"),
        ("max_pool2d", {"padding": -1}, "padding=-1, wanted whole numbers from 0 on"),
        ("embedding", {"indices": "0 -1"}, "indices='0 -1', wanted numbers of rows, from 0 on"),
        ("where", {"mask": "1 2"}, "mask='1 2', wanted zeros and ones"),
        ("concatenate", {"axis": "-1 -2"}, "axis='-1 -2', wanted one"),
    ],
)
def test_an_attribute_that_makes_no_sense_is_refused_in_a_line(
    name: str, settings: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        operator_of(name).settled(settings)
    assert "\n" not in str(caught.value)


SHAPES: list[tuple[str, Sequence[tuple[int, ...]], str]] = [
    ("conv1d", [(2, 4, 2), (3, 2, 3), (3,)], "wanted features and units in 1 groups"),
    ("conv1d", [(2, 4), (3, 2, 3), (3,)], "wanted 3 axes"),
    ("conv1d", [(2, 1, 2), (3, 2, 2), (3,)], "do not fit into"),
    ("avg_pool2d", [(2, 4, 2)], r"wanted 4 axes \(rows, …, features\)"),
    ("concatenate", [(2, 3), (3, 3)], "wanted equal ones but for axis -1"),
    ("embedding", [(3, 2)], "wanted a table with row 3"),
    ("maximum", [(3, 2), (3, 1)], "wanted one shape"),
    ("max_pool1d", [(2, 1, 2)], "do not fit into"),
    ("where", [(3, 2), (3, 1)], "wanted one shape"),
    ("flatten", [(3,)], "wanted two axes at least"),
    ("sum", [(3,)], "axes=-2 of an array of shape"),
]


@pytest.mark.parametrize(("name", "shapes", "message"), SHAPES)
def test_shapes_that_do_not_fit_are_refused_in_a_line(
    name: str, shapes: Sequence[tuple[int, ...]], message: str
) -> None:
    operator, graph = operator_of(name), Graph()
    leaves = {
        each: graph.leaf(each, shape) for each, shape in zip(operator.operands, shapes, strict=True)
    }
    with pytest.raises(UsageError, match=message) as caught:
        operator.expand(**leaves, **operator.settled({}))
    assert "\n" not in str(caught.value)


def test_layers_without_bias_are_drawn_as_well() -> None:
    for name in ("conv1d", "conv2d", "dense"):
        has_bias = {
            "b" in each.operands for plan in plans([name]) for each in plan.steps if each.id == "it"
        }
        assert has_bias == {False, True}, name
    bare = next(plan for plan in plans(["conv1d"]) if "b_it" not in plan.parameters)
    stack = seeded_composed(0, bare, 2, "float32")
    for framework in ("torch", "tensorflow", "jax"):
        pytest.importorskip(framework)
        (adapter,), _ = open_frameworks([framework])
        given = ask(adapter, stack)
        assert not isinstance(given, Refused), given
        for index in range(2):
            found = ProgramJudge(stack[index]).verdict(given[index], framework=framework)
            assert found.kind is Kind.AGREES


def test_every_operator_here_is_known_and_in_a_plan() -> None:
    assert set(EXACT) <= set(known())
    drawn = {each.op for plan in plans() for each in plan.steps}
    assert set(EXACT) <= drawn
