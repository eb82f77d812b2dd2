"""The page holds what the report holds, by itself, escaped, and readable for everyone."""

from __future__ import annotations

import copy
import itertools
import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pages
import pytest

from crosscheck.judge.decisions import GateClass, GateReading, Place
from crosscheck.judge.programs.judge import ProgramJudge
from crosscheck.judge.verdict import MEANING, Kind
from crosscheck.network.composed import Composed
from crosscheck.network.files import case_to_json
from crosscheck.network.steps import step
from crosscheck.numbers.model import Model
from crosscheck.report import listening, open_sinks
from crosscheck.report.html import HtmlReport, excerpt, page
from crosscheck.report.html.cases import _gates, _matrix, card, failing_lines, numbered
from crosscheck.report.html.figures import histogram, tangents
from crosscheck.report.html.grid import find_table
from crosscheck.report.html.heat import heat, is_choice
from crosscheck.report.html.numbers import digits, hexadecimal, shortest
from crosscheck.report.html.references import _recorded, references
from crosscheck.report.json_ import schema
from crosscheck.report.reading import Report
from crosscheck.studies.conventions.table import Cell, Key, Row, Table, write_table
from crosscheck.tools.records import number

FAILED = pages.report()
PASSED = pages.report(failing=False)
GIVEN = pages.report(part="given")
NOTHING: dict[str, Any] = {
    **PASSED,
    "frameworks": [],
    "verdicts": [],
    "error_over_bound": [],
    "relu_boundary": [],
    "validity": [],
    "cases": [],
    "run": {**PASSED["run"], "exit_code": 5, "reason": "nothing checked", "seed": None},
}
REPORTS = {"failed": FAILED, "passed": PASSED, "given": GIVEN, "nothing": NOTHING}


def table() -> Table:
    """A small table of conventions with everything that is marked in the page."""
    eager, forward = "eager", "forward"

    def row(zero: str, nan: Cell) -> Row:
        return Row({"0": Cell("0", zero), "nan": nan})

    nan = Cell("nan", "nan")
    return Table(
        {"right": "numpy 1.0", "doubled": "numpy 2.4.6"},
        {"python": "3.13"},
        {
            Key("right", "relu", "relu", eager, "float64"): row("0", nan),
            Key("right", "relu", "relu", forward, "float64"): row("0", nan),
            Key("right", "relu", "prelu", eager, "float64"): row("0", nan),
            Key("right", "relu", "prelu", forward, "float64"): row("1", nan),
            Key("right", "relu", "narrow", eager, "float64"): row("0.5", nan),
            Key("right", "relu", "narrow", eager, "float32"): row("1", nan),
            Key("right", "relu", "lanes", eager, "float64"): row(
                "0.25", Cell("nan", "0", (("nan", "1"),))
            ),
            Key("right", "relu", "gap", eager, "float64"): row("0", Cell(unsupported="no NaN")),
            Key("right", "relu", "no<ne", eager, "float64"): Row(unsupported="cannot <do> it"),
        },
    )


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "conventions.json"
    write_table(table(), path)
    return path


@pytest.fixture(scope="module", params=REPORTS)
def text(request: pytest.FixtureRequest, baseline: Path) -> str:
    return page(REPORTS[request.param], baseline)


# One file, for everyone


