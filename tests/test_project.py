"""The repository keeps its promises: packaging, pins, workflows, and what importing costs."""

from __future__ import annotations

import ast
import importlib
import io
import json
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


def test_the_nightly_fails_when_a_convention_or_an_accuracy_has_changed() -> None:
    for words in ("conventions -- --check --compiled", "accuracy --"):
        [check] = [
            step for step in steps("nightly.yml") if f"nox -s {words}" in step.get("run", "")
        ]
        assert "|" not in check["run"]  # whose exit code would be that of another program
        assert check["if"] == "${{ always() }}"
        assert "--report reports/latest" in check["run"]
        # By name: what is not installed would be left out.
        assert f"--frameworks {','.join(FRAMEWORKS)}" in check["run"]


@pytest.mark.parametrize(("name", "words"), [("newest", ""), ("prerelease", " --pre")])
def test_the_nightly_tries_the_newest_of_every_framework_by_itself(name: str, words: str) -> None:
    job = workflow("nightly.yml")["jobs"][name]
    assert set(job["strategy"]["matrix"]["framework"]) == set(FRAMEWORKS)
    assert job["strategy"]["fail-fast"] is False
    [run] = [step["run"] for step in job["steps"] if "nox -s newest" in step.get("run", "")]
    assert run == f'nox -s newest -- "$FRAMEWORK"{words}'
    [upload] = [step for step in job["steps"] if "upload-artifact" in step.get("uses", "")]
    assert upload["with"]["name"] == f"{name}-${{{{ matrix.framework }}}}"


def test_a_whole_night_is_told_by_the_commands_of_the_workflow(tmp_path: Path) -> None:
    """A dry run: what jobs leave, the text that is made of it, and what is posted."""
    newest = tmp_path / "found" / "newest-torch"
    newest.mkdir(parents=True)
    line = "changed: torch clamp: slope 1 -> 0 at 0, -0; eager; all dtypes"
    content = {"versions": {"torch": "2.14"}, "baseline": {"torch": "2.13"}, "changed": [line]}
    (newest / "drift-conventions.json").write_text(json.dumps(content))
    found = [step.get("run", "") for step in steps("nightly.yml", "text")]
    [write] = [program for program in found if "body.md" in program]
    (tmp_path / "crosscheck").write_text(f'#!/bin/sh\nexec {sys.executable} -m crosscheck "$@"\n')
    results = {"CROSSCHECK": "success", "NEWEST": "failure", "PRERELEASE": "cancelled"}
    env = {**os.environ, **results, "GITHUB_STEP_SUMMARY": "page.md", "RUN": "the run"}
    posted = told(tmp_path, [write, TELL], {**env, "RESULTS": "success failure", "NUMBER": ""})
    assert posted == ["issue create --title The nightly cross-check fails --body-file body.md"]
    body = (tmp_path / "posted").read_text("utf-8")
    assert body.startswith("## Changed\n\nnewest-torch, conventions (2.13 -&gt; 2.14):\n\n- `torch")
    assert "- prerelease: cancelled, and nothing that it left says why" in body
    assert (tmp_path / "page.md").read_text("utf-8") == body


[TELL] = [step["run"] for step in steps("nightly.yml", "issue") if "run" in step]


def told(place: Path, programs: list[str], env: dict[str, str]) -> list[str]:
    """How gh is called by steps of a workflow, besides to search."""
    # A stand-in: answers the search, and writes down everything else with what it was given.
    (place / "gh").write_text(
        "#!/bin/sh\n"
        'case "$2" in list) printf "%s" "$NUMBER";; *) echo "$@" >> calls;; esac\n'
        "[ ! -f body.md ] || cp body.md posted\n"
    )
    for each in ("gh", "crosscheck"):
        if (place / each).is_file():
            (place / each).chmod(0o755)
    path = f"{place}{os.pathsep}{os.environ['PATH']}"
    for program in programs:
        done = processes.run(
            ["bash", "-e", "-c", program],
            cwd=place,
            env={**env, "PATH": path},
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr
    calls = place / "calls"
    return calls.read_text().splitlines() if calls.exists() else []


@pytest.mark.parametrize(
    ("results", "number", "expected"),
    [
        pytest.param("success success", "", [], id="green"),
        pytest.param("success success", "7", ["issue close 7"], id="green-again"),
        pytest.param("failure success", "", ["issue create"], id="red"),
        pytest.param("success failure", "7", ["issue comment 7"], id="still-red"),
        pytest.param("success skipped", "", ["issue create"], id="not-run"),
    ],
)
def test_one_issue_is_opened_updated_and_closed(
    results: str, number: str, expected: list[str], tmp_path: Path
) -> None:
    made = told(tmp_path, [TELL], {"RESULTS": results, "NUMBER": number, "RUN": "the run"})
    assert [call[: len(wanted)] for call, wanted in zip(made, expected, strict=True)] == expected
    if expected == ["issue create"]:  # nothing wrote a text
        assert f"ended so: {results}." in (tmp_path / "posted").read_text()


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
        pytest.param(["drift"], "nothing given", id="nothing"),
        pytest.param(["drift", "numpy==2.0", "torch==2.14.0"], "numpy==2.0 given", id="another"),
        pytest.param(["drift", "torch-2.15.0-cp311-none.whl"], "no such wheel", id="no-wheel"),
        pytest.param(["newest", "torch", "jax"], "wanted one of torch", id="two"),
        pytest.param(["newest", "torch==2.14.0"], "wanted one of torch", id="stated"),
    ],
)
def test_sessions_of_other_versions_say_what_they_want(arguments: list[str], words: str) -> None:
    session, *rest = arguments
    command = [sys.executable, "-m", "nox", "-s", session, "--", *rest]
    done = processes.run(command, cwd=ROOT, capture_output=True)
    assert done.returncode != 0
    assert words in done.stderr
    assert ("as in nox -s drift -- torch==2.14.0" in done.stderr) == (session == "drift")


