"""Second derivatives of frameworks: right ones agree, and what is detached inside is found."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import replace

import processes
import pytest
from test_second import OPERATORS, case_of

from crosscheck.cases.composed import seeded_composed
from crosscheck.cases.plans import plans
from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.gatekeeper import ask, ask_twice
from crosscheck.frameworks.refusals import Refused
from crosscheck.frameworks.registry import open_frameworks
from crosscheck.judge.door import Answer, judge
from crosscheck.judge.libraries import library_of
from crosscheck.judge.second import SecondJudge
from crosscheck.judge.verdict import Kind, Verdict
from crosscheck.network.composed import Composed
from crosscheck.network.second import Direction, Products, seeded_direction
from crosscheck.operators.operator import Line
from crosscheck.studies.second import EXPECTED, FINDINGS, Expected, Finding, expected_of

MODES = (
    ("torch", "eager"),
    ("torch", "func"),
    ("tensorflow", "eager"),
    ("tensorflow", "graph"),
    ("tensorflow", "xla"),
    ("jax", "eager"),
    ("jax", "jit"),
)


def opened(name: str, mode: str) -> Framework:
    found, _ = open_frameworks([name], {}, {name: mode})
    return found[0]


def outcomes(framework: Framework, case: Composed, seed: int = 1) -> list[Verdict | Refused]:
    """In every way of the mode."""
    direction = seeded_direction(seed, case)
    judge, found = SecondJudge(case, direction), list[Verdict | Refused]()
    library = library_of(case, framework.name, framework.mode)
    for way in framework.ways[framework.mode]:
        given = ask_twice(framework, case, direction, way)
        if isinstance(given, Refused):
            found.append(given)
            continue
        found += judge.verdicts(given, (framework.name, framework.mode), way, library=library)
    return found


def verdicts(framework: Framework, case: Composed) -> list[Verdict]:
    """In every way of the mode, of which none is refused."""
    found = outcomes(framework, case)
    assert not [each for each in found if isinstance(each, Refused)]
    return [each for each in found if isinstance(each, Verdict)]


def differs_from(expected: Expected | None, found: Sequence[Verdict | Refused]) -> list[str]:
    """What is not as expected; AGREES is, where nothing else is."""
    wanted = expected.kind if expected else Kind.AGREES
    said = [(each, each.detail if isinstance(each, Verdict) else each.reason) for each in found]
    return [
        f"{each.kind}: {words}"
        for each, words in said
        if each.kind is not wanted or (expected and expected.says not in words)
    ]


@pytest.mark.parametrize("operator", OPERATORS)
def test_pytorch_agrees(operator: str) -> None:
    found = verdicts(opened("torch", "eager"), case_of(operator, count=2))
    assert [each.kind for each in found] == [Kind.AGREES] * 2


@pytest.mark.long
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("name", "mode"), MODES)
def test_frameworks_agree_or_differ_as_expected(name: str, mode: str, dtype: str) -> None:
    framework = opened(name, mode)
    for operator in OPERATORS:
        stack = case_of(operator, dtype, count=3)
        expected = expected_of(name, mode, stack)
        assert differs_from(expected, outcomes(framework, stack)) == [], operator
        if expected and expected.of_stacks:
            assert differs_from(None, outcomes(framework, stack[0])) == [], operator


def test_what_is_expected_and_does_not_occur_is_a_difference() -> None:
    refused = Refused(Kind.UNSUPPORTED, "for another reason", raised=True)
    agrees = verdicts(opened("torch", "eager"), case_of("dense"))
    for expected in EXPECTED:
        assert len(differs_from(expected, [refused, *agrees])) == 1 + len(agrees)
    assert differs_from(None, agrees) == []
    assert differs_from(None, [refused]) == [f"UNSUPPORTED: {refused.reason}"]


def test_what_is_expected_is_so_of_its_operators_dtypes_and_stacks_only() -> None:
    def kind_of(operator: str, dtype: str = "float64", mode: str = "xla", which: str = "") -> str:
        case = case_of(operator, dtype, count=2)
        found = expected_of("tensorflow", mode, case[0] if which == "single" else case)
        return str(found.kind) if found else ""

    # The network of that loss has a gelu in it.
    assert [kind_of(each) for each in ("gelu", "cross_entropy", "dense")] == ["LIBRARY"] * 2 + [""]
    assert kind_of("gelu", "float32") == kind_of("conv2d", mode="graph") == ""
    assert [kind_of("conv2d", which=each) for each in ("", "single")] == ["UNSUPPORTED", ""]
    assert expected_of("jax", "jit", case_of("gelu")) is None


DETACHED = """
class Gelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z):
        ctx.save_for_backward(z)
        return F.gelu(z)

    @staticmethod
    def backward(ctx, g):
        with torch.enable_grad():
            z = ctx.saved_tensors[0].detach().requires_grad_()
            (slope,) = torch.autograd.grad(F.gelu(z).sum(), z)
        return g * slope


class Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z, weight, bias, eps):
        centred = z - z.mean(-1, keepdim=True)
        root = torch.rsqrt((centred * centred).mean(-1, keepdim=True) + eps)
        ctx.save_for_backward(z, weight)
        ctx.root = root
        return centred * root * weight.unsqueeze(-2) + bias.unsqueeze(-2)

    @staticmethod
    def backward(ctx, g):
        z, weight = ctx.saved_tensors
        unit = (z - z.mean(-1, keepdim=True)) * ctx.root
        h = g * weight.unsqueeze(-2)
        along = h.mean(-1, keepdim=True) + unit * (h * unit).mean(-1, keepdim=True)
        return ctx.root * (h - along), (g * unit).sum(-2), g.sum(-2), None
"""


@pytest.mark.parametrize(
    ("operator", "line"),
    [("gelu", "Gelu.apply(z)"), ("layer_norm", "Norm.apply(z, weight, bias, eps)")],
)
def test_what_is_detached_in_a_right_derivative_is_found(operator: str, line: str) -> None:
    """The first derivative is right in every case, by the a-priori certificate."""
    from crosscheck.frameworks.torch_ import TorchFramework
    from crosscheck.frameworks.torch_lines import LINES

    class Planted(TorchFramework):
        lines = replace(LINES, setup=LINES.setup + "\n" + DETACHED)

        @property
        def sources(self) -> dict[str, Line]:
            return {**super().sources, operator: line}

    case = case_of(operator, count=3)
    framework = Planted(mode="eager")
    question = judge(case, [Answer(ask(framework, case), names=("torch", "", "eager"))])
    assert {question.verdict(0, number).kind for number in range(3)} == {Kind.AGREES}
    found = verdicts(framework, case)
    assert {each.kind for each in found} == {Kind.DISAGREES}
    assert all("the second derivative by" in each.detail for each in found)


@pytest.mark.long
@pytest.mark.parametrize("finding", FINDINGS, ids=lambda each: each.title)
def test_every_program_of_a_finding_shows_what_it_claims(finding: Finding) -> None:
    if importlib.util.find_spec(finding.title.partition(" ")[0]) is None:
        pytest.skip("its framework is not installed")
    done = processes.run([sys.executable, "-c", finding.program], capture_output=True)
    assert done.stdout == finding.printed


@pytest.mark.long
@pytest.mark.parametrize(
    ("moments", "wanted"),
    [
        ("*tf.nn.moments(z, [-1], keepdims=True)", Kind.DISAGREES),
        (
            "tf.reduce_mean(z, -1, keepdims=True), tf.math.reduce_variance(z, -1, keepdims=True)",
            Kind.AGREES,
        ),
    ],
)
def test_the_mean_in_the_moments_of_tensorflow_is_detached(moments: str, wanted: Kind) -> None:
    from crosscheck.frameworks.tensorflow_ import TensorFlowFramework

    line = (
        "(lambda m, v: (z - m) * tf.math.rsqrt(v + eps) * tf.expand_dims(weight, -2) "
        f"+ tf.expand_dims(bias, -2))({moments})"
    )

    class Written(TensorFlowFramework):
        @property
        def sources(self) -> dict[str, Line]:
            return {**super().sources, "layer_norm": line}

    case = case_of("layer_norm", "float32", count=3)
    framework = Written(mode="eager")
    question = judge(case, [Answer(ask(framework, case), names=("tensorflow", "", "eager"))])
    assert {question.verdict(0, number).kind for number in range(3)} == {Kind.AGREES}
    assert {each.kind for each in verdicts(framework, case)} == {wanted}


def test_a_mode_without_second_derivatives_says_so() -> None:
    case = case_of("dense")
    framework = opened("torch", "vmap")
    found = ask_twice(framework, case, seeded_direction(1, case), "reverse over reverse")
    assert isinstance(found, Refused)
    assert found.kind is Kind.UNSUPPORTED
    assert "torch, vmap: no second derivatives reverse over reverse" in found.reason


def test_what_pytorch_does_not_differentiate_twice_is_unsupported() -> None:
    case = seeded_composed(1, plans(["hard_sigmoid"])[0], 1, "float32")
    found = ask_twice(
        opened("torch", "eager"), case, seeded_direction(1, case), "reverse over reverse"
    )
    assert isinstance(found, Refused)
    assert found.kind is Kind.UNSUPPORTED
    assert "is not implemented" in found.reason


def test_a_function_that_nobody_has_measured_is_not_judged() -> None:
    case = seeded_composed(1, plans(["division"])[0], 1, "float32")
    (found,) = verdicts(opened("torch", "eager"), case)
    assert found.kind is Kind.UNSUPPORTED
    assert found.detail.startswith("not judged: dividend, derivative 2, float32: nobody has")


def test_who_changes_the_direction_is_found_out() -> None:
    case = case_of("dense")
    framework = opened("torch", "eager")
    inner = framework.products

    def products(case: Composed, direction: Direction, way: object) -> Products:
        found = inner(case, direction, way)  # type: ignore[arg-type]
        next(iter(direction.arrays.values()))[...] = 0.0
        return found

    framework.products = products  # type: ignore[method-assign]
    found = ask_twice(framework, case, seeded_direction(1, case), "reverse over reverse")
    assert isinstance(found, Refused)
    assert found.changed
