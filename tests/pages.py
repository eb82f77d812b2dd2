"""Reports to make pages of, and a reader of pages that is as strict as an HTML validator."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from typing import Any

import faulty

from crosscheck.frameworks.state import FrameworkState
from crosscheck.judge.verdict import Kind, Validity
from crosscheck.network.dense import Case, worked_example
from crosscheck.report.json_ import document
from crosscheck.run.checker import Checker
from crosscheck.run.events import CaseChecked, Event, ExitCode, RunFinished, RunStarted
from crosscheck.run.tally import Tally

STATES = (
    FrameworkState("right", "available", {"numpy": "2.4.6"}, "relu", "eager"),
    FrameworkState("lenient", "available", {"numpy": "2.4.6"}, "relu", "eager"),
    FrameworkState("doubled", "available", {"numpy": "2.4.6"}, "relu", "eager"),
    FrameworkState("absentee", "absent", detail="pip install absentee"),
    FrameworkState("wreck", "broken", detail="ImportError: <lib> & so"),
)

CHANGES: tuple[dict[str, float], ...] = (
    {},
    {"x": 0.0},
    {"w2": -1.0, "b2": 2.0},
    {"w1": 1.1, "w2": 0.7},
    {"x": float("nan")},
)


def named(name: str, fault: Callable[[Case], Any]) -> faulty.Faulty:
    """A framework of that name."""
    framework = type(name, (faulty.Faulty,), {"name": name})(fault)
    assert isinstance(framework, faulty.Faulty)
    return framework


def events(
    *, failing: bool = True, part: Any = "smooth", label: str = "by hand", code: int | None = None
) -> list[Event]:
    """A run over the worked example and its kinks, with a framework that is wrong if asked for."""
    frameworks = [named("right", faulty.correct), named("lenient", faulty.not_strict)]
    frameworks += [named("doubled", faulty.doubled_loss)] if failing else []
    run: list[Event] = [
        RunStarted(
            "crosscheck run --seed 7",
            "quick",
            7,
            ("float64", "float32"),
            STATES,
            {"python": "3.13.1", "blas": "a <b> library"},
            8,
        )
    ]
    checker = Checker(frameworks, run.append)
    for dtype in ("float64", "float32"):
        for change in CHANGES:
            checker.check_case(worked_example(dtype=dtype, **change), part, label)
    if checker.failed:
        checker.check_shrunk(worked_example(), part, label)
    end = ExitCode(int(checker.failed) if code is None else code)
    run.append(RunFinished(end, "at least one framework disagrees", 12.5, 10))
    return [_with_an_answer(event) for event in run]


def _with_an_answer(event: Event) -> Event:
    """One answer of each kind on generalised derivatives."""
    if not isinstance(event, CaseChecked):
        return event
    answers = {"right": "inside", "lenient": "outside"}
    return replace(
        event,
        verdicts=tuple(
            replace(
                verdict,
                validity=(
                    Validity("inputs", answers.get(verdict.framework, "not decided"), "because"),  # type: ignore[arg-type]
                ),
            )
            if verdict.kind is Kind.KINK
            else verdict
            for verdict in event.verdicts
        ),
    )


def report(**options: Any) -> dict[str, Any]:
    """The report of that run, as its file holds it."""
    tally = Tally()
    for event in events(**options):
        tally.add(event)
    stored: dict[str, Any] = json.loads(json.dumps(document(tally), allow_nan=False))
    return stored


VOID = {"meta", "link", "br", "hr", "img", "input", "col", "wbr", "source", "embed"}


@dataclass
class Element:
    """One element, with everything in it."""

    name: str
    attributes: dict[str, str]
    parent: Element | None = None
    children: list[Element | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What is read, white space folded."""
        parts = (c if isinstance(c, str) else c.text for c in self.children)
        return " ".join(" ".join(parts).split())

    def all(self, name: str = "") -> list[Element]:
        """The elements inside, in their order; of one name if it is given."""
        found: list[Element] = []
        for child in self.children:
            if isinstance(child, Element):
                found += [child] * (not name or child.name == name)
                found += child.all(name)
        return found

    def of_class(self, name: str) -> list[Element]:
        """The elements inside that have a class."""
        return [e for e in self.all() if name in e.attributes.get("class", "").split()]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = self.here = Element("", {})

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), f"<{tag}> has an attribute twice: {names}"
        new = Element(tag, {name: value or "" for name, value in attrs}, self.here)
        self.here.children.append(new)
        if tag not in VOID:
            self.here = new

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.here.children.append(Element(tag, {n: v or "" for n, v in attrs}, self.here))

    def handle_endtag(self, tag: str) -> None:
        assert self.here.name == tag, f"</{tag}> ends a <{self.here.name}>"
        assert self.here.parent is not None
        self.here = self.here.parent

    def handle_data(self, data: str) -> None:
        self.here.children.append(data)


def read(text: str) -> Element:
    """The elements of a page; every one that is opened must be closed, in order."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert reader.here is reader.root, f"<{reader.here.name}> is never closed"
    return reader.root
