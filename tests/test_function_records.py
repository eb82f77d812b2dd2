"""Cases of functions: cotangents, aiming, how they are written, read, and made smaller."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import given

import crosscheck
from crosscheck import UsageError
from crosscheck.cases.functions.arguments import Arguments, arguments_of
from crosscheck.cases.functions.drawn import records
from crosscheck.cases.functions.files import record_from_json, record_from_text, record_to_text
from crosscheck.cases.functions.record import Record, written
from crosscheck.cases.functions.shapes import parsed
from crosscheck.cases.functions.smaller import smaller
from crosscheck.numbers.formats import format_of


def drawing(examples: int) -> hypothesis.settings:
    return hypothesis.settings(
        max_examples=examples,
        database=None,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )


def dense(**keywords: Any) -> Arguments:
    return arguments_of("dense", parsed("b i, o i, o -> b o", ["x", "w", "b"]), **keywords)


def drawn(arguments: Arguments, examples: int = 30, **keywords: Any) -> list[Record]:
    found: list[Record] = []

    @drawing(examples)
    @given(records(arguments, **keywords))
    def collect(record: Record) -> None:
        found.append(record)

    collect()
    return found


def record_of(
    arguments: Arguments, sizes: Mapping[str, int], dtype: str = "float64", **arrays: Any
) -> Record:
    """A record with given numbers and cotangents of -3."""
    values = {name: np.asarray(array) for name, array in arrays.items()}
    results = arguments.results(values, sizes, {})
    weights = {name: np.full(shape, -3.0) for name, shape in results.items()}
    return Record(arguments.name, values, weights, sizes, dtype)


# Drawing


def test_cotangents_are_shaped_as_the_results_and_not_always_one() -> None:
    for record in drawn(dense()):
        assert record.cotangents["out"].shape == (record.sizes["b"], record.sizes["o"])
        assert record.cotangents["out"].any()
    scalars = {
        record.cotangents["out"].item()
        for record in drawn(arguments_of("loss", parsed("n ->", "x")), 40)
    }
    assert {1.0, -2.0} <= scalars


def test_cotangents_are_ones_or_of_a_domain_where_the_user_says_so() -> None:
    assert all((r.cotangents["out"] == 1).all() for r in drawn(dense(cotangents="ones"), 10))
    for record in drawn(dense(cotangents=crosscheck.reals(min=2, max=3)), 10):
        assert ((record.cotangents["out"] >= 2) & (record.cotangents["out"] <= 3)).all()


def test_results_may_be_named_by_the_caller_and_some_are_left_out_at_times() -> None:
    def outputs(arguments: Mapping[str, Any], keywords: Mapping[str, Any]) -> dict[str, Any]:
        return {"y": arguments["x"].shape, "z": ()}

    found = drawn(arguments_of("f", parsed("n", "x"), outputs=outputs), 40)
    assert all(list(record.cotangents) == ["y", "z"] for record in found)
    left_out = [[not each.any() for each in record.cotangents.values()] for record in found]
    assert [True, False] in left_out
    assert [False, True] in left_out
    assert [True, True] not in left_out
    wrong = arguments_of("f", parsed("n -> n", "x"), outputs=outputs)
    with pytest.raises(UsageError, match="2 results, wanted 1"):
        drawn(wrong, 1)


def test_keywords_are_drawn_from_lists() -> None:
    found = drawn(dense(static={"axis": [-1, 0], "eps": 0.5}))
    assert {record.keywords["axis"] for record in found} == {-1, 0}
    assert {record.keywords["eps"] for record in found} == {0.5}


def test_an_aim_moves_cases_and_cannot_leave_the_domains() -> None:
    arguments = dense(inputs={"b": crosscheck.reals(min=1)})

    def aim(record: Record, rng: np.random.Generator) -> Record | None:
        if rng.integers(3) == 0:
            return None
        value = float(rng.choice([-7.0, 77.0]))
        return record.replaced("b", np.full_like(record.arguments["b"], value))

    found = drawn(arguments, 40, aim=aim)
    values = {value for record in found for value in record.arguments["b"].tolist()}
    assert 77.0 in values
    assert min(values) >= 1


def test_sizes_of_one_and_few_different_sizes_come() -> None:
    found = drawn(dense(), 60)
    assert any(record.sizes["b"] == 1 < record.sizes["i"] for record in found)
    assert any(record.sizes["i"] == 1 < record.sizes["b"] for record in found)
    assert len({tuple(record.sizes.items()) for record in found}) <= 12


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"dtype": "float65"}, "dtype='float65': wanted one of"),
        ({"kinds": ["big"]}, "kinds: 'big', wanted some of small, ties, full, long"),
        ({"kinds": ["long"]}, "kinds: long, and no axis can have 2^53 [+] 2 entries"),
    ],
)
def test_what_cannot_be_drawn_is_refused(keywords: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words.replace("^", r"\^")):
        records(dense(), **keywords)


# Writing and reading


def test_a_record_is_written_as_its_call() -> None:
    loss = arguments_of("loss", parsed("n d, n ->", "xy"), inputs={"y": crosscheck.integers(0, 3)})
    record = record_of(loss, {"n": 1, "d": 1}, x=[[2.0]], y=[1])
    assert record.call() == "loss(x=[[2.0]], y=[1])"
    assert str(record) == "loss(x=[[2.0]], y=[1]), cotangent -3.0   float64"
    assert record.weighed("out", np.ones(())).weights() == ""
    softmax = record_of(
        arguments_of("softmax", parsed("n c -> n c", "z")), {"n": 1, "c": 1}, z=[[0.0]]
    )
    assert softmax.call() == "softmax(z=[[0.0]])"
    with_keyword = replace(softmax, keywords={"axis": -1})
    assert with_keyword.call() == "softmax(z=[[0.0]], axis=-1)"


def test_long_equal_arrays_are_written_as_one_number() -> None:
    assert written(np.full((258, 1), 8.0)) == "full((258, 1), 8.0)"
    assert written(np.ones((258, 1))) == "ones((258, 1))"
    assert written(np.zeros((3, 3))) == "zeros((3, 3))"
    assert written(-np.zeros((3, 3))) == "full((3, 3), -0.0)"
    assert written(np.zeros((0, 2))) == "zeros((0, 2))"
    assert written(np.array([[2.0]])) == "[[2.0]]"
    assert written(np.array([True, False])) == "[True, False]"


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_what_is_written_is_read_back_bit_for_bit(dtype: str) -> None:
    arguments = arguments_of(
        "f",
        parsed("n c, n, n c, , n c -> n c, ", ["x", "y", "m", "s", "w"]),
        inputs={"y": crosscheck.integers(0, "c"), "m": crosscheck.mask()},
        static={"axis": [(0, 1), -1], "mode": "mean"},
        sizes={"n": [0, 1, 5], "c": 3},
    )
    for record in drawn(arguments, 25, dtype=dtype):
        back = record_from_text(record_to_text(record), origin="a.json")
        assert back.key == record.key
        assert back.sizes == record.sizes
        assert back.keywords == record.keywords
        assert back.kind == record.kind
        pairs = [(back.arguments, record.arguments), (back.cotangents, record.cotangents)]
        for one, other in pairs:
            assert list(one) == list(other)
            for name, array in one.items():
                assert array.dtype == other[name].dtype
                assert array.shape == other[name].shape
                assert array.tobytes() == np.ascontiguousarray(other[name]).tobytes()


def test_a_key_is_that_of_the_numbers_and_of_nothing_else() -> None:
    arguments = dense()
    numbers: dict[str, Any] = {"x": [[1.0, 0.0]], "w": [[2.0, 3.0]], "b": [0.5]}
    record = record_of(arguments, {"b": 1, "i": 2, "o": 1}, **numbers)
    arrays = [["x", "f", [1, 2]], ["w", "f", [1, 2]], ["b", "f", [1]], ["out", "f", [1, 1]]]
    head = json.dumps(["call 1", "dense", "float64", {}, 3, arrays]).encode()
    entries = struct.pack("<6d", 1.0, 0.0, 2.0, 3.0, 0.5, -3.0)
    assert record.key == hashlib.sha256(head + b"\n" + entries).hexdigest()[:16]
    assert replace(record, kind="full", sizes={}).key == record.key
    others = [
        replace(record, name="other"),
        replace(record, dtype="float32"),
        replace(record, keywords={"eps": 1.0}),
        record.replaced("x", np.array([[1.0, -0.0]])),
        record.replaced("x", np.array([[1.0], [0.0]])),
        record.replaced("b", np.array([1])),
        record.weighed("out", np.ones((1, 1))),
    ]
    assert len({record.key, *(other.key for other in others)}) == 8


GOOD: dict[str, Any] = {"function": "f", "arguments": {"x": [1]}}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "an empty list at the top level, wanted an object"),
        ({}, "key 'function' is missing"),
        (GOOD | {"argument": 1}, "unknown key 'argument'"),
        (GOOD | {"version": 2}, "version is the number 2, wanted 1"),
        (GOOD | {"version": True}, "version is true"),
        (GOOD | {"dtype": "float65"}, "dtype='float65', wanted"),
        (GOOD | {"function": "f(); g"}, "wanted a name of letters"),
        (GOOD | {"function": "f" * 101}, "wanted a name of letters"),
        (GOOD | {"arguments": []}, "arguments is an empty list, wanted an object"),
        (GOOD | {"arguments": {"x y": [1]}}, "arguments: the string 'x y'"),
        (GOOD | {"arguments": {f"x{k}": 1 for k in range(300)}}, "has 300 names"),
        (GOOD | {"arguments": {"x": [[1], [1, 2]]}}, "has length 2"),
        (GOOD | {"arguments": {"x": ["1"]}}, "arguments.x[0] is the string '1'"),
        (GOOD | {"arguments": {"x": {"integers": [1.5]}}}, "wanted a whole number of 64 bits"),
        (GOOD | {"arguments": {"x": {"integers": [2**63]}}}, "wanted a whole number of 64 bits"),
        (GOOD | {"arguments": {"x": {"bools": [1]}}}, "wanted true or false"),
        (GOOD | {"arguments": {"x": {"bools": [[True], []]}}}, "none empty"),
        (GOOD | {"arguments": {"x": {"bools": [[True], True]}}}, "rows of several lengths"),
        (GOOD | {"arguments": {"x": {"floats": [1]}}}, "wanted shape and full, integers or bools"),
        (GOOD | {"arguments": {"x": {"shape": [2**22, 2], "full": 1}}}, "more than 4194304"),
        (GOOD | {"arguments": {"x": {"shape": [10**30], "full": 1}}}, "wanted whole numbers"),
        (GOOD | {"arguments": {"x": {"shape": [1] * 40, "full": 1}}}, "wanted 8 sizes at most"),
        (GOOD | {"arguments": {"x": {"shape": [2], "full": [1, 2]}}}, "wanted one value"),
        (GOOD | {"arguments": {"x": json.loads("[" * 90 + "1" + "]" * 90)}}, "nested too deeply"),
        (GOOD | {"dtype": "float16", "arguments": {"x": 1e9}}, "beyond the largest float16"),
        (GOOD | {"cotangents": {"out": {"integers": 1}}}, "is not of real numbers"),
        (GOOD | {"sizes": {"n": -1}}, "sizes: 'n' is the number -1"),
        (GOOD | {"keywords": {"a": {}}}, "keywords.a is an object"),
        (GOOD | {"keywords": {"a": [[1]]}}, "keywords.a is nested"),
        (GOOD | {"kind": "wild"}, "kind is the string 'wild'"),
        (GOOD | {"key": "0" * 16}, "key is the string '0000000000000000', and what it holds has"),
    ],
)
def test_what_is_no_record_is_refused_in_one_line(data: Any, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        record_from_json(data, origin="a.json")
    message = str(raised.value)
    assert message.startswith("a.json: ")
    assert words in message
    assert "\n" not in message
    assert len(message) < 300


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "wanted JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"function": "f", "function": "g"}', "given twice"),
        (b"\xff", "not text in UTF-8"),
        (b" " * (2**26 + 1), "wanted at most 67108864"),
        ('{"function": "\ud800", "arguments": {}}', "UTF-8"),
    ],
    ids=["empty", "deep", "twice", "bytes", "long", "surrogate"],
)
def test_what_is_no_json_is_refused(text: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        record_from_text(text, origin="a.json")


# Making smaller


def counted(
    record: Record, fails: Callable[[Record], bool], arguments: Arguments, attempts: int = 400
) -> tuple[Record, int]:
    calls = 0

    def predicate(candidate: Record) -> bool:
        nonlocal calls
        calls += 1
        assert all(
            arguments.holds(name, array, candidate.sizes, format_of(candidate.dtype))
            for name, array in candidate.arguments.items()
        )
        return fails(candidate)

    assert fails(record)
    found = smaller(record, predicate, arguments, attempts)
    assert fails(found)
    assert calls <= attempts
    return found, calls


def large(seed: int = 0, b: int = 4, i: int = 3, o: int = 5) -> tuple[Arguments, Record]:
    rng = np.random.default_rng(seed)
    arguments = dense()
    shapes = {"x": (b, i), "w": (o, i), "b": (o,)}
    arrays: dict[str, Any] = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    return arguments, record_of(arguments, {"b": b, "i": i, "o": o}, **arrays)


PLANTED: dict[str, tuple[Callable[[Record], bool], dict[str, int], dict[str, Any], Any]] = {
    "always": (
        lambda r: True,
        {"b": 1, "i": 1, "o": 1},
        {"x": [[0]], "w": [[0]], "b": [0]},
        [[1]],
    ),
    "two rows": (
        lambda r: r.sizes["b"] >= 2,
        {"b": 2, "i": 1, "o": 1},
        {"x": [[0], [0]], "w": [[0]], "b": [0]},
        [[0], [1]],
    ),
    "one number": (
        lambda r: bool((np.abs(r.arguments["w"]) > 0.25).any()),
        {"b": 1, "i": 1, "o": 1},
        {"x": [[0]], "w": [[1]], "b": [0]},
        [[1]],
    ),
    "a product": (
        lambda r: bool(((r.arguments["x"] @ r.arguments["w"].T) != 0).any()),
        {"b": 1, "i": 1, "o": 1},
        {"x": [[1]], "w": [[1]], "b": [0]},
        [[1]],
    ),
    "a negative weight": (
        lambda r: bool((r.cotangents["out"] < 0).any()),
        {"b": 1, "i": 1, "o": 1},
        {"x": [[0]], "w": [[0]], "b": [0]},
        [[-1]],
    ),
    "three units": (
        lambda r: r.sizes["o"] >= 3 and bool(r.cotangents["out"][:, 2].any()),
        {"b": 1, "i": 1, "o": 3},
        {"x": [[0]], "w": [[0], [0], [0]], "b": [0, 0, 0]},
        [[0, 0, 1]],
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_the_simplest_case_of_a_planted_failure_is_found(name: str) -> None:
    fails, sizes, arrays, weights = PLANTED[name]
    arguments, record = large()
    found, _ = counted(record, fails, arguments)
    assert found.sizes == sizes
    assert {n: array.tolist() for n, array in found.arguments.items()} == arrays
    assert found.cotangents["out"].tolist() == weights
    again, _ = counted(record, fails, arguments)
    assert again.key == found.key


def test_a_long_sum_keeps_as_many_terms_as_it_needs() -> None:
    arguments = arguments_of("bias", parsed("n h, h -> n h", "xb"))
    x = np.full((258, 2), 8.0)
    record = record_of(arguments, {"n": 258, "h": 2}, "bfloat16", x=x, b=np.ones(2))
    found, calls = counted(record, lambda r: r.sizes["n"] >= 231, arguments)
    assert found.sizes == {"n": 231, "h": 1}
    assert found.call() == "bias(x=zeros((231, 1)), b=[0.0])"
    assert found.weights() == "cotangent ones((231, 1))"
    assert calls < 60


def test_the_budget_of_attempts_is_kept() -> None:
    arguments, record = large()
    for attempts in (0, 1, 7):
        found, calls = counted(record, lambda r: True, arguments, attempts)
        assert calls == attempts
        assert (found is record) == (attempts == 0)


def test_results_that_do_not_matter_are_left_out() -> None:
    arguments = arguments_of("f", parsed("n -> n, , n", "x"))
    record = record_of(arguments, {"n": 3}, x=np.ones(3))
    found, _ = counted(record, lambda r: bool(r.cotangents["out1"].any()), arguments)
    weights = {name: array.tolist() for name, array in found.cotangents.items()}
    assert weights == {"out0": [0.0], "out1": 1.0, "out2": [0.0]}


def test_domains_are_kept_while_a_case_becomes_smaller() -> None:
    text = "n c, n c, n, n n, n n, c, n n, n c, n"
    inputs = {
        "a": crosscheck.one_hot(),
        "b": crosscheck.probabilities(),
        "c": crosscheck.integers(0, "c"),
        "d": crosscheck.spd(),
        "e": crosscheck.mask(),
        "f": crosscheck.permutation(),
        "g": crosscheck.lower(),
        "h": crosscheck.sorted_(crosscheck.positive()),
        "i": crosscheck.unique(),
    }
    arguments = arguments_of("f", parsed(text, "abcdefghi"), inputs=inputs)
    for record in drawn(arguments, 12):
        if record.sizes["n"] >= 2:
            found, _ = counted(record, lambda r: r.sizes["n"] >= 2, arguments)
            assert found.sizes == {"n": 2, "c": 1}
            assert {name: array.tolist() for name, array in found.arguments.items()} == {
                "a": [[1], [1]],
                "b": [[1], [1]],
                "c": [0, 0],
                "d": [[1, 0], [0, 1]],
                "e": [[True, True], [True, True]],
                "f": [0],
                "g": [[1, 0], [0, 1]],
                "h": [[1], [1]],
                "i": found.arguments["i"].tolist(),
            }


def test_entries_of_a_symmetric_matrix_change_together() -> None:
    arguments = arguments_of("f", parsed("n n", "x"), inputs={"x": crosscheck.symmetric()})
    record = record_of(arguments, {"n": 3}, x=np.full((3, 3), 1.25))
    found, _ = counted(
        record, lambda r: r.sizes["n"] > 1 and bool(r.arguments["x"][0, 1] > 0), arguments
    )
    assert found.arguments["x"].tolist() == [[0, 1], [1, 0]]


def test_what_the_user_fixed_stays() -> None:
    arguments = dense(inputs={"w": np.full((2, 3), 0.75)}, sizes={"b": [2, 5]})
    x, b = np.full((5, 3), 0.3), np.ones(2)
    record = record_of(arguments, {"b": 5, "i": 3, "o": 2}, x=x, w=np.full((2, 3), 0.75), b=b)
    found, _ = counted(record, lambda r: True, arguments)
    assert found.sizes == {"b": 2, "i": 3, "o": 2}
    assert found.arguments["w"].tolist() == [[0.75] * 3] * 2
    assert not found.arguments["x"].any()


def test_several_axes_become_fewer() -> None:
    arguments = arguments_of("f", parsed("*batch n, #n -> *batch", "xy"))
    sizes = {"*batch": 2, "batch[0]": 3, "batch[1]": 2, "n": 4, "y[0]": 4}
    record = record_of(arguments, sizes, x=np.ones((3, 2, 4)), y=np.ones(4))
    found, _ = counted(record, lambda r: r.arguments["x"].shape[-1] >= 2, arguments)
    assert found.arguments["x"].tolist() == [0, 0]
    assert found.arguments["y"].tolist() == [0]
    assert found.cotangents["out"].tolist() == 1
    assert found.sizes == {"*batch": 0, "n": 2, "y[0]": 1}


def test_numbers_stay_those_of_the_dtype() -> None:
    arguments = arguments_of("f", parsed("n", "x"))
    value = float(format_of("bfloat16").round(np.array(1.7)))
    record = record_of(arguments, {"n": 1}, "bfloat16", x=[value])
    found, _ = counted(record, lambda r: bool(1.2 < r.arguments["x"][0] < 1.9), arguments)
    assert found.arguments["x"].tolist() == [1.75]


def test_an_axis_stays_large_enough_for_the_whole_numbers_that_it_bounds() -> None:
    inputs = {"y": crosscheck.integers(2, "c")}
    arguments = arguments_of("f", parsed("n c, n", "xy"), inputs=inputs)
    record = record_of(arguments, {"n": 2, "c": 5}, x=np.ones((2, 5)), y=[4, 3])
    found, _ = counted(record, lambda r: True, arguments)
    assert found.sizes == {"n": 1, "c": 3}
    assert found.arguments["y"].tolist() == [2]
