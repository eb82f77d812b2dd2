"""The compiled generator makes the cases of the readable one, bit for bit, in any slices."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import njit, uint64

from crosscheck.cases.stream import compiled, draw, generate, memory, steps, words
from crosscheck.cases.stream.compiled import Maker
from crosscheck.cases.stream.draw import Draw
from crosscheck.cases.stream.families import DEFAULT_MIX, FAMILIES, Mix, _mirrored
from crosscheck.cases.stream.generate import Block, block, case, slices
from crosscheck.cases.stream.readable import make
from crosscheck.cases.stream.settings import BLOCK, Shape
from crosscheck.network.batch import ALIGNMENT, Batch, held_dtype
from crosscheck.network.dense import Network
from crosscheck.numbers.formats import WORKING, Format, format_of
from crosscheck.tools.errors import UsageError

SIZES = [2**k for k in range(12)]
SHAPES = {
    # 21, 11, 4 and 47 numbers in a case: none a multiple of eight, so words are shared by cases.
    "rows": (Network((2, 3, 1)), 3),
    "depth": (Network((1, 1, 1, 1), "identity", "mean"), 2),
    "1-1": (Network((1, 1)), 1),
    "wide": (Network((5, 3, 5)), 1),
    # More units than a byte can choose from, and more words than are drawn at once.
    "wider": (Network((3, 1300, 2)), 1),
}
LARGEST = 2**64 // BLOCK - 2  # of a block, so that numbers of cases are below 2**64


def arrays(batch: Batch) -> list[Any]:
    layers = zip(batch.weights, batch.biases, strict=True)
    return [*(array for layer in layers for array in layer), batch.x, batch.y]


def mixes() -> list[Mix]:
    without = ",".join(name for name in FAMILIES if name != "gaussian")
    return [DEFAULT_MIX, Mix.parse(",".join(FAMILIES)), Mix.parse(without)]


def differing(made: Block, batch: Batch, families: Any) -> list[int]:
    """Positions, in the block, of cases that are not those of the readable form."""
    count, first = made.batch.count, made.first
    wrong = made.families != families[first : first + count]
    for one, other in zip(arrays(made.batch), arrays(batch), strict=True):
        assert one.dtype == other.dtype == held_dtype(batch.dtype)
        pairs = zip(one, other[first : first + count], strict=True)
        wrong = wrong | np.array([a.tobytes() != b.tobytes() for a, b in pairs])
    return [int(position) + first for position in np.flatnonzero(wrong)]


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("dtype", WORKING)
def test_both_forms_make_the_same_cases(name: str, dtype: str) -> None:
    network, rows = SHAPES[name]
    shape = Shape(network, rows, dtype)
    addresses = [(7, 0), (2**64 - 1, LARGEST), (2**63, 2**33 + 5)]
    for mix, (seed, number) in itertools.product(
        mixes(), addresses if name != "wider" else [(7, 0)]
    ):
        assert differing(block(shape, seed, number, mix), *make(shape, seed, number, mix)) == []


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", WORKING)
def test_both_forms_make_the_same_cases_of_one_family(family: str, dtype: str) -> None:
    mix = Mix(((family, 1.0),))
    for network, rows in (SHAPES["rows"], SHAPES["wide"], (Network((4, 8, 1)), 1)):
        shape = Shape(network, rows, dtype)
        assert differing(block(shape, 3, 11, mix), *make(shape, 3, 11, mix)) == []


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("is_compiled", [True, False], ids=["compiled", "readable"])
def test_slices_of_any_size_are_the_block(
    size: int, is_compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generate, "is_compiled", lambda: is_compiled)
    mix = Mix.parse(",".join(FAMILIES))
    for (network, rows), dtype in (
        (SHAPES["rows"], "float32"),
        (SHAPES["depth"], "float64"),
        (SHAPES["1-1"], "bfloat16"),
    ):
        shape = Shape(network, rows, dtype)
        batch, families = make(shape, 5, 2, mix)
        firsts = []
        for made in slices(shape, 5, 2, mix, size):
            assert made.batch.count == size
            assert made.families.shape == (size,)
            assert differing(made, batch, families) == []
            firsts.append(made.first)
        assert firsts == list(range(0, BLOCK, size))


def test_a_case_of_a_slice_is_the_case_of_its_number() -> None:
    shape = Shape(Network((4, 8, 1)), dtype="float32")
    for made in slices(shape, 7, 3, DEFAULT_MIX, 256):
        alone, family = case(shape, 7, 3 * BLOCK + made.first + 5, DEFAULT_MIX)
        assert made.case(5).key == alone.key
        assert list(FAMILIES)[made.families[5]] == family


# -- memory ----------------------------------------------------------------------------------------


def places(made: Block) -> list[int]:
    return [array.ctypes.data for array in arrays(made.batch)]


@pytest.mark.parametrize("is_compiled", [True, False], ids=["compiled", "readable"])
def test_slices_come_in_the_same_aligned_memory_and_blocks_in_memory_of_their_own(
    is_compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generate, "is_compiled", lambda: is_compiled)
    shape = Shape(Network((3, 5, 1)), dtype="float32")
    seen = {
        tuple(places(made))
        for number in range(3)
        for made in slices(shape, 1, number, DEFAULT_MIX, 64)
    }
    assert len(seen) == 1
    (found,) = seen
    assert all(place % ALIGNMENT == 0 for place in found)
    first = block(shape, 1, 0, DEFAULT_MIX)
    kept = [array.copy() for array in arrays(first.batch)]
    second = block(shape, 1, 1, DEFAULT_MIX)
    assert not set(places(first)) & {*places(second), *found}
    for one, other in zip(kept, arrays(first.batch), strict=True):
        assert one.tobytes() == other.tobytes()
    for made in (first, second):
        for array in arrays(made.batch):
            assert array.flags.c_contiguous
            assert array.ctypes.data % ALIGNMENT == 0


def test_iterators_in_use_at_the_same_time_do_not_write_over_each_other() -> None:
    shape, mix = Shape(Network((2, 3, 1)), rows=2), Mix.parse(",".join(FAMILIES))
    wanted = [make(shape, 9, number, mix) for number in range(3)]
    together = [slices(shape, 9, number, mix, 512) for number in range(3)]
    for turn in zip(*together, strict=True):
        for made, (batch, families) in zip(turn, wanted, strict=True):
            assert differing(made, batch, families) == []


def test_an_iterator_that_is_left_early_leaves_nothing_behind() -> None:
    shape, mix = Shape(Network((2, 3, 1)), rows=2), Mix.parse(",".join(FAMILIES))
    left = slices(shape, 9, 0, mix, 128)
    assert isinstance(left, Iterator)
    next(left)
    next(left)
    del left
    batch, families = make(shape, 9, 1, mix)
    for made in slices(shape, 9, 1, mix, 128):
        assert differing(made, batch, families) == []


def test_threads_have_memory_of_their_own() -> None:
    shape, mix = Shape(Network((4, 8, 1))), Mix.parse(",".join(FAMILIES))
    wrong: list[int] = []
    used: list[set[tuple[int, ...]]] = [set(), set()]
    both = threading.Barrier(2)

    def work(which: int) -> None:
        both.wait()
        for number in range(4):
            batch, families = make(shape, which, number, mix)
            for made in slices(shape, which, number, mix, 256):
                wrong.extend(differing(made, batch, families))
                used[which].add(tuple(places(made)))

    threads = [threading.Thread(target=work, args=(which,)) for which in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(used[0]) == len(used[1]) == 1
    assert not used[0] & used[1]


def test_memory_of_shapes_that_are_no_longer_asked_for_is_given_up() -> None:
    for width in range(1, 40):
        for _ in slices(Shape(Network((1, width))), 1, 0, DEFAULT_MIX, 1024):
            pass
    assert len(vars(memory._threads)["kinds"]) <= memory._MOST_KEPT


@pytest.mark.parametrize("size", [0, -1, 3, 2 * BLOCK, 2.5, "all", None])
def test_a_size_that_does_not_divide_a_block_is_refused_at_once(size: Any) -> None:
    with pytest.raises(UsageError, match=f"wanted a power of two, {BLOCK} at the most"):
        slices(Shape(Network((1, 1))), 1, 0, DEFAULT_MIX, size)


# -- the parts -------------------------------------------------------------------------------------


@njit  # type: ignore[untyped-decorator]
def drawn(key: Any, purpose: int, first: int, groups: int, address: int) -> None:
    steps.draw(key[0], key[1], key[2], purpose, first, groups, address)


@pytest.mark.parametrize("seed", [0, 7, 2**64 - 1])
@pytest.mark.parametrize("first", [0, 4, 60, 64, 2**20])
def test_words_are_those_of_numpy(seed: int, first: int) -> None:
    source = Draw(Shape(Network((4, 8, 1))), seed, 2**64 - 1)
    key = np.array([seed, source.shape.key, source.number], dtype=np.uint64)
    found = np.zeros(3 * words.GROUP + 1, dtype=np.uint64)
    drawn(key, draw.NORMALS, first, 3, found.ctypes.data)
    wanted = source.words(draw.NORMALS, first + 3 * words.GROUP)[first:]
    assert found[:-1].tolist() == wanted.tolist()
    assert found[-1] == 0  # nothing is written behind the end


def hard_to_round(form: Format) -> list[float]:
    """Numbers of all sizes, numbers of a narrow format, those halfway between, and its ends."""
    rng = np.random.default_rng(0)
    tiny, largest = form.smallest_subnormal, form.largest
    numbers = rng.standard_normal(2000) * 2.0 ** rng.integers(form.emin - 14, form.emax + 2, 2000)
    inside = form.round(numbers[np.abs(numbers) < largest])
    halfway = inside + form.ulp(inside) / 2  # ties
    ends = [0.0, -0.0, tiny / 2, -tiny / 2, tiny * 1.5, tiny / 4, largest, -largest, largest * 2]
    above = largest + form.ulp(largest) / 2  # the first that overflows
    found = [*numbers, *inside, *halfway, *ends, above, np.nextafter(above, 0.0)]
    return [float(value) for value in found]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_numbers_are_rounded_as_the_format_rounds(dtype: str) -> None:
    form = format_of(dtype)
    for value in hard_to_round(form):
        found = steps.narrowed(value, form.precision, form.smallest_subnormal, form.largest)
        wanted = float(form.round(value))
        assert (found, np.signbit(found)) == (wanted, np.signbit(wanted)), value


@njit  # type: ignore[untyped-decorator]
def cancelled(
    weight: int, bias: int, one: int, units: int, zeros: int, form: tuple[int, float, float]
) -> None:
    steps.cancel(0.0, weight, bias, one, 1, units, zeros, zeros, False, form[0], form[1], form[2])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_eight_numbers_at_a_time_are_rounded_alike(dtype: str) -> None:
    form = format_of(dtype)
    # With an x of 1 and factors of 0, each bias is a weight rounded, with the other sign.
    weight, one = np.array(hard_to_round(form)), np.ones(1)
    bias, zeros = np.empty_like(weight), np.zeros(max(256, len(weight)))
    places = [array.ctypes.data for array in (weight, bias, one)]
    kept = form.precision, form.smallest_subnormal, form.largest
    cancelled(*places, len(weight), zeros.ctypes.data, kept)
    wanted = form.round(-(weight + 0.0))
    assert bias.tobytes() == wanted.tobytes()


@njit  # type: ignore[untyped-decorator]
def places_of(start: Any, count: int) -> list[float]:
    return [words.mirrored(start + uint64(k)) for k in range(count)]


def test_digits_are_mirrored_as_in_the_readable_form() -> None:
    for start in (0, 2048, 2**53 - 3, 2**64 - 50):
        numbers = np.arange(start, start + 40, dtype=np.uint64)
        assert places_of(uint64(start), 40) == _mirrored(numbers).tolist()


def test_what_is_kept_on_disk_depends_on_every_file_that_is_compiled() -> None:
    folder = Path(compiled.__file__).parent
    pattern = re.compile(r"^from crosscheck\.cases\.stream\.(\w+) import", re.MULTILINE)
    used, left = set(), {"kernel"}
    while left:
        used |= left
        sources = [(folder / f"{name}.py").read_text("utf-8") for name in left]
        # What a Python module takes from others in turn is not compiled.
        deeper = [source for source in sources if re.search("from numba|import kept", source)]
        left = {name for source in deeper for name in pattern.findall(source)} - used
    assert sorted(f"{name}.py" for name in used) == sorted(compiled._SOURCES)


# -- faults are seen -------------------------------------------------------------------------------


def after_begin(maker: Maker, change: Callable[[], None]) -> None:
    begin = maker.begin

    def changed(*given: Any) -> Any:
        families = begin(*given)
        change()
        return families

    vars(maker)["begin"] = changed


def draw_from_another_block(maker: Maker) -> None:
    after_begin(maker, lambda: maker._key.put(2, 2))


def begin_each_case_a_number_early(maker: Maker) -> None:
    kept = list(maker._kept)
    kept[kept.index(maker.shape.numbers)] -= 1
    maker._kept = tuple(kept)


def take_the_words_of_the_next_case(maker: Maker) -> None:
    after_begin(maker, lambda: maker._state.put(7, 1))  # row 1, column 3


def take_the_exponents_of_the_next_case(maker: Maker) -> None:
    after_begin(maker, lambda: maker._state.put(11, 1))  # row 2, column 3


def change_a_factor(maker: Maker) -> None:
    maker._factors[77] *= 2.0


def change_a_table(maker: Maker) -> None:
    tables, sizes = maker._arrays
    wrong = tables.copy()
    wrong[list(FAMILIES).index("dyadic"), 1] += 8
    maker._arrays = (wrong, sizes)


@pytest.mark.parametrize(
    ("plant", "families"),
    [
        (draw_from_another_block, set(FAMILIES)),
        (begin_each_case_a_number_early, set(FAMILIES)),
        (take_the_words_of_the_next_case, {"gaussian"}),
        (take_the_exponents_of_the_next_case, {"cancelling", "undecided"}),
        (change_a_factor, {"cancelling"}),
        (change_a_table, {"dyadic"}),
    ],
)
def test_a_planted_fault_is_noticed_in_the_families_that_it_touches(
    plant: Callable[[Maker], None], families: set[str]
) -> None:
    shape, mix = Shape(Network((2, 3, 1)), rows=3), Mix.parse(",".join(FAMILIES))
    maker = Maker(shape)
    plant(maker)
    free = memory.idle("maker", shape)
    free[:] = [maker]
    made = block(shape, 5, 1, mix)
    free.clear()
    wrong = differing(made, *make(shape, 5, 1, mix))
    assert {list(FAMILIES)[made.families[position]] for position in wrong} == families
    assert differing(block(shape, 5, 1, mix), *make(shape, 5, 1, mix)) == []


def test_another_number_of_rounds_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    draw_words = njit(steps.draw.py_func)
    monkeypatch.setattr(words, "_ROUNDS", 9)
    source = Draw(Shape(Network((1, 1))), 7, 1)
    seed, key, number = (np.uint64(n) for n in (7, source.shape.key, 1))
    found = np.zeros(words.GROUP, dtype=np.uint64)
    draw_words(seed, key, number, draw.BYTES, 0, 1, found.ctypes.data)
    assert not np.isin(found, source.words(draw.BYTES, words.GROUP)).any()
