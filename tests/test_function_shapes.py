"""Shapes of arguments as text, as examples and as annotations, and the sizes that fit them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from crosscheck.cases.functions.arguments import arguments_of
from crosscheck.cases.functions.examples import annotated, exemplified
from crosscheck.cases.functions.shapes import Shape, Shapes, parsed
from crosscheck.numbers.formats import format_of
from crosscheck.tools.errors import UsageError

DENSE = ("b i, o i, o -> b o", ("x", "w", "b"))


def shapes_under(shapes: Shapes, **sizes: int) -> list[Shape]:
    settled = shapes.settled(sizes)
    return [shapes.of(name, settled) for name in shapes.arguments]


def refused(text: Any, names: Sequence[str]) -> str:
    with pytest.raises(UsageError) as raised:
        parsed(text, names)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_name_has_one_size_over_all_arguments_and_results() -> None:
    shapes = parsed(*DENSE)
    assert shapes.names == ("b", "i", "o")
    assert shapes_under(shapes, b=2, i=3, o=4) == [(2, 3), (4, 3), (4,)]
    assert shapes.outputs_of({"b": 2, "i": 3, "o": 4}) == ((2, 4),)


def test_numpys_form_says_the_same_as_names_with_spaces() -> None:
    ours, theirs = parsed("m n, n -> m", "ab"), parsed("(m,n),(n)->(m)", "ab")
    assert (ours.arguments, ours.outputs) == (theirs.arguments, theirs.outputs)
    assert parsed("(), (n) -> ()", "ab").outputs_of({"n": 2}) == ((),)


def test_numbers_expressions_and_names_before_an_equals_sign_are_read() -> None:
    shapes = parsed("3 h-1, 2*h rows=4, (h+1)//2", "abc")
    assert shapes.names == ("h",)
    assert shapes_under(shapes, h=5) == [(3, 4), (10, 4), (3,)]


def test_an_empty_shape_is_a_scalar_and_the_arrow_may_be_left_out() -> None:
    shapes = parsed("b, , b ->", "abc")
    assert shapes_under(shapes, b=3) == [(3,), (), (3,)]
    assert shapes.outputs_of({"b": 3}) == ((),)
    assert parsed("", "a").arguments == {"a": ()}
    assert parsed("", "a").outputs is None
    assert parsed("->", ()).arguments == {}


def test_several_axes_are_the_same_wherever_they_are_written() -> None:
    shapes = parsed("*batch i, ... o, *batch -> *batch o", "abc")
    sizes = {"*batch": 2, "batch[0]": 5, "batch[1]": 6, "...": 0, "i": 1, "o": 2}
    assert [shapes.of(name, sizes) for name in "abc"] == [(5, 6, 1), (2,), (5, 6)]
    assert shapes.labels("a", sizes) == ("batch[0]", "batch[1]", "i")
    assert shapes.outputs_of(sizes) == ((5, 6, 2),)


def test_an_underscore_is_any_size_and_a_hash_is_one_or_the_others() -> None:
    shapes = parsed("_ n, #n _", "ab")
    assert shapes.names == ("a[0]", "n", "b[0]", "b[1]")
    assert shapes_under(shapes, **{"a[0]": 7, "n": 4, "b[0]": 2, "b[1]": 5}) == [(7, 4), (4, 5)]
    assert shapes_under(shapes, **{"a[0]": 7, "n": 4, "b[0]": 1, "b[1]": 5})[1] == (1, 5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("b i, o", "2 shapes for 3 arguments: x, w, b"),
        ("b ?i, o, o", "'?i' at column 3 is no axis; wanted a name, a whole number"),
        ("b i, o i - 1, o", "'-' at column 10 is no axis"),
        ("b, o, o -> c", "'c' is in the result only"),
        ("b -> o -> o", "'->' again at column 8"),
        ("*a *b, c, d", "'*b' at column 4 is the second of its kind"),
        ("a, *a, b", "'a' is one axis and several"),
        ("1if, a, b", "'1if' at column 1"),
        ("a**2, b, c", "'a**2' at column 1"),
        ("f(x), b, c", "'f(x)' at column 1"),
        ("a/2, b, c", "'a/2' at column 1"),
        ("None, b, c", "'None' at column 1"),
        ("#2, b, c", "'#2' at column 1"),
        ("(" * 40 + "a" + ")" * 40 + ", b, c", "at column 1 is no axis"),
        ("9" * 30 + ", b, c", "at column 1 is no axis"),
        ("b " * 2000, "4000 characters, wanted 2000 at most"),
        (7, "shapes=7: wanted text such as"),
    ],
)
def test_what_is_no_shape_is_refused_in_one_line_that_says_where(text: Any, words: str) -> None:
    assert words in refused(text, ("x", "w", "b"))


def test_two_arguments_that_disagree_are_named_with_the_axis() -> None:
    shapes = parsed(*DENSE)
    assert shapes.sizes_of({"x": (2, 3), "b": (4,)}) == {"b": 2, "i": 3, "o": 4}
    with pytest.raises(UsageError, match=r"x of shape \(2, 3\) has i = 3 and w of shape \(4, 5\)"):
        shapes.sizes_of({"x": (2, 3), "w": (4, 5)})
    with pytest.raises(UsageError, match="has 1 axes, wanted 2: 'b i'"):
        shapes.sizes_of({"x": (2,)})


@pytest.mark.parametrize(
    ("text", "arrays", "words"),
    [
        ("3, n", {"a": (4,)}, "has 4 at '3', not 3"),
        ("n 2*n, n", {"a": (2, 5)}, "has 5 at '2*n', not 4"),
        ("n, #n", {"a": (3,), "b": (2,)}, "has 2 at '#n', not 3"),
        ("*b, *b", {"a": (2, 3), "b": (2,)}, r"has *b = 2 and b of shape (2,) has *b = 1"),
        ("*b n, n", {"a": ()}, "has 0 axes, wanted 1 or more"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    text: str, arrays: dict[str, Shape], words: str
) -> None:
    with pytest.raises(UsageError) as raised:
        parsed(text, "ab").sizes_of(arrays)
    assert words in str(raised.value)


def test_arrays_that_fit_say_the_sizes_that_make_their_shapes() -> None:
    shapes = parsed("*b n _, #n 2*n", ("x", "y"))
    given: dict[str, Shape] = {"x": (2, 3, 4, 5), "y": (1, 8)}
    sizes = shapes.sizes_of(given)
    assert {name: shapes.of(name, sizes) for name in given} == given


def test_results_that_are_shaped_otherwise_are_refused() -> None:
    shapes, sizes = parsed(*DENSE), {"b": 2, "i": 3, "o": 4}
    shapes.require_outputs([(2, 4)], sizes)
    with pytest.raises(UsageError, match=r"the result of shape \(2, 3\) has 3 at 'o', not 4"):
        shapes.require_outputs([(2, 3)], sizes)
    with pytest.raises(UsageError, match="2 results, wanted 1"):
        shapes.require_outputs([(2, 4), ()], sizes)


def test_examples_have_the_shapes_they_have() -> None:
    low = np.ones(3, dtype=ml_dtypes.bfloat16)
    shapes, arrays = exemplified({"b": low, "a": [[1, 2]]}, ("a", "b"))
    assert shapes_under(shapes) == [(1, 2), (3,)]
    assert list(arrays) == ["a", "b"]
    assert exemplified((1.0,), ("a",))[0].arguments == {"a": ()}


@pytest.mark.parametrize(
    ("examples", "words"),
    [
        ((1.0,), "1 examples, wanted 2: a, b"),
        ({"a": 1.0, "c": 2.0}, "examples of a, c, wanted of a, b"),
        ((1.0, "x"), "example b is of <U1"),
        ((1.0, [[1], [1, 2]]), "example b is no array"),
    ],
)
def test_examples_that_are_none_are_refused(examples: Any, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        exemplified(examples, ("a", "b"))
    assert words in str(raised.value)


class _Annotation:
    """As jaxtyping makes them of ``Float[Array, "b i"]``."""

    def __init__(self, dim_str: str, *dtypes: str) -> None:
        self.dim_str, self.dtypes = dim_str, dtypes


def test_annotations_with_shapes_are_read_and_others_are_not() -> None:
    def loss(x: Any, y: Any, m: Any, eps: float = 1.0) -> Any: ...

    loss.__annotations__ = {
        "x": _Annotation("b i", "float32"),
        "y": _Annotation("b", "int32", "int64"),
        "m": _Annotation("b", "bool"),
        "return": _Annotation(""),
    }
    found = annotated(loss)
    assert found is not None
    shapes, kinds = found
    assert shapes_under(shapes, b=2, i=3) == [(2, 3), (2,), (2,)]
    assert shapes.outputs == ((),)
    assert kinds == {"x": "real", "y": "integer", "m": "bool"}
    with pytest.raises(UsageError, match="y is of integers by its annotation, wanted its domain"):
        arguments_of("loss", shapes, kinds=kinds)
    assert annotated(shapes_under) is None
    assert annotated(lambda x: x) is None


def test_sizes_are_those_that_the_user_says_and_few_and_different_ones_otherwise() -> None:
    found = arguments_of("f", parsed(*DENSE), sizes={"i": 8, "o": [1, 127]}).combinations()
    assert {each["i"] for each in found} == {8}
    assert {each["o"] for each in found} == {1, 127}
    assert {each["b"] for each in found} == {1, 2, 3, 4}
    assert len(found) <= 12
    usual = arguments_of("f", parsed(*DENSE)).combinations()
    assert usual[0] == {"b": 1, "i": 1, "o": 1}
    assert any(len(set(each.values())) == 3 for each in usual)


def test_sizes_make_every_expression_at_least_one() -> None:
    found = arguments_of("f", parsed("h-5, n", "ab")).combinations()
    assert found
    assert all(each["h"] > 5 for each in found)
    empty = arguments_of("f", parsed("n, n+1", "ab"), sizes={"n": [0, 2]}).combinations()
    assert {each["n"] for each in empty} == {0, 2}
    with pytest.raises(UsageError, match="no sizes found for which every axis has 1 entry"):
        arguments_of("f", parsed("h-50, n", "ab")).combinations()


def test_an_array_among_the_inputs_binds_sizes() -> None:
    arguments = arguments_of("f", parsed(*DENSE), inputs={"w": np.ones((4, 3))})
    assert {(each["o"], each["i"]) for each in arguments.combinations()} == {(4, 3)}
    with pytest.raises(UsageError, match=r"sizes: o is \[2\], and an array in inputs has 4"):
        arguments_of("f", parsed(*DENSE), inputs={"w": np.ones((4, 3))}, sizes={"o": 2})


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"sizes": {"hh": 2}}, "sizes: no axis 'hh', wanted b, i, o"),
        ({"sizes": {"b": -1}}, "sizes['b']=-1: wanted a whole number, or several"),
        ({"sizes": {"b": True}}, "sizes['b']=True"),
        ({"sizes": {"b": []}}, "sizes['b']=[]"),
        ({"inputs": {"xx": 1.0}}, "inputs: no argument 'xx', wanted x, w, b; did you mean 'x'?"),
        ({"edges": {"x": ["a"]}}, "edges['x']=['a']: wanted finite numbers"),
    ],
)
def test_what_fits_no_argument_is_refused(keywords: Any, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        arguments_of("f", parsed(*DENSE), **keywords)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_long_sums_run_along_axes_of_low_formats_only() -> None:
    arguments = arguments_of("f", parsed("n h, h -> n h", "xb"))
    assert {name for name, _ in arguments.long_sums(format_of("bfloat16"))} == {"n", "h"}
    assert all(258 in each.values() for _, each in arguments.long_sums(format_of("bfloat16")))
    assert all(2050 in each.values() for _, each in arguments.long_sums(format_of("float16")))
    assert arguments.long_sums(format_of("float32")) == []
    assert arguments.long_sums(format_of("float64")) == []
    square = arguments_of("f", parsed("n n", "x"))
    assert square.long_sums(format_of("bfloat16")) == []
    said = arguments_of("f", parsed("n", "x"), sizes={"n": 3})
    assert said.long_sums(format_of("bfloat16")) == []
