"""Parts of a sweep, checked: cases in, gradients of whole batches, verdicts, events out.

What comes back depends on the part and on the settings alone, so that any worker may do it, and
do it again.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial

from crosscheck.cases.stream.generate import Block, slices
from crosscheck.cases.stream.settings import BLOCK, Part, Settings
from crosscheck.frameworks.base import Framework
from crosscheck.judge.door import Answer as Given
from crosscheck.judge.door import certified
from crosscheck.run.sweep.answers import Answer, answer
from crosscheck.run.sweep.leftover import LeftOver
from crosscheck.run.sweep.record import Checked, Record

__all__ = ["asking", "batches_of", "check_part", "check_parts", "judged", "made_anew"]

_FEW = 16
"""Cases that are not worth a stack of their own: they wait for those of other batches."""


def check_part(part: Part, settings: Settings, frameworks: Sequence[Framework]) -> Checked:
    """Check the cases of one part.

    Args:
        part: Of one block.
        settings: The sweep.
        frameworks: Opened, in the order of the sweep.
    """
    return check_parts([part], settings, frameworks)[0]


def check_parts(
    parts: Iterable[Part], settings: Settings, frameworks: Sequence[Framework]
) -> tuple[Checked, ...]:
    """Check the cases of several parts, which takes less time than one after the other.

    Args:
        parts: Each of one block.
        settings: The sweep.
        frameworks: Opened, in the order of the sweep.

    Returns:
        One result for each part; where one is cut, none for those behind it.
    """
    found: list[Record | Checked] = []
    left = LeftOver(settings, frameworks)
    for part in parts:
        record = Record(part, settings, frameworks)
        with closing(batches_of(part, settings)) as batches:
            ask = asking(part, settings)
            asked = ((made, [ask(framework, made) for framework in frameworks]) for made in batches)
            _take(record, asked, frameworks, left)
        if any(each.cut for each in found):
            break  # cases of an earlier part that waited have cut that
        # What is done is counted at once, and its memory free for the next part.
        found.append(record if record in left else record.checked())
        if record.cut:
            break
    return _told(found, left)


def asking(part: Part, settings: Settings) -> Callable[[Framework, Block], Answer]:
    """What asks a framework for a batch that cases of a part are in."""
    first = part.start // BLOCK * BLOCK
    return partial(
        answer,
        anew=partial(made_anew, part=part, settings=settings),
        command=settings.command,
        positions=range(part.start - first, part.stop - first),
    )


def judged(
    part: Part,
    settings: Settings,
    frameworks: Sequence[Framework],
    asked: Iterable[tuple[Block, Sequence[Answer]]],
) -> Checked:
    """The verdicts on one part.

    Args:
        part: Of one block.
        settings: The sweep.
        frameworks: As in ``asked``.
        asked: The batches of `batches_of`, and what the frameworks made of each.
    """
    record, left = Record(part, settings, frameworks), LeftOver(settings, frameworks)
    _take(record, asked, frameworks, left)
    return _told([record], left)[0]


def batches_of(part: Part, settings: Settings) -> Generator[Block, None, None]:
    """The batches that the cases of a part are in; each is valid until the next is asked for."""
    shape, number = part.shape, part.start // BLOCK
    first, last = part.start - number * BLOCK, part.stop - number * BLOCK
    with closing(slices(shape, settings.seed, number, settings.mix, shape.batch)) as batches:
        for made in batches:
            if made.first >= last:
                break  # the rest of the block is not made
            if first < made.first + made.batch.count:
                yield made


def made_anew(made: Block, part: Part, settings: Settings) -> None:
    """Write the cases of a batch into its memory once more, where something has changed them."""
    with closing(batches_of(part, settings)) as batches:
        for again in batches:
            if again.first == made.first:
                for array, right in zip(made.batch.flatten(), again.batch.flatten(), strict=True):
                    array[...] = right


def _take(
    record: Record,
    asked: Iterable[tuple[Block, Sequence[Answer]]],
    frameworks: Sequence[Framework],
    left: LeftOver,
) -> None:
    """Note what is known of each batch; what is not decided there is left over."""
    for made, answers in asked:
        record.ask(made)
        agrees, bounds = record.room(made)
        given = [
            Given(each.given, framework.derivation)
            for framework, each in zip(frameworks, answers, strict=True)
            if each.given is not None
        ]
        if len(given) == len(frameworks):
            certified(made.batch, given, few=_FEW, out=(agrees, bounds))
        else:
            rows = [row for row, each in enumerate(answers) if each.given is not None]
            agrees[:] = False
            if rows:
                found = certified(made.batch, given, few=_FEW)
                agrees[rows], bounds[rows] = found.agrees, found.bounds
        left.add(record, made, answers, record.take(made, answers))
        if record.cut and made.first + made.batch.count >= record.last:
            break


def _told(found: Sequence[Record | Checked], left: LeftOver) -> tuple[Checked, ...]:
    """What is to be told of parts, up to the first that is cut."""
    left.settle()

    def upto_cut() -> Iterator[Checked]:
        for each in found:
            yield each.checked() if isinstance(each, Record) else each
            if each.cut:
                return

    return tuple(upto_cut())
