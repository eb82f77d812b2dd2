"""What to do about what was found."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence

from crosscheck.doctor.diagnosis import FrameworkHealth, LibraryHealth, Problem, Subnormals
from crosscheck.doctor.runner import Outcome
from crosscheck.tools.installing import REQUIREMENTS, installation

__all__ = ["on_framework", "on_libraries"]


def on_framework(health: FrameworkHealth, outcome: Outcome) -> Iterator[Problem]:
    """Problems of one framework; that it is absent is none."""
    if "import" in outcome.failed:
        what = outcome.failed["import"]
        yield Problem(health.name, f"importing it: {what}", _import(health.name, what), True)
        return
    for mode in health.modes:
        if mode.works:
            continue
        default = mode.name == outcome.found["import"]["default"]
        remedy = _mode(health.name, mode.name, mode.detail, default)
        yield Problem(f"{health.name}, {mode.name}", mode.detail, remedy, default)
    if any(found.get("changes_arithmetic") for found in outcome.found.values()):
        yield Problem(
            health.name,
            "it makes the thread that calls it replace subnormal numbers by zero, in NumPy too",
            "nothing needs to be done for verdicts, which are given without that; to have all "
            "else in the process keep them, look for torch.set_flush_denormal(True) and for "
            "libraries linked with -ffast-math",
        )
    for step in ("devices", "subnormals"):
        if step in outcome.failed:
            what = f"asking for its {step}: {outcome.failed[step]}"
            yield Problem(health.name, what, _general(health.name, outcome.failed[step]))


def on_libraries(
    packages: Sequence[LibraryHealth],
    outcome: Outcome,
    subnormals: Subnormals | None,
    judged: bool,
) -> Iterator[Problem]:
    """Problems of optional packages and of NumPy; that one is absent is none.

    Args:
        packages: What was found out about them.
        outcome: Of the examination of packages and NumPy.
        subnormals: What NumPy does with subnormal numbers.
        judged: Whether gradients are judged with subnormal numbers all the same.
    """
    for package in packages:
        if package.state == "broken":
            remedy = f"reinstall it: pip install --force-reinstall --no-deps {package.name}"
            yield Problem(package.name, f"importing it: {package.detail}", remedy)
    if "import" in outcome.failed or "numpy" in outcome.failed:
        what = outcome.failed.get("numpy") or outcome.failed["import"]
        yield Problem("numpy", what, "reinstall it: pip install --force-reinstall numpy", True)
    elif subnormals and not all(kept for each in subnormals.values() for kept in each.values()):
        yield Problem(
            "numpy",
            "subnormal numbers become zero in a fresh process; "
            + (
                "gradients are judged without that, but a gradient from NumPy loses them"
                if judged
                else "where that cannot be helped, as here, no bound holds and nothing is judged"
            ),
            "something that Python loads at its start was linked with -ffast-math: look for "
            "sitecustomize modules and for LD_PRELOAD",
            not judged,
        )


def _import(name: str, what: str) -> str:
    """What to do when a framework cannot be imported."""
    if "SIGILL" in what:
        return (
            "this build uses instructions that the processor does not have: install one that was "
            "built for it, or an older one"
        )
    if "no answer within" in what:
        return (
            f"give it longer with --timeout, or see where it hangs: "
            f'python -X faulthandler -c "import {name}"'
        )
    return _general(name, what)


def _mode(name: str, mode: str, what: str, default: bool) -> str:
    """What to do when one way of asking for the gradient does not work."""
    words = what.lower()
    compiles = mode.startswith(("compile", "inductor")) or "inductor" in words
    if compiles and not any(map(shutil.which, ("g++", "c++", "clang++", "cl"))):
        return "torch.compile needs a C++ compiler: install g++, or name yours in CXX"
    if "python.h" in words:
        return "torch.compile needs Python's headers: install the package python3-dev"
    if "no answer within" in what:
        return "give it longer with --timeout; a first compilation may take a minute"
    if "worked example gave" in what or "ReLU'" in what:
        return "a gradient is wrong: see what differs with `crosscheck run --case worked-example`"
    if default:
        return _general(name, what)
    return "the other modes are not affected; leave this one out, or reinstall the framework"


def _general(name: str, what: str) -> str:
    if "SIGKILL" in what:
        return "the system ended it, most often for want of memory: free some, or add swap"
    return (
        f'see the whole error with python -c "import {name}"; reinstalling often helps: '
        f"{_again(name)}"
    )


def _again(name: str) -> str:
    """The command that installs a framework again."""
    command = installation(name) if name in REQUIREMENTS else f"pip install {name}"
    return command.replace("pip install", "pip install --force-reinstall")
