"""The forward pass is written once, in the operators' lines, but for where independence matters."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

import numpy as np
import pytest
import structure

from crosscheck.frameworks.leaves import constants_of, leaves_of, loss_function
from crosscheck.frameworks.torch_lines import LINES
from crosscheck.network.composed import composed
from crosscheck.network.dense import Case, Reduction
from crosscheck.network.reference import float_forward, gradients
from crosscheck.numbers.elementary import ELEMENTARY
from crosscheck.operators import dense
from crosscheck.operators.registry import known
from crosscheck.program.evaluate import values_of
from crosscheck.program.floats import OnFloats

APART = {
    "operators": "where it is written",
    "network.reference": "the textbook of the dense network",
    "network.symbolic": "the oracle in SymPy",
    "network.exact": "rationals and dyadic numbers, for the textbook",
    "judge.compiled": "the compiled passes",
    "cases.stream": "the sweep's generator, readable and compiled",
    "studies.alarms": "right gradients in ways of their own, which the verdicts are put to",
    "studies.faults": "gradients written by hand, in which faults are planted",
}
"""Parts that may have a forward pass of their own, and why."""

PRODUCTS = {"matmul", "dot", "einsum", "mm", "bmm", "linear", "tensordot", "matrix_product"}
TURNED = {"swapaxes", "transpose", "t", "permute"}
RECTIFIERS = {"relu", "maximum", "Max", "clamp", "clamp_min"}


def called(node: ast.AST) -> str:
    """The name of what a call calls."""
    if not isinstance(node, ast.Call):
        return ""
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def is_product_with_a_transpose(node: ast.AST) -> bool:
    """W a: a matrix product one of whose factors is turned."""
    is_matrix_product = isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult)
    if not is_matrix_product and called(node) not in PRODUCTS:
        return False
    return any(
        called(each) in TURNED
        or (isinstance(each, ast.Attribute) and each.attr in ("T", "mT"))
        or (isinstance(each, ast.keyword) and each.arg == "transpose_b")
        for each in ast.walk(node)
    )


def is_gated(node: ast.AST) -> bool:
    """``relu(z) if network.has_relu(layer) else z``; ``None`` instead of z makes it a gate."""
    is_choice = isinstance(node, ast.IfExp) and called(node.test) == "has_relu"
    return is_choice and isinstance(node, ast.IfExp) and not isinstance(node.orelse, ast.Constant)


def forward_passes(source: str) -> list[str]:
    """The functions of a source that write a forward pass: products and rectifiers, or a choice."""
    found = []
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef | ast.Lambda):
            nodes = list(ast.walk(function))
            products = any(map(is_product_with_a_transpose, nodes))
            rectified = any(called(node) in RECTIFIERS for node in nodes)
            if any(map(is_gated, nodes)) or (products and rectified):
                found.append(getattr(function, "name", "lambda"))
    return found


def elsewhere(apart: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Modules and their sources, but for some parts."""
    for name, path in structure.modules().items():
        inner = name.partition(".")[2]
        if not any(inner == each or inner.startswith(f"{each}.") for each in apart):
            yield inner, path.read_text("utf-8")


def test_no_other_module_writes_a_forward_pass() -> None:
    written = {name: forward_passes(source) for name, source in elsewhere(APART)}
    assert {name: each for name, each in written.items() if each} == {}


@pytest.mark.parametrize(
    "planted",
    [
        "def f(a, W, b):\n    return np.maximum(a @ W.T + b, 0.0)",
        "def f(a, W):\n    z = tf.matmul(a, W, transpose_b=True)\n    return tf.nn.relu(z)",
        "def f(a, W):\n    return torch.relu((W @ a.mT).mT)",
        "def f(n, zs):\n    return [relu(z) if n.has_relu(at) else z for at, z in enumerate(zs)]",
    ],
)
def test_a_forward_pass_would_be_noticed(planted: str) -> None:
    assert forward_passes(planted) == ["f"]


def test_the_textbook_is_noticed_and_a_backward_pass_is_none() -> None:
    path = structure.modules()["crosscheck.network.reference"]
    assert forward_passes(path.read_text("utf-8")) == ["forward"]


