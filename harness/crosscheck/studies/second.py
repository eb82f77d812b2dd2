"""What second derivatives of networks showed of frameworks, each with a program that shows it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["FINDINGS", "Finding", "markdown"]


@dataclass(frozen=True)
class Finding:
    """A second derivative that is wrong.

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
)


def markdown() -> str:
    """All findings as a part of a Markdown document."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield "# Second derivatives"
    yield ""
    yield (
        "Where the gradient of a network is right and a product with its Hessian is not "
        "(`harness/crosscheck/studies/second.py`); the tests run every program here."
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
