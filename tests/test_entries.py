"""Entries of gradients: what is said of them, and of those that are not there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crosscheck.judge.entries import classes_of, entry_of, misshapen_of, ratio_of
from crosscheck.judge.vacuity import Share
from crosscheck.network.tree import LeftOut
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.model import Model

FORM = format_of("float32")


class Named:
    """Arrays by name."""

    def __init__(self, **arrays: Any) -> None:
        self.arrays = arrays

    def entries(self) -> Any:
        return self.arrays.items()


@pytest.mark.parametrize(
    ("error", "bound", "ratio"),
    [
        (0.0, 0.0, 0.0),
        (1.0, 0.0, np.inf),
        (1.0, 2.0, 0.5),
        (1.0, np.inf, 0.0),
        (np.inf, np.inf, 0.0),
        (np.nan, 1.0, np.inf),
        (np.nan, np.inf, 0.0),
    ],
)
def test_an_error_over_its_bound(error: float, bound: float, ratio: float) -> None:
    assert ratio_of(np.array([error]), np.array([bound])) == ratio


def test_an_entry_is_said_in_numbers() -> None:
    bound = Enclosure(Model(FORM), np.array([0.0, 3.0]), np.zeros(2), np.array([0.0, 0.25]))
    found = entry_of("b1", bound, np.array([0.0, 3.5]), (1,), FORM)
    assert (found.name, found.given, found.reference, found.error) == ("b1[1]", 3.5, 3.0, 0.5)
    assert found.bounds == pytest.approx(2.0)
    assert found.ulps == 0.5 / 2.0**-22


def test_what_is_not_there_is_named_first_things_first() -> None:
    wanted = {"J": (), "W1": (2,), "b1": (1,)}
    whole: Any = Named(J=np.zeros(()), W1=np.zeros(2), b1=np.zeros(1))
    assert misshapen_of(whole, wanted) == ""
    only: Any = Named(J=np.zeros(()))
    assert misshapen_of(only, wanted) == "W1: not returned, wanted shape (2,)"
    turned: Any = Named(J=np.zeros(()), W1=np.zeros((2, 1)), b1=np.zeros(1))
    assert misshapen_of(turned, wanted) == "W1: shape (2, 1) returned, wanted (2,)"


def test_classes_are_counted_array_by_array() -> None:
    arrays = [("a", np.array([1.0, np.nan, np.inf])), ("b", np.ones(2)), ("c", LeftOut())]
    assert classes_of(arrays) == "a: 1 NaN, 1 +inf"
    assert classes_of(arrays[1:]) == "all entries finite"


@pytest.mark.parametrize(
    ("unchecked", "compared", "text"), [(1, 4, "25 %"), (1, 10**9, "0.001 %"), (10, 10, "100 %")]
)
def test_a_share_is_a_percentage_that_hides_nothing(
    unchecked: int, compared: int, text: str
) -> None:
    assert Share("float32", (4, 4), compared, unchecked).percent == text
