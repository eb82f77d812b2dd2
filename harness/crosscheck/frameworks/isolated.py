"""Frameworks in processes of their own: what one does there, it does to nobody else.

A framework that dies, hangs, or changes its process costs one answer. Each is opened in a worker
(`crosscheck.workers.process`) that is kept warm, and stands here as an `Isolated`, which answers
like the framework itself. The gate (`crosscheck.frameworks.gatekeeper`) is passed twice: there,
where exceptions are raised and arrays changed; and here, where nothing that the framework has done
to floating point can reach: flush-to-zero, say.

    the process dies            CRASHED, with the signal or the status
    no answer at the deadline   TIMED_OUT; the process is killed
    on the same case again      the case is set aside: the answer is kept, and it is not asked again
    `MOST` losses in all        the framework is given up: CRASHED, "not asked"

A lost process is replaced when the framework is asked for the next time; the others go on.

A sweep has workers of its own, each with all frameworks (`Host`). They are opened in one of these,
which imports each library once; one has a process of its own from when it is asked for a case.

The frameworks of one run work side by side: who asks all of them by `Isolated.begin`, and then
goes on with something else, waits for the slowest only. Several questions may wait for one process.
The one that it is at when it is lost has the blame; the others are asked of the next one.

A framework of another environment takes part as ``NAME-ANYTHING``: the same adapter in the Python
of that environment, with the versions that are there. That Python imports this very package, from
here, and NumPy and the rest of what it needs from its own environment.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from crosscheck.frameworks import registry
from crosscheck.frameworks.refusals import NOT_ASKED, Refused
from crosscheck.frameworks.registry import Opened, Request
from crosscheck.frameworks.remote import Awaited, AwaitedEach, ElsewhereError, Remote
from crosscheck.frameworks.served import (
    About,
    answered,
    answered_each,
    answered_twice,
    applied,
    applied_beside,
    open_all,
    open_one,
)
from crosscheck.frameworks.state import FrameworkState
from crosscheck.judge.local.record import Recorded
from crosscheck.judge.verdict import Kind
from crosscheck.network.composed import AnyCase, Composed, Derivatives
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.second import Direction, Products
from crosscheck.program.second import Way
from crosscheck.tools.errors import UsageError
from crosscheck.tools.words import message_of, named
from crosscheck.workers.patience import patient
from crosscheck.workers.process import Asked, Worker, WorkerHung, WorkerLostError
from crosscheck.workers.wire import written

__all__ = ["DEADLINE", "MOST", "Host", "Isolated", "Isolation", "kind_of_loss"]

DEADLINE = 120.0
"""Seconds that an answer may take: many times what compiling takes."""
MOST = 5
"""Processes that a framework may cost in one run, by death or hanging; then it is given up."""
_START = 300.0
"""Seconds that importing a library may take."""


def kind_of_loss(error: WorkerLostError) -> Kind:
    """The verdict on what ended a process, or made it hang."""
    return Kind.TIMED_OUT if isinstance(error, WorkerHung) else Kind.CRASHED


Host: TypeAlias = Callable[..., Any]
"""Calls a function of this module in a process that has all frameworks, and waits."""


@dataclass(eq=False)
class _Waiting:
    """A call that has not been answered.

    Attributes:
        key: Of what is asked.
        call: A function, and its arguments.
        asked: The same of a worker; ``None`` once there is an answer.
        answer: What came of it.
    """

    key: bytes
    call: tuple[Any, ...]
    asked: Asked | None = None
    answer: tuple[Any, Any] = (None, None)


class Isolated(Remote):
    """A framework in a worker; made by `Isolation.opened`, as a subclass with what is to be known.

    Args:
        state: Of the framework, available.
        request: With which it is opened there.
        worker: Where it is open; ``None`` if it is with the host only.
        start: Starts another worker.
        deadline: Seconds that an answer may take.
        host: Who answers for it what does not depend on a case, while it has no process.

    Attributes:
        losses: How many processes it has cost.
    """

    module, packages = "", ()

    def __init__(
        self,
        state: FrameworkState,
        request: Request,
        worker: Worker | None,
        start: Callable[[], Worker],
        deadline: float,
        host: Host | None = None,
    ) -> None:
        self._host = host
        self.formulation, self.mode = state.formulation, state.mode
        self.losses = 0
        self._versions, self._request = dict(state.versions), request
        self._worker = worker
        self._start, self._deadline = start, deadline
        self._waiting: deque[_Waiting] = deque()
        self._killed: dict[bytes, Refused] = {}
        self._aside: dict[bytes, Refused] = {}

    def versions(self) -> dict[str, str]:  # type: ignore[override]
        """Those in its process."""
        return self._versions

    def gradients(self, case: Case) -> Gradients:
        """See `Framework.gradients`.

        Raises:
            ElsewhereError: There are none.
        """
        given: Gradients = _required(self.begin(case)()[0])
        return given

    def derivatives(self, case: Composed) -> Derivatives:
        """See `Framework.derivatives`.

        Raises:
            ElsewhereError: There are none.
        """
        given: Derivatives = _required(self.begin(case)()[0])
        return given

    def products(self, case: Composed, direction: Direction, way: Way) -> Products:
        """See `Framework.products`.

        Raises:
            ElsewhereError: There are none.
        """
        given: Products = _required(self.twice(case, direction, way))
        return given

    def recorded(self, case: AnyCase) -> Recorded:
        """See `Framework.recorded`.

        Raises:
            ElsewhereError: There is nothing.
        """
        given, recorded = self.begin(case, watched=True)()
        found: Recorded = _required(given if recorded is None else recorded)
        return found

    def begin(self, case: AnyCase, *, watched: bool = False) -> Awaited:
        """See `Remote.begin`."""
        waiting = self._begin(_key(case), answered, case, watched)
        return lambda: self._wait(waiting)

    def begin_each(self, stack: AnyCase, *, watched: bool = False) -> AwaitedEach:
        """See `Remote.begin_each`; of a process that is lost, nothing comes."""
        waiting = self._begin(_key(stack, way="each"), answered_each, stack, watched)

        def wait() -> list[tuple[Any, Any]]:
            found = self._wait(waiting)[0]
            return [] if isinstance(found, Refused) else list(found)

        return wait

    def there(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """See `Remote.there`."""
        if self._host is not None and self._worker is None and not self.losses:
            with contextlib.suppress(WorkerLostError):
                return self._host(applied_beside, self._request, function, *arguments)
        key = hashlib.blake2b(written((function, arguments)), digest_size=16).digest()
        return self._wait(self._begin(key, applied, function, arguments))[0]

    def twice(self, case: Composed, direction: Direction, way: Way) -> Any:
        """See `Remote.twice`."""
        key = _key(case, direction, way)
        return self._wait(self._begin(key, answered_twice, case, direction, way))[0]

    def close(self) -> None:
        """End its process."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.end()

    def _begin(self, key: bytes, function: Callable[..., Any], *arguments: Any) -> _Waiting:
        waiting = _Waiting(key, (function, *arguments))
        self._put(waiting)
        return waiting

    def _put(self, waiting: _Waiting) -> None:
        """Ask the worker, behind what it was asked before; or say why it is not asked."""
        key = waiting.key
        found = self._aside.get(key) or (self._killed.get(key) if self.losses >= MOST else None)
        if found is None and self.losses >= MOST:
            words = f"{NOT_ASKED}: it has cost {self.losses} processes"
            found = Refused(Kind.CRASHED, words)
        if found is not None:
            waiting.answer = found, None
            return
        try:
            waiting.asked = self._running().ask(*waiting.call)
            self._waiting.append(waiting)
        except WorkerLostError as error:
            waiting.answer = self._lost(key, error), None

    def _wait(self, waiting: _Waiting) -> tuple[Any, Any]:
        while waiting.asked is not None:
            self._answer(self._waiting.popleft())
        return waiting.answer

    def _answer(self, first: _Waiting) -> None:
        """Wait for the call that the worker is at; if it costs the process, ask the others anew."""
        assert self._worker is not None
        assert first.asked is not None
        try:
            first.answer = self._worker.answer(first.asked, self._deadline)
        except WorkerLostError as error:
            first.answer = self._lost(first.key, error), None
            others, self._waiting = self._waiting, deque()
            for each in others:
                each.asked = None
                self._put(each)
        except Exception as error:
            reason = f"its answer could not be sent: {message_of(error)}"
            first.answer = Refused(Kind.CRASHED, reason), None
        first.asked = None
        if self._waiting:  # it is the next one's turn, and its time begins
            self._waiting[0].asked.begin = time.monotonic()  # type: ignore[union-attr]

    def _lost(self, key: bytes, error: WorkerLostError) -> Refused:
        """What is to be said of a case that has cost a process."""
        self.losses += 1
        self._worker = None
        reason = f"the process {error.what}"
        if key in self._killed:
            reason += ": twice on this case, which is set aside"
            self._aside[key] = Refused(kind_of_loss(error), reason)
        self._killed[key] = Refused(kind_of_loss(error), reason)
        return self._killed[key]

    def _running(self) -> Worker:
        """The worker, started anew if it is lost.

        Raises:
            WorkerLostError: It is lost while the library is imported.
        """
        if self._worker is None or not self._worker.is_alive:
            if self._worker is not None:
                self._worker.end(patience=0.0)
            self._worker = self._start()
            self._worker.call(open_one, self._request, deadline=patient(_START))
        return self._worker


