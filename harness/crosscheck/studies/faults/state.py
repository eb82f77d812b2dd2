"""Faults of memory: shared buffers, values of an earlier call, answers that come and go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from crosscheck.network.dense import Gradients
from crosscheck.studies.faults.fault import Fault
from crosscheck.studies.faults.handwritten import At, Change

__all__ = ["ALIASES", "NONDETERMINISM", "STALE"]


def _shared(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arrays of equal shape are one buffer, whose last writer in the backward pass is layer 1."""
    written: dict[tuple[int, ...], Any] = {}
    for value in reversed(values):
        if value is not None:
            written[value.shape] = value
    return tuple(None if value is None else written[value.shape] for value in values)


def _last_case(value: Any, at: At) -> Any:
    return value if at.case.count is None else np.broadcast_to(value[-1:], value.shape)


_ALONE = "the others ask for one case at a time"

ALIASES = (
    Fault(
        "one buffer for dW",
        "aliasing",
        "layers of equal shape share it",
        "answer",
        lambda answer, at: replace(answer, weights=_shared(answer.weights)),
        caught=("quick", "default", "fixture", "kinks"),
        why="no two of these arrays have the same shape in the sweeps",
    ),
    Fault(
        "one buffer for db",
        "aliasing",
        "layers of equal width share it",
        "answer",
        lambda answer, at: replace(answer, biases=_shared(answer.biases)),
    ),
    Fault(
        "one buffer for all cases",
        "aliasing",
        "in a stacked call each db is that of the last case",
        "bias gradient",
        _last_case,
        caught=("quick", "default", "sweep"),
        why=_ALONE,
    ),
    Fault(
        "delta in the residual's buffer",
        "aliasing",
        "J is computed from what the gate has left of it",
        "answer",
        lambda answer, at: replace(answer, loss=_loss_of(at("delta", at.case.network.depth), at)),
    ),
    Fault(
        "dx scaled in place",
        "aliasing",
        "dx shares a buffer with the residual, where shapes are equal",
        "answer",
        lambda answer, at: (
            replace(answer, x=at("residual", at.case.network.depth))
            if answer.x.shape == at("residual", at.case.network.depth).shape
            else answer
        ),
        caught=("quick", "default", "fixture", "kinks"),
        why="no two of these arrays have the same shape in the sweeps",
    ),
    Fault(
        "activation in the buffer of its delta",
        "aliasing",
        "dW is delta times delta where widths are equal",
        "activation kept",
        lambda value, at: at("delta") if at("delta").shape == value.shape else value,
    ),
)


def _loss_of(residual: Any, at: At) -> Any:
    loss = (residual * residual).sum(axis=(-2, -1)) / 2
    return loss / at.rows if at.case.network.reduction == "mean" else loss


def _earlier(key: str, choose: Callable[[Any, Any], Any] = lambda now, then: then) -> Change:
    """The value of the last call with arrays of this shape, if there was one."""

    def change(value: Any, at: At) -> Any:
        place = key, at.layer, value.shape, value.dtype.str
        then = at.memory.get(place)
        at.memory[place] = value.copy()
        return value if then is None else choose(value, then)

    return change


def _first_call(value: Any, at: At) -> Any:
    place = "first", at.layer, value.shape, value.dtype.str
    return at.memory.setdefault(place, value.copy())


def _earlier_answer(answer: Gradients, at: At) -> Gradients:
    shapes = tuple(array.shape for _, array in answer.entries())
    place = "answer", at.case.network, at.case.dtype, shapes
    then = at.memory.get(place, answer)
    at.memory[place] = answer
    return then  # type: ignore[no-any-return]


def _earlier_tail(now: Any, then: Any) -> Any:
    return np.concatenate([now[..., :8], then[..., 8:]], axis=-1)


STALE = (
    Fault(
        "answer of the call before", "stale buffer", "of the same shape", "answer", _earlier_answer
    ),
    Fault(
        "inputs of the call before",
        "stale buffer",
        "dW is made with them",
        "activation kept",
        _earlier("kept"),
    ),
    Fault(
        "gates of the call before",
        "stale buffer",
        "where z has the same shape",
        "gate",
        lambda value, at: None if value is None else _earlier("gate")(value, at),
    ),
    Fault(
        "weights of the first call",
        "stale buffer",
        "are kept by shape, and used downwards",
        "weight going down",
        _first_call,
    ),
    Fault(
        "db never zeroed",
        "stale buffer",
        "it adds up from call to call",
        "bias gradient",
        _earlier("db", lambda now, then: now + then),
    ),
    Fault(
        "dW never zeroed",
        "stale buffer",
        "half of it is left from the call before",
        "weight gradient",
        _earlier("dW", lambda now, then: now + then / 2),
    ),
    Fault(
        "tail of the call before",
        "stale buffer",
        "numbers of db from index 8 on are left from it",
        "bias gradient",
        _earlier("tail", _earlier_tail),
    ),
    Fault(
        "targets of the call before",
        "stale buffer",
        "the residual is made with them",
        "residual",
        lambda value, at: at("activation") - _earlier("y")(at.numbers.y, at),
    ),
)


