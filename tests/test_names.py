"""What entries are called: one way to say it, and the same one to read it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from crosscheck.explain import find_entry
from crosscheck.network.dense import worked_example
from crosscheck.network.names import EntryName, as_said, by_layer, derivative, label, layer_of
from crosscheck.network.reference import gradients
from crosscheck.tools.errors import UsageError

PACKAGE = Path(__file__).resolve().parent.parent / "harness" / "crosscheck"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (EntryName("J"), "J"),
        (EntryName("W", 2), "W2"),
        (EntryName("W", 2, (0, 1)), "W2[0,1]"),
        (EntryName("b", 10, (3,)), "b10[3]"),
        (EntryName("x", None, (0, 12)), "x[0,12]"),
    ],
)
def test_a_name_is_read_as_it_is_said(name: EntryName, text: str) -> None:
    assert str(name) == text
    assert EntryName.parse(text) == name


@pytest.mark.parametrize(
    "text",
    ["", "2", "W0[0,0]", "W2[", "W2[]", "W2[0,]", "W2[-1]", "W2[0 1]", "WW", f"x[{'9' * 5000}]"],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no entry, wanted a name such as"):
        EntryName.parse(text)


def test_every_entry_of_a_gradient_has_its_own_name() -> None:
    for name, array in gradients(worked_example()).entries():
        for index in np.ndindex(np.shape(array)):
            entry = EntryName.of(name, index)
            assert (entry.array, entry.index) == (name, index)


def test_the_layer_is_where_backpropagation_reaches_the_array() -> None:
    assert [layer_of(name) for name in ("J", "W12", "b2", "x")] == [None, 12, 2, 0]


@pytest.mark.parametrize("text", [f"W1[{'9' * 5000},0]", "W1[0 0,0]", f"W{'1' * 5000}[0,0]"])
def test_a_user_who_asks_for_no_entry_is_told_so(text: str) -> None:
    with pytest.raises(UsageError, match=re.escape("wanted an entry such as W1[0,0] of W1, b1")):
        find_entry(text, worked_example())


def test_no_other_module_takes_names_apart() -> None:
    apart = re.compile(r"int\((?:str\()?name\)?\[1:\]|\.partition\(\"\[\"\)")
    found = [
        str(path.relative_to(PACKAGE))
        for path in sorted(PACKAGE.rglob("*.py"))
        if apart.search(path.read_text("utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(("entry", "name"), [("J", "J"), (label("W2", (0, 1)), "dJ/dW2[0,1]")])
def test_the_derivative_by_an_entry_is_called_after_it(entry: str, name: str) -> None:
    assert derivative(entry) == name


@pytest.mark.parametrize("text", ["dJ/dW2[0, 1]", " w2[ 0,1 ]", "J/dW2[0,1]", "W2[0,1]"])
def test_what_a_person_writes_is_read_as_the_name_that_it_means(text: str) -> None:
    assert as_said(text) == "W2[0,1]"


def test_arrays_by_name_come_layer_by_layer() -> None:
    assert by_layer({"W2": 2, "x": 0, "b2": 4, "W1": 1}) == ((1, 2), (None, 4))


def test_arrays_of_more_layers_than_there_are_matrices_are_refused() -> None:
    with pytest.raises(ValueError, match="W2: missing, in arrays of 999999999 layers"):
        by_layer({"W1": 1, "W999999999": 1})
