"""What second derivatives of networks showed of frameworks, each with a program that shows it.

And what the tests expect of them besides AGREES, as data: what is expected and no longer occurs
fails there as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from crosscheck.judge.verdict import Kind
from crosscheck.network.composed import Composed

__all__ = ["EXPECTED", "FINDINGS", "Expected", "Finding", "expected_of", "markdown"]


@dataclass(frozen=True)
class Finding:
    """A second derivative that is wrong, or that a mode refuses.

    Attributes:
        title: In a few words.
        words: What is wrong, and what is right.
        program: That shows it, and needs its framework only.
        printed: What it prints.
    """

    title: str
    words: str
    program: str
    printed: str


FINDINGS = (
    Finding(
        "tensorflow tf.nn.moments: the mean is detached, and the Hessian wrong",
        "A variance Σ (z - m)² / n has the Hessian 2/n (I - 1 1ᵀ / n). `tf.nn.moments` stops the "
        "gradient of the mean m in it. Its share of the first derivative is 0, which so is right; "
        "its share of the second is not, and what is differentiated twice is 2/n I. So is every "
        "layer norm or batch norm that is written with it: in networks of two dense layers with "
        "one between them all gradients AGREE, and all products with the Hessian DISAGREE, by "
        "thousands of bounds. `tf.math.reduce_variance` is right.",
        """\
import tensorflow as tf

def hessian(variance):
    z = tf.constant([1.0, 2.0])
    with tf.GradientTape() as outer:
        outer.watch(z)
        with tf.GradientTape() as inner:
            inner.watch(z)
            value = variance(z)
        slope = inner.gradient(value, z)
    print(slope.numpy().tolist(), outer.jacobian(slope, z).numpy().tolist())

hessian(lambda z: tf.nn.moments(z, [0])[1])
hessian(lambda z: tf.math.reduce_variance(z))
""",
        """\
[-0.5, 0.5] [[1.0, 0.0], [0.0, 1.0]]
[-0.5, 0.5] [[0.5, -0.5], [-0.5, 0.5]]
""",
    ),
    Finding(
        "tensorflow XLA: no second derivative through tf.map_fn where a transpose is in it",
        "The axes of the transpose are a constant of the loop's body. The gradient of the loop "
        "inverts them there, and the gradient of that gradient reads what was inverted from a "
        "list that the loop has filled, which XLA does not take for a constant: it does not "
        "compile, and says so. The first derivative compiles, and without XLA both are right. A "
        "stack of convolutions is such a loop, since each case has a kernel of its own "
        "(<https://github.com/tensorflow/tensorflow/issues/62861>).",
        """\
import tensorflow as tf

def derivative(f):
    def slope(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = f(x)
        return tape.gradient(value, x)
    return slope

def cubes(x):
    return tf.map_fn(lambda each: tf.transpose(each) ** 3, x)

for f in [derivative(cubes), derivative(derivative(cubes))]:
    for xla in [False, True]:
        try:
            print(xla, tf.function(f, jit_compile=xla)(tf.ones((2, 1, 2))).numpy().ravel().tolist())
        except tf.errors.InvalidArgumentError as error:
            print(xla, str(error).splitlines()[0].rpartition("with ")[2])
""",
        """\
False [3.0, 3.0, 3.0, 3.0]
True [3.0, 3.0, 3.0, 3.0]
False [6.0, 6.0, 6.0, 6.0]
True op Transpose must be a compile-time constant.
""",
    ),
)


@dataclass(frozen=True)
class Expected:
    """A verdict on second derivatives that is no AGREES, and no mistake of the reference's.

    Attributes:
        framework: Of which framework.
        modes: In which modes.
        operators: Of networks with one of these operators.
        dtypes: In which dtypes.
        of_stacks: Whether of stacks only; their single cases agree then.
        kind: The verdict.
        says: What its detail or reason holds.
        why: The reason, for people.
    """

    framework: str
    modes: tuple[str, ...]
    operators: tuple[str, ...]
    dtypes: tuple[str, ...]
    of_stacks: bool
    kind: Kind
    says: str
    why: str


EXPECTED = (
    Expected(
        "tensorflow",
        ("eager", "graph", "xla"),
        ("gelu",),
        ("float64",),
        of_stacks=False,
        kind=Kind.LIBRARY,
        says="tensorflow's gelu'' was measured to err",
        why="its constants are of float32, in float64 as well (`accuracy.md`)",
    ),
    Expected(
        "tensorflow",
        ("xla",),
        ("conv1d", "conv2d"),
        ("float64", "float32"),
        of_stacks=True,
        kind=Kind.UNSUPPORTED,
        says="with op Transpose must be a compile-time constant",
        why="the finding on `tf.map_fn` above",
    ),
)


def expected_of(framework: str, mode: str, case: Composed) -> Expected | None:
    """What is expected of second derivatives of a case, where that is not AGREES."""
    operators = {step.op for step in case.steps}
    for each in EXPECTED:
        if (
            (each.framework, case.dtype in each.dtypes) == (framework, True)
            and mode in each.modes
            and not operators.isdisjoint(each.operators)
            and (case.count is not None or not each.of_stacks)
        ):
            return each
    return None


def markdown() -> str:
    """All findings as a part of a Markdown document."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield "# Second derivatives"
    yield ""
    yield (
        "Where the gradient of a network is right and a product with its Hessian is not, or cannot "
        "be had (`harness/crosscheck/studies/second.py`); the tests run every program here."
    )
    for each in FINDINGS:
        yield ""
        yield f"## {each.title}"
        yield ""
        yield each.words
        yield ""
        yield f"```python\n{each.program}```"
        yield ""
        yield f"```text\n{each.printed}```"
    yield ""
    yield "## Expected"
    yield ""
    yield (
        "What products with the Hessian get in the tests where they do not AGREE; what is expected "
        "and no longer occurs fails there."
    )
    yield ""
    yield "| framework | modes | networks with | dtypes | verdict | why |"
    yield "|---|---|---|---|---|---|"
    for known in EXPECTED:
        some = (known.modes, known.operators, known.dtypes)
        modes, operators, dtypes = map(", ".join, some)
        operators += ", in stacks" if known.of_stacks else ""
        cells = (known.framework, modes, operators, dtypes, str(known.kind), known.why)
        yield f"| {' | '.join(cells)} |"
    yield ""
