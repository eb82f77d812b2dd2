"""The study of models that nobody here has written: what it plants, and what its page says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosscheck.run.modules.checking import check_model
from crosscheck.run.modules.loading import asked_about
from crosscheck.studies.published.measure import MODELS, Row
from crosscheck.studies.published.page import page
from crosscheck.studies.published.plant import SLIP, with_fault_in_jax, with_fault_in_torch

REPORTS = Path(__file__).parents[1] / "reports"
DRAW = np.random.default_rng(5).standard_normal


def test_what_is_planted_in_a_jax_model_is_named() -> None:
    jnp = pytest.importorskip("jax.numpy")

    def net(x: Any, w: Any) -> Any:
        return jnp.tanh(x @ w) * jnp.exp(x)

    asked = asked_about(net, "net", {"x": DRAW((2, 2)), "w": DRAW((2, 2))})
    wrong, planted = with_fault_in_jax(asked)
    assert check_model(wrong).first_wrong == planted


def test_what_is_planted_in_a_module_is_named_and_taken_out_again() -> None:
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    asked = asked_about(module, "module", {"input": DRAW((2, 3)).astype("float32")})
    with with_fault_in_torch(module):
        assert check_model(asked).first_wrong.endswith(SLIP)
    assert check_model(asked).certified


def test_the_committed_page_is_that_of_the_committed_numbers() -> None:
    found = json.loads((REPORTS / "models.json").read_text("utf-8"))
    rows = [
        Row(**{**each, "unread": tuple(each["unread"]), "notes": tuple(each["notes"])})
        for each in found["models"]
    ]
    assert page(rows, found["versions"]) == (REPORTS / "models.md").read_text("utf-8")
    assert [each.name for each in rows] == list(MODELS)
    for library, wanted in (("jax", 8), ("torch", 5)):
        own = [each for each in rows if each.library == library]
        assert sum(each.certified for each in own) >= wanted
        assert all(each.is_named for each in own if each.certified)
