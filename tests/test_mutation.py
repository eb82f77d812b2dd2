"""The table of the mutants: modules and tests that are there, and tests that need no framework."""

from __future__ import annotations

import ast

import pytest
from ourselves.equivalent import EQUIVALENT, why
from ourselves.mathematics import MATHEMATICS, TESTS, path_of
from ourselves.mutation_page import DATA, PAGE, Found, Survivor, page, read

FRAMEWORKS = ("torch", "tensorflow", "jax")


@pytest.mark.parametrize("module", MATHEMATICS)
def test_every_module_of_the_table_and_its_tests_are_there(module: str) -> None:
    assert path_of(module).is_file()
    assert MATHEMATICS[module]
    assert [name for name in MATHEMATICS[module] if not (TESTS / name).is_file()] == []


@pytest.mark.parametrize("name", sorted({name for names in MATHEMATICS.values() for name in names}))
def test_no_test_of_the_table_needs_a_framework(name: str) -> None:
    tree = ast.parse((TESTS / name).read_text("utf-8"))
    imported = {
        module
        for node in ast.walk(tree)
        for module in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [str(node.module)]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert not imported & {*FRAMEWORKS, "crosscheck.frameworks.registry"}


def test_a_survivor_is_its_function_and_what_was_changed() -> None:
    difference = "--- a\n+++ b\n@@ -1,3 +1,3 @@\n def f():\n-    return a + b\n+    return a\n"
    assert Survivor.of("f", difference) == Survivor("f", "return a + b", "return a")


def test_what_is_equivalent_is_not_counted_as_missed() -> None:
    survivors = [Survivor("f", *next(iter(EQUIVALENT))), Survivor("g", "a + b", "a")]
    found = Found("numbers.terms", "0", 1, 12, 10, 0, survivors)
    assert (found.killed, found.equivalent) == (8, 1)
    text = page({"numbers.terms": found})
    assert "88.9 % of those that can be killed" in text
    assert "- `g`: **open**" in text


@pytest.mark.parametrize(
    ("after", "is_slack"),
    [
        ("e = up(e + 2.0, 9) + f(e, 8)", True),
        ("e = up(e + 2.0, 7) + f(e, 8)", True),
        ("e = up(e + 2.0, 4) + f(e, 8)", False),
        ("e = up(e + 3.0, 8) + f(e, 8)", False),
        ("e = up(e - 2.0, 8) + f(e, 8)", False),
        ("e = up(e, 8) + f(e, 8)", False),
        ("e = up(e + 2.0, 8) + f(e, 9)", False),
    ],
)
def test_one_rounding_more_or_less_is_slack(after: str, is_slack: bool) -> None:
    assert bool(why("e = up(e + 2.0, 8) + f(e, 8)", after)) == is_slack


def test_the_page_is_that_of_its_data() -> None:
    assert DATA.is_file()
    assert PAGE.read_text("utf-8") == page(read())