def _required(given: Any) -> Any:
    if isinstance(given, Refused):
        raise ElsewhereError(given)
    return given


def _key(case: AnyCase, direction: Direction | None = None, way: str = "") -> bytes:
    """The same for questions that are the same bit for bit, and hardly ever for others."""
    asked = repr((case.kind, case.dtype, case.count, case.rows, way)).encode()
    found = hashlib.blake2b(asked, digest_size=16)
    for each in (case, *([] if direction is None else [direction])):
        for name, array in each.entries():
            found.update(repr((name, array.shape)).encode() + array.tobytes())
    return found.digest()


@dataclass(frozen=True)
class Isolation:
    """How frameworks are kept apart.

    Attributes:
        deadline: Seconds that an answer may take.
        others: Frameworks of other environments: names to the paths of their Pythons.
        environment: Variables that are added to those of this process.
        host: Where all of them are opened first, if there is such a process.

    Raises:
        UsageError: A name is not that of a framework, a hyphen, and anything.
    """

    deadline: float = DEADLINE
    others: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    host: Host | None = None

    def __post_init__(self) -> None:
        for name in self.others:
            if _known_in(name) is None or name in registry.names():
                known = registry.names()
                raise UsageError(
                    f"worker {name}: wanted the name of a framework, a hyphen and a name of your "
                    f"own, as in {known[0] if known else 'torch'}-old; known are {', '.join(known)}"
                )

    def opened(self, requests: Sequence[Request]) -> Iterator[Opened]:
        """Open frameworks, all at once, each in a process of its own.

        Args:
            requests: Which; see `crosscheck.frameworks.registry.open_frameworks`.

        Yields:
            Each framework, as an `Isolated` to be closed, and its state, in the order of the
            requests.

        Raises:
            UsageError: There is no such formulation, mode or Python.
        """
        hosted = self._hosted(requests)
        if hosted is not None:
            yield from hosted
            return
        begun = []
        left: list[Worker] = []
        try:
            for request in requests:
                there = replace(request, name=_known_in(request.name) or request.name)
                start = self._starter(request.name)
                left.append(worker := start())
                begun.append((request.name, there, start, worker, worker.ask(open_one, there)))
            for name, request, start, worker, asked in begun:
                framework, state = self._open(name, request, start, worker, asked)
                if framework is not None:
                    left.remove(worker)
                yield framework, state
        finally:
            for worker in left:
                worker.end(patience=0.0)

    def _hosted(self, requests: Sequence[Request]) -> list[Opened] | None:
        """Frameworks that the host has opened; ``None`` where there is none, or it was lost.

        Raises:
            UsageError: There is no such formulation or mode.
        """
        if self.host is None:
            return None
        try:
            told = self.host(open_all, requests)
        except WorkerLostError:
            return None  # which of them it was is found out in processes of their own
        return [
            self._made(about, request.name, request, None, self._starter(request.name))
            for request, about in zip(requests, told, strict=True)
        ]

    def _open(
        self,
        name: str,
        request: Request,
        start: Callable[[], Worker],
        worker: Worker,
        asked: Asked,
    ) -> Opened:
        try:
            about: About = worker.answer(asked, patient(_START))
        except UsageError as error:
            if name in self.others:
                what = f"worker {name}={self.others[name]}: {error}"
                raise UsageError(what.replace("framework: ", "")) from None
            raise
        except WorkerLostError as error:
            detail = f"its process {error.what} while it was imported"
            return None, _broken(name, request, detail)
        except Exception as error:  # of another environment, in which something is missing
            return None, _broken(name, request, named(error))
        return self._made(about, name, request, worker, start)

    def _made(
        self,
        about: About,
        name: str,
        request: Request,
        worker: Worker | None,
        start: Callable[[], Worker],
    ) -> Opened:
        state = replace(about.state, name=name)
        if state.state != "available":
            return None, state
        kind = type("Isolated", (Isolated,), {**about.attributes, "name": name})
        host = self.host if worker is None else None
        return kind(state, request, worker, start, self.deadline, host), state

    def _starter(self, name: str) -> Callable[[], Worker]:
        """What starts a worker for a framework.

        Raises:
            UsageError: There is no such Python.
        """
        python = self.others.get(name)

        def start() -> Worker:
            try:
                return Worker(python=python, environment=self.environment)
            except OSError as error:
                raise UsageError(
                    f"worker {name}={python}: {error.strerror}; wanted the path of a Python"
                ) from None

        return start


def _known_in(name: str) -> str | None:
    """The framework that a name begins with, itself or before a hyphen."""
    known = registry.names()
    found = [each for each in known if name == each or name.startswith(f"{each}-")]
    return max(found, key=len, default=None)


def _broken(name: str, request: Request, detail: str) -> FrameworkState:
    formulation, mode = request.formulation or "", request.mode or ""
    return FrameworkState(name, "broken", formulation=formulation, mode=mode, detail=detail)