def test_the_page_is_well_formed_and_every_anchor_leads_somewhere(text: str) -> None:
    elements = pages.read(text).all()
    ids = [e.attributes["id"] for e in elements if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    assert all(ids)
    links = [e.attributes["href"] for e in elements if e.name == "a"]
    assert len(links) > 5
    assert {link.removeprefix("#") for link in links} <= set(ids)
    described = [
        e.attributes["aria-labelledby"] for e in elements if "aria-labelledby" in e.attributes
    ]
    assert set(described) <= set(ids)


def test_the_page_loads_nothing_and_runs_nothing(text: str) -> None:
    elements = pages.read(text).all()
    assert not {e.name for e in elements} & {"script", "link", "img", "iframe", "object", "base"}
    attributes = {name for e in elements for name in e.attributes}
    assert not {name for name in attributes if name.startswith("on") or name in ("src", "style")}
    (style,) = (e for e in elements if e.name == "style")
    assert not re.search(r"url\(|@import|@font-face|expression", str(style.children))
    assert "://" not in text


def test_headings_go_down_one_level_at_a_time(text: str) -> None:
    levels = [int(e.name[1]) for e in pages.read(text).all() if re.fullmatch("h[1-6]", e.name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below <= above + 1 for above, below in itertools.pairwise(levels))


def test_every_table_has_a_caption_and_every_head_a_scope(text: str) -> None:
    root = pages.read(text)
    for found in root.all("table"):
        assert [child for child in found.all("caption") if child.text], found.text
    assert all(e.attributes.get("scope") for e in root.all("th"))


def test_every_picture_says_what_it_shows_or_repeats_what_is_beside_it(text: str) -> None:
    for picture in pages.read(text).all("svg"):
        said = picture.attributes.get("aria-label") or [t.text for t in picture.all("title")]
        assert (
            said
            if picture.attributes.get("role") == "img"
            else (picture.attributes["aria-hidden"] == "true")
        )


def test_what_opens_says_what_is_in_it(text: str) -> None:
    for found in pages.read(text).all("details"):
        first = found.all()[0]
        assert first.name == "summary"
        assert first.text


def palettes() -> dict[str, dict[str, str]]:
    style = (
        resources.files("crosscheck.report.html").joinpath("templates/style.css").read_text("utf-8")
    )
    blocks = re.split(r"@media \((prefers-color-scheme: dark)\)|@media (print)", style)
    found = {"light": blocks[0], "dark": blocks[3], "print": blocks[6]}
    colours: dict[str, dict[str, str]] = {}
    for name, block in found.items():
        own = dict(re.findall(r"--([\w-]+): (#[0-9a-f]+)\b", block))
        colours[name] = own if name == "light" else {**colours["light"], **own}
    return colours


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * d for d in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_text_has_the_contrast_that_wcag_asks_for(scheme: str) -> None:
    colours = palettes()[scheme]
    pairs = [(name.removesuffix("-tint"), name) for name in colours if name.endswith("-tint")]
    assert len(pairs) >= 12
    pairs += [
        (text, ground)
        for text in ("text", "muted", "link")
        for ground in ("page", "sheet", "raised")
    ]
    for text, ground in pairs:
        one, other = sorted((luminance(colours[text]), luminance(colours[ground])))
        assert (other + 0.05) / (one + 0.05) >= 4.5, (text, ground)


def test_light_and_dark_are_different_pages() -> None:
    light, dark = palettes()["light"], palettes()["dark"]
    assert luminance(light["page"]) > 0.8 > 0.1 > luminance(dark["page"])
    named = {name for name in light if name not in ("fan",)}
    assert all(light[name] != dark[name] for name in named)


# What is in it


def test_the_first_screen_says_how_it_ended_and_names_each_framework() -> None:
    root = pages.read(page(FAILED))
    (result,) = root.of_class("result")
    assert "✗ Failed" in result.text
    assert "At least one framework disagrees." in result.text
    assert "bad" in result.attributes["class"].split()
    for fact in ("cases 10", "distinct 10", "failing 8", "12.5 s", "float64, float32", "seed 7"):
        assert fact in result.text
    (frameworks,) = root.of_class("frameworks")
    rows = {e.all("span")[0].text: e for e in frameworks.all("tr")[1:]}
    assert set(rows) == {"right", "lenient", "doubled", "absentee", "wreck"}
    assert "numpy 2.4.6" in rows["right"].text
    assert "4 agree" in rows["right"].text
    assert "✗ 8 disagree" in rows["doubled"].text
    assert "pip install absentee" in rows["absentee"].text
    assert "broken ImportError: <lib> & so" in rows["wreck"].text
    assert ["bad" in rows[name].attributes.get("class", "") for name in rows] == [
        name in ("doubled", "wreck") for name in rows
    ]
    assert [e.text for e in rows["right"].of_class("slope")] == ["0"]
    assert [e.text for e in rows["lenient"].of_class("slope")] == ["1"]


def test_what_else_was_checked_is_folded_away_unless_it_is_wrong() -> None:
    told = copy.deepcopy(PASSED)
    told["asked_again"] = [
        {"framework": "right", "cases": 3, "not_reproducible": 0, "nondeterministic": 0}
    ]
    (more,) = pages.read(page(told)).of_class("more")
    assert "open" not in more.attributes
    assert "right : 3 cases asked again" in more.text
    told["asked_again"][0]["nondeterministic"] = 1
    (more,) = pages.read(page(told)).of_class("more")
    assert "open" in more.attributes


@pytest.mark.parametrize(
    ("code", "word"),
    [
        (0, "Passed"),
        (1, "Failed"),
        (2, "Interrupted"),
        (3, "Internal error"),
        (5, "Nothing checked"),
    ],
)
def test_every_way_to_end_has_its_word(code: int, word: str) -> None:
    document = copy.deepcopy(PASSED)
    document["run"]["exit_code"] = code
    (title,) = pages.read(page(document)).all("title")[:1]
    assert title.text == f"Gradient cross-check: {word.lower()}"
    (heading,) = pages.read(page(document)).all("h1")
    assert heading.text.endswith(word)


def test_every_verdict_is_explained() -> None:
    (legend,) = pages.read(page(PASSED)).of_class("legend")
    for kind, meaning in MEANING.items():
        assert str(kind).lower().replace("_", " ") in legend.text
        assert meaning in legend.text


def test_the_boundary_has_every_count_of_the_report_with_its_example() -> None:
    root = pages.read(page(FAILED))
    (section,) = (e for e in root.all("section") if e.attributes["id"] == "relu-boundary")
    (matrix,) = section.of_class("lambda")
    columns = [e.text.removeprefix("λ = ") for e in matrix.all("tr")[0].all("th")][1:]
    assert columns[:3] == ["0", "½", "1"]
    found = []
    for row in matrix.all("tr"):
        for column, cell in zip(columns, row.all("td"), strict=False):
            if link := cell.all("a"):
                who = row.all("th")[0].text.removesuffix(" eager")
                found.append((who, column, link[0].text, link[0].attributes["href"]))
    wanted = [
        (
            f"{line['framework']} {line['formulation']}",
            {"1/2": "½"}.get(line["slope"], line["slope"]),
            str(line["gates"]),
            f"#case-{line['example']['case']}",
        )
        for line in FAILED["relu_boundary"]
    ]
    assert sorted(found) == sorted(wanted)
    assert {slope for _, slope, _, _ in found} >= {"0", "1"}


def test_rows_that_are_the_same_in_all_frameworks_are_one() -> None:
    same = copy.deepcopy(PASSED)
    same["frameworks"] = [each for each in same["frameworks"] if each["name"] != "doubled"]
    line = next(each for each in same["relu_boundary"] if each["framework"] == "right")
    other = {**line, "framework": "lenient", "mode": "jit"}
    same["relu_boundary"] = [line, other]
    same["validity"] = [
        {**each, "framework": who, "counts": {"inside": 4}}
        for each in same["validity"][:1]
        for who in ("right", "lenient")
    ]
    root = pages.read(page(same))
    for name in ("lambda", "validity"):
        (matrix,) = (e for e in root.of_class(name) if e.name == "table")
        heads = [row.all("th")[0].text for row in matrix.all("tr")[2:]]
        assert heads == ["all relu eager, jit" if name == "lambda" else "all relu"]
    other["gates"] += 1
    matrix = pages.read(page(same)).of_class("lambda")[0]
    heads = [row.all("th")[0].text for row in matrix.all("tr")[2:]]
    assert heads == ["right relu eager", "lenient relu jit"]


def test_a_run_that_passes_says_why_what_is_outside_is_no_failure() -> None:
    text = pages.read(page(PASSED)).text
    assert "At kinks, 4 gradients are the chain rule’s for the λ that were read" in text
    assert "✗ outside fails no run" in text
    inside = copy.deepcopy(PASSED)
    for line in inside["validity"]:
        line["counts"] = {"inside": 4}
    assert "fails no run" not in pages.read(page(inside)).text
    assert "chain rule" not in pages.read(page(FAILED)).of_class("result")[0].text


def test_examples_are_folded_by_the_kind_of_what_is_open() -> None:
    root = pages.read(page(PASSED))
    (section,) = (e for e in root.all("section") if e.attributes["id"] == "relu-boundary")
    folds = section.of_class("fold")
    assert [each.all("h4")[0].text for each in folds] == ["kink: ReLU"]
    assert len(folds[0].of_class("card")) == len(section.of_class("card")) == 2
    assert "2 examples λ 0 1" in folds[0].all("summary")[0].text


def test_validity_is_counted_by_framework_and_leads_to_a_case() -> None:
    (matrix,) = pages.read(page(PASSED)).of_class("validity")
    rows = [[e.text for e in row.all() if e.name in ("th", "td")] for row in matrix.all("tr")]
    assert ["right relu", "4", "·", "·"] in rows
    assert ["lenient relu", "·", "4", "·"] in rows


def test_a_case_shows_its_gates_its_numbers_and_what_each_framework_returned() -> None:
    root = pages.read(page(PASSED))
    kink = next(case for case in PASSED["cases"] if case["verdicts"][0]["verdict"] == "KINK")
    (body,) = (e for e in root.all() if e.attributes.get("id") == f"case-{kink['key']}")
    (gates,) = body.of_class("gates")
    cells = [e.text for e in gates.all("tr")[1].all("td")]
    assert cells == ["1", "0", "0", "kink", "0", "0", "0", "1"]
    matrices = {
        m.all("caption")[0].text: [c.text for c in m.all("td")] for m in body.of_class("matrix")
    }
    assert matrices["W2"] == ["3"]
    assert matrices["x"] == ["0"]
    assert matrices["∂J/∂b2"] == ["-4"]
    assert "inputs ✓ inside right relu: because" in body.text
    assert "inputs ✗ outside lenient relu: because" in body.text
    stored = next(e.text for e in body.all("code") if e.text.startswith("{"))
    assert json.loads(stored) == kink["case"]
    assert "crosscheck run --case case.json --frameworks right,lenient" in body.text


def test_decisions_of_a_step_are_in_the_order_of_their_indices() -> None:
    readings = [
        GateReading(Place(9, (0, unit)), GateClass.KINK, 0.0, 1.0, step="a", operator="relu")
        for unit in (10, 2)
    ]
    gates, count = _gates([readings])
    assert count == 2
    assert [gate.reading.where for gate in gates] == ["a[0,2] at 0", "a[0,10] at 0"]


def test_arrays_of_any_number_of_axes_are_laid_out_in_rows() -> None:
    values = [[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]]
    rows = (("1", "2"), ("3", "4"), ("5", "6"), ("7", "8"))
    assert _matrix("W", values, "float32").rows == rows
    stored = [[[number(each) for each in row] for row in block] for block in values]
    found = _recorded({"W": stored, "b": stored[0][0], "J": number(1.0)})
    assert [each.rows for each in found] == [rows, rows[:1], (("1",),)]


def test_the_reference_beside_a_kink_is_the_gradient_for_the_slopes_that_were_read() -> None:
    kink = numbered(PASSED["cases"])[0]
    assert kink.title.startswith("z = 0 in layer 1")
    shown = {each.how: {it.name: it.rows for it in each.arrays} for each in kink.references}
    assert {how: arrays["∂J/∂b1"] for how, arrays in shown.items()} == {
        "for the λ that was read of right relu: 0": (("0",),),
        "for the λ that was read of lenient relu: 1": (("-12",),),
    }


def test_the_reference_of_a_network_of_operators_is_the_one_that_its_verdict_is_told_with() -> None:
    case = Composed.of(
        (
            step("a", "abs", "x"),
            step("p", "max_pool1d", "a", window=3, stride=3),
            step("flat", "flatten", "p"),
            step("loss", "squared_error", "flat", "y"),
        ),
        {},
        {
            "x": np.array([0.0, -2.0, 1.0, 2.0, -2.0, 2.0, 0.0, 0.0, 0.0]).reshape(1, 9, 1),
            "y": np.array([[-1.0, -2.0, 3.0]]),
        },
    )
    judge = ProgramJudge(case)
    enclosed = judge.enclosed(Model(judge.format))
    chosen = [{each.place: slope for each in enclosed.decisions} for slope in (0.0, 0.5, 1.0)]
    given = [enclosed.gradients(slopes).map(lambda each: each.high) for slopes in chosen]
    verdicts = [judge.verdict(each, framework=f"f{number}") for number, each in enumerate(given)]
    assert {each.kind for each in verdicts} == {Kind.KINK}
    stored = json.loads(json.dumps(case_to_json(case)))
    recorded = {"J": number(0.0), "x": []}  # all is computed
    shown = references(
        stored, recorded, [each.framework for each in verdicts], [v.gates for v in verdicts]
    )
    told = {each.how.split(": ")[0].rpartition(" ")[2]: each.arrays for each in shown}
    assert set(told) == {each.framework for each in verdicts}
    for verdict, each in zip(verdicts, given, strict=True):
        (_, by_x) = told[verdict.framework]
        assert by_x.name == "∂J/∂x"
        wanted = [digits(number(value + 0.0)) for value in each.arrays["x"].ravel()]
        assert [cell for row in by_x.rows for cell in row] == wanted
    assert len(set(told.values())) == len(verdicts)


def test_what_was_not_read_of_a_framework_is_told_apart() -> None:
    kink = numbered(PASSED["cases"])[0]
    case = copy.deepcopy(PASSED["cases"][0])
    case["verdicts"][0]["gates"] = []
    (nobody, lenient) = numbered([case])[0].references
    assert nobody.how == "slope 0 at kinks, where none was read: right relu"
    assert nobody.arrays == kink.references[0].arrays
    assert lenient == kink.references[1]


def test_failures_come_in_their_smallest_form_first_and_say_what_is_wrong() -> None:
    root = pages.read(page(FAILED))
    (section,) = (e for e in root.all("section") if e.attributes["id"] == "disagreements")
    first, *others = section.of_class("failing")
    assert "open" in first.attributes
    assert "smallest form" in first.text
    assert others
    assert not any("smallest form" in other.text for other in others)
    assert "J is 4 where the reference has 2: an error of 2" in first.text
    assert "8 failing cases; first 1 smallest" not in section.text
    shown = [card for card in section.of_class("failing") if "smallest form" not in card.text]
    drawn = "all 8" if len(shown) == 8 else str(len(shown))
    assert f"8 failing cases; first its smallest form, then {drawn} as drawn." in section.text
    (fold,) = section.of_class("fold")
    assert fold.of_class("failing") == shown
    assert ["open" in card.attributes for card in section.of_class("failing")] == [
        number == 0 for number in range(1 + len(shown))
    ]
    order = [e.attributes["id"] for e in root.all("section")]
    assert order.index("disagreements") < order.index("relu-boundary")
    assert "--frameworks doubled --formulation doubled=relu --mode doubled=eager" in first.text
    (section,) = (
        e for e in pages.read(page(PASSED)).all("section") if e.attributes["id"] == "disagreements"
    )
    assert "✓ none" in section.text


def test_what_failed_is_what_the_report_says() -> None:
    case = copy.deepcopy(PASSED["cases"][0])
    assert failing_lines(case) == []
    case["verdicts"][1] |= {
        "verdict": "REDUCED",
        "arithmetics": ["tf32"],
        "precision": number(10.96),
    }
    assert failing_lines(case) == []
    case["verdicts"][1]["fails"] = True
    assert failing_lines(case) == [case["verdicts"][1]]
    lines = card(case, "here").lines
    assert [line.fails for line in lines] == [False, True, False][: len(lines)]
    assert lines[1].detail == "tf32, about 11.0 bits"


def test_a_script_of_a_verdict_is_shown_where_it_fails() -> None:
    document = copy.deepcopy(FAILED)
    for case in document["cases"]:
        for verdict in case["verdicts"]:
            case.setdefault("scripts", {})[verdict["framework"]] = (
                f"import {verdict['framework']}  # <{case['key']}>"
            )
    (first, *_) = pages.read(page(document)).of_class("failing")
    assert "import doubled # <" in first.text
    assert "import right" not in first.text


def test_given_cases_have_a_section_of_their_own() -> None:
    root = pages.read(page(GIVEN))
    (section,) = (e for e in root.all("section") if e.attributes["id"] == "given")
    cards = section.of_class("card")
    assert len(cards) == len(GIVEN["cases"])
    assert all("by hand: " in card.all("h3")[0].text for card in cards)
    assert ["open" in card.attributes for card in cards] == [n == 0 for n in range(len(cards))]
    failing = ["failing" in card.attributes["class"].split() for card in cards]
    assert failing == sorted(failing, reverse=True)
    assert failing[0]
    assert not [e for e in pages.read(page(PASSED)).all() if e.attributes.get("id") == "given"]


def test_the_distributions_are_those_of_the_report() -> None:
    many = copy.deepcopy(FAILED)
    for line in many["error_over_bound"]:
        line["cases"] = 20
    (panels,) = pages.read(page(many)).of_class("panels")
    for line in many["error_over_bound"]:
        median = float(f"{line['median']['decimal']:.3g}")
        said = (
            f"{line['framework']}, {line['dtype']}, {line['depth']} layers: {line['cases']} cases, "
            f"median {median:g}"
        )
        assert [e for e in panels.all("svg") if e.attributes["aria-label"].startswith(said)]


def test_of_fewer_than_twenty_cases_there_are_numbers_and_no_picture() -> None:
    few = copy.deepcopy(FAILED)
    lines = few["error_over_bound"]
    assert len({(line["dtype"], line["depth"]) for line in lines}) > 1
    for line in lines:
        line["cases"] = 20 if line["dtype"] == lines[0]["dtype"] else 19
    root = pages.read(page(few))
    (section,) = (e for e in root.all("section") if e.attributes["id"] == "spread")
    (panels,) = section.of_class("panels")
    drawn = [line for line in lines if line["cases"] == 20]
    assert len(panels.all("svg")) == len(section.all("svg")) == len(drawn)
    (folded,) = section.of_class("fold")
    assert folded.text.count("19 cases") == len(lines) - len(drawn)
    assert " 20 cases" not in folded.text.replace("fewer than 20 cases", "")


def test_a_histogram_has_a_bar_for_each_bin_in_its_place() -> None:
    def bins(*counted: tuple[float, int]) -> dict[str, Any]:
        return {
            "median": number(counted[0][0]),
            "histogram": [{"up_to": number(edge), "cases": count} for edge, count in counted],
        }

    def bars(path: str) -> list[tuple[float, float]]:
        found = re.findall(r"M([\d.]+) [\d.]+v-([\d.]+)", path)
        return [(float(x), float(tall)) for x, tall in found]

    drawn = histogram(bins((0.0, 5), (0.5, 10), (1.0, 1), (float("inf"), 10)))
    zero, half, one = bars(drawn.inside)
    ((beyond, tallest),) = bars(drawn.beyond)
    assert zero[0] < half[0] < one[0] < drawn.bound <= beyond
    assert one[0] - half[0] == 8  # an octave has four bins, each two wide
    assert half[1] == tallest == 2 * zero[1] == drawn.height
    assert one[1] >= 1  # a single case among many is seen
    assert drawn.median is None
    assert histogram(bins((0.5, 1))).beyond == ""
    assert histogram(bins((1.0, 1))).median == drawn.bound


def test_the_tangents_have_the_slopes_that_were_used() -> None:
    used = [("a", "f", 1.0), ("b", "f", 0.5), ("c", "f", 1.0), ("c", "g", 1.0), ("a", "g", 1.0)]
    used += [("b", "h", 1.0), ("a", "h", 1.0), ("c", "h", 1.0)]
    drawn = tangents(
        [(who, what, number(slope)) for who, what, slope in used], length=100, names="abc"
    )
    assert [(t.slope, t.who) for t in drawn] == [("½", ("b f",)), ("1", ("a, c f, g", "all h"))]
    assert [round(t.y / t.x, 2) for t in drawn] == [0.5, 1.0]


def test_the_labels_of_tangents_that_are_close_do_not_cover_each_other() -> None:
    slopes = (0.0, 0.25, 0.45, 0.4737, 0.5, 1.0)
    used = [("a", f"f{slope}", number(slope)) for slope in slopes]
    drawn = tangents(used, length=100, names="a")
    heights = [each.label for each in drawn]
    assert all(higher - lower >= 11 for lower, higher in itertools.pairwise(heights))
    assert all(each.label >= each.y for each in drawn)
    assert heights[:2] == [each.y for each in drawn[:2]]


def test_classes_that_are_apart_are_counted_with_examples() -> None:
    root = pages.read(page(FAILED))
    (section,) = (e for e in root.all("section") if e.attributes["id"] == "classes")
    headings = [e.text for e in section.all("h3")]
    assert "∞ nonfinite" in headings
    assert MEANING[Kind.NONFINITE] in section.text
    assert "right 2 cases" in section.text
    assert section.all("a")
    assert "None: ↓ subnormal ↘ reduced – unsupported" in section.text


def test_the_environment_is_all_there() -> None:
    (environment,) = pages.read(page(PASSED)).of_class("environment")
    rows = {row.all("th")[0].text: row.all("td")[0].text for row in environment.all("tr")}
    assert rows == {
        "right": "numpy 2.4.6",
        "lenient": "numpy 2.4.6",
        "doubled": "numpy 2.4.6",
        "blas": "a <b> library",
        "python": "3.13.1",
    }


def test_a_case_that_comes_twice_has_two_places_in_the_page() -> None:
    case = PASSED["cases"][0]
    first, second = numbered([case, case])
    assert first.anchor == f"case-{case['key']}"
    assert second.anchor == f"case-{case['key']}-2"


def test_a_large_case_is_named_and_not_laid_out() -> None:
    document = copy.deepcopy(PASSED)
    for case in document["cases"]:
        case["case"] = case["reference"] = None
    assert "too large to be written out" in pages.read(page(document)).text


# The table of conventions


def test_the_grid_marks_what_contradicts_itself(baseline: Path) -> None:
    root = pages.read(page(PASSED, baseline))
    grid = next(e for e in root.of_class("grid") if "map" not in e.attributes["class"].split())
    rows = {row.all("th")[0].text: row.all("td") for row in grid.all("tr")[1:]}
    shown = {name: [cell.text for cell in cells] for name, cells in rows.items()}
    assert shown == {
        "relu": ["0", "NaN"],
        "prelu": ["0 1 ≠", "NaN"],
        "narrow": ["½ 1 *", "NaN"],
        "lanes": ["0.25", "0 1 †"],
        "gap": ["0", "–"],
        "no<ne": ["cannot <do> it"],
    }
    classes = {name: cells[0].attributes["class"].split() for name, cells in rows.items()}
    assert classes["relu"] == ["zero"]
    assert classes["prelu"] == ["zero", "modes"]
    assert classes["narrow"] == ["half"]
    assert classes["lanes"] == ["other"]
    by_mode = {e.text for p in root.of_class("patterns") for e in p.of_class("where")}
    assert {"eager", "forward", "eager: float64", "eager: float32"} <= by_mode


def test_the_map_has_the_choice_of_every_formulation_framework_and_mode(baseline: Path) -> None:
    root = pages.read(page(PASSED, baseline))
    (grid,) = root.of_class("map")
    frameworks, modes, *rows = grid.all("tr")
    assert [e.text for e in frameworks.all("th")] == ["right"]
    assert [e.text for e in modes.all("th")] == ["written as", "eager", "forward"]
    shown = {row.all("th")[0].text: [e.text for e in row.all("td")] for row in rows}
    assert shown == {
        "relu": ["0", "0"],
        "prelu": ["0", "1"],
        "narrow": ["½ *", ""],
        "lanes": ["0.25", ""],
        "gap": ["0", ""],
    }
    alike = [e.all("th")[0].text for e in rows if "alike" in e.attributes.get("class", "")]
    assert alike == ["relu", "lanes", "gap"]
    (chosen,) = (e for e in root.all("input") if e.attributes["type"] == "radio")
    assert [e.text for e in root.all("label") if e.attributes.get("for") == chosen.attributes["id"]]


def test_of_ties_the_map_says_whose_the_share_is_and_of_other_kinks_what_lambda_is() -> None:
    def of(unit: str, **slopes: str) -> list[str]:
        rows = {
            Key("right", unit, name, "eager", "float64"): Row({"all": Cell("1", each)})
            if unit == "max"
            else Row({"-1": Cell("0", each), "1": Cell("0", each)})
            for name, each in slopes.items()
        }
        (panel,) = heat(Table({"right": "numpy 1.0"}, {}, rows)).panels
        return [
            spot.text for _, found in panel.groups for row in found for spot in row.spots if spot
        ]

    quarter = ",".join(["0.25"] * 4)
    assert of("max", a="1,0,0,0", b="0,0,0,1", c=quarter, d="1,1,1,1", e="0.5,0.5,0,0") == [
        "first",
        "last",
        "alike",
        "1 each",
        "other",
    ]
    # At -1 the slope goes up from 0 to 1, at 1 down: the same derivative is another λ.
    assert of("hardtanh", a="1", b="0", c="0.5") == ["1", "0", "½", "0", "1", "½"]


def test_shares_of_a_tie_are_told_in_few_digits(tmp_path: Path) -> None:
    third = Cell("1", "0.3333333333333333,0,0.3333333333333333,0.3333333333333333")
    rounded = Cell("1", "0.33333334326744,0,0.33333334326744,0.33333334326744")
    rows = {
        Key("right", "max", name, "eager", dtype): Row({"three": cell})
        for name, dtype, cell in (
            ("alike", "float64", third),
            ("alike", "float32", rounded),
            ("apart", "float64", third),
            ("apart", "float32", Cell("1", "1,0,0,0")),
        )
    }
    write_table(Table({"right": "numpy 1.0"}, {}, rows), tmp_path / "conventions.json")
    root = pages.read(page(PASSED, tmp_path / "conventions.json"))
    grid = next(e for e in root.of_class("grid") if "map" not in e.attributes["class"].split())
    shown = {row.all("th")[0].text: row.all("td")[0].text for row in grid.all("tr")[1:]}
    assert shown == {"alike": "⅓ 0 ⅓ ⅓", "apart": "⅓ 0 ⅓ ⅓ 1 0 0 0 *"}


@pytest.mark.parametrize(
    ("point", "slope", "chosen"),
    [
        ("0", "0", True),
        ("-0", "1", True),
        ("nan", "0", True),
        ("tiny", "1", False),
        ("-tiny", "0", False),
        ("-tiny", "-0", False),
        ("tiny", "0", True),
        ("inf", "1", False),
        ("inf", "nan", True),
    ],
)
def test_coloured_is_only_what_is_left_open_or_is_not_the_derivative(
    point: str, slope: str, chosen: bool
) -> None:
    assert is_choice("relu", point, Cell("0", slope)) is chosen
    assert is_choice("max", point, Cell("0", slope))
    assert is_choice("not known here", point, Cell("0", slope))


def test_other_versions_than_those_of_the_run_are_told(baseline: Path) -> None:
    text = pages.read(page(PASSED, baseline)).text
    assert "right: measured numpy 1.0, this run numpy 2.4.6" in text
    assert "doubled: measured" not in text


def test_the_table_is_found_beside_the_report_and_above_it(tmp_path: Path, baseline: Path) -> None:
    (tmp_path / "latest").mkdir()
    assert find_table(tmp_path / "latest") not in (tmp_path / "conventions.json", baseline)
    (tmp_path / "conventions.json").write_bytes(baseline.read_bytes())
    assert find_table(tmp_path / "latest") == tmp_path / "conventions.json"
    (tmp_path / "latest" / "conventions.json").write_bytes(baseline.read_bytes())
    assert find_table(tmp_path / "latest") == tmp_path / "latest" / "conventions.json"


def test_a_damaged_table_is_told_and_the_rest_of_the_page_is_there(tmp_path: Path) -> None:
    damaged = tmp_path / "conventions.json"
    damaged.write_text("{}")
    text = page(PASSED, damaged)
    assert "conventions.json: no table of conventions" in pages.read(text).text
    assert str(tmp_path) not in text
    assert page(PASSED) != text


# Escaping


HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 * 7 }}"


