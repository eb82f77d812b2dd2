"""What to type: the cross-check, its nightly form, conventions, and the project's own checks.

Most sessions need the three frameworks, about 3 GB, and so share one environment, where nox would
make one for each. It is brought up to date only when pyproject.toml or constraints.txt has
changed.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.reuse_venv = "yes"
# Not uv, which would choose builds of PyTorch that bring CUDA.
nox.options.default_venv_backend = "venv"

ROOT = Path(__file__).resolve().parent
PINS = ROOT / "constraints.txt"
PROJECT = ROOT / "pyproject.toml"
REPORT = "reports/latest"
INSTALLATION = "installation.txt"  # in the folder of reports, where an installation failed
PIP_LINES = 20  # of what it said, where it failed
WORKFLOWS = [str(path.relative_to(ROOT)) for path in sorted(ROOT.glob(".github/workflows/*.yml"))]
DEPENDABOT = ".github/dependabot.yml"
# Most modules of the frameworks are never imported: to compile them all takes over a minute.
PIP_OPTIONS = ("pip", "install", "-q", "--disable-pip-version-check", "--no-compile")
PIP_INSTALL = (*PIP_OPTIONS, "-c", str(PINS))

# Seconds that a program may go on after Ctrl-C, before it is killed.
PATIENCE = 60.0 * float(os.environ.get("CROSSCHECK_PATIENCE", "1"))

# Small arithmetic on many workers: threads of their own would only get in each other's way.
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
}


@nox.session(venv_backend="none")
def crosscheck(session: nox.Session) -> None:
    """Cross-check the frameworks' gradients; arguments after -- go to `crosscheck run`."""
    arguments = session.posargs or ["--profile", "default"]
    program = shared_environment(session) / "crosscheck"
    try:
        run(session, "crosscheck", "run", "--report", REPORT, *arguments)
    finally:
        activate = program.with_name("activate")
        # Not by the log: these lines are to be copied.
        print(f"\nThe program is {program}. To have it in this shell, with pytest:", flush=True)
        print(f"    {'' if os.name == 'nt' else '. '}{activate}", flush=True)


@nox.session(venv_backend="none")
def nightly(session: nox.Session) -> None:
    """Cross-check at length, as the nightly job does; arguments after -- are added."""
    run(session, "crosscheck", "run", "--report", REPORT, "--profile", "nightly", *session.posargs)


@nox.session(venv_backend="none")
def conventions(session: nox.Session) -> None:
    """Check that no framework's convention has changed; arguments after -- replace --check."""
    run(session, "crosscheck", "conventions", *(session.posargs or ["--check"]))


@nox.session(venv_backend="none")
def accuracy(session: nox.Session) -> None:
    """Check that no function has become less accurate, in minutes; --accept measures all anew."""
    run(session, "crosscheck", "accuracy", *session.posargs, env=ONE_THREAD)


@nox.session(venv_backend="none")
def drift(session: nox.Session) -> None:
    """Print what changes with another version: nox -s drift -- torch==2.14.0 jax==0.11.0."""
    how = (
        "wanted versions of torch, tensorflow or jax, wheels of them, or --pre and names, as in "
        "nox -s drift -- torch==2.14.0"
    )
    wanted = versions_wanted(session, how)
    if not wanted:
        session.error(f"nothing given; {how}")
    pinned = shared_environment(session) / "crosscheck"
    for framework, requirement in wanted:
        scripts = version_environment(session, requirement)
        tables = [str(scripts.parent / f"{name}.json") for name in ("pinned", "other")]
        for program, table in zip((pinned, scripts / "crosscheck"), tables, strict=True):
            words = ("conventions", "--frameworks", framework, "--json", "-o", table)
            session.run(str(program), *words, external=True, silent=True)
        # A change is the answer here, not a failure.
        session.run(str(pinned), "diff", *tables, external=True, success_codes=[0, 1])


