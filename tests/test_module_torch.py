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
from crosscheck.tools.words import place_of

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


class Uneven(torch.autograd.Function):  # type: ignore[misc, name-defined]
    """The square as a product of two, one of whose derivatives is an ulp of 2^-12 too large."""

    @staticmethod
    def forward(ctx: Any, one: Any, two: Any) -> Any:
        ctx.save_for_backward(one, two)
        return one * two

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        one, two = ctx.saved_tensors
        return g * two, g * one * (1 + 2.0**-12)


def in_parts(x: Any, w: Any) -> Any:
    h = x @ w
    normed = nn.functional.cosine_similarity(h, h.flip(-1).sin(), dim=-1)
    return (h * h).sum(-1) + normed + nn.functional.cosine_similarity(h * 2, h.exp(), dim=-1)


def wrong_parts(x: Any, w: Any) -> Any:
    h = x @ w
    return Uneven.apply(h, h) + h.sin()


def in_place(x: Any, w: Any) -> Any:
    h = x @ w
    h += 1.0
    return h.exp()


def wrong_in_place(x: Any, w: Any) -> Any:
    h = x @ w
    h *= 2.0
    h = Squash.apply(h) * 1.0
    h += 1.0
    return h.exp()


def filled(x: Any, w: Any) -> Any:
    h = torch.zeros(3, 4, dtype=x.dtype)
    h[:2] = x @ w
    h[2] = h[0] + h[1]
    return h.exp()


def wrong_filled(x: Any, w: Any) -> Any:
    h = torch.zeros(3, 4, dtype=x.dtype)
    h[:2] = Squash.apply(x @ w)
    h[2] = 1.0
    return h.exp()


def activated(x: Any, w: Any) -> Any:
    h = nn.functional.relu(x @ w, inplace=True)
    return nn.functional.leaky_relu_(h - 1.0, 0.25) * h


def written(x: Any, w: Any) -> Any:
    h = x @ w
    h.add_(1.0).div_(2.0)
    h.masked_fill_(h < 0, 0.5)
    return torch.sigmoid_(h * 1.0)


def pieces(x: Any, w: Any) -> Any:
    one, two = (x @ w).split(2, dim=-1)
    return one * two.exp() + (x @ w).chunk(2, dim=-1)[0].unbind(0)[1]


def through_a_view(x: Any, w: Any) -> Any:
    h = x @ w
    h[0].mul_(2.0)
    return h.exp()


def narrow(x: Any, w: Any) -> Any:
    h = (1.0 + x * 2.0**-21) / 3.0 * 3.0 / 7.0 * 7.0 / 5.0 * 5.0 - 1.0
    return h.log() @ w


def wrong_narrow(x: Any, w: Any) -> Any:
    return narrow(Squash.apply(x * 0.1) + 1.0, w)


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


@pytest.mark.parametrize("name", ["in_place", "filled", "activated", "written", "pieces"])
def test_what_writes_into_its_operand_or_returns_several_is_followed(name: str) -> None:
    outcome = checked(name, **PAIR)
    assert outcome.certified, outcome.unread


@pytest.mark.parametrize("name", ["wrong_in_place", "wrong_filled"])
def test_a_wrong_derivative_about_what_writes_is_named(name: str) -> None:
    outcome = checked(name, **PAIR)
    assert outcome.wrong is not None
    assert outcome.wrong.name == "Squash"
    assert [each.state for each in outcome.operations].count(State.WRONG) == 1


def test_what_is_seen_through_another_view_of_what_was_written_into_is_a_line() -> None:
    outcome = checked("through_a_view", **PAIR)
    assert not outcome.certified
    unread = outcome.unread[-1]
    assert unread.where.startswith(place_of(__file__, 1)[:-1])
    assert "another view" in str(unread) or "none of its operands" in str(unread)


def test_where_the_whole_has_no_bound_operations_decide() -> None:
    pair = {"x": np.array([[1.0, 1.25, 1.5]], "float32"), "w": PAIR["w"].astype("float32")}
    right, wrong = (checked(name, **pair) for name in ("narrow", "wrong_narrow"))
    assert right.certified
    assert not wrong.passed
    assert wrong.wrong is not None
    assert wrong.wrong.name == "Squash"


def test_parts_that_are_added_one_by_one_change_no_bit() -> None:
    pair = {name: array.astype("float32") for name, array in PAIR.items()}
    for name in ("in_parts", "wrong_parts"):
        asked = ask(f"{__name__}:{name}", pair)
        reader = reader_of(asked)
        cotangents = {n: np.full(shape, 1.37) for n, shape in reader.shapes().items()}
        watched = reader.watched(cotangents)
        assert watched.answer.same_bits(reader.given(cotangents))
        assert watched.recorded is not None
        assert any(len(p) > 1 for e in watched.recorded.operations for p in e.parts.values())
        outcome = check_model(asked)
        assert not outcome.notes
        assert outcome.certified is (name == "in_parts")
        if name == "wrong_parts":
            assert outcome.wrong is not None
            assert outcome.wrong.name == "Uneven"
