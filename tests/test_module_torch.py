"""``crosscheck module`` on models of PyTorch: each function held to its own bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosscheck.run.modules.checking import check_model
from crosscheck.run.modules.loading import ask
from crosscheck.run.modules.outcome import ModelOutcome, State
from crosscheck.run.modules.reading import reader_of

torch = pytest.importorskip("torch")
nn = torch.nn
DRAW = np.random.default_rng(3).standard_normal
SEQUENCE = {"src": DRAW((2, 3, 4)).astype("float32")}


class Squash(torch.autograd.Function):  # type: ignore[misc, name-defined]
    """The hyperbolic tangent with twice its slope."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = torch.tanh(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (y,) = ctx.saved_tensors
        return 2 * g * (1 - y * y)


class Convolutions(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm, self.last = (
            nn.Conv2d(1, 2, 3),
            nn.BatchNorm2d(2),
            nn.Linear(2, 3),
        )

    def forward(self, x: Any) -> Any:
        h = nn.functional.max_pool2d(torch.relu(self.norm(self.convolution(x))), 4)
        return self.last(h.flatten(1)).log_softmax(-1)


def convolutions() -> Any:
    torch.manual_seed(0)
    return Convolutions().eval()


def encoder() -> Any:
    torch.manual_seed(0)
    return nn.TransformerEncoderLayer(4, 2, 6, batch_first=True).eval()


def squashed(x: Any, w: Any) -> Any:
    return Squash.apply(x @ w).sum(-1)


def in_place(x: Any, w: Any) -> Any:
    h = x @ w
    h += 1.0
    return h.exp()


def checked(name: str, **arrays: Any) -> ModelOutcome:
    return check_model(ask(f"{__name__}:{name}", arrays))


PAIR = {"x": DRAW((2, 3)), "w": DRAW((3, 4))}


def test_a_right_module_is_certified_and_watching_it_changes_no_bit() -> None:
    image = {"x": DRAW((2, 1, 6, 6)).astype("float32")}
    asked = ask(f"{__name__}:convolutions", image)
    outcome = check_model(asked)
    assert outcome.certified
    assert len(outcome.operations) == 7
    assert "model.norm.weight" in outcome.leaves
    assert all(each.state is State.INSIDE for each in outcome.operations)
    assert all(Path(each.file).name == Path(__file__).name for each in outcome.operations)
    reader = reader_of(asked)
    cotangents = {name: np.full(shape, 1.5) for name, shape in reader.shapes().items()}
    watched = reader.watched(cotangents)
    assert watched.answer.same_bits(watched.plain)
    assert watched.answer.same_bits(reader.given(cotangents))


def test_what_asks_whether_two_operands_are_one_takes_the_road_it_takes() -> None:
    outcome = checked("encoder", **SEQUENCE)
    assert outcome.certified
    (attention,) = [e for e in outcome.operations if e.name == "multi_head_attention_forward"]
    assert attention.inputs[0] == "3 transpose"
    assert len(set(attention.inputs)) == len(attention.inputs)


def test_a_derivative_of_ones_own_is_named_with_its_line() -> None:
    outcome = checked("squashed", **PAIR)
    assert not outcome.passed
    assert outcome.wrong is not None
    assert outcome.wrong.id == "2 Squash"
    assert outcome.wrong.text == "Squash.apply(x @ w)"
    assert [each.state for each in outcome.operations].count(State.WRONG) == 1


def test_what_writes_into_its_operand_is_a_line() -> None:
    outcome = checked("in_place", **PAIR)
    assert not outcome.certified
    (unread,) = outcome.unread
    assert unread.where.startswith(__file__)
    assert "writes into its operand" in str(unread)
