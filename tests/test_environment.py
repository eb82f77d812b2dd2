"""The report says what its results may depend on, and what the frameworks do with subnormals."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import faulty
import numpy as np
import pytest
from pages import named

from crosscheck.network.dense import Case, Gradients
from crosscheck.network.reference import gradients
from crosscheck.numbers.formats import FORMATS, format_of
from crosscheck.run.environment import environment, keeps_subnormals


def flushing(case: Case) -> Gradients:
    """A correct gradient in arithmetic that replaces subnormal results by zero."""
    right, least = gradients(case), format_of(case.dtype).smallest_normal
    return replace(right, weights=tuple(np.where(np.abs(w) < least, 0.0, w) for w in right.weights))


def reading_zero(case: Case) -> Gradients:
    """The same, where it is the operands that are replaced."""
    least = format_of(case.dtype).smallest_normal
    return gradients(replace(case, x=np.where(np.abs(case.x) < least, 0.0, case.x)))


def crashing(case: Case) -> Gradients:
    raise MemoryError


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize(
    ("fault", "kept"),
    [(faulty.correct, True), (flushing, False), (reading_zero, False), (crashing, None)],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_what_a_framework_does_with_subnormal_numbers_is_measured(
    fault: Any, kept: bool | None, dtype: str
) -> None:
    framework = named("any", fault)
    vars(framework)["dtypes"] = tuple(FORMATS)
    assert keeps_subnormals(framework, dtype) is kept


def test_each_framework_has_its_line() -> None:
    found = environment([named("right", faulty.correct), named("flusher", flushing)], "float32")
    assert found["subnormal numbers, numpy"] == "kept"
    assert found["subnormal numbers, right"] == "kept (float32)"
    assert found["subnormal numbers, flusher"] == "replaced by zero (float32)"


def test_libraries_are_named_as_they_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = [
        {"internal_api": "openmp", "version": None, "num_threads": 1, "filepath": "/lib/omp.so"},
        {
            "internal_api": "openblas",
            "version": "0.3.31",
            "num_threads": 4,
            "architecture": "SkylakeX",
            "filepath": "/lib/blas.so",
        },
    ]
    monkeypatch.setattr("crosscheck.tools.loaded.threadpool_info", lambda: loaded * 2)
    assert environment()["blas"] == "openblas 0.3.31 (SkylakeX), 4 threads; openmp, 1 thread"
    monkeypatch.setattr("crosscheck.tools.loaded.threadpool_info", list)
    assert environment()["blas"] == "none that tells"


def test_processor_libraries_and_threads_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    found = environment()
    assert found["numpy"] == np.__version__
    assert found["processor"]
    assert found["blas"]
    assert "OMP_NUM_THREADS=3" in found["threads"]
    assert "OPENBLAS" not in found["threads"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", found["started"])
    assert all(isinstance(value, str) and value for value in found.values())