class Asked:
    """What stands for a session of nox."""

    def __init__(self, *posargs: str) -> None:
        self.posargs = posargs

    def error(self, message: str) -> None:
        raise AssertionError(message)


@pytest.mark.filterwarnings("ignore:The session .* has already been registered")
@pytest.mark.parametrize(
    ("posargs", "expected"),
    [
        (["torch==2.14.0"], [("torch", "torch==2.14.0")]),
        (["tensorflow"], [("tensorflow", "tensorflow-cpu")]),
        (["jax", "--pre"], [("jax", "jax>=0.dev0")]),
        (["torch==2.15.0rc1", "--pre"], [("torch", "torch==2.15.0rc1")]),
        (["tf-nightly-cpu"], [("tensorflow", "tf-nightly-cpu")]),
    ],
)
def test_versions_are_asked_for_as_pip_understands(
    posargs: list[str], expected: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    noxfile = importlib.import_module("noxfile")
    found = noxfile.versions_wanted(Asked(*posargs), "how")
    assert found == expected
    for _, requirement in found:
        has_pre = "--pre" in posargs
        assert bool(Requirement(requirement).specifier.prereleases) == has_pre
        assert len(noxfile.versions_wanted(Asked("--pre"), "how")) == len(FRAMEWORKS)


@pytest.mark.filterwarnings("ignore:The session .* has already been registered")
def test_a_wheel_is_of_the_framework_that_its_name_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    noxfile = importlib.import_module("noxfile")
    wheels = {
        "torch-2.15.0.dev20261130+cpu-cp313-cp313-linux_x86_64.whl": "torch",
        "tensorflow_cpu-2.22.0rc0-cp313-cp313-manylinux_2_27_x86_64.whl": "tensorflow",
        "jax-0.11.0-py3-none-any.whl": "jax",
    }
    for name, framework in wheels.items():
        (tmp_path / name).touch()
        found = noxfile.versions_wanted(Asked(str(tmp_path / name)), "how")
        assert found == [(framework, str(tmp_path / name))]


@pytest.mark.parametrize(
    ("session", "words", "calls"),
    [
        pytest.param(
            "drift",
            "torch==2.14.0",
            [
                "pinned conventions --frameworks torch --json -o HERE/pinned.json",
                "other conventions --frameworks torch --json -o HERE/other.json",
                "pinned diff HERE/pinned.json HERE/other.json",
            ],
            id="drift",
        ),
        pytest.param(
            "newest",
            "jax --pre",
            [
                "other run --profile default --frameworks jax --report reports/latest",
                "other conventions --check --frameworks jax --report reports/latest",
            ],
            id="newest",
        ),
    ],
)
def test_sessions_of_other_versions_run_what_they_say(
    session: str, words: str, calls: list[str], tmp_path: Path
) -> None:
    for name in ("pinned", "other"):
        (tmp_path / name).mkdir()
        program = tmp_path / name / "crosscheck"
        # It finds a difference wherever it is asked to compare.
        body = (
            f'echo "{name} $*" >> {tmp_path}/calls\ncase "$*" in diff*|*--check*) exit 1;; esac\n'
        )
        program.write_text(f"#!/bin/sh\n{body}")
        program.chmod(0o755)
    text = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nimport pathlib, noxfile\n"
    text += "from noxfile import drift, newest\nhere = pathlib.Path(__file__).parent\n"
    text += "noxfile.shared_environment = lambda session: here / 'pinned'\n"
    text += "noxfile.version_environment = lambda session, requirement: here / 'other'\n"
    (tmp_path / "sessions.py").write_text(text, "utf-8")
    start = [sys.executable, "-m", "nox", "-f", str(tmp_path / "sessions.py"), "-s", session]
    done = processes.run([*start, "--", *words.split()], capture_output=True)
    assert done.returncode == (session == "newest"), done.stderr  # a difference is drift's answer
    made = (tmp_path / "calls").read_text("utf-8").replace(str(tmp_path), "HERE").splitlines()
    assert made == calls


def test_an_installation_that_fails_says_why_and_leaves_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nimport nox, noxfile, pathlib\n"
    sessions += "noxfile.ROOT = pathlib.Path(__file__).parent\n"
    sessions += "@nox.session(venv_backend='none')\ndef it(session):\n"
    sessions += "    scripts = pathlib.Path(sys.executable).parent\n"
    sessions += "    noxfile.install(session, scripts, *noxfile.PIP_OPTIONS, './nowhere')\n"
    (tmp_path / "sessions.py").write_text(sessions, "utf-8")
    command = [sys.executable, "-m", "nox", "-f", str(tmp_path / "sessions.py"), "-s", "it"]
    done = processes.run(command, capture_output=True)
    assert done.returncode != 0
    assert "the installation failed: pip install" in done.stderr
    left = (tmp_path / "reports" / "latest" / "installation.txt").read_text("utf-8")
    assert left.startswith("ERROR: ")
    assert "nowhere" in left


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
