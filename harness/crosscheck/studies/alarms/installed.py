"""The installed frameworks, as implementations that ought to be right."""

from __future__ import annotations

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.refusals import CrashedError, Refused
from crosscheck.frameworks.registry import open_frameworks
from crosscheck.judge.verdict import Kind
from crosscheck.network.batch import Batch
from crosscheck.network.dense import Gradients
from crosscheck.numbers.formats import WORKING
from crosscheck.run.sweep.fast import batched_gradients
from crosscheck.studies.alarms.catalogue import Right

__all__ = ["installed"]


def installed() -> list[Right]:
    """PyTorch, TensorFlow and JAX, those that are there, by the way a sweep asks them."""
    frameworks, _ = open_frameworks()
    return [_right(framework) for framework in frameworks]


def _right(framework: Framework) -> Right:
    def gradients(batch: Batch) -> Gradients:
        found = batched_gradients(framework, batch)
        if isinstance(found, Refused):
            raise CrashedError(found.reason)
        gradients: Gradients = found
        return gradients

    return Right(
        framework.name,
        "Automatic differentiation, as a sweep asks for it",
        gradients,
        [dtype for dtype in WORKING if dtype in framework.dtypes],
        framework.derivation,
        may_be=frozenset({Kind.SUBNORMAL}),
    )
