"""The sweep: results in the order of the cases, counted, shown, saved, and brought to an end.

Whoever checks the cases, results are taken in order, so that a sweep stopped at any place has
counted all cases before that place and none behind it. What is counted does not depend on who did
the work, when, or how often it was stopped and resumed.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from crosscheck.cases.stream.families import HARD
from crosscheck.cases.stream.memory import keep_freed_memory
from crosscheck.cases.stream.settings import BLOCK, Settings
from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.state import FrameworkState
from crosscheck.judge.vacuity import Coverage
from crosscheck.run.crosscheck import outcome
from crosscheck.run.events import Event, ExitCode, RunFinished, RunStarted
from crosscheck.run.sweep.check import check_parts
from crosscheck.run.sweep.checkpoint import Checkpoint, save
from crosscheck.run.sweep.coordinate import Source, Step
from crosscheck.run.sweep.record import Checked
from crosscheck.run.tally import Tally
from crosscheck.tools.atomic import write_text_atomically
from crosscheck.tools.interrupts import interrupts

__all__ = ["Sweep", "in_this_process", "step_size", "steps", "steps_until"]

_TIME_IS_UP = "time is up"

_SAVED_EVERY = 5.0
"""Seconds between checkpoints."""

_STEP_SECONDS = 1.0
"""What a step takes, roughly: short enough for a worker to be lost without much loss, and long
enough for some cases to come together that are judged a few at a time."""

_KNOWN = frozenset({"torch", "tensorflow", "jax"})
"""Frameworks that are as fast as `step_size` takes them to be, in their usual modes."""


def step_size(settings: Settings) -> int:
    """Places in a step: a fixed function of the settings, so that steps are cut alike always.

    From measurements, with three frameworks and a slow machine in mind: half a microsecond for each
    hundred numbers of a case that is judged together with others, and a quarter of one for the case
    (ten times that where numba is missing); and a millisecond a layer for one that is not, since
    few of them come together in a step. Of frameworks that may be slower steps are smaller.
    """
    numbers = max(shape.numbers for shape in settings.shapes)
    deep = max(shape.network.depth for shape in settings.shapes)
    seconds = (50 + numbers) / 200_000_000
    seconds += settings.mix.share(HARD) * deep / 1000
    known = not settings.modes and set(settings.frameworks) <= _KNOWN
    most = (32 if known else 4) * BLOCK
    size = 16
    while size < most and 2 * size * seconds <= _STEP_SECONDS:
        size *= 2
    return size


def steps(settings: Settings, start: int) -> Iterator[tuple[int, int]]:
    """(first place, last place) of each step from place ``start`` on."""
    size = step_size(settings)
    while start < settings.places:
        stop = min((start // size + 1) * size, settings.places)
        yield start, stop
        start = stop


def in_this_process(settings: Settings, frameworks: Sequence[Framework]) -> Source[Checked]:
    """Check all cases one after the other, here."""

    def source(start: int, stop_at: float | None = None, /) -> Generator[Step[Checked], None, None]:
        keep_freed_memory()
        if stop_at is None:
            cut: Iterable[tuple[int, int]] = steps(settings, start)
        else:
            cut = steps_until(settings, start, stop_at)
        for first, last in cut:
            parts = settings.parts(first, last)
            yield Step(last, check_parts(parts, settings, frameworks))

    return source


def steps_until(
    settings: Settings,
    start: int,
    stop_at: float,
    now: Callable[[], float] = time.monotonic,
) -> Iterator[tuple[int, int]]:
    """`steps` that are cut smaller, so that the last one ends near a time.

    How long a step takes depends on frameworks that nobody knows. So the first is small, each is at
    most twice the one before, and at the pace of that none is longer than a usual step, or than
    what is left. Its end is put at a multiple of a power of two, so that batches are seldom cut,
    which are put to a framework whole. What is counted depends on where a sweep ends, and not on
    how it was cut before.

    Args:
        settings: The sweep.
        start: A place.
        stop_at: When the last step is to end.
        now: The clock.
    """
    most = step_size(settings)
    size, begun = min(_FIRST, most, *(shape.batch for shape in settings.shapes)), now()
    while start < settings.places and begun < stop_at:
        unit = 1 << (size.bit_length() - 1)
        stop = min(max(start + 1, (start + size) // unit * unit), settings.places)
        yield start, stop
        taken, begun = now() - begun, now()
        wanted = min(_STEP_SECONDS, stop_at - begun)
        fits = (stop - start) * wanted / taken if taken > 0 else math.inf
        size, start = int(max(_LAST, min(2 * size, most, fits))), stop


_FIRST, _LAST = 256, 16
"""Places in the first step of a sweep that has a time to end, and at the least."""


class Sweep:
    """A sweep under way.

    Attributes:
        settings: What it is.
        frameworks: Opened; for the outcome, and for making failing cases small.
        states: Of all frameworks known.
        started: The first event.
        folder: Gets what ``report`` writes, and ``sweep.json``; and for a framework that fails a
            program that shows it, such as ``failing_torch.py``.
        show: Takes each event after it was counted.
        report: Writes the tally's reports into a folder, again and again.
        tally: All results so far.
        place: Everything before it is in the tally.
        smooth: See `crosscheck.run.crosscheck.Outcome`.
        failing: How many cases fail.
    """

    def __init__(
        self,
        settings: Settings,
        frameworks: Sequence[Framework],
        states: Sequence[FrameworkState],
        started: RunStarted,
        folder: Path,
        show: Callable[[Event, Tally], None],
        report: Callable[[Path, Tally], None],
        made_with: Mapping[str, str],
        resumed: Checkpoint | None = None,
    ) -> None:
        self.settings, self.frameworks, self.states = settings, frameworks, states
        self.started, self.folder, self._show = started, folder, show
        self._report, self._made_with = report, made_with
        self.tally = resumed.tally if resumed else Tally()
        self.tally.sweep = settings
        self.place = resumed.place if resumed else 0
        self.smooth = resumed.smooth if resumed else 0
        self.failing = resumed.failing if resumed else 0
        self._finished = resumed.finished if resumed else False
        self._seconds_before = resumed.seconds if resumed else 0.0
        self._begin = time.monotonic()
        self._saved = -math.inf  # the first results are saved at once

    @property
    def failed(self) -> bool:
        """Whether anything failed."""
        return self.failing > 0

    @property
    def coverage(self) -> Coverage:
        """Which arrays were checked, in a share of the cases."""
        return self.tally.coverage

    @property
    def nondeterministic(self) -> tuple[str, ...]:
        """None: a sweep does not ask twice."""
        return ()

    @property
    def seconds(self) -> float:
        """How long all of it has taken so far, interruptions aside."""
        return self._seconds_before + time.monotonic() - self._begin

    def run(
        self,
        source: Source[Checked],
        *,
        until: float | None = None,
        conclude: Callable[[Tally], Iterable[Event]] = lambda tally: (),
    ) -> ExitCode:
        """Take results until the end, or so many seconds, or an interrupt, or enough failures.

        Args:
            source: Where results come from.
            until: Seconds after which no more results are taken.
            conclude: Gives more events at the end, unless that is an interrupt; each is
                counted before the next is asked for.
        """
        self._emit(self.started)
        reason, interrupted = "", False
        try:
            with interrupts() as held:
                if self.frameworks and not self._finished:
                    reason = self._take(source, held, until)
                if not self._finished:
                    for event in conclude(self.tally):
                        self._emit(event)
                # A sweep that ran out of time is resumed from here, not done.
                self._finished = reason != _TIME_IS_UP
        except KeyboardInterrupt:
            interrupted = True
        code, words = outcome(self, self.states, self.started, interrupted=interrupted)
        words += f"; {reason}" if reason else ""
        finished = RunFinished(code, words, self.seconds, None)
        self._save(finished)
        self._write_scripts()
        self._emit(finished)
        return code

    def _take(
        self,
        source: Source[Checked],
        held: Callable[[], contextlib.AbstractContextManager[None]],
        until: float | None,
    ) -> str:
        """Count results; why no more of them, if not because there are no more."""
        stop_at = None if until is None else self._begin + until
        steps_ = iter(source(self.place, stop_at))
        try:
            return self._count(steps_, held, stop_at)
        finally:
            close = getattr(steps_, "close", None)
            if close is not None:
                close()  # a generator that has workers under way ends them

    def _count(
        self,
        results: Iterator[Step[Checked]],
        held: Callable[[], contextlib.AbstractContextManager[None]],
        stop_at: float | None,
    ) -> str:
        for step in results:
            with held():
                for lost in step.lost:
                    self._emit(lost)
                for checked in step.checked:
                    self._emit(checked.summary)
                    for case in checked.cases:
                        self._emit(case)
                    self.smooth += checked.summary.smooth
                    self.failing += checked.failing
                    if checked.cut or self.failing >= self.settings.max_failures:
                        self.place = step.stop
                        return f"stopped after {self.failing} failing cases"
                self.place = step.stop
                now = time.monotonic()
                if now - self._saved >= _SAVED_EVERY:
                    self._save(self._unfinished())
                    self._saved = time.monotonic()
                if stop_at is not None and now >= stop_at and self.place < self.settings.places:
                    return _TIME_IS_UP
        return _TIME_IS_UP if self.place < self.settings.places else ""

    def _write_scripts(self) -> None:
        """``failing_torch.py`` and the like; those of a sweep before this one are removed."""
        scripts = {name: text for event in self.tally.kept for name, text in event.scripts.items()}
        for framework in self.frameworks:
            path = self.folder / f"failing_{framework.name}.py"
            if framework.name in scripts:
                write_text_atomically(path, scripts[framework.name])
            else:
                path.unlink(missing_ok=True)

    def _emit(self, event: Event) -> None:
        self.tally.add(event)
        self._show(event, self.tally)

    def _unfinished(self) -> RunFinished:
        code = ExitCode.DISAGREEMENT if self.failed else ExitCode.INTERRUPTED
        return RunFinished(
            code, "unfinished; what was done until then is reported", self.seconds, None
        )

    def _save(self, finished: RunFinished) -> None:
        """Checkpoint, then report: a sweep whose report is there can be resumed."""
        save(
            self.folder,
            Checkpoint(
                settings=self.settings,
                made_with=self._made_with,
                place=self.place,
                seconds=finished.seconds,
                smooth=self.smooth,
                failing=self.failing,
                finished=self._finished,
                tally=self.tally,
            ),
        )
        self.tally.finished = finished
        self._report(self.folder, self.tally)
        self.tally.finished = None