def hostile(value: Any) -> Any:
    """Every free text of a report replaced by an attack."""
    fixed = {"hex", "key", "verdict", "part", "state", "gate", "slope", "dtype", "output"}
    fixed |= {"status", "block", "reduction", "effect"}
    if isinstance(value, dict):
        return {
            name: value[name]
            if name in fixed and isinstance(value[name], str)
            else hostile(value[name])
            for name in value
        }
    if isinstance(value, list):
        return [hostile(item) for item in value]
    return (
        HOSTILE if isinstance(value, str) and not value.startswith(("0x", "-0x", "nan")) else value
    )


def test_nothing_in_the_data_becomes_a_part_of_the_page(tmp_path: Path) -> None:
    report = hostile(FAILED)
    report["run"]["dtypes"] = [HOSTILE]
    for case in report["cases"]:
        case["scripts"] = {verdict["framework"]: HOSTILE for verdict in case["verdicts"]}
    hostile_table = tmp_path / "conventions.json"
    write_table(
        Table(
            {HOSTILE: HOSTILE},
            {},
            {Key(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE): Row({HOSTILE: Cell("0", "<b>")})},
        ),
        hostile_table,
    )
    for text in (page(report, hostile_table), excerpt(report)):
        elements = pages.read(text).all()
        assert not {e.name for e in elements} & {"script", "img"}
        assert not {name for e in elements for name in e.attributes if name.startswith("on")}
        assert "alert(1)</script>" not in text
        assert "{{ 7 * 7 }}" in text
    labels = [e for e in pages.read(page(report)).of_class("sub") if HOSTILE.split()[0] in e.text]
    assert labels


