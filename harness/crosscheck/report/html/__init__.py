"""The report as one HTML page: ``report.html``, made from what is in ``report.json``.

The page is a single file. It loads nothing, runs no script, and is readable without style: what
can be opened is a ``<details>``, what can be followed is an anchor, every picture is inline SVG
in the colours of the page and says in words what it shows. Light and dark follow the reader's
system; on paper it is black on white.

Everything that comes from data is escaped by the templates, control characters and halves of
characters in all of the page. The same report gives the same
bytes, whether the run itself writes the page or ``crosscheck report`` does later.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from crosscheck.judge.vacuity import SAMPLED
from crosscheck.judge.verdict import MEANING
from crosscheck.report.html.boundary import STATUSES, boundary
from crosscheck.report.html.cases import Card, numbered
from crosscheck.report.html.folding import failures, folded
from crosscheck.report.html.graph import drawing
from crosscheck.report.html.grid import conventions, find_table
from crosscheck.report.html.numbers import UNREAD
from crosscheck.report.html.overview import (
    asked_again,
    certified,
    classes,
    environment,
    framework_lines,
    never_checked,
    not_checked,
    outcome,
    spread,
)
from crosscheck.report.json_ import JsonReport
from crosscheck.report.module import ratio_text
from crosscheck.run.events import Event
from crosscheck.run.modules.outcome import ModelOutcome
from crosscheck.tools.atomic import write_text_atomically
from crosscheck.tools.words import lines_shown

__all__ = ["HtmlReport", "excerpt", "model_page", "page"]


class HtmlReport:
    """Writes ``report.html`` when the run has ended, in whatever way it did.

    Args:
        folder: Where to write it.
        stored: What takes the same events and makes the report for machines of them; one of the
            page's own if none is given.
    """

    def __init__(self, folder: Path, stored: JsonReport | None = None) -> None:
        self._folder, self._listens = folder, stored is None
        self._stored = stored or JsonReport(folder)

    def handle(self, event: Event) -> None:
        """Take the next event."""
        if self._listens:
            self._stored.handle(event)

    def close(self) -> None:
        """Write the page, unless the run never came to its last event."""
        if self._stored.text:
            # From the very values that the file has.
            text = page(json.loads(self._stored.text), find_table(self._folder))
            write_text_atomically(self._folder / "report.html", text)


def page(report: Mapping[str, Any], table: Path | None = None) -> str:
    """The page of a report.

    Args:
        report: What ``report.json`` holds.
        table: A table of conventions to show as well.
    """
    cards = numbered(report["cases"])
    kinks = boundary(report, cards)
    given = sorted((card for card in cards if card.part == "given"), key=_failing_first)
    failing = [card for card in cards if card.failing and card.part != "given"]
    here = {card.anchor for card in (*given, *failing)}
    at_kinks = [card for card in cards if card.gates and card.anchor not in here]
    at_kinks.sort(key=_by_interest)
    here |= {card.anchor for card in at_kinks}
    text = _template("page.html").render(
        run=report["run"],
        outcome=outcome(report),
        frameworks=framework_lines(report, kinks),
        kinks=kinks,
        statuses=STATUSES,
        given=given,
        failures=failures(report["run"], failing),
        at_kinks=folded(at_kinks),
        others=folded([card for card in cards if card.anchor not in here]),
        certified=certified(report),
        again=asked_again(report),
        spread=spread(report),
        shares=not_checked(report),
        never=never_checked(report),
        sampled=SAMPLED if "sweep" in report else "",
        conventions=conventions(table, report),
        classes=classes(report, cards),
        policies=report.get("policies", ()),
        environment=environment(report),
        meaning=MEANING,
    )
    return lines_shown(text)


def _failing_first(card: Card) -> bool:
    return not card.failing


def _by_interest(card: Card) -> tuple[bool, bool, int]:
    """Cases that show λ come first, and of these the ones a person can take in."""
    shown = any(slope not in UNREAD for line in card.lines for slope in line.slopes)
    return (not shown, not card.text, len(card.text))


def excerpt(report: Mapping[str, Any]) -> str:
    """The first screen alone, as a fragment for a notebook.

    A notebook has rules of its own for tables, headings and paragraphs, and a fragment is put into
    its page. Neither a shadow root nor a frame would do: the first is not opened in what a script
    inserts, as notebooks do; the second has no height of its own, and is taken out of notebooks
    that are not trusted. So all that the notebook says of the fragment's elements is taken back,
    and the page's rules are written with more weight than a notebook's have.
    """
    kinks = boundary(report, ())
    text = _template("excerpt.html").render(
        guest_style=_guest_style(),
        run=report["run"],
        outcome=outcome(report),
        frameworks=framework_lines(report, kinks),
        kinks=kinks,
        meaning=MEANING,
    )
    return lines_shown(text)


def model_page(model: ModelOutcome) -> str:
    """The page of a model: its verdict, the graph of its operations, a table of them, its kinks."""
    picture = drawing(model.operations, model.leaves)
    return _template("module.html").render(
        model=model,
        drawing=picture,
        looks={each.id: each.look for each in picture.places},
        ratio=ratio_text,
    )


@functools.cache
def _guest_style() -> Markup:
    root = ".crosscheck" * 3
    # Of drawings nothing is taken back: their geometry would be gone as well.
    reset = (
        f"{root} {{ all: initial; display: block; }}\n"
        f"{root} :where(:not(svg, svg *)) {{ all: revert; }}\n"
    )
    return Markup(reset + _style().replace(".crosscheck", root))


def _style() -> str:
    style = resources.files("crosscheck.report.html").joinpath("templates/style.css")
    return style.read_text("utf-8")


def _template(name: str) -> jinja2.Template:
    return _environment().get_template(name)


@functools.cache
def _environment() -> jinja2.Environment:
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("crosscheck.report.html"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals["unread"] = UNREAD
    found.globals["style"] = Markup(_style())
    return found
