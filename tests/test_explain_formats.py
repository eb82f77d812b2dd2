"""An explanation is well-formed in every format, and says the same in each."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import processes
import pytest
from faulty import Faulty, correct, doubled_loss
from test_explain import CASES, IDS, normal

from crosscheck.cli import main
from crosscheck.explain import Document, explain_case
from crosscheck.explain.document import Block, Formulas, Section
from crosscheck.explain.html import FORMAT as html_form
from crosscheck.explain.latex import FORMAT as latex_form
from crosscheck.explain.markdown import FORMAT as markdown_form
from crosscheck.explain.text import FORMAT as text_form
from crosscheck.explain.writing import Format
from crosscheck.formulas.latex import inline as latex
from crosscheck.formulas.latex import prose
from crosscheck.formulas.mathml import inline as mathml
from crosscheck.formulas.text import expression as text
from crosscheck.formulas.tree import (
    Difference,
    Expression,
    Line,
    Matrix,
    Number,
    Product,
    Square,
    Sum,
    Symbol,
    Term,
    Words,
)
from crosscheck.network.dense import worked_example

Form: TypeAlias = Literal["text", "markdown", "latex", "html"]

WORKED = [worked_example(), worked_example(x=0.0), worked_example(w2=-1.0, b2=2.0)]
LARGE = normal((8, 12, 9, 2), rows=9, seed=6)


def documents() -> Iterator[Document]:
    frameworks = [Faulty(correct), Faulty(doubled_loss)]
    for case in WORKED:
        yield explain_case(case, frameworks, label="<&_%$#>", symbolic=True)
    for case in CASES:
        yield explain_case(case, frameworks)
    yield explain_case(LARGE, frameworks, entry="W2[8,3]")


DOCUMENTS = list(documents())
NAMES = ["worked-example", "x=0", "z2=0", *IDS, "large"]


def is_balanced(source: str) -> bool:
    """Whether braces, dollar signs, environments and alignments of LaTeX fit together."""
    plain = re.sub(r"\\[\\{}$%&#_]", " ", source)
    depth = 0
    for character in plain:
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return False
    open_environments: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{([a-z*]+)\}", source):
        if kind == "begin":
            open_environments.append(name)
        elif not open_environments or open_environments.pop() != name:
            return False
    paragraphs = re.split(r"\n\n", plain)
    dollars = all(paragraph.count("$") % 2 == 0 for paragraph in paragraphs)
    return depth == 0 and not open_environments and dollars


@pytest.mark.parametrize(
    "source",
    ["{a", "a}", r"\begin{align*} a", r"\begin{a}\begin{b}\end{a}\end{b}", "$a", "}{"],
)
def test_a_planted_imbalance_is_noticed(source: str) -> None:
    assert not is_balanced(source)


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_latex_is_balanced_and_plain_ascii_with_no_command_beyond_amsmath(
    document: Document,
) -> None:
    source = document.render("latex")
    assert source.isascii()
    assert is_balanced(source)
    commands = set(re.findall(r"\\([a-zA-Z]+)", source))
    assert commands <= {
        *("section", "subsection", "noindent", "item", "begin", "end", "hline", "small"),
        *("partial", "frac", "tfrac", "cdot", "lambda", "sum", "max", "operatorname", "approx"),
        *("qquad", "text", "dots", "usepackage", "allowdisplaybreaks", "times", "textbackslash"),
    } | {"textasciicircum", "textasciitilde", "pm", "ge", "le", "infty"}
    for body in re.findall(r"\\begin\{align\*\}\n(.*?)\n\\end", source, flags=re.DOTALL):
        rows = re.sub(r"\\begin\{pmatrix\}.*?\\end\{pmatrix\}", "M", body, flags=re.DOTALL)
        for row in rows.split("\\\\\n"):
            assert row.count("&") in (1, 3), row
    for body in re.findall(r"\\begin\{tabular\}\{(\w+)\}\n(.*?)\n\\end", source, flags=re.DOTALL):
        for row in body[1].splitlines():
            assert len(re.findall(r"(?<!\\)&", row)) == len(body[0]) - 1


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_latex_compiles_where_there_is_a_tex(document: Document, tmp_path: Path) -> None:
    source = document.render("latex")
    assert "\\begin{document}" not in source  # it is a fragment
    program = shutil.which("pdflatex")
    if program is None:
        return  # the structure is checked above
    whole = "\\documentclass{article}\\usepackage{amsmath}\\begin{document}\n"
    (tmp_path / "it.tex").write_text(f"{whole}{source}\\end{{document}}\n", "ascii")
    done = processes.run(
        [program, "-interaction=nonstopmode", "-halt-on-error", "-draftmode", "it.tex"],
        cwd=tmp_path,
        capture_output=True,
        errors="replace",
    )
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_markdown_has_balanced_formulas_and_whole_tables(document: Document) -> None:
    source = document.render("markdown")
    outside = re.sub(r"\$\$.*?\$\$", "", source, flags=re.DOTALL)
    for formula in re.findall(r"\$\$(.*?)\$\$", source, flags=re.DOTALL):
        assert is_balanced(formula)
        # A reader of Markdown may take a backslash before punctuation for its own.
        assert re.findall(r"\\[^a-zA-Z]", formula.replace(r"\text{", "")) == []
    assert "&&" not in source
    for block in re.findall(r"(?:^\|.*\n)+", outside, flags=re.MULTILINE):
        counts = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(counts) == 1
    assert source.startswith("# ")


class Checker(HTMLParser):
    """Notes what is not well nested, and everything that is loaded or run."""

    VOID = frozenset({"meta"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.stack: list[str] = []
        self.faults: list[str] = []
        self.tags: set[str] = set()
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.faults += [f"{tag} {name}" for name, _ in attrs if name in ("src", "href")]
        self.faults += [f"{tag} {name}" for name, _ in attrs if name.startswith("on")]
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.stack or self.stack.pop() != tag:
            self.faults.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if self.stack and self.stack[-1] != "style":
            self.words.append(data)


def checked(source: str) -> Checker:
    checker = Checker()
    checker.feed(source)
    checker.close()
    checker.faults += checker.stack
    return checker


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_html_is_one_page_that_loads_and_runs_nothing(document: Document) -> None:
    source = document.render("html")
    found = checked(source)
    assert found.faults == []
    assert not found.tags & {"script", "link", "img", "iframe", "object"}
    assert "url(" not in source
    assert "@import" not in source
    assert "prefers-color-scheme: dark" in source
    assert {"math", "mfrac", "table"} <= found.tags
    assert "<&_%$#>" not in source


def test_a_planted_fault_in_html_is_noticed() -> None:
    assert checked("<p><b></p></b>").faults
    assert checked("<div>").faults
    assert checked("<img src='x'>").faults
    assert checked("<p onclick='x'></p>").faults


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_a_notebook_gets_a_part_and_not_a_page(document: Document) -> None:
    part = document._repr_html_()
    assert checked(part).faults == []
    assert part.startswith("<div")
    assert "<html" not in part
    assert part in document.render("html")
    assert str(document) == document.render("text")


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_every_format_has_every_verdict_and_every_section(document: Document) -> None:
    escapes: dict[Form, Callable[[str], str]] = {
        "text": str,
        "latex": prose,
        "markdown": str,
        "html": str,
    }
    for form, escape in escapes.items():
        written = document.render(form)
        for section in document.sections:
            assert escape(section.title) in written
        assert (written.count("DISAGREES") >= 2) == document.failed


def test_the_worked_example_s_chain_is_the_same_in_every_format() -> None:
    document = explain_case(worked_example(), [Faulty(correct)])
    fraction = r"\frac{\partial J}{\partial w_{2}}"
    forms: list[Form] = ["latex", "markdown"]
    for form in forms:
        written = " ".join(document.render(form).split())
        assert rf"{fraction} & = \frac{{\partial J}}{{\partial a_{{2}}}} \cdot" in written
        assert r"= 2 \cdot 1 \cdot 2 = 4" in written
    words = "".join(checked(document.render("html")).words)
    assert "∂J∂w2 =∂J∂a2·∂a2∂z2·∂z2∂w2 =2·1·2 =4" in words


@pytest.mark.parametrize("form", [text_form, markdown_form, latex_form, html_form])
def test_every_kind_of_block_is_written(form: Format) -> None:
    assert set(form.blocks) == set(get_args(Block))


@pytest.mark.parametrize("form", ["text", "markdown", "latex", "html"])
def test_the_command_writes_a_file_in_each_format(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["explain", "--frameworks", "none", "--format", form]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert main([*arguments, "-o", "folder/it"]) == 0
    assert capsys.readouterr().out == ""
    assert (tmp_path / "folder/it").read_text("utf-8") == printed


# Formulas


def number(value: float) -> Number:
    return Number(Fraction(value))


Z = Symbol("z", 1, (0, "i"))
LAMBDA = Symbol("λ", 2)
FORMULAS: list[tuple[Expression, str, str]] = [
    (Product((number(-2), number(-3))), "−2 · (−3)", r"-2 \cdot (-3)"),
    (Sum((number(2), number(-3))), "2 − 3", "2 - 3"),
    (
        Sum((number(2), Product((number(-3), number(4))))),
        "2 + (−3) · 4",
        r"2 + (-3) \cdot 4",
    ),
    (Difference(number(2), number(-3)), "2 − (−3)", "2 - (-3)"),
    (Square(Difference(Z, number(1))), "(z1[0,i] − 1)²", r"(z^{(1)}_{0,i} - 1)^2"),
    (Term(number(-1).value, (LAMBDA,)), "−λ2", r"-\lambda_{2}"),
    (
        Sum((number(3), Term(number(-2).value, (LAMBDA,)))),
        "3 − 2 · λ2",
        r"3 - 2 \cdot \lambda_{2}",
    ),
    (
        Product((Sum((number(1), LAMBDA)), number(2))),
        "(1 + λ2) · 2",
        r"(1 + \lambda_{2}) \cdot 2",
    ),
    (number(2.0**-30), "2⁻³⁰", "2^{-30}"),
    (number(3 * 2.0**-60), "2.60209e-18", r"2.60209 \cdot 10^{-18}"),
    (Matrix(((number(1),), (Z,))), "[[1], [z1[0,i]]]", ""),
    (Words("a & b"), "a & b", r"\text{a \& b}"),
]


@pytest.mark.parametrize(("formula", "plain", "tex"), FORMULAS, ids=[f[1] for f in FORMULAS])
def test_signs_and_brackets_are_where_they_belong(
    formula: Expression, plain: str, tex: str
) -> None:
    assert text(formula) == plain
    if tex:
        assert latex(formula) == tex
    found = checked(mathml(formula))
    assert found.faults == []
    if not isinstance(formula, Matrix | Words | Square) and "⁻" not in plain and "e-" not in plain:
        squeezed = plain.replace(" ", "").replace("[0,i]", "0,i(1)").replace("z1", "z")
        assert "".join(found.words) == squeezed


def test_a_long_chain_breaks_outside_of_brackets_first() -> None:
    inner = Sum(tuple(Symbol("w", at) for at in range(10, 18)))
    line = Line((Symbol("J"), Product((inner, inner, inner)), number(1)))
    document = Document("t", (), (Section("s", (Formulas((line,)),)),))
    lines = document.render("text").splitlines()[5:]
    assert len(lines) == 3
    assert [each.rstrip()[-1] for each in lines[:2]] == ["·", "·"]
    assert all(each.count("(") == each.count(")") for each in lines)