# Ways to it


def test_the_run_and_the_command_write_the_same_bytes(tmp_path: Path) -> None:
    with open_sinks(tmp_path) as emit:
        for event in pages.events():
            emit(event)
    written = (tmp_path / "report.html").read_text("utf-8")
    assert Report.read(tmp_path).html() == written
    Report.read(tmp_path / "report.json").save_html(tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text("utf-8") == written
    assert "Failed" in written


def test_without_a_last_event_there_is_no_page(tmp_path: Path) -> None:
    with listening([HtmlReport(tmp_path)]) as emit:
        for event in pages.events()[:-1]:
            emit(event)
    assert list(tmp_path.iterdir()) == []


def test_the_reports_made_up_here_are_valid() -> None:
    for document in REPORTS.values():
        jsonschema.Draft202012Validator(schema()).validate(document)


# Numbers


@pytest.mark.parametrize(
    ("stored", "dtype", "shown"),
    [
        ("0x1.99999ap-4", "float32", "0.1"),
        ("0x1.999999999999ap-4", "float64", "0.1"),
        ("0x1.99999ap-4", "float64", "0.10000000149011612"),
        (1.5, "bfloat16", "1.5"),
        (3, "float16", "3"),
        ("-0x0p+0", "float32", "-0"),
        ("nan", "float64", "nan"),
        ("-inf", "float32", "-inf"),
    ],
)
def test_a_number_of_a_case_has_the_digits_of_its_dtype(
    stored: Any, dtype: str, shown: str
) -> None:
    assert shortest(stored, dtype) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "0x1p+0"),
        (-0.75, "-0x1.8p-1"),
        (2.0**-1074, "0x0.0000000000001p-1022"),
        (2.0**-1024, "0x0.4p-1022"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
    ],
)
def test_hexadecimal_numbers_lose_their_last_zeros_only(value: float, shown: str) -> None:
    assert hexadecimal(number(value)) == shown
    if value == value and abs(value) != float("inf"):
        assert float.fromhex(shown) == value
