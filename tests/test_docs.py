"""What the README and the pages say is what happens: every command, every program, each picture."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import processes
import pytest
from packaging.requirements import Requirement

from crosscheck.cases.profiles import WIDE_STACK, profile
from crosscheck.cases.strategies import SHAPES, boundary_cases, seeded_stacks, smooth_cases
from crosscheck.cli import main
from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.registry import GROUP, open_frameworks
from crosscheck.judge.compare import Judge
from crosscheck.judge.verdict import MEANING, Kind
from crosscheck.network.dense import worked_example
from crosscheck.numbers import formats
from crosscheck.operators.selections import SELECTIONS
from crosscheck.run.checker import Checker
from crosscheck.run.functions.checking import compare_functions
from crosscheck.studies.conventions.drift import shares_as_word
from crosscheck.studies.conventions.table import Key, read_table

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
INDEX = ROOT / "docs" / "README.md"
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for path in (README, *sorted((ROOT / "docs").glob("*.md")))
}
_BLOCK = re.compile(r"```(\w*)\n(.*?)```", flags=re.DOTALL)


def of_page(page: str, language: str) -> list[str]:
    return [text for name, text in _BLOCK.findall(PAGES[page]) if name == language]


def blocks(language: str) -> list[str]:
    return [text for page in PAGES for text in of_page(page, language)]


COMMANDS = [
    (page, line)
    for page in PAGES
    for block in of_page(page, "sh")
    for line in block.splitlines()
    if line.strip()
]
SHORT = list(dict.fromkeys(line for _, line in COMMANDS if line.split()[0] == "crosscheck"))
PROGRAMS = [
    pytest.param(page, text, id=f"{page}-{number}")
    for page in PAGES
    for number, text in enumerate(of_page(page, "python"), start=1)
]


# -- pages -------------------------------------------------------------------------------------


def test_the_readme_is_one_that_is_read() -> None:
    assert len(PAGES["README.md"].splitlines()) <= 250


def test_every_page_is_linked_from_the_index() -> None:
    linked = set(re.findall(r"\]\(([^)#]+)", PAGES["docs/README.md"]))
    pages = {path.name for path in INDEX.parent.iterdir() if path.suffix in (".md", ".ipynb")}
    assert pages - {"README.md"} <= linked


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md", "reports/README.md"])
def test_every_link_of_a_page_leads_to_a_file(page: str) -> None:
    path = ROOT / page
    links = re.findall(r"\]\(([^)#]+)|(?:src|srcset)=\"([^\"]+)\"", path.read_text("utf-8"))
    named = [link or picture for link, picture in links]
    missing = [link for link in named if "://" not in link and not (path.parent / link).exists()]
    assert missing == []


def test_a_link_to_a_heading_leads_to_one() -> None:
    for page, text in PAGES.items():
        for link, heading in re.findall(r"\]\(([^)#]*)#([^)]+)\)", text):
            target = (ROOT / page).parent / link if link else ROOT / page
            titles = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), flags=re.MULTILINE)
            assert heading in {
                re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in titles
            }


# -- commands ----------------------------------------------------------------------------------


def test_every_command_is_of_a_kind_that_is_tested() -> None:
    assert SHORT
    starts = ("crosscheck", "pytest ", "python3 -m venv ", "nox -s ", "pip ")
    assert [line for _, line in COMMANDS if not line.startswith(starts)] == []


@pytest.fixture(scope="module")
def latest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the report of a run."""
    folder = tmp_path_factory.mktemp("latest")
    words = ["run", "--case", "worked-example", "--frameworks", "jax", "--report", str(folder)]
    assert main(words) == 0
    return folder