@nox.session(venv_backend="none")
def newest(session: nox.Session) -> None:
    """Cross-check the newest version of a framework: nox -s newest -- torch [--pre], or a wheel."""
    how = "wanted one of torch, tensorflow, jax, with --pre if pre-releases count, or a .whl"
    wanted = versions_wanted(session, how)
    if len(wanted) != 1 or "==" in wanted[0][1]:
        session.error(f"{session.posargs} given; {how}")
    ((framework, requirement),) = wanted
    program = str(version_environment(session, requirement) / "crosscheck")
    run_words = ("run", "--profile", "default", "--frameworks", framework, "--report", REPORT)
    check_words = ("conventions", "--check", "--frameworks", framework, "--report", REPORT)
    failed = []
    for words in (
        run_words,
        check_words,
    ):  # the second is of interest all the more if the first fails
        try:
            session.run(program, *words, external=True)
        except nox.command.CommandFailed:
            failed.append(words[0])
    if failed:
        session.error(f"failed: {', '.join(failed)}")


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """Run the tests on all cores; arguments after -- go to pytest."""
    # Each worker imports all three frameworks (about 1 GB), so many cores are not all used.
    parallel = ["-n", "auto", "--maxprocesses", "8", "--dist", "loadgroup"]
    run(session, "pytest", *parallel, *session.posargs, env=ONE_THREAD)


@nox.session(venv_backend="none")
def newcomer(session: nox.Session) -> None:
    """Run every command of the README, in order, in a fresh copy: half an hour, installs 3 GB."""
    sys.path.insert(0, str(ROOT / "tests"))
    newcomers = importlib.import_module("newcomer")
    place = Path(session.create_tmp()).resolve()
    shell, environment = newcomers.prepared(ROOT, place)
    session.log(f"{shell} and what it prints: {place}")
    # With nothing of this environment: `env=` of nox only adds.
    variables = [f"{name}={value}" for name, value in environment.items()]
    session.run("env", "-i", *variables, "bash", str(shell), external=True)


@nox.session
def pictures(session: nox.Session) -> None:
    """Take pictures of every page, to be looked at: nox -s pictures -- FOLDER; six minutes."""
    sys.path.insert(0, str(ROOT / "tests"))
    browser = importlib.import_module("pictures").browser()
    if browser is None:
        session.error("no Chromium, Chrome or Edge on the PATH; wanted one to take pictures with")
    folder = str(Path(*(session.posargs or ["build/pictures"])).resolve())
    session.run_install("python", "-m", *PIP_INSTALL, *group("pictures"))
    run(session, "python", "tests/pictures.py", "pages", folder, env=ONE_THREAD)
    session.run("python", "tests/pictures.py", "take", folder, browser)


@nox.session(venv_backend="none")
def bench(session: nox.Session) -> None:
    """Measure speed: checking beside the frameworks' gradients alone, about twenty minutes."""
    run(session, "crosscheck", "bench", *session.posargs, env=ONE_THREAD)


@nox.session(venv_backend="none")
def alarms(session: nox.Session) -> None:
    """Count false alarms on right gradients computed in unusual ways, 3 · 10⁷: half an hour."""
    run(session, "python", "-m", "crosscheck.studies.alarms", *session.posargs, env=ONE_THREAD)


@nox.session(venv_backend="none")
def stress(session: nox.Session) -> None:
    """Hold steps of eager frameworks to their bounds, 4 · 10⁶ records: resumed if ended."""
    run(session, "python", "-m", "crosscheck.studies.stress", *session.posargs, env=ONE_THREAD)


@nox.session(venv_backend="none")
def hostile(session: nox.Session) -> None:
    """Put every reader to files that were tampered with, 10⁵ and more: resumed if ended."""
    words = ("-m", "hostile")
    run(session, "python", *words, *session.posargs, env={**ONE_THREAD, "PYTHONPATH": "tests"})


@nox.session(venv_backend="none")
def reliability(session: nox.Session) -> None:
    """See what comes of frameworks that misbehave, kills and Ctrl-C: an hour, resumed if ended."""
    variables = {**ONE_THREAD, "PYTHONPATH": "tests"}
    run(session, "python", "-m", "reliability", *session.posargs, env=variables)


@nox.session(venv_backend="none")
def operators(session: nox.Session) -> None:
    """Judge every operator in every framework, mode and dtype: half an hour, resumed if ended."""
    run(session, "python", "-m", "crosscheck.studies.operators", *session.posargs, env=ONE_THREAD)


@nox.session
def models(session: nox.Session) -> None:
    """Certify models of installed packages, each also with a planted fault: ten minutes."""
    # An environment of its own, with pins of its own: the packages are no dependencies.
    requirements = ["-e", ".[torch,jax,exact]", *group("models")]
    pins = ("-c", str(ROOT / "constraints-models.txt"))
    session.run_install("python", "-m", *PIP_INSTALL, *pins, *requirements)
    words = ("-m", "crosscheck.studies.published", *session.posargs)
    session.run("python", *words, env=ONE_THREAD)


