"""The repository keeps its promises: packaging, pins, workflows, and what importing costs."""

from __future__ import annotations

import ast
import importlib
import io
import os
import re
import signal
import sys
import tokenize
import tomllib
from pathlib import Path
from typing import Any

import processes
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from ruamel.yaml import YAML

import crosscheck
from crosscheck.frameworks.base import Framework
from crosscheck.numbers.accuracy import RECORD, SHIPPED
from crosscheck.studies.conventions.baseline import DIVERGENCES, TABLE
from crosscheck.tools.installing import REQUIREMENTS

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = PYPROJECT["project"]
FRAMEWORKS = PROJECT["entry-points"]["crosscheck.frameworks"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def requirements() -> list[Requirement]:
    """Everything pyproject.toml asks for, except the project itself and included groups."""
    lists = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    lists += PYPROJECT["dependency-groups"].values()
    found = [Requirement(entry) for entries in lists for entry in entries if isinstance(entry, str)]
    return [requirement for requirement in found if requirement.name != PROJECT["name"]]


def pins() -> dict[str, str]:
    """Distribution name to version, from constraints.txt, and that of `nox -s models`."""
    files = (ROOT / "constraints-models.txt", ROOT / "constraints.txt")
    lines = [line for file in files for line in file.read_text("utf-8").splitlines()]
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def workflow(name: str) -> Any:
    """One parsed workflow."""
    return YAML(typ="safe").load(ROOT / ".github" / "workflows" / name)


def steps(name: str, job: str | None = None) -> list[dict[str, Any]]:
    """All steps of one job of a workflow, or of all its jobs."""
    jobs = workflow(name)["jobs"]
    chosen = jobs.values() if job is None else [jobs[job]]
    return [step for each in chosen for step in each["steps"]]


def modules(*, adapters: bool) -> list[str]:
    """The package's modules, either those inside or those outside `crosscheck.frameworks`."""
    names = []
    for path in sorted((ROOT / "harness").rglob("*.py")):
        parts = path.relative_to(ROOT / "harness").with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        # Importing `crosscheck.__main__` runs the command.
        if name != "crosscheck.__main__" and name.startswith("crosscheck.frameworks") == adapters:
            names.append(name)
    return names


# Packaging


def test_the_version_is_a_canonical_release_number() -> None:
    assert str(Version(PROJECT["version"])) == PROJECT["version"]


def test_the_package_ships_its_types() -> None:
    assert (ROOT / "harness" / "crosscheck" / "py.typed").is_file()
    assert PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == [
        "harness/crosscheck"
    ]


@pytest.mark.parametrize("name", crosscheck.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(crosscheck, name) is not None


def test_there_is_no_other_public_name() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'gradient'"):
        _ = crosscheck.gradient


def test_the_licence_names_the_authors() -> None:
    [author] = PROJECT["authors"]
    assert author["name"] in (ROOT / "LICENSE").read_text("utf-8")
    assert PROJECT["license"] == "MIT"


def test_what_messages_say_to_install_is_what_the_extras_bring() -> None:
    extras = dict(PROJECT["optional-dependencies"])
    del extras["all"]
    assert set(REQUIREMENTS) == set(extras)
    for name, said in REQUIREMENTS.items():
        wanted = {
            (entry.name.removesuffix("-cpu"), entry.specifier)
            for entry in map(Requirement, extras[name])
        }
        assert {(Requirement(said).name, Requirement(said).specifier)} == wanted


def test_no_message_says_to_install_what_no_index_has() -> None:
    named = [
        path
        for path in (ROOT / "harness").rglob("*.py")
        if f"{PROJECT['name']}[" in path.read_text("utf-8")
    ]
    assert named == []


def test_the_extra_all_holds_every_other_extra() -> None:
    extras = dict(PROJECT["optional-dependencies"])
    [everything] = map(Requirement, extras.pop("all"))
    assert everything.name == PROJECT["name"]
    assert everything.extras == set(extras)


@pytest.mark.parametrize("requirement", requirements(), ids=lambda found: found.name)
def test_every_requirement_is_pinned_at_a_version_it_allows(requirement: Requirement) -> None:
    pin = pins()[canonicalize_name(requirement.name)]
    assert requirement.specifier, f"{requirement.name} has no lower bound"
    assert requirement.specifier.contains(pin)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_framework_has_an_extra_of_its_name_and_a_pin(framework: str) -> None:
    wanted = [Requirement(entry) for entry in PROJECT["optional-dependencies"][framework]]
    assert {requirement.name.removesuffix("-cpu") for requirement in wanted} == {framework}
    assert framework in pins()


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize(
    ("system", "machine", "expected"),
    [
        pytest.param("linux", "x86_64", {"tensorflow-cpu"}, id="linux-x86"),
        pytest.param("linux", "aarch64", {"tensorflow"}, id="linux-arm"),
        pytest.param("darwin", "arm64", {"tensorflow"}, id="macos-arm"),
        pytest.param("darwin", "x86_64", set(), id="macos-x86"),
        pytest.param("win32", "AMD64", {"tensorflow-cpu"}, id="windows-x86"),
        pytest.param("win32", "ARM64", set(), id="windows-arm"),
    ],
)
def test_tensorflow_is_wanted_just_where_it_has_wheels(
    python: str, system: str, machine: str, expected: set[str]
) -> None:
    environment = {
        "python_version": python,
        "sys_platform": system,
        "platform_machine": machine,
    }
    entries = map(Requirement, PROJECT["optional-dependencies"]["tensorflow"])
    chosen = {
        entry.name for entry in entries if entry.marker and entry.marker.evaluate(environment)
    }
    assert chosen == (set() if python == "3.14" else expected)


# Entry points


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_framework_entry_point_names_an_adapter_of_that_name(name: str) -> None:
    module, _, attribute = FRAMEWORKS[name].partition(":")
    adapter = getattr(importlib.import_module(module), attribute)
    assert issubclass(adapter, Framework)
    assert adapter.name == name


def test_the_command_is_a_callable() -> None:
    module, _, attribute = PROJECT["scripts"]["crosscheck"].partition(":")
    assert callable(getattr(importlib.import_module(module), attribute))


def test_the_pytest_plugin_is_a_module() -> None:
    importlib.import_module(PROJECT["entry-points"]["pytest11"]["crosscheck"])


# What importing costs


@pytest.mark.parametrize("adapters", [False, True], ids=["outside-frameworks", "frameworks"])
def test_importing_the_harness_imports_no_framework(adapters: bool) -> None:
    program = (
        "import importlib, sys\n"
        "heavy = {'torch', 'tensorflow', 'jax', 'jaxlib', 'keras'}\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    found = heavy & set(sys.modules)\n"
        "    assert not found, f'{name} imports {sorted(found)}'\n"
    )
    names = modules(adapters=adapters)
    assert names
    done = processes.run([sys.executable, "-c", program, *names], cwd=ROOT, capture_output=True)
    assert done.returncode == 0, done.stderr


def imported(source: str) -> set[str]:
    """Every module that Python source names in an import, however deep in the code."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports in the package are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


MATHEMATICS = [
    path
    for name in ("tools", "numbers", "operators", "network", "judge")
    for path in sorted((ROOT / "harness" / "crosscheck" / name).rglob("*.py"))
]


@pytest.mark.parametrize("path", MATHEMATICS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_mathematics_knows_no_framework(path: Path) -> None:
    forbidden = ("crosscheck.frameworks", "torch", "tensorflow", "jax")
    names = imported(path.read_text("utf-8"))
    assert not [name for name in names if f"{name}.".startswith(tuple(f"{f}." for f in forbidden))]


# nox


def test_every_nox_session_says_what_it_is_for_and_the_checks_are_the_default() -> None:
    listing = [sys.executable, "-m", "nox", "--list", "--nocolor"]
    done = processes.run(listing, cwd=ROOT, capture_output=True, check=True)
    found = re.findall(r"^([*-]) (\S+)(?: -> (.+))?$", done.stdout, flags=re.MULTILINE)
    descriptions = {name: description for _, name, description in found}
    assert {"crosscheck", "nightly", "conventions", "drift", "newest"} <= set(descriptions)
    assert all(descriptions.values()), descriptions
    assert {name for mark, name, _ in found if mark == "*"} == {"lint", "types", "tests"}


@pytest.mark.skipif(os.name == "nt", reason="interrupts a process group")
def test_what_a_session_runs_has_time_to_write_its_report_after_an_interrupt(
    tmp_path: Path,
) -> None:
    program = "import pathlib, sys, time\ntry:\n    print('begun', flush=True)\n"
    program += "    time.sleep(60)\nexcept KeyboardInterrupt:\n    time.sleep(2)\n"
    program += "    pathlib.Path(sys.argv[1]).touch()\n"
    (tmp_path / "program").write_text(f"#!{sys.executable}\n{program}", "utf-8")
    (tmp_path / "program").chmod(0o755)
    session = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
    session += "import nox, noxfile, pathlib\nhere = pathlib.Path(__file__).parent\n"
    session += "noxfile.shared_environment = lambda session: here\n"
    session += "@nox.session(venv_backend='none')\ndef it(session):\n"
    session += "    noxfile.run(session, 'program', str(here / 'report'))\n"
    (tmp_path / "sessions.py").write_text(session, "utf-8")
    said = tmp_path / "said"
    with (
        said.open("w") as file,
        processes.started(
            [sys.executable, "-m", "nox", "-f", str(tmp_path / "sessions.py"), "-s", "it"],
            stdout=file,
            stderr=file,
            start_new_session=True,
        ) as process,
    ):
        processes.wait_until(lambda: "begun" in said.read_text("utf-8"), process)
        os.killpg(process.pid, signal.SIGINT)  # as the terminal does
        processes.ended(process)
    assert (tmp_path / "report").exists(), said.read_text("utf-8")


def test_every_process_that_a_test_starts_has_an_end() -> None:
    endless = [
        f"{path.name}:{node.lineno}"
        for path in sorted((ROOT / "tests").glob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).startswith(("subprocess.", "os.system", "os.popen"))
    ]
    assert endless == []  # `processes.run` and `processes.started` do it


def test_the_ci_script_runs_the_checks_that_the_readme_names() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert re.search(r"nox .*-s lint types tests\b", script.read_text("utf-8"))


# Workflows


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_to_a_commit_and_says_which_version(path: Path) -> None:
    lines = [line for line in path.read_text("utf-8").splitlines() if "uses:" in line]
    assert lines
    pinned = re.compile(r"\s*(- )?uses: [\w-]+/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    assert [line for line in lines if not pinned.fullmatch(line)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_only_read_and_ends_by_itself(path: Path) -> None:
    parsed = workflow(path.name)
    assert parsed["permissions"] == {}
    for name, job in parsed["jobs"].items():
        # The job that tells people may write issues, and runs nothing of the repository.
        tells = name == "issue"
        assert job["permissions"] == {"contents": "read", **({"issues": "write"} if tells else {})}
        assert job["timeout-minutes"]
        used = [step.get("uses", "").split("@")[0] for step in job["steps"]]
        assert ("actions/checkout" in used) != tells
    for step in steps(path.name):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_ci_runs_lint_types_and_tests_on_every_supported_python() -> None:
    commands = " ".join(step.get("run", "") for step in steps("ci.yml"))
    assert {"lint", "types", "tests"} <= set(commands.split())
    matrix = workflow("ci.yml")["jobs"]["tests"]["strategy"]["matrix"]
    prefix = "Programming Language :: Python :: "
    classified = [
        line.removeprefix(prefix)
        for line in PROJECT["classifiers"]
        if re.fullmatch(rf"{prefix}3\.\d+", line)
    ]
    assert matrix["python-version"] == classified


def test_the_nightly_runs_its_session_off_the_hour_and_by_hand() -> None:
    triggers = workflow("nightly.yml")["on"]
    [schedule] = triggers["schedule"]
    assert int(schedule["cron"].split()[0]) not in {0, 15, 30, 45}
    assert "workflow_dispatch" in triggers
    assert "nox -s nightly" in [step.get("run") for step in steps("nightly.yml")]


def test_the_nightly_fails_when_a_convention_has_changed() -> None:
    [check] = [step for step in steps("nightly.yml") if "conventions --" in step.get("run", "")]
    assert "nox -s conventions -- --check --compiled" in check["run"]
    # Without pipefail the exit code would be that of tee.
    assert check["shell"] == "bash"
    assert check["if"] == "${{ always() }}"


def test_the_nightly_tries_the_newest_release_of_every_framework_by_itself() -> None:
    job = workflow("nightly.yml")["jobs"]["newest"]
    assert set(job["strategy"]["matrix"]["framework"]) == set(FRAMEWORKS)
    assert job["strategy"]["fail-fast"] is False
    [run] = [step for step in job["steps"] if "nox -s newest" in step.get("run", "")]
    assert run["shell"] == "bash"


TELL = [step["run"] for step in steps("nightly.yml", "issue") if "run" in step]


@pytest.mark.parametrize(
    ("crosscheck", "newest", "number", "expected"),
    [
        pytest.param("success", "success", "", [], id="green"),
        pytest.param("success", "success", "7", ["issue close 7"], id="green-again"),
        pytest.param("failure", "success", "", ["issue create"], id="red"),
        pytest.param("success", "failure", "7", ["issue comment 7"], id="still-red"),
    ],
)
def test_one_issue_is_opened_updated_and_closed(
    crosscheck: str, newest: str, number: str, expected: list[str], tmp_path: Path
) -> None:
    gh = tmp_path / "gh"
    # A stand-in: answers the search, and writes down everything else with what it was given.
    gh.write_text(
        "#!/bin/sh\n"
        'case "$2" in list) printf "%s" "$NUMBER";; *) echo "$@" >> calls;; esac\n'
        "[ ! -f body.md ] || cp body.md posted\n"
    )
    gh.chmod(0o755)
    found = tmp_path / "found"
    (found / "crosscheck-report").mkdir(parents=True)
    (found / "newest-torch").mkdir()
    (found / "crosscheck-report" / "summary.md").write_text("# the summary\n")
    drift = "changed: torch relu (eager, float64) at 0: value 0, slope 0 -> value 0, slope 1\n"
    (found / "newest-torch" / "newest.txt").write_text(f"chatter\n{drift}")
    [program] = TELL
    done = processes.run(
        ["bash", "-e", "-c", program],
        cwd=tmp_path,
        env={
            "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
            "CROSSCHECK": crosscheck,
            "NEWEST": newest,
            "NUMBER": number,
            "RUN": "the run",
        },
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    calls = tmp_path / "calls"
    made = calls.read_text().splitlines() if calls.exists() else []
    assert [call[: len(wanted)] for call, wanted in zip(made, expected, strict=True)] == expected
    if expected == ["issue create"]:
        posted = (tmp_path / "posted").read_text()
        assert "# the summary" in posted
        assert drift in posted
        assert "chatter" not in posted


def test_the_nightly_fails_when_an_accuracy_has_changed() -> None:
    [check] = [step for step in steps("nightly.yml") if "nox -s accuracy" in step.get("run", "")]
    assert check["shell"] == "bash"
    assert check["if"] == "${{ always() }}"


def test_the_package_ships_the_record_that_verdicts_read() -> None:
    shipped = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert shipped[f"reports/{RECORD}"] == f"crosscheck/numbers/records/{RECORD}"
    places = [(folder / RECORD).resolve() for folder in SHIPPED]
    assert places[0] == (ROOT / "reports" / RECORD).resolve()
    assert places[1] == ROOT / "harness" / "crosscheck" / "numbers" / "records" / RECORD


def test_the_package_ships_the_baseline_of_conventions() -> None:
    shipped = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    for name in (TABLE, DIVERGENCES):
        assert shipped[f"reports/{name}"] == f"crosscheck/studies/conventions/baseline/{name}"
        assert (ROOT / "reports" / name).is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param([], "nothing given", id="nothing"),
        pytest.param(["numpy==2.0", "torch==2.14.0"], "numpy==2.0 given", id="no-framework"),
    ],
)
def test_drift_says_what_it_wants(arguments: list[str], words: str) -> None:
    command = [sys.executable, "-m", "nox", "-s", "drift", "--", *arguments]
    done = processes.run(command, cwd=ROOT, capture_output=True)
    assert done.returncode != 0
    assert words in done.stderr
    assert "as in nox -s drift -- torch==2.14.0" in done.stderr


def test_the_nightly_keeps_report_and_examples_even_when_it_fails() -> None:
    run = [step.get("run") for step in steps("nightly.yml", "crosscheck")].index("nox -s nightly")
    before, after = (
        steps("nightly.yml", "crosscheck")[:run],
        steps("nightly.yml", "crosscheck")[run + 1 :],
    )
    assert {step["if"] for step in after} == {"${{ always() }}"}
    [upload] = [step for step in after if "upload-artifact" in step.get("uses", "")]
    [summary] = [step for step in after if "GITHUB_STEP_SUMMARY" in step.get("run", "")]
    assert upload["with"]["path"] == "reports/latest/"
    assert "reports/latest/summary.md" in summary["run"]
    [restore] = [step for step in before if "cache/restore" in step.get("uses", "")]
    [save] = [step for step in after if "cache/save" in step.get("uses", "")]
    assert restore["with"]["path"] == save["with"]["path"] == ".hypothesis/examples"
    assert restore["with"]["key"] == save["with"]["key"]
    assert "github.run_id" in save["with"]["key"]
    assert save["with"]["key"].startswith(restore["with"]["restore-keys"])


# What no file may name

# Put together here, so that this file does not name them either.
HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("download", "pytorch", "org"),
        ("anaconda", "org"),
    )
]
FORBIDDEN = re.compile(
    "|".join(map(re.escape, HOSTS))
    + r"|(?<![\w.~/}-])/(?:home|Users|root|work|workspace)/\w|\b[A-Z]:\\+Users\b",
)


def project_files() -> list[Path]:
    """The files git keeps or would keep, found without git: an archive of the sources has none."""
    lines = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    ignored = {line.strip("/") for line in lines if line.endswith("/")} | {".git"}
    files = []
    for folder, inside, names in os.walk(ROOT):
        here = Path(folder)
        inside[:] = [
            name
            for name in inside
            if not {name, (here / name).relative_to(ROOT).as_posix()} & ignored
            and not (here / name / "pyvenv.cfg").is_file()
        ]
        files += [here / name for name in names if name != ".git"]  # as a second work tree has it
    return files


def test_no_file_names_a_package_host_or_a_path_of_one_machine() -> None:
    files = project_files()
    assert {
        ROOT / "pyproject.toml",
        ROOT / "harness" / "crosscheck" / "network" / "dense.py",
    } <= set(files)
    found = {
        str(path.relative_to(ROOT)): match.group()
        for path in files
        if (match := FORBIDDEN.search(path.read_bytes().decode("latin-1")))
    }
    assert found == {}


@pytest.mark.parametrize(
    "planted",
    [f"index = https://{host}/simple" for host in HOSTS]
    + ["open('/" + "home/me/data.json')", "cd /" + "work/main", "C:\\" + "Users\\me"],
    ids=[*HOSTS, "home", "workspace", "windows"],
)
def test_a_planted_host_or_path_is_found(planted: str) -> None:
    assert FORBIDDEN.search(planted)


@pytest.mark.parametrize(
    "harmless",
    ["https://example.com/home/page", "src/work/x", "~/home/x", "a / root / b", "and/or"],
    ids=["url", "relative", "tilde", "division", "slash"],
)
def test_an_ordinary_slash_is_left_alone(harmless: str) -> None:
    assert not FORBIDDEN.search(harmless)


# Verdicts follow from proved bounds: a tolerance anywhere would undo that.

TOLERANT_NAMES = re.compile(
    r"\b(rtol|atol|tol|tolerance|epsilon|isclose|allclose|assert_allclose|approx)\b",
    re.IGNORECASE,
)
A_SMALL_DECIMAL = re.compile(r"\b\d+(\.\d*)?e-\d+\b", re.IGNORECASE)


def tolerances(source: str) -> list[str]:
    """Names of tolerances, and decimals that look like one, in the code (not the texts)."""
    words = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME and TOLERANT_NAMES.fullmatch(token.string):
            words.append(token.string)
        if token.type == tokenize.NUMBER and A_SMALL_DECIMAL.fullmatch(token.string):
            words.append(token.string)
    return words


@pytest.mark.parametrize("path", sorted((ROOT / "harness").rglob("*.py")), ids=str)
def test_the_package_holds_no_tolerance(path: Path) -> None:
    assert tolerances(path.read_text("utf-8")) == []


@pytest.mark.parametrize("source", ["np.allclose(a, b)", "f(x, rtol=0)", "x < 1e-6", "x < 2.5E-08"])
def test_a_tolerance_would_be_noticed(source: str) -> None:
    assert tolerances(source)
