"""What domains promise: numbers of the dtype, entries that fit together, simple ones at the end."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import hypothesis
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import crosscheck
from crosscheck import UsageError
from crosscheck.cases.functions.arguments import arguments_of
from crosscheck.cases.functions.domains import Domain
from crosscheck.cases.functions.drawn import records
from crosscheck.cases.functions.given import domain_of
from crosscheck.cases.functions.shapes import parsed
from crosscheck.cases.functions.source import KINDS, Place, Source, grid
from crosscheck.numbers.formats import FORMATS, format_of

DTYPES = ("float64", "float32", "bfloat16", "float16")


def drawing(examples: int) -> hypothesis.settings:
    return hypothesis.settings(
        max_examples=examples,
        database=None,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )


OURS: Any = crosscheck
"""The package, where it is called with what its types refuse."""


def sums_to_one(array: Any) -> bool:
    lanes = array.reshape(-1, array.shape[-1])
    return bool((array > 0).all()) and all(sum(map(exactly, lane)) == 1 for lane in lanes)


def exactly(value: float) -> Any:
    return Fraction(float(value))


def is_definite(array: Any) -> bool:
    """By the signs of exact leading minors."""
    for matrix in array.reshape(-1, *array.shape[-2:]):
        exact = sympy.Matrix([[sympy.Rational(exactly(v)) for v in row] for row in matrix])
        if exact != exact.T or not all(exact[:k, :k].det() > 0 for k in range(1, len(matrix) + 1)):
            return False
    return True


def is_permutation(array: Any) -> bool:
    return bool((np.sort(array, axis=-1) == np.arange(array.shape[-1])).all())


PROMISES: dict[str, tuple[str, Domain, Callable[[Any], Any]]] = {
    "reals": ("n m", crosscheck.reals(), np.isfinite),
    "bounds": ("n", crosscheck.reals(min=0.3, max=2.7), lambda x: (x >= 0.3) & (x <= 2.7)),
    "far": ("n", crosscheck.reals(min=100), lambda x: x >= 100),
    "below": ("n", crosscheck.reals(max=-5), lambda x: x <= -5),
    "exclude": ("n", crosscheck.reals(exclude=(0, 1)), lambda x: (x != 0) & (x != 1)),
    "positive": ("n", crosscheck.positive(max=3), lambda x: (x >= 2**-4) & (x <= 3)),
    "unit": ("n", crosscheck.unit(), lambda x: (x >= 0) & (x <= 1)),
    "probabilities": ("n m", crosscheck.probabilities(), sums_to_one),
    "log_probabilities": (
        "n m",
        crosscheck.log_probabilities(),
        lambda x: (x <= 0) & (np.abs(np.exp(x).sum(-1, keepdims=True) - 1) < 1 / 64),
    ),
    "integers": ("n m", crosscheck.integers(0, "m"), lambda x: (x >= 0) & (x < x.shape[1])),
    "fixed integers": ("n", crosscheck.integers(-3, 2), lambda x: (x >= -3) & (x < 2)),
    "lengths": ("n m", crosscheck.lengths("m"), lambda x: (x >= 1) & (x <= x.shape[1])),
    "one_hot": (
        "n m",
        crosscheck.one_hot(),
        lambda x: ((x == 0) | (x == 1)).all() & (x.sum(axis=-1) == 1).all(),
    ),
    "mask": ("n m", crosscheck.mask(), lambda x: x.any(axis=-1)),
    "causal": ("n m", crosscheck.causal(), lambda x: x == (np.tri(*x.shape) == 1)),
    "permutation": ("n m", crosscheck.permutation(), is_permutation),
    "sorted_": (
        "n m",
        crosscheck.sorted_(crosscheck.unit()),
        lambda x: (np.diff(x) >= 0).all() & ((x >= 0) & (x <= 1)).all(),
    ),
    "symmetric": ("n m m", crosscheck.symmetric(), lambda x: x == x.swapaxes(-1, -2)),
    "spd": ("m m", crosscheck.spd(), is_definite),
    "lower": ("m m", crosscheck.lower(), lambda x: not np.triu(x, 1).any() and np.diag(x).all()),
    "unique": ("n m", crosscheck.unique(), lambda x: len(set(x.reshape(-1).tolist())) == x.size),
    "scale": ("n", crosscheck.scale(3), lambda x: np.isin(x, 2.0 ** np.arange(-3, 4))),
    "constant": ("n", crosscheck.constant(0.1), lambda x: np.abs(x - 0.1) < 1 / 64),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PROMISES)
def test_a_domain_draws_what_it_promises_in_numbers_of_the_dtype(name: str, dtype: str) -> None:
    text, domain, promise = PROMISES[name]
    arguments = arguments_of("f", parsed(text, "x"), inputs={"x": domain})
    form = format_of(dtype)
    wanted = {"real": "f", "integer": "i", "bool": "b", "any": "f"}[domain.kind]

    @drawing(10)
    @given(records(arguments, dtype=dtype))
    def check(record: Any) -> None:
        array = record.arguments["x"]
        assert array.dtype.kind == wanted
        assert array.dtype.itemsize in (1, 8)
        assert np.all(promise(array))
        assert wanted != "f" or form.contains(array)
        place = arguments.place("x", record.sizes, form)
        assert domain.holds(array, place)
        simplest = domain.simplest(place)
        assert simplest is None or (domain.holds(simplest, place) and np.all(promise(simplest)))

    check()


def at(shape: tuple[int, ...], dtype: str = "float32", **sizes: int) -> Place:
    return Place("x", shape, format_of(dtype), sizes)


@pytest.mark.parametrize(
    ("domain", "wrong"),
    [
        (crosscheck.reals(), [[0.1, 0.0]]),
        (crosscheck.reals(), [[np.nan, 0.0]]),
        (crosscheck.reals(min=1), [[0.5, 1.0]]),
        (crosscheck.reals(max=1), [[2.0, 1.0]]),
        (crosscheck.reals(exclude=(1,)), [[2.0, 1.0]]),
        (crosscheck.probabilities(), [[0.5, 0.25]]),
        (crosscheck.probabilities(), [[1.5, -0.5]]),
        (crosscheck.probabilities(0), [[0.5, 0.5]]),
        (crosscheck.log_probabilities(), [[-0.5, -0.5]]),
        (crosscheck.one_hot(), [[1.0, 1.0]]),
        (crosscheck.one_hot(), [[0.5, 0.5]]),
        (crosscheck.integers(0, 2), [[0, 2]]),
        (crosscheck.integers(0, "c"), [[0, 3]]),
        (crosscheck.integers(0, 2), [[0.0, 1.0]]),
        (crosscheck.mask(), [[False, False]]),
        (crosscheck.causal(), [[True, True]]),
        (crosscheck.permutation(), [[0, 0]]),
        (crosscheck.sorted_(crosscheck.reals()), [[1.0, 0.0]]),
        (crosscheck.unique(), [[1.0, 1.0]]),
        (crosscheck.scale(), [[1.0, 3.0]]),
        (crosscheck.constant(1.0), [[1.0, 2.0]]),
        (crosscheck.symmetric(), [[1.0, 0.0], [1.0, 1.0]]),
        (crosscheck.spd(), [[1.0, 1.0], [1.0, 1.0]]),
        (crosscheck.spd(), [[-2.0, 1.0], [1.0, 2.0]]),
        (crosscheck.lower(), [[1.0, 1.0], [0.0, 1.0]]),
        (crosscheck.lower(), [[0.0, 0.0], [0.0, 1.0]]),
    ],
)
def test_what_is_not_of_a_domain_is_noticed(domain: Domain, wrong: Any) -> None:
    array = np.array(wrong)
    assert not domain.holds(array, at(array.shape, c=3))


@pytest.mark.parametrize("name", PROMISES)
def test_what_is_cut_is_mended_into_the_domain(name: str) -> None:
    text, domain, promise = PROMISES[name]
    fewer = "m" if "m" in text else "n"
    arguments = arguments_of("f", parsed(text, "x"), inputs={"x": domain}, sizes={fewer: 3})

    @drawing(8)
    @given(records(arguments))
    def check(record: Any) -> None:
        place = arguments.place("x", {**record.sizes, fewer: 2}, format_of("float64"))
        cut = record.arguments["x"][tuple(map(slice, place.shape))]
        mended = domain.mended(cut.copy(), place)
        assert domain.holds(mended, place)
        assert np.all(promise(mended))

    check()


@pytest.mark.parametrize(
    ("domain", "predicate", "smallest"),
    [
        (crosscheck.reals(), lambda x: (x > 0).any(), [1.0]),
        (crosscheck.reals(min=0.3), lambda x: True, [1.0]),
        (crosscheck.reals(max=-1.3), lambda x: True, [-2.0]),
        (crosscheck.unit(), lambda x: (x > 0).all(), [1.0]),
        (crosscheck.probabilities(), lambda x: True, [1.0]),
        (crosscheck.integers(2, 9), lambda x: x.sum() > 3, [4]),
        (crosscheck.scale(), lambda x: (x > 1).any(), [2.0]),
    ],
)
def test_domains_shrink_to_simple_numbers(domain: Domain, predicate: Any, smallest: Any) -> None:
    arguments = arguments_of("f", parsed("n", "x"), inputs={"x": domain})
    found = hypothesis.find(
        records(arguments),
        lambda record: bool(predicate(record.arguments["x"])),
        settings=drawing(60),
    )
    assert found.arguments["x"].tolist() == smallest


@pytest.mark.parametrize("dtype", FORMATS)
def test_simple_numbers_are_of_the_format_and_begin_with_zero(dtype: str) -> None:
    form = format_of(dtype)
    assert grid(form)[:3] == (0.0, 1.0, -1.0)
    for bounds in [(0.3, None), (None, -1.3), (100.0, None), (0.1, 0.11), (0.25, 0.25)]:
        found = grid(form, *bounds)
        assert form.contains(found)
        low, high = bounds
        assert all((low is None or v >= low) and (high is None or v <= high) for v in found)
    assert grid(form, 0.25, 0.25) == (0.25,)


@pytest.mark.parametrize("dtype", DTYPES)
def test_full_numbers_use_all_bits_and_several_magnitudes(dtype: str) -> None:
    form = format_of(dtype)
    found: list[float] = []

    @drawing(20)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        drawn: Any = data.draw
        found.extend(Source(drawn, form, "full").reals((40,)).tolist())

    check()
    mantissas, exponents = np.frexp([value for value in found if value])
    lowest = np.ldexp(np.abs(mantissas), form.precision) % 2
    assert lowest.any()
    assert len(set(exponents.tolist())) >= 5


def test_whether_an_argument_is_differentiated_by_is_said_by_its_domain() -> None:
    assert crosscheck.reals().grad
    assert not crosscheck.reals(grad=False).grad
    assert crosscheck.probabilities().grad
    assert crosscheck.sorted_(crosscheck.reals()).grad
    for domain in (
        crosscheck.integers(0, 2),
        crosscheck.one_hot(),
        crosscheck.mask(),
        crosscheck.causal(),
        crosscheck.permutation(),
        crosscheck.scale(),
        crosscheck.lengths("t"),
        crosscheck.constant(1.0),
    ):
        assert not domain.grad
    assert domain_of(np.ones(2), "x").grad
    assert not domain_of(np.arange(2), "x").grad


def test_strategies_of_entries_and_of_arrays_and_functions_are_domains() -> None:
    inputs = {
        "a": st.floats(0.25, 0.75),
        "b": hnp.arrays(np.int32, (2, 3), elements=st.integers(0, 5)),
        "c": lambda draw, sizes: np.full(sizes["n"], draw(st.just(2.0))),
        "d": [True, False],
        "e": st.booleans(),
    }
    arguments = arguments_of(
        "f", parsed("n 3, n 3, n, n, 3", "abcde"), inputs=inputs, sizes={"n": 2}
    )

    @drawing(20)
    @given(records(arguments, dtype="bfloat16"))
    def check(record: Any) -> None:
        a, b, c, d, e = record.arguments.values()
        assert a.dtype == np.float64
        assert format_of("bfloat16").contains(a)
        assert ((a >= 0.25) & (a <= 0.75)).all()
        assert (b.dtype, b.shape) == (np.int64, (2, 3))
        assert c.tolist() == [2.0, 2.0]
        assert (d.dtype, d.tolist()) == (np.bool_, [True, False])
        assert (e.dtype, e.shape) == (np.bool_, (3,))

    check()


def test_an_axis_may_be_named() -> None:
    arguments = arguments_of(
        "f", parsed("n c *b", "x"), inputs={"x": crosscheck.one_hot("c")}, sizes={"*b": 1}
    )

    @drawing(15)
    @given(records(arguments))
    def check(record: Any) -> None:
        assert (record.arguments["x"].sum(axis=1) == 1).all()

    check()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: OURS.reals(min=2, max=1), "reals(min=2, max=1): wanted min up to max"),
        (lambda: OURS.reals(min="a"), "reals(min='a': wanted a number"),
        (lambda: OURS.reals(max=math.inf), "wanted a finite number"),
        (lambda: OURS.reals(exclude=1), "reals(exclude=1): wanted a tuple of numbers"),
        (lambda: OURS.integers(3, 3), "integers(3, 3): wanted the second larger"),
        (lambda: OURS.integers("c", 3), "integers('c', 3): wanted a whole number first"),
        (lambda: OURS.integers(0, 1.5), "integers(0, 1.5): wanted whole numbers"),
        (lambda: OURS.integers(0, "c d"), "'c d' is no axis"),
        (lambda: OURS.lengths(3), "lengths(3): wanted an axis's name"),
        (lambda: OURS.scale(-1), "scale(-1): wanted a whole number from 0 to 100"),
        (lambda: OURS.mask(3), "mask(rows_nonempty=3): wanted True or False"),
        (lambda: OURS.constant("a"), "constant: of <U1, wanted an array of numbers"),
        (lambda: domain_of(crosscheck.mask, "m"), "inputs['m']: mask is not called"),
        (lambda: domain_of("a", "m"), "inputs['m']='a': wanted a domain such as reals()"),
        (lambda: domain_of(lambda draw: draw, "m"), "wanted a function of draw and sizes"),
        (lambda: domain_of([[1], [1, 2]], "m"), "inputs['m']: no array"),
    ],
)
def test_what_makes_no_domain_is_refused_in_one_line(make: Any, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        make()
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "given_", "dtype", "words"),
    [
        ("n", crosscheck.integers(0, "c"), "float64", "names the axis 'c', wanted one of n"),
        ("n", crosscheck.integers(5, "n"), "float64", "has none, for n is 1"),
        ("n", crosscheck.spd(), "float64", "spd() given, and shape (1,), wanted two equal axes"),
        (
            "n m",
            crosscheck.probabilities("k"),
            "float64",
            "axis='k', wanted one of shape (1, 1) (n, m)",
        ),
        ("n m", crosscheck.probabilities(2), "float64", "probabilities has axis=2"),
        (
            "n",
            crosscheck.reals(min=0.1, max=0.1),
            "float32",
            "no simple float32 number between 0.1",
        ),
        ("n", lambda draw, sizes: np.ones(7), "float64", "inputs['x']: shape (7,), wanted (1,)"),
        ("n", st.just(1e300), "float16", "beyond the largest float16 number"),
        ("n", st.just("a"), "float16", "inputs['x']: of <U1"),
        (
            "999 n",
            crosscheck.unique(),
            "float8_e5m2",
            "999 entries without ties, and float8_e5m2 has",
        ),
    ],
)
def test_a_domain_with_nothing_for_a_shape_says_so(
    text: str, given_: Any, dtype: str, words: str
) -> None:
    arguments = arguments_of("f", parsed(text, "x"), inputs={"x": given_})

    @drawing(1)
    @given(records(arguments, dtype=dtype))
    def check(record: Any) -> None: ...

    with pytest.raises(UsageError) as raised:
        check()
    assert words in str(raised.value)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_numbers_is_what_it_is_called(kind: str) -> None:
    arguments = arguments_of("f", parsed("n h, h -> n h", "xb"))
    seen = 0

    @drawing(25)
    @given(records(arguments, dtype="bfloat16", kinds=[kind]))
    def check(record: Any) -> None:
        nonlocal seen
        x, out = record.arguments["x"], record.cotangents["out"]
        assert record.kind == kind
        if kind == "small":
            assert ((2 * x) % 1 == 0).all()
            assert (np.abs(x) <= 4).all()
        if kind == "ties":
            assert len(set(np.abs(x).reshape(-1).tolist())) <= 2
            seen += 0 in x
        if kind == "full":
            seen += bool(((16 * x) % 1 != 0).any())
        if kind == "long":
            axis = int(np.argmax(x.shape))
            assert x.shape[axis] == 258
            assert x.size <= 2 * 258
            assert (np.diff(x, axis=axis) == 0).all()
            assert len(set(out.reshape(-1).tolist())) == 1

    check()
    assert seen or kind in ("small", "long")


def test_arrays_of_ties_hold_the_edges() -> None:
    arguments = arguments_of("f", parsed("4 4", "x"), edges={"x": [0.0, 6.0]})
    seen = 0

    @drawing(20)
    @given(records(arguments, kinds=["ties"]))
    def check(record: Any) -> None:
        nonlocal seen
        seen += 6.0 in record.arguments["x"]

    check()
    assert seen
