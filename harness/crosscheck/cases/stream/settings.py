"""What a sweep is: everything that its result depends on, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from crosscheck.cases.stream.families import DEFAULT_MIX, Mix
from crosscheck.network.batch import held_dtype
from crosscheck.network.dense import Network
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.named import known_names
from crosscheck.tools.errors import UsageError

__all__ = ["BLOCK", "Part", "Settings", "Shape"]

BLOCK = 16384
"""Cases that are made together; each block is drawn by itself, in one or several batches."""

_BATCH_BYTES = 2**24
"""Of cases in a batch, at the most. Measured against a half and a quarter, and `BLOCK` as well:
of the networks of `nox -s bench`, all gain from these."""
_LEAST_BATCH = 16


@dataclass(frozen=True)
class Shape:
    """What the cases of one stream have in common.

    Attributes:
        network: Widths and loss.
        rows: Rows in each case's batch.
        dtype: A name in `crosscheck.numbers.formats.FORMATS`.

    Raises:
        UsageError: An attribute is not as described.
    """

    network: Network
    rows: int = 1
    dtype: str = "float64"

    def __post_init__(self) -> None:
        format_of(self.dtype)
        if self.rows < 1:
            raise UsageError(f"rows={self.rows!r}: wanted at least one row")

    @property
    def numbers(self) -> int:
        """How many numbers a case holds: parameters, inputs and targets."""
        widths = self.network.widths
        pairs = zip(widths[1:], widths[:-1], strict=True)
        return sum(n * (m + 1) for n, m in pairs) + self.rows * (widths[0] + widths[-1])

    @property
    def batch(self) -> int:
        """How many cases are put to a framework at a time, a power of two that divides `BLOCK`.

        Many, for the sake of small networks, whose gradients cost less than the call; and few
        enough for cases and gradients not to fill memory and caches. A framework's rounding may
        depend on the size of a batch and on the place in it. So batches are part of the
        definition of a sweep, and the same whatever is cut, left over or done again.
        """
        size = BLOCK
        while size > _LEAST_BATCH and size * self.numbers * held_dtype(self.dtype).itemsize > (
            _BATCH_BYTES
        ):
            size //= 2
        return size

    @property
    def key(self) -> int:
        """64 bits that tell streams of different shapes apart, the same on every machine."""
        network = self.network
        text = repr((network.widths, network.output, network.reduction, self.rows, self.dtype))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")

    def words(self) -> list[str]:
        """The options of the command line that stand for this shape."""
        words = ["--widths", ",".join(map(str, self.network.widths)), "--dtype", self.dtype]
        if self.rows != 1:
            words += ["--rows", str(self.rows)]
        if self.network.output != "relu":
            words += ["--output", self.network.output]
        if self.network.reduction != "sum":
            words += ["--reduction", self.network.reduction]
        return words


@dataclass(frozen=True)
class Part:
    """A range of cases of one stream, all of one block.

    Attributes:
        shape: Of the cases.
        start: Index of the first.
        stop: One more than the index of the last.
    """

    shape: Shape
    start: int
    stop: int


@dataclass(frozen=True)
class Settings:
    """A sweep: the cases, and what they are put to.

    The streams take turns block by block, so that all are covered however early a sweep ends.
    A *place* in the sweep is counted in cases along this sequence of whole blocks.

    Attributes:
        shapes: One stream each, no two alike.
        cases: How many cases, over all streams; each has an equal share.
        seed: Of every stream, 0 … 2⁶⁴ − 1.
        mix: The families of cases and their shares.
        frameworks: Names of the frameworks.
        formulations: Framework name to formulation, where it is not the default.
        modes: Framework name to mode, likewise.
        allow: Names of coarser arithmetics whose REDUCED is no failure.
        max_failures: The sweep ends with so many failing cases.
        steps: Whether each step is certified too, of frameworks that show their steps.

    Raises:
        UsageError: An attribute is not as described.
    """

    shapes: tuple[Shape, ...]
    cases: int
    seed: int
    mix: Mix = DEFAULT_MIX
    frameworks: tuple[str, ...] = ()
    formulations: tuple[tuple[str, str], ...] = ()
    modes: tuple[tuple[str, str], ...] = ()
    allow: tuple[str, ...] = ()
    max_failures: int = 100
    steps: bool = False

    def __post_init__(self) -> None:
        if not self.shapes or len(set(self.shapes)) < len(self.shapes):
            raise UsageError("widths: wanted at least one shape, and each once")
        for name, value, least in (
            ("cases", self.cases, 1),
            ("seed", self.seed, 0),
            ("max_failures", self.max_failures, 1),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise UsageError(f"{name}={value!r}: wanted a whole number, {least} or more")
        if self.seed >= 2**64:
            raise UsageError(f"seed={self.seed}: wanted a whole number below 2**64")
        known_names(self.allow, "allow")

    @property
    def command(self) -> str:
        """Its name in `crosscheck.judge.certificates.CERTIFICATES`."""
        return "sweep --steps" if self.steps else "sweep"

    def count(self, stream: int) -> int:
        """How many cases stream number ``stream`` has."""
        each, left = divmod(self.cases, len(self.shapes))
        return each + (stream < left)

    @property
    def places(self) -> int:
        """Where the sweep ends."""
        return -(-self.count(0) // BLOCK) * BLOCK * len(self.shapes)

    def parts(self, start: int, stop: int) -> Iterator[Part]:
        """The cases from place ``start`` to place ``stop``, in order; empty parts are left out."""
        place = start
        while place < stop:
            block, offset = divmod(place, BLOCK)
            turn, stream = divmod(block, len(self.shapes))
            upto = min(stop, (block + 1) * BLOCK)
            first, limit = turn * BLOCK + offset, self.count(stream)
            last = min(first + upto - place, limit)
            if first < last:
                yield Part(self.shapes[stream], first, last)
            place = upto

    def done(self, place: int) -> int:
        """How many cases there are before a place."""
        turns, left = divmod(place, BLOCK * len(self.shapes))
        total = 0
        for stream in range(len(self.shapes)):
            here = min(max(left - stream * BLOCK, 0), BLOCK)
            total += min(turns * BLOCK + here, self.count(stream))
        return total

    def address(self, shape: Shape, index: int) -> str:
        """The command that shows one case."""
        words = ["crosscheck", "replay", f"{self.seed}:{index}", *shape.words()]
        if self.mix != DEFAULT_MIX:
            words += ["--mix", str(self.mix)]
        if self.steps:
            words.append("--steps")
        return " ".join(words)