@nox.session(venv_backend="none")
def adversary(session: nox.Session) -> None:
    """Climb towards the largest error / bound of each rule, 10⁶ tries each: half an hour."""
    words = ("-m", "crosscheck.studies.adversary", "--report", "reports")
    run(session, "python", *words, *session.posargs, env=ONE_THREAD)


@nox.session(venv_backend="none")
def power(session: nox.Session) -> None:
    """Put every wrong gradient on every road, for reports/POWER.md: an hour, resumed if ended."""
    words = ("power", "--catalogue", "--cases", "5000", "--peers", "10")
    run(session, "crosscheck", *words, *session.posargs, env=ONE_THREAD)


@nox.session(venv_backend="none")
def faults(session: nox.Session) -> None:
    """Plant each fault in ourselves and see that a test fails: two minutes."""
    scripts = shared_environment(session)
    with session.chdir(ROOT / "tests"):
        words = (str(scripts / "python"), "-m", "ourselves.runner", *session.posargs)
        session.run(*words, external=True, env=ONE_THREAD, interrupt_timeout=PATIENCE)


@nox.session
def mutation(session: nox.Session) -> None:
    """Change the mathematics in many small ways; a test has to fail: nox -s mutation -- MODULE."""
    # An environment without frameworks: what needs one is no test of the mathematics.
    requirements = ["-e", ".[exact,files,sweep]", *group("mutation")]
    session.run_install("python", "-m", *PIP_INSTALL, *requirements)
    with session.chdir(ROOT / "tests"):
        words = ("-m", "ourselves.mutation", *session.posargs)
        session.run("python", *words, env=ONE_THREAD, interrupt_timeout=PATIENCE)


@nox.session(venv_backend="none")
def types(session: nox.Session) -> None:
    """Check the types with mypy, strictly."""
    run(session, "mypy")