def quick(words: list[str]) -> list[str]:
    """A command that does in seconds what takes minutes as it stands in a page."""
    match words[:1]:
        case ["power"]:
            return ["1" if word.isdigit() else word for word in words]
        case ["precision"]:
            return [*words, "--quick", "--trials", "1"]  # the last --trials counts
        case ["conventions"] if "--recorded" not in words:
            return [*words, "--frameworks", "numpy"]
        case ["accuracy"] if "--recorded" not in words:
            return [*words, "--frameworks", "torch", "--function", "tanh", "--dtype", "bfloat16"]
        case ["sweep"]:
            return [{"1e6": "5000", "1e4": "256"}.get(word, word) for word in words]
        case ["bench"]:
            words = [*words, "--frameworks", "jax", "--jobs", "1", "--seconds", "0.01"]
            words += ["--repeats", "1", "--widths", "1,1,1", "--no-growth", "--no-storms"]
            return [*words, "--no-start-up"]
        case ["doctor"]:  # one framework does for all, without minutes of compilation
            return [*words, "--frameworks", "jax"]
        case ["run"] if "--case" not in words:  # the last --max-examples counts
            return [*words, "--max-examples", "4", "--dtype", "float32"]
    return words


@pytest.mark.parametrize("line", SHORT)
def test_a_command_of_a_page_runs(
    line: str, latest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for text in blocks("json"):
        kinds = ("gradient", "program")
        name = next((kind for kind in kinds if f'"{kind}"' in text), "network")
        (tmp_path / f"my_{name}.json").write_text(text)
    for text in blocks("python"):
        if text.startswith("# layer.py"):
            (tmp_path / "layer.py").write_text(text)
    words = quick(shlex.split(line)[1:])
    command = words[0] if words else ""
    if command == "power":
        monkeypatch.setattr("crosscheck.studies.power.SHAPES", ((4, 8, 1),))
    if command in ("report", "diff"):
        shutil.copytree(latest, tmp_path / "reports/latest")
        shutil.copytree(latest, tmp_path / "before")
    if command == "nightly":
        shutil.copytree(latest, tmp_path / "found/crosscheck-report")
    # A number of the gradient is wrong; a job is said to have failed.
    assert main(words) == ("my_gradient.json" in words or command == "nightly")
    report = (tmp_path / "reports/latest/report.json").is_file()
    assert report == (
        command in ("diff", "digits", "report", "run", "sweep") and "--case" not in words
    )


def test_the_sessions_that_are_named_exist() -> None:
    listed = processes.run(
        [sys.executable, "-m", "nox", "--list", "-f", str(ROOT / "noxfile.py")],
        capture_output=True,
        check=True,
    ).stdout
    sessions = set(re.findall(r"^[*-] (\w+)", listed, flags=re.MULTILINE))
    named = [
        line.split(" -s ")[1].split(" -- ")[0].split() for _, line in COMMANDS if " -s " in line
    ]
    assert named[:2] == [["crosscheck"], ["lint", "types", "tests"]]
    assert {name for names in named for name in names} <= sessions


def test_what_is_said_to_install_is_this_package_with_extras_that_it_has() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = [line for _, line in COMMANDS if line.startswith("pip ")]
    named = [extra for line in lines for extra in re.findall(r"\[(\w+)\]", line)]
    assert len(named) == len(lines) == 3
    assert set(named) <= set(project["optional-dependencies"])
    (address,) = (word for line in lines for word in shlex.split(line) if " @ " in word)
    assert Requirement(address).name == project["name"]


def test_the_boundary_is_selected_by_its_name() -> None:
    (line,) = {line for _, line in COMMANDS if line.startswith("pytest ")}
    collected = processes.run(
        [
            sys.executable,
            "-m",
            *shlex.split(line),
            "--collect-only",
            "-q",
            "-p",
            "no:cacheprovider",
        ],
        capture_output=True,
        check=True,
        cwd=ROOT,
    ).stdout
    tests = [line for line in collected.splitlines() if "::" in line]
    assert len(tests) > 100
    assert all("relu_boundary" in test for test in tests)


# -- programs ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("page", "text"), PROGRAMS)
def test_a_program_of_a_page_runs(
    page: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # one of them writes a file
    before = set(formats.FORMATS)
    try:
        exec(compile(text, "program", "exec"), {"__name__": "program"})
    finally:
        for name in set(formats.FORMATS) - before:  # one of them adds another
            del formats._FORMATS[name]


def program(start: str) -> str:
    (found,) = (text for text in blocks("python") if text.startswith(start))
    return found


def test_the_example_of_an_own_function_fails_as_it_says(tmp_path: Path) -> None:
    source = program("import numpy as np\n\n\ndef affine")
    assert len([line for line in source.splitlines() if line.strip()]) <= 12
    file = tmp_path / "test_affine.py"
    file.write_text(source, "utf-8")
    names: dict[str, Any] = {}
    exec(compile(source, str(file), "exec"), names)
    found = compare_functions(names["affine"], "n i, o i, o -> n o", by_hand=names["backward"])
    (said,) = (text for text in blocks("text") if text.startswith("by_hand backward"))
    # Which cases are drawn is Hypothesis's affair, so that counts and numbers may change with it.
    kept = [line for line in said.rstrip().splitlines()[1:] if not line.startswith("  case")]
    assert [line for line in kept if line not in found.message.splitlines()] == []


def test_the_program_for_users_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    exec(program("from crosscheck import Judge"), {})
    assert capsys.readouterr().out == "KINK 1.0\n"


def test_the_program_for_second_derivatives_prints_what_it_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = program("import numpy as np\n\nfrom crosscheck.judge.second")
    exec(text, {})
    assert text.endswith(f"  # {capsys.readouterr().out}")


def test_the_fourth_framework_is_short_and_correct(tmp_path: Path, monkeypatch: Any) -> None:
    source = program("import numpy as np\nfrom crosscheck")
    names: dict[str, Any] = {}
    exec(source, names)
    framework: Framework = names["MineFramework"]()
    assert len([line for line in source.splitlines() if line.strip()]) <= 30
    assert (
        Judge(worked_example())
        .verdict(framework.gradients(worked_example()), framework="mine")
        .kind
        is Kind.AGREES
    )
    checker = Checker([framework], lambda event: None)
    for dtype in framework.dtypes:
        for strategy in (smooth_cases(dtype=dtype), boundary_cases(dtype=dtype)):
            for seed in range(15):
                checker.check_case(drawn(strategy, seed), "smooth", "readme")
        checker.check_stack(
            drawn(seeded_stacks(count=20, dtype=dtype, shapes=SHAPES), 3), "smooth", "readme"
        )
    assert not checker.failed
    assert checker.smooth > 50


def drawn(strategy: Any, seed: int) -> Any:
    """One example of a strategy, the same every time."""
    import hypothesis

    found: list[Any] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=2,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(strategy)
    def keep(case: Any) -> None:
        found.append(case)

    keep()
    return found[-1]


@pytest.mark.parametrize("page", ["README.md", "docs/verdicts.md"])
def test_every_verdict_is_explained(page: str) -> None:
    for kind in MEANING:
        assert f"| {kind} |" in PAGES[page].replace(", ", " | ")


# -- pictures ----------------------------------------------------------------------------------


def test_the_picture_of_the_worked_example_is_what_the_command_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    main(["run", "--case", "worked-example"])
    out = "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines())
    (picture,) = (text for text in blocks("text") if "by hand, ReLU'(0) = 1" in text)
    assert picture.strip() in out


def test_the_part_of_the_table_of_conventions_is_what_the_command_prints(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(
        ["conventions", "--recorded", "--frameworks", "torch", "--baseline", str(ROOT / "reports")]
    )
    out = {" ".join(line.split()) for line in capsys.readouterr().out.splitlines()}
    (picture,) = (text for text in blocks("text") if text.startswith("torch (torch"))
    for line in picture.splitlines():
        assert " ".join(line.split()) in out


TABLE = read_table(ROOT / "reports" / "conventions.json")
DRIFT = json.loads((ROOT / "reports" / "drift-torch-2.14.0.json").read_text("utf-8"))


def release(versions: str) -> str:
    """The first two numbers of a version."""
    (found,) = re.findall(r"^[\w-]+ (\d+\.\d+)", versions)
    return str(found)


def test_what_the_readme_says_of_a_version_is_what_the_tables_say() -> None:
    def at_zero(formulation: str) -> str:
        slope = TABLE.rows[Key("torch", "relu", formulation, "eager", "float32")].cells["0"].slope
        return {"0.5": "½"}.get(slope, slope)

    old, new = map(release, DRIFT["versions"]["torch"])
    assert old == release(TABLE.versions["torch"])
    (clamp,) = (each for each in DRIFT["groups"] if "relu as clamp" in each["formulations"])
    assert clamp["old"] == f"slope {at_zero('clamp')}"
    said = (
        f"at 0, `relu` of PyTorch {old} has the derivative {at_zero('relu')}, its `maximum` "
        f"{at_zero('maximum')} and its `clamp` {at_zero('clamp')}; in PyTorch {new} its `clamp` "
        f"has {clamp['new'].removeprefix('slope ')}."
    )
    assert said in " ".join(PAGES["README.md"].split())


def test_what_is_said_of_tied_numbers_is_what_the_table_says() -> None:
    names = {"torch": "PyTorch", "tensorflow": "TensorFlow", "jax": "JAX"}
    said = ", ".join(f"{name} {release(TABLE.versions[key])}" for key, name in names.items())
    assert f"Of tied numbers ({said})" in PAGES["docs/conventions.md"]
    for framework, unit, formulation, mode, word in (
        ("torch", "max", "max", "eager", "first"),
        ("torch", "max_pool1d", "max_pool", "eager", "first"),
        ("tensorflow", "maximum", "maximum", "eager", "first"),
        ("torch", "max", "amax", "eager", "even"),
        ("jax", "maximum", "maximum", "eager", "even"),
        ("tensorflow", "max", "reduce_max", "eager", "even"),
        ("torch", "maximum", "fmax", "eager", "first"),
        ("torch", "maximum", "fmax", "forward", "last"),
    ):
        cell = TABLE.rows[Key(framework, unit, formulation, mode, "float32")].cells["all"]
        assert word == shares_as_word(cell.slope, SELECTIONS[unit], "float32", "all")


def test_what_another_version_changes_is_what_was_measured() -> None:
    (old, new) = DRIFT["versions"]["torch"]
    changed = "".join(f"{line}\n" for line in DRIFT["changed"])
    count = f"{DRIFT['differences']} differences in {len(DRIFT['changed'])} lines\n"
    assert f"torch: {old} -> {new}\n{changed}{count}" in blocks("text")


def test_the_derivation_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = (line for line in SHORT if line.startswith("crosscheck explain --set"))
    assert main(shlex.split(line)[1:]) == 0
    (picture,) = (text for text in blocks("text") if "−12 · λ1" in text)
    assert picture in capsys.readouterr().out


def test_the_marks_are_what_the_command_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (text,) = (text for text in blocks("json") if '"gradient"' in text)
    (tmp_path / "my_gradient.json").write_text(text)
    case = str(tmp_path / "my_gradient.json")
    assert main(["explain", "--case", case, "--frameworks", "none"]) == 1
    (picture,) = (text for text in blocks("text") if text.startswith("Your numbers"))
    assert capsys.readouterr().out.endswith(picture)


def test_the_pictures_are_there_and_small() -> None:
    named = re.findall(r'(?:src|srcset)="([^"]+)"', PAGES["README.md"])
    assert named
    for name in named:
        picture = (ROOT / name).read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) <= 200_000


def test_the_entry_point_of_a_fourth_framework_loads_and_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (snippet,) = (text for text in blocks("toml") if GROUP in text)
    [(group, lines)] = tomllib.loads(snippet)["project"]["entry-points"].items()
    [(name, value)] = lines.items()
    (tmp_path / "my_package.py").write_text(program("import numpy as np\nfrom crosscheck"))
    monkeypatch.delitem(sys.modules, "my_package", raising=False)
    info = tmp_path / "my_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {value}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert group == GROUP
    try:
        (framework,), _ = open_frameworks([name])
        assert framework.gradients(worked_example()).loss == 2.0
    finally:
        sys.modules.pop("my_package", None)  # other tests have another of that name


def test_the_profiles_have_as_many_cases_as_the_page_says() -> None:
    rows = re.findall(r"\| (quick|default|nightly) \|(.*)\|\n", PAGES["docs/running.md"])
    assert [name for name, _ in rows] == ["quick", "default", "nightly"]
    for name, numbers in rows:
        each = profile(name)
        wide = (each.wide + 1) // 2 * WIDE_STACK + each.wide // 2
        wanted = (each.smooth_examples, each.boundary_examples, each.nonfinite, each.composed)
        stacked = each.stacks * each.stack_size
        found = tuple(int(number.replace(",", "")) for number in numbers.split("|"))
        assert found == (*wanted, stacked, wide)