def _wrong(answer: Gradients) -> Gradients:
    """Every array a little off: by a factor 1 + 2^-8."""
    return answer.map_derivatives(lambda array: array + array / 256)


def _now_and_then(when: Callable[[At], bool]) -> Change:
    return lambda answer, at: _wrong(answer) if when(at) else answer


def _cases(which: Callable[[Any, At], Any]) -> Change:
    """Wrong in some cases: ``which`` is asked with their numbers, counted over all calls."""

    def change(answer: Gradients, at: At) -> Gradients:
        numbers = at.before + np.arange(at.case.count or 1)
        chosen = which(numbers, at)
        if at.case.count is None:
            return _wrong(answer) if chosen[0] else answer

        def choose(array: Any) -> Any:
            factor = np.where(chosen, 1 + 1 / 256, 1.0).reshape(-1, *(1,) * (array.ndim - 1))
            return array * factor.astype(array.dtype)

        return answer.map_derivatives(choose)

    return change


def _asked_again(answer: Gradients, at: At) -> Gradients:
    """Wrong when a case has been asked before."""
    keys = at.memory.setdefault("keys", set())
    key = at.case.key
    if key in keys:
        return _wrong(answer)
    keys.add(key)
    return answer


_RARE = "too rare for so few cases"

NONDETERMINISM = (
    Fault(
        "every 1,000th case",
        "nondeterminism",
        "is wrong by a factor 1 + 2^-8",
        "answer",
        _cases(lambda numbers, at: numbers % 1000 == 999),
        caught=("default", "sweep"),
        why=_RARE,
    ),
    Fault(
        "every 100th case",
        "nondeterminism",
        "is wrong by a factor 1 + 2^-8",
        "answer",
        _cases(lambda numbers, at: numbers % 100 == 99),
        caught=("quick", "default", "sweep"),
        why=_RARE,
    ),
    Fault(
        "every 10th stacked call",
        "nondeterminism",
        "is wrong by a factor 1 + 2^-8",
        "answer",
        _now_and_then(lambda at: at.case.count is not None and _count(at) % 10 == 0),
        caught=("default", "sweep"),
        why=_RARE,
    ),
    Fault(
        "every second call",
        "nondeterminism",
        "is wrong by a factor 1 + 2^-8",
        "answer",
        _now_and_then(lambda at: at.call % 2 == 0),
    ),
    Fault(
        "every 20th call",
        "nondeterminism",
        "is wrong by a factor 1 + 2^-8",
        "answer",
        _now_and_then(lambda at: at.call % 20 == 0),
        caught=("quick", "default", "fixture"),
        why="the calls of a sweep are few and long",
    ),
    Fault(
        "odd places of a stack",
        "nondeterminism",
        "are wrong by a factor 1 + 2^-8",
        "answer",
        _cases(
            lambda numbers, at: (np.arange(len(numbers)) % 2 == 1) & (at.case.count is not None)
        ),
        caught=("quick", "default", "sweep"),
        why=_ALONE,
    ),
    Fault(
        "places from 100 on",
        "nondeterminism",
        "in a stack are wrong by a factor 1 + 2^-8",
        "answer",
        _cases(lambda numbers, at: (np.arange(len(numbers)) >= 100) & (at.case.count is not None)),
        caught=("quick", "default", "sweep"),
        why=_ALONE,
    ),
    Fault(
        "last place of a stack",
        "nondeterminism",
        "is wrong by a factor 1 + 2^-8",
        "answer",
        _cases(
            lambda numbers, at: (
                (np.arange(len(numbers)) == len(numbers) - 1) & (at.case.count is not None)
            )
        ),
        caught=("quick", "default", "sweep"),
        why=_ALONE,
    ),
    Fault(
        "a case asked again",
        "nondeterminism",
        "is answered wrongly the second time",
        "answer",
        _asked_again,
        caught=("default",),
        why="only the profiles default and nightly ask again",
    ),
    Fault(
        "one call in 50, by chance",
        "nondeterminism",
        "is wrong by a factor 1 + 2^-8",
        "answer",
        _now_and_then(
            lambda at: bool(np.random.Generator(np.random.Philox(at.call)).random() < 1 / 50)
        ),
        caught=("quick", "default", "fixture"),
        why="the calls of a sweep are few and long",
    ),
)


def _count(at: At) -> int:
    """How many stacked calls there have been, with this one."""
    at.memory["stacked"] = at.memory.get("stacked", 0) + 1
    found: int = at.memory["stacked"]
    return found