@nox.session
def lint(session: nox.Session) -> None:
    """Check the code with ruff, and the workflows with check-jsonschema and zizmor."""
    session.run_install("python", "-m", *PIP_INSTALL, *group("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    schema = ("check-jsonschema", "--builtin-schema")
    session.run(*schema, "vendor.github-workflows", *WORKFLOWS)
    session.run(*schema, "vendor.dependabot", DEPENDABOT)
    session.run("zizmor", "--offline", "--quiet", ".github/")


def run(
    session: nox.Session, program: str, *arguments: str, env: dict[str, str] | None = None
) -> None:
    """Run a program of the shared environment; the log shows its exit code if it fails.

    Args:
        session: Who runs it.
        program: A script of the environment.
        arguments: Its arguments.
        env: Variables to set where the user has not.
    """
    scripts = shared_environment(session)
    variables = {name: os.environ.get(name, value) for name, value in (env or {}).items()}
    variables["PATH"] = os.pathsep.join([str(scripts), os.environ.get("PATH", "")])
    variables["VIRTUAL_ENV"] = str(scripts.parent)
    # After Ctrl-C there is a report to be written, for which nox's own 0.3 s are too short.
    words = (str(scripts / program), *arguments)
    session.run(*words, external=True, env=variables, interrupt_timeout=PATIENCE)


def shared_environment(session: nox.Session) -> Path:
    """Make the shared environment, or bring it up to date.

    It holds the project (editable), its extras, and the groups `test` and `types`, under the
    pins of constraints.txt.

    Returns:
        The folder of its programs.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = session.cache_dir.resolve() / f"frameworks-{version}"
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    # Scripts and the editable install hold absolute paths, so another interpreter or a moved
    # checkout needs a new environment; other requirements need only another install.
    place = digest(sys.version, sys.base_prefix, folder)
    wanted = digest(PROJECT.read_text("utf-8"), PINS.read_text("utf-8"), PIP_INSTALL)
    stamp = folder / "made-from.txt"
    made_from = stamp.read_text("utf-8").split() if stamp.is_file() else [None, None]
    if made_from == [place, wanted]:
        return scripts
    if made_from[0] != place:
        session.log(f"Making an environment with the three frameworks in {folder}: some minutes")
        session.run_install(sys.executable, "-m", "venv", "--clear", str(folder), external=True)
    stamp.unlink(missing_ok=True)  # an interrupted install must not pass for a complete one
    requirements = ["-e", ".[all]", *group("types")]
    install(session, scripts, *PIP_INSTALL, *requirements)
    stamp.write_text(f"{place}\n{wanted}\n", "utf-8")
    return scripts


def version_environment(session: nox.Session, requirement: str) -> Path:
    """An environment of its own with the project and one framework, without the pins.

    One of a stated version stays as it is; what is newest is looked for each time.

    Returns:
        The folder of its programs.
    """
    wheel = Path(requirement)
    made_of = [wheel.stat().st_mtime_ns] if requirement.endswith(".whl") else []
    name = digest(sys.version, requirement, *made_of)[:12]
    place = session.cache_dir.resolve() / "versions" / name
    scripts = place / ("Scripts" if os.name == "nt" else "bin")
    is_stated = bool(made_of) or "==" in requirement
    if not (place / "made").is_file():
        session.log(f"Making an environment with {requirement} in {place}")
        session.run_install(sys.executable, "-m", "venv", "--clear", str(place), external=True)
    elif is_stated:
        return scripts
    install(session, scripts, *PIP_OPTIONS, "--upgrade", "-e", ".", requirement)
    (place / "made").touch()
    return scripts


def install(session: nox.Session, scripts: Path, *words: str) -> None:
    """Have pip install something; where it fails, what it said last is in the folder of reports.

    Args:
        session: Who runs it.
        scripts: The folder of the environment's programs.
        words: Of pip.
    """
    said = ROOT / REPORT / INSTALLATION
    said.unlink(missing_ok=True)
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        try:
            python = str(scripts / "python")
            session.run_install(
                *(python, "-m", *words), external=True, stdout=output, stderr=subprocess.STDOUT
            )
        except nox.command.CommandFailed:
            output.seek(0)
            lines = output.read().strip().splitlines()[-PIP_LINES:]
            said.parent.mkdir(parents=True, exist_ok=True)
            said.write_text("\n".join([*lines, ""]), "utf-8")
            session.error(
                "\n".join([*lines, f"the installation failed: pip {' '.join(words[1:])}"])
            )


def versions_wanted(session: nox.Session, how: str) -> list[tuple[str, str]]:
    """What the arguments of a session name: frameworks, each with the requirement for pip.

    ``--pre`` lets pre-releases count, of the frameworks only: pip's own option would bring those of
    everything that they need. A name that is followed by a pre-release, were it one that
    nothing is older than, allows them (PEP 440).

    Args:
        session: Whose arguments.
        how: What to say is wanted.
    """
    pre = "--pre" in session.posargs
    named = [each for each in session.posargs if each != "--pre"]
    wanted = []
    for each in named or (["torch", "tensorflow", "jax"] if pre else []):
        framework = framework_of(Path(each).name if each.endswith(".whl") else each)
        if framework is None:
            session.error(f"{each} given; {how}")
        if each.endswith(".whl"):
            if not Path(each).is_file():
                session.error(f"{each}: no such wheel; {how}")
            requirement = str(Path(each).resolve())
        else:
            requirement = "tensorflow-cpu" if each == "tensorflow" else each
            requirement += ">=0.dev0" if pre and re.fullmatch(r"[\w-]+", each) else ""
        wanted.append((framework, requirement))
    return wanted


def framework_of(requirement: str) -> str | None:
    """The framework that a requirement such as ``torch==2.14.0``, or a wheel's name, is about."""
    is_wheel = requirement.endswith(".whl")
    distribution = re.split(r"-" if is_wheel else r"[^\w-]", requirement, maxsplit=1)[0]
    name = distribution.lower().replace("_", "-")
    others = {"tensorflow-cpu": "tensorflow", "tf-nightly": "tensorflow", "jaxlib": "jax"}
    others |= {"tf-nightly-cpu": "tensorflow"}
    framework = others.get(name, name)
    return framework if framework in ("torch", "tensorflow", "jax") else None


def digest(*parts: object) -> str:
    """SHA-256 of what the parts print as."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


def group(name: str) -> tuple[str, ...]:
    """The requirements of a dependency group of pyproject.toml.

    pip reads groups itself only from 25.1 on, and new environments come with older ones.
    """
    return nox.project.dependency_groups(nox.project.load_toml(PROJECT), name)
