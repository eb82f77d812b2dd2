"""Arrays with the same bits are converted once, and no others are taken for them."""

from __future__ import annotations

import ml_dtypes
import numpy as np

from crosscheck.frameworks.fetched import Fetched


def fetched() -> Fetched:
    return Fetched(lambda array: array, lambda array: np.array(array, dtype=np.float64))


def test_equal_bits_are_one_array() -> None:
    fetch, one = fetched(), np.arange(100, dtype=np.float32)
    assert fetch(one) is fetch(one.copy())


def test_what_was_sent_is_not_converted_again() -> None:
    fetch, sent = fetched(), np.arange(100, dtype=np.float32)
    own = sent.astype(np.float64)
    fetch.sent(sent, own)
    assert fetch(sent.copy()) is own


def test_one_entry_that_differs_makes_another_array() -> None:
    for place in (0, 17, 50, 99):
        fetch, one = fetched(), np.arange(100, dtype=np.float32)
        other = one.copy()
        other[place] += 1
        fetch(one)
        np.testing.assert_array_equal(fetch(other), other)


def test_zeros_of_either_sign_are_two() -> None:
    fetch, zeros = fetched(), np.zeros(3, dtype=np.float32)
    assert not np.signbit(fetch(zeros)).any()
    assert np.signbit(fetch(-zeros)).all()


def test_the_same_bits_of_another_dtype_are_another_number() -> None:
    fetch, one = fetched(), np.ones(3, dtype=np.float16)
    fetch(one)
    other = one.view(ml_dtypes.bfloat16)
    np.testing.assert_array_equal(fetch(other), other.astype(np.float64))


def test_another_arrangement_is_another_array() -> None:
    fetch, one = fetched(), np.ones((2, 3), dtype=np.float32)
    assert fetch(one).shape == (2, 3)
    assert fetch(one.T).shape == (3, 2)


def test_in_the_order_of_neither_memory() -> None:
    fetch, one = fetched(), np.arange(24.0, dtype=np.float32).reshape(2, 3, 4).transpose(2, 0, 1)
    np.testing.assert_array_equal(fetch(one), one)