OUTPUT = "the output of a dense network, relu or identity"
TABLES = "a unit or a formulation in the tables of conventions"
PRIMITIVE = "the primitive of this name"
NAMED = {
    "network.dense": OUTPUT,
    "cases.boundary": OUTPUT,
    "cases.drawing": OUTPUT,
    "cases.wide": OUTPUT,
    "cases.stream.settings": OUTPUT,
    "run.wanted": OUTPUT,
    "explain.build": OUTPUT,
    "cli.streams": OUTPUT,
    "studies.alarms.streams": OUTPUT,
    "studies.faults.storms": OUTPUT,
    "studies.conventions": TABLES,
    "report.conventions": TABLES,
    "frameworks.base": TABLES,
    "frameworks.own_lines": TABLES,
    "program": PRIMITIVE,
    "cases.composed": PRIMITIVE,
    "judge.adjoint": PRIMITIVE,
    "judge.libraries": PRIMITIVE,
    "judge.local.ties": PRIMITIVE,
    "judge.relations": PRIMITIVE,
    "judge.policies": "a function of this name",
    "studies.adversary": "primitives, and the functions of some of them",
    "studies.stress.networks": "the networks that are stressed, layer by layer",
    "judge.compiled": "the output of a dense network; and a function add",
    "studies.steps": PRIMITIVE,
    "studies.second": "what a compiler refuses to differentiate twice",
    "frontends": "operations of array libraries, and functions of one number",
    "studies.operators.measure": "the operators that a compiler is asked of",
    "studies.published.plant": "the primitive of a planted fault",
    "studies.stress.measure": "the primitives that a kernel computes in a way of its own",
}
"""Parts in which a word is the name of an operator too, and what it is there."""


COMMON = {"sum", "mean", "pad", "max", "min", "maximum", "minimum", "where", "sort"}
"""Names of operators that are reductions of losses, keywords of NumPy and much else."""


def names_of_operators(source: str) -> set[str]:
    """The strings of a source that are the name of an operator, and of nothing else."""
    nodes = ast.walk(ast.parse(source))
    words = {node.value for node in nodes if isinstance(node, ast.Constant)}
    others = set(ELEMENTARY) | COMMON
    return {word for word in words if isinstance(word, str)} & (set(known()) - others)


def test_no_module_outside_of_operators_names_an_operator() -> None:
    sources = elsewhere({**NAMED, "operators": "where they are"})
    assert {name: each for name, text in sources if (each := names_of_operators(text))} == {}


@pytest.mark.parametrize("part", NAMED)
def test_a_part_that_is_excepted_has_such_a_word(part: str) -> None:
    others = dict(elsewhere({}))
    inside = [each for each in others if each == part or each.startswith(f"{part}.")]
    words = set[str]().union(*(names_of_operators(others[each]) for each in inside))
    assert words
    if NAMED[part] == OUTPUT:
        assert words == {"relu"}
    if NAMED[part] == PRIMITIVE:
        assert words <= {"add", "softmax", "log_softmax", "cross_entropy"}


def test_a_name_would_be_noticed() -> None:
    assert names_of_operators("if each.op == 'leaky_relu':\n    pass") == {"leaky_relu"}


def whole_numbers(reduction: Reduction = "sum") -> Case:
    """Two hidden layers, one without bias, of small whole numbers: every sum is exact."""
    rng = np.random.Generator(np.random.Philox(5))
    shapes = [(4, 3), (3, 4), (2, 3)]
    return Case.of(
        [rng.integers(-3, 4, shape) for shape in shapes],
        [rng.integers(-3, 4, 4), None, rng.integers(-3, 4, 2)],
        rng.integers(-3, 4, (2, 3)),
        rng.integers(-3, 4, (2, 2)),
        output="identity",
        reduction=reduction,
    )


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_the_program_and_the_textbook_have_the_same_numbers(reduction: Reduction) -> None:
    case = whole_numbers(reduction)
    whole = composed(case)
    values = values_of(whole.program, OnFloats(), dict(whole.entries()))
    trace = float_forward(case.network, case.weights, case.biases, case.x)
    for layer, z in enumerate(trace.pre_activations, start=1):
        assert np.array_equal(values[whole.results[f"z{layer}"]], z), layer
    (loss,) = whole.program.outputs.values()
    assert values[loss] == gradients(case).loss


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("product", dense.OPERATOR.formulations("torch"))
def test_the_text_and_the_textbook_have_the_same_numbers(
    product: str, reduction: Reduction
) -> None:
    torch = pytest.importorskip("torch")
    case = whole_numbers(reduction)
    line = dense.OPERATOR.formulations("torch")[product]
    loss = loss_function(case, "torch", LINES, {dense.OPERATOR.name: line})
    arrays = map(torch.from_numpy, (*leaves_of(case), *constants_of(case)))
    assert loss(*arrays).item() == gradients(case).loss
